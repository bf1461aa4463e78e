"""Answers over HTTP that end before they are complete: with a token that is over, or with the process."""

import json
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

import anyio
from mcp_types import INVALID_REQUEST
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from darkroom.server.listening import LISTEN

ENDING = "darkroom.ending"
"""Where the state of the server holds what is to be called when it begins to end."""
GRACE_S = 1.0
"""How long calls under way may take to answer once the process ends."""
STOPPING = -32000
Serve = Callable[[Send], Awaitable[None]]


class Answering:
    """One answer under way, which somebody may break off; its caller is told then, unless it is complete."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str | int | None) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._id = request_id
        self._begun = self._streams = self._complete = False
        self._reason: JSONResponse | None = None
        self._work = anyio.CancelScope()

    def break_off(self, reason: JSONResponse, after_s: float = 0.0) -> None:
        """End the answer unless it is complete by then; where nothing of it was sent, `reason` is sent in its place."""
        self._reason = reason
        self._work.deadline = anyio.current_time() + after_s

    async def serve(self, serve: Serve) -> None:
        """Have an application answer."""
        with self._work:
            await serve(self._sent)
        if self._reason is None or self._complete or not self._work.cancel_called:
            return
        if not self._begun:
            await self._reason(self._scope, self._receive, self._send)
        elif self._streams:
            await self._send({"type": "http.response.body", "body": self._last(self._reason), "more_body": False})

    def _last(self, reason: JSONResponse) -> bytes:
        """Return the last event of a stream; of one that belongs to no request there is nothing to say."""
        if self._id is None:
            return b""
        told = {**json.loads(bytes(reason.body)), "id": self._id}
        return b"event: message\r\ndata: " + json.dumps(told).encode() + b"\r\n\r\n"

    async def _sent(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun = True
            self._streams = Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream")
        elif not message.get("more_body", False):
            self._complete = True
        await self._send(message)


class Ending:
    """Whether the process is about to end, and what is still to be answered then."""

    def __init__(self) -> None:
        told = "The server is stopping. Jobs that are stored go on when it runs again; check_job lists them."
        self._reason = refusal(503, told, {"Retry-After": "5"}, code=STOPPING)
        self._begun = False
        self._under_way: dict[Answering, str] = {}

    def begin(self) -> None:
        """Say that it ends; a server says so once for every connection."""
        if not self._begun:
            self._begun = True
            for answer, method in self._under_way.items():
                self._break_off(answer, method)

    @contextmanager
    def bounding(self, answer: Answering, method: str) -> Generator[None]:
        """Break an answer off when the process ends: a stream without end at once, a call if it takes too long."""
        self._under_way[answer] = method
        if self._begun:
            self._break_off(answer, method)
        try:
            yield
        finally:
            del self._under_way[answer]

    def _break_off(self, answer: Answering, method: str) -> None:
        answer.break_off(self._reason, GRACE_S if method and method != LISTEN else 0.0)


def refusal(
    status: int,
    told: str,
    headers: dict[str, str] | None = None,
    request_id: str | int | None = None,
    code: int = INVALID_REQUEST,
) -> JSONResponse:
    """Return an HTTP answer that is an error of JSON-RPC."""
    error = {"code": code, "message": told}
    return JSONResponse({"jsonrpc": "2.0", "id": request_id, "error": error}, status, headers)
