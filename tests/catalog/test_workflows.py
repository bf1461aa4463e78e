"""The shipped workflows, and those that callers write."""

import json
import re
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator

from darkroom.catalog import workflows as module
from darkroom.catalog.data import data_dir
from darkroom.catalog.workflows import read_workflow, schema, workflows
from darkroom.domain.request import ImageRequest, VideoRequest
from darkroom.domain.templates import fill
from darkroom.domain.workflow import DRAFTED, JOBS, StepKind, StepState, Unit, Work
from darkroom.domain.workflow_answers import drafted
from darkroom.domain.workflow_kinds import IMAGE, VIDEO
from darkroom.domain.workflow_steps import Ready, go_on, made, ready_in, result, scope_at
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
        "Launch Lumen, a rechargeable reading lamp for night readers, on 2027-02-01, 20 % off in the first week",
    ],
    "brand_kit": [
        "brand kit for Lumen, a sleep app",
        "brand identity for a bakery",
        "brand kit for our law office",
        "A sourdough bakery named Crumb & Co in Bristol for young families",
    ],
}
CALL_LEVEL = {"model", "provider", "max_cost", "dry_run", "wait", "save_as", "idempotency_key", "again"}


def _library() -> WorkflowLibrary:
    return WorkflowLibrary(workflows, agent_catalogue(), skill_library())


def _plan(name: str, task: str) -> list[Planned]:
    library = _library()
    return library.plan(library.begin(library.find(name), task, {}, thinks=False).work, thinks=False)


def _finished(name: str, task: str) -> tuple[str, dict[str, Any]]:
    """Return the summary and data of a run of drafts, its pictures and clips taken as made."""
    library = _library()
    work = Work.model_validate(library.begin(library.find(name), task, {}, thinks=False).work)
    while found := ready_in(work := go_on(work, 0)):
        steps = dict(work.steps)
        for ready in found:
            steps[ready.key] = _made(library, work, ready)
        work = work.model_copy(update={"steps": steps})
    return result(work)


def _made(library: WorkflowLibrary, work: Work, ready: Ready) -> Unit:
    step, done = ready.step, Unit(state=StepState.SUCCEEDED)
    if step.kind in JOBS:
        return made(done, [f"out_{ready.key}"], 0)
    scope = scope_at(work, step, ready.index)
    if step.kind is StepKind.SKILL:
        asked = cast("dict[str, Any]", fill(step.brainstorm, scope))
        return done.model_copy(update={"output": library.skilled(str(step.skill), "x", {}, asked)})
    return done.model_copy(update={"output": drafted(step, work, scope), "message": DRAFTED})


def _summary(name: str, task: str) -> str:
    return _finished(name, task)[0]


def _data(name: str, task: str) -> dict[str, Any]:
    return _finished(name, task)[1]


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


CLAIMS = re.compile(
    r"\b(?:best|award|proven|loved|guarantee\w*|customers? (?:say|love|kept)|three people|five ingredients|by hand|"
    r"years|kilomet\w+|months?|perfect|always works|only one)\b",
    re.I,
)


@pytest.mark.parametrize(("name", "task"), [(name, task) for name, tasks in TASKS.items() for task in tasks])
def test_a_draft_claims_nothing_that_nobody_said(name: str, task: str) -> None:
    summary = _summary(name, task)
    assert not CLAIMS.findall(re.sub(r"\[[^\]]*\]", "", summary.split("\nStill open")[0]))
    assert not re.search(r"[{}]|\bNone\b| ,|\.\.|: \.|\bfor \.", summary), summary


def test_a_launch_uses_name_day_offer_and_people_where_they_are_said_and_does_without_them() -> None:
    told = _summary("campaign_launch", "Launch Lumen, a reading lamp for night readers, on 2027-02-01, 20 % off in May")
    assert "Meet Lumen, the reading lamp for night readers. Here from today. Offer: 20 % off." in told
    assert "Coming 2027-02-01: something new for night readers." in told
    assert "Still on: 20 % off." in told
    assert "Assumed, because nobody said: occasion = product, channels = " in told
    bare = _summary("campaign_launch", "Launch our trail running shoes")
    assert "Meet the trail running shoes. Here from today. Take a look: link in bio." in bare
    assert "Offer" not in bare.split("Left out")[0]
    assert "Left out, because nobody said: name, audience, date, offer, price, place, rules, tone." in bare


@pytest.mark.parametrize(
    ("offer", "still"),
    [
        ("20% off for the first 500 orders", "While there are any: 20% off for the first 500 orders."),
        ("20% off until 31 January", "It ends soon: 20% off until 31 January."),
        ("20% off in the first week", "It ends soon: 20% off in the first week."),
        ("2 months for free", "Still on: 2 months for free."),
    ],
)
def test_only_an_offer_with_an_end_ends_soon(offer: str, still: str) -> None:
    told = _summary("campaign_launch", f"Launch Lumen, a reading lamp, {offer}")
    assert still in told
    assert ("ends soon" in told, "last day of the offer" in told) == (still.startswith("It ends"),) * 2


