"""Type: quoted text, the caption of a concept frame, and the mark of the draft."""

from functools import cache
from pathlib import Path

import fontpkg_inter  # pyright: ignore[reportMissingTypeStubs] because it ships none
from PIL import Image, ImageDraw, ImageFont

from darkroom.adapters.draft import pixels
from darkroom.adapters.draft.pixels import luma, mix, shade
from darkroom.adapters.draft.spec import Rgb, SceneSpec

MARK = "darkroom draft"
MAX_CAPTION = 180


@cache
def font(size: int, weight: int = 700) -> ImageFont.FreeTypeFont:
    """Return the typeface in pixels and weight (100 to 900)."""
    files = Path(fontpkg_inter.__file__).parent / "files"
    face = ImageFont.truetype(str(files / "Inter[opsz,wght].ttf"), size, layout_engine=ImageFont.Layout.BASIC)
    face.set_variation_by_axes([min(32, max(14, size)), weight])
    return face


def _shape(char: str) -> bytes:
    """Return the pixels of one character."""
    sheet = Image.new("L", (40, 40))
    ImageDraw.Draw(sheet).text((4, 4), char, font=font(24), fill=255)
    return sheet.tobytes()


@cache
def _missing_glyph() -> bytes:
    return _shape("\U0010fffd")


@cache
def _has(char: str) -> bool:
    return char.isspace() or _shape(char) != _missing_glyph()


def settable(text: str) -> str:
    """Return what of a text the typeface has; nothing when that is less than half of it."""
    kept = "".join(char for char in text if _has(char))
    letters = sum(not char.isspace() for char in text)
    return " ".join(kept.split()) if letters and sum(not c.isspace() for c in kept) * 2 >= letters else ""


def _wrap(words: list[str], face: ImageFont.FreeTypeFont, width: float) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and face.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.append(word)
    return lines


def _fit(text: str, box: tuple[float, float], largest: float, weight: int) -> tuple[list[str], ImageFont.FreeTypeFont]:
    """Return lines and the largest face with which they fit a box (pixels)."""
    words, size = text.split(), max(9, round(largest))
    while True:
        face = font(size, weight)
        lines = _wrap(words, face, box[0])
        wide = max(face.getlength(line) for line in lines)
        if (wide <= box[0] and len(lines) * size * 1.14 <= box[1]) or size <= 9:
            return _balanced(words, face, len(lines), wide), face
        size = max(9, int(size * 0.92))


def _balanced(words: list[str], face: ImageFont.FreeTypeFont, count: int, width: float) -> list[str]:
    """Return the same number of lines, as even as they can be."""
    lines = _wrap(words, face, width)
    for part in range(95, 40, -5):
        narrower = _wrap(words, face, width * part / 100)
        if len(narrower) > count:
            break
        lines = narrower
    return lines


def overlay(size: tuple[int, int], spec: SceneSpec, backdrop: Image.Image) -> Image.Image | None:
    """Return the type of a scene on a clear RGBA sheet, or None."""
    concept = spec.setting == "concept"
    text = settable(spec.caption[:MAX_CAPTION] if concept else spec.text)
    if not text:
        return None
    width, height = size
    alone = concept or not spec.things
    room = (width * 0.8, height * (0.46 if alone else 0.24))
    largest = min(width, height) * (0.09 if concept else 0.26 if alone else 0.15)
    lines, face = _fit(text, room, largest, 600 if concept else 800)
    step = face.size * 1.14
    tall = step * len(lines)
    top = (height - tall) * 0.5 if alone else height * 0.07
    sheet = Image.new("L", size)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(lines):
        draw.text((width / 2, top + step * (number + 0.5)), line, font=face, fill=255, anchor="mm")
    region = (round(width * 0.1), max(0, round(top)), round(width * 0.9), min(height, round(top + tall) + 1))
    under = backdrop.crop(region).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    ground = under if isinstance(under, tuple) else (128, 128, 128)
    return _inked(sheet, spec, (int(ground[0]), int(ground[1]), int(ground[2])), face.size)


def _inked(sheet: Image.Image, spec: SceneSpec, ground: Rgb, size: float) -> Image.Image:
    """Colour the type so that it stands out from its ground, with a soft shadow."""
    light = luma(ground) < 0.62
    ink: Rgb = (255, 255, 255) if light else (22, 22, 28)
    vivid = [colour for colour in spec.colours if abs(luma(colour) - luma(ground)) > 0.38]
    if vivid:
        ink = vivid[-1]
    halo = pixels.blur(sheet, size * 0.1).point([min(255, value * 2) for value in range(256)])
    dark = luma(ink) < luma(ground)
    veil = mix(ground, (255, 255, 255), 0.6) if dark else shade(ground, 0.22)
    result = pixels.flat(sheet.size, veil, halo.point([round(value * 0.5) for value in range(256)]))
    result.alpha_composite(pixels.flat(sheet.size, ink, sheet))
    return result


def mark(size: tuple[int, int]) -> tuple[Image.Image, tuple[int, int]]:
    """Return the draft mark (RGBA) and where it goes: the lower right corner."""
    face = font(max(9, round(min(size) * 0.024)), 600)
    pad = max(2, round(face.size * 0.45))
    box = face.getbbox(MARK)
    whole = (round(box[2]) + 2 * pad, round(face.size * 1.25) + pad)
    plate = Image.new("L", whole)
    ImageDraw.Draw(plate).rounded_rectangle((0, 0, whole[0] - 1, whole[1] - 1), radius=pad, fill=88)
    result = pixels.flat(whole, (0, 0, 0), plate)
    letters = Image.new("L", whole)
    ImageDraw.Draw(letters).text((whole[0] / 2, whole[1] / 2), MARK, font=face, fill=205, anchor="mm")
    result.alpha_composite(pixels.flat(whole, (255, 255, 255), letters))
    margin = max(2, round(min(size) * 0.014))
    return result, (max(0, size[0] - whole[0] - margin), max(0, size[1] - whole[1] - margin))


def unmarked(picture: Image.Image) -> Image.Image:
    """Return a draft picture whose mark is covered with what lies above it: what is made of it carries its own."""
    sign, (left, top) = mark(picture.size)
    above = picture.crop((left, max(0, top - sign.height), left + sign.width, top))
    whole = picture.copy()
    whole.paste(above.transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize(sign.size), (left, top))
    return whole
