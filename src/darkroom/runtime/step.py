"""Advances one claimed submission by one move; with `submit`, `collect` and `unknown` the only caller of adapters."""

import logging
import random

import anyio.to_thread

from darkroom.adapters.base import Adapter, Cancellable, Cancelled, Failed, Follow, Pending, Succeeded
from darkroom.domain.job import Job, State, Submission
from darkroom.errors import DarkroomError, NotConfigured, ResultExpired, StorageError, TimedOut
from darkroom.events import Progress
from darkroom.runtime import schedule
from darkroom.runtime.collect import charge_of, collect, is_past
from darkroom.runtime.held import Held, hold
from darkroom.runtime.kit import Kit
from darkroom.runtime.submit import finished, submit, unsent, unsure
from darkroom.store.base import Move

log = logging.getLogger(__name__)
POLLED = frozenset({State.RUNNING, State.PARKED})


class Stepper:
    """Makes the moves of one process."""

    def __init__(self, kit: Kit) -> None:
        self.kit = kit

    async def advance(self, held: Held) -> Held | None:
        """Make one move and return the submission with its next due time, or None when it ended or is no longer ours.

        Raises:
            StorageError: If a move cannot be stored; nothing is lost, and it may be tried again.
        """
        if held.state in POLLED and held.seen == self.kit.bus.others:
            return await self._poll(held)
        found = await self.kit.read(held)
        if found is None:
            return None
        job, part = found
        if part.state is not held.state:
            intent, held = held.intent, hold(job, part, self.kit.clock, held.due, held.seen)
            held.intent = intent
        match part.state:
            case State.QUEUED:
                return await submit(self.kit, held, job, part)
            case State.DOWNLOADING:
                return await collect(self.kit, held, job, part)
            case State.SUBMITTING:
                return await self._stuck(held, part)
            case State.RUNNING | State.PARKED:
                return await self._poll(held)
            case _:
                return None

    async def _stuck(self, held: Held, part: Submission) -> None:
        """Give an intent its honest state whose storing failed half-way, in this process, without a call after it."""
        if held.intent is not None and held.intent == part.submit_key:
            await unsent(self.kit, part)
        else:
            await unsure(self.kit, part, "its call was broken off")

    # ------------------------------------------------------------------ poll

    async def _poll(self, held: Held) -> Held | None:
        kit = self.kit
        try:
            call = kit.follow(held)
            adapter = kit.adapters.adapter(held.provider)
            stopped = await self._cancelled(adapter, call, held)
            if stopped is not None:
                return await self._stop(held, stopped)
            async with kit.limit(call.provider, "poll"):
                answer = await adapter.poll(held.operation or {}, call)
        except StorageError:
            raise
        except NotConfigured as exc:
            log.warning("job %s waits for its provider: %s", held.job_id, exc.message)
            return kit.later(held, schedule.PARKED_S)
        except Exception as exc:  # because a poll that fails says nothing about the job
            log.warning("job %s: poll failed: %s", held.job_id, kit.plain(exc))
            if isinstance(exc, DarkroomError):
                kit.health.ill(held.provider, exc)
            return await self._late(held) if self._overdue(held) else kit.trouble(held)
        kit.health.well(held.provider)
        if isinstance(answer, Pending):
            return await self._pending(held, answer, call)
        found = await kit.read(held)
        return found and await self._ended(held, *found, answer)

    async def _pending(self, held: Held, answer: Pending, call: Follow) -> Held | None:
        held.failures = 0
        if answer.fraction is not None or answer.message is not None:
            self.kit.bus.progress(held.job_id, Progress(answer.fraction, answer.message))
        if self._overdue(held):
            return await self._late(held)
        if held.state is State.PARKED:
            return self.kit.later(held, schedule.PARKED_S)
        age_s = self.kit.clock.boot() - held.began
        wait = schedule.poll_interval(held.kind, age_s, call.provider.poll, answer.poll_after_s)
        return self.kit.later(held, schedule.jittered(wait, random.random()))

    async def _ended(self, held: Held, job: Job, part: Submission, answer: Succeeded | Failed) -> Held | None:
        if isinstance(answer, Succeeded):
            scratch = await anyio.to_thread.run_sync(self.kit.artifacts.scratch, job.id, part.idx)
            return await finished(self.kit, scratch, held, job, part, answer)
        charged = charge_of(answer, part)
        target = State.FAILED if job.cancel_requested_at is None else State.CANCELLED
        return await self.kit.end(part, target, answer.error, charged=charged)

    async def _cancelled(self, adapter: Adapter, call: Follow, held: Held) -> Cancelled | None:
        """Ask the provider to stop, where that is wanted and possible; an error there must not keep us from polling."""
        if not held.cancel or not isinstance(adapter, Cancellable):
            return None
        try:
            stopped = await adapter.cancel(held.operation or {}, call)
        except Exception as exc:  # because the next poll says what became of the job
            log.warning("job %s: cancel failed: %s", held.job_id, self.kit.plain(exc))
            return None
        held.cancel = False  # whatever it said, it said it: the result decides now
        return stopped if isinstance(stopped, Cancelled) else None

    async def _stop(self, held: Held, stopped: Cancelled) -> None:
        found = await self.kit.read(held)
        if found is not None:
            await self.kit.end(found[1], State.CANCELLED, None, charged=stopped.charged)

    def _overdue(self, held: Held) -> bool:
        if held.state is State.PARKED:
            return is_past(self.kit, held)
        return held.deadline is not None and self.kit.clock.boot() >= held.deadline

    async def _late(self, held: Held) -> Held | None:
        """Give up what is free, and what its provider has dropped; ask less often for what was paid for."""
        found = await self.kit.read(held)
        if found is None:
            return None
        job, part = found
        if part.replayable:
            return await self.kit.end(part, State.FAILED, TimedOut("The draft took longer than its deadline."))
        if part.state is State.PARKED:
            error = ResultExpired(
                f"{part.provider} never said that it was done, and by now it keeps nothing of it.",
                hint="It may have been charged. retry_job starts it anew.",
            )
            return await self.kit.end(part, State.FAILED, error, charged=part.estimate)
        move = Move(State.PARKED, self.kit.clock.now(), detail="past its deadline; asked for less often")
        parked = await self.kit.move(part, move)
        return self.kit.again(held, job, parked, self.kit.clock.boot() + schedule.PARKED_S)
