"""What was spent is told from the ledger alone: spans, sums, shares, credits, budgets."""

from decimal import Decimal
from typing import Any

import pytest

from darkroom.app import App
from darkroom.domain.job import Job, LedgerKind, State
from darkroom.errors import InvalidRequest
from darkroom.services.usage import DIMENSIONS, Usage, UsageBook, month_of, parse_since
from darkroom.settings import PrincipalSettings
from factories import NOW, FakeClock, job_id, make_effective, make_job, make_ledger_row

DAY = 86_400_000
BERLIN = "Europe/Berlin"
YESTERDAY = NOW - DAY


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("today", NOW),
        ("Day", NOW),
        ("yesterday", YESTERDAY),
        ("this month", NOW),
        ("week", NOW - 3 * DAY),
        ("7d", NOW - 7 * DAY + 3_600_000),
        ("24 hours", YESTERDAY + 3_600_000),
        ("2 weeks", NOW - 14 * DAY + 3_600_000),
        ("2025-12", NOW - 31 * DAY),
        ("2025-12-31", YESTERDAY),
        ("2025-12-31t12:00:00+00:00", YESTERDAY + DAY // 2),
    ],
)
def test_a_moment_is_named_in_many_ways(text: str, since: int) -> None:
    assert parse_since(text, NOW + 3_600_000, "UTC") == since, "2026-01-01 was a Thursday"


def test_days_begin_where_the_settings_say() -> None:
    assert parse_since("today", NOW, BERLIN) == NOW - 3_600_000
    assert parse_since("2025-12-31", NOW, BERLIN) == YESTERDAY - 3_600_000


@pytest.mark.parametrize("text", ["sometime", "2999-01-01", "2026-13", "", "-1d"])
def test_what_is_no_moment_that_was_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"is no moment|is still to come") as caught:
        parse_since(text, NOW, "UTC")
    assert caught.value.field == "since"


def test_a_month_ends_where_the_next_begins() -> None:
    assert month_of("2025-12", NOW, "UTC") == (NOW - 31 * DAY, NOW)
    assert month_of("2026-01", NOW, "UTC") == (NOW, NOW + 31 * DAY)
    for text, why in (
        ("2026-02", "still to come"),
        ("2025-13", "no month"),
        ("0000-01", "no month"),
        ("x", "no month"),
    ):
        with pytest.raises(InvalidRequest, match=why):
            month_of(text, NOW, "UTC")


def spent(number: int, state: State, rows: dict[LedgerKind, int], **fields: Any) -> tuple[Job, list[Any]]:
    """Return a job with one submission in a state, and its ledger."""
    job = make_job(id=job_id(number), **{"state": state, "estimate": 40_000, "plan": "brand", **fields})
    at = fields.get("created_at", NOW)
    return job, [make_ledger_row(job_id=job.id, kind=kind, micro_usd=amount, at=at) for kind, amount in rows.items()]


RESERVED, SETTLED, RELEASED, ADJUSTED = LedgerKind


async def filled(app: App) -> None:
    """Store one job of every sort."""
    dear = {RESERVED: 9_000_000, SETTLED: 9_000_000}
    three = make_effective(n=3)
    jobs = [
        spent(1, State.SUCCEEDED, {RESERVED: 60_000, SETTLED: 40_000}, labels=("fox", "red")),
        spent(2, State.SUCCEEDED, {RESERVED: 60_000, SETTLED: 50_000, ADJUSTED: 30_000}, plan="starter"),
        spent(3, State.FAILED, {RESERVED: 60_000, RELEASED: 60_000}, labels=("fox",)),
        spent(4, State.RUNNING, {RESERVED: 60_000}, model="acme-clip"),
        spent(5, State.CANCELLED, {RESERVED: 60_000, RELEASED: 60_000}, plan="gone"),
        spent(6, State.SUCCEEDED, {RESERVED: 0, SETTLED: 0}, estimate=None, principal="ann"),
        spent(7, State.SUCCEEDED, dear, created_at=YESTERDAY, effective=three),
    ]
    for job, ledger in jobs:
        await app.store.add(job, ledger, again=True)


async def today(app: App, **settings: Any) -> Usage:
    book = UsageBook(app.store, app.settings.model_copy(update=settings), lambda: app.plans, app.clock)
    return await book.since("today", settings.pop("whose", None))


@pytest.mark.anyio
async def test_sums_tell_spent_reserved_and_uncertain_money_apart(app: App) -> None:
    await filled(app)
    found = await today(app)
    assert (found.total, found.open, found.uncertain) == (130_000, 60_000, 0)
    assert (found.estimated, found.actual, found.unpriced) == (80_000, 70_000, 0), "its provider said that it is free"
    assert found.success_rate == 0.75, "three of four; cancelled ones do not count"
    assert found.credits == 4 + 3, "each in its own plan, and nothing for what is only reserved"
    assert (await app.usage.since(None)).total == found.total


@pytest.mark.anyio
async def test_shares_are_told_by_everything_that_matters(app: App) -> None:
    await filled(app)
    book = app.usage
    found = await book.between(YESTERDAY, NOW + 1)
    by = {name: [(share.name, share.micro_usd, share.submissions) for share in found.by(name)] for name in DIMENSIONS}
    assert by["day"] == [("2025-12-31", 9_000_000, 1), ("2026-01-01", 130_000, 6)]
    assert by["label"] == [("(none)", 9_090_000, 5), ("fox", 40_000, 2), ("red", 40_000, 1)]
    assert by["plan"] == [("brand", 9_100_000, 5), ("starter", 30_000, 1), ("gone", 0, 1)]
    assert by["model"][0][0].endswith("/" + make_job().submissions[0].model)
    assert {name for name, _, _ in by["principal"]} == {"local", "ann"}
    assert by["kind"] == [("image", 9_130_000, 7)]
    assert found.credits == 810 + 7, "three outputs at 270 each"


@pytest.mark.anyio
async def test_one_principals_spending_is_its_own(app: App) -> None:
    await filled(app)
    assert len((await app.usage.since("today", "ann")).spent) == 1
    assert (await app.usage.since("today", "bob")).success_rate is None


@pytest.mark.anyio
async def test_a_month_holds_its_days_alone(app: App) -> None:
    await filled(app)
    assert (await app.usage.month("2025-12")).total == 9_000_000
    assert (await app.usage.month("2026-01")).total == 130_000


@pytest.mark.anyio
async def test_uncertain_money_is_named(app: App) -> None:
    job, _ = spent(1, State.FAILED, {})
    rows = [
        make_ledger_row(job_id=job.id, kind=RESERVED),
        make_ledger_row(job_id=job.id, kind=SETTLED, certain=False),
    ]
    await app.store.add(job, rows)
    assert (await today(app)).uncertain == 40_000


@pytest.mark.anyio
async def test_budgets_tell_how_far_they_are_used(app: App, clock: FakeClock) -> None:
    await filled(app)
    own = PrincipalSettings(monthly_budget=Decimal(5))
    settings = app.settings.model_copy(update={"monthly_budget": Decimal(20), "principals": {"ann": own}})
    book = UsageBook(app.store, settings, lambda: app.plans, clock)
    everyone = await book.since("today")
    assert [(budget.limit.name, budget.used) for budget in everyone.budgets] == [("monthly budget", 130_000)]
    anns = await book.since("today", "ann")
    assert [(budget.limit.name, budget.used) for budget in anns.budgets] == [
        ("monthly budget", 130_000),
        ("monthly budget of ann", 0),
    ]
