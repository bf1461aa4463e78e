"""What one move does with a submission that a provider accepted."""

from pathlib import Path

import pytest
from helpers_runtime import ACME, KEY, VIDEO, Rig, Stoppable, again, failing

from darkroom.adapters.base import Cancelled, Failed, Pending, Succeeded, TooLate
from darkroom.domain.job import LedgerKind, State
from darkroom.domain.money import FREE, MicroUsd
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.errors import ContentBlocked, ProviderFailed, StorageFull, StorageUnwritable
from darkroom.events import Progress
from darkroom.runtime import schedule
from darkroom.runtime.embedded import AFRESH
from darkroom.runtime.held import Held
from factories import FakeClock

pytestmark = pytest.mark.anyio
FULL = StorageFull("The disk is full.")


async def cancel(rig: Rig, held: Held) -> None:
    """Ask for a job to be cancelled, and tell its owner that somebody asked."""
    await rig.store.request_cancel(held.job_id, "local", rig.clock.now())
    held.seen = AFRESH


async def test_a_poll_without_news_writes_nothing(rig: Rig) -> None:
    held = await rig.begun()
    before = await rig.part(held)
    held = await again(rig, held)
    assert held is not None
    assert await rig.part(held) == before
    assert held.due > rig.clock.boot()
    assert rig.adapter.asked[0].submit_key == rig.adapter.sent[0].submit_key


async def test_progress_is_told_in_memory_and_forgotten_at_the_end(rig: Rig) -> None:
    rig.adapter.polls = [Pending(0.4, "drawing", poll_after_s=0.02), rig.done()]
    held = await again(rig, await rig.begun())
    assert held is not None
    assert rig.bus.progress_of(held.job_id) == Progress(0.4, "drawing")
    assert await again(rig, held) is None
    assert rig.bus.progress_of(held.job_id) is None


async def test_what_is_ready_is_kept_and_settled_with_the_estimate(rig: Rig) -> None:
    rig.adapter.polls = [rig.done()]
    held = await rig.begun()
    assert await again(rig, held) is None
    job = await rig.job(held)
    assert (job.state, len(job.outputs), job.submissions[0].owner) == (State.SUCCEEDED, 1, None)
    assert Path(job.outputs[0].path).is_file()
    assert await rig.money(job) == [(LedgerKind.RESERVED, 40_000, True), (LedgerKind.SETTLED, 40_000, False)]
    assert not (rig.folder / "home" / "scratch" / job.id).exists()


async def test_a_job_whose_price_nobody_knew_is_settled_with_nothing_and_uncertain(rig: Rig) -> None:
    rig.adapter.polls = [rig.done()]
    held = await rig.begun(estimate=None)
    await again(rig, held)
    assert (await rig.money(held))[1:] == [(LedgerKind.SETTLED, 0, False)]


@pytest.mark.parametrize("error", [ConnectionResetError(), ProviderFailed("503"), ContentBlocked("404")])
async def test_a_poll_that_fails_never_fails_the_job(rig: Rig, clock: FakeClock, error: Exception) -> None:
    rig.adapter.polls = [error, error, error, rig.done()]
    held: Held | None = await rig.begun()
    pauses: list[float] = []
    for _ in range(3):
        held = await again(rig, held)
        assert held is not None
        pauses.append(round(held.due - clock.boot(), 3))
    assert pauses == [2, 4, 8]
    assert held is not None
    assert await again(rig, held) is None
    assert (await rig.job(held)).state is State.SUCCEEDED


@pytest.mark.parametrize(
    ("billed", "charged", "row"),
    [
        (True, None, (LedgerKind.SETTLED, 40_000, False)),
        (True, MicroUsd(7_000), (LedgerKind.SETTLED, 7_000, False)),
        (False, None, (LedgerKind.RELEASED, 40_000, True)),
    ],
)
async def test_a_failure_that_the_provider_says_ends_the_job(
    rig: Rig, billed: bool, charged: MicroUsd | None, row: tuple[LedgerKind, int, bool]
) -> None:
    rig.adapter.polls = [Failed(ContentBlocked("a celebrity"), billed=billed, charged=charged)]
    held = await rig.begun()
    assert await again(rig, held) is None
    part = await rig.part(held)
    assert part.error is not None
    assert (part.state, part.error["code"]) == (State.FAILED, "content_blocked")
    assert (await rig.money(held))[1:] == [row]


# Deadlines


