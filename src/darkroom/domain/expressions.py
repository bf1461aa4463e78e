"""Expressions: what stands in the braces of a template, taken apart.

References (`inputs.product`, `steps.keyframes[index].output`), numbers, 'texts', `+ - * /`, comparisons, brackets, and
filters behind a bar.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.errors import InvalidRequest

LONGEST, LONGEST_EXPRESSION = 20_000, 300
"""Letters of a template, and of one expression in it."""
INDEX = "index"
FILTERS = (
    "bullets",
    "caps",
    "count",
    "has",
    "hue",
    "initial",
    "or",
    "prefix",
    "round",
    "suffix",
    "table",
    "tag",
    "the",
    "title",
)
"""What may stand behind a bar; `templates` has them."""
TAKES_MORE = frozenset({"has", "hue", "or", "prefix", "suffix"})
"""Filters that are followed by a text or a reference, and have something to say of what has no value."""
COMPARISONS = (">=", "<=", "==", "!=", ">", "<")
_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|'([^']*)'|([A-Za-z_][A-Za-z0-9_]*)|(>=|<=|==|!=|[-+*/()\[\].|<>]))")


@dataclass(frozen=True, slots=True)
class Const:
    """A number or a text that stands in the template."""

    value: float | str


@dataclass(frozen=True, slots=True)
class Path:
    """A reference: names and positions, the first of them a root such as `inputs`."""

    parts: tuple[str | int, ...]
    """Text: a name; a number: a position in brackets; `[index]` is -1."""

    def __str__(self) -> str:
        text = "".join(
            f".{part}" if isinstance(part, str) else f"[{INDEX if part < 0 else part}]" for part in self.parts
        )
        return text[1:]


@dataclass(frozen=True, slots=True)
class Op:
    """Two expressions and what stands between them."""

    sign: str
    left: "Expr"
    right: "Expr"


@dataclass(frozen=True, slots=True)
class Piped:
    """An expression whose value goes through a filter."""

    value: "Expr"
    filter: str
    more: "Const | Path | None" = None
    """What stands behind the filter's name."""


Expr = Const | Path | Op | Piped


@lru_cache(maxsize=2048)
def parse(text: str) -> tuple[str | Expr, ...]:
    """Return the texts and expressions of a template, in order.

    Raises:
        InvalidRequest: If a brace is not closed, or what is in braces is no expression.
    """
    if len(text) > LONGEST:
        raise InvalidRequest(f"A template has {len(text):,} letters.", allowed=f"up to {LONGEST:,}")
    parts: list[str | Expr] = []
    for piece in re.findall(r"\{\{|\}\}|\{[^{}]*\}|[^{}]+|[{}]", text):
        if piece in ("{{", "}}"):
            parts.append(piece[0])
        elif piece in ("{", "}"):
            raise InvalidRequest(
                f"A brace is not closed in {clip(text)!r}.", hint="Nothing was started. Write {{ or }} for a brace."
            )
        elif piece[0] == "{":
            parts.append(_Parser(piece[1:-1]).whole())
        else:
            parts.append(piece)
    return tuple(parts)


class _Parser:
    """Reads one expression, by the usual order of operations."""

    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) > LONGEST_EXPRESSION:
            raise InvalidRequest(f"An expression has {len(text)} letters.", allowed=f"up to {LONGEST_EXPRESSION}")
        self._tokens = self._split()
        self._at = 0

    def _split(self) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        at, text = 0, self._text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._wrong()
            kind = ("number", "text", "name", "sign")[cast("int", match.lastindex) - 1]
            found.append((kind, match[cast("int", match.lastindex)]))
            at = match.end()
        return found

    def _wrong(self) -> InvalidRequest:
        return InvalidRequest(
            f"{{{clip(self._text)}}} is no expression.",
            hint="Nothing was started. Write a reference such as {inputs.product} or {steps.script.beats}, with "
            "+ - * / and comparisons where needed; {{ and }} are braces.",
        )

    def whole(self) -> Expr:
        value = self._compared()
        while self._took("|"):
            name = self._next("name")
            if name not in FILTERS:
                near = did_you_mean(name, FILTERS)
                raise InvalidRequest(f"There is no filter {clip(name)!r}.{near}", allowed=sorted(FILTERS))
            value = Piped(value, name, self._more() if name in TAKES_MORE else None)
        if self._at < len(self._tokens):
            raise self._wrong()
        return value

    def _more(self) -> Const | Path:
        kind, text = self._peek()
        self._at += 1
        if kind == "text":
            return Const(text)
        if kind == "name":
            return self._path(text)
        raise self._wrong()

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _took(self, *signs: str) -> str:
        kind, text = self._peek()
        if kind != "sign" or text not in signs:
            return ""
        self._at += 1
        return text

    def _next(self, kind: str) -> str:
        found, text = self._peek()
        if found != kind:
            raise self._wrong()
        self._at += 1
        return text

    def _compared(self) -> Expr:
        left = self._sum()
        sign = self._took(*COMPARISONS)
        return Op(sign, left, self._sum()) if sign else left

    def _sum(self) -> Expr:
        value = self._product()
        while sign := self._took("+", "-"):
            value = Op(sign, value, self._product())
        return value

    def _product(self) -> Expr:
        value = self._atom()
        while sign := self._took("*", "/"):
            value = Op(sign, value, self._atom())
        return value

    def _atom(self) -> Expr:
        kind, text = self._peek()
        if self._took("("):
            value = self._compared()
            if not self._took(")"):
                raise self._wrong()
            return value
        self._at += 1
        if kind == "number":
            return Const(float(text))
        if kind == "text":
            return Const(text)
        if kind == "name":
            return self._path(text)
        raise self._wrong()

    def _path(self, root: str) -> Path:
        parts: list[str | int] = [root]
        while sign := self._took(".", "["):
            if sign == ".":
                parts.append(self._next("name"))
                continue
            kind, text = self._peek()
            self._at += 1
            if not (kind == "number" and text.isdigit()) and text != INDEX:
                raise self._wrong()
            parts.append(-1 if text == INDEX else int(text))
            if not self._took("]"):
                raise self._wrong()
        return Path(tuple(parts))


def paths(value: Expr) -> Iterator[Path]:
    """Return every reference of an expression."""
    match value:
        case Path():
            yield value
        case Op():
            yield from paths(value.left)
            yield from paths(value.right)
        case Piped():
            yield from paths(value.value)
            yield from paths(value.more) if value.more else ()
        case _:
            pass
