"""Google Gemini API: Nano Banana pictures and Omni clips by key. Wire format: the vendor's SDK `google-genai`."""

import re
from typing import Any
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
    Made,
    Pending,
    Succeeded,
    TooLate,
)
from darkroom.adapters.body import Body, body_of, wire_of
from darkroom.adapters.gemini import (
    HARMS,
    checked_data,
    count_at,
    generate_body,
    read_content,
    told,
    with_refusal,
)
from darkroom.adapters.reading import decoded, dig, items, moment_at, needed, text_at
from darkroom.domain.kinds import Kind, Role
from darkroom.domain.output import RemoteOutput
from darkroom.errors import DarkroomError, InvalidRequest, Overloaded, ProviderFailed, UnexpectedAnswer
from darkroom.net.answer import SHOWN, Answer
from darkroom.net.client import SUBMIT_S
from darkroom.net.provider import ProviderHttp

KEPT_MS = 172_800_000
"""How long files are said to live; each tells its own end."""
WAIT_S = 5.0
"""Seconds until a file that is being looked at is asked for again."""
STOPPED_MS = 600_000
"""How long an interaction that requires to be continued is asked about: one in the background may go on by itself."""
WAITING = ("PROCESSING", "STATE_UNSPECIFIED")
TAGS = {Role.FIRST_FRAME: "<FIRST_FRAME>", Role.LAST_FRAME: "<LAST_FRAME>"}
"""How a prompt names the frames of a clip; all other pictures are numbered references."""
_FILE = re.compile(r"/v1beta/(files/[A-Za-z0-9_-]{1,64})")
_ID = re.compile(r"[A-Za-z0-9_.=-]{1,512}")


