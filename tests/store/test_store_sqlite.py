"""What is true of the SQLite store alone: its file, its threads, its transactions, its memory."""

# pyright: reportPrivateUsage=false
# Connections of the store are looked at, and faults made on them.

import os
import re
import sqlite3
import stat
import threading
from collections.abc import AsyncGenerator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from darkroom.domain.job import LedgerKind, State
from darkroom.store.base import Claimed
from darkroom.store.sqlite import SqliteStore, connections
from factories import (
    JOB_ID,
    NOW,
    OWNER,
    job_id,
    make_acceptance,
    make_intent,
    make_job,
    make_ledger_row,
    make_move,
    make_output,
    make_worker,
)
from helpers_sqlite import beside, blocking, entered_by, new_store, on_reader, on_writer, writer_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "darkroom.db"


@pytest.fixture
async def store(path: Path) -> AsyncGenerator[SqliteStore]:
    opened = new_store(path)
    await opened.open()
    yield opened
    await opened.close()


# The file


async def test_the_writer_waits_for_the_disk_and_for_others(store: SqliteStore) -> None:
    assert await on_writer(store, "PRAGMA journal_mode") == "wal"
    assert await on_writer(store, "PRAGMA synchronous") == 2
    assert await on_writer(store, "PRAGMA busy_timeout") == 30_000
    assert await on_writer(store, "PRAGMA foreign_keys") == 1
    assert await on_writer(store, "PRAGMA mmap_size") == 0
    assert await on_reader(store, "PRAGMA busy_timeout") == 30_000


async def test_the_reader_can_only_read(store: SqliteStore) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await on_reader(store, "DELETE FROM jobs")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
async def test_file_and_folder_are_ours_alone(store: SqliteStore, path: Path) -> None:
    await store.add(make_job())
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = list(path.parent.iterdir())
    assert path in files
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_a_file_whose_name_has_the_signs_of_an_address_is_opened(tmp_path: Path) -> None:
    store = new_store(tmp_path / "ä ? # %41" / "a&b=c.db")
    await store.open()
    await store.close()
    assert [file.name for file in (tmp_path / "ä ? # %41").iterdir()] == ["a&b=c.db"]


async def test_two_stores_on_one_file_see_each_other(store: SqliteStore, path: Path) -> None:
    other = new_store(path)
    await other.open()
    await store.add(make_job())
    [claimed] = await other.claim(OWNER, accounts=[], now=NOW, limit=1)
    assert (await store.get(JOB_ID)) == claimed.job
    assert await store.move(claimed.submission.ref, OWNER, make_move(State.FAILED)) is not None
    assert await other.move(claimed.submission.ref, OWNER, make_move(State.FAILED)) is None
    await other.close()


async def test_a_job_is_read_as_one_commit_left_it(store: SqliteStore, path: Path) -> None:
    await store.add(make_job())

    def between(db: sqlite3.Connection) -> None:
        def write(statement: str) -> None:
            if "FROM submissions" in statement:
                db.set_trace_callback(None)
                other = sqlite3.connect(path, isolation_level=None)
                other.execute("UPDATE submissions SET state = 'failed'")
                other.execute("UPDATE jobs SET outcome = 'failed', finished_at = 1")
                other.close()

        db.set_trace_callback(write)

    await store._connections[1].run(between)
    job = await store.get(JOB_ID)
    assert job is not None
    assert (job.state, job.finished_at) == (State.QUEUED, None)
    job = await store.get(JOB_ID)
    assert job is not None
    assert (job.state, job.finished_at) == (State.FAILED, 1)


# What is remembered of ended jobs


async def end(store: SqliteStore, number: int) -> None:
    await store.add(make_job(id=job_id(number)), again=True)
    await store.request_cancel(job_id(number), "local", NOW)


async def delivered_at(store: SqliteStore) -> int | None:
    job = await store.get(job_id(1))
    assert job is not None
    return job.delivered_at


