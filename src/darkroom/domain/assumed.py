"""What a run of a workflow took for granted: inputs that neither the task nor the context said."""

from collections.abc import Mapping
from typing import Any, cast

from pydantic import JsonValue

from darkroom.domain.request import clip
from darkroom.domain.templates import said
from darkroom.domain.workflow import Workflow

CONTEXT, TASK, DEFAULT = "context", "task", "default"
"""Where the value of an input is from."""
_SHOWN = 80
"""Letters of a value that are repeated."""


def assumed(inputs: Mapping[str, JsonValue], sources: Mapping[str, str]) -> dict[str, JsonValue]:
    """Return the inputs that have their default, since nobody said another; those without a default apart."""
    return {name: value for name, value in inputs.items() if sources.get(name) == DEFAULT and value not in (None, "")}


def assumed_in(work: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return the same of what is in `Run.work`."""
    inputs = cast("dict[str, JsonValue]", work.get("inputs") or {})
    return assumed(inputs, cast("dict[str, str]", work.get("sources") or {}))


def told(flow: Workflow, inputs: Mapping[str, JsonValue], sources: Mapping[str, str]) -> str:
    """Return in words what was read from the task, what was assumed, and what was left out; empty for nothing."""
    read = {name: value for name, value in inputs.items() if sources.get(name) == TASK}
    taken = assumed(inputs, sources)
    left = [
        name
        for name, item in flow.inputs.items()
        if item.reader and sources.get(name) == DEFAULT and name not in taken and inputs.get(name) in (None, "")
    ]
    lines = [
        f"Read from the task: {_listed(read)}." if read else "",
        f"Assumed, because nobody said: {_listed(taken)}. Give in context what is to be otherwise." if taken else "",
        f"Left out, because nobody said: {', '.join(left)}. Say it in the task or in context." if left else "",
    ]
    return "\n".join(line for line in lines if line)


def _listed(values: Mapping[str, JsonValue]) -> str:
    return ", ".join(f"{name} = {clip(said(value), _SHOWN).rstrip('.')}" for name, value in values.items())
