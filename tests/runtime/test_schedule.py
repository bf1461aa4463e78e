"""When jobs are looked at again."""

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.catalog.calls import PollBounds
from darkroom.domain.kinds import Kind
from darkroom.runtime import schedule

ANY = PollBounds()
seconds = st.floats(min_value=0.01, max_value=1_000)


@pytest.mark.parametrize(
    ("kind", "age_s", "bounds", "hint_s", "expected"),
    [
        pytest.param(Kind.IMAGE, 0, ANY, None, 2.0, id="pictures start at two seconds"),
        pytest.param(Kind.VIDEO, 0, ANY, None, 5.0, id="clips start at five seconds"),
        pytest.param(Kind.IMAGE, 2.5, ANY, None, 3.0, id="the pause grows by half"),
        pytest.param(Kind.IMAGE, 60, ANY, None, 10.0, id="up to ten seconds"),
        pytest.param(Kind.VIDEO, 60, ANY, None, 10.0, id="for clips too"),
        pytest.param(Kind.VIDEO, 121, ANY, None, 30.0, id="half a minute after two minutes"),
        pytest.param(Kind.IMAGE, 0, PollBounds(first_s=0.1, max_s=1), None, 0.1, id="the manifest says the first"),
        pytest.param(Kind.IMAGE, 500, PollBounds(max_s=1), None, 1.0, id="the manifest says the longest"),
        pytest.param(Kind.IMAGE, 0, PollBounds(min_s=7), None, 7.0, id="the manifest says the shortest"),
        pytest.param(Kind.IMAGE, 0, ANY, 20, 20.0, id="a longer hint is obeyed"),
        pytest.param(Kind.IMAGE, 0, ANY, 0.5, 0.5, id="a shorter hint too"),
        pytest.param(Kind.IMAGE, 0, PollBounds(min_s=1), 0.5, 1.0, id="but not below the manifest's shortest"),
        pytest.param(Kind.IMAGE, 0, PollBounds(max_s=15), 99, 15.0, id="nor above its longest"),
    ],
)
def test_the_pause_between_two_polls(
    kind: Kind, age_s: float, bounds: PollBounds, hint_s: float | None, expected: float
) -> None:
    assert schedule.poll_interval(kind, age_s, bounds, hint_s) == pytest.approx(expected)


@given(
    kind=st.sampled_from(Kind),
    age_s=st.floats(min_value=0, max_value=1e6),
    low=seconds,
    more=seconds,
    first=st.none() | seconds,
    hint_s=st.none() | st.floats(min_value=0, max_value=1e4),
)
def test_the_manifests_bounds_hold_whatever_is_hinted(
    kind: Kind, age_s: float, low: float, more: float, first: float | None, hint_s: float | None
) -> None:
    bounds = PollBounds(first_s=first, min_s=low, max_s=low + more)
    assert low <= schedule.poll_interval(kind, age_s, bounds, hint_s) <= low + more


@given(kind=st.sampled_from(Kind), age_s=st.floats(min_value=0, max_value=1e6))
def test_the_pause_never_shrinks_with_age_and_stays_within_half_a_minute(kind: Kind, age_s: float) -> None:
    pause = schedule.poll_interval(kind, age_s, ANY)
    assert schedule.FIRST_S[kind] <= pause <= schedule.OLD_S
    assert pause <= schedule.poll_interval(kind, age_s * 2 + 1, ANY)


@given(kind=st.sampled_from(Kind), age_s=st.floats(min_value=0, max_value=1e6))
def test_parked_work_is_asked_for_less_often_than_running_work_of_any_age(kind: Kind, age_s: float) -> None:
    longest = schedule.jittered(schedule.poll_interval(kind, age_s, ANY), 1)
    assert 2 * longest <= schedule.PARKED_S


@pytest.mark.parametrize(
    ("kind", "bounds", "expected"),
    [(Kind.IMAGE, ANY, 1.0), (Kind.VIDEO, ANY, 1.0), (Kind.IMAGE, PollBounds(min_s=0.1), 0.1)],
)
def test_asking_brings_no_poll_sooner_than_the_floor(kind: Kind, bounds: PollBounds, expected: float) -> None:
    assert schedule.floor_s(kind, bounds) == expected


@given(pause=seconds, luck=st.floats(min_value=0, max_value=1))
def test_jitter_moves_a_pause_by_a_tenth_at_most(pause: float, luck: float) -> None:
    assert 0.9 * pause <= schedule.jittered(pause, luck) * (1 + 1e-9)
    assert schedule.jittered(pause, luck) <= 1.1 * pause * (1 + 1e-9)


