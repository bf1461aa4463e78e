import json
import ssl
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.errors import (
    AuthFailed,
    BudgetExceeded,
    ContentBlocked,
    DarkroomError,
    InsufficientCredits,
    InvalidRequest,
    NotConfigured,
    Overloaded,
    ProviderFailed,
    RateLimited,
    ResultExpired,
    SubmitUnknown,
    UnexpectedAnswer,
    UnknownModel,
)
from darkroom.net.answer import Answer
from darkroom.net.classify import Verdict, explain, explain_failure, retry_after_s, verdict_of
from factories import NOW
from helpers_catalog import make_provider

ACME = make_provider(safe_statuses=[503, 409])
DAY = 86_400


def explained(status: int, body: Any = b"", *, submitting: bool = True, **headers: str) -> DarkroomError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return explain(Answer(status, named, raw), ACME, submitting=submitting, now=NOW)


@pytest.mark.parametrize(
    ("status", "kind", "verdict"),
    [
        *((status, InvalidRequest, Verdict.FINAL) for status in (400, 404, 405, 413, 415, 422)),
        *((status, AuthFailed, Verdict.FINAL) for status in (401, 403)),
        (402, InsufficientCredits, Verdict.FINAL),
        (429, RateLimited, Verdict.REFUSED),
        *((status, Overloaded, Verdict.REFUSED) for status in (503, 409)),
        *((status, SubmitUnknown, Verdict.UNKNOWN) for status in (301, 302, 304, 408, 410, 418, 425, 500, 502, 529)),
    ],
)  # fmt: skip
def test_the_status_of_a_submission_says_whether_it_may_be_sent_again(
    status: int, kind: type[DarkroomError], verdict: Verdict
) -> None:
    error = explained(status)
    assert type(error) is kind
    assert verdict_of(error) is verdict


@pytest.mark.parametrize(
    "body",
    [
        b"<html>503 Service Temporarily Unavailable</html>",
        b"\n <!doctype html><a>Privacy policy</a>",
        b"upstream connect error or disconnect/reset before headers",
    ],
)
def test_a_page_about_trouble_is_from_something_on_the_way_and_proves_nothing(body: bytes) -> None:
    rules = [{"text": "polic", "means": "content_blocked"}, {"status": 503, "means": "overloaded"}]
    provider = make_provider(safe_statuses=[503, 502, 408], errors=rules)
    for status in (408, 502, 503, 504):
        error = explain(Answer(status, {"retry-after": "1"}, body), provider, submitting=True, now=NOW)
        assert type(error) is SubmitUnknown, status
    assert type(explained(503, {"detail": "Service unavailable"})) is Overloaded
    assert type(explained(503, b"[]")) is Overloaded
    assert type(explained(429, body)) is RateLimited
    assert type(explained(403, body)) is AuthFailed
    assert type(explained(503, body, submitting=False)) is ProviderFailed


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InsufficientCredits), (403, InsufficientCredits), (500, SubmitUnknown), (502, SubmitUnknown),
     (408, SubmitUnknown), (409, SubmitUnknown)],
)  # fmt: skip
def test_words_alone_do_not_make_a_refusal_of_a_server_in_trouble(status: int, kind: type[DarkroomError]) -> None:
    provider = make_provider(errors=[{"text": "no credits", "means": "insufficient_credits"}])
    answer = Answer(status, {}, b'{"message": "could not say that there are no credits"}')
    assert type(explain(answer, provider, submitting=True, now=NOW)) is kind
    assert type(explain(answer, provider, submitting=False, now=NOW)) is InsufficientCredits


def test_a_code_is_a_refusal_whatever_the_status() -> None:
    provider = make_provider(errors=[{"code": "E1", "means": "insufficient_credits"}])
    assert type(explain(Answer(500, {}, b'{"code": "E1"}'), provider, submitting=True, now=NOW)) is InsufficientCredits


