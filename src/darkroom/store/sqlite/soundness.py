"""Whether a database is sound: SQLite's own checks, and what our own tables promise to each other."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from darkroom.errors import StorageMissing
from darkroom.store.migrate import migrations, refuse_newer
from darkroom.store.sqlite.faults import explained
from darkroom.store.sqlite.moves import LOUDNESS

FAMILY = "sqlite"
GLANCE_S = 2.0
"""Seconds that opening may spend on looking for damage."""
GLANCE_BYTES = 256 * 2**20
"""Larger files are not looked through at opening, only by command."""
BUSY_S = 30.0
SHOWN = 3
"""Jobs named in one finding."""
EMPTY = "the file is empty, so it holds no jobs; the next start makes a new database of it"
OPS = 10_000
"""Steps of SQLite's machine between two looks at the clock."""
_ENDED = "('succeeded', 'failed', 'cancelled')"
_LAST_EVENT = """(SELECT target FROM events WHERE events.job_id = submissions.job_id
    AND events.submission = submissions.idx ORDER BY seq DESC LIMIT 1)"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be; `damage` is False where nothing needs mending."""

    damage: bool
    what: str
    says: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found; `version` and `jobs` are None where the file cannot tell."""

    path: Path
    size: int
    version: int | None
    jobs: int | None
    findings: tuple[Finding, ...]

    @property
    def damaged(self) -> bool:
        """Whether something is lost or contradicts itself."""
        return any(finding.damage for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _Promise:
    damage: bool
    what: str
    sql: str
    """Gives the id of each job that breaks it."""
    says: str


PROMISES = (
    _Promise(
        True,
        "ends",
        f"""SELECT id FROM (SELECT id, outcome, finished_at,
            (SELECT state FROM submissions WHERE job_id = jobs.id ORDER BY {LOUDNESS} LIMIT 1) AS state FROM jobs)
            WHERE state IS NULL OR outcome IS NOT (CASE WHEN state IN {_ENDED} THEN state END)
            OR (outcome IS NULL) <> (finished_at IS NULL) ORDER BY id""",  # noqa: S608 because the states are ours
        "the end of the job disagrees with its submissions",
    ),
    _Promise(
        True,
        "ledger",
        f"""SELECT DISTINCT job_id FROM submissions WHERE state IN {_ENDED}
            AND EXISTS (SELECT 1 FROM ledger WHERE ledger.job_id = submissions.job_id AND submission = idx
                        AND kind = 'reserved')
            AND NOT EXISTS (SELECT 1 FROM ledger WHERE ledger.job_id = submissions.job_id AND submission = idx
                            AND kind IN ('settled', 'released')) ORDER BY job_id""",  # noqa: S608 because the states are ours
        "money is still reserved for work that ended",
    ),
    _Promise(
        True,
        "events",
        f"SELECT DISTINCT job_id FROM submissions WHERE state IS NOT {_LAST_EVENT} ORDER BY job_id",  # noqa: S608 because nothing of it is a caller's
        "the last event is not the present state",
    ),
    _Promise(
        False,
        "owners",
        """SELECT DISTINCT job_id FROM submissions WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM workers)
           ORDER BY job_id""",
        "held by a process that is gone; the next one takes it over",
    ),
    _Promise(
        True,
        "ends",
        f"SELECT id FROM runs WHERE (state IN {_ENDED}) <> (finished_at IS NOT NULL) ORDER BY id",  # noqa: S608 because the states are ours
        "the end of the run disagrees with its state",
    ),
    _Promise(
        True,
        "ledger",
        f"SELECT id FROM runs WHERE state IN {_ENDED} AND id IN (SELECT job_id FROM spending WHERE open) ORDER BY id",  # noqa: S608 because the states are ours
        "money is still reserved for a run that ended",
    ),
    _Promise(
        True,
        "events",
        """SELECT id FROM runs WHERE state IS NOT
           (SELECT target FROM run_events WHERE run_id = id ORDER BY seq DESC LIMIT 1) ORDER BY id""",
        "the last event is not the present state of the run",
    ),
    _Promise(
        False,
        "owners",
        "SELECT id FROM runs WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM workers) ORDER BY id",
        "runs held by a process that is gone; the next one takes them over",
    ),
    _Promise(
        True,
        "callbacks",
        """SELECT subject FROM callbacks WHERE state = 'waiting'
           AND (SELECT finished_at FROM jobs WHERE id = subject
                UNION ALL SELECT finished_at FROM runs WHERE id = subject) IS NOT NULL ORDER BY subject""",
        "nobody is told of its end",
    ),
)


def reading(path: Path) -> sqlite3.Connection:
    """Return a connection that can only read; it works while others write."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=BUSY_S)
    db.row_factory = sqlite3.Row
    return db


