"""A client that speaks the Tasks and Skills extensions: it sees tasks as they are, and asks about them itself."""

from collections.abc import Sequence
from typing import Any, Literal

import anyio
from mcp import Client
from mcp.client import ClientExtension, ResultClaim
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, Request, RequestParams, Result
from pydantic import ConfigDict

from darkroom.server.tasks import IDENTIFIER

Json = dict[str, Any]


class Open(Result):
    """Any result, whole."""

    model_config = ConfigDict(extra="allow")


class TaskResult(Open):
    """The answer to a call that goes on as a task."""

    result_type: Literal["task"] = "task"


async def _never(result: TaskResult, context: Any) -> CallToolResult:
    del result, context
    raise AssertionError("tasks are looked at by hand here")


class TakesTasks(ClientExtension):
    """Makes a client declare the extension with every request."""

    identifier = IDENTIFIER

    def claims(self) -> Sequence[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=TaskResult, resolve=_never)]


class OpenParams(RequestParams):
    """Any parameters."""

    model_config = ConfigDict(extra="allow")


class OpenRequest(Request[OpenParams, str]):
    """Any request."""


class TaskRequest(OpenRequest):
    """A request whose task stands in the header too."""

    name_param = "taskId"


def shown(result: Result) -> Json:
    """Return a result as it was sent."""
    return result.model_dump(by_alias=True, mode="json", exclude_unset=True, exclude={"meta"})


async def ask(client: Client, method: str, **params: Any) -> Json:
    """Send any request and return its result."""
    kind = TaskRequest if method.startswith("tasks/") else OpenRequest
    return shown(await client.session.send_request(kind(method=method, params=OpenParams(**params)), Open))


async def refused(client: Client, method: str, **params: Any) -> tuple[int, str]:
    """Send a request that must be refused, and return the error's code and message."""
    try:
        answer = await ask(client, method, **params)
    except MCPError as exc:
        return exc.error.code, exc.error.message
    raise AssertionError(f"{method} was answered: {answer}")


async def start(client: Client, tool: str, **arguments: Any) -> Json:
    """Call a tool, and return the task or the answer as it was sent."""
    return shown(await client.session.call_tool(tool, arguments, allow_claimed=True))


async def began(client: Client, tool: str, **arguments: Any) -> Json:
    """Call a tool whose work must go on as a task, and return the task."""
    task = await start(client, tool, **arguments)
    assert task.get("resultType") == "task", task
    return task


async def settled(client: Client, task_id: str) -> Json:
    """Ask about a task until it is at its end."""
    while True:
        task = await ask(client, "tasks/get", taskId=task_id)
        if task["status"] in ("completed", "cancelled", "failed"):
            return task
        await anyio.sleep(0.02)
