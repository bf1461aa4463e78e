"""`run_agent`: gives a task to an agent, a chat or a workflow."""

import json
from typing import Annotated, Any

import anyio.to_thread
from mcp_types import CallToolResult, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import Field, JsonValue, WithJsonSchema

from darkroom.domain.money import parse_usd
from darkroom.domain.run import Awaits, Mode, Run
from darkroom.errors import InvalidRequest
from darkroom.server import skill_views
from darkroom.server.answers import GENERATE_WAIT_S, patience, wait_seconds
from darkroom.server.asking_user import Form, heard
from darkroom.server.client_model import can_sample
from darkroom.server.context import LOCAL, Tool, ToolCall
from darkroom.server.lending import ROUNDS, thought, told
from darkroom.server.run_answers import run_answer
from darkroom.server.run_plans import plan_text, plan_view, priced
from darkroom.server.run_views import RUN_SCHEMA, workflow_row
from darkroom.server.schema import ToolArgs
from darkroom.server.tools.shared import Amount, Options, checked_key
from darkroom.services.caps import Terms
from darkroom.services.runs import MOST_ANSWER, StartedRun
from darkroom.services.tasks import Task

ASK = "?"
Text = Annotated[str | int | float | bool | dict[str, Any] | list[Any], WithJsonSchema({"type": "string"})]
Named = Annotated[str | dict[str, Any], WithJsonSchema({"type": "string"})]


class RunAgentArgs(ToolArgs):
    """Arguments of `run_agent`; the task is left out where a run is continued."""

    task: str | None = None
    agent: Annotated[str | None, Field(description="id; none: best or chat; ? ranks, starts nothing")] = None
    session_id: Annotated[str | None, Field(description="continue that conversation")] = None
    run_id: Annotated[str | None, Field(description="continue a waiting run, with answer if it asks")] = None
    answer: Text | None = None
    context: Annotated[Options | None, Field(description="what is known: product, audience...")] = None
    tier: Annotated[str | None, Field(description="economy|standard|premium")] = None
    model: str | None = None
    workflow: Annotated[Named | None, Field(description="name or JSON; ? lists")] = None
    max_cost: Annotated[Amount | None, Field(description="USD for all of it")] = None
    dry_run: bool | None = None
    wait: float | None = None
    callback_url: str | None = None
    idempotency_key: str | None = None


async def run(args: RunAgentArgs, call: ToolCall) -> CallToolResult | InputRequiredResult:
    """Start or continue a run and wait for it; with `?` say who could do it."""
    brought = told(call.context)
    if brought is not None:  # the client answers in the middle of this very call
        found = await call.program.runs.get(brought.run, call.principal)
    elif args.run_id is not None:
        found = await _continued(args.run_id.strip(), args, call)
    elif args.answer is not None:
        raise InvalidRequest("answer needs the run_id of the run that asks.", field="run_id", hint="Nothing was done.")
    elif args.workflow == ASK:
        return await _workflows(call)
    elif args.agent is not None and args.agent.strip() == ASK:
        return await _candidates(args.task or "", call)
    elif args.dry_run:
        plan = await call.program.runs.plan(_task(args), _terms(args, call), can_sample=can_sample(call.context))
        return CallToolResult(content=[TextContent(text=plan_text(plan))], structured_content=plan_view(plan))
    else:
        started = await call.program.runs.start(_task(args), _terms(args, call), can_sample=can_sample(call.context))
        found = started.run
        call = call.noting(_note(started))
    if call.as_task and found.mode is not Mode.CLIENT:  # whose thinking would need calls of its client
        thinks = await thought(found, call, patience(args.wait, call))  # a task asks by itself
    else:
        thinks = await _asked(found, call, wait_seconds(args.wait, GENERATE_WAIT_S))
    return thinks if isinstance(thinks, InputRequiredResult) else await run_answer(thinks, call)


