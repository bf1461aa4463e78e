"""Kie.ai: models of many makers behind one key. Wire format: https://docs.kie.ai."""

import hashlib
from dataclasses import replace
from typing import Any, NamedTuple, cast

from darkroom.adapters.base import Accepted, Blob, Call, Failed, Follow, Health, Json, Pending, Succeeded
from darkroom.adapters.body import Body, body_of, slots_of, wire_of
from darkroom.adapters.reading import dig, health, in_line, links, needed, number_at, text_at
from darkroom.domain.kinds import Role
from darkroom.domain.output import RemoteOutput
from darkroom.errors import (
    ContentBlocked,
    DarkroomError,
    InvalidRequest,
    ProviderFailed,
    ResultExpired,
    SubmitUnknown,
    UnexpectedAnswer,
    Unsupported,
)
from darkroom.net.answer import Answer, loads
from darkroom.net.classify import Told
from darkroom.net.provider import ProviderHttp

UPLOADS = "https://kieai.redpandaai.co"
UPLOAD_PATH = "/api/file-stream-upload"
UPLOAD_S = 180.0
NEW_MS = 90_000
"""How long a task may be unknown after its submission."""
NOT_FOUND = "404"
"""The code of an answer about a task that proves nothing: addresses and keys change."""
ENDED = frozenset({"408", "501"})
"""Codes of an answer about a task that mean that the task failed, not the question."""
ORDER = {Role.SOURCE: 0, Role.FIRST_FRAME: 0, Role.LAST_FRAME: 2}
"""Where several pictures go in one list, the first is what is edited or shown first, and the last frame is last."""


class Route(NamedTuple):
    """One of the interfaces: where tasks are made and asked for, and what it calls a model."""

    submit: str
    ask: str
    model: str
    within: str | None = None
    """Where the body holds all but the model."""


MARKET = "market"
ROUTES = {
    MARKET: Route("/api/v1/jobs/createTask", "/api/v1/jobs/recordInfo", "model", "input"),
    "veo": Route("/api/v1/veo/generate", "/api/v1/veo/record-info", "model"),
    "midjourney": Route("/api/v1/mj/generate", "/api/v1/mj/record-info", "taskType"),
}


class KieAdapter:
    """Maps requests and answers of the market, of Veo and of Midjourney."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    async def submit(self, call: Call) -> Accepted | Succeeded:
        """Make a task."""
        path, body = ROUTES[_route(call)].submit, _body(call)
        answer = await self._http.submit("POST", path, headers=call.bearer(), json=body, spool=call.spool)
        return self.read(answer, call)

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        """Return what to ask about later; success is the code of the envelope, never the status alone.

        Where that leaves open what became of it, a task that is named exists.
        """
        try:
            found = needed(self._opened(answer, submitting=True), "taskId")
        except SubmitUnknown:
            task = text_at(answer.json(), "data", "taskId")
            if task is None:
                raise
            found = task
        return Accepted(self.operation_of(found, call), found)

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask where the task was made."""
        path, params = ROUTES[needed(operation, "route")].ask, {"taskId": needed(operation, "id")}
        try:
            answer = await self._http.request("GET", path, headers=call.bearer(), params=params)
            data = self._opened(answer, submitting=False)
        except DarkroomError as exc:
            said = self._said_of_task(exc, call)
            if said is None:
                raise
            return said
        return self._state(data, call)

    def _said_of_task(self, exc: DarkroomError, call: Follow) -> Pending | Failed | None:
        """Return what an error says of the task; None: it is about the question alone, which is asked again.

        Only an envelope's code counts: what is on the way to the provider has pages and statuses of its own.
        """
        code = exc.provider_code or ""
        new = call.sent_at is not None and call.now - call.sent_at < NEW_MS
        if not code.isdecimal():
            return None
        if isinstance(exc, ContentBlocked):
            return Failed(exc)
        if code in ENDED and isinstance(exc, ProviderFailed):
            return Failed(self._http.ended(code, message=exc.provider_message))
        if new and isinstance(exc, InvalidRequest | ResultExpired):
            return Pending()
        # A task that it took and has no record of may have been charged.
        return Failed(exc, billed=True) if isinstance(exc, ResultExpired) and code != NOT_FOUND else None

    def _state(self, data: Any, call: Follow) -> Pending | Succeeded | Failed:
        """Read a task: one of the market says a state, the others a flag."""
        match (text_at(data, "state") or text_at(data, "successFlag") or "").lower():
            case "success" | "1":
                return _done(data, call)
            case "fail":
                return Failed(self._http.ended(text_at(data, "failCode"), message=text_at(data, "failMsg")))
            case "2" | "3":
                return Failed(self._http.ended(text_at(data, "errorCode"), message=text_at(data, "errorMessage")))
            case _:
                percent = number_at(data, "progress")
                fraction = None if percent is None else min(max(percent / 100, 0.0), 1.0)
                return Pending(fraction, in_line(text_at(data, "state")))

    def _opened(self, answer: Answer, *, submitting: bool) -> Any:
        """Return what the envelope holds.

        Raises:
            DarkroomError: If its code is none of success.
        """
        body = answer.json()
        code = text_at(body, "code")
        if code == "200":
            return dig(body, "data")
        status = int(code) if code and code.isdecimal() and len(code) == 3 else None
        told = Told((code,) if code else (), text_at(body, "msg") or text_at(body, "message") or "", status)
        raise self._http.failure(answer, told, submitting=submitting)

    def operation_of(self, provider_job_id: str, call: Follow) -> Json:
        """Return what `poll` needs, of the id alone."""
        return {"id": provider_job_id, "route": _route(call)}

    async def upload(self, blob: Blob, call: Call) -> str:
        """Bring one picture to the host of uploads; what is the same has the same name, and takes its own place."""
        name = f"{hashlib.sha256(blob.content).hexdigest()}.{blob.media_type.partition('/')[2]}"
        answer = await self._http.request(
            "POST",
            self._uploads(call),
            timeout_s=UPLOAD_S,
            headers=call.bearer(),
            data={"uploadPath": "darkroom", "fileName": name},
            files={"file": (name, blob.content, blob.media_type)},
        )
        data = self._opened(answer, submitting=False)
        return text_at(data, "downloadUrl") or needed(data, "fileUrl")

    def _uploads(self, call: Follow) -> str:
        """Return the address of uploads: on a host of their own, or on the one that the user set instead."""
        here = self._http.url(UPLOAD_PATH)
        return f"{UPLOADS}{UPLOAD_PATH}" if here == f"{call.provider.base_url}{UPLOAD_PATH}" else here

    async def check(self, call: Follow) -> Health:
        """Ask for the credits that are left."""
        answer = await self._http.request("GET", "/api/v1/chat/credit", headers=call.bearer())
        left = number_at({"left": self._opened(answer, submitting=False)}, "left")
        return health(left)


