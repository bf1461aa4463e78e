"""One darkroom process of the proofs: started, killed, paused and restarted by them, over a real file and real sockets.

It is composed like the program itself, with a short lease, so that a paused process is soon taken for dead.
"""

import base64
import hashlib
import os
import random
import signal
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from darkroom.adapters import google_tokens, vertex
from darkroom.adapters.registry import Registry
from darkroom.artifacts.inputs import LocalInputs
from darkroom.artifacts.local import LocalArtifacts
from darkroom.catalog.accounts import Accounts
from darkroom.catalog.providers import Provider
from darkroom.clock import SystemClock
from darkroom.domain.job import ENDED, Job, LedgerKind, LedgerRow, State, Submission, new_id
from darkroom.domain.kinds import Kind, Mode, Role
from darkroom.domain.money import MicroUsd
from darkroom.domain.request import Earlier, Effective, ImageRequest, MediaInput, VideoRequest
from darkroom.events import Bus
from darkroom.net.client import ShardedClient
from darkroom.net.download import Downloader
from darkroom.net.guard import Guard
from darkroom.net.provider import ProviderHttp
from darkroom.runtime import embedded as loop
from darkroom.runtime import unknown
from darkroom.runtime.embedded import Embedded
from darkroom.runtime.health import Health
from darkroom.runtime.held import Held
from darkroom.runtime.kit import Kit
from darkroom.runtime.liveness import Presence
from darkroom.runtime.step import Stepper
from darkroom.store.sqlite import SqliteStore
from fake_provider.engine import KEY, sketch
from fake_provider.install import install

PRICE = MicroUsd(40_000)
CRASHED = 99
"""How a process ends that ended itself at a boundary."""
ASKED_FOR_MS = 3_000
"""How long a process goes on asking about a lost answer."""
PATIENCE_S = 90.0
"""How long nothing may come to rest before what is left counts as stuck."""


@dataclass(frozen=True)
class Wanted:
    """One submission of one job: its prompt names it to the provider and to the checker."""

    prompt: str
    provider: str = "fake"
    model: str = "fake-image"
    n: int = 1
    mode: Mode = Mode.TEXT_TO_IMAGE
    picture: Role | None = None
    """What the picture is for that goes in; None: there is none."""
    goes_on: bool = False
    """Whether it is the next turn after the newest result of its offer, where there is one."""


@dataclass(frozen=True)
class Config:
    """How a process is to behave."""

    folder: Path
    providers: dict[str, dict[str, Any]]
    """Manifests by id."""
    environment: dict[str, str] = field(default_factory=dict[str, str])
    """Credentials and base URLs; without them the credential is the fake provider's."""
    jobs: tuple[tuple[Wanted, ...], ...] = ()
    """What it adds at its start, each entry one job with so many submissions."""
    stream: tuple[Wanted, ...] = ()
    """What it adds little by little, one job each, from where the last process left off."""
    pause_s: float = 0.1
    lease_s: float = 15.0
    crash_at: int = 0
    """The boundary at which it ends itself, counted from 1; 0 = none."""
    crash_before: bool = False
    """Whether it ends there as soon as it waits, instead of when it has what it waited for."""
    stop_before_call: bool = False
    """Whether it pauses itself between an intent and its call."""
    blind: bool = False
    """Whether it sends again what became unknown: the fault that the proofs must see."""
    until_done: bool = True
    report: Path | None = None
    """Where it writes how many boundaries it passed."""


@dataclass
class Boundaries:
    """Counts the points at which a move gives up control and gets it back, and ends the process at one of them."""

    crash_at: int
    crash_before: bool
    passed: int = 0

    def waits(self) -> int:
        """Count one and return its number, since another move may wait before this one goes on."""
        self.passed += 1
        self._end(self.passed, self.crash_before)
        return self.passed

    def goes_on(self, number: int) -> None:
        """Go on after the one of this number."""
        self._end(number, not self.crash_before)

    def _end(self, number: int, here: bool) -> None:
        if here and number == self.crash_at:
            os._exit(CRASHED)


class Counted:
    """An awaitable that counts every boundary of the one inside it, before and after each suspension."""

    def __init__(self, inner: Any, boundaries: Boundaries) -> None:
        self._inner = inner
        self._boundaries = boundaries

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._inner.__await__()
        send: Any = None
        thrown: BaseException | None = None
        while True:
            try:
                waited = steps.send(send) if thrown is None else steps.throw(thrown)
            except StopIteration as end:
                return end.value
            number = self._boundaries.waits()
            send = thrown = None
            try:
                send = yield waited
            except BaseException as exc:  # because the inner one is to have it
                thrown = exc
            self._boundaries.goes_on(number)


class CountedStepper(Stepper):
    """A stepper whose every move is counted."""

    def __init__(self, kit: Kit, boundaries: Boundaries) -> None:
        super().__init__(kit)
        self._boundaries = boundaries

    async def advance(self, held: Held) -> Held | None:
        """Make one move, counted."""
        return await Counted(super().advance(held), self._boundaries)


