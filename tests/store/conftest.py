"""The stores under test, by name; a store is imported when a test asks for it."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest

from darkroom.events import Bus
from darkroom.store.run_base import RunStore
from factories import FakeClock
from helpers_runs import Stores

MakeStore = Callable[[], Stores]
OpenStore = Callable[[], Awaitable[Stores]]


def _sqlite(folder: Path, bus: Bus, clock: FakeClock) -> Stores:
    from darkroom.store.sqlite import SqliteStore

    return SqliteStore(folder / "darkroom.db", bus, clock)


STORES: dict[str, Callable[[Path, Bus, FakeClock], Stores]] = {"sqlite": _sqlite}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture(params=list(STORES))
def make_store(request: pytest.FixtureRequest, tmp_path: Path, bus: Bus, clock: FakeClock) -> MakeStore:
    """Makes closed stores that share their data, each as another process would have it; the first one has `bus`."""
    buses = iter([bus])

    def make() -> Stores:
        return STORES[request.param](tmp_path / "data", next(buses, Bus()), clock)

    return make


@pytest.fixture
async def store(make_store: MakeStore) -> AsyncGenerator[Stores]:
    opened = make_store()
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
async def open_another(make_store: MakeStore) -> AsyncGenerator[OpenStore]:
    """Opens further stores with the same data, and closes them after the test."""
    opened: list[Stores] = []

    async def another() -> Stores:
        opened.append(make_store())
        await opened[-1].open()
        return opened[-1]

    yield another
    for item in opened:
        await item.close()


@pytest.fixture
def runs(store: Stores) -> RunStore:
    """The runs of the store."""
    return store.runs
