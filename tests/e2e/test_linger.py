"""Hosts that close their server while a paid call is under way: a worker of its own session delivers it."""

import os
import signal
import sqlite3
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client, StdioServerParameters

from fake_provider.engine import Script
from fake_provider.install import environment, write_manifest
from fake_provider.server import FakeProvider, running_provider

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]
BOUND_S = 100.0
LASTS_S = float(os.environ.get("DARKROOM_CALL_S", "12"))
"""Of the paid call; `make torture` lets it last two minutes."""
KILLER = """
import os, subprocess, sys
server = subprocess.Popen([sys.executable, "-m", "darkroom", "serve"])
sys.exit(server.wait())
"""


@pytest.fixture
def provider() -> Generator[FakeProvider]:
    with running_provider() as running:
        running.default = Script(accept_delay_s=LASTS_S)
        yield running


@pytest.fixture
def variables(provider: FakeProvider, tmp_path: Path) -> dict[str, str]:
    write_manifest(tmp_path / "providers", provider.base_url)
    return environment(tmp_path / "providers")


def database() -> Path:
    return Path(os.environ["DARKROOM_HOME"]) / "darkroom.sqlite3"


def _rows(sql: str) -> list[Any]:
    if not database().exists():
        return []
    db = sqlite3.connect(database(), timeout=30)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


async def rows(sql: str) -> list[Any]:
    return await anyio.to_thread.run_sync(_rows, sql)


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    with anyio.fail_after(BOUND_S + LASTS_S):
        while not await holds():  # noqa: ASYNC110 because another process does it
            await anyio.sleep(0.05)


@asynccontextmanager
async def no_worker_left() -> AsyncGenerator[None]:
    """End the lingering workers of this test: left alone they would wait half a minute for more."""
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            for (pid,) in await rows("SELECT pid FROM workers WHERE lingers"):
                os.kill(pid, signal.SIGTERM)
            await until(_nobody_left)


async def _nobody_left() -> bool:
    return not await rows("SELECT 1 FROM workers WHERE lingers")


async def delivered() -> bool:
    return bool(await rows("SELECT 1 FROM jobs WHERE outcome = 'succeeded'"))


async def picture() -> Path:
    ((path,),) = await rows("SELECT path FROM outputs")
    return Path(path)


CALL: dict[str, Any] = {"prompt": "a paid boat", "model": "fake-sync", "provider": "fake", "wait": 0}


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
async def test_the_whole_process_group_is_killed_in_mid_call_and_the_job_is_delivered(
    provider: FakeProvider, variables: dict[str, str], tmp_path: Path
) -> None:
    async def sent() -> bool:
        return bool(provider.history)

    parameters = StdioServerParameters(command=sys.executable, args=["-c", KILLER], env=variables)
    async with no_worker_left():
        with pytest.raises(Exception) as caught:
            async with Client(parameters) as client:
                await client.call_tool("generate_image", CALL)
                await until(sent)
                ((server,),) = await rows("SELECT pid FROM workers WHERE NOT lingers")
                group = os.getpgid(server)
                assert group != os.getpgid(0), "the host's group is not ours"
                os.killpg(group, signal.SIGKILL)
                await client.list_tools()
        assert caught.value
        assert not await delivered()
        await until(delivered)
    assert len(provider.history) == 1
    assert await anyio.Path(await picture()).exists()


async def test_stdin_closes_in_mid_call_and_the_job_is_delivered(
    provider: FakeProvider, variables: dict[str, str]
) -> None:
    async def sent() -> bool:
        return bool(provider.history)

    parameters = StdioServerParameters(command=sys.executable, args=["-m", "darkroom", "serve"], env=variables)
    async with no_worker_left():
        async with Client(parameters) as client:
            await client.call_tool("generate_image", CALL)
            await until(sent)
        assert not await delivered(), "the call outlasts the server"
        assert await rows("SELECT 1 FROM workers WHERE NOT lingers") == []
        await until(delivered)
    assert len(provider.history) == 1
    assert await anyio.Path(await picture()).exists()


async def test_accepted_work_is_gone_on_with_after_the_host_closed(
    provider: FakeProvider, variables: dict[str, str]
) -> None:
    provider.default = Script(seconds=4.0)

    async def running() -> bool:
        return await rows("SELECT state FROM submissions") == [("running",)]

    parameters = StdioServerParameters(command=sys.executable, args=["-m", "darkroom", "serve"], env=variables)
    async with no_worker_left():
        async with Client(parameters) as client:
            await client.call_tool("generate_image", {**CALL, "model": "fake-image"})
            await until(running)
        await until(delivered)
    assert len(provider.history) == 1


async def test_without_lingering_the_next_start_goes_on(provider: FakeProvider, variables: dict[str, str]) -> None:
    provider.default = Script(seconds=3.0)

    async def running() -> bool:
        return await rows("SELECT state FROM submissions") == [("running",)]

    variables = {**variables, "DARKROOM_LINGER": "0"}
    parameters = StdioServerParameters(command=sys.executable, args=["-m", "darkroom", "serve"], env=variables)
    async with Client(parameters) as client:
        await client.call_tool("generate_image", {**CALL, "model": "fake-image"})
        await until(running)
    assert await rows("SELECT pid FROM workers") == []
    async with Client(parameters):
        await until(delivered)
    assert len(provider.history) == 1
