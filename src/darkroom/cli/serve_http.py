"""`darkroom serve --http`: the MCP server over HTTP, in one process or several that share a port."""

import json
import multiprocessing
import multiprocessing.process
import os
import signal
import socket
import threading
import time
from contextlib import suppress
from functools import cache
from typing import Any

import uvicorn
from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from darkroom.app import App
from darkroom.cli.console import EXIT_FAILED, EXIT_USAGE, err, fail, load_settings, run
from darkroom.collecting import staying
from darkroom.server.answering import ENDING
from darkroom.server.build import DarkroomServer
from darkroom.server.http import PATH, http_app, is_loopback
from darkroom.settings import Settings
from darkroom.telemetry import configure_logging

STOP_S = 2
ENDED_S = 10.0
"""After how long a process whose parent is gone ends in the middle of whatever it does."""
BACKLOG = 2048
ACCEPTED = 128
"""Connections that are accepted in one go: where no more can be opened, each that fails is a line of the log."""
HEADER_S = 20.0
"""How long a caller may take to send the headers of a request."""
MOST_OPEN = 65_536
SHARE = 0.8
"""Of the files that a process may have open, those that connections may take."""
BOUND = "_DARKROOM_SERVE"
"""Tells the processes that share the port how they were started."""


def serve_http(*, host: str, port: int, workers: int, log_json: bool, log_level: str) -> None:
    """Serve until a signal arrives; jobs that are not finished go on when darkroom runs again.

    Listens on other addresses than loopback only where there are tokens.
    """
    settings = load_settings()
    guarded = run(_guarded)
    if not guarded:
        _refuse_open(settings, host)
    with _bound(host, port) as listening:
        os.environ[BOUND] = json.dumps({"host": host, "log_json": log_json, "log_level": log_level})
        address = f"http://{_shown(host)}:{listening.getsockname()[1]}{PATH}"
        asks = "with a bearer token" if guarded else "for this machine alone, without tokens"
        err.print(f"darkroom serves MCP at {settings.public_url or address} {asks}.", markup=False)
        _serve(listening, workers)


def _refuse_open(settings: Settings, host: str) -> None:
    """End the program where others than this machine's users could come in without a token."""
    if not is_loopback(host):
        how = f"listen on {host}"
    elif settings.public_url or settings.allowed_hosts:
        how = f"serve {settings.public_url or settings.allowed_hosts[0]}"
    else:
        return
    fail(
        f"darkroom does not {how} without tokens: everybody who reaches it could spend your money. Make one with "
        "'darkroom token add NAME', or leave --host, DARKROOM_PUBLIC_URL and DARKROOM_ALLOWED_HOSTS out to serve this "
        "machine alone.",
        EXIT_USAGE,
    )


async def _guarded(app: App) -> bool:
    return await app.tokens.any()


def _serve(listening: socket.socket, workers: int) -> None:
    config = uvicorn.Config(
        "darkroom.cli.serve_http:application",
        factory=True,
        http=Patient,
        backlog=ACCEPTED,
        workers=workers,
        lifespan="on",
        log_config=None,
        access_log=False,  # addresses of outputs are signed, and a log is no place for them
        server_header=False,
        timeout_graceful_shutdown=STOP_S,
    )
    if workers == 1:
        uvicorn.Server(config).run(sockets=[listening])
    else:
        Multiprocess(config, sockets=[listening]).run()


class Patient(H11Protocol):
    """Connections of which none waits for ever for a request, and not so many that no file can be opened any more."""

    _late: Any = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
        else:
            self._late = self.loop.call_later(HEADER_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Wait no longer once all headers are there, and anew for the next request."""
        super().data_received(data)
        cycle: Any = self.cycle  # none before the first request, whatever its type says
        waits = cycle is None or cycle.response_complete
        if waits and self._late is None:
            self._late = self.loop.call_later(HEADER_S, self.transport.abort)
        elif not waits:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Have what is under way answered: the server begins to end."""
        if ENDING in self.app_state:
            self.app_state[ENDING]()
        super().shutdown()

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


@cache
def most_connections() -> int:
    """Return how many connections one process takes; the system is asked for more open files first."""
    try:
        import resource
    except ImportError:  # not on Windows, which has other bounds
        return MOST_OPEN
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN)
    if soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return int(soft * SHARE)


def application() -> ASGIApp:
    """Return what one process serves; uvicorn calls this in each."""
    _end_with_parent()
    AppStatus.disable_automatic_graceful_drain()  # which cuts streams off before they are answered
    told = json.loads(os.environ[BOUND])
    configure_logging(level=told["log_level"], as_json=told["log_json"])
    settings = Settings.load()
    with staying():
        return http_app(DarkroomServer(App(settings).running), settings, host=told["host"])


def _end_with_parent() -> None:
    """Have this process end when the one that started it as one of several does, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), name="parent", daemon=True).start()


def _end_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()  # by a pipe that the system closes
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ENDED_S)
    os._exit(1)  # so that the port is free in any case


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens there, or end the program with the reason."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        if os.name == "posix":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host.strip("[]"), port))
        listening.listen(BACKLOG)
    except OSError as exc:
        listening.close()
        fail(f"darkroom cannot listen on {_shown(host)}:{port}: {exc.strerror}. Try another --port.", EXIT_FAILED)
    listening.set_inheritable(True)
    return listening


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
