"""Runs without a language model: a plain wish is carried out once, whatever breaks; all else becomes a brief."""

from collections.abc import AsyncGenerator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from pydantic import JsonValue

from darkroom.app import App
from darkroom.domain.job import Job, State
from darkroom.domain.money import MicroUsd
from darkroom.domain.request import ImageRequest, VideoRequest
from darkroom.domain.run import Run, RunState
from darkroom.errors import DarkroomError, NotConfigured, StorageFull
from darkroom.llm.hand_over import HANDED, HandOver
from darkroom.services.caps import Terms
from darkroom.services.tasks import Task
from darkroom.settings import Settings
from factories import FakeClock
from helpers_services import MANIFEST, opened, put
from helpers_tasks import OWNER, TERMS, begun, claimed, task

WISH = "Please make a picture of a red fox in the snow"
FULL = StorageFull("The disk is full.")


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    """With a provider of pictures at 4 cents; reading them blocks."""
    put(tmp_path / "manifests" / "acme.toml", MANIFEST.encode())
    return Settings.load(providers_dir=tmp_path / "manifests")


@pytest.fixture
async def app(settings: Settings) -> AsyncGenerator[App]:
    async with opened(settings, FakeClock()) as program:
        yield program


def handing(app: App, **parts: Any) -> HandOver:
    usual: dict[str, Any] = {
        "store": app.store.runs,
        "jobs": app.store,
        "agents": app.agents,
        "hand_off": app.hand_off,
        "starter": app.starts,
        "clock": app.clock,
    }
    return HandOver(**(usual | parts))


async def thought(app: App, what: Task, terms: Terms = TERMS) -> Run:
    """Start a task, and carry its run to its end."""
    await begun(app, what, terms)
    run = await handing(app).think(await claimed(app), OWNER)
    assert run is not None
    return run


async def jobs(app: App) -> list[Job]:
    return await app.store.find(limit=100)


async def said(app: App, run: Run) -> list[tuple[str, str]]:
    session = await app.sessions.get(run.session_id or "", run.principal)
    assert {message.run_id for message in session.history[-2:]} == {run.id}
    return [(message.role, message.content) for message in session.history]


# A plain wish


async def test_a_plain_wish_for_a_picture_starts_its_job(app: App) -> None:
    run = await thought(app, task(WISH), Terms(max_cost=MicroUsd(50_000)))
    [job] = await jobs(app)
    assert (run.state, run.brief, run.owner) == (RunState.SUCCEEDED, None, None)
    assert [(action.tool, action.job_id, action.key) for action in run.actions] == [
        ("generate_image", job.id, f"{run.id}/1/0")
    ]
    assert (job.run_id, job.idempotency_key, job.max_cost) == (run.id, f"{run.id}/1/0", 50_000)
    assert job.request.prompt == "a red fox in the snow"
    assert run.output == f"I've started your picture of a red fox in the snow. check_job({job.id!r}) has the result."
    assert await said(app, run) == [("user", WISH), ("assistant", run.output)]


async def test_a_wish_for_a_clip_starts_a_clip(app: App) -> None:
    run = await thought(app, task("Make a 4 second video of a red fox"))
    [job] = await jobs(app)
    assert (run.actions[0].tool, job.lead.effective.duration) == ("generate_video", 4)


async def test_a_run_that_was_broken_off_between_start_and_save_has_one_job(app: App) -> None:
    await begun(app, task(WISH))
    first = await claimed(app)

    class Full:
        """Keeps nothing."""

        started = app.store.runs.started

        async def save(self, *_: Any) -> None:
            raise FULL

    with pytest.raises(StorageFull):
        await handing(app, store=Full()).think(first, OWNER)
    [job] = await jobs(app)
    assert await app.store.reap([OWNER], app.clock.now()) is not None
    again = await claimed(app, "worker-2")
    run = await handing(app).think(again, "worker-2")
    assert run is not None
    assert ([action.job_id for action in run.actions], len(await jobs(app))) == ([job.id], 1)


async def test_what_the_context_knows_of_the_picture_is_agreed_before_it_is_made(app: App) -> None:
    run = await thought(app, task(WISH, context={"references": ["out_abc123"], "ratio": "9:16"}))
    assert run.brief is not None
    assert run.brief["next_calls"][0]["arguments"] == {
        "prompt": "a red fox in the snow",
        "aspect_ratio": "9:16",
        "images": ["out_abc123"],
    }
    assert await jobs(app) == []


async def test_a_context_that_says_nothing_of_the_picture_does_not_hold_it_up(app: App) -> None:
    run = await thought(app, task(WISH, context={"audience": "children"}))
    assert (run.brief, len(await jobs(app))) == (None, 1)


async def test_a_question_starts_nothing_and_is_handed_over(app: App) -> None:
    run = await thought(app, task("can you make videos?"))
    assert run.brief is not None
    assert [call["tool"] for call in run.brief["next_calls"]] == ["estimate_credits"]
    assert await jobs(app) == []


