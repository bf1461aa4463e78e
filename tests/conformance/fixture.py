"""The fixture server of the official suite: darkroom's server, application and transport with the suite's own things.

`python -m conformance.fixture` (with `tests` on the path) serves it on a free port of this machine and says the
address on stderr. Nothing here is part of the product.
"""

import json
import os
import re
import socket
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import uvicorn
from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp.server.mcpserver import Context
from mcp_types import (
    CallToolResult,
    Completion,
    CompletionArgument,
    CompletionContext,
    ContentBlock,
    GetPromptResult,
    ImageContent,
    InputRequiredResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    PromptReference,
    Resource,
    ResourceTemplate,
    ResourceTemplateReference,
    TextContent,
)
from mcp_types import Tool as PublishedTool
from pydantic import AnyUrl, Field

from conformance.fixture_asking import prompted
from conformance.fixture_media import IMAGE, PICTURE, embedded
from conformance.fixture_tasks import TASKS, Engine, model
from conformance.fixture_tools import TOOLS
from darkroom.app import App
from darkroom.server.build import DarkroomServer
from darkroom.server.http import PATH, http_app
from darkroom.settings import Settings
from helpers_chat_model import serving, variables

HOST = "127.0.0.1"
PROMPTS = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}
RESOURCES = {
    "test://static-text": ("text/plain", "This is the content of the static text resource."),
    "test://static-binary": ("image/png", PICTURE),
    "test://watched-resource": ("text/plain", "Watched resource content."),
}
TEMPLATE = "test://template/{id}/data"
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {"city": {"type": "string"}}}},
    "properties": {
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def from_header(word: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Word"})]) -> str:
    """Takes an argument that a header repeats."""
    return word


class FixtureServer(DarkroomServer):
    """darkroom's server with the tools, prompts and resources that the suite asks for by name."""

    def __init__(self, app: App) -> None:
        super().__init__(app.running, (*TOOLS, *TASKS))
        # The SDK checks headers of arguments for the tools that it keeps itself; ours take none from headers.
        self.add_tool(from_header, name="test_argument_from_header", structured_output=False)

    async def list_tools(self) -> list[PublishedTool]:
        """Return the suite's tools, without schemas of answers: they answer with text."""
        tools = [tool.model_copy(update={"output_schema": None}) for tool in await super().list_tools()]
        kept = await super(DarkroomServer, self).list_tools()
        wide = PublishedTool(name="json_schema_2020_12_tool", description="Has a wide schema.", input_schema=SCHEMA)
        return [*tools, *kept, wide]

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Run a tool of the suite as darkroom runs its own."""
        if name == "test_argument_from_header":
            return await super(DarkroomServer, self).call_tool(name, arguments, context)
        return await super().call_tool(name, arguments, context)

    async def list_resources(self) -> list[Resource]:
        """Return the suite's resources, and darkroom's."""
        ours = [Resource(uri=uri, name=uri, description="A fixture.", mime_type=RESOURCES[uri][0]) for uri in RESOURCES]
        return [*ours, *await super().list_resources()]

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """Return the suite's template, and darkroom's."""
        ours = ResourceTemplate(uri_template=TEMPLATE, name="template", description="A fixture.")
        return [ours, *await super().list_resource_templates()]

    async def read_resource(
        self, uri: AnyUrl | str, context: Context[Any, Any] | None = None
    ) -> Iterable[ReadResourceContents] | InputRequiredResult:
        """Return a resource of the suite, else darkroom's."""
        if found := RESOURCES.get(str(uri)):
            return [ReadResourceContents(content=found[1], mime_type=found[0])]
        if found := re.fullmatch(r"test://template/([^/]+)/data", str(uri)):
            data = {"id": found[1], "templateTest": True, "data": f"Data for ID: {found[1]}"}
            return [ReadResourceContents(content=json.dumps(data), mime_type="application/json")]
        return await super().read_resource(uri, context)

    async def list_prompts(self) -> list[Prompt]:
        """Return the suite's prompts, and darkroom's."""
        ours = [
            Prompt(
                name=name,
                description="A fixture.",
                arguments=[PromptArgument(name=word, description="A word.", required=True) for word in words],
            )
            for name, words in PROMPTS.items()
        ]
        return [*ours, *await super().list_prompts()]

    async def get_prompt(
        self, name: str, arguments: dict[str, Any] | None = None, context: Context[Any, Any] | None = None
    ) -> GetPromptResult | InputRequiredResult:
        """Return a prompt of the suite, else darkroom's."""
        if name == "test_input_required_result_prompt":
            return prompted(context)
        if name not in PROMPTS:
            return await super().get_prompt(name, arguments, context)
        blocks = prompt_blocks(name, arguments or {})
        return GetPromptResult(messages=[PromptMessage(role="user", content=block) for block in blocks])

    async def _complete(
        self,
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion:
        if isinstance(ref, PromptReference) and ref.name in PROMPTS:
            return Completion(values=[f"{argument.value}{end}" for end in ("is", "k", "ty")])
        return await super()._complete(ref, argument, context)


def prompt_blocks(name: str, arguments: dict[str, Any]) -> list[ContentBlock]:
    """Return what a prompt of the suite says."""
    if name == "test_prompt_with_arguments":
        return [TextContent(text=f"Prompt with arguments: arg1='{arguments['arg1']}', arg2='{arguments['arg2']}'")]
    if name == "test_prompt_with_embedded_resource":
        told = embedded(arguments["resourceUri"], "Embedded resource content for testing.")
        return [told, TextContent(text="Please process the embedded resource above.")]
    if name == "test_prompt_with_image":
        return [ImageContent(data=IMAGE, mime_type="image/png"), TextContent(text="Please analyze the image above.")]
    return [TextContent(text="This is a simple prompt for testing.")]


def main() -> None:
    """Serve until a signal arrives."""
    with serving(model) as address, socket.create_server((HOST, 0)) as listening:
        os.environ |= variables(address)
        settings = Settings.load()
        app = App(settings)
        app.adapters = Engine()  # pyright: ignore[reportAttributeAccessIssue] because it stands in
        sys.stderr.write(f"fixtures at http://{HOST}:{listening.getsockname()[1]}{PATH}\n")
        face = http_app(FixtureServer(app), settings, host=HOST)
        config = uvicorn.Config(face, lifespan="on", log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
