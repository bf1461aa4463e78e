"""`darkroom session list`, `show` and `delete`."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from darkroom.app import App
from darkroom.cli.agent import moment
from darkroom.cli.console import EXIT_FAILED, EXIT_USAGE, err, fail, out, run, somebody
from darkroom.cli.following import LOCAL
from darkroom.cli.run_options import AsJson
from darkroom.domain.run import Session
from darkroom.server.run_views import session_row, session_view

PAGE = 20
group = typer.Typer(no_args_is_help=True, help="Your conversations with agents.")
SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="The id of a session.")]


@group.command("list")
def sessions(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = PAGE,
    before: Annotated[str | None, typer.Option(help="Only sessions older than that one.")] = None,
    as_json: AsJson = False,
) -> None:
    """List your newest conversations."""

    async def work(app: App) -> list[Session]:
        return await app.sessions.find(LOCAL, limit=limit, before=before)

    found = run(work)
    if as_json:
        out.print_json(data=[session_row(item) for item in found])
        return
    if not found:
        err.print("There is no session yet: darkroom agent run TASK begins one.")
        return
    table = Table(box=None, pad_edge=False)
    for name, least in (("session", len(found[0].id)), ("last", 11), ("agent", None), ("began with", None)):
        table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=least)  # an id is there to be copied
    for item in found:
        title = (item.title or "").replace("\n", " ")
        table.add_row(item.id, moment(item.updated_at), escape(item.agent or "chat"), escape(title))
    out.print(table)
    if len(found) == limit:
        err.print(f"Older ones: darkroom session list --before {found[-1].id}", style="dim")


@group.command()
def show(
    session_id: SessionId,
    limit: Annotated[int, typer.Option(min=1, help="How many messages, the newest ones.")] = PAGE,
    before: Annotated[int | None, typer.Option(min=0, help="Only messages before that number.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All messages.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what was said in a conversation."""

    async def work(app: App) -> Session:
        return await app.sessions.get(session_id.strip(), LOCAL)

    found = run(work)
    page = max(1, len(found.history)) if everything else limit
    view = session_view(found, before=None if everything else before, page=page)
    if as_json:
        out.print_json(data=view)
    else:
        _print(found, view)


def _print(found: Session, view: dict[str, Any]) -> None:
    for message in view.get("history", ()):
        out.print(f"{message['number']}. {message['role']}", style="bold", highlight=False)
        out.print(f"{message['content']}\n", markup=False)
    for name, value in found.answers.items():
        err.print(f"{name}: {value}", markup=False)
    told = f"{found.id} ({found.agent or 'chat'}), {len(found.history)} messages."
    first = view["history"][0]["number"] if view.get("history") else 0
    older = f" Older ones: darkroom session show {found.id} --before {first}, or --all." if first else ""
    err.print(f"{told}{older} To go on: darkroom agent run --session {found.id} TASK", style="dim", markup=False)


@group.command()
def delete(
    session_id: SessionId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Forget a conversation; its runs, jobs and files stay."""
    name = session_id.strip()

    async def look(app: App) -> Session:
        return await app.sessions.get(name, LOCAL)

    async def work(app: App) -> None:
        await app.sessions.delete(name, LOCAL)

    found = run(look)
    if not yes:
        if not somebody():
            fail("Nothing was deleted: say --yes where nobody can be asked.", EXIT_USAGE)
        err.print(f"{found.title or found.id}: {len(found.history)} messages.", markup=False)
        if not typer.confirm("Forget this conversation for ever?", err=True):
            fail("Nothing was deleted.", EXIT_FAILED)
    run(work)
    out.print(f"{name} is forgotten; its runs, jobs and files are kept.", markup=False)
