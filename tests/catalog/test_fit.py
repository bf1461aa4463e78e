"""A request becomes what an offer has: snapped with a word about it, or refused with what is allowed."""

from collections.abc import Callable
from typing import Any

import pytest

from darkroom.catalog.fit import fit
from darkroom.catalog.providers import Offer, Providers
from darkroom.domain.kinds import Mode, Role
from darkroom.domain.request import Effective, ImageRequest, VideoRequest
from darkroom.errors import InvalidRequest, Unsupported
from helpers_catalog import image, make_offer, make_video_offer, video

SIZES = {"sizes": ["1024x1024", "1024x1536", "1536x1024"]}
DRAFT = Providers()["draft"]
DRAFT_IMAGE, DRAFT_VIDEO, FILM = DRAFT.offers


def fitted(request: ImageRequest | VideoRequest, offer: Offer) -> tuple[Effective, str]:
    """Return what an offer makes of the request, and its only warning, or nothing."""
    made, warnings = fit(request, offer)
    assert len(warnings) <= 1
    return made, "".join(warnings)


def refusal(request: ImageRequest | VideoRequest, offer: Offer) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        fit(request, offer)
    assert (caught.value.hint or "").startswith("Nothing was stored or sent.")
    assert caught.value.field
    return caught.value


def snapped(make: Callable[..., Any], offer: Offer, field: str, **fields: Any) -> Effective:
    """Return the request as it was snapped; check that this was said, and that `exact` refuses it."""
    made, warning = fitted(make(**fields), offer)
    assert warning.startswith(f"{field} ")
    assert "the nearest that" in warning
    error = refusal(make(**fields, exact=True), offer)
    assert error.field == field
    assert error.allowed
    return made


# Defaults


def test_a_picture_is_square_with_1024_pixels_unless_said_otherwise() -> None:
    made, warning = fitted(image(), DRAFT_IMAGE)
    assert (made.width, made.height, made.aspect_ratio, made.n, made.quality) == (1024, 1024, "1:1", 1, "medium")
    assert (made.duration, made.resolution, made.audio, made.scenes) == (None, None, None, ())
    assert made.options == {"format": "png"}
    assert warning == ""


def test_a_clip_has_5_seconds_720p_and_the_sound_of_the_offer_unless_said_otherwise() -> None:
    made, warning = fitted(video(), DRAFT_VIDEO)
    assert (made.width, made.height, made.aspect_ratio) == (1280, 720, "16:9")
    assert (made.duration, made.resolution, made.audio, made.quality) == (5, "720p", True, None)
    assert warning == ""


# Sizes


@pytest.mark.parametrize(
    ("size", "asked", "used"),
    [
        (SIZES, "1000x1000", (1024, 1024)),
        (SIZES, "1920x1080", (1536, 1024)),
        (SIZES, "600x900", (1024, 1536)),
        ({"multiple_of": 16}, "1000x1000", (992, 992)),
        ({"multiple_of": 64, "max_side": 1000}, "1000x100", (960, 128)),
        ({"multiple_of": 16, "max_pixels": 1_000_000}, "1000x1000", (992, 992)),
        ({"multiple_of": 32, "max_pixels": 720 * 700}, "720x700", (704, 704)),
        ({"ratios": ["1:1", "16:9"]}, "1000x700", (1112, 624)),
    ],
)
def test_a_size_that_the_offer_lacks_becomes_the_nearest(size: Any, asked: str, used: tuple[int, int]) -> None:
    made = snapped(image, make_offer(size=size), "size", size=asked)
    assert (made.width, made.height) == used


