"""Calls addresses that came from outside, but only at hosts that the operator of this installation lists."""

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from darkroom.net.answer import Answer
from darkroom.net.classify import NOTHING_SENT
from darkroom.net.client import REQUEST_S, ShardedClient
from darkroom.net.guard import (
    ADDRESSES,
    Resolver,
    Unsafe,
    carried,
    check_address,
    is_number,
    is_private_name,
    is_proxied,
    look_up,
    numbers_of,
    pinned,
)
from darkroom.settings import CALLBACK_HOST

LONGEST_URL = 2000
_PORTS = {"http": 80, "https": 443}
_METADATA = frozenset(ipaddress.ip_address(text) for text in ("fd00:ec2::254", "100.100.100.200"))
"""What clouds serve credentials at, besides the link-local addresses."""


class Unlisted(Unsafe):
    """A host is not listed."""

    def __init__(self, host: str) -> None:
        super().__init__(f"names the host {host[:80]!r}, which is not listed")
        self.host = host


@dataclass(frozen=True, slots=True)
class Place:
    """An address that may be called."""

    url: httpx2.URL
    host: str
    check: Callable[[str], None]
    """Raises Unsafe for a number that the host's name must not lead to."""


@dataclass(frozen=True, slots=True)
class _Entry:
    host: str
    port: int | None
    below: bool


class Listing:
    """Hosts as an operator lists them, each `host`, `host:port` or `*.host`.

    An entry without a port means the usual one. A private, loopback or link-local number, or a name that only a private
    network has, is called where that very host is listed, never by way of `*.`. A public name leads to public numbers,
    so that whoever may change its DNS gains nothing here; one that is listed with its port may lead into a private
    network, since its operator then said exactly what is there. No name leads to what clouds serve credentials at.
    """

    def __init__(self, entries: Sequence[str]) -> None:
        self.entries = tuple(entries)
        self._entries = [_read(entry) for entry in entries]

    def place(self, address: str) -> Place:
        """Return an address as it may be called.

        Raises:
            Unlisted: If nobody lists its host.
            Unsafe: If it may not be called for another reason.
        """
        url = _parsed(address)
        host, usual = _plain(url.raw_host.decode("ascii")), _PORTS[url.scheme]
        if url.scheme == "http" and not _is_loopback(host):
            raise Unsafe("does not begin with https://")
        port = url.port or usual
        own = [entry for entry in self._entries if not entry.below and entry.host == host]
        entry = next((entry for entry in own if (entry.port or usual) == port), None)
        if entry is None:
            self._check_below(host, port, usual, own)
        return Place(url, host, _checks(host, url.scheme, entry))

    def _check_below(self, host: str, port: int, usual: int, own: Sequence[_Entry]) -> None:
        """Refuse a host that no `*.` covers."""
        name = None if is_number(host) else host
        above = [entry for entry in self._entries if entry.below and name and name.endswith(f".{entry.host}")]
        if not above and not own:
            raise Unlisted(host)
        if not any((entry.port or usual) == port for entry in above):
            raise Unsafe(f"names port {port} of {host[:80]!r}, which is listed with another")
        if is_private_name(host):  # names of this machine among them
            raise Unsafe(f"names a host of a private network, {host[:80]!r}, which needs an entry of its own")


def _read(text: str) -> _Entry:
    match = CALLBACK_HOST.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:80]!r} lists no host")
    return _Entry(_plain(match["host"]), int(match["port"]) if match["port"] else None, bool(match["below"]))


def _plain(host: str) -> str:
    """Return a host as it is compared."""
    text = host.lower().strip("[]").removesuffix(".")
    return str(ipaddress.ip_address(text)) if is_number(text) else text


def _parsed(address: str) -> httpx2.URL:
    if len(address) > LONGEST_URL:
        raise Unsafe(f"is longer than {LONGEST_URL:,} characters")
    if any(character <= " " or character in "\\\x7f" for character in address):
        raise Unsafe("holds a space, a backslash or a control character")
    try:
        url = httpx2.URL(address)
    except (httpx2.InvalidURL, ValueError) as exc:
        raise Unsafe("is none that can be called") from exc
    if url.scheme not in _PORTS or not url.host:
        raise Unsafe("does not begin with https:// and a host")
    if url.userinfo:
        raise Unsafe("holds a user name")
    return url.copy_with(fragment=None)


def _is_loopback(host: str) -> bool:
    if is_number(host):
        return ipaddress.ip_address(host).is_loopback
    return f".{host}".endswith(".localhost")


def _checks(host: str, scheme: str, entry: _Entry | None) -> Callable[[str], None]:
    """Return what the numbers of a listed host are held against."""
    if is_number(host):
        return _as_listed
    if scheme == "http":
        return _check_loopback
    if entry is not None and (entry.port or is_private_name(host)):
        return _check_near
    return check_address


def _as_listed(number: str) -> None:
    """Take the number that is itself listed."""
    del number


def _check_loopback(number: str) -> None:
    if not is_number(number) or not ipaddress.ip_address(number).is_loopback:
        raise Unsafe("is one of this machine by its name, and leads elsewhere")


def _check_near(number: str) -> None:
    """Refuse what is neither on the public internet nor in a private network."""
    if is_number(number):
        found = ipaddress.ip_address(number)
        if found.is_loopback or all(_is_near(address) for address in (found, *carried(found))):
            return
    check_address(number)


def _is_near(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    odd = address.is_link_local or address.is_multicast or address.is_unspecified or address.is_reserved
    return not odd and address not in _METADATA and not address.is_global


class ListedHttp:
    """Calls listed hosts, with the connection bound to a number that was checked; redirects are not followed.

    Args:
        client: Of the process.
        listing: What may be called.
        resolve: Finds the addresses of a host.
        proxied: Whether a proxy makes the connections: it then finds the host itself, and only names are checked here.
    """

    def __init__(
        self, client: ShardedClient, listing: Listing, resolve: Resolver = look_up, *, proxied: bool | None = None
    ) -> None:
        self._client = client
        self._listing = listing
        self._resolve = resolve
        self._proxied = is_proxied() if proxied is None else proxied

    async def send(
        self, method: str, address: str, *, headers: Mapping[str, str], content: bytes, timeout_s: float = REQUEST_S
    ) -> Answer:
        """Make one call and return status and headers; the body of the answer is left unread.

        A further number of the same host is tried where nothing was sent to the one before.

        Raises:
            Unsafe: If the address may not be called, or its name leads to a place that it may not.
            Unreachable: If there is no such host.
            httpx2.HTTPError: If no answer came.
        """
        *others, last = await self._targets(self._listing.place(address), headers)
        for target in others:
            try:
                return await self._call(method, content, timeout_s, target)
            except NOTHING_SENT:
                continue
        return await self._call(method, content, timeout_s, last)

    async def _targets(self, place: Place, headers: Mapping[str, str]) -> list[dict[str, Any]]:
        if self._proxied:
            return [{"url": str(place.url), "headers": dict(headers)}]
        numbers = await numbers_of(place.url.raw_host.decode("ascii"), self._resolve)
        for number in numbers:
            place.check(number)
        return [pinned(place.url, number, headers) for number in numbers[:ADDRESSES]]

    async def _call(self, method: str, content: bytes, timeout_s: float, target: dict[str, Any]) -> Answer:
        async with self._client.stream(method, timeout_s=timeout_s, content=content, **target) as response:
            return Answer(response.status_code, dict(response.headers))
