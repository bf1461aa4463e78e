"""`darkroom token add`, `list` and `revoke`: who may use `darkroom serve --http`."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from darkroom.app import App
from darkroom.cli.agent import moment
from darkroom.cli.console import err, out, run
from darkroom.cli.run_options import AsJson
from darkroom.domain.token import Scope, Token

group = typer.Typer(no_args_is_help=True, help="Bearer tokens of 'darkroom serve --http'.")


@group.command()
def add(
    principal: Annotated[str, typer.Argument(metavar="NAME", help="Whom it stands for, such as ann or ci-bot.")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it allows: read, or write, which is both. Default: write.")
    ] = None,
    plan: Annotated[str | None, typer.Option(help="The billing plan of its holder.")] = None,
    expires: Annotated[str | None, typer.Option(help="When it ends, such as 12h, 30d or 8w. Default: never.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it, this once."""

    async def work(app: App) -> tuple[Token, str]:
        name = app.estimates.plan_name(plan, principal) if plan else None
        return await app.tokens.add(principal, scopes=scope or list(Scope), plan=name, expires=expires)

    token, secret = run(work)
    if as_json:
        out.print_json(data={**_row(token), "token": secret})
        return
    out.print(secret, markup=False)
    until = f" until {moment(token.expires_at)}" if token.expires_at else ""
    allows = "look and spend" if Scope.WRITE in token.scopes else "look"
    err.print(
        f"{token.id} lets {token.principal} {allows}{until}. It is kept as a digest only: copy it now. Its holder "
        "sends it as 'Authorization: Bearer ...'. From now on nobody comes in over HTTP without a token.",
        style="dim",
        markup=False,
    )


@group.command("list")
def tokens(as_json: AsJson = False) -> None:
    """List all tokens, those that have ended too; the tokens themselves are not kept."""

    async def work(app: App) -> tuple[list[Token], int]:
        return await app.tokens.find(), app.clock.now()

    found, now = run(work)
    if as_json:
        out.print_json(data=[{**_row(item), "status": _status(item, now)} for item in found])
        return
    if not found:
        err.print("There is no token yet: darkroom token add NAME makes one.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("token", "for", "scopes", "plan", "made", "ends", "status"):
        table.add_column(name, no_wrap=True)
    for item in found:
        ends = moment(item.expires_at) if item.expires_at else "never"
        scopes = " ".join(item.scopes)
        made = moment(item.created_at)
        table.add_row(item.id, escape(item.principal), scopes, item.plan or "", made, ends, _status(item, now))
    out.print(table)


@group.command()
def revoke(token_id: Annotated[str, typer.Argument(metavar="TOKEN", help="Its id, as 'list' shows it.")]) -> None:
    """End a token; jobs that its holder started go on."""

    async def work(app: App) -> Token:
        return await app.tokens.revoke(token_id.strip())

    token = run(work)
    out.print(
        f"{token.id} of {token.principal} opens nothing any more, at the latest in a second. "
        "Answers under way end within five seconds; links to files open until their hour is over.",
        markup=False,
    )


def _row(token: Token) -> dict[str, object]:
    return token.model_dump(mode="json", exclude={"digest"}, exclude_none=True)


def _status(token: Token, now: int) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "holds" if token.holds(now) else "expired"
