"""What callers see of money: estimates, lists of offers, months, what was spent, plans."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from darkroom.catalog.plans import Plans
from darkroom.catalog.prices import Quote
from darkroom.catalog.providers import Offer
from darkroom.catalog.routing import Candidate
from darkroom.domain.money import Margin, json_usd, rounded, show_usd, to_micro
from darkroom.server.views import without_none
from darkroom.services.estimates import Estimate, JobCost, Listed, Month
from darkroom.services.pricing import Priced
from darkroom.services.usage import DIMENSIONS, Share, Usage, day_of

MOST_ROWS = 25
"""Rows of a list in an answer; the resources have them all."""
UNKNOWN = "price not known"
ESTIMATE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "cost_usd": {"type": "object"},
        "credits": {"type": "number"},
        "offers": {"type": "array"},
        "next": {"type": "string"},
    },
}


def number(value: Decimal, places: int) -> int | float:
    """Return a number for JSON, half-up; never to reckon with."""
    shown = rounded(value, places)
    return int(shown) if shown == shown.to_integral_value() else float(shown)


def dollars(value: Decimal) -> int | float:
    """Return an exact amount as the JSON number of its micro-dollars."""
    return json_usd(to_micro(value))


def margin_view(margin: Margin | None) -> dict[str, Any]:
    """Return a price with what is left of it, to the cent."""
    if margin is None:
        return {}
    percent = margin.percent
    return without_none(
        {
            "price_usd": number(margin.price, 2),
            "margin_usd": number(margin.usd, 2),
            "margin_percent": None if percent is None else number(percent, 1),
        }
    )


def cost_view(quote: Quote, count: int) -> dict[str, Any]:
    """Return the three amounts of so many pieces of work."""
    return {name: json_usd(getattr(quote, name) * count) for name in ("low", "likely", "high")}


def row_view(priced: Priced, state: str) -> dict[str, Any]:
    """Return one offer of an estimate in short."""
    return without_none(
        {
            "offer": priced.candidate.name,
            "usd": None if priced.likely is None else json_usd(priced.likely),
            "state": state,
            "note": " ".join(priced.warnings) or None,
        }
    )


def estimate_view(estimate: Estimate) -> dict[str, Any]:
    """Return an estimate; absent means unknown, never nothing."""
    priced, one = estimate.priced, estimate.priced.one
    rows = [row_view(other, state) for other, state in estimate.others]
    named = estimate.priced.piece.model is not None or estimate.priced.piece.provider is not None
    view = without_none(
        {
            "operation": estimate.kind.value,
            "offer": priced.candidate.name,
            "state": estimate.state,
            "n": priced.piece.n,
            "cost_usd": None if one is None else cost_view(one, priced.piece.n),
            "credits": estimate.credits,
            "plan": estimate.plan,
            **margin_view(estimate.client),
            "credits_usd": None if estimate.revenue is None else number(estimate.revenue.price, 2),
            "price_source": (one.source or None) if one else None,
            "as_of": one.as_of.isoformat() if one else None,
            "breakdown": [_line(line.label, line.quantity, line.unit, line.usd) for line in one.lines] if one else None,
            ("alternatives" if named else "offers"): rows[:MOST_ROWS],
            "more": max(len(rows) - MOST_ROWS, 0) or None,
            "plan_advice": estimate.advice,
            "warnings": [*priced.warnings, *estimate.assumed],
        }
    )
    return {**view, "next": _next(estimate)}


def _line(label: str, quantity: Decimal, unit: str, usd: Decimal) -> dict[str, Any]:
    return {"part": label, "quantity": number(quantity, 6), "unit": unit, "usd": dollars(usd)}


def _next(estimate: Estimate) -> str:
    if estimate.priced.one is None:
        return "The price of this offer is not known; any cap refuses it unless options.allow_unpriced is set."
    if estimate.state != "ready":
        return f"Nothing was started. To use this offer: {estimate.state}."
    return "Nothing was started. Pass max_cost to hold a call to this price."


def offer_limits(offer: Offer) -> str:
    """Return in a few words what an offer makes."""
    words: list[str] = []
    if offer.duration is not None:
        have = offer.duration
        values = have.values or (have.min_s, have.max_s)
        every = bool(have.values) and set(values) != set(range(int(min(values)), int(max(values)) + 1))
        span = "/".join(f"{value:g}" for value in values) if every else f"{min(values):g}-{max(values):g}"
        words.append(f"{span} s")
    words += (
        [" ".join((*offer.size.resolutions, *offer.size.classes))]
        if offer.size.resolutions or offer.size.classes
        else []
    )
    if offer.count_max > 1:
        words.append(" or ".join(str(count) for count in offer.counts) or f"up to {offer.count_max}")
    return ", ".join(words)


def listed_view(listed: Listed) -> dict[str, Any]:
    """Return one row of a list of offers."""
    offer = listed.candidate.offer
    return without_none(
        {
            "offer": listed.candidate.name,
            "state": listed.state,
            "limits": offer_limits(offer) or None,
            "usual_usd": None if listed.usual is None else json_usd(listed.usual.likely),
            "status": offer.status.value if offer.status.value != "live" else None,
            "shutdown": offer.shutdown.isoformat() if offer.shutdown else None,
        }
    )


def listing_view(rows: Sequence[Listed]) -> dict[str, Any]:
    """Return the beginning of a list of offers."""
    shown = [listed_view(row) for row in rows[:MOST_ROWS]]
    more = max(len(rows) - MOST_ROWS, 0)
    rest = " darkroom://models has them all; name a provider or model to see fewer." if more else ""
    return without_none(
        {
            "offers": shown,
            "more": more or None,
            "next": f"usual_usd is one piece with the offer's defaults. Give n, duration or size for your price.{rest}",
        }
    )


def month_view(month: Month) -> dict[str, Any]:
    """Return a month's estimate."""
    advice = month.advice
    return without_none(
        {
            "operation": "month",
            "cost_usd": {"likely": json_usd(month.micro_usd)},
            "credits": month.credits,
            "plan": month.plan,
            "breakdown": [
                without_none(
                    {
                        "part": part.name,
                        "count": part.count,
                        "offer": part.offer,
                        "usd": None if part.micro_usd is None else json_usd(part.micro_usd),
                        "credits": part.credits,
                    }
                )
                for part in month.parts
            ],
            "plan_advice": {
                "recommended_plan": advice.plan,
                "plan_credits": advice.plan_credits,
                "overage_credits": advice.overage_credits,
                "monthly_usd": number(advice.monthly_usd, 2),
                "reason": advice.reason,
            },
            "warnings": [f"The price of {name} is not known; it is in no sum." for name in month.unknown],
            "next": "Nothing was started. Give usage as {name: number} or {name: {count, model, duration}}.",
        }
    )


