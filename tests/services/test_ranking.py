"""Ranking of descriptions by what somebody wants."""

import sys
from concurrent.futures import ThreadPoolExecutor

from darkroom.services.ranking import Ranking, contains, stem, tokens

DESCRIBED = {
    "film": [(3.0, "video clip reel"), (1.0, "Makes moving pictures of products.")],
    "photo": [(3.0, "photo picture"), (1.0, "Makes still pictures of products.")],
    "mail": [(3.0, "newsletter"), (1.0, "Writes letters, in a series, to customers.")],
}
RANKING = Ranking(DESCRIBED, {"film": ("moving pictures",), "mail": ("drip series", "")})


def ids(wanted: str) -> list[str]:
    return [item.id for item in RANKING.rank(wanted)]


def test_endings_and_common_words_do_not_count() -> None:
    assert tokens("I want the letters that we are writing") == (stem("letters"), stem("writing"))
    assert ids("writing a letter") == ["mail"]


def test_threads_do_not_mix_the_words_that_they_take_apart() -> None:
    words = [f"{first}{end}" for first in ("paint", "reli", "hop", "nation") for end in ("ing", "ers", "ed", "al", "s")]
    expected = list(map(stem.__wrapped__, words))
    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(stem.__wrapped__, words * 200))
    finally:
        sys.setswitchinterval(often)
    assert found == expected * 200


def test_a_word_weighs_by_where_it_stands() -> None:
    found = RANKING.rank("a picture of a product")
    assert [item.id for item in found] == ["photo", "film"]
    assert found[0].confidence > found[1].confidence


def test_a_mistyped_word_counts_less_than_a_right_one() -> None:
    right, wrong = RANKING.rank("newsletter")[0], RANKING.rank("newsleter")[0]
    assert (wrong.id, wrong.found) == ("mail", ("newsleter",))
    assert wrong.confidence < right.confidence


def test_short_words_are_not_guessed() -> None:
    assert ids("clap") == []


def test_a_phrase_counts_beyond_its_words() -> None:
    assert "moving pictures" in RANKING.rank("moving pictures")[0].found
    assert RANKING.rank("moving pictures")[0].confidence > RANKING.rank("pictures, moving")[0].confidence


def test_words_that_nobody_has_lower_the_confidence() -> None:
    assert RANKING.rank("newsletter zzz qqq")[0].confidence < RANKING.rank("newsletter")[0].confidence


def test_nothing_fits_nothing() -> None:
    assert ids("") == ids("the of and") == ids("zebra xylophone") == []
    assert Ranking({}, {}).rank("anything") == []


def test_equals_come_by_name() -> None:
    same = Ranking({"b": [(1.0, "x-ray")], "a": [(1.0, "x-ray")]}, {})
    assert [item.id for item in same.rank("ray")] == ["a", "b"]


def test_a_line_contains_words_in_their_order() -> None:
    assert contains(("a", "b", "c"), ("b", "c"))
    assert not contains(("a", "b", "c"), ("a", "c"))
    assert not contains(("a",), ("a", "b"))
