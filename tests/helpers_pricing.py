"""A made-up catalogue with prices, for the tests of estimates."""

from typing import Any

from darkroom.catalog.accounts import Accounts
from darkroom.catalog.plans import PlanBook
from darkroom.catalog.providers import Offer, Provider
from darkroom.services.estimates import Estimates
from darkroom.services.pricing import Pricing
from darkroom.settings import Settings
from factories import FakeClock
from helpers_catalog import TODAY, make_offer, make_provider, make_video_offer

KEYS = {"ACME_KEY": "secret"}


def priced(unit: str, usd: str, **more: Any) -> dict[str, Any]:
    return {"unit": unit, "usd": usd, "source": "a page", "as_of": TODAY, **more}


def clip(model: str, usd: str | None, **more: Any) -> Offer:
    prices = [] if usd is None else [priced("second", usd)]
    return make_video_offer(model=model, prices=prices, operations=["text_to_video", "image_to_video"], **more)


def other(operation: str, model: str, *prices: dict[str, Any], **more: Any) -> Offer:
    fields: dict[str, Any] = {"model": model, "operations": [operation], "prices": list(prices), "inputs": {}, **more}
    return make_offer(**fields)


def catalogue() -> dict[str, Provider]:
    """Return three providers: draft (free), acme (with a key and an adapter), later (without an adapter)."""
    draft = make_provider("draft", offers=[make_offer(model="draft-image", prices=[priced("image", "0")], rank=0)])
    acme = make_provider(
        "acme",
        credentials=["ACME_KEY"],
        offers=[
            make_offer(model="acme-image", prices=[priced("image", "0.04", low="0.03", high="0.06")], rank=70),
            clip("acme-clip", "0.15", aliases=["shared"]),
            clip("acme-long", "0.10", duration={"values": [5, 10]}, rank=60),
            other("edit_image", "acme-edit", priced("image", "0.05"), inputs={"source": 1}),
            other("upscale_image", "acme-upscale", priced("image", "0.01")),
            other("text_to_image", "acme-off", priced("image", "0.001"), off="it is slow"),
        ],
    )
    later = make_provider(
        "later",
        credentials=[["LATER_ID", "LATER_SECRET"], "LATER_KEY"],
        offers=[
            clip("later-clip", "0.05", aliases=["shared"]),
            clip("later-mystery", None, rank=90),
            other("text_to_speech", "later-voice", priced("kchar", "0.08"), rank=80),
            other("text_to_speech", "later-cheap", priced("kchar", "0.02"), rank=20),
            other("text_to_speech", "later-quiet", rank=95),
            other("transcribe", "later-ear", priced("minute", "0.006")),
            other("text_to_slides", "later-deck", priced("card", "0.05")),
            other("research", "later-search", tokens="perplexity:sonar-pro"),
            other("text_to_music", "later-song", priced("request", "0.2")),
            other("text_to_image", "later-gone", status="retired", shutdown="2025-01-01", successor="acme-image"),
        ],
    )
    return {item.id: item for item in (draft, acme, later)}


def pricing(settings: Settings, clock: FakeClock, keys: dict[str, str] | None = None) -> Pricing:
    providers = catalogue()
    accounts = Accounts(providers, KEYS if keys is None else keys, b"key")
    return Pricing(providers, lambda: accounts, settings, clock, frozenset({"draft", "acme"}))


def estimates(settings: Settings, clock: FakeClock, store: Any = None) -> Estimates:
    return Estimates(pricing(settings, clock), PlanBook(), store, settings)
