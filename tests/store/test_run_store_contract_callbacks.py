"""What `store/run_base.py` promises of sessions and callbacks."""

from typing import Any

import anyio
import pytest

from darkroom.domain.job import State
from darkroom.domain.run import ENDED, Awaits, Callback, Delivery, RunState
from darkroom.errors import BudgetExceeded, InvalidRequest
from darkroom.store.run_base import RunStore
from factories import JOB_ID, NOW, OWNER, job_id, make_job, make_ledger_row
from helpers_money import make_limit
from helpers_runs import (
    RUN_ID,
    SESSION_ID,
    Stores,
    get,
    going,
    make_callback,
    make_change,
    make_run,
    make_session,
    message,
    run_id,
    saved,
    waiting,
)
from helpers_store import bring, walk
from helpers_store import claim as claim_jobs

pytestmark = pytest.mark.anyio


# Sessions


async def test_a_session_comes_back_as_it_was_added(runs: RunStore) -> None:
    session = make_session(title="Foxes", history=(message("Hello"),), answers={"brand": "Fuchs"})
    await runs.add(make_run(session_id=SESSION_ID), session=session)
    assert await runs.session(SESSION_ID) == session
    assert await runs.session(SESSION_ID, "local") == session
    assert await runs.session(SESSION_ID, "ann") is None
    assert await runs.session("session_2") is None


async def test_a_repetition_begins_no_session(runs: RunStore) -> None:
    await runs.add(make_run(request_hash="same"))
    await runs.add(make_run(2, request_hash="same", session_id=SESSION_ID), session=make_session())
    assert await runs.session(SESSION_ID) is None


async def test_a_session_that_is_there_already_stays(runs: RunStore) -> None:
    await runs.add(make_run(session_id=SESSION_ID), session=make_session(title="first"))
    await runs.add(make_run(2, session_id=SESSION_ID), session=make_session(title="second"))
    found = await runs.session(SESSION_ID)
    assert found is not None
    assert found.title == "first"


@pytest.mark.parametrize("principal", ["ann", None])
async def test_a_session_of_another_principal_or_of_nobody_is_refused(runs: RunStore, principal: str | None) -> None:
    if principal:
        await runs.add(make_run(principal=principal, session_id=SESSION_ID), session=make_session(principal=principal))
    with pytest.raises(InvalidRequest) as caught:
        await runs.add(make_run(2, session_id=SESSION_ID))
    assert (caught.value.message, caught.value.field) == (f"There is no session '{SESSION_ID}'.", "session_id")
    assert await runs.get(run_id(2)) is None


async def test_what_was_said_and_answered_is_added_to_the_session(runs: RunStore) -> None:
    session = make_session(history=(message("Hello"),), answers={"brand": "Fuchs", "size": 1})
    await runs.add(make_run(session_id=SESSION_ID), session=session)
    [run] = await runs.claim(OWNER, NOW, 1)
    run = await saved(runs, run, history=(message("Hi", "assistant"),), at=NOW + 1)
    run = await saved(runs, run, answers={"size": [2, None], "colour": "red"}, at=NOW + 2)
    await saved(runs, run, at=NOW + 3)
    found = await runs.session(SESSION_ID)
    assert found is not None
    assert found.history == (message("Hello"), message("Hi", "assistant"))
    assert found.answers == {"brand": "Fuchs", "size": [2, None], "colour": "red"}
    assert (found.created_at, found.updated_at) == (NOW, NOW + 2)


async def test_a_run_without_a_session_keeps_no_history(runs: RunStore) -> None:
    run = await saved(runs, await going(runs), history=(message("Hello"),), answers={"size": 1})
    assert run.session_id is None
    assert await runs.sessions("local") == []


async def test_a_save_that_loses_says_nothing_in_the_session(runs: RunStore) -> None:
    await runs.add(make_run(session_id=SESSION_ID), session=make_session())
    [run] = await runs.claim(OWNER, NOW, 1)
    assert await runs.save(run, "other", make_change(history=(message("Hello"),))) is None
    found = await runs.session(SESSION_ID)
    assert found == make_session()


async def test_sessions_are_listed_newest_first_without_their_history(runs: RunStore) -> None:
    for number, principal in ((1, "local"), (2, "ann"), (3, "local"), (4, "local")):
        session = make_session(number, principal=principal, history=(message("Hello"),), answers={"a": 1})
        await runs.add(make_run(number, principal=principal, session_id=session.id), session=session)
    found = await runs.sessions("local", limit=2)
    assert found == [make_session(number, answers={"a": 1}) for number in (4, 3)]
    assert [one.id for one in await runs.sessions("local", before=found[1].id)] == [SESSION_ID]
    assert await runs.sessions("local", limit=-1) == []


