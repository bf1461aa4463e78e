"""Runs that there are: read, awaited, answered, stopped, and those inside others."""

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from darkroom.app import App
from darkroom.domain.job import Job, State
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Action, Awaits, Mode, Run, RunState
from darkroom.errors import InvalidRequest, UnknownJob
from darkroom.services.caps import OfRun, Terms
from darkroom.services.runs import Thing, rests
from darkroom.settings import Settings
from factories import FakeClock
from helpers_services import image, opened, run_until, started, succeed
from helpers_tasks import asking, begun, claimed, saved, succeeded, task

ANN = Terms(principal="ann")
FLOW = "A brand kit for Alder, a bakery."


def inside(run: Run) -> Terms:
    return Terms(run=OfRun(run.id, run.root), again=True)


async def acted(app: App, run: Run, *things: Job | Run) -> Run:
    """Keep in a claimed run that it started these."""
    actions = tuple(
        Action(tool="t", key=f"{run.id}/{item.id}", **{"run_id" if isinstance(item, Run) else "job_id": item.id})
        for item in things
    )
    return await saved(app, run, actions=actions)


# Reading


async def test_a_run_is_seen_by_its_own_principal_and_a_slip_names_the_nearest(app: App) -> None:
    run = await begun(app)
    assert await app.runs.get(run.id, "local") == run
    with pytest.raises(UnknownJob) as caught:
        await app.runs.get(run.id[:-1], "local")
    assert caught.value.message == f"There is no run {run.id[:-1]!r}. Did you mean {run.id!r}?"
    assert caught.value.field == "run_id"
    with pytest.raises(UnknownJob) as caught:
        await app.runs.get(run.id, "ann")
    assert caught.value.message == f"There is no run {run.id!r}."


async def test_the_newest_runs_come_first_and_those_inside_others_not_at_all(app: App, clock: FakeClock) -> None:
    first = await begun(app)
    clock.advance(1)
    second = await begun(app, task("Another."))
    await begun(app, terms=ANN)
    clock.advance(1)
    await app.runs.child(first, "image", "Draw.", key="k")
    assert [run.id for run in await app.runs.find("local")] == [second.id, first.id]
    assert [run.id for run in await app.runs.find("local", limit=1)] == [second.id]
    assert [run.id for run in await app.runs.find("local", before=second.id)] == [first.id]
    assert await app.runs.find("local", states=[RunState.FAILED]) == []


async def test_what_is_inside_a_run_is_told_oldest_first_with_its_jobs(app: App, clock: FakeClock) -> None:
    outer = await begun(app)
    one = await app.runs.child(outer, "image", "Draw.", key="one")
    clock.advance(1)
    two = await app.runs.child(outer, "image", "Draw.", key="two")
    jobs: list[Job] = []
    for run in (outer, one, two):
        clock.advance(1)
        jobs.append(await started(app, image(), inside(run)))
    for run in await app.store.runs.claim("worker-1", clock.now(), 9):
        held = await acted(app, run, jobs[[outer.id, one.id, two.id].index(run.id)])
        await acted(app, held, *([one] if run.id == outer.id else []))
    outer = await app.runs.get(outer.id, "local")
    assert [run.id for run in await app.runs.inside(outer)] == [one.id, two.id]
    assert [job.id for job in await app.runs.jobs_of(outer)] == [job.id for job in jobs]
    assert await app.runs.jobs_of(await begun(app, task("Nothing."))) == []


async def test_jobs_and_runs_are_told_in_the_order_in_which_they_are_named(app: App) -> None:
    run, job = await begun(app), await started(app, image())
    assert [item.id for item in await app.runs.things([job.id, run.id], "local")] == [job.id, run.id]
    for unknown in (f"{job.id}0", f"{run.id}0"):
        with pytest.raises(UnknownJob, match=unknown):
            await app.runs.things([run.id, unknown], "local")


async def test_what_a_run_costs_is_everything_in_it(paid: App) -> None:
    outer = await begun(paid)
    inner = await paid.runs.child(outer, "image", "Draw.", key="one")
    for run in (outer, inner):
        await started(paid, image(model="acme-pro"), inside(run))
    await started(paid, image(model="acme-pro"), Terms(again=True))
    assert (await paid.runs.cost(outer)).actual == 80_000
    assert (await paid.runs.cost(inner)).actual == 40_000


async def test_a_finished_run_is_delivered_once(app: App, clock: FakeClock) -> None:
    run = await begun(app)
    await app.runs.delivered(run)
    assert (await app.runs.get(run.id, "local")).delivered_at is None
    done, first = await succeeded(app), clock.now()
    await app.runs.delivered(done)
    clock.advance(5)
    await app.runs.delivered(done)
    seen = await app.runs.get(run.id, "local")
    assert seen.delivered_at == first
    await app.runs.delivered(seen)
    assert await app.runs.get(run.id, "local") == seen


# Inside others


