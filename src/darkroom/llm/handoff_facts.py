"""What is known of a piece of work, from its context, its session and its own words; and what an agent lacks."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from darkroom.catalog.agents import Agent
from darkroom.domain.kinds import Kind
from darkroom.domain.names import plain
from darkroom.domain.patterns import compiled
from darkroom.domain.reading import find_counts, folded, read_duration, read_ratio
from darkroom.domain.request import clip
from darkroom.net.redact import MASK, redact
from darkroom.services.ranking import words_of

VALUE, ALL, KEY = 600, 3_000, 60
"""Letters that are shown of one known value, of all, and of a key."""
TOLD, PASTED, QUOTED = 4, 600, 25
"""Words from which a task says what is wanted; letters from which it holds material; letters of a quotation."""
_SECRET = compiled(r"(?:apikey|token|secret|password|credential|accesskey|authorization)s?$")
_AMOUNT = compiled(
    r"[$€£]\s?\d[\d.,]*\s?(?:k|m)?\b|\b\d[\d.,]*\s?k?\s?(?:dollars|euros?|eur|usd|gbp|pounds|credits|cents)\b"
)
_DAY = compiled(
    r"\b(?:(?:by |before |until |on |in |this |next |last )*(?:today|tonight|tomorrow|noon|(?:mon|tues|wednes|"
    r"thurs|fri|satur|sun)day|january|february|april|june|july|august|september|october|november|december|christmas|"
    r"easter|black friday|new year|(?:this|next|last) (?:week|month|quarter|year|spring|summer|autumn|winter)|20\d\d)|"
    r"(?:on |by |in )(?:march|may)|\d{1,2}(?:st|nd|rd|th)?(?: of)? (?:march|may)|q[1-4]|the \d{1,2}(?:st|nd|rd|th)|"
    r"(?:in|within|closes in) (?:\d+|[a-z]+) (?:days|weeks|months)|first \d+ days)\b(?: \d{1,2}\b| 20\d\d\b)*"
)
_PLACE = compiled(
    r"\b(?:instagram|facebook|tiktok|linkedin|youtube|pinterest|snapchat|whatsapp|slack|sms|email|newsletter|homepage|"
    r"web ?site|web ?shop|shop|landing page|blog|header|banner|billboard|poster|flyer|leaflet|brochure|book cover|"
    r"cover|thumbnail|packaging|story|stories|reels?|shop window|radio|tv|cinema|wallpaper|app|loading screen)\b"
)
_TONGUE = compiled(
    r"\b(?:english|german|french|spanish|italian|portuguese|dutch|polish|ukrainian|turkish|arabic|hebrew|hindi|japanese|"
    r"korean|chinese|swedish|danish|norwegian|finnish|greek|czech|romanian|russian|vietnamese|thai|british|american|"
    r"germany|france|spain|italy|portugal|mexico|brazil|canada|japan|china|india|austria|switzerland|poland|"
    r"england|scotland|ireland|netherlands|belgium|sweden|denmark|norway|finland|australia|saudi arabia|"
    r"united states|united kingdom|california|european union)\b"
)
_PEOPLE = compiled(
    r"\b(?:aimed at|targeting|target(?:ed)? (?:group|audience)(?: is|:)?|audience(?: is|:)|written for|meant for) "
    r"(?P<said>[^.,;:!?]{3,60})|\bfor (?P<who>(?:[\w'-]+ ){0,2}(?:people|women|men|parents|mothers|"
    r"fathers|children|kids|students|pupils|teenagers|seniors|investors|visitors|guests|dentists|doctors|patients|teachers|nurses|farmers|"
    r"runners|cyclists|hikers|founders|developers|lawyers|buyers|shoppers|tourists|families|teams|staff|owners)\b)"
)
_QUOTE = compiled(rf'"[^"]{{{QUOTED},}}"|(?<!\w)\'[^\']{{{QUOTED},}}\'(?!\w)')
_LABEL = compiled(r"(?:^|[\n;,.]\s*|[-*]\s+)(?P<key>[A-Za-z][A-Za-z _]{1,30})\s*:\s*(?P<value>[^\n;]{2,400})")
_ELSEWHERE = compiled(
    r"\b(?:the|our|my|this|that|these|all|each|every|per|accepted|finished|agreed|approved) (?:[\w-]+ ){0,2}"
    r"(?:storyboards?|scripts?|shots?|shot list|scenes?|takes?|clips?|footage)\b|^(?:shots? |.{0,40}\btakes per)"
)
IN_TASK = ("as the task says", "one shot, as the task says", "as it stands in the task")
"""What is said of an input that the task itself holds."""
_STATED = ("brief", "request", "goal", "topic", "subject", "question", "message", "news", "purpose", "change", "work")
"""Inputs that a task in a sentence already states."""
_MATERIAL = (
    "document", "material", "content", "messages", "current_brief", "rfp_text", "results", "data", "source",
    "deliverable", "steps_today", "contract", "agreement",
)  # fmt: skip
"""Inputs that are pasted rather than said; a quotation is no document."""


REMEMBERED = (
    "audience", "brand", "business", "client", "company", "customer", "industry", "language", "locale", "market",
    "markets", "organisation", "organization", "product", "products", "sector", "service", "services", "territory",
    "tone", "voice", "website",
)  # fmt: skip
"""What stays true for the next task of a conversation; shapes, lengths, days and sums are of one task."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known, whole; what of it was taken from the task; and what is shown of it."""

    known: Mapping[str, JsonValue]
    heard: tuple[str, ...]
    shown: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    left: str | None = None
    """What was left out of what is shown, in words."""

    def get(self, *names: str) -> JsonValue:
        """Return the first known value of these keys, in any spelling."""
        wanted = [plain(name) for name in names]
        found = {plain(key): value for key, value in self.known.items()}
        return next((found[name] for name in wanted if name in found), None)


