"""The brief that a caller carries out where no language model of ours is configured."""

import json
from typing import Any

import pytest

from darkroom.catalog.agents import agents
from darkroom.catalog.data import requests
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Message
from darkroom.llm.handoff import FIELDS, HandOff, text
from darkroom.llm.handoff_modes import INVENTED
from helpers_handoff import LIVE, Desk, calls

DRAFTS = Desk()
PAID, PAID_TOO = Desk(LIVE), Desk(LIVE)
ALWAYS = ("role", "task", "constraints", "method", "deliverables")
TASKS = [(name, task) for name in agents() for task in requests("agents")[name][:3]]
LARGEST = 8_000
"""Bytes of a usual brief as JSON."""


def size(brief: dict[str, Any]) -> int:
    return len(json.dumps(brief, ensure_ascii=False, separators=(",", ":")).encode())


@pytest.mark.parametrize(("name", "task"), TASKS)
def test_every_agent_has_a_whole_brief_for_its_tasks(name: str, task: str) -> None:
    desk = PAID if task == requests("agents")[name][1] else DRAFTS
    brief = desk.brief(name, task)
    assert all(brief[key] for key in ALWAYS)
    assert brief["agent"] == name
    assert brief["method"] == list(agents()[name].method)
    assert "candidates" not in brief
    inputs = {item.name for item in agents()[name].inputs}
    open_keys = {one["key"] for one in brief.get("questions", [])}
    dropped = {"budget", "max_cost"} if name in ("image", "video_production") else set[str]()
    assert open_keys | set(brief.get("from_task", [])) | dropped >= inputs
    assert open_keys.isdisjoint(brief.get("from_task", []))
    for call in brief.get("next_calls", []):
        desk.check(call)
        assert "would be refused" not in call["why"]
    assert size(brief) <= LARGEST
    assert 1_000 < len(text(brief)) <= 6_000


@pytest.mark.parametrize("name", agents())
def test_a_brief_is_the_same_every_time(name: str) -> None:
    task = requests("agents")[name][2]
    brief = PAID.brief(name, task)
    assert brief == PAID_TOO.brief(name, task)
    for call in brief.get("next_calls", []):
        PAID.check(call)


@pytest.mark.parametrize("name", [name for name, agent in agents().items() if agent.skills])
def test_agents_with_skills_name_them_and_call_the_best(name: str) -> None:
    brief = DRAFTS.brief(name, requests("agents")[name][0])
    assert {one["skill"] for one in brief["skills"]} <= {skill.replace("-", "_") for skill in agents()[name].skills}
    assert calls(brief, "invoke_skill")[0]["arguments"]["skill"] == brief["skills"][0]["skill"]


def test_what_the_context_knows_is_not_asked() -> None:
    asked = {one["key"] for one in DRAFTS.brief("copy", "write a headline")["questions"]}
    assert {"offer", "audience"} <= asked
    brief = DRAFTS.brief("copy", "write a headline", context={"Offer": "a scheduling app, 9 dollars a month"})
    assert {one["key"] for one in brief["questions"]} == asked - {"offer"}
    assert brief["context"]["Offer"] == "a scheduling app, 9 dollars a month"


def test_what_the_session_was_told_is_not_asked_again_and_the_context_wins() -> None:
    answers = {"organisation": "a bakery of five", "environment": "Cursor"}
    brief = DRAFTS.brief(
        "instance_onboarding", "set up this server", answers=answers, context={"environment": "VS Code"}
    )
    assert brief["context"] == {"environment": "VS Code", "organisation": "a bakery of five"}
    assert {"organisation", "environment"}.isdisjoint(one["key"] for one in brief["questions"])
    assert [one["key"] for one in brief["questions"] if one["required"]] == ["output"]


