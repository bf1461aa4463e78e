"""The one loop that waits: it looks, tells, sleeps until something changes, and gives up in time."""

from collections.abc import Callable

import anyio
import pytest

from darkroom.events import LOOKS_PER_S, Bus, Watch
from darkroom.services.waiting import TELL_EVERY_S, wait_until
from factories import FakeClock


class Looking:
    """Something that settles after so many looks; every look may do something more."""

    def __init__(self, settles_at: int | None, then: Callable[[], None] = lambda: None) -> None:
        self.looks = 0
        self.asked: list[int] = []
        self.told: list[int] = []
        self._settles_at = settles_at
        self._then = then

    async def look(self) -> tuple[int, bool]:
        self.looks += 1
        self._then()
        return self.looks, self.looks == self._settles_at

    async def ask(self, found: int) -> None:
        self.asked.append(found)

    async def tell(self, found: int) -> None:
        self.told.append(found)


async def waited(thing: Looking, seconds: float, *, bus: Bus | None = None, clock: FakeClock | None = None) -> int:
    with anyio.fail_after(30):
        return await wait_until(
            thing.look,
            ids=["a"],
            bus=bus or Bus(),
            clock=clock or FakeClock(),
            seconds=seconds,
            ask=thing.ask,
            tell=thing.tell,
        )


async def test_what_has_settled_is_not_awaited() -> None:
    thing = Looking(1)
    assert await waited(thing, 3600) == 1
    assert (thing.asked, thing.told) == ([1], [])


@pytest.mark.parametrize("seconds", [0, -5])
async def test_without_time_there_is_one_look(seconds: float) -> None:
    thing = Looking(None)
    assert await waited(thing, seconds) == 1
    assert (thing.asked, thing.told) == ([1], [])


async def test_every_change_brings_another_look_which_is_told() -> None:
    bus = Bus()
    thing = Looking(3, lambda: bus.changed("a"))
    assert await waited(thing, 3600, bus=bus) == 3
    assert (thing.asked, thing.told) == ([1], [1, 2])


async def test_it_gives_up_in_time_whatever_changes() -> None:
    bus, clock = Bus(), FakeClock()

    def pass_time() -> None:
        bus.changed("a")
        clock.advance(2)

    thing = Looking(None, pass_time)
    assert await waited(thing, 5, bus=bus, clock=clock) == 3
    assert thing.told == [1, 2]


async def test_nobody_needs_to_listen() -> None:
    bus = Bus()
    thing = Looking(2, lambda: bus.changed("a"))
    with anyio.fail_after(30):
        found = await wait_until(thing.look, ids=["a"], bus=bus, clock=FakeClock(), seconds=60, ask=thing.ask)
    assert (found, thing.told) == (2, [])


async def test_it_sleeps_no_longer_than_until_the_end_or_the_next_word(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pauses = FakeClock(), list[float]()

    async def wait(self: Watch, seconds: float) -> bool:
        del self
        pauses.append(seconds)
        clock.advance(seconds)
        return False

    monkeypatch.setattr(Watch, "wait", wait)
    assert await waited(Looking(None), TELL_EVERY_S * 2 + 1, clock=clock) == 4
    assert pauses == [TELL_EVERY_S, TELL_EVERY_S, 1]


async def test_thousands_who_wait_take_turns_and_what_changes_meanwhile_is_seen_by_the_next_look() -> None:
    bus, clock = Bus(), FakeClock()
    while not bus.turn(clock.monotonic()):
        """Others look, until there is a queue."""
    bus.turn(clock.monotonic(), 3 * LOOKS_PER_S)

    def change_often() -> None:
        bus.changed("a")

    thing = Looking(3, change_often)
    assert await waited(thing, 3600, bus=bus, clock=clock) == 3
    assert clock.slept[0] == pytest.approx(3, abs=0.1)
    assert len(clock.slept) == 2


async def test_at_the_end_of_the_process_what_was_seen_last_is_the_answer() -> None:
    bus = Bus()
    thing = Looking(None, bus.stop)
    assert await waited(thing, 3600, bus=bus) == 1
    later = Looking(None)
    heard = Bus()

    async def tell(found: int) -> None:
        heard.stop()

    with anyio.fail_after(30):
        found = await wait_until(
            later.look, ids=["a"], bus=heard, clock=FakeClock(), seconds=3600, ask=later.ask, tell=tell
        )
    assert found == later.looks == 1


async def test_a_turn_comes_no_later_than_the_end() -> None:
    bus, clock = Bus(), FakeClock()
    bus.turn(clock.monotonic(), 60 * LOOKS_PER_S)
    thing = Looking(None, lambda: bus.changed("a"))
    assert await waited(thing, 7, bus=bus, clock=clock) == 2
    assert clock.slept == [7]
