"""The plain wishes for a picture or a clip in a message that asks for more than one thing, and what else it asks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from darkroom.domain.asking import NOUNS, Aim, aim, refused
from darkroom.domain.kinds import Kind
from darkroom.domain.patterns import compiled
from darkroom.domain.reading import find_resolutions, folded, without
from darkroom.domain.request import RESOLUTIONS
from darkroom.llm.handoff_change import ABOVE, changes_a_clip, changes_a_picture, moves, pictures, plain_change
from darkroom.llm.handoff_facts import facts_of
from darkroom.llm.handoff_media import Wanted, mentions, wanted
from darkroom.services.intents import read

_CLIPS = NOUNS[Kind.VIDEO]
_NOUNS = rf"{NOUNS[Kind.IMAGE]}|{_CLIPS}"
_NUMBERS = r"an?|one|two|three|four|five|\d{1,2}"
_JOINT = compiled(
    r"(?:\s*[,;]|[.!?]+(?=\s)|\s+(?=(?:and|then|plus|as well as|together with|along with)\b))\s*"
    r"(?:(?:and|then|also|plus|as well as|together with|along with|afterwards|after that,?|please|just)\s+)*"
    r"(?=(?:(?:make|create|generate|render|produce|draw|paint|sketch|write|draft|post|send|share|publish|animate|"
    r"turn|bring|"
    r"tell|give|add|translate|describe|explain|suggest|put|use|say|list|show|upload|email|plan|find|rate)\b)"
    rf"|(?:(?:{_NUMBERS}) (?:[\w-]+ ){{0,3}}(?:{_NOUNS})\b)"
    r"|(?:or )?(?:how (?:much|long|many)|what (?:is|does|do|would|will)|(?:is|does|do|will|can|would) (?:it|that|"
    r"this|you|i))\b)"
)
_ANIMATE = compiled(
    r"(?:animate|bring|turn|make) (?:it|them|this|that|the (?:picture|image|photo|drawing|painting|result))\b"
    rf"(?: to life| move| into an? (?:[\w-]+ )?(?:{_CLIPS}))?"
    rf"|(?:make|create|generate|render) an? (?:[\w-]+ )?(?:{_CLIPS}) (?:of|from|out of|with) (?:it|them|this|that)"
)
_LATER = compiled(
    rf"(?:make|create|generate|draw|paint|sketch|render) (?:me )?an? (?:[\w-]+ ){{0,2}}?(?P<noun>{_NOUNS}) "
    r"(?:of|for|to|with|showing)(?: go with)? (?:it|them|this|that)"
)
_MOVING = compiled(r"^(?:please )?animate (?=(?:an?|some|the) )", re.I)
_UNLIKE = compiled(r",? (?:and |but )?(?:not an?|don't|do not|never) [^,;.]+$")
_BAR = rf"(?:and |or |but )?(?:no|without(?: any)?) (?:(?!(?:{_NOUNS})\b)[\w'-]+ ?){{1,4}}"
_BARS = compiled(
    rf"(?:please )?(?P<bars>{_BAR}(?:, ?{_BAR})*)(?:,? please)?[,:;.-]\s*(?:please )?(?!(?:no|without)\b)", re.I
)
_GREETING = compiled(r"good (?:morning|evening|afternoon|day)\b[,.!]*\s*")
_TITLED = compiled(
    rf"((?:please )?(?:make|create|generate|draw|render|paint) (?:me )?an? (?:{_NOUNS}))[.!] (?=\S)", re.I
)
"""What is to be seen stands in a sentence of its own."""
_SOFT = compiled(
    r"(?:(?:would you mind|how about|what about)(?: (?:making|creating|generating|drawing|painting|having))?|"
    r"let's|let us|"
    r"why (?:not|don't (?:you|we))|i(?: was|'m| am) (?:just )?wondering if you (?:can|could|would)|"
    r"(?:(?:can|could|would) you )?(?:please )?help (?:me|us)(?: to)?|(?:i|we)(?:'d like| would like| want| need) to)"
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
    bars, rest = barred(task)
    if bars and (found := wishes(rest)).made:
        return Wishes(tuple(without_seeing(one, bars) for one in found.made), found.others)
    no = refused(task)
    if aim(task) is not Aim.WORK:
        return Wishes()
    text = _ordered(re.sub(r"\s+", " ", no.rest).strip())
    made: list[Wanted] = []
    others: list[str] = []
    for part in _parts(text):
        if made and made[-1].kind is Kind.VIDEO and "images" in made[-1].arguments and (said := moves(part)):
            made[-1] = replace(made[-1], arguments={**made[-1].arguments, "prompt": said}, notes=())
            continue
        call = _wish(part, made[-1] if made else None, others)
        if call is None:
            others.append(part)
        elif call.kind not in no.kinds:
            made.append(call)
    if made:
        return Wishes(tuple(made), tuple(others))
    change = _change(text)
    return Wishes((change,)) if change is not None and change.kind not in no.kinds else Wishes()


def barred(task: str) -> tuple[str, str]:
    """Return what is not to be seen, where a message begins with that, and the message behind it."""
    text = re.sub(r"\s+", " ", task).strip()
    match = _BARS.match(folded(text))
    if match is None:
        return "", text
    bars = text[match.start("bars") : match.end("bars")].strip(" ,")
    return f"{bars[0].lower()}{bars[1:]}", text[match.end() :]


def without_seeing(call: Wanted, bars: str) -> Wanted:
    """Return a call whose prompt says what is not to be seen; one that waits for its prompt stays as it is."""
    if not bars or "prompt" not in call.arguments:
        return call
    return replace(call, arguments={**call.arguments, "prompt": f"{call.arguments['prompt']}, {bars}"})


def _ordered(text: str) -> str:
    """Return a message as the order that it stands for."""
    for lead in (_GREETING, _SOFT):
        match = lead.match(folded(text))
        text = text[match.end() :] if match else text
    return _TITLED.sub(r"\1: ", text)


def _change(text: str) -> Wanted | None:
    """Return the call that changes or animates a picture, whether the message says which (path, address, id) or not."""
    facts = facts_of(None, text, {}, {})
    if changes_a_picture(text) and pictures(facts, text):
        moving = mentions(text, Kind.VIDEO) or re.search(r"\banimate|\bto life\b", folded(text))
        return wanted(Kind.VIDEO if moving else Kind.IMAGE, text, facts)
    kind = Kind.VIDEO if changes_a_clip(text) else plain_change(text)
    return None if kind is None else wanted(kind, text, facts)


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
        return Wanted(Kind.VIDEO, {"prompt": last.arguments["prompt"], "images": [ABOVE]}, missing=("images",))
    if last is None and others and (later := _LATER.fullmatch(folded(part))):
        kind = Kind.VIDEO if re.fullmatch(_CLIPS, later["noun"]) else Kind.IMAGE
        return Wanted(kind, {}, missing=("prompt",))
    if (change := _change(part)) is not None:
        return change
    odd = [one for one in find_resolutions(part) if one.value not in RESOLUTIONS]
    part = without(part, odd)
    notes = tuple(f"{one.value} is no height that is made here; there are {', '.join(RESOLUTIONS)}." for one in odd)
    unlike = _UNLIKE.search(folded(part))
    part, tail = (part[: unlike.start()], part[unlike.start() :]) if unlike else (part, "")
    line = folded(part := re.sub(r"^1 ", "one ", part))
    bare = re.match(rf"(?:{_NOUNS}) (?:of|showing)\b", line) is not None
    counted = re.match(rf"(?:{_NUMBERS}) ", line) is not None
    lead = "make a " if bare else "make " if counted else ""
    intent = read(_MOVING.sub("make an animation of ", f"{lead}{part}"))
    if intent is None:
        return None
    return Wanted(intent.kind, {**intent.arguments, "prompt": f"{intent.arguments['prompt']}{tail}"}, notes)
