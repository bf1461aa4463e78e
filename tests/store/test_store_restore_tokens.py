"""Tokens when a backup is put in place of the database: what was revoked since stays revoked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from darkroom.domain.token import Scope, Token
from darkroom.store.sqlite import token_store
from darkroom.store.sqlite.care import Care
from factories import NOW
from helpers_care import LATER, new_care, opened, run


def token(number: int, **said: object) -> Token:
    plain = {"id": f"token_{number}", "digest": str(number), "principal": "ann", "scopes": (Scope.READ,)}
    return Token.model_validate({**plain, "created_at": NOW + number, **said})


def tokens(care: Care) -> list[Token]:
    with opened(care.path) as db:
        return token_store.every(db)


def gone(care: Care) -> None:
    care.path.unlink()


def older(care: Care) -> None:
    run(care, "DROP TABLE tokens")


@pytest.fixture
def care(tmp_path: Path) -> Care:
    made = new_care(tmp_path)
    with opened(made.path) as db:
        token_store.put(db, token(1))
        token_store.put(db, token(2))
    return made


def test_a_backup_brings_no_revoked_token_back_and_loses_no_new_one(care: Care) -> None:
    copy = care.backup(None, NOW).path
    with opened(care.path) as db:
        token_store.revoke(db, "token_1", NOW + 50)
        token_store.put(db, token(3))
    care.restore(copy, LATER)
    assert tokens(care) == [token(1, revoked_at=NOW + 50), token(2), token(3)]


@pytest.mark.parametrize("happen", [older, gone])
def test_where_the_old_file_tells_of_none_those_of_the_backup_hold(care: Care, happen: Callable[[Care], None]) -> None:
    copy = care.backup(None, NOW).path
    happen(care)
    care.restore(copy, LATER)
    assert tokens(care) == [token(1), token(2)]
