import errno
import json
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from darkroom.errors import (
    Overloaded,
    ProviderFailed,
    RateLimited,
    ResultExpired,
    StorageFull,
    StorageUnwritable,
    UnexpectedAnswer,
)
from darkroom.net.client import ShardedClient
from darkroom.net.download import ROUNDS, Downloader
from darkroom.net.guard import Guard
from factories import FakeClock
from helpers_net import FILM, TAG, Host, Reply, Seen, Server


@pytest.fixture
def to(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    return folder / "film.mp4"


@pytest.fixture
def downloader(client: ShardedClient, clock: FakeClock) -> Downloader:
    return Downloader(client, clock)


async def fetched(downloader: Downloader, server: Server, to: Path, **more: Any) -> bytes:
    path = await downloader.fetch(f"{server.url}/film", to, hosts=(), base_url=server.url, **more)
    assert path == to
    assert names(to) == ["film.mp4"]
    return await anyio.Path(path).read_bytes()


def names(to: Path) -> list[str]:
    return sorted(item.name for item in to.parent.iterdir())


def beside(to: Path, ending: str) -> Path:
    return to.with_name(to.name + ending)


def left_by_another_process(to: Path, part: bytes, note: Any) -> None:
    beside(to, ".part").write_bytes(part)
    beside(to, ".json").write_text(note if isinstance(note, str) else json.dumps(note))


async def test_a_file_comes_whole(downloader: Downloader, server: Server, to: Path) -> None:
    server.answer = Host()
    assert await fetched(downloader, server, to) == FILM


async def test_a_file_that_is_here_is_not_fetched_again(downloader: Downloader, server: Server, to: Path) -> None:
    to.write_bytes(b"here")
    assert await fetched(downloader, server, to) == b"here"
    assert server.seen == []


async def test_a_cut_file_is_gone_on_with(downloader: Downloader, server: Server, to: Path) -> None:
    server.answer = host = Host(cut=300_000)
    assert await fetched(downloader, server, to) == FILM
    assert host.ranges == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


async def test_progress_counts_more_than_failures_up_to_a_bound(
    downloader: Downloader, server: Server, to: Path, clock: FakeClock
) -> None:
    server.answer = Host(FILM[:1000], cut=70)
    assert await fetched(downloader, server, to) == FILM[:1000]
    assert len(clock.slept) < 14
    to.unlink()
    server.answer = host = Host(FILM[:1000], cut=1)
    with pytest.raises(ProviderFailed, match="again and again"):
        await fetched(downloader, server, to)
    assert len(host.ranges) == ROUNDS * 4
    assert beside(to, ".part").read_bytes() == FILM[: ROUNDS * 4]


async def test_cuts_without_progress_are_given_up_soon(downloader: Downloader, server: Server, to: Path) -> None:
    server.answer = host = Host(cut=0)
    with pytest.raises(ProviderFailed, match="did not come whole"):
        await fetched(downloader, server, to)
    assert len(host.ranges) <= 8


async def test_a_file_without_a_version_starts_anew_and_is_not_tried_for_ever(
    downloader: Downloader, server: Server, to: Path
) -> None:
    server.answer = host = Host(cut=300_000, tag=None)
    with pytest.raises(ProviderFailed):
        await fetched(downloader, server, to)
    assert host.ranges == [None] * 4


@pytest.mark.parametrize("tag", ['W/"weak"', None])
async def test_the_date_of_change_names_a_version_where_no_strong_tag_does(
    downloader: Downloader, server: Server, to: Path, tag: str | None
) -> None:
    changed = "Thu, 01 Jan 2026 00:00:00 GMT"
    host = Host(cut=600_000, tag=changed)

    def answer(seen: Seen) -> Reply:
        reply = host(seen)
        reply.headers = {**reply.headers, "last-modified": changed} | ({"etag": tag} if tag else {})
        if tag is None:
            reply.headers.pop("etag")
        return reply

    server.answer = answer
    assert await fetched(downloader, server, to) == FILM
    assert host.ranges == [None, "bytes=600000-"]
    assert server.seen[1].headers["if-range"] == changed


async def test_another_process_goes_on_even_with_another_address(
    downloader: Downloader, server: Server, to: Path
) -> None:
    left_by_another_process(to, FILM[:1234], {"version": TAG, "size": len(FILM)})
    server.answer = host = Host()
    assert await fetched(downloader, server, to) == FILM
    assert host.ranges == ["bytes=1234-"]


async def test_a_part_that_is_whole_is_taken_as_it_is(downloader: Downloader, server: Server, to: Path) -> None:
    left_by_another_process(to, FILM, {"version": TAG, "size": len(FILM)})
    server.answer = host = Host()
    assert await fetched(downloader, server, to) == FILM
    assert host.ranges == [], "its address may serve it once only"


async def test_another_version_starts_anew(downloader: Downloader, server: Server, to: Path) -> None:
    left_by_another_process(to, b"old" * 1000, {"version": '"v0"', "size": 9000})
    server.answer = host = Host()
    assert await fetched(downloader, server, to) == FILM
    assert host.ranges == ["bytes=3000-"]


@pytest.mark.parametrize(
    "note", ["", "no json", "[]", "5", {"version": TAG}, {"version": 5, "size": 9}, {"version": TAG, "size": "9"},
             {"version": None, "size": None}],
)  # fmt: skip
async def test_a_part_of_which_nothing_is_known_starts_anew(
    downloader: Downloader, server: Server, to: Path, note: Any
) -> None:
    left_by_another_process(to, b"what is this", note)
    server.answer = host = Host()
    assert await fetched(downloader, server, to) == FILM
    assert host.ranges == [None]


async def test_a_part_that_is_longer_than_the_file_starts_anew(
    downloader: Downloader, server: Server, to: Path
) -> None:
    left_by_another_process(to, FILM + b"more", {"version": TAG, "size": len(FILM)})
    server.answer = host = Host()
    assert await fetched(downloader, server, to) == FILM
    assert host.ranges == [f"bytes={len(FILM) + 4}-", None]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-range": "bytes what"},
        {"content-range": "bytes 2000-2999/3000", "etag": TAG},
        {"content-range": f"bytes 1000-2999/{len(FILM)}", "etag": '"v2"'},
        {"content-range": "bytes 1000-2999/3000", "etag": TAG},
        {"content-range": f"bytes 0-2999/{len(FILM)}", "etag": TAG},
        {"content-range": f"bytes 1000-2999/{len(FILM)}", "etag": TAG, "content-encoding": "br"},
    ],
    ids=["no range", "odd range", "gap", "other version", "other size", "from the start", "encoded"],
)
async def test_a_part_is_not_mixed_with_what_does_not_continue_it(
    downloader: Downloader, server: Server, to: Path, headers: dict[str, str]
) -> None:
    left_by_another_process(to, FILM[:1000], {"version": TAG, "size": len(FILM)})
    server.replies(Reply(206, headers, b"x" * 2000), Reply(200, {"etag": TAG}, FILM))
    assert await fetched(downloader, server, to) == FILM


