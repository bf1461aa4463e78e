"""Inputs of a workflow that are lists, and whether inputs are sound in themselves."""

import re
from typing import Any, cast

from pydantic import JsonValue

from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.domain.templates import said
from darkroom.domain.workflow import MAX_ITEMS, Input, Workflow
from darkroom.domain.workflow_kinds import NOTHING
from darkroom.errors import InvalidRequest

MAX_LETTERS = 2_000
"""Letters of an input, or of one entry of it, where it does not say itself."""
_EXAMPLE = '["first", "second"]'
_CALLED = {"text": "a text", "number": "a number", "flag": "true or false", "list": f"a list of texts: {_EXAMPLE}"}


def listed(name: str, item: Input, value: JsonValue) -> list[JsonValue]:
    """Return the entries of an input that is a list; a text stands for its lines.

    Raises:
        InvalidRequest: If it is no list of texts, or has too few or too many of them.
    """
    field = f"context.{name}"
    if not isinstance(value, list | str):
        raise InvalidRequest(f"{name} is {clip(said(value))!r}.", field=field, allowed=_CALLED["list"], hint=NOTHING)
    rows = value if isinstance(value, list) else [re.sub(r"^\s*[-*]\s+", "", line) for line in value.splitlines()]
    for at, row in enumerate(rows):
        _check_entry(f"{name}[{at}]", item, row)
    texts = [text for row in rows if (text := said(row).strip())]
    low, high = int(item.least or 0), int(MAX_ITEMS if item.most is None else item.most)
    if not low <= len(texts) <= high:
        count = f"{len(texts)} {'entry' if len(texts) == 1 else 'entries'}"
        raise InvalidRequest(f"{name} has {count}.", field=field, allowed=f"{low} to {high}", hint=NOTHING)
    return list(texts)


def _check_entry(place: str, item: Input, row: JsonValue) -> None:
    field = f"context.{place}"
    if isinstance(row, list | dict):
        raise InvalidRequest(
            f"{place} is {clip(said(row))!r}, and no text.", field=field, allowed=_CALLED["list"], hint=NOTHING
        )
    text = said(row).strip()
    if item.choices and text not in item.choices:
        near = did_you_mean(text, item.choices)
        raise InvalidRequest(f"{place} is {clip(text)!r}.{near}", field=field, allowed=item.choices, hint=NOTHING)
    if len(text) > MAX_LETTERS:
        raise InvalidRequest(
            f"{place} has {len(text):,} letters.", field=field, allowed=f"up to {MAX_LETTERS:,}", hint=NOTHING
        )


def check_inputs(workflow: Workflow) -> None:
    """Check that what is usual for each input is such a thing as the input holds.

    Raises:
        InvalidRequest: If it is not, or its bounds leave nothing; `field` says where.
    """
    for name, item in workflow.inputs.items():
        _check_bounds(name, item)
        if item.default is not None:
            _check_default(name, item, item.default)


def _check_bounds(name: str, item: Input) -> None:
    field = f"workflow.inputs.{name}"
    if item.least is not None and item.most is not None and item.least > item.most:
        raise InvalidRequest(
            f"inputs.{name}: least is {item.least:g} and most is {item.most:g}, which leaves nothing.",
            field=f"{field}.least",
            hint=NOTHING,
        )
    if item.type == "list" and (item.most or 0) > MAX_ITEMS:
        raise InvalidRequest(
            f"inputs.{name}: most is {item.most:g}.", field=f"{field}.most", allowed=f"1 to {MAX_ITEMS}", hint=NOTHING
        )
    if item.type == "list" and item.reader is not None:
        raise InvalidRequest(
            f"inputs.{name}: a list is not read from the words of a task, so it has no reader.",
            field=f"{field}.reader",
            hint=f"{NOTHING} It is given as context: {{{name!r}: {_EXAMPLE}}}.",
        )


def _check_default(name: str, item: Input, value: str | float | bool | tuple[str, ...]) -> None:
    field = f"workflow.inputs.{name}.default"
    if item.type != _type_of(value):
        raise InvalidRequest(
            f"inputs.{name}: its type is {item.type}, and its default {clip(_shown(value))}.",
            field=field,
            allowed=_CALLED[item.type],
            hint=NOTHING,
        )
    chosen = value if isinstance(value, tuple) else (value,)
    wrong = next((one for one in chosen if item.choices and one not in item.choices), None)
    if wrong is not None:
        near = did_you_mean(str(wrong), item.choices)
        raise InvalidRequest(
            f"inputs.{name}: its default {clip(str(wrong))!r} is none of its choices.{near}",
            field=field,
            allowed=item.choices,
            hint=NOTHING,
        )
    size = len(value) if isinstance(value, str | tuple) else value
    low, high = (None if item.type == "text" else item.least), item.most
    if item.type != "flag" and ((low is not None and size < low) or (high is not None and size > high)):
        bounds = [f"from {low:g}" if low is not None else "", f"up to {high:g}" if high is not None else ""]
        unit = {"text": "letters", "list": "entries"}.get(item.type)
        what = f"is {size:g}" if unit is None else f"has {size:g} {'entry' if size == 1 else unit}"
        raise InvalidRequest(
            f"inputs.{name}: its default {what}.",
            field=field,
            allowed=" ".join(bound for bound in bounds if bound),
            hint=NOTHING,
        )


def _type_of(value: str | float | bool | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return "list"
    return "flag" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"a list of {len(cast('tuple[str, ...]', value))}"
    return ("true" if value else "false") if isinstance(value, bool) else repr(value)
