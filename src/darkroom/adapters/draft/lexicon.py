"""The vocabulary of the draft engine, read from data/words.toml and the art pack."""

import json
import lzma
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, cast

from darkroom.adapters.draft.spec import Rgb

LONGEST = 4
"""Words in the longest phrase that is looked up."""
_CREATURES_TO_THINGS = range(3, 8)


@dataclass(frozen=True, slots=True)
class Kind:
    """How objects of one kind are placed: where, how tall (share of the picture), and how they move."""

    name: str
    place: str
    size: float
    motion: str


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Phrase -> meanings; a meaning is (table, value)."""

    phrases: dict[str, tuple[tuple[str, str], ...]]
    stop: frozenset[str]
    negators: frozenset[str]
    kinds: dict[str, Kind]
    faces_right: frozenset[str]
    taller: dict[str, float]
    """How much taller or smaller a sprite is than its kind."""
    seats: dict[str, float]
    """How high up, as a share of its height, something sits on a sprite."""
    implied: dict[str, str]
    """Sprite, `kind:` or `feature:` name -> the setting that it brings along when none is named."""
    masses: frozenset[str]
    """Sprites whose plural looks like the singular."""

    def kind(self, sprite: str) -> Kind:
        """Return how a sprite is placed; what is in no list stands on a table."""
        return self.kinds.get(sprite, TABLE)


TABLE = Kind("object", "table", 0.34, "still")


def data_file(name: str) -> bytes:
    """Return the bytes of one data file of the engine."""
    return resources.files(__package__ or "").joinpath("data", name).read_bytes()


@cache
def art_pack() -> dict[str, tuple[int, float, str]]:
    """Return label -> (group, width in units, SVG body)."""
    raw = cast("dict[str, list[Any]]", json.loads(lzma.decompress(data_file("art.json.xz"))))
    return {name: (int(entry[0]), float(entry[1]), str(entry[2])) for name, entry in raw.items()}


def rgb(text: str) -> Rgb:
    """Read `#rrggbb`."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def plain(text: str) -> str:
    """Return a phrase the way tokens are spelled: lower case, hyphens and apostrophes away."""
    return " ".join(re.findall(r"[^\W_]+", text.lower().replace("\u2019", "").replace("'", "")))


@cache
def lexicon() -> Lexicon:
    """Read the tables once."""
    data = tomllib.loads(data_file("words.toml").decode())
    phrases: dict[str, list[tuple[str, str]]] = {}

    def put(phrase: str, table: str, value: str) -> None:
        phrases.setdefault(plain(phrase), []).append((table, value))

    for table in ("setting", "time", "weather", "feature", "style", "camera"):
        for value, words in cast("dict[str, list[str]]", data[table]).items():
            for word in words:
                put(word, table, value)
    for table in ("colour", "count", "relation", "object"):
        for word, value in cast("dict[str, str | int]", data[table]).items():
            put(word, table, str(value))
    for phrase in data["idiom"]["phrases"]:
        put(phrase, "idiom", "")
    denied = {plain(name) for name in data["deny"]["names"]}
    for name, (group, _, _) in art_pack().items():
        word = plain(name)
        if group in _CREATURES_TO_THINGS and word not in denied and word not in phrases and "clock" not in word:
            put(word, "object", name)
    kinds = {
        name: Kind(kind, entry["place"], entry["size"], entry["motion"])
        for kind, entry in data["kind"].items()
        for name in entry["names"]
    }
    stop = {plain(word) for table in ("words", "loose") for word in data["stop"][table].split()}
    return Lexicon(
        {phrase: tuple(meanings) for phrase, meanings in phrases.items()},
        frozenset(stop),
        frozenset(data["stop"]["negators"].split()),
        kinds,
        frozenset(data["faces"]["right"]),
        cast("dict[str, float]", data["taller"]),
        cast("dict[str, float]", data["seat"]),
        cast("dict[str, str]", data["implied"]),
        frozenset(data["masses"]["names"]),
    )
