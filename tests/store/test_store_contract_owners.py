"""What `store/base.py` promises of cancels, deliveries, workers and waiters; nothing here knows which store it is."""

from typing import Any

import pytest

from darkroom.domain.job import ACTIVE, ENDED, LedgerKind, State
from darkroom.events import Bus
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
    make_worker,
)
from helpers_store import bring, claim, get, take, walk

pytestmark = pytest.mark.anyio


# Cancelling


async def test_a_cancel_ends_what_is_queued_at_once_and_gives_its_money_back(store: JobStore) -> None:
    await store.add(make_job(parts=[{}, {"estimate": None}]), [make_ledger_row()])
    job = await store.request_cancel(JOB_ID, "local", NOW + 50)
    assert job == await get(store)
    assert job is not None
    assert (job.state, job.cancel_requested_at, job.finished_at) == (State.CANCELLED, NOW + 50, NOW + 50)
    assert [part.actual for part in job.submissions] == [0, 0]
    released = [(row.submission, row.kind, row.micro_usd, row.at) for row in await store.ledger(JOB_ID)]
    assert released == [
        (0, LedgerKind.RESERVED, 40_000, NOW),
        (0, LedgerKind.RELEASED, 40_000, NOW + 50),
    ]
    assert [event.target for event in await store.events(JOB_ID)] == [State.QUEUED] * 2 + [State.CANCELLED] * 2
    assert await claim(store) == []


async def test_a_cancel_takes_what_is_queued_from_its_owner(store: JobStore) -> None:
    await store.add(make_job())
    part = await take(store)
    await store.request_cancel(JOB_ID, "local", NOW)
    assert await store.intend(part.ref, OWNER, make_intent()) is None
    assert (await get(store)).submissions[0].owner is None


@pytest.mark.parametrize("state", sorted(ACTIVE - {State.QUEUED, State.SUBMIT_UNKNOWN}))
async def test_a_cancel_of_what_was_sent_sets_the_flag_and_changes_no_version(store: JobStore, state: State) -> None:
    part = await bring(store, state)
    job = await store.request_cancel(JOB_ID, "local", NOW + 50)
    assert job is not None
    assert (job.cancel_requested_at, job.submissions, job.finished_at) == (NOW + 50, (part,), None)
    assert await store.ledger(JOB_ID) == []
    assert await store.move(part.ref, OWNER, make_move(state)) is not None


async def test_a_cancel_ends_the_queued_part_of_a_job_whose_other_part_was_sent(store: JobStore) -> None:
    await store.add(make_job(parts=[{}, {}]))
    first, _ = await claim(store)
    sent = await walk(store, first.submission, [State.SUBMITTING])
    job = await store.request_cancel(JOB_ID, "local", NOW + 50)
    assert job is not None
    assert job.submissions[0] == sent
    assert job.submissions[1].state is State.CANCELLED
    assert (job.state, job.finished_at) == (State.SUBMITTING, None)


async def test_repeating_a_cancel_changes_nothing(store: JobStore) -> None:
    await bring(store, State.SUBMITTING)
    await store.request_cancel(JOB_ID, "local", NOW + 50)
    before = await get(store)
    assert await store.request_cancel(JOB_ID, "local", NOW + 99) == before
    assert await get(store) == before


@pytest.mark.parametrize("state", sorted(ENDED))
async def test_a_cancel_of_what_has_ended_changes_nothing(store: JobStore, state: State) -> None:
    await bring(store, state)
    before = await get(store)
    assert await store.request_cancel(JOB_ID, "local", NOW + 50) == before
    assert await get(store) == before


# Delivery


async def test_the_first_delivery_is_remembered_and_changes_no_version(store: JobStore) -> None:
    part = await bring(store, State.SUCCEEDED)
    await store.delivered(JOB_ID, NOW + 70)
    await store.delivered(JOB_ID, NOW + 90)
    job = await get(store)
    assert job.delivered_at == NOW + 70
    assert job.submissions == (part,)


async def test_a_job_that_is_not_finished_is_not_delivered(store: JobStore) -> None:
    await bring(store, State.RUNNING)
    await store.delivered(JOB_ID, NOW + 70)
    assert (await get(store)).delivered_at is None


