"""Jobs read out of one database, damaged perhaps, and taken over into another."""

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from darkroom.domain.job import ENDED, LedgerKind, LedgerRow, State, derive
from darkroom.domain.money import FREE
from darkroom.errors import SubmitUnknown
from darkroom.store.base import Move
from darkroom.store.sqlite import moves
from darkroom.store.sqlite.rows import insert, load_job, submission_of

Rows = dict[str, list[dict[str, Any]]]
"""All rows of one job by table."""
KEYS = {"jobs": "id", "submissions": "job_id", "outputs": "job_id", "events": "job_id", "ledger": "job_id"}
"""The tables of a job in the order in which they can be filled, and the column that names it."""
TURNS = "turns"
"""A table that older databases do not have, and without which a job is whole."""
ORDERS = {"jobs": "id", "submissions": "idx", "outputs": "idx", "events": "seq", "ledger": "id", TURNS: "idx"}
SCANS = (
    "SELECT id FROM jobs ORDER BY id",
    "SELECT id FROM jobs ORDER BY rowid",
    "SELECT job_id FROM submissions ORDER BY job_id",
    "SELECT job_id FROM events ORDER BY job_id",
)
"""Where ids of jobs stand; each of them may be damaged where another is not."""


@dataclass(slots=True)
class Salvage:
    """What became of the jobs and runs of an older database, by their ids."""

    known: set[str] = field(default_factory=set[str])
    """Jobs whose present state is sure."""
    added: list[str] = field(default_factory=list[str])
    """Jobs that the backup did not have."""
    advanced: list[str] = field(default_factory=list[str])
    """Jobs that the backup had in an earlier state."""
    lost: list[str] = field(default_factory=list[str])
    """Jobs that the backup does not have and that could not be read."""
    held_back: list[str] = field(default_factory=list[str])
    """Jobs that may have been sent after the backup was made, so they were ended."""
    stopped: list[str] = field(default_factory=list[str])
    """Runs that may have gone on after the backup was made, so they were ended."""


def salvage(old: sqlite3.Connection, db: sqlite3.Connection) -> Salvage:
    """Take over from `old` every job that `db` does not have, or has in an earlier state."""
    done = Salvage()
    for job_id in sorted(ids_in(old, SCANS)):
        rows, present = _read(old, job_id), _read(db, job_id)
        if rows is not None and present is not None:
            kept = {row["idx"] for row in rows[TURNS]}
            rows[TURNS] += [row for row in present[TURNS] if row["idx"] not in kept]
        if present is None:
            taken = rows is not None and _take(db, job_id, rows)
            (done.added if taken else done.lost).append(job_id)
        elif rows is None or not _follows(rows, present):
            continue
        elif rows == present:
            taken = True
        else:
            taken = _take(db, job_id, rows)
            if taken:
                done.advanced.append(job_id)
        if taken:
            done.known.add(job_id)
    return done


def ids_in(db: sqlite3.Connection, scans: Iterable[str]) -> set[str]:
    """Return the ids that any of these queries gives, from either end as far as it can be read."""
    found: set[str] = set()
    for scan in scans:
        for order in ("", " DESC"):
            ids, whole = _as_far_as(db, scan + order)
            found.update(ids)
            if whole:
                break
    return found


def _as_far_as(db: sqlite3.Connection, sql: str) -> tuple[list[str], bool]:
    """Return the ids that a query gives before it meets damage, and whether it met none."""
    ids: list[str] = []
    try:
        ids.extend(str(row[0]) for row in db.execute(sql))
    except sqlite3.DatabaseError:
        return ids, False
    return ids, True


def _read(db: sqlite3.Connection, job_id: str) -> Rows | None:
    """Return all rows of a job, or None where they are not there or cannot all be read."""
    for way in ("", "NOT INDEXED"):  # an index may be damaged where its table is not
        try:
            rows = {table: _rows(db, table, way, job_id) for table in KEYS}
        except sqlite3.DatabaseError:
            continue
        return {**rows, TURNS: _turns(db, job_id)} if rows["jobs"] and rows["submissions"] and rows["events"] else None
    return None


