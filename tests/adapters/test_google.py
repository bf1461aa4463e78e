"""What the recordings of the Gemini API cannot show: whole conversations, what was counted, a clip on its way in."""

import json
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from darkroom.adapters.base import Accepted, Call, Failed, Made, Pending, Succeeded, Turn
from darkroom.adapters.google import STOPPED_MS, GoogleAdapter
from darkroom.catalog.providers import Providers
from darkroom.domain.kinds import Mode, Role
from darkroom.domain.rules import STRICT
from darkroom.errors import InvalidRequest, Overloaded, Unsupported
from darkroom.net.answer import Answer
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from factories import FakeClock
from helpers_body import a_blob
from helpers_contract import NOW, Json, call_of

GOOGLE = Providers()["google"]
OMNI = "gemini-omni-1.2-flash"
SIGNED = {
    "role": "model",
    "parts": [
        {"text": "First the hull.", "thought": True, "thoughtSignature": "Zmlyc3Q="},
        {"inlineData": {"mimeType": "image/png", "data": "c2tldGNo"}, "thought": True},
        {"text": "Here it is.", "thoughtSignature": "c2Vjb25k"},
        {"inlineData": {"mimeType": "image/jpeg", "data": "Ym9hdA=="}, "thoughtSignature": "dGhpcmQ="},
        {"inlineData": {"data": "aGFyYm91cg==", "mimeType": "image/png"}},
    ],
}
"""A model's turn as it comes: thoughts, words and two pictures, with signatures on parts of each sort."""


class Wire:
    """Answers every call in turn, and keeps what was sent."""

    def __init__(self, *answers: Json) -> None:
        self.answers = list(answers)
        self.sent: list[httpx2.Request] = []
        client = ShardedClient(FakeClock(NOW), transport=httpx2.MockTransport(self.answer))
        self.adapter = GoogleAdapter(ProviderHttp(client, GOOGLE))

    async def answer(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        self.sent.append(request)
        return httpx2.Response(200, headers={"x-goog-upload-url": str(request.url)}, json=self.answers.pop(0))

    def body(self) -> Json:
        return json.loads(self.sent[-1].content)


def a_call(folder: Path, **case: Any) -> Call:
    return call_of(GOOGLE, {"model": "nano-banana-2.1", **case}, folder)


def answered(content: Json, **more: Any) -> Json:
    return {"candidates": [{"content": content, "finishReason": "STOP", **more}]}


async def submitted(call: Call, answer: Json) -> tuple[Json, Accepted | Succeeded]:
    """Return the body that was sent, and what came of the answer."""
    wire = Wire(answer)
    result = await wire.adapter.submit(call)
    return wire.body(), result


@pytest.mark.anyio
async def test_a_turn_goes_back_word_for_word_with_its_signatures_where_they_were(tmp_path: Path) -> None:
    first = a_call(tmp_path, inputs=[{"role": "source"}])
    sent, made = await submitted(first, answered(SIGNED))
    assert isinstance(made, Succeeded)
    assert made.outputs == (Made(b"boat", "image/jpeg"), Made(b"harbour", "image/png"))
    kept = json.dumps(made.turn)
    assert "Ym9hdA==" not in kept, "a turn holds no results"
    blobs = tuple(a_blob(Role.SOURCE, content=item.data) for item in made.outputs if isinstance(item, Made))
    turn = Turn(request=first.request, inputs=first.inputs, outputs=blobs, content=json.loads(kept))
    again = replace(a_call(tmp_path, request={"prompt": "make it blue"}), history=(turn,))
    body, _ = await submitted(again, answered(SIGNED))
    user, model, new = body["contents"]
    assert user == sent["contents"][0]
    assert json.dumps(model) == json.dumps(SIGNED)
    assert new == {"role": "user", "parts": [{"text": "make it blue"}]}


@pytest.mark.anyio
async def test_every_turn_of_a_long_conversation_goes_back_in_its_order(tmp_path: Path) -> None:
    history: list[Turn] = []
    for number in range(3):
        call = replace(a_call(tmp_path, request={"prompt": f"turn {number}"}), history=tuple(history))
        data = b64encode(f"boat {number}".encode()).decode()
        content = {"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}
        body, made = await submitted(call, answered(content))
        assert isinstance(made, Succeeded)
        said = [part["text"] for item in body["contents"] for part in item["parts"] if "text" in part]
        assert said == [f"turn {earlier}" for earlier in range(number + 1)]
        assert [item["role"] for item in body["contents"]] == ["user", "model"] * number + ["user"]
        blob = a_blob(Role.SOURCE, content=f"boat {number}".encode())
        history.append(Turn(request=call.request, inputs=(), outputs=(blob,), content=made.turn))


@pytest.mark.anyio
async def test_a_picture_that_cannot_be_written_back_as_it_came_is_kept_whole(tmp_path: Path) -> None:
    odd = {"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": "Ym9h\ndA=="}}]}
    _, made = await submitted(a_call(tmp_path), answered(odd))
    assert isinstance(made, Succeeded)
    assert made.outputs == (Made(b"boat", "image/png"),)
    assert made.turn == odd