@pytest.mark.parametrize(
    ("task", "said", "picture"),
    [
        ("Launch our red mug", "Today we launch red mug.", "Red mug"),
        ("opening a second bakery in Leeds", "We open today: second bakery in Leeds.", "open door, second bakery"),
        ("Summer sale at our bike shop, 30% off", "The sale begins today: bike shop.", 'the words "30% off"'),
        ("a jazz night in Leeds", "Today: jazz night in Leeds.", "Empty chairs in rows before a stage"),
        (
            "announce the merger of Acme and Globex",
            "Our news today: merger of Acme and Globex.",
            "Poster with the words",
        ),
    ],
)
def test_texts_and_pictures_fit_the_occasion(task: str, said: str, picture: str) -> None:
    assert said in _summary("campaign_launch", task)
    visuals = next(step for step in _plan("campaign_launch", task) if step.step == "visuals")
    prompts = [str(call[1]["prompt"]) for call in visuals.calls]
    assert len(prompts) == 3
    assert picture.lower() in prompts[0].lower()
    assert ("on a wooden table" in prompts[0]) is (task == "Launch our red mug")


def test_texts_are_written_for_the_channels_that_were_named_alone() -> None:
    task = "Launch our $89 chair in Leeds on Facebook and LinkedIn only, never mention sugar, tone: dry"
    data = _data("campaign_launch", task)
    assert {post["channel"] for post in data["posts"]} == {"Facebook", "LinkedIn"}
    assert all("$89." in post["text"] for post in data["posts"] if post["day"] == "D0")
    assert "list" not in {day["channel"] for day in data["calendar"]}
    told = _summary("campaign_launch", task)
    assert "Tone: Dry: no superlatives" in told
    assert "As asked: never mention sugar." in told
    for name in ("Instagram", "TikTok", "LinkedIn", "X", "Email", "Facebook", "Pinterest", "YouTube", "Snapchat"):
        only = _data("campaign_launch", f"Launch our chair on {name} only")["posts"]
        assert {post["channel"] for post in only} == {name}


def test_what_of_a_task_is_in_no_draft_is_named() -> None:
    told = _summary("product_video", "a 15 s film of our $89 chair, no people, with a jazz soundtrack")
    assert "Not in these drafts: 'no people', 'with a jazz soundtrack'." in told
    assert "See it today. $89" in told
    assert "Not in these drafts" not in _summary("product_video", "a 15 s film of our chair")


def test_a_brand_has_the_colours_and_the_tone_that_were_asked_for() -> None:
    task = "Brand kit for Nettle, a skincare brand, in #223344 and cream, tone: dry and short"
    data = _data("brand_kit", task)
    palette = {row["name"]: row["hex"] for row in data["palette"]}
    assert (palette["Main"], palette["Ground"]) == ("#223344", "#F6EEDC")
    assert data["traits"][0]["we_are"] == "dry and short"
    logos = next(step for step in _plan("brand_kit", task) if step.step == "logos")
    assert all("#223344, cream" in str(call[1]["prompt"]) for call in logos.calls)
    usual = _data("brand_kit", "Brand kit for Nettle, a skincare brand")
    assert {row["name"]: row["hex"] for row in usual["palette"]}["Main"] == "#8C4A5B"
    assert len(usual["traits"]) == len(data["traits"]) - 1


def test_brands_of_different_trades_speak_and_look_different() -> None:
    kits = [_data("brand_kit", f"Brand kit for Alder, a {trade}") for trade in ("bakery", "law firm", "bike shop")]
    for part in ("traits", "type", "lines"):
        assert len({json.dumps(kit[part]) for kit in kits}) == len(kits)
    assert kits[0]["taglines"] == ["Alder. Out of the oven.", "[what only Alder does, in five words]"]
    people = _data("brand_kit", "Brand kit for Alder, a bakery for families")["taglines"]
    assert "Bakery for families." in people


def test_posts_fit_their_day() -> None:
    posts = _data("campaign_launch", "Launch Lumen, a reading lamp")["posts"]
    before = [post for post in posts if post["day"].startswith("D-")]
    on_the_day = [post for post in posts if post["day"] == "D0"]
    assert before
    assert all("Coming soon" in post["text"] and "today." not in post["text"].split("Coming")[1] for post in before)
    assert on_the_day
    assert all("oday" in post["text"] and not re.search("oming|list:", post["text"]) for post in on_the_day)


def test_a_film_ends_with_the_words_that_were_asked_for() -> None:
    beats = _data("product_video", "a 15 s video for Lumen, a reading lamp, ending with Buy now")["script"]
    assert (beats[-1]["voice"], beats[-1]["caption"]) == ("Buy now", "Buy now")
    assert "Meet Lumen." in [beat["voice"] for beat in beats]
    assert _summary("product_video", "a video for blue running shoes").startswith(
        "Blue running shoes\n\nA film of 15 s"
    )


def test_text_on_the_ground_of_every_palette_can_be_read() -> None:
    for row in workflows()["brand_kit"].tables["world"].rows:
        ground, ink = (_light(str(row[name])) for name in ("ground", "ink"))
        assert (ground + 0.05) / (ink + 0.05) > 7, row


def _light(colour: str) -> float:
    """Return the relative luminance of `#rrggbb`, from 0 to 1."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


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
