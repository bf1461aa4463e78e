"""Jobs are read, awaited and cancelled by those who own them."""

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from darkroom.app import App
from darkroom.domain.job import Job, State
from darkroom.domain.output import Output
from darkroom.errors import InvalidRequest, StorageFull, UnknownJob
from darkroom.events import Progress, Wake
from darkroom.services.caps import Terms
from darkroom.services.jobs import Jobs
from factories import FakeClock, make_worker
from helpers_services import ME, image, run_until, started, step, succeed, video

pytestmark = pytest.mark.anyio
OTHER = Terms(principal="other")


# Reading


async def test_jobs_come_in_the_order_of_their_ids(app: App) -> None:
    one, two = await started(app, image()), await started(app, video())
    assert await app.jobs.get([two.id, one.id, two.id], ME) == [two, one, two]
    assert await app.jobs.get([], ME) == []


async def test_a_mistyped_id_is_answered_with_the_right_one_and_anothers_like_an_unknown(app: App) -> None:
    job, theirs = await started(app, image()), await started(app, image(), OTHER)
    with pytest.raises(UnknownJob) as caught:
        await app.jobs.get([job.id[:-1]], ME)
    assert f"Did you mean {job.id!r}?" in caught.value.message
    for job_id in (theirs.id, "job_nope", "x" * 500):
        with pytest.raises(UnknownJob) as caught:
            await app.jobs.get([job_id], ME)
        assert caught.value.field == "job_id"
        assert len(caught.value.message) < 200


async def test_jobs_are_found_by_state_and_label(app: App, clock: FakeClock) -> None:
    done = await succeed(app, await started(app, image(options={"labels": ["a"]})))
    clock.advance(1)
    unknown = await run_until(app, (await started(app, image(prompt="two"))).id, State.SUBMIT_UNKNOWN)
    clock.advance(1)
    waiting = await started(app, image(prompt="three", options={"labels": ["a", "b"]}))

    async def found(**how: Any) -> list[str]:
        return [job.id for job in await app.jobs.find(ME, **how)]

    assert await found() == [waiting.id, unknown.id, done.id]
    assert await found(limit=1) == [waiting.id]
    assert await found(before=waiting.id) == [unknown.id, done.id]
    assert await found(label="a") == [waiting.id, done.id]
    assert await found(status="succeeded") == [done.id]
    assert await found(status=" QUEUED ") == [waiting.id]
    assert await found(status="active") == [waiting.id, unknown.id]
    assert await found(status="unknown") == [unknown.id]
    assert await found(status="running") == []
    assert await app.jobs.find("other") == []


async def test_an_unknown_status_is_answered_with_the_nearest(app: App) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await app.jobs.find(ME, status="suceeded")  # codespell:ignore suceeded
    assert "Did you mean 'succeeded'?" in caught.value.message
    allowed = list(caught.value.allowed or ())
    assert {"active", "queued"} <= set(allowed)
    assert allowed.count("running") == 1


async def test_an_output_is_its_owners(app: App) -> None:
    made = await succeed(app, await started(app, image()))
    output = made.outputs[0]
    assert isinstance(output, Output)
    assert await app.jobs.output(output.id, ME) == output
    for who, output_id in (("other", output.id), (ME, "out_nope")):
        with pytest.raises(UnknownJob):
            await app.jobs.output(output_id, who)


# Waiting


class Waiter:
    """A wait in a task of its own, and what it was told."""

    def __init__(self, app: App, *job_ids: str, seconds: float = 60) -> None:
        self.app, self.job_ids, self.seconds = app, job_ids, seconds
        self.told: list[list[State]] = []
        self.heard = anyio.Event()
        self.jobs: list[Job] | None = None

    async def tell(self, jobs: Sequence[Job]) -> None:
        self.told.append([job.state for job in jobs])
        self.heard.set()

    async def run(self) -> None:
        self.jobs = await self.app.jobs.wait(self.job_ids, ME, self.seconds, self.tell)

    async def told_again(self) -> None:
        await self.heard.wait()
        self.heard = anyio.Event()


async def test_a_wait_ends_at_once_when_the_job_ends_and_tells_on_the_way(app: App) -> None:
    job = await started(app, image())
    waiter = Waiter(app, job.id)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiter.run)
            await waiter.told_again()
            await run_until(app, job.id, State.RUNNING)
            await waiter.told_again()
            await step(app, job.id, State.FAILED, "worker-1")
    assert [found.state for found in waiter.jobs or []] == [State.FAILED]
    assert waiter.told[0] == [State.QUEUED]
    assert waiter.told[-1] != [State.FAILED]


