"""Reading and writing a host's file: whole or not at all, with a copy of what was there."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from darkroom.artifacts.files import write_temporary
from darkroom.cli import host_file
from darkroom.cli.host_file import HostFile, HostFileError

POSIX = pytest.mark.skipif(os.name == "nt", reason="rights and links of POSIX")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "user")


def test_a_new_file_is_private_and_needs_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "mcp.json"
    assert HostFile.read(path).write("{}") is None
    assert path.read_bytes() == b"{}"
    assert os.name == "nt" or stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(path.parent) == ["mcp.json"]


@POSIX
def test_each_change_keeps_rights_and_line_ends_and_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(b"\xef\xbb\xbf{\r\n}")
    path.chmod(0o666)
    first = HostFile.read(path)
    assert first.text == "\ufeff{\r\n}"
    copies = [first.write("{}\r\n"), HostFile.read(path).write("{} ")]
    assert copies == [tmp_path / "mcp.json.before-darkroom-1", tmp_path / "mcp.json.before-darkroom-2"]
    assert [copy.read_bytes() for copy in copies if copy] == [b"\xef\xbb\xbf{\r\n}", b"{}\r\n"]
    assert path.read_bytes() == b"{} "
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


@POSIX
def test_what_a_link_leads_to_is_changed_and_the_link_stays(tmp_path: Path) -> None:
    real, link = tmp_path / "dots" / "real.json", tmp_path / "mcp.json"
    link.symlink_to(real)
    HostFile.read(link).write("{}")
    HostFile.read(link).write("[]")
    assert link.is_symlink()
    assert real.read_text("utf-8") == "[]"
    assert names(real.parent) == ["real.json", "real.json.before-darkroom-1"]


@POSIX
@pytest.mark.parametrize("kind", ["folder", "loop", "bytes", "below a file", "a user that is not there"])
def test_what_is_no_text_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "mcp.json"
    if kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "bytes":
        path.write_bytes("{}".encode("utf-16"))
    elif kind == "below a file":
        path.write_bytes(b"{}")
        path /= "mcp.json"
    else:
        path = Path("~nobody-of-that-name/mcp.json")
    with pytest.raises(HostFileError, match=r"mcp\.json"):
        HostFile.read(path)


@POSIX
def test_a_file_that_may_only_be_read_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(b"{}")
    path.chmod(0o444)
    with pytest.raises(HostFileError, match="may only be read"):
        HostFile.read(path).write("[]")
    assert path.read_bytes() == b"{}"
    assert names(tmp_path) == ["mcp.json"]


@pytest.mark.parametrize("before", [b"{}", None])
def test_what_its_host_wrote_meanwhile_is_never_lost(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "mcp.json"
    if before is not None:
        path.write_bytes(before)
    found = HostFile.read(path)
    path.write_bytes(b'{"new": 1}')
    with pytest.raises(HostFileError, match="try again"):
        found.write("[]")
    assert path.read_bytes() == b'{"new": 1}'


def test_a_full_disk_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mcp.json"
    path.write_bytes(b"{}")
    found = HostFile.read(path)

    def once(*words: Any) -> Path:
        monkeypatch.setattr(host_file, "write_temporary", full)
        return write_temporary(*words)

    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(host_file, "write_temporary", once)
    with pytest.raises(HostFileError, match=r"cannot be written: No space left on device\. It was left as it is"):
        found.write("[]")
    assert path.read_bytes() == b"{}"
    assert names(tmp_path) == ["mcp.json"]


def test_a_name_that_cannot_be_given_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "in use")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(HostFileError, match="in use"):
        HostFile.read(tmp_path / "mcp.json").write("{}")
    assert names(tmp_path) == []
