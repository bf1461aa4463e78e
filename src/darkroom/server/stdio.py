"""The wire over stdin and stdout: every line gets an answer, and nobody is answered faster than they read."""

import json
import logging
import os
import select
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, cast

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCRequest,
    JSONRPCResponse,
    RequestId,
)
from pydantic import ValidationError

UNREAD = 64
"""How many answers may wait to be written while more requests are read."""
LOOK_S = 0.25
"""How often to look whether stdin has ended, while none of it is read."""
LAST_S = 1.0
"""How long after the end of stdin what was asked before may be answered."""
GONE = getattr(select, "POLLHUP", 0) | getattr(select, "POLLRDHUP", 0)
Incoming = SessionMessage | Exception
log = logging.getLogger(__name__)


@asynccontextmanager
async def checked_stdio() -> AsyncGenerator[
    tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[SessionMessage]]
]:
    """Serve stdin and stdout as the SDK does, with an answer to lines that are no message, and with back-pressure."""
    watched, out = _kept(0), _kept(1)  # the SDK points both elsewhere while it serves
    try:
        async with stdio_server() as (lines, wire), wire, anyio.create_task_group() as writing:
            to_server, requests = anyio.create_memory_object_stream[Incoming](0)
            answers, from_server = anyio.create_memory_object_stream[SessionMessage](0)
            between = Between(to_server, from_server, answers.clone(), watched)
            deliver = wire.send if out is None else partial(send, out)
            writing.start_soon(between.write, deliver)  # until the last answer
            async with anyio.create_task_group() as reading, requests, answers:
                reading.start_soon(between.read, lines)
                yield requests, answers
                reading.cancel_scope.cancel()
    finally:
        for fd in (watched, out):
            if fd is not None:
                os.close(fd)


async def send(out: int, message: SessionMessage) -> None:
    """Write one message as a line, by one thread's turn: the SDK takes two, to write and to flush, some 0.2 ms each."""
    line = message.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
    await anyio.to_thread.run_sync(_put, out, line)


class Between:
    """Stands between the lines and the SDK's server."""

    def __init__(
        self,
        to_server: MemoryObjectSendStream[Incoming],
        from_server: MemoryObjectReceiveStream[SessionMessage],
        refusals: MemoryObjectSendStream[SessionMessage],
        watched: int | None = None,
    ) -> None:
        self._to_server = to_server
        self._from_server = from_server
        self._refusals = refusals
        self._watched = watched
        self._taken = anyio.Event()
        self._owed = 0

    async def read(self, lines: Any) -> None:
        """Hand requests on until stdin ends: none while too many answers wait, and those that are no message back."""
        async with self._to_server, self._refusals:
            async for item in lines:
                if not isinstance(item, Exception):
                    self._owed += isinstance(item.message, JSONRPCRequest)
                    await self._to_server.send(item)
                elif refusal := refused(item):
                    log.warning("A line on stdin is no message that MCP knows; it was answered with an error.")
                    self._owed += 1
                    await self._refusals.send(SessionMessage(refusal))
                if not await self._room():
                    return
            with anyio.move_on_after(LAST_S):  # who asks and ends its writing at once is answered all the same
                while self._owed > 0:
                    await self._next_taken()

    async def write(self, deliver: Callable[[SessionMessage], Awaitable[None]]) -> None:
        """Send answers until the server has given its last one."""
        async with self._from_server:
            async for message in self._from_server:
                await deliver(message)
                self._owed -= isinstance(message.message, JSONRPCResponse | JSONRPCError)
                self._taken.set()

    async def _room(self) -> bool:
        """Return once few enough answers wait; False if stdin ended first."""
        while self._from_server.statistics().tasks_waiting_send >= UNREAD:
            if _ended(self._watched):
                return False
            with anyio.move_on_after(LOOK_S):
                await self._next_taken()
        return True

    async def _next_taken(self) -> None:
        self._taken = anyio.Event()
        await self._taken.wait()


def refused(fault: Exception) -> JSONRPCError | None:
    """Return the answer to a line that is no message; None for an empty line and for an answer that cannot be read."""
    if not isinstance(fault, ValidationError):
        return JSONRPCError(jsonrpc="2.0", id=None, error=ErrorData(code=PARSE_ERROR, message="The line is no JSON."))
    errors = fault.errors(include_url=False, include_context=False)
    bad_json = errors[0]["type"] == "json_invalid"
    if bad_json:
        line = str(errors[0]["input"])
        if not line.strip():
            return None
        said = _loosely(line)
        why = ErrorData(code=PARSE_ERROR, message=f"{errors[0]['msg']}. Nothing was done.")
    else:  # what lacks a member is the message itself
        said = next((found["input"] for found in errors if found["type"] == "missing" and len(found["loc"]) == 2), None)
        text = "The line is no JSON-RPC 2.0 message: one needs jsonrpc '2.0' and a method. Nothing was done."
        why = ErrorData(code=INVALID_REQUEST, message=text)
    if isinstance(said, dict) and "method" not in said and ("result" in said or "error" in said):
        return None  # its id is one of ours: an answer to an answer would be taken for another request's
    return JSONRPCError(jsonrpc="2.0", id=_id_of(said), error=why)


def _loosely(line: str) -> Any:
    """Read a line as Python's reader does, which takes half an emoji; None if even that fails."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _id_of(said: Any) -> RequestId | None:
    found = cast("dict[str, Any]", said).get("id") if isinstance(said, dict) else None
    if isinstance(found, bool) or not isinstance(found, int | str):
        return None
    try:
        str(found).encode()
    except (UnicodeEncodeError, ValueError):  # half an emoji again, or a number too long to print
        return None
    return found


def _ended(fd: int | None) -> bool:
    """Return whether the other side has closed a pipe whose content is not read; False where that cannot be told."""
    if fd is None or not GONE:
        return False
    poll = select.poll()
    poll.register(fd, GONE)
    return any(event & GONE for _, event in poll.poll(0))


def _kept(fd: int) -> int | None:
    """Return another descriptor of the same stream; None if there is none."""
    with suppress(OSError):
        return os.dup(fd)
    return None


def _put(out: int, line: bytes) -> None:
    """Write all of it; blocks until it is read, or raises OSError if nobody can any more."""
    left = memoryview(line)
    while left:
        try:
            left = left[os.write(out, left) :]
        except BlockingIOError:  # a host may share a pipe with us that never makes anybody wait
            select.select([], [out], [])
