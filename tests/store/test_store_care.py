"""Care for the database file: checks and backups."""

import errno
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from darkroom.domain.job import State
from darkroom.errors import (
    StorageCorrupt,
    StorageFull,
    StorageMissing,
    StorageNewer,
    StorageUnwritable,
)
from darkroom.store.migrate import migrate, migrations
from darkroom.store.sqlite import care as caring
from darkroom.store.sqlite import moves
from darkroom.store.sqlite.care import Care
from factories import (
    NOW,
    job_id,
    make_job,
)
from helpers_care import LATER, add, files, new_care, opened, run, spoil

posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")


@pytest.fixture
def care(tmp_path: Path) -> Care:
    """Care for a database of no jobs."""
    return new_care(tmp_path)


def found(care: Care) -> dict[str, tuple[bool, str]]:
    return {finding.what: (finding.damage, finding.says) for finding in care.check().findings}


# Checking


def test_a_sound_database_has_no_findings_and_is_left_as_it_is(care: Care) -> None:
    for number, state in enumerate([State.QUEUED, State.RUNNING, State.SUCCEEDED]):
        add(care, number, state)
    run(care, "UPDATE outputs SET path = '.'", "UPDATE submissions SET owner = NULL")
    before = care.path.read_bytes()
    report = care.check()
    assert (report.findings, report.jobs, report.size, report.damaged) == ((), 3, len(before), False)
    assert care.path.read_bytes() == before


def test_a_database_is_checked_while_it_is_written(care: Care) -> None:
    with opened(care.path) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM jobs")
        assert not care.check().damaged


@pytest.mark.parametrize(
    ("what", "sql"),
    [
        ("ends", "UPDATE jobs SET outcome = 'failed'"),
        ("ends", "UPDATE jobs SET outcome = NULL"),
        ("ends", "UPDATE jobs SET finished_at = NULL"),
        ("ends", "DELETE FROM submissions"),
        ("ledger", "DELETE FROM ledger WHERE kind = 'settled'"),
        ("events", "DELETE FROM events WHERE target = 'succeeded'"),
        ("events", "DELETE FROM events"),
    ],
)
def test_tables_that_contradict_each_other_are_damage(care: Care, what: str, sql: str) -> None:
    for number in range(5):
        add(care, number, State.SUCCEEDED)
    run(care, sql)
    damage, says = found(care)[what]
    assert damage
    assert job_id(0) in says
    assert says.endswith("and 2 more")


@pytest.mark.parametrize("path", ["/nowhere/fox.png", "a\0b"])
def test_files_that_are_gone_and_owners_that_ended_are_only_noted(care: Care, path: str) -> None:
    add(care, 1, State.SUCCEEDED)
    add(care, 2, State.RUNNING)
    with opened(care.path) as db:
        db.execute("UPDATE outputs SET path = ?", (path,))
    report = found(care)
    assert (report["files"][0], report["owners"][0]) == (False, False)
    assert job_id(2) in report["owners"][1]
    assert not care.check().damaged


def test_rows_that_belong_to_no_job_are_damage(care: Care) -> None:
    add(care, 1)
    run(care, "PRAGMA foreign_keys = OFF", "DELETE FROM jobs")
    assert found(care)["references"] == (True, "2 rows belong to no job")


def test_a_spoilt_page_is_damage(care: Care) -> None:
    add(care, 1)
    spoil(care.path, "runs_newest")
    assert found(care)["structure"][0]
    assert care.check(whole=False).damaged


def test_a_spoilt_table_of_jobs_is_damage(care: Care) -> None:
    add(care, 1)
    spoil(care.path, "jobs")
    report = care.check()
    assert {finding.what for finding in report.findings} >= {"structure", "contents"}
    assert report.jobs is None


