"""From a request to a stored job: planned, priced, capped, and never made twice."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from darkroom.app import App
from darkroom.domain.job import Job, LedgerKind, LedgerRow, State
from darkroom.domain.kinds import Mode, Role
from darkroom.domain.money import FREE, MicroUsd, to_micro
from darkroom.domain.request import ImageRequest, VideoRequest
from darkroom.errors import BudgetExceeded, InvalidRequest, PriceUnknown, UnknownJob
from darkroom.services.caps import OfRun, Terms
from darkroom.services.generation import Parents, Started, request_hash
from darkroom.settings import Settings
from darkroom.store.base import Added, Limit
from factories import FakeClock
from helpers_services import ME, TERMS, data_uri, image, opened, picture, planned, put, started, succeed, video

pytestmark = pytest.mark.anyio
GONE = "out_0000000000000000_1"


async def jobs(app: App) -> int:
    return len(await app.store.find())


async def again(app: App, request: ImageRequest | VideoRequest, terms: Terms = TERMS) -> str:
    """Start a request that was started before, and return the id of the first job."""
    made = await app.generation.start(request, terms)
    assert isinstance(made, Started)
    assert not made.created
    return made.job.id


# Starting


async def test_a_job_names_its_run_and_is_held_against_the_cap_of_it(
    paid: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str | None, tuple[Limit, ...]]] = []
    add = paid.store.add

    async def watched(
        job: Job, ledger: Sequence[LedgerRow], *, again: bool, limits: tuple[Limit, ...], **_: object
    ) -> Added:
        seen.append((job.run_id, limits))
        return await add(job, ledger, again=again)

    monkeypatch.setattr(paid.store, "add", watched)
    await started(paid, image(), Terms(run=OfRun("run_2", "run_1", root_cap=MicroUsd(90_000))))
    await started(paid, image(seed=1), Terms(run=OfRun("run_2", "run_2")))
    await started(paid, image(seed=2))
    cap = Limit("cap of the whole run", "max_cost in a new call", "run", MicroUsd(90_000), 0, run_id="run_1")
    assert seen == [("run_2", (cap,)), ("run_2", ()), (None, ())]


async def test_a_job_is_stored_as_it_will_run(app: App, clock: FakeClock) -> None:
    options = {"labels": ["a"], "deadline_s": 60, "priority": 3, "format": "webp"}
    request = image(size="512x512", seed=7, options=options)
    job = await started(app, request, Terms(save_as="fox.png", max_cost=MicroUsd(5)))
    assert await app.store.get(job.id, ME) == job
    assert (job.state, job.mode, job.kind) == (State.QUEUED, Mode.TEXT_TO_IMAGE, "image")
    assert (job.labels, job.priority, job.save_as, job.max_cost) == (("a",), 3, "fox.png", 5)
    (part,) = job.submissions
    assert (part.provider, part.model, part.replayable, part.account) == ("draft", "draft-image", True, "none")
    assert (part.due_at, part.deadline_at) == (clock.now(), clock.now() + 60_000)
    assert (part.effective.width, part.effective.seed, part.effective.options) == (512, 7, {"format": "webp"})
    (row,) = await app.store.ledger(job.id)
    assert (row.kind, row.micro_usd, row.certain) == (LedgerKind.RESERVED, FREE, True)


async def test_what_was_changed_to_fit_is_kept_with_the_job(app: App) -> None:
    job = await started(app, video(resolution="540p"))
    assert job.warnings == ("resolution 540p became 480p, the nearest that draft-video has.",)
    assert job.mode is Mode.TEXT_TO_VIDEO


async def test_a_dry_run_stores_nothing(paid: App) -> None:
    plan = await planned(paid, image(n=2), Terms(dry_run=True))
    assert plan.candidate.name == "acme/acme-pro"
    assert plan.quote is not None
    assert plan.quote.likely == 80_000
    assert await jobs(paid) == 0


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (image(prompt=""), "prompt"),
        (image(prompt="   "), "prompt"),
        (video(prompt=""), "prompt"),
        (video(prompt="", scenes=[{"prompt": "one"}, {"duration": 2}]), "prompt"),
        (image(prompt="fox", images=["clip=a.mp4"]), "images"),
        (image(options={"colour": "red"}), "options.colour"),
        (image(options={"labels": "a"}), "labels"),
        (image(options={"deadline_s": 1}), "deadline_s"),
    ],
)
async def test_what_cannot_be_is_refused_and_not_stored(request_: ImageRequest, field: str, app: App) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await app.generation.start(request_, TERMS)
    assert caught.value.field == field
    assert await jobs(app) == 0


async def test_scenes_may_stand_for_the_prompt(app: App, pictures: Path) -> None:
    path = put(pictures / "fox.png", picture())
    job = await started(app, video(prompt="", scenes=[{"prompt": "one"}, {"image": path}]))
    assert isinstance(job.request, VideoRequest)
    first, second = job.request.scenes
    assert first.image is None
    assert second.image is not None
    assert second.image.sha256 is not None
    assert job.mode is Mode.TIMELINE


async def test_an_option_that_no_configured_offer_has_is_refused(app: App) -> None:
    with pytest.raises(InvalidRequest, match="has no option 'enhance'"):
        await app.generation.start(image(options={"enhance": True}), TERMS)


async def test_a_place_that_may_not_be_written_is_refused_before_anything_is_stored(app: App) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await app.generation.start(image(), Terms(save_as="../../fox.png"))
    assert caught.value.field == "save_as"
    assert await jobs(app) == 0


async def test_others_than_who_sits_here_name_no_place(app: App) -> None:
    with pytest.raises(InvalidRequest, match="not for callers over this connection") as caught:
        await app.generation.start(image(), Terms(principal="ann", local=False, save_as="fox.png"))
    assert caught.value.field == "save_as"
    assert await jobs(app) == 0
    assert isinstance(await app.generation.start(image(), Terms(principal="ann", local=False)), Started)


async def test_the_settings_choose_the_model_where_the_call_does_not(clock: FakeClock, paid_settings: Settings) -> None:
    models = {"default_image_model": "draft-image", "default_video_model": "animatic"}
    async with opened(paid_settings.model_copy(update=models), clock) as app:
        assert (await planned(app, image(), Terms(dry_run=True))).candidate.name == "draft/draft-image"
        assert (await planned(app, video(), Terms(dry_run=True))).candidate.name == "draft/draft-video"


# Money


async def test_nothing_may_be_spent_where_only_free_offers_are_wanted(paid: App) -> None:
    with pytest.raises(BudgetExceeded) as caught:
        await paid.generation.start(image(model="acme-pro"), Terms(max_cost=FREE))
    assert caught.value.message == "acme/acme-pro would cost $0.04; the cap is $0.00."
    assert caught.value.field == "max_cost"
    job = await started(paid, image(), Terms(max_cost=FREE))
    assert (job.max_cost, job.submissions[0].provider) == (0, "draft")
    assert await jobs(paid) == 1


async def test_a_price_may_reach_the_cap_and_not_pass_it(paid: App) -> None:
    cap = Terms(max_cost=MicroUsd(80_000))
    job = await started(paid, image(n=2), cap)
    assert (job.max_cost, job.submissions[0].estimate) == (80_000, 80_000)
    with pytest.raises(BudgetExceeded):
        await paid.generation.start(image(n=3), cap)


async def test_the_lower_of_the_callers_and_the_settings_cap_holds(clock: FakeClock, paid_settings: Settings) -> None:
    async with opened(paid_settings.model_copy(update={"max_cost": Decimal("0.05")}), clock) as app:
        with pytest.raises(BudgetExceeded, match=r"the cap is \$0\.05"):
            await app.generation.start(image(n=2), TERMS)
        with pytest.raises(BudgetExceeded, match=r"the cap is \$0\.01"):
            await app.generation.start(image(), Terms(max_cost=to_micro(Decimal("0.01"))))
        assert (await started(app, image(), Terms(max_cost=to_micro(Decimal(9))))).max_cost == 50_000


async def test_an_unknown_price_is_refused_under_a_cap_unless_allowed(paid: App) -> None:
    mystery = image(model="acme-mystery")
    with pytest.raises(PriceUnknown) as caught:
        await paid.generation.start(mystery, Terms(max_cost=MicroUsd(5)))
    assert "allow_unpriced" in (caught.value.hint or "")
    assert await jobs(paid) == 0
    allowed = image(model="acme-mystery", options={"allow_unpriced": True})
    job = await started(paid, allowed, Terms(max_cost=MicroUsd(5)))
    assert job.submissions[0].estimate is None
    (row,) = await paid.store.ledger(job.id)
    assert (row.micro_usd, row.certain) == (0, False)


async def test_an_unknown_price_without_a_cap_runs(paid: App) -> None:
    assert (await started(paid, image(model="acme-mystery"))).max_cost is None


# The same call, the same job


async def test_a_repeated_call_returns_the_first_job(app: App) -> None:
    job = await started(app, image(size="512x512"))
    assert await again(app, image(size=" 512 X 512 ")) == job.id
    assert await again(app, image(size="512x512"), Terms(max_cost=FREE, save_as="x.png")) == job.id
    assert (await started(app, image(size="512x512"), Terms(again=True))).id != job.id
    assert (await started(app, image(size="512x512"), Terms(principal="other"))).id != job.id


async def test_a_key_names_one_request(app: App) -> None:
    job = await started(app, image(), Terms(idempotency_key="k"))
    assert await again(app, image(), Terms(idempotency_key="k")) == job.id
    assert (await started(app, image(), Terms(idempotency_key="other"))).id != job.id
    with pytest.raises(InvalidRequest) as caught:
        await app.generation.start(image(prompt="a cat"), Terms(idempotency_key="k"))
    assert job.id in caught.value.message


async def test_the_identity_of_a_request_is_its_contents_and_not_its_file_names(app: App, pictures: Path) -> None:
    one, same = put(pictures / "one.png", picture()), put(pictures / "two.png", picture())
    other = put(pictures / "three.png", picture("green"))
    job = await started(app, image(images=[one]))
    for src in (same, data_uri(picture()), {"src": one, "name": "the fox"}):
        assert await again(app, image(images=[src])) == job.id
    assert (await started(app, image(images=[other]))).id != job.id
    assert (await started(app, image(images=[f"reference={one}"]))).id != job.id
    clip = await started(app, video(scenes=[{"image": one}]))
    assert await again(app, video(scenes=[{"image": same}])) == clip.id
    assert (await started(app, video(scenes=[{"image": other}]))).id != clip.id


def test_the_identity_knows_arguments_and_the_retried_job_but_no_caps() -> None:
    base = request_hash(image(), Parents())
    assert request_hash(image(allow_unpriced=True), Parents()) == base
    assert request_hash(image(), Parents(parent_job_id="job_1")) == base
    different = [image(seed=1), image(n=2), image(prompt="a cat"), image(model="draft"), video(prompt="a red fox")]
    assert base not in {request_hash(item, Parents()) for item in different}
    assert request_hash(image(), Parents(retry_of="job_1")) != base


# Inputs


async def test_a_picture_may_be_a_path_or_a_data_uri(app: App, pictures: Path) -> None:
    path = put(pictures / "fox.png", picture(size=(80, 60)))
    job = await started(app, image(images=[path, f"style={data_uri(picture('green'))}"]))
    first, second = job.request.images
    assert (first.name, first.width, first.height, first.media_type) == ("fox.png", 80, 60, "image/png")
    assert (second.name, second.role) == (None, Role.STYLE)
    assert [item.src for item in job.request.images] == [f"input:{item.sha256}" for item in (first, second)]
    assert [item.role for item in job.submissions[0].effective.inputs] == [Role.SOURCE, Role.REFERENCE]
    assert job.submissions[0].effective.aspect_ratio == "4:3"


async def test_a_picture_may_be_an_output_by_its_id(app: App) -> None:
    made = await succeed(app, await started(app, image()))
    job = await started(app, image(prompt="with a hat", images=[made.outputs[0].id]))
    (item,) = job.request.images
    assert (item.name, item.width) == (made.outputs[0].id, 64)
    named = await started(app, image(prompt="a tie", images=[{"src": made.outputs[0].id, "name": "it"}]))
    assert named.request.images[0].name == "it"


async def test_an_output_of_nobody_or_of_another_is_unknown(app: App) -> None:
    made = await succeed(app, await started(app, image(), Terms(principal="other")))
    for src in (GONE, made.outputs[0].id):
        with pytest.raises(UnknownJob) as caught:
            await app.generation.start(image(images=[src]), TERMS)
        assert src in caught.value.message
    assert await app.store.find(principal=ME) == []


async def test_a_file_may_be_called_like_an_output(app: App, pictures: Path) -> None:
    put(pictures / "out_fox.png", picture())
    assert (await started(app, image(images=["out_fox.png"]))).request.images[0].name == "out_fox.png"


@pytest.mark.parametrize("src", ["no-such.png", "data:image/png;base64,AAAA", "ftp://example.test/a.png"])
async def test_a_refused_picture_stores_no_job(src: str, app: App) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await app.generation.start(image(images=[src]), TERMS)
    assert caught.value.field == "images"
    assert await jobs(app) == 0


async def test_paths_are_for_those_on_this_machine(app: App, pictures: Path) -> None:
    path = put(pictures / "fox.png", picture())
    away = Terms(principal="guest", local=False)
    with pytest.raises(InvalidRequest):
        await app.generation.start(image(images=[path]), away)
    mine = await succeed(app, await started(app, image(), away))
    assert await started(app, image(images=[mine.outputs[0].id]), away)


@pytest.mark.parametrize(
    "fields", [{"prompt": None}, {"n": 0}, {"size": [0, 0]}, {"images": [{"src": "x", "sha256": "y"}]}]
)
async def test_a_change_is_held_to_the_rules_of_a_request(fields: dict[str, Any], app: App) -> None:
    made = await succeed(app, await started(app, image()))
    with pytest.raises(InvalidRequest):
        await app.generation.retry(made.id, fields, TERMS)
    assert await jobs(app) == 1
