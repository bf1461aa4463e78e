"""The process that renders: JSON lines in, JSON lines out, one job after another.

In:  {"do": "render", "job": {...}} and {"do": "cancel", "task": "..."}
Out: {"event": "started" | "progress" | "done" | "failed" | "cancelled", "task": "...", ...}

It ends at once when its input closes, whatever it is doing, and by itself after a time without work.
"""

import errno
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from dataclasses import asdict
from typing import Any, BinaryIO

from darkroom.adapters.draft.job import IDLE_S, Cancelled, Done, Job, Unfit

_PROGRESS_EVERY_S = 0.1


class Worker:
    """Takes lines from one stream and answers on another."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._jobs: queue.Queue[Job] = queue.Queue()
        self._called_off: set[str] = set()

    def listen(self, lines: BinaryIO) -> None:
        """Read until the input closes, then end the process, also in the middle of a frame."""
        try:
            for line in lines:
                message: dict[str, Any] = json.loads(line)
                if message["do"] == "render":
                    self._jobs.put(Job.load(message["job"]))
                else:
                    self._called_off.add(message["task"])
        finally:
            os._exit(0)

    def work(self, idle_s: float) -> None:
        """Do the jobs in order until none came for `idle_s` seconds."""
        while True:
            try:
                job = self._jobs.get(timeout=idle_s)
            except queue.Empty:
                return
            self._one(job)

    def _one(self, job: Job) -> None:
        self._say("started", job.task)
        try:
            self._check(job.task)
            done = self._render(job)
        except Cancelled:
            self._say("cancelled", job.task)
        except Exception as error:
            self._say("failed", job.task, **explain(error))
        else:
            self._say("done", job.task, **asdict(done))
        self._called_off.discard(job.task)

    def _render(self, job: Job) -> Done:
        last = -1.0

        def report(fraction: float, message: str) -> None:
            nonlocal last
            self._check(job.task)
            now = time.monotonic()
            if now - last >= _PROGRESS_EVERY_S:
                last = now
                self._say("progress", job.task, fraction=round(fraction, 4), message=message)

        if job.kind == "video":
            from darkroom.adapters.draft.film import make_clip

            return make_clip(job, report)
        if job.kind == "join":
            from darkroom.adapters.draft.join import make_film

            return make_film(job, report)
        from darkroom.adapters.draft.still import make_stills

        return make_stills(job, report)

    def _check(self, task: str) -> None:
        if task in self._called_off:
            raise Cancelled

    def _say(self, event: str, task: str, **more: Any) -> None:
        line = json.dumps({"event": event, "task": task, **more}, separators=(",", ":")).encode() + b"\n"
        try:
            self._answers.write(line)
            self._answers.flush()
        except OSError:
            os._exit(0)


def explain(error: Exception) -> dict[str, Any]:
    """Return what the parent needs to rebuild an error: code, message, hint."""
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return {
            "code": "storage_full",
            "message": "The disk is full: the draft could not be written.",
            "hint": "Free some space and ask again.",
        }
    if isinstance(error, Unfit):
        return {
            "code": "provider_failed",
            "message": str(error),
            "hint": error.hint,
        }
    if isinstance(error, MemoryError):
        return {
            "code": "provider_failed",
            "message": "The draft engine ran out of memory.",
            "hint": "Ask for a smaller size.",
        }
    logging.getLogger(__name__).error("a draft failed", exc_info=error)
    return {
        "code": "provider_failed",
        "message": f"The draft engine failed: {type(error).__name__}: {str(error)[:200]}",
        "hint": "Nothing was charged.",
    }


def _own_stdout() -> BinaryIO:
    """Keep the real stdout for answers alone; whatever else is printed goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def main() -> None:
    """Serve until the input closes or the idle time passes; `--idle SECONDS` changes that time."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(5)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    idle_s = float(sys.argv[sys.argv.index("--idle") + 1]) if "--idle" in sys.argv else IDLE_S
    worker = Worker(_own_stdout())
    threading.Thread(target=worker.listen, args=(sys.stdin.buffer,), daemon=True).start()
    worker.work(idle_s)
    os._exit(0)


if __name__ == "__main__":
    main()
