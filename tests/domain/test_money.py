"""Money is read, kept and shown without a float ever touching it."""

import json
from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from darkroom.domain.money import (
    FREE,
    Margin,
    client_price,
    credits_for,
    json_usd,
    parse_usd,
    rounded,
    show_usd,
    to_micro,
    to_usd,
)
from darkroom.errors import InvalidRequest

AMOUNTS = st.decimals(min_value=0, max_value=1_000_000, allow_nan=False, allow_infinity=False)
MICRO = st.integers(min_value=0, max_value=10**12)


@given(MICRO)
def test_micro_dollars_survive_the_way_to_dollars_and_back(micro: int) -> None:
    assert to_micro(to_usd(micro)) == micro


@given(AMOUNTS)
@example(Decimal("0.0000005"))
@example(Decimal("0.00000049999999999999999999999999999999"))
def test_dollars_are_rounded_half_up_once(usd: Decimal) -> None:
    with localcontext(prec=400):
        oracle = int((usd * 1_000_000).to_integral_value(rounding=ROUND_HALF_UP))
    assert to_micro(usd) == oracle


@given(MICRO)
def test_an_amount_can_be_given_in_every_form_it_is_shown_in(micro: int) -> None:
    text = f"{to_usd(micro):f}"
    assert parse_usd(text, "max_cost") == parse_usd(f" ${text} ", "max_cost") == micro
    assert parse_usd(json.loads(json.dumps(json_usd(micro))), "max_cost") == micro


@given(MICRO)
def test_what_a_person_sees_is_off_by_less_than_a_cent_and_exact_below_a_dollar(micro: int) -> None:
    shown = Decimal(show_usd(micro).removeprefix("$").replace(",", ""))
    assert abs(shown - to_usd(micro)) <= Decimal("0.005")
    if micro < 1_000_000:
        assert to_micro(shown) == micro


@pytest.mark.parametrize(
    ("given_as", "micro"),
    [
        (0, 0),
        ("0", 0),
        (0.1, 100_000),
        (0.1 + 0.2, 300_000),
        (1_000_000, 10**12),
        ("$2.50", 2_500_000),
        (" $ 0.04", 40_000),
        ("1e-3", 1_000),
        ("1e-400", 0),
        ("-0", 0),
        (Decimal("0.0000015"), 2),
    ],
)
def test_amounts_are_read(given_as: object, micro: int) -> None:
    assert parse_usd(given_as, "max_cost") == micro


@pytest.mark.parametrize(
    "bad",
    [
        float("nan"),
        float("inf"),
        "nan",
        "sNaN",
        "-inf",
        -0.01,
        "-1",
        1_000_000.01,
        "1e400",
        10**400,
        "1e99999999999999999999",
        "lots",
        "$$1",
        "1,50",
        "",
        None,
        True,
        False,
        [1],
        {"usd": 1},
    ],
    ids=lambda bad: str(bad)[:20],
)
def test_what_is_no_amount_is_refused_and_names_the_argument(bad: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_usd(bad, "max_cost")
    assert caught.value.field == "max_cost"
    assert caught.value.allowed == "0 (free offers only) to 1000000"
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("micro", "shown"),
    [
        (0, "$0.00"),
        (40_000, "$0.04"),
        (1_500, "$0.0015"),
        (1, "$0.000001"),
        (990_000, "$0.99"),
        (999_999, "$0.999999"),
        (1_004_999, "$1.00"),
        (1_005_000, "$1.01"),
        (10_000_000, "$10.00"),
        (-40_000, "-$0.04"),
        (-1_500, "-$0.0015"),
        (-12_345_678, "-$12.35"),
    ],
)
def test_amounts_are_shown_with_cents_and_small_prices_with_all_their_digits(micro: int, shown: str) -> None:
    assert show_usd(micro) == shown


@pytest.mark.parametrize(
    ("micro", "shown"),
    [(4_996_000, "$4.996"), (10_000_000, "$10.00"), (1_234_000_001, "$1,234.000001"), (900, "$0.0009")],
)
def test_exact_amounts_keep_all_their_digits(micro: int, shown: str) -> None:
    assert show_usd(micro, exact=True) == shown


@pytest.mark.parametrize(("micro", "text"), [(0, "0"), (2_000_000, "2"), (40_000, "0.04"), (1_234_567, "1.234567")])
def test_amounts_in_json_print_their_micro_dollars(micro: int, text: str) -> None:
    assert json.dumps(json_usd(micro)) == text