async def test_a_run_inside_another_is_one_run_for_its_key(app: App, clock: FakeClock) -> None:
    outer = await begun(app, task(FLOW, workflow="brand_kit"), Terms(max_cost=MicroUsd(900)))
    returns: dict[str, Any] = {"type": "object", "properties": {"name": {"type": "string"}}}
    more: dict[str, Any] = {"context": {"a": 1}, "returns": returns, "max_cost": MicroUsd(50)}
    inner = await app.runs.child(outer, "Image Agent", "Draw it.", key=f"{outer.id}/draw/1", **more)
    clock.advance(5)
    assert await app.runs.child(outer, "image", "Draw it.", key=f"{outer.id}/draw/1", **more) == inner
    assert (inner.parent_run_id, inner.root_run_id, inner.root) == (outer.id, outer.id, outer.id)
    assert (inner.agent, inner.task, inner.context, inner.session_id) == ("image", "Draw it.", {"a": 1}, None)
    assert (inner.max_cost, inner.root_max_cost, inner.work) == (50, 900, {"returns": returns})
    assert (inner.mode, inner.model, inner.state) == (Mode.HAND_OFF, None, RunState.QUEUED)
    assert len(await app.runs.inside(outer)) == 1


async def test_the_cap_of_the_outermost_run_goes_down_to_the_innermost(app: App) -> None:
    outer = await begun(app, terms=Terms(max_cost=MicroUsd(900)))
    middle = await app.runs.child(outer, "image", "Draw.", key="one", max_cost=MicroUsd(50))
    inner = await app.runs.child(middle, "image", "Draw.", key="two")
    assert (inner.root, inner.parent_run_id) == (outer.id, middle.id)
    assert (inner.max_cost, inner.root_max_cost, inner.context, inner.work) == (None, 900, {}, {})


async def test_the_words_of_any_task_cap_its_run_and_that_is_told(app: App) -> None:
    run = await begun(app, task("Write a line, it must cost at most 20 cents."))
    assert run.max_cost == 200_000
    assert run.warnings == ("max_cost is $0.20, since the task says 'it must cost at most 20 cents'.",)


