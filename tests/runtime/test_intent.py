"""The moments around the one call that may cost money: before it, during it, and when the program ends."""

from typing import Any

import anyio
import pytest
from helpers_runtime import ACME, Rig, Stoppable, again, failing

from darkroom.adapters.base import Accepted, Call
from darkroom.domain.job import LedgerKind, State
from darkroom.errors import AuthFailed, StorageFull
from darkroom.runtime.held import Held

pytestmark = pytest.mark.anyio
FULL = StorageFull("The disk is full.")


def raising_after(error: BaseException, real: Any) -> Any:
    """Return a method that does its work, and then raises."""

    async def call(*args: Any, **kwargs: Any) -> None:
        await real(*args, **kwargs)
        raise error

    return call


async def stuck(rig: Rig) -> Held:
    """Return a submission whose intent was committed, although storing it raised."""
    await rig.add()
    held = await rig.claim()
    intend, rig.store.intend = rig.store.intend, raising_after(FULL, rig.store.intend)
    with pytest.raises(StorageFull):
        await rig.stepper.advance(held)
    rig.store.intend = intend
    assert (await rig.part(held)).state is State.SUBMITTING
    assert rig.adapter.sent == []
    return held


async def test_an_intent_without_a_call_goes_back_to_the_queue_and_is_then_sent_once(rig: Rig) -> None:
    held = await stuck(rig)
    assert await rig.stepper.advance(held) is None
    part = await rig.part(held)
    assert (part.state, part.owner, part.error) == (State.QUEUED, None, None)
    assert await rig.stepper.advance(await rig.claim()) is not None
    assert (await rig.part(held)).attempt == 2
    assert len(rig.adapter.sent) == 1
    assert await rig.moves(held) == ["queued", "submitting", "queued", "submitting", "running"]


async def test_an_intent_that_was_not_committed_is_tried_again_with_the_next_look(rig: Rig) -> None:
    await rig.add()
    held = await rig.claim()
    rig.store.intend = failing(1, FULL, rig.store.intend)
    with pytest.raises(StorageFull):
        await rig.stepper.advance(held)
    assert await rig.stepper.advance(held) is not None
    assert [call.submit_key for call in rig.adapter.sent] == [(await rig.part(held)).submit_key]
    assert (await rig.part(held)).attempt == 1


async def test_a_call_that_was_broken_off_leaves_its_submission_unknown(rig: Rig) -> None:
    rig.adapter.submits = [KeyboardInterrupt()]
    job = await rig.add()
    held = await rig.claim()
    with pytest.raises(KeyboardInterrupt):
        await rig.stepper.advance(held)
    assert (await rig.part(job)).state is State.SUBMITTING
    assert await rig.stepper.advance(held) is None
    part = await rig.part(job)
    assert (part.state, part.owner) == (State.SUBMIT_UNKNOWN, None)
    assert part.error is not None
    assert part.error["code"] == "submit_unknown"
    assert len(rig.adapter.sent) == 1
    assert await rig.money(job) == [(LedgerKind.RESERVED, 40_000, True)], "the reservation stays"


async def test_an_intent_of_another_attempt_says_nothing_of_this_one(rig: Rig) -> None:
    held = await stuck(rig)
    held.intent = "an earlier key"
    assert await rig.stepper.advance(held) is None
    assert (await rig.part(held)).state is State.SUBMIT_UNKNOWN


async def test_nothing_is_sent_once_the_program_is_about_to_end(rig: Rig) -> None:
    job = await rig.add()
    held = await rig.claim()
    rig.kit.closing = True
    assert await rig.stepper.advance(held) is None
    part = await rig.part(job)
    assert (part.state, part.attempt, rig.adapter.sent) == (State.QUEUED, 0, [])


async def test_an_end_during_the_intent_takes_it_back(rig: Rig) -> None:
    job = await rig.add()
    held = await rig.claim()
    intend = rig.store.intend

    async def closing(*args: Any) -> Any:
        rig.kit.closing = True
        return await intend(*args)

    rig.store.intend = closing
    assert await rig.stepper.advance(held) is None
    part = await rig.part(job)
    assert (part.state, part.owner, rig.adapter.sent) == (State.QUEUED, None, [])
    assert rig.kit.sending == set()


async def test_what_waits_for_its_turn_when_the_program_ends_is_not_sent(rig: Rig) -> None:
    rig.providers["acme"] = ACME.model_copy(update={"limits": ACME.limits.model_copy(update={"submits": 1})})
    called, answered = anyio.Event(), anyio.Event()

    async def slow(_: Call) -> Accepted:
        called.set()
        await answered.wait()
        return Accepted({"id": "r1"}, "r1")

    rig.adapter.submits = [slow]
    jobs = [await rig.add(), await rig.add()]
    await rig.store.claim(rig.kit.owner, accounts=rig.kit.accounts.all(), now=0, limit=9)
    first, second = [await rig.held(job) for job in jobs]
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(rig.stepper.advance, first)
            await called.wait()
            assert rig.kit.sending == {first.key}
            tasks.start_soon(rig.stepper.advance, second)
            await anyio.wait_all_tasks_blocked()
            rig.kit.closing = True
            answered.set()
    assert [(await rig.part(job)).state for job in jobs] == [State.RUNNING, State.QUEUED]
    assert len(rig.adapter.sent) == 1
    assert rig.kit.sending == set()


async def test_a_cancel_asked_for_during_the_call_acts_right_after_the_acceptance(rig: Rig) -> None:
    async def meanwhile(call: Call) -> Accepted:
        job = await rig.store.request_cancel(call.job_id, "local", rig.clock.now())
        assert job.state is State.SUBMITTING
        return Accepted({"id": "r1"}, "r1", poll_after_s=3600)

    rig.adapter = Stoppable(submits=[meanwhile])
    held = await rig.begun()
    assert (held.cancel, held.due) == (True, rig.clock.boot())
    assert await again(rig, held) is None
    assert (await rig.part(held)).state is State.CANCELLED
    assert rig.adapter.asked == []


async def test_a_cancel_during_a_call_that_is_refused_for_good_leaves_the_refusal(rig: Rig) -> None:
    async def meanwhile(call: Call) -> Accepted:
        await rig.store.request_cancel(call.job_id, "local", rig.clock.now())
        raise AuthFailed("wrong key")

    rig.adapter.submits = [meanwhile]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(job)).state is State.FAILED
