"""What callers are told of prices before anything starts."""

from decimal import Decimal
from typing import Any

import pytest

from darkroom.app import App
from darkroom.domain.job import State
from darkroom.domain.kinds import Kind
from darkroom.errors import InvalidRequest, UnknownJob, UnknownModel
from darkroom.services.estimates import Ask, Estimates, job_cost, kind_of
from darkroom.settings import PrincipalSettings, Settings
from factories import FakeClock, make_effective, make_job
from helpers_pricing import estimates
from helpers_services import image, started, succeed


@pytest.fixture
def book(settings: Settings, clock: FakeClock) -> Estimates:
    return estimates(settings, clock)


def test_ten_clips_are_priced_here_and_at_everyone_who_can_make_them(book: Estimates) -> None:
    found = book.estimate(Ask("video", n=10, duration=10))
    assert (found.priced.candidate.name, found.priced.likely, found.state) == ("acme/acme-long", 10_000_000, "ready")
    assert found.credits == 900, "90 each on plan brand"
    assert [(one.candidate.name, one.likely, state) for one, state in found.others] == [
        ("later/later-clip", 5_000_000, "not usable yet"),
        ("acme/acme-clip", 15_000_000, "ready"),
        ("later/later-mystery", None, "not usable yet"),
    ]
    assert found.client is not None
    assert (found.client.price, found.client.percent) == (30, Decimal(20) * 100 / 30)
    assert found.revenue is not None
    assert found.revenue.price == Decimal("22.5")
    assert (found.assumed, found.advice) == ((), None)


def test_a_named_offer_is_told_with_three_cheaper_ones_at_most(book: Estimates) -> None:
    found = book.estimate(Ask("video", model="acme-clip", duration=10))
    assert found.priced.candidate.name == "acme/acme-clip"
    assert [one.candidate.name for one, _ in found.others] == ["later/later-clip", "acme/acme-long"]
    cheapest = book.estimate(Ask("video", model="later-clip"))
    assert cheapest.others == ()


def test_an_unknown_price_is_said_and_anything_priced_is_offered_instead(book: Estimates) -> None:
    found = book.estimate(Ask("video", model="later-mystery"))
    assert (found.priced.likely, found.credits, found.client, found.revenue) == (None, None, None, None)
    assert [one.candidate.name for one, _ in found.others] == ["later/later-clip", "acme/acme-long", "acme/acme-clip"]


def test_a_draft_is_no_cheaper_offer(book: Estimates) -> None:
    assert book.estimate(Ask("image", model="acme-image")).others == ()


def test_what_nobody_said_is_assumed_aloud(book: Estimates) -> None:
    found = book.estimate(Ask("speech", model="later-voice"))
    assert found.assumed == ("characters 1,000 (assumed)",)
    assert found.priced.likely == 80_000
    deck = book.estimate(Ask("deck", model="later-deck"))
    assert (deck.kind, deck.assumed, deck.priced.likely) == (Kind.SLIDES, ("n 10 (assumed)",), 500_000)
    assert book.estimate(Ask("slides", model="later-deck", n=4)).priced.likely == 200_000


def test_a_plan_without_the_operation_is_told_with_one_that_has_it(book: Estimates) -> None:
    found = book.estimate(Ask("video", model="acme-clip", plan="Starter"))
    assert found.plan == "starter"
    assert found.advice == "Plan starter has no video; brand is the smallest that has it."


