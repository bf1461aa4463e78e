"""What becomes of a message that names no agent: requests, questions, refusals, several wishes, other languages."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from darkroom.services.intents import read
from helpers_handoff import LIVE, Desk

TABLE: dict[str, list[list[str]]] = tomllib.loads((Path(__file__).parent / "asked.toml").read_text("utf-8"))
DRAFTS, PAID = Desk(), Desk(LIVE)
MAKES_NOTHING = [row for name in ("questions", "control", "negations", "others", "languages") for row in TABLE[name]]


def called(words: str, desk: Desk = DRAFTS) -> list[dict[str, Any]]:
    """Return the next calls of a brief without an agent, each held to its tool."""
    found: list[dict[str, Any]] = desk.brief(None, words).get("next_calls", [])
    for call in found:
        desk.check(call)
    return found


def test_the_table_is_large_enough() -> None:
    assert sum(len(rows) for rows in TABLE.values()) >= 90


@pytest.mark.parametrize(("words", "tool", "prompt"), TABLE["jobs"])
def test_a_plain_request_starts_its_job(words: str, tool: str, prompt: str) -> None:
    intent = read(words)
    assert intent is not None
    assert (intent.tool, intent.arguments["prompt"]) == (tool, prompt)


@pytest.mark.parametrize(("words", "tool", "prompt"), TABLE["wishes"])
def test_a_wish_that_needs_a_reader_is_handed_over_with_its_call_first(words: str, tool: str, prompt: str) -> None:
    assert read(words) is None
    for desk in (DRAFTS, PAID):
        first = called(words, desk)[0]
        assert (first["tool"], first["arguments"].get("prompt", "")) == (tool, prompt)


@pytest.mark.parametrize(("words", "agent", "prompt"), TABLE["orders"])
def test_an_order_goes_to_who_makes_it_whatever_trade_it_speaks_of(words: str, agent: str, prompt: str) -> None:
    for desk in (DRAFTS, PAID):
        made = [call for call in called(words, desk) if call["tool"] in ("generate_image", "generate_video")]
        assert (desk.brief(None, words).get("agent", ""), made[0]["arguments"]["prompt"]) == (agent, prompt)


@pytest.mark.parametrize(("words", "agent"), TABLE["trades"])
def test_a_picture_that_is_only_spoken_of_is_no_order(words: str, agent: str) -> None:
    brief = DRAFTS.brief(None, words)
    assert brief["agent"] == agent
    assert brief["next_calls"][0]["tool"] == "invoke_skill"


@pytest.mark.parametrize(("words", "tool"), MAKES_NOTHING)
def test_a_question_or_a_refusal_makes_nothing(words: str, tool: str) -> None:
    assert read(words) is None
    for desk in (DRAFTS, PAID):
        tools = [call["tool"] for call in called(words, desk)]
        assert (tools or [""])[0] == tool
        assert {"generate_image", "generate_video"}.isdisjoint(tools)
