"""How a host must start this very installation from anywhere, and a try of just that."""

import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import anyio

from darkroom import __version__
from darkroom.cli.console import single
from darkroom.settings import PREFIX

BOUND_S = 90.0
"""Longest wait for the first answer; the first start on a slow disk takes a while."""
PACKAGE = "darkroom-mcp"
TRANSIENT = ("archive-v", "environments-v")
"""Folders in the cache of uvx: environments that may be gone tomorrow."""


class CannotStart(Exception):
    """The command does not bring up this darkroom; the message says what came instead."""


def command() -> list[str]:
    """Return the command of the server, with absolute paths: hosts rarely know the PATH of a shell."""
    if any(part.startswith(TRANSIENT) for part in Path(sys.prefix).parts):
        return [shutil.which("uvx") or "uvx", PACKAGE, "serve"]
    script = Path(sysconfig.get_path("scripts"), "darkroom.exe" if sys.platform == "win32" else "darkroom")
    if script.is_file():
        return [str(script.absolute()), "serve"]
    return [sys.executable, "-P", "-m", "darkroom", "serve"]  # -P: whatever lies in the folder it is started in


def variables() -> dict[str, str]:
    """Return the variables that a host must set: the home folder, where the user moved it."""
    home = os.environ.get(f"{PREFIX}HOME", "").strip()
    return {f"{PREFIX}HOME": str(Path(home).expanduser().absolute())} if home else {}


def check(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Start the server as a host does, with little of this shell's environment, and list its tools.

    Raises:
        CannotStart: If it does not answer, or another version does.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        try:
            version = anyio.run(_version, command, environment, log)
        except Exception as exc:  # whatever goes wrong inside the transport's task group
            log.seek(0)
            raise CannotStart(_reason(exc, log.read())) from exc
    if version != __version__:
        raise CannotStart(f"it starts darkroom {version}, and this is {__version__}")


async def _version(command: Sequence[str], environment: Mapping[str, str], log: IO[str]) -> str:
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    parameters = StdioServerParameters(
        command=command[0], args=list(command[1:]), env=dict(environment), cwd=Path(sys.executable).anchor
    )
    with anyio.fail_after(BOUND_S):
        async with Client(stdio_client(parameters, errlog=log)) as client:  # pyright: ignore[reportArgumentType] because any text file will do
            tools = (await client.list_tools()).tools
            info = client.server_info
    if info is None or info.name != "darkroom" or not tools:
        raise CannotStart("something else than darkroom answers")
    return info.version


def _reason(exc: BaseException, log: str) -> str:
    """Return why a start failed: the server's own last words, else what the transport says."""
    exc = single(exc)
    if isinstance(exc, CannotStart):
        return str(exc)
    words = log.strip().splitlines()[-5:]
    if isinstance(exc, TimeoutError):
        return " ".join((f"no answer within {BOUND_S:.0f} s.", *words))
    return "\n".join(words) or f"{type(exc).__name__}: {exc}"
