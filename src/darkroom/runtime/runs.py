"""Moves runs forward inside the process that moves the jobs, under its lease."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import anyio
import anyio.abc
import anyio.to_thread

from darkroom.clock import Clock
from darkroom.domain.run import Mode, Run, RunState
from darkroom.errors import DarkroomError, ProviderFailed, StorageError
from darkroom.events import Bus
from darkroom.store.run_base import RunChange, RunStore

log = logging.getLogger(__name__)
SCAN_S = 1.0
"""How often runs that can go on are looked for when nobody said that there are some."""
MOST = 8
"""Runs that one process advances at once."""
TRIES = 5
"""How often a run that breaks its thinker is tried."""
PAUSE_S = 2.0
"""After a failure, doubled each time."""
CALM_S = 0.05
"""Between two looks, however many things change."""


class Thinker(Protocol):
    """Advances one kind of run; filled by the composition root."""

    async def think(self, run: Run, owner: str) -> Run | None:
        """Advance a claimed run until it ends, waits or is given back; return it as saved, None when it was lost.

        Raises:
            StorageError: If something cannot be stored; what was stored before stays.
        """
        ...


class Later:
    """A thinker that is made when there is first something to think about: some take a moment to load."""

    def __init__(self, make: Callable[[], Thinker]) -> None:
        self._make = make
        self._thinker: Thinker | None = None

    async def think(self, run: Run, owner: str) -> Run | None:
        """Advance a claimed run; see the protocol."""
        self._thinker = self._thinker or await anyio.to_thread.run_sync(self._make)
        return await self._thinker.think(run, owner)


class RunScheduler:
    """Claims runs and has them thought about, a few at once.

    Args:
        store: Where the runs are.
        thinkers: Who advances a run, by its mode.
        bus: Tells that there may be something to claim.
        clock: Tells the time.
        owner: The worker id of this process.
    """

    def __init__(
        self, *, store: RunStore, thinkers: Mapping[Mode, Thinker], bus: Bus, clock: Clock, owner: str
    ) -> None:
        self._store = store
        self._thinkers = thinkers
        self._bus = bus
        self._clock = clock
        self._owner = owner
        self._held: dict[str, Run] = {}
        self._failures: dict[str, int] = {}
        self._claiming = True
        self._left = False

    @property
    def busy(self) -> bool:
        """Whether it holds a run."""
        return bool(self._held)

    @property
    def left(self) -> bool:
        """Whether it was broken off at a run that is thought about by a model that costs money."""
        return self._left

    def stop_claiming(self) -> None:
        """Take nothing more; what is held goes on."""
        self._claiming = False

    async def run(self) -> None:
        """Claim and advance runs until cancelled; what is held then is freed with its owner."""
        try:
            async with anyio.create_task_group() as tasks:
                while True:
                    await self._claim(tasks)
                    await self._bus.next_run_work(SCAN_S)
                    await self._clock.sleep(CALM_S)
        finally:
            self._left = any(run.mode is Mode.LOOP for run in self._held.values())
            self._held.clear()

    async def _claim(self, tasks: anyio.abc.TaskGroup) -> None:
        room = MOST - len(self._held)
        if room <= 0 or not self._claiming:
            return
        claimed: Sequence[Run] = ()
        try:
            with anyio.CancelScope(shield=True):  # what is claimed is known, also to who stops meanwhile
                claimed = await self._store.claim(self._owner, self._clock.now(), room)
        except StorageError as exc:
            log.warning("could not claim runs: %s", exc.message)
            return
        for run in claimed:
            self._held[run.id] = run
            tasks.start_soon(self._advance, run)

    async def _advance(self, run: Run) -> None:
        await self._think(run)
        self._held.pop(run.id, None)  # one that is broken off, or never began, stays held: so `left` sees it
        self._bus.run_work()

    async def _think(self, run: Run) -> None:
        try:
            await self._thinkers[run.mode].think(run, self._owner)
            self._failures.pop(run.id, None)
        except StorageError as exc:
            log.warning("run %s waits for the store: %s", run.id, exc.message)
            await self._give_back(run)
        except Exception as exc:  # because one run's trouble must not stop the others
            log.exception("run %s could not be advanced", run.id)
            self._failures[run.id] = self._failures.get(run.id, 0) + 1
            await self._give_back(run, exc)

    async def _give_back(self, run: Run, exc: Exception | None = None) -> None:
        """Give a run back to be tried later, as soon as the store takes it: while it is ours, nobody else goes on."""
        while True:
            try:
                await self._put_off(run, exc)
            except StorageError as again:
                log.warning("run %s could not be given back: %s", run.id, again.message)
                await self._clock.sleep(PAUSE_S)
            else:
                return

    async def _put_off(self, run: Run, exc: Exception | None) -> None:
        """Queue a run for later; after too many failures of its thinker it ends."""
        failures = self._failures.get(run.id, 0)
        present = await self._store.get(run.id)
        if present is None or present.owner != self._owner:
            self._failures.pop(run.id, None)
            return
        now = self._clock.now()
        if exc is not None and failures >= TRIES:
            error = _broken(exc).to_dict()
            await self._store.save(present, self._owner, RunChange(now, target=RunState.FAILED, error=error))
            self._failures.pop(run.id, None)
            return
        due = now + int(PAUSE_S * 2 ** max(0, failures - 1) * 1000)
        await self._store.save(present, self._owner, RunChange(now, target=RunState.QUEUED, due_at=due, release=True))


def _broken(exc: Exception) -> DarkroomError:
    return ProviderFailed(
        f"The run failed inside darkroom: {type(exc).__name__}.",
        hint="The jobs that it started go on; the log says more. Start it again with run_agent.",
    )
