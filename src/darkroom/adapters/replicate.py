"""Replicate: predictions on hired machines. Wire format: the vendor's OpenAPI file, https://replicate.com/docs."""

import re
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

from pydantic import JsonValue

from darkroom.adapters.base import (
    Absent,
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
    Unsure,
)
from darkroom.adapters.body import body_of, wire_of
from darkroom.adapters.reading import dig, links, moment_at, needed, output_of, text_at
from darkroom.errors import InvalidRequest
from darkroom.net.answer import Answer
from darkroom.net.provider import ProviderHttp

KEPT_MS = 3_600_000
"""How long inputs and outputs are kept after a prediction ended."""
CANCEL_AFTER = "1h"
"""A prediction that has not ended by then is stopped there: none begins long after anybody waits for it."""
PLACES = ("get", "cancel")
"""Addresses of a prediction that are kept; others that it names are not called."""
SKEW_MS = 300_000
"""How far the provider's clock may be from ours."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ReplicateAdapter:
    """Maps requests and answers of Replicate's prediction API."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def upload(self, blob: Blob, call: Call) -> JsonValue:
        """Upload one picture; models fetch it from the address that comes back."""
        name = f"{blob.sha256[:16]}.{blob.media_type.rpartition('/')[2]}"
        files = {"content": (name, blob.content, blob.media_type)}
        answer = await self._http.request("POST", "/files", headers=call.bearer(), files=files)
        return needed(answer.json(), "urls", "get")

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Start a prediction, by the model's name or by its version; without `Prefer`, the answer comes at once."""
        wire = wire_of(call)
        body: dict[str, Any] = {"input": body_of(call)}
        if _is_version(wire):
            path, body = "/predictions", {"version": wire, **body}
        else:
            path = f"/models/{wire}/predictions"
        headers = {**call.bearer(), "Cancel-After": CANCEL_AFTER}
        return self.read(await self._http.submit("POST", path, headers=headers, json=body, spool=call.spool), call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return what to ask about later."""
        del call
        return self._accepted(answer.json())

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask at the address that the acceptance named."""
        path = text_at(operation, "get") or _path(operation)
        data = (await self._http.request("GET", path, headers=call.bearer())).json()
        status = needed(data, "status")
        match status:
            case "succeeded":
                return self._done(data, call)
            case "failed" | "canceled" | "aborted":
                return Failed(self._http.ended(status, message=text_at(data, "error")))
            case _:
                return Pending()

    def _done(self, data: Json, call: Follow) -> Succeeded | Failed:
        expires_at = _kept_until(data, call.now)
        found = _named_links(data.get("output"))
        if found:
            return Succeeded(tuple(output_of(url, variant=name, expires_at=expires_at) for name, url in found))
        code = "data_removed" if data.get("data_removed") is True else "no_files"
        return Failed(self._http.ended(code, message="Its output names no file."), billed=True)

    async def cancel(self, operation: Json, call: Follow) -> Cancelled | TooLate:
        """Ask to stop; whether it did shows in the prediction that comes back."""
        path = text_at(operation, "cancel") or f"{_path(operation)}/cancel"
        data = (await self._http.request("POST", path, headers=call.bearer())).json()
        return Cancelled() if text_at(data, "status") in ("canceled", "aborted") else TooLate()

    async def locate(self, call: Call) -> Accepted | Succeeded | Absent | Unsure:
        """Look through the predictions since then for one of this model with this very input.

        Nothing of ours is in that list but the input: without a seed, it may be another job's.
        """
        if call.sent_at is None:
            return Unsure()
        since = datetime.fromtimestamp((call.sent_at - SKEW_MS) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = await self._http.request("GET", "/predictions", headers=call.bearer(), params={"created_after": since})
        data = answer.json()
        listed = dig(data, "results")
        if not isinstance(listed, list) or text_at(data, "next"):
            return Unsure()
        wire, wanted = wire_of(call), body_of(call)
        found = [item for item in cast("list[Any]", listed) if _is_ours(item, wire, wanted)]
        if len(found) == 1 and call.request.seed is not None:
            return self._accepted(found[0])
        return Unsure() if found else Absent()

    def _accepted(self, data: Json) -> Accepted:
        found = needed(data, "id")
        return Accepted({"id": found, **{name: self._http.own(text_at(data, "urls", name)) for name in PLACES}}, found)

    def operation_of(self, provider_job_id: str, call: Follow) -> Json:
        """Return what `poll` needs, of the id alone."""
        del call
        if not _ID.fullmatch(provider_job_id):
            raise InvalidRequest("That is no id of a prediction.", field="provider-id", hint="Nothing was changed.")
        return {"id": provider_job_id}

    async def download_headers(self, call: Follow) -> dict[str, str]:
        """Return the token, which files that the API itself serves want."""
        return call.bearer()

    async def check(self, call: Follow) -> Health:
        """Ask whose token it is."""
        await self._http.request("GET", "/account", headers=call.bearer())
        return Health()


def _path(operation: Json) -> str:
    return f"/predictions/{quote(needed(operation, 'id'), safe='')}"


def _is_version(wire: str) -> bool:
    """Return whether that names one version: its id, alone or after the model's name and a colon."""
    return ":" in wire or "/" not in wire


def _is_ours(item: Any, wire: str, wanted: Json) -> bool:
    """Return whether a listed prediction is of that model, or version, and has all that we send."""
    kind = "version" if _is_version(wire) else "model"
    return text_at(item, kind) == wire.rpartition(":")[2] and all(
        dig(item, "input", name) == value for name, value in wanted.items()
    )


def _named_links(output: Any) -> list[tuple[str | None, str]]:
    """Return the addresses of an output: a text, a list, or an object whose names then say what each is."""
    if isinstance(output, dict) and "url" not in output:
        named = cast("dict[str, Any]", output).items()
        return [(name, url) for name, value in named for url in links(value)]
    return [(None, url) for url in links(output)]


def _kept_until(data: Json, now: int) -> int:
    return (moment_at(data, "completed_at") or now) + KEPT_MS


def create(http: ProviderHttp) -> ReplicateAdapter:
    """Return the adapter."""
    return ReplicateAdapter(http)
