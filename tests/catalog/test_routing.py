"""Which offers serve a request, and what is said when none does."""

from datetime import date, timedelta
from typing import Any

import pytest

from darkroom.catalog.providers import Provider, Providers
from darkroom.catalog.routing import Candidate, Choice, candidates, obstacle, route
from darkroom.domain.kinds import Kind, Mode
from darkroom.errors import ModelRetired, NotConfigured, UnknownModel, Unsupported
from helpers_catalog import TODAY, make_offer, make_provider, make_video_offer

YESTERDAY = TODAY - timedelta(days=1)


def table() -> dict[str, Provider]:
    """Return the shipped draft engine and two made-up paid providers."""
    acme = [
        make_offer(model="acme-pro", aliases=["best"], family="acme", rank=80),
        make_offer(model="acme-lite", aliases=["quick"], family="acme", rank=40, operations=["text_to_image"]),
        make_offer(model="acme-0", status="retired", shutdown=YESTERDAY, successor="acme-pro"),
        make_offer(model="acme-old", status="retired", shutdown=YESTERDAY),
        make_offer(model="acme-leaving", status="ending", shutdown=YESTERDAY, operations=["edit_image"]),
        make_offer(model="acme-ending", status="ending", shutdown=TODAY, rank=1),
    ]
    zed = [make_offer(model="acme-pro", rank=90), make_video_offer(model="zed-clip", family="zed")]
    return {
        "draft": Providers()["draft"],
        "acme": make_provider("acme", offers=acme, credentials=["ACME_KEY", ["ACME_ID", "ACME_SECRET"]]),
        "zed_labs": make_provider("zed_labs", offers=zed, credentials=["ZED_KEY"], title="Zed Labs!"),
    }


PROVIDERS = table()
ALL = frozenset(PROVIDERS)


def names(ready: frozenset[str] = ALL, **choice: Any) -> list[str]:
    values: dict[str, Any] = {"kind": Kind.IMAGE, "mode": Mode.TEXT_TO_IMAGE}
    return [item.name for item in route(PROVIDERS, Choice(**(values | choice)), ready, TODAY)]


BOTH_PRO = ["zed_labs/acme-pro", "acme/acme-pro"]
ACME = ["acme/acme-pro", "acme/acme-lite", "acme/acme-ending"]


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ({}, [BOTH_PRO[0], *ACME]),
        ({"provider": "acme"}, ACME),
        ({"provider": "Zed-Labs"}, ["zed_labs/acme-pro"]),
        ({"provider": "draft engine"}, ["draft/draft-image"]),
        ({"model": "acme-pro"}, BOTH_PRO),
        ({"model": "ACME PRO"}, BOTH_PRO),
        ({"model": "acme-pro", "provider": "acme"}, ["acme/acme-pro"]),
        ({"model": "best"}, ["acme/acme-pro"]),
        ({"model": "acme"}, ["acme/acme-pro", "acme/acme-lite"]),
        ({"model": "zed_labs"}, ["zed_labs/acme-pro"]),
        ({"model": "zed_labs/acme-pro"}, ["zed_labs/acme-pro"]),
        ({"model": "acme/acme-pro"}, ["acme/acme-pro"]),
        ({"model": "nobody/acme-pro"}, BOTH_PRO),
        ({"model": "acme-ending"}, ["acme/acme-ending"]),
        ({"model": "draft"}, ["draft/draft-image"]),
        ({"default_model": "quick"}, ["acme/acme-lite"]),
        ({"default_model": "quick", "model": "best"}, ["acme/acme-pro"]),
        ({"default_model": "quick", "provider": "draft"}, ["draft/draft-image"]),
        ({"default_model": "draft"}, ["draft/draft-image"]),
        ({"prefer": ["acme"]}, [*ACME, BOTH_PRO[0]]),
        ({"prefer": ["nobody", "zed_labs", "acme"], "model": "acme-pro"}, BOTH_PRO),
        ({"model": "acme-pro", "prefer": ["acme"]}, BOTH_PRO[::-1]),
        ({"mode": Mode.EDIT_IMAGE, "provider": "acme"}, ["acme/acme-pro", "acme/acme-ending"]),
        ({"kind": Kind.VIDEO, "mode": Mode.TEXT_TO_VIDEO}, ["zed_labs/zed-clip"]),
        ({"kind": Kind.VIDEO, "mode": Mode.TEXT_TO_VIDEO, "model": "draft"}, ["draft/draft-video"]),
    ],
)
def test_the_route_follows_from_what_is_named(choice: dict[str, Any], found: list[str]) -> None:
    assert names(**choice) == found


