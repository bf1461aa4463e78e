"""What a task says of what the work may cost, and of how many of it are wanted; a price of the thing is neither."""

import re
from collections.abc import Collection

from darkroom.domain.asking import NOUNS
from darkroom.domain.kinds import Kind
from darkroom.domain.money import MicroUsd
from darkroom.domain.patterns import compiled
from darkroom.domain.reading import NUMBER, SPELLED, Found, find_money, folded, number
from darkroom.domain.task_facts import MOST, QUOTED, opening

_LEAST = (
    r"(?:at most|at the (?:very )?most|(?:no|not) (?:more|higher) than|(?:not|nothing|never) (?:over|above)|"
    r"not (?:exceeding|to exceed)|up to|under|below|less than|cheaper than|within|inside|max(?:imum|\.)?(?: of)?)"
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
                r"\b(?:don't|do not|dont|never|not|without) (?:(?:want|willing|going) )?(?:to )?"
                r"(?:spend(?:ing)?|pay(?:ing)?|cost|exceed(?:ing)?|go(?= (?:over|above|beyond)))"
                r"(?: (?:more than|over|above|beyond))?"
            ),
            rf"\b(?:keep|make|get) (?:(?:{_WORK}|costs?|spending) )?{_LEAST}",
            r"\b(?:spend (?:only|just)|(?:only|just) spend)",
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
_ONE = compiled(
    r"(?<![\w.-])(?<!half )(?<!of )an? (?P<unit>dollar|buck|cent)(?![\w-])"
    r"(?! (?:and\b|bills?|coins?|notes?|signs?|stores?|shops?|tree))"
)
_FIGURE = r"\d(?:[\d.,]*\d)?(?:\s?(?:k|thousand|hundred|million))?"
_UNIT = (
    r"(?:(?:[a-z]+ian |us |hong kong |new zealand )?dollars?|bucks?|cents?|usd|eur(?:os?)?|pounds?|quid|gbp|pence|chf|"
    r"francs?|yen|jpy|yuan|rmb|cny|rupees?|inr|cad|aud|kron(?:a|or|er|e)|sek|nok|dkk|pesos?|zlotys?|pln)"
)
_SIGN = r"(?:[a-z]{1,2}\s?)?[$\u20ac\u00a3\u00a5\u20b9]"
_OTHER = compiled(
    rf"(?<![\w.])(?:{_SIGN}\s?{_FIGURE}|(?:eur|gbp|usd|chf|jpy|cny|cad|aud|inr)\s?{_FIGURE}|"
    rf"{_FIGURE}\s?(?:{_UNIT}|[$\u20ac\u00a3\u00a5\u20b9])|(?!of\b|and\b)"
    rf"(?:(?:{SPELLED}|seventy|eighty|hundred|thousand|half|quarter|couple|few|an?|of|and)[\s-]+){{1,6}}{_UNIT})(?!\w)"
)
"""Amounts of any currency, in figures or words."""
_MARKS = " .,;:!?(\n-"
_BEHIND = compiled(rf"\s*(?:{_MOST}\b|(?:budget|cap|limit)\b)")
_MEDIA = rf"(?:{NOUNS[Kind.IMAGE]}|{NOUNS[Kind.VIDEO]})"
_ON_OTHERS = compiled(
    rf"\s+on (?!(?:it|this|that|them|these|those|all|everything)\b|(?:[\w'-]+ ){{0,3}}?"
    rf"(?:{_MEDIA}|ads?|kit|campaign|run|work|generation)\b)"
)
"""What is spent on something that is bought elsewhere: `$50 on wine`."""
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

    `costs at most $2`, `budget of $5`, `max $1`, `for under 3 dollars`, `keep it under a dollar`. Not `our $89 chair`,
    `lunch boxes under $5`, `$5 off`, `a media budget of $5,000`, nor what is quoted.
    """
    line = folded(text)
    quoted = [match.span() for match in QUOTED.finditer(text)]
    found: list[Found[float]] = []
    for one in _amounts(text, line):
        before, after = line[: one.start].rstrip(), line[one.end :]
        lead = _BEFORE.search(before)
        behind = None if lead else _BEHIND.match(after)
        other = _PRICED.search(before) or _RATE.match(after) or (lead and _ON_OTHERS.match(after))
        inside = any(start <= one.start < end for start, end in quoted)
        if (lead or behind) and not other and not inside:
            start = lead.end() - len(lead[0].lstrip(_MARKS)) if lead else one.start
            found.append(Found(one.value, start, one.end + (behind.end() if behind else 0)))
    return found


def _amounts(text: str, line: str) -> list[Found[float]]:
    """Return the amounts in US dollars, also `a dollar`, which without words of a limit is often a thing."""
    ones = [Found(0.01 if match["unit"] == "cent" else 1.0, *match.span()) for match in _ONE.finditer(line)]
    return sorted([*find_money(text), *ones], key=lambda one: one.start)


def find_unsure(text: str) -> list[Found[str]]:
    """Return every bounded amount that may be a cap or a price, is for one of several, or has another currency.

    `lunch boxes under $5`, `spend at most 5 cents each`, `at most three euros`.
    """
    line, sure = folded(text), find_caps(text)
    read = _amounts(text, line)
    spans = [(one.start, one.end) for one in read]
    spans += [
        match.span()
        for match in _OTHER.finditer(line)
        if not any(one.start < match.end() and match.start() < one.end for one in read)
    ]
    quoted = [match.span() for match in QUOTED.finditer(text)]
    found: list[Found[str]] = []
    for start, end in sorted(spans):
        known = any(cap.start <= start < cap.end for cap in sure)
        if known or any(first <= start < last for first, last in quoted):
            continue
        before = line[:start].rstrip()
        cap = _BEFORE.search(before)
        lead = cap or _BOUND.search(before)
        behind = None if lead else _BEHIND.match(line, end)
        if (lead or behind) and not _PRICED.search(before) and (cap or not _RATE.match(line[end:])):
            start = lead.end() - len(lead[0].lstrip(_MARKS)) if lead else start
            end = behind.end() if behind else end
            found.append(Found(text[start:end], start, end))
    return found


_MENTIONS = compiled(rf"\b{_MEDIA}\b")
_FIRM = compiled(
    r"(?:(?:and|but|please)\s+)*(?:(?:it|this|everything|all(?: of (?:it|this))?|the (?:whole|costs?|total|bill|run|"
    r"work|generation|spend(?:ing)?))\b|costs?\b|costing\b|spend|(?:don't|do not|dont|never|not|without) "
    r"(?:(?:want|willing|going) )?(?:to )?(?:spend|cost|exceed|go)|cap\b|limit\b|"
    r"(?:cost|spending) limit|max(?:imum)?[ _-]cost|"
    r"(?:keep|make|get) (?:it|this|everything|the|costs?|spending)\b|stay)"
)
_LED = compiled(r"(?:^|[.,;:!?(\n-]|\b(?:and|but|please|to|should|must|can|may|you|i|we))\s*$")


def task_caps(text: str) -> list[Found[float]]:
    """Return the caps that a task for an agent names, which may be about anything.

    Where it speaks of no picture and no clip, only words that are plainly about the work count: `it must cost at most
    1 cent`, `spend at most $1`; not `a dinner with a budget of $50`.
    """
    line = folded(text)
    caps = find_caps(text)
    if _MENTIONS.search(line):
        return caps
    return [one for one in caps if _FIRM.match(line, one.start) and _LED.search(line[: one.start])]


def task_unsure(text: str) -> list[Found[str]]:
    """Return the bounded amounts of such a task that are not taken as a cap."""
    sure = task_caps(text)
    loose = [Found(text[one.start : one.end], one.start, one.end) for one in find_caps(text) if one not in sure]
    return sorted([*find_unsure(text), *loose], key=lambda one: one.start)


def read_cap(text: str) -> MicroUsd | None:
    """Return the most that a task for an agent allows it to cost: the least of what it names."""
    return min((MicroUsd(round(one.value * 1_000_000)) for one in task_caps(opening(text))), default=None)


_HANGING = compiled(
    r"(?:[\s,;-]*\b(?:and|but|so|please|i|we|you|it|that|which|want|would|like|have|has|can|may|must|should|to|with|on|for|"
    r"a|an|in)\b|[\s,;-]*'d like)+[\s,;-]*$"
)
_TAIL = compiled(
    r"[\s,]*(?:on (?:it|this|that|them|all of (?:it|them)|everything)|in total|altogether|all in|in all|"
    r"for (?:it|this|all of (?:it|them)|everything|all)|please)\b"
)


def without_caps(text: str) -> str:
    """Return a task without the words of its caps, which are held elsewhere and belong into no prompt."""
    head, rest = opening(text[:MOST]), text[MOST:]
    caps = task_caps(head)
    for one in reversed(caps):
        before, after = head[: one.start], head[one.end :]
        if hanging := _HANGING.search(folded(before)):
            before = before[: hanging.start()]
        while tail := _TAIL.match(folded(after)):
            after = after[tail.end() :]
        before, after = before.rstrip(" ,;-("), after.lstrip(" )")
        if after[:1] in ",;.!?" and (not before or before[-1] in ".!?\n"):
            after = after[1:].lstrip()
        head = f"{before}{'' if after[:1] in ',;.!?:' else ' '}{after}".strip()
    return f"{head}{rest}" if caps else text


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
