"""Who may come in over HTTP: bearer tokens, their scopes, and so many calls a minute."""

import json
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple, cast

import anyio
import anyio.to_thread
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp_types import PARSE_ERROR
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darkroom.domain.request import clip
from darkroom.domain.token import Scope as Right
from darkroom.domain.token import Token
from darkroom.domain.whole import is_whole
from darkroom.errors import StorageError
from darkroom.server.answering import ENDING, Answering, Ending, refusal
from darkroom.server.caller import Caller, present
from darkroom.server.context import LOCAL, Program
from darkroom.server.tools import TOOLS

READING = frozenset(tool.name for tool in TOOLS if tool.annotations.read_only_hint)
"""Tools that a token which may only look may call."""
WRITING = frozenset({"tasks/update", "tasks/cancel"})
TOO_MANY = -32000
LOOK_EVERY_S = 5.0
"""How often an answer under way looks whether its token still holds."""
BODY_S = 120.0
"""How long a request may take to arrive."""
log = logging.getLogger(__name__)
_PORT = re.compile(r"[^:]*(:\d{1,5})?")
LARGE = 1 << 20
"""Bytes of a body from which on it is read off the event loop."""
OVER = "The bearer token is unknown, expired or revoked."
Answer = JSONResponse
RequestId = str | int | None


class Asked(NamedTuple):
    """What a request asks for; empty texts where it does not say."""

    method: str = ""
    name: str = ""
    id: RequestId = None


class Gate:
    """ASGI middleware before `/mcp`: body limit, bearer tokens, scopes, calls a minute.

    Without any token ever made, everybody who reaches this server is `local`: it then listens on loopback alone.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        path: str,
        program: Callable[[], Awaitable[Program]],
        stop_waiting: Callable[[], None],
        base: Callable[[Scope], str],
        most_bytes: int,
    ) -> None:
        self._app = app
        self._path = path
        self._program = program
        self._stop_waiting = stop_waiting
        self._base = base
        self._most = most_bytes
        self._ending = Ending()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in or answer it."""
        # By its beginning: the routes further in take a line feed behind the path for its end.
        if scope["type"] == "lifespan":
            self._ending = Ending()
            scope.get("state", {})[ENDING] = self.end
        if scope["type"] != "http" or not scope["path"].startswith(self._path):
            await self._app(scope, receive, send)
            return
        if not _PORT.fullmatch(Headers(scope=scope).get("host", "").rpartition("]")[2]):
            await PlainTextResponse("Invalid Host header", 421)(scope, receive, send)  # the SDK looks at its beginning
            return
        try:
            token = await self._token(Headers(scope=scope))
        except StorageError as exc:
            log.warning("nobody can be let in: %s", exc.message)  # the path of the file is nobody's business
            told = f"The jobs of this server cannot be reached ({exc.code}). Nothing was stored."
            await refusal(503, told, {"Retry-After": "5"}, code=TOO_MANY)(scope, receive, send)
            return
        if isinstance(token, Answer):
            await _refuse(token, scope, receive, send)
            return
        asked = Asked()
        if scope["method"] == "POST":
            body = await self._body(scope, receive)
            read = body if isinstance(body, Answer) else await _read(body)
            refused = read if isinstance(read, Answer) else await self._refused(token, read)
            if refused is not None:
                await _refuse(refused, scope, receive, send)
                return
            asked, receive = cast("Asked", read), _replayed(cast("bytes", body), receive)
        await self._let_in(token, asked, scope, receive, send)

    async def _let_in(self, token: Token | None, asked: Asked, scope: Scope, receive: Receive, send: Send) -> None:
        who = Caller(LOCAL if token is None else token.principal, self._base(scope))
        user = None if token is None else _user(token)
        marks = (present.set(who), auth_context_var.set(user))
        if user is not None:
            scope["user"] = user
        answer = Answering(scope, receive, send, asked.id)
        serve = partial(answer.serve, partial(self._app, scope, receive))
        try:
            with self._ending.bounding(answer, asked.method):
                await (serve() if token is None else self._while_valid(token, answer, serve))
        finally:
            auth_context_var.reset(marks[1])
            present.reset(marks[0])

    async def _while_valid(self, token: Token, answer: Answering, serve: Callable[[], Awaitable[None]]) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, token, answer)
            await serve()
            tasks.cancel_scope.cancel()

    async def _watch(self, token: Token, answer: Answering) -> None:
        """Break an answer off when its token is revoked or over: a stream may be long."""
        while True:
            await anyio.sleep(LOOK_EVERY_S)
            with suppress(StorageError):  # what cannot be asked now is asked in a moment
                if not await (await self._program()).tokens.still(token):
                    answer.break_off(_unknown(OVER))
                    return

    def end(self) -> None:
        """Have what is under way answered: the server begins to end."""
        self._stop_waiting()
        self._ending.begin()

    async def _token(self, headers: Headers) -> "Token | Answer | None":
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        program = await self._program()
        await program.ready()
        if not scheme:
            return _unknown("A bearer token is needed.", bare=True) if await program.tokens.any() else None
        token = await program.tokens.verify(secret.strip()) if scheme.lower() == "bearer" else None
        return token or _unknown(OVER)

    async def _body(self, scope: Scope, receive: Receive) -> "bytes | Answer":
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._most:
            return self._too_large()
        parts, size, more = list[bytes](), 0, True
        with anyio.move_on_after(BODY_S):
            while more and size <= self._most:
                message = await receive()
                if message["type"] == "http.disconnect":
                    break
                parts.append(message.get("body", b""))
                size, more = size + len(parts[-1]), message.get("more_body", False)
            return b"".join(parts) if size <= self._most else self._too_large()
        return refusal(408, f"The request did not arrive within {BODY_S:.0f} s. Nothing was stored.")

    def _too_large(self) -> Answer:
        return refusal(413, f"The request is larger than {self._most:,} bytes. Nothing was stored.")

    async def _refused(self, token: Token | None, asked: Asked) -> Answer | None:
        """Return why a request is not let in."""
        method, name, request_id = asked
        writes = method in WRITING or (method == "tools/call" and name not in READING)
        if token is not None and writes and Right.WRITE not in token.scopes:
            what = clip(name or method)
            told = f"This token may only look; {what} needs one with the scope 'write'. Nothing was stored."
            ask = 'Bearer error="insufficient_scope", scope="write", error_description="the scope write is needed"'
            return refusal(403, told, {"WWW-Authenticate": ask}, request_id)
        if method == "tools/call":
            wait_s = await (await self._program()).pace.take(LOCAL if token is None else token.principal)
            if wait_s:
                told = f"Too many tool calls; the next one is taken in {wait_s} s. Nothing was stored."
                return refusal(429, told, {"Retry-After": str(wait_s)}, request_id, TOO_MANY)
        return None


