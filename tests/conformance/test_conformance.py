"""What `make conformance` lets pass and what it does not; the suites themselves need the npm registry and run there."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SCRIPT = HERE.parent.parent / "scripts" / "conformance.py"
LISTS = sorted(path.stem for path in (HERE / "expected").glob("*.yaml"))


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("conformance_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


def check(name: str, status: str) -> dict[str, str]:
    return {"id": name, "status": status, "description": name, "errorMessage": f"{name} said so"}


FOUND = {
    "list": [check("names", "SUCCESS"), check("order", "SUCCESS"), check("wire-schema-valid", "SUCCESS")],
    "call": [check("text", "FAILURE"), check("image", "WARNING"), check("sound", "SUCCESS")],
    "skills": [check("digest", "SKIPPED"), check("wire-schema-valid", "SUCCESS")],
}


def test_what_may_fail_is_counted_apart(script: Any) -> None:
    tally = script.judged(FOUND, {"call": "no media", "skills:skipped": "no skills"})
    assert (tally.scenarios, tally.passed, tally.failed, tally.expected) == (3, 5, 0, 3)
    assert (tally.skipped, tally.problems) == (1, [])


def test_an_entry_for_one_check_excuses_no_other(script: Any) -> None:
    tally = script.judged(FOUND, {"call:text": "no text", "skills": "no skills"})
    assert (tally.failed, tally.expected) == (1, 2)
    assert tally.problems == ["call:image: image said so"]


def test_a_scenario_that_found_nothing_to_check_fails(script: Any) -> None:
    tally = script.judged({"skills": FOUND["skills"]}, {})
    assert tally.problems == ["skills:skipped: The scenario found nothing to check."]
    assert script.judged({"none": []}, {}).failed == 1


def test_an_entry_that_no_longer_fails_is_a_problem(script: Any) -> None:
    tally = script.judged({"list": FOUND["list"]}, {"list:names": "once", "gone": "was renamed"})
    assert tally.failed == 0
    assert tally.problems == [f"{name} no longer fails: take it off the list." for name in ("list:names", "gone")]


@pytest.mark.parametrize("name", LISTS)
def test_every_entry_gives_a_reason(script: Any, name: str) -> None:
    assert all(len(reason) > 20 for reason in script.expectations(name).values())


def test_there_is_a_list_for_every_set(script: Any) -> None:
    assert [f"{server}-{era}" for server in ("darkroom", "fixture") for era in sorted(script.ERAS)] == LISTS


def test_the_suites_are_pinned_without_an_address_of_a_registry() -> None:
    lock = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]
    for name, version in json.loads((HERE / "package.json").read_text("utf-8"))["dependencies"].items():
        assert re.fullmatch(r"\d+\.\d+\.\d+(-[a-z]+\.\d+)?", version)
        assert lock[f"node_modules/{name}"]["version"] == version
    assert all("resolved" not in package for package in lock.values())
    assert all(package["integrity"].startswith("sha512-") for name, package in lock.items() if name)
