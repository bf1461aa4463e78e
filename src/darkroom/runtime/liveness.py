"""Tells living processes from dead ones: a file lock that the kernel releases, and a lease for hung owners."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Event
from typing import IO, TYPE_CHECKING, Protocol

from darkroom.clock import Clock
from darkroom.errors import StorageUnwritable

if TYPE_CHECKING:  # an idle server asks who lives, and has loaded no store
    from darkroom.store.base import Worker

LEASE_S = 15.0
"""A process that has not said so long that it lives is hung; it says so three times as often."""
TRIES = 10
"""How often a starting process tries to take its lock."""
PAUSE_S = 0.02
"""Between two tries: far longer than another process looks at a lock file."""

if sys.platform == "win32":  # pragma: no cover - the tests of this file run on POSIX systems
    import msvcrt

    def _lock(file: IO[bytes]) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


def boot_id() -> str:
    """Return a name of the present boot where the system tells it, else an empty text."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _locked(path: Path) -> IO[bytes]:
    """Return the file of that path with its lock taken, where the system has locks."""
    for _ in range(TRIES):
        file = path.open("wb")
        # Between the two steps, whoever looks for ended processes may have locked the file and unlinked it.
        if _lock(file) and _is_named(file, path):
            return file
        file.close()
        Event().wait(PAUSE_S)  # until that one has let go; this blocks a thread of its own
    file = path.open("wb")
    _lock(file)  # where this never succeeds, nobody else can lock it either: only the lease says then who is dead
    return file


def _is_named(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


class Seen(Protocol):
    """What tells whether a process lives: a worker, or its row."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def host(self) -> str:
        """Its machine."""
        ...

    @property
    def boot_id(self) -> str:
        """The boot of its machine."""
        ...

    @property
    def lease_until(self) -> float:
        """Seconds since boot."""
        ...


class Presence:
    """This process among those that share one database; blocks briefly on files."""

    def __init__(
        self,
        folder: Path,
        worker_id: str,
        *,
        lease_s: float = LEASE_S,
        lingers: bool = False,
        accounts: Sequence[str] = (),
    ) -> None:
        self._folder = folder
        self.id = worker_id
        self.lease_s = lease_s
        self.lingers = lingers
        self.accounts = tuple(accounts)
        self._file: IO[bytes] | None = None

    def enter(self, clock: Clock) -> Worker:
        """Take this process's lock and return its worker row.

        Raises:
            StorageUnwritable: If the lock file cannot be made.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = _locked(self._path(self.id))
        except OSError as exc:
            raise StorageUnwritable(
                f"The folder {self._folder} cannot be written: {exc.strerror}.",
                hint="Nothing was changed. Make it writable, or set DARKROOM_HOME to another folder.",
            ) from exc
        return self.renew(clock)

    def renew(self, clock: Clock) -> Worker:
        """Return this process's worker row as of now."""
        from darkroom.store.base import Worker  # see above

        return Worker(
            id=self.id,
            host=socket.gethostname(),
            pid=os.getpid(),
            boot_id=boot_id(),
            started_at=clock.now(),
            lease_until=clock.boot() + self.lease_s,
            lingers=self.lingers,
            accounts=self.accounts,
        )

    def leave(self) -> None:
        """Let go of the lock."""
        if self._file is not None:
            self._file.close()
            self._file = None
            with contextlib.suppress(OSError):  # a lock file that stays is free, so it harms nobody
                self._path(self.id).unlink()

    def dead(self, workers: Iterable[Seen], now_boot: float) -> list[str]:
        """Return which of these workers ended without saying so, or hang past their lease."""
        return [worker.id for worker in workers if worker.id != self.id and self._is_dead(worker, now_boot)]

    def _is_dead(self, worker: Seen, now_boot: float) -> bool:
        # The same boot under another host name is still this machine; from elsewhere, the lock alone can tell.
        here = worker.boot_id == boot_id() if boot_id() else worker.host == socket.gethostname()
        if here and worker.lease_until < now_boot:
            return True
        if not here and worker.host == socket.gethostname():
            return True
        path = self._path(worker.id)
        try:
            with path.open("rb+") as file:
                free = _lock(file)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        if free:
            path.unlink(missing_ok=True)
        return free

    def _path(self, worker_id: str) -> Path:
        return self._folder / f"{worker_id}.lock"
