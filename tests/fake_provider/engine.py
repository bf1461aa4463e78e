"""What a fake provider does, whatever wire format it speaks: it takes work, charges for it, makes it and remembers."""

import functools
import hashlib
import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio

KEY = "fake-key"
SIZE = (16, 12)
INPUT_SIZE = (320, 320)
"""Of pictures that go in: large enough for every provider, so that they go in as they are."""
NOT_NOW = frozenset({429, 503})
"""Statuses that say that work was not taken, and may be sent again."""


@dataclass(frozen=True)
class Script:
    """How the provider treats one submission."""

    accept_delay_s: float = 0.0
    never_answer: bool = False
    cut: str = "none"
    """none, unread (before it looks at the request), accepted (after it took the work), half (in mid-answer)."""
    refuse: tuple[int, ...] = ()
    """Statuses answered first, one a try."""
    deny: int | None = None
    """The status that it answers although it took the work."""
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

    @property
    def doomed(self) -> bool:
        """Whether nothing can come of it: refused for good, failed, or without a result."""
        refused = any(400 <= status < 500 and status not in NOT_NOW for status in self.refuse)
        return refused or self.fail is not None or self.nothing or self.page

    @property
    def mute(self) -> bool:
        """Whether it gives no answer that tells whether the work was taken."""
        unclear = any(status >= 500 and status not in NOT_NOW for status in (*self.refuse, self.deny or 0))
        return unclear or self.never_answer or self.cut != "none" or self.wrong_json


@dataclass(frozen=True)
class Order:
    """What one submission asks for."""

    endpoint: str
    prompt: str
    key: str | None = None
    """The caller's own name of it."""
    once: str | None = None
    """The key that may be accepted once only."""
    n: int = 1


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

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        return min(self.polls / (self.script.polls + 1), 0.99)


class Gone(Exception):
    """The provider hangs up."""


