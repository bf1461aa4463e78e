"""Builds the MCP server around a running program."""

import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
from mcp.server import CacheHint, MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.server.request_state import RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolResult,
    Completion,
    CompletionArgument,
    CompletionContext,
    GetPromptResult,
    InputRequiredResult,
    Prompt,
    PromptReference,
    Resource,
    ResourceTemplate,
    ResourceTemplateReference,
    TextContent,
)
from mcp_types import Tool as PublishedTool
from pydantic import AnyUrl

from darkroom import __version__
from darkroom.catalog.data import resource_text
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.errors import BudgetExceeded, DarkroomError, InvalidRequest, UnknownJob
from darkroom.server.answers import error_answer, outcome
from darkroom.server.asking_user import agreed, round_key
from darkroom.server.caller import caller
from darkroom.server.completions import complete
from darkroom.server.context import LOCAL, Program, Tool, ToolCall
from darkroom.server.knowledge import Knowledge
from darkroom.server.links import PURPOSE, Links
from darkroom.server.listening import Listening
from darkroom.server.prompts import prompt, prompts
from darkroom.server.resources import RESOURCES, TEMPLATES, Reader, UnknownResource
from darkroom.server.schema import ToolArgs, parse, published
from darkroom.server.sealing import KeptSeal
from darkroom.server.skills_extension import SkillsExtension
from darkroom.server.stdio import checked_stdio
from darkroom.server.tasks import Tasks, checked_listening, takes_tasks
from darkroom.server.tools import TOOLS
from darkroom.server.views import error_text

ONE_PAGE = frozenset({"tools/list", "prompts/list", "resources/list", "resources/templates/list"})
log = logging.getLogger(__name__)


def publish(tool: Tool) -> PublishedTool:
    """Return a tool as clients see it."""
    return PublishedTool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=published(tool.args),
        output_schema=tool.output,
        annotations=tool.annotations,
    )


