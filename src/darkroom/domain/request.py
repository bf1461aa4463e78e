"""What a caller asks for, before any provider is chosen."""

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, TypeAdapter, model_validator

from darkroom.domain.kinds import Kind, Mode, Quality, Role
from darkroom.domain.whole import check_whole
from darkroom.errors import InvalidRequest

MAX_PROMPT = 32_000
MAX_COUNT = 10
SEEDS = 2**32
"""Seeds are below it."""
MAX_SIDE = 8_192
MAX_DURATION_S = 600
MAX_INPUTS = 40
MAX_SCENES = 20
CLIPS = (Role.CLIP, Role.VIDEO)
"""Inputs that are clips, not pictures."""


QUALITY_WORDS = {"standard": Quality.MEDIUM, "hd": Quality.HIGH}
RATIO_WORDS = {"square": "1:1", "portrait": "9:16", "landscape": "16:9", "auto": "auto"}
_CALLED = {"7:3": "21:9", "3:7": "9:21"}
"""Ratios that nobody names in lowest terms."""
CLASSES = {"0.5K": 512, "1K": 1024, "1.5K": 1536, "2K": 2048, "3K": 3072, "4K": 4096}
"""Size classes of pictures that providers sell: side in pixels of a square of the same area."""
RESOLUTIONS = {
    "360p": 360,
    "480p": 480,
    "512p": 512,
    "540p": 540,
    "720p": 720,
    "768p": 768,
    "1080p": 1080,
    "1440p": 1440,
    "4k": 2160,
}
"""Height class in pixels: the shorter side of the picture."""


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def parse_size(text: str) -> Size:
    """Read `1024x1024`.

    Raises:
        InvalidRequest: If it is not two whole numbers from 16 to 8192.
    """
    match = re.fullmatch(r"\s*(\d{1,6})\s*[xX*]\s*(\d{1,6})\s*", text)
    sides = Size(int(match[1]), int(match[2])) if match else Size(0, 0)
    if not all(16 <= side <= MAX_SIDE for side in sides):
        raise InvalidRequest(
            f"size {clip(text)!r} is not a picture size.",
            field="size",
            allowed=f"WIDTHxHEIGHT, each side 16 to {MAX_SIDE} pixels",
            hint="Nothing was stored. Give for example size='1024x1024', or aspect_ratio='16:9'.",
        )
    return sides


def parse_ratio(text: str) -> str:
    """Read `16:9`, `16/9`, `1.78` or a word (square, portrait, landscape, auto) and return `W:H` or `auto`.

    Raises:
        InvalidRequest: If it is none of these, or narrower than 1:8.
    """
    word = text.strip().lower()
    if word in RATIO_WORDS:
        return RATIO_WORDS[word]
    match = re.fullmatch(r"(\d{1,4}(?:\.\d{1,4})?)\s*(?:[:/x]\s*(\d{1,4}(?:\.\d{1,4})?))?", word)
    if match:
        width, height = float(match[1]), float(match[2] or 1)
        if width and height and 1 / 8 <= width / height <= 8:
            divisor = math.gcd(int(width), int(height)) if width.is_integer() and height.is_integer() else 1
            ratio = f"{width / divisor:g}:{height / divisor:g}"
            return named_ratio(ratio)
    raise InvalidRequest(
        f"aspect_ratio {clip(text)!r} is not a ratio.",
        field="aspect_ratio",
        allowed="W:H from 1:8 to 8:1, square, portrait, landscape, auto",
        hint="Nothing was stored. Give for example aspect_ratio='16:9'.",
    )


def named_ratio(ratio: str) -> str:
    """Return a ratio in lowest terms as people call it: 21:9, not 7:3."""
    return _CALLED.get(ratio, ratio)


def ratio_value(ratio: str) -> float:
    """Return width divided by height of a `W:H` text."""
    width, _, height = ratio.partition(":")
    return float(width) / float(height)


