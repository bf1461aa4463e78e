"""What `store/base.py` promises of money: limits, what was spent, later words on a bill."""

from typing import Any

import anyio
import pytest

from darkroom.domain.job import ACTIVE, LedgerKind, State
from darkroom.domain.kinds import Kind
from darkroom.domain.money import FREE, MicroUsd
from darkroom.errors import BudgetExceeded
from darkroom.store.base import JobStore, Spent
from factories import (
    JOB_ID,
    NOW,
    job_id,
    make_effective,
    make_job,
    make_ledger_row,
)
from helpers_money import DAY, EVER, end, make_limit, put, refused, row_of, the_only
from helpers_store import WAYS, claim, get, walk

pytestmark = pytest.mark.anyio


# Limits


async def test_what_reaches_a_limit_is_stored_and_what_passes_it_is_not(store: JobStore) -> None:
    limit = make_limit(100_000)
    await put(store, 1, 60_000, limits=[limit])
    await put(store, 2, 40_000, limits=[limit])
    assert await refused(store, 3, 1, limit)
    assert sorted(row.micro_usd for row in await store.spent(*EVER)) == [40_000, 60_000]


@pytest.mark.parametrize(("amount", "fits"), [(99_999, True), (100_000, True), (100_001, False)])
async def test_a_first_job_is_held_to_the_limit_too(store: JobStore, amount: int, fits: bool) -> None:
    if fits:
        await put(store, 1, amount, limits=[make_limit(100_000)])
        assert (await the_only(store)).micro_usd == amount
    else:
        await refused(store, 1, amount, make_limit(100_000))


async def test_all_that_a_job_reserves_counts_together(store: JobStore) -> None:
    job = make_job(parts=[{}, {}])
    rows = [make_ledger_row(micro_usd=60_000), make_ledger_row(submission=1, micro_usd=60_000)]
    with pytest.raises(BudgetExceeded, match=r"^This may cost \$0\.12;"):
        await store.add(job, rows, limits=[make_limit(119_999)])
    assert await store.get(JOB_ID) is None
    assert (await store.add(job, rows, limits=[make_limit(120_000)])).created


async def test_only_what_is_reserved_counts_of_the_rows_of_a_new_job(store: JobStore) -> None:
    rows = [make_ledger_row(micro_usd=60_000), make_ledger_row(kind=LedgerKind.SETTLED, micro_usd=50_000)]
    assert (await store.add(make_job(), rows, limits=[make_limit(60_000)])).created


async def test_what_costs_nothing_passes_a_limit_that_is_used_up(store: JobStore) -> None:
    await put(store, 1, 200_000)
    assert await refused(store, 2, 1, make_limit(100_000))
    await put(store, 3, 0, limits=[make_limit(100_000), make_limit(0)])
    assert await store.get(job_id(3)) is not None
    assert (await store.add(make_job(id=job_id(4), request_hash="4"), limits=[make_limit(0)])).created


async def test_a_limit_of_nothing_lets_nothing_pass(store: JobStore) -> None:
    assert await refused(store, 1, 1, make_limit(0))


async def test_a_limit_counts_the_spending_of_everybody(store: JobStore) -> None:
    await put(store, 1, 60_000, principal="other")
    assert await refused(store, 2, 50_000, make_limit(100_000))
    await put(store, 3, 40_000, limits=[make_limit(100_000)])


async def test_a_limit_of_one_principal_counts_that_one_alone(store: JobStore) -> None:
    mine = make_limit(100_000, principal="local")
    await put(store, 1, 90_000, principal="other")
    await put(store, 2, 70_000, limits=[mine])
    assert await refused(store, 3, 40_000, mine)
    await put(store, 4, 30_000, limits=[mine])


async def test_every_limit_holds_whatever_the_order(store: JobStore) -> None:
    wide, narrow = make_limit(500_000, name="monthly budget"), make_limit(50_000)
    await put(store, 1, 40_000, limits=[wide, narrow])
    for limits in ([wide, narrow], [narrow, wide]):
        assert "daily budget" in (await refused(store, 2, 20_000, *limits)).message


