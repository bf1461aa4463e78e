"""Results that an answer itself holds: kept before they are noted, and taken up by whoever comes after a crash."""

from pathlib import Path

import anyio
import pytest
from helpers_runtime import Rig, failing, png

from darkroom.adapters.base import Accepted, Call, Failed, Made, Pending, Succeeded
from darkroom.domain.job import LedgerKind, State
from darkroom.domain.money import MicroUsd
from darkroom.domain.output import FailedOutput
from darkroom.errors import ContentBlocked, StorageFull
from darkroom.events import Progress
from factories import make_effective, make_request

pytestmark = pytest.mark.anyio
FULL = StorageFull("The disk is full.")
MADE = Succeeded((Made(png(), "image/png", "raw"), Made(png((32, 32)))), cost=MicroUsd(38_000), notes={"seed": 7})


async def test_what_an_answer_holds_is_in_files_before_it_is_noted(rig: Rig) -> None:
    rig.adapter.submits = [MADE]
    noted: list[list[bytes]] = []
    move = rig.store.move

    async def look(ref: object, owner: str, change: object) -> object:
        results = getattr(change, "results", None)
        if results:
            noted.append([await anyio.Path(item.path).read_bytes() for item in results])
        return await move(ref, owner, change)

    rig.store.move = look
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert noted == [[png(), png((32, 32))]]
    done = await rig.job(job)
    assert (done.state, [item.variant for item in done.outputs]) == (State.SUCCEEDED, ["raw", None])
    assert [item.media_type for item in done.submissions[0].results] == ["image/png", None]
    assert (done.submissions[0].notes, done.submissions[0].actual) == ({"seed": 7}, 38_000)
    assert not (rig.folder / "home" / "scratch" / job.id).exists()


async def test_an_offer_that_answers_at_once_may_be_asked_to_work_in_the_background(rig: Rig) -> None:
    rig.adapter.submits = [Accepted({"id": "r1"}, "r1")]
    rig.adapter.polls = [Pending(), MADE]
    job = await rig.add(synchronous=True)
    held = await rig.stepper.advance(await rig.claim())
    assert held is not None
    part = await rig.part(job)
    assert (part.state, part.operation, part.synchronous) == (State.RUNNING, {"id": "r1"}, True)
    held = await rig.stepper.advance(held)
    assert held is not None
    assert await rig.stepper.advance(held) is None
    done = await rig.job(job)
    assert (done.state, [item.variant for item in done.outputs]) == (State.SUCCEEDED, ["raw", None])


async def test_files_that_an_answer_names_and_such_that_it_holds_may_be_mixed(rig: Rig) -> None:
    rig.adapter.submits = [Succeeded((rig.file(), Made(png((32, 32)))))]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    assert [item.width for item in (await rig.job(job)).outputs] == [64, 32]


async def test_a_full_disk_is_waited_for_with_the_bytes_in_hand(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.adapter.submits = [MADE]
    job = await rig.add()
    hold, failures = rig.artifacts.hold, [FULL, FULL]
    told: list[Progress | None] = []

    def full(path: Path, data: bytes) -> None:
        if failures:
            raise failures.pop()
        told.append(rig.bus.progress_of(job.id))
        hold(path, data)

    rig.artifacts.hold = full
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(job)).state is State.SUCCEEDED
    assert rig.clock.slept == [2.0, 4.0]
    assert told[0] == Progress(None, "finished, but not saved yet: The disk is full.")
    assert caplog.text.count("its result cannot be kept yet") == 2
    assert len(rig.adapter.sent) == 1


async def test_a_poll_may_hold_the_results_too(rig: Rig) -> None:
    rig.adapter.polls = [MADE]
    held = await rig.begun()
    assert await rig.stepper.advance(held) is None
    assert len((await rig.job(held)).outputs) == 2


async def test_what_was_kept_is_gone_on_with_by_the_next_process(rig: Rig) -> None:
    rig.adapter.submits = [MADE]
    job = await rig.add()
    keep, rig.artifacts.keep = rig.artifacts.keep, failing(1, FULL, rig.artifacts.keep)
    assert await rig.stepper.advance(await rig.claim()) is not None
    rig.artifacts.keep = keep
    await rig.store.reap([rig.kit.owner], rig.clock.now())
    assert (await rig.part(job)).state is State.DOWNLOADING
    assert await rig.stepper_of("w_next").advance(await rig.claim("w_next")) is None
    assert len((await rig.job(job)).outputs) == 2
    assert len(rig.adapter.sent) == 1