def parse_resolution(text: str) -> str:
    """Read `720p`, `720`, `1080p`, `4k`, `uhd`.

    Raises:
        InvalidRequest: If it is no known height class.
    """
    word = text.strip().lower()
    word = {"2160p": "4k", "2160": "4k", "uhd": "4k", "hd": "720p", "fullhd": "1080p", "2k": "1440p"}.get(word, word)
    word = f"{word}p" if word.isdigit() else word
    if word in RESOLUTIONS:
        return word
    raise InvalidRequest(
        f"resolution {clip(text)!r} is not known.",
        field="resolution",
        allowed=list(RESOLUTIONS),
        hint="Nothing was stored. Give one of the allowed values.",
    )


def parse_quality(text: str) -> Quality:
    """Read a quality word; `standard` means medium and `hd` means high.

    Raises:
        InvalidRequest: If it is another word.
    """
    word = text.strip().lower()
    if word in QUALITY_WORDS:
        return QUALITY_WORDS[word]
    if word in tuple(Quality):
        return Quality(word)
    raise InvalidRequest(
        f"quality {clip(text)!r} is not known.",
        field="quality",
        allowed=list(Quality),
        hint="Nothing was stored. Give one of the allowed words.",
    )


def clip(text: object, limit: int = 80) -> str:
    """Return text for an error message, never longer than `limit` characters."""
    words = str(text)
    return words if len(words) <= limit else words[: limit - 1] + "…"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class MediaInput(_Frozen):
    """One picture or clip that goes in: a path, URL, data URI or output id, and once taken `input:<sha256>`."""

    src: str = Field(repr=False)
    role: Role | None = None
    name: str | None = None
    sha256: str | None = None
    media_type: str | None = None
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    """Seconds of a clip."""
    clear: bool | None = None
    """Whether a picture is transparent anywhere."""
    file_bytes: int | None = None
    """How large the file of a picture is."""
    url: str | None = Field(default=None, repr=False)
    """Its https address, where the offer takes pictures by that alone."""


_ROLE_PREFIX = re.compile(r"([a-z_]{3,12})=(.+)", re.DOTALL)


def parse_input(value: object) -> MediaInput:
    """Read one entry of `images`: text, optionally `role=` in front, or an object `{src, role, name}`.

    Raises:
        InvalidRequest: If it is neither, empty, or its role is unknown.
    """
    if isinstance(value, MediaInput):
        return value
    if isinstance(value, dict):
        data: dict[str, Any] = {str(key): item for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] because the caller's JSON is untyped
        extra = set(data) - {"src", "role", "name"}
        src, role, name = data.get("src"), data.get("role"), data.get("name")
        if not extra and isinstance(src, str) and isinstance(name, str | None) and isinstance(role, str | None):
            return _input(src, role, name)
    elif isinstance(value, str):
        match = _ROLE_PREFIX.fullmatch(value)
        return _input(match[2], match[1], None) if match and match[1] in tuple(Role) else _input(value, None, None)
    raise InvalidRequest(
        "Each entry of images must be text or an object with src, role and name.",
        field="images",
        allowed="path, https URL, data URI or output id, optionally role=… in front",
        hint="Nothing was stored.",
    )


def _input(src: str, role: str | None, name: str | None) -> MediaInput:
    if role is not None and role not in tuple(Role):
        raise InvalidRequest(
            f"The input role {clip(role)!r} is not known.",
            field="images",
            allowed=list(Role),
            hint="Nothing was stored.",
        )
    if not src.strip():
        raise InvalidRequest("An entry of images is empty.", field="images", hint="Nothing was stored. Leave it out.")
    return MediaInput(src=src.strip(), role=Role(role) if role else None, name=name)


def _parse_prompt(text: str) -> str:
    if len(text) > MAX_PROMPT:
        raise InvalidRequest(
            f"The prompt has {len(text):,} characters.",
            field="prompt",
            allowed=f"1 to {MAX_PROMPT:,} characters",
            hint="Nothing was stored. Shorten it; the first sentences count most.",
        )
    return text.strip()


