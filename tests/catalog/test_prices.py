"""Prices follow the manifest: units, conditions, parts, dates; unknown is not zero."""

from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from darkroom.catalog.prices import Quote, Work, price, quote
from darkroom.catalog.providers import Offer, Unit
from darkroom.catalog.tokens import token_cost
from darkroom.domain.request import Effective, MediaInput
from helpers_catalog import PRICE, TODAY, effective, make_offer

DAY = timedelta(days=1)
MODEL = "openai:gpt-4o"
USD = st.decimals(0, 100, places=4)


def cost(prices: list[dict[str, Any]], today: date = TODAY, **fields: Any) -> int | None:
    found = quote(make_offer(prices=[PRICE | item for item in prices]), effective(**fields), today)
    return None if found is None else found.likely


@pytest.mark.parametrize(
    ("unit", "fields", "micro"),
    [
        ("image", {"n": 3}, 120_000),
        ("request", {"n": 2}, 80_000),
        ("second", {"duration": 2.5, "n": 2}, 200_000),
        ("minute", {"duration": 90}, 60_000),
        ("megapixel", {"width": 2000, "height": 1000, "n": 2}, 160_000),
        ("second", {}, None),
        ("minute", {}, None),
        ("kchar", {}, None),
        ("card", {}, None),
        ("mtoken_in", {}, None),
        ("mtoken_out", {}, None),
    ],
)
def test_every_unit_is_counted_or_said_to_be_unknown(unit: str, fields: dict[str, Any], micro: int | None) -> None:
    assert cost([{"unit": unit}], **fields) == micro


@pytest.mark.parametrize(
    ("when", "fields", "holds"),
    [
        ({"size": "1024x1024"}, {}, True),
        ({"size": "1024x1024"}, {"width": 512}, False),
        ({"quality": "high"}, {"quality": "high"}, True),
        ({"quality": "high"}, {}, False),
        ({"resolution": "1080p", "audio": True}, {"resolution": "1080p", "audio": True}, True),
        ({"resolution": "1080p", "audio": True}, {"resolution": "1080p", "audio": False}, False),
        ({"mode": "edit_image"}, {"mode": "edit_image"}, True),
        ({"turbo": True}, {"options": {"turbo": True}}, True),
        ({"turbo": True}, {}, False),
    ],
)
def test_a_price_holds_while_all_its_conditions_do(
    when: dict[str, Any], fields: dict[str, Any], *, holds: bool
) -> None:
    assert cost([{"when": when}], **fields) == (40_000 if holds else None)
    assert cost([{"when": when}, {"usd": "0.5"}], **fields) == (40_000 if holds else 500_000)


def test_an_option_of_the_provider_never_poses_as_a_fact() -> None:
    assert cost([{"when": {"resolution": "4k"}}], resolution="720p", options={"resolution": "4k"}) is None


@pytest.mark.parametrize(
    ("span", "holds"),
    [
        ({"since": TODAY}, True),
        ({"since": TODAY + DAY}, False),
        ({"until": TODAY}, True),
        ({"until": TODAY - DAY}, False),
        ({"since": TODAY - DAY, "until": TODAY + DAY}, True),
    ],
)
def test_a_price_holds_from_its_first_to_its_last_day(span: dict[str, Any], *, holds: bool) -> None:
    assert (cost([span]) is not None) is holds


def test_no_price_is_unknown_and_a_price_of_nothing_is_free() -> None:
    assert cost([]) is None
    free = quote(make_offer(prices=[PRICE | {"usd": 0}]), effective(), TODAY)
    dear = quote(make_offer(prices=[PRICE]), effective(), TODAY)
    assert free is not None
    assert dear is not None
    assert (free.free, dear.free) == (True, False)
    assert (dear.source, dear.as_of) == ("a page", TODAY)


@given(st.decimals(0, 100, places=4), st.integers(1, 10))
def test_the_cost_of_many_pictures_is_exact(usd: Decimal, count: int) -> None:
    assert cost([{"usd": usd}], n=count) == int(usd * 1_000_000) * count