# Workers


async def test_workers_are_listed_with_the_progress_of_their_jobs(store: JobStore) -> None:
    first, second = make_worker(progress={JOB_ID: (0.25, "grün"), job_id(2): (None, None)}), make_worker(id="worker-2")
    await store.register(second)
    await store.register(first)
    assert await store.workers() == [first, second]
    progress: dict[str, tuple[float | None, str | None]] = {JOB_ID: (0.5, None)}
    assert await store.heartbeat("worker-2", 9_000.5, progress)
    assert await store.workers() == [first, make_worker(id="worker-2", lease_until=9_000.5, progress=progress)]


async def test_a_worker_that_registers_again_has_one_row(store: JobStore) -> None:
    await store.register(make_worker())
    await store.register(make_worker(pid=7))
    assert await store.workers() == [make_worker(pid=7)]


async def test_a_heartbeat_of_a_worker_that_is_gone_says_so(store: JobStore) -> None:
    await store.register(make_worker())
    assert await store.reap([OWNER], NOW) == []
    assert not await store.heartbeat(OWNER, 9_000.0, {})
    assert await store.workers() == []


# Taking over from the dead


@pytest.mark.parametrize("state", [State.QUEUED, State.SUBMIT_UNKNOWN, State.RUNNING, State.PARKED, State.DOWNLOADING])
async def test_what_a_dead_worker_owned_loses_its_owner_and_nothing_else(store: JobStore, state: State) -> None:
    await store.register(make_worker())
    part = await bring(store, state)
    events = await store.events(JOB_ID)
    assert await store.reap([OWNER], NOW + 100) == [JOB_ID]
    assert (await get(store)).submissions[0] == part.model_copy(update={"owner": None, "version": part.version + 1})
    assert await store.events(JOB_ID) == events
    assert await store.workers() == []
    assert await store.move(part.ref, OWNER, make_move(State.FAILED)) is None
    assert len(await claim(store, "worker-2")) == (state is not State.SUBMIT_UNKNOWN)


async def test_what_a_dead_worker_was_sending_becomes_submit_unknown(store: JobStore) -> None:
    await store.register(make_worker())
    part = await bring(store, State.SUBMITTING)
    assert await store.reap([OWNER], NOW + 100) == [JOB_ID]
    job = await get(store)
    assert (job.state, job.submissions[0].owner, job.submissions[0].version) == (
        State.SUBMIT_UNKNOWN,
        None,
        part.version + 1,
    )
    assert job.error is not None
    assert job.error["code"] == "submit_unknown"
    assert "may have been accepted and charged" in job.error["message"]
    event = (await store.events(JOB_ID))[-1]
    assert (event.origin, event.target, event.at, event.owner) == (
        State.SUBMITTING,
        State.SUBMIT_UNKNOWN,
        NOW + 100,
        OWNER,
    )


@pytest.mark.parametrize("state", [State.SUBMITTING, State.RUNNING])
async def test_what_may_be_replayed_is_queued_again(store: JobStore, state: State) -> None:
    part = await bring(store, state, make_job(replayable=True))
    assert await store.reap([OWNER], NOW + 100) == [JOB_ID]
    job = await get(store)
    [freed] = job.submissions
    assert (job.state, freed.owner, freed.due_at, freed.error) == (State.QUEUED, None, NOW + 100, None)
    event = (await store.events(JOB_ID))[-1]
    assert (event.origin, event.target) == (state, State.QUEUED)
    [claimed] = await claim(store, "worker-2")
    sent = await store.intend(claimed.submission.ref, "worker-2", make_intent(submit_key="key-2"))
    assert sent is not None
    assert sent.attempt == part.attempt + 1


@pytest.mark.parametrize("state", [State.QUEUED, State.PARKED, State.DOWNLOADING])
async def test_what_may_be_replayed_keeps_the_other_states(store: JobStore, state: State) -> None:
    part = await bring(store, state, make_job(replayable=True))
    await store.reap([OWNER], NOW + 100)
    assert (await get(store)).submissions[0] == part.model_copy(update={"owner": None, "version": part.version + 1})


