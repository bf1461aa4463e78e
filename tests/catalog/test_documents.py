"""Markdown with front matter: read generously, refused in words."""

import os
from pathlib import Path

import pytest

from darkroom.catalog.documents import LARGEST, DocumentError, items, parse_document, read_document

TEXT = """---
name: a
list:
  - one
---

# Title

Intro, first line.

## Method
1. First,
   over two lines.
2) Second

### Table
| a | b |

Loose words.

* third
```
## Not a heading
- not an item of this list
```
## Empty
"""


def test_a_text_is_taken_apart() -> None:
    document = parse_document(TEXT, "x.md")
    assert document.front == {"name": "a", "list": ["one"]}
    assert document.intro == "Intro, first line."
    assert set(document.sections) == {"method", "empty"}
    assert document.items("method")[:3] == ("First, over two lines.", "Second", "third")
    assert document.text("empty") == document.text("nowhere") == ""
    assert document.items("nowhere") == ()


def test_what_stands_between_points_is_no_part_of_them() -> None:
    assert items("- a\n\nloose\n- b\nmore\n# h\n| t |\n") == ("a", "b more")


def test_line_ends_and_a_mark_at_the_beginning_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert read_document(path, tmp_path).items("method")[1] == "Second"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no front matter", "does not begin with front matter"),
        ("---\nname: a\n", "does not begin with front matter"),
        ("---\n- a\n---\n", "is not a list of names with values"),
        ("---\n1: a\n---\n", "is not a list of names with values"),
        ("---\na: [1\n---\n", "is no YAML"),
        ("---\na: 'x\n---\n", "is no YAML"),
        ("---\na: &x [1]\nb: *x\n---\n", "uses aliases"),
        ("---\na: 2026-13-45\n---\n", "is no YAML"),
        (f"---\na: {'[' * 150}\n---\n", "is no YAML"),
        (f"---\na: {'[' * 5000}\n---\n", "too long or nested"),
        (f"---\na: {'x' * 20_000}\n---\n", "too long or nested"),
    ],
)
def test_broken_front_matter_is_named(text: str, why: str) -> None:
    with pytest.raises(DocumentError, match=why) as caught:
        parse_document(text, "x.md")
    assert "x.md" in str(caught.value)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    outside, inside = tmp_path / "out.md", tmp_path / "in"
    outside.write_text(TEXT)
    inside.mkdir()
    (inside / "huge.md").write_text("---\na: b\n---\n" + "x" * LARGEST)
    (inside / "latin.md").write_bytes(b"---\na: \xff\n---\n")
    (inside / "link.md").symlink_to(outside)
    (inside / "loop.md").symlink_to(inside / "loop.md")
    (inside / "folder.md").mkdir()
    os.mkfifo(inside / "pipe.md")
    for name, why in {
        "none.md": "there is no none.md",
        "huge.md": "at most",
        "latin.md": "not UTF-8",
        "link.md": "leads out of",
        "loop.md": "cannot be read|there is no|leads out",
        "folder.md": "is no file",
        "pipe.md": "is no file",
    }.items():
        with pytest.raises(DocumentError, match=why):
            read_document(inside / name, inside)
