"""Frameworks: what copywriters and film people reach for, and the words that fill their templates."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from darkroom.catalog.data import data_dir
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.errors import InvalidRequest

WORDS, TASKS = "words", "brainstorm"
"""Files of the folder that are no families."""
GENERAL = "general"
"""The market whose words are used for a product that is not recognised."""
_SLOT = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(_Strict):
    """One framework of a family."""

    id: str
    name: str
    what: str
    use_when: str
    avoid_when: str
    example: str
    template: str | None = Field(default=None, description="with slots in braces")
    origin: str | None = None
    best_for: tuple[str, ...] = Field(default=(), description="market stages")
    appeal: str | None = None
    question: str | None = None
    situation: str | None = None
    move: str | None = None
    avoid: str | None = None
    angles: tuple[str, ...] = Field(default=(), description="positioning angles that suit a market stage")
    open_with: str | None = None
    schwartz_stage: int | None = None
    steps: tuple[str, ...] = ()
    pairs_with: tuple[str, ...] = Field(default=(), description="entries of visual families")
    models: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    checked: bool | None = None

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots of the template, in order."""
        return slots_of(self.template or "")


class Family(_Strict):
    """Frameworks of one sort."""

    title: str
    about: str
    entries: tuple[Entry, ...]

    def entry(self, entry_id: str) -> Entry:
        """Return one entry.

        Raises:
            KeyError: If there is none of that id.
        """
        return self.by_id[entry_id]

    @property
    def by_id(self) -> dict[str, Entry]:
        """The entries by id."""
        return {entry.id: entry for entry in self.entries}


class Slot(_Strict):
    """A place in templates."""

    ask: str
    fallback: str | None = None


class Market(_Strict):
    """A kind of product, and the words that fill templates for it until better ones are known."""

    id: str
    match: tuple[str, ...]
    words: dict[str, str]


class Words(_Strict):
    """Everything that templates are filled with."""

    slots: dict[str, Slot]
    visual_slots: dict[str, Slot]
    markets: tuple[Market, ...]


class Task(_Strict):
    """What is brainstormed, and with which frameworks."""

    id: str
    title: str
    aliases: tuple[str, ...] = ()
    skills: tuple[str, ...] = Field(description="ids of the skills that carry it out, the leading one first")
    structures: tuple[str, ...] = Field(description="copy frameworks, best first")
    headlines: tuple[str, ...] = Field(description="headline formulas that suit it, best first")
    visuals: tuple[str, ...] = Field(default=(), description="family/entry of visual families")
    questions: tuple[str, ...]
    steps: tuple[str, ...] = Field(description="how to go on from the ideas")


def slots_of(template: str) -> tuple[str, ...]:
    """Return the slots of a template, in order, each once."""
    return tuple(dict.fromkeys(_SLOT.findall(template)))


def filled(template: str, words: Mapping[str, str]) -> str:
    """Return a template with its slots filled; one that has no word stays as it is. The first letter becomes large."""
    text = _SLOT.sub(lambda match: words.get(match[1], match[0]), template)
    return text[:1].upper() + text[1:]


def _folder() -> Path:
    return data_dir() / "resources" / "frameworks"


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_folder() / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def families() -> dict[str, Family]:
    """Return every family by name; reads files the first time."""
    names = sorted(path.stem for path in _folder().glob("*.toml"))
    return {name: Family.model_validate(_read(name)) for name in names if name not in (WORDS, TASKS)}


@cache
def words() -> Words:
    """Return what templates are filled with; reads a file the first time."""
    return Words.model_validate(_read(WORDS))


@cache
def tasks() -> dict[str, Task]:
    """Return what can be brainstormed, by id; reads a file the first time."""
    return {task.id: task for task in (Task.model_validate(row) for row in _read(TASKS)["tasks"])}


def family(name: str) -> Family:
    """Return one family by name, in any spelling.

    Raises:
        InvalidRequest: If there is none; the nearest is named.
    """
    key = name.strip().lower().replace("-", "_").replace(" ", "_")
    found = families().get(key)
    if found is None:
        raise InvalidRequest(
            f"There is no family of frameworks {clip(name)!r}.{did_you_mean(key, families())}",
            field="family",
            allowed=sorted(families()),
        )
    return found
