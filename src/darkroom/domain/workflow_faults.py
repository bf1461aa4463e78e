"""What is wrong with a workflow's file, in words: where it is, what is there, and what may be."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError

from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.domain.workflow import MAX_STEPS, Input, Result, Share, StepKind, Table, Value, Workflow
from darkroom.domain.workflow_kinds import ARGUMENTS, NOTHING, by_nearness, fields_for
from darkroom.errors import InvalidRequest

MORE = 3
"""Further places that are named besides the first."""
_NAMES = "small letters, digits and _, the first a letter, up to 40 of them"
_OBJECT = 'an object: {"name": ...}'
_TEXTS = 'a list of texts: ["first", "second"]'
_ALLOWED: dict[str, str | Sequence[str]] = {
    "steps": f'a list of 1 to {MAX_STEPS} steps: [{{"id": "picture", "kind": "image", ...}}]',
    "inputs": 'an object: {"product": {"about": "what it is"}}',
    "tables": 'an object: {"world": {"by": "{inputs.product}", "rows": [...]}}',
    "rows": "a list of at least one object",
    "returns": 'an object: {"title": {}, "lines": {"type": "list"}}',
    "share": 'an object: {"list": "beats", "field": "seconds", "of": "{inputs.seconds}"}',
    "items": 'text, number, or an object of fields: {"line": {}}',
    "default": "a text, a number, true or false, or a list of texts",
    "kind": [kind.value for kind in StepKind],
    "retries": "0 to 3, a whole number",
    "timeout_s": "10 to 86,400, a whole number of seconds",
    "max_cost": "0 to 1,000,000, in US dollars",
    **dict.fromkeys(("name", "id", "list", "field"), _NAMES),
    **dict.fromkeys(("optional", "required"), "true or false"),
    **dict.fromkeys(("least", "most"), "a number"),
    **dict.fromkeys(("arguments", "context", "brainstorm", "draft", "data", "output"), _OBJECT),
    **dict.fromkeys(("aliases", "after", "choices", "files"), _TEXTS),
}
"""What a field may hold, by its name."""
_JSON = {
    "Expecting value": "a value is missing here, or a comma is too many",
    "Expecting property name enclosed in double quotes": "a name in double quotes is missing, or a comma is too many",
    "Illegal trailing comma before end of": "a comma is too many",
    "Expecting ',' delimiter": "a comma or a closing bracket is missing before this",
    "Expecting ':' delimiter": "a colon is missing behind a name",
    "Extra data": "something stands behind the end of the object",
    "Unterminated string": "the text that begins here is not closed",
    "Invalid control character": "a line break or tab stands in a text; write \\n or \\t for it",
    "Invalid \\": "a backslash in a text is followed by what cannot be; write \\\\ for a backslash",
}  # fmt: skip
"""What a JSON reader finds, by how its own words begin."""


def json_fault(exc: ValueError | RecursionError) -> str:
    """Return where a text is no JSON, and why."""
    if isinstance(exc, json.JSONDecodeError):
        if exc.pos >= len(exc.doc.rstrip()):
            return f"line {exc.lineno}, column {exc.colno}: it ends here and is not complete"
        told = next((words for start, words in _JSON.items() if exc.msg.startswith(start)), exc.msg)
        return f"line {exc.lineno}, column {exc.colno}: {told}"
    return "it is nested too deeply" if isinstance(exc, RecursionError) else "a number in it has too many digits"


def told(exc: ValidationError, name: str, data: Mapping[str, Any]) -> InvalidRequest:
    """Return what the models refuse as an error of ours; `data` is the workflow that was read."""
    errors = sorted((error for error in exc.errors(include_url=False) if not _hollow(error)), key=_order)
    place = _place(errors[0])
    message, allowed = _sentence(errors[0], place, data)
    others = list(dict.fromkeys(shown(_place(error)) for error in errors[1:] if _is_another(error, errors[0])))
    if others:
        more = f" and {len(others) - MORE} more" if len(others) > MORE else ""
        message = f"{message} Also wrong: {', '.join(others[:MORE])}{more}."
    where = shown(place)
    return InvalidRequest(
        f"{name}: {message}", field=f"workflow.{where}" if where else "workflow", allowed=allowed or None, hint=NOTHING
    )


def shown(place: Sequence[str | int]) -> str:
    """Return a place as it is written: `steps[2].arguments`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{clip(part, 40)}" for part in place)
    return text.removeprefix(".")


def _hollow(error: Mapping[str, Any]) -> bool:
    """Return whether a list is called empty since what is in it is wrong, which is told of already."""
    return error["type"] == "too_short" and bool(error["input"])


def _is_another(error: Mapping[str, Any], first: Mapping[str, Any]) -> bool:
    """Return whether an error is of a place of its own, and no other side of the first."""
    place, told_of = _place(error), _place(first)
    if first["type"] == "extra_forbidden" and error["type"] == "missing" and place[:-1] == told_of[:-1]:
        return False
    size = min(len(place), len(told_of))
    return place[:size] != told_of[:size]


