"""Ridges: the building block of mountains, hills, dunes and tree lines."""

import numpy as np
from PIL import Image, ImageDraw

from darkroom.adapters.draft import pixels
from darkroom.adapters.draft.pixels import Floats
from darkroom.adapters.draft.spec import Rgb
from darkroom.adapters.draft.stage import Stage


def ridge(
    stage: Stage,
    crest: Floats,
    colours: pixels.Stops,
    *,
    bottom: int | None = None,
    relief: float = 0.0,
    grain: float = 0.0,
    grain_stretch: float = 2.0,
    snow: tuple[float, Rgb] | None = None,
) -> None:
    """Paint the ground below a crest line.

    Args:
        stage: Where to paint.
        crest: The height in pixels (from above) for each column.
        colours: From the highest point of the crest to the bottom.
        bottom: The last row; the picture's end if None.
        relief: How strongly facets run down from the crest are shaded, 0 to 1.
        grain: How strong the fine texture is, 0 to 1.
        grain_stretch: How much longer the texture is sideways.
        snow: The row down to which snow lies (a share of this ridge's height) and its colour.
    """
    top = max(0, int(np.floor(crest.min())) - 1)
    end = stage.height if bottom is None else bottom
    rows = end - top
    if rows < 2:
        return
    width = stage.width
    below = np.arange(top, end, dtype=np.float32)[:, None] - crest[None, :]
    cover = pixels.mask(below + 0.5)
    ground = pixels.gradient(stage.random, width, rows, colours)
    lit = np.full((rows, width), 0.5, np.float32)
    if grain:
        lit += (pixels.noise(stage.random, width, rows, max(4, rows / 14), 3, stretch=grain_stretch) - 0.5) * grain
    if relief:
        lit += _facets(stage, crest, below) * relief
    if snow:
        share, white = snow
        edge = crest.min() + share * (end - crest.min())
        patch = pixels.noise(stage.random, width, rows, 7, 5) - 0.5
        row = np.arange(top, end, dtype=np.float32)[:, None]
        thick = pixels.smooth((edge - row) / (rows * 0.35) + patch * 1.9 + (lit - 0.5) * 0.5, -0.05, 0.12)
        ground.paste(white, (0, 0, width, rows), pixels.mask(thick * 0.94))
    if grain or relief:
        ground = pixels.textured(ground, lit)
    ground.putalpha(cover)
    stage.paint(ground, (0, top))


def _facets(stage: Stage, crest: Floats, below: Floats) -> Floats:
    """Return light and shadow on the flanks, -0.5 to 0.5: slopes of the crest carried down on slanted lines."""
    slope = np.gradient(crest)
    window = max(3, stage.width // 160)
    slope = np.convolve(slope, np.ones(window) / window, mode="same").astype(np.float32)
    width = stage.width
    column = np.arange(width, dtype=np.float32)[None, :]
    wobble = (pixels.noise(stage.random, width, below.shape[0], 6, 4) - 0.5) * width * 0.1
    left = np.clip(column - below * 0.5 + wobble, 0, width - 1).astype(np.int32)
    right = np.clip(column + below * 0.45 + wobble, 0, width - 1).astype(np.int32)
    facing = 1.0 if stage.light.sun[0] < 0.5 else -1.0
    shading = np.tanh((slope[left] + slope[right]) * 1.5 * -facing) * 0.42
    return (shading + (wobble / (width * 0.1)) * 0.35).astype(np.float32)


def jagged(stage: Stage, level: float, height: float, cells: float, *, sharp: float = 1.0) -> Floats:
    """Return a mountain crest in pixels around `level` (share of the height), `height` tall (share)."""
    line = pixels.curve(stage.random, stage.width, cells, 8, 0.52)
    peaks = 1 - np.abs(2 * pixels.curve(stage.random, stage.width, cells * 1.2, 6, 0.45) - 1) * 2.2
    mixed = line * (1 - 0.55 * sharp) + peaks * 0.55 * sharp
    mixed = (mixed - mixed.min()) / max(1e-3, float(mixed.max() - mixed.min()))
    return (stage.height * level - (mixed - 0.25) * stage.height * height).astype(np.float32)


def rolling(stage: Stage, level: float, height: float, cells: float) -> Floats:
    """Return a soft line of hills in pixels."""
    line = pixels.curve(stage.random, stage.width, cells, 3, 0.3)
    return (stage.height * level - (line - 0.5) * 2 * stage.height * height).astype(np.float32)


def conifers(stage: Stage, level: float, height: float, count: int) -> Floats:
    """Return the outline of a row of firs, `height` tall (share), feet near `level`, in pixels."""
    width = stage.width
    feet = rolling(stage, level, 0.014, 3)
    column = np.arange(width, dtype=np.float32)
    top = feet.copy()
    for place in np.linspace(-0.03, 1.03, count) + stage.random.normal(0, 0.35 / count, count):
        tall = height * stage.height * float(stage.random.uniform(0.45, 1.0))
        half = tall * float(stage.random.uniform(0.17, 0.25))
        middle = float(place) * width
        first, last = max(0, int(middle - half)), min(width, int(middle + half) + 2)
        if last <= first:
            continue
        off = np.abs(column[first:last] - middle) / half
        steps = np.abs((off * 5.5) % 1.0 - 0.25) * 0.16
        tree = feet[first:last] - tall * np.clip(1 - off - steps * (off > 0.08), 0, 1)
        top[first:last] = np.minimum(top[first:last], tree)
    return top


def haze_band(stage: Stage, level: float, height: float, strength: float) -> None:
    """Lay mist of the haze colour around a row (shares of the height)."""
    rows = max(2, round(stage.height * height))
    down = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    veil = pixels.mask(np.broadcast_to(np.exp(-(down**2) * 4) * strength, (rows, stage.width)))
    stage.paint(pixels.flat((stage.width, rows), stage.light.haze, veil), (0, round(stage.height * level - rows / 2)))


def tree_band(stage: Stage, level: float, height: float, colour: Rgb) -> None:
    """Paint a far line of round trees and bushes."""
    line = pixels.curve(stage.random, stage.width, 26, 4, 0.6)
    lumps = np.clip(line - 0.42, 0, 1) * 4
    crest = (stage.height * level - lumps * stage.height * height).astype(np.float32)
    ridge(
        stage,
        crest,
        [(0, pixels.shade(colour, 1.1)), (1, pixels.shade(colour, 0.7))],
        bottom=round(stage.height * (level + 0.012)),
        grain=0.5,
        grain_stretch=1,
    )


def speckle(stage: Stage, top: float, colours: tuple[Rgb, ...], count: int, size: float) -> None:
    """Scatter small dots (flowers, stones) over the ground, larger towards the front; `size` in shares of the unit."""
    first = round(top * stage.height)
    rows = stage.height - first
    layer = Image.new("RGBA", (stage.width, rows))
    draw = ImageDraw.Draw(layer)
    for part in np.sort(stage.random.random(count)):
        near = float(part) ** 1.6
        x, y = float(stage.random.uniform(0, stage.width)), near * rows
        radius = max(0.6, stage.unit * size * (0.2 + near))
        colour = pixels.shade(colours[int(stage.random.integers(len(colours)))], float(stage.random.uniform(0.8, 1.15)))
        draw.ellipse((x - radius, y - radius * 0.75, x + radius, y + radius * 0.75), fill=(*colour, 235))
    stage.paint(layer, (0, first))
