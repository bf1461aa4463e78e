"""What an answer, or none, means: refused, final, to be asked later, or unknown."""

import errno
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, cast

import httpx2

from darkroom.catalog.providers import Provider
from darkroom.catalog.wires import Means
from darkroom.errors import (
    AuthFailed,
    ContentBlocked,
    DarkroomError,
    InsufficientCredits,
    InvalidRequest,
    ModelRetired,
    NotConfigured,
    Overloaded,
    ProviderFailed,
    RateLimited,
    RequestError,
    ResultExpired,
    UnexpectedAnswer,
    Unsupported,
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
UNSURE = frozenset({408, 409})
"""Below 500, and yet no refusal: what was sent may have been accepted, now or before."""
CODE_SHOWN = 80
REQUEST_IDS = ("x-request-id", "request-id", "x-fal-request-id", "trace-id", "x-amzn-requestid", "cf-ray")
LONGEST_S = 86_400.0
"""Seconds that a provider may ask us to wait: longer is cut to this."""
_WAIT = re.compile(r"(?i)\b(?:try again|retry|wait|resets?)[a-z ]{0,30}? ~?(\d{1,6}(?:\.\d{1,6})?) ?(s\b|sec|m\b|min)")
_SAID = 10_000
"""Characters of an answer that are looked through before they are cut: redaction must see whole credentials."""
NO_ANSWER = (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError)
"""What comes out of a call without a whole answer; the library hands on a fault of TLS in mid-answer as it is."""
NO_FILES = (errno.EMFILE, errno.ENFILE)
"""What is said where a process, or its machine, has no file left to open."""
NOTHING_SENT = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
)


_WORDS: dict[Means, tuple[type[DarkroomError], str]] = {
    Means.INVALID_REQUEST: (InvalidRequest, "refused the request"),
    Means.UNSUPPORTED: (Unsupported, "does not have that for this account"),
    Means.MODEL_RETIRED: (ModelRetired, "no longer has that model"),
    Means.AUTH_FAILED: (AuthFailed, "did not accept the key"),
    Means.INSUFFICIENT_CREDITS: (InsufficientCredits, "says that the account has no credit left"),
    Means.CONTENT_BLOCKED: (ContentBlocked, "refused the content"),
    Means.RATE_LIMITED: (RateLimited, "asks for fewer calls"),
    Means.OVERLOADED: (Overloaded, "has no room now; nothing was accepted"),
    Means.PROVIDER_FAILED: (ProviderFailed, "has trouble"),
    Means.RESULT_EXPIRED: (ResultExpired, "no longer has it"),
}
_FINAL_OF_WORK = frozenset({Means.INVALID_REQUEST, Means.INSUFFICIENT_CREDITS, Means.RESULT_EXPIRED, Means.UNSUPPORTED})
"""What accepted work may still end as; the rest is of calls, and would be misleading."""


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


@dataclass(frozen=True, slots=True)
class Told:
    """What a provider says of an error in its own words, wherever it says it."""

    codes: tuple[str, ...] = ()
    message: str = ""
    status: int | None = None
    """As of HTTP, where an envelope names one instead of the answer's own."""
    wait_s: float | None = None
    """Seconds that it asks to wait, where its body says so."""


def explain(
    answer: Answer,
    provider: Provider,
    *,
    submitting: bool,
    now: int,
    secrets: tuple[str, ...] = (),
    told: Told | None = None,
) -> DarkroomError:
    """Return the error of an answer that is no success.

    Args:
        answer: With its status.
        provider: Whose manifest has its own errors, and the statuses that prove that nothing was accepted.
        submitting: Whether it answers the one call that may cost money.
        now: Milliseconds since 1970, for a Retry-After that is a date.
        secrets: Values that must not be shown.
        told: What the adapter read of it; else it is looked for where it usually is.
    """
    told = told or _told(answer)
    status = told.status if told.status is not None else answer.status
    lost = submitting and not _is_the_provider_s_own(answer)
    sure = not submitting or (answer.status < 500 and answer.status not in UNSURE)
    kind, text = (None, "") if lost else _kind(status, told, provider, submitting=submitting, sure=sure)
    if kind is None:
        error: DarkroomError = lost_answer(provider.title, f"status {status} does not say what became of it")
    else:
        error = kind(f"{provider.title} {text} (status {status}).")
    _quote(error, told, answer.headers, secrets)
    if kind is not None:
        error.retry_after_s = retry_after_s(answer.headers, now) or _asked_to_wait(told, error)
    return error


