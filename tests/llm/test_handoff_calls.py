"""The calls of a brief: what they would make, what they cost, what they still lack."""

from typing import Any

import pytest

from darkroom.domain.kinds import Kind
from darkroom.domain.money import MicroUsd
from darkroom.domain.request import ImageRequest
from darkroom.llm.handoff_media import CLIP, Wanted
from darkroom.llm.handoff_prices import about
from helpers_handoff import LIVE, Desk, calls

DRAFTS = Desk()
PAID = Desk(LIVE)


def made(agent: str, task: str, tool: str = "generate_image", desk: Desk = DRAFTS, **more: Any) -> dict[str, Any]:
    found = calls(desk.brief(agent, task, **more), tool)
    assert len(found) == 1
    desk.check(found[0])
    return found[0]


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        ("Picture of a mug on slate", {"prompt": "a mug on slate"}),
        (
            "hero shot of a burger, square, three variants",
            {"prompt": "hero shot of a burger", "aspect_ratio": "1:1", "n": 3},
        ),
        ("four portraits of bakers, natural", {"prompt": "portrait of bakers, natural", "n": 4}),
        ("two sketches of a chair", {"prompt": "sketch of a chair", "n": 2}),
        ("an illustration of a fox, 1080x1350", {"prompt": "illustration of a fox", "size": "1080x1350"}),
        ("please draw me a dragon for under $1", {"prompt": "dragon", "max_cost": 1}),
    ],
)
def test_a_picture_is_asked_for_in_the_words_of_the_task(task: str, arguments: dict[str, Any]) -> None:
    call = made("image", task)
    assert call["arguments"] == arguments
    assert "missing" not in call
    assert "Free: a draft" in call["why"]


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        ("ten second clip of a dancer", {"prompt": "a dancer", "duration": 10}),
        ("A vertical reel of rain, 8 s, 720p", {"prompt": "reel of rain", "aspect_ratio": "9:16", "duration": 8,
                                               "resolution": "720p"}),
        ("video of a tower for TikTok", {"prompt": "a tower", "aspect_ratio": "9:16"}),
    ],
)  # fmt: skip
def test_a_clip_is_asked_for_in_the_words_of_the_task(task: str, arguments: dict[str, Any]) -> None:
    assert made("video_production", task, "generate_video")["arguments"] == arguments


def test_shape_and_length_come_from_the_context_too() -> None:
    context: dict[str, Any] = {"delivery": "9:16, 720p", "duration": 6}
    call = made("video_production", "clip of rain", "generate_video", context=context)
    assert call["arguments"] == {"prompt": "rain", "aspect_ratio": "9:16", "resolution": "720p", "duration": 6}
    told = made("video_production", "clip of rain", "generate_video", context={"length": "7 s"})
    assert told["arguments"]["duration"] == 7
    for odd in (True, 0.1, [3]):
        assert "duration" not in made("video_production", "clip of rain", "generate_video", context={"duration": odd})[
            "arguments"
        ]  # fmt: skip


def test_a_long_film_is_a_workflow_or_one_shot_of_it() -> None:
    brief = DRAFTS.brief("video_production", "A 45 second film of our blue shoes", max_cost=MicroUsd(3_000_000))
    film, clip = brief["next_calls"][:2]
    assert film["arguments"] == {
        "task": "A 45 second film of our blue shoes",
        "workflow": "product_video",
        "max_cost": 3,
    }
    assert "one film of 45 s" in film["why"]
    assert "duration" not in clip["arguments"]
    assert "45 s is more than one clip" in clip["why"]
    plain = calls(DRAFTS.brief("video_production", "A 45 second film of our shoes"), "run_agent")
    assert "max_cost" not in plain[0]["arguments"]


def test_a_picture_that_is_to_be_changed_is_asked_for() -> None:
    brief = DRAFTS.brief("image", "remove the car from the background of this photo")
    (call,) = calls(brief, "generate_image")
    assert call["missing"] == ["images"]
    assert brief["questions"][0]["key"] == "images"
    assert brief["questions"][0]["required"]


def test_a_logo_that_nobody_gave_is_waited_for_beside_other_work() -> None:
    brief = DRAFTS.brief("events", "a poster with our logo for the summer party")
    (call,) = calls(brief, "generate_image")
    assert (call["arguments"]["images"], call["missing"]) == (["<path, URL or output id of the logo>"], ["images"])
    assert brief["questions"][0]["question"].startswith("Logo? A path")


def test_a_clip_that_is_to_be_changed_is_asked_for_and_not_priced() -> None:
    brief = DRAFTS.brief("video_production", "Please extend our clip by 5 seconds")
    (call,) = calls(brief, "generate_video")
    assert call["arguments"] == {"prompt": "extend our clip by 5 seconds", "refine": CLIP}
    assert call["missing"] == ["refine"]
    assert call["why"].endswith("or described anew.")
    assert brief["questions"][0]["key"] == "refine"


