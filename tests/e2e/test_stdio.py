"""The server as hosts run it: a process spoken to over stdin and stdout, ended in every way a host may end it."""

import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult

CLIP: dict[str, Any] = {"prompt": "a red car in the desert", "duration": 3, "resolution": "360p"}
BOUND_S = 110.0


def server() -> StdioServerParameters:
    """Return how to start the server in this test's home."""
    return StdioServerParameters(command=sys.executable, args=["-m", "darkroom", "serve"], env=dict(os.environ))


def database() -> Path:
    """Return this test's database."""
    return Path(os.environ["DARKROOM_HOME"]) / "darkroom.sqlite3"


async def rows(sql: str) -> list[Any]:
    """Return what a query on the database finds."""
    return await anyio.to_thread.run_sync(_rows, sql)


def _rows(sql: str) -> list[Any]:
    db = sqlite3.connect(database(), timeout=30)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def job_of(result: CallToolResult) -> dict[str, Any]:
    """Return the one job of an answer."""
    content: dict[str, Any] = result.structured_content or {}
    return content["jobs"][0] if "jobs" in content else content


async def children_of(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    return await anyio.to_thread.run_sync(_children_of, pid)


def _children_of(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
    return found


async def gone(pid: int) -> None:
    """Return once a process has ended."""
    stat = anyio.Path(f"/proc/{pid}/stat")
    while await stat.exists() and ") Z" not in await stat.read_text(encoding="ascii"):
        await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
async def test_a_host_gets_a_picture_over_stdio_in_both_eras(mode: Literal["2026-07-28", "legacy"]) -> None:
    with anyio.fail_after(BOUND_S):
        async with Client(server(), mode=mode) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            made = job_of(await client.call_tool("generate_image", {"prompt": "a boat", "size": "128x96", "wait": 40}))
    assert names == [
        "generate_image",
        "generate_video",
        "check_job",
        "cancel_job",
        "retry_job",
        "estimate_credits",
        "run_agent",
        "invoke_skill",
    ]
    assert made["status"] == "succeeded"
    assert (await anyio.Path(made["outputs"][0]["path"]).stat()).st_size > 1000


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is a POSIX signal")
async def test_a_job_survives_the_death_of_its_server_and_ends_without_being_asked_again() -> None:
    with anyio.fail_after(BOUND_S * 2):
        job_id, renderers = await _killed_in_the_middle()
        for pid in renderers:
            await gone(pid)
        async with Client(server()) as client:
            after = job_of(await client.call_tool("check_job", {"job_id": job_id, "wait": 45}))
    assert renderers
    assert after["job_id"] == job_id
    assert after["status"] == "succeeded"
    assert await rows("SELECT COUNT(*) FROM jobs") == [(1,)]
    assert await rows("SELECT detail FROM events WHERE origin = 'running' AND target = 'queued'") == [
        ("its process ended",)
    ]


async def _killed_in_the_middle() -> tuple[str, list[int]]:
    """Start a clip, SIGKILL its server at the first frame, and return the job and the renderers' process ids."""
    started: list[str] = []
    renderers: list[int] = []

    async def kill(progress: float, total: float | None, message: str | None) -> None:
        if message and "frame" in message and not renderers:
            (pid,) = (await rows("SELECT pid FROM workers"))[0]
            renderers.extend(await children_of(pid))
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(Exception) as caught:
        async with Client(server()) as client:
            # so long that a notice comes while it is drawn: they are seconds apart
            long = {**CLIP, "duration": 12, "wait": 0}
            started.append(job_of(await client.call_tool("generate_video", long))["job_id"])
            await client.call_tool("check_job", {"job_id": started[0], "wait": 45}, progress_callback=kill)
    assert caught.value
    return started[0], renderers


@pytest.mark.anyio
async def test_closing_stdin_in_the_middle_of_a_job_ends_the_server_and_the_next_one_finishes_it() -> None:
    with anyio.fail_after(BOUND_S * 2):
        async with Client(server()) as client:
            job_id = job_of(await client.call_tool("generate_video", {**CLIP, "wait": 0}))["job_id"]
        assert await rows("SELECT COUNT(*) FROM workers") == [(0,)]
        assert await rows("SELECT owner FROM submissions") == [(None,)]
        async with Client(server()) as client:
            after = job_of(await client.call_tool("check_job", {"job_id": job_id, "wait": 45}))
    assert after["status"] == "succeeded"


@pytest.mark.anyio
async def test_an_idle_server_goes_on_with_what_another_process_left() -> None:
    with anyio.fail_after(BOUND_S * 2):
        async with Client(server()) as idle:
            await idle.list_tools()
            assert not await anyio.Path(database()).exists()
            async with Client(server()) as client:
                job_id = job_of(await client.call_tool("generate_video", {**CLIP, "wait": 0}))["job_id"]
            while await rows("SELECT outcome FROM jobs") != [("succeeded",)]:
                await anyio.lowlevel.checkpoint()
    assert await rows("SELECT id FROM jobs") == [(job_id,)]


@pytest.mark.anyio
@pytest.mark.parametrize("used", [False, True])
@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM is a POSIX signal")
async def test_sigterm_ends_the_server_cleanly(*, used: bool) -> None:
    with anyio.fail_after(BOUND_S):
        async with await anyio.open_process([sys.executable, "-m", "darkroom", "serve"], stderr=None) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            await process.stdin.send(lines(INITIALIZE, USING if used else LISTING))
            answers = b""
            while b'"id":2' not in answers:
                answers += await process.stdout.receive()
            while used and not await rows("SELECT id FROM workers"):
                await anyio.lowlevel.checkpoint()
            process.terminate()
            code = await process.wait()
    assert code == 0
    assert await anyio.Path(database()).exists() is used
    assert not used or await rows("SELECT COUNT(*) FROM workers") == [(0,)]


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
LISTING = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
USING: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 2,
    "method": "tools/call",
    "params": {"name": "check_job", "arguments": {}},
}


def lines(*messages: object) -> bytes:
    """Return messages as a host writes them."""
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


@contextmanager
def greeted() -> Generator[tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]]:
    """Start a server that has said who it is; yield it with its stdin and stdout, and end it if it did not end."""
    with subprocess.Popen(
        [sys.executable, "-m", "darkroom", "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            process.stdin.write(lines(INITIALIZE, {"jsonrpc": "2.0", "method": "notifications/initialized"}))
            assert b"serverInfo" in process.stdout.read(65536)
            yield process, process.stdin, process.stdout
        finally:
            process.kill()


@pytest.mark.parametrize("unread", [12, 4000])
@pytest.mark.skipif(sys.platform == "win32", reason="pipes cannot be asked there whether they ended")
def test_a_host_that_never_reads_does_not_keep_its_server_alive(unread: int) -> None:
    with greeted() as (process, stdin, _):
        os.set_blocking(stdin.fileno(), False)
        rest = lines(*[LISTING] * unread)
        while rest and select.select([], [stdin], [], 2)[1]:
            rest = rest[stdin.write(rest) or 0 :]
        stdin.close()
        code = process.wait(60)
    assert code == 0
    assert bool(rest) is (unread == 4000), "requests are read only while their answers are"


@pytest.mark.skipif(sys.platform == "win32", reason="an end of a pipe is seen otherwise there")
def test_a_host_that_closes_its_end_of_stdout_alone_keeps_nothing_alive() -> None:
    with greeted() as (process, stdin, stdout):
        stdout.close()
        stdin.write(lines(LISTING))
        code = process.wait(60)
    assert code == 0


@pytest.mark.anyio
async def test_a_line_that_is_no_message_is_answered_and_the_next_one_served() -> None:
    with anyio.fail_after(BOUND_S):
        async with await anyio.open_process([sys.executable, "-m", "darkroom", "serve"], stderr=None) as process:
            assert process.stdin
            assert process.stdout
            await process.stdin.send(b'{garbage\n{"jsonrpc":"2.0","id":5}\n' + lines(INITIALIZE))
            said = b""
            while said.count(b"\n") < 3:
                said += await process.stdout.receive()
            await process.stdin.aclose()
            await process.wait()
    bad, wrong, good = (json.loads(line) for line in said.splitlines())
    assert (bad["id"], bad["error"]["code"]) == (None, -32700)
    assert (wrong["id"], wrong["error"]["code"]) == (5, -32600)
    assert good["result"]["serverInfo"]["name"] == "darkroom"


def test_a_wrong_setting_ends_the_start_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_THUMBNAILS", "sometimes")
    ended = subprocess.run(
        [sys.executable, "-m", "darkroom", "serve"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "DARKROOM_THUMBNAILS" in ended.stderr
    assert "'sometimes'" in ended.stderr
    assert "Traceback" not in ended.stderr


LIST = """
import sys
import anyio
from mcp import Client
{make}
async def main():
    async with Client(server) as client:
        assert (await client.list_tools()).tools
        print("\\n".join(sorted({{name.partition(".")[0] for name in sys.modules}})))
anyio.run(main)
"""
BARE = """
from mcp.server import MCPServer
server = MCPServer("bare")
@server.tool()
async def echo(text: str) -> str:
    "Echo."
    return text
"""
OURS = """
from darkroom.cli import serve
from darkroom.settings import Settings
server = serve.DarkroomServer(serve.Late(Settings.load()).running)
"""


def imported(make: str) -> set[str]:
    """Return the top-level modules that a server has loaded once it has listed its tools."""
    ended = subprocess.run([sys.executable, "-c", LIST.format(make=make)], capture_output=True, text=True, check=True)
    return set(ended.stdout.split())


def test_listing_the_tools_loads_nothing_heavy() -> None:
    extra = {name for name in imported(OURS) - imported(BARE) if name not in sys.stdlib_module_names}
    foreign = {name for name in extra if not name.startswith(("darkroom", "_", "__editable__"))}
    assert foreign <= {"pydantic_settings", "dotenv"}
