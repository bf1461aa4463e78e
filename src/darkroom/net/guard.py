"""Opens web addresses that came from outside: only public hosts, checked after every look-up and every redirect."""

import ipaddress
import re
import socket
import urllib.request
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2

from darkroom.net.classify import NO_ANSWER
from darkroom.net.client import CONNECT_S, ShardedClient

REDIRECTS = 3
FETCH_S = 60.0
LONGEST_URL = 4096
ADDRESSES = 3
"""How many addresses of one host are tried."""
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)")
_OURS = (".localhost", ".local", ".internal", ".intranet", ".lan", ".home", ".corp", ".home.arpa", ".localdomain")
"""Endings that no public host has."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_RESERVED = tuple(
    ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "fec0::/10")
)
"""What the standard library takes for public, at least in some versions."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str], Awaitable[list[str]]]


class Unsafe(Exception):
    """An address is not opened; the text goes after "The address" in a sentence."""


class Unreachable(Exception):
    """A host did not answer; nothing is known of what it holds."""


async def look_up(host: str) -> list[str]:
    """Return the addresses of a host, as the system finds them.

    Raises:
        OSError: If there is no such host.
    """
    found = await anyio.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def checked(url: str) -> httpx2.URL:
    """Return an address that may be looked up: https, usual port, no credentials, a public name or number.

    Raises:
        Unsafe: If it may not.
    """
    if len(url) > LONGEST_URL:
        raise Unsafe(f"is longer than {LONGEST_URL} characters")
    if any(character <= " " or character in "\\\x7f" for character in url):
        raise Unsafe("holds a space, a backslash or a control character")
    try:
        found = httpx2.URL(url)
        port = found.port
    except (httpx2.InvalidURL, ValueError) as exc:
        raise Unsafe("is none that can be called") from exc
    if found.scheme != "https":
        raise Unsafe("does not begin with https://")
    if found.userinfo:
        raise Unsafe("holds a user name")
    if port not in (None, 443):
        raise Unsafe(f"names port {port}; only the usual one is called")
    _check_host(found.raw_host.decode("ascii").lower())
    return found


def _check_host(host: str) -> None:
    """Refuse names of this network, and numbers in any spelling but the usual one."""
    if ":" in host or host.startswith("["):
        check_address(host.strip("[]"))
        return
    name = host.removesuffix(".")
    labels = name.split(".")
    if not name or not all(_LABEL.fullmatch(label) for label in labels):
        raise Unsafe("names no host")
    if _NUMBER.fullmatch(labels[-1]):  # the old spellings too: one number, hexadecimal, fewer parts
        if not re.fullmatch(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}", name):
            raise Unsafe("spells a number of a host in an unusual way")
        check_address(name)
    elif is_private_name(name):
        raise Unsafe("names a host of a private network")


def is_private_name(name: str) -> bool:
    """Return whether a name, without a dot at its end, can only be one of a private network."""
    return "." not in name or f".{name}".endswith(_OURS)