def effective_of(part: Wanted, start: int = 0, follows: Earlier | None = None) -> Effective:
    """Return what one submission asks for."""
    inputs: tuple[MediaInput, ...] = ()
    if part.picture is not None:
        sha256 = hashlib.sha256(sketch(part.prompt)).hexdigest()
        inputs = (MediaInput(src=f"input:{sha256}", role=part.picture, sha256=sha256, media_type="image/png"),)
    return Effective(
        kind=part.mode.kind,
        mode=part.mode,
        prompt=part.prompt,
        n=part.n,
        start=start,
        width=64,
        height=48,
        aspect_ratio="4:3",
        duration=5.0 if part.mode.kind is Kind.VIDEO else None,
        inputs=inputs,
        follows=follows,
    )


def job_of(
    parts: tuple[Wanted, ...],
    accounts: Accounts,
    providers: dict[str, Provider],
    now: int,
    follows: Earlier | None = None,
) -> Job:
    """Return a job with one submission for each of these, which all go on with the same result."""
    job_id = new_id("job", now)
    submissions: list[Submission] = []
    total = sum(part.n for part in parts)
    for idx, part in enumerate(parts):
        provider = providers[part.provider]
        offer = provider.offer(part.model)
        assert offer is not None
        submissions.append(
            Submission(
                job_id=job_id,
                idx=idx,
                provider=provider.id,
                model=offer.model,
                effective=effective_of(part, sum(other.n for other in parts[:idx]), follows),
                synchronous=offer.synchronous,
                account=accounts.account(provider),
                due_at=now,
                estimate=MicroUsd(PRICE * part.n),
            )
        )
    mode = parts[0].mode
    request = (ImageRequest if mode.kind is Kind.IMAGE else VideoRequest)(prompt=parts[0].prompt, n=total)
    return Job(
        id=job_id,
        principal="local",
        kind=mode.kind,
        mode=mode,
        request=request,
        request_hash=parts[0].prompt,
        created_at=now,
        updated_at=now,
        submissions=tuple(submissions),
    )


def reserved(job: Job) -> list[LedgerRow]:
    """Return what is reserved for a job."""
    return [
        LedgerRow(
            job_id=job.id,
            submission=part.idx,
            kind=LedgerKind.RESERVED,
            micro_usd=part.estimate or PRICE,
            at=job.created_at,
        )
        for part in job.submissions
    ]