@pytest.mark.parametrize(
    ("size", "asked", "ratio"),
    [
        (SIZES, "1024x1536", "2:3"),
        ({}, "1000x700", "10:7"),
        ({"ratios": ["16:9", "1:1"]}, "1344x768", "16:9"),
        ({"sizes": ["1344x768"], "ratios": ["16:9"]}, "1344x768", "16:9"),
        ({"sizes": ["1344x768"], "ratios": ["1:1"]}, "1344x768", "7:4"),
    ],
)
def test_a_size_that_the_offer_has_is_kept_and_named_by_its_ratio(size: Any, asked: str, ratio: str) -> None:
    made, warning = fitted(image(size=asked), make_offer(size=size))
    assert (f"{made.width}x{made.height}", made.aspect_ratio, warning) == (asked, ratio, "")


@pytest.mark.parametrize(
    ("size", "asked"),
    [
        ({"max_side": 2048}, "2049x1024"),
        ({"min_side": 64}, "63x1024"),
        ({"max_pixels": 1_000_000}, "1001x1000"),
        ({"max_side": 1024, "ratios": ["1:1"]}, "2000x1000"),
    ],
)
def test_a_size_out_of_range_is_refused_with_the_range(size: Any, asked: str) -> None:
    error = refusal(image(size=asked), make_offer(size=size))
    assert error.field == "size"
    assert "pixels a side" in str(error.allowed)
    assert ("in all" in str(error.allowed)) is ("max_pixels" in size)


def test_size_wins_over_the_ratio_with_a_word_about_it() -> None:
    made, warning = fitted(image(size="512x512", aspect_ratio="16:9"), DRAFT_IMAGE)
    assert (made.width, made.height) == (512, 512)
    assert warning == "size wins over aspect_ratio; the ratio was not used."
    assert fitted(image(size="512x512", aspect_ratio="auto"), DRAFT_IMAGE)[1] == ""


# Ratios


def test_a_ratio_has_about_a_megapixel_on_the_grid() -> None:
    made, warning = fitted(image(aspect_ratio="16:9"), DRAFT_IMAGE)
    assert (made.width, made.height, made.aspect_ratio, warning) == (1368, 768, "16:9", "")


def test_a_ratio_that_the_offer_lacks_becomes_the_nearest() -> None:
    offer = make_offer(size={"ratios": ["1:1", "16:9", "9:16"]})
    assert snapped(image, offer, "aspect_ratio", aspect_ratio="21:9").aspect_ratio == "16:9"
    assert snapped(image, offer, "aspect_ratio", aspect_ratio="5:6").aspect_ratio == "1:1"
    assert fitted(image(aspect_ratio="1920:1080", exact=True), offer)[0].aspect_ratio == "16:9"


def test_a_ratio_of_which_there_is_no_size_becomes_the_nearest_sizes() -> None:
    made = snapped(image, make_offer(size=SIZES), "aspect_ratio", aspect_ratio="16:9")
    assert (made.width, made.height, made.aspect_ratio) == (1536, 1024, "3:2")
    made, warning = fitted(image(aspect_ratio="3:2", exact=True), make_offer(size=SIZES))
    assert (made.width, made.height, warning) == (1536, 1024, "")


def test_a_ratio_that_does_not_fit_between_the_sides_is_said() -> None:
    made = snapped(image, make_offer(size={"min_side": 512, "max_side": 1024}), "aspect_ratio", aspect_ratio="8:1")
    assert (made.width, made.height, made.aspect_ratio) == (1024, 512, "2:1")


def test_a_ratio_grows_to_the_smallest_side() -> None:
    made, warning = fitted(image(aspect_ratio="4:1"), make_offer(size={"min_side": 768}))
    assert (made.width, made.height, warning) == (3072, 768, "")


def test_a_sides_grid_gives_way_where_no_multiple_of_8_fits() -> None:
    made, _ = fitted(image(), make_offer(size={"min_side": 1001, "max_side": 1007}))
    assert 1001 <= made.width <= 1007


@pytest.mark.parametrize("ratio", ["auto", None])
def test_auto_takes_the_default_and_is_never_snapped_aloud(ratio: str | None) -> None:
    made, warning = fitted(image(aspect_ratio=ratio, exact=True), make_offer(size={"ratios": ["16:9"]}))
    assert (made.aspect_ratio, warning) == ("16:9", "")
    assert fitted(image(aspect_ratio=ratio, exact=True), make_offer(size={"sizes": ["800x600"]}))[0].width == 800


