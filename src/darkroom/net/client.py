"""All HTTP of one process: small pools, since what a request costs grows with the pool that it goes through."""

import logging
import math
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2

from darkroom.clock import Clock
from darkroom.errors import NotConfigured, UnexpectedAnswer
from darkroom.net import spool as spools
from darkroom.net.answer import Answer
from darkroom.net.classify import NO_FILES

for _chatty in ("httpx2", "httpcore2"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)  # below that they write addresses, with keys and signatures

CONNECT_S = 10.0
REQUEST_S = 60.0
SUBMIT_S = 180.0
POOL = 10
"""Connections of one pool: above about ten, each request costs more than the last."""
POOLS = 26
"""Pools in all: bounds the sockets of a process."""
SUBMITS = 64
"""Connections for submissions, each used once."""
KEEP_S = 30.0
"""How long an idle connection is kept; more than the pause between most polls."""
LARGEST = 200_000_000
"""Bytes of an answer that is read as a whole."""


@dataclass(eq=False, slots=True)
class _Pool:
    origin: str
    client: httpx2.AsyncClient
    busy: int = 0


class ShardedClient:
    """Speaks HTTP through pools of at most ten connections; a host gets another while all of its are busy.

    No redirect is followed, no cookie kept. Proxies are taken from the environment, as people behind one expect.

    Args:
        clock: For whoever pauses between two tries.
        transport: What to speak through instead of the network; for tests.
    """

    def __init__(self, clock: Clock, *, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self.clock = clock
        self._transport = transport
        self._pools: list[_Pool] = []
        self._freed = anyio.Event()
        self._submits = anyio.Semaphore(SUBMITS)
        self._tls: ssl.SSLContext | None = None
        self._preparing = anyio.Lock()

    async def request(self, method: str, url: str, *, timeout_s: float = REQUEST_S, **parts: Any) -> Answer:
        """Make one try on a pooled connection and return the whole answer, whatever its status.

        Args:
            method: The HTTP method.
            url: The whole address.
            timeout_s: Seconds for the whole of it.
            parts: headers, params, json, content, data, files (each with its media type: to guess one reads files).

        Raises:
            NotConfigured: If the environment names a proxy that cannot be used.
            httpx2.HTTPError: If no answer came.
            TimeoutError: If it took too long.
            UnexpectedAnswer: If it is larger than 200 MB.
        """
        with anyio.fail_after(timeout_s + CONNECT_S):
            async with self.stream(method, url, timeout_s=timeout_s, **parts) as response:
                return await _whole(response)

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, timeout_s: float = REQUEST_S, shard: str = "", **parts: Any
    ) -> AsyncGenerator[httpx2.Response]:
        """Make one try on a pooled connection and hand out the answer as it comes; arguments as in `request`.

        `shard` keeps connections apart that lead to the same place for different hosts.
        """
        pool = await self._taken(f"{_origin(url)}{shard}")
        try:
            async with pool.client.stream(method, url, timeout=_timeout(timeout_s), **parts) as response:
                yield response
        finally:
            pool.busy -= 1
            self._freed.set()

    async def submit(
        self, method: str, url: str, *, timeout_s: float = SUBMIT_S, spool: Path | None = None, **parts: Any
    ) -> Answer:
        """Make one call on a connection of its own, so that no dropped one can hide whether it arrived.

        An answer of success is kept whole in the file `spool`, where one is named, before it is returned; a disk that
        does not take it costs nothing but that. Arguments and errors as in `request`.
        """
        begun = False

        async def note(event: str, _: object) -> None:
            nonlocal begun
            begun = begun or "send_request" in event

        try:
            return await self._submitted(
                method, url, timeout_s=timeout_s, spool=spool, extensions={"trace": note}, **parts
            )
        except OSError as exc:
            if begun or exc.errno not in NO_FILES:
                raise
            raise httpx2.ConnectError("no file was left for a connection") from exc  # the library lets these through

    async def _submitted(self, method: str, url: str, *, timeout_s: float, spool: Path | None, **parts: Any) -> Answer:
        context = await self._context()
        limits = httpx2.Limits(max_connections=1, max_keepalive_connections=0)
        async with self._submits:
            with anyio.fail_after(timeout_s + CONNECT_S) as scope:
                async with (
                    self._client(context, limits) as client,
                    client.stream(method, url, timeout=_timeout(timeout_s), **parts) as response,
                ):
                    answer = await _whole(response)
                    scope.deadline = math.inf  # what is here is not lost to the clock any more
                    if spool is not None and answer.ok:
                        with anyio.CancelScope(shield=True):
                            await anyio.to_thread.run_sync(spools.save, spool, answer)
        return answer

    async def aclose(self) -> None:
        """Close all connections; a later call opens new ones."""
        pools, self._pools = self._pools, []
        for pool in pools:
            await pool.client.aclose()

    async def _taken(self, origin: str) -> _Pool:
        """Return a pool of that place with a free connection, counted as busy; wait while all sockets are in use."""
        context = await self._context()
        while True:
            pool = next((item for item in self._pools if item.origin == origin and item.busy < POOL), None)
            if pool is not None:
                pool.busy += 1
                return pool
            if (pool := await self._opened(origin, context)) is not None:
                return pool
            if self._freed.is_set():  # else others wait for it already
                self._freed = anyio.Event()
            await self._freed.wait()

    async def _opened(self, origin: str, context: ssl.SSLContext) -> _Pool | None:
        """Open another pool, counted as busy, and close an idle one where there are too many."""
        full = len(self._pools) >= POOLS
        idle = next((item for item in self._pools if item.busy == 0), None) if full else None
        if full and idle is None:
            return None
        limits = httpx2.Limits(max_connections=POOL, max_keepalive_connections=POOL, keepalive_expiry=KEEP_S)
        pool = _Pool(origin, self._client(context, limits), busy=1)
        self._pools.append(pool)
        if idle is not None:
            self._pools.remove(idle)
            with anyio.CancelScope(shield=True):
                await idle.client.aclose()
        return pool

    def _client(self, context: ssl.SSLContext, limits: httpx2.Limits) -> httpx2.AsyncClient:
        nothing = CookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
        if self._transport is not None:
            return httpx2.AsyncClient(transport=self._transport, cookies=nothing)
        try:
            return httpx2.AsyncClient(verify=context, limits=limits, cookies=nothing)
        except (ValueError, ImportError, httpx2.InvalidURL) as exc:  # ImportError: SOCKS needs a package more
            raise NotConfigured(
                "The proxy that the environment names cannot be used; nothing was sent.",
                hint="Set HTTPS_PROXY, HTTP_PROXY and ALL_PROXY to an http:// address, or unset them.",
            ) from exc

    async def _context(self) -> ssl.SSLContext:
        """Return the one TLS context; making it reads files."""
        if self._tls is None:
            async with self._preparing:
                self._tls = self._tls or await anyio.to_thread.run_sync(httpx2.create_ssl_context)
        return self._tls


def _timeout(seconds: float) -> httpx2.Timeout:
    return httpx2.Timeout(seconds, connect=CONNECT_S)


def _origin(url: str) -> str:
    found = httpx2.URL(url)
    return f"{found.scheme}://{found.netloc.decode('ascii', 'replace')}"


async def _whole(response: httpx2.Response) -> Answer:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > LARGEST:
            raise UnexpectedAnswer(f"The provider's answer is larger than {LARGEST // 1_000_000} MB.")
        chunks.append(chunk)
    return Answer(response.status_code, dict(response.headers), b"".join(chunks))
