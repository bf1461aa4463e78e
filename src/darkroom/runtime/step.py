"""Advances one claimed submission by one move; the only caller of adapters."""

import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import anyio
import anyio.to_thread

from darkroom.adapters.base import (
    Accepted,
    Adapter,
    Blob,
    Call,
    Cancellable,
    Cancelled,
    Pending,
    Succeeded,
)
from darkroom.artifacts.base import ArtifactStore, InputStore, Placement
from darkroom.catalog.accounts import Accounts
from darkroom.catalog.providers import Offer, Provider
from darkroom.clock import Clock
from darkroom.domain.job import ENDED, Job, LedgerKind, LedgerRow, State, Submission
from darkroom.domain.money import FREE, MicroUsd
from darkroom.domain.output import FailedOutput, Output
from darkroom.domain.request import Kind, Role
from darkroom.errors import (
    AuthFailed,
    ContentBlocked,
    DarkroomError,
    InsufficientCredits,
    NotConfigured,
    Overloaded,
    ProviderFailed,
    RateLimited,
    RequestError,
    StorageError,
    SubmitUnknown,
    TimedOut,
)
from darkroom.events import Bus, Progress
from darkroom.runtime import schedule
from darkroom.store.base import Acceptance, Claimed, Intent, JobStore, Move

log = logging.getLogger(__name__)
REPLAYS = 3
"""How often a replayable submission is sent in all before it fails."""
REFUSED_FOR_GOOD = (RequestError, AuthFailed, InsufficientCredits, ContentBlocked, NotConfigured)
REFUSED_FOR_NOW = (RateLimited, Overloaded)


class Adapters(Protocol):
    """Where adapters come from."""

    def adapter(self, provider_id: str) -> Adapter:
        """Return the adapter of that provider."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """A submission in this process's hands, and when it is to be advanced next."""

    claimed: Claimed
    due_at: int
    failures: int = 0
    """Polls or downloads in a row that brought no answer."""

    @property
    def key(self) -> tuple[str, int]:
        """Which submission it is."""
        return self.claimed.submission.job_id, self.claimed.submission.idx


