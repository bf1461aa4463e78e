"""What `store/base.py` promises of intents, acceptances and moves; nothing here knows which store it is."""

from typing import Any

import anyio
import pytest

from darkroom.domain.job import ACTIVE, ENDED, LedgerKind, State, may_move
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.store.base import JobStore
from factories import (
    JOB_ID,
    NOW,
    OWNER,
    job_id,
    make_acceptance,
    make_intent,
    make_job,
    make_ledger_row,
    make_move,
    make_output,
)
from helpers_store import bring, claim, get, take, walk

pytestmark = pytest.mark.anyio


# The intent


async def test_an_intent_is_stored_with_everything_the_paid_call_needs(store: JobStore) -> None:
    await store.add(make_job())
    part = await take(store)
    sent = await store.intend(part.ref, OWNER, make_intent())
    assert sent is not None
    assert sent == (await get(store)).submissions[0]
    expected = part.model_copy(
        update={
            "state": State.SUBMITTING,
            "attempt": 1,
            "submit_key": "key-1",
            "account": "acme/main",
            "sent_at": NOW + 1_000,
            "version": part.version + 1,
        }
    )
    assert sent == expected
    event = (await store.events(JOB_ID))[-1]
    assert (event.origin, event.target, event.owner, event.at) == (State.QUEUED, State.SUBMITTING, OWNER, NOW + 1_000)
    assert (await get(store)).updated_at == NOW + 1_000


async def test_every_intent_counts_one_attempt_more(store: JobStore) -> None:
    part = await bring(store, State.SUBMITTING)
    part = await walk(store, part, [State.QUEUED])
    sent = await store.intend(part.ref, OWNER, make_intent(submit_key="key-2"))
    assert sent is not None
    assert (sent.attempt, sent.submit_key) == (2, "key-2")


async def test_an_intent_of_another_version_or_owner_changes_nothing(store: JobStore) -> None:
    await store.add(make_job())
    part = await take(store)
    before = await get(store)
    stale = part.ref.model_copy(update={"version": part.version - 1})
    assert await store.intend(stale, OWNER, make_intent()) is None
    assert await store.intend(part.ref, "worker-2", make_intent()) is None
    assert await store.intend(part.ref.model_copy(update={"idx": 1}), OWNER, make_intent()) is None
    assert await store.intend(part.ref.model_copy(update={"job_id": job_id(9)}), OWNER, make_intent()) is None
    assert await get(store) == before
    assert len(await store.events(JOB_ID)) == 1


async def test_an_intent_after_a_cancel_is_refused(store: JobStore) -> None:
    part = await bring(store, State.SUBMITTING)
    await store.request_cancel(JOB_ID, "local", NOW)
    part = await walk(store, part, [State.QUEUED])
    before = await get(store)
    assert await store.intend(part.ref, OWNER, make_intent()) is None
    assert await get(store) == before


@pytest.mark.parametrize("state", sorted(set(State) - {State.QUEUED}))
async def test_an_intent_from_another_state_is_refused(store: JobStore, state: State) -> None:
    part = await bring(store, state)
    assert await store.intend(part.ref, OWNER, make_intent()) is None
    assert (await get(store)).submissions[0] == part


# The acceptance


async def test_an_acceptance_is_stored_with_all_that_it_says(store: JobStore) -> None:
    part = await bring(store, State.SUBMITTING)
    accepted = await store.accept(make_acceptance())
    assert accepted == (await get(store)).submissions[0]
    assert accepted == part.model_copy(
        update={
            "state": State.RUNNING,
            "operation": {"id": "remote-1"},
            "provider_job_id": "remote-1",
            "accepted_at": NOW + 2_000,
            "due_at": NOW + 4_000,
            "deadline_at": NOW + 900_000,
            "version": part.version + 1,
        }
    )
    event = (await store.events(JOB_ID))[-1]
    assert (event.origin, event.target, event.at) == (State.SUBMITTING, State.RUNNING, NOW + 2_000)


async def test_a_repeated_acceptance_changes_nothing(store: JobStore) -> None:
    await bring(store, State.SUBMITTING)
    accepted = await store.accept(make_acceptance())
    assert await store.accept(make_acceptance(operation={"id": "remote-2"}, at=NOW + 9_000)) == accepted
    assert (await get(store)).submissions[0] == accepted
    assert len(await store.events(JOB_ID)) == 3


async def test_an_acceptance_gets_in_after_a_cancel_and_after_another_owner_took_over(store: JobStore) -> None:
    part = await bring(store, State.SUBMITTING)
    await store.request_cancel(JOB_ID, "local", NOW)
    assert await store.move(part.ref, OWNER, make_move(State.SUBMITTING, release=True)) is not None
    accepted = await store.accept(make_acceptance())
    assert accepted is not None
    assert (accepted.state, accepted.owner) == (State.RUNNING, None)
    assert (await get(store)).cancel_requested_at == NOW