def offer(*prices: dict[str, Any], **more: Any) -> Offer:
    return make_offer(prices=[PRICE | item for item in prices], **more)


def quoted(*prices: dict[str, Any], today: date = TODAY, **given_as: Any) -> Quote:
    found = quote(offer(*prices), effective(**given_as), today)
    assert found is not None
    return found


def pictures(*sizes: tuple[int, int] | None) -> list[MediaInput]:
    """Return input pictures with these sizes, or with none that is known."""
    return [
        MediaInput(src=f"{number}.png", width=size and size[0], height=size and size[1])
        for number, size in enumerate(sizes)
    ]


def worked(found: Offer, **amounts: str) -> Quote | None:
    return price(found, Work({Unit(name): Decimal(value) for name, value in amounts.items()}), TODAY)


# Parts


def test_parts_are_added_up_each_with_its_line() -> None:
    found = quoted({}, {"unit": "second", "usd": "0.1", "part": "sound"}, n=2, duration=3)
    assert found.likely == 2 * 40_000 + 2 * 3 * 100_000
    assert [(line.label, line.quantity, line.unit, line.usd) for line in found.lines] == [
        ("image", 2, "image", Decimal("0.08")),
        ("sound", 6, "second", Decimal("0.6")),
    ]


def test_of_each_part_the_first_price_that_holds_counts() -> None:
    sound = {"usd": "0.5", "part": "sound", "when": {"audio": True}}
    prices = [{}, sound, {"usd": "0.2", "part": "sound"}, {"usd": "9"}]
    assert quoted(*prices, audio=True).likely == 540_000
    assert quoted(*prices, audio=False).likely == 240_000


def test_a_part_whose_condition_does_not_hold_costs_nothing() -> None:
    sound = {"usd": "0.5", "part": "sound", "when": {"audio": True}}
    assert quoted({}, sound, audio=False).likely == 40_000
    assert [line.label for line in quoted({}, sound, audio=False).lines] == ["image"]


def test_without_a_main_price_that_holds_the_cost_is_unknown() -> None:
    sound = {"usd": "0.5", "part": "sound"}
    assert cost([{"when": {"audio": True}}, sound], audio=False) is None
    assert cost([{"until": TODAY - DAY}, sound]) is None


def test_a_part_outside_its_days_is_unknown_and_not_free() -> None:
    assert cost([{}, {"part": "sound", "until": TODAY - DAY}]) is None


def test_a_part_alone_that_does_not_hold_is_unknown() -> None:
    assert cost([{"part": "sound", "when": {"audio": True}}], audio=False) is None
    assert cost([{"part": "sound", "when": {"audio": True}}], audio=True) == 40_000


def test_a_part_that_cannot_be_counted_makes_the_whole_unknown() -> None:
    assert cost([{}, {"unit": "kchar", "part": "speech"}]) is None


def test_the_source_is_that_of_the_first_part_and_the_day_that_of_the_oldest() -> None:
    found = quoted({}, {"part": "sound", "source": "a letter", "as_of": TODAY - DAY})
    assert (found.source, found.as_of) == ("a page", TODAY - DAY)


# Units


@pytest.mark.parametrize(
    ("price_", "given_as", "micro"),
    [
        ({"unit": "input_image", "beyond": 1}, {}, 0),
        ({"unit": "input_image", "beyond": 1}, {"inputs": pictures(None)}, 0),
        ({"unit": "input_image", "beyond": 1}, {"inputs": pictures(None, None, None)}, 80_000),
        ({"unit": "second", "beyond": "2.5"}, {"duration": 4}, 60_000),
        ({"unit": "megapixel", "whole": True}, {"width": 1000, "height": 1000}, 40_000),
        ({"unit": "megapixel", "whole": True}, {"width": 1001, "height": 1000}, 80_000),
        ({"unit": "minute", "whole": True}, {"duration": 61}, 80_000),
        ({"unit": "megapixel", "whole": True, "beyond": 1}, {"width": 2000, "height": 1100}, 80_000),
    ],
)
def test_free_units_and_started_units(price_: dict[str, Any], given_as: dict[str, Any], micro: int) -> None:
    assert cost([price_], **given_as) == micro


