"""Outputs on a disk: durable, never twice, never over another's file."""

import errno
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from PIL import Image

from darkroom.artifacts import files, media
from darkroom.artifacts.base import Placement
from darkroom.artifacts.local import LocalArtifacts
from darkroom.artifacts.thumbnails import MAX_BYTES
from darkroom.domain.output import RemoteOutput
from darkroom.errors import DarkroomError, ResultExpired, StorageFull, StorageUnwritable, UnexpectedAnswer

pytestmark = pytest.mark.anyio
MakePlace = Callable[..., Placement]
posix = pytest.mark.skipif(os.name == "nt", reason="no such permissions there")


@pytest.fixture
def source(tmp_path: Path, picture: Any) -> Path:
    path = tmp_path / "result.bin"
    path.write_bytes(picture())
    return path


def remote(path: Path) -> RemoteOutput:
    return RemoteOutput(path=str(path))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("kind", "media_type", "extension"),
    [
        ("PNG", "image/png", ".png"),
        ("JPEG", "image/jpeg", ".jpg"),
        ("WEBP", "image/webp", ".webp"),
        ("GIF", "image/gif", ".gif"),
        ("AVIF", "image/avif", ".avif"),
    ],
)
async def test_keeps_pictures_of_every_format(
    artifacts: LocalArtifacts,
    tmp_path: Path,
    picture: Any,
    place: MakePlace,
    kind: str,
    media_type: str,
    extension: str,
) -> None:
    path = tmp_path / "lies.txt"
    path.write_bytes(picture(kind))
    output = await artifacts.keep(remote(path), place())
    assert (output.media_type, Path(output.path).suffix) == (media_type, extension)
    assert (output.width, output.height) == (40, 30)


@pytest.mark.parametrize(
    ("fixture", "media_type", "extension"),
    [
        ("clip", "video/mp4", ".mp4"),
        ("clip_webm", "video/webm", ".webm"),
        ("clip_black", "video/quicktime", ".mov"),
    ],
)
async def test_keeps_clips_of_every_format(
    artifacts: LocalArtifacts,
    request: pytest.FixtureRequest,
    place: MakePlace,
    fixture: str,
    media_type: str,
    extension: str,
) -> None:
    output = await artifacts.keep(remote(request.getfixturevalue(fixture)), place())
    assert (output.media_type, Path(output.path).suffix) == (media_type, extension)
    assert (output.width, output.height) == (96, 64)
    assert output.duration == pytest.approx(1.0, abs=0.1)  # pyright: ignore[reportUnknownMemberType] because pytest types it so
    assert output.thumbnail is not None


async def test_the_poster_is_the_first_frame_that_is_not_black(
    artifacts: LocalArtifacts, clip: Path, place: MakePlace
) -> None:
    output = await artifacts.keep(remote(clip), place())
    data = await artifacts.read(output, thumbnail=True)
    assert data is not None
    with Image.open(BytesIO(data)) as poster:
        assert (poster.format, poster.size) == ("WEBP", (96, 64))
        above: Any = poster.convert("RGB").getpixel((48, 12))
        below: Any = poster.convert("RGB").getpixel((48, 52))
    assert above[0] > 180 and above[2] < 70
    assert below[2] > 180 and below[0] < 70


