"""Waiting for jobs and runs: the one loop behind every call that waits."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from darkroom.clock import Clock
from darkroom.events import Bus

T = TypeVar("T")
TELL_EVERY_S = 5.0


async def wait_until(
    look: Callable[[], Awaitable[tuple[T, bool]]],
    *,
    ids: Sequence[str],
    bus: Bus,
    clock: Clock,
    seconds: float,
    ask: Callable[[T], Awaitable[None]],
    tell: Callable[[T], Awaitable[None]] | None = None,
) -> T:
    """Look until what is looked at has come to rest, or for that many seconds; `tell` hears of every look between.

    Thousands who wait take turns, and look less often then.

    Args:
        look: Returns what is there, and whether waiting longer brings nothing.
        ids: The jobs and runs whose changes wake it.
        bus: Tells of changes.
        clock: Tells the time.
        seconds: How long to wait at most.
        ask: Has what is there looked after now; called once, after the first look.
        tell: Hears what is there, about every five seconds and at every change.
    """
    end = clock.monotonic() + seconds
    with bus.watch(*ids) as watch:
        found, settled = await look()
        await ask(found)
        while not settled and not bus.ending and (left := end - clock.monotonic()) > 0:
            if tell is not None:
                await tell(found)
            await watch.wait(min(left, TELL_EVERY_S))
            if bus.ending:  # thousands who looked once more would not be answered in time
                break
            now = clock.monotonic()
            queued = min(watch.turn(now), end - now)
            if queued > 0:
                await clock.sleep(queued)
                await watch.wait(0)  # what changed meanwhile is seen by this very look
            found, settled = await look()
        return found
