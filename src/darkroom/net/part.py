"""A file that comes in pieces: what came, which version it is of, and its end under its own name; everything blocks."""

import errno
import json
import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from darkroom.errors import StorageFull, StorageUnwritable

_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_BINARY: int = getattr(os, "O_BINARY", 0)


class Part:
    """What came of one file.

    `<to>.part` holds it, `<to>.json` what names its version and how long the whole is, so that another process can go
    on too.

    Args:
        to: The file that it becomes, in a folder that exists.
    """

    def __init__(self, to: Path) -> None:
        self.to = to
        self._path = to.with_name(f"{to.name}.part")
        self._note = to.with_name(f"{to.name}.json")

    def adopt(self, others: Sequence[Path]) -> None:
        """Go on from what another process left of the same file, the longest of them; it may be writing there still.

        Its bytes are copied: each process writes to a file of its own.
        """
        if self._path.exists():
            return
        left = [part for part in map(Part, others) if part.have()[0]]
        longest = max(left, key=lambda part: part.have()[0], default=None)
        if longest is not None:
            with self._storing():
                shutil.copyfile(longest._path, self._path)
                shutil.copyfile(longest._note, self._note)

    def have(self) -> tuple[int, str | None, int | None]:
        """Return bytes, version and size of the whole, where known; (0, None, None) where it cannot be gone on with."""
        try:
            size = self._path.stat().st_size
            note: Any = json.loads(self._note.read_text(encoding="utf-8"))
            version, whole = note["version"], note["size"]
        except (OSError, ValueError, KeyError, TypeError):
            return 0, None, None
        if not size or not isinstance(version, str) or not isinstance(whole, int | None):
            return 0, None, None
        return size, version, whole

    def begin(self, version: str | None, size: int | None) -> None:
        """Start anew, and remember which version it is.

        Raises:
            StorageError: If that cannot be written; so do the others.
        """
        self.discard()
        with self._storing():
            self._note.write_text(json.dumps({"version": version, "size": size}), encoding="utf-8")

    def open(self, start: int) -> int:
        """Return a file to append to, which holds the first `start` bytes."""
        with self._storing():
            number = os.open(self._path, os.O_CREAT | os.O_WRONLY | _BINARY, 0o600)
            os.ftruncate(number, start)
            os.lseek(number, start, os.SEEK_SET)
            return number

    def append(self, file: int, chunk: bytes) -> None:
        """Write a chunk."""
        with self._storing():
            left = memoryview(chunk)
            while left:
                left = left[os.write(file, left) :]

    def finish(self, size: int) -> None:
        """Give the file its name, durably.

        Raises:
            StorageUnwritable: If it does not hold that many bytes: something else wrote there.
        """
        with self._storing():
            number = os.open(self._path, os.O_RDWR | _BINARY)
            try:
                os.fsync(number)
                held = os.fstat(number).st_size
            finally:
                os.close(number)
            if held == size:
                self._path.replace(self.to)
        if held != size:
            self.discard()
            raise StorageUnwritable(
                f"Something else wrote to {self._path.name} ({held} bytes there, {size} came).",
                hint="The result is not lost: it stays at its provider and is fetched again.",
            )
        with suppress(OSError):  # Windows opens no folder; a note that stays is overwritten or ignored
            self._note.unlink(missing_ok=True)
            folder = os.open(self.to.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def discard(self) -> None:
        """Forget what came."""
        for path in (self._path, self._note):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    @contextmanager
    def _storing(self) -> Generator[None]:
        """Turn an OSError of the block into a storage error."""
        try:
            yield
        except OSError as exc:
            full = exc.errno in _FULL
            text = "is full" if full else f"cannot be written: {exc.strerror}"
            raise (StorageFull if full else StorageUnwritable)(
                f"The {'disk that holds ' if full else 'folder '}{self.to.parent} {text}.",
                hint="The result is not lost: it stays at its provider and is fetched again.",
            ) from exc
