"""What a run starts: once for each key, under the caps of the run and of those around it, for its own principal."""

from decimal import Decimal
from typing import Any

import anyio.to_thread
import pytest

from darkroom.app import App
from darkroom.domain.job import Job, State
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Run, RunState
from darkroom.errors import BudgetExceeded, InvalidRequest
from darkroom.services.caps import OfRun, Terms
from darkroom.services.starts import terms_of
from factories import FakeClock
from helpers_services import opened
from helpers_tasks import begun, task

FOX: dict[str, Any] = {"prompt": "a red fox", "model": "acme-pro"}
"""Costs $0.04."""
SKILL = "landing_page_cro"


async def job_of(app: App, name: str) -> Job:
    job = await app.store.get(name)
    assert job is not None
    return job


async def jobs(app: App) -> int:
    return len(await app.store.find(limit=100))


async def capped(app: App, micro_usd: int | None, words: str = "Draw.") -> Run:
    cap = None if micro_usd is None else MicroUsd(micro_usd)
    return await begun(app, task(words), Terms(max_cost=cap))


def test_the_smallest_cap_holds_for_one_job() -> None:
    values: dict[str, Any] = {"id": "run_2", "task": "t", "request_hash": "h", "created_at": 0, "updated_at": 0}
    run = Run.model_validate({**values, "principal": "ann", "root_run_id": "run_1", "max_cost": 5, "root_max_cost": 9})
    told = OfRun("run_2", "run_1", MicroUsd(5), MicroUsd(9))
    assert terms_of(run, "k") == Terms("ann", False, MicroUsd(5), idempotency_key="k", run=told)
    assert terms_of(run, "k", MicroUsd(3)).max_cost == 3
    assert terms_of(run, "k", MicroUsd(7)).max_cost == 5
    mine = run.model_copy(update={"principal": "local", "max_cost": None, "root_max_cost": None})
    assert terms_of(mine, "k") == Terms(idempotency_key="k", run=OfRun("run_2", "run_1"))
    read = run.model_copy(update={"work": {"cap_words": "at most $1"}})
    assert terms_of(read, "k").cap_words == "at most $1", "which agrees to nothing"


async def test_a_job_is_started_once_for_its_key(paid: App) -> None:
    run = await capped(paid, None)
    name = await paid.starts.job(run, "generate_image", FOX, f"{run.id}/1/0")
    assert await paid.starts.job(run, "generate_image", FOX, f"{run.id}/1/0") == name
    assert await paid.starts.job(run, "generate_image", FOX, f"{run.id}/1/1") != name
    job = await job_of(paid, name)
    assert (job.run_id, job.principal, job.max_cost) == (run.id, "local", None)
    assert await paid.starts.started(run, "job", f"{run.id}/1/0") == name
    assert await paid.starts.started(run, "job", f"{run.id}/9/0") is None
    assert await jobs(paid) == 2


async def test_what_cannot_be_made_is_refused_and_nothing_is_stored(paid: App) -> None:
    run = await capped(paid, None)
    with pytest.raises(InvalidRequest, match="generate_image has no argument 'prompts'"):
        await paid.starts.job(run, "generate_image", {"prompts": "a red fox"}, "k")
    with pytest.raises(BudgetExceeded, match=r"the cap is \$0\.03"):
        await paid.starts.job(run, "generate_image", FOX, "k", MicroUsd(30_000))
    assert (await jobs(paid), await paid.starts.started(run, "job", "k")) == (0, None)


async def test_a_plan_is_no_job(paid: App, monkeypatch: pytest.MonkeyPatch) -> None:
    async def start(*_: Any) -> str:
        return "a plan"

    run = await capped(paid, None)
    monkeypatch.setattr(paid.generation, "start", start)
    with pytest.raises(TypeError, match="to be started, not planned"):
        await paid.starts.job(run, "generate_image", FOX, "k")


# The cap of a run, for everything in it


async def test_the_second_job_of_a_run_is_refused_by_what_the_first_one_left_of_its_cap(paid: App) -> None:
    run = await capped(paid, 70_000)
    first = await paid.starts.job(run, "generate_image", FOX, "one")
    with pytest.raises(BudgetExceeded) as caught:
        await paid.starts.job(run, "generate_image", FOX, "two")
    assert caught.value.message == (
        "This may cost $0.04; of the cap of this run of $0.07 only $0.03 is left "
        "($0.04 used, $0.04 of it by work that is not done)."
    )
    assert await jobs(paid) == 1
    assert await paid.starts.job(run, "generate_image", FOX, "one") == first
    await paid.starts.cancel(run, [first])
    assert await paid.starts.job(run, "generate_image", FOX, "two")
    assert await paid.starts.job(await capped(paid, 70_000, "Other."), "generate_image", FOX, "three")


