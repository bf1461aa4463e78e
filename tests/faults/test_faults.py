"""What becomes of jobs when the disk, the file, the clock or the machine fails under them."""

# pyright: reportPrivateUsage=false
# Connections of the store are looked at, and faults made on them.

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from darkroom.adapters.base import Accepted, Follow, Pending
from darkroom.clock import SystemClock
from darkroom.domain.job import Job, State
from darkroom.errors import StorageCorrupt, StorageFull, StorageMissing, StorageUnwritable
from darkroom.runtime import embedded as loop
from darkroom.runtime import schedule
from helpers_sqlite import beside, on_writer
from runtime.helpers_runtime import Rig, moving, rig_in, until

DAY_MS = 86_400_000
ROOT_ONLY = "only the administrator of a Linux machine can mount a small disk"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the loop look often."""
    for name, seconds in (("SCAN_S", 0.02), ("WATCH_S", 0.02), ("BEATS", 750)):
        monkeypatch.setattr(loop, name, seconds)

    def soon(_: int) -> float:
        return 0.01

    monkeypatch.setattr(schedule, "trouble_pause", soon)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncGenerator[Rig]:
    async with rig_in(tmp_path, SystemClock()) as opened:
        yield opened


async def ended(rig: Rig, job: Job) -> Job:
    """Return a job once it has ended, whatever states it passes through."""

    async def over() -> bool:
        return (await rig.job(job)).ended

    await until(over)
    return await rig.job(job)


class Gate:
    """An answer of the provider that waits until a test lets it come."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.reached = anyio.Event()
        self.open = anyio.Event()

    async def wait(self, _: Follow) -> Any:
        self.reached.set()
        await self.open.wait()
        return self.answer


def database(rig: Rig) -> Path:
    return rig.folder / "home" / "darkroom.sqlite3"


async def assert_paid_once(rig: Rig, job: Job) -> None:
    """Make sure that a job succeeded after one call, whose money was settled once."""
    assert (await rig.job(job)).state is State.SUCCEEDED
    assert len(rig.adapter.sent) == 1
    assert [kind.value for kind, _, _ in await rig.money(job)] == ["reserved", "settled"]


# A full disk


