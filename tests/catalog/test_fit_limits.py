"""Whatever is asked: what an offer is given lies within the limits that it declares."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from darkroom.catalog.fit import fit
from darkroom.catalog.parts import parts_of
from darkroom.catalog.providers import Offer, Providers
from darkroom.catalog.ranges import DurationRange, SizeRange
from darkroom.domain.kinds import Role
from darkroom.domain.request import RESOLUTIONS, Effective, MediaInput, Size
from darkroom.errors import DarkroomError, InvalidRequest
from helpers_catalog import image, make_offer, make_video_offer, video

SIDES = st.integers(16, 8192)
TEXT_SIZES = st.builds("{}x{}".format, SIDES, SIDES)
RATIOS = st.builds("{}:{}".format, st.integers(3, 16), st.integers(3, 16))
WORDS = st.sampled_from(list(RESOLUTIONS))
SECONDS = st.floats(0.5, 600).map(lambda value: round(value, 2))


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


@st.composite
def size_ranges(draw: st.DrawFn) -> SizeRange:
    """Draw limits that a manifest may declare."""
    low = draw(st.integers(16, 1024))
    fields: dict[str, Any] = {
        "min_side": low,
        "max_side": draw(st.integers(low, 8192)),
        "multiple_of": draw(st.sampled_from([1, 2, 8, 12, 16, 32, 64])),
        "ratios": draw(st.lists(RATIOS, max_size=3)),
        "resolutions": draw(st.lists(WORDS, max_size=3)),
        "sizes": draw(st.lists(TEXT_SIZES, max_size=3)),
    }
    if draw(st.booleans()):
        fields["max_pixels"] = draw(st.integers(4 * low * low, 8192**2))
    try:
        return SizeRange.model_validate(fields)
    except ValidationError:
        assume(condition=False)
        raise


@st.composite
def durations(draw: st.DrawFn) -> DurationRange:
    """Draw lengths that a manifest may declare."""
    values = draw(st.lists(st.sampled_from([2, 4, 5, 6, 8, 10, 20]), max_size=3))
    low = draw(st.integers(1, 20))
    return DurationRange(values=tuple(values), min_s=low, max_s=low + draw(st.integers(0, 60)))


def within(have: SizeRange, made: Effective) -> bool:
    if have.sizes:
        return str(Size(made.width, made.height)) in have.sizes
    sides = (made.width, made.height)
    step = have.multiple_of
    low = -(-have.min_side // step) * step
    small = have.max_pixels is None or made.width * made.height <= have.max_pixels or sides == (low, low)
    return small and all(have.min_side <= side <= have.max_side and side % step == 0 for side in sides)


@given(size_ranges(), maybe(TEXT_SIZES), maybe(RATIOS), st.integers(1, 10), st.booleans())
def test_a_picture_that_is_accepted_lies_within_the_limits(
    have: SizeRange, size: str | None, ratio: str | None, count: int, exact: bool
) -> None:
    offer = make_offer(size=have, count_max=4)
    try:
        made, _ = fit(image(size=size, aspect_ratio=ratio, n=count, exact=exact), offer)
    except DarkroomError:
        return
    assert within(have, made)
    assert all(part.n <= 4 for part in parts_of(made, offer))
    assert sum(part.n for part in parts_of(made, offer)) == count
    assert made.duration is None


@given(size_ranges(), durations(), maybe(WORDS), maybe(RATIOS), maybe(SECONDS), st.lists(maybe(SECONDS), max_size=4))
def test_a_clip_that_is_accepted_lies_within_the_limits(
    have: SizeRange,
    time: DurationRange,
    resolution: str | None,
    ratio: str | None,
    seconds: float | None,
    scenes: list[float | None],
) -> None:
    offer = make_video_offer(size=have, duration=time, count_max=1)
    parts = [{"prompt": "x", "duration": item} for item in scenes]
    try:
        made, _ = fit(video(resolution=resolution, aspect_ratio=ratio, duration=seconds, scenes=parts), offer)
    except DarkroomError:
        return
    assert within(have, made)
    assert made.resolution in (have.resolutions or RESOLUTIONS)
    assert made.duration in time.values if time.values else time.min_s <= (made.duration or 0) <= time.max_s
    assert all(scene.duration for scene in made.scenes)


WIDE = make_offer(size={"max_side": 3840, "widest": 3, "min_pixels": 655360, "max_pixels": 8294400, "multiple_of": 16})


@pytest.mark.parametrize("size", ["3088x1008", "512x2048", "640x1008"])
def test_a_size_is_no_longer_and_no_smaller_than_an_offer_makes(size: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        fit(image(size=size), WIDE)
    assert "655,360 to 8,294,400 in all" in str(caught.value.allowed)
    assert "3 times" in str(caught.value.allowed)


@pytest.mark.parametrize(("asked", "used"), [("4:1", (1776, 592)), ("1:5", (592, 1776)), ("3:1", (1776, 592))])
def test_a_ratio_that_is_too_long_becomes_the_longest(asked: str, used: tuple[int, int]) -> None:
    made, warnings = fit(image(aspect_ratio=asked), WIDE)
    assert (made.width, made.height) == used
    assert len(warnings) == (asked != "3:1")


def test_the_picture_of_a_long_source_is_as_long_as_it_can_be() -> None:
    source = MediaInput(src="a", role=Role.SOURCE, width=4000, height=1000)
    made, warnings = fit(image(images=[source]), WIDE)
    assert (made.width, made.height, warnings) == (1776, 592, ())


LESS = {"resolutions": ["480p", "720p"], "min_s": 3, "max_s": 8}
NARROW = make_video_offer(
    size={"resolutions": ["480p", "720p", "1080p"]},
    duration={"min_s": 2, "max_s": 12, "default_s": 10},
    given={"reference": LESS},
)


@pytest.mark.parametrize(
    ("asked", "says", "field", "allowed"),
    [
        ({"resolution": "1080p"}, "With a reference, acme-clip has no resolution 1080p.", "resolution", "480p, 720p"),
        ({"duration": 9}, "With a reference, acme-clip makes no clips of 9 s.", "duration", "3 to 8 s"),
        ({"duration": 2}, "With a reference, acme-clip makes no clips of 2 s.", "duration", "3 to 8 s"),
    ],
)
def test_with_some_inputs_an_offer_makes_less(asked: dict[str, Any], says: str, field: str, allowed: str) -> None:
    alone, _ = fit(video(**asked, images=["first_frame=a"]), NARROW)
    assert {name: getattr(alone, name) for name in asked} == asked
    with pytest.raises(InvalidRequest) as caught:
        fit(video(**asked, images=["reference=a"]), NARROW)
    told = caught.value
    assert (told.message, told.field, told.allowed) == (says, field, allowed)
    assert told.hint == f"Nothing was stored or sent. Change {field}, leave out the reference, or name another model."


def test_what_is_not_asked_is_within_what_is_left() -> None:
    made, warnings = fit(video(images=["reference=a"]), NARROW)
    assert (made.duration, made.resolution, warnings) == (8, "720p", ())
    assert fit(video(), NARROW)[0].duration == 10


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"reference": {"resolutions": ["4k"]}}, "a resolution that the offer does not have"),
        ({"reference": {"min_s": 13}}, "leave no length"),
        ({"mask": {"max_s": 8}}, "names a role that inputs does not have"),
    ],
)
def test_what_is_left_is_something_that_the_offer_has(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        make_video_offer(size={"resolutions": ["720p"]}, given=given)


@pytest.mark.parametrize(
    ("name", "model", "asked", "allowed"),
    [
        ("xai", "grok-imagine-video-1.5", {"resolution": "1080p"}, "480p, 720p"),
        ("xai", "grok-imagine-video", {"duration": 11}, "1 or 2 or 3 or 4 or 5 or 6 or 7 or 8 or 9 or 10 s"),
        ("kie", "veo-3.1-fast", {"duration": 6}, "8 s"),
        ("kie", "wan-2.7", {"duration": 12}, "2 or 3 or 4 or 5 or 6 or 7 or 8 or 9 or 10 s"),
    ],
)
def test_clips_of_references_have_limits_of_their_own(
    name: str, model: str, asked: dict[str, Any], allowed: str
) -> None:
    offer = Providers()[name].offer(model)
    assert offer is not None
    fit(video(**asked), offer)
    with pytest.raises(InvalidRequest, match="With a reference") as caught:
        fit(video(**asked, images=["reference=a"]), offer)
    assert caught.value.allowed == allowed


GPT_IMAGE_2 = [
    pytest.param(offer, id=f"{name}-{offer.model}")
    for name in ("openai", "azure", "fal")
    for offer in Providers()[name].offers
    if offer.model.startswith("gpt-image-2")
]


@pytest.mark.parametrize("offer", GPT_IMAGE_2)
@pytest.mark.parametrize("size", ["16x16", "512x512", "3840x1024", "3840x3840"])
def test_gpt_image_makes_no_size_that_its_maker_does_not(offer: Offer, size: str) -> None:
    with pytest.raises(InvalidRequest, match=f"makes no pictures of {size}") as caught:
        fit(image(size=size), offer)
    assert "655,360 to 8,294,400 in all, the longer up to 3 times the shorter" in str(caught.value.allowed)


@pytest.mark.parametrize("offer", GPT_IMAGE_2)
@pytest.mark.parametrize("asked", [{"aspect_ratio": "8:1"}, {"aspect_ratio": "1:3"}, {"size": "1024x640"}, {}])
def test_whatever_shape_gpt_image_is_asked_for_lies_within_its_bounds(offer: Offer, asked: dict[str, Any]) -> None:
    made, _ = fit(image(**asked), offer)
    sides = (made.width, made.height)
    assert 655_360 <= made.width * made.height <= 8_294_400
    assert max(sides) <= 3 * min(sides)
    assert all(side % 16 == 0 for side in sides)
