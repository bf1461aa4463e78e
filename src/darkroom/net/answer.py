"""One whole HTTP answer, as adapters read it and as the spool keeps it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from darkroom.errors import UnexpectedAnswer
from darkroom.net.redact import redact

SHOWN = 200
"""Characters of an answer that an error shows."""


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
            return json.loads(self.body)
        except (ValueError, RecursionError) as exc:
            raise UnexpectedAnswer(
                f"The provider's answer (status {self.status}) is no JSON.",
                provider_message=redact(self.text(SHOWN * 4))[:SHOWN],
            ) from exc

    def text(self, limit: int = SHOWN) -> str:
        """Return the beginning of the body as text."""
        return self.body[: limit * 4].decode("utf-8", "replace")[:limit].strip()
