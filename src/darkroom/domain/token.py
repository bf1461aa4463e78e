"""Bearer tokens: who holds one, what it allows, and until when."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Scope(StrEnum):
    """What a token allows."""

    READ = "read"
    """To look: jobs, prices, resources, skills."""
    WRITE = "write"
    """To start, answer, cancel and retry, which spends money."""


class Token(BaseModel):
    """One bearer token without its secret."""

    model_config = ConfigDict(frozen=True)

    id: str
    digest: str
    """SHA-256 of the token, in hexadecimal digits."""
    principal: str
    scopes: tuple[Scope, ...]
    plan: str | None = None
    """The billing plan of its holder, in place of the one in the settings."""
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None

    def holds(self, now: int) -> bool:
        """Return whether it is to be accepted at that moment (milliseconds)."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)
