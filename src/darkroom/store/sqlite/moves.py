"""The transactions that change jobs: plain functions of a connection, run by the writer."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from darkroom.domain.job import (
    ENDED,
    REPLAYS,
    Job,
    LedgerKind,
    LedgerRow,
    Ref,
    State,
    Submission,
    derive,
    may_move,
)
from darkroom.errors import InvalidRequest, SubmitUnknown
from darkroom.store.base import Acceptance, Added, Claimed, Intent, Move
from darkroom.store.sqlite.rows import (
    failures_json,
    insert_event,
    insert_job,
    insert_ledger,
    insert_outputs,
    ledger_of,
    load_job,
    load_jobs,
    results_json,
    submission_of,
    to_json,
)

FOUND = frozenset({State.RUNNING, State.DOWNLOADING})
"""Where a submission goes whose fate is known after all; its error goes then."""


def add(db: sqlite3.Connection, job: Job, ledger: Sequence[LedgerRow], *, again: bool, fresh_for_ms: int) -> Added:
    """Insert a job unless an equal one stands for it."""
    earlier = _by_key(db, job) if job.idempotency_key is not None else None
    if earlier is None and job.idempotency_key is None and not again:
        earlier = _by_hash(db, job, fresh_for_ms)
    if earlier is not None:
        return Added(earlier, created=False)
    insert_job(db, job)
    insert_ledger(db, ledger)
    for part in job.submissions:
        insert_event(db, job.id, part.idx, None, part.state, job.created_at)
    return Added(job, created=True)


def _by_key(db: sqlite3.Connection, job: Job) -> Job | None:
    rows = db.execute(
        "SELECT * FROM jobs WHERE principal = ? AND idempotency_key = ?", (job.principal, job.idempotency_key)
    ).fetchall()
    found = next(iter(load_jobs(db, rows)), None)
    if found is not None and found.request_hash != job.request_hash:
        before, now = found.request.model_dump(mode="json"), job.request.model_dump(mode="json")
        names = [name for name in {**before, **now} if before.get(name) != now.get(name)] or ["retry_of"]
        raise InvalidRequest(
            f"idempotency_key was used for {found.id}; not the same: {', '.join(names)}.",
            field="idempotency_key",
            hint=f"Nothing was stored. Use another key, or check_job('{found.id}').",
        )
    return found


def _by_hash(db: sqlite3.Connection, job: Job, fresh_for_ms: int) -> Job | None:
    rows = db.execute(
        """SELECT * FROM jobs WHERE principal = ? AND request_hash = ?
           AND (finished_at IS NULL OR (state = 'succeeded' AND (delivered_at IS NULL OR delivered_at >= ?)))
           ORDER BY id DESC LIMIT 1""",
        (job.principal, job.request_hash, job.created_at - fresh_for_ms),
    ).fetchall()
    return next(iter(load_jobs(db, rows)), None)


def claim(db: sqlite3.Connection, owner: str, accounts: Sequence[str], limit: int) -> list[Claimed]:
    """Give the claimer what nobody owns."""
    taken = db.execute(
        """UPDATE submissions SET owner = ?, version = version + 1 WHERE (job_id, idx) IN (
               SELECT s.job_id, s.idx FROM submissions AS s JOIN jobs ON jobs.id = s.job_id
               WHERE s.owner IS NULL AND s.state IN ('queued', 'running', 'parked', 'downloading')
               AND (s.account IS NULL OR s.account IN (SELECT value FROM json_each(?)))
               ORDER BY jobs.priority DESC, s.due_at, s.job_id, s.idx LIMIT ?)
           RETURNING job_id, idx""",
        (owner, to_json(list(accounts)), max(0, limit)),
    ).fetchall()
    numbers: dict[str, set[int]] = {}
    for row in taken:
        numbers.setdefault(row["job_id"], set()).add(row["idx"])
    rows = db.execute("SELECT * FROM jobs WHERE id IN (SELECT value FROM json_each(?))", (to_json(list(numbers)),))
    jobs = load_jobs(db, rows.fetchall())
    claimed = [Claimed(job, part) for job in jobs for part in job.submissions if part.idx in numbers[job.id]]
    return sorted(claimed, key=lambda one: (-one.job.priority, one.submission.due_at, one.job.id, one.submission.idx))


def intend(db: sqlite3.Connection, ref: Ref, owner: str, intent: Intent) -> Submission | None:
    """Write the intent, unless somebody else has the submission or a cancel is asked for."""
    changed = db.execute(
        """UPDATE submissions SET state = 'submitting', attempt = attempt + 1, submit_key = ?, account = ?, sent_at = ?,
                  operation = NULL, provider_job_id = NULL, accepted_at = NULL, version = version + 1
           WHERE job_id = ? AND idx = ? AND version = ? AND owner = ? AND state = 'queued'
           AND (SELECT cancel_requested_at FROM jobs WHERE id = job_id) IS NULL""",
        (intent.submit_key, intent.account, intent.at, ref.job_id, ref.idx, ref.version, owner),
    ).rowcount
    if not changed:
        return None
    insert_event(db, ref.job_id, ref.idx, State.QUEUED, State.SUBMITTING, intent.at, owner)
    _refresh(db, ref.job_id, intent.at)
    return _part(db, ref.job_id, ref.idx)


def accept(db: sqlite3.Connection, acceptance: Acceptance) -> Submission | None:
    """Let the acceptance in, whoever owns the submission by now."""
    part = _part(db, acceptance.job_id, acceptance.idx)
    if part is None or (part.attempt, part.submit_key) != (acceptance.attempt, acceptance.submit_key):
        return None
    values: dict[str, Any] = {"operation": to_json(acceptance.operation), "provider_job_id": acceptance.provider_job_id}
    if part.state in (State.SUBMITTING, State.SUBMIT_UNKNOWN):
        values |= {
            "state": State.RUNNING,
            "accepted_at": acceptance.at,
            "due_at": acceptance.due_at,
            "deadline_at": acceptance.deadline_at,
            "error": None,
        }
        insert_event(db, part.job_id, part.idx, part.state, State.RUNNING, acceptance.at, part.owner)
    elif part.operation is not None:
        return part
    _update(db, part, values)
    _refresh(db, part.job_id, acceptance.at)
    return _part(db, part.job_id, part.idx)


def move(db: sqlite3.Connection, ref: Ref, owner: str | None, change: Move) -> Submission | None:
    """Compare and swap one submission, with everything that belongs to the move."""
    part = _part(db, ref.job_id, ref.idx)
    if part is None or part.version != ref.version or part.owner != owner:
        return None
    same = part.state is change.target
    if not (same and part.state not in ENDED) and not may_move(part.state, change.target, replayable=part.replayable):
        raise ValueError(f"no move from {part.state} to {change.target}")
    values: dict[str, Any] = {"state": change.target}
    plain = {"due_at": change.due_at, "deadline_at": change.deadline_at, "actual": change.actual}
    values |= {name: value for name, value in plain.items() if value is not None}
    packed = {"operation": change.operation, "notes": change.notes, "error": change.error}
    values |= {name: to_json(value) for name, value in packed.items() if value is not None}
    if change.results is not None:
        values["results"] = results_json(change.results)
    if change.failed_outputs is not None:
        values["failed_outputs"] = failures_json(change.failed_outputs)
    if part.state is State.SUBMIT_UNKNOWN and change.target in FOUND:
        values.setdefault("error", None)
    if change.release or change.target in ENDED:
        values["owner"] = None
    _update(db, part, values)
    insert_outputs(db, change.outputs)
    insert_ledger(db, change.ledger)
    if not same:
        insert_event(db, part.job_id, part.idx, part.state, change.target, change.at, owner, change.detail)
    _refresh(db, part.job_id, change.at)
    return _part(db, part.job_id, part.idx)


def request_cancel(db: sqlite3.Connection, job_id: str, principal: str, at: int) -> Job | None:
    """Set the flag, and cancel what is queued."""
    job = load_job(db, job_id)
    if job is None or job.principal != principal:
        return None
    if job.ended or job.cancel_requested_at is not None:
        return job
    db.execute("UPDATE jobs SET cancel_requested_at = ? WHERE id = ?", (at, job_id))
    for part in job.submissions:
        if part.state is State.QUEUED:
            _update(db, part, {"state": State.CANCELLED, "owner": None, "actual": 0})
            insert_ledger(db, _released(db, part, at))
            insert_event(db, job_id, part.idx, part.state, State.CANCELLED, at)
    _refresh(db, job_id, at)
    return load_job(db, job_id)


def _released(db: sqlite3.Connection, part: Submission, at: int) -> list[LedgerRow]:
    """Return the rows that give back what is reserved for a submission."""
    rows = db.execute(
        "SELECT * FROM ledger WHERE job_id = ? AND submission = ? AND kind = 'reserved'", (part.job_id, part.idx)
    ).fetchall()
    return [ledger_of(row).model_copy(update={"kind": LedgerKind.RELEASED, "at": at, "certain": True}) for row in rows]


def reap(db: sqlite3.Connection, worker_ids: Sequence[str], at: int) -> list[str]:
    """Free what dead workers owned, and give every lost submission its honest state."""
    touched: set[str] = set()
    for worker_id in worker_ids:
        db.execute("DELETE FROM workers WHERE id = ?", (worker_id,))
    rows = db.execute(
        """SELECT * FROM submissions WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM workers)
           OR owner IS NULL AND state = 'submitting'"""
    ).fetchall()
    for row in rows:
        part = submission_of(row)
        _free(db, part, at)
        touched.add(part.job_id)
    return sorted(touched)


def _free(db: sqlite3.Connection, part: Submission, at: int) -> None:
    values: dict[str, Any] = {"owner": None}
    target = part.state
    if part.replayable and part.state in REPLAYS:
        target = State.QUEUED
        values |= {"state": target, "due_at": at}
    elif part.state is State.SUBMITTING:
        target = State.SUBMIT_UNKNOWN
        error = SubmitUnknown(
            f"The request went to {part.provider}, and darkroom ended before an answer was recorded: "
            "it may have been accepted and charged.",
            hint="It was not sent again. To pay for a new attempt, start one with retry_job.",
        )
        values |= {"state": target, "error": to_json(error.to_dict())}
    _update(db, part, values)
    if target is not part.state:
        insert_event(db, part.job_id, part.idx, part.state, target, at, part.owner, "its process ended")
    _refresh(db, part.job_id, at)


def _part(db: sqlite3.Connection, job_id: str, idx: int) -> Submission | None:
    row = db.execute("SELECT * FROM submissions WHERE job_id = ? AND idx = ?", (job_id, idx)).fetchone()
    return None if row is None else submission_of(row)


def _update(db: sqlite3.Connection, part: Submission, values: dict[str, Any]) -> None:
    sets = ", ".join(f"{name} = ?" for name in values)
    db.execute(
        f"UPDATE submissions SET {sets}, version = version + 1 WHERE job_id = ? AND idx = ?",  # noqa: S608 because the names are ours
        (*values.values(), part.job_id, part.idx),
    )


def _refresh(db: sqlite3.Connection, job_id: str, at: int) -> None:
    """Derive the job's state from its submissions, and its times."""
    rows = db.execute("SELECT state FROM submissions WHERE job_id = ?", (job_id,)).fetchall()
    state = derive([State(row["state"]) for row in rows])
    finished_at = at if state in ENDED else None
    db.execute(
        """UPDATE jobs SET state = ?, updated_at = ?, finished_at = CASE WHEN ? IS NULL THEN NULL
           ELSE COALESCE(finished_at, ?) END WHERE id = ?""",
        (state, at, finished_at, finished_at, job_id),
    )
