"""What may be spent: by one call, a day, a month, by everybody or by one principal."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from darkroom.catalog.prices import Quote
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Run
from darkroom.errors import BudgetExceeded, PriceUnknown
from darkroom.services.caps import Caps, OfRun, Terms, begin_of, of_run, run_limits
from darkroom.settings import PrincipalSettings, Settings
from darkroom.store.base import Limit
from factories import NOW

NAME = "acme/acme-pro"


def make_quote(high: int, low: int | None = None) -> Quote:
    least = MicroUsd(high if low is None else low)
    return Quote(low=least, likely=least, high=MicroUsd(high), source="a page", as_of=date(2026, 1, 1))


def caps(**settings: Any) -> Caps:
    return Caps(Settings.load(**settings))


def terms(max_cost: int | None = None, **fields: Any) -> Terms:
    return Terms(max_cost=None if max_cost is None else MicroUsd(max_cost), **fields)


def own(**fields: Any) -> dict[str, PrincipalSettings]:
    return {"ann": PrincipalSettings(**fields)}


def checked(held: Caps, quote: Quote | None, said: Terms | None = None, *, unpriced: bool = False) -> MicroUsd | None:
    return held.check(quote, NAME, said or terms(), unpriced=unpriced)


def over(held: Caps, quote: Quote, said: Terms | None = None) -> BudgetExceeded:
    with pytest.raises(BudgetExceeded) as caught:
        checked(held, quote, said)
    return caught.value


def unknown(held: Caps, said: Terms | None = None) -> PriceUnknown:
    with pytest.raises(PriceUnknown) as caught:
        checked(held, None, said)
    return caught.value


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


# One call


def test_without_any_cap_everything_may_be_made_and_its_job_keeps_none() -> None:
    assert checked(caps(), make_quote(10**12)) is None
    assert checked(caps(), None) is None
    assert caps().limits("local", NOW) == ()


@pytest.mark.parametrize("smallest", ["caller", "setting", "principal"])
def test_the_smallest_cap_of_caller_setting_and_principal_holds_and_stays_with_the_job(smallest: str) -> None:
    amounts = {"caller": 300_000, "setting": 300_000, "principal": 300_000, smallest: 200_000}
    dollars = {name: Decimal(amount) / 10**6 for name, amount in amounts.items()}
    held = caps(max_cost=dollars["setting"], principals=own(max_cost=dollars["principal"]))
    said = terms(amounts["caller"], principal="ann")
    assert checked(held, make_quote(200_000), said) == 200_000
    assert checked(held, make_quote(1), said) == 200_000
    assert over(held, make_quote(200_001), said).message == f"{NAME} would cost $0.200001; the cap is $0.20."


@pytest.mark.parametrize(
    ("settings", "cap"),
    [({"max_cost": "0.5"}, 500_000), ({"principals": own(max_cost="0.25")}, 250_000), ({"max_cost": "0"}, 0)],
)
def test_a_cap_of_the_settings_holds_where_the_caller_names_none(settings: dict[str, Any], cap: int) -> None:
    said = terms(principal="ann")
    assert checked(caps(**settings), make_quote(cap), said) == cap
    over(caps(**settings), make_quote(cap + 1), said)


def test_the_cap_of_one_principal_holds_for_no_other() -> None:
    held = caps(principals=own(max_cost="0.01"))
    over(held, make_quote(20_000), terms(principal="ann"))
    assert checked(held, make_quote(20_000), terms(principal="bob")) is None


def test_a_principal_whose_settings_have_no_cap_has_the_common_one() -> None:
    held = caps(max_cost="0.5", principals=own(plan="agency"))
    assert checked(held, make_quote(1), terms(principal="ann")) == 500_000


def test_the_most_that_it_may_cost_is_held_against_the_cap_and_both_ends_are_said() -> None:
    error = over(caps(), make_quote(120_000, low=40_000), terms(100_000))
    assert error.message == f"{NAME} would cost $0.04 to $0.12; the cap is $0.10."
    assert error.field == "max_cost"
    assert error.hint == "Nothing was stored or sent. Raise max_cost, make it smaller, or name a cheaper model."
    assert checked(caps(), make_quote(100_000, low=1), terms(100_000)) == 100_000


def test_a_cap_that_was_read_from_the_task_is_raised_there() -> None:
    error = over(caps(), make_quote(2_000_000), terms(1_000_000, cap_words="max $1"))
    assert "The task says 'max $1': say more there" in str(error.hint)
    lower = over(caps(max_cost="0.5"), make_quote(2_000_000), terms(1_000_000, cap_words="max $1"))
    assert "Raise max_cost" in str(lower.hint)


def test_what_is_free_passes_a_cap_of_nothing() -> None:
    assert checked(caps(), make_quote(0), terms(0)) == 0
    over(caps(), make_quote(1), terms(0))


def test_a_cap_holds_for_a_dry_run_too() -> None:
    over(caps(), make_quote(2), terms(1, dry_run=True))


# Unknown prices


@pytest.mark.parametrize(
    ("settings", "said", "words"),
    [
        ({}, terms(50_000), "a cap of $0.05"),
        ({}, terms(0), "a cap of $0.00"),
        ({"max_cost": "0.5"}, terms(), "a cap of $0.50"),
        ({"principals": own(max_cost="0.25")}, terms(principal="ann"), "a cap of $0.25"),
        ({"daily_budget": "1"}, terms(), "a budget or DARKROOM_CONFIRM_ABOVE"),
        ({"monthly_budget": "1"}, terms(), "a budget or DARKROOM_CONFIRM_ABOVE"),
        ({"confirm_above": "1"}, terms(), "a budget or DARKROOM_CONFIRM_ABOVE"),
        ({"confirm_above": "0"}, terms(dry_run=True), "a budget or DARKROOM_CONFIRM_ABOVE"),
        ({"principals": own(daily_budget="1")}, terms(principal="ann"), "a budget or DARKROOM_CONFIRM_ABOVE"),
        ({"principals": own(monthly_budget="1")}, terms(principal="ann"), "a budget or DARKROOM_CONFIRM_ABOVE"),
    ],
)
def test_an_unknown_price_is_refused_under_whatever_guards_money(
    settings: dict[str, Any], said: Terms, words: str
) -> None:
    error = unknown(caps(**settings), said)
    assert error.message == f"The price of {NAME} is not known, and {words} is set."
    assert error.field == "max_cost"
    assert "options={'allow_unpriced': true}" in (error.hint or "")
    assert (error.hint or "").startswith("Nothing was stored or sent.")


def test_an_unknown_price_is_let_through_where_that_is_said() -> None:
    held = caps(max_cost="0.5", daily_budget="1", monthly_budget="2", confirm_above="0.1")
    assert checked(held, None, unpriced=True) == 500_000
    assert checked(held, None, terms(7), unpriced=True) == 7
    assert checked(caps(confirm_above="0"), None, unpriced=True) is None


def test_the_guards_of_one_principal_refuse_no_unknown_price_of_another() -> None:
    held = caps(principals=own(daily_budget="1", max_cost="1"))
    assert checked(held, None, terms(principal="bob")) is None


# Agreement


def test_what_may_cost_more_than_the_user_said_needs_a_word_and_the_error_says_which() -> None:
    error = over(caps(confirm_above="0.10"), make_quote(240_000, low=90_000))
    assert error.message == f"{NAME} would cost $0.09 to $0.24; above $0.10 the user is to agree first."
    assert error.field == "max_cost"
    assert error.allowed == "max_cost of 0.24 or more"
    assert error.hint == (
        "Nothing was stored or sent. Ask the user; if they agree, repeat the call with max_cost=0.24."
    )


@pytest.mark.parametrize(("high", "asked"), [(0, False), (100_000, False), (100_001, True)])
def test_only_what_may_cost_more_than_that_needs_a_word(high: int, asked: bool) -> None:
    held = caps(confirm_above="0.10")
    if asked:
        assert "$0.100001" in over(held, make_quote(high)).message
    else:
        assert checked(held, make_quote(high)) is None


def test_words_of_a_task_limit_what_it_may_cost_and_agree_to_nothing() -> None:
    held = caps(confirm_above="0.10")
    error = over(held, make_quote(240_000), terms(500_000, cap_words="at most 50 cents"))
    assert "above $0.10 the user is to agree first" in error.message
    assert checked(held, make_quote(240_000), terms(500_000)) == 500_000


def test_the_word_that_the_error_asks_for_lets_the_call_through() -> None:
    held = caps(confirm_above="0.10")
    assert checked(held, make_quote(240_000), terms(240_000)) == 240_000
    assert "the cap is" in over(held, make_quote(240_000), terms(239_999)).message


def test_the_users_own_caps_are_no_word_of_the_caller() -> None:
    held = caps(confirm_above="0.10", max_cost="5", principals=own(max_cost="4"))
    assert "agree first" in over(held, make_quote(240_000), terms(principal="ann")).message
    assert checked(held, make_quote(240_000), terms(240_000, principal="ann")) == 240_000


def test_nobody_is_asked_about_a_dry_run() -> None:
    assert checked(caps(confirm_above="0"), make_quote(10**9), terms(dry_run=True)) is None


def test_a_large_amount_is_written_out_where_it_is_to_be_repeated() -> None:
    assert "max_cost=100000." in (over(caps(confirm_above="1"), make_quote(100_000 * 10**6)).hint or "")


# Budgets


def test_budgets_become_limits_of_a_day_and_a_month_for_everybody_and_for_one() -> None:
    common = {"daily_budget": "1.5", "monthly_budget": "20"}
    held = caps(**common, principals=own(daily_budget="0.5", monthly_budget="5"))
    day, month = at("2026-11-21T00:00+00:00"), at("2026-11-01T00:00+00:00")
    everybody = (
        Limit("daily budget", "DARKROOM_DAILY_BUDGET", "day", MicroUsd(1_500_000), day),
        Limit("monthly budget", "DARKROOM_MONTHLY_BUDGET", "month", MicroUsd(20_000_000), month),
    )
    anns = (
        Limit(
            "daily budget of ann", "principals.ann.daily_budget in config.toml", "day", MicroUsd(500_000), day, "ann"
        ),
        Limit(
            "monthly budget of ann",
            "principals.ann.monthly_budget in config.toml",
            "month",
            MicroUsd(5_000_000),
            month,
            "ann",
        ),
    )
    now = at("2026-11-21T13:14:15.678+00:00")
    assert held.limits("bob", now) == everybody
    assert held.limits("ann", now) == everybody + anns


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"daily_budget": "0"}, ["daily budget"]),
        ({"monthly_budget": "1"}, ["monthly budget"]),
        ({"principals": own(daily_budget="1")}, ["daily budget of ann"]),
        ({"principals": own(monthly_budget="0")}, ["monthly budget of ann"]),
        ({"principals": own(max_cost="1")}, []),
        ({"max_cost": "1", "confirm_above": "1"}, []),
    ],
)
def test_only_the_budgets_that_are_set_are_limits(settings: dict[str, Any], names: list[str]) -> None:
    assert [limit.name for limit in caps(**settings).limits("ann", NOW)] == names


def test_a_budget_begins_with_the_day_of_the_users_time_zone() -> None:
    held = caps(daily_budget="1", monthly_budget="1", timezone="Asia/Tokyo")
    day, month = held.limits("local", at("2026-10-31T15:00+00:00"))
    assert day.since == month.since == at("2026-11-01T00:00+09:00")
    day, month = held.limits("local", at("2026-10-31T14:59:59.999+00:00"))
    assert (day.since, month.since) == (at("2026-10-31T00:00+09:00"), at("2026-10-01T00:00+09:00"))


# When days and months begin


@pytest.mark.parametrize(
    ("zone", "now", "day", "month"),
    [
        ("UTC", "2026-11-21T13:14:15.678+00:00", "2026-11-21T00:00+00:00", "2026-11-01T00:00+00:00"),
        ("UTC", "2026-11-01T00:00+00:00", "2026-11-01T00:00+00:00", "2026-11-01T00:00+00:00"),
        ("UTC", "2026-10-31T23:59:59.999+00:00", "2026-10-31T00:00+00:00", "2026-10-01T00:00+00:00"),
        ("UTC", "2028-02-29T12:00+00:00", "2028-02-29T00:00+00:00", "2028-02-01T00:00+00:00"),
        ("America/New_York", "2026-11-21T04:59+00:00", "2026-11-20T00:00-05:00", "2026-11-01T00:00-04:00"),
        ("America/New_York", "2026-11-21T05:00+00:00", "2026-11-21T00:00-05:00", "2026-11-01T00:00-04:00"),
        ("Asia/Kolkata", "2026-11-30T18:30+00:00", "2026-12-01T00:00+05:30", "2026-12-01T00:00+05:30"),
        # Clocks go forward on 29 March 2026 and back on 25 October 2026, so that the day has 23 or 25 hours.
        ("Europe/Berlin", "2026-03-29T00:30+00:00", "2026-03-29T00:00+01:00", "2026-03-01T00:00+01:00"),
        ("Europe/Berlin", "2026-03-29T21:59+00:00", "2026-03-29T00:00+01:00", "2026-03-01T00:00+01:00"),
        ("Europe/Berlin", "2026-03-29T22:00+00:00", "2026-03-30T00:00+02:00", "2026-03-01T00:00+01:00"),
        ("Europe/Berlin", "2026-10-25T22:59+00:00", "2026-10-25T00:00+02:00", "2026-10-01T00:00+02:00"),
        ("Europe/Berlin", "2026-10-25T23:00+00:00", "2026-10-26T00:00+01:00", "2026-10-01T00:00+02:00"),
        # Where clocks go back at one, midnight comes twice; the day begins with the first one.
        ("America/Havana", "2025-11-02T04:30+00:00", "2025-11-02T00:00-04:00", "2025-11-01T00:00-04:00"),
        ("America/Havana", "2025-11-02T05:30+00:00", "2025-11-02T00:00-04:00", "2025-11-01T00:00-04:00"),
        ("America/Havana", "2025-11-02T20:00+00:00", "2025-11-02T00:00-04:00", "2025-11-01T00:00-04:00"),
        # Where clocks go forward at midnight, the day begins at one.
        ("America/Havana", "2025-03-09T20:00+00:00", "2025-03-09T01:00-04:00", "2025-03-01T00:00-05:00"),
    ],
)
def test_a_day_and_a_month_begin_at_midnight_of_the_time_zone(zone: str, now: str, day: str, month: str) -> None:
    assert begin_of("day", at(now), zone) == at(day)
    assert begin_of("month", at(now), zone) == at(month)


def test_a_day_that_has_begun_is_its_own_beginning() -> None:
    for number in range(800):
        now = at("2025-01-01T12:00+00:00") + number * 86_400_000
        for zone in ("UTC", "Europe/Berlin", "America/Havana", "Pacific/Apia"):
            begin = begin_of("day", now, zone)
            assert begin_of("day", begin, zone) == begin <= now
            assert begin_of("day", begin - 1, zone) < begin
            assert now - begin < 25 * 3_600_000
            assert datetime.fromtimestamp(begin_of("month", now, "UTC") / 1000, UTC).day == 1


# Runs


def test_outside_any_run_there_are_no_caps_of_runs() -> None:
    assert run_limits(None) == ()
    assert run_limits(OfRun("run_1", "run_1")) == ()


def test_the_caps_of_a_run_and_of_the_outermost_one_hold_for_each_of_them_as_a_whole() -> None:
    own, whole = run_limits(OfRun("run_2", "run_1", MicroUsd(5), MicroUsd(9)))
    assert (own.run_id, own.cap, own.name, own.since, own.principal) == ("run_2", 5, "cap of this run", 0, None)
    assert (whole.run_id, whole.cap, whole.name) == ("run_1", 9, "cap of the whole run")
    assert {limit.setting for limit in (own, whole)} == {"max_cost in a new call"}
    assert [limit.run_id for limit in run_limits(OfRun("run_2", "run_1", root_cap=MicroUsd(0)))] == ["run_1"]


def test_a_run_says_of_its_calls_what_caps_them() -> None:
    outer = Run(
        id="run_1", principal="ann", task="t", request_hash="h", max_cost=MicroUsd(9), created_at=0, updated_at=0
    )
    assert of_run(outer) == OfRun("run_1", "run_1", MicroUsd(9), None)
    inside = {"id": "run_2", "root_run_id": "run_1", "max_cost": None, "root_max_cost": MicroUsd(9)}
    assert of_run(outer.model_copy(update=inside)) == OfRun("run_2", "run_1", None, MicroUsd(9))
