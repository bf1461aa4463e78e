"""Settings come from four places, and a wrong one says how to mend it."""

import logging
import os
import traceback
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from darkroom.app import App
from darkroom.catalog.accounts import Accounts
from darkroom.catalog.providers import Providers
from darkroom.settings import (
    LATER,
    PREFIX,
    Settings,
    SettingsError,
    default_home,
    home_from_environment,
    known_variables,
    secrets_of,
    set_variables,
)


@pytest.fixture
def own(home: Path) -> Path:
    """DARKROOM_HOME, made."""
    folder = home / ".darkroom"
    folder.mkdir()
    return folder


def refused(**overrides: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.load(**overrides)
    return str(caught.value)


# Sources


def test_without_any_source_the_defaults_hold(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.delenv("DARKROOM_HOME")
    monkeypatch.delenv("DARKROOM_OUTPUT_DIR")
    settings = Settings.load()
    assert settings.home == default_home() == home / ".darkroom"
    assert settings.database == home / ".darkroom" / "darkroom.sqlite3"
    assert settings.outputs == home / "Darkroom"
    assert (settings.max_cost, settings.prefer, settings.providers_dir) == (None, (), None)
    assert (settings.thumbnails, settings.embed_metadata) == ("auto", "full")


def test_the_environment_wins_over_dotenv_over_config_over_default(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "config.toml").write_text('max_cost = "1"\nthumbnails = "never"\ndefault_image_model = "c"\n', "utf-8")
    assert Settings.load().max_cost == 1
    (own / ".env").write_text("DARKROOM_MAX_COST=2\nDARKROOM_THUMBNAILS=always\n", "utf-8")
    assert Settings.load().max_cost == 2
    monkeypatch.setenv("DARKROOM_MAX_COST", "3")
    settings = Settings.load()
    assert (settings.max_cost, settings.thumbnails, settings.default_image_model) == (3, "always", "c")
    assert Settings.load(max_cost=Decimal(4)).max_cost == 4


def test_both_files_are_looked_for_in_darkroom_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = home / "elsewhere"
    other.mkdir()
    (other / ".env").write_text("DARKROOM_THUMBNAILS=never\n", "utf-8")
    (other / "config.toml").write_text('embed_metadata = "none"\n', "utf-8")
    monkeypatch.setenv("DARKROOM_HOME", "~/elsewhere")
    settings = Settings.load()
    assert home_from_environment() == settings.home == other
    assert (settings.thumbnails, settings.embed_metadata) == ("never", "none")


@pytest.mark.parametrize("name", ["DARKROOM_MAX_COST", "DARKROOM_PROVIDERS_DIR", "DARKROOM_PREFER", "DARKROOM_HOME"])
def test_an_empty_variable_is_as_good_as_none(name: str, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Settings.load()
    monkeypatch.setenv(name, "")
    (own / ".env").write_text(f"{name}=\n", "utf-8")
    assert Settings.load() == before


def test_settings_cannot_be_changed_later() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load().max_cost = Decimal(1)


# Lists


def test_folders_are_separated_as_in_path_and_may_begin_at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_ALLOWED_INPUT_DIRS", os.pathsep.join(["~/a", " b c ", "", str(home / "d")]))
    assert Settings.load().allowed_input_dirs == (home / "a", Path("b c"), home / "d")


def test_names_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_PREFER", " kie, draft ,,")
    assert Settings.load().prefer == ("kie", "draft")


def test_config_may_hold_lists(own: Path, home: Path) -> None:
    text = 'prefer = ["kie", "draft"]\nallowed_output_dirs = ["~/x", "~/y"]\nmax_cost = 0.1\n'
    (own / "config.toml").write_text(text, "utf-8")
    settings = Settings.load()
    assert settings.prefer == ("kie", "draft")
    assert settings.allowed_output_dirs == (home / "x", home / "y")
    assert settings.max_cost == Decimal("0.1")


# Money and time


def test_without_any_source_nothing_limits_money_and_days_are_those_of_utc() -> None:
    settings = Settings.load()
    assert (settings.daily_budget, settings.monthly_budget, settings.confirm_above) == (None, None, None)
    assert (settings.plan, settings.timezone, settings.principals, settings.enable) == ("brand", "UTC", {}, ())


def test_budgets_are_exact_amounts_from_any_source(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / "config.toml").write_text("daily_budget = 0.1\nmonthly_budget = 5\nconfirm_above = '0.30'\n", "utf-8")
    monkeypatch.setenv("DARKROOM_MONTHLY_BUDGET", "0.000001")
    settings = Settings.load()
    assert settings.daily_budget == Decimal("0.1")
    assert (settings.monthly_budget, settings.confirm_above) == (Decimal("0.000001"), Decimal("0.30"))
    monkeypatch.setenv("DARKROOM_DAILY_BUDGET", "0")
    assert Settings.load().daily_budget == 0, "nothing may be spent, which is not the same as no budget"


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "Etc/GMT+12"])
def test_a_time_zone_is_known_by_its_name(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_TIMEZONE", zone)
    assert Settings.load().timezone == zone


def test_config_may_say_what_holds_for_one_principal(own: Path) -> None:
    text = """
        plan = "starter"
        [principals.ann]
        plan = "agency"
        max_cost = 0.1
        daily_budget = "2.50"
        [principals."bob@example.test"]
        monthly_budget = 0
    """
    (own / "config.toml").write_text(text, "utf-8")
    settings = Settings.load()
    ann, bob = settings.principals["ann"], settings.principals["bob@example.test"]
    assert (ann.plan, ann.max_cost, ann.daily_budget, ann.monthly_budget) == (
        "agency",
        Decimal("0.1"),
        Decimal("2.50"),
        None,
    )
    assert (bob.plan, bob.max_cost, bob.daily_budget, bob.monthly_budget) == (None, None, None, 0)
    assert [settings.plan_of(name) for name in ("ann", "bob@example.test", "carl")] == ["agency", "starter", "starter"]


def test_what_holds_for_one_principal_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_PRINCIPALS", '{"ann": {"daily_budget": "2"}}')
    assert Settings.load().principals["ann"].daily_budget == 2


# Wrong values


@pytest.mark.parametrize(
    ("name", "value", "may"),
    [
        ("MAX_COST", "abc", "a valid decimal"),
        ("MAX_COST", "-1", "greater than or equal to 0"),
        ("MAX_COST", "nan", "a finite number"),
        ("MAX_COST", "1000001", "less than or equal to 1000000"),
        ("DAILY_BUDGET", "-0.01", "greater than or equal to 0"),
        ("MONTHLY_BUDGET", "lots", "a valid decimal"),
        ("MONTHLY_BUDGET", "infinity", "a finite number"),
        ("CONFIRM_ABOVE", "-1", "greater than or equal to 0"),
        ("CONFIRM_ABOVE", "1000001", "less than or equal to 1000000"),
        ("TIMEZONE", "Mars/Base", "the name of a time zone, such as Europe/Berlin"),
        ("TIMEZONE", "Europe", "the name of a time zone, such as Europe/Berlin"),
        ("TIMEZONE", "../UTC", "the name of a time zone, such as Europe/Berlin"),
        ("TIMEZONE", "/etc/passwd", "the name of a time zone, such as Europe/Berlin"),
        ("TIMEZONE", "+01:00", "the name of a time zone, such as Europe/Berlin"),
        ("THUMBNAILS", "sometimes", "'always', 'auto' or 'never'"),
        ("EMBED_METADATA", "yes", "'full', 'minimal' or 'none'"),
        ("OUTPUT_DIR", "  ", "the path of a folder"),
        ("HOME", "  ", "the path of a folder"),
        ("OUTPUT_DIR", "~no-such-user/x", "a path whose ~ names a user of this machine"),
        ("HOME", "~no-such-user/x", "a path whose ~ names a user of this machine"),
    ],
)
def test_a_wrong_value_names_its_variable_what_it_holds_and_what_it_may_hold(
    name: str, value: str, may: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    about = Settings.model_fields[name.lower()].description
    assert refused() == f"DARKROOM_{name} ({about}) holds {value!r} and must be {may}."


def test_every_wrong_value_is_named_at_once_and_long_ones_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_MAX_COST", "much")
    monkeypatch.setenv("DARKROOM_THUMBNAILS", "x" * 500)
    lines = refused().splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["DARKROOM_MAX_COST", "DARKROOM_THUMBNAILS"]
    assert "x" * 80 in lines[1]
    assert "x" * 81 not in lines[1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("prefer = 5", "DARKROOM_PREFER (providers to try first, separated by commas) holds '5' and must be a valid"),
        ("max_cost = [1]", "holds '[1]' and must be an integer, float, string or Decimal object."),
        ("allowed_input_dirs = [5]", "holds '5' and must be a valid path"),
    ],
)
def test_a_wrong_value_of_config_is_explained_the_same_way(text: str, complaint: str, own: Path) -> None:
    (own / "config.toml").write_text(text, "utf-8")
    assert complaint in refused()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("timezone = ''", "DARKROOM_TIMEZONE (time zone in which days and months of budgets and usage begin) holds ''"),
        ("timezone = 1", "DARKROOM_TIMEZONE"),
        ("daily_budget = -1", "holds '-1' and must be greater than or equal to 0."),
        ("principals = 5", "DARKROOM_PRINCIPALS (plan and caps by principal, in config.toml) holds '5' and must be"),
        ("[principals]\nann = 5", "principals.ann holds '5' and must be a table with any of plan, max_cost,"),
        ("[principals.ann]\nmax_cost = -1", "holds '-1' and must be greater than or equal to 0."),
        ("[principals.ann]\ndaily_budget = 'nan'", "holds 'nan' and must be a finite number."),
        ("[principals.ann]\nmonthly_budget = 1000001", "must be less than or equal to 1000000."),
        ("[principals.ann]\nplan = 5", "holds '5' and must be a valid string."),
        ("[principals.ann]\nplan = 5", "principals.ann.plan holds '5'"),
        (
            "[principals.ann]\ndayly_budget = 1",
            "principals.ann has no field 'dayly_budget'; it may hold plan, max_cost",
        ),
    ],
)
def test_wrong_money_and_time_zones_of_config_are_explained_the_same_way(text: str, complaint: str, own: Path) -> None:
    (own / "config.toml").write_text(text, "utf-8")
    assert complaint in refused()


