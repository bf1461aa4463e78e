"""What a task says of what the work may cost, and of how many of it are wanted; a price of the thing is neither."""

import re
from collections.abc import Collection

from darkroom.domain.patterns import compiled
from darkroom.domain.reading import NUMBER, Found, find_money, folded, number

_LEAST = (
    r"(?:at most|at the most|no more than|not more than|nothing over|up to|under|below|less than|within|inside|"
    r"max(?:imum|\.)?(?: of)?)"
)
_MOST = r"(?:max(?:imum|\.)?|tops|at most|at the most|or less|in total|altogether|all in)"
_START = r"(?:^|[.,;:!?(\n]|\s-|\band|\bbut)\s*"
_WORK = (
    r"(?:it|this|all(?: of (?:it|this))?|everything|the (?:whole(?: thing| run| lot)?|cost|costs|price|total|"
    r"budget|bill|spend|spending|run|work|generation)|(?:videos?|films?|clips?|ads?|campaigns?|kits?|pictures?|images?)"
    r"(?: (?:that|which))?)"
)
_COST = r"(?:costs?|costing|be|stays?|remains?|is)"
_NOT_OURS = r"(?<!who )(?<!people )(?<!customers )(?<!buyers )(?<!that )(?<!they )"
_BEFORE = compiled(
    "(?:"
    + "|".join(
        (
            rf"{_START}(?:for |all )?{_LEAST}",
            (
                rf"{_START}(?:it |this |that |all of it |everything )?(?:(?:may|must|should|can|has to|shall|to) )?"
                rf"(?:(?:not|never) )?{_COST} (?:{_LEAST}|(?:more than|over))"
            ),
            (
                rf"\b{_WORK} (?:(?:may|must|should|can|has to|shall|to) )?(?:(?:not|never) )?{_COST} "
                rf"(?:{_LEAST}|(?:more than|over))"
            ),
            r"\b(?:costs?|costing) (?:at most|at the most|no more than|not more than|nothing over|max(?:imum)?)",
            rf"{_NOT_OURS}\b(?:spend|spending|pay|paying) {_LEAST}",
            (
                r"\b(?:don't|do not|dont|never|not|without) (?:to )?(?:spend(?:ing)?|pay(?:ing)?|cost|exceed(?:ing)?)"
                r"(?: (?:more than|over|above))?"
            ),
            rf"\bkeep (?:{_WORK} )?{_LEAST}",
            (
                r"\b(?:cap(?:ped)?|limit(?:ed)?|spending limit|cost limit)(?: (?:it|this|the cost|costs|spending))?"
                r"(?: (?:to|at|of|is)|:)?"
            ),
            (
                r"\b(?:(?:my|our|the|your|total|with a|a) )*budget(?: (?:of|is)|:)?(?: (?:about|around))?"
                rf"(?: {_LEAST})?"
            ),
            r"(?<!price )\b(?:max(?:imum|\.)?)(?:[ _-](?:cost|spend|budget))?(?: (?:of|is)|[:=])?",
            rf"\bfor {_LEAST}",
        )
    )
    + ")$"
)
_BOUND = compiled(rf"\b{_LEAST}$")
_OTHER = compiled(
    r"(?<![\w.])(?:[\u20ac\u00a3]\s?\d+(?:[.,]\d+)?|\d+(?:[.,]\d+)?\s?(?:euros?|eur|pounds?|gbp|\u20ac|\u00a3))(?!\w)"
)
_MARKS = " .,;:!?(\n-"
_BEHIND = compiled(rf"\s*(?:{_MOST}\b|(?:budget|cap|limit)\b)")
_PRICED = compiled(
    r"\b(?:pric\w+|sell\w*|sold|retail\w*|tickets?|worth|saves?|saving|offers?|buys?|bought|buying|orders?|plans|"
    r"starting|starts|available|yours|off|(?:ad|ads|media|marketing|campaign|advertising|launch|wedding|travel|"
    r"monthly|daily|weekly)(?= budget)|on (?:a|an|the)(?: tight| small)?"
    r"(?= budget|$))\b[^.,;:!?\n]*:?$"
)
"""What makes an amount that of the thing, or of something that is bought elsewhere."""
_RATE = compiled(
    r"\s*(?:off|discount|cheaper|each|apiece|a piece|per|/|(?:a|an|every) (?:day|week|month|year|head|person|piece|cup|"
    r"night|meal|seat|visit|order)|monthly|yearly|orders?|chairs?|price)\b"
)


def find_caps(text: str) -> list[Found[float]]:
    """Return every amount in US dollars that a text names as the most the work may cost, with its place.

    `costs at most $2`, `budget of $5`, `max $1`, `for under 3 dollars`. Not `our $89 chair`, `lunch boxes under $5`,
    `$5 off`, `a media budget of $5,000`.
    """
    line = folded(text)
    found: list[Found[float]] = []
    for one in find_money(text):
        before, after = line[: one.start].rstrip(), line[one.end :]
        lead = _BEFORE.search(before)
        behind = None if lead else _BEHIND.match(after)
        if (lead or behind) and not _PRICED.search(before) and not _RATE.match(after):
            start = lead.end() - len(lead[0].lstrip(_MARKS)) if lead else one.start
            found.append(Found(one.value, start, one.end + (behind.end() if behind else 0)))
    return found


def find_unsure(text: str) -> list[Found[str]]:
    """Return every bounded amount that may be a cap or a price, or has another currency: `under $5`."""
    line, sure = folded(text), find_caps(text)
    dollars = [one for one in find_money(text) if not any(cap.start <= one.start < cap.end for cap in sure)]
    found: list[Found[str]] = []
    for start, end in [*((one.start, one.end) for one in dollars), *(match.span() for match in _OTHER.finditer(line))]:
        before = line[:start].rstrip()
        lead = _BOUND.search(before) or _BEFORE.search(before)
        if lead and not _PRICED.search(before) and not _RATE.match(line[end:]):
            start = lead.end() - len(lead[0].lstrip(_MARKS))
            found.append(Found(text[start:end], start, end))
    return found


def read_cap(text: str) -> float | None:
    """Return the most in US dollars that a text allows the work to cost: the least of what it names."""
    return min((one.value for one in find_caps(text)), default=None)


_ASKS = (
    r"(?:^|[.!?\n]\s*)(?:(?:hi|hello|please|now|can you|could you|make|create|produce|plan|and|draft|generate|do|"
    r"prepare|write|design|build|give|get|start|launch|i|we|want|need|would like|'d like|to have|us|me)\b,?\s*)*"
)


def find_several(text: str, nouns: Collection[str]) -> Found[int] | None:
    """Return how many a text asks for where that is more than one, with the place: `5 product videos`.

    Only what is asked for counts, at the beginning of a sentence: not `a film about our course of 12 videos`.
    """
    kinds = "|".join(map(re.escape, sorted(nouns, key=len, reverse=True)))
    pattern = (
        rf"{_ASKS}(?P<count>(?P<number>{NUMBER}|a couple of|a dozen|several)\s+(?:\d+[\s-]?(?:s|seconds?|minutes?)\s+)?"
        rf"(?:(?!(?:s|secs?|seconds?|mins?|minutes?|of|"
        rf"for|and|with)\b)[\w:-]+\s+){{0,4}}?(?:{kinds})s)\b"
    )
    match = re.search(pattern, folded(text)) if kinds else None
    if match is None:
        return None
    count = int({"a couple of": 2, "a dozen": 12, "several": 2}.get(match["number"]) or number(match["number"]))
    return Found(count, *match.span("count")) if count > 1 else None
