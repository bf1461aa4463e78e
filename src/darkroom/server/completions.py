"""Completions of the arguments of prompts and of the places in resource URIs."""

from collections.abc import Callable, Iterable

from mcp_types import Completion, PromptReference, ResourceTemplateReference

from darkroom.catalog.frameworks import families, tasks
from darkroom.server.context import Program
from darkroom.server.prompts import BRAINSTORM

MOST = 100
"""Values in one answer, by the protocol."""


def complete(program: Program, ref: PromptReference | ResourceTemplateReference, name: str, begun: str) -> Completion:
    """Return what an argument may be that begins so, or holds it; may read files."""
    found = _values(program, ref, name)
    low = begun.lower()
    values = [value for value in found if value.lower().startswith(low)]
    values += [value for value in found if low in value.lower() and value not in values]
    return Completion(values=values[:MOST], total=len(values), has_more=len(values) > MOST)


def _values(program: Program, ref: PromptReference | ResourceTemplateReference, name: str) -> list[str]:
    sources: dict[str, Callable[[], Iterable[str]]] = {
        "task_type": tasks,
        "market_stage": lambda: families()["market_stages"].by_id,
        "family": families,
        "agent": lambda: (agent.id for agent in program.agents.select()),
        "provider": lambda: program.providers,
        "model": lambda: {item.offer.model for item in program.pricing.offers()},
    }
    if name == "skill" and isinstance(ref, PromptReference) and ref.name != BRAINSTORM:
        return sorted(skill.id for skill in program.skills.select() if skill.category == ref.name)
    if name == "skill":
        return sorted(skill.name for skill in program.skills.select())
    return sorted(sources[name]()) if name in sources else []
