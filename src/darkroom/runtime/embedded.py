"""Moves jobs forward inside the server's own process, without being asked."""

import heapq
import logging
from collections.abc import Callable, Sequence

import anyio
import anyio.abc
import anyio.to_thread

from darkroom.clock import Clock
from darkroom.domain.job import State
from darkroom.errors import StorageError
from darkroom.events import Bus
from darkroom.runtime import schedule
from darkroom.runtime.liveness import BEAT_S, LEASE_S, Presence
from darkroom.runtime.step import Held, Stepper
from darkroom.store.base import JobStore

log = logging.getLogger(__name__)
SCAN_S = 1.0
"""How often dead processes are looked for."""
WATCH_S = 0.5
"""How often other processes' writes are looked for."""
CLAIM_S = 5.0
"""How often unclaimed work is looked for when nobody said that there is some."""
MOST = 10_000
"""Submissions that one process holds at once."""
PROGRESS_MOST = 200
"""Jobs whose progress rides in the heartbeat."""


class Embedded:
    """The scheduler loop of one process: claims, advances what is due, watches the others."""

    def __init__(
        self,
        *,
        store: JobStore,
        bus: Bus,
        clock: Clock,
        presence: Presence,
        stepper: Stepper,
        accounts: Callable[[], Sequence[str]],
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._presence = presence
        self._stepper = stepper
        self._accounts = accounts
        self._heap: list[tuple[int, str, int]] = []
        self._held: dict[tuple[str, int], Held] = {}
        self._busy: set[tuple[str, int]] = set()
        self._hurried: set[tuple[str, int]] = set()
        self.started = False

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Advance jobs until cancelled; then give back, within two seconds, what is held.

        Raises:
            StorageError: If this process cannot register itself.
        """
        worker = await anyio.to_thread.run_sync(self._presence.enter, self._clock)
        try:
            await self._store.register(worker)
            await self._bury()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._beat)
                tasks.start_soon(self._watch)
                tasks.start_soon(self._scan)
                self.started = True
                task_status.started()
                await self._drive(tasks)
        finally:
            with anyio.move_on_after(1.5, shield=True):
                try:
                    await self._store.reap([self._presence.id], self._clock.now())
                except StorageError as exc:
                    log.warning("could not give back what was held: %s", exc.message)
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._presence.leave)

    # ------------------------------------------------------------------ the loop

    async def _drive(self, tasks: anyio.abc.TaskGroup) -> None:
        claim_at = 0.0
        asked: frozenset[str] = frozenset()
        look = True
        while True:
            if look or self._clock.monotonic() >= claim_at:
                await self._claim()
                claim_at = self._clock.monotonic() + CLAIM_S
            self._make_due(asked)
            now = self._clock.now()
            while self._heap and self._heap[0][0] <= now:
                _, job_id, idx = heapq.heappop(self._heap)
                held = self._held.get((job_id, idx))
                if held is not None and held.due_at <= now and held.key not in self._busy:
                    self._busy.add(held.key)
                    tasks.start_soon(self._advance, held)
            pause = (self._heap[0][0] - now) / 1000 if self._heap else CLAIM_S
            wake = await self._bus.next_work(min(pause, CLAIM_S))
            look, asked = wake.work, wake.asked

    def _hold(self, held: Held) -> None:
        self._held[held.key] = held
        heapq.heappush(self._heap, (held.due_at, *held.key))

    async def _claim(self) -> None:
        room = MOST - len(self._held)
        if room <= 0:
            return
        now = self._clock.now()
        try:
            claimed = await self._store.claim(self._presence.id, accounts=self._accounts(), now=now, limit=room)
        except StorageError as exc:
            log.warning("could not claim: %s", exc.message)
            return
        for item in claimed:
            due_at = item.submission.due_at if item.submission.state is State.QUEUED else now
            self._hold(Held(item, due_at))

    def _make_due(self, job_ids: frozenset[str]) -> None:
        """Bring forward the next look at jobs that somebody asked about."""
        if not job_ids:
            return
        for held in [held for held in self._held.values() if held.claimed.job.id in job_ids]:
            if held.key in self._busy:
                self._hurried.add(held.key)
            else:
                self._hold(self._sooner(held))

    def _sooner(self, held: Held) -> Held:
        """Return a submission under way with its next look as soon as the floor between two polls allows."""
        part = held.claimed.submission
        if part.state not in (State.RUNNING, State.PARKED):
            return held
        provider = self._stepper.providers.get(part.provider)
        floor = schedule.floor_s(held.claimed.job.kind, provider.poll) if provider else 1.0
        return Held(held.claimed, min(held.due_at, self._clock.now() + int(floor * 1000)), held.failures)

    async def _advance(self, held: Held) -> None:
        following: Held | None
        try:
            following = await self._stepper.advance(held)
        except StorageError as exc:
            log.warning("job %s waits for the store: %s", held.claimed.job.id, exc.message)
            pause = schedule.trouble_pause(held.failures)
            following = Held(held.claimed, self._clock.now() + int(pause * 1000), held.failures + 1)
        except Exception:  # because one job's trouble must not stop the others
            log.exception("job %s could not be advanced; it is tried again", held.claimed.job.id)
            pause = schedule.trouble_pause(held.failures + 1)
            following = Held(held.claimed, self._clock.now() + int(pause * 1000), held.failures + 1)
        finally:
            self._busy.discard(held.key)
        present = self._held.get(held.key)
        if present is not None and present is not held:  # claimed anew, after this process was taken for dead
            self._hold(present)
        elif following is None:
            self._held.pop(held.key, None)
            self._bus.forget(held.claimed.job.id)
        else:
            self._hold(self._sooner(following) if held.key in self._hurried else following)
        self._hurried.discard(held.key)
        self._bus.tick()

    # ------------------------------------------------------------------ the others

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(BEAT_S)
            progress = {
                job_id: (item.fraction, item.message)
                for job_id, item in list(self._bus.all_progress().items())[:PROGRESS_MOST]
            }
            try:
                if not await self._store.heartbeat(self._presence.id, self._clock.boot() + LEASE_S, progress):
                    await self._rejoin()
            except StorageError as exc:
                log.warning("no heartbeat: %s", exc.message)

    async def _rejoin(self) -> None:
        """Come back after being taken for dead, as after the machine slept."""
        log.warning("this process was taken for dead; it drops what it held and claims again")
        self._held.clear()
        self._heap.clear()
        # It may have claimed since, without knowing: all of it goes back, so that nothing is ours that we do not hold.
        await self._store.reap([self._presence.id], self._clock.now())
        await self._store.register(await anyio.to_thread.run_sync(self._presence.renew, self._clock))
        self._bus.work()

    async def _watch(self) -> None:
        seen: int | None = None
        while True:
            try:
                version = await self._store.data_version()
            except StorageError:
                version = seen
            if version != seen and seen is not None:
                self._bus.elsewhere()
            seen = version
            await self._clock.sleep(WATCH_S)

    async def _scan(self) -> None:
        while True:
            await self._clock.sleep(SCAN_S)
            try:
                await self._bury()
            except StorageError as exc:
                log.warning("could not look for dead processes: %s", exc.message)

    async def _bury(self) -> None:
        """Free what dead processes held."""
        workers = await self._store.workers()
        dead = await anyio.to_thread.run_sync(self._presence.dead, workers, self._clock.boot())
        if dead:
            freed = await self._store.reap(dead, self._clock.now())
            log.info("took over %d jobs of %d ended processes", len(freed), len(dead))
            self._bus.work()
