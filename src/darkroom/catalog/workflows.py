"""Workflows: the shipped ones, as TOML files, and those that a caller gives as JSON."""

import json
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from pydantic import ValidationError

from darkroom.catalog.data import manifests_dir
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.domain.workflow import MAX_BYTES, MAX_STEPS, Step, Workflow
from darkroom.domain.workflow_check import NOTHING, check
from darkroom.errors import InvalidRequest


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
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Workflow.model_json_schema(mode="validation")}


def read_workflow(source: str | Mapping[str, Any], name: str = "workflow") -> Workflow:
    """Return a workflow of JSON text or data, everything in it checked but the names of agents, skills and models.

    Raises:
        InvalidRequest: If it is no JSON, too large, or no sound workflow; the message says where.
    """
    text = source if isinstance(source, str) else _dumped(source, name)
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_BYTES:
        raise InvalidRequest(
            f"{name} holds {size:,} bytes.", field="workflow", allowed=f"up to {MAX_BYTES:,}", hint=NOTHING
        )
    data = _loaded(text, name) if isinstance(source, str) else source
    _check_length(data, name)
    try:
        flow = Workflow.model_validate({"name": name, **data})
    except ValidationError as exc:
        raise _told(exc, name) from None
    check(flow)
    return flow


def _dumped(data: Mapping[str, Any], name: str) -> str:
    try:
        return json.dumps(data, default=str)
    except (RecursionError, ValueError, TypeError):
        raise InvalidRequest(f"{name} is nested too deeply.", field="workflow", hint=NOTHING) from None


def _loaded(text: str, name: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as exc:
        where = f" in line {exc.lineno}: {exc.msg}" if isinstance(exc, json.JSONDecodeError) else ""
        raise InvalidRequest(f"{name} is no JSON{where}.", field="workflow", hint=NOTHING) from None
    if not isinstance(data, dict):
        raise InvalidRequest(f"{name} must be an object with steps.", field="workflow", hint=NOTHING)
    return cast("dict[str, Any]", data)


def _check_length(data: Mapping[str, Any], name: str) -> None:
    steps = data.get("steps")
    if isinstance(steps, list | tuple) and len(cast("list[Any]", steps)) > MAX_STEPS:
        count = len(cast("list[Any]", steps))
        raise InvalidRequest(
            f"{name} has {count:,} steps.", field="workflow.steps", allowed=f"1 to {MAX_STEPS}", hint=NOTHING
        )


def _told(exc: ValidationError, name: str) -> InvalidRequest:
    """Return the first thing that the models refuse, in our words."""
    error = exc.errors(include_url=False)[0]
    place = [part for part in error["loc"] if part != "function-after"]
    where, last = ".".join(map(str, place)), str(place[-1]) if place else ""
    if error["type"] == "extra_forbidden":
        names = Step.model_fields if len(place) == 3 and place[0] == "steps" else Workflow.model_fields
        what = f"there is no {clip(last)!r} here.{did_you_mean(last, names)}"
    elif error["type"] == "missing":
        what = f"{last} is missing."
    else:
        what = f"{error['msg']}."
    return InvalidRequest(f"{name}: {where}: {what}", field=f"workflow.{where}", hint=NOTHING)
