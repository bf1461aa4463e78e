"""A running fake provider and what speaks to it."""

from collections.abc import AsyncGenerator, Generator

import pytest

from darkroom.net.client import ShardedClient
from factories import FakeClock
from fake_provider.server import FakeProvider, running_provider


@pytest.fixture
def provider() -> Generator[FakeProvider]:
    with running_provider() as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def client(clock: FakeClock) -> AsyncGenerator[ShardedClient]:
    made = ShardedClient(clock)
    yield made
    await made.aclose()
