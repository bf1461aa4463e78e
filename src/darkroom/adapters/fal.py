"""fal: models of many makers behind one queue. Wire format: https://docs.fal.ai and the vendor's clients."""

from dataclasses import replace
from typing import Any, cast
from urllib.parse import quote

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
from darkroom.adapters.body import body_of, wire_of
from darkroom.adapters.reading import (
    dig,
    health,
    in_line,
    items,
    links,
    needed,
    number_at,
    output_of,
    seed_at,
    text_at,
    texts,
)
from darkroom.domain.kinds import Kind, Role
from darkroom.domain.money import FREE
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.errors import DarkroomError, InvalidRequest, UnexpectedAnswer
from darkroom.net.answer import Answer, loads
from darkroom.net.classify import Told
from darkroom.net.provider import ProviderHttp

STORAGE = "https://rest.fal.ai"
PLATFORM = "https://api.fal.ai"
NEW_MS = 60_000
"""How long an accepted request may be unknown to the queue."""
PREFIXED = frozenset({"workflows", "comfy"})
"""Namespaces that stay in the addresses of requests."""
PLACES = {
    Kind.IMAGE: ("images", "image"),
    Kind.VIDEO: ("videos", "video"),
    Kind.SPEECH: ("audio", "audio_file", "audios"),
}
"""Where models put their results: those of the offer's own kind first; the first that holds any counts."""
BLACKED_OUT = "has_nsfw_concepts"
BLACK = "fal's filter blacked it out."
STOPPED = {"OK": FREE, "CANCELED": None, "CANCELLED": None}
"""What a cancelled request cost: nothing where it left the queue, else nobody says."""
ENDED = frozenset({"COMPLETED", "FAILED", "ERROR", "CANCELED", "CANCELLED"})
GENUINE = "x-fal-request-id"
"""On every answer of the vendor's own, and on none of a gateway before it."""
DROPPED = frozenset({404, 410})
"""Statuses of a result that is no longer kept."""
OF_CALLS = frozenset({401, 403, 408, 409, 429})
"""Statuses that are about our asking, not about the work."""


class FalAdapter:
    """Maps requests and answers of the queue, the storage and the platform."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Put a request into the queue; the endpoint is the path, its input the body."""
        # Where frames share one list, the last one comes last.
        ordered = replace(call, inputs=tuple(sorted(call.inputs, key=lambda blob: blob.role is Role.LAST_FRAME)))
        body, path = body_of(ordered), f"/{wire_of(call)}"
        answer = await self._http.submit("POST", path, headers=_headers(call), json=body, spool=call.spool)
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return the three addresses of the request: those that the answer names, else those that it would."""
        data = answer.json()
        found = needed(data, "request_id")
        usual = _addresses(wire_of(call), found)
        return Accepted({name: self._http.own(text_at(data, name)) or usual[name] for name in usual}, found)

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask for the status, and once it has ended for the result."""
        path = needed(operation, "status_url")
        answer = await self._http.request("GET", path, headers=_headers(call), also=(404,))
        if answer.status == 404:
            if call.is_new(NEW_MS):
                return Pending()
            raise self._error(answer)  # by itself it ends nothing: a gateway may say so too
        data = answer.json()
        state = needed(data, "status")
        if state.upper() in ENDED:
            return await self._result(operation, data, call)
        before = text_at(data, "queue_position")
        return Pending(message=f"{before} before it in the queue" if before else in_line(state))

    async def _result(self, operation: Json, status: Any, call: Follow) -> Pending | Succeeded | Failed:
        """Fetch what the model answered: its output, or its error, which has more to say than the status."""
        path = needed(operation, "response_url")
        answer = await self._http.request("GET", path, headers=_headers(call), also=range(400, 600))
        codes, words = _of_status(status)
        broke, dropped = bool(codes or words), answer.status in DROPPED
        if broke and (answer.ok or dropped or answer.status in OF_CALLS):
            return Failed(self._http.ended(*codes, message=words))
        if not answer.ok:
            error = self._error(answer, codes, words)
            genuine = GENUINE in answer.headers or (answer.status < 500 and not dropped)
            if broke or (genuine and answer.status not in OF_CALLS):
                return Failed(error, billed=dropped)
            raise error
        return Pending() if answer.status == 202 else self._done(answer.json(), call)

    def _done(self, data: Any, call: Follow) -> Succeeded | Failed:
        """Return the results; what the filter blacked out counts as refused, although it was made."""
        items = _results(data, call.offer.kind)
        if not items:
            raise UnexpectedAnswer("The provider says that it is done, and names no result.")
        bad = dig(data, BLACKED_OUT)
        flags = cast("list[Any]", bad) if isinstance(bad, list) else [bad] * len(items)
        left: list[RemoteOutput | Made] = []
        failed: list[FailedOutput] = []
        for index, item in enumerate(items, 1):
            if index <= len(flags) and flags[index - 1] is True:
                failed.append(FailedOutput(index=index, code="content_blocked", message=BLACK))
            elif urls := links(item):
                left.append(output_of(urls[0], media_type=text_at(item, "content_type")))
            else:
                failed.append(FailedOutput(index=index, code="provider_failed", message="It has no address."))
        if not left:
            return Failed(self._http.ended(BLACKED_OUT, message=BLACK), billed=True)
        return Succeeded(tuple(left), tuple(failed), notes=seed_at(data, "seed"))

    def _error(self, answer: Answer, codes: tuple[str, ...] = (), message: str = "") -> DarkroomError:
        more, words = _of_answer(answer)
        told = Told((*more, *codes), words or message, answer.status)
        return self._http.failure(answer, told, submitting=False)

    async def cancel(self, operation: Json, call: Follow) -> Cancelled | TooLate:
        """Take it out of the queue; a model that runs is only asked to stop, and its end decides."""
        path = needed(operation, "cancel_url")
        answer = await self._http.request("PUT", path, headers=_headers(call), also=(400, 404, 409))
        said = text_at(_data(answer), "status") or ""
        if not answer.ok or said.upper() not in STOPPED:
            return TooLate()
        return Cancelled(STOPPED[said.upper()])

    def operation_of(self, provider_job_id: str, call: Call) -> Json:
        """Return the addresses that a request of this endpoint has."""
        if not provider_job_id.replace("-", "").isalnum():
            raise InvalidRequest(f"That is no request id of {call.provider.title}.", hint="Nothing was asked.")
        return {**_addresses(wire_of(call), provider_job_id)}

    async def upload(self, blob: Blob, call: Call) -> str:
        """Ask where a picture or a clip may go, bring it there, and return its address."""
        answer = await self._http.request(
            "POST",
            self._at(STORAGE, "/storage/upload/initiate", call),
            headers=_headers(call),
            params={"storage_type": "gcs"},
            json={"file_name": blob.file_name, "content_type": blob.media_type},
        )
        data = answer.json()
        address, url = needed(data, "upload_url"), needed(data, "file_url")
        await self._http.deliver("PUT", address, headers={"content-type": blob.media_type}, content=blob.content)
        return url

    async def check(self, call: Follow) -> Health:
        """Ask for the balance, which only keys of administrators see; a price shows that any other is accepted."""
        path, headers = self._at(PLATFORM, "/v1/account/billing", call), _headers(call)
        answer = await self._http.request("GET", path, headers=headers, params={"expand": "credits"}, also=(403,))
        if answer.ok:
            data = answer.json()
            left = number_at(data, "credits", "current_balance")
            unit = text_at(data, "credits", "currency") or "USD"
            return health(left, unit)
        path = self._at(PLATFORM, "/v1/models/pricing", call)
        await self._http.request("GET", path, headers=headers, params={"endpoint_id": _any_wire(call)})
        return Health()

    def _at(self, host: str, path: str, call: Follow) -> str:
        """Return an address on another of the vendor's hosts; on the user's own server, where one is set."""
        moved = self._http.url("") != f"{(call.provider.base_url or '').rstrip('/')}/"
        return path if moved else f"{host}{path}"


