"""What one move does with a submission that is to be sent."""

import logging
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from helpers_runtime import ACME, KEY, VIDEO, Rig, failing

from darkroom.adapters.base import Accepted, Call, Succeeded
from darkroom.domain.job import LedgerKind, State, Submission
from darkroom.domain.kinds import Kind, Role
from darkroom.domain.money import FREE, MicroUsd
from darkroom.domain.output import FailedOutput
from darkroom.domain.request import MediaInput, Scene
from darkroom.errors import (
    AuthFailed,
    ContentBlocked,
    DarkroomError,
    InsufficientCredits,
    InvalidRequest,
    NotConfigured,
    Overloaded,
    RateLimited,
    ResultExpired,
    StorageFull,
    StorageUnwritable,
    UnexpectedAnswer,
)
from darkroom.runtime import schedule
from darkroom.runtime.kit import Kit
from darkroom.store.base import Intent
from factories import FakeClock, make_request

pytestmark = pytest.mark.anyio
FULL = StorageFull("The disk is full.")


async def test_the_intent_is_committed_before_the_provider_hears_of_it(rig: Rig) -> None:
    read: list[Any] = []

    async def look(call: Call) -> Accepted:
        part = (await rig.store.get(call.job_id) or pytest.fail("the job is not stored")).submissions[0]
        read.append((part.state, part.attempt, part.submit_key == call.submit_key, part.account))
        return Accepted({"id": "r1"}, "r1", poll_after_s=3)

    rig.adapter.submits = [look]
    job = await rig.add()
    held = await rig.stepper.advance(await rig.claim())
    assert read == [(State.SUBMITTING, 1, True, rig.kit.accounts.account(ACME))]
    part = await rig.part(job)
    assert (part.state, part.operation, part.provider_job_id) == (State.RUNNING, {"id": "r1"}, "r1")
    assert part.deadline_at == schedule.deadline_ms(job.kind, rig.clock.now())
    assert held is not None
    assert held.due == rig.clock.boot() + 3, "the provider's hint is obeyed"


async def test_a_deadline_of_the_caller_stays(rig: Rig) -> None:
    held = await rig.begun(request=make_request(deadline_s=60))
    assert (await rig.part(held)).deadline_at == rig.clock.now() + 60_000
    assert round(held.due - rig.clock.boot(), 3) == 0.01, "without a hint the manifest's first pause"


@pytest.mark.parametrize(
    ("error", "pause_s"),
    [(RateLimited("slow down", retry_after_s=7), 7.0), (Overloaded("no room"), 2.0)],
    ids=["as told", "as usual"],
)
async def test_a_refusal_for_now_queues_it_and_it_is_sent_again_when_due(
    rig: Rig, clock: FakeClock, error: DarkroomError, pause_s: float
) -> None:
    rig.adapter.submits = [error, Accepted({"id": "r1"})]
    job = await rig.add()
    held = await rig.stepper.advance(await rig.claim())
    assert held is not None
    assert held.due == clock.boot() + pause_s
    part = await rig.part(job)
    assert (part.state, part.due_at, part.attempt) == (State.QUEUED, clock.now() + int(pause_s * 1000), 1)
    assert await rig.stepper.advance(held) is not None
    assert (await rig.part(job)).attempt == 2
    first, second = rig.adapter.sent
    assert first.submit_key != second.submit_key, "a new attempt has a key of its own"
    assert await rig.moves(job) == ["queued", "submitting", "queued", "submitting", "running"]


@pytest.mark.parametrize(
    "error",
    [AuthFailed("wrong key"), InsufficientCredits("no credit"), ContentBlocked("no"), InvalidRequest("too large")],
)
async def test_a_final_refusal_fails_the_job_and_releases_its_money(rig: Rig, error: DarkroomError) -> None:
    rig.adapter.submits = [error]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(job)
    assert (part.state, part.error, part.owner) == (State.FAILED, error.to_dict(), None)
    assert await rig.money(job) == [(LedgerKind.RESERVED, 40_000, True), (LedgerKind.RELEASED, 40_000, True)]


