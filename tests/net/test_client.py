import math
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx2
import pytest

from darkroom.errors import NotConfigured, UnexpectedAnswer
from darkroom.net import client as module
from darkroom.net import spool
from darkroom.net.answer import Answer
from darkroom.net.client import POOL, POOLS, ShardedClient
from factories import FakeClock
from helpers_net import LIMIT_S, Reply, Server


async def test_an_answer_has_its_status_headers_and_whole_body(client: ShardedClient, server: Server) -> None:
    server.replies(Reply(418, {"X-Seed": "7"}, b"short and stout"))
    answer = await client.request("POST", f"{server.url}/tea?a=1", params={"b": "2"}, json={"c": 3})
    assert (answer.status, answer.body, answer.headers["x-seed"]) == (418, b"short and stout", "7")
    (seen,) = server.seen
    assert (seen.method, seen.body) == ("POST", b'{"c":3}')


async def test_requests_in_a_row_share_a_connection_and_submissions_never_do(
    client: ShardedClient, server: Server
) -> None:
    for _ in range(3):
        await client.request("GET", server.url)
        await client.submit("POST", server.url)
    connections = [seen.connection for seen in server.seen]
    assert len(set(connections[0::2])) == 1
    assert len(set(connections[1::2])) == 3
    assert set(connections[0::2]).isdisjoint(connections[1::2])


async def test_the_connection_of_a_submission_is_closed_with_its_answer(client: ShardedClient, server: Server) -> None:
    await client.submit("POST", server.url)
    with anyio.fail_after(LIMIT_S):
        while server.open:
            await anyio.lowlevel.checkpoint()
    assert server.connections == 1


async def test_no_redirect_is_followed(client: ShardedClient, server: Server) -> None:
    server.replies(Reply(302, {"location": f"{server.url}/other"}))
    assert (await client.request("GET", server.url)).status == 302
    assert (await client.submit("POST", server.url)).status == 302
    assert len(server.seen) == 2


async def test_no_cookie_is_kept(client: ShardedClient, server: Server) -> None:
    server.replies(Reply(headers={"set-cookie": "who=me; Path=/"}))
    await client.request("GET", server.url)
    await client.request("GET", server.url)
    assert "cookie" not in server.seen[1].headers


async def test_a_failure_of_a_request_is_not_tried_again(client: ShardedClient, server: Server) -> None:
    server.replies(Reply(cut=-1))
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.request("GET", server.url)
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.submit("POST", server.url)
    assert len(server.seen) == 2


async def test_many_callers_get_pools_of_ten_each_and_one_answer_each(client: ShardedClient, server: Server) -> None:
    go = anyio.Event()
    server.replies(Reply(body=b"ok", after=go))
    answers: list[Answer] = []

    async def ask() -> None:
        answers.append(await client.request("GET", server.url))

    async with anyio.create_task_group() as tasks:
        for _ in range(3 * POOL + 1):
            tasks.start_soon(ask)
        await server.requests(3 * POOL + 1)
        go.set()
    assert [answer.body for answer in answers] == [b"ok"] * (3 * POOL + 1)
    assert server.most_open == 3 * POOL + 1


