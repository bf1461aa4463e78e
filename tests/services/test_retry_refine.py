"""New jobs from earlier ones: retried with changes, or continued from a result."""

from pathlib import Path
from typing import Any

import pytest

from darkroom.app import App
from darkroom.domain.job import Job, State
from darkroom.domain.kinds import Mode, Role
from darkroom.domain.request import VideoRequest
from darkroom.errors import InvalidRequest, NotConfigured, UnknownJob, Unsupported
from darkroom.services.caps import Terms
from darkroom.services.generation import Started
from helpers_services import TERMS, image, picture, put, run_until, started, succeed, video

pytestmark = pytest.mark.anyio


async def retried(app: App, job: Job, changes: dict[str, Any] | None = None, terms: Terms = TERMS) -> Job:
    made = await app.generation.retry(job.id, changes or {}, terms)
    assert isinstance(made, Started)
    assert made.job.retry_of == job.id
    return made.job


# Retry


async def test_a_retry_is_a_new_job_of_the_same_request(app: App, pictures: Path) -> None:
    path = put(pictures / "fox.png", picture())
    job = await succeed(app, await started(app, image(images=[path], size="512x512", options={"format": "webp"})))
    again = await retried(app, job)
    assert again.id != job.id
    assert again.request == job.request
    assert again.state is State.QUEUED


async def test_a_repeated_retry_returns_the_first_and_another_change_does_not(app: App) -> None:
    job = await succeed(app, await started(app, image()))
    first = await retried(app, job, {"seed": 3})
    assert (await retried(app, job, {"seed": 3})).id == first.id
    assert (await retried(app, job, {"seed": 4})).id != first.id


async def test_changes_are_laid_over_the_stored_request(app: App) -> None:
    before = image(seed=1, n=2, options={"format": "webp", "labels": ["a"]})
    job = await succeed(app, await started(app, before))
    after = (await retried(app, job, {"prompt": "a cat", "seed": None, "options": {"exact": True}})).request
    assert (after.prompt, after.seed, after.n, after.exact, after.labels) == ("a cat", None, 2, True, ("a",))
    assert after.options == {}


async def test_a_new_ratio_replaces_the_old_size(app: App) -> None:
    job = await succeed(app, await started(app, image(size="512x512")))
    changed = await retried(app, job, {"aspect_ratio": "16:9"})
    assert changed.submissions[0].effective.aspect_ratio == "16:9"
    assert changed.warnings == ()
    both = await retried(app, job, {"aspect_ratio": "16:9", "size": "256x256"})
    assert both.submissions[0].effective.width == 256


@pytest.mark.parametrize(
    ("name", "near"),
    [("promt", "prompt"), ("quallity", "quality"), ("kind", None), ("refine", None)],  # codespell:ignore promt
)
async def test_an_unknown_change_is_answered_with_the_nearest(name: str, near: str | None, app: App) -> None:
    job = await succeed(app, await started(app, image()))
    with pytest.raises(InvalidRequest) as caught:
        await app.generation.retry(job.id, {name: "x"}, TERMS)
    assert caught.value.field == "changes"
    assert name not in (caught.value.allowed or ())
    assert near is None or f"Did you mean {near!r}?" in caught.value.message


@pytest.mark.parametrize("change", [{"labels": 5}, {"negative_prompt": ["a"]}, {"options": "x"}])
async def test_a_change_of_the_wrong_kind_is_refused_by_name(change: dict[str, Any], app: App) -> None:
    job = await succeed(app, await started(app, image()))
    with pytest.raises(InvalidRequest) as caught:
        await app.generation.retry(job.id, change, TERMS)
    assert caught.value.field == next(iter(change))


async def test_a_job_that_is_under_way_is_not_paid_for_twice(app: App) -> None:
    job = await started(app, image())
    with pytest.raises(InvalidRequest) as caught:
        await app.generation.retry(job.id, {}, TERMS)
    assert caught.value.message == f"{job.id} is still queued; a retry would pay for it twice."
    await run_until(app, job.id, State.RUNNING)
    with pytest.raises(InvalidRequest, match="still running"):
        await app.generation.retry(job.id, {"seed": 1}, TERMS)


@pytest.mark.parametrize("state", [State.SUBMIT_UNKNOWN, State.FAILED])
async def test_a_failed_or_unknown_job_may_be_retried(state: State, app: App) -> None:
    job = await run_until(app, (await started(app, image())).id, state)
    assert (await retried(app, job)).state is State.QUEUED


async def test_only_ones_own_job_can_be_retried(app: App) -> None:
    theirs = await succeed(app, await started(app, image(), Terms(principal="other")))
    for job_id in (theirs.id, "job_nope", "x" * 500):
        with pytest.raises(UnknownJob) as caught:
            await app.generation.retry(job_id, {}, TERMS)
        assert len(caught.value.message) < 200


# Refine


async def test_a_draft_is_drawn_again_with_the_instruction_added(app: App) -> None:
    parent = await succeed(app, await started(app, image(size="512x512", n=2)), notes={"seed": 41})
    job = await started(app, image(prompt="in the snow", refine=parent.id))
    assert (job.request.prompt, job.request.seed, job.request.n) == ("a red fox, in the snow", 41, 2)
    assert (job.parent_job_id, job.request.refine, job.mode) == (parent.id, parent.id, Mode.TEXT_TO_IMAGE)
    assert job.submissions[0].effective.width == 512


