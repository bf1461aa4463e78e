"""The worker that no host closes: when it is started, what it is left, and when it ends."""

import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from helpers_runtime import LIMIT_S, Rig, failing, moving, rig_in, until

from darkroom.adapters.base import Accepted, Call, Pending
from darkroom.clock import SystemClock
from darkroom.domain.job import Job, State
from darkroom.errors import StorageFull
from darkroom.runtime import embedded as loop
from darkroom.runtime.linger import IDLE_S, PAUSE_S, START_S, Linger, lingered, start_worker
from darkroom.runtime.liveness import Presence
from factories import FakeClock

pytestmark = pytest.mark.anyio
FULL = StorageFull("The disk is full.")


@dataclass
class Process:
    """A process that was not started."""

    code: int | None = None
    asked: int = 0

    def poll(self) -> int | None:
        self.asked += 1
        return self.code


@dataclass
class Starter:
    """Starts nothing and counts it."""

    problem: OSError | None = None
    started: list[Process] = field(default_factory=list[Process])

    def __call__(self) -> Process:
        if self.problem is not None:
            raise self.problem
        self.started.append(Process())
        return self.started[-1]


@pytest.fixture
def starter() -> Starter:
    return Starter()


def linger_of(rig: Rig, starter: Starter) -> Linger:
    presence = Presence(rig.folder / "home" / "workers", rig.kit.owner)
    return Linger(store=rig.store, clock=rig.clock, presence=presence, start=starter, accounts=rig.kit.accounts.all)


@pytest.fixture
def linger(rig: Rig, starter: Starter) -> Linger:
    return linger_of(rig, starter)


async def enter(rig: Rig, name: str = "w_linger", **more: Any) -> Presence:
    """Let a worker be there."""
    presence = Presence(rig.folder / "home" / "workers", name, **more)
    await rig.store.register(await anyio.to_thread.run_sync(presence.enter, rig.clock))
    return presence


async def lingering(rig: Rig, name: str = "w_linger", accounts: list[str] | None = None) -> Presence:
    """Let a lingering worker be there, with all accounts of ours unless others are named."""
    return await enter(rig, name, lingers=True, accounts=rig.kit.accounts.all() if accounts is None else accounts)


async def leave(*presences: Presence) -> None:
    for presence in presences:
        await anyio.to_thread.run_sync(presence.leave)


# Who takes the calls that last


async def test_a_lingering_worker_with_our_accounts_takes_them_and_none_is_started(
    rig: Rig, linger: Linger, starter: Starter
) -> None:
    there = await lingering(rig)
    assert await linger.takes(rig.kit.accounts.all())
    assert starter.started == []
    await leave(there)


async def test_one_that_is_dead_takes_nothing_and_another_is_started(
    rig: Rig, linger: Linger, starter: Starter
) -> None:
    await leave(await lingering(rig))
    assert await linger.takes(rig.kit.accounts.all())
    assert len(starter.started) == 1


async def test_one_that_hangs_takes_nothing(rig: Rig, linger: Linger, starter: Starter, clock: FakeClock) -> None:
    there = await lingering(rig)
    clock.advance(60)
    assert await linger.takes(rig.kit.accounts.all())
    assert len(starter.started) == 1
    await leave(there)


async def test_one_without_our_account_takes_nothing(rig: Rig, linger: Linger, starter: Starter) -> None:
    there = await lingering(rig, accounts=["another"])
    assert await linger.takes(rig.kit.accounts.all())
    assert len(starter.started) == 1
    await leave(there)


async def test_a_server_does_not_count_as_one_that_lingers(rig: Rig, linger: Linger, starter: Starter) -> None:
    there = await enter(rig, "w_server", accounts=rig.kit.accounts.all())
    assert await linger.takes(rig.kit.accounts.all())
    assert len(starter.started) == 1
    await leave(there)


async def test_one_is_started_once_and_given_time_to_come(
    rig: Rig, linger: Linger, starter: Starter, clock: FakeClock
) -> None:
    for _ in range(3):
        assert await linger.takes(["a"])
        clock.advance(START_S / 3 - 0.1)
    assert len(starter.started) == 1
    clock.advance(1)
    assert not await linger.takes(["a"]), "it did not come, so the work is not left to it"
    clock.advance(PAUSE_S - START_S - 2)
    assert not await linger.takes(["a"])
    assert len(starter.started) == 1
    clock.advance(2)
    assert await linger.takes(["a"])
    assert len(starter.started) == 2