def test_free_is_nothing() -> None:
    assert FREE == 0
    assert to_usd(FREE) == 0


# Credits, client prices, margins

COSTS = st.decimals(0, 1_000_000, places=6)
FACTORS = st.decimals("0.01", 10, places=2)


def half_up(value: Decimal, places: int) -> Decimal:
    """Return a number rounded as at school, by whole numbers alone."""
    with localcontext(prec=400):
        scaled = abs(value).scaleb(places)
        whole = int(scaled) + (scaled - int(scaled) >= Decimal("0.5"))
        return (Decimal(whole) if value >= 0 else -Decimal(whole)).scaleb(-places)


@given(st.decimals(-(10**9), 10**9, places=9), st.integers(0, 6))
@example(Decimal("3.375"), 2)
@example(Decimal("2.5"), 0)
@example(Decimal("-2.5"), 0)
@example(Decimal("1.005"), 2)
def test_numbers_are_shown_half_up(value: Decimal, places: int) -> None:
    shown = rounded(value, places)
    assert shown == half_up(value, places)
    assert shown.as_tuple().exponent == -places


@pytest.mark.parametrize(
    ("cost", "multiplier", "credits"),
    [("0.25", "0.9", 23), ("0.75", "0.9", 68), ("0.04", "0.9", 4), ("0.003", "0.9", 1), ("1.50", "0.9", 135)],
)
def test_credits_are_rounded_half_up(cost: str, multiplier: str, credits: int) -> None:
    assert credits_for(Decimal(cost), Decimal(multiplier)) == credits


@given(COSTS, FACTORS, st.decimals(1, 1000, places=2), st.integers(1, 10))
def test_credits_agree_with_an_oracle(cost: Decimal, multiplier: Decimal, per_usd: Decimal, minimum: int) -> None:
    found = credits_for(cost, multiplier, per_usd=per_usd, minimum=minimum)
    assert found == (max(minimum, int(half_up(cost * per_usd * multiplier, 0))) if cost else 0)
    assert type(found) is int


@given(COSTS, COSTS, FACTORS)
def test_credits_never_fall_as_the_cost_rises(one: Decimal, other: Decimal, multiplier: Decimal) -> None:
    low, high = sorted([one, other])
    assert credits_for(low, multiplier) <= credits_for(high, multiplier)


def test_a_minimum_of_nothing_lets_small_costs_round_away() -> None:
    assert credits_for(Decimal("0.001"), Decimal(1), minimum=0) == 0
    assert credits_for(Decimal("0.001"), Decimal(1)) == 1
    assert credits_for(Decimal(0), Decimal(1), minimum=5) == 0


@pytest.mark.parametrize(
    ("cost", "markup", "minimum", "price"),
    [
        ("1.50", "200", "1.00", "4.50"),
        ("0.25", "200", "1.00", "1.00"),
        ("0", "200", "1.00", "1.00"),
        ("0.10", "12.5", "0", "0.1125"),
        ("1", "0", "0", "1"),
    ],
)
def test_a_client_pays_cost_and_markup_and_no_less_than_the_minimum(
    cost: str, markup: str, minimum: str, price: str
) -> None:
    assert client_price(Decimal(cost), Decimal(markup), Decimal(minimum)) == Decimal(price)


@given(COSTS, st.decimals(0, 1000, places=2), COSTS)
def test_a_client_never_pays_less_than_the_cost_or_the_minimum(cost: Decimal, markup: Decimal, least: Decimal) -> None:
    price = client_price(cost, markup, least)
    assert price >= max(cost, least)
    assert price in (least, cost + cost * markup / 100)


def test_a_margin_is_exact_in_dollars_and_percent_of_the_price() -> None:
    margin = Margin(Decimal("1.50"), Decimal("3.375"))
    assert margin.usd == Decimal("1.875")
    assert rounded(margin.percent or Decimal(0), 1) == Decimal("55.6")
    assert Margin(Decimal(2), Decimal(1)).percent == -100
    assert Margin(Decimal(0), Decimal(1)).percent == 100


def test_a_price_of_nothing_has_no_percent() -> None:
    assert Margin(Decimal(1), Decimal(0)).percent is None
    assert Margin(Decimal(1), Decimal(0)).usd == -1


@given(COSTS, st.decimals("0.01", 10_000, places=2))
def test_cost_and_margin_make_the_price(cost: Decimal, price: Decimal) -> None:
    margin = Margin(cost, price)
    assert margin.cost + margin.usd == price
    assert margin.percent is not None
    assert (margin.percent < 0) is (cost > price)
