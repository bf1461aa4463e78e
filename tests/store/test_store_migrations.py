"""Numbered migrations: each once, all or nothing, and the same schema whichever way one came."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from enum import StrEnum
from pathlib import Path

import pytest

from darkroom.domain.job import ENDED, LedgerKind, State
from darkroom.domain.run import Awaits, Callback, Delivery, Mode, Run, RunKind, RunState, Session
from darkroom.errors import StorageNewer
from darkroom.store.migrate import migrate, migrations, statements, version_of
from darkroom.store.sqlite.money import IN_TREE
from darkroom.store.sqlite.runs import READY

STEPS = {
    1: "CREATE TABLE a (x INTEGER);\nINSERT INTO a VALUES (1);",
    2: "-- more\nALTER TABLE a ADD COLUMN y TEXT;\nUPDATE a SET x = x + 1",
    3: "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  UPDATE a SET y = 'a;b';\n  UPDATE a SET x = 3;\nEND;",
}
OPENER = """
import sys
from pathlib import Path
import anyio
from darkroom.clock import SystemClock
from darkroom.events import Bus
from darkroom.store.sqlite import SqliteStore

async def main():
    store = SqliteStore(Path(sys.argv[1]), Bus(), SystemClock())
    sys.stdout.write("ready\\n")
    sys.stdout.flush()
    sys.stdin.readline()
    await store.open()
    await store.data_version()
    await store.close()

anyio.run(main)
"""
RACER = """
import sqlite3, sys
from darkroom.store.migrate import migrate

