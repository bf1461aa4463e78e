"""What the words of a task say of manner: style, mood, tone of voice; pure, and silent where they say nothing."""

import re

from darkroom.domain.patterns import compiled
from darkroom.domain.reading import FACT, VIDEO_NOUNS, Found
from darkroom.domain.task_facts import opening

_LOOKS = (
    r"black(?:[- ]and[- ]| & )white|b&w|monochrome|sepia|gr[ae]yscale|cinematic|vintage|retro|minimal|minimalist|"
    r"film noir|noir|documentary[- ]style|hand[- ]drawn|watercolou?r|cartoon|anime|claymation|stop[- ]motion|pixel art|"
    r"photo-?realistic|realistic|surreal(?:istic)?|abstract|neon|pastel|grainy|high[- ]contrast|low[- ]key|high[- ]key|"
    r"hand-?held|colou?rful|muted|elegant|luxurious|rustic|futuristic|industrial|gritty|dreamy|dreamlike|dark|bright|"
    r"warm|raw|glossy|flat|psychedelic"
)
_MOODS = (
    r"sad|melanchol(?:ic|y)|happy|joyful|cheerful|funny|humorous|calm|quiet|energetic|upbeat|dramatic|tense|romantic|"
    r"nostalgic|mysterious|scary|spooky|serious|emotional|hopeful|moody|gloomy|co[sz]y|fast-paced|slow|serene|peaceful|"
    r"epic|bold|quirky|whimsical|sensual|festive|inspiring|uplifting|intimate|playful|lonely|wistful|ironic|heartfelt"
)
_WORD = rf"(?:(?:very|slightly|quite|a bit|rather|really) )?(?:{_LOOKS}|{_MOODS})"
_WORDS = rf"{_WORD}(?:(?:\s*,\s*|\s+)(?:(?:and|but|yet)\s+)?{_WORD})*"
_FILM = rf"(?:{VIDEO_NOUNS}|ads?|adverts?|campaigns?|pictures?|visuals?)"
_LABEL = compiled(r"\b(?:style|look|mood)\s*:\s*([^\n.;]{2,80})", re.I)
_IN = compiled(r"\b(?:in|with) an? ([^\n.;]{2,50}?) (?:style|look|mood|feel|atmosphere)\b", re.I)
_LOOSE = compiled(
    rf"(?:^|[,;.(]|\bmake it|\bkeep it|\b(?:be|feels?|looks?)(?=\s))\s*(?:all )?(?:in )?(?P<alone>{_WORDS})"
    rf"(?=\s*(?:[,;.!?)\n]|$|please\b|(?:and\s+)?ending\b|for\b|on\b))"
    rf"|\b(?P<before>{_WORDS})(?=,?\s+(?:{FACT},?\s+)*{_FILM}\b)"
    r"|\bin (?P<in>black(?:[- ]and[- ]| & )white|b&w|monochrome|sepia|stop[- ]motion|watercolou?r|slow motion|"
    r"pastel colou?rs|muted colou?rs)\b",
    re.I,
)
_TONE = compiled(
    r"\b(?:tone(?: of voice)?|voice)\s*(?::|is\b|should be\b)\s*([^\n.;:]{2,80}?)(?=[.;\n]|$|,\s*[\w ]+:)"
    r"|\b(?:in|with) an? ([^\n.;:]{2,50}?) (?:tone of voice|tone|voice)\b"
    r"|\b(?:sounds?|speaks?) ([^\n.,;:]{2,40})(?=[.,;\n]|$)",
    re.I,
)


def find_looks(text: str) -> list[Found[str]]:
    """Return every style, look or mood that a text asks for, with its place, in its order.

    `style: stop motion`, `in a warm, grainy look`, `a sad black and white film`, `..., black and white, sad`.
    """
    found = [Found(match[1].strip(), *match.span()) for match in _LABEL.finditer(text)]
    found += [Found(match[1].strip(), *match.span()) for match in _IN.finditer(text)]
    for match in _LOOSE.finditer(text):
        name = next(name for name in ("alone", "before", "in") if match[name])
        start, end = match.span(name)
        if not any(one.start < end and start < one.end for one in found):
            found.append(Found(match[name], start, end))
    return sorted(found, key=lambda one: one.start)


def find_tones(text: str) -> list[Found[str]]:
    """Return every tone of voice that a text asks for, with its place: `tone: dry`, `in a friendly tone`."""
    found = [(next(part for part in match.groups() if part), match.span()) for match in _TONE.finditer(text)]
    return [Found(said.strip(), *span) for said, span in found]


def find_styles(text: str) -> list[Found[str]]:
    """Return every style, mood and tone in a text, with its place."""
    tones = find_tones(text)
    looks = [
        one for one in find_looks(text) if not any(one.start < tone.end and tone.start < one.end for tone in tones)
    ]
    return sorted([*looks, *tones], key=lambda one: one.start)


def read_look(text: str) -> str | None:
    """Return the style and the mood that a task asks for; several are joined by commas."""
    return _joined(find_looks(opening(text)))


def read_tone(text: str) -> str | None:
    """Return the tone of voice that a task asks for."""
    return _joined(find_tones(opening(text)))


def read_style(text: str) -> str | None:
    """Return style, mood and tone of what is shown, where nothing is spoken of its own."""
    return _joined(find_styles(opening(text)))


def _joined(found: list[Found[str]]) -> str | None:
    return ", ".join(dict.fromkeys(one.value for one in found))[:200] or None
