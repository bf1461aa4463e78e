"""A backup put in place of the database: nothing is lost that can be read, and nothing is paid twice."""

import errno
import os
import sqlite3
import stat
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from darkroom.domain.job import State
from darkroom.errors import (
    InvalidRequest,
    StorageCorrupt,
    StorageNewer,
    StorageUnwritable,
)
from darkroom.store.migrate import migrate, migrations
from darkroom.store.sqlite import moves, rows
from darkroom.store.sqlite import restore as restoring
from darkroom.store.sqlite.care import Care
from darkroom.store.sqlite.salvage import Salvage
from factories import (
    JOB_ID,
    NOW,
    job_id,
    make_job,
)
from helpers_care import LATER, add, bring, files, look, new_care, opened, run, spoil

posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")


@pytest.fixture
def care(tmp_path: Path) -> Care:
    """Care for a database of no jobs."""
    return new_care(tmp_path)


# Putting one back


def saved(care: Care) -> Path:
    """Make a backup, as of half an hour before it is put back."""
    return care.backup(None, NOW).path


def sums(work: Salvage) -> tuple[Sequence[str], ...]:
    return work.added, work.advanced, work.lost, work.held_back


def test_nothing_is_lost_when_the_present_database_can_be_read(care: Care) -> None:
    for number in (1, 2, 3):
        add(care, number)
    copy = saved(care)
    bring(care, 2, State.RUNNING)
    bring(care, 3, State.SUCCEEDED)
    add(care, 4, State.RUNNING)
    before = [look(care, number) for number in (1, 2, 3, 4)]
    done = care.restore(copy, LATER)
    assert sums(done.salvage) == ([job_id(4)], [job_id(2), job_id(3)], [], [])
    assert (done.jobs, done.readable) == (4, True)
    after = [look(care, number) for number in (1, 2, 3, 4)]
    assert [job.state for job in after] == [job.state for job in before]
    assert [job.outputs for job in after] == [job.outputs for job in before]
    assert [job.submissions[0].operation for job in after] == [job.submissions[0].operation for job in before]
    assert {job.submissions[0].owner for job in after} == {None}
    assert not care.check().damaged


def test_the_database_before_is_kept_and_the_backup_is_left_as_it_is(care: Care) -> None:
    add(care, 1)
    copy = saved(care)
    data, old = copy.read_bytes(), look(care, 1)
    first, second = care.restore(copy, LATER).aside, care.restore(copy, LATER).aside
    assert first is not None
    assert second is not None
    assert (first.name, second.name) == (
        "darkroom.sqlite3.before-restore-20260101T010000Z",
        "darkroom.sqlite3.before-restore-20260101T010000Z-2",
    )
    assert look(Care(first), 1) == old
    assert copy.read_bytes() == data
    assert [name for name in files(care.path.parent) if name.startswith("restore-")] == []


@posix_only
def test_what_is_put_back_is_its_owners_alone(care: Care) -> None:
    copy = saved(care)
    copy.chmod(0o644)
    care.restore(copy, LATER)
    assert stat.S_IMODE(care.path.stat().st_mode) == 0o600


def gone(care: Care) -> None:
    care.path.unlink()


def junk(care: Care) -> None:
    care.path.write_bytes(b"junk")


def pages(care: Care) -> None:
    spoil(care.path, "jobs", "submissions", "events", "sqlite_autoindex_jobs_1", "sqlite_autoindex_submissions_1")


def table(care: Care) -> None:
    spoil(care.path, "jobs")


