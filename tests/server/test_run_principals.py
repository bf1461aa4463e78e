"""Runs and sessions of one principal are unknown to every other."""

from typing import Any

import pytest
from helpers_server import call, connected
from mcp import Client
from mcp_types import CallToolResult

from darkroom.app import App
from darkroom.errors import DarkroomError, InvalidRequest, UnknownJob
from darkroom.server.context import ToolCall
from darkroom.server.resources import Reader
from darkroom.server.tools import cancel_job, check_job, run_agent

pytestmark = pytest.mark.anyio
TASK: dict[str, Any] = {"task": "Write a landing page for Lumen, a lamp", "agent": "copy"}


async def silent(done: float, total: float | None, message: str) -> None:
    """Report nothing to nobody."""


@pytest.fixture
async def somebody(app: App) -> Any:
    """A running program, with a run of its owner and the call of somebody else."""
    async with connected(app, "2026-07-28") as client:
        yield await call(client, "run_agent", **TASK), ToolCall(app, silent, principal="somebody"), client


async def test_a_run_and_its_session_are_unknown_to_others(app: App, somebody: tuple[Any, ToolCall, Client]) -> None:
    run, other, client = somebody
    reader = Reader(app, "somebody")
    run_id, session_id = run["run_id"], run["session_id"]
    wanted: list[dict[str, Any]] = [
        {"run_id": run_id},
        {"run_id": run_id, "answer": "x"},
        {**TASK, "session_id": session_id},
    ]
    for arguments in wanted:
        with pytest.raises(UnknownJob, match=r"There is no (run|session)"):
            await run_agent.run(run_agent.RunAgentArgs(**arguments), other)
    with pytest.raises(UnknownJob, match="There is no run"):
        await check_job.run(check_job.CheckJobArgs(job_id=run_id), other)
    with pytest.raises(UnknownJob, match="There is no run"):
        await cancel_job.run(cancel_job.CancelJobArgs(job_id=run_id), other)
    for uri in (f"darkroom://runs/{run_id}", f"darkroom://sessions/{session_id}"):
        with pytest.raises(UnknownJob) as theirs:
            await reader.read(uri)
        with pytest.raises(UnknownJob) as nobodys:
            await reader.read(uri[:-4] + "zzzz")
        assert theirs.value.message.replace(uri[-4:], "zzzz") == nobodys.value.message
    assert '"sessions": []' in str((await reader.read("darkroom://sessions")).content)
    newest = await check_job.run(check_job.CheckJobArgs(), other)
    assert newest.structured_content == {"jobs": []}
    assert (await call(client, "check_job", job_id=run_id))["jobs"][0]["status"] == "succeeded"


async def test_others_have_runs_of_their_own_and_no_paths_of_this_machine(
    app: App, somebody: tuple[Any, ToolCall, Client]
) -> None:
    _, other, _ = somebody
    answer = await run_agent.run(run_agent.RunAgentArgs(**TASK), other)
    assert isinstance(answer, CallToolResult)
    assert answer.structured_content is not None
    assert answer.structured_content["status"] == "succeeded"
    assert str(app.settings.home) not in str(answer)
    with pytest.raises(DarkroomError) as caught:
        await run_agent.run(run_agent.RunAgentArgs(task="x", model="client"), other)
    assert isinstance(caught.value, InvalidRequest)
