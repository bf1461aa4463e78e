"""The hand-off: the brief that a caller, itself a language model, carries out where none of ours is configured."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from pydantic import JsonValue

from darkroom.catalog.agents import Agent
from darkroom.catalog.frameworks import families
from darkroom.catalog.routing import DRAFT
from darkroom.catalog.skills import Skill
from darkroom.domain.asking import Aim
from darkroom.domain.job import Job
from darkroom.domain.money import MicroUsd, show_usd, to_micro
from darkroom.domain.request import clip
from darkroom.domain.run import Message
from darkroom.domain.spending import read_cap, without_caps
from darkroom.llm.handoff_calls import LIKELY, Case, next_calls
from darkroom.llm.handoff_change import ABOVE, things
from darkroom.llm.handoff_facts import Facts, facts_of, questions
from darkroom.llm.handoff_follow import ANY, follow_up
from darkroom.llm.handoff_media import TOOLS
from darkroom.llm.handoff_modes import MAKERS, Reading, deliverable_of, method_of, reading_of, role_of, ruled_out
from darkroom.llm.handoff_prices import Prices
from darkroom.llm.handoff_text import text
from darkroom.net.redact import redact
from darkroom.services.agents import AgentCatalogue, Need, Recommendation
from darkroom.services.ranking import words_of
from darkroom.services.routes import Routes
from darkroom.services.skills import SURE, SkillLibrary, first_sentence
from darkroom.settings import Settings

__all__ = ["HandOff", "text"]

TASK, OUTPUT, LINE, MESSAGE = 1_200, 1_100, 110, 280
"""Letters of a task, of the form of an output, of a framework and of an earlier message."""
NEAR = 0.1
"""How little less sure the agent may be who makes what a task orders, to be preferred to one who plans it."""
FITS = 0.55
"""The confidence from which a skill is offered to an agent that has none of its own."""
SKILLS, FAMILIES, ENTRIES, LATEST, FIELDS = 3, 2, 3, 6, 40
"""How many of each a brief holds."""
BEST, MANY = 3, 12
"""How many agents are listed, and how many are looked through for who makes what is ordered."""
_LACKS = {
    "images": "{what}? A path, an https URL or an output id: it goes into images, in place of the words in <>.",
    "refine": "Which clip? The id of its job or output: only clips that were made here can be changed.",
    "duration": "How long? A number of seconds.",
}
"""What is asked where a call waits for something that only the user has."""


class HandOff:
    """Assembles briefs from agents, skills, frameworks and prices; deterministic, reads files, starts nothing.

    Args:
        agents: Who there is.
        skills: How work is done well.
        routes: Which offers would take a call, and for how much.
        settings: Caps and budgets.
        workflows: Names of the workflows that `run_agent` takes.
    """

    def __init__(
        self,
        *,
        agents: AgentCatalogue,
        skills: SkillLibrary,
        routes: Routes,
        settings: Settings,
        workflows: Collection[str] = (),
    ) -> None:
        self._agents = agents
        self._skills = skills
        self._settings = settings
        self._prices = Prices(routes, settings)
        self._workflows = workflows

    def brief(
        self,
        *,
        agent: Agent | None,
        task: str,
        context: Mapping[str, JsonValue] | None = None,
        answers: Mapping[str, JsonValue] | None = None,
        history: Sequence[Message] = (),
        made: Sequence[Job] = (),
        max_cost: MicroUsd | None = None,
        returns: Mapping[str, Any] | None = None,
        session_id: str | None = None,
        principal: str = "local",
    ) -> dict[str, Any]:
        """Return what the caller needs to do the work: JSON, keys without a value left out; blocks, never refuses.

        Args:
            agent: Who is to do it; None takes the best one where it is sure enough, and lists the best three.
            task: What is wanted.
            context: What is known, by the agent's inputs or any other key.
            answers: What the session was told before, by the same keys; the context and the task's own words win.
            history: The messages of the session, oldest first.
            made: The jobs that the session started, newest first.
            max_cost: The most that all calls together may cost.
            returns: Fields of the answer, as JSON Schema or as name and meaning.
            session_id: The session that keeps answers.
            principal: Whose caps count.
        """
        said = redact(task.strip())
        max_cost, task = _cap(said, max_cost), without_caps(said)
        reading = reading_of(task)
        alone = agent is not None or reading.aim is not Aim.WORK or (not made and reading.wishes.made)
        follow = None if alone else follow_up(task, made)
        words = task if agent is not None else "" if follow else reading.ranked()
        candidates = self._candidates(agent, words, reading)
        sure = (one.agent for one in candidates[:1] if _fits(one, reading))
        acting = agent or next(sure, None)
        facts = facts_of(acting, task, context or {}, answers or {})
        skills, fitting = self._chosen(acting, "" if reading.wishes.made and acting is None else words)
        needs = self._agents.needs(acting) if acting else []
        capped = max_cost is not None or all(set(need.ready) <= {DRAFT} for need in needs)
        asked = _questions(acting, facts, capped=capped)
        case = Case(
            agent=acting,
            task=task,
            facts=facts,
            reading=reading,
            skills=skills,
            fitting=fitting,
            candidates=candidates,
            open=tuple(str(one["key"]) for one in asked),
            max_cost=max_cost,
            session_id=session_id,
            principal=principal,
            workflows=self._workflows,
            follow=follow,
            made=made,
        )
        calls, others = next_calls(case, self._prices), bool(candidates)
        assumed = None if agent is not None or acting is None else _assumed(others=len(candidates) > 1)
        steps = method_of(reading, calls=bool(calls), candidates=others, follow=follow)
        brief = {
            **_work(case, said),
            "constraints": {**_ruled_out(reading), **self._constraints(acting, needs, max_cost, assumed)},
            "questions": [*_lacking(calls, task), *asked],
            "method": list(acting.method) if acting else steps,
            "skills": [{"skill": skill.id, "why": first_sentence(skill.description)} for skill in skills],
            "frameworks": _frameworks(skills),
            "deliverables": _form(acting) if acting else deliverable_of(reading, follow),
            "returns": _returns(returns),
            "next_calls": calls,
            "history": _history(history),
            "candidates": [_candidate(one) for one in candidates],
        }
        return {key: value for key, value in brief.items() if value not in (None, "", [], {})}

    def _candidates(self, agent: Agent | None, words: str, reading: Reading) -> tuple[Recommendation, ...]:
        """Return who could do what nobody was named for; never one who would make what is not wanted."""
        found = self._agents.recommend(words, limit=MANY) if agent is None and words else []
        fit = [one for one in found if reading.allows(one.agent)]
        maker = next((one for one in fit if MAKERS.get(one.agent.id) is reading.makes), None)
        if (
            agent is None and maker is None and words and reading.ordered
        ):  # the trade's words hide who makes what is ordered
            name = next(name for name, kind in MAKERS.items() if kind is reading.makes)
            maker = Recommendation(self._agents.find(name), SURE, "Makes what the task orders.")
        near = maker is not None and (reading.ordered or fit[0].confidence - maker.confidence < NEAR)
        if maker is not None and reading.makes is not None and near:
            fit = [maker, *(one for one in fit if one is not maker)]
        fit = fit[:BEST]
        sure = any(_fits(one, reading) for one in fit[:1])
        told = not reading.foreign and len(words_of(words)) > 1
        return tuple(fit if sure else [one for one in fit if one.confidence >= LIKELY and told])

    def _chosen(self, agent: Agent | None, task: str) -> tuple[tuple[Skill, ...], int]:
        """Return the agent's skills, else the one that fits for certain, best first; and how many are worth a call."""
        found = self._skills.search(task, limit=20) if task else []
        sure = {one.skill.id: one.confidence for one in found}
        own = [skill for name in (agent.skills if agent else ()) if (skill := self._skills.named(name)) is not None]
        own.sort(key=lambda skill: -sure.get(skill.id, 0.0))
        others = [one.skill for one in found[:1] if one.confidence >= FITS and not own]
        chosen = tuple([*own, *others][:SKILLS])
        return chosen, max(1, min(2, sum(sure.get(skill.id, 0.0) >= SURE for skill in chosen)))

    def _constraints(
        self, agent: Agent | None, needs: Sequence[Need], max_cost: MicroUsd | None, assumed: str | None
    ) -> dict[str, Any]:
        found: dict[str, Any] = {
            "limits": list(agent.limits) if agent else [],
            "money": self._money(max_cost),
            "media": [_media(need) for need in needs],
            "assumed": assumed,
        }
        return {key: value for key, value in found.items() if value}

    def _money(self, max_cost: MicroUsd | None) -> list[str]:
        """Return the caps in words."""
        settings = self._settings
        said: list[str] = []
        if max_cost is not None:
            free = "Nothing may be spent: only free calls, which make drafts."
            said.append(f"All calls together may cost at most {show_usd(max_cost)}." if max_cost else free)
        for name, amount in (
            ("One call may cost at most", settings.max_cost),
            ("A day's budget is", settings.daily_budget),
            ("A month's budget is", settings.monthly_budget),
            ("The user is to be asked before a call that may cost more than", settings.confirm_above),
        ):
            if amount is not None:
                said.append(f"{name} {show_usd(to_micro(amount))}.")
        return said


