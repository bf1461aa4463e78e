"""From a prompt to a stage, and from a supplied picture to a stage."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from darkroom.adapters.draft import abstract, city, indoor, land, pixels, placing, sea, sky
from darkroom.adapters.draft.looks import light_of
from darkroom.adapters.draft.pixels import mix
from darkroom.adapters.draft.spec import Rgb, SceneSpec
from darkroom.adapters.draft.stage import Stage

BACKDROPS: dict[str, Callable[[Stage], None]] = {
    "sea": sea.sea,
    "mountain": land.mountain,
    "city": city.city,
    "forest": land.forest,
    "desert": land.desert,
    "space": sea.space,
    "underwater": sea.underwater,
    "field": land.field,
    "room": indoor.room,
    "product": indoor.product,
    "abstract": abstract.abstract,
    "plain": abstract.plain,
    "snow": land.snow,
    "concept": abstract.concept,
}
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
MAX_PIXELS = 80_000_000


class UnreadablePicture(Exception):
    """An input is no picture that can be read."""


def open_picture(path: Path) -> Image.Image:
    """Read an input as upright RGB on white.

    Raises:
        UnreadablePicture: If it is damaged, too large, or of another kind.
    """
    try:
        with Image.open(path, formats=FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise UnreadablePicture(f"it has {opened.width} x {opened.height} pixels")
            opened.draft("RGB", (4096, 4096))
            upright = ImageOps.exif_transpose(opened)
            picture = (
                upright.convert("RGBA")
                if "A" in upright.getbands() or "transparency" in upright.info
                else upright.convert("RGB")
            )
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadablePicture(str(error)[:120]) from error
    if picture.mode == "RGBA":
        ground = Image.new("RGB", picture.size, (255, 255, 255))
        ground.paste(picture, (0, 0), picture)
        picture = ground
    picture.thumbnail((4096, 4096), Image.Resampling.BOX)
    return picture


def build(spec: SceneSpec, size: tuple[int, int], seed: int) -> Stage:
    """Paint a prompt's scene; the same arguments give the same pixels."""
    random = np.random.default_rng(seed)
    stage = Stage(size[0], size[1], spec, light_of(spec, mirrored=seed % 2 == 1), random)
    placing.survey(stage)
    BACKDROPS[spec.setting](stage)
    placing.place_things(stage)
    if spec.setting not in {"concept", "abstract", "plain"}:
        sky.paint_weather(stage)
    return stage


def from_picture(picture: Image.Image, spec: SceneSpec, size: tuple[int, int], seed: int, *, restyle: bool) -> Stage:
    """Make a stage of a supplied picture: cut to the size, with the prompt's weather.

    Args:
        picture: RGB, of any size.
        spec: The prompt; with `restyle` its time of day and colours count too.
        size: Width and height of the stage.
        seed: Where the rain falls.
        restyle: Change the picture itself, too.
    """
    random = np.random.default_rng(seed)
    stage = Stage(size[0], size[1], spec, light_of(spec), random)
    base = ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
    if restyle:
        base = _relit(base, stage, _asked_time(spec))
    stage.base = base
    sky.paint_weather(stage)
    return stage


def _asked_time(spec: SceneSpec) -> str | None:
    """Return the time of day only if the prompt names one."""
    return spec.time if spec.time != "day" or "day" in spec.understood else None


_GRADES: dict[str, tuple[Rgb, Rgb, float]] = {
    "night": ((92, 112, 176), (10, 16, 44), 0.42),
    "sunset": ((255, 196, 148), (120, 50, 60), 0.2),
    "dawn": ((255, 222, 200), (120, 100, 140), 0.16),
    "day": ((255, 252, 244), (220, 232, 244), 0.04),
}
"""The light that the picture is seen in, the colour that it is blended with from above, and how much."""


def _relit(picture: Image.Image, stage: Stage, time: str | None) -> Image.Image:
    if time:
        light, veil, share = _GRADES[time]
        picture = pixels.tinted(picture, light)
        fade = np.linspace(share * 1.5, share * 0.6, picture.height, dtype=np.float32)[:, None]
        level = pixels.mask(np.broadcast_to(fade, (picture.height, picture.width)))
        picture.paste(veil, (0, 0, *picture.size), level)
    weather = stage.spec.weather
    if weather in {"rain", "storm", "cloudy", "snow", "fog"}:
        grey = picture.convert("L").convert("RGB")
        picture = Image.blend(picture, grey, 0.4 if weather != "cloudy" else 0.2)
        if weather in {"rain", "storm"}:
            picture = pixels.tinted(picture, (190, 204, 222) if weather == "rain" else (150, 164, 190))
        if weather in {"fog", "snow"}:
            picture = Image.blend(
                picture, Image.new("RGB", picture.size, mix(stage.light.haze, (255, 255, 255), 0.4)), 0.25
            )
    return picture