@pytest.mark.parametrize("trouble", [False, True], ids=["pending", "unreachable"])
async def test_paid_work_past_its_deadline_is_parked_and_asked_for_less_often(
    rig: Rig, clock: FakeClock, trouble: bool
) -> None:
    rig.adapter.polls = [ConnectionResetError() if trouble else Pending(), Pending(), rig.done()]
    held = await rig.begun(**VIDEO)
    longest = schedule.OLD_S * (1 + schedule.JITTER)
    clock.advance(3_601)
    parked = await rig.stepper.advance(held)
    assert parked is not None
    assert (await rig.part(held)).state is State.PARKED
    assert parked.due == clock.boot() + schedule.PARKED_S
    assert parked.due > clock.boot() + longest, "the pause of running work"
    parked = await again(rig, parked)
    assert parked is not None
    assert parked.due == clock.boot() + schedule.PARKED_S
    assert await again(rig, parked) is None
    assert (await rig.part(held)).state is State.SUCCEEDED


@pytest.mark.parametrize("trouble", [False, True], ids=["pending", "unreachable"])
async def test_free_work_past_its_deadline_fails(rig: Rig, clock: FakeClock, trouble: bool) -> None:
    rig.adapter.polls = [ConnectionResetError() if trouble else Pending()]
    held = await rig.begun(replayable=True, estimate=FREE)
    clock.advance(901)
    assert await rig.stepper.advance(held) is None
    part = await rig.part(held)
    assert part.error is not None
    assert (part.state, part.error["code"]) == (State.FAILED, "timed_out")


async def test_work_without_a_deadline_is_asked_for_on_and_on(rig: Rig, clock: FakeClock) -> None:
    held = await rig.begun()
    part = (await rig.part(held)).model_copy(update={"deadline_at": None, "accepted_at": None})
    job = (await rig.job(held)).model_copy(update={"submissions": (part,)})

    async def get(*_: object) -> object:
        return job

    rig.store.get = get
    clock.advance(1e6)
    assert await rig.stepper.advance(held) is not None
    assert job.state is State.RUNNING


# What vanished


async def test_accepted_work_of_an_offer_that_vanished_waits_for_its_return(rig: Rig, clock: FakeClock) -> None:
    rig.adapter.polls = [rig.done()]
    held = await rig.begun()
    rig.providers["acme"] = ACME.model_copy(update={"offers": ACME.offers[1:]})
    waiting = await rig.stepper.advance(held)
    assert waiting is not None
    assert waiting.due == clock.boot() + schedule.PARKED_S
    del rig.providers["acme"]
    waiting = await again(rig, waiting)
    rig.providers["acme"] = ACME
    assert await again(rig, waiting) is None
    assert (await rig.part(held)).state is State.SUCCEEDED


async def test_accepted_work_whose_key_vanished_waits_for_its_return(rig: Rig) -> None:
    rig.adapter.polls = [rig.done()]
    held = await rig.begun()
    key = rig.environment.pop(KEY)
    waiting = await again(rig, held)
    rig.environment[KEY] = key
    assert await again(rig, waiting) is None
    assert (await rig.part(held)).state is State.SUCCEEDED


async def test_a_full_disk_while_polling_is_left_to_the_caller(rig: Rig) -> None:
    rig.adapter.polls = [StorageUnwritable("read-only")]
    held = await rig.begun()
    with pytest.raises(StorageUnwritable):
        await rig.stepper.advance(held)
    assert (await rig.part(held)).state is State.RUNNING


# Cancelling


@pytest.mark.parametrize(
    ("charged", "row"),
    [
        (None, (LedgerKind.RELEASED, 40_000, False)),
        (FREE, (LedgerKind.RELEASED, 40_000, True)),
        (MicroUsd(10_000), (LedgerKind.SETTLED, 10_000, False)),
    ],
    ids=["unsaid", "free", "charged"],
)
async def test_running_work_is_stopped_at_its_provider(
    rig: Rig, charged: MicroUsd | None, row: tuple[LedgerKind, int, bool]
) -> None:
    rig.adapter = Stoppable(stops=[Cancelled(charged)])
    held = await rig.begun()
    await cancel(rig, held)
    assert await again(rig, held) is None
    assert (await rig.part(held)).state is State.CANCELLED
    assert (await rig.money(held))[1:] == [row]
    assert rig.adapter.asked == []


@pytest.mark.parametrize(
    ("answer", "stops"), [(TooLate(), 1), (ConnectionResetError(), 2)], ids=["too late", "no answer"]
)
async def test_a_stop_that_comes_too_late_or_fails_lets_the_result_decide(
    rig: Rig, answer: TooLate | Exception, stops: int
) -> None:
    rig.adapter = Stoppable(stops=[answer], polls=[Pending(), rig.done()])
    held = await rig.begun()
    await cancel(rig, held)
    assert await again(rig, await again(rig, held)) is None
    assert (await rig.part(held)).state is State.SUCCEEDED
    assert rig.adapter.stopped == stops


