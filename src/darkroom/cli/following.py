"""Live progress of jobs and runs: bars in a terminal, a line at every change elsewhere."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from darkroom.app import App
from darkroom.cli.console import err
from darkroom.domain.job import Job
from darkroom.domain.request import clip
from darkroom.domain.run import Awaits, Run, RunKind, RunState
from darkroom.domain.workflow import overview
from darkroom.server.run_views import held_up
from darkroom.services.runs import rests

LOCAL = "local"
LONGEST_S = 24 * 3600.0
LOOK_S = 0.5
"""How often a run is looked at when nothing says that it moved."""
CALM_S = 0.05
"""Between two looks, however much moves."""
BAR, NAME = 20, 24
"""Columns of a bar, and at most of a name."""
MARKS = {
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("-", "dim"),
    "skipped": ("-", "dim"),
    "waiting": ("?", "yellow"),
    "queued": ("·", "dim"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """How far a step of a workflow, an agent or one of its jobs is."""

    name: str
    status: str
    note: str = ""
    fraction: float | None = None
    """0 to 1, where that is known."""
    queued: bool = False
    """Whether nothing of it was begun yet, so that there is nothing to say."""

    @property
    def words(self) -> str:
        """What is said of it beside its name."""
        return f"{self.status}, {self.note}" if self.note else self.status


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as it was just now, with what it started."""

    run: Run
    asks: Run | None
    """The run that waits for an answer: this one, or one inside it."""
    jobs: tuple[Job, ...]
    lines: tuple[Line, ...]

    @property
    def settled(self) -> bool:
        """Whether waiting longer brings nothing."""
        return rests(self.run) or self.asks is not None


async def follow(app: App, job: Job, seconds: float) -> Job:
    """Wait for a job behind a progress bar."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), console=err, transient=True) as bar:
        task = bar.add_task(f"{job.kind} {job.state}", total=1.0)

        async def tell(jobs: Sequence[Job]) -> None:
            news = await app.jobs.progress(jobs[0])
            note = f": {news.message}" if news and news.message else ""
            fraction = news.fraction if news and news.fraction is not None else None
            bar.update(task, description=f"{jobs[0].kind} {jobs[0].state}{note}", completed=fraction)

        done = (await app.jobs.wait([job.id], job.principal, seconds, tell))[0]
    await app.jobs.delivered(done)
    return done


async def follow_run(app: App, run_id: str, seconds: float) -> Seen:
    """Wait until a run ends or asks something, or for that many seconds, showing how far it is.

    Raises:
        UnknownJob: If there is none of that id.
    """
    end = app.clock.monotonic() + seconds
    seen = await look(app, run_id)
    with screen(keep=seen.run.kind is RunKind.WORKFLOW) as shown:
        while True:
            shown.show(seen.lines)
            left = end - app.clock.monotonic()
            if seen.settled or left <= 0:
                return seen
            with app.bus.watch(run_id, *(job.id for job in seen.jobs if not job.ended)) as watch:
                await watch.wait(min(left, LOOK_S))
            await app.clock.sleep(CALM_S)
            seen = await look(app, run_id)


async def look(app: App, run_id: str) -> Seen:
    """Return how a run stands.

    Raises:
        UnknownJob: If there is none of that id.
    """
    run = await app.runs.get(run_id, LOCAL)
    inside, jobs = await app.runs.inside(run), await app.runs.jobs_of(run)
    asks = next((one for one in (run, *inside) if one.awaits is Awaits.ANSWER), None)
    told = {job.id: await _fraction(app, job) for job in jobs}
    lines = _steps(run, told) if run.kind is RunKind.WORKFLOW else _parts(run, inside, jobs, told)
    return Seen(run, asks, tuple(jobs), tuple(lines))


async def _fraction(app: App, job: Job) -> float | None:
    news = None if job.ended else await app.jobs.progress(job)
    return 1.0 if job.ended else news.fraction if news else None


def _steps(run: Run, told: Mapping[str, float | None]) -> list[Line]:
    """Return a line a step of a workflow."""
    return [_step(row, told) for row in overview(run.work)]


def _step(row: Mapping[str, Any], told: Mapping[str, float | None]) -> Line:
    status, several = str(row["status"]), int(row.get("of", 1))
    started = [told.get(name) for name in row.get("jobs", ())]
    known = [fraction for fraction in started if fraction is not None]
    fraction = min(1.0, sum(known) / several) if known and several else None
    done = 1.0 if status == "succeeded" else fraction
    return Line(str(row["title"]), status, _note(row), done, queued=status == "queued")


def _note(row: Mapping[str, Any]) -> str:
    """Return what is worth saying of a step beside its state: how many, how long, or why not."""
    message = "" if row.get("jobs") and "of" not in row else str(row.get("message", "")).rstrip(".")
    error = str(row["error"].get("message", "")) if row["status"] == "failed" and "error" in row else ""
    took = f"{row['took']:.1f} s" if row.get("took", 0) >= 0.1 else ""
    return ", ".join(part for part in (error or message, took) if part)


def _parts(run: Run, inside: Sequence[Run], jobs: Sequence[Job], told: Mapping[str, float | None]) -> list[Line]:
    """Return a line for an agent, each agent that it asked, and each job: an agent may be called as what it makes."""
    agents = [_agent(one) for one in (run, *inside)]
    numbers = enumerate(jobs, 1)
    return [
        *agents,
        *(Line(f"job {number} ({job.kind})", job.state.value, "", told[job.id]) for number, job in numbers),
    ]


def _agent(one: Run) -> Line:
    name = f"{one.agent} (agent)" if one.agent else "chat"
    if held := held_up(one):
        return Line(name, "paused", held)
    note = f"turn {one.turn}" if one.turn and not one.ended else ""
    return Line(name, str(one.state), note, queued=one.state is RunState.QUEUED)


class Screen:
    """Shows lines that are painted anew at every change."""

    def __init__(self, live: Live | None) -> None:
        self._live = live
        self._spinner = Spinner("dots")
        self._said: dict[int, Line] = {}

    def show(self, lines: Sequence[Line]) -> None:
        """Show how far things are."""
        if self._live is not None:
            self._live.update(self._painted(lines))
            return
        for number, line in enumerate(lines):
            before = self._said.get(number)
            if not line.queued and (before is None or before.words != line.words):
                err.print(f"{line.name}: {line.words}", markup=False)
            self._said[number] = line

    def _painted(self, lines: Sequence[Line]) -> Table:
        table = Table.grid(padding=(0, 1))
        for whole in (True, True, True, False):  # what is too long is taken from the last one
            table.add_column(no_wrap=whole)
        for line in lines:
            mark, colour = MARKS.get(line.status, ("", "default"))
            sign: RenderableType = Text(mark, style=colour) if mark else self._spinner
            words = Text(line.words, style=colour, no_wrap=True, overflow="ellipsis")
            table.add_row(sign, Text(clip(line.name, NAME)), self._bar(line), words)
        return table

    def _bar(self, line: Line) -> RenderableType:
        if line.status == "running":
            pulse = line.fraction is None
            return ProgressBar(total=None if pulse else 1.0, completed=line.fraction or 0.0, width=BAR, pulse=pulse)
        return Text("")


@contextmanager
def screen(*, keep: bool) -> Generator[Screen]:
    """Take the terminal for live lines; `keep`: the last ones stay."""
    if not err.is_terminal:
        yield Screen(None)
        return
    with Live(console=err, refresh_per_second=8, transient=not keep) as live:
        yield Screen(live)
