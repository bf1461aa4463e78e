"""What the words of a task say of a workflow's inputs; pure, and silent where they say nothing."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from pydantic import JsonValue

from darkroom.domain.colours import find_colours, read_colours
from darkroom.domain.patterns import compiled
from darkroom.domain.reading import read_duration, read_film_ratio, read_resolution
from darkroom.domain.spending import find_caps, find_unsure
from darkroom.domain.task_details import (
    find_channels,
    find_prices,
    find_rules,
    read_channels,
    read_place,
    read_price,
    read_rules,
)
from darkroom.domain.task_facts import (
    QUOTED,
    blanked,
    find_closings,
    find_dates,
    find_offers,
    is_english,
    opening,
    read_closing,
    read_date,
    read_offer,
    read_platform,
)
from darkroom.domain.task_manner import find_styles, read_look, read_style, read_tone
from darkroom.domain.task_occasion import occasion_in, read_occasion
from darkroom.domain.task_vocabulary import (
    ADS,
    ARTICLE,
    ARTICLES,
    AUDIENCE,
    CLOSER,
    EMPTY,
    FILLING,
    LEADS,
    LENGTH,
    MARK,
    NAMES,
    NO_PEOPLE,
    NO_THING,
    PEOPLE,
    PHRASE,
    SOCIAL,
    TITLE,
    VAGUE,
    WHERE,
    WORD,
)

_FEW = rf"((?:(?!{ARTICLE}\b)[^\n.,;:!?()\s]+\s+){{1,6}}?)"


@dataclass(frozen=True, slots=True)
class Read:
    """What a task is about."""

    subject: str | None = None
    """The thing in the task's words, without articles."""
    name: str | None = None
    audience: str | None = None


def read_subject(text: str) -> str | None:
    """Return the thing that a task is about, in its own words and without articles; None where none is named.

    `a 15 s product video for blue running shoes` is about `blue running shoes`; `a brand kit for Lumen, a sleep app`
    about a `sleep app`. Where there is only a name, it is that.
    """
    found = _read(text)
    return found.subject or (found.name if is_english(text) else None)


def read_trade(text: str) -> str | None:
    """Return the kind of thing that a task is about; None where there is only a name."""
    return _read(text).subject


def read_audience(text: str) -> str | None:
    """Return for whom a thing is: what follows `aimed at`, `targeting`, or a `for` behind the thing itself."""
    return _read(text).audience


def read_name(text: str) -> str | None:
    """Return the name that a task gives to a thing: behind `called`, in quotes, or before `, a ...`."""
    return _read(text).name


@lru_cache(maxsize=64)
def _read(text: str) -> Read:
    text = opening(text)
    text = blanked(text, find_closings(text))
    text = blanked(text, [*find_caps(text), *find_unsure(text)])
    if not is_english(text):
        quoted = QUOTED.search(text)
        return Read(name=quoted[1].strip() if quoted else None)
    for find in (find_rules, find_channels, find_colours, find_styles):
        text = blanked(text, find(text))
    marked = occasion_in(text)
    text = blanked(marked.rest, find_dates(marked.rest))
    text = blanked(text, find_offers(text))
    text = LENGTH.sub(" ", _without_prices(text))
    said = AUDIENCE.search(text)
    text = f"{text[: said.start()]} . {text[said.end() :]}" if said else text
    name, line = _named(text)
    subject, rest = _subject(line)
    if marked.thing:
        subject, name = marked.thing, None
    elif subject and name is None:
        subject, name = _parted(subject)
    audience = _bare(said[1]) or None if said else _audience(rest) or _audience(re.split(r"[.!?\n]", line)[0])
    return Read(subject, name, audience)


def _without_prices(text: str) -> str:
    """Return a text without prices: those between an article and its thing leave nothing behind, others a comma."""
    for one in reversed(find_prices(text)):
        inside = re.search(rf"\b{ARTICLE}\s*$", text[: one.start], re.I) and re.match(r"\s+\w", text[one.end :])
        text = f"{text[: one.start]}{'' if inside else ' , '}{text[one.end :]}"
    return re.sub(r"[^\S\n]+", " ", text)


def _named(text: str) -> tuple[str | None, str]:
    """Return the name in a text, and the text with a mark in its place."""
    quoted = QUOTED.search(text)
    places = [quoted.span()] if quoted else []
    name = quoted[1].strip() if quoted else None
    for pattern in NAMES if quoted is None else ():
        for match in pattern.finditer(text):
            words = match["name"].split()
            while words and (TITLE.match(words[0]) or (words[0] != "The" and FILLING.fullmatch(words[0]))):
                words.pop(0)
            if words and not NO_THING.match(" ".join(words)):
                name = " ".join(words).rstrip(".")
                start = match.end("name") - len(match["name"]) + match["name"].index(words[0])
                places = [(start, match.end("name"))]
                break
        if name:
            break
    for start, end in places:
        text = f"{text[:start]}{MARK}{text[end:]}"
    if name:
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", MARK, text)
    return name, text


def _subject(marked: str) -> tuple[str | None, str]:
    """Return the thing, and what stands behind it."""
    for phrase, rest, lead in _candidates(marked):
        bare = "" if NO_THING.match(phrase.strip()) else _bare(phrase)
        people = lead.endswith("for") and bare == phrase.strip() and PEOPLE.search(bare)
        if bare and not people and not _only_vague(bare):
            return _fuller(bare, rest)
    before, _, behind = marked.partition(MARK)
    alone = MARK not in marked or bool(re.search(r"[.,;:]", before))
    return (_left_over(marked) if alone else None), behind


