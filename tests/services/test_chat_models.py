"""Which language model thinks for an agent, and what it costs."""

from decimal import Decimal
from typing import Any

import pytest

from darkroom.catalog.accounts import Accounts
from darkroom.catalog.providers import Provider, Providers
from darkroom.domain.money import MicroUsd
from darkroom.errors import InvalidRequest, ModelRetired, NotConfigured, PriceUnknown, UnknownModel
from darkroom.services.chat_models import ChatChoice, ChatModels
from darkroom.settings import PrincipalSettings, Settings
from factories import FakeClock
from helpers_catalog import TODAY, make_provider

PRICE = {"source": "a page", "as_of": TODAY}
OPEN_URL = {"DARKROOM_OPENAI_COMPATIBLE_BASE_URL": "http://127.0.0.1:1/v1"}


def chat(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "operations": ["chat"], **fields}


def priced(given: str, made: str) -> list[dict[str, Any]]:
    return [{"unit": "mtoken_in", "usd": given, **PRICE}, {"unit": "mtoken_out", "usd": made, **PRICE}]


def provider(name: str, *offers: dict[str, Any], **tiers: str) -> Provider:
    table = {"wire": "openai", "path": "chat", "tiers": tiers}
    key = [f"{name.upper()}_KEY"]
    return make_provider(name, base_url=f"https://{name}.test", credentials=key, chat=table, offers=list(offers))


def catalogue() -> dict[str, Provider]:
    gone = {"status": "retired", "shutdown": "2025-01-01"}
    open_ended = make_provider(
        "openai_compatible",
        credentials=["DARKROOM_OPENAI_COMPATIBLE_API_KEY"],
        chat={"wire": "openai", "path": "chat", "tiers": dict.fromkeys(("economy", "standard", "premium"), "any")},
        offers=[chat("any", rank=10)],
    )
    acme = provider(
        "acme",
        chat("acme-small", rank=70, prices=priced("1", "2"), aliases=["tiny"]),
        chat("acme-large", rank=60, prices=priced("10", "20"), wire="large-2026"),
        chat("acme-old", successor="acme-large", **gone),
        chat("acme-ancient", **gone),
        economy="acme-small",
        standard="acme-small",
        premium="acme-large",
    )
    zed = provider("zed", chat("zed-1", rank=65), chat("zed-0", **gone), economy="zed-0", standard="zed-1")
    return {"acme": acme, "zed": zed, "openai_compatible": open_ended, "mute": make_provider("mute")}


def models(*, keys: dict[str, str] | None = None, **settings: Any) -> ChatModels:
    every = catalogue()
    accounts = Accounts(every, {"ACME_KEY": "a", "ZED_KEY": "z"} if keys is None else keys, b"key")
    return ChatModels(providers=every, accounts=lambda: accounts, settings=Settings.load(**settings), clock=FakeClock())


def chosen(found: ChatModels, tier: str | None = None, model: str | None = None) -> ChatChoice:
    choice = found.choose(tier, model)
    assert choice is not None
    return choice


# What fits a tier


def test_the_best_ranked_of_a_tier_is_taken_among_what_is_configured() -> None:
    assert chosen(models()).name == "acme/acme-small"
    assert chosen(models(), "premium").name == "acme/acme-large"
    assert chosen(models(keys={"ZED_KEY": "z"}), "standard").name == "zed/zed-1"


def test_what_the_user_prefers_comes_first() -> None:
    assert chosen(models(prefer=("zed",))).name == "zed/zed-1"


def test_a_retired_offer_of_a_tier_and_a_provider_without_that_tier_are_passed_over() -> None:
    zed = models(keys={"ZED_KEY": "z"})
    assert zed.choose("economy", None) is None
    assert zed.choose("premium", None) is None


def test_with_nothing_configured_there_is_none() -> None:
    assert models(keys={}).choose("standard", None) is None
    assert models(keys={}).configured() == []


def test_a_server_of_ones_own_is_ready_by_its_address_alone_and_comes_last() -> None:
    own = models(keys=OPEN_URL)
    assert own.configured() == ["openai_compatible"]
    assert chosen(own).name == "openai_compatible/any"
    assert chosen(models(keys={**OPEN_URL, "ZED_KEY": "z"})).name == "zed/zed-1"
    assert models(keys={"DARKROOM_OPENAI_COMPATIBLE_API_KEY": "x"}).choose("standard", None) is None


