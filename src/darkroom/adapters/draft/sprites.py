"""Objects as pictures: rasterised, recoloured, and lit like the scene."""

import io
import tomllib
from functools import cache

import numpy as np
import resvg_py
from PIL import Image, ImageChops

from darkroom.adapters.draft import pixels
from darkroom.adapters.draft.lexicon import art_pack, data_file, lexicon
from darkroom.adapters.draft.looks import Light
from darkroom.adapters.draft.pixels import mix
from darkroom.adapters.draft.spec import Rgb

_WHITE_BEAR: Rgb = (240, 240, 236)
_SHEET = 128.0
_PANDA = {
    "#8a5a3a": "#fbfaf6",
    "#5e3a24": "#d5d3cd",
    "#4a2d1b": "#1c1c20",
    "#6b4329": "#26262b",
    "#7a4d30": "#26262b",
    "#3d2415": "#121214",
    "#c49a74": "#efece4",
}
"""The bear's colours, and the panda's."""


@cache
def _props() -> dict[str, str]:
    props: dict[str, str] = {}
    for name, body in tomllib.loads(data_file("props.toml").decode()).items():
        props[name] = str(body)
    return props


def _body(name: str) -> tuple[float, str]:
    if name.startswith("prop:"):
        own = name.removeprefix("prop:")
        body = _props()[{"polar bear": "bear", "panda": "bear"}.get(own, own)]
        for old, new in _PANDA.items() if own == "panda" else ():
            body = body.replace(old, new)
        return _SHEET, body
    _, width, body = art_pack()[name]
    return width, body


def rasterise(name: str, height: float) -> Image.Image:
    """Return an object as RGBA, cut to what shows, `height` pixels tall, looking right if it has a heading."""
    width, body = _body(name)
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    sheet = f'<svg {names} viewBox="0 0 {width:g} {width:g}">{body}</svg>'
    side = max(16, min(1600, round(height)))
    picture = _raster(sheet, side)
    box = picture.getchannel("A").getbbox() or (0, 0, side, side)
    share = (box[3] - box[1]) / side
    if share < 0.9:
        picture = _raster(sheet, max(16, min(2200, round(height / max(0.25, share)))))
    picture = picture.crop(picture.getchannel("A").getbbox())
    if name == "prop:polar bear":
        picture = recoloured(picture, _WHITE_BEAR)
    if name not in lexicon().faces_right and has_heading(name):
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return picture


def has_heading(name: str) -> bool:
    """Tell whether a sprite looks to one side, so that it may be turned round (a watch may not)."""
    return lexicon().kind(name).name in {"float", "swim", "drive", "fly", "beast", "big", "people"}


def _raster(sheet: str, side: int) -> Image.Image:
    png = resvg_py.svg_to_bytes(svg_string=sheet, width=side, skip_system_fonts=True)
    with Image.open(io.BytesIO(png)) as opened:
        return opened.convert("RGBA")


def recoloured(picture: Image.Image, colour: Rgb) -> Image.Image:
    """Give the main colour of an object another one, keeping its light and shadow."""
    pixels_in = pixels.array(picture).astype(np.float32) / 255
    parts, alpha = pixels_in[..., :3], pixels_in[..., 3]
    high, low = parts.max(2), parts.min(2)
    spread = high - low
    full = np.where(high > 0, spread / np.maximum(high, 1e-6), 0)
    hue = _hues(parts, high, spread)
    weights = (full * high * alpha).ravel()
    counts, _ = np.histogram(hue.ravel(), bins=24, range=(0, 1), weights=weights)
    coloured = float(weights.sum()) > 0.06 * float(alpha.sum())
    if coloured:
        main = (int(np.argmax(counts)) + 0.5) / 24
        near = np.abs((hue - main + 0.5) % 1 - 0.5) < 0.11
        chosen = near & (full > 0.22) & (alpha > 0)
    else:
        chosen = (high > 0.25) & (alpha > 0)
    if not chosen.any():
        return picture
    aim = np.asarray(colour, np.float32) / 255
    middle = float(np.median(high[chosen]))
    level = (high / max(middle, 0.05))[..., None]
    peak = max(float(aim.max()), 0.16)
    new = np.clip(aim[None, None] * np.clip(level, 0, 1.25 if peak > 0.6 else 2.2), 0, 1)
    gleam = np.clip(1 - full / max(float(np.median(full[chosen])), 0.05), 0, 1)[..., None] * 0.5
    new = new + (1 - new) * gleam * high[..., None]
    parts = np.where(chosen[..., None], new, parts)
    whole = np.concatenate([parts, alpha[..., None]], axis=2)
    return Image.fromarray((np.clip(whole, 0, 1) * 255).astype(np.uint8), "RGBA")


def _hues(parts: pixels.Floats, high: pixels.Floats, spread: pixels.Floats) -> pixels.Floats:
    safe = np.maximum(spread, 1e-6)
    red, green, blue = parts[..., 0], parts[..., 1], parts[..., 2]
    hue = np.where(
        high == red,
        (green - blue) / safe % 6,
        np.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    return (hue / 6 % 1).astype(np.float32)


def lit(picture: Image.Image, light: Light, distance: float = 0.0) -> Image.Image:
    """Put an object into the light of the scene: its colour, haze with distance, a brighter side to the sun."""
    alpha = picture.getchannel("A")
    colours = pixels.tinted(picture.convert("RGB"), light.ambient)
    width, height = picture.size
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * (1 if light.sun[0] > 0.5 else -1)
    down = np.linspace(1, -1, height, dtype=np.float32)[:, None]
    level = pixels.mask(0.5 + 0.1 * across + 0.09 * down)
    colours = ImageChops.soft_light(colours, Image.merge("RGB", (level, level, level)))
    if light.glow > 0.7 and not light.veiled:
        _rim(colours, alpha, light)
    if distance > 0:
        colours = Image.blend(colours, Image.new("RGB", picture.size, light.haze), min(0.8, distance))
    colours.putalpha(alpha)
    return colours


def _rim(colours: Image.Image, alpha: Image.Image, light: Light) -> None:
    """Lighten the edge that looks to the low sun."""
    step = max(1, round(colours.width * 0.018)) * (1 if light.sun[0] > 0.5 else -1)
    inner = ImageChops.offset(alpha, -step, max(1, abs(step) // 2))
    edge = pixels.blur(ImageChops.subtract(alpha, inner), abs(step) * 0.5).point([round(v * 0.6) for v in range(256)])
    colours.paste(mix(light.light, (255, 255, 255), 0.3), (0, 0, *colours.size), edge)
