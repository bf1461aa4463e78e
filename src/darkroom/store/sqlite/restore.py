"""Puts a backup in place of the database without paying anything twice."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from darkroom.errors import InvalidRequest, StorageCorrupt, StorageUnwritable
from darkroom.store.migrate import migrate, migrations, refuse_newer, version_of
from darkroom.store.sqlite import moves, runs, token_store
from darkroom.store.sqlite.callbacks import put_right
from darkroom.store.sqlite.faults import explain, explained
from darkroom.store.sqlite.salvage import Salvage, hold_back, salvage
from darkroom.store.sqlite.salvage_runs import salvage_runs, stop_runs
from darkroom.store.sqlite.soundness import FAMILY, reading, structure

WAIT_S = 1.0
"""Seconds to wait for others to let go of the database."""
BESIDE = ("", "-wal", "-shm", "-journal")
"""What belongs to a database file, by the end of its name."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did; `aside` is None when there was no database before."""

    path: Path
    jobs: int
    aside: Path | None
    readable: bool
    """Whether the database before could be read at all."""
    salvage: Salvage


def restore(path: Path, source: Path, now: int) -> Restored:
    """Put the backup `source` in place of the database `path`, which is moved aside, never deleted.

    Jobs and runs that the present database has, or has further along, are taken over from it as far as it can be read.
    A job that the backup says is still to be sent, and whose later fate could not be read, is ended: it may have been
    sent since. So is a run that had not ended. Whatever goes wrong before the last step leaves everything as it was.
    `now`: milliseconds since 1970.

    Raises:
        InvalidRequest: If there is no such file, or it is the database itself.
        StorageCorrupt: If the backup is damaged, or no database of darkroom's.
        StorageNewer: If the backup was written by a newer version.
        StorageUnwritable: If the database is in use, or its folder cannot be written.
    """
    _refuse(path, source)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix="restore-", dir=path.parent) as folder:
            staged = Path(folder) / path.name
            with explained(source):
                _copy(source, staged)
            with closing(_opened(staged, source)) as db, _alone(path) as old:
                done = _reconcile(db, old, now)
                jobs = int(db.execute("SELECT count(*) FROM jobs").fetchone()[0])
                db.close()  # before it is moved
                with staged.open("rb+") as file:
                    os.fsync(file.fileno())
                with _set_aside(path, now) as aside:
                    staged.replace(path)
        sync_folder(path.parent)
    return Restored(path, jobs, aside, old is not None, done)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _refuse(path: Path, source: Path) -> None:
    if not source.is_file():
        raise InvalidRequest(f"There is no file {source}.", hint="Nothing was changed.", field="file")
    if path.exists() and source.samefile(path):
        raise InvalidRequest(
            f"{source} is the job database itself.", hint="Nothing was changed. Name a backup.", field="file"
        )


def _copy(source: Path, staged: Path) -> None:
    """Copy a backup, which is left as it is; one that was copied with a log beside it is read with that."""
    os.close(os.open(staged, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    if not source.with_name(f"{source.name}-wal").exists():
        shutil.copyfile(source, staged)
        return
    with closing(reading(source)) as backup, closing(sqlite3.connect(staged)) as copy:
        backup.backup(copy)


def _opened(staged: Path, source: Path) -> sqlite3.Connection:
    """Return a connection to the copy, which is sound and of the newest version."""
    steps = migrations(FAMILY)
    db = sqlite3.connect(staged, isolation_level=None)
    db.row_factory = sqlite3.Row
    try:
        found = structure(db, whole=True)
        if found:
            raise StorageCorrupt(
                f"The backup {source} is damaged ({found[0].says[:80]}).",
                hint="Nothing was changed. Try an earlier backup.",
            )
        refuse_newer(db, steps)
        tables = {str(row[0]) for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not version_of(db) or not {"jobs", "submissions", "ledger", "events", "workers"} <= tables:
            raise StorageCorrupt(
                f"{source} is no job database of darkroom's.",
                hint="Nothing was changed. Backups are made with 'darkroom db backup'.",
            )
        db.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it that would have to move along
        db.execute("PRAGMA foreign_keys = ON")
        migrate(db, steps)
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def _alone(path: Path) -> Generator[sqlite3.Connection | None]:
    """Give a connection that nobody else can have beside it; None where there is nothing that SQLite can read."""
    if not path.exists():
        yield None
        return
    db = sqlite3.connect(path, isolation_level=None, timeout=WAIT_S)
    db.row_factory = sqlite3.Row
    with closing(db):
        try:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("BEGIN EXCLUSIVE")
            db.execute("COMMIT")  # in this mode the lock stays
        except sqlite3.DatabaseError as exc:
            if not isinstance(explain(exc, path), StorageCorrupt):
                raise _in_use(path) from exc
            yield None
        else:
            yield db


def _in_use(path: Path) -> StorageUnwritable:
    return StorageUnwritable(
        f"The job database {path} is in use.",
        hint="Nothing was changed. End every program that runs darkroom, then try again.",
    )


def _reconcile(db: sqlite3.Connection, old: sqlite3.Connection | None, now: int) -> Salvage:
    """Bring the copy of the backup as near to the present as the old database tells."""
    db.execute("BEGIN IMMEDIATE")
    done = Salvage() if old is None else salvage(old, db)
    if old is not None:
        salvage_runs(old, db, done)
        token_store.take_over(old, db)
    done.held_back = hold_back(db, done.known, now)
    done.stopped = stop_runs(db, done.known, now)
    put_right(db, now)
    # Nobody runs: what was held is free, and what was being sent when the backup was made has no known answer.
    moves.reap(db, [str(row[0]) for row in db.execute("SELECT id FROM workers")], now)
    runs.reap(db, now)
    db.execute("COMMIT")
    return done


@contextmanager
def _set_aside(path: Path, now: int) -> Generator[Path | None]:
    """Move the present database away, with what belongs to it, and give its new name; a failure brings it back."""
    if not path.exists():
        yield None
        return
    made = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside, number = path.with_name(f"{path.name}.before-restore-{made}"), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.before-restore-{made}-{number}")
    try:
        _rename(path, aside)
        yield aside
    except BaseException:
        _rename(aside, path)
        raise


def _rename(path: Path, target: Path) -> None:
    for suffix in BESIDE:
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(target.with_name(target.name + suffix))
