"""Luma Dream Machine: Ray clips and Photon pictures. Wire format: the vendor's OpenAPI file."""

from contextlib import suppress
from typing import Any
from urllib.parse import quote

from darkroom.adapters.base import (
    Accepted,
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
from darkroom.adapters.body import Body, body_of, wire_of
from darkroom.adapters.reading import in_line, needed, number_at, text_at
from darkroom.domain.kinds import Mode
from darkroom.domain.output import RemoteOutput
from darkroom.errors import ResultExpired, UnexpectedAnswer, Unsupported
from darkroom.net.answer import Answer
from darkroom.net.provider import ProviderHttp

PATHS = {
    Mode.TEXT_TO_IMAGE: "/generations/image",
    Mode.EDIT_IMAGE: "/generations/image",
    Mode.REFERENCE_TO_IMAGE: "/generations/image",
    Mode.TEXT_TO_VIDEO: "/generations/video",
    Mode.IMAGE_TO_VIDEO: "/generations/video",
    Mode.FIRST_LAST_FRAME: "/generations/video",
    Mode.EDIT_VIDEO: "/generations/video/modify",
}
WEIGHED = ("image_ref", "style_ref", "modify_image_ref")
"""Where pictures may have a weight, each its own."""
CENTS = 100


class LumaAdapter:
    """Maps requests and answers of the Dream Machine API."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Start a generation; there is a path for each medium."""
        path = PATHS.get(call.request.mode)
        if path is None:
            raise Unsupported(f"{call.provider.title} cannot do {call.request.mode.replace('_', ' ')} from here.")
        body = _weighed({"model": wire_of(call), **body_of(call)})
        answer = await self._http.submit("POST", path, headers=call.bearer(), json=body, spool=call.spool)
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return what to ask about later."""
        del call
        found = needed(answer.json(), "id")
        return Accepted({"id": found}, found)

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask for the generation; that its content was refused is told in words alone."""
        data = (await self._http.request("GET", _place(operation), headers=call.bearer())).json()
        state = needed(data, "state")
        match state.lower():
            case "completed":
                url = text_at(data, "assets", call.offer.kind.value)
                if url is None:
                    raise UnexpectedAnswer(f"{call.provider.title} says that it is done and names no result.")
                return Succeeded((RemoteOutput(url=url),))
            case "failed":
                return Failed(self._http.ended("failed", message=text_at(data, "failure_reason")))
            case _:
                return Pending(message=in_line(state))

    async def cancel(self, operation: Json, call: Follow) -> Cancelled | TooLate:
        """Delete the generation, unless it is over: that would delete its result. What it cost is not told."""
        place, headers = _place(operation), call.bearer()
        with suppress(ResultExpired):  # an earlier try, whose answer was lost, may have deleted it
            data = (await self._http.request("GET", place, headers=headers)).json()
            if needed(data, "state").lower() in ("completed", "failed"):
                return TooLate()
            await self._http.request("DELETE", place, headers=headers)
        return Cancelled()

    def operation_of(self, provider_job_id: str, call: Follow) -> Json:
        """Return what `poll` needs, of the id alone."""
        del call
        return {"id": provider_job_id}

    async def check(self, call: Follow) -> Health:
        """Ask for what is left, which is told in cents."""
        data = (await self._http.request("GET", "/credits", headers=call.bearer())).json()
        left = number_at(data, "credit_balance")
        return Health(balance=None if left is None else f"{left / CENTS:.2f} USD")


def _weighed(body: Body) -> Body:
    """Return the body with its one weight at each picture that may have one."""
    weight = body.pop("weight", None)
    if weight is not None:
        for name in WEIGHED:
            found: Any = body.get(name, [])
            for picture in found if isinstance(found, list) else [found]:  # pyright: ignore[reportUnknownVariableType] because bodies are JSON
                picture["weight"] = weight
    return body


def _place(operation: Json) -> str:
    return f"/generations/{quote(needed(operation, 'id'), safe='')}"


def create(http: ProviderHttp) -> LumaAdapter:
    """Return the adapter."""
    return LumaAdapter(http)