async def _refuse(refused: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a refusal, and log who was refused: as a warning where a token was brought that does not hold."""
    guessed = refused.status_code == 401 and "authorization" in Headers(scope=scope)
    who = (scope.get("client") or ("somebody",))[0]
    log.log(logging.WARNING if guessed else logging.INFO, "%s was refused with %s", who, refused.status_code)
    await refused(scope, receive, send)


def _user(token: Token) -> AuthenticatedUser:
    """Return the holder of a token as the SDK knows callers: it binds what it seals to them."""
    scopes = [str(scope) for scope in token.scopes]
    access = AccessToken(token=token.id, client_id=token.principal, subject=token.principal, scopes=scopes)
    return AuthenticatedUser(access)


async def _read(body: bytes) -> "Asked | Answer":
    return await anyio.to_thread.run_sync(_wanted, body) if len(body) > LARGE else _wanted(body)


def _wanted(body: bytes) -> Asked | Answer:
    """Return what the body of a POST asks for, or why it cannot be read.

    Only the body counts: a header that says otherwise is refused further in. What is taken here means the same to every
    reader behind: plain UTF-8 without a mark before it, and no name twice in an object.
    """
    try:
        fields: object = json.loads(body.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as exc:
        told = clip(str(exc).partition(":")[0], 120)
        return refusal(400, f"The body is not JSON in UTF-8 ({told}). Nothing was stored.", code=PARSE_ERROR)
    if not isinstance(fields, dict):
        return refusal(400, "The body must be one JSON-RPC request, not a list or a value. Nothing was stored.")
    asked = cast("dict[str, object]", fields)
    params, request_id, method = asked.get("params"), asked.get("id"), asked.get("method", "")
    is_null = request_id is None and "id" in asked  # which only an answer to what nobody could read may have
    is_id = not isinstance(request_id, bool) and not (is_null and method)
    if not isinstance(method, str) or not isinstance(request_id, RequestId) or not is_id:
        return refusal(400, "method must be text, and id text or a whole number. Nothing was stored.")
    name = cast("dict[str, object]", params).get("name") if isinstance(params, dict) else None
    told = Asked(method, name if isinstance(name, str) else "", request_id)
    if not all(is_whole(text) for text in told if isinstance(text, str)):
        return refusal(400, "method, name and id must be whole characters. Nothing was stored.")
    if asked.get("jsonrpc") != "2.0" or not (method or "result" in asked or "error" in asked):
        why = "The body must be a JSON-RPC 2.0 message: jsonrpc '2.0' and a method. Nothing was stored."
        return refusal(400, why, request_id=request_id)
    return told


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return an object of JSON, of which no name is there twice: readers differ in which of them counts."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return fields


def _unknown(told: str, *, bare: bool = False) -> Answer:
    """Return the answer to whoever brings no token that holds; without an error where none was brought (RFC 6750)."""
    error = "" if bare else ' error="invalid_token", error_description="unknown, expired or revoked"'
    return refusal(401, f"{told} 'darkroom token add' makes one.", {"WWW-Authenticate": f"Bearer{error}"})


def _replayed(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Return a source of messages that begins with a body that was read already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
