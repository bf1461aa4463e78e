"""Inputs that are lists, and inputs that cannot be."""

import re
from typing import Any

import pytest
from pydantic import JsonValue

from darkroom.domain.workflow import Input
from darkroom.domain.workflow_inputs import listed
from darkroom.errors import InvalidRequest
from darkroom.server.views import error_text
from helpers_flow import flow, image


def _list(**fields: Any) -> Input:
    return Input.model_validate({"type": "list", **fields})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a tram", " a sill "], ["a tram", "a sill"]),
        (["a", "", 3], ["a", "3"]),
        ("a tram\n- a sill\n\n* the river", ["a tram", "a sill", "the river"]),
        ([], []),
    ],
)
def test_a_list_is_read_entry_by_entry_and_a_text_line_by_line(value: JsonValue, expected: list[str]) -> None:
    assert listed("shots", _list(), value) == expected


@pytest.mark.parametrize(
    ("fields", "value", "said"),
    [
        ({}, 5, 'shots is \'5\'. Allowed: a list of texts: ["first", "second"]. Nothing was started.'),
        ({}, {"a": 1}, "shots is '1'. Allowed: a list of texts"),
        ({}, ["a", ["b"]], "shots[1] is 'b', and no text. Allowed: a list of texts"),
        ({"least": 2}, ["a"], "shots has 1 entry. Allowed: 2 to 60."),
        ({"most": 2}, ["a", "b", "c"], "shots has 3 entries. Allowed: 0 to 2."),
        ({}, ["a"] * 61, "shots has 61 entries. Allowed: 0 to 60."),
        (
            {"choices": ["warm", "cold"]},
            ["warm", "cald"],
            "shots[1] is 'cald'. Did you mean 'cold'? Allowed: warm, cold.",
        ),
        ({}, ["a", "y" * 2_001], "shots[1] has 2,001 letters. Allowed: up to 2,000."),
    ],
)
def test_a_list_that_cannot_be_is_refused(fields: dict[str, Any], value: JsonValue, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        listed("shots", _list(**fields), value)
    assert error_text(caught.value).startswith(said)
    assert str(caught.value.field).startswith("context.shots")


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"type": "number", "default": "x"}, "its type is number, and its default 'x'. Allowed: a number."),
        ({"type": "flag", "default": 1}, "its type is flag, and its default 1.0. Allowed: true or false."),
        ({"default": True}, "its type is text, and its default true. Allowed: a text."),
        ({"default": ["a"]}, "its type is text, and its default a list of 1. Allowed: a text."),
        ({"type": "list", "default": "a"}, "its type is list, and its default 'a'. Allowed: a list of texts"),
        ({"type": "list", "reader": "subject"}, "a list is not read from the words of a task, so it has no reader."),
        ({"type": "list", "most": 61}, "most is 61. Allowed: 1 to 60."),
        ({"type": "number", "least": 5, "most": 1}, "least is 5 and most is 1, which leaves nothing."),
        ({"choices": ["warm"], "default": "wam"}, "its default 'wam' is none of its choices. Did you mean 'warm'?"),
        ({"type": "list", "choices": ["a"], "default": ["a", "b"]}, "its default 'b' is none of its choices."),
        ({"type": "number", "default": 5, "most": 3}, "its default is 5. Allowed: up to 3."),
        ({"type": "number", "default": 1, "least": 2, "most": 3}, "its default is 1. Allowed: from 2 up to 3."),
        ({"type": "list", "default": ["a"], "least": 2}, "its default has 1 entry. Allowed: from 2."),
        ({"default": "long", "most": 3}, "its default has 4 letters. Allowed: up to 3."),
    ],
)
def test_an_input_that_cannot_be_is_refused_with_the_workflow(item: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        flow(image("a"), inputs={"x": item})
    assert error_text(caught.value).startswith(f"inputs.x: {said}")
    assert str(caught.value.field).startswith("workflow.inputs.x")
    assert str(caught.value.hint).startswith("Nothing was started.")


@pytest.mark.parametrize(
    ("item", "usual"),
    [
        ({}, None),
        ({"default": "x", "most": 1}, "x"),
        ({"type": "number", "default": 2, "least": 2, "most": 2}, 2),
        ({"type": "number", "default": 2.5}, 2.5),
        ({"type": "flag", "default": False}, False),
        ({"type": "list"}, []),
        ({"type": "list", "default": ["a", "b"], "choices": ["a", "b"], "least": 1}, ["a", "b"]),
    ],
)
def test_what_is_usual_is_said_as_json_would_say_it(item: dict[str, Any], usual: JsonValue) -> None:
    found = flow(image("a"), inputs={"x": item}).inputs["x"].usual
    assert found == usual
    assert re.sub(r"^1|2\.0$", "", repr(found)) == repr(usual)
