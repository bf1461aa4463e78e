"""Every run ends: by its turns, tokens, money and time, and where a model does nothing of use."""

from dataclasses import replace
from typing import Any

import pytest
from helpers_llm import World, calls, results, says
from pydantic_ai.messages import TextPart, ThinkingPart, ToolCallPart

from darkroom.domain.run import Run, RunState
from darkroom.llm import durable
from darkroom.llm.limits import REFUSALS, RETRIES, SAME_CALLS, TURNS, most_tokens, pause_s, rough_tokens
from factories import NOW


def failed(run: Run, code: str) -> dict[str, Any]:
    """Return the error of a run that failed with it, and that says what is kept and how to go on."""
    assert run.state is RunState.FAILED
    error = run.error or {}
    assert error["code"] == code, error
    assert "run_agent" in error["hint"]
    return error


def different() -> Any:
    """Return a model that looks for another skill each time."""
    number = 0

    def say(messages: Any, params: Any) -> Any:
        nonlocal number
        del messages, params
        number += 1
        answer = calls(("search_skills", {"words": f"number {number}"}))
        return replace(answer, parts=[TextPart(f"Step {number}."), *answer.parts])

    return say


def test_tokens_are_told_without_a_tokenizer() -> None:
    assert (rough_tokens("abcde"), most_tokens("abcde"), rough_tokens("")) == (2, 2, 0)
    assert most_tokens("日本語") == 3
    assert [pause_s(number) for number in (1, 2, 3)] == [3, 6, 12]
    assert sum(pause_s(number) for number in range(1, REFUSALS + 1)) == 45


async def test_turns_are_bounded_and_what_was_said_is_kept(free: World) -> None:
    model = free.says(different())
    run = await free.think(free.start("do it", session_id="ses_1"))
    error = failed(run, "unexpected_answer")
    assert f"no end in {TURNS} turns" in error["message"]
    assert len(model.asked) == TURNS == run.turn
    assert run.output == f"Step {TURNS}."
    assert "session_id='ses_1'" in error["hint"]
    asked, answered = [message.content for message in free.runs.sessions["ses_1"].history]
    assert asked == "do it"
    assert answered.startswith(f"Step {TURNS}.\n\n[This was broken off: The model came to no end")


async def test_a_session_remembers_what_a_broken_off_run_started(free: World) -> None:
    def draws(messages: Any, params: Any) -> Any:
        del messages, params
        free.clock.advance(60)
        return calls(("generate_image", {"prompt": "a fox"}))

    free.says(draws)
    run = await free.think(free.start("do it", session_id="ses_1", deadline_at=NOW + 30_000))
    failed(run, "timed_out")
    asked, answered = [message.content for message in free.runs.sessions["ses_1"].history]
    assert asked == "do it"
    assert f"are kept: {run.actions[0].job_id}.]" in answered


async def test_tokens_are_bounded(free: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "TOKENS", 300)
    free.says(different())
    run = await free.think(free.start())
    assert "300 tokens" in failed(run, "unexpected_answer")["message"]
    assert run.turn == 3


async def test_time_is_bounded_between_turns_and_at_the_beginning(free: World) -> None:
    def slow(messages: Any, params: Any) -> Any:
        del messages, params
        free.clock.advance(60)
        return calls(("generate_image", {"prompt": "a fox"}), ("search_skills", {"words": "fox"}))

    free.says(slow)
    run = await free.think(free.start(deadline_at=NOW + 30_000))
    error = failed(run, "timed_out")
    assert run.turn == 1
    assert f"What it started is kept, and goes on: {run.actions[0].job_id}" in error["hint"]
    late = await free.think(free.start(id="run_2", deadline_at=NOW + 30_000))
    failed(late, "timed_out")
    assert late.turn == 0


async def test_many_jobs_are_named_in_short(free: World) -> None:
    wanted = [("generate_image", {"prompt": f"fox {number}"}) for number in range(7)]
    free.says(calls(*wanted), says("", finish_reason="content_filter"))
    run = await free.think(free.start())
    error = failed(run, "content_blocked")
    assert "and 2 more" in error["hint"]
    assert error["message"] == "The language model refused the request."
    assert error["hint"].endswith("Start again with run_agent, and say in the task what is there already.")


async def test_a_session_is_gone_on_with_where_something_is_there(free: World) -> None:
    free.says(calls(("generate_image", {"prompt": "a fox"})), says("", finish_reason="content_filter"))
    run = await free.think(free.start(session_id="ses_1"))
    assert failed(run, "content_blocked")["hint"].endswith("Go on with run_agent(task='go on', session_id='ses_1').")


