import json
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
import respx

from darkroom.errors import (
    AuthFailed,
    DarkroomError,
    InsufficientCredits,
    InvalidRequest,
    NotConfigured,
    Overloaded,
    ProviderFailed,
    RateLimited,
    ResultExpired,
    SubmitUnknown,
    UnexpectedAnswer,
)
from darkroom.net import client as client_module
from darkroom.net import spool
from darkroom.net.answer import Answer
from darkroom.net.classify import Told, Verdict, verdict_of
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from factories import FakeClock
from helpers_catalog import make_provider
from helpers_net import Reply, Server

BASE = "https://api.acme.test/v1/"
ACME = make_provider(base_url=BASE, hosts=["api.acme.test", "*.files.test"], safe_statuses=[503])
KEY = "k7-very-secret-credential"
AUTH = {"authorization": f"Bearer {KEY}"}


@pytest.fixture
def http(client: ShardedClient) -> ProviderHttp:
    return ProviderHttp(client, ACME)


@pytest.fixture
def local(client: ShardedClient, server: Server) -> ProviderHttp:
    return ProviderHttp(client, ACME, server.url)


# Addresses


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("images", "https://api.acme.test/v1/images"),
        ("/images", "https://api.acme.test/v1/images"),
        ("//evil.test/images", "https://api.acme.test/v1/evil.test/images"),
        ("@evil.test", "https://api.acme.test/v1/@evil.test"),
        ("/tasks?callback=https://mine.test/", "https://api.acme.test/v1/tasks?callback=https://mine.test/"),
        ("https://api.acme.test/v2/x", "https://api.acme.test/v2/x"),
        ("HTTPS://API.ACME.TEST/x", "HTTPS://API.ACME.TEST/x"),
        ("https://a.files.test/x", "https://a.files.test/x"),
    ],
)
async def test_a_path_is_joined_to_the_base_and_own_addresses_are_taken_whole(
    http: ProviderHttp, path: str, url: str
) -> None:
    assert http.url(path) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.acme.test/x",
        "https://api.acme.test:8443/x",
        "https://evil.test/x",
        "https://api.acme.test@evil.test/x",
        "https://files.test/x",
        "https://afiles.test/x",
        "https://api.acme.test.evil.test/",
        "ftp://api.acme.test/x",
        "https://[::1/x",
    ],
)
async def test_an_address_elsewhere_is_not_called(http: ProviderHttp, url: str, httpx2_mock: respx.MockRouter) -> None:
    for call in (http.submit, http.request):
        with pytest.raises(UnexpectedAnswer, match="not its own"):
            await call("POST", url, headers=AUTH)
    assert httpx2_mock.calls.call_count == 0
    assert http.own(url) is None


@pytest.mark.parametrize("url", [None, "", "/tasks/1", "5", "//api.acme.test/x"])
async def test_what_is_no_whole_address_of_the_provider_is_not_its_own(http: ProviderHttp, url: str | None) -> None:
    assert http.own(url) is None
    assert http.own("https://a.files.test/x") == "https://a.files.test/x"


async def test_a_base_url_of_the_user_is_trusted_as_it_is(client: ShardedClient) -> None:
    http = ProviderHttp(client, ACME, "http://127.0.0.1:8080/proxy")
    assert http.url("x") == "http://127.0.0.1:8080/proxy/x"
    assert http.url("http://127.0.0.1:8080/other") == "http://127.0.0.1:8080/other"
    with pytest.raises(UnexpectedAnswer):
        http.url("http://127.0.0.1:8081/other")
    with pytest.raises(UnexpectedAnswer):
        http.url("https://127.0.0.1:8080/other")


async def test_a_provider_without_a_base_url_is_not_called(client: ShardedClient) -> None:
    with pytest.raises(NotConfigured, match="no base URL"):
        await ProviderHttp(client, make_provider()).submit("POST", "images")


# Submissions


