"""A provider whose answers a test writes down beforehand, and everything that one move needs around it."""

import inspect
import io
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from PIL import Image

from darkroom.adapters.base import (
    Absent,
    Accepted,
    Call,
    Cancelled,
    Failed,
    Follow,
    Json,
    Pending,
    Succeeded,
    TooLate,
    Unsure,
)
from darkroom.artifacts.inputs import LocalInputs
from darkroom.artifacts.local import LocalArtifacts
from darkroom.catalog.accounts import Accounts
from darkroom.catalog.providers import Provider
from darkroom.clock import Clock
from darkroom.domain.job import Job, LedgerKind, Submission, new_id
from darkroom.domain.kinds import Kind, Mode
from darkroom.domain.output import RemoteOutput
from darkroom.events import Bus
from darkroom.runtime.embedded import Embedded
from darkroom.runtime.health import Health
from darkroom.runtime.held import Held, due_of, hold
from darkroom.runtime.kit import Kit
from darkroom.runtime.linger import Linger
from darkroom.runtime.liveness import Presence
from darkroom.runtime.step import Stepper
from darkroom.store.sqlite import SqliteStore
from factories import NO_WEB, make_effective, make_job, make_ledger_row

LIMIT_S = 60
"""Bound of every wait; far above what the work takes."""
KEY = "ACME_API_KEY"
ACME = Provider.model_validate(
    {
        "id": "acme",
        "title": "Acme",
        "credentials": [KEY],
        "poll": {"first_s": 0.01, "min_s": 0.01},
        "offers": [
            {"model": "acme-image-1", "operations": ["text_to_image", "reference_to_image"], "count_max": 4},
            {"model": "acme-video-1", "operations": ["text_to_video"], "duration": {"max_s": 10}},
        ],
    }
)


async def answer(script: list[Any], call: Follow) -> Any:
    """Return or raise the next entry of a script; the last one is repeated. Functions are called with the call."""
    entry: Any = script.pop(0) if len(script) > 1 else script[0]
    if inspect.isfunction(entry) or inspect.ismethod(entry):
        entry = await entry(call)
    if isinstance(entry, BaseException):
        raise entry
    return entry


@dataclass
class Scripted:
    """An adapter that answers as it is told."""

    submits: list[Any] = field(default_factory=lambda: list[Any]([Accepted({"id": "r1"}, "r1")]))
    polls: list[Any] = field(default_factory=lambda: list[Any]([Pending()]))
    sent: list[Call] = field(default_factory=list[Call])
    asked: list[Follow] = field(default_factory=list[Follow])

    async def submit(self, call: Call) -> Accepted | Succeeded:
        self.sent.append(call)
        return await answer(self.submits, call)

    async def poll(self, operation: Json, call: Follow) -> Pending | Succeeded | Failed:
        self.asked.append(call)
        return await answer(self.polls, call)


@dataclass
class Finding(Scripted):
    """One whose provider can find a submission by our key."""

    finds: list[Any] = field(default_factory=lambda: list[Any]([Absent()]))
    looked: list[Call] = field(default_factory=list[Call])

    async def locate(self, call: Call) -> Accepted | Succeeded | Absent | Unsure:
        self.looked.append(call)
        return await answer(self.finds, call)


@dataclass
class Stoppable(Scripted):
    """One whose provider can stop accepted work."""

    stops: list[Any] = field(default_factory=lambda: list[Any]([Cancelled()]))
    stopped: int = 0

    async def cancel(self, operation: Json, call: Follow) -> Cancelled | TooLate:
        self.stopped += 1
        return await answer(self.stops, call)


