"""Which offer takes a request: by fit, cap, health, liking and price; and which one after a refusal."""

import re
from collections.abc import AsyncGenerator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from darkroom.app import App
from darkroom.catalog.plans import Piece
from darkroom.domain.job import Job, LedgerKind
from darkroom.domain.kinds import Kind
from darkroom.domain.money import MicroUsd
from darkroom.errors import AuthFailed, InvalidRequest, Unsupported
from darkroom.services.caps import Terms
from darkroom.settings import Settings
from factories import FakeClock
from helpers_services import data_uri, image, opened, picture, started

OFFER = """
[[offers]]
model = "{model}"
operations = ["text_to_image", "edit_image"]
rank = {rank}
count_max = {count}
inputs = {{source = 1}}
{more}
[[offers.prices]]
unit = "image"
usd = "{usd}"
source = "a page"
as_of = 2026-01-01
"""


def manifest(name: str, *offers: str, head: str = "") -> str:
    return f'id = "{name}"\ntitle = "{name.title()}"\nadapter = "draft"\n{head}\n' + "".join(offers)


def offer(model: str, usd: str, rank: int = 50, count: int = 4, more: str = "") -> str:
    return OFFER.format(model=model, usd=usd, rank=rank, count=count, more=more)


VAGUE = """
[[offers]]
model = "vague-best"
operations = ["text_to_image"]
rank = 99
"""
MANIFESTS = {
    "alpha": manifest(
        "alpha",
        offer("beam", "0.05", 90),
        offer("alpha-best", "0.20", 95, count=1, more="seed = true\nprompt_max = 16"),
    ),
    "beta": manifest("beta", offer("beam", "0.03", 10)),
    "delta": manifest("delta", offer("beam", "0.04", 20)),
    "byweb": manifest(
        "byweb",
        offer("web-only", "0.01", 5),
        head='pictures = "url"\nfields = {prompt = "prompt", source = "image_url"}',
    ),
    "nowhere": manifest("nowhere", offer("placeless", "0.01", 4), head='fields = {prompt = "prompt"}'),
}


def settings_with(folder: Path, manifests: dict[str, str]) -> Settings:
    folder.mkdir()
    for name, text in manifests.items():
        (folder / f"{name}.toml").write_text(text, "utf-8")
    return Settings.load(providers_dir=folder)


@pytest.fixture
def many_settings(tmp_path: Path) -> Settings:
    return settings_with(tmp_path / "manifests", MANIFESTS)


@pytest.fixture
async def many(many_settings: Settings, clock: FakeClock) -> AsyncGenerator[App]:
    async with opened(many_settings, clock) as app:
        assert app.providers.problems == []
        yield app


async def taken(app: App, cap: int | None = None, **fields: Any) -> str:
    terms = Terms(max_cost=None if cap is None else MicroUsd(cap), again=True)
    job = await started(app, image(**fields), terms)
    return f"{job.submissions[0].provider}/{job.submissions[0].model}"


async def test_with_nothing_named_the_best_ranked_is_taken(many: App) -> None:
    assert await taken(many) == "alpha/alpha-best"


async def test_what_does_not_fit_gives_way_to_what_does(many: App) -> None:
    assert await taken(many, prompt="a red fox in snow") == "alpha/beam"


async def test_more_than_an_offer_makes_at_once_is_several_submissions(many: App) -> None:
    job = await started(many, image(n=3, seed=7), Terms(max_cost=MicroUsd(700_000)))
    parts = [(part.idx, part.model, part.effective.n, part.effective.start, part.estimate) for part in job.submissions]
    assert parts == [(number, "alpha-best", 1, number, 200_000) for number in range(3)]
    assert [(row.submission, row.micro_usd) for row in await many.store.ledger(job.id)] == [
        (number, 200_000) for number in range(3)
    ]


async def test_each_of_several_submissions_may_cost_what_the_others_leave(many: App) -> None:
    job = await started(many, image(model="alpha-best", n=3, seed=7), Terms(max_cost=MicroUsd(640_000)))
    whole = job.model_copy(update={"request": image(n=3, seed=7)})
    found = await many.generation.instead(whole, job.submissions[1], account=False)
    assert found is not None
    assert (found.submission.model, found.submission.effective.n, found.submission.effective.start) == ("beam", 1, 1)
    less = whole.model_copy(update={"max_cost": MicroUsd(405_000)})
    assert await many.generation.instead(less, job.submissions[1], account=False) is None


