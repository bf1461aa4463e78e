"""What is wrong with a workflow of one's own is told in sentences: where, what is there, and what may be."""

import datetime
import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from darkroom.catalog.workflows import read_workflow
from darkroom.domain.workflow import Workflow
from darkroom.domain.workflow_faults import json_fault, shown
from darkroom.errors import InvalidRequest
from darkroom.server.views import error_text
from helpers_flow import image

AGENT: dict[str, Any] = {"id": "a", "kind": "agent", "agent": "copy", "task": "x"}
NAMES = "small letters, digits and _, the first a letter, up to 40 of them"
TEXTS = 'a list of texts: ["first", "second"]'
OBJECT = 'an object: {"name": ...}'
STEPS = 'a list of 1 to 100 steps: [{"id": "picture", "kind": "image", ...}]'
ROW = "a text; for match a list of texts"
VALUES = "a text, a number, true or false, or a list of texts"


def step(**fields: Any) -> dict[str, Any]:
    return {"steps": [image("a", **fields)]}


def agent(**fields: Any) -> dict[str, Any]:
    return {"steps": [{**AGENT, **fields}]}


def whole(**fields: Any) -> dict[str, Any]:
    return {"steps": [image("a")], **fields}


IMAGE_FIELDS = (
    "id, kind, title, about, model, provider, arguments, for_each, after, retries, max_cost, timeout_s, optional"
)
FAULTS: list[tuple[Any, str]] = [
    # the steps
    ({}, f"steps is missing. Allowed: {STEPS}."),
    ({"steps": []}, f"steps is empty. Allowed: {STEPS}."),
    ({"steps": {}}, f"steps is an empty object. Allowed: {STEPS}."),
    ({"steps": "x"}, f"steps is 'x'. Allowed: {STEPS}."),
    ({"steps": ["a"]}, f"steps[0] is 'a'. Allowed: {OBJECT}."),
    (
        {"step": [image("a")]},
        (
            "a workflow has no field 'step'. Did you mean 'steps'? Allowed: steps, name, title, about, "
            "aliases, makes, inputs, tables, output."
        ),
    ),
    # a step
    ({"steps": [image("a"), {"id": "b"}]}, "steps[1].kind is missing. Allowed: agent, skill, image, video, join."),
    ({"steps": [{}]}, f"steps[0].id is missing. Also wrong: steps[0].kind. Allowed: {NAMES}."),
    (step(id=5), f"steps[0].id is 5. Allowed: {NAMES}."),
    (step(id="A b"), f"steps[0].id is 'A b'. Allowed: {NAMES}."),
    (step(kind="picture"), "steps[0].kind is 'picture'. Allowed: agent, skill, image, video, join."),
    (step(kind="vidoe"), "steps[0].kind is 'vidoe'. Did you mean 'video'? Allowed: agent, skill, image, video, join."),
    (step(retries=9), "steps[0].retries is 9. Allowed: 0 to 3, a whole number."),
    (step(retries=1.5), "steps[0].retries is 1.5. Allowed: 0 to 3, a whole number."),
    (step(retries=None), "steps[0].retries is null. Allowed: 0 to 3, a whole number."),
    (step(max_cost="lots"), "steps[0].max_cost is 'lots'. Allowed: 0 to 1,000,000, in US dollars."),
    (step(max_cost=True), "steps[0].max_cost is true. Allowed: 0 to 1,000,000, in US dollars."),
    (step(timeout_s=1), "steps[0].timeout_s is 1. Allowed: 10 to 86,400, a whole number of seconds."),
    (step(optional="perhaps"), "steps[0].optional is 'perhaps'. Allowed: true or false."),
    (step(title="x" * 101), "steps[0].title has 101 letters. Allowed: up to 100."),
    (step(for_each=["a"]), "steps[0].for_each is a list. Allowed: a text."),
    (step(after="b"), f"steps[0].after is 'b'. Allowed: {TEXTS}."),
    (step(after=[1]), "steps[0].after[0] is 1. Allowed: a text."),
    (step(arguments=[]), f"steps[0].arguments is an empty list. Allowed: {OBJECT}."),
    (step(arguments={5: 1}), "steps[0].arguments has the name '5', which cannot be used. Allowed: a text."),
    (
        step(arguments={"prompt": datetime.date(2020, 1, 1)}),
        (
            "steps[0].arguments.prompt is a date, which is written as a "
            "text: '2020-01-01'. Allowed: a text, a number, true, false, null, a list or an object."
        ),
    ),
    # fields of other kinds, and of none
    (
        step(retry=1),
        (
            "steps[0]: an image step has no field 'retry'. Did you mean 'retries'? Allowed: retries, id, kind, "
            "title, about, model, provider, arguments, for_each, after, max_cost, timeout_s, optional."
        ),
    ),
    (
        step(prompt="a fox"),
        (
            "steps[0]: an image step has no field 'prompt'. It is an argument: write it in the arguments of "
            f"the step. Allowed: {IMAGE_FIELDS}."
        ),
    ),
    ({"steps": [{"id": "a", "kind": "join", "clps": 1}]}, "steps[0]: a join step has no field 'clps'."),
    (
        {"steps": [{"id": "a", "king": "image"}]},
        (
            "steps[0]: a step has no field 'king'. Did you mean 'kind'? Allowed: "
            "kind, id, title, about, agent, skill, task, "
        ),
    ),
    # what agents answer
    (
        agent(returns=[]),
        'steps[0].returns is an empty list. Allowed: an object: {"title": {}, "lines": {"type": "list"}}.',
    ),
    (agent(returns={"X": {}}), f"steps[0].returns has the name 'X', which cannot be used. Allowed: {NAMES}."),
    (
        agent(returns={"x": {"type": "texts"}}),
        ("steps[0].returns.x.type is 'texts'. Did you mean 'text'? Allowed: text, number, flag, list."),
    ),
    (
        agent(returns={"x": {"type": "list", "items": "texts"}}),
        ("steps[0].returns.x.items is 'texts'. Allowed: text, number, or an object of fields: {\"line\": {}}."),
    ),
    (
        agent(returns={"x": {"type": "list", "items": {"a": {"typ": 1}}}}),
        (
            "steps[0].returns.x.items.a: a field of an answer has no field 'typ'. Did you mean 'type'? "
            "Allowed: type, about, required, choices, items, least, most."
        ),
    ),
    (agent(share={"list": "x"}), f"steps[0].share.field is missing. Also wrong: steps[0].share.of. Allowed: {NAMES}."),
    (
        agent(share={"off": "1"}),
        "steps[0].share: a share has no field 'off'. Did you mean 'of'? Allowed: of, list, field.",
    ),
    # inputs, tables, output
    (whole(name="A b"), f"name is 'A b'. Allowed: {NAMES}."),
    (whole(inputs={"A b": {}}), f"inputs has the name 'A b', which cannot be used. Allowed: {NAMES}."),
    (whole(inputs={"a": "x"}), f"inputs.a is 'x'. Allowed: {OBJECT}."),
    (whole(inputs={"a": {"typ": "x"}}), "inputs.a: an input has no field 'typ'. Did you mean 'type'? Allowed: type, "),
    (
        whole(inputs={"a": {"type": "texts"}}),
        "inputs.a.type is 'texts'. Did you mean 'text'? Allowed: text, ",
    ),
    (whole(inputs={"a": {"default": {"x": 1}}}), f"inputs.a.default is an object. Allowed: {VALUES}."),
    (whole(inputs={"a": {"default": [1]}}), f"inputs.a.default is a list. Allowed: {VALUES}."),
    (whole(inputs={"default": {"default": [[]]}}), f"inputs.default.default is a list. Allowed: {VALUES}."),
    (whole(inputs={"a": {"least": "x", "choices": "a"}}), "inputs.a.choices is 'a'. Also wrong: inputs.a.least."),
    (whole(tables={"t": {"by": "x", "rows": []}}), "tables.t.rows is empty. Allowed: a list of at least one object."),
    (
        whole(tables={"t": {"by": "x", "row": [{"a": "b"}]}}),
        ("tables.t: a table has no field 'row'. Did you mean 'rows'? Allowed: rows, by."),
    ),
    (whole(tables={"t": {"by": "x", "rows": [{"match": 5}]}}), f"tables.t.rows[0].match is 5. Allowed: {ROW}."),
    (whole(output="x"), f"output is 'x'. Allowed: {OBJECT}."),
    (
        whole(output={"summaryy": 1}),
        "output: the output has no field 'summaryy'. Did you mean 'summary'? Allowed: summary, ",
    ),
    # several at once
    (
        {"steps": [image("a", retries=9), {}, {"id": 1}, {"id": "x"}]},
        (
            "steps[0].retries is 9. Also wrong: steps[1].id, "
            "steps[1].kind, steps[2].id and 2 more. Allowed: 0 to 3, a whole number."
        ),
    ),
    # too much of it
    ({"steps": [image("a")] * 10_000}, " has 10,000 steps. Allowed: 1 to 100."),
    (whole(about="x" * 1_001), "about has 1,001 letters. Allowed: up to 1,000."),
    (step(max_cost=float("nan")), " is nested too deeply, leads into itself, or holds a number that is none (NaN, "),
]
"""Workflows, and how the answer begins behind the name of the workflow."""