@pytest.mark.parametrize(
    ("error", "said"), [(ConnectionResetError(), "no answer was"), (UnexpectedAnswer("A page."), "read (A page)")]
)
async def test_a_submission_without_an_answer_is_never_sent_again(rig: Rig, error: Exception, said: str) -> None:
    rig.adapter.submits = [error]
    job = await rig.add()
    held = await rig.claim()
    assert await rig.stepper.advance(held) is None
    assert await rig.stepper.advance(held) is None
    part = await rig.part(job)
    assert (part.state, part.owner) == (State.SUBMIT_UNKNOWN, None)
    assert part.error is not None
    assert (part.error["code"], said in part.error["message"]) == ("submit_unknown", True)
    assert len(rig.adapter.sent) == 1
    assert await rig.money(job) == [(LedgerKind.RESERVED, 40_000, True)], "the reservation stays"


async def test_one_that_reads_as_submit_unknown_while_held_is_let_go(rig: Rig) -> None:
    rig.adapter.submits = [ConnectionResetError()]
    await rig.add()
    held = await rig.claim()
    await rig.stepper.advance(held)
    job = await rig.job(held)
    unknown = job.submissions[0].model_copy(update={"owner": rig.kit.owner})

    async def get(*_: object) -> object:
        return job.model_copy(update={"submissions": (unknown,)})

    rig.store.get = get
    assert await rig.stepper.advance(held) is None
    assert len(rig.adapter.sent) == 1


@pytest.mark.parametrize(
    ("error", "code"), [(ConnectionResetError(), "provider_failed"), (ResultExpired("gone"), "result_expired")]
)
async def test_what_is_free_is_sent_three_times_and_then_fails(rig: Rig, error: Exception, code: str) -> None:
    rig.adapter.submits = [error]
    job = await rig.add(replayable=True)
    held = await rig.claim()
    for _ in range(2):
        following = await rig.stepper.advance(held)
        assert following is not None
        assert following.due > rig.clock.boot()
        held = following
    assert await rig.stepper.advance(held) is None
    part = await rig.part(job)
    assert (part.state, len(rig.adapter.sent)) == (State.FAILED, 3)
    assert part.error is not None
    assert part.error["code"] == code


async def test_an_acceptance_is_stored_whatever_it_takes(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.store.accept = failing(2, FULL, rig.store.accept)
    held = await rig.begun()
    assert (await rig.part(held)).state is State.RUNNING
    assert rig.clock.slept == [2.0, 4.0]
    assert len(rig.adapter.sent) == 1
    lines = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert len(lines) == 2
    assert "r1" in lines[0]


async def test_ending_the_program_does_not_wait_for_a_full_disk(rig: Rig) -> None:
    async def full(*_: object) -> None:
        raise FULL

    async def forever(_: float) -> None:
        await anyio.sleep_forever()

    rig.store.accept = full
    rig.clock.sleep = forever
    await rig.add()
    held = await rig.claim()
    with anyio.fail_after(20), anyio.move_on_after(0.1) as scope:
        await rig.stepper.advance(held)
    assert scope.cancelled_caught


async def test_an_acceptance_gets_in_although_the_call_is_being_cancelled(rig: Rig) -> None:
    job = await rig.add()
    held = await rig.claim()
    with anyio.CancelScope() as scope:

        async def accept(_: Call) -> Accepted:
            scope.cancel()
            return Accepted({"id": "r1"}, "r1")

        rig.adapter.submits = [accept]
        await rig.stepper.advance(held)
    assert (await rig.part(job)).provider_job_id == "r1"


async def test_an_acceptance_after_being_taken_for_dead_gets_in_and_anybody_may_go_on(rig: Rig) -> None:
    async def slow(call: Call) -> Accepted:
        await rig.store.reap([rig.kit.owner], rig.clock.now())
        assert (await rig.store.get(call.job_id) or pytest.fail()).state is State.SUBMIT_UNKNOWN
        return Accepted({"id": "r1"}, "r1")

    rig.adapter.submits = [slow]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(job)
    assert (part.state, part.owner, part.error) == (State.RUNNING, None, None)
    assert (await rig.bus.next_work(0)).work


async def test_a_refusal_that_cannot_be_stored_at_once_is_stored_later(rig: Rig) -> None:
    rig.adapter.submits = [AuthFailed("wrong key")]
    rig.store.move = failing(2, FULL, rig.store.move)
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(job)).state is State.FAILED


