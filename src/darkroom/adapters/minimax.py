"""MiniMax: Hailuo and H3 clips, pictures. Wire format: https://platform.minimax.io/docs, the vendor's own client."""

from urllib.parse import quote

from darkroom.adapters.base import Accepted, Call, Failed, Follow, Health, Json, Pending, Succeeded
from darkroom.adapters.body import Body, body_of, wire_of
from darkroom.adapters.reading import dig, in_line, links, needed, number_at, text_at
from darkroom.catalog.providers import Offer
from darkroom.domain.kinds import Kind
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.errors import ContentBlocked, UnexpectedAnswer
from darkroom.net.answer import Answer
from darkroom.net.classify import Told
from darkroom.net.provider import ProviderHttp

PICTURES_KEPT_MS = 86_400_000
"""How long the address of a picture can be fetched."""
BLOCKED = "failed_count"
"""Stands in the manifest's errors for pictures that were left out, which have no code."""


class MiniMaxAdapter:
    """Maps requests and answers of both generations of clips, and of pictures."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Start a clip, or have pictures made within the call."""
        body: Body = {"model": wire_of(call), **body_of(call)}
        headers = call.bearer()
        answer = await self._http.submit("POST", _path(call), headers=headers, json=body, spool=call.spool, told=_told)
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return the pictures, or what to ask about later; what was delivered counts, whatever stands beside it."""
        if call.offer.kind is Kind.IMAGE:
            return self._pictures(answer, call)
        found = text_at(answer.json(), "task_id") or ""
        if not found.strip("0"):
            found = needed(self._checked(answer, submitting=True), "task_id")
        return Accepted(self.operation_of(found, call), found)

    def _pictures(self, answer: Answer, call: Call) -> Succeeded:
        """Return the pictures; those that broke the content rules are only counted."""
        urls = links(dig(answer.json(), "data", "image_urls"))
        data = answer.json() if urls else self._checked(answer, submitting=True)
        missing = number_at(data, "metadata", "failed_count") or 0
        if not urls and missing:
            raise self._http.failure(answer, Told((BLOCKED,)), submitting=True)
        if not urls:
            raise UnexpectedAnswer("The provider's answer has no pictures.")
        error = self._http.ended(BLOCKED)
        left_out = range(len(urls), min(len(urls) + int(missing), call.request.n))
        failed = (FailedOutput(index=n + 1, code=error.code, message=error.message) for n in left_out)
        outputs = (RemoteOutput(url=url, expires_at=call.now + PICTURES_KEPT_MS) for url in urls)
        return Succeeded(tuple(outputs), failed=tuple(failed))

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask where its generation is asked; an answer about refused content is about the work, not the question."""
        try:
            return await (
                self._second(operation, call) if operation.get("version") == 2 else self._first(operation, call)
            )
        except ContentBlocked as exc:
            return Failed(exc)

    async def _first(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        params = {"task_id": needed(operation, "id")}
        answer = await self._http.request("GET", "/v1/query/video_generation", headers=call.bearer(), params=params)
        data = answer.json()
        if (text_at(data, "status") or "").lower() == "fail":
            code, message = _code(data), text_at(data, "base_resp", "status_msg")
            return Failed(self._http.ended(code or "Fail", message=message if code else None))
        state = needed(self._checked(answer), "status")
        if state.lower() != "success":
            return Pending(message=in_line(state))
        params = {"file_id": needed(data, "file_id")}
        answer = await self._http.request("GET", "/v1/files/retrieve", headers=call.bearer(), params=params)
        return Succeeded((RemoteOutput(url=needed(self._checked(answer), "file", "download_url")),))

    async def _second(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        path = f"/v2/query/video_generation/{quote(needed(operation, 'id'), safe='')}"
        data = self._checked(await self._http.request("GET", path, headers=call.bearer()))
        status = needed(data, "task", "status")
        match status.lower():
            case "succeeded":
                return Succeeded((RemoteOutput(url=needed(data, "task", "content", "url")),))
            case "failed" | "cancelled":
                code, message = text_at(data, "task", "error", "code"), text_at(data, "task", "error", "message")
                return Failed(self._http.ended(code or status, message=message))
            case _:
                return Pending(message=in_line(status))

    def operation_of(self, provider_job_id: str, call: Follow) -> Json:
        """Return what `poll` needs, of the id and the offer."""
        return {"id": provider_job_id, "version": 2 if _is_second(call.offer) else 1}

    async def check(self, call: Follow) -> Health:
        """List the account's files of one kind."""
        params = {"purpose": "voice_clone"}
        self._checked(await self._http.request("GET", "/v1/files/list", headers=call.bearer(), params=params))
        return Health()

    def _checked(self, answer: Answer, *, submitting: bool = False) -> Json:
        """Return the data of an answer whose envelope says success too."""
        if told := _told(answer):
            raise self._http.failure(answer, told, submitting=submitting)
        data = answer.json()
        if error := dig(data, "error"):
            codes = (text_at(error, "code"), text_at(error, "type"))
            status = number_at(error, "http_code")
            told = Told(
                tuple(code for code in codes if code),
                text_at(error, "message") or text_at(data, "error") or "",
                status=None if status is None else int(status),
            )
            raise self._http.failure(answer, told, submitting=submitting)
        return data


def _path(call: Call) -> str:
    if call.offer.kind is Kind.IMAGE:
        return "/v1/image_generation"
    return f"/v{2 if _is_second(call.offer) else 1}/video_generation"


def _is_second(offer: Offer) -> bool:
    """Return whether a model belongs to the second generation, whose bodies are lists of contents."""
    slot = offer.fields.get("prompt")
    return slot is not None and slot.to.startswith("content")


def _code(data: Json) -> str | None:
    """Return the error code of the first generation's envelope; None where it says success or is not there."""
    code = text_at(data, "base_resp", "status_code")
    return None if code == "0" else code


def _told(answer: Answer) -> Told | None:
    """Return what the first generation's envelope says is wrong; it comes before the status of the answer."""
    try:
        data = answer.json()
    except UnexpectedAnswer:
        return None
    code = _code(data)
    return Told((code,), text_at(data, "base_resp", "status_msg") or "") if code else None


def create(http: ProviderHttp) -> MiniMaxAdapter:
    """Return the adapter."""
    return MiniMaxAdapter(http)
