"""What people do at the command line."""

import logging
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Never

import anyio
import anyio.lowlevel
import pytest
from helpers_cli import QuickPictures
from PIL import Image
from typer.testing import Result

import darkroom
from darkroom.cli import doctor, main, serve
from darkroom.errors import AuthFailed
from darkroom.server.build import DarkroomServer

Run = Callable[..., Result]
RunJson = Callable[..., Any]
FOX = ("generate", "image", "a red fox", "--size", "64x64")


# generate


def test_a_picture_is_made_and_its_path_printed(run: Run) -> None:
    result = run(*FOX)
    with Image.open(result.stdout.strip()) as picture:
        assert picture.size == (64, 64)
    assert "succeeded" in result.stderr


def test_json_is_the_whole_job(run_json: RunJson) -> None:
    job = run_json(*FOX, "-n", "2", "--option", "format=png", "--option", 'labels=["a"]')
    assert (job["status"], len(job["outputs"])) == ("succeeded", 2)


def test_a_dry_run_prints_the_price_and_stores_nothing(run: Run, run_json: RunJson) -> None:
    assert "Nothing was stored" in run(*FOX, "--dry-run").stderr
    clip = run_json("generate", "video", "a fox", "--duration", "2", "--dry-run", "--scene", '{"prompt": "one"}')
    assert (clip["status"], clip["mode"]) == ("estimate", "timeline")
    assert run_json("jobs") == []


def test_an_equal_call_is_said_to_be_one(run: Run) -> None:
    first = run(*FOX)
    second = run(*FOX)
    assert "--again forces a new one" in second.stderr
    assert second.stdout == first.stdout
    assert run(*FOX, "--again").stdout != first.stdout


