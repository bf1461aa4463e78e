"""The calls that would make the pictures and clips of a task, with what each costs as things are configured."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from darkroom.domain.kinds import Kind
from darkroom.domain.patterns import compiled
from darkroom.domain.reading import (
    IMAGE_NOUNS,
    VIDEO_NOUNS,
    find_counts,
    find_durations,
    find_ratios,
    find_resolutions,
    find_sizes,
    folded,
    read_count,
    read_duration,
    read_ratio,
    read_resolution,
    read_size,
    without,
)
from darkroom.domain.request import MAX_COUNT, clip
from darkroom.llm.handoff_change import ABOVE, POLITE, changes_a_clip, changes_a_picture, motion, pictures, placeholders
from darkroom.llm.handoff_facts import Facts, refers
from darkroom.services.intents import COUNTED

TOOLS = {Kind.IMAGE: "generate_image", Kind.VIDEO: "generate_video"}
PROMPT, LONGEST_CLIP = 600, 15
"""Letters of a prompt; seconds of one clip."""
CLIP = "<job or output id of the clip, made here>"
"""Stands for a clip that is to be changed."""
_NOUNS = {Kind.IMAGE: IMAGE_NOUNS, Kind.VIDEO: VIDEO_NOUNS}
_ASKING = compiled(
    r"^(?:(?:hi|hello|hey|ok|okay|and|now|then|also)\b[,.!]?\s*)?"
    r"(?:please\s+|kindly\s+|can you\s+|could you\s+|would you\s+|i need\s+|"
    r"we need\s+|i want\s+|i'd like\s+|i would like\s+|you to\s+|just\s+|to\s+(?=make|create|generate))*"
    r"(?:(?:make|create|generate|render|produce|draw|paint|sketch|show|give|get|have)\s+(?:(?:me|us)\s+)?)?"
    r"(?:an?\s+|the\s+(?=\w+\s+(?:of|for)\b)|some\s+)?"
)
_ITS = r"\b(?:my|our|the|this|that)\s+(?:picture|photo|photograph|image|file|still|frame)"
_PLAIN = compiled(
    r"^(?:(?:short|new|nice|simple|quick)\s+)*(?:images?|pictures?|pics?|videos?|clips?)\s+(?:of|showing)\s+"
)
AMOUNT = compiled(
    r"[\s,;.]*(?:\b(?:inside|within|for|under|below|at most|up to|max(?:imum)?|no more than|less than|"
    r"(?:(?:with|on|in|and) )?(?:(?:an?|my|our|the|total|max(?:imum)?) )*budget(?: of| is|:)?)\s+)*"
    r"(?:\$\s?\d(?:[\d.,]*\d)?|\b\d[\d.,]*\s(?:dollars|usd|cents))"
    r"(?:\s+(?:in total|in all|altogether|all together|at most|max(?:imum)?))?(?!\w)"
)
"""An amount of money, with the words that make a limit of it."""
_LOOSE = compiled(
    r"\?|;|^(?:nobody|we|i|our|my|the|all|now|only|let)\b(?! need| want|'d| would).{0,80}\b(?:is|are|was|were|has|have|"
    r"took|lacks?|own|owns|exists?|looks?|sent|came|made|got|only|create|make)\b"
    r"|\b(?:tell me|how|(?<!in )which|again|redo|regenerate|them|versions? of the|from every side)\b"
    r"|\b(?:for|of|about|from) (?:it|this|that)\b(?! \w)"
)
"""Signs that a task tells a story, asks or points elsewhere rather than saying what is to be seen."""
_BARE = compiled(
    rf"(?:(?:new|short|nice|cool|good|great|quick|product|promo\w*|profile|stock|marketing|social|media|ai|hero|"
    rf"few|some) )*"
    rf"(?:{IMAGE_NOUNS}|{VIDEO_NOUNS})"
)
"""What names a medium and nothing to be seen in it."""
_NEXT = compiled(
    rf",? (?:and|or|plus) (?:an?|the|two|three|some|\d+) (?:[\w-]+ ){{0,4}}(?:{IMAGE_NOUNS}|{VIDEO_NOUNS})\b"
    r"|,? and (?:answer|write|post|send|tell|make|give)\b"
)
_STOP = r"(?:so|before|after|and|i|we|you|to|from|with|without|because|which|that|when|can|in|as)\b"
_FOR = compiled(rf"\b(?:for|of) (?P<what>(?:an?|our) (?!brand\b|client\b)(?:(?!{_STOP})[\w'-]+ ?){{1,6}})")
_FOR_FILM = compiled(
    rf"\b(?:for|of|film|about) (?P<what>(?:an?|our|the) (?:(?!{_STOP})[\w'-]+ ){{1,4}}?"
    rf"(?:{VIDEO_NOUNS}|adverts?|ads?|scenes?|tales?)\b(?: (?:about|of) (?:(?!{_STOP})[\w'-]+ ?){{1,5}})?)"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One call that makes media, before its price is known."""

    kind: Kind
    arguments: dict[str, Any]
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    """Arguments that must be added, or filled where they hold words in <>, before it can do the task."""
    why: str = ""
    """What it does, where that is more than to make what the task asks."""
    basis: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the request takes over from what it refines, for its price."""


def mentions(task: str, kind: Kind) -> bool:
    """Return whether a task speaks of pictures, or of clips."""
    return re.search(rf"\b(?:{_NOUNS[kind]}|{'photography|visuals?' if kind is Kind.IMAGE else 'footage|b-roll'})\b",
                     folded(task)) is not None  # fmt: skip


def subject(task: str, kind: Kind) -> str:
    """Return what is to be seen, in the task's words: without the asking, the number, length and shape."""
    text = re.sub(r"\s+", " ", task).strip()
    for part in (COUNTED, AMOUNT):
        match = part.search(folded(text))
        text = text[: match.start()] + text[match.end() :] if match else text
    found: list[Any] = [*find_ratios(text), *find_sizes(text), *find_counts(text, kind)[:1]]
    if kind is Kind.VIDEO:
        found += [*find_durations(text), *find_resolutions(text)]
    several = bool(find_counts(text, kind))
    text = without(text, found) or text
    for asking in (_ASKING, _PLAIN):
        match = asking.match(folded(text))
        text = text[match.end() if match else 0 :]
    if several:
        text = re.sub(r",? each(?= ?(?:[.,;]|$))", "", text)
        text = re.sub(rf"^((?:[\w-]+ ){{0,3}}?)({_NOUNS[kind]})\b", _singular, text, count=1, flags=re.IGNORECASE)
    return clip(text.strip(" .,:;?!"), PROMPT)


