"""What `store/run_base.py` promises of moves: saving, answers, cancels, lost owners, and who hears of it."""

from typing import Any

import anyio
import pytest

from darkroom.domain.job import State
from darkroom.domain.run import ENDED, MOVES, Action, Awaits, Mode, Question, RunState
from darkroom.errors import StorageError
from darkroom.events import Bus
from darkroom.store.run_base import RunStore
from factories import NOW, OWNER, job_id, make_job, make_worker
from helpers_runs import (
    QUESTION,
    RUN_ID,
    Stores,
    claim,
    get,
    going,
    make_callback,
    make_change,
    make_run,
    moves_of,
    run_id,
    saved,
    waiting,
)
from helpers_store import bring

pytestmark = pytest.mark.anyio


# Saving


async def test_everything_in_a_change_is_written_together(runs: RunStore) -> None:
    run = await going(runs)
    change: dict[str, Any] = {
        "mode": Mode.CLIENT,
        "model": "other/model",
        "waiting_for": (job_id(1),),
        "turn": 2,
        "work": {"messages": [1]},
        "actions": (Action(tool="generate_image", job_id=job_id(1), key="run/1/1"),),
        "output": "Füchse",
        "data": {"a": 1},
        "brief": {"b": 2},
        "error": {"c": 3},
        "warnings": ("careful", "careful"),
        "input_tokens": 5,
        "output_tokens": 6,
        "due_at": NOW + 7,
    }
    after = await saved(runs, run, **change)
    expected = {**change, "warnings": ("careful",), "version": 2, "updated_at": NOW + 5_000}
    assert after == run.model_copy(update=expected)
    assert await get(runs) == after
    assert len(await runs.history(RUN_ID)) == 2, "the same state is no event"


async def test_what_a_change_does_not_name_stays_and_lists_and_sums_grow(runs: RunStore) -> None:
    first = Action(tool="generate_image", job_id=job_id(1), key="run/1/1")
    run = await saved(
        runs,
        await going(runs),
        actions=(first,),
        warnings=("one",),
        input_tokens=5,
        output_tokens=1,
        output="x",
        turn=1,
    )
    other, repeated = Action(tool="run_agent", run_id=run_id(2), key="run/1/2"), Action(tool="other", key="run/1/1")
    after = await saved(runs, run, actions=(repeated, other), warnings=("two", "one"), input_tokens=2, output_tokens=3)
    assert after.actions == (first, other)
    assert after.warnings == ("one", "two")
    assert (after.input_tokens, after.output_tokens, after.output, after.turn) == (7, 4, "x", 1)


@pytest.mark.parametrize(
    ("version", "owner"), [(0, OWNER), (2, OWNER), (1, "worker-2"), (1, "")], ids=["older", "newer", "other", "nobody"]
)
async def test_another_version_or_owner_changes_nothing(runs: RunStore, version: int, owner: str) -> None:
    run = await going(runs)
    change = make_change(RunState.SUCCEEDED, output="x")
    assert await runs.save(run.model_copy(update={"version": version}), owner, change) is None
    assert await get(runs) == run


async def test_what_is_not_there_is_not_saved(runs: RunStore) -> None:
    assert await runs.save(make_run(), OWNER, make_change()) is None


async def test_one_of_many_that_save_one_version_wins(runs: RunStore, open_another: Any) -> None:
    other: Stores = await open_another()
    run = await going(runs)
    won: list[str] = []

    async def save(number: int) -> None:
        store = runs if number % 2 else other.runs
        if await store.save(run, OWNER, make_change(output=str(number))):
            won.append(str(number))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(save, number)
    assert [(await get(runs)).output] == won


@pytest.mark.parametrize("target", sorted(RunState))
async def test_a_running_run_makes_the_moves_of_the_table_and_no_other(runs: RunStore, target: RunState) -> None:
    run = await going(runs)
    awaits = Awaits.CLIENT if target is RunState.WAITING else None
    after = await saved(runs, run, target, awaits=awaits, error={"message": "It broke."})
    assert target in {*MOVES[RunState.RUNNING], RunState.RUNNING}
    assert after.state is target
    assert after.owner == (OWNER if target is RunState.RUNNING else None)
    assert after.finished_at == (NOW + 5_000 if target in ENDED else None)
    last = (await runs.history(RUN_ID))[-1]
    if target is not RunState.RUNNING:
        detail = "client" if target is RunState.WAITING else "It broke."
        assert last == {
            "seq": 3,
            "origin": "running",
            "target": target,
            "at": NOW + 5_000,
            "owner": OWNER,
            "detail": detail,
        }


