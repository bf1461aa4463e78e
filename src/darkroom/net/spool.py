"""Answers kept whole on disk before anything is made of them, so that a restart can take them up."""

import hashlib
import json
import logging
import os
from contextlib import suppress
from pathlib import Path

from darkroom.net.answer import Answer
from darkroom.net.classify import REQUEST_IDS

log = logging.getLogger(__name__)
VERSION = 1
KEPT = ("content-type", "retry-after", "seed", "finish-reason", *REQUEST_IDS)
"""Headers that tell something about a result or an error, besides all that start with x-."""


def save(path: Path, answer: Answer) -> bool:
    """Keep an answer durably under that name, or say why not in the log; blocks.

    The file is one line of JSON (version, status, headers, length and sha256 of the body), then the body.
    """
    kept = {name: value for name, value in answer.headers.items() if name in KEPT or name.startswith("x-")}
    head = {
        "version": VERSION,
        "status": answer.status,
        "headers": kept,
        "bytes": len(answer.body),
        "sha256": hashlib.sha256(answer.body).hexdigest(),
    }
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            file.write(json.dumps(head).encode() + b"\n")
            file.write(answer.body)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync(path.parent)
    except OSError as exc:
        log.warning("an answer is held in memory alone, since %s cannot be written: %s", path.name, exc.strerror)
        with suppress(OSError):
            part.unlink(missing_ok=True)
        return False
    return True


def load(path: Path) -> Answer | None:
    """Return an answer that was kept, or None where there is none that is whole; blocks."""
    try:
        with path.open("rb") as file:
            head = json.loads(file.readline())
            body = file.read()
        whole = (head["version"], head["bytes"], head["sha256"])
        if whole != (VERSION, len(body), hashlib.sha256(body).hexdigest()):
            return None
        return Answer(int(head["status"]), dict(head["headers"]), body)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sync(folder: Path) -> None:
    """Make a new name durable, where the system can: Windows opens no folder."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
