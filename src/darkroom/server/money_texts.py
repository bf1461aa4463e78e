"""Estimates, lists, months and usage in words: the price first, then what else there is."""

from decimal import Decimal
from typing import Any

from darkroom.domain.money import show_usd
from darkroom.server.money_views import NO_COST, UNKNOWN

TEXT_ROWS = 25
"""Offers told in a text; the structured answer has those that were asked for."""


def usd(amount: float) -> str:
    """Return the number of a view as a person reads it."""
    return show_usd(round(Decimal(str(amount)) * 1_000_000))


def several(count: int, what: str) -> str:
    """Return how many of something: `1 credit`, `1,200 credits`."""
    return f"{count:,} {what if count == 1 else what + 's'}"


def estimate_text(view: dict[str, Any], most: int | None = TEXT_ROWS) -> str:
    """Return an estimate in words, with so many of its offers; None tells all of them."""
    rows = [_row_text(row) for row in (*view.get("offers", ()), *view.get("alternatives", ()))]
    advice = [view["plan_advice"]] if "plan_advice" in view else []
    words = [_head(view), *view.get("warnings", ()), *advice, *rows[:most], *_more(view, len(rows), most)]
    return "\n".join([*words, view["next"]])


def _head(view: dict[str, Any]) -> str:
    cost = view.get("cost_usd")
    head = f"{view['n']} x {view['operation']} at {view['offer']} ({view['state']}): "
    if cost is None:
        return head + UNKNOWN
    if view.get("draft"):
        return head + "free, a local draft"
    least = "at least " if view.get("at_least") else ""
    span = f" ({usd(cost['low'])} to {usd(cost['high'])})" if cost["low"] != cost["high"] else ""
    credits = f", {several(view['credits'], 'credit')} on plan {view['plan']}"
    return f"{head}{least}{usd(cost['likely'])}{span}{credits}, client price {least}{usd(view['price_usd'])}"


def _more(view: dict[str, Any], rows: int, most: int | None) -> list[str]:
    left = view.get("more", 0) + (0 if most is None else max(rows - most, 0))
    return [f"... and {left} more"] if left else []


def amount(row: dict[str, Any], key: str) -> str:
    """Return the price of a row: with its range where it varies, as the least where a part is left out."""
    if key not in row:
        return UNKNOWN
    least = "at least " if row.get("at_least") else ""
    span = f" ({usd(row['low_usd'])} to {usd(row['high_usd'])})" if "low_usd" in row else ""
    return f"{least}{usd(row[key])}{span}"


def _row_text(row: dict[str, Any]) -> str:
    ends = f", ends {row['ends']}" if "ends" in row else ""
    note = f" {row['note']}" if "note" in row else ""
    return f"- {row['offer']}: {amount(row, 'usd')} ({row['state']}{ends}){note}"


def listing_text(view: dict[str, Any], most: int | None = TEXT_ROWS) -> str:
    """Return a list of offers in words, with so many of them; None tells all."""
    rows: list[str] = []
    for row in view.get("offers", ()):
        limits = f", {row['limits']}" if "limits" in row else ""
        rows.append(f"- {row['offer']}: {amount(row, 'usual_usd')}{limits} ({row['state']})")
    return "\n".join([*rows[:most], *_more(view, len(rows), most), view["next"]])


def month_text(view: dict[str, Any]) -> str:
    """Return a month in words."""
    rows = [
        f"- {row['part']} {row['count']:,} ({row['offer']}): "
        + (f"{usd(row['usd'])}, {several(row['credits'], 'credit')}" if "usd" in row else UNKNOWN)
        for row in view["breakdown"]
    ]
    advice, head = view["plan_advice"], f"A month: {UNKNOWN}."
    if "cost_usd" in view:
        least, credits = "at least " if view.get("at_least") else "", several(view["credits"], "credit")
        head = f"A month: {least}{usd(view['cost_usd']['likely'])}, {credits} on plan {view['plan']}."
    plan = f"Plan {advice['recommended_plan']}: {advice['reason']}, {usd(advice['monthly_usd'])} a month."
    return "\n".join([head, *rows, plan, *view.get("warnings", ())])


def usage_text(view: dict[str, Any]) -> str:
    """Return what was spent in words."""
    count = several(view["submissions"], "submission")
    unpriced = view.get("unpriced", 0)
    spent = f"Spent from {view['since']} to {view['until']} ({view['timezone']}): "
    if unpriced and unpriced == view["submissions"]:
        head = f"{spent}{NO_COST}; {count}."
    else:
        head = (
            f"{spent}{usd(view['total_usd'])}, of which {usd(view['open_usd'])} is reserved and "
            f"{usd(view['uncertain_usd'])} uncertain; {count}, {several(view['credits'], 'credit')}."
        )
    rows = [
        f"- {row['name']}: {share_amount(row)} ({row['submissions']})"
        for name in ("model", "day")
        for row in view.get("by", {}).get(name, ())[:10]
    ]
    budgets = [
        f"- {item['name']}: {usd(item['used_usd'])} of {usd(item['cap_usd'])}" for item in view.get("budgets", ())
    ]
    return "\n".join([head, *_how_it_went(view), *view.get("warnings", ()), *rows, *budgets])


def _how_it_went(view: dict[str, Any]) -> list[str]:
    """Return the success rate, what was estimated and what that came to, and what nobody knows."""
    words: list[str] = []
    if "success_percent" in view:
        words.append(f"{view['success_percent']:g} % of what ended succeeded.")
        words.append(f"That was estimated at {usd(view['estimated_usd'])} and cost {usd(view['actual_usd'])}.")
    unpriced = view.get("unpriced", 0)
    if unpriced:
        words.append(f"The cost of {several(unpriced, 'submission')} is not known and in no sum.")
    return [" ".join(words)] if words else []


def share_amount(row: dict[str, Any]) -> str:
    """Return what a group cost: not known where nothing of it is, and at least that where some of it is not."""
    if "usd" not in row:
        return NO_COST
    return f"{'at least ' if 'unpriced' in row else ''}{usd(row['usd'])}"


def job_cost_text(view: dict[str, Any]) -> str:
    """Return a job's cost in words."""
    estimate = f"{usd(view['estimate_usd'])}" if "estimate_usd" in view else NO_COST
    actual = f", actual {usd(view['actual_usd'])}" if "actual_usd" in view else ""
    actual = f", actual {NO_COST}" if view.get("unpriced") else actual
    credits = f", {several(view['credits'], 'credit')} on plan {view['plan']}" if "credits" in view else ""
    return f"{view['job_id']} ({view['status']}): estimate {estimate}{actual}{credits}."