@pytest.mark.parametrize(
    ("make", "offer", "width", "height", "ratio"),
    [
        (image, DRAFT_IMAGE, 800, 600, "4:3"),
        (video, DRAFT_VIDEO, 600, 800, "3:4"),
        (image, DRAFT_IMAGE, 900, 100, "1:1"),
        (video, DRAFT_VIDEO, 100, 900, "16:9"),
        (image, DRAFT_IMAGE, None, None, "1:1"),
    ],
)
def test_without_a_ratio_it_is_that_of_the_picture_to_change(
    make: Any, offer: Offer, width: int | None, height: int | None, ratio: str
) -> None:
    given = make().images
    lead = make(images=["a"]).images[0].model_copy(update={"width": width, "height": height})
    assert fitted(make(images=[lead]), offer)[0].aspect_ratio == ratio
    assert fitted(make(images=[lead], aspect_ratio="auto"), offer)[0].aspect_ratio == ratio
    assert fitted(make(images=[lead], aspect_ratio="9:16"), offer)[0].aspect_ratio == "9:16"
    assert given == ()


def test_references_do_not_set_the_ratio() -> None:
    items = [item.model_copy(update={"width": 800, "height": 600}) for item in image(images=["a", "b"]).images]
    assert fitted(image(images=items), DRAFT_IMAGE)[0].aspect_ratio == "1:1"


# Resolutions


@pytest.mark.parametrize(("asked", "used"), [("540p", "480p"), ("1080p", "1080p")])
def test_a_resolution_that_the_offer_lacks_becomes_the_nearest(asked: str, used: str) -> None:
    made, warning = fitted(video(resolution=asked), DRAFT_VIDEO)
    assert made.resolution == used
    assert (warning == "") is (asked == used)
    if asked != used:
        snapped(video, DRAFT_VIDEO, "resolution", resolution=asked)


@pytest.mark.parametrize("asked", ["4k", "1440p"])
def test_a_resolution_out_of_range_is_refused_with_the_range(asked: str) -> None:
    error = refusal(video(resolution=asked), DRAFT_VIDEO)
    assert (error.field, error.allowed) == ("resolution", "360p, 480p, 720p, 1080p")


def test_the_default_resolution_is_moved_without_a_word() -> None:
    made, warning = fitted(video(exact=True), make_video_offer(size={"resolutions": ["1080p", "4k"]}))
    assert (made.resolution, made.width, made.height, warning) == ("1080p", 1920, 1080, "")


@pytest.mark.parametrize(
    ("ratio", "size"), [("9:16", (720, 1280)), ("1:1", (720, 720)), ("21:9", (1680, 720)), (None, (1280, 720))]
)
def test_a_resolution_is_the_shorter_side(ratio: str | None, size: tuple[int, int]) -> None:
    made, _ = fitted(video(aspect_ratio=ratio), DRAFT_VIDEO)
    assert (made.width, made.height) == size


def test_a_clip_takes_one_of_the_offers_sizes() -> None:
    offer = make_video_offer(size={"sizes": ["1280x720", "720x1280", "1920x1080"], "resolutions": ["720p", "1080p"]})
    for fields, size in (
        ({}, (1280, 720)),
        ({"resolution": "1080p"}, (1920, 1080)),
        ({"aspect_ratio": "9:16"}, (720, 1280)),
    ):
        made, warning = fitted(video(**fields), offer)
        assert (made.width, made.height, warning) == (*size, "")


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({"resolution": "480p"}, (832, 480)),
        ({"resolution": "720p"}, (1280, 720)),
        ({"resolution": "480p", "aspect_ratio": "20:9"}, (1280, 576)),
        ({"resolution": "480p", "aspect_ratio": "13:6"}, (1248, 576)),
    ],
)
def test_a_size_of_nearly_the_ratio_is_taken_for_its_resolution(asked: dict[str, Any], size: tuple[int, int]) -> None:
    sizes = {"sizes": ["832x480", "1280x720", "1280x576", "1248x576"], "resolutions": ["480p", "720p"]}
    made, warning = fitted(video(**asked), make_video_offer(size=sizes))
    assert (made.width, made.height, warning) == (*size, "")


