"""Processes that share one file, killed and paused at random, again and again."""

import random
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fake_provider.server import FakeProvider
from proof.cast import Actor, Zygote
from proof.checker import Verdict, check, rows
from proof.driver import Config, Wanted

LEASE_S = 1.5
SUBMITS = 8
"""Submissions of one provider that a process has under way at most."""


@dataclass(frozen=True)
class Scene:
    """What the blows fall upon."""

    providers: dict[str, dict[str, Any]]
    """Manifests by id."""
    kinds: tuple[Wanted, ...]
    """What is wanted, with equal chances; each gets a prompt of its own."""
    fates: tuple[str, ...] = ("calm",)
    """Words of prompts by which the provider knows what to do, with equal chances."""
    askable: tuple[str, ...] = ()
    """Providers that can be asked what became of a submission."""
    environment: dict[str, str] = field(default_factory=dict[str, str])
    pause_s: float = 0.1
    """Between two jobs that a process adds."""

    def config(self, folder: Path, **more: Any) -> Config:
        """Return how a process of this scene behaves."""
        return Config(
            folder=folder,
            providers=self.providers,
            environment=self.environment,
            pause_s=self.pause_s,
            lease_s=LEASE_S,
            **more,
        )


@dataclass
class Blows:
    """A run: who lives, and what was done to them."""

    folder: Path
    provider: FakeProvider
    processes: Zygote
    scene: Scene
    count: int
    blind: bool = False
    luck: random.Random = field(default_factory=lambda: random.Random(7))
    done: Counter[str] = field(default_factory=Counter[str])
    sending_at_kills: int = 0
    """Submissions that the killed were sending at that moment."""

    @property
    def database(self) -> Path:
        """The file that all share."""
        return self.folder / "home" / "darkroom.sqlite3"

    def run(self, workers: int, jobs: int) -> Verdict:
        """Deal the blows, then let one process finish, and compare."""
        each = jobs // workers
        streams = [tuple(self._wanted(f"w{at}-{number}") for number in range(each)) for at in range(workers)]
        alive = [self._start(stream) for stream in streams]
        for blow in range(self.count):
            time.sleep(self.luck.uniform(0.05, 0.5))
            at = self.luck.randrange(workers)
            if blow % 4 == 3:
                self._pause(alive[at])
            else:
                self._kill(alive[at])
                alive[at] = self._start(streams[at])
        for actor in alive:
            actor.kill()
        assert self.processes.run(self.scene.config(self.folder, blind=self.blind)) == 0
        acknowledged = (self.folder / "acknowledged.txt").read_text(encoding="utf-8").split()
        return check(self.folder, self.provider, acknowledged, askable=self.scene.askable)

    def unclear(self, verdict: Verdict) -> list[str]:
        """Return what is of unknown fate although its provider answered, or would have."""
        return [prompt for prompt in verdict.unknown if not self.provider.script_of(prompt).mute]

    def most_unclear(self) -> int:
        """Return how much of that the blows can explain.

        A paused process may have been sending too: its late answers get in, unless it is killed before it wakes.
        """
        return self.sending_at_kills + self.done["paused"] * SUBMITS

    def _wanted(self, name: str) -> Wanted:
        kind, fate = self.luck.choice(self.scene.kinds), self.luck.choice(self.scene.fates)
        return replace(kind, prompt=f"{name}-{kind.provider}-{kind.mode}-{fate}")

    def _start(self, stream: tuple[Wanted, ...]) -> Actor:
        config = self.scene.config(self.folder, stream=stream, blind=self.blind, until_done=False)
        return self.processes.start(config)

    def _kill(self, actor: Actor) -> None:
        actor.kill()
        self.done["killed"] += 1
        sql = """SELECT COUNT(*) AS n FROM submissions JOIN workers ON workers.id = owner
                 WHERE state = 'submitting' AND pid = ?"""
        if self.database.exists() and rows(self.database, "SELECT 1 FROM sqlite_master WHERE name = 'workers'"):
            self.sending_at_kills += int(rows(self.database, sql, actor.pid)[0]["n"])

    def _pause(self, actor: Actor) -> None:
        actor.pause()
        time.sleep(LEASE_S * 1.4)
        actor.resume()
        self.done["paused"] += 1
