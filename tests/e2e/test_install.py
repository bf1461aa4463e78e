"""The blocks of the README, as a host would use them: read from the file, started, used for one picture."""

import json
import os
import re
import sysconfig
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from typer.testing import CliRunner

from darkroom.cli import starting
from darkroom.cli.commands import cli
from darkroom.cli.hosts import HOSTS, HostName

ROOT = Path(__file__).parent.parent.parent
BOUND_S = 110.0
BLOCKS = re.findall(
    r"`darkroom install (\S+)`.*?```json\n(.*?)```",
    (ROOT / "README.md").read_text("utf-8").partition("<!-- hosts -->")[2].partition("<!-- /hosts -->")[0],
    re.DOTALL,
)


def test_the_readme_has_a_block_for_every_host() -> None:
    assert [name for name, _ in BLOCKS] == list(HostName)


@pytest.mark.parametrize(("name", "block"), BLOCKS)
def test_a_block_is_what_install_prints_with_the_bare_command(
    name: str, block: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "command", lambda: ["darkroom", "serve"])
    monkeypatch.delenv("DARKROOM_HOME")
    assert CliRunner().invoke(cli, ["install", name, "--print"]).stdout == block


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "block"), BLOCKS)
async def test_a_block_brings_up_a_server_that_makes_a_picture(name: str, block: str) -> None:
    entry: dict[str, Any] = json.loads(block)[HOSTS[HostName(name)].container]["darkroom"]
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    parameters = StdioServerParameters(
        command=entry["command"], args=entry["args"], env={**os.environ, **entry.get("env", {}), "PATH": path}, cwd="/"
    )
    with anyio.fail_after(BOUND_S):
        async with Client(parameters) as client:
            made: Any = (
                await client.call_tool("generate_image", {"prompt": "a red boat", "size": "96x64", "wait": 40})
            ).structured_content
    (output,) = made["outputs"]
    assert made["status"] == "succeeded"
    assert await anyio.Path(output["path"]).exists()
