"""What a run of a workflow took for granted, as data and in words."""

from typing import Any

from darkroom.domain.assumed import assumed, assumed_in, told
from darkroom.domain.workflow import Workflow
from helpers_flow import image

FLOW = Workflow.model_validate(
    {
        "name": "small",
        "inputs": {
            "product": {"reader": "subject"},
            "date": {"reader": "date"},
            "model": {},
            "style": {"default": "calm"},
            "seconds": {"type": "number", "default": 5},
        },
        "steps": [image("a")],
    }
)
INPUTS: dict[str, Any] = {"product": "lamp", "date": None, "model": None, "style": "calm", "seconds": 5}
SOURCES = {"product": "task", "date": "default", "model": "default", "style": "default", "seconds": "context"}


def test_what_nobody_said_is_told_as_data_and_in_words() -> None:
    assert assumed(INPUTS, SOURCES) == assumed_in({"inputs": INPUTS, "sources": SOURCES}) == {"style": "calm"}
    assert told(FLOW, INPUTS, SOURCES).splitlines() == [
        "Read from the task: product = lamp.",
        "Assumed, because nobody said: style = calm. Give in context what is to be otherwise.",
        "Left out, because nobody said: date. Say it in the task or in context.",
    ]


def test_where_everything_was_given_there_is_nothing_to_tell() -> None:
    assert told(FLOW, INPUTS, dict.fromkeys(INPUTS, "context")) == ""
    assert assumed_in({}) == assumed(INPUTS, {}) == {}
