"""What a message wants done at all: work, an answer, or a hand on work that goes on; and what it wants not made.

English alone is read; whatever is not understood counts as work.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from darkroom.domain.kinds import Kind
from darkroom.domain.patterns import compiled
from darkroom.domain.reading import IMAGE_NOUNS, VIDEO_NOUNS, folded


class Aim(StrEnum):
    """What a message is after."""

    WORK = "work"
    QUESTION = "question"
    CONTROL = "control"
    """To stop, repeat or look at work that goes on."""
    DELETE = "delete"
    """To have what was made thrown away."""


LONGEST = 1_200
"""Letters that are searched for what is not written for anybody."""
MORE_NOUNS = {Kind.IMAGE: "artworks?|collages?|logos?|photography|visuals?", Kind.VIDEO: "footage|b-roll"}
NOUNS = {
    Kind.IMAGE: rf"{IMAGE_NOUNS}|{MORE_NOUNS[Kind.IMAGE]}",
    Kind.VIDEO: rf"{VIDEO_NOUNS}|{MORE_NOUNS[Kind.VIDEO]}",
}
"""What pictures and clips are called."""
_MEDIA = rf"(?:{NOUNS[Kind.IMAGE]}|{NOUNS[Kind.VIDEO]})"
_PRODUCE = (
    r"(?:mak(?:e|ing)|creat(?:e|ing)|(?:generate|generating)|render(?:ing)?|produc(?:e|ing)|draw(?:ing)?|paint(?:ing)?|"
    r"sketch(?:ing)?|film(?:ing)?|shoot(?:ing)?|design(?:ing)?|animat(?:e|ing)|start(?:ing)?)"
)
_DO = (
    rf"(?:{_PRODUCE}|do(?= (?:me|us|an?|it|this|that|another|one|some|\d))|give|get|build|write|draft|plan|"
    rf"prepare|compose|translate|edit|cut|remove|replace|change|add|turn|"
    r"convert|transform|bring|record|post|send|put|use|retouch|upscale|enhance|sharpen|brighten|blur|erase|resize|"
    r"rotate|fix|repair|swap|restore|extend|crop|illustrate|colou?r|run|redo|redraw|tell|show|help|"
    r"summari[sz]e|describe|improve|shorten|check|keep)"
)
_LEAD = (
    r"(?:(?:hi|hello|hey|ok|okay|so|now|well|and|but|also|then|great|thanks|thank you|sorry|please|kindly|just|"
    r"go ahead and|just (?:wondering|curious)|quick question)\b(?: there| darkroom)?[,:!-]*\s*)*"
)
_SPECIFIC = (
    r"(?:me|us|him|her|them|it|this|that|these|those|an?|one|the|my|our|your|some|another|\d+|two|three|four|[\"'])"
)
_POLITE = (
    rf"(?:can|could|would|will) (?:you|u)(?: please| kindly| just| quickly| maybe| perhaps| possibly| also)* {_DO}\b"
)
_TELL = (
    r"(?:(?:can|could|would|will) (?:you|u) )?(?:please )?(?:tell|show|explain|let|say|advise|remind)(?: to)?(?: "
    r"me| us)?"
    r"(?: know)? (?:wh(?:at|ich|o|y|en|ere|ether)|how|if|about)\b"
)
_LOOK_UP = (
    r"(?:(?:can|could|would|will) (?:you|u) )?(?:please )?(?:tell|show|give|send|list|name|compare|check|find|explain|"
    rf"estimate|calculate|quote)(?: me| us)?(?:(?! {_MEDIA} (?:of|showing|with)\b) [\w'-]+){{0,4}}? "
    r"(?:models?|providers?|prices?|pricing|costs?|rates|estimates?|offers|limits|formats|sizes|resolutions|credits|"
    r"spending|status)\b"
)
_WH = (
    r"(?:what|which|who|whom|whose|why|when|where|how)(?:'s|'re|'d)?\b(?! (?:not|about an?|about one|about some|"
    r"about \w+ing|"
    r"don't (?:you|we))\b)"
)
_I_ASK = (
    r"(?:i|we) (?:want to|need to|would like to|'d like to|wonder|am wondering|don't)(?: know| understand| "
    r"see)? (?:wh|how|if)"
)
_ASKS = compiled(
    rf"{_LEAD}(?:(?:i|we) (?:only |just )?(?:want|need|would like|'d like) to (?:know|understand|learn)\b|{_TELL}|"
    rf"{_LOOK_UP}|{_WH}|{_I_ASK}|estimate\b|"
    r"(?:is|are|was|were|am|does|did|has|can|could|would|will|should|shall|may|might|must|isn't|aren't|can't|couldn't|"
    r"won't|doesn't|didn't|do|don't|have|had) (?:i|you|u|we|they|he|she|it|there|darkroom|any\w*)\b|"
    r"(?:is|are|was|were|does|did|has|should|must|can|could|will|would) (?:this|that|these|those|the|an?|some\w*|"
    r"my|our|your)\b"
    r"|do (?:these|those|they)\b)"
)
_MARKED = compiled(
    rf"{_LEAD}(?!(?:{_DO}|how|what|why|let's|let us)\b)(?:(?!\b(?:want|need|make|create|draw|generate)\b)[^?])*\?"
)
_WANTS = compiled(
    rf"{_LEAD}(?:(?!{_TELL}|{_LOOK_UP})(?:{_POLITE} {_SPECIFIC}|{_DO}\b(?! sure\b))|"
    rf"would you mind \w+ing\b|(?:can|could|may) (?:i|we) (?:please )?(?:get|have|see) {_SPECIFIC}\b|"
    r"(?:i|we)(?:'d| would)? (?:only |just )?(?:want|need|like|love)\b(?! (?:to )?(?:know|understand|learn|see "
    r"(?:wh|how|if)))|"
    rf"(?:let's|let us) {_DO}\b|why (?:not|don't (?:you|we)) {_DO}\b|(?:how|what) about (?:\w+ing|an?|one|some)\b|"
    r"i(?: was|'m| am) wondering if you)"
)
_CONTROL = compiled(
    r"(?:please )?(?:(?:stop|cancel|abort|halt|kill|retry|redo|restart|rerun|check(?: on)?)"
    rf"(?: (?:the|my|our|all|that|this|it|everything|every|last|current|running|now|please|generating|making|rendering|"
    rf"work|jobs?|runs?|tasks?|generations?|(?:job|run)_\w+|{_MEDIA}))*(?: of .*)?)"
)
_KEPT = (
    r"(?:all|every|each|everything|my|our|the|your|these|those|this|that|last|latest|old|older|previous|earlier|generated|"
    rf"unused|failed|of|it|them|{_MEDIA}|files?|outputs?|results?|drafts?|jobs?|runs?|sessions?|conversations?|history|data|"
    r"(?:job|out|run|ses)_\w+)"
)
_MADE_THEN = (
    r"(?: (?:of|that|which|i|we|you|made|created|generated|before|since|older|from (?:yesterday|today|this|last|"
    r"darkroom|the (?:disk|server|folder)))\b.*)?"
)
_DELETE = compiled(
    r"(?:please )?(?:(?:can|could|would|will) you )?(?:please )?(?:"
    rf"(?:delete|wipe|purge|trash|get rid of|throw away|throw out)(?: {_KEPT})+{_MADE_THEN}|"
    rf"(?:remove|erase|clear)(?= (?:all|every|everything|my|our)\b)(?!.*\blogos?\b)(?: {_KEPT})+)"
)
_FALSE = r"(?:fake|false|made[ -]up|fabricated|invented|bogus|phony|sham|untrue)"
_OPINIONS = r"(?:reviews?|testimonials?|ratings?|endorsements?|customer (?:quotes|stories|voices|opinions))"
_DECEIVES = compiled(
    r"\b(?:write|make|create|generate|invent|post|give|produce|draft|come up with|fabricate|need|want|fake)\b"
    rf"(?:(?!\b(?:about|against|on|to|how|for|from|policy|not|no|never|without)\b)[^.;!?]){{0,40}}\b{_FALSE}\b[\w\s,-]{{0,30}}\b{_OPINIONS}\b|"
    rf"\b(?:invent|fabricate|make up|fake) (?:me |us |some |a few |\w+ |five-star |positive |good ){{0,3}}{_OPINIONS}\b"
)
"""Opinions of people whom there are not, which are to be written; only what says so itself."""
_HARMLESS = compiled(r"\b(?:don't|do not|never|not|no|without|spot|detect|report|reply|answer|remove|against|about)\b")
_CLAUSES = compiled(
    r"[.!;:]+\s+|(?<=\?)\s*|,\s*|\s+-\s+|\s+(?:and then|then|but)\s+|\s+and\s+(?=(?:please )?(?:then )?[a-z]+ )"
)
_NEGATED = compiled(
    r"(?<!why )\b(?:(?:i|we) )?(?:don't|do not|dont|never|(?:there is |there's )?no need (?:to|for)|(?:can|could|"
    r"would) you not|"
    r"(?:must|should|may) not|mustn't|shouldn't|avoid|stop(?= \w+ing\b)|without|instead of|rather than|"
    r"(?:^|(?<=, )|(?<=but )|(?<=and )|(?<=- )|(?<=please ))not|"
    r"(?<!have )(?<!has )(?<!had )(?<!got )(?<!are )(?<!is )no)\b"
    r"(?! (?:you(?! dare)|we|they)\b)(?P<span>[^.,;:!?]*?)(?=[.,;:!?]|\b(?:but|just|instead|only)\b|\s-\s|$)"
)
_SMALL = (
    r"(?:\b(?:an?|any|more|to|me|us|yet|please|you|dare|i|want|need|wish|see|have|get|use|send|show|even|really|"
    r"actual)\b\s*)*"
)
_KNOWN = r"(?:the|this|that|these|those|my|our|your|its|how|what|why|where|which|in|of|on|for|with|from|to)\b"
"""What leads to a thing that there is: `I don't like the picture` refuses none."""
_NOT_MADE = compiled(
    rf"\s*{_SMALL}(?:{_PRODUCE})\b(?P<what>.*?)(?=\b(?:of|showing|about|for|with|in)\b|$)|"
    rf"\s*{_SMALL}(?:(?!{_KNOWN})[\w-]+ ){{0,2}}?(?P<nouns>(?:{_MEDIA})(?: (?:or|and|nor) (?:{_MEDIA}))*)\b"
)
_NOTHING = compiled(
    r"\s*(?:(?:me|us|any|a|single)\s+)*(?:(?:anything|something|nothing|stuff|media|thing)\b(?! else| more| "
    r"other)|yet\b|now\b|$).*"
)


_TOLD = compiled(
    rf"{_LEAD}(?:describe|explain|tell|say|write|draft|plan|list|outline|summari[sz]e|discuss|review|talk)\b"
)
"""How a clause begins that names media without wanting any made."""
_LEFT = compiled(r"^(?:[\s,.;:!-]|\b(?:please|but|just)\b)+|(?:[\s,;:-]|\b(?:but|and)\b)+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refused:
    """What a message wants not made, and the message without saying so."""

    kinds: frozenset[Kind]
    rest: str


def aim(text: str) -> Aim:
    """Return what a message is after; a message that asks and wants something made too is work."""
    line = re.sub(r"\s+", " ", folded(text)).strip()
    if _CONTROL.fullmatch(line.rstrip(" .!")):
        return Aim.CONTROL
    if _DELETE.fullmatch(line.rstrip(" .!?")):
        return Aim.DELETE
    clauses = [clause.strip() for clause in _CLAUSES.split(line) if clause.strip()]
    asks = [_ASKS.match(clause) is not None or _MARKED.fullmatch(clause) is not None for clause in clauses]
    wants = [_wants(clause) for clause in clauses]
    return Aim.QUESTION if any(asks) and not any(wants) else Aim.WORK


def deceives(text: str) -> bool:
    """Return whether a message plainly wants reviews, ratings or the like of people whom there are not."""
    match = _DECEIVES.search(line := re.sub(r"\s+", " ", folded(text[:LONGEST])))
    return match is not None and _HARMLESS.search(line[: match.end()]) is None


def _wants(clause: str) -> bool:
    """Return whether a clause asks for work: an order, a wish, or a polite question with a certain thing in it."""
    return _WANTS.match(clause) is not None


def refused(text: str) -> Refused:
    """Return the kinds that a message wants not made: `don't make a video`, `no pictures please`.

    What is named elsewhere in the message too is not refused: `not a photo but a painting` wants a picture.
    """
    line, rest = folded(text), text
    said: set[Kind] = set()
    for match in reversed(list(_NEGATED.finditer(line))):
        kinds = _not_made(match["span"])
        if kinds:
            said |= kinds
            rest = f"{rest[: match.start()].rstrip(' ,;-')}{rest[match.end() :]}"
    kept = " | ".join(clause for clause in _CLAUSES.split(folded(rest)) if not _TOLD.match(clause))
    kinds = frozenset(kind for kind in said if re.search(rf"\b(?:{NOUNS[kind]})\b", kept) is None)
    return Refused(kinds, _LEFT.sub("", rest) if said else text)


def _not_made(span: str) -> frozenset[Kind]:
    """Return the kinds that the words behind a `not` name; both for `don't make anything`."""
    match = _NOT_MADE.match(span)
    if match is None:
        return frozenset()
    words = match["nouns"] or match["what"]
    named = frozenset(kind for kind, nouns in NOUNS.items() if re.search(rf"\b(?:{nouns})\b", words))
    return named or (frozenset(NOUNS) if _NOTHING.fullmatch(words) else frozenset())
