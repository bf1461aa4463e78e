"""Access tokens for Google Cloud, of the file that GOOGLE_APPLICATION_CREDENTIALS names.

Wire format: OAuth 2.0 with an assertion that a service account signs (RFC 7523), or with a person's refresh token
(RFC 6749), as the vendor's library google-auth sends them.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio
import anyio.to_thread

from darkroom.adapters.base import Follow
from darkroom.adapters.reading import needed, number_at, text_at
from darkroom.errors import AuthFailed, DarkroomError, NotConfigured, Overloaded, UnexpectedAnswer
from darkroom.net.answer import SHOWN, Answer
from darkroom.net.classify import Verdict, verdict_of
from darkroom.net.provider import ProviderHttp
from darkroom.net.redact import redact

FILE = "GOOGLE_APPLICATION_CREDENTIALS"
ENDPOINT = "https://oauth2.googleapis.com/token"
"""Where tokens are given out, and the audience of every assertion wherever it goes."""
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
LIFE_S = 3600
EARLY_MS = 60_000
"""How long before its end a token is no longer used."""
NEW_MS = 60_000
"""How long a token is new: one that is refused so soon is the fault of its account, an older one may be revoked."""
SORTS = ("service_account", "authorized_user")
REFUSED = frozenset({400, 401, 403})
NOTHING = "Nothing was sent or charged."


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    since: int
    ends_at: int


@dataclass(frozen=True, slots=True)
class _Grant:
    """What is given for a token, and where."""

    place: str
    form: dict[str, str] = field(repr=False)


class Tokens:
    """The access tokens of a process, one an account; asked for once, however many wait for it."""

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http
        self._kept: dict[tuple[str, ...], _Token] = {}
        self._asking: dict[tuple[str, ...], anyio.Lock] = {}

    async def bearer(self, call: Follow) -> dict[str, str]:
        """Return the header of an authorized call.

        Raises:
            NotConfigured: If the credentials file cannot be used.
            AuthFailed: If no token is given for it.
            Overloaded: If none could be had now; nothing else was sent.
        """
        account = tuple(call.credentials.values())
        async with self._asking.setdefault(account, anyio.Lock()):
            token = self._kept.get(account)
            if token is None or token.ends_at - EARLY_MS <= call.now:
                token = self._kept[account] = await self._made(call)
        return {"Authorization": f"Bearer {token.value}"}

    def refused(self, call: Follow, headers: dict[str, str]) -> bool:
        """Forget the token of these headers, which was not accepted; return whether a new one may be."""
        account = tuple(call.credentials.values())
        token = self._kept.get(account)
        if token is None or headers["Authorization"] != f"Bearer {token.value}":
            return True
        del self._kept[account]
        return token.since + NEW_MS < call.now

    async def _made(self, call: Follow) -> _Token:
        """Return a new token; whatever goes wrong on the way, the call that it is for was not made."""
        try:
            return await self._asked(call)
        except DarkroomError as exc:
            if verdict_of(exc) is not Verdict.UNKNOWN:
                raise
            raise Overloaded("Google gave no access token; nothing was sent.", hint="It is tried again.") from exc
        except Exception as exc:
            raise NotConfigured(
                f"No access token could be made of the file that {FILE} names ({type(exc).__name__}).",
                hint=f"{NOTHING} Look whether the file, and the library google-auth, are whole.",
            ) from exc

    async def _asked(self, call: Follow) -> _Token:
        path = Path(call.credentials[FILE])
        grant = await anyio.to_thread.run_sync(_grant, path, call.now // 1000)
        if self._http.own(grant.place) is None:
            raise NotConfigured(
                f"The token_uri of the file that {FILE} names is none of Google's.", hint=f"{NOTHING} Mend the file."
            )
        answer = await self._http.request("POST", grant.place, data=grant.form, also=REFUSED)
        if answer.status in REFUSED:
            raise _refused(answer, grant)
        data = answer.json()
        life = number_at(data, "expires_in") or EARLY_MS / 1000
        return _Token(needed(data, "access_token"), call.now, call.now + int(life * 1000))


def _refused(answer: Answer, grant: _Grant) -> AuthFailed:
    try:
        data = answer.json()
    except UnexpectedAnswer:
        data = None
    words = text_at(data, "error_description") or answer.text(SHOWN)
    return AuthFailed(
        f"Google gives no access token for the account of {FILE} (status {answer.status}).",
        hint=f"{NOTHING} Look whether the account, or its key, was disabled or deleted, whether the clock of this "
        "machine is right, and make a new credentials file if need be.",
        provider_code=text_at(data, "error"),
        provider_message=redact(words, grant.form.values())[:SHOWN],
    )


def _grant(path: Path, now_s: int) -> _Grant:
    """Return what a credentials file gives for a token; blocks.

    Raises:
        NotConfigured: If it cannot be read, or is of another sort.
    """
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise _unusable("cannot be read as JSON") from exc
    sort = text_at(data, "type")
    place = text_at(data, "token_uri") or ENDPOINT
    try:
        if sort == "service_account":
            kind = "urn:ietf:params:oauth:grant-type:jwt-bearer"
            return _Grant(place, {"grant_type": kind, "assertion": _assertion(data, now_s)})
        if sort == "authorized_user":
            names = ("client_id", "client_secret", "refresh_token")
            return _Grant(place, {"grant_type": "refresh_token", **{name: needed(data, name) for name in names}})
    except UnexpectedAnswer as exc:
        raise _unusable("lacks what such a file holds") from exc
    raise _unusable(f"is of the type {sort!r:.40}, and only {' and '.join(SORTS)} can be used")


def _assertion(data: Any, now_s: int) -> str:
    """Return what a service account says of itself, signed with its key."""
    from google.auth import crypt, jwt  # only who uses it waits for it to be read

    named = {name: needed(data, name) for name in ("client_email", "private_key", "private_key_id")}
    claims = {"iss": named["client_email"], "aud": ENDPOINT, "scope": SCOPE, "iat": now_s, "exp": now_s + LIFE_S}
    try:
        signer = cast("Any", crypt.RSASigner).from_service_account_info(named)
        return cast("Any", jwt).encode(signer, claims).decode("ascii")  # Any, because the library is untyped
    except ValueError as exc:
        raise _unusable("has a private key that cannot be used") from exc


def _unusable(why: str) -> NotConfigured:
    return NotConfigured(
        f"The file that {FILE} names {why}.",
        hint=f"{NOTHING} Name the JSON file of a service account, or the one that gcloud wrote at your sign-in.",
    )
