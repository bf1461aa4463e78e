"""The SQLite store: who opens, who writes, who reads, and who is told."""

import json
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
from pydantic import JsonValue

from darkroom.clock import Clock
from darkroom.domain.job import CLAIMABLE, ENDED, Event, Job, LedgerRow, Ref, State, Submission
from darkroom.domain.money import MicroUsd
from darkroom.domain.output import Output
from darkroom.domain.run import Callback
from darkroom.errors import StorageError
from darkroom.events import Bus
from darkroom.store.base import Acceptance, Added, Claimed, Intent, Limit, Move, Spent, Upload, Worker
from darkroom.store.migrate import migrate, migrations, refuse_newer
from darkroom.store.sqlite import money, moves, runs
from darkroom.store.sqlite.care import Care
from darkroom.store.sqlite.checkpoints import Checkpoints
from darkroom.store.sqlite.connections import Connection, Writer, connect
from darkroom.store.sqlite.faults import Damage, Identity, explained
from darkroom.store.sqlite.private import prepare
from darkroom.store.sqlite.rows import event_of, insert, ledger_of, load_job, load_jobs, output_of, to_json, worker_of
from darkroom.store.sqlite.run_store import SqliteRuns
from darkroom.store.sqlite.soundness import FAMILY, glance
from darkroom.store.sqlite.token_store import SqliteTokens

T = TypeVar("T")
IN_STATES = f"""(outcome IN (SELECT value FROM json_each(?)) OR (outcome IS NULL AND
    (SELECT state FROM submissions WHERE job_id = jobs.id ORDER BY {moves.LOUDNESS} LIMIT 1)
    IN (SELECT value FROM json_each(?))))"""  # noqa: S608 because the states are ours
"""A job's state is its outcome, or else what `derive` makes of its submissions."""
REMEMBERED = 256
"""Ended jobs kept in memory: they change no more, except by a late answer, which forgets them."""