def png(size: tuple[int, int] = (64, 48)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 30, 60)).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Rig:
    """A store, a scripted provider and a stepper."""

    folder: Path
    clock: Any
    bus: Bus
    store: Any  # whose methods tests replace
    artifacts: Any
    inputs: LocalInputs
    adapter: Scripted
    providers: dict[str, Provider]
    environment: dict[str, str]
    stepper: Stepper
    fetcher: Any

    @property
    def kit(self) -> Kit:
        """What its moves need."""
        return self.stepper.kit

    def stepper_of(self, owner: str) -> Stepper:
        """Return a stepper of another process on the same store."""
        return make_stepper(self, owner)

    def file(self, name: str = "made.png", data: bytes | None = None) -> RemoteOutput:
        """Write a file as a provider would have made it."""
        path = self.folder / "made" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(png() if data is None else data)
        return RemoteOutput(path=str(path), media_type="image/png")

    def done(self, *names: str, **more: Any) -> Succeeded:
        """Return the answer of a provider that is done."""
        return Succeeded(tuple(self.file(name) for name in names or ("made.png",)), **more)

    async def add(self, **overrides: Any) -> Job:
        """Store a queued job with its reservation."""
        identity = overrides.pop("id", new_id("job", self.clock.now()))
        now = overrides.pop("created_at", self.clock.now())
        job = make_job(id=identity, created_at=now, request_hash=identity, **overrides)
        row = make_ledger_row(job_id=identity, at=now)
        return (await self.store.add(job, [row])).job

    async def claim(self, owner: str | None = None) -> Held:
        """Claim the one submission that is free."""
        accounts = self.kit.accounts.all()
        claimed = await self.store.claim(owner or self.kit.owner, accounts=accounts, now=self.clock.now(), limit=9)
        assert len(claimed) == 1
        return hold(claimed[0].job, claimed[0].submission, self.clock, self.clock.boot())

    async def held(self, job: Job, idx: int = 0) -> Held:
        """Return a submission as it now is."""
        job = await self.job(job)
        return hold(job, job.submissions[idx], self.clock, due_of(job.submissions[idx], self.clock))

    async def begun(self, **overrides: Any) -> Held:
        """Return a submission that was accepted."""
        await self.add(**overrides)
        held = await self.stepper.advance(await self.claim())
        assert held is not None
        return held

    async def job(self, job: Job | Held) -> Job:
        """Return the job as it now is."""
        found = await self.store.get(job.job_id if isinstance(job, Held) else job.id)
        assert found is not None
        return found

    async def part_of(self, job_id: str) -> Submission:
        """Return the one submission of the job of that id."""
        found = await self.store.get(job_id)
        assert found is not None
        return found.submissions[0]

    async def part(self, job: Job | Held) -> Submission:
        """Return its one submission as it now is."""
        return (await self.job(job)).submissions[0]

    async def money(self, job: Job | Held) -> list[tuple[LedgerKind, int, bool]]:
        """Return what the ledger says of the job: kind, micro-dollars, certain."""
        rows = await self.store.ledger((await self.job(job)).id)
        return [(row.kind, row.micro_usd, row.certain) for row in rows]

    async def moves(self, job: Job | Held) -> list[str]:
        """Return the states that the job went through."""
        return [event.target.value for event in await self.store.events((await self.job(job)).id)]


VIDEO: Mapping[str, Any] = {
    "kind": Kind.VIDEO,
    "mode": Mode.TEXT_TO_VIDEO,
    "model": "acme-video-1",
    "effective": make_effective(kind=Kind.VIDEO, mode=Mode.TEXT_TO_VIDEO, duration=5.0),
}


class _Adapters:
    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def adapter(self, provider_id: str) -> Scripted:
        assert provider_id == "acme"
        return self._rig.adapter


def make_stepper(rig: Rig, owner: str) -> Stepper:
    kit = Kit(
        store=rig.store,
        adapters=_Adapters(rig),
        artifacts=rig.artifacts,
        inputs=rig.inputs,
        providers=rig.providers,
        accounts=Accounts(rig.providers, rig.environment, b"key"),
        clock=rig.clock,
        bus=rig.bus,
        owner=owner,
        fetcher=rig.fetcher,
        health=Health(rig.clock),
    )
    return Stepper(kit)