async def test_a_wait_for_several_ends_with_the_last(app: App, clock: FakeClock) -> None:
    one = await started(app, image())
    first = await succeed(app, one)
    clock.advance(1)
    second = await started(app, video())
    waiter = Waiter(app, first.id, second.id)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiter.run)
            await waiter.told_again()
            assert waiter.jobs is None
            await app.jobs.cancel(second.id, ME)
    assert [job.state for job in waiter.jobs or []] == [State.SUCCEEDED, State.CANCELLED]


async def test_a_wait_without_anyone_to_tell_ends_with_the_job(app: App) -> None:
    job = await started(app, image())
    found: list[Job] = []

    async def wait() -> None:
        found.extend(await app.jobs.wait([job.id], ME, 60))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            await app.jobs.cancel(job.id, ME)
    assert [item.state for item in found] == [State.CANCELLED]


@pytest.mark.parametrize("state", [State.SUBMIT_UNKNOWN, State.FAILED])
async def test_nobody_waits_for_what_waiting_does_not_bring(state: State, app: App) -> None:
    job = await run_until(app, (await started(app, image())).id, state)
    waiter = Waiter(app, job.id)
    with anyio.fail_after(5):
        await waiter.run()
    assert waiter.jobs == [job]
    assert waiter.told == []


async def test_a_wait_ends_with_its_time(app: App, clock: FakeClock) -> None:
    job = await started(app, image())
    waiter = Waiter(app, job.id, seconds=20)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiter.run)
            await waiter.told_again()
            clock.advance(21)
            app.bus.changed(job.id)
        assert waiter.jobs == [job]
        assert await app.jobs.wait([job.id], ME, 0) == [job]
        assert await app.jobs.wait([], ME, 60) == []


async def test_asking_makes_the_unfinished_ones_due_once(app: App) -> None:
    done = await succeed(app, await started(app, image()))
    job = await started(app, image(prompt="two"))
    await app.bus.next_work(0)
    await app.jobs.wait([done.id, job.id], ME, 0)
    assert (await app.bus.next_work(0)).asked == {job.id}


async def test_nobody_waits_for_a_job_of_another(app: App) -> None:
    theirs = await started(app, image(), OTHER)
    with anyio.fail_after(5), pytest.raises(UnknownJob):
        await app.jobs.wait([theirs.id], ME, 60)


# Cancelling


async def test_what_is_queued_stops_at_once_and_a_repetition_changes_nothing(app: App) -> None:
    job = await started(app, image())
    stopped = await app.jobs.cancel(job.id, ME)
    assert stopped.state is State.CANCELLED
    assert await app.jobs.cancel(job.id, ME) == stopped


async def test_what_runs_is_asked_to_stop(app: App, clock: FakeClock) -> None:
    job = await run_until(app, (await started(app, image())).id, State.RUNNING)
    await app.bus.next_work(0)
    asked = await app.jobs.cancel(job.id, ME)
    assert (asked.state, asked.cancel_requested_at) == (State.RUNNING, clock.now())
    assert job.id in (await app.bus.next_work(0)).asked


async def test_only_ones_own_job_can_be_cancelled(app: App) -> None:
    theirs = await started(app, image(), OTHER)
    with pytest.raises(UnknownJob):
        await app.jobs.cancel(theirs.id, ME)
    assert (await app.jobs.get([theirs.id], "other"))[0].state is State.QUEUED


