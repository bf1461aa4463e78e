"""The transactions of callbacks: whom to tell when a job or run ends, and who tells it."""

import sqlite3

from darkroom.domain.run import Callback, Delivery
from darkroom.store.sqlite.rows import insert
from darkroom.store.sqlite.run_rows import callback_of


def keep(db: sqlite3.Connection, callback: Callback | None, subject: str, at: int, *, ended: bool) -> None:
    """Keep whom to tell of a job or run, unless that is kept already; one that has ended is to be told at once."""
    if callback is None:
        return
    values = {**callback.model_dump(mode="json"), "subject": subject}
    insert(db, "callbacks", values, ignore=True)
    if ended:
        ring(db, subject, at)


def ring(db: sqlite3.Connection, subject: str, at: int) -> None:
    """Make the callback of what has ended due."""
    db.execute(
        "UPDATE callbacks SET state = ?, due_at = ? WHERE subject = ? AND state = ?",
        (Delivery.DUE, at, subject, Delivery.WAITING),
    )


def put_right(db: sqlite3.Connection, at: int) -> None:
    """Make due what waits for work that has ended, and give up what waits for work that is not there."""
    waiting = "UPDATE callbacks SET state = ?, due_at = ?, error = ? WHERE state = 'waiting' AND subject"
    gone = "NOT IN (SELECT id FROM jobs UNION ALL SELECT id FROM runs)"
    db.execute(f"{waiting} {gone}", (Delivery.FAILED, at, "What it was to tell of is lost."))
    ended = """IN (SELECT id FROM jobs WHERE finished_at IS NOT NULL
        UNION ALL SELECT id FROM runs WHERE finished_at IS NOT NULL)"""
    db.execute(f"{waiting} {ended}", (Delivery.DUE, at, None))


def any_due(db: sqlite3.Connection, now: int) -> bool:
    """Return whether there is anything to send."""
    sql = "SELECT 1 FROM callbacks WHERE state = 'due' AND due_at <= ? LIMIT 1"
    return db.execute(sql, (now,)).fetchone() is not None


def claim(db: sqlite3.Connection, now: int, until: int, limit: int) -> list[Callback]:
    """Return what is to be sent, first due first, and put it off."""
    rows = db.execute(
        """SELECT * FROM callbacks WHERE state = 'due' AND due_at <= ? ORDER BY due_at, subject LIMIT ?""",
        (now, max(0, limit)),
    ).fetchall()
    for row in rows:
        db.execute("UPDATE callbacks SET due_at = ? WHERE subject = ?", (until, row["subject"]))
    return [callback_of(row).model_copy(update={"due_at": until}) for row in rows]


def note(db: sqlite3.Connection, callback: Callback) -> None:
    """Write how far a callback is."""
    db.execute(
        """UPDATE callbacks SET state = ?, attempts = ?, due_at = ?, body = ?, status = ?, error = ?, delivered_at = ?
           WHERE subject = ?""",
        (
            callback.state,
            callback.attempts,
            callback.due_at,
            callback.body,
            callback.status,
            callback.error,
            callback.delivered_at,
            callback.subject,
        ),
    )