def job_cost_view(cost: JobCost) -> dict[str, Any]:
    """Return what one job costs."""
    return without_none(
        {
            "operation": "job",
            "job_id": cost.job.id,
            "status": cost.job.state.value,
            "estimate_usd": None if cost.estimate is None else json_usd(cost.estimate),
            "actual_usd": None if cost.actual is None else json_usd(cost.actual),
            "credits": cost.credits,
            "plan": cost.plan,
            **margin_view(cost.client),
            "breakdown": [
                {
                    "part": row.kind.value,
                    "submission": row.submission,
                    "usd": json_usd(row.micro_usd),
                    "certain": row.certain,
                }
                for row in cost.ledger
            ],
            "next": f"darkroom://jobs/{cost.job.id} has the whole record.",
        }
    )


def usage_view(usage: Usage) -> dict[str, Any]:
    """Return what was spent, by everything that it can be told apart by."""
    rate = usage.success_rate
    return without_none(
        {
            "operation": "spent",
            "since": day_of(usage.since, usage.timezone),
            "until": day_of(usage.until - 1, usage.timezone),
            "timezone": usage.timezone,
            "total_usd": json_usd(usage.total),
            "open_usd": json_usd(usage.open),
            "uncertain_usd": json_usd(usage.uncertain),
            "estimated_usd": json_usd(usage.estimated),
            "actual_usd": json_usd(usage.actual),
            "credits": usage.credits,
            "submissions": len(usage.spent),
            "unpriced": usage.unpriced or None,
            "success_percent": None if rate is None else number(Decimal(str(rate)) * 100, 1),
            "by": {name: [share_view(share) for share in usage.by(name)][:MOST_ROWS] for name in DIMENSIONS}
            if usage.spent
            else None,
            "budgets": [
                {
                    "name": budget.limit.name,
                    "cap_usd": json_usd(budget.limit.cap),
                    "used_usd": json_usd(budget.used),
                }
                for budget in usage.budgets
            ],
            "next": "open_usd is reserved for jobs that are not done; uncertain_usd is counted by estimate.",
        }
    )