class DarkroomServer(MCPServer[Program]):
    """An MCP server whose tools are values and whose arguments are checked raw."""

    def __init__(
        self, run_program: Callable[[], AbstractAsyncContextManager[Program]], tools: Sequence[Tool] = TOOLS
    ) -> None:
        self._tools_by_name = {tool.name: tool for tool in tools}
        self._published: list[PublishedTool] = []
        self._program: Program | None = None
        self.stdin_ended = anyio.Event()

        @asynccontextmanager
        async def lifespan(_: MCPServer[Program]) -> AsyncGenerator[Program]:
            async with run_program() as program:
                self._program = program
                yield program

        listening = Listening(lambda: self.program)
        seal = KeptSeal(lambda purpose: self.program.secret(purpose))
        super().__init__(
            name="darkroom",
            title="darkroom",
            version=__version__,
            instructions=resource_text("instructions.md"),
            lifespan=lifespan,
            log_level="WARNING",
            cache_hints={"tools/list": CacheHint(ttl_ms=60_000, scope="public")},
            request_state_security=RequestStateSecurity(codec=seal),
            subscriptions=listening,
            extensions=[
                Tasks(self._task_call, [tool.name for tool in tools if tool.starts]),
                SkillsExtension(lambda: self.program.skills),
            ],
        )
        self.middleware.insert(0, seal)
        self.middleware.append(checked_cursor)
        self.middleware.append(checked_listening)
        self.middleware.append(listening)
        self.completion()(self._complete)

    async def _complete(
        self,
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion:
        known = (context and context.arguments) or {}
        try:
            return await complete(self.program, caller().principal, ref, argument.name, argument.value, known)
        except DarkroomError as exc:
            raise MCPError(code=INTERNAL_ERROR, message=error_text(exc)) from exc

    @property
    def program(self) -> Program:
        """The program; only while the server runs."""
        if self._program is None:
            raise RuntimeError("the server is not running")
        return self._program

    async def _links(self) -> Links | None:
        """Return what makes addresses of outputs for the present caller; None where paths do."""
        who = caller()
        if who.principal == LOCAL:
            return None
        return Links(await self.program.secret(PURPOSE), who.base, who.principal, self.program.clock.now())

    async def _task_call(self) -> ToolCall:
        """Return what answers about tasks are built with."""
        await self.program.ready()
        return ToolCall(
            self.program, _reporter(None), principal=caller().principal, links=await self._links(), repeats=True
        )

    async def run_stdio_async(self) -> None:
        """Serve stdin and stdout until stdin ends; `stdin_ended` is set once all but the last answers is done."""
        async with checked_stdio() as (requests, answers):
            server = self._lowlevel_server
            await server.run(requests, answers, server.create_initialization_options())
            self.stdin_ended.set()

    async def list_tools(self) -> list[PublishedTool]:
        """Return the tools as clients see them."""
        if not self._published:  # once, and not before somebody asks
            self._published = [publish(tool) for tool in self._tools_by_name.values()]
        return self._published

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Program, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Run one tool; whatever goes wrong in it becomes an answer that a model can act on.

        Raises:
            MCPError: If there is no tool of that name, or the client lacks an ability that the tool needs.
        """
        tool = self._tools_by_name.get(name)
        if tool is None:
            hint = f"There is no tool {name[:80]!r}.{did_you_mean(name, self._tools_by_name)}"
            raise MCPError(INVALID_PARAMS, hint)  # what the protocol asks for, while the SDK answers as a tool
        try:
            args = parse(tool.args, arguments)
            await self.program.ready()
            as_task = tool.starts and context is not None and takes_tasks(context)
            call = ToolCall(
                self.program,
                _reporter(None if as_task else context),
                principal=caller().principal,
                context=context,
                links=await self._links(),
                as_task=as_task,
            )
            answer = await self._run(tool, args, call)
            return outcome(answer) if tool.starts else answer
        except DarkroomError as exc:
            return error_answer(exc)
        except MCPError:  # an answer of the protocol itself, such as that the client lacks an ability
            raise
        except Exception:
            log.exception("tool %s failed", name)
            text = f"{name} failed inside darkroom. Jobs already stored go on; call check_job to see them."
            return CallToolResult(content=[TextContent(text=text)], is_error=True)

    async def _run(self, tool: Tool, args: ToolArgs, call: ToolCall) -> CallToolResult | InputRequiredResult:
        """Run a tool; where its user has to agree to the price, and can be asked, ask."""
        try:
            return await tool.run(args, call)
        except BudgetExceeded as exc:
            if exc.agree_usd is None:
                raise
            said = await agreed(exc.message, exc.agree_usd, call)
            if isinstance(said, InputRequiredResult):
                return said
            if said is None:
                raise
            if not said:
                raise BudgetExceeded(exc.message, hint="The user did not agree. Nothing was stored or sent.") from exc
            more = {"max_cost": str(exc.agree_usd)}
            if getattr(args, "again", False) and not getattr(args, "idempotency_key", None):
                more |= round_key(call.context)  # one yes pays once, however often its round is repeated
            return await tool.run(args.model_copy(update=more), call)

    async def list_resources(self) -> list[Resource]:
        """Return the resources that have no variable in their URI, and one for every skill."""
        return [*RESOURCES, *await anyio.to_thread.run_sync(Knowledge(self.program).skills)]

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """Return the resources that have one."""
        return list(TEMPLATES)

    async def list_prompts(self) -> list[Prompt]:
        """Return the prompts for clients with a menu of them."""
        return await anyio.to_thread.run_sync(prompts, self.program.skills)

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Program, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """Return the text of one prompt.

        Raises:
            MCPError: If there is none of that name, or an argument cannot be used.
        """
        try:
            return await anyio.to_thread.run_sync(prompt, self.program.skills, name, arguments or {})
        except InvalidRequest as exc:
            raise MCPError(code=INVALID_PARAMS, message=error_text(exc)) from exc

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[Program, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """Return the content of one resource.

        Raises:
            ResourceNotFoundError: If there is none.
            ResourceError: If it cannot be read; the text says why.
        """
        try:
            await self.program.ready()
            reader = Reader(self.program, caller().principal, await self._links())
            return [await reader.read(str(uri))]
        except (UnknownResource, UnknownJob, InvalidRequest) as exc:  # the address names no month, or no page
            raise ResourceNotFoundError(f"Unknown resource: {uri}. {exc}") from exc
        except DarkroomError as exc:
            raise ResourceError(error_text(exc)) from exc


async def checked_cursor(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Refuse a cursor where the whole list is one page, since none was given out; a middleware.

    Raises:
        MCPError: -32602, as the protocol wants it.
    """
    if ctx.method in ONE_PAGE and (cursor := (ctx.params or {}).get("cursor")) is not None:
        raise MCPError(INVALID_PARAMS, f"The cursor {clip(cursor)!r} is none that this list gave; leave it out.")
    return await call_next(ctx)


def _reporter(context: Context[Program, Any] | None) -> Callable[[float, float | None, str], Any]:
    async def report(done: float, total: float | None, message: str) -> None:
        if context is not None:
            await context.report_progress(done, total, message)

    return report
