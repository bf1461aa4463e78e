"""What a call would cost here, in words, over made-up offers."""

from typing import Any

from darkroom.catalog.accounts import Accounts
from darkroom.catalog.providers import Provider
from darkroom.domain.kinds import Kind
from darkroom.domain.money import MicroUsd
from darkroom.llm.handoff_media import Wanted
from darkroom.llm.handoff_prices import Prices
from darkroom.services.routes import Routes
from darkroom.settings import Settings
from factories import FakeClock
from helpers_catalog import make_offer, make_provider
from helpers_pricing import KEYS, priced

MUG = Wanted(Kind.IMAGE, {"prompt": "a mug"})


def prices(*rows: dict[str, Any], **settings: Any) -> Prices:
    offer = make_offer(model="acme-image", prices=list(rows), rank=70)
    providers: dict[str, Provider] = {"acme": make_provider("acme", credentials=["ACME_KEY"], offers=[offer])}
    accounts = Accounts(providers, KEYS, b"key")
    made = Settings(**settings)
    routes = Routes(
        providers=providers, accounts=lambda: accounts, settings=made, clock=FakeClock(), adapters=frozenset({"acme"})
    )
    return Prices(routes, made)


def said(found: Prices, cap: int | None = None) -> str:
    words, provider = found.told(MUG, None if cap is None else MicroUsd(cap), "local")
    assert provider == "acme"
    return words


def test_a_price_that_varies_is_told_with_its_most() -> None:
    varied = prices(priced("image", "0.04", low="0.03", high="0.06"))
    assert said(varied) == "acme/acme-image: about $0.04, at most $0.06."
    assert said(prices(priced("image", "0.04"))) == "acme/acme-image: about $0.04."


def test_a_price_above_the_cap_is_told_before_the_call() -> None:
    assert said(prices(priced("image", "0.04")), 10_000) == (
        "acme/acme-image: about $0.04. That is above the cap of $0.01, so it would be refused; provider='draft' is "
        "free."
    )
    own = prices(priced("image", "0.04"), max_cost="0.02")
    assert "above the cap of $0.02" in said(own)


def test_what_the_user_must_agree_to_is_told() -> None:
    found = prices(priced("image", "0.04"), confirm_above="0.03")
    assert said(found).endswith("Ask the user first; if they agree, add max_cost=0.04.")
    assert said(found, 100_000) == "acme/acme-image: about $0.04."


def test_free_and_unknown_prices_are_told_apart() -> None:
    assert said(prices(priced("image", "0"))) == "acme/acme-image: free."
    unknown = prices()
    assert said(unknown).startswith("acme/acme-image: the price is not known.")
    assert "so it would be refused: name a model with a price." in said(unknown, 100_000)


def test_a_price_of_a_part_is_told_as_the_least() -> None:
    partly = prices(priced("image", "0.04"), priced("input_image", "0.01"), priced("megapixel", "0.5", part="more"))
    assert "about $" in said(partly)
