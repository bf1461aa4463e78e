"""The caller's own model thinks: with tools of its own or in words, at once or with a later call."""

import json
from typing import Any, cast

import pytest
from helpers_llm import World, calls, says

from darkroom.domain.run import Awaits, Mode, RunState
from darkroom.domain.sampling import SampleBlock, SampleRequest, SampleResponse, Suspended
from darkroom.errors import InvalidRequest
from helpers_services import succeed


class Client:
    """A client whose model answers with these, in order; None: the answer comes later."""

    def __init__(self, *answers: Any, native: bool = True) -> None:
        self.native_tools = native
        self.answers = list(answers)
        self.asked: list[SampleRequest] = []

    async def sample(self, request: SampleRequest) -> SampleResponse:
        self.asked.append(SampleRequest.model_validate_json(request.model_dump_json()))
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            raise Suspended
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            answer = SampleBlock(text=answer)
        blocks = cast("tuple[SampleBlock, ...]", answer if isinstance(answer, tuple) else (answer,))
        return SampleResponse(content=blocks, model="their-model", stop_reason="endTurn")


def use(name: str, call_id: str | None = "t1", **arguments: Any) -> SampleBlock:
    return SampleBlock(type="tool_use", id=call_id, name=name, input=arguments)


async def test_a_model_with_tools_of_its_own_uses_ours_and_costs_nothing(free: World) -> None:
    client = Client((SampleBlock(text="I draw."), use("generate_image", prompt="a fox")), "Done.")
    run = await free.think(free.start("draw a fox"), sampler=client)
    assert (run.state, run.output, run.mode, run.model) == (RunState.SUCCEEDED, "Done.", Mode.CLIENT, None)
    assert len(run.actions) == 1
    assert (free.runs.books, run.turn) == ([], 0)
    assert run.input_tokens > 0
    first, second = client.asked
    assert "generate_image" in [tool.name for tool in first.tools]
    assert "darkroom, a studio server" in first.system
    assert [(message.role, message.content[0].text) for message in first.messages] == [("user", "draw a fox")]
    assert [(block.type, block.name) for block in second.messages[1].content] == [
        ("text", None),
        ("tool_use", "generate_image"),
    ]
    [result] = second.messages[2].content
    assert (result.type, result.id, result.error) == ("tool_result", "t1", False)
    assert json.loads(result.text)["status"] == "queued"


async def test_a_mistake_is_told_as_one_and_missing_ids_are_made(free: World) -> None:
    client = Client((use("generate_image", None), use("generate_image", None, prompt="x")), "Done.")
    await free.think(free.start(), sampler=client)
    wrong, right = client.asked[1].messages[2].content
    assert (wrong.error, right.error) == (True, False)
    assert wrong.id != right.id


async def test_a_model_without_tools_is_told_of_them_in_words(free: World) -> None:
    client = Client(
        'Sure!\n```json\n{"tool": "generate_image", "arguments": {"prompt": "a fox"}}\n```',
        '{"tool": "check_jobs", "arguments": {"job_ids": ["job_x"]}}',
        '{"tool": "generate_image", "arguments": {"wrong": 1}}',
        'Done: {"colour": "red"}',
        native=False,
    )
    run = await free.think(free.start(), sampler=client)
    assert run.output == 'Done: {"colour": "red"}'
    assert len(run.actions) == 1
    assert client.asked[0].tools == ()
    assert '"name": "generate_image"' in client.asked[0].system
    told = [message.content[0].text for message in client.asked[3].messages]
    assert told[1] == '{"tool": "generate_image", "arguments": {"prompt": "a fox"}}'
    assert told[2].startswith("Result of generate_image:\n")
    assert "There is no job" in told[4]
    assert told[6].startswith("Mistake in generate_image:")


@pytest.mark.parametrize("text", ['{"tool": 5}', '{"tool": "hammer", "size": 3}', "{not json}", '["tool"]', "plain"])
async def test_what_only_looks_like_a_call_is_an_answer(free: World, text: str) -> None:
    run = await free.think(free.start(), sampler=Client(text, native=False))
    assert run.output == text