@pytest.mark.parametrize("data", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n", b"\x00\x01\x02\x03" * 50])
async def test_what_is_no_media_is_not_kept(
    artifacts: LocalArtifacts, tmp_path: Path, out: Path, place: MakePlace, data: bytes
) -> None:
    path = tmp_path / "result.png"
    path.write_bytes(data)
    with pytest.raises(UnexpectedAnswer, match="no result: it "):
        await artifacts.keep(remote(path), place())
    assert path.read_bytes() == data
    assert not out.exists()


async def test_at_most_200_characters_of_a_text_are_passed_on(
    artifacts: LocalArtifacts, tmp_path: Path, place: MakePlace
) -> None:
    path = tmp_path / "result.png"
    path.write_text('{"error":\x1b "' + "no credit " * 60 + '"}', encoding="utf-8")
    with pytest.raises(UnexpectedAnswer, match="JSON text") as caught:
        await artifacts.keep(remote(path), place())
    assert caught.value.provider_message is not None
    assert len(caught.value.provider_message) == 200
    assert caught.value.provider_message.isprintable()


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
async def test_formats_that_browsers_lack_are_no_results(
    artifacts: LocalArtifacts, tmp_path: Path, picture: Any, place: MakePlace, kind: str
) -> None:
    path = tmp_path / "result.png"
    path.write_bytes(picture(kind))
    with pytest.raises(UnexpectedAnswer, match=f"image/{kind.lower()}"):
        await artifacts.keep(remote(path), place())


async def test_each_principal_but_the_local_one_has_a_folder_of_its_own(
    artifacts: LocalArtifacts, tmp_path: Path, source: Path, place: MakePlace
) -> None:
    own = await artifacts.keep(remote(source), place())
    anns = await artifacts.keep(remote(source), place(principal="ann"))
    folder = Path(own.path).parent
    assert folder.name == "2025-12"
    assert Path(anns.path).parent == folder.parent / "principals" / "ann" / "2025-12"


async def test_a_folder_is_no_result(artifacts: LocalArtifacts, tmp_path: Path, place: MakePlace) -> None:
    with pytest.raises(UnexpectedAnswer, match="is no file"):
        await artifacts.keep(remote(tmp_path), place())


async def test_a_bomb_is_no_result(artifacts: LocalArtifacts, tmp_path: Path, bomb: bytes, place: MakePlace) -> None:
    path = tmp_path / "result.png"
    path.write_bytes(bomb)
    with pytest.raises(UnexpectedAnswer, match="megapixels"):
        await artifacts.keep(remote(path), place())


async def test_a_crash_after_the_file_has_its_name_makes_no_second_one(
    artifacts: LocalArtifacts, source: Path, out: Path, place: MakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(files, "sync_folder", crash)
        out.mkdir()
        (out / "2025-12").mkdir()
        await artifacts.keep(remote(source), place())
    assert len(names(out)) == 1
    output = await artifacts.keep(remote(source), place())
    assert names(out) == [Path(output.path).name]


async def test_a_crash_while_writing_leaves_nothing_after_the_next_try(
    artifacts: LocalArtifacts, source: Path, out: Path, place: MakePlace
) -> None:
    month = out / "2025-12"
    month.mkdir(parents=True)
    (month / ".0123456789abcdef-1-00.part").write_bytes(b"half")
    (month / ".0123456789abcdef-11-00.part").write_bytes(b"another's")
    output = await artifacts.keep(remote(source), place())
    assert names(out) == [".0123456789abcdef-11-00.part", Path(output.path).name]


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EACCES, StorageUnwritable),
        (errno.EROFS, StorageUnwritable),
        (errno.ENOTDIR, StorageUnwritable),
        (errno.EIO, StorageUnwritable),
    ],
)
async def test_a_failing_disk_leaves_nothing_and_the_source_alone(
    artifacts: LocalArtifacts,
    source: Path,
    out: Path,
    place: MakePlace,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[DarkroomError],
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch, pytest.raises(error, match="2025-12") as caught:
        patch.setattr(os, "fsync", fail)
        await artifacts.keep(remote(source), place())
    assert str(caught.value.hint).startswith("The result is not lost")
    assert names(out) == []
    assert source.exists()
    assert await artifacts.read(await artifacts.keep(remote(source), place())) == source.read_bytes()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
        )
    except OSError:
        pytest.skip("no mount command here")
    if done.returncode:
        pytest.skip("no small disk can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_disk_that_is_really_full(
    own: Path, tiny_disk: Path, tmp_path: Path, noise: bytes, place: MakePlace
) -> None:
    path = tmp_path / "result.png"
    path.write_bytes(noise)
    artifacts = LocalArtifacts(home=own, output_dir=tiny_disk / "out", allowed_output_dirs=())
    with pytest.raises(StorageFull):
        await artifacts.keep(remote(path), place())
    assert names(tiny_disk) == []
    with pytest.raises(StorageFull):
        await anyio.to_thread.run_sync(artifacts.check_target, None)


async def test_a_disk_without_hard_links(
    artifacts: LocalArtifacts, source: Path, out: Path, place: MakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", fail)
    first = await artifacts.keep(remote(source), place())
    assert await artifacts.keep(remote(source), place()) == first
    assert names(out) == [Path(first.path).name]
    assert Path(first.path).read_bytes() == source.read_bytes()


async def test_a_name_that_cannot_be_given_is_free_again(
    artifacts: LocalArtifacts, source: Path, out: Path, place: MakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "hardlink_to", fail)
    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StorageUnwritable):
        await artifacts.keep(remote(source), place())
    assert names(out) == []


async def test_the_output_folder_is_a_file(
    artifacts: LocalArtifacts, source: Path, out: Path, place: MakePlace
) -> None:
    out.write_bytes(b"")
    with pytest.raises(StorageUnwritable, match=str(out)):
        await artifacts.keep(remote(source), place())


