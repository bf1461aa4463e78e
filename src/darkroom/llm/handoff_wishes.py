"""The plain wishes for a picture or a clip in a message that asks for more than one thing, and what else it asks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from darkroom.domain.asking import NOUNS, Aim, aim, refused
from darkroom.domain.kinds import Kind
from darkroom.domain.reading import find_resolutions, folded, without
from darkroom.domain.request import RESOLUTIONS
from darkroom.llm.handoff_media import Wanted
from darkroom.services.intents import read

_CLIPS = NOUNS[Kind.VIDEO]
_NOUNS = rf"{NOUNS[Kind.IMAGE]}|{_CLIPS}"
_NUMBERS = r"an?|one|two|three|four|five|\d{1,2}"
_JOINT = re.compile(
    r"(?:\s*[,;]|[.!?]+(?=\s)|\s+(?=(?:and|then|plus|as well as|together with|along with)\b))\s*"
    r"(?:(?:and|then|also|plus|as well as|together with|along with|afterwards|after that,?|please|just)\s+)*"
    r"(?=(?:(?:make|create|generate|render|produce|draw|paint|sketch|write|draft|post|send|share|publish|animate|"
    r"turn|bring|"
    r"tell|give|add|translate|describe|explain|suggest|put|use|say|list|show|upload|email|plan|find|rate)\b)"
    rf"|(?:(?:{_NUMBERS}) (?:[\w-]+ ){{0,3}}(?:{_NOUNS})\b))"
)
_ANIMATE = re.compile(
    r"(?:animate|bring|turn|make) (?:it|them|this|that|the (?:picture|image|photo|drawing|painting|result))\b"
    rf"(?: to life| move| into an? (?:[\w-]+ )?(?:{_CLIPS}))?"
    rf"|(?:make|create|generate|render) an? (?:[\w-]+ )?(?:{_CLIPS}) (?:of|from|out of|with) (?:it|them|this|that)"
)
_LATER = re.compile(
    rf"(?:make|create|generate|draw|paint|sketch|render) (?:me )?an? (?:[\w-]+ ){{0,2}}?(?P<noun>{_NOUNS}) "
    r"(?:of|for|to|with|showing)(?: go with)? (?:it|them|this|that)"
)
_UNLIKE = re.compile(r",? (?:and |but )?not an? [^,;.]+$")
_SOFT = re.compile(
    r"(?:(?:would you mind|how about|what about)(?: (?:making|creating|generating|drawing|painting|having))?|"
    r"let's|let us|"
    r"why (?:not|don't (?:you|we))|i(?: was|'m| am) (?:just )?wondering if you (?:can|could|would))"
    r"(?: (?:please|just|make|create|generate))* "
)
"""Ways to ask that are as good as an order."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a message plainly wants made, in its order, and what else it wants, in its words."""

    made: tuple[Wanted, ...] = ()
    others: tuple[str, ...] = ()


def wishes(task: str) -> Wishes:
    """Return the plain wishes of a message; none where what it wants made is not said in words that can be drawn."""
    no = refused(task)
    text = re.sub(r"\s+", " ", no.rest).strip()
    if aim(task) is not Aim.WORK:
        return Wishes()
    soft = _SOFT.match(folded(text))
    text = text[soft.end() :] if soft else text
    made: list[Wanted] = []
    others: list[str] = []
    for part in _parts(text):
        call = _wish(part, made[-1] if made else None, others)
        if call is None:
            others.append(part)
        elif call.kind not in no.kinds:
            made.append(call)
    return Wishes(tuple(made), tuple(others)) if made else Wishes()


def _parts(text: str) -> list[str]:
    """Return the pieces of a message that may stand alone."""
    line, parts, at = folded(text), list[str](), 0
    for match in _JOINT.finditer(line):
        parts.append(text[at : match.start()])
        at = match.end()
    return [part.strip(" ,;.!?") for part in (*parts, text[at:]) if part.strip(" ,;.!?")]


def _wish(part: str, last: Wanted | None, others: Sequence[str]) -> Wanted | None:
    """Return the call that a piece plainly asks for; one of what was made or written before it waits for that."""
    if last is not None and last.kind is Kind.IMAGE and _ANIMATE.fullmatch(folded(part)):
        return Wanted(Kind.VIDEO, {"prompt": last.arguments["prompt"]}, missing=("images",))
    if last is None and others and (later := _LATER.fullmatch(folded(part))):
        kind = Kind.VIDEO if re.fullmatch(_CLIPS, later["noun"]) else Kind.IMAGE
        return Wanted(kind, {}, missing=("prompt",))
    odd = [one for one in find_resolutions(part) if one.value not in RESOLUTIONS]
    part = without(part, odd)
    notes = tuple(f"{one.value} is no height that is made here; there are {', '.join(RESOLUTIONS)}." for one in odd)
    unlike = _UNLIKE.search(folded(part))
    part, tail = (part[: unlike.start()], part[unlike.start() :]) if unlike else (part, "")
    verbless = re.match(rf"(?:{_NUMBERS}) ", folded(part)) is not None
    intent = read(f"make {part}" if verbless else part)
    if intent is None:
        return None
    return Wanted(intent.kind, {**intent.arguments, "prompt": f"{intent.arguments['prompt']}{tail}"}, notes)
