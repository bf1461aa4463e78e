"""Joins finished clips to one film: one size, one frame rate, each clip's own sound; never held as a whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np

from darkroom.adapters.draft import marks
from darkroom.adapters.draft.encode import write_clip
from darkroom.adapters.draft.job import MEDIA_TYPES, Done, Job
from darkroom.adapters.draft.reel import Array, Reel, open_reel, pictures, silence, sound_of
from darkroom.adapters.draft.sound import RATE, Sound
from darkroom.adapters.draft.still import Report

USUAL_FPS = Fraction(24)
LEAST_FPS, MOST_FPS = 1, 60
DIP_S = 0.15
"""Seconds in which a clip goes to black at its end, and comes out of it at its start."""
CLICK_S = 0.003
"""The same for the sound alone where one clip is cut to the next, which would click."""
CRF = 18
"""Finer than drafts are: the clips were encoded once already."""


@dataclass(frozen=True, slots=True)
class _Span:
    """A clip on the time of the film, in frames."""

    reel: Reel
    number: int
    first: int
    end: int
    after: bool
    """Another clip is before it."""
    before: bool
    """Another clip follows it."""

    @property
    def count(self) -> int:
        return self.end - self.first


def make_film(job: Job, report: Report) -> Done:
    """Join the clips of a job into one file.

    Raises:
        Unfit: If a clip cannot be read to its end; the message names it.
    """
    reels: list[Reel] = []
    for number, part in enumerate(job.parts, 1):
        report(0.0, f"looking at clip {number} of {len(job.parts)}")
        reels.append(open_reel(part, number))
    fps = Fraction(job.fps) if job.fps else rate_of(reels[0])
    spans = _spans(reels, fps)
    size = (job.width - job.width % 2, job.height - job.height % 2)
    heard = job.audio and any(reel.sounds for reel in reels)
    name = Path(job.folder) / "film-1.mp4"
    part_name = name.with_name(f".{name.name}.part")
    try:
        write_clip(
            part_name,
            _frames(job, spans, size, fps, report),
            size,
            fps,
            _Soundtrack(_sounds(job, spans, fps)) if heard else None,
            marks.film_metadata(job, [reel.tags for reel in reels]),
            crf=CRF,
        )
        part_name.replace(name)
    finally:
        part_name.unlink(missing_ok=True)
    return Done(((str(name), MEDIA_TYPES["mp4"]),), job.seed, (), ())


def rate_of(reel: Reel) -> Fraction:
    """Return the frame rate of a film whose first clip that is."""
    if reel.fps is None or reel.fps < LEAST_FPS:
        return USUAL_FPS
    # Cameras that skip frames have rates like 29.963; a film has one that players know how to time.
    return min(Fraction(MOST_FPS), reel.fps.limit_denominator(1001))


def _spans(reels: list[Reel], fps: Fraction) -> list[_Span]:
    """Lay the clips end to end; rounding the sums and not the clips, nothing drifts however many there are."""
    ends = [round(Fraction(seconds) * fps) for seconds in accumulate(reel.seconds for reel in reels)]
    ends[-1] = max(1, ends[-1])
    last = len(reels) - 1
    return [
        _Span(reel, at + 1, ends[at - 1] if at else 0, ends[at], after=at > 0, before=at < last)
        for at, reel in enumerate(reels)
    ]


def _frames(job: Job, spans: list[_Span], size: tuple[int, int], fps: Fraction, report: Report) -> Iterator[Array]:
    total = spans[-1].end
    for span in spans:
        dip = min(DIP_S, span.count / float(fps) / 2) if job.transition == "fade" else 0.0
        for number, picture in enumerate(pictures(span.reel, size, fps, span.count)):
            done = span.first + number
            report(done / total, f"frame {done} of {total}, clip {span.number} of {len(spans)}")
            light = min(
                (number + 0.5) / float(fps) / dip if span.after and dip else 1.0,
                (span.count - number - 0.5) / float(fps) / dip if span.before and dip else 1.0,
            )
            yield picture if light >= 1 else (picture * np.float32(light)).astype(np.uint8)


def _sounds(job: Job, spans: list[_Span], fps: Fraction) -> Iterator[Sound]:
    """Yield the sound of the film; each clip's begins with its first frame and ends with its last one."""
    ramp_s = DIP_S if job.transition == "fade" else CLICK_S
    for span in spans:
        first, end = (round(frame / fps * RATE) for frame in (span.first, span.end))
        count, at = end - first, 0
        ramp = max(1, min(round(ramp_s * RATE), count // 2))
        for piece in _filled(span.reel, count):
            part = piece[:, : count - at]
            place = np.arange(at, at + part.shape[1], dtype=np.float32)
            level = np.ones_like(place)
            if span.after:
                level = np.minimum(level, place / ramp)
            if span.before:
                level = np.minimum(level, (count - 1 - place) / ramp)
            at += part.shape[1]
            yield part * level
            if at >= count:
                break


def _filled(reel: Reel, count: int) -> Iterator[Sound]:
    """Yield a clip's sound, and silence for what is missing of `count` samples."""
    at = 0
    if reel.sounds:
        for piece in sound_of(reel):
            at += piece.shape[1]
            yield piece
    yield from silence(count - at)


class _Soundtrack:
    """Hands on sound in pieces of the size that the encoder takes."""

    def __init__(self, pieces: Iterator[Sound]) -> None:
        self._pieces = pieces
        self._rest: Sound = np.zeros((2, 0), np.float32)

    def read(self, count: int) -> Sound:
        while self._rest.shape[1] < count and (piece := next(self._pieces, None)) is not None:
            self._rest = np.concatenate([self._rest, piece], axis=1)
        part, self._rest = self._rest[:, :count], self._rest[:, count:]
        return part