class GoogleAdapter:
    """Maps requests and answers of the Gemini API."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http
        self._uploading: dict[tuple[str, ...], str] = {}
        """Files that the provider is still looking at, by key and content."""

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Ask for a picture, which comes at once, or start a clip in the background."""
        clip = call.offer.kind is Kind.VIDEO
        path = "/v1beta/interactions" if clip else f"/v1beta/models/{quote(wire_of(call), safe='')}:generateContent"
        body = _interaction(call) if clip else generate_body(call)
        answer = await self._http.submit("POST", path, headers=_key(call), json=body, spool=call.spool, told=told)
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return the picture, or what to ask about later."""
        if call.offer.kind is not Kind.VIDEO:
            return read_content(self._http, answer, call)
        found = _checked(needed(checked_data(self._http, answer, submitting=True), "id"))
        return Accepted({"id": found}, found)

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask for the interaction; a clip that it names must be ready to be fetched too."""
        answer = await self._http.request("GET", _place(operation), headers=_key(call), told=told)
        data = checked_data(self._http, answer, submitting=False)
        clips = _contents(data, "video")
        match needed(data, "status").lower():
            case "requires_continuation" if call.is_new(STOPPED_MS):
                return Pending(message="The provider asks for this clip to be continued; it may still do so by itself.")
            case "completed" | "incomplete" | "budget_exceeded" | "requires_continuation" if clips:
                return await self._done(data, clips, call)
            case "requires_continuation":
                return Failed(_stopped(operation, call), billed=True)
            case "completed" | "incomplete" | "budget_exceeded" | "failed" | "cancelled" | "requires_action" as status:
                return Failed(self._ended(data, status))
            case _:
                return Pending()

    async def _done(self, data: Any, clips: list[Any], call: Follow) -> Pending | Succeeded | Failed:
        outputs: list[RemoteOutput | Made] = []
        for clip in clips:
            kind, uri = text_at(clip, "mime_type"), text_at(clip, "uri")
            if uri is None:
                outputs.append(Made(decoded(text_at(clip, "data") or ""), kind))
                continue
            file = await self._file(uri, call)
            if file.get("state") in WAITING:
                return Pending(message="The clip is made, and is being brought to where it can be fetched.")
            if file.get("state") == "FAILED":
                words = text_at(file, "error", "message")
                return Failed(self._http.ended("file_failed", message=words or "Its file could not be made."))
            ends = moment_at(file, "expirationTime") or call.now + KEPT_MS
            outputs.append(RemoteOutput(url=uri, media_type=kind, expires_at=max(ends, call.now)))
        return Succeeded(tuple(outputs), tokens=_tokens(data))

    async def _file(self, uri: str, call: Follow) -> Json:
        """Return what is known of a file; nothing of an address that is none of the Files API's."""
        name = _FILE.search(uri) if self._http.own(uri) else None
        if name is None:
            return {}
        answer = await self._http.request("GET", f"/v1beta/{name[1]}", headers=_key(call), told=told)
        found = answer.json()
        return found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType] because JSON is untyped

    def _ended(self, data: Any, status: str) -> DarkroomError:
        """Return why there is no clip: by the codes that are told, else in the words that came instead of it."""
        errors = items(dig(data, "errors"))
        codes = [code for error in errors if (code := text_at(error, "code"))]
        said = "; ".join(words for error in errors if (words := text_at(error, "message")))
        words = said or " ".join(text for item in _contents(data, "text") if (text := text_at(item, "text")))
        return self._http.ended(*with_refusal(codes or [status]), message=words[:SHOWN] or f"It ended as {status}.")

    async def cancel(self, operation: Json, call: Follow) -> Cancelled | TooLate:
        """Stop the interaction; the answer tells whether it did."""
        path = f"{_place(operation)}/cancel"
        try:
            data = (await self._http.request("POST", path, headers=_key(call), told=told)).json()
        except InvalidRequest:  # it is over
            return TooLate()
        return Cancelled() if text_at(data, "status") == "cancelled" else TooLate()

    async def upload(self, blob: Blob, call: Call) -> JsonValue:
        """Bring a clip to the Files API, whose address is usable once it was looked at; pictures go as they are.

        Raises:
            Overloaded: While the provider looks at it; asked again, it is not uploaded twice.
            InvalidRequest: If the provider cannot use it.
        """
        if blob.role is not Role.VIDEO:
            return {"inline": True}
        mine = (*call.credentials.values(), blob.sha256)
        if mine in self._uploading:
            path = f"/v1beta/{self._uploading[mine]}"
            file = (await self._http.request("GET", path, headers=_key(call), told=told)).json()
        else:
            file = dig(await self._uploaded(blob, call), "file")
            self._uploading[mine] = _checked_file(needed(file, "name"))
        if text_at(file, "state") in WAITING:
            raise Overloaded(f"{call.provider.title} is looking at the clip first.", retry_after_s=WAIT_S)
        del self._uploading[mine]
        if text_at(file, "state") == "FAILED":
            raise InvalidRequest(
                f"{call.provider.title} cannot use the clip.",
                field="images",
                hint="Nothing was charged. Give another clip, or name another model.",
            )
        return {"uri": needed(file, "uri")}

    async def _uploaded(self, blob: Blob, call: Call) -> Any:
        """Upload a file in two calls: the second goes where the first one says, without the key."""
        size = len(blob.content)
        headers = {
            "X-Goog-Upload-Protocol": "resumable",
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(size),
            "X-Goog-Upload-Header-Content-Type": blob.media_type,
        }
        asked = {"file": {"mime_type": blob.media_type, "size_bytes": size}}
        begun = await self._http.request(
            "POST", "/upload/v1beta/files", headers={**_key(call), **headers}, json=asked, told=told
        )
        place = self._http.own(begun.headers.get("x-goog-upload-url"))
        if place is None:
            raise UnexpectedAnswer(f"{call.provider.title} named no address of its own for the clip.")
        headers = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"}
        answer = await self._http.request(
            "POST", place, headers=headers, content=blob.content, timeout_s=SUBMIT_S, told=told
        )
        return answer.json()

    def operation_of(self, provider_job_id: str, call: Call) -> Json:
        """Return what `poll` needs, of the id alone."""
        if not _ID.fullmatch(provider_job_id):
            raise InvalidRequest(f"That is no id of an interaction of {call.provider.title}.", field="provider-id")
        return {"id": provider_job_id}

    async def download_headers(self, call: Follow) -> dict[str, str]:
        """Return the key, which files of the API itself want."""
        return _key(call)

    async def check(self, call: Follow) -> Health:
        """Ask for the first of the models."""
        await self._http.request("GET", "/v1beta/models", headers=_key(call), params={"pageSize": 1}, told=told)
        return Health()


