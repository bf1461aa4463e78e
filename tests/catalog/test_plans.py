"""Credits, margins, plans and advice: exact where it counts, rounded half-up where it shows, loud where it loses."""

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from darkroom.catalog.plans import PlanBook, Plans, PlansError
from darkroom.domain.kinds import Kind
from darkroom.domain.money import rounded
from darkroom.errors import InvalidRequest

PLANS = Plans.read()
COSTS = st.decimals(0, 10_000, places=6)
NAMES = st.sampled_from(sorted(PLANS.plans))
OLD_ENTERPRISE = {"multiplier": "0.6", "credit_price_usd": "0.015", "price_usd": "1499", "overage_usd": "0.018"}
OLD_AGENCY = {"multiplier": "0.75", "credit_price_usd": "0.02", "price_usd": "499", "overage_usd": "0.022"}
SOLO = """
[plans.solo]
title = "Solo"
multiplier = "1.2"
credit_price_usd = "0.04"
price_usd = "9"
credits = 300
users = 1
overage_usd = "0.05"
modules = ["studio"]
"""
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return how to write a user's own file."""

    def put(text: str) -> Path:
        path = tmp_path / "plans.toml"
        path.write_text(text, "utf-8")
        return path

    return put


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(PlansError) as caught:
        act()
    message = str(caught.value)
    assert message.endswith("The plans used before are kept.")
    return message


# Credits


@pytest.mark.parametrize(
    ("cost", "plan", "credits"),
    [
        ("1.50", "brand", 135),
        ("0.25", "brand", 23),
        ("0.75", "brand", 68),
        ("0.040", "brand", 4),
        ("0.003", "brand", 1),
        ("0.000001", "brand", 1),
        ("0", "brand", 0),
        ("1.50", "starter", 150),
        ("1.50", "agency", 128),
        ("1.50", "enterprise", 120),
    ],
)
def test_a_cost_becomes_credits_half_up_and_one_at_least(cost: str, plan: str, credits: int) -> None:
    assert PLANS.credits(Decimal(cost), plan) == credits


@given(COSTS, NAMES)
@example(Decimal("0.25"), "brand")
@example(Decimal("0.005"), "starter")
def test_credits_are_those_of_school_arithmetic(cost: Decimal, plan: str) -> None:
    with localcontext(prec=100):
        oracle = (cost * 100 * PLANS.plan(plan).multiplier).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    assert PLANS.credits(cost, plan) == (max(1, int(oracle)) if cost else 0)


@given(COSTS, NAMES)
@example(Decimal(0), "brand")
def test_nothing_but_free_work_takes_no_credits(cost: Decimal, plan: str) -> None:
    assert (PLANS.credits(cost, plan) == 0) is (cost == 0)


@given(COSTS, COSTS, NAMES)
def test_what_costs_more_never_takes_fewer_credits(one: Decimal, other: Decimal, plan: str) -> None:
    low, high = sorted([one, other])
    assert PLANS.credits(low, plan) <= PLANS.credits(high, plan)


@given(COSTS, st.integers(1, 100), NAMES)
def test_many_equal_outputs_take_so_many_times_the_credits_of_one(cost: Decimal, count: int, plan: str) -> None:
    assert PLANS.credits_of_many(cost * count, count, plan) == count * PLANS.credits(cost, plan)


def test_a_batch_is_rounded_for_one_then_multiplied() -> None:
    assert PLANS.credits_of_many(Decimal(15), 10, "brand") == 1350
    assert PLANS.credits_of_many(Decimal(4), 100, "brand") == 400
    assert PLANS.credits(Decimal(4), "brand") == 360


# Revenue and client prices


def test_revenue_is_exact_and_shown_half_up() -> None:
    assert PLANS.revenue(135, "brand") == Decimal("3.375")
    assert rounded(PLANS.revenue(135, "brand"), 2) == Decimal("3.38")


def test_the_margin_is_reckoned_from_exact_amounts() -> None:
    margin = PLANS.margin(Decimal("1.50"), 135, "brand")
    assert (margin.usd, rounded(margin.usd, 2)) == (Decimal("1.875"), Decimal("1.88"))
    assert rounded(margin.percent or Decimal(0), 1) == Decimal("55.6")


