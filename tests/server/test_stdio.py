"""The wire over stdin and stdout: what is no message, and clients that do not read."""

import json
import os
import sys
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse, jsonrpc_message_adapter
from pydantic import ValidationError

from darkroom.server import stdio
from darkroom.server.stdio import UNREAD, Between, checked_stdio, refused

DEEP = '{"id":1,"x":' + "[" * 5000 + "]" * 5000 + "}"
HALF = '{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"prompt":"a \\ud800 fox"}}'


def fault(line: str) -> ValidationError:
    """Return what the SDK's reader says about a line."""
    with pytest.raises(ValidationError) as caught:
        jsonrpc_message_adapter.validate_json(line, by_name=False)
    return caught.value


@pytest.mark.parametrize(
    ("line", "code", "request_id"),
    [
        ("{garbage", -32700, None),
        ("[]", -32600, None),
        ('"x"', -32600, None),
        ('{"jsonrpc":"2.0","id":5}', -32600, 5),
        ('{"jsonrpc":"1.0","id":"a","method":"ping"}', -32600, "a"),
        ('{"jsonrpc":"2.0","id":true}', -32600, None),
        ('{"jsonrpc":"2.0","id":1.5}', -32600, None),
        ('{"jsonrpc":"2.0","id":9,"method":"ping","params":[]}', -32600, 9),
        (HALF % 6, -32700, 6),
        (HALF % '"\\ud800"', -32700, None),
        (DEEP, -32700, None),
    ],
)
def test_a_line_that_is_no_message_is_refused_with_its_id(line: str, code: int, request_id: int | str | None) -> None:
    answer = refused(fault(line))
    assert answer
    said = json.loads(answer.model_dump_json(by_alias=True, exclude_unset=True))
    assert (said["error"]["code"], said["id"]) == (code, request_id)
    assert "Nothing was done" in said["error"]["message"]


@pytest.mark.parametrize(
    "line", ["", " \n", '{"jsonrpc":"2.0","id":1,"result":[]}', '{"jsonrpc":"2.0","id":1,"error":"x"}']
)
def test_empty_lines_and_broken_answers_get_no_answer(line: str) -> None:
    assert refused(fault(line)) is None


def test_another_fault_of_the_reader_is_a_parse_error() -> None:
    answer = refused(RuntimeError("boom"))
    assert answer
    assert (answer.error.code, answer.id) == (-32700, None)


class Ends:
    """A `Between` and the ends of its streams."""

    def __init__(self, watched: int | None = None) -> None:
        self.lines_in, self.lines = anyio.create_memory_object_stream[Any](1000)
        to_server, self.requests = anyio.create_memory_object_stream[Any](0)
        self.answers, from_server = anyio.create_memory_object_stream[SessionMessage](0)
        self.wire, self.wire_out = anyio.create_memory_object_stream[SessionMessage](0)
        self.between = Between(to_server, from_server, self.answers.clone(), watched)
        self.streams = [self.lines_in, self.lines, to_server, self.requests, self.answers, from_server]
        self.streams += [self.wire, self.wire_out]
        self.read = 0

    async def serve(self) -> None:
        """Answer every request, each in a task of its own as the SDK does."""
        async with anyio.create_task_group() as tasks:
            async for item in self.requests:
                self.read += 1
                answer = JSONRPCResponse(jsonrpc="2.0", id=item.message.id, result={})
                tasks.start_soon(self.answers.send, SessionMessage(answer))
        await self.answers.aclose()

    def close(self) -> None:
        for stream in self.streams:
            stream.close()


def request(number: int) -> SessionMessage:
    return SessionMessage(JSONRPCRequest(jsonrpc="2.0", id=number, method="tools/list"))


@pytest.mark.anyio
async def test_requests_and_answers_pass_and_a_bad_line_is_answered_at_once() -> None:
    ends = Ends()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ends.between.read, ends.lines)
            tasks.start_soon(ends.between.write, ends.wire.send)
            await ends.lines_in.send(fault("{garbage"))
            bad = (await ends.wire_out.receive()).message
            assert isinstance(bad, JSONRPCError)
            assert bad.error.code == -32700
            note = SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="notifications/initialized"))
            await ends.lines_in.send(note)
            assert await ends.requests.receive() is note
            await ends.lines_in.aclose()
            with pytest.raises(anyio.EndOfStream):
                await ends.requests.receive()
            await ends.answers.aclose()  # the last answer is given: writing ends, and with it this block
    ends.close()


