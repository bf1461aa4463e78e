"""ComfyUI: workflows on the user's own server. Wire format: its server.py and comfy_execution/jobs.py."""

import uuid
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import quote, urlencode

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
from darkroom.adapters.body import body_of, put_in, slots_of
from darkroom.adapters.reading import dig, items, needed, text_at
from darkroom.domain.money import FREE
from darkroom.domain.output import RemoteOutput
from darkroom.errors import InvalidRequest, ResultExpired, UnexpectedAnswer
from darkroom.net.answer import Answer
from darkroom.net.classify import Told
from darkroom.net.provider import ProviderHttp

SPACE = uuid.UUID("6f0a7a4e-3c0f-5d0b-9c55-2a8a4f0d7c11")
"""Of our ids; the server takes UUIDs alone."""
SEEDS = 2**32
MEDIA = ("images", "gifs", "video", "videos")
"""Kinds of results that are fetched; the rest is texts, sounds and data."""
LATEST = 200
"""Finished jobs of an older server that are looked through for one of ours."""
QUEUES = {"queue_running": "in_progress", "queue_pending": "pending"}
UNKNOWN_JOB = "job not found"
"""How a server that has the newer routes says that it does not know an id."""


class ComfyuiAdapter:
    """Maps requests and answers of a ComfyUI server, old or new."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def upload(self, blob: Blob, call: Call) -> JsonValue:
        """Put a picture into the server's input folder, under a name of its content, and return how nodes name it."""
        del call
        name = f"darkroom-{blob.sha256[:32]}.{blob.media_type.rpartition('/')[2]}"
        files = {"image": (name, blob.content, blob.media_type)}
        data = {"type": "input", "overwrite": "true"}
        kept = (await self._http.request("POST", "/upload/image", files=files, data=data)).json()
        folder = text_at(kept, "subfolder")
        return f"{folder}/{needed(kept, 'name')}" if folder else needed(kept, "name")

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Queue the offer's workflow under an id of ours."""
        key, graph = key_of(call), body_of(call)
        if call.request.seed is None and (slot := slots_of(call).get("seed")):
            put_in(graph, slot, seed_of(call))  # a workflow that it has run before is not run again
        body = {"prompt": graph, "prompt_id": key, "client_id": key}
        return self.read(await self._http.submit("POST", "/prompt", json=body, spool=call.spool, told=_told), call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return what to ask about later; older servers choose the id themselves."""
        return _accepted(needed(answer.json(), "prompt_id"), call)

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask for the job, by the older routes where the server has no newer ones."""
        del call
        key = needed(operation, "id")
        try:
            job = await self._job(key)
        except ResultExpired:
            job = await self._older(key)
        match text_at(job, "status"):
            case None if job is None:
                return Failed(self._http.ended(UNKNOWN_JOB, message="The server has been started anew since."))
            case "completed":
                seed = dig(operation, "seed")
                return Succeeded(self._outputs(job), notes={"seed": seed} if isinstance(seed, int) else {})
            case "failed":
                error = dig(job, "execution_error")
                words = (text_at(error, "node_type"), text_at(error, "exception_message"))
                return Failed(
                    self._http.ended(text_at(error, "exception_type"), message=": ".join(filter(None, words)))
                )
            case "cancelled":
                return Failed(self._http.ended("cancelled", message="It was interrupted on the server."))
            case _:
                return Pending()

    async def cancel(self, operation: Json, call: Follow) -> Cancelled | TooLate:
        """Take the job from the queue, or interrupt it."""
        del call
        key = needed(operation, "id")
        try:
            answer = await self._http.request("POST", f"/api/jobs/{quote(key, safe='')}/cancel")
        except (ResultExpired, InvalidRequest):  # older servers answer 404 or 405
            return await self._cancel_older(key)
        return Cancelled(FREE) if dig(answer.json(), "cancelled") is True else TooLate()

    async def locate(self, call: Call) -> Accepted | Succeeded | Absent | Unsure:
        """Look for our id; older servers may have chosen another, and keep ours as the client's."""
        key = key_of(call)
        try:
            found = needed(job, "id") if (job := await self._job(key)) else None
        except ResultExpired:
            older = await self._sought(key)
            return _accepted(older, call) if older else Unsure()
        return _accepted(found, call) if found else Absent()

    async def check(self, call: Follow) -> Health:
        """Ask for anything that every server tells."""
        del call
        (await self._http.request("GET", "/system_stats")).json()
        return Health()

    def operation_of(self, provider_job_id: str, call: Follow) -> Json:
        """Return what `poll` needs, of the id alone.

        Raises:
            InvalidRequest: If it is no UUID.
        """
        del call
        try:
            return {"id": str(uuid.UUID(provider_job_id))}
        except ValueError:
            raise InvalidRequest("The id of a ComfyUI job is a UUID.", hint="Copy it from the server.") from None

    async def _job(self, key: str) -> Any:
        """Return a job as newer servers tell it, None where there is none of that id.

        Raises:
            ResultExpired: If the server has no such route.
        """
        try:
            return (await self._http.request("GET", f"/api/jobs/{quote(key, safe='')}")).json()
        except ResultExpired as exc:
            if UNKNOWN_JOB in (exc.provider_message or "").lower():
                return None
            raise

    async def _older(self, key: str) -> Any:
        """Return a job as newer servers would tell it, put together from the older routes.

        The queue comes first: what leaves it meanwhile is in the history then.
        """
        queue = (await self._http.request("GET", "/queue")).json()
        for name, status in QUEUES.items():
            if any(key == text_at(item, 1) for item in items(dig(queue, name))):
                return {"id": key, "status": status}
        entry = dig((await self._http.request("GET", f"/history/{quote(key, safe='')}")).json(), key)
        return None if entry is None else {"id": key, **_finished(entry)}

    async def _sought(self, key: str) -> str | None:
        """Return the id of what we queued on an older server, whichever of us chose it."""
        queue = (await self._http.request("GET", "/queue")).json()
        history = (await self._http.request("GET", "/history", params={"max_items": LATEST})).json()
        queued = [item for name in QUEUES for item in items(dig(queue, name))]
        done = [dig(entry, "prompt") for entry in _values(history)]
        ours = (item for item in (*queued, *done) if key in (text_at(item, 1), text_at(item, 3, "client_id")))
        return next((text_at(item, 1) for item in ours), None)

    async def _cancel_older(self, key: str) -> Cancelled | TooLate:
        """Stop a job by the older routes; only a running one is interrupted, since some interrupt whatever runs."""
        queue = (await self._http.request("GET", "/queue")).json()
        if any(key == text_at(item, 1) for item in items(dig(queue, "queue_pending"))):
            await self._http.request("POST", "/queue", json={"delete": [key]})
            return Cancelled(FREE)
        if any(key == text_at(item, 1) for item in items(dig(queue, "queue_running"))):
            await self._http.request("POST", "/interrupt", json={"prompt_id": key})
            return Cancelled(FREE)
        return TooLate()

    def _outputs(self, job: Any) -> tuple[RemoteOutput, ...]:
        """Return the files that a job saved, else those that it only showed."""
        files = [
            item
            for node in _values(dig(job, "outputs"))
            for kind in MEDIA
            for item in items(dig(node, kind))
            if text_at(item, "filename")
        ]
        saved = [item for item in files if text_at(item, "type") == "output"]
        return tuple(RemoteOutput(url=self._http.url(f"/view?{_query(item)}")) for item in saved or files)


def key_of(call: Call) -> str:
    """Return our id of a submission as the server takes it, the same for each call about it."""
    return str(uuid.uuid5(SPACE, call.submit_key))


def seed_of(call: Call) -> int | None:
    """Return the seed of a submission: the caller's, else one that its key decides; None of a workflow without one."""
    slot = slots_of(call).get("seed")
    made = uuid.uuid5(SPACE, call.submit_key).int % SEEDS if slot and slot.to else None
    return made if call.request.seed is None else call.request.seed


def _told(answer: Answer) -> Told | None:
    """Return what is wrong with which node, which the error itself does not say; None where no node is to blame."""
    try:
        data = answer.json()
    except UnexpectedAnswer:
        return None
    errors = [error for node in _values(dig(data, "node_errors")) for error in items(dig(node, "errors"))]
    words = [": ".join(filter(None, (text_at(item, "message"), text_at(item, "details")))) for item in errors]
    codes = (text_at(data, "error", "type"), *(text_at(item, "type") for item in errors))
    return Told(tuple(filter(None, codes)), "; ".join(words)) if words else None


def _accepted(found: str, call: Call) -> Accepted:
    return Accepted({"id": found, "seed": seed_of(call)}, found)


def _finished(entry: Any) -> Json:
    """Return an entry of the history as newer servers tell it."""
    events = {text_at(item, 0): dig(item, 1) for item in items(dig(entry, "status", "messages"))}
    if "execution_interrupted" in events:
        status = "cancelled"
    else:
        status = "failed" if dig(entry, "status", "status_str") == "error" else "completed"
    return {"status": status, "outputs": dig(entry, "outputs"), "execution_error": events.get("execution_error")}


def _values(data: Any) -> Iterator[Any]:
    yield from cast("dict[str, Any]", data).values() if isinstance(data, dict) else ()


def _query(item: Any) -> str:
    names = {"filename": "", "subfolder": "", "type": "output"}
    return urlencode({name: text_at(item, name) or usual for name, usual in names.items()})


def create(http: ProviderHttp) -> ComfyuiAdapter:
    """Return the adapter."""
    return ComfyuiAdapter(http)
