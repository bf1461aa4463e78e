"""Whether a message is plainly one request for a picture or a clip, so that it can be made without a language model.

A wrong hit spends money, a miss costs a moment: whatever is in doubt is none.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from darkroom.catalog.routing import DRAFT
from darkroom.domain.asking import Aim, aim
from darkroom.domain.job import Job, State
from darkroom.domain.kinds import Kind
from darkroom.domain.patterns import compiled
from darkroom.domain.reading import (
    find_counts,
    find_durations,
    find_money,
    find_ratios,
    find_resolutions,
    find_sizes,
    folded,
    size_of,
    without,
)
from darkroom.domain.request import RESOLUTIONS, clip
from darkroom.domain.spending import task_unsure, without_caps

LONGEST_TASK, LONGEST_CLIP = 600, 15
"""Letters of a message, and seconds of a clip, above which it is work for more than one call."""
MOST = {Kind.IMAGE: 10, Kind.VIDEO: 4}
"""Most outputs that are started on a message alone."""
SHOWN = 120
_TOOLS = {Kind.IMAGE: "generate_image", Kind.VIDEO: "generate_video"}
_VIDEO = r"videos?|clips?|reels?|animations?|films?"
_IMAGE = (
    r"images?|pictures?|pics?|photos?|photographs?|illustrations?|drawings?|paintings?|sketch(?:es)?|renders?|"
    r"renderings?|posters?|wallpapers?|icons?|portraits?|watercolou?rs?|collages?|artworks?"
)
_NEUTRAL = compiled(r"(?:image|picture|pic|video|clip|reel|film)s?")
_PLAIN = compiled(r"\b(?:short|quick|little|nice|cool|simple|new|single|small|ai|great|good|beautiful)\b,?\s*")
_NUMBERS = r"two|three|four|five|six|seven|eight|nine|ten|\d{1,2}|a couple of"
_ASKING = (
    r"(?:(?:hi|hello|hey|ok|okay|so|now|great|thanks|thank you)(?: there| darkroom)?[,.!]?\s)?(?:please,?\s)?"
    r"(?:(?P<polite>(?:can|could|would|will) you (?:please |kindly |just |quickly )*|"
    r"(?:can|could|may) (?:i|we) (?:please )?(?=get|have|see))|"
    r"(?P<wish>(?:i(?:'d| would) (?:like|love)|i want|i need|we need) (?:you to |to (?=see|have|get))?))?"
    r"(?:please |kindly |just |go ahead and )*"
)
_VERB = (
    r"(?P<verb>(?:make|create|generate|render|produce|design|do|give|get|show|have|see|draw|paint|sketch) "
    r"(?:(?:me|us) )?)?"
)
_HEAD = compiled(
    rf"{_ASKING}{_VERB}(?:(?P<one>an?|one|just one) |(?P<several>{_NUMBERS}) )"
    rf"(?P<looks>(?:[\w:'-]+,? ){{0,6}}?)(?P<noun>{_VIDEO}|{_IMAGE})"
    r"(?:\s*:|,? (?:of|showing|that shows|which shows|depicting|featuring|in which|where)) (?P<subject>.+)"
)
_DRAWN = compiled(
    rf"{_ASKING}(?P<verb>(?P<art>draw|paint|sketch) (?:(?:me|us) )?)(?=(?:an?|{_NUMBERS}) )(?P<subject>.+)"
)
_ART = {"draw": "drawing", "paint": "painting", "sketch": "sketch"}
_NOT_DRAWN = compiled(
    r"\w+ (?:[\w-]+ ){0,2}(?:conclusions?|comparisons?|distinctions?|parallels?|lines?|blanks?|diagrams?|charts?|"
    r"graphs?|tables?|maps?|flow\w*|timelines?|cards?|names?|numbers?|lots?|breath|lesson|winners?|rooms?|walls?|"
    r"fences?)\b"
)
_DOUBTS = compiled(
    # conditions, order, negation, further work
    r"\b(?:don't|do not|dont|never mind|not yet|not an?|hold off|instead|if|unless|until|whether|before|afterwards|"
    r"after that|then|followed by|first,|next,|finally|also|as well as|plus|either|versus|vs|or maybe|or an?|not "
    r"just|later|tomorrow|tonight|"
    r"or (?:is|are|do|does|did|can|could|should|would|will|not|else)|(?:longer|shorter|smaller|larger|fewer|"
    r"more|less) than|"
    # what is planned, written, priced or told rather than made
    r"campaigns?|storyboards?|scripts?|plans?|planning|ideas?|briefs?|strateg\w+|workflows?|estimates?|prices?|costs?|"
    r"budget|cheap\w*|for free|free of charge|voice-?overs?|narrat\w+|subtitles?|captions?|soundtrack|headlines?|"
    r"slogans?|blog|articles?|"
    r"e-?mails?|newsletters?|decks?|slides?|landing page|scenes|chapters?|episodes?|series|upload|publish|credits|"
    r"tell me|let me know|ask me|explain|why|how (?:much|many|long|to|we|you|our)|what (?:if|do|would)|"
    # a model, a file, an amount
    r"(?:using|via|with) (?:the )?(?:model )?[a-z]+[ -]?v?\d[\w.]*)\b|[$€£]\s?\d|https?:|www\.|\.(?:png|jpe?g|webp|gif|"
    r"mp4|mov|pdf)\b|^(?:stop|cancel|first)\b"
    rf"|(?:\band|,) (?:an?|another|the|{_NUMBERS}) (?:[\w-]+ ){{0,3}}(?:{_VIDEO}|{_IMAGE})\b"
    r"|(?<!ahead )\band (?:please )?(?:make|create|generate|write|post|give|tell|add|put|find|check|use|turn|animate|"
    r"edit|send|suggest|describe|explain|say|share|translate|list|show|name|draft|plan|upload|email|rate|compare|"
    r"recommend|invent|answer|build|record)\b"
)
_ELSEWHERE = compiled(
    r"\b(?:my|our|your|me|us|mine|ours|this|these|those|attached|uploaded|above|below|previous|earlier|"
    r"last (?:one|time|week|month|year)|same|the (?:client|customer|brand|product|logo|company|team|user)s?|based on|"
    r"from (?:an?|the) (?:photo|picture|image|file|video|clip))\b|(?:^|\s)[/~]\w"
)
_NOTHING = compiled(
    r"(?:something|anything|stuff|things?|some|any|whatever|everything|nothing|it|them|that|him|her|you|someone|"
    r"how|what|"
    r"why|who|which)\b"
)
_EACH = compiled(r"(?:,|\band) (?:one|another|the (?:other|first|second|third|last)s?) \w")
"""Where several are not alike."""
_FURTHER = compiled(
    r"\b(?:make|create|generate|write|give|find|check|turn|animate|edit|i|we|you|what|how|why|who)\b|\?"
)
_THANKS = compiled(r"[,.!?\s]+(?:please|thanks|thank you|thx)(?: (?:so much|a lot|very much))?[.!]*\s*$", re.IGNORECASE)
COUNTED = compiled(
    rf"[,.;]?\s*\b(?P<count>{_NUMBERS})\s+(?:different )?"
    r"(?:variants|variations|versions|options|alternatives|takes)\b(?: each\b)?"
)
_SILENT = compiled(r"[,.]?\s*\b(?:(?:without|no)\s+(?:any\s+)?(?:sound|audio)\b|silent$)")
_REST = compiled(
    r"[,.;]?\s*\b(?:it|the \w+) (?:should|must|has to|needs to) (?:be|last|have)\s*(?=$|[,.;])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class MediaIntent:
    """The one picture or clip, or the few alike, that a message asks for."""

    kind: Kind
    title: str
    """What it is called when one speaks of it: `video of a cat`."""
    arguments: dict[str, Any] = field(default_factory=dict[str, Any])
    """Of the tool: prompt in the user's own words, n, aspect_ratio, size, duration, resolution, audio."""

    @property
    def tool(self) -> str:
        """The name of the tool that makes it."""
        return _TOOLS[self.kind]


