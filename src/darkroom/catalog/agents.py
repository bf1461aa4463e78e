"""Agents: who does a piece of work, as Markdown files that Claude Code also loads as subagents."""

import re
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from darkroom.catalog.data import manifests_dir
from darkroom.catalog.documents import Document, DocumentError, read_document
from darkroom.domain.kinds import Kind

Tier = Literal["economy", "standard", "premium"]
TIERS: dict[Tier, str] = {
    "premium": "complex reasoning: law, money, knowledge",
    "standard": "general work",
    "economy": "simple routing and formatting",
}
_INPUT = re.compile(r"`([a-z][a-z0-9_]*)` \((required|optional)\): (.+)")
_PREFIX = "mcp__darkroom__"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Input(_Strict):
    """Something an agent is given, and why."""

    name: str
    why: str
    required: bool


class Front(_Strict):
    """The front matter of an agent; `name`, `description`, `tools`, `model` and `skills` are Claude Code's."""

    name: str
    description: str = Field(min_length=20, max_length=1024)
    tools: str
    model: Literal["haiku", "sonnet", "opus"]
    skills: tuple[str, ...] = ()
    id: str
    title: str
    layer: str
    category: str
    tier: Tier
    aliases: tuple[str, ...] = ()
    match: tuple[str, ...] = ()
    recommended_for: tuple[str, ...] = ()
    needs: tuple[Kind, ...] = ()


class Agent(_Strict):
    """One agent, read."""

    id: str
    name: str
    title: str
    description: str
    layer: str
    category: str
    tier: Tier
    aliases: tuple[str, ...]
    match: tuple[str, ...]
    recommended_for: tuple[str, ...]
    needs: tuple[Kind, ...]
    """Kinds of media that it makes or reads."""
    tools: tuple[str, ...]
    """Our tools that it uses."""
    skills: tuple[str, ...]
    """Names of the skills that it uses."""
    role: str
    inputs: tuple[Input, ...]
    method: tuple[str, ...]
    output: str
    limits: tuple[str, ...]
    prompt: str
    """The whole text, as a model is given it."""


@cache
def agents() -> dict[str, Agent]:
    """Return every agent by id; reads files the first time.

    Raises:
        DocumentError: If a shipped file is broken.
    """
    folder = manifests_dir("agents")
    found = (_agent(read_document(path, folder), path.stem) for path in sorted(folder.glob("*.md")))
    return {agent.id: agent for agent in found}


def _agent(document: Document, stem: str) -> Agent:
    try:
        front = Front.model_validate(document.front)
    except ValidationError as exc:
        error = exc.errors(include_url=False)[0]
        raise DocumentError(f"{stem}.md: {'.'.join(map(str, error['loc']))}: {error['msg']}") from exc
    if front.id != stem or front.name != stem.replace("_", "-"):
        raise DocumentError(f"{stem}.md: id and name must be those of the file")
    return Agent(
        **front.model_dump(exclude={"tools", "model"}),
        tools=tuple(tool.strip().removeprefix(_PREFIX) for tool in front.tools.split(",")),
        role=document.intro,
        inputs=tuple(_input(text, stem) for text in document.items("inputs")),
        method=document.items("method"),
        output=document.text("output"),
        limits=document.items("limits"),
        prompt=document.body,
    )


def _input(text: str, stem: str) -> Input:
    match = _INPUT.fullmatch(text)
    if match is None:
        raise DocumentError(f"{stem}.md: an input is written `name` (required or optional): why, not {text[:60]!r}")
    return Input(name=match[1], why=match[3], required=match[2] == "required")
