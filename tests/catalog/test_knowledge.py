"""Everything that is shipped as knowledge: rules kept, references resolved, no two files alike."""

import re
from pathlib import Path
from typing import Any, cast

import pytest
from skills_ref import validate  # pyright: ignore[reportMissingTypeStubs]

from darkroom.catalog.agents import TIERS, agents
from darkroom.catalog.data import manifests_dir
from darkroom.catalog.frameworks import families, filled, slots_of, tasks, words
from darkroom.catalog.skills import Skill, Skills
from darkroom.server.schema import parse
from darkroom.server.tools import TOOLS
from helpers_knowledge import skill_library

SKILLS = Skills()
TOOLS_BY_NAME = {tool.name: tool for tool in TOOLS}
COMMON = {"product", "audience", "brand", "input", "market_stage"}
OLD_NAMES = {
    "email_sequence": "email_sequence",
    "landing_page_cro": "landing_page_cro",
    "page_cro": "landing_page_cro",
    "email-sequence": "email_sequence",
    "Landing Page CRO": "landing_page_cro",
}
EVERY_SKILL = pytest.mark.parametrize("skill", SKILLS.values(), ids=lambda skill: skill.name)


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for part in cast("dict[str, Any]", value).values() for text in texts(part)]
    return [text for part in cast("list[Any]", value) for text in texts(part)] if isinstance(value, list) else []


@EVERY_SKILL
def test_a_skill_keeps_the_rules_of_the_format(skill: Skill) -> None:
    assert validate(skill.folder) == []
    assert len(skill.body.splitlines()) < 500


@EVERY_SKILL
def test_a_skill_says_all_that_a_skill_says(skill: Skill) -> None:
    for part in (skill.use_cases, skill.not_for, skill.questions, skill.method, skill.deliverables,
                 skill.best_practices, skill.mistakes, skill.quality_bar, skill.calls, skill.match):  # fmt: skip
        assert part
    assert all(question.heard for question in skill.questions)
    assert skill.agent in agents()
    assert set(skill.frameworks) <= set(families())
    for name in skill.files[1:]:
        assert name in skill.body, f"{name} is not mentioned"
    for line in skill.not_for:
        assert set(re.findall(r"`(\w+)`", line)) <= set(SKILLS)


@EVERY_SKILL
def test_every_call_of_a_skill_is_one_that_the_tool_takes(skill: Skill) -> None:
    keys = COMMON | {question.key for question in skill.questions}
    library = skill_library()
    for known in ({"goal": "x"}, dict.fromkeys(keys - {"input"}, "five words of an answer")):
        for call in library.invoke(skill, "a film for a bakery", known).next_calls:
            parse(TOOLS_BY_NAME[call.tool].args, call.arguments)
            assert not re.search(r"[{}]", "".join(texts(call.arguments))), call
            if call.tool == "invoke_skill":
                assert call.arguments["skill"] in SKILLS
    for call in skill.calls:
        for place in re.findall(r"\{(\w+)\|", "".join(texts(dict(call.arguments)))):
            assert place in keys


def test_old_names_and_spellings_lead_to_their_skill() -> None:
    library = skill_library()
    for name, skill_id in OLD_NAMES.items():
        assert library.get(name).id == skill_id


def test_names_of_skills_and_agents_are_unique() -> None:
    for several in (SKILLS.values(), agents().values()):
        names = [name for item in several for name in (item.id, *item.aliases)]
        assert len(names) == len(set(names))


def test_every_agent_is_whole() -> None:
    for agent in agents().values():
        assert agent.tier in TIERS
        assert agent.role, agent.id
        assert agent.inputs, agent.id
        assert agent.method, agent.id
        assert agent.output, agent.id
        assert agent.limits, agent.id
        assert set(agent.tools) <= set(TOOLS_BY_NAME), agent.id
        assert set(agent.skills) <= {skill.name for skill in SKILLS.values()}, agent.id
        assert {f"{agent.id}_agent", *agent.aliases}, agent.id


