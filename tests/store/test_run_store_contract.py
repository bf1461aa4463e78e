"""What `store/run_base.py` promises of adding, looking and claiming; nothing here knows which store it is."""

from typing import Any

import anyio
import pytest

from darkroom.domain.job import ENDED as JOB_ENDED
from darkroom.domain.job import State
from darkroom.domain.run import (
    ENDED,
    Action,
    Answer,
    Awaits,
    Mode,
    Question,
    Run,
    RunKind,
    RunState,
)
from darkroom.errors import InvalidRequest
from darkroom.store.run_base import RunStore
from factories import NOW, OWNER, job_id, make_job
from helpers_runs import (
    QUESTION,
    RUN_ID,
    SESSION_ID,
    Stores,
    claim,
    get,
    going,
    make_run,
    make_session,
    run_id,
    saved,
    waiting,
)
from helpers_store import bring

pytestmark = pytest.mark.anyio


# Adding


async def test_which_run_stands_for_another_is_told_without_adding_it(runs: RunStore) -> None:
    assert await runs.equal(make_run()) is None
    await runs.add(make_run())
    await runs.add(make_run(2, idempotency_key="key", request_hash="other"))
    same = make_run(3, request_hash="hash-1")
    assert (await runs.equal(same) or same).id == RUN_ID
    assert await runs.equal(same, again=True) is None
    assert await runs.equal(make_run(3, request_hash="hash-1", principal="ann")) is None
    found = await runs.equal(make_run(3, idempotency_key="key", request_hash="other"), again=True)
    assert found is not None
    assert found.id == run_id(2)
    with pytest.raises(InvalidRequest):
        await runs.equal(make_run(3, idempotency_key="key", request_hash="third", task="Another"))
    assert len(await runs.find()) == 2


async def test_a_run_comes_back_as_it_was_added(runs: RunStore) -> None:
    run = make_run(
        kind=RunKind.WORKFLOW,
        mode=Mode.STEPS,
        workflow="launch",
        context={"brand": "Fuchs", "deep": {"list": [1, "zwei", None]}},
        session_id=SESSION_ID,
        parent_run_id=run_id(7),
        root_run_id=run_id(8),
        idempotency_key="key",
        max_cost=90_000,
        plan="agency",
        state=RunState.WAITING,
        awaits=Awaits.ANSWER,
        waiting_for=(job_id(1), run_id(3)),
        question=QUESTION,
        answers=(Answer(question=Question(text="Who?"), text="Wir", at=3),),
        turn=4,
        work={"messages": [{"role": "user"}], "nothing": None},
        actions=(Action(tool="generate_image", job_id=job_id(1), key="run/1/1"),),
        output="Füchse",
        data={"title": "x"},
        brief={"role": "y"},
        error={"code": "z"},
        warnings=("no seed",),
        input_tokens=5,
        output_tokens=6,
        due_at=7,
        deadline_at=8,
        cancel_requested_at=9,
        delivered_at=10,
        version=3,
    )
    added = await runs.add(run, session=make_session())
    assert (added.run, added.created) == (run, True)
    assert await runs.get(RUN_ID) == run
    assert await runs.history(RUN_ID) == [{"seq": 1, "target": "waiting", "at": NOW}]


async def test_what_json_cannot_hold_becomes_nothing(runs: RunStore) -> None:
    await runs.add(make_run(work={"score": float("nan")}))
    assert (await get(runs)).work == {"score": None}


async def test_a_run_is_found_by_its_principal_alone(runs: RunStore) -> None:
    await runs.add(make_run())
    assert await runs.get(RUN_ID, "local") is not None
    assert await runs.get(RUN_ID, "ann") is None
    assert await runs.get(run_id(2)) is None


