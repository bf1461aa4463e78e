"""Resources of skills, agents and frameworks; prompts and completions."""

from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from helpers_server import connected, read_json
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import PromptReference, ResourceTemplateReference, TextContent

from darkroom.app import App
from darkroom.catalog.agents import agents
from darkroom.catalog.frameworks import families
from darkroom.catalog.skills import Skills
from darkroom.settings import Settings
from helpers_skills import write_skill

pytestmark = pytest.mark.anyio
SKILLS = dict(Skills())
AGENTS, FAMILIES = agents(), families()
EMAIL = (SKILLS["email_sequence"].folder / "SKILL.md").read_text("utf-8")


async def text_of(client: Client, uri: str) -> str:
    text: str = getattr((await client.read_resource(uri)).contents[0], "text", "")
    return text


async def test_frameworks_are_listed_and_read(client: Client) -> None:
    rows = (await read_json(client, "darkroom://frameworks"))["families"]
    assert {row["family"] for row in rows} == set(FAMILIES)
    for row in rows:
        family = await read_json(client, row["uri"])
        assert [entry["id"] for entry in family["entries"]] == row["entries"]
        assert all(entry["use_when"] and entry["avoid_when"] and entry["example"] for entry in family["entries"])


async def test_agents_are_listed_and_read(client: Client) -> None:
    view = await read_json(client, "darkroom://agents")
    assert view["count"] == len(AGENTS)
    assert {row["agent"] for rows in view["layers"].values() for row in rows} == set(AGENTS)
    agent = await read_json(client, "darkroom://agents/video_production_agent")
    assert agent["agent"] == "video_production"
    assert agent["inputs"][0].keys() == {"name", "why", "required"}
    need = next(need for need in agent["providers"] if need["for"] == "video")
    assert need["ready"] == ["draft"]
    assert any("KEY" in why for why in need["missing"].values())


async def test_files_of_skills_are_resources(client: Client) -> None:
    listed = {str(resource.uri): resource for resource in (await client.list_resources()).resources}
    for skill in SKILLS.values():
        resource = listed[f"skill://{skill.name}/SKILL.md"]
        assert resource.mime_type == "text/markdown"
        assert resource.description
    text = await text_of(client, "skill://email-sequence/SKILL.md")
    assert text == EMAIL
    assert await text_of(client, "skill://email-sequence/references/example.md")
    assert await text_of(client, "skill://email_sequence") == text


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("skill://email-sequnce/SKILL.md", "email_sequence"),
        ("skill://email-sequence/SKILLS.md", "SKILL.md"),
        ("skill://email-sequence/../copywriting/SKILL.md", "has no file"),
        ("skill://email-sequence/%2e%2e/x", "has no file"),
        ("darkroom://frameworks/angels", "angles"),
        ("darkroom://agents/imag", "image"),
        ("darkroom://agent", "darkroom://agents"),
    ],
)
async def test_unknown_ones_name_the_nearest(client: Client, uri: str, expected: str) -> None:
    with pytest.raises(MCPError, match="Unknown resource") as caught:
        await client.read_resource(uri)
    assert expected in str(caught.value)


@pytest.mark.parametrize("era", ["2026-07-28"], indirect=True)
async def test_bytes_of_a_users_skill_are_served(era: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_SKILLS_DIR", str(tmp_path / "mine"))

    def write() -> None:
        folder = write_skill(tmp_path / "mine", "film-cutting")
        (folder / "logo.png").write_bytes(b"\x89PNG\xff")
        (folder / "script.qqq").write_text("plain")

    await anyio.to_thread.run_sync(write)
    app = await anyio.to_thread.run_sync(lambda: App(Settings.load()))
    async with connected(app, era) as client:
        item = (await client.read_resource("skill://film-cutting/logo.png")).contents[0]
        assert (item.mime_type, bool(getattr(item, "blob", ""))) == ("image/png", True)
        item = (await client.read_resource("skill://film-cutting/script.qqq")).contents[0]
        assert (item.mime_type, getattr(item, "text", "")) == ("text/plain", "plain")


# Prompts.


def said(result: Any) -> str:
    content = result.messages[0].content
    assert isinstance(content, TextContent)
    return content.text


async def test_there_is_a_prompt_for_each_category(client: Client) -> None:
    listed = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
    assert set(listed) == {skill.category for skill in SKILLS.values()} | {"brainstorm"}
    for prompt in listed.values():
        assert prompt.title
        assert prompt.description
        assert [argument.required for argument in prompt.arguments or ()].count(True) == 1


async def test_a_prompt_is_the_brief_of_the_best_skill(client: Client) -> None:
    best = said(await client.get_prompt("content", {"work": "Write a video script of 20 seconds for a kettle"}))
    assert "video_scripting" in best
    assert "20 seconds for a kettle" in best
    assert "copy_editing" in said(await client.get_prompt("content", {"work": "x", "skill": "copy_editing"}))
    assert said(await client.get_prompt("seo", {"work": "zzz"}))


async def test_a_prompt_brainstorms(client: Client) -> None:
    text = said(await client.get_prompt("brainstorm", {"task_type": "video", "product": "Lumen"}))
    assert "Lumen" in text
    assert "Headlines:" in text


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("kontent", {"work": "x"}, "content"),
        ("content", {}, "work is empty"),
        ("content", {"work": "x", "skil": "copy_editing"}, "Did you mean 'skill'?"),
        ("brainstorm", {"task_type": "video", "work": "x"}, "has no argument 'work'"),
        ("content", {"work": "x", "skill": "copiediting"}, "copy"),
        ("brainstorm", {"task_type": "lunch"}, "launch"),
    ],
)
async def test_a_wrong_prompt_is_refused(client: Client, name: str, arguments: dict[str, str], expected: str) -> None:
    with pytest.raises(MCPError) as caught:
        result = await client.get_prompt(name, arguments)
        raise AssertionError(said(result))
    assert expected in str(caught.value)


# Completions.

PLACES = [
    ("darkroom://frameworks/{family}", "family", "head", "headline_formulas"),
    ("darkroom://agents/{agent}", "agent", "video", "video_production"),
    ("skill://{skill}/{+path}", "skill", "sequence", "email-sequence"),
    ("darkroom://pricing/providers/{provider}{?after}", "provider", "FA", "fal"),
    ("darkroom://models/{model}{?after}", "model", "draft", "draft-image"),
]


@pytest.mark.parametrize(("template", "name", "begun", "expected"), PLACES)
async def test_places_of_templates_are_completed(
    client: Client, template: str, name: str, begun: str, expected: str
) -> None:
    reference = ResourceTemplateReference(uri=template)
    values = (await client.complete(reference, {"name": name, "value": begun})).completion.values
    assert expected in values
    assert all(begun.lower() in value.lower() for value in values)


async def test_arguments_of_prompts_are_completed(client: Client) -> None:
    async def complete(prompt: str, name: str, value: str) -> list[str]:
        return (await client.complete(PromptReference(name=prompt), {"name": name, "value": value})).completion.values

    assert await complete("email", "skill", "") == ["email_sequence"]
    assert await complete("brainstorm", "task_type", "l") == ["landing_page", "launch", "email"]
    assert "crowded" in await complete("brainstorm", "market_stage", "c")
    assert await complete("email", "work", "x") == []


async def test_many_values_are_cut(client: Client) -> None:
    reference = ResourceTemplateReference(uri="darkroom://models/{model}")
    found = (await client.complete(reference, {"name": "model", "value": ""})).completion
    assert (len(found.values), found.has_more) == (100, True)
    assert (found.total or 0) > 100