def check_address(text: str) -> None:
    """Refuse the number of a host that is not on the public internet, also where another one carries it.

    Raises:
        Unsafe: If it is private, loopback, link-local, of a cloud's own services, multicast, reserved, or no number.
    """
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise Unsafe("names no host") from None
    if not all(_is_public(address) for address in (found, *carried(found))):
        raise Unsafe("leads to a private or reserved place")


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        return False
    if any(address in network for network in _RESERVED if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def carried(address: Address) -> list[Address]:
    """Return the IPv4 addresses that an IPv6 address leads on to."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found: list[Address] = [item for item in (address.ipv4_mapped, address.sixtofour) if item]
    found += address.teredo or ()
    low = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return [*found, low] if address in _NAT64 or int(address) >> 32 == 0 else found


def is_proxied() -> bool:
    """Return whether the environment names a proxy, which then makes the connections."""
    return bool(set(urllib.request.getproxies()) & {"https", "all"})


async def numbers_of(host: str, resolve: Resolver) -> list[str]:
    """Return the addresses of a host, one at least; a number is its own.

    Raises:
        Unreachable: If there is no such host.
    """
    if is_number(host):
        return [host.strip("[]")]
    try:
        with anyio.fail_after(CONNECT_S):
            numbers = await resolve(host)
    except (OSError, UnicodeError, TimeoutError) as exc:
        raise Unreachable(f"There is no host {host[:80]!r}.") from exc
    if not numbers:
        raise Unreachable(f"There is no host {host[:80]!r}.")
    return numbers


class Guard:
    """Opens addresses through the connections of the process.

    Args:
        client: Of the process.
        resolve: Finds the addresses of a host.
        proxied: Whether a proxy makes the connections: it then finds the host itself, and only names are checked here.
    """

    def __init__(self, client: ShardedClient, resolve: Resolver = look_up, *, proxied: bool | None = None) -> None:
        self._client = client
        self._resolve = resolve
        self._proxied = is_proxied() if proxied is None else proxied

    @asynccontextmanager
    async def open(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        timeout_s: float = FETCH_S,
        **parts: Any,
    ) -> AsyncGenerator[httpx2.Response]:
        """Call one address, with the connection bound to what was checked; redirects are not followed.

        Raises:
            Unsafe: If it leads to another place than the public internet.
            Unreachable: If its host is unknown.
            httpx2.HTTPError: If no answer came.
        """
        async with self._client.stream(
            method, timeout_s=timeout_s, **parts, **await self._bound(checked(url), dict(headers or {}))
        ) as response:
            yield response

    async def _bound(self, url: httpx2.URL, headers: dict[str, str]) -> dict[str, Any]:
        """Return what to ask: the number that was checked, in the name of the host."""
        if self._proxied:
            return {"url": str(url), "headers": headers}
        numbers = await numbers_of(url.raw_host.decode("ascii"), self._resolve)
        for number in numbers:
            check_address(number)
        return pinned(url, numbers[0], headers)

    async def fetch(self, url: str, *, limit: int, timeout_s: float = FETCH_S) -> bytes:
        """Return what an address holds, within bounds of bytes, seconds and redirects.

        Raises:
            Unsafe: If it, or where it leads on to, may not be opened, or holds more.
            Unreachable: If it did not come.
        """
        try:
            with anyio.fail_after(timeout_s):
                for _ in range(REDIRECTS + 1):
                    async with self.open(url, headers={"accept-encoding": "identity"}) as response:
                        if not response.has_redirect_location:
                            return await _body(response, limit)
                        url = str(httpx2.URL(url).join(response.headers["location"]))
        except TimeoutError as exc:
            raise Unreachable(f"It did not come within {timeout_s:g} s.") from exc
        except NO_ANSWER as exc:
            raise Unreachable(f"Its host gave no answer ({type(exc).__name__}).") from exc
        raise Unsafe("leads from one to the next without end")


def pinned(url: httpx2.URL, number: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return what to ask of a client: an address at one number of its host, in the name of the host."""
    host = url.raw_host.decode("ascii")
    return {
        "url": str(url.copy_with(host=number)),
        "headers": {**headers, "host": url.netloc.decode("ascii")},
        "extensions": {"sni_hostname": host.strip("[]").removesuffix(".")},
        "shard": host,
    }


async def _body(response: httpx2.Response, limit: int) -> bytes:
    if response.status_code != 200:
        raise Unreachable(f"Its host answered with status {response.status_code}.")
    if response.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise Unsafe("serves it compressed, though asked not to")
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > limit:
            raise Unsafe(f"holds more than {limit // 1_000_000} MB")
        chunks.append(chunk)
    return b"".join(chunks)


def is_number(host: str) -> bool:
    """Return whether a host is an IP address in its usual spelling, with or without brackets."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
