"""A run waits for jobs and for people, and goes on with what came of it."""

from dataclasses import replace
from typing import Any

import pytest
from helpers_llm import OWNER, World, calls, results, says
from pydantic_ai.messages import TextPart

from darkroom.domain.job import State
from darkroom.domain.run import Awaits, Run, RunState
from darkroom.llm.limits import LOOK_S
from darkroom.llm.loop import Loop
from factories import NOW
from helpers_services import run_until, succeed

FOX, DOG = ("generate_image", {"prompt": "a fox"}), ("generate_image", {"prompt": "a dog"})


def wait_for(world: World, run: Run) -> Any:
    """Return a model's wish to wait for all that the run started."""

    def say(messages: Any, params: Any) -> Any:
        del messages, params
        ids = [action.job_id for action in world.runs.rows[run.id].actions]
        return calls(("wait_for_jobs", {"job_ids": ids}))

    return say


async def finish(world: World, job_id: str | None) -> None:
    job = await world.app.store.get(job_id or "")
    assert job is not None
    await succeed(world.app, job)


async def test_a_run_waits_until_all_its_jobs_have_ended(paid: World) -> None:
    run = paid.start()
    model = paid.says(calls(FOX, DOG), wait_for(paid, run), says("Both are done."))
    waiting = await paid.think(run)
    first, second = sorted(waiting.waiting_for)
    assert (waiting.state, waiting.awaits, waiting.owner) == (RunState.WAITING, Awaits.WORK, None)
    assert waiting.waiting_for == tuple(action.job_id for action in waiting.actions)
    assert waiting.due_at == NOW + LOOK_S * 1000
    await finish(paid, first)
    still = await paid.think(run)
    assert (still.state, still.waiting_for) == (RunState.WAITING, (second,))
    assert len(model.asked) == 2, "the model is asked when there is something to tell"
    await finish(paid, second)
    done = await paid.think(run)
    assert done.output == "Both are done."
    [told] = results(model.asked[2])
    assert [(row["job_id"], row["status"], len(row["outputs"])) for row in told["jobs"]] == [
        (job_id, "succeeded", 1) for job_id in waiting.waiting_for
    ]
    assert "path" in told["jobs"][0]["outputs"][0]


async def test_jobs_that_have_ended_are_told_at_once(paid: World) -> None:
    run = paid.start()

    async def end() -> None:
        await finish(paid, paid.runs.rows[run.id].actions[0].job_id)

    model = paid.says(calls(FOX), calls(("ask_user", {"question": "Now?"}), prefix="q"), wait_for(paid, run), says("x"))
    await paid.think(run)
    await end()
    paid.runs.answer(run.id, "now")
    done = await paid.think(run)
    assert done.state is RunState.SUCCEEDED
    assert results(model.asked[3])[0]["jobs"][0]["status"] == "succeeded"


async def test_the_deadline_ends_a_wait(paid: World) -> None:
    run = paid.start(deadline_at=NOW + 60_000)
    paid.says(calls(FOX), wait_for(paid, run), says("x"))
    waiting = await paid.think(run)
    assert waiting.due_at == NOW + 60_000
    paid.clock.advance(61)
    ended = await paid.think(run)
    assert (ended.error or {})["code"] == "timed_out"
    assert len(await paid.jobs()) == 1


async def test_a_question_waits_for_the_user_and_its_answer_goes_to_the_model(free: World) -> None:
    model = free.says(calls(("ask_user", {"question": "Which colour?", "input_name": "colour"})), says("Blue it is."))
    run = await free.think(free.start())
    assert (run.state, run.awaits, run.due_at) == (RunState.WAITING, Awaits.ANSWER, 0)
    assert run.question is not None
    assert (run.question.text, run.question.key, run.question.call_id) == ("Which colour?", "colour", "c0")
    free.runs.answer(run.id, "blue, <b>please</b>")
    assert (await free.think(run)).output == "Blue it is."
    assert results(model.asked[1]) == [{"answer": "blue, <b>please</b>"}]