def facts_of(
    agent: Agent | None, task: str, context: Mapping[str, JsonValue], answers: Mapping[str, JsonValue]
) -> Facts:
    """Return what is known: the context first, then what the task plainly says, then the session's answers."""
    heard = _heard(agent, task, {plain(key) for key, value in context.items() if _is_said(value)})
    newer = {plain(key) for key, value in heard.items() if value not in IN_TASK}
    answers = {key: value for key, value in answers.items() if plain(key) not in newer}
    known: dict[str, JsonValue] = {}
    for source in (context, answers):
        taken = {plain(key) for key in known}
        new = {key: value for key, value in source.items() if _is_said(value) and plain(key) not in taken}
        known |= {key: _safe(key, value) for key, value in new.items()}
    taken = {plain(key) for key in known}
    heard = {key: value for key, value in heard.items() if plain(key) not in taken}
    known |= heard
    shown, left = _shown(known)
    return Facts(known, tuple(heard), shown, left)


def lasting(context: Mapping[str, JsonValue], brief: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return what a conversation remembers of a task: of its context, and of what its brief read from its words."""
    read = {key: brief["context"][key] for key in brief.get("from_task", ()) if key in brief.get("context", {})}
    said = {**{key: value for key, value in read.items() if value not in IN_TASK}, **context}
    short = {key: value for key, value in said.items() if isinstance(value, str) and 0 < len(value.strip()) <= VALUE}
    return {key: redact(value) for key, value in short.items() if plain(key) in REMEMBERED}


def questions(agent: Agent, facts: Facts) -> list[dict[str, JsonValue]]:
    """Return the agent's inputs that are not known, those first that it cannot do without."""
    missing = [item for item in agent.inputs if facts.get(item.name) is None]
    return [
        {"key": item.name, "question": _question(item.name, item.why), "required": item.required}
        for item in sorted(missing, key=lambda item: not item.required)
    ]


def refers(task: str) -> bool:
    """Return whether a task speaks of shots, a script or a storyboard that it does not hold."""
    return _ELSEWHERE.search(folded(task)) is not None


def _question(name: str, why: str) -> str:
    return f"{name.replace('_', ' ').capitalize()}? {why[:1].upper()}{why[1:].rstrip('.')}."


def _is_said(value: JsonValue) -> bool:
    return value not in (None, "", [], {}) and not (isinstance(value, str) and not value.strip())


def _safe(key: str, value: JsonValue) -> JsonValue:
    """Return a value without credentials, whatever names them."""
    if _SECRET.search(plain(key)):
        return MASK
    match value:
        case str():
            return redact(value)
        case dict():
            return {name: _safe(name, part) for name, part in value.items()}
        case list():
            return [_safe("", part) for part in value]
        case _:
            return value


def _shown(known: Mapping[str, JsonValue]) -> tuple[dict[str, JsonValue], str | None]:
    """Return what fits of what is known, each value and all of them bounded, and what was left out."""
    shown: dict[str, JsonValue] = {}
    out: list[str] = []
    room = ALL
    for key, value in known.items():
        words = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        limit = min(VALUE, room)
        if limit < min(len(words), 40):
            out.append(clip(key, KEY))
            continue
        more = len(words) - limit
        shown[clip(key, KEY)] = (
            value if more <= 0 else f"{words[:limit].rstrip()} … ({more:,} more letters: read them where you gave them)"
        )
        room -= min(len(words), limit)
    if not out:
        return shown, None
    names = ", ".join(out[:10]) + (f" and {len(out) - 10} more" if len(out) > 10 else "")
    return shown, f"Not repeated here, since it is long; use what you gave: {names}."


def _heard(agent: Agent | None, task: str, taken: set[str]) -> dict[str, JsonValue]:
    """Return what the task says of the agent's inputs, by their names."""
    labels = {plain(match["key"]): redact(match["value"].strip(" ,.")) for match in _LABEL.finditer(task)}
    line = folded(task)
    found: dict[str, JsonValue] = {}
    for item in agent.inputs if agent else ():
        if plain(item.name) in taken:
            continue
        value = labels.get(plain(item.name)) or (_READERS[item.name](line) if item.name in _READERS else None)
        if value:
            found[item.name] = value
    return found


def _words(pattern: re.Pattern[str]) -> Callable[[str], JsonValue]:
    """Return a reader that gives what a pattern finds, each once."""

    def read(line: str) -> JsonValue:
        found = [next((part for part in match.groups() if part), match[0]).strip() for match in pattern.finditer(line)]
        return ", ".join(list(dict.fromkeys(found))[:5])

    return read


def _length(line: str) -> JsonValue:
    seconds = read_duration(line)
    return None if seconds is None else f"{seconds:g} s"


def _minutes(line: str) -> JsonValue:
    seconds = read_duration(line)
    return None if seconds is None else round(seconds / 60, 1)


def _stated(line: str) -> JsonValue:
    return IN_TASK[0] if len(words_of(line)) >= TOLD else None


def _shot(line: str) -> JsonValue:
    return IN_TASK[1] if words_of(line) and not refers(line) else None


def _pasted(line: str) -> JsonValue:
    return IN_TASK[2] if len(line) >= PASTED or "\n\n" in line else None


def _quoted(line: str) -> JsonValue:
    return IN_TASK[2] if _QUOTE.search(line) else _pasted(line)


def _counted(line: str) -> JsonValue:
    counts = {kind: sum(one.value for one in find_counts(line, kind)) for kind in (Kind.IMAGE, Kind.VIDEO)}
    return ", ".join(f"{count} {kind.value}s" for kind, count in counts.items() if count)


_READERS: Mapping[str, Callable[[str], JsonValue]] = {
    "ratio": read_ratio,
    "length": _length,
    "minutes": _minutes,
    "output": _counted,
    "deliverables": _counted,
    **dict.fromkeys(("budget", "total", "max_cost", "board_budget"), _words(_AMOUNT)),
    **dict.fromkeys(("deadline", "dates", "release_date", "timing", "period", "date_place"), _words(_DAY)),
    **dict.fromkeys(("placement", "channel", "destination", "uses", "format"), _words(_PLACE)),
    **dict.fromkeys(("language", "locale", "market", "markets", "territory"), _words(_TONGUE)),
    **dict.fromkeys(("audience", "viewer", "reader", "guests", "buyer"), _words(_PEOPLE)),
    **dict.fromkeys(_STATED, _stated),
    "storyboard": _shot,
    **dict.fromkeys(_MATERIAL, _pasted),
    **dict.fromkeys(("text", "prompt", "script", "samples"), _quoted),
}
"""How a task is searched for inputs, by their names."""
