"""What becomes of submissions whose answer was lost: kept answers, look-ups, the operator's word."""

import logging
from dataclasses import dataclass

import anyio
import anyio.to_thread
from pydantic import JsonValue

from darkroom.adapters.base import Accepted, Adapter, Call, Locatable, Reads, Resumable, Succeeded
from darkroom.domain.job import Job, LedgerKind, State, Submission
from darkroom.domain.request import clip
from darkroom.errors import (
    DarkroomError,
    InvalidRequest,
    ProviderFailed,
    StorageError,
    SubmitUnknown,
    UnknownJob,
    Unsupported,
)
from darkroom.net import spool
from darkroom.net.classify import Verdict, verdict_of
from darkroom.runtime.kit import Kit
from darkroom.runtime.submit import answered
from darkroom.store.base import Move
from darkroom.store.unfinished import LOOK_FOR_S

log = logging.getLogger(__name__)
PAUSES_S = (1.0, 2.0, 5.0, 15.0, 60.0, 300.0)
"""Between two look-ups; the last one is repeated."""


@dataclass(slots=True)
class _Look:
    """How far the search for one submission is."""

    attempt: int
    due: float
    looks: int = 0
    busy: bool = False


class Finder:
    """Looks for the answers that were lost; absence licenses nothing."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._looks: dict[tuple[str, int], _Look] = {}

    async def run(self, pause_s: float) -> None:
        """Look again and again; a provider that hangs keeps nobody else waiting."""
        async with anyio.create_task_group() as tasks:
            while True:
                try:
                    for look, job, part in await self._due():
                        tasks.start_soon(self._look, look, job, part)
                except StorageError as exc:
                    log.warning("could not look for lost answers: %s", exc.message)
                await self._kit.clock.sleep(pause_s)

    async def look(self) -> None:
        """Look once for everything that is due."""
        async with anyio.create_task_group() as tasks:
            for look, job, part in await self._due():
                tasks.start_soon(self._look, look, job, part)

    async def _due(self) -> list[tuple[_Look, Job, Submission]]:
        due: list[tuple[_Look, Job, Submission]] = []
        jobs = await self._kit.store.unknown()
        lost = {
            (job.id, part.idx): (job, part)
            for job in jobs
            for part in job.submissions
            if part.state is State.SUBMIT_UNKNOWN
        }
        self._looks = {key: look for key, look in self._looks.items() if key in lost}
        for key, (job, part) in lost.items():
            look = self._looks.get(key)
            if look is None or look.attempt != part.attempt:
                look = self._looks[key] = _Look(part.attempt, self._kit.clock.boot())
            if not look.busy and look.due <= self._kit.clock.boot() and part.account in self._kit.accounts.all():
                look.busy = True
                due.append((look, job, part))
        return due

    async def _look(self, look: _Look, job: Job, part: Submission) -> None:
        first = look.looks == 0
        pause = PAUSES_S[min(look.looks, len(PAUSES_S) - 1)]
        look.looks, look.due = look.looks + 1, self._kit.clock.boot() + pause
        try:
            adapter = self._kit.adapters.adapter(part.provider)
            reads, asks = first and isinstance(adapter, Reads), isinstance(adapter, Locatable) and self._is_young(part)
            if reads or asks:
                await self._sought(adapter, job, part, first=first)
        except StorageError as exc:
            look.looks = 0  # what was kept, or found, is taken up as soon as that can be stored
            log.warning("job %s: its lost answer waits for the store: %s", job.id, exc.message)
        except Exception as exc:  # because a look-up that fails says nothing; the next one may say more
            log.warning("job %s: its lost answer could not be looked for: %s", job.id, self._kit.plain(exc))
        finally:
            look.busy = False

    async def _sought(self, adapter: Adapter, job: Job, part: Submission, *, first: bool) -> None:
        """Look for an answer while nobody else can say what became of it: asking may send it again with its key."""
        sought = await self._kit.store.seek(part.ref, self._kit.owner)
        if sought is None:
            return
        try:
            if not (first and await self._read(adapter, job, sought)) and isinstance(adapter, Locatable):
                await self._locate(adapter, job, sought)
        finally:
            with anyio.CancelScope(shield=True):
                await self._kit.store.give_back(sought.ref, self._kit.owner, self._kit.clock.now())

    async def _read(self, adapter: Adapter, job: Job, part: Submission) -> bool:
        """Take up an answer that was kept whole; its process ended before it had made anything of it."""
        if not isinstance(adapter, Reads):
            return False
        call = await self._kit.call(job, part, sending=False)
        answer = await anyio.to_thread.run_sync(spool.load, call.spool)
        if answer is None:
            return False
        try:
            found = adapter.read(answer, call)
        except DarkroomError as exc:
            if verdict_of(exc) is not Verdict.FINAL:
                raise
            await self._kit.end(part, State.FAILED, exc)
            return True
        await answered(self._kit, call, None, job, part, found)
        return True

    def _is_young(self, part: Submission) -> bool:
        return self._kit.clock.now() - (part.sent_at or 0) < LOOK_FOR_S * 1000

    async def _locate(self, adapter: Locatable, job: Job, part: Submission) -> None:
        if not self._is_young(part):
            return
        call = await self._kit.call(job, part)
        async with self._kit.limit(call.provider, "poll"):
            found = await adapter.locate(call)
        if isinstance(found, Accepted) and found.provider_job_id is not None:
            other = await self._kit.store.remote(part.provider, found.provider_job_id)
            if other is not None:  # a list shows an equal request of ours: one result belongs to one job
                log.warning("job %s: what was found for its lost answer is the work of %s", job.id, other.id)
                return
        if isinstance(found, Accepted | Succeeded):
            await answered(self._kit, call, None, job, part, found)


class Operator:
    """Lets a person say what became of a submission whose answer was lost."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    async def found(self, job_id: str, principal: str, provider_job_id: str, idx: int | None = None) -> Job:
        """Go on with the work that the provider knows by this id.

        Raises:
            UnknownJob: If there is no such job.
            InvalidRequest: If nothing of it is lost, or that id belongs to another job.
            Unsupported: If the provider's work cannot be followed by its id alone.
            NotConfigured: If the key of its provider is missing.
        """
        job, part = await self._lost(job_id, principal, idx)
        adapter = self._kit.adapters.adapter(part.provider)
        if not isinstance(adapter, Resumable):
            raise Unsupported(
                f"Work of {part.provider} cannot be followed by its id alone.",
                hint="Nothing was changed. Use --absent or --give-up.",
            )
        other = await self._kit.store.remote(part.provider, provider_job_id)
        if other is not None:
            raise InvalidRequest(
                f"{clip(provider_job_id)!r} is the work of {other.id}.",
                field="provider-id",
                hint="Nothing was changed: one result belongs to one job.",
            )
        call = await self._kit.call(job, part, sending=False)
        operation = adapter.operation_of(provider_job_id, call)
        await self._ask(adapter, operation, call, provider_job_id)
        await answered(self._kit, call, None, job, part, Accepted(operation, provider_job_id))
        return await self._fresh(job, part)

    async def _ask(self, adapter: Adapter, operation: dict[str, JsonValue], call: Call, provider_job_id: str) -> None:
        """Make sure that the provider knows the id: a mistyped one would be asked for in vain until the deadline."""
        try:
            await adapter.poll(operation, call)
        except Exception as exc:  # because whatever went wrong, the id is not proved
            raise InvalidRequest(
                f"{call.provider.title} could not tell of {clip(provider_job_id)!r}: {self._kit.plain(exc)}",
                field="provider-id",
                hint="Nothing was changed. Check the id in the provider's own list, or try again later.",
            ) from exc

    async def absent(self, job_id: str, principal: str, idx: int | None = None) -> Job:
        """End it as never accepted: nothing was charged, what was reserved is free again.

        Raises:
            UnknownJob: If there is no such job.
            InvalidRequest: If nothing of it is lost.
        """
        job, part = await self._lost(job_id, principal, idx)
        error = ProviderFailed(
            f"{part.provider} never had the request: the operator looked there.",
            hint="Nothing was charged. retry_job starts it anew.",
        )
        await self._kit.end(part, State.FAILED, error)
        return await self._fresh(job, part)

    async def give_up(self, job_id: str, principal: str, idx: int | None = None) -> Job:
        """End it without knowing; its estimate counts as spent, since it may have been charged.

        Raises:
            UnknownJob: If there is no such job.
            InvalidRequest: If nothing of it is lost.
        """
        job, part = await self._lost(job_id, principal, idx)
        error = SubmitUnknown(
            f"Given up: nobody knows whether {part.provider} accepted and charged it.",
            hint="Its estimate is booked as uncertain. retry_job pays for a new attempt.",
        )
        move = Move(
            State.FAILED,
            self._kit.clock.now(),
            detail="given up by the operator",
            error=error.to_dict(),
            ledger=(self._kit.row(part, LedgerKind.SETTLED, part.estimate, certain=False),),
        )
        await self._kit.move(part, move)
        return await self._fresh(job, part)

    async def _lost(self, job_id: str, principal: str, idx: int | None) -> tuple[Job, Submission]:
        job = await self._kit.store.get(job_id, principal)
        if job is None:
            raise UnknownJob(f"There is no job {clip(job_id)!r}.", hint="darkroom jobs --status unknown lists them.")
        lost = [part for part in job.submissions if part.state is State.SUBMIT_UNKNOWN]
        named = [part for part in lost if idx in (None, part.idx)]
        if len(named) == 1 and named[0].owner is not None:
            raise self._sought_now(job)
        if len(named) == 1:
            return job, named[0]
        numbers = ", ".join(str(part.idx) for part in lost)
        if not lost:
            text = f"{job.id} is {job.state}; only a submission of unknown fate can be resolved."
        elif named:
            text = f"{job.id} has {len(lost)} submissions of unknown fate ({numbers})."
        else:
            which = "submission" if len(lost) == 1 else "submissions"
            text = f"{job.id} has no submission {idx} of unknown fate, only {which} {numbers}."
        hint = "Nothing was changed. Name one with --submission." if lost else "Nothing was changed."
        raise InvalidRequest(text, hint=hint)

    async def _fresh(self, job: Job, part: Submission) -> Job:
        """Return the job as it now is.

        Raises:
            InvalidRequest: If nothing could be stored, since its provider is just being asked.
        """
        fresh = await self._kit.store.get(job.id) or job
        if fresh.submissions[part.idx].state is State.SUBMIT_UNKNOWN:
            raise self._sought_now(job)
        return fresh

    def _sought_now(self, job: Job) -> InvalidRequest:
        return InvalidRequest(
            f"The provider of {job.id} is just being asked what became of it.",
            hint="Nothing was changed. Try again in a few seconds.",
        )
