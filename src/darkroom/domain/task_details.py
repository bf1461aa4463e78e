"""Facts beside the thing that a task states: its price, its place, the channels, and what must not be; pure."""

import re

from darkroom.domain.patterns import compiled
from darkroom.domain.reading import Found
from darkroom.domain.spending import find_caps, find_unsure
from darkroom.domain.task_facts import PLATFORMS, QUOTED, find_dates, find_offers, opening

_AMOUNT = (
    r"(?:(?:[$\u20ac\u00a3]\s?\d{1,6}(?:[.,]\d{3})*(?:[.,]\d{1,2})?|\d{1,6}(?:[.,]\d{1,2})?\s?"
    r"(?:eur|euros?|usd|dollars?|gbp|pounds|\u20ac))(?![\w%])(?!\s*(?:off|discount|cheaper)\b)"
    r"(?:\s?(?:/|\bper\b)\s?[a-z]+\b|\s(?:each|apiece)\b|\san?\s(?:month|year|week|day|night|person|head|piece|kg|"
    r"kilo|pound|litre|cup|bag|bottle|seat|hour|pack|packet|box|jar|tin|can|tube|pair|set|slice|bar|copy|ticket|class|"
    r"lesson|session|visit|ride|pop|go|[a-z]+(?=\s*(?:[.,;:!?()\n]|$)))\b)?)"
)
_PRICE = compiled(
    r"(?:,?\s*\b(?:which |that |it )?(?:costs?|costing|sells? (?:for|at)|priced at|price(?: is|:)?|"
    rf"available (?:for|at)|from|for|at)\s+(?:only |just )?)?(?P<price>{_AMOUNT})",
    re.I,
)
_NO_PLACE = compiled(
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december|"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|spring|summer|autumn|winter|english|german|french|spanish|italian|"
    rf"dutch|full|hd|q[1-4]|black|christmas|easter|halloween|{'|'.join(PLATFORMS)})\b",
    re.I,
)
_WORD = r"[A-Z\u00c0-\u00de][\w'\u2019-]+"
_PLACE = compiled(
    rf"\b(?P<where>(?:in|near|across)\s+(?:the\s+)?|at\s+the\s+)(?P<name>{_WORD}(?:\s+(?:(?:upon|am|de|la)\s+)?{_WORD}){{0,2}})"
)
CHANNELS = ("Instagram", "TikTok", "LinkedIn", "X", "Email")
"""What a launch writes for where nobody says otherwise."""
_CALLED = {
    **PLATFORMS, "email": "Email", "e-mail": "Email", "newsletter": "Email", "mailing list": "Email", "twitter": "X",
    "x": "X",
}  # fmt: skip
_CHANNEL = rf"(?:{'|'.join(sorted((re.escape(name) for name in _CALLED), key=len, reverse=True))})"
_LIST = rf"(?P<list>{_CHANNEL}(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+(?:by\s+|on\s+|via\s+)?|\s*&\s*|\s*/\s*){_CHANNEL})*)"
_ON = compiled(
    r"\b(?:only\s+)?(?:(?:posts|texts|ads|adverts|campaign|content)\s+(?:for|on)|on|via|by|channels?\s*(?::|are|is))\s+"
    rf"(?:only\s+)?{_LIST}\b(?:\s+only)?(?!\s+(?:account|followers|shop|users?|tool|app|management|growth)\b)",
    re.I,
)
_ONLY = compiled(rf"\b(?:only\s+(?:for\s+|on\s+)?{_LIST}|{_LIST.replace('list', 'more')}\s+only)\b", re.I)
_NOT_ON = compiled(
    rf"\b(?:no|not on|not for|without|except|but not|never on)\s+{_LIST}(?=\s*(?:[.,;!?)]|$|please\b|posts?\b))", re.I
)
_RULE = compiled(
    r"(?:^|[.,;!?(\n]\s*|\s-\s|\b(?:and|but)\s+)(?:please\s+|you\s+)?"
    r"(?P<rule>(?:no|never|don't|don\u2019t|do not|avoid|must not|without any|without(?= \w+ing\b))\s+"
    r"(?!more than|less than|matter|longer than|problem)[^.,;!?()\n]{2,80}?)"
    r"(?=\s*(?:[.,;!?()\n]|\s-\s|$)|\s+(?:and|but)\s+(?:no|never|don't|do not|avoid|make|use|keep|write|please)\b)",
    re.I,
)


def find_prices(text: str) -> list[Found[str]]:
    """Return every price of the thing, as it is said, with its place: not what the work may cost, and no offer."""
    others = [*find_caps(text), *find_unsure(text), *find_offers(text)]
    return [
        Found(match["price"].strip(), *match.span())
        for match in _PRICE.finditer(text)
        if not any(one.start < match.end() and match.start() < one.end for one in others)
    ]


def read_price(text: str) -> str | None:
    """Return the price that a task states; None for several."""
    found = {one.value for one in find_prices(opening(text))}
    return found.pop() if len(found) == 1 else None


def find_places(text: str) -> list[Found[str]]:
    """Return every place that a text names, with its little word and its span: `in Leeds`."""
    quoted = [match.span() for match in QUOTED.finditer(text)]
    taken = [*quoted, *((one.start, one.end) for one in find_dates(text))]
    return [
        Found(f"{match['where'].lower()}{match['name']}", *match.span())
        for match in _PLACE.finditer(text)
        if not _NO_PLACE.match(match["name"])
        and not any(start < match.end() and match.start("name") < end for start, end in taken)
    ]


def read_place(text: str) -> str | None:
    """Return where it is, with its little word: `in Leeds`; None for several."""
    found = {one.value for one in find_places(opening(text))}
    return found.pop() if len(found) == 1 else None


def find_channels(text: str) -> list[Found[str]]:
    """Return every naming of channels to write for, or with `-` not to, with its place."""
    spans = [(pattern, match) for pattern in (_ONLY, _ON, _NOT_ON) for match in pattern.finditer(text)]
    found: list[Found[str]] = []
    for pattern, match in spans:
        said = next(part for part in match.groups() if part)
        names = ", ".join(dict.fromkeys(_CALLED[name.lower()] for name in re.findall(_CHANNEL, said, re.I)))
        if not any(one.start < match.end() and match.start() < one.end for one in found):
            found.append(Found(f"-{names}" if pattern is _NOT_ON else names, *match.span()))
    return sorted(found, key=lambda one: one.start)


def read_channels(text: str) -> str | None:
    """Return the channels that a task wants texts for: those it names, or all the usual ones but those it excludes."""
    found = find_channels(opening(text))
    named = [name for one in found if one.value[0] != "-" for name in one.value.split(", ")]
    barred = {name for one in found if one.value[0] == "-" for name in one.value[1:].split(", ")}
    left = [name for name in dict.fromkeys(named or CHANNELS) if name not in barred]
    return ", ".join(left) if found and left else None


def find_rules(text: str) -> list[Found[str]]:
    """Return what a text forbids, in its own words, with its place: `never mention sugar`; no caps and channels."""
    others = [*find_caps(text), *find_unsure(text), *find_channels(text)]
    return [
        Found(match["rule"].strip(), *match.span("rule"))
        for match in _RULE.finditer(text)
        if not any(one.start < match.end("rule") and match.start("rule") < one.end for one in others)
    ]


def read_rules(text: str) -> str | None:
    """Return all that a task forbids, in its own words, with semicolons between."""
    return "; ".join(dict.fromkeys(one.value for one in find_rules(opening(text))))[:300] or None