@pytest.mark.anyio
async def test_nothing_is_read_while_too_many_answers_wait_and_everything_once_they_are_taken() -> None:
    ends = Ends()
    got: list[int | str] = []
    for number in range(300):
        ends.lines_in.send_nowait(request(number))
    await ends.lines_in.aclose()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ends.serve)
            tasks.start_soon(ends.between.read, ends.lines)
            tasks.start_soon(ends.between.write, ends.wire.send)
            await anyio.wait_all_tasks_blocked()
            assert UNREAD <= ends.read <= UNREAD + 3
            async for item in ends.wire_out:
                assert isinstance(item.message, JSONRPCResponse)
                got.append(item.message.id)
                if len(got) == 300:
                    break
    ends.close()
    assert sorted(map(int, got)) == list(range(300))


@pytest.mark.anyio
@pytest.mark.skipif(sys.platform == "win32", reason="pipes cannot be asked there")
async def test_the_end_of_stdin_is_seen_though_nothing_of_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdio, "LOOK_S", 0.01)
    reader, writer = os.pipe()
    ends = Ends(reader)
    for number in range(300):
        ends.lines_in.send_nowait(request(number))
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ends.serve)
            tasks.start_soon(ends.between.write, ends.wire.send)
            reading = anyio.Event()

            async def read() -> None:
                await ends.between.read(ends.lines)
                reading.set()

            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            assert not reading.is_set()
            os.close(writer)
            await reading.wait()
            tasks.cancel_scope.cancel()
    os.close(reader)
    ends.close()
    assert ends.read < 300


@pytest.mark.anyio
async def test_a_program_without_stdin_is_served_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: int) -> int:
        raise OSError("there is no descriptor 0")

    lines_in, lines = anyio.create_memory_object_stream[Any](1)
    wire, wire_out = anyio.create_memory_object_stream[SessionMessage](1)

    class Streams:
        async def __aenter__(self) -> Any:
            return lines, wire

        async def __aexit__(self, *_: object) -> None:
            for stream in (lines_in, lines, wire, wire_out):
                stream.close()

    monkeypatch.setattr(os, "dup", none)
    monkeypatch.setattr(stdio, "stdio_server", Streams)
    with anyio.fail_after(20):
        async with checked_stdio() as (requests, answers):
            asked = request(1)
            await lines_in.send(asked)
            assert await requests.receive() is asked
            answer = JSONRPCResponse(jsonrpc="2.0", id=1, result={})
            await answers.send(SessionMessage(answer))
            assert (await wire_out.receive()).message is answer


@pytest.mark.anyio
@pytest.mark.parametrize("patient", [True, False])
async def test_what_was_asked_before_the_end_of_stdin_is_answered_if_that_takes_no_time(
    monkeypatch: pytest.MonkeyPatch, patient: bool
) -> None:
    monkeypatch.setattr(stdio, "LAST_S", 30 if patient else 0.01)
    ends = Ends()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ends.between.read, ends.lines)
            tasks.start_soon(ends.between.write, ends.wire.send)
            await ends.lines_in.send(request(1))
            await ends.lines_in.aclose()
            await ends.requests.receive()
            if patient:
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(anyio.WouldBlock):  # and not the end
                    ends.requests.receive_nowait()
                answer = JSONRPCResponse(jsonrpc="2.0", id=1, result={})
                await ends.answers.send(SessionMessage(answer))
                assert (await ends.wire_out.receive()).message is answer
            with pytest.raises(anyio.EndOfStream):
                await ends.requests.receive()
            await ends.answers.aclose()
    ends.close()


@pytest.mark.anyio
@pytest.mark.parametrize(("length", "blocking"), [(1, True), (1_000_000, True), (1_000_000, False)])
async def test_an_answer_is_one_whole_line_however_slowly_it_is_read(length: int, blocking: bool) -> None:
    reader, writer = os.pipe()
    if not blocking and sys.platform != "win32":
        os.set_blocking(writer, False)
    answer = SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=1, result={"text": "é" * length + "\n"}))
    lines: list[bytes] = []

    def read() -> None:
        with os.fdopen(reader, "rb") as file:
            lines.extend(file)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, read)
            try:
                await stdio.send(writer, answer)
                await stdio.send(writer, answer)
            finally:  # else the one who reads would wait for ever
                os.close(writer)
    said = {"jsonrpc": "2.0", "id": 1, "result": {"text": "é" * length + "\n"}}
    assert [json.loads(line) for line in lines] == [said, said]


@pytest.mark.anyio
async def test_an_answer_that_nobody_can_read_any_more_ends_the_writing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    ends = Ends()
    with anyio.fail_after(20), pytest.raises(ExceptionGroup) as caught:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ends.between.read, ends.lines)
            tasks.start_soon(ends.between.write, partial(stdio.send, writer))
            await ends.answers.send(SessionMessage(JSONRPCResponse(jsonrpc="2.0", id=1, result={})))
    os.close(writer)
    ends.close()
    assert isinstance(caught.value.exceptions[0], BrokenPipeError)
