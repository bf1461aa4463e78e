"""The rules of `strict`, where an offer takes them."""

import pytest

from darkroom.catalog.fit import fit
from darkroom.domain.rules import STRICT
from darkroom.errors import InvalidRequest
from helpers_catalog import image, make_offer


def test_strict_sends_the_rules_before_the_prompt_and_counts_them() -> None:
    made, warnings = fit(image(prompt="a cat", strict=True), make_offer())
    assert (made.prompt, made.rules, warnings) == ("a cat", STRICT, ())
    assert made.text == f"{STRICT}\n\na cat"
    assert fit(image(prompt="a cat"), make_offer())[0].text == "a cat"
    with pytest.raises(InvalidRequest, match="with the"):
        fit(image(prompt="a cat", strict=True), make_offer(prompt_max=len(STRICT) + 6))
    assert fit(image(prompt="a cat", strict=True), make_offer(prompt_max=len(STRICT) + 7))[0].rules == STRICT


def test_strict_changes_nothing_where_words_alone_are_drawn() -> None:
    made, warnings = fit(image(strict=True), make_offer(replayable=True))
    assert made.rules is None
    assert warnings == ("acme-1 adds nothing by itself; strict changes nothing here.",)