@given(st.integers(100, 599).filter(lambda status: not 200 <= status < 300))
def test_a_status_that_nobody_documented_is_never_a_licence_to_send_again(status: int) -> None:
    error = explain(Answer(status), make_provider(), submitting=True, now=NOW)
    assert (verdict_of(error) is Verdict.REFUSED) == (status == 429)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidRequest), (401, AuthFailed), (403, AuthFailed), (404, ResultExpired), (410, ResultExpired),
     (408, ProviderFailed), (429, RateLimited), (500, ProviderFailed), (503, ProviderFailed), (302, UnexpectedAnswer),
     (402, InsufficientCredits)],
)  # fmt: skip
def test_the_status_of_a_poll_says_what_became_of_it(status: int, kind: type[DarkroomError]) -> None:
    assert type(explained(status, submitting=False)) is kind


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "insufficient_quota", "message": "no"}},
        {"error": {"code": 429, "type": "INSUFFICIENT_QUOTA"}},
        {"code": 402001, "name": "insufficient_credits"},
        {"status": "quota_exceeded"},
    ],
)
def test_an_empty_account_is_known_by_its_code_before_the_rate_limit(body: Any) -> None:
    assert type(explained(429, body)) is InsufficientCredits
    assert type(explained(400, body)) is InsufficientCredits


def test_codes_are_not_looked_for_in_messages() -> None:
    assert type(explained(429, {"error": {"message": "insufficient_quota"}})) is RateLimited
    assert type(explained(429, b"insufficient_quota")) is RateLimited


def test_a_code_proves_nothing_where_the_status_says_trouble() -> None:
    assert type(explained(500, {"code": "insufficient_quota"})) is SubmitUnknown
    assert type(explained(500, {"code": "nsfw"})) is SubmitUnknown


def test_refused_content_is_told_from_a_wrong_request() -> None:
    error = explained(400, {"error": {"code": "content_policy_violation", "message": "no"}})
    assert type(error) is ContentBlocked
    assert verdict_of(error) is Verdict.FINAL


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"code": "bad_size", "message": "Too big"}}, "bad_size", "Too big"),
        ({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Bad"}}, "INVALID_ARGUMENT", "Bad"),
        ({"error": "Bad size"}, None, "Bad size"),
        ({"code": 422, "msg": "Bad"}, "422", "Bad"),
        ({"detail": "Bad"}, None, "Bad"),
        ({"error": "Bad", "issues": [{"path": ["n"]}]}, None, '{"error": "Bad", "issues": [{"path": ["n"]}]}'),
        ({"error": "Bad", "issues": []}, None, "Bad"),
        ({"detail": [{"loc": ["size"]}]}, None, '{"detail": [{"loc": ["size"]}]}'),
        ({"error": {}}, None, '{"error": {}}'),
        (["Bad"], None, '["Bad"]'),
        (b"<html>Bad</html>", None, "<html>Bad</html>"),
        (b"[" * 100_000, None, "[" * 200),
        (b"", None, None),
    ],
)
def test_the_providers_own_code_and_words_are_shown(body: Any, code: str | None, message: str | None) -> None:
    error = explained(400, body)
    assert (error.provider_code, error.provider_message) == (code, message)


def test_the_providers_request_id_is_shown_for_support() -> None:
    error = explained(500, {"message": "oops"}, x_request_id="req_1")
    assert error.provider_message == "oops; request req_1"
    assert explained(500, {"detail": "oops"}, x_fal_request_id="r1").provider_message == "oops; request r1"
    assert isinstance(error, SubmitUnknown)
    assert error.hint is not None
    assert "not sent again" in error.hint


def test_long_words_are_cut_and_credentials_masked_first() -> None:
    secret = "abcdef" * 8
    answer = Answer(400, {}, json.dumps({"message": "x" * 190 + " " + secret, "code": secret}).encode())
    error = explain(answer, ACME, submitting=True, now=NOW, secrets=(secret,))
    assert error.provider_message == "x" * 190 + " [redacted]"[:10]
    assert error.provider_code == "[redacted]"


def test_a_wait_that_the_provider_names_is_carried() -> None:
    assert explained(429, retry_after="12").retry_after_s == 12
    assert explained(503, retry_after="12").retry_after_s == 12
    assert explained(429).retry_after_s is None
    assert explained(500, retry_after="12").retry_after_s is None
    assert explained(429, retry_after_ms="1500").retry_after_s == 1.5
    assert explained(429, retry_after_ms="1500", retry_after="2").retry_after_s == 1.5
    assert explained(429, retry_after_ms="soon", retry_after="2").retry_after_s == 2
    assert explained(429, retry_after_ms="soon").retry_after_s is None
    assert explained(429, retry_after_ms="-5").retry_after_s is None


