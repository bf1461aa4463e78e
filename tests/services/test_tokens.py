"""Tokens of the HTTP face: made, checked, revoked."""

from collections.abc import Sequence

import pytest

from darkroom.domain.token import Scope, Token
from darkroom.errors import InvalidRequest
from darkroom.services import tokens
from darkroom.services.tokens import TokenBook
from factories import NOW, FakeClock

pytestmark = pytest.mark.anyio
DAY_MS = 86_400_000


class Kept:
    """A store in memory that counts how often it is asked."""

    def __init__(self) -> None:
        self.rows: list[Token] = []
        self.asked = 0

    async def add(self, token: Token) -> None:
        self.rows.append(token)

    async def find(self) -> list[Token]:
        self.asked += 1
        return list(self.rows)

    async def by_digest(self, digest: str) -> Token | None:
        self.asked += 1
        return next((row for row in self.rows if row.digest == digest), None)

    async def revoke(self, token_id: str, at: int) -> Token | None:
        for number, row in enumerate(self.rows):
            if row.id == token_id:
                self.rows[number] = row.model_copy(update={"revoked_at": at})
                return self.rows[number]
        return None


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def book(kept: Kept, clock: FakeClock) -> TokenBook:
    return TokenBook(kept, clock)


async def test_a_token_is_told_once_and_kept_as_a_digest(book: TokenBook, kept: Kept) -> None:
    token, secret = await book.add("ann")
    assert secret.startswith("drk_")
    assert len(secret) > 40
    assert secret not in repr(kept.rows)
    assert await book.verify(secret) == token == (await book.find())[0]
    assert (token.principal, token.scopes, token.plan, token.created_at, token.expires_at) == (
        "ann",
        (Scope.READ, Scope.WRITE),
        None,
        NOW,
        None,
    )
    other, _ = await book.add("ann")
    assert other.id != token.id
    assert other.digest != token.digest


@pytest.mark.parametrize("secret", ["", "drk_", "drk_wrong", "Bearer", "x" * 5000, "drk_\ud800"])
async def test_what_is_no_token_opens_nothing(book: TokenBook, secret: str) -> None:
    await book.add("ann")
    assert await book.verify(secret) is None


@pytest.mark.parametrize(
    ("expires", "span"), [("12h", DAY_MS // 2), ("30d", 30 * DAY_MS), ("8 weeks", 56 * DAY_MS), (" 1 Day ", DAY_MS)]
)
async def test_a_token_ends_when_its_span_is_over(book: TokenBook, clock: FakeClock, expires: str, span: int) -> None:
    token, secret = await book.add("ann", expires=expires)
    assert token.expires_at == NOW + span
    clock.advance(span / 1000 - 1)
    assert await book.verify(secret) == token
    clock.advance(1)
    assert await book.verify(secret) is None


@pytest.mark.parametrize("expires", ["", "0d", "tomorrow", "-1d", "1.5h", "30", "999999d", "2026-12-01"])
async def test_a_span_that_is_none_is_refused(book: TokenBook, kept: Kept, expires: str) -> None:
    with pytest.raises(InvalidRequest, match="is no span of time"):
        await book.add("ann", expires=expires)
    assert not kept.rows


@pytest.mark.parametrize("name", ["a", "ann", "ci-bot.2", "x" * 64, "0_0", " ann "])
async def test_names_of_principals(book: TokenBook, name: str) -> None:
    token, _ = await book.add(name)
    assert token.principal == name.strip()


@pytest.mark.parametrize("name", ["", "local", " local ", "Ann", "a/b", "..", "-a", "a-", "x" * 65, "ann\nbob", "é"])
async def test_names_that_could_be_anothers_or_a_path_are_refused(book: TokenBook, kept: Kept, name: str) -> None:
    with pytest.raises(InvalidRequest, match="A token cannot stand for"):
        await book.add(name)
    assert not kept.rows


@pytest.mark.parametrize(
    ("said", "scopes"),
    [
        (["read"], (Scope.READ,)),
        (["write"], (Scope.READ, Scope.WRITE)),
        ([" Write ", "read"], (Scope.READ, Scope.WRITE)),
    ],
)
async def test_who_may_write_may_read(book: TokenBook, said: Sequence[str], scopes: tuple[Scope, ...]) -> None:
    token, _ = await book.add("ann", scopes=said)
    assert token.scopes == scopes


@pytest.mark.parametrize(("said", "told"), [([], "needs a scope"), (["admin", "read"], "no scope 'admin'")])
async def test_scopes_that_there_are_not(book: TokenBook, kept: Kept, said: Sequence[str], told: str) -> None:
    with pytest.raises(InvalidRequest, match=told) as caught:
        await book.add("ann", scopes=said)
    assert caught.value.allowed == ["read", "write"]
    assert not kept.rows


async def test_a_token_is_believed_for_a_second_and_then_looked_up_again(
    book: TokenBook, kept: Kept, clock: FakeClock
) -> None:
    token, secret = await book.add("ann")
    for _ in range(5):
        assert await book.verify(secret) == token
    assert kept.asked == 1
    await kept.revoke(token.id, NOW)  # by another process
    assert await book.verify(secret) == token
    clock.advance(tokens.REMEMBERED_S)
    assert await book.verify(secret) is None


async def test_a_token_revoked_here_ends_at_once(book: TokenBook) -> None:
    token, secret = await book.add("ann")
    assert await book.verify(secret) == token
    assert (await book.revoke(token.id)).revoked_at == NOW
    assert await book.verify(secret) is None


async def test_whether_a_token_still_holds_is_looked_up_again_too(
    book: TokenBook, kept: Kept, clock: FakeClock
) -> None:
    token, _ = await book.add("ann", expires="1h")
    assert [await book.still(token), await book.still(token)] == [True, True]
    assert kept.asked == 1
    await kept.revoke(token.id, NOW)
    clock.advance(tokens.REMEMBERED_S)
    assert not await book.still(token)
    assert not await book.still(token.model_copy(update={"digest": "unknown"}))
    other, _ = await book.add("ann", expires="1h")
    clock.advance(3600)
    assert not await book.still(other)


async def test_a_token_that_there_is_not_cannot_be_revoked(book: TokenBook) -> None:
    token, _ = await book.add("ann")
    with pytest.raises(InvalidRequest, match="There is no token") as caught:
        await book.revoke(token.id[:-1])
    assert token.id not in str(caught.value), "another one must not be revoked by mistake"


async def test_guesses_fill_no_memory(book: TokenBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_REMEMBERED", 3)
    token, secret = await book.add("ann")
    for number in range(10):
        assert await book.verify(f"drk_{number}") is None
    assert await book.verify(secret) == token
    assert len(vars(book)["_seen"]) <= 3


async def test_a_plan_is_that_of_the_token_last_shown(book: TokenBook) -> None:
    _, plain = await book.add("ann")
    _, planned = await book.add("bob", plan="agency")
    assert book.plan_of("bob") is None
    await book.verify(plain)
    await book.verify(planned)
    assert (book.plan_of("ann"), book.plan_of("bob")) == (None, "agency")


async def test_whether_there_is_any_is_looked_up_once_a_second_until_there_is(
    book: TokenBook, kept: Kept, clock: FakeClock
) -> None:
    assert [await book.any(), await book.any()] == [False, False]
    assert kept.asked == 1
    token, _ = await book.add("ann")
    clock.advance(tokens.REMEMBERED_S)
    assert [await book.any(), await book.any()] == [True, True]
    await book.revoke(token.id)
    clock.advance(60)
    assert await book.any()
    assert kept.asked == 2
