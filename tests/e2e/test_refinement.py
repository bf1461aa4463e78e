"""Results that are gone on with: by the same model in its conversation, by others, over the death of the server."""

import base64
import json
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client, StdioServerParameters
from PIL import Image

Json = dict[str, Any]
BOUND_S = 110.0


def png(number: int) -> bytes:
    """Return a picture that no other number has."""
    buffer = BytesIO()
    Image.effect_noise((400, 300), 20 + 10 * number).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


class Vendors(ThreadingHTTPServer):
    """Google, OpenAI and xAI behind one address; remembers every request that could cost money."""

    daemon_threads = True

    def __init__(self, clip: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.clip = clip
        self.pictures = [png(number) for number in range(4)]
        self.paid: list[tuple[str, Json | bytes]] = []
        self.lock = threading.Lock()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def content(self, number: int) -> Json:
        """Return what the n-th answer of the Gemini model holds, signatures on their own parts."""
        data = base64.b64encode(self.pictures[number]).decode()
        return {
            "role": "model",
            "parts": [
                {"text": f"thinking {number}", "thought": True, "thoughtSignature": f"c2ln{number}AAA=="},
                {"inlineData": {"mimeType": "image/png", "data": data}, "thoughtSignature": f"c2ln{number}/+B="},
            ],
        }

    def reply(self, path: str, body: bytes) -> Json:
        """Return the answer to a submission, and remember it."""
        with self.lock:
            self.paid.append((path, json.loads(body) if body.startswith(b"{") else body))
            number = len(self.paid) - 1
        if path.endswith(":generateContent"):
            return {"candidates": [{"content": self.content(number), "finishReason": "STOP"}]}
        if "/videos/" in path:
            return {"request_id": f"clip-{number}"}
        return {"data": [{"b64_json": base64.b64encode(self.pictures[number]).decode()}], "usage": {}}


class Handler(BaseHTTPRequestHandler):
    """Answers as the vendors' documents say."""

    server: Vendors  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Take a submission."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self._send(json.dumps(self.server.reply(self.path, body)).encode(), "application/json")

    def do_GET(self) -> None:
        """Tell of a clip that is done, or give it."""
        if self.path == "/clip.mp4":
            self._send(self.server.clip, "video/mp4")
            return
        done = {"status": "done", "video": {"url": f"{self.server.base}/clip.mp4", "duration": 1}}
        self._send(json.dumps(done).encode(), "application/json")

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def vendors(clip: Path) -> Iterator[Vendors]:
    made = Vendors(clip.read_bytes())
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def darkroom(vendors: Vendors) -> StdioServerParameters:
    keys = {"GOOGLE_API_KEY": "made-up-1", "OPENAI_API_KEY": "made-up-2", "XAI_API_KEY": "made-up-3"}
    places = {
        "DARKROOM_GOOGLE_BASE_URL": vendors.base,
        "DARKROOM_OPENAI_BASE_URL": f"{vendors.base}/v1",
        "DARKROOM_XAI_BASE_URL": f"{vendors.base}/v1",
    }
    environment = {**os.environ, **keys, **places, "DARKROOM_LINGER": "0", "DARKROOM_THUMBNAILS": "never"}
    return StdioServerParameters(command=sys.executable, args=["-m", "darkroom", "serve"], env=environment)


async def made(client: Client, tool: str, **arguments: Any) -> Json:
    """Return a job that succeeded."""
    answer = await client.call_tool(tool, {**arguments, "wait": 50})
    assert answer.structured_content, answer.content
    job: Json = answer.structured_content
    assert job.get("status") == "succeeded", job
    return job


async def lineage(client: Client, job: Json) -> Json:
    [found] = (await client.read_resource(f"darkroom://jobs/{job['job_id']}")).contents
    return json.loads(getattr(found, "text", "{}")).get("lineage", {})


async def killed_after(vendors: Vendors, **arguments: Any) -> Json:
    """Make a picture, and SIGKILL the server once it is there."""
    jobs: list[Json] = []
    killed: list[int] = []
    with pytest.raises(Exception) as caught:
        async with Client(darkroom(vendors)) as client:
            jobs.append(await made(client, "generate_image", **arguments))
            pid = await anyio.to_thread.run_sync(_pid)
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)
            await client.call_tool("check_job", {"job_id": jobs[0]["job_id"]})
    assert killed, caught.value
    return jobs[0]


def _pid() -> int:
    db = sqlite3.connect(Path(os.environ["DARKROOM_HOME"]) / "darkroom.sqlite3")
    try:
        [(pid,)] = db.execute("SELECT pid FROM workers").fetchall()
    finally:
        db.close()
    return int(pid)


@pytest.mark.timeout(150)
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a POSIX signal")
async def test_five_refinements_across_three_providers_and_the_death_of_a_server(vendors: Vendors) -> None:
    with anyio.fail_after(BOUND_S):
        first = await killed_after(vendors, provider="google", prompt="a red boat", options={"strict": True})
        async with Client(darkroom(vendors)) as client:
            jobs = [first, await made(client, "generate_image", prompt="at night", refine=first["job_id"])]
            for provider, words in (("openai", "with a lamp"), ("xai", "in snow")):
                jobs.append(
                    await made(client, "generate_image", prompt=words, provider=provider, refine=jobs[-1]["job_id"])
                )
            jobs.append(
                await made(client, "generate_video", prompt="it sails", provider="xai", refine=jobs[-1]["job_id"])
            )
            clip = jobs[-1]["outputs"][0]["id"]
            jobs.append(await made(client, "generate_video", prompt="slower", provider="xai", refine=clip))
            told = [await lineage(client, job) for job in jobs]
    ids = [job["job_id"] for job in jobs]
    assert [job["mode"] for job in jobs] == [
        "text_to_image", "edit_image", "edit_image", "edit_image", "image_to_video", "edit_video",
    ]  # fmt: skip
    assert told == [
        {key: value for key, value in (("ancestors", ids[:place]), ("children", ids[place + 1 : place + 2])) if value}
        for place in range(6)
    ]
    _check_sent(vendors)


def _check_sent(vendors: Vendors) -> None:
    """Check that each vendor was asked once a job, with what was made before it."""
    paths = [path.rpartition("/")[2] if ":" in path else path for path, _ in vendors.paid]
    assert [path.partition(":")[2] or path for path in paths] == [
        "generateContent", "generateContent", "/v1/images/edits", "/v1/images/edits", "/v1/videos/generations",
        "/v1/videos/edits",
    ]  # fmt: skip
    (_, begun), (_, turned), (_, openai), (_, xai), (_, moved), (_, slowed) = vendors.paid
    assert isinstance(begun, dict)
    assert isinstance(turned, dict)
    assert "Follow these rules" in json.dumps(begun["systemInstruction"])
    assert begun["contents"][0]["parts"] == [{"text": "a red boat"}]
    assert turned["contents"][:2] == [begun["contents"][0], vendors.content(0)], "word for word, signatures in place"
    assert turned["contents"][2]["parts"] == [{"text": "at night"}]
    assert isinstance(openai, bytes)
    assert vendors.pictures[1] in openai
    assert isinstance(xai, dict)
    assert base64.b64encode(vendors.pictures[2]).decode() in xai["image"]["url"]
    assert isinstance(moved, dict)
    assert base64.b64encode(vendors.pictures[3]).decode() in moved["image"]["url"]
    assert isinstance(slowed, dict)
    assert base64.b64encode(vendors.clip).decode() in slowed["video"]["url"]