def read(task: str, names: Collection[str] = ()) -> MediaIntent | None:
    """Return what a message plainly asks to be made; None for everything else, and in doubt.

    What it may cost is no part of it: those words are left out, for whoever starts it to hold as its cap.

    Args:
        task: The message.
        names: Models and providers that there are; a message that names one wants more than is understood here.
    """
    task = without_caps(task)
    text = _THANKS.sub("", re.sub(r"\s+", " ", task).strip())
    asks, text = text.endswith("?"), text.rstrip(" ?.!")
    line = folded(text)
    if len(text) > LONGEST_TASK or _is_doubtful(line, names) or aim(task) is not Aim.WORK:
        return None
    match = _HEAD.fullmatch(line) or _DRAWN.fullmatch(line)
    if match is None or (asks and not match["polite"]) or not (match["verb"] or match["wish"]):
        return None
    subject = text[match.start("subject") :]
    if _NOTHING.match(line, match.start("subject")) or _ELSEWHERE.search(folded(subject)):
        return None
    return _drawn(match, subject) if "art" in match.groupdict() else _made(match, text, subject)


def _is_doubtful(line: str, names: Collection[str]) -> bool:
    if find_money(line) or task_unsure(line):  # a limit that was not understood must not be lost
        return True
    if _DOUBTS.search(line) or any(_FURTHER.search(part) for part in re.split(r"[.!?;]\s", line)[1:]):
        return True
    return any(re.search(rf"\b{re.escape(name.lower())}\b", line) for name in names if len(name) > 2)


def _drawn(match: re.Match[str], subject: str) -> MediaIntent | None:
    """Return the picture of `draw me a dragon`."""
    if _NOT_DRAWN.match(folded(subject)):
        return None
    return _intent(Kind.IMAGE, _ART[match["art"]], subject, subject, None)


