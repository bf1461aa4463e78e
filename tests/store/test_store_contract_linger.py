"""What `store/base.py` promises of calls that last, lost answers, and asking; nothing here knows which store it is."""

from typing import Any

import pytest

from darkroom.domain.job import Job, LedgerKind, State
from darkroom.domain.money import MicroUsd
from darkroom.store.base import JobStore
from factories import JOB_ID, NOW, OWNER, job_id, make_acceptance, make_job, make_ledger_row, make_move, make_worker
from helpers_store import bring, claim, get, take, walk

pytestmark = pytest.mark.anyio
ACCOUNTS = ["acme/main"]


async def add(store: JobStore, number: int = 1, **overrides: Any) -> Job:
    job = make_job(id=job_id(number), **({"account": "acme/main"} | overrides))
    return (await store.add(job, [make_ledger_row(job_id=job.id)], again=True)).job


# Calls that last


async def test_what_is_answered_within_its_call_is_left_to_others_where_that_is_wanted(store: JobStore) -> None:
    await add(store, 1, synchronous=True)
    await add(store, 2)
    assert [item.job.id for item in await claim(store, synchronous=False)] == [job_id(2)]
    assert await claim(store, synchronous=False) == []
    assert [item.job.id for item in await claim(store, "worker-2")] == [job_id(1)]


async def test_what_is_free_and_answered_within_its_call_is_not_left(store: JobStore) -> None:
    await add(store, 1, synchronous=True, replayable=True)
    assert len(await claim(store, synchronous=False)) == 1
    assert await store.left(ACCOUNTS) == []


async def test_what_was_answered_within_its_call_is_gone_on_with_by_anybody(store: JobStore) -> None:
    await add(store, 1, synchronous=True)
    part = await walk(store, await take(store), [State.SUBMITTING, State.DOWNLOADING], release=True)
    assert part.owner is None
    assert len(await claim(store, "worker-2", synchronous=False)) == 1


async def test_what_is_left_is_told_by_its_accounts_and_only_by_ours(store: JobStore) -> None:
    for number, account in enumerate(["acme/main", "acme/main", "acme/other", "acme/theirs"], start=1):
        await add(store, number, synchronous=True, account=account)
    await add(store, 5, account="acme/plain")
    known = ["acme/other", "acme/plain", "acme/main"]
    assert await store.left(known) == ["acme/main", "acme/other"]
    assert await store.left([]) == []


async def test_what_is_taken_or_sent_is_not_left(store: JobStore) -> None:
    await add(store, 1, synchronous=True)
    part = await take(store)
    assert await store.left(ACCOUNTS) == []
    await walk(store, part, [State.SUBMITTING, State.QUEUED], release=True)
    assert await store.left(ACCOUNTS) == ["acme/main"]


async def test_a_worker_says_whether_it_lingers_and_which_accounts_it_has(store: JobStore) -> None:
    plain, lingering = make_worker(), make_worker(id="worker-2", lingers=True, accounts=("acme/main", "none"))
    await store.register(plain)
    await store.register(lingering)
    assert await store.workers() == [plain, lingering]
    assert await store.heartbeat("worker-2", lingering.lease_until, {})
    assert await store.workers() == [plain, lingering], "a heartbeat leaves both as they are"


# Lost answers


async def test_the_lost_ones_are_listed_oldest_first_whoever_they_belong_to(store: JobStore) -> None:
    for number in (3, 1, 2):
        await add(store, number, principal="other" if number == 1 else "local")
    for item in (await claim(store))[::2]:
        await walk(store, item.submission, [State.SUBMITTING, State.SUBMIT_UNKNOWN])
    assert [job.id for job in await store.unknown()] == [job_id(1), job_id(3)]


async def test_one_lost_submission_among_others_is_enough_to_be_listed(store: JobStore) -> None:
    await store.add(make_job(parts=[{}, {}]))
    first, _ = await claim(store)
    await walk(store, first.submission, [State.SUBMITTING, State.SUBMIT_UNKNOWN])
    assert [job.id for job in await store.unknown()] == [JOB_ID]
    assert (await get(store)).state is not State.SUBMIT_UNKNOWN


async def test_one_that_was_found_is_no_longer_listed(store: JobStore) -> None:
    part = await bring(store, State.SUBMIT_UNKNOWN)
    assert len(await store.unknown()) == 1
    assert await store.accept(make_acceptance(submit_key=part.submit_key)) is not None
    assert await store.unknown() == []