def test_onboarding_says_how_answers_are_given_to_the_session() -> None:
    brief = DRAFTS.brief("onboarding", "we just signed a client", session_id="ses_1")
    (more,) = calls(brief, "run_agent")
    assert more["arguments"] == {"task": "we just signed a client", "agent": "onboarding", "session_id": "ses_1"}
    assert more["missing"] == ["context"]
    assert "contract, contacts, team" in more["why"]
    known: dict[str, Any] = {item.name: "known" for item in agents()["onboarding"].inputs}
    assert not calls(DRAFTS.brief("onboarding", "we just signed", session_id="s", context=known), "run_agent")
    assert not calls(DRAFTS.brief("onboarding", "we just signed a client"), "run_agent")


def test_required_questions_come_first() -> None:
    required = [one["required"] for one in DRAFTS.brief("video_storyboard", "a storyboard")["questions"]]
    assert required == sorted(required, reverse=True)
    assert any(required)


def test_a_new_server_is_tried_with_a_free_picture() -> None:
    brief = PAID.brief("instance_onboarding", "which keys do we need for 100 pictures a month?")
    assert calls(brief, "generate_image")[0]["arguments"]["provider"] == "draft"
    assert calls(brief, "estimate_credits")[0]["arguments"] == {"operation": "month", "usage": {"images": 100}}
    assert brief["context"]["output"] == "100 images"


def test_without_an_agent_the_best_takes_over_and_others_are_named() -> None:
    brief = DRAFTS.brief(None, "Write a headline for dentists")
    assert brief["agent"] == "copy"
    assert len(brief["candidates"]) == 3
    assert brief["candidates"][0]["agent"] == "copy"
    assert 0 < brief["candidates"][0]["confidence"] <= 1
    assert brief["candidates"][0]["reason"]
    assert brief["constraints"]["assumed"].startswith("No agent was named")
    assert "candidates has others" in text(brief)
    assert "- copy (" not in text(brief)


def test_without_an_agent_that_fits_the_caller_does_it() -> None:
    brief = DRAFTS.brief(None, "Tell me a story about a brave knight")
    assert "agent" not in brief
    assert brief["role"].startswith("You are the caller's own assistant")
    assert "next_calls" not in brief
    assert "None: write the answer yourself." in text(brief)


def test_an_agent_that_may_be_meant_is_one_call_away() -> None:
    task, best = next(
        (task, best[0])
        for tasks in map(requests("agents").__getitem__, agents())
        for task in tasks
        if (best := DRAFTS.agents.recommend(task[:18], limit=1)) and 0.4 <= best[0].confidence < 0.45
    )
    (call,) = calls(DRAFTS.brief(None, task[:18], session_id="ses_1"), "run_agent")
    assert call["arguments"] == {"task": task[:18].strip(), "agent": best.agent.id, "session_id": "ses_1"}


def test_nothing_at_all_still_gives_a_brief() -> None:
    brief = DRAFTS.brief(None, "  ")
    assert set(brief) == {"role", "method", "deliverables"}
    assert "TASK\nNone was said; ask for it." in text(brief)
    assert DRAFTS.brief("image", "")["questions"]


def test_a_long_context_is_clipped_with_words() -> None:
    context = {"notes": "n" * 10_000, **{f"fact_{number}": f"{number} " * 200 for number in range(30)}}
    brief = DRAFTS.brief("copy", "write a headline", context=context)
    assert "9,400 more letters: read them where you gave them" in brief["context"]["notes"]
    assert brief["left_out"].startswith("Not repeated here, since it is long; use what you gave: fact_")
    assert "more." in brief["left_out"]
    assert brief["left_out"] in text(brief)
    assert size(brief) < 20_000
    short = DRAFTS.brief("copy", "write a headline", context={"a": "x" * 3_500, "b": 1, "c": [2], "d": "y" * 2_700})
    assert "left_out" not in short


def test_one_fact_too_many_is_named() -> None:
    context = {**{f"fact_{number}": "x" * 600 for number in range(5)}, "last": "y" * 100}
    assert DRAFTS.brief("copy", "write", context=context)["left_out"].endswith("use what you gave: last.")


