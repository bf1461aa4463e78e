"""What the two generating tools have in common."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError, WithJsonSchema, model_validator

from darkroom.domain.money import parse_usd
from darkroom.errors import InvalidRequest
from darkroom.server.context import ToolCall
from darkroom.server.schema import ToolArgs
from darkroom.services.caps import Terms
from darkroom.services.generation import invalid

Strings = Annotated[list[Any] | str, WithJsonSchema({"type": "array", "items": {"type": "string"}})]
Objects = Annotated[list[dict[str, Any]], WithJsonSchema({"type": "array", "items": {"type": "object"}})]
Options = Annotated[dict[str, JsonValue], WithJsonSchema({"type": "object"})]
Amount = Annotated[float | str, WithJsonSchema({"type": "number"})]
REQUEST = ("model", "provider", "aspect_ratio", "n", "images", "negative_prompt", "seed", "options", "refine")
MAX_KEY = 200
Request = TypeVar("Request", bound=BaseModel)


class MediaArgs(ToolArgs):
    """What is the same in the arguments of both: with `refine`, a prompt that is left out is an empty one."""

    @model_validator(mode="before")
    @classmethod
    def _unsaid(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {"prompt": "", **data} if "refine" in data else data


def terms(args: Any, call: ToolCall) -> Terms:
    """Return what the call says about itself."""
    return Terms(
        principal=call.principal,
        local=call.principal == "local",
        max_cost=None if args.max_cost is None else parse_usd(args.max_cost, "max_cost"),
        dry_run=bool(args.dry_run),
        save_as=args.save_as,
        idempotency_key=checked_key(args.idempotency_key),
        again=bool(args.again),
    )


def checked_key(key: str | None) -> str | None:
    """Return the idempotency key.

    Raises:
        InvalidRequest: If it is longer than 200 characters.
    """
    if key is not None and len(key) > MAX_KEY:
        raise InvalidRequest(
            f"idempotency_key has {len(key)} characters.",
            field="idempotency_key",
            allowed=f"1 to {MAX_KEY} characters",
            hint="Nothing was stored.",
        )
    return key


def build(model: type[Request], fields: dict[str, Any]) -> Request:
    """Return the request of those fields.

    Raises:
        InvalidRequest: If one of them cannot be.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as exc:
        raise invalid(exc) from exc
