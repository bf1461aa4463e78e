"""Workflows: what may be written, what is refused and how, and the view of a run."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkroom.catalog.workflows import read_workflow
from darkroom.domain.shapes import ANY, text_shape
from darkroom.domain.workflow import StepState, Unit, Work, Workflow, overview, state_of
from darkroom.domain.workflow_check import Need, check, lists_of, needs, sorted_steps
from darkroom.errors import InvalidRequest
from helpers_flow import CLIPS, FILM, FRAMES, INPUTS, SCRIPT, flow, image

ASK: dict[str, Any] = {"id": "ask", "kind": "agent", "agent": "copy", "task": "x"}
SKILL: dict[str, Any] = {"id": "skill", "kind": "skill", "skill": "x", "task": "x"}
EACH = "{steps.script.beats}"


def test_steps_are_put_in_an_order_in_which_they_can_be_done() -> None:
    whole = flow(FILM, CLIPS, FRAMES, SCRIPT)
    assert check(whole) == sorted_steps(whole) == ["script", "frames", "clips", "film"]
    assert needs(whole.step("clips"), whole) == [Need("script"), Need("frames", same=True)]
    assert lists_of(whole.step("clips")) == ["script"]
    assert whole.step("film").seconds == 1_800
    assert whole.step("film").called == "film"


def test_items_of_another_list_are_awaited_whole() -> None:
    other = {**CLIPS, "for_each": "{steps.frames}"}
    whole = flow(SCRIPT, FRAMES, {**other, "arguments": {"prompt": "{steps.frames[index].output}"}})
    assert needs(whole.step("clips"), whole) == [Need("frames")]


WRONG: list[tuple[list[dict[str, Any]], str | None]] = [
    ([image("a"), image("a")], "Two steps are called 'a'."),
    ([image("a", after=["b"]), image("b", after=["a"])], "Steps wait for each other: "),
    ([image("a", arguments={"prompt": "{steps.a.output}"})], "wait for each other: a -> a"),
    ([SCRIPT, {**FRAMES, "for_each": "{steps.scripts.beats}"}], "needs the step 'scripts'.*mean 'script'"),
    ([image("a", after=["bb"])], "needs the step 'bb', which there is not"),
    ([SCRIPT, {**FRAMES, "for_each": "{steps.script.beat}"}], r"frames.for_each: .*no field 'beat'.*mean 'beats'"),
    ([SCRIPT, {**FRAMES, "for_each": "{steps.script.title}"}], "not a list"),
    ([SCRIPT, {**FRAMES, "arguments": {"prompt": "{item.pictures}"}}], "arguments.prompt: .*Did you mean 'picture'"),
    ([image("a", arguments={"prompt": "{inputs.products}"})], "there is no input 'products'. Did you mean 'product'"),
    ([image("a", arguments={"prompt": "{input.product}"})], "nothing is called 'input'. Did you mean 'inputs'"),
    ([image("a", arguments={"prompt": "{item.x}"})], "outside of a for_each, where there is no item"),
    ([SCRIPT, image("a", arguments={"prompt": "{steps.script.beats[index].picture}"})], "outside of a for_each"),
    ([image("a", arguments={"prompt": "{inputs.product.name}"})], "is a text and has no fields"),
    ([image("a", arguments={"prompt": "{inputs.product[0]}"})], "takes an entry of what is a text"),
    ([image("a", arguments={"prompt": "{inputs.product * 2}"})], r"'\*' takes numbers, not a text"),
    ([image("a", arguments={"prompt": "{inputs.product | table}"})], "takes a list, not a text"),
    ([SCRIPT, image("a", arguments={"prompt": "{steps.script.beats | title}"})], "takes a text, not a list"),
    ([image("a", arguments={"prompt": "{steps}"})], None),
    ([image("a", arguments={"prompt": "{nope"})], r"steps.a.arguments.prompt: A brace is not closed"),
    ([image("a", arguments={"prompts": "x"})], "'prompts', which image steps do not take. Did you mean 'prompt'"),
    ([image("a", arguments={})], "has no argument 'prompt'"),
    ([{"id": "f", "kind": "join", "arguments": {}}], "has no argument 'clips'"),
    ([{"id": "v", "kind": "video", "arguments": {"scenes": [{"prompt": "a"}]}}], None),
    ([{**ASK, "agent": None}], "is of kind agent and has no agent"),
    ([{**SKILL, "task": ""}], "is of kind skill and has no task"),
    ([{**SKILL, "draft": {"text": "x"}}], "is of kind skill, which has no draft"),
    ([image("a", agent="copy")], "is of kind image, which has no agent"),
    ([{**ASK, "draft": {"txt": "x"}}], "has 'txt', which it does not return. Did you mean 'text'"),
    ([{**SCRIPT, "draft": {"title": "x"}}], "lacks 'beats'"),
    ([{**SCRIPT, "draft": {"title": "{inputs.no}", "beats": []}}], "script.draft.title"),
    ([{**SCRIPT, "draft": {"title": 1, "beats": {"each": "{inputs.product}", "make": {}}}}], "not a list"),
    (
        [SCRIPT, {**SCRIPT, "id": "b", "draft": {"title": "", "beats": {"each": EACH, "make": {"a": "{item.x}"}}}}],
        "steps.b.draft.beats.make.a: .*item has no field 'x'",
    ),
    ([{**SCRIPT, "share": {"list": "beats", "field": "picture", "of": "1"}}], "which is no number of a list"),
    ([{**SCRIPT, "share": {"list": "bets", "field": "seconds", "of": "1"}}], "which is no number of a list"),
    ([{**SCRIPT, "share": {"list": "beats", "field": "seconds", "of": "{inputs.sec}"}}], "share.of"),
]
"""Steps, and the words with which they are refused; None: they are not."""


@pytest.mark.parametrize(("steps", "words"), WRONG)
def test_what_cannot_be_is_refused_with_its_place_before_anything_runs(
    steps: list[dict[str, Any]], words: str | None
) -> None:
    if words is None:
        assert flow(*steps).steps
        return
    with pytest.raises(InvalidRequest) as caught:
        flow(*steps)
    assert re.search(words, caught.value.message), caught.value.message
    assert caught.value.field is not None
    assert caught.value.field.startswith("workflow.")
    assert str(caught.value.hint).startswith("Nothing was started.")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"tables": {"t": {"by": "{task.x}", "rows": [{"x": "1"}]}}},
            "tables.t.by: {task.x}: task is a text and has no f",
        ),
        (
            {"tables": {"t": {"by": "{task}", "rows": [{"x": "1"}, {"match": "fox", "x": "2"}]}}},
            r"tables.t.rows\[1\].match is a text",
        ),
        ({"tables": {"t": {"by": "x", "rows": [{"match": ["fox"], "x": ["2"]}]}}}, r"tables.t.rows\[0\].x is a list"),
        ({"output": {"summary": "{steps.b}"}}, "output.summary: .*there is no step 'b'"),
        ({"tables": {"t": {"by": "{steps.a}", "rows": [{"x": "1"}]}}}, "tables.t.by"),
    ],
)
def test_templates_of_the_whole_are_checked_too(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        flow(image("a"), **fields)


def test_what_is_no_list_is_refused_with_the_lists_that_there_are() -> None:
    inputs = {"shots": {"type": "list"}, "style": {}}
    with pytest.raises(InvalidRequest) as caught:
        flow(SCRIPT, FRAMES, image("p", for_each="{inputs.style}"), inputs={**INPUTS, **inputs})
    assert caught.value.message == "steps.p.for_each: '{inputs.style}' is a text, not a list."
    assert caught.value.allowed == ["{inputs.shots}", "{steps.frames}", "{steps.script.beats}"]
    assert "inputs of type list" in str(caught.value.hint)


def test_a_field_with_items_is_a_list() -> None:
    returns: dict[str, Any] = {"beats": {"type": "list", "items": {"line": {"items": "number"}}}}
    with pytest.raises(InvalidRequest) as caught:
        flow({**ASK, "returns": returns})
    assert caught.value.message == "steps.ask.returns.beats.items.line has items, and its type is text."
    assert (caught.value.allowed, caught.value.field) == ("list", "workflow.steps.ask.returns.beats.items.line.type")


def test_what_a_list_of_anything_holds_is_not_asked() -> None:
    scope = {"x": ANY}
    assert text_shape("{x.y[0].z | table}", scope).kind == "text"
    assert text_shape("{x[0] + 1}", scope).kind == "number"
    assert text_shape("{x == 'a'}", scope).kind == "flag"
    assert text_shape("{1 + 1}", scope).kind == "number"
    assert text_shape("{x | count}", scope).kind == "number"
    with pytest.raises(InvalidRequest, match="takes numbers, not a text"):
        text_shape("{'a' + 1}", scope)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=30))
def test_a_cycle_is_found_exactly_where_there_is_one(edges: list[tuple[int, int]]) -> None:
    after = {number: [f"s{b}" for a, b in edges if a == number] for number in range(12)}
    steps = [{**image(f"s{number}"), "after": after[number]} for number in range(12)]
    reach = {number: {b for a, b in edges if a == number} for number in range(12)}
    for _ in range(12):
        reach = {a: ends | {c for b in ends for c in reach[b]} for a, ends in reach.items()}
    if any(number in ends for number, ends in reach.items()):
        with pytest.raises(InvalidRequest, match="wait for each other"):
            read_workflow({"steps": steps})
    else:
        order = [int(name[1:]) for name in check(read_workflow({"steps": steps}))]
        assert all(order.index(b) < order.index(a) for a, b in edges)


def _unit(state: str, job: str, **fields: Any) -> Unit:
    return Unit(state=StepState(state), job_id=job, started_at=2000, **fields)


def test_a_run_is_seen_as_one_row_a_step() -> None:
    work = Work(
        workflow=flow(),
        inputs={"product": "x", "seconds": 6},
        lists={"frames": 2, "clips": 2},
        steps={
            "script": Unit(state=StepState.SUCCEEDED, output={}, started_at=1000, ended_at=1500, message="A draft."),
            "frames[0]": _unit("succeeded", "job_1", ended_at=3000, output={"outputs": ["out_1"]}),
            "frames[1]": _unit("failed", "job_2", ended_at=5000, earlier=("job_0",), error={"code": "x"}),
            "clips[0]": _unit("running", "job_3", message="Job job_3 is running."),
        },
    )
    assert overview(work.dump()) == [
        {
            "step": "script",
            "kind": "agent",
            "title": "script",
            "status": "succeeded",
            "message": "A draft.",
            "took": 0.5,
        },
        {
            "step": "frames",
            "kind": "image",
            "title": "frames",
            "status": "failed",
            "message": "1 of 2 frames",
            "done": 2,
            "of": 2,
            "jobs": ["job_1", "job_0", "job_2"],
            "outputs": ["out_1"],
            "error": {"code": "x"},
            "took": 3.0,
        },
        {
            "step": "clips",
            "kind": "video",
            "title": "clips",
            "status": "running",
            "message": "0 of 2 clips",
            "done": 0,
            "of": 2,
            "jobs": ["job_3"],
        },
        {"step": "film", "kind": "join", "title": "film", "status": "queued"},
    ]


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ("", "succeeded"),
        ("queued", "queued"),
        ("queued succeeded", "running"),
        ("succeeded running", "running"),
        ("succeeded failed skipped", "failed"),
        ("succeeded cancelled", "cancelled"),
        ("skipped", "skipped"),
        ("succeeded", "succeeded"),
    ],
)
def test_a_step_stands_as_its_items_do(states: str, state: str) -> None:
    assert state_of([Unit(state=StepState(name)) for name in states.split()]).value == state


def test_an_unknown_step_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        flow().step("nothing")
    assert Workflow.model_validate(flow().model_dump()) == flow()
    assert set(INPUTS) == set(flow().inputs)
