"""Higgsfield: many makers' models with one key. Wire format: https://docs.higgsfield.ai and the vendor's two SDKs."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

from pydantic import JsonValue

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
from darkroom.adapters.body import Body, body_of, wire_of
from darkroom.adapters.reading import dig, links, needed, text_at
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.errors import DarkroomError, InvalidRequest, NotConfigured, UnexpectedAnswer, Unsupported
from darkroom.net.answer import Answer
from darkroom.net.provider import ProviderHttp

OLD = "v1/"
"""How paths of the deprecated interface begin: its bodies are wrapped, its answers are sets of jobs."""
DONE = "completed"
ENDED = frozenset({DONE, "failed", "nsfw", "canceled", "cancelled"})
EMPTY_MS = 7_200_000
"""How long after its submission finished work may still name no file: longer than clips wait and are made."""
CLIP = {"video": None, "videos": None, "mov": "mov"}
"""Where an answer names a clip, and as which variant."""
NOBODY = "00000000-0000-0000-0000-000000000000"
"""A request that no account has."""
_ID = re.compile(r"[\w-]{1,80}")


@dataclass(frozen=True, slots=True)
class _Part:
    """One picture or clip of the work."""

    state: str
    files: tuple[RemoteOutput, ...]
    """Its variants; none unless it is done."""
    message: str | None


class HiggsfieldAdapter:
    """Maps requests and answers of both interfaces."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Start the work; the model is in the path, its arguments in a flat body."""
        old, body = _is_old(call), _body(call)
        answer = await self._http.submit(
            "POST",
            f"/{wire_of(call)}",
            headers=_headers(call, old=old),
            json={"params": body} if old else body,
            spool=call.spool,
        )
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return what to ask about later, which either interface may name in the way of the other."""
        data = answer.json()
        old = _is_old(call) or isinstance(dig(data, "jobs"), list)
        if old and text_at(data, "request_id") is None:
            found = needed(data, "id")
            return Accepted({"job_set": found}, found)
        found = needed(data, "request_id")
        urls = {name: text_at(data, name) for name in ("status_url", "cancel_url")}
        return Accepted({"request_id": found, **urls}, found)

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask for the request, or for the set of jobs, of which all must have ended."""
        job_set = text_at(operation, "job_set")
        path = f"/v1/job-sets/{quote(job_set, safe='')}" if job_set else self._path(operation, "status")
        data = (await self._http.request("GET", path, headers=_headers(call, old=bool(job_set)))).json()
        parts = tuple(_parts_of_set(data) if job_set else _parts_of_request(data))
        ended = sum(part.state in ENDED for part in parts)
        if not parts or ended < len(parts):
            return Pending(ended / len(parts) if ended else None)
        new = call.sent_at is None or call.now - call.sent_at < EMPTY_MS
        if new and any(_is_empty(part) for part in parts):
            return Pending()
        return self._done(parts)

    def _done(self, parts: Sequence[_Part]) -> Succeeded | Failed:
        errors = {index: self._error(part) for index, part in enumerate(parts, 1) if not part.files}
        outputs = tuple(file for part in parts for file in part.files)
        if not outputs:
            return Failed(errors[1], billed=any(_is_empty(part) for part in parts))
        failed = (FailedOutput(index=index, code=exc.code, message=exc.message) for index, exc in errors.items())
        return Succeeded(outputs, tuple(failed))

    def _error(self, part: _Part) -> DarkroomError:
        if _is_empty(part):
            return self._http.ended(DONE, message="It is said to be done, and no file is named.")
        return self._http.ended(part.state, message=part.message)

    async def cancel(self, operation: Json, call: Follow) -> Cancelled | TooLate:
        """Ask to stop, which works only while nothing of it has begun; sets of jobs cannot be stopped."""
        if text_at(operation, "job_set"):
            return TooLate()
        try:
            await self._http.request("POST", self._path(operation, "cancel"), headers=_headers(call))
        except (InvalidRequest, Unsupported):
            return TooLate()
        return Cancelled()

    def _path(self, operation: Json, what: str) -> str:
        """Return the address that the acceptance named, if it is one of the provider's own, else the documented one."""
        if named := text_at(operation, f"{what}_url"):
            with suppress(UnexpectedAnswer):
                return self._http.url(named)
        return f"/requests/{quote(needed(operation, 'request_id'), safe='')}/{what}"

    async def upload(self, blob: Blob, call: Call) -> JsonValue:
        """Bring a picture or a clip to the place named for it, without our credential, and return its address."""
        answer = await self._http.request(
            "POST", "/files/generate-upload-url", headers=_headers(call), json={"content_type": blob.media_type}
        )
        data = answer.json()
        url, found = needed(data, "upload_url"), needed(data, "public_url")
        given = dig(data, "upload_headers")
        named = cast("Json", given) if isinstance(given, dict) else {}
        headers = {name: str(value) for name, value in named.items()} or {"content-type": blob.media_type}
        await self._http.deliver("PUT", url, headers=headers, content=blob.content)
        return found

    def operation_of(self, provider_job_id: str, call: Follow) -> Json:
        """Return what `poll` needs, of the id alone.

        Raises:
            InvalidRequest: If it holds what no id holds.
        """
        if not _ID.fullmatch(provider_job_id):
            raise InvalidRequest(f"That is no id of {call.provider.title}'s.", field="provider_job_id")
        return {"job_set" if _is_old(call) else "request_id": provider_job_id}

    async def check(self, call: Follow) -> Health:
        """Ask for a request that nobody has: only who is let in is told that it does not exist."""
        with suppress(Unsupported):
            await self._http.request("GET", f"/requests/{NOBODY}/status", headers=_headers(call))
        return Health()


