"""The wire format of fal's queue and storage, as far as the shipped adapter speaks it."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from fake_provider.engine import Asked, Engine, Order, Reply, Work, reply_json, sketch

KEY = "fake-id:fake-secret"
CREDENTIALS = {"FAL_KEY": KEY}
GENUINE = {"x-fal-request-id": "r1"}
"""What every answer of fal's own has, unlike those of machines in between."""
WORDS = {402: (403, "User is locked. Reason: Exhausted balance.")}


@dataclass
class Fal:
    """Words what the engine does as fal does: a queue, a result apart from the status, and a storage for pictures."""

    stored: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """What was uploaded, by the path of its address."""

    async def answer(self, engine: Engine, asked: Asked) -> Reply:
        """Answer one request."""
        if asked.path.startswith("/stored/") and asked.method == "PUT":
            self.stored[asked.path] = asked.body
            return Reply(200)
        if asked.headers.get("authorization") != f"Key {KEY}":
            engine.faults.append(f"fal: {asked.method} {asked.path} came with a wrong key")
            return _error(401, "No user found for Key ID and Secret")
        if asked.path == "/storage/upload/initiate":
            place = f"{asked.base_url}/stored/{len(self.stored)}-{asked.data()['file_name']}"
            return reply_json(200, {"upload_url": place, "file_url": place})
        app, among, rest = asked.path.removeprefix("/").partition("/requests/")
        if not among:
            return await self._submitted(engine, asked, app)
        name, _, what = rest.partition("/")
        work = engine.works.get(name)
        if work is None or asked.method != "GET":
            engine.faults.append(f"fal: {asked.method} {asked.path} is no address of a request")
            return _error(404, "Request not found")
        return _status(engine, work) if what == "status" else _result(engine, work)

    async def _submitted(self, engine: Engine, asked: Asked, endpoint: str) -> Reply:
        data = asked.data()
        if not data.get("prompt") or not self._has_its_picture(asked, data, endpoint):
            engine.faults.append(f"fal: a request for {data.get('prompt')} lacks its prompt or its picture")
            return _error(422, [{"loc": ["body"], "msg": "Field required", "type": "missing"}])
        order = Order(f"fal/{endpoint}", data["prompt"], n=int(data.get("num_images", 1)))

        def accepted(work: Work) -> Reply:
            root = f"{asked.base_url}/{'/'.join(endpoint.split('/')[:2])}/requests/{work.id}"
            addresses = {"response_url": root, "status_url": f"{root}/status", "cancel_url": f"{root}/cancel"}
            return reply_json(200, {"request_id": work.id, "status": "IN_QUEUE", **addresses}, **GENUINE)

        return await engine.submitted(order, accepted, _refused)

    def _has_its_picture(self, asked: Asked, data: dict[str, Any], endpoint: str) -> bool:
        """Return whether what must go in was stored whole before, and is named by its address."""
        given = [self.stored.get(url.removeprefix(asked.base_url), b"") for url in data.get("image_urls", [])]
        wanted = [sketch(data["prompt"])] if endpoint.endswith("/edit") else []
        return [hashlib.sha256(item).digest() for item in given] == [hashlib.sha256(item).digest() for item in wanted]


def _refused(status: int) -> Reply:
    return _error(*WORDS.get(status, (status, "not now")))


def _error(status: int, detail: Any) -> Reply:
    return reply_json(status, {"detail": detail}, **GENUINE)


def _status(engine: Engine, work: Work) -> Reply:
    match engine.polled(work):
        case "running":
            return reply_json(200, {"status": "IN_PROGRESS", "logs": None}, **GENUINE)
        case "failed":
            wrong = {"error": "the model failed", "error_type": work.script.fail}
            return reply_json(200, {"status": "COMPLETED", **wrong}, **GENUINE)
        case _:
            return reply_json(200, {"status": "COMPLETED", "metrics": {"inference_time": 0.1}}, **GENUINE)


def _result(engine: Engine, work: Work) -> Reply:
    if work.script.fail is not None:
        return _error(422, [{"loc": ["body"], "msg": "the model failed", "type": work.script.fail}])
    images = [{"url": url, "content_type": "image/png"} for url in engine.links(work)]
    return reply_json(200, {"images": images, "seed": 7}, **GENUINE)
