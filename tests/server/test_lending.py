"""Runs that the client's own model thinks about, in both eras, with the SDK's own client."""

import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread
import pytest
from helpers_server import LIMIT_S, QuickDraft, call, connected, content, failed, jobs_of, read_json, words
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    REQUEST_TIMEOUT,
    CreateMessageRequestParams,
    CreateMessageResult,
    CreateMessageResultWithTools,
    ElicitResult,
    ErrorData,
    ImageContent,
    InputRequiredResult,
    SamplingCapability,
    SamplingToolsCapability,
    TextContent,
    ToolUseContent,
)

from darkroom.app import App
from darkroom.server import lending
from darkroom.settings import Settings

pytestmark = pytest.mark.anyio
TOOL = "run_agent"
STATELESS = "2026-07-28"
TASK = {"task": "Say something about foxes", "agent": "copy"}
TOOLS = SamplingCapability(tools=SamplingToolsCapability())
Said = CreateMessageResult | CreateMessageResultWithTools | ErrorData


def said(text: str) -> CreateMessageResult:
    return CreateMessageResult(
        role="assistant", content=TextContent(text=text), model="their-model", stop_reason="endTurn"
    )


def calls(name: str, number: int, **arguments: Any) -> CreateMessageResultWithTools:
    block = ToolUseContent(id=f"call-{number}", name=name, input=arguments)
    return CreateMessageResultWithTools(role="assistant", content=[block], model="their-model", stop_reason="toolUse")


@dataclass
class TheirModel:
    """A client's model that says what a test wants, in order; the last word again and again."""

    script: list[Said | Callable[[CreateMessageRequestParams], Said]]
    asked: list[CreateMessageRequestParams] = field(default_factory=list[CreateMessageRequestParams])
    hold: anyio.Event | None = None
    """Waited for before an answer, where it is there."""
    reached: anyio.Event = field(default_factory=anyio.Event)

    async def __call__(self, context: Any, params: CreateMessageRequestParams) -> Said:
        del context
        self.asked.append(params)
        self.reached.set()
        if self.hold is not None:
            await self.hold.wait()
        word = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return word(params) if callable(word) else word


def lent(model: TheirModel, *, tools: bool = True) -> dict[str, Any]:
    """Return what makes a client lend its model."""
    return {"sampling_callback": model, "sampling_capabilities": TOOLS if tools else None}


def goes_on(run: Any) -> str:
    return (
        f"Continue with run_agent(run_id='{run['run_id']}') from a client that lends its model (sampling), and allow "
        f"its request. Waiting costs nothing; cancel_job('{run['run_id']}') stops it."
    )


def rows(app: App, sql: str) -> list[Any]:
    db = sqlite3.connect(app.settings.database)
    try:
        with db:
            return db.execute(sql).fetchall()
    finally:
        db.close()


async def test_a_lent_model_answers_in_words(app: App, era: str) -> None:
    picture = ImageContent(data="AAAA", mime_type="image/png")
    answer = CreateMessageResultWithTools(
        role="assistant", content=[picture, TextContent(text="Foxes are quick.")], model="their-model"
    )
    model = TheirModel([answer])
    async with connected(app, era, **lent(model)) as client:
        result = await client.call_tool(TOOL, TASK)
        run = content(result)
        assert (run["status"], run["output"]) == ("succeeded", "Foxes are quick.")
        assert "Foxes are quick." in words(result)
        assert run["token_usage"]["output"] > 0
        (asked,) = model.asked
        assert TASK["task"] in str(asked.messages)
        assert {"use_skill", "ask_user"} <= {tool.name for tool in asked.tools or ()}
        record = await read_json(client, f"darkroom://runs/{run['run_id']}")
        assert record["mode"] == "client"
        assert "ledger" not in record
    assert await anyio.to_thread.run_sync(rows, app, "SELECT COUNT(*) FROM ledger") == [(0,)]