async def test_a_model_that_turns_in_circles_is_stopped(free: World) -> None:
    model = free.says(calls(("search_skills", {"words": "fox"}), ("list_frameworks", {})))
    run = await free.think(free.start())
    assert "called list_frameworks" in failed(run, "unexpected_answer")["message"]
    assert len(model.asked) == SAME_CALLS


async def test_an_empty_answer_is_asked_for_again_once(free: World) -> None:
    model = free.says(says(""), says("Now."))
    assert (await free.think(free.start())).output == "Now."
    assert len(model.asked) == 2
    empty = free.says(says(""))
    run = await free.think(free.start(id="run_2"))
    assert "no usable answer" in failed(run, "unexpected_answer")["message"]
    assert len(empty.asked) == 2
    assert [row[1] for row in free.runs.kinds("run_2")] == ["reserved", "settled"] * 2


async def test_malformed_and_invented_arguments_go_back_to_the_model(free: World) -> None:
    model = free.says(
        calls(("generate_image", '{"prompt": "a f')),
        calls(("generate_image", {"prompt": "a fox", "mood": "happy"})),
        calls(("generate_image", {"prompt": "a fox"})),
        says("Done."),
    )
    run = await free.think(free.start())
    assert run.output == "Done."
    assert len(run.actions) == 1
    assert run.actions[0].key == f"{run.id}/3/0"
    assert "Invalid JSON" in str(results(model.asked[1]))
    assert "Extra inputs" in str(results(model.asked[2]))


@pytest.mark.parametrize("name", ["generate_image", "generate_hologram"])
async def test_a_tool_that_is_called_wrongly_again_and_again_ends_the_run(free: World, name: str) -> None:
    model = free.says(*(calls((name, {"wrong": number})) for number in range(9)))
    run = await free.think(free.start())
    assert f"'{name}' wrongly {RETRIES + 1} times" in failed(run, "unexpected_answer")["message"]
    assert len(model.asked) == RETRIES + 1


async def test_a_refusal_is_booked_and_told(free: World) -> None:
    free.says(says("I will not do that.", finish_reason="content_filter"))
    run = await free.think(free.start())
    error = failed(run, "content_blocked")
    assert error["provider_message"] == "I will not do that."
    assert error["message"] == "The language model refused the request: 'I will not do that.'"
    assert error["hint"].endswith("No job was started in it. Start again with run_agent.")
    assert free.runs.kinds(run.id)[-1] == (1, "settled", 120, True)
    assert (run.input_tokens, run.output_tokens) == (100, 10)
    free.says(says("", finish_reason="content_filter", provider_details={"refusal": "No."}))
    assert failed(await free.think(free.start(id="run_2")), "content_blocked")["provider_message"] == "No."


async def test_an_answer_that_was_cut_is_given_with_a_warning(free: World) -> None:
    free.says(says("Once upon a", finish_reason="length"))
    run = await free.think(free.start())
    assert run.output == "Once upon a"
    assert "cut at its bound" in run.warnings[0]


async def test_a_model_that_only_thinks_until_its_bound_is_told(free: World) -> None:
    thoughts = ThinkingPart("hm", signature="s", provider_name="test")
    free.says(replace(says("", finish_reason="length"), parts=[thoughts]))
    assert "before it said anything" in failed(await free.think(free.start()), "unexpected_answer")["message"]


async def test_a_turn_that_the_provider_interrupts_is_gone_on_with_and_booked_twice(free: World) -> None:
    model = free.says(says("One, ", state="suspended"), says("two."))
    run = await free.think(free.start())
    assert run.output == "One, two."
    assert model.asked[1][-1].parts[0] == TextPart("One, ")
    assert [row[:2] for row in free.runs.kinds(run.id)] == [
        (1, "reserved"),
        (1, "settled"),
        (2, "reserved"),
        (2, "settled"),
    ]
    kept = free.runs.changes[-2].work or {}
    assert [message["kind"] for message in kept["messages"]] == ["request", "response"]
    assert [part["content"] for part in kept["messages"][1]["parts"]] == ["One, ", "two."]


async def test_the_same_wait_again_is_no_circle(free: World) -> None:
    same = calls(("wait_for_jobs", {"job_ids": ["job_x"]}))
    free.says(*[same] * (SAME_CALLS + 1), says("Given up."))
    assert (await free.think(free.start())).output == "Given up."
    assert isinstance(same.parts[0], ToolCallPart)
