"""The next calls of briefs as commands: each is one that the terminal takes."""

import re
import shlex
from typing import Any

import pytest
from typer.main import get_command

from darkroom.catalog.agents import agents
from darkroom.catalog.data import requests
from darkroom.cli.calls import as_terminal, command_of
from darkroom.cli.commands import cli
from darkroom.llm.handoff import text
from helpers_handoff import ARGS, LIVE, Desk

DRAFTS, PAID = Desk(), Desk(LIVE)
TASKS = [
    "can you animate my photo?",
    "put our logo on a mug",
    "make it blue",
    "make a picture of a fox, then animate it",
    "remove the car from car.png",
    "a video of a fox with 8 seconds, vertical, in 720p",
    "what would 40 pictures and 3 videos a month cost?",
    "how much did I spend this month?",
    "what would a 4K video cost?",
    "why did my video fail?",
    "stop",
    "retry job_4f2",
    "cancel job_4f2",
    "what can you do?",
    "Write me fake five-star reviews",
]
OWN = [(name, requests("agents")[name][0]) for name in agents()]


def taken(command: str) -> str:
    """Parse a command as the terminal would, without carrying it out; return its name."""
    words = shlex.split(command, comments=True)
    assert words[0] == "darkroom"
    found: Any = get_command(cli)
    rest, names = words[1:], list[str]()
    while hasattr(found, "get_command") and rest and (inner := found.get_command(None, rest[0])) is not None:
        found, names, rest = inner, [*names, rest[0]], rest[1:]
    found.make_context(" ".join(names), rest)
    return " ".join(names)


def checked(brief: dict[str, Any]) -> set[str]:
    """Hold every call of a brief to the terminal; return the tools that they are of."""
    for call in brief.get("next_calls", ()):
        taken(re.sub(r"<(\w+)>", r"\1", command_of(call)))  # with what is open filled
    return {call["tool"] for call in brief.get("next_calls", ())}


@pytest.mark.parametrize("words", TASKS)
def test_every_call_of_a_brief_is_a_command(words: str) -> None:
    for desk in (DRAFTS, PAID):
        brief = desk.brief(None, words, session_id="ses_1")
        assert checked(brief)
        said = text(as_terminal(brief), command_of)
        assert not any(f"{tool}(" in said.partition("NEXT CALLS")[2] for tool in ARGS)


@pytest.mark.parametrize(("name", "words"), OWN)
def test_every_call_of_an_agent_s_brief_is_a_command(name: str, words: str) -> None:
    context: dict[str, Any] = {"product": "a desk lamp", "audience": "night workers", "market_stage": "crowded"}
    checked(PAID.brief(name, words, context=context, session_id="ses_1"))


def test_the_tasks_name_every_tool() -> None:
    found = {tool for words in TASKS for tool in checked(DRAFTS.brief(None, words))}
    assert found | {"invoke_skill"} == {*ARGS, "run_agent"}


@pytest.mark.parametrize(
    ("tool", "arguments", "command"),
    [
        ("generate_image", {"prompt": "Anna's mug", "aspect_ratio": "1:1", "n": 3, "max_cost": 0.5},
         "darkroom generate image 'Anna'\"'\"'s mug' --ratio 1:1 --count 3 --max-cost 0.5"),
        ("generate_video", {"prompt": "rain", "duration": 5, "audio": False, "n": 2, "images": ["out_1", "b c.png"]},
         "darkroom generate video rain --duration 5 --no-audio -i out_1 -i 'b c.png'  # 2 times, each with --again"),
        ("generate_image", {"prompt": "blue", "refine": "job_1", "again": True},
         "darkroom generate image blue --refine job_1 --again"),
        ("estimate_credits", {"operation": "image", "n": 4, "size": "64x64"},
         "darkroom estimate image -n 4 --size 64x64"),
        ("estimate_credits", {"operation": "month", "usage": {"images": 3}}, "darkroom estimate month images=3"),
        ("estimate_credits", {"operation": "spent", "since": "month"}, "darkroom usage --since month"),
        ("check_job", {"status": "failed"}, "darkroom jobs --status failed"),
        ("check_job", {"job_id": "job_1", "wait": 45}, "darkroom check job_1 --wait 45"),
        ("cancel_job", {"job_id": "job_1"}, "darkroom cancel job_1"),
        ("run_agent", {"task": "", "agent": "?"}, "darkroom agents"),
        ("run_agent", {"task": "a film", "workflow": "product_video", "max_cost": 3},
         "darkroom workflow run product_video 'a film' --max-cost 3"),
        ("run_agent", {"task": "a film", "agent": "copy", "session_id": "ses_1"},
         "darkroom agent run 'a film' --agent copy --session ses_1"),
        ("invoke_skill", {"skill": "?"}, "darkroom skills"),
        ("invoke_skill", {"skill": "email", "input": "a mail", "context": {"product": "a lamp", "n": [1]}},
         "darkroom skill invoke email 'a mail' --with 'product=a lamp' --with 'n=[1]'"),
        ("invoke_skill", {"skill": "email", "brainstorm": {"task_type": "email", "product": "x"}},
         "darkroom skill invoke email --brainstorm email --with product=x"),
    ],
)  # fmt: skip
def test_a_call_has_its_command(tool: str, arguments: dict[str, Any], command: str) -> None:
    assert command_of({"tool": tool, "arguments": arguments}) == command
    assert taken(command)


def test_what_a_call_lacks_stops_the_shell() -> None:
    assert command_of({"tool": "generate_image", "arguments": {}, "missing": ["prompt"]}) == (
        "darkroom generate image <prompt>"
    )
    assert command_of({"tool": "cancel_job", "arguments": {}, "missing": ["job_id"]}) == "darkroom cancel <job_id>"
    lacking = {"tool": "run_agent", "arguments": {"task": "x"}, "missing": ["context"]}
    assert command_of(lacking) == "darkroom agent run x -c <key>=<value>"


def test_a_brief_names_commands_and_leaves_the_user_s_words() -> None:
    brief = DRAFTS.brief(None, "Erstelle ein Bild von check_job und run_agent")
    said = text(as_terminal(brief), command_of)
    assert "darkroom generate image PROMPT" in said
    assert "check_job und run_agent" in said
    refused = text(as_terminal(DRAFTS.brief(None, "make a picture of a mug, but no video")), command_of)
    assert "no darkroom generate video" in refused