async def test_a_move_that_the_table_does_not_have_is_refused(runs: RunStore) -> None:
    run = make_run(state=RunState.QUEUED, owner=OWNER)
    await runs.add(run)
    with pytest.raises(ValueError, match="no move from queued to succeeded"):
        await runs.save(run, OWNER, make_change(RunState.SUCCEEDED, output="x"))
    assert await get(runs) == run


async def test_a_run_waits_for_something(runs: RunStore) -> None:
    run = await going(runs)
    with pytest.raises(ValueError, match="says what it awaits"):
        await runs.save(run, OWNER, make_change(RunState.WAITING))
    assert await get(runs) == run


async def test_what_a_run_awaits_and_asks_is_kept_while_it_waits_alone(runs: RunStore) -> None:
    run = await saved(runs, await going(runs), question=QUESTION, awaits=Awaits.ANSWER)
    assert (run.awaits, run.question) == (None, None), "it does not wait"
    run = await saved(runs, run, RunState.WAITING, question=QUESTION, awaits=Awaits.CLIENT)
    assert (run.awaits, run.question) == (Awaits.CLIENT, QUESTION)
    taken = await runs.take(RUN_ID, OWNER, Awaits.CLIENT, NOW)
    assert taken is not None
    assert (taken.awaits, taken.question) == (None, None)


# Taking


async def test_a_run_is_taken_once_and_only_for_what_it_awaits(runs: RunStore) -> None:
    await waiting(runs, Awaits.CLIENT, due_at=NOW + 9)
    assert await runs.take(RUN_ID, OWNER, Awaits.WORK, NOW) is None
    assert await runs.take(run_id(2), OWNER, Awaits.CLIENT, NOW) is None
    run = await runs.take(RUN_ID, "worker-2", Awaits.CLIENT, NOW + 3)
    assert run is not None
    assert (run.state, run.owner, run.due_at, run.updated_at) == (RunState.RUNNING, "worker-2", 0, NOW + 3)
    assert await runs.take(RUN_ID, OWNER, Awaits.CLIENT, NOW) is None
    assert (await runs.history(RUN_ID))[-1]["owner"] == "worker-2"


async def test_a_waiting_run_that_somebody_owns_is_not_taken(runs: RunStore) -> None:
    await runs.add(make_run(state=RunState.WAITING, awaits=Awaits.CLIENT, owner=OWNER))
    assert await runs.take(RUN_ID, "worker-2", Awaits.CLIENT, NOW) is None


# Answers


async def test_an_answer_is_kept_with_its_question_and_the_run_goes_on(runs: RunStore) -> None:
    await waiting(runs, Awaits.ANSWER, due_at=NOW + 10**6)
    run = await runs.answer(RUN_ID, "local", "Rot", NOW + 8)
    assert run is not None
    assert (run.state, run.awaits, run.question, run.due_at) == (RunState.QUEUED, None, None, 0)
    assert [(one.question, one.text, one.at) for one in run.answers] == [(QUESTION, "Rot", NOW + 8)]
    [claimed] = await claim(runs)
    again = await saved(runs, claimed, RunState.WAITING, awaits=Awaits.ANSWER, question=Question(text="Which size?"))
    assert again.answers == run.answers
    run = await runs.answer(RUN_ID, "local", "Large", NOW + 9)
    assert run is not None
    assert [one.text for one in run.answers] == ["Rot", "Large"]


async def test_only_its_principal_answers_a_run_that_asks(runs: RunStore) -> None:
    await waiting(runs, Awaits.ANSWER)
    assert await runs.answer(RUN_ID, "ann", "Rot", NOW) is None
    assert await runs.answer(run_id(2), "local", "Rot", NOW) is None
    assert await runs.answer(RUN_ID, "local", "Rot", NOW) is not None
    assert await runs.answer(RUN_ID, "local", "Blau", NOW) is None, "it asks no more"
    assert [one.text for one in (await get(runs)).answers] == ["Rot"]


