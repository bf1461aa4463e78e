"""Makes an input picture what an offer takes: small enough, and of a type that it reads."""

import math
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from darkroom.artifacts import media
from darkroom.catalog.wires import PictureLimits

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 64 << 20
QUALITIES = (92, 85, 75)
SHRINK = 0.8
ROUNDS = 12
_NAMES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}


def fitted(path: Path, media_type: str, limits: PictureLimits) -> tuple[bytes, str]:
    """Return the bytes and media type of a picture within the limits: its own where they are; blocks.

    It is scaled with its ratio kept, then written anew: as it was where that is allowed, else with transparency where
    it has any.

    Raises:
        NotMedia: If it cannot be brought within the limits.
        OSError: If it cannot be read.
    """
    data = path.read_bytes()
    picture = media.open_picture(BytesIO(data), media_type, MAX_PIXELS)
    scale = _scale(picture.size, limits)
    if scale == 1 and media_type in limits.media_types and len(data) <= limits.max_bytes:
        return data, media_type
    media.load(picture)
    for _ in range(ROUNDS):
        for kind in _kinds(picture, media_type, limits):
            if kind == media_type == "image/png" and scale == 1 and len(data) > limits.max_bytes:
                continue  # writing it anew would not make it smaller
            for encoded in _encoded(_scaled(picture, scale), kind):
                if len(encoded) <= limits.max_bytes:
                    return encoded, kind
        scale *= SHRINK
        if min(picture.size) * scale < limits.min_side:
            break
    raise media.NotMedia(f"cannot be made smaller than {limits.max_bytes / 1e6:g} MB")


def _scale(size: tuple[int, int], limits: PictureLimits) -> float:
    """Return by how much the sides are to be multiplied."""
    width, height = size
    most = math.inf if limits.max_pixels is None else math.sqrt(limits.max_pixels / (width * height))
    largest = min(limits.max_side / max(size), most)
    wanted = max(1.0, limits.min_side / min(size))
    if wanted > largest and largest < limits.min_side / min(size):
        raise media.NotMedia(f"of {width}x{height} pixels does not fit between the provider's least and largest sides")
    return min(wanted, largest)


def _scaled(picture: "Image.Image", scale: float) -> "Image.Image":
    if scale == 1:
        return picture
    width, height = (
        max(1, math.floor(side * scale)) if scale < 1 else math.ceil(side * scale) for side in picture.size
    )
    whole = picture.convert("RGBA" if _has_alpha(picture) else "RGB") if picture.mode in ("P", "1", "LA") else picture
    return whole.resize((width, height), 1)  # 1: Lanczos


def _kinds(picture: "Image.Image", media_type: str, limits: PictureLimits) -> list[str]:
    """Return the types to try, best first; JPEG only where nothing shines through."""
    able = [kind for kind in limits.media_types if kind in _NAMES and (kind != "image/jpeg" or not _has_alpha(picture))]
    order = [media_type, "image/png", "image/jpeg", "image/webp"]  # WebP takes ten times as long as JPEG
    found = sorted(able, key=order.index)
    return found or ["image/jpeg"]


def _has_alpha(picture: "Image.Image") -> bool:
    return picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info


def _encoded(picture: "Image.Image", kind: str) -> Iterator[bytes]:
    """Yield a picture written in one type, best first; nothing is written that nobody asks for."""
    if kind == "image/png":
        whole = picture if picture.mode in ("L", "LA", "RGB", "RGBA", "P", "1") else picture.convert("RGB")
        yield _saved(whole, "PNG", optimize=False)
        return
    alpha = kind == "image/webp" and _has_alpha(picture)
    whole = picture.convert("RGBA" if alpha else "RGB")
    for quality in QUALITIES:
        yield _saved(whole, _NAMES[kind], quality=quality)


def _saved(picture: "Image.Image", kind: str, **how: int) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, icc_profile=picture.info.get("icc_profile"), **how)
    return buffer.getvalue()
