"""`darkroom models` and `darkroom providers`."""

from functools import partial
from typing import Annotated, Any, cast

import anyio.to_thread
import typer
from rich.markup import escape
from rich.table import Table

from darkroom.app import App
from darkroom.catalog.prices import Quote
from darkroom.cli.console import EXIT_USAGE, err, fail, out, run
from darkroom.domain.money import parse_usd, show_usd
from darkroom.server.catalogue import Catalogue
from darkroom.server.money_texts import amount, usd
from darkroom.server.money_views import UNKNOWN, listed_view, offer_limits
from darkroom.services.estimates import Listed, kind_of

WIDE = 110
"""Columns of a terminal that has room for limits."""
EVERYTHING = 10**9
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

        async def about(app: App) -> dict[str, Any]:
            return await anyio.to_thread.run_sync(partial(Catalogue(app).model, name, most=EVERYTHING))

        view = run(about)
        if as_json:
            out.print_json(data=view)
        else:
            for offer in view["offers"]:
                out.print(_about(offer))
        return
    rows = run(work)
    if as_json:
        out.print_json(data=[listed_view(row) for row in rows])
    elif not rows:
        err.print("No model fits. Leave a filter out, or set a provider's key: darkroom providers lists them.")
    else:
        out.print(_models(rows))


def _models(rows: list[Listed]) -> Table:
    """Return a table of offers; where the terminal is narrow, without their limits."""
    wide = out.width >= WIDE
    table = Table(box=None, pad_edge=False)
    for column in ("model", "kind", "usual", *(("limits",) if wide else ()), "state"):
        side = "right" if column == "usual" else "left"
        table.add_column(column, justify=side, overflow="fold", no_wrap=column in ("model", "kind", "usual"))
    for row in rows:
        offer = row.candidate.offer
        limits = (offer_limits(offer),) if wide else ()
        table.add_row(row.candidate.name, offer.kind.value, _usual(row.usual), *limits, row.state)
    return table


def _usual(usual: Quote | None) -> str:
    """Return a usual price in few words: its range where it varies, and `from` where a part is left out."""
    if usual is None:
        return UNKNOWN
    span = show_usd(usual.likely)
    if usual.low != usual.high:
        span = f"{show_usd(usual.low)}-{show_usd(usual.high)}"
    return f"from {span}" if usual.partial else span


def _about(offer: dict[str, Any]) -> Table:
    """Return everything about one offer as a table of names and values."""
    table = Table(box=None, pad_edge=False, show_header=False, title=offer["offer"], title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in offer.items():
        if name in ("offer", "prices", "options", "usual_usd", "low_usd", "high_usd", "at_least"):
            continue
        table.add_row(name, escape(_plain(value)))
    table.add_row("usual price", amount(offer, "usual_usd"))
    for price in offer.get("prices", ()):
        table.add_row("price", escape(_price(price)))
    for name, option in offer.get("options", {}).items():
        table.add_row("option", escape(f"{name}: {_plain(option)}"))
    table.add_row()
    return table


def _price(price: dict[str, Any]) -> str:
    span = f" ({usd(price['low'])} to {usd(price['high'])})" if "low" in price and "high" in price else ""
    when = f" when {_plain(price['when'])}" if "when" in price else ""
    part = f", for {price['part']}" if "part" in price else ""
    dates = "".join(f", {name} {price[name]}" for name in ("since", "until") if name in price)
    return f"{usd(price['usd'])}{span} a {price['unit']}{part}{when}{dates} (as of {price['as_of']}, {price['source']})"


def _plain(value: object) -> str:
    """Return a value of a view in words."""
    if isinstance(value, dict):
        entries = cast("dict[str, object]", value)
        return ", ".join(f"{name} {_plain(item)}" for name, item in entries.items())
    if isinstance(value, list):
        return " ".join(_plain(item) for item in cast("list[object]", value))
    return str(value)


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
    for column in ("provider", "kinds", "live", "all", "state"):
        table.add_column(column, overflow="fold")
    for row in rows:
        kinds: list[str] = row["kinds"]  # pyright: ignore[reportAssignmentType] because JSON is untyped
        counts = (str(row["offers_live"]), str(row["offers_all"]))
        table.add_row(str(row["provider"]), " ".join(kinds), *counts, str(row["state"]))
    out.print(table)
