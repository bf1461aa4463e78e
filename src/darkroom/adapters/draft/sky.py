"""Skies: light from the zenith to the horizon, sun, moon, stars, clouds, rainbow, aurora, rain and snow."""

import numpy as np
from PIL import Image, ImageDraw

from darkroom.adapters.draft import pixels
from darkroom.adapters.draft.motion import Drift, Fall, Flash
from darkroom.adapters.draft.pixels import Floats, mix, shade
from darkroom.adapters.draft.stage import Stage


def paint_sky(stage: Stage) -> None:
    """Paint the sky down to the horizon, and whatever drifts in it."""
    width, horizon, light = stage.width, stage.horizon, stage.light
    rows = min(stage.height, horizon + round(stage.height * 0.08))
    sky = pixels.gradient(stage.random, width, rows, light.stops())
    features = stage.spec.features
    if light.stars and not light.veiled:
        _stars(stage, sky, light.stars)
    if "aurora" in features:
        _aurora(stage, sky)
    sun = sun_at(stage)
    reach = max(width, horizon) * (0.34 if light.night else 0.5)
    pixels.add_light(sky, pixels.glow(sky.size, sun, reach, 1.6) * light.glow, light.light)
    if not light.veiled:
        _moon(stage, sky) if light.night else _sun(stage, sky)
    stage.paint(sky)
    if "rainbow" in features:
        _rainbow(stage)
    _clouds(stage)
    if "lightning" in features or stage.spec.weather == "storm":
        _lightning(stage)


def sun_at(stage: Stage) -> tuple[float, float]:
    """Return where the sun or moon stands, in pixels."""
    return stage.light.sun[0] * stage.width, stage.light.sun[1] * stage.horizon


def _stars(stage: Stage, sky: Image.Image, amount: float) -> None:
    width, height = sky.size
    count = round(width * height / 2600 * amount)
    random = stage.random
    level = np.zeros((height, width), np.float32)
    across, down = random.integers(1, width - 1, count), (random.random(count) ** 1.3 * (height - 2)).astype(int) + 1
    bright = random.random(count).astype(np.float32) ** 3
    level[down, across] = 0.25 + 0.75 * bright
    big = bright > 0.55
    size = max(1, round(min(width, height) / 700))
    for step in range(1, size + 1):
        for dx, dy in ((step, 0), (0, step), (-step, 0), (0, -step)):
            level[np.clip(down[big] + dy, 0, height - 1), np.clip(across[big] + dx, 0, width - 1)] += 0.4 / step
    pixels.add_light(sky, np.clip(level, 0, 1), (235, 240, 255))


def _disc(size: tuple[int, int], at: tuple[float, float], radius: float, soft: float = 1.5) -> Floats:
    across = np.arange(size[0], dtype=np.float32)[None, :] - at[0]
    down = np.arange(size[1], dtype=np.float32)[:, None] - at[1]
    return np.clip((radius - np.sqrt(across**2 + down**2)) / soft + 0.5, 0, 1)


def _sun(stage: Stage, sky: Image.Image) -> None:
    at, radius = sun_at(stage), stage.unit * (0.05 if stage.spec.time in {"sunset", "dawn"} else 0.034)
    pixels.add_light(sky, pixels.glow(sky.size, at, radius * 3.2, 2.2) * 0.8, stage.light.light)
    face = pixels.mask(_disc(sky.size, at, radius, max(1.5, radius * 0.06)))
    sky.paste(mix(stage.light.light, (255, 255, 255), 0.55), (0, 0, *sky.size), face)


def _moon(stage: Stage, sky: Image.Image) -> None:
    at, radius = sun_at(stage), stage.unit * 0.05
    pixels.add_light(sky, pixels.glow(sky.size, at, radius * 2.6, 2.2) * 0.5, stage.light.light)
    face = _disc(sky.size, at, radius)
    if "crescent" in stage.spec.features:
        face *= 1 - _disc(sky.size, (at[0] - radius * 0.45, at[1] - radius * 0.2), radius * 0.92)
    side = max(4, round(radius * 2 + 4))
    craters = pixels.stretch(pixels.noise(stage.random, side, side, 4, 4), 0.3, 0.7)
    skin = pixels.colourise(0.35 + 0.65 * craters, [(0, (150, 160, 190)), (1, (250, 248, 236))])
    corner = (round(at[0] - side / 2), round(at[1] - side / 2))
    box = (*corner, corner[0] + side, corner[1] + side)
    sky.paste(skin, corner, pixels.mask(face).crop(box))


