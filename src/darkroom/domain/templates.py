"""Templates: texts with expressions in braces, filled from what a workflow knows.

`{inputs.product}`, `{steps.script.beats}`, `{steps.keyframes[index].output}`, `{item.prompt}`, `{index + 1}`,
`{tables.world.place}`; `+ - * /`, comparisons, brackets, and filters behind a bar: `{steps.script.beats | table}`.
What may have no value: `{inputs.name | or inputs.product}`, `{inputs.offer | prefix 'Offer: ' | suffix '.'}`.
A template that is one expression keeps the type of its value. `{{` and `}}` are braces.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from pydantic import JsonValue

from darkroom.domain.colours import hue
from darkroom.domain.expressions import COMPARISONS, INDEX, TAKES_MORE, Const, Expr, Path, Piped, parse, paths

Scope = Mapping[str, Any]


def texts(value: JsonValue, at: str = "") -> Iterator[tuple[str, str]]:
    """Return every text of a value with its place: `scenes[0].prompt`."""
    if isinstance(value, str):
        yield at, value
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from texts(item, f"{at}[{number}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from texts(item, f"{at}.{name}" if at else name)


def fill(value: JsonValue, scope: Scope) -> JsonValue:
    """Return a value with its templates filled.

    In lists, an entry that refers to what has no value is left out; so is a table whose `if` is not true, while a table
    of `each` and `make` stands for as many entries as `each` has, with `item` and `index` in scope. Elsewhere such a
    table is a list.
    """
    if isinstance(value, str):
        return fill_text(value, scope)
    if isinstance(value, dict):
        if {"each", "make"} <= value.keys():
            return _made(value, scope)
        return {name: fill(item, scope) for name, item in value.items() if name != "if"}
    if isinstance(value, list):
        return [filled for item in value for filled in _entries(item, scope)]
    return value


def _entries(item: JsonValue, scope: Scope) -> list[JsonValue]:
    if isinstance(item, str):
        hollow = any(look_up(path, scope) is None for part in parse(item) for path in _paths(part))
        return [] if hollow else [fill_text(item, scope)]
    if not isinstance(item, dict):
        return [fill(item, scope)]
    condition = item.get("if", True)
    if not (fill_text(condition, scope) if isinstance(condition, str) else condition):
        return []
    return _made(item, scope) if {"each", "make"} <= item.keys() else [fill(item, scope)]


def _made(value: dict[str, JsonValue], scope: Scope) -> list[JsonValue]:
    each = fill(value["each"], scope)
    rows = each if isinstance(each, list) else []
    return [fill(value["make"], {**scope, "item": row, INDEX: at}) for at, row in enumerate(rows)]


def _paths(part: str | Expr) -> Iterator[Path]:
    """Return the references without which a part has nothing to say."""
    here = part
    while isinstance(here, Piped):
        if here.filter in TAKES_MORE:
            return iter(())
        here = here.value
    return iter(()) if isinstance(part, str) else paths(part)


def fill_text(text: str, scope: Scope) -> JsonValue:
    """Return a template's value: that of its only expression, else a text in which what has no value is empty."""
    parts = parse(text)
    if len(parts) == 1 and not isinstance(parts[0], str):
        return evaluate(parts[0], scope)
    filled = "".join(part if isinstance(part, str) else said(evaluate(part, scope)) for part in parts)
    return filled.strip()


def evaluate(value: Expr, scope: Scope) -> JsonValue:
    """Return what an expression is worth; None where a part of it has no value."""
    match value:
        case Const():
            return plain_number(value.value) if isinstance(value.value, float) else value.value
        case Path():
            return look_up(value, scope)
        case Piped(more=Const() | Path() as more):
            return _with(value.filter, evaluate(value.value, scope), evaluate(more, scope))
        case Piped():
            return _FILTERS[value.filter](evaluate(value.value, scope))
        case _:
            return _reckon(value.sign, evaluate(value.left, scope), evaluate(value.right, scope))


