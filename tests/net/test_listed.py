"""Callbacks go to listed hosts alone, and a name cannot be turned to lead elsewhere."""

from collections.abc import Awaitable, Callable

import httpx2
import pytest

from darkroom.net.client import ShardedClient
from darkroom.net.guard import Unreachable, Unsafe
from darkroom.net.listed import LONGEST_URL, ListedHttp, Listing, Unlisted
from factories import FakeClock
from helpers_net import Reply, Server

PUBLIC = "93.184.216.34"
LISTING = Listing(
    [
        "hooks.example.com",
        "*.example.org",
        "*.deep.example.net:8443",
        "10.0.0.7",
        "169.254.169.254:80",
        "[::1]:9000",
        "127.0.0.1:8000",
        "localhost:8000",
        "box",
        "pinned.example.com:8443",
        "*.0.0.1",
        "*.lab.internal",
        "Metadata.Google.Internal",
    ]
)


def answering(seen: list[httpx2.Request]) -> ShardedClient:
    """Return a client that answers 204 to whatever it is asked."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(204, headers={"x-seen": "yes"})

    return ShardedClient(FakeClock(), transport=httpx2.MockTransport(answer))


def found(*numbers: str) -> Callable[[str], Awaitable[list[str]]]:
    async def resolve(host: str) -> list[str]:
        assert host
        return list(numbers)

    return resolve


async def status(client: ShardedClient, url: str, *numbers: str, listing: Listing = LISTING) -> int:
    http = ListedHttp(client, listing, found(*numbers), proxied=False)
    return (await http.send("PATCH", url, headers={"x-a": "b"}, content=b"{}")).status


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/jobs/1?token=x",
        "https://HOOKS.example.com:443/jobs",
        "https://hooks.example.com./jobs",
        "https://a.example.org/",
        "https://a.b.example.org/",
        "https://a.deep.example.net:8443/",
        "https://10.0.0.7/",
        "https://127.0.0.1:8000/",
        "http://127.0.0.1:8000/",
        "http://[::1]:9000/",
        "http://[0:0:0:0:0:0:0:1]:9000/",
        "http://localhost:8000/",
        "https://box/",
        "https://pinned.example.com:8443/",
    ],
)
def test_a_listed_host_may_be_called(url: str) -> None:
    assert LISTING.place(url).host in url.lower() or ":1" in url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://other.example.com/", "not listed"),
        ("https://example.org/", "not listed"),
        ("https://hooks.example.com.evil.example/", "not listed"),
        ("https://evilhooks.example.com/", "not listed"),
        ("https://192.168.0.1/", "not listed"),
        ("https://127.0.0.1.example.com/", "not listed"),
        ("https://9.0.0.1/", "not listed"),
        ("https://2130706433/", "not listed"),
        ("https://0x7f000001/", "not listed"),
        ("https://[::ffff:127.0.0.1]:8000/", "not listed"),
        ("https://hooks.example.com:8443/", "names port 8443 of 'hooks.example.com', which is listed with another"),
        ("https://a.example.org:444/", "names port 444"),
        ("https://a.deep.example.net/", "names port 443"),
        ("https://127.0.0.1/", "names port 443"),
        ("https://gpu.lab.internal/", "which needs an entry of its own"),
        ("http://hooks.example.com:443/", "does not begin with https"),
        ("http://a.example.org:80/", "does not begin with https"),
        ("http://10.0.0.7:443/", "does not begin with https"),
        ("http://169.254.169.254/", "does not begin with https"),
        ("http://box/", "does not begin with https"),
        ("ftp://hooks.example.com/", "does not begin with https:// and a host"),
        ("hooks.example.com/jobs", "does not begin with https:// and a host"),
        ("https:///jobs", "does not begin with https:// and a host"),
        ("https://me:secret@hooks.example.com/", "holds a user name"),
        ("https://hooks.example.com\\@evil.example/", "holds a space, a backslash"),
        ("https://hooks.example.com/a b", "holds a space"),
        ("https://hooks.example.com/\n", "holds a space"),
        ("https://[::1/", "is none that can be called"),
        (f"https://hooks.example.com/{'x' * LONGEST_URL}", "is longer than 2,000 characters"),
    ],
)
def test_whatever_else_may_not(url: str, why: str) -> None:
    with pytest.raises(Unsafe, match=why) as caught:
        LISTING.place(url)
    assert "secret" not in str(caught.value)


def test_a_host_that_nobody_lists_is_named_for_whoever_explains_it() -> None:
    with pytest.raises(Unlisted) as caught:
        LISTING.place("https://hoks.example.com/?token=7")
    assert caught.value.host == "hoks.example.com"
    assert "token" not in str(caught.value)


def test_an_entry_that_is_no_host_cannot_be_listed() -> None:
    with pytest.raises(ValueError, match="lists no host"):
        Listing(["https://hooks.example.com"])


@pytest.mark.parametrize(
    ("url", "numbers"),
    [
        ("https://hooks.example.com/", (PUBLIC,)),
        ("https://a.example.org/", (PUBLIC, "2606:4700::1111")),
        ("https://10.0.0.7/", ()),
        ("https://pinned.example.com:8443/", ("10.1.2.3",)),
        ("https://pinned.example.com:8443/", ("fd12::7", PUBLIC)),
        ("https://pinned.example.com:8443/", ("100.64.0.9",)),
        ("https://box/", ("192.168.0.4",)),
        ("https://box/", ("::1",)),
        ("http://localhost:8000/", ("127.0.0.1", "::1")),
    ],
)
async def test_a_name_may_lead_where_its_entry_says(url: str, numbers: tuple[str, ...]) -> None:
    seen: list[httpx2.Request] = []
    assert await status(answering(seen), url, *numbers) == 204
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("url", "numbers"),
    [
        ("https://hooks.example.com/", ("127.0.0.1",)),
        ("https://hooks.example.com/", (PUBLIC, "10.0.0.1")),
        ("https://a.example.org/", ("192.168.0.1",)),
        ("https://pinned.example.com:8443/", ("169.254.169.254",)),
        ("https://pinned.example.com:8443/", ("fe80::1%eth0",)),
        ("https://pinned.example.com:8443/", ("100.100.100.200",)),
        ("https://pinned.example.com:8443/", ("fd00:ec2::254",)),
        ("https://pinned.example.com:8443/", ("::ffff:169.254.169.254",)),
        ("https://pinned.example.com:8443/", ("0.0.0.0",)),
        ("https://pinned.example.com:8443/", ("nonsense",)),
        ("https://box/", ("224.0.0.1",)),
        ("https://metadata.google.internal/", ("169.254.169.254",)),
        ("http://localhost:8000/", ("10.0.0.1",)),
        ("http://localhost:8000/", ("nonsense",)),
    ],
)
async def test_a_name_that_leads_elsewhere_is_not_called(url: str, numbers: tuple[str, ...]) -> None:
    seen: list[httpx2.Request] = []
    with pytest.raises(Unsafe):
        await status(answering(seen), url, *numbers)
    assert seen == []


async def test_the_connection_goes_to_the_number_that_was_checked_in_the_name_of_the_host() -> None:
    seen: list[httpx2.Request] = []
    await status(answering(seen), "https://pinned.example.com:8443/a?x=1#part", "10.1.2.3")
    request = seen[0]
    assert str(request.url) == "https://10.1.2.3:8443/a?x=1"
    assert request.headers["host"] == "pinned.example.com:8443"
    assert request.extensions["sni_hostname"] == "pinned.example.com"
    assert (request.method, request.content, request.headers["x-a"]) == ("PATCH", b"{}", "b")


async def test_a_proxy_finds_the_host_itself() -> None:
    seen: list[httpx2.Request] = []
    http = ListedHttp(answering(seen), LISTING, found("127.0.0.1"), proxied=True)
    await http.send("PATCH", "https://hooks.example.com/a", headers={}, content=b"")
    assert str(seen[0].url) == "https://hooks.example.com/a"


async def test_a_host_that_does_not_exist_is_unreachable() -> None:
    with pytest.raises(Unreachable):
        await status(answering([]), "https://hooks.example.com/")


async def test_the_next_number_of_a_host_is_tried_where_nothing_was_sent(client: ShardedClient, server: Server) -> None:
    port = server.url.rpartition(":")[2]
    http = ListedHttp(client, Listing([f"localhost:{port}"]), found("127.0.0.9", "127.0.0.1"), proxied=False)
    server.replies(Reply(503, {"retry-after": "7"}))
    answer = await http.send("PATCH", f"http://localhost:{port}/a", headers={}, content=b"text")
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    assert [(seen.body, seen.headers["host"]) for seen in server.seen] == [(b"text", f"localhost:{port}")]


async def test_a_redirect_is_not_followed(client: ShardedClient, server: Server) -> None:
    listing = Listing([server.url.removeprefix("http://")])
    server.replies(Reply(302, {"location": f"{server.url}/elsewhere"}))
    http = ListedHttp(client, listing, proxied=False)
    assert (await http.send("PATCH", f"{server.url}/a", headers={}, content=b"")).status == 302
    assert [seen.path for seen in server.seen] == ["/a"]