async def test_one_that_ended_at_once_is_not_waited_for(linger: Linger, starter: Starter) -> None:
    assert await linger.takes(["a"])
    starter.started[0].code = 1
    assert not await linger.takes(["a"])
    assert len(starter.started) == 1


async def test_one_that_cannot_be_started_takes_nothing_and_is_tried_again_later(
    linger: Linger, starter: Starter, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    starter.problem = OSError(11, "Resource temporarily unavailable")
    assert not await linger.takes(["a"])
    assert "no worker could be started" in caplog.text
    assert not await linger.takes(["a"])
    assert caplog.text.count("no worker could be started") == 1
    starter.problem = None
    clock.advance(PAUSE_S)
    assert await linger.takes(["a"])


async def test_trouble_with_the_store_is_left_to_the_caller(rig: Rig, linger: Linger, starter: Starter) -> None:
    rig.store.workers = failing(1, FULL, rig.store.workers)
    with pytest.raises(StorageFull):
        await linger.takes(["a"])
    assert starter.started == []


# At the end of a process


async def test_at_the_end_one_is_started_unless_it_is_there(rig: Rig, linger: Linger, starter: Starter) -> None:
    there = await lingering(rig)
    await linger.leave()
    assert starter.started == []
    await leave(there)
    await linger.leave()
    assert len(starter.started) == 1


async def test_at_the_end_one_that_is_about_to_come_is_not_started_again(linger: Linger, starter: Starter) -> None:
    assert await linger.takes(["a"])
    await linger.leave()
    assert len(starter.started) == 1


async def test_at_the_end_one_that_did_not_come_is_started_again(
    linger: Linger, starter: Starter, clock: FakeClock
) -> None:
    assert await linger.takes(["a"])
    clock.advance(START_S)
    await linger.leave()
    assert len(starter.started) == 2


async def test_at_the_end_trouble_with_the_store_does_not_keep_one_from_being_started(
    rig: Rig, linger: Linger, starter: Starter
) -> None:
    rig.store.workers = failing(9, FULL, rig.store.workers)
    await linger.leave()
    assert len(starter.started) == 1


async def test_the_exit_code_of_one_that_ended_is_collected(linger: Linger, starter: Starter) -> None:
    linger.settle()
    starter.started.append(Process(0))
    linger._process = starter.started[0]  # pyright: ignore[reportPrivateUsage] because nothing is started here
    linger.settle()
    linger.settle()
    assert starter.started[0].asked == 1


class Unstarted(subprocess.Popen[bytes]):
    """A process object without a process."""

    def __init__(self) -> None:
        self.returncode = None

    def poll(self) -> int | None:
        return self.returncode


async def test_one_that_hangs_is_let_go_before_another_is_started(linger: Linger, starter: Starter) -> None:
    hanging = Unstarted()
    linger._process = hanging  # pyright: ignore[reportPrivateUsage] because nothing is started here
    await linger.leave()
    assert (hanging.returncode, len(starter.started)) == (0, 1)


@pytest.mark.parametrize("process", [Unstarted(), Process()])
async def test_one_that_goes_on_is_let_go_without_a_warning(linger: Linger, process: Any) -> None:
    linger._process = process  # pyright: ignore[reportPrivateUsage] because nothing is started here
    linger.settle()
    assert linger._process is None  # pyright: ignore[reportPrivateUsage] because nothing else shows it
    assert getattr(process, "returncode", 0) == 0


async def test_it_is_started_in_a_session_of_its_own_and_says_in_a_file_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[list[str], dict[str, Any]]] = []

    def popen(command: list[str], **how: Any) -> Process:
        how["stderr"].write(b"what is wrong")
        calls.append((command, how))
        return Process()

    monkeypatch.setattr(subprocess, "Popen", popen)
    log_file = tmp_path / "linger.log"
    await anyio.to_thread.run_sync(start_worker, log_file)
    [(command, how)] = calls
    assert command == [sys.executable, "-m", "darkroom", "worker", "--linger"]
    assert how["start_new_session"] is True
    assert (how["stdin"], how["stdout"]) == (subprocess.DEVNULL, subprocess.DEVNULL)
    assert await anyio.Path(log_file).read_bytes() == b"what is wrong"


# When a lingering worker ends