def test_a_long_task_is_clipped_with_words() -> None:
    brief = DRAFTS.brief("rfp", "Tender:\n\n" + "every must and shall\n" * 500)
    assert brief["task"].endswith("more letters)")
    assert brief["context"]["rfp_text"] == "as it stands in the task"
    assert len(brief["task"]) < 1_300
    for call in brief["next_calls"]:
        DRAFTS.check(call)


def test_the_conversation_so_far_is_told_in_short() -> None:
    history = [
        Message(role="user" if number % 2 == 0 else "assistant", content=f"message {number} " + "x" * 400)
        for number in range(9)
    ]
    brief = DRAFTS.brief("copy", "shorter please", history=history)
    assert brief["history"]["messages"] == 9
    assert brief["history"]["began"].startswith("message 0")
    assert [one["content"][:9] for one in brief["history"]["latest"]] == [f"message {number}" for number in range(3, 9)]
    assert all(len(one["content"]) <= 280 for one in brief["history"]["latest"])
    assert "SO FAR (9 messages)" in text(brief)
    assert "began: message 0" in text(brief)
    assert "began" not in DRAFTS.brief("copy", "shorter", history=history[:2])["history"]


def test_returned_fields_are_named() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {
            "headline": {"type": "string", "description": "at most 30 letters"},
            "scenes": {"type": "array", "items": {"type": "object", "properties": {"prompt": {}, "seconds": {}}}},
            "score": {"type": "number"},
        },
    }
    returns = DRAFTS.brief("copy", "write a headline", returns=schema)["returns"]
    assert returns["how"] == "Answer with one JSON object with exactly these fields: headline, scenes, score."
    assert returns["fields"] == {
        "headline": "string: at most 30 letters",
        "scenes": "list of object with prompt, seconds",
        "score": "number",
    }
    simple = DRAFTS.brief("copy", "write a headline", returns={"headline": "at most 30 letters"})
    assert simple["returns"]["fields"] == {"headline": "at most 30 letters"}
    assert "- headline: at most 30 letters" in text(simple)
    many = DRAFTS.brief("copy", "write", returns={f"field_{number}": "text" for number in range(99)})
    assert len(many["returns"]["fields"]) == FIELDS
    assert "returns" not in DRAFTS.brief("copy", "write", returns={})


def test_no_secret_reaches_a_brief() -> None:
    key = "sk-live-0123456789abcdefghij"
    context: dict[str, Any] = {
        "api_key": "short",
        "notes": f"our key is {key}",
        "accounts": {"fal": {"token": "abc"}, "names": [f"Bearer {key}9"]},
    }
    history = [Message(role="user", content=f"use {key}")]
    brief = PAID.brief("image", f"Picture of a mug, {key}", context=context, history=history)
    said = json.dumps(brief) + text(brief)
    assert key not in said
    assert '"abc"' not in said
    assert "short" not in json.dumps(brief["context"])
    assert LIVE["FAL_KEY"] not in said
    assert brief["context"]["api_key"] == "[redacted]"
    assert "api_key" not in calls(brief, "invoke_skill")[0]["arguments"]["context"]


def test_what_is_configured_is_told() -> None:
    assert "drafts only, free and labelled as drafts. For real ones: " in str(
        DRAFTS.brief("image", "a mug")["constraints"]
    )
    assert "image: ready at fal." in PAID.brief("image", "a mug")["constraints"]["media"]
    assert any("no tool of this server" in one for one in PAID.brief("presentation", "slides")["constraints"]["media"])
    nobody = HandOff(agents=Desk(LIVE).agents, skills=PAID.skills, routes=PAID.routes, settings=PAID.settings)
    assert "product_video" not in str(
        nobody.brief(agent=agents()["video_production"], task="a 40 second video of rain")
    )


