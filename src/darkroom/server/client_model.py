"""The client's own model in our words: what it can do, what it is asked, what it answers.

Source: the sampling pages of the protocol revisions 2025-06-18, 2025-11-25 and 2026-07-28, and the SDK's types.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from mcp.server.mcpserver import Context
from mcp_types import (
    CreateMessageRequestParams,
    CreateMessageResult,
    CreateMessageResultWithTools,
    SamplingMessage,
    TextContent,
    Tool,
    ToolChoice,
    ToolResultContent,
    ToolUseContent,
)

from darkroom.domain.sampling import SampleBlock, SampleMessage, SampleRequest, SampleResponse


def can_sample(context: Context[Any, Any] | None) -> bool:
    """Return whether the client lets us ask its model."""
    found = context.client_capabilities if context is not None else None
    return bool(found and found.sampling is not None)


def takes_tools(context: Context[Any, Any]) -> bool:
    """Return whether the client passes tools on to its model."""
    found = context.client_capabilities
    return bool(found and found.sampling and found.sampling.tools is not None)


def mark(request: SampleRequest) -> str:
    """Return what tells one question to the model from another."""
    return hashlib.sha256(request.model_dump_json().encode("utf-8", "replace")).hexdigest()[:16]


def asked(request: SampleRequest) -> CreateMessageRequestParams:
    """Return a question to the model as the client gets it."""
    tools = [
        Tool(name=item.name, description=item.description, input_schema=item.input_schema) for item in request.tools
    ]
    return CreateMessageRequestParams(
        messages=[_message(item) for item in request.messages],
        system_prompt=request.system or None,
        max_tokens=request.max_tokens,
        tools=tools or None,
        tool_choice=ToolChoice(mode="auto") if tools else None,
    )


def _message(item: SampleMessage) -> SamplingMessage:
    blocks = [_block(block) for block in item.content]
    return SamplingMessage(role=item.role, content=blocks[0] if len(blocks) == 1 else [*blocks])


def _block(block: SampleBlock) -> TextContent | ToolUseContent | ToolResultContent:
    if block.type == "tool_use":
        return ToolUseContent(id=block.id or "", name=block.name or "", input=block.input)
    text = TextContent(text=block.text)
    if block.type == "tool_result":
        return ToolResultContent(tool_use_id=block.id or "", content=[text], is_error=block.error or None)
    return text


def answered(answer: CreateMessageResult | CreateMessageResultWithTools) -> SampleResponse:
    """Return what the model said; pictures and sounds are left out, since no agent asks for them."""
    content: Sequence[Any] = answer.content if isinstance(answer.content, list) else [answer.content]
    blocks: list[SampleBlock] = []
    for block in content:
        if isinstance(block, TextContent):
            blocks.append(SampleBlock(text=block.text))
        elif isinstance(block, ToolUseContent):
            blocks.append(SampleBlock(type="tool_use", id=block.id, name=block.name, input=block.input))
    return SampleResponse(content=tuple(blocks), model=answer.model, stop_reason=answer.stop_reason)
