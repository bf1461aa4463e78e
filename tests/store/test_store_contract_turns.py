"""What every store promises of the turns of a conversation, and of the jobs that continue from a job."""

import pytest

from darkroom.domain.job import State
from darkroom.store.base import JobStore
from factories import JOB_ID, NOW, OWNER, job_id, make_job, make_move
from helpers_store import bring, claim, walk

pytestmark = pytest.mark.anyio
TURN = {"parts": [{"thoughtSignature": "c2ln", "text": "a “fox” ≠ 狐"}, {"inlineData": None}], "n": 1.5}


async def test_a_turn_is_kept_with_its_move_word_for_word(store: JobStore) -> None:
    part = await bring(store, State.SUBMITTING)
    assert await store.turn(JOB_ID, 0) is None
    moved = await store.move(part.ref, OWNER, make_move(State.DOWNLOADING, turn=TURN))
    assert moved is not None
    assert await store.turn(JOB_ID, 0) == TURN
    assert await walk(store, moved, [State.SUCCEEDED])
    assert await store.turn(JOB_ID, 0) == TURN, "a move without one leaves it"


async def test_a_move_that_is_not_made_keeps_no_turn(store: JobStore) -> None:
    part = await bring(store, State.SUBMITTING)
    assert await store.move(part.ref, "somebody else", make_move(State.DOWNLOADING, turn=TURN)) is None
    assert await store.turn(JOB_ID, 0) is None


async def test_the_last_turn_of_a_submission_counts(store: JobStore) -> None:
    part = await bring(store, State.DOWNLOADING, turn=TURN)
    assert await store.move(part.ref, OWNER, make_move(State.DOWNLOADING, turn={"second": True}))
    assert await store.turn(JOB_ID, 0) == {"second": True}


async def test_each_submission_has_a_turn_of_its_own(store: JobStore) -> None:
    await store.add(make_job(parts=[{}, {}]))
    await store.add(make_job(id=job_id(2)), again=True)
    for claimed in await claim(store):
        part = claimed.submission
        if (part.job_id, part.idx) != (JOB_ID, 1):
            await walk(store, part, [State.SUBMITTING, State.DOWNLOADING], turn={"of": [part.job_id, part.idx]})
    assert await store.turn(JOB_ID, 0) == {"of": [JOB_ID, 0]}
    assert await store.turn(JOB_ID, 1) is None
    assert await store.turn(job_id(2), 0) == {"of": [job_id(2), 0]}
    assert await store.turn("job_nope", 0) is None


async def test_those_that_continue_from_a_job_are_told_oldest_first(store: JobStore) -> None:
    parents = {2: JOB_ID, 4: JOB_ID, 3: JOB_ID, 5: job_id(2), 6: None}
    await store.add(make_job())
    for number, parent in parents.items():
        await store.add(make_job(id=job_id(number), parent_job_id=parent, created_at=NOW + number), again=True)
    assert await store.children(JOB_ID) == [job_id(2), job_id(3), job_id(4)]
    assert await store.children(job_id(2)) == [job_id(5)]
    assert await store.children(job_id(6)) == []
    assert await store.children("job_nope") == []


async def test_a_retry_is_no_continuation(store: JobStore) -> None:
    await store.add(make_job())
    await store.add(make_job(id=job_id(2), retry_of=JOB_ID), again=True)
    assert await store.children(JOB_ID) == []