@pytest.mark.anyio
async def test_a_turn_that_was_not_kept_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    turn = Turn(request=a_call(tmp_path).request, inputs=(), outputs=())
    wire = Wire()
    with pytest.raises(InvalidRequest, match="without its turn"):
        await wire.adapter.submit(replace(a_call(tmp_path), history=(turn,)))
    assert wire.sent == []


@pytest.mark.anyio
@pytest.mark.parametrize("own", [None, "Paint in oil."])
async def test_the_rules_are_a_standing_instruction_beside_the_caller_s_own(tmp_path: Path, own: str | None) -> None:
    options = {"system_instruction": own} if own else {}
    call = a_call(tmp_path, request={"strict": True, "options": options})
    body, _ = await submitted(call, answered(SIGNED))
    wanted = f"{STRICT}\n\n{own}" if own else STRICT
    assert body["systemInstruction"] == {"parts": [{"text": wanted}]}
    assert body["contents"][0]["parts"] == [{"text": "a red boat"}]


@pytest.mark.anyio
async def test_clips_hear_the_rules_in_their_prompt(tmp_path: Path) -> None:
    body, _ = await submitted(a_call(tmp_path, model=OMNI, request={"strict": True}), {"id": "v1_a"})
    assert body["input"] == f"{STRICT}\n\na red boat"
    assert "system_instruction" not in body


USAGE = {"promptTokenCount": 20, "toolUsePromptTokenCount": 5, "candidatesTokenCount": 1130, "thoughtsTokenCount": 70}
SPLIT = [{"modality": "IMAGE", "tokenCount": 1120}, {"modality": "TEXT", "tokenCount": 10}]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("usage", "options", "tokens"),
    [
        (None, {}, {}),
        (USAGE, {}, {"input": 25, "output_image": 1130, "output_text": 70}),
        ({**USAGE, "candidatesTokensDetails": SPLIT}, {}, {"input": 25, "output_image": 1120, "output_text": 80}),
        ({"promptTokenCount": 4}, {"grounding": True}, {"input": 4, "search": 2}),
    ],
)
async def test_what_was_counted_is_named_as_the_rates_are(
    tmp_path: Path, usage: Json | None, options: Json, tokens: Json
) -> None:
    call = a_call(tmp_path, model="nano-banana-pro", request={"options": options})
    answer = answered(SIGNED, groundingMetadata={"webSearchQueries": ["boats", "red boats"]})
    _, made = await submitted(call, answer | ({"usageMetadata": usage} if usage else {}))
    assert isinstance(made, Succeeded)
    assert dict(made.tokens) == tokens
    assert set(tokens) <= set(call.offer.rates)


@pytest.mark.anyio
async def test_a_search_that_is_not_told_counts_as_one(tmp_path: Path) -> None:
    call = a_call(tmp_path, model="nano-banana-pro", request={"options": {"grounding": True}})
    _, made = await submitted(call, answered(SIGNED) | {"usageMetadata": {"promptTokenCount": 4}})
    assert isinstance(made, Succeeded)
    assert made.tokens["search"] == 1


