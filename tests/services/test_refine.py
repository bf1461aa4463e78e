"""Who goes on with a result, and how: its own model where that can, else whatever can change it."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import anyio.to_thread
import pytest

from darkroom.app import App
from darkroom.catalog.providers import Provider
from darkroom.domain.job import Job, State
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.output import Output
from darkroom.domain.request import Earlier, ImageRequest, VideoRequest
from darkroom.errors import InvalidRequest, UnknownJob, Unsupported
from darkroom.services.caps import Terms
from darkroom.services.generation import Started, request_of
from darkroom.services.refine import Offers, continue_from
from darkroom.settings import Settings
from darkroom.store.base import Acceptance, Intent, Move
from factories import FakeClock
from helpers_services import TERMS, image, opened, picture, put, started, video

pytestmark = pytest.mark.anyio
KEY = "DARKROOM_TALK_API_KEY"
PRICE = """
[[offers.prices]]
unit = "image"
usd = "0.04"
source = "a page"
as_of = 2026-01-01
"""
MANIFEST = f"""
id = "talk"
title = "Talk Labs"
adapter = "draft"
credentials = ["{KEY}"]

[[offers]]
model = "talk-image"
aliases = ["chatty"]
operations = ["text_to_image", "edit_image", "reference_to_image"]
inputs = {{source = 1, reference = 4}}
continues = true
count_max = 2
seed = true
rank = 50
{PRICE}
[[offers]]
model = "plain-image"
operations = ["text_to_image", "edit_image", "reference_to_image"]
inputs = {{source = 1, reference = 4}}
rank = 40
{PRICE}
[[offers]]
model = "words-only"
operations = ["text_to_image"]
seed = true
rank = 30
{PRICE}
[[offers]]
model = "old-image"
operations = ["text_to_image", "edit_image"]
inputs = {{source = 1}}
continues = true
rank = 20
shutdown = 2026-01-01
{PRICE}
[[offers]]
model = "talk-clip"
operations = ["text_to_video", "edit_video", "extend_video"]
inputs = {{video = 1}}
duration = {{min_s = 2, max_s = 10}}
continues = true
rank = 50

