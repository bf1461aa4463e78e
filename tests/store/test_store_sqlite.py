"""What is true of the SQLite store alone: its file, its threads, its transactions, its faults."""

# pyright: reportPrivateUsage=false
# Faults are made on the store's own connections.

import errno
import os
import sqlite3
import stat
import threading
from collections.abc import AsyncGenerator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from darkroom.domain.job import LedgerKind, State
from darkroom.errors import StorageCorrupt, StorageFull, StorageMissing, StorageNewer, StorageUnwritable
from darkroom.events import Bus
from darkroom.store.base import Claimed
from darkroom.store.sqlite import SqliteStore, connections
from darkroom.store.sqlite.connections import Writer
from darkroom.store.sqlite.faults import explain
from factories import (
    JOB_ID,
    NOW,
    OWNER,
    FakeClock,
    job_id,
    make_acceptance,
    make_intent,
    make_job,
    make_ledger_row,
    make_move,
    make_output,
    make_worker,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "darkroom.db"


def new_store(path: Path) -> SqliteStore:
    return SqliteStore(path, Bus(), FakeClock())


@pytest.fixture
async def store(path: Path) -> AsyncGenerator[SqliteStore]:
    opened = new_store(path)
    await opened.open()
    yield opened
    await opened.close()


def writer_of(store: SqliteStore) -> Writer:
    assert store._writer is not None
    return store._writer


async def on_writer(store: SqliteStore, sql: str) -> Any:
    """Return the first value that a statement gives on the writing connection."""
    return await store._connections[0].run(partial(_first, sql))


async def on_reader(store: SqliteStore, sql: str) -> Any:
    return await store._connections[1].run(partial(_first, sql))


def _first(sql: str, db: sqlite3.Connection) -> Any:
    row = db.execute(sql).fetchone()
    return None if row is None else row[0]


async def beside(path: Path, *sql: str) -> list[Any]:
    """Run statements on a connection of our own; return the first value of each."""

    def work() -> list[Any]:
        db = sqlite3.connect(path, isolation_level=None)
        try:
            return [_first(statement, db) for statement in sql]
        finally:
            db.close()

    return await anyio.to_thread.run_sync(work)


def our_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name]


async def no_threads_left() -> None:
    for thread in our_threads():
        await anyio.to_thread.run_sync(thread.join, 5)
    assert our_threads() == []


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
                other.execute("UPDATE jobs SET state = 'failed', finished_at = 1")
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


def blocking(entered: threading.Event, gate: threading.Event) -> Callable[[sqlite3.Connection], None]:
    """Return a transaction that holds the writer until the gate opens."""

    def work(db: sqlite3.Connection) -> None:
        entered.set()
        assert gate.wait(5)

    return work


async def entered_by(event: threading.Event) -> None:
    assert await anyio.to_thread.run_sync(event.wait, 5)


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


# Faults


@pytest.mark.parametrize("below", ["darkroom.db", "deeper/darkroom.db"])
async def test_a_home_below_a_regular_file_cannot_be_written(tmp_path: Path, below: str) -> None:
    (tmp_path / "home").write_text("mine", "utf-8")
    store = new_store(tmp_path / "home" / below)
    for _ in range(2):
        with pytest.raises(StorageUnwritable, match="cannot be used") as caught:
            await store.open()
        assert "DARKROOM_HOME" in (caught.value.hint or "")
    assert (tmp_path / "home").read_text("utf-8") == "mine"
    await no_threads_left()


async def test_a_file_that_may_not_be_written_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("darkroom.store.sqlite.store.os.open", refuse)
    with pytest.raises(StorageUnwritable, match="Permission denied"):
        await new_store(path).open()


async def filled(path: Path) -> bytes:
    """Make a database of many pages, and return its bytes."""
    store = new_store(path)
    await store.open()
    for number in range(30):
        await store.add(make_job(id=job_id(number), request_hash=f"{number}", save_as="x" * 2_000))
    await store.close()
    return path.read_bytes()


@pytest.mark.parametrize("keep", [2, 99, 100, 4096, 20_000])
async def test_a_truncated_file_is_damaged_and_left_as_it_is(path: Path, keep: int) -> None:
    data = (await filled(path))[:keep]
    path.write_bytes(data)
    with pytest.raises(StorageCorrupt, match="damaged") as caught:
        await new_store(path).open()
    assert "backup" in (caught.value.hint or "")
    assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]
    await no_threads_left()


