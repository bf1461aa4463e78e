"""Who of the processes that share a database is alive."""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from darkroom.errors import StorageUnwritable
from darkroom.runtime import liveness
from darkroom.runtime.liveness import LEASE_S, Presence
from darkroom.store.base import Worker
from factories import FakeClock

OTHER = """
import sys
from pathlib import Path
from darkroom.clock import SystemClock
from darkroom.runtime.liveness import Presence

presence = Presence(Path(sys.argv[1]), "other")
presence.enter(SystemClock())
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def me(tmp_path: Path) -> Presence:
    return Presence(tmp_path / "workers", "me")


def seen(me: Presence, worker: Worker, clock: FakeClock) -> bool:
    """Tell whether `me` takes that worker for dead."""
    return me.dead([worker], clock.boot()) == [worker.id]


def test_a_process_says_who_it_is(me: Presence, clock: FakeClock) -> None:
    worker = me.enter(clock)
    assert (worker.host, worker.pid, worker.started_at) == (socket.gethostname(), os.getpid(), clock.now())
    assert worker.lease_until == clock.boot() + LEASE_S
    assert worker.boot_id == liveness.boot_id()
    me.leave()


def test_a_process_says_whether_it_lingers_and_which_accounts_it_has(tmp_path: Path, clock: FakeClock) -> None:
    presence = Presence(tmp_path / "workers", "me", lingers=True, accounts=["acme/main", "none"])
    worker = presence.enter(clock)
    assert (worker.lingers, worker.accounts) == (True, ("acme/main", "none"))
    clock.advance(5)
    assert presence.renew(clock) == replace(worker, started_at=clock.now(), lease_until=clock.boot() + LEASE_S)
    presence.leave()
    plain = Presence(tmp_path / "workers", "me").renew(clock)
    assert (plain.lingers, plain.accounts) == (False, ())


def test_a_process_has_the_lease_that_it_is_told(tmp_path: Path, clock: FakeClock) -> None:
    assert Presence(tmp_path, "me", lease_s=2.5).renew(clock).lease_until == clock.boot() + 2.5


def test_a_process_never_takes_itself_for_dead(me: Presence, clock: FakeClock) -> None:
    worker = me.enter(clock)
    assert me.dead([replace(worker, lease_until=0.0, boot_id="another")], clock.boot()) == []
    me.leave()


def test_one_that_holds_its_lock_is_alive_and_one_that_let_go_is_dead(me: Presence, clock: FakeClock) -> None:
    other = Presence(me._folder, "other")  # pyright: ignore[reportPrivateUsage] because both share a folder
    worker = other.enter(clock)
    assert not seen(me, worker, clock)
    other.leave()
    assert seen(me, worker, clock)
    other.leave()  # a second time does nothing


def looked_at(monkeypatch: pytest.MonkeyPatch, *, first: bool) -> list[bool]:
    """Have the lock file of a starting process found free and unlinked just before, or just after, it locks it.

    Returns what became of each of its tries.
    """
    real, tries = liveness._lock, list[bool]()  # pyright: ignore[reportPrivateUsage] because the moment is inside it

    def lock(file: IO[bytes]) -> bool:
        path = Path(file.name)
        if tries:
            tries.append(real(file))
            return tries[-1]
        with path.open("rb+") as other:
            taken = first and real(other)
            tries.append(real(file))
            path.unlink()
        return tries[-1] and not taken

    monkeypatch.setattr(liveness, "_lock", lock)
    return tries


@pytest.mark.parametrize("first", [True, False], ids=["locked by another", "unlinked"])
def test_one_whose_lock_file_was_tidied_away_as_it_started_is_alive(
    me: Presence, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    other = Presence(me._folder, "other")  # pyright: ignore[reportPrivateUsage] because both share a folder
    with monkeypatch.context() as patch:
        tries = looked_at(patch, first=first)
        worker = other.enter(clock)
    assert tries == [not first, True]
    assert not seen(me, worker, clock)
    other.leave()
    assert seen(me, worker, clock)


def test_a_process_starts_where_the_system_has_no_locks(
    me: Presence, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> bool:
        return False

    monkeypatch.setattr(liveness, "PAUSE_S", 0)
    monkeypatch.setattr(liveness, "_lock", refused)
    other = Presence(me._folder, "other")  # pyright: ignore[reportPrivateUsage] because both share a folder
    assert not seen(me, other.enter(clock), clock)
    other.leave()
    me.leave()


def test_a_killed_process_is_dead_at_once(me: Presence, tmp_path: Path, clock: FakeClock) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path / "workers")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"locked"
        worker = replace(me.renew(clock), id="other", pid=process.pid)
        assert not seen(me, worker, clock)
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    assert seen(me, worker, clock)
    assert not (tmp_path / "workers" / "other.lock").exists(), "its lock file is tidied away"


def test_one_past_its_lease_is_dead_although_it_holds_its_lock(me: Presence, clock: FakeClock) -> None:
    other = Presence(me._folder, "other")  # pyright: ignore[reportPrivateUsage] because both share a folder
    worker = other.enter(clock)
    clock.advance(LEASE_S + 1)
    assert seen(me, worker, clock)
    assert not seen(me, other.renew(clock), clock)
    other.leave()


def test_one_of_an_earlier_boot_is_dead(me: Presence, clock: FakeClock) -> None:
    other = Presence(me._folder, "other")  # pyright: ignore[reportPrivateUsage] because both share a folder
    assert seen(me, replace(other.enter(clock), boot_id="an earlier boot"), clock)
    other.leave()


def test_one_on_another_machine_is_judged_by_its_lock_alone(me: Presence, clock: FakeClock) -> None:
    other = Presence(me._folder, "other")  # pyright: ignore[reportPrivateUsage] because both share a folder
    row = replace(other.enter(clock), host="elsewhere", lease_until=0.0, boot_id="x")
    assert not seen(me, row, clock)
    other.leave()
    assert seen(me, row, clock)


def test_a_machine_whose_name_changed_takes_its_own_work_over(me: Presence, clock: FakeClock) -> None:
    other = Presence(me._folder, "other")  # pyright: ignore[reportPrivateUsage] because both share a folder
    row = replace(other.enter(clock), host="its name before")
    assert not seen(me, row, clock)
    assert seen(me, replace(row, lease_until=0.0), clock)
    other.leave()
    assert seen(me, row, clock)


def test_where_boots_have_no_names_the_host_tells(
    me: Presence, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "boot_id", lambda: "")
    other = Presence(me._folder, "other")  # pyright: ignore[reportPrivateUsage] because both share a folder
    row = other.enter(clock)
    assert not seen(me, row, clock)
    assert seen(me, replace(row, lease_until=0.0), clock)
    assert not seen(me, replace(row, host="elsewhere", lease_until=0.0), clock)
    other.leave()


def test_a_lock_file_that_cannot_be_opened_proves_nothing(me: Presence, tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "workers" / "other.lock").mkdir(parents=True)
    assert not seen(me, replace(me.renew(clock), id="other"), clock)


def test_a_folder_that_cannot_be_written_is_said_in_words(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    with pytest.raises(StorageUnwritable, match="cannot be written") as caught:
        Presence(tmp_path / "file" / "workers", "me").enter(clock)
    assert "DARKROOM_HOME" in str(caught.value.hint)


def test_leaving_a_folder_that_is_no_longer_writable_is_no_error(
    me: Presence, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    me.enter(clock)
    monkeypatch.setattr(Path, "unlink", refuse)
    me.leave()
    assert (me._folder / "me.lock").exists(), "it stays, unlocked"  # pyright: ignore[reportPrivateUsage] because nothing else names it


def test_a_system_that_does_not_name_its_boot_has_an_empty_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: Path, encoding: str) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert liveness.boot_id() == ""