async def test_a_session_is_deleted_when_all_its_runs_have_ended(runs: RunStore) -> None:
    await runs.add(make_run(session_id=SESSION_ID), session=make_session())
    [run] = await runs.claim(OWNER, NOW, 1)
    assert not await runs.delete_session(SESSION_ID, "ann")
    with pytest.raises(InvalidRequest, match=f"Run {RUN_ID} of this session has not ended"):
        await runs.delete_session(SESSION_ID, "local")
    assert await runs.session(SESSION_ID) is not None
    await saved(runs, run, RunState.SUCCEEDED)
    assert await runs.delete_session(SESSION_ID, "local")
    assert not await runs.delete_session(SESSION_ID, "local")
    assert (await get(runs)).session_id is None
    with pytest.raises(InvalidRequest, match="There is no session"):
        await runs.add(make_run(2, session_id=SESSION_ID))


# Callbacks of runs


@pytest.mark.parametrize("target", sorted(ENDED))
async def test_a_callback_is_due_when_its_run_ends(runs: RunStore, target: RunState) -> None:
    await runs.add(make_run(), callback=make_callback())
    assert await runs.callback(RUN_ID) == make_callback()
    [run] = await runs.claim(OWNER, NOW, 1)
    run = await saved(runs, run, output="x")
    assert await runs.claim_callbacks(NOW + 10**9, NOW + 10**9, 10) == []
    await saved(runs, run, target)
    assert await runs.callback(RUN_ID) == make_callback(state=Delivery.DUE, due_at=NOW + 5_000)


async def test_a_callback_is_due_when_its_run_is_cancelled_while_nobody_has_it(runs: RunStore) -> None:
    await runs.add(make_run(), callback=make_callback())
    await runs.request_cancel(RUN_ID, "local", NOW + 3)
    assert await runs.callback(RUN_ID) == make_callback(state=Delivery.DUE, due_at=NOW + 3)


async def test_a_run_that_is_over_when_it_is_added_is_told_of_at_once(runs: RunStore) -> None:
    await runs.add(make_run(state=RunState.SUCCEEDED, finished_at=NOW), callback=make_callback())
    assert await runs.callback(RUN_ID) == make_callback(state=Delivery.DUE, due_at=NOW)


async def test_a_repetition_adds_a_callback_where_there_is_none(runs: RunStore) -> None:
    await saved(runs, await going(runs, request_hash="same"), RunState.SUCCEEDED)
    again = make_run(2, request_hash="same", created_at=NOW + 9)
    for url in ("https://studio.example/1", "https://studio.example/2"):
        assert not (await runs.add(again, callback=make_callback(run_id(2), url=url))).created
    found = await runs.callback(RUN_ID)
    assert found == make_callback(url="https://studio.example/1", state=Delivery.DUE, due_at=NOW + 9)
    assert await runs.callback(run_id(2)) is None


# Callbacks of jobs


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
async def test_a_callback_is_due_when_its_job_ends(store: Stores, state: State) -> None:
    await store.add(make_job(), callback=make_callback(JOB_ID))
    assert await store.runs.callback(JOB_ID) == make_callback(JOB_ID)
    [claimed] = await claim_jobs(store)
    way = {State.SUCCEEDED: (State.SUBMITTING, State.DOWNLOADING)}.get(state, ())
    await walk(store, claimed.submission, (*way, state))
    job = await store.get(JOB_ID)
    assert job is not None
    assert await store.runs.callback(JOB_ID) == make_callback(JOB_ID, state=Delivery.DUE, due_at=job.finished_at)


async def test_a_callback_is_due_when_its_queued_job_is_cancelled(store: Stores) -> None:
    await store.add(make_job(), callback=make_callback(JOB_ID))
    await store.request_cancel(JOB_ID, "local", NOW + 4)
    assert await store.runs.callback(JOB_ID) == make_callback(JOB_ID, state=Delivery.DUE, due_at=NOW + 4)