async def test_a_lent_model_makes_a_picture_with_our_tools(app: App, era: str, quick: QuickDraft) -> None:
    model = TheirModel(
        [calls("generate_image", 1, prompt="a red fox", aspect_ratio="1:1"), wait_for_job, said("Done.")]
    )
    async with connected(app, era, **lent(model)) as client:
        result = await client.call_tool(TOOL, {**TASK, "agent": None, "wait": 40})
        run = content(result)
        assert (run["status"], run["output"]) == ("succeeded", "Done.")
        assert [action["tool"] for action in run["actions"]] == ["generate_image"]
        assert len(run["outputs"]) == 1
        assert any(isinstance(block, ImageContent) for block in result.content)
    assert len(quick.sent) == 1
    assert len(model.asked) == 3
    assert run["actions"][0]["job_id"] in str(model.asked[1].messages[-1])
    assert '"succeeded"' in str(model.asked[2].messages[-1])


def wait_for_job(params: CreateMessageRequestParams) -> Said:
    """Wait for the job that the newest tool result names."""
    found = re.search(r"job_\w{8,}", str(params.messages[-1]))
    return calls("wait_for_jobs", 2, job_ids=[found[0] if found else ""])


async def test_without_tools_they_are_told_in_words(app: App, era: str, quick: QuickDraft) -> None:
    asking = json.dumps({"tool": "generate_image", "arguments": {"prompt": "a red fox"}})
    model = TheirModel([said(f"I draw it.\n```json\n{asking}\n```"), said("It is being drawn.")])
    async with connected(app, era, **lent(model, tools=False)) as client:
        run = await call(client, TOOL, task="Draw a fox, then say so", wait=40)
        assert (run["status"], run["output"]) == ("succeeded", "It is being drawn.")
        assert len(run["outputs"]) == 1, "it waits for what the run started"
    assert model.asked[0].tools is None
    assert "generate_image" in str(model.asked[0].system_prompt)
    assert run["actions"][0]["job_id"] in str(model.asked[1].messages[-1])
    assert len(quick.sent) == 1


async def test_a_lent_model_that_calls_a_tool_wrongly_is_stopped_as_soon_in_both_eras(app: App, era: str) -> None:
    model = TheirModel([calls("estimate", number, operation=f"nothing {number}") for number in range(8)])
    async with connected(app, era, **lent(model)) as client:
        run = await failed(client, TOOL, **TASK)
        assert (run["status"], run["error"]["code"]) == ("failed", "unexpected_answer")
        assert "'estimate' wrongly 3 times" in run["error"]["message"]
    assert len(model.asked) == 3


async def test_a_question_of_a_lent_model_is_asked_and_answered(app: App, era: str) -> None:
    model = TheirModel([calls("ask_user", 1, question="Which colour?"), said("Blue it is.")])
    async with connected(app, era, **lent(model)) as client:
        run = await call(client, TOOL, task="Write a line about my bike")
        assert (run["status"], run["question"]) == ("waiting", "Which colour?")
        assert f"run_agent(run_id='{run['run_id']}', answer=...)" in run["next"]
        empty = await client.call_tool(TOOL, {"run_id": run["run_id"], "answer": "  "})
        assert empty.is_error
        done = await call(client, TOOL, run_id=run["run_id"], answer={"colour": "blue"}, wait=40)
        assert (done["run_id"], done["status"], done["output"]) == (run["run_id"], "succeeded", "Blue it is.")
    assert "blue" in str(model.asked[1].messages[-1])


async def test_after_ten_questions_the_call_ends_and_the_next_one_goes_on(app: App, era: str) -> None:
    script: list[Any] = [calls("search_skills", number, words=f"mails {number}") for number in range(12)]
    model = TheirModel([*script, said("Found them.")])
    async with connected(app, era, **lent(model)) as client:
        run = await call(client, TOOL, task="Find skills for mails")
        assert run["status"] == "waiting"
        assert run["next"] == goes_on(run)
        assert len(model.asked) == 10
        (listed,) = await jobs_of(client)
        assert listed["next"] == run["next"]
        done = await call(client, TOOL, run_id=run["run_id"])
        assert (done["run_id"], done["status"], done["output"]) == (run["run_id"], "succeeded", "Found them.")
    assert len(model.asked) == 13