def test_warnings_are_printed(run: Run) -> None:
    result = run(*FOX, "--aspect-ratio", "16:9")
    assert "note:" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("generate", "image", ""), 1, "The prompt is empty"),
        ((*FOX, "--model", "draft-imag"), 1, "Did you mean 'draft-image'?"),
        ((*FOX, "--option", "fast"), 2, "write name=value"),
        ((*FOX, "--max-cost", "cheap"), 2, "US dollars"),
        (("generate", "video", "a fox", "--scene", "{"), 2, "--scene is not JSON"),
        (("generate", "video", "a fox", "--duration", "9999"), 1, "0.5 to 600"),
        ((*FOX, "--image", "nothing.png"), 1, "Nothing was stored"),
        (("check", "job_nothing"), 1, "There is no job 'job_nothing'"),
        (("cancel", "job_nothing"), 1, "There is no job 'job_nothing'"),
        (("jobs", "--status", "finished"), 1, "There is no status"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_a_mistake_is_answered_in_words(run: Run, arguments: tuple[str, ...], code: int, expected: str) -> None:
    assert expected in run(*arguments, code=code).stderr


def test_a_job_that_fails_ends_with_code_one_and_its_reason(run: Run, quick: QuickPictures) -> None:
    quick.error = AuthFailed("The key was refused.")
    assert "The key was refused." in run(*FOX, code=1).stderr
    assert "failed" in run("jobs").stdout


# jobs, check, cancel


def test_without_jobs_the_list_says_how_to_begin(run: Run) -> None:
    assert "darkroom generate image" in run("jobs").stderr


def test_jobs_are_listed_and_checked(run: Run, run_json: RunJson) -> None:
    job = run_json(*FOX)
    table = run("jobs", "--limit", "5").stdout
    assert job["job_id"] in table
    assert "a red fox" in table
    assert [item["job_id"] for item in run_json("jobs", "--status", "succeeded")] == [job["job_id"]]
    assert "succeeded" in run("check", job["job_id"]).stdout
    assert run_json("check", job["job_id"], "--wait", "5")["status"] == "succeeded"


def test_a_job_that_another_run_left_is_finished_by_check(run: Run, run_json: RunJson, quick: QuickPictures) -> None:
    job_id = leave_queued(run_json)
    assert "queued" in run("check", job_id).stdout
    assert "succeeded" in run("check", job_id, "--wait", "30").stdout


def test_a_failed_job_makes_check_fail(run: Run, run_json: RunJson, quick: QuickPictures) -> None:
    quick.error = AuthFailed("The key was refused.")
    job = run_json(*FOX, code=1)
    assert "The key was refused." in run("check", job["job_id"], code=1).stdout


def test_a_queued_job_is_cancelled(run: Run, run_json: RunJson) -> None:
    job_id = leave_queued(run_json)
    assert "cancelled" in run("cancel", job_id).stdout


def leave_queued(run_json: RunJson) -> str:
    """Leave a job as a program leaves it that ended before it was sent."""
    job_id: str = run_json(*FOX)["job_id"]
    with sqlite3.connect(Path(os.environ["DARKROOM_HOME"]) / "darkroom.sqlite3") as db:
        db.execute("UPDATE submissions SET state = 'queued', owner = NULL")
        db.execute("UPDATE jobs SET outcome = NULL, finished_at = NULL")
        db.execute("DELETE FROM outputs")
        db.execute("DELETE FROM ledger WHERE kind != 'reserved'")
    db.close()
    return job_id


# doctor


def test_doctor_finds_nothing_wrong(run: Run, run_json: RunJson) -> None:
    text = run("doctor").stdout
    for expected in (darkroom.__version__, "free", "0 jobs under way", "H.264", "draft: ready"):
        assert expected in text
    assert {row["level"] for row in run_json("doctor")} <= {"ok", "warning"}


def test_doctor_names_a_setting_that_there_is_not(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_TUMBNAILS", "auto")
    monkeypatch.setenv("DARKROOM_TOOLSETS", "all")
    text = run("doctor").stdout
    assert "Did you mean 'DARKROOM_THUMBNAILS'?" in text
    assert "DARKROOM_TOOLSETS is set, but this version does not use it yet." in text


def test_doctor_says_that_an_endpoint_is_no_address(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "made-up-key-3")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "myres")
    text = " ".join(run("doctor", code=1).stdout.split())
    assert "wrong provider azure: needs AZURE_OPENAI_ENDPOINT as a web address such as https://NAME" in text
    assert "myres" not in text


@pytest.mark.parametrize("command", ["doctor", "jobs"])
def test_a_wrong_setting_ends_with_code_two_and_its_name(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("DARKROOM_THUMBNAILS", "sometimes")
    assert "DARKROOM_THUMBNAILS" in run(command, code=2).stderr


def test_doctor_says_that_home_cannot_be_used(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("DARKROOM_HOME", str(home / "file" / "home"))
    result = run("doctor", code=1)
    assert "cannot be written" in result.stdout
    assert "cannot be opened" in result.stdout
    assert "DARKROOM_HOME" in run("jobs", code=1).stderr


def test_doctor_tells_of_missing_codecs_and_of_sqlite(
    run: Run, run_json: RunJson, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av.codec", None)
    monkeypatch.setattr(doctor, "OLD_SQLITE", (0, 0, 0))
    monkeypatch.setattr(doctor, "LOW_DISK", 10**30)
    rows = run_json("doctor", code=1)
    assert ("wrong", "video") in [(row["level"], row["what"]) for row in rows]
    assert ("ok", "sqlite") in [(row["level"], row["what"]) for row in rows]
    assert ("warning", "home") in [(row["level"], row["what"]) for row in rows]
    monkeypatch.setattr(doctor, "OLD_SQLITE", (999, 0, 0))
    assert "known, rare fault" in run("doctor", code=1).stdout


def test_doctor_counts_submissions_without_an_answer(run: Run, run_json: RunJson) -> None:
    leave_queued(run_json)
    with sqlite3.connect(Path(os.environ["DARKROOM_HOME"]) / "darkroom.sqlite3") as db:
        db.execute("UPDATE submissions SET state = 'submit_unknown'")
        db.execute("UPDATE jobs SET outcome = NULL, finished_at = NULL")
    db.close()
    assert "1 submissions without an answer" in run("doctor").stdout


# The program


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version").stdout.strip() == f"darkroom {darkroom.__version__}"


def test_help_is_printed_for_those_who_say_nothing(run: Run) -> None:
    assert "generate" in run(code=2).output


def test_the_command_runs_the_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["darkroom", "--version"])
    with pytest.raises(SystemExit) as caught:
        main.main()
    assert (caught.value.code, darkroom.__version__ in capsys.readouterr().out) == (0, True)


# serve


class Ended(Exception):
    """Stands for the end of the process."""


@pytest.fixture
def no_exit(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Turns the end of the process into an exception, and stdin into one that ends at once."""
    codes: list[int] = []

    def ended(code: int) -> Never:
        codes.append(code)
        raise Ended

    def unchanged(**_: object) -> None:
        return None

    async def served(_: object) -> None:
        await anyio.lowlevel.checkpoint()

    monkeypatch.setattr(os, "_exit", ended)
    monkeypatch.setattr(DarkroomServer, "run_stdio_async", served)
    monkeypatch.setattr(logging, "basicConfig", unchanged)
    return codes


@pytest.mark.parametrize("arguments", [["serve"], ["serve", "--log-json", "--log-level", "info"]])
def test_serving_ends_with_stdin(no_exit: list[int], monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["darkroom", *arguments])
    with pytest.raises(Ended):
        main.main()
    assert no_exit == [0]


def test_serving_with_a_wrong_setting_ends_with_code_two(
    no_exit: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DARKROOM_THUMBNAILS", "sometimes")
    with pytest.raises(SystemExit) as caught:
        serve.serve()
    assert (caught.value.code, no_exit) == (2, [])
    assert "DARKROOM_THUMBNAILS" in capsys.readouterr().err


def test_serving_ends_with_a_signal(no_exit: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: object) -> None:
        with anyio.fail_after(20):
            signal.raise_signal(signal.SIGTERM)
            await anyio.sleep_forever()

    async def late(server: object) -> None:
        await anyio.lowlevel.checkpoint()
        await hang(server)

    monkeypatch.setattr(DarkroomServer, "run_stdio_async", late)
    monkeypatch.setattr(serve, "STOP_S", 0.01)
    with pytest.RaisesGroup(Ended):  # out of the task that ends the process
        serve.serve()
    assert no_exit == [0]