def share_view(share: Share) -> dict[str, Any]:
    """Return one group's share."""
    return {"name": share.name, "usd": json_usd(share.micro_usd), "submissions": share.submissions}


def plans_view(plans: Plans) -> dict[str, Any]:
    """Return the plans with what they leave at full use."""
    return {
        "credits_per_usd": number(plans.credits_per_usd, 6),
        "minimum_credits": plans.minimum_credits,
        "client": {
            "markup_percent": number(plans.client.markup_percent, 2),
            "minimum_price_usd": number(plans.client.minimum_price_usd, 2),
        },
        "plans": [
            {
                "key": name,
                "title": plan.title,
                "price_usd": number(plan.price_usd, 2),
                "credits": plan.credits,
                "users": plan.users,
                "multiplier": number(plan.multiplier, 4),
                "credit_price_usd": number(plan.credit_price_usd, 6),
                "overage_usd": number(plan.overage_usd, 6),
                "modules": list(plan.modules),
                "full_use": margin_view(plans.full_use(name)),
            }
            for name, plan in plans.plans.items()
        ],
        "warnings": plans.warnings(),
    }


_FACTS = (
    "operations", "aliases", "family", "status", "shutdown", "successor", "off", "prompt_max", "count_max", "counts",
    "seed", "negative_prompt", "audio", "qualities", "size", "duration", "inputs", "options", "typical_s",
    "synchronous", "tokens",
)  # fmt: skip


def candidate_view(item: Candidate, state: str, usual: Quote | None) -> dict[str, Any]:
    """Return everything about one offer."""
    offer = item.offer
    facts = offer.model_dump(mode="json", exclude_defaults=True, include=set(_FACTS))
    prices = [
        without_none(
            {
                "unit": price.unit.value,
                "usd": dollars(price.usd),
                "low": None if price.low is None else dollars(price.low),
                "high": None if price.high is None else dollars(price.high),
                "part": price.part or None,
                "when": price.when,
                "source": price.source,
                "as_of": price.as_of.isoformat(),
            }
        )
        for price in offer.prices
    ]
    return without_none(
        {
            "offer": item.name,
            "title": offer.title or None,
            "kind": offer.kind.value,
            "state": state,
            "usual_usd": None if usual is None else json_usd(usual.likely),
            **facts,
            "prices": prices,
        }
    )


def _usd(amount: float) -> str:
    return show_usd(round(Decimal(str(amount)) * 1_000_000))


def estimate_text(view: dict[str, Any]) -> str:
    """Return an estimate in words: the price first, then what else there is."""
    cost = view.get("cost_usd")
    head = f"{view['n']} x {view['operation']} at {view['offer']} ({view['state']}): "
    if cost is None:
        head += UNKNOWN
    else:
        head += f"{_usd(cost['likely'])}"
        head += f" ({_usd(cost['low'])} to {_usd(cost['high'])})" if cost["low"] != cost["high"] else ""
        head += f", {view['credits']:,} credits on plan {view['plan']}, client price {_usd(view['price_usd'])}"
    rows = [_row_text(row) for row in (*view.get("offers", ()), *view.get("alternatives", ()))]
    more = [f"... and {view['more']} more"] if "more" in view else []
    words = [head, *view.get("warnings", ()), *([view["plan_advice"]] if "plan_advice" in view else []), *rows, *more]
    return "\n".join([*words, view["next"]])


