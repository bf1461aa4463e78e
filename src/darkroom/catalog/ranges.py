"""Which sizes and lengths an offer makes."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from darkroom.domain.request import CLASSES, RESOLUTIONS, parse_ratio, parse_size
from darkroom.errors import DarkroomError


class Strict(BaseModel):
    """A part of a manifest: nothing unknown, never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class SizeRange(Strict):
    """Which picture sizes an offer makes: a list, or any within bounds; absent bounds mean any."""

    sizes: tuple[str, ...] = Field(default=(), description="WIDTHxHEIGHT; when given, only these")
    ratios: tuple[str, ...] = Field(default=(), description="W:H; when given, only these")
    resolutions: tuple[str, ...] = Field(default=(), description="height classes of clips, such as 720p")
    classes: tuple[str, ...] = Field(default=(), description="size classes of pictures, such as 2K")
    min_side: int = Field(default=16, ge=1, description="pixels")
    max_side: int = Field(default=8192, ge=1, description="pixels")
    max_pixels: int | None = Field(default=None, description="width times height")
    min_pixels: int = Field(default=1, ge=1, description="width times height")
    widest: float | None = Field(default=None, ge=1, description="the longer side may be so many times the shorter")
    multiple_of: int = Field(default=1, ge=1, description="pixels")

    @field_validator("sizes", "ratios", "resolutions", "classes")
    @classmethod
    def _known(cls, value: tuple[str, ...], info: Any) -> tuple[str, ...]:
        for item in value:
            try:
                if info.field_name == "sizes":
                    parse_size(item)
                elif info.field_name == "ratios":
                    if parse_ratio(item) == "auto":
                        raise ValueError("'auto' is no ratio; leave it out")
                elif item not in (known := CLASSES if info.field_name == "classes" else RESOLUTIONS):
                    raise ValueError(f"{item!r} is not one of {', '.join(known)}")
            except DarkroomError as exc:
                raise ValueError(exc.message) from exc
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if -(-self.min_side // self.multiple_of) * self.multiple_of > self.max_side:
            raise ValueError("no multiple of multiple_of lies between min_side and max_side")
        return self


class DurationRange(Strict):
    """Which lengths an offer makes, in seconds: a list, or any within bounds."""

    values: tuple[Annotated[float, Field(gt=0)], ...] = ()
    min_s: float = Field(default=0, ge=0)
    max_s: float = Field(default=600, gt=0)
    default_s: float | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.min_s > self.max_s:
            raise ValueError("min_s is above max_s")
        low, high = (min(self.values), max(self.values)) if self.values else (self.min_s, self.max_s)
        if self.default_s is not None and not low <= self.default_s <= high:
            raise ValueError("default_s is none of the lengths")
        return self


class Narrower(Strict):
    """What an offer makes less of in some company; what is absent stays as it is."""

    resolutions: tuple[str, ...] = Field(default=(), description="height classes of clips")
    min_s: float | None = Field(default=None, ge=0)
    max_s: float | None = Field(default=None, gt=0)

    def of_size(self, have: SizeRange) -> SizeRange:
        """Return the sizes that are left."""
        return have.model_copy(update={"resolutions": self.resolutions or have.resolutions})

    def of_duration(self, have: DurationRange) -> DurationRange:
        """Return the lengths that are left; where the usual one is none of them, the nearest end is.

        Raises:
            ValueError: If none is left.
        """
        low, high = max(have.min_s, self.min_s or 0), min(have.max_s, self.max_s or have.max_s)
        values = tuple(value for value in have.values if low <= value <= high)
        if low > high or (have.values and not values):
            raise ValueError("min_s and max_s leave no length")
        usual = None if have.default_s is None else min(max(have.default_s, low), high)
        return have.model_copy(update={"min_s": low, "max_s": high, "values": values, "default_s": usual})
