"""Mistyped names find the nearest right one."""

import pytest

from darkroom.domain.names import VERY_ALIKE, did_you_mean, nearest, slips
from darkroom.domain.run import RunState

MODELS = ["veo-3.1", "veo-3.1-fast", "flux-2-pro", "draft-image", "draft-video"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("veo3.1", "veo-3.1"),
        ("flux-2-por", "flux-2-pro"),
        ("DRAFT_IMAGE", "draft-image"),
        ("draftvideo", "draft-video"),
    ],
)
def test_the_nearest_name_comes_first(typed: str, meant: str) -> None:
    assert nearest(typed, MODELS)[0] == meant
    assert did_you_mean(typed, MODELS) == f" Did you mean {meant!r}?"


def test_among_equals_the_one_with_fewest_slips_comes_first() -> None:
    names = ["claude-fable-5", "claude-opus-4-5", "claude-opus-5", "claude-sonnet-5"]
    assert nearest("anthropic/claude-opsu-5", names)[0] == "claude-opus-5"
    assert nearest("claude-opsu-5", names, count=1) == ["claude-opus-5"]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("gpt-5-nan", ["gpt-5-nano"]),
        ("GPT-5.4", ["gpt-5.5"]),
        ("gpt-5-nona", ["gpt-5-nano"]),
        ("gpt-5", []),
        ("gpt", []),
        ("", []),
    ],
)
def test_slips_are_a_letter_or_two(typed: str, found: list[str]) -> None:
    assert slips(typed, ["gpt-5-nano", "gpt-5.5", "claude-opus-5"]) == found


@pytest.mark.parametrize("typed", ["", "zzz", "...", "a picture of a red fox"])
def test_nothing_is_proposed_where_nothing_is_near(typed: str) -> None:
    assert nearest(typed, MODELS) == []
    assert did_you_mean(typed, MODELS) == ""


def test_names_are_limited_in_number_and_in_likeness() -> None:
    assert len(nearest("draft", MODELS, count=1)) == 1
    assert nearest("drift-imago", MODELS, alike=VERY_ALIKE) == []
    assert nearest("draft-image", [], count=3) == []
    assert nearest("draft-imag", (name for name in MODELS))[0] == "draft-image"


def test_members_of_an_enumeration_are_proposed_as_their_values() -> None:
    assert did_you_mean("suceeded", list(RunState)) == " Did you mean 'succeeded'?"  # codespell:ignore suceeded
