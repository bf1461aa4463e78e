"""`darkroom agent run`, `answer`, `show`, `list` and `cancel`."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from darkroom.app import App
from darkroom.cli.console import EXIT_USAGE, err, fail, out, run
from darkroom.cli.following import LOCAL, look
from darkroom.cli.run_options import (
    Again,
    AsJson,
    Context,
    ContextFile,
    DryRun,
    MaxCost,
    Model,
    RunId,
    Tier,
    Wait,
    context_of,
    terms_of,
    workflow_of,
)
from darkroom.cli.running import Shown, carry_out, duration, shown, stand, stop
from darkroom.cli.running import show as show_run
from darkroom.cli.words import as_commands
from darkroom.domain.money import show_usd
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.domain.run import Run, RunState
from darkroom.server.run_plans import plan_text, plan_view, priced
from darkroom.server.run_resources import read_run
from darkroom.server.run_views import run_view
from darkroom.services.caps import Terms
from darkroom.services.runs import RUN, RunPlan
from darkroom.services.tasks import Task

EARLIER = "An equal run goes on or is just done; this is it (--again forces a new one)."
COLOURS = {RunState.SUCCEEDED: "green", RunState.FAILED: "red", RunState.CANCELLED: "dim"}
ACTIVE = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)
COLUMNS = {"run": 20, "made": 11, "who": 15, "status": 9, "task": 12}
group = typer.Typer(no_args_is_help=True, help="Give a task to an agent or a workflow; see, answer and stop its runs.")
Text = Annotated[str, typer.Argument(metavar="TASK", help="What is to be done.")]


@group.command("run")
def start(
    task: Text,
    agent: Annotated[str | None, typer.Option(help="Agent id; darkroom agents TASK says who fits.")] = None,
    workflow: Annotated[
        str | None, typer.Option(help="A workflow: a name, a .json or .toml file, or - for JSON on stdin.")
    ] = None,
    session: Annotated[str | None, typer.Option(help="Session id to go on from.")] = None,
    context: Context = None,
    context_file: ContextFile = None,
    tier: Tier = None,
    model: Model = None,
    max_cost: MaxCost = None,
    dry_run: DryRun = False,
    wait: Wait = None,
    again: Again = False,
    as_json: AsJson = False,
) -> None:
    """Give a task to an agent or a workflow and follow it; without a language model you get its brief."""
    asked = Task(
        task=task,
        agent=agent,
        workflow=workflow_of(workflow) if workflow is not None else None,
        session_id=session,
        context=context_of(context, context_file),
        tier=tier.strip().lower() if tier else None,
        model=model,
    )
    start_task(asked, terms_of(max_cost, again=again, dry_run=dry_run), wait, as_json=as_json)


def start_task(task: Task, terms: Terms, wait: float | None, *, as_json: bool) -> None:
    """Start a run, follow it and show it; or say what it would do and cost."""
    if terms.dry_run:
        _show_plan(run(lambda app: app.runs.plan(task, terms)), as_json=as_json)
        return

    async def begin(app: App) -> Run:
        started = await app.runs.start(task, terms)
        if not started.created:
            err.print(EARLIER, style="yellow")
        elif started.price and started.price.high:
            err.print(f"When it began, {priced(started.price)}.", style="dim", markup=False)
        return started.run

    carry_out(begin, wait, as_json=as_json)


def _show_plan(plan: RunPlan, *, as_json: bool) -> None:
    if as_json:
        out.print_json(data=plan_view(plan))
        return
    if plan.price:
        table = Table(box=None, pad_edge=False, show_header=False)
        for item in plan.price.steps:
            cost = "price not known" if item.unknown == item.calls else show_usd(item.likely)
            table.add_row(item.step, str(item.calls), escape(", ".join(item.offers)), cost)
        out.print(table)
    out.print(as_commands(plan_text(plan)), markup=False)


@group.command()
def answer(
    run_id: RunId,
    text: Annotated[str, typer.Argument(metavar="ANSWER", help="Your answer to its question.")],
    wait: Wait = None,
    as_json: AsJson = False,
) -> None:
    """Answer what a run asks, and follow it."""

    async def begin(app: App) -> Run:
        return await app.runs.answer(run_id.strip(), text, LOCAL)

    carry_out(begin, wait, as_json=as_json)


@group.command()
def cancel(run_id: RunId, as_json: AsJson = False) -> None:
    """Stop a run and what it started, as far as providers allow."""

    async def work(app: App) -> Shown:
        return await shown(app, await look(app, run_id.strip()))

    found = stop([_run(run_id)], work)
    show_run(found, as_json=True) if as_json else out.print(stand(found), markup=False)


def _run(name: str) -> str:
    if not name.strip().startswith(RUN):
        fail(f"{clip(name)!r} is no run: their ids begin with {RUN}; darkroom cancel stops jobs.", EXIT_USAGE)
    return name.strip()


@group.command("list")
def runs(
    status: Annotated[str | None, typer.Option(help="A state, or active.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    before: Annotated[str | None, typer.Option(help="Only runs older than that one.")] = None,
    as_json: AsJson = False,
) -> None:
    """List your newest runs of agents and workflows."""
    states = _states(status)

    async def work(app: App) -> list[tuple[Run, dict[str, Any]]]:
        found = await app.runs.find(LOCAL, states=states, limit=limit, before=before)
        return [(item, run_view(item, now=app.clock.now(), cost=await app.runs.cost(item))) for item in found]

    found = run(work)
    if as_json:
        out.print_json(data=[view for _, view in found])
    elif found:
        out.print(_table([item for item, _ in found]))
        if len(found) == limit:
            err.print(f"Older ones: darkroom agent list --before {found[-1][0].id}", style="dim")
    elif status or before:
        err.print("There is none; darkroom agent list shows your newest runs.")
    else:
        err.print("There is no run yet. Start one with: darkroom agent run 'a slogan for a coffee roastery'")


def _states(status: str | None) -> tuple[RunState, ...]:
    word = (status or "").strip().lower()
    if not word:
        return ()
    if word == "active":
        return ACTIVE
    known = [*RunState, "active"]
    if word not in known:
        near = did_you_mean(word, known)
        fail(f"There is no status {clip(word)!r}.{near} Allowed: {', '.join(known)}.", EXIT_USAGE)
    return (RunState(word),)


def _table(found: list[Run]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column, width in COLUMNS.items():
        table.add_column(column, no_wrap=True, overflow="ellipsis", min_width=width)
    table.columns[-1].max_width = max(COLUMNS["task"], out.width - sum(COLUMNS.values()) + COLUMNS["task"] - 8)
    for item in found:
        state = "asks" if item.question else str(item.state)
        who = item.workflow or item.agent or "chat"
        told = f"[{COLOURS.get(item.state, 'yellow')}]{state}[/]"
        task = item.task.replace("\n", " ")[:60]
        table.add_row(item.id, moment(item.created_at), escape(who), told, escape(task))
    return table


def moment(at: int) -> str:
    """Return a time as people here read it: `11-21 09:30`."""
    return datetime.fromtimestamp(at / 1000, UTC).astimezone().strftime("%m-%d %H:%M")


@group.command()
def show(run_id: RunId, as_json: AsJson = False) -> None:
    """Show all about a run: its task, steps, jobs, answers, result and cost."""

    async def work(app: App) -> tuple[Shown, dict[str, Any]]:
        seen = await look(app, run_id.strip())
        return await shown(app, seen), await read_run(app, LOCAL, seen.run.id)

    found, record = run(work)
    if as_json:
        out.print_json(data=record)
        return
    out.print(_facts(found.seen.run, record))
    for title, name in (("steps", "step"), ("jobs", "job_id"), ("runs", "run_id")):
        if record.get(title):
            out.print(_part(record[title], name), markup=False)
    out.print()
    show_run(found, as_json=False)


def _facts(item: Run, record: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    known = {**item.context, **record.get("inputs", {})}
    rows = {
        "run": item.id,
        "task": item.task,
        "workflow": item.workflow,
        "agent": item.agent,
        "model": item.model,
        "status": f"{item.state}, {duration(record['duration_ms'])}, begun {moment(item.created_at)}",
        "known": ", ".join(f"{name}={_brief(value)}" for name, value in known.items() if value not in (None, "")),
        "tokens": str(record["token_usage"]["total"]) if "token_usage" in record else None,
        "session": item.session_id,
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, escape(value))
    for one in item.answers:
        table.add_row("asked", escape(one.question.text))
        table.add_row("answer", escape(one.text))
    return table


def _brief(value: object) -> str:
    return clip(value if isinstance(value, str) else str(value), 120)


def _part(rows: list[dict[str, Any]], name: str) -> str:
    """Return the steps, jobs or runs inside a run, a line each."""
    lines: list[str] = []
    for row in rows:
        told = row.get("title") or row.get("kind") or row.get("agent") or ""
        note = "" if row.get("jobs") and "of" not in row else row.get("message", "")
        error = str(row["error"].get("message", "")) if "error" in row else ""
        words = ", ".join(str(part).rstrip(".") for part in (row["status"], note, error) if part)
        lines.append(f"  {row[name] if name != 'step' else told}{f' ({told})' if name != 'step' else ''}: {words}")
    return "\n".join([{"step": "steps", "job_id": "jobs", "run_id": "runs"}[name], *lines])
