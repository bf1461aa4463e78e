"""Several submissions of one job on their way: each is sent once, and what becomes of one is not that of another."""

import pytest
from helpers_runtime import Rig, png

from darkroom.adapters.base import Accepted, Call, Made, Succeeded
from darkroom.domain.job import Job, LedgerKind, State, new_id
from darkroom.domain.money import MicroUsd
from darkroom.errors import ContentBlocked
from factories import make_effective, make_job, make_ledger_row, make_request

pytestmark = pytest.mark.anyio
RESERVED, SETTLED, RELEASED = LedgerKind.RESERVED, LedgerKind.SETTLED, LedgerKind.RELEASED


async def four(rig: Rig) -> Job:
    """Store a job of four submissions, each with its reservation, and claim them."""
    identity, now = new_id("job", rig.clock.now()), rig.clock.now()
    parts = [{"effective": make_effective(start=start, seed=5 + start)} for start in range(4)]
    job = make_job(id=identity, created_at=now, request=make_request(n=4, seed=5), parts=parts)
    rows = [make_ledger_row(job_id=identity, submission=idx, at=now) for idx in range(4)]
    added = await rig.store.add(job, rows)
    await rig.store.claim(rig.kit.owner, accounts=rig.kit.accounts.all(), now=now, limit=9)
    return added.job


async def bill(rig: Rig, job: Job) -> list[tuple[int, LedgerKind, int, bool]]:
    rows = await rig.store.ledger(job.id)
    return [(row.submission, row.kind, row.micro_usd, row.certain) for row in rows if row.kind is not RESERVED]


async def test_two_of_four_are_refused_and_the_others_are_paid_for(rig: Rig) -> None:
    async def answer(call: Call) -> Succeeded:
        if call.request.start in (1, 2):
            raise ContentBlocked("No.")
        return Succeeded((Made(png(), "image/png"),), cost=MicroUsd(38_000))

    rig.adapter.submits = [answer]
    job = await four(rig)
    for idx in (2, 0, 3, 1):
        assert not (await rig.job(job)).ended
        assert await rig.stepper.advance(await rig.held(job, idx)) is None
    done = await rig.job(job)
    states = [State.SUCCEEDED, State.FAILED, State.FAILED, State.SUCCEEDED]
    assert (done.state, [part.state for part in done.submissions]) == (State.SUCCEEDED, states)
    assert [(item.index, item.submission) for item in done.outputs] == [(1, 0), (4, 3)]
    assert sorted(await bill(rig, job)) == [
        (0, SETTLED, 38_000, True),
        (1, RELEASED, 40_000, True),
        (2, RELEASED, 40_000, True),
        (3, SETTLED, 38_000, True),
    ]
    assert sorted(call.request.seed or 0 for call in rig.adapter.sent) == [5, 6, 7, 8]
    assert len({call.submit_key for call in rig.adapter.sent}) == 4
    assert not (rig.folder / "home" / "scratch" / job.id).exists()


async def test_all_refused_is_a_failed_job_that_costs_nothing(rig: Rig) -> None:
    rig.adapter.submits = [ContentBlocked("No.")]
    job = await four(rig)
    for idx in range(4):
        assert await rig.stepper.advance(await rig.held(job, idx)) is None
    assert (await rig.job(job)).state is State.FAILED
    assert [row[1:] for row in await bill(rig, job)] == [(RELEASED, 40_000, True)] * 4


async def test_a_cancel_while_one_runs_sends_none_of_the_others(rig: Rig) -> None:
    rig.adapter.submits = [Accepted({"id": "r1"}, "r1")]
    job = await four(rig)
    waiting = [await rig.held(job, idx) for idx in (1, 2)]
    running = await rig.stepper.advance(await rig.held(job, 0))
    assert running is not None
    await rig.store.request_cancel(job.id, "local", rig.clock.now())
    for held in waiting:
        assert await rig.stepper.advance(held) is None
    assert len(rig.adapter.sent) == 1
    states = [part.state for part in (await rig.job(job)).submissions]
    assert states == [State.RUNNING, State.CANCELLED, State.CANCELLED, State.CANCELLED]
    rig.adapter.polls = [rig.done(cost=MicroUsd(38_000))]
    assert await rig.stepper.advance(await rig.held(job, 0)) is None
    done = await rig.job(job)
    assert (done.ended, [item.index for item in done.outputs]) == (True, [1])
    assert sorted(await bill(rig, job)) == [
        (0, SETTLED, 38_000, True),
        *((idx, RELEASED, 40_000, True) for idx in (1, 2, 3)),
    ]
