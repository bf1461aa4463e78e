"""Colours in the words of a task, and their places in a palette."""

import pytest

from darkroom.domain.colours import GROUND, NAMED, find_colours, hue, luminance, read_colours
from darkroom.domain.task_words import read_trade


@pytest.mark.parametrize(
    ("task", "colours"),
    [
        ("a brand kit for Nettle, a skincare brand, in #223344 and cream, tone: dry", "#223344, cream"),
        ("a bakery, colours: navy, gold and white", "navy, gold, white"),
        ("a navy and gold palette for a law office", "navy, gold"),
        ("use #fa3 and #001122 for a bakery", "#fa3, #001122"),
        ("colors are teal and coral", "teal, coral"),
        ("Luma, a dark chocolate brand", None),
        ("a black tea brand", None),
        ("a green energy company", None),
        ("Olive, a deli", None),
    ],
)
def test_colours_are_read_where_they_are_wanted(task: str, colours: str | None) -> None:
    assert read_colours(task) == colours


def test_colours_are_no_part_of_the_thing() -> None:
    text = "a brand kit for a skincare brand in #223344 and cream"
    assert [text[one.start : one.end] for one in find_colours(text)] == ["in #223344 and cream"]
    assert read_trade(text) == "skincare brand"


@pytest.mark.parametrize(
    ("colours", "found"),
    [
        ("#223344, cream", ("#F6EEDC", "#223344", None, None)),
        ("navy, gold, white", ("#FFFFFF", "#1B2A4A", "#C59B3A", None)),
        ("white, cream", ("#FFFFFF", None, None, "#F6EEDC")),
        ("#fa3, #001122, red", (None, "#FFAA33", "#001122", "#C0392B")),
        ("no colour", (None, None, None, None)),
        ("", (None, None, None, None)),
    ],
)
def test_each_colour_has_a_place_in_the_palette(colours: str, found: tuple[str | None, ...]) -> None:
    assert tuple(hue(colours, role) for role in ("ground", "main", "mark", "quiet")) == found
    assert hue(colours, "other") is None


def test_dark_text_can_be_read_on_every_ground() -> None:
    ink = luminance("#2B1D14")
    assert all((luminance(value) + 0.05) / (ink + 0.05) > 7 for value in NAMED.values() if luminance(value) >= GROUND)
