"""Prices that are not known in full, that vary, or that end: shown as such, and trusted by nobody."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from darkroom.app import App
from darkroom.catalog.plans import PlanBook
from darkroom.catalog.prices import Quote
from darkroom.catalog.providers import Provider
from darkroom.domain.job import LedgerKind
from darkroom.domain.kinds import Kind
from darkroom.domain.money import FREE, MicroUsd
from darkroom.errors import BudgetExceeded, InvalidRequest, PriceUnknown, UnknownJob, UnknownModel
from darkroom.server.catalogue import Catalogue
from darkroom.services.caps import Caps, Terms, price_warnings
from darkroom.services.estimates import Ask, Cost, Estimates, job_cost
from darkroom.services.pricing import Pricing
from darkroom.settings import PrincipalSettings, Settings
from factories import NOW, FakeClock, make_job, make_ledger_row
from helpers_catalog import make_provider
from helpers_pricing import clip, other, pricing
from helpers_pricing import priced as price_of
from helpers_services import image, planned, started

LEFT_OUT = "search fees are not included"
DEAR = {"usd": "0.10", "low": "0.05", "high": "0.20"}


def catalogue() -> dict[str, Provider]:
    """Return offers whose prices are whole, of a part, ranged, or near their end."""
    offers = [
        clip("whole", "0.20", audio="always"),
        clip("silent", "0.01"),
        clip("loud", "0.15", audio="optional"),
        clip("coarse", "0.02", audio="always", duration={"values": [4, 10]}),
        clip("part", "0.01", audio="always", prices_partial=LEFT_OUT),
        clip("ending", "0.19", audio="always", status="ending", shutdown="2026-12-01"),
        other("research", "deep", price_of("request", "0.10"), prices_partial=LEFT_OUT),
        other("research", "plain", price_of("request", "0.20")),
        other("text_to_image", "fine", price_of("image", "0.4", low="0.3", high="0.8"), qualities=["low", "high"]),
        other("text_to_image", "rough", price_of("image", "0.01")),
        other("text_to_image", "tiny", price_of("image", "0.02"), size={"sizes": ["512x512"]}),
    ]
    more = [clip("cheap", "0.30", audio="always"), clip("dear", "0.40", audio="always")]
    return {
        "acme": make_provider("acme", offers=offers),
        "more": make_provider("more", offers=more),
        "draft": make_provider("draft", offers=[clip("draft-video", "0", audio="always")]),
    }


@pytest.fixture
def prices(settings: Settings, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Pricing:
    found = pricing(settings, clock, {})
    found._providers = catalogue()  # pyright: ignore[reportPrivateUsage] because this test has offers of its own
    monkeypatch.setattr(found, "today", lambda: date(2026, 11, 21))
    return found


@pytest.fixture
def book(prices: Pricing, settings: Settings) -> Estimates:
    return Estimates(prices, PlanBook(), None, settings)  # pyright: ignore[reportArgumentType] because nothing is stored


def names(found: Any) -> list[str]:
    return [one.candidate.offer.model for one, _ in found.others]


def test_cheaper_offers_do_the_very_same(book: Estimates) -> None:
    assert names(book.estimate(Ask("video", model="whole", duration=8))) == ["loud", "ending"]
    assert names(book.estimate(Ask("video", model="whole", duration=4))) == ["coarse", "loud", "ending"]
    assert names(book.estimate(Ask("video", model="whole"))) == ["loud", "ending"], "5 s, as the offer itself makes"
    assert names(book.estimate(Ask("image", model="fine", quality="high"))) == []
    assert names(book.estimate(Ask("image", model="fine"))) == ["rough"], "tiny makes a smaller picture"


def test_the_least_is_no_cheaper_price(book: Estimates) -> None:
    assert names(book.estimate(Ask("research", model="plain"))) == []
    found = book.estimate(Ask("research", model="deep"))
    assert found.priced.partial == LEFT_OUT
    assert names(found) == ["plain"], "whatever has a whole price is offered"


def test_the_best_of_every_provider_comes_first_then_the_rest(prices: Pricing, book: Estimates) -> None:
    found = book.estimate(Ask("video", duration=8))
    rows = [found.priced.candidate.name, *(one.candidate.name for one, _ in found.others)]
    assert rows[:3] == ["draft/draft-video", "acme/silent", "more/cheap"], "coarse does not make 8 s"
    assert rows[3:] == ["acme/coarse", "acme/loud", "acme/ending", "acme/whole", "more/dear", "acme/part"]
    assert len(rows) == len(prices.offers(Kind.VIDEO))


def test_what_a_route_would_refuse_is_priced_at_those_who_can(book: Estimates) -> None:
    found = book.estimate(Ask("video", duration=12, audio=True))
    assert found.priced.candidate.name == "draft/draft-video"
    with pytest.raises(InvalidRequest, match="makes no clips of 400 s"):
        book.estimate(Ask("video", duration=400))
    long = catalogue()
    long["draft"] = make_provider("draft", offers=[clip("draft-video", "0", duration={"min_s": 1, "max_s": 4})])
    book._pricing._providers = long  # pyright: ignore[reportPrivateUsage]
    other_one = book.estimate(Ask("video", duration=8))
    assert other_one.priced.candidate.name == "acme/silent"
    assert other_one.warnings[0].startswith("A call without model and provider would be refused: draft-video makes no")


def test_an_offer_that_ends_soon_tells_its_last_day(book: Estimates) -> None:
    found = book.estimate(Ask("video", duration=8))
    assert {one.candidate.offer.model: one.ends for one, _ in found.others if one.ends} == {"ending": date(2026, 12, 1)}


def test_a_price_past_its_end_is_told(prices: Pricing) -> None:
    old = [
        price_of("image", "0.1", until="2026-02-01"),
        price_of("image", "0.2", since="2026-02-02", until="2026-03-01"),
    ]
    kept = [price_of("image", "0.1", until="2026-02-01"), price_of("image", "0.2")]
    offers = [other("text_to_image", "lapsed", *old), other("text_to_image", "kept", *kept)]
    prices._providers = {"acme": make_provider("acme", offers=offers)}  # pyright: ignore[reportPrivateUsage]
    assert prices.lapsed() == ["acme/lapsed: its price ended on 2026-03-01, so its price is not known now."]


def test_a_month_says_what_a_draft_would_make_and_what_is_the_least(book: Estimates) -> None:
    month = book.month({"video": 3, "research": {"count": 2, "model": "deep"}})
    assert [(part.name, part.offer) for part in month.parts] == [
        ("video", "draft/draft-video"),
        ("research", "acme/deep"),
    ]
    assert month.warnings == (
        "video is priced as a draft, which is free; name a model, or set a provider's key, for the real thing.",
        f"research costs at least that: {LEFT_OUT}.",
    )


def test_an_unknown_plan_of_the_settings_is_told_in_an_estimate(prices: Pricing, settings: Settings) -> None:
    own = settings.model_copy(update={"plan": "gold", "principals": {"ann": PrincipalSettings(plan="agency")}})
    book = Estimates(prices, PlanBook(), None, own)  # pyright: ignore[reportArgumentType] because nothing is stored
    found = book.estimate(Ask("video", model="whole"))
    assert found.plan == "brand"
    assert found.warnings == ("DARKROOM_PLAN holds 'gold', and there is no such plan; plan brand is used.",)
    assert book.month({"video": 1}, "Agency", "ann").plan == "agency"
    assert book.plan_name(" ", "ann") == "agency"


def test_a_job_without_any_figure_has_no_credits() -> None:
    plans = PlanBook().plans
    assert job_cost(make_job(estimate=None)).credits(plans, "brand") is None
    assert Cost(None, None, ()).known is None


# Caps


def quote(partial: str | None = LEFT_OUT, high: int = 2_000_000) -> Quote:
    return Quote(MicroUsd(1_000_000), MicroUsd(1_500_000), MicroUsd(high), "a page", date(2026, 1, 1), (), partial)


def test_a_price_of_a_part_is_not_trusted_by_a_cap(settings: Settings) -> None:
    caps = Caps(settings)
    with pytest.raises(PriceUnknown, match="not known in full"):
        caps.check(quote(), "acme/deep", Terms(max_cost=MicroUsd(9_000_000)), unpriced=False)
    with pytest.raises(BudgetExceeded):
        caps.check(quote(), "acme/deep", Terms(max_cost=MicroUsd(1_000_000)), unpriced=True)
    assert caps.check(quote(), "acme/deep", Terms(), unpriced=False) is None
    assert not quote(high=0).free
    assert price_warnings("acme/deep", quote()) == (f"acme/deep costs at least $1.50: {LEFT_OUT}.",)
    assert price_warnings("acme/deep", quote(None)) == ()


@pytest.mark.parametrize("known", [quote(None), None])
def test_free_offers_only_names_the_draft(settings: Settings, known: Quote | None) -> None:
    with pytest.raises((BudgetExceeded, PriceUnknown)) as caught:
        Caps(settings).check(known, "acme/whole", Terms(max_cost=FREE), unpriced=False)
    assert "provider='draft'" in (caught.value.hint or "")


@pytest.mark.anyio
async def test_a_job_of_unknown_price_carries_a_word_about_it(paid: App) -> None:
    job = await started(paid, image(model="acme-mystery"))
    assert job.warnings == (
        "The price of acme/acme-mystery is not known; what it costs is in no sum until its provider says it.",
    )


@pytest.mark.anyio
async def test_a_dry_run_says_what_would_be_in_its_way(paid: App) -> None:
    asking, frugal = ({"confirm_above": Decimal("0.01")}, {"daily_budget": Decimal("0.05")})
    plain = await planned(paid, image(), Terms(dry_run=True))
    assert plain.obstacle is None
    await started(paid, image(prompt="another"))
    for update, said in ((asking, "with max_cost=0.04"), (frugal, "of the daily budget of $0.05 only $0.01 is left")):
        paid.generation._caps = Caps(paid.settings.model_copy(update=update))  # pyright: ignore[reportPrivateUsage]
        plan = await planned(paid, image(), Terms(dry_run=True))
        assert said in (plan.obstacle or "")
        assert (await planned(paid, image(provider="draft"), Terms(dry_run=True))).obstacle is None
    paid.generation._caps = Caps(paid.settings.model_copy(update={"daily_budget": Decimal(9)}))  # pyright: ignore[reportPrivateUsage]
    assert (await planned(paid, image(), Terms(dry_run=True))).obstacle is None


@pytest.mark.anyio
async def test_a_job_booked_under_a_plan_that_is_gone_is_counted_in_the_default(paid: App) -> None:
    row = make_ledger_row(kind=LedgerKind.RESERVED, micro_usd=MicroUsd(40_000), at=NOW)
    job = (await paid.store.add(make_job(plan="silver", estimate=MicroUsd(40_000)), [row])).job
    assert (await paid.estimates.job(job.id)).plan == "brand"
    assert (await paid.estimates.job(job.id, "starter")).plan == "starter"


@pytest.mark.anyio
async def test_an_unknown_plan_is_never_booked(paid: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def plan_of(_: Settings, __: str) -> str:
        return "gold"

    monkeypatch.setattr(Settings, "plan_of", plan_of)
    assert (await started(paid, image())).plan == "brand"


# Refused manifests


def test_a_model_of_a_refused_manifest_says_so(paid_settings: Settings) -> None:
    folder = paid_settings.providers_dir
    assert folder is not None
    (folder / "mine.toml").write_text('id = "mine"\n[[offers]]\nmodel = "my-model"\naliases = ["mm"]\n', "utf-8")
    (folder / "other.toml").write_bytes(b"\xff")
    fresh = App(paid_settings)
    for fields in ({"model": "my-model"}, {"model": "MM"}, {"provider": "mine"}, {"model": "mine/my-model"}):
        with pytest.raises(UnknownModel, match=r"mine\.toml names it and was refused: mine\.toml: title") as caught:
            fresh.pricing.choose(
                fresh.plans.plans.common["picture, FLUX schnell"].model_copy(update={"model": None} | fields)
            )
        assert "Mend that file" in (caught.value.hint or "")
    with pytest.raises(UnknownModel, match=r"mine\.toml names it and was refused"):
        Catalogue(fresh).model("my-model")
    with pytest.raises(UnknownModel) as caught:
        fresh.pricing.choose(fresh.plans.plans.common["picture, FLUX schnell"].model_copy(update={"model": "zzz"}))
    assert "refused" not in caught.value.message


# Later words on a bill


@pytest.mark.anyio
async def test_only_what_has_ended_is_adjusted_and_once(paid: App) -> None:
    amount = MicroUsd(250_000)
    with pytest.raises(UnknownJob):
        await paid.jobs.adjust("job_x", "local", amount)
    job = await started(paid, image())
    with pytest.raises(InvalidRequest, match=r"is queued; only what has ended can be adjusted\."):
        await paid.jobs.adjust(job.id, "local", amount)
    await paid.jobs.cancel(job.id, "local")
    with pytest.raises(InvalidRequest, match="has no submission 1") as caught:
        await paid.jobs.adjust(job.id, "local", amount, 1)
    assert caught.value.allowed == "0"
    adjusted = await paid.jobs.adjust(job.id, "local", amount, 0)
    assert adjusted.submissions[0].actual == amount
    with pytest.raises(InvalidRequest, match=r"was adjusted before, to \$0\.25\."):
        await paid.jobs.adjust(job.id, "local", MicroUsd(1))
    assert (await paid.usage.since("today")).total == amount
