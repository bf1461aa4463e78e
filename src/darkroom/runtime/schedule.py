"""When to look again, when to give up, and whose turn it is."""

import heapq
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count

import anyio

from darkroom.catalog.calls import PollBounds
from darkroom.domain.kinds import Kind

LONG = frozenset({Kind.VIDEO, Kind.MUSIC, Kind.RESEARCH, Kind.SLIDES})
"""What takes minutes rather than seconds."""
FIRST_S = {kind: 5.0 if kind in LONG else 2.0 for kind in Kind}
DEADLINE_S = {kind: (60 if kind in LONG else 15) * 60.0 for kind in Kind}
GROWTH = 1.5
LONGEST_S = 10.0
OLD_AFTER_S = 120.0
OLD_S = 30.0
PARKED_S = 300.0
JITTER = 0.1
REFUSED_S = (2.0, 60.0)
"""First and longest pause after a provider refused a submission for now."""


def poll_interval(kind: Kind, age_s: float, bounds: PollBounds, hint_s: float | None = None) -> float:
    """Return the seconds from one poll to the next, for work of that age.

    From 2 s (5 s for what takes minutes, as clips do), growing by half with each interval of age to 10 s, and 30 s
    after two minutes; held within the manifest's bounds. A provider's own hint is longer than the interval or has
    no effect below it.
    """
    interval = bounds.first_s or FIRST_S[kind]
    reached = interval
    while reached < age_s and interval < LONGEST_S:
        interval = min(interval * GROWTH, LONGEST_S)
        reached += interval
    if age_s > OLD_AFTER_S:
        interval = OLD_S
    if hint_s is not None:
        interval = max(hint_s, bounds.min_s or 0.0) if hint_s < interval else hint_s
    return min(max(interval, bounds.min_s or 0.0), bounds.max_s or max(interval, OLD_S))


def floor_s(kind: Kind, bounds: PollBounds) -> float:
    """Return the seconds that must lie between two polls even when somebody asks."""
    return bounds.min_s or min(1.0, FIRST_S[kind] / 2)


def jittered(seconds: float, luck: float) -> float:
    """Return the interval moved by up to a tenth either way; `luck` is from 0 to 1."""
    return seconds * (1 + JITTER * (2 * luck - 1))


def deadline_ms(kind: Kind, accepted_at: int) -> int:
    """Return when to park a submission that was accepted then and is still not done."""
    return accepted_at + int(DEADLINE_S[kind] * 1000)


def refusal_pause(attempt: int, retry_after_s: float | None) -> float:
    """Return the seconds before a refused submission is sent again: what the provider says, else doubling."""
    first, longest = REFUSED_S
    return retry_after_s if retry_after_s is not None else min(first * 2 ** max(0, attempt - 1), longest)


def trouble_pause(failures: int) -> float:
    """Return the seconds before a poll or a download is tried again after that many failures in a row."""
    return min(2.0 ** min(failures, 6), 60.0)


class Gate:
    """Lets so many through at once, and those who wait by their rank: the lowest first."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._waiting: list[tuple[float, int, anyio.Event]] = []
        self._number = count()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    @asynccontextmanager
    async def turn(self, rank: float) -> AsyncGenerator[None]:
        """Wait for a turn and have it for the block."""
        if self._room:
            self._room -= 1
        else:
            await self._wait(rank)
        try:
            yield
        finally:
            self._leave()

    async def _wait(self, rank: float) -> None:
        mine = (rank, next(self._number), anyio.Event())
        heapq.heappush(self._waiting, mine)
        try:
            await mine[2].wait()
        except BaseException:
            if mine[2].is_set():
                self._leave()
            else:
                self._waiting.remove(mine)
                heapq.heapify(self._waiting)
            raise

    def _leave(self) -> None:
        if self._waiting:
            heapq.heappop(self._waiting)[2].set()
        else:
            self._room += 1
