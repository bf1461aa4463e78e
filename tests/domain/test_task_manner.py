"""Style, mood and tone of voice in the words of a task."""

import pytest

from darkroom.domain.task_manner import find_looks, read_look, read_style, read_tone
from darkroom.domain.task_words import read_trade


@pytest.mark.parametrize(
    ("task", "look"),
    [
        ("a vertical 8 second ad for our chair, black and white, sad", "black and white, sad"),
        ("a sad black & white video of our mug", "sad black & white"),
        ("a cinematic 8 second film about a blanket", "cinematic"),
        ("a calm, quiet campaign for our tea", "calm, quiet"),
        ("film of our lamp, moody and slow", "moody and slow"),
        ("A film of our mug. Make it playful.", "playful"),
        ("it should feel calm and very warm.", "calm and very warm"),
        ("video of a mug in black and white", "black and white"),
        ("a film in a warm, grainy look", "warm, grainy"),
        ("a film in a grainy analogue look", "grainy analogue"),
        ("a film of a mug with a quiet, cold feel", "quiet, cold"),
        ("style: stop motion, paper", "stop motion, paper"),
        ("style: sad, black and white", "sad, black and white"),
        ("a bright lamp", None),
        ("a film of our bold coffee", None),
        ("Luma, a dark chocolate brand", None),
        ("a dark chocolate ad", None),
    ],
)
def test_style_and_mood_are_read_where_they_are_of_what_is_made(task: str, look: str | None) -> None:
    assert read_look(task) == look


@pytest.mark.parametrize(
    ("task", "tone"),
    [
        ("a brand kit for a bakery, tone: dry and short, style: minimal", "dry and short"),
        ("Tone of voice is friendly but firm.", "friendly but firm"),
        ("write in a plain tone", "plain"),
        ("a brand that sounds like a good doctor", "like a good doctor"),
        ("a brand kit for a bakery", None),
    ],
)
def test_the_tone_of_voice_is_read(task: str, tone: str | None) -> None:
    assert read_tone(task) == tone


def test_where_nothing_is_spoken_a_tone_is_of_the_pictures() -> None:
    assert read_style("a film of a mug, tone: sad, style: minimal") == "sad, minimal"
    assert read_style("tone: in a calm mood") == "in a calm mood"
    assert read_style("a mug") is None


def test_manner_is_no_part_of_the_thing_and_has_its_place() -> None:
    text = "a sad film of our desk lamp, black and white"
    assert [text[one.start : one.end] for one in find_looks(text)] == ["sad", "black and white"]
    assert read_trade(text) == "desk lamp"