@pytest.mark.parametrize("era", ["legacy"], indirect=True)
async def test_a_client_that_refuses_ends_the_run_with_its_reason(app: App, era: str) -> None:
    model = TheirModel([ErrorData(code=-1, message="the user said no")])
    async with connected(app, era, **lent(model)) as client:
        run = await failed(client, TOOL, **TASK)
        assert "the user said no" in run["error"]["message"]
        assert "language model" in run["next"]


@pytest.mark.parametrize("era", ["legacy"], indirect=True)
async def test_a_client_without_an_answer_in_time_is_asked_again_by_the_next_call(
    app: App, era: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TheirModel([ErrorData(code=REQUEST_TIMEOUT, message="timed out"), said("Foxes are quick.")])
    async with connected(app, era, **lent(model)) as client:
        run = await call(client, TOOL, **TASK)
        assert (run["status"], run["next"]) == ("waiting", goes_on(run))
        monkeypatch.setattr(lending, "ASKING_S", 0)
        assert (await call(client, TOOL, run_id=run["run_id"]))["status"] == "waiting", "a long call asks no more"
        assert len(model.asked) == 1
        monkeypatch.undo()
        done = await call(client, TOOL, run_id=run["run_id"])
        assert (done["status"], done["output"]) == ("succeeded", "Foxes are quick.")


@pytest.mark.parametrize("era", ["legacy"], indirect=True)
async def test_a_call_that_is_broken_off_leaves_a_run_that_goes_on_without_a_second_job(
    app: App, era: str, quick: QuickDraft
) -> None:
    model, held = TheirModel([calls("generate_image", 1, prompt="a red fox"), said("Done.")]), anyio.Event()
    async with connected(app, era, **lent(model)) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, TOOL, {"task": "Draw a fox and describe it"})
            await model.reached.wait()
            model.reached, model.hold = anyio.Event(), held
            await model.reached.wait()
            tasks.cancel_scope.cancel()
        (run,) = [row for row in await jobs_of(client) if "run_id" in row]
        with anyio.fail_after(LIMIT_S):
            while run["status"] != "waiting":
                (run,) = await jobs_of(client, job_id=run["run_id"], wait=0.2)
        assert run["next"] == goes_on(run)
        held.set()
        done = await call(client, TOOL, run_id=run["run_id"], wait=40)
        assert (done["status"], done["output"]) == ("succeeded", "Done.")
        assert len(done["actions"]) == 1
    assert len(quick.sent) == 1


async def test_a_run_of_a_lent_model_is_not_continued_where_none_is_lent(app: App, era: str) -> None:
    model = TheirModel([calls("ask_user", 1, question="Which colour?")])
    async with connected(app, era, **lent(model)) as client:
        run = await call(client, TOOL, task="Write a line about my bike")
    other = await anyio.to_thread.run_sync(lambda: App(Settings.load()))
    async with connected(other, era) as client:
        refused = await client.call_tool(TOOL, {"run_id": run["run_id"], "answer": "blue"})
        assert refused.is_error
        assert "lends none" in words(refused)
        assert f"cancel_job('{run['run_id']}')" in words(refused)
        assert (await call(client, "cancel_job", job_id=run["run_id"]))["status"] == "cancelled"


# The stateless era alone: what lies between two calls


async def asking(client: Client, **arguments: Any) -> InputRequiredResult:
    """Make a call as a client that answers by hand."""
    result = await client.session.call_tool(TOOL, arguments, allow_input_required=True)
    assert isinstance(result, InputRequiredResult), result
    return result


async def answering(client: Client, before: InputRequiredResult, answer: Any, **arguments: Any) -> Any:
    """Repeat a call with the answer to what was asked."""
    (key,) = before.input_requests or {}
    return await client.session.call_tool(
        TOOL,
        arguments,
        input_responses={key: answer},
        request_state=before.request_state,
        allow_input_required=True,
    )


