"""xAI's wire format, as far as the shipped adapter speaks it: pictures within the answer, clips to be asked for."""

import base64
import hashlib
from typing import Any

from fake_provider.engine import Asked, Engine, Order, Reply, Work, picture, reply_json, sketch

KEY = "fake-xai-key"
CREDENTIALS = {"XAI_API_KEY": KEY}
WORDS = {402: (403, "Your team has used all available credits.")}
PICTURES, CLIPS = "/images/generations", "/videos/generations"


class Xai:
    """Words what the engine does as xAI does."""

    async def answer(self, engine: Engine, asked: Asked) -> Reply:
        """Answer one request."""
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            engine.faults.append(f"xai: {asked.method} {asked.path} came with a wrong key")
            return _error(400, "Incorrect API key provided.")
        if asked.method == "POST" and asked.path in (PICTURES, CLIPS):
            return await _submitted(engine, asked)
        work = engine.works.get(asked.path.removeprefix("/videos/"))
        if work is None or asked.method != "GET":
            engine.faults.append(f"xai: {asked.method} {asked.path} is no address of a request")
            return _error(404, "Not found")
        return _polled(engine, work)


async def _submitted(engine: Engine, asked: Asked) -> Reply:
    data = asked.data()
    missing = [name for name in ("model", "prompt") if not data.get(name)]
    if missing or not _has_its_picture(data) or (asked.path == PICTURES and data.get("response_format") != "b64_json"):
        engine.faults.append(f"xai: a request for {data.get('prompt')} lacks {missing or 'its picture or form'}")
        return _error(422, "missing field")
    order = Order(f"xai{asked.path}", data["prompt"], n=int(data.get("n", 1)))
    accepted = _made if asked.path == PICTURES else _begun
    return await engine.submitted(order, accepted, lambda status: _error(*WORDS.get(status, (status, "not now"))))


def _has_its_picture(data: dict[str, Any]) -> bool:
    """Return whether a picture that goes in came in whole, as a data URI."""
    if "image" not in data:
        return True
    _, _, given = data["image"]["url"].partition(";base64,")
    return hashlib.sha256(base64.b64decode(given)).digest() == hashlib.sha256(sketch(data["prompt"])).digest()


def _error(status: int, words: str) -> Reply:
    return reply_json(status, {"code": "Some words in place of a code", "error": words})


def _begun(work: Work) -> Reply:
    return reply_json(200, {"request_id": work.id})


def _made(work: Work) -> Reply:
    if work.script.fail is not None:
        return reply_json(200, {"data": [{"respect_moderation": False}] * work.n})
    made = (base64.b64encode(picture(work.id, number)).decode() for number in range(1, work.n + 1))
    return reply_json(200, {"data": [{"b64_json": text, "respect_moderation": True} for text in made]})


def _polled(engine: Engine, work: Work) -> Reply:
    match engine.polled(work):
        case "running":
            return Reply(202)
        case "succeeded":
            return reply_json(200, {"status": "done", "video": {"url": engine.links(work)[0], "duration": 8}})
        case _:
            error = {"code": "internal_error", "message": work.script.fail or ""}
            return reply_json(200, {"status": "failed", "error": error})
