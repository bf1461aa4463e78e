"""Jobs and submissions: one request, kept until it ends, and the calls that serve it."""

import secrets
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from darkroom.domain.kinds import Kind, Mode
from darkroom.domain.money import MicroUsd
from darkroom.domain.output import FailedOutput, Output, RemoteOutput
from darkroom.domain.request import Effective, Request


class State(StrEnum):
    """Where a submission, and by `derive` its job, stands."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    SUBMIT_UNKNOWN = "submit_unknown"
    RUNNING = "running"
    PARKED = "parked"
    DOWNLOADING = "downloading"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
ACTIVE = frozenset(State) - ENDED
CLAIMABLE = frozenset({State.QUEUED, State.RUNNING, State.PARKED, State.DOWNLOADING})
"""States in which a process may take a submission that nobody owns."""

MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.SUBMITTING, State.FAILED, State.CANCELLED}),
    State.SUBMITTING: frozenset(
        {State.RUNNING, State.DOWNLOADING, State.QUEUED, State.FAILED, State.SUBMIT_UNKNOWN},
    ),
    State.SUBMIT_UNKNOWN: frozenset({State.RUNNING, State.DOWNLOADING, State.FAILED, State.CANCELLED}),
    State.RUNNING: frozenset({State.DOWNLOADING, State.FAILED, State.PARKED, State.CANCELLED}),
    State.PARKED: frozenset({State.RUNNING, State.DOWNLOADING, State.FAILED, State.CANCELLED}),
    State.DOWNLOADING: frozenset({State.SUCCEEDED, State.FAILED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}
"""Every legal move of a submission."""

REPLAYS = frozenset({State.SUBMITTING, State.RUNNING})
"""States from which a replayable submission (free and deterministic) goes back to queued when its owner died."""


def may_move(origin: State, target: State, *, replayable: bool = False) -> bool:
    """Return whether the transition table has that move."""
    return target in MOVES[origin] or (replayable and target is State.QUEUED and origin in REPLAYS)


LOUDEST = (
    State.RUNNING,
    State.SUBMITTING,
    State.DOWNLOADING,
    State.QUEUED,
    State.PARKED,
    State.SUBMIT_UNKNOWN,
    State.SUCCEEDED,
    State.FAILED,
    State.CANCELLED,
)
"""The submission whose state comes first here decides its job's."""


INSTEAD = "instead"
"""The note of a refused submission in whose place another one stands."""


def derive(states: Iterable[State]) -> State:
    """Return a job's state from its submissions': the liveliest one, and succeeded when any part did."""
    return min(states, key=LOUDEST.index)


_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str, now: int) -> str:
    """Return `prefix_` and 16 characters whose order is the order of `now` (milliseconds), 35 bits of them random."""
    number = (now & (1 << 45) - 1) << 35 | secrets.randbits(35)
    return f"{prefix}_" + "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))


def output_id(job_id: str, index: int) -> str:
    """Return the id of a job's output; `index` counts from 1."""
    return f"out_{job_id.partition('_')[2]}_{index}"


class Ref(BaseModel):
    """Which submission, in which version: what every compare-and-swap names."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    job_id: str
    idx: int
    version: int


class Submission(BaseModel):
    """One call to one offer, and what is known of it."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    job_id: str
    idx: int
    state: State = State.QUEUED
    provider: str
    model: str
    effective: Effective
    replayable: bool = False
    """Free and deterministic: sent again when its process died."""
    synchronous: bool = False
    """Answered within the submitting call, which may last minutes."""
    attempt: int = 0
    submit_key: str | None = None
    sent_at: int | None = None
    account: str | None = None
    operation: dict[str, JsonValue] | None = None
    """The adapter's own record of the accepted work; opaque to everyone else."""
    provider_job_id: str | None = None
    accepted_at: int | None = None
    due_at: int = 0
    """Not to be advanced before that time (milliseconds)."""
    deadline_at: int | None = None
    results: tuple[RemoteOutput, ...] = ()
    """What is to be downloaded, once the provider is done."""
    failed_outputs: tuple[FailedOutput, ...] = ()
    notes: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """What the provider said of its result: seed, revised prompt, what a draft understood."""
    error: dict[str, Any] | None = None
    estimate: MicroUsd | None = None
    actual: MicroUsd | None = None
    owner: str | None = None
    version: int = 0

    @property
    def ref(self) -> Ref:
        """The submission in its present version."""
        return Ref(job_id=self.job_id, idx=self.idx, version=self.version)

    @property
    def put_aside(self) -> bool:
        """Whether it was refused and another stands in its place."""
        return INSTEAD in self.notes


class Event(BaseModel):
    """One move, kept for ever."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    job_id: str
    seq: int
    submission: int | None = None
    origin: State | None = None
    target: State
    at: int
    owner: str | None = None
    detail: str | None = None


class LedgerKind(StrEnum):
    """What a ledger row says of a submission's money."""

    RESERVED = "reserved"
    SETTLED = "settled"
    RELEASED = "released"
    ADJUSTED = "adjusted"


class LedgerRow(BaseModel):
    """One entry of the append-only ledger."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    job_id: str
    submission: int
    kind: LedgerKind
    micro_usd: MicroUsd
    at: int
    certain: bool = True
    """False where the amount is our estimate or the charge is not proved."""
    guess: MicroUsd | None = None
    """Of a reservation: what is booked where nobody learns what was charged; None means all of it."""


class Job(BaseModel):
    """One request of one principal, with everything known about it."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    principal: str
    kind: Kind
    mode: Mode
    request: Request
    request_hash: str
    """Identity of the request: tool, normalised arguments, input contents."""
    idempotency_key: str | None = None
    max_cost: MicroUsd | None = None
    save_as: str | None = None
    labels: tuple[str, ...] = ()
    priority: int = 0
    warnings: tuple[str, ...] = ()
    retry_of: str | None = None
    parent_job_id: str | None = None
    plan: str | None = None
    """The billing plan that its credits are counted in."""
    run_id: str | None = None
    """The run that started it."""
    cancel_requested_at: int | None = None
    delivered_at: int | None = None
    created_at: int
    updated_at: int
    finished_at: int | None = None
    submissions: tuple[Submission, ...]
    outputs: tuple[Output, ...] = ()

    @property
    def lead(self) -> Submission:
        """The first submission in whose place no other stands."""
        return next((part for part in self.submissions if not part.put_aside), self.submissions[-1])

    @property
    def state(self) -> State:
        """The state that follows from the submissions."""
        return derive(part.state for part in self.submissions)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED

    @property
    def error(self) -> dict[str, Any] | None:
        """The first error among the submissions that did not succeed."""
        parts = (part for part in self.submissions if part.state is not State.SUCCEEDED)
        return next((part.error for part in parts if part.error), None)
