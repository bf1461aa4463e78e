"""Everything that one move needs, and the few things that every move does."""

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread

from darkroom.adapters.base import Adapter, Blob, Call, Follow
from darkroom.artifacts.base import ArtifactStore, InputStore
from darkroom.catalog.accounts import Accounts
from darkroom.catalog.providers import Offer, Provider
from darkroom.clock import Clock
from darkroom.domain.job import ENDED, Job, LedgerKind, LedgerRow, State, Submission
from darkroom.domain.kinds import Kind, Role
from darkroom.domain.money import FREE, MicroUsd
from darkroom.errors import DarkroomError, NotConfigured, StorageError
from darkroom.events import Bus
from darkroom.net.redact import redact
from darkroom.runtime import schedule
from darkroom.runtime.health import Health
from darkroom.runtime.held import Held, hold
from darkroom.runtime.history import turns_of
from darkroom.store.base import Alternative, JobStore, Move

log = logging.getLogger(__name__)
PLAIN = 200
"""Characters of a failure in logs and histories."""
DOWNLOADS = 8
"""Results fetched at once by one process."""


class Adapters(Protocol):
    """Where adapters come from."""

    def adapter(self, provider_id: str) -> Adapter:
        """Return the adapter of that provider."""
        ...


class Fetcher(Protocol):
    """Who brings a result from its web address."""

    async def fetch(
        self,
        url: str,
        to: Path,
        *,
        hosts: Sequence[str],
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        left: Sequence[Path] = (),
    ) -> Path:
        """Bring it whole into that file and return the path; one that is there already is not fetched again.

        `headers` go to `hosts` and the base URL alone; `left` names where other processes were bringing it to.

        Raises:
            ResultExpired: If the address no longer holds it.
            ProviderError: If it did not come.
            StorageError: If it cannot be kept.
        """
        ...


class Rerouter(Protocol):
    """Who knows which offer may serve instead of one that refused."""

    async def instead(self, job: Job, part: Submission, *, account: bool) -> Alternative | None:
        """Return the next offer that may do the same for no more than was agreed; None where there is none.

        Args:
            job: Whose submission was refused.
            part: That submission.
            account: Whether its account was refused, so that none of its provider's offers would be taken.
        """
        ...


