"""A damaged database: it is found at the start or on the way, nothing new is begun, and what is under way goes on."""

# pyright: reportPrivateUsage=false
# Connections of the store are looked at, and faults made on them.

import sqlite3
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from darkroom.domain.job import State
from darkroom.errors import StorageCorrupt
from darkroom.events import Bus
from darkroom.store.sqlite import SqliteStore, soundness
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
    make_worker,
)
from helpers_sqlite import beside, new_store, writer_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "darkroom.db"


async def begun(path: Path) -> None:
    """Leave a database in which one job was claimed, and which has pages to damage."""
    store = new_store(path)
    await store.open()
    await store.add(make_job())
    await store.register(make_worker())
    await store.claim(OWNER, accounts=[], now=NOW, limit=1)
    for number in range(100, 140):
        await store.add(make_job(id=job_id(number), request_hash=f"{number}", labels=["x" * 200]))
    await store.close()


async def damage(path: Path, name: str) -> None:
    """Overwrite the first page of a table or an index."""
    [size] = await beside(path, "PRAGMA page_size")
    [page] = await beside(path, f"SELECT rootpage FROM sqlite_master WHERE name = '{name}'")
    data = bytearray(path.read_bytes())
    data[(page - 1) * size : page * size] = b"\xa5" * size
    path.write_bytes(data)


@pytest.fixture
async def damaged(path: Path) -> AsyncGenerator[SqliteStore]:
    """A store whose index of newest jobs, which nothing on a job's way reads, is damaged."""
    await begun(path)
    await damage(path, "runs_newest")
    store = new_store(path)
    await store.open()
    yield store
    await store.close()


async def test_nothing_new_is_stored_or_sent_with_a_damaged_database(damaged: SqliteStore, path: Path) -> None:
    with pytest.raises(StorageCorrupt, match="is damaged") as caught:
        await damaged.add(make_job(id=job_id(2)))
    assert str(path) in caught.value.message
    assert "darkroom db restore" in (caught.value.hint or "")
    job = await damaged.get(JOB_ID)
    assert job is not None
    with pytest.raises(StorageCorrupt):
        await damaged.intend(job.submissions[0].ref, OWNER, make_intent())
    assert await damaged.get(job_id(2)) is None
    assert (await damaged.get(JOB_ID)) == job


async def test_what_was_sent_before_the_damage_was_found_is_carried_to_its_end(path: Path) -> None:
    await begun(path)
    store = new_store(path)
    await store.open()
    job = await store.get(JOB_ID)
    assert job is not None
    await store.intend(job.submissions[0].ref, OWNER, make_intent())
    await store.close()
    await damage(path, "runs_newest")
    store = new_store(path)
    await store.open()
    assert await store.heartbeat(OWNER, 6_000.0, {})
    part = await store.accept(make_acceptance())
    assert part is not None
    for target in (State.DOWNLOADING, State.SUCCEEDED):
        part = await store.move(part.ref, OWNER, make_move(target))
        assert part is not None
    await store.delivered(JOB_ID, NOW)
    assert part.state is State.SUCCEEDED
    await store.close()


async def test_damage_met_on_the_way_stops_new_work_from_then_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await begun(path)
    await damage(path, "ledger_time")
    monkeypatch.setattr(soundness, "GLANCE_BYTES", 0)
    store = new_store(path)
    await store.open()
    assert (await store.add(make_job(id=job_id(2)), again=True)).created, "nobody has looked at the damaged page yet"
    with pytest.raises(StorageCorrupt, match="or is no database"):
        await store.add(make_job(id=job_id(3)), [make_ledger_row(job_id=job_id(3))], again=True)
    with pytest.raises(StorageCorrupt, match="is damaged"):
        await store.add(make_job(id=job_id(4)), again=True)
    await store.register(make_worker(id="worker-2"))
    assert [worker.id for worker in await store.workers()] == [OWNER, "worker-2"]
    await store.close()


async def test_damage_met_in_reading_stops_new_work_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await begun(path)
    await damage(path, "outputs_job")
    monkeypatch.setattr(soundness, "GLANCE_BYTES", 0)
    store = new_store(path)
    await store.open()
    for _ in range(2):
        with pytest.raises(StorageCorrupt, match="or is no database"):
            await store.get(JOB_ID)
    commits = writer_of(store).commits
    with pytest.raises(StorageCorrupt, match="malformed"):
        await store.add(make_job(id=job_id(2)), again=True)
    assert writer_of(store).commits == commits
    await store.close()


async def test_looking_for_damage_ends_when_its_time_is_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hurried(FakeClock):
        def monotonic(self) -> float:
            self.running += soundness.GLANCE_S
            return self.running

    monkeypatch.setattr(soundness, "OPS", 1)
    await begun(path)
    await damage(path, "runs_newest")
    store = SqliteStore(path, Bus(), Hurried())
    await store.open()
    assert (await store.add(make_job(id=job_id(2)), again=True)).created
    await store.close()


def test_damage_that_ends_the_look_itself_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database")
    db = sqlite3.connect(path)
    assert soundness.glance(path, lambda: 0.0, db) == "file is not a database"
    db.close()
