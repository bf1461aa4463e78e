"""What is Kie's own: pictures that its models take only together, and a body for each model."""

import json
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator

from darkroom.catalog.providers import Providers
from darkroom.errors import InvalidRequest
from helpers_contract import call_of, recording

KIE = Providers()["kie"]
SPEC = Path(__file__).parents[3] / "shared/reference/specs/kie/openapi_endpoint_catalog.json"
"""The bodies of the vendor's pages, which are not part of the repository."""


@pytest.mark.parametrize(
    ("model", "roles"),
    [
        ("ideogram-3-edit", ["source", "mask"]),
        ("ideogram-character-remix", ["source", "character"]),
        ("ideogram-character-edit", ["source", "mask", "character"]),
    ],
)
def test_an_edit_without_all_of_its_pictures_is_refused_before_anything_is_sent(
    model: str, roles: list[str], tmp_path: Path
) -> None:
    case: dict[str, Any] = {"model": model, "inputs": [{"role": role} for role in roles]}
    assert len(call_of(KIE, case, tmp_path).inputs) == len(roles)
    for missing in roles[1:]:
        fewer = [role for role in roles if role != missing]
        with pytest.raises(InvalidRequest, match=f"only together with a {missing}"):
            call_of(KIE, {**case, "inputs": [{"role": role} for role in fewer]}, tmp_path)


def opened(schema: Any) -> Any:
    """Return a schema without what its copy lost: references, and conditions of which only `string` is left."""
    if isinstance(schema, list):
        return [opened(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    parts = {name: opened(value) for name, value in cast("dict[str, Any]", schema).items() if name != "allOf"}
    return {} if "$ref" in parts else parts


@cache
def bodies() -> dict[tuple[str, str], Any]:
    """Return the schemas of bodies by path and model."""
    found: dict[tuple[str, str], Any] = {}
    for page in json.loads(SPEC.read_text(encoding="utf-8"))["endpoints"]:
        schema = opened(page["request"].get("application/json", {}).get("schema") or {})
        for model in schema.get("properties", {}).get("model", {}).get("enum") or ():
            found.setdefault((page["path"], model), schema)
    return found


@pytest.mark.skipif(not SPEC.is_file(), reason="the vendor's pages are not here")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(step["sent"], id=case["name"])
        for case in recording("kie")["cases"]
        if case["do"] == "submit" and "accepted" in case["result"]
        for step in case["exchange"]
    ],
)
def test_a_recorded_body_is_what_the_vendor_s_page_asks_for(sent: dict[str, Any]) -> None:
    body = sent["json"]
    schema = bodies().get((sent["path"], body.get("model", "")))
    if schema is None:
        pytest.skip("on none of the pages")
    validator: Any = Draft202012Validator(schema)
    errors = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(body)]
    named = schema["properties"].get("input", {}).get("properties")
    errors += [
        f"{name} is not on the page" for name in body.get("input", {}) if named is not None and name not in named
    ]
    assert errors == []
