"""What a request in plain English says of length, shape and number; pure, and silent wherever it is in doubt."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from darkroom.domain.kinds import Kind
from darkroom.domain.patterns import compiled
from darkroom.domain.request import RESOLUTIONS, parse_size
from darkroom.errors import InvalidRequest

IMAGE_NOUNS = (
    "images?|pictures?|pics?|photos?|photographs?|illustrations?|drawings?|paintings?|sketch(?:es)?|renders?|"
    "renderings?|stills?|packshots?|posters?|wallpapers?|icons?|portraits?|key ?visuals?|hero ?shots?|watercolou?rs?"
)
VIDEO_NOUNS = "videos?|clips?|films?|movies?|reels?|animations?|teasers?|trailers?|shorts|commercials?|loops?|spots?"
_MEDIA = rf"(?:{IMAGE_NOUNS}|{VIDEO_NOUNS}|ads?|post|story|stories|format|version|crop|thumbnail)"
_NEUTRAL = "variants?|variations?|versions?|options|alternatives|takes?|tries|drafts?"
_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "forty-five": 45, "fifty": 50,
    "sixty": 60, "ninety": 90,
}  # fmt: skip
SPELLED = "|".join(sorted(_WORDS, key=len, reverse=True))
_UNITS = "s|secs?|seconds?|mins?|minutes?|hours?|days?|weeks?|months?|years?|dollars?|euros?|percent|px|pixels"
NUMBER = rf"(?:\d{{1,4}}(?:[.,]\d{{1,2}})?|{SPELLED})"
_SECONDS = compiled(
    rf"(?<![\w.:$-])(?P<number>{NUMBER})(?P<gap>[\s-]?)(?P<unit>seconds?|secs?|s|minutes?|mins?)(?![\w'-])"
    rf"(?:(?:\s*,)?\s+(?:and\s+)?(?P<rest>\d{{1,2}})[\s-]?(?:seconds?|secs?|s)\b)?(?P<long>[\s-]long\b)?(?:\s+each\b)?"
)
_CLOCK = compiled(r"(?<![\w.:])(?P<minutes>\d{1,2}):(?P<seconds>[0-5]\d)\s?(?:min(?:utes?)?|m)(?:\s+long)?\b")
_HALF = compiled(r"\bhalf(?:[\s-]a[\s-]|[\s-])minute(?:[\s-]long)?\b")
_A_MINUTE = compiled(rf"(?<!half )\b(?:one|an?)[\s-]minute(?:[\s-]long\b|[\s-](?=(?:{_MEDIA})\b))")
_NO_LENGTH = compiled(r"\b(?:every|first|last|after|within|before|per|each|the|early|mid|late|at|to|or|than)[\s-]$|-$")
_SPAN = compiled(r"^\s?(?:to|or|-)\s?\d")
_DECADES = range(20, 100, 10)
_EXPLICIT = compiled(
    r"(?<![\d:.])(1:1|16:9|9:16|4:3|3:4|3:2|2:3|4:5|5:4|21:9|9:21|2:1|1:2|16x9|9x16|4x5|1x1|16/9|9/16|"
    r"16 by 9|9 by 16)(?![\d:])"
)
FACT = (
    rf"(?:{NUMBER}[\s-]?(?:s|secs?|seconds?|minutes?|mins?)(?:[\s-]long)?|\d{{3,4}}p|4k|2k|full[\s-]hd|hd|"
    r"\d{1,2}:\d{1,2}|short|long|quick|product|promo|promotional|brand|launch|social|social[\s-]media)"
)
"""What may stand between a word of shape or manner and the noun that it belongs to."""
_SHAPES = ("vertical", "upright", "square", "horizontal", "widescreen", "portrait", "landscape")
_RATIOS = {
    "vertical": "9:16", "upright": "9:16", "square": "1:1", "horizontal": "16:9", "widescreen": "16:9",
    "portrait": "9:16", "landscape": "16:9",
}  # fmt: skip
_SHAPE = compiled(
    rf"\b(?P<shape>{'|'.join(_SHAPES)})[\s-](?P<noun>format|orientation|mode|ratio|aspect(?:[\s-]ratio)?|crop|"
    rf"{_MEDIA})\b"
    rf"|\b(?P<free>vertical|square|horizontal|widescreen)"
    rf"(?=,?\s+(?:{FACT},?\s+)*(?:[\w-]+\s+){{0,2}}(?:{VIDEO_NOUNS})\b)"
    rf"|\b(?P<facts>{'|'.join(_SHAPES)})(?=,?\s+(?:{FACT},?\s+)+(?:{VIDEO_NOUNS}|ads?)\b)"
    rf"|(?:[,(]|\bin|\bmake it|\b(?:should|must|to) be)\s*(?P<alone>{'|'.join(_SHAPES)})"
    r"(?=\s*(?:[,.;!?)]|$|please\b|for\b|and\b))"
    r"|^(?P<first>vertical|square|horizontal|widescreen)(?=\s*[,:;])"
)
_GENRES = compiled(rf"(?:{IMAGE_NOUNS}|post|story|stories)$")
_PLATFORM = compiled(
    r"\b(?P<high>(?:for|on|as an?|as) (?:our |my |the )?(?:tiktok|instagram|insta|ig|youtube|yt|facebook|snapchat)?\s?"
    r"(?:tiktok|reels?|stories|story|shorts|snapchat)|(?:instagram|insta|ig|facebook) (?:reels?|story|stories)|"
    r"tiktok (?:videos?|clips?|ads?)|youtube shorts?)\b"
)
_PIXELS = compiled(r"(?<![\w.])\d{3,4}\s?x\s?\d{3,4}(?![\w.])")
_CLASS = r"4k|uhd|ultra[ -]?hd|full[ -]?hd|fhd|qhd|2k|hd"
_HEIGHT = compiled(
    rf"(?<![\w.-])(?:(?P<lines>\d{{3,4}}p)|(?:(?<=\bin )|(?<=\bat )|(?<=\bas )|(?<=, )|(?<=\()|"
    rf"(?<=^))(?P<said>{_CLASS})|"
    rf"(?P<named>{_CLASS})(?=\s+(?:[\w-]+\s+){{0,3}}?(?:resolution|quality|{_MEDIA})\b))(?!\w)"
    r"(?:\s+(?:resolution|quality|definition)\b)?"
)
_CALLED = {
    "2160p": "4k", "uhd": "4k", "ultrahd": "4k", "fullhd": "1080p", "fhd": "1080p", "qhd": "1440p", "2k": "1440p",
    "hd": "720p",
}  # fmt: skip
_AMOUNT = r"\d{1,6}(?:,\d{3})*(?:[.,]\d{1,2})?"
"""With thousands or cents behind a comma: `1,500`, `1,50`."""
_MONEY = compiled(
    rf"(?<![\w.-])(?:(?:us\s?)?\$\s?(?P<before>{_AMOUNT})|usd\s?(?P<coded>{_AMOUNT})|"
    rf"(?P<after>{_AMOUNT}|{SPELLED})\s?(?:dollars?|bucks?|usd|us\s?\$|\$)|"
    r"(?<=max_cost=)(?P<named>\d{1,6}(?:\.\d{1,2})?)|"
    rf"(?P<cents>\d{{1,3}}|{SPELLED})\s?(?:cents?|ct))(?!\w|[.,]\d)"
)
_FOLDED = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a", "'"),
        **dict.fromkeys("\u201c\u201d\u201e", '"'),
        **dict.fromkeys("\u2013\u2014", "-"),
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{NO-BREAK SPACE}": " ",
    }
)


Value = TypeVar("Value", float, int, str)


@dataclass(frozen=True, slots=True)
class Found(Generic[Value]):
    """A value, and where in the text it stands."""

    value: Value
    start: int
    end: int


def folded(text: str) -> str:
    """Return a text in small letters with plain quotes and dashes, of the same length, so that places stay true."""
    return "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in text.translate(_FOLDED))


def read_duration(text: str) -> float | None:
    """Return the length in seconds that a text asks for: `15 s`, `30-second`, `half a minute`, `1:30 min`.

    None where none is said, or several, or a span of them.
    """
    return _only(find_durations(text))


def find_durations(text: str) -> list[Found[float]]:
    """Return every length in a text, in seconds, with its place; a decade (`an 80s arcade`) is none."""
    line = folded(text)
    found = [Found(30.0, *match.span()) for match in _HALF.finditer(line)]
    found += [Found(60.0, *match.span()) for match in _A_MINUTE.finditer(line)]
    found += [
        Found(60.0 * int(match["minutes"]) + int(match["seconds"]), *match.span()) for match in _CLOCK.finditer(line)
    ]
    for match in _SECONDS.finditer(line):
        inside = any(one.start < match.end() and match.start() < one.end for one in found)
        if not inside and not _is_other(match, line):
            amount = number(match["number"])
            seconds = amount * 60 + float(match["rest"] or 0) if match["unit"].startswith("m") else amount
            found.append(Found(seconds, *match.span()))
    return sorted((one for one in found if one.value), key=lambda one: one.start)


def _is_other(match: re.Match[str], line: str) -> bool:
    """Return whether an amount of time is no length: part of a span, a moment, a decade."""
    before, after = line[: match.start()], line[match.end() :]
    if _NO_LENGTH.search(before[-12:]) or _SPAN.search(after) or before.endswith("'"):
        return True
    if match["unit"] != "s" or match["gap"] or match["long"]:
        return False
    number = match["number"]
    if not number.isdigit() or int(number) not in _DECADES:
        return False
    if re.search(r"(?:length|duration|lasting|runtime):?\s*$", before):
        return False
    framed = re.search(r"(?:^|,|\bfor)\s*$", before) and re.match(r"\s*(?:$|[,.;!?])", after)
    named = re.match(rf"\s+(?:[\w:-]+\s+){{0,2}}(?:{VIDEO_NOUNS}|ads?)\b", after)
    return int(number) > 40 or not (framed or named)


def read_ratio(text: str) -> str | None:
    """Return the ratio that a text asks for: `9:16`, `vertical`, `square`, `for TikTok`; None where in doubt.

    `portrait` and `landscape` name what a picture shows as often as its shape: they count where a word such as
    `format` or `video` follows, or where they stand alone behind a comma.
    """
    return _only(find_ratios(text))


def find_ratios(text: str) -> list[Found[str]]:
    """Return every ratio in a text, as `W:H`, with its place."""
    line = folded(text)
    found = [Found(re.sub(r"x|/| by ", ":", match[0]), *match.span()) for match in _EXPLICIT.finditer(line)]
    for match in _SHAPE.finditer(line):
        name = str(match.lastgroup if match["noun"] is None else "shape")
        shape = match[name]
        genre = shape in ("portrait", "landscape") and match["noun"] and _GENRES.fullmatch(match["noun"])
        if not genre:
            end = match.end() if match["noun"] in ("format", "orientation", "mode", "ratio") else match.end(name)
            found.append(Found(_RATIOS[shape], match.start(name), end))
    found += [Found("9:16", *match.span("high")) for match in _PLATFORM.finditer(line)]
    return sorted(found, key=lambda one: one.start)


_ANY = compiled(
    r"(?<![\d:.])(?P<framed>(?<=, )|(?<=\()|(?<=\bin )|(?<=\bratio )|(?<=\bformat ))?"
    r"(?P<ratio>\d{1,2}(?:\.\d{1,2})?:\d{1,2})(?![\d:])"
    rf"(?:(?=,?\s+(?:{FACT},?\s+)*(?:{_MEDIA}|ratio|format|aspect)\b)|"
    r"(?(framed)(?<!:\d\d)(?=\s*(?:[,.;!?)]|$))|(?!)))"
)


def read_film_ratio(text: str) -> str | None:
    """Return the shape of a film that a text asks for, also one that there is not (`7:3`); several as one text.

    Figures count before words (`square`), and those before a place (`for TikTok`).
    """
    line = folded(text)
    found = find_ratios(text)
    figures = [one.value for one in found if re.match(r"\d", line[one.start :])]
    figures += [match["ratio"] for match in _ANY.finditer(line)]
    words = [one.value for one in found if line.startswith(_SHAPES, one.start)]
    values = list(dict.fromkeys(figures or words or [one.value for one in found]))
    return " and ".join(values) or None


def read_count(text: str, kind: Kind | None = None) -> int | None:
    """Return how many pictures, clips or variants a text asks for: `three variants`, `4 pictures`.

    Args:
        text: What was said.
        kind: Counts only nouns of that kind, and `variants` and the like.
    """
    return _only(find_counts(text, kind))


def find_counts(text: str, kind: Kind | None = None) -> list[Found[int]]:
    """Return every such count in a text with the place of the number."""
    own = {Kind.IMAGE: IMAGE_NOUNS, Kind.VIDEO: VIDEO_NOUNS}
    nouns = "|".join([*(own.values() if kind is None else [own.get(kind, _NEUTRAL)]), _NEUTRAL])
    pattern = (
        rf"(?<![\w.:$'-])(?P<number>\d{{1,3}}|{SPELLED}|a couple of|a dozen)"
        rf"(?=\s+(?:(?!(?:of|and|{_UNITS})\b)[\w-]+\s+){{0,3}}"
        rf"(?:{nouns})\b)"
    )
    found: list[Found[int]] = []
    for match in re.finditer(pattern, folded(text)):
        value = {"a couple of": 2, "a dozen": 12}.get(match["number"]) or int(number(match["number"]))
        found.append(Found(value, *match.span()))
    return [one for one in found if one.value]


def read_size(text: str) -> str | None:
    """Return the size in pixels that a text asks for, as `1080x1350`."""
    return _only(find_sizes(text))


def find_sizes(text: str) -> list[Found[str]]:
    """Return every size in pixels in a text, as `WxH`, with its place."""
    found: list[Found[str]] = []
    for match in _PIXELS.finditer(folded(text)):
        try:
            size = parse_size(re.sub(r"\s", "", match[0]))
        except InvalidRequest:
            continue
        found.append(Found(str(size), *match.span()))
    return found


def read_resolution(text: str) -> str | None:
    """Return the height class of a clip that a text asks for: `1080p`, `4k`; None for one that nobody has."""
    return _only(one for one in find_resolutions(text) if one.value in RESOLUTIONS)


def find_resolutions(text: str) -> list[Found[str]]:
    """Return every height class in a text with its place, also one that nobody has: `240p`."""
    found: list[Found[str]] = []
    for match in _HEIGHT.finditer(folded(text)):
        word = re.sub(r"[ -]", "", match["lines"] or match["said"] or match["named"])
        found.append(Found(_CALLED.get(word, word), *match.span()))
    return found


def size_of(height: str, ratio: str | None = None) -> str:
    """Return a picture's size of a height class, as `WxH`; 16:9 where no ratio is told."""
    wide, _, tall = (ratio or "16:9").partition(":")
    width, side = int(wide) / int(tall), RESOLUTIONS[height]
    return f"{round(side * width)}x{side}" if width >= 1 else f"{side}x{round(side / width)}"


