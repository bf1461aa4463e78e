"""SQLite's errors in our own words."""

import errno
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from darkroom.errors import StorageCorrupt, StorageError, StorageFull, StorageMissing, StorageUnwritable

KEPT = "Everything stored before is kept; nothing of this call is."
_NOT_THE_DISK = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    sqlite3.NotSupportedError,
)
"""Mistakes of our own statements, which no user can mend."""


def explain(exc: Exception, path: Path) -> StorageError | None:
    """Return what a failure of the database means, what was kept and what to do; None when it is not the disk's."""
    if isinstance(exc, OSError):
        return _full(path) if exc.errno in (errno.ENOSPC, errno.EDQUOT) else _unwritable(path, exc.strerror or str(exc))
    if not isinstance(exc, sqlite3.Error) or isinstance(exc, _NOT_THE_DISK):
        return None
    match getattr(exc, "sqlite_errorcode", 0) & 0xFF:  # the extended codes are told apart in the higher bits
        case sqlite3.SQLITE_FULL:
            return _full(path)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StorageCorrupt(
                f"The job database {path} is damaged, or is no database ({exc}).",
                hint="The file was left as it is, and pictures and clips already saved stay. 'darkroom db check' shows "
                "more. 'darkroom db restore' puts a backup in its place; or move it aside to start with an empty one.",
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StorageUnwritable(
                f"The job database {path} is locked by another program.",
                hint=f"{KEPT} Let that program finish or end it, then try again.",
            )
        case _:
            return _unwritable(path, str(exc))


def _full(path: Path) -> StorageFull:
    return StorageFull(
        f"The disk of the job database {path} is full.",
        hint=f"{KEPT} Free some space, then try again; work under way goes on.",
    )


def _unwritable(path: Path, reason: str) -> StorageUnwritable:
    return StorageUnwritable(
        f"The job database {path} cannot be used: {reason}.",
        hint=f"{KEPT} Make its folder writable, check the disk, or set DARKROOM_HOME to another folder.",
    )


@contextmanager
def explained(path: Path) -> Generator[None]:
    """Turn failures of the disk inside the block into storage errors; all others pass."""
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        storage = explain(exc, path)
        if storage is None:
            raise
        raise storage from exc


class Identity:
    """Which file a path named when it was opened; SQLite writes happily into a deleted one. Its methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None

    def note(self) -> None:
        """Remember which file the path names now."""
        self._seen = self._now()

    def _now(self) -> tuple[int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino

    def check(self) -> None:
        """Make sure that the path still names the file that was noted.

        Raises:
            StorageMissing: If it does not.
        """
        if self._now() != self._seen:
            raise StorageMissing(
                f"The job database {self._path} was moved, replaced or deleted while it was in use.",
                hint="Nothing of this call was stored. Pictures and clips already saved stay. Put the file back if you "
                "can, then start darkroom again.",
            )


class Damage:
    """Damage of the file met so far: what is under way goes on as far as it can, and nothing new is begun."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: str | None = None
        """What was found, in SQLite's words."""

    @contextmanager
    def noticed(self) -> Generator[None]:
        """Remember damage that shows inside the block."""
        try:
            yield
        except StorageCorrupt as exc:
            self.found = self.found or str(exc.__cause__)
            raise

    def refuse(self) -> None:
        """Make sure that no damage is known.

        Raises:
            StorageCorrupt: If some is.
        """
        if self.found is not None:
            raise StorageCorrupt(
                f"The job database {self._path} is damaged ({self.found[:80]}).",
                hint="Nothing of this call was stored or sent; work already paid for goes on as far as it can. "
                "'darkroom db check' shows the damage, 'darkroom db restore' puts a backup in its place.",
            )
