"""What callers see of money: estimates, lists of offers, months, what was spent, plans."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from darkroom.catalog.plans import Plans
from darkroom.catalog.prices import Quote
from darkroom.catalog.providers import Offer
from darkroom.catalog.routing import Candidate
from darkroom.domain.job import LedgerRow
from darkroom.domain.money import Margin, json_usd, rounded, to_micro, to_usd
from darkroom.server.views import without_none
from darkroom.services.estimates import Estimate, JobCost, Listed, Month
from darkroom.services.pricing import Priced
from darkroom.services.usage import DIMENSIONS, Share, Usage, day_of

T = TypeVar("T")
MOST_ROWS = 25
"""Rows of a list in an answer; the resources have them all."""
UNKNOWN = "price not known"
NO_COST = "not known"
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
    """Return one offer of an estimate in short, with its range where the price varies."""
    one, count = priced.one, priced.piece.n
    ranged = one is not None and one.low != one.high
    return without_none(
        {
            "offer": priced.candidate.name,
            "usd": None if priced.likely is None else json_usd(priced.likely),
            "low_usd": json_usd(one.low * count) if one and ranged else None,
            "high_usd": json_usd(one.high * count) if one and ranged else None,
            "at_least": True if priced.partial else None,
            "state": state,
            "ends": priced.ends.isoformat() if priced.ends else None,
            "note": " ".join([*priced.warnings, *_left_out(priced)]) or None,
        }
    )


def _left_out(priced: Priced) -> list[str]:
    return [f"This is the least: {priced.partial}."] if priced.partial else []


@dataclass(frozen=True, slots=True)
class Span:
    """Which rows of a list to show."""

    offset: int = 0
    limit: int | None = MOST_ROWS
    """None shows all."""

    def of(self, rows: Sequence[T]) -> Sequence[T]:
        """Return those rows."""
        return rows[self.offset :] if self.limit is None else rows[self.offset : self.offset + self.limit]

    def told(self, count: int) -> dict[str, Any]:
        """Return how many rows there are, and how to see those that follow."""
        after = count if self.limit is None else self.offset + self.limit
        return {"rows": count, "more": count - after, "next_offset": after} if after < count else {}


FIRST = Span()


def estimate_view(estimate: Estimate, span: Span = FIRST) -> dict[str, Any]:
    """Return an estimate; absent means unknown, never nothing."""
    priced, one = estimate.priced, estimate.priced.one
    rows = [row_view(other, state) for other, state in span.of(estimate.others)]
    named = estimate.priced.piece.model is not None or estimate.priced.piece.provider is not None
    ends = [f"It ends on {priced.ends.isoformat()}."] if priced.ends else []
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
            "at_least": True if priced.partial else None,
            "draft": True if priced.candidate.makes_drafts else None,
            ("alternatives" if named else "offers"): rows,
            **span.told(len(estimate.others)),
            "plan_advice": estimate.advice,
            "warnings": [*priced.warnings, *_left_out(priced), *ends, *estimate.assumed, *estimate.warnings],
        }
    )
    return {**view, "next": f"{_next(estimate)}{following(view)}"}


def following(view: dict[str, Any]) -> str:
    """Say how to see the rows that follow."""
    return f" offset={view['next_offset']} shows the next of {view['rows']} offers." if "next_offset" in view else ""


def _line(label: str, quantity: Decimal, unit: str, usd: Decimal) -> dict[str, Any]:
    return {"part": label, "quantity": number(quantity, 6), "unit": unit, "usd": dollars(usd)}


def _next(estimate: Estimate) -> str:
    one, item = estimate.priced.one, estimate.priced.candidate
    if one is None or one.partial is not None:
        part = "" if one is None else " in full"
        return f"The price of this offer is not known{part}; any cap refuses it unless options.allow_unpriced is set."
    if estimate.state != "ready":
        return f"Nothing was started. To use this offer: {estimate.state}."
    if item.makes_drafts:
        return "Nothing was started. This is what a call without model and provider would take: a draft, which is free."
    high = to_usd(one.high * estimate.priced.piece.n)
    return f"Nothing was started. Pass max_cost={high:f} to hold a call to this price."


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
            **usual_view(listed.usual),
            "status": offer.status.value if offer.status.value != "live" else None,
            "shutdown": offer.shutdown.isoformat() if offer.shutdown else None,
        }
    )


def usual_view(usual: Quote | None) -> dict[str, Any]:
    """Return the price of usual work: its range where it varies, and whether it is the least."""
    if usual is None:
        return {}
    ranged = {"low_usd": json_usd(usual.low), "high_usd": json_usd(usual.high)} if usual.low != usual.high else {}
    return {"usual_usd": json_usd(usual.likely), **ranged, **({"at_least": True} if usual.partial else {})}


def listing_view(rows: Sequence[Listed], span: Span = FIRST) -> dict[str, Any]:
    """Return a part of a list of offers."""
    more = span.told(len(rows))
    rest = " darkroom://models has them all; name a provider or model to see fewer." if more else ""
    said = "usual_usd is one piece with the offer's defaults. Give n, duration or size for your price."
    return without_none(
        {
            "offers": [listed_view(row) for row in span.of(rows)],
            **more,
            "next": f"{said}{following(more)}{rest}",
        }
    )


def month_view(month: Month) -> dict[str, Any]:
    """Return a month's estimate."""
    advice, known = month.advice, len(month.unknown) < len(month.parts)
    return without_none(
        {
            "operation": "month",
            "cost_usd": {"likely": json_usd(month.micro_usd)} if known else None,
            "at_least": True if known and month.unknown else None,
            "credits": month.credits if known else None,
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
            "warnings": [
                *(f"The price of {name} is not known; it is in no sum." for name in month.unknown),
                *month.warnings,
            ],
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
            "unpriced": True if cost.estimate is None and cost.actual is None else None,
            "credits": cost.credits,
            "plan": cost.plan,
            **margin_view(cost.client),
            "breakdown": [
                {
                    "part": row.kind.value,
                    "submission": row.submission,
                    "usd": None if _says_nothing(row, cost) else json_usd(row.micro_usd),
                    "certain": row.certain,
                }
                for row in cost.ledger
            ],
            "next": f"darkroom://jobs/{cost.job.id} has the whole record.",
        }
    )


