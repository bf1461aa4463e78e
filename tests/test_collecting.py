"""What a server loads to keep is not looked through by the garbage collector, and the rest is seldom."""

import gc
from collections.abc import Generator

import pytest

from darkroom.collecting import SELDOM, staying


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
