"""Jobs in database files, and files that are spoilt, for the tests of their care."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from darkroom.domain.job import Job, LedgerKind, State, Submission
from darkroom.store.migrate import migrate, migrations
from darkroom.store.sqlite import moves, rows
from darkroom.store.sqlite.care import Care
from factories import (
    NOW,
    OWNER,
    job_id,
    make_acceptance,
    make_intent,
    make_job,
    make_ledger_row,
    make_move,
    make_output,
)

LATER = NOW + 3_600_000


def new_care(folder: Path) -> Care:
    """Return care for a database of no jobs."""
    path = folder / "home" / "darkroom.sqlite3"
    path.parent.mkdir()
    with opened(path) as db:
        migrate(db, migrations("sqlite"))
    return Care(path)


@contextmanager
def opened(path: Path) -> Generator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA foreign_keys = ON")
        yield db


def run(care: Care, *sql: str) -> Any:
    """Run statements and return the first value of the last one."""
    with opened(care.path) as db:
        found = [db.execute(statement).fetchone() for statement in sql][-1]
    return None if found is None else found[0]


def add(care: Care, number: int, state: State = State.QUEUED, **overrides: Any) -> None:
    """Add a job, and bring it to a state."""
    job = make_job(id=job_id(number), request_hash=f"{number}", **overrides)
    with opened(care.path) as db:
        parts = [make_ledger_row(job_id=job.id, submission=part.idx) for part in job.submissions]
        moves.add(db, job, parts, again=True, fresh_for_ms=0)
    bring(care, number, state)


def bring(care: Care, number: int, state: State) -> None:
    """Bring the first submission of a queued job to a state."""
    way = [State.SUBMITTING, State.RUNNING, State.DOWNLOADING, State.SUCCEEDED]
    with opened(care.path) as db:
        for step in way[: way.index(state) + 1 if state in way else 0]:
            part = part_of(db, number)
            if step is State.SUBMITTING:
                db.execute("UPDATE submissions SET owner = ? WHERE job_id = ? AND idx = 0", (OWNER, job_id(number)))
                moves.intend(db, part.ref, OWNER, make_intent())
            elif step is State.RUNNING:
                moves.accept(db, make_acceptance(job_id=job_id(number)))
            else:
                done = step is State.SUCCEEDED
                ledger = (make_ledger_row(job_id=job_id(number), kind=LedgerKind.SETTLED),) if done else ()
                kept = (make_output(job_id=job_id(number)),) if done else ()
                moves.move(db, part.ref, OWNER, make_move(step, ledger=ledger, outputs=kept))


def part_of(db: sqlite3.Connection, number: int) -> Submission:
    return job_in(db, number).submissions[0]


def job_in(db: sqlite3.Connection, number: int) -> Job:
    job = rows.load_job(db, job_id(number))
    assert job is not None
    return job


def look(care: Care, number: int) -> Job:
    with opened(care.path) as db:
        return job_in(db, number)


def spoil(path: Path, *names: str) -> None:
    """Overwrite the first page of tables and indexes."""
    with opened(path) as db:
        size = db.execute("PRAGMA page_size").fetchone()[0]
        sql = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        pages = [db.execute(sql, (name,)).fetchone()[0] for name in names]
    data = bytearray(path.read_bytes())
    for page in pages:
        data[(page - 1) * size : page * size] = b"\xa5" * size
    path.write_bytes(data)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
