"""What each provider's errors mean, as its manifest's rows and the general rules tell: the tables of the documents."""

import json
from typing import Any

import pytest

from darkroom.catalog.providers import Providers
from darkroom.net.answer import Answer
from darkroom.net.classify import Told, ended, explain

PROVIDERS = Providers()
NOW = 1_795_000_000_000


def code_of(provider_id: str, status: int, body: Any, *, submitting: bool = True, **headers: str) -> str:
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    answer = Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, content)
    return explain(answer, PROVIDERS[provider_id], submitting=submitting, now=NOW).code


@pytest.mark.parametrize(
    ("provider_id", "status", "body", "code"),
    [
        ("bfl", 402, {"error": "Insufficient credits"}, "insufficient_credits"),
        ("bfl", 403, {"error": "Not authenticated"}, "auth_failed"),
        ("bfl", 422, {"detail": [{"loc": ["body"], "msg": "too large", "type": "x"}]}, "invalid_request"),
        ("bfl", 429, {"error": "Rate limit"}, "rate_limited"),
        ("bfl", 500, {"error": "Internal"}, "submit_unknown"),
        ("bfl", 503, {"error": "Unavailable"}, "overloaded"),
        ("higgsfield", 400, {"detail": "Maximum number of concurrent requests reached"}, "rate_limited"),
        ("higgsfield", 400, {"detail": "Wrong ratio"}, "invalid_request"),
        ("higgsfield", 401, {"detail": "No"}, "auth_failed"),
        ("higgsfield", 403, {"detail": "Not enough credits"}, "insufficient_credits"),
        ("runway", 401, {"error": "Unauthorized"}, "auth_failed"),
        ("runway", 429, {"error": "Daily limit"}, "rate_limited"),
        ("replicate", 402, {"title": "Payment required", "detail": "Insufficient credit"}, "insufficient_credits"),
        ("replicate", 429, {"detail": "Request was throttled. Expected available in 5s"}, "rate_limited"),
        ("fal", 401, {"detail": "Unauthorized"}, "auth_failed"),
        ("fal", 403, {"detail": "User is locked. Reason: Exhausted balance."}, "insufficient_credits"),
        ("luma", 429, {"detail": "Too many requests"}, "rate_limited"),
        ("stability", 402, {"name": "payment_required", "errors": ["no"]}, "insufficient_credits"),
        ("stability", 403, {"name": "content_moderation", "errors": ["flagged"]}, "content_blocked"),
        ("kling", 429, {"code": 1102, "message": "pack is used up"}, "insufficient_credits"),
        ("kling", 429, {"code": 1302, "message": "too fast"}, "rate_limited"),
        ("kling", 400, {"code": 1301, "message": "risk control"}, "content_blocked"),
        ("kling", 401, {"code": 1004, "message": "expired"}, "auth_failed"),
        ("comfyui", 400, {"error": {"type": "prompt_no_outputs", "message": "no outputs"}}, "invalid_request"),
    ],
)
def test_an_error_means_what_the_provider_says_that_it_does(
    provider_id: str, status: int, body: Any, code: str
) -> None:
    assert code_of(provider_id, status, body) == code


@pytest.mark.parametrize(
    ("provider_id", "told", "code"),
    [
        ("kie", Told(("402",), "no credits", 402), "insufficient_credits"),
        ("kie", Told(("401",), "no", 401), "auth_failed"),
        ("kie", Told(("422",), "wrong", 422), "invalid_request"),
        ("kie", Told(("429",), "later", 429), "rate_limited"),
        ("kie", Told(("455",), "maintenance", 455), "overloaded"),
        ("minimax", Told(("1008",), "insufficient balance"), "insufficient_credits"),
        ("minimax", Told(("1004",), "login fail"), "auth_failed"),
        ("minimax", Told(("1002",), "rate limit"), "rate_limited"),
        ("minimax", Told(("1026",), "sensitive"), "content_blocked"),
        ("minimax", Told(("2013",), "invalid params"), "invalid_request"),
    ],
)
def test_an_envelope_of_success_may_hold_an_error(provider_id: str, told: Told, code: str) -> None:
    error = explain(Answer(200), PROVIDERS[provider_id], submitting=True, now=NOW, told=told)
    assert error.code == code
    assert error.provider_code == told.codes[0]


@pytest.mark.parametrize(
    ("provider_id", "told"),
    [
        ("bfl", Told(("Content Moderated",))),
        ("runway", Told(("SAFETY.INPUT.TEXT",), "moderated")),
        ("minimax", Told(("1027",), "output sensitive")),
        ("higgsfield", Told(("nsfw",))),
    ],
)
def test_refused_content_of_accepted_work_is_called_so(provider_id: str, told: Told) -> None:
    assert ended(PROVIDERS[provider_id], told).code == "content_blocked"


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please try again in 5.5s.", 5.5),
        ("Please retry after 2 minutes", 120.0),
        ("Rate limit. Wait 30 seconds", 30.0),
        ("resets in ~30s", 30.0),
        ("Try later", None),
        ("5 seconds ago you tried", None),
    ],
)
def test_a_pause_in_words_is_obeyed(message: str, seconds: float | None) -> None:
    answer = Answer(429, {}, json.dumps({"error": message}).encode())
    assert explain(answer, PROVIDERS["bfl"], submitting=True, now=NOW).retry_after_s == seconds


def test_a_pause_in_the_header_comes_before_one_in_words() -> None:
    answer = Answer(429, {"retry-after": "7"}, json.dumps({"error": "try again in 5s"}).encode())
    assert explain(answer, PROVIDERS["bfl"], submitting=True, now=NOW).retry_after_s == 7


def test_ids_for_the_providers_support_are_kept() -> None:
    answer = Answer(429, {"x-request-id": "r-1", "trace-id": "t-1"}, b"{}")
    error = explain(answer, PROVIDERS["bfl"], submitting=True, now=NOW)
    assert "r-1" in (error.provider_message or "")
    assert "t-1" in (error.provider_message or "")