async def test_a_host_may_go_on_from_earlier_and_leave_the_size_open(
    downloader: Downloader, server: Server, to: Path
) -> None:
    left_by_another_process(to, FILM[:1000], {"version": TAG, "size": None})
    server.replies(Reply(206, {"content-range": f"bytes 900-{len(FILM) - 1}/*"}, FILM[900:]))
    assert await fetched(downloader, server, to) == FILM


@pytest.mark.parametrize("size", [2000, 1500])
async def test_a_range_that_is_not_what_it_says_is_noticed(
    downloader: Downloader, server: Server, to: Path, size: int
) -> None:
    left_by_another_process(to, FILM[:1000], {"version": TAG, "size": None})
    server.replies(
        Reply(206, {"content-range": "bytes 1000-1799/1800"}, FILM[1000:size]), Reply(200, {"etag": TAG}, FILM)
    )
    assert await fetched(downloader, server, to) == FILM


async def test_a_file_of_unknown_length_ends_with_its_connection(
    downloader: Downloader, server: Server, to: Path
) -> None:
    server.replies(Reply(200, {"content-type": "video/mp4"}, FILM, length=False))
    assert await fetched(downloader, server, to) == FILM


async def test_a_file_that_a_host_compressed_all_the_same_is_unpacked(
    downloader: Downloader, server: Server, to: Path
) -> None:
    packed = await anyio.to_thread.run_sync(__import__("gzip").compress, FILM)
    server.replies(Reply(200, {"content-encoding": "gzip", "etag": TAG}, packed))
    assert await fetched(downloader, server, to) == FILM
    assert server.seen[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "Application/JSON", "text/plain"])
async def test_a_page_is_no_file(downloader: Downloader, server: Server, to: Path, kind: str) -> None:
    secret = "sk-" + "a1b2" * 20
    server.replies(Reply(200, {"content-type": kind}, f"Sorry {secret} {'x' * 500}".encode()))
    with pytest.raises(UnexpectedAnswer, match="a page") as caught:
        await fetched(downloader, server, to)
    said = caught.value.provider_message or ""
    assert said.startswith("Sorry [redacted] xx")
    assert len(said) == 200
    assert (len(server.seen), names(to)) == (1, [])


