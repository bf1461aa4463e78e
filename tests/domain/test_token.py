"""Until when a token is accepted."""

import pytest

from darkroom.domain.token import Scope, Token
from factories import NOW


def token(**said: object) -> Token:
    plain = {"id": "token_1", "digest": "ab", "principal": "ann", "scopes": (Scope.READ,), "created_at": NOW}
    return Token.model_validate({**plain, **said})


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ({}, True),
        ({"expires_at": NOW + 1}, True),
        ({"expires_at": NOW}, False),
        ({"revoked_at": NOW + 5}, False),
        ({"expires_at": NOW + 1, "revoked_at": NOW - 5}, False),
    ],
)
def test_a_token_holds_until_it_is_revoked_or_its_time_is_over(said: dict[str, int], holds: bool) -> None:
    assert token(**said).holds(NOW) is holds
