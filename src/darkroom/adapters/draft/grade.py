"""The last look: styles, palettes of reference pictures, vignette and grain."""

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter

from darkroom.adapters.draft import pixels
from darkroom.adapters.draft.pixels import Random, luma, mix
from darkroom.adapters.draft.spec import Rgb, SceneSpec


class Grade:
    """Everything that is done to each finished frame, made ready once.

    Args:
        size: Width and height of the frames.
        spec: The scene; its styles count.
        palette: Colours from dark to light that the picture leans to, or none.
    """

    def __init__(self, size: tuple[int, int], spec: SceneSpec, palette: tuple[Rgb, ...], random: Random) -> None:
        self._styles = set(spec.styles)
        self._toning = _toning(palette) if palette else None
        width, height = max(2, size[0] // 4), max(2, size[1] // 4)
        across = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
        down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        strength = 0.34 if self._styles & {"moody", "noir", "vintage"} else 0.17
        edge = 1 - strength * np.clip((across**2 + down**2) * 0.62 - 0.22, 0, 1)
        level = pixels.mask(edge).resize(size, Image.Resampling.BICUBIC)
        self._vignette = Image.merge("RGB", (level, level, level))
        self._tables = _tables(self._styles)
        self._grain = self._make_grain(size, random)

    @staticmethod
    def _make_grain(size: tuple[int, int], random: Random) -> Image.Image:
        grain = np.clip(random.normal(128, 2.2, (size[1], size[0])), 0, 255).astype(np.uint8)
        level = Image.fromarray(grain)
        return Image.merge("RGB", (level, level, level))

    def apply(self, picture: Image.Image, *, still: bool) -> Image.Image:
        """Return the graded picture; paper and grain only on stills."""
        if "watercolor" in self._styles:
            picture = _watercolour(picture)
        if "noir" in self._styles:
            picture = ImageEnhance.Contrast(picture.convert("L").convert("RGB")).enhance(1.18)
        if self._toning:
            grey = picture.convert("L")
            toned = Image.merge("RGB", [grey.point(table) for table in self._toning])
            picture = Image.blend(picture, toned, 0.62)
        if self._tables:
            picture = picture.point(self._tables)
        picture = ImageChops.multiply(picture, self._vignette)
        return ImageChops.add(picture, self._grain, 1, -128) if still else picture


def _toning(palette: tuple[Rgb, ...]) -> list[list[int]]:
    """Return a table for each channel that maps brightness to the palette."""
    ordered = sorted(palette, key=luma)
    dark, light = mix(ordered[0], (0, 0, 0), 0.4), mix(ordered[-1], (255, 255, 255), 0.4)
    stops = [dark, *ordered, light]
    line = pixels.ramp([(at / (len(stops) - 1), colour) for at, colour in enumerate(stops)], 256)
    return [[round(float(value)) for value in line[:, part]] for part in range(3)]


_BY_STYLE: dict[str, tuple[tuple[float, float, float], float, float]] = {
    "vintage": ((1.06, 0.99, 0.84), 0.9, 16),
    "warm": ((1.06, 1.0, 0.9), 1.0, 0),
    "cool": ((0.92, 0.99, 1.08), 1.0, 0),
    "pastel": ((1.0, 1.0, 1.0), 0.72, 62),
    "moody": ((0.94, 0.96, 1.0), 1.04, -12),
    "vivid": ((1.03, 1.02, 1.03), 1.1, -8),
}
"""Gain for red, green, blue; contrast; lift."""


def _tables(styles: set[str]) -> list[int]:
    tables: list[int] = []
    chosen = [_BY_STYLE[style] for style in sorted(styles) if style in _BY_STYLE]
    if not chosen:
        return []
    for part in range(3):
        for value in range(256):
            level = float(value)
            for gains, contrast, lift in chosen:
                level = ((level - 128) * contrast + 128 + lift) * gains[part]
            tables.append(max(0, min(255, round(level))))
    return tables


def _watercolour(picture: Image.Image) -> Image.Image:
    size = 5 if min(picture.size) > 400 else 3
    soft = picture.filter(ImageFilter.MedianFilter(size)).filter(ImageFilter.ModeFilter(size))
    edges = picture.convert("L").filter(ImageFilter.FIND_EDGES).point([255 - min(90, value) for value in range(256)])
    washed = ImageEnhance.Color(Image.blend(soft, Image.new("RGB", picture.size, (255, 252, 244)), 0.16)).enhance(1.15)
    return ImageChops.multiply(washed, Image.merge("RGB", (edges, edges, edges)))
