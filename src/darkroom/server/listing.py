"""What clients are told there is before they use anything: lists made beforehand, so that none of it must be loaded.

`scripts/generate.py` writes them from the tools, resources and prompts themselves.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

from mcp_types import Prompt, Resource, ResourceTemplate, Tool
from pydantic import BaseModel

from darkroom.catalog.data import resource_text

FOLDER = "listing"
TOOLS = (
    "generate_image",
    "generate_video",
    "check_job",
    "cancel_job",
    "retry_job",
    "estimate_credits",
    "run_agent",
    "invoke_skill",
)
"""In the order in which clients see them."""
Item = TypeVar("Item", bound=BaseModel)


@cache
def tools() -> Sequence[Tool]:
    """Return the tools; reads files the first time."""
    return tuple(Tool.model_validate_json(resource_text(f"{FOLDER}/tools/{name}.json")) for name in TOOLS)


@cache
def resources() -> Sequence[Resource]:
    """Return the resources that have no variable in their URI, with those of darkroom's own skills; reads a file."""
    return _read("resources", Resource)


@cache
def templates() -> Sequence[ResourceTemplate]:
    """Return the resources that have one; reads a file."""
    return _read("templates", ResourceTemplate)


@cache
def prompts() -> Sequence[Prompt]:
    """Return the prompts, with darkroom's own skills; reads a file."""
    return _read("prompts", Prompt)


def _read(name: str, kind: type[Item]) -> Sequence[Item]:
    return tuple(kind.model_validate(item) for item in json.loads(resource_text(f"{FOLDER}/{name}.json")))
