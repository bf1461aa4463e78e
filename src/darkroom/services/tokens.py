"""Bearer tokens of the HTTP face: who may come in, as whom, and for what."""

import hashlib
import re
import secrets
from collections.abc import Iterable

from darkroom.clock import Clock
from darkroom.domain.request import clip
from darkroom.domain.token import Scope, Token
from darkroom.errors import InvalidRequest
from darkroom.store.token_base import TokenStore

LOCAL = "local"
PREFIX = "drk_"
"""What every token begins with, so that scanners for leaked secrets can know it."""
REMEMBERED_S = 1.0
"""How long a token is believed without asking the store again: a revoked one works so long at most."""
MOST_REMEMBERED = 1024
_PRINCIPAL = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_SPAN = re.compile(r"([1-9]\d{0,4})\s*(h|hours?|d|days?|w|weeks?)")
_HOURS = {"h": 1, "d": 24, "w": 168}


class TokenBook:
    """Makes, lists, revokes and checks tokens; of each only a digest is kept."""

    def __init__(self, store: TokenStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._seen: dict[str, tuple[float, Token | None]] = {}
        self._plans: dict[str, str] = {}
        self._any = False
        self._look_again = 0.0

    async def add(
        self,
        principal: str,
        *,
        scopes: Iterable[str] = tuple(Scope),
        plan: str | None = None,
        expires: str | None = None,
    ) -> tuple[Token, str]:
        """Make a token.

        Args:
            principal: Whom it stands for: small letters, digits, `.`, `_` and `-`, at most 64; not `local`.
            scopes: What it allows, of `read` and `write`; to write is to read too.
            plan: The billing plan of its holder.
            expires: A span from now, such as `12h`, `30d` or `8w`; None for a token without an end.

        Returns:
            What is kept of it, and the token itself, which nobody can read again.

        Raises:
            InvalidRequest: If one of these cannot be.
        """
        now = self._clock.now()
        secret = PREFIX + secrets.token_urlsafe(32)
        token = Token(
            id=f"token_{secrets.token_hex(6)}",
            digest=digest_of(secret),
            principal=_principal(principal),
            scopes=_scopes(scopes),
            plan=plan,
            created_at=now,
            expires_at=None if expires is None else now + _span_ms(expires),
        )
        await self._store.add(token)
        return token, secret

    async def find(self) -> list[Token]:
        """Return all tokens, revoked and expired ones too, oldest first."""
        return await self._store.find()

    async def any(self) -> bool:
        """Return whether there is or was any: then nobody comes in without one; a first one counts within a second."""
        if not self._any and self._clock.monotonic() >= self._look_again:
            self._any = bool(await self._store.find())
            self._look_again = self._clock.monotonic() + REMEMBERED_S
        return self._any

    async def revoke(self, token_id: str) -> Token:
        """Revoke a token; where several processes serve, it may work for another second.

        Raises:
            InvalidRequest: If there is none of that id.
        """
        found = await self._store.revoke(token_id, self._clock.now())
        if found is None:
            raise InvalidRequest(
                f"There is no token {clip(token_id)!r}.",  # to name one that is near would invite to revoke it
                field="token",
                hint="Nothing was changed. darkroom token list names them.",
            )
        self._seen.clear()
        return found

    async def verify(self, secret: str) -> Token | None:
        """Return whose token that is, or None when it is nobody's, revoked or expired."""
        if not secret.startswith(PREFIX):
            return None
        token = await self._found(digest_of(secret))
        if token is None or not token.holds(self._clock.now()):
            return None
        if token.plan is not None:
            self._plans[token.principal] = token.plan
        return token

    async def still(self, token: Token) -> bool:
        """Return whether a token that was verified before is to be accepted now."""
        found = await self._found(token.digest)
        return found is not None and found.holds(self._clock.now())

    def plan_of(self, principal: str) -> str | None:
        """Return the plan that the token of a principal named when it was last shown here."""
        return self._plans.get(principal)

    async def _found(self, digest: str) -> Token | None:
        until, token = self._seen.get(digest, (0.0, None))
        if self._clock.monotonic() >= until:
            token = await self._store.by_digest(digest)
            self._remember(digest, token)
        return token

    def _remember(self, digest: str, token: Token | None) -> None:
        if len(self._seen) >= MOST_REMEMBERED:  # somebody is guessing
            self._seen.clear()
        self._seen[digest] = (self._clock.monotonic() + REMEMBERED_S, token)


def digest_of(secret: str) -> str:
    """Return what is kept of a token: it is random enough that a plain digest cannot be turned back."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _principal(text: str) -> str:
    name = text.strip()
    if name == LOCAL or not _PRINCIPAL.fullmatch(name):
        raise InvalidRequest(
            f"A token cannot stand for {clip(text)!r}.",
            field="principal",
            allowed="1 to 64 small letters, digits, '.', '_' and '-', with a letter or digit at both ends; not 'local'",
            hint="Nothing was stored. 'local' is who sits at this machine.",
        )
    return name


def _scopes(names: Iterable[str]) -> tuple[Scope, ...]:
    wanted = {name.strip().lower() for name in names}
    unknown = sorted(wanted - set(Scope))
    if unknown or not wanted:
        told = f"There is no scope {clip(unknown[0])!r}." if unknown else "A token needs a scope."
        raise InvalidRequest(told, field="scopes", allowed=list(Scope), hint="Nothing was stored.")
    return tuple(scope for scope in Scope if scope in wanted or Scope.WRITE in wanted)


def _span_ms(text: str) -> int:
    match = _SPAN.fullmatch(text.strip().lower())
    if match is None:
        raise InvalidRequest(
            f"{clip(text)!r} is no span of time.",
            field="expires",
            allowed="a number of hours, days or weeks, such as 12h, 30d or 8w",
            hint="Nothing was stored.",
        )
    return int(match[1]) * _HOURS[match[2][0]] * 3_600_000
