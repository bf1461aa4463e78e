"""Makes the clip of a video job: shots, camera, cross-fades, sound."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from darkroom.adapters.draft import lettering, marks, scene
from darkroom.adapters.draft.encode import write_clip
from darkroom.adapters.draft.grade import Grade
from darkroom.adapters.draft.job import MEDIA_TYPES, Done, Job
from darkroom.adapters.draft.parser import parse
from darkroom.adapters.draft.sound import Sound, ambience
from darkroom.adapters.draft.spec import Rgb, SceneSpec
from darkroom.adapters.draft.stage import Stage
from darkroom.adapters.draft.still import Report, load_inputs, load_picture, palette_of

OVERSCAN = 1.12
"""How much larger than the clip a painted stage is, so that the camera has room."""
PICTURE_OVERSCAN = 1.22
"""The same for supplied pictures, where the camera is all that moves."""
FADE_S = 0.5
"""Seconds of a cross-fade between scenes."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Shot:
    """One piece of the clip; `make` builds its stage when it is reached."""

    spec: SceneSpec
    seconds: float
    make: Callable[[], Stage]
    camera: str
    seed: int


def camera_box(camera: str, part: float, stage: tuple[int, int], overscan: float) -> Box:
    """Return the piece of the stage that the camera sees; `part` from 0 to 1."""
    width, height = stage
    ease = part * part * (3 - 2 * part) * 0.6 + part * 0.4
    small = 1 / overscan
    zoom, across, down = small, 0.5, 0.5
    if camera in {"zoom_in", "zoom_out"}:
        share = ease if camera == "zoom_in" else 1 - ease
        zoom = 1 - (1 - small) * share
    elif camera in {"pan_left", "pan_right"}:
        across = ease if camera == "pan_right" else 1 - ease
    elif camera in {"tilt_up", "tilt_down"}:
        down = ease if camera == "tilt_down" else 1 - ease
    elif camera == "orbit":
        across, zoom = 0.5 - 0.5 * float(np.cos(np.pi * ease)), small * (1 + 0.04 * float(np.sin(np.pi * ease)))
    elif camera != "static":
        zoom, across = 1 - (1 - small) * (0.25 + 0.55 * ease), 0.4 + 0.2 * ease
    seen = (width * zoom, height * zoom)
    left, top = (width - seen[0]) * across, (height - seen[1]) * down
    return left, top, left + seen[0], top + seen[1]


class _Projector:
    """Turns a shot into finished frames."""

    def __init__(self, shot: Shot, size: tuple[int, int], palette: tuple[Rgb, ...], *, supplied: bool) -> None:
        self._shot, self._size = shot, size
        self._stage = shot.make()
        self._overscan = PICTURE_OVERSCAN if supplied else OVERSCAN
        self._grade = Grade(size, shot.spec, palette, np.random.default_rng(shot.seed))
        self._mark = lettering.mark(size)
        self._type: Image.Image | None = None
        self._set = supplied and not shot.spec.text

    def frame(self, seconds: float) -> Image.Image:
        part = min(1.0, seconds / self._shot.seconds)
        stage = (self._stage.width, self._stage.height)
        box = camera_box(self._shot.camera, part, stage, self._overscan)
        picture = self._stage.frame(seconds).resize(self._size, Image.Resampling.BILINEAR, box=box)
        picture = self._grade.apply(picture, still=False)
        if not self._set:
            self._type, self._set = lettering.overlay(self._size, self._shot.spec, picture), True
        if self._type is not None:
            picture.paste(self._type, (0, 0), self._type)
        picture.paste(self._mark[0], self._mark[1], self._mark[0])
        return picture


def _staged(spec: SceneSpec, size: tuple[int, int], seed: int) -> Callable[[], Stage]:
    large = (round(size[0] * OVERSCAN), round(size[1] * OVERSCAN))
    return lambda: scene.build(spec, large, seed)


def _pictured(picture: Image.Image, spec: SceneSpec, size: tuple[int, int], seed: int) -> Callable[[], Stage]:
    large = (round(size[0] * PICTURE_OVERSCAN), round(size[1] * PICTURE_OVERSCAN))
    return lambda: scene.from_picture(picture, spec, large, seed, restyle=False)


