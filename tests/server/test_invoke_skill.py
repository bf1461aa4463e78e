"""`invoke_skill`, as a model calls it."""

import re
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from helpers_server import call, connected, content, jobs_of, words
from mcp import Client

from darkroom.app import App
from darkroom.catalog.skills import Skills
from darkroom.server.tools import invoke_skill
from darkroom.settings import Settings
from helpers_skills import write_skill

pytestmark = pytest.mark.anyio
TOOL = "invoke_skill"
SKILLS = dict(Skills())
BRAINSTORM = {"task_type": "landing_page", "market_stage": "crowded", "audience": "founders", "product": "Lumen"}


async def test_a_skill_is_invoked_by_any_name(client: Client) -> None:
    for name in ("landing_page_cro", "page_cro", "landing-page-cro"):
        view = await call(
            client, TOOL, skill=name, input="Optimize our product page", context={"url": "https://a.example"}
        )
        assert (view["skill"], view["agent"]) == ("landing_page_cro", "qa")
        assert "Optimize our product page" in view["prompt"]
        assert {"context", "questions", "deliverables", "next_calls", "next"} <= set(view)
        assert view["context"]["known"] == {"url": "https://a.example"}
    assert await jobs_of(client) == []


async def test_the_text_is_enough_for_a_client_that_shows_nothing_else(client: Client) -> None:
    result = await client.call_tool(TOOL, {"skill": "email_sequence", "input": "Welcome mails for Lumen"})
    view, text = content(result), words(result)
    assert view["prompt"] in text
    for next_call in view["next_calls"]:
        assert next_call["tool"] in text
    for question in view["questions"]:
        assert question["question"] in text


async def test_words_without_input_name_candidates(client: Client) -> None:
    view = await call(client, TOOL, skill="a series of mails for new subscribers")
    best = view["candidates"][0]
    assert best["skill"] == "email_sequence"
    assert 0 < best["confidence"] <= 1
    assert "Found by" in best["reason"]
    assert "prompt" not in view
    assert view["candidates"] == sorted(view["candidates"], key=lambda row: -row["confidence"])


async def test_words_with_input_take_the_best_skill(client: Client) -> None:
    view = await call(client, TOOL, skill="landing page for an analytics tool", input="It is for small shops")
    assert view["skill"] == "landing_page_cro"
    assert "landing page for an analytics tool" in view["prompt"]
    assert "It is for small shops" in view["prompt"]


async def test_a_name_alone_tells_what_the_skill_asks(client: Client) -> None:
    result = await client.call_tool(TOOL, {"skill": "email_sequence"})
    view = content(result)
    assert view["key_questions"]
    assert "prompt" not in view
    assert view["key_questions"][0]["question"] in words(result)


@pytest.mark.parametrize("everything", ["?", " "])
async def test_every_skill_is_listed(client: Client, everything: str) -> None:
    view = await call(client, TOOL, skill=everything)
    assert {row["skill"] for row in view["candidates"]} == set(SKILLS)


async def test_a_brainstorm_brings_frameworks(client: Client) -> None:
    result = await client.call_tool(TOOL, {"skill": "?", "brainstorm": BRAINSTORM})
    view, text = content(result), words(result)
    assert (view["mode"], view["task_type"], view["skill"]) == ("brainstorm", "landing_page", "landing_page_cro")
    for part in ("angles", "headlines", "value_propositions"):
        assert len(view["context"][part]) >= 3
        assert all(idea["line"] in text for idea in view["context"][part])
    assert view["context"]["market_stage"]["id"] == "crowded"
    assert not re.search(r"\{\w+\}", text)
    following = view["next_calls"][0]
    assert (await call(client, following["tool"], **following["arguments"]))["skill"] == "landing_page_cro"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"skill": "emailsequnce"}, ["email_sequence"]),
        ({"skill": "xyzzyq"}, ["no skill 'xyzzyq'"]),
        ({"skill": "email_sequence", "input": "  ", "context": {"product": ""}}, ["input is empty"]),
        ({"skill": "email_sequence", "input": "x" * 30_000}, ["30000 letters", "20000"]),
        ({"skill": "?", "brainstorm": {"task_type": "lunch"}}, ["launch"]),
        ({"skill": "?", "brainstorm": {**BRAINSTORM, "market_stage": "dead"}}, ["market stage", "mature"]),
        ({"skill": "?", "brainstorm": "landing_page"}, ["brainstorm must be an object"]),
        ({"skill": "?", "inputs": "x"}, ["'input'"]),
        ({}, ["skill is missing"]),
    ],
)
async def test_mistakes_are_answered_in_words(client: Client, arguments: dict[str, Any], expected: list[str]) -> None:
    result = await client.call_tool(TOOL, arguments)
    text = words(result)
    if result.structured_content is None:
        assert result.is_error
    for part in expected:
        assert part in text


async def test_nothing_fits(client: Client) -> None:
    view = await call(client, TOOL, skill="zzz qqq xxx")
    assert view["candidates"] == []
    assert "Nothing fits" in view["next"]


@pytest.mark.parametrize("era", ["legacy"], indirect=True)
async def test_skills_of_the_users_are_used_and_reported(
    era: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKROOM_SKILLS_DIR", str(tmp_path / "mine"))
    await anyio.to_thread.run_sync(write_skill, tmp_path / "mine", "film-cutting")
    await anyio.to_thread.run_sync(write_skill, tmp_path / "mine", "broken", "nothing")
    app = await anyio.to_thread.run_sync(lambda: App(Settings.load()))
    async with connected(app, era) as client:
        rows = await call(client, TOOL, skill="?")
        assert [row["skill"] for row in rows["candidates"] if row.get("yours")] == ["film_cutting"]
        assert "broken" in rows["warnings"][0]
        refused = await client.call_tool(TOOL, {"skill": "broken", "input": "Join clips"})
        assert refused.is_error
        assert "front matter" in words(refused)
        await anyio.to_thread.run_sync(write_skill, tmp_path / "mine", "late")
        assert (await call(client, TOOL, skill="late", input="Join clips"))["skill"] == "late"


def test_an_answer_stays_small() -> None:
    """The longest brief of a shipped skill, in bytes of JSON, must fit beside a conversation."""
    import json

    from helpers_knowledge import skill_library

    library = skill_library()
    for skill in library.select():
        args = invoke_skill.InvokeSkillArgs(skill=skill.id, input="Something for a bakery")
        view = invoke_skill.answer(args, library)
        assert len(json.dumps(view)) < 24_000, skill.id
