"""What the tests of the SQLite store share."""

# pyright: reportPrivateUsage=false
# Connections of the store are looked at, and faults made on them.

import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread

from darkroom.events import Bus
from darkroom.store.sqlite import SqliteStore
from darkroom.store.sqlite.connections import Writer
from factories import (
    FakeClock,
)


def new_store(path: Path) -> SqliteStore:
    return SqliteStore(path, Bus(), FakeClock())


def writer_of(store: SqliteStore) -> Writer:
    assert store._writer is not None
    return store._writer


async def on_writer(store: SqliteStore, sql: str) -> Any:
    """Return the first value that a statement gives on the writing connection."""
    return await store._connections[0].run(partial(_first, sql))


async def on_reader(store: SqliteStore, sql: str) -> Any:
    return await store._connections[1].run(partial(_first, sql))


def _first(sql: str, db: sqlite3.Connection) -> Any:
    row = db.execute(sql).fetchone()
    return None if row is None else row[0]


async def beside(path: Path, *sql: str) -> list[Any]:
    """Run statements on a connection of our own; return the first value of each."""

    def work() -> list[Any]:
        db = sqlite3.connect(path, isolation_level=None)
        try:
            return [_first(statement, db) for statement in sql]
        finally:
            db.close()

    return await anyio.to_thread.run_sync(work)


def our_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name]


async def no_threads_left() -> None:
    for thread in our_threads():
        await anyio.to_thread.run_sync(thread.join, 5)
    assert our_threads() == []


def blocking(entered: threading.Event, gate: threading.Event) -> Callable[[sqlite3.Connection], None]:
    """Return a transaction that holds the writer until the gate opens."""

    def work(db: sqlite3.Connection) -> None:
        entered.set()
        assert gate.wait(5)

    return work


async def entered_by(event: threading.Event) -> None:
    assert await anyio.to_thread.run_sync(event.wait, 5)
