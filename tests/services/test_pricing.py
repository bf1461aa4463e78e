"""Which offer would do a piece of work, what is in its way, and what it would cost everywhere."""

from typing import Any

import pytest

from darkroom.catalog.plans import Piece
from darkroom.catalog.routing import Candidate
from darkroom.domain.kinds import Kind, Mode
from darkroom.errors import InvalidRequest, ModelRetired, UnknownModel, Unsupported
from darkroom.services.pricing import Pricing
from darkroom.settings import Settings
from factories import FakeClock
from helpers_pricing import pricing


@pytest.fixture
def book(settings: Settings, clock: FakeClock) -> Pricing:
    return pricing(settings, clock)


def piece(operation: str, **fields: Any) -> Piece:
    return Piece.model_validate({"operation": operation, **fields})


def named(book: Pricing, name: str) -> Candidate:
    return next(item for item in book.offers(ended=True) if item.offer.model == name)


def test_offers_are_listed_best_first_and_those_that_ended_only_when_asked_for(book: Pricing) -> None:
    names = [item.offer.model for item in book.offers(Kind.IMAGE)]
    assert names[0] == "acme-image"
    assert "later-gone" not in names
    assert "later-gone" in [item.offer.model for item in book.offers(ended=True)]
    assert {item.offer.kind for item in book.offers()} >= {Kind.IMAGE, Kind.VIDEO, Kind.SPEECH, Kind.SLIDES}


@pytest.mark.parametrize(
    ("model", "keys", "state"),
    [
        ("acme-clip", {"ACME_KEY": "k"}, "ready"),
        ("acme-clip", {}, "needs ACME_KEY"),
        ("draft-image", {}, "ready"),
        ("later-clip", {"LATER_KEY": "k"}, "not usable yet"),
        ("acme-off", {"ACME_KEY": "k"}, "off: it is slow"),
        ("later-gone", {}, "ended, use acme-image"),
    ],
)
def test_what_is_in_the_way_of_an_offer_is_said(
    settings: Settings, clock: FakeClock, model: str, keys: dict[str, str], state: str
) -> None:
    book = pricing(settings, clock, keys)
    assert book.state(named(book, model)) == state


def test_what_goes_together_is_named_together(settings: Settings, clock: FakeClock) -> None:
    book = pricing(settings, clock, {})
    book._adapters = None  # pyright: ignore[reportPrivateUsage] because every provider of the test shall have one
    assert book.state(named(book, "later-clip")) == "needs LATER_ID and LATER_SECRET, or LATER_KEY"


def test_an_end_without_a_successor_is_one_all_the_same(book: Pricing) -> None:
    gone = named(book, "later-gone")
    offer = gone.offer.model_copy(update={"successor": None})
    assert book.state(Candidate(gone.provider, offer)) == "ended"


@pytest.mark.parametrize(
    ("work", "chosen"),
    [
        (piece("image"), "acme-image"),
        (piece("video"), "acme-long"),
        (piece("video", model="acme-clip"), "acme-clip"),
        (piece("video", model="later-clip"), "later-clip"),
        (piece("video", model="later-mystery"), "later-mystery"),
        (piece("video", provider="later"), "later-clip"),
        (piece("image", model="acme-edit"), "acme-edit"),
        (piece("image", model="acme-upscale"), "acme-upscale"),
        (piece("speech"), "later-voice"),
        (piece("speech", provider="later", characters=1000), "later-cheap"),
        (piece("slides", model="later-deck"), "later-deck"),
    ],
)
def test_work_goes_where_a_job_would_or_else_to_the_best_with_a_price(book: Pricing, work: Piece, chosen: str) -> None:
    if work.operation is Kind.SPEECH and work.characters is None:
        work = work.model_copy(update={"characters": 1000})
    assert book.choose(work).offer.model == chosen


def test_without_a_key_the_draft_would_do_it_and_a_named_one_is_priced_all_the_same(
    settings: Settings, clock: FakeClock
) -> None:
    book = pricing(settings, clock, {})
    assert book.choose(piece("image")).offer.model == "draft-image"
    assert book.choose(piece("video", model="acme-clip")).offer.model == "acme-clip"
    assert book.choose(piece("video")).offer.model == "acme-long", "the best ranked of those with a price"


@pytest.mark.parametrize(
    ("work", "error"),
    [
        (piece("video", model="nonsense"), UnknownModel),
        (piece("image", model="later-gone"), ModelRetired),
        (piece("sound"), Unsupported),
        (piece("music", provider="acme"), Unsupported),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(book: Pricing, work: Piece, error: type[Exception]) -> None:
    with pytest.raises(error):
        book.choose(work)


@pytest.mark.parametrize(
    ("work", "model", "micro"),
    [
        (piece("image"), "acme-image", 40_000),
        (piece("image"), "acme-edit", 50_000),
        (piece("image"), "acme-upscale", 10_000),
        (piece("video", duration=4), "acme-clip", 600_000),
        (piece("video", duration=4, resolution="720p", audio=False, aspect_ratio="1:1"), "acme-clip", 600_000),
        (piece("video", duration=8), "acme-long", 1_000_000),
        (piece("video"), "later-mystery", None),
        (piece("speech", characters=500), "later-voice", 40_000),
        (piece("speech"), "later-voice", None),
        (piece("transcription", duration=90), "later-ear", 9_000),
        (piece("slides", n=10), "later-deck", 50_000),
        (piece("music"), "later-song", 200_000),
        (piece("research", input_tokens=1000, output_tokens=2000), "later-search", 47_000),
    ],
)
def test_one_piece_is_priced_as_a_job_would_be(book: Pricing, work: Piece, model: str, micro: int | None) -> None:
    one = book.price(work, named(book, model)).one
    assert (None if one is None else one.likely) == micro


def test_many_pieces_cost_as_many_times_as_much(book: Pricing) -> None:
    priced = book.price(piece("image", n=25), named(book, "acme-image"))
    assert priced.likely == 1_000_000
    assert priced.exact
    assert book.price(piece("video", n=3), named(book, "later-mystery")).likely is None


def test_what_an_offer_has_not_is_snapped_or_refused(book: Pricing) -> None:
    snapped = book.price(piece("video", duration=8), named(book, "acme-long"))
    assert snapped.warnings == ("duration 8 s became 10 s, the nearest that acme-long has.",)
    assert not snapped.exact
    with pytest.raises(InvalidRequest, match="makes no clips of 30 s"):
        book.price(piece("video", duration=30), named(book, "acme-long"))


def test_the_same_work_is_priced_wherever_it_can_be_done_cheapest_first(book: Pricing) -> None:
    found = [(one.candidate.offer.model, one.likely) for one in book.everywhere(piece("video", duration=10))]
    assert found == [
        ("later-clip", 500_000),
        ("acme-long", 1_000_000),
        ("acme-clip", 1_500_000),
        ("later-mystery", None),
    ]
    assert [one.candidate.offer.model for one in book.everywhere(piece("video", duration=12))] == [
        "later-clip",
        "acme-clip",
        "later-mystery",
    ]


def test_what_is_off_or_does_something_else_is_not_offered(book: Pricing) -> None:
    assert [one.candidate.offer.model for one in book.everywhere(piece("image"))] == ["draft-image", "acme-image"]
    edits = [one.candidate.offer.model for one in book.everywhere(piece("image"), Mode.EDIT_IMAGE)]
    assert edits == ["draft-image", "acme-image", "acme-edit"]
