"""`cancel_job`: stops a job, as far as its provider allows."""

from mcp_types import CallToolResult, TextContent, ToolAnnotations

from darkroom.server.answers import awaited, job_answer
from darkroom.server.context import Tool, ToolCall
from darkroom.server.run_answers import run_answer
from darkroom.server.schema import ToolArgs
from darkroom.server.views import JOB_SCHEMA, charged
from darkroom.services.runs import RUN

STOP_WAIT_S = 3.0
"""How long to wait for the provider's word before answering."""


class CancelJobArgs(ToolArgs):
    """Arguments of `cancel_job`."""

    job_id: str


async def run(args: CancelJobArgs, call: ToolCall) -> CallToolResult:
    """Ask for the stop, and answer with how the job then stands."""
    name = args.job_id.strip()
    if name.startswith(RUN):
        await call.program.runs.cancel(name, call.principal)
        await call.program.runs.wait([name], call.principal, STOP_WAIT_S)
        return await run_answer(await call.program.runs.get(name, call.principal), call)
    before = await call.program.jobs.cancel(name, call.principal)
    if not before.ended:
        return await job_answer((await awaited([before.id], call, STOP_WAIT_S))[0], call)
    answer = await job_answer(before, call)
    if before.cancel_requested_at is None:
        note = f"It had ended before this call: nothing was stopped, and {charged(before)}."
        answer.content.insert(1, TextContent(text=note))
    return answer


TOOL = Tool(
    name="cancel_job",
    title="Cancel job",
    description="Stop a job or run; says what is charged all the same.",
    args=CancelJobArgs,
    output=JOB_SCHEMA,
    annotations=ToolAnnotations(destructive_hint=True, idempotent_hint=True),
    run=run,
)
