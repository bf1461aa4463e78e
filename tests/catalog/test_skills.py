"""Skills: the rules of the format, and the user's own folder."""

from pathlib import Path

import pytest

from darkroom.catalog import skills as module
from darkroom.catalog.documents import DocumentError
from darkroom.catalog.skills import Skills, read_skill
from helpers_skills import GOOD, write_skill


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The user's own folder."""
    folder = tmp_path / "mine"
    folder.mkdir()
    return folder


def test_a_skill_is_read_whole(tmp_path: Path) -> None:
    folder = write_skill(tmp_path, "film-cutting")
    (folder / "references").mkdir()
    (folder / "references" / "table.md").write_text("x")
    (folder / ".hidden").write_text("x")
    skill = read_skill(folder, tmp_path, own=True)
    assert (skill.id, skill.title, skill.category, skill.agent) == (
        "film_cutting", "Film cutting", "production", "video_production")  # fmt: skip
    assert (skill.aliases, skill.match, skill.own) == (("splice", "joining"), ("edit", "cut", "montage"), True)
    assert skill.use_cases == ("Three clips must become one",)
    assert skill.not_for == ("sound (use `voiceover_direction`)",)
    assert [(item.key, item.text, item.heard) for item in skill.questions] == [
        ("length", "How long may it be?", ("seconds", "half a minute")),
        ("question_2", "Anything else?", ()),
    ]
    assert (skill.intro, skill.method) == ("Cut on the move.", "1. Lay the clips out.")
    assert (skill.deliverables, skill.best_practices, skill.mistakes, skill.quality_bar) == (
        ("one film",), ("Cut early.",), ("Cutting late.",), ("Does it hold?",))  # fmt: skip
    assert (skill.calls[0].tool, skill.calls[0].arguments["duration"]) == ("generate_video", 5)
    assert skill.files == ("SKILL.md", "references/table.md")


def test_a_skill_of_any_form_is_read(tmp_path: Path) -> None:
    text = "---\nname: plain\ndescription: Does something.\nversion: 2\n---\nJust do it.\n"
    skill = read_skill(write_skill(tmp_path, "plain", text), tmp_path)
    assert (skill.id, skill.title, skill.category, skill.agent) == ("plain", "Plain", "other", None)
    assert (skill.questions, skill.calls, skill.body) == ((), (), "Just do it.")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("name: cut-it", "name: Cut_It"), "small letters"),
        (("name: cut-it", "name: cut--it"), "small letters"),
        (("name: cut-it", f"name: {'a' * 65}"), "small letters"),
        (("name: cut-it", "name: 5"), "small letters"),
        (("name: cut-it\n", ""), "small letters"),
        (("name: cut-it", "name: other"), "both must be the same"),
        (("description: Cuts film. Use when clips must be joined.", "description: ''"), "description must be"),
        (("description: Cuts film. Use when clips must be joined.", f"description: {'a' * 1025}"), "description must"),
        (("category: production", "category: [a]"), "metadata must hold texts only"),
        (("metadata:", "metadata: 5\nother:"), "metadata must hold texts only"),
        (('[{"tool"', '[{"too"'), "Next calls cannot be read"),
        (('[{"tool"', "[{"), "Next calls cannot be read"),
    ],
)
def test_a_broken_rule_is_named(tmp_path: Path, change: tuple[str, str], why: str) -> None:
    text = GOOD.format(name="cut-it", id="cut_it").replace(*change)
    with pytest.raises(DocumentError, match=why):
        read_skill(write_skill(tmp_path, "cut-it", text), tmp_path)


def test_bounds_of_a_folder_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILES_MAX", 2)
    folder = write_skill(tmp_path, "cut-it")
    (folder / "a.md").write_text("x")
    read_skill(folder, tmp_path)
    (folder / "b.md").write_text("x")
    with pytest.raises(DocumentError, match="more than 2 files"):
        read_skill(folder, tmp_path)


def test_links_that_lead_out_are_left(tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("secret")
    root = tmp_path / "skills"
    folder = write_skill(root, "cut-it")
    (folder / "link.md").symlink_to(secret)
    assert read_skill(folder, root).files == ("SKILL.md",)
    (root / "away").symlink_to(write_skill(tmp_path / "elsewhere", "away"))
    with pytest.raises(DocumentError, match="leads out of"):
        read_skill(root / "away", root)


def test_the_users_folder_is_read_again_when_it_changes(mine: Path) -> None:
    skills = Skills(mine)
    shipped = len(skills)
    assert "cut_it" not in skills
    write_skill(mine, "cut-it")
    assert skills["cut_it"].own
    assert len(skills) == shipped + 1
    write_skill(mine, "cut-it", GOOD.format(name="cut-it", id="cut_it").replace("Cut on the move.", "Cut on sound."))
    assert skills["cut_it"].intro == "Cut on sound."
    assert skills.current() is skills.current()
    (mine / "cut-it" / "SKILL.md").unlink()
    assert "cut_it" not in skills
    assert skills.problems == ["skill cut-it: left out, since there is no SKILL.md"]


def test_a_broken_skill_disturbs_no_other(mine: Path) -> None:
    write_skill(mine, "Bad_Name")
    write_skill(mine, "broken", "no front matter")
    write_skill(mine, "good")
    write_skill(mine, "twin", skill_id="good")
    (mine / ".git").mkdir()
    (mine / "README.md").write_text("x")
    skills = Skills(mine)
    assert [skill.id for skill in skills.values() if skill.own] == ["good"]
    assert set(skills.refused) == {"Bad_Name", "broken", "twin"}


def test_a_skill_of_the_users_takes_the_place_of_a_shipped_one(mine: Path) -> None:
    count = len(Skills())
    write_skill(mine, "copywriting")
    skills = Skills(mine)
    assert (skills["copywriting"].own, len(skills)) == (True, count)


def test_a_folder_that_is_none_is_reported(mine: Path) -> None:
    skills = Skills(mine / "none")
    assert len(skills) == len(Skills())
    assert "is not a folder" in skills.problems[0]