steps = {1: "CREATE TABLE once (pid INTEGER);\\nINSERT INTO once VALUES (1);", 2: "INSERT INTO once VALUES (2);"}
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.readline()
migrate(db, steps)
db.close()
"""


@pytest.fixture
def db(tmp_path: Path) -> Generator[sqlite3.Connection]:
    opened = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    yield opened
    opened.close()


def schema(db: sqlite3.Connection) -> list[tuple[str, str]]:
    return db.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def race(program: str, path: Path, count: int = 6) -> None:
    """Start that many processes, let them go at the same time, and expect them all to succeed."""
    arguments = [sys.executable, "-W", "error", "-c", program, str(path)]
    pipe = subprocess.PIPE
    started = [
        subprocess.Popen(arguments, stdin=pipe, stdout=pipe, stderr=pipe, text=True, encoding="utf-8")
        for _ in range(count)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        errors = [process.communicate(timeout=20)[1] for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert errors == [""] * count
    assert [process.returncode for process in started] == [0] * count


def test_six_processes_that_open_a_new_file_at_once_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "darkroom.db"
    race(OPENER, path)
    opened = sqlite3.connect(path)
    assert version_of(opened) == max(migrations("sqlite"))
    assert opened.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert opened.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    opened.close()


def test_six_processes_apply_each_step_once(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    race(RACER, path)
    opened = sqlite3.connect(path)
    assert opened.execute("SELECT pid FROM once ORDER BY pid").fetchall() == [(1,), (2,)]
    opened.close()


def test_other_files_beside_the_migrations_are_no_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "migrations" / "family"
    folder.mkdir(parents=True)
    for name in ("0002_two.sql", "0001_one.sql", "README.md", "0003_three.sql~", "3_x.sql"):
        (folder / name).write_text(name, "utf-8")

    def here(_: str) -> Path:
        return tmp_path

    monkeypatch.setattr("darkroom.store.migrate.files", here)
    assert migrations("family") == {1: "0001_one.sql", 2: "0002_two.sql"}


def test_a_failing_step_rolls_back_all_of_them(db: sqlite3.Connection) -> None:
    migrate(db, {1: STEPS[1]})
    before = schema(db)
    broken = {**STEPS, 3: "CREATE TABLE b (x INTEGER);\nINSERT INTO nowhere VALUES (1);"}
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(db, broken)
    assert schema(db) == before
    assert version_of(db) == 1
    assert not db.in_transaction
    assert migrate(db, STEPS) == 3


def test_a_schema_is_the_same_fresh_and_migrated_step_by_step(db: sqlite3.Connection) -> None:
    for newest in STEPS:
        assert migrate(db, {number: sql for number, sql in STEPS.items() if number <= newest}) == newest
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    migrate(fresh, STEPS)
    assert schema(fresh) == schema(db)
    assert fresh.execute("SELECT * FROM a").fetchall() == db.execute("SELECT * FROM a").fetchall() == [(2, None)]
    fresh.close()


def test_our_schema_is_the_same_fresh_and_migrated_step_by_step(db: sqlite3.Connection) -> None:
    steps = migrations("sqlite")
    assert list(steps) == list(range(1, len(steps) + 1))
    for newest in steps:
        migrate(db, {number: sql for number, sql in steps.items() if number <= newest})
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    migrate(fresh, steps)
    assert schema(fresh) == schema(db)
    fresh.close()


def test_a_database_that_is_up_to_date_is_not_written(db: sqlite3.Connection) -> None:
    migrate(db, STEPS)
    written = db.total_changes
    assert migrate(db, STEPS) == 3
    assert db.total_changes == written


def test_a_database_of_a_later_version_is_refused_and_left_alone(db: sqlite3.Connection) -> None:
    migrate(db, STEPS)
    with pytest.raises(StorageNewer, match=r"version 3; .* up to 2"):
        migrate(db, {1: STEPS[1], 2: STEPS[2]})
    assert version_of(db) == 3
    assert not db.in_transaction


def test_a_script_is_split_at_the_ends_of_its_statements() -> None:
    assert statements(STEPS[3]) == [STEPS[3]]
    assert len(statements(STEPS[1])) == 2
    assert statements("CREATE TABLE a (x);\n\n") == ["CREATE TABLE a (x);"]
    assert statements("") == []


def test_a_last_statement_without_its_semicolon_is_not_lost() -> None:
    assert statements("CREATE TABLE a (x);\nCREATE TABLE b (x)\n") == ["CREATE TABLE a (x);", "CREATE TABLE b (x)"]


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("submissions", "state", State),
        ("runs", "state", RunState),
        ("ledger", "kind", LedgerKind),
        ("runs", "kind", RunKind),
        ("runs", "mode", Mode),
        ("runs", "awaits", Awaits),
        ("callbacks", "state", Delivery),
    ],
)
def test_the_words_that_a_column_may_hold_are_those_of_its_enumeration(
    db: sqlite3.Connection, table: str, column: str, values: type[StrEnum]
) -> None:
    migrate(db, migrations("sqlite"))
    sql = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    words = re.search(rf"\b{column} TEXT(?: NOT NULL)? CHECK \({column} IN \((.*?)\)\)", sql)
    assert words is not None
    assert re.findall(r"'(\w+)'", words[1]) == [str(value) for value in values]


def test_a_job_s_outcome_is_one_of_the_states_in_which_it_ends(db: sqlite3.Connection) -> None:
    migrate(db, migrations("sqlite"))
    sql = db.execute("SELECT sql FROM sqlite_master WHERE name = 'jobs'").fetchone()[0]
    words = re.search(r"\boutcome TEXT CHECK \(outcome IN \((.*?)\)\)", sql)
    assert words is not None
    assert set(re.findall(r"'(\w+)'", words[1])) == ENDED


def test_a_file_of_the_first_version_keeps_its_jobs(db: sqlite3.Connection) -> None:
    steps = migrations("sqlite")
    migrate(db, {1: steps[1]})
    for number, (state, finished_at) in enumerate([("running", None), ("failed", 8)]):
        db.execute(
            """INSERT INTO jobs (id, principal, kind, mode, state, request, request_hash, created_at, updated_at,
               finished_at) VALUES (?, 'local', 'image', 'text_to_image', ?, '{}', 'x', 5, 7, ?)""",
            (f"job_{number}", state, finished_at),
        )
        db.execute(
            """INSERT INTO submissions (job_id, idx, state, provider, model, effective, replayable)
               VALUES (?, 0, ?, 'acme', 'm', '{}', 0)""",
            (f"job_{number}", state),
        )
    migrate(db, steps)
    assert db.execute("SELECT id, outcome, finished_at FROM jobs").fetchall() == [
        ("job_0", None, None),
        ("job_1", "failed", 8),
    ]
    assert db.execute("SELECT state, updated_at FROM submissions").fetchall() == [("running", 7), ("failed", 7)]


def test_a_file_from_before_there_were_runs_keeps_its_jobs_and_its_money(db: sqlite3.Connection) -> None:
    steps = migrations("sqlite")
    migrate(db, {number: sql for number, sql in steps.items() if number <= 5})
    db.execute(
        """INSERT INTO jobs (id, principal, kind, mode, outcome, request, request_hash, created_at, updated_at,
           finished_at) VALUES ('job_1', 'local', 'image', 'text_to_image', 'succeeded', '{}', 'x', 5, 7, 8)"""
    )
    sql = """INSERT INTO ledger (job_id, submission, kind, micro_usd, at, certain, principal, provider, model)
             VALUES ('job_1', 0, ?, ?, 5, 1, 'local', 'acme', 'm')"""
    db.executemany(sql, [("reserved", 40), ("settled", 30)])
    columns = "job_id, provider, model, reserved, micro_usd, certain, open"
    before = db.execute(f"SELECT {columns} FROM spending").fetchall()
    migrate(db, steps)
    assert db.execute("SELECT id, run_id, outcome, finished_at FROM jobs").fetchall() == [
        ("job_1", None, "succeeded", 8)
    ]
    assert db.execute(f"SELECT {columns} FROM spending").fetchall() == before == [("job_1", "acme", "m", 40, 30, 1, 0)]
    assert db.execute("SELECT priced, released FROM spending").fetchall() == [(1, 0)]
    for table in ("runs", "run_events", "sessions", "callbacks"):
        assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_a_file_from_before_there_were_turns_keeps_its_jobs_and_takes_turns(db: sqlite3.Connection) -> None:
    steps = migrations("sqlite")
    migrate(db, {number: sql for number, sql in steps.items() if number <= 9})
    db.execute("PRAGMA foreign_keys = ON")
    sql = """INSERT INTO jobs (id, principal, kind, mode, request, request_hash, created_at, updated_at, parent_job_id)
             VALUES (?, 'local', 'image', 'text_to_image', '{}', 'x', 5, 7, ?)"""
    db.executemany(sql, [("job_1", None), ("job_2", "job_1")])
    migrate(db, steps)
    assert db.execute("SELECT id, parent_job_id FROM jobs").fetchall() == [("job_1", None), ("job_2", "job_1")]
    assert db.execute("SELECT count(*) FROM turns").fetchone() == (0,)
    db.execute("INSERT INTO turns (job_id, idx, content) VALUES ('job_1', 0, '{}')")
    for wrong in ("('job_1', 1, 'no JSON')", "('job_9', 0, '{}')", "('job_1', 0, '{}')"):
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(f"INSERT INTO turns (job_id, idx, content) VALUES {wrong}")
    db.execute("DELETE FROM jobs WHERE id = 'job_1'")
    assert db.execute("SELECT count(*) FROM turns").fetchone() == (0,)


def test_a_run_in_the_database_has_every_field_of_a_run(db: sqlite3.Connection) -> None:
    migrate(db, migrations("sqlite"))
    for table, model in (("runs", Run), ("sessions", Session), ("callbacks", Callback)):
        assert [row[1] for row in db.execute(f"PRAGMA table_info({table})")] == list(model.model_fields)


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (f"SELECT 1 FROM runs WHERE {READY} LIMIT 1", "runs_free"),
        (f"SELECT SUM(micro_usd) FROM spending WHERE {IN_TREE}", "runs_parent"),
        (f"SELECT SUM(micro_usd) FROM spending WHERE {IN_TREE}", "jobs_run"),
        ("SELECT 1 FROM callbacks WHERE state = 'due' AND due_at <= ?1 LIMIT 1", "callbacks_due"),
        ("SELECT id FROM jobs WHERE parent_job_id = ?1 ORDER BY id", "jobs_followers"),
    ],
)
def test_what_is_asked_again_and_again_is_found_by_an_index(db: sqlite3.Connection, sql: str, index: str) -> None:
    migrate(db, migrations("sqlite"))
    plan = " ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", (1,)))
    assert index in plan
    assert "SCAN reserved" not in plan


def test_every_table_is_strict(db: sqlite3.Connection) -> None:
    migrate(db, migrations("sqlite"))
    tables = [sql for _, sql in schema(db) if sql and sql.startswith("CREATE TABLE")]
    assert tables
    assert not [sql for sql in tables if "STRICT" not in sql.rpartition(")")[2]]
