"""Backdrops without a place: flowing silk, one plain colour, and the quiet ground of a concept frame."""

import colorsys

import numpy as np
from PIL import Image, ImageDraw

from darkroom.adapters.draft import pixels
from darkroom.adapters.draft.motion import Cycle
from darkroom.adapters.draft.pixels import mix, shade
from darkroom.adapters.draft.spec import Rgb
from darkroom.adapters.draft.stage import Stage


def _own_colours(stage: Stage) -> tuple[Rgb, ...]:
    if len(stage.spec.colours) > 1:
        return stage.spec.colours
    if stage.spec.colours:
        first = stage.spec.colours[0]
        return shade(first, 0.4), first, mix(first, (255, 255, 255), 0.5)
    hue = float(stage.random.random())
    parts = ((hue, 0.65, 0.32), (hue + 0.06, 0.6, 0.72), (hue + 0.14, 0.35, 0.96))
    found: list[Rgb] = []
    for tone, fullness, level in parts:
        red, green, blue = colorsys.hsv_to_rgb(tone % 1, fullness, level)
        found.append((round(red * 255), round(green * 255), round(blue * 255)))
    return tuple(found)


def abstract(stage: Stage) -> None:
    """Paint folds of silk whose colours flow slowly."""
    _silk(stage, _own_colours(stage), folds=1.0)


def plain(stage: Stage) -> None:
    """Paint one colour: the palest that is named, else a warm white."""
    ground = max(stage.spec.colours, key=pixels.luma, default=(246, 243, 236))
    stage.paint(Image.new("RGB", (stage.width, stage.height), ground))
    stage.horizon = round(stage.height * 0.7)
    stage.ground = (stage.height * 0.8, stage.height * 0.86)


def _silk(stage: Stage, colours: tuple[Rgb, ...], folds: float) -> None:
    width, height = stage.width, stage.height
    half = (max(8, width // 2), max(8, height // 2))
    random = stage.random
    first = pixels.noise(random, *half, 1.3, 3, gain=0.35)
    second = pixels.noise(random, *half, 1.6, 3, gain=0.35)
    down, across = np.mgrid[0 : half[1], 0 : half[0]].astype(np.float32) / max(half)
    lean = float(random.uniform(0.5, 1.1))
    field = across * lean * 0.7 + down * 0.9 + (first - 0.5) * 2.6 + 0.25 * np.sin(9 * (second - 0.5) + across * 4)
    wave = field * 7 + (second - 0.5) * 5
    slope = np.cos(wave * 2.2) * 0.55 + np.cos(wave * 5.1 + second * 9) * 0.22
    fold = pixels.mask(0.5 + slope * 0.34 * folds)
    shine = np.clip(np.cos(wave * 2.2 - 0.9), 0, 1) ** 10
    closed = [*colours, *colours[-2:0:-1]]
    table = pixels.ramp([(at / len(closed), tone) for at, tone in enumerate([*closed, closed[0]])], 1024)
    stage.add(
        Cycle(
            (field * 0.8 % 1).astype(np.float32), table.astype(np.uint8), Image.merge("RGB", (fold, fold, fold)), 0.03
        )
    )
    gloss = pixels.mask(shine * 0.26 * folds).resize((width, height), Image.Resampling.BICUBIC)
    stage.paint(pixels.flat((width, height), mix(colours[-1], (255, 255, 255), 0.6), gloss))
    stage.horizon = round(height * 0.7)
    stage.ground = (height * 0.8, height * 0.86)


def concept(stage: Stage) -> None:
    """Paint a quiet ground with the corner marks of a storyboard; the prompt is set on it as a caption."""
    ink: tuple[Rgb, ...] = ((30, 36, 52), (46, 56, 82), (64, 74, 104))
    warm: tuple[Rgb, ...] = ((52, 38, 46), (84, 60, 66), (120, 84, 80))
    green: tuple[Rgb, ...] = ((22, 44, 48), (32, 66, 68), (52, 92, 88))
    choice = (ink, warm, green)[int(stage.random.integers(3))]
    _silk(stage, stage.spec.colours or choice, folds=0.5)
    frame = Image.new("RGBA", (stage.width, stage.height))
    draw, arm = ImageDraw.Draw(frame), stage.unit * 0.08
    left, top = stage.width * 0.07, stage.height * 0.09
    line = max(1, round(stage.unit * 0.004))
    for x, across in ((left, 1), (stage.width - left, -1)):
        for y, down in ((top, 1), (stage.height - top, -1)):
            draw.line([(x, y), (x + arm * across, y)], fill=(255, 255, 255, 150), width=line)
            draw.line([(x, y), (x, y + arm * down)], fill=(255, 255, 255, 150), width=line)
    stage.paint(frame)
