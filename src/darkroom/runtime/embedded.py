"""Moves jobs forward inside the server's own process, without being asked."""

import heapq
import logging
from functools import partial
from typing import Protocol

import anyio
import anyio.abc
import anyio.to_thread

from darkroom.domain.job import State
from darkroom.errors import StorageError
from darkroom.runtime import schedule
from darkroom.runtime.held import Held, due_of, hold
from darkroom.runtime.linger import Linger
from darkroom.runtime.liveness import Presence
from darkroom.runtime.step import POLLED, Stepper
from darkroom.runtime.submit import ASIDE_S
from darkroom.runtime.unknown import Finder
from darkroom.store.base import Claimed

log = logging.getLogger(__name__)
SCAN_S = 1.0
"""How often dead processes and lost answers are looked for."""
WATCH_S = 0.5
"""How often other processes' writes are looked for."""
BEATS = 3
"""How often within its lease a process says that it lives."""
CLAIM_S = 5.0
"""How often unclaimed work is looked for when nobody said that there is some."""
GRACE_S = 1.0
"""How long an end waits for the answers of paid calls under way; the host kills after two seconds."""
LEAVE_S = 0.9
AFRESH = -1
"""What is held is read again before the next move."""
MOST = 10_000
"""Submissions that one process holds at once."""
PROGRESS_MOST = 200
"""Jobs whose progress rides in the heartbeat."""


class Companion(Protocol):
    """What goes on beside the jobs, under the same lease."""

    @property
    def busy(self) -> bool:
        """Whether it holds anything."""
        ...

    @property
    def left(self) -> bool:
        """Whether, once broken off, it leaves what others should go on with soon."""
        ...

    def stop_claiming(self) -> None:
        """Take nothing more."""
        ...

    async def run(self) -> None:
        """Go on until cancelled."""
        ...


