"""Which providers this process can use, and with which credential."""

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from darkroom.catalog.providers import Provider, base_url_variable

NO_ACCOUNT = "none"
"""The account of a provider that needs no credential."""
_ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)


def is_address(url: str) -> bool:
    """Return whether a base URL can be called: http or https, with a host."""
    try:
        parts = urlsplit(url)
        return _ADDRESS.fullmatch(url) is not None and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that hold no address, a port that is no number
        return False


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

    def fault(self, provider: Provider) -> str | None:
        """Return what its base URL must be where the one that is set is no web address; never what is set."""
        url = self.base_url(provider)
        if url is None or is_address(url):
            return None
        own = base_url_variable(provider.id)
        name = own if self._environment.get(own) else provider.base_url_from or own
        like = provider.base_url_like or provider.base_url or "https://example.com/v1"
        return f"{name} as a web address such as {like}; what it holds is none"

    def faults(self) -> dict[str, str]:
        """Return the faults of all providers that have their credential, by id."""
        able = {name: item for name, item in self._providers.items() if self._found(item) is not None}
        found = {name: self.fault(provider) for name, provider in able.items()}
        return {name: fault for name, fault in found.items() if fault is not None}

    def needs(self, provider: Provider) -> str | None:
        """Return in words what must be set, or mended, before it can be used; None where it is ready."""
        return self.fault(provider) or (provider.keys() if self._found(provider) is None else None)

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
        """Return the ids of the providers that can be used: their credential is there, and their address is one."""
        return frozenset(name for name, provider in self._providers.items() if self.needs(provider) is None)

    def all(self) -> list[str]:
        """Return every account of this process."""
        return sorted({account for item in self._providers.values() if (account := self.account(item)) is not None})
