"""Whether a store holds work, as an idle server sees it from outside."""

import os
import sqlite3
from pathlib import Path

import anyio.to_thread
import pytest

from darkroom.domain.job import ENDED, State
from darkroom.domain.run import Awaits, Delivery, RunState
from darkroom.store.sqlite import SqliteStore
from darkroom.store.unfinished import LOOK_FOR_S, LOOKS, WORK, Unfinished
from factories import JOB_ID, NOW, OWNER, make_job, make_worker
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


def watching(path: Path, *dead: str) -> Unfinished:
    """Return what looks, for which all others live that said so and are not named."""
    return Unfinished(path, lambda rows: {row.id for row in rows} & set(dead))


async def looked(path: Path, store: SqliteStore | None = None) -> bool:
    """Return what a server sees that starts now, with the store closed as its last process left it."""
    if store is not None:
        await store.close()
    return await anyio.to_thread.run_sync(watching(path).look, NOW)


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


@pytest.mark.parametrize(
    ("accounts", "left"), [(("acme/main",), False), ((), True)], ids=["with its account", "without it"]
)
@pytest.mark.parametrize("state", [State.RUNNING, State.SUBMIT_UNKNOWN])
async def test_what_a_living_process_may_take_is_left_to_it(
    path: Path, store: SqliteStore, state: State, accounts: tuple[str, ...], left: bool
) -> None:
    await bring(store, state)
    await store.reap([OWNER], NOW)
    await store.register(make_worker(id="w_other", accounts=accounts))
    assert await looked(path, store) is left


@pytest.mark.parametrize("state", [State.RUNNING, State.SUBMITTING])
async def test_what_a_living_process_holds_is_its_own_until_it_dies(
    path: Path, store: SqliteStore, state: State
) -> None:
    await bring(store, state)
    await store.register(make_worker(id=OWNER))
    dead = set[str]()
    idle = Unfinished(path, lambda rows: {row.id for row in rows} & dead)
    assert [await anyio.to_thread.run_sync(idle.look, NOW) for _ in range(2)] == [False, False]
    dead.add(OWNER)  # which leaves no mark on the file
    assert await anyio.to_thread.run_sync(idle.look, NOW)
    await store.close()


async def test_queued_jobs_runs_and_callbacks_are_of_any_process_that_lives(path: Path, store: SqliteStore) -> None:
    await store.add(make_job(), callback=make_callback(JOB_ID))
    await store.runs.note_callback(make_callback(JOB_ID, state=Delivery.DUE))
    await store.runs.add(make_run(), session=None)
    await store.register(make_worker(id="w_other"))
    assert not await anyio.to_thread.run_sync(watching(path).look, NOW)
    assert await anyio.to_thread.run_sync(watching(path, "w_other").look, NOW)
    await store.close()


async def test_an_answer_that_was_lost_long_ago_is_looked_for_no_more(path: Path, store: SqliteStore) -> None:
    await bring(store, State.SUBMIT_UNKNOWN)
    await store.reap([OWNER], NOW)
    assert await anyio.to_thread.run_sync(watching(path).look, NOW)
    assert not await anyio.to_thread.run_sync(watching(path).look, NOW + int(LOOK_FOR_S * 1000) + 60_000)
    await store.close()


async def test_a_file_that_somebody_locks_is_looked_at_again(path: Path, store: SqliteStore) -> None:
    await store.add(make_job())
    await store.close()
    idle = watching(path)

    def locked() -> list[bool]:
        db = sqlite3.connect(path, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = DELETE")
            db.execute("BEGIN EXCLUSIVE")
            during = idle.look(NOW)
            db.execute("COMMIT")
            return [during, idle.look(NOW)]
        finally:
            db.close()

    assert await anyio.to_thread.run_sync(locked) == [False, True]


async def test_what_another_process_adds_is_seen_while_it_has_the_store_open(path: Path, store: SqliteStore) -> None:
    idle = watching(path)
    assert not await anyio.to_thread.run_sync(idle.look, NOW)
    await store.add(make_job())
    assert await anyio.to_thread.run_sync(idle.look, NOW)
    await store.close()


def test_a_write_that_leaves_no_mark_on_the_file_is_seen_later(path: Path) -> None:
    made(path, work=False)
    mark = path.stat()
    idle = watching(path)
    assert not idle.look(NOW)
    made(path, work=True)
    os.utime(path, ns=(mark.st_atime_ns, mark.st_mtime_ns))
    assert [idle.look(NOW) for _ in range(LOOKS)] == [False] * (LOOKS - 1) + [True]


@pytest.mark.parametrize("content", [b"", b"no database, but long enough for the head of one" * 20])
def test_what_cannot_be_read_is_left_to_who_opens_the_store(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    idle = watching(path)
    assert [idle.look(NOW), idle.look(NOW)] == [False, True], "at first it may be just being made"
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
            "CREATE TABLE IF NOT EXISTS submissions (owner, state, account, sent_at);"
            "CREATE TABLE IF NOT EXISTS workers (id, host, boot_id, lease_until, accounts);"
            "CREATE TABLE IF NOT EXISTS callbacks (state);"
            "CREATE TABLE IF NOT EXISTS runs (owner, state, awaits, cancel_requested_at);"
            f"DELETE FROM callbacks; INSERT INTO callbacks VALUES ('{'due' if work else 'off'}')"
        )
    finally:
        db.close()
