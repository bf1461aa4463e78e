"""Shares out more outputs than an offer makes at once among several submissions."""

from collections.abc import Mapping
from itertools import accumulate

from pydantic import JsonValue

from darkroom.catalog.providers import Offer
from darkroom.domain.request import SEEDS, Effective


def shares(offer: Offer, count: int, options: Mapping[str, JsonValue]) -> tuple[int, ...]:
    """Return how many outputs each submission makes, as few submissions as can be; none where it cannot be done."""
    limits = [option.count_max for name, option in offer.options.items() if option.count_max and options.get(name)]
    most = min((offer.count_max, *limits))
    possible = [one for one in offer.counts or range(1, most + 1) if one <= most]
    best: dict[int, tuple[int, ...]] = {0: ()}
    for total in range(1, count + 1):
        ways = [(one, *best[total - one]) for one in possible if total - one in best]
        if ways:
            best[total] = min(ways, key=lambda way: (len(way), [-one for one in way]))
    return best.get(count, ())


def parts_of(request: Effective, offer: Offer) -> tuple[Effective, ...]:
    """Return the request of each submission; a seed counts on, since the same one would make the same again."""
    counts = shares(offer, request.n, request.options)
    starts = accumulate(counts[:-1], initial=0)
    return tuple(
        request.model_copy(
            update={
                "n": count,
                "start": start,
                "seed": None if request.seed is None else (request.seed + start) % SEEDS,
            }
        )
        for start, count in zip(starts, counts, strict=True)
    )
