"""Tools that do what they were asked, in both eras of the protocol."""

import base64
import io
import json
import os
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import anyio.to_thread
import pytest
from helpers_server import ERAS, QuickDraft, call, connected, content, failed, jobs_of, read_json, words
from mcp import Client
from mcp_types import ImageContent, ResourceLink, TextContent
from PIL import Image

from darkroom.app import App
from darkroom.errors import AuthFailed
from darkroom.settings import Settings

pytestmark = pytest.mark.anyio
FOX: dict[str, Any] = {"prompt": "a red fox", "size": "128x96"}
CLIP: dict[str, Any] = {"prompt": "a red fox runs", "duration": 1, "resolution": "360p"}
MOST_THUMBNAIL = 60_000
MOST_STRUCTURED = 1_600


async def test_a_picture_is_answered_with_file_thumbnail_link_and_cost(client: Client) -> None:
    result = await client.call_tool("generate_image", {**FOX, "size": "256x256"})
    job = content(result)
    assert (job["status"], job["draft"], job["mode"]) == ("succeeded", True, "text_to_image")
    with Image.open(job["outputs"][0]["path"]) as picture:
        picture.load()
        assert picture.size == (256, 256)
    thumbnails = [block for block in result.content if isinstance(block, ImageContent)]
    assert len(thumbnails) == 1
    data = base64.b64decode(thumbnails[0].data)
    assert len(data) <= MOST_THUMBNAIL
    with Image.open(io.BytesIO(data)) as small:
        assert small.format == "WEBP"
    links = [block for block in result.content if isinstance(block, ResourceLink)]
    assert [str(link.uri) for link in links] == [f"darkroom://outputs/{job['outputs'][0]['id']}"]
    assert links[0].name == Path(job["outputs"][0]["path"]).name
    assert result.meta is not None
    assert result.meta["cost"] == {"estimate": 0, "actual": 0, "model": "draft-image", "provider": "draft"}
    told = words(result) + json.dumps(job)
    assert len(json.dumps(job)) < MOST_STRUCTURED
    assert "base64" not in told
    assert thumbnails[0].data[:60] not in told


async def test_four_pictures_have_four_thumbnails_at_most_and_stay_short(client: Client) -> None:
    result = await client.call_tool("generate_image", {**FOX, "n": "4"})
    job = content(result)
    assert len(job["outputs"]) == 4
    assert sum(isinstance(block, ImageContent) for block in result.content) == 4
    again = content(await client.call_tool("generate_image", {**FOX, "n": 2, "prompt": "another"}))
    assert len(again["outputs"]) == 2
    listed = await client.call_tool("check_job", {})
    assert not [block for block in listed.content if isinstance(block, ImageContent)]


async def test_thumbnails_are_shown_once_a_job(client: Client, quick: QuickDraft) -> None:
    quick.ready = anyio.Event()
    job = await call(client, "generate_image", **FOX, wait=0)
    quick.ready.set()
    first = await client.call_tool("check_job", {"job_id": job["job_id"], "wait": 45})
    second = await client.call_tool("check_job", {"job_id": job["job_id"]})
    assert [sum(isinstance(block, ImageContent) for block in item.content) for item in (first, second)] == [1, 0]
    assert first.meta is not None
    own = {"estimate": 0, "actual": 0, "model": "draft-image", "provider": "draft"}
    assert first.meta["cost"] == {"job_id": job["job_id"], **own}


async def test_the_costs_of_several_jobs_are_told_one_by_one(client: Client) -> None:
    jobs = [await call(client, "generate_image", **{**FOX, "prompt": text}) for text in ("a fox", "a hare")]
    listed = await client.call_tool("check_job", {})
    assert listed.meta is not None
    assert {cost["job_id"] for cost in listed.meta["cost"]} == {job["job_id"] for job in jobs}
    nothing = await client.call_tool("check_job", {"status": "failed"})
    assert "cost" not in (nothing.meta or {})


@pytest.mark.parametrize(("setting", "expected"), [("always", [1, 1]), ("never", [0, 0])])
async def test_thumbnails_are_shown_always_or_never_if_so_set(
    app: App, era: str, setting: str, expected: list[int]
) -> None:
    app.settings = app.settings.model_copy(update={"thumbnails": setting})
    async with connected(app, era) as client:
        answers = [await client.call_tool("generate_image", FOX) for _ in range(2)]
    assert [sum(isinstance(block, ImageContent) for block in answer.content) for answer in answers] == expected


