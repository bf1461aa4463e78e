"""More outputs than an offer makes at once, shared out among as few submissions as can be."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.catalog.fit import fit
from darkroom.catalog.parts import parts_of, shares
from darkroom.catalog.providers import Providers
from darkroom.domain.request import SEEDS
from darkroom.errors import InvalidRequest
from helpers_catalog import effective, image, make_offer


@pytest.mark.parametrize(
    ("offer", "count", "made"),
    [
        ({"count_max": 4}, 1, (1,)),
        ({"count_max": 4}, 4, (4,)),
        ({"count_max": 4}, 9, (4, 4, 1)),
        ({"count_max": 1}, 3, (1, 1, 1)),
        ({"count_max": 4, "counts": [1, 4]}, 6, (4, 1, 1)),
        ({"count_max": 4, "counts": [3, 4]}, 6, (3, 3)),
        ({"count_max": 4, "counts": [3, 4]}, 10, (4, 3, 3)),
        ({"count_max": 4, "counts": [3, 4]}, 5, ()),
        ({"count_max": 4, "counts": [2, 4]}, 7, ()),
    ],
)
def test_each_submission_makes_what_the_offer_can(offer: dict[str, Any], count: int, made: tuple[int, ...]) -> None:
    assert shares(make_offer(**offer), count, {}) == made


@given(counts=st.lists(st.integers(1, 10), max_size=4, unique=True), most=st.integers(1, 10), count=st.integers(1, 10))
def test_shares_are_possible_counts_that_add_up(counts: list[int], most: int, count: int) -> None:
    offer = make_offer(count_max=max(counts, default=most), counts=sorted(counts))
    made = shares(offer, count, {})
    assert sum(made) in (0, count)
    assert set(made) <= set(counts or range(1, offer.count_max + 1))
    assert list(made) == sorted(made, reverse=True)
    assert made or counts, "without gaps everything can be made"


def test_numbers_and_seeds_count_on() -> None:
    request = effective(n=6, seed=7)
    parts = parts_of(request, make_offer(count_max=4))
    assert [(part.n, part.start, part.seed) for part in parts] == [(4, 0, 7), (2, 4, 11)]
    rest = {"n", "start", "seed"}
    assert [part.model_dump(exclude=rest) for part in parts] == [request.model_dump(exclude=rest)] * 2


def test_seeds_begin_anew_after_the_last_and_none_stays_none() -> None:
    offer = make_offer(count_max=1)
    assert [part.seed for part in parts_of(effective(n=3, seed=SEEDS - 2), offer)] == [SEEDS - 2, SEEDS - 1, 0]
    assert [part.seed for part in parts_of(effective(n=2), offer)] == [None, None]


def test_one_submission_is_the_request_itself() -> None:
    request = effective(n=3, seed=5)
    assert parts_of(request, make_offer(count_max=4)) == (request,)


def test_what_an_option_makes_one_at_a_time_is_shared_out_too() -> None:
    offer = make_offer(options={"alone": {"type": "boolean", "count_max": 1}})
    for options, counts in (({"alone": True}, [1, 1, 1]), ({"alone": False}, [3]), ({}, [3])):
        request, _ = fit(image(n=3, options=options), offer)
        assert [part.n for part in parts_of(request, offer)] == counts


def test_openai_makes_pollable_pictures_one_by_one() -> None:
    offer = Providers()["openai"].offer("gpt-image-2")
    assert offer is not None
    request, _ = fit(image(n=2, options={"pollable": True}), offer)
    assert [part.n for part in parts_of(request, offer)] == [1, 1]


def test_counts_that_an_option_does_not_leave_are_refused() -> None:
    offer = make_offer(counts=[2, 4], options={"alone": {"type": "boolean", "count_max": 1}})
    with pytest.raises(InvalidRequest, match="cannot make 2"):
        fit(image(n=2, options={"alone": True}), offer)
