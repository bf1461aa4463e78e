"""What the words of a task say of days, offers, last words, places and manner; pure, and silent where they say nothing.

Each reader also has a `find_`, which gives the place of what it found: what is read once is no part of anything else.
"""

import re
from collections.abc import Iterable
from typing import Any, cast

from darkroom.domain.patterns import compiled
from darkroom.domain.reading import Found

MOST = 2_000
"""Letters of a task that are read: what is made is said at the beginning, and the rest is material."""
PLATFORMS = {
    "instagram": "Instagram",
    "insta": "Instagram",
    "tiktok": "TikTok",
    "tik tok": "TikTok",
    "youtube": "YouTube",
    "linkedin": "LinkedIn",
    "facebook": "Facebook",
    "pinterest": "Pinterest",
    "snapchat": "Snapchat",
}
_PLATFORM = compiled(rf"\b({'|'.join(PLATFORMS)})\b", re.I)
QUOTED = compiled(
    r"""(?:(?<!\w)'|["\u201c\u201e\u2018\u00ab])([^"'\u201d\u201c\u2019\u00bb]{1,60})(?:["\u201d\u201c\u2019\u00bb]|'(?!\w))"""
)


def opening(text: str) -> str:
    """Return the part of a task that is read, with single spaces and line breaks."""
    return re.sub(r" ?\n[ \n]*", "\n", re.sub(r"[^\S\n]+", " ", text[: 2 * MOST]))[:MOST]


# ---------------------------------------------------------------------- days

_MONTHS = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)"
)
_WEEKDAYS = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_YEAR = r"(?:19|20)\d\d"
_DAY = (
    rf"(?:{_YEAR}-\d\d-\d\d|\d{{1,2}}\.\d{{1,2}}\.{_YEAR}|\d{{1,2}}/\d{{1,2}}/{_YEAR}|"
    rf"\d{{1,2}}(?:st|nd|rd|th|\.)?\s+(?:of\s+)?{_MONTHS}\b(?:,?\s+{_YEAR}\b)?|"
    rf"{_MONTHS}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?\b(?!\s*%|:)(?:,?\s+{_YEAR}\b)?|{_MONTHS}\s+{_YEAR}\b|"
    rf"(?:early|mid|late)[ -]{_MONTHS}\b|(?:(?:early|mid|late)[ -])?(?:spring|summer|autumn|fall|winter)\s+{_YEAR}\b|"
    rf"q[1-4]\s+{_YEAR}\b|(?:next|this)\s+(?:week|month|spring|summer|autumn|fall|winter|year|{_WEEKDAYS})\b|"
    r"tomorrow|black friday|cyber monday)"
)
_DATE = compiled(
    rf"(?P<before>\b(?:until|till|to|by|before|since|through|ends?|ending|after|valid)\s+(?:on\s+)?)?"
    rf"(?P<on>\b(?:on|from|in|for|as of|starting)\s+(?:the\s+)?)?(?<![\w-])(?P<day>{_DAY}|(?<=in ){_MONTHS}\b|"
    rf"(?<=on ){_WEEKDAYS}\b)(?![\w-])",
    re.I,
)
_LAUNCHED = compiled(
    r"\b(?:launch\w*|released?|releasing|releases|opens?|opening|available|out|starts?|starting|drops?)\b[^.!?]*$", re.I
)


def find_dates(text: str) -> list[Found[str]]:
    """Return every day, month or season in a text on which something begins, as it is said, with its place."""
    return [Found(match["day"], *match.span()) for match in _DATE.finditer(text) if match["before"] is None]


def read_date(text: str) -> str | None:
    """Return the day that a task names, in its own words: `2027-02-01`, `3 March 2027`, `next Friday`.

    Of several it is the first that follows a word such as `launch`; None where none does.
    """
    text = opening(text)
    found = find_dates(text)
    if len({one.value for one in found}) > 1:
        found = [one for one in found if _LAUNCHED.search(text[: one.start])]
    return found[0].value if found else None


# ---------------------------------------------------------------------- offers

