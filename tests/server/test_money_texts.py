"""Figures in words: what is not known is said, never shown as nothing."""

from typing import Any

import pytest

from darkroom.server.money_texts import amount, job_cost_text, month_text, several, share_amount, usage_text
from darkroom.server.views import job_text

USAGE: dict[str, Any] = {
    "since": "2026-11-01", "until": "2026-11-21", "timezone": "UTC", "total_usd": 1.5, "open_usd": 0,
    "uncertain_usd": 0, "submissions": 3, "credits": 1,
}  # fmt: skip
MONTH: dict[str, Any] = {
    "plan": "brand",
    "breakdown": [{"part": "decks", "count": 2, "offer": "gamma/gamma"}],
    "plan_advice": {"recommended_plan": "brand", "reason": "10,000 credits included", "monthly_usd": 199},
    "warnings": ["The price of decks is not known; it is in no sum."],
}
JOB: dict[str, Any] = {"kind": "image", "job_id": "job_1", "status": "succeeded", "next": "Show the file."}


def test_usage_of_which_some_or_all_is_not_known() -> None:
    some = usage_text({**USAGE, "unpriced": 2})
    assert some.startswith("Spent from 2026-11-01 to 2026-11-21 (UTC): $1.50, of which")
    assert "3 submissions, 1 credit." in some
    assert "The cost of 2 submissions is not known and in no sum." in some
    nothing = usage_text({**USAGE, "total_usd": 0, "unpriced": 3})
    assert nothing.splitlines()[0] == "Spent from 2026-11-01 to 2026-11-21 (UTC): not known; 3 submissions."


@pytest.mark.parametrize(
    ("row", "text"),
    [({"usd": 2}, "$2.00"), ({"usd": 2, "unpriced": 1}, "at least $2.00"), ({"unpriced": 1}, "not known")],
)
def test_a_share_of_which_nobody_knows(row: dict[str, Any], text: str) -> None:
    assert share_amount(row) == text


def test_prices_with_a_range_and_of_a_part() -> None:
    assert amount({"usd": 0.4, "low_usd": 0.375, "high_usd": 1}, "usd") == "$0.40 ($0.375 to $1.00)"
    assert amount({"usd": 0.4, "at_least": True}, "usd") == "at least $0.40"
    assert amount({}, "usd") == "price not known"
    assert (several(1, "credit"), several(1_200_000, "credit")) == ("1 credit", "1,200,000 credits")


def test_a_month_of_which_nothing_or_a_part_is_known() -> None:
    assert month_text(MONTH).startswith("A month: price not known.\n")
    part = {**MONTH, "cost_usd": {"likely": 1_200_000}, "credits": 1, "at_least": True}
    assert month_text(part).startswith("A month: at least $1,200,000.00, 1 credit on plan brand.")


def test_a_job_that_nobody_knows_the_cost_of() -> None:
    view = {"job_id": "job_1", "status": "succeeded", "unpriced": True, "plan": "brand"}
    assert job_cost_text(view) == "job_1 (succeeded): estimate not known, actual not known."


@pytest.mark.parametrize(
    ("view", "text"),
    [
        ({"cost": {"actual_usd": 0.4}}, "It cost $0.40"),
        ({"cost": {"actual_usd": 0}}, None),
        ({"cost": {}}, "What it cost is not known"),
        ({"cost": {}, "status": "failed"}, None),
        ({"cost": {"estimate_usd": 1}, "status": "running"}, None),
        ({"cost": {"actual_usd": 0}, "draft": True}, None),
    ],
)
def test_a_finished_job_says_what_it_cost(view: dict[str, Any], text: str | None) -> None:
    told = job_text({**JOB, **view})
    assert (text in told) if text else ("cost" not in told)
