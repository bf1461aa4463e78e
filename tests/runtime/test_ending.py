"""The end of a process, which its host allows two seconds: what is waited for, and what is broken off."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import pytest
from helpers_runtime import ACME, Rig, moving, png, rig_in, until

from darkroom.adapters.base import Accepted, Call, Made, Pending, Succeeded
from darkroom.clock import SystemClock
from darkroom.domain.job import Job, LedgerKind, State
from darkroom.domain.output import RemoteOutput
from darkroom.errors import AuthFailed, RateLimited
from darkroom.runtime import embedded as loop

pytestmark = pytest.mark.anyio
NO_END_S = 3600.0
"""A grace that no test sees the end of."""


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Rig]:
    for name, seconds in (("SCAN_S", 0.02), ("WATCH_S", 0.02), ("CLAIM_S", 0.02), ("GRACE_S", NO_END_S)):
        monkeypatch.setattr(loop, name, seconds)
    async with rig_in(tmp_path, SystemClock()) as opened:
        yield opened


class Answers:
    """A submission that is answered once the process is about to end."""

    def __init__(self, rig: Rig, answer: Any) -> None:
        self.rig = rig
        self.answer = answer
        self.called = anyio.Event()

    async def __call__(self, _: Call) -> Any:
        self.called.set()

        async def closing() -> bool:
            return self.rig.kit.closing

        await until(closing)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def ended_during(rig: Rig, answer: Any) -> Job:
    """Return a job whose submission was under way when its process was told to end."""
    answers = Answers(rig, answer)

    async def submit(call: Call) -> Any:
        return await answers(call)

    rig.adapter.submits = [submit]
    job = await rig.add()
    async with moving(rig):
        await answers.called.wait()
    return await rig.job(job)


async def test_an_acceptance_that_comes_at_the_last_moment_is_kept(rig: Rig) -> None:
    job = await ended_during(rig, Accepted({"id": "r1"}, "r1"))
    part = job.submissions[0]
    assert (part.state, part.provider_job_id, part.owner) == (State.RUNNING, "r1", None)
    assert rig.adapter.asked == []


async def test_a_result_that_comes_at_the_last_moment_is_kept(rig: Rig) -> None:
    job = await ended_during(rig, Succeeded((Made(png()),)))
    assert (job.state, len(job.outputs)) == (State.SUCCEEDED, 1)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (RateLimited("slow down"), State.QUEUED),
        (AuthFailed("wrong key"), State.FAILED),
        (ConnectionResetError(), State.SUBMIT_UNKNOWN),
    ],
)
async def test_a_refusal_that_comes_at_the_last_moment_is_kept(rig: Rig, error: Exception, state: State) -> None:
    job = await ended_during(rig, error)
    assert (job.state, job.submissions[0].owner) == (state, None)
    assert len(rig.adapter.sent) == 1


async def test_an_answer_that_does_not_come_in_time_leaves_its_submission_unknown(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "GRACE_S", 0.02)
    called = anyio.Event()

    async def hang(_: Call) -> Accepted:
        called.set()
        await anyio.sleep_forever()
        raise AssertionError

    rig.adapter.submits = [hang]
    job = await rig.add()
    async with moving(rig):
        await called.wait()
    part = await rig.part(job)
    assert (part.state, part.owner) == (State.SUBMIT_UNKNOWN, None)
    assert part.error is not None
    assert part.error["code"] == "submit_unknown"
    assert await rig.money(job) == [(LedgerKind.RESERVED, 40_000, True)]


def test_the_waits_of_an_end_leave_room_within_the_two_seconds_of_the_host() -> None:
    assert loop.GRACE_S + loop.LEAVE_S < 2


async def test_an_end_in_which_a_call_and_the_store_hang_is_over_after_these_waits(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GRACE_S", "LEAVE_S"):
        monkeypatch.setattr(loop, name, 0.02)
    called, left = anyio.Event(), anyio.Event()

    async def send(_: Call) -> Accepted:
        called.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def give_back(*_: object) -> list[str]:
        left.set()
        await anyio.sleep_forever()
        raise AssertionError

    rig.adapter.submits = [send]
    await rig.add()
    async with moving(rig):
        await called.wait()
        rig.store.reap = give_back
    assert left.is_set()


async def test_several_answers_are_waited_for(rig: Rig) -> None:
    first, second = Answers(rig, Accepted({"id": "r1"}, "r1")), Answers(rig, Accepted({"id": "r2"}, "r2"))

    async def one(call: Call) -> Any:
        return await first(call)

    async def two(call: Call) -> Any:
        answer = await second(call)

        async def other_is_stored() -> bool:
            return len(rig.kit.sending) == 1

        await until(other_is_stored)
        return answer

    rig.adapter.submits = [one, two]
    jobs = [await rig.add(), await rig.add()]
    async with moving(rig):
        await first.called.wait()
        await second.called.wait()
    assert [(await rig.part(job)).state for job in jobs] == [State.RUNNING] * 2


async def test_a_poll_is_broken_off_at_once(rig: Rig) -> None:
    called = anyio.Event()

    async def hang(_: Call) -> Pending:
        called.set()
        await anyio.sleep_forever()
        raise AssertionError

    rig.adapter.polls = [hang]
    job = await rig.add()
    async with moving(rig):
        await called.wait()
    part = await rig.part(job)
    assert (part.state, part.owner) == (State.RUNNING, None)


async def test_a_poll_is_broken_off_while_an_answer_is_waited_for(rig: Rig) -> None:
    polled, broken_off = anyio.Event(), anyio.Event()

    async def hang(_: Call) -> Pending:
        polled.set()
        try:
            await anyio.sleep_forever()
        finally:
            broken_off.set()
        raise AssertionError

    called = anyio.Event()

    async def slow(_: Call) -> Accepted:
        called.set()
        await broken_off.wait()
        return Accepted({"id": "r2"}, "r2")

    rig.adapter.submits, rig.adapter.polls = [Accepted({"id": "r1"}, "r1"), slow], [hang]
    async with moving(rig):
        first = await rig.add()
        await polled.wait()
        second = await rig.add()
        await called.wait()
    assert [(await rig.part(job)).provider_job_id for job in (first, second)] == ["r1", "r2"]


async def test_a_download_is_broken_off_at_once_and_gone_on_with_later(rig: Rig) -> None:
    called = anyio.Event()

    class Hanging:
        async def fetch(self, url: str, to: Path, **_: Any) -> Path:
            called.set()
            await anyio.sleep_forever()
            raise AssertionError

    rig.kit.fetcher = Hanging()
    rig.adapter.polls = [Succeeded((RemoteOutput(url="https://files.acme.test/fox.png"),))]
    job = await rig.add()
    async with moving(rig):
        await called.wait()
    part = await rig.part(job)
    assert (part.state, part.owner) == (State.DOWNLOADING, None)


async def test_what_waits_for_its_turn_to_be_sent_stays_queued(rig: Rig) -> None:
    rig.providers["acme"] = ACME.model_copy(update={"limits": ACME.limits.model_copy(update={"submits": 1})})
    answers = Answers(rig, Accepted({"id": "r1"}, "r1"))

    async def submit(call: Call) -> Any:
        return await answers(call)

    rig.adapter.submits = [submit]
    jobs = [await rig.add() for _ in range(3)]
    async with moving(rig):
        await answers.called.wait()
    states = [(await rig.part(job)).state for job in jobs]
    assert sorted(states) == [State.QUEUED, State.QUEUED, State.RUNNING]
    assert len(rig.adapter.sent) == 1


async def test_the_bus_knows_who_moves_jobs_forward_only_while_somebody_does(rig: Rig) -> None:
    async with moving(rig):
        assert rig.bus.worker == rig.kit.owner
    assert rig.bus.worker is None
