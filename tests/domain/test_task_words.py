"""What is read from the words of a task."""

import pytest

from darkroom.domain.task_words import READERS, read_audience, read_name, read_platform, read_style, read_subject


@pytest.mark.parametrize(
    ("task", "subject"),
    [
        ("plan and draft a 15 s product video for blue running shoes", "blue running shoes"),
        ("make a 30-second vertical product video of our new oat milk latte for busy parents", "oat milk latte"),
        ("brand kit for Lumen, a sleep app", "sleep app"),
        ("Launch our new folding bike 'Tern' in Berlin", "folding bike"),
        ("launch campaign for a coffee subscription aimed at remote workers", "coffee subscription"),
        ("sneaker promo video, 15s", "sneaker"),
        ("Create a video for Instagram about our ceramic mugs", "ceramic mugs"),
        ("campaign launch for a smart water bottle called HydroPal, targeting beginners", "smart water bottle"),
        ("product film: red headphones, 9:16", "red headphones"),
        ("Produce a commercial for Acme", "Acme"),
        ("launch of the summer sandals collection for women over 40", "summer sandals collection"),
        ("promote our dog food", "dog food"),
        ('I need a brand identity for a bakery named "Crumb & Co"', "bakery"),
        ("15 second video of a leather backpack with a hidden pocket", "leather backpack"),
        ("Please plan a product video. It is for our electric kettle.", "electric kettle"),
        ("a film about a pair of red boots", "red boots"),
        ("a video for our 'Tern'", "Tern"),
        ("video", None),
        ("Make me a brand kit", None),
        ("", None),
    ],
)
def test_the_thing_is_read_in_its_own_words(task: str, subject: str | None) -> None:
    assert read_subject(task) == subject


@pytest.mark.parametrize(
    ("task", "audience"),
    [
        ("a video of our latte for busy parents on TikTok", "busy parents"),
        ("a campaign for socks aimed at runners", "runners"),
        ("a clip of a mug. Audience: tired students", "tired students"),
        ("a video of our latte for Instagram", None),
        ("a video of our latte", None),
        ("video", None),
    ],
)
def test_for_whom_it_is_is_read(task: str, audience: str | None) -> None:
    assert read_audience(task) == audience


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("brand kit for Lumen, a sleep app", "Lumen"),
        ("a bottle called Hydro Pal", "Hydro Pal"),
        ("a bottle called 'hydro'", "hydro"),
        ('a bakery "Crumb & Co"', "Crumb & Co"),
        ("a commercial for Acme", "Acme"),
        ("a brand kit for our bakery in Berlin", None),
        ("a brand kit", None),
    ],
)
def test_a_name_is_read(task: str, name: str | None) -> None:
    assert read_name(task) == name


def test_platform_and_style_are_read() -> None:
    assert [read_platform(text) for text in ("on tiktok", "for Insta", "nowhere")] == ["TikTok", "Instagram", None]
    assert read_style("a film in a warm, grainy look") is None
    assert read_style("a film in a grainy analogue look") == "grainy analogue"
    assert read_style("style: stop motion, paper") == "stop motion, paper"


def test_every_reader_is_silent_about_nothing() -> None:
    assert {name: read("") for name, read in READERS.items()} == dict.fromkeys(READERS)
