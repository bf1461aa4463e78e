"""A budget that fits so many calls lets so many through, however many come at once and from wherever."""

import os
import sys
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from subprocess import PIPE

import anyio
import pytest

import helpers_same_call
from darkroom.app import App
from darkroom.clock import SystemClock
from darkroom.domain.job import LedgerKind
from darkroom.domain.money import MicroUsd
from darkroom.errors import BudgetExceeded
from darkroom.services.generation import Started
from darkroom.settings import Settings
from factories import FakeClock
from helpers_services import TERMS, image, opened

pytestmark = pytest.mark.anyio
HELPER = Path(helpers_same_call.__file__).with_name("helpers_rush.py")
PRICE = MicroUsd(40_000)
FIT = 17
BUDGET = "0.70"
"""Fits 17 calls of $0.04, and half of one more."""
CALLS = 200
PROCESSES = 3


@pytest.fixture
def rush_settings(paid_settings: Settings) -> Settings:
    return Settings.load(providers_dir=paid_settings.providers_dir, daily_budget=BUDGET)


@pytest.fixture
async def app(clock: FakeClock, rush_settings: Settings) -> AsyncGenerator[App]:
    async with opened(rush_settings, clock) as program:
        yield program


async def stored(app: App) -> set[str]:
    """Check that exactly as many jobs as fit are stored, each reserved for once, and return their ids."""
    jobs = await app.store.find(limit=10 * CALLS)
    assert len(jobs) == FIT
    for job in jobs:
        assert [(row.kind, row.micro_usd) for row in await app.store.ledger(job.id)] == [(LedgerKind.RESERVED, PRICE)]
    spent = await app.store.spent(0, 2 * max(job.created_at for job in jobs))
    assert sum(row.micro_usd for row in spent) == FIT * PRICE
    return {job.id for job in jobs}


async def test_of_two_hundred_calls_at_once_exactly_those_that_fit_get_through(app: App) -> None:
    made: list[str] = []
    refused: list[BudgetExceeded] = []

    async def call(number: int) -> None:
        try:
            started = await app.generation.start(image(prompt=f"fox {number}", model="acme-pro"), TERMS)
        except BudgetExceeded as exc:
            refused.append(exc)
            return
        assert isinstance(started, Started)
        assert started.created
        made.append(started.job.id)

    with anyio.fail_after(50):
        async with anyio.create_task_group() as tasks:
            for number in range(CALLS):
                tasks.start_soon(call, number)
    assert (len(made), len(refused)) == (FIT, CALLS - FIT)
    assert await stored(app) == set(made)
    said = "This may cost $0.04; of the daily budget of $0.70 only $0.02 is left ($0.68 used, $0.68 of it by work that"
    assert {error.message for error in refused} == {f"{said} is not done)."}


async def test_a_new_day_has_room_for_as_many_again(app: App, clock: FakeClock) -> None:
    for day in range(2):
        for number in range(FIT):
            await app.generation.start(image(prompt=f"fox {day} {number}", model="acme-pro"), TERMS)
        with pytest.raises(BudgetExceeded):
            await app.generation.start(image(prompt=f"fox {day}", model="acme-pro"), TERMS)
        clock.advance(24 * 3600)
    assert len(await app.store.find(limit=CALLS)) == 2 * FIT


async def test_of_two_hundred_calls_of_three_processes_at_once_exactly_those_that_fit_get_through(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process makes its calls as soon as all of them are ready."""
    answers: list[str] = []
    ready, go = [anyio.Event() for _ in range(PROCESSES)], anyio.Event()
    paths = os.pathsep.join([os.fspath(HELPER.parent), *filter(None, sys.path)])
    hour = SystemClock().now() // 3_600_000 % 24
    monkeypatch.setenv("DARKROOM_TIMEZONE", "UTC" if 1 <= hour <= 22 else "Etc/GMT-12")  # no day ends meanwhile
    monkeypatch.setenv("DARKROOM_DAILY_BUDGET", BUDGET)
    monkeypatch.setenv("PYTHONPATH", paths)

    async def process(number: int) -> None:
        numbers = [str(call) for call in range(CALLS) if call % PROCESSES == number]
        command = [sys.executable, os.fspath(HELPER), os.fspath(tmp_path / "manifests"), *numbers]
        async with await anyio.open_process(command, stdin=PIPE, stdout=PIPE, stderr=None) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            said = b""
            async for part in child.stdout:
                said += part
                if not ready[number].is_set() and said.startswith(helpers_same_call.SAID_BY):
                    ready[number].set()
                    await go.wait()
                    await child.stdin.send(b"go\n")
            assert await child.wait() == 0
        lines = said.decode().splitlines()[1:]
        assert len(lines) == len(numbers)
        answers.extend(lines)

    with anyio.fail_after(50):
        async with anyio.create_task_group() as tasks:
            for number in range(PROCESSES):
                tasks.start_soon(partial(process, number))
            for event in ready:
                await event.wait()
            go.set()
    assert len(answers) == CALLS
    through = [line for line in answers if line != "refused"]
    assert len(through) == FIT
    assert await stored(app) == set(through)