@pytest.mark.parametrize(("notes", "seed"), [({"seed": 41}, 42), ({}, 1), ({"seed": "x"}, 1), ({"seed": 2**32 - 1}, 0)])
async def test_without_an_instruction_it_is_a_variation_with_another_seed(
    notes: dict[str, Any], seed: int, app: App
) -> None:
    parent = await succeed(app, await started(app, image()), notes=notes)
    job = await started(app, image(prompt="", refine=parent.outputs[0].id))
    assert (job.request.prompt, job.request.seed, job.parent_job_id) == ("a red fox", seed, parent.id)


async def test_what_is_said_wins_over_what_was_asked_before(app: App, pictures: Path) -> None:
    path = put(pictures / "fox.png", picture())
    parent = await succeed(app, await started(app, image(size="512x512", images=[path], options={"format": "webp"})))
    request = image(prompt="", refine=parent.id, seed=5, aspect_ratio="16:9", options={"labels": ["b"]})
    job = await started(app, request)
    assert (job.request.seed, job.request.labels) == (5, ("b",))
    assert job.request.images == parent.request.images
    assert (job.submissions[0].effective.aspect_ratio, job.warnings) == ("16:9", ())


async def test_our_own_options_do_not_reset_the_rest(app: App) -> None:
    parent = await succeed(app, await started(app, image(size="512x512", n=3)))
    job = await started(app, image(prompt="", refine=parent.id, options={"exact": True}))
    assert (job.request.n, job.submissions[0].effective.width, job.request.exact) == (3, 512, True)


async def test_a_draft_clip_is_drawn_again_too(app: App) -> None:
    parent = await succeed(app, await started(app, video(duration=3)), notes={"seed": 6})
    job = await started(app, video(prompt="at night", refine=parent.id, aspect_ratio="1:1"))
    assert isinstance(job.request, VideoRequest)
    assert (job.request.prompt, job.request.seed, job.request.duration) == ("a red fox runs, at night", 6, 3)


async def test_a_picture_that_is_to_move_is_the_first_frame(app: App) -> None:
    parent = await succeed(app, await started(app, image()))
    job = await started(app, video(prompt="", refine=parent.id))
    assert (job.request.prompt, job.mode, job.parent_job_id) == ("a red fox", Mode.IMAGE_TO_VIDEO, parent.id)
    assert [item.role for item in job.request.images] == [Role.FIRST_FRAME]


async def test_any_other_picture_is_edited(paid: App, pictures: Path) -> None:
    parent = await succeed(paid, await started(paid, image(model="acme-pro")))
    path = put(pictures / "hat.png", picture("green"))
    job = await started(paid, image(prompt="with this hat", refine=parent.id, images=[f"reference={path}"]))
    assert (job.request.prompt, job.mode) == ("with this hat", Mode.EDIT_IMAGE)
    assert [item.role for item in job.request.images] == [Role.SOURCE, Role.REFERENCE]
    assert job.request.images[0].name == parent.outputs[0].id
    assert (await started(paid, image(prompt="", refine=parent.id))).request.prompt == "a red fox"


async def test_no_picture_is_made_of_a_clip(paid: App) -> None:
    for made in (video(model="acme-clip"), video(model="draft-video")):
        parent = await succeed(paid, await started(paid, made))
        with pytest.raises(Unsupported) as caught:
            await paid.generation.start(image(refine=parent.id), TERMS)
        assert (caught.value.field, caught.value.message) == ("refine", "A picture cannot be made of a clip.")


async def test_a_clip_whose_model_cannot_change_it_names_those_that_can(paid: App) -> None:
    parent = await succeed(paid, await started(paid, video(model="acme-clip")))
    with pytest.raises(Unsupported) as caught:
        await paid.generation.start(video(refine=parent.id, model="acme-clip"), TERMS)
    assert caught.value.message == "acme-clip cannot do edit video."
    assert "higgsfield/seedance-2.5" in (caught.value.allowed or ())
    with pytest.raises(NotConfigured):
        await paid.generation.start(video(refine=parent.id), TERMS)


async def test_what_has_no_result_cannot_be_continued(app: App) -> None:
    job = await started(app, image())
    with pytest.raises(InvalidRequest) as caught:
        await app.generation.start(image(refine=job.id), TERMS)
    assert caught.value.message == f"{job.id} is queued and has no result to continue from."
    empty = await run_until(app, job.id, State.DOWNLOADING, State.SUCCEEDED)
    with pytest.raises(InvalidRequest, match="has no result"):
        await app.generation.start(image(refine=empty.id), TERMS)


async def test_only_ones_own_results_can_be_continued(app: App) -> None:
    theirs = await succeed(app, await started(app, image(), Terms(principal="other")))
    for target in (theirs.id, theirs.outputs[0].id, "job_nope", "", "x" * 500):
        with pytest.raises(UnknownJob) as caught:
            await app.generation.start(image(refine=target), TERMS)
        assert caught.value.field == "refine"
