"""The wire format of GPT Image pictures, as far as the shipped adapters of OpenAI and Azure speak it."""

import base64
import email
import email.policy
from dataclasses import dataclass
from typing import Any

from fake_provider.engine import Asked, Engine, Order, Reply, Work, picture, reply_json, sketch

KEY = "fake-key"
OPENAI = {"OPENAI_API_KEY": KEY}
AZURE = {"AZURE_OPENAI_API_KEY": KEY, "AZURE_OPENAI_ENDPOINT": "https://fake.test"}
CODES = {400: (400, "invalid_value"), 402: (429, "insufficient_quota"), 429: (429, "rate_limit_exceeded")}
"""What a status means here: that of the answer, and the code. 429 also says that money is out."""


@dataclass(frozen=True)
class Gpt:
    """Words what the engine does as OpenAI does: the answer holds the pictures, or says why there are none."""

    name: str
    header: tuple[str, str]
    """Name and value of the header with the key."""
    root: str = ""

    async def answer(self, engine: Engine, asked: Asked) -> Reply:
        """Answer one request."""
        name, value = self.header
        if asked.headers.get(name) != value:
            engine.faults.append(f"{self.name}: {asked.method} {asked.path} came with a wrong key")
            return _error(401, "invalid_api_key")
        route = asked.path.removeprefix(f"{self.root}/images/")
        if asked.method != "POST" or route not in ("generations", "edits"):
            engine.faults.append(f"{self.name}: {asked.method} {asked.path} is no address")
            return _error(404, "not_found")
        data: dict[str, Any] = asked.data() if route == "generations" else _form(asked)
        given = data.get("image")
        if not data.get("prompt") or not data.get("model") or given != _wanted(route, data):
            engine.faults.append(f"{self.name}: a request for {data.get('prompt')} lacks its model or its picture")
            return _error(400, "invalid_value")
        order = Order(f"{self.name}/{route}", data["prompt"], n=int(data.get("n", 1)))
        return await engine.submitted(order, _made, lambda status: _error(*CODES.get(status, (status, "server_error"))))


def openai() -> Gpt:
    """Return OpenAI's side."""
    return Gpt("openai", ("authorization", f"Bearer {KEY}"))


def azure() -> Gpt:
    """Return Azure's side, by the route without versions."""
    return Gpt("azure", ("api-key", KEY), "/openai/v1")


def _wanted(route: str, data: dict[str, Any]) -> bytes | None:
    return sketch(data["prompt"]) if route == "edits" else None


def _form(asked: Asked) -> dict[str, Any]:
    """Return the parts of a form: texts, and pictures as bytes."""
    head = f"content-type: {asked.headers.get('content-type', '')}\r\n\r\n".encode()
    found: dict[str, Any] = {}
    for part in email.message_from_bytes(head + asked.body, policy=email.policy.HTTP).iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        name = str(part.get_param("name", header="content-disposition"))
        found[name] = content if part.get_filename() else content.decode()
    return found


def _error(status: int, code: str) -> Reply:
    return reply_json(status, {"error": {"message": "not now", "type": None, "param": None, "code": code}})


def _made(work: Work) -> Reply:
    if work.script.fail is not None:
        return _error(400, "moderation_blocked")
    made = [{"b64_json": base64.b64encode(picture(work.id, at + 1)).decode()} for at in range(work.n)]
    usage = {"input_tokens": 10, "output_tokens": 100 * work.n, "total_tokens": 10 + 100 * work.n}
    return reply_json(200, {"created": 1, "output_format": "png", "data": made, "usage": usage})
