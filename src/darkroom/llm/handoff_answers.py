"""The calls that answer a question about this server, and those that lay a hand on its jobs."""

import re
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from darkroom.domain.asking import NOUNS
from darkroom.domain.job import Job
from darkroom.domain.kinds import Kind
from darkroom.domain.patterns import compiled
from darkroom.domain.reading import find_counts, folded, read_count, read_duration, read_resolution, read_size
from darkroom.llm.handoff_media import LONGEST_CLIP, mentions
from darkroom.services.ranking import tokens

SPENT = compiled(
    r"\b(?:(?:i|we|been|you|already|money|credits?)\b.{0,20}\bspen[dt]|spent|spending so far|have (?:we|i) "
    r"(?:used|paid)|"
    r"did (?:it|we|i|this|that|my|the) .{0,30}cost|usage|invoice|overrun)\b"
)
_PLAN = compiled(r"\b(?:a|per|each|every) month\b|\bmonthly\b|\bplans?\b")
_JOB = compiled(
    r"\b(?:jobs?|runs?|status|progress|queue)\b|\b(?:my|our|the|that|this|last|it|they)\b.*\b(?:ready|done|finish\w*|"
    r"fail\w*|wrong|saved?|stored?|kept|deleted?|gone|lost|stuck|cancel\w*|stop\w*|download\w*|result|take)\b|"
    r"\bwhere (?:is|are|do|does|did|can)\b.*\b(?:files?|pictures?|images?|videos?|clips?|outputs?)\b"
)
_MINE = (
    r"(?:my|our|(?:my |our |the |that )last|(?:the|that|those|this)(?= .*\b(?:i|we|you) (?:have |had |just |already |"
    r"once )*(?:made|created|generated|started|ordered|asked|began|begun)\b))"
)
_FATE = compiled(
    rf"(?:why|when|where|what|how|is|are|was|were|did|has|have|does)\b.*?\b{_MINE} (?:[\w-]+ ){{0,2}}?"
    rf"(?:{NOUNS[Kind.IMAGE]}|{NOUNS[Kind.VIDEO]}|jobs?|runs?|drafts?)\b.*\b(?:fail\w*|ready|done|finish\w*|stuck|saved?|stored?|"
    r"lost|gone|cancel\w*|go wrong|went wrong|status|take so long|taking)\b"
)
"""A question about what became of something that was made here, whatever it shows."""
_FAILED = compiled(r"\b(?:fail\w*|go wrong|went wrong|broke)\b")
_MADE = compiled(r"\b(?:have|did) (?:i|we) (?:already |ever )?(?:made?|created?|generated?|started?)\b")
_STOP = compiled(r"\b(?:stop|cancel|abort|halt|kill)\w*\b")
_AGAIN = compiled(r"\b(?:retry|redo|restart|rerun|again)\b")
_ID = compiled(r"\b(?:job|run)_\w+")
_HELP = compiled(
    r"(?:please )?(?:(?:show|tell) (?:me|us) what you (?:can )?do|help(?: me)?|(?:who|what)(?: are| is|'s|'re) "
    r"(?:you|darkroom|this)\b.*|what (?:(?:else )?can|"
    r"do) (?:you|i|we|darkroom|this)\b"
    r"(?: \w+)?(?: (?:do|with|here|for|use|ask|me|this|you|darkroom|server))*|how (?:does|do) (?:this|you|"
    r"darkroom|it|i use \w+)(?: work)?|"
    r"(?:what|which|list|show)(?: are| me)?(?: the| your| all)*(?: \w+)? (?:agents|skills|tools|workflows|"
    r"commands|options)\b.*)"
)
_OTHERS = {
    "music": r"music|songs?|soundtracks?|jingles?",
    "speech": r"speech|voices?|voice-?overs?|narration|text.to.speech|tts",
    "sound": r"sound effects?|sfx",
    "transcription": r"transcri\w+",
    "slides": r"slides?|decks?|presentations?",
}
_SEEN = compiled(
    rf"\b(?:{NOUNS[Kind.IMAGE]}|{NOUNS[Kind.VIDEO]}) (?:of|showing) .*?(?=\b(?:costs?|prices?|take|be)\b|[.?!]|$)"
)
_FACTS = compiled(
    r"\b(?:models?|providers?|costs?|prices?|pricing|cheap\w*|expensive|free|how (?:long|much|many|big|large|fast)|"
    r"sizes?|formats?|resolutions?|limits?|max\w*|support\w*|possible|able|best|better|faster|"
    r"keys?|account|can (?:you|it|darkroom)(?! (?:explain|tell|say|show|help|list)))\b"
)
_OF_ONE = compiled(r"\b(?:costs?|price|charge|estimate|how (?:much|long)|possible|can (?:you|i|we|it|darkroom))\b")
"""Where what a picture is to show says nothing of what is asked."""
_OWN = (
    "image picture pic photo photograph illustration drawing painting sketch render poster icon portrait "
    "artwork logo "
    "video clip film movie reel animation footage gif media file output result folder download job run task queue "
    "make create generate render produce draw paint animate edit upscale extend use work do support offer "
    "model provider engine service generator tool agent skill server darkroom account key api "
    "cost price pricing expensive cheap cheaper cheapest free pay charge quote estimate money dollar euro "
    "cent credit "
    "plan month monthly week day today spend spent much many "
    "long longest length short duration second minute hour take time fast fastest quick slow kind sort type "
    "8k 2k 1440p "
    "size big biggest large largest small wide tall resolution format ratio height pixel hd 4k 1080p 720p "
    "sound audio "
    "limit maximum max minimum most least support able possible available allow way ai "
    "status ready done finish fail failed error wrong stop cancel retry redo delete remove save saved store stored "
    "keep kept lost stuck progress wait private public may might come get list show tell give name explain "
    "exist best good better quality right need real "
    "music song speech voice narration effect transcription slides deck presentation"
)
"""The words in which one speaks of this server itself."""


