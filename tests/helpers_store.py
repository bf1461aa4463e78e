"""What the tests of every store share."""

from collections.abc import Sequence
from typing import Any

from darkroom.domain.job import Job, State, Submission
from darkroom.store.base import Claimed, JobStore
from factories import (
    JOB_ID,
    NOW,
    OWNER,
    make_intent,
    make_job,
    make_move,
)

WAYS: dict[State, tuple[State, ...]] = {
    State.QUEUED: (),
    State.SUBMITTING: (State.SUBMITTING,),
    State.SUBMIT_UNKNOWN: (State.SUBMITTING, State.SUBMIT_UNKNOWN),
    State.RUNNING: (State.SUBMITTING, State.RUNNING),
    State.PARKED: (State.SUBMITTING, State.RUNNING, State.PARKED),
    State.DOWNLOADING: (State.SUBMITTING, State.DOWNLOADING),
    State.SUCCEEDED: (State.SUBMITTING, State.DOWNLOADING, State.SUCCEEDED),
    State.FAILED: (State.FAILED,),
    State.CANCELLED: (State.CANCELLED,),
}
"""How a claimed submission comes into each state."""


async def claim(store: JobStore, owner: str = OWNER, **changes: Any) -> list[Claimed]:
    values: dict[str, Any] = {"accounts": ["acme/main"], "now": NOW, "limit": 100}
    return await store.claim(owner, **(values | changes))


async def take(store: JobStore, owner: str = OWNER) -> Submission:
    """Claim the only submission that is free."""
    [claimed] = await claim(store, owner)
    return claimed.submission


async def walk(store: JobStore, part: Submission, states: Sequence[State], **last: Any) -> Submission:
    """Move a submission along these states; the last move has what `last` says."""
    for number, state in enumerate(states, 1):
        changes = last if number == len(states) else {}
        if state is State.SUBMITTING:
            moved = await store.intend(part.ref, part.owner or "", make_intent())
        else:
            moved = await store.move(part.ref, part.owner, make_move(state, at=NOW + 5_000 + number, **changes))
        assert moved is not None
        part = moved
    return part


async def bring(store: JobStore, state: State, job: Job | None = None, **last: Any) -> Submission:
    """Add a job, claim it, and bring its only submission to a state."""
    job = job or make_job()
    await store.add(job)
    return await walk(store, await take(store), WAYS[state], **last)


async def get(store: JobStore, identity: str = JOB_ID) -> Job:
    job = await store.get(identity)
    assert job is not None
    return job
