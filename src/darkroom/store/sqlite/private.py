"""Files of databases that nobody else on this machine may read."""

import os
from contextlib import suppress
from pathlib import Path


def prepare(path: Path) -> None:
    """Make the folder, and the file with the right permissions before SQLite would make it with others.

    What SQLite puts beside the file gets the permissions of the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileExistsError):
        # One that exists is not opened: closing it would drop the locks that SQLite has on it in this process.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
