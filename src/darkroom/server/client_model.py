"""The client's own model: asked during the call in the handshake era, between two calls in the stateless one.

Source: the sampling pages of the protocol revisions 2025-06-18, 2025-11-25 and 2026-07-28, and the SDK's types.
"""

import json
import warnings
from collections.abc import Sequence
from typing import Any

from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp_types import (
    AudioContent,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    CreateMessageResultWithTools,
    ImageContent,
    InputRequiredResult,
    SamplingMessage,
    TextContent,
    Tool,
    ToolChoice,
    ToolResultContent,
    ToolUseContent,
)

from darkroom.domain.request import clip
from darkroom.domain.run import Awaits, Run
from darkroom.domain.sampling import SampleBlock, SampleMessage, SampleRequest, SampleResponse, Suspended
from darkroom.errors import ProviderFailed
from darkroom.server.context import ToolCall

STATELESS = "2026-07-28"
ROUNDS = 10
"""How often one call may ask the client; its SDKs give up after as many."""
_KEY = "model"


def can_sample(context: Context[Any, Any]) -> bool:
    """Return whether the client lets us ask its model."""
    found = context.client_capabilities
    return bool(found and found.sampling is not None)


async def sampled(run: Run, call: ToolCall) -> Run | InputRequiredResult:
    """Advance a run by the client's model, until it ends, waits for something else, or this call may ask no more.

    Returns the run, or what the client has to answer before it repeats the call (stateless era).
    """
    context = call.context
    if context is None or not can_sample(context):
        return run
    if context.protocol_version != STATELESS:
        return await call.program.sampled(run, _Asking(context))
    told = Told.of(context, run)
    if told.rounds > ROUNDS:
        return run
    holder = _Holding(context, told.response)
    run = await call.program.sampled(run, holder)
    if run.awaits is not Awaits.CLIENT or holder.asked is None or told.rounds >= ROUNDS:
        return run
    state = json.dumps({"run": run.id, "rounds": told.rounds + 1})
    return InputRequiredResult(
        input_requests={_KEY: CreateMessageRequest(params=_params(holder.asked))}, request_state=state
    )


class Told:
    """What a repeated call of the stateless era brings: the client's word, and how often it was asked."""

    def __init__(self, response: SampleResponse | None, rounds: int) -> None:
        self.response = response
        self.rounds = rounds

    @classmethod
    def of(cls, context: Context[Any, Any], run: Run) -> "Told":
        """Read what came along with a call about that run; nothing where it is about another."""
        state: dict[str, Any] = json.loads(context.request_state) if context.request_state else {}
        if state.get("run") != run.id:
            return cls(None, 0)
        answer = (context.input_responses or {}).get(_KEY)
        response = _response(answer) if isinstance(answer, CreateMessageResult | CreateMessageResultWithTools) else None
        return cls(response, int(state.get("rounds", 0)))


class _Asking:
    """Asks in the middle of the call, at most so often."""

    def __init__(self, context: Context[Any, Any]) -> None:
        self._context = context
        self._left = ROUNDS
        self.native_tools = _takes_tools(context)

    async def sample(self, request: SampleRequest) -> SampleResponse:
        """Return what the client's model says; see the protocol."""
        if not self._left:
            raise Suspended
        self._left -= 1
        params = _params(request)
        named: dict[str, Any] = {"tools": params.tools, "tool_choice": params.tool_choice} if params.tools else {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MCPDeprecationWarning)  # the older era has no other way
                answer: CreateMessageResult | CreateMessageResultWithTools = await self._context.session.create_message(
                    params.messages, max_tokens=params.max_tokens, system_prompt=params.system_prompt, **named
                )
        except MCPError as exc:
            raise ProviderFailed(
                f"The client did not let its model answer: {clip(exc.error.message, 200)}",
                hint="What was done until then is kept. Try again, or set a key of a language model.",
            ) from exc
        return _response(answer)


class _Holding:
    """Gives the word that the call brought, once; then the client has to be asked anew."""

    def __init__(self, context: Context[Any, Any], response: SampleResponse | None) -> None:
        self._response = response
        self.asked: SampleRequest | None = None
        self.native_tools = _takes_tools(context)

    async def sample(self, request: SampleRequest) -> SampleResponse:
        """Return what the client's model said; see the protocol."""
        if self._response is None:
            self.asked = request
            raise Suspended
        response, self._response = self._response, None
        return response


def _takes_tools(context: Context[Any, Any]) -> bool:
    found = context.client_capabilities
    return bool(found and found.sampling and found.sampling.tools is not None)


def _params(request: SampleRequest) -> CreateMessageRequestParams:
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
    return SamplingMessage(role=item.role, content=blocks[0] if len(blocks) == 1 else blocks)


def _block(block: SampleBlock) -> TextContent | ToolUseContent | ToolResultContent | ImageContent | AudioContent:
    match block.type:
        case "tool_use":
            return ToolUseContent(id=block.id or "", name=block.name or "", input=block.input)
        case "tool_result":
            return ToolResultContent(
                tool_use_id=block.id or "", content=[TextContent(text=block.text)], is_error=block.error or None
            )
        case "text":
            return TextContent(text=block.text)


def _response(answer: CreateMessageResult | CreateMessageResultWithTools) -> SampleResponse:
    content: Sequence[Any] = answer.content if isinstance(answer.content, list) else [answer.content]
    blocks: list[SampleBlock] = []
    for block in content:
        if isinstance(block, TextContent):
            blocks.append(SampleBlock(text=block.text))
        elif isinstance(block, ToolUseContent):
            blocks.append(SampleBlock(type="tool_use", id=block.id, name=block.name, input=block.input))
    return SampleResponse(content=tuple(blocks), model=answer.model, stop_reason=answer.stop_reason)
