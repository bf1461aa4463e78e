"""The command that a host gets, and starting it once as a host does."""

import sys
import sysconfig
from pathlib import Path

import pytest

from darkroom import __version__
from darkroom.cli import starting
from darkroom.cli.starting import CannotStart, check, command, variables

OTHER = """
from mcp.server import MCPServer
server = MCPServer({name!r}, version={version!r})
@server.tool()
async def echo(text: str) -> str:
    "Echo."
    return text
server.run()
"""


def served(name: str, version: str) -> list[str]:
    return [sys.executable, "-c", OTHER.format(name=name, version=version)]


def test_the_command_is_the_script_of_this_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = "darkroom.exe" if sys.platform == "win32" else "darkroom"
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] because it stands in
    assert command() == [sys.executable, "-P", "-m", "darkroom", "serve"]
    (tmp_path / name).write_text("", encoding="utf-8")
    assert command() == [str(tmp_path / name), "serve"]


@pytest.mark.parametrize("folder", ["archive-v0/abc", "environments-v2/darkroom-mcp-1a"])
def test_an_environment_that_uvx_may_delete_is_never_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
) -> None:
    monkeypatch.setattr(sys, "prefix", f"/cache/uv/{folder}")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command() == ["uvx", "darkroom-mcp", "serve"]
    uvx = tmp_path / ("uvx.exe" if sys.platform == "win32" else "uvx")
    uvx.write_text("", encoding="utf-8")
    uvx.chmod(0o755)
    assert command() == [str(uvx), "darkroom-mcp", "serve"]


def test_a_home_that_was_moved_in_the_shell_is_told_to_hosts(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv("DARKROOM_HOME", "~/moved")
    assert variables() == {"DARKROOM_HOME": str(home / "moved")}
    monkeypatch.delenv("DARKROOM_HOME")
    assert variables() == {}


def test_the_real_server_passes_and_sees_only_what_a_host_gives_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DARKROOM_THUMBNAILS", "sometimes")  # a setting of this shell, that no host would see
    check(command(), {"DARKROOM_HOME": str(tmp_path / "there")})
    (tmp_path / ".env").write_text("DARKROOM_THUMBNAILS=rarely", encoding="utf-8")
    with pytest.raises(CannotStart, match="'rarely' and must be"):
        check(command(), {"DARKROOM_HOME": str(tmp_path)})


def test_a_server_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="'sometimes' and must be"):
        check(command(), {"DARKROOM_HOME": str(tmp_path), "DARKROOM_THUMBNAILS": "sometimes"})


def test_a_command_that_is_not_there_is_told() -> None:
    with pytest.raises(CannotStart, match=r"No such file|cannot find"):
        check(["/nowhere/darkroom", "serve"], {})


def test_another_version_is_told() -> None:
    with pytest.raises(CannotStart, match=rf"it starts darkroom 9\.9, and this is {__version__}"):
        check(served("darkroom", "9.9"), {})


def test_another_server_is_told() -> None:
    with pytest.raises(CannotStart, match="something else than darkroom answers"):
        check(served("lightroom", __version__), {})


def test_silence_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "BOUND_S", 0.2)
    with pytest.raises(CannotStart, match=r"no answer within 0 s\."):
        check([sys.executable, "-c", "import sys; sys.stdin.read()"], {})