def test_only_configured_offers_serve() -> None:
    assert names(frozenset({"draft", "acme"}), model="acme-pro") == ["acme/acme-pro"]
    assert names(frozenset({"draft", "zed_labs"})) == ["zed_labs/acme-pro"]


def test_the_draft_engine_serves_when_nothing_else_is_configured_or_it_is_named() -> None:
    assert names(frozenset({"draft"})) == ["draft/draft-image"]
    assert "draft/draft-image" not in names()
    assert names(model="draft-image") == names(provider="draft") == ["draft/draft-image"]


def test_offers_of_equal_rank_keep_one_order() -> None:
    one, two = (make_provider(name, offers=[make_offer(model=f"{name}-1")]) for name in ("one", "two"))
    choice = Choice(kind=Kind.IMAGE, mode=Mode.TEXT_TO_IMAGE)
    for table_ in ({"one": one, "two": two}, {"two": two, "one": one}):
        assert [item.name for item in route(table_, choice, {"one", "two"}, TODAY)] == ["one/one-1", "two/two-1"]


@pytest.mark.parametrize(
    ("choice", "field", "near"),
    [
        ({"model": "acme-pr0"}, "model", "acme-pro"),
        ({"model": "quik"}, "model", "quick"),
        ({"provider": "acmee"}, "provider", "acme"),
        ({"provider": "draft", "model": "draft-imag"}, "model", "draft-image"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(choice: dict[str, Any], field: str, near: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        names(**choice)
    assert caught.value.field == field
    assert near in (caught.value.allowed or ())
    assert f"Did you mean {near!r}?" in caught.value.message


@pytest.mark.parametrize("name", ["", "???", "zzzzzz", "x" * 500, "/", "a/b/c"])
def test_a_name_like_no_other_is_answered_with_what_there_is(name: str) -> None:
    asked: list[dict[str, Any]] = [{"model": name}, {"provider": name}]
    for choice in asked:
        with pytest.raises(UnknownModel) as caught:
            names(**choice)
        assert caught.value.allowed
        assert len(caught.value.message) < 200


def test_a_model_that_the_named_provider_lacks_is_unknown_there() -> None:
    with pytest.raises(UnknownModel) as caught:
        names(model="draft-image", provider="acme")
    assert set(caught.value.allowed or ()) <= {offer.model for offer in PROVIDERS["acme"].offers} | {"best", "quick"}
    with pytest.raises(UnknownModel):
        names(model="acme/zed-clip", kind=Kind.VIDEO, mode=Mode.TEXT_TO_VIDEO, provider="acme")


def test_a_retired_model_names_its_successor() -> None:
    with pytest.raises(ModelRetired) as caught:
        names(model="acme-0")
    assert caught.value.successor == "acme-pro"
    assert caught.value.message == f"acme-0 was shut down on {YESTERDAY}. Use 'acme-pro' instead."
    with pytest.raises(ModelRetired, match=f"^acme-old was shut down on {YESTERDAY}.$"):
        names(model="acme-old")


def after(ready: set[str], **choice: Any) -> ModelRetired | NotConfigured:
    """Return what is said of a name that one provider let go, while the other, which has it, may lack its key."""
    gone: dict[str, Any] = {"status": "retired", "shutdown": YESTERDAY}
    acme = [
        make_offer(model="beam-1", aliases=["beam-preview"], family="beam", successor="beam-2", **gone),
        make_offer(model="beam-2", family="beam", successor="shine", **gone),
        make_offer(model="ray-1", successor="zed-only", **gone),
        make_offer(model="round-1", successor="round-2", **gone),
        make_offer(model="round-2", successor="round-1", **gone),
        make_offer(model="lost-1", successor="nowhere", **gone),
        make_offer(model="shine"),
    ]
    zed = [make_offer(model=name, family="beam") for name in ("beam-1", "ray-1", "zed-only", "round-1", "lost-1")]
    zed.append(make_offer(model="beam-0", family="beam", successor="shine", **gone))
    providers = {
        "acme": make_provider("acme", offers=acme, credentials=["ACME_KEY"], title="Acme"),
        "zed": make_provider("zed", offers=zed, credentials=["ZED_KEY"], title="Zed"),
    }
    with pytest.raises((ModelRetired, NotConfigured)) as caught:
        route(providers, Choice(kind=Kind.IMAGE, mode=Mode.TEXT_TO_IMAGE, **choice), ready, TODAY)
    assert isinstance(caught.value, ModelRetired | NotConfigured)
    return caught.value


@pytest.mark.parametrize("name", ["beam-1", "beam", "beam-preview"])
def test_a_name_whose_own_provider_let_it_go_leads_to_what_the_keys_can_use(name: str) -> None:
    error = after({"acme"}, model=name)
    assert isinstance(error, ModelRetired)
    assert error.successor == "shine"
    assert "was shut down" in error.message
    assert error.message.endswith(f"on {YESTERDAY}. Use 'shine' instead.")
    left = "" if name == "beam-preview" else " zed/beam-1 is still there and needs ZED_KEY."
    assert error.hint == f"Nothing was stored or sent.{left}"


@pytest.mark.parametrize(
    "choice",
    [
        {"model": "ray-1"},
        {"model": "round-1"},
        {"model": "lost-1"},
        {"model": "beam-1", "provider": "zed"},
        {"model": "zed/beam-1"},
        {"model": "beam", "provider": "zed"},
        {"model": "zed"},
        {"provider": "zed"},
    ],
)
def test_a_key_is_asked_for_where_what_took_its_place_needs_one_too_or_another_is_named(choice: dict[str, Any]) -> None:
    error = after({"acme"}, **choice)
    assert isinstance(error, NotConfigured)
    assert error.message == "Zed needs ZED_KEY."


def test_what_took_its_place_is_none_without_any_key() -> None:
    assert isinstance(after(set(), model="beam-1"), NotConfigured)


def test_a_name_that_is_gone_everywhere_leads_to_the_successor_there_is_a_key_for() -> None:
    gone: dict[str, Any] = {"model": "beam", "status": "retired"}
    acme = [make_offer(**gone, shutdown=date(2025, 1, 1), successor="acme-1"), make_offer()]
    zed = [make_offer(**gone, shutdown=date(2025, 2, 2), successor="zed-1"), make_offer(model="zed-1")]
    providers = {"acme": make_provider("acme", offers=acme), "zed": make_provider("zed", offers=zed)}
    choice = Choice(kind=Kind.IMAGE, mode=Mode.TEXT_TO_IMAGE, model="beam")
    for ready, successor in (("acme", "acme-1"), ("zed", "zed-1"), ("acme zed", "zed-1"), ("", "zed-1")):
        with pytest.raises(ModelRetired) as caught:
            route(providers, choice, ready.split(), TODAY)
        assert caught.value.successor == successor


def test_only_its_own_name_in_the_settings_wakes_a_retired_model_and_only_one_that_is_off() -> None:
    off = {"status": "retired", "shutdown": YESTERDAY, "successor": "acme-pro"}
    offers = [make_offer(model="acme-0", off="gone", **off), make_offer(model="acme-00", **off)]
    providers = {"acme": make_provider(offers=offers)}

    def found(model: str, *enabled: str) -> list[str]:
        choice = Choice(kind=Kind.IMAGE, mode=Mode.TEXT_TO_IMAGE, model=model, enabled=enabled)
        return [item.name for item in route(providers, choice, {"acme"}, YESTERDAY.replace(year=2030))]

    assert found("acme-0", "acme/acme-0") == ["acme/acme-0"]
    for model, enabled in (("acme-0", "acme"), ("acme-0", "acme-0"), ("acme-00", "acme/acme-00"), ("acme-0", "x")):
        with pytest.raises(ModelRetired) as caught:
            found(model, enabled)
        assert caught.value.successor == "acme-pro"


def test_a_model_is_gone_after_its_last_day_and_not_before() -> None:
    assert names(model="acme-ending") == ["acme/acme-ending"]
    choice = Choice(kind=Kind.IMAGE, mode=Mode.TEXT_TO_IMAGE, model="acme-ending")
    with pytest.raises(ModelRetired):
        route(PROVIDERS, choice, ALL, date(2026, 1, 2))


def test_a_provider_without_that_medium_says_so() -> None:
    with pytest.raises(Unsupported) as caught:
        names(provider="acme", kind=Kind.VIDEO, mode=Mode.TEXT_TO_VIDEO)
    assert (caught.value.field, caught.value.message) == ("provider", "acme makes no videos.")


def test_a_model_that_cannot_do_it_names_those_that_can() -> None:
    with pytest.raises(Unsupported) as caught:
        names(model="acme-lite", mode=Mode.EDIT_IMAGE)
    assert caught.value.message == "acme-lite cannot do edit image."
    assert set(caught.value.allowed or ()) == {
        "draft/draft-image",
        "acme/acme-pro",
        "zed_labs/acme-pro",
        "acme/acme-ending",
    }


def test_a_model_that_cannot_do_it_names_first_what_the_keys_can() -> None:
    with pytest.raises(Unsupported) as caught:
        names(frozenset({"acme"}), model="acme-lite", mode=Mode.EDIT_IMAGE)
    assert (caught.value.allowed or ())[:2] == ["acme/acme-pro", "acme/acme-ending"]
    assert set((caught.value.allowed or ())[2:]) == {"draft/draft-image", "zed_labs/acme-pro"}
    assert caught.value.hint == "Nothing was stored or sent. acme/acme-pro can, with your keys."
    with pytest.raises(Unsupported) as caught:
        names(frozenset(), model="acme-lite", mode=Mode.EDIT_IMAGE)
    assert caught.value.hint == "Nothing was stored or sent. Name one of the allowed models."


def test_what_no_adapter_speaks_to_comes_after_what_could_be_used() -> None:
    with pytest.raises(Unsupported) as caught:
        names(ALL, model="acme-lite", mode=Mode.EDIT_IMAGE, adapters={"zed_labs"})
    allowed = list(caught.value.allowed or ())
    assert (allowed[0], len(allowed)) == ("zed_labs/acme-pro", 4)


def test_a_missing_key_names_its_variables_and_the_way_without() -> None:
    with pytest.raises(NotConfigured) as caught:
        names(frozenset({"draft"}), provider="acme")
    assert caught.value.message == "Acme needs ACME_KEY, or ACME_ID and ACME_SECRET."
    assert "provider='draft'" in (caught.value.hint or "")


def test_candidates_are_all_offers_of_a_medium_the_retired_ones_too() -> None:
    found = {item.name for item in candidates(PROVIDERS, Kind.IMAGE)}
    assert {"acme/acme-0", "draft/draft-image", "zed_labs/acme-pro"} <= found
    assert "zed_labs/zed-clip" not in found


# Names with a slash of their own


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("acme-pro/v2", ["zed_labs/lab-1"]),
        ("acme/lab", ["zed_labs/lab-1"]),
        ("zed_labs/acme/lab", ["zed_labs/lab-1"]),
        ("acme/acme-1", ["acme/acme-1"]),
        ("nobody/acme-1", ["acme/acme-1"]),
    ],
)
def test_what_precedes_a_slash_is_a_provider_only_where_there_is_one(name: str, found: list[str]) -> None:
    providers = {
        "acme": make_provider("acme"),
        "zed_labs": make_provider("zed_labs", offers=[make_offer(model="lab-1", aliases=["acme-pro/v2", "acme/lab"])]),
    }
    choice = Choice(kind=Kind.IMAGE, mode=Mode.TEXT_TO_IMAGE, model=name)
    assert [item.name for item in route(providers, choice, set(providers), TODAY)] == found


def test_a_model_of_another_provider_than_the_one_before_the_slash_is_unknown() -> None:
    with pytest.raises(UnknownModel) as caught:
        names(model="zed_labs/acme-lite")
    assert caught.value.allowed == ["acme-pro"]


# What stands in the way


def in_the_way(adapters: set[str] | None = None, enabled: tuple[str, ...] = (), **offer: Any) -> str | None:
    provider = make_provider("zed_labs", adapter="zed", offers=[make_offer(**offer)])
    return obstacle(Candidate(provider, provider.offers[0]), adapters, enabled)


def test_an_offer_needs_an_adapter_of_this_version() -> None:
    assert in_the_way(adapters={"zed"}) is None
    assert in_the_way(adapters=None) is None
    assert in_the_way(adapters={"draft", "zed_labs"}) == "not usable yet"
    assert in_the_way(adapters=set(), enabled=("zed_labs",), off="unlicensed") == "not usable yet"


def test_a_language_model_needs_no_adapter_where_its_provider_is_spoken_to() -> None:
    talk = make_offer(model="talker", operations=["chat"], inputs={})
    chat = {"wire": "openai", "path": "chat", "tiers": {"economy": "talker"}}
    for provider, expected in (
        (make_provider("zed_labs", offers=[talk], chat=chat), None),
        (make_provider("zed_labs", offers=[talk]), "not usable yet"),
        (make_provider("zed_labs", offers=[make_offer(), talk], chat=chat), "not usable yet"),
    ):
        assert obstacle(Candidate(provider, provider.offers[0]), set(), ()) == expected


@pytest.mark.parametrize(
    ("enabled", "wanted"),
    [
        ((), False),
        (("zed_labs",), True),
        (("Zed Labs",), True),
        (("zed_labs/acme-1",), True),
        (("ZED-LABS/ACME.1",), True),
        (("zed_labs/acme-2",), False),
        (("acme-1",), False),
        (("acme", "zed_labs"), True),
        (("zed",), False),
    ],
)
def test_what_is_off_is_used_when_its_provider_or_itself_is_enabled(enabled: tuple[str, ...], *, wanted: bool) -> None:
    assert in_the_way(enabled=enabled, off="unlicensed") == (None if wanted else "off: unlicensed")
    assert in_the_way(enabled=enabled) is None


def blocked() -> dict[str, Provider]:
    """Return a provider that is off, one without an adapter, and one with both kinds of offers."""
    dark = make_offer(model="dark-1", off="nobody may use it")
    return {
        "draft": PROVIDERS["draft"],
        "shade": make_provider("shade", adapter="draft", offers=[dark, make_offer(model="light-1", rank=1)]),
        "later": make_provider("later", offers=[make_offer(model="later-1", rank=90)]),
    }


def chosen(**choice: Any) -> list[str]:
    values: dict[str, Any] = {"kind": Kind.IMAGE, "mode": Mode.TEXT_TO_IMAGE, "adapters": {"draft"}}
    return [item.name for item in route(blocked(), Choice(**(values | choice)), set(blocked()), TODAY)]


def test_routes_skip_what_is_off_or_has_no_adapter() -> None:
    assert chosen() == ["shade/light-1"]
    assert chosen(adapters=None) == ["later/later-1", "shade/light-1"]
    assert chosen(enabled=["shade/dark-1"]) == ["shade/dark-1", "shade/light-1"]
    assert chosen(enabled=["shade"], model="dark-1") == ["shade/dark-1"]
    assert chosen(provider="shade") == ["shade/light-1"]


@pytest.mark.parametrize(("choice", "field"), [({"model": "later-1"}, "model"), ({"provider": "later"}, "provider")])
def test_an_offer_without_an_adapter_is_refused_as_listed_for_its_prices(choice: dict[str, Any], field: str) -> None:
    with pytest.raises(Unsupported) as caught:
        chosen(**choice)
    assert caught.value.field == field
    assert caught.value.message == (
        "This version of darkroom cannot use Later yet; later/later-1 is listed for its prices."
    )
    assert caught.value.hint == "Nothing was stored or sent. Leave model and provider out to let darkroom choose."


def test_an_offer_that_is_off_is_refused_with_the_reason_and_the_way_to_enable_it() -> None:
    with pytest.raises(Unsupported) as caught:
        chosen(model="dark-1")
    assert caught.value.message == "shade/dark-1 is off by default: nobody may use it."
    assert "DARKROOM_ENABLE=shade/dark-1" in (caught.value.hint or "")
    assert caught.value.field == "model"
    assert chosen(model="dark-1", enabled=["shade/dark-1"]) == ["shade/dark-1"]