def _fits(one: Recommendation, reading: Reading) -> bool:
    """Return whether an agent that nobody named is sure enough to take the task."""
    ordered = reading.ordered and MAKERS.get(one.agent.id) is reading.makes
    return (one.confidence >= SURE or ordered) and reading.suits(one.agent)


def _assumed(*, others: bool) -> str:
    """Say that the agent was chosen, and whether there are others."""
    return f"No agent was named; this one fits best{', candidates has others' if others else ''}."


def _ruled_out(reading: Reading) -> dict[str, Any]:
    refused = ruled_out(reading)
    return {"refused": refused} if refused else {}


def _cap(task: str, max_cost: MicroUsd | None) -> MicroUsd | None:
    """Return the lower of what was given as the cap and what the task says."""
    caps = [cap for cap in (max_cost, read_cap(task)) if cap is not None]
    return min(caps) if caps else None


def _work(case: Case, task: str) -> dict[str, Any]:
    """Return who does what, and what is known of it."""
    nobody = role_of(case.reading, candidates=bool(case.candidates), follow=case.follow)
    return {
        "role": f"{case.agent.title}. {case.agent.role}" if case.agent else nobody,
        "agent": case.agent.id if case.agent else None,
        "task": _clipped(task, TASK),
        "context": case.facts.shown,
        "from_task": list(case.facts.heard),
        "left_out": case.facts.left,
    }