@pytest.mark.parametrize(
    "exc",
    [
        httpx2.ConnectError("refused"),
        httpx2.ConnectTimeout("slow"),
        httpx2.PoolTimeout("full"),
        httpx2.ProxyError("407"),
    ],
)
def test_where_nothing_was_sent_a_submission_may_be_sent_again(exc: Exception) -> None:
    error = explain_failure(exc, ACME, submitting=True)
    assert "nothing was sent" in error.message
    assert verdict_of(error) is Verdict.REFUSED
    assert isinstance(explain_failure(exc, ACME, submitting=False), Overloaded)


@pytest.mark.parametrize(
    "exc",
    [
        httpx2.ReadTimeout("slow"),
        httpx2.WriteTimeout("slow"),
        httpx2.ReadError("reset"),
        httpx2.WriteError("reset"),
        httpx2.CloseError("reset"),
        httpx2.RemoteProtocolError("cut"),
        httpx2.LocalProtocolError("odd"),
        httpx2.DecodingError("not gzip"),
        TimeoutError(),
        ssl.SSLError("late"),
        UnexpectedAnswer("too large"),
    ],
)
def test_where_bytes_may_have_left_nobody_knows(exc: Exception) -> None:
    error = explain_failure(exc, ACME, submitting=True)
    assert type(error) is SubmitUnknown
    assert "may have been accepted and charged" in error.message
    assert verdict_of(error) is Verdict.UNKNOWN
    assert type(explain_failure(exc, ACME, submitting=False)) is ProviderFailed


@pytest.mark.parametrize("exc", [httpx2.InvalidURL("odd"), httpx2.UnsupportedProtocol("htp")])
def test_an_address_that_cannot_be_called_is_a_matter_of_settings(exc: Exception) -> None:
    error = explain_failure(exc, ACME, submitting=True)
    assert type(error) is NotConfigured
    assert verdict_of(error) is Verdict.FINAL


@pytest.mark.parametrize("error", [UnexpectedAnswer("x"), BudgetExceeded("x"), KeyError("a bug"), KeyboardInterrupt()])
def test_any_other_error_of_a_submission_leaves_it_unknown(error: BaseException) -> None:
    assert verdict_of(error) is Verdict.UNKNOWN


def test_what_the_caller_can_mend_is_final() -> None:
    assert verdict_of(UnknownModel("x")) is Verdict.FINAL


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0), ("1.5", 1.5), (" 30 ", 30), ("-1", None), ("nan", None), ("inf", None), ("1e400", None), ("", None),
        ("soon", None), ("Thu, 01 Jan 2026 00:00:30 GMT", 30), ("Thu, 01 Jan 2026 00:00:30", 30),
        ("Wed, 31 Dec 2025 23:59:00 GMT", None), ("Thu, 01 Jan 2026 01:00:30 +0100", 30), ("1e9", DAY),
        ("Thu, 01 Jan 2099 00:00:00 GMT", DAY),
    ],
)  # fmt: skip
def test_a_wait_is_seconds_or_a_date_and_at_most_a_day(text: str, seconds: float | None) -> None:
    assert retry_after_s({"retry-after": text}, NOW) == seconds


@given(st.text() | st.from_regex(r"\w{3}, \d{1,2} \w{3} \d{1,5} \d\d:\d\d:\d\d( GMT| [+-]\d{4})?"))
def test_any_wait_is_sensible_or_none(text: str) -> None:
    found = retry_after_s({"retry-after": text}, NOW)
    assert found is None or 0 <= found <= DAY


def test_an_error_whose_words_are_cut_in_mid_character_can_be_shown() -> None:
    body = b'{"error": {"code": "bad\\ud83d", "message": "no \\udc00"}}'
    error = explain(Answer(400, {}, body), make_provider(), submitting=True, now=0)
    assert (error.provider_code, error.provider_message) == ("bad\ufffd", "no \ufffd")
