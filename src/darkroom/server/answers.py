"""Builds the answers of tools: one text, thumbnails, links, structured content."""

import math
from collections.abc import Sequence
from typing import Any

from mcp_types import CallToolResult, ContentBlock, ImageContent, InputRequiredResult, TextContent

from darkroom.domain.job import Job, State
from darkroom.errors import DarkroomError
from darkroom.server.context import ToolCall
from darkroom.server.files import THUMBNAILS, files_of
from darkroom.server.links import outward
from darkroom.server.run_answers import run_meta, run_words, shown_run
from darkroom.server.telling import Teller
from darkroom.server.views import error_text, error_view, job_text, job_view, proposal_view
from darkroom.services.generation import Started
from darkroom.services.routes import Proposal
from darkroom.services.runs import Thing

MAX_WAIT_S = 45.0
GENERATE_WAIT_S = 25.0
TASK_WAIT_S = 1.0
"""What is done so soon is answered without a task, which its client would have to ask about."""


async def job_answer(job: Job, call: ToolCall) -> CallToolResult:
    """Answer with one job."""
    view, extras = await _shown(job, call, THUMBNAILS)
    meta = {"cost": _cost_meta(view)}
    return CallToolResult(content=[_text(job_text(view)), *extras], structured_content=view, _meta=meta)


def _cost_meta(view: dict[str, Any]) -> dict[str, Any]:
    """Return what a host may add up of a job."""
    cost = view.get("cost", {})
    return {
        "estimate": cost.get("estimate_usd"),
        "actual": cost.get("actual_usd"),
        "model": view["model"],
        "provider": view["provider"],
    }


NONE_YET = "There is no such job yet. Start one with generate_image."


async def things_answer(things: Sequence[Thing], call: ToolCall, *, none: str = NONE_YET) -> CallToolResult:
    """Answer with several jobs and runs, or in words that there is `none`; thumbnails are shared, newest first."""
    views: list[dict[str, Any]] = []
    blocks: list[ContentBlock] = []
    texts: list[str] = []
    costs: list[dict[str, Any]] = []
    for thing in things:
        left = THUMBNAILS - sum(isinstance(block, ImageContent) for block in blocks)
        if isinstance(thing, Job):
            view, extras = await _shown(thing, call, left)
            texts.append(job_text(view))
            costs.append({"job_id": thing.id, **_cost_meta(view)})
        else:
            view, extras = await shown_run(thing, call, left, listed=len(things) > 1)
            texts.append(run_words(thing, view, call))
            costs.append({"run_id": thing.id, **run_meta(view)})
        views.append(view)
        blocks += extras
    words = "\n".join(texts) or none
    meta = {"cost": costs[0] if len(costs) == 1 else costs} if costs else None
    return CallToolResult(content=[_text(words), *blocks], structured_content={"jobs": views}, _meta=meta)


async def view_of(job: Job, call: ToolCall) -> dict[str, Any]:
    """Return a job's lean view as the caller may see it."""
    program = call.program
    progress = await program.jobs.progress(job, shared=call.repeats)
    plans = program.plans.plans
    view = job_view(job, now=program.clock.now(), progress=progress, offer=call.offer(job), plans=plans)
    return outward(view, call.links)


async def _shown(job: Job, call: ToolCall, thumbnails: int) -> tuple[dict[str, Any], list[ContentBlock]]:
    """Return a job's view, its thumbnails (once a job, unless always) and links; remember that it was shown."""
    view = await view_of(job, call)
    pictures, links = await files_of(job, call, thumbnails, first=call.repeats or job.delivered_at is None)
    await call.program.jobs.delivered(job)
    return view, [*pictures, *links]


def proposal_answer(proposal: Proposal) -> CallToolResult:
    """Answer a dry run."""
    view = proposal_view(proposal)
    return CallToolResult(content=[_text(view["next"])], structured_content=view)


def error_answer(error: DarkroomError) -> CallToolResult:
    """Answer with a refusal."""
    return CallToolResult(content=[_text(error_text(error))], structured_content=error_view(error), is_error=True)


def outcome(answer: CallToolResult | InputRequiredResult) -> CallToolResult | InputRequiredResult:
    """Return the answer of a call that was to get something done: an error of the tool where that failed.

    Models are told of such an error and try again, as the protocol wants it. A call that only asks how things stand
    has done what it was to do, whatever it tells.
    """
    if not isinstance(answer, CallToolResult):
        return answer
    said: dict[str, Any] = answer.structured_content or {}
    return answer.model_copy(update={"is_error": True}) if said.get("status") == State.FAILED else answer


async def started_answer(started: Started | Proposal, call: ToolCall, wait: float) -> CallToolResult:
    """Answer a generate or retry call: with the plan, or with the job after waiting for it."""
    if isinstance(started, Proposal):
        return proposal_answer(started)
    jobs = await awaited([started.job.id], call, wait)
    answer = await job_answer(jobs[0], call)
    if not started.created:
        note = (
            "This is the job of an earlier, equal call; nothing new was started "
            "(a new job needs again=true, and no idempotency_key that was used)."
        )
        answer.content.insert(1, _text(note))
    return answer


async def awaited(job_ids: Sequence[str], call: ToolCall, wait: float) -> list[Job]:
    """Wait for jobs, reporting progress about every five seconds and at every change, at most once a second."""
    return await call.program.jobs.wait(job_ids, call.principal, wait, Teller(call).tell)


def wait_seconds(value: float | None, default: float) -> float:
    """Return how long to wait: 0 to 45 seconds, whatever was asked."""
    wanted = default if value is None or math.isnan(value) else value
    return min(max(wanted, 0.0), MAX_WAIT_S)


def patience(asked: float | None, call: ToolCall) -> float:
    """Return how long a call waits for what it started: as asked, or a moment where a task goes on in its place."""
    seconds = wait_seconds(asked, GENERATE_WAIT_S)
    return min(seconds, TASK_WAIT_S) if call.as_task else seconds


def _text(text: str) -> TextContent:
    return TextContent(text=text)