@dataclass(slots=True)
class Stepper:
    """Everything that one move needs."""

    store: JobStore
    adapters: Adapters
    artifacts: ArtifactStore
    inputs: InputStore
    providers: Mapping[str, Provider]
    accounts: Accounts
    clock: Clock
    bus: Bus
    owner: str
    embed_metadata: str = "full"
    _limits: dict[tuple[str, str], anyio.Semaphore] = field(default_factory=dict[tuple[str, str], anyio.Semaphore])

    async def advance(self, held: Held) -> Held | None:
        """Make one move and return the submission with its next due time, or None when it ended or is no longer ours.

        Raises:
            StorageError: If a move cannot be stored; nothing is lost, and it may be tried again.
        """
        job = await self.store.get(held.claimed.job.id)
        if job is None:
            return None
        part = job.submissions[held.claimed.submission.idx]
        if part.owner != self.owner or part.state in ENDED:
            return None
        held = Held(Claimed(job, part), held.due_at, held.failures)
        match part.state:
            case State.QUEUED:
                return await self._submit(held)
            case State.RUNNING | State.PARKED:
                return await self._poll(held)
            case State.DOWNLOADING:
                return await self._download(held)
            case _:
                return None

    def _limit(self, provider: Provider, what: str) -> anyio.Semaphore:
        key = (provider.id, what)
        if key not in self._limits:
            self._limits[key] = anyio.Semaphore(provider.limits.submits if what == "submit" else provider.limits.polls)
        return self._limits[key]

    async def _move(self, part: Submission, move: Move) -> Submission | None:
        work = partial(self.store.move, part.ref, self.owner, move)
        moved = await (self._stored(part, None, work) if part.state is State.SUBMITTING else work())
        if moved is not None and moved.state in ENDED:
            self.bus.forget(moved.job_id)
            await anyio.to_thread.run_sync(self.artifacts.sweep, moved.job_id)
        return moved

    async def _stored(
        self, part: Submission, provider_job_id: str | None, work: Callable[[], Awaitable[Submission | None]]
    ) -> Submission | None:
        """Store what came of the one call that may cost money, whatever it takes: nobody else knows it."""
        failures = 0
        while True:
            try:
                with anyio.CancelScope(shield=True):
                    return await work()
            except StorageError as exc:
                failures += 1
                log.error("job %s: answered as %s, not stored yet: %s", part.job_id, provider_job_id, exc.message)  # noqa: TRY400 because the trace says nothing more
                await self.clock.sleep(schedule.trouble_pause(failures))

    async def _next(self, job: Job, part: Submission | None, due_at: int) -> Held | None:
        if part is None or part.state in ENDED or part.owner != self.owner:
            return None
        return Held(Claimed(job, part), due_at)

    # ------------------------------------------------------------------ submit

    async def _submit(self, held: Held) -> Held | None:
        job, part, now = held.claimed.job, held.claimed.submission, self.clock.now()
        if job.cancel_requested_at is not None:
            return await self._end(part, State.CANCELLED, None)
        deadline_at = _own_deadline(job)
        if deadline_at is not None and deadline_at <= now:
            return await self._end(part, State.FAILED, TimedOut("The deadline passed before the job was sent."))
        try:
            offer = self._offer(part)
            call = await self._call(job, part, offer)
            adapter = self.adapters.adapter(part.provider)
        except StorageError:
            raise
        except DarkroomError as exc:
            return await self._end(part, State.FAILED, exc)
        except Exception as exc:  # because a fault before the call costs nothing, and must be shown
            log.exception("job %s could not be prepared", job.id)
            error = ProviderFailed(f"{part.provider} could not be prepared: {type(exc).__name__}. Nothing was sent.")
            return await self._end(part, State.FAILED, error)
        async with self._limit(call.provider, "submit"):
            intent = Intent(call.submit_key, self.accounts.account(call.provider), self.clock.now())
            sent = await self.store.intend(part.ref, self.owner, intent)
            if sent is None:
                return Held(held.claimed, self.clock.now() + 50)
            return await self._send(adapter, call, job, sent)

    async def _send(self, adapter: Adapter, call: Call, job: Job, part: Submission) -> Held | None:
        """Make the one call that may cost money, and store what came of it."""
        try:
            answer = await adapter.submit(call)
        except REFUSED_FOR_GOOD as exc:
            return await self._end(part, State.FAILED, exc)
        except REFUSED_FOR_NOW as exc:
            due_at = self.clock.now() + int(schedule.refusal_pause(part.attempt, exc.retry_after_s) * 1000)
            queued = Move(State.QUEUED, self.clock.now(), detail=exc.message, due_at=due_at)
            return await self._next(job, await self._move(part, queued), due_at)
        except Exception as exc:  # because whatever happened, the fate of the call is unknown
            return await self._unknown(job, part, exc)
        if isinstance(answer, Accepted):
            return await self._accepted(call, job, part, answer)
        return await self._results(job, part, answer)

    async def _accepted(self, call: Call, job: Job, part: Submission, answer: Accepted) -> Held | None:
        """Store the acceptance, whatever it takes."""
        now = self.clock.now()
        wait = answer.poll_after_s or schedule.poll_interval(job.kind, 0, call.provider.poll)
        acceptance = Acceptance(
            job_id=job.id,
            idx=part.idx,
            attempt=part.attempt,
            submit_key=call.submit_key,
            at=now,
            operation=answer.operation,
            provider_job_id=answer.provider_job_id,
            due_at=now + int(wait * 1000),
            deadline_at=_own_deadline(job) or schedule.deadline_ms(job.kind, now),
        )
        stored = await self._stored(part, answer.provider_job_id, partial(self.store.accept, acceptance))
        return await self._next(job, stored, acceptance.due_at)

    async def _unknown(self, job: Job, part: Submission, exc: Exception) -> Held | None:
        now = self.clock.now()
        log.warning("job %s: no answer to its submission: %r", job.id, exc)
        if part.replayable:
            if part.attempt < REPLAYS:
                due_at = now + int(schedule.refusal_pause(part.attempt, None) * 1000)
                again = Move(State.QUEUED, now, detail="no answer; sent again, since it is free", due_at=due_at)
                return await self._next(job, await self._move(part, again), due_at)
            error = exc if isinstance(exc, DarkroomError) else ProviderFailed(f"{part.provider} did not answer.")
            return await self._end(part, State.FAILED, error)
        error = SubmitUnknown(
            f"The request went to {part.provider}, and no answer was recorded: it may have been accepted and charged.",
            hint="It was not sent again. To pay for a new attempt, start one with retry_job.",
        )
        await self._move(part, Move(State.SUBMIT_UNKNOWN, now, error=error.to_dict(), release=True))
        return None

    # ------------------------------------------------------------------ poll

    async def _poll(self, held: Held) -> Held | None:
        job, part = held.claimed.job, held.claimed.submission
        offer = self._offer_or_none(part)
        provider = self.providers.get(part.provider)
        if offer is None or provider is None:
            return Held(held.claimed, self.clock.now() + int(schedule.PARKED_S * 1000))
        try:
            call = await self._call(job, part, offer)
            adapter = self.adapters.adapter(part.provider)
            stopped = await self._cancelled(adapter, call, job, part)
            if stopped is not None:
                return await self._end(part, State.CANCELLED, None, charged=stopped.charged)
            async with self._limit(provider, "poll"):
                answer = await adapter.poll(part.operation or {}, call)
        except StorageError:
            raise
        except Exception as exc:  # because a poll that fails says nothing about the job
            log.warning("job %s: poll failed: %r", job.id, exc)
            if self._overdue(part):
                return await self._late(job, part)
            failures = held.failures + 1
            due_at = self.clock.now() + int(schedule.trouble_pause(failures) * 1000)
            return Held(held.claimed, due_at, failures)
        match answer:
            case Pending():
                return await self._pending(held, answer, provider)
            case Succeeded():
                return await self._results(job, part, answer)
            case _:
                charged = part.estimate if answer.billed else FREE
                return await self._end(part, State.FAILED, answer.error, charged=charged)

    async def _pending(self, held: Held, answer: Pending, provider: Provider) -> Held | None:
        job, part, now = held.claimed.job, held.claimed.submission, self.clock.now()
        self.bus.progress(job.id, Progress(answer.fraction, answer.message))
        if self._overdue(part):
            return await self._late(job, part)
        if part.state is State.PARKED:
            return Held(held.claimed, now + int(schedule.PARKED_S * 1000))
        age_s = (now - (part.accepted_at or now)) / 1000
        wait = schedule.poll_interval(job.kind, age_s, provider.poll, answer.poll_after_s)
        return Held(held.claimed, now + int(schedule.jittered(wait, random.random()) * 1000))

    async def _cancelled(self, adapter: Adapter, call: Call, job: Job, part: Submission) -> Cancelled | None:
        """Ask the provider to stop, where that is wanted and possible; an error there must not keep us from polling."""
        if job.cancel_requested_at is None or not isinstance(adapter, Cancellable):
            return None
        try:
            stopped = await adapter.cancel(part.operation or {}, call)
        except Exception as exc:  # because the next poll says what became of the job
            log.warning("job %s: cancel failed: %r", job.id, exc)
            return None
        return stopped if isinstance(stopped, Cancelled) else None

    def _overdue(self, part: Submission) -> bool:
        late = part.deadline_at is not None and self.clock.now() >= part.deadline_at
        return late and part.state is State.RUNNING

    async def _late(self, job: Job, part: Submission) -> Held | None:
        """Give up what is free; ask less often for what was paid for."""
        if part.replayable:
            return await self._end(part, State.FAILED, TimedOut("The draft took longer than its deadline."))
        now = self.clock.now()
        parked = await self._move(part, Move(State.PARKED, now, detail="past its deadline; asked for less often"))
        return await self._next(job, parked, now + int(schedule.PARKED_S * 1000))

    # ------------------------------------------------------------------ results

    async def _results(self, job: Job, part: Submission, answer: Succeeded) -> Held | None:
        """Note what is to be downloaded, and go on with it at once."""
        if not answer.outputs:
            error = ProviderFailed(f"{part.provider} said that it was done and delivered nothing.")
            return await self._end(part, State.FAILED, error, charged=_charge(answer.cost, part))
        move = Move(
            State.DOWNLOADING,
            self.clock.now(),
            results=answer.outputs,
            failed_outputs=answer.failed,
            notes=answer.notes,
            actual=answer.cost,
        )
        moved = await self._move(part, move)
        if moved is None:
            return await self._results_late(part, move)
        fresh = await self.store.get(job.id)
        return await self._download(Held(Claimed(fresh or job, moved), self.clock.now()))

    async def _results_late(self, part: Submission, move: Move) -> None:
        """Let in a synchronous answer whose process was taken for dead meanwhile; anybody then goes on with it."""
        job = await self.store.get(part.job_id)
        late = job.submissions[part.idx] if job else None
        if late and late.state is State.SUBMIT_UNKNOWN and late.submit_key == part.submit_key:
            await self._stored(late, None, partial(self.store.move, late.ref, late.owner, move))
            self.bus.work()

    async def _download(self, held: Held) -> Held | None:
        """Keep every result; what cannot be stored now is tried again, what is gone is a failed output."""
        job, part = held.claimed.job, held.claimed.submission
        outputs: list[Output] = []
        failed = list(part.failed_outputs)
        before = sum(other.effective.n for other in job.submissions[: part.idx])
        count = sum(other.effective.n for other in job.submissions)
        for number, result in enumerate(part.results, start=1):
            place = Placement(
                job_id=job.id,
                submission=part.idx,
                index=before + number,
                count=max(count, len(part.results)),
                slug=part.effective.prompt or job.kind,
                created_at=job.created_at,
                save_as=job.save_as,
            )
            try:
                outputs.append(await self.artifacts.keep(result, place))
            except StorageError as exc:
                self.bus.progress(job.id, Progress(None, f"finished, but not saved yet: {exc.message}"))
                failures = held.failures + 1
                due_at = self.clock.now() + int(schedule.trouble_pause(failures) * 1000)
                return Held(held.claimed, due_at, failures)
            except DarkroomError as exc:
                failed.append(FailedOutput(index=before + number, code=exc.code, message=exc.message))
        charged = _charge(part.actual, part)
        if not outputs:
            error = ProviderFailed(failed[0].message if failed else "Nothing could be kept.")
            return await self._end(part, State.FAILED, error, charged=charged)
        done = Move(
            State.SUCCEEDED,
            self.clock.now(),
            outputs=tuple(outputs),
            failed_outputs=tuple(failed),
            actual=charged,
            ledger=(self._row(part, LedgerKind.SETTLED, charged, certain=part.actual is not None or charged == 0),),
        )
        await self._move(part, done)
        return None

    async def _end(
        self, part: Submission, target: State, error: DarkroomError | None, *, charged: MicroUsd | None = FREE
    ) -> None:
        """Fail or cancel a submission, and settle or release its money."""
        if charged:
            row = self._row(part, LedgerKind.SETTLED, charged, certain=False)
        else:
            row = self._row(part, LedgerKind.RELEASED, part.estimate, certain=charged is not None)
        move = Move(
            target,
            self.clock.now(),
            detail=error.message if error else None,
            error=error.to_dict() if error else None,
            actual=charged,
            ledger=(row,),
        )
        await self._move(part, move)

    def _row(self, part: Submission, kind: LedgerKind, amount: MicroUsd | None, *, certain: bool) -> LedgerRow:
        return LedgerRow(
            job_id=part.job_id,
            submission=part.idx,
            kind=kind,
            micro_usd=amount or FREE,
            at=self.clock.now(),
            certain=certain,
        )

    # ------------------------------------------------------------------ what a call needs

    def _offer_or_none(self, part: Submission) -> Offer | None:
        provider = self.providers.get(part.provider)
        return provider.offer(part.model) if provider else None

    def _offer(self, part: Submission) -> Offer:
        offer = self._offer_or_none(part)
        if offer is None:
            raise NotConfigured(
                f"{part.provider}/{part.model} is no longer in the manifests.",
                hint="Nothing was sent or charged. Start it again with retry_job and another model.",
            )
        return offer

    async def _call(self, job: Job, part: Submission, offer: Offer) -> Call:
        provider = self.providers[part.provider]
        credential = self.accounts.credential(provider)
        if credential is None:
            raise NotConfigured(f"The key of {provider.title} is gone.", hint="Nothing was sent or charged.")
        scratch = await anyio.to_thread.run_sync(self.artifacts.scratch, job.id, part.idx)
        request = part.effective
        if part.replayable:
            request = request.model_copy(update={"options": {**request.options, "_metadata": self.embed_metadata}})
        return Call(
            job_id=job.id,
            submit_key=part.submit_key if part.submit_key and part.state is not State.QUEUED else secrets.token_hex(12),
            provider=provider,
            offer=offer,
            request=request,
            inputs=await anyio.to_thread.run_sync(self._blobs, part),
            credentials=credential,
            scratch=scratch,
            now=self.clock.now(),
        )

    def _blobs(self, part: Submission) -> tuple[Blob, ...]:
        scene_pictures = [scene.image for scene in part.effective.scenes if scene.image]
        blobs: list[Blob] = []
        for item in (*part.effective.inputs, *scene_pictures):
            stored = self.inputs.get(item.sha256 or "")
            blobs.append(
                Blob(
                    path=stored.path,
                    role=item.role or (Role.FIRST_FRAME if part.effective.kind is Kind.VIDEO else Role.REFERENCE),
                    media_type=stored.facts.media_type,
                    sha256=stored.sha256,
                    width=stored.facts.width or 0,
                    height=stored.facts.height or 0,
                    name=item.name,
                )
            )
        return tuple(blobs)


def _charge(said: MicroUsd | None, part: Submission) -> MicroUsd | None:
    """Return what the provider says that it charged, which may be nothing, else our estimate."""
    return part.estimate if said is None else said


def _own_deadline(job: Job) -> int | None:
    """Return the caller's deadline; the usual one counts anew from each acceptance."""
    return None if job.request.deadline_s is None else job.created_at + int(job.request.deadline_s * 1000)
