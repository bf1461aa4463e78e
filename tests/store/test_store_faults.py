"""The SQLite store on bad disks and bad files: each fault has a name, and nothing is made worse."""

# pyright: reportPrivateUsage=false
# Connections of the store are looked at, and faults made on them.

import errno
import sqlite3
import threading
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from darkroom.errors import StorageCorrupt, StorageFull, StorageMissing, StorageNewer, StorageUnwritable
from darkroom.store.sqlite import SqliteStore
from darkroom.store.sqlite.faults import explain, explained
from factories import (
    JOB_ID,
    NOW,
    OWNER,
    job_id,
    make_intent,
    make_job,
    make_worker,
)
from helpers_sqlite import (
    beside,
    blocking,
    entered_by,
    new_store,
    no_threads_left,
    on_writer,
    our_threads,
    writer_of,
)

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

    monkeypatch.setattr("darkroom.store.sqlite.private.os.open", refuse)
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
    assert our_threads() == []
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
    await store.intact()
    path.unlink()
    with pytest.raises(StorageMissing, match="moved, replaced or deleted"):
        await store.intact()
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

        patch.setattr("darkroom.store.sqlite.store.prepare", cancel)
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


def test_a_database_that_another_program_locks_is_named(tmp_path: Path) -> None:
    first, second = (sqlite3.connect(tmp_path / "a.db", isolation_level=None, timeout=0) for _ in range(2))
    first.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageUnwritable, match="locked by another program") as caught, explained(tmp_path / "a.db"):
        second.execute("BEGIN IMMEDIATE")
    assert "nothing of this call is" in (caught.value.hint or "")
    first.close()
    second.close()


def test_a_mistake_of_our_own_is_not_blamed_on_the_disk() -> None:
    assert explain(LookupError("mine"), Path("a.db")) is None
    with pytest.raises(sqlite3.IntegrityError), explained(Path("a.db")):
        raise sqlite3.IntegrityError("UNIQUE constraint failed: jobs.id")
