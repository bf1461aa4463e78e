"""A task outlives the server that began it."""

import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp import Client, StdioServerParameters

from helpers_extensions import TakesTasks, ask, began, settled

BOUND_S = 220.0
CLIP: dict[str, Any] = {"prompt": "a red car in the desert", "duration": 4, "resolution": "360p"}


def client() -> Client:
    """Return a client of a server of its own that takes tasks."""
    server = StdioServerParameters(command=sys.executable, args=["-m", "darkroom", "serve"], env=dict(os.environ))
    return Client(server, mode="2026-07-28", extensions=[TakesTasks()])


def rows(sql: str) -> list[Any]:
    """Return what a query on the database finds."""
    db = sqlite3.connect(Path(os.environ["DARKROOM_HOME"]) / "darkroom.sqlite3", timeout=30)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


async def killed_in_the_middle() -> str:
    """Begin a task, SIGKILL its server once frames are drawn, and return the task's id."""
    task_id = ""
    with pytest.raises(Exception) as caught:
        async with client() as opened:
            task_id = (await began(opened, "generate_video", **CLIP))["taskId"]
            now = {"statusMessage": ""}
            while "frame" not in now["statusMessage"]:
                now = await ask(opened, "tasks/get", taskId=task_id)
            [(pid,)] = await anyio.to_thread.run_sync(rows, "SELECT pid FROM workers")
            os.kill(pid, signal.SIGKILL)
            while True:
                await ask(opened, "tasks/get", taskId=task_id)
    assert caught.value
    return task_id


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a POSIX signal")
async def test_a_task_goes_on_after_its_server_was_killed() -> None:
    with anyio.fail_after(BOUND_S):
        task_id = await killed_in_the_middle()
        assert task_id
        async with client() as opened:
            done = await settled(opened, task_id)
    assert done["status"] == "completed"
    job = done["result"]["structuredContent"]
    assert job["status"] == "succeeded"
    assert (await anyio.Path(job["outputs"][0]["path"]).stat()).st_size > 1000
    assert await anyio.to_thread.run_sync(rows, "SELECT id FROM jobs") == [(job["job_id"],)]
    assert ("its process ended",) in await anyio.to_thread.run_sync(rows, "SELECT detail FROM events")
