"""The transactions that change runs: plain functions of a connection, run by the writer."""

import sqlite3
from typing import Any

from darkroom.domain.job import LedgerKind, LedgerRow
from darkroom.domain.request import clip
from darkroom.domain.run import ENDED, MOVES, Action, Answer, Awaits, Callback, Run, RunState, Session
from darkroom.errors import InvalidRequest
from darkroom.store.run_base import AddedRun, RunChange, RunCost
from darkroom.store.sqlite import callbacks
from darkroom.store.sqlite.money import IN_TREE, check_limits, reserved
from darkroom.store.sqlite.rows import insert_ledger, to_json
from darkroom.store.sqlite.run_rows import (
    ENDED_STATES,
    extend_session,
    insert_run,
    insert_run_event,
    insert_session,
    load_run,
    run_of,
    update_run,
)
from darkroom.store.unfinished import FREE_RUN

SAME = ("task", "agent", "workflow", "session_id", "context")
"""What of a request is told apart when one key stands for two."""
UNENDED = f"""(SELECT 1 FROM jobs WHERE id = {{0}} AND outcome IS NULL
    UNION ALL SELECT 1 FROM runs AS other WHERE other.id = {{0}} AND other.state NOT IN {ENDED_STATES})"""  # noqa: S608 because the states are ours
"""The job or run of an id, where it goes on."""
READY = f"""{FREE_RUN} AND (cancel_requested_at IS NOT NULL
    OR (state <> 'waiting' AND due_at <= ?1)
    OR (awaits = 'client' AND deadline_at <= ?1)
    OR (awaits = 'work' AND due_at BETWEEN 1 AND ?1)
    OR (awaits = 'work' AND (waiting_for = '[]' OR EXISTS (
        SELECT 1 FROM json_each(runs.waiting_for) AS one WHERE NOT EXISTS {UNENDED.format("one.value")}))))"""  # noqa: S608 because the conditions are ours
"""What can go on by now."""


def add(
    db: sqlite3.Connection,
    run: Run,
    *,
    again: bool,
    fresh_for_ms: int,
    session: Session | None,
    callback: Callback | None,
    alone: bool = False,
) -> AddedRun:
    """Insert a run unless an equal one stands for it."""
    earlier = equal(db, run, again=again, fresh_for_ms=fresh_for_ms, session=session)
    found = earlier or run
    if earlier is None:
        if session is not None:
            insert_session(db, session)
        _refuse_session(db, run)
        if alone:
            _refuse_company(db, run)
        insert_run(db, run)
    callbacks.keep(db, callback, found.id, run.created_at, ended=found.ended)
    return AddedRun(found, created=earlier is None)


def equal(
    db: sqlite3.Connection, run: Run, *, again: bool, fresh_for_ms: int, session: Session | None = None
) -> Run | None:
    """Return the run that stands for another one."""
    if run.idempotency_key is not None:
        return _by_key(db, run, session)
    return None if again else _by_hash(db, run, fresh_for_ms)


def _by_key(db: sqlite3.Connection, run: Run, session: Session | None) -> Run | None:
    row = db.execute(
        "SELECT * FROM runs WHERE principal = ? AND idempotency_key = ?", (run.principal, run.idempotency_key)
    ).fetchone()
    if row is None:
        return None
    found = run_of(row)
    if found.request_hash == run.request_hash:
        return found
    names = [name for name in SAME if session is None or name != "session_id"]  # a new session is never the same
    differing = [
        f"{name} ({_shown(getattr(found, name))} then, {_shown(getattr(run, name))} now)"
        for name in names
        if getattr(found, name) != getattr(run, name)
    ]
    raise InvalidRequest(
        f"idempotency_key was used for {found.id}; not the same: {', '.join(differing) or 'model or settings'}.",
        field="idempotency_key",
        hint=f"Nothing was stored. Use another key, or look at run {found.id}.",
    )


def _shown(value: Any) -> str:
    if value in (None, "", {}):
        return "nothing"
    return repr(clip(value)) if isinstance(value, str) else clip(value)


