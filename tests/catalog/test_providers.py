"""Manifests are read strictly, late, and one broken file does not spoil the rest."""

import json
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from darkroom.adapters.registry import adapter_names
from darkroom.catalog import providers as module
from darkroom.catalog.data import data_dir, manifests_dir, resource_text
from darkroom.catalog.providers import (
    ManifestError,
    Provider,
    Providers,
    base_url_variable,
    normal,
    read_manifest,
    schema,
)
from darkroom.domain.kinds import Kind
from darkroom.settings import LATER, PREFIX

SHIPPED = sorted(manifests_dir("providers").glob("*.toml"))
OFFER = """
[[offers]]
model = "acme-1"
operations = ["text_to_image"]
"""
GOOD = f"""
id = "acme"
title = "Acme"
adapter = "draft"
{OFFER}
"""
Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "manifests"
    made.mkdir()
    return made


@pytest.fixture
def write(folder: Path) -> Write:
    def put(text: str = GOOD, name: str = "acme.toml") -> Path:
        path = folder / name
        path.write_text(text, "utf-8")
        return path

    return put


def problem(path: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    message = str(caught.value)
    assert message.startswith(f"{path.name}: ")
    return message


def own(folder: Path) -> Providers:
    return Providers(folder, adapter_names())


# Shipped


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_manifest_loads(path: Path) -> None:
    provider = read_manifest(path)
    assert Providers()[provider.id] == provider


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_schema_for_editors_accepts_what_we_ship(path: Path) -> None:
    data = json.loads(json.dumps(tomllib.loads(path.read_text("utf-8")), default=str))
    jsonschema.Draft202012Validator.check_schema(schema())
    checker: Any = jsonschema.Draft202012Validator(schema())
    assert list(checker.iter_errors(data)) == []


def test_the_schema_knows_both_forms_of_credentials_and_no_other_field() -> None:
    data: dict[str, Any] = tomllib.loads(GOOD)
    jsonschema.validate(data | {"credentials": ["A_KEY", ["B_ID", "B_SECRET"]]}, schema())
    wrongs: list[dict[str, Any]] = [{"colour": "red"}, {"credentials": "A_KEY"}, {"offers": []}]
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(data | wrong, schema())


def test_the_draft_engine_is_free_for_all_and_makes_both_media() -> None:
    draft = Providers()["draft"]
    assert draft.credential({}) == {}
    assert {offer.kind for offer in draft.offers} == {Kind.IMAGE, Kind.VIDEO}
    assert all(price.usd == 0 for offer in draft.offers for price in offer.prices)
    assert draft.offer("draft-image") is draft.offers[0]
    assert draft.offer("draft") is None


def test_nothing_is_read_before_the_first_look_up(write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module._shipped.cache_clear()  # pyright: ignore[reportPrivateUsage] because what is shipped is read once
    read: list[str] = []

    def watched(path: Path) -> Provider:
        read.append(path.name)
        return read_manifest(path)

    monkeypatch.setattr(module, "read_manifest", watched)
    write()
    providers = own(folder)
    assert read == []
    assert "acme" in providers
    assert len(providers) == len(read) == len(list(providers))
    assert sorted(read) == sorted([path.name for path in SHIPPED] + ["acme.toml"])


def test_an_installation_without_data_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("darkroom.catalog.data.__file__", str(tmp_path / "a" / "b" / "c" / "data.py"))
    data_dir.cache_clear()
    try:
        with pytest.raises(FileNotFoundError, match="install it again"):
            data_dir()
    finally:
        data_dir.cache_clear()


def test_a_shipped_text_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        resource_text("no-such-text.md")


# Rules


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("[[offers]]", "[[offer]]"), "offers: Field required"),
        (('id = "acme"', 'id = "other"'), "the file must be called other.toml"),
        (('id = "acme"', 'id = "Acme!"'), "id: "),
        (('title = "Acme"', 'title = "Acme"\ncolour = "red"'), "colour: Extra inputs are not permitted"),
        (('title = "Acme"', "title = 5"), "title: "),
        (('["text_to_image"]', "[]"), "operations must name at least one"),
        (('["text_to_image"]', '["fly"]'), "offers.0.operations.0: "),
        (('["text_to_image"]', '["text_to_video"]'), "a video offer needs its duration"),
        (('["text_to_image"]', '["timeline"]'), "a video offer needs its duration"),
        (('["text_to_image"]', '["text_to_image"]\nstatus = "retired"'), "a retired offer needs its shutdown date"),
        (('["text_to_image"]', '["text_to_image"]\nsize = {ratios = ["wide"]}'), "'wide' is not a ratio"),
        (('["text_to_image"]', '["text_to_image"]\nsize = {ratios = ["auto"]}'), "'auto' is no ratio"),
        (('["text_to_image"]', '["text_to_image"]\nsize = {sizes = ["big"]}'), "'big' is not a picture size"),
        (('["text_to_image"]', '["text_to_image"]\nsize = {resolutions = ["721p"]}'), "'721p' is not one of 360p"),
        (('["text_to_image"]', '["text_to_image"]\nsize = {min_side = 99, max_side = 98}'), "no multiple"),
        (
            ('["text_to_image"]', '["text_to_image"]\nsize = {min_side = 65, max_side = 127, multiple_of = 64}'),
            "no mult",
        ),
        (('["text_to_image"]', '["text_to_image"]\nduration = {min_s = 5, max_s = 4}'), "min_s is above max_s"),
        (('["text_to_image"]', '["text_to_image"]\nduration = {values = [4, 8], default_s = 9}'), "default_s is none"),
        (('["text_to_image"]', '["text_to_image"]\nduration = {values = [0]}'), "duration.values.0: "),
        (('["text_to_image"]', '["text_to_image"]\ninputs = {hat = 1}'), "inputs.hat"),
        (('["text_to_image"]', '["text_to_image"]\ncount_max = 0'), "count_max: "),
        (('["text_to_image"]', '["text_to_image"]\ncount_max = 4\ncounts = [1, 2]'), "counts must end at count_max"),
        (('["text_to_image"]', '["text_to_image"]\ntemplate = "{"'), "template: Value error, must be the text of"),
        (('["text_to_image"]', '["text_to_image"]\ntemplate = "[]"'), "template: "),
        (
            ('["text_to_image"]', '["text_to_image"]\nconstants_of.edit_image = {a = 1}'),
            "constants_of names an operation",
        ),
        (('title = "Acme"', 'title = "Acme"\ncredentials = "ACME_KEY"'), "credentials: "),
        (('title = "Acme"', 'title = "Acme"\ncredentials = [5]'), "credentials.0: "),
        (('title = "Acme"', 'title = "Acme"\ncredentials = [[]]'), "credentials.0: "),
        (('title = "Acme"', "title = "), "Invalid value"),
    ],
)
def test_a_manifest_that_breaks_a_rule_is_refused_by_name(
    change: tuple[str, str], complaint: str, write: Write
) -> None:
    assert complaint in problem(write(GOOD.replace(*change)))


