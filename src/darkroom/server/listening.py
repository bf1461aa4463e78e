"""Tells clients of the stateless era when jobs and runs change that they listen to, in whatever process it happens.

Source: `subscriptions/listen` of the protocol revision 2026-07-28, and the SDK's `SubscriptionBus`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.subscriptions import ResourceUpdated, ServerEvent

from darkroom.errors import DarkroomError, UnknownJob
from darkroom.server.asking_user import STATELESS
from darkroom.server.caller import caller

if TYPE_CHECKING:
    from darkroom.server.context import Program

LISTEN = "subscriptions/listen"
MOST = 100
"""Addresses that one client is told of."""
LOOK_EVERY_S = 5.0
PAUSE_S = 0.2
"""Between two looks: many changes in a row are one."""
SCHEME = "darkroom://"
Deliver = Callable[[ServerEvent], None]
log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Stream:
    """What one client listens to."""

    principal: str
    uris: tuple[str, ...]
    deliver: Deliver | None = None


_present: ContextVar[Stream | None] = ContextVar("stream", default=None)


class Listening:
    """A `SubscriptionBus` each of whose streams watches the things of its caller, and the middleware that begins it."""

    def __init__(self, program: Callable[[], Awaitable[Program]]) -> None:
        self._program = program
        self._listeners: dict[Deliver, None] = {}

    async def publish(self, event: ServerEvent) -> None:
        """Tell every stream of what concerns all."""
        for deliver in tuple(self._listeners):
            deliver(event)

    def subscribe(self, listener: Deliver) -> Callable[[], None]:
        """Give the present stream its listener."""
        stream = _present.get()
        if stream is not None:
            stream.deliver = listener
        self._listeners[listener] = None

        def end() -> None:
            self._listeners.pop(listener, None)
            if stream is not None:
                stream.deliver = None

        return end

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        """Watch beside a request to listen for as long as it is answered."""
        if ctx.method != LISTEN or ctx.protocol_version != STATELESS:
            return await call_next(ctx)
        stream = Stream(caller().principal, _wanted(ctx.params or {}))
        mark, result, refused = _present.set(stream), None, None
        try:
            if stream.uris:
                await self._program()
            async with anyio.create_task_group() as tasks:
                if stream.uris:
                    await tasks.start(self._watch, stream)
                try:
                    result = await call_next(ctx)
                except Exception as exc:  # which the group would wrap
                    refused = exc
                tasks.cancel_scope.cancel()
        finally:
            _present.reset(mark)
        if refused is not None:
            raise refused
        return result

    async def _watch(
        self, stream: Stream, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        program = await self._program()
        with program.changes() as changes:
            seen = {uri: await self._stamp(uri, stream.principal) for uri in stream.uris}
            task_status.started()
            while True:
                await changes.wait(LOOK_EVERY_S)
                await program.clock.sleep(changes.turn(program.clock.monotonic(), len(stream.uris)))
                for uri in stream.uris:
                    stamp = await self._stamp(uri, stream.principal)
                    if stamp != seen[uri] and stream.deliver is not None:
                        stream.deliver(ResourceUpdated(uri=uri))
                    seen[uri] = stamp
                await program.clock.sleep(PAUSE_S)

    async def _stamp(self, uri: str, principal: str) -> object:
        """Return what differs after a change of what lies there; always the same where nothing of the caller's does."""
        program, path = await self._program(), uri.removeprefix(SCHEME)
        kind, _, name = path.partition("/")
        try:
            await program.ready()
            if path == "jobs":
                return [(job.id, job.updated_at) for job in await program.jobs.find(principal, limit=20)]
            if kind == "jobs":
                [job] = await program.jobs.get([name], principal)
                return job.state, job.updated_at, job.delivered_at
            if kind == "runs":
                run = await program.runs.get(name, principal)
                return run.state, run.updated_at, run.version
            if kind == "sessions" and name:
                return (await program.sessions.get(name, principal)).updated_at
        except UnknownJob:
            return None
        except DarkroomError as exc:  # the next look may find it
            log.warning("%s cannot be watched: %s", uri, exc.message)
        return None


def _wanted(params: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the addresses that a client wants to hear of; of no use are those that never change."""
    asked = params.get("notifications")
    found = cast("dict[str, Any]", asked).get("resourceSubscriptions") if isinstance(asked, dict) else None
    uris = [uri for uri in cast("list[Any]", found) if isinstance(uri, str)] if isinstance(found, list) else []
    return tuple(dict.fromkeys(uri for uri in uris if uri.startswith(SCHEME)))[:MOST]
