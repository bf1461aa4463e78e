"""Work on a picture that there already is: whether it was given, what stands for it until then, what is to be done."""

import re

from darkroom.domain.asking import NOUNS
from darkroom.domain.kinds import Kind
from darkroom.domain.patterns import compiled
from darkroom.domain.reading import (
    IMAGE_NOUNS,
    VIDEO_NOUNS,
    find_durations,
    find_ratios,
    find_resolutions,
    folded,
    without,
)
from darkroom.llm.handoff_facts import Facts

PICTURES = ("images", "image", "source", "references", "reference", "frames", "picture", "pictures", "photo", "photos",
            "product_image", "keep_same", "visuals")  # fmt: skip
"""Keys under which pictures are given."""
ABOVE = "<output id of the picture above>"
"""Stands for a picture that an earlier call of the same brief makes."""
MOST = 3
"""Pictures that are asked for at once."""
POLITE = compiled(r"^(?:please\s+|kindly\s+|(?:can|could|would|will) you\s+|(?:i|we) (?:want|need) you to\s+)+", re.I)
_SOURCE = compiled(
    r"(?:[a-z_]{3,12}=)?(?:out_[0-9a-z_]{3,60}|https?://[^\s,;\"')]+|[\w./~-]{0,200}[\w-]\.(?:png|jpe?g|webp|gif|"
    r"avif))(?![\w])",
    re.IGNORECASE,
)
_THING = (
    r"(?:images?|pictures?|pics?|photos?|photographs?|snapshots?|selfies?|scans?|screenshots?|stills?|frames?|drawings?|"
    r"paintings?|sketch(?:es)?|portraits?|illustrations?|packshots?|posters?|artworks?|logos?)"
)
_ONE = (
    r"(?:image|picture|pic|photo|photograph|snapshot|selfie|scan|screenshot|still|drawing|painting|sketch|portrait|"
    r"illustration|packshot|poster|artwork|logo)"
)
_WHOSE = r"(?:my|our|his|her|their|this|that|(?:the |an |my |our )?(?:attached|uploaded|enclosed|following))"
_STOP = r"(?:who|that|which|into|in|to|so|with|and|but|where|while|as|for|on|at|by|from|then|a|an|look|move|come)\b"
_OF = rf"(?: of (?P<who>(?:(?!{_STOP})[\w'-]+ ?){{1,4}}))"
_ENDS = (
    r"(?=$|[\s]*[,.;:!?-]|\s+(?:of|in|on|at|to|into|so|from|with|without|and|but|that|which|as|by|for|a|an|where|while|i|"
    r"we|look\w*|move|come|dance|walk|run|smile|wave|blink|more|less|much|slightly|a bit|\w+er|black|blue|red|green)\b)"
)
_OBJECT = rf"(?:{_WHOSE} (?:[\w'-]+ ){{0,3}}?{_ONE}{_ENDS}(?:{_OF})?|the (?:[\w'-]+ )?{_ONE}{_OF})"
"""A picture that somebody has, in the words in which one speaks of it; one, for several are no plain change."""
_CLIP = rf"an? (?:[\w-]+ ){{0,3}}?(?:{NOUNS[Kind.VIDEO]})"
_ANIMATED = compiled(
    rf"(?:animate {_OBJECT}|bring {_OBJECT} to life|(?:turn|make|convert|transform) {_OBJECT} (?:in)?to {_CLIP}|"
    rf"make {_OBJECT} (?:move|come alive|come to life)|"
    rf"(?:make|create|generate|produce|render) (?:me )?{_CLIP} (?:out of|from|using|based on) {_OBJECT})"
    r"(?P<more>.*)".replace("(?P<who>", "(?:"),
    re.DOTALL,
)
_EDITED = compiled(
    r"(?:remove|erase|replace|swap|retouch|crop|brighten|darken|lighten|upscale|enlarge|enhance|sharpen|restore|repair|"
    r"fix|colou?ri[sz]e|recolou?r|edit|blur|cut|clean|improve|straighten|flip|rotate|mirror|change|add|put|place|paint|"
    r"print|mock up|convert|transform|turn|make)\b(?! (?:me )?an? )"
    rf".*?\b{_OBJECT}".replace("(?P<who>", "(?:"),
    re.DOTALL,
)
_DRAWN = compiled(
    rf"(?:make|create|generate|produce|render|draw|paint|design) (?:me )?an? (?:[\w-]+ ){{0,3}}?(?:{NOUNS[Kind.IMAGE]})"
    rf"\b.*?\b(?:with|using|from|out of|based on) {_OBJECT}".replace("(?P<who>", "(?:"),
    re.DOTALL,
)
_VERBS = (
    "smile|laugh|wink|blink|nod|wave|walk|run|dance|jump|fly|swim|move|drive|roll|spin|turn|rotate|sway|flow|fall|rise|"
    "burn|glow|flicker|breathe|talk|speak|sing|look|drift|swing|bounce|shake|grow|bloom|open|close|float|play|eat|drink|"
    "ride|clap|bark|wag|flap|melt|zoom|shine|sparkle|ripple|steam"
)
"""What may be seen to happen; a closed list, for any other word may be a name or a colour."""
_CHANGES = compiled(
    r"\b(?:remove|retouch|replace|swap|mock up|fill in|colou?r this|repair|extend|recolou?r|crop|brighten|upscale|"
    r"restore|edit|change (?:only )?the|"
    rf"animate(?! (?:an?|some|two|three) (?!(?:[\w-]+ ){{0,2}}?{_THING}\b))|"
    r"bring\b.{0,40}\bto life|put (?:our|my|the|this)|"
    r"make (?:the|it|her|him)\b.{0,40}\b(?:blue|dark|bright|large|small|warm|cold|white|drive|move|walk|smil)\w*|"
    r"from the first frame)\b"
    rf"|\bturn (?:the|this|my|our)\b(?!(?:(?!\b{_THING}\b).)*\binto {_CLIP}\b)"
)
_HAS = compiled(
    r"\b(?:this|these|my|attached|uploaded|existing|(?:we|i) (?:only )?(?:have|own) \w+|sent|from the) (?:\w+ ){0,2}"
    r"(?:picture|photo|photograph|image|still|drawing|painting|portrait|snapshot|sketch|frame)s?\b"
    r"|\b(?:with|using|put|place|add|print) (?:our|my|the company'?s?) (?:\w+ )?logo\b"
)
_NEW = compiled(
    rf"(?:please )?(?:(?:make|create|generate|render|produce|draw|paint|sketch) )?(?:me )?(?:an?|one|two|three|\d+) "
    rf"(?:[\w-]+ ){{0,3}}?(?:{IMAGE_NOUNS}|{VIDEO_NOUNS}) (?:of|showing) (?!(?:this|that|it)\b)"
)
"""How a task begins that says what a new picture shows, whatever verbs follow."""
_CLIP_CHANGED = compiled(
    r"(?:extend|lengthen|shorten|trim|cut|crop|upscale|edit|change|stabili[sz]e|reverse|speed up|slow down|"
    r"colou?r grade|remove|replace|add|put|make|turn|blur|enhance|sharpen|brighten|darken|subtitle|loop|convert)\b"
    r"(?! (?:me )?an? )"
    rf".*?\b(?:my|our|his|her|their|(?:this|that)(?! is)|(?:the )?(?:attached|uploaded)) (?:[\w'-]+ ){{0,2}}?"
    rf"(?:{NOUNS[Kind.VIDEO]}|recording)(?! (?:plan|campaign|brief|channel|script|storyboard|editor|budget|about)\w*)\b"
)
_MOVED = compiled(
    r"\b(?:make|let|have) (?P<who>(?:the|my|our|his|her|this|that|these|those) (?:[\w'-]+ ){0,2}?[\w'-]+|"
    rf"him|her|it|them)(?: (?:in|on) (?:the|my|our|this|that) (?:[\w'-]+ )?{_ONE})? "
    rf"(?P<verb>{_VERBS})\b(?P<tail>[^.;!?]*)"
)
_SAID = compiled(
    r"\s*(?:(?:,|:|;|-)\s*|\b(?:so that|so|where|in which|with|showing|while|as|of)\s+)+(?P<said>\S.*)", re.DOTALL
)
_NOT_SEEN = compiled(
    r"(?:(?:the|this) picture$|for|to|on|at|by|using|please|thanks|thank you|i|we|you|it is|it's|"
    r"then|and|or|sound|audio|music|no|what|how)\b"
)
_AS_CLIP = compiled(rf",? (?:as|in) {_CLIP}$", re.I)
QUIET = "Gentle, natural motion of {what}; the camera stays still"


