"""A local server, a client and a provider for the tests of the network layer."""

from collections.abc import AsyncGenerator

import pytest

from darkroom.net.client import ShardedClient
from factories import FakeClock
from helpers_net import Server, serving


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
