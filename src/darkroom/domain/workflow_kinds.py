"""What a step may have and must have, by its kind."""

from collections.abc import Iterable

from darkroom.domain.names import did_you_mean, nearest
from darkroom.domain.request import clip
from darkroom.domain.workflow import JOBS, Step, StepKind
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
_FIRST = {StepKind.IMAGE: "prompt", StepKind.VIDEO: "prompt", StepKind.JOIN: "clips"}
"""The argument that a step cannot do without."""
NOTHING = "Nothing was started."


def fields_for(kind: StepKind | None) -> tuple[str, ...]:
    """Return the fields that a step of a kind takes; those of all kinds where that is not known."""
    return tuple(name for name in Step.model_fields if kind is None or kind in _ONLY.get(name, StepKind))


def by_nearness(name: str, names: Iterable[str]) -> list[str]:
    """Return all of `names`, those that resemble `name` first, the others in their order."""
    every = list(names)
    near = nearest(name, every)
    return [*near, *(other for other in every if other not in near)]


def check_kind(step: Step) -> None:
    """Check that a step has what its kind needs, and nothing that only others take.

    Raises:
        InvalidRequest: If it has not.
    """
    field = f"workflow.steps.{step.id}"
    for name in _NEEDS.get(step.kind, ()):
        if not getattr(step, name):
            raise InvalidRequest(
                f"Step {step.id!r} is of kind {step.kind} and has no {name}.",
                field=f"{field}.{name}",
                hint=f"{NOTHING} Steps of that kind need {' and '.join(_NEEDS[step.kind])}.",
            )
    for name, kinds in _ONLY.items():
        if getattr(step, name) and step.kind not in kinds:
            raise InvalidRequest(
                f"Step {step.id!r} is of kind {step.kind}, which has no {name}.",
                field=f"{field}.{name}",
                allowed=by_nearness(name, fields_for(step.kind)),
                hint=NOTHING,
            )
    _check_arguments(step, f"{field}.arguments")


def _check_arguments(step: Step, field: str) -> None:
    allowed = ARGUMENTS.get(step.kind, ())
    for name in step.arguments:
        if name not in allowed:
            own = name in fields_for(step.kind)
            raise InvalidRequest(
                f"Step {step.id!r} has an argument {clip(name)!r}, which {step.kind} steps do not take."
                f"{did_you_mean(name, allowed)}",
                field=field,
                allowed=by_nearness(name, allowed),
                hint=f"{NOTHING} {name} stands beside arguments, not in it." if own else NOTHING,
            )
    wanted = _FIRST.get(step.kind)
    if wanted and wanted not in step.arguments and not (step.kind is StepKind.VIDEO and "scenes" in step.arguments):
        raise InvalidRequest(
            f"Step {step.id!r} has no argument {wanted!r}.",
            field=field,
            hint=f'{NOTHING} Write "arguments": {{"{wanted}": ...}} in the step.',
        )
