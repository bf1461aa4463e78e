"""The loop that moves jobs forward by itself, and its dealings with other processes."""

import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from helpers_runtime import ACME, LIMIT_S, Rig, Stoppable, embedded_of, failing, moving, rig_in, until

from darkroom.adapters.base import Accepted, Call, Pending
from darkroom.clock import SystemClock
from darkroom.domain.job import Job, State
from darkroom.errors import RateLimited, StorageFull, StorageUnwritable
from darkroom.events import Progress
from darkroom.runtime import embedded as loop
from darkroom.runtime import schedule
from darkroom.runtime.liveness import Presence
from darkroom.services.jobs import Jobs
from darkroom.store.base import Acceptance

pytestmark = pytest.mark.anyio
FULL = StorageFull("The disk is full.")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loop look often, and never by itself for work that it was told of."""
    for name, seconds in (("SCAN_S", 0.02), ("WATCH_S", 0.02), ("BEATS", 750), ("CLAIM_S", 3600.0), ("GRACE_S", 0.05)):
        monkeypatch.setattr(loop, name, seconds)

    def soon(_: int) -> float:
        return 0.01

    monkeypatch.setattr(schedule, "trouble_pause", soon)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncGenerator[Rig]:
    async with rig_in(tmp_path, SystemClock()) as opened:
        opened.adapter.polls = [Pending(0.5, "drawing"), opened.done()]
        yield opened


@pytest.fixture
async def other(tmp_path: Path, rig: Rig) -> AsyncGenerator[Rig]:
    """Another process on the same store."""
    async with rig_in(tmp_path, SystemClock(), rig.adapter) as opened:
        yield opened


async def ended(rig: Rig, job: Job) -> Job:
    return (await Jobs(rig.store, rig.bus, rig.clock).wait([job.id], "local", LIMIT_S))[0]


async def test_a_job_is_carried_to_its_end_without_being_asked(rig: Rig) -> None:
    first = await rig.add()
    async with moving(rig):
        second = await rig.add()
        assert [(await ended(rig, job)).state for job in (first, second)] == [State.SUCCEEDED] * 2


async def test_a_process_is_registered_while_it_runs(rig: Rig, other: Rig) -> None:
    async with moving(rig):
        assert [worker.id for worker in await other.store.workers()] == [rig.kit.owner]
        lock = rig.folder / "home" / "workers" / f"{rig.kit.owner}.lock"
        assert lock.exists()
    assert await other.store.workers() == []
    assert not lock.exists()


async def test_ending_gives_back_what_was_held_and_the_next_process_goes_on(rig: Rig, other: Rig) -> None:
    rig.adapter.polls = [Pending(poll_after_s=3600)]
    job = await rig.add()

    async def running() -> bool:
        return (await rig.part(job)).state is State.RUNNING

    async with moving(rig):
        await until(running)
    part = await other.part(job)
    assert (part.state, part.owner) == (State.RUNNING, None)
    rig.adapter.polls = [rig.done()]
    async with moving(other):
        assert (await ended(other, job)).state is State.SUCCEEDED
    assert len(rig.adapter.sent) == 1


async def test_ending_does_not_wait_for_a_store_that_hangs(rig: Rig) -> None:
    async def hang(*_: object) -> list[str]:
        await anyio.sleep_forever()
        return []

    async with moving(rig) as scheduler:
        rig.store.reap = hang
    assert scheduler.started


async def test_ending_with_a_full_disk_is_no_error(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    async with moving(rig):
        rig.store.reap = failing(9, FULL, rig.store.reap)
    assert "could not give back what was held" in caplog.text


# Other processes


async def leave_unfinished(rig: Rig, owner: str, *, submitting: bool = False, **worker: Any) -> Job:
    """Store a job that a process began, and register that process."""
    row = await anyio.to_thread.run_sync(Presence(rig.folder, owner).renew, rig.clock)
    await rig.store.register(replace(row, **worker))
    stepper = rig.stepper_of(owner)
    job = await rig.add()
    held = await rig.claim(owner)
    if submitting:
        rig.store.accept = failing(10**6, FULL, rig.store.accept)

        async def sent() -> bool:
            return bool(rig.adapter.sent) and (await rig.part(job)).state is State.SUBMITTING

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stepper.advance, held)
            await until(sent)
            tasks.cancel_scope.cancel()
    else:
        await stepper.advance(held)
    return job


async def test_what_a_dead_process_left_is_taken_up_at_the_start(rig: Rig, other: Rig) -> None:
    job = await leave_unfinished(other, "w_dead", boot_id="an earlier boot")
    async with moving(rig):
        assert (await ended(rig, job)).state is State.SUCCEEDED
    assert len(rig.adapter.sent) == 1, "it was asked about, not sent again"


async def test_what_a_dead_process_was_sending_is_shown_as_unknown(rig: Rig, other: Rig) -> None:
    job = await leave_unfinished(other, "w_dead", submitting=True, boot_id="an earlier boot")
    async with moving(rig):
        assert (await rig.part(job)).state is State.SUBMIT_UNKNOWN
    assert len(rig.adapter.sent) == 1


async def test_a_process_that_dies_later_is_noticed(rig: Rig, other: Rig) -> None:
    alive = Presence(rig.folder / "home" / "workers", "w_dying")
    await anyio.to_thread.run_sync(alive.enter, SystemClock())
    job = await leave_unfinished(other, "w_dying")
    async with moving(rig):
        assert (await other.part(job)).owner == "w_dying"
        await anyio.to_thread.run_sync(alive.leave)
        assert (await ended(rig, job)).state is State.SUCCEEDED


async def test_looking_for_the_dead_survives_trouble_with_the_store(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    async with moving(rig):
        rig.store.workers = failing(2, FULL, rig.store.workers)
        rig.store.data_version = failing(2, FULL, rig.store.data_version)
        rig.store.heartbeat = failing(2, FULL, rig.store.heartbeat)

        rig.store.unknown = failing(2, FULL, rig.store.unknown)
        said = ("could not look for dead processes", "could not look for lost answers", "no heartbeat")

        async def seen() -> bool:
            return all(text in caplog.text for text in said)

        await until(seen)
        assert (await ended(rig, await rig.add())).state is State.SUCCEEDED


async def test_another_process_is_heard_of_when_it_stores_a_job_and_when_it_moves_one(rig: Rig, other: Rig) -> None:
    async with moving(rig):
        job = await other.add()
        with rig.bus.watch(job.id) as watch:
            assert await watch.wait(LIMIT_S)
        assert (await ended(rig, job)).state is State.SUCCEEDED


async def test_another_process_sees_how_far_a_job_is(rig: Rig, other: Rig) -> None:
    rig.adapter.polls = [Pending(0.5, "drawing", poll_after_s=3600)]
    async with moving(rig):
        job = await rig.add()
        jobs = Jobs(other.store, other.bus, other.clock)

        async def told() -> bool:
            return await jobs.progress(job) == Progress(0.5, "drawing")

        await until(told)
        assert await jobs.progress(job) == Progress(0.5, "drawing")


async def test_a_process_that_was_taken_for_dead_comes_back_and_claims_again(
    rig: Rig, other: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.adapter.polls = [Pending(poll_after_s=3600), rig.done()]
    async with moving(rig):
        job = await rig.add()

        async def asked() -> bool:
            return bool(rig.adapter.asked)

        await until(asked)
        await other.store.reap([rig.kit.owner], rig.clock.now())
        assert (await ended(rig, job)).state is State.SUCCEEDED
        assert [worker.id for worker in await other.store.workers()] == [rig.kit.owner]
    assert "taken for dead" in caplog.text


async def test_what_it_claimed_before_it_knew_that_it_was_taken_for_dead_is_not_lost(rig: Rig, other: Rig) -> None:
    rig.adapter.polls = [Pending(poll_after_s=3600), Pending(poll_after_s=3600), rig.done()]
    beat = rig.store.heartbeat
    may_beat = anyio.Event()

    async def late(*args: Any) -> bool:
        await may_beat.wait()
        return await beat(*args)

    rig.store.heartbeat = late
    async with moving(rig):
        job = await rig.add()
        for count in (1, 2):

            async def asked(count: int = count) -> bool:
                return len(rig.adapter.asked) == count

            await until(asked)
            if count == 1:
                await other.store.reap([rig.kit.owner], rig.clock.now())
        may_beat.set()
        assert (await ended(rig, job)).state is State.SUCCEEDED


async def test_a_job_that_was_claimed_anew_during_a_poll_is_not_dropped_with_the_old_claim(
    rig: Rig, other: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def meanwhile(call: Call) -> object:
        before = (await rig.part_of(call.job_id)).version
        await other.store.reap([rig.kit.owner], rig.clock.now())

        async def claimed_anew() -> bool:
            held = scheduler._held[(call.job_id, 0)]  # pyright: ignore[reportPrivateUsage] because nothing else shows it
            return held.version > before

        await until(claimed_anew)
        return done

    monkeypatch.setattr(loop, "BEATS", 1 / 240)
    done = rig.done()
    rig.adapter.polls = [meanwhile, done]
    async with moving(rig) as scheduler:
        job = await rig.add()
        assert (await ended(rig, job)).state is State.SUCCEEDED

        async def idle() -> bool:
            return not scheduler.busy

        await until(idle)
    assert len(rig.adapter.asked) == 1, "the answer counts, whoever asked for it"


async def test_an_acceptance_that_is_noted_during_a_download_does_not_leave_the_job_lying(rig: Rig) -> None:
    keep = rig.artifacts.keep

    async def meanwhile(*args: Any) -> Any:
        rig.artifacts.keep = keep
        part = await rig.part(job)
        found = Acceptance(job.id, 0, part.attempt, part.submit_key or "", rig.clock.now(), {"id": "r1"}, "r1")
        assert await rig.store.accept(found) is not None
        return await keep(*args)

    rig.adapter.submits = [rig.done()]
    rig.artifacts.keep = meanwhile
    job = await rig.add()
    async with moving(rig):
        assert (await ended(rig, job)).state is State.SUCCEEDED
    assert len(rig.adapter.sent) == 1


# Trouble


async def test_trouble_with_one_job_does_not_stop_the_others(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    keep = rig.artifacts.keep
    rig.artifacts.keep = failing(2, ZeroDivisionError(), keep)
    async with moving(rig):
        jobs = [await rig.add(), await rig.add()]
        assert [(await ended(rig, job)).state for job in jobs] == [State.SUCCEEDED] * 2
    assert "could not be advanced" in caplog.text


async def test_jobs_wait_for_a_store_that_fails(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    job = await rig.add()
    rig.store.get = failing(2, FULL, rig.store.get)
    async with moving(rig):

        async def waited() -> bool:
            return caplog.text.count("waits for the store") == 2

        await until(waited)
        assert (await ended(rig, job)).state is State.SUCCEEDED


async def test_claiming_is_tried_again(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CLAIM_S", 0.02)
    job = await rig.add()
    rig.store.claim = failing(1, FULL, rig.store.claim)
    async with moving(rig):
        assert (await ended(rig, job)).state is State.SUCCEEDED
    assert "could not claim" in caplog.text


async def test_no_more_is_claimed_than_may_be_held(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "MOST", 1)
    monkeypatch.setattr(loop, "CLAIM_S", 0.02)
    rig.adapter.polls = [Pending()]
    jobs = [await rig.add(), await rig.add()]

    async with moving(rig):

        async def asked_often() -> bool:
            return len(rig.adapter.asked) > 5

        await until(asked_often)
        assert len({call.job_id for call in rig.adapter.asked}) == 1
        rig.adapter.polls = [rig.done()]
        assert [(await ended(rig, job)).state for job in jobs] == [State.SUCCEEDED] * 2


async def test_a_process_that_cannot_register_says_so_and_leaves_no_lock(rig: Rig) -> None:
    rig.store.register = failing(1, StorageUnwritable("read-only"), rig.store.register)
    with pytest.raises(StorageUnwritable):
        await embedded_of(rig).run()
    assert list((rig.folder / "home" / "workers").iterdir()) == []


async def test_an_end_in_the_midst_of_the_start_ends(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = anyio.CancelScope()

    async def bury(_: loop.Embedded) -> None:  # the last thing before it begins to move jobs
        scope.cancel()

    monkeypatch.setattr(loop.Embedded, "_bury", bury)
    with anyio.fail_after(30), scope:
        await embedded_of(rig).run()
    assert scope.cancelled_caught
    assert await rig.store.workers() == []


# Asking


async def test_asking_brings_the_next_poll_forward(rig: Rig) -> None:
    rig.adapter.polls = [Pending(poll_after_s=3600), Pending(poll_after_s=3600), rig.done()]
    job = await rig.add()
    async with moving(rig):
        for count in (1, 2):

            async def asked(count: int = count) -> bool:
                return len(rig.adapter.asked) == count

            await until(asked)
            rig.bus.ask("job_of_somebody_else")
            rig.bus.ask(job.id)
        assert (await ended(rig, job)).state is State.SUCCEEDED


async def test_asking_during_a_poll_makes_the_next_one_follow_soon(rig: Rig) -> None:
    hurried: list[bool] = []

    async def slow(call: Call) -> Pending:
        rig.bus.ask(call.job_id)

        async def noted() -> bool:
            return bool(scheduler._hurried)  # pyright: ignore[reportPrivateUsage] because nothing else shows it

        await until(noted)
        hurried.append(True)
        return Pending(poll_after_s=3600)

    rig.adapter.polls = [slow, rig.done()]
    job = await rig.add()
    async with moving(rig) as scheduler:

        async def done() -> bool:
            return (await rig.job(job)).state is State.SUCCEEDED

        await until(done)
    assert hurried == [True]


async def test_asking_does_not_hurry_what_its_provider_refused_for_now(rig: Rig) -> None:
    rig.adapter.submits = [RateLimited("slow down", retry_after_s=3600)]
    job = await rig.add()
    async with moving(rig):

        async def refused() -> bool:
            part = await rig.part(job)
            return (part.state, part.attempt) == (State.QUEUED, 1)

        await until(refused)
        rig.bus.ask(job.id)
        other = await rig.add()
        await rig.store.request_cancel(other.id, "local", 0)
        await ended(rig, other)
    assert len(rig.adapter.sent) == 1


async def test_asking_about_work_whose_provider_vanished_looks_for_it_again(rig: Rig) -> None:
    rig.adapter.polls = [rig.done()]
    job = await rig.add()

    async def vanish(_: Call) -> Accepted:
        del rig.providers["acme"]
        return Accepted({"id": "r1"})

    rig.adapter.submits = [vanish]
    async with moving(rig) as scheduler:

        async def parked() -> bool:
            held = scheduler._held.get((job.id, 0))  # pyright: ignore[reportPrivateUsage] because nothing else shows it
            return held is not None and held.due > rig.clock.boot() + 60

        await until(parked)
        rig.providers["acme"] = ACME
        del rig.providers["acme"]
        rig.bus.ask(job.id)

        async def sooner() -> bool:
            return not await parked()

        await until(sooner)
        rig.providers["acme"] = ACME
        assert (await ended(rig, job)).state is State.SUCCEEDED


async def test_a_cancel_acts_at_once_although_the_next_poll_is_far(rig: Rig) -> None:
    rig.adapter = Stoppable(polls=[Pending(poll_after_s=3600)])
    job = await rig.add()
    async with moving(rig):

        async def asked() -> bool:
            return bool(rig.adapter.asked)

        await until(asked)
        await Jobs(rig.store, rig.bus, rig.clock).cancel(job.id, "local")
        assert (await ended(rig, job)).state is State.CANCELLED


async def test_what_was_said_in_the_log_is_no_error(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    job = await rig.add()
    async with moving(rig):
        await ended(rig, job)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []
