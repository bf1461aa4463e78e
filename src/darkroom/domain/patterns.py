"""Patterns that are compiled when they are first used: a start that needs none of them is not slowed down by all."""

import re
from typing import Any, cast


def compiled(text: str, flags: int = 0) -> re.Pattern[str]:
    """Return what stands in for `re.compile(text, flags)`: its methods and attributes are the pattern's."""
    return cast("re.Pattern[str]", _Later(text, flags))


class _Later:
    """A pattern that is still a text."""

    def __init__(self, text: str, flags: int) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        """Compile on the first use of anything, and keep the answer."""
        found = getattr(re.compile(self._text, self._flags), name)  # which keeps compiled patterns itself, up to 512
        setattr(self, name, found)
        return found
