"""What `store/base.py` promises of another submission in the place of a refused one."""

from typing import Any

import anyio
import pytest

from darkroom.domain.job import ENDED, LedgerKind, LedgerRow, State, Submission
from darkroom.domain.money import MicroUsd
from darkroom.errors import BudgetExceeded
from darkroom.store.base import JobStore, Move
from factories import (
    JOB_ID,
    NOW,
    OWNER,
    job_id,
    make_job,
    make_ledger_row,
    make_move,
    make_submission,
)
from helpers_money import EVER, make_limit, put, refused
from helpers_store import WAYS, claim, get, take, walk

pytestmark = pytest.mark.anyio


def refusal(amount: int = 0, **fields: Any) -> Move:
    """Return how a refused submission ends: failed, and what it reserved given back."""
    released = make_ledger_row(kind=LedgerKind.RELEASED, micro_usd=MicroUsd(amount), at=NOW + 9)
    values: dict[str, Any] = {"at": NOW + 9, "detail": "refused", "ledger": (released,), "error": {"code": "x"}}
    return make_move(State.FAILED, **(values | fields))


def other_offer(**fields: Any) -> Submission:
    return make_submission(job_id="", idx=0, provider="other", model="other-1", account="other/main", **fields)


def next_row(amount: int, at: int = NOW + 9) -> LedgerRow:
    return make_ledger_row(job_id="", submission=0, micro_usd=MicroUsd(amount), at=at)


async def sending(store: JobStore, amount: int = 80_000, at: int = NOW) -> Submission:
    """Have one job, whose submission is being sent."""
    await store.add(make_job(), [make_ledger_row(micro_usd=MicroUsd(amount), at=at)])
    return await walk(store, await take(store), [State.SUBMITTING])


async def everything(store: JobStore) -> tuple[Any, ...]:
    return await get(store), await store.ledger(JOB_ID), await store.events(JOB_ID), await store.spent(*EVER)


async def test_another_submission_takes_the_place_of_a_refused_one(store: JobStore) -> None:
    part = await sending(store)
    placed = await store.reroute(part.ref, OWNER, refusal(), other_offer(), next_row(50_000))
    assert placed == other_offer().model_copy(update={"job_id": JOB_ID, "idx": 1})
    job = await get(store)
    old, new = job.submissions
    assert new == placed
    assert (old.state, old.owner, old.error, old.version) == (State.FAILED, None, {"code": "x"}, part.version + 1)
    assert (job.state, job.finished_at, job.updated_at) == (State.QUEUED, None, NOW + 9)
    assert await store.ledger(JOB_ID) == [
        make_ledger_row(micro_usd=80_000),
        make_ledger_row(kind=LedgerKind.RELEASED, micro_usd=80_000, at=NOW + 9),
        make_ledger_row(submission=1, micro_usd=50_000, at=NOW + 9),
    ]
    events = [(event.seq, event.submission, event.origin, event.target) for event in await store.events(JOB_ID)]
    assert events[2:] == [(3, 0, State.SUBMITTING, State.FAILED), (4, 1, None, State.QUEUED)]
    assert [event.detail for event in await store.events(JOB_ID)][2:] == ["refused", "refused"]


async def test_a_rerouted_job_costs_what_its_new_submission_does(store: JobStore) -> None:
    part = await sending(store)
    await store.reroute(part.ref, OWNER, refusal(), other_offer(estimate=MicroUsd(45_000)), next_row(50_000))
    first, second = await store.spent(*EVER)
    assert (first.provider, first.state, first.micro_usd, first.open) == ("acme", State.FAILED, 0, False)
    assert (second.provider, second.model, second.submission) == ("other", "other-1", 1)
    assert (second.state, second.micro_usd, second.estimate, second.open) == (State.QUEUED, 50_000, 45_000, True)
    assert second.at == NOW + 9


async def test_the_new_submission_may_be_claimed_and_refused_in_turn(store: JobStore) -> None:
    part = await sending(store)
    for idx in (1, 2):
        assert await store.reroute(part.ref, OWNER, refusal(), other_offer(), next_row(50_000)) is not None
        [claimed] = await claim(store, accounts=["other/main"])
        assert claimed.submission.idx == idx
        sent = await walk(store, claimed.submission, [State.SUBMITTING])
        part = sent
    assert [item.state for item in (await get(store)).submissions] == [State.FAILED, State.FAILED, State.SUBMITTING]


async def test_the_number_of_the_new_one_follows_the_highest_of_its_job(store: JobStore) -> None:
    await store.add(make_job(parts=[{}, {}, {}]), [make_ledger_row(submission=idx) for idx in range(3)])
    second = (await claim(store))[1].submission
    release = make_ledger_row(submission=1, kind=LedgerKind.RELEASED)
    placed = await store.reroute(second.ref, OWNER, refusal(ledger=(release,)), other_offer(), next_row(1))
    assert placed is not None
    assert placed.idx == 3
    states = [part.state for part in (await get(store)).submissions]
    assert states == [State.QUEUED, State.FAILED, State.QUEUED, State.QUEUED]


