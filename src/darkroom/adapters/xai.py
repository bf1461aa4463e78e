"""xAI: Grok Imagine pictures and clips. Wire format: https://docs.x.ai, and what the AI SDK's xAI package sends."""

import re
from base64 import b64decode
from typing import Any
from urllib.parse import quote

from darkroom.adapters.base import Accepted, Call, Failed, Follow, Health, Json, Made, Pending, Succeeded
from darkroom.adapters.body import Body, body_of, wire_of
from darkroom.adapters.reading import dig, items, links, needed, number_at, output_of, text_at
from darkroom.domain.kinds import Kind, Mode
from darkroom.domain.money import MicroUsd
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.errors import ContentBlocked, InvalidRequest, ResultExpired, UnexpectedAnswer, Unsupported
from darkroom.net.answer import SHOWN, Answer, loads
from darkroom.net.classify import Told
from darkroom.net.provider import ProviderHttp
from darkroom.net.redact import redact

GENERATIONS = "/videos/generations"
PATHS = {
    Mode.TEXT_TO_IMAGE: "/images/generations",
    Mode.EDIT_IMAGE: "/images/edits",
    Mode.REFERENCE_TO_IMAGE: "/images/edits",
    Mode.TEXT_TO_VIDEO: GENERATIONS,
    Mode.IMAGE_TO_VIDEO: GENERATIONS,
    Mode.FIRST_LAST_FRAME: GENERATIONS,
    Mode.REFERENCE_TO_VIDEO: GENERATIONS,
    Mode.EDIT_VIDEO: "/videos/edits",
    Mode.EXTEND_VIDEO: "/videos/extensions",
}
TICKS = 10_000
"""Of a price in a millionth of a dollar; a tick is 1e-10 dollars."""
KEPT_MS = 86_400_000
"""How long the link of a clip lasts."""
RUNNING = 202
"""The HTTP status of a clip that is not ready; its body may be empty."""
GONE = (404, 410)
BLOCKED = "respect_moderation"
"""False of what was made and is not shown; it is charged all the same."""
BLOCKED_WORDS = "It was made, charged and withheld by xAI's moderation."
LOCKED = {
    "api_key_blocked": "The key is blocked.",
    "api_key_disabled": "The key is disabled.",
    "team_blocked": "The team of the key is blocked.",
}
_ID = re.compile(r"[\w.:-]{1,200}")


