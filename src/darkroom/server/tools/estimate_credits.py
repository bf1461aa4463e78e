"""`estimate_credits`: what work would cost, what a job costs, what was spent; starts nothing."""

from collections.abc import Callable
from typing import Annotated, Any

import anyio.to_thread
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field

from darkroom.domain.request import clip, whole
from darkroom.errors import InvalidRequest
from darkroom.server import money_texts as texts
from darkroom.server import money_views as views
from darkroom.server.context import Tool, ToolCall
from darkroom.server.schema import ToolArgs
from darkroom.server.tools.shared import Options
from darkroom.services.estimates import MOST, NOTHING, WORDS, Ask, kind_of


class EstimateCreditsArgs(ToolArgs):
    """Arguments of `estimate_credits`."""

    operation: Annotated[
        str,
        Field(
            description="image video speech sound music transcription vision research slides chat; month, spent, job; "
            "alone: lists offers"
        ),
    ]
    job_id: str | None = None
    model: str | None = None
    provider: str | None = None
    n: int | None = None
    duration: float | None = None
    size: str | None = None
    resolution: str | None = None
    quality: str | None = None
    audio: bool | None = None
    characters: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    usage: Annotated[Options | None, Field(description="month: {videos: 10, images: 100}")] = None
    plan: str | None = None
    since: Annotated[str | None, Field(description="spent: today, week, month, 7d, 2026-11")] = None
    offset: int | None = None


async def run(args: EstimateCreditsArgs, call: ToolCall) -> CallToolResult:
    """Answer from the catalogue and the ledger."""
    estimates, word = call.program.estimates, args.operation.strip().lower()
    word = WORDS.get(word, word)
    if args.job_id is not None and word != "job":
        raise InvalidRequest(
            f"job_id is of no use with operation={clip(args.operation)!r}.",
            field="job_id",
            hint=f"{NOTHING} Give operation='job' to see what that job costs, or leave job_id out.",
        )
    if word == "month":
        month = await anyio.to_thread.run_sync(estimates.month, args.usage or {}, args.plan, call.principal)
        return _answer(views.month_view(month), texts.month_text)
    if word == "spent":
        spent = await call.program.usage.since(args.since, call.principal)
        return _answer(views.usage_view(spent), texts.usage_text)
    if word == "job":
        if not args.job_id:
            raise InvalidRequest("Which job? job_id is missing.", field="job_id", hint=NOTHING)
        cost = await estimates.job(args.job_id.strip(), args.plan, call.principal)
        return _answer(views.job_cost_view(cost), texts.job_cost_text)
    said = args.said("model", "provider", "n", "duration", "size", "resolution", "quality", "audio", "characters",
                     "input_tokens", "output_tokens", "plan")  # fmt: skip
    ask = Ask(args.operation, **said)
    span = views.Span(0 if args.offset is None else whole(args.offset, "offset", 0, MOST))
    if ask.bare:
        estimates.plan_name(args.plan, call.principal)
        rows = await anyio.to_thread.run_sync(estimates.listing, kind_of(args.operation))
        return _answer(views.listing_view(rows, span), texts.listing_text)
    estimate = await anyio.to_thread.run_sync(estimates.estimate, ask, call.principal)
    return _answer(views.estimate_view(estimate, span), texts.estimate_text)


def _answer(view: dict[str, Any], text: Callable[[dict[str, Any]], str]) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=text(view))], structured_content=view)


TOOL = Tool(
    name="estimate_credits",
    title="Estimate cost",
    description="Price before work: USD, credits, client price, cheaper offers; a month; what was spent. Free.",
    args=EstimateCreditsArgs,
    output=views.ESTIMATE_SCHEMA,
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    run=run,
)
