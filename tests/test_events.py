"""Waiters hear of changes at once, and only of their own."""

import anyio
import pytest

from darkroom.events import LOOKS_AT_ONCE, LOOKS_PER_S, Bus, Progress, Wake, Watch

pytestmark = pytest.mark.anyio


async def test_a_waiter_hears_of_its_jobs_and_of_no_other() -> None:
    bus = Bus()
    with bus.watch("a", "b") as watch:
        bus.changed("c")
        assert not await watch.wait(0)
        bus.changed("b")
        assert await watch.wait(0)
        assert not await watch.wait(0)
    bus.changed("a")
    assert not watch.changed.is_set()


async def test_some_look_at_once_and_the_rest_one_after_the_other() -> None:
    bus = Bus()
    waits = [bus.turn(50.0) for _ in range(LOOKS_AT_ONCE + LOOKS_PER_S)]
    assert waits[:LOOKS_AT_ONCE] == [0.0] * LOOKS_AT_ONCE
    assert waits[LOOKS_AT_ONCE:] == sorted(waits[LOOKS_AT_ONCE:])
    assert waits[-1] == pytest.approx(1, abs=0.01)
    assert bus.turn(60.0, 2 * LOOKS_PER_S) == 0
    assert bus.turn(60.0) == pytest.approx(2 - LOOKS_AT_ONCE / LOOKS_PER_S)


async def test_a_change_between_two_waits_is_not_lost() -> None:
    bus = Bus()
    with bus.watch("a") as watch, anyio.fail_after(5):
        bus.changed("a")
        bus.changed("a")
        assert await watch.wait(60)


async def test_a_change_ends_a_wait_that_is_under_way() -> None:
    bus = Bus()
    heard: list[bool] = []

    async def listen(watch: Watch) -> None:
        heard.append(await watch.wait(60))

    with bus.watch("a") as watch, anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen, watch)
            await anyio.wait_all_tasks_blocked()
            assert heard == []
            bus.changed("a")
    assert heard == [True]


async def test_a_negative_wait_ends_at_once() -> None:
    with Bus().watch("a") as watch, anyio.fail_after(5):
        assert not await watch.wait(-3)


async def test_two_waiters_of_one_job_both_hear() -> None:
    bus = Bus()
    with bus.watch("a") as one, bus.watch("a") as two:
        bus.changed("a")
        assert await one.wait(0)
        assert await two.wait(0)


async def test_what_another_process_wrote_may_concern_everybody() -> None:
    bus = Bus()
    with bus.watch("a") as watch:
        bus.elsewhere()
        assert await watch.wait(0)
    assert await bus.next_work(0) == Wake(work=True, asked=frozenset())


async def test_progress_is_told_when_it_is_new() -> None:
    bus = Bus()
    with bus.watch("a") as watch:
        bus.progress("a", Progress(0.5, "half"))
        assert await watch.wait(0)
        bus.progress("a", Progress(0.5, "half"))
        assert not await watch.wait(0)
    assert bus.progress_of("a") == Progress(0.5, "half")
    assert bus.all_progress() == {"a": Progress(0.5, "half")}


async def test_progress_is_forgotten_with_its_job() -> None:
    bus = Bus()
    bus.progress("a", Progress())
    bus.all_progress().clear()
    assert bus.progress_of("a") == Progress(None, None)
    bus.forget("a")
    bus.forget("a")
    assert bus.progress_of("a") is None


async def test_work_and_questions_are_told_once() -> None:
    bus = Bus()
    bus.work()
    bus.ask("a")
    bus.ask("b")
    bus.ask("a")
    assert await bus.next_work(60) == Wake(work=True, asked=frozenset({"a", "b"}))
    assert await bus.next_work(0) == Wake(work=False, asked=frozenset())
    bus.ask("a")
    assert await bus.next_work(60) == Wake(work=False, asked=frozenset({"a"}))


async def test_a_tick_wakes_without_saying_that_there_is_work() -> None:
    bus = Bus()
    with anyio.fail_after(5):
        bus.tick()
        assert await bus.next_work(60) == Wake(work=False, asked=frozenset())
        assert await bus.next_work(-1) == Wake(work=False, asked=frozenset())


async def test_who_watches_all_hears_of_moves_and_not_of_mere_progress() -> None:
    bus = Bus()
    with bus.watch_all() as watch:
        bus.progress("a", Progress(0.5))
        assert not await watch.wait(0)
        for say in (lambda: bus.changed("a"), bus.run_work, bus.elsewhere):
            say()
            assert await watch.wait(0)
    bus.changed("a")
    assert not watch.changed.is_set()


# Runs


async def woken(bus: Bus) -> bool:
    """Return whether the one who advances runs does not have to wait."""
    done = anyio.Event()

    async def wait() -> None:
        await bus.next_run_work(3600)
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    return done.is_set()


async def test_the_one_who_advances_runs_is_woken_by_runs_by_jobs_and_by_other_processes() -> None:
    bus = Bus()
    assert not await woken(bus)
    for wake in (bus.run_work, bus.elsewhere, lambda: bus.changed("job_1")):
        wake()
        wake()
        assert await woken(bus)
        assert not await woken(bus), "it was told"


async def test_progress_of_a_job_tells_its_waiters_and_advances_no_run() -> None:
    bus = Bus()
    with bus.watch("job_1") as watch:
        bus.progress("job_1", Progress(0.5))
        assert await watch.wait(0)
    assert not await woken(bus)


async def test_a_wait_for_runs_ends_in_its_time() -> None:
    with anyio.move_on_after(5) as scope:
        await Bus().next_run_work(-1)
        await Bus().next_run_work(0.01)
    assert not scope.cancelled_caught


async def test_what_happens_during_a_wait_for_runs_ends_it() -> None:
    bus = Bus()
    with anyio.move_on_after(5) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus.next_run_work, 3600)
            await anyio.wait_all_tasks_blocked()
            bus.run_work()
    assert not scope.cancelled_caught
