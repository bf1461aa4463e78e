"""Clips: real H.264 and AAC, of the asked size and length, moving."""

from pathlib import Path
from typing import Any

import anyio
import av
import numpy as np
import pytest
from draft_harness import Harness, paint, paths_of
from PIL import Image

from darkroom.adapters.draft.lettering import mark
from darkroom.adapters.draft.marks import SOURCE_TYPE
from darkroom.adapters.draft.still import load_picture
from darkroom.domain.kinds import Mode, Role
from darkroom.domain.request import MediaInput, Scene
from darkroom.errors import InvalidRequest

pytestmark = pytest.mark.anyio
TEXT = Mode.TEXT_TO_VIDEO


def _frames(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(np.float32) for frame in container.decode(video=0)]


def _boxes(path: Path) -> list[str]:
    """Return the names of the top boxes of an mp4, in order."""
    data, at, names = path.read_bytes(), 0, list[str]()
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        names.append(data[at + 4 : at + 8].decode("latin-1"))
        at += max(8, size)
    return names


async def test_a_clip_is_h264_and_aac_of_the_asked_size_and_length(draft: Harness) -> None:
    [path] = await draft.files("a boat on the sea in the rain", mode=TEXT, size=(322, 182), duration=1.5)
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.width, video.height, video.pix_fmt) == (322, 182, "yuv420p")
        assert video.frames == 36
        assert video.average_rate == 24
        assert container.duration is not None
        assert abs(container.duration / av.time_base - 1.5) < 0.1
    assert _boxes(path).index("moov") < _boxes(path).index("mdat")


async def test_odd_sides_become_even(draft: Harness) -> None:
    [path] = await draft.files("hills", mode=TEXT, size=(161, 91), duration=0.5)
    assert _frames(path)[0].shape == (90, 160, 3)


@pytest.mark.parametrize("fps", [12, 24, 30])
async def test_the_frame_rate_can_be_chosen(draft: Harness, fps: int) -> None:
    [path] = await draft.files("hills", mode=TEXT, size=(128, 72), options={"fps": fps})
    assert len(_frames(path)) == fps


async def test_without_audio_there_is_no_sound_stream(draft: Harness) -> None:
    [path] = await draft.files("hills", mode=TEXT, audio=False, size=(160, 90))
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


async def test_the_sound_is_not_silence(draft: Harness) -> None:
    [path] = await draft.files("a stormy sea", mode=TEXT, size=(160, 90))
    with av.open(str(path)) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert 0.01 < float(np.sqrt((sound**2).mean())) < 0.7


@pytest.mark.parametrize(
    "prompt",
    [
        "static shot of a boat on the sea",
        "static shot, snow in a forest",
        "static shot, a car in the city",
        "static shot, abstract silk",
    ],
)
async def test_things_move_even_when_the_camera_does_not(draft: Harness, prompt: str) -> None:
    [path] = await draft.files(prompt, mode=TEXT, size=(240, 136))
    frames = _frames(path)
    assert np.abs(frames[0] - frames[-1]).mean() > 0.25


async def test_a_supplied_picture_is_what_the_camera_moves_over(draft: Harness, tmp_path: Path) -> None:
    picture = paint(tmp_path / "in.png", (200, 120, 40), (640, 360))
    for role in (Role.FIRST_FRAME, Role.SOURCE):
        [path] = await draft.files("pan right", mode=Mode.IMAGE_TO_VIDEO, inputs=[(role, picture)], audio=False)
        frames = _frames(path)
        assert np.abs(frames[0][90, 280] - (200, 120, 40)).max() < 24
        dark = [int((frame[90, :, 0] < 130).sum()) for frame in (frames[0], frames[-1])]
        assert dark[1] < dark[0] - 20, "panning to the right moves the dark left third out"


async def test_the_mark_of_a_draft_is_not_filmed_a_second_time(draft: Harness, tmp_path: Path) -> None:
    for form in ("png", "jpeg"):
        [still] = await draft.files("a calm sea", size=(640, 360), options={"format": form})
        marked, bare = await anyio.to_thread.run_sync(_read_twice, still)
        sign, (left, top) = mark((640, 360))
        there = np.s_[top : top + sign.height, left : left + sign.width]
        assert marked[there].max() > 180
        assert bare[there].max() < 170, "its letters are gone"
        assert np.array_equal(bare[:top], marked[:top])
    foreign = paint(tmp_path / "in.png", (200, 120, 40), (640, 360))
    assert np.array_equal(*await anyio.to_thread.run_sync(_read_twice, foreign))


