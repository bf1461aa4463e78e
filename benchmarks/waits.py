"""10,000 callers that wait for one job over HTTP: memory a wait, answers to others meanwhile, and the end; Linux only.

The callers are plain sockets that send one request each and read no more than the first word before the job ends.
"""

import json
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketStream
from mcp import Client

from harness import clock, darkroom, folder

WAITS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
AT_ONCE = 64
OTHERS = 20
CLIP = {"prompt": "a red boat on the sea", "duration": 15, "resolution": "1080p", "wait": 0}
ERA = "2026-07-28"
WAIT_S, SETTLE_S = 45, 3


def rss_mb(pid: int) -> float:
    """Return the private resident memory of a process in MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.MULTILINE)) / 1000


def drawing(pid: int, signal_number: int) -> None:
    """Send a signal to the processes that draw: held, they take no time from what is measured."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            os.kill(int(child), signal_number)


def waiting(host: str, job_id: str, number: int) -> bytes:
    """Return a request that waits for a job."""
    meta: dict[str, Any] = {
        "io.modelcontextprotocol/protocolVersion": ERA,
        "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": number,
    }
    params: dict[str, Any] = {"name": "check_job", "arguments": {"job_id": job_id, "wait": WAIT_S}, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {ERA}\r\n"
        f"Mcp-Method: tools/call\r\nMcp-Name: check_job\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def main() -> None:
    """Open all waits, ask as somebody else, end the job, and read what the waits were answered."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with folder() as home:
        env = {**(darkroom(Path(home)).env or {}), "DARKROOM_RATE_LIMIT": "0", "DARKROOM_LINGER": "0"}
        command = [sys.executable, "-m", "darkroom", "serve", "--http", "--port", "0"]
        async with await anyio.open_process(command, env=env, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            told = b""
            while not (found := re.search(rb"http://127\.0\.0\.1:(\d+)/mcp", told)):
                told += await process.stderr.receive()
            try:
                await measured(found[0].decode(), int(found[1]), process.pid)
            finally:
                process.terminate()


async def measured(address: str, port: int, pid: int) -> None:
    """Measure a server that runs."""
    async with Client(address) as client:
        made = await client.call_tool("generate_video", CLIP)
        told: dict[str, Any] = made.structured_content or {}
        job_id = str(told["job_id"])
        await anyio.sleep(SETTLE_S)
        drawing(pid, signal.SIGSTOP)
        before = rss_mb(pid)
        streams: list[SocketStream] = []
        begun = clock()

        async def wait(number: int) -> None:
            stream = await anyio.connect_tcp("127.0.0.1", port)
            streams.append(stream)
            await stream.send(waiting(f"127.0.0.1:{port}", job_id, number))
            assert await stream.receive()  # it has begun to wait

        async def several(first: int) -> None:
            for number in range(first, WAITS, AT_ONCE):
                await wait(number)

        async with anyio.create_task_group() as tasks:
            for first in range(AT_ONCE):
                tasks.start_soon(several, first)
        opened = clock() - begun
        took: list[float] = []
        for _ in range(OTHERS):
            start = clock()
            answer = await client.call_tool("check_job", {"job_id": job_id})
            assert not answer.is_error, answer
            took.append(1000 * (clock() - start))
        after = rss_mb(pid)
        ended = clock()
        drawing(pid, signal.SIGCONT)
        await client.call_tool("cancel_job", {"job_id": job_id})
        texts: list[bytes] = []

        async def read(stream: SocketStream) -> None:
            text = b""
            async with stream:
                try:
                    while True:
                        text += await stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    pass
            texts.append(text)

        async with anyio.create_task_group() as tasks:
            for stream in streams:
                tasks.start_soon(read, stream)
        over = clock() - ended
    answered = sum(b'"result"' in text for text in texts)
    done = sum(b'"status":"cancelled"' in text for text in texts)
    print(f"{WAITS:,} waits opened in {opened:.1f} s, {(after - before) * 1000 / WAITS:.0f} kB each ({after:.0f} MB)")
    print(f"    check_job by another caller meanwhile: {statistics.median(took):.0f} ms, at most {max(took):.0f} ms")
    print(f"    answered: {answered:,}, of the end of the job: {done:,}; {over:.1f} s after it was stopped")


if sys.platform == "linux":
    anyio.run(main)
