"""Backdrops on land: mountains, hills and fields, desert, snow, forest."""

import numpy as np
from PIL import Image, ImageDraw

from darkroom.adapters.draft import pixels
from darkroom.adapters.draft.motion import Rays, Water
from darkroom.adapters.draft.pixels import mix, shade, times
from darkroom.adapters.draft.sky import paint_sky, sun_at
from darkroom.adapters.draft.spec import Rgb
from darkroom.adapters.draft.stage import Stage
from darkroom.adapters.draft.terrain import conifers, haze_band, jagged, ridge, rolling, speckle, tree_band


def lit(stage: Stage, colour: Rgb, distance: float = 0.0) -> Rgb:
    """Return a ground colour in the light of the scene, paler with distance (0 to 1)."""
    return mix(times(colour, stage.light.land), stage.light.haze, distance)


def mountain(stage: Stage) -> None:
    """Ranges in haze; a lake when the prompt names one, else a valley."""
    lake = "lake" in stage.spec.features
    stage.horizon = round(stage.height * 0.6)
    paint_sky(stage)
    white = mix(times((250, 252, 255), stage.light.land), stage.light.haze, 0.12)
    wintry = stage.spec.weather == "snow"
    for level, tall, cells, far in ((0.57, 0.34, 2.4, 0.62), (0.6, 0.4, 1.7, 0.3)):
        rock = lit(stage, (96, 100, 116), far)
        foot = lit(stage, (88, 104, 96), min(1, far + 0.25))
        ridge(
            stage,
            jagged(stage, level, tall, cells),
            [(0, rock), (1, foot)],
            bottom=stage.horizon + 2,
            relief=0.95 - far * 0.5,
            grain=0.25,
            snow=(0.9 if wintry else 0.42, white),
        )
        haze_band(stage, 0.59, 0.16, 0.5)
    pine = lit(stage, (38, 72, 58), 0.18)
    ridge(
        stage,
        conifers(stage, 0.605, 0.075, 70),
        [(0, shade(pine, 1.1)), (1, shade(pine, 0.8))],
        bottom=stage.horizon + round(stage.height * (0.012 if lake else 0.08)),
        grain=0.4,
    )
    if lake:
        water = stage.light.water
        size = (stage.width, stage.height - stage.horizon)
        own = [(0.0, mix(water[0], (60, 130, 140), 0.35)), (0.5, mix(water[1], (20, 96, 110), 0.4)), (1.0, water[2])]
        stage.add(Water(stage.random, stage.horizon, size, own, clarity=(0.9, 0.5), roughness=0.16))
        stage.water_top = stage.horizon
        _shore(stage)
        return
    _meadow(stage, (0.625, 0.73), wintry=wintry)


def _shore(stage: Stage) -> None:
    crest = (
        stage.height * (1.02 - 0.16 * np.abs(np.linspace(-1, 1, stage.width)) ** 2.2)
        - (pixels.curve(stage.random, stage.width, 9, 5) - 0.5) * stage.height * 0.05
    )
    bank = lit(stage, (70, 92, 62))
    ridge(stage, crest.astype(np.float32), [(0, bank), (1, shade(bank, 0.6))], grain=0.8, relief=0.2)
    _grass(stage, 0.93, bank)


def _meadow(stage: Stage, levels: tuple[float, float], *, wintry: bool = False) -> None:
    green = (236, 242, 250) if wintry else (116, 150, 74)
    for number, level in enumerate(levels):
        near = (number + 1) / len(levels)
        top = lit(stage, shade(green, 0.9 + 0.12 * near), 0.38 - 0.36 * near)
        end = lit(stage, shade(mix(green, (70, 96, 170) if wintry else (46, 92, 50), 0.3), 0.95), 0)
        ridge(stage, rolling(stage, level, 0.03, 2), [(0, top), (1, end)], grain=0.35, grain_stretch=5, relief=0.1)
        if number == 0 and not wintry:
            tree_band(stage, level + 0.012, 0.022, lit(stage, (58, 92, 62), 0.2))


