"""What every store promises; the contract suite knows only this file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import JsonValue

from darkroom.domain.job import Event, Job, LedgerRow, Ref, State, Submission
from darkroom.domain.money import MicroUsd
from darkroom.domain.output import FailedOutput, Output, RemoteOutput
from darkroom.domain.run import Callback


@dataclass(frozen=True, slots=True)
class Added:
    """The answer to `add`: the job, and whether it is new."""

    job: Job
    created: bool


@dataclass(frozen=True, slots=True)
class Move:
    """What changes together with a state; None leaves a field as it is."""

    target: State
    at: int
    detail: str | None = None
    due_at: int | None = None
    deadline_at: int | None = None
    operation: dict[str, JsonValue] | None = None
    results: tuple[RemoteOutput, ...] | None = None
    failed_outputs: tuple[FailedOutput, ...] | None = None
    notes: dict[str, JsonValue] | None = None
    error: dict[str, Any] | None = None
    """The error of `submit_unknown` goes by itself when the submission moves on to running or downloading."""
    actual: MicroUsd | None = None
    turn: dict[str, JsonValue] | None = None
    """What the provider wants back when somebody goes on with the result."""
    outputs: tuple[Output, ...] = ()
    """Kept files, inserted in the same transaction."""
    ledger: tuple[LedgerRow, ...] = ()
    release: bool = False
    """Give the submission back, so that any process may claim it."""


@dataclass(frozen=True, slots=True)
class Intent:
    """What is committed directly before the one call that may cost money."""

    submit_key: str
    account: str | None
    at: int


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What the provider answered to a submission."""

    job_id: str
    idx: int
    attempt: int
    submit_key: str
    at: int
    operation: dict[str, JsonValue]
    provider_job_id: str | None = None
    due_at: int = 0
    deadline_at: int | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """One process that advances jobs."""

    id: str
    host: str
    pid: int
    boot_id: str
    started_at: int
    lease_until: float
    """Seconds on the boot clock; a worker past it is hung."""
    lingers: bool = False
    """Whether its host cannot close it, so that it makes the calls that last."""
    accounts: tuple[str, ...] = ()
    progress: dict[str, tuple[float | None, str | None]] = field(
        default_factory=dict[str, tuple[float | None, str | None]]
    )
    """Newest (fraction, message) of the jobs it runs, by job id; for readers in other processes."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that may be spent or reserved since a moment."""

    name: str
    """As a person says it: daily budget."""
    setting: str
    """Where it can be raised."""
    period: str
    """What to wait for: day, month."""
    cap: MicroUsd
    since: int
    """Milliseconds; what was reserved from then on counts."""
    principal: str | None = None
    """Whose spending counts; None means everybody's."""
    run_id: str | None = None
    """The outermost run whose spending alone counts, with all that is inside it."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one submission, or one model call of a run, costs by the newest word of the ledger.

    A call has its run's id as `job_id`, kind `chat` and one output; it has failed where it was released or where
    nobody knows what it cost.
    """

    job_id: str
    submission: int
    principal: str
    kind: str
    provider: str
    model: str
    plan: str | None
    labels: tuple[str, ...]
    state: State
    at: int
    """When it was reserved."""
    outputs: int
    """How many were asked for."""
    estimate: MicroUsd | None
    """Of a model call what it was expected to cost, not what was held back for it; None where no price was known."""
    micro_usd: MicroUsd
    """Adjusted, else settled, else nothing where released, else what is reserved."""
    certain: bool
    open: bool
    """Whether it is still only reserved."""
    agent: str | None = None
    """Of the run that made the call or started the job."""
    tier: str | None = None
    """Likewise."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What a provider calls a picture that was brought to it."""

    sha256: str
    provider: str
    account: str
    named: JsonValue
    expires_at: int
    """Milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A submission that is now the claimer's, with its job."""

    job: Job
    submission: Submission


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another offer for a submission that was refused, at its own price and under the limits."""

    submission: Submission
    reserved: LedgerRow
    limits: tuple[Limit, ...] = ()


class JobStore(Protocol):
    """Durable jobs. Every method is safe to call from many tasks and many processes at once.

    A method that cannot reach its medium raises a `StorageError`; what was committed before stays.
    """

    async def open(self) -> None:
        """Open, creating and migrating as needed; safe when several processes do it at the same time.

        Raises:
            StorageNewer: If the data was written by a newer version; nothing is changed.
            StorageError: If it cannot be opened, read or written.
        """
        ...

    async def intact(self) -> None:
        """Make sure that new work can be kept.

        Raises:
            StorageError: If what was opened is gone, or damaged.
        """
        ...

    async def close(self) -> None:
        """Finish what is being written, then let go; a second call does nothing."""
        ...

    async def add(
        self,
        job: Job,
        ledger: Sequence[LedgerRow] = (),
        *,
        again: bool = False,
        fresh_for_ms: int = 120_000,
        limits: Sequence[Limit] = (),
        callback: Callback | None = None,
    ) -> Added:
        """Add a job with its submissions and ledger rows, unless it is a repetition, looked up in the same transaction.

        A job with the same principal and idempotency key is returned whatever its state. Without a key, and unless
        `again`, so is the newest job of the principal with the same `request_hash` that has not ended, or has
        succeeded and was not delivered, or was delivered at most `fresh_for_ms` before `job.created_at`.
        A failed or cancelled job is never returned by its hash.
        A new job is held against `limits` in the same transaction: what it reserves and all that counts there.
        `callback` is kept for the job that is returned, unless it has one; it is due once that job has ended.

        Raises:
            InvalidRequest: If the key was used for another request; the message names that job and what differs.
            BudgetExceeded: If a limit would be passed; nothing is stored.
        """
        ...

    async def equal(self, job: Job, *, again: bool = False, fresh_for_ms: int = 120_000) -> Job | None:
        """Return the job that `add` would return in place of this one, which is not stored; None where it is new.

        Raises:
            InvalidRequest: As `add` does.
        """
        ...

    async def get(self, job_id: str, principal: str | None = None) -> Job | None:
        """Return the job, or None when there is none or it is another principal's; None asks for anybody's."""
        ...

    async def find(
        self,
        *,
        principal: str | None = None,
        states: Sequence[State] = (),
        label: str | None = None,
        limit: int = 10,
        before: str | None = None,
    ) -> list[Job]:
        """Return jobs, newest first, at most `limit`, older than the job `before`; empty `states` means all."""
        ...

    async def output(self, output_id: str, principal: str | None = None) -> Output | None:
        """Return one output, or None when there is none or its job belongs to another principal."""
        ...

    async def turn(self, job_id: str, submission: int) -> dict[str, JsonValue] | None:
        """Return what `Move.turn` kept of a submission, or None."""
        ...

    async def children(self, job_id: str) -> list[str]:
        """Return the ids of the jobs that continue from a job, oldest first."""
        ...

    async def events(self, job_id: str) -> list[Event]:
        """Return every move of a job, oldest first."""
        ...

    async def ledger(self, job_id: str) -> list[LedgerRow]:
        """Return the ledger rows of a job, oldest first."""
        ...

    async def spent(self, since: int, until: int, principal: str | None = None) -> list[Spent]:
        """Return what was reserved from `since` until before `until` (milliseconds), oldest first; None: everyone's."""
        ...

    async def adjust(self, job_id: str, submission: int, amount: MicroUsd, at: int) -> bool:
        """Set what an ended submission cost after all; False where it is not ended, unknown, or adjusted before."""
        ...

    async def reroute(
        self, ref: Ref, owner: str, move: Move, instead: Submission, row: LedgerRow, limits: Sequence[Limit] = ()
    ) -> Submission | None:
        """End a refused submission with `move` and put another in its place in the same transaction.

        What the first had reserved is free for the second, which is held against `limits`. Returns the new one, or
        None, with nothing changed, when version or owner differ or a cancel is asked for.

        Raises:
            BudgetExceeded: If a limit would be passed; nothing is changed.
        """
        ...

    async def claim(
        self, owner: str, *, accounts: Sequence[str], now: int, limit: int, synchronous: bool = True
    ) -> list[Claimed]:
        """Take up to `limit` submissions that nobody owns and that are not ended; each goes to one claimer only.

        Ordered by priority (higher first), then due time. Submissions with an account are taken only when it is among
        `accounts`; those without one, by anyone. `submit_unknown` is never taken. What is claimed stays the owner's
        until it ends, is released, or `reap` finds the owner dead. Not-yet-due submissions are claimed too.
        Without `synchronous`, queued ones that are answered within their call and are not replayable are left.
        """
        ...

    async def left(self, accounts: Sequence[str]) -> list[str]:
        """Return the accounts, among these, of what a `claim` without `synchronous` leaves."""
        ...

    async def unknown(self) -> list[Job]:
        """Return every job that has a submission in `submit_unknown`, oldest first."""
        ...

    async def seek(self, ref: Ref, owner: str) -> Submission | None:
        """Take a `submit_unknown` that nobody else holds, to ask its provider; nobody may resolve it meanwhile.

        Returns None, and changes nothing, when it is another version, held, of another state, or to be cancelled.
        """
        ...

    async def give_back(self, ref: Ref, owner: str, at: int) -> None:
        """Let go of what `seek` took, unless it moved on meanwhile; what was asked to be cancelled is given up."""
        ...

    async def remote(self, provider: str, provider_job_id: str) -> Job | None:
        """Return the job that has a submission with the provider's own id, or None."""
        ...

    async def ask(self, job_id: str, at: int, but: str | None = None) -> None:
        """Tell the processes that own a job, except `but`, that somebody wants to know about it now; only a hint."""
        ...

    async def asked(self, worker_id: str) -> dict[str, int]:
        """Return the jobs that a process was asked about since its last heartbeat, and when (milliseconds)."""
        ...

    async def intend(self, ref: Ref, owner: str, intent: Intent) -> Submission | None:
        """Move queued to submitting, attempt + 1, durably, before the paid call.

        Returns None, and changes nothing, when the version or the owner is another, or when a cancel is asked for.
        """
        ...

    async def accept(self, acceptance: Acceptance) -> Submission | None:
        """Store that the provider took the submission: submitting or submit_unknown becomes running.

        Matches (job, idx, attempt, submit_key) alone, whatever owner and version. From another state it stores the
        operation where none is kept and moves nothing. Returns the submission, or None when no attempt matches.
        """
        ...

    async def move(self, ref: Ref, owner: str | None, move: Move) -> Submission | None:
        """Compare-and-swap one submission to another state, with everything in `move`, an event, and the job's times.

        Returns the submission in its new version, or None, with nothing changed, when version or owner differ.
        Moving to the same state is allowed for a state that is not ended and writes no event.

        Raises:
            ValueError: If the transition table has no such move.
        """
        ...

    async def request_cancel(self, job_id: str, principal: str, at: int) -> Job | None:
        """Set the cancel flag, which changes no version; cancel what is queued, and give up what is `submit_unknown`.

        What somebody is just asking its provider about is given up after that.

        What was reserved is released for the one, and settled with `certain` false for the other: nobody knows.

        Returns the job as it then is, or None when there is none of that principal.
        """
        ...

    async def delivered(self, job_id: str, at: int) -> None:
        """Remember when a finished job was first shown to its caller; later calls change nothing."""
        ...

    async def register(self, worker: Worker) -> None:
        """Add a worker row."""
        ...

    async def heartbeat(
        self, worker_id: str, lease_until: float, progress: dict[str, tuple[float | None, str | None]]
    ) -> bool:
        """Renew a worker's lease; return False when the row is gone, so the process must drop what it holds."""
        ...

    async def workers(self) -> list[Worker]:
        """Return all worker rows."""
        ...

    async def reap(self, worker_ids: Sequence[str], at: int) -> list[str]:
        """Remove dead workers and free what they owned; return the ids of the jobs touched.

        Queued, running, parked and downloading submissions lose their owner. Submitting becomes `submit_unknown` with
        its error filled in. Replayable ones in submitting or running go back to queued. Ownerless submitting ones,
        whose worker row is gone already, are treated the same.
        """
        ...

    async def uploaded(self, sha256: str, provider: str, account: str, now: int) -> JsonValue:
        """Return what a provider calls a picture that was brought to it; None where it holds none by now."""
        ...

    async def note_upload(self, upload: Upload) -> None:
        """Note that a provider holds a picture, and forget those that it has dropped."""
        ...

    async def data_version(self) -> int:
        """Return a number that differs after any other process has committed, and not after this one has."""
        ...
