"""Backdrop of a city: rows of buildings in haze, lit windows, neon signs, a street that shines when wet."""

from dataclasses import replace

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from darkroom.adapters.draft import pixels
from darkroom.adapters.draft.land import lit
from darkroom.adapters.draft.motion import Water
from darkroom.adapters.draft.pixels import mix, shade
from darkroom.adapters.draft.sky import paint_sky
from darkroom.adapters.draft.spec import Rgb
from darkroom.adapters.draft.stage import Stage
from darkroom.adapters.draft.terrain import haze_band

_NEON: tuple[Rgb, ...] = ((255, 60, 170), (60, 220, 255), (255, 150, 60), (150, 90, 255), (90, 255, 180), (255, 70, 80))
_WARM: tuple[Rgb, ...] = ((255, 214, 140), (255, 196, 110), (255, 232, 180), (220, 232, 255))


def city(stage: Stage) -> None:
    """Paint far towers, nearer blocks, and the street."""
    stage.horizon = round(stage.height * 0.74)
    neon = "neon" in stage.spec.styles
    paint_sky(stage)
    dark = stage.light.night or stage.spec.time in {"sunset", "dawn"}
    if stage.light.night:
        _city_glow(stage, neon=neon)
    for level, far, wide in ((0.24, 0.66, 0.045), (0.34, 0.42, 0.065), (0.42, 0.18, 0.1)):
        _row(stage, level, far, wide, lamps=0.42 if stage.light.night else 0.2 if dark else 0.0)
        haze_band(stage, 0.72, 0.3, 0.28 if not stage.light.night else 0.2)
    _fronts(stage, neon=neon, lamps=0.5 if stage.light.night else 0.25 if dark else 0.0)
    _street(stage, neon=neon)


def _city_glow(stage: Stage, *, neon: bool) -> None:
    """Light the air above the streets; what is far off fades into it."""
    mist = mix(stage.light.haze, (176, 66, 190) if neon else (226, 150, 84), 0.6)
    at = (stage.width * 0.5, stage.horizon * 0.95)
    veil = pixels.glow((stage.width, stage.horizon), at, stage.width * 0.62, 1.4)
    stage.paint(pixels.flat((stage.width, stage.horizon), mist, pixels.mask(veil * 0.8)))
    stage.light = replace(stage.light, haze=mix(mist, (20, 24, 60), 0.25))


def _row(stage: Stage, level: float, far: float, wide: float, lamps: float) -> None:
    random, foot = stage.random, stage.horizon
    x = -stage.width * 0.03
    while x < stage.width:
        width = stage.unit * wide * float(random.uniform(0.8, 1.9)) * 1.5
        near_middle = 1 - abs((x + width / 2) / stage.width - 0.5) * 0.9
        tall = stage.horizon * (0.75 - level * 0.6) * float(random.uniform(0.45, 1.1)) * near_middle
        tone = lit(stage, shade((112, 120, 138), float(random.uniform(0.8, 1.1))), far)
        building = _block(stage, round(width), round(tall), tone, lamps, fine=far > 0.4)
        stage.paint(building, (x, foot - building.height))
        if random.random() < 0.3 and tall > stage.horizon * 0.4:
            mast = round(tall * 0.13)
            stage.paint(
                Image.new("RGB", (max(1, round(stage.unit * 0.003)), mast), tone),
                (x + width / 2, foot - building.height - mast),
            )
        x += width * float(random.uniform(0.85, 1.15))