async def reads(store: SqliteStore, number: int) -> int:
    """Return how many queries it takes to get a job."""
    seen: list[str] = []

    def trace(db: sqlite3.Connection, callback: Callable[[str], object] | None) -> None:
        db.set_trace_callback(callback)

    await store._connections[1].run(lambda db: trace(db, seen.append))
    assert await store.get(job_id(number)) is not None
    await store._connections[1].run(lambda db: trace(db, None))
    return len([statement for statement in seen if "SELECT" in statement])


async def test_an_ended_job_is_read_once_and_its_principal_is_still_asked_for(store: SqliteStore) -> None:
    await end(store, 1)
    assert await reads(store, 1) == 3
    assert await reads(store, 1) == 0
    assert await store.get(job_id(1), "other") is None


async def test_of_many_ended_jobs_the_newest_read_are_remembered(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darkroom.store.sqlite.store.REMEMBERED", 2)
    for number in (1, 2, 3):
        await end(store, number)
        await store.get(job_id(number))
    assert [await reads(store, number) for number in (3, 2, 1)] == [0, 0, 3]


async def test_what_changes_an_ended_job_here_is_seen_at_once(store: SqliteStore) -> None:
    await end(store, 1)
    assert await delivered_at(store) is None
    await store.delivered(job_id(1), NOW)
    assert await delivered_at(store) == NOW


async def test_what_changes_an_ended_job_elsewhere_is_seen_with_the_next_data_version(
    store: SqliteStore, path: Path
) -> None:
    await end(store, 1)
    await store.data_version()
    assert await delivered_at(store) is None
    await beside(path, "UPDATE jobs SET delivered_at = 7")
    await store.data_version()
    assert await delivered_at(store) == 7


async def test_a_job_that_changes_while_it_is_read_is_not_remembered_as_it_was(store: SqliteStore) -> None:
    await end(store, 1)
    entered, gate = threading.Event(), threading.Event()

    def stop(statement: str) -> None:
        if "FROM outputs" in statement:
            entered.set()
            gate.wait(5)

    await store._connections[1].run(lambda db: db.set_trace_callback(stop))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(delivered_at, store)
            await entered_by(entered)
            await store.delivered(job_id(1), NOW)
            gate.set()
    assert await delivered_at(store) == NOW


# Group commit


async def test_a_hundred_callers_make_two_commits(store: SqliteStore) -> None:
    entered, gate = threading.Event(), threading.Event()
    writer = writer_of(store)
    before = writer.commits
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writer.run, blocking(entered, gate))
            await entered_by(entered)
            for number in range(99):
                tasks.start_soon(store.register, make_worker(id=f"worker-{number}"))
            await anyio.wait_all_tasks_blocked()
            gate.set()
    assert writer.commits - before == 2
    assert len(await store.workers()) == 99


async def test_a_batch_has_a_limit(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BATCH", 10)
    entered, gate = threading.Event(), threading.Event()
    writer = writer_of(store)
    before = writer.commits
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run, blocking(entered, gate))
        await entered_by(entered)
        for number in range(25):
            tasks.start_soon(store.register, make_worker(id=f"worker-{number}"))
        await anyio.wait_all_tasks_blocked()
        gate.set()
    assert writer.commits - before == 1 + 3


async def test_one_failing_caller_does_not_spoil_the_others(store: SqliteStore) -> None:
    entered, gate = threading.Event(), threading.Event()
    writer = writer_of(store)
    failed: list[Exception] = []

    def half(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM workers")
        raise LookupError("a caller's mistake")

    async def fail(work: Any) -> None:
        try:
            await work()
        except (LookupError, sqlite3.IntegrityError) as exc:
            failed.append(exc)

    await store.add(make_job())
    before = writer.commits
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writer.run, blocking(entered, gate))
            await entered_by(entered)
            for number in range(10):
                tasks.start_soon(store.register, make_worker(id=f"worker-{number}"))
                if number == 5:
                    tasks.start_soon(fail, partial(writer.run, half))
                    tasks.start_soon(fail, partial(store.add, make_job(), again=True))
            await anyio.wait_all_tasks_blocked()
            gate.set()
    assert sorted(type(exc).__name__ for exc in failed) == ["IntegrityError", "LookupError"]
    assert len(await store.workers()) == 10
    assert writer.commits - before == 2


