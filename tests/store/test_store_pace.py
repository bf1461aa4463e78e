"""Calls a minute, counted by several processes together."""

from pathlib import Path

import pytest

from darkroom.store.sqlite.pace import SqlitePace
from factories import FakeClock

pytestmark = pytest.mark.anyio


async def taken(pace: SqlitePace, principal: str, count: int) -> list[int]:
    return [await pace.take(principal) for _ in range(count)]


async def test_a_minutes_calls_may_come_at_once_and_then_one_whenever_its_turn_comes(tmp_path: Path) -> None:
    clock = FakeClock()
    pace = SqlitePace(tmp_path / "home" / "pace", clock, 6)
    assert await taken(pace, "ann", 6) == [0] * 6
    assert await taken(pace, "ann", 2) == [10, 10]
    clock.advance(9.5)
    assert await taken(pace, "ann", 1) == [1]
    clock.advance(0.5)
    assert await taken(pace, "ann", 2) == [0, 10]
    clock.advance(600)
    assert await taken(pace, "ann", 7) == [0] * 6 + [10]
    pace.close()


async def test_each_principal_has_calls_of_its_own_and_shares_them_with_all_processes(tmp_path: Path) -> None:
    clock = FakeClock()
    one, other = SqlitePace(tmp_path / "pace", clock, 4), SqlitePace(tmp_path / "pace", clock, 4)
    assert await taken(one, "ann", 2) + await taken(other, "ann", 3) == [0, 0, 0, 0, 15]
    assert await taken(other, "bob", 1) == [0]
    one.close()
    other.close()
    other.close()


async def test_a_clock_that_was_set_back_locks_nobody_out(tmp_path: Path) -> None:
    clock = FakeClock()
    pace = SqlitePace(tmp_path / "pace", clock, 2)
    assert await taken(pace, "ann", 2) == [0, 0]
    clock.wall -= 3_600_000
    assert await taken(pace, "ann", 1) == [0]
    pace.close()


async def test_nothing_is_counted_where_there_is_no_limit(tmp_path: Path) -> None:
    pace = SqlitePace(tmp_path / "pace", FakeClock(), 0)
    assert await taken(pace, "ann", 100) == [0] * 100
    assert not (tmp_path / "pace").exists()
    pace.close()


async def test_calls_that_cannot_be_counted_are_let_in_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "pace").write_bytes(b"this is no database at all, and long enough to be seen as such" * 20)
    pace = SqlitePace(tmp_path / "pace", FakeClock(), 1)
    assert await taken(pace, "ann", 3) == [0, 0, 0]
    assert "calls cannot be counted in pace" in caplog.text
    pace.close()