def sentences(text: str) -> set[str]:
    """Return the sentences of five words or more, without what stands in fences and tables."""
    text = re.sub(r"```.*?```", " ", text, flags=re.DOTALL)
    lines = (re.sub(r"^\s*(?:[-*]|\d+\.)\s+", "", line) for line in text.splitlines() if not line.startswith("|"))
    found = (
        " ".join(re.findall(r"[a-z0-9']+", part.lower())) for line in lines for part in re.split(r"(?<=[.!?])\s+", line)
    )
    return {sentence for sentence in found if sentence.count(" ") >= 4}


def test_no_two_files_share_a_sentence() -> None:
    owners: dict[str, str] = {}
    bodies = {f"agent {agent.id}": agent.prompt for agent in agents().values()}
    for folder in sorted(manifests_dir("skills").iterdir()):
        parts = [path.read_text("utf-8").split("\n---\n")[-1] for path in sorted(folder.rglob("*.md"))]
        bodies[f"skill {folder.name}"] = "\n".join(parts)
    for name, body in bodies.items():
        for sentence in sentences(body):
            assert owners.setdefault(sentence, name) == name, f"{name} and {owners[sentence]}: {sentence}"


# Frameworks.


def test_every_template_can_be_filled_for_every_market() -> None:
    book = words()
    for family in families().values():
        for entry in family.entries:
            for slot in entry.slots:
                assert slot in book.slots or slot in book.visual_slots, (entry.id, slot)
    said = {"product": "Lumen", "audience": "founders"}
    for market in book.markets:
        assert set(market.words) == set(book.slots) - set(said), market.id
        for family in families().values():
            for entry in family.entries:
                if set(entry.slots) <= set(book.slots):
                    assert not slots_of(filled(entry.template or "", {**market.words, **said}))


def test_references_between_frameworks_resolve() -> None:
    known = {f"{name}/{entry.id}" for name, family in families().items() for entry in family.entries}
    stages = set(families()["market_stages"].by_id)
    for family in families().values():
        assert len(family.by_id) == len(family.entries)
        for entry in family.entries:
            assert set(entry.pairs_with) <= known, entry.id
            assert set(entry.best_for) <= stages, entry.id
            assert {f"positioning_angles/{angle}" for angle in entry.angles} <= known, entry.id
    for task in tasks().values():
        assert {f"copy_frameworks/{name}" for name in task.structures} <= known
        assert {f"headline_formulas/{name}" for name in task.headlines} <= known
        assert set(task.visuals) <= known
        assert set(task.skills) <= set(SKILLS)


def test_the_texts_of_the_seeds_are_there() -> None:
    found = families()
    assert found["positioning_angles"].entry("contrarian").template is not None
    assert found["headline_formulas"].entry("how_to").template is not None
    assert found["value_propositions"].entry("classic").template is not None
    assert list(found["market_stages"].by_id) == ["new", "growing", "crowded", "jaded", "mature"]
    assert {"landing_page", "email", "pricing", "launch"} <= set(tasks())


@pytest.mark.skipif(not (Path(__file__).parents[3] / "shared").is_dir(), reason="the reference is not here")
def test_every_skill_and_agent_of_the_reference_is_there() -> None:
    import json

    data = Path(__file__).parents[3] / "shared" / "reference" / "data"
    wanted = {row["id"]: row for row in json.loads((data / "agents.json").read_text("utf-8"))["agents"]}
    assert set(wanted) == set(agents())
    for name, row in wanted.items():
        assert (agents()[name].layer, agents()[name].tier) == (row["layer"], row["tier"])
    rows = {row["id"]: row for row in json.loads((data / "skills.json").read_text("utf-8"))["skills"]}
    assert set(rows) == set(SKILLS)
    for name, row in rows.items():
        assert (SKILLS[name].name, SKILLS[name].category, SKILLS[name].agent) == (
            row["spec_name"], row["category"], row["agent"])  # fmt: skip