def _by_hash(db: sqlite3.Connection, run: Run, fresh_for_ms: int) -> Run | None:
    row = db.execute(
        f"""SELECT * FROM runs WHERE principal = ? AND request_hash = ? AND (state NOT IN {ENDED_STATES}
               OR (state = 'succeeded' AND (delivered_at IS NULL OR delivered_at >= ?)))
            ORDER BY id DESC LIMIT 1""",  # noqa: S608 because the states are ours
        (run.principal, run.request_hash, run.created_at - fresh_for_ms),
    ).fetchone()
    return None if row is None else run_of(row)


def _refuse_session(db: sqlite3.Connection, run: Run) -> None:
    """Refuse a session that was deleted meanwhile, or is another principal's."""
    sql = "SELECT 1 FROM sessions WHERE id = ? AND principal = ?"
    if run.session_id is not None and db.execute(sql, (run.session_id, run.principal)).fetchone() is None:
        raise InvalidRequest(
            f"There is no session {clip(run.session_id)!r}.",
            field="session_id",
            hint="Nothing was stored. Leave session_id out to begin a new one.",
        )


def _refuse_company(db: sqlite3.Connection, run: Run) -> None:
    """Refuse a second run in a session whose first one goes on."""
    row = db.execute(
        f"SELECT * FROM runs WHERE session_id = ? AND state NOT IN {ENDED_STATES} ORDER BY id DESC LIMIT 1",  # noqa: S608 because the states are ours
        (run.session_id,),
    ).fetchone()
    if row is None:
        return
    other = run_of(row)
    what, way = f"is {other.state}", f"Wait for it with check_job('{other.id}')"
    if other.awaits is Awaits.ANSWER:
        what, way = "waits for an answer", f"Answer it with run_agent(run_id='{other.id}', answer=...)"
    raise InvalidRequest(
        f"In session {run.session_id} the run {other.id} {what}.",
        field="session_id",
        hint=f"Nothing was stored or started. {way}, or stop it with cancel_job('{other.id}').",
    )


def any_ready(db: sqlite3.Connection, now: int) -> bool:
    """Return whether there is a run to claim."""
    return db.execute(f"SELECT 1 FROM runs WHERE {READY} LIMIT 1", (now,)).fetchone() is not None  # noqa: S608 because the condition is ours


def claim(db: sqlite3.Connection, owner: str, now: int, limit: int) -> list[Run]:
    """Give the claimer what nobody owns and what can go on, longest due first."""
    sql = f"SELECT * FROM runs WHERE {READY} ORDER BY due_at, id LIMIT ?2"  # noqa: S608 because the condition is ours
    rows = db.execute(sql, (now, max(0, limit))).fetchall()
    return [_set_going(db, run_of(row), owner, now) for row in rows]


def _set_going(db: sqlite3.Connection, run: Run, owner: str, at: int) -> Run:
    values: dict[str, Any] = {"state": RunState.RUNNING, "owner": owner, **_calm(due_at=0)}
    update_run(db, run.id, values, at)
    if run.state is not RunState.RUNNING:
        insert_run_event(db, run.id, run.state, RunState.RUNNING, at, owner)
    return _present(db, run.id)


def _calm(**more: Any) -> dict[str, Any]:
    """Return the fields of a run that does not wait, and `more`."""
    return {"awaits": None, "question": None, **more}


def _present(db: sqlite3.Connection, run_id: str) -> Run:
    """Return a run that is there."""
    return run_of(db.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone())


def save(db: sqlite3.Connection, run: Run, owner: str, change: RunChange) -> Run | None:
    """Compare and swap a run, with everything that belongs to the change."""
    present = load_run(db, run.id)
    if present is None or present.version != run.version or present.owner != owner:
        return None
    target = _target(present, change)
    if target is not present.state and target not in MOVES[present.state]:
        raise ValueError(f"no move from {present.state} to {target}")
    if target is RunState.WAITING and change.awaits is None:
        raise ValueError("a waiting run says what it awaits")
    values = {**_grown(present, change), "state": target}
    if target is RunState.WAITING:
        question = None if change.question is None else change.question.model_dump(mode="json")
        values |= {"awaits": change.awaits, "question": question}
    else:
        values |= _calm()
    if target is not RunState.RUNNING or change.release:
        values["owner"] = None
    if target in ENDED:
        values["finished_at"] = change.at
    update_run(db, run.id, values, change.at)  # first, because the ledger takes the model from the run
    _book(db, run.id, change)
    if present.session_id is not None and (change.history or change.answers):
        extend_session(db, present.session_id, change.history, change.answers, change.at)
    if target is not present.state:
        insert_run_event(db, run.id, present.state, target, change.at, owner, _why(target, change))
    if target in ENDED:
        finish(db, run.id, change.at)
    return _present(db, run.id)


