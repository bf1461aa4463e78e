"""The entry for the registry of MCP servers: its form, and that it agrees with the project and the manifests.

The form is what the schema of 2025-12-11 asks of the parts that we use, in words of our own: the official file names
package indexes, which nothing here may do.
"""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

import darkroom
from darkroom.app import App
from darkroom.catalog.providers import Providers
from darkroom.server.build import DarkroomServer
from darkroom.settings import Settings, known_variables

ROOT = Path(__file__).parent.parent
FILE = ROOT / "server.json"
KEYS = {name for provider in Providers().values() for names in provider.credentials for name in names}
EXACT = re.compile(r"\d+\.\d+\.\d+((a|b|rc|\.post|\.dev)\d+)?")
"""A version as the registry wants it: one, not a range, and not "latest"."""
VARIABLE = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"},
        "description": {"type": "string", "minLength": 1},
        "format": {"enum": ["string", "number", "boolean", "filepath"]},
        "isRequired": {"type": "boolean"},
        "isSecret": {"type": "boolean"},
    },
    "required": ["name"],
    "additionalProperties": False,
}
PACKAGE = {
    "type": "object",
    "properties": {
        "registryType": {"const": "pypi"},
        "identifier": {"type": "string"},
        "version": {"type": "string", "minLength": 1, "not": {"const": "latest"}},
        "runtimeHint": {"type": "string"},
        "transport": {"type": "object", "properties": {"type": {"const": "stdio"}}, "required": ["type"]},
        "packageArguments": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"type": {"const": "positional"}, "value": {"type": "string"}},
                "required": ["type", "value"],
                "additionalProperties": False,
            },
        },
        "environmentVariables": {"type": "array", "items": VARIABLE},
    },
    "required": ["registryType", "identifier", "transport"],
    "additionalProperties": False,
}
FORM: Any = Draft7Validator(
    {
        "type": "object",
        "properties": {
            "$schema": {"const": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"},
            "name": {
                "type": "string",
                "minLength": 3,
                "maxLength": 200,
                "pattern": "^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$",
            },
            "title": {"type": "string", "minLength": 1, "maxLength": 100},
            "description": {"type": "string", "minLength": 1, "maxLength": 100},
            "version": {"type": "string", "maxLength": 255},
            "packages": {"type": "array", "items": PACKAGE, "minItems": 1},
        },
        "required": ["$schema", "name", "description", "version"],
        "additionalProperties": False,
    },
)


def published() -> dict[str, Any]:
    return json.loads(FILE.read_text("utf-8"))


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def package() -> dict[str, Any]:
    (only,) = published()["packages"]
    return only


def variables() -> dict[str, dict[str, Any]]:
    return {variable["name"]: variable for variable in package()["environmentVariables"]}


def faults(entry: dict[str, Any]) -> list[str]:
    found: Any = FORM.iter_errors(entry)
    return [error.message for error in found]


def test_the_entry_has_the_form_of_the_registry() -> None:
    assert faults(published()) == []


GONE = object()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["name"], "darkroom"),
        (["name"], "io.github.a/b/c"),
        (["description"], "x" * 101),
        (["version"], GONE),
        (["packages", 0, "transport"], GONE),
        (["packages", 0, "version"], "latest"),
        (["packages", 0, "packageArguments", 0, "value"], GONE),
        (["packages", 0, "environmentVariables", 0, "isSecret"], "yes"),
    ],
)
def test_a_wrong_entry_is_found(path: list[Any], value: object) -> None:
    entry = published()
    here: Any = entry
    for key in path[:-1]:
        here = here[key]
    if value is GONE:
        del here[path[-1]]
    else:
        here[path[-1]] = value
    assert len(faults(entry)) == 1


def test_all_versions_agree_and_are_exact() -> None:
    served = DarkroomServer(App(Settings.load()).running).version
    versions = {published()["version"], package()["version"], project()["version"], served}
    assert versions == {darkroom.__version__}
    assert EXACT.fullmatch(darkroom.__version__)


@pytest.mark.parametrize("version", ["latest", "^1.2.3", "~1.2.3", ">=1.2.3", "1.x", "1.*", "1.2", "v1.2.3"])
def test_a_range_is_no_version(version: str) -> None:
    assert not EXACT.fullmatch(version)


def test_the_package_can_be_run_by_its_name_alone() -> None:
    assert package()["runtimeHint"] == "uvx"
    assert package()["identifier"] == project()["name"]
    assert project()["scripts"][project()["name"]] == project()["scripts"]["darkroom"]
    assert [argument["value"] for argument in package()["packageArguments"]] == ["serve"]


def test_the_readme_proves_whose_package_it_is() -> None:
    assert re.findall(r"mcp-name: (\S+)", (ROOT / "README.md").read_text("utf-8")) == [published()["name"]]


def test_every_credential_of_every_provider_is_named_once_as_an_optional_secret() -> None:
    named = [variable["name"] for variable in package()["environmentVariables"]]
    assert len(named) == len(set(named))
    assert set(named) >= KEYS
    assert all(variables()[name]["isSecret"] for name in KEYS)
    assert not any(variable["isRequired"] for variable in variables().values())


def test_what_is_no_credential_is_a_setting_that_is_read() -> None:
    others = variables().keys() - KEYS
    extras = {name for provider in Providers().values() for name in provider.extras}
    assert others - known_variables() == {"DARKROOM_OPENAI_COMPATIBLE_BASE_URL", *extras}
    assert "OPENAI_API_VERSION" in extras
    assert [name for name in others if variables()[name]["isSecret"]] == ["DARKROOM_CALLBACK_SECRET"]
    assert variables()["DARKROOM_HOME"]["format"] == variables()["DARKROOM_OUTPUT_DIR"]["format"] == "filepath"


def test_a_credential_that_goes_with_others_says_so() -> None:
    assert variables()["FAL_KEY"]["description"] == "fal"
    assert variables()["HF_API_KEY"]["description"] == "Higgsfield, with HF_API_SECRET or HF_SECRET"
