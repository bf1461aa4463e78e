"""While a provider is asked about a lost answer, nobody else says what became of it."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from helpers_runtime import Finding, Rig, failing, lose, png

from darkroom.adapters.base import Absent, Accepted, Call, Made, Succeeded
from darkroom.domain.job import Job, LedgerKind, Ref, State, Submission
from darkroom.errors import InvalidRequest, StorageFull
from darkroom.runtime.unknown import PAUSES_S, Finder, Operator
from darkroom.store.base import Move

pytestmark = pytest.mark.anyio
FULL = StorageFull("The disk is full.")


async def asking(rig: Rig, meanwhile: Callable[[], Awaitable[Any]]) -> None:
    """Look for a lost answer, and let something happen while its provider is being asked."""
    assert isinstance(rig.adapter, Finding)

    async def find(call: Call) -> Absent:
        await meanwhile()
        return Absent()

    rig.adapter.finds = [find]
    await Finder(rig.kit).look()


@pytest.mark.parametrize("word", ["absent", "give_up"])
async def test_nobody_says_what_became_of_it_while_its_provider_is_asked(rig: Rig, word: str) -> None:
    rig.adapter = Finding()
    job = await lose(rig)
    said: list[str] = []

    async def resolve() -> None:
        with pytest.raises(InvalidRequest, match="just being asked") as caught:
            await getattr(Operator(rig.stepper_of("operator").kit), word)(job.id, "local")
        said.append(caught.value.hint or "")

    await asking(rig, resolve)
    assert said == ["Nothing was changed. Try again in a few seconds."]
    part = await rig.part(job)
    assert (part.state, part.owner) == (State.SUBMIT_UNKNOWN, None), "it may be resolved now"
    await getattr(Operator(rig.stepper_of("operator").kit), word)(job.id, "local")
    assert (await rig.part(job)).state is State.FAILED


async def test_a_word_that_came_first_keeps_its_provider_from_being_asked(rig: Rig) -> None:
    rig.adapter = Finding()
    job = await lose(rig)
    unknown = rig.store.unknown

    async def late() -> list[Job]:
        seen = await unknown()
        await Operator(rig.stepper_of("operator").kit).absent(job.id, "local")
        return seen

    rig.store.unknown = late
    await Finder(rig.kit).look()
    assert rig.adapter.looked == []


async def test_a_word_that_comes_a_moment_too_late_is_refused(rig: Rig) -> None:
    rig.adapter = Finding()
    job = await lose(rig)
    operator = Operator(rig.stepper_of("operator").kit)
    get = rig.store.get

    async def taken(job_id: str, principal: str | None = None) -> Job | None:
        rig.store.get = get
        seen = await get(job_id, principal)
        assert await rig.store.seek((await rig.part(job)).ref, rig.kit.owner) is not None
        return seen

    rig.store.get = taken
    with pytest.raises(InvalidRequest, match="just being asked"):
        await operator.absent(job.id, "local")
    assert (await rig.part(job)).state is State.SUBMIT_UNKNOWN


async def test_a_cancel_while_its_provider_is_asked_gives_it_up_after_that(rig: Rig) -> None:
    rig.adapter = Finding()
    job = await lose(rig)

    async def cancel() -> None:
        asked = await rig.store.request_cancel(job.id, "local", rig.clock.now())
        assert asked is not None
        assert asked.state is State.SUBMIT_UNKNOWN

    await asking(rig, cancel)
    assert (await rig.part(job)).state is State.CANCELLED
    assert (await rig.money(job))[1:] == [(LedgerKind.SETTLED, 40_000, False)]


async def test_a_cancel_while_it_is_found_is_left_to_the_work_itself(rig: Rig) -> None:
    rig.adapter = Finding()
    job = await lose(rig)

    async def find(call: Call) -> Accepted:
        await rig.store.request_cancel(job.id, "local", rig.clock.now())
        return Accepted({"id": "r9"}, "r9")

    rig.adapter.finds = [find]
    await Finder(rig.kit).look()
    part = await rig.part(job)
    assert (part.state, part.owner) == (State.RUNNING, None), "anybody may go on with it"


async def test_what_could_not_be_given_back_is_asked_about_again(rig: Rig) -> None:
    rig.adapter = Finding()
    job = await lose(rig)
    finder = Finder(rig.kit)
    rig.store.give_back = failing(1, FULL, rig.store.give_back)
    await finder.look()
    assert (await rig.part(job)).owner == rig.kit.owner
    rig.clock.advance(PAUSES_S[0])
    await finder.look()
    assert len(rig.adapter.looked) == 2
    assert (await rig.part(job)).owner is None


async def test_a_provider_that_hangs_keeps_no_other_from_being_asked(rig: Rig) -> None:
    rig.adapter = Finding()
    jobs = [await lose(rig), await lose(rig)]
    both = anyio.Event()

    async def find(call: Call) -> Absent:
        assert isinstance(rig.adapter, Finding)
        if len(rig.adapter.looked) == 2:
            both.set()
        await both.wait()
        return Absent()

    rig.adapter.finds = [find]
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Finder(rig.kit).run, 1.0)
            await both.wait()
            tasks.cancel_scope.cancel()
    assert {call.job_id for call in rig.adapter.looked} == {job.id for job in jobs}


async def test_looking_goes_on_after_the_store_failed(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.adapter = Finding()
    await lose(rig)
    rig.store.unknown = failing(1, FULL, rig.store.unknown)
    asked = anyio.Event()

    async def find(call: Call) -> Absent:
        asked.set()
        return Absent()

    rig.adapter.finds = [find]
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Finder(rig.kit).run, 1.0)
            await asked.wait()
            tasks.cancel_scope.cancel()
    assert "could not look for lost answers" in caplog.text


async def test_an_answer_that_comes_while_its_provider_is_asked_gets_in(rig: Rig) -> None:
    move = rig.store.move
    sought: list[str | None] = []

    async def beaten(ref: Ref, owner: str | None, change: Move) -> Submission | None:
        part = await rig.part_of(ref.job_id)
        if part.state is State.SUBMIT_UNKNOWN and not sought:
            taken = await rig.store.seek(part.ref, "w_next")
            sought.append(taken and taken.owner)
        return await move(ref, owner, change)

    async def late(call: Call) -> Succeeded:
        await rig.store.reap([rig.kit.owner], rig.clock.now())
        rig.store.move = beaten
        return Succeeded((Made(png(), "image/png"),))

    rig.adapter.submits = [late]
    job = await rig.add()
    await rig.stepper.advance(await rig.claim())
    part = await rig.part(job)
    assert sought == ["w_next"]
    assert (part.state, part.owner) == (State.DOWNLOADING, None), "anybody may go on with it"
