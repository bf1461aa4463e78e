"""Memory of the stdio server after tools/list, and after a call, beside a bare SDK server; Linux only."""

import re
from pathlib import Path

import anyio
from mcp import Client, StdioServerParameters

from harness import bare, darkroom, folder, report

ROUNDS = 5
SETTLE_S = 2.0


def children() -> set[int]:
    """Return the process ids of this process's children."""
    return {
        int(pid)
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text(encoding="ascii").split()
    }


def private_mb(pid: int) -> float:
    """Return the private resident memory of a process in MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.MULTILINE)) / 1000


async def once(parameters: StdioServerParameters, call: str | None = None) -> float:
    """Return the memory of one server at rest, after a call of a tool where one is named."""
    before = children()
    async with Client(parameters) as client:
        await client.list_tools()
        if call is not None:
            await client.call_tool(call, {})
        await anyio.sleep(SETTLE_S)
        return sum(private_mb(pid) for pid in children() - before)


async def main() -> None:
    """Measure both, taking turns."""
    ours: list[float] = []
    used: list[float] = []
    theirs: list[float] = []
    with folder() as home:
        for _ in range(ROUNDS):
            theirs.append(await once(bare()))
            ours.append(await once(darkroom(Path(home))))
            used.append(await once(darkroom(Path(home)), "check_job"))
    report("idle memory, private, median", ours, theirs, "MB", "<= +15 MB")
    report("after a call, private, median", used, theirs, "MB", "no bar")


anyio.run(main)
