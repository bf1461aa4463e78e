"""The caller's own model in the library's form, with its tools told in words where the client passes none on."""

import json
import re
from collections.abc import Sequence
from typing import Any, cast

from pydantic_ai.messages import (
    FinishReason,
    ModelMessage,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from darkroom.catalog.data import resource_text
from darkroom.domain.sampling import SampleBlock, SampleMessage, Sampler, SampleRequest, SampleResponse, SampleTool
from darkroom.llm.limits import ANSWER_TOKENS, rough_tokens
from darkroom.llm.wire import (
    ESTIMATED,
    Json,
    arguments,
    fresh_ids,
    instructions_of,
    request_parts,
    texts_of,
    words_of,
)

FINISH: dict[str, FinishReason] = {"endTurn": "stop", "maxTokens": "length", "toolUse": "tool_call"}
_FENCED = re.compile(r"```(?:json)?\s*(\{.*?\})\s*```", re.DOTALL)


class SamplingModel(Model[Any]):
    """Asks a client for what its model says."""

    def __init__(self, sampler: Sampler) -> None:
        super().__init__(profile={"supports_inline_system_prompts": False})
        self._sampler = sampler
        self._protocol = resource_text("agents/tools_in_words.md")
        self.asked: SampleRequest | None = None
        """The newest request."""

    @property
    def model_name(self) -> str:
        """What it is called: nobody knows which model it is."""
        return "client"

    @property
    def system(self) -> str:
        """Whose model it is."""
        return "client"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Ask the client.

        Raises:
            Suspended: If the answer comes with a later call.
            DarkroomError: If the client refuses.
        """
        _, params = self.prepare_request(model_settings, model_request_parameters)
        tools = [
            SampleTool(name=tool.name, description=tool.description or "", input_schema=tool.parameters_json_schema)
            for tool in (*params.function_tools, *params.output_tools)
        ]
        self.asked = self._asked(messages, tools, instructions_of(params))
        answer = await self._sampler.sample(self.asked)
        parts = self._parts(answer, {tool.name for tool in tools}, messages)
        called = any(isinstance(part, ToolCallPart) for part in parts)
        return ModelResponse(
            parts=parts,
            usage=RequestUsage(
                input_tokens=rough_tokens(self.asked.model_dump_json()),
                output_tokens=rough_tokens("".join(texts_of(parts))),
            ),
            model_name=answer.model,
            provider_details={ESTIMATED: True},
            finish_reason="tool_call" if called else FINISH.get(answer.stop_reason or ""),
        )

    def _asked(self, messages: Sequence[ModelMessage], tools: Sequence[SampleTool], more: str) -> SampleRequest:
        system = [
            words_of(part) for message in messages for part in message.parts if isinstance(part, SystemPromptPart)
        ]
        native = self._sampler.native_tools
        if tools and not native:
            listed = json.dumps([tool.model_dump() for tool in tools], ensure_ascii=False)
            system.append(self._protocol.replace("{tools}", listed))
        rows: list[SampleMessage] = []
        for message in messages:
            own = isinstance(message, ModelResponse)
            blocks = _said(message) if isinstance(message, ModelResponse) else _told(message)
            blocks = blocks if native else [_in_words(block) for block in blocks]
            if not blocks:
                continue
            role = "assistant" if own else "user"
            if rows and rows[-1].role == role:
                rows[-1] = rows[-1].model_copy(update={"content": (*rows[-1].content, *blocks)})
            else:
                rows.append(SampleMessage(role=role, content=tuple(blocks)))
        return SampleRequest(
            system="\n\n".join(filter(None, [*system, more])),
            messages=tuple(rows),
            tools=tuple(tools) if native else (),
            max_tokens=ANSWER_TOKENS,
        )

    def _parts(
        self, answer: SampleResponse, names: set[str], messages: Sequence[ModelMessage]
    ) -> list[ModelResponsePart]:
        calls = [block for block in answer.content if block.type == "tool_use"]
        text = "".join(block.text for block in answer.content if block.type == "text").strip()
        if not calls and not self._sampler.native_tools and (found := _call_in(text, names)) is not None:
            [call_id] = fresh_ids([None], messages)
            return [ToolCallPart(str(found["tool"]), arguments(found.get("arguments")), tool_call_id=call_id)]
        ids = fresh_ids([block.id for block in calls], messages)
        parts: list[ModelResponsePart] = [TextPart(text)] if text else []
        parts += [
            ToolCallPart(block.name or "unnamed", dict(block.input), tool_call_id=call_id)
            for block, call_id in zip(calls, ids, strict=True)
        ]
        return parts


def _told(message: Any) -> list[SampleBlock]:
    blocks: list[SampleBlock] = []
    for part in request_parts(message):
        if isinstance(part, ToolReturnPart):
            text = part.model_response_str(wrap_if_error=False)
            wrong = part.outcome != "success"
            blocks.append(
                SampleBlock(type="tool_result", text=text, id=part.tool_call_id, name=part.tool_name, error=wrong)
            )
        elif not isinstance(part, SystemPromptPart):
            blocks.append(SampleBlock(text=words_of(part)))
    return blocks


def _said(message: ModelResponse) -> list[SampleBlock]:
    blocks: list[SampleBlock] = []
    for part in message.parts:
        if isinstance(part, TextPart) and part.content:
            blocks.append(SampleBlock(text=part.content))
        elif isinstance(part, ToolCallPart):
            blocks.append(
                SampleBlock(type="tool_use", id=part.tool_call_id, name=part.tool_name, input=part.args_as_dict())
            )
    return blocks


def _in_words(block: SampleBlock) -> SampleBlock:
    """Return a tool call, or its result, as words."""
    if block.type == "tool_use":
        return SampleBlock(text=json.dumps({"tool": block.name, "arguments": block.input}, ensure_ascii=False))
    if block.type == "tool_result":
        return SampleBlock(text=f"{'Mistake in' if block.error else 'Result of'} {block.name}:\n{block.text}")
    return block


def _call_in(text: str, names: set[str]) -> Json | None:
    """Return the tool call that an answer in words is; None for an ordinary answer."""
    whole = text[text.find("{") : text.rfind("}") + 1]
    for candidate in (*_FENCED.findall(text), whole):
        try:
            data: object = json.loads(candidate)
        except ValueError:
            continue
        if isinstance(data, dict):
            call = cast("Json", data)
            if call.get("tool") in names or (isinstance(call.get("tool"), str) and set(call) <= {"tool", "arguments"}):
                return call
    return None
