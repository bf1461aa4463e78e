"""States that follow from several submissions, and what a submission forgets and keeps on its way."""

import itertools
from typing import Any

import pytest

from darkroom.domain.job import State, derive
from darkroom.store.base import JobStore
from factories import JOB_ID, NOW, OWNER, job_id, make_acceptance, make_intent, make_job, make_ledger_row, make_move
from helpers_store import bring, claim, get, take

pytestmark = pytest.mark.anyio


async def test_jobs_of_two_parts_are_found_by_the_state_that_follows_from_both(store: JobStore) -> None:
    pairs = list(itertools.combinations_with_replacement(State, 2))
    for number, pair in enumerate(pairs):
        job = make_job(id=job_id(number), request_hash=f"{number}", parts=[{"state": state} for state in pair])
        await store.add(job)
    for state in State:
        expected = [job_id(number) for number, pair in enumerate(pairs) if derive(pair) is state]
        found = await store.find(states=[state], limit=100)
        assert [job.id for job in reversed(found)] == expected
        assert {job.state for job in found} == {state}
    assert await store.find(limit=0) == []


async def test_both_parts_of_a_job_are_claimed_as_they_are_afterwards(store: JobStore) -> None:
    await store.add(make_job(parts=[{"due_at": 9}, {"due_at": 3}, {"state": State.FAILED}]))
    claimed = await claim(store)
    assert [one.submission.idx for one in claimed] == [1, 0]
    assert [one.job for one in claimed] == [await get(store)] * 2
    assert [one.submission for one in claimed] == [claimed[0].job.submissions[idx] for idx in (1, 0)]


async def test_the_last_change_of_any_part_is_the_job_s(store: JobStore) -> None:
    await store.add(make_job(parts=[{}, {}]))
    first, second = [one.submission for one in await claim(store)]
    await store.move(first.ref, OWNER, make_move(State.FAILED, at=NOW + 7))
    assert (await get(store)).updated_at == NOW + 7
    await store.intend(second.ref, OWNER, make_intent(at=NOW + 9))
    job = await get(store)
    assert (job.updated_at, job.finished_at) == (NOW + 9, None)


async def test_a_new_attempt_forgets_what_the_last_one_was_given(store: JobStore) -> None:
    part = await bring(store, State.SUBMITTING, make_job(replayable=True))
    accepted = await store.accept(make_acceptance())
    assert accepted is not None
    queued = await store.move(accepted.ref, OWNER, make_move(State.QUEUED))
    assert queued is not None
    again = await store.intend(queued.ref, OWNER, make_intent(submit_key="key-2"))
    assert again is not None
    assert (again.attempt, again.operation, again.provider_job_id, again.accepted_at) == (2, None, None, None)
    assert part.attempt == 1


@pytest.mark.parametrize("target", [State.RUNNING, State.DOWNLOADING])
async def test_the_error_of_an_unknown_fate_goes_when_the_fate_is_known(store: JobStore, target: State) -> None:
    part = await bring(store, State.SUBMIT_UNKNOWN, error={"code": "submit_unknown", "message": "?"})
    assert (await get(store)).error is not None
    moved = await store.move(part.ref, OWNER, make_move(target))
    assert moved is not None
    assert moved.error is None


async def test_only_what_is_reserved_is_released_by_a_cancel(store: JobStore) -> None:
    await store.add(make_job(parts=[{}, {}]), [make_ledger_row(submission=1, certain=False)])
    await store.request_cancel(JOB_ID, "local", NOW + 50)
    rows = await store.ledger(JOB_ID)
    assert [(row.submission, row.kind, row.micro_usd, row.at, row.certain) for row in rows] == [
        (1, "reserved", 40_000, NOW, False),
        (1, "released", 40_000, NOW + 50, True),
    ]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
async def test_an_answer_that_json_cannot_hold_is_stored_all_the_same(store: JobStore, number: float) -> None:
    await bring(store, State.SUBMITTING)
    operation: dict[str, Any] = {"id": "remote-1", "score": number, "text": "\ud800"}
    accepted = await store.accept(make_acceptance(operation=operation))
    assert accepted is not None
    assert accepted.operation == {"id": "remote-1", "score": None, "text": "\ud800"}


async def test_what_is_given_back_is_offered_to_all_and_what_has_ended_is_not(store: JobStore, bus: Any) -> None:
    await store.add(make_job())
    part = await take(store)
    await bus.next_work(0)
    released = await store.move(part.ref, OWNER, make_move(State.QUEUED, release=True))
    assert released is not None
    assert (await bus.next_work(0)).work
    again = await take(store)
    assert await store.move(again.ref, OWNER, make_move(State.FAILED)) is not None
    assert not (await bus.next_work(0)).work