@pytest.mark.parametrize("junk", [b"junk", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_of_something_else_is_damage(care: Care, junk: bytes) -> None:
    care.path.write_bytes(junk)
    assert care.check().damaged
    assert care.path.read_bytes() == junk


def test_an_earlier_schema_is_no_damage(care: Care) -> None:
    care.path.unlink()
    with opened(care.path) as db:
        migrate(db, {1: migrations("sqlite")[1]})
    assert "schema 1" in found(care)["version"][1]
    assert not care.check().damaged


@pytest.mark.parametrize("whole", [True, False])
def test_a_file_without_bytes_is_damage_and_the_log_beside_it_stays(care: Care, whole: bool) -> None:
    log = emptied(care)
    report = care.check(whole=whole)
    assert (report.damaged, report.jobs, report.size) == (True, 0, 0)
    assert "empty" in report.findings[0].says
    assert log.read_bytes() == b"what is not in the file yet"


def emptied(care: Care) -> Path:
    """Cut a database to nothing, with a log beside it that SQLite would delete when it opens the file."""
    for file in care.path.parent.iterdir():
        file.unlink()
    care.path.touch()
    log = care.path.with_name(f"{care.path.name}-wal")
    log.write_bytes(b"what is not in the file yet")
    return log


def test_no_database_and_a_newer_one_are_named(care: Care) -> None:
    run(care, "PRAGMA user_version = 999")
    with pytest.raises(StorageNewer):
        care.check()
    care.path.unlink()
    for work in (care.check, lambda: care.backup(None, NOW)):
        with pytest.raises(StorageMissing, match="There is no job database"):
            work()


# Backups


def test_a_backup_is_one_file_of_its_own_and_holds_what_was_committed(care: Care) -> None:
    add(care, 1, State.SUCCEEDED)
    with opened(care.path) as db:
        moves.add(db, make_job(id=job_id(2)), [], again=True, fresh_for_ms=0)
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM jobs")
        saved = care.backup(None, NOW)
    assert saved.path == care.path.parent / "backups" / "darkroom-20260101T000000Z.sqlite3"
    assert (saved.jobs, saved.unfinished, saved.size) == (2, 1, saved.path.stat().st_size)
    assert files(saved.path.parent) == [saved.path.name]
    with closing(sqlite3.connect(saved.path)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
        assert db.execute("SELECT count(*) FROM jobs").fetchone()[0] == 2
    (saved.path.parent / "notes.txt").touch()
    assert care.newest_backup() == (saved.path, NOW)
    later = care.backup(None, LATER)
    assert care.newest_backup() == (later.path, LATER)


@posix_only
def test_a_backup_is_its_owners_alone(care: Care) -> None:
    saved = care.backup(None, NOW)
    assert stat.S_IMODE(saved.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(saved.path.parent.stat().st_mode) == 0o700


def test_a_backup_goes_where_it_is_told_and_never_overwrites(care: Care, tmp_path: Path) -> None:
    assert care.newest_backup() is None
    (tmp_path / "stick").mkdir()
    inside = care.backup(tmp_path / "stick", NOW).path
    assert inside.name == "darkroom-20260101T000000Z.sqlite3"
    inside.write_text("mine")
    for _ in range(2):
        with pytest.raises(StorageUnwritable, match="exists already"):
            care.backup(inside, NOW)
    assert inside.read_text() == "mine"
    with pytest.raises(StorageUnwritable, match="could not be made"):
        care.backup(tmp_path / "missing" / "copy.db", NOW)
    assert files(tmp_path / "stick") == [inside.name]


def test_a_damaged_database_is_not_copied(care: Care) -> None:
    add(care, 1)
    spoil(care.path, "runs_newest")
    with pytest.raises(StorageCorrupt, match="is damaged") as caught:
        care.backup(None, NOW)
    assert "No backup was made" in (caught.value.hint or "")
    assert files(care.backups) == []


@pytest.mark.parametrize("size", [0, 1, 50, 99, 100, 1000, 4096, 5000, 8192, 40_000])
def test_a_backup_of_a_truncated_database_blames_the_database(care: Care, size: int) -> None:
    for number in range(50):
        add(care, number)
    run(care, "PRAGMA wal_checkpoint(TRUNCATE)")
    whole = care.path.read_bytes()
    assert size < len(whole)
    care.path.write_bytes(whole[:size])
    blames_the_database(care)
    assert care.path.read_bytes() == whole[:size]


@pytest.mark.parametrize("junk", [b"junk", b"SQLite format 3\0" + b"\xff" * 5000, b"\0" * 8192])
def test_a_backup_of_a_file_of_something_else_blames_the_database(care: Care, junk: bytes) -> None:
    care.path.write_bytes(junk)
    blames_the_database(care)


def test_a_backup_of_an_empty_file_leaves_the_log_beside_it(care: Care) -> None:
    log = emptied(care)
    blames_the_database(care)
    assert log.read_bytes() == b"what is not in the file yet"


def test_a_backup_of_a_database_of_something_else_blames_the_database(care: Care) -> None:
    care.path.unlink()
    with opened(care.path) as db:
        db.execute("CREATE TABLE notes (text)")
    blames_the_database(care)


def test_damage_that_only_copying_meets_is_the_databases(care: Care, monkeypatch: pytest.MonkeyPatch) -> None:
    def met(*_: object, **__: object) -> None:
        exc = sqlite3.DatabaseError("database disk image is malformed")
        exc.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise exc

    monkeypatch.setattr(caring, "structure", met)
    blames_the_database(care)


def blames_the_database(care: Care) -> None:
    with pytest.raises(StorageCorrupt) as caught:
        care.backup(None, NOW)
    assert caught.value.message.startswith(f"The job database {care.path} is damaged (")
    hint = caught.value.hint or ""
    assert "No backup was made" in hint
    assert "darkroom db check" in hint
    assert "darkroom db restore" in hint
    assert not care.backups.exists() or files(care.backups) == []


def test_a_database_that_cannot_be_opened_is_not_told_as_the_backups_fault(care: Care) -> None:
    care.path.unlink()
    (care.path / "a folder in its place").mkdir(parents=True)
    with pytest.raises(StorageUnwritable) as caught:
        care.backup(None, NOW)
    assert str(care.path) in caught.value.message
    assert "could not be made" not in caught.value.message


def test_a_backup_on_a_full_disk_leaves_nothing_behind(care: Care, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match="No space left"):
        care.backup(None, NOW)
    assert files(care.backups) == []


def test_a_fault_of_our_own_is_not_blamed_on_the_disk(care: Care, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise sqlite3.ProgrammingError("ours")

    monkeypatch.setattr(caring, "structure", wrong)
    with pytest.raises(sqlite3.ProgrammingError):
        care.backup(None, NOW)
    assert files(care.backups) == []
