"""Colours that a task names, and which of them a palette uses for what; pure, and silent where none are named."""

import re

from darkroom.domain.patterns import compiled
from darkroom.domain.reading import Found
from darkroom.domain.task_facts import opening

NAMED = {
    "black": "#1A1A1A", "white": "#FFFFFF", "cream": "#F6EEDC", "ivory": "#FBF7EA", "beige": "#E8DCC8",
    "sand": "#DCC9A3", "grey": "#8A8D91", "gray": "#8A8D91", "charcoal": "#33373B", "silver": "#C4C8CC",
    "red": "#C0392B", "crimson": "#A51C30", "burgundy": "#6D1A36", "maroon": "#6B1F2A", "coral": "#F2705B",
    "pink": "#E88AA6", "rose": "#D9768B", "magenta": "#B5247F", "purple": "#6A3FA0", "violet": "#6B4BB8",
    "lavender": "#C9BCE6", "lilac": "#C7A6D9", "navy": "#1B2A4A", "blue": "#2A5BD7", "sky blue": "#7FB8E6",
    "light blue": "#A9CCE8", "dark blue": "#1F3566", "turquoise": "#2BA6A0", "teal": "#1F6F78", "mint": "#B9E4CF",
    "green": "#2E8B57", "dark green": "#1E4D36", "forest green": "#23543B", "olive": "#6B7036", "lime": "#A4C639",
    "yellow": "#F2C230", "mustard": "#C9982A", "gold": "#C59B3A", "orange": "#E67E22", "terracotta": "#C4623F",
    "rust": "#A4512B", "copper": "#B0673A", "brown": "#6B4630", "chocolate": "#4A2C1D",
}  # fmt: skip
"""Usual hex values of the names that are read."""
GROUND = 0.6
"""Relative luminance from which a colour can lie under dark text."""
_HEX = r"#(?:[0-9a-f]{6}|[0-9a-f]{3})\b"
_ONE = (
    rf"(?:{_HEX}|(?:{'|'.join(sorted(NAMED, key=len, reverse=True))})\b"
    r"(?!\s+(?:tea|wine|chocolate|rice|bread|friday)\b))"
)
_LIST = rf"{_ONE}(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+|\s*&\s*|\s*/\s*|\s+with\s+){_ONE})*"
_SAID = compiled(
    rf"\b(?:colou?rs?|palette)\s*(?::|are|is|of)?\s*(?P<label>{_LIST})"
    rf"|\b(?:in|use|using)\s+(?:only\s+)?(?P<used>{_LIST})(?=\s*(?:[.,;!?)\n]|$)|\s+(?:only|as|colou?rs?|for)\b)"
    rf"|(?P<before>{_LIST})\s+(?:palette|colou?rs?\b(?! of)|colou?r scheme|branding)"
    rf"|(?P<code>{_HEX})",
    re.I,
)


def find_colours(text: str) -> list[Found[str]]:
    """Return every naming of colours that are wanted, with its place: `in #223344 and cream`, `colours: navy`."""
    found: list[Found[str]] = []
    for match in _SAID.finditer(text):
        said = next(part for part in match.groups() if part)
        found.append(Found(", ".join(re.findall(_ONE, said, re.I)), *match.span()))
    return found


def read_colours(text: str) -> str | None:
    """Return the colours that a task wants, as it names them, with commas between."""
    names = [name for one in find_colours(opening(text)) for name in one.value.split(", ")]
    return ", ".join(dict.fromkeys(names)) or None


def hue(colours: str, role: str) -> str | None:
    """Return the hex value that a list of colours has for a role of a palette; None where it has none for it.

    `ground` and `quiet` are the first two that are light, `main` and `mark` the first two others.
    """
    values = [value for name in colours.split(",") if (value := _value(name.strip()))]
    light = [value for value in values if luminance(value) >= GROUND]
    others = [value for value in values if value not in light]
    roles = {"ground": light[:1], "quiet": light[1:2] or others[2:3], "main": others[:1], "mark": others[1:2]}
    return next(iter(roles.get(role, [])), None)


def luminance(value: str) -> float:
    """Return the relative luminance of `#RRGGBB`, from 0 to 1."""
    parts = [int(value[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _value(name: str) -> str | None:
    code = re.fullmatch(_HEX, name, re.I)
    if code is None:
        return NAMED.get(name.lower())
    digits = name[1:].upper()
    return f"#{digits if len(digits) == 6 else ''.join(digit * 2 for digit in digits)}"
