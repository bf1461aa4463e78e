"""Finds the adapter of a provider; each is imported on first use."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping

from darkroom import adapters
from darkroom.adapters.base import Adapter, Closable
from darkroom.catalog.providers import Provider
from darkroom.net.provider import ProviderHttp

_OURS = frozenset({"base", "body", "gemini", "google_tokens", "gpt_images", "reading", "registry"})


def adapter_names() -> frozenset[str]:
    """Return the names of all adapters of this version, without importing one."""
    return frozenset(module.name for module in pkgutil.iter_modules(adapters.__path__) if module.name not in _OURS)


class Registry:
    """The adapters in use in this process, one a provider.

    Args:
        providers: All providers.
        http: What an adapter may do on the wire, by its provider.
    """

    def __init__(self, providers: Mapping[str, Provider], http: Callable[[Provider], ProviderHttp]) -> None:
        self._providers = providers
        self._http = http
        self._made: dict[str, Adapter] = {}

    def adapter(self, provider_id: str) -> Adapter:
        """Return the adapter of that provider, the same one each time.

        Raises:
            KeyError: If there is no such provider.
        """
        if provider_id not in self._made:
            provider = self._providers[provider_id]
            module = importlib.import_module(f"{adapters.__name__}.{provider.adapter_name}")
            self._made[provider_id] = module.create(self._http(provider))
        return self._made[provider_id]

    async def aclose(self) -> None:
        """Let every adapter go of what it holds."""
        for adapter in self._made.values():
            if isinstance(adapter, Closable):
                await adapter.aclose()
        self._made.clear()
