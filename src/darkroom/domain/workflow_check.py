"""What must hold of a workflow before anything of it runs."""

import contextlib
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import cast

from pydantic import JsonValue

from darkroom.domain.expressions import INDEX, Path, parse, paths
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.domain.shapes import ANY, CALLED, NUMBER, Shape, lists_in, scope_of, shape_of, text_shape
from darkroom.domain.templates import texts
from darkroom.domain.workflow import Step, Table, Value, Workflow
from darkroom.domain.workflow_inputs import check_inputs
from darkroom.domain.workflow_kinds import NOTHING, check_kind
from darkroom.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Need:
    """A step that another one waits for; `same`: only its item of the same index."""

    step: str
    same: bool = False


def check(workflow: Workflow) -> list[str]:
    """Return the ids of the steps in an order in which they can be done, once everything is found to be sound.

    Agents, skills and models are known to others: their names are not checked here.

    Raises:
        InvalidRequest: If ids are repeated, a step lacks what its kind needs, a reference names nothing or the wrong
            kind of thing, or steps wait for each other; `field` says where.
    """
    ids = [step.id for step in workflow.steps]
    twice = next((name for name in ids if ids.count(name) > 1), None)
    if twice:
        raise InvalidRequest(
            f"Two steps are called {twice!r}.", field="workflow.steps", hint=f"{NOTHING} Give each an id of its own."
        )
    check_inputs(workflow)
    for step in workflow.steps:
        check_kind(step)
        _check_values(step.returns, f"steps.{step.id}.returns")
        for place, text in _texts(step):
            with _at(f"workflow.steps.{step.id}.{place}"):
                parse(text)
    order = sorted_steps(workflow)
    scope = scope_of(workflow)
    for name, table in workflow.tables.items():
        _check_rows(f"tables.{name}", table)
        with _at(f"workflow.tables.{name}.by"):
            text_shape(table.by, {root: scope[root] for root in ("task", "inputs")})
    for step in workflow.steps:
        _check_step(step, scope)
    for place, text in texts(cast("JsonValue", workflow.output.model_dump(mode="json"))):
        with _at(f"workflow.output.{place}"):
            text_shape(text, scope)
    return order


def sorted_steps(workflow: Workflow) -> list[str]:
    """Return the ids of the steps, each behind those that it needs, else in their own order.

    Raises:
        InvalidRequest: If a needed step does not exist, or steps wait for each other.
    """
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for step in workflow.steps:
        sorter.add(step.id)
        for need in needs(step, workflow):
            if need.step not in workflow.by_id:
                near = did_you_mean(need.step, workflow.by_id)
                raise InvalidRequest(
                    f"Step {step.id!r} needs the step {clip(need.step)!r}, which there is not.{near}",
                    field=f"workflow.steps.{step.id}",
                    allowed=sorted(workflow.by_id)[:40],
                    hint=NOTHING,
                )
            sorter.add(step.id, need.step)
    try:
        return list(sorter.static_order())
    except CycleError as exc:
        around = " -> ".join(reversed(cast("list[str]", exc.args[1])))
        raise InvalidRequest(
            f"Steps wait for each other: {clip(around, 300)}.",
            field="workflow.steps",
            hint=f"{NOTHING} Take one of these references out.",
        ) from None


def needs(step: Step, workflow: Workflow) -> list[Need]:
    """Return the steps that a step refers to or comes after, each once."""
    found = dict.fromkeys(step.after, False)
    for path in _references(step):
        name = path.parts[1]
        other = workflow.by_id.get(str(name))
        same = path.parts[2:3] == (-1,) and other is not None and other.for_each == step.for_each is not None
        found[str(name)] = found.get(str(name), True) and same
    return [Need(name, same) for name, same in found.items()]


def lists_of(step: Step) -> list[str]:
    """Return the steps that the `for_each` of a step refers to."""
    parts = parse(step.for_each or "")
    found = (path for part in parts if not isinstance(part, str) for path in paths(part))
    return [str(path.parts[1]) for path in found if path.parts[0] == "steps" and len(path.parts) > 1]


def _references(step: Step) -> Iterator[Path]:
    for _, text in _texts(step):
        for part in parse(text):
            for path in () if isinstance(part, str) else paths(part):
                if path.parts[0] == "steps" and len(path.parts) > 1:
                    yield path


def _texts(step: Step) -> Iterator[tuple[str, str]]:
    """Return every template of a step with its place, but those of its draft's lists, whose scopes differ."""
    for name in ("for_each", "task", "context", "brainstorm", "model", "provider", "arguments", "draft"):
        for place, text in texts(getattr(step, name)):
            yield (f"{name}.{place}" if place else name), text
    if step.share:
        yield "share.of", step.share.of