@pytest.mark.parametrize("junk", [b"not a database", b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_a_file_of_something_else_is_left_as_it_is(path: Path, junk: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(junk)
    with pytest.raises(StorageCorrupt):
        await new_store(path).open()
    assert path.read_bytes() == junk


async def test_damage_that_shows_later_is_named_to_writers_and_readers(path: Path) -> None:
    data = bytearray(await filled(path))
    [size] = await beside(path, "PRAGMA page_size")
    [roots] = await beside(path, "SELECT group_concat(rootpage) FROM sqlite_master WHERE rootpage > 0")
    for page in roots.split(","):
        data[(int(page) - 1) * size : int(page) * size] = b"\xa5" * size
    path.write_bytes(data)
    store = new_store(path)
    await store.open()
    with pytest.raises(StorageCorrupt):
        await store.find()
    with pytest.raises(StorageCorrupt):
        await store.add(make_job(id=job_id(99)))
    with pytest.raises(StorageCorrupt):
        await store.delivered(job_id(1), NOW)
    await store.close()


async def test_a_full_disk_is_named_and_the_store_works_again_afterwards(store: SqliteStore) -> None:
    await store.add(make_job())
    pages = await on_writer(store, "PRAGMA page_count")
    await on_writer(store, f"PRAGMA max_page_count = {pages}")
    big = make_job(id=job_id(2), request_hash="big", save_as="x" * 100_000)
    with pytest.raises(StorageFull, match="full") as caught:
        await store.add(big)
    assert caught.value.retryable
    assert "is kept" in (caught.value.hint or "")
    assert await store.get(big.id) is None
    assert await store.get(JOB_ID) == make_job()
    await on_writer(store, "PRAGMA max_page_count = 1000000")
    assert (await store.add(big)).created
    assert await on_writer(store, "PRAGMA integrity_check") == "ok"


async def test_a_full_disk_fails_all_who_were_to_be_committed_together(store: SqliteStore) -> None:
    entered, gate = threading.Event(), threading.Event()
    pages = await on_writer(store, "PRAGMA page_count")
    await on_writer(store, f"PRAGMA max_page_count = {pages}")
    refused: list[str] = []

    async def add(number: int) -> None:
        with pytest.raises(StorageFull):
            await store.add(make_job(id=job_id(number), request_hash=f"{number}", save_as="x" * 50_000))
        refused.append(job_id(number))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writer_of(store).run, blocking(entered, gate))
            await entered_by(entered)
            for number in range(5):
                tasks.start_soon(add, number)
            await anyio.wait_all_tasks_blocked()
            gate.set()
    assert len(refused) == 5
    assert await store.find() == []


async def test_a_deleted_file_is_missed_before_anything_is_added_or_sent(store: SqliteStore, path: Path) -> None:
    await store.add(make_job())
    await store.register(make_worker())
    [claimed] = await store.claim(OWNER, accounts=[], now=NOW, limit=1)
    path.unlink()
    with pytest.raises(StorageMissing, match="moved, replaced or deleted"):
        await store.add(make_job(id=job_id(2)))
    with pytest.raises(StorageMissing):
        await store.intend(claimed.submission.ref, OWNER, make_intent())
    with pytest.raises(StorageMissing):
        await store.heartbeat(OWNER, 1.0, {})
    path.write_bytes(b"another file")
    with pytest.raises(StorageMissing):
        await store.add(make_job(id=job_id(2)))


@pytest.mark.parametrize("journal", ["wal", "delete"])
async def test_a_file_of_a_newer_version_is_left_as_it_is(path: Path, journal: str) -> None:
    path.parent.mkdir()
    sql = ["CREATE TABLE jobs (future TEXT)", "INSERT INTO jobs VALUES ('x')", "PRAGMA user_version = 999"]
    await beside(path, f"PRAGMA journal_mode = {journal}", *sql)
    data = path.read_bytes()
    store = new_store(path)
    for _ in range(2):
        with pytest.raises(StorageNewer, match="schema version 999") as caught:
            await store.open()
        assert "Update darkroom" in (caught.value.hint or "")
    assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]
    await no_threads_left()


async def test_an_opening_that_failed_leaves_no_thread_and_can_be_repeated(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"junk")
    store = new_store(path)
    for _ in range(3):
        with pytest.raises(StorageCorrupt):
            await store.open()
    await no_threads_left()
    path.unlink()
    await store.open()
    assert (await store.add(make_job())).created
    assert len(our_threads()) == 2
    await store.close()
    await no_threads_left()


async def test_an_opening_that_was_cancelled_leaves_no_thread_and_can_be_repeated(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_store(path)
    path.parent.mkdir()
    with anyio.CancelScope() as scope, monkeypatch.context() as patch:

        def cancel(_: Path) -> None:
            anyio.from_thread.run_sync(scope.cancel)

        patch.setattr("darkroom.store.sqlite.store._prepare", cancel)
        await store.open()
    assert scope.cancelled_caught
    await no_threads_left()
    await store.open()
    assert (await store.add(make_job())).created
    await store.close()


def test_every_failure_has_a_name_and_tells_what_was_kept() -> None:
    path = Path("darkroom.db")
    full = explain(OSError(errno.ENOSPC, "No space left on device"), path)
    assert isinstance(full, StorageFull)
    plain = explain(OSError("something"), path)
    assert isinstance(plain, StorageUnwritable)
    assert "something" in plain.message
    assert isinstance(explain(sqlite3.OperationalError("database is locked"), path), StorageUnwritable)
    assert "is kept" in (full.hint or "")
    assert "is kept" in (plain.hint or "")


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
    assert await rows_written(store) - before <= 24
