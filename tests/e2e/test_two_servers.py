"""Two processes over HTTP that share a home, each at an address of its own: what one begins, the other goes on with.

Several workers behind one port are the same processes; with two addresses a test knows which one answers.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.streams.text import TextReceiveStream
from mcp import Client
from mcp_types import CallToolResult, ElicitResult, InputRequiredResult

from fake_provider.install import environment, write_manifest
from fake_provider.server import FakeProvider, running_provider
from helpers_chat_model import Json, calling, results, saying, serving, tool_call
from helpers_chat_model import variables as thinks
from helpers_extensions import TakesTasks, ask, began, settled

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="ends servers with a signal")]
BOUND_S = 170.0
ERA = "2026-07-28"
CLIP: dict[str, Any] = {"prompt": "a red car in the desert", "duration": 4, "resolution": "360p", "wait": 0}
SERVE = [sys.executable, "-m", "darkroom", "serve", "--http", "--port", "0"]


@asynccontextmanager
async def serving_http(variables: dict[str, str]) -> AsyncGenerator[str]:
    """Run one server and give its address."""
    async with await anyio.open_process(SERVE, stderr=subprocess.PIPE, env=variables) as process:
        assert process.stderr is not None
        told = ""
        try:
            with anyio.fail_after(BOUND_S):
                async for text in TextReceiveStream(process.stderr):
                    told += text
                    if found := re.search(r"http://127\.0\.0\.1:\d+/mcp", told):
                        break
                else:
                    raise AssertionError(told)
            yield found[0]
        finally:
            process.send_signal(signal.SIGTERM)
            with anyio.fail_after(BOUND_S, shield=True):
                await process.wait()


def model(request: Json) -> Json:
    """Answer as a language model that asks for a colour, and says which it was told."""
    told = results(request)
    if not told:
        return calling(tool_call("call_1", "ask_user", {"question": "Which colour?"}))
    return saying(f"It will be that: {told[0]}")


@pytest.fixture
def provider() -> Generator[FakeProvider]:
    with running_provider(idempotency=True, lookup=True) as running:
        yield running


@pytest.fixture
async def pair(provider: FakeProvider, tmp_path: Path) -> AsyncGenerator[tuple[str, str]]:
    """The addresses of two servers."""
    write_manifest(tmp_path / "providers", provider.base_url, lookup="key")
    with serving(model) as address:
        variables = {**os.environ, **environment(tmp_path / "providers"), **thinks(address)}
        variables |= {"DARKROOM_LINGER": "0", "DARKROOM_CONFIRM_ABOVE": "0.01"}
        async with AsyncExitStack() as stack:
            one, other = [await stack.enter_async_context(serving_http(variables)) for _ in range(2)]
            yield one, other


async def form(context: Any, params: Any) -> ElicitResult:
    """Make a client show forms; the tests answer by hand."""
    raise AssertionError("forms are answered by hand here")


@asynccontextmanager
async def clients(pair: tuple[str, str], **abilities: Any) -> AsyncGenerator[tuple[Client, Client]]:
    """Connect to both."""
    with anyio.fail_after(BOUND_S):
        async with (
            Client(pair[0], mode=ERA, **abilities) as one,
            Client(pair[1], mode=ERA, **abilities) as other,
        ):
            yield one, other


def content(answer: CallToolResult) -> dict[str, Any]:
    """Return what a call that succeeded says."""
    assert not answer.is_error, answer
    return answer.structured_content or {}


async def answered_elsewhere(
    one: Client, other: Client, tool: str, arguments: dict[str, Any], **fields: Any
) -> tuple[str, dict[str, Any]]:
    """Call a tool at one server, give the answer to its question to the other, and return both."""
    asks = await one.session.call_tool(tool, arguments, allow_input_required=True)
    assert isinstance(asks, InputRequiredResult), asks
    [(key, question)] = (asks.input_requests or {}).items()
    done = await other.session.call_tool(
        tool,
        arguments,
        input_responses={key: ElicitResult(action="accept", content=fields)},
        request_state=asks.request_state,
    )
    return getattr(question.params, "message", ""), content(done)


async def test_a_price_is_agreed_to_at_the_other_server(pair: tuple[str, str], provider: FakeProvider) -> None:
    dear = {"prompt": "a red bicycle", "model": "fake-image", "wait": 40}
    async with clients(pair, elicitation_callback=form) as (one, other):
        told, job = await answered_elsewhere(one, other, "generate_image", dear, agree=True)
    assert told == "fake/fake-image would cost $0.04. Go on?"
    assert (job["status"], job["cost"]["actual_usd"]) == ("succeeded", 0.04)
    assert len(provider.accepted("a red bicycle")) == 1


async def test_an_agents_question_is_answered_at_the_other_server(pair: tuple[str, str]) -> None:
    task = {"task": "Choose a colour for the bicycle", "agent": "image", "max_cost": 1, "wait": 40}
    async with clients(pair, elicitation_callback=form) as (one, other):
        told, run = await answered_elsewhere(one, other, "run_agent", task, answer="signal red")
        while "check_after_s" in run:
            run = content(await one.call_tool("check_job", {"job_id": run["run_id"], "wait": 40}))["jobs"][0]
    assert told == "Which colour?"
    assert (run["status"], "signal red" in run["output"]) == ("succeeded", True)


async def test_progress_reaches_who_waits_at_the_other_server(pair: tuple[str, str]) -> None:
    heard, jobs = anyio.Event(), list[dict[str, Any]]()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        if message and "frame" in message:
            heard.set()

    async with clients(pair) as (one, other):
        begun = content(await one.call_tool("generate_video", {**CLIP, "duration": 15, "resolution": "1080p"}))

        async def wait() -> None:
            asked = {"job_id": begun["job_id"], "wait": 45}
            while not heard.is_set() or not jobs or jobs[-1]["status"] == "running":
                jobs.append(content(await other.call_tool("check_job", asked, progress_callback=hear))["jobs"][0])

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await heard.wait()
            await one.call_tool("cancel_job", {"job_id": begun["job_id"]})
    assert jobs[-1]["status"] == "cancelled"


async def test_a_task_is_asked_about_and_stopped_at_the_other_server(pair: tuple[str, str]) -> None:
    async with clients(pair, extensions=[TakesTasks()]) as (one, other):
        task = await began(one, "generate_video", **CLIP)
        seen = await ask(other, "tasks/get", taskId=task["taskId"])
        assert (seen["taskId"], seen["createdAt"]) == (task["taskId"], task["createdAt"])
        assert seen["status"] == "working"
        assert await ask(other, "tasks/cancel", taskId=task["taskId"]) == {"resultType": "complete"}
        ends = [(await settled(client, task["taskId"]))["status"] for client in (one, other)]
    assert ends == ["cancelled", "cancelled"]
