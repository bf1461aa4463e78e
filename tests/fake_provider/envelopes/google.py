"""The wire formats of Google's pictures, by key and at Vertex AI, and of Vertex's clips, as the shipped adapters do."""

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from darkroom.domain.kinds import Mode
from fake_provider.engine import Asked, Engine, Order, Reply, Work, picture, reply_json, sketch

KEY = "fake-google-key"
GOOGLE = {"GOOGLE_API_KEY": KEY}
PERSON = {"client_id": "fake-client", "client_secret": "fake-secret", "refresh_token": "fake-refresh"}
USES = 12
"""Calls after which a token is not accepted any more, long before its end."""
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
BUCKET = "/storage/fake/"
_BY_KEY = re.compile(r"/v1beta/models/[a-z0-9.-]+:generateContent")
_AT_VERTEX = re.compile(
    r"/v1beta1/projects/fake/locations/global/publishers/google/models/[a-z0-9.-]+"
    r":(generateContent|predict|predictLongRunning|fetchPredictOperation)"
)


def vertex(folder: Path, base_url: str) -> dict[str, str]:
    """Return the credentials of Vertex AI, with their file in a folder; tokens are given below that address."""
    path = folder / "google.json"
    path.write_text(json.dumps({"type": "authorized_user", "token_uri": f"{base_url}/token", **PERSON}), "utf-8")
    return {"GOOGLE_CLOUD_PROJECT": "fake", "GOOGLE_APPLICATION_CREDENTIALS": str(path)}


class Google:
    """Words what the engine does as the Gemini API does: the picture is in the answer, with its turn's signatures."""

    async def answer(self, engine: Engine, asked: Asked) -> Reply:
        """Answer one request."""
        if asked.headers.get("x-goog-api-key") != KEY:
            engine.faults.append(f"google: {asked.method} {asked.path} came with a wrong key")
            return _error(400)
        if asked.method != "POST" or not _BY_KEY.fullmatch(asked.path):
            engine.faults.append(f"google: {asked.method} {asked.path} is no address")
            return _error(404)
        return await _content(engine, asked, {"candidates": [{"finishReason": "NO_IMAGE"}]})


@dataclass
class Vertex:
    """Words what the engine does as Vertex AI does, with clips in a bucket; tokens are refused after some calls."""

    uses: Counter[str] = field(default_factory=Counter[str])
    """Calls with each token that was given out."""

    async def answer(self, engine: Engine, asked: Asked) -> Reply:
        """Answer one request."""
        if asked.path == "/token":
            return self._token(engine, asked)
        token = asked.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.uses:
            engine.faults.append(f"vertex: {asked.method} {asked.path} came with a wrong token")
            return _error(401)
        if asked.path.startswith(BUCKET) and asked.method == "GET":
            return engine.file(asked.path.replace(BUCKET, "/files/", 1), asked.headers)
        self.uses[token] += 1
        if self.uses[token] > USES:
            return _error(401)
        if asked.path.startswith(BUCKET) and asked.method == "HEAD":
            return Reply(200 if asked.path.split("/")[-2] in engine.works else 404)
        route = _AT_VERTEX.fullmatch(asked.path)
        if asked.method != "POST" or route is None:
            engine.faults.append(f"vertex: {asked.method} {asked.path} is no address")
            return _error(404)
        match route[1]:
            case "fetchPredictOperation":
                return _fetched(engine, asked)
            case "predict" | "predictLongRunning":
                return await _prediction(engine, asked, _predicted if route[1] == "predict" else _begun)
            case _:
                pass
        return await _content(engine, asked, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})

    def _token(self, engine: Engine, asked: Asked) -> Reply:
        form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
        if form != {"grant_type": "refresh_token", **PERSON}:
            engine.faults.append("vertex: a token was asked for without what it is given for")
            return reply_json(400, {"error": "invalid_grant"})
        token = f"fake-token-{len(self.uses)}"
        self.uses[token] = 0
        return reply_json(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})


async def _content(engine: Engine, asked: Asked, failed: dict[str, Any]) -> Reply:
    data = asked.data()
    contents: list[Any] = data.get("contents") or [{}]
    prompt, given = _said(contents[-1])
    wanted = [sketch(prompt)] if Mode.EDIT_IMAGE in prompt else []
    if not prompt or given != wanted or data.get("generationConfig", {}).get("responseModalities") != ["IMAGE"]:
        engine.faults.append(f"google: a request for {prompt} lacks its picture, or what should come")
        return _error(400)
    engine.heard[prompt] = tuple(_heard(engine, contents[:-1]))

    def made(work: Work) -> Reply:
        if work.script.fail is not None:
            return reply_json(200, {**failed, "usageMetadata": {"promptTokenCount": 10}})
        engine.turns[work.id] = _turn(work)
        found = {"candidates": [{"content": _turn(work), "finishReason": "STOP"}], "usageMetadata": _usage()}
        return reply_json(200, found)

    return await engine.submitted(Order("generateContent", prompt), made, _error)


