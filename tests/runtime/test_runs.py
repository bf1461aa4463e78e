"""Runs are claimed, advanced a few at once, put off in trouble, and gone on with by another process."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
from helpers_runtime import LIMIT_S, Rig, failing, rig_in, until

from darkroom.clock import SystemClock
from darkroom.domain.job import new_id
from darkroom.domain.run import Awaits, Mode, Question, Run, RunState
from darkroom.errors import StorageFull
from darkroom.runtime import embedded as embedded_module
from darkroom.runtime import runs as module
from darkroom.runtime.embedded import Embedded
from darkroom.runtime.liveness import Presence
from darkroom.runtime.runs import MOST, PAUSE_S, TRIES, Later, RunScheduler
from darkroom.store.run_base import RunChange
from factories import make_worker
from helpers_runs import make_run

OWNER = "worker-1"
FULL = StorageFull("The disk is full.")
Think = Callable[[Run, str], Awaitable[Run | None]]


class Thinks:
    """Does with every run what a test says."""

    def __init__(self, then: Think) -> None:
        self._then = then

    async def think(self, run: Run, owner: str) -> Run | None:
        return await self._then(run, owner)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, so that a test waits for nothing."""
    monkeypatch.setattr(module, "SCAN_S", 0.01)
    for name, seconds in (("SCAN_S", 0.02), ("WATCH_S", 0.02), ("BEATS", 750), ("CLAIM_S", 3600.0), ("GRACE_S", 0.05)):
        monkeypatch.setattr(embedded_module, name, seconds)