async def test_a_submission_is_one_call_with_what_the_adapter_gives(local: ProviderHttp, server: Server) -> None:
    server.replies(Reply(201, body=b'{"id": "t1"}'))
    answer = await local.submit("POST", "images", headers=AUTH, params={"n": 1}, json={"prompt": "a fox"})
    assert (answer.status, answer.json()) == (201, {"id": "t1"})
    (seen,) = server.seen
    assert (seen.method, seen.path, json.loads(seen.body)) == ("POST", "/images?n=1", {"prompt": "a fox"})
    assert seen.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "parts", [{"content": b"raw"}, {"data": {"a": "b"}}, {"files": {"image": ("a.png", b"png", "image/png")}}]
)
async def test_bodies_of_other_kinds_are_sent(local: ProviderHttp, server: Server, parts: dict[str, Any]) -> None:
    await local.submit("POST", "images", **parts)
    await local.request("POST", "uploads", **parts)
    assert all(seen.body for seen in server.seen)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidRequest), (401, AuthFailed), (402, InsufficientCredits), (429, RateLimited), (503, Overloaded),
     (500, SubmitUnknown), (302, SubmitUnknown), (409, SubmitUnknown)],
)  # fmt: skip
async def test_no_answer_makes_a_submission_go_out_twice(
    local: ProviderHttp, server: Server, clock: FakeClock, status: int, kind: type[DarkroomError]
) -> None:
    server.replies(Reply(status, {"location": "/other"}))
    with pytest.raises(kind):
        await local.submit("POST", "images")
    assert (len(server.seen), clock.slept) == (1, [])


@pytest.mark.parametrize("reply", [Reply(cut=-1), Reply(body=b"0123456789", cut=5), Reply(after=anyio.Event())])
async def test_a_lost_answer_leaves_a_submission_unknown_and_is_never_a_second_call(
    local: ProviderHttp, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, reply: Reply
) -> None:
    monkeypatch.setattr(client_module, "CONNECT_S", 1)
    server.replies(reply)
    with pytest.raises(SubmitUnknown) as caught:
        await local.submit("POST", "images", timeout_s=0.1, spool=tmp_path / "answer")
    assert verdict_of(caught.value) is Verdict.UNKNOWN
    assert len(server.seen) == 1
    assert list(tmp_path.glob("answer*")) == []


async def test_an_answer_that_is_too_large_leaves_a_submission_unknown(
    local: ProviderHttp, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "LARGEST", 10)
    server.replies(Reply(body=b"x" * 11))
    with pytest.raises(SubmitUnknown):
        await local.submit("POST", "images")
    with pytest.raises(UnexpectedAnswer):
        await local.request("GET", "images")
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    "failure", [httpx2.ConnectError("x"), httpx2.ConnectTimeout("x"), httpx2.ProxyError("x"), httpx2.PoolTimeout("x")]
)
async def test_a_provider_that_cannot_be_reached_was_sent_nothing(
    http: ProviderHttp, httpx2_mock: respx.MockRouter, failure: Exception
) -> None:
    route = httpx2_mock.post(f"{BASE}images").mock(side_effect=failure)
    with pytest.raises(Overloaded, match="nothing was sent"):
        await http.submit("POST", "images")
    assert route.call_count == 1


async def test_a_real_refused_connection_was_sent_nothing(client: ShardedClient) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    await listener.aclose()
    with pytest.raises(Overloaded, match="nothing was sent"):
        await ProviderHttp(client, ACME, f"http://127.0.0.1:{port}").submit("POST", "images")


async def test_a_failed_tls_handshake_was_sent_nothing(client: ShardedClient, server: Server) -> None:
    http = ProviderHttp(client, ACME, server.url.replace("http:", "https:"))
    with pytest.raises(Overloaded, match="nothing was sent"):
        await http.submit("POST", "images", timeout_s=5)
    assert server.seen == []


@pytest.mark.parametrize("value", ["key\n", "kéy", "k\u200bey", "“key”"])
async def test_a_key_that_no_header_can_hold_is_named_before_anything_is_sent(
    local: ProviderHttp, server: Server, value: str
) -> None:
    for call in (local.submit, local.request):
        with pytest.raises(NotConfigured, match="x-api-key") as caught:
            await call("POST", "images", headers={"x-api-key": value})
        assert value not in caught.value.message
    assert server.connections == 0


async def test_the_answer_of_a_submission_is_kept(local: ProviderHttp, server: Server, tmp_path: Path) -> None:
    server.replies(Reply(200, {"content-type": "image/png"}, b"png"))
    answer = await local.submit("POST", "images", spool=tmp_path / "answer")
    kept = await anyio.to_thread.run_sync(spool.load, tmp_path / "answer")
    assert kept is not None
    assert (kept.status, kept.body) == (answer.status, answer.body) == (200, b"png")


async def test_an_adapter_may_read_the_errors_of_a_submission_its_own_way(local: ProviderHttp, server: Server) -> None:
    def read(answer: Answer) -> Told | None:
        return Told(("bad_node",), answer.text(4)) if answer.status == 400 else None

    server.replies(Reply(400, body=b"Node 4 is bad"), Reply(422, body=b"Node 5 is bad"))
    for words in ("Node", "Node 5 is bad"):
        with pytest.raises(InvalidRequest) as caught:
            await local.submit("POST", "images", told=read)
        assert caught.value.provider_message == words