def test_input_pictures_are_counted_for_every_output() -> None:
    assert cost([{"unit": "input_image"}], inputs=pictures(None, None), n=3) == 6 * 40_000
    assert cost([{"unit": "input_image"}]) == 0


def test_input_megapixels_are_counted_where_all_sizes_are_known() -> None:
    sized = {"unit": "input_megapixel"}
    assert cost([sized], inputs=pictures((1000, 1000), (2000, 500)), n=2) == 4 * 40_000
    assert cost([sized], inputs=pictures((1000, 1000), None)) is None
    assert cost([sized]) == 0


def test_characters_and_cards_are_counted_where_they_are_given() -> None:
    assert worked(offer({"unit": "kchar"})) is None
    found = worked(offer({"unit": "kchar"}, {"unit": "card", "part": "slides"}), kchar="2.5", card="10")
    assert found is not None
    assert found.likely == 500_000


# Conditions


@pytest.mark.parametrize(
    ("when", "given_as", "holds"),
    [
        ({"resolution": ["720p", "1080p"]}, {"resolution": "1080p"}, True),
        ({"resolution": ["720p", "1080p"]}, {"resolution": "480p"}, False),
        ({"resolution": ["720p", "1080p"]}, {}, False),
        ({"duration": {"min": 5}}, {"duration": 5}, True),
        ({"duration": {"min": 5}}, {"duration": 4.9}, False),
        ({"duration": {"max": 5}}, {"duration": 5}, True),
        ({"duration": {"max": 5}}, {"duration": 5.1}, False),
        ({"duration": {"min": 5, "max": 10}}, {"duration": 7}, True),
        ({"duration": {"min": 5, "max": 10}}, {"duration": 11}, False),
        ({"duration": {"min": 5, "max": 10}}, {}, False),
        ({"steps": {"min": 1}}, {"options": {"steps": True}}, False),
        ({"steps": {"min": 1}}, {"options": {"steps": "8"}}, False),
        ({"steps": {"max": 8}}, {"options": {"steps": 8}}, True),
        ({"steps": {}}, {"options": {"steps": 8}}, True),
        ({"megapixels": {"max": 1.05}}, {}, True),
        ({"megapixels": {"max": 1.0}}, {}, False),
        ({"inputs": {"min": 1}}, {"inputs": pictures(None)}, True),
        ({"inputs": {"min": 1}}, {}, False),
        ({"n": 2}, {"n": 2}, True),
        ({"width": {"max": 1024}, "height": {"max": 1023}}, {}, False),
    ],
)
def test_conditions_may_be_lists_and_spans(when: dict[str, Any], given_as: dict[str, Any], *, holds: bool) -> None:
    assert cost([{"when": when}], **given_as) == (40_000 * given_as.get("n", 1) if holds else None)


# What varies


def test_a_price_that_varies_has_three_amounts() -> None:
    found = quoted({"low": "0.01", "high": "0.1"}, {"part": "fee", "usd": "1"}, n=2)
    assert (found.low, found.likely, found.high) == (2_020_000, 2_080_000, 2_200_000)


def test_a_price_of_which_only_one_end_varies() -> None:
    assert (quoted({"low": "0.01"}).low, quoted({"low": "0.01"}).high) == (10_000, 40_000)
    assert (quoted({"high": "0.1"}).low, quoted({"high": "0.1"}).high) == (40_000, 100_000)


def test_what_may_cost_something_is_not_free() -> None:
    assert not quoted({"usd": 0, "high": "0.1"}).free
    assert quoted({"usd": 0, "high": 0}).free


