"""What all of a run would cost, before anything of it is started."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from darkroom.app import App
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Mode
from darkroom.errors import BudgetExceeded, InvalidRequest, NotConfigured, UnknownModel
from darkroom.services.caps import Terms
from darkroom.settings import Settings
from factories import FakeClock
from helpers_services import opened
from helpers_tasks import counts, task

FILM = "a 15 s product video for blue running shoes"
PICTURE: dict[str, Any] = {
    "id": "picture",
    "kind": "image",
    "model": "gpt-image-2.5-flare",
    "arguments": {"prompt": "a lamp", "aspect_ratio": "1:1"},
}


def own(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": "own", "title": "Own", "about": "Own.", "steps": list(steps), **more}


@pytest.fixture
async def paid(clock: FakeClock, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[App]:
    """With a provider of pictures and clips, which are paid for."""
    monkeypatch.setenv("FAL_KEY", "id:secret")
    async with opened(settings, clock) as app:
        yield app


@pytest.fixture
async def thinking(clock: FakeClock, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[App]:
    """With such a provider and a language model."""
    monkeypatch.setenv("FAL_KEY", "id:secret")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    async with opened(settings, clock) as app:
        yield app


async def test_without_a_key_all_of_a_workflow_is_free(app: App) -> None:
    before = await counts(app)
    plan = await app.runs.plan(task(FILM, workflow="product_video"), Terms(dry_run=True))
    assert plan.price is not None
    assert plan.price.free
    assert [(item.step, item.calls) for item in plan.price.steps] == [("keyframes", 4), ("clips", 4), ("film", 1)]
    assert {offer for item in plan.price.steps for offer in item.offers} == {
        "draft/draft-image",
        "draft/draft-video",
        "draft/film-join",
    }
    assert plan.obstacle is None
    assert await counts(app) == before


async def test_a_workflow_that_is_paid_for_is_priced_whole(paid: App) -> None:
    plan = await paid.runs.plan(task(FILM, workflow="product_video"), Terms())
    price = plan.price
    assert price is not None
    assert (price.calls, price.partial, price.free) == (9, None, False)
    assert 0 < price.low <= price.likely <= price.high
    assert price.likely == sum(item.likely for item in price.steps)
    started = await paid.runs.start(task(FILM, workflow="product_video"), Terms())
    assert started.price == price


async def test_nothing_is_started_where_all_of_it_would_pass_the_cap(paid: App) -> None:
    what = task(FILM, workflow="product_video")
    before = await counts(paid)
    with pytest.raises(BudgetExceeded, match=r"product_video would cost .*; the cap is \$1\.00"):
        await paid.runs.start(what, Terms(max_cost=MicroUsd(1_000_000)))
    assert await counts(paid) == before
    plan = await paid.runs.plan(what, Terms(max_cost=MicroUsd(1_000_000), dry_run=True))
    assert plan.obstacle is not None
    assert "the cap is $1.00" in plan.obstacle


async def test_a_cap_of_nothing_takes_drafts(paid: App) -> None:
    started = await paid.runs.start(task(FILM, workflow="product_video"), Terms(max_cost=MicroUsd(0)))
    assert started.price is not None
    assert started.price.high == 0


async def test_what_is_dear_is_asked_for_first(clock: FakeClock, settings: Settings, paid: App) -> None:
    asking = settings.model_copy(update={"confirm_above": Decimal(1)})
    what = task(FILM, workflow="product_video")
    async with opened(asking, clock) as app:
        with pytest.raises(BudgetExceeded, match="the user is to agree first") as caught:
            await app.runs.start(what, Terms())
        plan = await app.runs.plan(what, Terms(dry_run=True))
        assert "the user is to agree first" in (plan.obstacle or "")
        assert plan.price is not None
        assert f"max_cost={plan.price.high / 1_000_000:g}" in (caught.value.hint or "")
        assert (await app.runs.start(what, Terms(max_cost=plan.price.high))).created


async def test_with_a_language_model_the_price_is_said_to_be_a_guess(thinking: App) -> None:
    plan = await thinking.runs.plan(task(FILM, workflow="product_video"), Terms())
    assert plan.price is not None
    assert plan.price.approximate
    assert "a language model decides" in (plan.price.partial or "")
    chat = await thinking.runs.plan(task("Write a line."), Terms())
    assert (chat.price, chat.run.mode) == (None, Mode.LOOP)


async def test_the_one_picture_of_a_message_is_priced(paid: App) -> None:
    plan = await paid.runs.plan(task("make a video of a cat playing a piano"), Terms())
    assert plan.price is not None
    assert [(item.step, item.calls) for item in plan.price.steps] == [("generate_video", 1)]
    assert plan.price.high > 0
    brief = await paid.runs.plan(task("Write three headlines.", agent="copy"), Terms())
    assert (brief.price, brief.run.mode) == (None, Mode.HAND_OFF)


async def test_what_cannot_be_is_refused_before_anything_is_started(paid: App) -> None:
    unknown = PICTURE | {"model": "gpt-image-nine"}
    before = await counts(paid)
    with pytest.raises(UnknownModel, match="gpt-image-nine"):
        await paid.runs.start(task("A lamp.", workflow=own(unknown)), Terms())
    keyless = PICTURE | {"model": None, "provider": "runway"}
    with pytest.raises(NotConfigured, match=r"(?i)runway"):
        await paid.runs.start(task("A lamp.", workflow=own(keyless)), Terms())
    wrong = PICTURE | {"arguments": {"prompt": "a lamp", "size": "twelve"}}
    with pytest.raises(InvalidRequest):
        await paid.runs.start(task("A lamp.", workflow=own(wrong)), Terms())
    assert await counts(paid) == before


async def test_a_step_that_may_fail_keeps_nothing_from_starting(paid: App) -> None:
    unknown = PICTURE | {"model": "gpt-image-nine", "optional": True}
    started = await paid.runs.start(task("A lamp.", workflow=own(unknown)), Terms())
    assert started.price is not None
    assert started.price.partial == "no price is known for 1 of 1 calls"


async def test_what_a_model_may_yet_decide_keeps_nothing_from_starting(thinking: App) -> None:
    words: dict[str, Any] = {
        "id": "words",
        "kind": "agent",
        "agent": "copy",
        "task": "A size.",
        "returns": {"size": {}},
    }
    drawn = PICTURE | {"arguments": {"prompt": "a lamp", "size": "{steps.words.size}"}}
    flow = own(words | {"draft": {"size": "twelve"}}, drawn)
    started = await thinking.runs.start(task("A lamp.", workflow=flow), Terms())
    assert started.price is not None
    assert "no price is known for 1 of 1 calls" in (started.price.partial or "")
    with pytest.raises(UnknownModel):
        await thinking.runs.start(task("A lamp.", workflow=own(words, PICTURE | {"model": "gpt-image-nine"})), Terms())


async def test_steps_that_are_known_only_on_the_way_are_named(thinking: App) -> None:
    words: dict[str, Any] = {
        "id": "words",
        "kind": "agent",
        "agent": "copy",
        "task": "Lines.",
        "returns": {"lines": {"type": "list"}},
    }
    each = PICTURE | {"for_each": "{steps.words.lines}", "arguments": {"prompt": "{item}"}}
    plan = await thinking.runs.plan(task("A lamp.", workflow=own(words, each)), Terms())
    assert plan.price is not None
    assert plan.price.open_steps == ("picture",)
    assert "picture cannot be told before" in (plan.price.partial or "")
    assert replace(plan.price, open_steps=(), approximate=False).partial is None