async def test_a_thumbnail_that_was_deleted_is_left_out(client: Client, quick: QuickDraft) -> None:
    quick.ready = anyio.Event()
    job = await call(client, "generate_image", **FOX, wait=0)
    quick.ready.set()
    await wait_for_end(client, job["job_id"])
    folder = Path(os.environ["DARKROOM_HOME"]) / "thumbnails"
    for path in folder.rglob("*.webp"):
        path.unlink()
    result = await client.call_tool("check_job", {"job_id": job["job_id"]})
    assert not [block for block in result.content if isinstance(block, ImageContent)]
    assert content(result)["jobs"][0]["status"] == "succeeded"


async def wait_for_end(client: Client, job_id: str) -> dict[str, Any]:
    """Read a job's record, which shows it to nobody, until it has ended."""
    while True:
        record = await read_json(client, f"darkroom://jobs/{job_id}")
        if "check_after_s" not in record:
            return record
        await anyio.lowlevel.checkpoint()


async def test_a_clip_without_waiting_is_a_job_to_check_and_the_check_ends_with_it(
    client: Client, quick: QuickDraft
) -> None:
    quick.ready = anyio.Event()
    job = await call(client, "generate_video", **CLIP, wait=0)
    assert job["status"] in ("queued", "submitting", "running")
    assert job["check_after_s"] >= 2
    assert f"check_job(job_id='{job['job_id']}'" in job["next"]
    quick.ready.set()
    (done,) = await jobs_of(client, job_id=job["job_id"], wait=45)
    assert (done["status"], done["outputs"][0]["mime_type"]) == ("succeeded", "video/mp4")
    assert "check_after_s" not in done


async def test_progress_notices_grow_and_never_stand_still(client: Client, quick: QuickDraft) -> None:
    quick.ready = anyio.Event()
    told: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))
        if "drawing" in str(message):
            quick.ready.set()

    result = await client.call_tool("generate_image", FOX, progress_callback=hear)
    assert content(result)["status"] == "succeeded"
    values = [done for done, _, _ in told]
    assert len(values) > 2
    assert values == sorted(set(values))
    assert all(0 <= done <= 100 and total == 100 for done, total, _ in told)


# The same call


async def test_an_equal_call_is_answered_with_the_same_job(client: Client, quick: QuickDraft) -> None:
    first = await call(client, "generate_image", **FOX)
    result = await client.call_tool("generate_image", {**FOX, "wait": 3})
    assert content(result)["job_id"] == first["job_id"]
    assert "nothing new was started" in words(result)
    forced = await call(client, "generate_image", **FOX, again=True)
    assert forced["job_id"] != first["job_id"]
    assert len(quick.sent) == 2


async def test_a_key_names_one_request_for_ever(client: Client) -> None:
    first = await call(client, "generate_image", **FOX, idempotency_key="k1")
    same = await call(client, "generate_image", **FOX, idempotency_key="k1")
    assert same["job_id"] == first["job_id"]
    result = await client.call_tool("generate_image", {**FOX, "prompt": "a blue fox", "idempotency_key": "k1"})
    assert result.is_error
    assert first["job_id"] in words(result)
    assert "prompt" in words(result)


async def test_a_dry_run_says_the_price_and_stores_nothing(client: Client, quick: QuickDraft) -> None:
    plan = await call(client, "generate_video", **CLIP, dry_run=True)
    assert (plan["status"], plan["model"]) == ("estimate", "draft-video")
    assert plan["cost"] == {"estimate_usd": 0, "reserved_usd": 0}
    assert plan["effective"]["duration"] == 1
    assert "Nothing was stored" in plan["next"]
    assert await jobs_of(client) == []
    assert quick.sent == []


# Cancel and retry


