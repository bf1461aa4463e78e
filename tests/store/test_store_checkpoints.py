"""Checkpoints where the library has the WAL-reset fault: one process makes them, and none is needed to be safe."""

import sqlite3
import stat
from collections.abc import Generator
from pathlib import Path

import pytest

from darkroom.store.sqlite.checkpoints import EVERY, FIXED_IN, Checkpoints


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "darkroom.db"


@pytest.fixture
def db(path: Path) -> Generator[sqlite3.Connection]:
    opened = sqlite3.connect(path, isolation_level=None)
    opened.execute("PRAGMA journal_mode = WAL")
    opened.execute("CREATE TABLE a (x INTEGER)")
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def old_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darkroom.store.sqlite.checkpoints.sqlite3.sqlite_version_info", (3, 40, 1))


def commit(made: Checkpoints, db: sqlite3.Connection, count: int) -> None:
    for number in range(count):
        db.execute("INSERT INTO a VALUES (?)", (number,))
        made.after_commit(db)


def in_file(path: Path, tmp_path: Path) -> int:
    """Return how many rows the file holds without its log."""
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    alone = sqlite3.connect(copy)
    try:
        return alone.execute("SELECT count(*) FROM a").fetchone()[0]
    except sqlite3.OperationalError:
        return -1  # not even the table
    finally:
        alone.close()


def test_the_log_is_folded_every_so_many_commits_by_the_holder_of_the_lock(
    db: sqlite3.Connection, path: Path, tmp_path: Path
) -> None:
    made = Checkpoints(path)
    made.start(db)
    assert db.execute("PRAGMA wal_autocheckpoint").fetchone()[0] == 0
    commit(made, db, EVERY - 1)
    assert in_file(path, tmp_path) == -1
    commit(made, db, 1)
    assert in_file(path, tmp_path) == EVERY
    lock = path.with_name("darkroom.db.checkpoint.lock")
    assert stat.S_IMODE(lock.stat().st_mode) & 0o077 == 0
    commit(made, db, 3)
    made.stop(db)
    assert in_file(path, tmp_path) == EVERY + 3


def test_another_one_leaves_it_to_the_holder_and_takes_over_from_it(
    db: sqlite3.Connection, path: Path, tmp_path: Path
) -> None:
    holder, other = Checkpoints(path), Checkpoints(path)
    other.start(db)
    commit(holder, db, EVERY)
    assert in_file(path, tmp_path) == EVERY
    commit(other, db, EVERY)
    assert in_file(path, tmp_path) == EVERY
    other.stop(db)
    assert in_file(path, tmp_path) == EVERY
    holder.stop(db)
    assert in_file(path, tmp_path) == 2 * EVERY
    commit(other, db, EVERY)
    assert in_file(path, tmp_path) == 3 * EVERY
    other.stop(db)


def test_a_lock_that_cannot_be_made_spoils_no_commit(db: sqlite3.Connection, path: Path, tmp_path: Path) -> None:
    path.with_name("darkroom.db.checkpoint.lock").mkdir()
    made = Checkpoints(path)
    made.start(db)
    commit(made, db, EVERY)
    made.stop(db)
    assert in_file(path, tmp_path) == -1
    assert db.execute("SELECT count(*) FROM a").fetchone()[0] == EVERY


def test_a_library_without_the_fault_checkpoints_by_itself(
    db: sqlite3.Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darkroom.store.sqlite.checkpoints.sqlite3.sqlite_version_info", FIXED_IN)
    made = Checkpoints(path)
    made.start(db)
    assert db.execute("PRAGMA wal_autocheckpoint").fetchone()[0] == 1000
    commit(made, db, EVERY)
    made.stop(db)
    assert not path.with_name("darkroom.db.checkpoint.lock").exists()
