"""OpenAI: GPT Image pictures, at once or in the background, and Sora's format, which other servers still speak.

Wire format: the vendor's SDK and OpenAPI file, https://developers.openai.com/api/docs.
"""

import re
from typing import Any

from darkroom.adapters.base import (
    Accepted,
    Blob,
    Call,
    Cancelled,
    Failed,
    Follow,
    Health,
    Json,
    Made,
    Pending,
    Succeeded,
    TooLate,
)
from darkroom.adapters.body import Body, parts_of
from darkroom.adapters.gpt_images import UNLISTED, health_of, images_call, pictures_of, told_of, whole_body
from darkroom.adapters.reading import NO_PICTURE, decoded, dig, in_line, items, needed, number_at, text_at
from darkroom.domain.kinds import Kind, Mode
from darkroom.domain.output import RemoteOutput
from darkroom.errors import InvalidRequest, UnexpectedAnswer, Unsupported
from darkroom.net.answer import SHOWN, Answer
from darkroom.net.provider import ProviderHttp

WORD_FOR_WORD = (
    "Call the image_generation tool once. Give it the user's text as the prompt, word for word: add nothing, leave "
    "nothing out, translate and improve nothing. Answer with nothing else."
)
BESIDE = ("prompt", "n", "image", "mask", "pollable", "language_model", "safety_identifier")
"""Values that are no parameter of the tool."""
FORM = ("prompt", "model", "seconds")
"""How the parts of a form for a clip begin."""
ENDED = ("completed", "incomplete", "failed", "cancelled")
OVER = (400, 404, 409)
"""Statuses of an answer that there is nothing to cancel."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


class OpenAIAdapter:
    """Maps requests and answers of the API; what is made in the background, and every clip, is asked about later."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Send JSON, or a form where pictures go in."""
        if call.offer.kind is Kind.VIDEO:
            path, body = _clip_call(call)
        else:
            path, body = _background(call) if _is_pollable(call) else images_call(call)
        answer = await self._http.submit("POST", path, headers=_headers(call), spool=call.spool, **body)
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return the pictures, or what to ask about later."""
        if call.offer.kind is Kind.IMAGE and not _is_pollable(call):
            return pictures_of(self._http, answer, call)
        data = answer.json()
        if dig(data, "error") and not text_at(data, "id"):
            raise self._http.failure(answer, told_of(data), submitting=True)
        if call.offer.kind is Kind.IMAGE and isinstance(ended := self._picture(data), Succeeded):
            return ended  # some servers know no background, and answer with the picture at once
        found = _checked(needed(data, "id"))
        return Accepted({"id": found}, found, _hint(answer))

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask for the clip, or for the answer with the picture in it."""
        answer = await self._http.request("GET", _place(operation, call), headers=_headers(call))
        data = answer.json()
        state = needed(data, "status").lower()
        if state not in ENDED:
            progress = number_at(data, "progress")
            fraction = None if progress is None else min(max(progress / 100, 0.0), 1.0)
            return Pending(fraction, in_line(state), poll_after_s=_hint(answer))
        return self._clip(operation, data, call) if call.offer.kind is Kind.VIDEO else self._picture(data)

    def _clip(self, operation: Json, data: Any, call: Follow) -> Succeeded | Failed:
        if needed(data, "status").lower() != "completed":
            return self._failed(data)
        gone = number_at(data, "expires_at")
        expires_at = None if gone is None else int(gone * 1000)
        url = self._http.url(f"{_place(operation, call)}/content")
        return Succeeded((RemoteOutput(url=url, media_type="video/mp4", expires_at=expires_at),))

    def _picture(self, data: Any) -> Succeeded | Failed:
        """Return what the tool made; without a picture, what the answer says instead."""
        calls = [item for item in items(dig(data, "output")) if text_at(item, "type") == "image_generation_call"]
        made = next((item for item in calls if text_at(item, "result")), None)
        if made is None:
            wrong = next((item for item in calls if dig(item, "error")), data)
            return self._failed(wrong, _words(data))
        kind, revised = text_at(made, "output_format"), text_at(made, "revised_prompt")
        picture = Made(decoded(needed(made, "result"), NO_PICTURE), kind and f"image/{kind}")
        return Succeeded((picture,), notes={"revised_prompt": revised} if revised else {})

    def _failed(self, data: Any, words: str = "") -> Failed:
        told, reason = told_of(data), text_at(data, "incomplete_details", "reason")
        state = text_at(data, "status")
        said = reason or (None if told.codes or state == "completed" else state)
        return Failed(self._http.ended(*told.codes, said, message=told.message or words))

    async def cancel(self, operation: Json, call: Follow) -> Cancelled | TooLate:
        """Stop an answer in the background; a clip can only be deleted, and goes on to be made."""
        if call.offer.kind is Kind.VIDEO:
            return TooLate()
        path = f"{_place(operation, call)}/cancel"
        answer = await self._http.request("POST", path, headers=_headers(call), also=OVER)
        return Cancelled() if answer.ok and text_at(answer.json(), "status") == "cancelled" else TooLate()

    def operation_of(self, provider_job_id: str, call: Follow) -> Json:
        """Return what `poll` needs, of the id alone."""
        if not _ID.fullmatch(provider_job_id):
            raise InvalidRequest(f"That is no id of {call.provider.title}.", field="provider-id")
        return {"id": provider_job_id}

    async def download_headers(self, call: Follow) -> dict[str, str]:
        """Return the key, which the API wants for clips."""
        return _headers(call)

    async def check(self, call: Follow) -> Health:
        """Ask which models there are."""
        return health_of(await self._http.request("GET", "models", headers=_headers(call), also=UNLISTED))