@pytest.mark.parametrize(("awaits", "question"), [(Awaits.CLIENT, QUESTION), (Awaits.ANSWER, None)])
async def test_a_run_that_asks_nothing_is_not_answered(
    runs: RunStore, awaits: Awaits, question: Question | None
) -> None:
    before = await waiting(runs, awaits, question=question)
    assert await runs.answer(RUN_ID, "local", "Rot", NOW) is None
    assert await get(runs) == before


async def test_two_answers_at_once_make_one(runs: RunStore, open_another: Any) -> None:
    other: Stores = await open_another()
    await waiting(runs, Awaits.ANSWER)
    kept: list[str] = []

    async def say(store: RunStore, text: str) -> None:
        if await store.answer(RUN_ID, "local", text, NOW):
            kept.append(text)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(say, (runs, other.runs)[number % 2], str(number))
    assert [one.text for one in (await get(runs)).answers] == kept
    assert len(kept) == 1


# Cancelling


@pytest.mark.parametrize("awaits", [None, *Awaits])
async def test_what_nobody_advances_is_cancelled_at_once(runs: RunStore, awaits: Awaits | None) -> None:
    await (waiting(runs, awaits, waiting_for=(run_id(9),)) if awaits else runs.add(make_run()))
    before = await get(runs)
    run = await runs.request_cancel(RUN_ID, "local", NOW + 6)
    assert run is not None
    assert (run.state, run.awaits, run.question) == (RunState.CANCELLED, None, None)
    assert (run.cancel_requested_at, run.finished_at, run.version) == (NOW + 6, NOW + 6, before.version + 1)
    assert (await moves_of(runs))[-1] == (before.state, "cancelled")
    assert await runs.request_cancel(RUN_ID, "local", NOW + 7) == run, "nothing more happens"


async def test_a_run_that_is_advanced_gets_a_flag_and_its_owner_still_saves(runs: RunStore) -> None:
    run = await going(runs)
    for at in (NOW + 1, NOW + 2):
        flagged = await runs.request_cancel(RUN_ID, "local", at)
        assert flagged is not None
        assert (flagged.state, flagged.version, flagged.cancel_requested_at) == (RunState.RUNNING, 1, NOW + 1)
    after = await saved(runs, run, RunState.CANCELLED)
    assert (after.state, after.cancel_requested_at) == (RunState.CANCELLED, NOW + 1)


@pytest.mark.parametrize(
    ("target", "after"),
    [(RunState.SUCCEEDED, RunState.CANCELLED), (RunState.FAILED, RunState.FAILED), (None, RunState.RUNNING)],
)
async def test_a_success_after_the_flag_is_a_cancelled_run_that_keeps_what_it_said(
    runs: RunStore, target: RunState | None, after: RunState
) -> None:
    run = await going(runs)
    await runs.request_cancel(RUN_ID, "local", NOW + 1)
    ended = await saved(runs, run, target, output="Salt water.")
    assert (ended.state, ended.output, ended.finished_at is not None) == (after, "Salt water.", after in ENDED)
    assert (await moves_of(runs))[-1] == (("running", after) if target else ("queued", "running"))


async def test_a_run_that_is_to_be_cancelled_asks_nothing(runs: RunStore) -> None:
    run = await going(runs)
    await runs.request_cancel(RUN_ID, "local", NOW + 1)
    await saved(runs, run, RunState.WAITING, awaits=Awaits.ANSWER, question=QUESTION)
    assert await runs.answer(RUN_ID, "local", "Rot", NOW) is None
    cancelled = await runs.request_cancel(RUN_ID, "local", NOW + 2)
    assert cancelled is not None
    assert (cancelled.state, cancelled.cancel_requested_at) == (RunState.CANCELLED, NOW + 1)


async def test_only_its_principal_cancels_a_run(runs: RunStore) -> None:
    await runs.add(make_run())
    assert await runs.request_cancel(RUN_ID, "ann", NOW) is None
    assert await runs.request_cancel(run_id(2), "local", NOW) is None
    assert (await get(runs)).state is RunState.QUEUED


async def test_of_a_cancel_and_an_end_at_once_one_is_first(runs: RunStore, open_another: Any) -> None:
    other: Stores = await open_another()
    for number in range(1, 16):
        run = await going(runs, number)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(runs.save, run, OWNER, make_change(RunState.SUCCEEDED))
            tasks.start_soon(other.runs.request_cancel, run.id, "local", NOW + 1)
        after = await get(runs, number)
        stopped = after.cancel_requested_at is not None
        assert after.state is (RunState.CANCELLED if stopped else RunState.SUCCEEDED)
        assert len(await runs.history(run.id)) == 3


