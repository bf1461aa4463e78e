"""What is promised by whoever keeps bearer tokens and counts the calls made with them."""

from typing import Protocol

from darkroom.domain.token import Token


class TokenStore(Protocol):
    """Bearer tokens, shared by every process with the same database."""

    async def add(self, token: Token) -> None:
        """Keep a new token."""
        ...

    async def find(self) -> list[Token]:
        """Return all tokens, revoked ones too, oldest first."""
        ...

    async def by_digest(self, digest: str) -> Token | None:
        """Return the token with that digest, whether it still holds or not."""
        ...

    async def revoke(self, token_id: str, at: int) -> Token | None:
        """Revoke a token and return it; one that was revoked before keeps its moment. None when there is none."""
        ...


class Pace(Protocol):
    """Counts the tool calls of principals, together with every process that shares the medium."""

    async def take(self, principal: str) -> int:
        """Count a call and return 0; where there were too many, count nothing and return the seconds to wait."""
        ...
