"""A brief in words, so that a client which shows only text can work from it."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from darkroom.domain.request import clip
from darkroom.llm.handoff_facts import IN_TASK

MOST = 6_000
"""Letters that a usual brief has at most; what is least needed gives way first."""
_STEP, _OUTPUT = 200, 500


def as_call(call: Mapping[str, Any]) -> str:
    """Return a call as a program writes it; what it lacks stands in <>."""
    arguments = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in call["arguments"].items()]
    arguments += [f"{key}=<...>" for key in call.get("missing", ()) if key not in call["arguments"]]
    return f"{call['tool']}({', '.join(arguments)})"


Shown = Callable[[Mapping[str, Any]], str]


def text(brief: Mapping[str, Any], shown: Shown = as_call) -> str:
    """Return a brief in words: about 6,000 letters at most, unless the task and what is known are longer.

    Args:
        brief: Which one.
        shown: How a call is written: as that of a tool, or as a command.
    """
    said = ""
    for lean in range(3):
        said = "\n\n".join(part for part in _parts(brief, lean, shown) if part)
        if len(said) <= MOST:
            break
    return said


def _parts(brief: Mapping[str, Any], lean: int, shown: Shown) -> list[str]:
    """Return the sections; `lean` 1 leaves the frameworks out, 2 shortens steps and output too."""
    steps = [clip(step, _STEP) if lean > 1 else step for step in brief["method"]]
    output = clip(brief["deliverables"], _OUTPUT) if lean > 1 else brief["deliverables"]
    calls = [f"- {shown(call)}\n  {_filled_first(call)}{call['why']}" for call in brief.get("next_calls", ())]
    others = [one for one in brief.get("candidates", ()) if one["agent"] != brief.get("agent")]
    return [
        "This work is yours: darkroom runs no language model for it. Carry out this brief, then answer the user.",
        f"ROLE\n{brief['role']}",
        f"TASK\n{brief.get('task', 'None was said; ask for it.')}",
        _known(brief),
        _history(brief.get("history")),
        _section("ASK (what is required first; or assume, and say what)", _questions(brief)),
        _section("HOW", [f"{number}. {step}" for number, step in enumerate(steps, 1)]),
        _section("BOUNDS", [f"- {line}" for line in _bounds(brief.get("constraints", {}))]),
        _skills(brief, shown),
        "" if lean else _section("FRAMEWORKS", _frameworks(brief)),
        f"DELIVER\n{output}",
        _returns(brief.get("returns")),
        _section("NEXT CALLS", calls or ["None: write the answer yourself."]),
        _section("OTHER AGENTS", [_candidate(one) for one in others]),
    ]


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *lines]) if lines else ""


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _known(brief: Mapping[str, Any]) -> str:
    heard = brief.get("from_task", ())
    lines = [
        f"- {key}: {_json(value)}{' (from the task)' if key in heard else ''}"
        for key, value in brief.get("context", {}).items()
        if not (key in heard and value in IN_TASK)
    ]
    left = brief.get("left_out")
    return _section("KNOWN", [*lines, *([f"- {left}"] if left else [])])


def _history(history: Mapping[str, Any] | None) -> str:
    if history is None:
        return ""
    began = [f"began: {history['began']}"] if "began" in history else []
    return _section(
        f"SO FAR ({history['messages']} messages)",
        [*began, *(f"{one['role']}: {one['content']}" for one in history["latest"])],
    )


def _questions(brief: Mapping[str, Any]) -> list[str]:
    return [
        f"- {one['question']} [key `{one['key']}`{', required' if one['required'] else ''}]"
        for one in brief.get("questions", ())
    ]


def _bounds(constraints: Mapping[str, Any]) -> list[str]:
    assumed = [constraints["assumed"]] if "assumed" in constraints else []
    refused = constraints.get("refused", ())
    return [
        *assumed,
        *refused,
        *constraints.get("money", ()),
        *constraints.get("media", ()),
        *constraints.get("limits", ()),
    ]


def _skills(brief: Mapping[str, Any], shown: Shown) -> str:
    """Name the skills that no call names; the calls say the rest."""
    called = [call["arguments"].get("skill") for call in brief.get("next_calls", ())]
    more = [one["skill"] for one in brief.get("skills", ()) if one["skill"] not in called]
    how = shown({"tool": "invoke_skill", "arguments": {"skill": "NAME"}})
    return f"MORE SKILLS\n{how}: {', '.join(more)}" if more else ""


def _frameworks(brief: Mapping[str, Any]) -> list[str]:
    """Name the entries; the resource and the skill's own answer say what each is."""
    return [
        f"- {one['family']}: {' | '.join(entry.partition(':')[0] for entry in one['use'])} ({one['more']})"
        for one in brief.get("frameworks", ())
    ]


def _returns(returns: Mapping[str, Any] | None) -> str:
    if returns is None:
        return ""
    return _section(f"ANSWER WITH\n{returns['how']}", [f"- {name}: {what}" for name, what in returns["fields"].items()])


def _filled_first(call: Mapping[str, Any]) -> str:
    missing = call.get("missing", ())
    return f"Fill first: {', '.join(missing)}. " if missing else ""


def _candidate(one: Mapping[str, Any]) -> str:
    return f"- {one['agent']} ({one['confidence']:.2f}): {one['reason']}"
