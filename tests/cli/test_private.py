"""What darkroom keeps is its owner's alone, whichever command makes the folder."""

import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="other rights there")


@pytest.mark.parametrize("command", ["doctor", "jobs", "token list"])
def test_the_home_that_a_command_makes_is_private(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    home = tmp_path / "fresh"
    monkeypatch.setenv("DARKROOM_HOME", str(home))
    run(*command.split())
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for file in home.glob("*.sqlite3*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
