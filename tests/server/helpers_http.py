"""The HTTP face without a port: its ASGI application, plain requests to it, and clients of either era."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import httpx2
from helpers_server import ERAS, LIMIT_S
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.types import ASGIApp

from darkroom.app import App
from darkroom.server.build import DarkroomServer
from darkroom.server.http import http_app

BASE = "http://127.0.0.1:8765"
PLAIN = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


META = {
    "io.modelcontextprotocol/protocolVersion": ERAS[0],
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}


class Face:
    """One process that serves over HTTP."""

    def __init__(self, asgi: ASGIApp) -> None:
        self.asgi = asgi

    def plain(self, token: str | None = None, **headers: str) -> httpx2.AsyncClient:
        """Return a client for plain requests."""
        sent = {**headers, **({"Authorization": f"Bearer {token}"} if token else {})}
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.asgi), base_url=BASE, headers=sent)

    @asynccontextmanager
    async def client(self, era: Any, token: str | None = None, **abilities: Any) -> AsyncGenerator[Client]:
        """Connect an MCP client."""
        async with self.plain(token) as http:
            transport = streamable_http_client(f"{BASE}/mcp", http_client=http)
            async with Client(transport, mode=era, **abilities) as opened:
                yield opened

    async def post(self, body: Any = None, token: str | None = None, **headers: str) -> httpx2.Response:
        """Post a JSON body to `/mcp`; bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.plain(token, **{**PLAIN, **headers}) as http:
            return await http.post("/mcp", content=content)

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a call of the newest era, as clients write it that cut an emoji in two."""
        named = {"MCP-Protocol-Version": ERAS[0], "Mcp-Method": "tools/call", "Mcp-Name": tool}
        params = {"name": tool, "arguments": arguments, "_meta": META}
        answer = await self.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}, **named)
        lines = [line.removeprefix("data: ") for line in answer.text.splitlines()]
        return json.loads([line for line in lines if line.startswith("{")][-1])["result"]


@asynccontextmanager
async def served(app: App, host: str = "127.0.0.1") -> AsyncGenerator[Face]:
    """Serve a program over HTTP until the block ends."""
    with anyio.fail_after(LIMIT_S):
        server = await anyio.to_thread.run_sync(DarkroomServer, app.running)  # which reads files
        asgi = http_app(server, app.settings, host=host)
        async with server.session_manager.run():
            yield Face(asgi)
