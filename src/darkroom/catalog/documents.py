"""Markdown files with front matter: skills, agents, and whatever a user puts beside them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

LARGEST = 200_000
"""Bytes of a file that is read whole; ten times the longest that the Agent Skills format advises."""
FRONT, BRACKETS = 16_000, 200
"""Letters of front matter, and brackets in it, that are read: the parser takes minutes over more."""
_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?$(.*)\Z", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^(#{1,2}) +(.+?) *#* *$")
_ITEM = re.compile(r"^(?:[-*+]|\d+[.)]) +(.*)$")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")


class DocumentError(Exception):
    """A file cannot be used; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Document:
    """One file: its front matter, and its text in sections."""

    front: dict[str, Any]
    body: str
    intro: str
    """The text before the first section, without the title."""
    sections: dict[str, str]
    """Texts by heading of the second level, in lower case."""

    def text(self, heading: str) -> str:
        """Return the text of a section, empty where there is none."""
        return self.sections.get(heading, "")

    def items(self, heading: str) -> tuple[str, ...]:
        """Return the points of the first list level of a section, each on one line."""
        return items(self.text(heading))


def read_document(path: Path, inside: Path) -> Document:
    """Read one file; blocks.

    Raises:
        DocumentError: If it is too large, leads out of the folder `inside`, or has no usable front matter.
    """
    try:
        if not path.resolve().is_relative_to(inside.resolve()):
            raise DocumentError(f"{path.name} is a link that leads out of {inside}")
        if path.exists() and not path.is_file():  # a pipe would keep us waiting for ever
            raise DocumentError(f"{path.name} is no file")
        if path.stat().st_size > LARGEST:
            raise DocumentError(f"{path.name} holds {path.stat().st_size} bytes; at most {LARGEST} are read")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DocumentError(f"there is no {path.name}") from None
    except UnicodeDecodeError:
        raise DocumentError(f"{path.name} is not UTF-8 text") from None
    except (OSError, RuntimeError) as exc:  # RuntimeError: a link that leads to itself
        raise DocumentError(f"{path.name} cannot be read: {exc}") from exc
    return parse_document(text, path.name)


def parse_document(text: str, name: str) -> Document:
    """Take a text apart.

    Raises:
        DocumentError: If it has no usable front matter.
    """
    match = _FRONT.match(text)
    if match is None:
        raise DocumentError(f"{name} does not begin with front matter between two lines of ---")
    front, body = _yaml(match[1], name), match[2].strip()
    intro, sections = _sections(body)
    return Document(front, body, intro, sections)


def _yaml(text: str, name: str) -> dict[str, Any]:
    import yaml  # first needed when the first skill or agent is

    if len(text) > FRONT or text.count("[") + text.count("{") > BRACKETS:
        raise DocumentError(f"the front matter of {name} is too long or nested: {FRONT} letters, {BRACKETS} brackets")
    try:
        parse = cast("Any", yaml).parse
        events: Iterable[object] = parse(text, Loader=yaml.SafeLoader)
        if any(isinstance(event, yaml.AliasEvent) for event in events):
            raise DocumentError(f"the front matter of {name} uses aliases (*name); write the values out")
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" in line {mark.line + 2}" if mark is not None else ""
        why = getattr(exc, "problem", None) or type(exc).__name__
        raise DocumentError(f"the front matter of {name} is no YAML{where}: {why}") from None
    found = cast("dict[object, Any]", data if isinstance(data, dict) else {0: None})
    if not all(isinstance(key, str) for key in found):
        raise DocumentError(f"the front matter of {name} is not a list of names with values")
    return cast("dict[str, Any]", found)


def _sections(body: str) -> tuple[str, dict[str, str]]:
    intro: list[str] = []
    found: dict[str, list[str]] = {}
    here, fenced = intro, False
    for line in body.splitlines():
        fenced ^= _FENCE.match(line) is not None
        heading = None if fenced else _HEADING.match(line)
        if heading is None:
            here.append(line)
        elif len(heading[1]) == 2:
            here = found.setdefault(heading[2].lower(), [])
    return "\n".join(intro).strip(), {name: "\n".join(lines).strip() for name, lines in found.items()}


def items(text: str) -> tuple[str, ...]:
    """Return the points of the first level of a Markdown list, each on one line; what stands between them is left."""
    found: list[list[str]] = []
    within = False
    for line in text.splitlines():
        match = _ITEM.match(line)
        if match:
            found.append([match[1].strip()])
        elif within and line.strip() and not line.startswith(("#", "|", "```")):
            found[-1].append(line.strip())
        within = bool(found) and bool(line.strip()) and (match is not None or within)
    return tuple(" ".join(lines) for lines in found)
