"""The contents of `darkroom://frameworks...`, `darkroom://agents...` and `skill://...`."""

import mimetypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from mcp.server.lowlevel.helper_types import ReadResourceContents
from mcp_types import Resource, ResourceTemplate

from darkroom.catalog.frameworks import families, family
from darkroom.catalog.skills import FILE, Skill
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.errors import InvalidRequest
from darkroom.server import skill_views as views
from darkroom.server.context import Program

SKILL_SCHEME = "skill://"
JSON, MARKDOWN = "application/json", "text/markdown"
RESOURCES = (
    Resource(
        uri="darkroom://frameworks",
        name="frameworks",
        title="Frameworks",
        description="Families of frameworks for copy, positioning, pictures and clips.",
        mime_type=JSON,
    ),
    Resource(
        uri="darkroom://agents",
        name="agents",
        title="Agents",
        description="Every agent by layer, with its tier and what it does.",
        mime_type=JSON,
    ),
)
TEMPLATES = (
    ResourceTemplate(
        uri_template="darkroom://frameworks/{family}",
        name="framework_family",
        title="Family of frameworks",
        description="Its entries: template, when to use it and when not, example, origin.",
        mime_type=JSON,
    ),
    ResourceTemplate(
        uri_template="darkroom://agents/{agent}",
        name="agent",
        title="Agent",
        description="Whom to take it for, what it is given, what it needs here, and its prompt.",
        mime_type=JSON,
    ),
    ResourceTemplate(
        uri_template="skill://{skill}/{+path}",
        name="skill_file",
        title="File of a skill",
        description="SKILL.md is how the work is done; the other files are named in it.",
    ),
)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Reads skills, agents and frameworks for resources; every method may read files."""

    program: Program

    def skills(self) -> list[Resource]:
        """Return a resource for every skill."""
        return [skill_resource(skill) for skill in self.program.skills.select()]

    def handler(self, parts: Sequence[str]) -> Callable[[], dict[str, Any]] | None:
        """Return what makes the content of a `darkroom://` path, or None when it is none of these."""
        match list(parts):
            case ["frameworks"]:
                return self.families
            case ["frameworks", name]:
                return lambda: self.family(name)
            case ["agents"]:
                return self.agents
            case ["agents", name]:
                return lambda: self.agent(name)
            case _:
                return None

    def families(self) -> dict[str, Any]:
        """Return every family with its entries' names."""
        rows = [
            {
                "family": name,
                "title": found.title,
                "about": found.about,
                "entries": [entry.id for entry in found.entries],
                "uri": f"darkroom://frameworks/{name}",
            }
            for name, found in families().items()
        ]
        return {"families": rows}

    def family(self, name: str) -> dict[str, Any]:
        """Return one family, whole.

        Raises:
            InvalidRequest: If there is none.
        """
        return views.family_view(name, family(name))

    def agents(self) -> dict[str, Any]:
        """Return every agent by layer, and the tiers."""
        layers: dict[str, list[dict[str, Any]]] = {}
        for agent in self.program.agents.select():
            layers.setdefault(agent.layer, []).append(views.agent_row(agent))
        tiers = self.program.agents.tiers()
        return {
            "count": sum(len(ids) for ids in tiers.values()),
            "tiers": {tier: len(ids) for tier, ids in tiers.items()},
            "layers": layers,
            "more": "darkroom://agents/{agent}",
        }

    def agent(self, name: str) -> dict[str, Any]:
        """Return all about one agent.

        Raises:
            InvalidRequest: If there is none.
        """
        agent = self.program.agents.find(name)
        return views.agent_details(agent, self.program.agents.needs(agent))

    def skill_file(self, uri: str) -> ReadResourceContents:
        """Return one file of a skill, SKILL.md where none is named.

        Raises:
            InvalidRequest: If there is no such skill or file.
        """
        name, _, path = uri.removeprefix(SKILL_SCHEME).partition("/")
        skill, path = self.program.skills.get(name), path or FILE
        path = path if path in skill.files else unquote(path)
        if path not in skill.files:
            near = did_you_mean(path, skill.files)
            raise InvalidRequest(f"The skill {skill.name} has no file {clip(path)!r}.{near}", allowed=list(skill.files))
        data, kind = (skill.folder / path).read_bytes(), media_type(path)
        try:
            return ReadResourceContents(content=data.decode(), mime_type=kind)
        except UnicodeDecodeError:
            return ReadResourceContents(content=data, mime_type=kind)


def skill_uri(skill: Skill, path: str) -> str:
    """Return the URI of a skill's file."""
    return f"{SKILL_SCHEME}{skill.name}/{quote(path)}"


def media_type(path: str) -> str:
    """Return the media type of a skill's file by its name."""
    return MARKDOWN if path.endswith(".md") else mimetypes.guess_type(path)[0] or "text/plain"


def skill_resource(skill: Skill) -> Resource:
    """Return what is said of a skill's main file; its name and description are the skill's own (SEP-2640)."""
    return Resource(
        uri=skill_uri(skill, FILE),
        name=skill.name,
        title=skill.title,
        description=skill.description,
        mime_type=MARKDOWN,
    )
