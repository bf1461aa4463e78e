from collections.abc import Awaitable, Callable

import pytest

from darkroom.errors import (
    DarkroomError,
    InvalidRequest,
    Overloaded,
    ProviderFailed,
    RateLimited,
    StorageFull,
    UnexpectedAnswer,
)
from darkroom.net.retry import retried
from factories import FakeClock


def failing(*errors: Exception) -> tuple[Callable[[], Awaitable[str]], list[int]]:
    """Return work that raises these in order and then succeeds, and the list of its tries."""
    left = list(errors)
    tries: list[int] = []

    async def work() -> str:
        tries.append(len(tries) + 1)
        if left:
            raise left.pop(0)
        return "done"

    return work, tries


@pytest.mark.parametrize("kind", [Overloaded, RateLimited, ProviderFailed])
async def test_trouble_that_may_pass_is_met_with_three_more_tries(kind: type[DarkroomError]) -> None:
    clock = FakeClock()
    work, tries = failing(kind("1"), kind("2"), kind("3"))
    assert await retried(work, clock) == "done"
    assert len(tries) == 4
    assert all(0 <= slept <= most for slept, most in zip(clock.slept, (1, 2, 4), strict=True))


async def test_the_last_error_is_raised_when_no_try_succeeds() -> None:
    clock = FakeClock()
    work, tries = failing(*(Overloaded(str(number)) for number in range(1, 9)))
    with pytest.raises(Overloaded, match="4"):
        await retried(work, clock)
    assert len(tries) == 4
    assert len(clock.slept) == 3


@pytest.mark.parametrize(
    "error", [InvalidRequest("no"), UnexpectedAnswer("a page"), StorageFull("full"), KeyError("a bug")]
)
async def test_what_no_further_try_mends_is_raised_at_once(error: Exception) -> None:
    clock = FakeClock()
    work, tries = failing(error)
    with pytest.raises(type(error)):
        await retried(work, clock)
    assert (len(tries), clock.slept) == (1, [])


async def test_a_pause_that_the_provider_names_is_kept() -> None:
    clock = FakeClock()
    work, _ = failing(RateLimited("slow down", retry_after_s=17.5), Overloaded("x", retry_after_s=0))
    assert await retried(work, clock) == "done"
    assert clock.slept == [17.5, 0]


async def test_a_pause_of_more_than_a_minute_is_left_to_the_schedule() -> None:
    clock = FakeClock()
    work, tries = failing(RateLimited("slow down", retry_after_s=61))
    with pytest.raises(RateLimited):
        await retried(work, clock)
    assert (len(tries), clock.slept) == (1, [])


async def test_pauses_may_be_given() -> None:
    clock = FakeClock()
    work, tries = failing(Overloaded("1"), Overloaded("2"))
    with pytest.raises(Overloaded, match="2"):
        await retried(work, clock, pauses=(5,))
    assert len(tries) == 2
