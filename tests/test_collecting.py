"""What a server loads to keep is not looked through by the garbage collector, and the rest is seldom."""

import gc
import weakref
from collections.abc import Generator

import pytest

from darkroom.collecting import SELDOM, forget, staying


@pytest.fixture(autouse=True)
def as_before() -> Generator[None]:
    """Give this process back the collector that it had."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)
    gc.enable()


def test_nothing_is_collected_while_it_loads_and_what_is_loaded_is_left_alone() -> None:
    gc.unfreeze()
    with staying():
        assert not gc.isenabled()
        kept = [[number] for number in range(1000)]
    assert gc.isenabled()
    assert gc.get_threshold() == SELDOM
    assert gc.get_freeze_count() >= len(kept)


def test_the_collector_works_again_though_loading_failed() -> None:
    with pytest.raises(ImportError), staying():
        raise ImportError("an upgrade is just replacing the files")
    assert gc.isenabled()


class Picture:
    """Something large."""


def refused(pictures: "list[weakref.ref[Picture]]") -> ValueError:
    picture = Picture()
    pictures.append(weakref.ref(picture))
    try:
        try:
            raise ValueError("no picture")
        except ValueError as exc:
            raise TypeError("no argument") from exc
    except TypeError as exc:
        cause = exc.__cause__
        assert isinstance(cause, ValueError)
        cause.__cause__ = exc  # a chain that leads back
        return cause


def test_what_an_answered_error_went_through_is_let_go_of_before_anything_is_collected() -> None:
    pictures: list[weakref.ref[Picture]] = []
    gc.disable()
    error = refused(pictures)
    assert pictures[0]() is not None
    forget(error)
    assert pictures[0]() is None