def _clouds(stage: Stage) -> None:
    light, horizon = stage.light, stage.horizon
    if light.cover <= 0.05 or horizon < 40:
        return
    width, height = round(stage.width * 1.35), round(horizon * 0.98)
    values = pixels.noise(stage.random, width, height, 3.2, 6, stretch=2.3, gain=0.52, tile=True)
    edge = 0.5 + (0.5 - light.cover) * 0.34
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    envelope = np.clip(down * 6, 0.45, 1) * np.clip((1 - down) * 3.2, 0, 1)
    thick = pixels.smooth(values, edge, edge + 0.17) * envelope
    step = max(2, round(height * 0.03))
    from_below = stage.spec.time in {"sunset", "dawn"}
    shifted = np.roll(values, -step if not from_below else step, axis=0)
    lit = np.clip(0.55 + (shifted - values) * (-5.5), 0, 1)
    lit = np.clip(lit - thick * (0.22 if light.veiled else 0.08), 0, 1)
    dark, bright = light.cloud[1], light.cloud[0]
    strip = pixels.colourise(lit, [(0, dark), (0.5, mix(dark, bright, 0.55)), (1, bright)])
    strip.putalpha(pixels.mask(thick * (0.93 if light.veiled else 0.86)))
    stage.add(Drift(strip, 0, stage.width * 0.006))
    far = _far_bank(stage, height)
    if far is not None:
        stage.add(far)


def _far_bank(stage: Stage, height: int) -> Drift | None:
    """Return a low row of soft clouds above the horizon."""
    rows = round(height * 0.34)
    if rows < 24:
        return None
    values = pixels.noise(stage.random, round(stage.width * 1.2), rows, 2.4, 5, stretch=4.5, tile=True)
    down = np.linspace(0, 1, rows, dtype=np.float32)[:, None]
    thick = pixels.smooth(values + down * 0.12, 0.5, 0.66) * np.clip((1 - down) * 5, 0, 1) * np.clip(down * 3, 0, 1)
    strip = pixels.colourise(down.repeat(values.shape[1], 1), [(0, stage.light.cloud[0]), (1, stage.light.haze)])
    strip.putalpha(pixels.mask(thick * 0.6))
    return Drift(strip, stage.horizon - rows, stage.width * 0.003)


def _rainbow(stage: Stage) -> None:
    width, height = stage.width, stage.horizon
    across = np.arange(width, dtype=np.float32)[None, :] - width * 0.42
    down = np.arange(height, dtype=np.float32)[:, None] - height * 1.15
    radius = np.sqrt(across**2 + down**2) / (max(width, height) * 0.5)
    place = pixels.stretch(radius, 0.92, 1.04)
    bows = [
        (0, (120, 60, 200)),
        (0.25, (60, 120, 240)),
        (0.5, (70, 210, 110)),
        (0.75, (250, 220, 80)),
        (1, (240, 70, 60)),
    ]
    bow = pixels.colourise(place, [(at, colour) for at, colour in bows])
    bow.putalpha(pixels.mask(np.sin(place * np.pi) ** 0.8 * 0.5 * np.clip(-down / height, 0.2, 1)))
    stage.paint(bow)


