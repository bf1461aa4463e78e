"""Commits of many callers at once beside one caller's, both with full synchronisation; rows written in a job's life."""

import re
import sqlite3
import statistics
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from darkroom.clock import SystemClock
from darkroom.domain.job import Job, State, Submission, new_id
from darkroom.domain.kinds import Kind, Mode
from darkroom.domain.output import Output
from darkroom.domain.request import Effective, ImageRequest
from darkroom.events import Bus
from darkroom.store.base import Acceptance, Intent, Move
from darkroom.store.sqlite import SqliteStore
from harness import clock, folder

CALLERS = 100
EACH = 20
ALONE = 200
ROUNDS = 5
OWNER = "w_bench"


def job_at(number: int) -> Job:
    """Return a queued job."""
    now = SystemClock().now()
    job_id = new_id("job", now)
    effective = Effective(
        kind=Kind.IMAGE, mode=Mode.TEXT_TO_IMAGE, prompt=f"a boat {number}", width=64, height=64, aspect_ratio="1:1"
    )
    part = Submission(job_id=job_id, idx=0, provider="acme", model="acme-1", effective=effective, account="a")
    return Job(
        id=job_id,
        principal="local",
        kind=Kind.IMAGE,
        mode=Mode.TEXT_TO_IMAGE,
        request=ImageRequest(prompt="a boat"),
        request_hash=job_id,
        created_at=now,
        updated_at=now,
        submissions=(part,),
    )


async def rate(callers: int, each: int, write: Callable[[], Awaitable[object]]) -> float:
    """Return writes a second of so many callers, each waiting for its last before the next."""

    async def call() -> None:
        for _ in range(each):
            await write()

    start = clock()
    async with anyio.create_task_group() as tasks:
        for _ in range(callers):
            tasks.start_soon(call)
    return callers * each / (clock() - start)


def one_row(store: SqliteStore) -> Callable[[], Awaitable[object]]:
    """Return a write of one row, committed like every other."""
    writer: Any = store._writer

    def work(db: sqlite3.Connection) -> None:
        db.execute(
            "INSERT INTO sessions (id, principal, created_at, updated_at) VALUES (hex(randomblob(8)), 'a', 0, 0)"
        )

    return partial(writer.run, work)


def whole_job(store: SqliteStore) -> Callable[[], Awaitable[object]]:
    """Return the adding of a job, with all that belongs to it."""
    jobs = iter([job_at(number) for number in range(ROUNDS * (ALONE + CALLERS * EACH))])

    async def add() -> object:
        return await store.add(next(jobs))

    return add


async def written(store: SqliteStore) -> dict[str, int]:
    """Return how many rows of each table one job's life writes."""
    seen: list[str] = []
    writer: Any = store._connections[0]

    def trace(db: sqlite3.Connection) -> None:
        db.set_trace_callback(seen.append)

    await writer.run(trace)
    job = job_at(0)
    now = job.created_at
    await store.add(job)
    part = (await store.claim(OWNER, accounts=["a"], now=now, limit=10_000))[-1].submission
    sent = await store.intend(part.ref, OWNER, Intent("key", "a", now))
    assert sent is not None
    acceptance = Acceptance(job_id=job.id, idx=0, attempt=1, submit_key="key", at=now, operation={"id": "1"})
    running = await store.accept(acceptance)
    assert running is not None
    loading = await store.move(running.ref, OWNER, Move(State.DOWNLOADING, now))
    assert loading is not None
    output = Output(
        id="out_1",
        job_id=job.id,
        submission=0,
        index=1,
        path="/1.png",
        media_type="image/png",
        bytes=1,
        sha256="a" * 64,
    )
    assert await store.move(loading.ref, OWNER, Move(State.SUCCEEDED, now, outputs=(output,))) is not None
    counts: dict[str, int] = {}
    for statement in seen:
        found = re.match(r"\s*(?:INSERT (?:OR IGNORE )?INTO|UPDATE) (\w+)", statement)
        if found:
            counts[found[1]] = counts.get(found[1], 0) + 1
    return counts


async def compare(what: str, write: Callable[[], Awaitable[object]], bar: str) -> None:
    """Print the rate of many callers beside one's, taking turns."""
    together: list[float] = []
    alone: list[float] = []
    for _ in range(ROUNDS):
        alone.append(await rate(1, ALONE, write))
        together.append(await rate(CALLERS, EACH, write))
    many, one = statistics.median(together), statistics.median(alone)
    print(f"{what}: {many:,.0f}/s with {CALLERS} callers, {one:,.0f}/s with one, both with full synchronisation")
    print(f"    ratio {many / one:.1f} ({bar})")


async def main() -> None:
    """Measure, taking turns."""
    with folder() as name:
        store = SqliteStore(Path(name) / "db.sqlite3", Bus(), SystemClock())
        await store.open()
        counts = await written(store)
        await compare("rows", one_row(store), "bar: >= 5")
        await compare("whole jobs", whole_job(store), "no bar: most of it is making the rows")
        await store.close()
    moving = counts["jobs"] + counts["submissions"]
    print(f"rows written in a job's life: {counts}")
    print(f"    jobs and submissions: {moving} (bar: <= 8)")


if __name__ == "__main__":
    anyio.run(main)
