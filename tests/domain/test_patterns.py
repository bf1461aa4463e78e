"""Patterns that wait with being compiled."""

import re

import pytest

from darkroom.domain.patterns import compiled


def test_a_pattern_is_compiled_at_its_first_use_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, int]] = []
    really = re.compile

    def note(text: str, flags: int = 0) -> re.Pattern[str]:
        made.append((text, flags))
        return really(text, flags)

    monkeypatch.setattr(re, "compile", note)
    word = compiled(r"(fox|hare)", re.I)
    assert made == []
    assert [match[1] for match in word.finditer("Fox and hare")] == ["Fox", "hare"]
    assert word.finditer("x") is not None
    assert made == [(r"(fox|hare)", re.I)]
    assert word.pattern == r"(fox|hare)"


def test_what_is_no_pattern_fails_when_it_is_used() -> None:
    with pytest.raises(re.error):
        compiled("(").search("x")