@pytest.mark.parametrize(("resolution", "side"), [("480p", 480), ("720p", 960), ("1080p", 1440), ("4k", 3840)])
def test_a_square_clip_has_the_shorter_side_or_the_area_of_its_resolution(resolution: str, side: int) -> None:
    sizes = {"sizes": ["480x480", "960x960", "1440x1440", "3840x3840"]}
    made, _ = fitted(video(aspect_ratio="1:1", resolution=resolution), make_video_offer(size=sizes))
    assert (made.width, made.height) == (side, side)


# Time


@pytest.mark.parametrize(
    ("have", "asked", "used"),
    [
        ({"values": [4, 6, 8]}, 4.6, 4),
        ({"values": [4, 6, 8]}, 7.5, 8),
        ({"values": [5, 10]}, 9, 10),
    ],
)
def test_a_duration_that_the_offer_lacks_becomes_the_nearest(have: Any, asked: float, used: float) -> None:
    assert snapped(video, make_video_offer(duration=have), "duration", duration=asked).duration == used


@pytest.mark.parametrize(
    ("have", "asked", "allowed"),
    [
        ({"values": [4, 8]}, 3.9, "4 or 8 s"),
        ({"values": [4, 8]}, 9, "4 or 8 s"),
        ({"min_s": 2, "max_s": 12}, 1.5, "2 to 12 s"),
        ({"min_s": 2, "max_s": 12}, 12.1, "2 to 12 s"),
    ],
)
def test_a_duration_out_of_range_is_refused_with_the_range(have: Any, asked: float, allowed: str) -> None:
    error = refusal(video(duration=asked), make_video_offer(duration=have))
    assert (error.field, error.allowed) == ("duration", allowed)


@pytest.mark.parametrize(
    ("have", "used"),
    [
        ({"values": [4, 8]}, 4),
        ({"values": [6, 8]}, 6),
        ({"values": [4, 8], "default_s": 8}, 8),
        ({"min_s": 6, "max_s": 12}, 6),
        ({"min_s": 1, "max_s": 3}, 3),
        ({"min_s": 1, "max_s": 9, "default_s": 7.5}, 7.5),
        ({}, 5),
    ],
)
def test_without_a_duration_it_is_the_offers_or_about_5_seconds(have: Any, used: float) -> None:
    made, warning = fitted(video(exact=True), make_video_offer(duration=have))
    assert (made.duration, warning) == (used, "")


def test_a_duration_within_a_range_is_kept() -> None:
    assert fitted(video(duration=7.25, exact=True), make_video_offer())[0].duration == 7.25


@pytest.mark.parametrize(
    ("scenes", "duration", "shares", "total"),
    [
        ([None, None], None, [3, 3], 6),
        ([2, None], None, [2, 3], 5),
        ([2, 4.5], None, [2, 4.5], 6.5),
        ([2, 4.5], 9, [2, 4.5], 6.5),
        ([None, None], 9, [4.5, 4.5], 9),
        ([2, None, None], 6, [2, 2, 2], 6),
        ([None] * 6, None, [2] * 6, 12),
    ],
)
def test_scenes_without_a_duration_share_the_time_that_is_left(
    scenes: list[float | None], duration: float | None, shares: list[float], total: float
) -> None:
    request = video(scenes=[{"prompt": "x", "duration": item} for item in scenes], duration=duration)
    made, _ = fitted(request, make_video_offer())
    assert made.mode is Mode.TIMELINE
    assert [scene.duration for scene in made.scenes] == shares
    assert made.duration == total


