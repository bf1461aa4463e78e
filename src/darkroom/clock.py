"""Time, injected: the only place that reads a clock."""

import time
from typing import Protocol

import anyio


class Clock(Protocol):
    """What the rest of darkroom may know about time."""

    def now(self) -> int:
        """Return wall-clock milliseconds since 1970 (UTC); may jump."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back; stops while the machine sleeps on some systems."""
        ...

    def boot(self) -> float:
        """Return seconds since boot, sleep included where the system can tell; comparable between processes."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> int:  # noqa: D102 - described by the protocol
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:  # noqa: D102 - described by the protocol
        return time.monotonic()

    def boot(self) -> float:  # noqa: D102 - described by the protocol
        boottime = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if boottime is None else time.clock_gettime(boottime)

    async def sleep(self, seconds: float) -> None:  # noqa: D102 - described by the protocol
        await anyio.sleep(seconds)