async def test_the_cap_of_the_outermost_run_holds_for_all_inside_together(paid: App) -> None:
    outer = await capped(paid, 100_000)
    one = await paid.runs.child(outer, "image", "Draw.", key="one", max_cost=MicroUsd(50_000))
    two = await paid.runs.child(outer, "image", "Draw.", key="two", max_cost=MicroUsd(50_000))
    await paid.starts.job(one, "generate_image", FOX, "1")
    with pytest.raises(BudgetExceeded, match=r"of the cap of this run of \$0\.05 only \$0\.01 is left"):
        await paid.starts.job(one, "generate_image", FOX, "2")
    await paid.starts.job(two, "generate_image", FOX, "3")
    with pytest.raises(BudgetExceeded, match=r"of the cap of the whole run of \$0\.10 only \$0\.02 is left"):
        await paid.starts.job(await paid.runs.child(outer, "image", "Draw.", key="three"), "generate_image", FOX, "4")
    with pytest.raises(BudgetExceeded, match=r"of the cap of this run of \$0\.10"):
        await paid.starts.job(outer, "generate_image", FOX, "5")
    assert (await paid.runs.cost(outer)).actual == 80_000


async def test_the_budgets_hold_for_jobs_of_runs_and_others_together(paid: App, clock: FakeClock) -> None:
    async with opened(paid.settings.model_copy(update={"daily_budget": Decimal("0.07")}), clock) as app:
        run = await capped(app, 900_000)
        await app.starts.job(run, "generate_image", FOX, "one")
        with pytest.raises(BudgetExceeded, match="of the daily budget"):
            await app.starts.job(run, "generate_image", FOX, "two")


async def test_a_job_goes_on_elsewhere_only_within_the_cap_of_its_run(paid: App) -> None:
    run = await capped(paid, 900_000)
    job = await job_of(paid, await paid.starts.job(run, "generate_image", {"prompt": "a red fox"}, "one"))
    gone = job.model_copy(update={"submissions": (job.lead.model_copy(update={"model": "acme-gone"}),)})
    found = await paid.generation.instead(gone, gone.lead, account=False)
    assert found is not None
    assert [(limit.run_id, limit.cap) for limit in found.limits] == [(run.id, 900_000)]
    free = await paid.generation.instead(gone.model_copy(update={"run_id": None}), gone.lead, account=False)
    assert free is not None
    assert free.limits == ()


# Runs, skills, and what is configured


async def test_a_run_of_an_agent_is_started_once_for_its_key(app: App) -> None:
    outer = await begun(app)
    returns = {"name": {"type": "string"}}
    name = await app.starts.agent(outer, "image", "Draw.", {"a": 1}, returns, "k", MicroUsd(5))
    assert await app.starts.agent(outer, "image", "Draw.", {"a": 1}, returns, "k", MicroUsd(5)) == name
    inner = await app.runs.get(name, "local")
    assert (inner.parent_run_id, inner.context, inner.max_cost) == (outer.id, {"a": 1}, 5)
    assert inner.work == {"returns": returns}
    assert await app.starts.started(outer, "agent", "k") == name


async def test_a_skill_is_made_ready(app: App) -> None:
    run = await begun(app)
    ready = await app.starts.skill(run, SKILL, "Write for Alder.", {"product": "rye bread"}, {})
    assert (ready["skill"], ready["angles"]) == (SKILL, [])
    assert "rye bread" in str(ready["prompt"])
    with pytest.raises(InvalidRequest, match="There is no skill 'no-such-skill'"):
        await app.starts.skill(run, "no-such-skill", "Write.", {}, {})


async def test_jobs_and_runs_are_stopped(app: App) -> None:
    outer = await begun(app)
    inner = await app.starts.agent(outer, "image", "Draw.", {}, None, "k")
    job = await app.starts.job(outer, "generate_image", {"prompt": "a red fox"}, "j")
    await app.starts.cancel(outer, [inner, job])
    assert (await app.runs.get(inner, "local")).state is RunState.CANCELLED
    assert (await job_of(app, job)).state is State.CANCELLED
    assert (await app.runs.get(outer.id, "local")).state is RunState.QUEUED


async def test_it_says_whether_a_model_would_think(app: App, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    run = await begun(app)
    assert not app.starts.thinks(run)
    assert not app.starts.thinks(run.model_copy(update={"model": "openai"}))
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    async with opened(app.settings, clock) as other:
        asked = run.model_copy(update={"model": "openai", "tier": None})
        assert await anyio.to_thread.run_sync(other.starts.thinks, asked)