@pytest.mark.parametrize(
    "wrong",
    [
        {"low": "0.05"},
        {"high": "0.03"},
        {"high": 0},
        {"usd": "-0.01"},
        {"usd": "NaN"},
        {"usd": "Infinity"},
        {"usd": "lots"},
        {"usd": True},
        {"beyond": -1},
        {"unit": "potato"},
        {"since": TODAY, "until": TODAY - DAY},
        {"colour": "red"},
    ],
)
def test_a_price_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        offer(wrong)


@pytest.mark.parametrize("missing", ["source", "as_of"])
def test_a_price_needs_its_source_and_its_day(missing: str) -> None:
    with pytest.raises(ValidationError, match=missing):
        make_offer(prices=[{name: value for name, value in PRICE.items() if name != missing}])


def test_a_price_that_begins_after_the_end_of_its_offer_is_refused() -> None:
    with pytest.raises(ValidationError, match="begins after the shutdown"):
        offer({"since": TODAY + DAY}, status="ending", shutdown=TODAY)


# Days


def test_a_price_changes_on_its_day() -> None:
    prices = [{"until": TODAY}, {"usd": "0.05", "since": TODAY + DAY, "until": TODAY + 9 * DAY}, {"usd": "0.06"}]
    days = [TODAY - DAY, TODAY, TODAY + DAY, TODAY + 9 * DAY, TODAY + 10 * DAY]
    assert [cost(prices, today=day) for day in days] == [40_000, 40_000, 50_000, 50_000, 60_000]


# Tokens


def test_tokens_cost_what_the_tables_say() -> None:
    usd = token_cost(MODEL, 1_000_000, 100_000, TODAY)
    assert type(usd) is Decimal
    found = worked(offer(tokens=MODEL), mtoken_in="1", mtoken_out="0.1")
    assert found is not None
    assert found.low == found.likely == found.high == int(usd * 1_000_000) == 3_500_000
    assert (found.source, found.as_of) == ("genai-prices", TODAY)
    assert [(line.quantity, line.unit) for line in found.lines] == [(1100, "thousand tokens")]


def test_no_tokens_cost_nothing() -> None:
    assert token_cost(MODEL, 0, 0, TODAY) == 0


@pytest.mark.parametrize("name", ["openai:no-such-model", "nobody:gpt-4o", "openai", ""])
def test_a_model_that_the_tables_do_not_know_has_no_price(name: str) -> None:
    assert token_cost(name, 1, 1, TODAY) is None
    assert worked(offer({"unit": "request"}, tokens=name or "x"), mtoken_in="1", mtoken_out="1", request="1") is None


@pytest.mark.parametrize("amounts", [{}, {"mtoken_in": "1"}, {"mtoken_out": "1"}])
def test_without_both_counts_the_cost_of_tokens_is_unknown(amounts: dict[str, str]) -> None:
    assert worked(offer({"unit": "request"}, tokens=MODEL), request="1", **amounts) is None


def test_tokens_and_a_fee_for_the_request_are_added_up() -> None:
    both = offer({"unit": "request", "usd": "0.005", "low": "0.001", "high": "0.01"}, tokens=MODEL)
    found = worked(both, request="1", mtoken_in="0.001", mtoken_out="0.001")
    assert found is not None
    assert (found.low, found.likely, found.high) == (13_500, 17_500, 22_500)
    assert found.source == "a page"
    assert [line.label for line in found.lines] == ["request", "genai-prices"]


def test_tokens_may_have_prices_of_the_manifest() -> None:
    own = offer({"unit": "mtoken_in", "usd": 3}, {"unit": "mtoken_out", "usd": 15})
    found = worked(own, mtoken_in="0.001", mtoken_out="0.002")
    assert found is not None
    assert found.likely == 33_000
    assert worked(own, mtoken_in="0.001") is None


# Always


