"""The caller's own language model, as an agent's run asks it (MCP's sampling)."""

from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class SampleBlock(_Data):
    """One piece of a message: words, a tool call, or what a tool answered."""

    type: Literal["text", "tool_use", "tool_result"] = "text"
    text: str = ""
    """Words, or the tool's answer."""
    id: str | None = None
    """Of the call; its result names the same."""
    name: str | None = None
    """Of the tool that is called."""
    input: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    error: bool = False
    """Whether the tool's answer tells a mistake."""


class SampleMessage(_Data):
    """One message of the conversation so far."""

    role: Literal["user", "assistant"]
    content: tuple[SampleBlock, ...]


class SampleTool(_Data):
    """A tool that the model may call."""

    name: str
    description: str = ""
    input_schema: dict[str, Any]


class SampleRequest(_Data):
    """What the model is asked; without `tools` where they are described in `system`."""

    system: str
    messages: tuple[SampleMessage, ...]
    tools: tuple[SampleTool, ...] = ()
    max_tokens: int


class SampleResponse(_Data):
    """What the model answered."""

    content: tuple[SampleBlock, ...]
    model: str = "client"
    stop_reason: str | None = None
    """endTurn, maxTokens, toolUse, stopSequence, as MCP has them, or the client's own word."""


class Suspended(Exception):
    """The answer comes with another call of the client: the run is put by until then."""


class Sampler(Protocol):
    """Asks the caller's own model."""

    native_tools: bool
    """Whether the client passes tools on to its model."""

    async def sample(self, request: SampleRequest) -> SampleResponse:
        """Return what the model answers to a request.

        Raises:
            Suspended: If the answer comes with a later call.
            DarkroomError: If the client refuses, or does not answer.
        """
        ...
