"""What was spent, when, on what: from the ledger alone, and by the calendar of the user."""

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from darkroom.catalog.plans import PlanBook
from darkroom.domain.job import LedgerKind, State
from darkroom.domain.money import MicroUsd
from darkroom.errors import InvalidRequest
from darkroom.events import Bus
from darkroom.services.usage import DIMENSIONS, Share, Usage, UsageBook
from darkroom.settings import Settings
from darkroom.store.base import JobStore, Spent
from darkroom.store.sqlite import SqliteStore
from factories import FakeClock, job_id, make_effective, make_job, make_ledger_row
from helpers_store import WAYS, claim, walk

HOUR = 3_600_000
DAY = 24 * HOUR
FRIDAY = "2026-11-20T13:14:15.678+00:00"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


NOW = at(FRIDAY)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncGenerator[JobStore]:
    opened = SqliteStore(tmp_path / "data" / "darkroom.db", Bus(), clock)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def plans() -> PlanBook:
    """The shipped plans, read before a test's loop runs."""
    book = PlanBook()
    book.reload()
    return book


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Settings:
    """As they are without any source; a test may say what differs. Reading them blocks."""
    return Settings.load(**getattr(request, "param", {}))


@pytest.fixture
def book(store: JobStore, settings: Settings, plans: PlanBook, clock: FakeClock) -> UsageBook:
    return UsageBook(store, settings, lambda: plans, clock)


async def put(
    store: JobStore,
    number: int,
    reserved: int,
    state: State = State.QUEUED,
    charged: int | None = None,
    *,
    when: int = NOW,
    certain: bool = True,
    **fields: Any,
) -> None:
    """Have a job with that reservation in a state; `charged`: what was settled, None: released where it ended."""
    name = job_id(number)
    values: dict[str, Any] = {"estimate": MicroUsd(reserved), "request_hash": name}
    rows = [make_ledger_row(job_id=name, micro_usd=MicroUsd(reserved), at=when)]
    await store.add(make_job(id=name, created_at=when, **(values | fields)), rows)
    if state is State.QUEUED:
        return
    [claimed] = [item for item in await claim(store) if item.job.id == name]
    kind = LedgerKind.RELEASED if charged is None else LedgerKind.SETTLED
    row = make_ledger_row(job_id=name, kind=kind, micro_usd=MicroUsd(charged or 0), at=when, certain=certain)
    ended = state in (State.SUCCEEDED, State.FAILED, State.CANCELLED)
    await walk(store, claimed.submission, WAYS[state], ledger=[row] if ended else [])


succeeded = partial(put, state=State.SUCCEEDED)


def make_spent(**overrides: Any) -> Spent:
    values: dict[str, Any] = {
        "job_id": job_id(1),
        "submission": 0,
        "principal": "local",
        "kind": "image",
        "provider": "acme",
        "model": "acme-image-1",
        "plan": "brand",
        "labels": (),
        "state": State.SUCCEEDED,
        "at": NOW,
        "outputs": 1,
        "estimate": MicroUsd(40_000),
        "micro_usd": MicroUsd(40_000),
        "certain": True,
        "open": False,
    }
    return Spent(**(values | overrides))


def make_usage(*rows: Spent, timezone: str = "UTC") -> Usage:
    return Usage(NOW - DAY, NOW, timezone, rows, 0, ())


def shares(usage: Usage, what: str) -> list[tuple[str, int, int]]:
    return [(share.name, share.submissions, share.micro_usd) for share in usage.by(what)]


# Sums


def test_nothing_spent_is_nothing_everywhere() -> None:
    usage = make_usage()
    assert (usage.total, usage.open, usage.uncertain, usage.estimated, usage.actual, usage.unpriced) == (0,) * 6
    assert usage.success_rate is None
    assert [usage.by(what) for what in DIMENSIONS] == [[]] * len(DIMENSIONS)