def test_pictures_that_were_given_are_used() -> None:
    call = made(
        "image", "remove the car in ~/Pictures/street.png", context={"references": ["style=out_abc123", 3, "warm"]}
    )
    assert call["arguments"] == {
        "prompt": "remove the car in the picture",
        "images": ["style=out_abc123", "~/Pictures/street.png"],
    }
    assert "missing" not in call
    said = made("video_production", "animate this still", "generate_video", context={"frames": "start at out_abc123."})
    assert said["arguments"]["images"] == ["out_abc123"]
    web = made("image", "restore this photo", context={"source": "https://example.com/a.jpg"})
    assert web["arguments"]["images"] == ["https://example.com/a.jpg"]


@pytest.mark.parametrize(
    "task",
    [
        "Produce the clips of our finished storyboard",
        "shot four came out badly, run it again",
        "and a product video for it",
    ],
)
def test_a_task_that_shows_nothing_leaves_the_prompt_to_the_caller(task: str) -> None:
    brief = DRAFTS.brief("video_production", task)
    (call,) = calls(brief, "generate_video")
    assert call["missing"] == ["prompt"]
    assert "one call a shot" in call["why"]


def test_a_picture_without_words_for_it_is_left_to_the_caller() -> None:
    call = made("image", "Nobody took a photograph of our pretzels, so please make one")
    assert call["missing"] == ["prompt"]
    assert "shot" not in call["why"]
    assert not calls(DRAFTS.brief("image", "12 34"), "generate_image")


def test_storyboards_and_mood_boards_draw_what_the_work_is_for() -> None:
    board = made("video_storyboard", "storyboard for a 30 second hotel commercial, twelve frames, 9:16")
    assert board["arguments"] == {
        "prompt": "Storyboard frame, opening shot: a hotel commercial",
        "aspect_ratio": "9:16",
    }
    assert not calls(DRAFTS.brief("video_storyboard", "which lens for the letter?"), "generate_image")
    mood = made("brand_visual", "Moodboard and colour palette for a new wine label")
    assert mood["arguments"]["prompt"].endswith("textures: a new wine label")


def test_others_draw_only_what_the_task_says_is_to_be_seen() -> None:
    brief = DRAFTS.brief("community", "write a post with a picture of our new terrace at sunset")
    assert [call["tool"] for call in brief["next_calls"]] == ["invoke_skill", "generate_image"]
    assert brief["next_calls"][1]["arguments"] == {"prompt": "our new terrace at sunset"}
    assert "once the text is agreed" in brief["next_calls"][1]["why"]
    assert not calls(DRAFTS.brief("community", "three pictures, and answer the comments"), "generate_image")
    assert not calls(DRAFTS.brief("copy", "a caption for a picture of our terrace"), "generate_image")
    edited = made("localization", "swap the road sign in sign.png for a French one, in the photo")
    assert edited["arguments"]["images"] == ["sign.png"]


def test_a_budget_is_shared_by_the_calls() -> None:
    brief = PAID.brief("campaign", "a picture of our shop and a video of our baker", max_cost=MicroUsd(3_000_000))
    (picture,), (clip,) = calls(brief, "generate_image"), calls(brief, "generate_video")
    assert picture["arguments"]["max_cost"] == clip["arguments"]["max_cost"] == 1.5
    said = made("image", "picture of a mug for under 20 cents", max_cost=MicroUsd(1_000_000))
    assert said["arguments"]["max_cost"] == 0.2
    for context in ({"budget": "$3"}, {"max_cost": 3}, {"max_cost": "3 dollars"}, {"budget": "$9", "max_cost": 3.0}):
        assert made("image", "picture of a mug", context=context)["arguments"]["max_cost"] == 3
    assert "max_cost" not in made("image", "picture of a mug", context={"max_cost": True})["arguments"]


def test_each_of_several_media_has_its_own_words() -> None:
    task = "a campaign with a picture of our cargo bike and a 10 second video of it in the rain, 500 dollars"
    brief = DRAFTS.brief("campaign", task)
    (picture,), (clip,) = calls(brief, "generate_image"), calls(brief, "generate_video")
    assert picture["arguments"] == {"prompt": "our cargo bike"}
    assert clip["arguments"] == {"duration": 10}
    assert clip["missing"] == ["prompt"]
    assert not calls(DRAFTS.brief("community", "what do I reply under the picture of our shop?"), "generate_image")


