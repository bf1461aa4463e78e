"""Runs the draft adapter as the runtime does: submit, then poll until it ends."""

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anyio
from PIL import Image

from darkroom.adapters.base import Accepted, Blob, Call, Failed, Json, Pending, Succeeded
from darkroom.adapters.draft.adapter import DraftAdapter
from darkroom.catalog.providers import Offer, Provider
from darkroom.catalog.ranges import DurationRange
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.output import RemoteOutput
from darkroom.domain.request import Effective, MediaInput

LIMIT_S = 50
"""Bound of every wait; far above what the work takes."""
_numbers = count(1)


class Harness:
    """One adapter and the folder that its files go to."""

    def __init__(self, folder: Path, adapter: DraftAdapter) -> None:
        self.folder, self.adapter = folder, adapter

    def call(
        self,
        prompt: str = "a sailing boat at sunset on a calm sea",
        *,
        mode: Mode = Mode.TEXT_TO_IMAGE,
        size: tuple[int, int] = (320, 180),
        inputs: Sequence[tuple[Role, Path]] = (),
        scene_pictures: Sequence[Path] = (),
        **fields: Any,
    ) -> Call:
        """Return a call; `fields` go into the request."""
        key = f"submission-{next(_numbers)}"
        scratch = self.folder / key
        scratch.mkdir()
        video = mode not in {Mode.TEXT_TO_IMAGE, Mode.EDIT_IMAGE, Mode.REFERENCE_TO_IMAGE}
        more: dict[str, Any] = {"duration": 1.0, **fields} if video and mode is not Mode.TIMELINE else fields
        request = Effective(
            kind=Kind.VIDEO if video else Kind.IMAGE,
            mode=mode,
            prompt=prompt,
            width=size[0],
            height=size[1],
            aspect_ratio="16:9",
            inputs=tuple(MediaInput(src=str(path), role=role) for role, path in inputs),
            **more,
        )
        pictures = [*inputs, *((Role.FIRST_FRAME, path) for path in scene_pictures)]
        offer = Offer(model="draft", operations=(mode,), duration=DurationRange(max_s=15) if video else None)
        return Call(
            job_id="job",
            submit_key=key,
            provider=Provider(id="draft", title="Draft", offers=(offer,)),
            offer=offer,
            request=request,
            inputs=tuple(Blob(path, role, "image/png", "0" * 64, 8, 8) for role, path in pictures),
            credentials={},
            scratch=scratch,
            spool=scratch / "answer.spool",
            now=0,
        )

    async def submit(self, call: Call) -> Json:
        """Submit and return the operation."""
        answer = await self.adapter.submit(call)
        assert isinstance(answer, Accepted)
        assert answer.provider_job_id == call.submit_key
        return answer.operation

    async def end(self, operation: Json, call: Call) -> Succeeded | Failed:
        """Poll until the job has ended."""
        with anyio.fail_after(LIMIT_S):
            while isinstance(answer := await self.adapter.poll(operation, call), Pending):
                assert answer.poll_after_s is not None
                await anyio.sleep(0.02)
        return answer

    async def until_running(self, operation: Json, call: Call, message: str = "") -> None:
        """Poll until the worker has begun, and says `message` where one is given."""
        with anyio.fail_after(LIMIT_S):
            while True:
                answer = await self.adapter.poll(operation, call)
                assert isinstance(answer, Pending), answer
                if answer.message != "waiting for its turn" and message in str(answer.message):
                    return
                await anyio.sleep(0.01)

    async def run(self, prompt: str = "a sailing boat at sunset on a calm sea", **options: Any) -> Succeeded:
        """Run one job to its good end."""
        call = self.call(prompt, **options)
        answer = await self.end(await self.submit(call), call)
        assert isinstance(answer, Succeeded), answer.error
        assert not list(call.scratch.glob(".*")), "a temporary file was left"
        return answer

    async def files(self, prompt: str = "a sailing boat at sunset on a calm sea", **options: Any) -> list[Path]:
        """Run one job and return its files."""
        return paths_of(await self.run(prompt, **options))


def paths_of(done: Succeeded) -> list[Path]:
    """Return the files of a job that succeeded."""
    return [Path(str(output.path)) for output in done.outputs if isinstance(output, RemoteOutput)]


@asynccontextmanager
async def harness(folder: Path, idle_s: float = 60) -> AsyncGenerator[Harness]:
    """Open an adapter, and close it with its workers."""
    adapter = DraftAdapter(idle_s)
    try:
        yield Harness(folder, adapter)
    finally:
        await adapter.aclose()


def pixels(path: Path) -> bytes:
    """Return the pixels of a file."""
    with Image.open(path) as picture:
        return picture.convert("RGB").tobytes()


def paint(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (200, 120)) -> Path:
    """Write a picture of one colour, its left third darker."""
    picture = Image.new("RGB", size, colour)
    red, green, blue = colour
    picture.paste((red // 2, green // 2, blue // 2), (0, 0, size[0] // 3, size[1]))
    picture.save(path)
    return path


def alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"
