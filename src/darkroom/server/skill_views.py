"""What callers see of skills, agents and brainstorms: views, and the same in words."""

from collections.abc import Sequence
from typing import Any

from darkroom.catalog.agents import Agent
from darkroom.catalog.frameworks import Entry, Family
from darkroom.catalog.skills import Skill
from darkroom.domain.request import clip
from darkroom.server.views import without_none
from darkroom.services.agents import Need, Recommendation
from darkroom.services.brainstorm import Brainstorm, Idea
from darkroom.services.skills import Candidate, Invocation, NextCall, first_sentence

SKILL_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "skill": {"type": "string"},
        "prompt": {"type": "string"},
        "questions": {"type": "array"},
        "next_calls": {"type": "array"},
        "candidates": {"type": "array"},
        "next": {"type": "string"},
    },
}
LONG = 300
"""Letters that are shown of a description, which may be anybody's."""


def skill_row(skill: Skill) -> dict[str, Any]:
    """Return what a list says of a skill."""
    return without_none(
        {
            "skill": skill.id,
            "name": skill.title,
            "category": skill.category,
            "agent": skill.agent,
            "does": first_sentence(skill.description),
            "yours": True if skill.own else None,
            "uri": f"skill://{skill.name}/SKILL.md",
        }
    )


def skill_details(skill: Skill) -> dict[str, Any]:
    """Return what there is to know of a skill before it is used."""
    return without_none(
        {
            **skill_row(skill),
            "description": clip(skill.description, LONG),
            "use_cases": list(skill.use_cases),
            "not_for": list(skill.not_for),
            "key_questions": [{"key": item.key, "question": item.text} for item in skill.questions],
            "deliverables": list(skill.deliverables),
            "best_practices": list(skill.best_practices),
            "common_mistakes": list(skill.mistakes),
            "quality_bar": list(skill.quality_bar),
            "files": [f"skill://{skill.name}/{name}" for name in skill.files],
            "next": f"Call invoke_skill(skill={skill.id!r}, input=<what is wanted>, context={{<key>: <answer>}}).",
        }
    )


def list_view(skills: Sequence[Skill], problems: Sequence[str] = ()) -> dict[str, Any]:
    """Return many skills, and what is wrong with the user's own."""
    return without_none(
        {
            "candidates": [skill_row(skill) for skill in skills],
            "warnings": list(problems),
            "next": "Call invoke_skill with one of these and input.",
        }
    )


def candidates_view(candidates: Sequence[Candidate], words: str) -> dict[str, Any]:
    """Return the skills that may be meant."""
    rows = [
        {
            "skill": item.skill.id,
            "name": item.skill.title,
            "confidence": round(item.confidence, 2),
            "reason": item.reason,
        }
        for item in candidates
    ]
    if not rows:
        return {"candidates": [], "next": f"Nothing fits {clip(words)!r}. invoke_skill(skill='?') lists every skill."}
    return {
        "candidates": rows,
        "next": f"Nothing was started. Call invoke_skill(skill={rows[0]['skill']!r}, input=...).",
    }


def invocation_view(invocation: Invocation) -> dict[str, Any]:
    """Return a skill made ready for one piece of work."""
    skill = invocation.skill
    return without_none(
        {
            "skill": skill.id,
            "name": skill.title,
            "agent": invocation.agent,
            "prompt": invocation.prompt,
            "context": invocation.context,
            "questions": [{"key": item.key, "question": item.text} for item in invocation.questions],
            "deliverables": list(invocation.deliverables),
            "next_calls": [_call(call) for call in invocation.next_calls],
            "next": _next(bool(invocation.questions)),
        }
    )


def _next(is_open: bool) -> str:
    if is_open:
        return "Follow the prompt; ask what is open, or assume and say so. Then make the next calls that are wanted."
    return "Follow the prompt, then make the next calls that are wanted."


def _call(call: NextCall) -> dict[str, Any]:
    return {"tool": call.tool, "why": call.why, "arguments": call.arguments}


def brainstorm_view(found: Brainstorm) -> dict[str, Any]:
    """Return frameworks filled for a task; the same keys as those of a skill."""
    stage = found.stage
    context = {
        "market_stage": without_none(
            {"id": stage.id, "situation": stage.situation, "move": stage.move, "avoid": stage.avoid}
        ),
        "audience": found.audience,
        "product": found.product,
        "angles": [_idea(idea) for idea in found.angles],
        "value_propositions": [_idea(idea) for idea in found.propositions],
        "headlines": [_idea(idea) for idea in found.headlines],
        "structure": _idea(found.structure),
        "visuals": [_idea(idea) for idea in found.visuals],
        "checklist": list(found.checklist),
        "assumed": {slot: assumed for slot, (_, assumed) in found.assumed.items()},
    }
    questions = [{"key": f"question_{number}", "question": text} for number, text in enumerate(found.task.questions, 1)]
    questions += [{"key": slot, "question": ask} for slot, (ask, _) in found.assumed.items()]
    return without_none(
        {
            "mode": "brainstorm",
            "task_type": found.task.id,
            "skill": found.task.skills[0],
            "name": found.task.title,
            "prompt": _brainstorm_prompt(found),
            "context": without_none(context),
            "questions": questions,
            "deliverables": list(found.task.steps),
            "next_calls": [_call(call) for call in found.next_calls],
            "warnings": list(found.warnings),
            "next": "Put true words in place of the assumed ones, choose one angle, then make the first next call.",
        }
    )