async def test_working_files_stay_until_every_submission_of_the_job_has_ended(rig: Rig) -> None:
    rig.adapter.submits = [MADE]
    parts = [{"effective": make_effective(n=2)}, {"effective": make_effective(n=2, start=2)}]
    job = await rig.add(parts=parts, request=make_request(n=4))
    await rig.store.claim(rig.kit.owner, accounts=rig.kit.accounts.all(), now=0, limit=9)
    folder = rig.folder / "home" / "scratch" / job.id
    assert await rig.stepper.advance(await rig.held(job)) is None
    assert (folder / "0" / "made-1-1").is_file(), "its own stay too: only the whole job is swept"
    assert await rig.stepper.advance(await rig.held(job, 1)) is None
    assert not folder.exists()
    found = await rig.job(job)
    assert (found.state, [item.submission for item in found.outputs]) == (State.SUCCEEDED, [0, 0, 1, 1])
    rows = [row.kind for row in await rig.store.ledger(job.id)]
    assert rows.count(LedgerKind.SETTLED) == 2


async def test_the_working_files_of_a_job_that_vanished_are_swept(rig: Rig) -> None:
    rig.adapter.polls = [rig.done()]
    held = await rig.begun()
    get, moved = rig.store.get, rig.store.move

    async def gone(*_: object) -> None:
        return None

    async def vanish(*args: object) -> object:
        part = await moved(*args)
        if part.state is State.SUCCEEDED:
            rig.store.get = gone
        return part

    rig.store.move = vanish
    assert await rig.stepper.advance(held) is None
    rig.store.get = get
    assert not (rig.folder / "home" / "scratch" / held.job_id).exists()


async def test_what_a_provider_says_is_missing_is_noted_beside_what_came(rig: Rig) -> None:
    said = FailedOutput(index=2, code="content_blocked", message="blocked")
    rig.adapter.submits = [Succeeded((Made(png()),), failed=(said,))]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    done = await rig.job(job)
    assert (done.state, done.submissions[0].failed_outputs) == (State.SUCCEEDED, (said,))


async def test_an_answer_in_hand_is_kept_although_the_move_is_being_cancelled(rig: Rig) -> None:
    job = await rig.add()
    held = await rig.claim()
    with anyio.CancelScope() as scope:

        async def made(_: Call) -> Succeeded:
            scope.cancel()
            return MADE

        rig.adapter.submits = [made]
        await rig.stepper.advance(held)
    assert (await rig.part(job)).state is State.DOWNLOADING
    assert len((await rig.part(job)).results) == 2


BLOCKED = Failed(ContentBlocked("It was made and withheld."), billed=True, charged=MicroUsd(38_000))


@pytest.mark.parametrize(
    ("answer", "charged", "money"),
    [
        pytest.param(BLOCKED, 38_000, (LedgerKind.SETTLED, 38_000), id="as the provider says"),
        pytest.param(Failed(BLOCKED.error, billed=True), 40_000, (LedgerKind.SETTLED, 40_000), id="as estimated"),
        pytest.param(Failed(BLOCKED.error), 0, (LedgerKind.RELEASED, 40_000), id="nothing"),
    ],
)
async def test_an_answer_that_failed_at_once_is_charged_as_it_says(
    rig: Rig, answer: Failed, charged: int, money: tuple[LedgerKind, int]
) -> None:
    rig.adapter.submits = [answer]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    found = await rig.job(job)
    assert (found.state, found.submissions[0].actual) == (State.FAILED, charged)
    assert (found.submissions[0].error or {})["code"] == "content_blocked"
    assert [row[:2] for row in await rig.money(job)][1:] == [money]


async def test_an_answer_that_failed_at_once_gets_in_though_its_process_was_taken_for_dead(rig: Rig) -> None:
    async def late(_: Call) -> Failed:
        await rig.store.reap([rig.kit.owner], rig.clock.now())
        return BLOCKED

    rig.adapter.submits = [late]
    job = await rig.add()
    assert await rig.stepper.advance(await rig.claim()) is None
    part = await rig.part(job)
    assert (part.state, part.actual) == (State.FAILED, 38_000)
