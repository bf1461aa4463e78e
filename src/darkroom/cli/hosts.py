"""The programs that start darkroom for an assistant: where each keeps its list of servers, and in which form."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePath
from typing import cast

NAME = "darkroom"
"""What our entry is called in every host."""


class HostName(StrEnum):
    """The hosts that `darkroom install` knows."""

    CLAUDE_DESKTOP = "claude-desktop"
    CLAUDE_CODE = "claude-code"
    CURSOR = "cursor"
    VSCODE = "vscode"


@dataclass(frozen=True, slots=True)
class Host:
    """One host: its file lies in the folder of applications' data, or else in the user's home folder."""

    title: str
    parts: tuple[str, ...]
    container: str = "mcpServers"
    typed: bool = False
    among_applications: bool = False
    moved_by: str | None = None

    def file(self, environment: Mapping[str, str] = os.environ, system: str = sys.platform) -> Path:
        """Return the file of a user in which the host keeps its servers, whether it exists or not."""
        moved = environment.get(self.moved_by, "").strip() if self.moved_by else ""
        if moved:
            return Path(moved).expanduser() / self.parts[-1]
        base = _applications(environment, system) if self.among_applications else Path.home()
        return base.joinpath(*self.parts)

    def files(self) -> str:
        """Return in words where that file is, on every system."""
        if not self.among_applications:
            return f"`{'/'.join(('~', *self.parts))}`"
        below = "/".join(self.parts)
        windows = "\\".join(("%APPDATA%", *self.parts))
        return f"macOS: `~/Library/Application Support/{below}`, Windows: `{windows}`, Linux: `~/.config/{below}`"

    def entry(self, command: Sequence[str], environment: Mapping[str, str]) -> dict[str, object]:
        """Return what the host must know of a server: its command, and variables where there are any."""
        return {
            **({"type": "stdio"} if self.typed else {}),
            "command": command[0],
            "args": list(command[1:]),
            **({"env": dict(environment)} if environment else {}),
        }

    @property
    def path(self) -> tuple[str, str]:
        """Where our entry is in the file."""
        return self.container, NAME


def _applications(environment: Mapping[str, str], system: str) -> Path:
    if system == "win32":
        return Path(environment.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    if system == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")


HOSTS: Mapping[HostName, Host] = {
    HostName.CLAUDE_DESKTOP: Host("Claude Desktop", ("Claude", "claude_desktop_config.json"), among_applications=True),
    HostName.CLAUDE_CODE: Host("Claude Code", (".claude.json",), typed=True, moved_by="CLAUDE_CONFIG_DIR"),
    HostName.CURSOR: Host("Cursor", (".cursor", "mcp.json")),
    HostName.VSCODE: Host(
        "VS Code", ("Code", "User", "mcp.json"), container="servers", typed=True, among_applications=True
    ),
}


def is_ours(entry: object) -> bool:
    """Tell whether an entry of a host starts darkroom on this machine."""
    if not isinstance(entry, Mapping) or "url" in entry:
        return False
    held = cast("Mapping[str, object]", entry)
    arguments = held.get("args")
    words = [held.get("command"), *(cast("list[object]", arguments) if isinstance(arguments, list) else ())]
    names = {PurePath(word.replace("\\", "/").partition("@")[0]).stem for word in words if isinstance(word, str)}
    return bool(names & {"darkroom", "darkroom-mcp"})