def _grass(stage: Stage, top: float, colour: Rgb) -> None:
    """Paint blades along the lower edge."""
    first = round(top * stage.height)
    rows = stage.height - first
    if rows < 8:
        return
    layer = Image.new("RGBA", (stage.width, rows))
    draw = ImageDraw.Draw(layer)
    for _ in range(round(stage.width * 0.55)):
        x, near = float(stage.random.uniform(0, stage.width)), float(stage.random.random())
        foot, tall = rows * (0.35 + 0.75 * near), rows * float(stage.random.uniform(0.25, 0.6)) * (0.5 + near)
        lean = float(stage.random.normal(0, tall * 0.22))
        tone = shade(colour, float(stage.random.uniform(0.45, 1.25)) * (1.05 - 0.4 * near))
        half = max(0.7, stage.unit * 0.0022)
        draw.polygon([(x - half, foot), (x + half, foot), (x + lean, foot - tall)], fill=(*tone, 255))
    stage.paint(layer, (0, first))


def field(stage: Stage) -> None:
    """Rolling hills with far trees; a road or flowers when named."""
    stage.horizon = round(stage.height * 0.6)
    paint_sky(stage)
    far = lit(stage, (104, 138, 128), 0.55)
    ridge(stage, rolling(stage, 0.57, 0.045, 2.4), [(0, far), (1, lit(stage, (110, 146, 92), 0.5))], grain=0.15)
    middle = lit(stage, (112, 152, 84), 0.25)
    tree_band(stage, 0.615, 0.02, lit(stage, (64, 100, 76), 0.3))
    ridge(
        stage,
        rolling(stage, 0.625, 0.03, 1.8),
        [(0, middle), (1, lit(stage, (86, 134, 62)))],
        grain=0.3,
        grain_stretch=6,
    )
    front = lit(stage, (104, 156, 66))
    ridge(
        stage,
        rolling(stage, 0.7, 0.02, 1.4),
        [(0, front), (0.5, lit(stage, (74, 124, 52))), (1, lit(stage, (46, 88, 42)))],
        grain=0.5,
        grain_stretch=7,
        relief=0.08,
    )
    if "road" in stage.spec.features or stage.wheels:
        road(stage, (92, 92, 98))
    if "flowers" in stage.spec.features:
        palette = stage.spec.colours or ((232, 86, 96), (246, 200, 80), (240, 240, 246), (170, 120, 220))
        speckle(stage, 0.7, tuple(times(colour, stage.light.ambient) for colour in palette), 900, 0.006)
    _grass(stage, 0.92, front)


def road(stage: Stage, colour: Rgb) -> None:
    """Paint a road across the front, seen from the side, for what drives."""
    top, end = stage.height * 0.81, stage.height * 0.93
    rows = round(end - top)
    tone = lit(stage, colour)
    asphalt = pixels.gradient(stage.random, stage.width, rows, [(0, shade(tone, 1.12)), (1, shade(tone, 0.8))])
    asphalt = pixels.textured(asphalt, pixels.noise(stage.random, stage.width, rows, max(3, rows / 4), 2, stretch=5))
    draw = ImageDraw.Draw(asphalt)
    line, dash = lit(stage, (240, 236, 220)), stage.unit * 0.1
    for left in np.arange(0, stage.width, dash * 2.2):
        draw.rectangle((left, rows * 0.5, left + dash, rows * 0.5 + max(1, rows * 0.03)), fill=line)
    stage.paint(asphalt, (0, top))
    edge = Image.new("RGB", (stage.width, max(1, round(rows * 0.04))), shade(tone, 0.6))
    stage.paint(edge, (0, top + rows))
    stage.ground = (top + rows * 0.5, top + rows * 0.72)


