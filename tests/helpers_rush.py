"""One of several processes that spend the same budget at the same moment; run as a script by the test of that."""

import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import anyio.to_thread

from darkroom.app import App
from darkroom.domain.request import ImageRequest
from darkroom.errors import BudgetExceeded
from darkroom.services.caps import Terms
from darkroom.services.generation import Started
from darkroom.settings import Settings
from helpers_same_call import SAID_BY


async def main(manifests: Path, numbers: Sequence[str]) -> None:
    answers: list[str] = []
    app = await anyio.to_thread.run_sync(lambda: App(Settings.load(providers_dir=manifests)))

    async def call(number: str) -> None:
        try:
            started = await app.generation.start(ImageRequest(prompt=f"fox {number}", model="acme-pro"), Terms())
        except BudgetExceeded:
            answers.append("refused")
            return
        assert isinstance(started, Started)
        assert started.created
        answers.append(started.job.id)

    async with app.running(advance=False):
        await app.opened()
        first = ImageRequest(prompt="fox", model="acme-pro")
        await app.generation.start(first, Terms(dry_run=True))  # files are read now, so that the calls meet
        sys.stdout.buffer.write(SAID_BY)
        sys.stdout.buffer.flush()
        await anyio.to_thread.run_sync(sys.stdin.readline)
        async with anyio.create_task_group() as tasks:
            for number in numbers:
                tasks.start_soon(call, number)
    sys.stdout.write("".join(f"{answer}\n" for answer in answers))


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2:])
