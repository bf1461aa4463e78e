"""Days, offers, last words, platforms, styles and languages in the words of a task."""

import pytest

from darkroom.domain.task_facts import (
    MOST,
    is_english,
    opening,
    read_closing,
    read_date,
    read_offer,
    read_platform,
)


@pytest.mark.parametrize(
    ("task", "day"),
    [
        ("launch it on 2027-02-01", "2027-02-01"),
        ("out 1.2.2027", "1.2.2027"),
        ("on 3 March 2027", "3 March 2027"),
        ("on the 3rd of March", "3rd of March"),
        ("on March 3rd, 2027", "March 3rd, 2027"),
        ("in March", "March"),
        ("in early May", "early May"),
        ("spring 2027", "spring 2027"),
        ("Q2 2027", "Q2 2027"),
        ("on Monday", "Monday"),
        ("tomorrow", "tomorrow"),
        ("for Black Friday", "Black Friday"),
        ("20 % off until 31 January", None),
        ("teaser on 1 May, launch on 8 May", "8 May"),
        ("posts on 1 May and 8 May", None),
        ("our march of the penguins", None),
        ("a lamp", None),
    ],
)
def test_the_day_is_read_as_it_is_said(task: str, day: str | None) -> None:
    assert read_date(task) == day


@pytest.mark.parametrize(
    ("task", "offer"),
    [
        ("boots, 20% off", "20% off"),
        ("boots with 20 percent discount for members only, now", "20 percent discount for members only"),
        ("a discount of 5 EUR on boots", "a discount of 5 EUR"),
        ("$10 off with code BOOT", "$10 off with code BOOT"),
        ("buy one, get one free", "buy one, get one free"),
        ("free delivery and 2 months for free", "free delivery and 2 months for free"),
        ("Offer: a free gift, wrapped. Then more", "a free gift, wrapped"),
        ("boots at 20 EUR", None),
        ("gluten free bread", None),
    ],
)
def test_an_offer_is_read_in_its_own_words(task: str, offer: str | None) -> None:
    assert read_offer(task) == offer


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("ending with Buy now", "Buy now"),
        ("it ends with the words Light, anywhere", "Light"),
        ('ending on "Don\'t wait"', "Don't wait"),
        ("call to action: Try it today for TikTok", "Try it today"),
        ("with the call to action \u201cTaste it\u201d", "Taste it"),
        ("CTA = Shop the sale!", "Shop the sale!"),
        ("ending with a close-up of the logo", None),
        ("an open ending", None),
    ],
)
def test_last_words_are_read_and_last_pictures_are_not(task: str, words: str | None) -> None:
    assert read_closing(task) == words


def test_the_platform_is_read() -> None:
    assert [read_platform(text) for text in ("on tiktok", "for Insta", "nowhere")] == ["TikTok", "Instagram", None]


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("a film about our lamp", True),
        ("lamp", True),
        ("a campaign for Maison de la Lampe in Lyon", True),
        ('a film that ends with "Das hier und der Anfang"', True),
        ("Ein Film über unsere Lampe", False),
        ("Un vídeo para nuestra lámpara", False),
        ("Une vidéo pour notre lampe", False),
        ("Un video per la nostra lampada", False),
        ("Een film voor onze lamp", False),
        ("видео про лампу", False),
        ("", True),
    ],
)
def test_other_languages_are_noticed(text: str, english: bool) -> None:
    assert is_english(text) is english


def test_only_the_opening_of_a_long_task_is_read() -> None:
    assert opening("a  \t lamp \n \n for readers") == "a lamp\nfor readers"
    assert len(opening("word " * 10_000)) == MOST
    assert read_date(f"{'word ' * 10_000} on 2027-02-01") is None
