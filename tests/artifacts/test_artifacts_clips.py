"""Clips that callers give to be joined: taken whole, checked by decoding, refused in words."""

import base64
import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from darkroom.artifacts import clips, files, media
from darkroom.artifacts.base import MediaFacts, StoredInput
from darkroom.artifacts.inputs import LocalInputs
from darkroom.domain.kinds import Kind
from darkroom.errors import InvalidRequest, ResultExpired, StorageUnwritable

pytestmark = pytest.mark.anyio


async def take(inputs: LocalInputs, src: str | Path, *, local: bool = True) -> StoredInput:
    return await inputs.take(str(src), local=local, kind=Kind.VIDEO)


async def refused(inputs: LocalInputs, src: str | Path, *, local: bool = True) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        await take(inputs, src, local=local)
    error = caught.value
    assert error.field == "images"
    assert str(error.hint).startswith("Nothing was stored. ")
    return error


def left(own: Path) -> list[str]:
    return sorted(path.name for path in (own / "inputs").glob("*"))


@pytest.mark.parametrize(
    ("source", "media_type", "extension"),
    [
        ("clip", "video/mp4", ".mp4"),
        ("clip_webm", "video/webm", ".webm"),
        ("clip_black", "video/quicktime", ".mov"),
    ],
)
async def test_a_clip_keeps_its_bytes_and_says_how_long_it_is(
    inputs: LocalInputs,
    pictures: Path,
    own: Path,
    request: pytest.FixtureRequest,
    source: str,
    media_type: str,
    extension: str,
) -> None:
    original: Path = request.getfixturevalue(source)
    path = pictures / "holiday.dat"
    shutil.copy(original, path)
    taken = await take(inputs, path)
    data = original.read_bytes()
    assert taken.sha256 == hashlib.sha256(data).hexdigest()
    assert taken.path == own / "inputs" / f"{taken.sha256}{extension}"
    assert taken.path.read_bytes() == data
    assert taken.name == "holiday.dat"
    assert taken.facts == MediaFacts(media_type, extension, 96, 64, 1.0)
    got = await anyio.to_thread.run_sync(inputs.get, taken.sha256)
    assert (got.path, got.facts) == (taken.path, MediaFacts(media_type, extension))
    if os.name == "posix":
        assert taken.path.stat().st_mode & 0o777 == 0o600


async def test_a_clip_that_is_gone_cannot_be_had(inputs: LocalInputs, pictures: Path, clip: Path) -> None:
    taken = await take(inputs, shutil.copy(clip, pictures / "a.mp4"))
    taken.path.unlink()
    with pytest.raises(ResultExpired):
        await anyio.to_thread.run_sync(inputs.get, taken.sha256)