class XaiAdapter:
    """Maps requests and answers of the picture and clip endpoints."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def submit(self, call: Call) -> Accepted | Succeeded | Failed:
        """Make pictures within the call, or start a clip; edits are JSON too."""
        path = PATHS.get(call.request.mode)
        if path is None:
            raise Unsupported(f"{call.provider.title} cannot do {call.request.mode.replace('_', ' ')} from here.")
        body = _body(call)
        answer = await self._http.submit("POST", path, headers=call.bearer(), json=body, spool=call.spool)
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded | Failed:
        """Return the pictures, or what to ask about later."""
        data = answer.json()
        told = _told(data)
        if told is not None:
            raise self._http.failure(answer, told, submitting=True)
        if call.offer.kind is Kind.IMAGE:
            return self._pictures(answer, data)
        found = needed(data, "request_id")
        if not _ID.fullmatch(found):
            raise UnexpectedAnswer("The provider's answer has an id that cannot be one.")
        return Accepted({"id": found}, found)

    def _pictures(self, answer: Answer, data: Any) -> Succeeded | Failed:
        """Return what an answer holds; what moderation withheld was charged with the rest."""
        made: list[RemoteOutput | Made] = []
        failed: list[FailedOutput] = []
        entries = items(dig(data, "data"))
        for index, item in enumerate(entries, 1):
            if dig(item, BLOCKED) is False:
                failed.append(FailedOutput(index=index, code=ContentBlocked.code, message=BLOCKED_WORDS))
            elif (found := _picture(item)) is not None:
                made.append(found)
            else:
                failed.append(FailedOutput(index=index, code="provider_failed", message="It holds no picture."))
        if made:
            said = (text_at(item, "revised_prompt") for item in entries if dig(item, BLOCKED) is not False)
            revised = next((text for text in said if text), None)
            return Succeeded(
                tuple(made), tuple(failed), cost=_cost(data), notes={"revised_prompt": revised} if revised else {}
            )
        if any(item.code == ContentBlocked.code for item in failed):
            return Failed(self._http.ended(BLOCKED, message=BLOCKED_WORDS), billed=True, charged=_cost(data))
        error = UnexpectedAnswer("The provider's answer has no picture that can be read.")
        error.provider_message = redact(answer.text(SHOWN * 4))[:SHOWN]
        raise error

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask for the clip once."""
        path = f"/videos/{quote(needed(operation, 'id'), safe='')}"
        answer = await self._http.request("GET", path, headers=call.bearer(), also=GONE)
        if answer.status in GONE:
            raise ResultExpired(f"{call.provider.title} no longer has it (status {answer.status}).")
        if answer.status == RUNNING:
            return Pending(_fraction(answer))
        data = answer.json()
        told = _told(data)
        state = text_at(data, "status")
        if state is None and told is not None:
            raise self._http.failure(answer, told, submitting=False)
        if state is None and not links(dig(data, "video")):
            raise UnexpectedAnswer("The provider's answer has no status.")
        match (state or "done").lower():
            case "done":
                return self._done(data, call)
            case "failed" | "expired" as ended:
                return self._failed(data, told or Told((ended,)))
            case _:
                return Pending(_fraction(answer))

    def _done(self, data: Any, call: Follow) -> Succeeded | Failed:
        """Return the clip; one that moderation withheld is charged."""
        cost = _cost(data)
        if dig(data, "video", BLOCKED) is False:
            return Failed(self._http.ended(BLOCKED, message=BLOCKED_WORDS), billed=True, charged=cost)
        found = links(dig(data, "video"))
        if not found:
            raise UnexpectedAnswer(f"{call.provider.title} says that it is done and names no result.")
        clip = output_of(found[0], media_type="video/mp4", expires_at=call.now + KEPT_MS)
        return Succeeded((clip,), cost=cost)

    def _failed(self, data: Any, told: Told) -> Failed:
        """Return why there is no clip; refused content is charged, other failures only where a cost is told."""
        error, cost = self._http.ended(*told.codes, message=told.message), _cost(data)
        return Failed(error, billed=isinstance(error, ContentBlocked) or bool(cost), charged=cost)

    def operation_of(self, provider_job_id: str, call: Follow) -> Json:
        """Return what `poll` needs, of the id alone.

        Raises:
            InvalidRequest: If it holds what no id holds.
        """
        if not _ID.fullmatch(provider_job_id):
            raise InvalidRequest(f"That is no request id of {call.provider.title}.", field="provider-id")
        return {"id": provider_job_id}

    async def check(self, call: Follow) -> Health:
        """Ask what the key is; no credits are told."""
        data = (await self._http.request("GET", "/api-key", headers=call.bearer())).json()
        problem = next((words for name, words in LOCKED.items() if dig(data, name) is True), None)
        return Health(ok=problem is None, problem=problem)


def _body(call: Call) -> Body:
    """Return the body: one picture to edit stands alone, several in a list."""
    body: Body = {"model": wire_of(call), **body_of(call)}
    if len(body.get("images", ())) == 1:
        body["image"] = body.pop("images")[0]
    return body


def _picture(item: Any) -> RemoteOutput | Made | None:
    """Return one picture: base64, which some answers write as a data URI, else an address; None where it has neither.

    Raises:
        UnexpectedAnswer: If it says that it holds one and does not.
    """
    text, media_type = text_at(item, "b64_json") or "", text_at(item, "mime_type")
    if text.startswith("data:"):
        return output_of(text, media_type=media_type)
    try:
        content = b64decode(text, validate=True)
    except ValueError:
        content = b""
    if content:
        return Made(content, media_type)
    found = links(item)
    return output_of(found[0], media_type=media_type) if found else None


def _cost(data: Any) -> MicroUsd | None:
    """Return what the answer says that was charged, half a millionth of a dollar rounded up."""
    ticks = number_at(data, "usage", "cost_in_usd_ticks")
    return None if ticks is None or ticks < 0 else MicroUsd((int(ticks) + TICKS // 2) // TICKS)


def _fraction(answer: Answer) -> float | None:
    """Return how far a clip is; told in percent, where there is a body at all."""
    try:
        percent = number_at(loads(answer.body), "progress")
    except (ValueError, RecursionError):
        return None
    return None if percent is None or not 0 <= percent <= 100 else percent / 100


def _told(data: Any) -> Told | None:
    """Return an error of any of the three shapes: an object, a text with a code beside it, or a text alone."""
    said = dig(data, "error")
    if not said:
        return None
    found = (text_at(said, "code"), text_at(said, "type"), text_at(data, "code"))
    words = said if isinstance(said, str) else text_at(said, "message")
    return Told(tuple(code for code in found if code), words or "")


def create(http: ProviderHttp) -> XaiAdapter:
    """Return the adapter."""
    return XaiAdapter(http)