def _headers(call: Follow) -> dict[str, str]:
    names = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
    return call.bearer() | {name: call.credentials[key] for name, key in names.items() if key in call.credentials}


def _is_pollable(call: Call) -> bool:
    return call.request.options.get("pollable") is True


def _background(call: Call) -> tuple[str, dict[str, Any]]:
    """Return the route and the body for a language model that hands the prompt on to the tool for pictures."""
    body = whole_body(call)
    speaker = body.get("language_model") or (call.provider.chat and call.provider.chat.tiers.get("economy"))
    if not speaker:
        raise Unsupported(
            f"{call.provider.title} has no language model to hand the prompt on.",
            field="options.language_model",
            hint="Nothing was sent or charged. Name one there, or leave pollable out.",
        )
    pictures: list[Blob] = body.get("image", [])
    tool = {name: value for name, value in body.items() if name not in BESIDE}
    tool |= {"type": "image_generation", "action": "edit" if pictures else "generate"}
    if "mask" in body:
        tool["input_image_mask"] = {"image_url": body["mask"].data_uri}
    shown = [{"type": "input_image", "image_url": blob.data_uri, "detail": "auto"} for blob in pictures]
    content = [{"type": "input_text", "text": body["prompt"]}, *shown]
    named = {name: body[name] for name in ("safety_identifier",) if name in body}
    asked: Body = {
        "model": speaker,
        "instructions": WORD_FOR_WORD,
        "input": [{"role": "user", "content": content}],
        "tools": [tool],
        "tool_choice": {"type": "image_generation"},
        "background": True,
        **named,
    }
    return "responses", {"json": asked}


def _clip_call(call: Call) -> tuple[str, dict[str, Any]]:
    """Return the route and the body of a clip: a form even without a picture, or a few words about an earlier clip."""
    if call.request.mode is Mode.EDIT_VIDEO:
        earlier = call.history[-1].provider_job_id if call.history else None
        if earlier is None:
            raise Unsupported(
                f"{call.offer.model} changes its own earlier clips alone.",
                field="images",
                hint="Nothing was sent or charged. Name a clip that it made as refine.",
            )
        return f"videos/{_checked(earlier)}/remix", {"json": {"prompt": call.request.text}}
    body = whole_body(call)
    order = [*FORM, *(name for name in body if name not in FORM)]
    return "videos", {"files": parts_of({name: body[name] for name in order if name in body})}


def _hint(answer: Answer) -> float | None:
    """Return the seconds after which it wants to be asked."""
    wait = number_at(dict(answer.headers), "openai-poll-after-ms")
    return None if wait is None or wait < 0 else wait / 1000


def _checked(found: str) -> str:
    """Return an id that can be part of a path."""
    if not _ID.fullmatch(found):
        raise UnexpectedAnswer("The provider's answer has an id that cannot be one.")
    return found


def _place(operation: Json, call: Follow) -> str:
    route = "videos" if call.offer.kind is Kind.VIDEO else "responses"
    return f"{route}/{_checked(needed(operation, 'id'))}"


def _words(data: Any) -> str:
    """Return the beginning of what the language model said, or of why it would not."""
    parts = [part for item in items(dig(data, "output")) for part in items(dig(item, "content"))]
    found = [text for part in parts if (text := text_at(part, "text") or text_at(part, "refusal"))]
    return " ".join(found)[:SHOWN]


def create(http: ProviderHttp) -> OpenAIAdapter:
    """Return the adapter."""
    return OpenAIAdapter(http)
