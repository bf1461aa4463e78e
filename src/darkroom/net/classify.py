"""What an answer, or none, means: refused, final, to be asked later, or unknown."""

import ssl
from collections.abc import Mapping, Set
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, cast

import httpx2

from darkroom.catalog.providers import Provider
from darkroom.errors import (
    AuthFailed,
    ContentBlocked,
    DarkroomError,
    InsufficientCredits,
    InvalidRequest,
    NotConfigured,
    Overloaded,
    ProviderFailed,
    RateLimited,
    RequestError,
    ResultExpired,
    UnexpectedAnswer,
    lost_answer,
)
from darkroom.net.answer import SHOWN, Answer, loads
from darkroom.net.redact import redact

QUOTA = frozenset(
    {"insufficient_quota", "insufficient_credits", "insufficient_balance", "quota_exceeded", "payment_required",
     "credits_exhausted", "billing_hard_limit_reached", "not_enough_credits"}
)  # fmt: skip
CONTENT = frozenset(
    {"content_policy_violation", "moderation_blocked", "content_filter", "content_filtered", "content_moderated",
     "nsfw", "safety"}
)  # fmt: skip
INVALID = frozenset({400, 404, 405, 413, 415, 422})
CODE_SHOWN = 80
REQUEST_IDS = ("x-request-id", "request-id", "x-amzn-requestid", "cf-ray")
LONGEST_S = 86_400.0
"""Seconds that a provider may ask us to wait: longer is cut to this."""
_SAID = 10_000
"""Characters of an answer that are looked through before they are cut: redaction must see whole credentials."""
NO_ANSWER = (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError)
"""What comes out of a call without a whole answer; the library hands on a fault of TLS in mid-answer as it is."""
NOTHING_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
)


class Verdict(StrEnum):
    """What may be done after a submission failed."""

    REFUSED = "refused"
    """Provably not accepted: it may be sent again."""
    FINAL = "final"
    """Not accepted, and it never will be as it is."""
    UNKNOWN = "unknown"
    """It may have been accepted: it is never sent again."""


def verdict_of(error: BaseException) -> Verdict:
    """Return what an error that a submission raised says about its fate."""
    if isinstance(error, RequestError | AuthFailed | InsufficientCredits | ContentBlocked | NotConfigured):
        return Verdict.FINAL
    if isinstance(error, RateLimited | Overloaded):
        return Verdict.REFUSED
    return Verdict.UNKNOWN


def explain(
    answer: Answer, provider: Provider, *, submitting: bool, now: int, secrets: tuple[str, ...] = ()
) -> DarkroomError:
    """Return the error of an answer that is no success.

    Args:
        answer: With its status.
        provider: Whose manifest lists the statuses that prove that nothing was accepted.
        submitting: Whether it answers the one call that may cost money.
        now: Milliseconds since 1970, for a Retry-After that is a date.
        secrets: Values that must not be shown.
    """
    codes, message = _told(answer)
    ids = (f"request {answer.headers[name]}" for name in REQUEST_IDS if name in answer.headers)
    said = (redact(item, secrets)[:SHOWN] for item in (message, *ids))
    code = next((item for item in codes if not item.isdecimal()), next(iter(codes), None))
    kind, text = _kind(answer.status, {item.lower() for item in codes}, provider, submitting=submitting)
    error = lost_answer(provider.title) if kind is None else kind(f"{provider.title} {text} (status {answer.status}).")
    error.provider_code = code and redact(code, secrets)[:CODE_SHOWN]
    error.provider_message = "; ".join(item for item in said if item) or None
    error.retry_after_s = retry_after_s(answer.headers, now) if kind is not None else None
    return error


def _kind(
    status: int, codes: Set[str], provider: Provider, *, submitting: bool
) -> tuple[type[DarkroomError] | None, str]:
    """Return the class of an error and its words; quota comes before rate limit, content before invalid."""
    refused = 400 <= status < 500 and status not in (408, 409)
    if status == 402 or (refused and codes & QUOTA):
        return InsufficientCredits, "says that the account has no credit left"
    if status == 429:
        return RateLimited, "asks for fewer calls"
    if refused and codes & CONTENT:
        return ContentBlocked, "refused the content"
    if status in (401, 403):
        return AuthFailed, "did not accept the key"
    if submitting:
        if status in provider.safe_statuses:
            return Overloaded, "has no room now; nothing was accepted"
        return (InvalidRequest, "refused the request") if status in INVALID else (None, "")
    if status in (404, 410):
        return ResultExpired, "no longer has it"
    if status >= 500 or status == 408:
        return ProviderFailed, "has trouble"
    if status < 400:
        return UnexpectedAnswer, "points to another place, and was not followed"
    return InvalidRequest, "refused the request"


def explain_failure(exc: Exception, provider: Provider, *, submitting: bool) -> DarkroomError:
    """Return the error of a call that brought no whole answer."""
    if isinstance(exc, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
        return NotConfigured(
            f"An address of {provider.title} is none that can be called; nothing was sent.",
            hint="Check the provider's base URL where you set one.",
        )
    if isinstance(exc, NOTHING_SENT):
        return Overloaded(
            f"{provider.title} could not be reached; nothing was sent.",
            hint="It is tried again by itself. Check the network, and the provider's base URL where you set one.",
        )
    if submitting:
        return lost_answer(provider.title)
    return ProviderFailed(f"{provider.title} gave no answer ({type(exc).__name__}).")


def retry_after_s(headers: Mapping[str, str], now: int) -> float | None:
    """Return the seconds of a Retry-After, which may be a number or a date; None where it says nothing sensible."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = moment.timestamp() - datetime.fromtimestamp(now / 1000, UTC).timestamp()
    return min(seconds, LONGEST_S) if 0 <= seconds < float("inf") else None


def _told(answer: Answer) -> tuple[list[str], str]:
    """Return the provider's own codes and words, wherever they usually are."""
    try:
        data = loads(answer.body)
    except (ValueError, RecursionError):
        return [], answer.text(_SAID)
    if not isinstance(data, dict):
        return [], answer.text(_SAID)
    body = cast("dict[str, Any]", data)
    inner = body.get("error")
    places: list[dict[str, Any]] = [cast("dict[str, Any]", inner), body] if isinstance(inner, dict) else [body]
    codes = (place.get(name) for place in places for name in ("code", "type", "status", "name"))
    words = (place.get(name) for place in places for name in ("message", "error", "detail", "msg", "title"))
    found = [str(item) for item in codes if isinstance(item, str | int) and str(item)]
    return found, next((item for item in words if isinstance(item, str) and item), answer.text(_SAID))