def test_a_client_pays_the_markup_and_no_less_than_the_minimum() -> None:
    asked = PLANS.client_price(Decimal("1.50"))
    assert (asked.price, asked.usd) == (Decimal("4.50"), Decimal("3.00"))
    assert rounded(asked.percent or Decimal(0), 1) == Decimal("66.7")
    least = PLANS.client_price(Decimal("0.25"))
    assert (least.price, least.percent) == (Decimal("1.00"), Decimal(75))
    assert PLANS.client_price(Decimal(2), Decimal(50), Decimal(0)).price == 3
    assert PLANS.client_price(Decimal(2), Decimal(0), Decimal(5)).price == 5


# Full use


@pytest.mark.parametrize(
    ("plan", "usd", "percent"),
    [
        ("starter", "29.00", "59.2"),
        ("brand", "87.89", "44.2"),
        ("agency", "187.24", "31.3"),
        ("enterprise", "424.00", "18.4"),
    ],
)
def test_every_shipped_plan_earns_when_all_its_credits_are_used(plan: str, usd: str, percent: str) -> None:
    margin = PLANS.full_use(plan)
    assert rounded(margin.usd, 2) == Decimal(usd)
    assert rounded(margin.percent or Decimal(0), 1) == Decimal(percent)


def test_the_shipped_plans_give_no_warning() -> None:
    assert PLANS.warnings() == []


def test_a_plan_that_loses_money_is_named_with_what_it_loses() -> None:
    old = PLANS.updated({"plans": {"enterprise": OLD_ENTERPRISE, "agency": OLD_AGENCY}})
    assert old.warnings() == [
        "Plan enterprise loses $1,001.00 a month when all 150,000 credits are used.",
        "Plan enterprise loses money on every credit sold: it costs $0.01667.",
    ]
    assert rounded(old.full_use("enterprise").percent or Decimal(0), 1) == Decimal("-66.8")
    assert rounded(old.full_use("agency").percent or Decimal(0), 1) == Decimal("6.5")


def test_a_credit_beyond_the_included_ones_that_costs_more_than_it_brings_is_named() -> None:
    cheap = PLANS.updated({"plans": {"brand": {"overage_usd": "0.011"}}})
    assert cheap.warnings() == ["Plan brand loses money on every credit beyond them: it costs $0.01111."]


# Choosing a plan


@pytest.mark.parametrize(
    ("credits", "plan", "over", "usd"),
    [
        (0, "starter", 0, "49"),
        (2000, "starter", 0, "49"),
        (2001, "brand", 0, "199"),
        (10_000, "brand", 0, "199"),
        (12_500, "agency", 0, "599"),
        (35_001, "enterprise", 0, "2299"),
        (150_000, "enterprise", 0, "2299"),
        (151_000, "enterprise", 1000, "2319.00"),
    ],
)
def test_the_smallest_plan_that_covers_is_advised(credits: int, plan: str, over: int, usd: str) -> None:
    advice = PLANS.advise(credits)
    assert (advice.plan, advice.overage_credits, advice.monthly_usd) == (plan, over, Decimal(usd))
    assert advice.plan_credits == PLANS.plan(plan).credits
    assert advice.reason.startswith(f"{advice.plan_credits:,} credits included")
    assert ("1,000 more at $0.02" in advice.reason) is bool(over)


@pytest.mark.parametrize(
    ("kinds", "users", "plan"),
    [
        ((Kind.IMAGE, Kind.SPEECH), 3, "starter"),
        ((Kind.CHAT,), 1, "starter"),
        ((Kind.VIDEO,), 1, "brand"),
        ((Kind.IMAGE, Kind.RESEARCH), 1, "brand"),
        ((), 4, "brand"),
        ((Kind.IMAGE,), 11, "agency"),
        ((Kind.VIDEO,), 999, "enterprise"),
    ],
)
def test_a_plan_must_have_the_operations_and_the_users(kinds: tuple[Kind, ...], users: int, plan: str) -> None:
    advice = PLANS.advise(100, kinds=kinds, users=users)
    assert advice.plan == plan
    assert "no plan" not in advice.reason


