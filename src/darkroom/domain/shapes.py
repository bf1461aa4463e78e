"""Shapes: what kind of value each reference of a workflow has, known before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from darkroom.domain.expressions import COMPARISONS, INDEX, Const, Expr, Path, Piped, parse
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.domain.workflow import JOBS, Step, StepKind, Value, Workflow
from darkroom.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of value; of a list its entries', of a table its fields'."""

    kind: Literal["text", "number", "flag", "list", "table", "any"]
    items: "Shape | None" = None
    fields: Mapping[str, "Shape"] = field(default_factory=dict[str, "Shape"])


TEXT, NUMBER, FLAG, ANY = Shape("text"), Shape("number"), Shape("flag"), Shape("any")
TEXTS = Shape("list", TEXT)
_IDEAS = Shape("list", Shape("table", fields={"name": TEXT, "line": TEXT, "why": TEXT}))
MADE = Shape("table", fields={"output": TEXT, "outputs": TEXTS, "job": TEXT})
"""What an image, video or join step has made: its first output, all of them, and its job."""
SKILLED = Shape(
    "table",
    fields={
        "skill": TEXT,
        "agent": TEXT,
        "prompt": TEXT,
        "deliverables": TEXTS,
        "questions": Shape("list", Shape("table", fields={"key": TEXT, "question": TEXT})),
        "angles": _IDEAS,
        "headlines": _IDEAS,
        "propositions": _IDEAS,
        "visuals": _IDEAS,
    },
)
"""What a skill step answers; the ideas only where it has a `brainstorm`."""
CALLED = {"text": "a text", "number": "a number", "flag": "yes or no", "list": "a list", "table": "a table"}
_TAKES = {"table": ("list",), "bullets": ("list",), "count": ("list",), "round": ("number",)}
_GIVES = {"count": NUMBER, "round": NUMBER}


def shape_of(value: Value) -> Shape:
    """Return the shape of a field of an answer."""
    if value.type != "list":
        return Shape(value.type)
    if isinstance(value.items, str):
        return Shape("list", Shape(value.items))
    return Shape("list", Shape("table", fields={name: shape_of(item) for name, item in value.items.items()}))


def result_of(step: Step) -> Shape:
    """Return the shape of what a step, or one item of it, makes."""
    if step.kind in JOBS:
        return MADE
    if step.kind is StepKind.SKILL:
        return SKILLED
    fields = {name: shape_of(value) for name, value in step.returns.items()}
    return Shape("table", fields=fields or {"text": TEXT})


def scope_of(workflow: Workflow) -> dict[str, Shape]:
    """Return the shapes that every template of a workflow may refer to."""
    steps = {step.id: Shape("list", result_of(step)) if step.for_each else result_of(step) for step in workflow.steps}
    tables = {
        name: Shape("table", fields={key: TEXT for row in table.rows for key in row if key != "match"})
        for name, table in workflow.tables.items()
    }
    inputs = {name: TEXTS if item.type == "list" else Shape(item.type) for name, item in workflow.inputs.items()}
    return {
        "task": TEXT,
        "inputs": Shape("table", fields=inputs),
        "tables": Shape("table", fields=tables),
        "steps": Shape("table", fields=steps),
    }


def lists_in(scope: Mapping[str, Shape]) -> list[str]:
    """Return the references of a scope that are lists and may be gone through, such as `{inputs.shots}`."""
    roots = {f"{root}.{name}": shape for root in ("inputs", "steps") for name, shape in scope[root].fields.items()}
    inner = {
        f"{name}.{key}": item
        for name, shape in roots.items()
        if shape.kind == "table"
        for key, item in shape.fields.items()
    }
    return [f"{{{name}}}" for name, shape in (roots | inner).items() if shape.kind == "list"]


def text_shape(text: str, scope: Mapping[str, Shape]) -> Shape:
    """Return the shape of a template's value, each of its references checked.

    Raises:
        InvalidRequest: If a reference names nothing, or the wrong kind of thing; the nearest is named.
    """
    parts = parse(text)
    shapes = [infer(part, scope) for part in parts if not isinstance(part, str)]
    return shapes[0] if len(parts) == len(shapes) == 1 else TEXT


def infer(value: Expr, scope: Mapping[str, Shape]) -> Shape:
    """Return the shape of an expression's value.

    Raises:
        InvalidRequest: If a reference names nothing, or the wrong kind of thing.
    """
    match value:
        case Const():
            return TEXT if isinstance(value.value, str) else NUMBER
        case Path():
            return _walk(value, scope)
        case Piped():
            if value.more is not None:
                infer(value.more, scope)
            given, takes = infer(value.value, scope), _TAKES.get(value.filter, ("text", "number", "flag"))
            if given.kind not in (*takes, "any"):
                raise InvalidRequest(f"The filter {value.filter!r} takes {CALLED[takes[0]]}, not {CALLED[given.kind]}.")
            return _GIVES.get(value.filter, TEXT)
        case _:
            for side in (infer(value.left, scope), infer(value.right, scope)):
                if value.sign not in ("==", "!=") and side.kind not in ("number", "any"):
                    raise InvalidRequest(f"{value.sign!r} takes numbers, not {CALLED[side.kind]}.")
            return FLAG if value.sign in COMPARISONS else NUMBER


def _walk(path: Path, scope: Mapping[str, Shape]) -> Shape:
    here = Shape("table", fields=scope)
    for at, part in enumerate(path.parts):
        if isinstance(part, int):
            here = _entry(path, here, part, scope)
        elif here.kind == "list":
            here = Shape("list", _field(path, here.items or ANY, at, part))
        else:
            here = _field(path, here, at, part)
    return here


def _entry(path: Path, here: Shape, part: int, scope: Mapping[str, Shape]) -> Shape:
    if part < 0 and INDEX not in scope:
        raise InvalidRequest(f"{{{path}}} uses [index] outside of a for_each.")
    if here.kind not in ("list", "any"):
        raise InvalidRequest(f"{{{path}}} takes an entry of what is {CALLED[here.kind]}, not a list.")
    return here.items or ANY


def _field(path: Path, here: Shape, at: int, name: str) -> Shape:
    if here.kind == "any":
        return ANY
    if name in here.fields:
        return here.fields[name]
    if not at and name in ("item", INDEX):
        raise InvalidRequest(f"{{{path}}} stands outside of a for_each, where there is no {name}.")
    before = str(Path(path.parts[:at])) if at else ""
    if here.kind != "table":
        raise InvalidRequest(f"{{{clip(path)}}}: {before} is {CALLED[here.kind]} and has no fields.")
    near = did_you_mean(name, here.fields)
    what = {"": "nothing is called", "steps": "there is no step", "inputs": "there is no input"}.get(
        before, f"{before} has no field"
    )
    raise InvalidRequest(f"{{{clip(path)}}}: {what} {clip(name)!r}.{near}", allowed=sorted(here.fields)[:40])
