"""What one provider's adapter may do on the wire."""

import re
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2

from darkroom.catalog.providers import Provider
from darkroom.errors import DarkroomError, NotConfigured, ProviderFailed, UnexpectedAnswer
from darkroom.net.answer import Answer
from darkroom.net.classify import NO_ANSWER, Told, ended, explain, explain_failure
from darkroom.net.client import REQUEST_S, SUBMIT_S, ShardedClient
from darkroom.net.guard import Guard, Unreachable, Unsafe
from darkroom.net.retry import retried

_PORTS = {"http": 80, "https": 443}
_WHOLE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_CREDENTIAL = re.compile(r"auth|key|token|secret|cookie", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s:]+")
"""What stands between the parts of a credential, such as an id and its secret."""
_SENDABLE = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?")
"""A header's value; none begins or ends with a space."""


class ProviderHttp:
    """One provider's hosts, and the two ways of calling them.

    Args:
        client: Of the process.
        provider: Whose hosts alone are called.
        base_url: Instead of the manifest's; its host is then trusted.
        secrets: Values that no error may show.
        guard: Opens what is not on the base URL.
    """

    def __init__(
        self,
        client: ShardedClient,
        provider: Provider,
        base_url: str | None = None,
        secrets: Sequence[str] = (),
        guard: Guard | None = None,
    ) -> None:
        self._client = client
        self._guard = guard or Guard(client)
        self._provider = provider
        self._base = (base_url or provider.base_url or "").rstrip("/")
        self._secrets = tuple(secrets)

    def url(self, path: str) -> str:
        """Return the whole address of a path; a whole one only where it is on the provider's own hosts.

        Raises:
            UnexpectedAnswer: If it is not.
            NotConfigured: If the provider has no base URL.
        """
        if not self._base:
            raise NotConfigured(f"{self._provider.title} has no base URL.")
        if not _WHOLE.match(path):
            return f"{self._base}/{path.lstrip('/')}"
        if not allowed(path, self._provider.hosts, self._base):
            raise UnexpectedAnswer(f"{self._provider.title} named an address that is not its own; it was not called.")
        return path

    def own(self, url: str | None) -> str | None:
        """Return an address that the provider named, where it may be called; None of any other, and of a path."""
        return url if url and _WHOLE.match(url) and allowed(url, self._provider.hosts, self._base) else None

    async def submit(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float = SUBMIT_S,
        spool: Path | None = None,
        told: Callable[[Answer], Told | None] | None = None,
        **parts: Any,
    ) -> Answer:
        """Make the one call that may cost money: once, on a connection of its own; return an answer of success.

        Args:
            method: The HTTP method.
            path: Below the base URL.
            timeout_s: Seconds for the whole of it.
            spool: Where to keep the answer before it is returned.
            told: How to read an error whose codes and words are not where they usually are; None: as usual.
            parts: headers, params, json, content, data, files.

        Raises:
            RateLimited, Overloaded: If it was provably not accepted.
            InvalidRequest, AuthFailed, InsufficientCredits, ContentBlocked: If it was refused for good.
            NotConfigured: If the key or an address cannot be used as it is; nothing was sent.
            SubmitUnknown: If nobody knows.
        """
        url = self.url(path)
        self._check(parts)
        try:
            answer = await self._client.submit(method, url, timeout_s=timeout_s, spool=spool, **parts)
        except (*NO_ANSWER, TimeoutError, UnexpectedAnswer) as exc:
            raise explain_failure(exc, self._provider, submitting=True) from exc
        if not answer.ok:
            raise self._explained(answer, parts, submitting=True, told=told and told(answer))
        return answer

    async def request(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float = REQUEST_S,
        also: Container[int] = (),
        told: Callable[[Answer], Told | None] | None = None,
        **parts: Any,
    ) -> Answer:
        """Make a call that costs nothing, several times where that may help; return an answer of success.

        Arguments as in `submit`; `also` are further statuses whose answers the adapter reads itself.

        Raises:
            ProviderError: If there is none.
            InvalidRequest: If the provider refused it.
            NotConfigured: As in `submit`.
        """
        url = self.url(path)
        self._check(parts)

        async def once() -> Answer:
            try:
                answer = await self._client.request(method, url, timeout_s=timeout_s, **parts)
            except (*NO_ANSWER, TimeoutError) as exc:
                raise explain_failure(exc, self._provider, submitting=False) from exc
            if not answer.ok and answer.status not in also:
                raise self._explained(answer, parts, submitting=False, told=told and told(answer))
            return answer

        return await retried(once, self._client.clock)

    async def deliver(self, method: str, url: str, *, timeout_s: float = SUBMIT_S, **parts: Any) -> None:
        """Bring a file to an address that the provider named for it: on its own base URL, or any public host.

        The address is a credential of its own: no other goes there.

        Raises:
            UnexpectedAnswer: If the address leads to a private place, or does not take the file.
            ProviderError: If it did not arrive.
            NotConfigured: As in `submit`.
        """
        self._check(parts)
        headers: Mapping[str, str] = parts.pop("headers", None) or {}
        if any(_CREDENTIAL.search(name) for name in headers):
            raise UnexpectedAnswer(
                f"A file for {self._provider.title} was to go out with a credential; it was not sent."
            )

        async def once() -> None:
            try:
                status = await self._delivered(method, url, headers, timeout_s, parts)
            except Unsafe as exc:
                message = f"{self._provider.title} named an address for files that {exc}; nothing was sent there."
                raise UnexpectedAnswer(message) from exc
            except (*NO_ANSWER, TimeoutError, Unreachable) as exc:
                raise ProviderFailed(f"The storage of {self._provider.title} gave no answer.") from exc
            if not 200 <= status < 300:  # not by the provider's own errors: it is another service's answer
                kind = ProviderFailed if status in (408, 429) or status >= 500 else UnexpectedAnswer
                raise kind(f"The storage of {self._provider.title} did not take the file (status {status}).")

        await retried(once, self._client.clock)

    async def _delivered(
        self, method: str, url: str, headers: Mapping[str, str], timeout_s: float, parts: Mapping[str, Any]
    ) -> int:
        if allowed(url, (), self._base):
            answer = await self._client.request(method, url, timeout_s=timeout_s, headers=headers, **parts)
            return answer.status
        async with self._guard.open(url, method=method, headers=headers, timeout_s=timeout_s, **parts) as response:
            return response.status_code

    def failure(self, answer: Answer, told: Told, *, submitting: bool) -> DarkroomError:
        """Return the error of an answer whose status says success and whose envelope does not."""
        return explain(
            answer,
            self._provider,
            submitting=submitting,
            now=self._client.clock.now(),
            secrets=self._secrets,
            told=told,
        )

    def ended(self, *codes: str | None, message: str | None = None) -> DarkroomError:
        """Return the error of accepted work that failed, by the provider's own codes and words."""
        told = Told(tuple(code for code in codes if code), message or "")
        return ended(self._provider, told, self._secrets)

    def _check(self, parts: Mapping[str, Any]) -> None:
        """Refuse headers that HTTP cannot carry, most often a key pasted with a line end or a typographic character."""
        headers: Mapping[str, str] = parts.get("headers") or {}
        for name, value in headers.items():
            if not _SENDABLE.fullmatch(value):
                raise NotConfigured(
                    f"The header {name} for {self._provider.title} is empty, or holds characters that none may hold.",
                    hint="Nothing was sent. Look for a space, a line end or a typographic character in the key.",
                )

    def _explained(
        self, answer: Answer, parts: Mapping[str, Any], *, submitting: bool, told: Told | None = None
    ) -> DarkroomError:
        # The credential sent is masked even where nobody named it to us: providers like to quote a wrong one.
        headers: Mapping[str, str] = parts.get("headers") or {}
        sent = [value for name, value in headers.items() if _CREDENTIAL.search(name)]
        hidden = (*self._secrets, *sent, *(word for value in sent for word in _BETWEEN.split(value)))
        now = self._client.clock.now()
        return explain(answer, self._provider, submitting=submitting, now=now, secrets=hidden, told=told)


def allowed(url: str, hosts: Sequence[str], base_url: str | None) -> bool:
    """Return whether an address is on one of these hosts (exact, or `*.` and what ends so), or on the base URL's.

    The base URL's scheme, host and port are trusted as they are; every other host through https on its usual port.
    """
    try:
        found = httpx2.URL(url)
    except httpx2.InvalidURL:
        return False
    if base_url and place(url) == place(base_url):
        return True
    name = found.host.lower().rstrip(".")
    usual = found.scheme == "https" and found.port in (None, _PORTS["https"])
    return usual and any(_matches(name, host.lower()) for host in hosts)


def place(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of an address."""
    found = httpx2.URL(url)
    return found.scheme, found.host.lower(), found.port or _PORTS.get(found.scheme)


def _matches(name: str, pattern: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern
