"""Examples reckoned with the prices of January 2025 come out as they did, down to the credit."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from darkroom.catalog.fit import fit
from darkroom.catalog.plans import Plans
from darkroom.catalog.prices import Work, price, quote
from darkroom.catalog.providers import Offer, Unit, read_manifest
from darkroom.domain.money import rounded, to_usd
from darkroom.errors import InvalidRequest
from helpers_catalog import image, video

OLD = read_manifest(Path(__file__).with_name("compatibility.toml"))
PLANS = Plans.read()
DAY = date(2025, 1, 20)


def offer(model: str) -> Offer:
    found = OLD.offer(model)
    assert found is not None
    return found


def made(model: str, **fields: Any) -> Decimal:
    """Return the cost in US dollars of pictures or of a clip."""
    request = video(**fields) if "duration" in fields else image(**fields)
    effective, warnings = fit(request, offer(model))
    found = quote(offer(model), effective, DAY)
    assert found is not None
    assert warnings == ()
    assert found.low == found.likely == found.high
    assert found.as_of == date(2025, 1, 19)
    return to_usd(found.likely)


def worked(model: str, facts: dict[str, JsonValue] | None = None, **amounts: int | str) -> Decimal:
    """Return the cost in US dollars of so much of each unit."""
    found = price(offer(model), Work({Unit(name): Decimal(value) for name, value in amounts.items()}, facts or {}), DAY)
    assert found is not None
    return to_usd(found.likely)


def slides(*, pictures: bool) -> Decimal:
    """Return the cost of ten slides of 500 tokens in and 300 out, each with a picture or without."""
    return worked("presenton", {"pictures": pictures}, mtoken_in="0.005", mtoken_out="0.003", image=10)


@pytest.mark.parametrize(
    ("model", "seconds", "usd", "credits"),
    [
        ("wan", 5, "0.25", 23),
        ("veo3", 5, "0.75", 68),
        ("veo3", 10, "1.50", 135),
        ("veo3.1", 10, "1.80", 162),
        ("kling", 5, "0.40", 36),
        ("gen3a", 5, "0.50", 45),
        ("sora2", 20, "4.00", 360),
    ],
)
def test_a_clip_costs_what_it_cost_then(model: str, seconds: int, usd: str, credits: int) -> None:
    cost = made(model, duration=seconds)
    assert cost == Decimal(usd)
    assert PLANS.credits(cost, "brand") == credits


@pytest.mark.parametrize(
    ("model", "fields", "usd", "credits"),
    [
        ("dall-e-3", {}, "0.04", 4),
        ("dall-e-3", {"quality": "high"}, "0.08", 7),
        ("dall-e-3", {"size": "1792x1024"}, "0.08", 7),
        ("dall-e-3", {"size": "1024x1792", "quality": "high"}, "0.12", 11),
        ("flux-schnell", {}, "0.003", 1),
        ("imagen-3", {}, "0.02", 2),
    ],
)
def test_a_picture_costs_what_it_cost_then(model: str, fields: dict[str, Any], usd: str, credits: int) -> None:
    cost = made(model, **fields)
    assert cost == Decimal(usd)
    assert PLANS.credits(cost, "brand") == credits


def test_four_pictures_in_high_quality_are_four_times_one_also_in_credits() -> None:
    cost = made("dall-e-3", quality="high", n=4)
    assert cost == Decimal("0.32")
    assert PLANS.credits_of_many(cost, 4, "brand") == 4 * 7


def test_ten_clips_and_a_hundred_pictures_are_rounded_each_then_multiplied() -> None:
    assert PLANS.credits_of_many(10 * made("veo3", duration=10), 10, "brand") == 1350
    pictures = 10 * made("dall-e-3", n=10)
    assert PLANS.credits_of_many(pictures, 100, "brand") == 400
    assert PLANS.credits(pictures, "brand") == 360


def test_speech_costs_by_the_character() -> None:
    assert worked("elevenlabs", kchar=5) == Decimal("1.50")
    assert worked("tts-1-hd", kchar=5) == Decimal("0.15")
    assert PLANS.credits(worked("elevenlabs", kchar=5), "starter") == 150
    assert PLANS.credits(worked("elevenlabs", kchar=50), "brand") == 1350


@pytest.mark.parametrize(("voice", "times"), [("standard", "75"), ("neural2", "18.75"), ("wavenet", "18.75")])
def test_how_much_dearer_one_voice_was_than_another_depends_on_the_voice(voice: str, times: str) -> None:
    assert worked("elevenlabs", kchar=1) / worked("google-tts", {"voice": voice}, kchar=1) == Decimal(times)


def test_transcription_costs_by_the_minute() -> None:
    assert worked("whisper-1", minute=60) == Decimal("0.36")


def test_research_costs_by_the_token() -> None:
    assert worked("sonar-pro", mtoken_in="0.001", mtoken_out="0.002") == Decimal("0.033")
    assert PLANS.credits(worked("sonar-pro", mtoken_in="0.001", mtoken_out="0.002"), "brand") == 3
    assert PLANS.credits(worked("sonar-pro", mtoken_in="0.0005", mtoken_out="0.001"), "brand") == 1


def test_slides_cost_their_tokens_and_their_pictures() -> None:
    assert (slides(pictures=True), slides(pictures=False)) == (Decimal("0.47"), Decimal("0.07"))
    assert worked("gamma", card=12) == Decimal("2.40")


def test_a_month_is_the_sum_of_its_parts() -> None:
    month = {
        "videos": 10 * PLANS.credits(made("veo3", duration=10), "brand"),
        "images": 100 * PLANS.credits(made("dall-e-3"), "brand"),
        "voice": PLANS.credits(worked("elevenlabs", kchar=50), "brand"),
        "presentations": 5 * PLANS.credits(slides(pictures=True), "brand"),
        "research": 50 * PLANS.credits(worked("sonar-pro", mtoken_in="0.0005", mtoken_out="0.001"), "brand"),
    }
    assert list(month.values()) == [1350, 400, 1350, 210, 50]
    assert sum(month.values()) == 3360


def test_revenue_margin_and_client_price_of_a_clip() -> None:
    cost = made("veo3", duration=10)
    margin = PLANS.margin(cost, 135, "brand")
    assert (margin.price, margin.usd) == (Decimal("3.375"), Decimal("1.875"))
    assert (rounded(margin.price, 2), rounded(margin.usd, 2)) == (Decimal("3.38"), Decimal("1.88"))
    asked = PLANS.client_price(cost)
    assert (asked.price, asked.usd) == (Decimal("4.50"), Decimal("3.00"))
    percents = [rounded(found.percent or Decimal(0), 1) for found in (margin, asked)]
    assert percents == [Decimal("55.6"), Decimal("66.7")]


@pytest.mark.parametrize(("model", "seconds"), [("wan", 11), ("veo3", 4), ("sora2", 21)])
def test_no_price_is_made_up_for_a_clip_of_another_length(model: str, seconds: int) -> None:
    with pytest.raises(InvalidRequest):
        made(model, duration=seconds)
