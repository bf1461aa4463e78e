"""One of several processes that make the same calls at the same moment; run as a script by the test of that."""

import sys
from pathlib import Path

import anyio
import anyio.to_thread

from darkroom.app import App
from darkroom.domain.request import ImageRequest
from darkroom.services.caps import Terms
from darkroom.services.generation import Started
from darkroom.settings import Settings

CALLS = 17
SAID_BY = b"ready\n"
"""What a process says once only the calls are left to be made; it then waits for a line."""


async def main(manifests: Path, key: str | None) -> None:
    made: list[Started] = []
    request = ImageRequest(prompt="a red fox", model="acme-pro")
    app = await anyio.to_thread.run_sync(lambda: App(Settings.load(providers_dir=manifests)))

    async def call() -> None:
        started = await app.generation.start(request, Terms(idempotency_key=key))
        assert isinstance(started, Started)
        made.append(started)

    async with app.running(advance=False):
        await app.opened()
        await app.generation.start(request, Terms(dry_run=True))  # files are read now, so that the calls meet
        sys.stdout.buffer.write(SAID_BY)
        sys.stdout.buffer.flush()
        await anyio.to_thread.run_sync(sys.stdin.readline)
        async with anyio.create_task_group() as tasks:
            for _ in range(CALLS):
                tasks.start_soon(call)
    for one in made:
        sys.stdout.write(f"{one.job.id} {one.created}\n")


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2] or None)