def _idea(idea: Idea) -> dict[str, Any]:
    return without_none(
        {"id": idea.entry.id, "line": idea.line, "why": idea.why, "avoid_when": idea.entry.avoid_when or None}
    )


def _brainstorm_prompt(found: Brainstorm) -> str:
    stage = found.stage
    steps = "\n".join(f"{number}. {step}" for number, step in enumerate(found.task.steps, 1))
    return (
        f"Brainstorm: {found.task.title.lower()} for {found.product}, for {found.audience}.\n"
        f"Market: {stage.id}. {stage.situation} {stage.move} Avoid: {stage.avoid}.\n\n"
        f"Keep the lines below that are true, or can be made true with the product's own facts; drop the rest.\n{steps}"
    )


def skill_text(view: dict[str, Any]) -> str:
    """Return a view of skills in words, whole: a client may show nothing else."""
    if "candidates" in view:
        rows = [f"- {row['skill']}: {row.get('reason') or row['does']}" for row in view["candidates"]]
        return "\n".join([*rows, *view.get("warnings", ()), view["next"]])
    if "prompt" not in view:
        return _details_text(view)
    head = [
        f"{view['name']} ({view['skill']}){', agent ' + view['agent'] if 'agent' in view else ''}",
        "",
        view["prompt"],
    ]
    if view.get("mode") == "brainstorm":
        head += _brainstorm_lines(view["context"])
    elif view.get("questions"):
        pass  # they stand in the prompt
    calls = [f"- {call['tool']}({_arguments(call['arguments'])}): {call['why']}" for call in view.get("next_calls", ())]
    if calls:
        head += ["", "Next calls:", *calls]
    return "\n".join([*head, *(["", *view["warnings"]] if "warnings" in view else []), "", view["next"]])


def _details_text(view: dict[str, Any]) -> str:
    lines = [f"{view['name']} ({view['skill']}): {view['description']}"]
    for heading, key in (("Use it for", "use_cases"), ("Not for", "not_for"), ("It delivers", "deliverables")):
        lines += ["", f"{heading}:", *(f"- {text}" for text in view.get(key, ()))] if view.get(key) else []
    if view.get("key_questions"):
        lines += ["", "It asks:", *(f"- {item['key']}: {item['question']}" for item in view["key_questions"])]
    return "\n".join([*lines, "", view["next"]])


def _brainstorm_lines(context: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for heading, key in (("Angles", "angles"), ("Headlines", "headlines"), ("Value propositions", "value_propositions"),
                         ("Structure", "structure"), ("Pictures", "visuals")):  # fmt: skip
        found: Any = context.get(key, ())
        ideas: list[dict[str, Any]] = [found] if key == "structure" else found
        if ideas:
            lines += ["", f"{heading}:", *(f"- {idea['id']}: {idea['line']}" for idea in ideas)]
    lines += ["", "Check each line:", *(f"- {question}" for question in context["checklist"])]
    if context.get("assumed"):
        lines += ["", "Assumed, replace: " + "; ".join(f"{slot} = {text}" for slot, text in context["assumed"].items())]
    return lines


def _arguments(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())


def agent_row(agent: Agent) -> dict[str, Any]:
    """Return what a list says of an agent."""
    return {
        "agent": agent.id,
        "name": agent.title,
        "layer": agent.layer,
        "tier": agent.tier,
        "does": first_sentence(agent.description),
    }


def agent_details(agent: Agent, needs: Sequence[Need]) -> dict[str, Any]:
    """Return all about an agent: whom to take it for, what it is given, what it needs here, and its prompt."""
    return without_none(
        {
            **agent_row(agent),
            "category": agent.category,
            "description": agent.description,
            "recommended_for": list(agent.recommended_for),
            "inputs": [item.model_dump() for item in agent.inputs],
            "tools": list(agent.tools),
            "skills": list(agent.skills),
            "aliases": list(agent.aliases),
            "providers": [
                {"for": need.kind.value, "ready": list(need.ready), "missing": dict(need.missing)} for need in needs
            ],
            "limits": list(agent.limits),
            "prompt": agent.prompt,
        }
    )


def recommendation_view(item: Recommendation) -> dict[str, Any]:
    """Return an agent for a task."""
    return {
        "agent": item.agent.id,
        "name": item.agent.title,
        "confidence": round(item.confidence, 2),
        "reason": item.reason,
    }


def family_view(name: str, family: Family) -> dict[str, Any]:
    """Return a family of frameworks, whole."""
    return {
        "family": name,
        "title": family.title,
        "about": family.about,
        "entries": [_entry(e) for e in family.entries],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return without_none(entry.model_dump(mode="json"))