@dataclass(slots=True, kw_only=True)
class Kit:
    """What one process has in hand to move submissions forward."""

    store: JobStore
    adapters: Adapters
    artifacts: ArtifactStore
    inputs: InputStore
    providers: Mapping[str, Provider]
    accounts: Accounts
    clock: Clock
    bus: Bus
    owner: str
    fetcher: Fetcher
    health: Health
    rerouter: Rerouter | None = None
    embed_metadata: str = "full"
    downloads: schedule.Gate = field(default_factory=partial(schedule.Gate, DOWNLOADS))
    sending: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    """Submissions whose one paid call is under way."""
    closing: bool = False
    """No further call may be started: the process is about to end."""
    _limits: dict[tuple[str, str], anyio.Semaphore] = field(default_factory=dict[tuple[str, str], anyio.Semaphore])

    def limit(self, provider: Provider, what: str) -> anyio.Semaphore:
        """Return the bound of a provider's calls of one sort: submit or poll."""
        key = (provider.id, what)
        if key not in self._limits:
            self._limits[key] = anyio.Semaphore(provider.limits.submits if what == "submit" else provider.limits.polls)
        return self._limits[key]

    # ------------------------------------------------------------------ reading

    async def read(self, held: Held) -> tuple[Job, Submission] | None:
        """Return a submission with its job as they now are, or None when it ended or is no longer ours."""
        seen = self.bus.others
        job = await self.store.get(held.job_id)
        if job is None:
            return None
        part = job.submissions[held.idx]
        if part.owner != self.owner or part.state in ENDED:
            return None
        held.version, held.seen, held.cancel = part.version, seen, job.cancel_requested_at is not None
        return job, part

    def again(self, before: Held, job: Job, part: Submission | None, due: float) -> Held | None:
        """Return what to remember of a submission that moved, or None when it ended or is no longer ours."""
        if part is None or part.state in ENDED or part.owner != self.owner:
            return None
        return hold(job, part, self.clock, due, before.seen)

    def later(self, held: Held, seconds: float) -> Held:
        """Return the submission, due after that many seconds."""
        held.due = self.clock.boot() + seconds
        return held

    def trouble(self, held: Held) -> Held:
        """Return the submission, due later the more often it failed in a row."""
        held.failures += 1
        return self.later(held, schedule.trouble_pause(held.failures))

    # ------------------------------------------------------------------ moving

    async def move(self, part: Submission, move: Move) -> Submission | None:
        """Store a move; whatever ends the job clears away its working files."""
        work = partial(self.store.move, part.ref, part.owner, move)
        moved = await (self.stored(part, None, work) if part.state is State.SUBMITTING else work())
        if moved is not None and moved.state in ENDED:
            job = await self.store.get(moved.job_id)
            if job is None or job.ended:
                self.bus.forget(moved.job_id)
                await anyio.to_thread.run_sync(self.artifacts.sweep, moved.job_id)
        return moved

    async def stored(
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

    async def end(
        self, part: Submission, target: State, error: DarkroomError | None, *, charged: MicroUsd | None = FREE
    ) -> None:
        """Fail or cancel a submission, and settle or release its money; None: what was charged is not known."""
        if charged:
            row = self.row(part, LedgerKind.SETTLED, charged, certain=False)
        else:
            row = self.row(part, LedgerKind.RELEASED, part.estimate, certain=charged is not None)
        move = Move(
            target,
            self.clock.now(),
            detail=error.message if error else None,
            error=error.to_dict() if error else None,
            actual=charged,
            ledger=(row,),
        )
        await self.move(part, move)

    def row(self, part: Submission, kind: LedgerKind, amount: MicroUsd | None, *, certain: bool) -> LedgerRow:
        """Return a ledger row of a submission, as of now."""
        return LedgerRow(
            job_id=part.job_id,
            submission=part.idx,
            kind=kind,
            micro_usd=amount or FREE,
            at=self.clock.now(),
            certain=certain,
        )

    # ------------------------------------------------------------------ what a call needs

    def offer(self, provider_id: str, model: str) -> Offer | None:
        """Return an offer of the manifests as they are now."""
        provider = self.providers.get(provider_id)
        return provider.offer(model) if provider else None

    def follow(self, held: Held) -> Follow:
        """Return what an adapter may know to ask about a submission.

        Raises:
            NotConfigured: If its offer or its key is gone.
        """
        provider = self.providers.get(held.provider)
        offer = provider.offer(held.model) if provider else None
        if provider is None or offer is None:
            raise _gone(held.provider, held.model)
        return Follow(
            job_id=held.job_id,
            submit_key=held.submit_key,
            sent_at=held.sent_at,
            provider=provider,
            offer=offer,
            credentials=self._credential(provider),
            now=self.clock.now(),
        )

    async def call(self, job: Job, part: Submission, *, sending: bool = True) -> Call:
        """Return what an adapter may know to submit or, without `sending`, to make something of an answer.

        A queued submission gets the key of its next attempt. Inputs are there only for `sending`.

        Raises:
            NotConfigured: If its offer or its key is gone.
            ResultExpired: If an input is gone.
            InvalidRequest: If the result that it goes on with is gone or was changed.
            StorageError: If its working folder cannot be made.
        """
        provider, offer = self.providers.get(part.provider), self.offer(part.provider, part.model)
        if provider is None or offer is None:
            raise _gone(part.provider, part.model)
        queued = part.state is State.QUEUED
        request = part.effective
        if part.replayable:
            request = request.model_copy(update={"options": {**request.options, "_metadata": self.embed_metadata}})
        credential = self._credential(provider)
        scratch = await anyio.to_thread.run_sync(self.artifacts.scratch, job.id, part.idx)
        history = await turns_of(self.store, self.artifacts, self._blobs, part) if sending else ()
        return Call(
            job_id=job.id,
            submit_key=secrets.token_hex(12) if queued or not part.submit_key else part.submit_key,
            sent_at=None if queued else part.sent_at,
            provider=provider,
            offer=offer,
            request=request,
            inputs=await anyio.to_thread.run_sync(self._blobs, part) if sending else (),
            history=history,
            credentials=credential,
            scratch=scratch,
            spool=scratch / f"answer-{part.attempt + queued}.spool",
            now=self.clock.now(),
        )

    def plain(self, exc: BaseException) -> str:
        """Return a failure in few words, without secrets."""
        text = exc.message if isinstance(exc, DarkroomError) else f"{type(exc).__name__}: {exc}"
        return redact(text, self.accounts.secrets())[:PLAIN]

    def _credential(self, provider: Provider) -> Mapping[str, str]:
        credential = self.accounts.credential(provider)
        if credential is None:
            raise NotConfigured(f"The key of {provider.title} is gone.", hint="Nothing was sent or charged.")
        return credential

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
                    width=item.width or stored.facts.width or 0,
                    height=item.height or stored.facts.height or 0,
                    duration=item.duration,
                    name=item.name,
                )
            )
        return tuple(blobs)


def _gone(provider: str, model: str) -> NotConfigured:
    return NotConfigured(
        f"{provider}/{model} is no longer in the manifests.",
        hint="Nothing was sent or charged. Start it again with retry_job and another model.",
    )
