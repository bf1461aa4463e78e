"""Checkpoints by one process alone, for libraries with the WAL-reset fault.

SQLite 3.7.0 to 3.51.2 may damage a file when two connections checkpoint it at the same moment (fixed in 3.51.3). With
such a library SQLite's own checkpoints are turned off, and only the holder of a lock file makes them. The last
connection to close still folds the log into the file: SQLite does that with the file locked for itself.
"""

import os
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

FIXED_IN = (3, 51, 3)
EVERY = 200
"""Commits between two checkpoints."""

if sys.platform == "win32":  # pragma: no cover because only Windows comes here
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Checkpoints:
    """Makes the checkpoints of one writer; every method blocks and belongs on the writer's thread."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}.checkpoint.lock")
        self._file: IO[bytes] | None = None
        self._commits = 0
        self._ours = sqlite3.sqlite_version_info < FIXED_IN

    def start(self, db: sqlite3.Connection) -> None:
        """Turn SQLite's own checkpoints off where they are not safe."""
        if self._ours:
            db.execute("PRAGMA wal_autocheckpoint = 0")

    def after_commit(self, db: sqlite3.Connection) -> None:
        """Count a commit, and fold the log into the file when it is time and this process is the one to do it."""
        self._commits += 1
        if self._ours and self._commits % EVERY == 0:
            self._fold(db)

    def stop(self, db: sqlite3.Connection) -> None:
        """Let another process do it from now on, after a last time if it was this one's to do."""
        if self._file is not None:
            self._fold(db)
            self._file.close()
            self._file = None

    def _fold(self, db: sqlite3.Connection) -> None:
        # A checkpoint that cannot be made now is made later; the commits are safe in the log meanwhile.
        with suppress(OSError, sqlite3.Error):
            if self._file is None:
                self._file = self._held()
            db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _held(self) -> IO[bytes]:
        file = os.fdopen(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600), "r+b")
        try:
            _lock(file)
        except OSError:
            file.close()
            raise
        return file
