"""`darkroom jobs`, `jobs resolve`, `jobs adjust`, `jobs callbacks`, `check`, `cancel`."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from darkroom.app import App
from darkroom.cli.console import EXIT_FAILED, EXIT_USAGE, err, fail, jobs_go_on, out, run
from darkroom.cli.following import follow, follow_run, look
from darkroom.cli.running import Shown, broken_off, show, shown, stand, stop
from darkroom.cli.words import as_commands
from darkroom.domain.job import Job, State
from darkroom.domain.money import parse_usd, show_usd
from darkroom.domain.run import Callback, Delivery, RunState
from darkroom.server.callback_views import callback_view
from darkroom.server.money_texts import usd
from darkroom.server.money_views import NO_COST
from darkroom.server.views import job_text, job_view
from darkroom.services.runs import RUN

LOCAL = "local"
WIDTHS = {"job": 20, "made": 11, "kind": 5, "provider": 8, "state": 9, "cost": 9, "prompt": 8}
WIDE = 120
"""Columns from which the reason of a failure stands in a column of its own."""
TOLD = {Delivery.DELIVERED: "green", Delivery.FAILED: "red", Delivery.WAITING: "dim"}
COLOURS = {State.SUCCEEDED: "green", State.FAILED: "red", State.SUBMIT_UNKNOWN: "red", State.CANCELLED: "dim"}
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
Ids = Annotated[list[str], typer.Argument(metavar="IDS", help="One or more ids of jobs and runs.")]
Found = Shown | tuple[Job, dict[str, Any]]


group = typer.Typer(invoke_without_command=True, help="List your jobs, or say what became of a lost one.")


@group.callback()
def jobs(
    context: typer.Context,
    status: Annotated[str | None, typer.Option(help="A state, or: active, running, unknown.")] = None,
    label: Annotated[str | None, typer.Option(help="Only jobs with that label.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List your newest jobs; `darkroom jobs resolve` settles one whose answer was lost."""
    if context.invoked_subcommand is not None:
        return

    async def work(app: App) -> list[tuple[Job, dict[str, Any]]]:
        found = await app.jobs.find(LOCAL, status=status, label=label, limit=limit)
        return [(job, await _view(app, job)) for job in found]

    found = run(work)
    if as_json:
        out.print_json(data=[view for _, view in found])
    elif not found and (status or label):
        err.print("There is no such job; darkroom jobs lists your newest ones.")
    elif not found:
        err.print("There is no job yet. Make one with: darkroom generate image 'a lighthouse at dusk'")
    else:
        out.print(_table(found))


@group.command()
def resolve(
    job_id: Annotated[str, typer.Argument(help="A job whose status is submit_unknown.")],
    provider_id: Annotated[
        str | None, typer.Option("--provider-id", help="The provider has it, under this id of its own: go on with it.")
    ] = None,
    absent: Annotated[bool, typer.Option("--absent", help="You looked: the provider never had it.")] = False,
    give_up: Annotated[bool, typer.Option("--give-up", help="End it; it may have been charged.")] = False,
    submission: Annotated[int | None, typer.Option(min=0, help="Which one, where a job has several.")] = None,
) -> None:
    """Say what became of a request whose answer was lost; nothing is ever sent again by this."""
    if (provider_id is not None) + absent + give_up != 1:
        fail("Give one of --provider-id, --absent and --give-up.", EXIT_USAGE)

    async def work(app: App) -> dict[str, Any]:
        operator = await app.operator()
        if provider_id is not None:
            job = await operator.found(job_id, LOCAL, provider_id.strip(), submission)
        elif absent:
            job = await operator.absent(job_id, LOCAL, submission)
        else:
            job = await operator.give_up(job_id, LOCAL, submission)
        return await _view(app, job)

    view = run(work)
    out.print(job_text(view), markup=False)
    if provider_id is not None:
        err.print(f"To bring its result home now: darkroom check {view['job_id']} --wait 600", style="dim")


@group.command()
def adjust(
    job_id: Annotated[str, typer.Argument(help="An ended job.")],
    amount: Annotated[str, typer.Argument(help="What its provider charged after all, in US dollars.")],
    submission: Annotated[int | None, typer.Option(min=0, help="Which one, where a job has several.")] = None,
) -> None:
    """Book what a job cost after all, once; the ledger keeps what it held before."""

    async def work(app: App) -> dict[str, Any]:
        job = await app.jobs.adjust(job_id, LOCAL, parse_usd(amount, "amount"), submission)
        return await _view(app, job)

    view = run(work)
    out.print(f"{view['job_id']} is booked at {usd(view['cost']['actual_usd'])} now.", markup=False)


