"""Builds the answers of tools: one text, thumbnails, links, structured content."""

import base64
import math
from collections.abc import Sequence
from typing import Any

from mcp_types import CallToolResult, ContentBlock, ImageContent, ResourceLink, TextContent

from darkroom.domain.job import Job, State
from darkroom.errors import DarkroomError
from darkroom.server.context import ToolCall
from darkroom.server.views import error_text, error_view, job_text, job_view, proposal_view
from darkroom.services.generation import Started
from darkroom.services.routes import Proposal

THUMBNAILS = 4
"""Small pictures in one answer."""
MAX_WAIT_S = 45.0
GENERATE_WAIT_S = 25.0
TELL_EVERY_S = 1.0


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


async def jobs_answer(jobs: Sequence[Job], call: ToolCall) -> CallToolResult:
    """Answer with several jobs; thumbnails are shared among them, newest first."""
    views: list[dict[str, Any]] = []
    blocks: list[ContentBlock] = []
    for job in jobs:
        left = THUMBNAILS - sum(isinstance(block, ImageContent) for block in blocks)
        view, extras = await _shown(job, call, left)
        views.append(view)
        blocks += extras
    texts = "\n".join(job_text(view) for view in views) or "There is no such job yet. Start one with generate_image."
    costs = [{"job_id": view["job_id"], **_cost_meta(view)} for view in views]
    meta = {"cost": costs[0] if len(costs) == 1 else costs} if costs else None
    return CallToolResult(content=[_text(texts), *blocks], structured_content={"jobs": views}, _meta=meta)


async def _shown(job: Job, call: ToolCall, thumbnails: int) -> tuple[dict[str, Any], list[ContentBlock]]:
    """Return a job's view, its thumbnails (once a job, unless always) and links; remember that it was shown."""
    program = call.program
    progress = await program.jobs.progress(job)
    plans = program.plans.plans
    view = job_view(job, now=program.clock.now(), progress=progress, offer=call.offer(job), plans=plans)
    blocks: list[ContentBlock] = []
    setting = program.settings.thumbnails
    if setting == "always" or (setting == "auto" and job.delivered_at is None):
        for output in job.outputs[:thumbnails]:
            data = await program.artifacts.read(output, thumbnail=True)
            if data is not None:
                blocks.append(ImageContent(data=base64.b64encode(data).decode(), mime_type="image/webp"))
    for output in job.outputs:
        name = output.path.replace("\\", "/").rpartition("/")[2]
        blocks.append(
            ResourceLink(
                uri=f"darkroom://outputs/{output.id}", name=name, mime_type=output.media_type, size=output.bytes
            )
        )
    await program.jobs.delivered(job)
    return view, blocks


def proposal_answer(proposal: Proposal) -> CallToolResult:
    """Answer a dry run."""
    view = proposal_view(proposal)
    return CallToolResult(content=[_text(view["next"])], structured_content=view)


def error_answer(error: DarkroomError) -> CallToolResult:
    """Answer with a refusal."""
    return CallToolResult(content=[_text(error_text(error))], structured_content=error_view(error), is_error=True)


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
    teller = _Teller(call)
    return await call.program.jobs.wait(job_ids, call.principal, wait, teller.tell)


def wait_seconds(value: float | None, default: float) -> float:
    """Return how long to wait: 0 to 45 seconds, whatever was asked."""
    wanted = default if value is None or math.isnan(value) else value
    return min(max(wanted, 0.0), MAX_WAIT_S)


class _Teller:
    """Turns changes of jobs into progress notices whose value always grows."""

    def __init__(self, call: ToolCall) -> None:
        self._call = call
        self._last_at = -math.inf
        self._last_value = 0.0
        self._last_states: list[State] = []

    async def tell(self, jobs: Sequence[Job]) -> None:
        now = self._call.program.clock.monotonic()
        states = [job.state for job in jobs]
        if states == self._last_states and now - self._last_at < TELL_EVERY_S:
            return
        self._last_at, self._last_states = now, states
        fractions: list[float] = []
        messages: list[str] = []
        for job in jobs:
            progress = None if job.ended else await self._call.program.jobs.progress(job)
            fraction = 1.0 if job.ended else (progress.fraction or 0.0) if progress else 0.0
            fractions.append(fraction)
            note = f": {progress.message}" if progress and progress.message else ""
            messages.append(f"{job.kind} {job.state}{note}")
        value = max(100 * sum(fractions) / len(fractions), self._last_value + 0.01)
        self._last_value = value
        await self._call.report(value, 100.0, "; ".join(messages[:3]))


def _text(text: str) -> TextContent:
    return TextContent(text=text)
