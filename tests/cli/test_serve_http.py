"""Connections of the HTTP server: none waits for ever for a request, and there are never too many."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
import pytest
import uvicorn
from anyio.abc import SocketStream
from starlette.responses import PlainTextResponse

from darkroom.cli import serve_http

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform == "win32", reason="other bounds there")]
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n"
LIMIT_S = 60


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[int]:
    """Where a server of one answer listens."""
    config = uvicorn.Config(PlainTextResponse("hello"), http=serve_http.Patient, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    monkeypatch.setattr(server, "capture_signals", _nothing)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listening])
        yield listening.getsockname()[1]
        server.should_exit = True


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: Any) -> None: ...


async def connected(port: int) -> SocketStream:
    return await anyio.connect_tcp("127.0.0.1", port)


async def read(stream: SocketStream) -> bytes:
    """Return what comes until the other side closes."""
    got = b""
    with anyio.fail_after(LIMIT_S):
        try:
            while True:
                got += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return got


async def test_who_never_finishes_a_request_is_let_go(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_http, "HEADER_S", 1.5)
    for begun in (b"", b"G", ASK, ASK + b"\r\n" + ASK):
        async with await connected(port) as stream:
            if begun:
                await stream.send(begun)
            got = await read(stream)
        assert (b"hello" in got) is (begun.count(b"GET") == 2)


async def test_who_asks_is_answered_as_often_as_it_likes(port: int) -> None:
    async with await connected(port) as stream:
        for _ in range(3):
            await stream.send(ASK + b"\r\n")
            got = b""
            with anyio.fail_after(LIMIT_S):
                while b"hello" not in got:
                    got += await stream.receive()
            assert got.startswith(b"HTTP/1.1 200")


async def test_there_are_never_more_than_files_can_be_opened(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_http, "most_connections", lambda: 2)
    async with await connected(port), await connected(port), await connected(port) as third:
        assert await read(third) == b""


def test_processes_that_share_the_port_end_when_their_parent_is_gone() -> None:
    command = [sys.executable, "-m", "darkroom", "serve", "--http", "--port", "0", "--workers", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stderr is not None
            port = int(re.findall(r":(\d+)/mcp", parent.stderr.readline())[0])
            assert until(lambda: answers(port))
        finally:
            parent.kill()
        assert until(lambda: not answers(port)), "somebody still listens"
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", port))


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            return plain.recv(12) == b"HTTP/1.1 200"
    except OSError:
        return False


def until(happens: Callable[[], bool]) -> bool:
    """Return whether something happens within a bound far above what it takes."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if happens():
            return True
        time.sleep(0.05)
    return False


def test_the_bound_is_below_that_of_open_files() -> None:
    import resource

    serve_http.most_connections.cache_clear()
    most = serve_http.most_connections()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 0 < most < soft
