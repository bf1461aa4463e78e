"""How a provider may be called: how much at once, how often, and with which credentials."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Limits(_Strict):
    """How many calls may be under way at once."""

    submits: int = Field(default=4, ge=1)
    polls: int = Field(default=8, ge=1)


class PollBounds(_Strict):
    """How often a provider may be asked."""

    first_s: float | None = Field(default=None, gt=0)
    min_s: float | None = Field(default=None, gt=0)
    max_s: float | None = Field(default=None, gt=0)


def _sets(value: object) -> object:
    """Read credentials: a name alone is a set of one."""
    if not isinstance(value, list | tuple):
        return value
    entries: list[object] = list(value)  # pyright: ignore[reportUnknownArgumentType] because TOML is untyped
    return tuple((item,) if isinstance(item, str) else item for item in entries)


Credentials = Annotated[
    tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...],
    BeforeValidator(_sets, json_schema_input_type=tuple[str | tuple[str, ...], ...]),
]
