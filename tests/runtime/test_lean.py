"""Thousands may be under way: a poll without news costs nothing but the call, and clocks that jump change nothing."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers_runtime import ACME, VIDEO, Rig, Stoppable, again, rig_in

from darkroom.adapters.base import Accepted, Cancelled, Failed, Pending
from darkroom.domain.job import LedgerKind, State
from darkroom.domain.request import MediaInput
from darkroom.errors import ProviderFailed
from darkroom.runtime import schedule
from darkroom.runtime.embedded import AFRESH
from darkroom.runtime.held import LONGEST_S, Held, due_of
from darkroom.store.base import Move
from factories import FakeClock, make_effective

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000


class Counted:
    """A store that counts what is asked of it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self._store, name)


def counted(rig: Rig) -> Counter[str]:
    """Count from now on what moves ask of the store."""
    store = Counted(rig.store)
    rig.kit.store = store  # pyright: ignore[reportAttributeAccessIssue] because it passes everything on
    return store.calls


def move(rig: Rig, target: State, **more: Any) -> Move:
    """Return a move as of now."""
    return Move(target, rig.clock.now(), **more)


async def parked(rig: Rig, **overrides: Any) -> Held:
    """Return a submission that is past its deadline."""
    held = await rig.begun(**overrides)
    rig.clock.advance(max(0.0, (held.deadline or 0) - rig.clock.boot()))
    following = await rig.stepper.advance(held)
    assert following is not None
    assert following.state is State.PARKED
    return following


# Lean polls


async def test_a_poll_without_news_neither_reads_nor_writes_the_store(rig: Rig) -> None:
    held: Held | None = await rig.begun()
    calls = counted(rig)
    for _ in range(5):
        held = await again(rig, held)
    assert len(rig.adapter.asked) == 5
    assert calls == Counter()


async def test_a_poll_without_news_of_parked_work_neither_reads_nor_writes_the_store(rig: Rig) -> None:
    held: Held | None = await parked(rig)
    calls = counted(rig)
    for _ in range(3):
        held = await again(rig, held)
    assert calls == Counter()


async def test_once_others_have_written_the_next_poll_reads_the_job_first_and_only_that_one(rig: Rig) -> None:
    held = await again(rig, await rig.begun())
    calls = counted(rig)
    rig.bus.elsewhere()
    held = await again(rig, held)
    assert calls == Counter({"get": 1})
    await again(rig, held)
    assert calls == Counter({"get": 1})


async def test_once_somebody_asked_the_next_poll_reads_the_job_first(rig: Rig) -> None:
    held = await again(rig, await rig.begun())
    assert held is not None
    calls = counted(rig)
    held.seen = AFRESH
    await again(rig, held)
    assert calls == Counter({"get": 1})


async def test_a_cancel_by_another_process_is_seen_with_its_write(rig: Rig, tmp_path: Path, clock: FakeClock) -> None:
    rig.adapter = Stoppable()
    held = await again(rig, await rig.begun())
    assert held is not None
    async with rig_in(tmp_path, clock) as other:
        await other.store.request_cancel(held.job_id, "local", clock.now())
    rig.bus.elsewhere()
    assert await again(rig, held) is None
    assert (await rig.part(held)).state is State.CANCELLED


async def test_work_that_another_process_took_is_dropped_before_it_is_asked_about(rig: Rig) -> None:
    held = await rig.begun()
    await rig.store.reap([rig.kit.owner], rig.clock.now())
    rig.bus.elsewhere()
    assert await again(rig, held) is None
    assert rig.adapter.asked == []


async def test_work_that_another_process_moved_on_is_gone_on_with_from_there(rig: Rig) -> None:
    held = await rig.begun()
    part = await rig.part(held)
    await rig.store.move(part.ref, part.owner, move(rig, State.DOWNLOADING, results=(rig.file(),)))
    rig.bus.elsewhere()
    assert await again(rig, held) is None
    assert (await rig.part(held)).state is State.SUCCEEDED


async def test_what_ended_meanwhile_is_not_parked(rig: Rig, clock: FakeClock) -> None:
    async def meanwhile(_: object) -> Pending:
        part = await rig.part(held)
        await rig.store.move(part.ref, part.owner, move(rig, State.FAILED))
        return Pending()

    rig.adapter.polls = [meanwhile]
    held = await rig.begun()
    clock.advance(901)
    assert await rig.stepper.advance(held) is None
    assert (await rig.part(held)).state is State.FAILED


async def test_what_ended_meanwhile_is_not_cancelled(rig: Rig) -> None:
    async def meanwhile(_: object) -> Cancelled:
        part = await rig.part(held)
        await rig.store.move(part.ref, part.owner, move(rig, State.FAILED))
        return Cancelled()

    rig.adapter = Stoppable(stops=[meanwhile])
    held = await rig.begun()
    held.cancel = True
    assert await rig.stepper.advance(held) is None
    assert (await rig.part(held)).state is State.FAILED


