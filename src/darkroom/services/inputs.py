"""Inputs of workflows: from the context, read from the task, or as usual; asked for where nobody says them."""

import re
from collections.abc import Mapping

from pydantic import JsonValue

from darkroom.domain.assumed import CONTEXT, DEFAULT, TASK
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.domain.spending import find_several
from darkroom.domain.task_facts import is_english, opening
from darkroom.domain.task_words import READERS, read_name
from darkroom.domain.templates import said
from darkroom.domain.workflow import Input, StepKind, Workflow
from darkroom.domain.workflow_inputs import listed
from darkroom.domain.workflow_kinds import NOTHING
from darkroom.errors import InvalidRequest

ANYWHERE = ("invocation_id",)
"""What every context may have."""


def read_input(name: str, item: Input, task: str, context: Mapping[str, JsonValue]) -> tuple[JsonValue, str]:
    """Return an input's value, and where it is from: `context`, `task` or `default`.

    Raises:
        InvalidRequest: If it is required and nowhere said, or is not what it may be.
    """
    given = context.get(name)
    if given not in (None, "", [], {}):
        return _checked(name, item, given), CONTEXT
    found = READERS[item.reader](task) if item.reader else None
    if found not in (None, ""):
        return _checked(name, item, found), TASK
    if item.required:
        raise _asked(name, item, task)
    return item.usual, DEFAULT


def _asked(name: str, item: Input, task: str) -> InvalidRequest:
    """Return the refusal that asks for an input."""
    about = f" ({item.about})" if item.about else ""
    called = read_name(task) if item.reader else None
    known = f"The task names {clip(called)!r} and does not say" if called else "The task does not say"
    way = "Say it in the task" if is_english(task) else "Tasks are read in English only: say it in English"
    return InvalidRequest(
        f"{known} {name}{about}.",
        field=f"context.{name}",
        hint=f"{NOTHING} {f'{way}, or give' if item.reader else 'Give'} context={{'{name}': ...}}.",
    )


def check_names(flow: Workflow, context: Mapping[str, JsonValue]) -> None:
    """Refuse what a workflow would not look at.

    Raises:
        InvalidRequest: If the context has a name that is neither an input, nor a step's result or a field of it.
    """
    results = [step.id for step in flow.steps if step.kind is not StepKind.SKILL]
    fields = [name for step in flow.steps for name in step.returns]
    for name in context:
        if name not in {*flow.inputs, *results, *fields, *ANYWHERE}:
            near = did_you_mean(name, [*flow.inputs, *results, *fields])
            raise InvalidRequest(
                f"{flow.name} has no input {clip(name)!r}.{near}",
                field="context",
                allowed=list(flow.inputs),
                hint=f"{NOTHING} Results of its steps may be given too: {', '.join(results)}.",
            )


def check_count(flow: Workflow, task: str) -> None:
    """Refuse a task that asks for several of what a workflow makes one of.

    Raises:
        InvalidRequest: If it does.
    """
    several = find_several(opening(task), flow.makes)
    if several is not None:
        one, asked = flow.makes[0], clip(opening(task)[several.start : several.end])
        raise InvalidRequest(
            f"The task asks for {asked!r}; {flow.name} makes one {one} a run.",
            field="task",
            allowed=f"one {one}",
            hint=f"{NOTHING} Start it once for each {one}, each time with the words for that one.",
        )


def _checked(name: str, item: Input, value: JsonValue) -> JsonValue:
    field = f"context.{name}"
    if item.type == "flag":
        words = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
        flag = value if isinstance(value, bool) else words.get(said(value).lower())
        if flag is None:
            raise InvalidRequest(
                f"{name} is {clip(said(value))!r}.", field=field, allowed="true or false", hint=NOTHING
            )
        return flag
    if item.type == "number":
        return _number(name, item, value)
    if item.type == "list":
        return listed(name, item, value)
    text = said(value).strip()
    if item.choices and text not in item.choices:
        near = did_you_mean(text, item.choices)
        raise InvalidRequest(f"{name} is {clip(text)!r}.{near}", field=field, allowed=item.choices, hint=NOTHING)
    if len(text) > (item.most or 2_000):
        raise InvalidRequest(
            f"{name} has {len(text):,} letters.", field=field, allowed=f"up to {item.most or 2_000:g}", hint=NOTHING
        )
    return text


def _number(name: str, item: Input, value: JsonValue) -> JsonValue:
    text = said(value).strip().lower().removesuffix("s").strip()
    number = float(text) if re.fullmatch(r"\d{1,9}(?:\.\d{1,6})?", text) else None
    low, high = item.least or 0, 1e9 if item.most is None else item.most
    if number is None or isinstance(value, bool) or not low <= number <= high:
        raise InvalidRequest(
            f"{name} is {clip(said(value))!r}.", field=f"context.{name}", allowed=f"{low:g} to {high:g}", hint=NOTHING
        )
    return int(number) if number == int(number) else number
