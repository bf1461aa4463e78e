"""SQLite's errors in our own words."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from darkroom.errors import StorageCorrupt, StorageError, StorageFull, StorageMissing, StorageUnwritable

KEPT = "Everything stored before is kept."
_CORRUPT = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CORRUPT_INDEX", "SQLITE_CORRUPT_VTAB"})


def explain(exc: sqlite3.Error | OSError, path: Path) -> StorageError:
    """Return what a failure of the database means, what was kept, and what to do."""
    name = getattr(exc, "sqlite_errorname", "") or ""
    if name == "SQLITE_FULL" or (isinstance(exc, OSError) and exc.errno == 28):
        return StorageFull(
            f"The disk of the database {path} is full.",
            hint=f"{KEPT} Free some space; work under way goes on, new jobs are refused until then.",
        )
    if name in _CORRUPT:
        return StorageCorrupt(
            f"The database {path} is damaged, or is no database.",
            hint="It was not touched. Put a backup in its place, or move it aside to start with an empty one.",
        )
    reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    return StorageUnwritable(
        f"The database {path} cannot be used: {reason}.",
        hint=f"{KEPT} Make the folder writable, or set DARKROOM_HOME to another one.",
    )


@contextmanager
def explained(path: Path) -> Generator[None]:
    """Turn SQLite's errors inside the block into storage errors."""
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        raise explain(exc, path) from exc


class Identity:
    """Which file a path named when it was opened; SQLite writes happily into a deleted one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._now()

    def _now(self) -> tuple[int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino

    def check(self) -> None:
        """Make sure that the path still names the same file; blocks briefly.

        Raises:
            StorageMissing: If it does not.
        """
        if self._now() != self._seen:
            raise StorageMissing(
                f"The database {self._path} was moved, replaced or deleted while it was in use.",
                hint="New jobs are refused. Put the file back if you can, then start darkroom again.",
            )
