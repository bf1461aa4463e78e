"""Money is read, kept and shown without a float ever touching it."""

import json
from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from darkroom.domain.money import FREE, json_usd, parse_usd, show_usd, to_micro, to_usd
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
    shown = Decimal(show_usd(micro).removeprefix("$"))
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


@pytest.mark.parametrize(("micro", "text"), [(0, "0"), (2_000_000, "2"), (40_000, "0.04"), (1_234_567, "1.234567")])
def test_amounts_in_json_print_their_micro_dollars(micro: int, text: str) -> None:
    assert json.dumps(json_usd(micro)) == text


def test_free_is_nothing() -> None:
    assert FREE == 0
    assert to_usd(FREE) == 0
