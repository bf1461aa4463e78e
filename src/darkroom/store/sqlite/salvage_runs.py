"""Runs, their sessions and all callbacks, read out of one database and taken over into another."""

import sqlite3
from typing import Any

from darkroom.domain.run import RunState
from darkroom.errors import SubmitUnknown
from darkroom.store.sqlite.run_rows import ENDED_STATES, insert_run_event, load_run, run_of, update_run
from darkroom.store.sqlite.runs import finish
from darkroom.store.sqlite.salvage import Rows, Salvage, ids_in, put_rows

KEYS = {"runs": ("id", "id"), "run_events": ("run_id", "seq"), "ledger": ("job_id", "id")}
"""The tables of a run in the order in which they can be filled: the column that names it, and their order."""
SCANS = ("SELECT id FROM runs ORDER BY id", "SELECT id FROM runs ORDER BY rowid")
"""Where ids of runs stand; one may be damaged where the other is not. A database without runs has neither."""
SESSIONS = ("SELECT id FROM sessions ORDER BY id", "SELECT id FROM sessions ORDER BY rowid")
CALLBACKS = ("SELECT subject FROM callbacks ORDER BY subject", "SELECT subject FROM callbacks ORDER BY rowid")


def salvage_runs(old: sqlite3.Connection, db: sqlite3.Connection, done: Salvage) -> None:
    """Take over from `old` every run, session and callback that `db` does not have, or has in an earlier state."""
    for session_id in sorted(ids_in(old, SESSIONS)):
        _take_newer(old, db, "sessions", "id", session_id)
    for run_id in sorted(ids_in(old, SCANS)):
        rows, present = _read(old, run_id), _read(db, run_id)
        if present is None:
            taken = rows is not None and _take(db, run_id, rows)
            (done.added if taken else done.lost).append(run_id)
        elif rows is None or rows["runs"][0]["version"] < present["runs"][0]["version"]:
            continue
        elif rows == present:
            taken = True
        else:
            taken = _take(db, run_id, rows)
            if taken:
                done.advanced.append(run_id)
        if taken:
            done.known.add(run_id)
    for subject in sorted(ids_in(old, CALLBACKS)):
        _take_newer(old, db, "callbacks", "subject", subject)


def _one(db: sqlite3.Connection, table: str, key: str, value: str) -> dict[str, Any] | None:
    """Return a row of a table, or None where it is not there or cannot be read."""
    for way in ("", "NOT INDEXED"):  # an index may be damaged where its table is not
        try:
            row = db.execute(f"SELECT * FROM {table} {way} WHERE {key} = ?", (value,)).fetchone()  # noqa: S608 because the names are ours
        except sqlite3.DatabaseError:
            continue
        return None if row is None else dict(row)
    return None


def _take_newer(old: sqlite3.Connection, db: sqlite3.Connection, table: str, key: str, value: str) -> None:
    """Put the old database's row of a session or callback in the place of an earlier state of it."""
    row, present = _one(old, table, key, value), _one(db, table, key, value)
    if row is None or (present is not None and _age(row) < _age(present)):
        return
    columns = {str(found["name"]) for found in db.execute(f"PRAGMA table_info({table})")}
    known = {name: content for name, content in row.items() if name in columns}
    sets = ", ".join(f"{name} = excluded.{name}" for name in known)
    holes = ", ".join("?" for _ in known)
    sql = f"INSERT INTO {table} ({', '.join(known)}) VALUES ({holes}) ON CONFLICT DO UPDATE SET {sets}"  # noqa: S608 because the names are ours
    try:
        db.execute(sql, tuple(known.values()))
    except sqlite3.IntegrityError:  # it contradicts itself
        return


def _age(row: dict[str, Any]) -> int:
    """Return what grows with every change: when a session was written, how often a callback was tried."""
    return int(row["updated_at"] if "updated_at" in row else row["attempts"])


def _read(db: sqlite3.Connection, run_id: str) -> Rows | None:
    """Return all rows of a run, or None where they are not there or cannot all be read."""
    for way in ("", "NOT INDEXED"):
        try:
            rows = {table: _rows(db, table, way, run_id) for table in KEYS}
        except sqlite3.DatabaseError:
            continue
        return rows if rows["runs"] and rows["run_events"] else None
    return None


def _rows(db: sqlite3.Connection, table: str, way: str, run_id: str) -> list[dict[str, Any]]:
    key, order = KEYS[table]
    sql = f"SELECT * FROM {table} {way} WHERE {key} = ? ORDER BY {order}"  # noqa: S608 because the names are ours
    found = [dict(row) for row in db.execute(sql, (run_id,))]
    for row in found if table == "ledger" else ():
        del row["id"]  # a mere number, which each database counts by itself
    return found


def _take(db: sqlite3.Connection, run_id: str, rows: Rows) -> bool:
    """Put these rows in the place of the run's; False, with nothing changed, where they contradict themselves."""
    db.execute("SAVEPOINT taking")
    try:
        db.execute("DELETE FROM ledger WHERE job_id = ?", (run_id,))
        db.execute("DELETE FROM runs WHERE id = ?", (run_id,))  # its events go with it
        for row in rows["runs"]:
            row["session_id"] = _session(db, row["session_id"])
        for table, found in rows.items():
            put_rows(db, table, found)
        load_run(db, run_id)
    except (sqlite3.Error, ValueError, LookupError, TypeError):
        db.execute("ROLLBACK TO taking")
        return False
    finally:
        db.execute("RELEASE taking")
    return True


def _session(db: sqlite3.Connection, session_id: str | None) -> str | None:
    """Return a run's session, unless it is lost."""
    return None if session_id is None or _one(db, "sessions", "id", session_id) is None else session_id


def stop_runs(db: sqlite3.Connection, known: set[str], now: int) -> list[str]:
    """End what a backup says is going on and may have gone on since: it would do again, and pay again, what it did.

    Returns the ids of those runs.
    """
    stopped: list[str] = []
    for row in db.execute(f"SELECT * FROM runs WHERE state NOT IN {ENDED_STATES} ORDER BY id").fetchall():  # noqa: S608 because the states are ours
        run = run_of(row)
        if run.id in known:
            continue
        error = SubmitUnknown(
            "It had not ended when the backup was made, and may have gone on, and cost something, after that.",
            hint="It was not resumed. Look at its jobs; start it anew where something is missing.",
        )
        values = {
            "state": RunState.FAILED,
            "owner": None,
            "awaits": None,
            "question": None,
            "error": error.to_dict(),
            "finished_at": now,
        }
        update_run(db, run.id, values, now)
        insert_run_event(db, run.id, run.state, RunState.FAILED, now, detail=error.message)
        finish(db, run.id, now)
        stopped.append(run.id)
    return stopped
