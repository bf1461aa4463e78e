"""A message that goes on from what was made or said before: `make it blue`, `same but at night`, `now animate it`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from darkroom.domain.asking import NOUNS
from darkroom.domain.job import Job, State
from darkroom.domain.kinds import Kind
from darkroom.domain.patterns import compiled
from darkroom.domain.reading import find_durations, folded, read_duration, read_ratio, read_resolution, without
from darkroom.domain.request import clip
from darkroom.llm.handoff_change import motion
from darkroom.llm.handoff_media import LONGEST_CLIP, Wanted

LONGEST = 200
"""Letters of a message above which it stands for itself."""
FEW = 6
"""Words behind `make it` that may be a change where nothing is known to have been made."""
ANY = "<job or output id of what is meant>"
"""Stands for what was made before, where nothing is known of it."""
_LEAD = compiled(
    r"(?:(?:ok|okay|now|and|but|great|nice|cool|good|perfect|thanks|thank you|hmm|well|actually|please|then|also|so|"
    r"just|can you|could you|would you|will you|let's|i want (?:you )?to|i'd like (?:you )?to|we need to)\b[,.!:]*\s*)+"
)
_TAIL = compiled(r"[\s,]*\b(?:please|thanks|thank you|now|instead)$")
_MEDIA = rf"(?:{NOUNS[Kind.IMAGE]}|{NOUNS[Kind.VIDEO]})"
_IT = (
    rf"(?:it|him|her|them|(?:the|this|that|these|those) (?:last |same |previous )?(?:ones?|{_MEDIA})|(?:this|that)"
    r"(?= (?:look|more|less|in|at|on|with|without|into|a bit|all|\w{2,}er)\b|$))"
)
_HOW = (
    r"(?:(?:\s*[,:-]\s*(?:but )?|\s(?:but|except)\s|\s(?=(?:only|just|in|at|as|on|with|without)\b))(?:only |just )?"
    r"(?P<how>.+))?"
)
_SAME = compiled(rf"(?:(?:do |make )?(?:exactly )?the |do |make )?same(?: again| thing| one| {_MEDIA})?{_HOW}")
_MAKE = compiled(
    rf"(?P<verb>make|turn|render|paint|draw|redo|do) (?P<it>{_IT})(?: all| look| a bit| into)? "
    r"(?P<how>(?!(?:of|that|which|who|from|i|we)\b).+)"
)
_DO = compiled(
    rf"(?P<verb>crop|rotate|flip|mirror|zoom (?:in|out)(?: on)?|brighten|darken|lighten|blur|sharpen|colou?r|recolou?r|"
    rf"enlarge|upscale|put|place|move|set|show|change|give) (?P<it>{_IT})\b(?P<how>.*)"
)
_ANIMATE = compiled(
    rf"(?:animate {_IT}|bring {_IT} to life|make {_IT} (?:move|come alive)|(?:turn|make|convert) {_IT} (?:in)?to an? "
    rf"(?:[\w-]+ ){{0,3}}?(?:{NOUNS[Kind.VIDEO]})|make an? (?:[\w-]+ ){{0,3}}?(?:{NOUNS[Kind.VIDEO]}) "
    rf"(?:of|from|out of) {_IT})(?P<more>.*)"
)
_ANOTHER = compiled(
    r"(?:(?:make |give me |try |show me )?(?:another|one more|a different)(?: one| version| variant| variation| try|"
    rf" take)?|more like (?:it|this|that)|(?:do |make |try |draw )?(?:it )?(?:once more|again)){_HOW}"
)
_CHANGE = compiled(
    r"(?:add|remove|lose|erase|replace|swap|change|increase|decrease|reduce|tone down|zoom|use|more|less|fewer)\b .+|"
    r"(?:in|at|as|on|only|with|without|no) (?:[\w'-]+ ?){1,5}|"
    r"(?:(?:a (?:bit|little|lot)|much|slightly|even) )?(?:bigger|larger|smaller|brighter|darker|lighter|warmer|colder|"
    r"cooler|softer|sharper|closer|wider|narrower|taller|shorter|longer|slower|faster|calmer|wilder|cleaner|simpler|richer|"
    r"younger|older|happier|sadder|nicer|prettier|better|bolder|rounder|thinner|thicker|higher|lower)|"
    r"vertical|square|upright|horizontal|widescreen|black and white"
)
"""What is plainly a change only where something was just made."""
_NEW = compiled(rf"\b(?:an?|another|one|two|three|four|some|\d+) (?:[\w-]+ ){{0,3}}?{_MEDIA}\b(?: of\b|$)")
_WORDS = compiled(
    r"\b(?:captions?|music|voice\w*|sounds?|subtitles?|hashtags?|e-?mails?|posts?|texts?|slogans?|headlines?|titles?|prices?|"
    r"costs?|budget|cheap\w*|words|sentences|paragraphs?|tone|polite|formal|friendly|campaigns?|plans?|scripts?|story|"
    r"articles?|blog|poems?|lists?|tables?|decks?|slides|presentations?|newsletters?)\b"
)
"""What no picture is changed by."""
_LENGTH = compiled(r"\b(?:shorter|longer)\b")
_GONE = frozenset({State.FAILED, State.CANCELLED})
_PICTURE: dict[str, Any] = {"images": ["picture"]}
_KEPT = ("aspect_ratio", "duration", "resolution", "audio")


@dataclass(frozen=True, slots=True)
class Follow:
    """What is to become of what was made before."""

    how: str
    """The change in the user's words; empty for another one like it."""
    job: Job | None = None
    """What it is of; None where nothing that was made is known, or it is no picture or clip."""
    kind: Kind | None = None
    animates: bool = False
    words: bool = False
    """Whether it can only be about a text."""
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])


