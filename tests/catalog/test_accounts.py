"""Accounts name credentials without telling them."""

import pytest
from pydantic import ValidationError

from darkroom.catalog.accounts import NO_ACCOUNT, Accounts
from darkroom.catalog.providers import Provider
from helpers_catalog import make_provider

ACME = make_provider("acme", credentials=["ACME_NEW_KEY", ["ACME_ID", "ACME_SECRET"]])
FREE = make_provider("free")
PROVIDERS: dict[str, Provider] = {"acme": ACME, "free": FREE}


def accounts(_key: bytes = b"installation", **environment: str) -> Accounts:
    return Accounts(PROVIDERS, environment, _key)


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, None),
        ({"ACME_NEW_KEY": ""}, None),
        ({"ACME_ID": "i"}, None),
        ({"ACME_ID": "i", "ACME_SECRET": "s"}, {"ACME_ID": "i", "ACME_SECRET": "s"}),
        ({"ACME_NEW_KEY": "k", "ACME_ID": "i", "ACME_SECRET": "s"}, {"ACME_NEW_KEY": "k"}),
    ],
)
def test_the_first_complete_set_is_the_credential(environment: dict[str, str], found: dict[str, str] | None) -> None:
    made = Accounts(PROVIDERS, environment, b"installation")
    assert made.credential(ACME) == found
    assert ("acme" in made.ready()) is (found is not None)
    assert (made.account(ACME) is None) is (found is None)


def test_a_provider_that_needs_no_credential_is_always_ready() -> None:
    assert accounts().credential(FREE) == {}
    assert accounts().account(FREE) == NO_ACCOUNT
    assert accounts().ready() == {"free"}
    assert accounts().all() == [NO_ACCOUNT]


def test_an_account_differs_by_credential_by_provider_and_by_installation() -> None:
    other = make_provider("other", credentials=["ACME_NEW_KEY"])
    pair = accounts(ACME_ID="sk-1", ACME_SECRET="s")
    found = [
        accounts(ACME_NEW_KEY="sk-1").account(ACME),
        accounts(ACME_NEW_KEY="sk-2").account(ACME),
        accounts(b"elsewhere", ACME_NEW_KEY="sk-1").account(ACME),
        accounts(ACME_NEW_KEY="sk-1").account(other),
        pair.account(ACME),
    ]
    assert len(set(found)) == len(found)
    assert accounts(ACME_NEW_KEY="sk-1", UNRELATED="x").account(ACME) == found[0]
    assert sorted([NO_ACCOUNT, str(found[4])]) == pair.all()


def test_neither_an_account_nor_a_representation_tells_the_secret() -> None:
    made = accounts(b"inst-key", ACME_NEW_KEY="hush")
    shown = f"{made.account(ACME)} {made!r} {made.all()} {made.ready()}"
    assert "hush" not in shown
    assert "inst-key" not in shown
    assert len(str(made.account(ACME))) == 16


def test_an_endpoint_among_the_credentials_is_the_base_url_unless_the_user_sets_another() -> None:
    cloud = make_provider("cloud", credentials=[["CLOUD_KEY", "CLOUD_ENDPOINT"]], base_url_from="CLOUD_ENDPOINT")
    given = {"CLOUD_KEY": "k", "CLOUD_ENDPOINT": "https://mine.test"}
    assert Accounts({}, given, b"").base_url(cloud) == "https://mine.test"
    assert Accounts({}, given | {"DARKROOM_CLOUD_BASE_URL": "https://other.test"}, b"").base_url(cloud) == (
        "https://other.test"
    )
    assert Accounts({}, {}, b"").base_url(cloud) is None
    assert Accounts({}, given, b"").base_url(ACME) is None


CLOUD = make_provider(
    "cloud",
    credentials=[["CLOUD_TOKEN", "CLOUD_ENDPOINT"], ["CLOUD_KEY", "CLOUD_ENDPOINT"]],
    base_url_from="CLOUD_ENDPOINT",
    base_url_like="https://NAME.cloud.test",
)
HOME = make_provider("home", base_url="http://127.0.0.1:8188")


