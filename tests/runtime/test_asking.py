"""Asking about a job that another process has."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from helpers_runtime import LIMIT_S, Rig, Stoppable, moving, rig_in, until

from darkroom.adapters.base import Pending
from darkroom.clock import SystemClock
from darkroom.domain.job import Job, State
from darkroom.errors import StorageFull
from darkroom.runtime import embedded as loop
from darkroom.services.jobs import Jobs
from factories import make_worker

pytestmark = pytest.mark.anyio
FAR = Pending(poll_after_s=3600)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("SCAN_S", 0.02), ("WATCH_S", 0.02), ("CLAIM_S", 3600.0)):
        monkeypatch.setattr(loop, name, seconds)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncGenerator[Rig]:
    async with rig_in(tmp_path, SystemClock()) as opened:
        yield opened


@pytest.fixture
async def other(tmp_path: Path, rig: Rig) -> AsyncGenerator[Rig]:
    """Another process on the same store."""
    async with rig_in(tmp_path, SystemClock(), rig.adapter) as opened:
        yield opened


def jobs_of(rig: Rig) -> Jobs:
    return Jobs(rig.store, rig.bus, rig.clock)


async def polled(rig: Rig, times: int) -> None:
    async def enough() -> bool:
        return len(rig.adapter.asked) >= times

    await until(enough)


async def far_off(rig: Rig) -> Job:
    """Return a job whose next poll is an hour away."""
    job = await rig.add()
    await polled(rig, 1)
    return job


async def test_asking_in_another_process_brings_the_owners_next_poll_forward(rig: Rig, other: Rig) -> None:
    rig.adapter.polls = [FAR, rig.done()]
    async with moving(rig), moving(other):
        job = await far_off(rig)
        [found] = await jobs_of(other).wait([job.id], "local", LIMIT_S)
        assert found.state is State.SUCCEEDED
    assert len(rig.adapter.asked) == 2


async def test_a_process_that_moves_nothing_itself_may_ask_too(rig: Rig, other: Rig) -> None:
    rig.adapter.polls = [FAR, rig.done()]
    async with moving(rig):
        job = await far_off(rig)
        await jobs_of(other).wait([job.id], "local", 0)
        await polled(rig, 2)
    assert rig.adapter.asked[1].job_id == job.id


async def test_asking_once_is_heard_once_and_asking_again_is_heard_again(rig: Rig, other: Rig) -> None:
    rig.adapter.polls = [FAR]
    async with moving(rig):
        job = await far_off(rig)
        await jobs_of(other).wait([job.id], "local", 0)
        await polled(rig, 2)
        for _ in range(3):  # what is heard with one write is acted upon before the second after it is noticed
            seen = rig.bus.others
            await other.store.register(make_worker())

            async def noticed(seen: int = seen) -> bool:
                return rig.bus.others > seen

            await until(noticed)
        assert len(rig.adapter.asked) == 2
        await other.store.ask(job.id, 7)
        await polled(rig, 3)


async def test_what_was_asked_just_before_a_heartbeat_is_heard(
    rig: Rig, other: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "WATCH_S", 3600.0)
    monkeypatch.setattr(loop, "BEATS", 750)
    rig.adapter.polls = [FAR, rig.done()]
    async with moving(rig):
        job = await far_off(rig)
        asked = rig.store.asked

        async def just_before(worker_id: str) -> dict[str, int]:
            rig.store.asked = asked
            await other.store.ask(job.id, 7)
            return await asked(worker_id)

        rig.store.asked = just_before
        await polled(rig, 2)
    assert rig.adapter.asked[1].job_id == job.id


async def test_a_cancel_in_another_process_acts_at_once(rig: Rig, other: Rig) -> None:
    rig.adapter = other.adapter = Stoppable(polls=[FAR])
    async with moving(rig):
        job = await far_off(rig)
        await jobs_of(other).cancel(job.id, "local")
        [found] = await jobs_of(other).wait([job.id], "local", 0)

        async def cancelled() -> bool:
            return (await other.part(job)).state is State.CANCELLED

        await until(cancelled)
        assert found.cancel_requested_at is not None


async def test_a_hint_that_cannot_be_stored_keeps_nobody_from_an_answer(rig: Rig, other: Rig) -> None:
    rig.adapter.polls = [FAR]

    async def full(*_: object) -> None:
        raise StorageFull("The disk is full.")

    other.store.ask = full
    async with moving(rig):
        job = await far_off(rig)
        [found] = await jobs_of(other).wait([job.id], "local", 0)
        assert found.state is State.RUNNING
