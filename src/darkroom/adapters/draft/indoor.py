"""Backdrops indoors: a room with a window and lamps, and a studio for product shots."""

import numpy as np
from PIL import Image, ImageDraw

from darkroom.adapters.draft import pixels
from darkroom.adapters.draft.pixels import mix, shade
from darkroom.adapters.draft.spec import Rgb
from darkroom.adapters.draft.stage import Stage

_DIM = {"bar", "jazz bar", "jazz club", "lounge", "stage", "concert hall", "fireplace", "restaurant", "night market"}


def room(stage: Stage) -> None:
    """Paint a wall, a window on the outside light, lamps, and a wooden floor or a table in front."""
    spec, random = stage.spec, stage.random
    dim = stage.light.night or bool(_DIM & set(spec.understood)) or "moody" in spec.styles
    wall = spec.colours[0] if spec.colours else (86, 54, 58) if dim else (214, 200, 182)
    if dim:
        wall = shade(wall, 0.75)
    stage.horizon = round(stage.height * 0.7)
    paint = pixels.gradient(
        random,
        stage.width,
        stage.horizon,
        [(0, shade(wall, 0.62 if dim else 0.9)), (0.7, wall), (1, shade(wall, 0.86))],
    )
    grain = pixels.noise(random, stage.width, stage.horizon, 30, 3)
    stage.paint(pixels.textured(paint, 0.5 + (grain - 0.5) * 0.16))
    mirrored = float(random.random()) < 0.5
    _window(stage, 0.72 if mirrored else 0.06, dim=dim)
    _floor(stage, dim=dim)
    _lamps(stage, dim=dim, places=(0.2, 0.42) if mirrored else (0.56, 0.8))
    if stage.tabled:
        _table(stage, dim=dim)
        stage.ground = (stage.height * 0.8, stage.height * 0.87)
    else:
        stage.ground = (stage.height * 0.82, stage.height * 0.92)


def _window(stage: Stage, left: float, *, dim: bool) -> None:
    width, height = round(min(stage.width * 0.24, stage.height * 0.4)), round(stage.height * 0.42)
    top = round(stage.height * 0.12)
    view = pixels.gradient(stage.random, width, height, stage.light.stops())
    if stage.light.night or dim:
        view = pixels.tinted(view, (150, 150, 190))
        draw = ImageDraw.Draw(view)
        for _ in range(26):
            x, y = float(stage.random.uniform(0, width)), height * float(stage.random.uniform(0.45, 1))
            radius = stage.unit * float(stage.random.uniform(0.004, 0.013))
            tone = [(255, 190, 110), (255, 120, 120), (140, 200, 255), (255, 226, 170)][int(stage.random.integers(4))]
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=shade(tone, 0.85))
        view = pixels.blur(view, stage.unit * 0.004)
    else:
        hills = pixels.curve(stage.random, width, 2, 3)
        below = np.arange(height, dtype=np.float32)[:, None] - (height * (0.78 - 0.2 * hills))[None, :]
        view.paste(mix((96, 140, 96), stage.light.haze, 0.45), (0, 0, width, height), pixels.mask(below))
        view = pixels.blur(view, stage.unit * 0.004)
    draw, bar = ImageDraw.Draw(view), max(2, round(stage.unit * 0.011))
    frame = (66, 44, 38) if dim else (246, 242, 236)
    draw.rectangle((0, 0, width - 1, height - 1), outline=frame, width=bar)
    draw.rectangle((width / 2 - bar / 2, 0, width / 2 + bar / 2, height), fill=frame)
    draw.rectangle((0, height * 0.4, width, height * 0.4 + bar), fill=frame)
    stage.paint(view, (left * stage.width, top))
    sill = Image.new("RGB", (width + bar * 4, bar * 2), shade(frame, 0.9))
    stage.paint(sill, (left * stage.width - bar * 2, top + height))
    if not dim:
        at = (left * stage.width + width / 2, top + height / 2)
        light = pixels.glow((stage.width, stage.horizon), at, stage.unit * 0.5, 1.8)
        pixels.add_light(stage.base, light * 0.28, stage.light.light)


