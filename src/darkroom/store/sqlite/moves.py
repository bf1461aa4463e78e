"""The transactions that change jobs: plain functions of a connection, run by the writer."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from darkroom.domain.job import (
    ENDED,
    LOUDEST,
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
from darkroom.domain.request import clip
from darkroom.domain.run import Callback
from darkroom.errors import InvalidRequest, lost_answer
from darkroom.store.base import Acceptance, Added, Claimed, Intent, Limit, Move
from darkroom.store.sqlite import callbacks
from darkroom.store.sqlite.money import check_limits, reserved
from darkroom.store.sqlite.rows import (
    failures_json,
    insert_event,
    insert_job,
    insert_ledger,
    insert_outputs,
    insert_submission,
    insert_turn,
    ledger_of,
    load_job,
    load_jobs,
    results_json,
    submission_of,
    to_json,
)

_RANKS = " ".join(f"WHEN '{state}' THEN {rank}" for rank, state in enumerate(LOUDEST))
LOUDNESS = f"CASE state {_RANKS} END"
"""The order of `derive` in SQL."""
FOUND = frozenset({State.RUNNING, State.DOWNLOADING})
"""Where a submission goes whose fate is known after all; its error goes then."""
NOTHING: tuple[Any, ...] = (None, "", [], {})
"""What an argument holds that was not given; which of them depends on the kind of the request."""


def add(
    db: sqlite3.Connection,
    job: Job,
    ledger: Sequence[LedgerRow],
    *,
    again: bool,
    fresh_for_ms: int,
    limits: Sequence[Limit] = (),
    callback: Callback | None = None,
) -> Added:
    """Insert a job unless an equal one stands for it."""
    earlier = equal(db, job, again=again, fresh_for_ms=fresh_for_ms)
    if earlier is not None:
        callbacks.keep(db, callback, earlier.id, job.created_at, ended=earlier.ended)
        return Added(earlier, created=False)
    check_limits(db, limits, reserved(ledger))
    insert_job(db, job)
    insert_ledger(db, ledger)
    for part in job.submissions:
        insert_event(db, job.id, part.idx, None, part.state, job.created_at)
    callbacks.keep(db, callback, job.id, job.created_at, ended=job.ended)
    return Added(job, created=True)


def equal(db: sqlite3.Connection, job: Job, *, again: bool, fresh_for_ms: int) -> Job | None:
    """Return the job that stands for another one."""
    if job.idempotency_key is not None:
        return _by_key(db, job)
    return None if again else _by_hash(db, job, fresh_for_ms)


def _by_key(db: sqlite3.Connection, job: Job) -> Job | None:
    rows = db.execute(
        "SELECT * FROM jobs WHERE principal = ? AND idempotency_key = ?", (job.principal, job.idempotency_key)
    ).fetchall()
    found = next(iter(load_jobs(db, rows)), None)
    if found is not None and found.request_hash != job.request_hash and (differing := _differences(found, job)):
        raise InvalidRequest(
            f"idempotency_key was used for {found.id}; not the same: {', '.join(differing)}.",
            field="idempotency_key",
            hint=f"Nothing was stored. Use another key, or check_job('{found.id}').",
        )
    return found


def _differences(then: Job, now: Job) -> list[str]:
    """Return which arguments differ, with what was said."""
    before, after = _arguments(then), _arguments(now)
    return [
        f"{name} ({_shown(name, before, then)} then, {_shown(name, after, now)} now)"
        for name in {**before, **after}
        if before.get(name) != after.get(name) and not (before.get(name) in NOTHING and after.get(name) in NOTHING)
    ]


def _arguments(job: Job) -> dict[str, Any]:
    """Return what makes a call the same: pictures by their contents, not by where they came from."""
    own: dict[str, Any] = {"images": {"__all__": {"src", "name"}}, "scenes": {"__all__": {"image": {"src", "name"}}}}
    own |= {"allow_unpriced": True, "follows": True}
    said = job.request.model_dump(mode="json", exclude_none=True, exclude=own)
    return {**said, "retry_of": job.retry_of}


def _shown(name: str, arguments: dict[str, Any], job: Job) -> str:
    """Return one argument for people; pictures by role, name and the start of their hash."""
    value = arguments.get(name)
    if value in NOTHING:
        return "nothing"
    if name == "images":
        known = [(item.role, item.name, (item.sha256 or "")[:8]) for item in job.request.images]
        return clip(", ".join(" ".join(filter(None, words)) for words in known))
    return repr(clip(value)) if isinstance(value, str) else clip(value)


def _by_hash(db: sqlite3.Connection, job: Job, fresh_for_ms: int) -> Job | None:
    rows = db.execute(
        """SELECT * FROM jobs WHERE principal = ? AND request_hash = ?
           AND (outcome IS NULL OR (outcome = 'succeeded' AND (delivered_at IS NULL OR delivered_at >= ?)))
           ORDER BY id DESC LIMIT 1""",
        (job.principal, job.request_hash, job.created_at - fresh_for_ms),
    ).fetchall()
    return next(iter(load_jobs(db, rows)), None)


LASTS = "(s.state = 'queued' AND s.synchronous AND NOT s.replayable)"
"""What is answered within its call, and may cost money."""


def claim(
    db: sqlite3.Connection, owner: str, accounts: Sequence[str], limit: int, *, synchronous: bool
) -> list[Claimed]:
    """Give the claimer what nobody owns."""
    taken = db.execute(
        f"""UPDATE submissions SET owner = ?, version = version + 1 WHERE (job_id, idx) IN (
               SELECT s.job_id, s.idx FROM submissions AS s JOIN jobs ON jobs.id = s.job_id
               WHERE s.owner IS NULL AND s.state IN ('queued', 'running', 'parked', 'downloading')
               AND (s.account IS NULL OR s.account IN (SELECT value FROM json_each(?)))
               AND (? OR NOT {LASTS})
               ORDER BY jobs.priority DESC, s.due_at, s.job_id, s.idx LIMIT ?)
           RETURNING job_id, idx""",  # noqa: S608 because the condition is ours
        (owner, to_json(list(accounts)), synchronous, max(0, limit)),
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
                  operation = NULL, provider_job_id = NULL, accepted_at = NULL, version = version + 1, updated_at = ?
           WHERE job_id = ? AND idx = ? AND version = ? AND owner = ? AND state = 'queued'
           AND (SELECT cancel_requested_at FROM jobs WHERE id = job_id) IS NULL""",
        (intent.submit_key, intent.account, intent.at, intent.at, ref.job_id, ref.idx, ref.version, owner),
    ).rowcount
    if not changed:
        return None
    insert_event(db, ref.job_id, ref.idx, State.QUEUED, State.SUBMITTING, intent.at, owner)
    return _part(db, ref.job_id, ref.idx)


