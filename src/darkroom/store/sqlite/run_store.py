"""Runs, sessions and callbacks of the SQLite store: who writes, who reads, and who is told."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from darkroom.domain.job import LedgerKind, LedgerRow
from darkroom.domain.run import Awaits, Callback, Delivery, Run, RunState, Session
from darkroom.events import Bus
from darkroom.store.run_base import AddedRun, RunChange, RunCost
from darkroom.store.sqlite import callbacks, runs
from darkroom.store.sqlite.rows import ledger_of, to_json
from darkroom.store.sqlite.run_rows import callback_of, load_run, run_of, session_of

T = TypeVar("T")


class Write(Protocol):
    """Commits what a function does."""

    async def __call__(self, work: Callable[[sqlite3.Connection], T], *, intact: bool = False, new: bool = False) -> T:
        """Return what `work` returns; `intact` and `new` as the store of jobs has them."""
        ...


class Read(Protocol):
    """Calls a function on one state of the database."""

    async def __call__(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `work` returns."""
        ...


class SqliteRuns:
    """Runs in the file of the jobs; `store.run_base.RunStore` says what each method promises."""

    def __init__(self, write: Write, read: Read, bus: Bus) -> None:
        self._write = write
        self._read = read
        self._bus = bus

    # ------------------------------------------------------------------ runs

    async def add(
        self,
        run: Run,
        *,
        again: bool = False,
        fresh_for_ms: int = 120_000,
        session: Session | None = None,
        callback: Callback | None = None,
        alone: bool = False,
    ) -> AddedRun:
        work = partial(
            runs.add,
            run=run,
            again=again,
            fresh_for_ms=fresh_for_ms,
            session=session,
            callback=callback,
            alone=alone,
        )
        added = await self._write(work, intact=True, new=True)
        self._bus.run_work()  # a callback may be new where the run is not
        return added

    async def equal(
        self, run: Run, *, again: bool = False, fresh_for_ms: int = 120_000, session: Session | None = None
    ) -> Run | None:
        return await self._read(partial(runs.equal, run=run, again=again, fresh_for_ms=fresh_for_ms, session=session))

    async def claim(self, owner: str, now: int, limit: int) -> list[Run]:
        if not await self._read(partial(runs.any_ready, now=now)):
            return []
        claimed = await self._write(partial(runs.claim, owner=owner, now=now, limit=limit))
        for run in claimed:
            self._bus.changed(run.id)
        return claimed

    async def save(self, run: Run, owner: str, change: RunChange) -> Run | None:
        paid = any(row.kind is LedgerKind.RESERVED for row in change.ledger)  # a call that may cost money comes next
        work = partial(runs.save, run=run, owner=owner, change=change)
        return self._told(await self._write(work, intact=paid, new=paid))

    async def take(self, run_id: str, owner: str, awaits: Awaits, at: int) -> Run | None:
        work = partial(runs.take, run_id=run_id, owner=owner, awaits=awaits, at=at)
        return self._told(await self._write(work, intact=True))

    async def answer(self, run_id: str, principal: str, text: str, at: int) -> Run | None:
        work = partial(runs.answer, run_id=run_id, principal=principal, text=text, at=at)
        return self._told(await self._write(work, intact=True))

    async def request_cancel(self, run_id: str, principal: str, at: int) -> Run | None:
        work = partial(runs.request_cancel, run_id=run_id, principal=principal, at=at)
        return self._told(await self._write(work))

    async def delivered(self, run_id: str, at: int) -> None:
        def work(db: sqlite3.Connection) -> None:
            sql = "UPDATE runs SET delivered_at = ? WHERE id = ? AND delivered_at IS NULL AND finished_at IS NOT NULL"
            db.execute(sql, (at, run_id))

        await self._write(work)

    def _told(self, run: Run | None) -> Run | None:
        """Tell the waiters of a run that was written."""
        if run is not None:
            self._bus.changed(run.id)
        return run

    async def get(self, run_id: str, principal: str | None = None) -> Run | None:
        run = await self._read(partial(load_run, run_id=run_id))
        return run if run is not None and principal in (None, run.principal) else None

    async def find(
        self,
        *,
        principal: str | None = None,
        states: Sequence[RunState] = (),
        session_id: str | None = None,
        parent: str | None = None,
        outermost: bool = True,
        limit: int = 10,
        before: str | None = None,
    ) -> list[Run]:
        tests, values = ["1 = 1"], list[str]()
        for test, value in (
            ("principal = ?", principal),
            ("session_id = ?", session_id),
            ("parent_run_id = ?", parent),
            ("id < ?", before),
        ):
            if value is not None:
                tests.append(test)
                values.append(value)
        if states:
            tests.append("state IN (SELECT value FROM json_each(?))")
            values.append(to_json(list(states)))
        if outermost and parent is None:
            tests.append("parent_run_id IS NULL")
        sql = f"SELECT * FROM runs WHERE {' AND '.join(tests)} ORDER BY id DESC LIMIT ?"  # noqa: S608 because the tests are ours

        def work(db: sqlite3.Connection) -> list[Run]:
            return [run_of(row) for row in db.execute(sql, (*values, max(0, limit))).fetchall()]

        return await self._read(work)

    async def cost(self, run_id: str) -> RunCost:
        return await self._read(partial(runs.cost, run_id=run_id))

    async def ended(self, ids: Sequence[str]) -> frozenset[str]:
        return await self._read(partial(runs.ended, ids=list(ids)))

    async def jobs(self, run_id: str) -> list[str]:
        def work(db: sqlite3.Connection) -> list[str]:
            sql = """SELECT id FROM jobs WHERE run_id = ?1 OR run_id IN (SELECT id FROM runs WHERE root_run_id = ?1)
                     ORDER BY id"""
            return [row["id"] for row in db.execute(sql, (run_id,)).fetchall()]

        return await self._read(work)

    async def started(self, principal: str, key: str) -> str | None:
        def work(db: sqlite3.Connection) -> str | None:
            sql = """SELECT id FROM jobs WHERE principal = ?1 AND idempotency_key = ?2
                     UNION ALL SELECT id FROM runs WHERE principal = ?1 AND idempotency_key = ?2"""
            row = db.execute(sql, (principal, key)).fetchone()
            return None if row is None else row["id"]

        return await self._read(work)

    async def history(self, run_id: str) -> list[dict[str, Any]]:
        def work(db: sqlite3.Connection) -> list[dict[str, Any]]:
            sql = "SELECT seq, origin, target, at, owner, detail FROM run_events WHERE run_id = ? ORDER BY seq"
            rows = db.execute(sql, (run_id,)).fetchall()
            return [{name: value for name, value in dict(row).items() if value is not None} for row in rows]

        return await self._read(work)

    async def ledger(self, run_id: str) -> list[LedgerRow]:
        def work(db: sqlite3.Connection) -> list[LedgerRow]:
            rows = db.execute("SELECT * FROM ledger WHERE job_id = ? ORDER BY id", (run_id,)).fetchall()
            return [ledger_of(row) for row in rows]

        return await self._read(work)

    # ------------------------------------------------------------------ sessions

    async def session(self, session_id: str, principal: str | None = None) -> Session | None:
        def work(db: sqlite3.Connection) -> Session | None:
            sql = "SELECT * FROM sessions WHERE id = ?1 AND (?2 IS NULL OR principal = ?2)"
            row = db.execute(sql, (session_id, principal)).fetchone()
            return None if row is None else session_of(row)

        return await self._read(work)

    async def sessions(self, principal: str, *, limit: int = 10, before: str | None = None) -> list[Session]:
        def work(db: sqlite3.Connection) -> list[Session]:
            sql = """SELECT id, principal, agent, title, answers, created_at, updated_at FROM sessions
                     WHERE principal = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"""
            return [session_of(row) for row in db.execute(sql, (principal, before, max(0, limit))).fetchall()]

        return await self._read(work)

    async def delete_session(self, session_id: str, principal: str) -> bool:
        return await self._write(partial(runs.delete_session, session_id=session_id, principal=principal))

    # ------------------------------------------------------------------ callbacks

    async def callback(self, subject: str) -> Callback | None:
        def work(db: sqlite3.Connection) -> Callback | None:
            row = db.execute("SELECT * FROM callbacks WHERE subject = ?", (subject,)).fetchone()
            return None if row is None else callback_of(row)

        return await self._read(work)

    async def callbacks(
        self, *, principal: str | None = None, states: Sequence[Delivery] = (), limit: int = 20
    ) -> list[Callback]:
        def work(db: sqlite3.Connection) -> list[Callback]:
            sql = """SELECT * FROM callbacks WHERE (?1 IS NULL OR principal = ?1)
                     AND (?2 = '[]' OR state IN (SELECT value FROM json_each(?2)))
                     ORDER BY created_at DESC, subject DESC LIMIT ?3"""
            found = db.execute(sql, (principal, to_json(list(states)), max(0, limit))).fetchall()
            return [callback_of(row) for row in found]

        return await self._read(work)

    async def claim_callbacks(self, now: int, until: int, limit: int) -> list[Callback]:
        if not await self._read(partial(callbacks.any_due, now=now)):
            return []
        return await self._write(partial(callbacks.claim, now=now, until=until, limit=limit))

    async def note_callback(self, callback: Callback) -> None:
        await self._write(partial(callbacks.note, callback=callback))
