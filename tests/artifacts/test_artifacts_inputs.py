"""Pictures that callers give: which are taken, which are refused, and in which words."""

import base64
import errno
import os
import stat
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import anyio.to_thread
import pytest
from PIL import Image

from darkroom.artifacts import files
from darkroom.artifacts import inputs as module
from darkroom.artifacts.base import StoredInput
from darkroom.artifacts.inputs import LocalInputs
from darkroom.errors import InvalidRequest, ResultExpired, StorageFull, StorageUnwritable
from factories import NO_WEB

pytestmark = pytest.mark.anyio
posix = pytest.mark.skipif(os.name == "nt", reason="no such files or permissions there")


async def refused(inputs: LocalInputs, src: str | Path) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        await inputs.take(str(src), local=True)
    error = caught.value
    assert error.field == "images"
    assert str(error.hint).startswith("Nothing was stored. ")
    assert len(str(error.hint)) > len("Nothing was stored. ")
    return error


async def get(inputs: LocalInputs, sha256: str) -> StoredInput:
    return await anyio.to_thread.run_sync(inputs.get, sha256)


def uri(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("kind", "media_type", "extension"),
    [
        ("PNG", "image/png", ".png"),
        ("JPEG", "image/jpeg", ".jpg"),
        ("WEBP", "image/webp", ".webp"),
        ("GIF", "image/gif", ".gif"),
        ("AVIF", "image/avif", ".avif"),
        ("BMP", "image/bmp", ".bmp"),
        ("TIFF", "image/tiff", ".tiff"),
        ("MPO", "image/jpeg", ".jpg"),
    ],
)
async def test_takes_every_format_by_its_content(
    inputs: LocalInputs, pictures: Path, own: Path, picture: Any, kind: str, media_type: str, extension: str
) -> None:
    data = picture(kind)
    path = pictures / "my picture.dat"
    path.write_bytes(data)
    kept = await inputs.take(str(path), local=True)
    assert kept.name == "my picture.dat"
    assert kept.path == own / "inputs" / f"{kept.sha256}{extension}"
    assert kept.path.read_bytes() == data
    assert (kept.facts.media_type, kept.facts.width, kept.facts.height) == (media_type, 40, 30)
    assert (await get(inputs, kept.sha256)).facts == kept.facts


async def test_takes_each_way_to_name_a_file(
    inputs: LocalInputs, pictures: Path, picture: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(pictures.parent)
    (pictures / "sub folder").mkdir()
    path = pictures / "sub folder" / "a.png"
    path.write_bytes(picture())
    for src in (
        str(path),
        f"  {path}\n",
        path.as_uri(),
        path.as_uri().replace("file://", "file://localhost"),
        "~/pictures/sub folder/a.png",
        "sub folder/a.png",
        "pictures/sub folder/a.png",
        f"{pictures}/../pictures/sub folder/a.png",
    ):
        assert (await inputs.take(src, local=True)).name == "a.png"


async def test_the_working_folder_comes_first(
    inputs: LocalInputs, pictures: Path, picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pictures / "work").mkdir()
    (pictures / "a.png").write_bytes(picture(size=(10, 10)))
    (pictures / "work" / "a.png").write_bytes(picture(size=(20, 20)))
    monkeypatch.chdir(pictures / "work")
    assert (await inputs.take("a.png", local=True)).facts.width == 20


@posix
async def test_a_working_folder_that_was_deleted(
    inputs: LocalInputs, pictures: Path, tmp_path: Path, picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pictures / "a.png").write_bytes(picture())
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert (await inputs.take("a.png", local=True)).name == "a.png"


async def test_identical_content_is_kept_once(inputs: LocalInputs, pictures: Path, own: Path, picture: Any) -> None:
    (pictures / "a.png").write_bytes(picture())
    (pictures / "b.png").write_bytes(picture())
    first = await inputs.take("a.png", local=True)
    written = first.path.stat()
    second = await inputs.take("b.png", local=True)
    assert (second.sha256, second.path, second.name) == (first.sha256, first.path, "b.png")
    assert first.path.stat().st_ino == written.st_ino
    assert list((own / "inputs").iterdir()) == [first.path]


async def test_a_kept_input_that_was_damaged_is_mended(inputs: LocalInputs, picture: Any) -> None:
    kept = await inputs.take(uri(picture()), local=False)
    kept.path.write_bytes(b"damaged")
    with pytest.raises(ResultExpired):
        await get(inputs, kept.sha256)
    assert await inputs.take(uri(picture()), local=False) == kept
    assert kept.path.read_bytes() == picture()


@posix
async def test_inputs_are_private(inputs: LocalInputs, own: Path, picture: Any) -> None:
    kept = await inputs.take(uri(picture()), local=False)
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (own, own / "inputs")} == {0o700}


