"""Google Vertex AI: Veo clips, Gemini pictures, Imagen. Wire format: the vendor's SDK `google-genai`, in its mode."""

import re
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import quote

from darkroom.adapters.base import Accepted, Blob, Call, Failed, Follow, Health, Json, Made, Pending, Succeeded
from darkroom.adapters.body import Body, body_of
from darkroom.adapters.gemini import REFUSED, checked_data, generate_body, read_content, told
from darkroom.adapters.google_tokens import Tokens
from darkroom.adapters.reading import decoded, dig, items, needed, number_at, text_at, texts
from darkroom.domain.kinds import Mode
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.errors import AuthFailed, InvalidRequest, NotConfigured, Overloaded, UnexpectedAnswer
from darkroom.net.answer import Answer
from darkroom.net.classify import Told
from darkroom.net.provider import ProviderHttp

GENERATE, PREDICT, LONG = "generateContent", "predict", "predictLongRunning"
"""What the manifest names as the route of an offer; the first where it names none."""
WITH_REFERENCES_S = 8
"""Seconds of every clip that is made with references."""
STORAGE = "https://storage.googleapis.com"
LOCATION = "GOOGLE_CLOUD_LOCATION"
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,127}")
_REGION = re.compile(r"[a-z][a-z0-9-]{1,39}")
_BUCKET = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,221})/(.+)", re.DOTALL)