def whole(value: object, field: str, low: int, high: int) -> int:
    """Read a whole number between two bounds, `3`, `3.0` or `"3"`.

    Raises:
        InvalidRequest: If it is no whole number or out of the bounds.
    """
    number = real(value, field, low, high)
    if number != int(number):
        raise _not_in_range(value, field, low, high, "a whole number")
    return int(number)


def real(value: object, field: str, low: float, high: float) -> float:
    """Read a number between two bounds, `2.5` or `"2.5"`.

    Raises:
        InvalidRequest: If it is no finite number or out of the bounds.
    """
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not low <= number <= high:
        raise _not_in_range(value, field, low, high, "a number")
    return number


def _not_in_range(value: object, field: str, low: float, high: float, what: str) -> InvalidRequest:
    return InvalidRequest(
        f"{field} must be {what} from {low:,} to {high:,}, not {clip(value)!r}.",
        field=field,
        allowed=f"{low:,} to {high:,}",
        hint="Nothing was stored.",
    )


def _optional(parse: Callable[[object], object]) -> BeforeValidator:
    def read(value: object) -> object:
        return None if value is None else parse(value)

    return BeforeValidator(read)


def _text(field: str, parse: Callable[[str], object]) -> Callable[[object], object]:
    """Return a reader of text that takes numbers too: 720 for `720p`, 1.5 for `3:2`."""

    def read(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidRequest(
                f"{field} must be text, not {clip(value)!r}.", field=field, hint="Nothing was stored. Give a text."
            )
        return parse(str(value))

    return read


def _size(value: object) -> Size:
    if isinstance(value, list | tuple):  # as JSON keeps it
        return parse_size("x".join(str(side) for side in value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] because the caller's JSON is untyped
    return parse_size(str(value))


def _deadline(value: object) -> float:
    return real(value, "deadline_s", 5, 86_400)


def _priority(value: object) -> int:
    return whole(value, "priority", -10, 10)


def _seed(value: object) -> int:
    return whole(value, "seed", 0, SEEDS - 1)


def _count(value: object) -> int:
    return whole(value, "n", 1, MAX_COUNT)


def _duration(value: object) -> float:
    return real(value.removesuffix("s") if isinstance(value, str) else value, "duration", 0.5, MAX_DURATION_S)


def _inputs(value: object) -> tuple[MediaInput, ...]:
    entries: list[object] = list(value) if isinstance(value, list | tuple) else [value]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] because the caller's JSON is untyped
    if len(entries) > MAX_INPUTS:
        raise InvalidRequest(f"images has {len(entries)} entries.", field="images", allowed=f"up to {MAX_INPUTS}")
    return tuple(parse_input(entry) for entry in entries)


Prompt = Annotated[str, BeforeValidator(_text("prompt", _parse_prompt))]
Count = Annotated[int, BeforeValidator(_count)]
Seed = Annotated[int | None, _optional(_seed)]
Ratio = Annotated[str | None, _optional(_text("aspect_ratio", parse_ratio))]
Inputs = Annotated[tuple[MediaInput, ...], BeforeValidator(_inputs)]


class Scene(_Frozen):
    """One part of a timeline."""

    prompt: Prompt = ""
    duration: Annotated[float | None, _optional(_duration)] = None
    image: Annotated[MediaInput | None, _optional(parse_input)] = None


class Earlier(_Frozen):
    """A result that a request goes on with as the next turn of its conversation."""

    job_id: str
    submission: int
    offer: str
    """provider/model, which alone knows of it."""
    account: str | None = None
    pictures: int = 0
    """How many pictures go out again with the turns so far."""
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    """Seconds of the clip."""


class MediaRequest(_Frozen):
    """What image and video requests share; values are as asked, before defaults and snapping."""

    prompt: Prompt = ""
    negative_prompt: str | None = Field(default=None, max_length=MAX_PROMPT)
    model: str | None = None
    provider: str | None = None
    aspect_ratio: Ratio = None
    n: Count = 1
    images: Inputs = ()
    seed: Seed = None
    options: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    exact: bool = False
    """Refuse instead of snapping to what the offer has."""
    deadline_s: Annotated[float | None, _optional(_deadline)] = None
    priority: Annotated[int, BeforeValidator(_priority)] = 0
    allow_unpriced: bool = False
    labels: tuple[str, ...] = ()
    refine: str | None = None
    """The job or output that this request continues from, as it was asked."""
    strict: bool = False
    """Send the rules of `domain.rules` with the prompt."""
    follows: Earlier | None = None
    """What it goes on with; never a caller's own word."""

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, fields: Any) -> Any:
        """Refuse half characters before anything is computed from them."""
        if isinstance(fields, dict):
            check_whole(cast("dict[str, Any]", fields))
        return cast("Any", fields)

    def having(self, **changes: Any) -> Self:
        """Return a copy with these fields replaced and checked again; what nobody said stays unsaid."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        return self.model_validate({**said, **changes})


class ImageRequest(MediaRequest):
    """A picture, or up to ten."""

    kind: Literal[Kind.IMAGE] = Kind.IMAGE
    size: Annotated[Size | None, _optional(_size)] = None
    quality: Annotated[Quality, BeforeValidator(_text("quality", parse_quality))] = Quality.MEDIUM


class VideoRequest(MediaRequest):
    """A clip, or a timeline of scenes."""

    kind: Literal[Kind.VIDEO] = Kind.VIDEO
    duration: Annotated[float | None, _optional(_duration)] = None
    resolution: Annotated[str | None, _optional(_text("resolution", parse_resolution))] = None
    audio: bool | None = None
    scenes: Annotated[tuple[Scene, ...], Field(max_length=MAX_SCENES)] = ()
    extend: bool = False
    """Go on where the clip ends, rather than change it."""


Request = Annotated[ImageRequest | VideoRequest, Field(discriminator="kind")]
request_adapter: TypeAdapter[ImageRequest | VideoRequest] = TypeAdapter(Request, config=ConfigDict(defer_build=True))

CALL_OPTIONS = ("callback_url", "invocation_id")
"""Keys of `options` that are of the call, and no part of the request."""
UNSAID = ("kind", "follows", "strict", "extend")
"""Fields that are no arguments of a tool; the last two are said in `options`."""
RESERVED_OPTIONS = ("exact", "labels", "deadline_s", "priority", "allow_unpriced", "strict", "extend", *CALL_OPTIONS)
"""Keys of `options` that are ours, not the provider's."""


