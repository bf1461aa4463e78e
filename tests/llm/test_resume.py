"""A run that was broken off anywhere goes on where it was: nothing is started twice, and every call is booked."""

from collections.abc import Callable
from typing import Any

import pytest
from helpers_llm import OWNER, Killed, Say, World, calls, says

from darkroom.domain.job import Job, LedgerKind
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import RunState
from darkroom.errors import StorageFull
from darkroom.llm.limits import BROKEN
from darkroom.llm.loop import Loop
from helpers_services import succeed

FOX, DOG = ("generate_image", {"prompt": "a fox"}), ("generate_image", {"prompt": "a dog"})


def script(run_jobs: Callable[[], list[str]]) -> Callable[..., Any]:
    """Return what the model says to a conversation, whenever it is asked: two jobs, a wait, a question, the end."""

    def said(messages: Any, params: Any) -> Any:
        del params
        answers = sum(message.kind == "response" for message in messages)
        steps: list[Say] = [
            calls(FOX, DOG),
            calls(("wait_for_jobs", {"job_ids": run_jobs()}), prefix="w"),
            calls(("ask_user", {"question": "Enough?"}), ("estimate", {"operation": "image"}), prefix="q"),
            says("All done."),
        ]
        step = steps[answers]
        assert not isinstance(step, Exception)
        return step

    return said


async def finish_jobs(world: World) -> None:
    for job_id in await world.jobs():
        job = await world.app.store.get(job_id)
        assert isinstance(job, Job)
        if not job.ended:
            await succeed(world.app, job)


async def drive(world: World, run_id: str) -> int:
    """Advance a run as a runtime does, through every kill, until it ends; return how often it was killed."""
    kills = 0
    for _ in range(60):
        run = world.runs.rows[run_id]
        if run.ended:
            return kills
        if run.state is RunState.WAITING and run.question is not None:
            world.runs.answer(run_id, "yes")
        elif run.state is RunState.WAITING:
            await finish_jobs(world)
        claimed = world.runs.claim(run_id)
        try:
            await Loop(world.kit).think(claimed, OWNER)
        except Killed:
            kills += 1
    raise AssertionError("it never ends")


def saves() -> int:
    """Return the number of saves of the run above."""
    return 14


async def check(world: World, run_id: str, kills: int) -> None:
    run = world.runs.rows[run_id]
    assert (run.state, run.output) == (RunState.SUCCEEDED, "All done.")
    assert [action.key for action in run.actions] == [f"{run_id}/1/0", f"{run_id}/1/1"]
    assert await world.jobs() == sorted(action.job_id or "" for action in run.actions), "nothing was started twice"
    rows = world.runs.kinds(run_id)
    turns = sorted({turn for turn, _, _, _ in rows})
    assert turns == list(range(1, run.turn + 1))
    for turn in turns:
        kinds = [kind for number, kind, _, _ in rows if number == turn]
        assert kinds == ["reserved", "settled"], "every call is booked to its end"
    assert 4 <= run.turn <= 4 + kills
    uncertain = [row for row in rows if row[1] == "settled" and not row[3]]
    assert len(uncertain) == run.turn - 4, "what was broken off stays booked"
    guesses = {row.submission: row.guess for row in world.runs.books if row.kind is LedgerKind.RESERVED}
    for turn, _, amount, _ in uncertain:
        assert amount == guesses[turn]
        assert any(f"Turn {turn} was broken off" in warning for warning in run.warnings)
    sure = sum(amount for _, kind, amount, certain in rows if kind == "settled" and certain)
    assert sure == 4 * 120, "the turns that were answered cost what they cost without a kill"


async def test_the_boundaries_below_are_all_there_are(paid: World) -> None:
    run = paid.start(session_id="ses_1")
    paid.says(script(lambda: [action.job_id or "" for action in paid.runs.rows[run.id].actions]))
    assert await drive(paid, run.id) == 0
    await check(paid, run.id, 0)
    assert len(paid.runs.changes) == saves()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("number", range(saves()))