def test_a_tier_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="Did you mean 'premium'") as caught:
        models().choose("premum", None)
    assert caught.value.field == "tier"


# What is named


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("acme/acme-large", "acme/acme-large"),
        ("ACME-Large", "acme/acme-large"),
        ("tiny", "acme/acme-small"),
        ("zed/tiny", None),
        ("zed", "zed/zed-1"),
        ("acme", "acme/acme-small"),
        ("openai_compatible/qwen3:8b", "openai_compatible/qwen3:8b"),
        ("openai_compatible/meta/llama-4", "openai_compatible/meta/llama-4"),
    ],
)
def test_a_model_can_be_named_in_several_ways(name: str, found: str | None) -> None:
    every = models(keys={"ACME_KEY": "a", "ZED_KEY": "z", **OPEN_URL})
    if found is None:
        with pytest.raises(UnknownModel):
            every.choose("standard", name)
    else:
        assert chosen(every, "standard", name).name == found


def test_the_name_on_the_wire_may_be_another() -> None:
    choice = chosen(models(), model="acme-large")
    assert (choice.model, choice.name, choice.wire) == ("large-2026", "acme/acme-large", "openai")


def test_an_unknown_name_tells_the_nearest() -> None:
    with pytest.raises(UnknownModel, match="Did you mean 'acme-large'") as caught:
        models().choose("standard", "acme-lrge")
    assert "acme-large" in (caught.value.allowed or ())
    assert "openai_compatible/<its name>" in (caught.value.hint or "")
    with pytest.raises(UnknownModel) as far:
        models().choose("standard", "zed/qqqqqq")
    assert far.value.allowed == ["zed-1"]
    with pytest.raises(UnknownModel, match=r"no language model 'acme/acme-lareg'\. Did you mean 'acme-large'"):
        models().choose("standard", "acme/acme-lareg")


def test_a_slip_in_the_provider_tells_the_whole_name_that_is_meant() -> None:
    with pytest.raises(UnknownModel, match="Did you mean 'openai_compatible/stub'") as caught:
        models().choose("standard", "openai_compatble/stub")
    assert caught.value.allowed == ["openai_compatible/stub"]
    with pytest.raises(UnknownModel, match="no language model 'elsewhere/stub'"):
        models().choose("standard", "elsewhere/stub")


def test_models_of_what_is_configured_are_proposed_first() -> None:
    zed = models(keys={"ZED_KEY": "z"})
    with pytest.raises(UnknownModel) as near:
        zed.choose("standard", "acme-larges")
    assert near.value.allowed == ["acme-large"], "a mere slip says what is lacking, by the next call"
    with pytest.raises(UnknownModel) as far:
        zed.choose("standard", "acm")
    assert far.value.allowed == ["zed-1"]
    assert "Did you mean" not in far.value.message
    with pytest.raises(UnknownModel) as nothing:
        models(keys={}).choose("standard", "nope")
    assert nothing.value.allowed == ["acme-large", "acme-small", "tiny", "zed-1"]


def test_a_model_that_is_gone_tells_what_came_after_it() -> None:
    with pytest.raises(ModelRetired, match=r"shut down on 2025-01-01\. Use 'acme-large'") as caught:
        models().choose("standard", "acme-old")
    assert caught.value.successor == "acme-large"
    with pytest.raises(ModelRetired) as last:
        models().choose("standard", "acme-ancient")
    assert last.value.successor is None


def test_a_named_model_without_its_key_tells_the_variable_and_what_is_there() -> None:
    with pytest.raises(NotConfigured, match="Zed needs ZED_KEY") as caught:
        models(keys={"ACME_KEY": "a"}).choose("standard", "zed-1")
    assert "Configured are: acme." in (caught.value.hint or "")
    with pytest.raises(NotConfigured, match="DARKROOM_OPENAI_COMPATIBLE_BASE_URL") as bare:
        models(keys={}).choose("standard", "openai_compatible/llama")
    assert "Configured" not in (bare.value.hint or "")


