"""OpenAI's chat format over a real socket: what is sent, what is understood, what goes wrong."""

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from helpers_wire import BARE, KEY, SHIPPED, Wire, asked, wired
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import (
    ImageUrl,
    ModelRequest,
    ModelResponse,
    RetryFeedbackPart,
    RetryInfo,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from darkroom.errors import (
    AuthFailed,
    ContentBlocked,
    DarkroomError,
    InsufficientCredits,
    ModelRetired,
    NotConfigured,
    Overloaded,
    RateLimited,
    SubmitUnknown,
    UnexpectedAnswer,
)
from darkroom.llm.wire import ESTIMATED, TOLD_COST
from darkroom.llm.wire_openai import OpenAIModel
from helpers_net import Reply

USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def openai(
    *replies: Any, provider: str = "openai", model: str = "gpt-6.1-terra", **more: Any
) -> AbstractAsyncContextManager[Wire]:
    return wired(OpenAIModel, SHIPPED[provider], model, *replies, **more)


def answer(message: dict[str, Any] | None, finish: str = "stop", **more: Any) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "choices": [{"message": message, "finish_reason": finish}], "usage": USAGE, **more}


def call(call_id: object, arguments: object, name: str = "draw", **more: Any) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


# What is sent


async def test_a_request_holds_what_all_servers_know_and_is_one_call() -> None:
    async with openai(answer({"content": "Red."}), base="/v1") as wire:
        found = await wire.ask()
        [seen] = wire.server.seen
        body = wire.body()
    assert (seen.method, seen.path, seen.headers["authorization"]) == ("POST", "/v1/chat/completions", f"Bearer {KEY}")
    assert set(body) == {"model", "messages", "tools", "max_completion_tokens"}
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "A fox."}]
    [tool] = body["tools"]
    assert tool["function"]["name"] == "draw"
    assert tool["function"]["parameters"]["required"] == ["prompt"]
    assert found.parts == [TextPart("Red.")]
    assert (found.usage.input_tokens, found.usage.output_tokens, found.finish_reason) == (9, 4, "stop")
    assert found.provider_details is None
    assert found.provider_response_id == "chatcmpl-1"


async def test_each_provider_has_its_own_path_and_bound() -> None:
    async with openai(answer({"content": "x"}), provider="google", model="gemini-3.8-flash") as wire:
        await wire.ask(params=BARE)
        assert wire.server.seen[0].path == "/v1beta/openai/chat/completions"
        assert "max_tokens" in wire.body()
        assert "tools" not in wire.body()