def test_pictures_have_a_quarter_of_an_hour_and_clips_an_hour() -> None:
    assert schedule.deadline_ms(Kind.IMAGE, 1_000) == 1_000 + 900_000
    assert schedule.deadline_ms(Kind.VIDEO, 1_000) == 1_000 + 3_600_000


@pytest.mark.parametrize(
    ("attempt", "retry_after_s", "expected"),
    [(0, None, 2.0), (1, None, 2.0), (2, None, 4.0), (3, None, 8.0), (50, None, 60.0), (1, 17.0, 17.0), (1, 0.0, 0.0)],
)
def test_a_refused_submission_waits_as_told_or_twice_as_long_each_time(
    attempt: int, retry_after_s: float | None, expected: float
) -> None:
    assert schedule.refusal_pause(attempt, retry_after_s) == expected


@given(failures=st.integers(min_value=0, max_value=10_000))
def test_trouble_is_retried_within_a_minute_always(failures: int) -> None:
    assert 1 <= schedule.trouble_pause(failures) <= schedule.trouble_pause(failures + 1) <= 60


# Whose turn it is


async def took_turns(gate: schedule.Gate, *ranks: float, cancelled: float | None = None) -> list[float]:
    """Return in which order these had their turn, who came one after the other while somebody had the only one."""
    order: list[float] = []
    scopes = {rank: anyio.CancelScope() for rank in ranks}

    async def wait(rank: float) -> None:
        with scopes[rank]:
            async with gate.turn(rank):
                order.append(rank)

    async with anyio.create_task_group() as tasks, gate.turn(0):
        for rank in ranks:
            tasks.start_soon(wait, rank)
            await anyio.wait_all_tasks_blocked()
        if cancelled is not None:
            scopes[cancelled].cancel()
            await anyio.wait_all_tasks_blocked()
        assert order == []
    return order


@pytest.mark.anyio
async def test_the_lowest_rank_has_its_turn_first_whoever_came_first() -> None:
    assert await took_turns(schedule.Gate(1), 3, float("inf"), 1, 2) == [1, 2, 3, float("inf")]


@pytest.mark.anyio
async def test_who_has_the_same_rank_has_its_turn_in_the_order_of_coming() -> None:
    gate, order = schedule.Gate(1), list[str]()

    async def wait(name: str) -> None:
        async with gate.turn(1):
            order.append(name)

    async with anyio.create_task_group() as tasks, gate.turn(0):
        for name in "abc":
            tasks.start_soon(wait, name)
            await anyio.wait_all_tasks_blocked()
    assert order == ["a", "b", "c"]


@pytest.mark.anyio
async def test_only_so_many_have_their_turn_at_once() -> None:
    gate, inside, most = schedule.Gate(2), 0, 0

    async def enter() -> None:
        nonlocal inside, most
        async with gate.turn(1):
            inside += 1
            most = max(most, inside)
            await anyio.wait_all_tasks_blocked()
            inside -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(enter)
        await anyio.wait_all_tasks_blocked()
    assert most == 2


@pytest.mark.anyio
async def test_one_that_no_longer_waits_takes_nobodys_turn() -> None:
    gate = schedule.Gate(1)
    assert await took_turns(gate, 1, 2, 3, cancelled=2) == [1, 3]
    assert await took_turns(gate, 5) == [5]
    assert await took_turns(gate, 1, 5, 2, 6, 7, 3, cancelled=1) == [2, 3, 5, 6, 7]


@pytest.mark.anyio
async def test_one_that_is_cancelled_just_when_its_turn_comes_passes_it_on() -> None:
    gate, order, scope = schedule.Gate(1), list[int](), anyio.CancelScope()

    async def first() -> None:
        with scope:
            async with gate.turn(1):
                order.append(1)

    async def second() -> None:
        async with gate.turn(2):
            order.append(2)

    async with anyio.create_task_group() as tasks, gate.turn(0):
        for each in (first, second):
            tasks.start_soon(each)
            await anyio.wait_all_tasks_blocked()
        scope.cancel()
    assert order == [2]


@pytest.mark.anyio
async def test_a_turn_ends_with_its_block_whatever_happens_in_it() -> None:
    gate = schedule.Gate(1)
    with pytest.raises(ZeroDivisionError):
        async with gate.turn(1):
            raise ZeroDivisionError
    with anyio.fail_after(20):
        async with gate.turn(1):
            pass