_THAT = compiled(r"\b(?:that|this|it|one)\b")


def asks_help(task: str) -> bool:
    """Return whether somebody wants to know what this server is and does."""
    return _HELP.fullmatch(folded(task).strip(" ?.!")) is not None


@cache
def _own() -> frozenset[str]:
    return frozenset(tokens(_OWN))  # on first use: what takes words apart is not loaded at the start


def about_server(task: str) -> bool:
    """Return whether a question is about this server alone: what it makes, how, for how much, and its jobs."""
    line = folded(task)
    if asks_help(task) or _ID.search(line) or _MADE.search(line) or _FATE.match(line):
        return True
    words = tokens(_SEEN.sub("video ", line) if _OF_ONE.search(line) else re.sub(r"'\w+", "", line))
    return bool(words) and all(word in _own() or word.isdigit() for word in words)


def control(task: str, made: Sequence[Job] = ()) -> list[dict[str, Any]]:
    """Return the calls that stop, repeat or look at a job; without an id they begin with the list of jobs.

    Args:
        task: What was asked.
        made: The jobs of its conversation, newest first: the first that can be stopped or repeated is meant.
    """
    line = folded(task)
    tool = "cancel_job" if _STOP.search(line) else "retry_job" if _AGAIN.search(line) else None
    meant = next((job.id for job in made if tool and job.ended is (tool == "retry_job")), None)
    named = _ID.search(line)
    name = named[0] if named else meant
    what = {"cancel_job": "Stops it; what was paid for by then is kept.", "retry_job": "Starts it again; it may cost."}
    if name and tool:
        return [_call(tool, what[tool], {"job_id": name})]
    if name:
        return [_call("check_job", "How it stands, and its files.", {"job_id": name})]
    failed = {"status": "failed"} if tool is None and _FAILED.search(line) else {}
    what_there_is = (
        "What failed last, and why." if failed else "The newest jobs, how they stand, and where their files are."
    )
    listed = _call("check_job", what_there_is, failed)
    if tool is None:
        return [listed]
    return [listed, _call(tool, f"{what[tool]} Take the id from check_job.", {}, ("job_id",))]