def test_the_total_has_open_and_uncertain_money_in_it_and_both_are_told_apart() -> None:
    usage = make_usage(
        make_spent(micro_usd=MicroUsd(1)),
        make_spent(micro_usd=MicroUsd(20), certain=False),
        make_spent(micro_usd=MicroUsd(300), certain=False, open=True, state=State.RUNNING),
        make_spent(micro_usd=MicroUsd(4_000), open=True, state=State.RUNNING),
    )
    assert (usage.total, usage.open, usage.uncertain) == (4_321, 4_300, 20)


def test_the_estimate_is_held_against_the_cost_of_what_ended_well_alone() -> None:
    usage = make_usage(
        make_spent(estimate=MicroUsd(100), micro_usd=MicroUsd(90)),
        make_spent(estimate=MicroUsd(200), micro_usd=MicroUsd(250)),
        make_spent(estimate=None, micro_usd=MicroUsd(3)),
        make_spent(estimate=MicroUsd(4_000), micro_usd=MicroUsd(4_000), state=State.FAILED),
        make_spent(estimate=MicroUsd(50_000), micro_usd=MicroUsd(0), state=State.CANCELLED),
        make_spent(estimate=MicroUsd(600_000), micro_usd=MicroUsd(600_000), state=State.RUNNING, open=True),
    )
    assert (usage.estimated, usage.actual) == (300, 340), "what had no estimate is in neither"


def test_submissions_without_a_known_price_are_counted_whatever_became_of_them() -> None:
    unknown = partial(make_spent, estimate=None, micro_usd=MicroUsd(0), certain=False)
    rows = [unknown(state=state) for state in (State.FAILED, State.RUNNING, State.SUCCEEDED)]
    known = [make_spent(estimate=None), make_spent(estimate=MicroUsd(0)), make_spent()]
    usage = make_usage(*rows, *known, make_spent(estimate=None, micro_usd=MicroUsd(0)))
    assert usage.unpriced == 3, "a provider's own word is known, nothing too"
    assert [(share.submissions, share.unpriced) for share in usage.by("provider")] == [(7, 3)]


@pytest.mark.anyio
@pytest.mark.parametrize("settings", [{"plan": "gold"}], indirect=True)
async def test_work_booked_under_a_plan_that_is_gone_is_told_and_counted_in_the_default(
    book: UsageBook, store: JobStore
) -> None:
    await succeeded(store, 1, 40_000, charged=40_000, plan="silver")
    usage = await book.since("today")
    assert usage.credits == 4, "as on brand"
    assert [share.name for share in usage.by("plan")] == ["silver"]
    assert usage.warnings == (
        "Plan 'silver' is no more; what was booked under it (1) counts in credits of plan brand.",
        "DARKROOM_PLAN holds 'gold', and there is no such plan; plan brand is used.",
    )


@pytest.mark.anyio
async def test_a_month_that_is_not_over_lasts_until_now(book: UsageBook) -> None:
    assert (await book.month("2026-11")).until == NOW + 1
    assert (await book.month("2026-10")).until == at("2026-11-01T00:00:00+00:00")
    with pytest.raises(InvalidRequest) as caught:
        await book.month("2026-13")
    assert caught.value.field == "month"


@pytest.mark.parametrize(
    ("states", "rate"),
    [
        ([State.SUCCEEDED], 1.0),
        ([State.FAILED], 0.0),
        ([State.SUCCEEDED, State.FAILED, State.SUCCEEDED, State.SUCCEEDED], 0.75),
        ([State.SUCCEEDED, State.CANCELLED, State.RUNNING, State.SUBMIT_UNKNOWN, State.QUEUED], 1.0),
        ([State.CANCELLED, State.RUNNING], None),
    ],
)
def test_success_is_counted_among_what_ended_and_was_not_cancelled(states: Sequence[State], rate: float | None) -> None:
    assert make_usage(*(make_spent(state=state) for state in states)).success_rate == rate


# Shares