# Being delivered


async def test_a_run_is_delivered_once_and_not_before_its_end(runs: RunStore) -> None:
    run = await going(runs)
    await runs.delivered(RUN_ID, NOW + 1)
    assert (await get(runs)).delivered_at is None
    await saved(runs, run, RunState.FAILED)
    await runs.delivered(RUN_ID, NOW + 2)
    await runs.delivered(RUN_ID, NOW + 3)
    assert (await get(runs)).delivered_at == NOW + 2


# Lost owners


async def test_what_a_dead_process_ran_is_queued_again_with_what_it_had(store: Stores) -> None:
    for owner in ("dead", "alive"):
        await store.register(make_worker(id=owner))
    run = await going(store.runs, 1, "dead")
    run = await saved(store.runs, run, turn=1, work={"messages": [1]}, due_at=NOW + 10**6)
    await going(store.runs, 2, "alive")
    await waiting(store.runs, Awaits.ANSWER, 3)
    before = await get(store.runs, 3)
    assert await store.reap(["dead"], NOW + 9) == []
    found = await get(store.runs)
    expected = {"state": RunState.QUEUED, "owner": None, "version": 3, "updated_at": NOW + 9, "due_at": 0}
    assert found == run.model_copy(update=expected)
    assert (await store.runs.history(RUN_ID))[-1] == {
        "seq": 3,
        "origin": "running",
        "target": "queued",
        "at": NOW + 9,
        "owner": "dead",
        "detail": "its process ended",
    }
    assert (await get(store.runs, 2)).owner == "alive"
    assert await get(store.runs, 3) == before
    assert await store.runs.save(run, "dead", make_change(RunState.SUCCEEDED)) is None, "it is too late"
    assert [one.id for one in await claim(store.runs, "alive")] == [RUN_ID]


async def test_jobs_and_runs_of_a_dead_process_are_freed_together(store: Stores) -> None:
    await bring(store, State.RUNNING, make_job())
    await going(store.runs)
    assert await store.reap([], NOW + 9) == [make_job().id]
    assert (await get(store.runs)).owner is None


# Who hears of it


async def test_every_change_of_a_run_wakes_its_waiters_and_the_scheduler(store: Stores, bus: Bus) -> None:
    await store.register(make_worker())

    async def heard(work: Any, *, run: bool = True) -> None:
        with bus.watch(RUN_ID) as watch:
            await bus.next_run_work(0)
            await work
            assert await watch.wait(0) is run
        with anyio.fail_after(5):
            await bus.next_run_work(3600)

    await heard(store.runs.add(make_run()), run=False)
    await heard(claim(store.runs))
    await heard(saved(store.runs, await get(store.runs), RunState.WAITING, awaits=Awaits.CLIENT))
    await heard(store.runs.take(RUN_ID, OWNER, Awaits.CLIENT, NOW))
    await heard(saved(store.runs, await get(store.runs), RunState.WAITING, awaits=Awaits.ANSWER, question=QUESTION))
    await heard(store.runs.answer(RUN_ID, "local", "Rot", NOW))
    await claim(store.runs)
    await heard(store.reap([OWNER], NOW))
    await heard(store.runs.request_cancel(RUN_ID, "local", NOW))
    await heard(bring(store, State.SUCCEEDED), run=False)
    await heard(store.add(make_job(), callback=make_callback()), run=False)


async def test_what_does_not_happen_wakes_nobody(runs: RunStore, bus: Bus) -> None:
    run = await going(runs)
    with bus.watch(RUN_ID) as watch:
        assert await runs.save(run, "other", make_change()) is None
        assert await runs.answer(RUN_ID, "local", "Rot", NOW) is None
        assert not await watch.wait(0)


async def test_a_store_that_is_not_open_says_so_of_runs_too(make_store: Any) -> None:
    store: Stores = make_store()
    with pytest.raises(StorageError, match="not open"):
        await store.runs.add(make_run())
    with pytest.raises(StorageError, match="not open"):
        await store.runs.get(RUN_ID)
