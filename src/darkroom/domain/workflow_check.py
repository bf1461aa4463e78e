"""What must hold of a workflow before anything of it runs."""

import contextlib
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import cast

from pydantic import JsonValue

from darkroom.domain.expressions import INDEX, Path, parse, paths
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.domain.shapes import ANY, NUMBER, Shape, scope_of, shape_of, text_shape
from darkroom.domain.templates import texts
from darkroom.domain.workflow import JOBS, Step, StepKind, Workflow
from darkroom.errors import InvalidRequest

IMAGE = ("prompt", "size", "aspect_ratio", "n", "images", "quality", "negative_prompt", "seed", "refine", "options")
VIDEO = (
    "prompt", "duration", "aspect_ratio", "resolution", "audio", "n", "images", "scenes", "negative_prompt", "seed",
    "refine", "options",
)  # fmt: skip
ARGUMENTS = {
    StepKind.IMAGE: IMAGE,
    StepKind.VIDEO: VIDEO,
    StepKind.JOIN: ("clips", "prompt", "transition", "fps", "resolution"),
}
"""What a step may pass on, by its kind."""
_NEEDS = {
    StepKind.AGENT: ("agent", "task"),
    StepKind.SKILL: ("skill", "task"),
}
_ONLY = {
    "agent": (StepKind.AGENT,),
    "skill": (StepKind.SKILL,),
    "task": (StepKind.AGENT, StepKind.SKILL),
    "context": (StepKind.AGENT, StepKind.SKILL),
    "brainstorm": (StepKind.SKILL,),
    "returns": (StepKind.AGENT,),
    "draft": (StepKind.AGENT,),
    "share": (StepKind.AGENT,),
    "model": (StepKind.IMAGE, StepKind.VIDEO),
    "provider": (StepKind.IMAGE, StepKind.VIDEO),
    "arguments": tuple(JOBS),
}
NOTHING = "Nothing was started."


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
        raise InvalidRequest(f"Two steps are called {twice!r}.", field="workflow.steps", hint=NOTHING)
    for step in workflow.steps:
        _check_kind(step)
    order = sorted_steps(workflow)
    scope = scope_of(workflow)
    for name, table in workflow.tables.items():
        with _at(f"workflow.tables.{name}.by"):
            text_shape(table.by, {"inputs": scope["inputs"]})
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
        with _at(f"workflow.steps.{step.id}"):
            wanted = needs(step, workflow)
        for need in wanted:
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


def _check_kind(step: Step) -> None:
    field = f"workflow.steps.{step.id}"
    for name in _NEEDS.get(step.kind, ()):
        if not getattr(step, name):
            raise InvalidRequest(
                f"Step {step.id!r} is of kind {step.kind} and has no {name}.", field=field, hint=NOTHING
            )
    for name, kinds in _ONLY.items():
        if getattr(step, name) and step.kind not in kinds:
            raise InvalidRequest(
                f"Step {step.id!r} is of kind {step.kind}, which has no {name}.",
                field=f"{field}.{name}",
                allowed=sorted(name for name, kinds in _ONLY.items() if step.kind in kinds),
                hint=NOTHING,
            )
    allowed = ARGUMENTS.get(step.kind, ())
    for name in step.arguments:
        if name not in allowed:
            raise InvalidRequest(
                f"Step {step.id!r} has an argument {clip(name)!r}, which {step.kind} steps do not take."
                f"{did_you_mean(name, allowed)}",
                field=f"{field}.arguments",
                allowed=allowed,
                hint=NOTHING,
            )
    wanted = {StepKind.IMAGE: "prompt", StepKind.VIDEO: "prompt", StepKind.JOIN: "clips"}.get(step.kind)
    if wanted and wanted not in step.arguments and not (step.kind is StepKind.VIDEO and "scenes" in step.arguments):
        raise InvalidRequest(f"Step {step.id!r} has no argument {wanted!r}.", field=f"{field}.arguments", hint=NOTHING)


def _check_step(step: Step, scope: Mapping[str, Shape]) -> None:
    field, inner = f"workflow.steps.{step.id}", dict(scope)
    if step.for_each is not None:
        with _at(f"{field}.for_each"):
            each = text_shape(step.for_each, scope)
            if each.kind not in ("list", "any"):
                raise InvalidRequest(f"{step.for_each} is no list.")
        inner |= {"item": each.items or ANY, INDEX: NUMBER}
    for place, text in _texts(step):
        if place != "for_each" and not place.startswith("draft"):
            with _at(f"{field}.{place}"):
                text_shape(text, inner)
    for name, value in (step.draft or {}).items():
        _check_draft(f"{field}.draft.{name}", value, inner)
    _check_answer(step, field)


def _check_draft(field: str, value: JsonValue, scope: Mapping[str, Shape]) -> None:
    if isinstance(value, dict) and {"each", "make"} <= value.keys():
        with _at(f"{field}.each"):
            each = text_shape(str(value["each"]), scope)
            if each.kind not in ("list", "any"):
                raise InvalidRequest(f"{value['each']} is no list.")
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
