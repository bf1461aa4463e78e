"""What a request costs at an offer: pure functions over the manifests' prices."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pydantic import JsonValue

from darkroom.catalog.providers import Offer, Price
from darkroom.domain.money import MicroUsd, to_micro
from darkroom.domain.request import Effective, Size


@dataclass(frozen=True, slots=True)
class Quote:
    """The cost of one request at one offer."""

    micro_usd: MicroUsd
    source: str
    as_of: date

    @property
    def free(self) -> bool:
        """Whether nothing is charged."""
        return self.micro_usd == 0


def _facts(request: Effective) -> dict[str, JsonValue]:
    return {
        **request.options,
        "size": str(Size(request.width, request.height)),
        "resolution": request.resolution,
        "quality": request.quality,
        "audio": request.audio,
        "mode": request.mode,
    }


def _units(price: Price, request: Effective) -> Decimal | None:
    """Return how many units the request uses, or None for a unit that only the finished work can tell."""
    count = Decimal(request.n)
    match price.unit:
        case "image" | "request":
            return count
        case "second":
            return count * Decimal(str(request.duration)) if request.duration is not None else None
        case "minute":
            return count * Decimal(str(request.duration)) / 60 if request.duration is not None else None
        case "megapixel":
            return count * Decimal(request.width * request.height) / 1_000_000
        case _:
            return None


def _holds(price: Price, facts: Mapping[str, JsonValue], today: date) -> bool:
    in_time = (price.since is None or price.since <= today) and (price.until is None or today <= price.until)
    return in_time and all(facts.get(name) == value for name, value in price.when.items())


def quote(offer: Offer, request: Effective, today: date) -> Quote | None:
    """Return the cost by the first price whose conditions hold today, or None when no price is known."""
    facts = _facts(request)
    for price in offer.prices:
        units = _units(price, request)
        if units is not None and _holds(price, facts, today):
            return Quote(to_micro(price.usd * units), price.source, price.as_of)
    return None
