"""How the state of calls that ask their client is sealed: with a key of the installation, which outlives a process."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.request_state import AESGCMRequestStateCodec, RequestStateCodec

from darkroom.errors import DarkroomError

PURPOSE = "request state"


class KeptSeal(RequestStateCodec):
    """Seals with the key that `secret` returns, which is read at the first tool call, off the event loop.

    Until then, and where the key cannot be kept, with one that ends with the process.
    """

    def __init__(self, secret: Callable[[str], Awaitable[bytes]]) -> None:
        self._secret = secret
        self._codec = AESGCMRequestStateCodec([os.urandom(32)])
        self._kept = False

    def seal(self, payload: bytes) -> str:
        """Return the sealed state."""
        return self._codec.seal(payload)

    def unseal(self, token: str) -> bytes:
        """Return what was sealed.

        Raises:
            InvalidRequestState: If it was not sealed with this key.
        """
        return self._codec.unseal(token)

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Read the key before the first tool call; a middleware that must stand before the SDK's own unsealing."""
        if not self._kept and ctx.method == "tools/call":
            try:
                self._codec = AESGCMRequestStateCodec([await self._secret(PURPOSE)])
                self._kept = True
            except DarkroomError:
                pass  # the tool says so itself, and the next call tries again
        return await call_next(ctx)
