"""Offers that sell pictures by size class get the nearest class, and say so."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.catalog.fit import fit
from darkroom.catalog.providers import Offer, Providers
from darkroom.domain.kinds import Kind
from darkroom.domain.request import CLASSES, Effective
from darkroom.errors import InvalidRequest
from helpers_catalog import image, make_offer

RATIOS = ["1:1", "16:9", "9:16", "4:3"]


def classed(classes: list[str] | None = None, **size: Any) -> Offer:
    return make_offer(size={"classes": classes or ["1K", "2K", "4K"], "ratios": RATIOS, **size})


def made(offer: Offer, **fields: Any) -> tuple[Effective, str]:
    """Return what an offer makes of the request, and its only warning, or nothing."""
    found, warnings = fit(image(**fields), offer)
    assert len(warnings) <= 1
    return found, "".join(warnings)


def shape(found: Effective) -> tuple[int, int, str, str | None]:
    return found.width, found.height, found.aspect_ratio, found.resolution


def test_without_a_size_it_is_1k() -> None:
    found, warning = made(classed())
    assert (shape(found), warning) == ((1024, 1024, "1:1", "1K"), "")


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({"aspect_ratio": "16:9"}, (1376, 768)),
        ({"aspect_ratio": "4:3"}, (1184, 896)),
        ({"size": "2048x1152"}, (2752, 1536)),
        ({"size": "2304x1728"}, (2304, 1728)),
        ({"size": "1024x576"}, (1024, 576)),
    ],
)
def test_where_sizes_are_listed_it_is_one_of_them(asked: dict[str, Any], size: tuple[int, int]) -> None:
    sizes = ["1024x1024", "1024x576", "1376x768", "1184x896", "2048x2048", "2752x1536", "2304x1728"]
    found, _ = made(classed(["1K", "2K"], sizes=sizes), **asked)
    assert (found.width, found.height) == size


@pytest.mark.parametrize(
    ("classes", "used"), [(["2K", "4K"], "2K"), (["4K", "2K"], "2K"), (["0.5K"], "0.5K"), (["1.5K", "0.5K"], "1.5K")]
)
def test_without_a_size_and_without_1k_it_is_the_nearest_class(classes: list[str], used: str) -> None:
    found, warning = made(classed(classes))
    assert (shape(found), warning) == ((CLASSES[used], CLASSES[used], "1:1", used), "")


def test_a_ratio_keeps_the_area_of_the_class() -> None:
    found, warning = made(classed(), aspect_ratio="16:9")
    assert (shape(found), warning) == ((1368, 768, "16:9", "1K"), "")


@pytest.mark.parametrize(
    ("size", "used"),
    [
        ("1024x1024", (1024, 1024, "1:1", "1K")),
        ("2048x2048", (2048, 2048, "1:1", "2K")),
        ("4096x4096", (4096, 4096, "1:1", "4K")),
        ("1368x768", (1368, 768, "16:9", "1K")),
    ],
)
def test_a_size_of_a_class_is_kept_and_named_by_it(size: str, used: tuple[int, int, str, str]) -> None:
    found, warning = made(classed(), size=size, exact=True)
    assert (shape(found), warning) == (used, "")


@pytest.mark.parametrize(
    ("size", "used"),
    [
        ("1000x1000", (1024, 1024, "1:1", "1K")),
        ("1800x1800", (2048, 2048, "1:1", "2K")),
        ("3000x3000", (4096, 4096, "1:1", "4K")),
        ("500x500", (1024, 1024, "1:1", "1K")),
        ("1920x1080", (1368, 768, "16:9", "1K")),
        ("2560x1440", (2728, 1536, "16:9", "2K")),
        ("1100x1000", (1024, 1024, "1:1", "1K")),
        ("1000x3000", (1536, 2728, "9:16", "2K")),
    ],
)
def test_another_size_becomes_the_nearest_class_with_a_word_about_it(
    size: str, used: tuple[int, int, str, str]
) -> None:
    found, warning = made(classed(), size=size)
    assert shape(found) == used
    width, height, _, name = used
    assert warning == f"size {size} became {width}x{height} ({name}), the nearest that acme-1 has."


def test_another_size_is_refused_when_it_must_be_exact() -> None:
    with pytest.raises(InvalidRequest) as caught:
        fit(image(size="1000x1000", exact=True), classed())
    assert caught.value.field == "size"
    assert caught.value.allowed == "1K, 2K, 4K in 1:1, 16:9, 9:16, 4:3"


def test_without_ratios_a_size_keeps_its_own() -> None:
    found, warning = made(make_offer(size={"classes": ["1K", "2K"]}), size="1000x500")
    assert (found.aspect_ratio, found.resolution) == ("2:1", "1K")
    assert (found.width, found.height) == (1448, 728)
    assert warning.startswith("size 1000x500 became 1448x728 (1K)")


def test_a_ratio_that_the_offer_lacks_becomes_the_nearest() -> None:
    found, warning = made(classed(), aspect_ratio="21:9")
    assert (found.aspect_ratio, found.resolution) == ("16:9", "1K")
    assert warning.startswith("aspect_ratio ")
    assert warning.endswith(" became 16:9, the nearest that acme-1 has.")
    with pytest.raises(InvalidRequest) as caught:
        fit(image(aspect_ratio="21:9", exact=True), classed())
    assert caught.value.field == "aspect_ratio"


def test_size_wins_over_the_ratio() -> None:
    found, warning = made(classed(), size="2048x2048", aspect_ratio="16:9")
    assert shape(found) == (2048, 2048, "1:1", "2K")
    assert warning == "size wins over aspect_ratio; the ratio was not used."


@pytest.mark.parametrize("size", ["5000x1000", "32x1024"])
def test_a_size_out_of_bounds_is_refused(size: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        fit(image(size=size), classed(min_side=64, max_side=4096))
    assert caught.value.field == "size"


def test_a_class_of_a_clip_does_not_count() -> None:
    assert made(make_offer(), size="1000x1000")[0].resolution is None


@given(st.integers(16, 8192), st.integers(16, 8192), st.lists(st.sampled_from(sorted(CLASSES)), min_size=1))
def test_whatever_size_is_asked_the_class_is_the_offers_and_the_nearest_in_area(
    width: int, height: int, classes: list[str]
) -> None:
    found, warnings = fit(image(size=f"{width}x{height}"), classed(classes, max_side=16384))
    assert found.resolution in classes
    assert found.aspect_ratio in RATIOS
    assert bool(warnings) is ((found.width, found.height) != (width, height))

    def apart(name: str) -> float:
        side = CLASSES[name]
        return max(side * side / (width * height), width * height / (side * side))

    assert apart(found.resolution or "") == min(apart(name) for name in classes)


def test_every_shipped_offer_with_classes_makes_a_picture_of_one() -> None:
    offers = [
        offer
        for provider in Providers().values()
        for offer in provider.offers
        if offer.size.classes and offer.kind is Kind.IMAGE and "text_to_image" in offer.operations
    ]
    assert len(offers) > 5
    for offer in offers:
        found, warnings = fit(image(), offer)
        assert found.resolution in offer.size.classes, offer.model
        assert warnings == ()