def pictured(task: str, kind: Kind) -> str | None:
    """Return what a picture or clip that a task mentions is to show: `a post with a picture of our terrace`."""
    text = re.sub(r"\s+", " ", task)
    match = re.search(rf"\b(?:{_NOUNS[kind]}) (?:of|showing|with) (?P<seen>[^.;:?!]{{6,}})", folded(text))
    if match is None or "?" in text:
        return None
    seen = text[match.start("seen") : match.end("seen")]
    part = _NEXT.search(folded(seen))
    seen = AMOUNT.sub("", seen[: part.start()] if part else seen)
    return without(seen, [*find_durations(seen), *find_ratios(seen)])


def for_what(task: str, *, film: bool) -> str | None:
    """Return what the work of a task is for: `a mood board for a hotel` gives `a hotel`.

    Args:
        task: What was asked.
        film: Whether it has to be a film, an advert or a scene.
    """
    text = re.sub(r"\s+", " ", task)
    found: list[Any] = [*find_durations(text), *find_ratios(text)]
    text = without(text, found)
    match = _FOR_FILM.search(folded(text)) if film else _FOR.search(folded(text))
    return None if match is None else text[match.start("what") : match.end("what")].strip()


def _singular(match: re.Match[str]) -> str:
    return match[1] + (match[2].removesuffix("s") if not match[2].endswith("sketches") else match[2][:-2])


