"""Prices follow the manifest: units, conditions, dates; unknown is not zero."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.catalog.prices import quote
from helpers_catalog import PRICE, TODAY, effective, make_offer

DAY = timedelta(days=1)


def cost(prices: list[dict[str, Any]], today: date = TODAY, **fields: Any) -> int | None:
    found = quote(make_offer(prices=[PRICE | price for price in prices]), effective(**fields), today)
    return None if found is None else found.micro_usd


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
