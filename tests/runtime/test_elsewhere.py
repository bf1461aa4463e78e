"""After a provable refusal: another offer in the same job, with a reservation of its own, under the limits."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from helpers_runtime import Rig, failing

from darkroom.adapters.base import Accepted
from darkroom.domain.job import Job, LedgerKind, State, Submission
from darkroom.domain.money import MicroUsd
from darkroom.errors import (
    AuthFailed,
    ContentBlocked,
    DarkroomError,
    InsufficientCredits,
    InvalidRequest,
    ModelRetired,
    Overloaded,
    RateLimited,
    StorageFull,
)
from darkroom.runtime.submit import LONG_S, PATIENCE
from darkroom.store.base import Alternative, Limit
from factories import make_ledger_row, make_request, make_submission

pytestmark = pytest.mark.anyio


@dataclass
class Other:
    """Knows one other offer, at a price."""

    micro_usd: int = 30_000
    limits: tuple[Limit, ...] = ()
    there: bool = True
    asked: list[tuple[Job, Submission]] = field(default_factory=list[tuple[Job, Submission]])

    async def instead(self, job: Job, part: Submission, *, account: bool) -> Alternative | None:
        self.asked.append((job, part))
        if not self.there:
            return None
        price = MicroUsd(self.micro_usd)
        other = make_submission(job_id=job.id, model="acme-image-2", account=part.account, estimate=price)
        row = make_ledger_row(job_id=job.id, micro_usd=price, at=part.due_at)
        return Alternative(other, row, self.limits)


def with_other(rig: Rig, **said: Any) -> Other:
    rig.kit.rerouter = other = Other(**said)
    return other


@pytest.mark.parametrize(
    "error", [AuthFailed("wrong key"), InsufficientCredits("no credit"), ModelRetired("gone"), RateLimited("later")]
)
async def test_a_refusal_that_is_no_fault_of_the_request_goes_on_elsewhere(rig: Rig, error: DarkroomError) -> None:
    other = with_other(rig)
    rig.adapter.submits = [error]
    job = await rig.add()
    held = await rig.claim()
    for _ in range(PATIENCE if isinstance(error, RateLimited) else 1):
        assert held is not None
        held = await rig.stepper.advance(held)
    assert held is None
    first, second = (await rig.job(job)).submissions
    assert (first.state, first.put_aside, first.actual) == (State.FAILED, True, 0)
    assert (second.state, second.model, second.idx, second.owner) == (State.QUEUED, "acme-image-2", 1, None)
    assert [part.ref for _, part in other.asked] == [other.asked[0][1].ref]
    assert await rig.money(job) == [
        (LedgerKind.RESERVED, 40_000, True),
        (LedgerKind.RELEASED, 40_000, True),
        (LedgerKind.RESERVED, 30_000, True),
    ]
    events = await rig.store.events(job.id)
    assert any("Goes on with acme/acme-image-2" in (event.detail or "") for event in events)


@pytest.mark.parametrize("error", [ContentBlocked("no"), InvalidRequest("too large"), ConnectionResetError()])
async def test_what_the_request_is_to_blame_for_and_what_nobody_knows_stays(rig: Rig, error: Exception) -> None:
    other = with_other(rig)
    rig.adapter.submits = [error]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert other.asked == []
    assert len((await rig.job(job)).submissions) == 1


async def test_a_provider_without_room_is_given_time_first(rig: Rig) -> None:
    other = with_other(rig)
    rig.adapter.submits = [Overloaded("no room"), Accepted({"id": "r1"}, "r1")]
    job = await rig.add()
    held = await rig.stepper.advance(await rig.claim())
    assert held is not None
    assert await rig.stepper.advance(held) is not None
    assert (await rig.part(job)).state is State.RUNNING
    assert other.asked == []


async def test_without_another_offer_the_refusal_stands(rig: Rig) -> None:
    with_other(rig, there=False)
    rig.adapter.submits = [InsufficientCredits("no credit")]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(job)
    assert (part.state, part.put_aside) == (State.FAILED, False)


async def test_another_offer_that_would_pass_a_budget_is_not_taken(rig: Rig) -> None:
    limit = Limit("daily budget", "DARKROOM_DAILY_BUDGET", "day", MicroUsd(50_000), 0)
    with_other(rig, micro_usd=50_001, limits=(limit,))
    rig.adapter.submits = [InsufficientCredits("no credit")]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert len((await rig.job(job)).submissions) == 1
    assert await rig.money(job) == [(LedgerKind.RESERVED, 40_000, True), (LedgerKind.RELEASED, 40_000, True)]


async def test_a_cancel_meanwhile_is_obeyed(rig: Rig) -> None:
    with_other(rig)
    job = await rig.add()

    async def cancelled(_: Any) -> Any:
        await rig.store.request_cancel(job.id, "local", rig.clock.now())
        raise InsufficientCredits("no credit")

    rig.adapter.submits = [cancelled]
    assert await rig.stepper.advance(await rig.claim()) is None
    assert len((await rig.job(job)).submissions) == 1
    assert (await rig.job(job)).ended


async def test_a_full_disk_does_not_lose_the_way_on(rig: Rig) -> None:
    with_other(rig)
    rig.adapter.submits = [InsufficientCredits("no credit")]
    rig.store.reroute = failing(2, StorageFull("full"), rig.store.reroute)
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert len((await rig.job(job)).submissions) == 2


async def test_outputs_are_numbered_as_if_the_refused_one_had_not_been(rig: Rig) -> None:
    with_other(rig)
    rig.providers["acme"] = rig.providers["acme"].model_copy(
        update={
            "offers": (
                *rig.providers["acme"].offers,
                rig.providers["acme"].offers[0].model_copy(update={"model": "acme-image-2"}),
            )
        }
    )
    rig.adapter.submits = [InsufficientCredits("no credit"), rig.done()]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert await rig.stepper.advance(await rig.claim()) is None
    done = await rig.job(job)
    assert (done.state, [output.index for output in done.outputs]) == (State.SUCCEEDED, [1])
    assert done.outputs[0].path.endswith(".png")


async def test_a_pause_of_hours_is_not_waited_for_where_another_offer_may_be_asked(rig: Rig) -> None:
    with_other(rig)
    rig.adapter.submits = [RateLimited("the day's quota is used up", retry_after_s=LONG_S + 1)]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert [part.put_aside for part in (await rig.job(job)).submissions] == [True, False]


async def test_a_pause_past_the_callers_deadline_ends_it_at_once_and_costs_nothing(rig: Rig) -> None:
    rig.adapter.submits = [RateLimited("the day's quota is used up", retry_after_s=60)]
    job = await rig.add(request=make_request(deadline_s=30))
    assert await rig.stepper.advance(await rig.claim()) is None
    done = await rig.job(job)
    assert (done.state, (done.error or {})["code"]) == (State.FAILED, "rate_limited")
    assert (await rig.money(job))[-1] == (LedgerKind.RELEASED, 40_000, True)


async def test_a_pause_is_told_of_while_it_lasts(rig: Rig) -> None:
    rig.adapter.submits = [RateLimited("the day's quota is used up", retry_after_s=60)]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is not None
    told = rig.kit.bus.progress_of(job.id)
    assert told is not None
    assert "the day's quota is used up" in (told.message or "")