async def test_a_result_counts_although_an_input_of_it_is_gone_by_now(rig: Rig) -> None:
    stored = await rig.inputs.take(rig.file("in.png").path or "", local=True)
    item = MediaInput(src=stored.ref, sha256=stored.sha256)
    rig.adapter.polls = [rig.done()]
    held = await rig.begun(effective=make_effective().model_copy(update={"inputs": (item,)}))
    stored.path.unlink()
    assert await again(rig, held) is None
    assert (await rig.part(held)).state is State.SUCCEEDED


# Parked


async def test_parked_work_is_asked_about_at_long_intervals_and_downloaded_when_it_is_ready(rig: Rig) -> None:
    rig.adapter.polls = [Pending(), Pending(poll_after_s=1), rig.done()]
    held = await parked(rig, **VIDEO)
    held = await again(rig, held)
    assert held is not None
    assert held.due == rig.clock.boot() + schedule.PARKED_S, "whatever the provider hints"
    assert await again(rig, held) is None
    assert await rig.moves(held) == ["queued", "submitting", "running", "parked", "downloading", "succeeded"]


@pytest.mark.parametrize("trouble", [False, True], ids=["pending", "unreachable"])
async def test_parked_work_that_its_provider_has_surely_dropped_fails_and_counts_as_spent(
    rig: Rig, trouble: bool
) -> None:
    rig.providers["acme"] = ACME.model_copy(update={"retention_s": 7_200.0})
    first = await parked(rig)
    rig.adapter.polls = [ConnectionResetError() if trouble else Pending()]
    begun = rig.clock.boot()
    held: Held | None = first
    while held is not None:
        held = await again(rig, held)
    part = await rig.part(first)
    assert part.error is not None
    assert (part.state, part.error["code"]) == (State.FAILED, "result_expired")
    assert 7_200 - 900 < rig.clock.boot() - begun < 7_200
    assert (await rig.money(first))[1:] == [(LedgerKind.SETTLED, 40_000, False)]


async def test_parked_work_fails_when_its_provider_says_so(rig: Rig) -> None:
    held = await parked(rig)
    rig.adapter.polls = [Failed(ProviderFailed("no"))]
    assert await again(rig, held) is None
    assert (await rig.money(held))[1:] == [(LedgerKind.RELEASED, 40_000, True)]


# Clocks that jump


@pytest.mark.parametrize("jump", [DAY_MS, -DAY_MS], ids=["forward", "back"])
async def test_a_wall_clock_that_jumps_a_day_changes_neither_due_times_nor_deadlines(
    rig: Rig, clock: FakeClock, jump: int
) -> None:
    held = await rig.begun()
    deadline = held.deadline
    assert deadline == clock.boot() + 900
    clock.wall += jump
    held = await rig.stepper.advance(held)
    assert held is not None
    assert held.due - clock.boot() < 1
    rig.bus.elsewhere()
    clock.advance(800)
    held = await rig.stepper.advance(held)
    assert held is not None
    assert (held.deadline, held.state) == (deadline, State.RUNNING)
    assert held.due - clock.boot() < 40
    clock.advance(101)
    held = await rig.stepper.advance(held)
    assert held is not None
    assert held.state is State.PARKED


@pytest.mark.parametrize("jump", [DAY_MS, -DAY_MS], ids=["forward", "back"])
async def test_a_wall_clock_that_jumps_during_the_call_leaves_the_deadline_as_long_as_ever(
    rig: Rig, clock: FakeClock, jump: int
) -> None:
    async def meanwhile(_: object) -> Accepted:
        clock.wall += jump
        return Accepted({"id": "r1"})

    rig.adapter.submits = [meanwhile]
    held = await rig.begun()
    assert held.deadline == clock.boot() + 900


async def test_a_due_time_that_a_wrong_clock_wrote_is_an_hour_away_at_most(rig: Rig, clock: FakeClock) -> None:
    job = await rig.add()
    part = job.submissions[0].model_copy(update={"due_at": clock.now() + 30 * DAY_MS})
    assert due_of(part, clock) == clock.boot() + LONGEST_S
    assert due_of(part.model_copy(update={"due_at": clock.now() - DAY_MS}), clock) == clock.boot()


async def test_an_acceptance_from_the_future_makes_nothing_older_than_it_is(rig: Rig, clock: FakeClock) -> None:
    held = await rig.begun()
    clock.wall -= DAY_MS
    assert (await rig.held(await rig.job(held))).began == clock.boot()
