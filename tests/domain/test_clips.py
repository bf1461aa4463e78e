"""Clips among the inputs of a request: joined when they are alone, changed or gone on with, else refused in words."""

from typing import Any

import pytest

from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.modes import mode_of
from darkroom.domain.request import Earlier, ImageRequest, VideoRequest
from darkroom.errors import InvalidRequest
from helpers_catalog import image, video


def test_clips_alone_are_joined_in_the_order_given() -> None:
    request = video(images=["clip=b.mp4", {"src": "a.mp4", "role": "clip"}])
    assert mode_of(request) is Mode.JOIN_VIDEO
    assert Mode.JOIN_VIDEO.kind is Kind.VIDEO
    assert [(item.src, item.role) for item in request.images] == [("b.mp4", Role.CLIP), ("a.mp4", Role.CLIP)]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (image(images=["clip=a.mp4"]), "No picture is made of clips."),
        (
            video(images=["clip=a.mp4", "b.png"]),
            "Clips are joined with clips alone, not with a picture as first_frame.",
        ),
        (
            video(images=["clip=a.mp4", "logo=b.png", "style=c.png"]),
            "Clips are joined with clips alone, not with a picture as logo, style.",
        ),
        (video(images=["clip=a.mp4"], scenes=[{"prompt": "x"}]), "Clips are joined by themselves, without scenes."),
        (video(scenes=[{"image": "clip=a.mp4"}]), "Clips are joined by themselves, without scenes."),
    ],
)
def test_clips_beside_anything_else_are_refused(request_: ImageRequest | VideoRequest, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        mode_of(request_)
    error = caught.value
    assert (error.message, error.field) == (said, "images")
    assert "clip=" in str(error.allowed)
    assert str(error.hint).startswith("Nothing was stored. ")


@pytest.mark.parametrize(
    ("fields", "mode"),
    [
        ({}, Mode.TEXT_TO_VIDEO),
        ({"scenes": [{"prompt": "x", "image": "a.png"}, {"prompt": "y"}]}, Mode.TIMELINE),
        ({"images": ["logo=a.png"]}, Mode.REFERENCE_TO_VIDEO),
    ],
)
def test_without_clips_nothing_is_joined(fields: dict[str, Any], mode: Mode) -> None:
    assert mode_of(video(**fields)) is mode


EARLIER = Earlier(job_id="job_1", submission=0, offer="acme/acme-clip")


@pytest.mark.parametrize(
    ("request_", "mode"),
    [
        (video(images=["video=a.mp4"]), Mode.EDIT_VIDEO),
        (video(images=["video=a.mp4", "reference=b.png"]), Mode.EDIT_VIDEO),
        (video(images=["video=a.mp4"], extend=True), Mode.EXTEND_VIDEO),
        (video(follows=EARLIER), Mode.EDIT_VIDEO),
        (video(follows=EARLIER, extend=True), Mode.EXTEND_VIDEO),
        (image(follows=EARLIER), Mode.EDIT_IMAGE),
        (image(follows=EARLIER, images=["reference=a.png"]), Mode.EDIT_IMAGE),
    ],
)
def test_a_result_is_changed_or_gone_on_with(request_: ImageRequest | VideoRequest, mode: Mode) -> None:
    assert mode_of(request_) is mode


@pytest.mark.parametrize(
    ("request_", "said", "field"),
    [
        (image(images=["video=a.mp4"]), "No picture is made of a clip.", "images"),
        (
            video(images=["video=a.mp4", "clip=b.mp4"]),
            "Clips are joined with clips alone, not with a picture as video.",
            "images",
        ),
        (video(extend=True), "There is no clip to go on with.", "options.extend"),
        (video(extend=True, images=["first_frame=a.png"]), "There is no clip to go on with.", "options.extend"),
        (
            video(images=["video=a.mp4"], scenes=[{"prompt": "x"}]),
            "A clip is changed as a whole, without scenes.",
            "images",
        ),
        (video(follows=EARLIER, scenes=[{"prompt": "x"}]), "A clip is changed as a whole, without scenes.", "images"),
    ],
)
def test_a_clip_to_change_that_cannot_be_is_refused_by_its_field(
    request_: ImageRequest | VideoRequest, said: str, field: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        mode_of(request_)
    assert (caught.value.message, caught.value.field) == (said, field)
    assert str(caught.value.hint).startswith("Nothing was stored.")
