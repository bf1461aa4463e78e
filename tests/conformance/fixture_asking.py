"""The tools and the prompt that need an answer of the client before they end, as the stateless era asks."""

from collections.abc import Mapping
from typing import Any

from mcp.server.mcpserver import Context
from mcp_types import (
    CallToolResult,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    GetPromptResult,
    InputRequiredResult,
    ListRootsRequest,
    PromptMessage,
    SamplingMessage,
    TextContent,
)

from conformance.fixture_media import said, structured
from darkroom.server.context import ToolCall

Answers = Mapping[str, Any]


def form(message: str, field: str, kind: str = "string") -> ElicitRequest:
    """Return a question with one field."""
    schema = structured({field: {"type": kind}}, field)
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def thought(text: str, tokens: int = 100) -> CreateMessageRequest:
    """Return a question to the client's model."""
    asked = SamplingMessage(role="user", content=TextContent(text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[asked], max_tokens=tokens))


NAME = {"user_name": form("What is your name?", "name")}
CAPITAL = {"capital_question": thought("What is the capital of France?")}
ROOTS = {"client_roots": ListRootsRequest()}
GREETING = {"greeting": thought("Generate a greeting", 50)}
CONFIRM = {"confirm": form("Please confirm", "ok", "boolean")}
CONTEXT = {"user_context": form("What context should the prompt use?", "context")}
STEPS = (
    {"step1": form("Step 1: What is your name?", "name")},
    {"step2": form("Step 2: What is your favorite color?", "color")},
)


def answers(context: Context[Any, Any] | None, wanted: Mapping[str, Any]) -> Answers | None:
    """Return what the client answered; None while anything that is wanted is missing."""
    given = (context.input_responses if context is not None else None) or {}
    return given if set(wanted) <= set(given) else None


def field_of(answer: Any, name: str) -> str:
    """Return one field of what a user filled in."""
    content = answer.content if isinstance(answer, ElicitResult) and answer.content else {}
    return str(content.get(name, ""))


async def elicitation(_: Any, call: ToolCall) -> CallToolResult | InputRequiredResult:
    given = answers(call.context, NAME)
    if given is None:
        return InputRequiredResult(input_requests=dict(NAME))
    return said(f"Hello, {field_of(given['user_name'], 'name')}!")


async def sampling(_: Any, call: ToolCall) -> CallToolResult | InputRequiredResult:
    given = answers(call.context, CAPITAL)
    if given is None:
        return InputRequiredResult(input_requests=dict(CAPITAL))
    return said(f"The model says: {getattr(given['capital_question'].content, 'text', '')}")


async def list_roots(_: Any, call: ToolCall) -> CallToolResult | InputRequiredResult:
    given = answers(call.context, ROOTS)
    if given is None:
        return InputRequiredResult(input_requests=dict(ROOTS))
    return said(f"The roots are {', '.join(str(root.uri) for root in given['client_roots'].roots)}.")


async def with_state(_: Any, call: ToolCall) -> CallToolResult | InputRequiredResult:
    given = answers(call.context, CONFIRM)
    if given is None or call.context is None:
        return InputRequiredResult(input_requests=dict(CONFIRM), request_state="first round")
    return said("state-ok" if call.context.request_state == "first round" else "The state is another one.")


async def several(_: Any, call: ToolCall) -> CallToolResult | InputRequiredResult:
    wanted = {**NAME, **GREETING, **ROOTS}
    if answers(call.context, wanted) is None:
        return InputRequiredResult(input_requests=wanted, request_state="first round")
    return said("Everything was answered.")


async def rounds(_: Any, call: ToolCall) -> CallToolResult | InputRequiredResult:
    done = int((call.context.request_state if call.context is not None else None) or 0)
    wanted: Mapping[str, Any] = STEPS[done - 1] if done else {}
    if answers(call.context, wanted) is None:
        return InputRequiredResult(input_requests=dict(wanted), request_state=str(done))
    if done < len(STEPS):
        return InputRequiredResult(input_requests=dict(STEPS[done]), request_state=str(done + 1))
    return said("Both steps were answered.")


async def able(_: Any, call: ToolCall) -> CallToolResult | InputRequiredResult:
    abilities = call.context.client_capabilities if call.context is not None else None
    wanted: dict[str, Any] = {}
    if abilities is not None and abilities.elicitation is not None:
        wanted |= NAME
    if abilities is not None and abilities.sampling is not None:
        wanted |= GREETING
    if not wanted or answers(call.context, wanted) is not None:
        return said("There is nothing to ask.")
    return InputRequiredResult(input_requests=wanted)


async def streaming(_: Any, call: ToolCall) -> CallToolResult | InputRequiredResult:
    await call.report(1, 2, "asking")
    return await elicitation(_, call)


ASKING = (
    ("test_input_required_result_elicitation", elicitation, "Asks for a name."),
    ("test_input_required_result_sampling", sampling, "Asks the client's model."),
    ("test_input_required_result_list_roots", list_roots, "Asks for the client's folders."),
    ("test_input_required_result_request_state", with_state, "Asks, and knows its state again."),
    ("test_input_required_result_tampered_state", with_state, "Asks, and refuses another's state."),
    ("test_input_required_result_multiple_inputs", several, "Asks for three things at once."),
    ("test_input_required_result_multi_round", rounds, "Asks twice, one after the other."),
    ("test_input_required_result_capabilities", able, "Asks only what the client can answer."),
    ("test_streaming_elicitation", streaming, "Asks while it tells how far it is."),
)


def prompted(context: Context[Any, Any] | None) -> GetPromptResult | InputRequiredResult:
    """Return the prompt that asks for its context first."""
    given = answers(context, CONTEXT)
    if given is None:
        return InputRequiredResult(input_requests=dict(CONTEXT))
    text = f"Work with this context: {field_of(given['user_context'], 'context')}"
    return GetPromptResult(messages=[PromptMessage(role="user", content=TextContent(text=text))])
