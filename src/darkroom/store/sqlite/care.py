"""Looking after the database file: check it, copy it, put a copy back. Everything here blocks."""

import os
import secrets
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from darkroom.errors import StorageCorrupt, StorageMissing, StorageUnwritable
from darkroom.store.sqlite.faults import explain, explained
from darkroom.store.sqlite.restore import Restored, restore, sync_folder
from darkroom.store.sqlite.soundness import Checked, check, is_empty, reading, structure

STAMPED = "darkroom-%Y%m%dT%H%M%SZ.sqlite3"
"""The usual name of a backup, with the time when it was made."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A backup that was made: `size` in bytes."""

    path: Path
    size: int
    jobs: int
    unfinished: int


class Care:
    """What can be done for the database of one path, while nobody here has it open or while others use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.backups = path.parent / "backups"
        """The folder of backups that were given no other place."""

    def check(self, *, whole: bool = True) -> Checked:
        """Return everything that is wrong; see `soundness.check`."""
        return check(self.path, whole=whole)

    def newest_backup(self) -> tuple[Path, int] | None:
        """Return the newest backup in the usual folder, and when it was made (milliseconds since 1970)."""
        made: list[tuple[int, Path]] = []
        for file in self.backups.glob("*"):
            with suppress(ValueError):  # a file of another name
                when = datetime.strptime(file.name, STAMPED).replace(tzinfo=UTC)
                made.append((round(when.timestamp() * 1000), file))
        if not made:
            return None
        when_made, newest = max(made)
        return newest, when_made

    def backup(self, target: Path | None, now: int) -> Saved:
        """Copy the database while others use it; a folder as `target` gets a file of the usual name.

        The copy is one file that needs nothing beside it, readable by its owner alone. `now`: milliseconds since 1970.

        Raises:
            StorageMissing: If there is no database.
            StorageCorrupt: If it is damaged; no backup is made.
            StorageUnwritable: If the target exists or cannot be written.
        """
        if not self.path.exists():
            raise StorageMissing(f"There is no job database {self.path}.", hint="The first job makes it.")
        with closing(_source(self.path)) as source:
            with _writing(target or self.backups):
                target = self._target(target, now)
            with _writing(target), _reserved(target) as fresh:
                return self._copied(source, fresh, target)

    def _target(self, target: Path | None, now: int) -> Path:
        if target is None:
            self.backups.mkdir(parents=True, exist_ok=True, mode=0o700)
            target = self.backups
        if not target.is_dir():
            return target
        return target / datetime.fromtimestamp(now / 1000, UTC).strftime(STAMPED)

    def _copied(self, source: sqlite3.Connection, fresh: Path, target: Path) -> Saved:
        # The copy is new: damage that shows in it came with what was copied.
        with _damage_of(self.path), closing(sqlite3.connect(fresh, isolation_level=None)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, which can be read from a disk that is read-only
            found = structure(copy, whole=True)
            if found:
                raise _damaged(self.path, found[0].says)
            [jobs, open_jobs] = copy.execute("SELECT count(*), count(*) - count(finished_at) FROM jobs").fetchone()
        with fresh.open("rb+") as file:
            os.fsync(file.fileno())
        size = fresh.stat().st_size
        fresh.replace(target)
        sync_folder(target.parent)
        return Saved(target, size, jobs, open_jobs)

    def restore(self, source: Path, now: int) -> Restored:
        """Put a backup in place of the database; see `restore.restore`."""
        return restore(self.path, source, now)


def _source(path: Path) -> sqlite3.Connection:
    """Return a connection to the database that is copied, once it has answered.

    Raises:
        StorageError: If it cannot be read: what fails here is not the backup's fault.
    """
    if is_empty(path):
        raise _damaged(path, "the file is empty")
    with explained(path):
        source = reading(path)
    try:
        with explained(path), _damage_of(path):
            ours = source.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'jobs'").fetchone()
        if ours is None:
            raise _damaged(path, "it has no table of jobs")
    except BaseException:
        source.close()
        raise
    return source


@contextmanager
def _damage_of(path: Path) -> Generator[None]:
    """Say of damage met in the block that it is the database's; other failures pass."""
    try:
        yield
    except sqlite3.Error as exc:
        if isinstance(explain(exc, path), StorageCorrupt):
            raise _damaged(path, str(exc)) from exc
        raise


def _damaged(path: Path, found: str) -> StorageCorrupt:
    return StorageCorrupt(
        f"The job database {path} is damaged ({found[:80]}).",
        hint="No backup was made. See 'darkroom db check'; 'darkroom db restore' puts an earlier one back.",
    )


@contextmanager
def _reserved(target: Path) -> Generator[Path]:
    """Take the name of a file that is not there yet, and give a name beside it; a failure leaves neither."""
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield fresh
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)


@contextmanager
def _writing(target: Path) -> Generator[None]:
    """Say of a failure in the block that it was the backup's."""
    try:
        yield
    except FileExistsError as exc:
        raise StorageUnwritable(
            f"{target} exists already.", hint="Nothing was changed: a backup never overwrites. Name another file."
        ) from exc
    except (OSError, sqlite3.Error) as exc:
        known = explain(exc, target)
        if known is None:
            raise
        raise type(known)(
            f"The backup {target} could not be made: {(isinstance(exc, OSError) and exc.strerror) or exc}.",
            hint="The job database was not touched. Name a file on a disk with room that you may write to.",
        ) from exc
