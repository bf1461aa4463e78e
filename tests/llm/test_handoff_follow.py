"""Messages that go on from what was made or said before."""

from typing import Any

import pytest

from darkroom.domain.job import Job, State
from darkroom.domain.kinds import Kind, Mode
from darkroom.domain.request import VideoRequest
from darkroom.llm.handoff import text
from darkroom.llm.handoff_follow import ANY, Follow, follow_up, wanted_of
from factories import job_id, make_effective, make_job, make_output
from helpers_handoff import LIVE, Desk

DRAFTS, PAID = Desk(), Desk(LIVE)


def picture(number: int = 1, **more: Any) -> Job:
    return make_job(id=job_id(number), **({"state": State.SUCCEEDED, "provider": "draft", "replayable": True} | more))


def clip(number: int = 2, seconds: float | None = 5, **more: Any) -> Job:
    request = VideoRequest.model_validate(
        {"prompt": "a drummer", "aspect_ratio": "9:16", "duration": 5, **more.pop("asked", {})}
    )
    effective = make_effective(kind=Kind.VIDEO, mode=Mode.TEXT_TO_VIDEO, duration=seconds)
    return picture(number, kind=Kind.VIDEO, mode=Mode.TEXT_TO_VIDEO, request=request, effective=effective, **more)


FOX, DRUMMER = picture(), clip()


@pytest.mark.parametrize(
    ("task", "how"),
    [
        ("make it blue", "blue"),
        ("Now make the picture a bit brighter, please.", "brighter"),
        ("can you make it more colourful?", "more colourful"),
        ("same but at night", "at night"),
        ("the same picture, only with a hat", "with a hat"),
        ("same at night", "at night"),
        ("the same again", ""),
        ("another one", ""),
        ("another one, but at night", "at night"),
        ("one more with a hat", "with a hat"),
        ("do it again", ""),
        ("add a hat", "add a hat"),
        ("put it on a beach", "put it on a beach"),
        ("a little darker please", "a little darker"),
        ("in black and white", "in black and white"),
        ("without the hat", "without the hat"),
    ],
)
def test_a_change_of_what_was_just_made_goes_on_from_it(task: str, how: str) -> None:
    assert follow_up(task, [FOX]) == Follow(how, FOX, kind=Kind.IMAGE)


@pytest.mark.parametrize(
    "task",
    [
        "make a picture of a dog",
        "add a video of a dog",
        "make this company a brand",
        "same day delivery campaign for our shop",
        "write a headline for dentists",
        "another one of a dog",
        "another agency sent us their offer",
        "in the summer we open a second shop and need a plan for it",
        "make it blue " * 30,
        "?",
        "",
    ],
)
def test_what_stands_for_itself_goes_on_from_nothing(task: str) -> None:
    assert follow_up(task, [FOX]) is None


@pytest.mark.parametrize(
    "task", ["add a hat", "darker", "another one", "in blue", "make it clear to all that we close on Sunday"]
)
def test_without_a_job_only_what_points_back_goes_on(task: str) -> None:
    assert follow_up(task) is None


@pytest.mark.parametrize("task", ["make it more polite", "make it shorter", "turn it into a blog post"])
def test_a_change_that_no_picture_takes_is_of_a_text(task: str) -> None:
    found = follow_up(task, [FOX])
    assert found is not None
    assert (found.words, wanted_of(found)) == (True, None)
    assert "next_calls" not in DRAFTS.brief(None, task, made=[FOX])


def test_the_newest_of_the_right_kind_is_meant_and_nothing_that_failed() -> None:
    made = [picture(4, state=State.FAILED), DRUMMER, FOX]
    for task, job in (("make it blue", DRUMMER), ("make the picture blue", FOX), ("make the clip blue", DRUMMER)):
        found = follow_up(task, made)
        assert found is not None
        assert found.job == job


@pytest.mark.parametrize(
    ("task", "prompt"),
    [
        ("animate it", "Gentle, natural motion of what the picture shows; the camera stays still"),
        ("now turn it into a short video", "Gentle, natural motion of what the picture shows; the camera stays still"),
        ("make a clip of it so that the snow falls", "the snow falls"),
    ],
)
def test_a_picture_becomes_a_clip(task: str, prompt: str) -> None:
    (call,) = PAID.brief(None, task, made=[DRUMMER, FOX])["next_calls"]
    assert (call["tool"], call["arguments"]) == ("generate_video", {"prompt": prompt, "refine": FOX.id})
    PAID.check(call)