async def test_what_the_first_had_reserved_is_free_for_the_second(store: JobStore) -> None:
    part = await sending(store, 80_000)
    limits = [make_limit(100_000), make_limit(100_000, principal="local")]
    assert await store.reroute(part.ref, OWNER, refusal(), other_offer(), next_row(100_000), limits) is not None
    assert await refused(store, 2, 1, make_limit(100_000))


async def test_a_second_one_that_passes_a_limit_changes_nothing(store: JobStore) -> None:
    await put(store, 2, 30_000, account="nobody/else")
    part = await sending(store, 60_000)
    before = await everything(store)
    with pytest.raises(BudgetExceeded) as caught:
        await store.reroute(part.ref, OWNER, refusal(), other_offer(), next_row(70_001), [make_limit(100_000)])
    assert caught.value.message == (
        "This may cost $0.070001; of the daily budget of $0.10 only $0.07 is left "
        "($0.03 used, $0.03 of it by work that is not done)."
    )
    assert await everything(store) == before
    assert await store.reroute(part.ref, OWNER, refusal(), other_offer(), next_row(70_000), [make_limit(100_000)])


async def test_what_was_reserved_before_the_moment_makes_no_room_in_a_limit(store: JobStore) -> None:
    """The first one counts in the day before, so that its money cannot be spent today."""
    part = await sending(store, 80_000, at=NOW - 1)
    before = await everything(store)
    with pytest.raises(BudgetExceeded):
        await store.reroute(part.ref, OWNER, refusal(), other_offer(), next_row(100_001), [make_limit(100_000)])
    assert await everything(store) == before
    assert await store.reroute(part.ref, OWNER, refusal(), other_offer(), next_row(100_000), [make_limit(100_000)])


async def test_what_may_have_been_charged_makes_no_room_in_a_limit(store: JobStore) -> None:
    part = await sending(store, 80_000)
    charged = refusal(ledger=(make_ledger_row(kind=LedgerKind.SETTLED, micro_usd=80_000),))
    with pytest.raises(BudgetExceeded, match=r"only \$0\.02 is left"):
        await store.reroute(part.ref, OWNER, charged, other_offer(), next_row(20_001), [make_limit(100_000)])
    assert await store.reroute(part.ref, OWNER, charged, other_offer(), next_row(20_000), [make_limit(100_000)])
    assert [row.micro_usd for row in await store.spent(*EVER)] == [80_000, 20_000]


async def test_a_second_one_of_another_version_or_owner_changes_nothing(store: JobStore) -> None:
    part = await sending(store)
    before = await everything(store)
    stale = part.ref.model_copy(update={"version": part.version - 1})
    unknown = part.ref.model_copy(update={"idx": 7})
    nobody = part.ref.model_copy(update={"job_id": job_id(9)})
    for ref, owner in ((stale, OWNER), (part.ref, "worker-2"), (unknown, OWNER), (nobody, OWNER)):
        assert await store.reroute(ref, owner, refusal(), other_offer(), next_row(1)) is None
    assert await everything(store) == before


async def test_a_job_that_is_to_be_cancelled_gets_no_second_submission(store: JobStore) -> None:
    part = await sending(store)
    await store.request_cancel(JOB_ID, "local", NOW + 5)
    before = await everything(store)
    assert await store.reroute(part.ref, OWNER, refusal(), other_offer(), next_row(1)) is None
    assert await everything(store) == before
    assert await store.move(part.ref, OWNER, refusal()) is not None, "the refusal itself can still be stored"


@pytest.mark.parametrize("state", sorted(ENDED))
async def test_an_ended_submission_is_not_replaced(store: JobStore, state: State) -> None:
    await store.add(make_job(), [make_ledger_row()])
    part = await walk(store, await take(store), WAYS[state])
    before = await everything(store)
    assert await store.reroute(part.ref, OWNER, refusal(), other_offer(), next_row(1)) is None
    assert await everything(store) == before


async def test_a_second_one_after_a_move_that_cannot_be_changes_nothing(store: JobStore) -> None:
    part = await sending(store)
    before = await everything(store)
    with pytest.raises(ValueError, match="no move from submitting to parked"):
        await store.reroute(part.ref, OWNER, make_move(State.PARKED), other_offer(), next_row(1))
    assert await everything(store) == before


async def test_a_replacement_of_the_same_refusal_happens_once(store: JobStore, open_another: Any) -> None:
    other: JobStore = await open_another()
    part = await sending(store)
    placed: list[Submission | None] = []

    async def call(where: JobStore) -> None:
        placed.append(await where.reroute(part.ref, OWNER, refusal(), other_offer(), next_row(1)))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(call, (store, other)[number % 2])
    assert sum(one is not None for one in placed) == 1
    assert len((await get(store)).submissions) == 2
