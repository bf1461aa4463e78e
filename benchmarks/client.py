"""Client CPU a request at 200 callers beside 10, through our small pools and through one big pool; one run."""

import resource
import statistics
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import httpx2

from darkroom.clock import SystemClock
from darkroom.net.client import ShardedClient
from harness import environment

FEW, MANY = 10, 200
REQUESTS = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
ROUNDS = 3

SERVER = """
import anyio

ANSWER = b"HTTP/1.1 200 OK\\r\\ncontent-length: 20\\r\\n\\r\\n" + b'{"status":"running"}'

async def handle(stream):
    try:
        async with stream:
            while True:
                asked = await stream.receive()
                while not asked.endswith(b"\\r\\n\\r\\n"):
                    asked += await stream.receive()
                await stream.send(ANSWER)
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        pass

async def main():
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0, backlog=512)
    print(listener.extra(anyio.abc.SocketAttribute.local_port), flush=True)
    await listener.serve(handle)

anyio.run(main)
"""

Ask = Callable[[], Awaitable[object]]
Opened = AbstractAsyncContextManager[Ask]


def cpu() -> float:
    """Return the CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def per_request(ask: Ask, callers: int, requests: int) -> float:
    """Return CPU milliseconds a request, by so many callers that each ask again when answered."""
    left = requests

    async def call() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await ask()

    start = cpu()
    async with anyio.create_task_group() as tasks:
        for _ in range(callers):
            tasks.start_soon(call)
    return (cpu() - start) * 1000 / requests


async def measure(name: str, opened: Callable[[int], Opened], requests: int) -> float:
    """Print the cost of few and of many callers, taking turns, each time with a new client; return the ratio."""
    costs: dict[int, list[float]] = {FEW: [], MANY: []}
    for _ in range(ROUNDS):
        for callers, found in costs.items():
            async with opened(callers) as ask:
                await per_request(ask, callers, callers * 2)  # opens the connections
                found.append(await per_request(ask, callers, requests))
    low, high = statistics.median(costs[FEW]), statistics.median(costs[MANY])
    print(f"{name}: {low:.2f} ms of CPU a request at {FEW} callers, {high:.2f} ms at {MANY}")
    return high / low


async def main(url: str) -> None:
    """Measure both clients."""

    @asynccontextmanager
    async def small_pools(_: int) -> AsyncGenerator[Ask]:
        client = ShardedClient(SystemClock())
        yield lambda: client.request("GET", url)
        await client.aclose()

    @asynccontextmanager
    async def one_pool(size: int) -> AsyncGenerator[Ask]:
        limits = httpx2.Limits(max_connections=size, max_keepalive_connections=size)
        async with httpx2.AsyncClient(limits=limits, timeout=60) as client:
            yield lambda: client.get(url)

    ours = await measure("darkroom", small_pools, REQUESTS)
    theirs = await measure("one pool for all callers", one_pool, REQUESTS // 4)
    print(f"    ratio {ours:.2f} (bar: <= 1.5), one pool for all callers {theirs:.2f}")


with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True, env=environment()) as server:
    assert server.stdout is not None
    try:
        anyio.run(main, f"http://127.0.0.1:{server.stdout.readline().strip()}")
    finally:
        server.kill()
