"""Plain wishes beside other work, and the brief that hands both over."""

from typing import Any

import pytest

from darkroom.domain.kinds import Kind
from darkroom.domain.money import MicroUsd
from darkroom.llm.handoff import text
from darkroom.llm.handoff_change import ABOVE
from darkroom.llm.handoff_wishes import Wishes, wishes
from helpers_handoff import LIVE, Desk, calls

DESK, PAID = Desk(), Desk(LIVE)


@pytest.mark.parametrize(
    ("task", "made", "others"),
    [
        ("draw a picture of a red bike and write a caption", [{"prompt": "a red bike"}], ["write a caption"]),
        (
            "could you make a poster of a trumpet, and a 5 second clip of a drummer, and suggest a slogan?",
            [{"prompt": "poster of a trumpet"}, {"prompt": "a drummer", "duration": 5}],
            ["suggest a slogan"],
        ),
        ("draw a man and a woman, then tell me a joke", [{"prompt": "drawing of a man and a woman"}],
         ["tell me a joke"]),
        ("Make a picture of a teapot. White background.", [{"prompt": "a teapot. White background"}], []),
    ],
)  # fmt: skip
def test_each_wish_has_its_own_call(task: str, made: list[dict[str, Any]], others: list[str]) -> None:
    found = wishes(task)
    assert ([one.arguments for one in found.made], list(found.others)) == (made, others)


@pytest.mark.parametrize(
    "task", ["write a headline", "make a video of my dog and post it", "can you make videos?", "don't draw a fox", ""]
)
def test_what_is_not_plainly_wanted_is_no_wish(task: str) -> None:
    assert wishes(task) == Wishes()


def test_a_wish_that_is_refused_in_the_same_breath_is_left_out() -> None:
    found = wishes("make a picture of a fox, then animate it, but no video")
    assert [(one.kind, one.arguments) for one in found.made] == [(Kind.IMAGE, {"prompt": "a fox"})]


def test_what_moves_a_picture_waits_for_it() -> None:
    brief = DESK.brief(None, "create a picture of a fox, then animate it")
    picture, clip = brief["next_calls"]
    assert "missing" not in picture
    assert (clip["arguments"], clip["missing"]) == ({"prompt": "a fox", "images": [ABOVE]}, ["images"])
    assert "once images holds that picture's output id" in clip["why"]
    assert "questions" not in brief


def test_what_shows_a_text_waits_for_its_words() -> None:
    brief = DESK.brief(None, "write a haiku and make a clip of it")
    (clip,) = brief["next_calls"]
    assert (clip["tool"], clip["arguments"], clip["missing"]) == ("generate_video", {}, ["prompt"])
    assert "Do the rest yourself: write a haiku." in brief["method"][1]


def test_the_brief_of_two_wishes_is_short_and_says_who_does_what() -> None:
    brief = DESK.brief(None, "draw a picture of a red bike and write a caption")
    assert "agent" not in brief
    assert brief["role"].endswith("Make the media with the calls below, and do the rest yourself.")
    assert brief["deliverables"] == "The picture, and what was done for: write a caption."
    assert "Do the rest yourself: write a caption." in text(brief)
    assert len(text(brief)) < 800


def test_work_beside_a_wish_goes_to_its_agent() -> None:
    brief = DESK.brief(None, "make a picture of a fox and plan a launch campaign for our bakery")
    assert [call["tool"] for call in brief["next_calls"]] == ["generate_image", "run_agent"]
    assert brief["next_calls"][1]["arguments"] == {
        "task": "plan a launch campaign for our bakery",
        "agent": "campaign",
    }
    for call in brief["next_calls"]:
        DESK.check(call)


def test_wishes_share_what_may_be_spent() -> None:
    brief = PAID.brief(None, "make an image of a cat and a video of a dog", max_cost=MicroUsd(2_000_000))
    assert [call["arguments"]["max_cost"] for call in brief["next_calls"]] == [1, 1]


def test_an_agent_that_was_named_makes_the_wish_of_its_kind() -> None:
    brief = DESK.brief("image", "draw a picture of a red bike and write a caption")
    assert calls(brief, "generate_image")[0]["arguments"] == {"prompt": "a red bike"}
    assert brief["agent"] == "image"


def test_a_height_that_nobody_has_is_left_out_with_words() -> None:
    (call,) = DESK.brief(None, "make a 240p video of a cat")["next_calls"]
    assert call["arguments"] == {"prompt": "a cat"}
    assert "240p is no height that is made here; there are 360p, 480p" in call["why"]


def test_the_context_gives_a_wish_its_pictures_shape_and_length() -> None:
    context: dict[str, Any] = {"references": ["out_abc123"], "delivery": "9:16, 720p", "length": "6 s"}
    (call,) = DESK.brief(None, "let's make a video of a cat", context=context)["next_calls"]
    assert call["arguments"] == {
        "prompt": "a cat",
        "aspect_ratio": "9:16",
        "resolution": "720p",
        "duration": 6,
        "images": ["out_abc123"],
    }
    picture, clip = DESK.brief(None, "draw a fox, then animate it", context={"references": "out_abc123"})["next_calls"]
    assert (picture["arguments"]["images"], clip["arguments"]["images"]) == (["out_abc123"], [ABOVE])
    (given,) = DESK.brief(None, "animate my photo", context={"references": "out_abc123"})["next_calls"]
    assert (given["arguments"]["images"], "missing" in given) == (["out_abc123"], False)


def test_what_is_refused_is_not_changed_either() -> None:
    assert wishes("animate https://example.com/cat.png, but no animation") == Wishes()


def test_what_moves_is_said_of_the_clip_before_it_alone() -> None:
    found = wishes("animate my photo, make the waves move")
    assert ([one.arguments["prompt"] for one in found.made], found.made[0].notes) == (["the waves moving"], ())
    other = wishes("draw a fox, make the waves move")
    assert (len(other.made), other.others) == (1, ("make the waves move",))


def test_the_brief_of_a_picture_that_nobody_gave_asks_for_it_and_plans_nothing() -> None:
    brief = DESK.brief(None, "Turn the picture of my dog into a video")
    assert "agent" not in brief
    assert [one["key"] for one in brief["questions"]] == ["images"]
    assert brief["questions"][0]["required"]
    said = text(brief)
    assert "Fill first: images. Makes the clip, once" in said
    assert "The task names no motion, so this one is quiet: say what moves." in said
    assert len(said) < 1_200
