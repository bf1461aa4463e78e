"""The Tasks extension: a call that starts something is answered at once with a second view of its job or run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import HEADER_MISMATCH, CallToolRequestParams, CallToolResult, RequestParams

from darkroom.server.asking_user import STATELESS
from darkroom.server.listening import LISTEN

if TYPE_CHECKING:
    from mcp.server.mcpserver import Context as ToolContext

    from darkroom.server.desk import Desk
    from darkroom.server.task_calls import TaskCalls

IDENTIFIER = "io.modelcontextprotocol/tasks"

Context = ServerRequestContext[Any, Any]


class TaskParams(RequestParams):
    """Parameters that name a task."""

    task_id: str


class UpdateParams(TaskParams):
    """Parameters of `tasks/update`; a response is checked once its question is known."""

    input_responses: dict[str, Any]


def takes_tasks(ctx: Context | ToolContext[Any, Any]) -> bool:
    """Return whether a request may be answered with a task: its client said so in this very request."""
    found = ctx.session.client_capabilities
    return ctx.protocol_version == STATELESS and IDENTIFIER in ((found and found.extensions) or {})


async def checked_listening(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Refuse to tell of tasks where the client did not declare them; a middleware.

    Raises:
        MCPError: -32021, as the extension wants it.
    """
    if ctx.method == LISTEN:
        wanted = (ctx.params or {}).get("notifications")
        if isinstance(wanted, dict) and "taskIds" in wanted:
            require_client_extension(ctx, IDENTIFIER)
    return await call_next(ctx)


class Tasks(Extension):
    """Answers the extension's methods, and the calls of the tools that start something."""

    identifier = IDENTIFIER

    def __init__(self, desk: Callable[[], Awaitable[Desk]]) -> None:
        self._desk = desk

    def methods(self) -> Sequence[MethodBinding]:
        """Return the three methods; in the handshake era there are none of these names."""
        versions = frozenset({STATELESS})
        return [
            MethodBinding("tasks/get", TaskParams, self._get, versions),
            MethodBinding("tasks/update", UpdateParams, self._update, versions),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, versions),
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: Context, call_next: CallNext
    ) -> HandlerResult:
        """Put a task in the place of an answer that is not the last word; refusals and finished work stay answers."""
        result = await call_next(ctx)
        if not takes_tasks(ctx) or not isinstance(result, CallToolResult):
            return result
        desk = await self._desk()
        return await desk.tasks.begun(result, ctx) if desk.starts(params.name) else result

    async def _get(self, ctx: Context, params: TaskParams) -> HandlerResult:
        return await (await self._asked(ctx, params)).get(ctx, params)

    async def _update(self, ctx: Context, params: UpdateParams) -> HandlerResult:
        return await (await self._asked(ctx, params)).update(params)

    async def _cancel(self, ctx: Context, params: TaskParams) -> HandlerResult:
        return await (await self._asked(ctx, params)).cancel(params)

    async def _asked(self, ctx: Context, params: TaskParams) -> TaskCalls:
        """Check how it is asked, and return who answers.

        Raises:
            MCPError: As the extension wants it; nothing was changed.
        """
        require_client_extension(ctx, IDENTIFIER)
        headers = getattr(ctx.request, "headers", None)
        if headers is not None and decode_header_value(headers.get(MCP_NAME_HEADER)) != params.task_id:
            raise MCPError(code=HEADER_MISMATCH, message="The Mcp-Name header does not name the task of the request.")
        return (await self._desk()).tasks
