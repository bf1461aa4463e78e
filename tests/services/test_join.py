"""A film of clips as an ordinary job: taken, routed, stored once, and not drawn again."""

import shutil
from pathlib import Path

import pytest

from darkroom.app import App
from darkroom.domain.job import Job, State
from darkroom.domain.kinds import Mode
from darkroom.domain.output import Output
from darkroom.domain.request import VideoRequest
from darkroom.errors import InvalidRequest, Unsupported
from darkroom.services.caps import Terms
from darkroom.services.generation import Parents, Started, request_hash
from darkroom.settings import Settings
from factories import FakeClock
from helpers_services import TERMS, image, opened, picture, planned, put, run_until, started, succeed, video

pytestmark = pytest.mark.anyio


def film(*sources: str, **fields: object) -> VideoRequest:
    return VideoRequest.model_validate({"images": [f"clip={source}" for source in sources], **fields})


async def clip_made(app: App, clip: Path) -> Output:
    """Return the output of a job that made that clip."""
    job = await started(app, video(), Terms(again=True))
    app.settings.outputs.mkdir(parents=True, exist_ok=True)
    path = shutil.copy(clip, app.settings.outputs / f"{job.id}.mp4")
    made = Output(
        id=f"out_{job.id.partition('_')[2]}_1",
        job_id=job.id,
        submission=0,
        index=1,
        path=str(path),
        media_type="video/mp4",
        bytes=1,
        sha256="ab" * 32,
    )
    return (await run_until(app, job.id, State.DOWNLOADING, State.SUCCEEDED, outputs=(made,))).outputs[0]


async def joined(app: App, clip: Path) -> Job:
    one, two = await clip_made(app, clip), await clip_made(app, clip)
    return await started(app, film(one.id, two.id))


async def test_outputs_are_joined_without_a_prompt(app: App, clip: Path) -> None:
    job = await joined(app, clip)
    (part,) = job.submissions
    assert (job.mode, part.provider, part.model, part.replayable) == (Mode.JOIN_VIDEO, "draft", "film-join", True)
    assert (part.effective.duration, part.effective.width, part.effective.height) == (1.0, 96, 64)
    assert [(item.duration, item.media_type) for item in part.effective.inputs] == [(0.5, "video/mp4")] * 2
    assert part.effective.prompt == ""
    assert part.estimate == 0
    assert job.warnings == ()
    assert await app.store.get(job.id) == job


async def test_the_same_clips_in_the_same_order_are_the_same_job(app: App, clip: Path, pictures: Path) -> None:
    longer = clip.read_bytes() + b"\0\0\0\x08free"
    one, two = put(pictures / "one.mp4", clip.read_bytes()), put(pictures / "two.mp4", longer)
    first = await started(app, film(one, two))
    copy = put(pictures / "copy.mp4", clip.read_bytes())
    again = await app.generation.start(film(copy, two), TERMS)
    assert isinstance(again, Started)
    assert (again.job.id, again.created) == (first.id, False)
    assert (await started(app, film(two, one))).id != first.id


async def test_a_length_found_by_looking_is_no_part_of_the_identity(app: App, clip: Path) -> None:
    job = await joined(app, clip)
    lengthless = [item.model_copy(update={"duration": None}) for item in job.request.images]
    other = job.request.model_copy(update={"images": tuple(lengthless)})
    assert request_hash(other, Parents()) == job.request_hash


async def test_a_default_model_that_makes_clips_does_not_join_them(paid_settings: Settings, clip: Path) -> None:
    settings = paid_settings.model_copy(update={"default_video_model": "acme-clip"})
    async with opened(settings, FakeClock()) as app:
        assert (await started(app, video())).lead.model == "acme-clip"
        put(settings.outputs / "a.mp4", clip.read_bytes())
        request = film(str(settings.outputs / "a.mp4"))
        plan = await planned(app, request, Terms(dry_run=True))
        assert plan.candidate.name == "draft/film-join"
        assert plan.quote is not None
        assert plan.quote.free


async def test_a_picture_is_not_joined_and_a_clip_is_not_edited(app: App, clip: Path, pictures: Path) -> None:
    png, mp4 = put(pictures / "a.png", picture()), put(pictures / "b.mp4", clip.read_bytes())
    for request, said in (
        (film(mp4, png), "is a picture of type image/png, no clip"),
        (image(images=[mp4]), "is a clip of type video/mp4, no picture"),
        (video(images=[f"clip={mp4}", png]), "Clips are joined with clips alone"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await app.generation.start(request, TERMS)
        assert said in caught.value.message
        assert str(caught.value.hint).startswith("Nothing was stored.")
    assert await app.store.find() == []


async def test_a_film_cannot_be_drawn_again(app: App, clip: Path) -> None:
    job = await joined(app, clip)
    done = await succeed(app, job)
    with pytest.raises(Unsupported) as caught:
        await app.generation.start(video(refine=done.id), TERMS)
    assert caught.value.message == f"{job.id} is a film joined of clips, which cannot be drawn again."
    assert caught.value.field == "refine"