async def test_a_synchronous_answer_is_downloaded_at_once(rig: Rig) -> None:
    rig.adapter.submits = [rig.done(cost=MicroUsd(38_000), notes={"seed": 5})]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    found = await rig.job(job)
    assert (found.state, found.submissions[0].notes, found.submissions[0].actual) == (
        State.SUCCEEDED,
        {"seed": 5},
        38_000,
    )
    assert await rig.moves(job) == ["queued", "submitting", "downloading", "succeeded"]
    assert await rig.money(job) == [(LedgerKind.RESERVED, 40_000, True), (LedgerKind.SETTLED, 38_000, True)]


async def test_a_synchronous_answer_outlives_a_full_disk(rig: Rig) -> None:
    rig.adapter.submits = [rig.done()]
    rig.store.move = failing(2, FULL, rig.store.move)
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(job)).state is State.SUCCEEDED
    assert len(rig.adapter.sent) == 1


async def test_a_synchronous_answer_of_a_process_taken_for_dead_is_not_lost(rig: Rig) -> None:
    done = rig.done()

    async def slow(_: Call) -> object:
        await rig.store.reap([rig.kit.owner], rig.clock.now())
        return done

    rig.adapter.submits = [slow]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(job)).state is State.DOWNLOADING
    assert (await rig.bus.next_work(0)).work
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(job)).state is State.SUCCEEDED


async def test_a_late_answer_is_let_in_though_its_version_moved_meanwhile(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, asked, stored = rig.done(), [0], rig.kit.stored

    async def slow(_: Call) -> object:
        await rig.store.reap([rig.kit.owner], rig.clock.now())
        return done

    async def moved_once(_: Kit, part: Submission, provider_job_id: str | None, work: Any) -> Submission | None:
        asked[0] += part.state is State.SUBMIT_UNKNOWN
        return (
            None if asked[0] == 1 and part.state is State.SUBMIT_UNKNOWN else await stored(part, provider_job_id, work)
        )

    monkeypatch.setattr(Kit, "stored", moved_once)
    rig.adapter.submits = [slow]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(job)).state is State.DOWNLOADING
    assert asked == [2]


async def test_a_late_answer_to_a_free_job_that_is_queued_again_is_dropped(rig: Rig) -> None:
    done = rig.done()

    async def slow(_: Call) -> object:
        await rig.store.reap([rig.kit.owner], rig.clock.now())
        return done

    rig.adapter.submits = [slow]
    job = await rig.add(replayable=True)
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(job)).state is State.QUEUED


async def test_nothing_is_sent_once_a_cancel_is_asked_for(rig: Rig) -> None:
    job = await rig.add()
    held = await rig.claim()
    await rig.store.request_cancel(job.id, "local", rig.clock.now())
    assert await rig.stepper.advance(held) is None
    assert rig.adapter.sent == []
    assert (await rig.job(job)).state is State.CANCELLED


async def test_a_cancel_between_reading_and_sending_is_noticed(rig: Rig) -> None:
    job = await rig.add()
    held = await rig.claim()
    intend = rig.store.intend

    async def cancelled_first(ref: Any, owner: str, intent: Intent) -> object:
        await rig.store.request_cancel(job.id, "local", rig.clock.now())
        return await intend(ref, owner, intent)

    rig.store.intend = cancelled_first
    following = await rig.stepper.advance(held)
    assert following is not None
    assert await rig.stepper.advance(following) is None
    assert rig.adapter.sent == []


