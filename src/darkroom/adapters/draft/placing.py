"""Puts the objects of a prompt into a scene: where, how large, in which order, with shadow or mirror."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image

from darkroom.adapters.draft import pixels, sprites
from darkroom.adapters.draft.lexicon import Kind, lexicon
from darkroom.adapters.draft.motion import Mover
from darkroom.adapters.draft.spec import Rgb, Thing
from darkroom.adapters.draft.stage import Stage

_SETTINGS_WITHOUT_GROUND = {"space", "plain"}


@dataclass
class _Spot:
    thing: Thing
    kind: Kind
    place: str
    size: float
    """Height in pixels."""
    x: float = 0.5
    """Middle, as a share of the width."""
    foot: float = 0.0
    """Pixels from above."""
    order: float = 0.0
    """The further back, the smaller."""


def survey(stage: Stage) -> None:
    """Tell the backdrop what will stand in it."""
    kinds = [lexicon().kind(thing.sprite) for thing in stage.spec.things]
    stage.wheels = any(kind.name == "drive" for kind in kinds)
    stage.walkers = any(kind.place in {"ground", "table"} for kind in kinds)
    stage.tabled = bool(kinds) and all(kind.place == "table" or kind.name == "small" for kind in kinds)


def place_things(stage: Stage) -> None:
    """Draw all objects, from back to front."""
    spots = [_spot(stage, thing) for thing in stage.spec.things]
    if not spots:
        return
    _spread(spots, stage)
    _relate(spots)
    for spot in sorted(spots, key=lambda spot: (spot.order, spot.foot)):
        _draw_group(stage, spot)


def _place(stage: Stage, kind: Kind, sprite: str) -> str:
    setting = stage.spec.setting
    if setting in _SETTINGS_WITHOUT_GROUND:
        return "space"
    if setting == "product":
        return "pedestal"
    if kind.place == "space":
        return "fly" if sprite in {"rocket", "satellite"} else "ground"
    if setting == "underwater":
        return "swim" if kind.place in {"swim", "fly", "float"} else "ground"
    if kind.place in {"swim", "float"}:
        return "float" if stage.water_top is not None else "ground"
    return "ground" if kind.place == "table" else kind.place


def _spot(stage: Stage, thing: Thing) -> _Spot:
    kind = lexicon().kind(thing.sprite)
    place = _place(stage, kind, thing.sprite)
    share = kind.size * lexicon().taller.get(thing.sprite, 1.0)
    if place == "pedestal":
        share = 0.36 * min(1.2, lexicon().taller.get(thing.sprite, 1.0))
    elif kind.place == "table" and not stage.tabled:
        share *= 0.62
    elif kind.place == "table":
        share *= 1.0
    elif place == "space":
        share = max(share, 0.3)
    crowd = {1: 1.0, 2: 0.9, 3: 0.8, 4: 0.72}.get(thing.count, 0.62)
    spot = _Spot(thing, kind, place, share * stage.unit * crowd)
    spot.foot = _foot(stage, spot)
    return spot


def _foot(stage: Stage, spot: _Spot) -> float:
    height = stage.height
    far, near = stage.ground
    if spot.place == "fly":
        return height * 0.36 + spot.size * 0.35
    if spot.place == "space":
        return height * 0.5 + spot.size * 0.5
    if spot.place == "swim":
        return height * 0.5 + spot.size * 0.5
    if spot.place == "float":
        top = stage.water_top if stage.water_top is not None else stage.horizon
        depth = 0.16 if spot.kind.name == "float" and spot.size > stage.unit * 0.2 else 0.3
        return top + (height - top) * depth + spot.size * 0.06
    if spot.place == "tall" and stage.water_top is not None and stage.spec.setting == "mountain":
        return stage.horizon + height * 0.012
    if spot.place == "tall":
        return stage.horizon + (far - stage.horizon) * 0.55
    if spot.place == "pedestal":
        return near
    return far + (near - far) * (0.75 if spot.kind.name != "tree" else 0.1)


def _spread(spots: list[_Spot], stage: Stage) -> None:
    """Share the width: one object stands off the middle, several side by side."""
    light_left = stage.light.sun[0] < 0.5
    centred = {"pedestal", "space"}
    lone = [0.5] if spots[0].place in centred else [0.6 if light_left else 0.4]
    layouts = {1: lone, 2: [0.32, 0.68], 3: [0.24, 0.52, 0.8], 4: [0.18, 0.41, 0.63, 0.84]}
    for spot, x in zip(spots, layouts[len(spots)], strict=True):
        spot.x = x + (0 if spot.place in centred else float(stage.random.uniform(-0.02, 0.02)))
    if len(spots) > 1 and spots[0].place == "pedestal" and stage.pedestal:
        step = stage.pedestal / stage.width / len(spots)
        for number, spot in enumerate(spots):
            spot.x = 0.5 + (number - (len(spots) - 1) / 2) * step
            spot.size = min(spot.size, stage.pedestal / len(spots) * 1.15)
    for spot in spots:
        if spot.place == "tall":
            spot.x = 0.74 if spot.x > 0.5 else 0.26


def _relate(spots: list[_Spot]) -> None:
    for before, spot in pairwise(spots):
        relation = spot.thing.relation
        flat = before.place in {"ground", "pedestal", "float"} and spot.place in {"ground", "pedestal", "float"}
        if relation == "on" and flat and spot.kind.name not in {"small", "float"}:
            before.x, before.order = spot.x, 1
            before.foot = spot.foot - spot.size * lexicon().seats.get(spot.thing.sprite, 0.8)
            before.size = min(before.size, spot.size * 0.85)
        elif relation == "at" and flat:
            middle = (before.x + spot.x) / 2
            before.x, spot.x = middle - 0.13, middle + 0.08
            before.order, before.foot = 1, max(before.foot, spot.foot) + spot.size * 0.03
        elif relation == "under" and flat:
            before.x, before.order = spot.x + 0.03, 1
            before.foot = spot.foot + before.size * 0.12
        elif relation == "behind":
            spot.order, spot.x = -1, before.x + 0.1
        elif relation == "front":
            before.order, before.x = -1, spot.x + 0.1
        elif relation == "above" and before.place == "fly":
            before.x = spot.x - 0.06


def _draw_group(stage: Stage, spot: _Spot) -> None:
    thing = spot.thing
    original = sprites.rasterise(thing.sprite, min(spot.size, stage.height * 0.8))
    limit = stage.width * (0.8 if thing.count == 1 else 0.34)
    if original.width > limit:
        original = original.resize(
            (round(limit), round(original.height * limit / original.width)), Image.Resampling.LANCZOS
        )
    colour = thing.colour
    if colour is not None:
        original = sprites.recoloured(original, colour)
    for number, (x, foot, scale) in enumerate(_positions(stage, spot, original)):
        picture = original
        if scale != 1:
            size = (max(2, round(original.width * scale)), max(2, round(original.height * scale)))
            picture = original.resize(size, Image.Resampling.LANCZOS)
        if (
            colour is None
            and thing.count > 1
            and spot.kind.name == "fly"
            and number
            and thing.sprite.endswith("balloon")
        ):
            shift = 0.13 * number
            picture = _turned_hue(picture, shift)
        _draw_one(stage, spot, picture, x, foot, scale)


def _turned_hue(picture: Image.Image, turn: float) -> Image.Image:
    hsv = list(picture.convert("RGB").convert("HSV").split())
    hsv[0] = hsv[0].point([round(value + turn * 255) % 256 for value in range(256)])
    copy = Image.merge("HSV", hsv).convert("RGB")
    copy.putalpha(picture.getchannel("A"))
    return copy


def _positions(stage: Stage, spot: _Spot, picture: Image.Image) -> list[tuple[float, float, float]]:
    """Return (middle, foot, scale) in pixels for each object of a group, from back to front."""
    count, middle = spot.thing.count, spot.x * stage.width
    if count == 1:
        margin = picture.width / 2 + stage.width * 0.02
        return [(min(max(middle, margin), max(margin, stage.width - margin)), spot.foot, 1.0)]
    alone = len(stage.spec.things) == 1
    span = stage.width * (0.72 if alone else 0.36)
    centre = stage.width * 0.5 if alone else middle
    if spot.place == "pedestal" and stage.pedestal:
        span = stage.pedestal * 0.8
    found: list[tuple[float, float, float]] = []
    for number in range(count):
        part = (number + 0.5) / count - 0.5
        back = float(stage.random.random()) if spot.place != "pedestal" else 0.3
        scale = 1.0 - 0.24 * back
        high = spot.place in {"fly", "swim", "space"}
        lift = (
            float(stage.random.uniform(-0.24, 0.24)) * stage.height
            if high
            else -back * (stage.ground[1] - stage.ground[0]) * 0.9
        )
        x = centre + part * span + float(stage.random.normal(0, 0.1)) * span / count
        half = picture.width * scale / 2
        x = min(max(x, half), max(half, stage.width - half))
        foot = spot.foot + lift
        if high:
            foot = min(
                max(foot, picture.height * scale + stage.height * 0.03),
                stage.height * (0.62 if spot.place == "fly" else 0.86),
            )
        found.append((x, foot, scale))
    return sorted(found, key=lambda entry: entry[2])


def _draw_one(stage: Stage, spot: _Spot, picture: Image.Image, x: float, foot: float, scale: float) -> None:
    away = {"tall": 0.22, "fly": 0.1}.get(spot.place, 0.0) + (1 - scale) * 0.35
    heading = 1
    turned = x > stage.width * 0.5 and spot.thing.relation != "on" and sprites.has_heading(spot.thing.sprite)
    if turned and spot.place in {"float", "ground", "fly", "swim"}:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        heading = -1
    shown = sprites.lit(picture, stage.light, away)
    if stage.spec.setting == "underwater":
        shown = sprites.lit(picture, stage.light, 0)
        shown = _under_water(shown, 0.16 + (1 - scale) * 0.5)
    mirror = None
    if spot.place == "float":
        mirror = _mirror(shown)
        cut = round(shown.height * (0.04 if spot.kind.name == "float" else 0.3))
        shown = shown.crop((0, 0, shown.width, shown.height - cut))
    elif spot.place in {"ground", "pedestal"}:
        _shadow(stage, shown, x, foot)
        if stage.water_top is not None and stage.spec.setting == "city":
            mirror = _mirror(shown)
    motion = "bob" if spot.place == "float" else spot.kind.motion
    if spot.place == "pedestal" or (spot.place == "ground" and motion in {"fly", "swim", "drift", "bob"}):
        motion = "still"
    if spot.place == "space":
        motion = "drift"
    stage.add(Mover(shown, (x, foot), motion, heading=heading, beat=float(stage.random.random()), mirror=mirror))


def _under_water(picture: Image.Image, share: float) -> Image.Image:
    tint: Rgb = (24, 128, 168)
    colours = Image.blend(picture.convert("RGB"), Image.new("RGB", picture.size, tint), min(0.7, share))
    colours.putalpha(picture.getchannel("A"))
    return colours


def _mirror(picture: Image.Image) -> Image.Image:
    """Return the mirror picture in water: flipped, squeezed, wavering and fading."""
    height = max(2, round(picture.height * 0.6))
    small = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize(
        (picture.width, height), Image.Resampling.BILINEAR
    )
    data = pixels.array(small).copy()
    sway = np.sin(np.arange(height) / max(2.0, height / 16)) * picture.width * 0.018 * np.linspace(0.3, 1.6, height)
    for row in range(height):
        data[row] = np.roll(data[row], round(float(sway[row])), axis=0)
    fade = np.linspace(0.5, 0.0, height, dtype=np.float32)[:, None] ** 1.1
    data[..., 3] = (data[..., 3] * fade).astype(np.uint8)
    return Image.fromarray(data, "RGBA")


def _shadow(stage: Stage, picture: Image.Image, x: float, foot: float) -> None:
    """Lay a soft shadow on the ground, away from the light."""
    width, height = round(picture.width * 1.5), max(4, round(picture.width * 0.24))
    across = np.linspace(-1.25, 1.25, width, dtype=np.float32)[None, :]
    down = np.linspace(-1.25, 1.25, height, dtype=np.float32)[:, None]
    dark = pixels.smooth(1 - np.sqrt(across**2 + down**2), 0.0, 0.85) * (0.5 if not stage.light.veiled else 0.34)
    side = (-1 if stage.light.sun[0] > 0.5 else 1) * picture.width * 0.06
    stage.paint(
        pixels.flat((width, height), (14, 14, 26), pixels.mask(dark)), (x - width / 2 + side, foot - height * 0.55)
    )
