"""`darkroom models` and `darkroom providers`."""

from typing import Annotated

import anyio.to_thread
import typer
from rich.table import Table

from darkroom.app import App
from darkroom.cli.console import EXIT_USAGE, err, fail, out, run
from darkroom.domain.money import parse_usd, show_usd
from darkroom.server.catalogue import Catalogue
from darkroom.server.money_views import UNKNOWN, listed_view, offer_limits
from darkroom.services.estimates import Listed, kind_of

AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def models(
    name: Annotated[str | None, typer.Argument(help="One model: all about it.")] = None,
    kind: Annotated[str | None, typer.Option(help="image, video, speech, ...")] = None,
    provider: Annotated[str | None, typer.Option(help="Only that provider's.")] = None,
    under: Annotated[str | None, typer.Option(help="Usual price of at most that many dollars.")] = None,
    ready: Annotated[bool, typer.Option("--ready", help="Only those that can be used now.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the models, who offers them, and what usual work costs there."""

    async def work(app: App) -> list[Listed]:
        wanted = kind_of(kind) if kind else None
        cap = None if under is None else parse_usd(under, "under")
        rows = await anyio.to_thread.run_sync(app.estimates.listing, wanted)
        known = {row.candidate.provider.id for row in rows}
        if provider is not None and provider not in known:
            there = ", ".join(sorted(known))
            fail(f"There is no provider {provider[:80]!r} of that kind; there are {there}.", EXIT_USAGE)
        return [
            row
            for row in rows
            if provider in (None, row.candidate.provider.id)
            and (not ready or row.state == "ready")
            and (cap is None or (row.usual is not None and row.usual.likely <= cap))
        ]

    if name is not None:

        async def about(app: App) -> object:
            return await anyio.to_thread.run_sync(Catalogue(app).model, name)

        out.print_json(data=run(about))
        return
    rows = run(work)
    if as_json:
        out.print_json(data=[listed_view(row) for row in rows])
    elif not rows:
        err.print("No model fits. Leave a filter out, or set a provider's key: darkroom providers lists them.")
    else:
        out.print(_models(rows))


def _models(rows: list[Listed]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("model", "kind", "usual", "limits", "state"):
        side = "right" if column == "usual" else "left"
        table.add_column(column, justify=side, overflow="fold", no_wrap=column == "model")
    for row in rows:
        offer = row.candidate.offer
        price = UNKNOWN if row.usual is None else show_usd(row.usual.likely)
        table.add_row(row.candidate.name, offer.kind.value, price, offer_limits(offer), row.state)
    return table


def providers(as_json: AsJson = False) -> None:
    """List the providers, and what is missing to use them."""

    async def work(app: App) -> list[dict[str, object]]:
        found = await anyio.to_thread.run_sync(Catalogue(app).providers)
        rows: list[dict[str, object]] = found["providers"]
        return rows

    rows = run(work)
    if as_json:
        out.print_json(data=rows)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("provider", "kinds", "offers", "state"):
        table.add_column(column, overflow="fold")
    for row in rows:
        kinds: list[str] = row["kinds"]  # pyright: ignore[reportAssignmentType] because JSON is untyped
        table.add_row(str(row["provider"]), " ".join(kinds), str(row["offers"]), str(row["state"]))
    out.print(table)
