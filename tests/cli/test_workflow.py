"""`darkroom workflow`, as a person uses it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from darkroom.catalog.workflows import workflow_names
from darkroom.cli.commands import cli
from helpers_flow import CLIPS, FRAMES, SCRIPT, flow

Run = Callable[..., Result]
RunJson = Callable[..., Any]
ONE = """
about = "One picture."

[inputs.product]
reader = "subject"
required = true

[[steps]]
id = "picture"
kind = "image"
arguments = { prompt = "{inputs.product}", size = "64x64" }

[output]
summary = "A picture of {inputs.product}."
"""


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A workflow of one's own in TOML."""
    path = tmp_path / "my-poster.toml"
    path.write_text(ONE, encoding="utf-8")
    return path


def test_workflows_are_listed(run: Run, run_json: RunJson) -> None:
    assert {row["workflow"] for row in run_json("workflow", "list")} == set(workflow_names())
    assert "product_video" in run("workflow", "list").stdout


def test_a_workflow_is_shown_with_what_may_be_said(run: Run, run_json: RunJson) -> None:
    done = run("workflow", "show", "product video")
    for expected in ("required", "seconds of the finished film", "By video_script.", "Each of storyboard.scenes."):
        assert expected in done.stdout
    assert "--task" in done.stderr
    view = run_json("workflow", "show", "product_video")
    assert [step["step"] for step in view["steps"]] == ["script", "storyboard", "keyframes", "clips", "film"]
    assert all("value" not in item for item in view["inputs"])


def test_a_task_shows_what_is_read_from_it_and_what_will_be_made(run: Run, run_json: RunJson) -> None:
    asked = ("workflow", "show", "product_video", "--task", "a 12 second vertical film for a red kettle")
    text = run(*asked, "--context", "resolution=360p", "--context", "audio=false").stdout
    assert "from the task  red kettle" in text
    assert "given          360p" in text
    assert "given          no" in text
    assert "as usual       See it today." in text
    assert "image x 4" in text
    assert "9:16, 360p: Close-up of red kettle" in text
    view = run_json(*asked)
    assert {item["input"]: item.get("value") for item in view["inputs"]}["duration"] == 12
    clips = next(step for step in view["steps"] if step["step"] == "clips")
    assert sum(call["arguments"]["duration"] for call in clips["calls"]) == 12
    assert run_json("jobs") == []


def test_a_dry_run_says_the_price_and_stores_nothing(
    run: Run, run_json: RunJson, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("workflow", "run", "product_video", "a 15 s product video for blue running shoes", "--dry-run")
    done = run(*asked)
    assert "draft/film-join" in done.stdout
    text = " ".join(done.stdout.split())
    assert "Read from the task: product = blue running shoes" in text
    assert "Assumed, because nobody said: " in text
    assert "Give with --context what is to be otherwise." in text
    assert "all of it is free (9 calls). Leave --dry-run out to start it." in done.stdout
    monkeypatch.setenv("FAL_KEY", "id:secret")
    view = run_json(*asked, "--max-cost", "1")
    assert view["cost"]["likely_usd"] > 1
    assert "the cap is $1.00" in view["next"]
    assert "you get a brief" in run("agent", "run", "Write a line.", "--agent", "copy", "--dry-run").stdout
    assert run_json("agent", "list") == []


def test_what_all_of_it_will_cost_is_said_when_it_begins(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAL_KEY", "id:secret")
    done = run("workflow", "run", "product_video", "a product video for blue running shoes", "--wait", "0")
    assert "When it began, all of it would cost about $" in done.stderr


def test_what_is_given_is_said_to_be(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    path.write_text(flow(SCRIPT, FRAMES, CLIPS).model_dump_json(exclude_defaults=True), encoding="utf-8")
    given = json.dumps([{"picture": "a kettle on a stove", "seconds": 6}])
    text = run("workflow", "show", str(path), "--task", "a kettle", "--context", f"beats={given}").stdout
    assert "Given." in text
    assert "a kettle on a stove" in text


def test_a_workflow_of_ones_own_is_checked_shown_and_run(run: Run, run_json: RunJson, one: Path) -> None:
    checked = run("workflow", "check", str(one)).stdout
    assert checked == f"{one}: good. my_poster has 1 step: picture; asks for product.\n"
    assert "One picture." in run("workflow", "show", str(one)).stdout
    made = run_json("workflow", "run", str(one), "a poster for a lamp")
    assert (made["status"], made["workflow"]) == ("succeeded", "my_poster")
    assert made["output"] == "A picture of lamp.\n\nRead from the task: product = lamp."
    assert len(made["outputs"]) == 1


@pytest.mark.usefixtures("quick")
def test_a_workflow_is_read_from_stdin() -> None:
    data = {"steps": [{"id": "picture", "kind": "image", "arguments": {"prompt": "a fox", "size": "64x64"}}]}
    done = CliRunner().invoke(cli, ["workflow", "check", "-"], input=json.dumps(data))
    assert (done.exit_code, done.stdout) == (0, "stdin: good. workflow has 1 step: picture.\n")


@pytest.mark.parametrize(
    ("name", "text", "code", "expected"),
    [
        ("a.json", "{", 2, "a.json is no JSON"),
        ("a.toml", "steps = ", 2, "a.toml is no TOML"),
        ("a.json", "[]", 2, "holds no workflow"),
        ("a.json", "{}", 1, "steps is missing"),
        ("a.toml", ONE.replace("kind =", "retrys = 1\nkind ="), 1, "Did you mean 'retries'?"),
        ("a.toml", ONE.replace("{inputs.product}", "{inputs.productt}"), 1, "Did you mean 'product'?"),
        ("a.toml", ONE.replace('"subject"', '"subjct"'), 1, "Did you mean 'subject'?"),
        ("9.json", '{"steps": [{"id": "a", "kind": "agent", "agent": "copyy", "task": "x"}]}', 1, "Step 'a'"),
        ("poster.txt", ONE, 2, "neither a .toml nor a .json file"),
        (".", "", 2, "neither a .toml nor a .json file"),
    ],
)
def test_a_fault_is_named(run: Run, tmp_path: Path, name: str, text: str, code: int, expected: str) -> None:
    path = tmp_path / name
    if text:
        path.write_text(text, encoding="utf-8")
    done = run("workflow", "check", str(path), code=code)
    assert expected in done.stderr
    assert done.stdout == ""


def test_what_a_workflow_lacks_is_said_before_anything_starts(run: Run, run_json: RunJson, one: Path) -> None:
    assert "The task does not say product" in run("workflow", "run", str(one), "please", code=1).stderr
    assert "There is no workflow" in run("workflow", "show", "nothing", code=1).stderr
    assert run_json("agent", "list") == []