def _says_nothing(row: LedgerRow, cost: JobCost) -> bool:
    """Return whether a row of the ledger holds nothing because nobody knows."""
    return cost.estimate is None and not row.certain and not row.micro_usd


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
            "warnings": list(usage.warnings),
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
    known = share.unpriced < share.submissions
    return without_none(
        {
            "name": share.name,
            "usd": json_usd(share.micro_usd) if known else None,
            "submissions": share.submissions,
            "unpriced": share.unpriced or None,
        }
    )


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
    return _offer_view(item, state, usual, set(_FACTS))


def prices_view(item: Candidate, state: str, usual: Quote | None) -> dict[str, Any]:
    """Return the prices of one offer, and until when it lasts; `candidate_view` has the rest."""
    return _offer_view(item, state, usual, {"status", "shutdown", "successor", "tokens"})


def _offer_view(item: Candidate, state: str, usual: Quote | None, include: set[str]) -> dict[str, Any]:
    offer = item.offer
    facts = offer.model_dump(mode="json", exclude_defaults=True, include=include)
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
                "since": price.since.isoformat() if price.since else None,
                "until": price.until.isoformat() if price.until else None,
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
            **usual_view(usual),
            "left_out": offer.prices_partial,
            **facts,
            "prices": prices,
        }
    )


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
                    "price": None if known else NO_COST,
                    "at_least": True if priced.partial else None,
                    "credits": plans.credits(cost, plan) if known else None,
                    **(margin_view(plans.client_price(cost)) if known else {}),
                }
            )
        )
    return table
