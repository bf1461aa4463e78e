"""Nearest names, for people and models that mistyped one."""

from collections.abc import Iterable


def nearest(name: str, names: Iterable[str], *, count: int = 3) -> list[str]:
    """Return up to `count` of `names` that resemble `name`, best first."""
    from rapidfuzz import fuzz, process, utils  # only a mistake needs it

    found = process.extract(
        name, list(names), scorer=fuzz.WRatio, processor=utils.default_process, limit=count, score_cutoff=60
    )
    return [match[0] for match in found]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return ` Did you mean x?`, or nothing when no name is near."""
    near = nearest(name, names, count=1)
    return f" Did you mean {near[0]!r}?" if near else ""
