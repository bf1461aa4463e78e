"""A job of several submissions: one price before it, one bill after it, whatever becomes of each."""

from decimal import Decimal
from typing import Any

import pytest

from darkroom.app import App
from darkroom.domain.job import Job, LedgerKind, LedgerRow, State
from darkroom.domain.money import MicroUsd
from darkroom.errors import BudgetExceeded, InvalidRequest
from darkroom.services.caps import Terms
from darkroom.services.generation import Started
from darkroom.settings import Settings
from darkroom.store.base import Claimed, Intent, Move
from factories import FakeClock, make_output
from helpers_services import TERMS, image, opened, planned, started

pytestmark = pytest.mark.anyio
ONE = 40_000
"""What one picture of acme-pro costs, of which it makes four at once."""
RESERVED, SETTLED, RELEASED = LedgerKind.RESERVED, LedgerKind.SETTLED, LedgerKind.RELEASED


def ten(**fields: Any) -> Any:
    return image(model="acme-pro", n=10, **fields)


async def claimed(app: App, job: Job) -> list[Claimed]:
    found = await app.store.claim("w", accounts=app.accounts().all(), now=app.clock.now(), limit=9)
    assert {item.job.id for item in found} == {job.id}
    return found


async def ended(app: App, item: Claimed, target: State, **change: Any) -> None:
    """Send a claimed submission and have it end so, with its money."""
    part, now = item.submission, app.clock.now()
    sent = await app.store.intend(part.ref, "w", Intent(f"key-{part.idx}", part.account, now))
    assert sent is not None
    done = target is State.SUCCEEDED
    kind, amount = (SETTLED, part.effective.n * ONE) if done else (RELEASED, part.effective.n * ONE)
    row = LedgerRow(job_id=part.job_id, submission=part.idx, kind=kind, micro_usd=MicroUsd(amount), at=now)
    if done:
        sent = await app.store.move(sent.ref, "w", Move(State.DOWNLOADING, now))
        assert sent is not None
        first = part.effective.start + 1
        numbers = range(first, first + part.effective.n)
        change["outputs"] = tuple(make_output(job_id=part.job_id, submission=part.idx, index=n) for n in numbers)
    assert await app.store.move(sent.ref, "w", Move(target, now, ledger=(row,), actual=row.micro_usd, **change))


async def read(app: App, job: Job) -> Job:
    found = await app.store.get(job.id)
    assert found is not None
    return found


async def sums(app: App, job: Job) -> dict[LedgerKind, int]:
    rows = await app.store.ledger(job.id)
    return {kind: sum(row.micro_usd for row in rows if row.kind is kind) for kind in LedgerKind}


async def test_each_submission_reserves_its_own_share(paid: App) -> None:
    job = await started(paid, ten())
    assert [(part.effective.n, part.effective.start) for part in job.submissions] == [(4, 0), (4, 4), (2, 8)]
    rows = await paid.store.ledger(job.id)
    assert [(row.submission, row.kind, row.micro_usd) for row in rows] == [
        (0, RESERVED, 4 * ONE),
        (1, RESERVED, 4 * ONE),
        (2, RESERVED, 2 * ONE),
    ]


async def test_the_sum_is_told_and_capped_before_anything_is_stored(paid: App) -> None:
    plan = await planned(paid, ten(), Terms(dry_run=True))
    assert plan.quote is not None
    assert (plan.quote.high, [part.n for part in plan.parts]) == (10 * ONE, [4, 4, 2])
    with pytest.raises(BudgetExceeded):
        await paid.generation.start(ten(), Terms(max_cost=MicroUsd(10 * ONE - 1)))
    assert await paid.store.find() == []
    job = await started(paid, ten(), Terms(max_cost=MicroUsd(10 * ONE)))
    assert job.max_cost == 10 * ONE


