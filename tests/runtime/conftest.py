"""Rigs for the tests of the runtime."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from factories import FakeClock

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages: this makes helpers_runtime importable

from helpers_runtime import Rig, rig_in


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def rig(tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Rig]:
    async with rig_in(tmp_path, clock) as opened:
        yield opened
