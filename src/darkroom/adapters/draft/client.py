"""The parent's side of a worker process: start it on first use, feed it, follow it, end it.

All methods are safe to call from any thread. `submit`, `cancel` and `close` may block for an instant (they write to a
pipe or start a process), `state` never does. One daemon thread for each process reads its answers.
"""

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import IO, Any, cast

from darkroom.adapters.draft.job import IDLE_S, Job
from darkroom.errors import Overloaded

MODULE = "darkroom.adapters.draft.worker"
KEPT_ENDED = 1_000
"""Ended jobs whose result is remembered."""
MOST_STARTS = 3
"""Processes that one queued job may lose before it is given up."""
CLOSE_S = 0.5
PASSED_ON = frozenset(
    {
        *("PATH", "SYSTEMROOT", "WINDIR", "TEMP", "TMP", "TMPDIR", "LANG", "LC_ALL", "LC_CTYPE", "VIRTUAL_ENV"),
        *("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    }
)
"""Variables that a worker gets; it decodes foreign pictures, so keys stay out of its reach."""

_log = logging.getLogger(__name__)
_ENDS = frozenset({"done", "failed", "cancelled"})


@dataclass(slots=True)
class State:
    """How a job stands; `phase` is queued, running, done, failed or cancelled."""

    job: Job
    phase: str = "queued"
    fraction: float = 0.0
    message: str = "waiting for its turn"
    data: dict[str, Any] = field(default_factory=dict[str, Any])
    """What the worker said last: the result, or the error."""
    starts: int = 0


class WorkerClient:
    """One kind of worker; at most one process of it lives at a time."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._states: OrderedDict[str, State] = OrderedDict()
        self._lock = threading.Lock()
        self._pipe_lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process id of the worker, if one runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def submit(self, job: Job) -> None:
        """Queue a job; a task that is known already is not queued again."""
        with self._lock:
            if job.task in self._states:
                return
            self._states[job.task] = State(job)
            self._forget()
        try:
            with self._pipe_lock:
                self._send(job)
        except OSError as error:
            with self._lock:
                del self._states[job.task]
            raise Overloaded("The draft worker could not be started.", hint="Nothing was started.") from error

    def state(self, task: str) -> State | None:
        """Return how a job stands, or None if it is not known here; takes no lock, so it is safe on an event loop."""
        return self._states.get(task)

    def cancel(self, task: str) -> bool:
        """Call a job off; False if it has ended already or is not known."""
        with self._lock:
            state = self._states.get(task)
            if state is None or state.phase in _ENDS:
                return False
            state.phase, state.message = "cancelled", "cancelled"
        with self._pipe_lock:
            self._write(json.dumps({"do": "cancel", "task": task}).encode() + b"\n")
        return True

    def close(self) -> None:
        """End the worker and wait for it."""
        self._closed = True
        with self._pipe_lock:
            process, reader = self._process, self._reader
        if process is None:
            return
        with contextlib.suppress(OSError):
            cast("IO[bytes]", process.stdin).close()
        try:
            process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if reader is not None:
            reader.join(CLOSE_S)

    def _send(self, job: Job) -> None:
        """Write a job to the worker, which is started when there is none; the pipe lock is held."""
        if self._closed:
            with self._lock:
                state = self._states[job.task]
                state.phase, state.data = "failed", _death(0, closed=True)
            return
        if self._process is None or self._process.returncode is not None:
            self._start()
        with self._lock:
            state = self._states.get(job.task)
            if state is None or state.phase != "queued":
                return
            state.starts += 1
        self._write(job.dump())

    def _write(self, line: bytes) -> None:
        """Write one line; if the worker has just died, its reader sends the queued jobs to the next one."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def _start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name.upper() in PASSED_ON}
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        new_group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        process = subprocess.Popen(  # noqa: S603 because the command is our own module
            [sys.executable, "-P", "-m", MODULE, "--idle", f"{self._idle_s:g}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=os.name == "posix",
            creationflags=new_group,
        )
        self._process = process
        self._reader = threading.Thread(target=self._follow, args=(process,), daemon=True, name="draft worker")
        self._reader.start()

    def _follow(self, process: "subprocess.Popen[bytes]") -> None:
        """Read one process to its end; then sort out what it left behind."""
        answers = cast("IO[bytes]", process.stdout)
        with answers:
            for line in answers:
                try:
                    self._note(json.loads(line))
                except (ValueError, KeyError, TypeError):
                    _log.warning("the draft worker wrote a line that is no answer")
        code = process.wait()
        with contextlib.suppress(OSError):
            cast("IO[bytes]", process.stdin).close()
        self._sort_out(process, code)

    def _note(self, answer: dict[str, Any]) -> None:
        with self._lock:
            state = self._states.get(answer["task"])
            if state is None or state.phase in _ENDS:
                return
            event = answer["event"]
            if event == "started":
                state.phase, state.message = "running", "started"
            elif event == "progress":
                state.fraction, state.message = float(answer["fraction"]), str(answer["message"])
            elif event in _ENDS:
                state.data, state.phase = answer, event

    def _sort_out(self, process: "subprocess.Popen[bytes]", code: int) -> None:
        """Fail what was running, and send what was waiting to a new worker."""
        with self._pipe_lock:
            if self._process is process:
                self._process = None
            waiting: list[Job] = []
            with self._lock:
                for state in self._states.values():
                    if state.phase == "running" or (
                        state.phase == "queued" and (self._closed or state.starts >= MOST_STARTS)
                    ):
                        state.phase, state.data = "failed", _death(code, closed=self._closed)
                    elif state.phase == "queued" and state.starts:
                        waiting.append(state.job)
            for job in waiting:
                self._send_again(job)

    def _send_again(self, job: Job) -> None:
        try:
            self._send(job)
        except OSError:
            with self._lock:
                state = self._states[job.task]
                state.phase, state.data = "failed", _death(1, closed=False)

    def _forget(self) -> None:
        """Drop the oldest ended jobs beyond the bound."""
        ended = [task for task, state in self._states.items() if state.phase in _ENDS]
        for task in ended[: max(0, len(ended) - KEPT_ENDED)]:
            del self._states[task]


def _death(code: int, *, closed: bool) -> dict[str, Any]:
    if closed:
        message = "The draft engine was shut down while it worked on this."
    elif code < 0:
        message = f"The draft worker was killed by signal {-code}" + (" (often: out of memory)." if code == -9 else ".")
    else:
        message = f"The draft worker ended unexpectedly with code {code}."
    return {
        "code": "provider_failed",
        "message": message,
        "hint": "Nothing was charged. Ask again; a smaller size needs less memory.",
    }
