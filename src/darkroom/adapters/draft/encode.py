"""Writes clips: H.264 and AAC in an mp4 whose index stands in front."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Protocol, cast

import av
import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray
from PIL import Image

from darkroom.adapters.draft.sound import RATE, Sound

_AUDIO_BLOCK = 1024
_BT709 = 1
"""BT.709 in the code points of ITU-T H.273: what players take video of these sizes for when nothing is said."""
_LIMITED = 1
"""FFmpeg's code of the range 16 to 235."""

Picture = Image.Image | NDArray[np.uint8]
"""RGB; arrays are height x width x 3."""


class SoundSource(Protocol):
    """Sound that is made while it is written."""

    def read(self, count: int) -> Sound:
        """Return the next samples, 2 x count; fewer only where the sound ends."""
        ...


class _Encoder(Protocol):
    """What we use of a stream; the library's own types are partly unknown."""

    def encode(self, frame: object) -> list[object]: ...


class _Muxer(Protocol):
    """What we use of an open file."""

    def mux(self, packets: object) -> None: ...


def write_clip(
    path: Path,
    frames: Iterator[Picture],
    size: tuple[int, int],
    fps: int | Fraction,
    sound: Sound | SoundSource | None,
    tags: dict[str, str],
    crf: int = 20,
) -> None:
    """Encode frames (`size` pixels, even) and sound (2 x samples, a source of such, or None) into a file.

    `crf` is x264's quality, lower is finer.
    """
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        container.metadata.update(tags)
        preset = {"preset": "superfast", "crf": str(crf)}
        video = container.add_stream("libx264", rate=fps, options=preset)  # pyright: ignore[reportUnknownMemberType] because the stub leaves options open
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        video.time_base = 1 / Fraction(fps)
        colours = video.codec_context
        colours.thread_count = 2
        colours.colorspace = colours.color_primaries = colours.color_trc = _BT709
        colours.color_range = _LIMITED
        audio = None
        if sound is not None:
            audio = container.add_stream("aac", rate=RATE, layout="stereo")  # pyright: ignore[reportUnknownMemberType] because the stub leaves options open
            audio.bit_rate = 128_000
        source = _Whole(sound) if isinstance(sound, np.ndarray) else sound
        track = _Track(cast("_Muxer", container), cast("_Encoder", video), cast("_Encoder | None", audio), source, fps)
        with ThreadPoolExecutor(1, "draft encoder") as encoder:
            last: Future[None] | None = None
            for number, picture in enumerate(frames):
                if last is not None:
                    last.result()
                last = encoder.submit(track.take, number, picture)
            if last is not None:
                last.result()
            encoder.submit(track.finish).result()


class _Whole:
    """Sound that is there as a whole."""

    def __init__(self, sound: Sound) -> None:
        self._sound, self._at = sound, 0

    def read(self, count: int) -> Sound:
        start, self._at = self._at, self._at + count
        return self._sound[:, start : self._at]


class _Track:
    """The encoders of one clip; used from one thread at a time, beside the one that paints."""

    def __init__(
        self,
        container: _Muxer,
        video: _Encoder,
        audio: _Encoder | None,
        sound: SoundSource | None,
        fps: int | Fraction,
    ) -> None:
        self._container, self._video, self._audio = container, video, audio
        self._sound, self._fps, self._at = sound, Fraction(fps), 0

    def take(self, number: int, picture: Picture) -> None:
        """Encode one frame and the sound that goes with it."""
        frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
        frame.pts = number
        frame.time_base = 1 / self._fps
        self._container.mux(self._video.encode(frame))
        until = round((number + 1) / self._fps * RATE)
        while self._at + _AUDIO_BLOCK <= until and self._say(_AUDIO_BLOCK):
            pass

    def finish(self) -> None:
        """Encode what is left."""
        while self._say(_AUDIO_BLOCK):
            pass
        if self._audio is not None:
            self._container.mux(self._audio.encode(None))
        self._container.mux(self._video.encode(None))

    def _say(self, count: int) -> bool:
        """Encode the next samples; False where the sound has ended, or there is none."""
        sound = None if self._sound is None else self._sound.read(count)
        if self._audio is None or sound is None or not sound.shape[1]:
            return False
        self._container.mux(self._audio.encode(_block(sound, self._at)))
        self._at += sound.shape[1]
        return True


def _block(sound: Sound, at: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound), format="fltp", layout="stereo")
    frame.sample_rate = RATE
    frame.pts = at
    frame.time_base = Fraction(1, RATE)
    return frame