async def test_callers_beyond_the_sockets_of_the_process_wait_and_all_get_their_turn(
    client: ShardedClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POOLS", 2)
    go = anyio.Event()
    server.replies(Reply(after=go))
    done: list[int] = []

    async def ask(number: int) -> None:
        async with client.stream("GET", server.url) as response:
            await response.aread()
        done.append(number)

    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            for number in range(5 * POOL):
                tasks.start_soon(ask, number)
            await server.requests(2 * POOL)
            assert server.most_open == 2 * POOL
            go.set()
    assert sorted(done) == list(range(5 * POOL))
    assert server.most_open == 2 * POOL


async def test_idle_pools_of_other_hosts_make_room(
    client: ShardedClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POOLS", 1)
    await client.request("GET", server.url)
    await client.request("GET", server.url.replace("127.0.0.1", "localhost"))
    await client.request("GET", server.url)
    assert server.connections == 3
    with anyio.fail_after(LIMIT_S):
        while server.open > 1:
            await anyio.lowlevel.checkpoint()


def test_the_sockets_of_a_process_are_bounded() -> None:
    assert POOL <= 10
    assert POOL * POOLS <= 260


async def test_a_cancelled_caller_leaves_its_place_to_others(client: ShardedClient, server: Server) -> None:
    server.replies(Reply(after=anyio.Event()))
    async with anyio.create_task_group() as tasks:
        for _ in range(POOL):
            tasks.start_soon(client.request, "GET", server.url)
        await server.requests(POOL)
        tasks.cancel_scope.cancel()
    server.replies(Reply(body=b"ok"))
    assert (await client.request("GET", server.url)).body == b"ok"
    assert [pool.busy for pool in client._pools] == [0]  # pyright: ignore[reportPrivateUsage] because nothing else shows it


async def test_submissions_beyond_the_cap_wait(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SUBMITS", 2)
    client = ShardedClient(FakeClock())
    go = anyio.Event()
    server.replies(Reply(after=go))
    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(client.submit, "POST", server.url)
        await server.requests(2)
        await anyio.wait_all_tasks_blocked()
        assert len(server.seen) == 2
        go.set()
    assert len(server.seen) == 6
    assert server.most_open <= 3  # one may be closing while the next opens


async def test_an_answer_that_takes_too_long_is_given_up(
    client: ShardedClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 0.01)
    server.replies(Reply(after=anyio.Event()))
    with pytest.raises((TimeoutError, httpx2.ReadTimeout)):
        await client.request("GET", server.url, timeout_s=0.05)
    with pytest.raises((TimeoutError, httpx2.ReadTimeout)):
        await client.submit("POST", server.url, timeout_s=0.05)


async def test_an_answer_without_end_is_refused(
    client: ShardedClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST", 10)
    server.replies(Reply(body=b"eleven chars"))
    with pytest.raises(UnexpectedAnswer, match="larger than"):
        await client.request("GET", server.url)


async def test_an_answer_of_success_is_kept_before_it_is_returned(
    client: ShardedClient, server: Server, tmp_path: Path
) -> None:
    kept = tmp_path / "deep" / "answer.spool"
    server.replies(Reply(200, {"content-type": "image/png", "x-request-id": "r1", "set-cookie": "a=b"}, b"\x89PNG"))
    answer = await client.submit("POST", server.url, spool=kept)
    assert answer.body == b"\x89PNG"
    again = await anyio.to_thread.run_sync(spool.load, kept)
    assert again == Answer(200, {"content-type": "image/png", "x-request-id": "r1"}, b"\x89PNG")


async def test_a_refusal_is_not_kept(client: ShardedClient, server: Server, tmp_path: Path) -> None:
    server.replies(Reply(500, body=b"no"))
    assert (await client.submit("POST", server.url, spool=tmp_path / "answer")).status == 500
    assert list(tmp_path.glob("answer*")) == []


async def test_an_answer_outlives_a_disk_that_does_not_take_it(
    client: ShardedClient, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    answer = await client.submit("POST", server.url, spool=tmp_path / "file" / "answer")
    assert answer.body == b"ok"
    assert "held in memory alone" in caplog.text


async def test_an_answer_that_is_here_is_kept_though_the_caller_is_stopped(
    client: ShardedClient, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "answer"
    save = spool.save
    async with anyio.create_task_group() as tasks:

        def stop_and_save(path: Path, answer: Answer) -> bool:
            anyio.from_thread.run_sync(tasks.cancel_scope.cancel)
            return save(path, answer)

        monkeypatch.setattr(spool, "save", stop_and_save)
        await client.submit("POST", server.url, spool=kept)
    assert await anyio.to_thread.run_sync(spool.load, kept) == Answer(200, {}, b"ok")


async def test_an_answer_that_is_here_is_not_lost_to_the_clock_while_it_is_kept(
    client: ShardedClient, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, fail_after = spool.save, anyio.fail_after
    scopes: list[anyio.CancelScope] = []
    left: list[float] = []

    @contextmanager
    def watched(seconds: float) -> Generator[anyio.CancelScope]:
        with fail_after(seconds) as scope:
            scopes.append(scope)
            left.append(scope.deadline)  # the first is ours; the library has scopes of its own within
            yield scope

    def look(path: Path, answer: Answer) -> bool:
        left.append(scopes[0].deadline)
        return save(path, answer)

    monkeypatch.setattr(anyio, "fail_after", watched)
    monkeypatch.setattr(spool, "save", look)
    await client.submit("POST", server.url, spool=tmp_path / "answer")
    assert left[0] < left[-1] == math.inf


async def test_a_proxy_that_cannot_be_used_is_named_before_anything_is_sent(
    client: ShardedClient, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://proxy.test:1")
    with pytest.raises(NotConfigured, match="proxy"):
        await client.submit("POST", server.url)
    assert server.seen == []


async def test_a_closed_client_opens_new_connections(client: ShardedClient, server: Server) -> None:
    await client.request("GET", server.url)
    await client.aclose()
    await client.request("GET", server.url)
    assert server.connections == 2


async def test_a_test_may_bring_its_own_transport() -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(201, text=request.method)

    client = ShardedClient(FakeClock(), transport=httpx2.MockTransport(handle))
    assert (await client.request("GET", "https://acme.test/")).body == b"GET"
    assert (await client.submit("POST", "https://acme.test/")).status == 201
    await client.aclose()


def test_neither_clients_nor_the_retry_library_come_with_the_import() -> None:
    code = "import sys, darkroom.net.client, darkroom.net.provider; sys.exit('tenacity' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
