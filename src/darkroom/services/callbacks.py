"""Whom to tell when a job or run ends: checked before anything is stored, and looked at afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from darkroom.clock import Clock
from darkroom.domain.names import VERY_ALIKE, did_you_mean
from darkroom.domain.request import clip
from darkroom.domain.run import Callback, Delivery
from darkroom.errors import InvalidRequest, NotConfigured, UnknownJob
from darkroom.events import Bus
from darkroom.net.guard import Unsafe
from darkroom.net.listed import Listing, Unlisted
from darkroom.settings import PREFIX, Settings

NOTHING = "Nothing was stored or sent."
MAX_ID = 200
"""Characters of an invocation id."""
MAX_HOSTS = 20
"""Listed hosts that a refusal names."""
EXAMPLE = "https://hooks.example.com/jobs/1"


@dataclass(frozen=True, slots=True)
class Wish:
    """A callback that may be kept, once there is a job or run that it belongs to."""

    url: str
    invocation_id: str

    def callback(self, subject: str, principal: str, now: int) -> Callback:
        """Return it for a job or run."""
        return Callback(
            subject=subject, principal=principal, url=self.url, invocation_id=self.invocation_id, created_at=now
        )


def wished(url: JsonValue, invocation_id: JsonValue, settings: Settings, *, where: str = "") -> Wish:
    """Return what a caller asks for, where it may be: an https address at a host that the settings list.

    Without an invocation id the notice carries the id of the job or run, which the caller gets with the answer.
    `where` stands in front of the names of fields, such as `options.`.

    Raises:
        InvalidRequest: If the address or the id cannot be.
        NotConfigured: If no host is listed.
    """
    field = f"{where}callback_url"
    if not isinstance(url, str) or not url.strip():
        raise InvalidRequest(
            f"{field} must be an https address, not {clip(url)!r}.",
            field=field,
            allowed=EXAMPLE,
            hint=f"{NOTHING} Leave it out to be told nothing.",
        )
    named = _name(invocation_id, f"{where}invocation_id")
    if not settings.callback_hosts:
        raise NotConfigured(
            f"{field} cannot be used: no host is listed that callbacks may go to, {PREFIX}CALLBACK_HOSTS is empty.",
            field=field,
            hint=f"{NOTHING} Set {PREFIX}CALLBACK_HOSTS=hooks.example.com (or 127.0.0.1:8000; several with commas) "
            "where darkroom is started, or leave the callback out and use check_job.",
        )
    listing = Listing(settings.callback_hosts)
    try:
        listing.place(url.strip())
    except Unlisted as exc:
        near = did_you_mean(exc.host, [entry for entry in listing.entries if "*" not in entry], alike=VERY_ALIKE)
        raise InvalidRequest(
            f"{field} {exc}.{near}",
            field=field,
            allowed=[*listing.entries[:MAX_HOSTS]],
            hint=f"{NOTHING} Those are the hosts of {PREFIX}CALLBACK_HOSTS; add this one where darkroom is started, or "
            "leave the callback out and use check_job.",
        ) from exc
    except Unsafe as exc:
        raise InvalidRequest(
            f"{field} {exc}.",
            field=field,
            allowed=f"an https address at a host of {PREFIX}CALLBACK_HOSTS: {', '.join(listing.entries[:MAX_HOSTS])}",
            hint=f"{NOTHING} http:// is for listed hosts of this machine alone.",
        ) from exc
    return Wish(url.strip(), named)


def _name(invocation_id: JsonValue, field: str) -> str:
    """Return the caller's own name of the work, empty where there is none."""
    if invocation_id is None:
        return ""
    if isinstance(invocation_id, bool) or not isinstance(invocation_id, str | int):
        raise _no_name(f"{field} must be text, not {clip(invocation_id)!r}.", field)
    name = str(invocation_id).strip()
    if not 0 < len(name) <= MAX_ID or not name.isprintable():
        raise _no_name(f"{field} {clip(name)!r} cannot be used.", field)
    return name


def _no_name(message: str, field: str) -> InvalidRequest:
    return InvalidRequest(
        message, field=field, allowed=f"1 to {MAX_ID} printable characters", hint=f"{NOTHING} Leave it out, or mend it."
    )


class Outbox(Protocol):
    """What is needed of the store of runs, which keeps the callbacks."""

    async def callback(self, subject: str) -> Callback | None:
        """Return the callback of a job or run."""
        ...

    async def callbacks(
        self, *, principal: str | None = None, states: Sequence[Delivery] = (), limit: int = 20
    ) -> list[Callback]:
        """Return callbacks, newest first."""
        ...

    async def note_callback(self, callback: Callback) -> None:
        """Write how far a callback is."""
        ...


class CallbackBook:
    """What may be asked about callbacks that exist."""

    def __init__(self, outbox: Outbox, bus: Bus, clock: Clock) -> None:
        self._outbox = outbox
        self._bus = bus
        self._clock = clock

    async def of(self, subject: str, principal: str) -> Callback | None:
        """Return the callback of a job or run, or None when there is none or it is another principal's."""
        found = await self._outbox.callback(subject)
        return found if found is not None and found.principal == principal else None

    async def find(self, principal: str, *, status: str | None = None, limit: int = 20) -> list[Callback]:
        """Return the caller's newest callbacks, narrowed by a state.

        Raises:
            InvalidRequest: If there is no such state.
        """
        word = None if status is None else status.strip().lower()
        if word is not None and word not in tuple(Delivery):
            raise InvalidRequest(
                f"There is no status {clip(word)!r}.{did_you_mean(word, Delivery)}",
                field="status",
                allowed=list(Delivery),
            )
        states = () if word is None else (Delivery(word),)
        return await self._outbox.callbacks(principal=principal, states=states, limit=limit)

    async def again(self, subject: str, principal: str) -> Callback:
        """Have a failed callback sent once more, the same text to the same address, with all its attempts before it.

        Raises:
            UnknownJob: If the caller has none of that job or run.
            InvalidRequest: If it did not fail.
        """
        found = await self.of(subject, principal)
        if found is None:
            known = [item.subject for item in await self.find(principal, limit=50)]
            raise UnknownJob(
                f"There is no callback of {clip(subject)!r}.{did_you_mean(subject, known, alike=VERY_ALIKE)}",
                field="subject",
                hint="darkroom jobs callbacks lists those that there are.",
            )
        if found.state is not Delivery.FAILED:
            raise InvalidRequest(
                f"The callback of {found.subject} is {found.state}; only a failed one is sent again.",
                field="subject",
                hint="Nothing was changed.",
            )
        changed = {"state": Delivery.DUE, "attempts": 0, "due_at": self._clock.now(), "status": None, "error": None}
        due = found.model_copy(update=changed)
        await self._outbox.note_callback(due)
        self._bus.changed(due.subject)
        return due
