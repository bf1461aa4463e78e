"""Decoding: what clips really hold, thumbnails of odd pictures, and how the child process ends."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image

from darkroom.artifacts import files, media, sniff
from darkroom.artifacts.base import MediaFacts
from darkroom.artifacts.media import Examined, NotMedia, examine, orientation_of
from darkroom.artifacts.thumbnails import MAX_BYTES, thumbnail_of

pytestmark = pytest.mark.anyio


def test_importing_the_package_loads_no_decoder() -> None:
    code = (
        "import sys; from darkroom.artifacts import base, inputs, local, media, paths, probe_video, thumbnails; "
        "found = {'PIL', 'av', 'numpy'} & set(sys.modules); sys.exit(str(found) if found else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_child_process_is_light() -> None:
    code = (
        "import sys, darkroom.artifacts.probe_video; sys.exit({'pydantic', 'anyio', 'mcp'} & set(sys.modules) != set())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_a_clip_of_black_frames_has_a_poster_too(clip_black: Path) -> None:
    found = await examine(clip_black)
    assert found.thumbnail is not None
    with Image.open(BytesIO(found.thumbnail)) as poster:
        extrema: Any = poster.convert("L").getextrema()
    assert extrema[1] < 20


async def test_a_clip_that_is_turned_is_reported_as_it_is_seen(clip: Path, tmp_path: Path) -> None:
    upright = b"".join(n.to_bytes(4, "big") for n in (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000))
    quarter = b"".join(n.to_bytes(4, "big") for n in (0, 0x10000, 0, 0xFFFF0000, 0, 0, 0, 0, 0x40000000))
    data = clip.read_bytes()
    assert data.count(upright) == 2  # of the film and of its track
    path = tmp_path / "turned.mp4"
    at = data.rindex(upright)
    path.write_bytes(data[:at] + quarter + data[at + len(upright) :])
    found = await examine(path)
    assert (found.facts.width, found.facts.height) == (64, 96)
    assert found.thumbnail is not None
    with Image.open(BytesIO(found.thumbnail)) as poster:
        assert poster.size == (64, 96)
        # A quarter to the right: what was above is right.
        right: Any = poster.convert("RGB").getpixel((52, 48))
        left: Any = poster.convert("RGB").getpixel((12, 48))
    assert right[0] > 180 and left[2] > 180


async def test_a_clip_that_is_cut_off_is_refused(clip: Path, tmp_path: Path) -> None:
    data = clip.read_bytes()
    for part in (0.3, 0.8):
        path = tmp_path / f"{part}.mp4"
        path.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(NotMedia, match=r"cut off|holds no picture"):
            await examine(path)


async def test_a_clip_that_is_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x18ftypisom\0\0\0\0isomiso2" + b"garbage" * 100)
    with pytest.raises(NotMedia, match="cut off or damaged"):
        await examine(path)


async def test_sound_alone_is_no_clip(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as opened:
        container: Any = opened
        stream = container.add_stream("aac", rate=8000)
        frames_of: Any = av.AudioFrame
        frame = frames_of(format="fltp", layout="mono", samples=1024)
        frame.planes[0].update(bytes(4096))
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(NotMedia, match="holds no picture"):
        await examine(path)


async def test_a_playlist_cannot_name_other_files(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text(f"#EXTM3U\n#EXTINF:1,\nfile://{clip}\n", encoding="utf-8")
    with pytest.raises(NotMedia, match="text"):
        await examine(path)
    path.write_text(f"ffconcat version 1.0\nfile {clip}\n", encoding="utf-8")
    with pytest.raises(NotMedia, match="text"):
        await examine(path)


async def test_a_clip_whose_decoding_takes_too_long_is_kept_unchecked(
    clip: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(media, "PROBE_TIMEOUT_S", 0.001)
    assert await examine(clip) == Examined(MediaFacts("video/mp4", ".mp4"), None)
    assert "clip.mp4 was not decoded" in caplog.text


async def test_a_clip_that_ends_the_decoder_is_kept_unchecked(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "_child_environment", lambda: {"PYTHONHOME": "/nowhere"})
    assert await examine(clip) == Examined(MediaFacts("video/mp4", ".mp4"), None)


async def test_an_answer_without_end_is_not_read(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MAX_ANSWER", 10)
    with pytest.raises(NotMedia, match="without end"):
        await examine(clip)


async def test_the_child_is_killed_when_the_work_is_cancelled(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    open_process = anyio.open_process

    async def watched(*args: Any, **kwargs: Any) -> Any:
        scope.cancel()
        started.append(await open_process(*args, **kwargs))
        return started[0]

    monkeypatch.setattr(anyio, "open_process", watched)
    with anyio.CancelScope() as scope:
        await examine(clip)
    assert scope.cancelled_caught
    assert started[0].returncode not in (None, 0)


def test_the_child_gets_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("DARKROOM_HOME", "/nowhere")
    names = media._child_environment()  # pyright: ignore[reportPrivateUsage] because no public answer shows it
    assert "OPENAI_API_KEY" not in names and "DARKROOM_HOME" not in names
    assert "PATH" in names


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F"]
)
def test_every_mode_has_a_thumbnail(mode: str) -> None:
    data = thumbnail_of(Image.new(mode, (600, 300)))
    with Image.open(BytesIO(data)) as small:
        assert (small.format, small.size) == ("WEBP", (512, 256))


def test_a_grey_picture_of_16_bits_is_not_white() -> None:
    with Image.open(BytesIO(thumbnail_of(Image.new("I;16", (20, 20), 0x8000)))) as small:
        grey: Any = small.convert("L").getpixel((10, 10))
    assert 120 <= grey <= 136


def test_a_palette_is_not_averaged() -> None:
    stripes = Image.new("P", (1200, 1200), 0)
    stripes.putpalette([255, 0, 0, 0, 255, 0, 200, 0, 0] + [0, 0, 255] * 253)
    stripes.paste(2, (0, 0, 600, 1200))
    with Image.open(BytesIO(thumbnail_of(stripes))) as small:
        red: Any = small.convert("RGB").getpixel((100, 100))
    assert red[0] > 180 and red[1] < 20


def test_a_transparent_picture_stays_transparent() -> None:
    with Image.open(BytesIO(thumbnail_of(Image.new("RGBA", (20, 20), (255, 0, 0, 0))))) as small:
        assert small.mode == "RGBA"


def test_a_small_picture_is_not_enlarged() -> None:
    with Image.open(BytesIO(thumbnail_of(Image.new("RGB", (20, 10))))) as small:
        assert small.size == (20, 10)


def test_a_turned_picture_has_an_upright_thumbnail(picture: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(BytesIO(picture("JPEG", (400, 200), exif=exif))) as turned:
        data = thumbnail_of(turned)
    with Image.open(BytesIO(data)) as small:
        assert small.size == (200, 400)


def test_the_smallest_thumbnail_is_given_even_when_it_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darkroom.artifacts.thumbnails.MAX_BYTES", 1)
    with Image.open(BytesIO(thumbnail_of(Image.new("RGB", (600, 600))))) as small:
        assert small.size == (128, 128)
    assert MAX_BYTES == 60_000


def test_exif_that_cannot_be_read_means_upright() -> None:
    class Broken:
        def getexif(self) -> Any:
            raise ValueError

    broken: Any = Broken()
    assert orientation_of(broken) == 1


async def test_a_large_header_is_refused_below_the_bound_of_the_library(
    tmp_path: Path, picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(picture())
    monkeypatch.setattr(media, "MAX_OUTPUT_PIXELS", 1199)
    with pytest.raises(NotMedia, match="megapixels"):
        await examine(path)


@pytest.mark.parametrize(
    ("head", "limit", "text"),
    [
        (b"  hello\n\tworld ", 100, "hello world"),
        (b"hello", 2, "he"),
        ("grüße".encode()[:3], 100, "gr"),
        (b"\xef\xbb\xbfhello", 100, "hello"),
        (b"a\0b\0c\0", 100, None),
        ("hi".encode("utf-16"), 100, "hi"),
        (b"\x80\x80", 100, None),
        (b"", 100, None),
    ],
)
def test_text_is_shown_on_one_line(head: bytes, limit: int, text: str | None) -> None:
    assert sniff.text_of(head, limit) == text


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path: Path) -> None:
    files.sync_folder(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


def test_what_has_gone_is_not_the_same(tmp_path: Path) -> None:
    assert not files.same_content(tmp_path / "gone", "0" * 64, 0)


def test_a_locked_temporary_file_is_left(tmp_path: Path) -> None:
    (tmp_path / ".a-1-x.part").mkdir()
    files.discard_temporaries(tmp_path, "a-1")
    assert (tmp_path / ".a-1-x.part").is_dir()


async def test_a_clip_that_lacks_its_last_bytes_is_refused(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[:-1])
    with pytest.raises(media.NotMedia, match="is cut off or damaged"):
        await media.examine(path)


async def test_a_clip_whose_last_box_is_open_or_long_is_whole(clip: Path, tmp_path: Path) -> None:
    path, data = tmp_path / "whole.mp4", clip.read_bytes()
    for last in ((0).to_bytes(4) + b"free" + bytes(9), (1).to_bytes(4) + b"free" + (20).to_bytes(8) + bytes(4)):
        path.write_bytes(data + last)
        assert (await media.examine(path)).facts.width == 96