[[offers]]
model = "plain-clip"
operations = ["text_to_video", "image_to_video", "edit_video", "extend_video"]
inputs = {{video = 1, first_frame = 1}}
duration = {{min_s = 2, max_s = 10}}
rank = 60
"""
TURN = {"signature": "c2ln"}


@pytest.fixture
def talk_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "talk.toml").write_text(MANIFEST, "utf-8")
    monkeypatch.setenv(KEY, "the-first-key")
    return Settings.load(providers_dir=folder)


@pytest.fixture
async def talk(talk_settings: Settings, clock: FakeClock) -> AsyncGenerator[App]:
    async with opened(talk_settings, clock) as app:
        yield app
        assert app.providers.problems == []


def offers_of(app: App) -> Offers:
    def account(provider: Provider) -> str | None:
        return app.accounts().account(provider)

    return Offers(app.generation.routes.usable, account)


async def continued(app: App, request: ImageRequest | VideoRequest, target: str) -> ImageRequest | VideoRequest:
    made, _ = await continue_from(request, target, app.store, TERMS.principal, offers_of(app))
    return made


async def made(
    app: App, request: ImageRequest | VideoRequest, turn: dict[str, Any] | None = TURN, count: int = 1, **notes: Any
) -> Job:
    """Return the job of a request whose first submission made so many results."""
    return await made_of(app, await started(app, request, Terms(again=True)), turn, count, **notes)


async def made_of(app: App, job: Job, turn: dict[str, Any] | None = TURN, count: int = 1, **notes: Any) -> Job:
    """End the first submission of a job, and all others without a result."""
    owner, now = "worker-1", app.clock.now()
    for claimed in await app.store.claim(owner, accounts=app.accounts().all(), now=now, limit=9):
        part = claimed.submission
        assert part.job_id == job.id
        assert await app.store.intend(part.ref, owner, Intent("key", part.account, now))
        acceptance = Acceptance(job.id, part.idx, 1, "key", now, {"id": "remote-1"}, "remote-1")
        accepted = await app.store.accept(acceptance)
        assert accepted is not None
        if part.idx:
            assert await app.store.move(accepted.ref, owner, Move(State.FAILED, now))
            continue
        loading = await app.store.move(accepted.ref, owner, Move(State.DOWNLOADING, now, notes=notes, turn=turn))
        assert loading is not None
        results = tuple(output(app, job, index + 1) for index in range(count))
        assert await app.store.move(loading.ref, owner, Move(State.SUCCEEDED, now, outputs=results))
    done = await app.store.get(job.id)
    assert done is not None
    assert done.state is State.SUCCEEDED
    return done


def output(app: App, job: Job, index: int) -> Output:
    clip = job.kind is Kind.VIDEO
    path = put(app.settings.outputs / f"{job.id}-{index}.{'mp4' if clip else 'png'}", picture("blue"))
    facts = {"width": 1280, "height": 720, "duration": 6.0 if clip else None}
    return Output.model_validate(
        {
            "id": f"out_{job.id.partition('_')[2]}_{index}",
            "job_id": job.id,
            "submission": 0,
            "index": index,
            "path": path,
            "media_type": "video/mp4" if clip else "image/png",
            "bytes": 1,
            "sha256": "ab" * 32,
            **facts,
        }
    )


def asked(**fields: Any) -> ImageRequest:
    return image(prompt="add a hat", **fields)


# A conversation


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"model": "talk-image"},
        {"model": "Talk Image"},
        {"model": "talk/talk-image"},
        {"model": "chatty"},
        {"model": "talk/chatty"},
        {"provider": "talk"},
        {"provider": "Talk Labs", "model": "chatty"},
    ],
)
async def test_its_own_model_goes_on_with_what_it_made(named: dict[str, Any], talk: App) -> None:
    parent = await made(talk, image(model="talk-image"))
    for target in (parent.id, parent.outputs[0].id):
        request = await continued(talk, asked(**named), target)
        assert (request.provider, request.model, request.prompt) == ("talk", "talk-image", "add a hat")
        assert request.images == ()
        assert request.follows == Earlier(
            job_id=parent.id,
            submission=0,
            offer="talk/talk-image",
            account=parent.submissions[0].account,
            pictures=1,
            width=1280,
            height=720,
        )


@pytest.mark.parametrize(
    "named",
    [{"model": "plain-image"}, {"provider": "draft"}, {"provider": "draft", "model": "talk-image"}, {"model": "talk"}],
)
async def test_another_model_is_shown_the_picture(named: dict[str, Any], talk: App) -> None:
    parent = await made(talk, image(model="talk-image"))
    request = await continued(talk, asked(**named), parent.id)
    assert (request.follows, request.model, request.provider) == (None, named.get("model"), named.get("provider"))
    assert [(item.src, item.role) for item in request.images] == [(parent.outputs[0].id, Role.SOURCE)]


async def test_without_its_turn_its_own_model_is_shown_the_picture(talk: App) -> None:
    parent = await made(talk, image(model="talk-image"), turn=None)
    request = await continued(talk, asked(), parent.id)
    assert (request.follows, request.model, [item.role for item in request.images]) == (
        None,
        "talk-image",
        [Role.SOURCE],
    )


async def test_another_account_knows_nothing_of_the_conversation(
    talk: App, talk_settings: Settings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = await made(talk, image(model="talk-image"))
    monkeypatch.setenv(KEY, "the-second-key")
    async with opened(talk_settings, clock) as other:
        request = await continued(other, asked(), parent.id)
    assert (request.follows, request.model) == (None, "talk-image")
    assert [item.role for item in request.images] == [Role.SOURCE]


async def test_without_its_key_it_is_routed_freely(
    talk: App, talk_settings: Settings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = await made(talk, image(model="talk-image"))
    monkeypatch.delenv(KEY)
    async with opened(talk_settings, clock) as other:
        request = await continued(other, asked(), parent.id)
        assert (request.follows, request.model, request.provider) == (None, None, None)
        assert [item.role for item in request.images] == [Role.SOURCE]


async def test_what_has_ended_is_routed_freely(talk: App, clock: FakeClock) -> None:
    parent = await made(talk, image(model="old-image"))
    assert (await continued(talk, asked(), parent.id)).follows is not None
    clock.advance(86_400)
    request = await continued(talk, asked(), parent.id)
    assert (request.follows, request.model, [item.role for item in request.images]) == (None, None, [Role.SOURCE])
    again = await continued(talk, image(prompt="", refine=parent.id), parent.id)
    assert (again.model, again.prompt, len(again.images)) == (None, "a red fox", 1)


async def test_a_model_that_cannot_change_it_leaves_it_to_its_provider_s_best(talk: App) -> None:
    parent = await made(talk, image(model="words-only"))
    request = await continued(talk, asked(), parent.id)
    assert (request.model, [item.role for item in request.images]) == ("talk-image", [Role.SOURCE])
    plain = await made(talk, image(model="plain-image"))
    assert (await continued(talk, asked(), plain.id)).model == "plain-image"


async def test_all_pictures_that_go_out_again_are_counted(talk: App, pictures: Path) -> None:
    hat = put(pictures / "hat.png", picture("green"))
    job = await made(talk, image(model="talk-image", n=2, images=[f"reference={hat}"]), count=2)
    counts: list[int] = []
    for _ in range(3):
        job = await made_of(talk, await started(talk, asked(refine=job.id), Terms(again=True)))
        follows = job.submissions[0].effective.follows
        assert follows is not None
        counts.append(follows.pictures)
        assert (job.mode, job.submissions[0].model) == (Mode.EDIT_IMAGE, "talk-image")
    assert counts == [3, 4, 5], "one that was given, two that were made, then one each"


async def test_a_repeated_turn_is_the_same_job(talk: App) -> None:
    parent = await made(talk, image(model="talk-image"))
    first = await started(talk, asked(refine=parent.id))
    repeated = await talk.generation.start(asked(refine=parent.id), TERMS)
    assert isinstance(repeated, Started)
    assert (repeated.created, repeated.job.id) == (False, first.id)
    assert await talk.store.children(parent.id) == [first.id]


async def test_pictures_without_words_repeat_those_of_before(talk: App, pictures: Path) -> None:
    hat = put(pictures / "hat.png", picture("green"))
    parent = await made(talk, image(model="talk-image"))
    job = await started(talk, image(prompt="", refine=parent.id, images=[f"reference={hat}"]))
    assert (job.request.prompt, job.request.follows is not None) == ("a red fox", True)


async def test_another_offer_is_not_given_somebody_elses_turn(talk: App) -> None:
    parent = await made(talk, image(model="talk-image"))
    job = await made_of(talk, await started(talk, asked(refine=parent.id)))
    again = await talk.generation.retry(job.id, {}, TERMS)
    assert isinstance(again, Started)
    assert again.job.request.follows == job.request.follows
    with pytest.raises(Unsupported, match="talk/plain-image knows nothing of what talk/talk-image made"):
        await talk.generation.retry(job.id, {"model": "plain-image"}, TERMS)


# A variation


async def test_without_an_instruction_its_own_model_makes_it_anew_with_another_seed(talk: App, pictures: Path) -> None:
    fox = put(pictures / "fox.png", picture())
    parent = await made(talk, image(model="talk-image", seed=5, images=[f"reference={fox}"]))
    request = await continued(talk, image(prompt="", refine=parent.id), parent.id)
    assert (request.prompt, request.seed, request.model, request.follows) == ("a red fox", 6, "talk-image", None)
    assert request.images == parent.request.images
    noted = await made(talk, image(model="talk-image"), seed=41)
    assert (await continued(talk, image(prompt="", refine=noted.id), noted.id)).seed == 42


async def test_a_variation_of_several_makes_none_of_them_again(talk: App) -> None:
    parent = await made(talk, image(model="talk-image", seed=5, n=3), count=2)
    request = await continued(talk, image(prompt="", refine=parent.id), parent.id)
    assert (request.seed, request.n) == (8, 3)


async def test_where_there_are_no_seeds_none_is_made_up(talk: App) -> None:
    parent = await made(talk, image(model="plain-image"), seed=9)
    request = await continued(talk, image(prompt="", refine=parent.id), parent.id)
    assert (request.seed, request.model, request.images) == (None, "plain-image", ())
    assert (await continued(talk, image(prompt="", seed=3, refine=parent.id), parent.id)).seed == 3


async def test_a_variation_of_a_later_turn_is_that_turn_once_more(talk: App) -> None:
    first = await made(talk, image(model="talk-image"))
    second = await made_of(talk, await started(talk, asked(refine=first.id)))
    request = await continued(talk, image(prompt="", refine=second.id), second.id)
    assert (request.prompt, request.follows) == ("add a hat", second.request.follows)
    assert request.follows is not None
    assert request.follows.job_id == first.id


# Clips


async def test_a_clip_is_gone_on_with_by_the_id_that_its_provider_gave_it(talk: App) -> None:
    parent = await made(talk, video(model="talk-clip"), turn=None)
    for extend, mode in ((False, Mode.EDIT_VIDEO), (True, Mode.EXTEND_VIDEO)):
        options = {"extend": True} if extend else {}
        job = await started(talk, video(prompt="at night", refine=parent.id, options=options))
        assert (job.mode, job.submissions[0].model, job.request.images) == (mode, "talk-clip", ())
        follows = job.submissions[0].effective.follows
        assert follows is not None
        assert (follows.job_id, follows.pictures, follows.duration) == (parent.id, 0, 6)


async def test_a_clip_is_gone_on_with_in_the_words_of_before_where_there_are_no_others(talk: App) -> None:
    parent = await made(talk, video(model="talk-clip"), turn=None)
    request = await continued(talk, video(prompt="", extend=True, refine=parent.id), parent.id)
    assert (request.prompt, request.follows is not None) == ("a red fox runs", True)
    again = await continued(talk, video(prompt="", refine=parent.id), parent.id)
    assert (again.prompt, again.follows) == ("a red fox runs", None), "a variation"


@pytest.mark.parametrize("extend", [False, True])
async def test_a_clip_that_is_not_gone_on_with_is_shown_to_who_changes_it(talk: App, *, extend: bool) -> None:
    parent = await made(talk, video(model="plain-clip"), turn=None)
    request = await continued(talk, video(prompt="at night", extend=extend), parent.id)
    assert (request.follows, request.model) == (None, "plain-clip")
    assert [(item.src, item.role) for item in request.images] == [(parent.outputs[0].id, Role.VIDEO)]


async def test_a_picture_becomes_the_first_frame_of_whoever_makes_clips(talk: App) -> None:
    parent = await made(talk, image(model="talk-image"))
    job = await started(talk, video(prompt="it runs", refine=parent.id))
    assert (job.mode, job.submissions[0].model) == (Mode.IMAGE_TO_VIDEO, "plain-clip")
    assert [item.role for item in job.request.images] == [Role.FIRST_FRAME]
    with pytest.raises(InvalidRequest) as caught:
        await talk.generation.start(video(prompt="on", refine=parent.id, options={"extend": True}), TERMS)
    assert caught.value.field == "options.extend"


# What nobody may say


FOLLOWS = {"job_id": "job_1", "submission": 0, "offer": "talk/talk-image"}


@pytest.mark.parametrize(("name", "value"), [("follows", FOLLOWS), ("strict", True), ("extend", True)])
async def test_no_caller_says_what_a_request_follows(name: str, value: Any, talk: App) -> None:
    parent = await made(talk, image(model="talk-image"))
    for tool in ("generate_image", "generate_video"):
        with pytest.raises(InvalidRequest, match=f"has no argument '{name}'"):
            request_of(tool, {"prompt": "a fox", name: value})
    with pytest.raises(InvalidRequest, match=f"changes has no '{name}'") as caught:
        await talk.generation.retry(parent.id, {name: value}, TERMS)
    assert not {"follows", "strict", "extend"} & set(caught.value.allowed or ())


async def test_what_it_follows_is_no_option_either(talk: App) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await talk.generation.start(image(model="talk-image", options={"follows": FOLLOWS}), TERMS)
    assert caught.value.field == "options.follows"


async def test_strict_and_extend_are_options(talk: App) -> None:
    job = await started(talk, image(model="talk-image", options={"strict": True}))
    assert job.request.strict
    assert job.request.options == {}
    assert job.submissions[0].effective.rules is not None
    ended = await made_of(talk, job)
    changed = await talk.generation.retry(ended.id, {"options": {"strict": False}}, TERMS)
    assert isinstance(changed, Started)
    assert not changed.job.request.strict
    with pytest.raises(InvalidRequest) as caught:
        await talk.generation.start(image(options={"extend": True}), TERMS)
    assert caught.value.field == "extend"


# What cannot be continued


async def test_only_ones_own_conversation_is_gone_on_with(talk: App) -> None:
    theirs = await made_of(talk, await started(talk, image(model="talk-image"), Terms(principal="other")))
    for target in (theirs.id, theirs.outputs[0].id, "out_nope_1"):
        with pytest.raises(UnknownJob) as caught:
            await talk.generation.start(asked(refine=target), TERMS)
        assert caught.value.field == "refine"


async def test_a_failed_job_has_nothing_to_go_on_with(talk: App) -> None:
    job = await started(talk, image(model="talk-image"))
    (claimed,) = await talk.store.claim("w", accounts=talk.accounts().all(), now=0, limit=1)
    assert await talk.store.move(claimed.submission.ref, "w", Move(State.FAILED, talk.clock.now()))
    with pytest.raises(InvalidRequest, match="is failed and has no result"):
        await talk.generation.start(asked(refine=job.id), TERMS)


# What may be used


async def test_an_offer_may_be_used_while_it_lives_and_has_its_key(
    talk: App, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, talk_settings: Settings
) -> None:
    usable = talk.generation.routes.usable
    found = await anyio.to_thread.run_sync(usable, "talk", "talk-image")
    assert found is not None
    assert found.name == "talk/talk-image"
    assert usable("nobody", "talk-image") is None
    assert usable("talk", "no-such-model") is None
    assert usable("talk", "old-image") is not None
    clock.advance(86_400)
    assert usable("talk", "old-image") is None
    monkeypatch.delenv(KEY)
    async with opened(talk_settings, clock) as other:
        assert await anyio.to_thread.run_sync(other.generation.routes.usable, "draft", "draft-image") is not None
        assert other.generation.routes.usable("talk", "talk-image") is None


async def test_a_strict_conversation_stays_strict_unless_the_caller_says_otherwise(talk: App) -> None:
    parent = await made(talk, image(model="talk-image", options={"strict": True}))
    assert (await continued(talk, asked(), parent.id)).strict
    assert not (await continued(talk, asked(strict=False), parent.id)).strict


async def test_a_result_that_is_there_is_gone_on_with_though_another_submission_is_not_known(talk: App) -> None:
    parent = await made(talk, image(model="plain-image"))
    lost = parent.submissions[0].model_copy(update={"idx": 1, "state": State.SUBMIT_UNKNOWN})
    half = parent.model_copy(update={"submissions": (*parent.submissions, lost)})
    assert half.state is State.SUBMIT_UNKNOWN
    told = AsyncMock(wraps=talk.store, get=AsyncMock(return_value=half))
    request, found = await continue_from(asked(), parent.outputs[0].id, told, "local", offers_of(talk))
    assert (found, len(request.images)) == (parent.id, 1)
