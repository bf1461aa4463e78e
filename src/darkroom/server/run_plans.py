"""What callers see of a run before it is started: who would think, what would be made, and what that would cost."""

from collections.abc import Mapping
from typing import Any

from darkroom.domain.assumed import assumed_in
from darkroom.domain.assumed import told as taken
from darkroom.domain.money import json_usd, show_usd
from darkroom.domain.run import Mode, RunKind
from darkroom.domain.workflow import Work
from darkroom.server.views import without_none
from darkroom.services.runs import RunPlan
from darkroom.services.work_prices import StepPrice, WorkPrice

_THINKS = {
    Mode.CLIENT: "your own model would think",
    Mode.HAND_OFF: "no language model would think, you get a brief",
}


def plan_view(plan: RunPlan) -> dict[str, Any]:
    """Return what a dry run says; nothing was stored."""
    run, price = plan.run, plan.price
    inputs: Mapping[str, Any] = run.work.get("inputs") or {}
    return without_none(
        {
            "status": "estimate",
            "agent": run.agent,
            "workflow": run.workflow,
            "model": run.model,
            "inputs": without_none(dict(inputs)),
            "assumed": assumed_in(run.work),
            "steps": [_step(item) for item in price.steps] if price else [],
            "cost": _cost(price) if price else None,
            "warnings": list(run.warnings),
            "next": _next(plan),
        }
    )


def plan_text(plan: RunPlan) -> str:
    """Return a dry run in words: what was read and assumed, what is to be minded, the price and what to do."""
    work = Work.model_validate(plan.run.work) if plan.run.kind is RunKind.WORKFLOW else None
    notes = taken(work.workflow, work.inputs, work.sources) if work else ""
    return "\n".join(part for part in (notes, *plan.run.warnings, _next(plan)) if part)


def _step(item: StepPrice) -> dict[str, Any]:
    return without_none(
        {
            "step": item.step,
            "calls": item.calls,
            "models": list(item.offers),
            "likely_usd": json_usd(item.likely),
            "unknown": item.unknown or None,
        }
    )


def _cost(price: WorkPrice) -> dict[str, Any]:
    return without_none(
        {
            "low_usd": json_usd(price.low),
            "likely_usd": json_usd(price.likely),
            "high_usd": json_usd(price.high),
            "left_out": price.partial,
        }
    )


def _next(plan: RunPlan) -> str:
    price = plan.price
    if price is None:
        who = f"{plan.run.model} would think, paid by its tokens" if plan.run.model else _THINKS[plan.run.mode]
        told = f"{who}. What it starts is priced call by call; max_cost holds for all of it together."
    else:
        told = f"{priced(price)}."
    way = plan.obstacle or "Call again without dry_run to start it."
    return f"Nothing was stored: {told} {way}"


def priced(price: WorkPrice) -> str:
    """Return in words what all of it costs."""
    count = f"{price.calls} {'call' if price.calls == 1 else 'calls'}"
    if price.free:
        return f"all of it is free ({count})"
    span = f" ({show_usd(price.low)} to {show_usd(price.high)})" if price.low != price.high else ""
    least = f"; {price.partial}" if price.partial else ""
    return f"all of it would cost about {show_usd(price.likely)}{span} for {count}{least}"
