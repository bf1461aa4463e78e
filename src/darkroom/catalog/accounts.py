"""Which providers this process can use, and with which credential."""

import hashlib
import hmac
from collections.abc import Mapping

from darkroom.catalog.providers import Provider, base_url_variable

NO_ACCOUNT = "none"
"""The account of a provider that needs no credential."""


class Accounts:
    """The credentials of this process; it never shows one."""

    def __init__(self, providers: Mapping[str, Provider], environment: Mapping[str, str], key: bytes) -> None:
        self._providers = providers
        self._environment = environment
        self._key = key

    def credential(self, provider: Provider) -> dict[str, str] | None:
        """Return the credential by variable name, empty where none is needed, None when it is missing.

        What goes with it comes last, and makes no other account of it.
        """
        found = self._found(provider)
        more = {name: value for name in provider.extras if (value := self._environment.get(name))}
        return None if found is None else found | more

    def _found(self, provider: Provider) -> dict[str, str] | None:
        """Return the credential; where an address is part of it, the base URL that the user set does for it."""
        name, given = provider.base_url_from, self._environment.get(base_url_variable(provider.id))
        if name is None or not given or self._environment.get(name):
            return provider.credential(self._environment)
        return provider.credential({**self._environment, name: given})

    def base_url(self, provider: Provider) -> str | None:
        """Return where its API is: what the user set, the credential that is an address, or what the manifest says."""
        given = self._environment.get(base_url_variable(provider.id))
        return given or self._environment.get(provider.base_url_from or "") or provider.base_url

    def account(self, provider: Provider) -> str | None:
        """Return a keyed hash that names the credential without telling it, or None when it is missing."""
        credential = self._found(provider)
        if credential is None:
            return None
        if not credential:
            return NO_ACCOUNT
        text = "\n".join([provider.id, *(f"{name}={credential[name]}" for name in sorted(credential))])
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:16]

    def secrets(self) -> frozenset[str]:
        """Return the values of all credentials, for whoever must keep them out of texts."""
        found = (self._found(provider) or {} for provider in self._providers.values())
        return frozenset(value for credential in found for value in credential.values())

    def ready(self) -> frozenset[str]:
        """Return the ids of the providers whose credential is there."""
        return frozenset(name for name, provider in self._providers.items() if self.credential(provider) is not None)

    def all(self) -> list[str]:
        """Return every account of this process."""
        return sorted({account for item in self._providers.values() if (account := self.account(item)) is not None})