@pytest.mark.parametrize(
    ("scenes", "duration", "field"),
    [([6, None], 6.4, "scenes"), ([7, 6], None, "duration"), ([11.8, None], None, "scenes"), ([None], 20, "duration")],
)
def test_scenes_that_do_not_fit_are_refused(scenes: list[float | None], duration: float | None, field: str) -> None:
    request = video(scenes=[{"prompt": "x", "duration": item} for item in scenes], duration=duration)
    assert refusal(request, make_video_offer()).field == field


# Sound, quality, seed, negative prompt


@pytest.mark.parametrize(
    ("able", "asked", "used", "said"),
    [
        ("optional", None, True, False),
        ("optional", False, False, False),
        ("always", None, True, False),
        ("always", True, True, False),
        ("always", False, True, True),
        ("never", None, False, False),
        ("never", False, False, False),
    ],
)
def test_sound_is_what_the_offer_can(able: str, asked: bool | None, *, used: bool, said: bool) -> None:
    made, warning = fitted(video(audio=asked), make_video_offer(audio=able))
    assert made.audio is used
    assert bool(warning) is said
    if said:
        snapped(video, make_video_offer(audio=able), "audio", audio=asked)


@pytest.mark.parametrize(
    ("have", "asked", "used", "said"),
    [
        (["low", "high"], "low", "low", False),
        (["low", "high"], "max", "high", True),
        (["high", "max"], "low", "high", True),
        (["high", "max"], "medium", "high", True),
        (["high", "max"], None, "high", False),
        (["low", "high"], "auto", "low", False),
        (["auto"], "high", "auto", True),
        (["auto"], "auto", "auto", False),
        ([], "high", None, True),
        ([], "medium", None, False),
        ([], "auto", None, False),
    ],
)
def test_quality_becomes_the_nearest_level(have: list[str], asked: str | None, used: str | None, *, said: bool) -> None:
    fields = {"quality": asked} if asked else {}
    made, warning = fitted(image(**fields), make_offer(qualities=have))
    assert made.quality == used
    assert bool(warning) is said
    if said:
        snapped(image, make_offer(qualities=have), "quality", **fields)


def test_a_clip_takes_the_offers_own_quality_without_a_word() -> None:
    made, warning = fitted(video(exact=True), make_video_offer(qualities=["high"]))
    assert (made.quality, warning) == ("high", "")


@pytest.mark.parametrize(("name", "value"), [("seed", 7), ("negative_prompt", "cats")])
def test_what_the_offer_cannot_is_dropped_with_a_word(name: str, value: Any) -> None:
    made, warning = fitted(image(**{name: value}), make_offer(**{name: False}))
    assert getattr(made, name) is None
    assert warning == f"acme-1 has no {name}; it was not used."
    assert getattr(fitted(image(**{name: value}), make_offer())[0], name) == value
    assert refusal(image(**{name: value}, exact=True), make_offer(**{name: False})).field == name
    assert fitted(image(exact=True), make_offer(**{name: False}))[1] == ""


@pytest.mark.parametrize(("name", "value"), [("seed", 7), ("negative_prompt", "cats")])
def test_what_an_operation_of_the_offer_cannot_is_dropped_with_a_word(name: str, value: Any) -> None:
    offer = make_offer(fields={name: "x"}, fields_of={"edit_image": {name: ""}})
    made, warning = fitted(image(images=["a"], **{name: value}), offer)
    assert (made.mode, getattr(made, name)) == ("edit_image", None)
    assert warning == f"acme-1 has no {name} to edit image; it was not used."
    assert refusal(image(images=["a"], **{name: value}, exact=True), offer).field == name
    assert fitted(image(**{name: value}), offer) == fitted(image(**{name: value}), make_offer())


# Inputs, counts, words


def test_sound_is_not_paid_for_where_there_is_none() -> None:
    with pytest.raises(InvalidRequest, match="makes silent clips only") as caught:
        fit(video(audio=True), make_video_offer(audio="never"))
    assert caught.value.field == "audio"


