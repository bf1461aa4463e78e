"""Questions and refusals: what looks the answer up, what is said, and that nothing is made."""

from typing import Any

import pytest

from darkroom.domain.asking import Aim
from darkroom.domain.kinds import Kind
from darkroom.llm.handoff import text
from darkroom.llm.handoff_answers import about_server, answers, control
from darkroom.llm.handoff_modes import reading_of
from factories import make_job
from helpers_handoff import LIVE, Desk, calls

DESK, PAID = Desk(), Desk(LIVE)


@pytest.mark.parametrize(
    ("task", "found"),
    [
        ("what would a 10 second clip of a fox in 4k cost?", [{"operation": "video", "duration": 10,
                                                               "resolution": "4k"}]),
        ("what do three pictures cost, 1024x1024?", [{"operation": "image", "n": 3, "size": "1024x1024"}]),
        ("how much is a 60 second video?", [{"operation": "video"}]),
        ("which providers are there?", [{"operation": "image"}, {"operation": "video"}]),
        ("can you make music?", [{"operation": "music"}]),
        ("what do 100 pictures and 5 videos a month cost?", [{"operation": "month",
                                                              "usage": {"images": 100, "videos": 5}}]),
        ("how much have we spent?", [{"operation": "spent", "since": "month"}]),
    ],
)  # fmt: skip
def test_prices_are_looked_up_with_what_the_question_names(task: str, found: list[dict[str, Any]]) -> None:
    said = answers(task)
    assert [call["arguments"] for call in said] == found
    assert {call["tool"] for call in said} == {"estimate_credits"}
    for call in said:
        DESK.check(call)


def test_a_price_of_that_is_one_of_what_was_made_last() -> None:
    task, clip = "and the price of that with a real provider?", make_job(kind=Kind.VIDEO)
    brief = DESK.brief(None, task, made=[clip, make_job()])
    assert [call["arguments"] for call in brief["next_calls"]] == [{"operation": "video"}]
    assert [call["arguments"]["operation"] for call in DESK.brief(None, task)["next_calls"]] == ["image", "video"]


@pytest.mark.parametrize(
    ("task", "tools"),
    [
        ("what is the status of job_4f2?", ["check_job"]),
        ("should I cancel job_4f2?", ["check_job"]),
        ("how do I retry a job?", ["check_job"]),
        ("how many videos have I made?", ["check_job"]),
    ],
)
def test_a_question_about_a_job_only_looks(task: str, tools: list[str]) -> None:
    assert about_server(task)
    assert [call["tool"] for call in answers(task)] == tools


def test_who_asks_for_help_gets_the_lists() -> None:
    assert [call["arguments"] for call in answers("what can you do?")] == [{"task": "", "agent": "?"}, {"skill": "?"}]


def test_a_hand_on_a_job_takes_its_id_or_asks_for_the_list() -> None:
    assert [call["arguments"] for call in control("cancel job_4f2")] == [{"job_id": "job_4f2"}]
    assert [call["tool"] for call in control("check on run_77")] == ["check_job"]
    listed, stop = control("stop the video")
    assert (listed["arguments"], stop["tool"], stop["missing"]) == ({}, "cancel_job", ["job_id"])
    assert [call["tool"] for call in control("retry it")] == ["check_job", "retry_job"]
    assert [call["tool"] for call in control("check on my clips")] == ["check_job"]


@pytest.mark.parametrize(
    "task",
    [
        "which ads are other wine shops running?",
        "do photos with faces get more likes?",
        "what do I write under the photo of our new bus?",
        "did the picture of our company change after the scandal",
        "who is it?",
    ],
)
def test_a_question_about_something_else_is_not_about_this_server(task: str) -> None:
    assert not about_server(task)


@pytest.mark.parametrize("agent", ["image", "video_production", "video_storyboard", "campaign", None])
@pytest.mark.parametrize(
    "task", ["which model makes the best videos?", "what does a picture of a mug cost?", "how long may a clip be?"]
)
def test_no_agent_makes_anything_for_a_question(agent: str | None, task: str) -> None:
    for desk in (DESK, PAID):
        brief = desk.brief(agent, task)
        assert brief["next_calls"][0]["tool"] == "estimate_credits"
        assert not calls(brief, "generate_image")
        assert not calls(brief, "generate_video")
        for call in brief["next_calls"]:
            desk.check(call)


@pytest.mark.parametrize("agent", ["video_production", "video_storyboard", "campaign", None])
def test_no_agent_makes_what_is_refused(agent: str | None) -> None:
    brief = DESK.brief(agent, "don't make a video, describe a 40 second film of our harbour in words")
    assert not calls(brief, "generate_video")
    assert "product_video" not in str(brief.get("next_calls"))
    assert "- The user wants no clip made: do not call generate_video." in text(brief)


def test_a_refusal_alone_is_acknowledged() -> None:
    brief = DESK.brief(None, "please don't generate anything yet")
    assert brief["method"] == ["Say that nothing is made, and ask what the user wants instead."]
    assert brief["constraints"]["refused"] == [
        "The user wants no picture made: do not call generate_image.",
        "The user wants no clip made: do not call generate_video.",
    ]
    assert "next_calls" not in brief


def test_the_brief_of_a_question_is_short() -> None:
    said = text(DESK.brief(None, "can you make videos?"))
    assert "This is a question about darkroom itself: answer it, and make nothing." in said
    assert len(said) < 600


def test_a_hand_on_work_that_goes_on_starts_nothing() -> None:
    brief = DESK.brief(None, "cancel the video")
    assert "start nothing new" in brief["role"]
    assert brief["deliverables"] == "One sentence: what was done, and how the job stands."


def test_another_language_is_left_to_the_caller_with_its_ways() -> None:
    for task in ("Erstelle ein Bild von einem roten Fahrrad", "\u732b\u306e\u52d5\u753b"):
        brief = DESK.brief(None, task)
        assert "in a language that was not read here" in brief["role"]
        assert any("generate_image(prompt=...)" in step for step in brief["method"])
        assert "candidates" not in brief


def test_a_long_message_is_work_for_somebody_who_reads_it() -> None:
    known = reading_of("can you make videos? " * 60)
    assert (known.aim, known.server, known.no.kinds) == (Aim.WORK, False, frozenset())
    assert reading_of("can you make videos?").aim is Aim.QUESTION


def test_nothing_is_named_that_is_not_there() -> None:
    alone = DESK.brief(None, "Tell me a story about a brave knight")
    assert "candidate" not in text(alone)
    question = DESK.brief(None, "what's the weather in Paris?")
    assert question["method"] == ["Answer from what you know, in short."]
    assert "below" not in text(question)
    with_one = DESK.brief(None, "how do I light a portrait?")
    assert "If a candidate fits" in text(with_one)
    assert with_one["candidates"]


def test_why_something_failed_is_looked_up_among_what_failed() -> None:
    (call,) = answers("why did the image of the cat that I made yesterday fail?")
    assert (call["tool"], call["arguments"]) == ("check_job", {"status": "failed"})
    (ready,) = answers("when will my clip of the drummer be ready?")
    assert ready["arguments"] == {}
