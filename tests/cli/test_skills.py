"""`darkroom skills`, `skill` and `agents`, as a person uses them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from darkroom.catalog.agents import agents
from darkroom.catalog.skills import Skills
from helpers_skills import write_skill

Run = Callable[..., Result]
RunJson = Callable[..., Any]


def test_skills_are_listed(run: Run, run_json: RunJson) -> None:
    assert {row["skill"] for row in run_json("skills")} == set(Skills())
    assert {row["category"] for row in run_json("skills", "--category", "email")} == {"email"}
    assert "email_sequence" in run("skills", "drip", "campaign").stdout.splitlines()[1]
    assert "No skill fits" in run("skills", "xyzzy").stderr
    assert "There is no category" in run("skills", "--category", "nope", code=1).stderr


def test_a_skill_is_shown_and_invoked(run: Run, run_json: RunJson) -> None:
    shown = run("skill", "show", "email-sequence").stdout
    assert "Key questions" in shown
    last = Skills()["email_sequence"].quality_bar[-1].split()[-1]
    assert last in shown, "lines are wrapped, and not cut"
    assert run_json("skill", "show", "email-sequence")["skill"] == "email_sequence"
    done = run("skill", "invoke", "email_sequence", "Mails for Lumen", "--with", "product=Lumen")
    assert "Mails for Lumen" in done.stdout
    assert "Next calls:" in done.stdout
    view = run_json("skill", "invoke", "email_sequence", "--with", "product=Lumen")
    assert view["context"]["known"] == {"product": "Lumen"}
    assert "There is no skill" in run("skill", "show", "emial", code=1).stderr
    assert "input is empty" in run("skill", "invoke", "email_sequence", code=1).stderr
    assert "name=value" in run("skill", "invoke", "email_sequence", "--with", "product", code=2).stderr


def test_a_brainstorm_is_printed(run: Run) -> None:
    done = run("skill", "invoke", "launch", "--brainstorm", "launch", "--with", "product=Lumen")
    assert "Lumen" in done.stdout
    assert "Headlines:" in done.stdout


def test_skills_of_ones_own_are_checked(run: Run, tmp_path: Path) -> None:
    good = write_skill(tmp_path, "film-cutting")
    assert "good (2 questions, 1 next calls, 1 files)" in run("skill", "validate", str(good)).stdout
    assert "good" in run("skill", "validate", str(good / "SKILL.md")).stdout
    odd = write_skill(tmp_path / "odd", "odd-call")
    (odd / "SKILL.md").write_text((odd / "SKILL.md").read_text().replace("generate_video", "delete_everything"))
    assert "no such tool" in run("skill", "validate", str(odd), code=1).stderr
    bad = write_skill(tmp_path, "Bad_One")
    done = run("skill", "validate", str(tmp_path), code=1)
    assert f"{bad}: name is" in done.stderr
    assert f"{good}: good" in done.stdout
    (tmp_path / "empty").mkdir()
    assert "There is no skill" in run("skill", "validate", str(tmp_path / "empty"), code=2).stderr
    assert "there is no SKILL.md" in run("skill", "validate", str(tmp_path / "none"), code=1).stderr


def test_problems_of_the_users_folder_are_told(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_SKILLS_DIR", str(tmp_path))
    write_skill(tmp_path, "Bad_One")
    assert "skill Bad_One: left out" in run("skills").stderr
    assert "Bad_One" in run("doctor").stdout


def test_agents_are_listed_recommended_and_shown(run: Run, run_json: RunJson) -> None:
    assert {row["agent"] for row in run_json("agents")} == set(agents())
    assert {row["tier"] for row in run_json("agents", "--tier", "premium")} == {"premium"}
    assert {row["layer"] for row in run_json("agents", "picture", "--layer", "studio")} == {"studio"}
    best = run_json("agents", "I need a product video for sneakers")
    assert best[0]["agent"] == "video_production"
    assert "video_production" in run("agents", "a product video").stdout
    assert "No agent fits" in run("agents", "xyzzy").stderr
    shown = run("agents", "--show", "image_agent").stdout
    assert "Image agent" in shown
    assert "Limits" in shown
    assert run_json("agents", "--show", "image")["agent"] == "image"
    assert "There is no agent" in run("agents", "--show", "imge_", code=1).stderr
    assert "There is no tier" in run("agents", "--tier", "gold", code=1).stderr
