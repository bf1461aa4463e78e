"""The next calls of a brief: real ones, with whatever is known filled in, and with their price."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import JsonValue

from darkroom.catalog.agents import Agent
from darkroom.catalog.frameworks import families, tasks
from darkroom.catalog.routing import DRAFT
from darkroom.catalog.skills import Skill
from darkroom.domain.asking import Aim
from darkroom.domain.job import Job
from darkroom.domain.kinds import Kind
from darkroom.domain.money import MicroUsd, json_usd
from darkroom.domain.patterns import compiled
from darkroom.domain.reading import folded, read_duration, read_money
from darkroom.domain.request import clip
from darkroom.llm.handoff_answers import SPENT, answers, control, listings, month, wants_facts
from darkroom.llm.handoff_change import ABOVE, changes_a_picture, pictures
from darkroom.llm.handoff_facts import VALUE, Facts
from darkroom.llm.handoff_follow import Follow, unknown, wanted_of
from darkroom.llm.handoff_media import (
    LONGEST_CLIP,
    TOOLS,
    Wanted,
    dressed,
    for_what,
    mentions,
    pictured,
    wanted,
)
from darkroom.llm.handoff_modes import MAKERS, Reading, reading_of
from darkroom.llm.handoff_prices import Prices
from darkroom.llm.handoff_wishes import without_seeing
from darkroom.net.redact import MASK
from darkroom.services.agents import Recommendation

FILM = "product_video"
"""The workflow that makes a film of several clips."""
LIKELY = 0.4
"""The confidence from which an agent that nobody named is worth a word."""
GIVEN = 200
"""Letters of a known value that go into a call."""
_FORMS: Mapping[str, tuple[Kind, str]] = {
    "video_storyboard": (Kind.IMAGE, "Storyboard frame, opening shot: {subject}"),
    "brand_visual": (Kind.IMAGE, "Mood board with pictures, colour swatches and textures: {subject}"),
}
"""The agents who draw for what the task is about: what they make, and how they word it."""
_SETUP = "instance_onboarding"
_TRIAL = {"prompt": "a lighthouse on a cliff above a calm sea at dusk", "provider": DRAFT}
_POINTS = compiled(r"(?:it|them|him|her|this|that|these|those)\b")
_COSTS = compiled(r"\b(?:cost|price|prices|quote|charge|budget|a month|monthly|cheap\w*|how much|credits?|plan)\b")


@dataclass(frozen=True, slots=True)
class Case:
    """One piece of work for which calls are wanted."""

    agent: Agent | None
    task: str
    facts: Facts
    reading: Reading = field(default_factory=lambda: reading_of(""))
    skills: tuple[Skill, ...] = ()
    fitting: int = 1
    """How many of the skills, from the first, fit the task well enough for a call."""
    candidates: tuple[Recommendation, ...] = ()
    open: tuple[str, ...] = ()
    """Keys of the questions that are open."""
    max_cost: MicroUsd | None = None
    session_id: str | None = None
    principal: str = "local"
    workflows: Collection[str] = ()
    follow: Follow | None = None
    """What is to become of what was made before, where the task goes on from it."""
    made: Sequence[Job] = ()
    """The jobs of the session, newest first."""


def next_calls(case: Case, prices: Prices) -> list[dict[str, Any]]:
    """Return the calls in the order in which they are best made; each has tool, arguments, why, perhaps missing."""
    if case.agent is None and case.reading.aim is Aim.CONTROL:
        return control(case.task, case.made)
    if case.agent is None and case.reading.aim is Aim.DELETE:
        return [_call("check_job", "What was made last, with the paths of its files. Deletes nothing.", {})]
    if case.agent is None and case.reading.deceives and not case.reading.wishes.made:
        honest = {"task": "Write a short message that asks real buyers for an honest review.", "agent": "community"}
        return [_call("run_agent", "The honest way to reviews, if the user wants it.", honest)]
    if case.follow is not None:
        return _followed(case, case.follow, prices)
    if case.agent is None and case.reading.nothing:
        return []
    if case.reading.server:
        return [*answers(case.task, case.made), *([] if case.agent is None else [*_trial(case), *_skills(case)])]
    calls = [*_media(case, prices), *_skills(case), *_money(case)]
    if case.agent is not None and case.agent.id not in MAKERS:
        calls.sort(
            key=lambda call: call["tool"] in TOOLS.values() and call["arguments"].get("prompt") != _TRIAL["prompt"]
        )
    return [*_film(case), *calls, *_on(case)]


def _call(tool: str, why: str, arguments: Mapping[str, Any], missing: Collection[str] = ()) -> dict[str, Any]:
    call: dict[str, Any] = {"tool": tool, "arguments": dict(arguments), "why": why}
    return {**call, "missing": list(missing)} if missing else call


def _followed(case: Case, follow: Follow, prices: Prices) -> list[dict[str, Any]]:
    """Return the call that goes on from what was made, behind the look-up of what is not known or not done yet."""
    call = wanted_of(follow) or unknown(follow)
    if call is None:
        return []
    look: list[dict[str, Any]] = []
    if follow.job is None:
        look = [_call("check_job", "The newest jobs with their ids: one of them may be meant.", {})]
    elif not follow.job.ended:
        look = [_call("check_job", "It is not done yet: wait for it first.", {"job_id": follow.job.id, "wait": 45})]
    return [*look, _priced(call, _cap(case), case, prices)]


def _media(case: Case, prices: Prices) -> list[dict[str, Any]]:
    """Return the calls that make what the task asks for, where the agent has the tools."""
    if case.reading.aim is not Aim.WORK:  # a question makes nothing, whoever answers it
        return _trial(case)
    made = _plain(case) or [one for kind in _kinds(case) if (one := _wanted(case, kind)) is not None]
    if not made:
        return _trial(case)
    cap = _cap(case)
    each = None if cap is None else MicroUsd(cap // len(made))
    return [_priced(call, each, case, prices) for call in made]


def _plain(case: Case) -> list[Wanted]:
    """Return what is plainly wanted, as it is: by somebody who does it, or beside something else."""
    agent, made = case.agent, case.reading.wishes.made
    if agent is None:
        return [dressed(one, case.facts) for one in made]
    alone = len(made) == 1 and not case.reading.rest and case.reading.no.rest == case.task
    return [] if agent.id not in MAKERS or alone else [one for one in made if TOOLS[one.kind] in agent.tools]


def _kinds(case: Case) -> list[Kind]:
    agent = case.agent
    if agent is None or agent.id == _SETUP:
        return []
    if agent.id in MAKERS or agent.id in _FORMS:
        kinds = [MAKERS[agent.id] if agent.id in MAKERS else _FORMS[agent.id][0]]
    else:
        kinds = [kind for kind, tool in TOOLS.items() if tool in agent.tools and mentions(case.task, kind)]
    return [kind for kind in kinds if kind not in case.reading.no.kinds]


def _wanted(case: Case, kind: Kind) -> Wanted | None:
    agent_id = case.agent.id if case.agent else ""
    if agent_id in MAKERS or (changes_a_picture(case.task) and pictures(case.facts, case.task)):
        made = wanted(kind, case.reading.no.rest or case.task, case.facts)
        return None if made is None else without_seeing(made, case.reading.bars)
    # Others make media beside their work: only where the task says what is to be seen.
    film = agent_id == "video_storyboard"
    seen = for_what(case.task, film=film) if agent_id in _FORMS else pictured(case.task, kind)
    made = None if seen is None else wanted(kind, case.task, case.facts)
    if seen is None or made is None:
        return None
    form = _FORMS[agent_id][1] if agent_id in _FORMS else "{subject}"
    told = {name: value for name, value in made.arguments.items() if name != "n" or agent_id not in _FORMS}
    waits = tuple(name for name in made.missing if name != "prompt")
    if _POINTS.match(folded(seen)):
        told.pop("prompt", None)
        return replace(made, arguments=told, missing=("prompt", *waits))
    return replace(made, arguments={**told, "prompt": form.replace("{subject}", seen)}, missing=waits)


def _priced(call: Wanted, cap: MicroUsd | None, case: Case, prices: Prices) -> dict[str, Any]:
    """Return the call that makes what is wanted, with its price."""
    fitted, words = (call, "") if "refine" in call.missing else prices.fitting(call, cap, case.principal)
    return _told(fitted, cap, words, case)


def _told(call: Wanted, cap: MicroUsd | None, words: str, case: Case) -> dict[str, Any]:
    """Return a call with what it does, what it may cost, and its price in words."""
    arguments = dict(call.arguments)
    if cap is not None:
        arguments["max_cost"] = json_usd(cap)
    video = call.kind is Kind.VIDEO
    what = "Makes the clip." if video else "Makes the picture."
    agent_id = case.agent.id if case.agent else ""
    if call.why:
        what = call.why
    elif "prompt" in call.missing:
        shot = ", and how it moves: one call a shot" if video else ""
        what = f"The task does not say it in words that can be drawn: put into prompt what is to be seen{shot}."
    elif call.arguments.get("images") == [ABOVE]:
        what = f"{what[:-1]}, once images holds that picture's output id in place of the words in <>."
    elif call.missing:
        what = f"{what[:-1]}, once images holds what the words in <> stand for; until then it is refused."
    elif case.agent is None:
        what = f"{what[:-1]}, in the user's own words."
    elif agent_id in MAKERS:
        what = f"{what[:-1]}; the prompt is the task's own words, so sharpen it by the method."
    elif agent_id in _FORMS:
        what = "One picture, to agree on the look before more are drawn; sharpen its prompt by the method."
    else:
        what = f"{what[:-1]}, once the text is agreed; take its words into the prompt."
    return _call(
        TOOLS[call.kind], " ".join(text for text in (what, *call.notes, words) if text), arguments, call.missing
    )


def _cap(case: Case) -> MicroUsd | None:
    """Return the most that all calls may cost: as given, or as a media agent was told."""
    said: list[float] = []
    if case.agent is not None and case.agent.id in MAKERS:
        told = case.facts.get("max_cost")
        words = f"{case.task} | {case.facts.get('budget')} | {told}"
        number = [float(told)] if isinstance(told, int | float) and not isinstance(told, bool) and told >= 0 else []
        said = [amount for amount in (read_money(part) for part in words.split("|")) if amount is not None] + number
    caps = [*([] if case.max_cost is None else [case.max_cost]), *(MicroUsd(round(one * 1_000_000)) for one in said)]
    return min(caps) if caps else None


def _trial(case: Case) -> list[dict[str, Any]]:
    """Return the free picture that shows whether a new server works; none for a question that nobody gave the agent."""
    asked = case.candidates and case.reading.aim is not Aim.WORK
    if case.agent is None or case.agent.id != _SETUP or asked:
        return []
    return [
        _call(TOOLS[Kind.IMAGE], "A free test picture: proves that server, folders and host work together.", _TRIAL)
    ]


def _film(case: Case) -> list[dict[str, Any]]:
    """Return the call of the workflow that makes more than one clip and joins them."""
    seconds = read_duration(case.task)
    makes = case.agent is not None and TOOLS[Kind.VIDEO] in case.agent.tools and mentions(case.task, Kind.VIDEO)
    barred = case.reading.aim is not Aim.WORK or Kind.VIDEO in case.reading.no.kinds
    if not makes or barred or seconds is None or seconds <= LONGEST_CLIP or FILM not in case.workflows:
        return []
    why = f"Makes script, frames and clips and joins them to one film of {seconds:g} s; needs no language model."
    return [_call("run_agent", why, {"task": clip(case.task, VALUE), "workflow": FILM, **_capped(case)})]


def _capped(case: Case) -> dict[str, Any]:
    cap = _cap(case)
    return {} if cap is None else {"max_cost": json_usd(cap)}


def _skills(case: Case) -> list[dict[str, Any]]:
    """Return the calls of the skills that fit, the first one with a brainstorm where there is one for it."""
    known = _given(case.facts)
    calls = [
        _call(
            "invoke_skill",
            f"How professionals do it, with the known filled in: {skill.title.lower()}. Free, starts nothing.",
            {"skill": skill.id, "input": clip(case.task, VALUE), **({"context": known} if known else {})},
        )
        for skill in case.skills[: case.fitting]
    ]
    return [*calls, *_brainstorm(case)]


def _given(facts: Facts) -> dict[str, JsonValue]:
    """Return what goes into the context of a call: short values as they are, long ones shortened."""
    said = {key: value for key, value in facts.shown.items() if key not in facts.heard and value != MASK}
    return {key: clip(value, GIVEN) if isinstance(value, str) else value for key, value in said.items()}


def _brainstorm(case: Case) -> list[dict[str, Any]]:
    slots = {
        name: facts for name in ("product", "audience") if (facts := case.facts.get(name)) and isinstance(facts, str)
    }
    if not slots:
        return []
    for skill in case.skills[: case.fitting]:
        for task in tasks().values():
            if task.skills[0] == skill.id:
                stage = str(case.facts.get("market_stage"))
                known = {"market_stage": stage} if stage in families()["market_stages"].by_id else {}
                asked = {"task_type": task.id, **{key: clip(value, GIVEN) for key, value in slots.items()}, **known}
                why = "Angles, headlines and a structure for this product and audience, to choose from. Free."
                return [_call("invoke_skill", why, {"skill": skill.id, "brainstorm": asked})]
    return []


def _money(case: Case) -> list[dict[str, Any]]:
    """Return the look-up of prices or spending, where the task asks for it and the agent may."""
    agent = case.agent
    if agent is None:
        known = [kind for kind in TOOLS if mentions(case.task, kind)]
        asks = case.reading.aim is Aim.QUESTION and (case.reading.foreign or wants_facts(case.task))
        return listings(case.task) if known and asks else []
    if "estimate_credits" not in agent.tools:
        return []
    if SPENT.search(folded(case.task)):
        return answers(case.task)
    if usage := month(case.task, _COSTS):
        return usage
    kinds = [kind for kind in (Kind.VIDEO, Kind.IMAGE) if kind in agent.needs or mentions(case.task, kind)]
    if not kinds:
        return []
    why = "Lists the offers with limits, price and what is missing to use them. Free."
    return [_call("estimate_credits", why, {"operation": kinds[0].value})]


def _on(case: Case) -> list[dict[str, Any]]:
    """Return how to go on: with the answers in the session, or with an agent that was not named."""
    if case.agent is None:
        best = case.candidates[:1]
        session = {**({"session_id": case.session_id} if case.session_id else {}), **_capped(case)}
        return [
            _call("run_agent", f"The whole brief of {one.agent.title}, if that is who is meant.",
                  {"task": clip(case.reading.rest or case.task, VALUE), "agent": one.agent.id, **session})
            for one in best
        ]  # fmt: skip
    if case.session_id is None or not case.open:
        return []
    keys = ", ".join(case.open[:4])
    why = f"When the user has answered: put the answers into context (keys {keys}); the session keeps them."
    asked = {"task": clip(case.task, VALUE), "agent": case.agent.id, "session_id": case.session_id}
    asked |= _capped(case)
    return [_call("run_agent", why, asked, ("context",))]
