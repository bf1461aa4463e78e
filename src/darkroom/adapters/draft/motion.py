"""Layers that move: drifting clouds, water, rain and snow, rays of light, objects."""

import math

import numpy as np
from PIL import Image, ImageChops

from darkroom.adapters.draft import pixels
from darkroom.adapters.draft.pixels import Floats, Random
from darkroom.adapters.draft.spec import Rgb

TURN = 2 * math.pi
PERIOD_S = 4.0
"""Seconds after which water repeats."""
PHASES = 16
"""Pictures of the water within one period; frames blend two neighbours."""


class Drift:
    """A strip that goes round sideways; its left edge continues its right one."""

    def __init__(self, strip: Image.Image, top: int, speed: float) -> None:
        self._colours, self._alpha = strip.convert("RGB"), strip.getchannel("A")
        self._top, self._speed = top, speed

    def draw(self, frame: Image.Image, seconds: float) -> None:
        """Paste the strip, `speed` pixels a second further to the right."""
        width = self._colours.width
        left = round(self._speed * seconds) % width - width
        while left < frame.width:
            if left + width > 0:
                frame.paste(self._colours, (left, self._top), self._alpha)
            left += width


class Water:
    """A surface that mirrors all that was drawn above it.

    Args:
        top: The row where it starts.
        size: Width and height of the surface.
        stops: Its own colours from far to near.
        clarity: Share of the mirror picture far away and near by.
        roughness: Height of the waves, 0 to 1.
        glint: Colour, middle (pixels from the left) and half width of the light's path, or None.
    """

    def __init__(
        self,
        random: Random,
        top: int,
        size: tuple[int, int],
        stops: pixels.Stops,
        *,
        clarity: tuple[float, float] = (0.75, 0.25),
        roughness: float = 0.4,
        glint: tuple[Rgb, float, float] | None = None,
    ) -> None:
        self._top, self._size, self._rough = top, size, roughness
        self._tint = pixels.gradient(random, size[0], size[1], stops)
        far, near = clarity
        column = np.linspace(1 - far, 1 - near, size[1], dtype=np.float32)[:, None]
        self._own = pixels.mask(np.broadcast_to(column, (size[1], size[0])))
        self._waves = _Waves(random, size)
        self._rows = np.arange(size[1])
        self._glint = self._path(glint) if glint else None

    def _path(self, glint: tuple[Rgb, float, float]) -> tuple[Rgb, Image.Image, int]:
        colour, middle, half = glint
        width, height = self._size
        left, right = max(0, round(middle - half * 3)), min(width, round(middle + half * 3))
        across = np.arange(left, right, dtype=np.float32)[None, :] - middle
        spread = half * np.linspace(0.5, 1.6, height, dtype=np.float32)[:, None]
        fade = np.linspace(1.0, 0.55, height, dtype=np.float32)[:, None]
        return colour, pixels.mask(np.exp(-((across / spread) ** 2)) * fade), left

    def draw(self, frame: Image.Image, seconds: float) -> None:
        """Mirror, tint, ripple and sparkle."""
        width, height = self._size
        above = min(self._top, round(height * 1.25))
        mirror = frame.crop((0, self._top - above, width, self._top))
        mirror = mirror.transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize((width, height), Image.Resampling.BILINEAR)
        depth = self._rows / max(1, height)
        shift = (0.3 + self._rough) * height * 0.045 * (0.15 + depth)
        wave = np.sin(60 * np.sqrt(depth + 0.02) - TURN * seconds / PERIOD_S * 3)
        wave += 0.6 * np.sin(133 * np.sqrt(depth + 0.01) - TURN * seconds / PERIOD_S * 5)
        rows = np.clip(self._rows + shift * wave, 0, height - 1).astype(np.intp)
        surface = Image.composite(self._tint, Image.fromarray(pixels.array(mirror)[rows]), self._own)
        level = self._waves.at(seconds)
        half = 0.25 + 0.55 * self._rough
        toned = level.point([round(127.5 + (value - 127.5) * half) for value in range(256)])
        surface = ImageChops.soft_light(surface, Image.merge("RGB", (toned, toned, toned)))
        if self._glint:
            colour, path, left = self._glint
            box = (left, 0, left + path.width, height)
            sparks = ImageChops.multiply(level.crop(box).point(_SPARKS), path)
            lit = [sparks.point([value * part // 255 for value in range(256)]) for part in colour]
            surface.paste(ImageChops.screen(surface.crop(box), Image.merge("RGB", lit)), (left, 0))
        frame.paste(surface, (0, self._top))


_SPARKS = [max(0, min(255, round((value - 140) * 4.2))) for value in range(256)]


class _Waves:
    """Crossing waves in perspective, as 8-bit pictures around 127, made when first needed."""

    def __init__(self, random: Random, size: tuple[int, int]) -> None:
        self._size = size
        self._scale = 2 if size[0] > 700 else 1
        self._kept: dict[int, Image.Image] = {}
        self._parts = [
            (random.uniform(0, TURN), float(random.uniform(-0.55, 0.55)), int(random.integers(1, 4)), 2.6 * 1.55**at)
            for at in range(8)
        ]
        width, height = size[0] // self._scale, max(2, size[1] // self._scale)
        self._grain = pixels.noise(random, width, height, max(3, height / 5), 2, stretch=9) - 0.5

    def at(self, seconds: float) -> Image.Image:
        """Return the waves at a time, size as given."""
        place = seconds % PERIOD_S / PERIOD_S * PHASES
        first, share = int(place), place - int(place)
        level = self._phase(first % PHASES)
        if share > 0.01:
            level = Image.blend(level, self._phase((first + 1) % PHASES), share)
        return level.resize(self._size, Image.Resampling.BILINEAR)

    def _phase(self, number: int) -> Image.Image:
        if number not in self._kept:
            self._kept[number] = pixels.mask(self._field(number / PHASES))
        return self._kept[number]

    def _field(self, part: float) -> Floats:
        width, height = self._grain.shape[1], self._grain.shape[0]
        down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
        far = 1 / (0.07 + 0.93 * down)
        across = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * np.float32(self._size[0] / self._size[1])
        total = np.zeros((height, width), np.float32)
        for start, lean, turns, tall in self._parts:
            steep = tall * far * far / height
            calm = 1 / (1 + (steep / 1.1) ** 4)
            warp = np.float32(0.9) * np.sin(across * far * lean * 2.1 + np.float32(start * 3))
            phase = far * np.float32(tall) + across * far * np.float32(tall * lean) + warp
            total += calm * np.sin(phase * 1.6 + np.float32(start + TURN * part * turns)) / np.float32(tall**0.35)
        return (0.5 + total * 0.16 + self._grain * 0.6 * (0.3 + down)).astype(np.float32)


class Fall:
    """Rain, snow or bubbles: a sheet of few marks, of the stage's size, that goes round in both directions."""

    def __init__(self, sheet: Image.Image, colour: Rgb, speed: tuple[float, float], sway: float = 0.0) -> None:
        level = pixels.array(sheet)
        self._rows, self._columns = (place.astype(np.int32) for place in np.nonzero(level > 3))
        self._alpha = level[self._rows, self._columns].astype(np.int32)[:, None]
        self._size, self._colour = sheet.size, np.asarray(colour, np.int32)[None, :]
        self._speed, self._sway = speed, sway

    def draw(self, frame: Image.Image, seconds: float) -> None:
        """Draw the marks, moved by `speed` pixels a second; only their own pixels are touched."""
        width, height = self._size
        left = round(self._speed[0] * seconds + self._sway * math.sin(seconds * 1.3))
        top = round(self._speed[1] * seconds)
        places = (self._rows + top) % height * width + (self._columns + left) % width
        shown = pixels.array(frame).copy()
        line = shown.reshape(-1, 3)
        under = line[places].astype(np.int32)
        line[places] = (under + (self._colour - under) * self._alpha // 255).astype(np.uint8)
        frame.paste(Image.fromarray(shown))


class Rays:
    """Shafts of light that sway: two masks whose product is laid over."""

    def __init__(self, first: Image.Image, second: Image.Image, colour: Rgb, strength: float) -> None:
        self._first, self._second, self._colour, self._strength = first, second, colour, strength

    def draw(self, frame: Image.Image, seconds: float) -> None:
        """Move the masks against each other and lighten the frame where both are open."""
        width, height = self._first.size
        push = round(width * 0.05 * math.sin(TURN * seconds / 7))
        level = ImageChops.multiply(ImageChops.offset(self._first, push, 0), ImageChops.offset(self._second, -push, 0))
        level = level.point([round(value * self._strength) for value in range(256)])
        level = level.resize((frame.width, round(height * frame.width / width)), Image.Resampling.BILINEAR)
        frame.paste(self._colour, (0, 0, *level.size), level)


class Cycle:
    """A field whose colours flow: each pixel walks along a closed row of colours."""

    def __init__(self, field: Floats, table: pixels.Bytes, shading: Image.Image, speed: float) -> None:
        """Take all of one size.

        `field`: height x width, in turns; `table`: colours x 3, closed; `shading`: RGB, 127 leaves as is.
        """
        self._steps = table.shape[0]
        self._field = (field * self._steps).astype(np.int32) % self._steps
        self._table, self._shading, self._speed = np.concatenate([table, table]), shading, speed

    def draw(self, frame: Image.Image, seconds: float) -> None:
        """Fill the frame."""
        start = round(seconds * self._speed * self._steps) % self._steps
        colours = Image.fromarray(self._table[start : start + self._steps][self._field])
        folded = ImageChops.hard_light(colours, self._shading)
        frame.paste(folded if folded.size == frame.size else folded.resize(frame.size, Image.Resampling.BILINEAR))


class Flash:
    """Lightning: the frame grows light for an instant, now and then."""

    def __init__(self, bolt: Image.Image, at: tuple[int, int], period: float) -> None:
        self._bolt, self._at, self._period = bolt, at, period

    def draw(self, frame: Image.Image, seconds: float) -> None:
        """Draw the bolt at the start of each period."""
        since = seconds % self._period
        if since < 0.34 and not 0.1 < since < 0.17:
            frame.paste(Image.blend(frame, Image.new("RGB", frame.size, (214, 220, 255)), 0.14))
            frame.paste(self._bolt, self._at, self._bolt)


class Mover:
    """One object; `motion` is still, bob, drive, fly, swim, hop, sway or drift.

    Args:
        picture: RGBA, drawn with its lower edge's middle at `foot`.
        mirror: RGBA drawn upside down below the foot, or None.
        heading: -1 when it looks to the left, else 1.
        beat: Where in its motion it starts, 0 to 1.
    """

    def __init__(
        self,
        picture: Image.Image,
        foot: tuple[float, float],
        motion: str,
        *,
        heading: int = 1,
        beat: float = 0.0,
        mirror: Image.Image | None = None,
    ) -> None:
        self._picture, self._foot, self._motion = picture, foot, motion
        self._heading, self._beat, self._mirror = heading, beat, mirror

    def _pose(self, seconds: float, width: int) -> tuple[float, float, float]:
        """Return the move in pixels (right, down) and the turn in degrees; none at all at the start."""
        size, start = self._picture.height, self._beat * TURN

        def swing(rate: float, more: float = 0.0) -> float:
            return math.sin(TURN * rate * seconds + start + more) - math.sin(start + more)

        ahead = self._heading * seconds
        poses = {
            "bob": (ahead * size * 0.05, swing(0.3) * size * 0.022, swing(0.27, 1) * 1.6),
            "drive": (ahead * width * 0.075, swing(3.1) * size * 0.006, 0.0),
            "fly": (ahead * width * 0.035, swing(0.35) * size * 0.09, swing(0.3, 1) * 2.0),
            "swim": (ahead * width * 0.03, swing(0.4) * size * 0.08, swing(0.4, 1) * 3.0),
            "hop": (0.0, -abs(swing(0.55)) * size * 0.012, swing(0.55, 1) * 0.6),
            "sway": (0.0, 0.0, swing(0.25) * 0.7),
            "drift": (ahead * size * 0.05, swing(0.15) * size * 0.05, swing(0.12, 1) * 4.0),
        }
        return poses.get(self._motion, (0.0, 0.0, 0.0))

    def draw(self, frame: Image.Image, seconds: float) -> None:
        """Draw the object and, where it has one, its mirror picture."""
        right, down, turn = self._pose(seconds, frame.width)
        if self._mirror is not None:
            at = (round(self._foot[0] + right - self._mirror.width / 2), round(self._foot[1]))
            frame.paste(self._mirror, at, self._mirror)
        left = self._foot[0] + right - self._picture.width / 2
        top = self._foot[1] + down - self._picture.height
        if (right, down, turn) == (0, 0, 0):
            frame.paste(self._picture, (round(left), round(top)), self._picture)
            return
        pad = 2 + round(self._picture.height * abs(math.sin(math.radians(turn))) / 2)
        whole = (math.floor(left) - pad, math.floor(top) - pad)
        moved = _turned(self._picture, pad, (left - math.floor(left), top - math.floor(top)), turn)
        frame.paste(moved, whole, moved)


def _turned(picture: Image.Image, pad: int, shift: tuple[float, float], degrees: float) -> Image.Image:
    """Return the picture within a margin, moved by a part of a pixel and turned about its foot."""
    size = (picture.width + 2 * pad, picture.height + 2 * pad)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    middle, foot = picture.width / 2, picture.height * 0.9
    across, down = middle + pad + shift[0], foot + pad + shift[1]
    matrix = (cos, sin, middle - cos * across - sin * down, -sin, cos, foot + sin * across - cos * down)
    return picture.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