def test_the_call_refines_and_waits_for_what_is_not_done() -> None:
    (call,) = DRAFTS.brief(None, "make it square and blue", made=[FOX])["next_calls"]
    assert call["arguments"] == {"prompt": "square and blue", "aspect_ratio": "1:1", "refine": FOX.id}
    (square,) = DRAFTS.brief(None, "make it square", made=[FOX])["next_calls"]
    assert square["arguments"] == {"prompt": "square", "aspect_ratio": "1:1", "refine": FOX.id}
    assert "('a red fox'), which stays as it is. Free: a draft" in square["why"]
    look, later = DRAFTS.brief(None, "make it blue", made=[picture(state=State.RUNNING)])["next_calls"]
    assert (look["tool"], look["arguments"]["job_id"]) == ("check_job", FOX.id)
    for one in (call, square, look, later):
        DRAFTS.check(one)


def test_a_real_picture_is_edited_and_one_of_several_may_be_named() -> None:
    real = picture(provider="fal", replayable=False, outputs=(make_output(), make_output(index=2)))
    (call,) = PAID.brief(None, "make it blue", made=[real])["next_calls"]
    assert "has 2 outputs: this changes the first" in call["why"]
    assert "fal/" in call["why"]
    (other,) = PAID.brief(None, "another one", made=[real])["next_calls"]
    assert other["arguments"] == {"prompt": "", "refine": real.id}
    assert other["why"].startswith("Makes another like the picture of")


def test_a_clip_that_its_provider_cannot_change_is_described_anew() -> None:
    asked = {"images": ["out_abc123", "input:" + "ab" * 32]}
    real = clip(provider="fal", replayable=False, asked=asked)
    (call,) = PAID.brief(None, "make it 8 seconds and in the rain", made=[real])["next_calls"]
    assert call["arguments"] == {
        "aspect_ratio": "9:16",
        "duration": 8,
        "images": ["out_abc123"],
        "prompt": "a drummer, in the rain",
    }
    assert "describes it anew" in call["why"]
    assert "add it in images" in call["why"]
    (plain,) = PAID.brief(None, "another one", made=[clip(provider="fal", replayable=False)])["next_calls"]
    assert plain["arguments"] == {"aspect_ratio": "9:16", "duration": 5, "prompt": "a drummer"}


def test_a_shorter_clip_waits_for_its_length() -> None:
    brief = DRAFTS.brief(None, "make it shorter", made=[DRUMMER])
    (call,) = brief["next_calls"]
    assert (call["arguments"]["duration"], call["missing"]) == ("<seconds; it has 5 now>", ["duration"])
    assert [one["key"] for one in brief["questions"]] == ["duration"]
    (untold,) = DRAFTS.brief(None, "make it longer", made=[clip(seconds=None)])["next_calls"]
    assert untold["arguments"]["duration"] == "<seconds>"
    (told,) = DRAFTS.brief(None, "make it longer, 8 seconds", made=[DRUMMER])["next_calls"]
    assert (told["arguments"]["duration"], "missing" in told) == (8, False)


def test_where_nothing_is_known_that_was_made_its_id_is_left_open() -> None:
    brief = DRAFTS.brief(None, "make it blue")
    look, call = brief["next_calls"]
    assert (look["tool"], look["arguments"]) == ("check_job", {})
    assert (call["arguments"], call["missing"]) == ({"prompt": "blue", "refine": ANY}, ["refine"])
    assert "candidates" not in brief
    assert "If a text is meant" in text(brief)
    assert DRAFTS.brief(None, "animate it")["next_calls"][1]["tool"] == "generate_video"
    assert "next_calls" not in DRAFTS.brief(None, "make it shorter")


def test_a_word_on_a_job_means_that_of_the_conversation() -> None:
    running = picture(7, state=State.RUNNING)
    (stop,) = DRAFTS.brief(None, "cancel it", made=[running, FOX])["next_calls"]
    assert (stop["tool"], stop["arguments"]) == ("cancel_job", {"job_id": running.id})
    (again,) = DRAFTS.brief(None, "retry", made=[running, FOX])["next_calls"]
    assert (again["tool"], again["arguments"]) == ("retry_job", {"job_id": FOX.id})