def some_usage() -> Usage:
    return make_usage(
        make_spent(micro_usd=MicroUsd(10), kind="image", labels=("zoo", "fox"), plan="brand", principal="ann"),
        make_spent(micro_usd=MicroUsd(200), kind="video", labels=("zoo",), plan=None, model="clip", at=NOW - DAY),
        make_spent(micro_usd=MicroUsd(30), kind="image", provider="other", plan="agency", at=NOW - DAY),
        make_spent(
            micro_usd=MicroUsd(0), kind="image", provider="other", model="free", plan="agency", at=NOW - 9 * DAY
        ),
    )


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("kind", [("video", 1, 200), ("image", 3, 40)]),
        ("provider", [("acme", 2, 210), ("other", 2, 30)]),
        (
            "model",
            [("acme/clip", 1, 200), ("other/acme-image-1", 1, 30), ("acme/acme-image-1", 1, 10), ("other/free", 1, 0)],
        ),
        ("label", [("zoo", 2, 210), ("(none)", 2, 30), ("fox", 1, 10)]),
        ("plan", [("(none)", 1, 200), ("agency", 2, 30), ("brand", 1, 10)]),
        ("principal", [("local", 3, 230), ("ann", 1, 10)]),
    ],
)
def test_shares_come_dearest_first(what: str, expected: list[tuple[str, int, int]]) -> None:
    assert shares(some_usage(), what) == expected


def test_days_come_in_their_order() -> None:
    assert shares(some_usage(), "day") == [("2026-11-11", 1, 0), ("2026-11-19", 2, 230), ("2026-11-20", 1, 10)]


def test_equal_shares_come_by_name() -> None:
    rows = [make_spent(provider=name) for name in ("b", "c", "a")]
    assert [share.name for share in make_usage(*rows).by("provider")] == ["a", "b", "c"]


def test_a_day_is_one_of_the_users_time_zone() -> None:
    rows = (make_spent(at=at("2026-11-20T14:59+00:00")), make_spent(at=at("2026-11-20T15:00+00:00")))
    assert [share.name for share in make_usage(*rows).by("day")] == ["2026-11-20"]
    tokyo = make_usage(*rows, timezone="Asia/Tokyo").by("day")
    assert tokyo == [Share("2026-11-20", 1, MicroUsd(40_000)), Share("2026-11-21", 1, MicroUsd(40_000))]


@pytest.mark.parametrize("what", [what for what in DIMENSIONS if what != "label"])
def test_the_shares_of_everything_but_labels_make_the_total(what: str) -> None:
    usage = some_usage()
    assert sum(share.micro_usd for share in usage.by(what)) == usage.total
    assert sum(share.submissions for share in usage.by(what)) == len(usage.spent)


def test_shares_are_told_by_agent_and_tier_and_what_had_none_is_named_so() -> None:
    usage = make_usage(
        make_spent(agent="designer", tier="premium"),
        make_spent(agent="copywriter", tier="premium", micro_usd=MicroUsd(7)),
        make_spent(micro_usd=MicroUsd(1)),
    )
    assert shares(usage, "agent") == [("designer", 1, 40_000), ("copywriter", 1, 7), ("(none)", 1, 1)]
    assert shares(usage, "tier") == [("premium", 2, 40_007), ("(none)", 1, 1)]


# The book


async def test_the_usage_of_a_span_is_what_was_reserved_in_it_at_what_it_costs_by_now(
    store: JobStore, book: UsageBook
) -> None:
    await succeeded(store, 1, 50_000, charged=40_000, when=NOW - DAY)
    await put(store, 2, 60_000, State.FAILED, when=NOW - DAY + 1)
    await put(store, 3, 70_000, State.FAILED, 5_000, when=NOW - 2, certain=False)
    await put(store, 4, 80_000, when=NOW - 1)
    usage = await book.between(NOW - DAY, NOW)
    assert (usage.since, usage.until, usage.timezone) == (NOW - DAY, NOW, "UTC")
    assert [row.micro_usd for row in usage.spent] == [40_000, 0, 5_000, 80_000]
    assert (usage.total, usage.open, usage.uncertain) == (125_000, 80_000, 5_000)
    assert (usage.estimated, usage.actual) == (50_000, 40_000)
    assert usage.success_rate == pytest.approx(1 / 3)
    assert [row.job_id for row in (await book.between(NOW - DAY + 1, NOW - 1)).spent] == [job_id(2), job_id(3)]


