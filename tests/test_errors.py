"""Every error has its own stable code and survives being stored."""

import json
from typing import Any

import pytest

from darkroom import errors
from darkroom.domain.kinds import Role
from darkroom.errors import DETAILS, DarkroomError, InvalidRequest, ProviderFailed, RateLimited, from_dict

CODES = {
    "invalid_request": False,
    "unsupported": False,
    "unknown_model": False,
    "model_retired": False,
    "unknown_job": False,
    "not_configured": False,
    "auth_failed": False,
    "insufficient_credits": False,
    "budget_exceeded": False,
    "price_unknown": False,
    "content_blocked": False,
    "rate_limited": True,
    "overloaded": True,
    "provider_failed": True,
    "submit_unknown": False,
    "timed_out": True,
    "result_expired": False,
    "unexpected_answer": True,
    "storage_full": True,
    "storage_unwritable": False,
    "storage_corrupt": False,
    "storage_missing": False,
    "storage_newer": False,
}
"""The codes of the design, and whether the same call may succeed later."""


def leaves(kind: type[DarkroomError] = DarkroomError) -> list[type[DarkroomError]]:
    below = [leaf for sub in kind.__subclasses__() if sub.__module__ == errors.__name__ for leaf in leaves(sub)]
    return below or [kind]


def test_every_leaf_has_a_code_of_its_own_and_no_code_is_missing() -> None:
    assert sorted(leaf.code for leaf in leaves()) == sorted(CODES)


def test_the_table_in_the_docstring_is_the_tree() -> None:
    table = {tuple(line.split()[:2]) for line in (errors.__doc__ or "").splitlines() if line.startswith("        ")}
    assert {(leaf.__name__, leaf.code) for leaf in leaves()} <= table


@pytest.mark.parametrize("leaf", leaves(), ids=lambda leaf: leaf.__name__)
def test_an_error_survives_being_stored(leaf: type[DarkroomError]) -> None:
    details: dict[str, Any] = {
        "hint": "Wait.",
        "field": "n",
        "allowed": ["1", "2"],
        "retry_after_s": 2.5,
        "provider_code": "E1",
        "provider_message": "busy",
        "successor": "acme-2",
    }
    assert set(details) == set(DETAILS)
    data = json.loads(json.dumps(leaf("It broke.", **details).to_dict()))
    again = from_dict(data)
    assert type(again) is leaf
    assert str(again) == again.message == "It broke."
    assert (
        again.to_dict() == data == {"code": leaf.code, "message": "It broke.", "retryable": CODES[leaf.code], **details}
    )


@pytest.mark.parametrize("leaf", leaves(), ids=lambda leaf: leaf.__name__)
def test_what_is_not_known_is_absent(leaf: type[DarkroomError]) -> None:
    assert set(leaf("It broke.").to_dict()) == {"code", "message", "retryable"}


def test_a_code_of_another_version_becomes_a_failure_that_keeps_its_text() -> None:
    error = from_dict({"code": "out_of_film", "message": "No film.", "hint": "Buy some.", "colour": "red"})
    assert type(error) is ProviderFailed
    assert (error.message, error.hint) == ("No film.", "Buy some.")


@pytest.mark.parametrize("data", [{}, {"code": None}, {"code": 5, "retryable": True}])
def test_a_damaged_record_is_still_an_error(data: dict[str, Any]) -> None:
    assert from_dict(data).to_dict() == {"code": "provider_failed", "message": "", "retryable": True}


def test_allowed_values_of_any_kind_are_json_ready() -> None:
    assert InvalidRequest("x", allowed=list(Role)).to_dict()["allowed"] == [str(role) for role in Role]
    assert InvalidRequest("x", allowed=("a",)).to_dict()["allowed"] == ["a"]
    assert InvalidRequest("x", allowed="1 to 3").to_dict()["allowed"] == "1 to 3"
    assert RateLimited("x", retry_after_s=0).to_dict()["retry_after_s"] == 0


def test_branches_of_the_tree_have_the_code_of_what_they_are_most_like() -> None:
    branches = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DarkroomError)]
    assert {kind.code for kind in branches} == set(CODES)
