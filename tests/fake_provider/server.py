"""A provider over a real socket that behaves as a test writes down, and remembers everything that could cost money.

`running_provider` runs it in a thread; `python -m fake_provider.server`, from the folder of the tests, as a process
that prints its port.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.abc
import h11
from anyio.from_thread import start_blocking_portal

from fake_provider.engine import Asked, Engine, Envelope, Gone, Reply, Script
from fake_provider.envelopes.own import Own


class FakeProvider(Engine):
    """The engine on a socket: the fake provider's own wire format, and others below a name of theirs.

    Args:
        envelopes: Other wire formats by the first part of their paths.
        idempotency: Whether a key is accepted once only.
        lookup: Whether work can be found by key.
    """

    def __init__(
        self, envelopes: Mapping[str, Envelope] | None = None, *, idempotency: bool = False, lookup: bool = False
    ) -> None:
        super().__init__(idempotency=idempotency, lookup=lookup)
        self.port = 0
        self.connections = 0
        self._own = Own()
        self._envelopes = dict(envelopes or {})

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def base_url_of(self, name: str) -> str:
        """Return where one of the other wire formats is spoken."""
        return f"{self.base_url}/{name}"

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self.port)
        self.port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with listener:
            task_status.started()
            await listener.serve(self._connection)

    async def _connection(self, stream: anyio.abc.SocketStream) -> None:
        self.connections += 1
        wire = h11.Connection(h11.SERVER)
        async with stream:
            with suppress(Gone, anyio.BrokenResourceError, anyio.ClosedResourceError, h11.RemoteProtocolError):
                while await self._exchange(stream, wire):
                    wire.start_next_cycle()

    async def _exchange(self, stream: anyio.abc.SocketStream, wire: h11.Connection) -> bool:
        request: h11.Request | None = None
        body = b""
        while True:
            event = wire.next_event()
            if event is h11.NEED_DATA:
                try:
                    wire.receive_data(await stream.receive())
                except anyio.EndOfStream:
                    return False
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                break
            else:
                return False
        reply = await self._answer(request, bytes(body))
        if request.method == b"HEAD":
            reply = replace(reply, body=b"")
        await _send(stream, wire, reply)
        return wire.our_state is h11.DONE and wire.their_state is h11.DONE

    async def _answer(self, request: h11.Request, body: bytes) -> Reply:
        target = urlsplit(request.target.decode())
        headers = {name.decode().lower(): value.decode() for name, value in request.headers}
        if target.path.startswith("/files/"):
            return self.file(target.path, headers)
        name, _, rest = target.path.removeprefix("/").partition("/")
        envelope = self._envelopes.get(name)
        asked = Asked(
            method=request.method.decode(),
            path=target.path if envelope is None else f"/{rest}",
            query={key: values[0] for key, values in parse_qs(target.query).items()},
            headers=headers,
            body=body,
            base_url=self.base_url if envelope is None else self.base_url_of(name),
        )
        return await (envelope or self._own).answer(self, asked)


async def _send(stream: anyio.abc.SocketStream, wire: h11.Connection, reply: Reply) -> None:
    head = h11.Response(
        status_code=reply.status,
        headers=[*reply.headers.items(), ("content-length", str(len(reply.body)))],
    )
    data = wire.send(head) or b""
    if reply.cut_after is not None:
        await stream.send(data + reply.body[: reply.cut_after])
        raise Gone
    data += wire.send(h11.Data(data=reply.body)) or b""
    data += wire.send(h11.EndOfMessage()) or b""
    await stream.send(data)


@contextmanager
def running_provider(
    envelopes: Mapping[str, Envelope] | None = None, *, idempotency: bool = False, lookup: bool = False
) -> Generator[FakeProvider]:
    """Run a provider in a thread of its own until the block ends."""
    provider = FakeProvider(envelopes, idempotency=idempotency, lookup=lookup)
    with start_blocking_portal() as portal:
        future, _ = portal.start_task(provider.serve)
        try:
            yield provider
        finally:
            if future.done():
                future.result()  # it ended by itself: a fault in it, which would look like one of darkroom's
            future.cancel()


async def _main() -> None:
    provider = FakeProvider()
    provider.default = Script(polls=10**9)
    async with anyio.create_task_group() as tasks:
        await tasks.start(provider.serve)
        print(provider.port, flush=True)  # noqa: T201 because whoever started it waits for the port


if __name__ == "__main__":
    anyio.run(_main)
