"""States, their moves, and ids: what holds for all of them."""

import re
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.domain.job import (
    ACTIVE,
    ENDED,
    MOVES,
    REPLAYS,
    Ref,
    State,
    derive,
    may_move,
    new_id,
    output_id,
)
from factories import make_job, make_submission

states = st.sampled_from(State)
many_states = st.lists(states, min_size=1, max_size=8)
times = st.integers(min_value=0, max_value=2**45 - 1)


def reachable(origin: State) -> set[State]:
    found: set[State] = set()
    front = {origin}
    while front:
        found |= front
        front = {target for state in front for target in MOVES[state]} - found
    return found


def test_every_state_has_its_moves_and_is_active_or_ended() -> None:
    assert set(MOVES) == set(State) == ACTIVE | ENDED
    assert not ACTIVE & ENDED


def test_every_state_is_reached_from_queued() -> None:
    assert reachable(State.QUEUED) == set(State)


@given(states)
def test_every_state_can_end_and_none_moves_to_itself(state: State) -> None:
    assert reachable(state) & ENDED
    assert not may_move(state, state)


@given(states, states, st.booleans())
def test_what_has_ended_moves_no_more(origin: State, target: State, replayable: bool) -> None:
    if origin in ENDED:
        assert not may_move(origin, target, replayable=replayable)


@given(states)
def test_success_comes_only_from_downloading(origin: State) -> None:
    assert may_move(origin, State.SUCCEEDED) == (origin is State.DOWNLOADING)


@given(states)
def test_only_what_was_provably_not_taken_is_queued_again(origin: State) -> None:
    assert may_move(origin, State.QUEUED) == (origin is State.SUBMITTING)
    assert may_move(origin, State.QUEUED, replayable=True) == (origin in REPLAYS)


@given(states)
def test_only_what_is_queued_is_sent(origin: State) -> None:
    assert may_move(origin, State.SUBMITTING, replayable=True) == (origin is State.QUEUED)


@given(states, states)
def test_what_is_replayable_may_do_all_that_others_may(origin: State, target: State) -> None:
    if may_move(origin, target):
        assert may_move(origin, target, replayable=True)
    elif may_move(origin, target, replayable=True):
        assert target is State.QUEUED


@given(many_states)
def test_the_state_of_a_job_is_that_of_one_of_its_parts(parts: list[State]) -> None:
    assert derive(parts) in parts


@given(states)
def test_the_state_of_a_job_with_one_part_is_its_state(state: State) -> None:
    assert derive([state]) is state
    assert make_job(parts=[{"state": state}]).state is state


@given(many_states)
def test_a_job_has_ended_when_all_its_parts_have(parts: list[State]) -> None:
    assert (derive(parts) in ENDED) == all(part in ENDED for part in parts)
    job = make_job(parts=[{"state": part} for part in parts])
    assert job.ended == (job.state in ENDED)


@given(st.lists(st.sampled_from(sorted(ENDED)), min_size=1))
def test_a_job_that_ended_has_succeeded_when_any_part_did(parts: list[State]) -> None:
    assert (derive(parts) is State.SUCCEEDED) == (State.SUCCEEDED in parts)


@given(many_states)
def test_neither_order_nor_repetition_of_the_parts_matters(parts: list[State]) -> None:
    assert derive(reversed(parts)) is derive(parts) is derive(parts * 2)


@given(many_states, many_states)
def test_parts_may_be_derived_in_groups(left: list[State], right: list[State]) -> None:
    assert derive([derive(left), derive(right)]) is derive(left + right)


def test_any_two_states_have_one_that_is_louder() -> None:
    assert {derive(pair) for pair in permutations(State, 2)} == set(State) - {State.CANCELLED}


def test_a_job_without_parts_has_no_state() -> None:
    with pytest.raises(ValueError, match="empty"):
        derive([])


@given(times)
def test_an_id_has_its_prefix_and_sixteen_plain_characters(now: int) -> None:
    assert re.fullmatch(r"job_[0-9a-hjkmnp-tv-z]{16}", new_id("job", now))


@given(times, times)
def test_ids_sort_by_their_time(first: int, second: int) -> None:
    if first != second:
        assert (new_id("job", first) < new_id("job", second)) == (first < second)


@given(times)
def test_ids_of_the_same_time_differ_in_their_last_seven_characters(now: int) -> None:
    ids = {new_id("job", now) for _ in range(20)}
    assert len(ids) == 20
    assert len({identity[:-7] for identity in ids}) == 1


@given(times, st.integers(1, 10), st.integers(1, 10))
def test_the_id_of_an_output_names_its_job_and_its_place(now: int, first: int, second: int) -> None:
    job_id = new_id("job", now)
    assert output_id(job_id, first) == f"out_{job_id.removeprefix('job_')}_{first}"
    assert (output_id(job_id, first) == output_id(job_id, second)) == (first == second)


def test_a_submission_is_named_in_its_version() -> None:
    assert make_submission(idx=2, version=7).ref == Ref(job_id="job_0000000000000001", idx=2, version=7)


def test_the_error_of_a_job_is_the_first_of_its_parts() -> None:
    assert make_job().error is None
    failed = {"state": State.FAILED}
    parts = [{}, failed | {"error": {"code": "a"}}, failed | {"error": {"code": "b"}}]
    assert make_job(parts=parts).error == {"code": "a"}
