"""Writes clips: H.264 and AAC in an mp4 whose index stands in front."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Protocol, cast

import av
import numpy as np
from PIL import Image

from darkroom.adapters.draft.sound import RATE, Sound

_AUDIO_BLOCK = 1024


class _Encoder(Protocol):
    """What we use of a stream; the library's own types are partly unknown."""

    def encode(self, frame: object) -> list[object]: ...


class _Muxer(Protocol):
    """What we use of an open file."""

    def mux(self, packets: object) -> None: ...


def write_clip(
    path: Path,
    frames: Iterator[Image.Image],
    size: tuple[int, int],
    fps: int,
    sound: Sound | None,
    tags: dict[str, str],
) -> None:
    """Encode frames (RGB, `size` pixels, even) and sound (2 x samples, or None) into a file."""
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        container.metadata.update(tags)
        preset = {"preset": "superfast", "crf": "20"}
        video = container.add_stream("libx264", rate=fps, options=preset)  # pyright: ignore[reportUnknownMemberType] because the stub leaves options open
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        video.time_base = Fraction(1, fps)
        video.codec_context.thread_count = 2
        audio = None
        if sound is not None:
            audio = container.add_stream("aac", rate=RATE, layout="stereo")  # pyright: ignore[reportUnknownMemberType] because the stub leaves options open
            audio.bit_rate = 128_000
        track = _Track(cast("_Muxer", container), cast("_Encoder", video), cast("_Encoder | None", audio), sound, fps)
        with ThreadPoolExecutor(1, "draft encoder") as encoder:
            last: Future[None] | None = None
            for number, picture in enumerate(frames):
                if last is not None:
                    last.result()
                last = encoder.submit(track.take, number, picture)
            if last is not None:
                last.result()
            encoder.submit(track.finish).result()


class _Track:
    """The encoders of one clip; used from one thread at a time, beside the one that paints."""

    def __init__(
        self,
        container: _Muxer,
        video: _Encoder,
        audio: _Encoder | None,
        sound: Sound | None,
        fps: int,
    ) -> None:
        self._container, self._video, self._audio = container, video, audio
        self._sound, self._fps, self._at = sound, fps, 0

    def take(self, number: int, picture: Image.Image) -> None:
        """Encode one frame and the sound that goes with it."""
        frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
        frame.pts = number
        frame.time_base = Fraction(1, self._fps)
        self._container.mux(self._video.encode(frame))
        if self._audio is not None and self._sound is not None:
            until = min(self._sound.shape[1], round((number + 1) / self._fps * RATE))
            while self._at + _AUDIO_BLOCK <= until:
                self._container.mux(self._audio.encode(_block(self._sound, self._at)))
                self._at += _AUDIO_BLOCK

    def finish(self) -> None:
        """Encode what is left."""
        if self._audio is not None and self._sound is not None:
            if self._at < self._sound.shape[1]:
                self._container.mux(self._audio.encode(_block(self._sound, self._at)))
            self._container.mux(self._audio.encode(None))
        self._container.mux(self._video.encode(None))


def _block(sound: Sound, at: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(sound[:, at : at + _AUDIO_BLOCK]), format="fltp", layout="stereo"
    )
    frame.sample_rate = RATE
    frame.pts = at
    frame.time_base = Fraction(1, RATE)
    return frame
