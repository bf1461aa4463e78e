"""Texts of whole characters: what JSON can hold beyond them can be sent and kept nowhere."""

import re
from collections.abc import Mapping
from typing import Any

from darkroom.errors import InvalidRequest

_HALF = re.compile("[\ud800-\udfff]")


def is_whole(text: str) -> bool:
    """Return whether a text has whole characters only: half of one, which JSON can hold, can be sent and kept nowhere.

    JavaScript writes such a half where it cuts a text within an emoji.
    """
    return text.isascii() or not _HALF.search(text)


def check_whole(fields: Mapping[str, Any]) -> None:
    """Look through named values of any depth for half a character.

    Raises:
        InvalidRequest: If there is one, with the name of the value.
    """
    for name, value in fields.items():
        if not is_whole(name) or not _all_whole(value):
            field = name if is_whole(name) else "arguments"
            raise InvalidRequest(
                f"{field} has half a character: an emoji or a rare letter that was cut in two.",
                field=field,
                hint="Nothing was stored or sent. Write the whole character, or leave it out.",
            )


def _all_whole(value: object) -> bool:
    if isinstance(value, str):
        return is_whole(value)
    if isinstance(value, dict):
        parts: dict[object, object] = value  # pyright: ignore[reportUnknownVariableType] because the caller's JSON is untyped
        return all(_all_whole(part) for pair in parts.items() for part in pair)
    if isinstance(value, list | tuple):
        return all(_all_whole(part) for part in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] because the caller's JSON is untyped
    return True
