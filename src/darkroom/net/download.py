"""Brings results home from web addresses: resumed after a cut, whole, within bounds, from public hosts alone."""

import os
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import httpx2

from darkroom.clock import Clock
from darkroom.errors import Overloaded, ProviderFailed, RateLimited, ResultExpired, UnexpectedAnswer
from darkroom.net.answer import SHOWN
from darkroom.net.classify import NO_ANSWER, NOTHING_SENT, retry_after_s
from darkroom.net.client import ShardedClient
from darkroom.net.guard import Guard, Unreachable, Unsafe
from darkroom.net.part import Part
from darkroom.net.provider import allowed, place
from darkroom.net.redact import redact
from darkroom.net.retry import LONGEST_S, retried

LARGEST = 2_000_000_000
REDIRECTS = 3
ROUNDS = 20
"""How often one file is gone on with, each time with the usual tries, while every round brings more of it."""
READ_S = 60.0
NO_MEDIA = ("text/html", "text/plain", "application/json", "application/xml", "application/problem+json")
GONE = frozenset({401, 403, 404, 410})
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class _Wish:
    url: str
    part: Part
    hosts: tuple[str, ...]
    base_url: str | None
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Extent:
    """What an answer holds of a file: from which byte on, the size of the whole, and the version."""

    start: int
    size: int | None
    version: str | None


