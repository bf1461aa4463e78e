"""Small pixel tools: noise, gradients, glows and masks, on 8-bit Pillow images and float32 arrays."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from darkroom.adapters.draft.spec import Rgb

Floats = NDArray[np.floating[Any]]
Bytes = NDArray[np.uint8]
Random = np.random.Generator
Stops = Sequence[tuple[float, Rgb]]


def mix(first: Rgb, second: Rgb, share: float) -> Rgb:
    """Return the colour between two, `share` from 0 to 1."""
    red, green, blue = (round(one + (two - one) * share) for one, two in zip(first, second, strict=True))
    return red, green, blue


def shade(colour: Rgb, factor: float) -> Rgb:
    """Return a colour made darker or lighter."""
    red, green, blue = (max(0, min(255, round(part * factor))) for part in colour)
    return red, green, blue


def times(colour: Rgb, light: Rgb) -> Rgb:
    """Return a colour seen in a light."""
    red, green, blue = (one * two // 255 for one, two in zip(colour, light, strict=True))
    return red, green, blue


def luma(colour: Rgb) -> float:
    """Return the brightness of a colour from 0 to 1."""
    return (0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]) / 255


def enlarge(values: Floats, width: int, height: int) -> Floats:
    """Resample a grid smoothly to `width` x `height`."""
    picture = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC), np.float32)


def noise(
    random: Random,
    width: int,
    height: int,
    cells: float = 4,
    octaves: int = 5,
    *,
    gain: float = 0.5,
    stretch: float = 1.0,
    tile: bool = False,
) -> Floats:
    """Return smooth fractal noise, height x width, about 0.2 to 0.8 around 0.5.

    `cells` counts the coarsest waves in the height, `stretch` makes them longer sideways; `tile` makes the left edge
    continue the right one.
    """
    total = np.zeros((height, width), np.float32)
    weight, whole = 1.0, 0.0
    for octave in range(octaves):
        rows = max(2, round(cells * 2**octave))
        columns = max(2, round(rows * width / height / stretch))
        if rows > height or columns > width:
            break
        grid = random.random((rows + 1, columns), dtype=np.float32)
        total += weight * _spread(grid, width, height, tile=tile)
        whole += weight
        weight *= gain
    return total / max(whole, 1e-6)


def _spread(grid: Floats, width: int, height: int, *, tile: bool) -> Floats:
    if not tile:
        return enlarge(grid, width, height)
    columns = grid.shape[1]
    pad = min(columns, 3)
    wrapped = np.concatenate([grid[:, -pad:], grid, grid[:, :pad]], axis=1)
    margin = round(width * pad / columns)
    wide = enlarge(wrapped, width + 2 * margin, height)
    return wide[:, margin : margin + width]


def curve(random: Random, width: int, cells: float, octaves: int = 6, gain: float = 0.5) -> Floats:
    """Return a fractal line of `width` values around 0.5."""
    total = np.zeros(width, np.float32)
    weight, whole = 1.0, 0.0
    for octave in range(octaves):
        count = max(2, round(cells * 2**octave))
        if count > width:
            break
        total += weight * enlarge(random.random((1, count + 1), dtype=np.float32), width, 1)[0]
        whole += weight
        weight *= gain
    return total / whole


def stretch(values: Floats, low: float = 0.0, high: float = 1.0) -> Floats:
    """Map low..high to 0..1 and clip."""
    return np.clip((values - low) / (high - low), 0, 1).astype(np.float32)


def smooth(values: Floats, low: float, high: float) -> Floats:
    """Step softly from 0 at `low` to 1 at `high`."""
    part = stretch(values, low, high)
    return part * part * (3 - 2 * part)


def mask(values: Floats) -> Image.Image:
    """Turn 0..1 into an 8-bit mask."""
    return Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))


def ramp(stops: Stops, count: int) -> Floats:
    """Return count x 3 colours along the stops (positions 0..1)."""
    at = np.linspace(0, 1, count, dtype=np.float32)
    places = [place for place, _ in stops]
    parts = [np.interp(at, places, [colour[part] for _, colour in stops]) for part in range(3)]
    return np.stack(parts, axis=1).astype(np.float32)


def gradient(random: Random, width: int, height: int, stops: Stops) -> Image.Image:
    """Return a vertical gradient, dithered so that it shows no bands."""
    colours = ramp(stops, height)
    grain = random.random((height, width), dtype=np.float32)
    parts = [
        Image.fromarray(np.clip(colours[:, part : part + 1] + grain * 1.6 - 0.3, 0, 255).astype(np.uint8))
        for part in range(3)
    ]
    return Image.merge("RGB", parts)


def colourise(values: Floats, stops: Stops) -> Image.Image:
    """Map 0..1 to the colours of the stops."""
    table = ramp(stops, 256).astype(np.uint8)
    return Image.fromarray(table[(np.clip(values, 0, 1) * 255).astype(np.uint8)])


def glow(size: tuple[int, int], at: tuple[float, float], radius: float, power: float = 2.0) -> Floats:
    """Return a soft round light, 1 at its middle, computed at a quarter of the size."""
    width, height = max(2, size[0] // 4), max(2, size[1] // 4)
    across = (np.arange(width, dtype=np.float32) * 4 + 2 - at[0]) / radius
    down = (np.arange(height, dtype=np.float32) * 4 + 2 - at[1]) / radius
    distance = np.sqrt(across[None, :] ** 2 + down[:, None] ** 2)
    return enlarge((1 / (1 + distance**power * 3)).astype(np.float32), size[0], size[1])


def add_light(picture: Image.Image, light: Floats, colour: Rgb, box: tuple[int, int] = (0, 0)) -> None:
    """Screen a light of one colour onto a picture, in place, at `box`."""
    region = (box[0], box[1], box[0] + light.shape[1], box[1] + light.shape[0])
    level = mask(light)
    parts = [level.point([round(value * part / 255) for value in range(256)]) for part in colour]
    lit = ImageChops.screen(picture.crop(region), Image.merge("RGB", parts))
    picture.paste(lit, box)


def blur(picture: Image.Image, radius: float) -> Image.Image:
    """Blur; large radii work on a smaller copy."""
    if radius < 0.3:
        return picture
    if radius <= 6:
        return picture.filter(ImageFilter.GaussianBlur(radius))
    factor = max(1, int(radius / 3))
    small = picture.resize((max(1, picture.width // factor), max(1, picture.height // factor)), Image.Resampling.BOX)
    return small.filter(ImageFilter.GaussianBlur(radius / factor)).resize(picture.size, Image.Resampling.BICUBIC)


def tinted(picture: Image.Image, light: Rgb) -> Image.Image:
    """Multiply the colours of an RGB or RGBA picture by a light."""
    parts = list(picture.split())
    for at in range(3):
        part = light[at]
        parts[at] = parts[at].point([value * part // 255 for value in range(256)])
    return Image.merge(picture.mode, parts)


def textured(picture: Image.Image, values: Floats) -> Image.Image:
    """Shade an RGB picture softly by 0..1 values, 0.5 leaving it as it is."""
    level = mask(values)
    return ImageChops.soft_light(picture, Image.merge("RGB", (level, level, level)))


def flat(size: tuple[int, int], colour: Rgb, alpha: Image.Image) -> Image.Image:
    """Return one colour under a mask."""
    picture = Image.new("RGB", size, colour)
    picture.putalpha(alpha)
    return picture


def array(picture: Image.Image) -> Bytes:
    """Return the pixels, height x width (x channels)."""
    return np.asarray(picture, np.uint8)


def faded(picture: Image.Image, factor: float) -> Image.Image:
    """Return an RGBA picture with its alpha multiplied."""
    alpha = picture.getchannel("A").point([min(255, round(value * factor)) for value in range(256)])
    copy = picture.copy()
    copy.putalpha(alpha)
    return copy


def dominant(picture: Image.Image, count: int = 5) -> tuple[Rgb, ...]:
    """Return the main colours of a picture, from dark to light."""
    small = picture.convert("RGB").resize((64, 64), Image.Resampling.BOX)
    reduced = small.quantize(count, Image.Quantize.MEDIANCUT)
    flat_colours = reduced.getpalette() or []
    used = sorted(cast("list[tuple[int, int]]", reduced.getcolors() or []), reverse=True)
    found: list[Rgb] = []
    for _, index in used:
        red, green, blue = flat_colours[index * 3 : index * 3 + 3]
        found.append((red, green, blue))
    return tuple(sorted(found, key=luma))
