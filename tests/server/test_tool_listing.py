"""What clients see before they call anything."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from helpers_server import connected
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from darkroom.app import App
from darkroom.catalog.data import data_dir
from darkroom.server import listing
from darkroom.server.build import DarkroomServer
from darkroom.server.desk import Desk
from darkroom.server.resources import TEMPLATES
from darkroom.server.tools import TOOLS

pytestmark = pytest.mark.anyio
SNAPSHOTS = sorted((data_dir() / "resources" / listing.FOLDER / "tools").glob("*.json"))
NAMES = [
    "generate_image",
    "generate_video",
    "check_job",
    "cancel_job",
    "retry_job",
    "estimate_credits",
    "run_agent",
    "invoke_skill",
]
MOST_BYTES = 8_000
"""Of compact JSON: under 2,000 tokens (o200k) at the four bytes and more that a token of such a listing has."""


async def tools_of(client: Client) -> list[dict[str, Any]]:
    tools = (await client.list_tools()).tools
    return [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]


def schemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return a schema and all that it holds."""
    yield schema
    for part in schema.get("properties", {}).values():
        yield from schemas(part)
    if "items" in schema:
        yield from schemas(schema["items"])


async def test_the_tools_are_those_of_the_snapshots(client: Client) -> None:
    tools = await tools_of(client)
    assert [tool["name"] for tool in tools] == NAMES
    assert sorted(path.stem for path in SNAPSHOTS) == sorted(NAMES)
    by_name = {tool["name"]: tool for tool in tools}
    for path in SNAPSHOTS:
        assert by_name[path.stem] == json.loads(path.read_text("utf-8"))


async def test_the_lists_made_beforehand_are_those_of_the_program(client: Client, app: App) -> None:
    desk = await anyio.to_thread.run_sync(Desk, app)
    assert (await client.list_tools()).tools == desk.tools(), "run scripts/generate.py"
    assert (await client.list_resources()).resources == await desk.resources()
    assert (await client.list_resource_templates()).resource_templates == list(TEMPLATES)
    assert (await client.list_prompts()).prompts == await desk.prompts()


def test_the_lists_made_beforehand_hold_no_tool_that_there_is_not() -> None:
    assert [tool.name for tool in TOOLS] == NAMES == list(listing.TOOLS)


async def test_every_parameter_has_one_type_and_no_noise(client: Client) -> None:
    for tool in await tools_of(client):
        for schema in schemas(tool["inputSchema"]):
            assert isinstance(schema.get("type"), str), (tool["name"], schema)
            assert not {"anyOf", "oneOf", "allOf", "title", "default", "$ref", "$defs"} & set(schema)


async def test_every_tool_says_what_it_is(client: Client) -> None:
    for tool in await tools_of(client):
        assert tool["title"]
        assert tool["description"]
        assert tool["annotations"]
        assert tool["outputSchema"]["type"] == "object"
        assert tool["inputSchema"]["additionalProperties"] is False


async def test_the_whole_listing_stays_small(client: Client) -> None:
    text = json.dumps({"tools": await tools_of(client)}, separators=(",", ":"), ensure_ascii=False)
    assert len(text.encode()) <= MOST_BYTES


async def test_a_tool_that_goes_on_is_published_with_what_starts_it(client: Client) -> None:
    (tool,) = [item for item in await tools_of(client) if item["name"] == "run_agent"]
    assert "required" not in tool["inputSchema"]  # a run is continued without a task
    result = await client.call_tool("run_agent", {"run_id": "run_nothing"})
    assert "no run 'run_nothing'" in str(result.content)


async def test_the_server_says_how_to_wait(app: App) -> None:
    async with connected(app, "legacy") as client:  # the stateless era has no moment to say it
        assert "check_job" in str(client.instructions)


async def test_resources_and_their_templates_are_listed(client: Client) -> None:
    found = {str(item.uri) for item in (await client.list_resources()).resources}
    assert {"darkroom://jobs", "darkroom://sessions"} <= found
    templates = {item.uri_template for item in (await client.list_resource_templates()).resource_templates}
    assert {"darkroom://jobs/{job_id}", "darkroom://outputs/{output_id}/thumbnail"} <= templates
    assert {"darkroom://runs/{run_id}", "darkroom://sessions/{session_id}{?before}"} <= templates


def test_the_read_me_names_the_templates_as_they_are() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    told = set(re.findall(r"`(darkroom://[^`]*\{[^`]*)`", text))
    assert told
    assert told <= {item.uri_template.partition("{?")[0] for item in TEMPLATES}


@pytest.mark.parametrize("cursor", ["", "2", "after:draft"])
@pytest.mark.parametrize("what", ["tools", "prompts", "resources", "resource_templates"])
async def test_a_cursor_that_no_list_gave_is_refused(client: Client, what: str, cursor: str) -> None:
    with pytest.raises(MCPError, match=f"cursor '{cursor}' is none that this list gave") as caught:
        await getattr(client, f"list_{what}")(cursor=cursor)
    assert caught.value.error.code == INVALID_PARAMS
    assert (await getattr(client, f"list_{what}")()).next_cursor is None


def test_a_server_that_does_not_run_has_no_program(app: App) -> None:
    with pytest.raises(RuntimeError, match="not running"):
        _ = DarkroomServer(app.running).source


async def test_a_server_has_the_tools_that_it_is_given(app: App, era: str) -> None:
    server = await anyio.to_thread.run_sync(lambda: DarkroomServer(app.running, TOOLS[:2]))
    async with Client(server, mode=era) as client:
        assert [tool["name"] for tool in await tools_of(client)] == NAMES[:2]
        with pytest.raises(MCPError, match="There is no tool 'check_job'"):
            await client.call_tool("check_job", {})
