"""Workflows as callers meet them: names, inputs, given results, plans."""

from typing import Any

import pytest

from darkroom.catalog.workflows import workflows
from darkroom.domain.workflow import Work
from darkroom.errors import InvalidRequest, NotConfigured
from darkroom.services.workflows import WorkflowLibrary
from helpers_flow import CLIPS, FILM, FRAMES, INPUTS, OUTPUT, SCRIPT, image
from helpers_knowledge import agent_catalogue, skill_library

SMALL: dict[str, Any] = {"name": "small", "inputs": INPUTS, "steps": [SCRIPT, FRAMES, CLIPS, FILM], "output": OUTPUT}
ASK: dict[str, Any] = {"id": "ask", "kind": "agent", "agent": "copy", "task": "x"}


@pytest.fixture
def library() -> WorkflowLibrary:
    return WorkflowLibrary(workflows, agent_catalogue(), skill_library())


def test_a_workflow_is_found_by_name_title_or_alias(library: WorkflowLibrary) -> None:
    assert [flow.name for flow in library.select()] == sorted(flow.name for flow in library.select())
    for name in ("product_video", "Product Video", "commercial"):
        assert library.find(name).name == "product_video"
    assert library.read("brand kit").name == "brand_kit"
    with pytest.raises(InvalidRequest, match=r"no workflow 'product_vidio'. Did you mean 'product_video'") as caught:
        library.find("product_vidio")
    assert caught.value.allowed == [flow.name for flow in library.select()]


def test_a_workflow_of_the_callers_is_checked_whole(library: WorkflowLibrary) -> None:
    assert library.read(SMALL).name == "small"
    for step, words in (
        ({**ASK, "agent": "copi"}, "Step 'ask': There is no agent 'copi'. Did you mean 'copy'"),
        (
            {"id": "s", "kind": "skill", "skill": "storybording", "task": "x"},
            "Step 's': There is no skill 'storybording'",
        ),
    ):
        with pytest.raises(InvalidRequest, match=words):
            library.read({"steps": [step]})
    with pytest.raises(InvalidRequest, match=r"Input 'x' has a reader 'subjct'. Did you mean 'subject'"):
        library.read({"inputs": {"x": {"reader": "subjct"}}, "steps": [image("a")]})


def test_what_stands_behind_a_filter_is_checked_too(library: WorkflowLibrary) -> None:
    step = {**image("a"), "arguments": {"prompt": "{inputs.name | or inputs.productt}"}}
    with pytest.raises(
        InvalidRequest, match=r"inputs has no field 'productt'|no input 'productt'. Did you mean 'product'"
    ):
        library.read({"inputs": {"name": {}, "product": {}}, "steps": [step]})


def test_inputs_are_read_from_context_then_task_then_default(library: WorkflowLibrary) -> None:
    flow = library.read(SMALL)
    begun = library.begin(flow, "a 10 s film of red shoes", {"product": "green shoes"}, thinks=False)
    assert begun.work["inputs"] == {"product": "green shoes", "seconds": 10}
    assert begun.sources == {"product": "context", "seconds": "task"}
    assert begun.work["task"] == "a 10 s film of red shoes"
    assert library.begin(flow, "a film of red shoes", {}, thinks=True).work["inputs"]["seconds"] == 6
    with pytest.raises(InvalidRequest, match=r"The task does not say product\.") as caught:
        library.begin(flow, "a film", {}, thinks=False)
    assert caught.value.field == "context.product"
    assert "Say it in the task" in str(caught.value.hint)
    unread = library.read({**SMALL, "inputs": {**INPUTS, "product": {"required": True}}})
    with pytest.raises(InvalidRequest, match=r"The task does not say product\.") as caught:
        library.begin(unread, "a film of red shoes", {}, thinks=False)
    assert caught.value.hint == "Nothing was started. Give context={'product': ...}."
    with pytest.raises(InvalidRequest, match="seconds is '75'"):
        library.begin(flow, "a 75 s film of red shoes", {}, thinks=False)