async def test_a_budget_counts_all_parts_that_are_reserved(paid_settings: Settings, clock: FakeClock) -> None:
    settings = paid_settings.model_copy(update={"daily_budget": Decimal("0.60")})
    async with opened(settings, clock) as app:
        await started(app, ten())
        with pytest.raises(BudgetExceeded):
            await app.generation.start(image(model="acme-pro", n=6), TERMS)
        assert len(await app.store.find()) == 1
        await started(app, image(model="acme-pro", n=5))


async def test_a_repeated_call_returns_the_first_job_and_reserves_nothing_more(paid: App) -> None:
    for terms in (TERMS, Terms(idempotency_key="once")):
        first = await started(paid, ten(seed=len(terms.idempotency_key or "")), terms)
        repeated = await paid.generation.start(ten(seed=len(terms.idempotency_key or "")), terms)
        assert isinstance(repeated, Started)
        assert (repeated.created, repeated.job.id) == (False, first.id)
        assert (await sums(paid, first))[RESERVED] == 10 * ONE


async def test_what_was_made_is_paid_and_what_was_refused_is_not(paid: App) -> None:
    job = await started(paid, ten())
    first, second, third = await claimed(paid, job)
    error = {"code": "content_blocked", "message": "No."}
    await ended(paid, second, State.FAILED, error=error)
    assert not (await read(paid, job)).ended
    await ended(paid, first, State.SUCCEEDED)
    await ended(paid, third, State.SUCCEEDED)
    done = await read(paid, job)
    assert done.state is State.SUCCEEDED
    assert [item.index for item in done.outputs] == [1, 2, 3, 4, 9, 10]
    assert await sums(paid, job) | {LedgerKind.ADJUSTED: 0} == {
        RESERVED: 10 * ONE,
        SETTLED: 6 * ONE,
        RELEASED: 4 * ONE,
        LedgerKind.ADJUSTED: 0,
    }
    found = await paid.usage.since("today", None)
    assert (found.total, found.open, len(found.spent)) == (6 * ONE, 0, 3)
    assert (found.success_rate, found.estimated, found.actual) == (2 / 3, 6 * ONE, 6 * ONE)
    assert [(share.name, share.submissions) for share in found.by("model")] == [("acme/acme-pro", 3)]


async def test_a_cancel_frees_what_waits_and_leaves_what_runs_to_its_provider(paid: App) -> None:
    job = await started(paid, ten())
    first, *_ = await claimed(paid, job)
    part = first.submission
    sent = await paid.store.intend(part.ref, "w", Intent("key", part.account, paid.clock.now()))
    assert sent is not None
    assert await paid.store.move(sent.ref, "w", Move(State.RUNNING, paid.clock.now()))
    asked = await paid.store.request_cancel(job.id, TERMS.principal, paid.clock.now())
    assert asked is not None
    assert [item.state for item in asked.submissions] == [State.RUNNING, State.CANCELLED, State.CANCELLED]
    assert not asked.ended
    rows = [(row.submission, row.kind, row.micro_usd) for row in await paid.store.ledger(job.id)]
    assert rows[3:] == [(1, RELEASED, 4 * ONE), (2, RELEASED, 2 * ONE)]
    found = await paid.usage.since("today", None)
    assert (found.total, found.open) == (4 * ONE, 4 * ONE)
    with pytest.raises(InvalidRequest, match="would pay for it twice"):
        await paid.generation.retry(job.id, {}, TERMS)


async def test_what_is_missing_after_a_part_failed_is_made_by_a_retry_of_its_own(paid: App) -> None:
    job = await started(paid, ten())
    first, second, third = await claimed(paid, job)
    await ended(paid, first, State.SUCCEEDED)
    await ended(paid, second, State.FAILED, error={"code": "provider_failed", "message": "Cut."})
    await ended(paid, third, State.SUCCEEDED)
    again = await paid.generation.retry(job.id, {"n": 4}, TERMS)
    assert isinstance(again, Started)
    assert (again.job.retry_of, [part.effective.n for part in again.job.submissions]) == (job.id, [4])
    assert (await sums(paid, again.job))[RESERVED] == 4 * ONE
    assert (await sums(paid, job))[SETTLED] == 6 * ONE, "what was made stays paid once"