async def _asked(run: Run, call: ToolCall, seconds: float) -> Run | InputRequiredResult:
    """Advance a run; what it asks its user is asked at the client where that can be done, as often as it asks."""
    for _ in range(ROUNDS):
        thinks = await thought(run, call, seconds)
        if isinstance(thinks, InputRequiredResult) or thinks.question is None or thinks.awaits is not Awaits.ANSWER:
            return thinks
        about = {"type": "string", "title": "Your answer", "maxLength": MOST_ANSWER}
        question = Form(thinks.question.text, "answer", about, {"run": thinks.id, "of": thinks.question.call_id or ""})
        said = await heard(question, call.context)
        if isinstance(said, InputRequiredResult):
            return said
        if not said:
            return thinks
        run = await call.program.runs.answer(thinks.id, str(said), call.principal)
    return run


EARLIER = "This is the run of an earlier, equal call; nothing new was started."


def _note(started: StartedRun) -> str | None:
    if not started.created:
        return EARLIER
    if started.price is None or not started.price.high:
        return None
    return f"When it began, {priced(started.price)}."


async def _continued(run_id: str, args: RunAgentArgs, call: ToolCall) -> Run:
    runs = call.program.runs
    run = await runs.get(run_id, call.principal)
    if run.mode is Mode.CLIENT and not run.ended and not can_sample(call.context):
        raise InvalidRequest(
            f"{run.id} is thought about by the model of a client, and this client lends none (sampling).",
            field="run_id",
            hint=f"Nothing was changed. Continue it from the client that began it, or stop it with "
            f"cancel_job('{run.id}') and give the task anew.",
        )
    if args.answer is None:
        if args.task is not None and args.task.strip() != run.task:
            way = f"session_id='{run.session_id}'" if run.session_id else "neither run_id nor answer"
            raise InvalidRequest(
                f"{run.id} has its task already; another one cannot be given to it.",
                field="task",
                hint=f"Nothing was changed. Call run_agent with the new task and {way}.",
            )
        return run
    text = args.answer if isinstance(args.answer, str) else json.dumps(args.answer, ensure_ascii=False)
    return await runs.answer(run_id, text, call.principal)


def _task(args: RunAgentArgs) -> Task:
    context: dict[str, JsonValue] = args.context or {}
    return Task(
        task=args.task or "",
        agent=args.agent,
        workflow=args.workflow,
        session_id=args.session_id,
        context=context,
        tier=args.tier.strip().lower() if args.tier else None,
        model=args.model,
        callback_url=args.callback_url,
    )


def _terms(args: RunAgentArgs, call: ToolCall) -> Terms:
    return Terms(
        principal=call.principal,
        local=call.principal == LOCAL,
        max_cost=None if args.max_cost is None else parse_usd(args.max_cost, "max_cost"),
        idempotency_key=checked_key(args.idempotency_key),
    )


async def _candidates(task: str, call: ToolCall) -> CallToolResult:
    """Rank agents for a task; list all where none fits or nothing is said."""

    def look() -> dict[str, Any]:
        agents = call.program.agents
        rows = [skill_views.recommendation_view(item) for item in agents.recommend(task)] if task.strip() else []
        listed = rows or [skill_views.agent_row(agent) for agent in agents.select()]
        way = "Call run_agent again with one of them as agent." if rows else "None fits these words; all are listed."
        return {"status": "candidates", "candidates": listed, "next": way if task.strip() else "Name a task, or one."}

    view = await anyio.to_thread.run_sync(look)
    lines = [f"- {row['agent']}: {row.get('reason') or row.get('does')}" for row in view["candidates"]]
    return CallToolResult(
        content=[TextContent(text="\n".join([*lines, view["next"], "Nothing was started."]))], structured_content=view
    )


async def _workflows(call: ToolCall) -> CallToolResult:
    rows = [workflow_row(flow) for flow in await anyio.to_thread.run_sync(call.program.workflows.select)]
    way = "Call run_agent with a task and workflow set to one of them."
    lines = [f"- {row['workflow']}: {row['does']} Inputs: {', '.join(row['inputs'])}." for row in rows]
    view = {"status": "candidates", "candidates": rows, "next": way}
    return CallToolResult(content=[TextContent(text="\n".join([*lines, way]))], structured_content=view)


TOOL = Tool(
    name="run_agent",
    title="Run agent",
    description="Give a task to a specialist agent or workflow. Without an LLM key: a brief for you to carry out.",
    args=RunAgentArgs,
    output=RUN_SCHEMA,
    annotations=ToolAnnotations(destructive_hint=False),
    run=run,
    starts=True,
)
