"""How long a clip gets that is changed or gone on with, and what a length means where nobody can choose it."""

from typing import Any

import pytest

from darkroom.catalog.fit import fit
from darkroom.domain.kinds import Mode
from darkroom.domain.request import Earlier, MediaInput, VideoRequest
from darkroom.errors import InvalidRequest, Unsupported
from helpers_catalog import make_video_offer, video

OFFER = make_video_offer(inputs={"video": 1, "reference": 2}, clip={"min_s": 3, "max_s": 30})


def clip(seconds: float | None = 8.0) -> MediaInput:
    return MediaInput.model_validate(
        {"src": "input:ab", "role": "video", "width": 1280, "height": 720, "duration": seconds}
    )


def changed(seconds: float | None = 8.0, **fields: Any) -> VideoRequest:
    return video(images=[clip(seconds)], **fields)


def earlier(seconds: float | None = 8.0) -> Earlier:
    return Earlier(job_id="job_1", submission=0, offer="acme/acme-clip", width=720, height=1280, duration=seconds)


def refused(request: VideoRequest) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        fit(request, OFFER)
    assert "Nothing was stored or sent." in str(caught.value.hint)
    return caught.value


@pytest.mark.parametrize("seconds", [3, 8.0, 30])
def test_a_clip_that_is_changed_stays_as_long_as_it_is(seconds: float) -> None:
    made, warnings = fit(changed(seconds), OFFER)
    assert (made.mode, made.duration, made.aspect_ratio, warnings) == (Mode.EDIT_VIDEO, seconds, "16:9", ())


def test_before_the_clip_was_looked_at_its_length_is_not_known() -> None:
    made, _ = fit(video(images=["video=a.mp4"]), OFFER)
    assert (made.mode, made.duration) == (Mode.EDIT_VIDEO, None)


@pytest.mark.parametrize("seconds", [2.9, 30.5])
@pytest.mark.parametrize("extend", [False, True])
def test_a_clip_that_the_offer_does_not_take_is_refused_with_what_it_takes(seconds: float, *, extend: bool) -> None:
    error = refused(changed(seconds, extend=extend))
    assert error.message == f"The clip lasts {seconds:g} s, which acme-clip does not take."
    assert (error.field, error.allowed) == ("images", "3 to 30 s")


def test_a_clip_that_is_gone_on_with_gets_the_seconds_that_were_asked_or_the_usual_ones() -> None:
    made, warnings = fit(changed(8.0, extend=True, duration=10), OFFER)
    assert (made.mode, made.duration, warnings) == (Mode.EXTEND_VIDEO, 10, ())
    assert fit(changed(8.0, extend=True), OFFER)[0].duration == 5
    assert refused(changed(8.0, extend=True, duration=13)).field == "duration"


def test_a_length_that_cannot_be_chosen_is_left_out_with_a_word_or_refused() -> None:
    made, warnings = fit(changed(duration=4), OFFER)
    assert made.duration == 8
    assert warnings == ("duration 4 s was not used: a clip that is changed stays as long as it is.",)
    error = refused(changed(duration=4, exact=True))
    assert (error.message, error.field) == ("acme-clip cannot choose a duration.", "duration")


def test_what_the_conversation_goes_on_with_has_its_length_and_shape_and_no_bounds() -> None:
    made, _ = fit(video(follows=earlier(60.0)), OFFER)
    assert (made.mode, made.duration, made.aspect_ratio) == (Mode.EDIT_VIDEO, 60, "9:16")
    assert made.follows == earlier(60.0)
    assert fit(video(follows=earlier(), extend=True, duration=4), OFFER)[0].duration == 4


def test_no_more_clips_than_the_offer_takes() -> None:
    two = video(images=[clip(), clip()])
    assert refused(two).message == "acme-clip takes at most 1 clip to change."
    with pytest.raises(InvalidRequest, match="takes no clip to change"):
        fit(changed(), make_video_offer())
    with pytest.raises(Unsupported, match="cannot do extend video"):
        fit(changed(extend=True), make_video_offer(inputs={"video": 1}, operations=["edit_video"]))