def changes_a_picture(task: str) -> bool:
    """Return whether a task works on a picture that there already is."""
    line = folded(task)
    return _HAS.search(line) is not None or (_CHANGES.search(line) is not None and _NEW.match(line) is None)


def changes_a_clip(task: str) -> bool:
    """Return whether a task plainly works on a clip that there already is."""
    return _CLIP_CHANGED.match(_order(task)) is not None


def pictures(facts: Facts, task: str) -> list[str]:
    """Return the pictures that were given: paths, URLs and output ids, in the context or the task."""
    found: list[str] = []
    for name in PICTURES:
        value = facts.get(name)
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, str) and _SOURCE.fullmatch(part.strip()):
                found.append(part.strip())
            elif isinstance(part, str):
                found += [match[0].rstrip(".") for match in _SOURCE.finditer(part)]
    found += [match[0].rstrip(".") for match in _SOURCE.finditer(task)]
    return list(dict.fromkeys(found))[:8]


def plain_change(task: str) -> Kind | None:
    """Return what a task makes of one picture that somebody has, where that is plainly all it wants."""
    line = _order(task)
    if _ANIMATED.fullmatch(line):
        return Kind.VIDEO
    drawn = _DRAWN.match(line)
    if drawn is None and _EDITED.match(line) is None:
        return None
    moves = drawn is None and re.search(rf"\b(?:animat\w+|to life|{NOUNS[Kind.VIDEO]})\b", line)
    return Kind.VIDEO if moves else Kind.IMAGE


