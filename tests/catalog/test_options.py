"""Provider options are checked against what the manifest declares."""

from typing import Any

import pytest
from pydantic import ValidationError

from darkroom.catalog.fit import fit
from darkroom.catalog.options import ENHANCERS, GENERAL, allowed_values, check_options
from darkroom.catalog.providers import Offer, Option, Providers
from darkroom.errors import InvalidRequest, Unsupported
from helpers_catalog import image, make_offer, video

OFFER = make_offer(
    options={
        "format": {"type": "string", "values": ["png", "webp"], "default": "png"},
        "caption": {"type": "string"},
        "steps": {"type": "integer", "min": 1, "max": 50},
        "even": {"type": "integer", "min": 2, "max": 10, "step": 2},
        "guidance": {"type": "number", "min": 1.5, "max": 10, "step": 0.1, "default": 3.5},
        "free_number": {"type": "number"},
        "level": {"type": "integer", "values": [1, 2], "default": 1},
        "transparent": {"type": "boolean", "requires": {"format": "png"}},
        "tile": {"type": "boolean", "forbidden_with": ["steps"]},
        "hd": {"type": "boolean", "gone": "use quality"},
        "place": {"type": "string", "pattern": "gs://[a-z]+", "about": "gs:// folder"},
        "compression": {"type": "integer", "requires": {"format": ["webp", "jpeg"]}},
        "ground": {"type": "string", "values": ["clear", "white"], "clashes": {"clear": {"format": "webp"}}},
        "off": {"type": "boolean", "default": False},
    }
)
DEFAULTS = {"format": "png", "guidance": 3.5, "level": 1, "off": False}


def refusal(options: dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        check_options(options, OFFER)
    assert len(caught.value.message) < 250
    return caught.value


def test_defaults_are_filled_in_and_give_way() -> None:
    assert check_options({}, OFFER) == DEFAULTS
    assert check_options({"format": "webp", "off": True}, OFFER) == {**DEFAULTS, "format": "webp", "off": True}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("caption", ""),
        ("steps", 1),
        ("steps", 50),
        ("even", 4),
        ("guidance", 1.6),
        ("guidance", 9),
        ("free_number", -1e9),
        ("level", 2),
        ("transparent", True),
        ("tile", False),
        ("place", "gs://mine"),
        ("ground", "clear"),
    ],
)
def test_what_the_manifest_allows_is_taken(name: str, value: Any) -> None:
    assert check_options({"format": "png", name: value}, OFFER)[name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "gif"),
        ("format", 5),
        ("caption", None),
        ("steps", 0),
        ("steps", 51),
        ("steps", 1.5),
        ("steps", "5"),
        ("steps", True),
        ("even", 3),
        ("guidance", 1.55),
        ("guidance", True),
        ("guidance", float("nan")),
        ("free_number", "1"),
        ("free_number", float("inf")),
        ("free_number", float("nan")),
        ("free_number", 10**400),
        ("level", 3),
        ("level", True),
        ("transparent", 1),
        ("transparent", "yes"),
        ("place", "http://evil/"),
        ("place", "gs://mine\n"),
        ("caption", ["a"]),
        ("caption", {"a": "b"}),
    ],
)
def test_what_it_does_not_allow_is_refused_by_name(name: str, value: Any) -> None:
    error = refusal({name: value})
    assert error.field == f"options.{name}"
    assert error.allowed


def test_an_unknown_option_is_answered_with_the_nearest() -> None:
    error = refusal({"formt": "png"})  # codespell:ignore formt
    assert error.field == "options.formt"  # codespell:ignore formt
    assert "Did you mean 'format'?" in error.message
    assert {"format", "exact"} <= set(error.allowed or ())
    assert len(refusal({"x" * 500: 1}).message) < 250


def test_an_option_that_is_gone_says_why() -> None:
    with pytest.raises(Unsupported, match="The option 'hd' is gone: use quality"):
        check_options({"hd": True}, OFFER)


def test_an_option_may_need_another() -> None:
    assert (
        refusal({"transparent": True, "format": "webp"}).message == "options.transparent needs options.format = 'png'."
    )


def test_an_option_may_need_one_of_several_values() -> None:
    words = "options.compression needs options.format = 'webp' or 'jpeg'."
    assert refusal({"compression": 5}).message == refusal({"compression": 5, "format": "png"}).message == words
    assert check_options({"compression": 5, "format": "webp"}, OFFER)["compression"] == 5