def ended(provider: Provider, told: Told, secrets: tuple[str, ...] = ()) -> DarkroomError:
    """Return the error of accepted work that its provider says failed."""
    codes = {item.lower() for item in told.codes}
    rule = next((item for item in provider.errors if item.fits(told.status, codes, told.message)), None)
    if (rule and rule.means is Means.CONTENT_BLOCKED) or (rule is None and codes & CONTENT):
        error: DarkroomError = ContentBlocked(f"{provider.title} {_WORDS[Means.CONTENT_BLOCKED][1]}.")
    elif rule is None or rule.means not in _FINAL_OF_WORK:
        error = ProviderFailed(f"{provider.title} could not finish it.")
    else:
        kind, text = _WORDS[rule.means]
        error = kind(f"{provider.title} {text}.")
    _quote(error, told, {}, secrets)
    return error


def _quote(error: DarkroomError, told: Told, headers: Mapping[str, str], secrets: tuple[str, ...]) -> None:
    """Note in an error what its provider said, and the ids that its support asks for, without secrets."""
    ids = (f"request {headers[name]}" for name in REQUEST_IDS if name in headers)
    said = (redact(item, secrets)[:SHOWN] for item in (told.message, *ids))
    code = next((item for item in told.codes if not item.isdecimal()), next(iter(told.codes), None))
    error.provider_code = code and redact(code, secrets)[:CODE_SHOWN]
    error.provider_message = "; ".join(item for item in said if item) or None


def _is_the_provider_s_own(answer: Answer) -> bool:
    """Return whether an answer can be the provider's: a page about trouble is from something on the way to it.

    That does not know what became of the call, whatever its status and its words.
    """
    trouble = answer.status == 408 or answer.status >= 500
    return not trouble or answer.body.lstrip()[:1] in (b"", b"{", b"[")


def _asked_to_wait(told: Told, error: DarkroomError) -> float | None:
    """Return the seconds that a provider names, in words such as `try again in 5.2s` too."""
    if not isinstance(error, RateLimited | Overloaded):
        return None
    if told.wait_s is not None:
        return min(told.wait_s, LONGEST_S)
    found = _WAIT.search(told.message[:_SAID])
    if found is None:
        return None
    return min(float(found[1]) * (60.0 if found[2].lower().startswith("m") else 1.0), LONGEST_S)


def _kind(
    status: int, told: Told, provider: Provider, *, submitting: bool, sure: bool
) -> tuple[type[DarkroomError] | None, str]:
    """Return the class of an error, None where nobody knows, and its words; the provider's own rows come first.

    Rows of words alone count only where the status is `sure` to be of a refusal: words prove nothing of a server in
    trouble, and what it may have accepted must not be sent elsewhere.
    """
    codes = {item.lower() for item in told.codes}
    rows = (item for item in provider.errors if sure or item.status is not None or item.code is not None)
    rule = next((item for item in rows if item.fits(status, codes, told.message)), None)
    if rule is not None:
        return (None, "") if submitting and rule.means is Means.PROVIDER_FAILED else _WORDS[rule.means]
    refused = 400 <= status < 500 and status not in UNSURE
    # Quota comes before rate limit, content before invalid.
    if status == 402 or (refused and codes & QUOTA):
        return _WORDS[Means.INSUFFICIENT_CREDITS]
    if status == 429:
        return _WORDS[Means.RATE_LIMITED]
    if refused and codes & CONTENT:
        return _WORDS[Means.CONTENT_BLOCKED]
    if status in (401, 403):
        return _WORDS[Means.AUTH_FAILED]
    return _of_submission(status, provider) if submitting else _of_question(status)


