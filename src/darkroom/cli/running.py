"""What `agent run`, `agent answer`, `workflow run` and `check` share: options, following a run, showing it."""

import json
import sys
import tomllib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from pydantic import JsonValue

from darkroom.app import App
from darkroom.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, err, fail, out, run
from darkroom.cli.following import LOCAL, LONGEST_S, Seen, follow_run, look
from darkroom.domain.job import Job
from darkroom.domain.money import parse_usd, show_usd, to_micro
from darkroom.domain.request import clip
from darkroom.domain.run import Awaits, Run, RunState
from darkroom.errors import DarkroomError
from darkroom.server.run_views import result_jobs, run_view
from darkroom.server.views import error_text
from darkroom.services.caps import Terms

Context = Annotated[
    list[str] | None, typer.Option("--context", "-c", help="What is known, as name=value; as often as you like.")
]
ContextFile = Annotated[Path | None, typer.Option("--context-file", help="What is known, as a JSON object in a file.")]
Tier = Annotated[str | None, typer.Option(help="Language model: economy, standard or premium.")]
Model = Annotated[str | None, typer.Option(help="Language model by name; off hands the work to you, as a brief.")]
MaxCost = Annotated[str | None, typer.Option("--max-cost", help="Most that all of it may cost, in US dollars.")]
Wait = Annotated[
    float | None, typer.Option(min=0, help="Seconds to wait; until it ends where left out, 0 = only start it.")
]
Again = Annotated[bool, typer.Option("--again", help="Force a new run where an equal one goes on or is just done.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="The id of a run; darkroom agent list shows yours.")]


STOP_WAIT_S = 3.0
"""How long to wait for providers to confirm a stop."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A run with all that is printed of it."""

    seen: Seen
    view: dict[str, Any]
    brief: str | None
    paths: tuple[str, ...]


# ---------------------------------------------------------------------- options


def context_of(pairs: Sequence[str] | None, file: Path | None) -> dict[str, JsonValue]:
    """Return what is known: the file's object with the pairs laid over it; numbers, lists and such are read as JSON."""
    found = _object(file) if file is not None else {}
    for pair in pairs or ():
        name, sign, text = pair.partition("=")
        if not sign or not name.strip():
            fail(f"--context takes name=value, not {clip(pair)!r}.", EXIT_USAGE)
        try:
            found[name.strip()] = json.loads(text)
        except ValueError:
            found[name.strip()] = text.strip()
    return found


def _object(file: Path) -> dict[str, JsonValue]:
    data = _parsed(_read(file), str(file), toml=False)
    if not isinstance(data, dict):
        fail(f"{file} must hold a JSON object, such as {{'product': 'a lamp'}}.", EXIT_USAGE)
    return cast("dict[str, JsonValue]", data)


def workflow_of(name: str) -> str | dict[str, Any]:
    """Return a workflow's name as it is, or the workflow that a file (JSON or TOML) or stdin (`-`) holds."""
    if name == "-":
        return _flow(sys.stdin.read(), "stdin", "workflow", toml=False)
    path = Path(name).expanduser()
    if path.suffix.lower() not in (".json", ".toml"):
        return name
    return _flow(_read(path), str(path), _plain(path.stem), toml=path.suffix.lower() == ".toml")


def _flow(text: str, where: str, name: str, *, toml: bool) -> dict[str, Any]:
    data = _parsed(text, where, toml=toml)
    if not isinstance(data, dict):
        fail(f"{where} holds no workflow: it must be an object with steps.", EXIT_USAGE)
    return {"name": name, **cast("dict[str, Any]", data)}


def _plain(stem: str) -> str:
    """Return a file's name as that of a workflow."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in stem.lower())[:40]
    return name if name[:1].isalpha() else "workflow"


def _read(path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        fail(f"There is no file {path}.", EXIT_USAGE)
    except (OSError, UnicodeDecodeError) as exc:
        fail(f"{path} cannot be read: {exc}.", EXIT_USAGE)


def _parsed(text: str, where: str, *, toml: bool) -> Any:
    try:
        return tomllib.loads(text) if toml else json.loads(text)
    except (ValueError, RecursionError) as exc:
        fail(f"{where} is no {'TOML' if toml else 'JSON'}: {exc}.", EXIT_USAGE)


def terms_of(max_cost: str | None, *, again: bool) -> Terms:
    """Return what the command says about itself."""
    try:
        return Terms(max_cost=None if max_cost is None else parse_usd(max_cost, "--max-cost"), again=again)
    except DarkroomError as exc:
        fail(error_text(exc), EXIT_USAGE)


# ---------------------------------------------------------------------- carrying out


def carry_out(begin: Callable[[App], Awaitable[Run]], wait: float | None, *, as_json: bool) -> None:
    """Start or continue a run, follow it, ask a person what it asks, and show how it stands.

    Args:
        begin: Starts or continues the run.
        wait: Seconds; None until it ends.
        as_json: Print the run as JSON; nothing is asked then.
    """
    seconds = LONGEST_S if wait is None else wait
    run_id: str | None = None

    async def work(app: App) -> Shown:
        nonlocal run_id
        if run_id is None:
            run_id = (await begin(app)).id
        return await shown(app, await (follow_run(app, run_id, seconds) if seconds > 0 else look(app, run_id)))

    def interrupted() -> str:
        return "Interrupted before anything was stored." if run_id is None else broken_off(run_id)

    found = run(work, advance=seconds > 0, interrupted=interrupted)
    while found.seen.asks is not None and not as_json and seconds > 0 and sys.stdin.isatty():
        _answer(found.seen.asks, found.seen.run.id)
        found = run(work, advance=True, interrupted=interrupted)
    show(found, as_json=as_json)
    if found.seen.run.state in (RunState.FAILED, RunState.CANCELLED):
        raise SystemExit(EXIT_FAILED)


def broken_off(run_id: str) -> str:
    """Say what becomes of a run when its command is broken off."""
    return (
        f"Interrupted. {run_id} is kept, and goes on when darkroom runs again: darkroom check {run_id} --wait 600 "
        f"goes on with it now, darkroom cancel {run_id} stops it."
    )


def _answer(asking: Run, outer: str) -> None:
    """Ask the person at the terminal, and keep the answer."""
    err.print(asking.question.text if asking.question else "It asks for your word.", style="bold", markup=False)
    text = ""
    try:
        while not text.strip():
            text = err.input("> ")
    except (EOFError, KeyboardInterrupt):
        fail(f"\n{outer} waits for the answer. {_how_to_answer(asking)}", EXIT_INTERRUPTED)

    async def work(app: App) -> Run:
        return await app.runs.answer(asking.id, text, LOCAL)

    run(work)


# ---------------------------------------------------------------------- showing


async def shown(app: App, seen: Seen) -> Shown:
    """Return all that is printed of a run, and remember that it was shown."""
    done = seen.run
    view = run_view(done, now=app.clock.now(), cost=await app.runs.cost(done), jobs=seen.jobs)
    if seen.asks is not None and seen.asks.id != done.id and seen.asks.question is not None:
        view |= {"question": seen.asks.question.text, "asking_run_id": seen.asks.id}
    results: Sequence[Job] = result_jobs(done, seen.jobs) if done.ended else ()
    if done.ended:
        await app.runs.delivered(done)
        for job in results:
            await app.jobs.delivered(job)
    paths = tuple(output.path for job in results for output in job.outputs)
    return Shown(seen, view, app.brief_text(done.brief) if done.brief else None, paths)


def show(found: Shown, *, as_json: bool) -> None:
    """Print a run: what it made on stdout, how it stands on stderr."""
    done, asks = found.seen.run, found.seen.asks
    if as_json:
        out.print_json(data=found.view)
        return
    if asks is not None and asks.question is not None:
        out.print(asks.question.text, markup=False)
    for text in (done.output, found.brief):
        if text:
            out.print(text, markup=False)
    if found.paths and (done.output or found.brief):
        err.print()
    for path in found.paths:
        out.print(path, markup=False)
    for warning in done.warnings:
        err.print(f"note: {warning}", style="yellow", markup=False)
    if done.error:
        err.print(str(done.error.get("message", "It failed.")), style="red", markup=False)
    err.print(stand(found), style="dim", markup=False)


def stand(found: Shown) -> str:
    """Return in a line how a run stands and what to do now."""
    return f"{summary(found)} {way(found.seen)}".strip()


def summary(found: Shown) -> str:
    """Return in a sentence what it is, how it stands, how long it took and what it cost."""
    done, view = found.seen.run, found.view
    who = done.workflow or done.agent
    state = "waiting for its jobs" if done.awaits is Awaits.WORK else str(done.state)
    head = f"{done.id}{f' ({who})' if who else ''}: {state}"
    took = f" after {duration(view['duration_ms'])}" if done.ended else ""
    return f"{head}{took}, {cost_words(view)}."


def cost_words(view: dict[str, Any]) -> str:
    """Return what a run costs by now: `cost $0.12`."""
    cost = view.get("cost", {})
    amount = show_usd(to_micro(Decimal(str(cost.get("actual_usd", 0)))))
    about = "" if cost.get("certain", True) or not cost.get("actual_usd") else "about "
    still = cost.get("open_usd")
    reserved = f", of which {show_usd(to_micro(Decimal(str(still))))} is only reserved" if still else ""
    return f"cost {about}{amount}{reserved}"


def duration(ms: int) -> str:
    """Return how long something took: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 5 min`."""
    if ms < 9_950:
        return f"{ms / 1000:.1f} s"
    seconds = round(ms / 1000)
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours = divmod(seconds, 60), divmod(seconds // 60, 60)
    return f"{minutes[0]} min {minutes[1]} s" if seconds < 3600 else f"{hours[0]} h {hours[1]} min"


def way(seen: Seen) -> str:
    """Return in a sentence what to do now, as commands."""
    done = seen.run
    more = f" To go on: darkroom agent run --session {done.session_id} TASK" if done.session_id else ""
    if seen.asks is not None:
        return _how_to_answer(seen.asks)
    if done.awaits is Awaits.CLIENT:
        return "It waits for the program that started it."
    match done.state:
        case RunState.SUCCEEDED if done.brief is not None:
            return f"This brief is for you or your assistant: no language model of darkroom did the work.{more}"
        case RunState.SUCCEEDED:
            return more.strip()
        case RunState.FAILED:
            hint = str((done.error or {}).get("hint") or "Change what was wrong and run it again.")
            return hint if hint.endswith((".", "!", "?")) else f"{hint}."
        case RunState.CANCELLED:
            return f"What it made by then is kept: darkroom agent show {done.id}"
        case _:
            return f"It goes on while any darkroom runs; here and now: darkroom check {done.id} --wait 600"


def _how_to_answer(asking: Run) -> str:
    return f"Answer with: darkroom agent answer {asking.id} 'your answer'"