@pytest.mark.parametrize("happen", [gone, junk, pages, table])
def test_what_may_have_been_sent_since_is_not_sent_again(care: Care, happen: Callable[[Care], None]) -> None:
    add(care, 1)
    add(care, 2, replayable=True)
    add(care, 3, State.SUBMITTING)
    add(care, 4, State.RUNNING)
    add(care, 5, parts=[{"estimate": None}, {"estimate": 7}])
    run(care, "INSERT INTO workers (id, host, pid, boot_id, started_at, lease_until) VALUES ('w', 'h', 1, 'b', 1, 1)")
    copy = saved(care)
    happen(care)
    done = care.restore(copy, LATER)
    assert done.salvage.held_back == [job_id(1), job_id(5)]
    assert (done.aside is None, done.readable) == (happen is gone, happen in (pages, table))
    jobs = [look(care, number) for number in (1, 2, 3, 4, 5)]
    states = [State.FAILED, State.QUEUED, State.SUBMIT_UNKNOWN, State.RUNNING, State.FAILED]
    assert [job.state for job in jobs] == states
    assert jobs[0].finished_at == LATER
    error = jobs[0].error or {}
    assert (error["code"], "may have been sent" in error["message"]) == ("submit_unknown", True)
    with opened(care.path) as db:
        money = db.execute(
            "SELECT kind, micro_usd, certain, at FROM ledger WHERE job_id = ? ORDER BY id", (job_id(1),)
        ).fetchall()
        assert [tuple(row) for row in money] == [("reserved", 40_000, 1, NOW), ("released", 40_000, 0, LATER)]
        event = db.execute("SELECT * FROM events WHERE job_id = ? ORDER BY seq DESC", (job_id(1),)).fetchone()
        assert (event["origin"], event["target"], event["at"]) == ("queued", "failed", LATER)
        assert db.execute("SELECT count(*) FROM workers").fetchone()[0] == 0
    assert [finding for finding in care.check().findings if finding.damage] == []


def test_a_job_that_was_ended_so_stays_so_when_an_earlier_backup_is_put_back(care: Care) -> None:
    add(care, 1)
    copy = saved(care)
    gone(care)
    care.restore(copy, LATER)
    again = care.restore(copy, LATER + 1)
    assert (again.salvage.advanced, again.salvage.held_back) == ([job_id(1)], [])
    assert look(care, 1).state is State.FAILED


def test_a_job_that_the_present_database_has_in_an_earlier_state_is_kept_as_the_backup_has_it(care: Care) -> None:
    add(care, 1)
    add(care, 2)
    early = care.backup(care.path.parent / "early.db", NOW).path
    bring(care, 1, State.RUNNING)
    with opened(care.path) as db:
        db.execute("UPDATE submissions SET version = version + 1")
    late = care.backup(care.path.parent / "late.db", NOW).path
    care.path.write_bytes(early.read_bytes())
    done = care.restore(late, LATER)
    assert sums(done.salvage) == ([], [], [], [job_id(2)])
    assert look(care, 1).state is State.RUNNING


def test_an_index_that_is_spoilt_does_not_hide_what_its_table_holds(care: Care) -> None:
    add(care, 1)
    copy = saved(care)
    bring(care, 1, State.RUNNING)
    add(care, 2)
    spoil(care.path, "sqlite_autoindex_submissions_1", "sqlite_autoindex_jobs_1", "outputs_job")
    done = care.restore(copy, LATER)
    assert sums(done.salvage) == ([job_id(2)], [job_id(1)], [], [])
    assert [look(care, number).state for number in (1, 2)] == [State.RUNNING, State.QUEUED]


def test_newer_jobs_that_cannot_be_read_or_make_no_sense_are_named(care: Care) -> None:
    copy = saved(care)
    add(care, 1)
    add(care, 2)
    add(care, 3)
    run(
        care,
        f"UPDATE jobs SET request = '{{}}' WHERE id = '{job_id(1)}'",
        f"DELETE FROM submissions WHERE job_id = '{job_id(2)}'",
    )
    done = care.restore(copy, LATER)
    assert sums(done.salvage) == ([job_id(3)], [], [job_id(1), job_id(2)], [])
    with opened(care.path) as db:
        assert rows.load_job(db, job_id(1)) is None
        assert db.execute("SELECT count(*) FROM ledger WHERE job_id = ?", (job_id(1),)).fetchone()[0] == 0


def test_a_later_state_that_makes_no_sense_is_not_taken_over(care: Care) -> None:
    add(care, 1)
    copy = saved(care)
    run(care, "UPDATE jobs SET request = '{}'", "UPDATE submissions SET version = 9")
    done = care.restore(copy, LATER)
    assert sums(done.salvage) == ([], [], [], [job_id(1)])


