"""`generate_video`: makes clips from text, pictures or scenes."""

from typing import Annotated

from mcp_types import CallToolResult, ToolAnnotations
from pydantic import Field

from darkroom.domain.request import VideoRequest
from darkroom.server.answers import patience, started_answer
from darkroom.server.context import Tool, ToolCall
from darkroom.server.tools.shared import REQUEST, Amount, MediaArgs, Objects, Options, Strings, build, terms
from darkroom.server.views import JOB_SCHEMA


class GenerateVideoArgs(MediaArgs):
    """Arguments of `generate_video`."""

    prompt: str
    model: str | None = None
    provider: str | None = None
    duration: Annotated[float | None, Field(description="seconds")] = None
    aspect_ratio: str | None = None
    resolution: Annotated[str | None, Field(description="480p-4k")] = None
    audio: bool | None = None
    n: int | None = None
    images: Annotated[Strings | None, Field(description="or clip=... each, to join")] = None
    scenes: Annotated[Objects | None, Field(description="[{prompt, duration, image}]")] = None
    negative_prompt: str | None = None
    seed: int | None = None
    refine: str | None = None
    options: Options | None = None
    max_cost: Amount | None = None
    dry_run: bool | None = None
    wait: float | None = None
    save_as: str | None = None
    idempotency_key: str | None = None
    again: bool | None = None


async def run(args: GenerateVideoArgs, call: ToolCall) -> CallToolResult:
    """Start the job, or return that of an equal call, and wait for it."""
    fields = args.said(*REQUEST, "duration", "resolution", "audio", "scenes")
    request = build(VideoRequest, {"prompt": args.prompt, **fields})
    started = await call.program.generation.start(request, terms(args, call))
    return await started_answer(started, call, patience(args.wait, call))


TOOL = Tool(
    name="generate_video",
    title="Generate video",
    description="Make a video from text, images or scenes. Arguments as in generate_image.",
    args=GenerateVideoArgs,
    output=JOB_SCHEMA,
    annotations=ToolAnnotations(destructive_hint=False),
    run=run,
    starts=True,
)