@given(USD, st.integers(1, 10), st.integers(1, 60), st.integers(64, 4096), st.integers(0, 3))
def test_many_outputs_cost_so_many_times_one(usd: Decimal, count: int, seconds: int, side: int, given_in: int) -> None:
    units = ("image", "second", "megapixel", "input_image", "input_megapixel", "request")
    prices = [{"unit": unit, "usd": usd, "part": unit if unit != "image" else ""} for unit in units]
    shape: dict[str, Any] = {"duration": seconds, "width": side, "height": 1000}
    shape["inputs"] = pictures(*[(side, 1000)] * given_in)
    one, many = quoted(*prices, **shape), quoted(*prices, **shape, n=count)
    assert [line.usd for line in many.lines] == [count * line.usd for line in one.lines]
    assert abs(many.likely - count * one.likely) <= count


@given(USD, USD, st.integers(1, 10))
def test_a_higher_price_never_costs_less(one: Decimal, other: Decimal, count: int) -> None:
    low, high = sorted([one, other])
    assert quoted({"usd": low}, n=count).likely <= quoted({"usd": high}, n=count).likely


@given(st.lists(USD, min_size=3, max_size=3), st.integers(1, 60), st.booleans())
def test_a_cost_lies_between_its_bounds_and_is_never_below_nothing(
    amounts: list[Decimal], seconds: int, whole: bool
) -> None:
    low, usd, high = sorted(amounts)
    varying = {"unit": "second", "usd": usd, "low": low, "high": high, "beyond": 5, "whole": whole}
    found = quoted(varying, duration=seconds)
    assert 0 <= found.low <= found.likely <= found.high
    assert found.free is (high == 0 or seconds <= 5)


@given(st.lists(USD, min_size=1, max_size=5), st.integers(1, 10))
def test_the_lines_make_the_cost(amounts: list[Decimal], count: int) -> None:
    found = quoted(*({"usd": usd, "part": str(number or "")} for number, usd in enumerate(amounts)), n=count)
    total = sum((line.usd for line in found.lines), Decimal(0)) * 1_000_000
    assert found.likely == total.to_integral_value(rounding=ROUND_HALF_UP)


def held(value: Any) -> list[Any]:
    """Return every value that a value is made of."""
    if is_dataclass(value):
        return [part for item in fields(value) for part in held(getattr(value, item.name))]
    if isinstance(value, tuple):
        items: tuple[Any, ...] = value  # pyright: ignore[reportUnknownVariableType] because anything may be held
        return [part for item in items for part in held(item)]
    return [value]


@given(st.floats(0.5, 60), st.integers(1, 10), st.floats(0, 10))
def test_no_float_is_left_in_a_cost(seconds: float, count: int, usd: float) -> None:
    request: Effective = effective(duration=seconds, n=count)
    found = quote(offer({"unit": "second", "usd": usd}, {"part": "fee", "usd": usd}), request, TODAY)
    assert found is not None
    assert {type(part) for part in held(found)} <= {int, Decimal, str, Unit, date, type(None)}
    assert len(held(found)) == 6 + 2 * 4
    tokens = worked(offer(tokens=MODEL), mtoken_in=str(count), mtoken_out="0.1")
    assert {type(part) for part in held(tokens)} <= {int, Decimal, str, Unit, date, type(None)}


@pytest.mark.parametrize(
    ("price", "one", "three"), [({"whole": True}, 80_000, 240_000), ({"beyond": "1"}, 20_000, 60_000)]
)
def test_free_and_started_units_count_for_every_output(price: dict[str, Any], one: int, three: int) -> None:
    size: dict[str, Any] = {"width": 1500, "height": 1000}
    assert cost([{"unit": "megapixel", **price}], **size) == one
    assert cost([{"unit": "megapixel", **price}], **size, n=3) == three


def test_what_costs_next_to_nothing_is_not_free() -> None:
    found = quote(make_offer(prices=[PRICE | {"usd": "0.0000004"}]), effective(), TODAY)
    assert found is not None
    assert (found.likely, found.high, found.free) == (0, 1, False)