async def test_a_key_stands_for_one_run_whatever_became_of_it(runs: RunStore) -> None:
    run = await going(runs, idempotency_key="key")
    await saved(runs, run, RunState.FAILED, error={"code": "x"})
    again = await runs.add(make_run(2, idempotency_key="key", request_hash="hash-1"), again=True)
    assert (again.run.id, again.run.state, again.created) == (RUN_ID, RunState.FAILED, False)
    assert await runs.get(run_id(2)) is None
    assert (await runs.add(make_run(3, idempotency_key="key", principal="ann", request_hash="hash-1"))).created


async def test_a_key_for_another_request_is_refused_and_says_what_differs(runs: RunStore) -> None:
    await runs.add(make_run(idempotency_key="key"))
    other = make_run(2, idempotency_key="key", agent=None, task="Say it again", context={"a": 1})
    with pytest.raises(InvalidRequest) as caught:
        await runs.add(other)
    assert caught.value.message == (
        f"idempotency_key was used for {RUN_ID}; not the same: task ('Say something about foxes' then, 'Say it again' "
        "now), agent ('copywriter' then, nothing now), context (nothing then, {'a': 1} now)."
    )
    assert caught.value.field == "idempotency_key"
    assert await runs.get(run_id(2)) is None


async def test_a_key_for_what_differs_out_of_sight_is_refused_too(runs: RunStore) -> None:
    await runs.add(make_run(idempotency_key="key"))
    with pytest.raises(InvalidRequest, match="not the same: model or settings"):
        await runs.add(
            make_run(2, idempotency_key="key", model="other/model", session_id=SESSION_ID), session=make_session()
        )
    assert await runs.session(SESSION_ID) is None


@pytest.mark.parametrize("state", sorted(set(RunState) - ENDED))
async def test_the_same_request_is_the_run_that_has_not_ended(runs: RunStore, state: RunState) -> None:
    awaits = Awaits.ANSWER if state is RunState.WAITING else None
    await runs.add(make_run(state=state, awaits=awaits, request_hash="same"))
    assert not (await runs.add(make_run(2, request_hash="same"))).created
    assert (await runs.add(make_run(3, request_hash="same"), again=True)).created
    assert (await runs.add(make_run(4, request_hash="same", principal="ann"))).created
    assert (await runs.add(make_run(5, request_hash="other"))).created
    assert (await runs.add(make_run(6, request_hash="same"))).run.id == run_id(3)


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED])
async def test_what_did_not_succeed_is_run_again(runs: RunStore, state: RunState) -> None:
    await saved(runs, await going(runs, request_hash="same"), state)
    assert (await runs.add(make_run(2, request_hash="same"))).created


@pytest.mark.parametrize(
    ("delivered_at", "at", "created"),
    [(None, NOW + 10**9, False), (NOW, NOW + 120_000, False), (NOW, NOW + 120_001, True)],
)
async def test_what_succeeded_is_the_same_run_until_shortly_after_it_was_shown(
    runs: RunStore, delivered_at: int | None, at: int, created: bool
) -> None:
    await saved(runs, await going(runs, request_hash="same"), RunState.SUCCEEDED)
    if delivered_at is not None:
        await runs.delivered(RUN_ID, delivered_at)
    assert (await runs.add(make_run(2, request_hash="same", created_at=at))).created is created


async def test_many_callers_with_one_request_get_one_run(runs: RunStore, open_another: Any) -> None:
    other: Stores = await open_another()
    made: list[bool] = []

    async def ask(number: int) -> None:
        store = runs if number % 2 else other.runs
        made.append((await store.add(make_run(number, request_hash="same"))).created)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for number in range(1, 21):
                tasks.start_soon(ask, number)
    assert sum(made) == 1
    assert len(await runs.find(limit=100)) == 1


# Finding


