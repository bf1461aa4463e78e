"""Stability AI: Stable Image pictures, edits, upscaling. Wire format: the vendor's OpenAPI text of its v2beta API."""

import re
from base64 import b64encode
from typing import Any
from urllib.parse import quote

from darkroom.adapters.base import Accepted, Call, Failed, Follow, Health, Json, Made, Pending, Succeeded
from darkroom.adapters.body import body_of, number_text, parts_of, wire_of
from darkroom.adapters.reading import NO_PICTURE, decoded, dig, needed, number_at, text_at, texts
from darkroom.errors import UnexpectedAnswer
from darkroom.net.answer import Answer
from darkroom.net.classify import Told
from darkroom.net.provider import ProviderHttp

RUNNING = 202
"""The HTTP status of a result that is not ready."""
FILTERED = "CONTENT_FILTERED"
"""The picture is there, but blurred."""
_TYPE = re.compile(r"(?:^|\btype=\"?)(image/[\w.+-]+)", re.IGNORECASE)


class StabilityAdapter:
    """Maps requests and answers of the Stable Image API."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Send a form, without files too; nearly every endpoint answers with the picture."""
        path = f"/v2beta/stable-image/{wire_of(call)}"
        parts = parts_of(body_of(call))
        headers = _headers(call)
        answer = await self._http.submit("POST", path, headers=headers, files=parts, spool=call.spool, told=_told)
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return the picture, or what to ask about later."""
        del call
        data = _data(answer)
        if code := _trouble(data):
            raise self._http.failure(answer, Told((code,), _words(data)), submitting=True)
        if _picture(data):
            return _made(answer, data)
        found = needed(data, "id")
        return Accepted({"id": found}, found)

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask for a result; the status of the answer tells whether it is ready."""
        path = f"/v2beta/results/{quote(needed(operation, 'id'), safe='')}"
        answer = await self._http.request("GET", path, headers=_headers(call))
        if answer.status == RUNNING:
            return Pending()
        data = _data(answer)
        if code := _trouble(data):
            return Failed(self._http.ended(code, message=_words(data)))
        if not _picture(data) and text_at(data, "status"):
            return Pending()
        return _made(answer, data)

    def operation_of(self, provider_job_id: str, call: Follow) -> Json:
        """Return what `poll` needs, of the id alone."""
        del call
        return {"id": provider_job_id}

    async def check(self, call: Follow) -> Health:
        """Ask for the credits that are left."""
        data = (await self._http.request("GET", "/v1/user/balance", headers=_headers(call))).json()
        left = number_at(data, "credits")
        return Health(balance=None if left is None else f"{number_text(left)} credits")


def _headers(call: Follow) -> dict[str, str]:
    """Return the headers; asked for JSON, every answer has seed and finish reason in its body."""
    return {**call.bearer(), "accept": "application/json"}


def _data(answer: Answer) -> Any:
    """Return what an answer holds; a picture that comes as it is, facts in headers, as JSON would have told it."""
    if not answer.headers.get("content-type", "").lower().startswith("image/"):
        return answer.json()
    facts = {"finish_reason": answer.headers.get("finish-reason"), "seed": answer.headers.get("seed")}
    return {"image": b64encode(answer.body).decode("ascii"), **facts}


def _picture(data: Any) -> str | None:
    """Return the picture in base64; results have been seen under either name."""
    return text_at(data, "image") or text_at(data, "result")


def _trouble(data: Any) -> str | None:
    """Return the code of an answer that says success in its status alone; a picture is one, whatever is beside it."""
    if (text_at(data, "finish_reason") or "").upper() == FILTERED:
        return FILTERED
    name = text_at(data, "name")
    if _picture(data) or not (dig(data, "errors") or (name and text_at(data, "message"))):
        return None
    return name or "error"


def _told(answer: Answer) -> Told | None:
    """Return the name and the list of words of an error; None where it has none."""
    try:
        data = answer.json()
    except UnexpectedAnswer:
        return None
    name, words = text_at(data, "name"), _words(data)
    return Told((name,), words) if name and words else None


def _words(data: Any) -> str:
    return "; ".join(texts(dig(data, "errors"))) or text_at(data, "message") or ""


def _made(answer: Answer, data: Any) -> Succeeded:
    """Return the one picture that an answer holds.

    Raises:
        UnexpectedAnswer: If it holds none.
    """
    content = decoded(_picture(data) or "", NO_PICTURE)
    media_type = _TYPE.search(answer.headers.get("content-type", ""))
    seed = number_at(data, "seed")
    made = Made(content, media_type=media_type and media_type[1])
    return Succeeded((made,), notes={} if seed is None else {"seed": int(seed)})


def create(http: ProviderHttp) -> StabilityAdapter:
    """Return the adapter."""
    return StabilityAdapter(http)