def follow_up(task: str, made: Sequence[Job] = ()) -> Follow | None:
    """Return what a message asks of what was made before; None where it stands for itself.

    Args:
        task: The message.
        made: The jobs of its conversation, newest first.
    """
    text = re.sub(r"\s+", " ", task).strip(" .!?")
    lead = _LEAD.match(folded(text))
    text = text[lead.end() if lead else 0 :]
    tail = _TAIL.search(folded(text))
    text = text[: tail.start()] if tail else text
    line, jobs = folded(text), [job for job in made if job.state not in _GONE]
    if not line or len(line) > LONGEST:
        return None
    if match := _ANIMATE.fullmatch(line):
        source = next((job for job in jobs if job.kind is Kind.IMAGE), None)
        return Follow(f"animate this picture{text[match.start('more') :]}", source, kind=Kind.VIDEO, animates=True)
    how = _how(text, line, near=bool(jobs))
    if how is None:
        return None
    kind = _named(line)
    job = next((one for one in jobs if kind in (None, one.kind)), None)
    still = job is not None and job.kind is Kind.IMAGE and _LENGTH.search(line) is not None
    if _WORDS.search(line) or still:
        return Follow(how, words=True)
    return Follow(how, job, kind=kind or (job.kind if job else None), arguments=_arguments(how, job))


def _how(text: str, line: str, *, near: bool) -> str | None:
    """Return the change that a message asks for, in its words; empty for none, None where it asks for none."""
    if (match := _ANOTHER.fullmatch(line)) and near:
        return text[match.start("how") :] if match["how"] else ""
    if match := _SAME.fullmatch(line):
        return text[match.start("how") :] if match["how"] else ""
    match = _MAKE.fullmatch(line)
    if match and (near or len(match["how"].split()) <= FEW):
        return text[match.start("how") :]
    if _NEW.search(line):
        return None
    if near and (_DO.fullmatch(line) or _CHANGE.fullmatch(line)):
        return text
    return None


def _named(line: str) -> Kind | None:
    """Return the kind that a message names: `make the clip brighter`."""
    found = re.search(
        rf"\b(?:the|this|that|same) (?:last |same |previous )?(?P<noun>{'|'.join(NOUNS.values())})\b", line
    )
    return None if found is None else next(kind for kind, noun in NOUNS.items() if re.fullmatch(noun, found["noun"]))


