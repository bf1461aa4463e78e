"""The catalogue of agents: who there is, what they need, and whom to take for a task; runs none."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from darkroom.catalog.agents import TIERS, Agent, Tier
from darkroom.catalog.data import requests
from darkroom.domain.kinds import Kind
from darkroom.domain.names import LIKE, did_you_mean, plain
from darkroom.domain.request import clip
from darkroom.errors import InvalidRequest
from darkroom.services.pricing import Pricing
from darkroom.services.ranking import ASKED, BODY, CASE, MATCH, TEXT, Ranking


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An agent for a task: how surely (0 to 1), and why."""

    agent: Agent
    confidence: float
    reason: str


@dataclass(frozen=True, slots=True)
class Need:
    """A kind of media that an agent works with, and who can make it here."""

    kind: Kind
    ready: tuple[str, ...]
    missing: Mapping[str, str]
    """What each provider lacks that could do it."""


FITTING = 0.5
"""The confidence from which words mean an agent."""
MEANT = 3
"""How many are named who may be meant."""
PART = 3
"""Letters from which a word's beginning is taken for it."""
ONBOARDING = "onboarding"
"""What the ids or categories of agents hold whose answers are kept."""


def keeps_answers(agent: Agent | None) -> bool:
    """Return whether what an agent is told is kept for its session."""
    return agent is not None and ONBOARDING in f"{agent.id} {agent.category}"


class AgentCatalogue:
    """Answers about agents; every method may read files."""

    def __init__(self, agents: Callable[[], Mapping[str, Agent]], pricing: Pricing) -> None:
        self._agents = agents
        self._pricing = pricing
        self._ranking: Ranking | None = None

    def select(self, *, layer: str | None = None, tier: str | None = None, search: str | None = None) -> list[Agent]:
        """Return agents by layer and id, or by fit where something is searched.

        Raises:
            InvalidRequest: If there is no such layer or tier.
        """
        every = self._agents()
        layers = {name for agent in every.values() for name in (agent.layer, agent.category)}
        for field, value, allowed in (("layer", layer, layers), ("tier", tier, set(TIERS))):
            if value is not None and value not in allowed:
                near = did_you_mean(value, allowed)
                raise InvalidRequest(
                    f"There is no {field} {clip(value)!r} of agents.{near}", field=field, allowed=sorted(allowed)
                )
        found = [
            agent
            for agent in every.values()
            if layer in (None, agent.layer, agent.category) and tier in (None, agent.tier)
        ]
        if search is None:
            return sorted(found, key=lambda agent: (agent.layer, agent.id))
        order = [item.id for item in self._index().rank(search)]
        return sorted((agent for agent in found if agent.id in order), key=lambda agent: order.index(agent.id))

    def find(self, name: str) -> Agent:
        """Return an agent by id, long id, alias or title, in any spelling.

        Raises:
            InvalidRequest: If there is none; the nearest is named.
        """
        wanted = _plain(name)
        for agent in self._agents().values():
            if wanted in {_plain(text) for text in (agent.id, agent.name, agent.title, *agent.aliases)}:
                return agent
        raise InvalidRequest(
            f"There is no agent {clip(name)!r}.{self._meant(name)}",
            field="agent",
            hint="Nothing was stored. darkroom://agents lists all, run_agent(task=..., agent='?') ranks those that "
            "fit; without agent the best one is taken.",
        )

    def _meant(self, name: str) -> str:
        """Return who may be meant by a name that nobody has: a part of names, a slip, or what somebody does."""
        found = [agent.id for agent in self._agents().values() if _part_of(name, agent)][:MEANT]
        if len(found) < 2 and (near := did_you_mean(found[0] if found else name, self._agents(), alike=LIKE)):
            return near
        found = found or [one.agent.id for one in self.recommend(name, limit=1) if one.confidence >= FITTING]
        return f" {' or '.join(found)} may be whom you want." if found else ""

    def tiers(self) -> dict[Tier, list[str]]:
        """Return the ids of the agents of each tier."""
        return {tier: [agent.id for agent in self.select(tier=tier)] for tier in TIERS}

    def needs(self, agent: Agent) -> list[Need]:
        """Return who could make what an agent works with, and what they lack."""
        found: list[Need] = []
        for kind in agent.needs:
            states: dict[str, set[str]] = {}
            for item in self._pricing.offers():
                if item.offer.kind is kind:
                    states.setdefault(item.provider.id, set()).add(self._pricing.state(item))
            ready = sorted(name for name, several in states.items() if "ready" in several)
            missing = {name: min(several) for name, several in sorted(states.items()) if name not in ready}
            found.append(Need(kind, tuple(ready), missing))
        return found

    def recommend(self, task: str, limit: int = 3) -> list[Recommendation]:
        """Return the agents that fit a task best, best first; none where nothing fits."""
        every = self._agents()
        found = self._index().rank(task)[:limit]
        return [Recommendation(every[item.id], item.confidence, _reason(every[item.id], item.found)) for item in found]

    def _index(self) -> Ranking:
        self._ranking = self._ranking or index_of(self._agents().values())
        return self._ranking


def index_of(agents: Collection[Agent], *, bodies: bool = True) -> Ranking:
    """Return what ranks agents, by their prompts too or without them."""
    return Ranking(
        {agent.id: _described(agent)[: None if bodies else -1] for agent in agents},
        {agent.id: (*agent.match, agent.title) for agent in agents},
    )


def _described(agent: Agent) -> list[tuple[float, str]]:
    return [
        (MATCH, " ".join(agent.match)),
        (CASE, " ".join(agent.recommended_for)),
        (TEXT, f"{agent.title} {agent.description}"),
        (ASKED, " ".join(requests("agents").get(agent.id, ()))),
        (BODY, agent.prompt),
    ]


def _reason(agent: Agent, found: tuple[str, ...]) -> str:
    case = f" Good for: {agent.recommended_for[0].rstrip('.')}." if agent.recommended_for else ""
    return f"Found by {', '.join(found[:4])}.{case}"


def _part_of(name: str, agent: Agent) -> bool:
    """Return whether all words of a name are, or begin, words of an agent's names."""
    known = _words(" ".join((agent.id, agent.title, *agent.aliases)))
    return all(
        any(word == one or (len(word) >= PART and one.startswith(word)) for one in known) for word in _words(name)
    ) and bool(_words(name))


def _words(text: str) -> list[str]:
    """Return the words of a name, without those that every agent has."""
    return [word for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in ("agent", "agents")]


def _plain(name: str) -> str:
    text = plain(name)
    return text.removesuffix("agent") or text
