"""Backdrops of water and beyond: sea and beach, under water, space."""

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from darkroom.adapters.draft import pixels
from darkroom.adapters.draft.land import lit
from darkroom.adapters.draft.motion import Fall, Rays, Water
from darkroom.adapters.draft.pixels import mix, shade
from darkroom.adapters.draft.sky import paint_sky, sun_at
from darkroom.adapters.draft.spec import Rgb
from darkroom.adapters.draft.stage import Stage
from darkroom.adapters.draft.terrain import haze_band, jagged, ridge, rolling


def sea(stage: Stage) -> None:
    """Open water with a far coast; sand in front when the prompt names a beach or something stands there."""
    light, spec = stage.light, stage.spec
    stage.horizon = round(stage.height * 0.56)
    paint_sky(stage)
    if float(stage.random.random()) < 0.75:
        coast = lit(stage, (84, 104, 124), 0.6)
        crest = jagged(stage, 0.575, 0.09, 2.2, sharp=0.4)
        ridge(
            stage,
            np.maximum(crest, stage.height * 0.47).astype(np.float32),
            [(0, coast), (1, mix(coast, light.haze, 0.4))],
            bottom=stage.horizon + 1,
        )
    haze_band(stage, 0.555, 0.07, 0.45)
    rough = {"storm": 1.0, "rain": 0.6}.get(spec.weather, 0.75 if "waves" in spec.features else 0.36)
    water = light.water
    stops = [(0.0, water[0]), (0.3, water[1]), (1.0, water[2])]
    glint = None if light.veiled else (light.light, sun_at(stage)[0], stage.width * (0.075 if light.night else 0.1))
    size = (stage.width, stage.height - stage.horizon)
    stage.add(Water(stage.random, stage.horizon, size, stops, clarity=(0.8, 0.2), roughness=rough, glint=glint))
    stage.water_top = stage.horizon
    if "beach" in spec.features or stage.walkers:
        _beach(stage)


def _beach(stage: Stage) -> None:
    sand = lit(stage, (232, 204, 158))
    crest = rolling(stage, 0.8, 0.022, 1.3)
    foam = pixels.curve(stage.random, stage.width, 14, 4)
    for lift, alpha in ((0.02, 0.35), (0.008, 0.8)):
        edge = crest - stage.height * (lift + (foam - 0.5) * 0.02)
        top = int(edge.min())
        rows = round(stage.height * 0.05)
        below = np.arange(top, top + rows, dtype=np.float32)[:, None] - edge[None, :].astype(np.float32)
        band = pixels.stretch(below, 0, 1.5) * np.exp(-np.clip(below, 0, None) / (stage.height * 0.006))
        stage.paint(
            pixels.flat((stage.width, rows), mix((255, 255, 255), stage.light.haze, 0.3), pixels.mask(band * alpha)),
            (0, top),
        )
    ridge(
        stage,
        crest,
        [(0, shade(sand, 0.72)), (0.12, shade(sand, 0.95)), (1, shade(sand, 0.9))],
        grain=0.3,
        grain_stretch=5,
    )
    stage.ground = (stage.height * 0.84, stage.height * 0.93)


def underwater(stage: Stage) -> None:
    """Blue depth with swaying light, a reef along the ground, rising bubbles."""
    spec = stage.spec
    level = 0.45 if stage.light.night else 0.8 if spec.time in {"sunset", "dawn"} else 1.0
    surface, middle, deep = (shade(colour, level) for colour in ((138, 226, 230), (30, 142, 178), (6, 48, 92)))
    if spec.colours:
        middle = mix(middle, spec.colours[0], 0.35)
    stage.horizon = round(stage.height * 0.7)
    water = pixels.gradient(
        stage.random,
        stage.width,
        stage.height,
        [(0, surface), (0.22, mix(surface, middle, 0.6)), (0.6, middle), (1, deep)],
    )
    at = (stage.light.sun[0] * stage.width, -stage.height * 0.05)
    pixels.add_light(water, pixels.glow(water.size, at, stage.unit * 0.75, 1.6) * 0.6, (210, 255, 245))
    stage.paint(water)
    for depth, tall in ((0.75, 0.1), (0.83, 0.09)):
        tone = mix(shade((70, 110, 130), level), middle, 0.75 - (depth - 0.75) * 4)
        ridge(
            stage,
            jagged(stage, depth, tall, 3, sharp=0.1),
            [(0, tone), (1, mix(tone, deep, 0.7))],
            relief=0.3,
            grain=0.5,
        )
    _light_shafts(stage)
    floor = mix(shade((206, 190, 150), level), middle, 0.35)
    ridge(stage, rolling(stage, 0.9, 0.025, 2), [(0, floor), (1, mix(floor, deep, 0.55))], grain=0.45, grain_stretch=3)
    _corals(stage, level)
    _bubbles(stage)
    stage.ground = (stage.height * 0.9, stage.height * 0.95)


