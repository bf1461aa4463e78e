"""Jobs, limits and ledger rows for the tests of money in stores."""

from collections.abc import Sequence
from typing import Any

import pytest

from darkroom.domain.job import Job, LedgerKind, LedgerRow, State, Submission
from darkroom.domain.money import MicroUsd
from darkroom.errors import BudgetExceeded
from darkroom.store.base import JobStore, Limit, Spent
from factories import (
    NOW,
    job_id,
    make_job,
    make_ledger_row,
)
from helpers_store import WAYS, claim, walk

DAY = 86_400_000
EVER = (0, NOW + 1000 * DAY)


def make_limit(cap: int = 100_000, **overrides: Any) -> Limit:
    values: dict[str, Any] = {
        "name": "daily budget",
        "setting": "DARKROOM_DAILY_BUDGET",
        "period": "day",
        "cap": MicroUsd(cap),
        "since": NOW,
    }
    return Limit(**(values | overrides))


async def put(
    store: JobStore, number: int, amount: int, *, at: int = NOW, limits: Sequence[Limit] = (), **fields: Any
) -> Job:
    """Add the job of that number, which reserves an amount."""
    name = job_id(number)
    job = make_job(id=name, request_hash=name, estimate=MicroUsd(amount), **fields)
    row = make_ledger_row(job_id=name, micro_usd=MicroUsd(amount), at=at)
    return (await store.add(job, [row], limits=limits)).job


async def refused(store: JobStore, number: int, amount: int, *limits: Limit, **fields: Any) -> BudgetExceeded:
    """Check that a job is refused and leaves nothing behind."""
    before = await store.spent(*EVER)
    with pytest.raises(BudgetExceeded) as caught:
        await put(store, number, amount, limits=limits, **fields)
    assert await store.get(job_id(number)) is None
    assert await store.ledger(job_id(number)) == []
    assert await store.events(job_id(number)) == []
    assert await store.spent(*EVER) == before
    return caught.value


async def end(store: JobStore, number: int, state: State, *rows: LedgerRow) -> Submission:
    """Take a queued job to its end with these ledger rows."""
    [claimed] = await claim(store)
    assert claimed.job.id == job_id(number)
    return await walk(store, claimed.submission, WAYS[state], ledger=rows)


def row_of(number: int, kind: LedgerKind, amount: int, **fields: Any) -> LedgerRow:
    return make_ledger_row(job_id=job_id(number), kind=kind, micro_usd=MicroUsd(amount), **fields)


async def the_only(store: JobStore) -> Spent:
    [row] = await store.spent(*EVER)
    return row