def _check_step(step: Step, scope: Mapping[str, Shape]) -> None:
    field, inner = f"workflow.steps.{step.id}", dict(scope)
    if step.for_each is not None:
        with _at(f"{field}.for_each"):
            each = _list_of(step.for_each, scope, step.id)
        inner |= {"item": each.items or ANY, INDEX: NUMBER}
    for place, text in _texts(step):
        if place != "for_each" and not place.startswith("draft"):
            with _at(f"{field}.{place}"):
                text_shape(text, inner)
    for name, value in (step.draft or {}).items():
        _check_draft(f"{field}.draft.{name}", value, inner)
    _check_answer(step, field)


def _list_of(text: str, scope: Mapping[str, Shape], step_id: str) -> Shape:
    """Return the shape of a list that is gone through."""
    each = text_shape(text, scope)
    if each.kind not in ("list", "any"):
        own = re.compile(rf"\{{steps\.{step_id}\b")
        raise InvalidRequest(
            f"{clip(text)!r} is {CALLED[each.kind]}, not a list.",
            allowed=[name for name in lists_in(scope) if not own.match(name)][:40] or None,
            hint=f"{NOTHING} Lists are inputs of type list, lists that agent steps return, and steps with a for_each.",
        )
    return each


def _check_values(values: Mapping[str, Value], place: str) -> None:
    """Check that only lists have `items`."""
    for name, value in values.items():
        if "items" in value.model_fields_set and value.type != "list":
            raise InvalidRequest(
                f"{place}.{name} has items, and its type is {value.type}.",
                field=f"workflow.{place}.{name}.type",
                allowed="list",
                hint=NOTHING,
            )
        if isinstance(value.items, dict):
            _check_values(value.items, f"{place}.{name}.items")


def _check_rows(place: str, table: Table) -> None:
    """Check that `match` alone is a list of words."""
    for at, row in enumerate(table.rows):
        for name, value in row.items():
            if (name == "match") is isinstance(value, str):
                allowed = 'a list of words: ["coffee", "tea"]' if name == "match" else "a text"
                what = "a text" if isinstance(value, str) else "a list"
                raise InvalidRequest(
                    f"{place}.rows[{at}].{clip(name)} is {what}.",
                    field=f"workflow.{place}.rows",
                    allowed=allowed,
                    hint=f"{NOTHING} Only match is a list.",
                )


def _check_draft(field: str, value: JsonValue, scope: Mapping[str, Shape]) -> None:
    if isinstance(value, dict) and {"each", "make"} <= value.keys():
        with _at(f"{field}.each"):
            each = _list_of(str(value["each"]), scope, field.split(".")[2])
        _check_draft(f"{field}.make", value["make"], {**scope, "item": each.items or ANY, INDEX: NUMBER})
    elif isinstance(value, list | dict):
        for name, item in enumerate(value) if isinstance(value, list) else value.items():
            _check_draft(f"{field}.{name}", item, scope)
    elif isinstance(value, str):
        with _at(field):
            text_shape(value, scope)


def _check_answer(step: Step, field: str) -> None:
    """Check that draft and share name fields of the answer, and that the draft leaves none of them out."""
    named = step.returns or {"text": None}
    for name in step.draft or {}:
        if name not in named:
            raise InvalidRequest(
                f"The draft of step {step.id!r} has {name!r}, which it does not return.{did_you_mean(name, named)}",
                field=f"{field}.draft",
                hint=NOTHING,
            )
    absent = [name for name in named if name not in step.draft] if step.draft is not None else []
    if absent:
        raise InvalidRequest(
            f"The draft of step {step.id!r} lacks {absent[0]!r}.", field=f"{field}.draft", hint=NOTHING
        )
    if step.share:
        value = step.returns.get(step.share.list)
        shape = shape_of(value) if value else ANY
        number = (shape.items or ANY).fields.get(step.share.field)
        if number != NUMBER:
            raise InvalidRequest(
                f"Step {step.id!r} shares {step.share.list}.{step.share.field}, which is no number of a list that it "
                "returns.",
                field=f"{field}.share",
                hint=NOTHING,
            )


@contextlib.contextmanager
def _at(field: str) -> Generator[None]:
    """Say where a template is wrong."""
    try:
        yield
    except InvalidRequest as exc:
        raise InvalidRequest(
            f"{field.removeprefix('workflow.')}: {exc.message}",
            field=field,
            allowed=exc.allowed,
            hint=exc.hint or NOTHING,
        ) from None
