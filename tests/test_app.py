"""The program as a whole: what it does when its loop breaks."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from darkroom.app import App
from darkroom.errors import StorageUnwritable
from darkroom.settings import Settings

pytestmark = pytest.mark.anyio
BOUND_S = 60


@pytest.fixture
def app() -> App:
    return App(Settings.load())


def breaking_once(real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return a method that breaks the first time."""
    broken: list[bool] = []

    async def call(*args: Any, **kwargs: Any) -> Any:
        if not broken:
            broken.append(True)
            raise ZeroDivisionError
        return await real(*args, **kwargs)

    return call


async def test_a_loop_that_breaks_is_started_again_by_the_next_call(app: App, caplog: pytest.LogCaptureFixture) -> None:
    store: Any = app.store
    store.claim = breaking_once(store.claim)
    with anyio.fail_after(BOUND_S):
        async with app.running():
            await app.ready()
            while "jobs are not being advanced" not in caplog.text:
                await anyio.lowlevel.checkpoint()
            while await app.store.workers():
                await anyio.lowlevel.checkpoint()
            while not await app.store.workers():
                await app.ready()
            assert len(await app.store.workers()) == 1


async def test_a_loop_that_cannot_start_is_said_to_the_caller_and_started_by_the_next(app: App) -> None:
    store: Any = app.store
    store.workers = breaking_once(store.workers)
    with anyio.fail_after(BOUND_S):
        async with app.running(advance=False):
            with pytest.raises(StorageUnwritable, match="Jobs cannot be advanced: ZeroDivisionError"):
                await app.ready()
            await app.ready()
            assert len(await app.store.workers()) == 1


async def test_a_store_that_cannot_be_opened_at_the_start_is_logged_once_and_tried_again(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    store: Any = app.store
    real = store.open
    tries: list[bool] = []

    async def opened() -> None:
        tries.append(True)
        if len(tries) == 1:
            raise StorageUnwritable("read-only")
        await real()

    store.open = opened
    with anyio.fail_after(BOUND_S):
        async with app.running():
            while "read-only" not in caplog.text:
                await anyio.lowlevel.checkpoint()
            await app.ready()
            await app.ready()
    assert len(tries) == 2


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setenv("DARKROOM_LINGER", "2.5")
    return App(Settings.load(), lingers=True)


async def test_a_lingering_worker_goes_on_for_as_many_minutes_as_the_settings_say(
    worker: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float] = []

    async def lingered(*args: Any) -> None:
        limits.append(args[-1])

    monkeypatch.setattr("darkroom.app.lingered", lingered)
    with anyio.fail_after(BOUND_S):
        async with worker.running(advance=False):
            await worker.linger()
    assert limits == [2.5 * 60]


@pytest.fixture
def many() -> list[App]:
    return [App(Settings.load()) for _ in range(8)]


async def test_processes_that_start_at_once_share_one_whole_account_key(many: list[App]) -> None:
    async with anyio.create_task_group() as tasks:
        for started in many:
            tasks.start_soon(anyio.to_thread.run_sync, started.accounts)
    home = anyio.Path(many[0].settings.home)
    facts = await (home / "account.key").stat()
    assert (facts.st_size, facts.st_mode & 0o777) == (32, 0o600)
    assert [path.name async for path in home.iterdir()] == ["account.key"]