class SqliteStore:
    """Jobs in one file; `store.base.JobStore` says what each method promises."""

    def __init__(self, path: Path, bus: Bus, clock: Clock) -> None:
        self._path = path
        self._bus = bus
        self._clock = clock
        self._writer: Writer | None = None
        self._connections: list[Connection] = []
        self._identity = Identity(path)
        self._damage = Damage(path)
        self._checkpoints = Checkpoints(path)
        self._opening = anyio.Lock()
        self._finished: dict[str, Job] = {}
        self._version = 0
        self._writes = 0
        self.care = Care(path)
        """For the file as a whole; its methods block."""
        self.runs = SqliteRuns(self._write, self._read, bus)
        """Runs, sessions and callbacks in the same file."""
        self.tokens = SqliteTokens(self._write, self._read)
        """Bearer tokens in the same file."""

    # ------------------------------------------------------------------ opening and closing

    async def open(self) -> None:
        async with self._opening:
            if self._writer is None:
                await self._open()

    async def _open(self) -> None:
        steps = await anyio.to_thread.run_sync(migrations, FAMILY)
        try:
            with explained(self._path):
                await anyio.to_thread.run_sync(prepare, self._path)
                writing = await self._connect(read_only=False)
                await writing.run(partial(_migrated, steps))
                await writing.run(self._checkpoints.start)
                reading = await self._connect(read_only=True)
                self._damage.found = await reading.run(partial(glance, self._path, self._clock.monotonic))
            await anyio.to_thread.run_sync(self._identity.note)
        except BaseException:
            await self.close()
            raise
        self._writer = Writer(writing, self._path, self._checkpoints.after_commit)

    async def _connect(self, *, read_only: bool) -> Connection:
        with anyio.CancelScope(shield=True):  # what is half open could not be closed
            self._connections.append(await connect(self._path, read_only=read_only).opened())
        return self._connections[-1]

    async def close(self) -> None:
        self._writer = None
        self._finished.clear()
        with anyio.CancelScope(shield=True):
            if self._connections:
                await self._connections[0].run(self._checkpoints.stop)
            while self._connections:
                await self._connections.pop().close()

    async def intact(self) -> None:
        self._open_writer()
        self._damage.refuse()
        await anyio.to_thread.run_sync(self._identity.check)

    def _open_writer(self) -> Writer:
        if self._writer is None:
            raise StorageError("The database is not open.", hint="Start darkroom again.")
        return self._writer

    def _reader(self) -> Connection:
        self._open_writer()
        return self._connections[1]

    async def _write(self, work: Callable[[sqlite3.Connection], T], *, intact: bool = False, new: bool = False) -> T:
        """Commit `work`; `intact`: only while the path names the file that is being written; `new`: nor if damaged."""

        def checked(db: sqlite3.Connection) -> T:
            self._identity.check()
            return work(db)

        writer = self._open_writer()
        if new:
            self._damage.refuse()
        with self._damage.noticed():
            return await writer.run(checked if intact else work)

    # ------------------------------------------------------------------ writing

    async def add(
        self,
        job: Job,
        ledger: Sequence[LedgerRow] = (),
        *,
        again: bool = False,
        fresh_for_ms: int = 120_000,
        limits: Sequence[Limit] = (),
        callback: Callback | None = None,
    ) -> Added:
        given = {"again": again, "fresh_for_ms": fresh_for_ms, "limits": limits, "callback": callback}
        added = await self._write(partial(moves.add, job=job, ledger=ledger, **given), intact=True, new=True)
        if added.created:
            self._bus.work()
        if callback is not None:
            self._bus.run_work()
        return added

    async def claim(
        self, owner: str, *, accounts: Sequence[str], now: int, limit: int, synchronous: bool = True
    ) -> list[Claimed]:
        if not await self._read(partial(_any_free, synchronous=synchronous)):
            return []
        work = partial(moves.claim, owner=owner, accounts=accounts, limit=limit, synchronous=synchronous)
        return await self._write(work)

    async def intend(self, ref: Ref, owner: str, intent: Intent) -> Submission | None:
        sent = await self._write(partial(moves.intend, ref=ref, owner=owner, intent=intent), intact=True, new=True)
        self._moved(sent)
        return sent

    async def seek(self, ref: Ref, owner: str) -> Submission | None:
        return await self._write(partial(moves.seek, ref=ref, owner=owner), intact=True)

    async def give_back(self, ref: Ref, owner: str, at: int) -> None:
        await self._write(partial(moves.give_back, ref=ref, owner=owner, at=at))
        self._wrote(ref.job_id)

    async def accept(self, acceptance: Acceptance) -> Submission | None:
        part = await self._write(partial(moves.accept, acceptance=acceptance))
        self._moved(part)
        return part

    async def move(self, ref: Ref, owner: str | None, move: Move) -> Submission | None:
        part = await self._write(partial(moves.move, ref=ref, owner=owner, change=move))
        self._moved(part)
        return part

    async def reroute(
        self, ref: Ref, owner: str, move: Move, instead: Submission, row: LedgerRow, limits: Sequence[Limit] = ()
    ) -> Submission | None:
        work = partial(moves.reroute, ref=ref, owner=owner, change=move, instead=instead, row=row, limits=limits)
        part = await self._write(work)
        self._moved(part)
        if part is not None:
            self._bus.work()
        return part

    async def adjust(self, job_id: str, submission: int, amount: MicroUsd, at: int) -> bool:
        set_ = await self._write(partial(money.adjust, job_id=job_id, submission=submission, amount=amount, at=at))
        self._forget(job_id)
        return set_

    async def request_cancel(self, job_id: str, principal: str, at: int) -> Job | None:
        job = await self._write(partial(moves.request_cancel, job_id=job_id, principal=principal, at=at))
        if job is not None:
            self._wrote(job_id)
        return job

    async def delivered(self, job_id: str, at: int) -> None:
        def work(db: sqlite3.Connection) -> None:
            sql = "UPDATE jobs SET delivered_at = ? WHERE id = ? AND delivered_at IS NULL AND outcome IS NOT NULL"
            db.execute(sql, (at, job_id))

        await self._write(work)
        self._forget(job_id)

    async def register(self, worker: Worker) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM workers WHERE id = ?", (worker.id,))
            values = {
                name: getattr(worker, name) for name in ("id", "host", "pid", "boot_id", "started_at", "lease_until")
            }
            packed = {"progress": to_json(worker.progress), "accounts": to_json(worker.accounts)}
            insert(db, "workers", {**values, **packed, "lingers": int(worker.lingers)})

        await self._write(work)

    async def heartbeat(
        self, worker_id: str, lease_until: float, progress: dict[str, tuple[float | None, str | None]]
    ) -> bool:
        def work(db: sqlite3.Connection) -> bool:
            sql = "UPDATE workers SET lease_until = ?, progress = ?, asked = '{}' WHERE id = ?"
            return db.execute(sql, (lease_until, to_json(progress), worker_id)).rowcount == 1

        return await self._write(work, intact=True)

    async def reap(self, worker_ids: Sequence[str], at: int) -> list[str]:
        def work(db: sqlite3.Connection) -> tuple[list[str], list[str]]:
            return moves.reap(db, worker_ids, at), runs.reap(db, at)

        touched, freed = await self._write(work)
        for run_id in freed:
            self._bus.changed(run_id)
        for job_id in touched:
            self._wrote(job_id)
        if touched:
            self._bus.work()
        return touched

    # ------------------------------------------------------------------ reading

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._damage.noticed(), explained(self._path):
            return await self._reader().run(partial(_snapshot, work))

    async def equal(self, job: Job, *, again: bool = False, fresh_for_ms: int = 120_000) -> Job | None:
        return await self._read(partial(moves.equal, job=job, again=again, fresh_for_ms=fresh_for_ms))

    async def get(self, job_id: str, principal: str | None = None) -> Job | None:
        job = self._finished.get(job_id)
        if job is None:
            before = self._writes
            job = await self._read(partial(load_job, job_id=job_id))
            if job is not None and job.ended and before == self._writes:  # what was read is still so
                self._finished[job_id] = job
                if len(self._finished) > REMEMBERED:
                    del self._finished[next(iter(self._finished))]
        return job if job is not None and principal in (None, job.principal) else None

    async def find(
        self,
        *,
        principal: str | None = None,
        states: Sequence[State] = (),
        label: str | None = None,
        limit: int = 10,
        before: str | None = None,
    ) -> list[Job]:
        tests, values = ["1 = 1"], list[str | int]()
        for test, value in (("principal = ?", principal), ("id < ?", before)):
            if value is not None:
                tests.append(test)
                values.append(value)
        if states:
            tests.append(IN_STATES)
            values += [to_json([state for state in states if state in ENDED])]
            values += [to_json([state for state in states if state not in ENDED])]
        if label is not None:
            tests.append("EXISTS (SELECT 1 FROM json_each(labels) WHERE value = ?)")
            values.append(label)
        sql = f"SELECT * FROM jobs WHERE {' AND '.join(tests)} ORDER BY id DESC LIMIT ?"  # noqa: S608 because the tests are ours

        def work(db: sqlite3.Connection) -> list[Job]:
            return load_jobs(db, db.execute(sql, (*values, max(0, limit))).fetchall())

        return await self._read(work)

    async def output(self, output_id: str, principal: str | None = None) -> Output | None:
        def work(db: sqlite3.Connection) -> Output | None:
            sql = """SELECT outputs.* FROM outputs JOIN jobs ON jobs.id = job_id
                     WHERE outputs.id = ?1 AND (?2 IS NULL OR principal = ?2)"""
            row = db.execute(sql, (output_id, principal)).fetchone()
            return None if row is None else output_of(row)

        return await self._read(work)

    async def turn(self, job_id: str, submission: int) -> dict[str, JsonValue] | None:
        def work(db: sqlite3.Connection) -> dict[str, JsonValue] | None:
            sql = "SELECT content FROM turns WHERE job_id = ? AND idx = ?"
            row = db.execute(sql, (job_id, submission)).fetchone()
            return None if row is None else json.loads(row["content"])

        return await self._read(work)

    async def children(self, job_id: str) -> list[str]:
        def work(db: sqlite3.Connection) -> list[str]:
            return [
                row["id"] for row in db.execute("SELECT id FROM jobs WHERE parent_job_id = ? ORDER BY id", (job_id,))
            ]

        return await self._read(work)

    async def events(self, job_id: str) -> list[Event]:
        def work(db: sqlite3.Connection) -> list[Event]:
            rows = db.execute("SELECT * FROM events WHERE job_id = ? ORDER BY seq", (job_id,)).fetchall()
            return [event_of(row) for row in rows]

        return await self._read(work)

    async def spent(self, since: int, until: int, principal: str | None = None) -> list[Spent]:
        return await self._read(partial(money.spent, since=since, until=until, principal=principal))

    async def ledger(self, job_id: str) -> list[LedgerRow]:
        def work(db: sqlite3.Connection) -> list[LedgerRow]:
            rows = db.execute("SELECT * FROM ledger WHERE job_id = ? ORDER BY id", (job_id,)).fetchall()
            return [ledger_of(row) for row in rows]

        return await self._read(work)

    async def workers(self) -> list[Worker]:
        def work(db: sqlite3.Connection) -> list[Worker]:
            return [worker_of(row) for row in db.execute("SELECT * FROM workers ORDER BY started_at, id").fetchall()]

        return await self._read(work)

    async def left(self, accounts: Sequence[str]) -> list[str]:
        def work(db: sqlite3.Connection) -> list[str]:
            sql = f"""SELECT DISTINCT s.account FROM submissions AS s WHERE s.owner IS NULL AND {moves.LASTS}
                      AND s.account IN (SELECT value FROM json_each(?)) ORDER BY 1"""  # noqa: S608 because the condition is ours
            return [row["account"] for row in db.execute(sql, (to_json(list(accounts)),)).fetchall()]

        return await self._read(work)

    async def unknown(self) -> list[Job]:
        def work(db: sqlite3.Connection) -> list[Job]:
            sql = """SELECT * FROM jobs WHERE id IN (SELECT job_id FROM submissions WHERE state = 'submit_unknown')
                     ORDER BY id"""
            return load_jobs(db, db.execute(sql).fetchall())

        return await self._read(work)

    async def remote(self, provider: str, provider_job_id: str) -> Job | None:
        def work(db: sqlite3.Connection) -> Job | None:
            sql = "SELECT job_id FROM submissions WHERE provider = ? AND provider_job_id = ?"
            row = db.execute(sql, (provider, provider_job_id)).fetchone()
            return None if row is None else load_job(db, row["job_id"])

        return await self._read(work)

    async def ask(self, job_id: str, at: int, but: str | None = None) -> None:
        def work(db: sqlite3.Connection) -> None:
            sql = """UPDATE workers SET asked = json_set(asked, '$.' || ?1, ?2) WHERE id IS NOT ?3
                     AND id IN (SELECT owner FROM submissions WHERE job_id = ?1)"""
            db.execute(sql, (job_id, at, but))

        await self._write(work)

    async def asked(self, worker_id: str) -> dict[str, int]:
        def work(db: sqlite3.Connection) -> dict[str, int]:
            row = db.execute("SELECT asked FROM workers WHERE id = ?", (worker_id,)).fetchone()
            return {} if row is None else json.loads(row["asked"])

        return await self._read(work)

    async def uploaded(self, sha256: str, provider: str, account: str, now: int) -> JsonValue:
        def work(db: sqlite3.Connection) -> JsonValue:
            sql = "SELECT named FROM uploads WHERE sha256 = ? AND provider = ? AND account = ? AND expires_at > ?"
            row = db.execute(sql, (sha256, provider, account, now)).fetchone()
            return None if row is None else json.loads(row["named"])

        return await self._read(work)

    async def note_upload(self, upload: Upload) -> None:
        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM uploads WHERE expires_at <= ?", (self._clock.now(),))
            sql = "INSERT OR REPLACE INTO uploads (sha256, provider, account, named, expires_at) VALUES (?, ?, ?, ?, ?)"
            named = json.dumps(upload.named)
            db.execute(sql, (upload.sha256, upload.provider, upload.account, named, upload.expires_at))

        await self._write(work)

    async def data_version(self) -> int:
        def work(db: sqlite3.Connection) -> int:
            return int(db.execute("PRAGMA data_version").fetchone()[0])

        self._open_writer()
        with explained(self._path):  # the number of a connection does not count its own commits, so it is the writer's
            version = await self._connections[0].run(work)
        if version != self._version:
            self._version = version
            self._writes += 1
            self._finished.clear()
        return version

    def _forget(self, job_id: str) -> None:
        self._writes += 1
        self._finished.pop(job_id, None)

    def _moved(self, part: Submission | None) -> None:
        """Tell of a submission that moved, and whether it may be claimed now."""
        if part is not None:
            self._wrote(part.job_id)
            if part.owner is None and part.state in CLAIMABLE:
                self._bus.work()

    def _wrote(self, job_id: str) -> None:
        """Forget what was remembered of a job, and tell the waiters."""
        self._forget(job_id)
        self._bus.changed(job_id)


def _snapshot(work: Callable[[sqlite3.Connection], T], db: sqlite3.Connection) -> T:
    """Read everything from one state of the database."""
    db.execute("BEGIN")
    try:
        return work(db)
    finally:
        db.rollback()


def _migrated(steps: dict[int, str], db: sqlite3.Connection) -> None:
    refuse_newer(db, steps)  # first, because the journal mode is written into the file
    db.execute("PRAGMA journal_mode = WAL")
    migrate(db, steps)


def _any_free(db: sqlite3.Connection, *, synchronous: bool) -> bool:
    sql = f"""SELECT 1 FROM submissions AS s WHERE owner IS NULL
              AND state IN ('queued', 'running', 'parked', 'downloading') AND (? OR NOT {moves.LASTS}) LIMIT 1"""  # noqa: S608 because the condition is ours
    return db.execute(sql, (synchronous,)).fetchone() is not None
