"""A workflow of one's own: the example of the README runs on drafts, and a shipped one can be begun with."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from darkroom.catalog.workflows import schema
from darkroom.cli.commands import cli
from darkroom.domain.expressions import FILTERS
from darkroom.domain.shapes import SKILLED
from darkroom.domain.task_words import READERS
from darkroom.domain.workflow import Input, Share, Step, StepKind, Table, Value, Workflow
from darkroom.domain.workflow import Result as Output
from darkroom.domain.workflow_kinds import ARGUMENTS

README = Path(__file__).parents[2] / "README.md"
Run = Callable[..., Result]
RunJson = Callable[..., Any]


def _chapter() -> str:
    found = re.search(r"### A workflow of your own\n.*?(?=\n## )", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[0]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The workflow that the README shows, as a file."""
    found = re.search(r"<!-- own workflow -->\n```json\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    path = tmp_path / "shots.json"
    path.write_text(found[1], encoding="utf-8")
    return path


def test_the_example_of_the_readme_makes_its_film_without_any_key(example: Path) -> None:
    known = ("--context", 'shots=["a yellow tram"]', "--context", "resolution=360p")
    done = CliRunner().invoke(cli, ("workflow", "run", str(example), "one morning", *known, "--json"))
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert (made["status"], made["workflow"]) == ("succeeded", "shot_list")
    assert made["output"].startswith("1 shots: One morning\n")
    assert made["assumed"] == {"style": "soft daylight", "seconds": 2}
    assert {step["step"]: step["status"] for step in made["steps"]} == dict.fromkeys(
        ("caption", "stills", "clips", "film"), "succeeded"
    )
    assert [Path(output["path"]).suffix for output in made["outputs"]] == [".mp4", ".mp4"]
    assert made["cost"]["actual_usd"] == 0


def test_the_readme_names_everything_that_may_be_written() -> None:
    text = _chapter()
    models = (Workflow, Input, Table, Step, Share, Value, Output)
    fields = {name for model in models for name in model.model_fields}
    words = {*fields, *StepKind, *FILTERS, *READERS, *ARGUMENTS[StepKind.JOIN], *SKILLED.fields}
    ideas = {"skill", "agent", "angles", "headlines", "propositions", "visuals"}
    assert {word for word in words - ideas if f"`{word}`" not in text} == set()


def test_every_shot_that_is_given_gets_its_picture_and_its_clip(run: Run, run_json: RunJson, example: Path) -> None:
    shots = ["a yellow tram", "coffee on a sill", "the river"]
    view = run_json("workflow", "show", str(example), "--task", "x", "--context", f"shots={json.dumps(shots)}")
    steps = {step["step"]: step for step in view["steps"]}
    assert [call["arguments"]["prompt"] for call in steps["clips"]["calls"]] == shots
    assert [call["arguments"]["duration"] for call in steps["clips"]["calls"]] == [2, 2, 2]
    assert len(steps["film"]["calls"][0]["arguments"]["images"]) == 3
    shown = run("workflow", "show", str(example), "--task", "x", "--context", f"shots={json.dumps(shots)}").stdout
    assert "a yellow tram, coffee on a sill, the river" in shown
    listed = run("workflow", "show", str(example)).stdout
    assert "shot by shot (a list)" in listed
    assert "Each of inputs.shots." in listed


@pytest.mark.parametrize(
    ("shots", "said"),
    [
        ([], "The task does not say shots (what is seen, shot by shot). Nothing was started. Give --context shots="),
        (["x"] * 9, "shots has 9 entries. Allowed: 1 to 8."),
        (5, 'shots is \'5\'. Allowed: a list of texts: ["first", "second"].'),
        ([["x"]], "shots[0] is 'x', and no text."),
    ],
)
def test_shots_that_cannot_be_are_refused_before_anything_starts(
    run: Run, run_json: RunJson, example: Path, shots: Any, said: str
) -> None:
    done = run("workflow", "run", str(example), "x", "--context", f"shots={json.dumps(shots)}", code=1)
    assert said in done.stderr
    assert run_json("agent", "list") == []


def test_a_shipped_one_can_be_begun_with(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(run("workflow", "show", "product_video", "--source").stdout, encoding="utf-8")
    assert "product_video has 5 steps" in run("workflow", "check", str(path)).stdout


def test_the_schema_is_printed_and_may_be_named_in_a_file(run: Run, tmp_path: Path) -> None:
    assert json.loads(run("workflow", "schema").stdout) == schema()
    step = {"id": "picture", "kind": "image", "arguments": {"prompt": "{task}"}}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"$schema": "workflow.json", "steps": [step]}), encoding="utf-8")
    assert "good. mine has 1 step" in run("workflow", "check", str(path)).stdout