@pytest.fixture
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a made-up second pass between two looks."""
    monkeypatch.setattr(module, "CALM_S", 1.0)


async def add(rig: Rig, **fields: Any) -> Run:
    now = rig.clock.now()
    values = {"principal": "local", "task": "t", "created_at": now, "updated_at": now, **fields}
    name = new_id("run", now)
    run = Run.model_validate({"id": name, "request_hash": name, **values})
    return (await rig.store.runs.add(run)).run


async def now_is(rig: Rig, run: Run) -> Run:
    found = await rig.store.runs.get(run.id)
    assert found is not None
    return found


async def finish(rig: Rig, run: Run, owner: str = OWNER, **change: Any) -> Run | None:
    return await rig.store.runs.save(run, owner, RunChange(rig.clock.now(), target=RunState.SUCCEEDED, **change))


def ending(rig: Rig) -> Think:
    async def think(run: Run, owner: str) -> Run | None:
        return await finish(rig, run, owner)

    return think


def stuck(seen: list[str]) -> Think:
    async def think(run: Run, owner: str) -> Run | None:
        del owner
        seen.append(run.id)
        await anyio.sleep_forever()
        return None

    return think


def scheduler_of(rig: Rig, think: Think | Mapping[Mode, Think], owner: str = OWNER) -> RunScheduler:
    thinkers = {mode: Thinks(think if callable(think) else think[mode]) for mode in Mode}
    return RunScheduler(store=rig.store.runs, thinkers=thinkers, bus=rig.bus, clock=rig.clock, owner=owner)


@asynccontextmanager
async def going(rig: Rig, think: Think | Mapping[Mode, Think], owner: str = OWNER) -> AsyncGenerator[RunScheduler]:
    """Advance runs as a registered process until the block ends."""
    scheduler = scheduler_of(rig, think, owner)
    await rig.store.register(make_worker(id=owner))
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scheduler.run)
            yield scheduler
            tasks.cancel_scope.cancel()


async def looked(rig: Rig) -> None:
    """Return once the scheduler has looked for work a few times more."""
    rig.clock.slept.clear()

    async def often() -> bool:
        return len(rig.clock.slept) > 3

    await until(often)


async def idle(scheduler: RunScheduler | Embedded) -> None:
    async def free() -> bool:
        return not scheduler.busy

    await until(free)


async def in_state(rig: Rig, run: Run, *states: RunState) -> Run:
    async def there() -> bool:
        return (await now_is(rig, run)).state in states

    await until(there)
    return await now_is(rig, run)


# Claiming


async def test_a_run_is_advanced_by_the_thinker_of_its_mode(rig: Rig) -> None:
    runs = {mode: await add(rig, mode=mode) for mode in Mode}
    thought: dict[Mode, str] = {}

    def of(mode: Mode) -> Think:
        async def think(run: Run, owner: str) -> Run | None:
            thought[mode] = run.id
            assert (run.state, run.owner, owner) == (RunState.RUNNING, OWNER, OWNER)
            return await finish(rig, run, owner)

        return think

    async with going(rig, {mode: of(mode) for mode in Mode}) as scheduler:
        for run in runs.values():
            await in_state(rig, run, RunState.SUCCEEDED)
    assert thought == {mode: run.id for mode, run in runs.items()}
    assert not scheduler.busy


async def test_a_run_that_comes_later_is_claimed_without_being_asked(rig: Rig) -> None:
    async with going(rig, ending(rig)):
        await in_state(rig, await add(rig), RunState.SUCCEEDED)
        await in_state(rig, await add(rig), RunState.SUCCEEDED)


async def test_so_many_are_advanced_at_once_and_no_more(rig: Rig) -> None:
    every = [await add(rig) for _ in range(MOST + 2)]
    gate, seen = anyio.Event(), list[str]()

    async def think(run: Run, owner: str) -> Run | None:
        seen.append(run.id)
        await gate.wait()
        return await finish(rig, run, owner)

    async with going(rig, think) as scheduler:

        async def full() -> bool:
            return len(seen) >= MOST

        await until(full)
        await looked(rig)
        assert (len(seen), scheduler.busy) == (MOST, True)
        gate.set()
        for run in every:
            await in_state(rig, run, RunState.SUCCEEDED)
    assert sorted(seen) == sorted(run.id for run in every)


async def test_who_stops_claiming_ends_what_it_holds_and_takes_nothing_more(rig: Rig) -> None:
    first, gate = await add(rig), anyio.Event()

    async def think(run: Run, owner: str) -> Run | None:
        await gate.wait()
        return await finish(rig, run, owner)

    async with going(rig, think) as scheduler:
        await in_state(rig, first, RunState.RUNNING)
        scheduler.stop_claiming()
        second = await add(rig)
        gate.set()
        await in_state(rig, first, RunState.SUCCEEDED)
        await idle(scheduler)
        await looked(rig)
        assert (await now_is(rig, second)).state is RunState.QUEUED


# Trouble


async def test_a_store_that_cannot_be_claimed_from_is_asked_again(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    run = await add(rig)
    rig.store.runs.claim = failing(2, FULL, rig.store.runs.claim)
    async with going(rig, ending(rig)):
        await in_state(rig, run, RunState.SUCCEEDED)
    assert caplog.text.count("could not claim runs: The disk is full.") == 2


@pytest.mark.usefixtures("swift")
async def test_a_run_that_cannot_be_stored_is_tried_again_as_often_as_it_takes(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    run, times = await add(rig), [2 * TRIES]

    async def think(run: Run, owner: str) -> Run | None:
        if times[0]:
            times[0] -= 1
            raise FULL
        return await finish(rig, run, owner)

    async with going(rig, think):
        done = await in_state(rig, run, RunState.SUCCEEDED, RunState.FAILED)
    assert (done.state, done.error) == (RunState.SUCCEEDED, None)
    assert caplog.text.count("waits for the store: The disk is full.") == 2 * TRIES


async def test_a_run_that_cannot_even_be_given_back_goes_on_once_the_disk_has_room(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    run, tried = await add(rig), list[str]()

    async def think(run: Run, owner: str) -> Run | None:
        tried.append(run.id)
        if len(tried) == 1:
            raise FULL
        return await finish(rig, run, owner)

    rig.store.runs.save = failing(3, FULL, rig.store.runs.save)
    async with going(rig, think):
        await in_state(rig, run, RunState.SUCCEEDED)
    assert caplog.text.count("could not be given back: The disk is full.") == 3
    assert len(tried) == 2


@pytest.mark.usefixtures("swift")
async def test_a_thinker_that_breaks_is_tried_later_and_later_and_then_the_run_fails(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    run, tried = await add(rig), list[int]()

    async def think(run: Run, owner: str) -> Run | None:
        del run, owner
        tried.append(rig.clock.now())
        raise ZeroDivisionError("secret")

    caplog.set_level(logging.CRITICAL)  # the trace is long
    async with going(rig, think):
        failed = await in_state(rig, run, RunState.FAILED)
    assert len(tried) == TRIES
    pauses = [(after - before) / 1000 for before, after in pairwise(tried)]
    assert [pause >= PAUSE_S * 2**number for number, pause in enumerate(pauses)] == [True] * (TRIES - 1)
    assert failed.error is not None
    assert failed.error["message"] == "The run failed inside darkroom: ZeroDivisionError."
    assert "run_agent" in failed.error["hint"]
    assert failed.owner is None


async def test_a_run_that_breaks_is_due_after_a_pause(rig: Rig) -> None:
    run = await add(rig)

    async def think(run: Run, owner: str) -> Run | None:
        del run, owner
        scheduler.stop_claiming()
        raise ZeroDivisionError

    async with going(rig, think) as scheduler:

        async def put_off() -> bool:
            return (await now_is(rig, run)).due_at > 0

        await until(put_off)
    found = await now_is(rig, run)
    assert (found.state, found.owner) == (RunState.QUEUED, None)
    assert found.due_at - found.updated_at == PAUSE_S * 1000


@pytest.mark.usefixtures("swift")
async def test_one_run_that_breaks_stops_no_other_and_its_mending_is_remembered(rig: Rig) -> None:
    bad, breaks = await add(rig), [TRIES - 1]

    async def think(run: Run, owner: str) -> Run | None:
        if run.id == bad.id and breaks[0]:
            breaks[0] -= 1
            raise ZeroDivisionError
        return await finish(rig, run, owner)

    async with going(rig, think) as scheduler:
        await in_state(rig, await add(rig), RunState.SUCCEEDED)
        await in_state(rig, bad, RunState.SUCCEEDED)
        await idle(scheduler)
        assert scheduler._failures == {}  # pyright: ignore[reportPrivateUsage] because nothing else tells that it is forgotten


async def test_a_run_that_somebody_else_has_by_now_is_left_alone(rig: Rig) -> None:
    run, calls = await add(rig), list[str]()

    async def think(run: Run, owner: str) -> Run | None:
        calls.append(owner)
        scheduler.stop_claiming()
        await rig.store.runs.save(run, owner, RunChange(rig.clock.now(), target=RunState.QUEUED))
        [other] = await rig.store.runs.claim("worker-2", rig.clock.now(), 1)
        assert other.owner == "worker-2"
        raise ZeroDivisionError

    async with going(rig, think) as scheduler:

        async def done() -> bool:
            return bool(calls) and not scheduler.busy

        await until(done)
    found = await now_is(rig, run)
    assert (found.state, found.owner, found.due_at) == (RunState.RUNNING, "worker-2", 0)


# Waiting


async def test_a_run_that_waits_for_a_job_goes_on_when_it_has_ended(rig: Rig) -> None:
    job, run = await rig.add(), await add(rig)

    async def think(run: Run, owner: str) -> Run | None:
        if run.waiting_for:
            return await finish(rig, run, owner)
        change = RunChange(rig.clock.now(), target=RunState.WAITING, awaits=Awaits.WORK, waiting_for=(job.id,))
        return await rig.store.runs.save(run, owner, change)

    async with going(rig, think):
        await in_state(rig, run, RunState.WAITING)
        await rig.store.request_cancel(job.id, "local", rig.clock.now())
        await in_state(rig, run, RunState.SUCCEEDED)


async def test_a_run_that_asks_goes_on_when_it_is_answered_and_not_before(rig: Rig) -> None:
    run = await add(rig)

    async def think(run: Run, owner: str) -> Run | None:
        if run.answers:
            return await finish(rig, run, owner, output=run.answers[0].text)
        question = Question(text="Which street?")
        told = RunChange(rig.clock.now(), target=RunState.WAITING, awaits=Awaits.ANSWER, question=question)
        return await rig.store.runs.save(run, owner, told)

    async with going(rig, think):
        await in_state(rig, run, RunState.WAITING)
        await rig.store.runs.answer(run.id, "local", "Mill Lane", rig.clock.now())
        assert (await in_state(rig, run, RunState.SUCCEEDED)).output == "Mill Lane"


# The end of a process


@pytest.mark.parametrize(("mode", "left"), [(Mode.LOOP, True), (Mode.HAND_OFF, False), (Mode.STEPS, False)])
async def test_only_a_conversation_that_costs_money_is_left_to_others(rig: Rig, mode: Mode, left: bool) -> None:
    run, seen = await add(rig, mode=mode), list[str]()
    async with going(rig, stuck(seen)) as scheduler:
        await in_state(rig, run, RunState.RUNNING)

        async def thinking() -> bool:
            return seen == [run.id]

        await until(thinking)
        assert not scheduler.left
    assert (scheduler.left, scheduler.busy) == (left, False)


async def test_a_conversation_that_had_ended_is_left_to_nobody(rig: Rig) -> None:
    run = await add(rig, mode=Mode.LOOP)
    async with going(rig, ending(rig)) as scheduler:
        await in_state(rig, run, RunState.SUCCEEDED)
        await idle(scheduler)
    assert not scheduler.left


def embedded_of(rig: Rig, think: Think, **more: Any) -> Embedded:
    owner = rig.kit.owner
    presence = Presence(rig.folder / "home" / "workers", owner, accounts=rig.kit.accounts.all())
    return Embedded(stepper=rig.stepper, presence=presence, runs=scheduler_of(rig, think, owner), **more)


@asynccontextmanager
async def living(rig: Rig, think: Think, **more: Any) -> AsyncGenerator[Embedded]:
    """Move jobs and runs forward until the block ends."""
    embedded = embedded_of(rig, think, **more)
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            await tasks.start(embedded.run)
            yield embedded
            tasks.cancel_scope.cancel()


async def test_another_process_goes_on_with_what_the_first_one_held(tmp_path: Path) -> None:
    async with rig_in(tmp_path, SystemClock()) as rig, rig_in(tmp_path, SystemClock()) as other:
        run, seen = await add(rig, mode=Mode.HAND_OFF), list[str]()
        async with living(rig, stuck(seen)) as first:
            held = await in_state(rig, run, RunState.RUNNING)
            assert (held.owner, first.busy) == (rig.kit.owner, True)
        freed = await now_is(rig, run)
        assert (freed.state, freed.owner) == (RunState.QUEUED, None)
        async with living(other, ending(other)) as second:
            await in_state(other, run, RunState.SUCCEEDED)
            await idle(second)
        moves = [(move.get("target"), move.get("owner")) for move in await other.store.runs.history(run.id)]
    assert moves[-2:] == [("running", other.kit.owner), ("succeeded", other.kit.owner)]


async def test_a_process_that_stops_claiming_takes_no_run_either(tmp_path: Path) -> None:
    async with rig_in(tmp_path, SystemClock()) as rig, living(rig, ending(rig)) as first:
        first.stop_claiming()
        watched, real = list[int](), rig.store.data_version

        async def watch() -> int:
            watched.append(await real())
            return watched[-1]

        rig.store.data_version = watch

        async def often() -> bool:
            return len(watched) > 3

        await until(often)  # a claim that was under way is through by then
        run, job = await add(rig), await rig.add()
        watched.clear()
        await until(often)
        assert (await now_is(rig, run)).state is RunState.QUEUED
        assert (await rig.part(job)).owner is None


class Leaving:
    """Counts how often another process is asked to go on."""

    def __init__(self) -> None:
        self.left = 0
        self.settled = 0

    async def leave(self) -> None:
        self.left += 1

    def settle(self) -> None:
        self.settled += 1

    async def takes(self, left: object) -> bool:
        del left
        return False


@pytest.mark.parametrize(("mode", "times"), [(Mode.LOOP, 1), (Mode.HAND_OFF, 0)])
async def test_a_conversation_that_is_broken_off_calls_for_another_process(
    tmp_path: Path, mode: Mode, times: int
) -> None:
    linger: Any = Leaving()
    async with rig_in(tmp_path, SystemClock()) as rig:
        run = await add(rig, mode=mode)
        async with living(rig, stuck([]), linger=linger):
            await in_state(rig, run, RunState.RUNNING)
    assert (linger.left, linger.settled) == (times, 1)


async def test_a_thinker_that_takes_a_moment_to_load_is_made_at_the_first_thought_and_once() -> None:
    made: list[str] = []

    class Slow:
        async def think(self, run: Run, owner: str) -> Run | None:
            return run.model_copy(update={"output": owner})

    def make() -> Slow:
        made.append("slow")
        return Slow()

    later = Later(make)
    assert made == []
    thought = [await later.think(make_run(), owner) for owner in ("a", "b")]
    assert [run and run.output for run in thought] == ["a", "b"]
    assert made == ["slow"]
