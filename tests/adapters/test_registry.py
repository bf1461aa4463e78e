"""Adapters are found by name, made once, and let go at the end."""

import sys
from types import ModuleType

import pytest

from darkroom import adapters
from darkroom.adapters.registry import Registry, adapter_names
from darkroom.catalog.providers import Provider
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from factories import FakeClock
from helpers_catalog import make_provider

pytestmark = pytest.mark.anyio


class Plain:
    """An adapter that holds nothing but its way to the provider."""

    def __init__(self, http: ProviderHttp) -> None:
        self.http = http


class Holding(Plain):
    """An adapter that holds something."""

    closed = 0

    async def aclose(self) -> None:
        self.closed += 1


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    providers: dict[str, Provider] = {}
    for name, kind in (("plain", Plain), ("holding", Holding)):
        module = ModuleType(name)
        module.__dict__["create"] = kind
        monkeypatch.setitem(sys.modules, f"{adapters.__name__}.{name}", module)
        providers[name] = make_provider(name)
    providers["other"] = make_provider("other", adapter="holding")
    client = ShardedClient(FakeClock())
    return Registry(providers, lambda provider: ProviderHttp(client, provider))


def test_the_names_are_those_of_the_modules_without_our_own() -> None:
    assert "draft" in adapter_names()
    assert not {"base", "registry"} & adapter_names()


def test_an_adapter_is_made_once_a_provider(registry: Registry) -> None:
    assert registry.adapter("holding") is registry.adapter("holding")
    assert registry.adapter("other") is not registry.adapter("holding")
    assert type(registry.adapter("other")) is type(registry.adapter("holding"))


@pytest.mark.parametrize("name", ["nobody", "Holding", "", "base"])
def test_an_unknown_provider_is_a_key_error(name: str, registry: Registry) -> None:
    with pytest.raises(KeyError):
        registry.adapter(name)


async def test_all_that_hold_something_let_go_once(registry: Registry) -> None:
    registry.adapter("plain")
    held, again = registry.adapter("holding"), registry.adapter("other")
    await registry.aclose()
    await registry.aclose()
    assert isinstance(held, Holding)
    assert isinstance(again, Holding)
    assert (held.closed, again.closed) == (1, 1)
    assert registry.adapter("holding") is not held
