"""A process that ends at every point at which a job waits for something, and the next one that goes on."""

import itertools
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fake_provider.install import manifest
from fake_provider.server import FakeProvider, running_provider
from proof.cast import zygote
from proof.checker import Verdict, check
from proof.driver import CRASHED, Config, Wanted

THREADS = 3
PASSES = (False, True) if os.environ.get("DARKROOM_TORTURE") else (False,)
"""Whether to end as soon as it waits, too; what it had begun may then be done or not."""

JOBS: dict[str, tuple[tuple[Wanted, ...], ...]] = {
    "asynchronous": ((Wanted("one"),),),
    "synchronous": ((Wanted("one", model="fake-sync"),),),
    "several submissions": ((Wanted("one", n=2), Wanted("two", model="fake-sync")),),
}
WAYS = {"none": {}, "key": {"idempotency": "key"}, "list": {"lookup": "list"}}


@dataclass
class Run:
    """One crash at one boundary, and what came of it."""

    at: int
    verdict: Verdict


@dataclass
class Crashes:
    """All boundaries of one sort of job, taken by several threads."""

    folder: Path
    provider: FakeProvider
    jobs: tuple[tuple[Wanted, ...], ...]
    flags: dict[str, str]
    before: bool
    runs: list[Run] = field(default_factory=list[Run])
    problems: list[str] = field(default_factory=list[str])
    end: int = 10**6

    def all(self) -> None:
        """Crash at 1, 2, 3 ... until a process ends before it comes to its crash."""
        numbers = itertools.count(1)
        threads = [threading.Thread(target=self._some, args=(numbers,)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.runs.sort(key=lambda run: run.at)

    def _some(self, numbers: Iterator[int]) -> None:
        with zygote() as processes:
            while (at := next(numbers)) < self.end and not self.problems:
                folder, tag = self.folder / str(at), f"{at}/"
                jobs = tuple(
                    tuple(Wanted(f"{tag}{part.prompt}", model=part.model, n=part.n) for part in job)
                    for job in self.jobs
                )
                first = self._config(folder, jobs, at)
                code = processes.run(first)
                if code == 0:
                    self.end = min(self.end, at)
                    continue
                again = processes.run(self._config(folder, jobs, 0))
                if (code, again) != (CRASHED, 0):
                    self.problems.append(f"boundary {at}: ended with {code}, then with {again}")
                    continue
                prompts = [part.prompt for job in jobs for part in job]
                self.runs.append(Run(at, check(folder, self.provider, prompts, tag, ("fake",) if self.flags else ())))

    def _config(self, folder: Path, jobs: tuple[tuple[Wanted, ...], ...], at: int) -> Config:
        providers = {"fake": manifest(self.provider.base_url, **self.flags)}
        return Config(folder=folder, providers=providers, jobs=jobs, crash_at=at, crash_before=self.before)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("before", PASSES)
@pytest.mark.parametrize(
    ("jobs", "way"),
    [("asynchronous", "none"), ("synchronous", "none"), ("several submissions", "none"), ("asynchronous", "list"),
     ("synchronous", "key")],
)  # fmt: skip
def test_a_crash_at_any_point_loses_nothing_and_sends_nothing_twice(
    tmp_path: Path, jobs: str, way: str, before: bool
) -> None:
    with running_provider(idempotency=way == "key", lookup=way == "list") as provider:
        crashes = Crashes(tmp_path, provider, JOBS[jobs], WAYS[way], before)
        crashes.all()
    assert crashes.problems == []
    assert [f"{run.at}: {run.verdict}" for run in crashes.runs if not run.verdict.holds] == []
    assert len(crashes.runs) > 20, "there are so many points at least"
    if way == "none":
        _only_around_the_call(crashes, len(JOBS[jobs][0]))
    elif way == "key":
        assert [run.at for run in crashes.runs if run.verdict.unknown] == []


def _only_around_the_call(crashes: Crashes, submissions: int) -> None:
    """Unknown is only what was being sent, and everything before and after ended well."""
    unknown = [run.at for run in crashes.runs if run.verdict.unknown]
    assert unknown, "the window between intent and answer was hit"
    assert max(len(run.verdict.unknown) for run in crashes.runs) <= submissions
    assert unknown[0] > crashes.runs[0].at
    assert unknown[-1] < crashes.runs[-1].at
