"""Runs, sessions and callbacks as rows and back; the only place that knows their columns."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from darkroom.domain.run import Callback, Message, Run, RunState, Session
from darkroom.store.sqlite.rows import insert, to_json

ENDED_STATES = "('succeeded', 'failed', 'cancelled')"
"""Where runs and jobs end, in SQL."""
PACKED = (
    "context",
    "waiting_for",
    "question",
    "answers",
    "work",
    "actions",
    "data",
    "brief",
    "error",
    "warnings",
)
"""The columns of runs that hold JSON."""


def run_of(row: sqlite3.Row) -> Run:
    """Return one row of `runs`."""
    data = dict(row)
    for name in PACKED:
        data[name] = None if data[name] is None else json.loads(data[name])
    return Run.model_validate(data)


def packed(values: dict[str, Any]) -> dict[str, Any]:
    """Return fields of a run as columns."""
    return {name: to_json(value) if name in PACKED and value is not None else value for name, value in values.items()}


def insert_run(db: sqlite3.Connection, run: Run) -> None:
    """Insert a run with the event of its beginning."""
    insert(db, "runs", packed(run.model_dump(mode="json")))
    insert_run_event(db, run.id, None, run.state, run.created_at, run.owner)


def load_run(db: sqlite3.Connection, run_id: str) -> Run | None:
    """Return one run, or None."""
    row = db.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
    return None if row is None else run_of(row)


def update_run(db: sqlite3.Connection, run_id: str, values: dict[str, Any], at: int) -> None:
    """Write fields of a run, which is then in its next version."""
    columns = packed(values)
    sets = "".join(f"{name} = ?, " for name in columns)
    db.execute(
        f"UPDATE runs SET {sets}version = version + 1, updated_at = ? WHERE id = ?",  # noqa: S608 because the names are ours
        (*columns.values(), at, run_id),
    )


def insert_run_event(
    db: sqlite3.Connection,
    run_id: str,
    origin: RunState | None,
    target: RunState,
    at: int,
    owner: str | None = None,
    detail: str | None = None,
) -> None:
    """Append one event with the run's next number."""
    db.execute(
        """INSERT INTO run_events (run_id, seq, origin, target, at, owner, detail)
           SELECT ?, COALESCE(MAX(seq), 0) + 1, ?, ?, ?, ?, ? FROM run_events WHERE run_id = ?""",
        (run_id, origin, target, at, owner, detail, run_id),
    )


def session_of(row: sqlite3.Row) -> Session:
    """Return one row of `sessions`, as far as it was asked for."""
    data = dict(row)
    return Session.model_validate(
        {**data, "history": json.loads(data.get("history", "[]")), "answers": json.loads(data["answers"])}
    )


def insert_session(db: sqlite3.Connection, session: Session) -> None:
    """Insert a session; one that is there already stays as it is."""
    data = session.model_dump(mode="json")
    columns = {**data, "history": to_json(data["history"]), "answers": to_json(data["answers"])}
    insert(db, "sessions", columns, ignore=True)


def extend_session(
    db: sqlite3.Connection, session_id: str, history: Sequence[Message], answers: dict[str, Any], at: int
) -> None:
    """Append messages to a session and lay answers over its own."""
    row = db.execute("SELECT history, answers FROM sessions WHERE id = ?", (session_id,)).fetchone()
    said = [*json.loads(row["history"]), *(message.model_dump(mode="json") for message in history)]
    db.execute(
        "UPDATE sessions SET history = ?, answers = ?, updated_at = ? WHERE id = ?",
        (to_json(said), to_json({**json.loads(row["answers"]), **answers}), at, session_id),
    )


def callback_of(row: sqlite3.Row) -> Callback:
    """Return one row of `callbacks`."""
    return Callback.model_validate(dict(row))
