"""Builds the MCP server around a program; the lists of what there is are answered before anything of it is loaded."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from mcp.server import CacheHint, MCPServer
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
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
)
from mcp_types import Tool as PublishedTool

from darkroom import __version__
from darkroom.catalog.data import resource_text
from darkroom.server import listing
from darkroom.server.context import Program, Source, Tool
from darkroom.server.listening import Listening
from darkroom.server.sealing import KeptSeal
from darkroom.server.skills_extension import SkillsExtension
from darkroom.server.stdio import checked_stdio
from darkroom.server.tasks import Tasks, checked_listening

if TYPE_CHECKING:
    from mcp.server.lowlevel.helper_types import ReadResourceContents
    from mcp.server.mcpserver import Context
    from pydantic import AnyUrl

    from darkroom.server.desk import Desk

AGAIN = "Call again in a moment; if that goes on, install darkroom again and start this server anew."
ONE_PAGE = frozenset({"tools/list", "prompts/list", "resources/list", "resources/templates/list"})
log = logging.getLogger(__name__)


class DarkroomServer(MCPServer[Source]):
    """An MCP server whose tools are values and whose arguments are checked raw."""

    def __init__(
        self, run_program: Callable[[], AbstractAsyncContextManager[Source]], tools: Sequence[Tool] | None = None
    ) -> None:
        """Create it.

        Args:
            run_program: Runs what it answers from.
            tools: Other tools than darkroom's own.
        """
        self._tools = tools
        self._source: Source | None = None
        self._desk: Desk | None = None
        self.stdin_ended = anyio.Event()

        @asynccontextmanager
        async def lifespan(_: MCPServer[Source]) -> AsyncGenerator[Source]:
            async with run_program() as source:
                self._source, self._desk = source, None
                yield source

        listening = Listening(self.program)
        seal = KeptSeal(self._secret)
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
            extensions=[Tasks(self.desk), SkillsExtension(self.desk)],
        )
        self.middleware.insert(0, seal)
        self.middleware.append(checked_cursor)
        self.middleware.append(checked_listening)
        self.middleware.append(listening)
        self.completion()(self._complete)

    @property
    def source(self) -> Source:
        """What it answers from; only while the server runs."""
        if self._source is None:
            raise RuntimeError("the server is not running")
        return self._source

    async def program(self) -> Program:
        """Return the program, which is loaded on first use.

        Raises:
            MCPError: If it cannot be loaded; the next call tries again.
        """
        source = self.source
        with _loading():
            return await source.program()

    async def desk(self) -> Desk:
        """Return what answers from the program.

        Raises:
            MCPError: If the program cannot be loaded.
        """
        program = await self.program()
        if self._desk is None:
            with _loading():
                self._desk = await anyio.to_thread.run_sync(_desk, program, self._tools)
        return self._desk

    def stop_waiting(self) -> None:
        """Have every call that waits answer at once: the process is about to end."""
        if self._desk is not None:
            self._desk.program.stop_waiting()

    @property
    def _own_skills(self) -> bool:
        """Whether there may be skills besides those that darkroom comes with."""
        return self.source.settings.skills_dir is not None

    async def _secret(self, purpose: str) -> bytes:
        return await (await self.program()).secret(purpose)

    async def run_stdio_async(self) -> None:
        """Serve stdin and stdout until stdin ends; `stdin_ended` is set once all but the last answers is done."""
        async with checked_stdio() as (requests, answers):
            server = self._lowlevel_server
            try:
                await server.run(requests, answers, server.create_initialization_options())
            finally:  # nobody may read answers any more, too
                self.stdin_ended.set()

    async def list_tools(self) -> list[PublishedTool]:
        """Return the tools as clients see them."""
        if self._tools is not None:
            return (await self.desk()).tools()
        return list(await anyio.to_thread.run_sync(listing.tools))

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Run one tool; whatever goes wrong in it becomes an answer that a model can act on.

        Raises:
            MCPError: If there is no tool of that name, or the client lacks an ability that the tool needs.
        """
        return await (await self.desk()).call_tool(name, arguments, context)

    async def list_resources(self) -> list[Resource]:
        """Return the resources that have no variable in their URI, and one for every skill."""
        if self._own_skills:
            return await (await self.desk()).resources()
        return list(await anyio.to_thread.run_sync(listing.resources))

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """Return the resources that have one."""
        return list(await anyio.to_thread.run_sync(listing.templates))

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[Any, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """Return the content of one resource.

        Raises:
            ResourceNotFoundError: If there is none.
            ResourceError: If it cannot be read; the text says why.
        """
        return [await (await self.desk()).read_resource(str(uri))]

    async def list_prompts(self) -> list[Prompt]:
        """Return the prompts for clients with a menu of them."""
        if self._own_skills:
            return await (await self.desk()).prompts()
        return list(await anyio.to_thread.run_sync(listing.prompts))

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """Return the text of one prompt.

        Raises:
            MCPError: If there is none of that name, or an argument cannot be used.
        """
        return await (await self.desk()).prompt(name, arguments or {})

    async def _complete(
        self,
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion:
        known = (context and context.arguments) or {}
        return await (await self.desk()).complete(ref, argument.name, argument.value, known)


async def checked_cursor(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Refuse a cursor where the whole list is one page, since none was given out; a middleware.

    Raises:
        MCPError: -32602, as the protocol wants it.
    """
    if ctx.method in ONE_PAGE and (cursor := (ctx.params or {}).get("cursor")) is not None:
        from darkroom.domain.request import clip  # only a mistake needs it

        raise MCPError(INVALID_PARAMS, f"The cursor {clip(cursor)!r} is none that this list gave; leave it out.")
    return await call_next(ctx)


@contextmanager
def _loading() -> Generator[None]:
    """Tell the client of what could not be loaded."""
    try:
        yield
    except Exception as exc:  # such as files that an upgrade is just replacing
        log.exception("darkroom could not be loaded")
        text = f"darkroom could not be loaded ({type(exc).__name__}: {exc}). Nothing was stored or sent. {AGAIN}"
        raise MCPError(INTERNAL_ERROR, text) from exc


def _desk(program: Program, tools: Sequence[Tool] | None) -> Desk:
    """Load what answers; blocks."""
    from darkroom.server.desk import Desk

    return Desk(program, tools)
