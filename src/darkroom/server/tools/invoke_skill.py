"""`invoke_skill`: how a piece of work is done well; starts nothing."""

from typing import Annotated, Any

import anyio.to_thread
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field

from darkroom.errors import InvalidRequest
from darkroom.server import skill_views as views
from darkroom.server.context import Tool, ToolCall
from darkroom.server.schema import ToolArgs
from darkroom.server.tools.shared import Options
from darkroom.services.brainstorm import brainstorm
from darkroom.services.skills import SURE, SkillLibrary

EVERYTHING = "?"
LONGEST = 20_000
"""Letters of an input; more belongs into files."""


class InvokeSkillArgs(ToolArgs):
    """Arguments of `invoke_skill`."""

    skill: Annotated[str, Field(description="name or search words; ? lists all")]
    input: Annotated[str | None, Field(description="the work; none: lists candidates")] = None
    context: Annotated[Options | None, Field(description="what is known: product, audience...")] = None
    brainstorm: Annotated[
        Options | None,
        Field(description="{task_type, market_stage: new growing crowded jaded mature, audience, product}"),
    ] = None


async def run(args: InvokeSkillArgs, call: ToolCall) -> CallToolResult:
    """Answer from the skills and frameworks."""
    view = await anyio.to_thread.run_sync(answer, args, call.program.skills)
    return CallToolResult(content=[TextContent(text=views.skill_text(view))], structured_content=view)


def answer(args: InvokeSkillArgs, library: SkillLibrary) -> dict[str, Any]:
    """Return the view that answers a call; may read files.

    Raises:
        InvalidRequest: If there is no such skill, task type or market stage, or nothing is said.
    """
    name, request, context = args.skill.strip(), (args.input or "").strip(), args.context or {}
    if len(request) > LONGEST:
        raise InvalidRequest(f"input holds {len(request)} letters.", field="input", allowed=f"up to {LONGEST}")
    if args.brainstorm is not None:
        return views.brainstorm_view(brainstorm(args.brainstorm, context, request, name))
    if name in ("", EVERYTHING):
        return views.list_view(library.select(), library.problems)
    skill = library.named(name)
    if skill is not None and not request and not context:
        return views.skill_details(skill)
    if skill is None:
        found = library.search(name)
        sure = bool(found) and found[0].confidence >= SURE and (bool(request) or bool(context))
        if library.left_out(name) or (not found and " " not in name):
            library.get(name)  # raises, naming what is near
        if not sure:
            return views.candidates_view(found, name)
        skill, request = found[0].skill, "\n".join(part for part in (name, request) if part)
    return views.invocation_view(library.invoke(skill, request, context))


TOOL = Tool(
    name="invoke_skill",
    title="Use a skill",
    description="How a professional does a task: agent, prompt, questions, next calls; or a brainstorm. Free.",
    args=InvokeSkillArgs,
    output=views.SKILL_SCHEMA,
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    run=run,
)
