"""A small HTTP server on a real socket that answers as a test says, and remembers what it saw."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

LIMIT_S = 10.0
"""Seconds after which a test that waits has failed."""


@dataclass(frozen=True)
class Seen:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int


@dataclass
class Reply:
    """What is answered."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    cut: int | None = None
    """Bytes of the body after which the connection ends; -1: before the status line."""
    after: anyio.Event | None = None
    """Answered when this is set."""
    length: bool = True
    """Whether Content-Length is told; otherwise the end of the connection ends the body."""
    size: int | None = None
    """Content-Length told instead of the true one."""


class Server:
    """Answers with what `answer` returns for each request."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.seen: list[Seen] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.arrived = anyio.Event()
        """Set anew whenever a request is whole."""
        self.answer: Callable[[Seen], Reply] = lambda seen: Reply(body=b"ok")

    def replies(self, *replies: Reply) -> None:
        """Answer with these in order, and with the last one from then on."""
        left = list(replies)
        self.answer = lambda seen: left.pop(0) if len(left) > 1 else left[0]

    async def requests(self, number: int) -> None:
        """Wait until so many requests have come."""
        with anyio.fail_after(LIMIT_S):
            while len(self.seen) < number:
                await self.arrived.wait()

    async def handle(self, stream: anyio.abc.ByteStream) -> None:
        self.connections += 1
        number = self.connections
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            with suppress(anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError):
                async with stream:
                    await self._talk(stream, number)
        finally:
            self.open -= 1

    async def _talk(self, stream: anyio.abc.ByteStream, connection: int) -> None:
        buffered = BufferedByteReceiveStream(stream)
        while True:
            head = (await buffered.receive_until(b"\r\n\r\n", 1 << 16)).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await buffered.receive_exactly(int(headers.get("content-length", "0")))
            seen = Seen(method, path, headers, body, connection)
            self.seen.append(seen)
            self.arrived.set()
            self.arrived = anyio.Event()
            if not await self._reply(stream, self.answer(seen)):
                return

    async def _reply(self, stream: anyio.abc.ByteStream, reply: Reply) -> bool:
        if reply.after is not None:
            await reply.after.wait()
        if reply.cut == -1:
            return False
        headers = dict(reply.headers)
        if reply.length:
            headers["content-length"] = str(len(reply.body) if reply.size is None else reply.size)
        lines = [f"HTTP/1.1 {reply.status} So", *(f"{name}: {value}" for name, value in headers.items())]
        await stream.send("\r\n".join([*lines, "", ""]).encode() + reply.body[: reply.cut])
        return reply.length and reply.cut is None


@asynccontextmanager
async def serving() -> AsyncGenerator[Server]:
    """Run a server until the block ends."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    server = Server(listener.extra(anyio.abc.SocketAttribute.local_port))
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server.handle)
        yield server
        tasks.cancel_scope.cancel()


FILM = bytes(range(256)) * 4000
TAG = '"v1"'


class Host:
    """Serves a file with ranges, cut after `cut` bytes an answer; remembers the ranges."""

    def __init__(self, body: bytes = FILM, *, cut: int | None = None, tag: str | None = TAG, **headers: str) -> None:
        self.body = body
        self.cut = cut
        self.tag = tag
        self.headers = {"content-type": "video/mp4", **{name.replace("_", "-"): text for name, text in headers.items()}}
        self.ranges: list[str | None] = []

    def __call__(self, seen: Seen) -> Reply:
        ranged = seen.headers.get("range")
        self.ranges.append(ranged)
        headers = self.headers | ({"etag": self.tag} if self.tag else {})
        if ranged is None or seen.headers.get("if-range") != self.tag:
            return Reply(200, headers, self.body, cut=self._cut(len(self.body)))
        start = int(ranged.removeprefix("bytes=").removesuffix("-"))
        if start >= len(self.body):
            return Reply(416, {"content-range": f"bytes */{len(self.body)}"})
        rest = self.body[start:]
        headers |= {"content-range": f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"}
        return Reply(206, headers, rest, cut=self._cut(len(rest)))

    def _cut(self, size: int) -> int | None:
        return None if self.cut is None or size <= self.cut else self.cut
