"""What a provider counted, by the offer's rates; and what goes into a request as far as it is counted before."""

from typing import Any

import pytest

from darkroom.catalog.prices import counted_cost, work_of
from darkroom.catalog.providers import Unit
from darkroom.domain.request import Earlier, MediaInput
from helpers_catalog import effective, make_offer

RATES = {"text_in": "0.5", "image_out": "30"}


@pytest.mark.parametrize(
    ("tokens", "micro"),
    [
        ({"image_out": 1290}, 38_700),
        ({"text_in": 1000, "image_out": 1290}, 39_200),
        ({"text_in": 1}, 1),
        ({"text_in": 1000, "image_out": 0}, 500),
        ({"text_in": 0}, 0),
        ({"image_out": 1290, "thoughts": 0}, 38_700),
        ({"image_out": 1290, "thoughts": 1}, None),
        ({}, None),
    ],
)
def test_tokens_cost_what_the_rates_say_and_an_unknown_sort_makes_the_whole_unknown(
    tokens: dict[str, int], micro: int | None
) -> None:
    assert counted_cost(make_offer(rates=RATES), tokens) == micro


def test_an_offer_without_rates_prices_nothing() -> None:
    assert counted_cost(make_offer(), {"text_in": 5}) is None


def shown(role: str, **fields: Any) -> MediaInput:
    return MediaInput.model_validate({"src": "input:ab", "role": role, "width": 1000, "height": 1000, **fields})


def test_pictures_of_earlier_turns_are_counted_and_clips_are_not() -> None:
    follows = Earlier(job_id="job_1", submission=0, offer="acme/acme-1", pictures=3)
    work = work_of(effective(n=2, inputs=(shown("reference"),), follows=follows))
    assert work.amounts[Unit.INPUT_IMAGE] == 8
    clips = (shown("video", width=None, duration=8), shown("clip", duration=8), shown("reference"))
    work = work_of(effective(inputs=clips))
    assert (work.amounts[Unit.INPUT_IMAGE], work.amounts[Unit.INPUT_MEGAPIXEL]) == (1, 1)
