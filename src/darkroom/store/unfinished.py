"""Whether a store holds anything that a process should go on with, asked without loading the store."""

import sqlite3
from contextlib import closing
from pathlib import Path

LOOKS = 10
"""A file that seems unchanged is opened again every so many looks: some systems note the time of a write late."""
BUSY_S = 5.0
WORK = """SELECT EXISTS (SELECT 1 FROM submissions
        WHERE owner IS NULL AND state IN ('queued', 'running', 'parked', 'downloading'))
    OR EXISTS (SELECT 1 FROM submissions WHERE owner IS NOT NULL)
    OR EXISTS (SELECT 1 FROM submissions WHERE state IN ('submitting', 'submit_unknown'))
    OR EXISTS (SELECT 1 FROM runs WHERE owner IS NOT NULL)
    OR EXISTS (SELECT 1 FROM runs WHERE owner IS NULL
        AND (state IN ('queued', 'running') OR awaits IN ('work', 'client')
             OR (state = 'waiting' AND cancel_requested_at IS NOT NULL)))
    OR EXISTS (SELECT 1 FROM callbacks WHERE state = 'due')"""
"""Each part is answered by an index of that very condition."""
Stamp = tuple[int, int, int]


class Unfinished:
    """Looks into the file of a SQLite store; holds nothing open between two looks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamps: tuple[Stamp | None, ...] = ()
        self._left = 0

    def look(self) -> bool:
        """Return whether there may be something since the last look; blocks.

        What cannot be read counts as something: whoever opens the store says what is wrong with it.
        """
        try:
            stamps = tuple(map(_stamp, (self._path, self._path.with_name(f"{self._path.name}-wal"))))
            self._left -= 1
            if stamps[0] is None or (stamps == self._stamps and self._left > 0):
                return False
            self._stamps, self._left = stamps, LOOKS
            uri = f"{self._path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S)) as db:
                return bool(db.execute(WORK).fetchone()[0])
        except (OSError, sqlite3.Error):
            return True


def _stamp(path: Path) -> Stamp | None:
    """Return what changes with a file; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
