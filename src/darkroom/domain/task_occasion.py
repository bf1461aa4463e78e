"""What a task marks: a product, the opening of a place, a sale, an event or news; a product where it is in doubt."""

import re
from dataclasses import dataclass
from enum import StrEnum

from darkroom.domain.patterns import compiled
from darkroom.domain.task_facts import opening


class Occasion(StrEnum):
    """What is told to people."""

    PRODUCT = "product"
    OPENING = "opening"
    """A place opens its doors."""
    SALE = "sale"
    EVENT = "event"
    NEWS = "news"
    """A merger, an anniversary, a new name: nothing that is bought."""


@dataclass(frozen=True, slots=True)
class Marked:
    """An occasion, the thing where that is the occasion itself, and the text with only the thing in it."""

    kind: Occasion
    thing: str | None
    rest: str


_ARTICLE = r"(?:our|my|the|an?|your)"
_END = (
    r"(?=\s*(?:[.,;:!?\n()]|\s-\s|$)|\s+(?:on|in|at|near|from|by|to|this|next|tomorrow|today|with|where|which|that|"
    r"who)\b)"
)
_NEWS = compiled(
    rf"(?P<thing>\b(?:[\w-]+\s+)??(?:merger|acquisition|partnership|collaboration|rebrand(?:ing)?|takeover|anniversary|"
    rf"appointment|relocation)(?:\s+(?:of|with|between|by)\s+[^.,;:!?\n()]{{2,80}}?)?){_END}",
    re.I,
)
_NEWS_LEAD = compiled(
    rf"(?:^|[.!?\n]\s*|\b(?:announc\w+|launch\w*|tell|about|campaign for|for|of|celebrat\w+|mark\w*)\s+)(?:that\s+)?"
    rf"(?:{_ARTICLE}\s+)?(?:[\w-]+\s+)?$",
    re.I,
)
_EVENTS = (
    r"(?:event|concert|festival|conference|workshop|webinar|meet-?up|exhibition|fair|gala|open day|open house|tasting|"
    r"party|fundraiser|hackathon|retreat|flea market|night market|vernissage|summit|jam session|jazz night|quiz night)"
)
_EVENT = compiled(
    rf"(?:^|[.!?\n]\s*|\b(?:of|for|about|announc\w+|launch|launching|promote|promoting|host\w*|hold\w*|{_ARTICLE})\s+)"
    rf"(?:{_ARTICLE}\s+)?(?P<thing>(?:(?!{_ARTICLE}\b|(?:for|of|to|launch(?! (?:event|party))|promote|announce)\b)"
    r"[\w'-]+\s+){0,3}?"
    rf"{_EVENTS}(?:\s+(?:for|of|about|on)\s+(?:{_ARTICLE}\s+)?[a-z][^.,;:!?\n()\d]{{2,60}}?)?){_END}",
    re.I,
)
_SALE = compiled(
    r"\b(?:(?:black friday|cyber monday|christmas|easter|summer|winter|spring|autumn|fall|january|flash|clearance|"
    r"end[- ]of[- ](?:season|year)|mid[- ]season|big|annual|closing[- ]down|anniversary|garage|"
    rf"(?<!for )(?<!on )(?<!point of )(?:{_ARTICLE}))\s+)+(?:sale|clearance)\b(?!s)(?:\s+(?:of|on|at|for|in))?",
    re.I,
)
_OPENING = compiled(
    r"\b(?:(?:(?:launch|announce|celebrate|plan|for|of|about)\s+)?(?:(?:the|our|a)\s+)?(?:grand\s+)?(?:re-?)?opening"
    r"\s+of\s+|"
    rf"(?<!that )(?<!which )(?<!who )(?:(?:we|i)(?:['\u2019](?:re|m)|\s+are|\s+am|\s+will)?\s+)?(?:re-?)?"
    rf"open(?:ing)?\s+(?={_ARTICLE}\s))",
    re.I,
)
_OPENS = compiled(
    r"\bgrand (?:re-?)?opening\b|(?<!that )(?<!which )(?<!who )\b(?:re-?)?opens (?=on |in |this |next |tomorrow)", re.I
)


def occasion_in(text: str) -> Marked:
    """Return what a text marks; `rest` is the text in which an opening or a sale gives way to its place or goods."""
    news = next((one for one in _NEWS.finditer(text) if _NEWS_LEAD.search(text[: one.start()])), None)
    if news:
        return Marked(Occasion.NEWS, _bare(news["thing"]), text)
    opens = _OPENING.search(text)
    if opens:
        return Marked(Occasion.OPENING, None, f"{text[: opens.start()]} launch of {text[opens.end() :]}")
    if _OPENS.search(text):
        return Marked(Occasion.OPENING, None, text)
    sale = _SALE.search(text)
    if sale:
        return Marked(Occasion.SALE, None, f"{text[: sale.start()]} for {text[sale.end() :]}")
    event = _EVENT.search(text)
    if event:
        return Marked(Occasion.EVENT, _bare(event["thing"]), text)
    return Marked(Occasion.PRODUCT, None, text)


def read_occasion(text: str) -> str | None:
    """Return what a task marks, where that is no product: `opening`, `sale`, `event`, `news`."""
    kind = occasion_in(opening(text)).kind
    return None if kind is Occasion.PRODUCT else kind.value


def _bare(thing: str) -> str:
    return re.sub(rf"^(?:{_ARTICLE}|upcoming|new)\s+", "", thing.strip(), flags=re.I)
