"""What the words of a task say of a workflow's inputs; pure, and silent where they say nothing."""

import re
from collections.abc import Callable

from pydantic import JsonValue

from darkroom.domain.reading import read_duration, read_ratio, read_resolution

_MEDIA = (
    r"videos?|films?|clips?|movies?|ads?|adverts?|spots?|commercials?|reels?|teasers?|trailers?|campaigns?|kits?|"
    r"launch(?:es)?|images?|pictures?|posts?|storyboards?|scripts?|identity|brands?|branding|brand kits?|"
    r"launch campaigns?"
)
_PLATFORMS = {
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
_PLATFORM = re.compile(rf"\b({'|'.join(_PLATFORMS)})\b", re.I)
_NO_THING = re.compile(
    rf"^(?:(?:our|my|the|a|an|your)\s+)?(?:(?:{'|'.join(_PLATFORMS)}|reels?|shorts|stories|social media|website|web|"
    rf"tv|us|me|you|it|them|free|now|today|tomorrow|example|sale|for|of|about|in|on|\d[\w:.-]*)\b|"
    rf"(?:[\w'-]+\s+)?(?:{_MEDIA})\b)",
    re.I,
)
"""What may follow a small word and is not what the work is about."""
_LEADS = (
    r"(?:about|promoting|promotes?|advertising|advertises?|showing|shows|featuring|introducing|presenting|selling)",
    r"(?:launch|launching|relaunch|relaunching)(?:\s+of)?",
    r"of",
    r"for",
    rf"(?:{_MEDIA})\s*:",
)
"""What stands before the thing, the surest first."""
_STOP = (
    r"(?=\s*(?:[.,;:!?\n()\u2013\u2014]|\s-\s|$)|\s+(?:for|on|with|in|at|to|that|which|who|so|using|by|lasting|as|from|under|"
    r"within|aimed|targeting|targeted|called|named|and\s+(?:make|write|post|then|draft|plan|create|show|give)|please|"
    r"next|this|tomorrow|today|before|after|costing)\b)"
)
_PHRASE = rf"\s+([^\n.,;:!?()]{{2,120}}?){_STOP}"
_ARTICLES = re.compile(
    r"^(?:(?:our|my|the|a|an|your|this|these|those|some|brand[- ]new|new|upcoming|latest|pairs? of)\s+)+", re.I
)
_LENGTH = re.compile(r"\b\d+(?:[.,]\d+)?\s*-?\s*(?:s|sec|secs|seconds?|min|mins|minutes?)\b|\b\d+\s*:\s*\d+\b", re.I)
_FILLING = re.compile(
    rf"\b(?:please|can|could|you|i|we|need|want|would|like|make|create|produce|plan|draft|write|design|build|generate|do|"
    rf"prepare|and|a|an|the|our|my|us|me|new|for|of|to|in|on|with|short|quick|product|promo|promotional|vertical|square|"
    rf"portrait|landscape|horizontal|full|complete|social|marketing|{_MEDIA}|{'|'.join(_PLATFORMS)})\b",
    re.I,
)
_NAMED = re.compile(
    r"""\b(?:called|named|brand name|name is|under the name)\s+"""
    r"""(?:["'\u201c\u2018]([^"'\u201d\u2019]{1,60})["'\u201d\u2019]|((?:[A-Z0-9][\w&'-]*)(?:\s+[A-Z0-9][\w&'-]*){0,3}))"""
)
_QUOTED = re.compile(
    r"""(?:(?<!\w)'|["\u201c\u201e\u2018])([^"'\u201d\u201c\u2019]{1,60})(?:["\u201d\u201c\u2019]|'(?!\w))"""
)
_APPOSED = re.compile(r"^\s*,\s*(?:a|an|the|our|my)\s+([^\n.,;:!?()]{2,120}?)" + _STOP, re.I)
_STYLE = re.compile(
    r"\b(?:style|look|mood|tone)\s*:\s*([^\n.;]{2,80})|\bin an? ([^\n.,;]{2,50}?) (?:style|look|mood)\b", re.I
)
_AUDIENCE = re.compile(r"\b(?:aimed at|targeting|targeted at|audience\s*:|target group\s*:)" + _PHRASE, re.I)


def read_subject(text: str) -> str | None:
    """Return the thing that a task is about, in its own words and without articles; None where none is named.

    `a 15 s product video for blue running shoes` is about `blue running shoes`; `a brand kit for Lumen, a sleep app`
    about a `sleep app`.
    """
    found = _subject(text)
    if found is not None:
        phrase, end = found
        apposed = _APPOSED.match(text[end:])
        return _bare(apposed[1] if apposed else phrase)
    rest = _FILLING.sub(" ", _LENGTH.sub(" ", _PLATFORM.sub(" ", re.split(r"[.;:!?\n]", text)[0])))
    words = re.sub(r"\s+", " ", re.sub(r"[^\w\s'&-]|(?<!\w)-|-(?!\w)", " ", rest)).strip()
    return words or None


def _subject(text: str) -> tuple[str, int] | None:
    for lead in _LEADS:
        for match in re.finditer(rf"(?<!\w){lead}(?={_PHRASE})", text, re.I):
            phrase = match[1].strip()
            if not _NO_THING.match(phrase) and _bare(phrase):
                return phrase, match.end(1)
    return None


def _bare(phrase: str) -> str:
    text = _LENGTH.sub(" ", phrase)
    for named in (_NAMED, _QUOTED):
        text = named.sub(" ", text) if _stripped(named.sub(" ", text)) else text
    return _stripped(text)


def _stripped(text: str) -> str:
    words = re.sub(r"\s+", " ", text).strip(" '\"\u201c\u201d")
    return _ARTICLES.sub("", f"{words} ").strip(" '\"\u201c\u201d")


def read_audience(text: str) -> str | None:
    """Return for whom a thing is: what follows `aimed at`, `targeting`, or a `for` behind the thing itself."""
    match = _AUDIENCE.search(text)
    if match:
        return _bare(match[1]) or None
    found = _subject(text)
    behind = re.match(rf"\s+for(?={_PHRASE})", text[found[1] :], re.I) if found else None
    if behind is None or _NO_THING.match(behind[1].strip()):
        return None
    return _bare(behind[1]) or None


def read_name(text: str) -> str | None:
    """Return the name that a task gives to a thing: behind `called`, in quotes, or before `, a ...`."""
    match = _NAMED.search(text)
    if match:
        return (match[1] or match[2]).strip()
    quoted = _QUOTED.search(text)
    if quoted:
        return quoted[1].strip()
    found = _subject(text)
    if found is None:
        return None
    apposed = _APPOSED.match(text[found[1] :]) is not None
    words = re.findall(r"\b[A-Z][\w&'-]*", _bare(found[0]))
    return " ".join(words) if words and (apposed or " ".join(words) == _bare(found[0])) else None


def read_platform(text: str) -> str | None:
    """Return the platform that a task names, as it spells itself."""
    match = _PLATFORM.search(text)
    return _PLATFORMS[match[1].lower()] if match else None


def read_style(text: str) -> str | None:
    """Return the style, look or mood that a task asks for."""
    match = _STYLE.search(text)
    return (match[1] or match[2]).strip() if match else None


READERS: dict[str, Callable[[str], JsonValue]] = {
    "audience": read_audience,
    "duration": read_duration,
    "name": read_name,
    "platform": read_platform,
    "ratio": read_ratio,
    "resolution": read_resolution,
    "style": read_style,
    "subject": read_subject,
}
"""What an input of a workflow may name as its reader."""
