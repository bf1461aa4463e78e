"""Shared by the benchmarks: a bare SDK server to compare with, and how both are started."""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mcp import StdioServerParameters

BARE = """
from mcp.server import MCPServer
server = MCPServer("bare")
@server.tool()
async def echo(text: str) -> str:
    \"\"\"Echo a text.\"\"\"
    return text
server.run()
"""


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment, with byte code kept, as an installed program has it."""
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}, **more}


def bare() -> StdioServerParameters:
    """Return how to start a bare SDK server with one tool."""
    return StdioServerParameters(command=sys.executable, args=["-c", BARE], env=environment())


def darkroom(home: Path) -> StdioServerParameters:
    """Return how to start darkroom with a home folder of its own."""
    own = environment(DARKROOM_HOME=str(home / "home"), DARKROOM_OUTPUT_DIR=str(home / "outputs"))
    return StdioServerParameters(command=sys.executable, args=["-m", "darkroom", "serve"], env=own)


def folder() -> tempfile.TemporaryDirectory[str]:
    """Return a new temporary folder."""
    return tempfile.TemporaryDirectory(prefix="darkroom-bench-")


def clock() -> float:
    """Return seconds for measuring."""
    return time.perf_counter()


def report(
    name: str,
    ours: list[float],
    theirs: list[float],
    unit: str,
    bar: str,
    pick: Callable[[list[float]], float] = statistics.median,
) -> None:
    """Print one ratio with what it was made of."""
    a, b = pick(ours), pick(theirs)
    print(f"{name}: darkroom {a:.2f} {unit}, bare {b:.2f} {unit}")
    print(f"    ratio {a / b:.2f}, difference {a - b:+.2f} {unit} (bar: {bar})")