@posix
async def test_what_is_ours_is_private_and_what_is_the_users_is_usual(
    artifacts: LocalArtifacts, source: Path, own: Path, place: MakePlace
) -> None:
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    before = os.umask(0o022)
    try:
        output = await artifacts.keep(remote(source), place())
        scratch = await anyio.to_thread.run_sync(artifacts.scratch, "job_1", 0)
    finally:
        os.umask(before)
    assert output.thumbnail is not None
    assert mode(Path(output.path)) == 0o644
    assert mode(Path(output.path).parent) == 0o755
    assert mode(Path(output.thumbnail)) == 0o600
    assert {mode(path) for path in (own, own / "thumbnails", own / "scratch", scratch)} == {0o700}


async def test_noise_has_a_small_thumbnail_too(
    artifacts: LocalArtifacts, tmp_path: Path, noise: bytes, place: MakePlace
) -> None:
    path = tmp_path / "noise.png"
    path.write_bytes(noise)
    data = await artifacts.read(await artifacts.keep(remote(path), place()), thumbnail=True)
    assert data is not None and len(data) <= MAX_BYTES
    with Image.open(BytesIO(data)) as small:
        assert small.format == "WEBP" and 128 <= max(small.size) <= 512


async def test_a_thumbnail_that_cannot_be_written_fails_nothing(
    artifacts: LocalArtifacts, source: Path, own: Path, place: MakePlace, caplog: pytest.LogCaptureFixture
) -> None:
    own.mkdir()
    (own / "thumbnails").write_bytes(b"")
    output = await artifacts.keep(remote(source), place())
    assert output.thumbnail is None
    assert await artifacts.read(output, thumbnail=True) is None
    assert "thumbnail" in caplog.text


async def test_a_thumbnail_that_cannot_be_drawn_fails_nothing(
    artifacts: LocalArtifacts, source: Path, place: MakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> bytes:
        raise ValueError("conversion from X to RGB not supported")

    monkeypatch.setattr(media, "thumbnail_of", fail)
    assert (await artifacts.keep(remote(source), place())).thumbnail is None


async def test_a_file_that_the_user_deleted_is_gone(artifacts: LocalArtifacts, source: Path, place: MakePlace) -> None:
    output = await artifacts.keep(remote(source), place())
    assert output.thumbnail is not None
    Path(output.path).unlink()
    assert await artifacts.read(output) is None
    assert await artifacts.read(output, thumbnail=True)
    Path(output.thumbnail).unlink()
    assert await artifacts.read(output, thumbnail=True) is None


@pytest.mark.parametrize(("kind", "expected"), [(FileNotFoundError, None), (PermissionError, StorageUnwritable)])
async def test_a_file_that_cannot_be_read(
    artifacts: LocalArtifacts,
    source: Path,
    place: MakePlace,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[OSError],
    expected: type[DarkroomError] | None,
) -> None:
    def fail(_: Path) -> bytes:
        raise kind(errno.EACCES, "no")

    output = await artifacts.keep(remote(source), place())
    monkeypatch.setattr(Path, "read_bytes", fail)
    if expected is None:
        assert await artifacts.read(output) is None
    else:
        with pytest.raises(expected):
            await artifacts.read(output)


async def test_a_source_that_cannot_be_read(
    artifacts: LocalArtifacts, source: Path, place: MakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(StorageUnwritable, match="Permission denied"):
        await artifacts.keep(remote(source), place())


async def test_a_source_that_vanishes_after_the_check(
    artifacts: LocalArtifacts, source: Path, place: MakePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    examine = media.examine

    async def vanish(path: Path) -> media.Examined:
        found = await examine(path)
        await anyio.to_thread.run_sync(source.unlink)
        return found

    monkeypatch.setattr(media, "examine", vanish)
    with pytest.raises(ResultExpired):
        await artifacts.keep(remote(source), place())


async def test_many_at_once_keep_their_places(
    artifacts: LocalArtifacts, tmp_path: Path, out: Path, picture: Any, place: MakePlace
) -> None:
    async def one(number: int) -> None:
        path = tmp_path / f"{number}.png"
        path.write_bytes(picture(colour=(number, number, number)))
        await artifacts.keep(remote(path), place(job_id=f"job_{number}", save_as="hero.png"))

    async with anyio.create_task_group() as group:
        for number in range(12):
            group.start_soon(one, number)
    assert names(out) == sorted(["hero.png", *(f"hero ({number}).png" for number in range(2, 13))])
    assert len({(out / name).read_bytes() for name in names(out)}) == 12


async def test_an_id_that_is_no_name_is_not_used(artifacts: LocalArtifacts, source: Path, place: MakePlace) -> None:
    with pytest.raises(ValueError, match="id of a job"):
        await artifacts.keep(remote(source), place(job_id="job_../x"))
