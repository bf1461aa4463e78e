"""Ways into and out of the command line."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from darkroom.cli import console, main, serve
from darkroom.cli.commands import cli

SMALL = ["--size", "96x64"]


def call(*words: str) -> Result:
    """Run one command."""
    return CliRunner().invoke(cli, list(words))


def made(*words: str) -> dict[str, Any]:
    """Run one command that prints a job as JSON."""
    result = call(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_generate_image_prints_the_path_of_a_real_picture(home: Path) -> None:
    result = call("generate", "image", "a red boat", *SMALL, "-o", "format=webp", "--save-as", "boats/")
    path = Path(result.stdout.strip())
    with Image.open(path) as picture:
        assert (picture.format, picture.size) == ("WEBP", (96, 64))
    assert result.exit_code == 0
    assert path.parent == home / "Darkroom" / "boats"
    assert "draft" in result.stderr


def test_generate_video_makes_a_clip_of_scenes() -> None:
    scene = '{"prompt": "a boat", "duration": 1}'
    job = made("generate", "video", "", "--scene", scene, "--resolution", "360p", "--no-audio", "-o", "fps=12")
    assert job["mode"] == "timeline"
    assert Path(job["outputs"][0]["path"]).suffix == ".mp4"
    assert job["outputs"][0]["duration"] == pytest.approx(1.0, abs=0.1)  # pyright: ignore[reportUnknownMemberType] because pytest does not annotate it


def test_serve_alone_loads_nothing_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[str] = []
    monkeypatch.setattr(sys, "argv", ["darkroom", "serve"])
    monkeypatch.setattr(serve, "serve", lambda **words: served.append(str(words)))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] because it stands in for any call
    main.main()
    call("serve", "--log-json", "--log-level", "info")
    assert served == ["{}", "{'log_json': True, 'log_level': 'INFO'}"]


def test_an_unknown_level_of_the_log_is_refused_with_those_there_are() -> None:
    for more in ([], ["--http"]):
        result = CliRunner().invoke(cli, ["serve", "--log-level", "LOUD", *more])
        assert result.exit_code == 2
        assert "DEBUG, INFO, WARNING, ERROR" in " ".join(result.output.replace("│", " ").split())


def test_an_interrupt_says_that_stored_jobs_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    async def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        console.run(interrupted)
    assert ended.value.code == 130
    assert "go on" in capsys.readouterr().err


def test_a_fault_of_ours_is_not_hidden() -> None:
    async def broken(_: object) -> None:
        raise RuntimeError("broken")

    with pytest.raises(BaseException, match=r"broken|unhandled"):
        console.run(broken)
