"""Progress notices while a call waits."""

import math
from collections.abc import Sequence

from darkroom.domain.job import Job
from darkroom.server.context import ToolCall
from darkroom.server.run_views import run_progress
from darkroom.services.runs import Thing

TELL_EVERY_S = 1.0


class Teller:
    """Turns changes of jobs and runs into progress notices whose value always grows."""

    def __init__(self, call: ToolCall) -> None:
        self._call = call
        self._last_at = -math.inf
        self._last_value = 0.0
        self._last_states: list[str] = []

    async def tell(self, things: Sequence[Thing]) -> None:
        """Report how far they are, at every change of a state and otherwise at most once a second."""
        now = self._call.program.clock.monotonic()
        states = [thing.state.value for thing in things]
        if states == self._last_states and now - self._last_at < TELL_EVERY_S:
            return
        self._last_at, self._last_states = now, states
        told = [await self._one(thing) for thing in things]
        value = max(100 * sum(fraction for fraction, _ in told) / len(told), self._last_value + 0.01)
        self._last_value = round(value, 2)
        await self._call.report(self._last_value, 100.0, "; ".join(message for _, message in told[:3]))

    async def say(self, words: str) -> None:
        """Report something that is no news of a job or run."""
        self._last_value = round(self._last_value + 0.01, 2)
        await self._call.report(self._last_value, 100.0, words)

    async def _one(self, thing: Thing) -> tuple[float, str]:
        """Return how far one is, from 0 to 1, and in words."""
        if not isinstance(thing, Job):
            fraction, note = run_progress(thing)
            return fraction, f"run {thing.state}{f': {note}' if note else ''}"
        progress = None if thing.ended else await self._call.program.jobs.progress(thing)
        fraction = 1.0 if thing.ended else (progress.fraction or 0.0) if progress else 0.0
        note = f": {progress.message}" if progress and progress.message else ""
        return fraction, f"{thing.kind} {thing.state}{note}"