def split_options(options: dict[str, JsonValue]) -> tuple[dict[str, JsonValue], dict[str, JsonValue]]:
    """Return (our reserved keys, the provider's options)."""
    ours = {name: value for name, value in options.items() if name in RESERVED_OPTIONS}
    theirs = {name: value for name, value in options.items() if name not in RESERVED_OPTIONS}
    return ours, theirs


def _kept_scenes(value: Any) -> Any:
    """Read scenes as we keep them, whose pictures have more fields than callers may write."""
    return [
        {**item, "image": MediaInput.model_validate(item["image"])}
        if isinstance(item, dict) and item.get("image")  # pyright: ignore[reportUnknownMemberType] because JSON is untyped
        else item
        for item in value
    ]


class Effective(_Frozen):
    """The request as one offer will run it: defaults filled in, values snapped to what the offer has."""

    kind: Kind
    mode: Mode
    prompt: str
    rules: str | None = None
    """What `strict` adds to the prompt."""
    negative_prompt: str | None = None
    width: int
    height: int
    aspect_ratio: str
    n: int = 1
    start: int = 0
    """How many outputs of its job come before these."""
    quality: Quality | None = None
    seed: int | None = None
    duration: float | None = None
    """Seconds."""
    resolution: str | None = None
    audio: bool | None = None
    inputs: tuple[MediaInput, ...] = ()
    scenes: Annotated[tuple[Scene, ...], BeforeValidator(_kept_scenes)] = ()
    options: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    follows: Earlier | None = None

    @property
    def text(self) -> str:
        """The prompt as it is sent where the rules have no place of their own."""
        return f"{self.rules}\n\n{self.prompt}" if self.rules else self.prompt
