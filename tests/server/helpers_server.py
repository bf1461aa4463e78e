"""A program whose draft engine is a stand-in, and a client of it in either era of the protocol."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from mcp import Client
from mcp_types import CallToolResult, TextContent
from PIL import Image

from darkroom.adapters.base import Accepted, Call, Cancelled, Failed, Follow, Json, Pending, Succeeded, TooLate
from darkroom.app import App
from darkroom.domain.kinds import Kind
from darkroom.domain.money import FREE
from darkroom.domain.output import RemoteOutput
from darkroom.server.build import DarkroomServer

ERAS = ("2026-07-28", "legacy")
LIMIT_S = 120
"""Bound of every wait; far above what the work takes."""


@dataclass
class QuickDraft:
    """Stands in for the draft engine: pictures of one colour, and copies of one clip, as soon as `ready` is set."""

    clip: Path | None = None
    ready: anyio.Event = field(default_factory=anyio.Event)
    sent: list[Call] = field(default_factory=list[Call])
    asked: int = 0
    error: Exception | None = None

    def adapter(self, provider_id: str) -> "QuickDraft":
        assert provider_id == "draft"
        return self

    async def aclose(self) -> None:
        return None

    async def submit(self, call: Call) -> Accepted:
        if self.error is not None:
            raise self.error
        self.sent.append(call)
        return Accepted({"task": call.submit_key}, call.submit_key, poll_after_s=0.1)

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        self.asked += 1
        if not self.ready.is_set():
            return Pending(min(0.9, self.asked / 100), "drawing", 0.1)
        sent = next(item for item in self.sent if item.submit_key == call.submit_key)
        made = await anyio.to_thread.run_sync(self._make, sent)
        return Succeeded(tuple(made), cost=FREE, notes={"seed": 7, "understood": ["red fox"]})

    async def cancel(self, operation: Json, call: Follow) -> Cancelled | TooLate:
        return Cancelled(FREE)

    def _make(self, call: Call) -> list[RemoteOutput]:
        made: list[RemoteOutput] = []
        for number in range(call.request.n):
            if call.request.kind is Kind.VIDEO:
                assert self.clip is not None
                made.append(RemoteOutput(path=str(self.clip), media_type="video/mp4"))
                continue
            path = call.scratch / f"{number}.png"
            Image.effect_noise((call.request.width, call.request.height), 90 + number).convert("RGB").save(path)
            made.append(RemoteOutput(path=str(path), media_type="image/png"))
        return made


@asynccontextmanager
async def connected(app: App, era: str, **abilities: Any) -> AsyncGenerator[Client]:
    """Connect a client to the program, in memory; `abilities` are the callbacks that make it answer questions."""
    with anyio.fail_after(LIMIT_S):
        server = await anyio.to_thread.run_sync(DarkroomServer, app.running)  # which reads files
        async with Client(server, mode=era, **abilities) as client:
            yield client


def words(result: CallToolResult) -> str:
    """Return all text of an answer."""
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


def content(result: CallToolResult) -> dict[str, Any]:
    """Return the structured content of an answer that is no error."""
    assert not result.is_error, words(result)
    assert result.structured_content is not None
    return result.structured_content


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that must succeed, and return its structured content."""
    return content(await client.call_tool(tool, arguments))


async def failed(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool whose work must fail, which its answer says; return its structured content."""
    result = await client.call_tool(tool, arguments)
    found: dict[str, Any] = result.structured_content or {}
    assert (result.is_error, found.get("status")) == (True, "failed"), words(result)
    return found


async def jobs_of(client: Client, **arguments: Any) -> list[dict[str, Any]]:
    """Return what check_job says."""
    return (await call(client, "check_job", **arguments))["jobs"]


async def read_json(client: Client, uri: str) -> dict[str, Any]:
    """Return a resource that is JSON."""
    item = (await client.read_resource(uri)).contents[0]
    text: str = getattr(item, "text", "")
    return json.loads(text)