async def test_a_running_clip_is_cancelled_and_can_be_retried_with_changes(client: Client, quick: QuickDraft) -> None:
    quick.ready = anyio.Event()
    job = await call(client, "generate_video", **CLIP, wait=0)
    refused = await client.call_tool("retry_job", {"job_id": job["job_id"]})
    assert refused.is_error
    assert "cancel_job" in words(refused)
    stopped = await call(client, "cancel_job", job_id=job["job_id"])
    assert (stopped["status"], stopped["cost"]["actual_usd"]) == ("cancelled", 0)
    assert "retry_job" in stopped["next"]
    again = await call(client, "cancel_job", job_id=f" {job['job_id']} ")
    assert again["status"] == "cancelled"
    quick.ready.set()
    retried = await call(client, "retry_job", job_id=job["job_id"], changes={"prompt": "a blue fox"}, max_cost=0)
    assert (retried["status"], retried["retry_of"]) == ("succeeded", job["job_id"])
    assert quick.sent[-1].request.prompt == "a blue fox"


async def test_a_cancel_after_the_end_says_that_nothing_was_stopped(client: Client) -> None:
    job = await call(client, "generate_image", **FOX)
    late = await client.call_tool("cancel_job", {"job_id": job["job_id"]})
    assert "nothing was stopped, and nothing was charged" in " ".join(
        item.text for item in late.content if isinstance(item, TextContent)
    )


async def test_a_failed_job_says_why_and_what_to_do(client: Client, quick: QuickDraft) -> None:
    quick.error = AuthFailed("The key was refused.", hint="Set another key.")
    job = await failed(client, "generate_image", **FOX)
    assert (job["error"]["code"], job["next"]) == ("auth_failed", "Set another key.")
    quick.error = AuthFailed("The key was refused.")
    job = await failed(client, "generate_image", **FOX)
    assert f"retry_job('{job['job_id']}'" in job["next"], "a failed job is not returned for an equal call"


async def test_a_failure_is_an_error_of_the_call_that_was_to_do_the_work(client: Client, quick: QuickDraft) -> None:
    quick.error = AuthFailed("The key was refused.")
    job = await failed(client, "generate_image", **FOX)
    again = await failed(client, "retry_job", job_id=job["job_id"])
    told = await jobs_of(client, job_id=f"{job['job_id']},{again['job_id']}")
    assert [item["status"] for item in told] == ["failed", "failed"], "and no error of a call that asks how it stands"
    assert (await call(client, "cancel_job", job_id=job["job_id"]))["status"] == "failed"


async def test_a_cancelled_call_leaves_its_job_running(client: Client, quick: QuickDraft) -> None:
    quick.ready = anyio.Event()
    heard = anyio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.set()

    async def generate(task_status: anyio.abc.TaskStatus[anyio.CancelScope] = anyio.TASK_STATUS_IGNORED) -> None:
        with anyio.CancelScope() as scope:
            task_status.started(scope)
            await client.call_tool("generate_image", FOX, progress_callback=hear)

    async with anyio.create_task_group() as tasks:
        scope: anyio.CancelScope = await tasks.start(generate)
        await heard.wait()
        scope.cancel()
    (job,) = await jobs_of(client, status="active")
    quick.ready.set()
    (job,) = await jobs_of(client, job_id=job["job_id"], wait=45)
    assert job["status"] == "succeeded"


# check_job


async def test_jobs_are_listed_newest_first_several_by_id_and_by_state_and_label(client: Client) -> None:
    empty = await client.call_tool("check_job", {})
    assert content(empty)["jobs"] == []
    assert "generate_image" in words(empty)
    made = [await call(client, "generate_image", **FOX, again=True, options={"labels": [f"l{n}"]}) for n in range(3)]
    ids = [job["job_id"] for job in made]
    assert [job["job_id"] for job in await jobs_of(client)] == ids[::-1]
    assert [job["job_id"] for job in await jobs_of(client, job_id=f"{ids[0]}, {ids[2]}", wait=45)] == [ids[0], ids[2]]
    assert [job["job_id"] for job in await jobs_of(client, job_id=[ids[1], ids[1]])] == [ids[1]]
    assert await jobs_of(client, status="active") == []
    none = words(await client.call_tool("check_job", {"status": "active", "label": "l1"}))
    assert none.startswith("No job is active and has the label 'l1'; 3 are there: check_job without arguments")
    assert len(await jobs_of(client, status="Succeeded")) == 3
    assert [job["job_id"] for job in await jobs_of(client, label="l1")] == [ids[1]]
    wrong = await client.call_tool("check_job", {"status": "suceeded"})  # codespell:ignore suceeded
    assert wrong.is_error
    assert "Did you mean" in words(wrong)
    assert "'succeeded'" in words(wrong)


