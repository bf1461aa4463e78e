"""`darkroom serve`: the MCP server on stdin and stdout."""

import os
import signal
import sys

import anyio

from darkroom.late import Late
from darkroom.server.build import DarkroomServer
from darkroom.settings import Settings, SettingsError
from darkroom.telemetry import configure_logging

EXIT_SETTINGS = 2
STOP_S = 2.0
LAST_ANSWERS_S = 0.5


def serve(*, log_json: bool = False, log_level: str = "WARNING") -> None:
    """Serve until stdin ends or a signal arrives; then give back what is held within two seconds."""
    try:
        settings = Settings.load()
    except SettingsError as exc:
        sys.stderr.write(f"darkroom cannot start: {exc}\n")
        raise SystemExit(EXIT_SETTINGS) from exc
    late = Late(settings)
    server = DarkroomServer(late.running)
    configure_logging(level=log_level, as_json=log_json)
    anyio.run(_serve, server, late.closed)
    sys.stderr.flush()
    # Everything is stored; the thread that reads stdin cannot be interrupted, and no stray print may reach the wire.
    os._exit(0)


async def _serve(server: DarkroomServer, closed: anyio.Event) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stop_on_signal, tasks.cancel_scope, closed)
        tasks.start_soon(_end_unread, server)
        await server.run_stdio_async()
        tasks.cancel_scope.cancel()


async def _end_unread(server: DarkroomServer) -> None:
    """End the process soon after stdin: a write that nobody reads would keep it for ever."""
    await server.stdin_ended.wait()
    await anyio.sleep(LAST_ANSWERS_S)
    sys.stderr.flush()
    os._exit(0)


async def stop_on_signal(scope: anyio.CancelScope, closed: anyio.Event) -> None:
    """End the process on a signal, once everything is given back: a thread that reads stdin would keep it for ever."""
    if sys.platform == "win32":
        await anyio.sleep_forever()
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            break
    scope.cancel()
    with anyio.move_on_after(STOP_S, shield=True):
        await closed.wait()
    os._exit(0)
