import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darkroom.net import spool
from darkroom.net.answer import Answer

ANSWER = Answer(201, {"content-type": "image/png", "x-seed": "7", "request-id": "r"}, b"\x00\n{}\xff" * 40)


def test_an_answer_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "answer.spool"
    assert spool.save(path, ANSWER)
    assert spool.load(path) == ANSWER
    assert [item.name for item in path.parent.iterdir()] == ["answer.spool"]
    assert path.stat().st_mode & 0o077 == 0


def test_an_empty_answer_is_an_answer(tmp_path: Path) -> None:
    assert spool.save(tmp_path / "a", Answer(204))
    assert spool.load(tmp_path / "a") == Answer(204)


def test_cookies_and_credentials_are_not_kept(tmp_path: Path) -> None:
    spool.save(tmp_path / "a", Answer(200, {"set-cookie": "a=b", "authorization": "Bearer c", "x-request-id": "r"}))
    assert (tmp_path / "a").read_bytes().count(b"Bearer") == 0
    assert spool.load(tmp_path / "a") == Answer(200, {"x-request-id": "r"})


def test_a_newer_answer_replaces_an_older_one(tmp_path: Path) -> None:
    spool.save(tmp_path / "a", ANSWER)
    spool.save(tmp_path / "a", Answer(200, {}, b"new"))
    assert spool.load(tmp_path / "a") == Answer(200, {}, b"new")


def test_there_is_no_answer_where_there_is_no_file(tmp_path: Path) -> None:
    assert spool.load(tmp_path / "none") is None
    assert spool.load(tmp_path) is None


def test_a_torn_file_is_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "a"
    spool.save(path, ANSWER)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert spool.load(path) is None
    path.write_bytes(whole + b"x")
    assert spool.load(path) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary() | st.from_type(type(None)).map(lambda _: b"") | st.text().map(str.encode))
def test_junk_is_no_answer(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "a").write_bytes(junk)
    assert spool.load(tmp_path / "a") is None


@pytest.mark.parametrize("change", [{"version": 2}, {"bytes": 1}, {"sha256": "0"}, {"headers": 5}, {"status": None}])
def test_a_changed_first_line_is_no_answer(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "a"
    spool.save(path, ANSWER)
    head, _, body = path.read_bytes().partition(b"\n")
    path.write_bytes(json.dumps(json.loads(head) | change).encode() + b"\n" + body)
    assert spool.load(path) is None


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_answer_in_memory_and_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, call: str
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os if call == "fsync" else Path, call, fail)
    assert not spool.save(tmp_path / "a", ANSWER)
    assert "No space left" in caplog.text
    assert list(tmp_path.glob("a*")) == []


def test_a_folder_that_cannot_be_synced_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def only_files(path: Any, flags: int, mode: int = 0o777) -> int:
        if Path(path) == tmp_path:
            raise PermissionError
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", only_files)
    assert spool.save(tmp_path / "a", ANSWER)
    assert spool.load(tmp_path / "a") == ANSWER
