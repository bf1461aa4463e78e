"""Every error that darkroom shows, as one tree.

    DarkroomError
      RequestError          the caller can mend it; nothing was stored or sent
        InvalidRequest      invalid_request     seeds: 400, 422
        Unsupported         unsupported         seeds: 501
        UnknownModel        unknown_model
        ModelRetired        model_retired
        UnknownJob          unknown_job
      ConfigurationError
        NotConfigured       not_configured
      MoneyError
        InsufficientCredits insufficient_credits  seeds: 402
        BudgetExceeded      budget_exceeded
        PriceUnknown        price_unknown
      ProviderError         the provider, or the way to it
        AuthFailed          auth_failed         seeds: 401
        ContentBlocked      content_blocked
        RateLimited         rate_limited        seeds: 429
        Overloaded          overloaded
        ProviderFailed      provider_failed     seeds: 500, 502
        SubmitUnknown       submit_unknown
        TimedOut            timed_out           seeds: TIMEOUT
        ResultExpired       result_expired
        UnexpectedAnswer    unexpected_answer   seeds: POLLING_ERROR
      StorageError          our own disk
        StorageFull         storage_full
        StorageUnwritable   storage_unwritable
        StorageCorrupt      storage_corrupt
        StorageMissing      storage_missing
        StorageNewer        storage_newer

`code` is stable and may be matched by programs; `message` says what happened; `hint` says what was kept
and what to do next.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar


class DarkroomError(Exception):
    """Any failure that darkroom explains to its caller.

    Args:
        message: What happened, without secrets and without values longer than 80 characters.
        hint: What was kept and what to do next.
        field: The argument at fault.
        allowed: What that argument may hold.
        retry_after_s: Seconds to wait before the same call can succeed.
        provider_code: The provider's own code.
        provider_message: The provider's own words, redacted.
        successor: The model that replaced a retired one.
    """

    code: ClassVar[str] = "provider_failed"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        field: str | None = None,
        allowed: Sequence[str] | str | None = None,
        retry_after_s: float | None = None,
        provider_code: str | None = None,
        provider_message: str | None = None,
        successor: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field
        self.allowed = allowed
        self.retry_after_s = retry_after_s
        self.provider_code = provider_code
        self.provider_message = provider_message
        self.successor = successor

    def to_dict(self) -> dict[str, Any]:
        """Return the error as JSON-ready data; absent keys mean null."""
        data: dict[str, Any] = {"code": self.code, "message": self.message, "retryable": self.retryable}
        for name in DETAILS:
            value = getattr(self, name)
            if value is not None:
                data[name] = value if isinstance(value, str | float | int) else list(value)
        return data


DETAILS = ("hint", "field", "allowed", "retry_after_s", "provider_code", "provider_message", "successor")


class RequestError(DarkroomError):
    """The caller can mend the request; nothing was stored or sent."""

    code = "invalid_request"


class InvalidRequest(RequestError):
    """An argument has a value that cannot be used."""


class Unsupported(RequestError):
    """The offer, or this version, cannot do what was asked."""

    code = "unsupported"


class UnknownModel(RequestError):
    """No offer has that model, alias or provider name."""

    code = "unknown_model"


class ModelRetired(RequestError):
    """The model existed and was shut down; `successor` names what replaced it."""

    code = "model_retired"


class UnknownJob(RequestError):
    """No job, run or output of the caller has that id."""

    code = "unknown_job"


class ConfigurationError(DarkroomError):
    """A setting is missing or wrong."""

    code = "not_configured"


class NotConfigured(ConfigurationError):
    """A key is missing; the message names its variable."""


class MoneyError(DarkroomError):
    """The request would cost more than may be spent, or an unknown amount."""

    code = "budget_exceeded"


class InsufficientCredits(MoneyError):
    """The provider's account has no credit left."""

    code = "insufficient_credits"


class BudgetExceeded(MoneyError):
    """A cap of the caller or of the settings would be passed."""

    agree_usd: Decimal | None = None
    """What it may cost, where nothing but the user's word on that is missing."""


class PriceUnknown(MoneyError):
    """A cap is set and the offer's price is not known."""

    code = "price_unknown"


class ProviderError(DarkroomError):
    """The provider refused, failed, or could not be reached."""


class AuthFailed(ProviderError):
    """The provider did not accept the key."""

    code = "auth_failed"


class ContentBlocked(ProviderError):
    """The provider's moderation refused the prompt, an input or the result."""

    code = "content_blocked"


class RateLimited(ProviderError):
    """Too many calls; `retry_after_s` says when to come back."""

    code = "rate_limited"
    retryable = True


class Overloaded(ProviderError):
    """The provider has no capacity now."""

    code = "overloaded"
    retryable = True


class ProviderFailed(ProviderError):
    """The provider accepted the job and failed."""

    retryable = True


class SubmitUnknown(ProviderError):
    """The request left and no answer came: it may have been accepted and charged."""

    code = "submit_unknown"


def lost_answer(provider: str, said: str = "no answer was recorded") -> SubmitUnknown:
    """Return the error of a paid call whose answer nobody has, or says nothing of what became of it."""
    return SubmitUnknown(
        f"The request went to {provider}, and {said}: it may have been accepted and charged.",
        hint="It was not sent again. darkroom goes on looking for it where the provider allows that; "
        "to pay for a new attempt, start one with retry_job.",
    )


class TimedOut(ProviderError):
    """The deadline passed."""

    code = "timed_out"
    retryable = True


class ResultExpired(ProviderError):
    """The provider no longer has the result."""

    code = "result_expired"


class UnexpectedAnswer(ProviderError):
    """The provider's answer has none of the documented shapes."""

    code = "unexpected_answer"
    retryable = True


class StorageError(DarkroomError):
    """The database or a folder cannot be used."""

    code = "storage_unwritable"


class StorageFull(StorageError):
    """The disk is full."""

    code = "storage_full"
    retryable = True


class StorageUnwritable(StorageError):
    """A folder or file cannot be written."""


class StorageCorrupt(StorageError):
    """The database is damaged."""

    code = "storage_corrupt"


class StorageMissing(StorageError):
    """The database was moved or deleted while it was in use."""

    code = "storage_missing"


class StorageNewer(StorageError):
    """The database was written by a newer darkroom."""

    code = "storage_newer"


def _leaves(kind: type[DarkroomError]) -> dict[str, type[DarkroomError]]:
    found: dict[str, type[DarkroomError]] = {}
    for sub in kind.__subclasses__():
        found |= _leaves(sub) or {sub.code: sub}
    return found


def from_dict(data: Mapping[str, Any]) -> DarkroomError:
    """Rebuild a stored error; a code of another version becomes a `ProviderFailed` that keeps its text."""
    kind = _leaves(DarkroomError).get(str(data.get("code")), ProviderFailed)
    return kind(str(data.get("message", "")), **{name: data[name] for name in DETAILS if name in data})
