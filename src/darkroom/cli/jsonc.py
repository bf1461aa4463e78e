"""Changes in JSON with comments that leave every other byte alone: comments, order, spacing, trailing commas."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, cast

BOM = "\ufeff"
DEEPEST = 200
"""Levels of nesting that are read; no host's file comes near."""
_GAP = re.compile(r"(?:[ \t\r\n]++|//[^\r\n]*+|/\*.*?\*/)*+", re.DOTALL)
_TAIL = re.compile(r"(?:[ \t]*(?://[^\r\n]*|/\*.*?\*/))*", re.DOTALL)
_BLANKS = re.compile(r"[ \t]*")
_REST = re.compile(r"[ \t]*\r?\n")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])|(?:true|false|null)(?!\w)")


class JsonFault(ValueError):
    """A text cannot be read or changed; the message names line and column, from 1."""


@dataclass(frozen=True, slots=True)
class _Value:
    start: int
    end: int
    data: object
    members: "list[_Member]" = field(default_factory=list["_Member"])

    def last(self, key: str) -> "_Member | None":
        """Return the member of that name; of several the last, as every reader of JSON does."""
        return next((member for member in reversed(self.members) if member.key == key), None)


@dataclass(frozen=True, slots=True)
class _Member:
    key: str
    start: int
    value: _Value


def read(text: str) -> object:
    """Return what a text holds; comments and trailing commas are taken, as is a byte order mark.

    Raises:
        JsonFault: If it is no JSON.
    """
    return _Reader(text).whole().data


def put(text: str, path: Sequence[str], value: object) -> str:
    """Return a text in which the member at a path has a value; objects on the way are made where there are none.

    A text that holds it already comes back as it is; an empty one becomes a new object.

    Raises:
        JsonFault: If the text is no JSON, or something on the way is no object.
    """
    if not text.strip(BOM + " \t\r\n"):
        return text[: len(BOM)] * text.startswith(BOM) + _render(_nested(path, value), "", "  ", "\n") + "\n"
    root = _Reader(text).whole()
    here = root
    for depth, key in enumerate(path):
        if not isinstance(here.data, dict):
            named = f'"{path[depth - 1]}"' if depth else "the file"
            _fail(text, here.start, f"{named} holds {_kind(here.data)} where an object belongs")
        member = here.last(key)
        if member is None:
            return _insert(text, here, key, _nested(path[depth + 1 :], value), _unit(text, root))
        here = member.value
    if here.data == value:
        return text
    changed = _render(value, _indent(text, here.start), _unit(text, root), _newline(text))
    return text[: here.start] + changed + text[here.end :]


def drop(text: str, path: Sequence[str]) -> str:
    """Return a text without the member at a path; without such a member it comes back as it is.

    Raises:
        JsonFault: If the text is no JSON.
    """
    while text.strip(BOM + " \t\r\n"):
        here = _Reader(text).whole()
        for key in path[:-1]:
            member = here.last(key)
            if member is None:
                return text
            here = member.value
        member = here.last(path[-1])
        if member is None:
            return text
        text = _remove(text, here, member)  # a second one of that name would count now
    return text


def _nested(path: Sequence[str], value: object) -> object:
    for key in reversed(path):
        value = {key: value}
    return value


def _kind(data: object) -> str:
    kinds = {"list": "a list", "str": "a text", "bool": "true or false", "NoneType": "null"}
    return kinds.get(type(data).__name__, "a number")


# Reading


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = len(BOM) if text.startswith(BOM) else 0

    def whole(self) -> _Value:
        self.gap()
        value = self.value(0)
        self.gap()
        if self.at < len(self.text):
            self.fail("the file should end here")
        return value

    def gap(self) -> None:
        self.at = _end(_GAP, self.text, self.at)
        if self.text.startswith("/*", self.at):
            self.fail("this comment has no end")

    def next_is(self, sign: str) -> bool:
        if not self.text.startswith(sign, self.at):
            return False
        self.at += 1
        return True

    def fail(self, what: str) -> NoReturn:
        _fail(self.text, self.at, what)

    def value(self, depth: int) -> _Value:
        if depth > DEEPEST:
            self.fail("this is nested too deeply")
        if self.text.startswith("{", self.at):
            return self.object(depth)
        if self.text.startswith("[", self.at):
            return self.list(depth)
        pattern = _STRING if self.text.startswith('"', self.at) else _PLAIN
        found = pattern.match(self.text, self.at)
        if found is None:
            self.fail("this text is broken" if pattern is _STRING else "a value is missing here")
        self.at = found.end()
        # As floats, since Python refuses to read integers of thousands of digits; the text keeps them as they are.
        return _Value(found.start(), found.end(), json.loads(found[0], parse_int=float))

    def object(self, depth: int) -> _Value:
        start = self.at
        members: list[_Member] = []
        self.at += 1
        self.gap()
        while not self.next_is("}"):
            key = self.key()
            self.gap()
            if not self.next_is(":"):
                self.fail("a colon is missing here")
            self.gap()
            value = self.value(depth + 1)
            members.append(_Member(json.loads(key[0]), key.start(), value))
            self.separator("}")
        return _Value(start, self.at, {member.key: member.value.data for member in members}, members)

    def key(self) -> re.Match[str]:
        found = _STRING.match(self.text, self.at)
        if found is None:
            self.fail("a name in double quotes, or the closing }, is missing here")
        self.at = found.end()
        return found

    def list(self, depth: int) -> _Value:
        start = self.at
        items: list[object] = []
        self.at += 1
        self.gap()
        while not self.next_is("]"):
            items.append(self.value(depth + 1).data)
            self.separator("]")
        return _Value(start, self.at, items)

    def separator(self, closing: str) -> None:
        self.gap()
        if not self.next_is(",") and not self.text.startswith(closing, self.at):
            self.fail(f"a comma or the closing {closing} is missing here")
        self.gap()