def things(task: str) -> list[str]:
    """Return the pictures that a task speaks of and does not hold, as it calls them: `photo`, `logo`."""
    line = folded(task)
    owned = re.finditer(rf"\b(?:{_WHOSE}|the company'?s?) (?:[\w'-]+ ){{0,3}}?(?P<what>{_THING})\b", line)
    named = [match["what"] for match in owned] or [
        match["what"] for match in re.finditer(rf"\b(?P<what>{_THING})\b", line)
    ]
    return list(dict.fromkeys(named))[:MOST] or ["picture"]


def placeholders(task: str) -> list[str]:
    """Return what stands for pictures until somebody gives them; an input of that name is refused, nothing is spent."""
    return [f"<path, URL or output id of the {name}>" for name in things(task)]


def motion(task: str) -> tuple[str, bool]:
    """Return what a clip made of a picture shows, and whether the task says it; else it is a quiet, neutral motion."""
    text = re.sub(r"\s+", " ", task).strip()
    text = without(text, [*find_durations(text), *find_ratios(text), *find_resolutions(text)])
    text = _AS_CLIP.sub("", POLITE.sub("", text).strip(" .?!"))
    line = folded(text)
    if moved := _MOVED.search(line):
        who = _whose(moved["who"])
        return f"{who} {_going(moved['verb'])}{text[moved.start('tail') : moved.end('tail')]}".strip(" ,"), True
    order = _ANIMATED.fullmatch(line)
    more = text[order.start("more") :] if order else text[_first_break(line) :]
    said = _SAID.fullmatch(more)
    if said and not _NOT_SEEN.match(folded(said["said"])) and len(said["said"].split()) > 1:
        return said["said"].strip(" .,"), True
    who = re.search(rf"\b{_THING}{_OF}", line)
    return QUIET.format(what=_whose(who["who"].strip()) if who else "what the picture shows"), False


def moves(part: str) -> str | None:
    """Return the motion that a piece of a message adds to the clip before it: `make the waves move`."""
    match = _MOVED.fullmatch(folded(part).strip(" .!?"))
    return None if match is None else motion(part)[0]


def _first_break(line: str) -> int:
    """Return where something may be said of the motion: behind the first colon or comma, else at the end."""
    found = re.search(r"[:,;]", line)
    return found.start() if found else len(line)


def _order(task: str) -> str:
    return folded(POLITE.sub("", re.sub(r"\s+", " ", task).strip())).strip(" .?!")


def _whose(who: str) -> str:
    """Return somebody or something as a stranger sees them: `my dog` is `the dog`."""
    if who in ("me", "myself", "him", "her", "it"):
        return "what the picture shows" if who == "it" else "the person in the picture"
    if who in ("us", "them"):
        return "those in the picture"
    return re.sub(r"^(?:my|our|his|her|their|this|that|these|those)\b", "the", who)


def _going(verb: str) -> str:
    """Return a verb of the closed list as it is seen to happen: `smiling`, `running`."""
    if re.fullmatch(r"[^aeiou]*[aeiou][^aeiouwxy]", verb):
        return f"{verb}{verb[-1]}ing"
    return f"{verb.removesuffix('e')}ing"
