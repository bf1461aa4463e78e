"""What a process remembers of each submission in its hands: little, since there may be thousands."""

from dataclasses import dataclass

from pydantic import JsonValue

from darkroom.clock import Clock
from darkroom.domain.job import Job, State, Submission
from darkroom.domain.kinds import Kind

LONGEST_S = 3600.0
"""A due time further off than that comes from a clock that was wrong."""


@dataclass(slots=True)
class Held:
    """A submission in this process's hands, and when it is to be advanced next.

    Times are seconds on the boot clock: the wall clock may jump.
    """

    job_id: str
    idx: int
    version: int
    kind: Kind
    state: State
    provider: str
    model: str
    submit_key: str
    sent_at: int | None
    operation: dict[str, JsonValue] | None
    replayable: bool
    cancel: bool
    began: float
    """When the provider took it."""
    deadline: float | None
    due: float
    seen: int
    """The bus's count of others' writes when this was read."""
    failures: int = 0
    """Polls or downloads in a row that brought no answer."""
    renewals: int = 0
    """How often its links were asked for anew."""
    intent: str | None = None
    """The key of an intent that is being stored, before its call."""

    @property
    def key(self) -> tuple[str, int]:
        """Which submission it is."""
        return self.job_id, self.idx


def hold(job: Job, part: Submission, clock: Clock, due: float, seen: int = 0) -> Held:
    """Return what is to be remembered of a submission as it was just read."""
    wall, boot = clock.now(), clock.boot()
    return Held(
        job_id=part.job_id,
        idx=part.idx,
        version=part.version,
        kind=job.kind,
        state=part.state,
        provider=part.provider,
        model=part.model,
        submit_key=part.submit_key or "",
        sent_at=part.sent_at,
        operation=part.operation,
        replayable=part.replayable,
        cancel=job.cancel_requested_at is not None,
        began=boot - max(0.0, (wall - (part.accepted_at or wall)) / 1000),
        deadline=None if part.deadline_at is None else boot + (part.deadline_at - wall) / 1000,
        due=due,
        seen=seen,
    )


def due_of(part: Submission, clock: Clock) -> float:
    """Return when a submission that was just claimed is due, on the boot clock."""
    return clock.boot() + min(max(0.0, (part.due_at - clock.now()) / 1000), LONGEST_S)