def test_prices_are_those_of_the_offer_that_would_take_it() -> None:
    call = made("image", "Picture of a mug", desk=PAID)
    best = PAID.routes.proposals(ImageRequest(prompt="a mug"))[0]
    assert best.quote is not None
    assert f"{best.candidate.name}: about {about(best.quote.likely)}" in call["why"]


def several(agent: str, task: str, tool: str = "generate_image", **more: Any) -> list[dict[str, Any]]:
    found = calls(DRAFTS.brief(agent, task, **more), tool)
    for call in found:
        DRAFTS.check(call)
    return found


def test_as_many_as_can_be_asked_for_are_one_call_under_one_cap() -> None:
    [call] = several("image", "Ten product photos of a bottle, white background, costs at most $1")
    assert call["arguments"] == {"prompt": "product photo of a bottle, white background", "n": 10, "max_cost": 1}
    [clips] = several("video_production", "three clips of rain", "generate_video")
    assert clips["arguments"]["n"] == 3
    assert "40 are wanted in all." in several("image", "forty product pictures of a mug")[0]["why"]


def test_the_words_of_a_cap_become_the_cap_of_every_call() -> None:
    brief = DRAFTS.brief(None, "Three images of a red kite, spend at most 20 cents")
    (call,) = calls(brief, "generate_image")
    assert call["arguments"] == {"prompt": "a red kite", "n": 3, "max_cost": 0.2}
    assert brief["task"] == "Three images of a red kite, spend at most 20 cents"
    assert "All calls together may cost at most $0.20." in brief["constraints"]["money"]
    lower = DRAFTS.brief(None, "Three images of a red kite, spend at most 20 cents", max_cost=MicroUsd(100_000))
    assert calls(lower, "generate_image")[0]["arguments"]["max_cost"] == 0.1
    again = calls(DRAFTS.brief("image", "a photo of a mug, spend at most $1", session_id="ses_1"), "run_agent")
    assert [call["arguments"]["max_cost"] for call in again] == [1]


def test_what_no_ready_offer_has_is_left_out_with_words() -> None:
    call = made("video_production", "a clip of a castle in 4K", "generate_video")
    assert "resolution" not in call["arguments"]
    assert "resolution 4k was left out: no offer that is ready has it." in call["why"]


def test_a_call_that_nothing_mends_says_what_is_wrong() -> None:
    wanted = Wanted(Kind.IMAGE, {"prompt": "a mug", "provider": "nowhere", "size": "64x64"})
    call, said = DRAFTS.prices.fitting(wanted, None, "local")
    assert call == wanted
    assert said.startswith("As it stands it would be refused: ")


def test_brainstorms_are_offered_where_product_or_audience_are_known() -> None:
    context: dict[str, Any] = {"product": "a scheduling app", "market_stage": "crowded"}
    found = calls(DRAFTS.brief("crm", "sequence of onboarding emails", context=context), "invoke_skill")
    asked = [call["arguments"]["brainstorm"] for call in found if "brainstorm" in call["arguments"]]
    assert asked == [{"task_type": "email", "product": "a scheduling app", "market_stage": "crowded"}]
    for call in found:
        DRAFTS.check(call)
    odd = calls(
        DRAFTS.brief("crm", "sequence of onboarding emails", context={**context, "market_stage": ["x"]}), "invoke_skill"
    )
    assert "market_stage" not in odd[-1]["arguments"]["brainstorm"]
    none = calls(DRAFTS.brief("legal", "check this clause", context=context), "invoke_skill")
    assert all("brainstorm" not in call["arguments"] for call in none)


@pytest.mark.parametrize(
    ("agent", "task", "arguments"),
    [
        (
            "commercial",
            "Quote thirty photos and two reels a month",
            {"operation": "month", "usage": {"images": 30, "videos": 2}},
        ),
        ("invoice", "what have we spent for the hotel?", {"operation": "spent", "since": "month"}),
        ("video_production", "clip of rain", {"operation": "video"}),
        ("commercial", "what should a picture cost?", {"operation": "image"}),
    ],
)
def test_prices_and_spending_are_looked_up_where_the_task_is_about_them(
    agent: str, task: str, arguments: dict[str, Any]
) -> None:
    assert made(agent, task, "estimate_credits")["arguments"] == arguments


def test_no_prices_are_looked_up_where_nothing_is_made() -> None:
    assert not calls(DRAFTS.brief("commercial", "three packages for restaurants"), "estimate_credits")


@pytest.mark.parametrize(
    ("micro", "said"),
    [(1_204_999, "$1.20"), (13_170, "$0.013"), (400, "$0.0004"), (150_000, "$0.15"), (40_000, "$0.04")],
)
def test_amounts_have_the_digits_that_matter(micro: int, said: str) -> None:
    assert about(micro) == said
