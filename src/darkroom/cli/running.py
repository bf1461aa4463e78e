"""What `agent run`, `agent answer`, `workflow run` and `check` share: following a run, asking, showing it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from darkroom.app import App
from darkroom.cli.calls import as_terminal, command_of
from darkroom.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, err, fail, out, run, somebody
from darkroom.cli.following import LOCAL, LONGEST_S, Seen, follow_run, look
from darkroom.cli.words import as_commands
from darkroom.domain.job import Job
from darkroom.domain.run import Awaits, Mode, Run, RunState
from darkroom.server.run_views import cost_words, result_jobs, run_view

T = TypeVar("T")
STOP_WAIT_S = 3.0
"""How long to wait for providers to confirm a stop."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A run with all that is printed of it."""

    seen: Seen
    view: dict[str, Any]
    brief: str | None
    paths: tuple[str, ...]


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
    while found.seen.asks is not None and not as_json and seconds > 0 and somebody():
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
        fail(f"\n{outer} is kept, and waits. {_how_to_answer(asking)}", EXIT_INTERRUPTED)

    async def work(app: App) -> Run:
        return await app.runs.answer(asking.id, text, LOCAL)

    run(work)


def stop(names: Sequence[str], told: Callable[[App], Awaitable[T]]) -> T:
    """Stop jobs and runs, and return what `told` says of them after their providers had a moment to confirm it.

    The stop is stored before anything is moved forward, so that nothing which is still queued is sent for it.
    """

    async def note(app: App) -> bool:
        await app.runs.things(names, LOCAL)  # all of them are known before any is stopped
        await app.runs.stop(names, LOCAL)
        return all(thing.ended for thing in await app.runs.things(names, LOCAL))

    async def look_at(app: App) -> T:
        await app.runs.wait(names, LOCAL, STOP_WAIT_S)
        return await told(app)

    ended = run(note)
    return run(look_at, advance=not ended)


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
    return Shown(seen, view, app.brief_text(as_terminal(done.brief), command_of) if done.brief else None, paths)


def show(found: Shown, *, as_json: bool) -> None:
    """Print a run: what it made on stdout, how it stands on stderr."""
    done, asks = found.seen.run, found.seen.asks
    if as_json:
        out.print_json(data=found.view)
        return
    if asks is not None and asks.question is not None:
        out.print(asks.question.text, markup=False)
    ours = done.output and done.mode in (Mode.HAND_OFF, Mode.STEPS)  # else a model's words, which stay as they are
    for text in (as_commands(done.output or "") if ours else done.output, found.brief):
        if text:
            out.print(text, markup=False)
    if found.paths and (done.output or found.brief):
        err.print()
    for path in found.paths:
        out.print(path, markup=False)
    for warning in done.warnings:
        err.print(f"note: {as_commands(warning)}", style="yellow", markup=False)
    if done.error:
        err.print(as_commands(str(done.error.get("message", "It failed."))), style="red", markup=False)
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
    return f"{head}{took}, cost {cost_words(view.get('cost', {}))}."


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
    if done.cancel_requested_at is not None and not done.ended:
        return f"The stop is noted; darkroom check {done.id} --wait 60 says how it ended."
    more = f" To go on: darkroom agent run --session {done.session_id} TASK" if done.session_id else ""
    if seen.asks is not None:
        return _how_to_answer(seen.asks)
    if done.awaits is Awaits.CLIENT:
        return (
            f"Its next turn is up to the model of the program that started it: there, allow the request or have "
            f"run_agent(run_id='{done.id}') called. Waiting costs nothing; darkroom cancel {done.id} stops it."
        )
    match done.state:
        case RunState.SUCCEEDED if done.brief is not None:
            return f"This brief is for you or your assistant: no language model of darkroom did the work.{more}"
        case RunState.SUCCEEDED:
            return more.strip()
        case RunState.FAILED:
            hint = as_commands(str((done.error or {}).get("hint") or "Change what was wrong and run it again."))
            return hint if hint.endswith((".", "!", "?")) else f"{hint}."
        case RunState.CANCELLED:
            return f"What it made by then is kept: darkroom agent show {done.id}"
        case _:
            return f"It goes on while any darkroom runs; here and now: darkroom check {done.id} --wait 600"


def _how_to_answer(asking: Run) -> str:
    return f"Answer with: darkroom agent answer {asking.id} 'your answer'"