def _fail(text: str, at: int, what: str) -> NoReturn:
    *lines, line = text[:at].removeprefix(BOM).split("\n")
    raise JsonFault(f"line {len(lines) + 1}, column {len(line) + 1}: {what}")


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return where a pattern ends that may match nothing."""
    found = pattern.match(text, at)
    return found.end() if found else at


# Writing


def _insert(text: str, owner: _Value, key: str, value: object, unit: str) -> str:
    """Add a member behind the last one, and behind the comments on that one's line."""
    newline = _newline(text)
    if not owner.members:
        outer = _indent(text, owner.start)
        added = f"{newline}{outer}{unit}{_pair(key, value, outer + unit, unit, newline)}{newline}{outer}"
        kept = text[owner.start + 1 : owner.end - 1].rstrip()
        return text[: owner.start + 1] + kept + added + text[owner.end - 1 :]
    last = owner.members[-1]
    comma = _end(_GAP, text, last.value.end)
    trailing = text[comma] == ","
    anchor = _end(_TAIL, text, comma + 1 if trailing else last.value.end)
    if "\n" in text[owner.start : owner.end]:
        own_line = not text[_line(text, last.start) : last.start].strip()
        indent = _indent(text, last.start) if own_line else _indent(text, owner.start) + unit
        added = f"{newline}{indent}{_pair(key, value, indent, unit, newline)}"
    else:
        added = f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
    head = text[: last.value.end] + "," * (not trailing) + text[last.value.end : anchor]
    return head + added + "," * trailing + text[anchor:]


def _remove(text: str, owner: _Value, member: _Member) -> str:
    """Take out a member with one comma, and with its line where nothing else is on it."""
    index = owner.members.index(member)
    after = _end(_GAP, text, member.value.end)
    trailing = text[after] == ","
    begin = len(text[: member.start].rstrip(" \t"))
    stop = after + 1 if trailing else member.value.end
    comments = text[member.value.end : after] if trailing else ""
    if text[begin - 1] == "\n":
        # Where more is on the line it stays a line: what is before may end with a comment.
        alone = not comments.strip() and _REST.match(text, stop)
        begin = len(text[: begin - 1].removesuffix("\r")) if alone else member.start
    before = text[owner.start + 1 : begin]
    if not trailing and index:
        comma = _end(_GAP, text, owner.members[index - 1].value.end) - owner.start - 1
        before = before[:comma] + before[comma + 1 :]
    inner = before + comments + text[stop : owner.end - 1]
    return text[: owner.start + 1] + (inner if inner.strip() else "") + text[owner.end - 1 :]


def _pair(key: str, value: object, indent: str, unit: str, newline: str) -> str:
    return f"{json.dumps(key, ensure_ascii=False)}: {_render(value, indent, unit, newline)}"


def _render(value: object, indent: str, unit: str, newline: str) -> str:
    """Write a value: objects a member a line, lists in one line."""
    if not isinstance(value, Mapping) or not value:
        return json.dumps(value, ensure_ascii=False)
    inner = indent + unit
    members = cast("Mapping[str, object]", value).items()
    lines = f",{newline}{inner}".join(_pair(key, item, inner, unit, newline) for key, item in members)
    return f"{{{newline}{inner}{lines}{newline}{indent}}}"


def _line(text: str, at: int) -> int:
    return text.rfind("\n", 0, at) + 1


def _indent(text: str, at: int) -> str:
    start = _line(text, at)
    return text[start : _end(_BLANKS, text, start)]


def _unit(text: str, root: _Value) -> str:
    """Return the indent of one level, as the file has it; two spaces where it has none."""
    return (_indent(text, root.members[0].start) if root.members else "") or "  "


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
