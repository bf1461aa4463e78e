"""What a task, its context and its session say of an agent's inputs."""

from typing import Any

import pytest

from darkroom.catalog.agents import agents
from darkroom.llm.handoff_facts import facts_of, questions


def heard(agent: str, task: str) -> dict[str, Any]:
    facts = facts_of(agents()[agent], task, {}, {})
    return {name: facts.known[name] for name in facts.heard}


@pytest.mark.parametrize(
    ("agent", "task", "known"),
    [
        ("video_storyboard", "storyboard in 9:16", {"ratio": "9:16"}),
        ("video_script", "a 30 second script", {"length": "30 s"}),
        ("video_script", "a script", {}),
        ("presentation", "a 15 minute talk", {"minutes": 15.0}),
        ("presentation", "a talk", {}),
        ("budget", "split 20k dollars over two lines", {"total": "20k dollars"}),
        ("approve", "get the poster approved by Friday", {"deadline": "by friday"}),
        ("rfp", "the bid closes on 14 May", {"deadline": "14 may"}),
        ("copy", "a caption for Instagram and the newsletter", {"channel": "instagram, newsletter"}),
        ("localization", "adapt it for Mexico and Japan", {"locale": "mexico, japan"}),
        ("copy", "a headline for busy parents", {"audience": "busy parents"}),
        ("copy", "a headline aimed at first-time buyers, short", {"audience": "first-time buyers"}),
        ("copy", "a headline for bread", {}),
        ("video_production", "a cat", {"storyboard": "one shot, as the task says"}),
        ("video_production", "produce our finished storyboard", {}),
        ("image", "a mug", {}),
        ("image", "a mug on a wet slate step at dawn", {"brief": "as the task says"}),
        ("prompt_helper", 'improve "a very cool picture of a nice car"', {"prompt": "as it stands in the task"}),
        ("prompt_helper", "improve my prompt", {}),
        ("instance_onboarding", "we make 100 pictures and 5 videos a month", {"output": "100 images, 5 videos"}),
        (
            "copy",
            "write a headline; offer: bread at 4 euros; voice: dry",
            {"offer": "bread at 4 euros", "voice": "dry"},
        ),
    ],
)
def test_inputs_are_heard_in_a_task(agent: str, task: str, known: dict[str, Any]) -> None:
    assert heard(agent, task) == known


def test_what_is_given_is_not_heard_again() -> None:
    facts = facts_of(agents()["video_storyboard"], "storyboard in 9:16", {"Ratio": "1:1"}, {"ratio": "16:9"})
    assert facts.get("ratio") == "1:1"
    assert facts.heard == ()
    assert facts.get("nothing", "RATIO") == "1:1"


def test_empty_values_are_not_known() -> None:
    context: dict[str, Any] = {"offer": "", "audience": " ", "proof": None, "voice": [], "channel": {}}
    facts = facts_of(agents()["copy"], "a line", context, {"offer": "bread"})
    assert facts.shown == {"offer": "bread"}
    assert [one["key"] for one in questions(agents()["copy"], facts)] == ["audience", "proof", "channel", "voice"]


def test_questions_read_as_questions() -> None:
    facts = facts_of(agents()["copy"], "a line", {}, {})
    first = questions(agents()["copy"], facts)[0]
    assert first == {
        "key": "offer",
        "question": "Offer? What is sold, price or terms, and the action; without it you can sharpen wording but not "
        "sell.",
        "required": True,
    }


def test_without_an_agent_only_what_was_given_is_known() -> None:
    facts = facts_of(None, "a 30 second script in 9:16", {"a": {"deep": 1, "secret": "x"}, "b": True}, {})
    assert facts.known == {"a": {"deep": 1, "secret": "[redacted]"}, "b": True}
