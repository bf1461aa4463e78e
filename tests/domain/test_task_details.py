"""Prices, places, channels and what must not be, in the words of a task."""

import pytest

from darkroom.domain.task_details import (
    find_channels,
    find_rules,
    read_channels,
    read_place,
    read_price,
    read_rules,
)


@pytest.mark.parametrize(
    ("task", "price"),
    [
        ("our $89 chair", "$89"),
        ("a kids bike that costs $199, for parents", "$199"),
        ("desk lamp Halo (price 49 EUR)", "49 EUR"),
        ("product video for tea at 5 dollars a pack, 6 s", "5 dollars a pack"),
        ("tea at 5 dollars a chest, 6 s", "5 dollars a chest"),
        ("tea for $5 a really good deal", "$5"),
        ("tea for $5 per chest in spring", "$5 per chest"),
        ("tea for $5/kg", "$5/kg"),
        ("tea for $5 each", "$5 each"),
        ("a meal kit at 9 euros a week", "9 euros a week"),
        ("cars from $9,000", "$9,000"),
        ("$10 off our chair, costs at most $2", None),
        ("a $5 mug and a $7 mug", None),
        ("a mug", None),
    ],
)
def test_the_price_of_the_thing_is_read_and_neither_offers_nor_caps(task: str, price: str | None) -> None:
    assert read_price(task) == price


@pytest.mark.parametrize(
    ("task", "place"),
    [
        ("a bakery in Leeds", "in Leeds"),
        ("a jazz night at the Blue Note on Friday", "at the Blue Note"),
        ("cars in New York", "in New York"),
        ("Launch Lumen in Germany in March", "in Germany"),
        ("in March, in English, in Full HD", None),
        ("an ad that ends with 'See you in Leeds'", None),
        ("in Leeds and in York", None),
        ("HR managers at Google", None),
    ],
)
def test_a_place_is_read_with_its_little_word(task: str, place: str | None) -> None:
    assert read_place(task) == place


@pytest.mark.parametrize(
    ("task", "channels"),
    [
        ("a launch on Instagram and LinkedIn only", "Instagram, LinkedIn"),
        ("a launch, Instagram & TikTok only", "Instagram, TikTok"),
        ("only for LinkedIn", "LinkedIn"),
        ("a camera on X and by email", "X, Email"),
        ("posts for Facebook, Pinterest and the launch of a mug", "Facebook, Pinterest"),
        ("channels: newsletter, twitter", "Email, X"),
        ("a bike, no TikTok", "Instagram, LinkedIn, X, Email"),
        ("a scheduling tool for Instagram", None),
        ("on our Instagram account", None),
        ("a mug", None),
    ],
)
def test_the_channels_are_those_that_are_named_or_not_excluded(task: str, channels: str | None) -> None:
    assert read_channels(task) == channels


def test_channels_that_are_named_and_excluded_leave_none() -> None:
    assert read_channels("on TikTok, no TikTok") is None


@pytest.mark.parametrize(
    ("task", "rules"),
    [
        ("a bakery, never mention sugar", "never mention sugar"),
        ("a lamp, no discounts", "no discounts"),
        ("Do not use emojis and never say cheap. Email only.", "Do not use emojis; never say cheap"),
        ("a desk, don't show faces", "don't show faces"),
        ("no TikTok, do not spend more than $2", None),
        ("oat milk without sugar, a no nonsense brand", None),
    ],
)
def test_what_must_not_be_is_read_in_its_own_words(task: str, rules: str | None) -> None:
    assert read_rules(task) == rules


def test_places_are_told() -> None:
    text = "a mug on TikTok only, no sugar"
    assert [text[one.start : one.end] for one in find_channels(text)] == ["TikTok only"]
    assert [text[one.start : one.end] for one in find_rules(text)] == ["no sugar"]