@pytest.mark.parametrize("state", [State.RUNNING, State.DOWNLOADING])
async def test_a_found_one_no_longer_says_that_it_is_lost(store: JobStore, state: State) -> None:
    part = await bring(store, State.SUBMIT_UNKNOWN, error={"code": "submit_unknown", "message": "lost"})
    assert part.error is not None
    found = await store.move(part.ref, part.owner, make_move(state))
    assert found is not None
    assert (found.state, found.error) == (state, None)


async def test_a_late_answer_with_an_error_of_its_own_keeps_that(store: JobStore) -> None:
    part = await bring(store, State.SUBMIT_UNKNOWN, error={"code": "submit_unknown", "message": "lost"})
    found = await store.move(part.ref, part.owner, make_move(State.DOWNLOADING, error={"code": "other"}))
    assert found is not None
    assert found.error == {"code": "other"}


async def test_the_job_that_a_providers_id_belongs_to_is_found(store: JobStore) -> None:
    await add(store, 1)
    part = await walk(store, await take(store), [State.SUBMITTING])
    await store.accept(make_acceptance(job_id=part.job_id, submit_key=part.submit_key, provider_job_id="r-7"))
    assert await store.remote("acme", "r-7") == await get(store, job_id(1))
    assert await store.remote("acme", "r-8") is None
    assert await store.remote("other", "r-7") is None


async def test_a_cancel_gives_up_a_lost_one_whose_charge_stays_uncertain(store: JobStore) -> None:
    await store.add(make_job(), [make_ledger_row()])
    await walk(store, await take(store), [State.SUBMITTING, State.SUBMIT_UNKNOWN], release=True)
    job = await store.request_cancel(JOB_ID, "local", NOW + 50)
    assert job == await get(store)
    assert job is not None
    assert (job.state, job.finished_at, job.submissions[0].owner) == (State.CANCELLED, NOW + 50, None)
    rows = [(row.kind, row.micro_usd, row.certain) for row in await store.ledger(JOB_ID)]
    assert rows == [(LedgerKind.RESERVED, 40_000, True), (LedgerKind.SETTLED, 40_000, False)]
    event = (await store.events(JOB_ID))[-1]
    assert (event.origin, event.target, event.detail) == (
        State.SUBMIT_UNKNOWN,
        State.CANCELLED,
        "given up by the caller",
    )
    assert await store.unknown() == []


async def test_a_cancel_gives_up_the_lost_part_of_a_job_and_leaves_the_running_one_to_its_provider(
    store: JobStore,
) -> None:
    await store.add(make_job(parts=[{}, {}, {}]), [make_ledger_row(submission=idx) for idx in range(3)])
    lost, running, _ = [item.submission for item in await claim(store)]
    await walk(store, lost, [State.SUBMITTING, State.SUBMIT_UNKNOWN], release=True)
    await walk(store, running, [State.SUBMITTING, State.RUNNING])
    job = await store.request_cancel(JOB_ID, "local", NOW + 50)
    assert job is not None
    assert [part.state for part in job.submissions] == [State.CANCELLED, State.RUNNING, State.CANCELLED]
    assert (job.state, job.finished_at) == (State.RUNNING, None)
    rows = [(row.submission, row.kind, row.certain) for row in (await store.ledger(JOB_ID))[3:]]
    assert rows == [(0, LedgerKind.SETTLED, False), (2, LedgerKind.RELEASED, True)]


async def test_a_late_acceptance_of_a_given_up_one_is_noted_and_moves_nothing(store: JobStore) -> None:
    part = await bring(store, State.SUBMIT_UNKNOWN, release=True)
    await store.request_cancel(JOB_ID, "local", NOW + 50)
    late = await store.accept(make_acceptance(submit_key=part.submit_key, provider_job_id="r-9"))
    assert late is not None
    assert (late.state, late.provider_job_id) == (State.CANCELLED, "r-9")


async def test_a_cancel_asked_for_again_stops_what_was_sent_back_to_the_queue_meanwhile(store: JobStore) -> None:
    part = await bring(store, State.SUBMITTING)
    await store.request_cancel(JOB_ID, "local", NOW + 50)
    await walk(store, part, [State.QUEUED])
    job = await store.request_cancel(JOB_ID, "local", NOW + 99)
    assert job is not None
    assert (job.state, job.cancel_requested_at, job.finished_at) == (State.CANCELLED, NOW + 50, NOW + 99)


