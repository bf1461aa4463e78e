"""Reading, awaiting and cancelling jobs."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from darkroom.clock import Clock
from darkroom.domain.job import ACTIVE, ENDED, Job, State
from darkroom.domain.money import MicroUsd, show_usd
from darkroom.domain.names import VERY_ALIKE, did_you_mean
from darkroom.domain.output import Output
from darkroom.domain.request import clip
from darkroom.errors import InvalidRequest, StorageError, UnknownJob
from darkroom.events import Bus, Progress
from darkroom.services.waiting import wait_until
from darkroom.store.base import JobStore

STILL = frozenset({State.SUBMIT_UNKNOWN, State.PARKED})
"""States that are not the end and in which waiting brings nothing."""
GROUPS = {"active": ACTIVE, "running": ACTIVE - STILL - {State.QUEUED}, "unknown": frozenset({State.SUBMIT_UNKNOWN})}
"""Words that stand for several states."""

Tell = Callable[[Sequence[Job]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a job comes from, and what came of it."""

    ancestors: tuple[str, ...] = ()
    """The jobs that it continues, the first one first."""
    children: tuple[str, ...] = ()
    """The jobs that continue it, oldest first."""


class Jobs:
    """What callers may ask about jobs that exist."""

    def __init__(self, store: JobStore, bus: Bus, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock

    async def get(self, job_ids: Sequence[str], principal: str) -> list[Job]:
        """Return these jobs, in that order.

        Raises:
            UnknownJob: If the caller has none of that id; the message names it.
        """
        jobs: list[Job] = []
        for job_id in job_ids:
            job = await self._store.get(job_id, principal)
            if job is None:
                recent = [item.id for item in await self._store.find(principal=principal, limit=50)]
                raise UnknownJob(
                    f"There is no job {clip(job_id)!r}.{did_you_mean(job_id, recent, alike=VERY_ALIKE)}",
                    field="job_id",
                    hint="check_job without job_id lists your newest jobs.",
                )
            jobs.append(job)
        return jobs

    async def lineage(self, job: Job) -> Lineage:
        """Return the jobs before and after one in its chain of refinements."""
        ancestors: list[str] = []
        before = job.parent_job_id
        while before is not None and before not in ancestors:
            ancestors.append(before)
            parent = await self._store.get(before, job.principal)
            before = parent.parent_job_id if parent else None
        return Lineage(tuple(reversed(ancestors)), tuple(await self._store.children(job.id)))

    async def find(
        self,
        principal: str,
        *,
        status: str | None = None,
        label: str | None = None,
        limit: int = 10,
        before: str | None = None,
    ) -> list[Job]:
        """Return the caller's newest jobs, narrowed by a status word and a label.

        Raises:
            InvalidRequest: If the status is no state and no group of states.
        """
        states: Sequence[State] = ()
        if status is not None:
            states = _states(status)
        return await self._store.find(principal=principal, states=states, label=label, limit=limit, before=before)

    async def wait(self, job_ids: Sequence[str], principal: str, seconds: float, tell: Tell | None = None) -> list[Job]:
        """Return the jobs once all have ended, or after that many seconds; `tell` hears of every change meanwhile."""

        async def look() -> tuple[list[Job], bool]:
            jobs = await self.get(job_ids, principal)
            return jobs, all(at_rest(job) for job in jobs)

        return await wait_until(
            look, ids=job_ids, bus=self._bus, clock=self._clock, seconds=seconds, ask=self.ask, tell=tell
        )

    async def ask(self, jobs: Sequence[Job]) -> None:
        """Have the next poll of these jobs made now, by this process or by the one that runs each."""
        for job in jobs:
            if job.ended:
                continue
            self._bus.ask(job.id)
            if any(part.owner not in (None, self._bus.worker) for part in job.submissions):
                with suppress(StorageError):  # only a hint: its owner polls all the same
                    await self._store.ask(job.id, self._clock.now(), self._bus.worker)

    async def cancel(self, job_id: str, principal: str) -> Job:
        """Ask for a job to be stopped; what is queued stops at once, the rest as its provider allows.

        Raises:
            UnknownJob: If the caller has none of that id.
        """
        await self.get([job_id], principal)
        job = await self._store.request_cancel(job_id, principal, self._clock.now())
        if job is None:
            raise UnknownJob(f"There is no job {clip(job_id)!r}.", field="job_id")
        await self.ask([job])
        return job

    async def adjust(self, job_id: str, principal: str, amount: MicroUsd, submission: int | None = None) -> Job:
        """Book what an ended submission cost after all, once, in place of what the ledger held.

        Raises:
            UnknownJob: If the caller has none of that id.
            InvalidRequest: If it has no such submission or several, has not ended, or was adjusted before.
        """
        [job] = await self.get([job_id], principal)
        parts = [part for part in job.submissions if submission in (None, part.idx)]
        numbers = ", ".join(str(part.idx) for part in job.submissions)
        if len(parts) != 1:
            which = f"no submission {submission}" if submission is not None else "several submissions"
            raise InvalidRequest(
                f"{job.id} has {which}.",
                field="submission",
                allowed=numbers,
                hint="Nothing was changed. Name one with --submission.",
            )
        [part] = parts
        if part.state not in ENDED:
            raise InvalidRequest(
                f"{job.id} is {part.state}; only what has ended can be adjusted.",
                field="job_id",
                hint="Nothing was changed. Wait for its end with check_job, or say what became of a lost one with "
                "darkroom jobs resolve.",
            )
        if not await self._store.adjust(job.id, part.idx, amount, self._clock.now()):
            raise InvalidRequest(
                f"{job.id} was adjusted before, to {show_usd(part.actual or 0)}.",
                field="job_id",
                hint="Nothing was changed: a bill is adjusted once.",
            )
        return (await self.get([job_id], principal))[0]

    async def delivered(self, job: Job) -> None:
        """Remember that the caller has now seen a finished job."""
        if job.state is State.SUCCEEDED and job.delivered_at is None:
            await self._store.delivered(job.id, self._clock.now())

    async def progress(self, job: Job, *, shared: bool = False) -> Progress | None:
        """Return how far a job is: from this process, else from the heartbeat of the process that runs it.

        `shared`: where there are other processes, what they would say too, so that it never steps back in between.
        """
        found = await self._progress(job, shared)
        if job.state is State.DOWNLOADING and found is not None and found.fraction is not None:
            return None  # that was said of the work before
        return found

    async def _progress(self, job: Job, shared: bool) -> Progress | None:
        here = self._bus.progress_of(job.id)
        if job.ended or (here is not None and not shared):
            return here
        workers = await self._store.workers()
        if here is not None and len(workers) < 2:
            return here
        for worker in workers:
            if job.id in worker.progress:
                return Progress(*worker.progress[job.id])
        return None

    async def output(self, output_id: str, principal: str) -> Output:
        """Return one output.

        Raises:
            UnknownJob: If the caller has none of that id.
        """
        output = await self._store.output(output_id, principal)
        if output is None:
            raise UnknownJob(
                f"There is no output {clip(output_id)!r}.", hint="check_job lists jobs with their outputs."
            )
        return output


def _states(status: str) -> Sequence[State]:
    word = status.strip().lower()
    if word in GROUPS:
        return sorted(GROUPS[word])
    if word in tuple(State):
        return (State(word),)
    known = list(dict.fromkeys([*map(str, State), *GROUPS]))
    raise InvalidRequest(
        f"There is no status {clip(status)!r}.{did_you_mean(word, known)}", field="status", allowed=known
    )


def at_rest(job: Job) -> bool:
    """Return whether waiting for a job brings nothing."""
    return job.ended or job.state in STILL
