"""The caps of runs: what a caller says of one, and what the settings say of any call."""

from decimal import Decimal

import pytest

from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Run
from darkroom.services.caps import Caps, OfRun, of_run
from darkroom.settings import Settings

OUTER = OfRun("run_1", "run_1", MicroUsd(900_000))
INNER = OfRun("run_2", "run_1", MicroUsd(200_000), MicroUsd(900_000))


def capped(caps: Caps, run: OfRun | None) -> list[tuple[str | None, int]]:
    return [(limit.run_id, limit.cap) for limit in caps.in_run(run, "local")]


@pytest.fixture
def free() -> Caps:
    return Caps(Settings.model_construct(max_cost=None, principals={}))


@pytest.fixture
def bound() -> Caps:
    return Caps(Settings.model_construct(max_cost=Decimal("0.5"), principals={}))


def test_without_a_run_or_any_cap_nothing_is_held_against(free: Caps) -> None:
    assert capped(free, None) == []
    assert capped(free, OfRun("run_1", "run_1")) == []


def test_a_run_is_held_to_its_own_cap_and_to_that_of_the_run_around_it(free: Caps) -> None:
    assert capped(free, OUTER) == [("run_1", 900_000)]
    assert capped(free, INNER) == [("run_2", 200_000), ("run_1", 900_000)]


def test_what_one_call_may_cost_holds_for_the_whole_run(bound: Caps) -> None:
    assert capped(bound, OUTER) == [("run_1", 500_000)]
    assert capped(bound, OfRun("run_1", "run_1", MicroUsd(100_000))) == [("run_1", 100_000)]
    assert capped(bound, INNER) == [("run_2", 200_000), ("run_1", 500_000)]
    assert capped(bound, OfRun("run_2", "run_1")) == [("run_1", 500_000)]


def test_a_run_says_what_it_is_part_of() -> None:
    run = Run(id="run_2", principal="local", task="t", request_hash="h", created_at=1, updated_at=1)
    assert of_run(run) == OfRun("run_2", "run_2")
    inside = run.model_copy(update={"root_run_id": "run_1", "max_cost": 5, "root_max_cost": 9})
    assert of_run(inside) == OfRun("run_2", "run_1", MicroUsd(5), MicroUsd(9))
