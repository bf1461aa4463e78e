"""`check_job` over HTTP by 64 callers beside a bare echo tool on the same app settings, in turns in one run."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp import Client

from harness import clock, darkroom, environment, folder

CALLERS = 64
CALLS = int(sys.argv[1]) if len(sys.argv) > 1 else 1280
ROUNDS = 3
BARE = """
import uvicorn
from mcp.server import MCPServer
server = MCPServer("bare")
@server.tool()
async def echo(text: str) -> str:
    \"\"\"Echo a text.\"\"\"
    return text
uvicorn.run(server.streamable_http_app(stateless_http=True), port=0, log_level="info", access_log=False)
"""


@asynccontextmanager
async def serving(command: list[str], env: dict[str, str]) -> AsyncGenerator[str]:
    """Start a server and give the address that it tells."""
    async with await anyio.open_process(command, env=env, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        told = b""
        while not (found := re.search(rb"http://127\.0\.0\.1:\d+", told)):
            told += await process.stderr.receive()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_drain, process.stderr)
            yield f"{found[0].decode()}/mcp"
            tasks.cancel_scope.cancel()
        process.terminate()


async def _drain(stream: Any) -> None:
    async for _ in stream:
        pass


async def rate(address: str, tool: str, arguments: dict[str, Any]) -> float:
    """Return the calls a second that 64 callers with a connection each get answered."""
    left = CALLS
    async with anyio.create_task_group() as tasks:
        start = clock()

        async def ask() -> None:
            nonlocal left
            async with Client(address) as client:
                while left > 0:
                    left -= 1
                    answer = await client.call_tool(tool, arguments)
                    assert not answer.is_error, answer

        for _ in range(CALLERS):
            tasks.start_soon(ask)
    return CALLS / (clock() - start)


async def main() -> None:
    """Measure both servers in turns, on a finished job."""
    with folder() as home:
        env = {**(darkroom(Path(home)).env or {}), "DARKROOM_RATE_LIMIT": "0"}
        full = serving([sys.executable, "-m", "darkroom", "serve", "--http", "--port", "0"], env)
        bare = serving([sys.executable, "-c", BARE], environment())
        async with full as ours, bare as theirs:
            async with Client(ours) as client:
                made = await client.call_tool("generate_image", {"prompt": "a red boat", "size": "256x256", "wait": 45})
            job = {"job_id": (made.structured_content or {})["job_id"]}
            echo = {"text": job["job_id"]}
            rates = [(await rate(ours, "check_job", job), await rate(theirs, "echo", echo)) for _ in range(ROUNDS)]
    best = max(own for own, _ in rates), max(other for _, other in rates)
    print(f"check_job over HTTP, {CALLERS} callers, best of {ROUNDS}: {best[0]:.0f} / {best[1]:.0f} calls/s", end=" ")
    print(f"= {best[0] / best[1]:.2f}x (bar >= 0.8x)")


if os.name == "posix":
    anyio.run(main)