@dataclass
class Disk:
    """A place for a rig, with ways to fill it and to free it."""

    folder: Path
    fill: Callable[[Rig], Awaitable[None]]
    free: Callable[[Rig], Awaitable[None]]


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Generator[Path]:
    """Mount a small disk for the block, where the machine permits."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip(ROOT_ONLY)
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "darkroom", folder], capture_output=True)
    if made.returncode:
        pytest.skip(ROOT_ONLY)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def small(tmp_path: Path) -> Generator[Disk]:
    """A disk of two megabytes."""
    with mounted(tmp_path / "small", "2m") as folder:

        async def fill(_: Rig) -> None:
            with contextlib.suppress(OSError), (folder / "ballast").open("wb", buffering=0) as file:
                while True:
                    file.write(b"\0" * 4096)

        async def free(_: Rig) -> None:
            (folder / "ballast").unlink()

        yield Disk(folder, fill, free)


@pytest.fixture
def limited(tmp_path: Path) -> Disk:
    """A database that may not grow, which is to SQLite as a full disk is."""

    async def fill(rig: Rig) -> None:
        pages = await on_writer(rig.store, "PRAGMA page_count")
        await on_writer(rig.store, f"PRAGMA max_page_count = {pages}")

    async def free(rig: Rig) -> None:
        await on_writer(rig.store, "PRAGMA max_page_count = 1000000")

    return Disk(tmp_path, fill, free)


@pytest.mark.parametrize("kind", ["limited", "small"])
async def test_a_full_disk_stops_new_jobs_and_loses_no_paid_one(
    kind: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    disk: Disk = request.getfixturevalue(kind)
    async with rig_in(disk.folder, SystemClock()) as rig:
        # More than fits into a page that is there already.
        accepted = Gate(Accepted({"id": "r1", "token": "x" * 50_000}, "r1"))
        rig.adapter.submits, rig.adapter.polls = [accepted.wait], [Pending(), rig.done()]
        async with moving(rig):
            job = await rig.add()
            await accepted.reached.wait()
            await disk.fill(rig)
            for _ in range(2):
                with pytest.raises(StorageFull, match="full"):
                    await rig.add(save_as="x" * 50_000)
            accepted.open.set()

            async def refused() -> bool:
                return caplog.text.count("answered as r1, not stored yet") > 1

            await until(refused)
            assert (await rig.job(job)).state is State.SUBMITTING
            await disk.free(rig)
            await ended(rig, job)
        await assert_paid_once(rig, job)


# A folder that cannot be written


@pytest.fixture
def closed(tmp_path: Path) -> Generator[Callable[[], Any]]:
    if os.name == "nt" or os.geteuid() == 0:
        pytest.skip("the administrator may write everywhere")
    yield lambda: (tmp_path / "here" / "home").chmod(0o500)
    (tmp_path / "here" / "home").chmod(0o700)


@pytest.fixture
def locked(tmp_path: Path) -> Generator[Callable[[], Any]]:
    with mounted(tmp_path / "here", "4m") as folder:
        yield lambda: subprocess.run(["mount", "-o", "remount,ro", folder], check=True)


@pytest.mark.parametrize("kind", ["closed", "locked"])
async def test_a_database_in_a_read_only_folder_is_refused_at_the_start_and_left_as_it_is(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    close: Callable[[], Any] = request.getfixturevalue(kind)
    (tmp_path / "here").mkdir(exist_ok=True)
    async with rig_in(tmp_path / "here", SystemClock()) as rig:
        await rig.add()
    before = database(rig).read_bytes()
    await anyio.to_thread.run_sync(close)
    with pytest.raises(StorageUnwritable, match="cannot be used") as caught:
        async with rig_in(tmp_path / "here", SystemClock()):
            pass
    assert "DARKROOM_HOME" in (caught.value.hint or "")
    assert database(rig).read_bytes() == before


async def test_a_disk_that_turns_read_only_in_mid_job_stops_new_jobs_and_loses_no_paid_one(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    accepted = Gate(Accepted({"id": "r1"}, "r1"))
    rig.adapter.submits, rig.adapter.polls = [accepted.wait], [rig.done()]
    async with moving(rig):
        job = await rig.add()
        await accepted.reached.wait()
        await on_writer(rig.store, "PRAGMA query_only = ON")
        with pytest.raises(StorageUnwritable, match="readonly"):
            await rig.add()
        accepted.open.set()

        async def refused() -> bool:
            return "answered as r1, not stored yet" in caplog.text

        await until(refused)
        await on_writer(rig.store, "PRAGMA query_only = OFF")
        await ended(rig, job)
    await assert_paid_once(rig, job)


# A damaged file


async def spoil(path: Path, name: str) -> None:
    """Overwrite the first page of a table or an index on the disk."""
    [size] = await beside(path, "PRAGMA page_size")
    [page] = await beside(path, f"SELECT rootpage FROM sqlite_master WHERE name = '{name}'")
    data = b"\xa5" * size
    with path.open("rb+") as file:
        file.seek((page - 1) * size)
        file.write(data)


async def test_damage_that_is_found_at_the_start_stops_new_jobs_and_the_paid_one_ends(tmp_path: Path, rig: Rig) -> None:
    rig.adapter.polls = [Pending(poll_after_s=3600)]
    async with moving(rig):
        job = await rig.add()

        async def asked() -> bool:
            return bool(rig.adapter.asked)

        await until(asked)
        waiting = await rig.add()
        await rig.store.request_cancel(waiting.id, "local", 0)
    await rig.store.close()
    await spoil(database(rig), "runs_newest")
    rig.adapter.polls = [rig.done()]
    async with rig_in(tmp_path, SystemClock(), rig.adapter) as after, moving(after):
        with pytest.raises(StorageCorrupt, match="is damaged"):
            await after.add()
        await ended(after, job)
        await assert_paid_once(after, job)


async def test_with_a_damaged_database_a_job_that_waits_is_not_sent(
    tmp_path: Path, rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    job = await rig.add()
    await rig.store.close()
    await spoil(database(rig), "runs_newest")
    async with rig_in(tmp_path, SystemClock(), rig.adapter) as after, moving(after):

        async def waits() -> bool:
            return f"job {job.id} waits for the store" in caplog.text

        await until(waits)
        assert (await after.job(job)).state is State.QUEUED
    assert rig.adapter.sent == []


async def test_damage_under_a_running_job_is_met_by_the_next_new_one_and_the_paid_one_ends(rig: Rig) -> None:
    done = Gate(rig.done())
    rig.adapter.polls = [done.wait]
    async with moving(rig):
        job = await rig.add()
        await done.reached.wait()
        await on_writer(rig.store, "PRAGMA wal_checkpoint(TRUNCATE)")
        await spoil(database(rig), "jobs_newest")  # in which only a new job is noted
        await on_writer(rig.store, "PRAGMA shrink_memory")  # what it remembers of the file is not damaged
        with pytest.raises(StorageCorrupt, match="or is no database"):
            await rig.add()
        with pytest.raises(StorageCorrupt, match="is damaged"):
            await rig.add()
        done.open.set()
        await ended(rig, job)
    await assert_paid_once(rig, job)


@pytest.mark.parametrize("keep", [0.5, 0.0])
async def test_a_file_cut_short_or_of_something_else_is_named_at_the_start_and_left_as_it_is(
    tmp_path: Path, keep: float
) -> None:
    async with rig_in(tmp_path, SystemClock()) as rig:
        await rig.add()
    data = database(rig).read_bytes()
    left = data[: round(len(data) * keep)] or b"not a database"
    database(rig).write_bytes(left)
    for _ in range(2):
        with pytest.raises(StorageCorrupt, match="damaged") as caught:
            async with rig_in(tmp_path, SystemClock()):
                pass
        assert "darkroom db restore" in (caught.value.hint or "")
    assert database(rig).read_bytes() == left


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_database_deleted_under_a_running_job_is_missed_and_the_job_is_seen_to_its_end(
    tmp_path: Path, rig: Rig, caplog: pytest.LogCaptureFixture, replaced: bool
) -> None:
    done = Gate(rig.done())
    rig.adapter.polls = [Pending(), done.wait]
    async with moving(rig):
        job = await rig.add()
        await done.reached.wait()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{database(rig)}{suffix}").unlink()
        if replaced:
            async with rig_in(tmp_path, SystemClock()) as other:
                assert await other.store.get(job.id) is None
        for _ in range(2):
            with pytest.raises(StorageMissing, match="moved, replaced or deleted"):
                await rig.add()
        done.open.set()
        found = await ended(rig, job)

        async def told() -> bool:
            return "no heartbeat: The job database" in caplog.text

        await until(told)
    assert found.state is State.SUCCEEDED
    assert Path(found.outputs[0].path).is_file()
    assert len(rig.adapter.sent) == 1


# Clocks


class Jumpy(SystemClock):
    """The machine's clocks, moved."""

    def __init__(self) -> None:
        self.wall_ms = 0
        self.slept_s = 0.0

    def now(self) -> int:
        return super().now() + self.wall_ms

    def boot(self) -> float:
        return super().boot() + self.slept_s