def _target(run: Run, change: RunChange) -> RunState:
    """Return the state after a change: a stop that was noted meanwhile turns a success into a cancelled run."""
    if change.target is RunState.SUCCEEDED and run.cancel_requested_at is not None:
        return RunState.CANCELLED
    return change.target or run.state


def _grown(run: Run, change: RunChange) -> dict[str, Any]:
    """Return the fields that the change gives, and those that it adds to."""
    given = ("mode", "model", "waiting_for", "turn", "work", "output", "data", "brief", "error", "due_at")
    values = {name: getattr(change, name) for name in given if getattr(change, name) is not None}
    if change.actions:
        actions: dict[str, Action] = {}
        for action in (*run.actions, *change.actions):
            actions.setdefault(action.key, action)
        values["actions"] = [action.model_dump(mode="json") for action in actions.values()]
    if change.warnings:
        values["warnings"] = list(dict.fromkeys((*run.warnings, *change.warnings)))
    values["input_tokens"] = run.input_tokens + change.input_tokens
    values["output_tokens"] = run.output_tokens + change.output_tokens
    return values


def _why(target: RunState, change: RunChange) -> str | None:
    """Return what an event says beside its states."""
    if target is RunState.WAITING:
        return change.awaits
    return str(change.error["message"]) if change.error and "message" in change.error else None


def _book(db: sqlite3.Connection, run_id: str, change: RunChange) -> None:
    """Write the ledger rows: what frees money first, so that what is reserved may have it."""
    new = [row for row in change.ledger if row.kind is LedgerKind.RESERVED]
    for row in change.ledger:
        if row.kind is LedgerKind.RELEASED:
            freed = _open(db, run_id, row.submission, row.kind, row.at, certain=row.certain)
            insert_ledger(db, freed or [row])
        elif row.kind is not LedgerKind.RESERVED:
            insert_ledger(db, [row])
    check_limits(db, change.limits, reserved(new))
    insert_ledger(db, new)


def _open(
    db: sqlite3.Connection, run_id: str, submission: int | None, kind: LedgerKind, at: int, *, certain: bool
) -> list[LedgerRow]:
    """Return what is only reserved for a run, or for one call of it, as rows of another kind: settled by its guess."""
    rows = db.execute(
        "SELECT * FROM spending WHERE job_id = ?1 AND open AND (?2 IS NULL OR submission = ?2)", (run_id, submission)
    ).fetchall()
    amount = "expected" if kind is LedgerKind.SETTLED else "reserved"
    return [
        LedgerRow(job_id=run_id, submission=row["submission"], kind=kind, micro_usd=row[amount], at=at, certain=certain)
        for row in rows
    ]


def finish(db: sqlite3.Connection, run_id: str, at: int) -> None:
    """Do what belongs to the end of a run: nobody knows of its open calls any more, and whoever asked is told."""
    insert_ledger(db, _open(db, run_id, None, LedgerKind.SETTLED, at, certain=False))
    callbacks.ring(db, run_id, at)


def take(db: sqlite3.Connection, run_id: str, owner: str, awaits: Awaits, at: int) -> Run | None:
    """Give the caller a run that waits for such."""
    run = load_run(db, run_id)
    if run is None or run.awaits is not awaits or run.owner is not None:
        return None
    return _set_going(db, run, owner, at)