def test_a_database_of_an_earlier_version_gives_its_jobs(care: Care) -> None:
    copy = saved(care)
    care.path.unlink()
    early = Care(care.path)
    with opened(care.path) as db:
        migrate(db, {1: migrations("sqlite")[1]})
        job = make_job(id=job_id(1))
        plain = job.model_dump(exclude={"request", "labels", "warnings", "submissions", "outputs", "plan", "run_id"})
        part = job.submissions[0]
        rows.insert(db, "jobs", {**plain, "request": job.request.model_dump_json(), "state": "failed"})
        names = ("job_id", "idx", "provider", "model")
        values = {name: getattr(part, name) for name in names}
        effective = part.effective.model_dump_json(exclude_none=True)
        rows.insert(db, "submissions", {**values, "effective": effective, "replayable": 0, "state": "failed"})
        rows.insert_event(db, job.id, 0, State.QUEUED, State.FAILED, NOW)
    done = early.restore(copy, LATER)
    assert done.salvage.added == [job_id(1)]
    assert (look(care, 1).state, look(care, 1).finished_at) == (State.FAILED, NOW)
    assert run(care, "SELECT outcome FROM jobs") == "failed"


def test_a_backup_of_an_earlier_version_is_brought_up(care: Care) -> None:
    copy = care.path.with_name("early.db")
    with opened(copy) as db:
        migrate(db, {1: migrations("sqlite")[1]})
    care.restore(copy, LATER)
    assert run(care, "PRAGMA user_version") == max(migrations("sqlite"))


def test_a_copy_that_somebody_made_with_its_log_beside_it_is_read_with_that(care: Care) -> None:
    copy = care.path.with_name("copied.db")
    with opened(care.path) as db:
        moves.add(db, make_job(), [], again=True, fresh_for_ms=0)
        for suffix in ("", "-wal"):
            copy.with_name(copy.name + suffix).write_bytes(care.path.with_name(care.path.name + suffix).read_bytes())
    gone(care)
    assert care.restore(copy, LATER).salvage.held_back == [JOB_ID]


def test_a_database_in_use_is_not_replaced(care: Care, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "WAIT_S", 0.01)
    copy = saved(care)
    with opened(care.path) as db:
        db.execute("SELECT * FROM jobs").fetchall()
        before = files(care.path.parent)
        with pytest.raises(StorageUnwritable, match="is in use"):
            care.restore(copy, LATER)
        assert files(care.path.parent) == before
    care.restore(copy, LATER)


def test_only_a_sound_backup_of_ours_is_put_back(care: Care, tmp_path: Path) -> None:
    add(care, 1)
    copy = saved(care)
    before = (care.path.read_bytes(), files(care.path.parent))
    bad, other, newer = (tmp_path / name for name in ("bad.db", "other.db", "newer.db"))
    bad.write_bytes(copy.read_bytes())
    spoil(bad, "runs_newest")
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE mine (x)")
    newer.write_bytes(copy.read_bytes())
    with closing(sqlite3.connect(newer)) as db:
        db.execute("PRAGMA user_version = 999")
    tests: list[tuple[Path, type[Exception], str]] = [
        (bad, StorageCorrupt, "backup .* is damaged"),
        (other, StorageCorrupt, "no job database"),
        (newer, StorageNewer, "schema version 999"),
        (tmp_path / "nothing.db", InvalidRequest, "There is no file"),
        (care.path, InvalidRequest, "is the job database itself"),
    ]
    for source, error, words in tests:
        with pytest.raises(error, match=words):
            care.restore(source, LATER)
    bad.write_bytes(b"junk")
    with pytest.raises(StorageCorrupt):
        care.restore(bad, LATER)
    assert (care.path.read_bytes(), files(care.path.parent)) == before


def test_a_restore_that_fails_at_the_last_step_brings_the_database_back(
    care: Care, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(care, 1)
    copy = saved(care)

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(StorageUnwritable, match="Input/output error"):
            care.restore(copy, LATER)
    assert look(care, 1).state is State.QUEUED
    assert files(care.path.parent) == ["backups", "darkroom.sqlite3"]