def seek(db: sqlite3.Connection, ref: Ref, owner: str) -> Submission | None:
    """Take a lost answer, so that nobody resolves it while its provider is asked."""
    changed = db.execute(
        """UPDATE submissions SET owner = ?, version = version + 1
           WHERE job_id = ? AND idx = ? AND version = ? AND (owner IS NULL OR owner = ?)
           AND state = 'submit_unknown' AND (SELECT cancel_requested_at FROM jobs WHERE id = job_id) IS NULL""",
        (owner, ref.job_id, ref.idx, ref.version, owner),
    ).rowcount
    return _part(db, ref.job_id, ref.idx) if changed else None


def give_back(db: sqlite3.Connection, ref: Ref, owner: str, at: int) -> None:
    """Let go of a lost answer that was not found."""
    part = _part(db, ref.job_id, ref.idx)
    if part is None or part.version != ref.version or part.owner != owner:
        return
    _update(db, part, {"owner": None}, at)
    job = load_job(db, ref.job_id)
    if job is not None and job.cancel_requested_at is not None:
        request_cancel(db, job.id, job.principal, at)


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
        if part.state is State.SUBMIT_UNKNOWN:
            values["owner"] = None  # whoever asked about it holds it no longer: anybody goes on with it
        insert_event(db, part.job_id, part.idx, part.state, State.RUNNING, acceptance.at, part.owner)
    elif part.operation is not None:
        return part
    _update(db, part, values, acceptance.at)
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
    _update(db, part, values, change.at)
    insert_outputs(db, change.outputs)
    insert_turn(db, part, change.turn)
    for row in change.ledger:
        freed = _reserved_as(db, part, row.kind, row.at, certain=row.certain) if row.kind is LedgerKind.RELEASED else ()
        insert_ledger(db, freed or [row])
    if not same:
        insert_event(db, part.job_id, part.idx, part.state, change.target, change.at, owner, change.detail)
    if change.target in ENDED:
        _finish(db, part.job_id, change.at)
    return _part(db, part.job_id, part.idx)


