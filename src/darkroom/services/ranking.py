"""Ranks short descriptions by how well they fit what somebody wants, tolerant of endings and typing errors."""

import math
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from darkroom.catalog.data import resource_text

TYPO_MIN, ALIKE, MISTYPED = 5, 86, 0.8
"""Letters a word must have, and how alike two must be of 100, to count as one word mistyped; what that counts."""
PHRASE = 0.3
"""What a phrase adds to its words."""
RARITY = 0.5
"""How much rare words outweigh common ones: the exponent of the logarithm of how few descriptions have a word."""
UNKNOWN = 2.0
"""The rarity of a word that no description has."""
HALF_SURE = 0.1
"""The cosine at which the confidence is one half; between a description and its requests it is 0.1 to 0.5."""
MATCH, CASE, TEXT, ASKED, BODY = 3.0, 1.6, 1.2, 0.5, 0.4
"""What a word counts by where it stands: match words, cases, name and description, requests, the text."""
_WORD = re.compile(r"[^\W_]+(?:'[a-z]+)?")


class _Here(threading.local):
    """What each thread has of its own: a stemmer keeps the word it works on, and two threads would mix theirs."""

    stem: Callable[[str], str]


_HERE = _Here()


@dataclass(frozen=True, slots=True)
class Ranked:
    """One description, how well it fits (0 to 1), and the wanted words that it was found by, the strongest first."""

    id: str
    confidence: float
    found: tuple[str, ...]


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Return a word without its ending (Porter's second stemmer for English)."""
    if not hasattr(_HERE, "stem"):
        _HERE.stem = _stemmer()
    return _HERE.stem(word)


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    return frozenset(resource_text("common_words.txt").split())


def _stemmer() -> Callable[[str], str]:
    import snowballstemmer  # pyright: ignore[reportMissingTypeStubs] because it has none; needed on first use only

    return cast("Any", snowballstemmer).stemmer("english").stemWord


def words_of(text: str) -> list[str]:
    """Return the words of a text that carry meaning, in small letters."""
    return [word for word in _WORD.findall(text.lower()) if word not in _common() and len(word) > 1]


def tokens(text: str) -> tuple[str, ...]:
    """Return the words of a text that carry meaning, without their endings."""
    return tuple(stem(word) for word in words_of(text))


def contains(line: Sequence[str], words: Sequence[str]) -> bool:
    """Return whether words stand one after another in a line."""
    starts = (start for start, word in enumerate(line) if word == words[0])
    return any(tuple(line[start : start + len(words)]) == tuple(words) for start in starts)


class Ranking:
    """An index of descriptions: words weigh by rarity and place, whole descriptions are brought to one length.

    The cosine of vector retrieval (Salton, Wong and Yang 1975), with the logarithm of weighted counts.

    Args:
        described: By id, texts with their weights.
        phrases: By id, word sequences that name it; each that occurs counts beyond its words.
    """

    def __init__(
        self, described: Mapping[str, Iterable[tuple[float, str]]], phrases: Mapping[str, Iterable[str]]
    ) -> None:
        counts: dict[str, Counter[str]] = {}
        for name, texts in described.items():
            counts[name] = Counter()
            for weight, text in texts:
                for token in tokens(text):
                    counts[name][token] += weight  # pyright: ignore[reportArgumentType] because parts count too
        spread = Counter(token for found in counts.values() for token in found)
        self._rarity = {token: math.log(1 + len(counts) / count) ** RARITY for token, count in spread.items()}
        self._vocabulary = sorted(self._rarity)
        self._words = {name: self._one_length(found) for name, found in counts.items()}
        self._phrases = {
            name: tuple((phrase, tokens(phrase)) for phrase in phrases.get(name, ())) for name in self._words
        }

    def _one_length(self, counts: Mapping[str, float]) -> dict[str, float]:
        weights = {token: self._rarity[token] * math.log1p(count) for token, count in counts.items()}
        length = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        return {token: weight / length for token, weight in weights.items()}

    def rank(self, wanted: str) -> list[Ranked]:
        """Return every description that has anything of what is wanted, best first, then by id."""
        spoken = {stem(word): word for word in reversed(words_of(wanted))}
        known = {token: self._known(token) for token in spoken}
        line = [known[token][0] for token in tokens(wanted)]
        there = set(line)
        whole = math.sqrt(sum(self._rarity.get(word, UNKNOWN) ** 2 for word, _ in known.values()))
        found: list[Ranked] = []
        for name, weights in self._words.items():
            gains = {
                spoken[token]: self._rarity[word] * sure * weights[word]
                for token, (word, sure) in known.items()
                if word in weights
            }
            score = sum(gains.values())
            for phrase, words in self._phrases[name]:
                if words and there.issuperset(words) and contains(line, words):
                    part = PHRASE if len(words) > 1 else PHRASE / 2
                    gains[phrase] = part * sum(self._rarity.get(word, 0.0) * weights.get(word, 0.0) for word in words)
                    score += gains[phrase]
            if score:
                ordered = sorted(gains, key=lambda item: (-gains[item], item))
                found.append(Ranked(name, score / (score + whole * HALF_SURE), tuple(ordered)))
        return sorted(found, key=lambda item: (-item.confidence, item.id))

    def _known(self, token: str) -> tuple[str, float]:
        """Return the word of the index that a word means, and how surely; itself where there is none."""
        if token in self._rarity or len(token) < TYPO_MIN:
            return token, 1.0
        from rapidfuzz import fuzz, process  # only a mistake needs it

        near = process.extractOne(token, self._vocabulary, scorer=fuzz.ratio, score_cutoff=ALIKE)
        return (near[0], MISTYPED) if near else (token, 1.0)