def answers(task: str, made: Sequence[Job] = ()) -> list[dict[str, Any]]:
    """Return the calls whose results answer a question about this server; none starts anything.

    Args:
        task: The question.
        made: The jobs of its conversation, newest first: `what does that cost?` is about the newest.
    """
    line = folded(task)
    if SPENT.search(line):
        return [
            _call("estimate_credits", "What was spent this month, on what.", {"operation": "spent", "since": "month"})
        ]
    if (
        _ID.search(line)
        or _MADE.search(line)
        or _FATE.match(line)
        or (_JOB.search(line) and not re.search(r"\bhow (?:much|many|long|big)\b", line))
    ):
        return [call for call in control(line) if call["tool"] == "check_job"] or control(_ID.findall(line)[0])
    nothing = not wants_facts(task) and not _kinds(task)
    if made and not nothing and not _kinds(task) and _THAT.search(line):
        return [_listing(made[0].kind.value, {})]
    if asks_help(task) or nothing:
        return [
            _call("run_agent", "Lists the agents: who does what here. Starts nothing.", {"task": "", "agent": "?"}),
            _call("invoke_skill", "Lists the skills. Free, starts nothing.", {"skill": "?"}),
        ]
    return month(task, _PLAN) or listings(task)


def month(task: str, about: re.Pattern[str]) -> list[dict[str, Any]]:
    """Return the call that prices numbers of pictures and clips; none where there are none, or no word `about` it."""
    counts = {f"{kind.value}s": sum(one.value for one in find_counts(task, kind)) for kind in (Kind.IMAGE, Kind.VIDEO)}
    usage = {name: count for name, count in counts.items() if count}
    if not usage or not about.search(folded(task)):
        return []
    why = "What these numbers cost, in dollars and credits, and which plan fits."
    return [_call("estimate_credits", why, {"operation": "month", "usage": usage})]


def wants_facts(task: str) -> bool:
    """Return whether a question is about models, prices or limits, so that a list of them answers it."""
    return _FACTS.search(folded(task)) is not None


def listings(task: str) -> list[dict[str, Any]]:
    """Return the look-ups of the kinds that a question is about: pictures and clips where it names none."""
    kinds = _kinds(task) or [Kind.IMAGE.value, Kind.VIDEO.value]
    return [_listing(name, _told(task, Kind(name)) if name in ("image", "video") else {}) for name in kinds]


def _kinds(task: str) -> list[str]:
    """Return the operations of the kinds that a task names."""
    media = [kind.value for kind in (Kind.IMAGE, Kind.VIDEO) if mentions(task, kind)]
    return [*media, *(name for name, words in _OTHERS.items() if re.search(rf"\b(?:{words})\b", folded(task)))]


def _listing(operation: str, told: dict[str, Any]) -> dict[str, Any]:
    lists = "Lists the models with limits, prices and what each still needs. Free, starts nothing."
    why = "What exactly this would cost, and who makes it cheaper. Free, starts nothing." if told else lists
    return _call("estimate_credits", why, {"operation": operation, **told})


def _told(task: str, kind: Kind) -> dict[str, Any]:
    """Return the length, size and number that a question names."""
    told: dict[str, Any] = {"n": read_count(task, kind)}
    if kind is Kind.IMAGE:
        told["size"] = read_size(task)
    else:
        seconds = read_duration(task)
        told |= {
            "duration": seconds if seconds and seconds <= LONGEST_CLIP else None,
            "resolution": read_resolution(task),
        }
    return {name: value for name, value in told.items() if value is not None}


def _call(tool: str, why: str, arguments: dict[str, Any], missing: Collection[str] = ()) -> dict[str, Any]:
    call: dict[str, Any] = {"tool": tool, "arguments": arguments, "why": why}
    return {**call, "missing": list(missing)} if missing else call
