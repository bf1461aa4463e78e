"""Runway: Gen-4 and partner models. Wire format: the vendor's OpenAPI file and SDK, https://docs.dev.runwayml.com."""

import re
from contextlib import suppress

from darkroom.adapters.base import (
    Accepted,
    Blob,
    Call,
    Cancelled,
    Failed,
    Follow,
    Health,
    Json,
    Pending,
    Succeeded,
    TooLate,
)
from darkroom.adapters.body import body_of, wire_of
from darkroom.adapters.reading import (
    dig,
    fraction_at,
    health,
    in_line,
    links,
    needed,
    number_at,
    output_of,
    text_at,
)
from darkroom.domain.kinds import Mode
from darkroom.domain.money import MicroUsd
from darkroom.errors import InvalidRequest, ResultExpired, UnexpectedAnswer, Unsupported
from darkroom.net.answer import Answer
from darkroom.net.provider import ProviderHttp

VERSION = "2024-11-06"
"""Of the API; requests without it are refused."""
KEPT_MS = 86_400_000
"""How long a link lasts at least; asking again makes new ones."""
CREDIT = 10_000
"""Millionths of a dollar."""
PATHS = {
    Mode.TEXT_TO_IMAGE: "/v1/text_to_image",
    Mode.EDIT_IMAGE: "/v1/text_to_image",
    Mode.REFERENCE_TO_IMAGE: "/v1/text_to_image",
    Mode.UPSCALE_IMAGE: "/v1/image_upscale",
    Mode.TEXT_TO_VIDEO: "/v1/text_to_video",
    Mode.REFERENCE_TO_VIDEO: "/v1/text_to_video",
    Mode.IMAGE_TO_VIDEO: "/v1/image_to_video",
    Mode.FIRST_LAST_FRAME: "/v1/image_to_video",
    Mode.EDIT_VIDEO: "/v1/video_to_video",
    Mode.EXTEND_VIDEO: "/v1/video_to_video",
}
OVER = ("succeeded", "failed", "cancelled")
WAITING = ("pending", "throttled")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class RunwayAdapter:
    """Maps requests and answers of the Runway API."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Start a task; the operation is in the path, the model in the body."""
        path = PATHS.get(call.request.mode)
        if path is None:
            raise Unsupported(f"{call.provider.title} cannot do {call.request.mode.replace('_', ' ')} from here.")
        body = {"model": wire_of(call), **body_of(call)}
        answer = await self._http.submit("POST", path, headers=_headers(call), json=body, spool=call.spool)
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return what to ask about later, and the most that it may cost."""
        del call
        data = answer.json()
        found = _checked(needed(data, "id"))
        return Accepted({"id": found, "estimated_credits": number_at(data, "estimatedCost", "credits")}, found)

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask for the task, whose links are new each time."""
        data = (await self._http.request("GET", _place(operation), headers=_headers(call))).json()
        state = needed(data, "status")
        match state.lower():
            case "succeeded":
                return _done(data, call)
            case "failed":
                error = self._http.ended(text_at(data, "failureCode"), message=text_at(data, "failure"))
                return Failed(error, billed=_billed(data), charged=_cost(data))
            case "cancelled":
                error = self._http.ended("CANCELLED", message="It was cancelled.")
                return Failed(error, billed=_billed(data), charged=_cost(data))
            case "throttled":
                return Pending(message="It waits until the account runs fewer tasks.")
            case _:
                return Pending(fraction_at(data, "progress"), in_line(state))

    async def cancel(self, operation: Json, call: Follow) -> Cancelled | TooLate:
        """Stop the task, unless it is over: deleting it then would delete its result; what runs is not given back."""
        place, headers, most = _place(operation), _headers(call), _dollars(number_at(operation, "estimated_credits"))
        try:
            data = (await self._http.request("GET", place, headers=headers)).json()
        except ResultExpired:  # an earlier try of this call deleted it, and it may have been running
            return Cancelled(most)
        state = needed(data, "status").lower()
        if state in OVER:
            return TooLate()
        with suppress(ResultExpired):
            await self._http.request("DELETE", place, headers=headers)
        return Cancelled(None if state in WAITING else most)

    async def upload(self, blob: Blob, call: Call) -> str:
        """Bring a picture or a clip to the storage that the answer names, which takes no credentials."""
        asked = {"filename": blob.file_name, "type": "ephemeral"}
        data = (await self._http.request("POST", "/v1/uploads", headers=_headers(call), json=asked)).json()
        fields = dig(data, "fields")
        await self._http.deliver(
            "POST",
            needed(data, "uploadUrl"),
            data=fields if isinstance(fields, dict) else {},
            files={"file": (blob.file_name, blob.content, blob.media_type)},
        )
        return needed(data, "runwayUri")

    def operation_of(self, provider_job_id: str, call: Follow) -> Json:
        """Return what `poll` needs, of the id alone."""
        if not _ID.fullmatch(provider_job_id):
            raise InvalidRequest(f"That is no id of a task of {call.provider.title}.", field="provider-id")
        return {"id": provider_job_id}

    async def check(self, call: Follow) -> Health:
        """Ask for the organization, which tells the credits that are left."""
        data = (await self._http.request("GET", "/v1/organization", headers=_headers(call))).json()
        left = number_at(data, "creditBalance")
        return health(left)


def _headers(call: Follow) -> dict[str, str]:
    return {**call.bearer(), "X-Runway-Version": VERSION}


def _checked(found: str) -> str:
    """Return an id that can be part of a path."""
    if not _ID.fullmatch(found):
        raise UnexpectedAnswer("The provider's answer has an id that cannot be one.")
    return found


def _place(operation: Json) -> str:
    return f"/v1/tasks/{_checked(needed(operation, 'id'))}"


def _done(data: Json, call: Follow) -> Succeeded:
    """Return the results, and what was charged where the task tells it."""
    found = links(dig(data, "output"))
    if not found:
        raise UnexpectedAnswer(f"{call.provider.title} says that it is done and names no result.")
    return Succeeded(tuple(output_of(url, expires_at=call.now + KEPT_MS) for url in found), cost=_cost(data))


def _cost(data: Json) -> MicroUsd | None:
    """Return what a task that is over cost, where it tells."""
    return _dollars(number_at(data, "cost", "credits"))


def _dollars(credits: float | None) -> MicroUsd | None:
    return None if credits is None else MicroUsd(round(credits * CREDIT))


def _billed(data: Json) -> bool:
    """Return whether a failed task was charged: as it says, else for refused input, which is not given back."""
    credits = number_at(data, "cost", "credits")
    return credits > 0 if credits is not None else (text_at(data, "failureCode") or "").startswith("SAFETY.INPUT")


def create(http: ProviderHttp) -> RunwayAdapter:
    """Return the adapter."""
    return RunwayAdapter(http)