def read_money(text: str) -> float | None:
    """Return the amount in US dollars that a text names: `$5`, `40 dollars`, `20 cents`; None for several."""
    return _only(find_money(text))


def find_money(text: str) -> list[Found[float]]:
    """Return every amount in US dollars in a text, with its place."""
    found: list[Found[float]] = []
    for match in _MONEY.finditer(folded(text)):
        amount = match["before"] or match["coded"] or match["after"] or match["named"]
        value = number(re.sub(r",(?=\d{3})", "", amount)) if amount else number(match["cents"]) / 100
        found.append(Found(value, *match.span()))
    return found


def without(text: str, found: Iterable[Found[Any]]) -> str:
    """Return a text without what was read from it, and without the commas and small words that it leaves behind."""
    kept = len(text)
    for one in sorted(found, key=lambda one: (one.end, one.start), reverse=True):
        if one.end > kept:  # inside another
            continue
        kept = one.start
        before = re.sub(r"(?:^|[\s,;(]+)(?:(?:in|at|as|with|of|for|and|lasting)\s*)?$", " ", text[: one.start])
        after = re.sub(r"^(?:\s?(?:ratio|aspect ratio|pixels|px)\b)?\s*[,;)]?\s*", " ", text[one.end :])
        listed = re.search(r",\s*$", text[: one.start]) and re.match(r"\s*,", text[one.end :])
        text = f"{before.rstrip()}{', ' if listed else ' '}{after.lstrip()}"
    text = re.sub(r"\s+([,.;:!?])", r"\1", text)
    return re.sub(r"\s{2,}", " ", text).strip(" ,;")


def number(text: str) -> float:
    """Return a number that is written in figures or, up to ninety, as a word."""
    return float(_WORDS[text]) if text in _WORDS else float(text.replace(",", "."))


def _only(found: Iterable[Found[Value]]) -> Value | None:
    values = {one.value for one in found}
    return values.pop() if len(values) == 1 else None
