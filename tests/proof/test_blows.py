"""Random blows while jobs of the fake provider run; and a proof that the proof can fail.

`make torture` gives 3,000 blows instead of 200.
"""

import os
import random
import sys
from pathlib import Path

import pytest

from fake_provider.engine import Script
from fake_provider.install import manifest
from fake_provider.server import FakeProvider, running_provider
from proof.blows import Blows, Scene
from proof.cast import zygote
from proof.checker import rows
from proof.driver import Wanted

BLOWS = int(os.environ.get("DARKROOM_TORTURE", "200"))
ROUND = 100
"""Blows on one database; more of them go to a new one, so that there is always work."""
FLAGS: dict[str, dict[str, str]] = {
    "fake": {},
    "fakekey": {"idempotency": "key"},
    "fakelist": {"lookup": "list"},
}
KINDS = (
    Wanted(""),
    Wanted("", model="fake-sync"),
    Wanted("", provider="fakekey"),
    Wanted("", provider="fakelist"),
)
CALM = Script(accept_delay_s=0.15, polls=2)


def scene(provider: FakeProvider, *, blind: bool = False) -> Scene:
    """Return three providers that differ in what can be asked of them; `blind`: that all can be asked nothing."""
    flags = {name: dict[str, str]() for name in FLAGS} if blind else FLAGS
    manifests = {name: manifest(provider.base_url, name, **more) for name, more in flags.items()}
    return Scene(manifests, KINDS, askable=tuple(name for name, more in flags.items() if more))


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("workers", [2, 3])
def test_random_blows_lose_nothing_and_send_nothing_twice(
    tmp_path: Path, workers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(BLOWS // 2 // ROUND):
        with running_provider(idempotency=True, lookup=True) as provider, zygote() as processes:
            provider.default = CALM
            luck = random.Random(number)
            blows = Blows(tmp_path / str(number), provider, processes, scene(provider), ROUND, luck=luck)
            verdict = blows.run(workers, jobs=ROUND * 6)
        with capsys.disabled():
            sent = f"sending at kills {blows.sending_at_kills}"
            sys.stdout.write(f"\n{workers} processes, {dict(blows.done)}, {sent}: {verdict.line()}\n")
        assert verdict.holds, verdict
        assert verdict.succeeded > ROUND // 2, "there was work"
        assert sum(blows.done.values()) == ROUND
        sql = "SELECT DISTINCT provider FROM submissions WHERE state = 'submit_unknown'"
        left = {row["provider"] for row in rows(blows.database, sql)}
        assert "fakekey" not in left, "whoever accepts a key once was asked with it"
        assert len(blows.unclear(verdict)) <= blows.most_unclear()


@pytest.mark.timeout(300)
def test_blind_resubmission_is_seen(tmp_path: Path) -> None:
    with running_provider() as provider, zygote() as processes:
        provider.default = CALM
        blows = Blows(tmp_path, provider, processes, scene(provider, blind=True), 15, blind=True)
        verdict = blows.run(2, jobs=150)
    assert verdict.twice, "a process that sends again what may have been accepted pays twice, and it shows"
