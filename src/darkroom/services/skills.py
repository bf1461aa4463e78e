"""The skill library: finds a skill, and turns it with what is known of the work into a brief that can be followed."""

import contextlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import JsonValue

from darkroom.catalog.data import requests
from darkroom.catalog.frameworks import families
from darkroom.catalog.skills import CallTemplate, Question, Skill, Skills
from darkroom.domain.names import LIKE, did_you_mean, plain
from darkroom.domain.request import clip
from darkroom.errors import InvalidRequest
from darkroom.services.agents import AgentCatalogue
from darkroom.services.ranking import ASKED, BODY, CASE, MATCH, TEXT, Ranking, contains, tokens

SURE = 0.45
"""The confidence from which search words are taken to mean one skill."""
FRAMEWORKS = 4
"""How many entries of a family go into an answer."""
VALUE = 400
"""Letters of a value that go into a call."""
_PLACE = re.compile(r"\{([a-z][a-z0-9_]*)\|([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A skill that may be meant: how surely (0 to 1), and why."""

    skill: Skill
    confidence: float
    reason: str


@dataclass(frozen=True, slots=True)
class NextCall:
    """A tool call with its arguments filled in."""

    tool: str
    why: str
    arguments: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Invocation:
    """A skill made ready for one piece of work."""

    skill: Skill
    agent: str
    """Id of the agent to use."""
    prompt: str
    context: dict[str, Any]
    """What goes to the agent beside the prompt."""
    questions: tuple[Question, ...]
    """What the request leaves open."""
    deliverables: tuple[str, ...]
    next_calls: tuple[NextCall, ...]


class SkillLibrary:
    """Lists, searches and invokes skills; every method may read files."""

    def __init__(self, skills: Skills, agents: AgentCatalogue) -> None:
        self._skills = skills
        self._agents = agents
        self._ranking: tuple[Mapping[str, Skill], Ranking] | None = None

    @property
    def problems(self) -> Sequence[str]:
        """Why skills of the user's folder were left out, as of the last look."""
        return self._skills.problems

    def select(self, *, category: str | None = None, search: str | None = None) -> list[Skill]:
        """Return skills by category and id, or by fit where something is searched.

        Raises:
            InvalidRequest: If there is no such category.
        """
        every = self._skills.current()
        categories = sorted({skill.category for skill in every.values()})
        if category is not None and category not in categories:
            near = did_you_mean(category, categories)
            raise InvalidRequest(
                f"There is no category {clip(category)!r} of skills.{near}", field="category", allowed=categories
            )
        if search is not None:
            found = [candidate.skill for candidate in self.search(search, limit=len(every))]
        else:
            found = sorted(every.values(), key=lambda skill: (skill.category, skill.id))
        return [skill for skill in found if category in (None, skill.category)]

    def search(self, words: str, limit: int = 5) -> list[Candidate]:
        """Return the skills that fit best, best first; none where nothing fits."""
        every = self._skills.current()
        found = self._index(every).rank(words)[:limit]
        return [Candidate(every[item.id], item.confidence, _reason(every[item.id], item.found)) for item in found]

    def named(self, name: str) -> Skill | None:
        """Return the skill of an id, name, title or alias, in any spelling."""
        wanted, every = plain(name), self._skills.current().values()
        for own in (True, False):  # ids before titles and aliases, which several may share
            for skill in every:
                texts = (skill.id, skill.name) if own else (skill.title, *skill.aliases)
                if wanted in map(plain, texts):
                    return skill
        return None

    def left_out(self, name: str) -> str | None:
        """Return why a skill of the user's by that name was left out, if it was."""
        return next((why for folder, why in self._skills.refused.items() if plain(folder) == plain(name)), None)

    def get(self, name: str) -> Skill:
        """Return a skill by name.

        Raises:
            InvalidRequest: If there is none; the nearest, and what fits the words, are named.
        """
        skill = self.named(name)
        if skill is not None:
            return skill
        near = did_you_mean(name, self._skills.current(), alike=LIKE)
        best = self.search(name, limit=1)
        other = f" {best[0].skill.id} may be what you want." if best and not near else ""
        refused = self.left_out(name)
        why = f" There is a folder of that name: {refused}." if refused else ""
        raise InvalidRequest(f"There is no skill {clip(name)!r}.{near}{other}{why}", field="skill")

    def invoke(self, skill: Skill, request: str, context: Mapping[str, Any]) -> Invocation:
        """Return a skill made ready for a request; `context` holds what is known, by key of its questions or any other.

        Raises:
            InvalidRequest: If there is neither a request nor anything known.
        """
        known = {key: value for key, value in context.items() if value not in (None, "", [], {})}
        if not request.strip() and not known:
            raise InvalidRequest("Say what the skill is to do: input is empty.", field="input")
        values = {**{key: _said(value).rstrip(" .!") for key, value in known.items()}, "input": request.strip()}
        heard = tokens(" ".join([request, *(value for key, value in values.items() if key != "input")]))
        labels = {match.lower() for match in re.findall(r"^\s*[-*]?\s*(\w+)\s*:", request, re.MULTILINE)}
        questions = tuple(
            question
            for question in skill.questions
            if question.key not in known and question.key not in labels and not _answered(question, heard)
        )
        agent = self._agent_of(skill, request)
        return Invocation(
            skill=skill,
            agent=agent,
            prompt=_prompt(skill, request, known, questions),
            context=_context(skill, known),
            questions=questions,
            deliverables=skill.deliverables,
            next_calls=tuple(_call(template, values) for template in skill.calls),
        )

    def _agent_of(self, skill: Skill, request: str) -> str:
        with contextlib.suppress(InvalidRequest):  # a skill of the user's may name an agent that there is not
            if skill.agent is not None:
                return self._agents.find(skill.agent).id
        best = self._agents.recommend(f"{skill.title} {skill.description} {request}", limit=1)
        return best[0].agent.id if best else self._agents.select()[0].id

    def _index(self, every: Mapping[str, Skill]) -> Ranking:
        if self._ranking is None or self._ranking[0] is not every:
            self._ranking = every, index_of(every.values())
        return self._ranking[1]


def index_of(skills: Collection[Skill], *, bodies: bool = True) -> Ranking:
    """Return what ranks skills, by their texts too or without them."""
    return Ranking(
        {skill.id: _described(skill)[: None if bodies else -1] for skill in skills},
        {skill.id: (*skill.match, skill.title, *skill.aliases) for skill in skills},
    )


def _described(skill: Skill) -> list[tuple[float, str]]:
    return [
        (MATCH, " ".join(skill.match)),
        (CASE, " ".join(skill.use_cases)),
        (TEXT, f"{skill.title} {skill.description}"),
        (ASKED, " ".join(requests("skills").get(skill.id, ()))),
        (BODY, " ".join([skill.intro, *(item.text for item in skill.questions), skill.method, *skill.deliverables])),
    ]


def _reason(skill: Skill, found: Sequence[str]) -> str:
    return f"{first_sentence(skill.description)} Found by {', '.join(found[:4])}."


def first_sentence(text: str) -> str:
    """Return the first sentence of a description, at most 200 letters of it."""
    return clip(re.split(r"(?<=[.!?])\s", text.strip(), maxsplit=1)[0], 200)


def _answered(question: Question, heard: Sequence[str]) -> bool:
    return any(words and contains(heard, words) for words in map(tokens, question.heard))


def _said(value: object) -> str:
    return ", ".join(map(str, cast("list[object]", value))) if isinstance(value, list) else str(value)


def _call(template: CallTemplate, values: Mapping[str, str]) -> NextCall:
    return NextCall(template.tool, template.why, {key: _fill(part, values) for key, part in template.arguments.items()})


def _fill(part: JsonValue, values: Mapping[str, str]) -> JsonValue:
    """Return an argument with its places filled: with what is known, else with the words behind the bar."""
    match part:
        case str():
            return _PLACE.sub(lambda match: clip(values.get(match[1]) or match[2], VALUE), part)
        case dict():
            return {key: _fill(value, values) for key, value in part.items()}
        case list():
            return [_fill(value, values) for value in part]
        case _:
            return part


def _prompt(skill: Skill, request: str, known: Mapping[str, Any], questions: Sequence[Question]) -> str:
    """Return what to tell whoever does the work; the whole text of a skill that has no sections of ours."""
    parts = [skill.intro if skill.method else skill.body]
    if request.strip():
        parts.append(f"The work: {request.strip()}")
    parts += _listed("Known:", [f"{key}: {clip(_said(value), VALUE)}" for key, value in known.items()])
    parts += _listed("Not known yet (ask, or say what you assume):", [question.text for question in questions])
    if skill.method:
        parts.append(f"How:\n{skill.method}")
    parts += _listed("Deliver:", skill.deliverables)
    parts += _listed("It is done when each of these is answered with yes:", skill.quality_bar)
    return "\n\n".join(parts)


def _listed(heading: str, lines: Sequence[str]) -> list[str]:
    return ["\n".join([heading, *(f"- {line}" for line in lines)])] if lines else []


def _context(skill: Skill, known: Mapping[str, Any]) -> dict[str, Any]:
    stage = str(known.get("market_stage", "")).lower()
    context: dict[str, Any] = {"known": dict(known)} if known else {}
    if skill.best_practices:
        context["best_practices"] = list(skill.best_practices)
    if skill.mistakes:
        context["common_mistakes"] = list(skill.mistakes)
    if skill.frameworks:
        context["frameworks"] = {name: _entries(name, stage) for name in skill.frameworks if name in families()}
    context["files"] = [f"skill://{skill.name}/{name}" for name in skill.files]
    return context


def _entries(family: str, stage: str) -> list[str]:
    """Return the first entries of a family in one line each, those that suit the market stage first."""
    entries = sorted(families()[family].entries, key=lambda entry: stage not in entry.best_for and stage != entry.id)
    return [f"{entry.name}: {entry.template or entry.what}" for entry in entries[:FRAMEWORKS]]