def test_a_missing_value_that_is_wrong_says_only_what_it_may_be() -> None:
    assert "holds" not in refused(thumbnails=None)


@pytest.mark.parametrize(
    ("name", "content"),
    [("config.toml", b"prefer = ["), ("config.toml", b"prefer = '\xff'"), (".env", b"DARKROOM_PREFER=\xff")],
)
def test_a_file_that_cannot_be_read_is_named(name: str, content: bytes, own: Path) -> None:
    (own / name).write_bytes(content)
    message = refused()
    assert message.startswith(f"{own / name} cannot be read: ")
    assert "pydantic" not in message


def test_a_sound_dotenv_is_not_blamed_for_a_broken_config(own: Path) -> None:
    (own / ".env").write_text("DARKROOM_PREFER=kie\n", "utf-8")
    (own / "config.toml").write_text("=", "utf-8")
    assert refused().startswith(str(own / "config.toml"))


# Secrets


def test_keys_come_from_the_environment_and_from_dotenv(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own / ".env").write_text("ACME_KEY=from-file\nOther_Key=as-written\nEMPTY=\n", "utf-8")
    monkeypatch.setenv("ACME_SECOND", "from-environment")
    found = secrets_of(own)
    assert (found["ACME_KEY"], found["Other_Key"], found["ACME_SECOND"]) == (
        "from-file",
        "as-written",
        "from-environment",
    )
    assert "EMPTY" not in found
    monkeypatch.setenv("ACME_KEY", "newer")
    assert secrets_of(own)["ACME_KEY"] == "newer"


