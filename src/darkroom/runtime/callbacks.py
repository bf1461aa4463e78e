"""Tells callers elsewhere that a job or run has ended, as often as it takes; every attempt sends the same bytes."""

import logging
import math
from collections.abc import Callable, Sequence
from random import uniform
from typing import Protocol

import anyio
import anyio.abc

from darkroom import __version__
from darkroom.clock import Clock
from darkroom.domain.job import Job
from darkroom.domain.notice import job_notice, run_notice, signature
from darkroom.domain.run import Callback, Delivery, Run
from darkroom.errors import DarkroomError, StorageError
from darkroom.events import Bus
from darkroom.net.answer import Answer
from darkroom.net.classify import NO_ANSWER, retry_after_s
from darkroom.net.guard import Unreachable, Unsafe
from darkroom.net.listed import ListedHttp

log = logging.getLogger(__name__)
TOTAL_S = 20.0
"""How long one attempt may take; the connection alone at most ten seconds of that."""
ATTEMPTS = 15
"""With the pauses below about an hour in all."""
FIRST_S, LONGEST_S = 1.0, 600.0
"""The pause after the first attempt, which doubles, and the longest."""
JITTER = (0.75, 1.25)
HELD_S = 60.0
"""How long a claim keeps other processes from the same attempt; longer than any attempt lasts."""
SCAN_S = 5.0
AT_ONCE = 8
GRACE_S = 1.0
"""How long an attempt goes on after the program was told to end."""
PASSING = frozenset({408, 425, 429})
"""Statuses below 500 that a later attempt may mend."""
ERROR_SHOWN = 200


class Outbox(Protocol):
    """What is needed of the store of runs, which keeps the callbacks."""

    async def get(self, run_id: str) -> Run | None:
        """Return the run."""
        ...

    async def delivered(self, run_id: str, at: int) -> None:
        """Remember when a finished run was first shown to its caller."""
        ...

    async def callback(self, subject: str) -> Callback | None:
        """Return the callback of a job or run."""
        ...

    async def claim_callbacks(self, now: int, until: int, limit: int) -> list[Callback]:
        """Return callbacks that are due, put off to `until` for everybody else."""
        ...

    async def note_callback(self, callback: Callback) -> None:
        """Write how far a callback is."""
        ...


class Ended(Protocol):
    """What is needed of the store of jobs."""

    async def get(self, job_id: str) -> Job | None:
        """Return the job."""
        ...

    async def delivered(self, job_id: str, at: int) -> None:
        """Remember when a finished job was first shown to its caller."""
        ...


