"""The scheduler under load: CPU a poll, lag and memory of thousands of jobs, time to notice the end, take-over.

The provider is played inside the process where only the engine is measured, and by a process of its own where the
client counts too.
"""

import gc
import os
import random
import signal
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from darkroom.adapters.base import Accepted, Call, Follow, Json, Pending, Succeeded
from darkroom.artifacts.inputs import LocalInputs
from darkroom.artifacts.local import LocalArtifacts
from darkroom.catalog.accounts import Accounts
from darkroom.catalog.providers import Provider
from darkroom.clock import SystemClock
from darkroom.domain.job import State
from darkroom.domain.output import RemoteOutput
from darkroom.events import Bus
from darkroom.net.client import ShardedClient
from darkroom.net.download import Downloader
from darkroom.net.guard import Guard
from darkroom.net.provider import ProviderHttp
from darkroom.runtime.embedded import Embedded
from darkroom.runtime.health import Health
from darkroom.runtime.kit import Kit
from darkroom.runtime.liveness import Presence
from darkroom.runtime.step import Stepper
from darkroom.store.sqlite import SqliteStore
from harness import clock, folder
from store import job_at

JOBS = int(sys.argv[1]) if sys.argv[1:2] and sys.argv[1].isdigit() else 10_000
INTERVAL_S = 5.0
WATCH_S = 20.0
FEW = 500
TESTS = Path(__file__).parent.parent / "tests"
HEADERS = {"authorization": "Bearer fake-key"}
SOON: dict[str, Any] = {"operations": ["text_to_image"], "model": "acme-1"}


@dataclass
class Engine:
    """An adapter that is the provider: its works are done when their time has come."""

    work_s: float = 1e9
    lags: list[float] = field(default_factory=list[float])
    due: dict[str, float] = field(default_factory=dict[str, float])
    done_at: dict[str, float] = field(default_factory=dict[str, float])
    polls: int = 0
    picture: str = ""

    async def submit(self, call: Call) -> Accepted:
        """Take it."""
        self.done_at[call.job_id] = SystemClock().now() / 1000 + self.work_s * random.uniform(0.5, 1.5)
        return Accepted({"id": call.job_id}, call.job_id, poll_after_s=INTERVAL_S * random.random())

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded:
        """Tell how it stands, and note how late the question was."""
        now = time.monotonic()
        self.polls += 1
        if call.job_id in self.due:
            self.lags.append(max(0.0, now - self.due[call.job_id]))
        if SystemClock().now() / 1000 >= self.done_at.get(call.job_id, float("inf")):
            return Succeeded((RemoteOutput(path=self.picture),))
        self.due[call.job_id] = now + INTERVAL_S * 1.1  # the latest that jitter allows
        return Pending()


class Remote:
    """An adapter that asks a real server through the client."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http
        self.polls = 0

    async def submit(self, call: Call) -> Accepted:
        """Take it: the server knows one work, which everybody asks about."""
        return Accepted({"id": "p000001"}, poll_after_s=0.01)

    async def poll(self, operation: Json, call: Follow) -> Pending:
        """Ask the server."""
        self.polls += 1
        answer = await self._http.request("GET", f"/v1/jobs/{operation['id']}", headers=HEADERS)
        return Pending(answer.json()["progress"])


def provider(interval_s: float, base_url: str | None = None) -> Provider:
    """Return a provider that is asked at that pace."""
    poll = {"first_s": interval_s, "min_s": interval_s, "max_s": interval_s}
    limits = {"submits": 64, "polls": 200}
    data = {"id": "acme", "title": "Acme", "offers": [SOON], "poll": poll, "limits": limits, "base_url": base_url}
    return Provider.model_validate(data)


class Only:
    """A registry of one adapter."""

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter

    def adapter(self, provider_id: str) -> Any:
        """Return it."""
        return self._adapter


@asynccontextmanager
async def running(home: Path, adapter: Any, acme: Provider, lease_s: float = 15.0) -> AsyncGenerator[SqliteStore]:
    """Run one process's engine."""
    wall, bus = SystemClock(), Bus()
    client = ShardedClient(wall)
    store = SqliteStore(home / "db.sqlite3", bus, wall)
    providers = {"acme": acme}
    kit = Kit(
        store=store,
        adapters=Only(adapter),
        artifacts=LocalArtifacts(home=home, output_dir=home / "out", allowed_output_dirs=()),
        inputs=LocalInputs(home=home, allowed_dirs=(), guard=Guard(client)),
        providers=providers,
        accounts=Accounts(providers, {}, b"key"),
        clock=wall,
        bus=bus,
        owner=f"w_{os.urandom(4).hex()}",
        fetcher=Downloader(client, wall),
        health=Health(wall),
    )
    await store.open()
    embedded = Embedded(stepper=Stepper(kit), presence=Presence(home / "workers", kit.owner, lease_s=lease_s))
    async with anyio.create_task_group() as tasks:
        await tasks.start(embedded.run)
        yield store
        tasks.cancel_scope.cancel()
    await client.aclose()
    await store.close()


