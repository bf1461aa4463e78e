"""Answers of agent steps: what a model is made to answer with, what a draft or a caller gives, and their shares."""

import re
from collections.abc import Mapping
from typing import Any, cast

from pydantic import JsonValue

from darkroom.domain.request import clip
from darkroom.domain.templates import fill, fill_text, said
from darkroom.domain.workflow import JOBS, MAX_ITEMS, Share, Step, StepKind, Value, Work
from darkroom.errors import UnexpectedAnswer

OUTPUT = "out_"
"""How the id of an output begins."""
TEXT = "text"
"""The field of the answer of a step that names none."""
_LEAD = re.compile(
    r"^\s*(?:[-*+•]\s+|\d{1,3}[.)]\s+|(?:scene|shot|beat)\s*\d+\s*[:.-]\s*)?(?:\[?\d+:\d\d\s*(?:[-\u2013]\s*\d+:\d\d)?\]?:?\s+)?",
    re.I,
)
"""Dashes, numbers and times in front of a line."""


def fields_of(step: Step) -> dict[str, Value]:
    """Return the fields of a step's answer."""
    return step.returns or {TEXT: Value(about="the whole answer")}


def json_schema(step: Step) -> dict[str, Any] | None:
    """Return the JSON Schema of an agent's answer; None where it is only text."""
    return _table(step.returns) if step.returns else None


def _table(values: Mapping[str, Value]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _schema(value) for name, value in values.items()},
        "required": [name for name, value in values.items() if value.required],
        "additionalProperties": False,
    }


def _schema(value: Value) -> dict[str, Any]:
    about = {"description": value.about} if value.about else {}
    if value.type == "list":
        items = _table(value.items) if isinstance(value.items, dict) else {"type": _JSON[value.items]}
        low, high = int(value.least or 0), int(value.most or MAX_ITEMS)
        return {"type": "array", "items": items, "minItems": low, "maxItems": high, **about}
    bounds = {"minimum": value.least, "maximum": value.most} if value.type == "number" else {}
    choices = {"enum": list(value.choices)} if value.choices else {}
    return {"type": _JSON[value.type], **{name: bound for name, bound in bounds.items() if bound is not None}} | (
        choices | about
    )


_JSON = {"text": "string", "number": "number", "flag": "boolean"}


