"""Clips that callers give us to be joined: copied piece by piece, then decoded in a child process."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import anyio.to_thread

from darkroom.artifacts import files, media
from darkroom.artifacts.base import MediaFacts
from darkroom.artifacts.sniff import CLIPS, HEAD, looks_like

MAX_BYTES = 500_000_000
MAX_SECONDS = 600
NAMES = "MP4, MOV, WebM or MKV"


class TooLarge(Exception):
    """A clip has more bytes than are taken."""


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Yield a clip's content.

    Raises:
        NotMedia: If its first bytes are no clip's.
        TooLarge: If it is larger than the cap.
    """
    head = file.read(HEAD)
    if media.known_type(head) not in CLIPS:
        raise media.NotMedia(f"is {looks_like(head)}, no clip")
    yield head
    size = len(head)
    while chunk := file.read(files.CHUNK):
        size += len(chunk)
        if size > MAX_BYTES:
            raise TooLarge
        yield chunk


def copied(folder: Path, chunks: Iterable[bytes]) -> tuple[Path, str]:
    """Write a clip to a temporary file of a private folder; return its path and its sha256.

    Raises:
        NotMedia, TooLarge: As `pieces` does; nothing is left.
        OSError: If it cannot be written.
    """
    digest = hashlib.sha256()

    def counted() -> Iterator[bytes]:
        for chunk in chunks:
            digest.update(chunk)
            yield chunk

    files.make_folder(folder, 0o700)
    path = files.write_temporary(folder, "clip", counted(), 0o600)
    return path, digest.hexdigest()


async def checked(path: Path) -> MediaFacts:
    """Return what decoding showed of a clip: its type, size and length.

    Raises:
        NotMedia: If it is damaged, too long, or cannot be decoded within the bounds.
    """
    facts = (await media.examine(path)).facts
    if facts.width is None:
        raise media.NotMedia("cannot be decoded within the bounds of time and memory")
    if not facts.duration:
        raise media.NotMedia("does not say how long it is")
    if facts.duration > MAX_SECONDS:
        raise media.NotMedia(f"lasts {facts.duration:g} s, and up to {MAX_SECONDS} s are taken")
    return facts


def kept(folder: Path, sha256: str) -> tuple[Path, MediaFacts] | None:
    """Return the path and the type of a clip kept under a hash; how large and long it is takes decoding.

    Raises:
        OSError: If it cannot be read.
    """
    for media_type, kind in CLIPS.items():
        path = folder / f"{sha256}{kind.extensions[0]}"
        if path.is_file():
            return path, MediaFacts(media_type, kind.extensions[0])
    return None


async def publish(temporary: Path, path: Path) -> None:
    """Give a clip that was checked its name; one of that name is the same."""
    await anyio.to_thread.run_sync(temporary.replace, path)
    await anyio.to_thread.run_sync(files.sync_folder, path.parent)