# Asking


async def test_the_process_that_has_a_job_hears_that_somebody_asked(store: JobStore, open_another: Any) -> None:
    other: JobStore = await open_another()
    await store.register(make_worker())
    await store.register(make_worker(id="worker-2"))
    await bring(store, State.RUNNING)
    assert await store.asked(OWNER) == {}
    await other.ask(JOB_ID, NOW + 7)
    assert await store.asked(OWNER) == {JOB_ID: NOW + 7}
    assert await store.asked("worker-2") == {}
    await other.ask(JOB_ID, NOW + 8)
    assert await store.asked(OWNER) == {JOB_ID: NOW + 8}


async def test_every_process_that_has_a_part_of_a_job_hears_it_except_the_one_that_asks(store: JobStore) -> None:
    await store.add(make_job(parts=[{}, {}]))
    for owner in (OWNER, "worker-2"):
        await store.register(make_worker(id=owner))
        await claim(store, owner, limit=1)
    await store.ask(JOB_ID, NOW, OWNER)
    assert (await store.asked(OWNER), await store.asked("worker-2")) == ({}, {JOB_ID: NOW})


async def test_what_was_heard_is_forgotten_with_the_next_heartbeat(store: JobStore) -> None:
    await store.register(make_worker())
    await bring(store, State.RUNNING)
    await store.ask(JOB_ID, NOW)
    assert await store.heartbeat(OWNER, 9_000.0, {})
    assert await store.asked(OWNER) == {}


async def test_asking_about_what_nobody_has_reaches_nobody(store: JobStore) -> None:
    await store.register(make_worker())
    await add(store, 1)
    await store.ask(job_id(1), NOW)
    await store.ask("job_none", NOW)
    assert await store.asked(OWNER) == {}
    assert await store.asked("worker-9") == {}


async def test_asking_changes_no_job(store: JobStore) -> None:
    await store.register(make_worker())
    await bring(store, State.RUNNING, make_job(estimate=MicroUsd(5)))
    before = await get(store)
    await store.ask(JOB_ID, NOW)
    assert await get(store) == before


async def test_a_lost_one_is_sought_by_one_process_at_a_time(store: JobStore) -> None:
    part = await bring(store, State.SUBMIT_UNKNOWN, release=True)
    sought = await store.seek(part.ref, OWNER)
    assert sought is not None
    assert (sought.state, sought.owner) == (State.SUBMIT_UNKNOWN, OWNER)
    assert await store.seek(part.ref, OWNER) is None, "another version"
    assert await store.seek(sought.ref, "worker-2") is None, "somebody else holds it"
    await store.give_back(sought.ref, "worker-2", NOW + 60)
    await store.give_back(part.ref, OWNER, NOW + 60)
    assert (await get(store)).submissions[0].owner == OWNER, "neither was its own"
    await store.give_back(sought.ref, OWNER, NOW + 60)
    freed = (await get(store)).submissions[0]
    assert (freed.state, freed.owner) == (State.SUBMIT_UNKNOWN, None)
    await store.request_cancel(JOB_ID, "local", NOW + 70)
    assert await store.seek(freed.ref, OWNER) is None


async def test_what_is_being_sought_is_given_up_when_it_is_given_back(store: JobStore) -> None:
    part = await bring(store, State.SUBMIT_UNKNOWN, release=True)
    sought = await store.seek(part.ref, OWNER)
    assert sought is not None
    job = await store.request_cancel(JOB_ID, "local", NOW + 50)
    assert job is not None
    assert job.state is State.SUBMIT_UNKNOWN
    await store.give_back(sought.ref, OWNER, NOW + 60)
    assert (await get(store)).state is State.CANCELLED


async def test_what_was_found_is_anybodys(store: JobStore) -> None:
    part = await bring(store, State.SUBMIT_UNKNOWN, release=True)
    sought = await store.seek(part.ref, OWNER)
    assert sought is not None
    found = await store.accept(make_acceptance(submit_key=part.submit_key))
    assert found is not None
    assert (found.state, found.owner) == (State.RUNNING, None)
    await store.give_back(sought.ref, OWNER, NOW + 60)
    assert (await get(store)).state is State.RUNNING
