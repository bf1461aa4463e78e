"""`retry_job`: runs a job again, as a new one."""

from typing import Annotated

from mcp_types import CallToolResult, ToolAnnotations
from pydantic import Field

from darkroom.domain.money import parse_usd
from darkroom.server.answers import patience, started_answer
from darkroom.server.context import LOCAL, Tool, ToolCall
from darkroom.server.schema import ToolArgs
from darkroom.server.tools.shared import Amount, Options, checked_key
from darkroom.server.views import JOB_SCHEMA
from darkroom.services.caps import Terms


class RetryJobArgs(ToolArgs):
    """Arguments of `retry_job`."""

    job_id: str
    changes: Annotated[Options | None, Field(description="such as {prompt, model}")] = None
    max_cost: Amount | None = None
    wait: float | None = None
    idempotency_key: str | None = None


async def run(args: RetryJobArgs, call: ToolCall) -> CallToolResult:
    """Start the new job and wait for it."""
    terms = Terms(
        principal=call.principal,
        local=call.principal == LOCAL,
        max_cost=None if args.max_cost is None else parse_usd(args.max_cost, "max_cost"),
        idempotency_key=checked_key(args.idempotency_key),
    )
    started = await call.program.generation.retry(args.job_id.strip(), args.changes or {}, terms)
    return await started_answer(started, call, patience(args.wait, call))


TOOL = Tool(
    name="retry_job",
    title="Retry job",
    description="Run a job again as a new job, with changes laid over its request.",
    args=RetryJobArgs,
    output=JOB_SCHEMA,
    annotations=ToolAnnotations(destructive_hint=False),
    run=run,
    starts=True,
)
