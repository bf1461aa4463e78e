"""`darkroom worker --linger`: goes on with paid work when hosts close their servers; started by them, not by people."""

from typing import Annotated

import anyio
import typer

from darkroom.app import App
from darkroom.cli.console import EXIT_USAGE, fail, load_settings
from darkroom.cli.serve import stop_on_signal
from darkroom.errors import StorageError
from darkroom.telemetry import configure_logging


def worker(
    linger: Annotated[bool, typer.Option("--linger", help="Go on until nothing is left to do, then end.")] = False,
) -> None:
    """Move unfinished jobs forward without a host; servers start this when they are closed."""
    if not linger:
        fail("Say --linger: a worker that stays is not there yet.", EXIT_USAGE)
    app = App(load_settings(), lingers=True)
    configure_logging(level="INFO", as_json=False)
    try:
        anyio.run(_work, app)
    except* StorageError as group:
        fail("; ".join(getattr(exc, "message", "") for exc in group.exceptions))


async def _work(app: App) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop_on_signal, tasks.cancel_scope, app.closed)
        async with app.running(advance=False):
            await app.linger()
        tasks.cancel_scope.cancel()
