"""What is opened for strangers: the public internet, and nothing else, however it is spelt."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from darkroom.net.client import ShardedClient
from darkroom.net.guard import Guard, Unreachable, Unsafe, checked, look_up
from factories import FakeClock

PUBLIC = "93.184.216.34"
Handler = Callable[[httpx2.Request], httpx2.Response]

FORBIDDEN = [
    "http://example.com/a.png",
    "ftp://example.com/a.png",
    "file:///etc/passwd",
    "gopher://example.com/",
    "javascript:alert(1)",
    "//example.com/a.png",
    "example.com/a.png",
    "",
    "https://",
    "https:///a.png",
    "https://user:pass@example.com/a.png",
    "https://example.com@127.0.0.1/",
    "https://example.com:8443/",
    "https://example.com:22/",
    "https://example.com:0/",
    "https://exa mple.com/",
    "https://example.com/\r\nHost: localhost",
    "https://example.com\\@127.0.0.1/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://foo.localhost/",
    "https://printer/",
    "https://printer.local/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://router.lan/",
    "https://nas.home.arpa/",
    "https://intranet.corp/",
    "https://127.0.0.1/",
    "https://127.0.0.1./",
    "https://127.1/",
    "https://127.0.1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.0x1/",
    "https://017700000001/",
    "https://127.000.000.001/",
    "https://10.0.0.1/",
    "https://10.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://169.254.170.2/v2/credentials",
    "https://100.64.0.1/",
    "https://100.100.100.200/latest/meta-data/",
    "https://192.0.0.192/opc/v1/",
    "https://198.18.0.1/",
    "https://192.0.2.1/",
    "https://224.0.0.1/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::a9fe:a9fe]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:c0a8:101::1]/",
    "https://[2001:0:a00:1::f5ff:fffe]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fec0::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    "https://\uff11\uff12\uff17.0.0.1/",
    "https://127\u30020\u30020\u30021/",
    "https://\u2460\u2461\u2466.0.0.1/",
    "https://loc\u00adalhost/",
    "https://%31%32%37.0.0.1/",
    "https://example.com%00.evil.test/",
    "https://256.256.256.256/",
    "https://1.2.3.4.5/",
    "https://-x.example.com/",
    "https://a..example.com/",
    "https://" + "a" * 5000 + ".com/",
]


def answering(handle: Handler, seen: list[httpx2.Request] | None = None) -> ShardedClient:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if seen is not None:
            seen.append(request)
        return handle(request)

    return ShardedClient(FakeClock(), transport=httpx2.MockTransport(answer))


def found(*numbers: str) -> Callable[[str], Any]:
    async def resolve(host: str) -> list[str]:
        del host
        return list(numbers)

    return resolve


def picture(request: httpx2.Request) -> httpx2.Response:
    del request
    return httpx2.Response(200, stream=httpx2.ByteStream(b"picture"))


async def fetched(client: ShardedClient, url: str, resolve: Any = None, **more: Any) -> bytes:
    return await Guard(client, resolve or found(PUBLIC), proxied=False).fetch(url, limit=1000, **more)


def test_the_table_is_long_enough() -> None:
    assert len(set(FORBIDDEN)) >= 60


@pytest.mark.parametrize("url", FORBIDDEN)
async def test_what_is_not_public_is_neither_looked_up_nor_asked(url: str) -> None:
    seen: list[httpx2.Request] = []
    asked: list[str] = []

    async def resolve(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with pytest.raises(Unsafe):
        await fetched(answering(picture, seen), url, resolve)
    assert seen == []
    assert asked == []


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png",
        "https://EXAMPLE.com:443/a.png?x=1#y",
        "https://example.com./a.png",
        "https://b\u00fccher.example/a.png",
        "https://93.184.216.34/a.png",
        "https://[2606:4700::1111]/a.png",
        "https://a_b.example.com/",
    ],
)
async def test_public_addresses_are_asked(url: str) -> None:
    assert await fetched(answering(picture), url) == b"picture"


@pytest.mark.parametrize(
    "numbers",
    [
        ("127.0.0.1",),
        ("10.0.0.7",),
        ("::1",),
        ("169.254.169.254",),
        (PUBLIC, "192.168.0.1"),
        ("::ffff:10.0.0.1",),
        ("fe80::1%eth0",),
        ("nonsense",),
    ],
)
async def test_a_name_that_leads_to_a_private_place_is_not_asked(numbers: tuple[str, ...]) -> None:
    seen: list[httpx2.Request] = []
    with pytest.raises(Unsafe):
        await fetched(answering(picture, seen), "https://example.com/", found(*numbers))
    assert seen == []


async def test_the_connection_goes_to_the_number_that_was_checked_in_the_name_of_the_host() -> None:
    seen: list[httpx2.Request] = []
    await fetched(answering(picture, seen), "https://example.com./a.png?x=1")
    request = seen[0]
    assert str(request.url) == f"https://{PUBLIC}/a.png?x=1"
    assert request.headers["host"] == "example.com."
    assert request.extensions["sni_hostname"] == "example.com"
    assert request.headers["accept-encoding"] == "identity"


async def test_a_name_that_is_found_elsewhere_the_second_time_is_asked_where_it_was_checked() -> None:
    seen: list[httpx2.Request] = []
    answers = iter([[PUBLIC], ["127.0.0.1"]])

    async def rebinding(host: str) -> list[str]:
        assert host == "example.com"
        return next(answers)

    client = answering(picture, seen)
    await fetched(client, "https://example.com/", rebinding)
    with pytest.raises(Unsafe):
        await fetched(client, "https://example.com/", rebinding)
    assert [request.url.host for request in seen] == [PUBLIC]


@pytest.mark.parametrize(
    "location",
    [
        "https://127.0.0.1/",
        "http://example.com/",
        "https://[::1]/",
        "//169.254.169.254/",
        "file:///etc/passwd",
        "\\\\x",
    ],
)
async def test_every_redirect_is_checked_anew(location: str) -> None:
    seen: list[httpx2.Request] = []

    def lead(request: httpx2.Request) -> httpx2.Response:
        return (
            httpx2.Response(302, headers={"location": location}) if request.url.path == "/first" else picture(request)
        )

    with pytest.raises((Unsafe, Unreachable)):
        await fetched(answering(lead, seen), "https://example.com/first")
    assert len(seen) == 1


async def test_a_redirect_to_another_public_place_is_followed() -> None:
    def lead(request: httpx2.Request) -> httpx2.Response:
        if request.headers["host"] == "example.com":
            return httpx2.Response(301, headers={"location": "https://other.example/b"})
        return picture(request)

    assert await fetched(answering(lead), "https://example.com/") == b"picture"


async def test_redirects_without_end_are_given_up() -> None:
    seen: list[httpx2.Request] = []
    client = answering(lambda _: httpx2.Response(302, headers={"location": "/again"}), seen)
    with pytest.raises(Unsafe, match="without end"):
        await fetched(client, "https://example.com/")
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx2.Response(404), Unreachable),
        (httpx2.Response(500), Unreachable),
        (httpx2.Response(206, content=b"x"), Unreachable),
        (httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=httpx2.ByteStream(b"")), Unsafe),
        (httpx2.Response(200, stream=httpx2.ByteStream(b"x" * 1001)), Unsafe),
    ],
)
async def test_what_is_no_bearable_file_is_refused(answer: httpx2.Response, error: type[Exception]) -> None:
    with pytest.raises(error):
        await fetched(answering(lambda _: answer), "https://example.com/")


async def test_a_host_that_does_not_answer_is_named() -> None:
    def cut(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with pytest.raises(Unreachable, match="ConnectError"):
        await fetched(answering(cut), "https://example.com/")


async def test_a_host_that_does_not_exist_is_named() -> None:
    async def nowhere(host: str) -> list[str]:
        raise OSError(host)

    for resolve in (nowhere, found()):
        with pytest.raises(Unreachable, match=r"example\.com"):
            await fetched(answering(picture), "https://example.com/", resolve)


async def test_behind_a_proxy_names_are_checked_and_left_to_it() -> None:
    seen: list[httpx2.Request] = []
    guard = Guard(answering(picture, seen), found("10.0.0.1"), proxied=True)
    assert await guard.fetch("https://example.com/a", limit=1000) == b"picture"
    assert seen[0].url.host == "example.com"
    with pytest.raises(Unsafe):
        await guard.fetch("https://127.0.0.1/a", limit=1000)


async def test_two_hosts_at_one_number_do_not_share_connections() -> None:
    client = answering(picture)
    await fetched(client, "https://one.example/")
    await fetched(client, "https://two.example/")
    assert len(client._pools) == 2  # pyright: ignore[reportPrivateUsage] because nothing else shows it


async def test_the_system_finds_this_machine() -> None:
    assert "127.0.0.1" in await look_up("127.0.0.1")


def test_an_address_that_is_fine_stays_as_it_is() -> None:
    assert str(checked("https://example.com/a?b=c")) == "https://example.com/a?b=c"
