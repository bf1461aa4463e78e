"""Makes the pictures of an image job."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from darkroom.adapters.draft import lettering, marks, pixels, scene
from darkroom.adapters.draft.grade import Grade
from darkroom.adapters.draft.job import MEDIA_TYPES, Done, Job, Unfit
from darkroom.adapters.draft.parser import parse
from darkroom.adapters.draft.spec import Rgb, SceneSpec

Report = Callable[[float, str], None]
"""Tells how far the job is (0 to 1) and what it does; raises `Cancelled` when it is called off."""

_SCALE = {"low": 0.75, "high": 1.5, "max": 1.5}
_MOST_PIXELS = 2048 * 2048
"""Scenes are never painted larger than this."""
_REFERENCES = {"reference", "style", "logo", "character", "face", "product"}


def load_inputs(job: Job) -> list[tuple[str, Image.Image]]:
    """Return (role, picture) of each input.

    Raises:
        Unfit: If one cannot be read; the message says which.
    """
    found: list[tuple[str, Image.Image]] = []
    for number, entry in enumerate(job.inputs, 1):
        found.append((entry.role, load_picture(entry.path, f"Input {number}")))
    return found


def load_picture(path: str, name: str) -> Image.Image:
    """Read one picture, the mark of an earlier draft covered; `name` is what the error calls it."""
    try:
        picture = scene.open_picture(Path(path))
    except scene.UnreadablePicture as error:
        raise Unfit(f"{name} is not a picture that can be read: {error}") from error
    drafted = marks.ENGINE in f"{picture.info.get('Software')} {picture.info.get('xmp')}"
    return lettering.unmarked(picture) if drafted else picture


def palette_of(inputs: list[tuple[str, Image.Image]]) -> tuple[Rgb, ...]:
    """Return the colours of the reference pictures, from dark to light, at most eight."""
    colours = [colour for role, picture in inputs if role in _REFERENCES for colour in pixels.dominant(picture, 4)]
    return tuple(sorted(colours, key=pixels.luma))[:8]


def working_size(job: Job) -> tuple[int, int]:
    """Return the size that a scene is painted in, by quality."""
    scale = _SCALE.get(job.quality, 1.0)
    if scale > 1:
        scale = max(1.0, min(scale, (_MOST_PIXELS / (job.width * job.height)) ** 0.5))
    return max(48, round(job.width * scale)), max(48, round(job.height * scale))


def make_stills(job: Job, report: Report) -> Done:
    """Render and write all pictures of a job."""
    spec = parse(job.prompt, job.negative)
    inputs = load_inputs(job)
    source = next((picture for role, picture in inputs if role == "source"), None) if job.mode == "edit_image" else None
    palette = palette_of(inputs)
    files: list[tuple[str, str]] = []
    for number in range(job.count):
        report(number / job.count, f"picture {number + 1} of {job.count}")
        picture = _picture(job, spec, source, palette, job.seed + number)
        name = Path(job.folder) / f"draft-{number + 1}.{job.format}"
        part = name.with_name(f".{name.name}.part")
        try:
            marks.save_picture(picture, part, job, job.seed + number)
            Path(part).replace(name)
        finally:
            part.unlink(missing_ok=True)
        files.append((str(name), MEDIA_TYPES[job.format]))
    return Done(tuple(files), job.seed, spec.understood, spec.not_understood)


def _picture(job: Job, spec: SceneSpec, source: Image.Image | None, palette: tuple[Rgb, ...], seed: int) -> Image.Image:
    size = working_size(job)
    if source is None:
        stage = scene.build(spec, size, seed)
    else:
        stage = scene.from_picture(source, spec, size, seed, restyle=True)
        palette = palette or _asked_palette(spec)
    picture = stage.frame(0.0)
    del stage
    final = (job.width, job.height)
    if picture.size != final:
        picture = picture.resize(final, Image.Resampling.LANCZOS)
    picture = Grade(final, spec, palette, np.random.default_rng(seed)).apply(picture, still=True)
    return finish(picture, spec if source is None or spec.text else None)


def _asked_palette(spec: SceneSpec) -> tuple[Rgb, ...]:
    if len(spec.colours) != 1:
        return spec.colours
    return pixels.shade(spec.colours[0], 0.35), spec.colours[0], pixels.mix(spec.colours[0], (255, 255, 255), 0.75)


def finish(picture: Image.Image, spec: SceneSpec | None) -> Image.Image:
    """Set the scene's type and the draft mark onto a graded picture."""
    sheet = lettering.overlay(picture.size, spec, picture) if spec else None
    if sheet is not None:
        picture.paste(sheet, (0, 0), sheet)
    sign, at = lettering.mark(picture.size)
    picture.paste(sign, at, sign)
    return picture
