"""Answers that were lost: kept ones are taken up, others looked for; and nothing is ever sent a second time."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from helpers_runtime import KEY, Finding, Rig, failing, lose, png, rig_in

from darkroom.adapters.base import Absent, Accepted, Call, Made, Succeeded, Unsure
from darkroom.domain.job import Job, LedgerKind, State
from darkroom.domain.money import MicroUsd
from darkroom.errors import ContentBlocked, Overloaded, StorageFull
from darkroom.net import spool
from darkroom.net.answer import Answer
from darkroom.runtime.unknown import PAUSES_S, Finder
from darkroom.store.unfinished import LOOK_FOR_S
from factories import FakeClock, make_effective

pytestmark = pytest.mark.anyio
FULL = StorageFull("The disk is full.")


@dataclass
class Reading(Finding):
    """One that can read a kept answer again, too."""

    read_again: list[Answer] = field(default_factory=list[Answer])

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded:
        self.read_again.append(answer)
        data = answer.json()
        if "refused" in data:
            raise ContentBlocked(data["refused"])
        if "busy" in data:
            raise Overloaded(data["busy"])
        if "id" in data:
            return Accepted({"id": data["id"]}, data["id"])
        return Succeeded((Made(png(), "image/png"),), cost=MicroUsd(38_000))


@pytest.fixture
async def next_rig(tmp_path: Path, clock: FakeClock, rig: Rig) -> AsyncGenerator[Rig]:
    """The process that comes after a crash."""
    rig.adapter = Reading()
    async with rig_in(tmp_path, clock, rig.adapter) as opened:
        yield opened


async def crash(rig: Rig, data: Any, **overrides: Any) -> Job:
    """Return a job whose process died after its answer was kept whole and before it made anything of it."""

    async def die(call: Call) -> Accepted:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        assert await anyio.to_thread.run_sync(spool.save, call.spool, Answer(200, {}, body))
        raise KeyboardInterrupt

    rig.adapter.submits = [die]
    job = await rig.add(**overrides)
    with pytest.raises(KeyboardInterrupt):
        await rig.stepper.advance(await rig.claim())
    await rig.store.reap([rig.kit.owner], rig.clock.now())
    assert (await rig.part(job)).state is State.SUBMIT_UNKNOWN
    return job


async def looked(rig: Rig, seconds: float, finder: Finder) -> int:
    """Look every second for so long, and return how often the provider was asked."""
    assert isinstance(rig.adapter, Finding)
    before = len(rig.adapter.looked)
    for _ in range(int(seconds)):
        await finder.look()
        rig.clock.advance(1)
    return len(rig.adapter.looked) - before


# Kept answers


async def test_a_result_that_was_kept_before_a_crash_is_taken_up_by_the_next_process(rig: Rig, next_rig: Rig) -> None:
    job = await crash(rig, {})
    await Finder(next_rig.kit).look()
    part = await next_rig.part(job)
    assert (part.state, part.owner, part.error) == (State.DOWNLOADING, None, None)
    assert (await next_rig.bus.next_work(0)).work, "it may be claimed now"
    assert await next_rig.stepper.advance(await next_rig.claim()) is None
    done = await next_rig.job(job)
    assert (done.state, len(done.outputs)) == (State.SUCCEEDED, 1)
    assert await next_rig.moves(job) == ["queued", "submitting", "submit_unknown", "downloading", "succeeded"]
    assert (await next_rig.money(job))[1:] == [(LedgerKind.SETTLED, 38_000, True)]
    assert len(rig.adapter.sent) == 1


async def test_an_acceptance_that_was_kept_before_a_crash_is_followed_by_the_next_process(
    rig: Rig, next_rig: Rig
) -> None:
    job = await crash(rig, {"id": "r9"})
    await Finder(next_rig.kit).look()
    part = await next_rig.part(job)
    assert (part.state, part.provider_job_id, part.operation) == (State.RUNNING, "r9", {"id": "r9"})
    rig.adapter.polls = [rig.done()]
    assert await next_rig.stepper.advance(await next_rig.claim()) is None
    assert (await next_rig.part(job)).state is State.SUCCEEDED
    assert len(rig.adapter.sent) == 1


async def test_a_refusal_for_good_that_was_kept_fails_the_job_and_frees_its_money(rig: Rig, next_rig: Rig) -> None:
    job = await crash(rig, {"refused": "a celebrity"})
    await Finder(next_rig.kit).look()
    part = await next_rig.part(job)
    assert part.error is not None
    assert (part.state, part.error["code"]) == (State.FAILED, "content_blocked")
    assert (await next_rig.money(job))[1:] == [(LedgerKind.RELEASED, 40_000, True)]


@pytest.mark.parametrize("data", [b"<html>", {"busy": "no room"}], ids=["no JSON", "refused for now"])
async def test_an_answer_that_cannot_be_read_leaves_its_submission_unknown(
    rig: Rig, next_rig: Rig, caplog: pytest.LogCaptureFixture, data: Any
) -> None:
    job = await crash(rig, data)
    finder = Finder(next_rig.kit)
    await finder.look()
    assert (await next_rig.part(job)).state is State.SUBMIT_UNKNOWN
    assert "could not be looked for" in caplog.text
    next_rig.clock.advance(PAUSES_S[0])
    await finder.look()
    assert isinstance(rig.adapter, Reading)
    assert (len(rig.adapter.read_again), len(rig.adapter.looked)) == (1, 1), "its provider is asked next"
    assert len(rig.adapter.sent) == 1


async def test_an_answer_that_was_kept_only_in_part_is_none(rig: Rig, next_rig: Rig) -> None:
    job = await crash(rig, {})
    kept = next((rig.folder / "home" / "scratch" / job.id / "0").glob("*.spool"))
    kept.write_bytes(kept.read_bytes()[:-1])
    await Finder(next_rig.kit).look()
    assert isinstance(rig.adapter, Reading)
    assert (rig.adapter.read_again, len(rig.adapter.looked)) == ([], 1)
    assert (await next_rig.part(job)).state is State.SUBMIT_UNKNOWN


async def test_an_answer_of_an_earlier_attempt_is_not_taken_for_this_one(rig: Rig, next_rig: Rig) -> None:
    job = await crash(rig, {})
    kept = next((rig.folder / "home" / "scratch" / job.id / "0").glob("*.spool"))
    assert kept.name == "answer-1.spool"
    kept.rename(kept.with_name("answer-0.spool"))
    await Finder(next_rig.kit).look()
    assert (await next_rig.part(job)).state is State.SUBMIT_UNKNOWN


async def test_a_kept_answer_waits_for_a_store_that_fails(
    rig: Rig, next_rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    job = await crash(rig, {})
    next_rig.store.move = failing(2, FULL, next_rig.store.move)
    finder = Finder(next_rig.kit)
    for _ in range(3):
        await finder.look()
        next_rig.clock.advance(PAUSES_S[0])
    assert (await next_rig.part(job)).state is State.DOWNLOADING
    assert caplog.text.count("waits for the store") == 2


async def test_what_another_process_took_up_meanwhile_is_left_to_it(rig: Rig, next_rig: Rig) -> None:
    job = await crash(rig, {})
    unknown = next_rig.store.unknown

    async def late() -> list[Job]:
        seen = await unknown()
        await Finder(rig.kit).look()
        return seen

    next_rig.store.unknown = late
    await Finder(next_rig.kit).look()
    assert (await next_rig.part(job)).state is State.DOWNLOADING
    assert (await next_rig.moves(job)).count("downloading") == 1


async def test_an_adapter_that_reads_no_kept_answers_leaves_them(rig: Rig) -> None:
    job = await crash(rig, {})
    await Finder(rig.kit).look()
    assert (await rig.part(job)).state is State.SUBMIT_UNKNOWN


# Look-ups


async def test_what_the_provider_finds_by_our_key_is_followed_and_not_sent_again(rig: Rig) -> None:
    rig.adapter = adapter = Finding(finds=[Accepted({"id": "r9"}, "r9")])
    job = await lose(rig)
    await Finder(rig.kit).look()
    part = await rig.part(job)
    assert (part.state, part.provider_job_id, part.error, part.owner) == (State.RUNNING, "r9", None, None)
    call = adapter.looked[0]
    assert (call.submit_key, call.sent_at) == (part.submit_key, part.sent_at)
    adapter.polls = [rig.done()]
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(job)).state is State.SUCCEEDED
    assert adapter.sent == []


async def test_what_the_provider_finds_is_not_taken_from_another_job(rig: Rig) -> None:
    first = await rig.begun()
    rig.adapter = Finding(finds=[Accepted({"id": "r1"}, "r1")])
    job = await lose(rig)
    await Finder(rig.kit).look()
    assert (await rig.part(first)).provider_job_id == "r1"
    part = await rig.part(job)
    assert (part.state, part.provider_job_id, part.owner) == (State.SUBMIT_UNKNOWN, None, None)


async def test_what_the_provider_finds_finished_is_downloaded(rig: Rig) -> None:
    rig.adapter = Finding(finds=[rig.done()])
    job = await lose(rig)
    await Finder(rig.kit).look()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(job)).state is State.SUCCEEDED


async def test_what_the_provider_finds_finished_with_nothing_in_it_fails(rig: Rig) -> None:
    rig.adapter = Finding(finds=[Succeeded(())])
    job = await lose(rig)
    await Finder(rig.kit).look()
    assert (await rig.part(job)).state is State.FAILED
    assert (await rig.money(job))[1:] == [(LedgerKind.SETTLED, 40_000, False)]


@pytest.mark.parametrize("found", [Absent(), Unsure(), ConnectionResetError()], ids=["absent", "unsure", "no answer"])
async def test_what_is_not_found_stays_unknown_and_is_never_sent_again(rig: Rig, found: Any) -> None:
    rig.adapter = adapter = Finding(finds=[found])
    job = await lose(rig)
    finder = Finder(rig.kit)
    assert await looked(rig, 30, finder) == 5
    part = await rig.part(job)
    assert (part.state, part.attempt, adapter.sent) == (State.SUBMIT_UNKNOWN, 1, [])
    claimed = await rig.store.claim("w_2", accounts=rig.kit.accounts.all(), now=rig.clock.now(), limit=9)
    assert claimed == []
    assert await rig.money(job) == [(LedgerKind.RESERVED, 40_000, True)]


async def test_the_pauses_between_look_ups_grow_to_five_minutes(rig: Rig) -> None:
    rig.adapter = adapter = Finding()
    await lose(rig)
    assert await looked(rig, 1_000, Finder(rig.kit)) == 9
    begun = adapter.looked[0].now
    assert [(call.now - begun) // 1000 for call in adapter.looked] == [0, 1, 3, 8, 23, 83, 383, 683, 983]


async def test_a_provider_is_not_asked_after_a_day(rig: Rig, clock: FakeClock) -> None:
    rig.adapter = adapter = Finding()
    job = await lose(rig)
    clock.advance(LOOK_FOR_S - 1)
    finder = Finder(rig.kit)
    assert await looked(rig, 1, finder) == 1
    assert await looked(rig, 600, finder) == 0
    assert await looked(rig, 10, Finder(rig.kit)) == 0, "nor by the next process"
    assert len(adapter.looked) == 1
    assert (await rig.part(job)).state is State.SUBMIT_UNKNOWN


async def test_only_what_was_sent_with_an_account_of_ours_is_looked_for(rig: Rig) -> None:
    rig.adapter = Finding()
    await lose(rig)
    key = rig.environment.pop(KEY)
    finder = Finder(rig.kit)
    assert await looked(rig, 5, finder) == 0
    rig.environment[KEY] = "another"
    assert await looked(rig, 5, finder) == 0
    rig.environment[KEY] = key
    assert await looked(rig, 1, finder) == 1


async def test_a_new_attempt_is_looked_for_from_the_beginning(rig: Rig) -> None:
    rig.adapter = Finding()
    job = await lose(rig)
    finder = Finder(rig.kit)
    assert await looked(rig, 100, finder) == 6
    unknown = rig.store.unknown

    async def second_attempt() -> list[Job]:
        [seen] = await unknown()
        return [seen.model_copy(update={"submissions": (seen.submissions[0].model_copy(update={"attempt": 2}),)})]

    rig.store.unknown = second_attempt
    assert await looked(rig, 3, finder) == 2
    assert (await rig.part(job)).state is State.SUBMIT_UNKNOWN


async def test_what_was_resolved_is_forgotten_and_other_submissions_of_its_job_are_left_alone(rig: Rig) -> None:
    rig.adapter = adapter = Finding(finds=[Absent(), Accepted({"id": "r9"}, "r9")])
    job = await rig.add(parts=[{}, {}], effective=make_effective())
    await rig.store.claim(rig.kit.owner, accounts=rig.kit.accounts.all(), now=0, limit=9)
    adapter.submits = [ConnectionResetError(), Accepted({"id": "r1"}, "r1")]
    for idx in (0, 1):
        await rig.stepper.advance(await rig.held(job, idx))
    finder = Finder(rig.kit)
    assert await looked(rig, 60, finder) == 2
    assert [part.state for part in (await rig.job(job)).submissions] == [State.RUNNING, State.RUNNING]
    assert [part.provider_job_id for part in (await rig.job(job)).submissions] == ["r9", "r1"]
    assert finder._looks == {}  # pyright: ignore[reportPrivateUsage] because nothing else shows it


async def test_trouble_with_one_look_up_does_not_keep_the_others_from_theirs(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.adapter = Finding(
        finds=[ConnectionResetError(f"the key {rig.environment[KEY]} leaked"), Accepted({"id": "r9"})]
    )
    jobs = [await lose(rig, model="acme-image-1") for _ in range(2)]
    await Finder(rig.kit).look()
    states = {(await rig.part(job)).state for job in jobs}
    assert states == {State.SUBMIT_UNKNOWN, State.RUNNING}
    assert "could not be looked for: ConnectionResetError: the key [redacted] leaked" in caplog.text


async def test_a_provider_that_left_the_manifests_is_waited_for(rig: Rig) -> None:
    rig.adapter = Finding(finds=[Accepted({"id": "r9"})])
    job = await lose(rig)
    acme = rig.providers["acme"]
    rig.providers["acme"] = acme.model_copy(update={"offers": acme.offers[1:]})
    finder = Finder(rig.kit)
    assert await looked(rig, 2, finder) == 0
    rig.providers["acme"] = acme
    assert await looked(rig, 5, finder) == 1
    assert (await rig.part(job)).state is State.RUNNING


async def test_a_provider_that_can_find_nothing_is_not_asked(rig: Rig) -> None:
    job = await lose(rig)
    await Finder(rig.kit).look()
    assert (await rig.part(job)).state is State.SUBMIT_UNKNOWN


async def test_a_caller_who_asked_for_a_cancel_gives_up_what_is_lost(rig: Rig) -> None:
    rig.adapter = Finding()
    job = await lose(rig)
    await rig.store.request_cancel(job.id, "local", rig.clock.now())
    assert await looked(rig, 10, Finder(rig.kit)) == 0
    assert (await rig.money(job))[1:] == [(LedgerKind.SETTLED, 40_000, False)]


async def test_what_is_too_old_to_be_asked_for_is_read_all_the_same(rig: Rig, next_rig: Rig) -> None:
    job = await crash(rig, {})
    next(iter((rig.folder / "home" / "scratch" / job.id / "0").glob("*.spool"))).unlink()
    next_rig.clock.advance(LOOK_FOR_S)
    await Finder(next_rig.kit).look()
    assert isinstance(rig.adapter, Reading)
    assert rig.adapter.looked == []
