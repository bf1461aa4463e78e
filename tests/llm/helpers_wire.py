"""A wire model on a real socket that answers as a test says."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, SystemPromptPart, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from darkroom.catalog.providers import Provider, Providers
from darkroom.llm.wire import WireModel
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from darkroom.services.chat_models import ChatChoice
from factories import FakeClock
from helpers_net import Reply, Server, serving

KEY = "sk-proj-0123456789abcdef0123456789"
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]}
TOOL = ToolDefinition(name="draw", description="Draws.", parameters_json_schema=SCHEMA)
PARAMS = ModelRequestParameters(function_tools=[TOOL], allow_text_output=True)
BARE = ModelRequestParameters(allow_text_output=True)
SHIPPED = dict(Providers())


def nothing(given: int, made: int) -> None:
    del given, made


def asked(*more: ModelMessage) -> list[ModelMessage]:
    """Return a conversation that begins with rules and a wish."""
    return [ModelRequest(parts=[SystemPromptPart("Be brief."), UserPromptPart("A fox.")]), *more]


@dataclass
class Wire:
    """A model and the server that it speaks to."""

    model: WireModel
    server: Server

    def body(self, number: int = -1) -> dict[str, Any]:
        return json.loads(self.server.seen[number].body)

    async def ask(
        self, messages: list[ModelMessage] | None = None, params: ModelRequestParameters = PARAMS
    ) -> ModelResponse:
        return await self.model.request(messages or asked(), None, params)


@asynccontextmanager
async def wired(
    kind: type[WireModel],
    provider: Provider,
    model: str,
    *replies: Any,
    credential: Mapping[str, str] | None = None,
    base: str = "",
) -> AsyncGenerator[Wire]:
    """Yield a model on a server that answers with these, each a Reply or the data of a body."""
    clock = FakeClock()
    client = ShardedClient(clock)
    held = {"A_KEY": KEY} if credential is None else credential
    async with serving() as server:
        server.replies(
            *(item if isinstance(item, Reply) else Reply(body=json.dumps(item).encode()) for item in replies)
        )
        http = ProviderHttp(client, provider, f"{server.url}{base}", tuple(held.values()))
        assert provider.chat is not None
        offer = provider.offer(model) or provider.offers[0]
        yield Wire(kind(http, ChatChoice(provider, offer, provider.chat, model, nothing), held), server)
        await client.aclose()