def _aurora(stage: Stage, sky: Image.Image) -> None:
    width, height = sky.size
    line = pixels.curve(stage.random, width, 2, 4)
    streaks = pixels.curve(stage.random, width, 40, 3)
    down = np.arange(height, dtype=np.float32)[:, None] / height
    for number, colour in enumerate(((70, 240, 160), (90, 200, 230), (170, 90, 230))):
        foot = 0.35 + 0.45 * np.roll(line, number * width // 5) - 0.06 * number
        rise = (foot[None, :] - down) / 0.42
        curtain = np.where(rise > 0, np.exp(-rise * 2.4), np.exp(rise * 22)) * (
            0.35 + 0.9 * np.roll(streaks, number * 37)
        )
        pixels.add_light(sky, (curtain * 0.62).astype(np.float32), colour)


def _lightning(stage: Stage) -> None:
    width, height = max(20, stage.width // 3), max(20, stage.horizon)
    bolt = Image.new("L", (width, height))
    draw, random = ImageDraw.Draw(bolt), stage.random
    at, step = (width * 0.5, 0.0), height / 16
    thick = max(1, round(stage.unit / 260))
    for number in range(17):
        to = (at[0] + float(random.uniform(-1, 1)) * step * 0.9, at[1] + step)
        draw.line([at, to], fill=255, width=thick)
        if number % 4 == 2:
            draw.line(
                [to, (to[0] + step * 1.6 * float(random.choice([-1, 1])), to[1] + step * 1.7)],
                fill=150,
                width=max(1, thick // 2),
            )
        at = to
    halo = pixels.blur(bolt, stage.unit / 60).point([min(255, value * 5) for value in range(256)])
    level = Image.fromarray(np.maximum(pixels.array(bolt), pixels.array(halo)))
    side = 0.16 if stage.light.sun[0] > 0.5 else 0.55
    stage.add(Flash(pixels.flat(bolt.size, (226, 230, 255), level), (round(stage.width * side), 0), 2.6))


def paint_weather(stage: Stage) -> None:
    """Put fog, rain or snow in front of the scene."""
    weather = stage.spec.weather
    if weather == "fog":
        _fog(stage)
    if weather in {"rain", "storm"} and stage.spec.setting not in {"underwater", "space", "product", "room"}:
        _rain(stage)
    if weather == "snow" and stage.spec.setting not in {"underwater", "space", "product", "room"}:
        _snow(stage)


def _fog(stage: Stage) -> None:
    width, height = round(stage.width * 1.2), round(stage.height * 0.62)
    values = pixels.noise(stage.random, width, height, 2, 4, stretch=3.5, tile=True)
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    thick = pixels.stretch(values, 0.25, 0.75) * np.clip(np.sin(np.pi * down), 0, 1) ** 1.3 * 0.85
    veil = pixels.flat((width, height), mix(stage.light.haze, (255, 255, 255), 0.1), pixels.mask(thick))
    stage.add(Drift(veil, round(stage.horizon - height * 0.55), stage.width * 0.02))


def _rain(stage: Stage) -> None:
    strong = 1.5 if stage.spec.weather == "storm" else 1.0
    unit = stage.unit
    for depth, share in ((0.55, 0.34), (1.0, 0.42)):
        width, height = stage.width, stage.height
        tile = Image.new("L", (width, height))
        draw = ImageDraw.Draw(tile)
        length, lean = unit * 0.06 * depth, unit * 0.012 * depth * strong
        for _ in range(round(300 * strong * max(1.0, stage.width / stage.height * 0.7))):
            x, y = float(stage.random.uniform(0, width)), float(stage.random.uniform(0, height))
            level = round(float(stage.random.uniform(60, 235)) * share)
            for dx in (0, -width):
                for dy in (0, -height):
                    draw.line(
                        [(x + dx, y + dy), (x + dx + lean, y + dy + length)],
                        fill=level,
                        width=max(1, round(unit / 620 * depth)),
                    )
        speed = unit * 1.9 * depth
        stage.add(Fall(tile, shade(mix(stage.light.haze, (255, 255, 255), 0.55), 1.05), (speed * lean / length, speed)))


def _snow(stage: Stage) -> None:
    unit = stage.unit
    for depth, count in ((0.45, 360), (0.75, 170), (1.4, 53)):
        width, height = stage.width, stage.height
        tile = Image.new("L", (width, height))
        draw = ImageDraw.Draw(tile)
        for _ in range(round(count * max(1.0, stage.width / stage.height * 0.7))):
            x, y = float(stage.random.uniform(0, width)), float(stage.random.uniform(0, height))
            radius = max(0.6, unit * 0.0042 * depth * float(stage.random.uniform(0.5, 1.2)))
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=round(230 - depth * 60))
        soft = pixels.blur(tile, max(0.4, unit * 0.0011 * depth))
        stage.add(Fall(soft, (255, 255, 255), (unit * 0.02 * depth, unit * 0.13 * depth), unit * 0.02 * depth))