async def test_the_same_clip_is_kept_once_and_decoded_once(
    inputs: LocalInputs, pictures: Path, own: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []

    async def counted(path: Path) -> media.Examined:
        seen.append(path)
        return await examine(path)

    examine = media.examine
    monkeypatch.setattr(media, "examine", counted)
    first = await take(inputs, shutil.copy(clip, pictures / "a.mp4"))
    second = await take(inputs, shutil.copy(clip, pictures / "b.mp4"))
    assert (first.sha256, first.facts) == (second.sha256, second.facts)
    assert (first.name, second.name) == ("a.mp4", "b.mp4")
    assert left(own) == [first.path.name]
    assert len(seen) == 1


async def test_a_clip_may_be_a_data_uri(inputs: LocalInputs, clip: Path) -> None:
    uri = "data:video/mp4;base64," + base64.b64encode(clip.read_bytes()).decode()
    taken = await take(inputs, uri, local=False)
    assert (taken.facts.duration, taken.name) == (1.0, None)


class _Web:
    """Stands in for the guard."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def fetch(self, url: str, *, limit: int) -> bytes:
        assert limit <= 50_000_000
        return self.data


async def test_a_clip_may_be_a_web_address(own: Path, clip: Path) -> None:
    web: Any = _Web(clip.read_bytes())
    inputs = LocalInputs(home=own, allowed_dirs=(), guard=web)
    taken = await take(inputs, "https://cdn.example.test/films/beach.mp4?x=1", local=False)
    assert (taken.facts.duration, taken.name) == (1.0, "beach.mp4")


async def test_a_recording_that_states_no_duration_is_measured(inputs: LocalInputs, pictures: Path, clip: Path) -> None:
    import av

    live = pictures / "live.webm"

    def remux() -> None:
        with av.open(str(clip)) as source, av.open(str(live), "w", format="matroska", options={"live": "1"}) as opened:
            container: Any = opened
            stream = container.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(source.streams.video[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    container.mux(packet)

    await anyio.to_thread.run_sync(remux)
    taken = await take(inputs, live)
    assert taken.facts.duration == pytest.approx(1.0, abs=0.09)  # pyright: ignore[reportUnknownMemberType] because the stub is untyped


async def test_a_picture_is_no_clip(inputs: LocalInputs, pictures: Path, own: Path, picture: Any) -> None:
    (pictures / "a.mp4").write_bytes(picture())
    error = await refused(inputs, pictures / "a.mp4")
    assert error.message == "The file 'a.mp4' is a picture of type image/png, no clip."
    assert "Make a clip of the picture first" in str(error.hint)
    assert error.allowed == "MP4, MOV, WebM or MKV"
    assert left(own) == []


async def test_a_clip_is_no_picture(inputs: LocalInputs, pictures: Path, clip: Path) -> None:
    shutil.copy(clip, pictures / "a.png")
    with pytest.raises(InvalidRequest) as caught:
        await inputs.take(str(pictures / "a.png"), local=True)
    assert caught.value.message == "The file 'a.png' is a clip of type video/mp4, no picture."
    assert "clip=" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("src", "said"),
    [
        ("data:image/png;base64,AAAA", "The data URI is not one of a clip."),
        ("data:video/mp4;base64,AAAA", "The data URI looks like data of an unknown kind."),
        ("ftp://example.test/a.mp4", "The clip 'ftp://example.test/a.mp4' is an address of an unknown kind."),
        ("beach", "The clip 'beach' is neither a file nor a data URI."),
        ("https://localhost/a.mp4", "The address 'https://localhost/a.mp4'"),
        ("/etc/a.mp4", "The clip '/etc/a.mp4' is outside the folders that may be read."),
        ("a\nb.mp4", "The clip 'a\\nb.mp4'"),
    ],
)
async def test_refusals_speak_of_clips(inputs: LocalInputs, src: str, said: str) -> None:
    error = await refused(inputs, src)
    assert error.message.startswith(said)
    assert "picture" not in f"{error.message}{error.hint}".replace("/pictures", "")


async def test_paths_of_clips_are_for_those_on_this_machine(inputs: LocalInputs, pictures: Path, clip: Path) -> None:
    error = await refused(inputs, shutil.copy(clip, pictures / "a.mp4"), local=False)
    assert "data:video/" in str(error.hint)


async def test_folders_and_hidden_clips_are_refused(inputs: LocalInputs, pictures: Path, clip: Path) -> None:
    assert (await refused(inputs, pictures)).hint == "Nothing was stored. Give the path of one clip in it."
    assert "hidden" in (await refused(inputs, shutil.copy(clip, pictures / ".a.mp4"))).message


@pytest.mark.parametrize("whole", [True, False])
async def test_a_clip_that_is_cut_off_is_refused(
    inputs: LocalInputs, pictures: Path, own: Path, clip: Path, whole: bool
) -> None:
    data = clip.read_bytes()
    (pictures / "a.mp4").write_bytes(data[: len(data) - 300] if whole else data[: len(data) // 2])
    error = await refused(inputs, pictures / "a.mp4")
    assert error.message in ("The file 'a.mp4' is cut off or damaged.", "The file 'a.mp4' holds no picture.")
    assert str(error.hint).endswith("Give a whole clip: MP4, MOV, WebM or MKV.")
    assert left(own) == []


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (MediaFacts("video/mp4", ".mp4"), "cannot be decoded within the bounds of time and memory"),
        (MediaFacts("video/mp4", ".mp4", 96, 64), "does not say how long it is"),
        (MediaFacts("video/mp4", ".mp4", 96, 64, 601.0), "lasts 601 s, and up to 600 s are taken"),
    ],
)
async def test_a_clip_that_decoding_says_too_little_or_too_much_of_is_refused(
    inputs: LocalInputs,
    pictures: Path,
    own: Path,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    facts: MediaFacts,
    said: str,
) -> None:
    async def examine(_: Path) -> media.Examined:
        return media.Examined(facts, None)

    monkeypatch.setattr(media, "examine", examine)
    assert said in (await refused(inputs, shutil.copy(clip, pictures / "a.mp4"))).message
    assert left(own) == []


async def test_a_clip_that_is_too_large_is_refused_on_the_way(
    inputs: LocalInputs, pictures: Path, own: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "MAX_BYTES", 5_000)
    (pictures / "a.mp4").write_bytes(clip.read_bytes() + bytes(files.CHUNK))
    error = await refused(inputs, pictures / "a.mp4")
    assert error.message.startswith("The file 'a.mp4' is larger than")
    assert left(own) == []


async def test_a_home_that_cannot_be_written_is_told(
    inputs: LocalInputs, pictures: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Callable[..., None]:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files, "write_temporary", fail)
    with pytest.raises(StorageUnwritable, match="Read-only file system"):
        await take(inputs, shutil.copy(clip, pictures / "a.mp4"))
