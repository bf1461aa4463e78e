"""Answers over HTTP that are broken off, by a token that is over or by the end of the process, say so."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import nullcontext
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from helpers_http import META, PLAIN, Face, served
from helpers_server import ERAS, QuickDraft
from sse_starlette.sse import AppStatus
from starlette.responses import JSONResponse

from darkroom.app import App
from darkroom.cli import serve_http
from darkroom.server import answering, auth

pytestmark = pytest.mark.anyio
MODERN, HANDSHAKE = ERAS[0], "2025-11-25"
WAITING: dict[str, Any] = {"prompt": "a red fox", "size": "64x64", "wait": 45}
LISTENING: dict[str, Any] = {"notifications": {"resourceSubscriptions": ["darkroom://jobs"]}, "_meta": META}
LIMIT_S = 60


@pytest.fixture
async def face(app: App, quick: QuickDraft) -> AsyncGenerator[Face]:
    """A server whose pictures are never ready."""
    quick.ready = anyio.Event()
    async with served(app) as opened:
        await app.ready()
        yield opened


def asking(version: str, method: str, params: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a request."""
    named = {"Mcp-Method": method, **({"Mcp-Name": params["name"]} if "name" in params else {})}
    told = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    return json.dumps(told).encode(), {"MCP-Protocol-Version": version, **(named if version == MODERN else {})}


def events(answer: httpx2.Response) -> list[dict[str, Any]]:
    """Return the messages of an answer, whether it is a stream or not."""
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


async def broken_off(
    app: App, face: Face, version: str, break_off: Callable[[], Awaitable[None]], token: str | None = None
) -> httpx2.Response:
    """Return the answer to a call that waits for a picture when something breaks it off."""
    answers: list[httpx2.Response] = []
    params = {"name": "generate_image", "arguments": WAITING, "_meta": META}

    async def wait() -> None:
        body, headers = asking(version, "tools/call", params)
        answers.append(await face.post(body, token, **headers))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        while not await app.jobs.find("ann" if token else "local"):
            await anyio.lowlevel.checkpoint()
        await break_off()
    return answers[0]


async def test_a_call_whose_token_is_revoked_is_told_so(app: App, face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "LOOK_EVERY_S", 0.01)
    for version in (MODERN, HANDSHAKE):
        made, secret = await app.tokens.add("ann")

        async def revoke(token_id: str = made.id) -> None:
            await app.tokens.revoke(token_id)

        answer = await broken_off(app, face, version, revoke, secret)
        [told] = events(answer)
        assert "unknown, expired or revoked" in told["error"]["message"]
        if answer.status_code == 200:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert told["id"] == 7
        else:
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
        if version == MODERN:
            assert answer.status_code == 401


@pytest.mark.parametrize("version", [MODERN, HANDSHAKE])
async def test_a_call_that_waits_is_answered_with_its_job_when_the_server_ends(
    app: App, face: Face, version: str
) -> None:
    gate = face.asgi
    assert isinstance(gate, auth.Gate)

    async def end() -> None:
        gate.end()

    answer = await broken_off(app, face, version, end)
    [job] = await app.jobs.find("local")
    assert answer.status_code == 200
    told = events(answer)[-1]
    assert (told["id"], told["result"]["structuredContent"]["job_id"]) == (7, job.id)
    assert not job.ended


@pytest.mark.parametrize("version", [MODERN, HANDSHAKE])
async def test_what_takes_too_long_to_answer_is_told_that_the_server_stops(
    app: App, face: Face, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = face.asgi
    assert isinstance(gate, auth.Gate)
    monkeypatch.setattr(answering, "GRACE_S", 0.05)
    monkeypatch.setattr(app, "stop_waiting", lambda: None)

    async def end() -> None:
        gate.end()

    answer = await broken_off(app, face, version, end)
    [told] = events(answer)
    assert "The server is stopping" in told["error"]["message"]
    assert (answer.status_code, told["id"]) in ((503, None), (200, 7))


async def test_an_end_is_an_end_once_for_all_its_connections(
    app: App, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, told = face.asgi, list[float]()
    assert isinstance(gate, auth.Gate)
    break_off = answering.Answering.break_off

    def counted(self: answering.Answering, reason: JSONResponse, after_s: float = 0.0) -> None:
        told.append(after_s)
        break_off(self, reason, after_s)

    monkeypatch.setattr(answering.Answering, "break_off", counted)

    async def end() -> None:
        gate.end()
        gate.end()

    await broken_off(app, face, MODERN, end)
    assert told == [answering.GRACE_S]


def test_nothing_else_cuts_streams_off_when_the_server_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AppStatus, "enable_automatic_graceful_drain", True)
    monkeypatch.setattr(serve_http, "staying", nullcontext)

    def nothing(*, level: str, as_json: bool) -> None:
        del level, as_json

    monkeypatch.setattr(serve_http, "configure_logging", nothing)
    monkeypatch.setenv(serve_http.BOUND, json.dumps({"host": "127.0.0.1", "log_level": "WARNING", "log_json": False}))
    serve_http.application()
    assert not AppStatus.enable_automatic_graceful_drain


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal there")
async def test_a_server_ends_by_a_signal_without_a_trace_of_who_listened() -> None:
    command = [sys.executable, "-m", "darkroom", "serve", "--http", "--port", "0"]
    with anyio.fail_after(LIMIT_S):
        async with await anyio.open_process(command, stdout=subprocess.DEVNULL, env=dict(os.environ)) as server:
            assert server.stderr is not None
            said = b""
            while b"\n" not in said:
                said += await server.stderr.receive()
            url = f"http://127.0.0.1:{re.findall(r':([0-9]+)/mcp', said.decode())[0]}/mcp"
            body, headers = asking(MODERN, "subscriptions/listen", LISTENING)
            async with (
                httpx2.AsyncClient(headers={**PLAIN, **headers}, timeout=LIMIT_S) as http,
                http.stream("POST", url, content=body) as stream,
            ):
                heard = ""
                async for part in stream.aiter_text():
                    if not heard:
                        server.send_signal(signal.SIGTERM)
                    heard += part
            assert "The server is stopping" in heard
            rest = b"".join([part async for part in server.stderr])
            await server.wait()
    assert rest == b"", rest.decode()
