"""Films: finished clips end to end, of one size and rate, in sync, and a word about each clip that is no good."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import anyio.to_thread
import av
import numpy as np
import pytest
from draft_harness import Harness, harness, paths_of

from darkroom.adapters.base import Call, Cancelled, Failed
from darkroom.adapters.draft import marks
from darkroom.adapters.draft.intake import job_of
from darkroom.domain.kinds import Mode, Role
from darkroom.errors import InvalidRequest

pytestmark = pytest.mark.anyio
RATE = 48_000
RED, GREEN, BLUE = (220, 30, 30), (30, 200, 60), (40, 60, 220)
Colour = tuple[int, int, int]
Clip = tuple[Path, float]


def write(
    path: Path,
    colour: Colour,
    seconds: float = 1.0,
    *,
    fps: Fraction | int = 24,
    size: tuple[int, int] = (128, 72),
    tone: int | None = 440,
    tags: dict[str, str] | None = None,
) -> Clip:
    """Write a clip of one colour with a sine tone (Hz) that is as long, 44.1 kHz and mono, or without sound."""
    frames_of: Any = av.VideoFrame
    sound_of: Any = av.AudioFrame
    with av.open(str(path), "w") as opened:
        container: Any = opened
        container.metadata.update(tags or {})
        webm = path.suffix == ".webm"
        video = container.add_stream("libvpx" if webm else "libx264", rate=fps)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio = None if tone is None else container.add_stream("libopus" if webm else "aac", rate=RATE, layout="mono")
        for number in range(round(seconds * fps)):
            frame = frames_of.from_ndarray(np.full((size[1], size[0], 3), colour, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, 1 / Fraction(fps)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None and tone is not None:
            wave = np.sin(2 * np.pi * tone * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)[None] * 0.5
            for at in range(0, wave.shape[1], 960):
                block = sound_of.from_ndarray(np.ascontiguousarray(wave[:, at : at + 960]), "fltp", "mono")
                block.sample_rate, block.pts, block.time_base = RATE, at, Fraction(1, RATE)
                container.mux(audio.encode(block))
            container.mux(audio.encode())
    return path, seconds


def call_of(draft: Harness, clips: list[Clip], **fields: Any) -> Call:
    """Return the call that joins these clips, whose lengths are known as those of inputs are."""
    call = draft.call("", mode=Mode.JOIN_VIDEO, inputs=[(Role.CLIP, path) for path, _ in clips], **fields)
    inputs = tuple(
        item.model_copy(update={"duration": seconds, "name": path.name})
        for item, (path, seconds) in zip(call.request.inputs, clips, strict=True)
    )
    object.__setattr__(call, "request", call.request.model_copy(update={"inputs": inputs}))
    return call


async def film(draft: Harness, clips: list[Clip], **fields: Any) -> Path:
    call = call_of(draft, clips, **{"size": (128, 72), **fields})
    answer = await draft.end(await draft.submit(call), call)
    assert not isinstance(answer, Failed), answer.error
    assert answer.notes == {}, "nothing was drawn, so nothing was understood"
    assert not list(call.scratch.glob(".*"))
    [path] = paths_of(answer)
    return path


async def refused(draft: Harness, clips: list[Clip]) -> str:
    """Return how the error of a film that cannot be joined reads."""
    call = call_of(draft, clips)
    answer = await draft.end(await draft.submit(call), call)
    assert isinstance(answer, Failed)
    assert not answer.billed
    assert not list(call.scratch.glob("*"))
    assert answer.error.hint == "Nothing was charged. Give that clip whole, or join the others without it."
    return answer.error.message


def frames(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(np.float32) for frame in container.decode(video=0)]


def sound(path: Path) -> Any:
    with av.open(str(path)) as container:
        assert container.streams.audio[0].rate == RATE
        assert container.streams.audio[0].layout.name == "stereo"
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


def level(samples: Any, start: float, end: float) -> float:
    """Return the loudness (root of the mean square) between two times in seconds."""
    return float(np.sqrt((samples[:, round(start * RATE) : round(end * RATE)] ** 2).mean()))


def pitch(samples: Any, start: float, end: float) -> float:
    """Return the strongest frequency (Hz) between two times in seconds."""
    part = samples[0, round(start * RATE) : round(end * RATE)]
    return float(np.argmax(np.abs(np.fft.rfft(part))) * RATE / part.size)


def is_colour(pixel: Any, colour: Colour) -> bool:
    return bool(np.abs(pixel - colour).max() < 14)


async def test_two_drafts_are_joined_with_their_sound_and_silence(draft: Harness) -> None:
    sea = await draft.files("a stormy sea", mode=Mode.TEXT_TO_VIDEO, size=(160, 90), duration=1.0)
    city = await draft.files("a city at night", mode=Mode.TEXT_TO_VIDEO, size=(160, 90), duration=1.5, audio=False)
    path = await film(draft, [(sea[0], 1.0), (city[0], 1.5)], size=(160, 90))
    shown, first, second = frames(path), frames(sea[0]), frames(city[0])
    assert len(shown) == 60
    near = [float(np.abs(one - other).mean()) for one, other in zip(shown, [*first, *second], strict=True)]
    assert max(near) < 8, "every frame is the one of its clip"
    assert np.abs(shown[23] - second[0]).mean() > 15
    heard = sound(path)
    assert abs(heard.shape[1] / RATE - 2.5) < 0.03
    assert level(heard, 0.3, 0.7) > 0.01
    assert level(heard, 1.2, 2.4) < 0.001
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.pix_fmt, video.average_rate) == ("h264", "yuv420p", 24)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


async def test_other_sizes_rates_and_containers_come_to_those_of_the_first(draft: Harness, tmp_path: Path) -> None:
    one = write(tmp_path / "a.mp4", RED, 0.8, fps=25)
    tall = write(tmp_path / "b.mp4", GREEN, 0.5, fps=30, size=(72, 128))
    webm = write(tmp_path / "c.webm", BLUE, 1.0, fps=12, size=(64, 64))
    path = await film(draft, [one, tall, webm])
    shown = frames(path)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 25
    assert len(shown) == round(2.3 * 25)
    assert shown[0].shape == (72, 128, 3)
    assert is_colour(shown[0][36, 4], RED)
    assert is_colour(shown[19][36, 64], RED)
    assert is_colour(shown[21][36, 64], GREEN)
    assert shown[21][36, 10].max() < 12, "beside a tall clip is black"
    assert is_colour(shown[-1][36, 64], BLUE)
    assert shown[-1][36, 10].max() < 12


@pytest.mark.parametrize("fps", [12, 60])
async def test_a_film_may_have_another_rate(draft: Harness, tmp_path: Path, fps: int) -> None:
    path = await film(
        draft, [write(tmp_path / "a.mp4", RED, 0.5), write(tmp_path / "b.mp4", BLUE, 0.5)], options={"fps": fps}
    )
    shown = frames(path)
    assert len(shown) == fps
    assert is_colour(shown[fps // 2 - 1][36, 64], RED)
    assert is_colour(shown[fps // 2][36, 64], BLUE)


async def test_twenty_odd_clips_do_not_drift(draft: Harness, tmp_path: Path) -> None:
    rate = Fraction(30_000, 1001)
    odd = write(tmp_path / "a.mp4", RED, float(7 / rate), fps=rate, size=(64, 64), tone=600)
    still = write(tmp_path / "b.mp4", BLUE, 0.31, fps=100, size=(64, 64), tone=None)
    path = await film(draft, [odd, still] * 10, options={"fps": 24})
    total = 10 * (odd[1] + still[1])
    shown, heard = frames(path), sound(path)
    assert abs(len(shown) / 24 - total) <= 1 / 24
    assert abs(heard.shape[1] / RATE - len(shown) / 24) < 0.03
    blue = [bool(picture[32, 32, 2] > 120) for picture in shown]
    for number, is_blue in enumerate(blue[1:-1], 1):
        if is_blue == blue[number - 1] == blue[number + 1]:
            quiet = level(heard, number / 24 + 0.005, (number + 1) / 24 - 0.005) < 0.05
            assert quiet is is_blue, f"frame {number}: the tone is heard with the red clip alone"


async def test_a_tone_keeps_its_pitch_and_begins_with_its_clip(draft: Harness, tmp_path: Path) -> None:
    low, high = write(tmp_path / "a.mp4", RED, 1.0, tone=300), write(tmp_path / "b.webm", BLUE, 1.0, tone=900)
    heard = sound(await film(draft, [low, high]))
    assert abs(pitch(heard, 0.1, 0.95) - 300) < 3
    assert abs(pitch(heard, 1.05, 1.9) - 900) < 3


async def test_a_fade_goes_through_black_and_silence(draft: Harness, tmp_path: Path) -> None:
    clips = [write(tmp_path / "a.mp4", RED), write(tmp_path / "b.mp4", BLUE)]
    path = await film(draft, clips, options={"transition": "fade"})
    shown, heard = frames(path), sound(path)
    assert len(shown) == 48
    assert is_colour(shown[0][36, 64], RED)
    assert is_colour(shown[19][36, 64], RED)
    assert [bool(shown[at][36, 64].max() < 60) for at in (23, 24)] == [True, True]
    assert 60 < shown[22][36, 64][0] < 180
    assert is_colour(shown[47][36, 64], BLUE)
    assert level(heard, 0.98, 1.02) < level(heard, 0.5, 0.6) / 4
    assert level(heard, 1.9, 1.97) > 0.2, "the film's end is not faded"


@pytest.mark.parametrize(("audio", "tones"), [(False, 440), (None, None)])
async def test_a_film_is_silent_if_asked_or_if_all_its_clips_are(
    draft: Harness, tmp_path: Path, audio: bool | None, tones: int | None
) -> None:
    clips = [write(tmp_path / f"{name}.mp4", RED, 0.3, tone=tones) for name in "ab"]
    with av.open(str(await film(draft, clips, audio=audio))) as container:
        assert [stream.type for stream in container.streams] == ["video"]


async def test_one_clip_is_a_film_too_and_an_odd_size_becomes_even(draft: Harness, tmp_path: Path) -> None:
    shown = frames(await film(draft, [write(tmp_path / "a.mp4", GREEN, 0.5)], size=(129, 73)))
    assert (len(shown), shown[0].shape) == (12, (72, 128, 3))


@pytest.mark.parametrize("metadata", ["full", "minimal", "none"])
async def test_a_film_says_what_it_is_made_of(draft: Harness, tmp_path: Path, metadata: str) -> None:
    drawn = write(tmp_path / "a.mp4", RED, 0.2, tone=None, tags={"comment": f"a draft: {marks.SOURCE_TYPE}"})
    real = write(tmp_path / "b.mp4", RED, 0.2, tone=None)
    for clips, kind in (([drawn, real], marks.SYNTHETIC_TYPE), ([real, real], marks.MIXED_TYPE)):
        with av.open(str(await film(draft, clips, options={"_metadata": metadata}))) as container:
            comment = container.metadata.get("comment", "")
        assert comment.endswith(f"digitalSourceType: {kind}") is (metadata != "none")
        assert bool(comment) is (metadata != "none")


async def test_a_clip_that_is_cut_off_is_named(draft: Harness, tmp_path: Path) -> None:
    good = write(tmp_path / "good.mp4", RED, 0.3)
    bad = tmp_path / "bad.webm"
    data = write(tmp_path / "whole.webm", BLUE, 2.0, tone=None)[0].read_bytes()
    bad.write_bytes(data[: len(data) // 2])
    assert await refused(draft, [good, (bad, 2.0)]) == "Clip 2 (bad.webm) is cut off."


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
async def test_a_clip_that_is_damaged_is_named(draft: Harness, tmp_path: Path, suffix: str) -> None:
    good = write(tmp_path / "good.mp4", RED, 0.3)
    bad = tmp_path / f"bad{suffix}"
    bad.write_bytes(b"no clip at all" * 100)
    assert await refused(draft, [(bad, 1.0), good]) == f"Clip 1 (bad{suffix}) is cut off or damaged."


async def test_a_clip_that_is_gone_or_has_no_pictures_is_named(draft: Harness, tmp_path: Path) -> None:
    good = write(tmp_path / "good.mp4", RED, 0.3)
    assert await refused(draft, [good, (tmp_path / "gone.mp4", 1.0)]) == "Clip 2 (gone.mp4) is no longer kept."
    only_sound = tmp_path / "sound.mp4"
    with av.open(str(only_sound), "w") as opened:
        container: Any = opened
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        container.mux(stream.encode(None))
    assert "Clip 1 (sound.mp4)" in await refused(draft, [(only_sound, 1.0), good])


async def test_a_film_is_called_off_between_two_frames(draft: Harness, tmp_path: Path) -> None:
    long = await anyio.to_thread.run_sync(lambda: write(tmp_path / "long.mp4", GREEN, 20, fps=30))
    call = call_of(draft, [long, long, long], size=(640, 360))
    operation = await draft.submit(call)
    await draft.until_running(operation, call, "clip 1 of 3")
    assert isinstance(await draft.adapter.cancel(operation, call), Cancelled)
    answer = await draft.end(operation, call)
    assert isinstance(answer, Failed)
    again = await film(draft, [write(tmp_path / "a.mp4", RED, 0.2)])
    assert len(frames(again)) == 5, "the worker is free for the next film"
    assert not list(call.scratch.glob("*"))


async def test_a_film_does_not_wait_for_a_clip_that_is_drawn(tmp_path: Path) -> None:
    async with harness(tmp_path) as draft:
        slow = draft.call("a stormy sea", mode=Mode.TEXT_TO_VIDEO, size=(1280, 720), duration=15.0)
        operation = await draft.submit(slow)
        await draft.until_running(operation, slow)
        await film(draft, [write(tmp_path / "a.mp4", RED, 0.2)])
        assert not isinstance(await draft.adapter.poll(operation, slow), Failed)
        assert draft.adapter.worker_pid("join") not in (None, draft.adapter.worker_pid("video"))
        assert isinstance(await draft.adapter.cancel(operation, slow), Cancelled)


async def test_what_is_no_clip_or_was_not_looked_at_is_refused(draft: Harness, tmp_path: Path) -> None:
    good = write(tmp_path / "good.mp4", RED, 0.2)
    unknown = call_of(draft, [good, (good[0], 0)])
    other = draft.call("", mode=Mode.JOIN_VIDEO, inputs=[(Role.REFERENCE, good[0])])
    small = call_of(draft, [good], size=(32, 32))
    several = call_of(draft, [good], n=2)
    odd = call_of(draft, [good], options={"transition": "wipe"})
    cases = ((unknown, "images"), (other, "images"), (small, "size"), (several, "n"), (odd, "options.transition"))
    for call, field in cases:
        with pytest.raises(InvalidRequest) as caught:
            job_of(call)
        assert caught.value.field == field
