"""How the values of a request are written in one provider's body."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from darkroom.domain.kinds import Role

PLAIN = (
    "prompt",
    "rules",
    "negative_prompt",
    "seed",
    "n",
    "width",
    "height",
    "size",
    "aspect_ratio",
    "resolution",
    "duration",
    "audio",
    "quality",
)
"""What a request holds besides pictures and options."""
NAMES = (*PLAIN, "scenes", *(str(role) for role in Role))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Form(StrEnum):
    """In which form an input picture goes to a provider."""

    DATA_URI = "data_uri"
    BASE64 = "base64"
    BYTES = "bytes"
    """As a part of a multipart body."""
    UPLOAD = "upload"
    """Brought to the provider before the submission."""
    URL = "url"
    """By its own web address alone."""
    FILE = "file"
    """As a file of this machine."""


class Slot(_Strict):
    """Where and how one value is written."""

    to: str = Field(
        description="name in the body, or empty: not sent; dots nest; at the end [] makes a list, # numbers (x, x_2)"
    )
    form: Literal["text", "seconds", "integer", "lower", "upper", "object"] | None = Field(
        default=None, alias="as", description="seconds: '5s'; object: {width, height} of a size"
    )
    joined: str = Field(default="x", description="what stands between the two numbers of a size")
    values: dict[str, JsonValue] = Field(
        default_factory=dict[str, JsonValue], description="the provider's own word for each of ours"
    )
    wrap: str | None = Field(default=None, description="name of the value within an object of its own, written as `to`")
    beside: dict[str, JsonValue] = Field(
        default_factory=dict[str, JsonValue], description="what else that object holds"
    )
    also: dict[str, JsonValue] = Field(
        default_factory=dict[str, JsonValue], description="what the body holds besides, where this value is; dots nest"
    )


def _short(value: object) -> object:
    return {"to": value} if isinstance(value, str) else value


Fields = dict[str, Annotated[Slot, BeforeValidator(_short, json_schema_input_type=str | Slot)]]


def check_names(fields: Fields) -> Fields:
    """Refuse names that no request has.

    Raises:
        ValueError: If there is one; it lists what there is.
    """
    unknown = sorted(set(fields) - set(NAMES))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such value; there are {', '.join(NAMES)}")
    return fields


class PictureLimits(_Strict):
    """What an input picture may be; larger ones are made smaller, other types written anew."""

    max_bytes: int = Field(default=20_000_000, ge=10_000, description="of the file, before base64")
    max_side: int = Field(default=8192, ge=64, description="pixels")
    min_side: int = Field(default=1, ge=1, description="pixels")
    max_pixels: int | None = Field(default=None, description="width times height")
    media_types: tuple[str, ...] = ("image/png", "image/jpeg", "image/webp")


class ClipLimits(_Strict):
    """What an input clip may be."""

    max_bytes: int = Field(default=50_000_000, ge=10_000, description="of the file, before base64")
    min_s: float = Field(default=0, ge=0)
    max_s: float = Field(default=600, gt=0)
    media_types: tuple[str, ...] = ("video/mp4", "video/quicktime", "video/webm")


class Means(StrEnum):
    """What a provider's error is, by our codes."""

    INVALID_REQUEST = "invalid_request"
    UNSUPPORTED = "unsupported"
    MODEL_RETIRED = "model_retired"
    AUTH_FAILED = "auth_failed"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    CONTENT_BLOCKED = "content_blocked"
    RATE_LIMITED = "rate_limited"
    """Provably not accepted."""
    OVERLOADED = "overloaded"
    """Provably not accepted."""
    PROVIDER_FAILED = "provider_failed"
    """Of a submission: nobody knows whether it was accepted."""
    RESULT_EXPIRED = "result_expired"


class ErrorRule(_Strict):
    """One row of a provider's errors: where all that is named agrees, that is what it means."""

    status: int | None = Field(default=None, description="of the HTTP answer, or of the envelope where that says one")
    code: str | None = Field(default=None, description="the provider's own code; * at the end: begins so")
    text: str | None = Field(default=None, description="words in the message, where there is no code for it")
    means: Means

    def fits(self, status: int | None, codes: Any, message: str) -> bool:
        """Return whether the row is about such an error; codes in lower case."""
        if self.status is not None and self.status != status:
            return False
        if self.code is not None and not any(self._is(code) for code in codes):
            return False
        return self.text is None or self.text.lower() in message.lower()

    def _is(self, code: str) -> bool:
        wanted = (self.code or "").lower()
        return code.startswith(wanted[:-1]) if wanted.endswith("*") else code == wanted


class Chat(_Strict):
    """How a provider's language models are spoken to."""

    wire: Literal["openai", "anthropic"] = Field(description="whose format it speaks")
    path: str = Field(description="below the base URL")
    limit: str = Field(default="max_tokens", description="name of the bound of an answer's tokens in the body")
    tiers: dict[Literal["economy", "standard", "premium"], str] = Field(
        description="the chat offer for simple, general and hard work"
    )