def _arguments(how: str, job: Job | None) -> dict[str, Any]:
    """Return the shape and length that a change names."""
    said = f"make it {how}"
    found: dict[str, Any] = {"aspect_ratio": read_ratio(said)}
    if job is not None and job.kind is Kind.VIDEO:
        seconds = read_duration(how)
        whole = int(seconds) if seconds and seconds == int(seconds) else seconds
        found |= {"duration": whole if seconds and seconds <= LONGEST_CLIP else None}
        found |= {"resolution": read_resolution(said)}
    return {name: value for name, value in found.items() if value is not None}


def wanted_of(follow: Follow) -> Wanted | None:
    """Return the call that makes the change; None where nothing is known that it is of."""
    job = follow.job
    if job is None:
        return None
    if follow.animates:
        prompt, said = motion(follow.how)
        note = () if said else ("The task names no motion, so this one is quiet: say what moves.",)
        moving = {"prompt": prompt, "refine": job.id}
        return Wanted(Kind.VIDEO, moving, note, basis=_PICTURE, why=f"Moves {shown(job)}.")
    why = f"Changes {shown(job)}, which stays as it is." if follow.how else f"Makes another like {shown(job)}."
    call = Wanted(job.kind, {"prompt": follow.how, **follow.arguments, "refine": job.id}, why=why)
    if job.kind is Kind.VIDEO and not job.lead.replayable:
        call = _anew(call, job)
    elif not job.lead.replayable:
        call = replace(call, basis=_PICTURE)
    else:
        before = {name: value for name in ("provider", "model") if (value := getattr(job.request, name)) is not None}
        call = replace(call, basis=before)
    if len(job.outputs) > 1:
        first = f"{job.id} has {len(job.outputs)} outputs: this changes the first, refine takes another one's id too."
        call = replace(call, notes=(*call.notes, first))
    return _timed(call, job, follow.how)


def _anew(call: Wanted, job: Job) -> Wanted:
    """Return the call that describes a clip anew, since its provider changes none."""
    before = job.request
    kept = {name: value for name in _KEPT if (value := getattr(before, name, None)) is not None}
    how = str(call.arguments["prompt"])
    how = re.sub(r"^(?:and|but) ", "", without(how, find_durations(how)))
    prompt = f"{before.prompt}, {how}".rstrip(", ")
    said = {name: value for name, value in call.arguments.items() if name != "refine"}
    notes = (f"{job.lead.provider} changes no clip, so this describes it anew, in full and at full price.",)
    images = [one.src for one in before.images if not one.src.startswith("input:")]
    if len(images) < len(before.images):
        notes = (*notes, "The clip began with a picture: add it in images.")
    arguments = {**kept, **({"images": images} if images else {}), **said, "prompt": prompt}
    return replace(call, arguments=arguments, notes=notes)


def _timed(call: Wanted, job: Job, how: str) -> Wanted:
    """Return a call that waits for a length where a clip is to be shorter or longer, and nobody says how long."""
    if job.kind is not Kind.VIDEO or not _LENGTH.search(folded(how)) or read_duration(how):
        return call
    had = job.lead.effective.duration
    now = f"; it has {had:g} now" if had else ""
    return replace(call, arguments={**call.arguments, "duration": f"<seconds{now}>"}, missing=("duration",))


def shown(job: Job) -> str:
    """Return what a job made, in a few words."""
    what = "clip" if job.kind is Kind.VIDEO else "picture"
    return f"the {what} of {job.id} ({clip(job.request.prompt, 80)!r})"


def unknown(follow: Follow) -> Wanted | None:
    """Return the call that makes a change once somebody says of what; None where it may be about a text as well."""
    kind = follow.kind or (None if _LENGTH.search(folded(follow.how)) else Kind.IMAGE)
    if follow.words or kind is None:
        return None
    prompt = motion(follow.how)[0] if follow.animates else follow.how
    arguments = {"prompt": prompt, **follow.arguments, "refine": ANY}
    return Wanted(kind, arguments, missing=("refine",), why="Goes on from what was made, once refine holds its id.")
