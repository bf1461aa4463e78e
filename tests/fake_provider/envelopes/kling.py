"""Kling's wire format, as far as the shipped adapter speaks it: every answer has a code, which decides."""

import base64
import hashlib
from typing import Any

import jwt

from darkroom.clock import SystemClock
from fake_provider.engine import Asked, Engine, Order, Reply, Work, reply_json, sketch

ACCESS, SECRET = "fake-access", "fake-secret-of-at-least-thirty-two-bytes"
CREDENTIALS = {"KLING_ACCESS_KEY": ACCESS, "KLING_SECRET_KEY": SECRET}
ERRORS = {400: (400, 1201), 402: (429, 1101), 429: (200, 1303), 500: (200, 5000), 503: (200, 5001)}
"""What a status means here: that of the answer, which says little, and the code. 429 also says that money is out."""
RESULTS = {"images/generations": "images", "videos/text2video": "videos", "videos/image2video": "videos"}


class Kling:
    """Words what the engine does as Kling does."""

    async def answer(self, engine: Engine, asked: Asked) -> Reply:
        """Answer one request: a task can be asked for by its own id, and by the caller's."""
        if not _is_signed(asked.headers.get("authorization", "")):
            engine.faults.append(f"kling: {asked.method} {asked.path} came with a wrong token")
            return _error(401, 1000, "Authentication failed")
        route, _, name = asked.path.removeprefix("/v1/").rpartition("/")
        if asked.method == "POST" and f"{route}/{name}" in RESULTS:
            return await self._submitted(engine, asked, f"{route}/{name}")
        if asked.method == "GET" and route in RESULTS:
            found = [work for work in (engine.works.get(name), *engine.named(name)) if work is not None]
            mine = [work for work in found if work.id in self._of(engine, route)]
            return _polled(engine, mine[0], route) if mine else _error(404, 1203, "task not found")
        engine.faults.append(f"kling: {asked.method} {asked.path} is no address")
        return _error(404, 1202, "no such address")

    async def _submitted(self, engine: Engine, asked: Asked, route: str) -> Reply:
        data = asked.data()
        missing = [name for name in ("model_name", "prompt", "external_task_id") if not data.get(name)]
        if missing or not _has_its_picture(data, route):
            engine.faults.append(f"kling: a request for {data.get('prompt')} lacks {missing or 'its picture'}")
            return _error(400, 1201, "invalid request")
        order = Order(f"kling/{route}", data["prompt"], key=data["external_task_id"], n=int(data.get("n", 1)))
        return await engine.submitted(order, lambda work: _done(_task(work, "submitted")), _refused)

    def _of(self, engine: Engine, route: str) -> set[str]:
        """Return the ids of the tasks of one kind: each kind is asked for at a place of its own."""
        return {item.accepted for item in list(engine.history) if item.accepted and item.endpoint == f"kling/{route}"}


def _is_signed(header: str) -> bool:
    try:
        claims = jwt.decode(header.removeprefix("Bearer "), SECRET, algorithms=["HS256"], options={"require": ["exp"]})
    except jwt.InvalidTokenError:
        return False
    return claims.get("iss") == ACCESS


def _has_its_picture(data: dict[str, Any], route: str) -> bool:
    """Return whether what must go in came in whole, as bare base64."""
    given = base64.b64decode(data.get("image") or "")
    return hashlib.sha256(given).digest() == hashlib.sha256(_wanted(data["prompt"], route)).digest()


def _wanted(prompt: str, route: str) -> bytes:
    return sketch(prompt) if route == "videos/image2video" else b""


def _refused(status: int) -> Reply:
    told, code = ERRORS[status]
    return _error(told, code, "not now")


def _error(status: int, code: int, message: str) -> Reply:
    return reply_json(status, {"code": code, "message": message, "request_id": "r1"})


def _done(data: dict[str, Any]) -> Reply:
    return reply_json(200, {"code": 0, "message": "SUCCEED", "request_id": "r1", "data": data})


def _task(work: Work, status: str, **more: Any) -> dict[str, Any]:
    own = {"external_task_id": work.key}
    times = dict.fromkeys(("created_at", "updated_at"), SystemClock().now())
    return {"task_id": work.id, "task_status": status, "task_info": own, **times, **more}


def _polled(engine: Engine, work: Work, route: str) -> Reply:
    match engine.polled(work):
        case "running":
            return _done(_task(work, "processing"))
        case "succeeded":
            links = [{"index": at, "id": f"{work.id}-{at}", "url": url} for at, url in enumerate(engine.links(work))]
            return _done(_task(work, "succeed", task_result={RESULTS[route]: links}))
        case _:
            return _done(_task(work, "failed", task_status_msg=work.script.fail or ""))