async def test_an_invented_tool_in_words_is_put_right(free: World) -> None:
    client = Client('{"tool": "hammer", "arguments": {}}', "Sorry.", native=False)
    assert (await free.think(free.start(), sampler=client)).output == "Sorry."
    assert "Unknown tool name: 'hammer'" in client.asked[1].messages[2].content[0].text


async def test_an_answer_that_comes_later_puts_the_run_by_any_number_of_times(free: World) -> None:
    run = await free.think(free.start(), sampler=Client())
    assert (run.state, run.awaits, run.owner) == (RunState.WAITING, Awaits.CLIENT, None)
    pending = SampleRequest.model_validate(run.work["pending"])
    assert pending.messages[0].content[0].text == run.task
    again = await free.think(run, sampler=Client())
    assert again.work["pending"] == run.work["pending"]
    client = Client(use("generate_image", prompt="a fox"))
    third = await free.think(again, sampler=client)
    assert client.asked[0] == pending, "the same is asked as before"
    assert (third.awaits, len(third.actions)) == (Awaits.CLIENT, 1)
    assert SampleRequest.model_validate(third.work["pending"]).messages[-1].content[0].type == "tool_result"
    done = await free.think(third, sampler=Client("Done."))
    assert (done.output, len(await free.jobs())) == ("Done.", 1)
    assert done.work["pending"] is None
    assert free.runs.books == []


async def test_a_run_of_the_client_waits_for_it_and_its_jobs(paid: World) -> None:
    run = paid.start()
    started = await paid.think(run, sampler=Client(use("generate_image", prompt="a fox")))
    [action] = started.actions
    wait = use("wait_for_jobs", "t2", job_ids=[action.job_id])
    waiting = await paid.think(started, sampler=Client(wait))
    assert (waiting.awaits, waiting.waiting_for) == (Awaits.CLIENT, (action.job_id,))
    alone = await paid.think(waiting)
    assert (alone.state, alone.awaits) == (RunState.WAITING, Awaits.CLIENT), "nobody else thinks for it"
    assert (await paid.think(alone, sampler=Client("x"))).state is RunState.WAITING
    job = await paid.app.store.get(action.job_id or "")
    assert job is not None
    await succeed(paid.app, job)
    client = Client("Here it is.")
    assert (await paid.think(alone, sampler=client)).output == "Here it is."
    assert "succeeded" in client.asked[0].messages[-1].content[0].text


async def test_a_question_of_the_clients_model_goes_to_the_user(free: World) -> None:
    run = await free.think(free.start(), sampler=Client(use("ask_user", question="Which?")))
    assert (run.awaits, run.question and run.question.text) == (Awaits.ANSWER, "Which?")
    free.runs.answer(run.id, "this one")
    assert (await free.think(run, sampler=Client("So be it."))).output == "So be it."


async def test_a_client_that_refuses_ends_the_run(free: World) -> None:
    run = await free.think(free.start(), sampler=Client(InvalidRequest("The user does not want that.")))
    assert (run.error or {})["message"] == "The user does not want that."
    assert free.runs.books == []


async def test_an_empty_answer_of_the_client_is_asked_for_again(free: World) -> None:
    client = Client(" ", "Now.")
    assert (await free.think(free.start(), sampler=client)).output == "Now."
    assert [len(message.content) for message in client.asked[1].messages] == [2]


async def test_a_cap_holds_for_jobs_of_the_clients_model_too(paid: World) -> None:
    model = paid.says(calls(), says("x"))
    client = Client(use("generate_image", prompt="a fox"), use("generate_image", "t2", prompt="a dog"), "One.")
    run = await paid.think(paid.start(max_cost=50_000), sampler=client)
    assert (run.output, len(run.actions)) == ("One.", 1)
    assert model.asked == []
