"""What a message is after, and what it wants not made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.domain.asking import Aim, aim, deceives, refused
from darkroom.domain.kinds import Kind

IMAGE, VIDEO = frozenset({Kind.IMAGE}), frozenset({Kind.VIDEO})
BOTH = IMAGE | VIDEO


@pytest.mark.parametrize(
    "text",
    [
        "can you make videos?",
        "Hi, could you edit photos",
        "What does a video cost?",
        "so how long may a clip be",
        "Please tell me which models make pictures",
        "list the video models",
        "show me the price of a picture",
        "estimate a video of a cat",
        "I want to know how a clip is made",
        "do people like films?",
        "is there a free way",
        "Are the pictures mine?",
        "A school has 900 euros for its film, what can we offer?",
        "videos?",
    ],
)
def test_what_wants_to_be_told_something_is_a_question(text: str) -> None:
    assert aim(text) is Aim.QUESTION


@pytest.mark.parametrize(
    "text",
    [
        "",
        "can you make a video of a cat?",
        "could you draw me a bike",
        "can you put our watch on a rock by the sea",
        "would you mind making a picture",
        "how about a picture of a sunset?",
        "why don't you draw a fox?",
        "what about drawing a fox?",
        "can I have a picture of a fox?",
        "I'd like a photo of an old fisherman",
        "let's make a video",
        "Which model is best for water? Then render the three scenes.",
        "give me a picture of a price list",
        "do a picture of a blue bird",
        "make a video of a cat? Why would I?",
        "a red fox",
        "cancel the subscription email and write a new one",
    ],
)
def test_what_wants_something_done_is_work(text: str) -> None:
    assert aim(text) is Aim.WORK


@pytest.mark.parametrize(
    "text", ["stop", "Cancel the video.", "please retry job_12", "stop making the video of a cat!", "check on my clips"]
)
def test_what_means_work_that_goes_on_lays_a_hand_on_it(text: str) -> None:
    assert aim(text) is Aim.CONTROL


@pytest.mark.parametrize(
    "text",
    [
        "delete all my images",
        "Please delete the videos I made yesterday!",
        "can you delete the pictures of cats?",
        "remove all drafts",
        "clear my history",
        "get rid of everything",
        "delete job_123",
    ],
)
def test_what_is_to_be_thrown_away_is_told_from_work(text: str) -> None:
    assert aim(text) is Aim.DELETE


@pytest.mark.parametrize(
    "text",
    [
        "remove the logo from my photo",
        "remove my logo",
        "delete the man in the picture",
        "delete the logo from my photo",
        "erase the picture frame on the wall",
        "write a mail that says delete all my data",
    ],
)
def test_what_is_taken_out_of_a_picture_is_work(text: str) -> None:
    assert aim(text) is Aim.WORK


@pytest.mark.parametrize(
    "text",
    [
        "Write me fake five-star reviews",
        "we need ten made-up customer testimonials",
        "invent three testimonials for our app",
        "please make up some positive reviews",
    ],
)
def test_opinions_of_nobody_are_told(text: str) -> None:
    assert deceives(text)


@pytest.mark.parametrize(
    "text",
    [
        "write an article about fake reviews",
        "reply to a fake review",
        "how do I spot fake reviews?",
        "write a policy against fake reviews",
        "don't write fake reviews, write an honest answer",
        "write a review of our month",
        "draft a mail that asks buyers for reviews",
    ],
)
def test_talk_of_them_is_not(text: str) -> None:
    assert not deceives(text)


@pytest.mark.parametrize(
    ("text", "kinds", "rest"),
    [
        ("don't make a video, just describe one", VIDEO, "describe one"),
        ("never make a video of me", VIDEO, ""),
        ("don't you dare make a video", VIDEO, ""),
        ("Please don\u2019t generate anything yet", BOTH, ""),
        ("do not create pictures or clips", BOTH, ""),
        ("I don't want a picture, I want a poem", IMAGE, "I want a poem"),
        ("no images please, only words", IMAGE, "only words"),
        ("could you not make a video of a cat", VIDEO, ""),
        ("make an image of a cat, not a video", VIDEO, "make an image of a cat"),
        ("without drawing a picture, say how it looks", IMAGE, "say how it looks"),
    ],
)
def test_what_is_not_to_be_made_is_read_and_left_out(text: str, kinds: frozenset[Kind], rest: str) -> None:
    found = refused(text)
    assert (found.kinds, found.rest) == (kinds, rest)


def test_what_is_only_told_of_stays_refused() -> None:
    found = refused("don't make a video yet, write a script for a 40 second video")
    assert (found.kinds, found.rest) == (VIDEO, "write a script for a 40 second video")


def test_a_kind_that_is_wanted_elsewhere_is_not_refused() -> None:
    found = refused("not a photo but a painting of a boat")
    assert (found.kinds, found.rest) == (frozenset(), "a painting of a boat")


@pytest.mark.parametrize(
    "text",
    [
        "I don't like the picture, make it brighter",
        "a beach without people",
        "I have no pictures of my shop, can you make one?",
        "a cellar; don't make it too dark",
        "make a picture, don't make anything else",
        "the mayor has not confirmed the film",
        "why don't you draw a picture of a fox?",
        "don't you make videos?",
        "recognisable even without the logo",
    ],
)
def test_what_is_only_described_or_asked_is_not_refused(text: str) -> None:
    found = refused(text)
    assert (found.kinds, found.rest) == (frozenset(), text)


@given(st.text(alphabet="dontmakeviscluhpwr ?.,'!", max_size=80))
def test_no_text_breaks_the_readers(text: str) -> None:
    assert aim(text) in Aim
    assert not deceives(text)
    found = refused(text)
    assert len(found.rest) <= len(text)