def test_two_offers_of_one_model_are_refused(write: Write) -> None:
    assert "two offers have the same model" in problem(write(GOOD + OFFER))


def test_a_tier_names_an_offer_for_chat(write: Write) -> None:
    table = '[chat]\nwire = "openai"\npath = "chat"\ntiers = {economy = "NAME"}\n'
    chats = '[[offers]]\nmodel = "talker"\noperations = ["chat"]\n'
    pictures = tomllib.loads(GOOD)["offers"][0]["model"]
    assert "none for chat" in problem(write(GOOD + chats + table.replace("NAME", pictures)))
    provider = read_manifest(write(GOOD + chats + table.replace("NAME", "talker")))
    assert provider.chat is not None
    assert (provider.chat.tiers["economy"], provider.chat.limit) == ("talker", "max_tokens")


@pytest.mark.parametrize("usd", ["'cheap'", "true", "-1", "nan", "[1]"])
def test_a_price_that_is_no_amount_is_refused(usd: str, write: Write) -> None:
    price = f'[[offers.prices]]\nunit = "image"\nusd = {usd}\nsource = "a page"\nas_of = 2026-01-01\n'
    assert "offers.0.prices.0.usd: " in problem(write(GOOD + price))


def test_a_price_is_the_digits_that_were_written(write: Write) -> None:
    price = '[[offers.prices]]\nunit = "image"\nusd = {}\nsource = "a page"\nas_of = 2026-01-01\n'
    for written in ("0.1", "'0.1'"):
        assert read_manifest(write(GOOD + price.format(written))).offers[0].prices[0].usd == Decimal("0.1")


def test_a_manifest_that_is_no_text_or_not_there_is_refused(folder: Path) -> None:
    (folder / "acme.toml").write_bytes(b"id = '\xff'")
    assert "codec" in problem(folder / "acme.toml")
    assert "No such file" in problem(folder / "gone.toml")


def test_a_retired_video_needs_no_duration(write: Write) -> None:
    text = GOOD.replace('["text_to_image"]', '["text_to_video"]\nstatus = "retired"\nshutdown = 2025-01-01')
    assert read_manifest(write(text)).offers[0].kind is Kind.VIDEO


# A user's own


