"""Made-up providers and offers for the tests of the catalogue."""

from datetime import date
from typing import Any

from darkroom.catalog.providers import Offer, Provider
from darkroom.domain.kinds import Mode
from darkroom.domain.request import Effective, ImageRequest, VideoRequest

TODAY = date(2026, 1, 1)
PRICE: dict[str, Any] = {"unit": "image", "usd": "0.04", "source": "a page", "as_of": TODAY}


def make_offer(**fields: Any) -> Offer:
    """Return a picture offer that takes everything unless told otherwise."""
    values: dict[str, Any] = {
        "model": "acme-1",
        "operations": ["text_to_image", "edit_image", "reference_to_image"],
        "count_max": 4,
        "seed": True,
        "negative_prompt": True,
        "inputs": {"source": 1, "reference": 4},
    }
    return Offer.model_validate(values | fields)


def make_video_offer(**fields: Any) -> Offer:
    values: dict[str, Any] = {
        "model": "acme-clip",
        "operations": [mode for mode in Mode if "video" in mode or mode in ("first_last_frame", "timeline")],
        "duration": {"min_s": 2, "max_s": 12},
        "inputs": {"first_frame": 1, "last_frame": 1, "reference": 4},
    }
    return make_offer(**(values | fields))


def make_provider(name: str = "acme", **fields: Any) -> Provider:
    offers = fields.pop("offers", [make_offer()])
    return Provider.model_validate({"id": name, "title": name.title(), "offers": offers, **fields})


def image(**fields: Any) -> ImageRequest:
    return ImageRequest.model_validate({"prompt": "a red fox", **fields})


def video(**fields: Any) -> VideoRequest:
    return VideoRequest.model_validate({"prompt": "a red fox runs", **fields})


def effective(**fields: Any) -> Effective:
    values: dict[str, Any] = {
        "kind": "image",
        "mode": "text_to_image",
        "prompt": "a red fox",
        "width": 1024,
        "height": 1024,
        "aspect_ratio": "1:1",
    }
    return Effective.model_validate(values | fields)
