"""The loop that tells callers of ends: woken by whatever moves, ended with the program."""

import anyio
import pytest

from darkroom.domain.run import Delivery
from darkroom.events import Bus
from darkroom.net.client import ShardedClient
from darkroom.runtime import callbacks as module
from darkroom.runtime.callbacks import HELD_S, Callbacks
from factories import JOB_ID, NOW, FakeClock, job_id
from helpers_callbacks import MemoryOutbox, ended_job, listed, make_callback, sender
from helpers_net import Reply, Seen, Server

LIMIT_S = 30.0


@pytest.fixture
def outbox(server: Server) -> MemoryOutbox:
    """An ended job whose receiver is the server."""
    return MemoryOutbox(make_callback(url=f"{server.url}/hook?token=t0ken"), jobs=[ended_job()])


async def looping(callbacks: Callbacks, tasks: anyio.abc.TaskGroup) -> None:
    tasks.start_soon(callbacks.run)
    await anyio.wait_all_tasks_blocked()


async def test_an_end_is_told_as_soon_as_something_moved(
    outbox: MemoryOutbox, client: ShardedClient, clock: FakeClock, server: Server
) -> None:
    bus = Bus()
    waiting, outbox.kept = outbox.kept, {}
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            await looping(sender(outbox, client, clock, listed(server), bus=bus), tasks)
            outbox.kept = waiting
            bus.changed(JOB_ID)
            await server.requests(1)
            tasks.cancel_scope.cancel()
    assert outbox.kept[JOB_ID].state is Delivery.DELIVERED, "what was under way came to its end"


async def test_more_than_can_be_sent_at_once_is_sent_as_room_is_made(
    client: ShardedClient, clock: FakeClock, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    ids = [job_id(number) for number in range(5)]
    due = [make_callback(name, url=f"{server.url}/{name}") for name in ids]
    outbox = MemoryOutbox(*due, jobs=[ended_job(name) for name in ids])
    bus, gate = Bus(), anyio.Event()
    server.replies(Reply(after=gate))
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            await looping(sender(outbox, client, clock, listed(server), bus=bus), tasks)
            await server.requests(2)
            bus.changed(JOB_ID)
            await anyio.wait_all_tasks_blocked()
            assert len(server.seen) == 2
            gate.set()
            await server.requests(5)
            tasks.cancel_scope.cancel()
    assert sorted(seen.path for seen in server.seen) == [f"/{name}" for name in ids]


async def test_a_further_attempt_is_made_when_it_is_due_and_not_only_when_something_moves(
    outbox: MemoryOutbox, client: ShardedClient, clock: FakeClock, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCAN_S", 3600.0)
    monkeypatch.setattr(module, "FIRST_S", 0.01)

    def late(seen: Seen) -> Reply:
        clock.advance(0.01)
        return Reply(500 if len(server.seen) < 3 else 204)

    server.answer = late
    outbox.before = lambda method: clock.advance(0.01)
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            await looping(sender(outbox, client, clock, listed(server)), tasks)
            await server.requests(3)
            tasks.cancel_scope.cancel()
    assert outbox.kept[JOB_ID].state is Delivery.DELIVERED


async def test_what_ended_at_the_last_moment_is_told_before_the_program_ends(
    outbox: MemoryOutbox, client: ShardedClient, clock: FakeClock, server: Server
) -> None:
    waiting, outbox.kept = outbox.kept, {}
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            await looping(sender(outbox, client, clock, listed(server)), tasks)
            outbox.kept = waiting
            tasks.cancel_scope.cancel()
    assert outbox.kept[JOB_ID].state is Delivery.DELIVERED


async def test_a_receiver_that_does_not_answer_holds_no_program_up(
    outbox: MemoryOutbox, client: ShardedClient, clock: FakeClock, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.05)
    server.replies(Reply(after=anyio.Event()))
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            await looping(sender(outbox, client, clock, listed(server)), tasks)
            await server.requests(1)
            tasks.cancel_scope.cancel()
    kept = outbox.kept[JOB_ID]
    assert (kept.state, kept.attempts) == (Delivery.DUE, 1)
    assert kept.due_at == NOW + round(HELD_S * 1000), "the next start goes on when the claim has passed"