async def test_a_queued_job_whose_cancel_flag_is_set_is_cancelled_and_its_money_released(rig: Rig) -> None:
    job = await rig.add(cancel_requested_at=rig.clock.now())
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(job)).state is State.CANCELLED
    assert (await rig.money(job))[1:] == [(LedgerKind.RELEASED, 40_000, True)]


async def test_the_usual_deadline_counts_from_the_newest_acceptance(rig: Rig, clock: FakeClock) -> None:
    held = await rig.begun(replayable=True)
    await rig.store.reap([rig.kit.owner], clock.now())
    clock.advance(3_600)
    assert await rig.stepper.advance(await rig.claim()) is not None
    part = await rig.part(held)
    assert (part.state, part.deadline_at) == (State.RUNNING, schedule.deadline_ms(Kind.IMAGE, clock.now()))


async def test_nothing_is_sent_past_its_deadline(rig: Rig, clock: FakeClock) -> None:
    job = await rig.add(request=make_request(deadline_s=5))
    clock.advance(6)
    assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(job)
    assert (part.state, rig.adapter.sent) == (State.FAILED, [])
    assert part.error is not None
    assert part.error["code"] == "timed_out"


async def test_an_offer_that_vanished_fails_the_job_before_it_is_sent(rig: Rig) -> None:
    job = await rig.add(model="acme-image-0")
    assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(job)
    assert part.error is not None
    assert "acme/acme-image-0 is no longer in the manifests" in part.error["message"]
    assert rig.adapter.sent == []


async def test_a_key_that_vanished_fails_the_job_before_it_is_sent(rig: Rig) -> None:
    job = await rig.add()
    held = await rig.claim()
    del rig.environment[KEY]
    assert await rig.stepper.advance(held) is None
    part = await rig.part(job)
    assert part.error is not None
    assert (part.error["code"], rig.adapter.sent) == (NotConfigured.code, [])


async def test_an_input_that_vanished_fails_the_job_before_it_is_sent(rig: Rig) -> None:
    effective = (await rig.add()).submissions[0].effective
    gone = effective.model_validate({**effective.model_dump(), "inputs": [{"src": "input:ab", "sha256": "ab" * 32}]})
    await rig.stepper.advance(await rig.claim())
    job = await rig.add(effective=gone)
    assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(job)
    assert part.error is not None
    assert part.error["code"] == "result_expired"


async def test_a_fault_of_ours_before_the_call_fails_the_job_and_says_that_nothing_was_sent(rig: Rig) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    rig.artifacts.scratch = broken
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(job)
    assert part.error is not None
    assert part.error["message"] == "acme could not be prepared: ZeroDivisionError. Nothing was sent."
    assert rig.adapter.sent == []


async def test_a_full_disk_before_the_call_is_left_to_the_caller(rig: Rig) -> None:
    def full(*_: object) -> None:
        raise StorageUnwritable("read-only")

    rig.artifacts.scratch = full
    job = await rig.add()
    with pytest.raises(StorageUnwritable):
        await rig.stepper.advance(await rig.claim())
    assert (await rig.part(job)).state is State.QUEUED


async def test_pictures_go_in_with_their_roles_and_sizes(rig: Rig) -> None:
    stored = await rig.inputs.take(rig.file("in.png").path or "", local=True)
    plain = (await rig.add()).submissions[0].effective
    await rig.stepper.advance(await rig.claim())
    item = MediaInput(src=stored.ref, sha256=stored.sha256)
    styled = item.model_copy(update={"role": Role.STYLE, "name": "look"})
    effective = plain.model_copy(update={"inputs": (styled, item)})
    await rig.add(effective=effective)
    await rig.stepper.advance(await rig.claim())
    blobs = rig.adapter.sent[-1].inputs
    assert [(blob.role, blob.name, blob.width, blob.height) for blob in blobs] == [
        ("style", "look", 64, 48),
        ("reference", None, 64, 48),
    ]
    assert blobs[0].path.is_file()