def _headers(call: Follow) -> dict[str, str]:
    """Return the key, or its two halves as one."""
    return {"authorization": f"Key {':'.join(call.credentials.values())}"}


def _any_wire(call: Follow) -> str:
    """Return one endpoint of the offer."""
    return next(iter(call.offer.wires.values()), None) or call.offer.wire or call.offer.model


def _addresses(wire: str, request_id: str) -> dict[str, str]:
    """Return where a request is followed: below owner and app, without the rest of the endpoint's path."""
    parts = wire.split("/")
    app = "/".join(parts[: 3 if parts[0] in PREFIXED else 2])
    root = f"/{app}/requests/{quote(request_id, safe='')}"
    return {"status_url": f"{root}/status", "response_url": root, "cancel_url": f"{root}/cancel"}


def _results(data: Any, kind: Kind) -> list[Any]:
    """Return the items of the first place that names a file: one that models are known to use, else any of objects."""
    usual = sorted(PLACES, key=lambda other: other is not kind)
    known = [dig(data, name) for other in usual for name in PLACES[other]]
    others = list(cast("dict[str, Any]", data).values()) if isinstance(data, dict) else []
    for value in (*known, *(item for item in others if not _is_text(item))):
        items = cast("list[Any]", value) if isinstance(value, list) else [value]
        if any(links(item) for item in items):
            return items
    return []


def _is_text(value: Any) -> bool:
    """Return whether that is a text, or a list of them, as models echo of their input."""
    return isinstance(value, str) or bool(texts(value))


def _of_status(data: Any) -> tuple[tuple[str, ...], str]:
    """Return the codes and words of a status that ended badly, none of one that ended well."""
    said = dig(data, "error")
    message = said if isinstance(said, str) else text_at(said, "message") or (str(said) if said else "")
    state = needed(data, "status").upper()
    found = (text_at(data, "error_type"), text_at(said, "type"), None if state == "COMPLETED" else state)
    return tuple(code for code in found if code), message


def _of_answer(answer: Answer) -> tuple[tuple[str, ...], str]:
    """Return the codes and words of an error: a text, or a list with a type each."""
    data = _data(answer)
    told = items(dig(data, "detail"))
    codes = (text_at(data, "error_type"), answer.headers.get("x-fal-error-type"), *(text_at(i, "type") for i in told))
    words = (text_at(data, "detail"), *(text_at(item, "msg") for item in told))
    return tuple(dict.fromkeys(code for code in codes if code)), "; ".join(text for text in words if text)


def _data(answer: Answer) -> Any:
    """Return the body as JSON data, or None where it is none."""
    try:
        return loads(answer.body)
    except (ValueError, RecursionError):
        return None


def create(http: ProviderHttp) -> FalAdapter:
    """Return the adapter."""
    return FalAdapter(http)