def test_a_key_shows_in_no_representation(own: Path) -> None:
    (own / ".env").write_text("DARKROOM_ACME_KEY=hush-hush\nACME_KEY=hush-hush\n", "utf-8")
    settings = Settings.load()
    accounts = Accounts(Providers(), secrets_of(own), b"key")
    shown = f"{settings!r}{settings}{settings.model_dump_json()}{accounts!r}{accounts}{App(settings).warnings()}"
    assert "hush" not in shown


# Callbacks

HOSTS = "hosts without https:// and path, such as hooks.example.com or 127.0.0.1:8000"


def test_hosts_of_callbacks_are_read_with_and_without_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_CALLBACK_HOSTS", "hooks.example.com, *.example.org:8443 ,127.0.0.1:8000,[::1]:9,box")
    hosts = Settings.load().callback_hosts
    assert hosts == ("hooks.example.com", "*.example.org:8443", "127.0.0.1:8000", "[::1]:9", "box")


@pytest.mark.parametrize(
    "entry",
    [
        "https://hooks.example.com",
        "hooks.example.com/path",
        "*",
        "*.com",
        "a b",
        "me@host",
        "host:0",
        "host:65536",
        "-x",
    ],
)
def test_what_is_no_host_is_refused_with_what_may_be_listed(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_CALLBACK_HOSTS", f"good.example.com,{entry}")
    told = refused()
    assert told.startswith("DARKROOM_CALLBACK_HOSTS (")
    assert told.endswith(f"must be {HOSTS}.")
    assert entry in told


def test_the_secret_of_callbacks_shows_in_no_representation(own: Path) -> None:
    (own / ".env").write_text("DARKROOM_CALLBACK_SECRET=hush-hush\n", "utf-8")
    settings = Settings.load()
    assert settings.callback_secret is not None
    assert settings.callback_secret.get_secret_value() == "hush-hush"
    assert "hush" not in f"{settings!r}{settings}{settings.model_dump()}{settings.model_dump_json()}"


@pytest.mark.parametrize("text", ["callback_secret = 715517", "callback_secret = ['715517']"])
def test_a_secret_of_the_wrong_kind_is_not_echoed(text: str, own: Path) -> None:
    (own / "config.toml").write_text(text, "utf-8")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    shown = "".join(traceback.format_exception(caught.value))
    assert "DARKROOM_CALLBACK_SECRET (signs callbacks; without it they are unsigned) must be a valid string." in shown
    assert "715517" not in shown


def test_a_blank_secret_is_refused(own: Path) -> None:
    (own / "config.toml").write_text("callback_secret = '  '", "utf-8")
    assert refused().endswith("must be a text that is not blank.")


# Names


def test_known_names_are_those_of_the_settings_and_none_is_both_known_and_later() -> None:
    assert {"DARKROOM_HOME", "DARKROOM_MAX_COST", "DARKROOM_PREFER"} <= known_variables()
    assert not known_variables() & {PREFIX + name for name in LATER}


def test_a_name_that_nobody_knows_warns_with_the_nearest(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_MAXCOST", "1")
    (own / ".env").write_text("DARKROOM_PREFERS=kie\n", "utf-8")
    assert {"DARKROOM_MAXCOST", "DARKROOM_PREFERS", "DARKROOM_HOME"} <= set_variables()
    assert App(Settings.load()).warnings() == [
        "DARKROOM_MAXCOST is set, but darkroom has no such setting. Did you mean 'DARKROOM_MAX_COST'?",
        "DARKROOM_PREFERS is set, but darkroom has no such setting. Did you mean 'DARKROOM_PREFER'?",
    ]


def test_a_name_in_config_that_nobody_knows_warns_with_the_nearest(own: Path) -> None:
    text = 'daily_budjet = 5\nDARKROOM_MAX_COST = 1\ntoolsets = "all"\nkie_base_url = "x"\n"a\\nqqqqqqqqq" = 1\n'
    (own / "config.toml").write_text(text, "utf-8")
    assert App(Settings.load()).warnings() == [
        "DARKROOM_MAX_COST is set in config.toml, but darkroom has no such setting. Did you mean 'max_cost'?",
        "'a\\nqqqqqqqqq' is set in config.toml, but darkroom has no such setting.",
        "daily_budjet is set in config.toml, but darkroom has no such setting. Did you mean 'daily_budget'?",
        "kie_base_url is set in config.toml, which is not read for it; write DARKROOM_KIE_BASE_URL into .env.",
        "toolsets is set in config.toml, but this version does not use it yet.",
    ]


@pytest.mark.parametrize("name", [".env", "config.toml"])
def test_a_folder_in_place_of_a_file_is_named(name: str, own: Path) -> None:
    (own / name).mkdir()
    assert refused() == f"{own / name} cannot be read: it is a folder."


def test_a_name_of_a_later_version_says_so_and_a_providers_own_names_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_TOOLSETS", "all")
    monkeypatch.setenv("DARKROOM_DRAFT_BASE_URL", "http://127.0.0.1")
    warnings = App(Settings.load()).warnings()
    assert warnings == ["DARKROOM_TOOLSETS is set, but this version does not use it yet."]


def test_nothing_odd_means_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert App(Settings.load()).warnings() == []
    assert caplog.records == []


def test_principals_that_are_no_json_are_told_by_their_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_PRINCIPALS", "{ann: 2}")
    told = refused()
    assert told.startswith("DARKROOM_PRINCIPALS (plan and caps by principal) is no JSON: ")
    assert "config.toml" not in told


def test_names_that_nothing_has_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_PREFER", "fall,fal")
    monkeypatch.setenv("DARKROOM_ENABLE", "runwy,runway,fal/flux-schnel,fal/flux-schnell")
    told = App(Settings.load()).warnings()
    assert told == [
        "DARKROOM_PREFER names 'fall', and there is no such provider. Did you mean 'fal'?",
        "DARKROOM_ENABLE names 'runwy', and there is no such offer or provider. Did you mean 'runway'?",
        (
            "DARKROOM_ENABLE names 'fal/flux-schnel', and there is no such offer or provider. "
            "Did you mean 'fal/flux-schnell'?"
        ),
    ]


def test_the_price_of_a_models_tokens_is_two_amounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARKROOM_AGENT_PRICE", "$0.50/1.5")
    assert Settings.load().agent_price == (Decimal("0.50"), Decimal("1.5"))
    assert Settings.load(agent_price=(Decimal(0), Decimal(1))).agent_price == (0, 1)
    for wrong in ("0.5", "1/2/3", "a/b", "-1/2", "nan/1", ""):
        assert "input and output tokens, such as 0.50/1.50" in refused(agent_price=wrong)