async def test_what_a_cancelled_caller_asked_for_is_committed_and_nobody_is_stranded(store: SqliteStore) -> None:
    entered, gate = threading.Event(), threading.Event()
    writer = writer_of(store)
    served: list[str] = []

    async def register(name: str) -> None:
        await store.register(make_worker(id=name))
        served.append(name)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            async with anyio.create_task_group() as hurried:
                hurried.start_soon(writer.run, blocking(entered, gate))
                await entered_by(entered)
                hurried.start_soon(register, "cancelled")
                await anyio.wait_all_tasks_blocked()
                for number in range(3):
                    tasks.start_soon(register, f"patient-{number}")
                await anyio.wait_all_tasks_blocked()
                hurried.cancel_scope.cancel()
            assert served == []
            gate.set()
        await register("later")
    assert sorted(served) == ["later", "patient-0", "patient-1", "patient-2"]
    assert {worker.id for worker in await store.workers()} == {*served, "cancelled"}


async def test_a_caller_cancelled_from_outside_of_anyio_strands_nobody(store: SqliteStore) -> None:
    import asyncio  # noqa: TID251 because a task of another library is cancelled so

    entered, gate = threading.Event(), threading.Event()
    with anyio.fail_after(5):
        first = asyncio.ensure_future(writer_of(store).run(blocking(entered, gate)))
        await entered_by(entered)
        second = asyncio.ensure_future(store.register(make_worker()))
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        gate.set()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first
    assert await store.workers() == [make_worker()]


# Economy


async def rows_written(store: SqliteStore) -> int:
    return await store._connections[0].run(lambda db: db.total_changes)


async def test_a_whole_job_life_is_few_row_writes_and_looking_writes_nothing(store: SqliteStore) -> None:
    before = await rows_written(store)
    await store.add(make_job(), [make_ledger_row()])
    [claimed] = await store.claim(OWNER, accounts=[], now=NOW, limit=5)
    sent = await store.intend(claimed.submission.ref, OWNER, make_intent())
    assert sent is not None
    running = await store.accept(make_acceptance())
    assert running is not None
    polled = await rows_written(store)
    for _ in range(10):
        await store.get(JOB_ID, "local")
        await store.find(principal="local")
        await store.data_version()
        assert await store.claim(OWNER, accounts=["acme/main"], now=NOW, limit=5) == list[Claimed]()
    assert await rows_written(store) == polled
    loading = await store.move(running.ref, OWNER, make_move(State.DOWNLOADING))
    assert loading is not None
    ledger = (make_ledger_row(kind=LedgerKind.SETTLED),)
    done = make_move(State.SUCCEEDED, outputs=(make_output(),), ledger=ledger, actual=40_000)
    assert await store.move(loading.ref, OWNER, done) is not None
    await store.delivered(JOB_ID, NOW)
    assert await rows_written(store) - before <= 18


async def test_from_adding_to_done_the_rows_that_move_are_written_eight_times(store: SqliteStore) -> None:
    seen: list[str] = []
    await store._connections[0].run(lambda db: db.set_trace_callback(seen.append))
    await store.add(make_job(), [make_ledger_row()])
    [claimed] = await store.claim(OWNER, accounts=[], now=NOW, limit=5)
    sent = await store.intend(claimed.submission.ref, OWNER, make_intent())
    assert sent is not None
    running = await store.accept(make_acceptance())
    assert running is not None
    loading = await store.move(running.ref, OWNER, make_move(State.DOWNLOADING))
    assert loading is not None
    assert await store.move(loading.ref, OWNER, make_move(State.SUCCEEDED, outputs=(make_output(),))) is not None
    await store._connections[0].run(lambda db: db.set_trace_callback(None))
    written = [re.match(r"(?:INSERT INTO|UPDATE) (jobs|submissions)\b", statement) for statement in seen]
    assert sorted(found[1] for found in written if found) == ["jobs"] * 2 + ["submissions"] * 6
