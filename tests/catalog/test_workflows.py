"""The shipped workflows, and those that callers write."""

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from darkroom.catalog import workflows as module
from darkroom.catalog.data import data_dir
from darkroom.catalog.workflows import read_workflow, schema, workflows
from darkroom.domain.request import ImageRequest, VideoRequest
from darkroom.domain.workflow import JOBS, StepKind
from darkroom.domain.workflow_kinds import IMAGE, VIDEO
from darkroom.errors import InvalidRequest
from darkroom.server.tools.generate_image import GenerateImageArgs
from darkroom.server.tools.generate_video import GenerateVideoArgs
from darkroom.server.tools.shared import REQUEST, build
from darkroom.services.workflows import Planned, WorkflowLibrary
from helpers_flow import image
from helpers_knowledge import agent_catalogue, skill_library

TASKS = {
    "product_video": [
        "plan and draft a 15 s product video for blue running shoes",
        "a 30-second vertical film of our oat milk latte for busy parents",
        "90 second commercial about the Tern folding bike",
        "4 s clip of a perfume bottle, square format",
    ],
    "campaign_launch": [
        "Launch our trail running shoes",
        "launch campaign for a coffee subscription for remote workers",
    ],
    "brand_kit": ["brand kit for Lumen, a sleep app", "brand identity for a bakery", "brand kit for our law office"],
}
CALL_LEVEL = {"model", "provider", "max_cost", "dry_run", "wait", "save_as", "idempotency_key", "again"}


def _library() -> WorkflowLibrary:
    return WorkflowLibrary(workflows, agent_catalogue(), skill_library())


def _plan(name: str, task: str) -> list[Planned]:
    library = _library()
    return library.plan(library.begin(library.find(name), task, {}, thinks=False).work, thinks=False)


def test_every_shipped_workflow_names_agents_and_skills_that_there_are() -> None:
    library = _library()
    for flow in library.select():
        assert library.read(flow.model_dump(mode="json", exclude_defaults=True)) == flow
        assert flow.about
        assert flow.output.summary
        assert all(step.about for step in flow.steps)
        assert all(step.draft is not None for step in flow.steps if step.kind is StepKind.AGENT)


def test_the_schema_that_editors_read_is_the_one_of_the_models() -> None:
    stored = json.loads((data_dir() / "manifests" / "schema" / "workflow.json").read_text(encoding="utf-8"))
    assert stored == schema()
    checker = Draft202012Validator(stored)
    for flow in workflows().values():
        checker.validate(flow.model_dump(mode="json", exclude_defaults=True))  # pyright: ignore[reportUnknownMemberType] because the library has no types


@pytest.mark.parametrize(("name", "task"), [(name, task) for name, tasks in TASKS.items() for task in tasks])
def test_every_call_of_a_draft_can_be_made(name: str, task: str) -> None:
    planned = _plan(name, task)
    assert all(step.items is not None for step in planned)
    calls = [call for step in planned for call in step.calls]
    assert calls
    for tool, arguments in calls:
        args = GenerateImageArgs if tool == "generate_image" else GenerateVideoArgs
        read = args.model_validate(arguments)
        assert not re.search(r"[{}]|\bNone\b|, ,|  |,$", str(arguments["prompt"])), arguments
        fields = {
            key: value
            for key, value in arguments.items()
            if key in {*REQUEST, "size", "quality", "duration", "resolution", "audio", "prompt"}
        }
        if arguments.get("model") == "film-join":
            fields["images"] = "out_1"
        request = build(ImageRequest if tool == "generate_image" else VideoRequest, fields)
        assert request.prompt == str(arguments["prompt"]).strip()
        assert read.prompt is not None


@pytest.mark.parametrize("seconds", [4, 6, 8, 11, 12, 15, 19, 20, 28, 30, 36, 45, 60, 75, 90])
def test_the_clips_of_a_product_video_sum_up_to_its_length_and_can_be_bought(seconds: int) -> None:
    planned = {step.step: step for step in _plan("product_video", f"a {seconds} s product video for blue shoes")}
    durations = [call[1]["duration"] for call in planned["clips"].calls]
    whole = [number for number in durations if isinstance(number, int)]
    assert whole == durations
    assert sum(whole) == seconds
    assert all(2 <= number <= 10 for number in whole)
    assert planned["keyframes"].items == planned["clips"].items == len(whole)
    assert [call[1]["model"] for call in planned["film"].calls] == ["film-join"]


def test_a_product_video_speaks_of_its_product() -> None:
    library = _library()
    flow = library.find("product_video")
    begun = library.begin(flow, "plan and draft a 15 s product video for blue running shoes", {}, thinks=False)
    assert (begun.work["inputs"]["product"], begun.work["inputs"]["duration"]) == ("blue running shoes", 15)
    assert begun.sources["product"] == begun.sources["duration"] == "task"
    prompts = [str(call[1]["prompt"]) for step in library.plan(begun.work, thinks=False) for call in step.calls[:1]]
    assert "blue running shoes" in prompts[0]


def test_arguments_that_steps_take_are_those_of_the_tools() -> None:
    assert set(IMAGE) == set(GenerateImageArgs.model_fields) - CALL_LEVEL
    assert set(VIDEO) == set(GenerateVideoArgs.model_fields) - CALL_LEVEL
    assert all(step.kind in JOBS for flow in workflows().values() for step in flow.steps if step.arguments)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{", "workflow is no JSON: line 1, column 2"),
        ("[]", "must be an object"),
        ("[" * 60_000, "workflow is no JSON|nested"),
        (json.dumps({"steps": [image("a")], "about": "x" * 100_000}), "bytes"),
        ({"steps": []}, "steps is empty"),
        ({}, "steps is missing"),
        ({"steps": [image(f"s{number}") for number in range(10_000)]}, "10,000 steps"),
        ({"steps": [{"id": "s", "kind": "image"}] * 101}, "101 steps"),
        ({"steps": [{**image("a"), "retry": 1}]}, "an image step has no field 'retry'. Did you mean 'retries'"),
        ({"step": [image("a")]}, "a workflow has no field 'step'. Did you mean 'steps'"),
        ({"steps": [{"id": "a"}]}, r"steps\[0\].kind is missing"),
        ({"steps": [image("a", retries=9)]}, r"steps\[0\].retries is 9"),
        ({"steps": [image("A b")]}, r"steps\[0\].id is 'A b'"),
        ({"steps": [image("a", kind="picture")]}, r"steps\[0\].kind is 'picture'"),
        ({"steps": [image("a", max_cost="lots")]}, r"steps\[0\].max_cost is 'lots'"),
    ],
)  # fmt: skip
def test_what_is_no_workflow_is_refused_with_its_place(source: Any, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_workflow(source)
    assert re.search(words, caught.value.message), caught.value.message
    assert len(caught.value.message) < 600


def test_what_leads_into_itself_is_refused() -> None:
    data: dict[str, Any] = {"steps": [image("a")]}
    data["output"] = data
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        read_workflow(data)


def test_a_workflow_may_be_a_text() -> None:
    assert read_workflow(json.dumps({"steps": [image("a")]})).name == "workflow"


def test_a_shipped_file_is_named_as_its_workflow(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.toml").write_text(
        'name = "two"\n[[steps]]\nid = "a"\nkind = "image"\narguments = {prompt = "x"}\n'
    )

    def folder(family: str) -> Any:
        assert family == "workflows"
        return tmp_path

    monkeypatch.setattr(module, "manifests_dir", folder)
    with pytest.raises(InvalidRequest, match="must be that of the file, not 'two'"):
        workflows.__wrapped__()