def answer(db: sqlite3.Connection, run_id: str, principal: str, text: str, at: int) -> Run | None:
    """Keep the user's word and let the run go on."""
    run = load_run(db, run_id)
    if run is None or run.principal != principal or run.cancel_requested_at is not None:
        return None
    if run.awaits is not Awaits.ANSWER or run.question is None:
        return None
    answers = (*run.answers, Answer(question=run.question, text=text, at=at))
    said = [one.model_dump(mode="json") for one in answers]
    update_run(db, run_id, {"state": RunState.QUEUED, "answers": said, **_calm(due_at=0)}, at)
    insert_run_event(db, run_id, run.state, RunState.QUEUED, at, detail="answered")
    return _present(db, run_id)


def request_cancel(db: sqlite3.Connection, run_id: str, principal: str, at: int) -> Run | None:
    """Set the flag, and end what nobody is advancing."""
    run = load_run(db, run_id)
    if run is None or run.principal != principal:
        return None
    if run.ended:
        return run
    if run.cancel_requested_at is None:
        db.execute("UPDATE runs SET cancel_requested_at = ?, updated_at = ? WHERE id = ?", (at, at, run_id))
    if run.owner is None:
        update_run(db, run_id, {"state": RunState.CANCELLED, "finished_at": at, **_calm()}, at)
        insert_run_event(db, run_id, run.state, RunState.CANCELLED, at)
        finish(db, run_id, at)
    return _present(db, run_id)


def reap(db: sqlite3.Connection, at: int) -> list[str]:
    """Free what processes own that are gone; return the ids of the runs touched."""
    rows = db.execute(
        "SELECT * FROM runs WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM workers) ORDER BY id"
    ).fetchall()
    for row in rows:
        run = run_of(row)  # what is owned is running
        update_run(db, run.id, {"state": RunState.QUEUED, "owner": None, **_calm(due_at=0)}, at)
        insert_run_event(db, run.id, run.state, RunState.QUEUED, at, run.owner, "its process ended")
    return [row["id"] for row in rows]


def cost(db: sqlite3.Connection, run_id: str) -> RunCost:
    """Return what a run costs with everything under it."""
    row = db.execute(
        f"""SELECT COALESCE(SUM(CASE WHEN NOT released THEN expected END), 0) AS estimate,
               COALESCE(SUM(micro_usd), 0) AS actual,
               COALESCE(SUM(CASE WHEN open THEN micro_usd END), 0) AS open,
               COALESCE(SUM(CASE WHEN NOT (open OR certain) THEN micro_usd END), 0) AS uncertain,
               COALESCE(MIN(certain OR (open AND priced AND reserved = 0)), 1) AS certain
            FROM spending WHERE {IN_TREE}""",  # noqa: S608 because the condition is ours
        (run_id,),
    ).fetchone()
    models = db.execute(
        f"""SELECT provider || '/' || model AS name FROM ledger WHERE kind = 'reserved' AND {IN_TREE}
            GROUP BY name ORDER BY MIN(id)""",  # noqa: S608 because the condition is ours
        (run_id,),
    ).fetchall()
    return RunCost(
        estimate=row["estimate"],
        actual=row["actual"],
        open=row["open"],
        uncertain=row["uncertain"],
        certain=bool(row["certain"]),
        models=tuple(found["name"] for found in models),
    )


def ended(db: sqlite3.Connection, ids: list[str]) -> frozenset[str]:
    """Return which of these do not go on."""
    sql = f"SELECT value FROM json_each(?) AS one WHERE NOT EXISTS {UNENDED.format('one.value')}"  # noqa: S608 because the condition is ours
    return frozenset(row["value"] for row in db.execute(sql, (to_json(ids),)).fetchall())


def delete_session(db: sqlite3.Connection, session_id: str, principal: str) -> bool:
    """Forget a session in which nothing goes on any more."""
    going = db.execute(
        f"""SELECT id FROM runs WHERE session_id = ? AND principal = ? AND state NOT IN {ENDED_STATES}
            ORDER BY id DESC LIMIT 1""",  # noqa: S608 because the states are ours
        (session_id, principal),
    ).fetchone()
    if going is not None:
        raise InvalidRequest(
            f"Run {going['id']} of this session has not ended.",
            field="session_id",
            hint="Nothing was deleted. Wait for it, or cancel it first.",
        )
    return db.execute("DELETE FROM sessions WHERE id = ? AND principal = ?", (session_id, principal)).rowcount == 1
