"""A film of joined clips: its route, its length and its size."""

from typing import Any

import pytest

from darkroom.catalog.fit import fit
from darkroom.catalog.joins import film_size, together_s
from darkroom.catalog.prices import quote
from darkroom.catalog.providers import Providers
from darkroom.catalog.ranges import SizeRange
from darkroom.catalog.routing import Candidate, Choice, route
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.request import Effective, MediaInput, VideoRequest
from darkroom.errors import InvalidRequest, Unsupported
from helpers_catalog import TODAY, make_offer, make_provider, make_video_offer, video

DRAFT = Providers()["draft"]
FILM = next(offer for offer in DRAFT.offers if offer.model == "film-join")
PROVIDERS = {
    "draft": DRAFT,
    "acme": make_provider("acme", offers=[make_video_offer(operations=["text_to_video", "timeline"])]),
}


def clips(*facts: tuple[int, int, float], **fields: Any) -> VideoRequest:
    """Return a request for a film of clips of these widths, heights and seconds, which were looked at."""
    images = tuple(
        MediaInput(src="input:1", role=Role.CLIP, width=width, height=height, duration=seconds)
        for width, height, seconds in facts
    )
    return VideoRequest.model_validate({"images": images, **fields})


def made(request: VideoRequest) -> tuple[Effective, tuple[str, ...]]:
    return fit(request, FILM)


def test_a_film_is_as_long_as_its_clips_and_as_large_as_the_first() -> None:
    effective, warnings = made(clips((640, 360, 2.02), (360, 640, 1.5)))
    assert (effective.mode, effective.kind, effective.prompt) == (Mode.JOIN_VIDEO, Kind.VIDEO, "")
    assert (effective.width, effective.height, effective.aspect_ratio) == (640, 360, "16:9")
    assert (effective.duration, effective.resolution, effective.audio) == (3.52, None, True)
    assert effective.options == {"transition": "cut"}
    assert warnings == ()
    price = quote(FILM, effective, TODAY)
    assert price is not None
    assert price.free


@pytest.mark.parametrize(
    ("first", "size"),
    [
        ((1920, 1080), (1920, 1080)),
        ((3840, 2160), (1920, 1080)),
        ((1080, 2400), (864, 1920)),
        ((641, 361), (640, 360)),
        ((40, 20), (128, 64)),
        ((854, 480), (854, 480)),
    ],
)
def test_the_size_of_the_first_clip_is_brought_within_the_bounds(first: tuple[int, int], size: tuple[int, int]) -> None:
    effective, _ = made(clips((*first, 1.0)))
    assert (effective.width, effective.height) == size


def test_a_ratio_or_a_height_class_wins_over_the_first_clip() -> None:
    wide, _ = made(clips((360, 640, 1.0), aspect_ratio="16:9"))
    assert (wide.width, wide.height) == (1280, 720)
    tall, _ = made(clips((360, 640, 1.0), resolution="480p"))
    assert (tall.width, tall.height, tall.aspect_ratio) == (480, 856, "9:16")
    same, _ = made(clips((360, 640, 1.0), aspect_ratio="auto"))
    assert (same.width, same.height) == (360, 640)


def test_a_duration_is_not_the_callers() -> None:
    effective, warnings = made(clips((640, 360, 2.0), duration=9))
    assert effective.duration == 2
    assert warnings == ("duration 9 s was not used: a film lasts as long as its clips.",)
    with pytest.raises(InvalidRequest) as caught:
        made(clips((640, 360, 2.0), duration=9, exact=True))
    assert caught.value.field == "duration"


def test_clips_that_are_too_long_together_or_too_many_are_refused() -> None:
    assert made(clips((640, 360, 300), (640, 360, 300)))[0].duration == 600
    with pytest.raises(InvalidRequest) as caught:
        made(clips((640, 360, 300), (640, 360, 301)))
    assert (caught.value.message, caught.value.field) == ("The clips last 601 s together.", "images")
    assert caught.value.allowed == "up to 600 s in all"
    few = FILM.model_copy(update={"inputs": {Role.CLIP: 1}})
    with pytest.raises(InvalidRequest) as caught:
        fit(clips((640, 360, 1), (640, 360, 1)), few)
    assert caught.value.message == "film-join takes at most 1 clips to join."


def test_before_the_clips_are_looked_at_nothing_is_known_of_the_film() -> None:
    request = VideoRequest.model_validate({"images": ["clip=a.mp4", "clip=b.mp4"]})
    assert made(request)[0].duration is None
    assert together_s(request.images) is None
    assert film_size(request, request.images, SizeRange()) is None
    assert film_size(video(), (), SizeRange()) is None


def test_a_clip_never_becomes_a_reference() -> None:
    with pytest.raises(InvalidRequest) as caught:
        fit(clips((640, 360, 1)), make_video_offer())
    assert caught.value.message == "acme-clip takes no clips to join."


def names(**choice: Any) -> list[str]:
    values: dict[str, Any] = {"kind": Kind.VIDEO, "mode": Mode.JOIN_VIDEO}
    return [item.name for item in route(PROVIDERS, Choice(**(values | choice)), frozenset(PROVIDERS), TODAY)]


@pytest.mark.parametrize(
    "choice", [{}, {"model": "film-join"}, {"model": "join"}, {"model": "concat"}, {"provider": "draft"}]
)
def test_a_join_goes_to_the_one_offer_that_joins_also_where_others_are_configured(choice: dict[str, Any]) -> None:
    assert names(**choice) == ["draft/film-join"]


def test_what_is_to_be_made_never_goes_to_the_offer_that_joins() -> None:
    for mode in (Mode.TEXT_TO_VIDEO, Mode.TIMELINE):
        assert names(mode=mode) == ["acme/acme-clip"]
        assert names(mode=mode, provider="draft") == ["draft/draft-video"]
    with pytest.raises(Unsupported, match="film-join cannot do text to video"):
        names(mode=Mode.TEXT_TO_VIDEO, model="film-join")


def test_a_model_that_makes_clips_is_answered_with_the_one_that_joins() -> None:
    with pytest.raises(Unsupported) as caught:
        names(model="acme-clip")
    assert caught.value.message == "acme-clip cannot do join video."
    assert caught.value.allowed == ["draft/film-join"]


def test_what_is_joined_here_is_no_draft() -> None:
    drawn = [offer.model for offer in DRAFT.offers if Candidate(DRAFT, offer).makes_drafts]
    assert drawn == ["draft-image", "draft-video"]
    assert not Candidate(make_provider(), make_offer()).makes_drafts