@pytest.mark.parametrize(
    "url", ["myres", "myres.cloud.test", "https://", "htps://x.test", "https://a b.test", "https://x:y", "http://[x"]
)
def test_an_address_that_is_none_keeps_a_provider_from_being_ready(url: str) -> None:
    made = Accounts({"cloud": CLOUD, "home": HOME}, {"CLOUD_KEY": "k", "CLOUD_ENDPOINT": url}, b"")
    says = "CLOUD_ENDPOINT as a web address such as https://NAME.cloud.test; what it holds is none"
    assert made.needs(CLOUD) == says
    assert made.faults() == {"cloud": says}
    assert made.ready() == {"home"}
    assert made.credential(CLOUD) is not None, "what is under way goes on being asked about"


def test_a_base_url_of_the_user_s_own_is_looked_at_too() -> None:
    made = Accounts({"home": HOME}, {"DARKROOM_HOME_BASE_URL": "localhost:8000"}, b"")
    usual = "http://127.0.0.1:8188"
    assert made.needs(HOME) == f"DARKROOM_HOME_BASE_URL as a web address such as {usual}; what it holds is none"
    good = Accounts({"home": HOME}, {"DARKROOM_HOME_BASE_URL": "http://localhost:8000/v1"}, b"")
    assert (good.needs(HOME), good.faults(), good.ready()) == (None, {}, {"home"})


def test_without_a_key_a_wrong_address_is_told_and_keeps_nothing_from_another() -> None:
    made = Accounts({"cloud": CLOUD}, {"CLOUD_ENDPOINT": "myres"}, b"")
    assert (made.needs(CLOUD) or "").startswith("CLOUD_ENDPOINT as a web address")
    assert made.faults() == {}
    assert Accounts({}, {}, b"").needs(CLOUD) == "CLOUD_ENDPOINT and either CLOUD_TOKEN or CLOUD_KEY"


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        ([], ""),
        (["A"], "A"),
        (["A", "B"], "A or B"),
        ([["A", "B"]], "A and B"),
        (["A", ["B", "C"]], "A, or B and C"),
        ([["A", "X"], ["B", "X"]], "X and either A or B"),
        ([["P", "F", "L"], ["P", "F"]], "P and F (optionally L)"),
        (["K", "L", ["A", "S"], ["A", "T"]], "K, or L, or A and S, or A and T"),
    ],
)
def test_alternatives_are_told_with_what_they_share_once(credentials: list[object], words: str) -> None:
    provider = make_provider("acme", credentials=credentials)
    assert provider.keys() == words
    assert provider.keys(quote="`").replace("`", "") == words


def test_what_goes_with_a_credential_makes_no_other_account_and_is_no_secret() -> None:
    acme = make_provider("acme", credentials=["ACME_NEW_KEY"], extras=["ACME_TEAM"])
    alone, both = ({"ACME_NEW_KEY": "k"}, {"ACME_TEAM": "blue", "ACME_NEW_KEY": "k"})
    one, other = (Accounts({"acme": acme}, environment, b"") for environment in (alone, both))
    assert list((other.credential(acme) or {}).items()) == [("ACME_NEW_KEY", "k"), ("ACME_TEAM", "blue")]
    assert one.credential(acme) == alone
    assert one.account(acme) == other.account(acme)
    assert other.secrets() == {"k"}
    assert Accounts({}, {"ACME_TEAM": "blue"}, b"").credential(acme) is None


def test_a_base_url_is_taken_from_a_credential_that_is_always_there() -> None:
    with pytest.raises(ValidationError, match="base_url_from names no variable of every credential"):
        make_provider(
            "cloud", credentials=[["CLOUD_KEY", "CLOUD_ENDPOINT"], ["CLOUD_KEY"]], base_url_from="CLOUD_ENDPOINT"
        )
