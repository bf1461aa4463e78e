"""The processes of a proof: started, killed, paused and waited for by it."""

import base64
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from proof.driver import Config

HERE = Path(__file__).parent


@dataclass
class Actor:
    """One darkroom process."""

    pid: int
    _zygote: "Zygote"

    def kill(self) -> int:
        """End it in mid-move, and return how it ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)
            os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def pause(self) -> None:
        """Stop it, as a closed laptop does."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def is_paused(self) -> bool:
        """Return whether it stands still."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0] == "T"
        except OSError:
            return False

    def wait(self) -> int:
        """Return its exit code once it has ended, or minus the signal that ended it."""
        return self._zygote.ended(self)


class Zygote:
    """Starts actors; used by one thread at a time."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "proof.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._alive: dict[int, Actor] = {}

    def start(self, config: Config) -> Actor:
        """Start a process."""
        pid = self._ask(f"start {base64.b64encode(pickle.dumps(config)).decode()}")
        self._alive[pid] = Actor(pid, self)
        return self._alive[pid]

    def ended(self, actor: Actor) -> int:
        """Return how a process ended."""
        code = self._ask(f"wait {actor.pid}")
        del self._alive[actor.pid]
        return code

    def run(self, config: Config) -> int:
        """Start a process and return how it ended."""
        return self.start(config).wait()

    def close(self) -> None:
        """End whatever is left."""
        for actor in list(self._alive.values()):
            actor.kill()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def _ask(self, line: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def zygote() -> Generator[Zygote]:
    """Have a zygote for the block."""
    opened = Zygote()
    try:
        yield opened
    finally:
        opened.close()
