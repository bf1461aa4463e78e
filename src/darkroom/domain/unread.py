"""What of a task's words no input of a workflow holds: named where drafts were made, since they do not follow it."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from darkroom.domain.colours import find_colours
from darkroom.domain.patterns import compiled
from darkroom.domain.reading import (
    IMAGE_NOUNS,
    SPELLED,
    VIDEO_NOUNS,
    Found,
    find_durations,
    find_ratios,
    find_resolutions,
    folded,
    number,
)
from darkroom.domain.request import clip
from darkroom.domain.spending import find_caps, find_unsure
from darkroom.domain.task_details import find_channels, find_places, find_prices, find_rules
from darkroom.domain.task_facts import (
    blanked,
    find_closings,
    find_dates,
    find_offers,
    find_platforms,
    is_english,
    opening,
)
from darkroom.domain.task_manner import find_looks, find_styles, find_tones
from darkroom.domain.task_vocabulary import FILLING
from darkroom.domain.task_words import READERS
from darkroom.domain.templates import said
from darkroom.domain.workflow import Workflow

MOST = 6
"""Pieces that are named."""
_LETTERS = 80
_UNITS = "s|secs?|seconds?|mins?|minutes?|x|d|k"
_FINDERS: Mapping[str, Callable[[str], Sequence[Found[Any]]]] = {
    "channels": find_channels,
    "closing": find_closings,
    "colours": find_colours,
    "date": find_dates,
    "duration": find_durations,
    "look": find_looks,
    "offer": find_offers,
    "place": find_places,
    "platform": find_platforms,
    "price": find_prices,
    "ratio": find_ratios,
    "resolution": find_resolutions,
    "rules": find_rules,
    "style": find_styles,
    "tone": find_tones,
}
_SMALL = compiled(
    rf"(?:{IMAGE_NOUNS}|{VIDEO_NOUNS}|"
    r"am|as|at|be|been|but|by|call(?:ed)?|celebrat\w+|announc\w+|promot\w+|show\w*|introduc\w+|present\w*|advertised?|advertising|"
    r"all|about|aimed|audience|based|brand\w*|business|company|cost\w*|day|features?|featuring|firm|from|give|have|has|hello|help|"
    r"hi|i'm|is|are|it|its|it's|just|let's|look\w*|meet|name[ds]?|near|next|now|off|offer\w*|one|only|open\w*|out|own|"
    r"owned|people|per|price\w*|ratio|format|re|run\w*|sale|sell\w*|shop|some|start\w*|store|style|mood|tone|that|their|"
    r"them|there|these|they|this|those|target\w*|time|today|under|up|very|was|way|we|we're|what|which|who|will|your|if|"
    r"or|so|too|also|then|long|lasting|seconds?|minutes?|event|news|grand|small|little|local|upcoming|latest|pairs?|"
    r"price|[a-z]|\d+)",
    re.I,
)


def unread(flow: Workflow, task: str) -> list[str]:
    """Return the pieces of a task in which words stand that no reader of the workflow's inputs has read.

    In another language than English nothing is read, and nothing is named.
    """
    text = opening(task)
    if not is_english(text):
        return []
    readers = {item.reader for item in flow.inputs.values() if item.reader}
    whole = [said(READERS[name](text)) for name in readers & {"audience", "name", "subject", "trade"}]
    for find in (find_caps, find_unsure, *(_FINDERS[name] for name in sorted(readers & _FINDERS.keys()))):
        text = blanked(text, find(text))
    for words in sorted((words for words in whole if words), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(words)}(?!\w)", " , ", text, flags=re.I)
    pieces = re.split(r"(?<!\d)[.,]|[.,](?!\d)|[;:!?\n()\"\u201c\u201d]|\s[-\u2013\u2014]\s", text)
    found = [re.sub(r"\s+", " ", piece).strip(" '-\u2013\u2014") for piece in pieces]
    return [clip(piece, _LETTERS) for piece in dict.fromkeys(found) if _tells(piece)][:MOST]


def left_out(flow: Workflow, task: str) -> str:
    """Return in words what of a task is in no draft of a workflow; empty for nothing."""
    pieces = ", ".join(repr(piece) for piece in unread(flow, task))
    return f"Not in these drafts: {pieces}." if pieces else ""


def other_number(task: str, noun: str, planned: int) -> str | None:
    """Return the words in which a task asks for another number of a thing than is planned: `two logos`."""
    one = re.escape(noun.removesuffix("s"))
    words = rf"(?:(?!(?:of|and|for|with|by|in|{_UNITS})\b)[a-z-]+\s+){{0,2}}?"
    said = {
        match[0]: int(number(match["count"]))
        for match in re.finditer(
            rf"(?<![\w.:$-])(?P<count>\d{{1,2}}|{SPELLED})\s+{words}{one}s?\b", folded(opening(task))
        )
    }
    return next((words for words, count in said.items() if count != planned), None)


def _tells(piece: str) -> bool:
    """Return whether a piece has a word that says something."""
    words = re.findall(r"[^\W_](?:[\w'#-]*\w)?", FILLING.sub(" ", piece))
    return re.search(r"[$\u20ac\u00a3]\s?\d", piece) is not None or any(
        _SMALL.fullmatch(word) is None for word in words
    )