_AMOUNT = (
    r"(?:\d{1,3}(?:[.,]\d+)?\s?(?:%|percent|per cent)|[$\u20ac\u00a3]\s?\d+(?:[.,]\d\d)?|"
    r"\d+\s?(?:eur|euros?|usd|dollars|gbp|pounds)\b)"
)
_OFFER = compiled(
    rf"(?:{_AMOUNT}\s+(?:off|discount|cheaper|less|reduction)"
    r"(?:\s+(?:(?:on\s+)?(?:all|every|selected)\s+[a-z][\w-]*|everything))?|"
    rf"(?:an?\s+)?discount\s+of\s+{_AMOUNT}|half[- ]price|"
    r"buy (?:one|1),?\s*get (?:one|1)(?:\s+free)?|two for (?:the price of )?one|2 for 1|"
    r"free\s+(?:shipping|delivery|trial|returns?|samples?|gift|engraving|month|coffee|refills?|installation)|"
    r"(?:\d+|one|two|three)\s+(?:days?|weeks?|months?)\s+(?:for\s+)?free|early[- ]bird\s+\w+|"
    r"(?:the\s+)?first\s+(?:\d+|hundred|ten|twenty|fifty)\s+[\w-]+\s+(?:get|receive|pay|save)\s+[^.,;!?()\n]+)"
    r"(?:\s+(?:(?:in|for|during|within|until|till|on|with)\s+(?:the\s+)?(?:first|code|orders?|every|all|pre-?orders?|"
    r"launch|opening|new|early|members?|students?)[^.,;!?()\n]*|until\s+[^.,;!?()\n]+))?",
    re.I,
)
_SAID_OFFER = compiled(r"\b(?:offer|launch offer|opening offer|deal)\s*(?:is\b|:)\s*(?P<said>[^.;\n]{3,120})", re.I)


def find_offers(text: str) -> list[Found[str]]:
    """Return every offer in a text, in its own words, with its place."""
    said = [Found(match["said"].strip(), *match.span()) for match in _SAID_OFFER.finditer(text)]
    if said:
        return said
    return [Found(match[0].strip(), *match.span()) for match in _OFFER.finditer(text)]


def read_offer(text: str) -> str | None:
    """Return what buyers get besides: `20 % off in the first week`; several are joined by `and`."""
    found = [one.value for one in find_offers(opening(text))]
    return " and ".join(dict.fromkeys(found))[:120] or None


# ---------------------------------------------------------------------- last words

_ENDING = (
    r"(?:ending|ends?|closing|closes?|finish(?:es|ing)?|conclud(?:es|ing)?)(?:\s+it)?\s+(?:with|on)\s+"
    r"(?P<words>(?:the\s+)?(?:words?|line|slogan|phrase|text|call to action|cta|message|claim|tagline)\s*:?\s+)?"
)
_LABEL = (
    r"(?:call to action|cta|closing line|closing words|last words|last line|end line|final line|final words)"
    r"\s*(?:is\b|are\b|:|=)?\s*"
)
_TO_DO = (
    r"(?:buy|shop|order|try|see|get|join|discover|visit|book|start|call|learn|find|sign|subscribe|download|come|taste|"
    r"ask|pre-?order|reserve|save|meet|go|make|feel|stay|let|bring|take|give|follow|read|watch|say|do)\b"
)
_QUOTES = "\"'\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
_CLOSING = compiled(
    rf"[,;]?\s*\b(?:and\s+|with\s+(?:the\s+|an?\s+)?)?(?:{_ENDING}|(?P<label>{_LABEL}))"
    rf"(?:[\"\u201c\u201e\u2018\u00ab'](?P<quoted>[^{_QUOTES}\n]{{1,60}}(?:['\u2019](?=\w)[^{_QUOTES}\n]{{0,40}})?)[{_QUOTES}]|"
    rf"(?P<plain>[^.,;\n{_QUOTES}]{{2,60}}?)(?=\s*(?:[.,;\n]|$)|\s+(?:for|on)\s+(?:{'|'.join(PLATFORMS)}|tv)\b))",
    re.I,
)


