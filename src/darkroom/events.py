"""Hints inside one process that something changed; the store alone holds the truth."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio

LOOKS_PER_S = 300
"""How often all who wait in a process look again, together."""
LOOKS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running job is."""

    fraction: float | None = None
    """0 to 1, where the provider says so."""
    message: str | None = None


@dataclass(eq=False, slots=True)
class Watch:
    """One waiter's view of some jobs: `changed` is set whenever one of them may have changed."""

    job_ids: frozenset[str] | None
    """None for whatever moves; such a waiter hears nothing of mere progress."""
    turn: Callable[..., float]
    """`Bus.turn`: after how many seconds it may look again."""
    changed: anyio.Event = field(default_factory=anyio.Event)

    async def wait(self, seconds: float) -> bool:
        """Return True as soon as something may have changed, False after that many seconds."""
        with anyio.move_on_after(max(0.0, seconds)):
            await self.changed.wait()
        happened = self.changed.is_set()
        if happened:
            self.changed = anyio.Event()
        return happened


@dataclass(frozen=True, slots=True)
class Wake:
    """What woke the one who moves jobs forward."""

    work: bool
    """Whether something may be there to claim."""
    asked: frozenset[str]
    """Jobs that somebody wants to know about now."""


class Bus:
    """The one map of waiters in a process, and the newest progress of the jobs that it runs."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()
        self._progress: dict[str, Progress] = {}
        self._work = anyio.Event()
        self._run_work = anyio.Event()
        self._claimable = False
        self._asked: set[str] = set()
        self._turn = 0.0
        self.others = 0
        """How often other processes were seen to have written."""
        self.ending = False
        """Whether the process is about to end, so that nobody is to wait."""
        self.worker: str | None = None
        """Who moves jobs forward in this process."""

    def stop(self) -> None:
        """Say that the process ends: nobody waits any longer, whatever has happened until now is the answer."""
        if not self.ending:
            self.ending = True
            for watch in self._watches:
                watch.changed.set()

    @contextmanager
    def watch(self, *job_ids: str) -> Generator[Watch]:
        """Watch these jobs until the block ends."""
        with self._watching(Watch(frozenset(job_ids), self.turn)) as watch:
            yield watch

    @contextmanager
    def watch_all(self) -> Generator[Watch]:
        """Watch whatever moves until the block ends."""
        with self._watching(Watch(None, self.turn)) as watch:
            yield watch

    @contextmanager
    def _watching(self, watch: Watch) -> Generator[Watch]:
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    def turn(self, now: float, looks: int = 1) -> float:
        """Return after how many seconds one who waits may look again, so that thousands leave room for other work.

        Args:
            now: Seconds of a clock that never goes back.
            looks: How often it will look at the store.
        """
        begins = max(self._turn, now - LOOKS_AT_ONCE / LOOKS_PER_S)
        self._turn = begins + looks / LOOKS_PER_S
        return max(0.0, begins - now)

    def changed(self, job_id: str) -> None:
        """Say that a job or run moved; call it after the commit."""
        self._tell(job_id)
        self.run_work()  # a run may have waited for it

    def _tell(self, job_id: str) -> None:
        for watch in self._watches:
            if watch.job_ids is not None and job_id in watch.job_ids:
                watch.changed.set()

    def elsewhere(self) -> None:
        """Say that another process wrote to the store."""
        self.others += 1
        for watch in self._watches:
            watch.changed.set()
        self.work()
        self.run_work()

    def progress(self, job_id: str, progress: Progress) -> None:
        """Say how far a job is; kept in memory only."""
        if self._progress.get(job_id) != progress:
            self._progress[job_id] = progress
            self._tell(job_id)

    def progress_of(self, job_id: str) -> Progress | None:
        """Return the newest progress, if this process runs the job."""
        return self._progress.get(job_id)

    def all_progress(self) -> dict[str, Progress]:
        """Return the progress of every job that this process runs."""
        return dict(self._progress)

    def forget(self, job_id: str) -> None:
        """Drop the progress of a job that ended or left this process."""
        self._progress.pop(job_id, None)

    def work(self) -> None:
        """Say that there may be something to claim."""
        self._claimable = True
        self._work.set()

    def ask(self, job_id: str) -> None:
        """Say that somebody wants to know about this job now: its next poll is due."""
        self._asked.add(job_id)
        self._work.set()

    async def next_work(self, seconds: float) -> Wake:
        """Wait for work, at most that many seconds, and say what woke the caller."""
        with anyio.move_on_after(max(0.0, seconds)):
            await self._work.wait()
        wake = Wake(self._claimable, frozenset(self._asked))
        self._work, self._claimable, self._asked = anyio.Event(), False, set()
        return wake

    def run_work(self) -> None:
        """Say that there may be a run to claim, or a callback to send."""
        self._run_work.set()
        for watch in self._watches:
            if watch.job_ids is None:
                watch.changed.set()

    async def next_run_work(self, seconds: float) -> None:
        """Wait until there may be a run to claim, at most that many seconds; for one waiter in a process."""
        with anyio.move_on_after(max(0.0, seconds)):
            await self._run_work.wait()
        self._run_work = anyio.Event()

    def tick(self) -> None:
        """Wake the one who moves jobs forward, though nothing new may be there to claim."""
        self._work.set()