def _turns(db: sqlite3.Connection, job_id: str) -> list[dict[str, Any]]:
    """Return what providers want back of a job; nothing where that cannot be read."""
    for way in ("", "NOT INDEXED"):
        with suppress(sqlite3.DatabaseError):
            return _rows(db, TURNS, way, job_id)
    return []


def _rows(db: sqlite3.Connection, table: str, way: str, job_id: str) -> list[dict[str, Any]]:
    sql = f"SELECT * FROM {table} {way} WHERE {KEYS.get(table, 'job_id')} = ? ORDER BY {ORDERS[table]}"  # noqa: S608 because the names are ours
    found = [dict(row) for row in db.execute(sql, (job_id,))]
    for row in found if table == "ledger" else ():
        del row["id"]  # a mere number, which each database counts by itself
    return found


def _follows(rows: Rows, present: Rows) -> bool:
    """Return whether these rows are a later state of the same job, or the same."""
    versions = {row["idx"]: row["version"] for row in rows["submissions"]}
    return all(versions.get(row["idx"], -1) >= row["version"] for row in present["submissions"])


def _take(db: sqlite3.Connection, job_id: str, rows: Rows) -> bool:
    """Put these rows in the place of the job's; False, with nothing changed, where they contradict themselves."""
    db.execute("SAVEPOINT taking")
    try:
        db.execute("DELETE FROM ledger WHERE job_id = ?", (job_id,))
        db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))  # its other rows go with it
        for table in KEYS:
            put_rows(db, table, rows[table])
        for row in rows[TURNS]:
            with suppress(sqlite3.IntegrityError):  # one that contradicts itself does not cost the job
                put_rows(db, TURNS, [row])
        _end(db, job_id, rows["submissions"])
        load_job(db, job_id)
    except (sqlite3.Error, ValueError, LookupError, TypeError):
        db.execute("ROLLBACK TO taking")
        return False
    finally:
        db.execute("RELEASE taking")
    return True


def put_rows(db: sqlite3.Connection, table: str, rows: Iterable[dict[str, Any]]) -> None:
    """Insert rows of an older database, without the columns that there are no more."""
    columns = {str(row["name"]) for row in db.execute(f"PRAGMA table_info({table})")}
    for row in rows:
        insert(db, table, {name: value for name, value in row.items() if name in columns})


def _end(db: sqlite3.Connection, job_id: str, parts: Iterable[dict[str, Any]]) -> None:
    """Write the job's end as it follows from its submissions: older databases kept it otherwise."""
    state = derive(State(part["state"]) for part in parts)
    db.execute(
        """UPDATE jobs SET outcome = ?1, finished_at = CASE WHEN ?1 IS NOT NULL THEN COALESCE(finished_at, updated_at)
           END WHERE id = ?2""",
        (state if state in ENDED else None, job_id),
    )


def hold_back(db: sqlite3.Connection, known: set[str], now: int) -> list[str]:
    """End what a backup says is still to be sent and may have been sent since; return the ids of those jobs.

    What is free and deterministic stays: sending it again costs nothing.
    """
    held: list[str] = []
    for row in db.execute("SELECT * FROM submissions WHERE state = 'queued' AND NOT replayable").fetchall():
        part = submission_of(row)
        if part.job_id in known:
            continue
        error = SubmitUnknown(
            f"It waited to be sent to {part.provider} when the backup was made, and may have been sent and charged "
            "after that.",
            hint="It was not sent again. Look at the provider's own list; retry_job starts it anew, and pays anew.",
        )
        row_of_ledger = LedgerRow(
            job_id=part.job_id,
            submission=part.idx,
            kind=LedgerKind.RELEASED,
            micro_usd=part.estimate or FREE,
            at=now,
            certain=False,
        )
        move = Move(State.FAILED, now, detail=error.message, error=error.to_dict(), ledger=(row_of_ledger,))
        moves.move(db, part.ref, part.owner, move)
        held.append(part.job_id)
    return sorted(set(held))