def test_results_of_steps_can_be_given(library: WorkflowLibrary) -> None:
    flow = library.find("product_video")
    context: dict[str, Any] = {
        "product": "a mug",
        "scenes": ["A mug smokes", "A hand takes it"],
        "keyframes": ["out_1"],
    }
    begun = library.begin(flow, "x", context, thinks=False)
    assert set(begun.work["given"]) == {"storyboard", "keyframes"}
    planned = {step.step: step for step in library.plan(begun.work, thinks=True)}
    assert planned["storyboard"].given
    assert not planned["storyboard"].approximate
    assert planned["clips"].approximate
    assert len(planned["keyframes"].calls) == 1
    assert planned["clips"].calls[0][1]["images"] == ["first_frame=out_1"]
    assert planned["clips"].calls[1][1]["images"] == ["first_frame=later:keyframes[1]"]
    assert planned["clips"].after == ("storyboard", "keyframes")
    assert planned["storyboard"].who == "video_storyboard"
    with pytest.raises(InvalidRequest, match=r"context: The answer has no scenes\[0\].prompt") as caught:
        library.begin(flow, "x", {"product": "a mug", "scenes": [{"seconds": 3}]}, thinks=False)
    assert caught.value.field == "context.scenes[0].prompt"


def test_a_step_that_needs_a_model_is_refused_before_anything_starts(library: WorkflowLibrary) -> None:
    flow = library.read({"steps": [ASK, image("a", after=["ask"])]})
    with pytest.raises(NotConfigured, match="Step 'ask' needs a language model") as caught:
        library.begin(flow, "x", {}, thinks=False)
    assert "context.ask" in str(caught.value.hint)
    assert library.begin(flow, "x", {"ask": "said"}, thinks=False).work["given"] == {"ask": {"text": "said"}}
    planned = library.plan(library.begin(flow, "x", {}, thinks=True).work, thinks=True)
    assert [(step.step, step.items, step.calls) for step in planned] == [("ask", None, ()), ("a", None, ())]


def test_a_plan_does_not_know_the_items_of_what_a_model_will_say(library: WorkflowLibrary) -> None:
    script = {name: value for name, value in SCRIPT.items() if name != "draft"}
    flow = library.read({**SMALL, "steps": [script, FRAMES, CLIPS, FILM]})
    planned = library.plan(library.begin(flow, "a film of a mug", {}, thinks=True).work, thinks=True)
    assert {step.items for step in planned} == {None}
    given = library.begin(flow, "a film of a mug", {"beats": ["one", "two"]}, thinks=True)
    assert [step.items for step in library.plan(given.work, thinks=True)] == [1, 2, 2, 1]


def test_a_plan_knows_as_many_files_as_a_call_makes(library: WorkflowLibrary) -> None:
    several = {"id": "several", "kind": "image", "arguments": {"prompt": "a mug", "n": 3}}
    last = {"id": "last", "kind": "image", "arguments": {"prompt": "x", "images": ["{steps.several.outputs[2]}"]}}
    flow = library.read({**SMALL, "steps": [several, last], "output": {}})
    planned = library.plan(library.begin(flow, "a film of a mug", {}, thinks=False).work, thinks=False)
    assert planned[1].calls[0][1]["images"] == ["later:several.2"]


def test_a_skill_step_has_the_skill_and_its_ideas(library: WorkflowLibrary) -> None:
    known = {"product": "a mug", "audience": "tea drinkers"}
    found: dict[str, Any] = library.skilled("launch_strategy", "Launch a mug", known, {"task_type": "launch", **known})
    assert (found["skill"], found["agent"]) == ("launch_strategy", "campaign")
    assert "Launch a mug" in found["prompt"]
    assert found["deliverables"]
    assert set(found["questions"][0]) == {"key", "question"}
    assert set(found["angles"][0]) == {"name", "line", "why"}
    assert found["headlines"]
    assert library.skilled("launch_strategy", "Launch a mug", known)["angles"] == []
    flow = library.find("campaign_launch")
    planned = library.plan(library.begin(flow, "launch a mug", {}, thinks=False).work, thinks=False)
    assert planned[0].who == "launch_strategy"
    assert Work.model_validate(library.begin(flow, "launch a mug", {}, thinks=False).work).workflow == flow


def noted(library: WorkflowLibrary, name: str, task: str, *, thinks: bool = False, **context: Any) -> tuple[str, ...]:
    work = library.begin(library.find(name), task, context, thinks=thinks).work
    return library.notes(work, library.plan(work, thinks=thinks), thinks=thinks)


def test_what_will_not_be_as_the_task_says_is_told_before(library: WorkflowLibrary) -> None:
    kit = "two logos for a bakery called Crumb, no people"
    number = "The task says 'two logos'; 3 will be made: brand_kit sets their number itself."
    assert noted(library, "brand_kit", kit) == ("Not in these drafts: 'two logos for a', 'no people'.", number)
    assert noted(library, "brand_kit", kit, thinks=True) == ()
    assert noted(library, "brand_kit", "a brand kit for a bakery called Crumb") == ()