async def test_an_agent_inside_a_workflow_has_its_own_tier_unless_one_was_asked_for(
    settings: Settings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    async with opened(settings, clock) as app:
        plain = await begun(app, task(FLOW, workflow="brand_kit"))
        asked = await begun(app, task(FLOW, workflow="brand_kit", tier="economy"))
        legal, cheap = [await app.runs.child(run, "legal", "Check.", key=run.id) for run in (plain, asked)]
        within = await app.runs.child(legal, "image", "Draw.", key="k")
    assert [run.tier for run in (legal, cheap, within)] == ["premium", "economy", "standard"]
    assert {run.mode for run in (legal, cheap, within)} == {Mode.LOOP}
    assert legal.model != cheap.model


async def test_an_agent_that_there_is_not_starts_no_run(app: App) -> None:
    outer = await begun(app)
    with pytest.raises(InvalidRequest, match="There is no agent 'nobody'"):
        await app.runs.child(outer, "nobody", "Draw.", key="one")
    assert await app.runs.inside(outer) == []


# Waiting


async def test_jobs_and_runs_are_awaited_together(app: App) -> None:
    run, job = await begun(app), await started(app, image())
    told: list[list[str]] = []
    found: list[Thing] = []

    async def tell(things: Sequence[Thing]) -> None:
        told.append([item.state for item in things])

    async def wait() -> None:
        found.extend(await app.runs.wait([run.id, job.id], "local", 60, tell))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            while not told:
                await anyio.lowlevel.checkpoint()
            await succeeded(app)
            assert found == []
            await succeed(app, job)
    assert [(item.id, item.state) for item in found] == [(run.id, "succeeded"), (job.id, "succeeded")]
    assert told[0] == ["queued", "queued"]
    assert [state for pair in told for state in pair].count("succeeded") >= 1


async def test_a_job_that_is_awaited_is_asked_about_now(app: App) -> None:
    run, job = await begun(app), await started(app, image())
    await app.bus.next_work(0)
    found = await app.runs.wait([run.id, job.id], "local", 0)
    assert [item.state for item in found] == ["queued", "queued"]
    assert (await app.bus.next_work(0)).asked == {job.id}


async def test_nothing_is_awaited_of_somebody_else(app: App) -> None:
    run = await begun(app)
    with pytest.raises(UnknownJob, match=run.id):
        await app.runs.wait([run.id], "ann", 60)


async def test_a_job_whose_answer_was_lost_is_not_awaited(app: App) -> None:
    job = await started(app, image())
    await run_until(app, job.id, State.SUBMIT_UNKNOWN)
    with anyio.fail_after(20):
        [found] = await app.runs.wait([job.id], "local", 3600)
    assert found.state == "submit_unknown"


@pytest.mark.parametrize(
    ("state", "awaits", "rest"),
    [
        (RunState.QUEUED, None, False),
        (RunState.RUNNING, None, False),
        (RunState.WAITING, Awaits.WORK, False),
        (RunState.WAITING, Awaits.ANSWER, True),
        (RunState.WAITING, Awaits.CLIENT, True),
        (RunState.SUCCEEDED, None, True),
        (RunState.FAILED, None, True),
        (RunState.CANCELLED, None, True),
    ],
)
def test_waiting_for_a_run_brings_nothing_once_it_ended_or_its_caller_is_next(
    state: RunState, awaits: Awaits | None, rest: bool
) -> None:
    values = {"id": "run_1", "principal": "local", "task": "t", "request_hash": "h", "created_at": 0, "updated_at": 0}
    assert rests(Run.model_validate({**values, "state": state, "awaits": awaits})) is rest


# Answering


async def test_an_answer_sets_the_run_going_again(app: App) -> None:
    await begun(app)
    run = await asking(app, "Which street?")
    answered = await app.runs.answer(run.id, "  Mill Lane\n", "local")
    assert (answered.state, answered.awaits, answered.question) == (RunState.QUEUED, None, None)
    assert [(said.question.text, said.text) for said in answered.answers] == [("Which street?", "Mill Lane")]


@pytest.mark.parametrize(
    ("text", "message"), [(" \n", "answer is empty."), ("a" * 20_001, "answer has 20,001 letters.")]
)
async def test_an_answer_that_cannot_be_changes_nothing(app: App, text: str, message: str) -> None:
    await begun(app)
    run = await asking(app)
    with pytest.raises(InvalidRequest) as caught:
        await app.runs.answer(run.id, text, "local")
    assert (caught.value.message, caught.value.field) == (message, "answer")
    assert await app.runs.get(run.id, "local") == run
    assert (await app.runs.answer(run.id, "a" * 20_000, "local")).state is RunState.QUEUED


async def no_question(app: App, run: Run) -> InvalidRequest:
    before = await app.runs.get(run.id, "local")
    with pytest.raises(InvalidRequest) as caught:
        await app.runs.answer(run.id, "Mill Lane", "local")
    assert caught.value.field == "answer"
    assert (caught.value.hint or "").startswith("Nothing was changed.")
    assert await app.runs.get(run.id, "local") == before
    return caught.value


async def test_a_run_that_asks_nothing_takes_no_answer(app: App) -> None:
    run = await begun(app)
    error = await no_question(app, run)
    assert error.message == f"{run.id} asks nothing: it is queued."
    assert f"check_job('{run.id}')" in (error.hint or "")
    done = await succeeded(app)
    error = await no_question(app, done)
    assert error.message == f"{run.id} asks nothing: it has ended (succeeded)."
    assert "run_agent with its session_id" in (error.hint or "")


async def test_a_run_without_a_session_that_ended_is_not_gone_on_with(app: App) -> None:
    run = await begun(app, task(FLOW, workflow="brand_kit"))
    error = await no_question(app, await app.runs.cancel(run.id, "local"))
    assert error.message == f"{run.id} asks nothing: it has ended (cancelled)."
    assert (error.hint or "").endswith("Nothing more comes of it.")


async def test_nobody_answers_for_somebody_else(app: App) -> None:
    await begun(app)
    run = await asking(app)
    with pytest.raises(UnknownJob, match=run.id):
        await app.runs.answer(run.id, "Mill Lane", "ann")
    assert await app.runs.get(run.id, "local") == run


# Stopping


async def test_a_run_is_stopped_with_its_jobs_and_what_is_inside_it(app: App) -> None:
    outer = await begun(app)
    held = await claimed(app)
    inner = await app.runs.child(outer, "image", "Draw.", key="one")
    held_inner = await claimed(app)
    unnoted = await app.runs.child(outer, "image", "Draw.", key="two")
    jobs = [await started(app, image(), inside(run)) for run in (outer, inner)]
    await acted(app, held, jobs[0], inner)
    await acted(app, held_inner, jobs[1])
    stopped = await app.runs.cancel(outer.id, "local")
    assert (stopped.state, stopped.cancel_requested_at) == (RunState.RUNNING, app.clock.now())
    assert (await app.runs.get(unnoted.id, "local")).state is RunState.CANCELLED
    assert (await app.runs.get(inner.id, "local")).cancel_requested_at == app.clock.now()
    assert [job.state for job in await app.jobs.get([job.id for job in jobs], "local")] == [State.CANCELLED] * 2


async def test_a_run_that_nobody_advances_ends_at_once(app: App) -> None:
    run = await begun(app)
    assert (await app.runs.cancel(run.id, "local")).state is RunState.CANCELLED
    with pytest.raises(UnknownJob, match="There is no run"):
        await app.runs.cancel(run.id, "ann")


async def test_what_has_ended_stays_as_it_is(app: App) -> None:
    await begun(app)
    held = await claimed(app)
    job = await started(app, image(), inside(held))
    run = await saved(app, await acted(app, held, job), target=RunState.SUCCEEDED, output="done")
    assert await app.runs.cancel(run.id, "local") == run
    [kept] = await app.jobs.get([job.id], "local")
    assert (kept.state, kept.cancel_requested_at) == (State.QUEUED, None)
    await app.runs.stop([run.id, job.id], "local")
    [gone] = await app.jobs.get([job.id], "local")
    assert gone.state is State.CANCELLED