def find_closings(text: str) -> list[Found[str]]:
    """Return the last words that a text asks for, with their places; what is to be seen last is none."""
    found: list[Found[str]] = []
    for match in _CLOSING.finditer(text):
        said = (match["quoted"] or match["plain"]).strip()
        plain = match["quoted"] is None and not (match["words"] or match["label"])
        if not (plain and not re.match(_TO_DO, said, re.I)):
            found.append(Found(said, *match.span()))
    return found


def read_closing(text: str) -> str | None:
    """Return the words with which something is to end: behind `ending with`, `call to action:` and the like."""
    found = find_closings(opening(text))
    return found[0].value if found else None


# ---------------------------------------------------------------------- places


def find_platforms(text: str) -> list[Found[str]]:
    """Return every platform that a text names, with its place."""
    return [Found(PLATFORMS[match[1].lower()], *match.span()) for match in _PLATFORM.finditer(text)]


def read_platform(text: str) -> str | None:
    """Return the platform that a task names first, as it spells itself."""
    found = find_platforms(opening(text))
    return found[0].value if found else None


# ---------------------------------------------------------------------- language

_ENGLISH = compiled(
    r"the|a|an|of|for|to|and|with|our|my|your|is|it|that|this|we|i|make|create|please|launch|about|by|from|are|"
    r"you|named|called|who|on"
)
_OTHER = compiled(
    r"ein|eine|einen|einem|einer|eines|für|und|mit|der|das|dem|den|zum|zur|"
    r"ist|wir|unser|"  # codespell:ignore ist,unser
    r"unsere|unseren|"
    r"unserer|mache|erstelle|bitte|über|auf|nicht|ich|neue|neuen|neues|vom|beim|sowie|namens|un|une|des|du|"
    r"pour|avec|le|les|la|et|nous|notre|nos|est|sur|créer|crée|faites|fais|qui|s'appelle|el|los|las|para|con|"
    r"una|y|nuestro|nuestra|del|crea|haz|nuevo|nueva|que|il|gli|per|di|della|dello|nostro|nostra|nuovo|nuova|"
    r"che|fai|een|voor|met|het|van|onze|maak|nieuwe|en|uma|com|os|nosso|nossa|do|da|novo|nova|crie|faça|de|es|"
    r"mach|macht|schön|sie|er|sich|dein|ihr|ce|cette|belle|hacer|fare|produktvideo|werbefilm|werbevideo|"
    r"imagefilm|werbespot|kampagne|marke|markenauftritt|vidéo|vídeo|película|campagne|campaña|campagna|"
    r"lancement|lanzamiento|lancio|ett|och|för|till|med|vår|og|til|vores"
)
_FOREIGN_SCRIPT = compiled(r"[\u0370-\u1fff\u3040-\u9fff\uac00-\ud7af]")


def is_english(text: str) -> bool:
    """Return whether the small words of a text are English ones, or none of another language that we know."""
    text = opening(text)
    letters = re.findall(r"[^\W\d_]", text)
    if sum(1 for letter in letters if _FOREIGN_SCRIPT.match(letter)) * 3 > len(letters):
        return False
    words = cast("list[str]", re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", _unquoted(text).lower()))
    other = sum(_OTHER.fullmatch(word) is not None for word in words)
    return other == 0 or sum(_ENGLISH.fullmatch(word) is not None for word in words) > other


def _unquoted(text: str) -> str:
    """Return a text without quotes and names, which may be of any language."""
    return re.sub(
        r"(?<=\S\s)\b[A-Z]\w+(?:\s+(?:(?:de|la|le|du|del|di|van|von|y|e)\s+){1,2}[A-Z]\w+)+", " ", QUOTED.sub(" ", text)
    )


def blanked(text: str, found: Iterable[Found[Any]]) -> str:
    """Return a text with a comma in the place of what was read from it."""
    for one in sorted(found, key=lambda one: one.start, reverse=True):
        text = f"{text[: one.start]} , {text[one.end :]}"
    return text