def test_a_principal_has_a_plan_of_its_own(clock: FakeClock, settings: Settings) -> None:
    own = settings.model_copy(update={"principals": {"ann": PrincipalSettings(plan="agency")}})
    book = estimates(own, clock)
    assert book.estimate(Ask("image", n=1, model="acme-image"), "ann").plan == "agency"
    assert book.estimate(Ask("image", n=1, model="acme-image"), "bob").plan == "brand"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"operation": "vidoe"}, "operation"),
        ({"operation": "month"}, "operation"),
        ({"n": 0}, "n"),
        ({"n": "many"}, "n"),
        ({"n": 10**9}, "n"),
        ({"duration": -1}, "duration"),
        ({"duration": "nan"}, "duration"),
        ({"size": "big"}, "size"),
        ({"resolution": "9000p"}, "resolution"),
        ({"quality": "superb"}, "quality"),
        ({"characters": -5}, "characters"),
        ({"input_tokens": 1.5}, "input_tokens"),
        ({"plan": "brnd"}, "plan"),
    ],
)
def test_what_cannot_be_is_refused_with_the_field(book: Estimates, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked: dict[str, Any] = {"operation": "image"} | fields
        book.estimate(Ask(**asked))
    assert caught.value.field == field


def test_seconds_may_be_written_with_their_unit(book: Estimates) -> None:
    assert book.estimate(Ask("video", model="acme-clip", duration="4s", resolution="720")).priced.likely == 600_000


def test_words_of_people_are_understood_and_mistyped_ones_corrected() -> None:
    assert [kind_of(word) for word in ("TTS", "presentation", "text to speech", "clip")] == [
        Kind.SPEECH,
        Kind.SLIDES,
        Kind.SPEECH,
        Kind.VIDEO,
    ]
    with pytest.raises(InvalidRequest, match="Did you mean 'transcription'"):
        kind_of("transcripton")


def test_a_list_has_ready_offers_first_each_with_its_usual_price(book: Estimates) -> None:
    rows = book.listing(Kind.VIDEO)
    assert [row.state for row in rows] == ["ready", "ready", "not usable yet", "not usable yet"]
    assert {row.candidate.offer.model: row.usual and row.usual.likely for row in rows} == {
        "acme-long": 500_000,
        "acme-clip": 750_000,
        "later-mystery": None,
        "later-clip": 250_000,
    }
    assert len(book.listing()) > len(rows)


# A month


def test_a_month_is_rounded_for_each_output_and_then_multiplied(book: Estimates) -> None:
    found = book.month(
        {
            "videos": {"count": 10, "model": "acme-clip", "duration": 10},
            "images_per_month": {"count": 0, "model": "acme-image"},
        }
    )
    assert [(part.name, part.count, part.credits, part.micro_usd) for part in found.parts] == [
        ("videos", 10, 1350, 15_000_000),
        ("images", 0, 0, 0),
    ]
    assert (found.credits, found.plan, found.advice.plan) == (1350, "brand", "brand")


def test_a_month_may_be_told_by_operation_and_counts_characters_together(book: Estimates) -> None:
    usage: dict[str, Any] = {"voice_chars": {"count": 50_000, "model": "later-voice"}, "transcription": 3, "users": 12}
    found = book.month(usage, "starter")
    assert [(part.name, part.count, part.credits, part.offer) for part in found.parts] == [
        ("voice_chars", 50_000, 400, "later/later-voice"),
        ("transcription", 3, 3, "later/later-ear"),
    ]
    assert found.advice.plan == "agency", "twelve users"


def test_what_has_no_price_is_in_no_sum_and_is_named(book: Estimates) -> None:
    found = book.month(
        {"videos": {"count": 2, "model": "later-mystery"}, "speech": {"count": 1, "model": "later-voice"}}
    )
    assert (found.unknown, found.micro_usd, found.credits) == (("videos",), 80_000, 7)


@pytest.mark.parametrize(
    ("usage", "message"),
    [
        ({}, "names no work"),
        ({"users": 3}, "names no work"),
        ({"vidoes": 1}, "Did you mean 'videos'"),
        ({"videos": -1}, "usage.videos must be a number from 0"),
        ({"videos": {"count": 1, "colour": "red"}}, "colour"),
        ({"videos": {"count": 1, "duration": -5}}, "duration"),
        ({"videos": {"count": 1, "duration": "nan"}}, "duration"),
        ({"users": 0, "videos": 1}, "usage.users"),
    ],
)
def test_a_month_that_cannot_be_is_refused(book: Estimates, usage: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        book.month(usage)


def test_a_month_at_an_unknown_model_names_it(book: Estimates) -> None:
    with pytest.raises(UnknownModel):
        book.month({"videos": {"count": 1, "model": "nonsense"}})


# Jobs


@pytest.mark.anyio
async def test_a_job_tells_its_estimate_its_actual_cost_and_its_ledger(paid: App) -> None:
    job = await started(paid, image(n=3))
    before = await paid.estimates.job(job.id)
    assert (before.estimate, before.actual, before.credits, before.plan) == (120_000, None, 12, "brand")
    await succeed(paid, job)
    after = await paid.estimates.job(job.id, "starter")
    assert (after.credits, after.plan) == (12, "starter")
    assert after.ledger[0].kind.value == "reserved"
    assert after.client is not None
    assert after.client.price == 1


@pytest.mark.anyio
async def test_a_job_of_nobody_is_unknown(paid: App) -> None:
    with pytest.raises(UnknownJob):
        await paid.estimates.job("job_nope")


def test_what_was_put_aside_for_another_counts_only_where_it_was_charged() -> None:
    refused = {"state": State.FAILED, "estimate": 40_000, "actual": 0}
    job = make_job(parts=[refused, {"estimate": 60_000, "effective": make_effective(n=2)}])
    cost = job_cost(job)
    assert (cost.estimate, cost.actual) == (60_000, 0)
    free = job_cost(make_job(parts=[{"estimate": 0, "actual": 0}]))
    assert (free.estimate, free.actual, free.known) == (0, 0, 0)
    unknown = job_cost(make_job(parts=[{"estimate": None}]))
    assert (unknown.estimate, unknown.known, unknown.each) == (None, None, ())
