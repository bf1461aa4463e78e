"""One writer with group commit and one reader, each a connection on a thread of its own."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import aiosqlite
import anyio

from darkroom.store.sqlite.faults import explained

T = TypeVar("T")
BUSY_MS = 30_000
BATCH = 256
"""Callers in one transaction at most."""


class Connection(aiosqlite.Connection):
    """A connection that runs whole functions on its thread, in one hop."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return `work(connection)`, called on the connection's thread."""
        return await self._execute(work, self._conn)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] because the library does not annotate it


def connect(path: Path, *, read_only: bool = False) -> Connection:
    """Return a connection that is opened by awaiting it."""

    def opener() -> sqlite3.Connection:
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1000)
        db.row_factory = sqlite3.Row
        try:
            if not read_only:
                db.execute("PRAGMA journal_mode = WAL")
                db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            db.close()
            raise
        return db

    return Connection(opener, iter_chunk_size=64)


@dataclass(eq=False)
class _Item(Generic[T]):
    work: Callable[[sqlite3.Connection], T]
    done: anyio.Event = field(default_factory=anyio.Event)
    result: T | None = None
    error: BaseException | None = None


class Writer:
    """Runs transactions of many callers; those that wait together are committed together."""

    def __init__(self, connection: Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._queue: list[_Item[Any]] = []
        self._flushing = False
        self.commits = 0
        """Transactions committed so far."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return `work(connection)` once it is committed; what it raises undoes only its own statements.

        A caller that is cancelled does not undo what was taken up.

        Raises:
            StorageError: If the transaction could not be committed.
        """
        item: _Item[T] = _Item(work)
        self._queue.append(item)
        if not self._flushing:
            # Whoever comes first commits for all who join before the queue is empty, cancelled or not.
            self._flushing = True
            try:
                with anyio.CancelScope(shield=True):
                    while self._queue:
                        batch, self._queue = self._queue[:BATCH], self._queue[BATCH:]
                        await self._flush(batch)
            finally:
                self._flushing = False
        await item.done.wait()
        if item.error is not None:
            raise item.error
        return item.result  # pyright: ignore[reportReturnType] because a finished item without error has its result

    async def _flush(self, batch: list[_Item[Any]]) -> None:
        try:
            with explained(self._path):
                await self._connection.run(partial(_transact, batch))
            self.commits += 1
        except BaseException as exc:
            for item in batch:
                item.error = exc
            if not isinstance(exc, Exception):
                raise
        finally:
            for item in batch:
                item.done.set()


def _transact(batch: list[_Item[Any]], db: sqlite3.Connection) -> None:
    """Run a batch in one transaction, each caller inside a savepoint."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for item in batch:
            _attempt(item, db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _attempt(item: _Item[Any], db: sqlite3.Connection) -> None:
    db.execute("SAVEPOINT one")
    try:
        item.result = item.work(db)
    except sqlite3.OperationalError:
        raise  # the disk is full or the like: that is everybody's trouble
    except Exception as exc:  # because one caller's mistake must not spoil the others' work
        db.execute("ROLLBACK TO one")
        item.error = exc
    db.execute("RELEASE one")
