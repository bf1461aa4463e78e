"""A provider over a real socket that behaves as a test writes down, and remembers everything that could cost money.

`running_provider` runs it in a thread; `python server.py` as a process that prints its port.
"""

import base64
import functools
import hashlib
import io
import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.abc
import h11
from anyio.from_thread import start_blocking_portal

KEY = "fake-key"
SIZE = (16, 12)


@dataclass(frozen=True)
class Script:
    """How the provider treats one submission."""

    accept_delay_s: float = 0.0
    never_answer: bool = False
    cut: str = "none"
    """none, unread (before it looks at the request), accepted (after it took the work), half (in mid-answer)."""
    refuse: tuple[int, ...] = ()
    """Statuses answered first, one a try."""
    retry_after: str | None = None
    wrong_json: bool = False
    polls: int = 1
    """Polls that find it running before it is done."""
    seconds: float = 0.0
    """How long it takes besides."""
    status: str | None = None
    """Said instead of the true one while it runs."""
    fail: str | None = None
    """The code with which it fails in the end."""
    failed_outputs: tuple[int, ...] = ()
    """Outputs that it does not deliver, counted from 1."""
    nothing: bool = False
    """Done, with no output at all."""
    link_life: int = 0
    """Downloads after which a link is expired; 0 = never. A new poll gives a new one."""
    cut_download: int = 0
    """Bytes after which a download is cut, each time that more than so many are left to send."""
    page: bool = False
    """A page where a file belongs."""
    cancel: str = "yes"
    """yes, late or unknown."""
    raw: bool = False
    """A synchronous answer that is the picture itself."""


@dataclass(frozen=True)
class Received:
    """One request that could cost money."""

    number: int
    at: float
    endpoint: str
    key: str | None
    prompt: str
    accepted: str | None
    repeated: bool = False


@dataclass
class Work:
    """One accepted submission."""

    id: str
    key: str | None
    prompt: str
    n: int
    script: Script
    accepted_at: float
    polls: int = 0
    links: int = 0
    downloads: int = 0
    cancelled: bool = False