def _candidates(marked: str) -> Iterator[tuple[str, str, str]]:
    """Return phrases that may be the thing, the surest first, each with what stands behind it and its lead."""
    patterns = (
        rf"{MARK}{WHERE}\s*(?:,|\(|[-\u2013\u2014:])\s*{ARTICLE}(?={PHRASE})",
        rf"{MARK}\s*\((?!(?:price|for|in|from|with|on|by|the)\b)(?=([a-z][^()\d]+)\))",
        rf"{MARK}\s+(?:is|are)\s+{ARTICLE}(?={PHRASE})",
        rf"(?:^|[.!?,:;\n]\s*|\s){ARTICLE}(?=\s+{_FEW}(?:is\s+|are\s+)?(?:called|named|under the name)\s+{MARK})",
        rf"(?:^|[.!?]\s*)(?={_FEW}(?:called|named|under the name)\s+{MARK})",
        *(rf"(?<!\w){lead}(?={PHRASE})" for lead in LEADS),
        rf"(?:^|[.!?]\s*){ARTICLE}(?={PHRASE})",
    )
    for pattern in patterns:
        for match in re.finditer(pattern, marked, re.I):
            yield match[1], marked[match.end(1) :], match[0].lower()


def _fuller(subject: str, rest: str) -> tuple[str, str]:
    """Return a thing with a `for` that belongs to it, since no people follow: `cream for dry skin`."""
    behind = re.match(rf"\s+for(?={PHRASE})", rest, re.I)
    if behind is None or PEOPLE.search(behind[1]) or NO_THING.match(behind[1]) or NO_PEOPLE.match(behind[1]):
        return subject, rest
    if MARK in behind[1] or re.search(r"\d", behind[1]) or not behind[1].islower():
        return subject, rest
    return f"{subject} for {_bare(behind[1])}", rest[behind.end(1) :]


def _only_vague(bare: str) -> bool:
    words = re.sub(r"\s+", " ", EMPTY.sub(" ", VAGUE.sub(" ", FILLING.sub(" ", bare)))).strip()
    return not words or bool(re.match(r"(?:it|them|something|anything|everything|this|that|us|me|you)\b", bare, re.I))


def _left_over(text: str) -> str | None:
    """Return a thing that stands before `video` and the like, or alone; None where other words stand around it."""
    first = re.split(r"[.;:!?\n,]|(?<=\w)\s+(?:in|at|near|from|that|which|with)\s", text.strip())[0]
    for found in (_PLATFORM_WORDS, LENGTH):
        first = found.sub(" ", first)
    rest = FILLING.sub(" ", first)
    words = re.sub(r"\s+", " ", re.sub(r"[^\w\s'&-]|(?<!\w)-|-(?!\w)", " ", rest)).strip()
    return None if VAGUE.search(words) or _only_vague(words) or len(words.split()) > 5 else words


_PLATFORM_WORDS = compiled(rf"\b(?:{SOCIAL})\b", re.I)


def _audience(rest: str) -> str | None:
    """Return the people that are named behind a `for`, in what stands behind the thing."""
    sentence = re.split(r"[.!?\n]", rest)[0]
    for behind in re.finditer(rf"\b(?:for|to)(?={PHRASE})", sentence, re.I):
        phrase = behind[1].strip()
        phrase = re.split(rf"\s+{ADS}\s", phrase)[0]
        owned = re.match(rf"{ARTICLE}\b", phrase, re.I)
        more = CLOSER.match(sentence, behind.end(1)) if phrase == behind[1].strip() else None
        bare = phrase.lower() in ("people", "those", "anyone") and not more
        if not (owned or bare or NO_THING.match(phrase) or NO_PEOPLE.match(phrase)) and PEOPLE.search(phrase):
            return f"{phrase}{more[0].rstrip()}" if more else phrase
    return None


def _parted(subject: str) -> tuple[str | None, str | None]:
    """Part a thing from the name behind it, `desk lamp Halo`; a thing that is all capitals is only a name."""
    words = subject.split()
    at = len(words)
    while at and re.fullmatch(WORD, words[at - 1]):
        at -= 1
    name = " ".join(words[at:]) or None
    if name is None or at == 0:
        return (None, name) if name else (subject, None)
    return (" ".join(words[:at]), name) if words[at][0].isalpha() else (subject, None)


def _bare(phrase: str) -> str:
    words = re.sub(r"\s+", " ", phrase.replace(MARK, " ")).strip(" '\"\u201c\u201d-")
    return ARTICLES.sub("", f"{words} ").strip(" '\"\u201c\u201d")


READERS: dict[str, Callable[[str], JsonValue]] = {
    "audience": read_audience,
    "channels": read_channels,
    "colours": read_colours,
    "closing": read_closing,
    "date": read_date,
    "duration": read_duration,
    "look": read_look,
    "name": read_name,
    "occasion": read_occasion,
    "offer": read_offer,
    "place": read_place,
    "platform": read_platform,
    "price": read_price,
    "ratio": read_film_ratio,
    "resolution": read_resolution,
    "rules": read_rules,
    "style": read_style,
    "subject": read_subject,
    "tone": read_tone,
    "trade": read_trade,
}
"""What an input of a workflow may name as its reader."""