def _of_submission(status: int, provider: Provider) -> tuple[type[DarkroomError] | None, str]:
    if status in provider.safe_statuses:
        return _WORDS[Means.OVERLOADED]
    return _WORDS[Means.INVALID_REQUEST] if status in INVALID else (None, "")


def _of_question(status: int) -> tuple[type[DarkroomError], str]:
    if status in (404, 410):
        return _WORDS[Means.RESULT_EXPIRED]
    if status >= 500 or status == 408:
        return _WORDS[Means.PROVIDER_FAILED]
    if 300 <= status < 400:
        return UnexpectedAnswer, "points to another place, and was not followed"
    return _WORDS[Means.INVALID_REQUEST] if status >= 400 else (ProviderFailed, "did not do it")


def explain_failure(exc: Exception, provider: Provider, *, submitting: bool) -> DarkroomError:
    """Return the error of a call that brought no whole answer."""
    if isinstance(exc, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
        return NotConfigured(
            f"An address of {provider.title} is none that can be called; nothing was sent.",
            hint="Check the provider's base URL where you set one.",
        )
    if isinstance(exc, NOTHING_SENT) and _lacks_files(exc):
        return Overloaded(
            f"No connection to {provider.title} could be opened, since too many files are open; nothing was sent.",
            hint="It is tried again by itself. Close what holds files open, or allow more (ulimit -n).",
        )
    if isinstance(exc, NOTHING_SENT):
        return Overloaded(
            f"{provider.title} could not be reached; nothing was sent.",
            hint="It is tried again by itself. Check the network, and the provider's base URL where you set one.",
        )
    if submitting:
        return lost_answer(provider.title)
    return ProviderFailed(f"{provider.title} gave no answer ({type(exc).__name__}).")


def _lacks_files(exc: BaseException | None) -> bool:
    """Return whether a failure comes of there being no file left to open."""
    while exc is not None and not (isinstance(exc, OSError) and exc.errno in NO_FILES):
        exc = exc.__cause__ or exc.__context__
    return exc is not None


def retry_after_s(headers: Mapping[str, str], now: int) -> float | None:
    """Return the seconds of a Retry-After, which may be a number or a date; None where it says nothing sensible.

    Some providers tell it in milliseconds besides, in a header of their clients' own.
    """
    exact, text = headers.get("retry-after-ms", "").strip(), headers.get("retry-after", "").strip()
    if not text and not exact:
        return None
    try:
        seconds = float(exact) / 1000 if exact.replace(".", "", 1).isdecimal() else float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = moment.timestamp() - datetime.fromtimestamp(now / 1000, UTC).timestamp()
    return min(seconds, LONGEST_S) if 0 <= seconds < float("inf") else None


def _told(answer: Answer) -> Told:
    """Return the provider's own codes and words, wherever they usually are."""
    try:
        data = loads(answer.body)
    except (ValueError, RecursionError):
        return Told(message=answer.text(_SAID))
    if not isinstance(data, dict):
        return Told(message=answer.text(_SAID))
    body = cast("dict[str, Any]", data)
    inner = body.get("error")
    places: list[dict[str, Any]] = [cast("dict[str, Any]", inner), body] if isinstance(inner, dict) else [body]
    codes = (place.get(name) for place in places for name in ("code", "type", "status", "name"))
    words = (place.get(name) for place in places for name in ("message", "error", "detail", "msg", "title"))
    found = [str(item) for item in codes if isinstance(item, str | int) and str(item)]
    message = next((item for item in words if isinstance(item, str) and item), "")
    if not message or body.get("issues"):  # a list of what is wrong, beside a message that says only that something is
        message = answer.text(_SAID)
    return Told(tuple(found), message)