async def test_within_the_cap_the_best_ranked_is_taken(many: App) -> None:
    assert await taken(many, cap=100_000) == "alpha/beam"
    assert await taken(many, cap=45_000) == "delta/beam"


async def test_of_one_model_the_cheapest_offer_is_taken(many: App) -> None:
    assert await taken(many, model="beam") == "beta/beam"
    assert await taken(many, model="beam", provider="delta") == "delta/beam"


async def test_what_the_user_prefers_comes_before_what_is_cheaper(many_settings: Settings, clock: FakeClock) -> None:
    piece = Piece(operation=Kind.IMAGE, model="beam")
    async with opened(many_settings.model_copy(update={"prefer": ["delta"]}), clock) as app:
        assert await taken(app, model="beam") == "delta/beam"
        assert (await anyio.to_thread.run_sync(app.pricing.choose, piece)).name == "delta/beam"
    async with opened(many_settings, clock) as app:
        found = await anyio.to_thread.run_sync(app.pricing.choose, piece)
        assert found.name == "beta/beam", "an estimate is of the offer that would be taken"


async def test_a_provider_that_rests_comes_last(many: App) -> None:
    many.health.ill("beta", AuthFailed("no"))
    assert await taken(many, model="beam") == "delta/beam"
    assert await taken(many, model="beam", provider="beta") == "beta/beam"
    many.health.well("beta")
    assert await taken(many, model="beam", prompt="another") == "beta/beam"


async def test_a_refusal_names_an_offer_that_could_do_it(many: App) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await many.generation.start(image(model="alpha-best", prompt="x" * 17), Terms())
    assert caught.value.allowed == "up to 16 with alpha-best"
    assert "alpha/beam could do it." in str(caught.value.hint)


@pytest.fixture
def ending_settings(tmp_path: Path) -> Settings:
    old = offer("omega-old", "0.01", 99, more='status = "ending"\nshutdown = 2030-01-01')
    return settings_with(tmp_path / "more", {"alpha": MANIFESTS["alpha"], "omega": manifest("omega", old)})


async def test_a_refusal_names_no_offer_that_is_ending(ending_settings: Settings, clock: FakeClock) -> None:
    async with opened(ending_settings, clock) as app:
        with pytest.raises(InvalidRequest) as caught:
            await app.generation.start(image(model="alpha-best", prompt="x" * 17), Terms())
    assert "alpha/beam could do it." in str(caught.value.hint)


async def test_a_refusal_stands_alone_where_the_usual_model_is_wrong(many_settings: Settings, clock: FakeClock) -> None:
    wrong = many_settings.model_copy(update={"default_image_model": "no-such-model"})
    async with opened(wrong, clock) as app:
        with pytest.raises(InvalidRequest) as caught:
            await app.generation.start(image(model="alpha-best", prompt="x" * 17), Terms())
    assert "could do it" not in str(caught.value.hint)


async def test_a_picture_without_a_place_is_refused_before_anything_is_stored(many: App) -> None:
    with pytest.raises(Unsupported, match="takes no picture as source"):
        await many.generation.start(image(model="placeless", images=[data_uri(picture())]), Terms())
    assert await many.jobs.find("local") == []


async def test_a_local_picture_is_refused_where_only_addresses_go(many: App) -> None:
    with pytest.raises(Unsupported, match="https address only"):
        await many.generation.start(image(model="web-only", images=[data_uri(picture())]), Terms())


BOUNDED = "[offers.size]\nmin_side = 512\nmax_side = 2048"
LISTED = '[offers.size]\nsizes = ["1024x1024", "1536x1024"]'
ENDING = 'status = "ending"\nshutdown = 2199-01-01\n'
SIZED = {
    "omega": manifest(
        "omega",
        offer("omega-best", "0.05", 95, count=2, more=f"prompt_max = 20\n{BOUNDED}"),
        offer("omega-listed", "0.02", 60, more=LISTED),
        offer("omega-ending", "0.01", 40, more=f"prompt_max = 40\n{ENDING}{LISTED}"),
    ),
}


@pytest.fixture
def sized_settings(tmp_path: Path) -> Settings:
    return settings_with(tmp_path / "sized", SIZED)


@pytest.fixture
async def sized(sized_settings: Settings, clock: FakeClock) -> AsyncGenerator[App]:
    async with opened(sized_settings, clock) as app:
        assert app.providers.problems == []
        yield app