def _shots(job: Job, size: tuple[int, int]) -> tuple[list[tuple[Shot, bool]], tuple[Rgb, ...], SceneSpec]:
    """Return (shot, made of a supplied picture) in order, the palette, and the spec of the whole."""
    spec = parse(job.prompt, job.negative)
    if job.mode == "timeline":
        return [_scene_shot(job, number, size) for number in range(len(job.parts))], (), spec
    inputs = load_inputs(job)
    by_role = dict(reversed(inputs))
    first = by_role.get("first_frame") or by_role.get("source")
    last = by_role.get("last_frame")
    if job.mode == "first_last_frame" and last is not None:
        pictures = [first, last] if first is not None else [last]
        cameras = ["zoom_in", "zoom_out"] if not spec.camera else [spec.camera] * 2
        each = job.seconds / len(pictures)
        shots = [
            Shot(spec, each, _pictured(picture, spec, size, job.seed), camera, job.seed)
            for picture, camera in zip(pictures, cameras, strict=False)
        ]
        return [(shot, True) for shot in shots], (), spec
    if job.mode == "image_to_video" and first is not None:
        shot = Shot(spec, job.seconds, _pictured(first, spec, size, job.seed), spec.camera or "zoom_in", job.seed)
        return [(shot, True)], (), spec
    shot = Shot(spec, job.seconds, _staged(spec, size, job.seed), spec.camera, job.seed)
    return [(shot, False)], palette_of(inputs), spec


def _scene_shot(job: Job, number: int, size: tuple[int, int]) -> tuple[Shot, bool]:
    part = job.parts[number]
    spec, seed = parse(part.prompt or job.prompt, job.negative), job.seed + number
    if part.image is None:
        return Shot(spec, part.seconds, _staged(spec, size, seed), spec.camera, seed), False
    picture = load_picture(part.image, f"The picture of scene {number + 1}")
    return Shot(spec, part.seconds, _pictured(picture, spec, size, seed), spec.camera or "zoom_in", seed), True


def _frames(
    job: Job, shots: list[tuple[Shot, bool]], palette: tuple[Rgb, ...], size: tuple[int, int], report: Report
) -> Iterator[Image.Image]:
    """Yield all frames; a shot goes on for `FADE_S` under the start of the next one."""
    ends = np.cumsum([shot.seconds for shot, _ in shots])
    total = max(1, round(float(ends[-1]) * job.fps))
    fade = min(FADE_S, *(shot.seconds / 2 for shot, _ in shots)) if len(shots) > 1 else 0.0
    if job.mode == "first_last_frame":
        fade = min(shot.seconds for shot, _ in shots) * 0.8
    current, before, index = None, None, -1
    for number in range(total):
        report(number / total, f"frame {number} of {total}")
        now = number / job.fps
        wanted = min(len(shots) - 1, int(np.searchsorted(ends, now + 1e-9, side="right")))
        if wanted != index:
            before, index = current, wanted
            current = _Projector(shots[index][0], size, palette, supplied=shots[index][1])
        assert current is not None
        start = float(ends[index - 1]) if index else 0.0
        picture = current.frame(now - start)
        if before is not None and now - start < fade:
            older = before.frame(now - start + shots[index - 1][0].seconds)
            picture = Image.blend(older, picture, (now - start) / fade)
        else:
            before = None
        yield picture


def _sound(job: Job, shots: list[tuple[Shot, bool]]) -> Sound | None:
    if not job.audio:
        return None
    parts = [ambience(shot.spec, shot.seconds, shot.seed) for shot, _ in shots]
    return np.concatenate(parts, axis=1)


def make_clip(job: Job, report: Report) -> Done:
    """Render and write the clip of a job."""
    size = (max(16, job.width - job.width % 2), max(16, job.height - job.height % 2))
    shots, palette, spec = _shots(job, size)
    specs = [shot.spec for shot, _ in shots] if job.mode == "timeline" else [spec]
    name = Path(job.folder) / "draft-1.mp4"
    part = name.with_name(f".{name.name}.part")
    try:
        write_clip(
            part,
            _frames(job, shots, palette, size, report),
            size,
            job.fps,
            _sound(job, shots),
            marks.clip_metadata(job),
        )
        Path(part).replace(name)
    finally:
        part.unlink(missing_ok=True)
    understood = tuple(dict.fromkeys(word for spec in specs for word in spec.understood))
    missed = tuple(dict.fromkeys(word for spec in specs for word in spec.not_understood))
    return Done(((str(name), MEDIA_TYPES["mp4"]),), job.seed, understood, missed)