async def test_an_empty_page_is_no_file_either(downloader: Downloader, server: Server, to: Path) -> None:
    server.replies(Reply(200, {"content-type": "text/html"}))
    with pytest.raises(UnexpectedAnswer) as caught:
        await fetched(downloader, server, to)
    assert caught.value.provider_message is None


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_an_expired_address_is_named_at_once_and_the_part_is_kept(
    downloader: Downloader, server: Server, to: Path, status: int
) -> None:
    left_by_another_process(to, FILM[:1000], {"version": TAG, "size": len(FILM)})
    server.replies(Reply(status))
    with pytest.raises(ResultExpired):
        await fetched(downloader, server, to)
    assert len(server.seen) == 1
    server.answer = host = Host()
    assert await fetched(downloader, server, to) == FILM
    assert host.ranges == ["bytes=1000-"]


async def test_trouble_of_the_host_is_met_with_further_tries(
    downloader: Downloader, server: Server, to: Path, clock: FakeClock
) -> None:
    server.replies(Reply(500), Reply(429, {"retry-after": "9"}), Reply(cut=-1), Reply(200, {}, FILM))
    assert await fetched(downloader, server, to) == FILM
    assert clock.slept[1] == 9


async def test_a_host_that_wants_a_long_pause_is_left_to_the_schedule(
    downloader: Downloader, server: Server, to: Path
) -> None:
    server.replies(Reply(429, {"retry-after": "600"}))
    with pytest.raises(RateLimited) as caught:
        await fetched(downloader, server, to)
    assert (caught.value.retry_after_s, len(server.seen)) == (600, 1)


async def test_a_pause_that_comes_with_trouble_of_the_host_is_kept(
    downloader: Downloader, server: Server, to: Path, clock: FakeClock
) -> None:
    server.replies(Reply(503, {"retry-after": "9"}), Reply(200, {}, FILM))
    assert await fetched(downloader, server, to) == FILM
    assert clock.slept == [9]


async def test_a_long_pause_is_left_to_the_schedule_though_more_of_the_file_came(
    downloader: Downloader, server: Server, to: Path
) -> None:
    cut = Reply(200, {"etag": TAG}, FILM, cut=300_000)
    server.replies(cut, Reply(503, {"retry-after": "600"}))
    with pytest.raises(ProviderFailed) as caught:
        await fetched(downloader, server, to)
    assert (caught.value.retry_after_s, len(server.seen)) == (600, 2)
    assert beside(to, ".part").stat().st_size == 300_000


async def test_a_download_that_is_stopped_keeps_what_came(downloader: Downloader, server: Server, to: Path) -> None:
    left_by_another_process(to, FILM[:1000], {"version": TAG, "size": len(FILM)})
    server.replies(Reply(206, after=anyio.Event()))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fetched, downloader, server, to)
        await server.requests(1)
        tasks.cancel_scope.cancel()
    assert names(to) == ["film.mp4.json", "film.mp4.part"]
    server.answer = host = Host()
    assert await fetched(downloader, server, to) == FILM
    assert host.ranges == ["bytes=1000-"]


async def test_a_host_that_is_down_is_named(downloader: Downloader, to: Path) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    url = f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
    await listener.aclose()
    with pytest.raises(Overloaded, match="could not be reached"):
        await downloader.fetch(f"{url}/film", to, hosts=(), base_url=url)


@pytest.mark.parametrize("length", [True, False])
async def test_a_file_beyond_the_limit_is_refused_and_leaves_nothing(
    client: ShardedClient, clock: FakeClock, server: Server, to: Path, length: bool
) -> None:
    server.replies(Reply(200, {}, FILM, length=length))
    with pytest.raises(UnexpectedAnswer, match=r"larger than 0\.0005 GB"):
        await fetched(Downloader(client, clock, limit_bytes=500_000), server, to)
    assert (len(server.seen), names(to)) == (1, [])


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [(errno.ENOSPC, StorageFull, "is full"), (errno.EROFS, StorageUnwritable, "cannot be written")],
)
async def test_a_disk_that_fails_is_named_at_once(
    downloader: Downloader,
    server: Server,
    to: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[Exception],
    text: str,
) -> None:
    real = os.write

    def fail(file: int, data: Any) -> int:
        if len(data) > 1000:
            raise OSError(number, os.strerror(number))
        return real(file, data)

    monkeypatch.setattr(os, "write", fail)
    server.answer = Host()
    with pytest.raises(kind, match=text) as caught:
        await fetched(downloader, server, to)
    assert "not lost" in str(getattr(caught.value, "hint", ""))
    assert len(server.seen) == 1
    monkeypatch.undo()
    assert await fetched(downloader, server, to) == FILM


async def test_a_disk_that_takes_little_at_a_time_gets_all(
    downloader: Downloader, server: Server, to: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:100_000]))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] because a stand-in is brief
    server.answer = Host()
    assert await fetched(downloader, server, to) == FILM


# Addresses


