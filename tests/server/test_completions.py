"""Completions: every place of a template and every argument of a prompt, of what is the caller's own."""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from helpers_server import call
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import Completion, PromptReference, ResourceTemplateReference

from darkroom.app import App
from darkroom.errors import StorageError
from darkroom.server import desk
from darkroom.server.caller import Caller

pytestmark = pytest.mark.anyio
FOX: dict[str, Any] = {"prompt": "a red fox", "size": "64x64"}
FREE = {"work", "audience", "product"}
"""Arguments in which anything may stand."""
NUMBERS = {("darkroom://sessions/{session_id}{?before}", "before")}
"""Places that hold a number of one's own."""


async def completed(client: Client, uri: str, name: str, begun: str = "", **known: str) -> Completion:
    """Complete a place of a template."""
    reference = ResourceTemplateReference(uri=uri)
    return (await client.complete(reference, {"name": name, "value": begun}, known or None)).completion


async def made(client: Client) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make a picture and a conversation."""
    return await call(client, "generate_image", **FOX), await call(
        client, "run_agent", task="Write a line", agent="copy"
    )


async def test_every_place_and_argument_has_completions(client: Client) -> None:
    await made(client)
    known = {"skill": "email-sequence"}
    for template in (await client.list_resource_templates()).resource_templates:
        for name in re.findall(r"{[?+]?(\w+)}", template.uri_template):
            found = await completed(client, template.uri_template, name, **known)
            assert bool(found.values) != ((template.uri_template, name) in NUMBERS), (template.uri_template, name)
    for prompt in (await client.list_prompts()).prompts:
        for argument in prompt.arguments or ():
            answer = await client.complete(PromptReference(name=prompt.name), {"name": argument.name, "value": ""})
            assert bool(answer.completion.values) != (argument.name in FREE), (prompt.name, argument.name)


async def test_what_completions_make_of_templates_can_be_read(client: Client) -> None:
    await made(client)
    for template in (await client.list_resource_templates()).resource_templates:
        uri, known = template.uri_template, dict[str, str]()
        for operator, name in re.findall(r"{([?+]?)(\w+)}", template.uri_template):
            found = (await completed(client, template.uri_template, name, **known)).values
            known[name] = found[0] if found else "1"
            place = f"{{{operator}{name}}}"
            uri = uri.replace(place, f"?{name}={quote(known[name])}" if operator == "?" else known[name])
        assert (await client.read_resource(uri)).contents, uri
    for resource in (await client.list_resources()).resources:
        assert (await client.read_resource(resource.uri)).contents, resource.uri


async def test_ids_are_the_callers_own_newest_first(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    job, run = await made(client)
    newer = await call(client, "generate_image", **FOX, again=True)
    places = [
        ("darkroom://jobs/{job_id}", "job_id", [newer["job_id"], job["job_id"]]),
        ("darkroom://jobs{?before}", "before", [newer["job_id"], job["job_id"]]),
        ("darkroom://outputs/{output_id}", "output_id", [newer["outputs"][0]["id"], job["outputs"][0]["id"]]),
        ("darkroom://outputs/{output_id}/thumbnail", "output_id", [newer["outputs"][0]["id"], job["outputs"][0]["id"]]),
        ("darkroom://runs/{run_id}", "run_id", [run["run_id"]]),
        ("darkroom://sessions/{session_id}{?before}", "session_id", [run["session_id"]]),
        ("darkroom://sessions{?before}", "before", [run["session_id"]]),
    ]
    for uri, name, expected in places:
        assert (await completed(client, uri, name)).values == expected
        assert (await completed(client, uri, name, expected[-1][-6:])).values == [expected[-1]]
    monkeypatch.setattr(desk, "caller", lambda: Caller("ann"))
    for uri, name, _ in places:
        assert (await completed(client, uri, name)).values == []


async def test_files_of_the_skill_that_is_named(client: Client) -> None:
    uri = "skill://{skill}/{+path}"
    found = await completed(client, uri, "path", skill="compliance-check")
    assert found.values == ["SKILL.md", "references/example.md", "references/rules.md"]
    assert (await completed(client, uri, "path", "ref", skill="email-sequence")).values == ["references/example.md"]
    assert (await completed(client, uri, "path", skill="nothing-like-it")).values == []
    assert (await completed(client, uri, "path")).values == []


async def test_pages_begin_after_what_is_on_them(client: Client) -> None:
    bare = (await completed(client, "darkroom://models{?after}", "after", "draft")).values
    assert "draft-image" in bare
    offers = (
        await completed(client, "darkroom://pricing/providers/{provider}{?after}", "after", provider="fal")
    ).values
    assert offers
    assert all(name.startswith("fal/") for name in offers)
    one = await completed(client, "darkroom://models/{model}{?after}", "after", model="draft-image")
    assert one.values == ["draft/draft-image"]


async def test_months_are_the_last_two_years(client: Client, app: App) -> None:
    months = (await completed(client, "darkroom://usage/{month}", "month")).values
    assert len(months) == 24
    assert months == sorted(months, reverse=True)
    assert months[0] == datetime.fromtimestamp(app.clock.now() / 1000, UTC).strftime("%Y-%m")
    assert all(re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month) for month in months)
    year = months[0][:4]
    assert all(
        month.startswith(year) for month in (await completed(client, "darkroom://usage/{month}", "month", year)).values
    )
    for month in (months[0], months[-1]):
        assert (await client.read_resource(f"darkroom://usage/{month}")).contents


async def test_a_brainstorm_has_no_skill_to_choose(client: Client) -> None:
    answer = await client.complete(PromptReference(name="brainstorm"), {"name": "skill", "value": ""})
    assert answer.completion.values == []


async def test_a_store_that_cannot_be_read_is_told(client: Client, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> None:
        raise StorageError("The home folder is gone.", hint="Mount it.")

    monkeypatch.setattr(app, "ready", broken)
    with pytest.raises(MCPError, match="The home folder is gone"):
        await completed(client, "darkroom://jobs/{job_id}", "job_id")
    assert (await completed(client, "darkroom://agents/{agent}", "agent", "copy")).values