async def test_a_key_that_the_provider_quotes_is_masked(client: ShardedClient, server: Server) -> None:
    http = ProviderHttp(client, ACME, server.url, secrets=("another-secret-value",))
    body = {"error": {"code": KEY, "message": f"Wrong: '{KEY}' (another-secret-value), image/png is fine"}}
    server.replies(Reply(401, {"x-request-id": "r1"}, json.dumps(body).encode()))
    for call in (http.submit, http.request):
        with pytest.raises(AuthFailed) as caught:
            await call("POST", "images", headers={**AUTH, "content-type": "image/png"})
        assert caught.value.provider_code == "[redacted]"
        assert caught.value.provider_message == ("Wrong: '[redacted]' ([redacted]), image/png is fine; request r1")


async def test_half_of_a_credential_that_the_provider_quotes_is_masked(local: ProviderHttp, server: Server) -> None:
    server.replies(Reply(401, body=b'{"detail": "no secret 5f3a-half-of-it"}'))
    with pytest.raises(AuthFailed) as caught:
        await local.submit("POST", "images", headers={"authorization": "Key some-id:5f3a-half-of-it"})
    assert caught.value.provider_message == "no secret [redacted]"


# Files brought elsewhere


async def test_a_file_is_brought_with_the_given_headers_alone(
    local: ProviderHttp, server: Server, clock: FakeClock
) -> None:
    server.replies(Reply(503), Reply(200))
    await local.deliver("PUT", f"{server.url}/up?sig=1", headers={"content-type": "image/png"}, content=b"png")
    assert len(clock.slept) == 1
    assert [(item.method, item.path, item.body) for item in server.seen] == [("PUT", "/up?sig=1", b"png")] * 2
    assert not {"authorization", "cookie"} & set(server.seen[0].headers)


@pytest.mark.parametrize(
    "url",
    [
        "http://files.elsewhere.test/up",
        "https://files.elsewhere.test:8443/up",
        "https://name:word@files.elsewhere.test/up",
        "ftp://files.elsewhere.test/up",
        "https:///up",
        "https://[::1/up",
        "/up",
    ],
)
async def test_a_file_goes_to_https_addresses_only(http: ProviderHttp, url: str) -> None:
    with pytest.raises(UnexpectedAnswer, match="nothing was sent there"):
        await http.deliver("PUT", url, headers={}, content=b"png")


async def test_a_file_that_is_refused_does_not_show_its_address(local: ProviderHttp, server: Server) -> None:
    server.replies(Reply(403, body=b"expired"))
    with pytest.raises(UnexpectedAnswer, match=r"status 403") as caught:
        await local.deliver("PUT", f"{server.url}/up?sig=secret", headers={}, content=b"png")
    assert "sig" not in str(caught.value)
    assert len(server.seen) == 1


# Other calls


async def test_a_poll_is_tried_again_after_trouble(local: ProviderHttp, server: Server, clock: FakeClock) -> None:
    server.replies(Reply(500), Reply(cut=-1), Reply(429, {"retry-after": "3"}), Reply(body=b"done"))
    assert (await local.request("GET", "tasks/1")).body == b"done"
    assert clock.slept[2] == 3


async def test_a_poll_whose_trouble_lasts_ends_with_its_error(
    local: ProviderHttp, server: Server, clock: FakeClock
) -> None:
    server.replies(Reply(500))
    with pytest.raises(ProviderFailed, match="status 500"):
        await local.request("GET", "tasks/1")
    assert (len(server.seen), len(clock.slept)) == (4, 3)


@pytest.mark.parametrize(
    ("status", "kind"), [(400, InvalidRequest), (401, AuthFailed), (404, ResultExpired), (302, UnexpectedAnswer)]
)
async def test_a_poll_that_is_refused_is_not_tried_again(
    local: ProviderHttp, server: Server, status: int, kind: type[DarkroomError]
) -> None:
    server.replies(Reply(status, {"location": "/other"}))
    with pytest.raises(kind):
        await local.request("GET", "tasks/1")
    assert len(server.seen) == 1


async def test_a_poll_that_is_stopped_is_not_tried_again(local: ProviderHttp, server: Server, clock: FakeClock) -> None:
    server.replies(Reply(after=anyio.Event()))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(local.request, "GET", "tasks/1")
        await server.requests(1)
        tasks.cancel_scope.cancel()
    assert (len(server.seen), clock.slept) == (1, [])


async def test_a_base_url_that_cannot_be_called_is_a_matter_of_settings(client: ShardedClient) -> None:
    http = ProviderHttp(client, ACME, "htp://acme.test")
    for call in (http.submit, http.request):
        with pytest.raises(NotConfigured, match="nothing was sent"):
            await call("POST", "images")
