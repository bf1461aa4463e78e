"""Further tries of what costs nothing: polls, downloads, uploads; never of a submission."""

from collections.abc import Awaitable, Callable, Sequence
from random import uniform
from typing import TYPE_CHECKING, TypeVar

from darkroom.clock import Clock
from darkroom.errors import DarkroomError, Overloaded, ProviderFailed, RateLimited

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")
PAUSES_S = (1.0, 2.0, 4.0)
LONGEST_S = 60.0
"""A provider that asks for a longer pause is asked again by the schedule, not here."""


async def retried(work: Callable[[], Awaitable[T]], clock: Clock, pauses: Sequence[float] = PAUSES_S) -> T:
    """Return what `work` returns, trying again after trouble that may pass: pauses with full jitter, or as told.

    Raises:
        DarkroomError: The last one, when none of the tries succeeded, or the first that no further try can mend.
    """
    try:
        return await work()  # nearly always all there is to it
    except DarkroomError as exc:
        if not _may_pass(exc):
            raise
        first = iter([exc])

    from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

    async def after_the_first() -> T:
        for failed in first:
            raise failed
        return await work()

    def pause(state: "RetryCallState") -> float:
        error = state.outcome.exception() if state.outcome else None
        told = error.retry_after_s if isinstance(error, DarkroomError) else None
        # The library asks for a pause after the last try too, before it sees that there is no other.
        return uniform(0, pauses[min(state.attempt_number, len(pauses)) - 1]) if told is None else told

    again = AsyncRetrying(
        sleep=clock.sleep,
        stop=stop_after_attempt(len(pauses) + 1),
        wait=pause,
        retry=retry_if_exception(_may_pass),
        reraise=True,
    )
    return await again(after_the_first)


def _may_pass(error: BaseException) -> bool:
    """Return whether a further try within a minute may mend it; another error that is `retryable` is so for callers."""
    passing = isinstance(error, Overloaded | RateLimited | ProviderFailed)
    return passing and (error.retry_after_s or 0) <= LONGEST_S