def _with(name: str, value: JsonValue, more: JsonValue) -> JsonValue:
    """Return a value with what stands before or behind it, another, whether it has a word in it, or a colour of it."""
    text = said(value)
    if name == "or":
        return value if text else more
    if name == "has":
        return bool(text) and re.search(rf"(?<!\w){re.escape(said(more))}(?!\w)", text, re.I) is not None
    if name == "hue":
        return hue(text, said(more))
    if not text:
        return ""
    return f"{said(more)}{text}" if name == "prefix" else f"{text}{said(more)}"


def look_up(path: Path, scope: Scope) -> JsonValue:
    """Return what a reference names; a name behind a list is looked up in each of its entries that has it."""
    value: Any = scope
    for part in path.parts:
        if isinstance(part, int):
            at = cast("int", scope.get(INDEX, 0)) if part < 0 else part
            rows = cast("list[Any]", value) if isinstance(value, list) else []
            value = rows[at] if at < len(rows) else None
        elif isinstance(value, list):
            found = (cast("Any", row).get(part) for row in cast("list[Any]", value) if isinstance(row, Mapping))
            value = [item for item in found if item is not None]
        else:
            value = cast("Any", value).get(part) if isinstance(value, Mapping) else None
    return value


def _reckon(sign: str, left: JsonValue, right: JsonValue) -> JsonValue:
    if sign in ("==", "!="):
        return (left == right) is (sign == "==")
    if not isinstance(left, int | float) or not isinstance(right, int | float) or (sign == "/" and not right):
        return None
    if sign in COMPARISONS:
        return {">=": left >= right, "<=": left <= right, ">": left > right, "<": left < right}[sign]
    return plain_number({"+": left + right, "-": left - right, "*": left * right, "/": left / (right or 1)}[sign])


def plain_number(value: float) -> int | float:
    """Return a number with at most four places, whole where it is."""
    rounded = round(value, 4)
    return int(rounded) if rounded == int(rounded) else rounded


def said(value: JsonValue) -> str:
    """Return a value as text: numbers with at most two places, lists with commas, nothing for None."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return f"{plain_number(round(value, 2))}"
        case str():
            return value
        case list():
            return ", ".join(said(item) for item in value)
        case _:
            return "; ".join(said(item) for item in value.values() if item not in (None, "", []))


def _rows(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _bullets(value: JsonValue) -> JsonValue:
    return "\n".join(f"- {said(item)}" for item in _rows(value))


def _table(value: JsonValue) -> JsonValue:
    rows = [row for row in _rows(value) if isinstance(row, dict)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        return ""
    cells = [[said(row.get(name)).replace("|", "/").replace("\n", " ") for name in names] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (names, ["---"] * len(names), *cells))


def _title(value: JsonValue) -> JsonValue:
    text = said(value)
    return text[:1].upper() + text[1:]


def _initial(value: JsonValue) -> JsonValue:
    return said(value)[:1].upper()


def _caps(value: JsonValue) -> JsonValue:
    return said(value).upper()


def _tag(value: JsonValue) -> JsonValue:
    return "".join(word[:1].upper() + word[1:] for word in re.findall(r"[^\W_]+", said(value)))


def _the(value: JsonValue) -> JsonValue:
    """Return a thing with its article; a name, whose words all begin with capitals, has none."""
    text = said(value)
    return text if all(not word[:1].islower() for word in text.split()) else f"the {text}"


def _count(value: JsonValue) -> JsonValue:
    return len(_rows(value))


def _round(value: JsonValue) -> JsonValue:
    return int(value + 0.5) if isinstance(value, int | float) else None


_FILTERS: dict[str, Callable[[JsonValue], JsonValue]] = {
    "bullets": _bullets,
    "caps": _caps,
    "count": _count,
    "initial": _initial,
    "round": _round,
    "table": _table,
    "tag": _tag,
    "the": _the,
    "title": _title,
}
