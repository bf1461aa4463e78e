"""What of a task no input holds."""

import pytest

from darkroom.domain.unread import MOST, left_out, other_number, unread
from darkroom.domain.workflow import Workflow
from helpers_flow import image

READERS = ("subject", "name", "audience", "duration", "price", "date", "rules", "style")
FLOW = Workflow.model_validate(
    {"name": "small", "inputs": {name: {"reader": name} for name in READERS} | {"free": {}}, "steps": [image("a")]}
)
BARE = Workflow.model_validate({"name": "bare", "inputs": {"product": {"reader": "subject"}}, "steps": [image("a")]})


@pytest.mark.parametrize(
    ("task", "pieces"),
    [
        ("plan and draft a 15 s product video for blue running shoes", []),
        ("Launch Lumen, a reading lamp for night readers, on 2027-02-01, no discounts, max $2", []),
        ("a sad film of our $89 chair", []),
        ("a poster for a red bicycle", []),
        (
            "a film of our mug, show the handle breaking, with a jazz soundtrack",
            ["show the handle breaking", "with a jazz soundtrack"],
        ),
        ("I run a bike shop called Spoke & Wheel in Leeds", ["in Leeds"]),
        ("a brand kit for Lumen, a sleep app. Our competitor is Calm.", ["Our competitor is Calm"]),
        ("Ein Film über unsere Lampe mit Musik", []),
    ],
)
def test_pieces_that_no_reader_has_read_are_named(task: str, pieces: list[str]) -> None:
    assert unread(FLOW, task) == pieces


def test_what_the_workflow_does_not_ask_for_is_unread() -> None:
    assert unread(BARE, "a film of our $9,000 car, no people") == ["a film of our $9,000", "no people"]


def test_long_and_many_pieces_are_shortened() -> None:
    found = unread(BARE, "a film of a mug. " + ". ".join(f"with sparkling idea {'x' * at}" for at in range(90, 100)))
    assert len(found) == MOST
    assert all(len(piece) <= 82 for piece in found)


def test_what_is_in_no_draft_is_said_in_a_sentence() -> None:
    assert left_out(BARE, "a film of a mug, no people, no dogs") == "Not in these drafts: 'no people', 'no dogs'."
    assert left_out(BARE, "a film of a mug") == ""


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("two logos for a bakery", "two logos"),
        ("a kit with 5 simple round logos", "5 simple round logos"),
        ("one logo", "one logo"),
        ("three logos", None),
        ("2 s for logos", None),
        ("4 days of logos", None),
        ("a logo", None),
    ],
)
def test_another_number_than_planned_is_noticed(task: str, words: str | None) -> None:
    assert other_number(task, "logos", 3) == words