@dataclass
class Reply:
    """One answer."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    cut_after: int | None = None


@dataclass(frozen=True)
class Asked:
    """One request, read whole."""

    method: str
    path: str
    """Below the place of the envelope."""
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    base_url: str
    """Of the envelope."""

    def data(self) -> dict[str, Any]:
        """Return the body as a JSON object; an empty one where it is none."""
        try:
            found: Any = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType] because bodies are JSON


def reply_json(status: int, data: Any, **headers: str) -> Reply:
    """Return an answer of JSON."""
    return Reply(status, json.dumps(data).encode(), {"content-type": "application/json", **headers})


@functools.lru_cache(maxsize=4096)
def picture(work_id: str, number: int) -> bytes:
    """Return the picture that the provider makes as that output of that work."""
    from PIL import Image

    seed = hashlib.sha256(f"{work_id}/{number}".encode()).digest()
    pixels = (seed * (SIZE[0] * SIZE[1] * 3 // len(seed) + 1))[: SIZE[0] * SIZE[1] * 3]
    return _png(Image.frombytes("RGB", SIZE, pixels))


@functools.lru_cache(maxsize=4096)
def sketch(prompt: str) -> bytes:
    """Return the picture that goes in with that prompt."""
    from PIL import Image

    red, green, blue = hashlib.sha256(prompt.encode()).digest()[:3]
    return _png(Image.new("RGB", INPUT_SIZE, (red, green, blue)))


def _png(made: Any) -> bytes:
    buffer = io.BytesIO()
    made.save(buffer, "PNG")
    return buffer.getvalue()


class Envelope(Protocol):
    """How one provider words what the engine does."""

    async def answer(self, engine: "Engine", asked: Asked) -> Reply:
        """Answer one request."""
        ...


class Engine:
    """The provider behind every wire format: scripts by words of the prompt, switches, and what happened.

    Args:
        idempotency: Whether a key is accepted once only.
        lookup: Whether work can be found by key.
    """

    def __init__(self, *, idempotency: bool = False, lookup: bool = False) -> None:
        self.idempotency = idempotency
        self.lookup = lookup
        self.default = Script()
        self.history: list[Received] = []
        self.works: dict[str, Work] = {}
        self.faults: list[str] = []
        """What callers did that is wrong whatever the script says."""
        self.turns: dict[str, Any] = {}
        """What callers must keep of a result to go on with it, by the id of its work."""
        self.heard: dict[str, tuple[str, ...]] = {}
        """The prompts of the earlier turns that came with a prompt, oldest first."""
        self.polls = 0
        self.downloads = 0
        self.cancels = 0
        self.open_submissions = 0
        """Submissions read and not answered yet."""
        self._scripts: list[tuple[str, Script]] = []
        self._refused: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return ""

    def script(self, match: str, script: Script) -> None:
        """Treat submissions so whose prompt contains that text; the newest wins."""
        self._scripts.insert(0, (match, script))

    def accepted(self, prompt: str) -> list[str]:
        """Return the ids under which it accepted that prompt."""
        return [item.accepted for item in self.history if item.prompt == prompt and item.accepted and not item.repeated]

    def script_of(self, prompt: str) -> Script:
        """Return how a submission with that prompt is treated."""
        return next((script for match, script in self._scripts if match in prompt), self.default)

    def named(self, key: str) -> list[Work]:
        """Return the work that callers named so."""
        return [work for work in list(self.works.values()) if work.key == key]

    # ------------------------------------------------------------------ submissions

    async def submitted(
        self, order: Order, accepted: Callable[[Work], Reply], refused: Callable[[int], Reply]
    ) -> Reply:
        """Take work or not, as its script says, and answer so as the envelope words it."""
        script = self.script_of(order.prompt)
        if script.cut == "unread":
            raise Gone
        status = self._refusal(script, order.prompt)
        if status is not None:
            self._remember(order, None)
            reply = refused(status)
            reply.headers |= {"retry-after": script.retry_after} if script.retry_after else {}
            return reply
        work = self._take(order, script)
        self.open_submissions += 1
        try:
            if script.never_answer:
                await anyio.sleep_forever()
            await anyio.sleep(script.accept_delay_s)
        finally:
            self.open_submissions -= 1
        if script.cut == "accepted":
            raise Gone
        reply = accepted(work) if script.deny is None else refused(script.deny)
        if script.wrong_json:
            reply.body = b"<html>nothing of the sort</html>"
        if script.cut == "half":
            reply.cut_after = len(reply.body) // 2
        return reply

    def _refusal(self, script: Script, prompt: str) -> int | None:
        times = self._refused.get(prompt, 0)
        if times >= len(script.refuse):
            return None
        self._refused[prompt] = times + 1
        return script.refuse[times]

    def _take(self, order: Order, script: Script) -> Work:
        with self._lock:
            if self.idempotency and order.once is not None:
                earlier = next(iter(self.named(order.once)), None)
                if earlier is not None:
                    self._remember(order, earlier.id, repeated=True)
                    return earlier
            number = len(self.works) + 1
            work = Work(f"p{number:06d}", order.key, order.prompt, order.n, script, time.monotonic())
            self.works[work.id] = work
            self._remember(order, work.id)
            return work

    def _remember(self, order: Order, accepted: str | None, *, repeated: bool = False) -> None:
        number = len(self.history) + 1
        item = Received(number, time.monotonic(), order.endpoint, order.key, order.prompt, accepted, repeated)
        self.history.append(item)

    # ------------------------------------------------------------------ what follows

    def polled(self, work: Work) -> str:
        """Count a poll, and return how the work stands: cancelled, running, failed or succeeded."""
        self.polls += 1
        work.polls += 1
        script = work.script
        if work.cancelled:
            return "cancelled"
        if work.polls <= script.polls or time.monotonic() - work.accepted_at < script.seconds:
            return "running"
        return "succeeded" if script.fail is None else "failed"

    def links(self, work: Work) -> list[str]:
        """Return fresh addresses of what was made."""
        work.links += 1
        work.downloads = 0
        numbers = range(1, 1 if work.script.nothing else work.n + 1)
        return [
            f"{self.base_url}/files/{work.id}/{number}.png?link={work.links}"
            for number in numbers
            if number not in work.script.failed_outputs
        ]

    def file(self, path: str, headers: dict[str, str]) -> Reply:
        """Return what was made, from where the caller has it already."""
        self.downloads += 1
        _, _, work_id, name = path.split("/")
        work = self.works.get(work_id)
        if work is None:
            return reply_json(404, {"error": {"code": "not_found", "message": "no such file"}})
        if work.script.page:
            return Reply(200, b"<html>Please sign in</html>", {"content-type": "text/html"})
        work.downloads += 1
        if work.script.link_life and work.downloads > work.script.link_life:
            return Reply(403, b"expired", {"content-type": "text/plain"})
        return _part(picture(work_id, int(name.partition(".")[0])), headers, work.script.cut_download)


def _part(data: bytes, headers: dict[str, str], cut: int) -> Reply:
    tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    told = {"content-type": "image/png", "etag": tag, "accept-ranges": "bytes"}
    start = 0
    wanted = headers.get("range", "")
    if wanted and headers.get("if-range", tag) == tag:
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(data):
            return Reply(416, b"", {"content-range": f"bytes */{len(data)}"})
        told["content-range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
    rest = data[start:]
    return Reply(206 if start else 200, rest, told, cut if cut and len(rest) > cut else None)
