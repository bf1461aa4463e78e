"""What a task says the work may cost, and of how many of it are wanted."""

import pytest

from darkroom.domain.spending import (
    find_caps,
    find_several,
    find_unsure,
    read_cap,
    task_caps,
    task_unsure,
    without_caps,
)

FILMS = ("film", "video", "ad", "clip")


@pytest.mark.parametrize(
    ("text", "usd"),
    [
        ("a product video for blue shoes, costs at most $2", 2),
        ("a product video that costs at most $2", 2),
        ("a film for our chair costing no more than $2", 2),
        ("product video for blue shoes for under 3 dollars", 3),
        ("Film of a lamp. Do not spend more than $4.50", 4.5),
        ("it must not cost more than 20 cents", 0.2),
        ("the whole thing should cost less than $10", 10),
        ("spend no more than two dollars", 2),
        ("keep it under $3", 3),
        ("stay within $2", 2),
        ("don't exceed $3", 3),
        ("cap it at $2", 2),
        ("limit: $2", 2),
        ("a film, budget $4", 4),
        ("with a budget of 5 dollars", 5),
        ("a $2 budget", 2),
        ("a film of our mug max $1", 1),
        ("max_cost=2", 2),
        ("for $3 max", 3),
        ("no more than 5 bucks", 5),
        ("a film for my $89 chair, max $1", 1),
        ("max $5, at most $3", 3),
        ("tea, no more than 1,50 dollars", 1.5),
        ("tea, at most $1,50", 1.5),
        ("tea, at most $1,500.50", 1500.5),
        ("tea, not over 1 USD", 1),
        ("tea, max USD 3", 3),
        ("tea, at most US$5", 5),
        ("keep it under a dollar", 1),
        ("a film of tea that costs at most a dollar", 1),
        ("a film of tea, cheaper than a dollar", 1),
        ("at most a cent", 0.01),
        ("a film of tea, at most seventeen dollars", 17),
        ("I don't want to spend more than $2", 2),
        ("don't go over $3", 3),
        ("spend only $2", 2),
        ("spend at most $2 on the film", 2),
        ("spend at most $50 on wine", None),
        ("a poster with the words 'max $5'", None),
        ("a film of tea, at most half a dollar", None),
        ("a film of tea, at most twenty-five dollars", None),
        ("a film of tea, at most $1.500", None),
        ("at most a dollar bill", None),
        ("our $89 chair", None),
        ("a lamp that costs $20", None),
        ("lunch boxes under $5", None),
        ("a video for meals that cost under $5", None),
        ("$5 off for the first 500 orders", None),
        ("save up to $30", None),
        ("up to $50 off", None),
        ("meals at most $4 each", None),
        ("a media budget of $5,000", None),
        ("ad budget: $200", None),
        ("for families on a $5 budget", None),
        ("a chair priced under $100", None),
        ("max price $5", None),
        ("people who spend up to $5", None),
        ("free shipping on orders under $30", None),
        ("for $3", None),
    ],
)
def test_the_most_that_the_work_may_cost_is_read_and_a_price_is_not(text: str, usd: float | None) -> None:
    assert min((one.value for one in find_caps(text)), default=None) == usd


def test_a_cap_has_its_place_with_the_words_that_make_it_one() -> None:
    text = "A film of a mug, costs at most $2, please. A $3 budget."
    assert [text[one.start : one.end] for one in find_caps(text)] == ["costs at most $2", "$3 budget"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lunch boxes under $5, please", ["under $5"]),
        ("a film that has a budget of 5 euros", ["a budget of 5 euros"]),
        ("a film, at most \N{EURO SIGN}5", ["at most \N{EURO SIGN}5"]),
        ("a film, at most three euros", ["at most three euros"]),
        ("a film, at most twenty-five dollars", ["at most twenty-five dollars"]),
        ("a film, at most $1.500", ["at most $1.500"]),
        ("a film, max 5 Canadian dollars", ["max 5 Canadian dollars"]),
        ("a film, max CHF 5", ["max CHF 5"]),
        ("a film for half a dollar at most", ["half a dollar at most"]),
        ("films, spend at most 5 cents each", ["spend at most 5 cents"]),
        ("spend at most $50 on wine", ["spend at most $50"]),
        ("a poster with the words 'max \N{EURO SIGN}5'", []),
        ("our $89 chair, costs at most $2", []),
        ("chairs priced under $100, beers up to 3 euros each", []),
    ],
)
def test_what_may_be_a_cap_or_a_price_is_named(text: str, words: list[str]) -> None:
    assert [one.value for one in find_unsure(text)] == words


@pytest.mark.parametrize(
    ("text", "caps", "unsure"),
    [
        ("a photo of tea, budget of $5", ["budget of $5"], []),
        ("write a text, it must cost at most 1 cent", ["it must cost at most 1 cent"], []),
        ("write a text and spend at most $1", ["spend at most $1"], []),
        ("plan a dinner, budget of $50", [], ["budget of $50"]),
        ("find hotels that cost at most $100", [], ["cost at most $100"]),
        ("plan a dinner", [], []),
    ],
)
def test_a_task_about_anything_is_capped_by_plain_words_only(text: str, caps: list[str], unsure: list[str]) -> None:
    assert [text[one.start : one.end] for one in task_caps(text)] == caps
    assert [one.value for one in task_unsure(text)] == unsure


def test_the_least_that_a_task_names_is_its_cap() -> None:
    assert read_cap("a film, max $5, at most 20 cents") == 200_000
    assert read_cap("a film") is None


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Five images of a red kite, spend at most 20 cents", "Five images of a red kite"),
        (
            "Photos of a bottle, white background, costs at most $1, square",
            "Photos of a bottle, white background, square",
        ),
        ("A photo of a kite. I want to spend at most $2.", "A photo of a kite."),
        ("A photo of a kite. I want to spend at most $2 in total, please. No people.", "A photo of a kite. No people."),
        ("A photo of a kite (max $2), square", "A photo of a kite, square"),
        ("With a budget of $2, make a photo of a kite", "make a photo of a kite"),
        ("a photo of a fox and spend at most $2 on it", "a photo of a fox"),
        ("a photo of a fox that costs at most $2 with a hat", "a photo of a fox with a hat"),
        ("a photo of  our $89 chair", "a photo of  our $89 chair"),
    ],
)
def test_the_words_of_a_cap_leave_nothing_behind(text: str, left: str) -> None:
    assert without_caps(text) == left


@pytest.mark.parametrize(
    ("text", "count", "words"),
    [
        ("5 product videos for our chairs", 5, "5 product videos"),
        ("Please make three 8 second ads for our tea", 3, "three 8 second ads"),
        ("I want a couple of clips of a mug", 2, "a couple of clips"),
        ("Launch a mug. We need several films.", 2, "several films"),
    ],
)
def test_several_are_noticed(text: str, count: int, words: str) -> None:
    found = find_several(text, FILMS)
    assert found is not None
    assert (found.value, text[found.start : found.end]) == (count, words)


@pytest.mark.parametrize(
    "text",
    [
        "a film about our course of 12 videos",
        "one film",
        "1 films",
        "a 15 s video",
        "15 second videos of mugs",
        "5 mugs",
    ],
)
def test_one_is_not_taken_for_several(text: str) -> None:
    assert find_several(text, FILMS) is None


def test_where_nothing_is_counted_nothing_is_found() -> None:
    assert find_several("5 films", ()) is None