def test_caps_are_told() -> None:
    desk = Desk(LIVE, max_cost="0.5", daily_budget="5", monthly_budget="50", confirm_above="0.2")
    assert desk.brief("image", "Picture of a mug", max_cost=MicroUsd(2_000_000))["constraints"]["money"] == [
        "All calls together may cost at most $2.00.",
        "One call may cost at most $0.50.",
        "A day's budget is $5.00.",
        "A month's budget is $50.00.",
        "The user is to be asked before a call that may cost more than $0.20.",
    ]
    free = desk.brief("image", "Picture of a mug", max_cost=MicroUsd(0))
    assert free["constraints"]["money"][0] == "Nothing may be spent: only free calls, which make drafts."
    (call,) = calls(free, "generate_image")
    assert call["arguments"]["max_cost"] == 0
    assert "Free: a draft" in call["why"]


def test_money_is_asked_for_only_where_something_costs() -> None:
    assert "max_cost" not in [one["key"] for one in DRAFTS.brief("image", "a mug")["questions"]]
    assert "max_cost" in [one["key"] for one in PAID.brief("image", "a mug")["questions"]]
    capped = PAID.brief("image", "a mug", max_cost=MicroUsd(1_000_000))
    assert "max_cost" not in [one["key"] for one in capped["questions"]]


def test_the_words_of_a_large_brief_give_way_in_order() -> None:
    brief = DRAFTS.brief("copy", "write a headline")
    assert "FRAMEWORKS" in text(brief)
    known = {f"fact_{number}": "x" * 500 for number in range(3)}
    less = text({**brief, "context": known})
    assert "FRAMEWORKS" not in less
    assert brief["method"][4] in less
    least = text({**brief, "context": {f"fact_{number}": "x" * 500 for number in range(5)}})
    assert brief["method"][4] not in least
    assert len(text({**brief, "context": {"all": "x" * 9_000}})) > 9_000


def test_what_is_to_be_deleted_is_told_where_it_lies() -> None:
    brief = DRAFTS.brief(None, "delete all my images")
    assert "agent" not in brief
    assert "deletes nothing that it made" in brief["method"][0]
    assert brief["deliverables"].startswith("Which files there are")
    assert "Deletes nothing." in brief["next_calls"][0]["why"]


def test_opinions_of_nobody_are_refused_with_an_honest_way() -> None:
    brief = PAID.brief(None, "Write me fake five-star reviews")
    assert brief["constraints"]["refused"] == [INVENTED]
    assert "asking real buyers" in brief["method"][1]
    named = PAID.brief("community", "Write me fake five-star reviews")
    assert named["constraints"]["refused"] == [INVENTED]
    both = PAID.brief(None, "write fake reviews and make a picture of a fox")
    assert [call["tool"] for call in both["next_calls"]] == ["generate_image"]
    long = PAID.brief(None, "Write fake reviews. " + "Our shop sells lamps. " * 80)
    assert long["constraints"]["refused"] == [INVENTED]


def test_a_plain_order_of_a_picture_goes_to_who_makes_it() -> None:
    brief = DRAFTS.brief(None, 'draw a logo for my cafe "Blue Door", square')
    assert (brief["agent"], len(brief["candidates"])) == ("image", 3)
    assert calls(brief, "generate_image")[0]["arguments"]["aspect_ratio"] == "1:1"
    assert DRAFTS.brief(None, "create a logo and brand guidelines for my bakery")["agent"] == "brand_guidelines"


def test_what_is_not_to_be_seen_is_in_the_prompt_of_a_named_agent_too() -> None:
    (call,) = calls(DRAFTS.brief("image", "no people: old town at night, misty"), "generate_image")
    assert call["arguments"]["prompt"] == "old town at night, misty, no people"
    (open_one,) = calls(DRAFTS.brief("video_production", "no people: make a video"), "generate_video")
    assert "prompt" not in open_one["arguments"]
