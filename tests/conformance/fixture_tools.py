"""The tools that the official suite asks a server for, made as darkroom's own tools are."""

import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CallToolResult,
    ElicitResult,
    ImageContent,
    SamplingMessage,
    TextContent,
    ToolAnnotations,
)

from conformance.fixture_asking import ASKING
from conformance.fixture_media import IMAGE, SOUND, embedded, said, structured
from darkroom.errors import DarkroomError
from darkroom.server.context import Tool, ToolCall
from darkroom.server.schema import ToolArgs

PAUSE_S = 0.05


class NoArgs(ToolArgs):
    """Takes nothing."""


class PromptArgs(ToolArgs):
    """What a model is asked."""

    prompt: str


class GreetArgs(ToolArgs):
    """Who is greeted."""

    name: str


class MessageArgs(ToolArgs):
    """What a person is asked."""

    message: str


def context_of(call: ToolCall) -> Context[Any, Any]:
    """Return the request of a call, which every call over the wire has."""
    assert call.context is not None
    return call.context


async def simple_text(_: NoArgs, call: ToolCall) -> CallToolResult:
    return said("This is a simple text response for testing.")


async def greet(args: GreetArgs, call: ToolCall) -> CallToolResult:
    return said(f"Hello, {args.name}!")


async def image(_: NoArgs, call: ToolCall) -> CallToolResult:
    return CallToolResult(content=[ImageContent(data=IMAGE, mime_type="image/png")])


async def sound(_: NoArgs, call: ToolCall) -> CallToolResult:
    return CallToolResult(content=[AudioContent(data=SOUND, mime_type="audio/wav")])


async def embedded_resource(_: NoArgs, call: ToolCall) -> CallToolResult:
    return CallToolResult(content=[embedded("test://embedded-resource", "This is an embedded resource content.")])


async def mixed(_: NoArgs, call: ToolCall) -> CallToolResult:
    return CallToolResult(
        content=[
            TextContent(text="Multiple content types test:"),
            ImageContent(data=IMAGE, mime_type="image/png"),
            embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
        ]
    )


async def failing(_: NoArgs, call: ToolCall) -> CallToolResult:
    raise DarkroomError("This tool intentionally returns an error for testing")


async def progress(_: NoArgs, call: ToolCall) -> CallToolResult:
    for done in (0, 50, 100):
        await call.report(done, 100, f"step {done} of 100")
        await anyio.sleep(PAUSE_S)
    return said("Progress was told.")


async def logging(_: NoArgs, call: ToolCall) -> CallToolResult:
    context: Any = call.context
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)  # the handshake era still has it
        for told in ("execution started", "processing data", "execution completed"):
            await context.info(f"Tool {told}")
            await anyio.sleep(PAUSE_S)
    return said("Log messages were sent.")


async def sampling(args: PromptArgs, call: ToolCall) -> CallToolResult:
    context: Any = call.context
    asked = SamplingMessage(role="user", content=TextContent(text=args.prompt))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)  # the handshake era has no other way
        asking = context.session.create_message(
            [asked], max_tokens=100, related_request_id=context.request_context.request_id
        )
    answer = await asking
    return said(f"LLM response: {getattr(answer.content, 'text', '')}")


async def elicited(call: ToolCall, message: str, schema: dict[str, Any]) -> CallToolResult:
    """Ask the client's user in the middle of a call, as the handshake era does."""
    context = context_of(call)
    answer: ElicitResult = await context.session.elicit_form(message, schema, context.request_context.request_id)
    return said(f"Elicitation completed: action={answer.action}, content={answer.content}")


async def elicitation(args: MessageArgs, call: ToolCall) -> CallToolResult:
    fields = {"username": {"type": "string"}, "email": {"type": "string"}}
    return await elicited(call, args.message, structured(fields, *fields))


async def elicitation_defaults(_: NoArgs, call: ToolCall) -> CallToolResult:
    fields = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    }
    return await elicited(call, "Check what is filled in.", structured(fields))


async def elicitation_enums(_: NoArgs, call: ToolCall) -> CallToolResult:
    plain = ["option1", "option2", "option3"]
    titled = [{"const": f"value{number}", "title": f"Choice {number}"} for number in (1, 2, 3)]
    fields = {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": plain, "enumNames": ["Option 1", "Option 2", "Option 3"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return await elicited(call, "Choose.", structured(fields))


async def reconnection(_: NoArgs, call: ToolCall) -> CallToolResult:
    await context_of(call).close_sse_stream()
    return said("The stream was closed, where streams can be resumed.")


async def missing_capability(_: NoArgs, call: ToolCall) -> CallToolResult:
    abilities = context_of(call).client_capabilities
    if abilities is None or abilities.sampling is None:
        data: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "The client does not lend its model.", data)
    return said("The client lends its model.")


async def tools_changed(_: NoArgs, call: ToolCall) -> CallToolResult:
    await context_of(call).notify_tools_changed()
    return said("Told of.")


async def prompts_changed(_: NoArgs, call: ToolCall) -> CallToolResult:
    await context_of(call).notify_prompts_changed()
    return said("Told of.")


def made(name: str, run: Callable[[Any, ToolCall], Awaitable[Any]], about: str, args: type[ToolArgs] = NoArgs) -> Tool:
    """Return a tool of the suite."""
    return Tool(name, name, about, args, {"type": "object"}, ToolAnnotations(read_only_hint=True), run)


TOOLS = (
    made("test_simple_text", simple_text, "Answers with text."),
    made("greet", greet, "Greets at once, never as a task.", GreetArgs),
    made("test_image_content", image, "Answers with a picture."),
    made("test_audio_content", sound, "Answers with sound."),
    made("test_embedded_resource", embedded_resource, "Answers with a resource."),
    made("test_multiple_content_types", mixed, "Answers with text, a picture and a resource."),
    made("test_error_handling", failing, "Fails."),
    made("test_tool_with_progress", progress, "Tells how far it is."),
    made("test_tool_with_logging", logging, "Sends log messages."),
    made("test_logging_tool", logging, "Sends log messages to who asked for them."),
    made("test_sampling", sampling, "Asks the client's model.", PromptArgs),
    made("test_elicitation", elicitation, "Asks the client's user.", MessageArgs),
    made("test_elicitation_sep1034_defaults", elicitation_defaults, "Asks with answers filled in."),
    made("test_elicitation_sep1330_enums", elicitation_enums, "Asks for a choice of each kind."),
    made("test_reconnection", reconnection, "Closes the stream of its answer."),
    made("test_missing_capability", missing_capability, "Needs a client that lends its model."),
    made("test_trigger_tool_change", tools_changed, "Tells listeners that the tools changed."),
    made("test_trigger_prompt_change", prompts_changed, "Tells listeners that the prompts changed."),
    *(made(name, run, about) for name, run, about in ASKING),
)
