"""What callers may write, and what it means."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from darkroom.domain.kinds import Kind, Mode, Quality, Role
from darkroom.domain.modes import mode_of, with_default_roles
from darkroom.domain.request import (
    MAX_SIDE,
    RESERVED_OPTIONS,
    Effective,
    ImageRequest,
    MediaInput,
    Scene,
    Size,
    VideoRequest,
    clip,
    parse_input,
    parse_quality,
    parse_ratio,
    parse_resolution,
    parse_size,
    ratio_value,
    request_adapter,
    split_options,
)
from darkroom.errors import InvalidRequest


def image(**fields: Any) -> ImageRequest:
    return ImageRequest.model_validate({"prompt": "a red fox", **fields})


def video(**fields: Any) -> VideoRequest:
    return VideoRequest.model_validate({"prompt": "a red fox runs", **fields})


def refusal(make: Any, **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        make(**fields)
    assert len(caught.value.message) < 200
    return caught.value


# Sizes, ratios, resolutions, qualities


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1024x1024", (1024, 1024)),
        ("1920X1080", (1920, 1080)),
        (" 640 * 480 ", (640, 480)),
        ("16x8192", (16, 8192)),
    ],
)
def test_sizes_are_read(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size
    assert image(size=text).size == image(size=list(size)).size == image(size=Size(*size)).size == size


@pytest.mark.parametrize(
    "bad",
    ["0x0", "-1x5", "100000x100000", "1234567x1", "big", "", 0, 1024, True, "15x16", "8193x16", "1024", "1x2x3", "axb"],
)
def test_what_is_no_size_is_refused(bad: object) -> None:
    error = refusal(image, size=bad)
    assert error.field == "size"
    assert error.allowed == f"WIDTHxHEIGHT, each side 16 to {MAX_SIDE} pixels"


@pytest.mark.parametrize("bad", [[0, 0], [5, 5], [1024], [1, 2, 3], [], ["a", "b"], [1024.5, 1024]])
def test_a_size_as_a_list_is_held_to_the_same_bounds(bad: list[object]) -> None:
    assert refusal(image, size=bad).field == "size"


@given(st.integers(16, MAX_SIDE), st.integers(16, MAX_SIDE))
def test_a_size_reads_back_as_it_prints(width: int, height: int) -> None:
    assert parse_size(str(Size(width, height))) == (width, height)


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        ("16:9", "16:9"),
        ("16/9", "16:9"),
        ("16x9", "16:9"),
        ("16 : 9", "16:9"),
        ("1920:1080", "16:9"),
        ("2:2", "1:1"),
        ("1.85:1", "1.85:1"),
        ("2.4", "2.4:1"),
        ("1", "1:1"),
        ("Square", "1:1"),
        ("portrait", "9:16"),
        (" landscape ", "16:9"),
        ("AUTO", "auto"),
        (1.5, "1.5:1"),
        ("8:1", "8:1"),
        ("1:8", "1:8"),
    ],
)
def test_ratios_are_read(text: object, ratio: str) -> None:
    assert image(aspect_ratio=text).aspect_ratio == ratio


@pytest.mark.parametrize(
    "bad", ["0:0", "0:1", "1:0", "9:1", "1:9", "wide", "", "16:9:4", "-16:9", "16:", "nan", "1e3:1"]
)
def test_what_is_no_ratio_is_refused(bad: str) -> None:
    assert refusal(image, aspect_ratio=bad).field == "aspect_ratio"


@given(st.integers(1, 9999), st.integers(1, 9999))
def test_a_ratio_in_lowest_terms_is_the_same_ratio(width: int, height: int) -> None:
    if 1 / 8 <= width / height <= 8:
        ratio = parse_ratio(f"{width}:{height}")
        assert ratio_value(ratio) == width / height
        assert parse_ratio(ratio) == ratio
    else:
        assert refusal(parse_ratio, text=f"{width}:{height}").field == "aspect_ratio"


@pytest.mark.parametrize(
    ("text", "resolution"),
    [
        ("720p", "720p"),
        ("720", "720p"),
        (1080, "1080p"),
        ("4K", "4k"),
        ("UHD", "4k"),
        ("2160p", "4k"),
        ("2160", "4k"),
        ("hd", "720p"),
        (" FullHD ", "1080p"),
        ("2k", "1440p"),
    ],
)
def test_resolutions_are_read(text: object, resolution: str) -> None:
    assert video(resolution=text).resolution == resolution


@pytest.mark.parametrize("bad", ["8k", "721p", "", "p", "high", "²"])
def test_what_is_no_resolution_is_refused(bad: str) -> None:
    error = refusal(parse_resolution, text=bad)
    assert error.field == "resolution"
    assert "720p" in (error.allowed or ())


@pytest.mark.parametrize(
    ("text", "quality"),
    [
        ("low", Quality.LOW),
        ("HIGH", Quality.HIGH),
        ("standard", Quality.MEDIUM),
        (" hd", Quality.HIGH),
        ("auto", "auto"),
    ],
)
def test_qualities_are_read(text: str, quality: Quality) -> None:
    assert image(quality=text).quality is parse_quality(text) is Quality(quality)


@pytest.mark.parametrize("bad", ["best", "", 5])
def test_what_is_no_quality_is_refused(bad: object) -> None:
    assert refusal(image, quality=bad).field == "quality"


@pytest.mark.parametrize("name", ["prompt", "quality"])
@pytest.mark.parametrize("bad", [None, True, ["a"], {"a": 1}])
def test_what_is_no_text_never_becomes_one(name: str, bad: object) -> None:
    error = refusal(image, **{name: bad})
    assert error.field == name
    assert "must be text" in error.message


@pytest.mark.parametrize("name", ["aspect_ratio", "size", "seed", "deadline_s"])
def test_null_leaves_an_optional_argument_out(name: str) -> None:
    assert getattr(image(**{name: None}), name) is None


# Numbers


@pytest.mark.parametrize(("value", "count"), [(1, 1), ("3", 3), (4.0, 4), (" 10 ", 10)])
def test_counts_are_read(value: object, count: int) -> None:
    assert image(n=value).n == count


@pytest.mark.parametrize("bad", [0, 11, 1000, -1, 1.5, "x", "", True, None, [1], float("nan"), float("inf"), 10**400])
def test_what_is_no_count_is_refused(bad: object) -> None:
    error = refusal(image, n=bad)
    assert error.field == "n"
    assert error.allowed == "1 to 10"


@pytest.mark.parametrize(("value", "seed"), [(0, 0), ("42", 42), (2**32 - 1, 2**32 - 1), (None, None)])
def test_seeds_are_read(value: object, seed: int | None) -> None:
    assert image(seed=value).seed == seed


@pytest.mark.parametrize("bad", [-1, 2**32, 0.5, "x", False, 10**400])
def test_what_is_no_seed_is_refused(bad: object) -> None:
    assert refusal(image, seed=bad).field == "seed"


@pytest.mark.parametrize(("value", "seconds"), [(5, 5), ("8s", 8), ("2.5", 2.5), ("6 s", 6), (600, 600), (None, None)])
def test_durations_are_read(value: object, seconds: float | None) -> None:
    assert video(duration=value).duration == seconds


@pytest.mark.parametrize("bad", [0, 3600, "abc", -5, 0.4, "s", True, [5]])
def test_what_is_no_duration_is_refused(bad: object) -> None:
    error = refusal(video, duration=bad)
    assert error.field == "duration"
    assert error.allowed == "0.5 to 600"


@pytest.mark.parametrize(
    ("name", "good", "bad"), [("deadline_s", 5, 4), ("deadline_s", 86_400, 86_401), ("priority", "-10", 11)]
)
def test_our_own_numbers_have_bounds(name: str, good: object, bad: object) -> None:
    assert getattr(image(**{name: good}), name) == float(str(good))
    assert refusal(image, **{name: bad}).field == name


# Prompts


def test_a_prompt_of_32000_characters_is_the_longest() -> None:
    assert len(image(prompt="x" * 32_000).prompt) == 32_000
    error = refusal(image, prompt="x" * 100_000)
    assert error.field == "prompt"
    assert error.message == "The prompt has 100,000 characters."


def test_a_prompt_loses_the_space_around_it_and_a_number_is_text() -> None:
    assert image(prompt="  a fox \n").prompt == "a fox"
    assert image(prompt=1984).prompt == "1984"


def test_a_negative_prompt_is_as_long_as_a_prompt_at_most() -> None:
    with pytest.raises(ValidationError):
        image(negative_prompt="x" * 32_001)


def test_text_in_messages_is_clipped() -> None:
    assert clip("x" * 80) == "x" * 80
    assert clip("x" * 81) == "x" * 79 + "…"
    assert clip(12) == "12"


# Inputs


@pytest.mark.parametrize(
    ("given_as", "src", "role", "name"),
    [
        ("fox.png", "fox.png", None, None),
        ("mask=hole.png", "hole.png", Role.MASK, None),
        ("first_frame=out_0000000000000001_1", "out_0000000000000001_1", Role.FIRST_FRAME, None),
        ("https://example.test/?style=a", "https://example.test/?style=a", None, None),
        ("size=big.png", "size=big.png", None, None),
        ("data:image/png;base64,AA==", "data:image/png;base64,AA==", None, None),
        ("style=data:image/png;base64,AA==", "data:image/png;base64,AA==", Role.STYLE, None),
        ({"src": " fox.png "}, "fox.png", None, None),
        ({"src": "fox.png", "role": "logo", "name": "the fox"}, "fox.png", Role.LOGO, "the fox"),
        ({"src": "fox.png", "role": None, "name": None}, "fox.png", None, None),
        (MediaInput(src="fox.png", role=Role.FACE), "fox.png", Role.FACE, None),
    ],
)
def test_inputs_are_read_in_every_form(given_as: object, src: str, role: Role | None, name: str | None) -> None:
    read = parse_input(given_as)
    assert (read.src, read.role, read.name) == (src, role, name)
    assert image(images=given_as).images == image(images=[given_as]).images == (read,)


@pytest.mark.parametrize(
    "bad",
    [
        5,
        None,
        ["fox.png"],
        "",
        "  ",
        "mask= ",
        {},
        {"src": 5},
        {"src": "fox.png", "role": 5},
        {"src": "fox.png", "name": 5},
        {"src": "fox.png", "role": "hat"},
        {"src": "", "role": "mask"},
        {"src": "input:00", "sha256": "00"},
        {"src": "fox.png", "width": 64},
    ],
)
def test_what_is_no_input_is_refused(bad: object) -> None:
    assert refusal(image, images=[bad]).field == "images"


def test_an_unknown_role_is_answered_with_the_known_ones() -> None:
    assert refusal(image, images=[{"src": "fox.png", "role": "hat"}]).allowed == list(Role)


def test_forty_inputs_are_read_and_forty_one_refused() -> None:
    assert len(image(images=["fox.png"] * 40).images) == 40
    assert refusal(image, images=["fox.png"] * 41).message == "images has 41 entries."


def test_the_place_of_an_input_stays_out_of_representations() -> None:
    assert "secret" not in repr(image(images=["secret.png"]))


@pytest.mark.parametrize(
    ("make", "images", "roles"),
    [
        (image, ["a"], [Role.SOURCE]),
        (image, ["a", "b"], [Role.REFERENCE, Role.REFERENCE]),
        (image, ["a", "mask=b"], [Role.SOURCE, Role.MASK]),
        (image, ["source=a", "b"], [Role.SOURCE, Role.REFERENCE]),
        (image, ["style=a", "logo=b"], [Role.STYLE, Role.LOGO]),
        (video, ["a"], [Role.FIRST_FRAME]),
        (video, ["a", "b"], [Role.REFERENCE, Role.REFERENCE]),
        (video, ["a", "last_frame=b"], [Role.FIRST_FRAME, Role.LAST_FRAME]),
        (video, ["first_frame=a", "b"], [Role.FIRST_FRAME, Role.REFERENCE]),
    ],
)
def test_inputs_without_a_role_get_one(make: Any, images: list[str], roles: list[Role]) -> None:
    assert [item.role for item in with_default_roles(make(images=images))] == roles


@pytest.mark.parametrize(
    ("request_", "mode"),
    [
        (image(), Mode.TEXT_TO_IMAGE),
        (image(images=["a"]), Mode.EDIT_IMAGE),
        (image(images=["mask=a"]), Mode.EDIT_IMAGE),
        (image(images=["a", "b"]), Mode.REFERENCE_TO_IMAGE),
        (image(images=["style=a"]), Mode.REFERENCE_TO_IMAGE),
        (video(), Mode.TEXT_TO_VIDEO),
        (video(images=["a"]), Mode.IMAGE_TO_VIDEO),
        (video(images=["source=a"]), Mode.IMAGE_TO_VIDEO),
        (video(images=["a", "last_frame=b"]), Mode.FIRST_LAST_FRAME),
        (video(images=["last_frame=b"]), Mode.FIRST_LAST_FRAME),
        (video(images=["a", "b"]), Mode.REFERENCE_TO_VIDEO),
        (video(images=["character=a"]), Mode.REFERENCE_TO_VIDEO),
        (video(scenes=[{"prompt": "one"}]), Mode.TIMELINE),
        (video(scenes=[{"prompt": "one"}], images=["a"]), Mode.TIMELINE),
    ],
)
def test_the_mode_follows_from_the_inputs(request_: ImageRequest | VideoRequest, mode: Mode) -> None:
    assert mode_of(request_) is mode


# Options


def test_our_own_options_are_parted_from_the_providers() -> None:
    ours, theirs = split_options({"exact": True, "format": "png", "labels": ["a"]})
    assert ours == {"exact": True, "labels": ["a"]}
    assert theirs == {"format": "png"}
    assert set(ours) < set(RESERVED_OPTIONS)


# Whole requests


REQUESTS = [
    image(),
    image(size="1024x768", n=4, seed=7, quality="high", options={"format": "png"}, labels=["a"], exact=True),
    image(aspect_ratio="16:9", refine="job_1", model="draft", provider="draft", negative_prompt="cats"),
    video(duration="5s", resolution="720p", audio=False, deadline_s=60, priority=-3),
    video(scenes=[{"prompt": "one", "duration": 2}, {"prompt": "two"}]),
]


def test_what_is_no_object_is_no_request() -> None:
    with pytest.raises(ValidationError):
        ImageRequest.model_validate("a red fox")


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_survives_json(request_: ImageRequest | VideoRequest) -> None:
    assert request_adapter.validate_json(request_.model_dump_json()) == request_


def test_an_unknown_field_or_kind_is_refused() -> None:
    with pytest.raises(ValidationError):
        image(colour="red")
    with pytest.raises(ValidationError):
        request_adapter.validate_python({"kind": "opera", "prompt": "x"})
    with pytest.raises(ValidationError):
        video(scenes=[{"prompt": "x"}] * 21)


def test_a_changed_copy_keeps_its_inputs_and_scenes_and_is_checked_again() -> None:
    taken = MediaInput(src="input:ab", role=Role.SOURCE, sha256="ab", width=64, height=48)
    before = video(images=[taken], scenes=[Scene(prompt="one", image=taken)])
    after = before.having(prompt="two", duration="4s")
    assert (after.images, after.scenes) == (before.images, before.scenes)
    assert (after.prompt, after.duration) == ("two", 4)
    assert refusal(before.having, n=0).field == "n"


def test_what_an_offer_runs_survives_json_pictures_of_scenes_too() -> None:
    taken = MediaInput(src="input:ab", role=Role.SOURCE, sha256="ab", width=64, height=48)
    made = Effective(
        kind=Kind.VIDEO,
        mode=Mode.TIMELINE,
        prompt="",
        width=64,
        height=48,
        aspect_ratio="4:3",
        inputs=(taken,),
        scenes=(Scene(prompt="one", image=taken), Scene(prompt="two")),
    )
    assert Effective.model_validate_json(made.model_dump_json()) == made
    assert Effective.model_validate(made.model_dump()) == made


def test_a_changed_copy_remembers_what_was_never_said() -> None:
    assert image(n=2).having(seed=1).model_fields_set == {"prompt", "n", "seed"}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"prompt": "a \udce9"}, "prompt"),
        ({"negative_prompt": "\ud83e"}, "negative_prompt"),
        ({"labels": ["\ud83e"]}, "labels"),
        ({"options": {"a": {"b": ["\ud83e"]}}}, "options"),
    ],
)
def test_half_a_character_is_refused_wherever_it_stands(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{name} has half a character") as refused:
        ImageRequest.model_validate({"prompt": "x", **fields})
    assert refused.value.field == name
    assert ImageRequest(prompt="a \U0001f98a é").prompt == "a \U0001f98a é"
