"""Kling: clips and pictures from their maker. Wire format: https://app.klingai.com/global/dev/document-api."""

from typing import Any
from urllib.parse import quote

import jwt

from darkroom.adapters.base import Absent, Accepted, Call, Failed, Follow, Health, Json, Pending, Succeeded, Unsure
from darkroom.adapters.body import Body, body_of, number_text, shots_of, wire_of
from darkroom.adapters.reading import dig, items, needed, number_at, text_at
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.domain.request import Effective
from darkroom.errors import DarkroomError, InvalidRequest, RequestError, UnexpectedAnswer, Unsupported
from darkroom.net.answer import Answer
from darkroom.net.classify import Told
from darkroom.net.provider import ProviderHttp

DAY_MS = 86_400_000
KEPT_MS = 30 * DAY_MS
"""How long a result can be fetched."""
TOKEN_S = 1800
EARLY_S = 5
"""How far our clock may be ahead of theirs."""
LEAST_KEY = 32
"""Bytes below which the library warns of a key."""
MISSING = "1203"
"""Their code of what does not exist: a model, or a task."""
RESULTS = ("videos", "images", "series_images")
FRAMES = frozenset({Role.FIRST_FRAME, Role.LAST_FRAME})


class KlingAdapter:
    """Maps requests and answers of the Kling API."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Start a clip or pictures, under our own key as well as theirs."""
        body = _body(call)
        answer = await self._http.submit("POST", _path(call), headers=_headers(call), json=body, spool=call.spool)
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return what to ask about later: a task that has an id was accepted, whatever the code beside it says."""
        found = text_at(answer.json(), "data", "task_id")
        found = found or needed(self._data(answer, submitting=True), "task_id")
        return Accepted({"id": found, "path": _path(call)}, found)

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask where the task was started: each kind of task has a place of its own."""
        path = f"{needed(operation, 'path')}/{quote(needed(operation, 'id'), safe='')}"
        data = self._data(await self._http.request("GET", path, headers=_headers(call)), submitting=False)
        match needed(data, "task_status").lower():
            case "succeed":
                return _done(data, call)
            case "failed":
                return Failed(self._http.ended(message=text_at(data, "task_status_msg")))
            case _:
                return Pending()

    async def locate(self, call: Call) -> Accepted | Succeeded | Absent | Unsure:
        """Look for the task under the key that we gave it, which stands where theirs would."""
        path = _path(call)
        try:
            answer = await self._http.request(
                "GET", f"{path}/{quote(call.submit_key, safe='')}", headers=_headers(call)
            )
            data = self._data(answer, submitting=False)
        except DarkroomError as exc:
            if exc.provider_code == MISSING:
                return Absent()
            if isinstance(exc, RequestError):
                return Unsure()
            raise
        found = text_at(data, "task_id")
        if found is None or text_at(data, "task_info", "external_task_id") != call.submit_key:
            return Unsure()
        return Accepted({"id": found, "path": path}, found)

    def operation_of(self, provider_job_id: str, call: Call) -> Json:
        """Return what `poll` needs: the place is that of the call that was lost."""
        return {"id": provider_job_id, "path": _path(call)}

    async def check(self, call: Follow) -> Health:
        """Ask for the packs of units that were bought in the last year."""
        span = {"start_time": call.now - 365 * DAY_MS, "end_time": call.now}
        answer = await self._http.request("GET", "/account/costs", headers=_headers(call), params=span)
        packs = items(dig(self._data(answer, submitting=False), "resource_pack_subscribe_infos"))
        left = [number_at(pack, "remaining_quantity") or 0 for pack in packs if text_at(pack, "status") == "online"]
        return Health(balance=f"{number_text(round(sum(left), 2))} units" if left else None)

    def _data(self, answer: Answer, *, submitting: bool) -> Any:
        """Return what an envelope holds; its code decides, whatever the status of the answer says."""
        body = answer.json()
        code = text_at(body, "code")
        if code not in (None, "0"):
            raise self._http.failure(answer, Told((code,), text_at(body, "message") or ""), submitting=submitting)
        return dig(body, "data")