def test_a_value_may_rule_out_one_of_another_option() -> None:
    error = refusal({"ground": "clear", "format": "webp"})
    assert error.message == "options.ground = 'clear' does not go with options.format = 'webp'."
    assert check_options({"ground": "white", "format": "webp"}, OFFER)["ground"] == "white"


def test_what_an_option_needs_may_be_the_default_of_the_other() -> None:
    assert check_options({"transparent": True}, OFFER)["format"] == "png"


def test_an_option_may_rule_out_another() -> None:
    error = refusal({"tile": True, "steps": 3})
    assert error.message == "options.tile does not go with options.steps."
    assert check_options({"tile": True}, OFFER)["tile"] is True


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"type": "string", "values": ["a", "b"]}, "a, b"),
        ({"type": "boolean"}, "boolean"),
        ({"type": "number", "min": 1}, "number from 1"),
        ({"type": "number", "max": 9}, "number up to 9"),
        ({"type": "integer", "min": 2, "max": 10, "step": 2}, "integer from 2 up to 10 in steps of 2"),
    ],
)
def test_what_an_option_may_hold_is_said_in_words(option: dict[str, Any], words: str) -> None:
    assert allowed_values(Option.model_validate(option)) == words


def test_an_option_that_the_offer_lacks_is_refused_in_a_fit() -> None:
    with pytest.raises(InvalidRequest) as caught:
        fit(image(options={"colour": "red"}), OFFER)
    assert caught.value.field == "options.colour"


@pytest.mark.parametrize("own", ENHANCERS)
def test_enhance_stands_for_the_offers_own_name_of_it(own: str) -> None:
    offer = make_offer(options={own: {"type": "boolean"}})
    assert check_options({"enhance": True}, offer) == {own: True}
    assert check_options({"enhance": False}, offer) == {own: False}


@pytest.mark.parametrize("name", GENERAL)
def test_a_general_option_that_is_off_is_left_out_by_offers_without_it(name: str) -> None:
    assert check_options({name: False}, make_offer()) == check_options({name: None}, make_offer()) == {}
    with pytest.raises(InvalidRequest) as caught:
        check_options({name: True}, make_offer())
    assert caught.value.field == f"options.{name}"


def test_an_option_may_be_for_some_operations_alone() -> None:
    only = {"type": "string", "operations": ["edit_image"], "default": "soft"}
    offer = make_offer(options={"brush": only})
    assert fit(image(images=["a"], options={"brush": "hard"}), offer)[0].options == {"brush": "hard"}
    assert fit(image(images=["a"]), offer)[0].options == {"brush": "soft"}
    assert fit(image(), offer)[0].options == {}
    with pytest.raises(Unsupported, match="acme-1 takes no option 'brush' to text to image") as caught:
        fit(image(options={"brush": "hard"}), offer)
    assert caught.value.field == "options.brush"


def test_xai_takes_no_options_with_a_clip_that_is_changed() -> None:
    offer = Providers()["xai"].offer("grok-imagine-video")
    assert offer is not None
    fit(video(options={"user": "u"}), offer)
    with pytest.raises(Unsupported, match="no option 'user' to edit video"):
        fit(video(images=["video=a"], options={"user": "u"}), offer)


SAFETY = [
    pytest.param(offer, id=f"{name}-{offer.model}")
    for name in ("google", "vertex")
    for offer in Providers()[name].offers
    if "safety" in offer.options
]


@pytest.mark.parametrize("offer", SAFETY)
def test_safety_is_asked_for_in_plain_words_or_in_the_vendor_s(offer: Offer) -> None:
    meant = {
        "strict": "BLOCK_LOW_AND_ABOVE",
        "Standard": "BLOCK_MEDIUM_AND_ABOVE",
        "loose": "BLOCK_ONLY_HIGH",
        "off": "BLOCK_NONE",
        "BLOCK_NONE": "BLOCK_NONE",
    }
    for word, value in meant.items():
        assert check_options({"safety": word}, offer)["safety"] == value
    with pytest.raises(InvalidRequest) as caught:
        check_options({"safety": "medium"}, offer)
    assert str(caught.value.allowed).startswith("strict, standard, loose, off, BLOCK_LOW_AND_ABOVE")


def test_a_plain_word_stands_for_a_value_that_the_option_has() -> None:
    with pytest.raises(ValidationError, match="words stands for a value that it does not have"):
        Option.model_validate({"type": "string", "values": ["A"], "words": {"strict": "B"}})
