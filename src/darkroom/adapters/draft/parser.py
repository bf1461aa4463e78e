"""Reads a prompt into a `SceneSpec`: exact names and curated synonyms, never a guess."""

import re
import unicodedata
from dataclasses import dataclass, field

from darkroom.adapters.draft.lexicon import LONGEST, Kind, lexicon, plain, rgb
from darkroom.adapters.draft.spec import Rgb, SceneSpec, Thing

MAX_THINGS = 4
MAX_COUNT = 7
MAX_TEXT = 120
MAX_READ = 4_000
"""Characters of a prompt that are read for meaning; the first sentences count most."""
PLURAL_COUNT = 3

_QUOTED = re.compile('["\u201c\u201d\u201e\xab]([^"\u201c\u201d\u201e\xab\xbb\n]{1,400})["\u201c\u201d\xbb]')
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[^\w\s'-]")
_STYLE_TIME = {"neon": "night"}


@dataclass
class _Reader:
    """What has been read so far, left to right."""

    found: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    things: list[Thing] = field(default_factory=list[Thing])
    colours: list[Rgb] = field(default_factory=list[Rgb])
    bound: list[Rgb] = field(default_factory=list[Rgb])
    understood: list[str] = field(default_factory=list[str])
    missed: list[str] = field(default_factory=list[str])
    count: int | None = None
    relation: str | None = None
    negated: bool = False

    def pause(self) -> None:
        """End a noun phrase: colours that met no object belong to the whole picture."""
        self.colours += self.bound
        self.bound = []
        self.count = None


def clean(prompt: str) -> str:
    """Return a prompt in NFKC form without control characters, its white space folded."""
    text = unicodedata.normalize("NFKC", prompt[: MAX_READ * 2])
    kept = "".join(" " if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn"} else char for char in text)
    return " ".join(kept.split())[:MAX_READ]


def singulars(word: str) -> tuple[str, ...]:
    """Return what a word may be the plural of."""
    if len(word) < 4 or word.endswith("ss") or not word.endswith("s"):
        return ()
    ends = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""))
    return tuple(word.removesuffix(old) + new for old, new in ends if word.endswith(old))


def _meanings(words: list[str]) -> tuple[tuple[tuple[str, str], ...], bool]:
    phrases = lexicon().phrases
    found = phrases.get(" ".join(words))
    if found:
        return found, False
    for last in singulars(words[-1]):
        found = phrases.get(" ".join([*words[:-1], last]))
        if found and any(table in {"object", "setting", "feature"} for table, _ in found):
            return tuple(entry for entry in found if entry[0] in {"object", "setting", "feature"}), True
    return (), False


def _tokens(text: str) -> list[str]:
    lowered = text.lower().replace("-", " ").replace("\u2019", "'").replace("'s", "").replace("b&w", "noir")
    return [plain(token).replace(" ", "") or "," for token in _TOKEN.findall(lowered)]


def _read(text: str) -> _Reader:
    reader, words, at = _Reader(), _tokens(text), 0
    while at < len(words):
        if words[at] == ",":
            reader.pause()
            reader.negated, reader.relation = False, None
            at += 1
            continue
        at += _step(reader, words, at)
    reader.pause()
    return reader


def _step(reader: _Reader, words: list[str], at: int) -> int:
    for length in range(min(LONGEST, len(words) - at), 0, -1):
        run = words[at : at + length]
        if "," in run:
            continue
        meanings, plural = _meanings(run)
        if meanings:
            _take(reader, " ".join(run), meanings, plural, words[at + length : at + length + 1])
            return length
    word = words[at]
    if word.isdigit():
        reader.count = max(1, min(int(word[:3]), MAX_COUNT))
    elif word in lexicon().negators:
        reader.negated = True
    elif word in {"in", "at", "by", "through", "across", "into", "of", "from", "against", "inside", "while", "during"}:
        reader.pause()
        reader.negated, reader.relation = False, None
    elif word not in lexicon().stop and len(word) > 2:
        reader.missed.append(word)
    return 1


def _take(
    reader: _Reader, phrase: str, meanings: tuple[tuple[str, str], ...], plural: bool, following: list[str]
) -> None:
    tables = {table for table, _ in meanings}
    if "idiom" in tables:
        reader.missed.append(phrase)
        return
    if reader.negated and not tables & {"count", "colour"}:
        reader.negated = False
        return
    for table, value in meanings:
        if table == "count":
            reader.count = int(value)
        elif table == "relation":
            _relate(reader, phrase, value, following)
        elif table == "colour":
            reader.bound.append(rgb(value))
        elif table == "object":
            _place(reader, phrase, value, plural)
        else:
            reader.found.setdefault(table, []).append(value)
    if not tables <= {"count", "relation"}:
        reader.understood.append(phrase)
        if "object" not in tables and "colour" not in tables:
            reader.pause()


