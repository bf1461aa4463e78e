"""What holds after every step of the store's machine, whatever happened before."""

from itertools import pairwise

from darkroom.domain.job import ENDED, Job, LedgerKind, State, Submission, may_move
from helpers_machine import Taken, Truth, key_of

FRESH_MS = 120_000
FOUND = frozenset({State.RUNNING, State.PARKED, State.DOWNLOADING, State.SUCCEEDED})
KEPT_ROWS = frozenset({LedgerKind.SETTLED, LedgerKind.RELEASED})


def standing(truth: Truth, job: Job, *, again: bool) -> Job | None:
    """Return the job that an equal call must be answered with; the newest is looked for last."""
    found: Job | None = None
    for other in truth.jobs.values():
        if job.idempotency_key is not None:
            found = other if other.idempotency_key == job.idempotency_key else found
        elif not again and other.request_hash == job.request_hash:
            delivered = other.delivered_at is not None and other.delivered_at < job.created_at - FRESH_MS
            if not other.ended or (other.state is State.SUCCEEDED and not delivered):
                found = other
    return found


def given_up(truth: Truth, part: Submission) -> bool:
    """Whether a person ended it while its fate was unknown."""
    last = truth.moves(key_of(part))[-1]
    return part.state in ENDED and last.origin is State.SUBMIT_UNKNOWN


def is_found(truth: Truth, taken: Taken) -> bool:
    """Whether work that the provider accepted can still be come by."""
    part = truth.part(taken.key)
    if taken.told:
        return part.provider_job_id == taken.remote_id
    waits = part.state in (State.SUBMITTING, State.SUBMIT_UNKNOWN) and part.submit_key == taken.submit_key
    return waits or part.provider_job_id == taken.remote_id or part.results != () or given_up(truth, part)


def check_cancel(before: Truth, after: Truth, old: Submission, new: Submission) -> None:
    """Hold one submission against what a cancel may do to it."""
    if new.state is old.state:
        assert new == old, "a cancel changed what it does not end"
        return
    assert new.state is State.CANCELLED
    assert old.state in (State.QUEUED, State.SUBMIT_UNKNOWN)
    unknown = old.state is State.SUBMIT_UNKNOWN
    kind = LedgerKind.SETTLED if unknown else LedgerKind.RELEASED
    rows = [(row.kind, row.certain, row.micro_usd) for row in after.rows(key_of(new))[1:]]
    assert rows == ([(kind, not unknown, old.estimate)] if before.rows(key_of(old)) else [])


def check_events(truth: Truth, part: Submission) -> None:
    events = truth.moves(key_of(part))
    assert (events[0].origin, events[0].target) == (None, State.QUEUED)
    for before, event in pairwise(events):
        assert event.origin is before.target
        assert event.at >= before.at
        assert may_move(before.target, event.target, replayable=part.replayable)
    assert events[-1].target is part.state
    assert part.attempt == sum(event.target is State.SUBMITTING for event in events)


def check_money(truth: Truth, part: Submission) -> None:
    kinds = [row.kind for row in truth.rows(key_of(part))]
    kept = sum(kind in KEPT_ROWS for kind in kinds)
    if LedgerKind.RESERVED in kinds:
        assert kept == (part.state in ENDED), "a reservation is settled or released once, at the end"
    assert kept <= (part.state in ENDED)


def check_error(part: Submission) -> None:
    if part.state is State.SUBMIT_UNKNOWN:
        assert part.error is not None
    if part.state in FOUND:
        assert part.error is None
    assert part.owner is None or part.state not in (*ENDED, State.SUBMIT_UNKNOWN)


def check_end(truth: Truth, job: Job) -> None:
    assert truth.outcomes[job.id] == (job.state if job.ended else None)
    assert (job.finished_at is not None) is job.ended
    assert [event.seq for event in truth.events[job.id]] == list(range(1, len(truth.events[job.id]) + 1))


def check_change(before: Job, after: Job) -> None:
    assert before.cancel_requested_at in (None, after.cancel_requested_at)
    assert not before.ended or (after.state, after.finished_at) == (before.state, before.finished_at)
    for old, new in zip(before.submissions, after.submissions, strict=True):
        assert new == old or new.version > old.version, "a submission changed, and its version did not grow"
        assert new.attempt >= old.attempt
        assert old.state not in ENDED or new.state is old.state
