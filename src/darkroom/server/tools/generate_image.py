"""`generate_image`: makes or edits pictures."""

from typing import Annotated

from mcp_types import CallToolResult, ToolAnnotations
from pydantic import Field

from darkroom.domain.request import ImageRequest
from darkroom.server.answers import patience, started_answer
from darkroom.server.context import Tool, ToolCall
from darkroom.server.tools.shared import REQUEST, Amount, MediaArgs, Options, Strings, build, terms
from darkroom.server.views import JOB_SCHEMA


class GenerateImageArgs(MediaArgs):
    """Arguments of `generate_image`."""

    prompt: str
    model: Annotated[str | None, Field(description="id or alias")] = None
    provider: str | None = None
    size: Annotated[str | None, Field(description="1024x1024")] = None
    aspect_ratio: Annotated[str | None, Field(description="16:9, square, portrait, landscape")] = None
    n: int | None = None
    images: Annotated[
        Strings | None,
        Field(
            description="path, URL, data URI or output id, optionally role=...: source reference mask style logo "
            "character face product first_frame last_frame"
        ),
    ] = None
    quality: Annotated[str | None, Field(description="low|medium|high|max")] = None
    negative_prompt: str | None = None
    seed: int | None = None
    refine: Annotated[str | None, Field(description="job or output id to continue from")] = None
    options: Annotated[
        Options | None, Field(description="provider options; also exact, strict, extend (clips), labels, deadline_s")
    ] = None
    max_cost: Annotated[Amount | None, Field(description="USD; 0 = free only")] = None
    dry_run: Annotated[bool | None, Field(description="estimate only")] = None
    wait: Annotated[float | None, Field(description="seconds 0-45")] = None
    save_as: Annotated[str | None, Field(description="file or folder name")] = None
    idempotency_key: str | None = None
    again: Annotated[bool | None, Field(description="force a new job")] = None


async def run(args: GenerateImageArgs, call: ToolCall) -> CallToolResult:
    """Start the job, or return that of an equal call, and wait for it."""
    request = build(ImageRequest, {"prompt": args.prompt, **args.said(*REQUEST, "size", "quality")})
    started = await call.program.generation.start(request, terms(args, call))
    return await started_answer(started, call, patience(args.wait, call))


TOOL = Tool(
    name="generate_image",
    title="Generate image",
    description="Make or edit images. Returns the job with files, or its id to check_job later. "
    "Without keys: a labelled draft. A repeated call returns the first job.",
    args=GenerateImageArgs,
    output=JOB_SCHEMA,
    annotations=ToolAnnotations(destructive_hint=False),
    run=run,
    starts=True,
)
