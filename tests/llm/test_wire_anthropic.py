"""Anthropic's Messages format over a real socket: what is sent, what is understood, what goes wrong."""

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from helpers_wire import KEY, SHIPPED, Wire, asked, wired
from pydantic_ai.messages import (
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters

from darkroom.errors import (
    AuthFailed,
    DarkroomError,
    InsufficientCredits,
    InvalidRequest,
    ModelRetired,
    Overloaded,
    RateLimited,
    SubmitUnknown,
    UnexpectedAnswer,
)
from darkroom.llm.wire import ESTIMATED
from darkroom.llm.wire_anthropic import VERSION, AnthropicModel
from helpers_net import Reply

MODEL = "claude-sonnet-5-5"
THOUGHTS = [
    {"type": "thinking", "thinking": "hm", "signature": "sig"},
    {"type": "redacted_thinking", "data": "secret"},
]


def claude(*replies: Any, credential: dict[str, str] | None = None) -> AbstractAsyncContextManager[Wire]:
    held = {"ANTHROPIC_API_KEY": KEY} if credential is None else credential
    return wired(AnthropicModel, SHIPPED["anthropic"], MODEL, *replies, credential=held)


def answer(*content: dict[str, Any], stop: str = "end_turn", **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 9, "output_tokens": 4}
    return {"id": "msg_1", "type": "message", "content": content, "stop_reason": stop, "usage": usage, **more}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def use(call_id: str | None, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": "draw", "input": arguments}


# What is sent


async def test_a_request_holds_the_version_the_key_and_no_sampling_fields() -> None:
    async with claude(answer(text("Red."))) as wire:
        found = await wire.ask()
        [seen] = wire.server.seen
        body = wire.body()
    assert (seen.path, seen.headers["x-api-key"], seen.headers["anthropic-version"]) == ("/v1/messages", KEY, VERSION)
    assert "authorization" not in seen.headers
    assert set(body) == {"model", "max_tokens", "messages", "system", "tools"}
    assert (body["model"], body["system"]) == (MODEL, "Be brief.")
    assert body["messages"] == [{"role": "user", "content": [text("A fox.")]}]
    assert body["tools"][0]["input_schema"]["required"] == ["prompt"]
    assert found.parts == [TextPart("Red.")]
    assert (found.usage.input_tokens, found.usage.output_tokens, found.finish_reason) == (9, 4, "stop")


async def test_a_token_goes_out_as_a_bearer() -> None:
    async with claude(answer(text("x")), credential={"ANTHROPIC_AUTH_TOKEN": KEY}) as wire:
        await wire.ask([ModelRequest(parts=[UserPromptPart("hi")])], ModelRequestParameters())
        [seen] = wire.server.seen
        assert seen.headers["authorization"] == f"Bearer {KEY}"
        assert "x-api-key" not in seen.headers
        assert set(wire.body()) == {"model", "max_tokens", "messages"}


async def test_thoughts_go_back_unchanged_and_results_come_first() -> None:
    content = [*THOUGHTS, text("I draw."), use("t1", prompt="x"), use("t2")]
    async with claude(answer(*content, stop="tool_use"), answer(text("Done."))) as wire:
        found = await wire.ask()
        back = ModelRequest(
            parts=[
                UserPromptPart("by the way"),
                ToolReturnPart("draw", "drawn", tool_call_id="t1"),
                ToolReturnPart("draw", "wrong", tool_call_id="t2", outcome="retried"),
            ]
        )
        await wire.ask(asked(found, back))
        rows = wire.body()["messages"]
    assert rows[1] == {"role": "assistant", "content": content}
    results = [
        {"type": "tool_result", "tool_use_id": "t1", "content": "drawn"},
        {"type": "tool_result", "tool_use_id": "t2", "content": "wrong", "is_error": True},
    ]
    assert rows[2]["content"] == [*results, text("by the way")]


async def test_turns_alternate_and_what_is_empty_or_anothers_is_left_out() -> None:
    turns = asked(
        ModelResponse(
            parts=[TextPart(" "), ThinkingPart("hm", signature="s", provider_name="openai"), ThinkingPart("x")]
        ),
        ModelRequest(parts=[SystemPromptPart("More."), UserPromptPart("again"), UserPromptPart(" ")]),
    )
    async with claude(answer(text("x"))) as wire:
        await wire.ask(turns)
        body = wire.body()
    assert body["system"] == "Be brief.\n\nMore."
    assert body["messages"] == [{"role": "user", "content": [text("A fox."), text("again")]}]


async def test_a_call_whose_arguments_were_no_object_goes_back_as_words() -> None:
    turns = asked(
        ModelResponse(
            parts=[ToolCallPart("draw", '{"a"', tool_call_id="t"), ToolCallPart("draw", "[1]", tool_call_id="u")]
        ),
        ModelRequest(parts=[ToolReturnPart("draw", "?", tool_call_id="t")]),
    )
    async with claude(answer(text("x"))) as wire:
        await wire.ask(turns)
        sent = [block["input"] for block in wire.body()["messages"][1]["content"]]
    assert sent == [{"INVALID_JSON": '{"a"'}, {"INVALID_JSON": "[1]"}]


# What is understood


async def test_tool_calls_keep_their_ids_unless_they_are_missing() -> None:
    async with claude(answer(use("t1", prompt="x"), use(None), stop="tool_use")) as wire:
        found = await wire.ask()
    parts = [part for part in found.parts if isinstance(part, ToolCallPart)]
    assert [part.tool_call_id for part in parts] == ["t1", "call_1_1"]
    assert [part.args_as_dict() for part in parts] == [{"prompt": "x"}, {}]
    assert found.finish_reason == "tool_call"


@pytest.mark.parametrize(
    ("stop", "finish", "state"),
    [
        ("refusal", "content_filter", "complete"),
        ("max_tokens", "length", "complete"),
        ("model_context_window_exceeded", "length", "complete"),
        ("stop_sequence", "stop", "complete"),
        ("pause_turn", None, "suspended"),
        ("something_new", None, "complete"),
    ],
)
async def test_every_way_to_stop_is_understood(stop: str, finish: str | None, state: str) -> None:
    async with claude(answer(text("So far"), stop=stop)) as wire:
        found = await wire.ask()
    assert (found.finish_reason, found.state) == (finish, state)


async def test_a_turn_that_was_interrupted_goes_back_to_be_gone_on_with() -> None:
    async with claude(answer(text("So far"), stop="pause_turn"), answer(text("the end"))) as wire:
        await wire.ask(asked(await wire.ask()))
        assert wire.body()["messages"][-1] == {"role": "assistant", "content": [text("So far")]}


async def test_unknown_and_empty_blocks_are_passed_over() -> None:
    blocks = [text(""), {"type": "thinking"}, {"type": "redacted_thinking"}, {"type": "server_tool_use"}, text("a")]
    async with claude(answer(*blocks)) as wire:
        assert (await wire.ask()).parts == [TextPart("a")]


async def test_tokens_of_a_cache_count_and_missing_ones_are_estimated() -> None:
    usage = {"input_tokens": 5, "output_tokens": 2, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 2}
    async with claude(answer(text("x"), usage=usage), answer(text("x"), usage=None)) as wire:
        assert (await wire.ask()).usage.input_tokens == 10
        assert ((await wire.ask()).provider_details or {})[ESTIMATED] is True


# What goes wrong


def failure(status: int, kind: str, message: str = "no") -> Reply:
    error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return Reply(status, {"request-id": "req_1"}, json.dumps(error).encode())


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (failure(401, "authentication_error", f"invalid x-api-key {KEY}"), AuthFailed),
        (failure(403, "permission_error"), AuthFailed),
        (failure(402, "billing_error"), InsufficientCredits),
        (failure(400, "invalid_request_error", "Your credit balance is too low"), InsufficientCredits),
        (failure(429, "rate_limit_error", "the spend limit is reached"), InsufficientCredits),
        (failure(429, "rate_limit_error"), RateLimited),
        (failure(529, "overloaded_error"), Overloaded),
        (failure(404, "not_found_error", "model: claude-9"), ModelRetired),
        (failure(413, "request_too_large"), InvalidRequest),
        (failure(500, "api_error"), SubmitUnknown),
        (failure(504, "timeout_error"), SubmitUnknown),
        (failure(200, "overloaded_error"), DarkroomError),
        (Reply(body=b'{"error": "what"}'), DarkroomError),
        (Reply(body=b'{"content": "text"}'), UnexpectedAnswer),
        (Reply(cut=-1), SubmitUnknown),
    ],
)
async def test_an_error_is_explained_without_the_key_and_never_tried_again(
    reply: Reply, kind: type[DarkroomError]
) -> None:
    async with claude(reply) as wire:
        with pytest.raises(kind) as caught:
            await wire.ask()
        assert len(wire.server.seen) == 1
    assert KEY not in json.dumps(caught.value.to_dict())