def is_empty(path: Path) -> bool:
    """Return whether the file has no bytes; to be asked before it is opened, since SQLite deletes the log beside such.

    Raises:
        StorageError: If the file cannot be looked at.
    """
    with explained(path):
        return path.stat().st_size == 0


def glance(path: Path, monotonic: Callable[[], float], db: sqlite3.Connection) -> str | None:
    """Return the first damage that a short look finds, None when there is none or the time was up."""
    if path.stat().st_size > GLANCE_BYTES:
        return None
    until = monotonic() + GLANCE_S
    db.set_progress_handler(lambda: monotonic() > until, OPS)
    try:
        found = [str(row[0]) for row in db.execute("PRAGMA quick_check(1)").fetchall()]
    except sqlite3.DatabaseError as exc:
        found = ["ok"] if exc.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT else [str(exc)]
    finally:
        db.set_progress_handler(None, OPS)
    return None if found == ["ok"] else found[0]


def structure(db: sqlite3.Connection, *, whole: bool) -> list[Finding]:
    """Return what SQLite itself finds wrong; `whole` compares the indexes with their tables and the references too."""
    try:
        rows = db.execute("PRAGMA integrity_check(20)" if whole else "PRAGMA quick_check(20)").fetchall()
        found = [Finding(True, "structure", " ".join(str(row[0]).split())) for row in rows if row[0] != "ok"]
        broken = len(db.execute("PRAGMA foreign_key_check").fetchall()) if whole else 0
    except sqlite3.DatabaseError as exc:
        return [Finding(True, "structure", str(exc))]
    return [*found, Finding(True, "references", f"{broken} rows belong to no job")] if broken else found


def check(path: Path, *, whole: bool = True) -> Checked:
    """Return everything that is wrong with a database, which may be in use; changes nothing.

    Without `whole` only the quick half of SQLite's own check is made. An empty file is damage: a start that was broken
    off leaves one too, but nothing else of ours does, and whoever had jobs must hear of it.

    Raises:
        StorageMissing: If there is no such file.
        StorageNewer: If it was written by a newer version.
        StorageError: If it cannot be read for another reason than damage.
    """
    if not path.exists():
        raise StorageMissing(
            f"There is no job database {path}.",
            hint="The first job makes it. If there was one, put it back or use 'darkroom db restore'.",
        )
    if is_empty(path):
        return Checked(path, 0, None, 0, (Finding(True, "empty", EMPTY),))
    steps = migrations(FAMILY)
    with explained(path), closing(reading(path)) as db:
        found = structure(db, whole=whole)
        version = jobs = None
        try:
            version = refuse_newer(db, steps)
            db.execute("BEGIN")  # so that every promise is held against the same state
            if version < max(steps):
                found.append(Finding(False, "version", f"schema {version}; the next start brings it to {max(steps)}"))
            elif whole:
                found += _contents(db)
            jobs = int(db.execute("SELECT count(*) FROM jobs").fetchone()[0]) if version else 0
        except sqlite3.DatabaseError as exc:
            found.append(Finding(True, "contents", str(exc)))
    return Checked(path, path.stat().st_size, version, jobs, tuple(found))


def _contents(db: sqlite3.Connection) -> Iterator[Finding]:
    for promise in PROMISES:
        ids = [str(row[0]) for row in db.execute(promise.sql).fetchall()]
        if ids:
            yield Finding(promise.damage, promise.what, f"{promise.says}: {named(ids)}")
    gone = [str(row["path"]) for row in db.execute("SELECT path FROM outputs ORDER BY id") if not _exists(row["path"])]
    if gone:
        yield Finding(False, "files", f"moved or deleted since: {named(gone)}")


def named(things: list[str]) -> str:
    """Return the first few of a list as text, and how many more there are."""
    more = f" and {len(things) - SHOWN} more" if len(things) > SHOWN else ""
    return ", ".join(things[:SHOWN]) + more


def _exists(path: str) -> bool:
    try:
        Path(path).stat()
    except (OSError, ValueError):
        return False
    return True
