"""Applies numbered migrations, each once, whoever opens the database first."""

import re
import sqlite3
from importlib.resources import files

from darkroom.errors import StorageNewer


def migrations(family: str) -> dict[int, str]:
    """Return the SQL of one family of databases by number, which counts from 1 without gaps."""
    found: dict[int, str] = {}
    for entry in files("darkroom.store").joinpath("migrations", family).iterdir():
        match = re.fullmatch(r"(\d{4})_\w+\.sql", entry.name)
        if match:
            found[int(match[1])] = entry.read_text(encoding="utf-8")
    return dict(sorted(found.items()))


def statements(script: str) -> list[str]:
    """Split a script into its statements; `executescript` would commit before the first."""
    found: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    return [*found, pending.strip()] if pending.strip() else found


def version_of(db: sqlite3.Connection) -> int:
    """Return the schema version of a database; 0 for a new one."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def refuse_newer(db: sqlite3.Connection, steps: dict[int, str]) -> int:
    """Return the schema version of a database.

    Raises:
        StorageNewer: If it is later than all steps.
    """
    present, newest = version_of(db), max(steps)
    if present > newest:
        raise StorageNewer(
            f"The database has schema version {present}; this darkroom knows versions up to {newest}.",
            hint="Nothing was changed. Update darkroom, or set DARKROOM_HOME to another folder.",
        )
    return present


def migrate(db: sqlite3.Connection, steps: dict[int, str]) -> int:
    """Bring a database to the newest version in one transaction and return it; safe in several processes at once.

    Raises:
        StorageNewer: If the database is of a later version; nothing is changed.
    """
    newest = max(steps)
    if version_of(db) == newest:
        return newest
    db.execute("BEGIN IMMEDIATE")
    try:
        for number in range(refuse_newer(db, steps) + 1, newest + 1):
            for statement in statements(steps[number]):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
    return newest
