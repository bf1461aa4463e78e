"""The contract between the runtime and a provider's adapter."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import JsonValue

from darkroom.catalog.providers import Offer, Provider
from darkroom.domain.kinds import Role
from darkroom.domain.money import MicroUsd
from darkroom.domain.output import FailedOutput, RemoteOutput
from darkroom.domain.request import Effective
from darkroom.errors import DarkroomError
from darkroom.net.answer import Answer

Json = dict[str, JsonValue]
_ENDINGS = {"quicktime": "mov"}


@dataclass(frozen=True, slots=True)
class Blob:
    """One input picture or clip, checked and kept by us."""

    path: Path
    role: Role
    media_type: str
    sha256: str
    width: int
    height: int
    duration: float | None = None
    """Seconds of a clip."""
    name: str | None = None
    url: str | None = None
    """Its own https address, where the caller gave one."""
    content: bytes = field(default=b"", repr=False)
    """The file, within the offer's limits; loaded by the runtime for whoever sends it."""
    uploaded: JsonValue = None
    """What `Uploads.upload` returned for it."""

    @property
    def file_name(self) -> str:
        """A name for it at a provider's, which tells its type."""
        kind = self.media_type.rpartition("/")[2]
        return f"{self.sha256[:16]}.{_ENDINGS.get(kind, kind)}"

    @property
    def base64(self) -> str:
        """The file as base64."""
        return b64encode(self.content).decode("ascii")

    @property
    def data_uri(self) -> str:
        """The file as a data URI."""
        return f"data:{self.media_type};base64,{self.base64}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One earlier result that a request goes on with: what was asked, and what the provider's model answered."""

    request: Effective
    inputs: tuple[Blob, ...]
    outputs: tuple[Blob, ...]
    """What it made, in the order of the provider's answer."""
    content: Json | None = None
    """What the adapter returned as `Succeeded.turn`."""
    provider_job_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Follow:
    """What an adapter may know to ask about a submission; small, since thousands may be under way."""

    job_id: str
    submit_key: str
    """Ours, the same for every call about this attempt."""
    sent_at: int | None = None
    """When the intent was stored, milliseconds since 1970; providers forget keys after a while."""
    provider: Provider
    offer: Offer
    credentials: Mapping[str, str] = field(repr=False)
    """Values by variable name."""
    now: int
    """Milliseconds since 1970."""

    def bearer(self) -> dict[str, str]:
        """Return the header that carries the one credential as a bearer token (RFC 6750)."""
        return {"Authorization": f"Bearer {next(iter(self.credentials.values()))}"}

    def is_new(self, within_ms: int) -> bool:
        """Return whether it was sent so lately that its provider may not know it everywhere yet."""
        return self.sent_at is not None and self.now - self.sent_at < within_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Follow):
    """Everything that an adapter may know to submit."""

    request: Effective
    inputs: tuple[Blob, ...]
    """In the order of `request.inputs`, then the pictures of `request.scenes` that have one, in scene order."""
    history: tuple[Turn, ...] = ()
    """The earlier turns of the conversation that the request goes on with, oldest first."""
    scratch: Path
    """A folder for this submission alone, made by the runtime, on the disk of the outputs."""
    spool: Path
    """Where the answer of this attempt is kept whole before anything is made of it; nothing is there yet."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the work; `operation` is all that is needed to ask about it later, by any process."""

    operation: Json
    provider_job_id: str | None = None
    poll_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """Not ready; `fraction` from 0 to 1 where the provider tells it."""

    fraction: float | None = None
    message: str | None = None
    poll_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A result that the answer itself holds; the runtime keeps it before it notes that the work is done."""

    data: bytes = field(repr=False)
    media_type: str | None = None
    variant: str | None = None


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Ready, at least in part."""

    outputs: tuple[RemoteOutput | Made, ...]
    failed: tuple[FailedOutput, ...] = ()
    cost: MicroUsd | None = None
    """What the provider says that it charged."""
    tokens: Mapping[str, int] = field(default_factory=dict[str, int])
    """What the provider counted, by the names of the offer's `rates`; priced where it names no `cost`."""
    turn: Json | None = None
    """What to send back word for word when somebody goes on with this result; without the bytes of the outputs."""
    notes: Json = field(default_factory=dict[str, JsonValue])
    """Known keys: seed (int), revised_prompt (str), sent_text (str), understood and not_understood (lists of str)."""