def desert(stage: Stage) -> None:
    """Dunes with a lit and a shaded side, far mesas, wind ripples."""
    stage.horizon = round(stage.height * 0.58)
    paint_sky(stage)
    mesa = np.where(pixels.curve(stage.random, stage.width, 5, 3) > 0.53, 0.5, 0.575) * stage.height
    soft = max(3, stage.width // 70)
    mesa = np.convolve(np.pad(mesa, soft, mode="edge"), np.ones(soft) / soft, mode="same")[soft:-soft]
    ridge(
        stage,
        mesa.astype(np.float32),
        [(0, lit(stage, (176, 116, 92), 0.45)), (1, lit(stage, (210, 160, 120), 0.55))],
        grain=0.3,
    )
    for level, tall, far in ((0.6, 0.05, 0.35), (0.67, 0.06, 0.16), (0.77, 0.07, 0.0)):
        sand = lit(stage, (232, 178, 112), far)
        ridge(
            stage,
            _dunes(stage, level, tall),
            [(0, shade(sand, 1.06)), (0.5, sand), (1, shade(lit(stage, (196, 128, 74), far), 0.92))],
            relief=0.55,
            grain=0.3,
            grain_stretch=12,
        )
        haze_band(stage, level + 0.05, 0.05, 0.18 * (1 - far))
    if "road" in stage.spec.features:
        road(stage, (104, 96, 94))


def _dunes(stage: Stage, level: float, tall: float) -> pixels.Floats:
    line = pixels.curve(stage.random, stage.width, 2.2, 2, 0.3)
    place = (np.arange(stage.width) / stage.width * 2.1 + float(stage.random.random()) + line * 0.7) % 1.0
    saw = np.where(place < 0.68, (place / 0.68) ** 1.5, ((1 - place) / 0.32) ** 1.2)
    return (stage.height * (level - tall * (saw - 0.3)) - (line - 0.5) * stage.height * 0.06).astype(np.float32)


def snow(stage: Stage) -> None:
    """White hills, far peaks, firs."""
    stage.horizon = round(stage.height * 0.58)
    paint_sky(stage)
    white = times((248, 251, 255), stage.light.land)
    ridge(
        stage,
        jagged(stage, 0.57, 0.26, 2.2),
        [(0, lit(stage, (120, 132, 158), 0.4)), (1, lit(stage, (170, 186, 210), 0.5))],
        bottom=stage.horizon + 3,
        relief=0.7,
        snow=(0.95, mix(white, stage.light.haze, 0.25)),
    )
    haze_band(stage, 0.58, 0.14, 0.55)
    pine = lit(stage, (48, 76, 82), 0.3)
    ridge(
        stage,
        conifers(stage, 0.61, 0.07, 60),
        [(0, mix(pine, white, 0.25)), (1, pine)],
        bottom=round(stage.height * 0.625),
        grain=0.5,
    )
    blue = mix(white, times((120, 150, 215), stage.light.land), 0.35)
    ridge(
        stage,
        rolling(stage, 0.635, 0.02, 2),
        [(0, mix(white, stage.light.haze, 0.25)), (1, blue)],
        grain=0.1,
        relief=0.1,
    )
    ridge(stage, rolling(stage, 0.72, 0.03, 1.5), [(0, white), (1, blue)], grain=0.14, grain_stretch=8, relief=0.2)


def forest(stage: Stage) -> None:
    """Trunks in depth and haze, a clearing, shafts of light."""
    stage.horizon = round(stage.height * 0.66)
    wintry = stage.spec.weather == "snow"
    glowing = stage.light.haze if not stage.light.night else mix(stage.light.haze, (70, 110, 140), 0.3)
    canopy = mix(glowing, lit(stage, (40, 92, 60)), 0.45 if not wintry else 0.2)
    stage.paint(
        pixels.gradient(
            stage.random,
            stage.width,
            stage.height,
            [(0, shade(canopy, 0.8)), (0.4, glowing), (0.68, mix(glowing, canopy, 0.4)), (1, canopy)],
        )
    )
    at = (sun_at(stage)[0], stage.height * 0.24)
    pixels.add_light(stage.base, pixels.glow(stage.base.size, at, stage.unit * 0.7, 1.7) * 0.55, stage.light.light)
    for number, (level, tall, far) in enumerate(((0.63, 0.34, 0.72), (0.66, 0.48, 0.5), (0.69, 0.62, 0.28))):
        tone = mix(lit(stage, (34, 74, 54)), glowing, far)
        crown = mix(tone, (240, 246, 252), 0.42) if wintry else shade(tone, 1.08)
        ridge(
            stage,
            conifers(stage, level, tall, 20 - number * 5),
            [(0, crown), (0.8, tone), (1, shade(tone, 0.8))],
            bottom=round(stage.height * 0.72),
            grain=0.55,
            grain_stretch=1,
        )
        haze_band(stage, level, 0.14, 0.4)
    floor = (236, 242, 250) if wintry else (82, 108, 58)
    ridge(
        stage,
        rolling(stage, 0.7, 0.015, 3),
        [(0, lit(stage, floor, 0.25)), (1, lit(stage, shade(floor, 0.62 if not wintry else 0.86)))],
        grain=0.5 if not wintry else 0.15,
        grain_stretch=4,
        relief=0.1,
    )
    _trunks(stage, wintry=wintry)
    if not wintry:
        _grass(stage, 0.93, lit(stage, (70, 112, 56)))
    if not stage.light.night and stage.spec.weather in {"clear", "fog"}:
        _shafts(stage, at)
    if "fireflies" in stage.spec.features:
        speckle(stage, 0.5, ((255, 240, 140),), 60, 0.006)


def _trunks(stage: Stage, *, wintry: bool) -> None:
    for share in (-0.01, 0.1, 0.9, 1.0):
        half = stage.unit * float(stage.random.uniform(0.022, 0.045))
        middle = (share + float(stage.random.normal(0, 0.015))) * stage.width
        foot = stage.height * float(stage.random.uniform(0.8, 0.93))
        side = max(6, round(half * 2.6))
        across = np.linspace(-1.3, 1.3, side, dtype=np.float32)[None, :]
        down = np.linspace(0, 1, round(foot), dtype=np.float32)[:, None]
        wide = 0.72 + 0.28 * down + 0.5 * np.clip(down - 0.93, 0, 1) * 6
        bark = pixels.noise(stage.random, side, round(foot), max(6, foot / 8), 3, stretch=0.16)
        tone = lit(stage, (70, 54, 44))
        picture = pixels.colourise(
            0.4 + 0.35 * across + (bark - 0.5) * 0.9, [(0, shade(tone, 0.4)), (1, shade(tone, 1.5))]
        )
        if wintry:
            picture.paste(
                (240, 246, 252), (0, 0, *picture.size), pixels.mask(pixels.smooth(bark - across * 0.2, 0.6, 0.72) * 0.8)
            )
        picture.putalpha(pixels.mask((wide - np.abs(across)) * side * 0.4))
        stage.paint(picture, (middle - side / 2, 0))


def _shafts(stage: Stage, at: tuple[float, float]) -> None:
    width, height = max(32, stage.width // 3), max(24, round(stage.height * 0.8) // 3)
    slant = np.arange(width, dtype=np.float32)[None, :] + np.arange(height, dtype=np.float32)[:, None] * 0.45 * (
        1 if at[0] > stage.width / 2 else -1
    )
    fade = np.linspace(1, 0, height, dtype=np.float32)[:, None]
    near = np.exp(-(((np.arange(width) - at[0] / 3) / (width * 0.42)) ** 2))[None, :].astype(np.float32)
    masks: list[Image.Image] = []
    for cells in (7, 11):
        line = pixels.curve(stage.random, width * 2, cells, 2)
        masks.append(
            pixels.mask(
                pixels.smooth(line[np.clip(slant + width // 3, 0, width * 2 - 1).astype(np.intp)], 0.4, 0.75)
                * fade
                * near
            )
        )
    stage.add(Rays(masks[0], masks[1], stage.light.light, 0.75))
