"""A local server, a client and a provider for the tests of the network layer."""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from factories import FakeClock

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages: this makes helpers_net importable

from helpers_net import Server, serving

from darkroom.net.client import ShardedClient


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    async with serving() as running:
        yield running


@pytest.fixture
async def client(clock: FakeClock) -> AsyncGenerator[ShardedClient]:
    made = ShardedClient(clock)
    yield made
    await made.aclose()