async def test_only_what_was_reserved_since_the_moment_counts(store: JobStore) -> None:
    limit = make_limit(100_000, since=NOW + DAY)
    await put(store, 1, 90_000, at=NOW + DAY - 1)
    await put(store, 2, 60_000, at=NOW + DAY, limits=[limit])
    assert await refused(store, 3, 50_000, limit, at=NOW + DAY + 1)
    await put(store, 4, 40_000, at=NOW + DAY + 1, limits=[limit])


async def test_what_is_settled_later_counts_in_the_time_of_its_reservation(store: JobStore) -> None:
    await put(store, 1, 90_000, at=NOW)
    await end(store, 1, State.SUCCEEDED, row_of(1, LedgerKind.SETTLED, 90_000, at=NOW + 2 * DAY))
    assert (await the_only(store)).at == NOW
    await put(store, 2, 100_000, at=NOW + DAY, limits=[make_limit(100_000, since=NOW + DAY)])
    assert await refused(store, 3, 10_001, make_limit(200_000, since=NOW))


async def test_what_is_released_gives_room_back(store: JobStore) -> None:
    limit = make_limit(100_000)
    await put(store, 1, 80_000, limits=[limit])
    assert await refused(store, 2, 80_000, limit)
    await end(store, 1, State.FAILED, row_of(1, LedgerKind.RELEASED, 80_000))
    await put(store, 2, 80_000, limits=[limit])


async def test_what_is_cancelled_while_it_waits_gives_room_back(store: JobStore) -> None:
    limit = make_limit(100_000)
    await put(store, 1, 100_000, limits=[limit])
    await store.request_cancel(job_id(1), "local", NOW + 1)
    assert (await put(store, 2, 100_000, limits=[limit])).id == job_id(2)


async def test_what_is_given_up_keeps_its_place(store: JobStore) -> None:
    await put(store, 1, 100_000)
    [claimed] = await claim(store)
    await walk(store, claimed.submission, [State.SUBMITTING, State.SUBMIT_UNKNOWN], release=True)
    assert await refused(store, 2, 1, make_limit(100_000))
    await store.request_cancel(job_id(1), "local", NOW + 1)
    assert await refused(store, 3, 1, make_limit(100_000))
    row = await the_only(store)
    assert (row.state, row.open, row.certain) == (State.CANCELLED, False, False)


@pytest.mark.parametrize(("settled", "room"), [(30_000, 70_000), (0, 100_000), (95_000, 5_000), (80_000, 20_000)])
async def test_what_was_settled_counts_in_place_of_what_was_reserved(store: JobStore, settled: int, room: int) -> None:
    limit = make_limit(100_000)
    await put(store, 1, 80_000, limits=[limit])
    await end(store, 1, State.SUCCEEDED, row_of(1, LedgerKind.SETTLED, settled))
    assert await refused(store, 2, room + 1, limit)
    await put(store, 2, room, limits=[limit])


async def test_nothing_more_fits_where_more_was_settled_than_the_limit(store: JobStore) -> None:
    await put(store, 1, 80_000, limits=[make_limit(100_000)])
    await end(store, 1, State.SUCCEEDED, row_of(1, LedgerKind.SETTLED, 130_000))
    error = await refused(store, 2, 10_000, make_limit(100_000))
    assert "only $0.00 is left ($0.13 used)" in error.message


@pytest.mark.parametrize(("adjusted", "room"), [(10_000, 90_000), (0, 100_000), (99_999, 1)])
async def test_what_was_adjusted_counts_in_place_of_what_was_settled(store: JobStore, adjusted: int, room: int) -> None:
    limit = make_limit(100_000)
    await put(store, 1, 80_000, limits=[limit])
    await end(store, 1, State.SUCCEEDED, row_of(1, LedgerKind.SETTLED, 50_000))
    assert await store.adjust(job_id(1), 0, MicroUsd(adjusted), NOW + 10)
    assert await refused(store, 2, room + 1, limit)
    await put(store, 2, room, limits=[limit])


