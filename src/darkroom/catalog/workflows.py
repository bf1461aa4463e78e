"""Workflows: the shipped ones, as TOML files, and those that a caller gives as JSON."""

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any, NoReturn, cast

from pydantic import ValidationError

from darkroom.catalog.data import manifests_dir
from darkroom.domain.workflow import MAX_BYTES, MAX_STEPS, Workflow
from darkroom.domain.workflow_check import check
from darkroom.domain.workflow_faults import json_fault, told
from darkroom.domain.workflow_kinds import NOTHING
from darkroom.errors import InvalidRequest

SCHEMA = "$schema"
"""What a file may hold for its editor."""


@cache
def workflows() -> dict[str, Workflow]:
    """Return every shipped workflow by name; reads files the first time.

    Raises:
        InvalidRequest: If a shipped file is broken.
    """
    found: dict[str, Workflow] = {}
    for path in sorted(manifests_dir("workflows").glob("*.toml")):
        flow = read_workflow(tomllib.loads(path.read_text(encoding="utf-8")), path.stem)
        if flow.name != path.stem:
            raise InvalidRequest(f"{path.name}: the name must be that of the file, not {flow.name!r}.", field="name")
        found[flow.name] = flow
    return found


@cache
def workflow_names() -> tuple[str, ...]:
    """Return the names of the shipped workflows."""
    return tuple(sorted(path.stem for path in manifests_dir("workflows").glob("*.toml")))


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a workflow's file."""
    found = Workflow.model_json_schema(mode="validation")
    found["properties"] = {SCHEMA: {"type": "string", "description": "this schema"}, **found["properties"]}
    return {SCHEMA: "https://json-schema.org/draft/2020-12/schema", **found}


def read_workflow(source: str | Mapping[str, Any], name: str = "workflow") -> Workflow:
    """Return a workflow of JSON text or data, everything in it checked but the names of agents, skills and models.

    Raises:
        InvalidRequest: If it is no JSON, too large, or no sound workflow; the message says where.
    """
    if not isinstance(source, str):
        _check_length(source, name)
    text = source if isinstance(source, str) else _dumped(source, name)
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_BYTES:
        raise InvalidRequest(
            f"{name} holds {size:,} bytes.", field="workflow", allowed=f"up to {MAX_BYTES:,}", hint=NOTHING
        )
    data = _loaded(text, name) if isinstance(source, str) else source
    data = {key: value for key, value in data.items() if key != SCHEMA}
    _check_length(data, name)
    try:
        flow = Workflow.model_validate({"name": name, **data})
    except ValidationError as exc:
        raise told(exc, name, data) from None
    check(flow)
    return flow


def _dumped(data: Mapping[str, Any], name: str) -> str:
    try:
        return json.dumps(data, default=str, allow_nan=False)
    except (RecursionError, ValueError, TypeError):
        raise InvalidRequest(
            f"{name} is nested too deeply, leads into itself, or holds a number that is none (NaN, Infinity).",
            field="workflow",
            hint=NOTHING,
        ) from None


def _loaded(text: str, name: str) -> dict[str, Any]:
    try:
        data = json.loads(text, parse_constant=lambda word: _refuse(word, name))
    except (ValueError, RecursionError) as exc:
        raise InvalidRequest(f"{name} is no JSON: {json_fault(exc)}.", field="workflow", hint=NOTHING) from None
    if not isinstance(data, dict):
        raise InvalidRequest(
            f"{name} must be an object with steps.",
            field="workflow",
            allowed='{"steps": [{"id": "picture", "kind": "image", "arguments": {"prompt": "a fox"}}]}',
            hint=NOTHING,
        )
    return cast("dict[str, Any]", data)


def _refuse(word: str, name: str) -> NoReturn:
    raise InvalidRequest(f"{name} is no JSON: {word} is no number.", field="workflow", hint=NOTHING)


def _check_length(data: Mapping[str, Any], name: str) -> None:
    steps = data.get("steps")
    if isinstance(steps, list | tuple) and len(cast("list[Any]", steps)) > MAX_STEPS:
        count = len(cast("list[Any]", steps))
        raise InvalidRequest(
            f"{name} has {count:,} steps.", field="workflow.steps", allowed=f"1 to {MAX_STEPS}", hint=NOTHING
        )
