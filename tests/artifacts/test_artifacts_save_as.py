"""Where `save_as` leads, and what it may not say."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from darkroom.artifacts import files
from darkroom.artifacts.base import Placement
from darkroom.artifacts.local import LocalArtifacts
from darkroom.artifacts.paths import names_like, read_save_as, slug_of, user_path
from darkroom.domain.output import Output, RemoteOutput
from darkroom.errors import InvalidRequest, StorageFull, StorageUnwritable

OWN = "a-red-fox-jumping-0123456789abcdef-1.png"
Keep = Callable[..., Any]
unprivileged = pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")


@pytest.fixture
def keep(artifacts: LocalArtifacts, tmp_path: Path, picture: Any, place: Callable[..., Placement]) -> Keep:
    async def run(save_as: str | None, data: bytes | None = None, **changes: Any) -> Output:
        source = tmp_path / "result.bin"
        source.write_bytes(data or picture())
        return await artifacts.keep(RemoteOutput(path=str(source)), place(save_as=save_as, **changes))

    return run


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("save_as", "expected"),
    [
        (None, f"2025-12/{OWN}"),
        ("", f"2025-12/{OWN}"),
        ("  ", f"2025-12/{OWN}"),
        ("hero.png", "hero.png"),
        ("Hero.PNG", "Hero.PNG"),
        ("./hero.png", "hero.png"),
        ("hero", "hero.png"),
        ("hero.jpg", "hero.png"),
        ("hero.mp4", "hero.png"),
        ("hero.jpeg.png", "hero.jpeg.png"),
        ("v1.5", "v1.5.png"),
        ("hero.final", "hero.final.png"),
        ("campaign/hero.png", "campaign/hero.png"),
        ("campaign//hero.png", "campaign/hero.png"),
        ("campaign/", f"campaign/{OWN}"),
        ("campaign/summer/", f"campaign/summer/{OWN}"),
        ("campaign/hero", "campaign/hero.png"),
        ("there", f"there/{OWN}"),
        ("there/", f"there/{OWN}"),
        ("there.png", f"there.png/{OWN}"),
        ("./", OWN),
        ("{out}", OWN),
        ("{out}/hero.png", "hero.png"),
        ("{extra}/hero.png", "{extra}/hero.png"),
        ("{extra}/a/b/hero", "{extra}/a/b/hero.png"),
        ("link/hero.png", "{extra}/hero.png"),
        ("Füchse und 狐.png", "Füchse und 狐.png"),
        ("fox 🦊.png", "fox 🦊.png"),
        ("console.png", "console.png"),
        ("com10.png", "com10.png"),
        ("~fox.png", "~fox.png"),
    ],
)
async def test_save_as_leads_to(keep: Keep, out: Path, extra: Path, save_as: str | None, expected: str) -> None:
    (out / "there").mkdir(parents=True)
    (out / "there.png").mkdir()
    (out / "link").symlink_to(extra, target_is_directory=True)
    output = await keep(save_as and save_as.format(out=out, extra=extra))
    assert Path(output.path) == out / expected.format(extra=extra)
    assert Path(output.path).is_file()


@pytest.mark.parametrize(
    ("save_as", "said"),
    [
        ("..", "'..'"),
        ("../hero.png", "'..'"),
        ("a/../../hero.png", "'..'"),
        ("a/../hero.png", "'..'"),
        ("/etc/hero.png", "outside"),
        ("//server/share/hero.png", "outside"),
        ("~/hero.png", "outside"),
        ("~", "outside"),
        ("{tmp}/elsewhere.png", "outside"),
        ("{out}-more/hero.png", "outside"),
        ("away/hero.png", "outside"),
        ("away/", "outside"),
        ("loop/hero.png", "outside"),
        (".hidden/hero.png", "begins with a dot"),
        (".hero.png", "begins with a dot"),
        (".png", "begins with a dot"),
        ("{out}/.hidden/hero.png", "begins with a dot"),
        ("veiled/hero.png", "begins with a dot"),
        ("hero\0.png", "control"),
        ("hero\n.png", "control"),
        ("hero\x1b[31m.png", "control"),
        ("hero\u202egnp.exe", "control"),
        ("hero\ud800.png", "control"),
        ("CON", "device name"),
        ("con.png", "device name"),
        ("nul.tar.png", "device name"),
        ("Com1", "device name"),
        ("aux/hero.png", "device name"),
        ("lpt9 .png", "device name"),
        ("hero.", "ends in a dot"),
        ("hero.png ", "ends in a dot or a space"),
        ("folder /hero.png", "ends in a dot or a space"),
        ('he"ro.png', "characters"),
        ("C:/hero.png", "characters"),
        ("hero?.png", "characters"),
        ("a|b.png", "characters"),
        ("<b>.png", "characters"),
        ("notes.txt", "ends in .txt"),
        ("page.HTML", "ends in .HTML"),
        ("run.exe", "ends in .exe"),
        ("x" * 201, "longer than 200 bytes"),
        ("狐" * 67 + ".png", "longer than 200 bytes"),
        ("a/" * 600, "longer than 1,024 characters"),
    ],
)
def test_save_as_is_refused(
    artifacts: LocalArtifacts, out: Path, tmp_path: Path, extra: Path, save_as: str, said: str
) -> None:
    (tmp_path / "away").mkdir()
    (out / ".dots").mkdir(parents=True)
    (out / "away").symlink_to(tmp_path / "away", target_is_directory=True)
    (out / "veiled").symlink_to(out / ".dots", target_is_directory=True)
    (out / "loop").symlink_to(out / "loop")
    with pytest.raises(InvalidRequest) as caught:
        artifacts.check_target(save_as.format(out=out, tmp=tmp_path))
    assert said in caught.value.message
    assert caught.value.field == "save_as"
    assert str(caught.value.hint).startswith("Nothing was stored.")
    assert str(out) in str(caught.value.allowed) and str(extra) in str(caught.value.allowed)
    assert "x" * 81 not in caught.value.message


@pytest.mark.skipif(os.sep == "\\", reason="a backslash separates folders there")
def test_a_backslash_is_refused_where_it_separates_nothing(artifacts: LocalArtifacts) -> None:
    with pytest.raises(InvalidRequest, match="backslash"):
        artifacts.check_target("campaign\\hero.png")


async def several(keep: Keep, save_as: str, data: list[bytes]) -> list[str]:
    return [Path((await keep(save_as, item, index=n, count=len(data))).path).name for n, item in enumerate(data, 1)]


@pytest.mark.anyio
@pytest.mark.parametrize("save_as", ["hero", "hero.png", "hero.webp"])
async def test_several_outputs_are_numbered(keep: Keep, picture: Any, save_as: str) -> None:
    data = [picture(colour=(n, 0, 0)) for n in range(3)]
    assert await several(keep, save_as, data) == ["hero-1.png", "hero-2.png", "hero-3.png"]


@pytest.mark.anyio
async def test_a_jpeg_keeps_the_spelling_of_its_extension(keep: Keep, picture: Any) -> None:
    assert Path((await keep("hero.jpeg", picture("JPEG"))).path).name == "hero.jpeg"
    assert Path((await keep("other.gif", picture("JPEG"))).path).name == "other.jpg"


@pytest.mark.anyio
async def test_another_file_is_never_overwritten(keep: Keep, out: Path, picture: Any) -> None:
    out.mkdir()
    (out / "hero.png").write_bytes(b"mine")
    (out / "hero (2).png").mkdir()
    (out / "hero (3).png").symlink_to(out / "nowhere")
    first = await keep("hero.png", job_id="job_one")
    assert Path(first.path) == out / "hero (4).png"
    assert await keep("hero.png", job_id="job_one") == first
    second = await keep("hero.png", picture(colour=(1, 2, 3)), job_id="job_two")
    assert Path(second.path) == out / "hero (5).png"
    assert (out / "hero.png").read_bytes() == b"mine"


@pytest.mark.anyio
async def test_a_file_of_the_same_size_is_another_file(keep: Keep, out: Path, picture: Any) -> None:
    out.mkdir()
    (out / "hero.png").write_bytes(b"x" * len(picture()))
    assert Path((await keep("hero.png")).path).name == "hero (2).png"


@pytest.mark.anyio
async def test_what_is_no_longer_allowed_goes_to_the_usual_folder(
    keep: Keep, artifacts: LocalArtifacts, out: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await anyio.to_thread.run_sync(artifacts.check_target, "campaign/")
    (out / "campaign").parent.mkdir(exist_ok=True)
    (out / "campaign").symlink_to(tmp_path, target_is_directory=True)
    output = await keep("campaign/")
    assert Path(output.path) == out / "2025-12" / OWN
    assert "usual folder" in caplog.text


def test_an_unused_check_leaves_the_output_folder_alone(artifacts: LocalArtifacts, out: Path) -> None:
    artifacts.check_target(None)
    artifacts.check_target("campaign/hero.png")
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("save_as", [None, "hero.png", "deep/er/"])
def test_a_file_in_the_place_of_the_folder(artifacts: LocalArtifacts, out: Path, save_as: str | None) -> None:
    out.write_bytes(b"")
    with pytest.raises(StorageUnwritable) as caught:
        artifacts.check_target(save_as)
    assert str(out) in caught.value.message
    assert str(caught.value.hint).startswith("Nothing was stored.")
    assert "DARKROOM_OUTPUT_DIR" in str(caught.value.hint)


@pytest.mark.parametrize("save_as", [None, "hero.png"])
def test_a_disk_with_little_room(
    artifacts: LocalArtifacts, out: Path, monkeypatch: pytest.MonkeyPatch, save_as: str | None
) -> None:
    free = files.MIN_FREE

    def free_bytes(_: Path) -> int:
        return free

    monkeypatch.setattr(files, "free_bytes", free_bytes)
    artifacts.check_target(save_as)
    free -= 1
    with pytest.raises(StorageFull) as caught:
        artifacts.check_target(save_as)
    assert str(out) in caught.value.message and "DARKROOM_OUTPUT_DIR" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EACCES, StorageUnwritable),
        (errno.EROFS, StorageUnwritable),
        (errno.EIO, StorageUnwritable),
    ],
)
def test_a_folder_that_cannot_be_written(
    artifacts: LocalArtifacts, out: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "write_temporary", fail)
    with pytest.raises(error, match=str(out)):
        artifacts.check_target(None)


@unprivileged
def test_a_folder_without_permission(artifacts: LocalArtifacts, out: Path) -> None:  # pragma: no cover
    out.mkdir(0o500)
    with pytest.raises(StorageUnwritable):
        artifacts.check_target(None)


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("A red fox, jumping!", "a-red-fox-jumping"),
        ("a-red-fox", "a-red-fox"),
        ("", "untitled"),
        ("../../etc/passwd", "etc-passwd"),
        ("?!", "untitled"),
        ("狐が跳ぶ", "狐が跳ぶ"),
        ("snake_case words", "snake-case-words"),
        ("one two three four five six seven eight nine ten", "one-two-three-four-five-six-seven-eight"),
        ("x" * 100, "x" * 40),
    ],
)
def test_a_slug_is_the_first_words(text: str, slug: str) -> None:
    assert slug_of(text) == slug
    assert slug_of(slug) == slug


def test_names_like_one_go_on() -> None:
    names = names_like(Path("a.b.png"))
    assert [next(names).name for _ in range(3)] == ["a.b.png", "a.b (2).png", "a.b (3).png"]


def test_the_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    target = read_save_as("~/out/hero.png", tmp_path / "out", ())
    assert (target.folder, target.stem, target.extension) == ((tmp_path / "out").resolve(), "hero", ".png")


def test_an_account_without_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "expanduser", fail)
    assert user_path("~/x.png") == Path("~/x.png")


def test_the_output_folder_itself_before_it_exists(tmp_path: Path) -> None:
    target = read_save_as(str(tmp_path / "out"), tmp_path / "out", ())
    assert (target.folder, target.stem) == ((tmp_path / "out").resolve(), None)


def test_a_link_outside_is_no_way_in(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out" / "hero")
    with pytest.raises(InvalidRequest, match="outside"):
        read_save_as(str(tmp_path / "link"), tmp_path / "out", ())


def test_a_folder_that_may_not_be_looked_at(
    artifacts: LocalArtifacts, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", fail)
    assert read_save_as("closed/hero", out, ()).stem == "hero"
    with pytest.raises(StorageUnwritable, match="Permission denied"):
        artifacts.check_target(None)


def test_a_link_to_the_output_folder_counts_as_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "alias").symlink_to(tmp_path / "real", target_is_directory=True)
    target = read_save_as(str(tmp_path / "alias" / "hero.png"), tmp_path / "real", ())
    assert target.folder == (tmp_path / "real").resolve()