@pytest.mark.parametrize("era", [STATELESS], indirect=True)
async def test_a_client_that_never_comes_back_leaves_the_run_waiting_for_it(app: App, era: str) -> None:
    model = TheirModel([said("Foxes are quick.")])
    async with connected(app, era, **lent(model)) as client:
        await asking(client, **TASK)
        (run,) = await jobs_of(client)
        assert run["status"] == "waiting"
        assert run["next"] == goes_on(run)
        assert model.asked == []
        done = await call(client, TOOL, run_id=run["run_id"])
        assert (done["status"], done["output"]) == ("succeeded", "Foxes are quick.")


@pytest.mark.parametrize("era", [STATELESS], indirect=True)
async def test_a_refusal_is_the_clients_and_the_run_waits(app: App, era: str) -> None:
    model = TheirModel([ErrorData(code=-1, message="the user said no")])
    async with connected(app, era, **lent(model)) as client:
        with pytest.raises(MCPError, match="the user said no"):
            await client.call_tool(TOOL, TASK)
        (run,) = await jobs_of(client)
        assert (run["status"], run["next"]) == ("waiting", goes_on(run))
        update = f"UPDATE runs SET deadline_at = 1 WHERE id = '{run['run_id']}'"
        await anyio.to_thread.run_sync(rows, app, update)
        ended = run
        for _ in range(100):
            await anyio.sleep(0.1)
            (ended,) = await jobs_of(client, job_id=run["run_id"])
            if ended["status"] != "waiting":
                break
        assert (ended["status"], ended["error"]["code"]) == ("failed", "timed_out")
        assert "its user refused" in ended["error"]["message"]
        assert "costs nothing here. No job was started in it. Start again with run_agent." in ended["next"]


@pytest.mark.parametrize("era", [STATELESS], indirect=True)
async def test_an_answer_counts_once_and_only_for_its_question(app: App, era: str, quick: QuickDraft) -> None:
    arguments: dict[str, Any] = {"task": "Draw a fox and describe it"}
    drawing = calls("generate_image", 1, prompt="a red fox")
    async with connected(app, era, **lent(TheirModel([said("unused")]))) as client:
        first = await asking(client, **arguments)
        second = await answering(client, first, drawing, **arguments)
        assert isinstance(second, InputRequiredResult)
        repeated = await answering(client, first, drawing, **arguments)  # as a client does that lost our answer
        assert isinstance(repeated, InputRequiredResult)
        assert repeated.input_requests == second.input_requests
        strange = await answering(client, second, ElicitResult(action="decline"), **arguments)
        assert isinstance(strange, InputRequiredResult)
        done = content(await answering(client, second, said("Done."), **arguments))
        assert (done["status"], len(done["actions"])) == ("succeeded", 1)
        late = content(await answering(client, second, said("Done again."), **arguments))
        assert (late["run_id"], late["output"]) == (done["run_id"], "Done.")
    assert len(quick.sent) == 1


@pytest.mark.parametrize("era", [STATELESS], indirect=True)
async def test_a_server_that_was_started_again_knows_what_it_asked(app: App, era: str) -> None:
    abilities = lent(TheirModel([said("unused")]))
    async with connected(app, era, **abilities) as client:
        before = await asking(client, **TASK)
    other = await anyio.to_thread.run_sync(lambda: App(Settings.load()))
    async with connected(other, era) as client:
        run = content(await answering(client, before, said("Not lent."), **TASK))
        assert run["status"] == "waiting"
    other = await anyio.to_thread.run_sync(lambda: App(Settings.load()))
    async with connected(other, era, **abilities) as client:
        done = content(await answering(client, before, said("Foxes are quick."), **TASK))
        assert (done["status"], done["output"]) == ("succeeded", "Foxes are quick.")
        with pytest.raises(MCPError, match="requestState"):
            forged = before.model_copy(update={"request_state": f"{before.request_state}x"})
            await answering(client, forged, said("x"), **TASK)
