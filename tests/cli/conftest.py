"""Runs commands in this process, with a stand-in for the draft engine."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages: this makes helpers_cli importable

from helpers_cli import QuickPictures

from darkroom.app import App
from darkroom.cli import console, doctor
from darkroom.cli.commands import cli
from darkroom.settings import Settings

Run = Callable[..., Result]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> QuickPictures:
    """The stand-in for the draft engine."""
    draft = QuickPictures()

    def make(settings: Settings) -> App:
        app = App(settings)
        app.adapters = draft  # pyright: ignore[reportAttributeAccessIssue] because it stands in
        return app

    monkeypatch.setattr(console, "App", make)
    monkeypatch.setattr(doctor, "App", make)
    return draft


@pytest.fixture
def run(quick: QuickPictures, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs one command and holds it to the rule that nobody ever sees a traceback."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")

    def invoke(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return invoke


@pytest.fixture
def run_json(run: Run) -> Callable[..., Any]:
    """Runs one command with --json and reads what it prints."""

    def invoke(*arguments: str, code: int = 0) -> Any:
        return json.loads(run(*arguments, "--json", code=code).stdout)

    return invoke
