"""Answers what clients ask beyond the lists of what there is; loaded with the program, when somebody first asks."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolResult,
    Completion,
    GetPromptResult,
    InputRequiredResult,
    Prompt,
    PromptReference,
    Resource,
    ResourceTemplateReference,
    TextContent,
)
from mcp_types import Tool as PublishedTool

from darkroom.collecting import forget
from darkroom.domain.names import did_you_mean
from darkroom.errors import BudgetExceeded, DarkroomError, InvalidRequest, UnknownJob
from darkroom.server.answers import error_answer, outcome
from darkroom.server.asking_user import agreed, round_key
from darkroom.server.caller import caller
from darkroom.server.completions import complete
from darkroom.server.context import LOCAL, Program, Tool, ToolCall
from darkroom.server.hiding import seen_from_afar, without_folders
from darkroom.server.knowledge import Knowledge
from darkroom.server.links import PURPOSE, Links
from darkroom.server.prompts import prompt, prompts
from darkroom.server.resources import RESOURCES, Reader, UnknownResource
from darkroom.server.schema import ToolArgs, parse, published
from darkroom.server.skill_pages import SkillPages
from darkroom.server.task_calls import TaskCalls
from darkroom.server.tasks import takes_tasks
from darkroom.server.tools import TOOLS
from darkroom.server.views import error_text

READ_AT_ONCE = 2
"""Resources: some take a tenth of a second of computing, and hundreds at once would keep everything else waiting."""
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


class Desk:
    """Runs tools and reads resources and prompts for one program."""

    def __init__(self, program: Program, tools: Sequence[Tool] | None = None) -> None:
        self.program = program
        self._reading = anyio.Semaphore(READ_AT_ONCE)
        self._tools = {tool.name: tool for tool in (TOOLS if tools is None else tools)}
        self.tasks = TaskCalls(partial(self.call, repeats=True))
        """Answers about calls that go on as tasks."""
        self.skills = SkillPages(program.skills)
        """Answers of the Skills extension."""

    def tools(self) -> list[PublishedTool]:
        """Return the tools as clients see them."""
        return [publish(tool) for tool in self._tools.values()]

    def starts(self, name: str) -> bool:
        """Return whether a tool starts something that may go on as a task."""
        return name in self._tools and self._tools[name].starts

    async def call(self, *, notify: Context[Any, Any] | None = None, **more: Any) -> ToolCall:
        """Return what an answer to the present caller is built with, once jobs can be stored.

        Raises:
            StorageError: If they cannot.
        """
        await self.program.ready()
        links = await self._links()
        return ToolCall(self.program, _reporter(notify), principal=caller().principal, links=links, **more)

    async def _links(self) -> Links | None:
        """Return what makes addresses of outputs for the present caller; None where paths do."""
        who = caller()
        if who.principal == LOCAL:
            return None
        return Links(await self.program.secret(PURPOSE), who.base, who.principal, self.program.clock.now())

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None
    ) -> CallToolResult | InputRequiredResult:
        """Run one tool; whatever goes wrong in it becomes an answer that a model can act on.

        Raises:
            MCPError: If there is no tool of that name, or the client lacks an ability that the tool needs.
        """
        answer = await self._answered(name, arguments, context)
        if caller().principal == LOCAL or not isinstance(answer, CallToolResult):
            return answer
        return seen_from_afar(answer, self.program.settings)

    async def _answered(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None
    ) -> CallToolResult | InputRequiredResult:
        tool = self._tools.get(name)
        if tool is None:
            hint = f"There is no tool {name[:80]!r}.{did_you_mean(name, self._tools)}"
            raise MCPError(INVALID_PARAMS, hint)  # what the protocol asks for, while the SDK answers as a tool
        try:
            args = parse(tool.args, arguments)
            as_task = tool.starts and context is not None and takes_tasks(context)
            call = await self.call(notify=None if as_task else context, context=context, as_task=as_task)
            answer = await self._run(tool, args, call)
            return outcome(answer) if tool.starts else answer
        except DarkroomError as exc:
            answer = error_answer(exc)
            forget(exc)
            return answer
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

    async def resources(self) -> list[Resource]:
        """Return the resources that have no variable in their URI, and one for every skill."""
        return [*RESOURCES, *await anyio.to_thread.run_sync(Knowledge(self.program).skills)]

    async def read_resource(self, uri: str) -> ReadResourceContents:
        """Return the content of one resource.

        Raises:
            ResourceNotFoundError: If there is none.
            ResourceError: If it cannot be read; the text says why.
        """
        try:
            await self.program.ready()
            async with self._reading:
                return await Reader(self.program, caller().principal, await self._links()).read(uri)
        except (UnknownResource, UnknownJob, InvalidRequest) as exc:  # the address names no month, or no page
            raise ResourceNotFoundError(f"Unknown resource: {uri}. {exc}") from exc
        except DarkroomError as exc:
            told = error_text(exc)
            here = caller().principal == LOCAL
            raise ResourceError(told if here else without_folders(told, self.program.settings)) from exc

    async def prompts(self) -> list[Prompt]:
        """Return the prompts for clients with a menu of them."""
        return await anyio.to_thread.run_sync(prompts, self.program.skills)

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> GetPromptResult:
        """Return the text of one prompt.

        Raises:
            MCPError: If there is none of that name, or an argument cannot be used.
        """
        try:
            return await anyio.to_thread.run_sync(prompt, self.program.skills, name, arguments)
        except InvalidRequest as exc:
            raise MCPError(code=INVALID_PARAMS, message=error_text(exc)) from exc

    async def complete(
        self, ref: PromptReference | ResourceTemplateReference, name: str, begun: str, known: Mapping[str, str]
    ) -> Completion:
        """Return what an argument may be that begins so.

        Raises:
            MCPError: If the store cannot be read.
        """
        try:
            return await complete(self.program, caller().principal, ref, name, begun, known)
        except DarkroomError as exc:
            raise MCPError(code=INTERNAL_ERROR, message=error_text(exc)) from exc


def _reporter(context: Context[Any, Any] | None) -> Callable[[float, float | None, str], Any]:
    async def report(done: float, total: float | None, message: str) -> None:
        if context is not None:
            await context.report_progress(done, total, message)

    return report