def test_a_mask_is_never_painted() -> None:
    with pytest.raises(InvalidRequest, match="takes no pictures as mask"):
        fit(image(images=["mask=a", "b"]), make_offer())


@pytest.mark.parametrize(
    ("given", "roles", "said"),
    [
        (["a"], ["source"], False),
        (["style=a", "b", "c"], ["reference"] * 3, True),
        (["style=a", "b"], ["reference", "source"], True),
    ],
)
def test_a_role_that_the_offer_lacks_becomes_a_reference(given: list[str], roles: list[str], *, said: bool) -> None:
    made, warning = fitted(image(images=given), make_offer())
    assert [item.role for item in made.inputs] == roles
    assert ("the picture is used as a reference" in warning) is said


def test_a_source_animated_by_an_offer_without_sources_is_its_first_frame() -> None:
    made, warning = fitted(video(images=["source=a"]), make_video_offer())
    assert ([item.role for item in made.inputs], made.mode, warning) == ([Role.FIRST_FRAME], Mode.IMAGE_TO_VIDEO, "")


@pytest.mark.parametrize(
    ("have", "given", "message", "allowed"),
    [
        ({"source": 1}, ["source=a", "source=b"], "takes at most 1 picture as source", "1 source"),
        ({"reference": 2}, ["a", "b", "c"], "takes at most 2 pictures as reference", "2 reference"),
        ({"source": 1}, ["style=a"], "takes no pictures as style", "1 source"),
        ({}, ["a"], "takes no pictures as source", "no pictures"),
        ({"source": 1, "reference": 1}, ["style=a", "logo=b"], "", "1 source, 1 reference"),
    ],
)
def test_more_inputs_than_the_offer_takes_are_refused(
    have: dict[str, int], given: list[str], message: str, allowed: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        fit(image(images=given), make_offer(inputs=have))
    assert message in caught.value.message
    assert (caught.value.field, caught.value.allowed) == ("images", allowed)


@pytest.mark.parametrize(
    ("rule", "given", "allowed"),
    [
        ({"alone": ["reference"]}, ["first_frame=a", "reference=b"], "reference alone, or none"),
        ({"needs": {"last_frame": "first_frame"}}, ["last_frame=a"], "first_frame and last_frame"),
    ],
)
def test_roles_that_do_not_go_together_are_refused(rule: dict[str, Any], given: list[str], allowed: str) -> None:
    error = refusal(video(images=given), make_video_offer(**rule))
    assert (error.field, error.allowed) == ("images", allowed)
    for fine in (["first_frame=a", "last_frame=b"], ["reference=a", "reference=b"], []):
        assert fitted(video(images=fine), make_video_offer(**rule))[1] == ""


@pytest.mark.parametrize("rule", [{"alone": ["mask"]}, {"needs": {"mask": "reference"}}])
def test_a_rule_about_a_role_that_the_offer_lacks_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a role that inputs does not have"):
        make_offer(**rule)


def test_an_operation_that_the_offer_lacks_is_unsupported() -> None:
    with pytest.raises(Unsupported) as caught:
        fit(image(images=["style=a"]), make_offer(operations=["text_to_image", "edit_image"]))
    assert caught.value.message == "acme-1 cannot do reference to image."
    assert caught.value.allowed == ["text_to_image", "edit_image"]


def test_counts_and_prompts_beyond_the_offer_are_refused() -> None:
    error = refusal(image(n=3), make_offer(count_max=4, counts=[2, 4]))
    assert (error.field, error.allowed) == ("n", "sums of 2 and 4")
    assert fitted(image(n=6), make_offer(count_max=4, counts=[2, 4]))[0].n == 6
    assert fitted(image(n=4), make_offer(count_max=4, counts=[1, 4]))[0].n == 4
    error = refusal(image(prompt="x" * 11), make_offer(prompt_max=10))
    assert (error.field, error.allowed) == ("prompt", "up to 10 with acme-1")
    assert fitted(image(prompt="x" * 10, n=4), make_offer(prompt_max=10))[0].n == 4
