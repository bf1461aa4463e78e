"""What every store keeps of bearer tokens."""

from collections.abc import Awaitable, Callable

import pytest

from darkroom.domain.token import Scope, Token
from factories import NOW
from helpers_runs import Stores

pytestmark = pytest.mark.anyio
OpenStore = Callable[[], Awaitable[Stores]]


def token(number: int = 1, **said: object) -> Token:
    plain = {
        "id": f"token_{number}",
        "digest": f"{number:064x}",
        "principal": "ann",
        "scopes": (Scope.READ, Scope.WRITE),
        "plan": "agency",
        "created_at": NOW + number,
        "expires_at": NOW + 1000,
    }
    return Token.model_validate({**plain, **said})


async def test_tokens_are_found_oldest_first_and_whole(store: Stores) -> None:
    later, first = token(2, plan=None, expires_at=None, scopes=(Scope.READ,)), token(1)
    await store.tokens.add(later)
    await store.tokens.add(first)
    assert await store.tokens.find() == [first, later]


async def test_a_token_is_found_by_its_digest_alone(store: Stores) -> None:
    await store.tokens.add(token(1))
    assert await store.tokens.by_digest(token(1).digest) == token(1)
    assert await store.tokens.by_digest(token(2).digest) is None
    assert await store.tokens.by_digest("token_1") is None


async def test_a_revoked_token_keeps_its_row_and_the_moment_of_the_first_time(store: Stores) -> None:
    await store.tokens.add(token(1))
    await store.tokens.add(token(2))
    revoked = token(1, revoked_at=NOW + 7)
    assert await store.tokens.revoke("token_1", NOW + 7) == revoked
    assert await store.tokens.revoke("token_1", NOW + 9) == revoked
    assert await store.tokens.find() == [revoked, token(2)]


async def test_what_is_not_there_cannot_be_revoked(store: Stores) -> None:
    assert await store.tokens.revoke("token_1", NOW) is None


async def test_other_processes_see_tokens_at_once(store: Stores, open_another: OpenStore) -> None:
    other = await open_another()
    await store.tokens.add(token(1))
    assert await other.tokens.by_digest(token(1).digest) == token(1)
    await other.tokens.revoke("token_1", NOW)
    assert await store.tokens.by_digest(token(1).digest) == token(1, revoked_at=NOW)