def test_where_no_plan_is_large_enough_the_largest_of_the_fitting_ones_is_advised() -> None:
    small = PLANS.updated({"plans": {"agency": {"modules": []}, "enterprise": {"modules": []}}})
    advice = small.advise(12_500, kinds=(Kind.VIDEO,))
    assert (advice.plan, advice.overage_credits, advice.monthly_usd) == ("brand", 2500, 199 + 2500 * Decimal("0.028"))


def test_where_no_plan_has_the_users_it_is_said() -> None:
    advice = PLANS.advise(100, users=1000)
    assert advice.plan == "starter"
    assert advice.reason.endswith("; no plan has all of these operations and users")


@given(st.integers(0, 10**6), st.integers(1, 999))
def test_advice_covers_the_credits_with_what_is_included_and_what_is_beyond(credits: int, users: int) -> None:
    advice = PLANS.advise(credits, users=users)
    assert advice.plan_credits + advice.overage_credits >= credits
    assert PLANS.plan(advice.plan).users >= users
    assert advice.overage_credits == 0 or advice.plan_credits + advice.overage_credits == credits


def test_modules_open_operations_and_chat_belongs_to_every_plan() -> None:
    assert not PLANS.opens("starter", Kind.VIDEO)
    assert PLANS.opens("brand", Kind.VIDEO)
    assert all(PLANS.opens(name, Kind.CHAT) for name in PLANS.plans)
    assert all(PLANS.opens("enterprise", kind) for kind in Kind)


@pytest.mark.parametrize(("name", "near"), [("brnad", "brand"), ("enterprize", "enterprise")])
def test_an_unknown_plan_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        PLANS.plan(name)
    assert caught.value.field == "plan"
    assert near in (caught.value.allowed or ())
    assert f"Did you mean {near!r}?" in caught.value.message


