"""Every error that the sheets of the Gemini API and of Vertex AI name, in both of its forms, and what it means."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from darkroom.adapters.gemini import told
from darkroom.adapters.google import GoogleAdapter
from darkroom.catalog.providers import Providers
from darkroom.errors import DarkroomError
from darkroom.net.answer import Answer
from darkroom.net.classify import Told, explain
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from factories import FakeClock
from helpers_contract import NOW, Json, call_of

PROVIDERS = Providers()
INFO, RETRY = "type.googleapis.com/google.rpc.ErrorInfo", "type.googleapis.com/google.rpc.RetryInfo"
KEY = {"@type": INFO, "reason": "API_KEY_INVALID"}
DAY = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}
MINUTE = {"violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}]}


def classic(status: int, name: str, *details: Json, message: str = "Not so.") -> Json:
    return {"error": {"code": status, "message": message, "status": name, "details": list(details)}}


def plain(code: str, message: str = "Not so.") -> Json:
    return {"error": {"code": code, "message": message}}


CLASSIC: list[tuple[int, Json, str, float | None]] = [
    (400, classic(400, "INVALID_ARGUMENT"), "invalid_request", None),
    (400, classic(400, "FAILED_PRECONDITION"), "invalid_request", None),
    (401, classic(401, "UNAUTHENTICATED"), "auth_failed", None),
    (402, classic(402, "RESOURCE_EXHAUSTED"), "insufficient_credits", None),
    (403, classic(403, "PERMISSION_DENIED"), "auth_failed", None),
    (404, classic(404, "NOT_FOUND"), "invalid_request", None),
    (413, classic(413, "INVALID_ARGUMENT"), "invalid_request", None),
    (429, classic(429, "RESOURCE_EXHAUSTED"), "rate_limited", None),
    (429, classic(429, "RESOURCE_EXHAUSTED", {"retryDelay": "30s"}), "rate_limited", 30.0),
    (429, classic(429, "RESOURCE_EXHAUSTED", MINUTE, {"@type": RETRY, "retryDelay": "0.25s"}), "rate_limited", 0.25),
    (429, classic(429, "RESOURCE_EXHAUSTED", DAY, {"@type": RETRY, "retryDelay": "9s"}), "rate_limited", 3600.0),
    (429, classic(429, "RESOURCE_EXHAUSTED", {"retryDelay": "soon"}), "rate_limited", None),
    (429, classic(429, "RESOURCE_EXHAUSTED", message="Please retry in 34.5s."), "rate_limited", 34.5),
    (500, classic(500, "INTERNAL"), "submit_unknown", None),
    (502, classic(502, "UNKNOWN"), "submit_unknown", None),
    (503, classic(503, "UNAVAILABLE"), "overloaded", None),
    (504, classic(504, "DEADLINE_EXCEEDED"), "submit_unknown", None),
]
"""Those that both have."""
KEYS: list[tuple[int, Json, str, float | None]] = [
    (400, classic(400, "INVALID_ARGUMENT", KEY), "auth_failed", None),
    (404, classic(404, "NOT_FOUND", message="models/gemini-9 is not found."), "model_retired", None),
    (400, plain("invalid_request"), "invalid_request", None),
    (400, plain("failed_precondition"), "invalid_request", None),
    (400, plain("parameter_unknown"), "invalid_request", None),
    (401, plain("authentication"), "auth_failed", None),
    (402, plain("payment_required"), "insufficient_credits", None),
    (403, plain("permission_denied"), "auth_failed", None),
    (404, plain("not_found"), "invalid_request", None),
    (404, plain("model_not_found"), "model_retired", None),
    (409, plain("already_exists"), "invalid_request", None),
    (409, plain("aborted"), "invalid_request", None),
    (416, plain("out_of_range"), "invalid_request", None),
    (429, plain("rate_limit_exceeded"), "rate_limited", None),
    (429, plain("too_many_requests"), "rate_limited", None),
    (429, plain("quota_exceeded"), "rate_limited", 3600.0),
    (499, plain("cancelled"), "submit_unknown", None),
    (500, plain("api_error"), "submit_unknown", None),
    (501, plain("unimplemented"), "submit_unknown", None),
    (503, plain("service_unavailable"), "overloaded", None),
    (504, plain("deadline_exceeded"), "submit_unknown", None),
    *[
        (400, plain(code), "content_blocked", None)
        for code in (
            "safety", "recitation", "language", "prohibited_content", "spii", "blocklist", "image_safety",
            "image_prohibited_content", "image_recitation", "image_other", "content_blocked",
        )
    ],
]  # fmt: skip
"""Those of the Gemini API alone: refused keys, and its interactions."""
ROWS = [("google", *row) for row in (*CLASSIC, *KEYS)] + [("vertex", *row) for row in CLASSIC]


def error_of(provider_id: str, status: int, data: Any) -> DarkroomError:
    answer = Answer(status, body=json.dumps(data).encode())
    return explain(answer, PROVIDERS[provider_id], submitting=True, now=NOW, told=told(answer))


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(("provider_id", "status", "data", "code", "wait"), ROWS)
def test_an_error_of_a_submission(
    provider_id: str, status: int, data: Json, code: str, wait: float | None, *, listed: bool
) -> None:
    error = error_of(provider_id, status, [data] if listed else data)
    assert (error.code, error.retry_after_s) == (code, wait)
    if code != "submit_unknown":
        assert error.provider_message == data["error"]["message"]


@pytest.mark.parametrize("data", ["words", [], {}, {"error": "words"}, [{"error": None}], None])
def test_what_is_no_error_of_google_s_is_read_as_usual(data: Any) -> None:
    assert told(Answer(400, body=json.dumps(data).encode())) is None
    assert error_of("google", 400, data).code == "invalid_request"


def test_a_page_tells_nothing() -> None:
    assert told(Answer(502, body=b"<html>")) is None


def test_a_pause_of_days_is_cut() -> None:
    answer = Answer(429, body=b"{}")
    error = explain(answer, PROVIDERS["google"], submitting=True, now=NOW, told=Told(wait_s=1e9))
    assert error.retry_after_s == 86_400.0


ENDED = {
    "safety": "content_blocked",
    "image_other": "content_blocked",
    "malformed_function_call": "provider_failed",
    "malformed_tool_call": "provider_failed",
    "unexpected_tool_call": "provider_failed",
    "no_image": "provider_failed",
    "too_many_tool_calls": "provider_failed",
    "missing_thought_signature": "provider_failed",
}


@pytest.mark.anyio
@pytest.mark.parametrize(("code", "means"), ENDED.items())
async def test_an_error_of_accepted_work(tmp_path: Path, code: str, means: str) -> None:
    said = {"id": "v1_a", "status": "failed", "errors": [{"code": code, "message": "Not so."}]}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=said))
    google = PROVIDERS["google"]
    adapter = GoogleAdapter(ProviderHttp(ShardedClient(FakeClock(NOW), transport=transport), google))
    result = await adapter.poll({"id": "v1_a"}, call_of(google, {"model": "gemini-omni-1.2-flash"}, tmp_path))
    error = getattr(result, "error", None)
    assert isinstance(error, DarkroomError)
    assert (error.code, error.provider_code) == (means, code)
