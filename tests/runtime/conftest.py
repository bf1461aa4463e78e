"""Rigs for the tests of the runtime."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from darkroom.net.client import ShardedClient
from factories import FakeClock
from helpers_net import Server, serving

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages: this makes helpers_runtime importable

from helpers_runtime import Rig, rig_in


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def rig(tmp_path: Path, clock: FakeClock) -> AsyncGenerator[Rig]:
    async with rig_in(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    async with serving() as running:
        yield running


@pytest.fixture
async def client(clock: FakeClock) -> AsyncGenerator[ShardedClient]:
    made = ShardedClient(clock)
    yield made
    await made.aclose()