def _row_text(row: dict[str, Any]) -> str:
    amount = f"{_usd(row['usd'])}" if "usd" in row else UNKNOWN
    return f"- {row['offer']}: {amount} ({row['state']})" + (f" {row['note']}" if "note" in row else "")


def listing_text(view: dict[str, Any]) -> str:
    """Return a list of offers in words."""
    rows: list[str] = []
    for row in view.get("offers", ()):
        amount = f"{_usd(row['usual_usd'])}" if "usual_usd" in row else UNKNOWN
        limits = f", {row['limits']}" if "limits" in row else ""
        rows.append(f"- {row['offer']}: {amount}{limits} ({row['state']})")
    more = [f"... and {view['more']} more"] if "more" in view else []
    return "\n".join([*rows, *more, view["next"]])


def month_text(view: dict[str, Any]) -> str:
    """Return a month in words."""
    rows = [
        f"- {row['part']} {row['count']:,} ({row['offer']}): "
        + (f"{_usd(row['usd'])}, {row['credits']:,} credits" if "usd" in row else UNKNOWN)
        for row in view["breakdown"]
    ]
    advice = view["plan_advice"]
    head = f"A month: {_usd(view['cost_usd']['likely'])}, {view['credits']:,} credits on plan {view['plan']}."
    plan = f"Plan {advice['recommended_plan']}: {advice['reason']}, {_usd(advice['monthly_usd'])} a month."
    return "\n".join([head, *rows, plan, *view.get("warnings", ())])


def usage_text(view: dict[str, Any]) -> str:
    """Return what was spent in words."""
    head = (
        f"Spent since {view['since']} ({view['timezone']}): {_usd(view['total_usd'])}, of which "
        f"{_usd(view['open_usd'])} is reserved and {_usd(view['uncertain_usd'])} uncertain; "
        f"{view['submissions']} submissions, {view['credits']:,} credits."
    )
    rows = [
        f"- {row['name']}: {_usd(row['usd'])} ({row['submissions']})"
        for name in ("model", "day")
        for row in view.get("by", {}).get(name, ())[:10]
    ]
    budgets = [
        f"- {item['name']}: {_usd(item['used_usd'])} of {_usd(item['cap_usd'])}" for item in view.get("budgets", ())
    ]
    return "\n".join([head, *rows, *budgets])


def job_cost_text(view: dict[str, Any]) -> str:
    """Return a job's cost in words."""
    estimate = f"{_usd(view['estimate_usd'])}" if "estimate_usd" in view else UNKNOWN
    actual = f", actual {_usd(view['actual_usd'])}" if "actual_usd" in view else ""
    credits = f", {view['credits']:,} credits on plan {view['plan']}" if "credits" in view else ""
    return f"{view['job_id']} ({view['status']}): estimate {estimate}{actual}{credits}."


def dollar_rows(plans: Plans, rows: Sequence[tuple[str, Priced]], plan: str) -> list[dict[str, Any]]:
    """Return the ready table of common operations in dollars, credits and client prices."""
    table: list[dict[str, Any]] = []
    for name, priced in rows:
        known = priced.likely is not None and priced.one is not None
        cost = Decimal(priced.likely or 0) / 1_000_000
        table.append(
            without_none(
                {
                    "name": name,
                    "offer": priced.candidate.name,
                    "usd": json_usd(priced.likely or 0) if known else None,
                    "credits": plans.credits(cost, plan) if known else None,
                    **(margin_view(plans.client_price(cost)) if known else {}),
                }
            )
        )
    return table


def priced_words(priced: Priced) -> str:
    """Return a price in words for tables."""
    return UNKNOWN if priced.likely is None else show_usd(priced.likely)
