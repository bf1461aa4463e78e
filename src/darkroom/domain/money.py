"""Money: Decimal dollars for reckoning, integer micro-dollars for keeping, never a float."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import NewType

from darkroom.errors import InvalidRequest

MicroUsd = NewType("MicroUsd", int)
"""Millionths of a US dollar."""

FREE = MicroUsd(0)
LIMIT = Decimal(1_000_000)
MICRO = Decimal("0.000001")


def to_micro(usd: Decimal) -> MicroUsd:
    """Return dollars as micro-dollars, rounded half-up, once, at the last one."""
    return MicroUsd(int(usd.quantize(MICRO, rounding=ROUND_HALF_UP).scaleb(6)))


def to_usd(micro: int) -> Decimal:
    """Return micro-dollars as exact dollars."""
    return Decimal(micro) / 1_000_000


@dataclass(frozen=True, slots=True)
class Margin:
    """What is left of a price after its cost; exact."""

    cost: Decimal
    price: Decimal

    @property
    def usd(self) -> Decimal:
        """Price minus cost."""
        return self.price - self.cost

    @property
    def percent(self) -> Decimal | None:
        """The margin in percent of the price; None where the price is nothing."""
        return self.usd * 100 / self.price if self.price else None


def credits_for(cost: Decimal, multiplier: Decimal, *, per_usd: Decimal = Decimal(100), minimum: int = 1) -> int:
    """Return the credits of one output that costs so many dollars: half-up, and nothing only where it is free."""
    if cost == 0:
        return 0
    return max(minimum, int((cost * per_usd * multiplier).to_integral_value(rounding=ROUND_HALF_UP)))


def client_price(cost: Decimal, markup_percent: Decimal, minimum: Decimal) -> Decimal:
    """Return what to ask of a client: the cost with its markup, and no less than the minimum."""
    return max(cost * (100 + markup_percent) / 100, minimum)


def rounded(value: Decimal, places: int) -> Decimal:
    """Return a number half-up with so many places; for showing only."""
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)


def parse_usd(value: object, field: str) -> MicroUsd:
    """Read an amount that a caller gave, in dollars from 0 to 1,000,000.

    Raises:
        InvalidRequest: If it is no finite number or out of range.
    """
    try:
        amount = Decimal(str(value).strip().removeprefix("$"))
    except InvalidOperation:
        amount = Decimal("nan")
    if isinstance(value, bool) or not amount.is_finite() or not 0 <= amount <= LIMIT:
        raise InvalidRequest(
            f"{field} must be an amount in US dollars.",
            field=field,
            allowed="0 (free offers only) to 1000000",
            hint="Nothing was stored. Give a number such as 0.25.",
        )
    return to_micro(amount)


def show_usd(micro: int, *, exact: bool = False) -> str:
    """Return the amount for a person: `$0.04`, `-$0.04`, with all digits where it is small or `exact`."""
    usd, sign = to_usd(abs(micro)), "-" if micro < 0 else ""
    cents = usd.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
    return f"{sign}${cents:,}" if usd == cents or (usd >= 1 and not exact) else f"{sign}${usd.normalize():,f}"


def json_usd(micro: int) -> int | float:
    """Return the amount as the JSON number that prints its micro-dollars; for views only, never to reckon with."""
    usd = to_usd(micro)
    return int(usd) if usd == usd.to_integral_value() else float(usd)
