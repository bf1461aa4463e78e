"""Nearest names, for people and models that mistyped one."""

from collections.abc import Iterable

ALIKE = 60
LIKE = 75
"""From where a name is offered that nothing else points to."""
VERY_ALIKE = 90
SLIPS = 2
"""Letters that are wrong, missing, too many or swapped in what is still a slip; and no more than a third of a name."""


def nearest(name: str, names: Iterable[str], *, count: int = 3, alike: int = ALIKE) -> list[str]:
    """Return up to `count` of `names` that resemble `name` by at least `alike` of 100, best first, then by name.

    Among those that resemble it equally the one comes first that fewest slips of the hand turn into it.
    """
    from rapidfuzz import fuzz, process, utils  # only a mistake needs it
    from rapidfuzz.distance import OSA

    found = process.extract(
        name, sorted(set(names)), scorer=fuzz.WRatio, processor=utils.default_process, limit=None, score_cutoff=alike
    )
    best = sorted(found, key=lambda match: (-match[1], OSA.distance(name.lower(), str(match[0]).lower())))
    return [str(match[0]) for match in best[:count]]  # an enum member prints as its value


def slips(name: str, names: Iterable[str]) -> list[str]:
    """Return those of `names` that a slip of the hand or two turn into `name`, fewest first, then by name."""
    from rapidfuzz.distance import OSA  # only a mistake needs it

    typed = name.strip().lower()
    counted = sorted((OSA.distance(typed, str(one).lower()), str(one)) for one in set(names))
    return [one for count, one in counted if count <= min(SLIPS, len(typed) // 3)]


def did_you_mean(name: str, names: Iterable[str], *, alike: int = ALIKE) -> str:
    """Return ` Did you mean x?`, or nothing when no name is near."""
    near = nearest(name, names, count=1, alike=alike)
    return f" Did you mean {near[0]!r}?" if near else ""


def plain(name: str) -> str:
    """Return a name as it is compared: small letters and digits alone."""
    return "".join(letter for letter in name.lower() if letter.isalnum())
