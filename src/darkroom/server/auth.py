"""Who may come in over HTTP: bearer tokens, their scopes, and so many calls a minute."""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

import anyio
import anyio.to_thread
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp_types import INVALID_REQUEST
from pydantic import TypeAdapter
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from darkroom.domain.token import Scope as Right
from darkroom.domain.token import Token
from darkroom.errors import StorageError
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
_PORT = re.compile(r"[^:]*(:\d{1,5})?")
LARGE = 1 << 20
"""Bytes of a body from which on it is read off the event loop."""
Answer = JSONResponse
_OBJECT: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class Gate:
    """ASGI middleware before `/mcp`: body limit, bearer tokens, scopes, calls a minute.

    Without any token ever made, everybody who reaches this server is `local`: it then listens on loopback alone.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        path: str,
        program: Callable[[], Program],
        base: Callable[[Scope], str],
        most_bytes: int,
    ) -> None:
        self._app = app
        self._path = path
        self._program = program
        self._base = base
        self._most = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in or answer it."""
        if scope["type"] != "http" or scope["path"] != self._path:
            await self._app(scope, receive, send)
            return
        if not _PORT.fullmatch(Headers(scope=scope).get("host", "").rpartition("]")[2]):
            await PlainTextResponse("Invalid Host header", 421)(scope, receive, send)  # the SDK looks at its beginning
            return
        try:
            token = await self._token(Headers(scope=scope))
        except StorageError as exc:
            await _refusal(503, exc.message, {"Retry-After": "5"})(scope, receive, send)
            return
        if isinstance(token, Answer):
            await token(scope, receive, send)
            return
        body = await self._body(scope, receive) if scope["method"] == "POST" else None
        refused = body if isinstance(body, Answer) else await self._refused(token, body)
        if refused is not None:
            await refused(scope, receive, send)
            return
        await self._let_in(token, scope, receive if body is None else _replayed(cast("bytes", body), receive), send)

    async def _let_in(self, token: Token | None, scope: Scope, receive: Receive, send: Send) -> None:
        who = Caller(LOCAL if token is None else token.principal, self._base(scope))
        user = None if token is None else _user(token)
        marks = (present.set(who), auth_context_var.set(user))
        if user is not None:
            scope["user"] = user
        try:
            if token is None:
                await self._app(scope, receive, send)
            else:
                await self._while_it_holds(token, scope, receive, send)
        finally:
            auth_context_var.reset(marks[1])
            present.reset(marks[0])

    async def _while_it_holds(self, token: Token, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer until the answer is complete, or its token is revoked or over: a stream may be long."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, token, tasks.cancel_scope)
            await self._app(scope, receive, send)
            tasks.cancel_scope.cancel()

    async def _watch(self, token: Token, answering: anyio.CancelScope) -> None:
        while True:
            await anyio.sleep(LOOK_EVERY_S)
            with suppress(StorageError):  # what cannot be asked now is asked in a moment
                if not await self._program().tokens.still(token):
                    answering.cancel()

    async def _token(self, headers: Headers) -> "Token | Answer | None":
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        program = self._program()
        await program.ready()
        if not scheme:
            return _unknown("A bearer token is needed.", bare=True) if await program.tokens.any() else None
        token = await program.tokens.verify(secret.strip()) if scheme.lower() == "bearer" else None
        return token or _unknown("The bearer token is unknown, expired or revoked.")

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
        return _refusal(408, f"The request did not arrive within {BODY_S:.0f} s. Nothing was stored.")

    def _too_large(self) -> Answer:
        return _refusal(413, f"The request is larger than {self._most:,} bytes. Nothing was stored.")

    async def _refused(self, token: Token | None, body: bytes | None) -> Answer | None:
        """Return why a request that is well-formed is not let in."""
        large = body is not None and len(body) > LARGE
        method, name, request_id = await anyio.to_thread.run_sync(_wanted, body) if large else _wanted(body)
        writes = method in WRITING or (method == "tools/call" and name not in READING)
        if token is not None and writes and Right.WRITE not in token.scopes:
            told = f"This token may only look; {name or method} needs one with the scope 'write'. Nothing was stored."
            ask = 'Bearer error="insufficient_scope", scope="write", error_description="the scope write is needed"'
            return _refusal(403, told, {"WWW-Authenticate": ask}, request_id)
        if method == "tools/call":
            wait_s = await self._program().pace.take(LOCAL if token is None else token.principal)
            if wait_s:
                told = f"Too many tool calls; the next one is taken in {wait_s} s. Nothing was stored."
                return _refusal(429, told, {"Retry-After": str(wait_s)}, request_id)
        return None


def _user(token: Token) -> AuthenticatedUser:
    """Return the holder of a token as the SDK knows callers: it binds what it seals to them."""
    scopes = [str(scope) for scope in token.scopes]
    access = AccessToken(token=token.id, client_id=token.principal, subject=token.principal, scopes=scopes)
    return AuthenticatedUser(access)


def _wanted(body: bytes | None) -> tuple[str, str, str | int | None]:
    """Return the method, the name and the id of a request; empty where the body is no request.

    Only the body counts: a header that says otherwise is refused further in.
    """
    try:
        fields = _OBJECT.validate_json(body or b"")
    except ValueError:  # what is no request is answered further in, as the protocol says
        return "", "", None
    params = fields.get("params")
    name = cast("dict[str, Any]", params).get("name") if isinstance(params, dict) else None
    request_id = fields.get("id")
    return str(fields.get("method", "")), str(name or ""), request_id if isinstance(request_id, str | int) else None


def _unknown(told: str, *, bare: bool = False) -> Answer:
    """Return the answer to whoever brings no token that holds; without an error where none was brought (RFC 6750)."""
    error = "" if bare else ' error="invalid_token", error_description="unknown, expired or revoked"'
    return _refusal(401, f"{told} 'darkroom token add' makes one.", {"WWW-Authenticate": f"Bearer{error}"})


def _refusal(
    status: int, told: str, headers: dict[str, str] | None = None, request_id: str | int | None = None
) -> Answer:
    error = {"code": TOO_MANY if status in (429, 503) else INVALID_REQUEST, "message": told}
    return JSONResponse({"jsonrpc": "2.0", "id": request_id, "error": error}, status, headers)


def _replayed(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Return a source of messages that begins with a body that was read already."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
