"""What a file really holds, found by decoding it: pictures here, clips in a child process."""

import base64
import contextlib
import functools
import json
import logging
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import anyio
import anyio.to_thread
from anyio.abc import Process

from darkroom.artifacts.base import MediaFacts
from darkroom.artifacts.sniff import CLIPS, FORMATS, HEAD, OUTPUT_TYPES, PICTURES, looks_like, media_type_of, text_of
from darkroom.artifacts.thumbnails import thumbnail_of

if TYPE_CHECKING:
    from types import ModuleType

    from PIL import Image

log = logging.getLogger(__name__)
MAX_OUTPUT_PIXELS = 89_478_485
"""Pillow's own bound against decompression bombs; the largest size that can be asked for has 67 million."""
PROBE_TIMEOUT_S = 20.0
MAX_ANSWER = 1 << 20
"""Bytes of a child's answer: a poster of 60 kB as base64, and a few numbers."""
_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
_TURNABLE = ("JPEG", "PNG", "WEBP", "AVIF")
_CHILD_VARIABLES = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "HOME", "USERPROFILE", "LANG")
_CHILD_PREFIXES = ("PYTHON", "LC_", "LD_", "DYLD_")


class NotMedia(Exception):
    """A file is not the media that it should be; the text goes after "it" in a sentence."""

    def __init__(self, reason: str, *, excerpt: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.excerpt = excerpt
        """The first 200 characters, where it is text."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What decoding a result gave."""

    facts: MediaFacts
    thumbnail: bytes | None
    """WebP; None where none could be drawn."""


async def examine(path: Path) -> Examined:
    """Decode a result: PNG, JPEG, WebP, GIF and AVIF here in a thread, MP4, MOV, WebM and MKV in a child process.

    A clip whose decoding does not end in time, or ends the decoder, has no size, duration or thumbnail.

    Raises:
        NotMedia: If it is something else, empty, damaged or too large.
        FileNotFoundError: If it is gone.
        OSError: If it cannot be read.
    """
    media_type = await anyio.to_thread.run_sync(_output_type, path)
    if media_type in CLIPS:
        return await _examine_clip(path, media_type)
    return await anyio.to_thread.run_sync(_examine_picture, path, media_type)


def _output_type(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise NotMedia("is no file")
    with path.open("rb") as file:
        head = file.read(HEAD)
    media_type = known_type(head)
    if media_type not in OUTPUT_TYPES:
        raise NotMedia(f"is {looks_like(head)}")
    return media_type


def known_type(head: bytes) -> str:
    """Return the media type that the first bytes show.

    Raises:
        NotMedia: If they are none, or of nothing that we know.
    """
    if not head:
        raise NotMedia("is empty")
    media_type = media_type_of(head)
    if media_type is None:
        raise NotMedia(f"looks like {looks_like(head)}", excerpt=text_of(head, 200))
    return media_type


def _examine_picture(path: Path, media_type: str) -> Examined:
    with path.open("rb") as file:
        picture = open_picture(file, media_type, MAX_OUTPUT_PIXELS)
        load(picture)
        facts = facts_of(picture, media_type)
        try:
            return Examined(facts, thumbnail_of(picture))
        except Exception:  # a mode that Pillow cannot convert: the picture is whole all the same
            return Examined(facts, None)


@functools.cache
def _pillow() -> "ModuleType":
    from PIL import Image

    # Set once for the process, since warning filters cannot be changed safely from threads.
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
    return Image


def open_picture(file: IO[bytes], media_type: str, max_pixels: int) -> "Image.Image":
    """Read a picture's header with the one decoder that its first bytes name; the pixels are not decoded.

    Raises:
        NotMedia: If the header is damaged or promises more than `max_pixels`.
    """
    pillow = _pillow()
    too_large = f"has more than {max_pixels >> 20} megapixels"
    try:
        picture: Image.Image = pillow.open(file, formats=(PICTURES[media_type].decoder,))
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning) as exc:
        raise NotMedia(too_large) from exc
    except Exception as exc:  # decoders of damaged data raise nearly every kind
        raise NotMedia("is cut off or damaged") from exc
    if picture.width * picture.height > max_pixels:
        raise NotMedia(too_large)
    return picture


def load(picture: "Image.Image") -> None:
    """Decode the pixels (of the first frame).

    Raises:
        NotMedia: If data is missing or damaged.
    """
    try:
        picture.load()
    except Exception as exc:  # as above
        raise NotMedia("is cut off or damaged") from exc


def facts_of(picture: "Image.Image", media_type: str) -> MediaFacts:
    """Return type and size, as a viewer shows it: turned where EXIF says so."""
    width, height = picture.size
    # Pillow's TIFF reader has turned the size already.
    if picture.format != "TIFF" and orientation_of(picture) in _SIDEWAYS:
        width, height = height, width
    return MediaFacts(media_type, FORMATS[media_type].extensions[0], width, height)


def is_clear(picture: "Image.Image") -> bool:
    """Return whether a decoded picture is transparent anywhere."""
    if picture.mode not in ("RGBA", "LA", "PA") and "transparency" not in picture.info:
        return False
    lowest, _ = picture.convert("RGBA").getchannel("A").getextrema()
    return isinstance(lowest, int | float) and lowest < 255


def orientation_of(picture: "Image.Image") -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none that can be read."""
    try:
        value: Any = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF data is no reason to refuse the picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright(picture: "Image.Image") -> bytes | None:
    """Return a still picture encoded anew where EXIF turns it, as providers ignore EXIF; None where it stays."""
    still = getattr(picture, "n_frames", 1) == 1 or picture.format == "MPO"
    kind = "JPEG" if picture.format == "MPO" else str(picture.format)
    if orientation_of(picture) == 1 or not still or kind not in _TURNABLE:
        return None
    from PIL import ImageOps

    buffer = BytesIO()
    turned = ImageOps.exif_transpose(picture)
    turned.save(buffer, kind, quality=95, icc_profile=picture.info.get("icc_profile"))
    return buffer.getvalue()


def _check_boxes(path: Path) -> None:
    """Refuse an MP4 or MOV whose boxes (ISO/IEC 14496-12, 4.2) go on past its end: players show what is left of it."""
    size = path.stat().st_size
    at = 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4])
            if length == 1:
                length = int.from_bytes(head[8:16])
            if length == 0:  # up to the end, whatever that is
                return
            if length < 8 or at + length > size:
                raise NotMedia("is cut off or damaged")
            at += length


async def _examine_clip(path: Path, media_type: str) -> Examined:
    if CLIPS[media_type].decoder == "mov":
        await anyio.to_thread.run_sync(_check_boxes, path)
    extension = CLIPS[media_type].extensions[0]
    found = await _run_child(path, CLIPS[media_type].decoder)
    if found is None:
        # A busy machine or a decoder at its bounds proves nothing against a clip that was paid for.
        log.warning("%s was not decoded within the bounds: it is kept unchecked, without size and poster", path.name)
        return Examined(MediaFacts(media_type, extension), None)
    if "error" in found:
        raise NotMedia(str(found["error"]))
    facts = MediaFacts(media_type, extension, found["width"], found["height"], found.get("duration"))
    poster: str | None = found.get("poster")
    return Examined(facts, base64.b64decode(poster) if poster else None)


async def _run_child(path: Path, demuxer: str) -> dict[str, Any] | None:
    """Decode a clip where a fault of native code harms nobody; None where the decoder died or took too long.

    The child is killed on timeout and cancellation.
    """
    # -P: the working folder is the host's, and nothing in it may pass for one of our modules.
    command = [sys.executable, "-P", "-m", "darkroom.artifacts.probe_video", str(path), demuxer]
    answer = b""
    # A cancellation in the middle of the start would leave a child that nobody ends: shielded until we hold it.
    with anyio.CancelScope(shield=True) as start:
        async with await anyio.open_process(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_child_environment()
        ) as child:
            start.shield = False
            answer = await _answer_of(child)
    try:
        return json.loads(answer)
    except ValueError:
        return None


async def _answer_of(child: Process) -> bytes:
    """Return what a child writes until it closes its output, and end it; nothing when it takes too long."""
    answer = b""
    assert child.stdout
    try:
        with anyio.move_on_after(PROBE_TIMEOUT_S):
            async for part in child.stdout:
                answer += part
                if len(answer) > MAX_ANSWER:
                    raise NotMedia("makes the decoder answer without end")
            return answer
    finally:
        # It has nothing more to say, whatever happened; one that has ended already cannot be signalled.
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    return b""


def _child_environment() -> dict[str, str]:
    """Return what Python needs to start, and no keys: the child reads what strangers sent."""
    names = (name for name in os.environ if name.upper() in _CHILD_VARIABLES or name.startswith(_CHILD_PREFIXES))
    return {name: os.environ[name] for name in names} | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
