"""The checker sees money that is not where it belongs."""

import sqlite3
from pathlib import Path

import anyio
import pytest

from darkroom.clock import SystemClock
from darkroom.domain.job import LedgerKind, State
from darkroom.events import Bus
from darkroom.store.sqlite import SqliteStore
from factories import job_id, make_job, make_ledger_row
from proof.checker import check_sums


async def fill(path: Path) -> None:
    """Store two jobs: one that cost four cents, and one that runs."""
    store = SqliteStore(path, Bus(), SystemClock())
    await store.open()
    done = make_job(id=job_id(1), state=State.SUCCEEDED, actual=40_000)
    settled = make_ledger_row(job_id=done.id, kind=LedgerKind.SETTLED)
    await store.add(done, [make_ledger_row(job_id=done.id, micro_usd=60_000), settled], again=True)
    runs = make_job(id=job_id(2), state=State.RUNNING)
    await store.add(runs, [make_ledger_row(job_id=runs.id)], again=True)
    await store.close()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "darkroom.sqlite3"
    anyio.run(fill, path)
    return path


def test_sums_that_fit_are_no_trouble(database: Path) -> None:
    assert check_sums(database) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("DELETE FROM ledger WHERE kind = 'settled'", "money is reserved for what has ended"),
        ("UPDATE submissions SET actual = 50000 WHERE state = 'succeeded'", "cost 50000, and the ledger says 40000"),
        ("UPDATE ledger SET job_id = 'job_of_nobody' WHERE kind = 'settled'", "money of nobody"),
        ("DELETE FROM ledger WHERE kind = 'reserved' AND job_id LIKE '%1'", "0 spent, and the submissions cost"),
    ],
)
def test_money_that_is_not_where_it_belongs_is_seen(database: Path, change: str, says: str) -> None:
    db = sqlite3.connect(database)
    with db:
        db.execute(change)
    db.close()
    found = check_sums(database)
    assert any(says in item or "spent, and the submissions cost" in item for item in found), found
    assert found != []