async def test_an_id_with_a_slip_is_answered_with_the_nearest(client: Client) -> None:
    job = await call(client, "generate_image", **FOX)
    slip = job["job_id"][:-1] + "!"
    result = await client.call_tool("check_job", {"job_id": slip})
    assert result.is_error
    assert job["job_id"] in words(result)
    assert "check_job without job_id" in words(result)


# What is accepted beyond what is published


async def test_nulls_and_empty_texts_count_as_left_out(client: Client, quick: QuickDraft) -> None:
    optional = ("model", "provider", "aspect_ratio", "quality", "negative_prompt", "refine", "save_as", "seed", "n")
    nulls: dict[str, Any] = dict.fromkeys((*optional, "images", "options", "max_cost", "wait", "again"))
    first = await call(client, "generate_image", **FOX, **nulls)
    second = await call(client, "generate_image", **FOX, **dict.fromkeys(optional, ""))
    assert (first["status"], second["job_id"]) == ("succeeded", first["job_id"])
    assert len(quick.sent) == 1


async def test_pictures_are_taken_as_text_lists_and_objects(client: Client, quick: QuickDraft, home: Path) -> None:
    first = await call(client, "generate_image", **FOX)
    output = first["outputs"][0]
    forms: list[Any] = [
        output["path"],
        [output["id"]],
        [f"reference={output['path']}"],
        [{"src": output["id"], "role": "reference", "name": "fox"}],
    ]
    for form in forms:
        job = await call(client, "generate_image", prompt="the same, but blue", size="128x96", images=form, again=True)
        assert job["status"] == "succeeded"
    roles = [call.inputs[0].role.value for call in quick.sent[1:]]
    assert roles == ["source", "source", "reference", "reference"]
    video = await call(client, "generate_video", **CLIP, scenes=[{"prompt": "one"}, {"prompt": "two"}])
    assert video["mode"] == "timeline"


async def test_a_scene_may_have_a_picture(client: Client, quick: QuickDraft) -> None:
    first = await call(client, "generate_image", **FOX)
    scene = {"prompt": "two", "image": first["outputs"][0]["id"]}
    video = await call(client, "generate_video", **CLIP, scenes=[{"prompt": "one"}, scene])
    assert (video["status"], len(quick.sent[-1].inputs)) == ("succeeded", 1)


async def test_a_picture_can_be_refined(client: Client) -> None:
    first = await call(client, "generate_image", **FOX)
    child = await call(client, "generate_image", prompt="bluer", refine=first["job_id"])
    assert (child["status"], child["parent_job_id"]) == ("succeeded", first["job_id"])


async def test_a_cap_of_nothing_takes_free_offers(client: Client) -> None:
    assert (await call(client, "generate_image", **FOX, max_cost="0"))["status"] == "succeeded"


@pytest.mark.parametrize("wait", [-5, 1e9], ids=["negative", "endless"])
async def test_a_wait_out_of_its_bounds_is_moved_into_them(client: Client, wait: float) -> None:
    job = await call(client, "generate_image", **FOX)
    assert (await jobs_of(client, job_id=job["job_id"], wait=wait))[0]["status"] == "succeeded"


async def test_a_fault_of_ours_is_answered_in_words_and_hides_nothing_that_was_stored(
    app: App, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret inside")

    app.generation.start = broken  # pyright: ignore[reportAttributeAccessIssue] because it stands in
    result = await client.call_tool("generate_image", FOX)
    assert result.is_error
    assert "call check_job" in words(result)
    assert "secret inside" not in words(result)
    assert "tool generate_image failed" in caplog.text


async def test_a_program_without_draft_has_no_offer_for_an_old_job(app: App, client: Client) -> None:
    job = await call(client, "generate_image", **FOX)
    app.providers.__dict__["_loaded"] = {}
    (seen,) = await jobs_of(client, job_id=job["job_id"])
    assert "eta_s" not in seen


async def test_several_clients_in_turn_see_the_same_jobs(quick: QuickDraft) -> None:
    ids: list[str] = []
    for era in ERAS:
        app = await anyio.to_thread.run_sync(lambda: App(Settings.load()))
        app.adapters = quick  # pyright: ignore[reportAttributeAccessIssue] because it stands in
        async with connected(app, era) as client:
            ids.append((await call(client, "generate_image", **FOX))["job_id"])
    assert ids[0] == ids[1]