def encoded(data: bytes) -> dict[str, str]:
    text = base64.b64encode(data).decode()
    return {
        "plain": f"data:image/png;base64,{text}",
        "upper case": f"DATA:image/PNG;BASE64,{text}",
        "without padding": f"data:image/png;base64,{text.rstrip('=')}",
        "URL alphabet": f"data:image/png;base64,{base64.urlsafe_b64encode(data).decode()}",
        "line breaks": "data:image/png;base64," + "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
        "percent in base64": "data:image/png;base64," + text.replace("+", "%2B").replace("=", "%3D"),
        "percent": "data:image/png," + quote_from_bytes(data),
        "parameters": f"data:image/png;name=a.png;base64,{text}",
        "another type": f"data:image/jpeg;base64,{text}",
    }


@pytest.mark.parametrize("form", list(encoded(b"")))
async def test_takes_every_form_of_data_uri(inputs: LocalInputs, picture: Any, form: str) -> None:
    data = picture(size=(41, 31))
    kept = await inputs.take(encoded(data)[form], local=False)
    assert kept.path.read_bytes() == data
    assert (kept.facts.media_type, kept.name) == ("image/png", None)


@pytest.mark.parametrize(
    ("src", "said"),
    [
        ("data:image/png;base64,", "is empty"),
        ("data:image/png;base64,@@@@", "no valid base64"),
        ("data:image/png;base64,AAAAA", "no valid base64"),
        ("data:image/png;base64,ä", "no valid base64"),
        ("data:image/png;base64", "not one of a picture"),
        ("data:,hello", "not one of a picture"),
        ("data:text/html;base64,PGh0bWw+", "not one of a picture"),
        ("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg'/%3E", "an SVG drawing"),
        ("data:image/png,hello", "looks like text"),
    ],
)
async def test_refuses_a_data_uri(inputs: LocalInputs, src: str, said: str) -> None:
    assert said in (await refused(inputs, src)).message