async def test_what_nobody_owns_and_was_being_sent_becomes_submit_unknown(store: JobStore) -> None:
    await store.register(make_worker(id="alive"))
    part = await bring(store, State.SUBMITTING)
    assert await store.move(part.ref, OWNER, make_move(State.SUBMITTING, release=True)) is not None
    assert await store.reap([], NOW + 100) == [JOB_ID]
    assert (await get(store)).state is State.SUBMIT_UNKNOWN


async def test_what_belongs_to_a_worker_whose_row_is_gone_is_freed_by_whoever_looks(store: JobStore) -> None:
    await bring(store, State.SUBMITTING)
    assert await store.reap(["worker-9"], NOW + 100) == [JOB_ID]
    assert (await get(store)).state is State.SUBMIT_UNKNOWN
    assert await store.reap(["worker-9"], NOW + 200) == []


async def test_what_the_living_own_and_what_has_ended_stays(store: JobStore) -> None:
    for number in (1, 2):
        await store.add(make_job(id=job_id(number)), again=True)
    running, ending = [item.submission for item in await claim(store)]
    await walk(store, running, [State.SUBMITTING])
    await walk(store, ending, [State.FAILED])
    await store.register(make_worker())
    await store.register(make_worker(id="worker-2"))
    before = await store.find(limit=99)
    assert await store.reap(["worker-2"], NOW + 100) == []
    assert await store.find(limit=99) == before
    assert [worker.id for worker in await store.workers()] == [OWNER]


async def test_many_dead_workers_are_buried_at_once(store: JobStore) -> None:
    await store.register(make_worker())
    for number in (3, 2, 1):
        await store.add(make_job(id=job_id(number)), again=True)
        await store.register(make_worker(id=f"dead-{number}"))
        await claim(store, f"dead-{number}")
    assert await store.reap([f"dead-{number}" for number in (1, 2, 3)], NOW) == [job_id(1), job_id(2), job_id(3)]
    assert await store.workers() == [make_worker()]
    assert len(await claim(store)) == 3


# Being told


async def test_the_data_version_tells_of_another_s_commit_and_not_of_our_own(
    store: JobStore, open_another: Any
) -> None:
    other: JobStore = await open_another()
    await other.register(make_worker())
    before = await store.data_version()
    assert await store.data_version() == before
    await store.add(make_job())
    await store.delivered(JOB_ID, NOW)
    await store.get(JOB_ID)
    assert await store.data_version() == before
    await other.request_cancel(JOB_ID, "local", NOW)
    seen = await store.data_version()
    assert seen != before
    assert await store.data_version() == seen
    await store.register(make_worker(id="worker-2"))
    assert await store.data_version() == seen


async def test_waiters_of_this_process_hear_of_every_change_after_it_is_stored(store: JobStore, bus: Bus) -> None:
    await store.add(make_job())
    assert (await bus.next_work(0)).work
    part = await take(store)
    with bus.watch(JOB_ID) as watch:
        assert not await watch.wait(0)
        sent = await store.intend(part.ref, OWNER, make_intent())
        assert await watch.wait(0)
        accepted = await store.accept(make_acceptance())
        assert await watch.wait(0)
        assert sent is not None
        assert accepted is not None
        await store.move(sent.ref, OWNER, make_move(State.DOWNLOADING))
        assert not await watch.wait(0)
        moved = await store.move(accepted.ref, OWNER, make_move(State.RUNNING, release=True))
        assert await watch.wait(0)
        assert moved is not None
        assert (await bus.next_work(0)).work
        await store.request_cancel(JOB_ID, "local", NOW)
        assert await watch.wait(0)
        assert not (await bus.next_work(0)).work
        await claim(store)
        await store.reap([OWNER], NOW)
        assert await watch.wait(0)
        assert (await bus.next_work(0)).work


async def test_an_accepted_job_without_an_owner_is_offered_to_all(store: JobStore, bus: Bus) -> None:
    await bring(store, State.SUBMITTING)
    await store.reap([OWNER], NOW)
    await bus.next_work(0)
    await store.accept(make_acceptance())
    assert (await bus.next_work(0)).work
    assert len(await claim(store, "worker-2")) == 1
