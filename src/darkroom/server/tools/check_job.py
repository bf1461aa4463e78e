"""`check_job`: how jobs stand."""

import re
from typing import Annotated, Any

from mcp_types import CallToolResult, ToolAnnotations
from pydantic import Field, WithJsonSchema

from darkroom.domain.request import clip
from darkroom.domain.run import RunState
from darkroom.errors import InvalidRequest
from darkroom.server.answers import NONE_YET, things_answer, wait_seconds
from darkroom.server.context import Tool, ToolCall
from darkroom.server.schema import ToolArgs
from darkroom.server.telling import Teller
from darkroom.server.views import JOBS_SCHEMA

MAX_IDS = 20
NEWEST = 10
RUN_STATES = {
    **{state.value: (state,) for state in RunState},
    "active": (RunState.QUEUED, RunState.RUNNING, RunState.WAITING),
}
"""The words for states that runs have too."""


class CheckJobArgs(ToolArgs):
    """Arguments of `check_job`."""

    job_id: Annotated[
        str | list[Any] | None,
        WithJsonSchema({"type": "string"}),
        Field(description="one, several by comma; none: newest 10"),
    ] = None
    wait: Annotated[float | None, Field(description="seconds 0-45")] = None
    status: Annotated[str | None, Field(description="a state, active or unknown")] = None
    label: str | None = None


async def run(args: CheckJobArgs, call: ToolCall) -> CallToolResult:
    """Return the jobs, after waiting for their end if asked."""
    ids = _ids(args.job_id) or await _newest(args, call)
    if not ids:
        return await things_answer([], call, none=await _none(args, call))
    wait = wait_seconds(args.wait, 0.0)
    return await things_answer(await call.program.runs.wait(ids, call.principal, wait, Teller(call).tell), call)


async def _none(args: CheckJobArgs, call: ToolCall) -> str:
    """Say that none is as it was asked for, and whether there are others."""
    others = len(await _newest(CheckJobArgs(), call))
    if not others:
        return NONE_YET
    asked = [
        f"is {args.status.strip()}" if args.status else "",
        f"has the label {clip(args.label)!r}" if args.label else "",
    ]
    there = f"{NEWEST} or more are" if others >= NEWEST else "1 is" if others == 1 else f"{others} are"
    return f"No job {' and '.join(filter(None, asked))}; {there} there: check_job without arguments lists the newest."


async def _newest(args: CheckJobArgs, call: ToolCall) -> list[str]:
    """Return the ids of the newest jobs and runs together, newest first; of jobs alone where a label is asked for."""
    jobs = await call.program.jobs.find(call.principal, status=args.status, label=args.label)
    found = [(job.created_at, job.id) for job in jobs]
    states = RUN_STATES.get((args.status or "").strip().lower()) if args.status else ()
    if args.label is None and states is not None:
        runs = await call.program.runs.find(call.principal, states=states)
        found += [(run.created_at, run.id) for run in runs]
    return [name for _, name in sorted(found, reverse=True)[:NEWEST]]


def _of_task(name: str) -> str:
    """Return the job or run that a task of the Tasks extension is a view of; any other name as it is."""
    return name.removeprefix("task_").partition(".")[0] if name.startswith("task_") else name


def _ids(value: str | list[Any] | None) -> list[str]:
    words = re.split(r"[,\s]+", value) if isinstance(value, str) else [str(item) for item in value or ()]
    ids = list(dict.fromkeys(_of_task(word) for word in words if word))
    if len(ids) > MAX_IDS:
        raise InvalidRequest(f"job_id names {len(ids)} jobs.", field="job_id", allowed=f"up to {MAX_IDS}")
    return ids


TOOL = Tool(
    name="check_job",
    title="Check job",
    description="State of jobs or agent runs; can wait for their end. Free.",
    args=CheckJobArgs,
    output=JOBS_SCHEMA,
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    run=run,
)
