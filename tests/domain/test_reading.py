"""What plain English says of length, shape and number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.domain.kinds import Kind
from darkroom.domain.reading import (
    find_durations,
    find_ratios,
    find_resolutions,
    folded,
    read_count,
    read_duration,
    read_film_ratio,
    read_money,
    read_ratio,
    read_resolution,
    read_size,
    size_of,
    without,
)
from darkroom.domain.request import RESOLUTIONS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("plan a 15 s product video", 15),
        ("a 30-second spot", 30),
        ("ten second clip of a dancer", 10),
        ("forty-five seconds", 45),
        ("half a minute film", 30),
        ("half-minute spot", 30),
        ("a minute-long film", 60),
        ("a minute film of the harbour", 60),
        ("one minute long", 60),
        ("1 min", 60),
        ("a 1:30 min spot", 90),
        ("2 minutes and 30 seconds", 150),
        ("2.5 seconds", 2.5),
        ("12 seconds long", 12),
        ("tell it in 15 seconds", 15),
        ("video (10 sec)", 10),
        ("30s vertical clip", 30),
        ("video of a cat, 30s", 30),
        ("runtime: 60s", 60),
        ("80s long", 80),
        ("5s loop", 5),
        ("a 5 s clip, 5 seconds!", 5),
        ("a 90s kid's room", None),
        ("an 80s arcade", None),
        ("60s commercial", None),
        ("30s furniture in the hall", None),
        ("in the 80's", None),
        ("'90s music", None),
        ("clips of 4 to 8 seconds", None),
        ("4-8 s", None),
        ("10 s or 15 s", None),
        ("a 10 s clip and a 15 s clip", None),
        ("the first 3 seconds", None),
        ("every 5 seconds", None),
        ("less than 20 s", None),
        ("0 s", None),
        ("10 cats", None),
        ("", None),
    ],
)
def test_a_length_is_read_where_one_is_meant(text: str, seconds: float | None) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        ("9:16", "9:16"),
        ("a 16x9 video", "16:9"),
        ("16 by 9 please", "16:9"),
        ("9/16", "9:16"),
        ("vertical video of a cat", "9:16"),
        ("vertical cinematic clip of a cat", "9:16"),
        ("make it vertical", "9:16"),
        ("square picture of a cup", "1:1"),
        ("hero shot of a burger, dark backdrop, square", "1:1"),
        ("widescreen film", "16:9"),
        ("in portrait format", "9:16"),
        ("portrait video of a singer", "9:16"),
        ("extend this photograph to landscape format", "16:9"),
        ("for TikTok", "9:16"),
        ("an Instagram story", "9:16"),
        ("for our Instagram reels", "9:16"),
        ("YouTube Shorts", "9:16"),
        ("9:16, vertical", "9:16"),
        ("a vertical 8 second 1080p ad for a chair", "9:16"),
        ("a portrait 8 second video", "9:16"),
        ("8 s ad, vertical for TikTok", "9:16"),
        ("the ad should be vertical", "9:16"),
        ("vertical: a mug", "9:16"),
        ("portrait of a man", None),
        ("a portrait photo of a man", None),
        ("a landscape photo of hills", None),
        ("Times Square at night", None),
        ("a square table", None),
        ("vertical garden photo", None),
        ("at 7:30", None),
        ("a story about a man", None),
        ("9:16 and 1:1", None),
    ],
)
def test_a_ratio_is_read_where_one_is_meant(text: str, ratio: str | None) -> None:
    assert read_ratio(text) == ratio


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        ("a vertical ad", "9:16"),
        ("a film of a mug, 7:3", "7:3"),
        ("a 2.39:1 film", "2.39:1"),
        ("film of a mug in 5:2, please", "5:2"),
        ("16:9 and 9:16 film", "16:9 and 9:16"),
        ("a square table video, 9:16", "9:16"),
        ("square ad for instagram stories", "1:1"),
        ("a film for TikTok", "9:16"),
        ("an ad for our bar, open till 7:30", None),
        ("our 3:1 coffee mix", None),
        ("they won 3:1.", None),
        ("a mug", None),
    ],
)
def test_a_films_ratio_is_told_also_where_there_is_none_such(text: str, ratio: str | None) -> None:
    assert read_film_ratio(text) == ratio


@pytest.mark.parametrize(
    ("text", "kind", "count"),
    [
        ("three variants", None, 3),
        ("4 pictures of cats", Kind.IMAGE, 4),
        ("4 pictures of cats", Kind.VIDEO, None),
        ("forty product pictures", None, 40),
        ("a couple of clips", Kind.VIDEO, 2),
        ("a dozen icons", Kind.IMAGE, 12),
        ("four takes each", Kind.VIDEO, 4),
        ("5 decks", Kind.SLIDES, None),
        ("a picture of three cats", None, None),
        ("two of the pictures", None, None),
        ("3 pictures or 4 pictures", None, None),
        ("0 pictures", None, None),
        ("a 45 second product film", None, None),
        ("a 5 dollar picture", None, None),
        ("a 3d render", None, None),
    ],
)
def test_a_number_of_outputs_is_read_where_one_is_meant(text: str, kind: Kind | None, count: int | None) -> None:
    assert read_count(text, kind) == count


def test_sizes_resolutions_and_amounts_are_read() -> None:
    assert read_size("1080x1350 px") == "1080x1350"
    assert read_size("1080 \N{MULTIPLICATION SIGN} 1920") == "1080x1920"
    assert read_size("9999x100") is None
    assert read_resolution("in 4K") == "4k"
    assert read_resolution("Full HD") == "1080p"
    assert read_resolution("a 4kg cat") is None
    assert read_resolution("a 240p clip") is None
    assert size_of("4k") == "3840x2160"
    assert size_of("1080p", "9:16") == "1080x1920"
    assert read_money("inside 40 dollars") == 40
    assert read_money("at most $1,200.50") == 1200.5
    assert read_money("20 cents") == 0.2
    assert read_money("$1 or $2") is None


@pytest.mark.parametrize(
    ("text", "heights", "left"),
    [
        *((f"make a {height} video of a cat", [height], "make a video of a cat") for height in RESOLUTIONS),
        ("a 2160p clip", ["4k"], "a clip"),
        ("a video in Full-HD", ["1080p"], "a video"),
        ("a cat, uhd, 10 s", ["4k"], "a cat, 10 s"),
        ("HD clip of rain", ["720p"], "clip of rain"),
        ("rain in HD quality", ["720p"], "rain"),
        ("a 2k slow motion video", ["1440p"], "a slow motion video"),
        ("a 240p video", ["240p"], "a video"),
        ("a video of a 4k tv", [], "a video of a 4k tv"),
        ("an hd camera on a desk", [], "an hd camera on a desk"),
    ],
)
def test_heights_in_words_are_read_and_leave_the_text(text: str, heights: list[str], left: str) -> None:
    found = find_resolutions(text)
    assert [one.value for one in found] == heights
    assert without(text, found) == left


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a cat, 15 seconds, 9:16", "a cat"),
        ("a cat for 10 seconds", "a cat"),
        ("a fox in 9:16 ratio at dusk", "a fox at dusk"),
        ("A dog (10 s, 9:16)", "A dog"),
        ("9:16, a lamp", "a lamp"),
        ("a lake, vertical, eight seconds, no people", "a lake, no people"),
        ("a lamp", "a lamp"),
    ],
)
def test_what_was_read_can_be_taken_out(text: str, left: str) -> None:
    found = [*find_durations(text), *find_ratios(text)]
    assert without(text, found) == left
    assert without(text, [*found, *found]) == left


@given(st.text())
def test_folding_keeps_places(text: str) -> None:
    assert len(folded(text)) == len(text)
    assert folded("\u201cIt\u2019s\u201d") == '"it\'s"'


@given(st.text(alphabet="0123456789:.,xs minuteofa'-$", max_size=60))
def test_no_text_breaks_the_readers(text: str) -> None:
    for one in [*find_durations(text), *find_ratios(text)]:
        assert 0 <= one.start < one.end <= len(text)
    assert (read_duration(text) or 1) > 0
    assert read_size(text) is None or "x" in str(read_size(text))
