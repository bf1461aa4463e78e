"""Processes that share one file, killed and paused at random, again and again; and a proof that the proof can fail.

`make torture` gives 3,000 blows instead of 200.
"""

import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fake_provider.install import manifest
from fake_provider.server import FakeProvider, Script, running_provider
from proof.cast import Actor, Zygote, zygote
from proof.checker import Verdict, check, rows
from proof.driver import Config, Wanted

BLOWS = int(os.environ.get("DARKROOM_TORTURE", "200"))
ROUND = 100
"""Blows on one database; more of them go to a new one, so that there is always work."""
LEASE_S = 1.5
SUBMITS = 8
"""Submissions of one provider that a process has under way at most."""
FLAGS: dict[str, dict[str, str]] = {
    "fake": {},
    "fakekey": {"idempotency": "key"},
    "fakelist": {"lookup": "list"},
}
KINDS = [("fake", "fake-image"), ("fake", "fake-sync"), ("fakekey", "fake-image"), ("fakelist", "fake-image")]
CALM = Script(accept_delay_s=0.15, polls=2)


@dataclass
class Blows:
    """A run: who lives, and what was done to them."""

    folder: Path
    provider: FakeProvider
    processes: Zygote
    count: int
    blind: bool = False
    luck: random.Random = field(default_factory=lambda: random.Random(7))
    done: Counter[str] = field(default_factory=Counter[str])
    sending_at_kills: int = 0
    """Submissions that the killed were sending at that moment."""

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
        assert self.processes.run(self._config((), until_done=True)) == 0
        acknowledged = (self.folder / "acknowledged.txt").read_text(encoding="utf-8").split()
        askable = [name for name, flags in FLAGS.items() if flags]
        return check(self.folder, self.provider, acknowledged, askable=askable)

    def _wanted(self, prompt: str) -> Wanted:
        name, model = KINDS[hash(prompt) % len(KINDS)] if self.blind else self.luck.choice(KINDS)
        return Wanted(prompt, provider=name, model=model)

    def _config(self, stream: tuple[Wanted, ...], *, until_done: bool) -> Config:
        flags = {name: dict[str, str]() for name in FLAGS} if self.blind else FLAGS
        providers = {name: manifest(self.provider.base_url, name, **more) for name, more in flags.items()}
        return Config(
            folder=self.folder,
            providers=providers,
            stream=stream,
            lease_s=LEASE_S,
            blind=self.blind,
            until_done=until_done,
        )

    def _start(self, stream: tuple[Wanted, ...]) -> Actor:
        return self.processes.start(self._config(stream, until_done=False))

    def _kill(self, actor: Actor) -> None:
        actor.kill()
        self.done["killed"] += 1
        pid = actor.pid
        sql = """SELECT COUNT(*) AS n FROM submissions JOIN workers ON workers.id = owner
                 WHERE state = 'submitting' AND pid = ?"""
        database = self.folder / "home" / "darkroom.sqlite3"
        if database.exists() and rows(database, "SELECT 1 FROM sqlite_master WHERE name = 'workers'"):
            self.sending_at_kills += int(rows(database, sql, pid)[0]["n"])

    def _pause(self, actor: Actor) -> None:
        actor.pause()
        time.sleep(LEASE_S * 1.4)
        actor.resume()
        self.done["paused"] += 1


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("workers", [2, 3])
def test_random_blows_lose_nothing_and_send_nothing_twice(
    tmp_path: Path, workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(BLOWS // 2 // ROUND):
        with running_provider(idempotency=True, lookup=True) as provider, zygote() as processes:
            provider.default = CALM
            blows = Blows(tmp_path / str(number), provider, processes, ROUND, luck=random.Random(number))
            verdict = blows.run(workers, jobs=ROUND * 6)
        with capsys.disabled():
            sent = f"sending at kills {blows.sending_at_kills}"
            sys.stdout.write(f"\n{workers} processes, {dict(blows.done)}, {sent}: {verdict.line()}\n")
        assert verdict.holds, verdict
        assert verdict.succeeded > ROUND // 2, "there was work"
        assert sum(blows.done.values()) == ROUND
        sql = "SELECT DISTINCT provider FROM submissions WHERE state = 'submit_unknown'"
        left = {row["provider"] for row in rows(tmp_path / str(number) / "home" / "darkroom.sqlite3", sql)}
        assert "fakekey" not in left, "whoever accepts a key once was asked with it"
        # A paused process may have been sending too: its late answers get in, unless it is killed before it wakes.
        assert len(verdict.unknown) <= blows.sending_at_kills + blows.done["paused"] * SUBMITS


@pytest.mark.timeout(300)
def test_blind_resubmission_is_seen(tmp_path: Path) -> None:
    with running_provider() as provider, zygote() as processes:
        provider.default = CALM
        blows = Blows(tmp_path, provider, processes, 15, blind=True)
        verdict = blows.run(2, jobs=150)
    assert verdict.twice, "a process that sends again what may have been accepted pays twice, and it shows"
