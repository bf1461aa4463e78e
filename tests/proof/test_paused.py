"""A process that stands still between its intent and its call, while another takes its work over."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from fake_provider.install import manifest
from fake_provider.server import running_provider
from proof.cast import zygote
from proof.checker import check, rows
from proof.driver import Config, Wanted

LEASE_S = 1.0
LIMIT_S = 60.0
WAYS = {"none": {}, "key": {"idempotency": "key"}, "list": {"lookup": "list"}}


def until(holds: Callable[[], object], what: str) -> None:
    """Return once something holds that nobody announces."""
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, f"it never came to this: {what}"
        time.sleep(0.02)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("model", ["fake-image", "fake-sync"])
@pytest.mark.parametrize("way", list(WAYS))
def test_a_process_that_wakes_after_it_was_taken_for_dead_sends_nothing_twice(
    tmp_path: Path, way: str, model: str
) -> None:
    with running_provider(idempotency=way == "key", lookup=way == "list") as provider, zygote() as processes:
        providers = {"fake": manifest(provider.base_url, **WAYS[way])}
        config = partial(Config, folder=tmp_path, providers=providers, lease_s=LEASE_S, until_done=False)
        jobs = ((Wanted("asleep", model=model),),)
        sleeper = processes.start(config(jobs=jobs, stop_before_call=True))
        until(sleeper.is_paused, "it stands still after its intent")
        assert provider.history == [], "the call was not made yet"
        other = processes.start(config())

        def state() -> str:
            return str(rows(tmp_path / "home" / "darkroom.sqlite3", "SELECT state FROM submissions")[0]["state"])

        until(lambda: state() != "submitting", "it is taken for dead")
        if way == "key":
            until(lambda: state() == "succeeded", "the other one found it by its key")
        else:
            assert state() == "submit_unknown", "absence licenses nothing"
        sleeper.resume()
        until(lambda: state() == "succeeded", "the late answer gets in")
        until(lambda: len(provider.history) == (2 if way == "key" else 1), "the late call was made")
        sleeper.kill()
        other.kill()
        verdict = check(tmp_path, provider, ["asleep"])
    assert verdict.holds, verdict
    assert (verdict.succeeded, len(provider.accepted("asleep"))) == (1, 1)
