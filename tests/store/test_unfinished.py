"""Whether a store holds work, as an idle server sees it from outside."""

import os
import sqlite3
from pathlib import Path

import anyio.to_thread
import pytest

from darkroom.domain.job import ENDED, State
from darkroom.domain.run import Awaits, Delivery, RunState
from darkroom.store.sqlite import SqliteStore
from darkroom.store.unfinished import LOOKS, WORK, Unfinished
from factories import JOB_ID, make_job
from helpers_runs import going, make_callback, make_run, saved, waiting
from helpers_sqlite import beside, new_store
from helpers_store import bring, claim

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "darkroom.sqlite3"


@pytest.fixture
async def store(path: Path) -> SqliteStore:
    opened = new_store(path)
    await opened.open()
    return opened


async def looked(path: Path, store: SqliteStore | None = None) -> bool:
    """Return what a server sees that starts now, with the store closed as its last process left it."""
    if store is not None:
        await store.close()
    return await anyio.to_thread.run_sync(Unfinished(path).look)


async def test_where_no_store_is_there_is_no_work(path: Path) -> None:
    assert not await looked(path)
    assert not path.exists()


async def test_an_empty_store_has_no_work(path: Path, store: SqliteStore) -> None:
    assert not await looked(path, store)


@pytest.mark.parametrize("state", State)
async def test_a_job_is_work_until_it_has_ended(path: Path, store: SqliteStore, state: State) -> None:
    if state is State.QUEUED:
        await store.add(make_job())
    else:
        await bring(store, state)
    assert await looked(path, store) is (state not in ENDED)


async def test_a_job_that_a_process_holds_is_work(path: Path, store: SqliteStore) -> None:
    await store.add(make_job())
    assert await claim(store)
    assert await looked(path, store)


async def test_a_run_is_work_while_it_is_advanced(path: Path, store: SqliteStore) -> None:
    await store.runs.add(make_run(), session=None)
    assert await looked(path)
    await going(store.runs, 2)
    assert await looked(path, store)


@pytest.mark.parametrize("awaits", Awaits)
async def test_a_run_that_waits_for_its_caller_is_no_work(path: Path, store: SqliteStore, awaits: Awaits) -> None:
    await waiting(store.runs, awaits)
    assert await looked(path, store) is (awaits in {Awaits.WORK, Awaits.CLIENT})


async def test_a_run_that_ended_is_no_work(path: Path, store: SqliteStore) -> None:
    await saved(store.runs, await going(store.runs), RunState.SUCCEEDED)
    assert not await looked(path, store)


@pytest.mark.parametrize("state", Delivery)
async def test_a_callback_is_work_while_it_is_due(path: Path, store: SqliteStore, state: Delivery) -> None:
    await store.add(make_job(), callback=make_callback(JOB_ID))
    await store.runs.note_callback(make_callback(JOB_ID, state=state))
    await beside(path, "DELETE FROM submissions")
    assert await looked(path, store) is (state is Delivery.DUE)


async def test_what_another_process_adds_is_seen_while_it_has_the_store_open(path: Path, store: SqliteStore) -> None:
    idle = Unfinished(path)
    assert not await anyio.to_thread.run_sync(idle.look)
    await store.add(make_job())
    assert await anyio.to_thread.run_sync(idle.look)
    await store.close()


def test_a_write_that_leaves_no_mark_on_the_file_is_seen_later(path: Path) -> None:
    made(path, work=False)
    mark = path.stat()
    idle = Unfinished(path)
    assert not idle.look()
    made(path, work=True)
    os.utime(path, ns=(mark.st_atime_ns, mark.st_mtime_ns))
    assert [idle.look() for _ in range(LOOKS)] == [False] * (LOOKS - 1) + [True]


@pytest.mark.parametrize("content", [b"", b"no database, but long enough for the head of one" * 20])
def test_what_cannot_be_read_is_left_to_who_opens_the_store(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert Unfinished(path).look()
    assert path.read_bytes() == content


async def test_a_long_history_costs_nothing(path: Path, store: SqliteStore) -> None:
    await store.close()
    plan = await anyio.to_thread.run_sync(plan_of, path)
    assert len([step for step in plan if "USING" in step and "INDEX" in step]) == WORK.count("EXISTS"), plan


def plan_of(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    try:
        return [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {WORK}")]
    finally:
        db.close()


def made(path: Path, *, work: bool) -> None:
    """Write a file of one size that has what is looked at, and nothing else."""
    db = sqlite3.connect(path)
    try:
        db.executescript(
            "CREATE TABLE IF NOT EXISTS submissions (owner, state); CREATE TABLE IF NOT EXISTS callbacks (state);"
            "CREATE TABLE IF NOT EXISTS runs (owner, state, awaits, cancel_requested_at);"
            f"DELETE FROM callbacks; INSERT INTO callbacks VALUES ('{'due' if work else 'off'}')"
        )
    finally:
        db.close()