async def test_the_usage_follows_a_later_word_on_the_bill(store: JobStore, book: UsageBook) -> None:
    await succeeded(store, 1, 50_000, charged=40_000, certain=False)
    before = await book.since("today")
    assert (before.total, before.uncertain) == (40_000, 40_000)
    assert await store.adjust(job_id(1), 0, MicroUsd(44_000), NOW + 5)
    after = await book.since("today")
    assert (after.total, after.uncertain, after.actual) == (44_000, 0, 44_000)


async def test_the_usage_since_a_moment_ends_now_and_without_words_is_this_months(
    store: JobStore, book: UsageBook
) -> None:
    await put(store, 1, 1, when=at("2026-10-31T23:59:59.999+00:00"))
    await put(store, 2, 20, when=at("2026-11-01T00:00+00:00"))
    await put(store, 3, 300, when=at("2026-11-19T12:00+00:00"))
    await put(store, 4, 4_000, when=NOW)
    found = {text: (await book.since(text)).total for text in (None, "month", "yesterday", "today", "2026-10", "0d")}
    assert found == {None: 4_320, "month": 4_320, "yesterday": 4_300, "today": 4_000, "2026-10": 4_321, "0d": 4_000}
    with pytest.raises(InvalidRequest):
        await book.since("soon")


async def test_the_usage_of_a_month_is_that_of_the_whole_month(store: JobStore, book: UsageBook) -> None:
    await put(store, 1, 1, when=at("2026-10-01T00:00+00:00"))
    await put(store, 2, 20, when=at("2026-10-31T23:59:59.999+00:00"))
    await put(store, 3, 300, when=at("2026-11-01T00:00+00:00"))
    october, november = await book.month("2026-10"), await book.month("2026-11")
    assert (october.total, november.total) == (21, 300)
    assert (october.since, october.until) == (at("2026-10-01T00:00+00:00"), at("2026-11-01T00:00+00:00"))
    assert (await book.month("2026-09")).spent == ()
    with pytest.raises(InvalidRequest, match="still to come"):
        await book.month("2026-12")


async def test_the_usage_of_one_principal_is_that_one_s_alone(store: JobStore, book: UsageBook) -> None:
    await put(store, 1, 1, principal="ann")
    await put(store, 2, 20, principal="bob")
    for ask in (partial(book.since, "today"), partial(book.month, "2026-11"), partial(book.between, 0, NOW + 1)):
        assert (await ask(principal=None)).total == 21
        assert (await ask(principal="bob")).total == 20
        assert (await ask(principal="nobody")).total == 0


@pytest.mark.parametrize("settings", [{"timezone": "Asia/Tokyo", "daily_budget": "1"}], indirect=True)
async def test_days_months_and_budgets_are_those_of_the_zone(
    store: JobStore, book: UsageBook, clock: FakeClock
) -> None:
    clock.wall = at("2026-11-30T16:00+00:00")
    await put(store, 1, 1, when=at("2026-11-30T14:59+00:00"))
    await put(store, 2, 20, when=at("2026-11-30T15:00+00:00"))
    usage = await book.since("today")
    assert (usage.total, usage.timezone) == (20, "Asia/Tokyo")
    assert shares(usage, "day") == [("2026-12-01", 1, 20)]
    assert ((await book.month("2026-11")).total, (await book.month("2026-12")).total) == (1, 20)
    assert [(budget.used, budget.limit.since) for budget in usage.budgets] == [(20, at("2026-12-01T00:00+09:00"))]


# Credits


