"""What is Kling's own: a token that we sign, and a place for each kind of task."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from darkroom.adapters.base import Accepted, Call, Pending
from darkroom.adapters.kling import create
from darkroom.catalog.providers import Providers
from darkroom.clock import SystemClock
from darkroom.domain.kinds import Role
from darkroom.domain.request import MediaInput
from darkroom.errors import Unsupported
from darkroom.net import spool
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from helpers_contract import NOW, call_of

KLING = Providers()["kling"]
SCENES = [{"prompt": "a harbour", "duration": 3}, {"prompt": "the sea", "duration": 4}]
TASK = {"code": 0, "data": {"task_id": "../a b", "task_status": "submitted"}}


def a_call(folder: Path, **case: Any) -> Call:
    """Return a call of the offer that knows every operation."""
    return call_of(KLING, {"model": "kling-3.0-pro", **case}, folder)


def shown(call: Call, *pictures: str | None) -> Call:
    """Return a call whose scenes have pictures, as the runtime hands it out."""
    images = [MediaInput(src=name, sha256=name) if name else None for name in pictures]
    scenes = tuple(
        scene.model_copy(update={"image": image}) for scene, image in zip(call.request.scenes, images, strict=True)
    )
    blob = call_of(KLING, {"model": "kling-3.0-pro", "inputs": [{"role": "first_frame"}]}, call.scratch).inputs[0]
    blobs = tuple(replace(blob, content=name.encode(), role=Role.FIRST_FRAME) for name in pictures if name)
    return replace(call, request=call.request.model_copy(update={"scenes": scenes}), inputs=blobs)


class Wire:
    """Answers every call, and keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[httpx2.Request] = []
        self.client = ShardedClient(SystemClock(), transport=httpx2.MockTransport(self.answer))
        self.adapter = create(ProviderHttp(self.client, KLING))

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        await request.aread()
        return httpx2.Response(200, json=TASK)


def decoded(part: str) -> Any:
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@pytest.mark.anyio
@pytest.mark.parametrize("secret", ["short", "s" * 32, "a key that is longer than a block of the hash " * 2])
async def test_every_call_has_a_token_that_only_the_owner_of_the_secret_can_make(tmp_path: Path, secret: str) -> None:
    wire = Wire()
    await wire.adapter.check(replace(a_call(tmp_path), credentials={"ACCESS": "our-name", "SECRET": secret}))
    kind, _, token = wire.sent[0].headers["authorization"].partition(" ")
    head, claims, signature = token.split(".")
    assert kind == "Bearer"
    assert decoded(head) == {"alg": "HS256", "typ": "JWT"}
    assert decoded(claims) == {"iss": "our-name", "exp": NOW // 1000 + 1800, "nbf": NOW // 1000 - 5}
    made = hmac.new(secret.encode(), f"{head}.{claims}".encode(), hashlib.sha256).digest()
    assert urlsafe_b64decode(signature + "=") == made


@pytest.mark.anyio
async def test_an_id_leads_nowhere_else(tmp_path: Path) -> None:
    wire = Wire()
    call = a_call(tmp_path)
    assert await wire.adapter.poll(wire.adapter.operation_of("../a b", call), call) == Pending()
    assert wire.sent[0].url.raw_path == b"/v1/videos/text2video/..%2Fa%20b"


@pytest.mark.anyio
async def test_an_answer_that_was_kept_is_read_without_the_pictures_that_were_sent(tmp_path: Path) -> None:
    wire = Wire()
    call = a_call(tmp_path, inputs=[{"role": "first_frame"}])
    accepted = await wire.adapter.submit(call)
    kept = await anyio.to_thread.run_sync(spool.load, call.spool)
    assert kept is not None
    assert accepted == Accepted({"id": "../a b", "path": "/v1/videos/image2video"}, "../a b")
    bare = replace(call, inputs=())
    assert wire.adapter.read(kept, bare) == accepted
    assert wire.adapter.operation_of("../a b", bare) == {"id": "../a b", "path": "/v1/videos/image2video"}


@pytest.mark.anyio
async def test_the_picture_of_the_first_scene_is_the_first_frame(tmp_path: Path) -> None:
    wire = Wire()
    await wire.adapter.submit(shown(a_call(tmp_path, request={"scenes": SCENES}), "one", None))
    body = json.loads(wire.sent[0].content)
    assert wire.sent[0].url.path == "/v1/videos/image2video"
    assert body["image"] == "b25l"
    assert "aspect_ratio" not in body
    assert "prompt" not in body


@pytest.mark.anyio
@pytest.mark.parametrize("pictures", [(None, "two"), ("one", "two")])
async def test_a_picture_that_would_be_lost_is_refused(tmp_path: Path, pictures: tuple[str | None, ...]) -> None:
    wire = Wire()
    with pytest.raises(Unsupported, match="first frame"):
        await wire.adapter.submit(shown(a_call(tmp_path, request={"scenes": SCENES}), *pictures))
    assert wire.sent == []
