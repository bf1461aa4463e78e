"""Every provider's whole life cycle over stdio, against a local server that answers as its documents say."""

import base64
import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult
from PIL import Image

from darkroom.catalog.providers import Providers, base_url_variable
from helpers_contract import PERSON, cases, credentials, offer_of

Json = dict[str, Any]
BOUND_S = 110.0
KINDS = {
    "azure": ("image",),
    "bfl": ("image",),
    "comfyui": ("image",),
    "fal": ("image", "video"),
    "google": ("image", "video"),
    "higgsfield": ("image", "video"),
    "kie": ("image", "video"),
    "kling": ("image", "video"),
    "luma": ("image", "video"),
    "minimax": ("image", "video"),
    "openai": ("image", "video"),
    "replicate": ("image",),
    "runway": ("image", "video"),
    "stability": ("image",),
    "xai": ("image", "video"),
    "vertex": ("image", "video"),
}
TOKEN = json.dumps({"access_token": "made-up", "expires_in": 3600})
"""What a place called token answers, apart from the script: callers keep it for all that follows."""
_URL = re.compile(r"https?://[^/\"\\]+")


@dataclass
class Cycle:
    """One job of one provider: what is asked for, what its server answers in turn, and what comes of it."""

    request: Json
    environment: dict[str, str]
    answers: list[tuple[int, str]]
    outputs: int


@dataclass
class Played:
    """A provider's side: its cycles, and what was asked of it."""

    cycles: list[Cycle]
    left: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    paid: int = 0


def png() -> bytes:
    buffer = BytesIO()
    Image.effect_noise((96, 64), 60).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


PNG = png()
PROVIDERS = Providers()


def cycle(provider_id: str, kind: str, base: str, file: bytes) -> Cycle:
    """Return a provider's life cycle as its recordings tell it: accepted, pending where it is told, done."""
    provider = PROVIDERS[provider_id]
    mine = [case for name, case in cases() if name == provider_id]
    same = [case for case in mine if offer_of(provider, case).kind == kind]
    begun = next(
        case
        for case in same
        if case["do"] == "submit" and {"accepted", "succeeded"} & set(case["result"]) and not case.get("inputs")
        and "mode" not in case
    )  # fmt: skip
    parts, done = [begun], begun
    if "accepted" in begun["result"]:
        polls = [case for case in [*same, *mine] if case["do"] == "poll"]
        done = next(case for case in same if case["do"] == "poll" and case["shape"] in ("done", "done_several"))
        parts += [next(case for case in polls if case["shape"] == "pending"), done]
    ends = done["result"]["succeeded"]
    answers: list[tuple[int, str]] = []
    for part in parts:
        for step in (step for step in part["exchange"] if not step["sent"]["path"].endswith("/token")):
            text = json.dumps(step["answer"].get("json", {}))
            for number, url in enumerate(ends.get("urls", [])):
                text = text.replace(url, f"{base}/files/{kind}/{number}")
            for made in ends.get("made", []):
                text = text.replace(base64.b64encode(made.encode()).decode(), base64.b64encode(file).decode())
            answers.append((step["answer"]["status"], _URL.sub(lambda found: _local(found[0], base), text)))
    asked = {"prompt": f"a red boat, {kind}", **begun.get("request", {})}
    asked.pop("kind", None)  # each kind has a tool of its own
    request = {"provider": provider_id, "model": offer_of(provider, begun).model, "wait": 50, **asked}
    outputs = len(ends.get("urls", [])) + len(ends.get("made", []))
    return Cycle(request, credentials(provider, begun), answers, outputs)


def here(environment: dict[str, str], base: str, folder: Path) -> dict[str, str]:
    """Return the credentials that are files, as copies that get their tokens at the server."""
    copies: dict[str, str] = {}
    for name, value in environment.items():
        if value == str(PERSON):
            copy = folder / f"{name}.json"
            copy.write_text(
                json.dumps({**json.loads(PERSON.read_text("utf-8")), "token_uri": f"{base}/token"}), "utf-8"
            )
            copies[name] = str(copy)
    return copies


def _local(url: str, base: str) -> str:
    return url if base.startswith(url) else base


class Server(ThreadingHTTPServer):
    """All providers behind one address, each under its own name."""

    daemon_threads = True

    def __init__(self, clip: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = {"image": PNG, "video": clip}
        self.lock = threading.Lock()
        self.played: dict[str, Played] = {}

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Answers with the next line of the script; anything after its end is a file."""

    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        name, _, rest = self.path.strip("/").partition("/")
        with self.server.lock:
            played = self.server.played[name]
            if rest == "token":
                self._send(200, TOKEN.encode(), "application/json")
                return
            if self.command == "POST" and not played.left and played.cycles and body:
                played.left = list(played.cycles.pop(0).answers)
                played.paid += 1
            if rest.startswith("files/") or not played.left:
                kind = "video" if rest.startswith("files/video") or rest.endswith("/content") else "image"
                self._send(200, self.server.files[kind], "image/png" if kind == "image" else "video/mp4")
                return
            status, text = played.left.pop(0)
        self._send(status, text.encode(), "application/json")

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(clip: Path, tmp_path: Path) -> Iterator[Server]:
    made = Server(clip.read_bytes())
    for provider_id, kinds in KINDS.items():
        base = f"{made.base}/{provider_id}"
        made.played[provider_id] = Played([cycle(provider_id, kind, base, made.files[kind]) for kind in kinds])
        for one in made.played[provider_id].cycles:
            one.environment |= here(one.environment, base, tmp_path)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def job_of(result: CallToolResult) -> Json:
    content: Json = result.structured_content or {}
    return content["jobs"][0] if "jobs" in content else content


@pytest.mark.timeout(150)
async def test_every_provider_makes_pictures_and_clips_over_stdio(server: Server) -> None:
    variables = {"DARKROOM_ENABLE": "comfyui,kie,openai/sora-2", "DARKROOM_THUMBNAILS": "never", "DARKROOM_LINGER": "0"}
    work: list[tuple[str, str, Cycle]] = []
    for provider_id, kinds in KINDS.items():
        variables[base_url_variable(provider_id)] = f"{server.base}/{provider_id}"
        for kind, one in zip(kinds, server.played[provider_id].cycles, strict=True):
            variables |= one.environment
            work.append((provider_id, kind, one))
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "darkroom", "serve"], env={**os.environ, **variables}
    )
    done: dict[str, Json] = {}

    async def run(client: Client, provider_id: str) -> None:
        for name, kind, one in work:
            if name == provider_id:
                answer = await client.call_tool(f"generate_{kind}", one.request)
                done[f"{name} {kind}"] = job_of(answer) if answer.structured_content else {"told": str(answer.content)}

    with anyio.fail_after(BOUND_S):
        async with Client(parameters) as client, anyio.create_task_group() as tasks:
            for provider_id in KINDS:
                tasks.start_soon(run, client, provider_id)
    states = {name: "succeeded" if job.get("status") == "succeeded" else job for name, job in done.items()}
    assert states == {f"{name} {kind}": "succeeded" for name, kind, _ in work}
    assert {name: len(job["outputs"]) for name, job in done.items()} == {
        f"{name} {kind}": one.outputs for name, kind, one in work
    }
    assert {name: played.paid for name, played in server.played.items()} == {
        name: len(kinds) for name, kinds in KINDS.items()
    }
