"""What is OpenAI's own: forms with their parts in order, pictures in the background, clips that are changed."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from darkroom.adapters.base import Accepted, Call, Pending, Succeeded, Turn
from darkroom.adapters.openai import create
from darkroom.catalog.providers import Providers
from darkroom.domain.kinds import Mode
from darkroom.domain.rules import STRICT
from darkroom.errors import DarkroomError, InvalidRequest, UnexpectedAnswer, Unsupported
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from factories import FakeClock
from helpers_contract import call_of

pytestmark = pytest.mark.anyio
OPENAI = Providers()["openai"]
PART = re.compile(
    rb'Content-Disposition: form-data; name="([^"]+)"(?:; filename="([^"]+)")?\r\n(?:Content-Type: (\S+))?'
)
MADE = {"data": [{"b64_json": "cGljdHVyZQ=="}]}


class Wire:
    """Answers every call the same, and keeps what was sent."""

    def __init__(self, data: Any = MADE, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.sent: list[httpx2.Request] = []
        self._said = (status, headers or {}, data)
        self.adapter = create(
            ProviderHttp(ShardedClient(FakeClock(), transport=httpx2.MockTransport(self._say)), OPENAI)
        )

    async def _say(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        await request.aread()
        status, headers, data = self._said
        return httpx2.Response(status, headers=headers, json=data)

    def parts(self) -> list[tuple[str, str, str]]:
        """Return name, file name and type of the parts of the form that was sent, in their order."""
        found: list[tuple[bytes, bytes, bytes]] = PART.findall(self.sent[0].content)
        return [(name.decode(), file.decode(), kind.decode()) for name, file, kind in found]


def texts(*names: str) -> list[tuple[str, str, str]]:
    return [(name, "", "") for name in names]


PLAIN = texts("prompt", "model", "n", "size", "quality")


@pytest.mark.parametrize(
    ("inputs", "pictures"),
    [
        (["source"], [("image", "image.png", "image/png")]),
        (["source", "mask"], [("image", "image.png", "image/png"), ("mask", "mask.png", "image/png")]),
        (["reference", "source"], [("image[]", "image.png", "image/png")] * 2),
    ],
)
async def test_a_form_has_the_texts_without_a_type_then_the_pictures(
    tmp_path: Path, inputs: list[str], pictures: list[tuple[str, str, str]]
) -> None:
    wire = Wire()
    await wire.adapter.submit(
        call_of(OPENAI, {"model": "gpt-image-2", "inputs": [{"role": role} for role in inputs]}, tmp_path)
    )
    assert (wire.sent[0].method, wire.sent[0].url.path) == ("POST", "/v1/images/edits")
    assert wire.parts() == [*PLAIN, *pictures]


async def test_a_mask_covers_the_first_picture_that_goes_out(tmp_path: Path) -> None:
    wire = Wire()
    inputs = [{"role": "reference"}, {"role": "mask"}, {"role": "source", "media_type": "image/jpeg"}]
    await wire.adapter.submit(call_of(OPENAI, {"model": "gpt-image-2", "inputs": inputs}, tmp_path))
    names = [part for part in wire.parts() if part not in PLAIN]
    assert names[0] == ("image[]", "image.jpeg", "image/jpeg")


async def test_a_clip_is_a_form_even_without_a_picture(tmp_path: Path) -> None:
    wire = Wire({"id": "video_1"}, headers={"openai-poll-after-ms": "2500"})
    case = {"model": "sora-2", "request": {"kind": "video"}, "inputs": [{"role": "first_frame"}]}
    accepted = await wire.adapter.submit(call_of(OPENAI, case, tmp_path))
    first = texts("prompt", "model", "seconds", "size")
    assert wire.parts() == [*first, ("input_reference", "input_reference.png", "image/png")]
    assert accepted == Accepted({"id": "video_1"}, "video_1", 2.5)


async def test_a_body_has_what_the_vendor_s_own_client_sends_and_nothing_that_it_refuses(tmp_path: Path) -> None:
    wire = Wire()
    options = {"background": "opaque", "moderation": "auto", "output_format": "png", "pollable": False}
    request = {"prompt": "a red fox", "size": "1536x1024", "options": options}
    await wire.adapter.submit(call_of(OPENAI, {"model": "gpt-image-2", "request": request}, tmp_path))
    assert wire.sent[0].headers["authorization"].startswith("Bearer ")
    assert "openai-organization" not in wire.sent[0].headers
    assert json.loads(wire.sent[0].content) == {
        "model": "gpt-image-2", "prompt": "a red fox", "background": "opaque", "moderation": "auto", "n": 1,
        "output_format": "png", "quality": "medium", "size": "1536x1024",
    }  # fmt: skip


async def test_the_rules_of_strict_lead_the_prompt_wherever_it_goes(tmp_path: Path) -> None:
    for options in ({}, {"pollable": True}):
        wire = Wire({**MADE, "id": "resp_1"})
        request = {"strict": True, "options": options}
        await wire.adapter.submit(call_of(OPENAI, {"model": "gpt-image-2", "request": request}, tmp_path))
        body = json.loads(wire.sent[0].content)
        found = body["input"][0]["content"][0]["text"] if options else body["prompt"]
        assert found == f"{STRICT}\n\na red boat"


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (
            {"input_tokens": 50, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}, "output_tokens": 439},
            {"input_text": 10, "input_image": 40, "output": 439},
        ),
        ({"input_tokens": 12, "output_tokens": 439}, {"input_text": 12, "output": 439}),
        ({"input_tokens": 12}, {}),
        (None, {}),
        ("much", {}),
    ],
)
async def test_what_was_counted_is_told_by_the_names_of_the_rates(
    tmp_path: Path, usage: Any, counted: dict[str, int]
) -> None:
    call = call_of(OPENAI, {"model": "gpt-image-2"}, tmp_path)
    made = await Wire({**MADE, "usage": usage}).adapter.submit(call)
    assert isinstance(made, Succeeded)
    assert made.tokens == counted
    assert set(counted) <= set(call.offer.rates)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (408, None, "submit_unknown"),
        (409, None, "invalid_request"),
        (413, None, "invalid_request"),
        (416, None, "invalid_request"),
        (422, None, "invalid_request"),
        (500, "server_error", "submit_unknown"),
        (500, "billing_not_active", "insufficient_credits"),
        (502, None, "submit_unknown"),
        (504, None, "submit_unknown"),
        (503, "slow_down", "overloaded"),
        (402, None, "insufficient_credits"),
        (400, "billing_hard_limit_reached", "insufficient_credits"),
        (429, "insufficient_quota", "insufficient_credits"),
        (400, "content_filter", "content_blocked"),
        (400, "image_content_policy_violation", "content_blocked"),
        (400, "invalid_image_file", "invalid_request"),
    ],
)
async def test_what_an_error_means_decides_whether_it_may_be_sent_again(
    tmp_path: Path, status: int, code: str | None, error: str
) -> None:
    wire = Wire({"error": {"message": "no", "code": code, "type": None}}, status)
    with pytest.raises(DarkroomError) as caught:
        await wire.adapter.submit(call_of(OPENAI, {"model": "gpt-image-2"}, tmp_path))
    assert caught.value.code == error
    assert len(wire.sent) == 1


def speechless(call: Call) -> Call:
    return replace(call, provider=call.provider.model_copy(update={"chat": None}))


def with_a_large_mask(call: Call) -> Call:
    blobs = [replace(blob, content=b"x" * 4_000_001) if blob.role == "mask" else blob for blob in call.inputs]
    return replace(call, inputs=tuple(blobs))


@pytest.mark.parametrize(
    ("spoil", "field", "says"),
    [
        (speechless, "options.language_model", "no language model"),
        (with_a_large_mask, "images", "4.0 MB"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_sent(
    tmp_path: Path, spoil: Callable[[Call], Call], field: str, says: str
) -> None:
    inputs = [{"role": "source"}, {"role": "mask"}]
    case = {"model": "gpt-image-2", "request": {"options": {"pollable": True}}, "inputs": inputs}
    wire = Wire()
    with pytest.raises((InvalidRequest, Unsupported), match=says) as caught:
        await wire.adapter.submit(spoil(call_of(OPENAI, case, tmp_path)))
    assert caught.value.field == field
    assert "Nothing was sent" in (caught.value.hint or "")
    assert wire.sent == []


def changing(folder: Path, *earlier: str | None) -> Call:
    """Return a call that changes the last of these clips."""
    call = call_of(OPENAI, {"model": "sora-2", "request": {"kind": "video", "prompt": "at night"}}, folder)
    request = call.request.model_copy(update={"mode": Mode.EDIT_VIDEO})
    turns = tuple(Turn(request=call.request, inputs=(), outputs=(), provider_job_id=name) for name in earlier)
    return replace(call, request=request, history=turns)


async def test_an_earlier_clip_is_changed_by_its_id(tmp_path: Path) -> None:
    wire = Wire({"id": "video_3"})
    assert await wire.adapter.submit(changing(tmp_path, "video_1", "video_2")) == Accepted({"id": "video_3"}, "video_3")
    assert wire.sent[0].url.path == "/v1/videos/video_2/remix"
    assert json.loads(wire.sent[0].content) == {"prompt": "at night"}


@pytest.mark.parametrize(
    ("earlier", "error"), [((), Unsupported), ((None,), Unsupported), (("../models",), UnexpectedAnswer)]
)
async def test_a_clip_of_nobody_knows_whom_is_not_changed(
    tmp_path: Path, earlier: tuple[str | None, ...], error: type[DarkroomError]
) -> None:
    wire = Wire()
    with pytest.raises(error):
        await wire.adapter.submit(changing(tmp_path, *earlier))
    assert wire.sent == []


@pytest.mark.parametrize("told", ["", "soon", "-5"])
async def test_a_hint_that_is_none_is_no_hint(tmp_path: Path, told: str) -> None:
    wire = Wire({"id": "video_1", "status": "in_progress"}, headers={"openai-poll-after-ms": told})
    call = call_of(OPENAI, {"model": "sora-2", "request": {"kind": "video"}}, tmp_path)
    assert await wire.adapter.poll({"id": "video_1"}, call) == Pending()


@pytest.mark.parametrize("name", ["", "../files", "a b", "x" * 129])
def test_an_id_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="no id of OpenAI"):
        Wire().adapter.operation_of(name, call_of(OPENAI, {"model": "gpt-image-2"}, tmp_path))
