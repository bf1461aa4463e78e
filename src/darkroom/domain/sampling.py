"""What is asked of the caller's own model, and what it says; free of any protocol."""

from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class SampleTool(BaseModel):
    """A tool that the model may call."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    description: str
    parameters: dict[str, JsonValue]
    """JSON Schema of its arguments."""


class SampleCall(BaseModel):
    """A call of a tool by the model."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    name: str
    arguments: dict[str, JsonValue]


class SampleResult(BaseModel):
    """What a call of a tool gave."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    text: str


class SampleMessage(BaseModel):
    """One message: text, and calls of the model or the results of its calls."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    role: Literal["user", "assistant"]
    text: str = ""
    calls: tuple[SampleCall, ...] = ()
    results: tuple[SampleResult, ...] = ()


class SampleRequest(BaseModel):
    """One question to the model."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    system: str
    messages: tuple[SampleMessage, ...]
    tools: tuple[SampleTool, ...] = ()
    """Empty where the client's model takes no tools: they are described in `system` then."""
    max_tokens: int = 4096


class SampleResponse(BaseModel):
    """What the model said."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    text: str = ""
    calls: tuple[SampleCall, ...] = Field(default=())
    model: str | None = None
    stop: str | None = None


class Suspended(Exception):
    """The client has to be asked, and answers in another call."""


class SamplingRefused(Exception):
    """The client, or its user, did not let its model answer; the message says why."""


class Sampler(Protocol):
    """Asks the caller's model."""

    @property
    def native_tools(self) -> bool:
        """Whether the model takes tools; else they are described in words."""
        ...

    async def sample(self, request: SampleRequest) -> SampleResponse:
        """Return what the model says.

        Raises:
            Suspended: If its word comes with another call; the request is to be kept until then.
            SamplingRefused: If it says nothing.
        """
        ...
