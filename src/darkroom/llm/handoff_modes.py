"""How a brief is worded where no agent does the work: a question, a hand on a job, plain wishes, or the rest."""

import re
import unicodedata
from dataclasses import dataclass

from darkroom.catalog.agents import Agent
from darkroom.domain.asking import NOUNS, Aim, Refused, aim, deceives, refused
from darkroom.domain.kinds import Kind
from darkroom.domain.patterns import compiled
from darkroom.domain.reading import folded
from darkroom.llm.handoff_answers import about_server, asks_help
from darkroom.llm.handoff_follow import Follow, shown
from darkroom.llm.handoff_media import AMOUNT, TOOLS
from darkroom.llm.handoff_wishes import Wishes, barred, wishes
from darkroom.services.ranking import words_of

MAKERS: dict[str, Kind] = {"image": Kind.IMAGE, "video_production": Kind.VIDEO}
"""The agents whose task is itself what is to be seen."""
LONGEST = 1_200
"""Letters of a task from which it holds material rather than a wish or a question."""
WORK = 3
"""Words from which what is wanted beside the media is work for an agent."""
INVENTED = "Invented reviews and testimonials deceive buyers, and the EU, the UK and the USA forbid them: write none."
_HONEST = (
    "Say in one sentence that invented opinions are not written, and why.",
    "Offer what is honest: asking real buyers for a review, answering those there are, or telling what was tested.",
)
_BY_AIM = {
    Aim.CONTROL: ("Make the calls below; where more than one job could be meant, ask which.",),
    Aim.DELETE: (
        "Say that darkroom deletes nothing that it made: its files, at the paths that the call names, are the user's.",
        "A conversation is forgotten by: darkroom session delete ID.",
        "Where you can delete files yourself, name them and ask first; what was paid for is gone for good.",
    ),
}
_UNREAD = (
    "A picture or clip is wanted: generate_image(prompt=...) or generate_video(prompt=...), in its own words.",
    "Prices, models or limits are asked for: estimate_credits(operation='image' or 'video'); it is free.",
    "Anything else: do it yourself; run_agent(task=<the same in English>) finds a specialist.",
    "Answer in the user's language.",
)
_CALLED = {Kind.IMAGE: "picture", Kind.VIDEO: "clip"}
_PRINTED = (
    r"banners?|flyers?|leaflets?|stickers?|badges?|emblems?|mascots?|thumbnails?|postcards?|billboards?|infographics?|"
    r"(?:book|album|magazine) covers?|backgrounds?|favicons?|invitations?"
)
_THINGS = {Kind.IMAGE: rf"{NOUNS[Kind.IMAGE]}|{_PRINTED}", Kind.VIDEO: NOUNS[Kind.VIDEO]}
"""What an order may be of: also what is a picture where nothing but it is asked for."""
_NOUN = (
    rf"(?P<noun>{_THINGS[Kind.IMAGE]}|{_THINGS[Kind.VIDEO]})"
    r"(?= (?:of|for|with|showing|about|in|from|that|to)\b|[.,!?;]|$)"
)
_MAKES = compiled(
    r"(?:please )?(?:(?:can|could|would|will) you )?(?:please )?(?:make|create|generate|draw|render|produce|paint) "
    rf"(?:(?:me|us) )?(?:an?|the|one|two|three|four|\d+) (?:[\w-]+ ){{0,3}}?{_NOUN}"
)
_BARE = compiled(
    r"(?:(?:i|we) (?:need|want|would like|'d like)|i'd like|we'd like|give (?:me|us))?\s*"
    rf"(?:an?|one|two|three|four|five|six|\d{{1,2}}) (?:[\w:.-]+ ){{0,4}}?{_NOUN}(?P<rest>.*)"
)
"""An order without a verb: `a poster for our summer party`."""
_SAYS = compiled(
    r"[?]|\b(?:is|are|was|were|has|have|had|does|did|do|will|can|should|must|went|got|looks?|check|review|write|fix|post|"
    r"find|tell|explain|plan|translate)\b"
)
"""Signs that words behind a picture say or want something of it."""
_WORK_TOO = compiled(
    r"\b(?:guidelines?|guide|strateg\w+|plans?|campaigns?|kits?|systems?|briefs?|scripts?|storyboards?|concepts?|"
    r"ideas?|copy|captions?|headlines?|slogans?|posts?|reports?|presentations?|names?|translat\w+|variants? for|pack|"
    r"series|scenes?|shots?|legal|rights|licen[cs]e\w*|budget)\b|[.;?!]\s+\S|"
    r",? and (?:write|plan|find|check|tell|give|send|explain)\b"
)
"""Words of work beside a picture or clip."""
_BECOMES = compiled(
    r"(?:please )?(?:(?:can|could|would|will) you )?(?:please )?(?:turn|make|convert|transform|combine|join|cut|edit) "
    rf"[^.;!?]* (?:in)?to (?:an?|one) (?:[\w-]+ ){{0,3}}?{_NOUN}"
)
_ENGLISH = compiled(
    r"\b(?:the|of|and|to|with|is|are|what|which|how|for|an|our|my|it|that|this|you|we|i|make|write|create|by|from)\b"
)
_FOREIGN = compiled(
    r"\b(?:ein|eine|einen|einem|einer|der|das|dem|und|mit|von|f\u00fcr|auf|nicht|kein|keine|wie|kannst|mir|ich|"
    r"un|une|des|les|le|la|du|dans|avec|pour|est|pas|et|sur|"
    r"el|los|las|una|con|para|por|de|que|sin|del|y|"
    r"il|gli|di|che|per|della|nel|uno|"
    r"um|uma|com|sem|em|do|da|o|os|"
    r"het|een|van|voor|niet|met|w|na|z|dla|jest|si\u0119|och|en|ett|f\u00f6r|og)\b"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read from a task before anybody is chosen for it."""

    aim: Aim
    no: Refused
    wishes: Wishes
    server: bool
    """Whether it is a question about this server itself."""
    foreign: bool
    makes: Kind | None
    """What its first words order to be made: `generate a logo for my bakery`."""
    ordered: bool = False
    """Whether that is all the work there is: a maker does it, whoever else knows the trade."""
    bars: str = ""
    """What is not to be seen, where the task begins with that."""
    deceives: bool = False
    """Whether it wants people deceived in a way that is not written for anybody."""

    @property
    def nothing(self) -> bool:
        """Whether all that is said is what must not be made."""
        return bool(self.no.kinds) and not self.no.rest

    @property
    def rest(self) -> str:
        """What is wanted beside the media that are plainly wanted; empty where nothing is, or none are."""
        return "; ".join(self.wishes.others) if self.wishes.made else ""

    def ranked(self) -> str:
        """Return the words by which agents and skills are looked for; none where the calls alone do."""
        if self.aim in (Aim.CONTROL, Aim.DELETE) or self.server or self.deceives:
            return ""
        words = self.rest if self.wishes.made else self.no.rest
        needed = WORK if self.wishes.made or self.no.kinds else 1
        return words if len(words_of(words)) >= needed else ""

    def suits(self, agent: Agent) -> bool:
        """Return whether an agent that nobody named may take it: none makes media for a question or against a wish."""
        if self.aim in (Aim.CONTROL, Aim.DELETE) or self.server or self.deceives or self.wishes.made:
            return False
        return agent.id not in MAKERS or (self.aim is Aim.WORK and self.allows(agent))

    def allows(self, agent: Agent) -> bool:
        """Return whether an agent makes nothing that the user refuses."""
        return MAKERS.get(agent.id) not in self.no.kinds


def reading_of(task: str) -> Reading:
    """Return what is read from a task; a long one is work, for somebody who reads it whole."""
    if len(task) > LONGEST:
        foreign = _is_foreign(task[:LONGEST])
        return Reading(Aim.WORK, Refused(frozenset(), task), Wishes(), False, foreign, None, deceives=deceives(task))
    what = Aim.QUESTION if asks_help(task) else aim(task)
    bars, rest = barred(task)
    no = refused(rest if bars else task)
    server = what is Aim.QUESTION and about_server(no.rest)
    makes, ordered = _order(no.rest)
    return Reading(what, no, wishes(task), server, _is_foreign(task), makes, ordered, bars, deceives(task))


def _order(task: str) -> tuple[Kind | None, bool]:
    """Return what a task orders to be made, and whether that is all the work there is."""
    line = AMOUNT.sub("", folded(task))
    head = _MAKES.match(line) or _BECOMES.match(line)
    if head is None and (bare := _BARE.match(line)) and not _SAYS.search(bare["rest"]) and not _WORK_TOO.search(line):
        head = bare
    if head is None:
        return None, False
    makes = next(kind for kind, noun in _THINGS.items() if re.fullmatch(noun, head["noun"]))
    return makes, _WORK_TOO.search(line) is None


def _is_foreign(task: str) -> bool:
    """Return whether a task is likely in another language than English."""
    letters = [letter for letter in task if letter.isalpha()]
    other = sum("LATIN" not in unicodedata.name(letter, "") for letter in letters)
    line = folded(task)
    return other * 2 > len(letters) or len(_FOREIGN.findall(line)) > len(_ENGLISH.findall(line))


def role_of(reading: Reading, *, candidates: bool, follow: Follow | None = None) -> str:
    """Return who the caller is in a brief without an agent, in one or two sentences."""
    if follow is not None:
        of = shown(follow.job) if follow.job else "what was made or said before"
        what = f"The user goes on from {of}: change that, and begin nothing else."
    elif reading.wishes.made:
        what = "Make the media with the calls below" + (", and do the rest yourself." if reading.rest else ".")
    elif reading.deceives:
        what = "The user asks for opinions of people whom there are not: write none, and offer what is honest."
    elif reading.aim is Aim.DELETE:
        what = "The user wants things thrown away: make nothing, and delete nothing without being told which."
    elif reading.aim is Aim.CONTROL:
        what = "The user means work that goes on: act on that, and start nothing new."
    elif reading.nothing:
        what = "The user says what is not to be made, and no more: make nothing."
    elif reading.foreign:
        what = "The task is in a language that was not read here: take it from its own words."
    elif reading.aim is Aim.QUESTION:
        about = " about darkroom itself" if reading.server else ""
        what = f"This is a question{about}: answer it, and make nothing."
    else:
        what = "No specialist was named, and none fits for certain: do the task yourself"
        what += ", or take one of the candidates." if candidates else "."
    return f"You are the caller's own assistant. {what}"


def method_of(reading: Reading, *, calls: bool, candidates: bool, follow: Follow | None = None) -> list[str]:
    """Return the steps of a brief without an agent."""
    if follow is not None:
        return _follow_steps(follow, calls=calls)
    take = "If a candidate fits, get its brief with run_agent(task, agent=<candidate>); else do it yourself."
    if reading.wishes.made:
        yourself = [
            f"Do the rest yourself: {reading.rest}. What of it belongs in the picture goes into its prompt first."
        ]
        return ["Make the calls below; they run while you go on.", *(yourself if reading.rest else [])]
    if fixed := _fixed_steps(reading):
        return list(fixed)
    if reading.aim is Aim.QUESTION:
        look = ["Make the calls below, and answer from what they say; none of them costs anything."] if calls else []
        return [*look, *([take] if candidates else []), *([] if calls else ["Answer from what you know, in short."])]
    steps = ["Say in one sentence what the user wants to hold in the end.", *([take] if candidates else [])]
    return [*steps, "Ask at most one question, and only where two readings lead to different work."]


def _fixed_steps(reading: Reading) -> tuple[str, ...]:
    """Return the steps of a brief that are the same whatever the task holds besides."""
    if reading.deceives:
        return _HONEST
    if reading.aim in _BY_AIM:
        return _BY_AIM[reading.aim]
    if reading.nothing:
        return ("Say that nothing is made, and ask what the user wants instead.",)
    return _UNREAD if reading.foreign else ()


def _follow_steps(follow: Follow, *, calls: bool) -> list[str]:
    if follow.job is not None:
        return ["Make the calls below; what was made stays, and the change is a new job."]
    text = "If a text is meant, change it as the task says and answer with all of it."
    media = (
        "If a picture or clip is meant, take its id from the conversation or from check_job, and make the call below."
    )
    ask = "If neither the conversation nor the jobs tell what is meant, ask."
    return [text, *([media] if calls else []), ask]


def deliverable_of(reading: Reading, follow: Follow | None = None) -> str:
    """Return what a brief without an agent has to end with."""
    if follow is not None:
        return "What was made or said before, changed as the task says."
    if reading.wishes.made:
        kinds = dict.fromkeys(_CALLED[one.kind] for one in reading.wishes.made)
        return f"The {' and the '.join(kinds)}" + (f", and what was done for: {reading.rest}." if reading.rest else ".")
    if reading.aim is Aim.DELETE:
        return "Which files there are, where they lie, and how they are deleted."
    if reading.aim is Aim.CONTROL:
        return "One sentence: what was done, and how the job stands."
    return "One answer to the task, in plain words."


def ruled_out(reading: Reading) -> list[str]:
    """Return what must not be made, in words."""
    kinds = sorted(reading.no.kinds)
    unwanted = [f"The user wants no {_CALLED[kind]} made: do not call {TOOLS[kind]}." for kind in kinds]
    return [*([INVENTED] if reading.deceives else []), *unwanted]