class Embedded:
    """The scheduler loop of one process: claims, advances what is due, watches the others."""

    def __init__(
        self,
        *,
        stepper: Stepper,
        presence: Presence,
        linger: Linger | None = None,
        runs: Companion | None = None,
    ) -> None:
        self._kit = stepper.kit
        self._store = stepper.kit.store
        self._bus = stepper.kit.bus
        self._clock = stepper.kit.clock
        self._stepper = stepper
        self._finder = Finder(stepper.kit)
        self._presence = presence
        self._linger = linger
        self._runs = runs
        self._heap: list[tuple[float, str, int]] = []
        self._held: dict[tuple[str, int], Held] = {}
        self._busy: dict[tuple[str, int], anyio.CancelScope] = {}
        self._moved = anyio.Event()
        self._hurried: set[tuple[str, int]] = set()
        self._heard: dict[str, int] = {}
        self._claiming = True
        self.started = False

    @property
    def busy(self) -> bool:
        """Whether it holds anything."""
        return bool(self._held) or (self._runs is not None and self._runs.busy)

    @property
    def sending(self) -> bool:
        """Whether a call that may cost money is under way."""
        return bool(self._kit.sending)

    def stop_claiming(self) -> None:
        """Take nothing more; what is held goes on."""
        self._claiming = False
        if self._runs is not None:
            self._runs.stop_claiming()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Advance jobs until cancelled; then give back, within two seconds, what is held.

        Raises:
            StorageError: If this process cannot register itself.
        """
        worker = await anyio.to_thread.run_sync(self._presence.enter, self._clock)
        try:
            await self._store.register(worker)
            self._bus.worker = worker.id
            await self._bury()
            work = anyio.create_task_group()
            async with anyio.create_task_group() as outer:
                with anyio.CancelScope(shield=True):  # else an end at this moment would wait for moves that never end
                    await outer.start(self._moves, work)
                try:
                    await self._live(work, task_status)
                finally:
                    with anyio.CancelScope(shield=True):
                        await self._wind_up()
                    work.cancel_scope.cancel()
        finally:
            await self._leave()

    async def _moves(self, work: anyio.abc.TaskGroup, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Hold the group of all moves, shielded, so that an end can tell those apart that must not be broken off."""
        with anyio.CancelScope(shield=True):
            async with work:
                task_status.started()
                await anyio.sleep_forever()

    async def _live(self, work: anyio.abc.TaskGroup, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with anyio.create_task_group() as tasks:
            own = (self._beat, self._watch, self._scan, self._search)
            for watch in (*own, *(() if self._runs is None else (self._runs.run,))):
                tasks.start_soon(watch)
            self.started = True
            task_status.started()
            await self._drive(work)

    async def _wind_up(self) -> None:
        """Break off what may be, and give the paid calls under way a moment for their answers."""
        self._kit.closing = True
        for key, scope in list(self._busy.items()):
            if key not in self._kit.sending:
                scope.cancel()
        unfinished = any(not held.replayable and held.state is not State.PARKED for held in self._held.values())
        unfinished = unfinished or (self._runs is not None and self._runs.left)
        with anyio.move_on_after(GRACE_S):
            if self._linger is not None and unfinished:
                await self._linger.leave()
            while self._kit.sending:
                self._moved = anyio.Event()
                await self._moved.wait()
        if self._linger is not None:
            self._linger.settle()

    async def _leave(self) -> None:
        self._bus.worker = None
        with anyio.move_on_after(LEAVE_S, shield=True):
            try:
                await self._store.reap([self._presence.id], self._clock.now())
            except StorageError as exc:
                log.warning("could not give back what was held: %s", exc.message)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._presence.leave)

    # ------------------------------------------------------------------ the loop

    async def _drive(self, work: anyio.abc.TaskGroup) -> None:
        claim_at = 0.0
        asked: frozenset[str] = frozenset()
        look = True
        while True:
            if self._claiming and (look or self._clock.boot() >= claim_at):
                await self._claim()
                claim_at = self._clock.boot() + CLAIM_S
            self._make_due(asked)
            now = self._clock.boot()
            while self._heap and self._heap[0][0] <= now:
                _, job_id, idx = heapq.heappop(self._heap)
                held = self._held.get((job_id, idx))
                if held is not None and held.due <= now and held.key not in self._busy:
                    self._busy[held.key] = anyio.CancelScope()
                    work.start_soon(self._advance, held)
            pause = self._heap[0][0] - now if self._heap else CLAIM_S
            wake = await self._bus.next_work(min(pause, CLAIM_S))
            look, asked = wake.work, wake.asked

    def _hold(self, held: Held) -> None:
        self._held[held.key] = held
        heapq.heappush(self._heap, (held.due, held.job_id, held.idx))

    async def _claim(self) -> None:
        room = MOST - len(self._held)
        if room <= 0:
            return
        seen = self._bus.others
        try:
            claimed = await self._claimed(room)
        except StorageError as exc:
            log.warning("could not claim: %s", exc.message)
            return
        for item in claimed:
            part = item.submission
            due = due_of(part, self._clock) if part.state is State.QUEUED else self._clock.boot()
            self._hold(hold(item.job, part, self._clock, due, seen))

    async def _claimed(self, room: int) -> list[Claimed]:
        """Claim what is free, and leave the calls that last to a worker that no host closes, where there is one."""
        accounts, now = self._kit.accounts.all(), self._clock.now()
        claim = partial(self._store.claim, self._presence.id, accounts=accounts, now=now)
        if self._linger is None:
            return await claim(limit=room)
        claimed = await claim(limit=room, synchronous=False)
        left = await self._store.left(accounts)
        if left and not await self._linger.takes(left):
            claimed += await claim(limit=max(0, room - len(claimed)))
        return claimed

    def _make_due(self, job_ids: frozenset[str]) -> None:
        """Bring forward the next look at jobs that somebody asked about."""
        if not job_ids:
            return
        for held in [held for held in self._held.values() if held.job_id in job_ids]:
            if held.key in self._busy:
                self._hurried.add(held.key)
            else:
                self._hold(self._sooner(held))

    def _sooner(self, held: Held) -> Held:
        """Return a submission under way with its next look, at the store too, as soon as two polls may follow."""
        held.seen = AFRESH
        if held.state in POLLED:
            provider = self._kit.providers.get(held.provider)
            floor = schedule.floor_s(held.kind, provider.poll) if provider else 1.0
            held.due = min(held.due, self._clock.boot() + floor)
        return held

    async def _advance(self, held: Held) -> None:
        following: Held | None = None
        with self._busy[held.key]:
            try:
                following = await self._stepper.advance(held) or await self._still_ours(held)
            except StorageError as exc:
                log.warning("job %s waits for the store: %s", held.job_id, exc.message)
                following = self._afresh(held)
            except Exception:  # because one job's trouble must not stop the others
                log.exception("job %s could not be advanced; it is tried again", held.job_id)
                following = self._afresh(held)
        del self._busy[held.key]
        self._moved.set()
        present = self._held.get(held.key)
        if present is not None and present is not held:  # claimed anew, after this process was taken for dead
            present.seen = AFRESH
            self._hold(present)
        elif following is None:
            self._held.pop(held.key, None)
            self._bus.forget(held.job_id)
        else:
            self._hold(self._sooner(following) if held.key in self._hurried else following)
        self._hurried.discard(held.key)
        self._bus.tick()

    async def _still_ours(self, held: Held) -> Held | None:
        """Return what is not done with although its last move was refused: somebody else noted something there."""
        found = await self._kit.read(held)
        return found and hold(*found, self._clock, self._clock.boot() + ASIDE_S, AFRESH)

    def _afresh(self, held: Held) -> Held:
        held.seen = AFRESH
        return self._kit.trouble(held)

    # ------------------------------------------------------------------ the others

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self._presence.lease_s / BEATS)
            progress = {
                job_id: (item.fraction, item.message)
                for job_id, item in list(self._bus.all_progress().items())[:PROGRESS_MOST]
            }
            until = self._clock.boot() + self._presence.lease_s
            try:
                await self._listen()  # since the heartbeat clears what was asked
                if not await self._store.heartbeat(self._presence.id, until, progress):
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
                if version != seen and seen is not None:
                    self._bus.elsewhere()
                    await self._listen()
                seen = version
            except StorageError as exc:
                log.debug("could not look for others' writes: %s", exc.message)
            await self._clock.sleep(WATCH_S)

    async def _listen(self) -> None:
        """Hear what other processes want to know about the jobs of this one."""
        asked = await self._store.asked(self._presence.id)
        for job_id, at in asked.items():
            if self._heard.get(job_id) != at:
                self._bus.ask(job_id)
        self._heard = asked

    async def _scan(self) -> None:
        while True:
            await self._clock.sleep(SCAN_S)
            try:
                await self._bury()
            except StorageError as exc:
                log.warning("could not look for dead processes: %s", exc.message)

    async def _search(self) -> None:
        await self._finder.run(SCAN_S)

    async def _bury(self) -> None:
        """Free what dead processes held."""
        workers = await self._store.workers()
        dead = await anyio.to_thread.run_sync(self._presence.dead, workers, self._clock.boot())
        if dead:
            freed = await self._store.reap(dead, self._clock.now())
            log.info("took over %d jobs of %d ended processes", len(freed), len(dead))
            self._bus.work()
