"""`check_job` over stdio beside a bare echo tool, interleaved in one run."""

import statistics
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp import Client

from harness import bare, clock, darkroom, folder, report

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 400
BLOCK = 20


async def timed(client: Client, tool: str, arguments: dict[str, Any]) -> list[float]:
    """Return the milliseconds of a block of calls."""
    times: list[float] = []
    for _ in range(BLOCK):
        start = clock()
        await client.call_tool(tool, arguments)
        times.append((clock() - start) * 1000)
    return times


async def main() -> None:
    """Measure both servers, block by block in turns, on a finished job."""
    ours: list[float] = []
    theirs: list[float] = []
    with folder() as home:
        async with Client(darkroom(Path(home))) as full, Client(bare()) as plain:
            made = await full.call_tool("generate_image", {"prompt": "a red boat", "size": "256x256", "wait": 45})
            job_id = (made.structured_content or {})["job_id"]
            await timed(full, "check_job", {"job_id": job_id})
            await timed(plain, "echo", {"text": job_id})
            for _ in range(ROUNDS // BLOCK):
                theirs += await timed(plain, "echo", {"text": job_id})
                ours += await timed(full, "check_job", {"job_id": job_id})
    report("check_job of a finished job, p50", ours, theirs, "ms", "<= 1.3x")
    report(
        "check_job of a finished job, p95",
        ours,
        theirs,
        "ms",
        "none",
        lambda times: statistics.quantiles(times, n=20)[-1],
    )


anyio.run(main)
