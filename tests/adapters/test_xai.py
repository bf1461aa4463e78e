"""What the vendor's own client sends, and how every error of xAI counts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from darkroom.adapters.base import Call, Failed, Succeeded
from darkroom.adapters.xai import create
from darkroom.catalog.providers import Providers
from darkroom.errors import DarkroomError
from darkroom.net.answer import Answer
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from factories import FakeClock
from helpers_contract import NOW, call_of

XAI = Providers()["xai"]
PNG = "data:image/png;base64,cGljdHVyZSAx"
MP4 = "data:video/mp4;base64,cGljdHVyZSAx"
CLIP = [{"role": "video", "media_type": "video/mp4"}]
GOLDEN: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "picture": (
        {"model": "grok-imagine-image-2.0", "request": {"prompt": "a fox", "size": "2720x1536"}},
        "/v1/images/generations",
        {"model": "grok-imagine-image-2.0", "prompt": "a fox", "n": 1, "response_format": "b64_json",
         "aspect_ratio": "16:9", "resolution": "2k", "quality": "medium"},
    ),
    "edit": (
        {"model": "grok-imagine-image", "request": {"prompt": "a fox"}, "inputs": [{"role": "source"}]},
        "/v1/images/edits",
        {"model": "grok-imagine-image", "prompt": "a fox", "n": 1, "response_format": "b64_json",
         "aspect_ratio": "1:1", "resolution": "1k", "image": {"url": PNG, "type": "image_url"}},
    ),
    "clip": (
        {"model": "grok-imagine-video-1.5", "request": {"prompt": "a fox", "duration": 6, "resolution": "480p"}},
        "/v1/videos/generations",
        {"model": "grok-imagine-video-1.5", "prompt": "a fox", "duration": 6, "aspect_ratio": "16:9",
         "resolution": "480p", "generate_audio": True},
    ),
    "changed clip": (
        {"model": "grok-imagine-video", "mode": "edit_video", "request": {"prompt": "a fox"}, "inputs": CLIP},
        "/v1/videos/edits",
        {"model": "grok-imagine-video", "prompt": "a fox", "video": {"url": MP4}},
    ),
    "longer clip": (
        {"model": "grok-imagine-video-extend", "mode": "extend_video", "inputs": CLIP,
         "request": {"prompt": "a fox", "duration": 6}},
        "/v1/videos/extensions",
        {"model": "grok-imagine-video", "prompt": "a fox", "duration": 6, "video": {"url": MP4}},
    ),
}  # fmt: skip


class Wire:
    """Answers every request alike, and remembers them."""

    def __init__(self, status: int, body: Any) -> None:
        self.sent: list[httpx2.Request] = []
        self._answer = (status, body)

    async def __call__(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.sent.append(request)
        return httpx2.Response(self._answer[0], json=self._answer[1])


async def submitted(wire: Wire, call: Call) -> Any:
    client = ShardedClient(FakeClock(NOW), transport=httpx2.MockTransport(wire))
    try:
        return await create(ProviderHttp(client, XAI, None, tuple(call.credentials.values()))).submit(call)
    finally:
        await client.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("name", GOLDEN)
async def test_what_is_sent_is_what_the_vendor_s_own_client_sends(name: str, tmp_path: Path) -> None:
    case, path, body = GOLDEN[name]
    wire = Wire(200, {"request_id": "v-1", "data": [{"b64_json": "cGljdHVyZQ=="}]})
    await submitted(wire, call_of(XAI, case, tmp_path))
    (request,) = wire.sent
    assert (request.method, request.url.path) == ("POST", path)
    assert (request.headers["authorization"], request.headers["content-type"]) == (
        "Bearer made-up-xai-api-key-1",
        "application/json",
    )
    assert json.loads(request.content) == body


WORDS = {
    "credits": "Your team has used all available credits.",
    "limit": "The monthly spending limit is reached.",
    "key": "Incorrect API key provided.",
    "moderation": "Rejected by content moderation.",
    "other": "It went otherwise.",
}
SHAPES: dict[str, Callable[[str], Any]] = {
    "object": lambda words: {"error": {"message": words, "type": "some", "param": None, "code": None}},
    "code beside": lambda words: {"code": "Some words in place of a code", "error": words},
    "text": lambda words: {"error": words},
}  # fmt: skip
MEANT = {
    (400, "key"): "auth_failed",
    (400, "moderation"): "content_blocked",
    (400, "other"): "invalid_request",
    (401, "other"): "auth_failed",
    (402, "other"): "insufficient_credits",
    (403, "credits"): "insufficient_credits",
    (403, "limit"): "insufficient_credits",
    (403, "other"): "auth_failed",
    (404, "other"): "model_retired",
    (408, "other"): "submit_unknown",
    (409, "other"): "submit_unknown",
    (410, "other"): "model_retired",
    (413, "other"): "invalid_request",
    (422, "other"): "invalid_request",
    (429, "credits"): "insufficient_credits",
    (429, "limit"): "insufficient_credits",
    (429, "other"): "rate_limited",
    (500, "credits"): "submit_unknown",
    (500, "other"): "submit_unknown",
    (502, "other"): "submit_unknown",
    (503, "other"): "overloaded",
    (504, "other"): "submit_unknown",
}


@pytest.mark.anyio
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("status", "words"), MEANT)
async def test_every_error_counts_as_what_it_is_whatever_its_shape(
    status: int, words: str, shape: str, tmp_path: Path
) -> None:
    wire = Wire(status, SHAPES[shape](WORDS[words]))
    with pytest.raises(DarkroomError) as caught:
        await submitted(wire, call_of(XAI, {}, tmp_path))
    assert caught.value.code == MEANT[status, words]
    assert WORDS[words] in (caught.value.provider_message or "")
    assert len(wire.sent) == 1, "a call that may cost money is made once"


@pytest.mark.parametrize(
    ("ticks", "cost"),
    [(0, 0), (4_999, 0), (5_000, 1), (10_000, 1), (14_999, 1), (15_000, 2), ("600000000", 60_000), (-1, None)],
)
def test_a_cost_is_rounded_to_millionths_of_a_dollar(ticks: object, cost: int | None, tmp_path: Path) -> None:
    body = {"data": [{"b64_json": "cGljdHVyZQ=="}], "usage": {"cost_in_usd_ticks": ticks}}
    found = adapter().read(Answer(200, body=json.dumps(body).encode()), call_of(XAI, {}, tmp_path))
    assert isinstance(found, Succeeded)
    assert found.cost == cost


def test_what_is_kept_of_withheld_pictures_can_be_read_again(tmp_path: Path) -> None:
    body = {"data": [{"respect_moderation": False}], "usage": {"cost_in_usd_ticks": 200_000_000}}
    found = adapter().read(Answer(200, body=json.dumps(body).encode()), call_of(XAI, {}, tmp_path))
    assert isinstance(found, Failed)
    assert (found.error.code, found.billed, found.charged) == ("content_blocked", True, 20_000)


def adapter() -> Any:
    return create(ProviderHttp(ShardedClient(FakeClock(NOW)), XAI))