async def add(store: SqliteStore, count: int) -> None:
    """Add jobs, many at a time."""
    limiter = anyio.Semaphore(200)

    async def one(number: int) -> None:
        async with limiter:
            job = job_at(number)
            part = job.submissions[0].model_copy(update={"account": "none"})
            await store.add(job.model_copy(update={"submissions": (part,)}))

    async with anyio.create_task_group() as tasks:
        for number in range(count):
            tasks.start_soon(one, number)


async def until(holds: Callable[[], Awaitable[object]], pause_s: float = 0.05) -> None:
    """Wait."""
    while not await holds():  # noqa: ASYNC110 because nobody announces it
        await anyio.sleep(pause_s)


async def count_of(store: SqliteStore, state: State) -> int:
    """Return how many submissions are in a state."""

    def work(db: Any) -> int:
        return int(db.execute("SELECT COUNT(*) FROM submissions WHERE state = ?", (state,)).fetchone()[0])

    return await store._reader().run(work)


async def memory(home: Path) -> None:
    """Measure what the engine keeps of each job under way; counted by the interpreter, so in a small run."""
    engine = Engine()
    async with running(home, engine, provider(INTERVAL_S)) as store:
        await add(store, 20)

        async def all_run(count: int) -> None:
            async def run() -> bool:
                return await count_of(store, State.RUNNING) == count

            await until(run, 0.2)
            await anyio.sleep(INTERVAL_S * 1.2)
            gc.collect()

        await all_run(20)
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        await add(store, FEW)
        await all_run(20 + FEW)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    own = FEW * 300  # what the played provider itself remembers of each: two entries with numbers
    print(f"memory of {FEW} jobs under way: {(grown - own) / FEW / 1000:.1f} KB each (bar: <= 4 KB)")


async def in_flight(home: Path) -> None:
    """Measure lag, memory and writes with thousands of jobs under way."""
    engine = Engine()
    async with running(home, engine, provider(INTERVAL_S)) as store:
        await add(store, JOBS)

        async def all_run() -> bool:
            return await count_of(store, State.RUNNING) == JOBS

        await until(all_run, 0.5)
        await anyio.sleep(INTERVAL_S * 1.2)
        engine.lags.clear()
        polls, cpu = engine.polls, time.process_time()
        assert store._writer is not None
        commits, start = store._writer.commits, clock()
        await anyio.sleep(WATCH_S)
        spent, seconds = time.process_time() - cpu, clock() - start
        commits, polls = store._writer.commits - commits, engine.polls - polls
    lags = sorted(engine.lags)
    p99 = statistics.quantiles(lags, n=100)[98]
    print(f"{JOBS:,} jobs in flight, asked every {INTERVAL_S:g} s by one process, provider in memory:")
    share = f"{spent / seconds * 100:.0f} % of a core, {spent / polls * 1e6:.0f} us CPU a poll"
    print(f"    {polls / seconds:,.0f} polls/s, {share}")
    print(f"    lag p50 {lags[len(lags) // 2] * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms")
    print(f"    p99 / interval {p99 / INTERVAL_S:.1%} (bar: <= 10 %)")
    print(f"    {polls:,} polls without news, {commits} commits, all of them heartbeats (bar: 0 rows a poll)")


