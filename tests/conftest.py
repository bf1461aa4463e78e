"""Rules that hold in every test: no network, no blocked loop, a clean environment, no process left behind."""

import contextlib
import ipaddress
import os
import socket
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster, BlockBusterFunction
from hypothesis import settings as hypothesis_settings
from PIL import Image

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parent.parent
NOT_OURS = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
SECRET_ENDINGS = ("_API_KEY", "_API_TOKEN", "_ACCESS_KEY", "_SECRET", "_SECRET_KEY", "_TOKEN", "_CREDENTIALS")

os.environ.pop("COLUMNS", None)  # one that the run brings along would be the width of every console for good

hypothesis_settings.register_profile("local", deadline=None)
hypothesis_settings.register_profile("ci", deadline=None, derandomize=True, database=None)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "local")


# Network


class NetworkUsed(AssertionError):
    """A test tried to leave this machine."""


attempts: list[str] = []
"""What the running test tried to reach, for code that swallows the error."""


def _is_here(host: object, *, binding: bool) -> bool:
    """Tell whether a host is this machine; `binding`: the unspecified address means every address of ours."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else host
    if name is None or not isinstance(name, str):
        return True
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback or (binding and address.is_unspecified)


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse what leaves the machine. An audit hook sees every thread and all C code and cannot be patched away."""
    if not event.startswith("socket."):
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        sock, address = arguments[0], arguments[1]
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
            return
        host, port = address[:2]  # pyright: ignore[reportUnknownVariableType] because addresses are untyped
        here = _is_here(host, binding=False)  # pyright: ignore[reportUnknownArgumentType] because addresses are untyped
        target = f"{host}:{port}"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        here, target = _is_here(arguments[0], binding=True), f"the name {arguments[0]!r}"
    else:
        return
    if not here:
        attempts.append(f"{target} ({event})")
        raise NetworkUsed(f"a test tried to reach {target}; only this machine is allowed")


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def no_network() -> Generator[list[str]]:
    """Fail the test that tried to leave the machine, even where the code under test caught the error.

    Processes that a test starts are not watched. Yields what the test tried; a test of the guard itself clears it.
    """
    attempts.clear()
    yield attempts
    seen = "; ".join(attempts)
    attempts.clear()
    assert not seen, f"the test tried to reach {seen}"


# Event loop

EVERYWHERE = ("time.sleep", "sqlite3.", "socket.", "ssl.", "builtins.input")
"""Refused on the loop whoever calls; file access is refused only below code of darkroom: tests lay out files freely."""
ALSO = ("sqlite3.connect", "os.fsync", "os.fdatasync")
"""Calls that blockbuster does not know by itself."""


@pytest.fixture(autouse=True)
def no_blocking() -> Generator[BlockBuster]:
    """Refuse calls that block the event loop, in tests and fixtures alike."""
    detector = BlockBuster("darkroom")
    for name in (*detector.functions, *ALSO):
        known = detector.functions.get(name)
        if name.startswith(EVERYWHERE):
            detector.functions[name] = (
                BlockBusterFunction(
                    None,
                    name,
                    can_block_functions=known.can_block_functions,
                    can_block_predicate=known.can_block_predicate,
                )
                if known
                else BlockBusterFunction(None, name)
            )
        elif known is None:
            detector.functions[name] = BlockBusterFunction(None, name, scanned_modules="darkroom")
    for function in detector.functions.values():
        # Modules are imported on first use, once a process, to keep the start quick.
        function.can_block_in("<frozen importlib._bootstrap>", {"_find_and_load"})
        # The measuring of coverage takes a lock of its own when a thread reaches a new file at the same moment.
        function.can_block_in("coverage/collector.py", {"lock_data"})
    detector.activate()
    yield detector
    detector.deactivate()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests run on asyncio, as the SDK's server does."""
    return "asyncio"


# Environment


def _key_names() -> frozenset[str]:
    """Return the variables that the shipped manifests read: names, or lists of names that go together."""
    found: set[str] = set()
    for path in (ROOT / "manifests" / "providers").glob("*.toml"):
        for entry in tomllib.loads(path.read_text("utf-8")).get("credentials", []):
            found.update([entry] if isinstance(entry, str) else entry)
    return frozenset(found)


KEY_NAMES = _key_names()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test its own home folder and none of the user's settings, keys and proxies."""
    for name in list(os.environ):
        upper = name.upper()
        if upper.startswith("DARKROOM_") or upper in NOT_OURS or upper.endswith(SECRET_ENDINGS) or name in KEY_NAMES:
            monkeypatch.delenv(name)
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    monkeypatch.setenv("DARKROOM_HOME", str(folder / ".darkroom"))
    monkeypatch.setenv("DARKROOM_OUTPUT_DIR", str(folder / "Darkroom"))
    return folder


# Threads and processes


def _lasting() -> set[threading.Thread]:
    """Return the threads that would keep the program from ending; those of anyio are not among them."""
    return {thread for thread in threading.enumerate() if not thread.daemon}


def _still_there(look: Callable[[], set[Any]], before: set[Any]) -> list[Any]:
    """Return what has come since and does not go within five seconds: an end may take a moment."""
    deadline = time.monotonic() + 5
    while (left := look() - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    return sorted(left, key=str)


@pytest.fixture(autouse=True)
def no_thread_left() -> Generator[None]:
    """Fail the test that left a thread behind: a program with such a thread never ends."""
    before = _lasting()
    yield
    left = _still_there(_lasting, before)
    assert not left, f"the test left threads behind: {[thread.name for thread in left]}"


def _children() -> set[str]:
    """Return the number and command of each live child process of ours, where the system tells (Linux)."""
    found: set[str] = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread is gone since
            found.update(filter(None, map(_command, listing.read_text("ascii").split())))
    return found


def _command(process: str) -> str | None:
    """Return what a process runs; None for one that has ended, and for Python's own helpers, which end with us."""
    folder = Path("/proc", process)
    try:
        state = (folder / "stat").read_text("utf-8", "replace").rpartition(") ")[2][:1]
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return None
    return None if state in "ZX" or "multiprocessing" in command else f"{process} {command}"


@pytest.fixture(scope="session", autouse=True)
def no_child_left() -> Generator[None]:
    """Fail the run if a process that a test started outlives all tests."""
    before = _children()
    yield
    left = _still_there(_children, before)
    assert not left, f"still running after the last test: {left}"


APART = ("e2e", "faults", "proof")
"""Folders whose tests start and kill processes: one after another, so that they do not take time from each other."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give one worker all tests that start processes, where several workers share the tests."""
    for item in items:
        if item.path.parent.name in APART:
            item.add_marker(pytest.mark.xdist_group("processes"))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """End a run whose tests left threads behind, which failed for it; waiting for them would hang CI."""
    if _lasting() - {threading.main_thread()}:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of MP4; to be copied, not changed."""
    import av

    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    frames_of: Any = av.VideoFrame
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as opened:
        container: Any = opened
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(6):
            frame = frames_of.from_image(Image.new("RGB", (96, 64), (30 * number, 90, 40)))
            frame.pts, frame.time_base = number, Fraction(1, 12)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