async def test_pictures_of_scenes_go_in_after_the_others(rig: Rig) -> None:
    stored = await rig.inputs.take(rig.file("in.png").path or "", local=True)
    item = MediaInput(src=stored.ref, sha256=stored.sha256)
    scenes = (Scene(prompt="a"), Scene(prompt="b", image=item))
    effective = VIDEO["effective"].model_copy(update={"inputs": (item,), "scenes": scenes})
    await rig.begun(**{**VIDEO, "effective": effective})
    assert [blob.role for blob in rig.adapter.sent[-1].inputs] == ["first_frame", "first_frame"]


async def test_only_so_many_submissions_of_a_provider_are_under_way_at_once(rig: Rig) -> None:
    limits = ACME.limits.model_copy(update={"submits": 1})
    rig.providers["acme"] = ACME.model_copy(update={"limits": limits})
    under_way: list[int] = [0, 0]

    async def count(_: Call) -> Accepted:
        under_way[0] += 1
        under_way[1] = max(under_way)
        await anyio.lowlevel.checkpoint()
        under_way[0] -= 1
        return Accepted({"id": "r1"})

    rig.adapter.submits = [count]
    first, second = await rig.add(), await rig.add()
    await rig.store.claim(rig.kit.owner, accounts=rig.kit.accounts.all(), now=0, limit=9)
    claimed = [await rig.held(job) for job in (first, second)]
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for held in claimed:
                tasks.start_soon(rig.stepper.advance, held)
    assert (under_way[1], len(rig.adapter.sent)) == (1, 2)


async def test_a_job_that_is_gone_or_somebody_elses_is_let_go(rig: Rig) -> None:
    await rig.add()
    held = await rig.claim("w_other")
    assert await rig.stepper.advance(held) is None
    assert await rig.stepper.advance(replace(held, job_id="job_none")) is None
    assert rig.adapter.sent == []


async def test_free_work_is_told_what_may_be_written_into_files(rig: Rig) -> None:
    rig.kit.embed_metadata = "minimal"
    await rig.begun(replayable=True)
    await rig.begun()
    assert [call.request.options.get("_metadata") for call in rig.adapter.sent] == ["minimal", None]


async def test_a_provider_that_delivers_nothing_fails_and_charges_what_it_says(rig: Rig) -> None:
    rig.adapter.submits = [Succeeded(())]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(job)
    assert part.error is not None
    assert "delivered nothing" in part.error["message"]
    rig.adapter.submits = [Succeeded((), failed=(FailedOutput(index=1, code="stop", message="It said no."),))]
    told = await rig.add()
    await rig.stepper.advance(await rig.claim())
    assert ((await rig.part(told)).error or {})["message"].endswith("It said no.")
    assert (await rig.money(job))[1:] == [(LedgerKind.SETTLED, 40_000, False)], "our estimate, not certain"
    rig.adapter.submits = [Succeeded((), cost=FREE)]
    free = await rig.add()
    await rig.stepper.advance(await rig.claim())
    assert (await rig.money(free))[1:] == [(LedgerKind.RELEASED, 40_000, True)], "the provider says: no charge"


@pytest.mark.parametrize("error", [ContentBlocked("a celebrity"), RateLimited("not now")])
async def test_a_provable_refusal_gets_in_though_its_process_was_taken_for_dead(rig: Rig, error: Exception) -> None:
    async def late(call: Call) -> Accepted:
        await rig.store.reap([rig.kit.owner], rig.clock.now())
        raise error

    rig.adapter.submits = [late]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(job)
    assert (part.state, (await rig.money(job))[1:]) == (State.FAILED, [(LedgerKind.RELEASED, 40_000, True)])


async def test_a_late_refusal_says_nothing_of_what_is_being_asked_for_again(rig: Rig) -> None:
    async def late(call: Call) -> Accepted:
        await rig.store.reap([rig.kit.owner], rig.clock.now())
        assert await rig.store.seek((await rig.part(job)).ref, "w_next") is not None
        raise ContentBlocked("a celebrity")

    rig.adapter.submits = [late]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(job)).state is State.SUBMIT_UNKNOWN
