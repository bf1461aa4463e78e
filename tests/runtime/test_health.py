"""How providers fare: who failed again and again rests for a while."""

import pytest

from darkroom.errors import AuthFailed, ContentBlocked, DarkroomError, InsufficientCredits, Overloaded, ProviderFailed
from darkroom.runtime.health import ACCOUNT_S, FAILURES, PAUSE_S, Health
from factories import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_a_few_failures_are_no_reason_to_rest(clock: FakeClock) -> None:
    health = Health(clock)
    for _ in range(FAILURES - 1):
        health.ill("acme", ProviderFailed("trouble"))
    assert health.resting() == {}
    health.well("acme")
    health.ill("acme", ProviderFailed("trouble"))
    assert health.resting() == {}


def test_failures_in_a_row_make_it_rest_longer_and_longer(clock: FakeClock) -> None:
    health = Health(clock)
    for _ in range(FAILURES):
        health.ill("acme", Overloaded("no room"))
    assert health.resting() == {"acme": "overloaded"}
    clock.advance(PAUSE_S[0] + 1)
    assert health.resting() == {}
    health.ill("acme", Overloaded("no room"))
    clock.advance(PAUSE_S[0] + 1)
    assert health.resting() == {"acme": "overloaded"}
    for _ in range(50):
        health.ill("acme", Overloaded("no room"))
    clock.advance(PAUSE_S[1] + 1)
    assert health.resting() == {}


@pytest.mark.parametrize("error", [AuthFailed("no"), InsufficientCredits("no")])
def test_a_refused_key_and_an_empty_account_rest_at_once(clock: FakeClock, error: DarkroomError) -> None:
    health = Health(clock)
    health.ill("acme", error)
    assert health.resting() == {"acme": error.code}
    clock.advance(ACCOUNT_S + 1)
    assert health.resting() == {}


def test_what_the_request_is_to_blame_for_does_not_count(clock: FakeClock) -> None:
    health = Health(clock)
    for _ in range(FAILURES):
        health.ill("acme", ContentBlocked("no"))
    assert health.resting() == {}