@pytest.mark.parametrize("jump", [-DAY_MS, DAY_MS])
async def test_a_wall_clock_that_jumps_in_mid_job_neither_ends_it_nor_holds_it_up(tmp_path: Path, jump: int) -> None:
    clock = Jumpy()
    async with rig_in(tmp_path, clock) as rig:

        async def jumping(_: Follow) -> Pending:
            clock.wall_ms += jump
            return Pending()

        rig.adapter.polls = [Pending(), jumping, Pending(), Pending(), rig.done()]
        async with moving(rig):
            job = await rig.add()
            await ended(rig, job)
        await assert_paid_once(rig, job)
        assert await rig.moves(job) == ["queued", "submitting", "running", "downloading", "succeeded"]


async def test_a_wall_clock_that_jumped_back_between_two_processes_holds_no_accepted_job_up(tmp_path: Path) -> None:
    clock = Jumpy()
    async with rig_in(tmp_path, clock) as rig:
        held = await rig.begun()
        await rig.store.reap([rig.kit.owner], rig.clock.now())
        clock.wall_ms -= DAY_MS
        rig.adapter.polls = [Pending(), rig.done()]
        async with moving(rig):
            job = await rig.job(held)
            await ended(rig, job)
        await assert_paid_once(rig, job)


async def test_a_wall_clock_that_jumped_forward_between_two_processes_fails_no_paid_job(tmp_path: Path) -> None:
    clock = Jumpy()
    async with rig_in(tmp_path, clock) as rig:
        held = await rig.begun()
        await rig.store.reap([rig.kit.owner], rig.clock.now())
        clock.wall_ms += DAY_MS
        rig.adapter.polls = [Pending()]
        async with moving(rig):
            job = await rig.job(held)

            async def parked() -> bool:
                return (await rig.job(held)).state is State.PARKED

            await until(parked)
            rig.adapter.polls = [rig.done()]
            rig.bus.ask(job.id)
            await ended(rig, job)
        await assert_paid_once(rig, job)


