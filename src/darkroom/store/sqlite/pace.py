"""Calls a minute, counted in a small file of their own: every process of one DARKROOM_HOME counts in it.

It is written without waiting for the disk: what a crash loses is a minute's count, and nothing of the jobs.
"""

import logging
import math
import sqlite3
from pathlib import Path
from threading import Lock

import anyio.to_thread

from darkroom.clock import Clock
from darkroom.store.sqlite.private import prepare

MINUTE_MS = 60_000
WAIT_S = 1.0
log = logging.getLogger(__name__)


class SqlitePace:
    """Generic cell rate algorithm: as many calls at once as a minute has, then one at a time as they become free."""

    def __init__(self, path: Path, clock: Clock, per_minute: int) -> None:
        self._path = path
        self._clock = clock
        self._per_minute = per_minute
        self._db: sqlite3.Connection | None = None
        self._lock = Lock()

    async def take(self, principal: str) -> int:
        """Count a call; see the protocol. Where it cannot be counted, it is let in."""
        if not self._per_minute:
            return 0
        try:
            return await anyio.to_thread.run_sync(self._take, principal, self._clock.now())
        except sqlite3.Error as exc:
            log.warning("calls cannot be counted in %s: %s", self._path.name, exc)
            return 0

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _take(self, principal: str, now: int) -> int:
        with self._lock:
            if self._db is None:
                self._db = _opened(self._path)
            step = MINUTE_MS / self._per_minute
            row = self._db.execute(
                """INSERT INTO pace VALUES (?1, ?2 + ?3) ON CONFLICT (principal) DO UPDATE
                   SET free_at = MAX(MIN(free_at, ?2 + ?4), ?2) + ?3 WHERE free_at <= ?2 + ?4 - ?3 OR free_at > ?2 + ?4
                   RETURNING free_at""",
                (principal, now, step, MINUTE_MS),
            ).fetchone()
            if row is not None:
                return 0
            found = self._db.execute("SELECT free_at FROM pace WHERE principal = ?", (principal,)).fetchone()
        return max(1, math.ceil((found[0] + step - now - MINUTE_MS) / 1000))


def _opened(path: Path) -> sqlite3.Connection:
    prepare(path)
    db = sqlite3.connect(path, isolation_level=None, timeout=WAIT_S, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("CREATE TABLE IF NOT EXISTS pace (principal TEXT PRIMARY KEY, free_at REAL NOT NULL)")
    except BaseException:
        db.close()
        raise
    return db