class Process:
    """The parts of one process, wired."""

    def __init__(self, config: Config) -> None:
        install()
        self.config = config
        self.clock = SystemClock()
        self.bus = Bus()
        home = config.folder / "home"
        self.providers = {name: Provider.model_validate(data) for name, data in config.providers.items()}
        keys = {names[0]: KEY for provider in self.providers.values() for names in provider.credentials}
        self.accounts = Accounts(self.providers, config.environment or keys, b"key")
        self.began = self.clock.now()
        self.client = ShardedClient(self.clock)
        self.store = SqliteStore(home / "darkroom.sqlite3", self.bus, self.clock)
        self.kit = Kit(
            store=self.store,
            adapters=Registry(self.providers, self._http),
            artifacts=LocalArtifacts(home=home, output_dir=config.folder / "out", allowed_output_dirs=()),
            inputs=LocalInputs(home=home, allowed_dirs=(), guard=Guard(self.client)),
            providers=self.providers,
            accounts=self.accounts,
            clock=self.clock,
            bus=self.bus,
            owner=f"w_{os.urandom(4).hex()}",
            fetcher=Downloader(self.client, self.clock),
            health=Health(self.clock),
        )
        self.boundaries = Boundaries(config.crash_at, config.crash_before)
        presence = Presence(home / "workers", self.kit.owner, lease_s=config.lease_s, accounts=self.accounts.all())
        self.embedded = Embedded(stepper=CountedStepper(self.kit, self.boundaries), presence=presence)

    def _http(self, provider: Provider) -> ProviderHttp:
        return ProviderHttp(self.client, provider, self.accounts.base_url(provider))

    async def run(self) -> None:
        """Add what is to be added and move everything forward."""
        _hurry()
        if moved := self.config.environment.get("DARKROOM_VERTEX_BASE_URL"):
            vertex.STORAGE = f"{moved}/storage"
        if self.config.stop_before_call:
            self._stop_before_call()
        if self.config.blind:
            _send_again(self.store)
        await self.store.open()
        try:
            await self._add()
            async with anyio.create_task_group() as tasks:
                await tasks.start(self.embedded.run)
                await self._stream()
                if self.config.until_done:
                    await self._done()
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self.client.aclose()
                await self.store.close()
        if self.config.report is not None:
            await anyio.Path(self.config.report).write_text(str(self.boundaries.passed), encoding="ascii")

    async def _add(self) -> None:
        if await self.store.find(limit=1):
            return
        for parts in self.config.jobs:
            await self._take(parts)
            job = job_of(parts, self.accounts, self.providers, self.clock.now())
            await self.store.add(job, reserved(job))

    async def _stream(self) -> None:
        """Add job after job; what was added before by a process of the same name is not added again."""
        known = await anyio.to_thread.run_sync(self._acknowledged)
        for wanted in (wanted for wanted in self.config.stream if wanted.prompt not in known):
            await self._take((wanted,))
            follows = await self._newest(wanted) if wanted.goes_on else None
            job = job_of((wanted,), self.accounts, self.providers, self.clock.now(), follows)
            added = await self.store.add(job.model_copy(update={"idempotency_key": wanted.prompt}), reserved(job))
            if added.created:
                await anyio.to_thread.run_sync(self._acknowledge, wanted.prompt)
                await anyio.sleep(self.config.pause_s * random.uniform(0.5, 1.5))

    async def _newest(self, wanted: Wanted) -> Earlier | None:
        """Return the newest result of an offer; None where there is none yet."""
        for job in await self.store.find(states=(State.SUCCEEDED,), limit=50):
            part = job.submissions[0]
            if (part.provider, part.model) == (wanted.provider, wanted.model):
                return Earlier(job_id=job.id, submission=0, offer=f"{part.provider}/{part.model}", account=part.account)
        return None

    async def _take(self, parts: tuple[Wanted, ...]) -> None:
        """Keep the pictures that go in, as is done before a job is stored."""
        for part in parts:
            if part.picture is not None and not self._is_kept(part):
                data = base64.b64encode(sketch(part.prompt)).decode()
                await self.kit.inputs.take(f"data:image/png;base64,{data}", local=True)

    def _is_kept(self, part: Wanted) -> bool:
        name = f"{hashlib.sha256(sketch(part.prompt)).hexdigest()}.png"
        return (self.config.folder / "home" / "inputs" / name).exists()

    def _acknowledged(self) -> set[str]:
        """Return what is known to be stored: the last one before a kill may be so too, without a word of it."""
        path = self.config.folder / "acknowledged.txt"
        return set(path.read_text(encoding="utf-8").split()) if path.exists() else set()

    def _acknowledge(self, prompt: str) -> None:
        with (self.config.folder / "acknowledged.txt").open("a", encoding="utf-8") as file:
            file.write(f"{prompt}\n")

    async def _done(self) -> None:
        """Return once nothing moves any more, or what does comes to no end; the checker finds that."""
        before, until = 0, anyio.current_time() + PATIENCE_S
        while anyio.current_time() < until:
            parts = [part for job in await self.store.find(limit=10_000) for part in job.submissions]
            resting = sum(map(self._rests, parts))
            if resting == len(parts):
                return
            if resting > before:
                before, until = resting, anyio.current_time() + PATIENCE_S
            await anyio.sleep(0.02)

    def _rests(self, part: Submission) -> bool:
        """Return whether nothing more can come of a submission by itself.

        Of a lost answer, nothing where the provider offers no way to ask, or was asked for long and never had it.
        """
        if part.state is not State.SUBMIT_UNKNOWN:
            return part.state in ENDED
        provider = self.providers[part.provider]
        if provider.idempotency != "none":
            return False
        return provider.lookup == "none" or self.clock.now() - max(part.sent_at or 0, self.began) > ASKED_FOR_MS

    def _stop_before_call(self) -> None:
        intend = self.store.intend

        async def stopping(*args: Any, **kwargs: Any) -> Submission | None:
            sent = await intend(*args, **kwargs)
            if sent is not None:
                os.kill(os.getpid(), signal.SIGSTOP)
            return sent

        self.store.intend = stopping  # pyright: ignore[reportAttributeAccessIssue] because tests replace methods


def _hurry() -> None:
    """Let every watch of the process look often, as its lease is short too."""
    loop.SCAN_S = 0.1
    loop.WATCH_S = 0.1
    unknown.PAUSES_S = (0.1, 0.2, 0.3)
    google_tokens.NEW_MS = -(10**6)  # a token lives for some calls here, and must count as old when it is refused


def _send_again(store: SqliteStore) -> None:
    """Make the process send again what became unknown: wrong on purpose."""
    reap = store.reap

    async def blind(worker_ids: Any, at: int) -> list[str]:
        touched = await reap(worker_ids, at)
        writer = store._writer  # pyright: ignore[reportPrivateUsage] because no proper way leads there
        assert writer is not None
        sql = """UPDATE submissions SET state = 'queued', version = version + 1, error = NULL
                 WHERE state = 'submit_unknown'"""
        await writer.run(lambda db: db.execute(sql).rowcount)
        return touched

    store.reap = blind  # pyright: ignore[reportAttributeAccessIssue] because tests replace methods


def main(config: Config) -> None:
    """Run one process to its end."""
    os.setpgid(0, 0)
    anyio.run(Process(config).run)
