"""A process may end at any point: the next one goes on, and nothing is started twice."""

from typing import Any

import pytest

from darkroom.domain.job import State
from darkroom.domain.run import RunState
from darkroom.domain.workflow import StepState, Unit, Work
from darkroom.errors import ProviderFailed
from helpers_flow import SCRIPT, Killed, World, flow, image

SKILL: dict[str, Any] = {"id": "plan", "kind": "skill", "skill": "storyboarding", "task": "x"}


def _untimed(world: World) -> dict[str, Unit]:
    return {
        key: unit.model_copy(update={"started_at": None, "ended_at": None}) for key, unit in world.work().steps.items()
    }


@pytest.mark.parametrize("thinks", [False, True])
async def test_a_run_that_is_broken_off_at_any_point_ends_as_one_that_is_not(thinks: bool) -> None:
    whole = World(flow(), thinks=thinks)
    await whole.to_the_end()
    assert whole.run.state is RunState.SUCCEEDED
    assert whole.points > 20
    for point in range(1, whole.points + 1):
        world = World(flow(), thinks=thinks)
        world.kill_at = point
        run = await world.to_the_end()
        assert (run.state, run.output, run.data) == (whole.run.state, whole.run.output, whole.run.data), point
        assert world.calls == whole.calls, point
        assert _untimed(world) == _untimed(whole), point
        assert {action.key for action in run.actions} == set(whole.calls), point


async def test_a_retry_that_is_broken_off_at_any_point_makes_no_third_attempt() -> None:
    points = 1
    for point in range(1, 100):
        world = World(flow(image("one"), image("two"), SKILL))
        await world.think()
        world.finish("job_run_1/one/1", State.FAILED, ProviderFailed("No."))
        start = world.points
        world.kill_at = start + point
        run = await world.to_the_end()
        assert run.state is RunState.SUCCEEDED
        assert set(world.calls) == {"run_1/one/1", "run_1/one/2", "run_1/two/1"}
        if world.points - start < point:
            break
        points = point
    assert points > 8


async def test_what_was_started_and_not_noted_before_a_failure_is_awaited_and_kept() -> None:
    reached, noted = 0, 0
    for point in range(1, 30):
        agent = {"id": "ask", "kind": "agent", "agent": "copy", "task": "x", "after": ["two"]}
        behind = [image("three", after=["two"]), agent, {**SKILL, "after": ["two"]}, image("four", after=["three"])]
        world = World(flow(image("one", retries=0), image("two"), *behind), thinks=True)
        await world.think()
        world.finish("job_run_1/two/1")
        world.kill_at = world.points + point
        world.claim()
        try:
            await world.engine.think(world.run, "worker-1")
        except Killed:
            reached += 1
        world.kill_at = None
        world.finish("job_run_1/one/1", State.FAILED, ProviderFailed("No."))
        run = await world.to_the_end()
        assert run.state is RunState.FAILED
        units = world.work().steps.values()
        assert {unit.id for unit in units if unit.id} == {*world.jobs, *world.runs}, point
        assert {action.key for action in run.actions} == set(world.calls), point
        assert "run_1/four/1" not in world.calls
        assert all(unit.over for unit in units)
        noted += "run_1/three/1" in world.calls
    assert reached > 6
    assert noted > 3


async def test_a_cancel_stops_also_what_was_started_and_not_noted() -> None:
    reached = 0
    for point in range(1, 12):
        world = World(flow(SCRIPT, image("one"), image("two"), SKILL), thinks=True)
        world.kill_at = point
        world.claim()
        try:
            await world.engine.think(world.run, "worker-1")
        except Killed:
            reached += 1
        world.run = world.run.model_copy(update={"cancel_requested_at": 1})
        world.kill_at = None
        run = await world.think() if not world.run.ended else world.run
        assert run.state is RunState.CANCELLED
        assert set(world.cancelled) == {*world.jobs, *world.runs}, point
    assert reached > 6


async def test_a_cancel_that_comes_while_the_engine_is_at_work_is_heard() -> None:
    steps = [{**SCRIPT, "id": "a"}, image("b", for_each="{steps.a.beats}", arguments={"prompt": "{item.picture}"})]
    world = World(flow(*steps))
    world.claim()
    engine = world.engine
    claimed = world.run
    world.run = world.run.model_copy(update={"cancel_requested_at": 1})  # a flag changes no version
    run = await engine.think(claimed, "worker-1")
    assert run is not None
    assert run.state is RunState.CANCELLED
    assert not world.jobs


async def test_what_is_kept_of_a_run_can_be_read_again() -> None:
    world = World(flow())
    await world.think()
    work = Work.model_validate(world.run.work)
    assert work.unit("script").state is StepState.SUCCEEDED
    assert work.lists == {"frames": 2, "clips": 2}
    assert work.dump() == world.run.work