class Callbacks:
    """Sends the callbacks that are due.

    A PATCH with the notice of `domain.notice` as JSON; `X-Signature` is its HMAC-SHA256 where there is a secret, and
    `Idempotency-Key` the id of the job or run, since a notice may arrive twice: nobody can know whether an answer that
    did not come back was given. 2xx is delivered; other answers below 500 end it, except 408, 425 and 429.

    Args:
        outbox: Where the callbacks are kept.
        jobs: Where the jobs are kept.
        http: Calls listed hosts.
        clock: For the moments of further attempts.
        bus: Says when something moved.
        secret: Returns what signs, if anything does.
        total_s: Seconds that one attempt may take.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        jobs: Ended,
        http: ListedHttp,
        clock: Clock,
        bus: Bus,
        secret: Callable[[], str | None],
        total_s: float = TOTAL_S,
    ) -> None:
        self._outbox = outbox
        self._jobs = jobs
        self._http = http
        self._clock = clock
        self._bus = bus
        self._secret = secret
        self._total_s = total_s
        self._sending: dict[str, anyio.CancelScope] = {}
        self._due: dict[str, int] = {}
        """When this process is to try again, by subject; others find that in the store."""
        self._end = math.inf

    async def run(self) -> None:
        """Send what is due until cancelled; then give what is under way a moment to end."""
        self._end = math.inf
        async with anyio.create_task_group() as tasks:
            with self._bus.watch_all() as watch:
                try:
                    while True:
                        await self._begin(tasks, watch.changed.set)
                        await watch.wait(self._pause_s())
                finally:
                    self._end = anyio.current_time() + GRACE_S
                    with anyio.CancelScope(shield=True, deadline=self._end):
                        await self._begin(tasks)  # what ended just now would wait for the next start
                    for scope in self._sending.values():
                        scope.deadline = self._end

    async def deliver_due(self) -> None:
        """Make one attempt at what is due now, at most eight of them, and return when they are through."""
        async with anyio.create_task_group() as tasks:
            await self._begin(tasks)

    def _pause_s(self) -> float:
        soonest = min(self._due.values(), default=None)
        return SCAN_S if soonest is None else min(SCAN_S, max(0.0, (soonest - self._clock.now()) / 1000))

    async def _begin(self, tasks: anyio.abc.TaskGroup, done: Callable[[], None] = lambda: None) -> None:
        """Claim what is due and begin to send it; `done` is called whenever one of them is through."""
        free = AT_ONCE - len(self._sending)
        now = self._clock.now()
        claimed: Sequence[Callback] = ()
        try:
            if free > 0:
                with anyio.CancelScope(shield=True):  # what is claimed and not begun would wait for the claim to pass
                    claimed = await self._outbox.claim_callbacks(now, now + round(HELD_S * 1000), free)
        except StorageError as exc:
            log.warning("callbacks wait for the store: %s", exc.message)
        for subject in [name for name, due in self._due.items() if due <= now]:
            del self._due[subject]  # claimed here, by another process, or found by the next scan
        for callback in claimed:
            scope = self._sending[callback.subject] = anyio.CancelScope(shield=True)
            tasks.start_soon(self._send, callback, scope, now + round(HELD_S * 1000), done)

    async def _send(self, callback: Callback, scope: anyio.CancelScope, until: int, done: Callable[[], None]) -> None:
        scope.deadline = self._end
        try:
            with scope:
                await self._deliver(callback, until)
        except StorageError as exc:
            log.warning("the callback of %s waits for the store: %s", callback.subject, exc.message)
        except Exception as exc:  # because one callback must not stop the others; its text may show an address
            log.error("the callback of %s failed: %s", callback.subject, type(exc).__name__)  # noqa: TRY400 for that
        finally:
            del self._sending[callback.subject]
            done()

    async def _deliver(self, callback: Callback, until: int) -> None:
        """Make one attempt: its number and its text are kept before it, what came of it after."""
        body = callback.body
        if body is None:
            subject = await self._subject(callback)
            if subject is not None and not subject.ended:
                return  # nothing makes it due before; it is looked at again when the claim has passed
            body = None if subject is None else _notice(subject, callback)
        if body is None or callback.attempts >= ATTEMPTS:
            why = "There is nothing to tell any more." if body is None else "The last attempt was broken off."
            await self._outbox.note_callback(_failed(callback, why))
            return
        changed = {"body": body, "attempts": callback.attempts + 1, "due_at": until, "status": None, "error": None}
        tried = callback.model_copy(update=changed)
        await self._outbox.note_callback(tried)
        outcome = await self._attempt(tried, body.encode())
        kept = await self._outbox.callback(callback.subject)
        if kept is None or kept.attempts != tried.attempts:
            log.info("the callback of %s was gone on with by another process", callback.subject)
            return
        await self._outbox.note_callback(outcome)
        if outcome.state is Delivery.DUE:
            self._due[outcome.subject] = outcome.due_at
        elif outcome.state is Delivery.FAILED:
            log.warning("the callback of %s to %s is given up: %s", outcome.subject, outcome.host, outcome.error)
        else:
            await self._shown(outcome)

    async def _shown(self, told: Callback) -> None:
        """Note that the caller knows of the end: an equal call made later than that is a new wish."""
        subject = await self._subject(told)
        if subject is not None and subject.delivered_at is None:
            where = self._outbox if isinstance(subject, Run) else self._jobs
            await where.delivered(subject.id, told.delivered_at or self._clock.now())

    async def _subject(self, callback: Callback) -> Job | Run | None:
        return await self._outbox.get(callback.subject) or await self._jobs.get(callback.subject)

    async def _attempt(self, tried: Callback, body: bytes) -> Callback:
        """Send the bytes once, and return what came of it."""
        try:
            with anyio.fail_after(self._total_s):
                answer = await self._http.send(
                    "PATCH", tried.url, headers=self._headers(tried, body), content=body, timeout_s=self._total_s
                )
        except Unsafe as exc:
            return _failed(tried, f"The address {exc}; nothing was sent.")
        except DarkroomError as exc:
            return self._again(tried, exc.message)
        except Unreachable as exc:
            return self._again(tried, str(exc))
        except TimeoutError:
            return self._again(tried, f"There was no answer within {self._total_s:g} s.")
        except NO_ANSWER as exc:
            return self._again(tried, f"There was no answer ({type(exc).__name__}).")
        return self._answered(tried, answer)

    def _headers(self, tried: Callback, body: bytes) -> dict[str, str]:
        secret = self._secret()
        signed = {} if secret is None else {"X-Signature": signature(body, secret)}
        return {
            "Content-Type": "application/json",
            "User-Agent": f"darkroom/{__version__}",
            "Idempotency-Key": tried.subject,
            **signed,
        }

    def _answered(self, tried: Callback, answer: Answer) -> Callback:
        status = answer.status
        told = tried.model_copy(update={"status": status})
        if answer.ok:
            return told.model_copy(update={"state": Delivery.DELIVERED, "delivered_at": self._clock.now()})
        if status >= 500 or status in PASSING:
            wait_s = retry_after_s(answer.headers, self._clock.now())
            return self._again(told, f"It answered with status {status}.", wait_s or 0.0)
        if 300 <= status < 400:
            return _failed(told, f"It answered with a redirect (status {status}), and redirects are not followed.")
        return _failed(told, f"It answered with status {status}, which a further attempt would not mend.")

    def _again(self, tried: Callback, why: str, least_s: float = 0.0) -> Callback:
        """Return what failed as due once more, or as failed after the last attempt."""
        if tried.attempts >= ATTEMPTS:
            return _failed(tried, f"{why} That was attempt {tried.attempts}, the last.")
        due_at = self._clock.now() + round(1000 * pause_s(tried.attempts, least_s))
        return tried.model_copy(update={"due_at": due_at, "error": why[:ERROR_SHOWN]})


def pause_s(attempts: int, least_s: float = 0.0) -> float:
    """Return how long to wait after so many attempts: 1, 2, 4 ... s with jitter, or as told, at most ten minutes."""
    return min(LONGEST_S, max(least_s, FIRST_S * 2.0 ** (attempts - 1) * uniform(*JITTER)))


def _notice(subject: Job | Run, callback: Callback) -> str:
    return run_notice(subject, callback) if isinstance(subject, Run) else job_notice(subject, callback)


def _failed(callback: Callback, why: str) -> Callback:
    return callback.model_copy(update={"state": Delivery.FAILED, "error": why[:ERROR_SHOWN]})
