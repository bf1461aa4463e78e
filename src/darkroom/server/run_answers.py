"""Builds the answers of tools about runs."""

from collections.abc import Sequence
from typing import Any

import anyio.to_thread
from mcp_types import CallToolResult, ContentBlock, TextContent

from darkroom.domain.job import Job
from darkroom.domain.run import Mode, Run
from darkroom.server.context import ToolCall
from darkroom.server.files import THUMBNAILS, files_of
from darkroom.server.links import outward
from darkroom.server.run_views import result_jobs, run_text, run_view
from darkroom.services.intents import read, reply


async def run_answer(run: Run, call: ToolCall) -> CallToolResult:
    """Answer with one run: its text, thumbnails and links of the files that it made, and how it stands."""
    view, blocks = await shown_run(run, call, THUMBNAILS)
    texts: list[ContentBlock] = [TextContent(text=run_words(run, view, call))]
    if call.note:
        texts.append(TextContent(text=call.note))
    return CallToolResult(content=[*texts, *blocks], structured_content=view, _meta={"cost": run_meta(view)})


def run_words(run: Run, view: dict[str, Any], call: ToolCall) -> str:
    """Return a run in words, with its brief where the view has it."""
    return run_text(view, call.program.brief_text(run.brief) if run.brief and "brief" in view else None)


def run_meta(view: dict[str, Any]) -> dict[str, Any]:
    """Return what a host may add up of a run."""
    cost = view.get("cost", {})
    provider, _, model = str(view.get("model") or "").partition("/")
    return {
        "estimate": cost.get("estimate_usd"),
        "actual": cost.get("actual_usd"),
        "model": model or None,
        "provider": provider or None,
    }


async def shown_run(
    run: Run, call: ToolCall, thumbnails: int, *, listed: bool = False
) -> tuple[dict[str, Any], list[ContentBlock]]:
    """Return a run's view with thumbnails and links; remember that it was shown. `listed`: as one of several."""
    program = call.program
    jobs = await program.runs.jobs_of(run)
    if run.mode is Mode.HAND_OFF and run.actions and len(jobs) == 1:
        run = await anyio.to_thread.run_sync(_said_anew, run, jobs[0])
    view = run_view(run, now=program.clock.now(), cost=await program.runs.cost(run), jobs=jobs, listed=listed)
    view = outward(view, call.links)
    blocks = (
        await _files(result_jobs(run, jobs), call, thumbnails, first=call.repeats or run.delivered_at is None)
        if run.ended
        else []
    )
    if not listed:
        await program.runs.delivered(run)
    return view, blocks


def _said_anew(run: Run, job: Job) -> Run:
    """Return a run that did nothing but start a job, with what is to be said of that job now; may read files."""
    intent = read(run.task)
    return run if intent is None else run.model_copy(update={"output": reply(intent, job)})


async def _files(jobs: Sequence[Job], call: ToolCall, thumbnails: int, *, first: bool) -> list[ContentBlock]:
    pictures: list[ContentBlock] = []
    links: list[ContentBlock] = []
    for job in jobs:
        small, named = await files_of(job, call, max(0, thumbnails - len(pictures)), first=first)
        pictures += small
        links += named
        await call.program.jobs.delivered(job)
    return [*pictures, *links[:20]]