def reroute(
    db: sqlite3.Connection,
    ref: Ref,
    owner: str,
    *,
    change: Move,
    instead: Submission,
    row: LedgerRow,
    limits: Sequence[Limit],
) -> Submission | None:
    """Put another submission in the place of a refused one, with its own reservation."""
    part = _part(db, ref.job_id, ref.idx)
    asked = db.execute("SELECT cancel_requested_at FROM jobs WHERE id = ?", (ref.job_id,)).fetchone()
    if part is None or part.version != ref.version or part.owner != owner or asked["cancel_requested_at"] is not None:
        return None
    last = db.execute("SELECT MAX(idx) AS idx FROM submissions WHERE job_id = ?", (ref.job_id,)).fetchone()["idx"]
    placed = instead.model_copy(update={"job_id": ref.job_id, "idx": last + 1})
    insert_submission(db, placed, row.at)  # first, so that the job does not end
    move(db, ref, owner, change)
    insert_event(db, ref.job_id, placed.idx, None, placed.state, row.at, owner, change.detail)
    check_limits(db, limits, row.micro_usd)  # by now the first one's money is free, in each limit that it counted in
    insert_ledger(db, [row.model_copy(update={"job_id": ref.job_id, "submission": placed.idx})])
    return _part(db, ref.job_id, placed.idx)


def request_cancel(db: sqlite3.Connection, job_id: str, principal: str, at: int) -> Job | None:
    """Set the flag, and cancel what is queued."""
    job = load_job(db, job_id)
    if job is None or job.principal != principal:
        return None
    if job.ended:
        return job
    if job.cancel_requested_at is None:
        db.execute("UPDATE jobs SET cancel_requested_at = ?, updated_at = ? WHERE id = ?", (at, at, job_id))
    for part in job.submissions:
        if part.state is State.QUEUED:
            _update(db, part, {"state": State.CANCELLED, "owner": None, "actual": 0}, at)
            insert_ledger(db, _reserved_as(db, part, LedgerKind.RELEASED, at, certain=True))
            insert_event(db, job_id, part.idx, part.state, State.CANCELLED, at)
        elif part.state is State.SUBMIT_UNKNOWN and part.owner is None:
            _update(db, part, {"state": State.CANCELLED, "owner": None}, at)
            insert_ledger(db, _reserved_as(db, part, LedgerKind.SETTLED, at, certain=False))
            insert_event(db, job_id, part.idx, part.state, State.CANCELLED, at, detail="given up by the caller")
    _finish(db, job_id, at)
    return load_job(db, job_id)


def _reserved_as(
    db: sqlite3.Connection, part: Submission, kind: LedgerKind, at: int, *, certain: bool
) -> list[LedgerRow]:
    """Return what is reserved for a submission as rows of another kind."""
    rows = db.execute(
        "SELECT * FROM ledger WHERE job_id = ? AND submission = ? AND kind = 'reserved'", (part.job_id, part.idx)
    ).fetchall()
    return [ledger_of(row).model_copy(update={"kind": kind, "at": at, "certain": certain}) for row in rows]


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
        values |= {"state": target, "error": to_json(lost_answer(part.provider).to_dict())}
    _update(db, part, values, at)
    if target is not part.state:
        insert_event(db, part.job_id, part.idx, part.state, target, at, part.owner, "its process ended")


def _part(db: sqlite3.Connection, job_id: str, idx: int) -> Submission | None:
    row = db.execute("SELECT * FROM submissions WHERE job_id = ? AND idx = ?", (job_id, idx)).fetchone()
    return None if row is None else submission_of(row)


def _update(db: sqlite3.Connection, part: Submission, values: dict[str, Any], at: int) -> None:
    sets = ", ".join(f"{name} = ?" for name in values)
    db.execute(
        f"UPDATE submissions SET {sets}, version = version + 1, updated_at = ? WHERE job_id = ? AND idx = ?",  # noqa: S608 because the names are ours
        (*values.values(), at, part.job_id, part.idx),
    )


def _finish(db: sqlite3.Connection, job_id: str, at: int) -> None:
    """Write how and when a job ended, once its last submission has."""
    rows = db.execute("SELECT state FROM submissions WHERE job_id = ?", (job_id,)).fetchall()
    outcome = derive([State(row["state"]) for row in rows])
    if outcome in ENDED:
        db.execute(
            "UPDATE jobs SET outcome = ?, updated_at = ?, finished_at = ? WHERE id = ?", (outcome, at, at, job_id)
        )
        callbacks.ring(db, job_id, at)