@dataclass
class Busy:
    """What a lingering worker has to do, by the second; the last entry is repeated."""

    clock: FakeClock
    work: list[bool] = field(default_factory=lambda: [False])
    calls: list[bool] = field(default_factory=lambda: [False])
    stopped_at: float | None = None

    @property
    def busy(self) -> bool:
        return self.work.pop(0) if len(self.work) > 1 else self.work[0]

    @property
    def sending(self) -> bool:
        return self.calls.pop(0) if len(self.calls) > 1 else self.calls[0]

    def stop_claiming(self) -> None:
        self.stopped_at = self.stopped_at or self.clock.boot()


@pytest.fixture
async def here(rig: Rig) -> AsyncGenerator[Presence]:
    presence = await lingering(rig, "w_here")
    yield presence
    await leave(presence)


async def lasted(rig: Rig, busy: Busy, here: Presence, limit_s: float = 900.0) -> float:
    """Return for how long a lingering worker went on."""
    begun = rig.clock.boot()
    with anyio.fail_after(LIMIT_S):
        await lingered(busy, rig.store, here, rig.clock, limit_s)
    return rig.clock.boot() - begun


async def test_it_ends_when_it_had_nothing_to_do_for_a_while(rig: Rig, here: Presence, clock: FakeClock) -> None:
    busy = Busy(clock)
    assert await lasted(rig, busy, here) == IDLE_S
    assert busy.stopped_at is None


async def test_work_in_between_makes_it_wait_anew(rig: Rig, here: Presence, clock: FakeClock) -> None:
    busy = Busy(clock, [True] * 10 + [False] * 20 + [True, False])
    assert await lasted(rig, busy, here) == 31 + IDLE_S


async def test_it_ends_at_its_limit_when_it_is_alone_whatever_there_is_to_do(
    rig: Rig, here: Presence, clock: FakeClock
) -> None:
    busy = Busy(clock, [True])
    begun = clock.boot()
    assert await lasted(rig, busy, here, 120) == 120
    assert busy.stopped_at == begun + 120


async def test_a_server_that_is_there_lets_it_go_on(rig: Rig, here: Presence, clock: FakeClock) -> None:
    server = await enter(rig, "w_server")
    busy = Busy(clock, [True] * 100 + [False])
    assert await lasted(rig, busy, here, 50) == 50 + server.lease_s, "until its lease was over"
    await leave(server)


async def test_another_lingering_worker_is_no_company(rig: Rig, here: Presence, clock: FakeClock) -> None:
    other = await lingering(rig)
    assert await lasted(rig, Busy(clock, [True]), here, 10) == 10
    await leave(other)


async def test_a_paid_call_under_way_at_the_limit_is_waited_for(rig: Rig, here: Presence, clock: FakeClock) -> None:
    busy = Busy(clock, [True], [True, True, True, False])
    begun = clock.boot()
    assert await lasted(rig, busy, here, 60) == 63
    assert busy.stopped_at == begun + 60, "nothing more was taken meanwhile"


async def test_trouble_with_the_store_counts_as_being_alone(rig: Rig, here: Presence, clock: FakeClock) -> None:
    server = await enter(rig, "w_server", lease_s=10_000.0)
    rig.store.workers = failing(10**6, FULL, rig.store.workers)
    assert await lasted(rig, Busy(clock, [True]), here, 60) == 60
    await leave(server)


# Together with the loop


@pytest.fixture
async def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Rig]:
    """A process whose clock runs."""
    for name, seconds in (("SCAN_S", 0.02), ("WATCH_S", 0.02), ("CLAIM_S", 0.02), ("GRACE_S", 0.05)):
        monkeypatch.setattr(loop, name, seconds)
    async with rig_in(tmp_path, SystemClock()) as opened:
        yield opened


async def lasting(rig: Rig, **overrides: Any) -> Job:
    """Store a job whose call lasts."""
    rig.adapter.submits = [rig.done()]
    account = rig.kit.accounts.all()[0]
    return await rig.add(**({"synchronous": True, "account": account} | overrides))


async def state_is(rig: Rig, job: Job, state: State) -> None:
    async def reached() -> bool:
        return (await rig.part(job)).state is state

    await until(reached)


