"""Where hosts keep their servers, and which entry of theirs is ours."""

from pathlib import Path
from typing import Any

import pytest

from darkroom.cli.hosts import HOSTS, HostName, is_ours

LINUX = {
    HostName.CLAUDE_DESKTOP: ".config/Claude/claude_desktop_config.json",
    HostName.CLAUDE_CODE: ".claude.json",
    HostName.CURSOR: ".cursor/mcp.json",
    HostName.VSCODE: ".config/Code/User/mcp.json",
}


def test_every_host_has_a_file_on_every_system(home: Path) -> None:
    assert {name: host.file({}, "linux") for name, host in HOSTS.items()} == {
        name: home / part for name, part in LINUX.items()
    }
    desktop, code = HOSTS[HostName.CLAUDE_DESKTOP], HOSTS[HostName.VSCODE]
    support = home / "Library" / "Application Support"
    assert desktop.file({}, "darwin") == support / "Claude" / "claude_desktop_config.json"
    assert code.file({}, "darwin") == support / "Code" / "User" / "mcp.json"
    assert code.file({"APPDATA": "/data"}, "win32") == Path("/data/Code/User/mcp.json")
    assert code.file({}, "win32") == home / "AppData" / "Roaming" / "Code" / "User" / "mcp.json"


def test_the_places_are_told_in_words() -> None:
    assert HOSTS[HostName.CURSOR].files() == "`~/.cursor/mcp.json`"
    told = HOSTS[HostName.VSCODE].files()
    assert "Windows: `%APPDATA%\\Code\\User\\mcp.json`, Linux: `~/.config/Code/User/mcp.json`" in told


def test_a_folder_that_the_user_moved_is_followed(home: Path) -> None:
    assert HOSTS[HostName.VSCODE].file({"XDG_CONFIG_HOME": "/c"}, "linux") == Path("/c/Code/User/mcp.json")
    assert HOSTS[HostName.CLAUDE_CODE].file({"CLAUDE_CONFIG_DIR": "~/c"}, "linux") == home / "c" / ".claude.json"
    assert HOSTS[HostName.CURSOR].file({"CLAUDE_CONFIG_DIR": "/c"}, "linux") == home / ".cursor" / "mcp.json"


def test_an_entry_has_variables_only_where_there_are_any() -> None:
    assert HOSTS[HostName.CURSOR].entry(["/x/darkroom", "serve"], {}) == {"command": "/x/darkroom", "args": ["serve"]}
    assert HOSTS[HostName.VSCODE].entry(["a"], {"B": "c"}) == {
        "type": "stdio",
        "command": "a",
        "args": [],
        "env": {"B": "c"},
    }


@pytest.mark.parametrize(
    ("entry", "ours"),
    [
        ({"command": "darkroom", "args": ["serve"]}, True),
        ({"command": "/opt/v/bin/darkroom"}, True),
        ({"command": "C:\\v\\Scripts\\darkroom.exe", "args": ["serve"]}, True),
        ({"command": "/usr/bin/python3", "args": ["-P", "-m", "darkroom", "serve"]}, True),
        ({"command": "uvx", "args": ["darkroom-mcp@0.1.0", "serve"]}, True),
        ({"command": "/opt/darkroom/bin/other", "args": 7}, False),
        ({"command": None, "args": ["photo-darkroom"]}, False),
        ({"url": "https://example.com/mcp", "command": "darkroom"}, False),
        ("darkroom", False),
    ],
)
def test_only_what_starts_darkroom_here_is_ours(entry: Any, ours: bool) -> None:
    assert is_ours(entry) is ours