@dataclass
class Fetches:
    """Brings what a test says lies behind an address."""

    files: dict[str, Any] = field(default_factory=dict[str, Any])
    """Bytes, or the error, by address; a list is taken from its front."""
    asked: list[str] = field(default_factory=list[str])
    terms: list[tuple[tuple[str, ...], str | None]] = field(default_factory=list[tuple[tuple[str, ...], str | None]])
    """The hosts and the base URL of each call."""
    left: list[Path] = field(default_factory=list[Path])
    """What other processes had left, by the last call."""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    """What was sent with the last call."""

    async def fetch(
        self,
        url: str,
        to: Path,
        *,
        hosts: Sequence[str],
        base_url: str | None = None,
        headers: Mapping[str, str] | None = None,
        left: Sequence[Path] = (),
    ) -> Path:
        self.headers = dict(headers or {})
        self.left = list(left)
        for path in (to, *left):
            if await anyio.Path(path).exists():
                return path
        self.asked.append(url)
        self.terms.append((tuple(hosts), base_url))
        found = self.files[url]
        if isinstance(found, list):
            entries: list[Any] = found  # pyright: ignore[reportUnknownVariableType] because tests write down anything
            found = entries.pop(0) if len(entries) > 1 else entries[0]
        if isinstance(found, BaseException):
            raise found
        await anyio.Path(to).write_bytes(found)
        return to


@asynccontextmanager
async def rig_in(folder: Path, clock: Clock, adapter: Scripted | None = None) -> AsyncGenerator[Rig]:
    """Open a rig in a folder; two of them in one folder are two processes."""
    bus, home = Bus(), folder / "home"
    rig = Rig(
        folder=folder,
        clock=clock,
        bus=bus,
        store=SqliteStore(home / "darkroom.sqlite3", bus, clock),
        artifacts=LocalArtifacts(home=home, output_dir=folder / "out", allowed_output_dirs=()),
        inputs=LocalInputs(home=home, allowed_dirs=(folder,), guard=NO_WEB),
        adapter=adapter or Scripted(),
        providers={"acme": ACME},
        environment={KEY: "secret"},
        stepper=None,  # pyright: ignore[reportArgumentType] because it needs the rig
        fetcher=Fetches(),
    )
    rig.stepper = make_stepper(rig, f"w_{os.urandom(4).hex()}")
    await rig.store.open()
    try:
        yield rig
    finally:
        with anyio.CancelScope(shield=True):
            await rig.store.close()


async def again(rig: Rig, held: Held | None) -> Held | None:
    """Advance once more at the due time."""
    assert held is not None
    rig.clock.advance(max(0.0, held.due - rig.clock.boot()))
    return await rig.stepper.advance(held)


async def lose(rig: Rig, **overrides: Any) -> Job:
    """Return a job whose answer was lost."""
    before, rig.adapter.submits = rig.adapter.submits, [ConnectionResetError()]
    job = await rig.add(**overrides)
    assert await rig.stepper.advance(await rig.claim()) is None
    rig.adapter.submits = before
    rig.adapter.sent.clear()
    return await rig.job(job)


def failing(times: int, error: Exception, real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return a method that raises so many times before it is the real one."""
    left = [times]

    async def call(*args: Any, **kwargs: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise error
        return await real(*args, **kwargs)

    return call


def embedded_of(rig: Rig, linger: Linger | None = None) -> Embedded:
    """Return the scheduler of the rig's process."""
    presence = Presence(rig.folder / "home" / "workers", rig.kit.owner, accounts=rig.kit.accounts.all())
    return Embedded(stepper=rig.stepper, presence=presence, linger=linger)


@asynccontextmanager
async def moving(rig: Rig, linger: Linger | None = None) -> AsyncGenerator[Embedded]:
    """Move jobs forward until the block ends."""
    embedded = embedded_of(rig, linger)
    with anyio.fail_after(LIMIT_S):
        async with anyio.create_task_group() as tasks:
            await tasks.start(embedded.run)
            yield embedded
            tasks.cancel_scope.cancel()


async def until(check: Callable[[], Awaitable[Any]]) -> None:
    """Return once something holds that nobody announces."""
    with anyio.fail_after(LIMIT_S):
        while not await check():
            await anyio.lowlevel.checkpoint()