def _headers(call: Follow) -> dict[str, str]:
    """Return a token of our own making; nobody else can make one without the secret key."""
    access, secret = call.credentials.values()
    now = call.now // 1000
    claims = {"iss": access, "exp": now + TOKEN_S, "nbf": now - EARLY_S}
    # HMAC fills a key up with zeros: the signature is the same, and no warning tells of a length that is not ours.
    token = jwt.encode(claims, secret.encode().ljust(LEAST_KEY, b"\0"), algorithm="HS256")
    return {"Authorization": f"Bearer {token}"}


def _route(call: Call) -> tuple[str, str]:
    """Return the place of the kind of task, where the manifest names one before the model, and the model."""
    route, _, model = wire_of(call).rpartition("/")
    if not route and call.offer.kind is Kind.IMAGE:
        route = "images/generations"
    elif not route:
        # Of the request alone: an answer is read again without its inputs.
        pictures = (*call.request.inputs, *(scene.image for scene in call.request.scenes if scene.image))
        route = "videos/image2video" if pictures else "videos/text2video"
    return route, model


def _path(call: Call) -> str:
    return f"/v1/{_route(call)[0]}"


def _body(call: Call) -> Body:
    several = call.request.mode is Mode.TIMELINE
    if several:
        _check_pictures(call)
    body = {**body_of(call), "model_name": _route(call)[1], "external_task_id": call.submit_key}
    if several:
        body["multi_prompt"] = _shots(call.request)
    if any(blob.role in FRAMES for blob in call.inputs):
        body.pop("aspect_ratio", None)  # the frame has one
    return body


def _check_pictures(call: Call) -> None:
    """Refuse what would be lost without a word: several shots begin with one picture at most."""
    of_scenes = [scene.image is not None for scene in call.request.scenes]
    if len(call.inputs) > 1 or any(of_scenes[1:]) or any(blob.role is not Role.FIRST_FRAME for blob in call.inputs):
        raise Unsupported(
            f"{call.provider.title} takes no more than a first frame with several scenes.",
            field="scenes",
            hint="Nothing was sent. Leave out the other pictures, or name another model.",
        )


def _shots(request: Effective) -> list[Body]:
    """Return the scenes in whole seconds that add up to the clip's, numbered, and with a prompt each."""
    shots = shots_of(request)
    if any(shot["duration"] < 1 for shot in shots):
        raise InvalidRequest(
            "A scene is shorter than one second.",
            field="scenes",
            allowed="1 s or more for each scene",
            hint="Nothing was sent. Make the scenes longer, or fewer.",
        )
    return [
        {"index": number, "prompt": shot["prompt"] or request.text, "duration": str(shot["duration"])}
        for number, shot in enumerate(shots, 1)
    ]


def _done(data: Json, call: Follow) -> Succeeded:
    entries = [entry for name in RESULTS for entry in _in_order(dig(data, "task_result", name))]
    updated = int(number_at(data, "updated_at") or 0)
    expires = (updated if updated > call.now - KEPT_MS else call.now) + KEPT_MS
    urls = [text_at(entry, "url") for entry in entries]
    if not any(urls):
        raise UnexpectedAnswer("The provider says that it is done, and names no result.")
    return Succeeded(
        tuple(RemoteOutput(url=url, expires_at=expires) for url in urls if url),
        failed=tuple(
            FailedOutput(index=number, code="provider_failed", message="It has no address.")
            for number, url in enumerate(urls, 1)
            if not url
        ),
    )


def _in_order(data: Any) -> list[Any]:
    return sorted(items(data), key=lambda entry: number_at(entry, "index") or 0)


def create(http: ProviderHttp) -> KlingAdapter:
    """Return the adapter."""
    return KlingAdapter(http)
