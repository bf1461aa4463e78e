"""Whether a store holds anything that a process should go on with and no other does; asked from outside."""

import json
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

LOOKS = 10
"""A file that seems unchanged is opened again every so many looks: some systems note the time of a write late."""
LOOK_FOR_S = 24 * 3600.0
"""How long after a submission its provider is asked about an answer that was lost."""
BUSY_S = 0.2
FREE = "owner IS NULL AND state IN ('queued', 'running', 'parked', 'downloading')"
LOST = "state IN ('submitting', 'submit_unknown')"
FREE_RUN = """owner IS NULL AND (state IN ('queued', 'running') OR awaits IN ('work', 'client')
    OR (state = 'waiting' AND cancel_requested_at IS NOT NULL))"""
"""What nobody advances and what may go on without its caller; the words of the index `runs_free`."""
WORK = f"""SELECT EXISTS (SELECT 1 FROM submissions WHERE {FREE})
    OR EXISTS (SELECT 1 FROM submissions WHERE owner IS NOT NULL)
    OR EXISTS (SELECT 1 FROM submissions WHERE {LOST})
    OR EXISTS (SELECT 1 FROM runs WHERE owner IS NOT NULL)
    OR EXISTS (SELECT 1 FROM runs WHERE {FREE_RUN})
    OR EXISTS (SELECT 1 FROM callbacks WHERE state = 'due')"""  # noqa: S608 because the conditions are ours
"""Each part is answered by an index of that very condition."""
NOBODYS = "(NOT :any OR (account IS NOT NULL AND account NOT IN (SELECT value FROM json_each(:accounts))))"
LEFT = f"""SELECT EXISTS (SELECT 1 FROM submissions WHERE {FREE} AND {NOBODYS})
    OR EXISTS (SELECT 1 FROM submissions
        WHERE owner IS NOT NULL AND owner NOT IN (SELECT value FROM json_each(:living)))
    OR EXISTS (SELECT 1 FROM submissions WHERE {LOST} AND owner IS NULL AND sent_at >= :since AND {NOBODYS})
    OR EXISTS (SELECT 1 FROM runs WHERE owner IS NOT NULL AND owner NOT IN (SELECT value FROM json_each(:living)))
    OR (NOT :any AND EXISTS (SELECT 1 FROM runs WHERE {FREE_RUN}))
    OR (NOT :any AND EXISTS (SELECT 1 FROM callbacks WHERE state = 'due'))"""  # noqa: S608 because the conditions are ours
"""What no living process holds or may take: one that has no account yet may be taken by any."""
Stamp = tuple[int, int, int]


class Registered(NamedTuple):
    """A process that says of itself that it moves jobs."""

    id: str
    host: str
    boot_id: str
    lease_until: float
    accounts: str
    """Which it has the credentials of, as JSON."""


class Unfinished:
    """Looks into the file of a SQLite store; holds nothing open between two looks."""

    def __init__(self, path: Path, dead: Callable[[Sequence[Registered]], Collection[str]]) -> None:
        """Create it.

        Args:
            path: The file.
            dead: Returns the ids of those that are no more.
        """
        self._path = path
        self._dead = dead
        self._stamps: tuple[Stamp | None, ...] = ()
        self._left = 0
        self._others = False
        self._faults = 0

    def look(self, now: int) -> bool:
        """Return whether there may be something that nobody goes on with, at `now` in milliseconds since 1970; blocks.

        What cannot be read twice in a row counts as something: whoever opens the store says what is wrong with it.
        """
        try:
            stamps = tuple(map(_stamp, (self._path, self._path.with_name(f"{self._path.name}-wal"))))
            self._left -= 1
            same = stamps == self._stamps and self._left > 0 and not self._others  # who dies leaves no mark on the file
            if stamps[0] is None or same:
                return False
            self._stamps, self._left = stamps, LOOKS
            uri = f"{self._path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_S)) as db:
                self._others, self._faults = bool(db.execute(WORK).fetchone()[0]), 0
                return self._others and self._is_left(db, now)
        except (OSError, sqlite3.Error) as exc:
            self._stamps = ()
            if getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:  # somebody is at work
                return False
            self._faults += 1  # at first it may be just being made
            return self._faults > 1

    def _is_left(self, db: sqlite3.Connection, now: int) -> bool:
        rows = db.execute("SELECT id, host, boot_id, lease_until, accounts FROM workers").fetchall()
        registered = [Registered(*row) for row in rows]
        dead = self._dead(registered)
        living = [one for one in registered if one.id not in dead]
        told = {
            "any": bool(living),
            "living": json.dumps([one.id for one in living]),
            "accounts": json.dumps([account for one in living for account in json.loads(one.accounts)]),
            "since": now - int(LOOK_FOR_S * 1000),
        }
        return bool(db.execute(LEFT, told).fetchone()[0])


def _stamp(path: Path) -> Stamp | None:
    """Return what changes with a file; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