async def test_runs_are_found_newest_first_and_by_what_is_asked(runs: RunStore) -> None:
    await runs.add(make_run(1, session_id=SESSION_ID), session=make_session())
    await runs.add(make_run(2, principal="ann"))
    await runs.add(make_run(3, parent_run_id=run_id(1), root_run_id=run_id(1)))
    await saved(runs, await going(runs, 4), RunState.SUCCEEDED)

    async def found(**asked: Any) -> list[int]:
        return [int(run.id[-2:]) for run in await runs.find(**asked)]

    assert await found() == [4, 2, 1]
    assert await found(outermost=False) == [4, 3, 2, 1]
    assert await found(parent=run_id(1)) == [3]
    assert await found(principal="ann") == [2]
    assert await found(session_id=SESSION_ID) == [1]
    assert await found(states=[RunState.SUCCEEDED]) == [4]
    assert await found(limit=1, before=run_id(4)) == [2]
    assert await found(limit=-1) == []


# Claiming


async def test_what_is_claimed_is_running_and_one_claimer_s(runs: RunStore) -> None:
    await runs.add(make_run())
    [run] = await claim(runs)
    assert (run.state, run.owner, run.version, run.updated_at) == (RunState.RUNNING, OWNER, 1, NOW)
    assert await get(runs) == run
    assert await claim(runs, "worker-2") == []
    assert (await runs.history(RUN_ID))[1:] == [
        {"seq": 2, "origin": "queued", "target": "running", "at": NOW, "owner": OWNER}
    ]


async def test_two_processes_that_claim_at_once_get_each_run_once(runs: RunStore, open_another: Any) -> None:
    other: Stores = await open_another()
    for number in range(1, 31):
        await runs.add(make_run(number))
    got: list[str] = []

    async def take(store: RunStore, owner: str) -> None:
        while found := await claim(store, owner, limit=3):
            got.extend(run.id for run in found)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(take, (runs, other.runs)[number % 2], f"worker-{number}")
    assert sorted(got) == [run_id(number) for number in range(1, 31)]


async def test_a_limit_holds_and_what_is_due_longest_comes_first(runs: RunStore) -> None:
    for number, due_at in ((1, NOW - 1), (2, NOW), (3, NOW - 5), (4, NOW - 1)):
        await runs.add(make_run(number, due_at=due_at))
    assert [run.id for run in await claim(runs, limit=2)] == [run_id(3), run_id(1)]
    assert await claim(runs, limit=-1) == []
    assert [run.id for run in await claim(runs)] == [run_id(4), run_id(2)]


async def test_what_is_not_due_is_left_and_then_its_time_is_done_with(runs: RunStore) -> None:
    await runs.add(make_run(due_at=NOW + 1))
    assert await claim(runs, now=NOW) == []
    [run] = await claim(runs, now=NOW + 1)
    assert run.due_at == 0


async def test_a_run_that_was_given_back_while_it_runs_goes_on_without_an_event(runs: RunStore) -> None:
    run = await saved(runs, await going(runs), release=True, due_at=NOW + 9)
    assert (run.state, run.owner) == (RunState.RUNNING, None)
    assert await claim(runs, now=NOW + 8) == []
    [again] = await claim(runs, "worker-2", now=NOW + 9)
    assert (again.owner, again.version) == ("worker-2", 3)
    assert len(await runs.history(RUN_ID)) == 2


@pytest.mark.parametrize("state", sorted(State))
async def test_a_run_that_waits_for_jobs_goes_on_when_one_of_them_has_ended(store: Stores, state: State) -> None:
    await bring(store, state)
    await store.add(make_job(id=job_id(2), request_hash="2"))
    await waiting(store.runs, Awaits.WORK, waiting_for=(job_id(2), job_id(1)))
    assert [run.id for run in await claim(store.runs)] == [RUN_ID] * (state in JOB_ENDED)


async def test_a_run_that_waits_for_runs_goes_on_when_one_of_them_has_ended(runs: RunStore) -> None:
    third = await going(runs, 3)
    await runs.add(make_run(2, due_at=NOW + 99))
    await waiting(runs, Awaits.WORK, waiting_for=(run_id(2), run_id(3)))
    assert await claim(runs) == []
    await saved(runs, third, RunState.SUCCEEDED)
    [run] = await claim(runs)
    assert (run.id, run.waiting_for) == (RUN_ID, (run_id(2), run_id(3)))
    assert await runs.ended(run.waiting_for) == {run_id(3)}


