"""Inputs of workflows: read, asked for, or refused."""

from typing import Any

import pytest

from darkroom.catalog.workflows import workflows
from darkroom.domain.workflow import Input
from darkroom.errors import InvalidRequest
from darkroom.services.inputs import read_input
from darkroom.services.workflows import WorkflowLibrary
from helpers_knowledge import agent_catalogue, skill_library


@pytest.mark.parametrize(
    ("item", "value", "expected"),
    [
        ({"type": "number"}, "15 s", 15),
        ({"type": "number"}, 2.5, 2.5),
        ({"type": "flag"}, "No", False),
        ({"type": "flag"}, True, True),
        ({}, 12, "12"),
        ({"choices": ["a"]}, "a", "a"),
        ({"type": "list"}, ["a", "b"], ["a", "b"]),
    ],
)
def test_inputs_are_read_as_what_they_are(item: dict[str, Any], value: Any, expected: object) -> None:
    assert read_input("x", Input.model_validate(item), "", {"x": value}) == (expected, "context")


@pytest.mark.parametrize(
    ("item", "value", "words"),
    [
        ({"type": "number"}, "much", "x is 'much'"),
        ({"type": "number", "most": 5}, 6, "x is '6'"),
        ({"type": "number"}, True, "x is 'yes'"),
        ({"type": "flag"}, "perhaps", "x is 'perhaps'"),
        ({"choices": ["warm"]}, "wam", "x is 'wam'. Did you mean 'warm'"),
        ({"most": 3}, "long", "x has 4 letters"),
        ({}, "y" * 2_001, "x has 2,001 letters"),
    ],
)
def test_inputs_that_cannot_be_are_refused(item: dict[str, Any], value: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        read_input("x", Input.model_validate(item), "", {"x": value})
    assert caught.value.hint == "Nothing was started."


@pytest.fixture
def library() -> WorkflowLibrary:
    return WorkflowLibrary(workflows, agent_catalogue(), skill_library())


@pytest.mark.parametrize(
    ("workflow", "task", "message", "hint"),
    [
        ("product_video", "make it nice", "The task does not say product (what the film shows).", "Say it in the task"),
        ("brand_kit", "brand kit for Crumb", "The task names 'Crumb' and does not say business", "Say it in the task"),
        ("product_video", "Ein Film über unsere Lampe", "The task does not say product", "say it in English"),
        ("campaign_launch", "launch it next week", "The task does not say product", "context={'product': ...}"),
    ],
)
def test_what_the_task_does_not_name_is_asked_for(
    library: WorkflowLibrary, workflow: str, task: str, message: str, hint: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        library.begin(library.find(workflow), task, {}, thinks=False)
    assert caught.value.message.startswith(message)
    assert str(caught.value.hint).startswith("Nothing was started. ")
    assert hint in str(caught.value.hint)


def test_an_input_without_a_reader_is_asked_for_without_a_name() -> None:
    with pytest.raises(InvalidRequest, match=r"^The task does not say x\.$") as caught:
        read_input("x", Input(required=True), "brand kit for Crumb", {})
    assert caught.value.hint == "Nothing was started. Give context={'x': ...}."


def test_a_context_with_what_the_workflow_does_not_know_is_refused(library: WorkflowLibrary) -> None:
    flow = library.find("campaign_launch")
    with pytest.raises(InvalidRequest, match=r"campaign_launch has no input 'resolutoin'\. Did you mean") as caught:
        library.begin(flow, "launch a mug", {"resolutoin": "720p"}, thinks=False)
    assert (caught.value.field, caught.value.allowed) == ("context", list(flow.inputs))
    assert "brief, messages, calendar" in str(caught.value.hint)
    with pytest.raises(InvalidRequest, match="brand_kit has no input 'colour'"):
        library.begin(library.find("brand_kit"), "brand kit for a bakery", {"colour": "red"}, thinks=False)


def test_a_context_may_have_inputs_results_fields_of_them_and_the_callers_own_id(library: WorkflowLibrary) -> None:
    context: dict[str, Any] = {
        "product": "a mug",
        "invocation_id": "7",
        "headline": "Meet the mug.",
        "visuals": ["out_1"],
    }
    begun = library.begin(library.find("campaign_launch"), "x", context, thinks=False)
    assert set(begun.work["given"]) == {"messages", "visuals"}
    assert begun.work["sources"]["product"] == "context"
    assert begun.work["sources"]["style"] == "default"


@pytest.mark.parametrize(
    ("workflow", "task", "asked", "one"),
    [
        ("product_video", "5 product videos for our chairs", "5 product videos", "film"),
        ("brand_kit", "make two brand kits for Crumb, a bakery", "two brand kits", "brand kit"),
        ("campaign_launch", "three launch campaigns for our tea", "three launch campaigns", "campaign"),
    ],
)
def test_several_of_what_a_run_makes_one_of_are_refused(
    library: WorkflowLibrary, workflow: str, task: str, asked: str, one: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        library.begin(library.find(workflow), task, {}, thinks=False)
    assert caught.value.message == f"The task asks for '{asked}'; {workflow} makes one {one} a run."
    assert (caught.value.field, caught.value.allowed) == ("task", f"one {one}")
    assert str(caught.value.hint).startswith(f"Nothing was started. Start it once for each {one}")


@pytest.mark.parametrize(
    ("task", "said"), [("a 7:3 film of mugs", "7:3"), ("mug film, 16:9 and 9:16", "16:9 and 9:16")]
)
def test_a_shape_that_there_is_not_is_refused_with_those_that_there_are(
    library: WorkflowLibrary, task: str, said: str
) -> None:
    flow = library.find("product_video")
    with pytest.raises(InvalidRequest, match=f"aspect_ratio is '{said}'") as caught:
        library.begin(flow, task, {}, thinks=False)
    assert caught.value.allowed == flow.inputs["aspect_ratio"].choices
