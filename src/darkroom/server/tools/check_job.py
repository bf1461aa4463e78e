"""`check_job`: how jobs stand."""

import re
from typing import Annotated, Any

from mcp_types import CallToolResult, ToolAnnotations
from pydantic import Field, WithJsonSchema

from darkroom.errors import InvalidRequest
from darkroom.server.answers import awaited, jobs_answer, wait_seconds
from darkroom.server.context import Tool, ToolCall
from darkroom.server.schema import ToolArgs
from darkroom.server.views import JOBS_SCHEMA

MAX_IDS = 20


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
    ids = _ids(args.job_id)
    if not ids:
        found = await call.program.jobs.find(call.principal, status=args.status, label=args.label)
        ids = [job.id for job in found]
    if not ids:
        return await jobs_answer([], call)
    return await jobs_answer(await awaited(ids, call, wait_seconds(args.wait, 0.0)), call)


def _ids(value: str | list[Any] | None) -> list[str]:
    words = re.split(r"[,\s]+", value) if isinstance(value, str) else [str(item) for item in value or ()]
    ids = list(dict.fromkeys(word for word in words if word))
    if len(ids) > MAX_IDS:
        raise InvalidRequest(f"job_id names {len(ids)} jobs.", field="job_id", allowed=f"up to {MAX_IDS}")
    return ids


TOOL = Tool(
    name="check_job",
    title="Check job",
    description="State of jobs; can wait for their end. Free.",
    args=CheckJobArgs,
    output=JOBS_SCHEMA,
    annotations=ToolAnnotations(read_only_hint=True, open_world_hint=False),
    run=run,
)
