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


def test_an_earlier_schema_and_an_empty_file_are_no_damage(care: Care) -> None:
    care.path.unlink()
    with opened(care.path) as db:
        migrate(db, {1: migrations("sqlite")[1]})
    assert "schema 1" in found(care)["version"][1]
    for file in care.path.parent.iterdir():
        file.unlink()
    care.path.touch()
    assert (care.check().jobs, care.check().damaged) == (0, False)


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
    care.path.write_bytes(b"junk")
    with pytest.raises(StorageCorrupt, match="could not be made"):
        care.backup(None, NOW)
    assert files(care.backups) == []


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
