"""Who is asking: `local` over stdio and without tokens, else whom the bearer token stands for."""

from contextvars import ContextVar
from dataclasses import dataclass

from darkroom.server.context import LOCAL


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request, and where the request came in."""

    principal: str = LOCAL
    base: str = ""
    """The address of this server as the caller knows it; empty over stdio."""


present: ContextVar[Caller | None] = ContextVar("caller", default=None)
"""Set while a request of the HTTP face is answered."""


def caller() -> Caller:
    """Return who makes the present request."""
    return present.get() or Caller()