async def test_a_repetition_is_returned_even_where_the_limit_is_used_up(store: JobStore) -> None:
    row = make_ledger_row(micro_usd=100_000)
    first = (await store.add(make_job(idempotency_key="key"), [row], limits=[make_limit(100_000)])).job
    later = make_ledger_row(job_id=job_id(2), micro_usd=100_000)
    for key in ("key", None):
        again = await store.add(make_job(id=job_id(2), idempotency_key=key), [later], limits=[make_limit(100_000)])
        assert (again.created, again.job) == (False, first)
    with pytest.raises(BudgetExceeded):
        await store.add(make_job(id=job_id(2)), [later], again=True, limits=[make_limit(100_000)])


async def test_the_refusal_says_what_it_costs_what_is_left_and_where_to_raise_it(store: JobStore) -> None:
    await put(store, 1, 50_000)
    await end(store, 1, State.SUCCEEDED, row_of(1, LedgerKind.SETTLED, 30_000))
    await put(store, 2, 45_000)
    error = await refused(
        store,
        3,
        40_000,
        make_limit(name="monthly budget of ann", setting="principals.ann.monthly_budget", period="month"),
    )
    assert error.message == (
        "This may cost $0.04; of the monthly budget of ann of $0.10 only $0.025 is left "
        "($0.075 used, $0.045 of it by work that is not done)."
    )
    assert error.field == "max_cost"
    assert error.hint == (
        "Nothing was stored or sent. Wait for the next month, make it cheaper, or raise principals.ann.monthly_budget."
    )


async def test_a_limit_holds_for_all_processes_at_once(store: JobStore, open_another: Any) -> None:
    other: JobStore = await open_another()
    through: list[int] = []

    async def call(number: int) -> None:
        try:
            await put((store, other)[number % 2], number, 10_000, limits=[make_limit(70_000)])
        except BudgetExceeded:
            return
        through.append(number)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for number in range(1, 41):
                tasks.start_soon(call, number)
    assert len(through) == 7
    assert sorted(row.job_id for row in await other.spent(*EVER)) == sorted(map(job_id, through))


# What was spent


async def test_what_is_spent_says_everything_about_a_submission(store: JobStore) -> None:
    effective = make_effective(n=3)
    await put(store, 1, 90_000, kind=Kind.VIDEO, labels=("zoo", "fox"), plan="agency", effective=effective)
    assert await the_only(store) == Spent(
        job_id=job_id(1),
        submission=0,
        principal="local",
        kind="video",
        provider="acme",
        model="acme-image-1",
        plan="agency",
        labels=("zoo", "fox"),
        state=State.QUEUED,
        at=NOW,
        outputs=3,
        estimate=MicroUsd(90_000),
        micro_usd=MicroUsd(90_000),
        certain=False,
        open=True,
    )


async def test_what_had_no_price_no_plan_and_no_label_says_so(store: JobStore) -> None:
    await store.add(make_job(estimate=None), [make_ledger_row(micro_usd=FREE, certain=False)])
    row = await the_only(store)
    assert (row.estimate, row.micro_usd, row.plan, row.labels, row.outputs) == (None, 0, None, (), 1)


async def test_a_job_without_a_reservation_is_no_spending(store: JobStore) -> None:
    await store.add(make_job())
    assert await store.spent(*EVER) == []


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [(NOW, NOW + 2, [1, 2]), (NOW + 1, NOW + 2, [2]), (NOW, NOW + 1, [1]), (NOW + 2, NOW + 9, [3]), (NOW, NOW, [])],
)
async def test_what_is_spent_has_a_first_moment_and_an_end_that_is_left_out(
    store: JobStore, since: int, until: int, found: list[int]
) -> None:
    for number in (3, 1, 2):
        await put(store, number, 10, at=NOW + number - 1)
    assert [row.job_id for row in await store.spent(since, until)] == [job_id(number) for number in found]