def _key(call: Follow) -> dict[str, str]:
    return {"x-goog-api-key": next(iter(call.credentials.values()))}


def _checked(found: str) -> str:
    """Return an id that can be part of a path."""
    if not _ID.fullmatch(found):
        raise UnexpectedAnswer("The provider's answer has an id that cannot be one.")
    return found


def _checked_file(name: str) -> str:
    if not _FILE.fullmatch(f"/v1beta/{name}"):
        raise UnexpectedAnswer("The provider's answer has a file whose name cannot be one.")
    return name


def _place(operation: Json) -> str:
    return f"/v1beta/interactions/{_checked(needed(operation, 'id'))}"


def _stopped(operation: Json, call: Follow) -> ProviderFailed:
    return ProviderFailed(
        f"{call.provider.title} wants another call to go on with the clip. Nobody knows what that costs, so it was not "
        "made.",
        hint=f"No clip came, and the estimate counts as spent, since it may have been charged. The provider keeps what "
        f"it has as {needed(operation, 'id')}. Ask for a shorter clip, or name another model.",
        provider_code="requires_continuation",
    )


def _interaction(call: Call) -> Body:
    """Return the body of an interaction: what goes in is the text alone, or blocks with the text as the last."""
    body = body_of(call)
    body.pop("pictures", None)
    text = body.pop("text", "")
    blocks = [_block(blob) for blob in call.inputs]
    body |= {"model": wire_of(call), "input": text}
    if blocks:
        body["input"] = [*blocks, {"type": "text", "text": _tagged(text, call.inputs)}]
    if threshold := body.pop("safety_settings", None):
        body["safety_settings"] = [{"type": harm.lower(), "threshold": threshold.lower()} for harm in HARMS]
    if call.history:
        body["previous_interaction_id"] = call.history[-1].provider_job_id
    return body


def _block(blob: Blob) -> Body:
    if blob.role is Role.VIDEO:
        return {"type": "document", "uri": dig(blob.uploaded, "uri")}
    return {"type": "image", "data": blob.base64, "mime_type": blob.media_type}


def _tagged(text: str, blobs: tuple[Blob, ...]) -> str:
    """Return a prompt that says what each picture is for, unless it does so itself."""
    pictures = [(f"@Image{number}", blob.role) for number, blob in enumerate(_pictures(blobs), 1)]
    frames = [f"{TAGS[role]}{name}" for name, role in pictures if role in TAGS]
    others = [name for name, role in pictures if role not in TAGS]
    known = [f"<IMAGE_REF_{number}>{name}" for number, name in enumerate(others)]
    lists = [f"[# {title} {' '.join(tags)}]" for title, tags in (("Sources", frames), ("References", known)) if tags]
    said = any(tag in text for tag in (*TAGS.values(), "<IMAGE_REF_"))
    return text if said or not lists else f"{' '.join(lists)} {text}"


def _pictures(blobs: tuple[Blob, ...]) -> list[Blob]:
    return [blob for blob in blobs if blob.role is not Role.VIDEO]


def _contents(data: Any, kind: str) -> list[Any]:
    """Return what the model gave out of one kind, of all its steps."""
    steps = [step for step in items(dig(data, "steps")) if text_at(step, "type") == "model_output"]
    return [item for step in steps for item in items(dig(step, "content")) if text_at(item, "type") == kind]


def _tokens(data: Any) -> dict[str, int]:
    """Return what was counted, by the names of our manifest's rates: of what came out, all but text is the clip."""
    usage = dig(data, "usage")
    total, thought = count_at(usage, "total_output_tokens"), count_at(usage, "total_thought_tokens")
    kinds = items(dig(usage, "output_tokens_by_modality"))
    text = sum(count_at(item, "tokens") for item in kinds if (text_at(item, "modality") or "").lower() == "text")
    found = {
        "input": count_at(usage, "total_input_tokens") + count_at(usage, "total_tool_use_tokens"),
        "output_video": max(total - text, 0),
        "output_text": text + thought,
    }
    return {name: count for name, count in found.items() if count}


def create(http: ProviderHttp) -> GoogleAdapter:
    """Return the adapter."""
    return GoogleAdapter(http)