def _light_shafts(stage: Stage) -> None:
    width, height = max(32, stage.width // 3), max(24, stage.height // 3)
    apex = stage.light.sun[0] * width
    across, down = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
    angle = (across - apex) / (down + height * 0.35)
    fade = np.clip(1 - down / height * 1.1, 0, 1)
    masks: list[Image.Image] = []
    for cells in (9, 14):
        line = pixels.curve(stage.random, 512, cells, 2)
        values = line[np.clip((angle * 0.32 + 0.5) * 511, 0, 511).astype(np.intp)]
        masks.append(pixels.mask(pixels.smooth(values, 0.42, 0.72) * fade))
    stage.add(Rays(masks[0], masks[1], (200, 255, 250), 0.62))


_CORALS: tuple[Rgb, ...] = (
    (244, 106, 112),
    (250, 158, 84),
    (226, 98, 170),
    (150, 108, 206),
    (248, 208, 112),
    (96, 200, 170),
)


def _corals(stage: Stage, level: float) -> None:
    random = stage.random
    for part in np.sort(random.random(30)):
        near = float(part)
        x = float(random.uniform(-0.02, 1.02))
        if 0.36 < x < 0.64 and near > 0.55:
            x += 0.3 if x > 0.5 else -0.3
        size = stage.unit * (0.05 + 0.12 * near) * float(random.uniform(0.7, 1.3))
        tone = mix(shade(_CORALS[int(random.integers(len(_CORALS)))], level), (24, 120, 160), 0.5 - 0.4 * near)
        shape = _branch_coral(stage, size, tone) if random.random() < 0.55 else _ball_coral(stage, size * 0.7, tone)
        stage.paint(
            shape, (x * stage.width - shape.width / 2, stage.height * (0.9 + 0.09 * near) - shape.height * 0.93)
        )


def _branch_coral(stage: Stage, size: float, tone: Rgb) -> Image.Image:
    side = max(12, round(size * 1.7))
    big = Image.new("RGBA", (side * 2, side * 2))
    draw = ImageDraw.Draw(big)

    def grow(x: float, y: float, angle: float, length: float, thick: float, left: int) -> None:
        to = (x + np.sin(angle) * length, y - np.cos(angle) * length)
        colour = shade(tone, 0.72 + 0.09 * (5 - left))
        draw.line([(x, y), to], fill=(*colour, 255), width=max(1, round(thick)))
        half = thick / 2
        draw.ellipse((to[0] - half, to[1] - half, to[0] + half, to[1] + half), fill=(*colour, 255))
        for turn in (-0.45, 0.1, 0.5) if left else ():
            grow(
                to[0], to[1], angle + turn + float(stage.random.normal(0, 0.16)), length * 0.72, thick * 0.72, left - 1
            )

    grow(side, side * 1.98, 0, side * 0.52, side * 0.16, 4)
    return big.resize((side, side), Image.Resampling.BOX)


def _ball_coral(stage: Stage, size: float, tone: Rgb) -> Image.Image:
    side = max(10, round(size * 1.5))
    across = np.linspace(-1, 1, side, dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, side, dtype=np.float32)[:, None]
    radius = np.sqrt(across**2 + down**2)
    grooves = pixels.noise(stage.random, side, side, 9, 2)
    light = 0.75 - 0.35 * (across * 0.4 + down) + (np.abs(grooves - 0.5) - 0.1) * 1.6
    ball = pixels.colourise(light * 0.55, [(0, shade(tone, 0.45)), (0.6, tone), (1, shade(tone, 1.4))])
    ball.putalpha(pixels.mask((0.97 - radius) * side * 0.4))
    return ball


def _bubbles(stage: Stage) -> None:
    width, height = stage.width, stage.height
    tile = Image.new("L", (width, height))
    draw = ImageDraw.Draw(tile)
    for _ in range(46):
        x, y = float(stage.random.uniform(0, width)), float(stage.random.uniform(0, height))
        radius = stage.unit * float(stage.random.uniform(0.002, 0.009))
        draw.ellipse(
            (x - radius, y - radius, x + radius, y + radius), outline=150, fill=40, width=max(1, round(radius * 0.25))
        )
        draw.ellipse((x - radius * 0.5, y - radius * 0.6, x - radius * 0.1, y - radius * 0.2), fill=190)
    stage.add(Fall(pixels.blur(tile, 0.5), (235, 255, 255), (0, -stage.unit * 0.09), stage.unit * 0.01))


def space(stage: Stage) -> None:
    """Nebula, stars and a planet."""
    random, spec = stage.random, stage.spec
    size = (stage.width, stage.height)
    colours = spec.colours or ((96, 60, 190), (30, 110, 200), (220, 80, 140))
    picture = pixels.gradient(random, *size, [(0, (5, 6, 18)), (1, (12, 10, 32))])
    half = (max(8, size[0] // 2), max(8, size[1] // 2))
    veins = np.clip(1 - np.abs(pixels.noise(random, *half, 3, 5) - 0.5) * 5, 0, 1)
    band = _band(stage, half)
    for colour in colours[:3]:
        cloud = pixels.smooth(pixels.noise(random, *half, 2.2, 6, gain=0.55) + band * 0.16, 0.5, 0.8)
        pixels.add_light(picture, pixels.enlarge(cloud * (0.4 + 0.5 * veins), *size), pixels.shade(colour, 0.95))
    _star_field(stage, picture)
    stage.horizon = stage.height
    stage.paint(picture)
    if "planet" in spec.features or not spec.things or float(random.random()) < 0.6:
        _planet(stage)
    stage.ground = (stage.height * 0.74, stage.height * 0.82)


def _band(stage: Stage, size: tuple[int, int]) -> pixels.Floats:
    """Return a bright slanted belt across the sky, 0 to 1."""
    across = np.linspace(-1, 1, size[0], dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, size[1], dtype=np.float32)[:, None]
    lean = 0.55 if stage.light.sun[0] > 0.5 else -0.55
    return np.exp(-((down + across * lean) ** 2) * 5)


def _star_field(stage: Stage, picture: Image.Image) -> None:
    width, height = picture.size
    level, random = np.zeros((height, width), np.float32), stage.random
    count = width * height // 1500
    bright = random.random(count).astype(np.float32) ** 4
    across, down = random.integers(2, max(3, width - 2), count), random.integers(2, max(3, height - 2), count)
    level[down, across] = 0.2 + 0.8 * bright
    halo = pixels.array(pixels.blur(pixels.mask(np.where(level > 0.75, level, 0)), max(0.8, stage.unit / 600))).astype(
        np.float32
    )
    pixels.add_light(picture, np.clip(level + halo / 255 * 3, 0, 1), (232, 238, 255))


def _planet(stage: Stage) -> None:
    random, features = stage.random, stage.spec.features
    earth = "planet" in features and any(word in stage.spec.understood for word in ("earth", "the earth"))
    radius = stage.unit * (0.62 if earth else 0.3)
    at = (stage.width * (0.5 if earth else 0.24), stage.height * (1.12 if earth else 0.7))
    side = max(16, round(radius * 2.3))
    line = np.linspace(-1.15, 1.15, side, dtype=np.float32)
    across, down = line[None, :], line[:, None]
    distance = np.sqrt(across**2 + down**2)
    if earth:
        land = pixels.noise(random, side, side, 4, 6)
        skin = pixels.colourise(
            pixels.stretch(land, 0.3, 0.75),
            [
                (0, (12, 50, 120)),
                (0.5, (32, 104, 180)),
                (0.56, (82, 140, 86)),
                (0.8, (150, 140, 96)),
                (1, (240, 244, 250)),
            ],
        )
        cloud = pixels.smooth(pixels.noise(random, side, side, 5, 6, stretch=2), 0.5, 0.68)
        skin.paste((248, 250, 255), (0, 0, side, side), pixels.mask(cloud * 0.85))
    else:
        bands = pixels.noise(random, side, side, 6, 5, stretch=7)
        base = (
            stage.spec.colours[0]
            if stage.spec.colours
            else ((196, 96, 66) if "mars" in stage.spec.understood else (214, 160, 120))
        )
        skin = pixels.colourise(
            pixels.stretch(bands, 0.25, 0.75),
            [(0, shade(base, 0.55)), (0.5, base), (1, mix(base, (255, 240, 220), 0.6))],
        )
    depth = np.sqrt(np.clip(1 - distance**2, 0, 1))
    shine = np.clip(across * 0.5 - down * 0.62 + depth * 0.6, 0.03, 1)
    level = pixels.mask(shine)
    skin = ImageChops.multiply(skin, Image.merge("RGB", (level, level, level)))
    air = np.exp(-np.clip(distance - 0.985, 0, 9) * 16) * np.clip(shine * 1.3 + 0.1 - down * 0.3, 0, 1)
    halo = pixels.flat(
        (side, side), (130, 190, 255) if earth else mix((255, 220, 190), (150, 160, 255), 0.4), pixels.mask(air * 0.55)
    )
    stage.paint(halo, (at[0] - side / 2, at[1] - side / 2))
    skin.putalpha(pixels.mask((1 - distance) * side * 0.4))
    stage.paint(skin, (at[0] - side / 2, at[1] - side / 2))
