"""The command line as a person uses it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from darkroom import __version__
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


def test_an_equal_command_shows_the_first_job_unless_again_is_said() -> None:
    first = made("generate", "image", "a hill", *SMALL)
    second = made("generate", "image", "a hill", *SMALL)
    third = made("generate", "image", "a hill", *SMALL, "--again")
    assert first["job_id"] == second["job_id"] != third["job_id"]


def test_a_dry_run_says_the_price_and_stores_nothing() -> None:
    planned = made("generate", "image", "a hill", "--dry-run", "--max-cost", "0")
    words = call("generate", "image", "a hill", "--dry-run")
    assert (planned["status"], planned["cost"]) == ("estimate", {"estimate_usd": 0})
    assert "free" in words.stderr
    assert "There is no such job yet" in call("jobs").stderr


def test_jobs_check_and_cancel_tell_of_a_job() -> None:
    job_id = made("generate", "image", "a [red] hill", *SMALL)["job_id"]
    listed, checked = call("jobs"), call("check", job_id)
    cancelled = call("cancel", job_id)
    assert job_id in listed.stdout
    assert "a [red]" in listed.stdout
    assert "succeeded" in checked.stdout
    assert "succeeded" in cancelled.stdout
    assert json.loads(call("jobs", "--json").stdout)[0]["job_id"] == job_id
    assert json.loads(call("check", job_id, "--json", "--wait", "5").stdout)["status"] == "succeeded"


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["generate", "image", ""], "The prompt is empty", 1),
        (["generate", "image", "x", "--size", "big"], "'big'", 1),
        (["generate", "image", "x", "--model", "drft-image"], "Did you mean", 1),
        (["generate", "image", "x", "-o", "format"], "name=value", 2),
        (["generate", "image", "x", "-o", "format=tiff"], "png, webp, jpeg", 1),
        (["generate", "image", "x", "--max-cost", "lots"], "US dollars", 2),
        (["generate", "image", "x", "-i", "/no/such.png"], "outside the folders", 1),
        (["generate", "video", "x", "--scene", "{"], "not JSON", 2),
        (["check", "job_nope"], "There is no job", 1),
        (["cancel", "job_nope"], "There is no job", 1),
        (["jobs", "--status", "runing"], "Did you mean 'running'", 1),
    ],
)
def test_a_mistake_is_answered_in_words(words: list[str], said: str, code: int) -> None:
    result = call(*words)
    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_MAX_COST", "many")
    result = call("jobs")
    assert result.exit_code == 2
    assert "DARKROOM_MAX_COST" in result.stderr


def test_doctor_finds_a_healthy_installation_healthy() -> None:
    result = call("doctor")
    rows = json.loads(call("doctor", "--json").stdout)
    assert result.exit_code == 0, result.output
    assert {row["what"] for row in rows} >= {"program", "home", "outputs", "database", "sqlite", "video", "provider"}


def test_doctor_says_what_is_wrong(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("DARKROOM_HOME", str(home / "file" / "home"))
    monkeypatch.setenv("DARKROOM_OUTPUTDIR", "x")
    rows = json.loads(call("doctor", "--json").stdout)
    wrong = {row["what"] for row in rows if row["level"] == "wrong"}
    assert call("doctor").exit_code == 1
    assert {"home", "database"} <= wrong
    assert any("DARKROOM_OUTPUT_DIR" in row["says"] for row in rows if row["what"] == "setting")


def test_a_job_that_failed_gives_exit_code_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darkroom.adapters.draft.adapter.DraftAdapter.submit", _refuse)
    result = call("generate", "image", "a hill", *SMALL)
    assert result.exit_code == 1
    assert "no such thing" in result.stderr
    assert call("check", json.loads(call("jobs", "--json").stdout)[0]["job_id"]).exit_code == 1


async def _refuse(*_: object) -> None:
    from darkroom.errors import Unsupported

    raise Unsupported("no such thing")


def test_the_version_and_the_module_entry_agree() -> None:
    ended = subprocess.run([sys.executable, "-m", "darkroom", "--version"], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == f"darkroom {__version__}" == call("--version").stdout.strip()


def test_serve_alone_loads_nothing_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[str] = []
    monkeypatch.setattr(sys, "argv", ["darkroom", "serve"])
    monkeypatch.setattr(serve, "serve", lambda **words: served.append(str(words)))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] because it stands in for any call
    main.main()
    call("serve", "--log-json", "--log-level", "info")
    assert served == ["{}", "{'log_json': True, 'log_level': 'INFO'}"]


def test_other_words_go_to_the_full_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["darkroom", "--version"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 0
    assert __version__ in capsys.readouterr().out


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
