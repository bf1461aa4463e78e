"""What work costs at an offer: pure functions over the manifests' prices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_CEILING, Decimal

from pydantic import JsonValue

from darkroom.catalog.providers import Offer, Price, Unit
from darkroom.catalog.tokens import token_cost
from darkroom.domain.money import FREE, MICRO, MicroUsd, to_micro
from darkroom.domain.request import CLIPS, Effective, Size

TOKEN_UNITS = (Unit.MTOKEN_IN, Unit.MTOKEN_OUT)
MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be paid for: how much of each unit, and the facts that prices depend on."""

    amounts: Mapping[Unit, Decimal]
    """A unit that is missing is not known before the work is done."""
    facts: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    count: int = 1
    """How many outputs the amounts are for; free and started units are counted for each."""


@dataclass(frozen=True, slots=True)
class Line:
    """One part of a cost."""

    label: str
    quantity: Decimal
    unit: str
    usd: Decimal
    """What the quantity is likely to cost."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The cost of one piece of work at one offer; the three amounts differ where the provider's price varies."""

    low: MicroUsd
    likely: MicroUsd
    high: MicroUsd
    source: str
    as_of: date
    lines: tuple[Line, ...] = ()
    partial: str | None = None
    """What is left out, so that it costs at least this much; None where all of it is in."""

    @property
    def free(self) -> bool:
        """Whether nothing can be charged."""
        return self.high == 0 and self.partial is None


def quote(offer: Offer, request: Effective, today: date) -> Quote | None:
    """Return the cost of a request, or None when no price is known."""
    return price(offer, work_of(request), today)


def work_of(request: Effective) -> Work:
    """Return what a request uses, as far as it can be told before."""
    count = Decimal(request.n)
    pixels = Decimal(request.width * request.height)
    given = [item for item in request.inputs if item.role not in CLIPS]
    shown = [item for item in given if item.width and item.height]
    amounts = {
        Unit.IMAGE: count,
        Unit.REQUEST: count,
        Unit.MEGAPIXEL: count * pixels / MILLION,
        Unit.INPUT_IMAGE: count * (len(given) + (request.follows.pictures if request.follows else 0)),
    }
    if request.duration is not None:
        seconds = count * Decimal(str(request.duration))
        amounts |= {Unit.SECOND: seconds, Unit.MINUTE: seconds / 60}
    if len(shown) == len(given):
        amounts[Unit.INPUT_MEGAPIXEL] = count * sum(
            (Decimal((item.width or 0) * (item.height or 0)) / MILLION for item in shown), Decimal(0)
        )
    return Work(amounts, _facts(request), request.n)


def _facts(request: Effective) -> dict[str, JsonValue]:
    return {
        **request.options,
        "size": str(Size(request.width, request.height)),
        "width": request.width,
        "height": request.height,
        "megapixels": request.width * request.height / 1e6,
        "duration": request.duration,
        "resolution": request.resolution,
        "quality": request.quality,
        "audio": request.audio,
        "mode": request.mode,
        "inputs": len(request.inputs),
        "n": request.n,
    }


def price(offer: Offer, work: Work, today: date) -> Quote | None:
    """Return the cost of some work: of each part the first price that holds, all parts added; None when unknown.

    A part whose prices all have conditions, none of which holds, costs nothing, but for the main part.
    """
    low = likely = high = Decimal(0)
    lines: list[Line] = []
    chosen: list[Price] = []
    for part, prices in _parts(offer).items():
        current = [item for item in prices if _in_time(item, today)]
        holding = next((item for item in current if _holds(item, work.facts)), None)
        if holding is None:
            if part and current:
                continue
            return None
        units = _units(holding, work)
        if units is None:
            return None
        chosen.append(holding)
        low += units * (holding.usd if holding.low is None else holding.low)
        likely += units * holding.usd
        high += units * (holding.usd if holding.high is None else holding.high)
        lines.append(Line(part or holding.unit, units, holding.unit, units * holding.usd))
    source, as_of = (chosen[0].source, min(item.as_of for item in chosen)) if chosen else ("", today)
    if offer.tokens is not None:
        tokens = _token_line(offer.tokens, work, today)
        if tokens is None:
            return None
        low, likely, high = low + tokens.usd, likely + tokens.usd, high + tokens.usd
        lines.append(tokens)
        source = source or tokens.label
    # The highest is rounded up to one micro-dollar: what costs next to nothing is not free.
    most = max(to_micro(high), to_micro(MICRO)) if high else FREE
    return (
        Quote(to_micro(low), to_micro(likely), most, source, as_of, tuple(lines), offer.prices_partial)
        if lines
        else None
    )


def counted_cost(offer: Offer, tokens: Mapping[str, int]) -> MicroUsd | None:
    """Return what tokens cost that the provider counted; None without any, or where one sort has no known price."""
    if not tokens or any(count and sort not in offer.rates for sort, count in tokens.items()):
        return None
    return to_micro(sum((offer.rates[sort] * count / MILLION for sort, count in tokens.items() if count), Decimal(0)))


def _parts(offer: Offer) -> dict[str, list[Price]]:
    parts: dict[str, list[Price]] = {}
    for item in offer.prices:
        parts.setdefault(item.part or (item.unit if item.unit in TOKEN_UNITS else ""), []).append(item)
    return parts


def _token_line(name: str, work: Work, today: date) -> Line | None:
    tokens = [work.amounts.get(unit) for unit in TOKEN_UNITS]
    if tokens[0] is None or tokens[1] is None:
        return None
    usd = token_cost(name, int(tokens[0] * MILLION), int(tokens[1] * MILLION), today)
    return None if usd is None else Line("genai-prices", (tokens[0] + tokens[1]) * 1000, "thousand tokens", usd)


def _units(item: Price, work: Work) -> Decimal | None:
    """Return how many units are charged, or None for a unit that only the finished work can tell."""
    amount = work.amounts.get(item.unit)
    if amount is None:
        return None
    each = max(amount / work.count - item.beyond, Decimal(0))
    return work.count * (each.to_integral_value(rounding=ROUND_CEILING) if item.whole else each)


def _in_time(item: Price, today: date) -> bool:
    return (item.since is None or item.since <= today) and (item.until is None or today <= item.until)


def _holds(item: Price, facts: Mapping[str, JsonValue]) -> bool:
    return all(_meets(facts.get(name), wanted) for name, wanted in item.when.items())


def _meets(value: JsonValue, wanted: JsonValue) -> bool:
    if isinstance(wanted, list):
        return value in wanted
    if not isinstance(wanted, dict):
        return value == wanted
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    low, high = wanted.get("min"), wanted.get("max")
    above = not isinstance(low, int | float) or value >= low
    return above and (not isinstance(high, int | float) or value <= high)