def _is_old(call: Follow) -> bool:
    return (call.offer.wire or "").startswith(OLD)


def _is_empty(part: _Part) -> bool:
    return part.state == DONE and not part.files


def _headers(call: Follow, *, old: bool = False) -> dict[str, str]:
    """Return the headers of an id and its secret, which variables hold as one text or apart.

    Raises:
        NotConfigured: If one of them is missing.
    """
    name, _, secret = ":".join(value.strip() for value in call.credentials.values()).partition(":")
    if not name or not secret:
        raise NotConfigured(
            f"{' and '.join(call.credentials)} must hold a key's id and its secret, as id:secret.",
            hint=f"Nothing was sent. {call.provider.title} shows both when a key is made.",
        )
    return {"hf-api-key": name, "hf-secret": secret} if old else {"authorization": f"Key {name}:{secret}"}


def _body(call: Call) -> Body:
    """Return the model's arguments; camera motions, which options name one by one, become a list.

    Raises:
        InvalidRequest: If a motion has a strength and no id.
    """
    body = body_of(call)
    if "motions" in body:
        moves = list(cast("Json", body["motions"]).values())
        if not all(text_at(move, "id") for move in moves):
            raise InvalidRequest(
                "The strength of a motion needs the motion's id.", field="options", hint="Nothing was sent."
            )
        body["motions"] = moves
    return body


def _parts_of_request(data: Any) -> Iterator[_Part]:
    """Yield every picture, or the clip, that an answer names; one without files where it names none."""
    state, message = needed(data, "status").lower(), text_at(data, "error") or text_at(data, "error", "message")
    for files in (_made(data) if state == DONE else []) or [()]:
        yield _Part(state, files, message)


def _made(data: Json) -> list[tuple[RemoteOutput, ...]]:
    """Return the files of every picture and of the clip; where there are none, of whatever else is named."""
    images = dig(data, "images")
    pictures = cast("list[Any]", images) if isinstance(images, list) else [images] if images else []
    clip = (RemoteOutput(url=url, variant=variant) for name, variant in CLIP.items() for url in links(dig(data, name)))
    made = [tuple(RemoteOutput(url=url) for url in links(item)) for item in pictures]
    made += [found] if (found := tuple(clip)) else []
    if any(made):
        return made
    others = (links(value) for value in data.values() if isinstance(value, dict | list))
    return [tuple(RemoteOutput(url=url) for url in urls) for urls in others if urls]


def _parts_of_set(data: Any) -> Iterator[_Part]:
    """Yield every job of a set, with the full picture and the small one."""
    jobs = dig(data, "jobs")
    if not isinstance(jobs, list):
        raise UnexpectedAnswer("The provider's answer has no jobs.")
    for job in cast("list[Any]", jobs):
        found = ((name, text_at(job, "results", name, "url")) for name in ("raw", "min"))
        files = (RemoteOutput(url=url, variant=name) for name, url in found if url)
        state = needed(job, "status").lower()
        yield _Part(state, tuple(files) if state == DONE else (), text_at(job, "error"))


def create(http: ProviderHttp) -> HiggsfieldAdapter:
    """Return the adapter."""
    return HiggsfieldAdapter(http)