def _questions(agent: Agent | None, facts: Facts, *, capped: bool) -> list[dict[str, JsonValue]]:
    """Return what is open; `capped` says that there is nothing to agree on about money."""
    asked = questions(agent, facts) if agent else []
    if agent is not None and agent.id in MAKERS and capped:
        asked = [one for one in asked if one["key"] not in ("budget", "max_cost")]
    return asked


def _lacking(calls: Sequence[Mapping[str, Any]], task: str) -> list[dict[str, JsonValue]]:
    """Return what is to be asked before the calls that wait for it can be made."""
    told = ([ABOVE], ANY)  # the brief itself says where these are found
    waits = [
        call for call in calls if told[0] != call["arguments"].get("images") and call["arguments"].get("refine") != ANY
    ]
    keys = [key for key in _LACKS if any(key in call.get("missing", ()) for call in waits)]
    what = " and ".join(things(task)).capitalize()
    return [{"key": key, "question": _LACKS[key].replace("{what}", what), "required": True} for key in keys]


def _media(need: Need) -> str:
    """Say who makes a kind of media here."""
    name = need.kind.value
    if need.kind not in TOOLS:
        return f"{name}: no tool of this server makes or reads it yet; do it yourself where you can, or say so."
    live = [provider for provider in need.ready if provider != DRAFT]
    if live:
        return f"{name}: ready at {', '.join(live[:6])}."
    keys = [
        f"{provider} {why.partition(' or ')[0]}" for provider, why in need.missing.items() if why.startswith("needs ")
    ]
    real = f" For real ones: {', or '.join(keys[:3])}." if keys else ""
    made = "drafts only, free and labelled as drafts." if need.ready else "nothing is ready."
    return f"{name}: {made}{real}"


def _frameworks(skills: Sequence[Skill]) -> list[dict[str, Any]]:
    """Return the first entries of the families that the leading skill works with."""
    names = [name for name in (skills[0].frameworks if skills else ()) if name in families()]
    return [
        {
            "family": name,
            "use": [clip(f"{entry.name}: {entry.what}", LINE) for entry in families()[name].entries[:ENTRIES]],
            "more": f"darkroom://frameworks/{name}",
        }
        for name in names[:FAMILIES]
    ]


def _returns(returns: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the fields of the answer with what each holds, and how to answer."""
    if not returns:
        return None
    properties: object = returns.get("properties")
    fields = cast("Mapping[str, Any]", properties if isinstance(properties, dict) else returns)
    named = {clip(name, 60): _meaning(meaning) for name, meaning in list(fields.items())[:FIELDS]}
    return {"how": f"Answer with one JSON object with exactly these fields: {', '.join(named)}.", "fields": named}


def _meaning(meaning: object) -> str:
    if not isinstance(meaning, dict):
        return clip(meaning, 160)
    schema = cast("dict[str, Any]", meaning)
    kind, about = str(schema.get("type", "any")), schema.get("description")
    if "items" in schema:
        kind = f"list of {_meaning(schema['items'])}"
    elif isinstance(schema.get("properties"), dict):
        kind = f"object with {', '.join(cast('dict[str, Any]', schema['properties']))}"
    return clip(f"{kind}: {about}" if about else kind, 240)


def _history(history: Sequence[Message]) -> dict[str, Any] | None:
    """Return how long the conversation is, how it began and its latest messages."""
    if not history:
        return None
    latest = [{"role": one.role, "content": _short(one.content)} for one in history[-LATEST:]]
    begun = {"began": _short(history[0].content)} if len(history) > LATEST else {}
    return {"messages": len(history), **begun, "latest": latest}


def _short(content: str) -> str:
    return clip(re.sub(r"\s+", " ", redact(content)).strip(), MESSAGE)


def _candidate(one: Recommendation) -> dict[str, Any]:
    return {"agent": one.agent.id, "confidence": round(one.confidence, 2), "reason": one.reason}


def _form(agent: Agent) -> str:
    return f"In this form; the values in it are an example's, take none of them over.\n{_clipped(agent.output, OUTPUT)}"


def _clipped(words: str, limit: int) -> str:
    """Return a text that ends with words where it was cut."""
    if len(words) <= limit:
        return words
    kept = words[:limit].rsplit("\n" if "\n" in words[limit // 2 : limit] else " ", 1)[0].rstrip()
    return f"{kept}\n(… {len(words) - len(kept):,} more letters)"
