"""The same blows over shipped adapters; and what each fate of a submission comes to when nobody is struck."""

import os
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from darkroom.domain.job import State
from fake_provider.server import running_provider
from proof import shipped
from proof.blows import Blows
from proof.cast import zygote
from proof.checker import check

ROUND = 60
ROUNDS = max(1, int(os.environ.get("DARKROOM_TORTURE", "200")) // 5 // ROUND)
UNKNOWN, FAILED, SUCCEEDED = State.SUBMIT_UNKNOWN, State.FAILED, State.SUCCEEDED
ENDS = {"bad": FAILED, "poor": FAILED, "fails": FAILED, "unread": UNKNOWN, "ill": UNKNOWN}
"""What becomes of each fate; of the others, a result."""
UNANSWERED = ("lost", "half", "denied", "garbled")
"""Taken by the provider without an answer that says so."""


def end(provider: str, fate: str) -> State:
    """Return what becomes of a submission: who can be asked what it took is asked."""
    return UNKNOWN if provider != "kling" and fate in UNANSWERED else ENDS.get(fate, SUCCEEDED)


@pytest.mark.timeout(180)
def test_every_fate_ends_as_it_must(tmp_path: Path) -> None:
    jobs = [
        replace(kind, prompt=f"{kind.provider}-{kind.mode}-{fate}")
        for kind in shipped.KINDS
        for fate in ("calm", *shipped.FATES)
    ]
    with running_provider(shipped.envelopes()) as provider, zygote() as processes:
        scene = shipped.scene(provider, tmp_path)
        assert processes.run(scene.config(tmp_path, jobs=tuple((job,) for job in jobs))) == 0
        verdict = check(tmp_path, provider, [job.prompt for job in jobs], askable=scene.askable)
    assert verdict.holds, verdict
    assert verdict.ends == {job.prompt: end(job.provider, job.prompt.rpartition("-")[2]) for job in jobs}


@pytest.mark.timeout(7200)
def test_random_blows_over_shipped_adapters_lose_nothing_and_send_nothing_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(ROUNDS):
        with running_provider(shipped.envelopes()) as provider, zygote() as processes:
            scene, luck = shipped.scene(provider, tmp_path), random.Random(number)
            blows = Blows(tmp_path / str(number), provider, processes, scene, ROUND, luck=luck)
            verdict = blows.run(2, jobs=ROUND * 4)
        with capsys.disabled():
            sent = f"sending at kills {blows.sending_at_kills}"
            sys.stdout.write(f"\nshipped adapters, {dict(blows.done)}, {sent}: {verdict.line()}\n")
        assert verdict.holds, "\n".join([*verdict.lost, *verdict.stuck, *verdict.twice, *verdict.wrong])
        assert sum(blows.done.values()) == ROUND
        done = [prompt for prompt, state in verdict.ends.items() if state is SUCCEEDED]
        for name in scene.providers:
            assert [prompt for prompt in done if f"-{name}-" in prompt], "there was work for each"
        for name in ("google", "vertex"):
            chains = [provider.heard.get(prompt, ()) for prompt in done if f"-{name}-" in prompt]
            assert max(map(len, chains)) > 1, "conversations went on for some turns"
        assert verdict.turns >= len([prompt for prompt in done if prompt in provider.heard]), "each kept its turn"
        assert len(blows.unclear(verdict)) <= blows.most_unclear()


@pytest.mark.timeout(300)
def test_blind_resubmission_through_shipped_adapters_is_seen(tmp_path: Path) -> None:
    with running_provider(shipped.envelopes()) as provider, zygote() as processes:
        blows = Blows(tmp_path, provider, processes, shipped.scene(provider, tmp_path), 6, blind=True)
        verdict = blows.run(2, jobs=40)
    assert verdict.twice, "it pays twice, and it shows"