async def cpu_a_poll(home: Path) -> None:
    """Measure what a poll costs through store, scheduler and client, beside the client alone."""
    process = await anyio.to_thread.run_sync(_start_server)
    try:
        assert process.stdout is not None
        port = int((await anyio.to_thread.run_sync(process.stdout.readline)).strip())
        base = f"http://127.0.0.1:{port}"
        wall = SystemClock()
        acme = provider(0.01, base)
        client = ShardedClient(wall)
        http = ProviderHttp(client, acme)
        await client.request("POST", f"{base}/v1/jobs", headers=HEADERS, json={"prompt": "a boat"})
        bare: list[float] = []
        ours: list[float] = []
        for _ in range(3):
            bare.append(await _bare(client, f"{base}/v1/jobs/p000001"))
            remote = Remote(http)
            async with running(home, remote, acme) as store:
                await add(store, 50)

                async def begun(remote: Remote = remote) -> bool:
                    return remote.polls > 200

                await until(begun)
                polls, cpu = remote.polls, time.process_time()
                await anyio.sleep(5)
                ours.append((time.process_time() - cpu) / (remote.polls - polls))
        await client.aclose()
    finally:
        process.terminate()
        await anyio.to_thread.run_sync(process.wait)
    a, b = statistics.median(ours), statistics.median(bare)
    print(f"CPU a poll through store, scheduler and client {a * 1e6:.0f} us; a bare request {b * 1e6:.0f} us")
    print(f"    ratio {a / b:.2f} (bar: <= 1.5)")


def _start_server() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "fake_provider.server"]
    return subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True)


async def _bare(client: ShardedClient, url: str, callers: int = 50, seconds: float = 5.0) -> float:
    done = 0
    end = clock() + seconds

    async def call() -> None:
        nonlocal done
        while clock() < end:
            await client.request("GET", url, headers=HEADERS)
            done += 1

    cpu = time.process_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(callers):
            tasks.start_soon(call)
    return (time.process_time() - cpu) / done


async def notice(home: Path) -> None:
    """Measure how long after the provider's end a job is done."""
    from PIL import Image

    path = home / "made.png"
    await anyio.to_thread.run_sync(Image.new("RGB", (16, 12)).save, path)
    interval = 3.0
    engine = Engine(work_s=12.0, picture=str(path))
    async with running(home / "notice", engine, provider(interval)) as store:
        await add(store, 60)

        async def all_done() -> bool:
            return await count_of(store, State.SUCCEEDED) == 60

        await until(all_done)
        finished = {job.id: (job.finished_at or 0) / 1000 for job in await store.find(limit=100)}
        waits = [at - engine.done_at[job_id] for job_id, at in finished.items()]
    median = statistics.median(waits)
    print(f"from the provider's end to the job's: median {median:.2f} s at one poll a {interval:g} s")
    print(f"    ratio {median / interval:.2f} (bar: <= 0.55)")


async def take_over(home: Path, blow: signal.Signals, lease_s: float) -> float:
    """Return the seconds from a blow to another process until its job is held here."""
    held = [sys.executable, __file__, "hold", str(home), str(lease_s)]
    process = await anyio.to_thread.run_sync(lambda: subprocess.Popen(held, stdout=subprocess.PIPE, text=True))
    try:
        assert process.stdout is not None
        await anyio.to_thread.run_sync(process.stdout.readline)
        engine = Engine()
        async with running(home, engine, provider(1.0), lease_s) as store:
            theirs = (await store.find(limit=1))[0].submissions[0].owner
            process.send_signal(blow)
            start = clock()

            async def ours() -> bool:
                owner = (await store.find(limit=1))[0].submissions[0].owner
                return owner not in (None, theirs)

            await until(ours, 0.02)
            return clock() - start
    finally:
        process.kill()
        await anyio.to_thread.run_sync(process.wait)


async def hold(home: Path, lease_s: float) -> None:
    """Hold a job until killed."""
    async with running(home, Engine(), provider(1.0), lease_s) as store:
        await add(store, 1)

        async def runs() -> bool:
            return await count_of(store, State.RUNNING) == 1

        await until(runs)
        print("held", flush=True)
        await anyio.sleep_forever()


async def main() -> None:
    """Measure everything."""
    with folder() as name:
        home = Path(name)
        await cpu_a_poll(home / "cpu")
        await notice(home)
        killed = [await take_over(home / f"kill{at}", signal.SIGKILL, 3.0) for at in range(3)]
        print(f"taken over after a kill: {statistics.median(killed):.1f} s (bar: <= 2 s)")
        hung = [await take_over(home / f"hang{at}", signal.SIGSTOP, 3.0) for at in range(3)]
        print(f"taken over from a hung process: {statistics.median(hung):.1f} s at a lease of 3 s (bar: <= 5 s)")
        await memory(home / "few")
        await in_flight(home / "many")


if __name__ == "__main__":
    if sys.argv[1:2] == ["hold"]:
        anyio.run(hold, Path(sys.argv[2]), float(sys.argv[3]))
    else:
        anyio.run(main)
