"""Writing files so that they are whole and stay: temporary file, fsync, rename without overwriting."""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import IO

from darkroom.errors import StorageError, StorageFull, StorageUnwritable

CHUNK = 1 << 20
MIN_FREE = 50_000_000
"""Bytes that must be free before anything is promised."""
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
_BINARY: int = getattr(os, "O_BINARY", 0)
_NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
_NO_BLOCK: int = getattr(os, "O_NONBLOCK", 0)


@contextlib.contextmanager
def storing(folder: Path, *, variable: str, kept: str) -> Generator[None]:
    """Turn an OSError of the block into a `StorageError` that names the folder and the setting behind it.

    Args:
        folder: Where the block writes.
        variable: The setting that moves it.
        kept: What became of the work, as the first sentence of the hint.
    """
    try:
        yield
    except OSError as exc:
        raise _explain(exc, folder, variable, kept) from exc


def _explain(exc: OSError, folder: Path, variable: str, kept: str) -> StorageError:
    if exc.errno in _FULL:
        return full(folder, variable, kept)
    reason = exc.strerror or type(exc).__name__
    return StorageUnwritable(
        f"The folder {folder} cannot be written: {reason}.",
        hint=f"{kept} Make {folder} a folder that may be written, or set {variable} to another one.",
    )


def full(folder: Path, variable: str, kept: str) -> StorageFull:
    """Return the error for a disk without room."""
    return StorageFull(
        f"The disk that holds {folder} is full.",
        hint=f"{kept} Make room on the disk of {folder}, or set {variable} to a folder on another one.",
    )


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Make a folder and those above it, durably; every one that is new gets `mode` less the umask.

    Raises:
        OSError: If one cannot be made, or something else has its name.
    """
    missing = [path for path in (folder, *folder.parents) if not path.is_dir()]
    for path in reversed(missing):
        path.mkdir(mode, exist_ok=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make new names in a folder durable, where the system can."""
    # Windows opens no folder, and some network file systems sync none: the files themselves are synced all the same.
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def try_folder(folder: Path) -> None:
    """Create and remove a file there.

    Raises:
        OSError: If that fails.
    """
    temporary = write_temporary(folder, "check", [b"x"])
    temporary.unlink()


def free_bytes(folder: Path) -> int:
    """Return how much a user may still write there."""
    return shutil.disk_usage(folder).free


def write_temporary(folder: Path, prefix: str, chunks: Iterable[bytes], mode: int = 0o666) -> Path:
    """Write a new hidden file `.<prefix>-<random>.part` durably and return its path; nothing is left on failure.

    Raises:
        OSError: If it cannot be written.
    """
    path = folder / f".{prefix}-{secrets.token_hex(6)}.part"
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY | _NO_FOLLOW, mode)
    try:
        with os.fdopen(number, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def discard_temporaries(folder: Path, prefix: str) -> None:
    """Remove what earlier tries with that prefix left."""
    for path in folder.glob(f".{prefix}-*.part"):
        # Another system's lock on it is no reason to fail: it is hidden, and small beside what is to be kept.
        with contextlib.suppress(OSError):
            path.unlink()


def publish(temporary: Path, final: Path) -> None:
    """Give a written file its name, never over another file.

    The temporary name may remain; it is the caller's to remove.

    Raises:
        FileExistsError: If something has that name.
        OSError: If the name cannot be given.
    """
    try:
        final.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # No hard links here (FAT, exFAT, some network disks): reserve the name, then replace our own empty file.
        os.close(os.open(final, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            temporary.replace(final)
        except BaseException:
            final.unlink(missing_ok=True)
            raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a private file (0600) so that its name never shows a part of it; an older one is replaced.

    Raises:
        OSError: If it cannot be written.
    """
    make_folder(path.parent, 0o700)
    temporary = write_temporary(path.parent, path.stem, [data], 0o600)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def open_regular(path: Path) -> IO[bytes] | None:
    """Open a regular file to be read; None where the name is anything else.

    Never waits for a pipe or device, and follows no link in the last part of the name.

    Raises:
        OSError: If it cannot be opened.
    """
    number = os.open(path, os.O_RDONLY | _BINARY | _NO_FOLLOW | _NO_BLOCK)
    file = os.fdopen(number, "rb")
    if stat.S_ISREG(os.fstat(number).st_mode):
        return file
    file.close()
    return None


def same_content(path: Path, sha256: str, size: int) -> bool:
    """Return whether that name is a regular file with that content."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False
