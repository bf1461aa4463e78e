"""The fake provider's own wire format."""

import base64

from fake_provider.engine import KEY, Asked, Engine, Order, Reply, Work, picture, reply_json


class Own:
    """Words what the engine does in the plainest way."""

    async def answer(self, engine: Engine, asked: Asked) -> Reply:
        """Answer one request."""
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return _error(401, "unauthorized", "wrong key")
        match (asked.method, asked.path):
            case ("POST", "/v1/jobs" | "/v1/images"):
                return await self._submitted(engine, asked)
            case ("GET", "/v1/jobs"):
                found = engine.named(asked.query.get("key", "")) if engine.lookup else []
                return reply_json(200, {"jobs": [{"id": work.id} for work in found]})
            case ("GET" | "DELETE", path) if path.startswith("/v1/jobs/"):
                work = engine.works.get(path.rpartition("/")[2])
                if work is None:
                    return _error(404, "not_found", "no such job")
                return _polled(engine, work) if asked.method == "GET" else _cancelled(engine, work)
            case _:
                return _error(404, "not_found", "no such address")

    async def _submitted(self, engine: Engine, asked: Asked) -> Reply:
        data = asked.data()
        if not data.get("prompt"):
            return _error(400, "bad_request", "no prompt")
        once = asked.headers.get("idempotency-key")
        order = Order(asked.path, str(data["prompt"]), data.get("key"), once, int(data.get("n", 1)))

        def accepted(work: Work) -> Reply:
            return reply_json(202, {"id": work.id}) if asked.path == "/v1/jobs" else _made(work)

        return await engine.submitted(order, accepted, lambda status: _error(status, f"status_{status}", "not now"))


def _error(status: int, code: str, message: str) -> Reply:
    return reply_json(status, {"error": {"code": code, "message": message}})


def _made(work: Work) -> Reply:
    if work.script.raw:
        return Reply(200, picture(work.id, 1), {"content-type": "image/png", "x-request-id": work.id})
    images = [{"b64": base64.b64encode(picture(work.id, at + 1)).decode()} for at in range(work.n)]
    return reply_json(200, {"id": work.id, "images": [] if work.script.nothing else images})


def _polled(engine: Engine, work: Work) -> Reply:
    script, state = work.script, engine.polled(work)
    match state:
        case "running":
            return reply_json(200, {"id": work.id, "status": script.status or state, "progress": work.share})
        case "failed":
            return reply_json(200, {"id": work.id, "status": state, "error": {"code": script.fail, "message": "no"}})
        case "succeeded":
            failed = [{"index": number, "code": "blocked"} for number in script.failed_outputs]
            outputs = [{"url": url} for url in engine.links(work)]
            return reply_json(200, {"id": work.id, "status": state, "outputs": outputs, "failed": failed})
        case _:
            return reply_json(200, {"id": work.id, "status": state})


def _cancelled(engine: Engine, work: Work) -> Reply:
    engine.cancels += 1
    match work.script.cancel:
        case "yes":
            work.cancelled = True
            return reply_json(200, {"cancelled": True, "charged_usd": 0})
        case "late":
            return _error(409, "too_late", "it is done")
        case _:
            return _error(404, "not_found", "no such address")