async def test_a_kill_at_any_save_loses_and_repeats_nothing(paid: World, number: int, moment: str) -> None:
    run = paid.start(session_id="ses_1")
    paid.says(script(lambda: [action.job_id or "" for action in paid.runs.rows[run.id].actions]))
    killed: list[int] = []

    def kill(at: int, change: object) -> None:
        del change
        if at == number and not killed:
            killed.append(at)
            raise Killed

    setattr(paid.runs, moment, kill)
    kills = await drive(paid, run.id)
    assert kills == len(killed)
    await check(paid, run.id, kills)
    assert len(paid.runs.sessions["ses_1"].history) == 2


@pytest.mark.parametrize("number", range(4))
async def test_a_kill_while_the_model_is_asked_leaves_the_call_booked(paid: World, number: int) -> None:
    run = paid.start()
    say = script(lambda: [action.job_id or "" for action in paid.runs.rows[run.id].actions])
    asked: list[int] = []

    def killing(messages: Any, params: Any) -> Any:
        asked.append(1)
        if len(asked) == number + 1:
            raise Killed
        return say(messages, params)

    paid.says(killing)
    assert await drive(paid, run.id) == 1
    await check(paid, run.id, 1)
    assert paid.runs.rows[run.id].turn == 5


async def test_many_kills_do_not_use_up_a_small_cap(paid: World) -> None:
    run = paid.start(max_cost=MicroUsd(110_000))
    say = script(lambda: [action.job_id or "" for action in paid.runs.rows[run.id].actions])
    asked: list[int] = []

    def killing(messages: Any, params: Any) -> Any:
        asked.append(1)
        if len(asked) % 2:
            raise Killed
        return say(messages, params)

    paid.says(killing)
    kills = await drive(paid, run.id)
    assert kills == 4
    reserved = [row.micro_usd for row in paid.runs.books if row.kind is LedgerKind.RESERVED]
    ended = paid.runs.rows[run.id]
    assert (ended.state, ended.output) == (RunState.SUCCEEDED, "All done.")
    assert kills * min(reserved) + 80_000 > 110_000, "at the highest price they would have"


async def test_a_job_that_was_started_and_not_noted_is_the_same_job_afterwards(paid: World) -> None:
    run = paid.start(max_cost=70_000)
    paid.says(script(lambda: [action.job_id or "" for action in paid.runs.rows[run.id].actions]))
    killed: list[int] = []

    def kill(at: int, change: Any) -> None:
        if change.actions and not killed:
            killed.append(at)
            raise Killed

    paid.runs.before = kill
    with pytest.raises(Killed):
        await Loop(paid.kit).think(paid.runs.claim(run.id), OWNER)
    [first] = await paid.jobs()
    assert paid.runs.rows[run.id].actions == ()
    await Loop(paid.kit).think(paid.runs.claim(run.id), OWNER)
    [action] = paid.runs.rows[run.id].actions
    assert action.job_id == first, "the cap is not counted against what is already started"


async def test_a_call_that_is_broken_off_again_and_again_ends_the_run(free: World) -> None:
    def killing(messages: Any, params: Any) -> Any:
        raise Killed

    free.says(killing)
    run = free.start()
    for _ in range(BROKEN):
        with pytest.raises(Killed):
            await Loop(free.kit).think(free.runs.claim(run.id), OWNER)
    ended = await free.think(run)
    assert ended.state is RunState.FAILED
    assert (ended.error or {})["code"] == "submit_unknown"
    assert f"{BROKEN} times in a row" in (ended.error or {})["message"]
    assert [row[1:2] + row[3:] for row in free.runs.kinds(run.id)] == [("reserved", True), ("settled", False)] * BROKEN


async def test_a_fault_of_our_disk_is_no_answer_to_the_model(free: World, monkeypatch: pytest.MonkeyPatch) -> None:
    free.says(calls(FOX), says("x"))

    async def full(*parts: object) -> None:
        raise StorageFull("The disk is full.")

    monkeypatch.setattr(free.kit.generation, "start", full)
    run = free.start()
    with pytest.raises(StorageFull):
        await Loop(free.kit).think(free.runs.claim(run.id), OWNER)
    monkeypatch.undo()
    free.says(says("Better now."))
    assert free.runs.rows[run.id].state is RunState.RUNNING
    assert (await free.think(run)).output == "Better now."
    assert len(await free.jobs()) == 1
