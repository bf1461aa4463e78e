"""GPT Image pictures, as OpenAI and Azure make them. Wire format: the vendor's SDK and OpenAPI file."""

from typing import Any

from darkroom.adapters.base import Blob, Call, Health, Made, Succeeded
from darkroom.adapters.body import Body, body_of, parts_of, wire_of
from darkroom.adapters.reading import NO_PICTURE, decoded, dig, items, links, number_at, output_of, text_at
from darkroom.domain.kinds import Role
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.errors import InvalidRequest, UnexpectedAnswer
from darkroom.net.answer import SHOWN, Answer
from darkroom.net.classify import Told
from darkroom.net.provider import ProviderHttp

MASK_BYTES = 4_000_000
OURS = ("pollable", "language_model")
"""Options that are of another route, and no part of the body here."""
UNLISTED = (404, 405, 410)
"""Statuses of servers that have no list of models."""


def whole_body(call: Call) -> Body:
    """Return the body of a request, the model in it, pictures as `Blob`.

    Raises:
        InvalidRequest: If the mask is larger than it may be.
    """
    mask = next((blob for blob in call.inputs if blob.role is Role.MASK), None)
    if mask is not None and len(mask.content) > MASK_BYTES:
        raise InvalidRequest(
            f"The mask has {len(mask.content) / 1e6:.1f} MB, more than {call.provider.title} takes.",
            field="images",
            allowed=f"up to {MASK_BYTES // 1_000_000} MB",
            hint="Nothing was sent or charged. Masks of few colours are smaller.",
        )
    body = body_of(call)
    if mask is not None:  # it covers the first picture
        pictures: list[Blob] = body["image"]
        pictures.sort(key=lambda blob: blob.role is not Role.SOURCE)
    return {"prompt": body.pop("prompt"), "model": wire_of(call), **body}


def images_call(call: Call) -> tuple[str, dict[str, Any]]:
    """Return the route of a request for pictures, and its body: a form where pictures go in, else JSON."""
    body = {name: value for name, value in whole_body(call).items() if name not in OURS}
    return ("images/edits", {"files": parts_of(body)}) if "image" in body else ("images/generations", {"json": body})


def pictures_of(http: ProviderHttp, answer: Answer, call: Call) -> Succeeded:
    """Return the pictures of an answer, as it holds them or, from servers that imitate this one, by their addresses.

    Raises:
        UnexpectedAnswer: If it has none.
        DarkroomError: If it says what went wrong, whatever its status.
    """
    data = answer.json()
    kind = text_at(data, "output_format")
    media_type = kind and f"image/{kind}"
    outputs: list[Made | RemoteOutput] = []
    failed: list[FailedOutput] = []
    for number, item in enumerate(items(dig(data, "data")), 1):
        found = _picture(item, media_type)
        if found is not None:
            outputs.append(found)
        elif dig(item, "error"):
            error = http.ended(*told_of(item).codes, message=told_of(item).message)
            failed.append(FailedOutput(index=number, code=error.code, message=error.provider_message or error.message))
    if not outputs and (dig(data, "error") or failed):
        wrong = data if dig(data, "error") else next(item for item in items(dig(data, "data")) if dig(item, "error"))
        raise http.failure(answer, told_of(wrong), submitting=True)
    if not outputs:
        raise UnexpectedAnswer(f"{call.provider.title} answered without a picture{_said(data)}")
    revised = next((text for item in items(dig(data, "data")) if (text := text_at(item, "revised_prompt"))), None)
    return Succeeded(
        tuple(outputs), tuple(failed), tokens=_tokens(data), notes={"revised_prompt": revised} if revised else {}
    )


def health_of(answer: Answer) -> Health:
    """Return what asking for the list of models showed; servers that imitate this one may have none."""
    if answer.status in UNLISTED:
        return Health(
            ok=False,
            problem=f"the server has no list of models (status {answer.status}), so the key could not be checked; "
            "if the base URL is your own, look whether it is whole, such as with /v1 at its end",
        )
    return Health()


def told_of(data: Any) -> Told:
    """Return what an envelope says of an error, with the status that some servers give as its code."""
    codes = [text_at(data, "error", name) for name in ("code", "type")]
    status = number_at(data, "error", "code")
    message = text_at(data, "error", "message") or text_at(data, "error") or ""
    known = status is not None and 400 <= status < 600
    return Told(tuple(code for code in codes if code), message, int(status or 0) if known else None)


def _picture(item: Any, media_type: str | None) -> Made | RemoteOutput | None:
    text = text_at(item, "b64_json")
    if text and not text.startswith("data:"):
        return Made(decoded(text, NO_PICTURE), media_type)
    found = links(text or item)
    return output_of(found[0], media_type=media_type) if found else None


def _said(data: Any) -> str:
    """Return how an answer goes on that is one of a language model, to end a sentence."""
    text = text_at(data, "choices", 0, "message", "content") or text_at(data, "choices", 0, "message", "refusal")
    return f", with the text: {text[:SHOWN]}" if text else "."


def _tokens(data: Any) -> dict[str, int]:
    """Return what was counted: the text and the pictures that went in, and what came out."""
    usage = dig(data, "usage")
    put_in, pictures = number_at(usage, "input_tokens"), number_at(usage, "input_tokens_details", "image_tokens") or 0
    made = number_at(usage, "output_tokens")
    if put_in is None or made is None:
        return {}
    counted = {"input_text": put_in - pictures, "input_image": pictures, "output": made}
    return {name: int(number) for name, number in counted.items() if number > 0}