def _block(stage: Stage, width: int, height: int, tone: Rgb, lamps: float, *, fine: bool) -> Image.Image:
    """Return one building with its windows; `lamps` is the share of windows that are lit."""
    random = stage.random
    width, height = max(4, width), max(6, height)
    picture = pixels.gradient(random, width, height, [(0, shade(tone, 1.12)), (1, shade(tone, 0.86))])
    side = max(1, width // 3)
    shadow_left = stage.light.sun[0] > 0.5
    box = (0, 0, side, height) if shadow_left else (width - side, 0, width, height)
    picture.paste(pixels.tinted(picture.crop(box), (222, 224, 236)), box)
    cell = max(4.0, stage.unit * (0.011 if fine else 0.016))
    columns, rows = int((width - 2) / cell), int((height - cell) / (cell * 1.35))
    if columns < 1 or rows < 1:
        return picture
    draw, pane = ImageDraw.Draw(picture), max(1.0, cell * 0.5)
    margin = (width - columns * cell) / 2
    glass = mix(shade(tone, 0.72), stage.light.sky[2], 0.28)
    for row in range(rows):
        whole_floor = random.random() < 0.06
        for column in range(columns):
            x, y = margin + column * cell + (cell - pane) / 2, cell * 0.7 + row * cell * 1.35
            on = random.random() < (0.9 if whole_floor and lamps else lamps)
            colour = glass
            if on:
                colour = mix(
                    shade(_WARM[int(random.integers(len(_WARM)))], float(random.uniform(0.6, 1.0))),
                    tone,
                    0.35 if fine else 0.08,
                )
            draw.rectangle((x, y, x + pane - 1, y + pane * 1.35), fill=colour)
    return picture


def _fronts(stage: Stage, *, neon: bool, lamps: float) -> None:
    """Paint tall house fronts at both sides, with signs when there is neon."""
    random = stage.random
    for side in (-1, 1):
        x_in = stage.width * float(random.uniform(0.13, 0.2))
        while x_in > -stage.unit * 0.02:
            width = round(stage.unit * float(random.uniform(0.17, 0.24)))
            tall = round(stage.horizon * float(random.uniform(0.66, 0.98)))
            tone = lit(stage, shade((74, 74, 92), float(random.uniform(0.75, 1.05))), 0.04)
            building = _block(stage, width, tall, tone, lamps, fine=False)
            left = x_in - width if side < 0 else stage.width - x_in
            stage.paint(building, (left, stage.horizon - building.height))
            _shop(stage, left, width, tone, neon=neon)
            if neon or (stage.light.night and random.random() < 0.5):
                _signs(stage, left, width, tall, neon=neon)
            x_in -= width
        if neon:
            _spill(stage, side)


def _spill(stage: Stage, side: int) -> None:
    """Let the light of the signs fall into the street."""
    colour = _NEON[int(stage.random.integers(len(_NEON)))]
    at = (stage.width * (0.12 if side < 0 else 0.88), stage.horizon * 0.8)
    veil = pixels.glow((stage.width, stage.horizon), at, stage.unit * 0.36, 1.8)
    stage.paint(pixels.flat((stage.width, stage.horizon), colour, pixels.mask(veil * 0.34)))


def _shop(stage: Stage, left: float, width: int, tone: Rgb, *, neon: bool) -> None:
    rows = round(stage.unit * 0.075)
    if stage.light.night or neon:
        colour = _NEON[int(stage.random.integers(len(_NEON)))] if neon else _WARM[0]
        front = pixels.gradient(
            stage.random, width, rows, [(0, mix(colour, (255, 255, 255), 0.35)), (1, shade(colour, 0.6))]
        )
    else:
        front = pixels.gradient(
            stage.random, width, rows, [(0, shade(tone, 0.5)), (1, mix(tone, stage.light.sky[2], 0.4))]
        )
    draw = ImageDraw.Draw(front)
    for x in np.arange(width * 0.02, width, width * 0.24):
        draw.rectangle((x, 0, x + max(1, width * 0.02), rows), fill=shade(tone, 0.45))
    draw.rectangle((0, 0, width, max(1, rows * 0.14)), fill=shade(tone, 0.4))
    stage.paint(front, (left, stage.horizon - rows))


def _signs(stage: Stage, left: float, width: int, tall: int, *, neon: bool) -> None:
    random = stage.random
    for _ in range(int(random.integers(2, 4)) if neon else 1):
        colour = _NEON[int(random.integers(len(_NEON)))]
        upright = random.random() < 0.65
        long, thin = stage.unit * float(random.uniform(0.12, 0.22)), stage.unit * 0.036
        size = (round(thin), round(long)) if upright else (round(long * 0.8), round(thin))
        x = left + float(random.uniform(0.05, 0.8)) * max(1, width - size[0])
        y = stage.horizon - tall * float(random.uniform(0.3, 0.85))
        y = min(y, stage.horizon - stage.unit * 0.11 - size[1])
        _sign(stage, (x, y), size, colour)


def _sign(stage: Stage, at: tuple[float, float], size: tuple[int, int], colour: Rgb) -> None:
    pad = round(stage.unit * 0.05)
    whole = (size[0] + 2 * pad, size[1] + 2 * pad)
    tube = Image.new("L", whole)
    draw = ImageDraw.Draw(tube)
    line = max(1, round(stage.unit * 0.003))
    draw.rounded_rectangle((pad, pad, pad + size[0], pad + size[1]), radius=line * 2, outline=255, width=line)
    upright = size[1] > size[0]
    thick = min(size)
    for place in np.arange(thick * 0.5, max(size) - thick * 0.6, thick * 0.85):
        x, y = (pad + thick * 0.26, pad + place) if upright else (pad + place, pad + thick * 0.26)
        _stroke_letter(stage, draw, x, y, thick * 0.5, line)
    halo = pixels.blur(tube, pad * 0.42).point([min(255, value * 3) for value in range(256)])
    core = mix(colour, (255, 255, 255), 0.5)
    stage.paint(
        pixels.flat(whole, colour, halo.point([round(v * 0.62) for v in range(256)])), (at[0] - pad, at[1] - pad)
    )
    board = Image.new("RGBA", size, (*shade(colour, 0.13), 215))
    stage.paint(board, at)
    stage.paint(
        pixels.flat(whole, core, ImageChops.lighter(tube, halo.point([v // 5 for v in range(256)]))),
        (at[0] - pad, at[1] - pad),
    )


def _stroke_letter(stage: Stage, draw: ImageDraw.ImageDraw, x: float, y: float, size: float, line: int) -> None:
    """Draw strokes that look like a letter and are none."""
    dots = [(x + size * (n % 2), y + size * 0.75 * (n // 2) / 2) for n in range(6)]
    for _ in range(4):
        first, second = stage.random.choice(6, 2, replace=False)
        draw.line([dots[int(first)], dots[int(second)]], fill=235, width=line)


def _street(stage: Stage, *, neon: bool) -> None:
    top, rows = stage.horizon, stage.height - stage.horizon
    wet = stage.spec.weather in {"rain", "storm"} or neon
    tone = lit(stage, (96, 96, 102))
    if stage.light.night:
        tone = shade(tone, 0.62)
    curb = pixels.gradient(
        stage.random, stage.width, max(2, round(rows * 0.1)), [(0, shade(tone, 1.5)), (1, shade(tone, 0.9))]
    )
    if wet:
        stops = [(0.0, shade(tone, 0.9)), (1.0, shade(tone, 0.35))]
        stage.add(Water(stage.random, top, (stage.width, rows), stops, clarity=(0.92, 0.6), roughness=0.3))
        stage.water_top = top
    else:
        asphalt = pixels.gradient(stage.random, stage.width, rows, [(0, shade(tone, 1.1)), (1, shade(tone, 0.72))])
        grain = pixels.noise(stage.random, stage.width, rows, max(4, rows / 4), 2, stretch=4)
        stage.paint(pixels.textured(asphalt, 0.5 + (grain - 0.5) * 0.5), (0, top))
        draw_at = top + rows * 0.56
        dash, line = stage.unit * 0.12, max(2, round(rows * 0.03))
        for left in np.arange(-dash * 0.3, stage.width, dash * 2):
            stage.paint(Image.new("RGB", (round(dash), line), mix(tone, (240, 236, 220), 0.6)), (left, draw_at))
    stage.paint(curb, (0, top))
    stage.ground = (stage.height * 0.85, stage.height * 0.93)
