"""`darkroom estimate` and `darkroom usage`."""

import csv
import sys
from decimal import Decimal
from typing import Annotated, Any

import anyio.to_thread
import typer
from pydantic import JsonValue
from rich.markup import escape
from rich.table import Table

from darkroom.app import App
from darkroom.cli.console import EXIT_USAGE, fail, out, run
from darkroom.server import money_texts as texts
from darkroom.server import money_views as views
from darkroom.services.estimates import TOLD, WORDS, Ask, kind_of
from darkroom.services.usage import DIMENSIONS, Usage, day_of, unpriced

LOCAL = "local"
BAR = 30
"""Characters of the longest bar."""
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


def estimate(
    operation: Annotated[
        str,
        typer.Argument(
            help="image, video, speech, sound, music, transcription, vision, research, slides, chat, month, or job."
        ),
    ],
    subject: Annotated[list[str] | None, typer.Argument(help="month: videos=10 images=100; job: its id.")] = None,
    model: Annotated[str | None, typer.Option(help="Model id or alias.")] = None,
    provider: Annotated[str | None, typer.Option(help="Provider id.")] = None,
    n: Annotated[int | None, typer.Option("-n", help="How many.")] = None,
    duration: Annotated[float | None, typer.Option(help="Seconds.")] = None,
    size: Annotated[str | None, typer.Option(help="1024x1024.")] = None,
    resolution: Annotated[str | None, typer.Option(help="480p to 4k.")] = None,
    quality: Annotated[str | None, typer.Option(help="low, medium, high, max.")] = None,
    audio: Annotated[bool | None, typer.Option("--audio/--no-audio", help="With sound.")] = None,
    characters: Annotated[int | None, typer.Option(help="Characters of speech.")] = None,
    input_tokens: Annotated[int | None, typer.Option(help="Tokens that go in.")] = None,
    output_tokens: Annotated[int | None, typer.Option(help="Tokens that come out.")] = None,
    plan: Annotated[str | None, typer.Option(help="Billing plan.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Offers to show.")] = views.MOST_ROWS,
    offset: Annotated[int, typer.Option(min=0, help="Offers to skip.")] = 0,
    everyone: Annotated[bool, typer.Option("--all", help="Show every offer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what work would cost, here and at every offer that can do it; starts nothing."""
    ask = Ask(operation, model, provider, n, duration, size, resolution, quality, audio, characters, input_tokens,
              output_tokens, plan)  # fmt: skip
    word = WORDS.get(operation.lower(), operation.lower())
    given = subject or []
    span = views.Span(offset, None if everyone else limit)
    if word in ("month", "job"):
        _refuse_numbers(word, ask)
    elif given:
        fail(f"{operation} takes no {given[0][:80]!r}; write for example: -n 10 --duration 8", EXIT_USAGE)

    async def work(app: App) -> tuple[dict[str, Any], str]:
        if word == "month":
            month = await anyio.to_thread.run_sync(app.estimates.month, _numbers(given), plan, LOCAL)
            view = views.month_view(month)
            return view, texts.month_text(view)
        if word == "job":
            view = views.job_cost_view(await app.estimates.job(_one(given), plan, LOCAL))
            return view, texts.job_cost_text(view)
        if ask.bare:
            app.estimates.plan_name(plan, LOCAL)
            rows = await anyio.to_thread.run_sync(app.estimates.listing, kind_of(operation))
            view = views.listing_view(rows, span)
            return view, texts.listing_text(view, None)
        view = views.estimate_view(await anyio.to_thread.run_sync(app.estimates.estimate, ask, LOCAL), span)
        return view, texts.estimate_text(view, None)

    if word == "spent":
        fail("darkroom usage says what was spent.", EXIT_USAGE)
    view, text = run(work)
    if as_json:
        out.print_json(data=view)
    else:
        out.print(text.replace(" offset=", " --offset "), markup=False)


def _numbers(given: list[str]) -> dict[str, JsonValue]:
    """Read `videos=10 images=100`."""
    pairs = [item.partition("=") for item in given]
    wrong = next((name for name, sep, value in pairs if not sep or not value.isdecimal()), None)
    if wrong is not None:
        fail(f"{wrong!r} is no number of something; write for example: videos=10 images=100", EXIT_USAGE)
    names = [name for name, _, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        fail(f"{twice} is given twice; give it once, with the whole number.", EXIT_USAGE)
    return {name: int(value) for name, _, value in pairs}


def _refuse_numbers(word: str, ask: Ask) -> None:
    """Refuse the options of one piece of work where a month or a job is asked for."""
    wrong = next((name for name in TOLD if getattr(ask, name) is not None), None)
    if wrong is not None:
        option = "-n" if wrong == "n" else f"--{wrong.replace('_', '-')}"
        way = "write for example: month videos=10 images=100" if word == "month" else "give the job's id alone"
        fail(f"{word} takes no {option}; {way}", EXIT_USAGE)


def _one(given: list[str]) -> str:
    if len(given) != 1:
        fail("Which job? Give one job id; darkroom jobs lists them.", EXIT_USAGE)
    return given[0]


def usage(
    since: Annotated[str | None, typer.Option(help="today, yesterday, week, month, 7d, 24h, 2026-11-21.")] = None,
    month: Annotated[str | None, typer.Option(help="A whole month: 2026-11.")] = None,
    by: Annotated[str, typer.Option(help=f"What to tell apart: {', '.join(DIMENSIONS)}.")] = "model",
    principal: Annotated[str | None, typer.Option(help="Only that principal's; everybody's when left out.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every submission as CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what was spent, when, on what."""
    if by not in DIMENSIONS:
        fail(f"--by takes {', '.join(DIMENSIONS)}, not {by[:80]!r}.", EXIT_USAGE)
    if since and month:
        fail("Give --since or --month, not both.", EXIT_USAGE)

    async def work(app: App) -> Usage:
        return await (app.usage.month(month, principal) if month else app.usage.since(since, principal))

    found = run(work)
    if as_csv:
        _print_csv(found)
    elif as_json:
        out.print_json(data=views.usage_view(found))
    else:
        view = views.usage_view(found)
        out.print(texts.usage_text({**view, "by": {}}), markup=False)
        if found.spent:
            out.print(_bars(found, by))


def _bars(found: Usage, by: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name, side in ((by, "left"), ("cost", "right"), ("submissions", "right"), ("", "left")):
        table.add_column(name, justify="right" if side == "right" else "left")
    shares = found.by(by)
    most = max((share.micro_usd for share in shares), default=0)
    for share in shares:
        width = int(Decimal(share.micro_usd) * BAR / most) if most else 0
        cost = texts.share_amount(views.share_view(share))
        table.add_row(escape(share.name), cost, str(share.submissions), "█" * width)
    return table


def _print_csv(found: Usage) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(("day", "job", "submission", "principal", "kind", "provider", "model", "plan", "labels", "state",
                     "estimate_usd", "cost_usd", "certain", "open", "agent", "tier"))  # fmt: skip
    for row in found.spent:
        estimate_usd = "" if row.estimate is None else Decimal(row.estimate) / 1_000_000
        cost_usd = "" if unpriced(row) else Decimal(row.micro_usd) / 1_000_000
        day = day_of(row.at, found.timezone)
        writer.writerow((day, row.job_id, row.submission, row.principal, row.kind, row.provider, row.model,
                         row.plan or "", " ".join(row.labels), row.state.value, estimate_usd, cost_usd,
                         row.certain, row.open, row.agent or "", row.tier or ""))  # fmt: skip