@group.command()
def callbacks(
    status: Annotated[str | None, typer.Option(help="waiting, due, delivered or failed.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    again: Annotated[
        str | None, typer.Option(metavar="ID", help="Send a failed one once more: the id of its job or run.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List whom darkroom tells of the end of jobs and runs, and how far that is; or send one once more."""

    async def work(app: App) -> list[Callback]:
        if again is None:
            return await app.callbacks.find(LOCAL, status=status, limit=limit)
        due = await app.callbacks.again(again.strip(), LOCAL)
        await app.courier.deliver_due()
        return [await app.callbacks.of(due.subject, LOCAL) or due]

    found = run(work)
    if as_json:
        out.print_json(data=[{"subject": item.subject, **callback_view(item)} for item in found])
    elif not found:
        err.print("There is no such callback. A call asks for one with options.callback_url.")
    else:
        _print_told(found)
    if again is not None and found[0].state is Delivery.FAILED:
        raise SystemExit(EXIT_FAILED)


def _print_told(found: list[Callback]) -> None:
    """Print how far callbacks are, and why the last attempt failed: beside them, or below where there is no room."""
    beside = out.width >= WIDE
    out.print(_told(found, beside=beside))
    for item in found if not beside else []:
        if item.error:
            out.print(f"{item.subject}: {item.error}", markup=False)


def _told(found: list[Callback], *, beside: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("subject", "host", "state", "tries", "status", "when", *(("why",) if beside else ())):
        table.add_column(column, no_wrap=column not in ("host", "why"), overflow="fold")
    for item in found:
        when = {Delivery.DELIVERED: item.delivered_at, Delivery.DUE: item.due_at}.get(item.state) or item.created_at
        state = f"[{TOLD.get(item.state, 'yellow')}]{item.state}[/]"
        status = "" if item.status is None else str(item.status)
        why = (escape(item.error or ""),) if beside else ()
        table.add_row(item.subject, escape(item.host), state, str(item.attempts), status, _moment(when), *why)
    return table


def check(
    ids: Ids,
    wait: Annotated[
        float, typer.Option(min=0, help="Wait that many seconds for the end, and move them forward meanwhile.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Show how jobs and runs stand; with --wait, finish them."""
    names = [name.strip() for name in ids]

    async def work(app: App) -> list[Found]:
        await app.runs.things(names, LOCAL)  # all of them are known before any is waited for
        return [await _checked(app, name, wait) for name in names]

    found = run(work, advance=wait > 0, interrupted=lambda: broken_off(names[0]) if wait else jobs_go_on())
    for item in found:
        _print(item, as_json=as_json)
    if any(_state(item) in (State.FAILED, RunState.FAILED) for item in found):
        raise SystemExit(EXIT_FAILED)


async def _checked(app: App, name: str, wait: float) -> Found:
    if name.startswith(RUN):
        return await shown(app, await (follow_run(app, name, wait) if wait > 0 else look(app, name)))
    [job] = await app.jobs.get([name], LOCAL)
    job = await follow(app, job, wait) if wait > 0 else job
    return job, await _view(app, job)


def _state(item: Found) -> State | RunState:
    return item.seen.run.state if isinstance(item, Shown) else item[0].state


def _print(item: Found, *, as_json: bool) -> None:
    if isinstance(item, Shown):
        show(item, as_json=as_json)
    elif as_json:
        out.print_json(data=item[1])
    else:
        out.print(as_commands(job_text(item[1])), markup=False)


def cancel(ids: Ids) -> None:
    """Stop jobs and runs, as far as their providers allow."""
    names = [name.strip() for name in ids]

    async def work(app: App) -> list[str]:
        return [await _stood(app, name) for name in names]

    for text in stop(names, work):
        out.print(text, markup=False)


async def _stood(app: App, name: str) -> str:
    if name.startswith(RUN):
        return stand(await shown(app, await look(app, name)))
    [job] = await app.jobs.get([name], LOCAL)
    return as_commands(job_text(await _view(app, job)))


async def _view(app: App, job: Job) -> dict[str, Any]:
    return job_view(job, plans=app.plans.plans, now=app.clock.now(), progress=await app.jobs.progress(job))


def _table(found: list[tuple[Job, dict[str, Any]]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column, width in WIDTHS.items():
        table.add_column(column, no_wrap=True, overflow="ellipsis", min_width=width)
    table.columns[-1].max_width = max(WIDTHS["prompt"], out.width - sum(WIDTHS.values()) - 6)
    for job, view in found:
        share = f" {round(view['progress'] * 100)} %" if "progress" in view else ""
        prompt = job.request.prompt.replace("\n", " ")[:60].replace("[", r"\[")
        state = f"[{COLOURS.get(job.state, 'yellow')}]{job.state}{share}[/]"
        table.add_row(job.id, _moment(job.created_at), job.kind, str(view["provider"]), state, _spent(job), prompt)
    return table


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).astimezone().strftime("%m-%d %H:%M")


def _spent(job: Job) -> str:
    """Return what a job costs by now; nobody knows of what ended well without a price."""
    known = [part.actual for part in job.submissions if part.actual is not None]
    return NO_COST if job.state is State.SUCCEEDED and not known else show_usd(sum(known))
