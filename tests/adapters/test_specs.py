"""Recorded bodies against the vendors' own specifications, where those lie beside the repository."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from helpers_contract import recording

SPECS = Path(__file__).parents[3] / "shared" / "reference" / "specs"
FILES = {
    "luma": "luma-openapi.yaml",
    "minimax": "minimax-openapi.yaml",
    "replicate": "replicate-openapi.json",
    "higgsfield": "higgsfield-openapi-patched.json",
}
pytestmark = pytest.mark.skipif(not SPECS.is_dir(), reason="the vendors' specifications are not here")


@cache
def spec(provider_id: str) -> dict[str, Any]:
    text = (SPECS / FILES[provider_id]).read_text(encoding="utf-8")
    return yaml.safe_load(text) if FILES[provider_id].endswith("yaml") else json.loads(text)


def schema_of(provider_id: str, path: str) -> dict[str, Any] | None:
    """Return the schema of the body posted to a path; None where the specification does not know it."""
    base = urlsplit(str(spec(provider_id)["servers"][0]["url"])).path
    for template, operations in spec(provider_id)["paths"].items():
        pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template))
        if "post" in operations and re.fullmatch(f"(?:{re.escape(base)})?{pattern}", path):
            content = operations["post"].get("requestBody", {}).get("content", {})
            return content.get("application/json", {}).get("schema")
    return None


def steps() -> list[Any]:
    return [
        pytest.param(provider_id, step["sent"], id=f"{provider_id}-{case['name']}")
        for provider_id in FILES
        for case in recording(provider_id)["cases"]
        if case["do"] == "submit" and {"accepted", "succeeded"} & set(case["result"])
        for step in case["exchange"]
        if "json" in step["sent"]
    ]


@pytest.mark.parametrize(("provider_id", "sent"), steps())
def test_a_recorded_body_is_what_the_specification_asks_for(provider_id: str, sent: dict[str, Any]) -> None:
    schema = schema_of(provider_id, sent["path"])
    if schema is None:
        pytest.skip("newer than the specification")
    whole = {**schema, "components": spec(provider_id).get("components", {})}
    found: Iterator[ValidationError] = Draft202012Validator(whole).iter_errors(sent["json"])  # pyright: ignore[reportUnknownMemberType]
    assert [f"{error.json_path}: {error.message[:200]}" for error in found] == []


def test_the_specifications_know_some_of_the_paths() -> None:
    known = [item for item in steps() if schema_of(item.values[0], item.values[1]["path"])]  # type: ignore[index]
    assert {str(item.values[0]) for item in known} == set(FILES)