def answering(pages: dict[str, httpx2.Response], seen: list[httpx2.Request]) -> ShardedClient:
    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return pages[str(request.url.copy_with(host=request.headers["host"].partition(":")[0]))]

    return ShardedClient(FakeClock(), transport=httpx2.MockTransport(handle))


def to_place(location: str, status: int = 302) -> httpx2.Response:
    return httpx2.Response(status, headers={"location": location})


def film() -> httpx2.Response:
    async def body() -> AsyncGenerator[bytes]:
        yield b"film"

    return httpx2.Response(200, content=body(), headers={"content-type": "video/mp4"})


def guarded(client: ShardedClient, **numbers: str) -> Downloader:
    """Return a downloader that finds every host in public, but those whose numbers are given."""

    async def resolve(host: str) -> list[str]:
        return [numbers.get(host.partition(".")[0], "93.184.216.34")]

    return Downloader(client, FakeClock(), guard=Guard(client, resolve, proxied=False))


@pytest.mark.parametrize(
    "url",
    [
        "http://cdn.acme.test/film",
        "https://cdn.acme.test:8443/film",
        "https://cdn.acme.test@evil.test/film",
        "https://127.0.0.1/film",
        "https://inside.test/film",
        "http://api.acme.test/film",
        "https://api.acme.test:444/film",
        "file:///etc/passwd",
        "ftp://cdn.acme.test/film",
        "//cdn.acme.test/film",
        "https://[::1/film",
        "",
    ],
)
async def test_an_address_that_is_not_public_is_not_called(url: str, to: Path) -> None:
    seen: list[httpx2.Request] = []
    downloader = guarded(answering({}, seen), inside="10.0.0.7")
    with pytest.raises(UnexpectedAnswer, match="was not fetched"):
        await downloader.fetch(url, to, hosts=("cdn.acme.test", "*.wide.test"), base_url="https://api.acme.test")
    assert seen == []


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.acme.test/film",
        "https://CDN.acme.test:443/film",
        "https://a.b.wide.test/film",
        "https://elsewhere.test/film",
        "http://127.0.0.1:8080/film",
    ],
)
async def test_public_hosts_and_the_base_url_are_called(url: str, to: Path) -> None:
    seen: list[httpx2.Request] = []
    client = answering({str(httpx2.URL(url)): film()}, seen)
    downloader = guarded(client)
    found = await downloader.fetch(url, to, hosts=("cdn.acme.test",), base_url="http://127.0.0.1:8080/v1")
    assert found == to


async def test_no_credential_goes_to_a_host_that_the_manifest_does_not_name(to: Path) -> None:
    seen: list[httpx2.Request] = []
    client = answering({"https://elsewhere.test/film": film()}, seen)
    await guarded(client).fetch(
        "https://elsewhere.test/film", to, hosts=("cdn.acme.test",), headers={"authorization": "Bearer secret"}
    )
    assert ["authorization" in request.headers for request in seen] == [False]


async def test_redirects_are_followed_within_the_hosts_and_credentials_stay_with_the_first(to: Path) -> None:
    seen: list[httpx2.Request] = []
    pages = {
        "https://api.acme.test/film": to_place("/again"),
        "https://api.acme.test/again": to_place("https://cdn.acme.test/a", 307),
        "https://cdn.acme.test/a": to_place("b", 301),
        "https://cdn.acme.test/b": film(),
    }
    downloader = guarded(answering(pages, seen))
    await downloader.fetch(
        "https://api.acme.test/film", to, hosts=("*.acme.test",), headers={"authorization": "Bearer secret"}
    )
    assert ["authorization" in request.headers for request in seen] == [True, True, False, False]


async def test_a_redirect_to_a_private_place_is_not_followed(to: Path) -> None:
    seen: list[httpx2.Request] = []
    pages = {"https://cdn.acme.test/a": to_place("https://169.254.169.254/latest")}
    with pytest.raises(UnexpectedAnswer, match="was not fetched"):
        await guarded(answering(pages, seen)).fetch("https://cdn.acme.test/a", to, hosts=("cdn.acme.test",))
    assert len(seen) == 1


async def test_redirects_without_end_are_given_up(to: Path) -> None:
    seen: list[httpx2.Request] = []
    pages = {"https://cdn.acme.test/a": to_place("/a")}
    with pytest.raises(UnexpectedAnswer, match="without end"):
        await guarded(answering(pages, seen)).fetch("https://cdn.acme.test/a", to, hosts=("cdn.acme.test",))
    assert len(seen) == 4


async def test_a_redirect_to_nowhere_is_trouble_of_the_host(to: Path) -> None:
    pages = {"https://cdn.acme.test/a": to_place("https://[::1")}
    with pytest.raises(ProviderFailed):
        await guarded(answering(pages, [])).fetch("https://cdn.acme.test/a", to, hosts=("cdn.acme.test",))
