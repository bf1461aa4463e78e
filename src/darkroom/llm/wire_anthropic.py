"""Anthropic's Messages format."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic_ai.messages import (
    FinishReason,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models import ModelRequestParameters

from darkroom.errors import UnexpectedAnswer
from darkroom.llm.wire import (
    Json,
    WireModel,
    arguments,
    count,
    fresh_ids,
    instructions_of,
    request_parts,
    words_of,
)
from darkroom.net.answer import Answer
from darkroom.net.classify import Told

VERSION = "2026-10-21"
TOKEN = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 because it is a variable's name
REDACTED = "redacted_thinking"
FINISH: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_call",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


class AnthropicModel(WireModel):
    """A model behind `/v1/messages`; no sampling fields, which its version refuses."""

    @staticmethod
    def headers(credential: Mapping[str, str]) -> dict[str, str]:
        """Return the key, or the bearer token, and the version."""
        [(name, value)] = list(credential.items())[:1]
        own = {"Authorization": f"Bearer {value}"} if name == TOKEN else {"x-api-key": value}
        return {**own, "anthropic-version": VERSION}

    def body(self, messages: Sequence[ModelMessage], params: ModelRequestParameters, max_tokens: int) -> Json:
        """Return the body: what the system says apart, and one message a turn."""
        system = [
            words_of(part) for message in messages for part in message.parts if isinstance(part, SystemPromptPart)
        ]
        rows: list[Json] = []
        for message in messages:
            own = isinstance(message, ModelResponse)
            blocks = self._answered(message) if isinstance(message, ModelResponse) else _asked(message)
            role = "assistant" if own else "user"
            if not blocks:
                continue
            if rows and rows[-1]["role"] == role:
                rows[-1]["content"] += blocks
            else:
                rows.append({"role": role, "content": blocks})
        for row in rows:
            if row["role"] == "user":  # what tools answered comes first, also where turns were put together
                row["content"].sort(key=_is_no_result)
        body: Json = {"model": self.model_name, "max_tokens": max_tokens, "messages": rows}
        if said := "\n\n".join(filter(None, [*system, instructions_of(params)])):
            body["system"] = said
        if tools := [*params.function_tools, *params.output_tools]:
            body["tools"] = [
                {"name": tool.name, "description": tool.description or "", "input_schema": tool.parameters_json_schema}
                for tool in tools
            ]
        return body

    def _answered(self, message: ModelResponse) -> list[Json]:
        """Return an earlier answer as it came; another provider's thoughts mean nothing here."""
        blocks: list[Json] = []
        for part in message.parts:
            if isinstance(part, TextPart) and part.content.strip():
                blocks.append({"type": "text", "text": part.content})
            elif isinstance(part, ToolCallPart):
                block = {"type": "tool_use", "id": part.tool_call_id, "name": part.tool_name}
                blocks.append(block | {"input": part.args_as_dict()})
            elif isinstance(part, ThinkingPart) and part.signature and part.provider_name == self.system:
                if part.id == REDACTED:
                    blocks.append({"type": REDACTED, "data": part.signature})
                else:
                    blocks.append({"type": "thinking", "thinking": part.content, "signature": part.signature})
        return blocks

    def read(self, answer: Answer, data: Json, messages: Sequence[ModelMessage]) -> ModelResponse:
        """Return the message; see the base."""
        if data.get("type") == "error" or "error" in data:
            error: object = data.get("error")
            told = cast("Json", error) if isinstance(error, dict) else {}
            codes = tuple(str(told[name]) for name in ("type",) if name in told)
            raise self._http.failure(answer, Told(codes, str(told.get("message") or "")), submitting=True)
        content: object = data.get("content")
        if not isinstance(content, list):
            raise UnexpectedAnswer(f"{self._choice.provider.title} answered without a message.")
        blocks = [cast("Json", block) for block in cast("list[Any]", content) if isinstance(block, dict)]
        ids = iter(fresh_ids([block.get("id") for block in blocks if block.get("type") == "tool_use"], messages))
        parts = [part for block in blocks if (part := self._part(block, ids)) is not None]
        reason = str(data.get("stop_reason"))
        response = self.response(
            parts,
            _usage(data.get("usage")),
            messages,
            finish=FINISH.get(reason),
            details={"stop_reason": reason},
            answer_id=data.get("id"),
        )
        if reason == "pause_turn":
            response.state = "suspended"
        return response

    def _part(self, block: Json, ids: Any) -> ModelResponsePart | None:
        match block.get("type"):
            case "text" if str(block.get("text") or "").strip():
                return TextPart(str(block["text"]))
            case "tool_use":
                return ToolCallPart(str(block.get("name")), arguments(block.get("input")), tool_call_id=next(ids))
            case "thinking" if block.get("signature"):
                return ThinkingPart(
                    str(block.get("thinking") or ""), signature=str(block["signature"]), provider_name=self.system
                )
            case "redacted_thinking" if block.get("data"):
                return ThinkingPart("", id=REDACTED, signature=str(block["data"]), provider_name=self.system)
            case _:
                return None


def _asked(message: ModelRequest) -> list[Json]:
    blocks: list[Json] = []
    for part in request_parts(message):
        if isinstance(part, ToolReturnPart):
            wrong = part.outcome != "success"
            text = part.model_response_str(wrap_if_error=False)
            block: Json = {"type": "tool_result", "tool_use_id": part.tool_call_id, "content": text}
            blocks.append(block | ({"is_error": True} if wrong else {}))
        elif not isinstance(part, SystemPromptPart) and (text := words_of(part)).strip():
            blocks.append({"type": "text", "text": text})
    return blocks


def _is_no_result(block: Json) -> bool:
    return block["type"] != "tool_result"


def _usage(found: object) -> tuple[int | None, int | None]:
    usage: Json = cast("Json", found) if isinstance(found, dict) else {}
    given, made = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
    cached = sum(count(usage.get(f"cache_{name}_input_tokens")) or 0 for name in ("creation", "read"))
    return (None if given is None else given + cached), made
