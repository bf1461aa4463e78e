"""A backup put in place of the database keeps what providers want back when somebody goes on with a result."""

from pathlib import Path

import pytest

from darkroom.domain.job import State
from darkroom.store.sqlite.care import Care
from factories import NOW, job_id
from helpers_care import LATER, add, bring, look, new_care, opened, run, spoil


@pytest.fixture
def care(tmp_path: Path) -> Care:
    """Care for a database of no jobs."""
    return new_care(tmp_path)


def say(care: Care, number: int, content: str, idx: int = 0) -> None:
    """Keep a turn of a job."""
    with opened(care.path) as db:
        values = (job_id(number), idx, content)
        db.execute("INSERT OR REPLACE INTO turns (job_id, idx, content) VALUES (?, ?, ?)", values)


def turns(care: Care) -> dict[tuple[int, int], str]:
    with opened(care.path) as db:
        rows = db.execute("SELECT job_id, idx, content FROM turns ORDER BY job_id, idx").fetchall()
    return {(int(row["job_id"].removeprefix("job_")), row["idx"]): row["content"] for row in rows}


def test_turns_of_newer_jobs_and_states_are_taken_over(care: Care) -> None:
    add(care, 1)
    copy = care.backup(None, NOW).path
    bring(care, 1, State.SUCCEEDED)
    add(care, 2, State.SUCCEEDED)
    say(care, 1, '{"signature":"one"}')
    say(care, 2, '{"signature":"two"}')
    done = care.restore(copy, LATER)
    assert (done.salvage.added, done.salvage.advanced) == ([job_id(2)], [job_id(1)])
    assert turns(care) == {(1, 0): '{"signature":"one"}', (2, 0): '{"signature":"two"}'}
    assert not care.check().damaged


def test_turns_of_the_backup_stay_where_the_present_ones_cannot_be_read(care: Care) -> None:
    add(care, 1, parts=[{}, {}])
    say(care, 1, '{"kept":true}')
    copy = care.backup(None, NOW).path
    bring(care, 1, State.RUNNING)
    say(care, 1, '{"lost":true}', idx=1)
    spoil(care.path, "turns", "sqlite_autoindex_turns_1")
    done = care.restore(copy, LATER)
    assert (done.salvage.advanced, done.salvage.lost) == ([job_id(1)], [])
    assert look(care, 1).submissions[0].state is State.RUNNING
    assert turns(care) == {(1, 0): '{"kept":true}'}


def test_an_index_of_the_turns_that_is_spoilt_hides_none(care: Care) -> None:
    copy = care.backup(None, NOW).path
    add(care, 1, State.SUCCEEDED)
    say(care, 1, "{}")
    spoil(care.path, "sqlite_autoindex_turns_1")
    care.restore(copy, LATER)
    assert turns(care) == {(1, 0): "{}"}


def test_a_turn_that_makes_no_sense_does_not_cost_its_job(care: Care) -> None:
    copy = care.backup(None, NOW).path
    add(care, 1, State.SUCCEEDED, parts=[{}, {}])
    say(care, 1, "{}", idx=1)
    run(care, "PRAGMA ignore_check_constraints = ON", f"INSERT INTO turns VALUES ('{job_id(1)}', 0, '{{')")
    done = care.restore(copy, LATER)
    assert (done.salvage.added, done.salvage.lost) == ([job_id(1)], [])
    assert turns(care) == {(1, 1): "{}"}


def test_a_database_from_before_there_were_turns_gives_its_jobs_and_takes_no_turn_away(care: Care) -> None:
    add(care, 1)
    say(care, 1, "{}")
    copy = care.backup(None, NOW).path
    run(care, "DROP TABLE turns", "DROP INDEX jobs_followers", "PRAGMA user_version = 9")
    bring(care, 1, State.RUNNING)
    assert care.restore(copy, LATER).salvage.advanced == [job_id(1)]
    assert (look(care, 1).state, turns(care)) == (State.RUNNING, {(1, 0): "{}"})


def test_a_check_names_turns_that_belong_to_no_job(care: Care) -> None:
    add(care, 1, State.RUNNING)
    assert not care.check().damaged
    run(care, "PRAGMA foreign_keys = OFF", "INSERT INTO turns VALUES ('job_9', 0, '{}')")
    assert [finding.what for finding in care.check().findings if finding.damage] == ["references"]