@pytest.mark.parametrize(
    ("waiting_for", "due_at", "now", "claimed"),
    [
        ((run_id(9),), 0, NOW, False),
        ((run_id(9),), NOW + 10, NOW + 9, False),
        ((run_id(9),), NOW + 10, NOW + 10, True),
        ((run_id(8),), 0, NOW, True),  # it is not there
        ((), 0, NOW, True),  # nothing to wait for
    ],
)
async def test_a_run_that_waits_for_work_is_looked_at_in_its_time(
    runs: RunStore, waiting_for: tuple[str, ...], due_at: int, now: int, claimed: bool
) -> None:
    await runs.add(make_run(9, due_at=NOW + 10**9))
    await waiting(runs, Awaits.WORK, waiting_for=waiting_for, due_at=due_at)
    assert [run.id for run in await claim(runs, now=now)] == [RUN_ID] * claimed


@pytest.mark.parametrize("awaits", [Awaits.ANSWER, Awaits.CLIENT])
async def test_a_run_that_waits_for_somebody_is_claimed_only_to_be_cancelled(runs: RunStore, awaits: Awaits) -> None:
    run = await going(runs)
    await runs.request_cancel(RUN_ID, "local", NOW + 1)
    await waiting(runs, awaits, 2, due_at=NOW)
    run = await saved(runs, run, RunState.WAITING, awaits=awaits, question=QUESTION)
    [claimed] = await claim(runs, now=NOW + 10**6)
    assert (claimed.id, claimed.cancel_requested_at, claimed.question) == (RUN_ID, NOW + 1, None)


@pytest.mark.parametrize(
    ("awaits", "now", "claimed"),
    [(Awaits.CLIENT, NOW + 9, False), (Awaits.CLIENT, NOW + 10, True), (Awaits.ANSWER, NOW + 10, False)],
)
async def test_a_run_whose_client_never_came_back_is_claimed_at_its_deadline(
    runs: RunStore, awaits: Awaits, now: int, claimed: bool
) -> None:
    question = QUESTION if awaits is Awaits.ANSWER else None
    await runs.add(make_run(state=RunState.WAITING, awaits=awaits, question=question, deadline_at=NOW + 10))
    assert [run.id for run in await claim(runs, now=now)] == [RUN_ID] * claimed


async def test_a_claim_that_finds_nothing_writes_nothing(runs: RunStore, open_another: Any) -> None:
    other: Stores = await open_another()
    await waiting(runs, Awaits.ANSWER)
    before = await other.data_version()
    assert await claim(runs, now=NOW + 10**6) == []
    assert await other.data_version() == before
    assert await runs.claim_callbacks(NOW + 10**6, NOW + 10**7, 10) == []
    assert await other.data_version() == before


async def test_ended_runs_are_never_claimed(runs: RunStore) -> None:
    for number, state in enumerate(sorted(ENDED), 1):
        await saved(runs, await going(runs, number), state)
    assert await claim(runs, now=NOW + 10**9) == []


async def test_what_has_ended_or_is_not_there_is_told_apart_from_what_goes_on(store: Stores) -> None:
    await bring(store, State.SUCCEEDED, make_job(id=job_id(1)))
    await store.add(make_job(id=job_id(2), request_hash="2"))
    await saved(store.runs, await going(store.runs, 1), RunState.CANCELLED)
    await waiting(store.runs, Awaits.ANSWER, 2)
    ids = [job_id(1), job_id(2), job_id(3), run_id(1), run_id(2), run_id(3)]
    assert await store.runs.ended(ids) == {job_id(1), job_id(3), run_id(1), run_id(3)}
    assert await store.runs.ended([]) == frozenset()


def test_a_run_knows_its_outermost_one() -> None:
    assert make_run().root == RUN_ID
    assert make_run(root_run_id=run_id(9)).root == run_id(9)
    assert Run.model_validate(make_run(state="failed")).ended