async def test_an_acceptance_leads_out_of_submit_unknown_and_clears_its_error(store: JobStore) -> None:
    await bring(store, State.SUBMITTING)
    assert await store.reap([OWNER], NOW + 1_500) == [JOB_ID]
    assert (await get(store)).error is not None
    accepted = await store.accept(make_acceptance())
    assert accepted is not None
    assert (accepted.state, accepted.error) == (State.RUNNING, None)
    event = (await store.events(JOB_ID))[-1]
    assert (event.origin, event.target) == (State.SUBMIT_UNKNOWN, State.RUNNING)


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
async def test_a_late_acceptance_leaves_its_operation_in_a_job_that_ended_and_moves_nothing(
    store: JobStore, state: State
) -> None:
    part = await bring(store, State.SUBMIT_UNKNOWN)
    await walk(store, part, [state])
    before = await get(store)
    late = await store.accept(make_acceptance())
    assert late is not None
    assert (late.state, late.operation, late.provider_job_id) == (state, {"id": "remote-1"}, "remote-1")
    assert late.accepted_at is None
    after = await get(store)
    assert (after.submissions, after.finished_at) == ((late,), before.finished_at)
    assert len(await store.events(JOB_ID)) == 4


@pytest.mark.parametrize(
    "wrong", [{"attempt": 2}, {"attempt": 0}, {"submit_key": "key-2"}, {"idx": 1}, {"job_id": job_id(9)}]
)
async def test_an_acceptance_of_another_attempt_matches_nothing(store: JobStore, wrong: dict[str, Any]) -> None:
    await bring(store, State.SUBMITTING)
    before = await get(store)
    assert await store.accept(make_acceptance(**wrong)) is None
    assert await get(store) == before


async def test_a_job_that_was_never_sent_accepts_nothing(store: JobStore) -> None:
    await store.add(make_job())
    assert await store.accept(make_acceptance(attempt=0)) is None


# Moves


@pytest.mark.parametrize("replayable", [False, True])
@pytest.mark.parametrize("origin", list(State))
async def test_the_transition_table_decides_every_move(store: JobStore, origin: State, replayable: bool) -> None:
    for number, target in enumerate(State, 1):
        name = job_id(number)
        part = await bring(store, origin, make_job(id=name, request_hash=target, replayable=replayable))
        before, events = await get(store, name), await store.events(name)
        same = origin is target and origin in ACTIVE
        if same or may_move(origin, target, replayable=replayable):
            moved = await store.move(part.ref, part.owner, make_move(target, at=NOW + 60_000))
            after = await get(store, name)
            assert moved is not None
            assert moved == after.submissions[0]
            assert (moved.state, moved.version, after.state) == (target, part.version + 1, target)
            assert after.updated_at == NOW + 60_000
            assert after.finished_at == (NOW + 60_000 if target in ENDED else None)
            assert len(await store.events(name)) == len(events) + (not same)
        else:
            move = make_move(target, outputs=(make_output(job_id=name),))
            with pytest.raises(ValueError, match=f"no move from {origin} to {target}"):
                await store.move(part.ref, part.owner, move)
            assert await get(store, name) == before
            assert await store.events(name) == events


async def test_a_move_stores_everything_it_brings(store: JobStore) -> None:
    part = await bring(store, State.RUNNING)
    changes: dict[str, Any] = {
        "due_at": 7,
        "deadline_at": 8,
        "operation": {"id": "remote-9"},
        "results": (RemoteOutput(url="https://cdn.example/1", variant="raw", expires_at=9),),
        "failed_outputs": (FailedOutput(index=2, code="content_blocked", message="no"),),
        "notes": {"seed": 42},
        "error": {"code": "timed_out", "message": "slow"},
        "actual": 39_000,
    }
    moved = await store.move(part.ref, OWNER, make_move(State.DOWNLOADING, detail="done", **changes))
    assert moved == part.model_copy(update={**changes, "state": State.DOWNLOADING, "version": part.version + 1})
    event = (await store.events(JOB_ID))[-1]
    assert (event.origin, event.target, event.owner, event.detail) == (
        State.RUNNING,
        State.DOWNLOADING,
        OWNER,
        "done",
    )
    kept = await store.move(
        part.ref.model_copy(update={"version": part.version + 1}), OWNER, make_move(State.SUCCEEDED)
    )
    assert kept is not None
    assert moved is not None
    assert kept == moved.model_copy(update={"state": State.SUCCEEDED, "version": part.version + 2, "owner": None})