def wanted(kind: Kind, task: str, facts: Facts, form: str = "{subject}") -> Wanted | None:
    """Return the call that makes what a task asks for; None where it says nothing to be seen.

    Args:
        kind: Picture or clip.
        task: What was asked.
        facts: What is known; its ratio, size, length and pictures are used.
        form: How a prompt is worded, with `{subject}`.
    """
    if kind is Kind.VIDEO and changes_a_clip(task):
        return _recut(task)
    sources, edits = pictures(facts, task), changes_a_picture(task)
    seen, notes = _seen(kind, task, sources) if edits else (subject(task, kind), [])
    if not re.search(r"[^\W\d_]{2}", seen):
        return None
    if not edits:
        seen = form.replace("{subject}", _unnamed(seen, sources, "the picture"))
    arguments: dict[str, Any] = {"prompt": seen, **_shape(task, facts, kind)}
    count = read_count(task, kind) or 1
    if count > 1:
        arguments["n"] = min(count, MAX_COUNT)
    notes += [f"{count} are wanted in all."] if count > MAX_COUNT else []
    if kind is Kind.VIDEO:
        notes += _length(task, facts, arguments)
    loose = refers(task) or (not edits and (_LOOSE.search(folded(task)) or _BARE.fullmatch(folded(seen))))
    if loose:
        del arguments["prompt"]
    if sources:
        arguments["images"] = sources
    elif edits:
        arguments["images"] = placeholders(task)
    missing = (*(["prompt"] if loose else []), *(["images"] if edits and not sources else []))
    return Wanted(kind, arguments, tuple(notes), missing)


def _seen(kind: Kind, task: str, sources: Sequence[str]) -> tuple[str, list[str]]:
    """Return the words for work on a picture: what moves in a clip, or what is changed; and what to say of them."""
    if kind is Kind.IMAGE:
        return _unnamed(clip(POLITE.sub("", task.strip()).rstrip("?").strip(), PROMPT), sources, "the picture"), []
    seen, said = motion(_unnamed(task, sources, "this picture"))
    return clip(seen, PROMPT), [] if said else ["The task names no motion, so this one is quiet: say what moves."]


def _unnamed(words: str, sources: Sequence[str], name: str) -> str:
    """Return words with a name in place of the paths and addresses of pictures."""
    for source in sources:
        words = re.sub(rf"(?:{_ITS}\s+)?{re.escape(source)}", name, words, flags=re.I)
    return words


def _recut(task: str) -> Wanted:
    """Return the call that changes a clip, which has to be one that was made here."""
    said = clip(POLITE.sub("", task.strip()).strip(" .?!"), PROMPT)
    why = "Draws a draft anew with the change, once refine holds its id. Any other clip is changed in an editor, or "
    return Wanted(Kind.VIDEO, {"prompt": said, "refine": CLIP}, (), ("refine",), f"{why}described anew.")


def dressed(call: Wanted, facts: Facts) -> Wanted:
    """Return a call with the shape, length and pictures that the context knows, where its own words say none."""
    told = _shape("", facts, call.kind)
    notes = _length("", facts, told) if call.kind is Kind.VIDEO else []
    lacks = "images" in call.missing and call.arguments["images"] != [ABOVE]
    sources = pictures(facts, "") if lacks or "images" not in call.arguments else []
    if sources:
        call = replace(call, arguments={**call.arguments, "images": sources}, missing=())
    return replace(call, arguments={**told, **call.arguments}, notes=(*call.notes, *notes))


def _shape(task: str, facts: Facts, kind: Kind) -> dict[str, Any]:
    """Return size or ratio, and a clip's resolution, as the task or the context say."""
    told = " ".join(str(facts.get(name) or "") for name in ("size", "ratio", "aspect_ratio", "placement", "delivery"))
    size, ratio = read_size(task) or read_size(told), read_ratio(task) or read_ratio(told)
    shape: dict[str, Any] = {}
    if kind is Kind.IMAGE and size:
        shape["size"] = size
    elif ratio:
        shape["aspect_ratio"] = ratio
    if kind is Kind.VIDEO and (resolution := read_resolution(task) or read_resolution(told)):
        shape["resolution"] = resolution
    return shape


def _length(task: str, facts: Facts, arguments: dict[str, Any]) -> list[str]:
    """Set the length; return what to say where it is more than one clip."""
    told = facts.get("duration", "length")
    seconds = read_duration(task) or (read_duration(told) if isinstance(told, str) else told)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0.5:
        return []
    if seconds > LONGEST_CLIP:
        return [f"{seconds:g} s is more than one clip: this makes one, cut the whole into shots of 4 to 8 s each."]
    arguments["duration"] = int(seconds) if seconds == int(seconds) else seconds
    return []