@pytest.mark.parametrize(("source", "said"), FAULTS, ids=[said[:60] for _, said in FAULTS])
def test_a_fault_is_told_with_its_place_and_what_may_be(source: Any, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_workflow(source, "mine")
    text = error_text(caught.value)
    assert text.removeprefix("mine").removeprefix(": ").startswith(said), text
    assert text.endswith("Nothing was started.")
    assert str(caught.value.field).startswith("workflow")
    assert not re.search(r"Input should|Tuple|String|valid|dictionary|Field required", text)


JSON: list[tuple[str, str]] = [
    ("{", "line 1, column 2: it ends here and is not complete"),
    ('{"steps": [', "line 1, column 12: it ends here and is not complete"),
    ('{"steps": [}', "line 1, column 12: a value is missing here, or a comma is too many"),
    ('{"name": "x",\n  steps: []}', "line 2, column 3: a name in double quotes is missing, or a comma is too many"),
    ('{"steps" []}', "line 1, column 10: a colon is missing behind a name"),
    ('{"a": 1\n "b": 2}', "line 2, column 2: a comma or a closing bracket is missing before this"),
    ('{"a": 1} x', "line 1, column 10: something stands behind the end of the object"),
    ('{"a": "x', "line 1, column 7: the text that begins here is not closed"),
    ('{"a": "x\ny"}', "line 1, column 9: a line break or tab stands in a text; write \\n or \\t for it"),
    (
        r'{"a": "\q"}',
        "line 1, column 8: a backslash in a text is followed by what cannot be; write \\\\ for a backslash",
    ),
    ('{"a": NaN}', "NaN is no number"),
    ('{"a": ' + "1" * 5_000 + "}", "a number in it has too many digits"),
    ("[" * 60_000, "it is nested too deeply"),
]


@pytest.mark.parametrize(("text", "said"), JSON, ids=[said for _, said in JSON])
def test_a_text_that_is_no_json_is_told_with_line_and_column(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_workflow(text, "mine")
    assert caught.value.message == f"mine is no JSON: {said}."
    assert caught.value.hint == "Nothing was started."


def test_what_a_json_reader_may_say_in_other_versions_is_passed_on() -> None:
    assert json_fault(json.JSONDecodeError("Something new", "{ }", 1)) == "line 1, column 2: Something new"


def test_a_place_is_written_as_in_a_template() -> None:
    assert shown(("steps", 2, "arguments", "images", 0)) == "steps[2].arguments.images[0]"
    assert shown(()) == ""


def test_what_the_words_say_of_numbers_is_what_the_models_take() -> None:
    bounds = {
        "retries": ("0", "3", -1, 4),
        "timeout_s": ("10", "86_400", 9, 86_401),
        "max_cost": ("0", "1e6", -1, "1e7"),
    }
    for name, (least, most, less, more) in bounds.items():
        for good in (least, most):
            assert Workflow.model_validate({"name": "x", **step(**{name: good.replace("_", "")})}).steps
        for bad in (less, more):
            with pytest.raises(ValidationError):
                Workflow.model_validate({"name": "x", **step(**{name: bad})})


def test_a_workflow_that_is_no_object_is_shown_what_one_is() -> None:
    with pytest.raises(InvalidRequest, match="mine must be an object with steps") as caught:
        read_workflow("[]", "mine")
    assert read_workflow(str(caught.value.allowed)).steps[0].id == "picture"
