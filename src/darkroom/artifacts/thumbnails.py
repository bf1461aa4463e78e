"""Small pictures for answers; imported by the child process too, so it imports nothing at the top."""

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

MAX_SIDE = 512
MAX_BYTES = 60_000
_SIDES = (512, 448, 384, 320, 256, 192, 128)
_QUALITIES = (80, 60, 40)


def thumbnail_of(picture: "Image.Image") -> bytes:
    """Return a WebP of at most 512 pixels a side and 60,000 bytes: first the quality gives way, then the size.

    The picture itself is shrunk on the way: a copy of a large one would take as much memory again.
    """
    picture = _drawable(picture)
    data = b""
    for side in _SIDES:
        picture.thumbnail((side, side))
        for quality in _QUALITIES:
            buffer = BytesIO()
            picture.save(buffer, "WEBP", quality=quality, method=4)
            data = buffer.getvalue()
            if len(data) <= MAX_BYTES:
                return data
    # 128 pixels of pure noise at the lowest quality are about 8 kB: never reached, but an answer is due.
    return data


def _drawable(picture: "Image.Image") -> "Image.Image":
    """Return the picture small, upright, and in a mode that WebP has."""
    from PIL import ImageOps

    if picture.mode in ("P", "PA", "1"):
        # Numbers of colours cannot be averaged.
        picture = picture.convert("RGBA")
    # Before turning and converting, which then cost a fraction; still sharp enough for every size above.
    picture.thumbnail((MAX_SIDE * 2, MAX_SIDE * 2))
    small = ImageOps.exif_transpose(picture)
    if small.mode.startswith("I"):
        # 16 bits a pixel: a plain conversion would clip nearly all of it to white.
        small = small.convert("I").point(lambda value: value / 256).convert("L")
    transparent = small.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in small.info
    return small.convert("RGBA" if transparent else "RGB")