def _route(call: Follow) -> str:
    return call.offer.route or MARKET


def _body(call: Call) -> Body:
    """Return the body of a submission."""
    _check_pictures(call)
    inputs = tuple(sorted(call.inputs, key=lambda blob: ORDER.get(blob.role, 1)))
    inner = body_of(replace(call, inputs=inputs))
    if call.request.scenes:  # a timeline needs a text of the whole too
        inner.setdefault("prompt", " ".join(scene.prompt for scene in call.request.scenes)[: call.offer.prompt_max])
    route = ROUTES[_route(call)]
    model = {route.model: wire_of(call)}
    return {**model, route.within: inner} if route.within else {**model, **inner}


def _check_pictures(call: Call) -> None:
    """Refuse pictures that do not go together here: left out, or taken for others, they would be paid for in vain.

    Raises:
        Unsupported: If there are such.
    """
    slots, roles = slots_of(call), {blob.role for blob in call.inputs}
    shut = [role for role in roles if role not in slots or not slots[role].to]
    if any(scene.image for scene in call.request.scenes):
        problem = "takes no pictures for the scenes of a timeline"
    elif shut:
        problem = f"takes no {shut[0].replace('_', ' ')} with the rest of the request"
    elif Role.LAST_FRAME in roles and Role.FIRST_FRAME not in roles:
        problem = "takes a last frame only with a first one"
    else:
        return
    raise Unsupported(
        f"{call.offer.title or call.offer.model} {problem}.",
        field="images",
        hint="Nothing was sent. Leave it out, or name another model.",
    )


def _done(data: Any, call: Follow) -> Succeeded:
    """Return the links of a finished task: within a text of JSON, or of Veo within `response`.

    Raises:
        UnexpectedAnswer: If there are none; they may come later.
    """
    result = _loaded(dig(data, "resultJson") or dig(data, "response") or dig(data, "resultInfoJson"))
    until = call.now + int((call.provider.retention_s or 0) * 1000)
    found = [("resultUrls", None), ("firstFrameUrl", "first_frame"), ("lastFrameUrl", "last_frame")]
    outputs = tuple(
        RemoteOutput(url=url, variant=variant, expires_at=until)
        for name, variant in found
        for url in _urls(dig(result, name))
    )
    outputs = outputs or tuple(RemoteOutput(url=url, expires_at=until) for url in _any_urls(result))
    if not outputs:
        raise UnexpectedAnswer("The provider says that it is done, and names no result.")
    seed = dig(result, "seeds", 0)
    return Succeeded(outputs, notes={"seed": seed} if isinstance(seed, int) else {})


def _any_urls(result: Any) -> list[str]:
    """Return the web addresses of a result under names that nobody documented: it is paid for all the same."""
    values = cast("Json", result).values() if isinstance(result, dict) else [result]
    return [url for value in values for url in _urls(value)]


def _urls(value: Any) -> list[str]:
    """Return web addresses: texts, or objects of Midjourney's; older answers hold the list as text."""
    items = _loaded(value)
    if not isinstance(items, list):
        return links(value)
    return [url for item in cast("list[Any]", items) for url in links(dig(item, "resultUrl") or item)]


def _loaded(value: Any) -> Any:
    """Return JSON that may come as text; None where the text holds none."""
    if not isinstance(value, str):
        return value
    try:
        return loads(value.encode())
    except (ValueError, RecursionError):
        return None


def create(http: ProviderHttp) -> KieAdapter:
    """Return the adapter."""
    return KieAdapter(http)