def drafted(step: Step, work: Work, scope: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return the answer of a step without a language model: its draft, with what the caller gave laid over it."""
    return answered(step, cast("dict[str, JsonValue]", fill(cast("JsonValue", step.draft or {}), scope)), work, scope)


def answered(step: Step, answer: Mapping[str, JsonValue], work: Work, scope: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return an agent's answer as its fields say, with what the caller gave laid over it and its shares divided.

    Raises:
        UnexpectedAnswer: If a required field is not there, or is no such thing.
    """
    given, found = work.given.get(step.id, {}), dict[str, JsonValue]()
    for name, value in fields_of(step).items():
        said_of = given[name] if name in given else answer.get(name)
        if said_of is None and not value.required and step.draft:
            said_of = fill(step.draft[name], scope)
        found[name] = read(value, said_of, name)
    if step.share:
        rows = cast("list[dict[str, JsonValue]]", found[step.share.list])
        if step.share.list not in given or any(not row[step.share.field] for row in rows):
            found[step.share.list] = cast("JsonValue", shared(step.share, rows, fill_text(step.share.of, scope)))
    return found


def read(value: Value, found: JsonValue, name: str) -> JsonValue:
    """Return what was found for a field as that field holds it.

    A text stands for a list of its lines, and a text in the place of a table for the first field of that.

    Raises:
        UnexpectedAnswer: If it is missing or cannot be read.
    """
    if found is None or found == "":
        if value.required:
            raise UnexpectedAnswer(f"The answer has no {name}.", hint="Give it in context, or try again.", field=name)
        return [] if value.type == "list" else None
    if value.type == "list":
        return _list(value, found, name)
    if value.type == "number":
        return _number(found, name)
    if value.type == "flag":
        return found if isinstance(found, bool) else said(found).lower() in ("yes", "true", "1", "on")
    text = said(found).strip()
    if value.choices and text not in value.choices:
        raise UnexpectedAnswer(f"{name} is {clip(text)!r}.", field=name, allowed=value.choices)
    return text


def _number(found: JsonValue, name: str) -> JsonValue:
    if isinstance(found, int | float) and not isinstance(found, bool):
        return found
    match = re.search(r"-?\d+(?:\.\d+)?", said(found))
    if match is None:
        raise UnexpectedAnswer(f"{name} is {clip(said(found))!r}, and no number.", field=name)
    return float(match[0])


def _list(value: Value, found: JsonValue, name: str) -> JsonValue:
    rows = found if isinstance(found, list) else [_LEAD.sub("", line) for line in said(found).splitlines()]
    rows = [row for row in rows if row not in (None, "", {})]
    low, high = int(value.least or 0), int(value.most or MAX_ITEMS)
    if not low <= len(rows) <= high:
        raise UnexpectedAnswer(f"{name} has {len(rows)} entries.", field=name, allowed=f"{low} to {high}")
    if isinstance(value.items, str):
        return [read(Value(type=value.items), row, name) for row in rows]
    first = next(iter(value.items))
    tables = [row if isinstance(row, dict) else {first: row} for row in rows]
    return [
        {key: read(item, row.get(key), f"{name}[{at}].{key}") for key, item in value.items.items()}
        for at, row in enumerate(tables)
    ]


def shared(share: Share, rows: list[dict[str, JsonValue]], total: JsonValue) -> list[dict[str, JsonValue]]:
    """Return rows whose numbers keep their proportions and have the given sum: whole ones where there is room.

    A number that is missing or nothing counts as much as the mean of the others.
    """
    if not rows or not isinstance(total, int | float) or total <= 0:
        return rows
    numbers = [row[share.field] for row in rows]
    known = [number for number in numbers if isinstance(number, int | float) and number > 0]
    mean = sum(known) / len(known) if known else 1
    weights = [number if isinstance(number, int | float) and number > 0 else mean for number in numbers]
    whole = total == int(total) and total >= len(rows)
    parts = _divide(weights, int(total) if whole else max(len(rows), round(total * 10)))
    return [{**row, share.field: part if whole else part / 10} for row, part in zip(rows, parts, strict=True)]


def _divide(weights: list[int | float] | list[float], total: int) -> list[int]:
    """Return whole parts of at least 1 whose sum is `total`, by the largest remainders."""
    spare, heavy = total - len(weights), sum(weights)
    exact = [max(0.0, weight / heavy * total - 1) for weight in weights]
    scale = spare / sum(exact) if sum(exact) else 0.0
    exact = [part * scale for part in exact]
    parts = [int(part) for part in exact]
    order = sorted(range(len(parts)), key=lambda at: (parts[at] - exact[at], at))
    for at in range(spare - sum(parts)):
        parts[order[at]] += 1
    return [part + 1 for part in parts]


def given_in(step: Step, context: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the fields of a step's answer that a caller's context holds: under the step's name, or their own.

    A text under the name of a step stands for its first list, else for its first field. Of an image, video or join
    step, ids of outputs are read, None where an item is still to be made.

    Raises:
        UnexpectedAnswer: If a field is given and is no such thing.
    """
    if step.kind in JOBS:
        return _files(step, context.get(step.id))
    if step.kind is StepKind.SKILL or step.for_each:
        return {}
    values, whole = fields_of(step), context.get(step.id)
    if isinstance(whole, dict):
        found = {name: whole[name] for name in values if name in whole}
    elif whole in (None, "", []):
        found = {}
    else:
        lists = [name for name, value in values.items() if value.type == "list"]
        found = {(step.id if step.id in values else lists[0] if lists else next(iter(values))): whole}
    if step.returns:
        found = {name: context[name] for name in values if context.get(name) not in (None, "", [])} | found
    return {name: read(values[name], value, name) for name, value in found.items()}


def _files(step: Step, given: JsonValue) -> dict[str, JsonValue]:
    names = given if isinstance(given, list) else [given]
    outputs = [name if isinstance(name, str) and name.startswith(OUTPUT) else None for name in names]
    return {"outputs": cast("JsonValue", outputs)} if any(outputs) else {}


def is_given(step: Step, given: Mapping[str, JsonValue]) -> bool:
    """Return whether the caller gave all that a step has to answer, so that nobody needs to think."""
    needed = [name for name, value in fields_of(step).items() if value.required]
    return bool(given) and all(name in given for name in needed)