@pytest.mark.parametrize("wrong", [{"version": 2}, {"idx": 1}, {"job_id": job_id(9)}])
@pytest.mark.parametrize("target", [State.DOWNLOADING, State.RUNNING])
async def test_a_move_of_another_version_changes_nothing(store: JobStore, wrong: dict[str, Any], target: State) -> None:
    part = await bring(store, State.RUNNING)
    before, events = await get(store), await store.events(JOB_ID)
    move = make_move(target, outputs=(make_output(),), ledger=(make_ledger_row(),), actual=1)
    assert await store.move(part.ref.model_copy(update=wrong), OWNER, move) is None
    assert await get(store) == before
    assert await store.events(JOB_ID) == events
    assert await store.ledger(JOB_ID) == []


@pytest.mark.parametrize("owner", ["worker-2", None, ""])
async def test_a_move_of_another_owner_changes_nothing(store: JobStore, owner: str | None) -> None:
    part = await bring(store, State.RUNNING)
    before = await get(store)
    assert await store.move(part.ref, owner, make_move(State.DOWNLOADING)) is None
    assert await get(store) == before


async def test_what_nobody_owns_is_moved_by_nobody(store: JobStore) -> None:
    job = make_job()
    await store.add(job)
    assert await store.move(job.submissions[0].ref, OWNER, make_move(State.FAILED)) is None
    assert await store.move(job.submissions[0].ref, None, make_move(State.FAILED)) is not None


async def test_of_many_equal_moves_one_wins(store: JobStore) -> None:
    part = await bring(store, State.RUNNING)
    won: list[bool] = []

    async def move() -> None:
        won.append(await store.move(part.ref, OWNER, make_move(State.DOWNLOADING)) is not None)

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(move)
    assert won.count(True) == 1


async def test_outputs_are_kept_with_the_move_and_only_once(store: JobStore) -> None:
    part = await bring(store, State.DOWNLOADING)
    outputs = [make_output(index=number, duration=1.5, variant="raw", thumbnail="t.webp") for number in (2, 1)]
    again = make_output(index=1, path="/elsewhere.png")
    part = await walk(store, part, [State.DOWNLOADING], outputs=tuple(outputs))
    await walk(store, part, [State.SUCCEEDED], outputs=(again, make_output(index=3)))
    kept = (await get(store)).outputs
    assert [output.index for output in kept] == [1, 2, 3]
    assert kept[0] == outputs[1]
    assert await store.output(outputs[1].id) == outputs[1]


async def test_the_ledger_has_one_row_of_a_kind_for_every_submission(store: JobStore) -> None:
    rows = [make_ledger_row(), make_ledger_row(micro_usd=1), make_ledger_row(submission=1)]
    await store.add(make_job(parts=[{}, {}]), rows)
    first, _ = await claim(store)
    settled = make_ledger_row(kind=LedgerKind.SETTLED, at=NOW + 1, certain=False)
    part = await walk(store, first.submission, [State.QUEUED], ledger=(settled, make_ledger_row(micro_usd=2)))
    await walk(store, part, [State.FAILED], ledger=(make_ledger_row(kind=LedgerKind.SETTLED, micro_usd=3),))
    assert await store.ledger(JOB_ID) == [rows[0], rows[2], settled]


async def test_events_are_the_whole_history_in_order(store: JobStore) -> None:
    await bring(store, State.SUCCEEDED, make_job(created_at=NOW))
    events = await store.events(JOB_ID)
    assert [event.seq for event in events] == [1, 2, 3, 4]
    assert [(event.origin, event.target) for event in events] == [
        (None, State.QUEUED),
        (State.QUEUED, State.SUBMITTING),
        (State.SUBMITTING, State.DOWNLOADING),
        (State.DOWNLOADING, State.SUCCEEDED),
    ]
    assert [event.owner for event in events] == [None, OWNER, OWNER, OWNER]


async def test_a_job_finishes_when_its_last_submission_does(store: JobStore) -> None:
    await store.add(make_job(parts=[{}, {}]))
    first, second = await claim(store)
    assert await store.move(first.submission.ref, OWNER, make_move(State.FAILED, at=NOW + 1)) is not None
    job = await get(store)
    assert (job.state, job.finished_at) == (State.QUEUED, None)
    assert await store.move(second.submission.ref, OWNER, make_move(State.CANCELLED, at=NOW + 2)) is not None
    job = await get(store)
    assert (job.state, job.finished_at) == (State.FAILED, NOW + 2)
    assert [found.id for found in await store.find(states=[State.FAILED])] == [JOB_ID]