@pytest.mark.parametrize("provider", ["google", "vertex"])
def test_what_looks_things_up_has_a_rate_for_it_and_names_its_fee_before(provider: str) -> None:
    looking = [offer for offer in Providers()[provider].offers if offer.rates and "grounding" in offer.options]
    assert "nano-banana-2.1" in {offer.model for offer in looking}
    for offer in looking:
        assert "search" in offer.rates, offer.model
        assert any(price.when == {"grounding": True} for price in offer.prices), offer.model


@pytest.mark.anyio
async def test_words_instead_of_a_picture_fail_with_their_beginning_and_cost_what_they_cost(tmp_path: Path) -> None:
    content = {"role": "model", "parts": [{"text": "thinking", "thought": True}, {"text": "No, " + "x" * 500}]}
    usage = {"usageMetadata": {"promptTokenCount": 4, "candidatesTokenCount": 250}}
    _, made = await submitted(a_call(tmp_path), answered(content) | usage)
    assert isinstance(made, Succeeded)
    assert made.outputs == ()
    assert made.failed[0].message.endswith(": No, " + "x" * 196)
    assert made.tokens == {"input": 4, "output_text": 250}


@pytest.mark.anyio
@pytest.mark.parametrize("reason", ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY"])
async def test_every_reason_for_refusing_a_prompt_is_a_refusal(tmp_path: Path, reason: str) -> None:
    from darkroom.errors import ContentBlocked

    with pytest.raises(ContentBlocked) as caught:
        await submitted(a_call(tmp_path), {"promptFeedback": {"blockReason": reason}})
    assert caught.value.provider_code == reason


FINISH = {
    **dict.fromkeys(
        ("SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT",
         "RECITATION", "IMAGE_RECITATION"), "content_blocked"),
    **dict.fromkeys(
        ("NO_IMAGE", "IMAGE_OTHER", "OTHER", "STOP", "MAX_TOKENS", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL",
         "LANGUAGE", "MISSING_THOUGHT_SIGNATURE"), None),
}  # fmt: skip


@pytest.mark.anyio
@pytest.mark.parametrize(("finish", "code"), FINISH.items())
async def test_every_end_without_a_picture_is_a_refusal_or_a_failure(
    tmp_path: Path, finish: str, code: str | None
) -> None:
    from darkroom.errors import DarkroomError

    try:
        _, made = await submitted(a_call(tmp_path), {"candidates": [{"finishReason": finish}]})
    except DarkroomError as exc:
        assert (exc.code, exc.provider_code) == (code, finish)
    else:
        assert code is None
        assert isinstance(made, Succeeded)
        assert [(item.code, made.outputs) for item in made.failed] == [(finish.lower(), ())]


@pytest.mark.anyio
@pytest.mark.parametrize(("mode", "task"), [(Mode.EDIT_VIDEO, "edit"), (Mode.EXTEND_VIDEO, "extend")])
async def test_a_clip_is_gone_on_with_by_the_name_of_its_interaction(tmp_path: Path, mode: Mode, task: str) -> None:
    call = a_call(tmp_path, model=OMNI, request={"prompt": "make it night", "duration": 6})
    turn = Turn(request=call.request, inputs=(), outputs=(), provider_job_id="v1_first")
    request = call.request.model_copy(update={"mode": mode})
    body, made = await submitted(replace(call, request=request, history=(turn,)), {"id": "v1_second"})
    assert isinstance(made, Accepted)
    assert body["previous_interaction_id"] == "v1_first"
    assert body["input"] == "make it night"
    assert body["generation_config"] == {"video_config": {"task": task}}
    assert body["response_format"].get("duration") == (None if mode is Mode.EDIT_VIDEO else "6s")


@pytest.mark.anyio
async def test_a_clip_that_is_looked_at_is_asked_for_again_and_not_uploaded_twice(tmp_path: Path) -> None:
    whole = {"name": "files/c1", "uri": "https://generativelanguage.googleapis.com/v1beta/files/c1"}
    waits = {**whole, "state": "PROCESSING"}
    wire = Wire({}, {"file": waits}, waits, {**whole, "state": "ACTIVE"})
    clip = {"role": "video", "media_type": "video/mp4"}
    call = a_call(tmp_path, model=OMNI, mode="edit_video", inputs=[clip])
    for _ in range(2):
        with pytest.raises(Overloaded) as caught:
            await wire.adapter.upload(call.inputs[0], call)
        assert caught.value.retry_after_s == 5.0
    assert await wire.adapter.upload(call.inputs[0], call) == {"uri": whole["uri"]}
    sent = [(request.method, request.url.path) for request in wire.sent]
    files = ("GET", "/v1beta/files/c1")
    assert sent == [("POST", "/upload/v1beta/files"), ("POST", "/upload/v1beta/files"), files, files]


def an_interaction(**more: Any) -> Json:
    return {"id": "v1_a", "status": "requires_continuation", "continuation_token": "t", "steps": [], **more}


@pytest.mark.anyio
async def test_a_clip_that_wants_to_be_continued_is_asked_about_for_a_while_and_then_given_up(tmp_path: Path) -> None:
    wire, call = Wire(an_interaction(), an_interaction()), a_call(tmp_path, model=OMNI)
    new, old = replace(call, sent_at=NOW - STOPPED_MS + 1), replace(call, sent_at=NOW - STOPPED_MS)
    waits = await wire.adapter.poll({"id": "v1_a"}, new)
    assert isinstance(waits, Pending)
    assert "continued" in (waits.message or "")
    ended = await wire.adapter.poll({"id": "v1_a"}, old)
    assert isinstance(ended, Failed)
    assert ended.billed, "it may have been charged"
    assert "v1_a" in (ended.error.hint or ""), "what the provider keeps is named"
    assert {request.method for request in wire.sent} == {"GET"}, "nothing that may cost was called"


@pytest.mark.anyio
async def test_what_there_is_of_a_clip_that_wants_to_be_continued_is_kept(tmp_path: Path) -> None:
    content = [{"type": "video", "mime_type": "video/mp4", "data": "Y2xpcA=="}]
    wire = Wire(an_interaction(steps=[{"type": "model_output", "content": content}]))
    call = replace(a_call(tmp_path, model=OMNI), sent_at=NOW - STOPPED_MS)
    made = await wire.adapter.poll({"id": "v1_a"}, call)
    assert isinstance(made, Succeeded)
    assert [item.data for item in made.outputs if isinstance(item, Made)] == [b"clip"]


@pytest.mark.anyio
async def test_a_mask_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    call = a_call(tmp_path, inputs=[{"role": "source"}])
    wire = Wire()
    with pytest.raises(Unsupported):
        await wire.adapter.submit(replace(call, inputs=(a_blob(Role.MASK),)))
    assert wire.sent == []


def test_more_than_fourteen_pictures_are_refused(tmp_path: Path) -> None:
    call = a_call(tmp_path, inputs=[{"role": "reference"}] * 14)
    assert len(call.inputs) == 14
    with pytest.raises(InvalidRequest, match="at most 14"):
        a_call(tmp_path, inputs=[{"role": "source"}, *[{"role": "reference"}] * 14])


@pytest.mark.parametrize("name", ["v1_a/cancel", "", "../files/a", "a b"])
def test_an_id_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="no id"):
        Wire().adapter.operation_of(name, a_call(tmp_path))


def test_a_picture_that_was_kept_can_be_read_again(tmp_path: Path) -> None:
    answer = Answer(200, body=json.dumps(answered(SIGNED)).encode())
    made = Wire().adapter.read(answer, replace(a_call(tmp_path), inputs=()))
    assert isinstance(made, Succeeded)
    assert [item.data for item in made.outputs if isinstance(item, Made)] == [b"boat", b"harbour"]
