"""One whole HTTP answer, as adapters read it and as the spool keeps it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from darkroom.errors import UnexpectedAnswer
from darkroom.net.redact import redact

SHOWN = 200
"""Characters of an answer that an error shows."""


def loads(body: bytes) -> Any:
    """Return JSON data whose texts can be written out again: halves of characters in escapes become U+FFFD.

    Raises:
        ValueError: If it is no JSON.
        RecursionError: If it is nested too deep.
    """
    data: Any = json.loads(body)
    return _whole(data) if b"\\ud" in body.lower() else data


def _whole(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(data, dict):
        items = cast("dict[str, Any]", data).items()
        return {_whole(key): _whole(value) for key, value in items}
    if isinstance(data, list):
        return [_whole(item) for item in cast("list[Any]", data)]
    return data


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (names in lower case) and the whole body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = field(default=b"", repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status says success."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Return the body as JSON data.

        Raises:
            UnexpectedAnswer: If it is none; the beginning of what came is in `provider_message`.
        """
        try:
            return loads(self.body)
        except (ValueError, RecursionError) as exc:
            raise UnexpectedAnswer(
                f"The provider's answer (status {self.status}) is no JSON.",
                provider_message=redact(self.text(SHOWN * 4))[:SHOWN],
            ) from exc

    def text(self, limit: int = SHOWN) -> str:
        """Return the beginning of the body as text."""
        return self.body[: limit * 4].decode("utf-8", "replace")[:limit].strip()
