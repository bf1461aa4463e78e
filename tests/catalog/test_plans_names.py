"""Names in plans files and settings: found however they are written, refused with the nearest, never fatal."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from darkroom.catalog.plans import PlanBook, Plans, PlansError
from darkroom.settings import PrincipalSettings, Settings
from helpers_pricing import catalogue

GOLD = """
[plans.{name}]
title = "Gold"
multiplier = "1.2"
credit_price_usd = "0.04"
price_usd = "9"
credits = 300
users = 1
overage_usd = "0.05"
"""
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(text: str) -> Path:
        path = tmp_path / "plans.toml"
        path.write_text(text, "utf-8")
        return path

    return put


def refused(path: Path) -> str:
    with pytest.raises(PlansError) as caught:
        Plans.read(path, catalogue)
    message = str(caught.value)
    assert message.endswith("The plans used before are kept.")
    return message


def test_a_plan_may_be_written_in_capitals(write: Write) -> None:
    plans = Plans.read(write(GOLD.format(name="Gold")))
    assert plans.plan("GOLD ").title == plans.plan("gold").title == "Gold"
    assert plans.warnings() == []
    assert plans.full_use("gold").price == 9


def test_a_shipped_plan_in_capitals_is_that_plan(write: Write) -> None:
    plans = Plans.read(write('[plans.BRAND]\nmultiplier = "1.8"\n'))
    assert list(plans.plans) == ["starter", "brand", "agency", "enterprise"]
    assert plans.plan("brand").multiplier == Decimal("1.8")
    assert plans.updated({"plans": {"Brand": {"users": 3}}}).plan("brand").users == 3


@pytest.mark.parametrize("table", ["plans", "month"])
def test_two_names_that_become_one_are_refused(write: Write, table: str) -> None:
    assert f"{table}: 'Gold' and 'gold' are the same name." in refused(write(f"[{table}.Gold]\n[{table}.gold]\n"))


def test_a_plan_without_a_name_and_a_table_that_is_none_are_refused(write: Write) -> None:
    assert "a plan has no name" in refused(write(GOLD.format(name='" "')))
    assert "plans" in refused(write("plans = 5"))


def test_start_does_not_die_of_any_plans_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plans.toml"
    for content in (b"\xff", b"[plans", b"a = " + b"[" * 50_000, b"\x00", GOLD.format(name="Gold").encode() * 2):
        path.write_bytes(content)
        book = PlanBook(path)
        assert "brand" in book.plans.plans
        assert book.problem is not None
    path.unlink()
    path.mkdir()
    assert "brand" in PlanBook(path).read().plans

    def locked(_: Path) -> bool:
        raise PermissionError("no")

    monkeypatch.setattr(Path, "exists", locked)
    book = PlanBook(path)
    assert "brand" in book.read().plans
    assert book.problem is not None


def test_a_piece_that_names_an_unknown_model_is_refused_with_the_nearest(write: Write) -> None:
    wrong = write('[common]\n"my clip" = { operation = "video", model = "acme-clp" }\n')
    assert "common.my clip: There is no model 'acme-clp' for this. Did you mean 'acme-clip'?" in refused(wrong)
    lost = write('[month]\nClips = { operation = "video", provider = "acmee" }\n')
    assert "month.clips: There is no provider 'acmee'. Did you mean 'acme'?" in refused(lost)
    right = write('[month]\nClips = { operation = "video", provider = "acme", model = "acme-clip" }\n')
    piece = Plans.read(right, catalogue).piece("CLIPS")
    assert piece is not None
    assert piece.model == "acme-clip"


def test_free_work_asks_nothing_of_clients() -> None:
    asked = PlanBook().plans.client_price(Decimal(0))
    assert (asked.price, asked.usd, asked.percent) == (0, 0, None)


def test_a_loss_below_a_cent_is_not_told_as_nothing() -> None:
    plans = PlanBook().plans.updated({"plans": {"brand": {"price_usd": "111.11"}}})
    assert plans.warnings() == ["Plan brand loses under a cent a month when all 10,000 credits are used."]
    dear = PlanBook().plans.updated({"plans": {"brand": {"credits": 10**9}}})
    assert dear.warnings()[0].startswith("Plan brand loses $11,110,912.11 a month")


def test_an_unknown_plan_of_the_settings_is_told_and_the_default_used_in_its_place() -> None:
    book = PlanBook()
    settings = Settings(plan="bran", principals={"ann": PrincipalSettings(plan="Agncy"), "bob": PrincipalSettings()})
    assert (book.of(settings, "ann"), book.of(settings, "bob")) == ("brand", "brand")
    assert book.warnings(settings) == [
        "DARKROOM_PLAN holds 'bran', and there is no such plan; plan brand is used. Did you mean 'brand'?",
        (
            "principals.ann.plan in config.toml holds 'Agncy', and there is no such plan; plan brand is used. "
            "Did you mean 'agency'?"
        ),
    ]
    known = Settings(plan=" Starter", principals={"ann": PrincipalSettings(plan="nothing")})
    assert book.of(known, "ann") == "starter", "the one of all comes before the default"
    assert len(book.warnings(known)) == 1


def test_the_plan_of_a_token_comes_before_that_of_the_settings() -> None:
    book = PlanBook(of_token={"ann": "agency", "eve": "nonsense"}.get)
    settings = Settings.model_validate({"plan": "starter", "principals": {"ann": {"plan": "enterprise"}}})
    assert [book.of(settings, name) for name in ("ann", "bob", "eve")] == ["agency", "starter", "starter"]
