"""What the Gemini API and Vertex AI have in common: generateContent with its turns, and Google's errors.

Wire format: the vendor's SDK `google-genai` and https://ai.google.dev/gemini-api/docs.
"""

from base64 import b64encode
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any, cast

from darkroom.adapters.base import Blob, Call, Json, Made, Succeeded, Turn
from darkroom.adapters.body import Body, body_of
from darkroom.adapters.reading import decoded, dig, items, number_at, text_at
from darkroom.domain.output import FailedOutput
from darkroom.errors import InvalidRequest, UnexpectedAnswer
from darkroom.net.answer import SHOWN, Answer
from darkroom.net.classify import Told
from darkroom.net.provider import ProviderHttp
from darkroom.net.redact import redact

HARMS = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT")
"""The categories whose threshold every model takes."""
BLOCKED = frozenset(
    {"safety", "blocklist", "prohibited_content", "spii", "recitation", "image_safety", "image_prohibited_content",
     "image_recitation", "model_armor", "jailbreak"}
)  # fmt: skip
"""Reasons of a refusal, in lower case."""
ALSO_BLOCKED = frozenset({"language", "image_other"})
"""Refusals as codes of an error; a picture that ends so may come when it is asked again."""
REFUSED = "content_blocked"
"""Our manifests' name for all of them."""
PER_DAY_S = 3600.0
"""Seconds to wait for a quota that is counted by the day: its end is hours away, and nobody says how many."""


def generate_body(call: Call) -> Body:
    """Return the body of a generateContent call, the turns that it goes on with before the new one.

    Raises:
        InvalidRequest: If an earlier turn was not kept.
    """
    body = body_of(call)
    new = _user_turn(body)
    body["contents"] = [*(content for turn in call.history for content in _earlier(turn, call)), new]
    body.setdefault("generationConfig", {})["responseModalities"] = ["IMAGE"]
    standing = [text for name in ("rules", "systemInstruction") if (text := body.pop(name, None))]
    if standing:
        body["systemInstruction"] = {"parts": [{"text": "\n\n".join(standing)}]}
    if body.pop("googleSearch", False):
        body["tools"] = [{"googleSearch": {}}]
    if threshold := body.pop("safetySettings", None):
        body["safetySettings"] = [{"category": f"HARM_CATEGORY_{harm}", "threshold": threshold} for harm in HARMS]
    return body


def _user_turn(body: Body) -> Body:
    """Return what a person says in one turn, taken out of a body: pictures, then the text."""
    parts: list[Body] = [_inline(blob) for blob in body.pop("pictures", [])]
    if text := body.pop("text", ""):
        parts.append({"text": text})
    return {"role": "user", "parts": parts}


def _inline(blob: Blob) -> Body:
    return {"inlineData": {"mimeType": blob.media_type, "data": blob.base64}}


def _earlier(turn: Turn, call: Call) -> tuple[Body, Body]:
    """Return an earlier turn as it was: what was asked, and the answer word for word with its pictures put back."""
    asked = _user_turn(body_of(replace(call, request=turn.request, inputs=turn.inputs)))
    if turn.content is None:
        raise InvalidRequest(
            "The earlier result was kept without its turn of the conversation.",
            field="refine",
            hint="Nothing was sent. Give the picture as an input instead.",
        )
    answered: Body = deepcopy(turn.content)
    for part in items(answered.get("parts")):
        number = dig(part, "inlineData", "data", "output")
        if isinstance(number, int):  # as read_content left it
            part["inlineData"]["data"] = turn.outputs[number].base64
    return asked, answered


def read_content(http: ProviderHttp, answer: Answer, call: Call) -> Succeeded:
    """Return the pictures of a generateContent answer, what it counted, and its turn.

    Raises:
        ContentBlocked: If it is a refusal.
        DarkroomError: If it is an error, whatever its status.
        UnexpectedAnswer: If it is in another format.
    """
    data = checked_data(http, answer, submitting=True)
    candidate = dig(data, "candidates", 0)
    if candidate is None and dig(data, "promptFeedback") is None:
        raise UnexpectedAnswer(f"{call.provider.title} answered in another format than that of generateContent.")
    made, content = _pictures(dig(candidate, "content"))
    tokens = _tokens(data, call, pictures=bool(made))
    if made:
        return Succeeded(tuple(made), tokens=tokens, turn=content if call.offer.continues else None)
    reason = text_at(data, "promptFeedback", "blockReason")
    finish = text_at(candidate, "finishReason") or "NO_IMAGE"
    words = _words(candidate) or text_at(data, "promptFeedback", "blockReasonMessage") or ""
    if reason or finish.lower() in BLOCKED:
        told = Told((reason or finish, REFUSED), words or f"It gave the reason {reason or finish}.")
        raise http.failure(answer, told, submitting=True)
    message = f"{call.provider.title} made no picture ({finish}) and may when it is asked again."
    if words:
        message = f"{call.provider.title} answered in words instead of a picture: {redact(words)[:SHOWN]}"
    return Succeeded((), failed=(FailedOutput(index=1, code=finish.lower(), message=message),), tokens=tokens)