def _order(error: Mapping[str, Any]) -> bool:
    """Put names that there are not in front: what is missing may be one of them, written wrongly."""
    return error["type"] != "extra_forbidden"


def _place(error: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Return where an error is, without what says which kind of value was tried."""
    loc = error["loc"]
    plain = [part for part in loc if not (isinstance(part, str) and part.startswith(("dict[", "literal[", "tuple[")))]
    if plain[-1:] == ["[key]"]:
        return tuple(plain[:-2])
    tried = plain[-2:-1] == ["default"] or (plain[0] == "tables" and len(plain) > 5)
    return tuple(plain[:-1] if tried and plain[-1] in ("str", "float", "bool") else plain)


def _sentence(
    error: Mapping[str, Any], place: tuple[str | int, ...], data: Mapping[str, Any]
) -> tuple[str, str | Sequence[str]]:
    where = shown(place)
    if error["type"] == "extra_forbidden":
        return _unknown(place, data)
    if error["loc"][-1] == "[key]":
        names = _NAMES if error["type"] == "string_pattern_mismatch" else "a text"
        return f"{where} has the name {clip(error['loc'][-2])!r}, which cannot be used.", names
    if error["type"] == "missing":
        return f"{where} is missing.", _allowed(error, place)
    if error["type"] == "too_short":
        return f"{where} is empty.", _allowed(error, place)
    if error["type"] == "string_too_long":
        limit = error.get("ctx", {})["max_length"]
        return f"{where} has {len(error['input']):,} letters.", f"up to {limit:,}"
    allowed = _allowed(error, place)
    near = "" if isinstance(allowed, str) else did_you_mean(str(error["input"]), allowed)
    return f"{where} is {_called(error['input'])}.{near}", allowed


def _allowed(error: Mapping[str, Any], place: tuple[str | int, ...]) -> str | Sequence[str]:
    """Return what may stand in a place, by the kind of error where that says it, else by the name of the field."""
    last = place[-1]
    match error["type"]:
        case "literal_error" if last == "type":
            return str(error.get("ctx", {})["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        case "string_pattern_mismatch":
            return _NAMES
        case "model_type" | "dataclass_type" if last not in _ALLOWED:
            return _OBJECT
        case "invalid-json-value":
            return "a text, a number, true, false, null, a list or an object"
        case _ if place[0] == "tables" and len(place) > 4:
            return "a text; for match a list of texts"
        case _:
            return _ALLOWED.get(str(last), "a text")


def _called(value: object) -> str:
    """Return a value as a message names it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case list() | tuple():
            return "a list" if value else "an empty list"
        case dict():
            return "an object" if value else "an empty object"
        case str() | int() | float():
            return clip(repr(value))
        case _:
            return f"a {type(value).__name__}, which is written as a text: {clip(str(value))!r}"


def _unknown(place: tuple[str | int, ...], data: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    """Tell of a field that there is not: the fields that may be there are those of its owner, the nearest first."""
    last, before = str(place[-1]), shown(place[:-1])
    owner, fields = _owner(place[:-1], data)
    kind = _kind(place, data) if place[0] == "steps" and len(place) == 3 else None
    if kind is not None and last in ARGUMENTS.get(kind, ()):
        near = " It is an argument: write it in the arguments of the step."
    else:
        near = did_you_mean(last, fields)
    lead = f"{before}: " if before else ""
    return f"{lead}{owner} has no field {clip(last)!r}.{near}", by_nearness(last, fields)


def _owner(place: tuple[str | int, ...], data: Mapping[str, Any]) -> tuple[str, Sequence[str]]:
    """Return what stands in a place, and the fields that it takes."""
    match place:
        case ():
            return "a workflow", [*Workflow.model_fields]
        case ("steps", _):
            kind = _kind(place, data)
            article = "an" if kind in (StepKind.AGENT, StepKind.IMAGE) else "a"
            return f"{article} {kind} step" if kind else "a step", fields_for(kind)
        case ("steps", _, "share"):
            return "a share", [*Share.model_fields]
        case ("steps", *_):
            return "a field of an answer", [*Value.model_fields]
        case ("inputs", _):
            return "an input", [*Input.model_fields]
        case ("tables", _):
            return "a table", [*Table.model_fields]
        case _:
            return "the output", [*Result.model_fields]


def _kind(place: tuple[str | int, ...], data: Mapping[str, Any]) -> StepKind | None:
    """Return the kind of the step that a place is in, where it says one."""
    step = cast("Sequence[Mapping[str, Any]]", data["steps"])[cast("int", place[1])]
    kind = step.get("kind")
    return StepKind(kind) if kind in tuple(StepKind) else None
