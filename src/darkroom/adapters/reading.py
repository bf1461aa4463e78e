"""Reads providers' answers tolerantly: what is not there, or of another type, is None."""

import math
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from pydantic import JsonValue

from darkroom.adapters.base import Health, Made
from darkroom.domain.output import RemoteOutput
from darkroom.errors import UnexpectedAnswer

NO_PICTURE = "no picture that can be read"
"""A fault of `decoded` where a picture belongs."""
IN_LINE = frozenset({"in_queue", "pending", "queued", "queueing", "queuing", "submitted", "waiting"})
"""States of work that was accepted and that nobody works at yet, as providers call them, in lower case."""


def in_line(state: str | None) -> str | None:
    """Return what is said of accepted work that only waits at its provider; None of any other."""
    return "It waits for its turn at the provider." if (state or "").lower() in IN_LINE else None


def dig(data: Any, *path: str | int) -> Any:
    """Return what lies at that path of names and positions, or None."""
    for part in path:
        if isinstance(part, str) and isinstance(data, dict):
            data = cast("dict[str, Any]", data).get(part)
        elif isinstance(part, int) and isinstance(data, list) and 0 <= part < len(cast("list[Any]", data)):
            data = cast("list[Any]", data)[part]
        else:
            return None
    return data


def text_at(data: Any, *path: str | int) -> str | None:
    """Return the text or number at that path as text; None where there is none, or an empty one."""
    found = dig(data, *path)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return None
    return str(found) or None


def needed(data: Any, *path: str | int) -> str:
    """Return the text at that path.

    Raises:
        UnexpectedAnswer: If there is none.
    """
    found = text_at(data, *path)
    if found is None:
        raise UnexpectedAnswer(f"The provider's answer has no {'.'.join(str(part) for part in path)}.")
    return found


def number_at(data: Any, *path: str | int) -> float | None:
    """Return the number at that path, also one written as text."""
    found = dig(data, *path)
    try:
        number = float(found) if isinstance(found, int | float | str) and not isinstance(found, bool) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def decoded(text: str, fault: str = "a result that cannot be read") -> bytes:
    """Return what base64 holds; `fault` is what the answer has otherwise.

    Raises:
        UnexpectedAnswer: If it is none, or holds nothing.
    """
    try:
        content = b64decode(text)
    except ValueError:
        content = b""
    if not content:
        raise UnexpectedAnswer(f"The provider's answer has {fault}.")
    return content


def moment_at(data: Any, *path: str | int) -> int | None:
    """Return the ISO date and time at that path in milliseconds since 1970; one without a zone is of UTC."""
    try:
        found = datetime.fromisoformat(text_at(data, *path) or "")
    except ValueError:
        return None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def health(left: float | None, unit: str = "credits") -> Health:
    """Return that a key is taken, with what is left of its account where that is told."""
    return Health(balance=None if left is None else f"{left:g} {unit}")


def items(data: Any) -> list[Any]:
    """Return the entries of a list; none of anything else."""
    return cast("list[Any]", data) if isinstance(data, list) else []


def fraction_at(data: Any, *path: str | int) -> float | None:
    """Return how far work is, from 0 to 1; None where it is told on another scale."""
    found = number_at(data, *path)
    return found if found is not None and 0 <= found <= 1 else None


def seed_at(data: Any, *path: str | int) -> dict[str, JsonValue]:
    """Return the seed at that path as a note of a result, empty where there is none."""
    found = dig(data, *path)
    return {"seed": found} if isinstance(found, int) and not isinstance(found, bool) else {}


def texts(data: Any) -> list[str]:
    """Return the texts of a list; none of anything else."""
    return [item for item in items(data) if isinstance(item, str)]


def output_of(
    url: str, *, media_type: str | None = None, variant: str | None = None, expires_at: int | None = None
) -> RemoteOutput | Made:
    """Return the result at an address that `links` found; one that the address itself holds is taken out of it.

    Raises:
        UnexpectedAnswer: If it says that it holds one and does not.
    """
    if not url.startswith("data:"):
        return RemoteOutput(url=url, media_type=media_type, variant=variant, expires_at=expires_at)
    head, _, body = url[len("data:") :].partition(",")
    plain = unquote_to_bytes(body)
    try:
        content = b64decode(plain, validate=True) if head.endswith(";base64") else plain
    except ValueError:
        content = b""
    if not content:
        raise UnexpectedAnswer("The provider's answer has a data URI that holds nothing.")
    return Made(content, head.partition(";")[0] or media_type, variant)


def links(data: Any) -> list[str]:
    """Return the web addresses of a value: a text, an object with `url`, or a list of either, in their order."""
    if isinstance(data, str):
        return [data] if data.startswith(("https://", "http://", "data:")) else []
    if isinstance(data, list):
        return [found for item in cast("list[Any]", data) for found in links(item)]
    return links(dig(data, "url")) if isinstance(data, dict) else []
