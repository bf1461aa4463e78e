"""Runs, sessions and callbacks in the care of the database: checked, and put back without paying anything twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from darkroom.domain.job import LedgerKind, State
from darkroom.domain.run import Awaits, Callback, Run, RunState, Session
from darkroom.store.migrate import migrate, migrations
from darkroom.store.sqlite import callbacks, moves, runs
from darkroom.store.sqlite.care import Care
from darkroom.store.sqlite.run_rows import callback_of, insert_session, load_run, session_of
from factories import JOB_ID, NOW, OWNER, make_job
from helpers_care import LATER, add, new_care, opened, run, spoil
from helpers_runs import (
    QUESTION,
    RUN_ID,
    SESSION_ID,
    call,
    make_callback,
    make_change,
    make_run,
    make_session,
    message,
    run_id,
)


@pytest.fixture
def care(tmp_path: Path) -> Care:
    """Care for a database of no jobs."""
    return new_care(tmp_path)


def saved(care: Care) -> Path:
    return care.backup(None, NOW).path


def begin(care: Care, number: int = 1, *, told: bool = False, **overrides: Any) -> Run:
    """Add a run with a session of its own number, and claim it."""
    session = make_session(number)
    new = make_run(number, session_id=session.id, **overrides)
    callback = make_callback(new.id) if told else None
    with opened(care.path) as db:
        runs.add(db, new, again=True, fresh_for_ms=0, session=session, callback=callback)
        [claimed] = runs.claim(db, OWNER, NOW, 1)
    return claimed


def change(care: Care, number: int = 1, target: RunState | None = None, **more: Any) -> Run:
    """Change a run that is advanced."""
    with opened(care.path) as db:
        present = load_run(db, run_id(number))
        assert present is not None
        after = runs.save(db, present, OWNER, make_change(target, **more))
    assert after is not None
    return after


def look(care: Care, number: int = 1) -> Run | None:
    with opened(care.path) as db:
        return load_run(db, run_id(number))


def session_in(care: Care, number: int = 1) -> Session | None:
    with opened(care.path) as db:
        row = db.execute("SELECT * FROM sessions WHERE id = ?", (make_session(number).id,)).fetchone()
        return None if row is None else session_of(row)


def callback_in(care: Care, subject: str = RUN_ID) -> Callback:
    with opened(care.path) as db:
        return callback_of(db.execute("SELECT * FROM callbacks WHERE subject = ?", (subject,)).fetchone())


# Checking


def found(care: Care) -> dict[str, tuple[bool, str]]:
    return {finding.what: (finding.damage, finding.says) for finding in care.check().findings}


def full(care: Care) -> None:
    """Make one ended run, one that asks and one that runs."""
    begin(care, 1, told=True)
    change(care, 1, ledger=(call(),))
    change(care, 1, RunState.SUCCEEDED)
    begin(care, 2, told=True)
    change(care, 2, RunState.WAITING, awaits=Awaits.ANSWER, question=QUESTION, ledger=(call(2),))
    begin(care, 3)
    run(
        care,
        f"INSERT INTO workers (id, host, pid, boot_id, started_at, lease_until) VALUES ('{OWNER}', 'h', 1, 'b', 1, 1)",
    )


def test_sound_runs_have_no_findings(care: Care) -> None:
    full(care)
    assert found(care) == {}


@pytest.mark.parametrize(
    ("what", "damage", "sql"),
    [
        ("ends", True, "UPDATE runs SET finished_at = NULL"),
        ("ends", True, "UPDATE runs SET finished_at = 5 WHERE state = 'waiting'"),
        ("ledger", True, "DELETE FROM ledger WHERE kind = 'settled'"),
        ("events", True, "DELETE FROM run_events WHERE seq = 3"),
        ("events", True, "DELETE FROM run_events"),
        ("callbacks", True, "UPDATE callbacks SET state = 'waiting'"),
        ("owners", False, "DELETE FROM workers"),
    ],
)
def test_runs_that_contradict_themselves_are_found(care: Care, what: str, damage: bool, sql: str) -> None:
    full(care)
    run(care, "PRAGMA foreign_keys = OFF", sql)
    assert {name: tells[0] for name, tells in found(care).items()}[what] is damage
    assert run_id(1) in found(care)[what][1] or run_id(2) in found(care)[what][1] or run_id(3) in found(care)[what][1]


def test_a_job_whose_end_nobody_is_told_of_is_found(care: Care) -> None:
    add(care, 1, State.SUCCEEDED)
    with opened(care.path) as db:
        callbacks.keep(db, make_callback(JOB_ID), JOB_ID, NOW, ended=False)
    assert found(care)["callbacks"] == (True, f"nobody is told of its end: {JOB_ID}")


# Putting a backup back


def test_runs_of_the_present_database_are_taken_over_as_they_are(care: Care) -> None:
    for number in (1, 2, 3):
        begin(care, number, told=True)
    change(care, 3, RunState.FAILED, error={"message": "It broke."})
    copy = saved(care)
    change(care, 1, ledger=(call(),), history=(message("Hello"),))
    change(care, 1, RunState.SUCCEEDED, ledger=(call(kind=LedgerKind.SETTLED, amount=30),), output="Füchse")
    change(care, 2, RunState.WAITING, awaits=Awaits.ANSWER, question=QUESTION, answers={"size": 1})
    begin(care, 4, told=True)
    before = [look(care, number) for number in (1, 2, 3)]
    spent = run(care, "SELECT SUM(micro_usd) FROM spending")
    done = care.restore(copy, LATER).salvage
    assert (done.added, done.advanced, done.lost, done.stopped) == ([run_id(4)], [run_id(1), run_id(2)], [], [])
    assert [look(care, number) for number in (1, 2, 3)] == before
    fourth = look(care, 4)
    assert fourth is not None
    assert (fourth.state, fourth.owner) == (RunState.QUEUED, None), "nobody runs"
    assert run(care, "SELECT SUM(micro_usd) FROM spending") == spent == 30
    first, second = session_in(care, 1) or make_session(), session_in(care, 2) or make_session()
    assert (first.history, second.answers) == ((message("Hello"),), {"size": 1})
    assert [callback_in(care, run_id(number)).state for number in (1, 2, 3, 4)] == ["due", "waiting", "due", "waiting"]
    assert not care.check().damaged


def gone(care: Care) -> None:
    care.path.unlink()


def junk(care: Care) -> None:
    care.path.write_bytes(b"junk")


def pages(care: Care) -> None:
    spoil(care.path, "runs", "run_events", "sqlite_autoindex_runs_1", "sessions", "callbacks")


@pytest.mark.parametrize("happen", [gone, junk, pages])
def test_a_run_that_may_have_gone_on_since_is_not_resumed(care: Care, happen: Callable[[Care], None]) -> None:
    begin(care, 1, told=True)
    change(care, 1, ledger=(call(),))
    begin(care, 2)
    change(care, 2, RunState.WAITING, awaits=Awaits.ANSWER, question=QUESTION)
    begin(care, 3)
    change(care, 3, RunState.SUCCEEDED, output="x")
    ended = look(care, 3)
    copy = saved(care)
    happen(care)
    done = care.restore(copy, LATER).salvage
    assert done.stopped == [run_id(1), run_id(2)]
    for number in (1, 2):
        stopped = look(care, number)
        assert stopped is not None
        assert (stopped.state, stopped.owner, stopped.awaits, stopped.finished_at) == ("failed", None, None, LATER)
        assert (stopped.error or {})["message"].startswith("It had not ended when the backup was made")
    assert look(care, 3) == ended
    assert run(care, "SELECT kind || certain FROM ledger ORDER BY id DESC") == "settled0"
    assert (callback_in(care).state, callback_in(care).due_at) == ("due", LATER)
    assert not care.check().damaged


def test_a_run_that_the_present_database_has_in_an_earlier_state_is_kept_as_the_backup_has_it(care: Care) -> None:
    begin(care)
    early = saved(care)
    change(care, 1, RunState.SUCCEEDED)
    after, late = look(care), care.backup(care.path.with_name("late.db"), NOW).path
    care.restore(early, LATER)
    run(care, "UPDATE runs SET version = 0")
    done = care.restore(late, LATER).salvage
    assert (done.added, done.advanced, done.stopped) == ([], [], [])
    assert look(care) == after


def test_an_index_that_is_spoilt_does_not_hide_the_runs_of_its_table(care: Care) -> None:
    copy = saved(care)
    begin(care, 1, told=True)
    spoil(care.path, "sqlite_autoindex_runs_1", "sqlite_autoindex_sessions_1", "sqlite_autoindex_callbacks_1")
    done = care.restore(copy, LATER).salvage
    assert done.added == [RUN_ID]
    found = look(care)
    assert found is not None
    assert found.session_id == SESSION_ID
    assert callback_in(care) == make_callback()


def test_newer_runs_that_cannot_be_read_or_make_no_sense_are_named(care: Care) -> None:
    copy = saved(care)
    for number in (1, 2, 3):
        begin(care, number)
    run(
        care,
        f"UPDATE runs SET answers = '[1]' WHERE id = '{run_id(1)}'",
        f"DELETE FROM run_events WHERE run_id = '{run_id(2)}'",
    )
    done = care.restore(copy, LATER).salvage
    assert (done.added, done.lost) == ([run_id(3)], [run_id(1), run_id(2)])
    assert look(care, 1) is None


def test_a_run_whose_events_are_spoilt_is_lost_or_stopped(care: Care) -> None:
    begin(care, 1)
    copy = saved(care)
    begin(care, 2)
    spoil(care.path, "run_events")
    done = care.restore(copy, LATER).salvage
    assert (done.added, done.lost, done.stopped) == ([], [run_id(2)], [run_id(1)])


def test_a_later_state_of_a_run_that_makes_no_sense_is_not_taken_over(care: Care) -> None:
    begin(care)
    copy = saved(care)
    run(care, "UPDATE runs SET answers = '[1]', version = 9")
    done = care.restore(copy, LATER).salvage
    assert (done.advanced, done.stopped) == ([], [RUN_ID])


@pytest.mark.parametrize("names", [("sessions",), ("sessions", "sqlite_autoindex_sessions_1")])
def test_a_run_whose_session_is_lost_stays_without_it(care: Care, names: tuple[str, ...]) -> None:
    copy = saved(care)
    begin(care, 1)
    spoil(care.path, *names)
    assert care.restore(copy, LATER).salvage.added == [RUN_ID]
    found = look(care)
    assert found is not None
    assert found.session_id is None


def test_the_newer_state_of_a_session_and_a_callback_stands(care: Care) -> None:
    begin(care, 1, told=True)
    early = saved(care)
    with opened(care.path) as db:
        db.execute("UPDATE sessions SET title = 'late', updated_at = updated_at + 1")
        callbacks.note(db, make_callback(attempts=3, state="due", error="Not now."))
    late = care.backup(care.path.with_name("late.db"), NOW).path
    care.restore(early, LATER)
    assert (session_in(care) or make_session()).title == "late"
    assert callback_in(care).error == "Not now."
    with opened(care.path) as db:
        db.execute("UPDATE sessions SET title = 'early', updated_at = updated_at - 1")
        callbacks.note(db, make_callback(attempts=1, state="due"))
    care.restore(late, LATER)
    assert (session_in(care) or make_session()).title == "late"
    assert callback_in(care).attempts == 3


def test_a_session_that_makes_no_sense_is_left(care: Care) -> None:
    with opened(care.path) as db:
        insert_session(db, make_session())
    copy = saved(care)
    run(care, "PRAGMA ignore_check_constraints = ON", "UPDATE sessions SET history = '[', updated_at = updated_at + 1")
    care.restore(copy, LATER)
    assert session_in(care) == make_session()


def test_callbacks_tell_of_what_was_ended_and_are_given_up_for_what_is_lost(care: Care) -> None:
    with opened(care.path) as db:
        moves.add(db, make_job(), [], again=True, fresh_for_ms=0, callback=make_callback(JOB_ID))
        callbacks.keep(db, make_callback("job_lost"), "job_lost", NOW, ended=False)
    add(care, 2, State.SUCCEEDED)
    with opened(care.path) as db:
        callbacks.keep(db, make_callback("job_0000000000000002"), "job_0000000000000002", NOW, ended=False)
    copy = saved(care)
    gone(care)
    assert care.restore(copy, LATER).salvage.held_back == [JOB_ID]
    assert (callback_in(care, JOB_ID).state, callback_in(care, JOB_ID).due_at) == ("due", LATER)
    assert callback_in(care, "job_0000000000000002").state == "due"
    lost = callback_in(care, "job_lost")
    assert (lost.state, lost.error) == ("failed", "What it was to tell of is lost.")


def test_a_backup_from_before_there_were_runs_takes_those_of_the_present_database(care: Care) -> None:
    early = care.path.with_name("early.db")
    with opened(early) as db:
        migrate(db, {number: sql for number, sql in migrations("sqlite").items() if number <= 5})
    begin(care, 1, told=True)
    assert care.restore(early, LATER).salvage.added == [RUN_ID]
    assert not care.check().damaged


def test_a_database_from_before_there_were_runs_takes_none_from_the_backup(care: Care) -> None:
    begin(care)
    copy = saved(care)
    gone(care)
    with opened(care.path) as db:
        migrate(db, {number: sql for number, sql in migrations("sqlite").items() if number <= 5})
    done = care.restore(copy, LATER).salvage
    assert (done.added, done.stopped) == ([], [RUN_ID])