@pytest.mark.parametrize("words", ["can you animate my photo?", "remove the car from our picture", "extend my clip"])
async def test_a_call_that_waits_for_something_is_refused_as_it_stands(app: App, words: str) -> None:
    run = await thought(app, task(words))
    assert run.brief is not None
    [call] = run.brief["next_calls"]
    kind = VideoRequest if call["tool"] == "generate_video" else ImageRequest
    with pytest.raises(DarkroomError) as caught:
        await app.generation.start(kind.model_validate(call["arguments"]), TERMS)
    assert "<" in caught.value.message
    assert caught.value.hint
    assert await jobs(app) == []


class Starter:
    """Refuses everything."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def job(self, run: Run, tool: str, arguments: Mapping[str, JsonValue], key: str, max_cost: Any = None) -> str:
        raise self.error

    async def cancel(self, run: Run, ids: Any) -> None:
        raise AssertionError


async def test_a_job_that_was_started_before_is_found_though_it_would_now_be_refused(app: App) -> None:
    await begun(app, task(WISH))
    held = await claimed(app)
    name = await app.starts.job(held, "generate_image", {"prompt": "a red fox"}, f"{held.id}/1/0")
    run = await handing(app, starter=Starter(NotConfigured("The key is gone."))).think(held, OWNER)
    assert run is not None
    assert (run.state, run.actions[0].job_id) == (RunState.SUCCEEDED, name)


async def test_a_wish_that_a_budget_refuses_fails_with_the_reason(settings: Settings) -> None:
    poor = settings.model_copy(update={"daily_budget": Decimal("0.03")})
    async with opened(poor, FakeClock()) as app:
        run = await thought(app, task(WISH))
        assert await jobs(app) == []
    assert (run.state, run.actions) == (RunState.FAILED, ())
    assert run.error is not None
    assert run.error["code"] == "budget_exceeded"
    assert "the daily budget is $0.03" in run.error["message"]
    assert run.error["hint"].startswith("Wait for the next day")


async def test_a_wish_over_the_cap_of_its_call_is_made_for_less_or_not_at_all(app: App) -> None:
    run = await thought(app, task(WISH), Terms(max_cost=MicroUsd(0)))
    [job] = await jobs(app)
    assert (job.lead.provider, job.max_cost) == ("draft", 0)
    assert run.output is not None
    assert "a draft of your picture of a red fox in the snow" in run.output


async def test_a_store_that_is_full_leaves_the_run_to_be_tried_again(app: App) -> None:
    await begun(app, task(WISH))
    held = await claimed(app)
    with pytest.raises(StorageFull):
        await handing(app, starter=Starter(FULL)).think(held, OWNER)
    assert await app.runs.get(held.id, "local") == held


async def test_a_job_that_nobody_finds_any_more_is_at_least_named(app: App) -> None:
    class Empty:
        async def get(self, job_id: str) -> None:
            del job_id

    await begun(app, task(WISH))
    run = await handing(app, jobs=Empty()).think(await claimed(app), OWNER)
    [job] = await jobs(app)
    assert run is not None
    assert run.output == job.id


async def test_a_run_that_somebody_else_has_by_now_is_left_to_them(app: App) -> None:
    await begun(app, task("Plan the opening of a bakery."))
    held = await claimed(app)
    assert await handing(app).think(held, "worker-2") is None
    assert await app.runs.get(held.id, "local") == held


# A brief


async def test_everything_else_is_handed_over_as_a_brief(app: App) -> None:
    run = await thought(app, task("Plan the opening of a bakery.", context={"city": "Bath"}))
    assert (run.state, run.output, run.actions) == (RunState.SUCCEEDED, None, ())
    assert run.brief is not None
    assert run.brief["task"] == "Plan the opening of a bakery."
    assert "Bath" in str(run.brief["context"])
    assert await said(app, run) == [("user", "Plan the opening of a bakery."), ("assistant", HANDED)]
    assert await jobs(app) == []


async def test_an_agent_that_was_named_gets_its_brief_even_for_a_plain_wish(app: App) -> None:
    run = await thought(app, task(WISH, agent="image"))
    assert run.brief is not None
    assert run.brief["agent"] == "image"
    assert await jobs(app) == []


async def test_a_run_that_has_to_return_data_hands_over_a_brief_that_says_which(app: App) -> None:
    outer = await begun(app, task("Plan the opening of a bakery."))
    await claimed(app)
    inner = await app.runs.child(outer, "image", WISH, key="k", returns={"title": "its name"})
    run = await handing(app).think(await claimed(app), OWNER)
    assert run is not None
    assert (run.id, run.session_id) == (inner.id, None)
    assert run.brief is not None
    assert run.brief["returns"]["fields"] == {"title": "its name"}
    nameless = inner.model_copy(update={"id": "run_9", "agent": None, "idempotency_key": "other"})
    await app.store.runs.add(nameless)
    run = await handing(app).think(await claimed(app), OWNER)
    assert run is not None
    assert run.brief is not None
    assert await jobs(app) == []


async def test_the_brief_of_a_session_holds_what_was_said_before(app: App) -> None:
    first = await thought(app, task("Plan the opening of a bakery."))
    second = await thought(app, task("And what after that?", session_id=first.session_id))
    assert second.brief is not None
    assert second.brief["history"]["messages"] == 2
    assert len(await said(app, second)) == 4


async def test_an_onboarding_agent_keeps_what_it_was_told_and_uses_it_the_next_time(app: App) -> None:
    told: dict[str, JsonValue] = {"organisation": "Alder Bakery", "output": "", "budget": None, "colour": "green"}
    first = await thought(app, task("Set darkroom up for us.", agent="instance_onboarding", context=told))
    session = await app.sessions.get(first.session_id or "", "local")
    assert session.answers == {"organisation": "Alder Bakery"}
    more = task("Go on.", session_id=first.session_id, context={"environment": "one laptop"})
    second = await thought(app, more)
    assert (second.agent, second.brief is not None) == ("instance_onboarding", True)
    assert "Alder Bakery" in str((second.brief or {})["context"])
    session = await app.sessions.get(first.session_id or "", "local")
    assert session.answers == {"organisation": "Alder Bakery", "environment": "one laptop"}


async def test_a_conversation_remembers_for_whom_and_what_it_is(app: App) -> None:
    context: dict[str, JsonValue] = {"product": "a folding bike", "client": "Tern", "ratio": "9:16", "notes": "n" * 700}
    first = await thought(app, task("Write a headline for commuters aged 30.", agent="copy", context=context))
    told = task("Audience: dentists. Write a newsletter for nurses.", session_id=first.session_id)
    session = await app.sessions.get(first.session_id or "", "local")
    assert {"product": "a folding bike", "client": "Tern"}.items() <= session.answers.items()
    assert session.answers.keys().isdisjoint({"ratio", "notes"})
    second = await thought(app, told)
    assert second.brief is not None
    assert {"product": "a folding bike", "client": "Tern"}.items() <= second.brief["context"].items()
    assert second.brief["context"]["audience"].startswith("dentists")
    session = await app.sessions.get(first.session_id or "", "local")
    assert str(session.answers["audience"]).startswith("dentists")


async def test_a_follow_up_goes_on_from_the_job_of_its_session(app: App) -> None:
    first = await thought(app, task(WISH))
    second = await thought(app, task("make it blue", session_id=first.session_id))
    assert second.brief is not None
    [job] = await jobs(app)
    assert second.brief["next_calls"][-1]["arguments"] == {"prompt": "blue", "refine": job.id}


async def test_other_agents_keep_nothing_else_that_they_were_told(app: App) -> None:
    run = await thought(app, task("Draw a fox.", agent="image", context={"placement": "a poster"}))
    assert (await app.sessions.get(run.session_id or "", "local")).answers == {}


# Cancelled


async def flagged(app: App, held: Run) -> Run:
    """Have a claimed run cancelled, while its process ends."""
    await app.runs.cancel(held.id, "local")
    found = await app.runs.get(held.id, "local")
    assert (found.state, found.cancel_requested_at is not None) == (RunState.RUNNING, True)
    return found


@pytest.mark.parametrize("words", [WISH, "Plan the opening of a bakery."])
async def test_a_run_that_is_to_be_cancelled_starts_nothing(app: App, words: str) -> None:
    await begun(app, task(words))
    run = await handing(app).think(await flagged(app, await claimed(app)), OWNER)
    assert run is not None
    assert (run.state, run.brief, run.actions) == (RunState.CANCELLED, None, ())
    assert await jobs(app) == []


async def test_a_job_that_is_started_while_the_run_is_cancelled_is_stopped(app: App) -> None:
    class Late:
        async def job(self, run: Run, *parts: Any) -> str:
            name = await app.starts.job(run, *parts)
            await app.store.runs.request_cancel(run.id, "local", 1)
            return name

        async def cancel(self, run: Run, ids: Any) -> None:
            await app.starts.cancel(run, ids)

    await begun(app, task(WISH))
    run = await handing(app, starter=Late()).think(await claimed(app), OWNER)
    assert run is not None
    [job] = await jobs(app)
    assert (run.state, run.actions[0].job_id, job.state) == (RunState.CANCELLED, job.id, State.CANCELLED)


async def test_a_job_that_was_started_before_the_cancel_is_stopped_and_told(app: App) -> None:
    await begun(app, task(WISH))
    held = await claimed(app)
    name = await app.starts.job(held, "generate_image", {"prompt": "a red fox"}, f"{held.id}/1/0")
    run = await handing(app).think(await flagged(app, held), OWNER)
    assert run is not None
    assert (run.state, [action.job_id for action in run.actions]) == (RunState.CANCELLED, [name])
    [job] = await jobs(app)
    assert job.state is State.CANCELLED