@pytest.mark.parametrize("name", ["", "zzz", "x" * 500])
def test_a_plan_like_no_other_is_answered_with_all(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        PLANS.plan(name)
    assert caught.value.allowed == list(PLANS.plans)
    assert len(caught.value.message) < 200


def test_plans_are_found_however_they_are_written() -> None:
    assert PLANS.plan(" Brand ") is PLANS.plan("brand")


# The user's own file


def test_a_file_of_the_user_needs_only_what_differs(write: Write) -> None:
    own = Plans.read(write('minimum_credits = 2\n[plans.brand]\nprice_usd = 249\n[client]\nmarkup_percent = "100"\n'))
    assert own.plan("brand").price_usd == 249
    assert own.plan("brand").credits == PLANS.plan("brand").credits
    assert own.plan("starter") == PLANS.plan("starter")
    assert own.client_price(Decimal(2)).price == 4
    assert own.credits(Decimal("0.003"), "brand") == 2


def test_a_file_of_the_user_may_add_a_plan(write: Write) -> None:
    own = Plans.read(write(SOLO))
    assert own.advise(200, kinds=(Kind.IMAGE,)).plan == "solo"
    assert set(own.plans) == {*PLANS.plans, "solo"}


def test_without_a_file_of_the_user_the_shipped_plans_hold(tmp_path: Path) -> None:
    assert Plans.read(tmp_path / "plans.toml") == PLANS


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (SOLO.replace('multiplier = "1.2"\n', ""), "plans.solo.multiplier"),
        ('[plans.brand]\nprice_usd = "-1"', "plans.brand.price_usd"),
        ("[plans.brand]\nprice_usd = nan", "plans.brand.price_usd"),
        ("[plans.brand]\noverage_usd = inf", "plans.brand.overage_usd"),
        ('[plans.brand]\ncredit_price_usd = "lots"', "plans.brand.credit_price_usd"),
        ("[plans.brand]\nprice_usd = true", "plans.brand.price_usd"),
        ("[plans.brand]\nprice_usd = 1e30", "plans.brand.price_usd"),
        ("[plans.brand]\nmultiplier = 0", "plans.brand.multiplier"),
        ("[plans.brand]\nmultiplier = nan", "plans.brand.multiplier"),
        ("[plans.brand]\ncredits = -1", "plans.brand.credits"),
        ("[plans.brand]\nusers = 0", "plans.brand.users"),
        ('[plans.brand]\ncolour = "red"', "plans.brand.colour"),
        ("credits_per_usd = 0", "credits_per_usd"),
        ("credits_per_dollar = 100", "credits_per_dollar"),
        ('[modules]\nvideo = ["films"]', "modules.video.0"),
        ('[month]\nimages = { operation = "image", n = 0 }', "month.images.n"),
        ('[plans.brand]\nmodules = ["viedo"]', "plan brand names the module 'viedo'"),
        ("plans = 3", "plans"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_with_the_field(write: Write, text: str, named: str) -> None:
    path = write(text)
    message = refusal(lambda: Plans.read(path))
    assert message.startswith(f"{path}: ")
    assert named in message


def test_a_file_with_duplicate_keys_is_refused(write: Write) -> None:
    path = write("[plans.brand]\ncredits = 1\ncredits = 2\n")
    assert refusal(lambda: Plans.read(path)).startswith(f"{path}: ")


def test_what_is_no_text_or_no_file_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "plans.toml"
    binary.write_bytes(b"\xff\xfe")
    for path in (binary, tmp_path):
        assert refusal(lambda path=path: Plans.read(path)).startswith(f"{path}: ")


# The plans in use


def test_the_book_reads_the_file_again_on_request(write: Write) -> None:
    path = write("[plans.brand]\ncredits = 1")
    book = PlanBook(path)
    assert book.plans.plan("brand").credits == 1
    write("[plans.brand]\ncredits = 2")
    assert book.plans.plan("brand").credits == 1
    assert book.reload().plan("brand").credits == book.plans.plan("brand").credits == 2


def test_the_book_keeps_its_plans_when_the_file_has_gone_bad(write: Write) -> None:
    book = PlanBook(write("[plans.brand]\ncredits = 1"))
    before = book.plans
    write("[plans.brand]\ncredits = -1")
    refusal(book.reload)
    assert book.plans is before


def test_the_book_falls_back_on_the_shipped_plans_and_says_why(write: Write) -> None:
    path = write("[plans.brand]\ncredits = -1")
    book = PlanBook(path)
    assert book.problem is None
    assert book.plans == PLANS
    assert book.problem is not None
    assert "plans.brand.credits" in book.problem
    write("[plans.brand]\ncredits = 5")
    assert book.reload().plan("brand").credits == 5
    assert book.problem is None


def test_code_can_change_single_values_until_the_files_are_read_again() -> None:
    book = PlanBook()
    changed = book.update({"plans": {"brand": {"credit_price_usd": "0.028"}}})
    assert book.plans is changed
    assert book.plans.revenue(100, "brand") == Decimal("2.8")
    assert book.plans.plan("brand").multiplier == Decimal("0.9")
    assert book.reload().revenue(100, "brand") == Decimal("2.5")


@pytest.mark.parametrize(
    "changes",
    [
        {"plans": {"brand": {"price_usd": float("nan")}}},
        {"plans": {"brand": {"price_usd": -1}}},
        {"plans": {"solo": {"title": "Solo"}}},
        {"tiers": {}},
        {"plans": {}, "modules": {"video": "all"}},
        {"plans": None},
    ],
)
def test_a_change_by_code_that_breaks_a_rule_changes_nothing(changes: dict[str, Any]) -> None:
    book = PlanBook()
    before = book.plans
    assert refusal(lambda: book.update(changes)).startswith("the update: ")
    assert book.plans is before


def test_amounts_keep_the_digits_that_were_written(write: Write) -> None:
    own = Plans.read(write("[plans.brand]\noverage_usd = 0.1"))
    assert own.plan("brand").overage_usd == Decimal("0.1")
    amounts = [value for plan in own.plans.values() for value in plan.model_dump().values()]
    assert not any(isinstance(value, float) for value in amounts)