async def test_what_is_spent_comes_in_the_order_of_time_then_job_then_submission(store: JobStore) -> None:
    await put(store, 3, 10, at=NOW)
    await put(store, 1, 10, at=NOW + 1)
    name = job_id(2)
    rows = [make_ledger_row(job_id=name, submission=idx, at=NOW) for idx in (1, 0)]
    await store.add(make_job(id=name, request_hash="2", parts=[{}, {}]), rows)
    assert [(row.job_id, row.submission) for row in await store.spent(*EVER)] == [
        (job_id(2), 0),
        (job_id(2), 1),
        (job_id(3), 0),
        (job_id(1), 0),
    ]


async def test_what_is_spent_may_be_asked_of_one_principal(store: JobStore) -> None:
    await put(store, 1, 10, principal="ann")
    await put(store, 2, 20, principal="bob")
    assert [row.principal for row in await store.spent(*EVER)] == ["ann", "bob"]
    assert [(row.principal, row.micro_usd) for row in await store.spent(*EVER, "bob")] == [("bob", 20)]
    assert await store.spent(*EVER, "nobody") == []


@pytest.mark.parametrize("certain", [True, False])
@pytest.mark.parametrize(
    ("state", "kind", "amount", "cost"),
    [
        (State.SUCCEEDED, LedgerKind.SETTLED, 30_000, 30_000),
        (State.FAILED, LedgerKind.SETTLED, 120_000, 120_000),
        (State.FAILED, LedgerKind.RELEASED, 80_000, 0),
        (State.CANCELLED, LedgerKind.RELEASED, 80_000, 0),
    ],
)
async def test_an_ended_submission_costs_what_was_settled_and_nothing_where_it_was_released(
    store: JobStore, state: State, kind: LedgerKind, amount: int, cost: int, certain: bool
) -> None:
    await put(store, 1, 80_000)
    await end(store, 1, state, row_of(1, kind, amount, certain=certain))
    row = await the_only(store)
    assert (row.state, row.micro_usd, row.open, row.certain) == (state, cost, False, certain)


@pytest.mark.parametrize("state", sorted(ACTIVE))
async def test_what_has_not_ended_is_open_and_uncertain_at_what_it_reserved(store: JobStore, state: State) -> None:
    await put(store, 1, 80_000)
    [claimed] = await claim(store)
    await walk(store, claimed.submission, WAYS[state])
    row = await the_only(store)
    assert (row.state, row.micro_usd, row.open, row.certain) == (state, 80_000, True, False)


# Released rows


@pytest.mark.parametrize("said", [0, 5, 80_000, 10**9])
async def test_a_released_row_carries_what_was_reserved_whatever_the_move_says(store: JobStore, said: int) -> None:
    await put(store, 1, 80_000)
    await end(store, 1, State.FAILED, row_of(1, LedgerKind.RELEASED, said, at=NOW + 7, certain=False))
    reserved, released = await store.ledger(job_id(1))
    assert reserved.micro_usd == 80_000
    assert released == row_of(1, LedgerKind.RELEASED, 80_000, at=NOW + 7, certain=False)


async def test_a_released_row_where_nothing_was_reserved_is_kept_as_it_is(store: JobStore) -> None:
    await store.add(make_job(id=job_id(1)))
    row = row_of(1, LedgerKind.RELEASED, 5)
    await end(store, 1, State.FAILED, row)
    assert await store.ledger(job_id(1)) == [row]
    assert await store.spent(*EVER) == []


async def test_a_cancelled_job_releases_what_each_of_its_submissions_reserved(store: JobStore) -> None:
    rows = [make_ledger_row(micro_usd=7), make_ledger_row(submission=1, micro_usd=9)]
    await store.add(make_job(parts=[{}, {}]), rows)
    await store.request_cancel(JOB_ID, "local", NOW + 1)
    released = [
        (row.submission, row.micro_usd) for row in await store.ledger(JOB_ID) if row.kind is LedgerKind.RELEASED
    ]
    assert released == [(0, 7), (1, 9)]