async def test_refuses_data_that_is_too_large(inputs: LocalInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    assert "larger than 50 MB" in (await refused(inputs, uri(b"x" * 1001))).message
    assert "larger than 50 MB" in (await refused(inputs, uri(b"x" * 4000))).message


@pytest.mark.parametrize(
    ("src", "said"),
    [
        ("a red fox", "neither a file nor a data URI"),
        ("job_0123456789abcdef", "neither a file nor a data URI"),
        ("ftp://example.com/a.png", "address of an unknown kind"),
        ("s3://bucket/a.png", "address of an unknown kind"),
        ("input:" + "0" * 64, "address of an unknown kind"),
        ("file://server/share/a.png", "on another machine"),
        ("file://[x/a.png", "on another machine"),
        ("a\0.png", "control characters"),
        ("a\n.png", "control characters"),
        ("x" * 5000, "longer than"),
        ("/etc/hostname", "outside"),
        ("//server/share/a.png", "outside"),
        ("../secret.png", "outside"),
        ("~nobody/a.png", "no file"),
    ],
)
async def test_refuses_what_is_no_picture_of_the_caller(
    inputs: LocalInputs, pictures: Path, monkeypatch: pytest.MonkeyPatch, src: str, said: str
) -> None:
    monkeypatch.chdir(pictures)
    error = await refused(inputs, src)
    assert said in error.message
    assert "x" * 81 not in error.message


async def test_an_outside_file_names_the_allowed_folders(inputs: LocalInputs, pictures: Path, tmp_path: Path) -> None:
    for name in ("is there.png", "is not there.png"):
        (tmp_path / "is there.png").write_bytes(b"secret")
        error = await refused(inputs, tmp_path / name)
        assert "outside" in error.message
        assert str(pictures) in str(error.hint) and "DARKROOM_ALLOWED_INPUT_DIRS" in str(error.hint)


async def test_no_allowed_folder_at_all(own: Path, tmp_path: Path) -> None:
    error = await refused(LocalInputs(home=own, allowed_dirs=(), guard=NO_WEB), tmp_path / "a.png")
    assert "Allowed: none" in str(error.hint)


async def test_a_link_that_leads_out_is_refused(
    inputs: LocalInputs, pictures: Path, tmp_path: Path, picture: Any
) -> None:
    (tmp_path / "out.png").write_bytes(picture())
    (pictures / "link.png").symlink_to(tmp_path / "out.png")
    (pictures / "folder").symlink_to(tmp_path, target_is_directory=True)
    (pictures / "loop.png").symlink_to(pictures / "loop.png")
    assert "outside" in (await refused(inputs, pictures / "link.png")).message
    assert "outside" in (await refused(inputs, pictures / "folder" / "out.png")).message
    await refused(inputs, pictures / "loop.png")


async def test_a_link_that_stays_inside_is_taken(inputs: LocalInputs, pictures: Path, picture: Any) -> None:
    (pictures / "a.png").write_bytes(picture())
    (pictures / "link.png").symlink_to(pictures / "a.png")
    assert (await inputs.take(str(pictures / "link.png"), local=True)).facts.width == 40


@pytest.mark.parametrize("name", [".secret.png", ".config/a.png", "a/.b/c.png"])
async def test_hidden_files_are_refused(inputs: LocalInputs, pictures: Path, picture: Any, name: str) -> None:
    (pictures / name).parent.mkdir(parents=True, exist_ok=True)
    (pictures / name).write_bytes(picture())
    assert "hidden" in (await refused(inputs, pictures / name)).message
    assert "hidden" in (await refused(inputs, name)).message


async def test_an_allowed_folder_may_itself_be_hidden(own: Path, tmp_path: Path, picture: Any) -> None:
    folder = tmp_path / ".app" / "pictures"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(picture())
    both = LocalInputs(home=own, allowed_dirs=[tmp_path, folder], guard=NO_WEB)
    assert (await both.take(str(folder / "a.png"), local=True)).name == "a.png"


async def test_a_folder_is_refused(inputs: LocalInputs, pictures: Path) -> None:
    assert "is a folder" in (await refused(inputs, pictures)).message


async def test_an_empty_file_is_refused(inputs: LocalInputs, pictures: Path) -> None:
    (pictures / "a.png").write_bytes(b"")
    assert "is empty" in (await refused(inputs, pictures / "a.png")).message


@posix
async def test_a_pipe_is_refused_and_does_not_hang(
    inputs: LocalInputs, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(pictures / "a.png")
    assert "no regular file" in (await refused(inputs, pictures / "a.png")).message
    # One that takes the place of a file between the look and the opening.
    monkeypatch.setattr(stat, "S_ISREG", lambda mode: True)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType] because a lambda has no types
    assert "is empty" in (await refused(inputs, pictures / "a.png")).message


@posix
def test_a_pipe_is_not_read(pictures: Path) -> None:
    os.mkfifo(pictures / "a.png")
    assert files.open_regular(pictures / "a.png") is None


async def test_a_file_that_is_too_large_is_refused(inputs: LocalInputs, pictures: Path) -> None:
    with (pictures / "a.png").open("wb") as file:
        file.truncate(50_000_001)
    assert "larger than 50 MB" in (await refused(inputs, pictures / "a.png")).message


async def test_a_bomb_is_refused_before_it_is_decoded(
    inputs: LocalInputs, pictures: Path, bomb: bytes, picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (pictures / "a.png").write_bytes(bomb)
    assert "more than 64 megapixels" in (await refused(inputs, pictures / "a.png")).message
    monkeypatch.setattr(module, "MAX_PIXELS", 39 * 30)
    assert "megapixels" in (await refused(inputs, uri(picture()))).message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
async def test_a_truncated_picture_is_refused(inputs: LocalInputs, noise: bytes, kind: str) -> None:
    buffer = BytesIO()
    with Image.open(BytesIO(noise)) as whole:
        whole.resize((64, 64)).save(buffer, kind)
    data = buffer.getvalue()
    assert "cut off or damaged" in (await refused(inputs, uri(data[: len(data) * 2 // 3]))).message


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"Shopping list: bread, wine", "looks like text"),
        ("Brötchen".encode("utf-16"), "looks like text"),
        (b"BM is short for Benchmark, and this is a note", "looks like text"),
        (b'{"a": 1}', "JSON text"),
        (b"<!DOCTYPE html><p>404", "an HTML page"),
        (b"<?xml version='1.0'?><svg xmlns='x'/>", "an SVG drawing"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"PK\x03\x04....", "ZIP archive"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC picture"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0isom", "sound"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isom", "a clip of type video/mp4, no picture"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "a clip of type video/quicktime"),
        (b"\x1a\x45\xdf\xa3....webm", "a clip of type video/webm"),
        (b"\x1a\x45\xdf\xa3....matroska", "a clip of type video/x-matroska"),
        (b"RIFF....WAVEfmt ", "WAVE sound"),
        (b"RIFF....AVI LIST", "an AVI clip"),
        (bytes(range(256)), "data of an unknown kind"),
        (b"\x01\x02\x03", "data of an unknown kind"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "cut off or damaged"),
    ],
)
async def test_the_content_counts_and_not_the_name(inputs: LocalInputs, pictures: Path, data: bytes, said: str) -> None:
    (pictures / "notes.png").write_bytes(data)
    error = await refused(inputs, pictures / "notes.png")
    assert said in error.message and "'notes.png'" in error.message
    assert "PNG, JPEG" in str(error.allowed)


async def test_a_missing_file_names_its_neighbours(inputs: LocalInputs, pictures: Path) -> None:
    for name in ("Sunset Beach.JPG", "sunrise.jpg", "invoice.pdf", ".sunset-beach.jpg"):
        (pictures / name).write_bytes(b"x")
    (pictures / "sunset beach.jp").mkdir()
    hint = str((await refused(inputs, pictures / "sunset-beach.jpg")).hint)
    assert "Sunset Beach.JPG" in hint
    assert "invoice" not in hint and ".sunset" not in hint and "beach.jp" not in hint
    assert "Sunset Beach.JPG" in str((await refused(inputs, "sunset_beach.jpg")).hint)
    assert "Check the path" in str((await refused(inputs, pictures / "zzzzzz.gif")).hint)
    assert "Check the path" in str((await refused(inputs, pictures / "nowhere" / "sunrise.jpg")).hint)


async def test_what_lies_beside_an_allowed_folder_is_not_named(own: Path, tmp_path: Path) -> None:
    (tmp_path / "photos.png").write_bytes(b"x")
    error = await refused(LocalInputs(home=own, allowed_dirs=[tmp_path / "photo"], guard=NO_WEB), tmp_path / "photo")
    assert "photos.png" not in str(error.hint)


async def test_a_file_that_cannot_be_read(
    inputs: LocalInputs, pictures: Path, picture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    (pictures / "a.png").write_bytes(picture())
    monkeypatch.setattr(files, "open_regular", fail)
    assert "Permission denied" in (await refused(inputs, pictures / "a.png")).message


@posix
async def test_a_folder_that_cannot_be_searched(
    inputs: LocalInputs, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "lstat", fail)
    monkeypatch.setattr(Path, "stat", fail)
    assert "Permission denied" in (await refused(inputs, pictures / "a.png")).message


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, StorageFull), (errno.EROFS, StorageUnwritable)])
async def test_a_home_that_cannot_be_written(
    inputs: LocalInputs,
    own: Path,
    picture: Any,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[StorageFull | StorageUnwritable],
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(error, match=str(own)) as caught:
        await inputs.take(uri(picture()), local=False)
    assert "DARKROOM_HOME" in str(caught.value.hint)
    assert list((own / "inputs").iterdir()) == []


def turned(picture: Any, kind: str, orientation: int, **save: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture(kind, exif=exif, **save)


async def take(inputs: LocalInputs, data: bytes) -> StoredInput:
    kept = await inputs.take(uri(data), local=False)
    assert (await get(inputs, kept.sha256)).facts == kept.facts
    return kept


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize(("orientation", "size"), [(3, (40, 30)), (6, (30, 40)), (8, (30, 40))])
async def test_a_turned_picture_is_reported_as_it_is_seen(
    inputs: LocalInputs, picture: Any, kind: str, orientation: int, size: tuple[int, int]
) -> None:
    kept = await take(inputs, turned(picture, kind, orientation))
    assert (kept.facts.width, kept.facts.height) == size
    if kind != "TIFF":
        with Image.open(kept.path) as found:
            assert found.size == size
            assert found.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("orientation", [1, 0, 9])
async def test_a_picture_that_stands_upright_keeps_its_bytes(
    inputs: LocalInputs, picture: Any, orientation: int
) -> None:
    data = turned(picture, "JPEG", orientation)
    assert (await take(inputs, data)).path.read_bytes() == data


async def test_a_turned_picture_keeps_its_colours(inputs: LocalInputs, picture: Any) -> None:
    kept = await take(inputs, turned(picture, "JPEG", 6, icc_profile=b"profile"))
    with Image.open(kept.path) as found:
        assert found.info["icc_profile"] == b"profile"


@pytest.mark.parametrize(
    ("mode", "colour", "clear"),
    [
        ("RGBA", (1, 2, 3, 0), True),
        ("RGBA", (1, 2, 3, 254), True),
        ("RGBA", (1, 2, 3, 255), False),
        ("LA", (9, 0), True),
        ("RGB", (1, 2, 3), False),
        ("L", 255, False),
    ],
)
async def test_whether_anything_shines_through_is_told(
    inputs: LocalInputs, mode: str, colour: Any, clear: bool
) -> None:
    buffer = BytesIO()
    Image.new(mode, (8, 8), colour).save(buffer, "PNG")
    taken = await inputs.take(uri(buffer.getvalue()), local=False)
    assert taken.facts.clear is clear


async def test_moving_pictures_keep_their_bytes(inputs: LocalInputs) -> None:
    buffer = BytesIO()
    first, second = Image.new("RGB", (40, 30), "red"), Image.new("RGB", (40, 30), "blue")
    exif = Image.Exif()
    exif[0x0112] = 6
    first.save(buffer, "WEBP", save_all=True, append_images=[second], exif=exif)
    kept = await take(inputs, buffer.getvalue())
    assert kept.path.read_bytes() == buffer.getvalue()
    assert (kept.facts.width, kept.facts.height) == (30, 40)


async def test_damaged_exif_is_ignored(inputs: LocalInputs, picture: Any) -> None:
    data = picture("PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert (await take(inputs, data)).path.read_bytes() == data