async def test_a_job_that_vanishes_in_between_is_unknown(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await started(app, image())

    async def gone(*_: object) -> None:
        return None

    monkeypatch.setattr(app.store, "request_cancel", gone)
    with pytest.raises(UnknownJob):
        await app.jobs.cancel(job.id, ME)


# Delivery and progress


async def test_a_job_is_delivered_once_and_only_when_it_succeeded(app: App, clock: FakeClock) -> None:
    job = await started(app, image())
    await app.jobs.delivered(job)
    job = await succeed(app, job)
    assert job.delivered_at is None
    first = clock.now()
    await app.jobs.delivered(job)
    clock.advance(5)
    await app.jobs.delivered(job)
    (job,) = await app.jobs.get([job.id], ME)
    await app.jobs.delivered(job)
    assert (await app.jobs.get([job.id], ME))[0].delivered_at == first


async def test_progress_is_that_of_this_process_first(app: App) -> None:
    job = await run_until(app, (await started(app, image())).id, State.RUNNING)
    await app.store.register(make_worker(progress={job.id: (0.2, "there")}))
    assert await app.jobs.progress(job) == Progress(0.2, "there")
    app.bus.progress(job.id, Progress(0.7, "here"))
    assert await app.jobs.progress(job) == Progress(0.7, "here")


async def test_progress_of_the_work_is_not_told_of_the_download_after_it(app: App) -> None:
    job = await run_until(app, (await started(app, image())).id, State.RUNNING)
    app.bus.progress(job.id, Progress(0.7, "frame 7 of 10"))
    parts = tuple(part.model_copy(update={"state": State.DOWNLOADING}) for part in job.submissions)
    fetched = job.model_copy(update={"submissions": parts})
    assert await app.jobs.progress(fetched) is None
    app.bus.progress(job.id, Progress(None, "not saved yet"))
    assert await app.jobs.progress(fetched) == Progress(None, "not saved yet")


async def test_progress_that_several_processes_tell_is_what_all_of_them_know(app: App) -> None:
    job = await run_until(app, (await started(app, image())).id, State.RUNNING)
    app.bus.progress(job.id, Progress(0.7, "here"))
    assert await app.jobs.progress(job, shared=True) == Progress(0.7, "here"), "there is nobody else"
    for name, progress in (("worker-1", {job.id: (0.6, "told")}), ("worker-2", {})):
        await app.store.register(make_worker(id=name, progress=progress))
    assert await app.jobs.progress(job, shared=True) == Progress(0.6, "told")
    assert await app.jobs.progress(job) == Progress(0.7, "here")


async def test_progress_of_nobody_and_of_the_ended_is_none(app: App) -> None:
    job = await started(app, image())
    assert await app.jobs.progress(job) is None
    await app.store.register(make_worker(progress={"job_other": (0.2, None)}))
    assert await app.jobs.progress(job) is None
    ended = await app.jobs.cancel(job.id, ME)
    await app.store.register(make_worker(id="worker-2", progress={job.id: (0.2, None)}))
    assert await app.jobs.progress(ended) is None


async def test_the_service_needs_no_more_than_a_store_a_bus_and_a_clock(app: App, clock: FakeClock) -> None:
    job = await started(app, image())
    assert await Jobs(app.store, app.bus, clock).get([job.id], ME) == [job]


# Asking other processes


async def asked_of_others(app: App) -> dict[str, int]:
    return await app.store.asked("worker-1")


async def test_the_process_that_has_a_job_is_told_that_somebody_asked(app: App, clock: FakeClock) -> None:
    await app.store.register(make_worker())
    job = await run_until(app, (await started(app, image())).id, State.RUNNING)
    await app.jobs.wait([job.id], ME, 0)
    assert await asked_of_others(app) == {job.id: clock.now()}


async def test_a_cancel_is_told_to_the_process_that_has_the_job(app: App, clock: FakeClock) -> None:
    await app.store.register(make_worker())
    job = await run_until(app, (await started(app, image())).id, State.RUNNING)
    await app.jobs.cancel(job.id, ME)
    assert await asked_of_others(app) == {job.id: clock.now()}


async def test_others_are_asked_once_however_long_one_waits(
    app: App, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await run_until(app, (await started(app, image())).id, State.RUNNING)
    asked: list[str] = []

    async def ask(job_id: str, *_: object) -> None:
        asked.append(job_id)

    async def told(_: object) -> None:
        clock.advance(20)
        app.bus.changed(job.id)

    monkeypatch.setattr(app.store, "ask", ask)
    with anyio.fail_after(5):
        await app.jobs.wait([job.id], ME, 60, told)
    assert asked == [job.id]


async def test_a_job_of_this_process_or_of_nobody_is_asked_about_here_alone(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(app.store, "ask", never)
    waiting = await started(app, image())
    await app.jobs.wait([waiting.id], ME, 0)
    assert job_ids(await app.bus.next_work(0)) == {waiting.id}
    await app.jobs.cancel(waiting.id, ME)
    mine = await run_until(app, (await started(app, image(prompt="two"))).id, State.RUNNING)
    app.bus.worker = "worker-1"
    await app.jobs.wait([mine.id], ME, 0)
    assert mine.id in job_ids(await app.bus.next_work(0))


async def test_what_has_ended_is_not_asked_about(app: App) -> None:
    done = await succeed(app, await started(app, image()))
    await app.bus.next_work(0)
    await app.jobs.wait([done.id], ME, 60)
    assert job_ids(await app.bus.next_work(0)) == set()


async def test_a_full_disk_keeps_nobody_from_an_answer(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await run_until(app, (await started(app, image())).id, State.RUNNING)

    async def full(*_: object) -> None:
        raise StorageFull("The disk is full.")

    monkeypatch.setattr(app.store, "ask", full)
    assert await app.jobs.wait([job.id], ME, 0) == [job]


def job_ids(wake: Wake) -> set[str]:
    return set(wake.asked)
