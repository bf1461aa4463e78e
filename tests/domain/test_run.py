"""Agent runs move along their table."""

import pytest

from darkroom.domain.run import ENDED, MOVES, RunState, in_run


def test_every_state_has_its_moves_and_only_an_ended_run_has_none() -> None:
    assert set(MOVES) == set(RunState)
    assert {state for state, targets in MOVES.items() if not targets} == ENDED


@pytest.mark.parametrize("state", sorted(set(RunState) - ENDED))
def test_a_run_that_is_under_way_can_be_cancelled_and_can_fail(state: RunState) -> None:
    assert {RunState.CANCELLED, RunState.FAILED} <= MOVES[state]
    assert state not in MOVES[state]


def test_a_waiting_run_goes_on_only_by_running() -> None:
    assert RunState.SUCCEEDED not in MOVES[RunState.WAITING]
    assert RunState.QUEUED in MOVES[RunState.RUNNING]


def test_every_end_can_be_reached_from_the_start() -> None:
    seen, fresh = {RunState.QUEUED}, {RunState.QUEUED}
    while fresh:
        fresh = {target for state in fresh for target in MOVES[state]} - seen
        seen |= fresh
    assert seen == set(RunState)


@pytest.mark.parametrize(
    ("hint", "kept"),
    [
        ("Nothing was stored or sent. Raise max_cost.", {"hint": "Raise max_cost."}),
        ("Nothing was stored or started.", {}),
        (None, {}),
        ("Set a key. Nothing was stored or sent.", {"hint": "Set a key. Nothing was stored or sent."}),
    ],
)
def test_a_stored_run_does_not_say_that_nothing_was_stored(hint: str | None, kept: dict[str, str]) -> None:
    assert in_run({"code": "x", "hint": hint}) == {"code": "x", **kept}