Finished = Succeeded
"""The answer of a provider that works within the submitting call itself."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Ended without a result."""

    error: DarkroomError
    billed: bool = False
    charged: MicroUsd | None = None
    """What the provider says that it charged, where it did; None: our estimate."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The provider stopped the work."""

    charged: MicroUsd | None = None


@dataclass(frozen=True, slots=True)
class TooLate:
    """The provider goes on; the result decides."""


@dataclass(frozen=True, slots=True)
class Absent:
    """The provider says that it knows nothing of the submission; this never licenses another one."""


@dataclass(frozen=True, slots=True)
class Unsure:
    """The look-up says nothing either way."""


@dataclass(frozen=True, slots=True)
class Health:
    """What a free authenticated request showed."""

    ok: bool = True
    balance: str | None = None
    """What is left, with its unit, where the provider says it."""
    problem: str | None = None


class Adapter(Protocol):
    """Maps requests and answers of one provider.

    It does not wait, retry, touch files, know prices or read a clock. Errors that it raises from `submit` mean:
    `RequestError`, `AuthFailed`, `InsufficientCredits`, `ContentBlocked`: refused for good; `RateLimited`,
    `Overloaded`: provably not accepted, may be sent again later; anything else: unknown.
    """

    async def submit(self, call: Call) -> Accepted | Succeeded | Failed:
        """Start the work with exactly one call that may cost money; `Failed`: it was taken, ended so, and may cost."""
        ...

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        """Ask once how the accepted work stands."""
        ...


@runtime_checkable
class Uploads(Protocol):
    """An adapter that brings inputs to its provider before the submission."""

    async def upload(self, blob: Blob, call: Call) -> JsonValue:
        """Upload one picture and return what `submit` needs to name it; kept, and used again for the same account."""
        ...


@runtime_checkable
class Cancellable(Protocol):
    """An adapter whose provider can stop accepted work."""

    async def cancel(self, operation: Json, call: Follow) -> Cancelled | TooLate:
        """Ask the provider to stop."""
        ...


@runtime_checkable
class Locatable(Protocol):
    """An adapter whose provider can find a submission by our key."""

    async def locate(self, call: Call) -> Accepted | Succeeded | Absent | Unsure:
        """Look for the submission whose answer was lost.

        Where a provider accepts each key once and says so, sending the same key again is a look-up too, while
        `call.sent_at` is younger than what the provider remembers.
        """
        ...


@runtime_checkable
class Reads(Protocol):
    """An adapter that can read a kept answer again, whose process ended before it had made anything of it."""

    def read(self, answer: Answer, call: Call) -> Accepted | Succeeded | Failed:
        """Make of an answer to a submission what `submit` would have made of it, and raise what it would have."""
        ...


@runtime_checkable
class Resumable(Protocol):
    """An adapter that can follow accepted work when only the provider's id of it is known."""

    def operation_of(self, provider_job_id: str, call: Call) -> Json:
        """Return what `poll` needs; the call that was lost, without its inputs, says where it was sent.

        Raises:
            InvalidRequest: If that cannot be an id of this provider's.
        """
        ...


@runtime_checkable
class Checkable(Protocol):
    """An adapter that can test a credential for free."""

    async def check(self, call: Follow) -> Health:
        """Send one free authenticated request; who asks measures how long it takes.

        Raises:
            AuthFailed: If the key is not accepted.
            ProviderError: If the provider has trouble.
        """
        ...


@runtime_checkable
class Signs(Protocol):
    """An adapter whose provider wants the credential for downloads from its own hosts too."""

    async def download_headers(self, call: Follow) -> Mapping[str, str]:
        """Return what to send with a download; it goes to the hosts of the manifest alone.

        Raises:
            NotConfigured, AuthFailed: If there is nothing to send as long as nobody mends the account.
            ProviderError: If it could not be had now.
        """
        ...


@runtime_checkable
class Closable(Protocol):
    """An adapter that holds something, a process for example, until the program ends."""

    async def aclose(self) -> None:
        """Let go of it."""
        ...
