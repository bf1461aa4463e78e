"""Processes that share a database tell of an end together: one at a time, and after each other's death."""

import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from darkroom.domain.run import Callback, Delivery
from darkroom.events import Bus
from darkroom.net.client import ShardedClient
from darkroom.net.listed import ListedHttp, Listing
from darkroom.runtime.callbacks import HELD_S, Callbacks
from darkroom.store.sqlite import SqliteStore
from factories import JOB_ID, FakeClock
from helpers_callbacks import ended_job, listed, make_callback
from helpers_net import Reply, Server

LIMIT_S = 30.0
PROCESS = """
import sys
from pathlib import Path
import anyio
from darkroom.clock import SystemClock
from darkroom.events import Bus
from darkroom.net.client import ShardedClient
from darkroom.net.listed import ListedHttp, Listing
from darkroom.runtime.callbacks import Callbacks
from darkroom.store.sqlite import SqliteStore

async def main():
    clock, bus = SystemClock(), Bus()
    store = SqliteStore(Path(sys.argv[1]), bus, clock)
    await store.open()
    http = ListedHttp(ShardedClient(clock), Listing([sys.argv[2]]))
    sender = Callbacks(outbox=store.runs, jobs=store, http=http, clock=clock, bus=bus, secret=lambda: "key")
    await sender.deliver_due()

anyio.run(main)
"""


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock, server: Server) -> AsyncGenerator[SqliteStore]:
    """Of an ended job whose receiver is the server."""
    opened = SqliteStore(tmp_path / "jobs.sqlite3", Bus(), clock)
    await opened.open()
    waiting = make_callback(url=f"{server.url}/hook", state=Delivery.WAITING)
    await opened.add(ended_job(), callback=waiting)
    yield opened
    await opened.close()


def sender(store: SqliteStore, client: ShardedClient, clock: FakeClock, server: Server) -> Callbacks:
    http = ListedHttp(client, Listing([listed(server)]))
    return Callbacks(outbox=store.runs, jobs=store, http=http, clock=clock, bus=Bus(), secret=lambda: "key")


async def kept(store: SqliteStore) -> Callback:
    found = await store.runs.callback(JOB_ID)
    assert found is not None
    return found


async def test_two_processes_do_not_both_make_one_attempt(
    store: SqliteStore, client: ShardedClient, clock: FakeClock, server: Server, tmp_path: Path
) -> None:
    other = SqliteStore(tmp_path / "jobs.sqlite3", Bus(), clock)
    await other.open()
    try:
        for attempt in range(1, 4):
            server.replies(Reply(500))
            clock.wall = max(clock.wall, (await kept(store)).due_at)
            async with anyio.create_task_group() as tasks:
                for one in (store, other, other, store):
                    tasks.start_soon(sender(one, client, clock, server).deliver_due)
            assert len(server.seen) == (await kept(other)).attempts == attempt
    finally:
        await other.close()
    assert len({seen.body for seen in server.seen}) == 1


async def test_an_attempt_of_a_killed_process_is_made_again_with_the_same_bytes(
    store: SqliteStore, client: ShardedClient, clock: FakeClock, server: Server, tmp_path: Path
) -> None:
    never = anyio.Event()
    server.replies(Reply(after=never), Reply(204))
    command = [sys.executable, "-c", PROCESS, os.fspath(tmp_path / "jobs.sqlite3"), listed(server)]
    with anyio.fail_after(LIMIT_S):
        async with await anyio.open_process(command, stdin=None, stdout=None, stderr=None) as process:
            await server.requests(1)
            process.kill()
            await process.wait()
    cut = await kept(store)
    assert (cut.state, cut.attempts) == (Delivery.DUE, 1)
    clock.wall = cut.due_at - 1
    await sender(store, client, clock, server).deliver_due()
    assert len(server.seen) == 1, "the dead process's claim holds for a while"
    clock.wall = cut.due_at
    await sender(store, client, clock, server).deliver_due()
    told = await kept(store)
    assert (told.state, told.attempts, told.status) == (Delivery.DELIVERED, 2, 204)
    first, second = server.seen
    assert (first.body, first.headers["x-signature"]) == (second.body, second.headers["x-signature"])
    never.set()
    assert HELD_S > 20