# A machine that sleeps


def asleep(rig: Rig) -> anyio.Event:
    """Keep a process that holds a job from living on and taking more, until the event: as if its machine slept."""
    woken, beat, claim = anyio.Event(), rig.store.heartbeat, rig.store.claim

    async def late(*args: Any) -> bool:
        await woken.wait()
        return await beat(*args)

    async def claimed(*args: Any, **more: Any) -> Any:
        if rig.adapter.sent:
            await woken.wait()
        return await claim(*args, **more)

    rig.store.heartbeat, rig.store.claim = late, claimed
    return woken


async def test_a_process_that_slept_through_its_lease_drops_what_another_took_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Jumpy()
    async with rig_in(tmp_path, clock) as rig, rig_in(tmp_path, clock, rig.adapter) as other:
        late = Gate(Pending(poll_after_s=3600))
        rig.adapter.polls = [late.wait, Pending(poll_after_s=3600), rig.done()]
        woken = asleep(rig)
        async with moving(rig):
            job = await rig.add()
            await late.reached.wait()
            clock.slept_s = 600.0
            async with moving(other):

                async def taken() -> bool:
                    return len(rig.adapter.asked) == 2

                await until(taken)
                assert (await rig.part(job)).owner == other.kit.owner
                woken.set()
                late.open.set()

                async def noticed() -> bool:
                    return "taken for dead" in caplog.text and len(await other.store.workers()) == 2

                await until(noticed)
                assert (await rig.part(job)).owner == other.kit.owner
            await ended(rig, job)
        await assert_paid_once(rig, job)


async def test_a_process_that_slept_during_its_paid_call_stores_the_answer_when_it_wakes(tmp_path: Path) -> None:
    clock = Jumpy()
    async with rig_in(tmp_path, clock) as rig, rig_in(tmp_path, clock, rig.adapter) as other:
        late = Gate(Accepted({"id": "r1"}, "r1"))
        rig.adapter.submits, rig.adapter.polls = [late.wait], [rig.done()]
        woken = asleep(rig)
        async with moving(rig):
            job = await rig.add()
            await late.reached.wait()
            clock.slept_s = 600.0
            async with moving(other):

                async def unknown() -> bool:
                    return (await rig.part(job)).state is State.SUBMIT_UNKNOWN

                await until(unknown)
                woken.set()
                late.open.set()
                await ended(other, job)
        await assert_paid_once(rig, job)
        assert "submit_unknown" in await rig.moves(job)