def _read_twice(path: Path) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return a picture as it is, and as the engine reads it."""
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB")), np.asarray(load_picture(str(path), "It"))


async def test_a_clip_goes_from_the_first_to_the_last_picture(draft: Harness, tmp_path: Path) -> None:
    red, blue = paint(tmp_path / "a.png", (210, 40, 40)), paint(tmp_path / "b.png", (40, 40, 210))
    inputs = [(Role.FIRST_FRAME, red), (Role.LAST_FRAME, blue)]
    [path] = await draft.files("", mode=Mode.FIRST_LAST_FRAME, inputs=inputs, duration=2.0)
    frames = _frames(path)
    assert len(frames) == 48
    first, middle, last = (frames[at][90, 200] for at in (0, 28, 47))
    assert first[0] > 170
    assert last[2] > 170
    assert middle[0] > 50
    assert middle[2] > 50


async def test_references_colour_a_clip(draft: Harness, tmp_path: Path) -> None:
    red = paint(tmp_path / "red.png", (220, 30, 30))
    [path] = await draft.files("hills", mode=Mode.REFERENCE_TO_VIDEO, inputs=[(Role.STYLE, red)], size=(160, 90))
    means = _frames(path)[0].reshape(-1, 3).mean(axis=0)
    assert means[0] > means[2] + 30


async def test_a_timeline_shows_its_scenes_in_order(draft: Harness, tmp_path: Path) -> None:
    green = paint(tmp_path / "green.png", (30, 200, 60))
    scenes = (
        Scene(prompt="starry night", duration=1.0),
        Scene(prompt="", image=MediaInput(src=str(green))),
        Scene(prompt="a desert at noon"),
    )
    done = await draft.run("", mode=Mode.TIMELINE, scenes=scenes, duration=3.0, scene_pictures=[green], size=(160, 90))
    frames = _frames(paths_of(done)[0])
    assert len(frames) == 72
    night, picture, desert = (frames[at].reshape(-1, 3).mean(axis=0) for at in (6, 40, 66))
    assert night.mean() < 90
    assert picture[1] > picture[0] + 50
    assert desert.mean() > 120
    assert done.notes["understood"] == ["starry night", "desert", "noon"]


@pytest.mark.parametrize("kept", ["full", "minimal", "none"])
async def test_a_clip_says_what_it_is(draft: Harness, kept: str) -> None:
    options = {"_metadata": kept, "fps": 12}
    [path] = await draft.files("hills of Sköne", mode=TEXT, size=(128, 72), duration=0.5, seed=4242, options=options)
    with av.open(str(path)) as container:
        text = str(dict(container.metadata))
    assert (SOURCE_TYPE in text) == (kept != "none")
    assert ("darkroom" in text) == (kept != "none")
    assert ("Sköne" in text) == ("4242" in text) == (kept == "full")


async def test_the_same_request_gives_the_same_frames(draft: Harness) -> None:
    one, two = [(await draft.files("a boat on the sea", mode=TEXT, size=(160, 90), seed=1))[0] for _ in range(2)]
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("n", {"n": 2}),
        ("duration", {"duration": 15.5}),
        ("options.fps", {"options": {"fps": 25}}),
        ("images", {"mode": Mode.IMAGE_TO_VIDEO}),
        ("images", {"mode": Mode.FIRST_LAST_FRAME}),
        ("scenes", {"mode": Mode.TIMELINE}),
        ("duration", {"mode": Mode.TIMELINE, "scenes": (Scene(prompt="a", duration=9), Scene(prompt="b", duration=9))}),
    ],
)
async def test_what_it_cannot_do_is_refused(draft: Harness, field: str, options: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"mode": TEXT, **options}
    with pytest.raises(InvalidRequest) as caught:
        await draft.submit(draft.call(**fields))
    assert caught.value.field == field


@pytest.mark.parametrize("prompt", ["\x00\x1b[2J", "🦊🌊" * 900, "عاصفة \u202e", "sea " * 8_000])
async def test_hostile_prompts_make_a_clip(draft: Harness, prompt: str) -> None:
    [path] = await draft.files(prompt, mode=TEXT, size=(128, 72), duration=0.5, options={"fps": 12})
    assert len(_frames(path)) == 6