@functools.lru_cache(maxsize=4096)
def picture(work_id: str, number: int) -> bytes:
    """Return the picture that the provider makes as that output of that work."""
    from PIL import Image

    seed = hashlib.sha256(f"{work_id}/{number}".encode()).digest()
    pixels = (seed * (SIZE[0] * SIZE[1] * 3 // len(seed) + 1))[: SIZE[0] * SIZE[1] * 3]
    buffer = io.BytesIO()
    Image.frombytes("RGB", SIZE, pixels).save(buffer, "PNG")
    return buffer.getvalue()


class _Gone(Exception):
    """The provider hangs up."""


@dataclass
class _Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut_after: int | None = None


def _json(status: int, data: Any, **headers: str) -> _Reply:
    return _Reply(status, json.dumps(data).encode(), {"content-type": "application/json", **headers})


def _wanted(body: bytes) -> dict[str, Any] | None:
    """Return what a submission asks for; None where it names no prompt."""
    try:
        data: Any = json.loads(body)
        return data if data["prompt"] else None
    except (ValueError, TypeError, KeyError):
        return None


class FakeProvider:
    """The provider: scripts by words of the prompt, switches, and what happened.

    Args:
        idempotency: Whether a key is accepted once only.
        lookup: Whether work can be found by key.
    """

    def __init__(self, *, idempotency: bool = False, lookup: bool = False) -> None:
        self.idempotency = idempotency
        self.lookup = lookup
        self.default = Script()
        self.port = 0
        self.history: list[Received] = []
        self.works: dict[str, Work] = {}
        self.polls = 0
        self.downloads = 0
        self.cancels = 0
        self.open_submissions = 0
        """Submissions read and not answered yet."""
        self.connections = 0
        self._scripts: list[tuple[str, Script]] = []
        self._refused: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def script(self, match: str, script: Script) -> None:
        """Treat submissions so whose prompt contains that text; the newest wins."""
        self._scripts.insert(0, (match, script))

    def accepted(self, prompt: str) -> list[str]:
        """Return the ids under which it accepted that prompt."""
        return [item.accepted for item in self.history if item.prompt == prompt and item.accepted and not item.repeated]

    def _script_of(self, prompt: str) -> Script:
        return next((script for match, script in self._scripts if match in prompt), self.default)

    # ------------------------------------------------------------------ the wire

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port)
        self.port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener:
            task_status.started()
            await listener.serve(self._connection)

    async def _connection(self, stream: anyio.abc.SocketStream) -> None:
        self.connections += 1
        wire = h11.Connection(h11.SERVER)
        async with stream:
            with suppress(_Gone, anyio.BrokenResourceError, anyio.ClosedResourceError, h11.RemoteProtocolError):
                while await self._exchange(stream, wire):
                    wire.start_next_cycle()

    async def _exchange(self, stream: anyio.abc.SocketStream, wire: h11.Connection) -> bool:
        request: h11.Request | None = None
        body = b""
        while True:
            event = wire.next_event()
            if event is h11.NEED_DATA:
                try:
                    wire.receive_data(await stream.receive())
                except anyio.EndOfStream:
                    return False
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                break
            else:
                return False
        reply = await self._answer(request, bytes(body))
        await _send(stream, wire, reply)
        return wire.our_state is h11.DONE and wire.their_state is h11.DONE

    async def _answer(self, request: h11.Request, body: bytes) -> _Reply:
        method = request.method.decode()
        target = urlsplit(request.target.decode())
        headers = {name.decode().lower(): value.decode() for name, value in request.headers}
        if target.path.startswith("/files/"):
            return self._file(target.path, headers)
        if headers.get("authorization") != f"Bearer {KEY}":
            return _json(401, {"error": {"code": "unauthorized", "message": "wrong key"}})
        match (method, target.path):
            case ("POST", "/v1/jobs" | "/v1/images"):
                data = _wanted(body)
                if data is None:
                    return _json(400, {"error": {"code": "bad_request", "message": "no prompt"}})
                return await self._submitted(target.path, data, headers)
            case ("GET", "/v1/jobs"):
                return self._located(parse_qs(target.query).get("key", [""])[0])
            case ("GET" | "DELETE", path) if path.startswith("/v1/jobs/"):
                work = self.works.get(path.rpartition("/")[2])
                if work is None:
                    return _json(404, {"error": {"code": "not_found", "message": "no such job"}})
                return self._polled(work) if method == "GET" else self._cancelled(work)
            case _:
                return _json(404, {"error": {"code": "not_found", "message": "no such address"}})

    # ------------------------------------------------------------------ submissions

    async def _submitted(self, path: str, data: dict[str, Any], headers: dict[str, str]) -> _Reply:
        prompt, key = str(data["prompt"]), data.get("key")
        script = self._script_of(prompt)
        if script.cut == "unread":
            raise _Gone
        refusal = self._refusal(script, prompt)
        if refusal is not None:
            self._remember(path, key, prompt, None)
            return refusal
        work = self._take(path, data, headers.get("idempotency-key"), script)
        self.open_submissions += 1
        try:
            if script.never_answer:
                await anyio.sleep_forever()
            await anyio.sleep(script.accept_delay_s)
        finally:
            self.open_submissions -= 1
        if script.cut == "accepted":
            raise _Gone
        reply = _json(202, {"id": work.id}) if path == "/v1/jobs" else self._made(work)
        if script.wrong_json:
            reply.body = b"<html>nothing of the sort</html>"
        if script.cut == "half":
            reply.cut_after = len(reply.body) // 2
        return reply

    def _refusal(self, script: Script, prompt: str) -> _Reply | None:
        times = self._refused.get(prompt, 0)
        if times >= len(script.refuse):
            return None
        self._refused[prompt] = times + 1
        status = script.refuse[times]
        headers = {"retry-after": script.retry_after} if script.retry_after else {}
        return _json(status, {"error": {"code": f"status_{status}", "message": "not now"}}, **headers)

    def _take(self, path: str, data: dict[str, Any], idempotency_key: str | None, script: Script) -> Work:
        prompt, key = str(data["prompt"]), data.get("key")
        with self._lock:
            if self.idempotency and idempotency_key is not None:
                earlier = next((work for work in self.works.values() if work.key == idempotency_key), None)
                if earlier is not None:
                    self._remember(path, key, prompt, earlier.id, repeated=True)
                    return earlier
            work = Work(f"p{len(self.works) + 1:06d}", key, prompt, int(data.get("n", 1)), script, time.monotonic())
            self.works[work.id] = work
            self._remember(path, key, prompt, work.id)
            return work

    def _remember(
        self, endpoint: str, key: str | None, prompt: str, accepted: str | None, *, repeated: bool = False
    ) -> None:
        number = len(self.history) + 1
        self.history.append(Received(number, time.monotonic(), endpoint, key, prompt, accepted, repeated))

    def _made(self, work: Work) -> _Reply:
        if work.script.raw:
            return _Reply(200, picture(work.id, 1), {"content-type": "image/png", "x-request-id": work.id})
        images = [{"b64": base64.b64encode(picture(work.id, at + 1)).decode()} for at in range(work.n)]
        return _json(200, {"id": work.id, "images": [] if work.script.nothing else images})

    def _located(self, key: str) -> _Reply:
        found = [{"id": work.id} for work in self.works.values() if work.key == key] if self.lookup else []
        return _json(200, {"jobs": found})

    # ------------------------------------------------------------------ what follows

    def _polled(self, work: Work) -> _Reply:
        self.polls += 1
        work.polls += 1
        script = work.script
        if work.cancelled:
            return _json(200, {"id": work.id, "status": "cancelled"})
        if work.polls <= script.polls or time.monotonic() - work.accepted_at < script.seconds:
            share = min(work.polls / (script.polls + 1), 0.99)
            return _json(200, {"id": work.id, "status": script.status or "running", "progress": share})
        if script.fail is not None:
            return _json(200, {"id": work.id, "status": "failed", "error": {"code": script.fail, "message": "no"}})
        work.links += 1
        work.downloads = 0
        numbers = range(1, 1 if script.nothing else work.n + 1)
        done = {
            "id": work.id,
            "status": "succeeded",
            "outputs": [
                {"url": f"{self.base_url}/files/{work.id}/{number}.png?link={work.links}"}
                for number in numbers
                if number not in script.failed_outputs
            ],
            "failed": [{"index": number, "code": "blocked"} for number in script.failed_outputs],
        }
        return _json(200, done)

    def _cancelled(self, work: Work) -> _Reply:
        self.cancels += 1
        match work.script.cancel:
            case "yes":
                work.cancelled = True
                return _json(200, {"cancelled": True, "charged_usd": 0})
            case "late":
                return _json(409, {"error": {"code": "too_late", "message": "it is done"}})
            case _:
                return _json(404, {"error": {"code": "not_found", "message": "no such address"}})

    def _file(self, path: str, headers: dict[str, str]) -> _Reply:
        self.downloads += 1
        _, _, work_id, name = path.split("/")
        work = self.works.get(work_id)
        if work is None:
            return _json(404, {"error": {"code": "not_found", "message": "no such file"}})
        if work.script.page:
            return _Reply(200, b"<html>Please sign in</html>", {"content-type": "text/html"})
        work.downloads += 1
        if work.script.link_life and work.downloads > work.script.link_life:
            return _Reply(403, b"expired", {"content-type": "text/plain"})
        data = picture(work_id, int(name.partition(".")[0]))
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        told = {"content-type": "image/png", "etag": tag, "accept-ranges": "bytes"}
        start = 0
        wanted = headers.get("range", "")
        if wanted and headers.get("if-range", tag) == tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(data):
                return _Reply(416, b"", {"content-range": f"bytes */{len(data)}"})
            told["content-range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        rest = data[start:]
        cut = work.script.cut_download
        return _Reply(206 if start else 200, rest, told, cut if cut and len(rest) > cut else None)


async def _send(stream: anyio.abc.SocketStream, wire: h11.Connection, reply: _Reply) -> None:
    head = h11.Response(
        status_code=reply.status,
        headers=[*reply.headers.items(), ("content-length", str(len(reply.body)))],
    )
    data = wire.send(head) or b""
    if reply.cut_after is not None:
        await stream.send(data + reply.body[: reply.cut_after])
        raise _Gone
    data += wire.send(h11.Data(data=reply.body)) or b""
    data += wire.send(h11.EndOfMessage()) or b""
    await stream.send(data)


@contextmanager
def running_provider(**switches: bool) -> Generator[FakeProvider]:
    """Run a provider in a thread of its own until the block ends."""
    provider = FakeProvider(**switches)
    with start_blocking_portal() as portal:
        future, _ = portal.start_task(provider.serve)
        try:
            yield provider
        finally:
            future.cancel()


async def _main() -> None:
    provider = FakeProvider()
    provider.default = Script(polls=10**9)
    async with anyio.create_task_group() as tasks:
        await tasks.start(provider.serve)
        print(provider.port, flush=True)  # noqa: T201 because whoever started it waits for the port


if __name__ == "__main__":
    anyio.run(_main)
