"""The guards of conftest.py fire: a guard that cannot fail proves nothing."""

import os
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from blockbuster import BlockingError

import darkroom
from darkroom.settings import Settings

OUTSIDE = "192.0.2.1"  # RFC 5737: an address of documents, which nobody has


def darkroom_code(source: str, **names: object) -> Callable[[], object]:
    """Return a function `probe` that stands, for anyone who looks at the stack, in a file of darkroom."""
    space: dict[str, object] = dict(names)
    exec(compile(source, str(Path(darkroom.__file__).with_name("probe.py")), "exec"), space)
    probe = space["probe"]
    assert callable(probe)
    return probe


def run_alone(pytester: pytest.Pytester, source: str) -> pytest.RunResult:
    """Run a file of tests in a process of its own, under the rules of this folder."""
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text("utf-8").replace("+ 5", "+ 0.1"))
    pytester.makepyfile(source)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=50)


# Network


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_a_connection_to_another_machine_is_refused(method: str, no_network: list[str]) -> None:
    with socket.socket() as sock, pytest.raises(AssertionError, match=r"192\.0\.2\.1:443"):
        getattr(sock, method)((OUTSIDE, 443))
    assert no_network == ["192.0.2.1:443 (socket.connect)"]
    no_network.clear()


def test_a_datagram_to_another_machine_is_refused(no_network: list[str]) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock, pytest.raises(AssertionError, match=r"192\.0\.2\.1:53"):
        sock.sendto(b"?", (OUTSIDE, 53))
    no_network.clear()


@pytest.mark.parametrize("host", ["provider.example", "127.provider.example", "169.254.169.254", "::ffff:192.0.2.1"])
def test_a_look_up_of_another_machine_is_refused_by_name(host: str, no_network: list[str]) -> None:
    with pytest.raises(AssertionError, match=host.replace(".", r"\.")):
        socket.getaddrinfo(host, 443)
    no_network.clear()


async def test_the_loop_and_its_threads_are_watched_too(no_network: list[str]) -> None:
    with pytest.raises(AssertionError, match=r"provider\.example"):
        await anyio.connect_tcp("provider.example", 443)
    with pytest.RaisesGroup(pytest.RaisesExc(AssertionError, match=r"192\.0\.2\.1:443"), flatten_subgroups=True):
        await anyio.connect_tcp(OUTSIDE, 443)
    assert len(no_network) == 2
    no_network.clear()


def test_an_attempt_whose_error_was_swallowed_fails_the_test(pytester: pytest.Pytester) -> None:
    result = run_alone(
        pytester,
        """
        import contextlib, socket

        def test_careless():
            with contextlib.suppress(AssertionError):
                socket.getaddrinfo("provider.example", 443)
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the test tried to reach the name 'provider.example'*"])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_this_machine_may_be_reached(host: str) -> None:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with await anyio.connect_tcp(host, port) as stream:
            assert stream.extra(anyio.abc.SocketAttribute.remote_address)[1] == port


def test_unix_sockets_may_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short on some systems
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind("s")
        listener.listen()
        client.connect("s")
        assert client.getpeername() == "s"


# Event loop


async def test_sleeping_on_the_loop_is_refused() -> None:
    with pytest.raises(BlockingError, match="sleep"):
        time.sleep(0)  # noqa: ASYNC251 because this is the mistake to be seen


async def test_sqlite_on_the_loop_is_refused(tmp_path: Path) -> None:
    connection = await anyio.to_thread.run_sync(lambda: sqlite3.connect(tmp_path / "a.db", check_same_thread=False))
    try:
        with pytest.raises(BlockingError, match="execute"):
            connection.execute("select 1")
        with pytest.raises(BlockingError, match="connect"):
            sqlite3.connect(tmp_path / "b.db")
        rows = await anyio.to_thread.run_sync(lambda: connection.execute("select 1").fetchall())
    finally:
        connection.close()
    assert rows == [(1,)]


@pytest.mark.parametrize(
    "work",
    [
        "path.read_bytes()",
        "path.read_text('utf-8')",
        "path.write_bytes(b'x')",
        "path.stat()",
        "path.unlink()",
        "os.replace(path, path)",
        "os.listdir(path.parent)",
        "os.fsync(0)",
    ],
)
async def test_files_on_the_loop_are_refused_in_darkroom(work: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a", "utf-8")  # a test lays out its files as it likes
    probe = darkroom_code(f"def probe(): {work}", path=path, os=os)
    with pytest.raises(BlockingError):
        probe()


async def test_files_in_a_thread_are_fine(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a", "utf-8")
    probe = darkroom_code("def probe(): return path.read_text('utf-8')", path=tmp_path / "a.txt")
    assert await anyio.to_thread.run_sync(probe) == "a"


async def test_a_first_import_on_the_loop_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_late.py").write_text("import os\nhere = os.listdir('.')\n", "utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    probe = darkroom_code("def probe():\n import imported_late\n return imported_late.here")
    assert isinstance(probe(), list)


# Environment


def test_the_machine_s_own_settings_and_keys_are_gone(home: Path, tmp_path: Path) -> None:
    assert Path.home() == home
    assert home.is_relative_to(tmp_path)
    assert {name for name in os.environ if name.startswith("DARKROOM_")} == {"DARKROOM_HOME", "DARKROOM_OUTPUT_DIR"}
    assert not [name for name in os.environ if name.endswith(("_API_KEY", "_TOKEN"))]
    settings = Settings.load()
    assert settings.database.is_relative_to(home)
    assert settings.outputs.is_relative_to(home)


# Threads and processes


def test_a_thread_that_never_ends_fails_its_test_and_the_run_ends(pytester: pytest.Pytester) -> None:
    result = run_alone(
        pytester,
        """
        import threading

        def test_careless():
            threading.Thread(target=threading.Event().wait, name="left over").start()
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the test left threads behind: *left over*"])
    assert result.ret == 1


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system does not list child processes")
def test_a_process_that_outlives_the_tests_fails_the_run(pytester: pytest.Pytester) -> None:
    result = run_alone(
        pytester,
        """
        import subprocess, sys
        children = []

        def test_careless():
            children.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*still running after the last test: *"])
