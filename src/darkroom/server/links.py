"""Signed links to outputs, for callers that cannot open files of this machine."""

import base64
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlencode

PURPOSE = "output links"
PATH = "/outputs"
LIFE_S = 3600
"""How long a link opens; every later answer brings a new one."""


@dataclass(frozen=True, slots=True)
class Links:
    """Makes links for one caller."""

    key: bytes
    base: str
    """What the caller reaches this server at, such as `https://media.example.com`, without a slash at its end."""
    principal: str
    now: int
    """Milliseconds."""

    def url(self, output_id: str) -> str:
        """Return an address that opens one output, for an hour."""
        until = str(self.now // 1000 + LIFE_S)
        said = {"by": self.principal, "until": until, "sig": signature(self.key, output_id, self.principal, until)}
        return f"{self.base}{PATH}/{quote(output_id, safe='')}?{urlencode(said)}"


def holder(key: bytes, output_id: str, said: Mapping[str, str], now: int) -> str | None:
    """Return whose output a link opens at that moment (milliseconds); None where it is forged, altered or too old."""
    principal, until = said.get("by", ""), said.get("until", "")
    wanted = signature(key, output_id, principal, until).encode()
    if not hmac.compare_digest(wanted, said.get("sig", "").encode(errors="surrogatepass")):
        return None
    return principal if now < int(until) * 1000 else None


def outward(data: dict[str, Any], links: Links | None) -> dict[str, Any]:
    """Return a view as its caller may see it: addresses in place of paths, unless the caller is at this machine."""
    return data if links is None else cast("dict[str, Any]", _outward(data, links))


def _outward(data: Any, links: Links) -> Any:
    if isinstance(data, Mapping):
        fields = cast("Mapping[str, Any]", data)
        if "path" in fields and "mime_type" in fields:
            kept = {key: value for key, value in fields.items() if key not in ("path", "thumbnail")}
            return {**kept, "url": links.url(str(fields["id"]))}
        return {key: _outward(value, links) for key, value in fields.items()}
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return [_outward(item, links) for item in cast("Sequence[Any]", data)]
    return data


def signature(key: bytes, *parts: str) -> str:
    """Return what only this installation can write under some words, of which none but the last has a line break."""
    text = "\n".join(parts).encode(errors="surrogatepass")
    return base64.urlsafe_b64encode(hmac.digest(key, text, "sha256")).decode().rstrip("=")