async def test_work_that_ends_without_a_result_after_a_stop_counts_as_cancelled(rig: Rig) -> None:
    rig.adapter = Stoppable(stops=[TooLate()], polls=[Failed(ProviderFailed("stopped"), billed=False)])
    held = await rig.begun()
    await cancel(rig, held)
    assert await again(rig, held) is None
    part = await rig.part(held)
    assert (part.state, part.actual) == (State.CANCELLED, 0)
    assert (part.error or {})["message"] == "stopped"


async def test_work_that_no_one_can_stop_goes_on(rig: Rig) -> None:
    rig.adapter.polls = [rig.done()]
    held = await rig.begun()
    await cancel(rig, held)
    assert await again(rig, held) is None
    assert (await rig.part(held)).state is State.SUCCEEDED


async def test_parked_work_can_be_stopped_too(rig: Rig, clock: FakeClock) -> None:
    rig.adapter = Stoppable()
    held = await rig.begun()
    clock.advance(901)
    parked = await rig.stepper.advance(held)
    assert parked is not None
    await cancel(rig, parked)
    assert await again(rig, parked) is None
    assert (await rig.part(held)).state is State.CANCELLED


# Downloads


async def test_downloads_wait_for_room_on_the_disk(rig: Rig, clock: FakeClock) -> None:
    rig.adapter.polls = [rig.done("one.png", "two.png")]
    keep = rig.artifacts.keep
    rig.artifacts.keep = failing(2, FULL, keep)
    held: Held | None = await rig.begun()
    for failures, pause in ((1, 2), (2, 4)):
        held = await again(rig, held)
        assert held is not None
        assert (held.failures, round(held.due - clock.boot(), 3)) == (failures, pause)
        assert (await rig.part(held)).state is State.DOWNLOADING
        told = rig.bus.progress_of(held.job_id)
        assert told is not None
        assert "not saved yet: The disk is full." in str(told.message)
    assert held is not None
    assert await again(rig, held) is None
    job = await rig.job(held)
    assert (job.state, len(job.outputs)) == (State.SUCCEEDED, 2)
    assert len(rig.adapter.asked) == 1, "the provider is not asked again"


async def test_what_is_missing_of_several_is_a_failed_output_of_a_job_that_succeeded(rig: Rig) -> None:
    good = rig.file("good.png")
    bad = rig.file("bad.png", b"no picture at all")
    gone = RemoteOutput(path=str(rig.folder / "gone.png"))
    said = FailedOutput(index=4, code="content_blocked", message="blocked")
    rig.adapter.polls = [Succeeded((good, bad, gone), failed=(said,))]
    held = await rig.begun()
    assert await again(rig, held) is None
    job = await rig.job(held)
    assert (job.state, [output.index for output in job.outputs]) == (State.SUCCEEDED, [1])
    failed = job.submissions[0].failed_outputs
    assert [(item.index, item.code) for item in failed] == [
        (4, "content_blocked"),
        (2, "unexpected_answer"),
        (3, "result_expired"),
    ]


async def test_a_job_of_which_nothing_can_be_kept_fails_and_is_settled(rig: Rig) -> None:
    rig.adapter.polls = [Succeeded((rig.file("bad.png", b"no picture"),), cost=MicroUsd(30_000))]
    held = await rig.begun()
    assert await again(rig, held) is None
    part = await rig.part(held)
    assert part.error is not None
    assert (part.state, part.error["code"]) == (State.FAILED, "provider_failed")
    assert (await rig.money(held))[1:] == [(LedgerKind.SETTLED, 30_000, False)]


async def test_results_of_work_that_somebody_else_has_by_now_are_left_to_them(rig: Rig) -> None:
    async def taken(_: object) -> Succeeded:
        await rig.store.reap([rig.kit.owner], rig.clock.now())
        return done

    done = rig.done()
    rig.adapter.polls = [taken, done]
    held = await rig.begun()
    assert await again(rig, held) is None
    part = await rig.part(held)
    assert (part.state, part.owner) == (State.RUNNING, None)
    assert await rig.stepper.advance(await rig.claim()) is None
    assert (await rig.part(held)).state is State.SUCCEEDED


async def test_a_restart_goes_on_with_the_download(rig: Rig) -> None:
    rig.adapter.polls = [rig.done()]
    keep = rig.artifacts.keep
    rig.artifacts.keep = failing(1, FULL, keep)
    held = await rig.begun()
    await again(rig, held)
    await rig.store.reap([rig.kit.owner], rig.clock.now())
    other = rig.stepper_of("w_next")
    assert await other.advance(await rig.claim("w_next")) is None
    assert (await rig.part(held)).state is State.SUCCEEDED