async def test_earlier_turns_go_back_as_the_format_has_them() -> None:
    turns = asked(
        ModelResponse(
            parts=[
                ThinkingPart("hm", signature="s", provider_name="anthropic"),
                TextPart("I draw."),
                ToolCallPart("draw", {"prompt": "x"}, tool_call_id="a"),
            ]
        ),
        ModelRequest(parts=[UserPromptPart("and?"), ToolReturnPart("draw", "drawn", tool_call_id="a")]),
        ModelResponse(parts=[]),
        ModelRequest(parts=[SystemPromptPart("Now stop.")]),
    )
    async with openai(answer({"content": "x"})) as wire:
        await wire.ask(turns)
        rows = wire.body()["messages"][2:]
    assert rows == [
        {
            "role": "assistant",
            "content": "I draw.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "draw", "arguments": '{"prompt":"x"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "a", "content": "drawn"},
        {"role": "user", "content": "and?"},
        {"role": "system", "content": "Now stop."},
    ]


async def test_what_the_library_wants_said_is_said() -> None:
    from pydantic_ai.messages import InstructionPart
    from pydantic_ai.models import ModelRequestParameters

    params = ModelRequestParameters(instruction_parts=[InstructionPart("Answer as JSON.")])
    async with openai(answer({"content": "x"})) as wire:
        await wire.ask([ModelRequest(parts=[UserPromptPart(["one", "two"])])], params)
        assert wire.body()["messages"] == [
            {"role": "system", "content": "Answer as JSON."},
            {"role": "user", "content": "one\ntwo"},
        ]


async def test_what_cannot_be_sent_is_refused_before_anything_is() -> None:
    feedback = RetryFeedbackPart("again", retry=RetryInfo(cause="no_output"))
    async with openai(answer({"content": "x"})) as wire:
        with pytest.raises(UserError, match="Only words"):
            await wire.ask([ModelRequest(parts=[UserPromptPart([ImageUrl("https://a.test/b.png")])])])
        with pytest.raises(UserError, match="retry-feedback"):
            await wire.ask([ModelRequest(parts=[feedback])])
        assert wire.server.seen == []


# What is understood


async def test_a_tool_call_is_one_whatever_the_server_calls_the_end() -> None:
    message = {"content": None, "tool_calls": [call("a", '{"prompt": "x"}')]}
    async with openai(answer(message, "stop")) as wire:
        found = await wire.ask()
    assert found.finish_reason == "tool_call"
    [part] = found.parts
    assert isinstance(part, ToolCallPart)
    assert (part.tool_name, part.tool_call_id, part.args_as_dict()) == ("draw", "a", {"prompt": "x"})


async def test_calls_with_data_for_text_and_missing_or_repeated_ids_are_taken() -> None:
    rows = [call("a", {"prompt": "x"}), call("a", ""), call(None, None), call(7, "{"), {"function": "none"}, "none"]
    before = ModelResponse(parts=[ToolCallPart("draw", "{}", tool_call_id="b")])
    after = ModelRequest(parts=[ToolReturnPart("draw", "ok", tool_call_id="b")])
    async with openai(answer({"content": "", "tool_calls": [*rows, call("b", "{}")]})) as wire:
        found = await wire.ask(asked(before, after))
    parts = [part for part in found.parts if isinstance(part, ToolCallPart)]
    assert [part.args for part in parts] == [{"prompt": "x"}, "{}", "{}", "{", "{}"]
    assert [part.tool_call_id for part in parts] == ["a", "call_2_1", "call_2_2", "call_2_3", "call_2_4"]


async def test_what_google_sends_with_a_call_goes_back_unchanged() -> None:
    extra = {"google": {"thought_signature": "abc"}}
    async with openai(
        answer({"tool_calls": [call("a", "{}", extra_content=extra)]}), answer({"content": "x"}), provider="google"
    ) as wire:
        found = await wire.ask()
        await wire.ask(asked(found, ModelRequest(parts=[ToolReturnPart("draw", "ok", tool_call_id="a")])))
        assert wire.body()["messages"][2]["tool_calls"][0]["extra_content"] == extra


async def test_words_may_come_in_pieces() -> None:
    async with openai(answer({"content": [{"type": "text", "text": "a"}, {"text": "b"}, {"type": "x"}, 3]})) as wire:
        assert (await wire.ask()).parts == [TextPart("ab")]


@pytest.mark.parametrize("content", [None, "", "  ", [], 5])
async def test_an_answer_without_words_is_empty(content: object) -> None:
    async with openai(answer({"content": content})) as wire:
        assert (await wire.ask()).parts == []


async def test_tokens_that_nobody_told_are_estimated_and_marked() -> None:
    async with openai({"choices": [{"message": {"content": "x" * 40}}]}) as wire:
        found = await wire.ask()
    assert found.usage.output_tokens == 10
    assert found.usage.input_tokens > 0
    assert (found.provider_details or {})[ESTIMATED] is True
    assert found.finish_reason is None
    async with openai(answer({"content": "x"}, usage={"prompt_tokens": True, "completion_tokens": -1})) as wire:
        assert (found := await wire.ask()).provider_details == {ESTIMATED: True}


async def test_thinking_that_is_only_in_the_total_is_counted() -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115}
    async with openai(answer({"content": "x"}, usage=usage)) as wire:
        assert (await wire.ask()).usage.output_tokens == 105


@pytest.mark.parametrize(
    ("provider", "told", "cost"),
    [
        ("xai", {"cost_in_usd_ticks": 12_345_678}, 1235),
        ("openai_compatible", {"cost": 0.0025}, 2500),
        ("openai_compatible", {"cost": True}, None),
        ("openai", {"cost": 0.0025}, None),
    ],
)
async def test_what_a_provider_says_that_it_cost_is_taken(
    provider: str, told: dict[str, Any], cost: int | None
) -> None:
    async with openai(answer({"content": "x"}, usage=USAGE | told), provider=provider, model="m") as wire:
        found = await wire.ask()
    assert (found.provider_details or {}).get(TOLD_COST) == cost


async def test_a_refusal_is_told() -> None:
    async with openai(answer({"content": None, "refusal": "I cannot."})) as wire:
        found = await wire.ask()
    assert (found.finish_reason, found.provider_details) == ("content_filter", {"refusal": "I cannot."})