# A later word on the bill


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (State.SUCCEEDED, LedgerKind.SETTLED),
        (State.FAILED, LedgerKind.SETTLED),
        (State.FAILED, LedgerKind.RELEASED),
        (State.CANCELLED, LedgerKind.RELEASED),
    ],
)
async def test_an_ended_submission_is_adjusted_once(store: JobStore, state: State, kind: LedgerKind) -> None:
    await put(store, 1, 80_000)
    await end(store, 1, state, row_of(1, kind, 80_000, certain=False))
    assert await store.adjust(job_id(1), 0, MicroUsd(64_000), NOW + DAY)
    assert not await store.adjust(job_id(1), 0, MicroUsd(1), NOW + 2 * DAY)
    assert (await store.ledger(job_id(1)))[-1] == row_of(1, LedgerKind.ADJUSTED, 64_000, at=NOW + DAY)
    assert len(await store.ledger(job_id(1))) == 3
    row = await the_only(store)
    assert (row.micro_usd, row.certain, row.open, row.at) == (64_000, True, False, NOW)
    assert (await get(store, job_id(1))).submissions[0].actual == 64_000


@pytest.mark.parametrize("state", sorted(ACTIVE))
async def test_what_has_not_ended_is_not_adjusted(store: JobStore, state: State) -> None:
    await put(store, 1, 80_000)
    [claimed] = await claim(store)
    await walk(store, claimed.submission, WAYS[state])
    before = await get(store, job_id(1))
    assert not await store.adjust(job_id(1), 0, MicroUsd(5), NOW + 9)
    assert [row.kind for row in await store.ledger(job_id(1))] == [LedgerKind.RESERVED]
    assert await get(store, job_id(1)) == before


async def test_what_nobody_knows_is_not_adjusted(store: JobStore) -> None:
    await put(store, 1, 80_000)
    await end(store, 1, State.SUCCEEDED, row_of(1, LedgerKind.SETTLED, 80_000))
    assert not await store.adjust(job_id(2), 0, MicroUsd(5), NOW)
    assert not await store.adjust(job_id(1), 1, MicroUsd(5), NOW)
    assert (await the_only(store)).micro_usd == 80_000


async def test_one_of_several_submissions_is_adjusted_alone(store: JobStore) -> None:
    rows = [make_ledger_row(micro_usd=10), make_ledger_row(submission=1, micro_usd=20)]
    await store.add(make_job(parts=[{}, {}]), rows)
    for idx, claimed in enumerate(await claim(store)):
        settled = make_ledger_row(submission=idx, kind=LedgerKind.SETTLED, micro_usd=10 * idx + 10)
        last = {"ledger": [settled], "actual": MicroUsd(10 * idx + 10)}
        await walk(store, claimed.submission, WAYS[State.SUCCEEDED], **last)
    assert await store.adjust(JOB_ID, 1, MicroUsd(15), NOW + 9)
    assert [row.micro_usd for row in await store.spent(*EVER)] == [10, 15]
    assert [part.actual for part in (await get(store)).submissions] == [10, 15]


async def test_another_process_sees_what_was_adjusted(store: JobStore, open_another: Any) -> None:
    other: JobStore = await open_another()
    await put(store, 1, 80_000)
    await end(store, 1, State.SUCCEEDED, row_of(1, LedgerKind.SETTLED, 80_000))
    await other.data_version()
    assert (await get(other, job_id(1))).submissions[0].actual is None
    assert await store.adjust(job_id(1), 0, MicroUsd(70_000), NOW + 9)
    await other.data_version()
    assert (await get(other, job_id(1))).submissions[0].actual == 70_000
    assert (await the_only(other)).micro_usd == 70_000
