"""The agent loop's door: cheap to import, since what thinks takes seconds to load."""

import os
from importlib import import_module
from typing import Any

import anyio
import anyio.to_thread

from darkroom.domain.run import Run
from darkroom.domain.sampling import Sampler
from darkroom.llm.kit import LoopKit


def _load() -> Any:
    os.environ.setdefault("PYDANTIC_AI_NO_BANNER", "1")  # else it advertises on stderr
    thinking = import_module("darkroom.llm.thinking")
    thinking.as_json([])  # builds what checks conversations, which takes half a second
    return thinking


class Loop:
    """Advances runs of agents, with a language model of ours or the caller's own."""

    def __init__(self, kit: LoopKit) -> None:
        self._kit = kit
        self._loading = anyio.Lock()
        self._thinking: Any = None

    async def think(self, run: Run, owner: str, *, sampler: Sampler | None = None) -> Run | None:
        """Advance a claimed run until it ends, waits or is given back, and return it as it then is.

        Args:
            run: In state running, owned by `owner`.
            owner: Who claimed it.
            sampler: The caller's own model, which then thinks.

        Returns:
            The run in its newest version; None where it is somebody else's by now.

        Raises:
            StorageError: If it cannot be kept; it goes on where it was, with whoever claims it next.
        """
        async with self._loading:
            self._thinking = self._thinking or await anyio.to_thread.run_sync(_load)
        return await self._thinking.think(self._kit, run, owner, sampler)
