"""Jobs in one SQLite file, shared by any number of processes of one machine."""

from darkroom.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
