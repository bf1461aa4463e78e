"""A file that comes in pieces, while another process may write to its own."""

from pathlib import Path

import pytest

from darkroom.errors import StorageUnwritable
from darkroom.net.part import Part


def written(to: Path, data: bytes, version: str | None = '"1"', size: int | None = 9) -> Part:
    part = Part(to)
    part.begin(version, size)
    file = part.open(0)
    part.append(file, data)
    return part


def test_the_longest_of_what_others_left_is_gone_on_with_in_a_file_of_ones_own(tmp_path: Path) -> None:
    short, long = written(tmp_path / "a", b"12"), written(tmp_path / "b", b"1234")
    mine = Part(tmp_path / "c")
    mine.adopt([short.to, long.to, mine.to])
    assert mine.have() == (4, '"1"', 9)
    long.append(long.open(4), b"other")
    assert (tmp_path / "c.part").read_bytes() == b"1234", "whoever still writes there writes to a file of its own"


def test_what_cannot_be_gone_on_with_is_not_adopted(tmp_path: Path) -> None:
    other = written(tmp_path / "a", b"12", version=None)
    mine = Part(tmp_path / "c")
    mine.adopt([other.to])
    assert mine.have() == (0, None, None)


def test_what_is_under_way_is_not_replaced(tmp_path: Path) -> None:
    other, mine = written(tmp_path / "a", b"1234"), written(tmp_path / "c", b"1")
    mine.adopt([other.to])
    assert mine.have()[0] == 1


def test_a_file_that_something_else_wrote_to_is_no_result(tmp_path: Path) -> None:
    part = written(tmp_path / "a", b"123456789")
    (tmp_path / "a.part").write_bytes(b"12345")
    with pytest.raises(StorageUnwritable, match=r"5 bytes there, 9 came"):
        part.finish(9)
    assert part.have() == (0, None, None)
    assert not (tmp_path / "a").exists()