async def test_a_repeated_job_is_told_of_once_and_at_once_where_it_has_ended(store: Stores) -> None:
    await bring(store, State.SUCCEEDED)
    again = make_job(id=job_id(2), created_at=NOW + 9)
    assert not (await store.add(again, callback=make_callback(job_id(2)))).created
    assert await store.runs.callback(JOB_ID) == make_callback(JOB_ID, state=Delivery.DUE, due_at=NOW + 9)
    assert await store.runs.callback(job_id(2)) is None
    await store.runs.note_callback(make_callback(JOB_ID, state=Delivery.DELIVERED))
    await store.add(again, callback=make_callback(job_id(2)))
    assert await store.runs.callback(JOB_ID) == make_callback(JOB_ID, state=Delivery.DELIVERED)


async def test_a_job_that_is_refused_keeps_no_callback(store: Stores) -> None:
    with pytest.raises(BudgetExceeded):
        await store.add(make_job(), [make_ledger_row()], limits=[make_limit(1)], callback=make_callback(JOB_ID))
    assert await store.runs.callback(JOB_ID) is None


# Sending


async def due(runs: RunStore, number: int, at: int = NOW, **fields: Any) -> Callback:
    """Add an ended run whose callback is due."""
    run = make_run(number, state=RunState.SUCCEEDED, finished_at=at, created_at=at)
    await runs.add(run, callback=make_callback(run.id, created_at=at, **fields))
    found = await runs.callback(run.id)
    assert found is not None
    return found


async def test_what_is_due_is_claimed_once_until_it_is_due_again(runs: RunStore) -> None:
    first, second = await due(runs, 1, NOW + 2), await due(runs, 2, NOW + 1)
    await due(runs, 3, NOW + 9)
    await waiting(runs, Awaits.CLIENT, 4)
    assert await runs.claim_callbacks(NOW + 2, NOW + 60, 0) == []
    [one] = await runs.claim_callbacks(NOW + 2, NOW + 60, 1)
    assert one == second.model_copy(update={"due_at": NOW + 60})
    [two] = await runs.claim_callbacks(NOW + 2, NOW + 60, 10)
    assert two == first.model_copy(update={"due_at": NOW + 60})
    assert await runs.claim_callbacks(NOW + 8, NOW + 60, 10) == []
    assert len(await runs.claim_callbacks(NOW + 60, NOW + 90, 10)) == 3


async def test_two_processes_send_each_callback_once(runs: RunStore, open_another: Any) -> None:
    other: Stores = await open_another()
    for number in range(1, 31):
        await due(runs, number)
    got: list[str] = []

    async def send(store: RunStore) -> None:
        while found := await store.claim_callbacks(NOW, NOW + 60, 4):
            got.extend(one.subject for one in found)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(send, (runs, other.runs)[number % 2])
    assert sorted(got) == [run_id(number) for number in range(1, 31)]


@pytest.mark.parametrize("state", [Delivery.DELIVERED, Delivery.FAILED])
async def test_what_is_noted_of_a_callback_comes_back_and_ends_it(runs: RunStore, state: Delivery) -> None:
    callback = await due(runs, 1)
    update = {"attempts": 2, "due_at": NOW + 70, "body": '{"a":1}', "status": 503, "error": "Not now."}
    await runs.note_callback(callback.model_copy(update={**update, "url": "https://elsewhere.example"}))
    noted = callback.model_copy(update=update)
    assert await runs.callback(RUN_ID) == noted
    assert len(await runs.claim_callbacks(NOW + 70, NOW + 90, 10)) == 1
    ended = noted.model_copy(update={"state": state, "delivered_at": NOW + 80})
    await runs.note_callback(ended)
    assert await runs.callback(RUN_ID) == ended
    assert await runs.claim_callbacks(NOW + 10**9, NOW + 10**9, 10) == []


async def test_callbacks_are_listed_newest_first_by_principal_and_state(runs: RunStore) -> None:
    await due(runs, 1, NOW + 5)
    await due(runs, 2, NOW + 5, principal="ann")
    await due(runs, 3, NOW + 1)
    await runs.add(make_run(4), callback=make_callback(run_id(4)))

    async def listed(**asked: Any) -> list[int]:
        return [int(one.subject[-2:]) for one in await runs.callbacks(**asked)]

    assert await listed() == [2, 1, 3, 4]
    assert await listed(principal="local") == [1, 3, 4]
    assert await listed(states=[Delivery.WAITING]) == [4]
    assert await listed(states=[Delivery.WAITING, Delivery.DUE], limit=2) == [2, 1]
    assert await listed(limit=-1) == []