def _said(turn: dict[str, Any]) -> tuple[str, list[bytes]]:
    """Return the text of what a person says, and the pictures with it."""
    parts = turn.get("parts", [])
    pictures = [base64.b64decode(part["inlineData"]["data"]) for part in parts if "inlineData" in part]
    return " ".join(part["text"] for part in parts if "text" in part), pictures


def _heard(engine: Engine, earlier: list[Any]) -> list[str]:
    """Return the prompts of the turns before the last one, each of which must come back as it was."""
    prompts: list[str] = []
    for asked, answered in zip(earlier[::2], earlier[1::2], strict=True):
        prompt, given = _said(asked)
        known = [engine.turns.get(name) for name in engine.accepted(prompt)]
        if answered not in known or given != ([sketch(prompt)] if Mode.EDIT_IMAGE in prompt else []):
            engine.faults.append(f"google: the turn of {prompt} did not come back word for word")
        prompts.append(prompt)
    return prompts


def _turn(work: Work) -> dict[str, Any]:
    """Return the model's turn: a thought in words and one in a picture, then the result, each signed."""
    shown = [base64.b64encode(picture(work.id, number)).decode() for number in (0, 1)]
    parts = [
        {"text": f"A thought about {work.prompt}", "thought": True},
        {"inlineData": {"mimeType": "image/png", "data": shown[0]}, "thought": True},
        {"inlineData": {"mimeType": "image/png", "data": shown[1]}},
    ]
    return {"role": "model", "parts": [{**part, "thoughtSignature": _sign(work, at)} for at, part in enumerate(parts)]}


def _sign(work: Work, number: int) -> str:
    return base64.b64encode(hashlib.sha256(f"{work.id}/{number}/signature".encode()).digest()).decode()


def _usage() -> dict[str, Any]:
    details = [{"modality": "IMAGE", "tokenCount": 1120}]
    return {"promptTokenCount": 10, "candidatesTokenCount": 1120, "candidatesTokensDetails": details}


async def _prediction(engine: Engine, asked: Asked, accepted: Callable[[Work], Reply]) -> Reply:
    data = asked.data()
    instances: list[Any] = data.get("instances") or [{}]
    prompt: str = instances[0].get("prompt", "")
    given = base64.b64decode(instances[0].get("image", {}).get("bytesBase64Encoded", ""))
    if len(instances) != 1 or not prompt or given != (sketch(prompt) if Mode.IMAGE_TO_VIDEO in prompt else b""):
        engine.faults.append(f"vertex: a request for {prompt} lacks its prompt or its picture")
        return _error(400)
    order = Order("predict", prompt, n=int(data.get("parameters", {}).get("sampleCount", 1)))
    return await engine.submitted(order, accepted, _error)


def _predicted(work: Work) -> Reply:
    if work.script.fail is not None:
        return reply_json(200, {"predictions": [{"raiFilteredReason": "Filtered."}] * work.n})
    shown = [base64.b64encode(picture(work.id, number)).decode() for number in range(1, work.n + 1)]
    return reply_json(200, {"predictions": [{"bytesBase64Encoded": text, "mimeType": "image/png"} for text in shown]})


def _begun(work: Work) -> Reply:
    place = "projects/1234/locations/global/publishers/google/models/fake"
    return reply_json(200, {"name": f"{place}/operations/{work.id}"})


def _fetched(engine: Engine, asked: Asked) -> Reply:
    work = engine.works.get(asked.data().get("operationName", "").rpartition("/operations/")[2])
    if work is None:
        engine.faults.append("vertex: an operation was asked for that there is not")
        return _error(404)
    match engine.polled(work):
        case "running":
            return reply_json(200, {"name": "op", "done": False})
        case "succeeded":
            places = [link.partition("/files/")[2].partition("?")[0] for link in engine.links(work)]
            clips = [{"gcsUri": f"gs://fake/{place}", "mimeType": "video/mp4"} for place in places]
            return reply_json(200, {"name": "op", "done": True, "response": {"videos": clips}})
        case _:
            return reply_json(200, {"name": "op", "done": True, "error": {"code": 13, "message": work.script.fail}})


def _error(status: int) -> Reply:
    error = {"code": status, "message": "not now", "status": STATUSES.get(status, "INTERNAL")}
    return reply_json(status, {"error": error})
