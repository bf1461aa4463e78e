"""Tool arguments: what is published, small, and what is accepted, generous; every refusal says what to do."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.domain.whole import check_whole
from darkroom.errors import InvalidRequest

NOTHING = "Nothing was stored or sent."
_NOISE = frozenset({"title", "default", "maxLength", "minLength"})
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "an object",
}


class ToolArgs(BaseModel):
    """Arguments of one tool; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True, frozen=True)

    def said(self, *names: str) -> dict[str, Any]:
        """Return those of the named arguments that the caller gave."""
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


Args = TypeVar("Args", bound=ToolArgs)


def compact(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON Schema without titles, defaults and null branches: one type a parameter."""
    small: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "anyOf":
            branches = [branch for branch in value if branch.get("type") != "null"]
            small |= compact(branches[0])
        elif key == "properties":
            small[key] = {name: compact(part) for name, part in value.items()}
        elif key == "items":
            small[key] = compact(value)
        elif key not in _NOISE:
            small[key] = value
    return small


def published(args: type[ToolArgs]) -> dict[str, Any]:
    """Return the input schema of a tool as clients see it."""
    schema = compact(args.model_json_schema())
    schema.pop("description", None)
    return schema


def parse(args: type[Args], raw: Mapping[str, Any]) -> Args:
    """Read the raw arguments of a call; nulls, and empty texts where a text may be left out, count as absent.

    Raises:
        InvalidRequest: If one is unknown, missing, of the wrong type, or has half a character.
    """
    check_whole(raw)
    required = {name for name, field in args.model_fields.items() if field.is_required()}
    given = {name: value for name, value in raw.items() if value is not None and (value != "" or name in required)}
    try:
        return args.model_validate(given)
    except ValidationError as exc:
        raise _explain(args, exc) from exc


def _explain(args: type[ToolArgs], exc: ValidationError) -> InvalidRequest:
    errors = exc.errors(include_url=False)
    # A name that is not known is often the mistyped one that is missing.
    error = next((found for found in errors if found["type"] == "extra_forbidden"), errors[0])
    name = str(error["loc"][0]) if error["loc"] else "arguments"
    known = list(args.model_fields)
    if error["type"] == "extra_forbidden":
        return InvalidRequest(
            f"There is no argument {clip(name)!r}.{did_you_mean(name, known)}",
            field=clip(name),
            allowed=known,
            hint=NOTHING,
        )
    if error["type"] == "missing":
        return InvalidRequest(f"The argument {name} is missing.", field=name, hint=f"{NOTHING} Add it.")
    wanted = _KINDS.get(str(error["type"]).split("_")[0], "different")
    return InvalidRequest(
        f"{name} must be {wanted}, not {clip(error.get('input'))!r}.",
        field=name,
        hint=f"{NOTHING} Change it and call again.",
    )
