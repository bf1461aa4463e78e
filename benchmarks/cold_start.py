"""Cold start of the stdio server to its tools/list answer, beside a bare SDK server, interleaved in one run."""

import statistics
import sys
from pathlib import Path

import anyio
from mcp import Client, StdioServerParameters

from harness import bare, clock, darkroom, folder, report

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 10


async def once(parameters: StdioServerParameters) -> float:
    """Return the milliseconds from starting the process to the answer of tools/list."""
    start = clock()
    async with Client(parameters) as client:
        await client.list_tools()
        return (clock() - start) * 1000


async def main() -> None:
    """Measure both, taking turns."""
    ours: list[float] = []
    theirs: list[float] = []
    with folder() as home:
        for _ in range(ROUNDS + 1):
            theirs.append(await once(bare()))
            ours.append(await once(darkroom(Path(home))))
    ours, theirs = ours[1:], theirs[1:]
    report("cold start, median", ours, theirs, "ms", "<= 1.25x and <= +150 ms")
    report("cold start, best", ours, theirs, "ms", "<= 1.25x and <= +150 ms", min)
    print(f"rounds {ROUNDS}, spread {statistics.stdev(ours):.0f} / {statistics.stdev(theirs):.0f} ms")


anyio.run(main)
