"""What travels between the adapter and its worker processes, as JSON lines."""

import json
from dataclasses import asdict, dataclass
from typing import Any, cast

JOIN = "join"
"""The kind of jobs that join clips."""
IDLE_S = 60.0
"""Seconds without work after which a worker ends itself."""
MEDIA_TYPES = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg", "mp4": "video/mp4"}


@dataclass(frozen=True, slots=True)
class Picture:
    """An input file and its role (a value of `Role`)."""

    path: str
    role: str


@dataclass(frozen=True, slots=True)
class Part:
    """One scene of a timeline, or one clip of a film."""

    prompt: str
    seconds: float
    image: str | None = None
    """A file: the picture of the scene, or the clip itself."""


@dataclass(frozen=True, slots=True)
class Job:
    """One picture job or one clip, complete: the worker needs nothing else."""

    task: str
    kind: str
    """image, video or join."""
    mode: str
    """A value of `Mode`."""
    folder: str
    prompt: str
    negative: str | None
    width: int
    height: int
    count: int
    quality: str
    format: str
    """png, webp, jpeg or mp4."""
    fps: int
    """0: that of the first clip."""
    seconds: float
    audio: bool
    seed: int
    metadata: str
    """full, minimal or none."""
    inputs: tuple[Picture, ...] = ()
    parts: tuple[Part, ...] = ()
    transition: str = "cut"
    """cut or fade: how one clip of a film follows the other."""

    def dump(self) -> bytes:
        """Return the job as one line."""
        return json.dumps({"do": "render", "job": asdict(self)}, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def load(cls, data: dict[str, Any]) -> "Job":
        """Read what `dump` wrote."""
        inputs = tuple(Picture(**entry) for entry in cast("list[dict[str, Any]]", data["inputs"]))
        parts = tuple(Part(**entry) for entry in cast("list[dict[str, Any]]", data["parts"]))
        fields: dict[str, Any] = {**data, "inputs": inputs, "parts": parts}
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Done:
    """The finished files (path, media type) and what is to be said about them."""

    files: tuple[tuple[str, str], ...]
    seed: int
    understood: tuple[str, ...]
    not_understood: tuple[str, ...]


class Cancelled(Exception):
    """The job was called off."""


class Unfit(Exception):
    """The job cannot be done, for a reason to be told to the caller."""

    def __init__(self, message: str, hint: str = "Give a PNG, JPEG or WebP picture that opens elsewhere.") -> None:
        super().__init__(message)
        self.hint = hint