# A server of one's own


async def test_a_server_with_one_model_needs_no_name_and_no_key() -> None:
    models = {"data": [{"id": "qwen3:8b"}]}
    async with openai(
        models, answer({"content": "x"}), provider="openai_compatible", model="any", credential={}, base="/v1"
    ) as wire:
        await wire.ask()
        await wire.ask()
        assert [seen.path for seen in wire.server.seen] == ["/v1/models", *["/v1/chat/completions"] * 2]
        assert "authorization" not in wire.server.seen[1].headers
        assert wire.body()["model"] == "qwen3:8b"
        assert "max_tokens" in wire.body()


@pytest.mark.parametrize("models", [{"data": [{"id": "a"}, {"id": "b"}]}, {"data": []}, [], {"data": "x"}])
async def test_a_server_with_several_models_wants_a_name(models: object) -> None:
    async with openai(models, provider="openai_compatible", model="any", credential={}) as wire:
        with pytest.raises(NotConfigured) as caught:
            await wire.ask()
    assert caught.value.field == "DARKROOM_AGENT_MODEL"
    assert "openai_compatible/<name of the model>" in (caught.value.hint or "")


# What goes wrong


def failure(status: int, body: object, **headers: str) -> Reply:
    return Reply(status, headers, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (failure(401, {"error": {"message": f"Wrong key {KEY}", "code": "invalid_api_key"}}), AuthFailed),
        (failure(429, {"error": {"message": "slow", "code": "rate_limit_exceeded"}}), RateLimited),
        (failure(429, {"error": {"message": "no", "type": "insufficient_quota"}}), InsufficientCredits),
        (failure(429, {"error": {"message": "no", "code": "credit_balance_exhausted"}}), InsufficientCredits),
        (failure(429, {"error": {"message": "Your spend limit is reached"}}), InsufficientCredits),
        (failure(404, {"error": {"message": "no such model", "code": "model_not_found"}}), ModelRetired),
        (failure(400, {"error": {"message": "no", "code": "content_policy_violation"}}), ContentBlocked),
        (failure(503, {"error": {"message": "full", "code": "server_is_overloaded"}}), Overloaded),
        (failure(500, {"error": {"message": "oops"}}), SubmitUnknown),
        (failure(400, {"detail": "bad"}), DarkroomError),
        (Reply(cut=-1), SubmitUnknown),
        (Reply(body=b"<html>"), UnexpectedAnswer),
        (Reply(body=b"[]"), UnexpectedAnswer),
        (Reply(body=b"{}"), UnexpectedAnswer),
        (Reply(body=b'{"choices": [3]}'), UnexpectedAnswer),
        (Reply(body=b'{"error": {"code": 402, "message": "no credits"}}'), InsufficientCredits),
        (Reply(body=b'{"choices": [{"error": {"code": 429, "message": "slow"}}]}'), RateLimited),
        (Reply(body=b'{"error": {"code": 502, "metadata": {}}}'), SubmitUnknown),
        (Reply(body=b'{"error": "broken"}'), DarkroomError),
    ],
)
async def test_an_error_is_explained_without_the_key_and_never_tried_again(
    reply: Reply, kind: type[DarkroomError]
) -> None:
    async with openai(reply) as wire:
        with pytest.raises(kind) as caught:
            await wire.ask()
        assert len(wire.server.seen) == 1
    told = json.dumps(caught.value.to_dict())
    assert KEY not in told
    assert "OpenAI" in told or "provider" in told


async def test_a_pause_that_the_provider_asks_for_is_kept() -> None:
    async with openai(failure(429, {"error": {"message": "slow"}}, **{"retry-after": "7"})) as wire:
        with pytest.raises(RateLimited) as caught:
            await wire.ask()
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [(403, "You have run out of credits", InsufficientCredits), (400, "Incorrect API key provided", AuthFailed)],
)
async def test_xai_says_some_things_in_words_alone(status: int, said: str, kind: type[DarkroomError]) -> None:
    async with openai(failure(status, {"code": "x", "error": said}), provider="xai", model="grok-4.7") as wire:
        with pytest.raises(kind):
            await wire.ask()


async def test_google_tells_a_refused_key_as_a_wrong_request_in_a_list() -> None:
    said = [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}]
    async with openai(failure(400, said), provider="google", model="gemini-3.8-flash") as wire:
        with pytest.raises(AuthFailed):
            await wire.ask()