def test_a_base_url_that_is_no_address_is_told_before_anything_is_asked() -> None:
    own = {"DARKROOM_OPENAI_COMPATIBLE_BASE_URL": "localhost:11434/v1"}
    with pytest.raises(NotConfigured, match="needs DARKROOM_OPENAI_COMPATIBLE_BASE_URL as a web address") as caught:
        models(keys=own).choose("standard", "openai_compatible/llama")
    assert "11434" not in caught.value.message


# Settings


def test_settings_name_models_for_one_tier_or_for_all() -> None:
    own = models(agent_model="zed-1", premium_model="acme-large")
    assert chosen(own, "economy").name == "zed/zed-1"
    assert chosen(own, "premium").name == "acme/acme-large"
    assert chosen(own, "premium", "tiny").name == "acme/acme-small"


def test_off_means_that_a_brief_is_handed_over() -> None:
    assert models(agent_model="off").choose("standard", None) is None
    assert models(economy_model="Off").choose("economy", None) is None
    assert models().choose("standard", "off") is None
    assert chosen(models(agent_model="off"), model="tiny").name == "acme/acme-small"


def test_client_means_the_callers_own_model_and_else_what_fits() -> None:
    own = models(agent_model="client")
    assert own.client_first
    assert not models().client_first
    assert chosen(own).name == "acme/acme-small"
    assert chosen(models(), model="client").name == "acme/acme-small"


def test_a_wrong_setting_is_told_by_its_name() -> None:
    with pytest.raises(UnknownModel) as caught:
        models(premium_model="acme-x-large").choose("premium", None)
    assert caught.value.field == "DARKROOM_PREMIUM_MODEL"


# Prices


def test_a_cost_comes_from_the_tables() -> None:
    assert chosen(models(), model="tiny").cost(1_000_000, 500_000) == 2_000_000
    assert chosen(models(), model="zed-1").cost(1, 1) is None
    assert chosen(models(agent_price="0.5/1.5"), model="zed-1").cost(1_000_000, 2_000_000) == 3_500_000
    assert chosen(models(agent_price="0.5/1.5"), model="tiny").cost(1_000_000, 0) == 1_000_000


def test_a_server_of_ones_own_costs_what_is_set_or_what_vendors_ask_for_that_model() -> None:
    keys = {"ACME_KEY": "a", **OPEN_URL}
    assert chosen(models(keys=keys), model="openai_compatible/acme/acme-large").cost(100, 0) == 1000
    assert chosen(models(keys=keys), model="openai_compatible/zed/zed-1").cost(100, 0) is None
    assert chosen(models(keys=keys), model="openai_compatible/llama").cost(100, 0) is None
    free = models(keys=keys, agent_price="0/0")
    assert chosen(free, model="openai_compatible/acme-large").cost(100, 100) == 0


def test_an_unknown_price_is_warned_of_and_refused_where_anything_caps_it() -> None:
    plain = models()
    assert plain.check(chosen(plain, model="tiny"), "local", MicroUsd(1)) == ()
    unpriced = chosen(plain, model="zed-1")
    (warning,) = plain.check(unpriced, "local", None)
    assert "DARKROOM_AGENT_PRICE" in warning
    with pytest.raises(PriceUnknown, match=r"a cap of \$0.50"):
        plain.check(unpriced, "local", MicroUsd(500_000))
    with pytest.raises(PriceUnknown, match="a budget"):
        models(daily_budget=Decimal(1)).check(unpriced, "local", None)
    own = models(principals={"ann": PrincipalSettings(max_cost=Decimal(2))})
    with pytest.raises(PriceUnknown, match=r"\$2"):
        own.check(unpriced, "ann", None)
    assert own.check(unpriced, "bob", None)


# The manifests


@pytest.mark.parametrize("name", ["anthropic", "openai", "google", "xai"])
def test_shipped_providers_have_a_priced_model_for_every_tier(name: str) -> None:
    shipped = Providers()
    variable = shipped[name].credentials[0][0]
    accounts = Accounts(shipped, {variable: "k"}, b"key")
    found = ChatModels(
        providers=shipped, accounts=lambda: accounts, settings=Settings.load(), clock=FakeClock(wall=1_795_305_600_000)
    )
    costs = [chosen(found, tier).cost(1000, 1000) for tier in ("economy", "standard", "premium")]
    assert all(costs)
    assert costs == sorted(costs, key=lambda cost: cost or 0)
    assert chosen(found, "standard").provider.id == name