def test_a_users_own_provider_is_added(write: Write, folder: Path) -> None:
    write(GOOD.replace('"Acme"', '"Acme"\ncredentials = ["DARKROOM_ACME_KEY"]\nhosts = ["api.acme.test"]'))
    providers = own(folder)
    assert set(providers) == {path.stem for path in SHIPPED} | {"acme"}
    assert providers["acme"].adapter_name == "draft"
    assert providers.problems == []
    assert {"DARKROOM_ACME_KEY", "DARKROOM_ACME_BASE_URL", "DARKROOM_DRAFT_BASE_URL"} <= providers.variables()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('"acme"', '"draft"'), "the id 'draft' is a shipped provider's"),
        (
            ('"Acme"', '"Acme"\ncredentials = ["OPENAI_API_KEY"]'),
            "only name DARKROOM_ACME_* variables, not OPENAI_API_KEY",
        ),
        (('"Acme"', '"Acme"\ncredentials = [["DARKROOM_ACME_ID", "HOME"]]'), "not HOME"),
        (('"Acme"', '"Acme"\ncredentials = ["DARKROOM_ACMEX_KEY"]'), "not DARKROOM_ACMEX_KEY"),
        (('"draft"', '"telegraph"'), "there is no adapter 'telegraph'; there are "),
        (('adapter = "draft"', ""), "there is no adapter 'acme'"),
        (('adapter = "draft"', 'adapter = "registry"'), "there is no adapter 'registry'"),
    ],
)
def test_a_users_own_manifest_is_held_to_its_rules(
    change: tuple[str, str], complaint: str, write: Write, folder: Path
) -> None:
    path = write(GOOD.replace(*change, 1))
    path.rename(folder / f"{tomllib.loads(path.read_text('utf-8'))['id']}.toml")
    providers = own(folder)
    assert set(providers) == {path.stem for path in SHIPPED}
    assert len(providers.problems) == 1
    assert complaint in providers.problems[0]


@pytest.mark.parametrize(
    "line",
    ['hosts = ["api.big.test"]', 'hosts = ["API.Big.test."]', 'download_hosts = ["cdn.big.test"]',
     'base_url = "https://api.BIG.test/v1"'],
)  # fmt: skip
def test_a_users_own_manifest_cannot_name_a_shipped_host(line: str, write: Write) -> None:
    big = Provider.model_validate(
        {"id": "big", "title": "Big", "hosts": ["api.big.test"], "download_hosts": ["cdn.big.test"],
         "offers": [{"model": "big-1", "operations": ["text_to_image"]}]}
    )  # fmt: skip
    provider = read_manifest(write(GOOD.replace('"Acme"', f'"Acme"\n{line}')))
    with pytest.raises(ManifestError, match=r"acme.toml: the host \w+\.big\.test belongs to a shipped provider"):
        module.check_own(provider, {"big": big}, frozenset({"draft"}))
    module.check_own(provider, {}, frozenset({"draft"}))


@pytest.mark.parametrize(
    "name", [f"{PREFIX}{later}" for later in sorted(LATER) if "_" in later] + ["DARKROOM_MAX_COST"]
)
def test_a_users_own_manifest_cannot_read_a_setting_by_a_clever_id(name: str, folder: Path) -> None:
    identity = name.removeprefix(PREFIX).partition("_")[0].lower()
    text = GOOD.replace('"acme"', f'"{identity}"', 1).replace('"Acme"', f'"Acme"\ncredentials = ["{name}"]')
    (folder / f"{identity}.toml").write_text(text, "utf-8")
    providers = own(folder)
    assert identity not in providers
    assert f"{name} is a setting of darkroom" in providers.problems[0]


def test_a_broken_file_is_reported_and_the_others_still_load(write: Write, folder: Path) -> None:
    write("= nonsense", "broken.toml")
    write(GOOD + "[[offers.prices]]\nunit = 'image'\nusd = 'x'\nsource = ''\nas_of = 2026-01-01\n", "dear.toml")
    write("no manifest", "readme.md")
    (folder / "folder.toml").mkdir()
    write()
    providers = own(folder)
    assert "acme" in providers
    assert [text.partition(":")[0] for text in providers.problems] == ["broken.toml", "dear.toml", "folder.toml"]


def test_a_folder_that_is_none_is_reported(tmp_path: Path) -> None:
    providers = own(tmp_path / "gone")
    assert set(providers) == {path.stem for path in SHIPPED}
    assert providers.problems == [f"DARKROOM_PROVIDERS_DIR: {tmp_path / 'gone'} is not a folder"]


def test_names_are_compared_without_case_and_separators() -> None:
    assert normal("Veo-3.1 Fast") == normal("VEO_31/fast") == "veo31fast"
    assert base_url_variable("comfyui") == "DARKROOM_COMFYUI_BASE_URL"
