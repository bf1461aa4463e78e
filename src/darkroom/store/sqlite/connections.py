"""One writer with group commit and one reader, each a connection on a thread of its own."""

import sqlite3
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import aiosqlite
import anyio.to_thread

from darkroom.store.sqlite.faults import explained

T = TypeVar("T")
BUSY_MS = 30_000
BATCH = 256
"""Callers in one transaction at most."""
_MEDIUM = (sqlite3.OperationalError, sqlite3.DatabaseError, sqlite3.InternalError)
"""Raised exactly so when the disk is full, the file damaged and the like: everybody's trouble, no caller's mistake."""


class Connection(aiosqlite.Connection):
    """A connection that runs whole functions on its thread, in one hop."""

    async def opened(self) -> Self:
        """Open; when that fails, wait for the end of the thread, whose last word would find no loop any more."""
        try:
            await self
        except BaseException:
            await anyio.to_thread.run_sync(self._thread.join)
            raise
        return self

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return `work(connection)`, called on the connection's thread."""
        return await self._execute(work, self._conn)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] because the library does not annotate it


def connect(path: Path, *, read_only: bool = False) -> Connection:
    """Return a connection, to be `opened`."""

    def opener() -> sqlite3.Connection:
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_MS / 1000)
        db.row_factory = sqlite3.Row
        try:
            if not read_only:
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
    done: bool = False
    result: T | None = None
    error: BaseException | None = None


class Writer:
    """Runs transactions of many callers; those that wait together are committed together."""

    def __init__(self, connection: Connection, path: Path, after_commit: Callable[[sqlite3.Connection], None]) -> None:
        self._connection = connection
        self._path = path
        self._after_commit = after_commit
        self._waiting: deque[_Item[Any]] = deque()
        self.commits = 0
        """Transactions committed so far."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return `work(connection)` once it is committed; what it raises undoes only its own statements.

        A caller that is cancelled does not undo what it asked for.

        Raises:
            StorageError: If the transaction could not be committed.
        """
        item: _Item[T] = _Item(work)
        self._waiting.append(item)
        # Every caller sends the thread to the queue: one visit serves all who wait by then, and nobody needs another.
        await self._connection.run(partial(self._serve, item))
        if item.error is not None:
            raise item.error
        return item.result  # pyright: ignore[reportReturnType] because a finished item without error has its result

    def _serve(self, item: _Item[Any], db: sqlite3.Connection) -> None:
        """Commit the head of the queue, unless an earlier visit has done this item already."""
        if item.done:
            return
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        try:
            with explained(self._path):
                _transact(batch, db)
            self.commits += 1
            self._after_commit(db)
        except BaseException as exc:  # because each of them waits for its own visit
            for failed in batch:
                failed.error = exc
        for served in batch:
            served.done = True


def _transact(batch: list[_Item[Any]], db: sqlite3.Connection) -> None:
    """Run a batch in one transaction, each caller inside a savepoint."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for item in batch:
            _attempt(item, db)
        db.execute("COMMIT")
    except BaseException:
        db.rollback()  # nothing to do where SQLite has done it
        raise


def _attempt(item: _Item[Any], db: sqlite3.Connection) -> None:
    db.execute("SAVEPOINT one")
    try:
        item.result = item.work(db)
    except Exception as exc:  # because one caller's mistake must not spoil the others' work
        if type(exc) in _MEDIUM:
            raise
        db.execute("ROLLBACK TO one")
        item.error = exc
    db.execute("RELEASE one")
