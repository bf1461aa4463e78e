"""Turns a call into a job for a worker, and refuses what the manifest cannot express."""

import hashlib
from collections.abc import Sequence
from typing import NoReturn

from darkroom.adapters.base import Call
from darkroom.adapters.draft.job import JOIN, Job, Part, Picture
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.request import SEEDS, Effective
from darkroom.domain.request import clip as shortened
from darkroom.errors import InvalidRequest

LEAST_SIDE, MOST_SIDE = 64, 2048
MOST_PICTURES = 4
MOST_SECONDS = 15.0
DEFAULT_SECONDS = 5.0
MOST_REFERENCES = 4
FORMATS = ("png", "webp", "jpeg")
RATES = (12, 24, 30)
FILM_RATES = (0, 12, 24, 25, 30, 50, 60)
"""0: that of the first clip."""
TRANSITIONS = ("cut", "fade")
METADATA = ("full", "minimal", "none")


def job_of(call: Call) -> Job:
    """Return the job that a call describes.

    Raises:
        InvalidRequest: If the draft engine cannot do it; nothing was started.
    """
    request = call.request
    if request.mode is Mode.JOIN_VIDEO:
        return _film_of(call)
    video = request.kind is Kind.VIDEO
    _check_size(request)
    _check_count(request)
    _check_inputs(call)
    parts = _parts(call) if request.mode is Mode.TIMELINE else ()
    seconds = sum(part.seconds for part in parts) if parts else request.duration or DEFAULT_SECONDS
    if video and seconds > MOST_SECONDS + 1e-6:
        _refuse(
            "duration",
            f"The draft engine makes clips of up to {MOST_SECONDS:g} seconds, not {seconds:g}.",
            f"up to {MOST_SECONDS:g} seconds",
        )
    return Job(
        task=call.submit_key,
        kind=request.kind.value,
        mode=request.mode.value,
        folder=str(call.scratch),
        prompt=request.prompt.encode("utf-8", "replace").decode("utf-8"),
        negative=request.negative_prompt,
        width=request.width,
        height=request.height,
        count=request.n,
        quality=request.quality.value if request.quality else "medium",
        format="mp4" if video else str(_option(request, "format", FORMATS, "png")),
        fps=int(str(_option(request, "fps", RATES, 24))),
        seconds=seconds,
        audio=request.audio is not False,
        seed=request.seed if request.seed is not None else (seed_of(request) + request.start) % SEEDS,
        metadata=str(_option(request, "_metadata", METADATA, "full")),
        inputs=tuple(Picture(str(blob.path), blob.role.value) for blob in call.inputs[: len(request.inputs)]),
        parts=parts,
    )


def _film_of(call: Call) -> Job:
    """Return the job that joins the clips of a call."""
    request = call.request
    _check_size(request)
    _check_count(request)
    clips = [(item, blob) for item, blob in zip(request.inputs, call.inputs, strict=True) if item.duration]
    if not clips or len(clips) < len(request.inputs) or any(blob.role is not Role.CLIP for _, blob in clips):
        _refuse("images", "A film is joined of clips that were looked at, and of nothing else.", "clip=… for each")
    parts = tuple(Part(shortened(item.name or ""), item.duration or 0, str(blob.path)) for item, blob in clips)
    return Job(
        task=call.submit_key,
        kind=JOIN,
        mode=request.mode.value,
        folder=str(call.scratch),
        prompt=request.prompt.encode("utf-8", "replace").decode("utf-8"),
        negative=None,
        width=request.width,
        height=request.height,
        count=1,
        quality="medium",
        format="mp4",
        fps=int(str(_option(request, "fps", FILM_RATES, 0))),
        seconds=sum(part.seconds for part in parts),
        audio=request.audio is not False,
        seed=0,
        metadata=str(_option(request, "_metadata", METADATA, "full")),
        parts=parts,
        transition=str(_option(request, "transition", TRANSITIONS, "cut")),
    )


def seed_of(request: Effective) -> int:
    """Return the seed of a request that names none: the same words, the same seed (32 bits)."""
    words = "\0".join([request.prompt, *(scene.prompt for scene in request.scenes)])
    return int.from_bytes(hashlib.sha256(words.encode("utf-8", "replace")).digest()[:4], "big")


def _refuse(field: str, message: str, allowed: Sequence[str] | str) -> NoReturn:
    raise InvalidRequest(message, field=field, allowed=allowed, hint="Nothing was started.")


def _option(request: Effective, name: str, allowed: Sequence[str | int], default: str | int) -> str | int:
    value = request.options.get(name, default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    for known in allowed:
        if value == known or (isinstance(value, str) and value.strip().lower() == str(known)):
            return known
    _refuse(
        f"options.{name}",
        f"options.{name} has no value that the draft engine knows.",
        [str(known) for known in allowed],
    )


def _check_size(request: Effective) -> None:
    if not all(LEAST_SIDE <= side <= MOST_SIDE for side in (request.width, request.height)):
        _refuse(
            "size",
            f"The draft engine cannot make {request.width}x{request.height}.",
            f"each side {LEAST_SIDE} to {MOST_SIDE} pixels",
        )


def _check_count(request: Effective) -> None:
    most = 1 if request.kind is Kind.VIDEO else MOST_PICTURES
    if request.n > most:
        _refuse("n", f"The draft engine makes at most {most} at a time.", f"1 to {most}")


def _check_inputs(call: Call) -> None:
    request = call.request
    roles = [blob.role for blob in call.inputs[: len(request.inputs)]]
    first = sum(role in {Role.SOURCE, Role.FIRST_FRAME} for role in roles)
    if request.mode is Mode.EDIT_IMAGE and roles.count(Role.SOURCE) != 1:
        _refuse("images", "An edit needs exactly one picture with the role source.", "one source")
    if request.mode is Mode.IMAGE_TO_VIDEO and first != 1:
        _refuse("images", "This clip needs exactly one first picture.", "one first_frame or source")
    if request.mode is Mode.FIRST_LAST_FRAME and (first > 1 or roles.count(Role.LAST_FRAME) != 1):
        _refuse("images", "This clip needs one first and one last picture.", "one first_frame, one last_frame")
    if Role.MASK in roles:
        _refuse("images", "The draft engine has no use for a mask.", "source, reference, first_frame, last_frame")
    if len(roles) - first - roles.count(Role.LAST_FRAME) > MOST_REFERENCES:
        _refuse(
            "images",
            f"The draft engine reads at most {MOST_REFERENCES} references.",
            f"up to {MOST_REFERENCES} references",
        )


def _parts(call: Call) -> tuple[Part, ...]:
    request = call.request
    pictures = iter(call.inputs[len(request.inputs) :])
    given = sum(scene.duration or 0 for scene in request.scenes)
    open_ended = sum(scene.duration is None for scene in request.scenes)
    share = 0.0
    if open_ended:
        whole = request.duration or DEFAULT_SECONDS
        share = (whole - given) / open_ended if whole - given >= 0.5 * open_ended else whole / len(request.scenes)
    parts: list[Part] = []
    for scene in request.scenes:
        blob = next(pictures, None) if scene.image is not None else None
        parts.append(Part(scene.prompt, scene.duration or share, str(blob.path) if blob else None))
    if not parts:
        _refuse("scenes", "A timeline needs at least one scene.", "1 to 20 scenes")
    return tuple(parts)