def _relate(reader: _Reader, phrase: str, value: str, following: list[str]) -> None:
    two_colours = phrase == "and" and reader.bound and following and _is_colour(following[0])
    if not two_colours:
        reader.pause()
        reader.relation = value


def _is_colour(word: str) -> bool:
    return any(table == "colour" for table, _ in lexicon().phrases.get(word, ()))


def _place(reader: _Reader, phrase: str, sprite: str, plural: bool) -> None:
    count = reader.count if reader.count is not None else PLURAL_COUNT if plural or phrase == "people" else 1
    if reader.count is None and sprite in lexicon().masses:
        count = PLURAL_COUNT
    colour = reader.bound[0] if reader.bound else None
    relation = reader.relation if reader.things else None
    again = next((at for at, thing in enumerate(reader.things) if thing.sprite == sprite), None)
    if again is None and len(reader.things) < MAX_THINGS:
        reader.things.append(Thing(phrase, sprite, max(1, min(count, MAX_COUNT)), colour, relation))
    reader.bound, reader.count, reader.relation = [], None, None


def _setting(reader: _Reader) -> tuple[str, bool]:
    named = reader.found.get("setting", [])
    if named:
        place = [value for value in named if value not in {"product", "abstract"}]
        shown = [lexicon().kind(thing.sprite).name for thing in reader.things]
        if not place and shown and set(shown) <= {"object", "small"}:
            return "product", True
        return _fitting(place, reader) or (place or named)[0], True
    implied = lexicon().implied
    sprites = [thing.sprite for thing in reader.things]
    for sprite in sprites:
        if sprite in implied:
            return implied[sprite], False
    kinds = [lexicon().kind(sprite) for sprite in sprites]
    if kinds:
        return _implied(kinds), False
    for feature in reader.found.get("feature", []):
        if f"feature:{feature}" in implied:
            return implied[f"feature:{feature}"], False
    if "snow" in reader.found.get("weather", []):
        return "snow", False
    if any(table in reader.found for table in ("time", "weather", "feature")):
        return ("neon" in reader.found.get("style", []) and "city") or "field", False
    return ("abstract", False) if reader.colours or reader.found.get("style") else ("concept", False)


def _fitting(places: list[str], reader: _Reader) -> str | None:
    """Return which of several named places the things belong to: boats decide between a cliff and the sea."""
    implied = lexicon().implied
    for thing in reader.things:
        home = implied.get(thing.sprite) or implied.get(f"kind:{lexicon().kind(thing.sprite).name}")
        if home in places:
            return home
    return None


def _implied(kinds: list[Kind]) -> str:
    first = next((kind.name for kind in kinds if kind.name != "object"), "object")
    return lexicon().implied.get(f"kind:{first}", "product")


def _first(reader: _Reader, table: str, default: str) -> str:
    return reader.found.get(table, [default])[0]


def parse(prompt: str, negative: str | None = None) -> SceneSpec:
    """Return what a prompt describes; objects named in `negative` are left out."""
    text = clean(prompt)
    quoted = _QUOTED.search(text)
    words = quoted[1].strip()[:MAX_TEXT] if quoted else ""
    reader = _read(_QUOTED.sub(" , ", text) if words else text)
    unwanted = {thing.sprite for thing in _read(clean(negative)).things} if negative else set[str]()
    reader.things = [thing for thing in reader.things if thing.sprite not in unwanted]
    setting, named = _setting(reader)
    if setting == "concept" and words:
        setting = "abstract"
    styles = tuple(dict.fromkeys(reader.found.get("style", [])))
    weather = _first(reader, "weather", "clear")
    if weather == "snow" and setting == "field":
        setting = "snow"
    night = "night" if {"stars", "moon", "crescent", "aurora"} & set(reader.found.get("feature", [])) else "day"
    default_time = next((_STYLE_TIME[style] for style in styles if style in _STYLE_TIME), night)
    caption = text if not words else ""
    return SceneSpec(
        caption=caption,
        setting=setting,
        named=named,
        time=_first(reader, "time", default_time),
        weather=weather,
        styles=styles,
        features=frozenset(reader.found.get("feature", [])),
        colours=tuple(dict.fromkeys(reader.colours))[:5],
        text=words,
        things=tuple(reader.things),
        camera=_first(reader, "camera", ""),
        understood=tuple(dict.fromkeys(([f'"{words}"'] if words else []) + reader.understood))[:40],
        not_understood=tuple(dict.fromkeys(reader.missed))[:40],
    )
