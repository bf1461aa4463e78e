"""Bearer tokens of the SQLite store."""

import json
import sqlite3

from darkroom.domain.token import Scope, Token
from darkroom.store.sqlite.rows import insert
from darkroom.store.sqlite.run_store import Read, Write


class SqliteTokens:
    """Tokens in the file of the jobs; `store.token_base.TokenStore` says what each method promises."""

    def __init__(self, write: Write, read: Read) -> None:
        self._write = write
        self._read = read

    async def add(self, token: Token) -> None:
        await self._write(lambda db: put(db, token), intact=True, new=True)

    async def find(self) -> list[Token]:
        return await self._read(every)

    async def by_digest(self, digest: str) -> Token | None:
        def work(db: sqlite3.Connection) -> Token | None:
            row = db.execute("SELECT * FROM tokens WHERE digest = ?", (digest,)).fetchone()
            return None if row is None else _token_of(row)

        return await self._read(work)

    async def revoke(self, token_id: str, at: int) -> Token | None:
        return await self._write(lambda db: revoke(db, token_id, at), intact=True)


def put(db: sqlite3.Connection, token: Token) -> None:
    """Keep a token, unless one of that id is there."""
    values = {**token.model_dump(mode="json"), "scopes": json.dumps(token.scopes)}
    insert(db, "tokens", values, ignore=True)


def every(db: sqlite3.Connection) -> list[Token]:
    """Return all tokens, oldest first."""
    return [_token_of(row) for row in db.execute("SELECT * FROM tokens ORDER BY created_at, id")]


def revoke(db: sqlite3.Connection, token_id: str, at: int) -> Token | None:
    """Revoke a token and return it."""
    db.execute("UPDATE tokens SET revoked_at = COALESCE(revoked_at, ?) WHERE id = ?", (at, token_id))
    row = db.execute("SELECT * FROM tokens WHERE id = ?", (token_id,)).fetchone()
    return None if row is None else _token_of(row)


def take_over(old: sqlite3.Connection, db: sqlite3.Connection) -> None:
    """Bring the tokens of an older file into a restored one: what was revoked since stays revoked.

    A file that is damaged or of an earlier version may have none that can be read.
    """
    try:
        found = every(old)
    except sqlite3.DatabaseError:
        return
    for token in found:
        put(db, token)
        if token.revoked_at is not None:
            revoke(db, token.id, token.revoked_at)


def _token_of(row: sqlite3.Row) -> Token:
    scopes = tuple(Scope(name) for name in json.loads(row["scopes"]))
    return Token.model_validate({**dict(row), "scopes": scopes})