def _made(match: re.Match[str], text: str, subject: str) -> MediaIntent | None:
    """Return what a sentence with its noun asks for: `make a 10 s watercolour clip of a fox`."""
    noun, several = match["noun"], match["several"]
    kind = Kind.VIDEO if re.fullmatch(_VIDEO, noun) else Kind.IMAGE
    if several and _EACH.search(folded(subject)):
        return None
    if noun.endswith("s") != bool(several) or (noun.startswith("film") and not find_durations(text)):
        return None
    words = text[match.start("looks") : match.end("noun")]
    words = _PLAIN.sub("", without(words, _specs(words, kind)))
    asked = text[match.start("several") :] if several else text[match.start("one") :]
    return _intent(kind, words, subject, asked, several)


def _intent(kind: Kind, words: str, subject: str, asked: str, several: str | None) -> MediaIntent | None:
    """Return what is asked for, with the numbers of the whole sentence taken out of its subject."""
    arguments = _arguments(kind, asked, subject, several)
    if arguments is None:
        return None
    subject = without(subject, _specs(subject, kind))
    for left in (COUNTED, _SILENT, _REST) if kind is Kind.VIDEO else (COUNTED, _REST):
        subject = left.sub("", subject).strip(" ,;.")
    if len(subject) > 2 and all(folded(subject)[at] in "\"'" for at in (0, -1)):
        subject = subject[1:-1].strip()
    if not re.search(r"[^\W\d_]{2}", subject):
        return None
    title = f"{words} of {subject}"
    prompt = subject if _NEUTRAL.fullmatch(words.lower()) else title
    return MediaIntent(kind, title, {"prompt": prompt, **arguments})


def _specs(text: str, kind: Kind) -> list[Any]:
    """Return what is said of length and shape, with its places."""
    found: list[Any] = [*find_ratios(text), *find_sizes(text), *find_resolutions(text)]
    return [*found, *find_durations(text)] if kind is Kind.VIDEO else found


def _arguments(kind: Kind, asked: str, subject: str, several: str | None) -> dict[str, Any] | None:
    """Return the arguments beside the prompt; None where they are contradictory or too large for one call."""
    counts = [f"{several} variants"] if several else []
    counts += [match[0] for match in COUNTED.finditer(folded(subject))]
    values: dict[str, set[Any]] = {
        "n": {one.value for part in counts for one in find_counts(part)},
        "aspect_ratio": {one.value for one in find_ratios(asked)},
        "size": {one.value for one in find_sizes(asked)},
    }
    heights = {one.value for one in find_resolutions(asked)}
    if not heights <= set(RESOLUTIONS):
        return None
    if kind is Kind.VIDEO:
        values["duration"] = {one.value for one in find_durations(asked)}
        values["resolution"] = heights
        values["audio"] = {False} if _SILENT.search(folded(subject)) else set()
    elif heights:  # a picture has its size in pixels, which holds its ratio too
        values["size"] |= {size_of(one, ratio) for one in heights for ratio in values.pop("aspect_ratio") or {None}}
    if any(len(several) > 1 for several in values.values()) or (kind is Kind.VIDEO and values["size"]):
        return None
    found = {name: value for name, several in values.items() for value in several}
    if found.get("n", 1) > MOST[kind] or found.get("duration", 1) > LONGEST_CLIP:
        return None
    return found


def reply(intent: MediaIntent, job: Job, eta_s: float | None = None) -> str:
    """Return what to say to the user once the job is there.

    Args:
        intent: What was asked for.
        job: What was started for it, in any state.
        eta_s: Seconds until it is likely to be done, where that is known.
    """
    draft = job.lead.provider == DRAFT
    several = int(intent.arguments.get("n", 1)) > 1
    what = f"{'drafts' if several else 'draft'} of your " if draft else "your "
    what += f"{intent.arguments['n']} {clip(intent.title, SHOWN)}" if several else clip(intent.title, SHOWN)
    a_what = what if several or not draft else f"a {what}"
    honest = " No provider made it: it is drawn on this machine, shows the idea and is labelled." if draft else ""
    match job.state:
        case State.SUCCEEDED:
            return f"Here {'are' if several else 'is'} {a_what}.{honest}"
        case State.FAILED:
            message = str((job.error or {}).get("message") or "").strip()
            return f"{_upper(what)} could not be made. {message}".strip()
        case State.CANCELLED:
            return f"{_upper(what)} {'were' if several else 'was'} cancelled."
        case State.SUBMIT_UNKNOWN:
            return (
                f"{_upper(what)} may have been started: no answer came, so it is not sent again. "
                f"Ask check_job({job.id!r}) what is known."
            )
        case _:
            when = f" It should be ready in about {_time(eta_s)}." if eta_s else ""
            return f"I've started {a_what}.{when}{honest} check_job({job.id!r}) has the result."


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _time(seconds: float) -> str:
    return f"{max(round(seconds), 1)} s" if seconds < 90 else f"{round(seconds / 60)} minutes"