class VertexAdapter:
    """Maps requests and answers of Vertex AI's publisher models."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http
        self._tokens = Tokens(http)

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Ask for pictures, which come at once, or start a clip."""
        route = _route(call)
        body = generate_body(call) if route == GENERATE else _prediction(call)
        _spell(body)
        path = f"{self._model(call, _location(call))}:{route}"
        headers = await self._tokens.bearer(call)
        try:
            answer = await self._http.submit("POST", path, headers=headers, json=body, spool=call.spool, told=told)
        except AuthFailed as exc:
            if not self._tokens.refused(call, headers):
                raise
            raise Overloaded(  # refused before anything was taken, so the runtime may send it again
                f"{call.provider.title} no longer accepts the access token of earlier; nothing was accepted.",
                hint="It is tried again with a new one.",
            ) from exc
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return the pictures, or what to ask about later: an operation's project is that of the key."""
        if _route(call) == GENERATE:
            return read_content(self._http, answer, call)
        data = checked_data(self._http, answer, submitting=True)
        if _route(call) == PREDICT:
            return self._predicted(answer, data)
        found = needed(data, "name").rpartition("/operations/")[2]
        if not _ID.fullmatch(found):
            raise UnexpectedAnswer("The provider's answer has an id that cannot be one.")
        return Accepted({"id": found, "location": _location(call)}, found)

    def _predicted(self, answer: Answer, data: Any) -> Succeeded:
        """Return the pictures of an answer, and why others of them are not there."""
        listed = items(dig(data, "predictions"))
        made = tuple(_made(item) for item in listed if text_at(item, "bytesBase64Encoded"))
        left = [item for item in listed if not text_at(item, "bytesBase64Encoded")]
        why = [text_at(item, "raiFilteredReason") or "It was filtered." for item in left]
        if made:
            return Succeeded(made, failed=_filtered(len(made), why))
        if why:
            raise self._http.failure(answer, Told((REFUSED,), "; ".join(why)), submitting=True)
        if not isinstance(data, dict) or data:
            raise UnexpectedAnswer("The provider's answer has no predictions.")
        return Succeeded((), failed=(FailedOutput(index=1, code="no_image", message="It made no picture."),))

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask how an operation stands; a clip in a bucket is looked at, and fetched from there by the runtime."""
        model = self._model(call, needed(operation, "location"))
        place = f"projects/{model.partition('/projects/')[2]}"
        asked = {"operationName": f"{place}/operations/{quote(needed(operation, 'id'), safe='')}"}
        data = (await self._asked("POST", f"{model}:fetchPredictOperation", call, json=asked)).json()
        if error := dig(data, "error"):
            return Failed(self._http.ended(text_at(error, "code"), message=text_at(error, "message")))
        if dig(data, "done") is not True:
            return Pending()
        response = dig(data, "response")
        why = texts(dig(response, "raiMediaFilteredReasons"))
        clips = [await self._clip(item, call) for item in items(dig(response, "videos"))]
        if clips:
            return Succeeded(tuple(clips), failed=_filtered(len(clips), why))
        blocked = REFUSED if why or number_at(response, "raiMediaFilteredCount") else "no_videos"
        return Failed(self._http.ended(blocked, message="; ".join(why) or "It made no clip."))

    async def _asked(self, method: str, path: str, call: Follow, *, again: bool = True, **parts: Any) -> Answer:
        """Make a call that costs nothing; once more with a new token, where an old one is not accepted."""
        headers = await self._tokens.bearer(call)
        try:
            return await self._http.request(method, path, headers=headers, told=told, **parts)
        except AuthFailed:
            if not self._tokens.refused(call, headers) or not again:
                raise
        return await self._asked(method, path, call, again=False, **parts)

    async def _clip(self, item: Any, call: Follow) -> RemoteOutput | Made:
        found = _BUCKET.fullmatch(text_at(item, "gcsUri") or "")
        if found is None:
            return _made(item)
        url = f"{STORAGE}/{found[1]}/{quote(found[2])}"
        await self._asked("HEAD", url, call)  # a bucket that the account may not read is no expired link
        return RemoteOutput(url=url, media_type=text_at(item, "mimeType"))

    async def download_headers(self, call: Follow) -> dict[str, str]:
        """Return a token, which buckets want."""
        return await self._tokens.bearer(call)

    def operation_of(self, provider_job_id: str, call: Call) -> Json:
        """Return what `poll` needs: the place is that of the call that was lost."""
        if not _ID.fullmatch(provider_job_id):
            raise InvalidRequest(f"That is no id of an operation of {call.provider.title}.", field="provider-id")
        return {"id": provider_job_id, "location": _location(call)}

    async def check(self, call: Follow) -> Health:
        """Ask for an access token, which nobody gets without a good key."""
        self._model(call, _location(call))
        await self._tokens.bearer(call)
        return Health()

    def _model(self, call: Follow, location: str) -> str:
        """Return the address of an offer's model there: each region has its own host, unless the user set one.

        Raises:
            NotConfigured: If the project or the region cannot be one.
        """
        project = call.credentials["GOOGLE_CLOUD_PROJECT"]
        host = f"https://{location}-aiplatform.googleapis.com"
        moved = self._http.url("").rstrip("/") != (call.provider.base_url or "").rstrip("/")
        if moved or location == "global":
            host = ""
        known = _REGION.fullmatch(location) and (not host or self._http.own(f"{host}/"))
        if not known or not _PROJECT.fullmatch(project):
            name = "GOOGLE_CLOUD_PROJECT" if known else LOCATION
            raise NotConfigured(
                f"{name} names none that can be used.",
                hint="Nothing was sent. Mend it; for a region that is not known here, set DARKROOM_VERTEX_BASE_URL to "
                "its address too.",
            )
        model = quote(call.offer.wire or call.offer.model, safe="")
        return f"{host}/v1beta1/projects/{project}/locations/{location}/publishers/google/models/{model}"


def _location(call: Follow) -> str:
    return call.credentials.get(LOCATION, "global")


def _route(call: Follow) -> str:
    return call.offer.route or GENERATE


def _prediction(call: Call) -> Body:
    """Return the body of a prediction: one instance, and parameters.

    Raises:
        InvalidRequest: If references come with a length that they do not go with.
    """
    if call.request.mode is Mode.REFERENCE_TO_VIDEO and call.request.duration != WITH_REFERENCES_S:
        raise InvalidRequest(
            f"{call.offer.model} makes clips with references of {WITH_REFERENCES_S} s only.",
            field="duration",
            allowed=f"{WITH_REFERENCES_S} s",
            hint="Nothing was sent. Change duration, or name another model.",
        )
    body = body_of(call)
    return {"instances": [_encoded(body.pop("instance", {}))], **body}


def _encoded(value: Any) -> Any:
    """Return a value with every picture and clip in it as Vertex writes them."""
    if isinstance(value, Blob):
        return {"bytesBase64Encoded": value.base64, "mimeType": value.media_type}
    if isinstance(value, dict):
        return {name: _encoded(item) for name, item in cast("Body", value).items()}
    return [_encoded(item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


def _spell(body: Body) -> None:
    """Write the options of pictures as Vertex spells them: which people in capitals, formats as media types."""
    for settings, output in _settings(body):
        if isinstance(people := settings.get("personGeneration"), str):
            settings["personGeneration"] = people.upper()
        if kind := text_at(settings, output, "mimeType"):
            settings[output]["mimeType"] = f"image/{kind}"


def _settings(body: Body) -> Iterator[tuple[Body, str]]:
    """Yield where the options of pictures are, with the name of those of the file."""
    if shown := dig(body, "generationConfig", "imageConfig"):
        yield shown, "imageOutputOptions"
    if dig(body, "parameters", "includeRaiReason"):
        yield body["parameters"], "outputOptions"


def _made(item: Any) -> Made:
    return Made(decoded(text_at(item, "bytesBase64Encoded") or ""), text_at(item, "mimeType"))


def _filtered(made: int, why: list[str]) -> tuple[FailedOutput, ...]:
    return tuple(FailedOutput(index=number, code=REFUSED, message=text) for number, text in enumerate(why, made + 1))


def create(http: ProviderHttp) -> VertexAdapter:
    """Return the adapter."""
    return VertexAdapter(http)