def _pictures(content: Any) -> tuple[list[Made], Json]:
    """Return the pictures of a model's turn, and the turn with a number where the bytes of each stood."""
    made: list[Made] = []
    turn: Json = deepcopy(cast("Json", content)) if isinstance(content, dict) else {}
    for part in items(turn.get("parts")):
        data = text_at(part, "inlineData", "data")
        if data is None or dig(part, "thought") is True:
            continue
        picture = decoded(data)
        if b64encode(picture).decode("ascii") == data:  # else it could not go back as it came
            part["inlineData"]["data"] = {"output": len(made)}
        made.append(Made(picture, text_at(part, "inlineData", "mimeType")))
    return made, turn


def _words(candidate: Any) -> str:
    """Return what a candidate says, or why it ended, as text."""
    parts = items(dig(candidate, "content", "parts"))
    said = [text for part in parts if dig(part, "thought") is not True and (text := text_at(part, "text"))]
    return " ".join(said) or text_at(candidate, "finishMessage") or ""


def _tokens(data: Any, call: Call, *, pictures: bool) -> dict[str, int]:
    """Return what was counted, by the names of our manifests' rates; thoughts cost what text does."""
    usage = dig(data, "usageMetadata")
    if usage is None:
        return {}
    out = count_at(usage, "candidatesTokenCount")
    details = items(dig(usage, "candidatesTokensDetails"))
    shown = sum(count_at(item, "tokenCount") for item in details if text_at(item, "modality") == "IMAGE")
    image = shown if details else out * pictures
    found = {
        "input": count_at(usage, "promptTokenCount") + count_at(usage, "toolUsePromptTokenCount"),
        "output_image": image,
        "output_text": max(out - image, 0) + count_at(usage, "thoughtsTokenCount"),
    }
    if call.request.options.get("grounding"):
        found["search"] = max(1, len(items(dig(data, "candidates", 0, "groundingMetadata", "webSearchQueries"))))
    return {name: count for name, count in found.items() if count}


def count_at(data: Any, name: str) -> int:
    """Return the number of that name, none as zero."""
    return int(number_at(data, name) or 0)


def checked_data(http: ProviderHttp, answer: Answer, *, submitting: bool) -> Any:
    """Return what an answer of success holds.

    Raises:
        DarkroomError: If it is an error all the same.
    """
    data = answer.json()
    said = _error(data)
    if said is not None:
        status = number_at(dig(data, "error") or dig(data, 0, "error"), "code")
        raise http.failure(answer, replace(said, status=status and int(status)), submitting=submitting)
    return data


def told(answer: Answer) -> Told | None:
    """Return what Google says of an error, in either of its forms; None where it says nothing so."""
    try:
        return _error(answer.json())
    except UnexpectedAnswer:
        return None


def _error(data: Any) -> Told | None:
    """Return the codes, words and pause of an error, which may come as the one entry of a list."""
    error = dig(data, "error") or dig(data, 0, "error")
    if not isinstance(error, dict):
        return None
    details = items(dig(error, "details"))
    reasons = (text_at(item, "reason") for item in details)
    codes = [code for code in (*reasons, text_at(error, "status"), text_at(error, "code")) if code]
    wait = next((found for item in details if (found := _seconds(text_at(item, "retryDelay"))) is not None), None)
    quotas = [text_at(item, "quotaId") or "" for part in details for item in items(dig(part, "violations"))]
    if any("PerDay" in quota for quota in quotas) or "quota_exceeded" in codes:
        wait = max(wait or 0.0, PER_DAY_S)
    return Told(with_refusal(codes), text_at(error, "message") or "", wait_s=wait)


def with_refusal(codes: Iterable[str]) -> tuple[str, ...]:
    """Return the codes of an error, with the one that all refusals have in common where one of them is one."""
    found = tuple(codes)
    return (*found, REFUSED) if {code.lower() for code in found} & (BLOCKED | ALSO_BLOCKED) else found


def _seconds(text: str | None) -> float | None:
    """Return a protobuf duration such as `30s` or `1.5s` in seconds."""
    return number_at([text.removesuffix("s")], 0) if text and text.endswith("s") else None