def _floor(stage: Stage, *, dim: bool) -> None:
    top, rows = stage.horizon, stage.height - stage.horizon
    wood: Rgb = (74, 46, 34) if dim else (176, 128, 88)
    down = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    across = (np.arange(stage.width, dtype=np.float32)[None, :] - stage.width / 2) / stage.unit
    lane = across / (0.35 + down * 0.9) * 5 + 50
    plank = np.floor(lane)
    tones = stage.random.random(120).astype(np.float32)[np.clip(plank, 0, 119).astype(np.intp)]
    seam = np.abs(lane - plank - 0.5) > 0.48
    fibre = pixels.noise(stage.random, stage.width, rows, 18, 3, stretch=0.5)
    level = 0.35 + 0.22 * tones + (fibre - 0.5) * 0.3 + 0.1 * (1 - down) - seam * 0.16
    stage.paint(
        pixels.colourise(level, [(0, shade(wood, 0.35)), (0.5, wood), (1, mix(wood, (255, 236, 200), 0.5))]), (0, top)
    )
    board = pixels.gradient(
        stage.random, stage.width, max(3, round(stage.height * 0.022)), [(0, shade(wood, 0.95)), (1, shade(wood, 0.5))]
    )
    stage.paint(board, (0, top - board.height))


def _lamps(stage: Stage, *, dim: bool, places: tuple[float, ...]) -> None:
    warm: Rgb = (255, 196, 110)
    for place in places:
        x, y = stage.width * place, stage.height * float(stage.random.uniform(0.2, 0.28))
        wire = Image.new("RGB", (max(1, round(stage.unit * 0.004)), round(y)), (30, 24, 24))
        stage.paint(wire, (x, 0))
        side = round(stage.unit * 0.1)
        shadepart = Image.new("RGBA", (side * 2, side * 2))
        ImageDraw.Draw(shadepart).pieslice((0, side * 0.4, side * 2, side * 2.2), 180, 360, fill=(42, 36, 38, 255))
        shadepart = shadepart.resize((side, side), Image.Resampling.BOX)
        strength = 0.85 if dim else 0.25
        pixels.add_light(
            stage.base, pixels.glow(stage.base.size, (x, y + side * 0.6), stage.unit * 0.3, 1.7) * strength, warm
        )
        stage.paint(shadepart, (x - side / 2, y - side * 0.35))
        bulb = Image.new("L", (side, side))
        ImageDraw.Draw(bulb).ellipse((side * 0.36, side * 0.1, side * 0.64, side * 0.38), fill=255)
        stage.paint(
            pixels.flat((side, side), (255, 240, 205), pixels.blur(bulb, side * 0.03)), (x - side / 2, y + side * 0.08)
        )


def _table(stage: Stage, *, dim: bool) -> None:
    top = round(stage.height * 0.77)
    rows = stage.height - top
    wood: Rgb = (96, 58, 40) if dim else (188, 134, 86)
    fibre = pixels.noise(stage.random, stage.width, rows, 26, 4, stretch=14)
    down = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    level = 0.62 - 0.32 * down + (fibre - 0.5) * 0.7
    board = pixels.colourise(level, [(0, shade(wood, 0.45)), (0.5, wood), (1, mix(wood, (255, 240, 214), 0.6))])
    stage.paint(board, (0, top))
    stage.paint(
        Image.new("RGB", (stage.width, max(1, round(stage.unit * 0.005))), mix(wood, (255, 236, 206), 0.55)), (0, top)
    )


