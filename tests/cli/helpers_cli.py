"""A stand-in for the draft engine that answers within the submitting call."""

from dataclasses import dataclass

import anyio.to_thread
from PIL import Image

from darkroom.adapters.base import Call, Failed, Json, Pending, Succeeded
from darkroom.domain.money import FREE
from darkroom.domain.output import RemoteOutput


@dataclass
class QuickPictures:
    """Makes pictures of one colour; raises `error` where one is set."""

    error: Exception | None = None

    def adapter(self, provider_id: str) -> "QuickPictures":
        assert provider_id == "draft"
        return self

    async def aclose(self) -> None:
        return None

    async def submit(self, call: Call) -> Succeeded:
        if self.error is not None:
            raise self.error
        return Succeeded(await anyio.to_thread.run_sync(_make, call), cost=FREE)

    async def poll(self, operation: Json, call: Call) -> Pending | Succeeded | Failed:
        return await self.submit(call)


def _make(call: Call) -> tuple[RemoteOutput, ...]:
    paths = [call.scratch / f"{number}.png" for number in range(call.request.n)]
    for path in paths:
        Image.new("RGB", (call.request.width, call.request.height), (200, 30, 60)).save(path)
    return tuple(RemoteOutput(path=str(path), media_type="image/png") for path in paths)