async def test_the_loop_leaves_calls_that_last_to_the_worker_and_takes_the_others(live: Rig, starter: Starter) -> None:
    there = await lingering(live)
    left, plain = await lasting(live), await live.add()
    async with moving(live, linger_of(live, starter)):
        await state_is(live, plain, State.SUCCEEDED)
        part = await live.part(left)
        assert (part.state, part.owner) == (State.QUEUED, None)
    assert starter.started == [], "nor is one started for what this process never had"
    await leave(there)


async def test_the_loop_takes_calls_that_last_itself_when_no_worker_can_be_started(live: Rig, starter: Starter) -> None:
    starter.problem = OSError(12, "Cannot allocate memory")
    job = await lasting(live)
    async with moving(live, linger_of(live, starter)):
        await state_is(live, job, State.SUCCEEDED)
    assert len(live.adapter.sent) == 1


async def test_the_loop_takes_calls_that_last_itself_when_the_worker_it_started_dies(
    live: Rig, starter: Starter
) -> None:
    job = await lasting(live)
    async with moving(live, linger_of(live, starter)):

        async def started() -> bool:
            return bool(starter.started)

        await until(started)
        assert (await live.part(job)).state is State.QUEUED
        starter.started[0].code = 1
        await state_is(live, job, State.SUCCEEDED)
        assert len(starter.started) == 1


async def test_a_lingering_worker_takes_everything(live: Rig) -> None:
    jobs = [await lasting(live), await live.add()]
    async with moving(live) as embedded:
        assert not embedded.sending
        for job in jobs:
            await state_is(live, job, State.SUCCEEDED)

        async def idle() -> bool:
            return not embedded.busy

        await until(idle)


async def test_one_that_is_about_to_end_takes_nothing_more(live: Rig) -> None:
    called, may_go_on = anyio.Event(), anyio.Event()

    async def slow(_: Call) -> Accepted:
        called.set()
        await may_go_on.wait()
        return Accepted({"id": "r1"}, "r1")

    live.adapter.submits, live.adapter.polls = [slow], [live.done()]
    first = await live.add()
    async with moving(live) as embedded:
        await called.wait()
        assert (embedded.busy, embedded.sending) == (True, True)
        embedded.stop_claiming()
        second = await live.add()
        may_go_on.set()
        await state_is(live, first, State.SUCCEEDED)
        part = await live.part(second)
        assert (part.state, part.owner) == (State.QUEUED, None)


@pytest.mark.parametrize(("replayable", "started"), [(False, 1), (True, 0)], ids=["paid", "free"])
async def test_unfinished_paid_work_has_a_worker_started_at_the_end(
    live: Rig, starter: Starter, replayable: bool, started: int
) -> None:
    live.adapter.polls = [Pending(poll_after_s=3600)]
    job = await live.add(replayable=replayable)
    linger = linger_of(live, starter)
    async with moving(live, linger):
        await state_is(live, job, State.RUNNING)
    assert len(starter.started) == started
    assert linger._process is None, "it is let go"  # pyright: ignore[reportPrivateUsage] because nothing else shows it


async def test_nothing_unfinished_has_no_worker_started(live: Rig, starter: Starter) -> None:
    live.adapter.polls = [live.done()]
    job = await live.add()
    async with moving(live, linger_of(live, starter)) as embedded:
        await state_is(live, job, State.SUCCEEDED)

        async def idle() -> bool:
            return not embedded.busy

        await until(idle)
    assert starter.started == []


async def test_parked_work_alone_has_no_worker_started(
    live: Rig, starter: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("darkroom.runtime.schedule.deadline_ms", lambda _, accepted_at: accepted_at)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] because it is called as the real one
    job = await live.add()
    async with moving(live, linger_of(live, starter)) as embedded:
        await state_is(live, job, State.PARKED)

        async def noted() -> bool:
            held = embedded._held[(job.id, 0)]  # pyright: ignore[reportPrivateUsage] because nothing else shows it
            return held.state is State.PARKED

        await until(noted)
    assert starter.started == []


async def test_a_store_that_hangs_at_the_end_does_not_keep_the_process_from_ending(live: Rig, starter: Starter) -> None:
    live.adapter.polls = [Pending(poll_after_s=3600)]
    job = await live.add()

    async def hang() -> list[Any]:
        await anyio.sleep_forever()
        return []

    async with moving(live, linger_of(live, starter)):
        await state_is(live, job, State.RUNNING)
        live.store.workers = hang
    assert (await live.part(job)).owner is None