async def test_several_questions_and_jobs_of_one_answer_are_waited_for_in_turn(paid: World) -> None:
    run = paid.start()

    def all_at_once(messages: Any, params: Any) -> Any:
        del messages, params
        job_id = paid.runs.rows[run.id].actions[0].job_id
        questions = [("ask_user", {"question": text}) for text in ("One?", "Two?")]
        waits = [("wait_for_jobs", {"job_ids": [job_id]}), ("wait_for_jobs", {"job_ids": [job_id]})]
        return calls(questions[0], waits[0], ("estimate", {"operation": "image"}), questions[1], waits[1], prefix="m")

    model = paid.says(calls(FOX), all_at_once, says("Done."))
    asked = await paid.think(run)
    assert asked.question is not None
    assert asked.question.text == "One?"
    paid.runs.answer(run.id, "first")
    asked = await paid.think(run)
    assert asked.question is not None
    assert asked.question.text == "Two?"
    paid.runs.answer(run.id, "second")
    waiting = await paid.think(run)
    assert (waiting.awaits, len(waiting.waiting_for)) == (Awaits.WORK, 1)
    await finish(paid, waiting.waiting_for[0])
    assert (await paid.think(run)).output == "Done."
    told = {
        part.tool_call_id: part.model_response_str()
        for message in model.asked[2][4:]
        for part in message.parts
        if part.part_kind == "tool-return"
    }
    assert sorted(told) == ["m0", "m1", "m2", "m3", "m4"]
    assert (told["m0"], told["m3"]) == ('{"answer": "first"}', '{"answer": "second"}')
    assert "succeeded" in told["m1"]
    assert told["m1"] == told["m4"]
    assert len(model.asked) == 3


async def test_a_job_of_which_nobody_knows_when_it_ends_is_told_as_it_is(paid: World) -> None:
    run = paid.start()
    model = paid.says(calls(FOX), wait_for(paid, run), wait_for(paid, run), says("Nobody knows."))
    waiting = await paid.think(run)
    await run_until(paid.app, waiting.waiting_for[0], State.SUBMIT_UNKNOWN)
    assert (await paid.think(run)).output == "Nobody knows."
    assert [results(asked)[0]["jobs"][0]["status"] for asked in model.asked[2:]] == ["submit_unknown"] * 2


# Cancelling


def cancelled(world: World, run: Run) -> None:
    now = world.runs.rows[run.id]
    world.runs.rows[run.id] = now.model_copy(update={"cancel_requested_at": world.clock.now()})


async def test_a_wish_to_cancel_stops_before_the_model_is_asked(free: World) -> None:
    model = free.says(says("x"))
    run = free.start()
    cancelled(free, run)
    ended = await free.think(run)
    assert (ended.state, ended.output, len(model.asked)) == (RunState.CANCELLED, None, 0)


async def test_a_wish_to_cancel_stops_between_tools_and_leaves_what_is_started(free: World) -> None:
    run = free.start()

    def saved(number: int, change: Any) -> None:
        del number
        if change.actions:
            cancelled(free, run)

    free.runs.after = saved
    free.says(calls(FOX, DOG), says("x"))
    ended = await free.think(run)
    assert ended.state is RunState.CANCELLED
    assert len(ended.actions) == len(await free.jobs()) == 1
    assert [row[1] for row in free.runs.kinds(run.id)] == ["reserved", "settled"]


async def test_a_wish_to_cancel_stops_between_turns_with_the_last_words(free: World) -> None:
    run = free.start()

    def said(messages: Any, params: Any) -> Any:
        del messages, params
        cancelled(free, run)
        answer = calls(("estimate", {"operation": "image"}))
        return replace(answer, parts=[TextPart("First the price."), *answer.parts])

    free.says(said)
    ended = await free.think(run)
    assert (ended.state, ended.output) == (RunState.CANCELLED, "First the price.")


async def test_a_wish_to_cancel_during_the_last_turn_keeps_its_words_and_books_it(free: World) -> None:
    run = free.start()

    def said(messages: Any, params: Any) -> Any:
        del messages, params
        cancelled(free, run)
        return says("Salt water.")

    free.says(said)
    ended = await free.think(run)
    assert (ended.state, ended.output, ended.output_tokens) == (RunState.CANCELLED, "Salt water.", 10)
    assert [row[1] for row in free.runs.kinds(run.id)] == ["reserved", "settled"]


async def test_a_run_that_is_taken_while_it_is_cancelled_is_left_alone(
    free: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = free.start()
    cancelled(free, run)

    async def lost(*parts: object) -> None:
        return None

    claimed = free.runs.claim(run.id)
    monkeypatch.setattr(free.runs, "save", lost)
    assert await Loop(free.kit).think(claimed, OWNER) is None
