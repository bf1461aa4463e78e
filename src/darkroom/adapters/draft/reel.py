"""One clip of a film: its header, its frames and its sound, read piece by piece on its own time from 0."""

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Colorspace, Interpolation
from numpy.typing import NDArray

from darkroom.adapters.draft.job import Part, Unfit
from darkroom.adapters.draft.sound import RATE, Sound

WHOLE = 0.8
"""Part of a clip's stated length that must be there, as for clips that are taken in."""
SLACK = RATE // 25
"""Samples by which sound may be off its time stamps: stamps in whole milliseconds are, and nobody hears it."""
_HD_LINES = 720
_UNSAID = 2
"""No word about colours; players take such video of this height and above for BT.709, and FFmpeg never does."""
_MOV = (".mp4", ".m4v", ".mov", ".qt")

Array = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Reel:
    """What the header of a clip says."""

    path: Path
    name: str
    """How errors call it."""
    seconds: float
    start: float
    """The time stamp at which its pictures begin."""
    fps: Fraction | None
    shape: Fraction
    """Width of a pixel for its height."""
    sounds: bool
    tags: dict[str, str]


def open_reel(part: Part, number: int) -> Reel:
    """Read the header of a clip, and see whether it is there to its end.

    Raises:
        Unfit: If it is gone, damaged or cut off; the message names the clip.
    """
    path = Path(str(part.image))
    name = f"Clip {number} ({part.prompt})" if part.prompt else f"Clip {number}"
    with _opened(path, name) as container:
        if not container.streams.video:
            raise unfit(name, "holds no picture")
        stream = container.streams.video[0]
        start = float(stream.start_time * stream.time_base) if stream.start_time is not None else 0.0
        rate = stream.average_rate or stream.guessed_rate
        reel = Reel(
            path=path,
            name=name,
            seconds=part.seconds,
            start=start,
            fps=Fraction(rate) if rate else None,
            shape=Fraction(stream.sample_aspect_ratio or 1),
            sounds=bool(container.streams.audio),
            tags=dict(container.metadata),
        )
        if _end(container) - start < WHOLE * part.seconds:
            raise unfit(name, "is cut off")
    return reel


def unfit(name: str, why: str) -> Unfit:
    """Return the error of a clip that cannot be joined."""
    return Unfit(f"{name} {why}.", "Nothing was charged. Give that clip whole, or join the others without it.")


@contextlib.contextmanager
def _opened(path: Path, name: str) -> Generator[Any]:
    demuxer = "mov" if path.suffix in _MOV else "matroska"
    try:
        # A file object and a named demuxer: nothing in a clip may make FFmpeg open other files or addresses.
        with path.open("rb") as file, av.open(file, mode="r", format=demuxer) as container:
            yield container
    except FileNotFoundError as error:
        raise unfit(name, "is no longer kept") from error
    except (FFmpegError, OSError, ValueError) as error:
        raise unfit(name, "is cut off or damaged") from error


def _end(container: Any) -> float:
    """Return the time stamp at which pictures and sound end, without decoding."""
    end = 0.0
    for packet in container.demux([*container.streams.video, *container.streams.audio]):
        if packet.pts is not None and packet.size:
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return end


def _frames(reel: Reel) -> Iterator[tuple[float, Any]]:
    """Yield each frame with its time in seconds."""
    usual = float(reel.fps or 24)
    with _opened(reel.path, reel.name) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 2
        for number, frame in enumerate(container.decode(stream)):
            yield number / usual if frame.time is None else frame.time - reel.start, frame


def pictures(reel: Reel, size: tuple[int, int], fps: Fraction, count: int) -> Iterator[Array]:
    """Yield `count` pictures (RGB, `size` pixels) at a frame rate: of each moment the frame that is nearest before it.

    Raises:
        Unfit: If it cannot be decoded.
    """
    source = _frames(reel)
    with contextlib.closing(cast("Generator[tuple[float, Any]]", source)):
        shown, following = next(source, None), next(source, None)
        if shown is None:
            raise unfit(reel.name, "holds no picture")
        picture = fitted(shown[1], size, reel.shape)
        for number in range(count):
            now = (number + 0.5) / float(fps) - 1e-6
            late = shown
            while following is not None and following[0] < now:
                late, following = following, next(source, None)
            if late is not shown:
                shown, picture = late, fitted(late[1], size, reel.shape)
            yield picture


def fitted(frame: Any, size: tuple[int, int], shape: Fraction) -> Array:
    """Return a frame as RGB, upright, as large as it fits into `size` (width, height), on black."""
    turned = int(getattr(frame, "rotation", 0)) % 360
    wide, high = float(frame.width * shape), float(frame.height)
    across, down = size if turned % 180 == 0 else size[::-1]
    scale = min(across / wide, down / high)
    inner = (min(across, max(2, round(wide * scale))), min(down, max(2, round(high * scale))))
    unsaid = frame.colorspace == _UNSAID and frame.height >= _HD_LINES
    scaled = frame.reformat(
        *inner,
        format="rgb24",
        src_colorspace=Colorspace.ITU709 if unsaid else None,
        interpolation=Interpolation.BICUBIC,
    )
    picture: Array = np.ascontiguousarray(np.rot90(scaled.to_ndarray(), turned // 90))
    height, width = picture.shape[:2]
    if (width, height) == size:
        return picture
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    canvas[top : top + height, left : left + width] = picture
    return canvas


def sound_of(reel: Reel) -> Iterator[Sound]:
    """Yield the sound of a clip from its first picture on: 2 x samples, in pieces, gaps as silence.

    Raises:
        Unfit: If it cannot be decoded.
    """
    heard, skip = 0.0, 0
    first = True
    with _opened(reel.path, reel.name) as container:
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        for frame in container.decode(container.streams.audio[0]):
            begins = heard if frame.time is None else (frame.time - reel.start) * RATE
            if first or abs(begins - heard) > SLACK:
                gap, heard, first = round(begins - heard), begins, False
                skip += max(0, -gap)
                yield from silence(gap)
            heard += frame.samples * RATE / frame.sample_rate
            for part in resampler.resample(frame):
                samples = cast("Sound", part.to_ndarray())
                yield samples[:, skip:]
                skip = max(0, skip - samples.shape[1])
        for part in resampler.resample(None):
            yield cast("Sound", part.to_ndarray())[:, skip:]


def silence(count: int) -> Iterator[Sound]:
    """Yield so many samples of silence, at most a second at a time."""
    while count > 0:
        yield np.zeros((2, min(count, RATE)), np.float32)
        count -= RATE
