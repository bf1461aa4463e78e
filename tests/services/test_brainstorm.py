"""Brainstorms: frameworks chosen and filled."""

from typing import Any

import pytest

from darkroom.catalog.frameworks import families, slots_of, tasks
from darkroom.errors import InvalidRequest
from darkroom.services.brainstorm import ANGLES, HEADLINES, PROPOSITIONS, Brainstorm, brainstorm

SAID = {"task_type": "landing_page", "market_stage": "crowded", "audience": "B2B SaaS founders",
        "product": "Analytics platform"}  # fmt: skip


def lines(found: Brainstorm) -> list[str]:
    return [idea.line for idea in (*found.angles, *found.headlines, *found.propositions, found.structure)]


@pytest.mark.parametrize("task", sorted(tasks()))
@pytest.mark.parametrize("stage", ["new", "growing", "crowded", "jaded", "mature"])
def test_every_task_at_every_stage_is_filled(task: str, stage: str) -> None:
    found = brainstorm({**SAID, "task_type": task, "market_stage": stage}, {})
    assert (len(found.angles), len(found.headlines), len(found.propositions)) == (ANGLES, HEADLINES, PROPOSITIONS)
    assert len({idea.line for idea in found.headlines}) == HEADLINES
    assert [idea.entry.id for idea in found.angles][: len(found.stage.angles)] == list(found.stage.angles)[:ANGLES]
    for line in lines(found):
        assert not slots_of(line), line
    assert any("Analytics platform" in line or "B2B SaaS founders" in line for line in lines(found))
    assert found.market == "analytics" or "analytic" in found.market
    assert found.checklist
    assert found.next_calls[0].arguments["skill"] == tasks()[task].skills[0]


def test_stages_differ() -> None:
    crowded, mature = (brainstorm({**SAID, "market_stage": stage}, {}) for stage in ("crowded", "mature"))
    assert [idea.entry.id for idea in crowded.angles] != [idea.entry.id for idea in mature.angles]
    assert [idea.entry.id for idea in crowded.headlines] != [idea.entry.id for idea in mature.headlines]


def test_words_of_the_user_take_the_place_of_assumed_ones() -> None:
    before = brainstorm(SAID, {})
    assert "outcome" in before.assumed
    after = brainstorm({**SAID, "outcome": "see churn a week early"}, {"pain": "guessing", "colour": "red"})
    assert {"outcome", "pain"} & set(after.assumed) == set()
    assert any("see churn a week early" in line.lower() for line in lines(after))
    ask, assumed = before.assumed["outcome"]
    assert "?" in ask
    assert any(assumed.lower() in line.lower() for line in lines(before))


def test_the_trade_is_that_of_the_product_and_not_of_its_buyers() -> None:
    product = {**SAID, "product": "Chairlog appointment software", "audience": "dentists"}
    assert brainstorm(product, {}).market != "clinic"
    assert brainstorm({"task_type": "ads", "audience": "dentists"}, {}).market == brainstorm(
        {"task_type": "ads", "product": "a dental practice"}, {}).market  # fmt: skip


def test_what_is_not_said_is_assumed_and_told() -> None:
    found = brainstorm({"task_type": "email"}, {})
    assert (found.stage.id, found.market) == ("crowded", "general")
    assert len(found.warnings) == 3
    assert brainstorm({}, {}, "emails for my bakery").task.id == "email"


@pytest.mark.parametrize("name", ["landing_page", "Landing page", "landing-page", "website", "page"])
def test_task_types_have_many_spellings(name: str) -> None:
    assert brainstorm({**SAID, "task_type": name}, {}).task.id == "landing_page"


@pytest.mark.parametrize(
    ("wrong", "field", "text"),
    [
        ({"task_type": "lunch"}, "brainstorm.task_type", "Did you mean 'launch'"),
        ({"task_type": ""}, "brainstorm.task_type", "needs a task_type"),
        ({"market_stage": "crowdy"}, "brainstorm.market_stage", "Did you mean 'crowded'"),
        ({"audiense": "x"}, "brainstorm", "Did you mean 'audience'"),
    ],
)
def test_wrong_words_are_refused_with_what_there_is(wrong: dict[str, Any], field: str, text: str) -> None:
    with pytest.raises(InvalidRequest, match=text) as caught:
        brainstorm({**SAID, **wrong}, {})
    assert (caught.value.field, bool(caught.value.allowed)) == (field, True)


def test_a_video_has_pictures_in_mind() -> None:
    found = brainstorm({**SAID, "task_type": "video"}, {})
    assert found.visuals
    assert all(not slots_of(idea.line) for idea in found.visuals)
    assert {f"{name}/{entry.id}" for name, family in families().items() for entry in family.entries} >= set(
        tasks()["video"].visuals
    )