class Downloader:
    """Fetches files of providers.

    Args:
        client: Of the process.
        clock: For pauses between tries.
        limit_bytes: Size of a file that is still taken.
        guard: Opens every address but those of a base URL.
    """

    def __init__(
        self, client: ShardedClient, clock: Clock, *, limit_bytes: int = LARGEST, guard: Guard | None = None
    ) -> None:
        self._client = client
        self._guard = guard or Guard(client)
        self._clock = clock
        self._limit = limit_bytes

    async def fetch(
        self,
        url: str,
        to: Path,
        *,
        hosts: Sequence[str],
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        left: Sequence[Path] = (),
    ) -> Path:
        """Bring a file whole into `to`, durably; one that is there already is not fetched again.

        What came before a cut is kept beside it; another try goes on from there, in this process or the next, while the
        address serves the same version.

        Args:
            url: Where it is.
            to: The file, in a folder that exists.
            hosts: Names of the provider's own hosts, `*.` for all below one: `headers` go to them alone. Any other
                public host may serve it too, since providers move what was paid for.
            base_url: Of the provider's API; trusted as it is, and may have `headers` too.
            headers: For the place that `url` names, and for none that it leads to.
            left: Where other processes were bringing the same file to; what came there need not come again.

        Raises:
            ResultExpired: If the address no longer holds it.
            UnexpectedAnswer: If the address leads to a private place, or serves a page, or more than the limit.
            ProviderError: If it did not come.
            StorageError: If it cannot be kept.
        """
        for path in (to, *left):
            if await anyio.Path(path).exists():
                return path
        await anyio.to_thread.run_sync(Part(to).adopt, left)
        wish = _Wish(url, Part(to), tuple(hosts), base_url, dict(headers or {}))
        for _ in range(ROUNDS):
            before = await self._have(wish.part)
            try:
                await retried(partial(self._once, wish), self._clock)
            except ProviderFailed as exc:
                if (exc.retry_after_s or 0) > LONGEST_S or await self._have(wish.part) <= before:
                    raise
            else:
                return to
        raise ProviderFailed("The connection to the result was cut again and again; what came is kept.")

    async def _have(self, part: Part) -> int:
        size, _, _ = await anyio.to_thread.run_sync(part.have)
        return size

    async def _once(self, wish: _Wish) -> None:
        start, version, size = await anyio.to_thread.run_sync(wish.part.have)
        if size is not None and start == size:  # whole, and its process ended before it was named so
            await anyio.to_thread.run_sync(wish.part.finish, size)
            return
        wanted = {"accept-encoding": "identity"}
        if version is not None:
            wanted |= {"range": f"bytes={start}-", "if-range": version}
        try:
            await self._follow(wish, wanted, _Extent(start, size, version))
        except NOTHING_SENT as exc:
            raise Overloaded("The host of the result could not be reached.") from exc
        except NO_ANSWER as exc:
            raise ProviderFailed(f"The result did not come whole ({type(exc).__name__}).") from exc

    async def _follow(self, wish: _Wish, wanted: dict[str, str], have: _Extent) -> None:
        url = wish.url
        for _ in range(REDIRECTS + 1):
            ours = allowed(url, wish.hosts, wish.base_url) and place(url) == place(wish.url)
            async with self._opened(url, wish, {**wish.headers, **wanted} if ours else wanted) as response:
                if not response.has_redirect_location:
                    await self._take(response, wish.part, have)
                    return
                url = str(httpx2.URL(url).join(response.headers["location"]))
        raise UnexpectedAnswer("The address of the result leads from one to the next without end.")

    @asynccontextmanager
    async def _opened(self, url: str, wish: _Wish, headers: Mapping[str, str]) -> AsyncGenerator[httpx2.Response]:
        if allowed(url, (), wish.base_url):
            opening = self._client.stream("GET", url, timeout_s=READ_S, headers=headers)
        else:
            opening = self._guard.open(url, timeout_s=READ_S, headers=headers)
        try:
            async with opening as response:
                yield response
        except Unsafe as exc:
            raise UnexpectedAnswer(f"The address of the result {exc}; it was not fetched.") from exc
        except Unreachable as exc:
            raise Overloaded("The host of the result could not be reached.") from exc

    async def _take(self, response: httpx2.Response, part: Part, have: _Extent) -> None:
        await self._refuse(response)
        comes = _extent(response)
        if comes is None or (response.status_code == 206 and not _continues(comes, have)):
            await anyio.to_thread.run_sync(part.discard)
            raise ProviderFailed("The host of the result cannot go on where it stopped; it is fetched anew.")
        if comes.size is not None and comes.size > self._limit:
            raise await self._too_large(part)
        if not comes.start:
            await anyio.to_thread.run_sync(part.begin, comes.version, comes.size)
        size = await self._write(response, part, comes.start)
        if comes.size is not None and size != comes.size:
            if size > comes.size:
                await anyio.to_thread.run_sync(part.discard)
            raise ProviderFailed(f"The result did not come whole ({size} of {comes.size} bytes).")
        await anyio.to_thread.run_sync(part.finish, size)

    async def _write(self, response: httpx2.Response, part: Part, start: int) -> int:
        """Append what comes after the first `start` bytes, and return the size then."""
        size = start
        file = await anyio.to_thread.run_sync(part.open, start)
        try:
            # Chunks as they come: a size given here would be gathered in memory, and lost with a cut.
            async for chunk in response.aiter_bytes() if _encoded(response) else response.aiter_raw():
                size += len(chunk)
                if size > self._limit:
                    raise await self._too_large(part)
                await anyio.to_thread.run_sync(part.append, file, chunk)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(os.close, file)
        return size

    async def _too_large(self, part: Part) -> UnexpectedAnswer:
        await anyio.to_thread.run_sync(part.discard)
        return UnexpectedAnswer(f"The result is larger than {self._limit / 1e9:g} GB.")

    async def _refuse(self, response: httpx2.Response) -> None:
        """Raise what an answer means that is no file."""
        status, kind = response.status_code, response.headers.get("content-type", "").lower()
        if status in GONE:
            raise ResultExpired(
                "The address of the result no longer holds it.", hint="Its provider is asked for another."
            )
        told = retry_after_s(dict(response.headers), self._clock.now())
        if status == 429:
            raise RateLimited("The host of the result asks for fewer calls.", retry_after_s=told)
        if status not in (200, 206, 416):
            raise ProviderFailed(f"The host of the result answered with status {status}.", retry_after_s=told)
        if status != 416 and kind.startswith(NO_MEDIA):
            text = b""
            async for chunk in response.aiter_bytes(SHOWN * 16):
                text = chunk
                break
            raise UnexpectedAnswer(
                "The address of the result serves a page, not a file.",
                provider_message=redact(text.decode("utf-8", "replace"))[:SHOWN] or None,
            )


def _extent(response: httpx2.Response) -> _Extent | None:
    """Return what an answer holds of a file; None where it does not say."""
    tag: str = response.headers.get("etag", "")
    version = tag if tag.startswith('"') else response.headers.get("last-modified")  # a weak tag names no bytes
    if response.status_code == 200:
        length = response.headers.get("content-length", "")
        if _encoded(response):
            return _Extent(0, None, None)
        return _Extent(0, int(length) if _NUMBER.fullmatch(length) else None, version)
    found = _RANGE.fullmatch(response.headers.get("content-range", ""))
    if response.status_code == 416 or found is None or _encoded(response):
        return None
    return _Extent(int(found[1]), None if found[2] == "*" else int(found[2]), version)


def _continues(comes: _Extent, have: _Extent) -> bool:
    """Return whether a part of an answer is of the same file as what is here, without a gap."""
    same = comes.version in (None, have.version) and (None in (comes.size, have.size) or comes.size == have.size)
    return have.version is not None and same and 0 < comes.start <= have.start


def _encoded(response: httpx2.Response) -> bool:
    """Return whether a host compressed the file though asked not to: its lengths are then not the file's."""
    return response.headers.get("content-encoding", "identity").lower() not in ("", "identity")