@pytest.mark.parametrize("size", ["4000x4000", "16x16", "2050x2050"])
@pytest.mark.parametrize("provider", [None, "omega"])
async def test_a_size_out_of_range_is_refused_rather_than_much_changed(
    sized: App, size: str, provider: str | None
) -> None:
    with pytest.raises(InvalidRequest, match=f"omega-best makes no pictures of {size}") as caught:
        await sized.generation.start(image(size=size, provider=provider), Terms())
    assert (caught.value.field, caught.value.allowed) == ("size", "512 to 2048 pixels a side")
    assert await sized.jobs.find("local") == []


async def test_a_size_out_of_range_is_made_by_an_offer_that_changes_it_little(sized: App) -> None:
    assert await taken(sized, size="2100x500") == "omega/omega-listed"
    assert await taken(sized, size="1024x1024") == "omega/omega-best"


async def test_who_names_a_model_gets_what_that_one_makes(sized: App) -> None:
    assert await taken(sized, model="omega-ending", size="4000x4000") == "omega/omega-ending"
    assert await taken(sized, model="omega-listed", size="16x16") == "omega/omega-listed"


async def test_a_hint_names_what_there_is_a_key_for_before_what_ranks_better(sized: App) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await sized.generation.start(image(model="omega-best", prompt="x" * 21), Terms())
    assert "omega/omega-listed could do it." in str(caught.value.hint)
    with pytest.raises(InvalidRequest) as caught:
        await sized.generation.start(image(provider="omega", size="4000x4000"), Terms())
    assert re.search(r"could do it with [A-Z]+_", str(caught.value.hint)), "what lacks its key says which"


# After a refusal


async def instead(app: App, job: Job, *, account: bool = False) -> str | None:
    found = await app.generation.instead(job, job.submissions[-1], account=account)
    return None if found is None else f"{found.submission.provider}/{found.submission.model}"


async def test_the_next_offer_is_one_that_costs_no_more_than_was_agreed(many: App) -> None:
    assert await instead(many, await started(many, image())) == "alpha/beam"
    assert await instead(many, await started(many, image(model="beam"))) is None
    dearer = await started(many, image(model="beam"), Terms(max_cost=MicroUsd(40_000), again=True))
    assert await instead(many, dearer) == "delta/beam"


async def test_an_account_that_was_refused_is_not_asked_again(many: App) -> None:
    job = await started(many, image())
    assert job.submissions[0].provider == "alpha"
    assert await instead(many, job) == "alpha/beam"
    assert await instead(many, job, account=True) == "delta/beam"


async def test_a_budget_puts_what_has_no_price_last(many_settings: Settings, clock: FakeClock) -> None:
    folder = many_settings.providers_dir
    assert folder is not None
    (folder / "vague.toml").write_text(manifest("vague", VAGUE), "utf-8")
    async with opened(many_settings.model_copy(update={"daily_budget": Decimal(5)}), clock) as app:
        assert await taken(app, model="beam") == "beta/beam"
        assert await taken(app) == "alpha/alpha-best"
    async with opened(many_settings, clock) as app:
        assert await taken(app) == "vague/vague-best"


async def test_a_named_provider_has_no_other(many: App) -> None:
    assert await instead(many, await started(many, image(model="beam", provider="alpha"))) is None


async def test_a_draft_never_stands_in_for_what_was_paid(many: App) -> None:
    job = await started(many, image(model="web-only"))
    assert await instead(many, job) is None


async def test_the_other_offer_has_a_reservation_of_its_own(many: App) -> None:
    job = await started(many, image(n=2, model="alpha/beam"))
    job = job.model_copy(update={"request": image(n=2)})
    found = await many.generation.instead(job, job.submissions[0], account=False)
    assert found is not None
    assert (found.reserved.kind, found.reserved.micro_usd) == (LedgerKind.RESERVED, 2 * 40_000)
    assert found.submission.estimate == 80_000
    assert found.submission.effective.n == 2


async def test_without_a_price_nothing_was_agreed(many: App) -> None:
    job = await started(many, image())
    unpriced = job.model_copy(update={"id": "job_0000000000000000"})
    assert await many.generation.instead(unpriced, job.submissions[0], account=False) is None


async def test_a_request_that_fits_nowhere_any_more_has_no_other(many: App) -> None:
    job = await started(many, image())
    gone = job.model_copy(update={"request": image(model="no-such-model")})
    assert await many.generation.instead(gone, job.submissions[0], account=False) is None
