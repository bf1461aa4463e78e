"""Decode a clip: run as `python -m darkroom.artifacts.probe_video FILE DEMUXER`, answers with one line of JSON.

`{"width": 1280, "height": 720, "duration": 5.0, "poster": "<base64 WebP>"}` or `{"error": "holds no picture"}`, the
error's words going after "it". Its own process, with bounds on memory and time, since decoders are native code and the
file is a stranger's.
"""

import base64
import contextlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from darkroom.artifacts.thumbnails import thumbnail_of

if TYPE_CHECKING:
    from PIL import Image

MEMORY = 2 << 30
CPU_S = 60
MAX_PIXELS = 64 << 20
LOOK = 240
"""Frames to look through for one that is not black."""
BLACK = 16.0
"""Mean brightness of 255 up to which a frame counts as black."""
WHOLE = 0.8
"""Part of the stated duration that must be there: the rest is rounding, or a sound track that is longer."""


class _Refused(Exception):
    pass


def limit_self() -> None:
    """Bound memory, processor time and core files, where the system can."""
    try:
        import resource
    except ImportError:  # Windows: the parent's timeout remains
        return
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_CORE, 0)):
        # macOS refuses some bounds, and a stricter one may hold already.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def look_at(path: Path, demuxer: str) -> dict[str, Any]:
    """Return size, duration and poster of a clip."""
    import av
    import av.logging

    av.logging.set_level(av.logging.PANIC)
    # A file object and a named demuxer: text that would make FFmpeg fetch other files or addresses is no clip then.
    with path.open("rb") as file, av.open(file, mode="r", format=demuxer) as container:
        if not container.streams.video:
            raise _Refused("holds no picture")
        stream = container.streams.video[0]
        if stream.width * stream.height > MAX_PIXELS:
            raise _Refused(f"has more than {MAX_PIXELS >> 20} megapixels")
        stream.codec_context.thread_count = 2
        duration = _duration(container, stream)
        frame, turned = _first_bright(container.decode(stream))
    end = _end(path, demuxer)
    if duration and end < WHOLE * duration:
        raise _Refused("is cut off")
    # What was recorded live often states no duration.
    duration = duration or end
    width, height = (stream.height, stream.width) if turned % 180 else (stream.width, stream.height)
    poster = frame.rotate(turned, expand=True) if turned else frame
    return {
        "width": width,
        "height": height,
        "duration": round(duration, 3) if duration else None,
        "poster": base64.b64encode(thumbnail_of(poster)).decode(),
    }


def _duration(container: Any, stream: Any) -> float | None:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration else None


def _first_bright(frames: Iterable[Any]) -> "tuple[Image.Image, int]":
    """Return the first frame that is not black (the brightest when all are) and its rotation in degrees."""
    from PIL import ImageStat

    best, brightest = None, -1.0
    for number, frame in enumerate(frames, start=1):
        small = frame.to_image(width=64, height=64)
        brightness = ImageStat.Stat(small.convert("L")).mean[0]
        if brightness > brightest:
            best, brightest = frame, brightness
        if brightness > BLACK or number >= LOOK:
            break
    if best is None:
        raise _Refused("holds no picture")
    return best.to_image(), int(getattr(best, "rotation", 0))


def _end(path: Path, demuxer: str) -> float:
    """Return the time at which pictures and sound end, by reading the file through without decoding it."""
    import av
    from av.error import FFmpegError

    end = 0.0
    # A damaged packet ends the reading: what came before it counts.
    with (
        contextlib.suppress(FFmpegError),
        path.open("rb") as file,
        av.open(file, mode="r", format=demuxer) as container,
    ):
        for packet in container.demux([*container.streams.video, *container.streams.audio]):
            if packet.pts is not None and packet.size:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return end


def main(path: str, demuxer: str) -> None:
    """Write the answer to stdout."""
    limit_self()
    try:
        answer = look_at(Path(path), demuxer)
    except _Refused as exc:
        answer = {"error": str(exc)}
    except Exception:  # native decoders of damaged data raise nearly every kind
        answer = {"error": "is cut off or damaged"}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:3])