async def test_credits_are_counted_for_each_output_in_the_plan_of_its_job(store: JobStore, book: UsageBook) -> None:
    await succeeded(store, 1, 1_500_000, charged=1_500_000, plan="starter")
    await succeeded(store, 2, 1_500_000, charged=1_500_000, plan="agency")
    assert (await book.since("today")).credits == 150 + 128  # 127.5, half-up
    four = make_effective(n=4)
    await succeeded(store, 3, 10_000, charged=10_000, plan="starter", effective=four)
    assert (await book.since("today")).credits == 150 + 128 + 4  # a quarter of a credit each, and one at least


async def test_the_plan_of_the_settings_counts_for_a_job_without_one_or_whose_plan_is_gone(
    store: JobStore, book: UsageBook
) -> None:
    await succeeded(store, 1, 1_000_000, charged=1_000_000)
    assert (await book.since("today")).credits == 90
    await succeeded(store, 2, 1_000_000, charged=1_000_000, plan="gone")
    assert (await book.since("today")).credits == 180


async def test_a_plan_is_known_however_it_is_written(store: JobStore, book: UsageBook) -> None:
    await succeeded(store, 1, 1_000_000, charged=1_000_000, plan=" Starter ")
    assert (await book.since("today")).credits == 100


async def test_what_is_open_released_or_free_has_no_credits(store: JobStore, book: UsageBook) -> None:
    await put(store, 1, 1_000_000, plan="starter")
    await put(store, 2, 1_000_000, State.FAILED, plan="starter")
    await succeeded(store, 3, 0, charged=0, plan="starter")
    assert (await book.since("today")).credits == 0
    await put(store, 4, 1_000_000, State.FAILED, 1, plan="starter")
    assert (await book.since("today")).credits == 1


async def test_changed_plans_count_at_once(store: JobStore, book: UsageBook, plans: PlanBook) -> None:
    await succeeded(store, 1, 1_000_000, charged=1_000_000, plan="starter")
    plans.update({"plans": {"starter": {"multiplier": "2"}}})
    assert (await book.since("today")).credits == 200


# Budgets


OWN = {"ann": {"daily_budget": "2"}, "local": {"monthly_budget": "4"}}
with_budgets = pytest.mark.parametrize(
    "settings", [{"daily_budget": "1", "monthly_budget": "10", "principals": OWN}], indirect=True
)


@with_budgets
async def test_budgets_say_how_far_they_are_used_whatever_span_was_asked_for(store: JobStore, book: UsageBook) -> None:
    await succeeded(store, 1, 500_000, charged=400_000, when=NOW - 30 * DAY)
    await succeeded(store, 2, 500_000, charged=300_000, when=NOW - 2 * DAY)
    await put(store, 3, 100_000, State.FAILED, when=NOW)
    await put(store, 4, 200_000, when=NOW, principal="ann")
    usage = await book.month("2026-10")
    assert usage.total == 400_000
    used = [(budget.limit.name, budget.used, budget.limit.cap) for budget in usage.budgets]
    assert used == [
        ("daily budget", 200_000, 1_000_000),
        ("monthly budget", 500_000, 10_000_000),
        ("monthly budget of local", 300_000, 4_000_000),
    ]


@with_budgets
async def test_one_principal_sees_the_common_budgets_and_the_own_ones(store: JobStore, book: UsageBook) -> None:
    await put(store, 1, 200_000, principal="ann")
    await put(store, 2, 30_000, principal="bob")
    anns, bobs = await book.since("today", "ann"), await book.since("today", "bob")
    common = [("daily budget", 230_000), ("monthly budget", 230_000)]
    used = [[(budget.limit.name, budget.used) for budget in usage.budgets] for usage in (anns, bobs)]
    assert used == [[*common, ("daily budget of ann", 200_000)], common]
    assert (anns.total, bobs.total) == (200_000, 30_000)


async def test_without_budgets_there_are_none(book: UsageBook) -> None:
    assert (await book.since("today")).budgets == ()


def test_the_moments_of_these_tests_are_what_they_say() -> None:
    assert datetime.fromtimestamp(NOW / 1000, UTC).strftime("%A") == "Friday"
    assert datetime.fromtimestamp(at("2026-11-30T16:00+00:00") / 1000, ZoneInfo("Asia/Tokyo")).month == 12
