"""Shares out more outputs than an offer makes at once among several submissions."""

from itertools import accumulate

from darkroom.catalog.providers import Offer
from darkroom.domain.request import SEEDS, Effective


def shares(offer: Offer, count: int) -> tuple[int, ...]:
    """Return how many outputs each submission makes, as few submissions as can be; none where it cannot be done."""
    possible = offer.counts or range(1, offer.count_max + 1)
    best: dict[int, tuple[int, ...]] = {0: ()}
    for total in range(1, count + 1):
        ways = [(one, *best[total - one]) for one in possible if total - one in best]
        if ways:
            best[total] = min(ways, key=lambda way: (len(way), [-one for one in way]))
    return best.get(count, ())


def parts_of(request: Effective, offer: Offer) -> tuple[Effective, ...]:
    """Return the request of each submission; a seed counts on, since the same one would make the same again."""
    counts = shares(offer, request.n)
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
