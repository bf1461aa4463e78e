"""The catalogue of agents."""

import pytest

from darkroom.catalog.agents import agents
from darkroom.domain.kinds import Kind
from darkroom.errors import InvalidRequest
from helpers_knowledge import agent_catalogue
from helpers_pricing import catalogue

AGENTS = agent_catalogue(catalogue())


def test_agents_are_listed_by_layer_tier_and_words() -> None:
    every = AGENTS.select()
    assert {agent.id for agent in every} == set(agents())
    assert [agent.layer for agent in every] == sorted(agent.layer for agent in every)
    studio = AGENTS.select(layer="studio")
    assert {agent.id for agent in studio} == {"presentation", "copy", "image"}
    assert {agent.id for agent in AGENTS.select(tier="premium")} == {"legal", "forecast", "budget", "knowledge"}
    video = [agent.id for agent in AGENTS.select(search="video")]
    assert "video_production" in video[:3]
    assert "invoice" not in video
    assert AGENTS.select(layer="studio", search="picture")[0].id == "image"


@pytest.mark.parametrize(("wrong", "field"), [({"layer": "studo"}, "layer"), ({"tier": "gold"}, "tier")])
def test_an_unknown_filter_names_what_there_is(wrong: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequest, match="There is no") as caught:
        AGENTS.select(**wrong)
    assert caught.value.field == field
    assert caught.value.allowed


@pytest.mark.parametrize("name", ["image", "image_agent", "Image Agent", "IMAGE", "image-agent"])
def test_every_spelling_finds_an_agent(name: str) -> None:
    assert AGENTS.find(name).id == "image"


def test_an_unknown_agent_names_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match="Did you mean 'video_production'"):
        AGENTS.find("video_producton")
    with pytest.raises(InvalidRequest, match="invoice may be whom you want"):
        AGENTS.find("bill the client for what we used")


def test_a_name_that_resembles_none_names_none() -> None:
    for name in ("nobody", "foo", "zzz", "chef"):
        with pytest.raises(InvalidRequest) as caught:
            AGENTS.find(name)
        assert caught.value.message == f"There is no agent {name!r}."
        assert caught.value.hint is not None
        assert "darkroom://agents lists all" in caught.value.hint
        assert "agent='?') ranks those that fit" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("media", "Did you mean 'media_buying'?"),
        ("social", "social_analytics or social_listening may be whom you want."),
        ("Script agent", "Did you mean 'video_script'?"),
        ("brand", "brand_guidelines or brand_performance or brand_visual may be whom you want."),
    ],
)
def test_a_part_of_a_name_names_those_that_have_it(name: str, meant: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        AGENTS.find(name)
    assert caught.value.message == f"There is no agent {name!r}. {meant}"


def test_a_letter_is_no_part_of_a_name() -> None:
    for name in ("v", "..."):
        with pytest.raises(InvalidRequest) as caught:
            AGENTS.find(name)
        assert "may be" not in caught.value.message


def test_tiers_hold_every_agent_once() -> None:
    tiers = AGENTS.tiers()
    assert list(tiers) == ["premium", "standard", "economy"]
    assert sorted(name for names in tiers.values() for name in names) == sorted(agents())


def test_needs_say_who_is_ready_and_what_is_missing() -> None:
    agent = agents()["video_production"]
    needs = {need.kind: need for need in AGENTS.needs(agent)}
    assert set(needs) == set(agent.needs)
    assert needs[Kind.VIDEO].ready == ("acme",)
    assert set(needs[Kind.VIDEO].missing) == {"later"}
    assert needs[Kind.VIDEO].missing["later"]


def test_nothing_is_recommended_for_nothing() -> None:
    assert AGENTS.recommend("") == []
    assert len(AGENTS.recommend("video image script brief", limit=2)) == 2