def product(stage: Stage) -> None:
    """Paint a seamless studio with a spot of light and a round pedestal."""
    spec, random = stage.spec, stage.random
    luxury = "luxury" in spec.styles or stage.light.night or "moody" in spec.styles
    back = spec.colours[0] if spec.colours else (40, 36, 48) if luxury else (232, 214, 204)
    if luxury and pixels.luma(back) > 0.35:
        back = shade(back, 0.42)
    stage.horizon = round(stage.height * 0.66)
    wall = pixels.gradient(
        random,
        stage.width,
        stage.height,
        [
            (0, shade(back, 0.72)),
            (0.5, shade(back, 1.04)),
            (0.64, shade(back, 1.12)),
            (0.72, shade(back, 0.9)),
            (1, shade(back, 0.62)),
        ],
    )
    light = pixels.glow(wall.size, (stage.width * 0.5, stage.height * 0.42), stage.unit * 0.62, 2.0)
    pixels.add_light(
        wall, light * (0.5 if luxury else 0.42), mix(mix(back, (255, 255, 255), 0.55), (255, 226, 178), 0.4)
    )
    stage.paint(wall)
    _bokeh(stage, back, 26 if luxury else 12)
    _pedestal(stage, back, marble="marble" in spec.features)


def _bokeh(stage: Stage, back: Rgb, count: int) -> None:
    layer = Image.new("L", (stage.width, stage.horizon))
    draw = ImageDraw.Draw(layer)
    for _ in range(count):
        x, y = float(stage.random.uniform(0, stage.width)), float(stage.random.uniform(0, stage.horizon * 0.95))
        radius = stage.unit * float(stage.random.uniform(0.008, 0.045))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(stage.random.integers(12, 46)))
    stage.paint(pixels.flat(layer.size, mix(back, (255, 236, 200), 0.75), pixels.blur(layer, stage.unit * 0.004)))


def _pedestal(stage: Stage, back: Rgb, *, marble: bool) -> None:
    width = round(
        min(stage.width * 0.78, stage.unit * (0.62 + 0.16 * max(0, sum(t.count for t in stage.spec.things) - 1)))
    )
    lid, drum = round(width * 0.17), round(stage.height * 0.15)
    left, top = (stage.width - width) / 2, stage.height * 0.72
    base: Rgb = (240, 238, 236) if marble else mix(back, (255, 250, 244), 0.45)
    shadow = Image.new("L", (stage.width, round(stage.height * 0.4)))
    ImageDraw.Draw(shadow).ellipse(
        (left - width * 0.06, shadow.height * 0.28, left + width * 1.06, shadow.height * 0.28 + lid * 1.6), fill=170
    )
    stage.paint(
        pixels.flat(shadow.size, shade(back, 0.25), pixels.blur(shadow, stage.unit * 0.02)),
        (0, top + drum - shadow.height * 0.28 - lid * 0.4),
    )
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    rows = drum + lid
    down = np.arange(rows, dtype=np.float32)[:, None]
    edge = np.sqrt(np.clip(1 - across**2, 0, 1)) * lid / 2
    veins = _veins(stage, width, rows) if marble else 0.0
    level = 0.66 - 0.42 * (across + 0.28) ** 2 - down / rows * 0.16 - veins
    side = pixels.colourise(level, [(0, shade(base, 0.35)), (0.7, base), (1, mix(base, (255, 255, 255), 0.6))])
    side.putalpha(pixels.mask(np.minimum(down - (lid / 2 - edge), drum + lid / 2 + edge - down) + 0.5))
    stage.paint(side, (left, top))
    disc = np.minimum(down - (lid / 2 - edge), lid / 2 + edge - down)
    shine = 0.8 + 0.14 * (1 - down / lid) - 0.12 * across - veins
    cover = pixels.colourise(
        shine, [(0, shade(base, 0.4)), (0.75, mix(base, (255, 255, 255), 0.12)), (1, mix(base, (255, 255, 255), 0.8))]
    )
    cover.putalpha(pixels.mask(disc + 0.5))
    stage.paint(cover, (left, top))
    stage.ground = (top + lid * 0.5, top + lid * 0.62)
    stage.pedestal = width * 0.8


def _veins(stage: Stage, width: int, rows: int) -> pixels.Floats:
    field = pixels.noise(stage.random, width, rows, 1.6, 6, stretch=1.2)
    return (np.exp(-np.abs(field - 0.5) * 46) * 0.34).astype(np.float32)
