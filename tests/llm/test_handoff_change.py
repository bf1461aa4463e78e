"""Work on a picture that there already is: which, what is done with it, what stands for it until it is given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.domain.kinds import Kind
from darkroom.llm.handoff_change import (
    changes_a_clip,
    changes_a_picture,
    motion,
    moves,
    placeholders,
    plain_change,
    things,
)

QUIET = "Gentle, natural motion of what the picture shows; the camera stays still"


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("Can you animate my photo?", Kind.VIDEO),
        ("Turn the picture of my dog into a video", Kind.VIDEO),
        ("please bring my grandmother's old portrait to life", Kind.VIDEO),
        ("make a short video from my photo of the beach", Kind.VIDEO),
        ("make my drawing come alive", Kind.VIDEO),
        ("make the dog in my photo run, as a 5 second clip", Kind.VIDEO),
        ("remove the background from my photo", Kind.IMAGE),
        ("make the woman in this picture smile", Kind.IMAGE),
        ("put our logo on the bottle in this picture", Kind.IMAGE),
        ("make a poster with our logo", Kind.IMAGE),
        ("turn my picture into a watercolour", Kind.IMAGE),
        ("upscale the attached scan to 4k", Kind.IMAGE),
    ],
)
def test_a_change_of_one_picture_is_plain(task: str, kind: Kind) -> None:
    assert plain_change(task) is kind


@pytest.mark.parametrize(
    "task",
    [
        "edit my photo policy",
        "change the headline",
        "turn my blog post into a video",
        "turn these photos into a film",
        "make a picture of a fox",
        "fix my picture frame shop's website",
        "write a caption for my photo",
        "make a plan from our picture",
        "",
    ],
)
def test_anything_else_is_none(task: str) -> None:
    assert plain_change(task) is None


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("animate a cat", False),
        ("animate an old photo", True),
        ("a painting of workers who repair a roof", False),
        ("turn my blog post into a video", False),
        ("turn the drawing into a video", True),
        ("a mug with our logo", True),
    ],
)
def test_a_new_picture_is_no_change_of_one(task: str, changes: bool) -> None:
    assert changes_a_picture(task) is changes


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("Extend my video by 5 seconds", True),
        ("add subtitles to our clip", True),
        ("can you trim the attached recording?", True),
        ("make my video plan better", False),
        ("make a video of a cat", False),
        ("add a video", False),
    ],
)
def test_work_on_a_clip_is_told_from_a_new_one(task: str, changes: bool) -> None:
    assert changes_a_clip(task) is changes


@pytest.mark.parametrize(
    ("task", "prompt"),
    [
        ("animate my photo so that the waves move", "the waves move"),
        ("animate this photo: leaves fall slowly, 5 s", "leaves fall slowly"),
        ("make a video from my photo of the beach with gentle waves", "gentle waves"),
        ("make the dog in my photo run on the beach, as a 5 second clip", "the dog running on the beach"),
        ("animate this picture, make her wave", "the person in the picture waving"),
        ("bring my photo to life, let them dance", "those in the picture dancing"),
        ("animate this picture, make it spin", "what the picture shows spinning"),
        ("use this picture for a clip: the boats sway", "the boats sway"),
    ],
)
def test_the_motion_is_what_the_task_says(task: str, prompt: str) -> None:
    assert motion(task) == (prompt, True)


@pytest.mark.parametrize(
    ("task", "prompt"),
    [
        ("animate my photo", QUIET),
        ("animate my photo for our website", QUIET),
        ("animate my photo, please", QUIET),
        ("animate this: the picture", QUIET),
        ("animate a picture of me", "Gentle, natural motion of the person in the picture; the camera stays still"),
        ("Animate the photo of our terrace!", "Gentle, natural motion of the terrace; the camera stays still"),
    ],
)
def test_a_task_without_a_motion_gets_a_quiet_one(task: str, prompt: str) -> None:
    assert motion(task) == (prompt, False)


def test_a_motion_of_its_own_is_added_to_what_came_before() -> None:
    assert moves("make the flags flutter") is None
    assert moves("Make the flags wave.") == "the flags waving"


def test_what_stands_for_a_picture_says_which() -> None:
    assert things("put our logo on the bottle in this picture") == ["logo", "picture"]
    assert things("change the sketch") == ["sketch"]
    assert things("make it blue") == ["picture"]
    assert placeholders("animate my photo") == ["<path, URL or output id of the photo>"]


@given(st.text(alphabet="animatemyphotourlg,:. ", max_size=60))
def test_no_text_breaks_the_readers(text: str) -> None:
    assert motion(text)[0]
    assert plain_change(text) in (None, Kind.IMAGE, Kind.VIDEO)
