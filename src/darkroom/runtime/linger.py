"""Lets paid work go on when the host closes its server: a process of its own, which no host can close with it."""

import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import anyio.to_thread

from darkroom.clock import Clock
from darkroom.errors import StorageError
from darkroom.runtime.liveness import Presence
from darkroom.store.base import JobStore

log = logging.getLogger(__name__)
START_S = 20.0
"""How long a new worker may take until it is there."""
IDLE_S = 30.0
"""How long a worker without work waits for more."""
WATCH_S = 1.0
PAUSE_S = 60.0
"""How long none is started after one did not come."""


class Started(Protocol):
    """A process that was started."""

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        ...


def start_worker(log_file: Path) -> Started:
    """Start `darkroom worker --linger` in a session of its own; blocks briefly.

    Raises:
        OSError: If it cannot be started.
    """
    with log_file.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "darkroom", "worker", "--linger"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=out,
            **_detached(),
        )


def _detached() -> dict[str, Any]:
    if sys.platform == "win32":  # pragma: no cover because only Windows comes here
        return {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


class Linger:
    """Sees to it that a lingering worker is there when it is needed."""

    def __init__(
        self,
        *,
        store: JobStore,
        clock: Clock,
        presence: Presence,
        start: Callable[[], Started],
        accounts: Callable[[], Sequence[str]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._presence = presence
        self._start = start
        self._accounts = accounts
        self._process: Started | None = None
        self._started_at = float("-inf")

    async def takes(self, accounts: Sequence[str]) -> bool:
        """Return whether a lingering worker takes, or is about to take, the calls of these accounts.

        Raises:
            StorageError: If the workers cannot be read.
        """
        if await self._is_there(accounts) or self._is_coming():
            return True
        return self._clock.boot() - self._started_at >= PAUSE_S and await self._begin()

    async def leave(self) -> None:
        """See to it, as this process ends, that its unfinished paid work is gone on with."""
        try:
            there = await self._is_there(self._accounts())
        except StorageError:
            there = False
        if not there and not self._is_coming():
            await self._begin()

    async def _is_there(self, accounts: Sequence[str]) -> bool:
        workers = await self._store.workers()
        lingering = [item for item in workers if item.lingers and set(accounts) <= set(item.accounts)]
        dead = await anyio.to_thread.run_sync(self._presence.dead, lingering, self._clock.boot())
        return len(dead) < len(lingering)

    def _is_coming(self) -> bool:
        """Return whether one was started that may still be on its way."""
        young = self._clock.boot() - self._started_at < START_S
        return young and self._process is not None and self._process.poll() is None

    async def _begin(self) -> bool:
        self.settle()
        self._started_at = self._clock.boot()
        try:
            self._process = await anyio.to_thread.run_sync(self._start)
        except OSError as exc:
            self._process = None
            log.warning("no worker could be started that goes on when this process ends: %s", exc.strerror)
        return self._process is not None

    def settle(self) -> None:
        """Collect the exit code of a worker that has ended; one that goes on is nobody's child any more."""
        if self._process is not None and self._process.poll() is None:
            _let_go(self._process)
        self._process = None


def _let_go(process: Started) -> None:
    """Keep the interpreter from warning of a process that is meant to outlive us."""
    if isinstance(process, subprocess.Popen):
        process.returncode = 0


class Embedding(Protocol):
    """What the life of a lingering worker depends on."""

    @property
    def busy(self) -> bool:
        """Whether it holds anything."""
        ...

    @property
    def sending(self) -> bool:
        """Whether a call that may cost money is under way."""
        ...

    def stop_claiming(self) -> None:
        """Take nothing more."""
        ...


async def lingered(embedded: Embedding, store: JobStore, presence: Presence, clock: Clock, limit_s: float) -> None:
    """Return once a lingering worker has nothing more to do, or was alone for as long as it may.

    A paid call that is under way by then is waited for.
    """
    idle_at = alone_at = clock.boot()
    while True:
        await clock.sleep(WATCH_S)
        now = clock.boot()
        if embedded.busy:
            idle_at = now
        if now - idle_at >= IDLE_S:
            return
        if await _has_company(store, presence, clock):
            alone_at = now
        if now - alone_at >= limit_s:
            embedded.stop_claiming()
            if not embedded.sending:
                return


async def _has_company(store: JobStore, presence: Presence, clock: Clock) -> bool:
    try:
        others = [item for item in await store.workers() if not item.lingers and item.id != presence.id]
    except StorageError:
        return False
    return len(await anyio.to_thread.run_sync(presence.dead, others, clock.boot())) < len(others)
