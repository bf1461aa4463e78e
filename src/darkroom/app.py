"""The composition root: the only file that knows all parts."""

import contextlib
import hmac
import logging
import os
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import anyio
import anyio.abc
import anyio.to_thread

from darkroom.adapters.registry import Registry, adapter_names
from darkroom.artifacts.inputs import LocalInputs
from darkroom.artifacts.local import LocalArtifacts
from darkroom.catalog.accounts import Accounts
from darkroom.catalog.agents import agents
from darkroom.catalog.plans import PlanBook
from darkroom.catalog.providers import Provider, Providers, normal
from darkroom.catalog.skills import Skills
from darkroom.catalog.workflows import workflow_names, workflows
from darkroom.clock import Clock, SystemClock
from darkroom.domain.job import Event, Job, LedgerRow
from darkroom.domain.names import did_you_mean
from darkroom.domain.request import clip
from darkroom.domain.run import Awaits, Mode, Run, RunState
from darkroom.domain.sampling import Sampler
from darkroom.errors import StorageError, StorageUnwritable
from darkroom.events import Bus, Watch
from darkroom.llm.kit import LoopKit
from darkroom.llm.loop import Loop
from darkroom.net.client import ShardedClient
from darkroom.net.download import Downloader
from darkroom.net.guard import Guard
from darkroom.net.listed import ListedHttp, Listing
from darkroom.net.provider import ProviderHttp
from darkroom.runtime.callbacks import Callbacks
from darkroom.runtime.embedded import Embedded
from darkroom.runtime.health import Health
from darkroom.runtime.kit import Kit
from darkroom.runtime.linger import Linger, lingered, start_worker
from darkroom.runtime.liveness import Presence
from darkroom.runtime.runs import Later, RunScheduler, Thinker
from darkroom.runtime.step import Stepper
from darkroom.runtime.unknown import Operator
from darkroom.runtime.workflow import Workflows as WorkflowRuns
from darkroom.services.agents import AgentCatalogue
from darkroom.services.callbacks import CallbackBook
from darkroom.services.caps import Caps
from darkroom.services.chat_models import ChatModels
from darkroom.services.estimates import Estimates
from darkroom.services.generation import Generation
from darkroom.services.jobs import Jobs
from darkroom.services.odd_names import odd_names
from darkroom.services.pricing import Pricing
from darkroom.services.runs import Runs
from darkroom.services.sessions import Sessions
from darkroom.services.skills import SkillLibrary
from darkroom.services.starts import Starts
from darkroom.services.tokens import TokenBook
from darkroom.services.usage import UsageBook
from darkroom.services.work_prices import WorkPrices
from darkroom.services.workflows import WorkflowLibrary
from darkroom.settings import PREFIX, Settings, known_variables, secrets_of
from darkroom.store.run_base import RunChange
from darkroom.store.sqlite import SqliteStore
from darkroom.store.sqlite.pace import SqlitePace

if TYPE_CHECKING:
    from darkroom.llm.handoff import HandOff

log = logging.getLogger(__name__)


class App:
    """All parts, wired; `running` opens the store and moves jobs forward."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None, lingers: bool = False) -> None:
        self.settings = settings
        self.lingers = lingers
        """Whether this is the process that goes on when hosts close theirs."""
        self.clock = clock or SystemClock()
        self.bus = Bus()
        self.providers = Providers(settings.providers_dir, adapter_names())
        self.store = SqliteStore(settings.database, self.bus, self.clock)
        self.tokens = TokenBook(self.store.tokens, self.clock)
        self.artifacts = LocalArtifacts(
            home=settings.home, output_dir=settings.outputs, allowed_output_dirs=settings.allowed_output_dirs
        )
        self.client = ShardedClient(self.clock)
        self.guard = Guard(self.client)
        self.health = Health(self.clock)
        self.inputs = LocalInputs(home=settings.home, allowed_dirs=self._input_dirs(), guard=self.guard)
        self.adapters = Registry(self.providers, self._http)
        self.jobs = Jobs(self.store, self.bus, self.clock)
        self.generation = Generation(
            store=self.store,
            artifacts=self.artifacts,
            inputs=self.inputs,
            providers=self.providers,
            accounts=self.accounts,
            settings=settings,
            clock=self.clock,
            adapters=adapter_names(),
            resting=self.health.resting,
            plan_of=lambda principal: self.plans.of(settings, principal),
            run_of=self.store.runs.get,
        )
        self.plans = PlanBook(settings.plans_file, lambda: self.providers, self.tokens.plan_of)
        self.pricing = Pricing(self.providers, self.accounts, settings, self.clock, adapter_names())
        self.estimates = Estimates(self.pricing, self.plans, self.store, settings)
        self.agents = AgentCatalogue(agents, self.pricing)
        self.skill_files = Skills(settings.skills_dir)
        self.skills = SkillLibrary(self.skill_files, self.agents)
        self.pace = SqlitePace(settings.home / "pace.sqlite3", self.clock, settings.rate_limit)
        self.usage = UsageBook(self.store, settings, lambda: self.plans, self.clock)
        self.chat_models = ChatModels(
            providers=self.providers, accounts=self.accounts, settings=settings, clock=self.clock
        )
        self.workflows = WorkflowLibrary(workflows, self.agents, self.skills)
        self.sessions = Sessions(self.store.runs)
        self.callbacks = CallbackBook(self.store.runs, self.bus, self.clock)
        self.runs = Runs(
            store=self.store.runs,
            jobs=self.jobs,
            sessions=self.sessions,
            agents=self.agents,
            workflows=self.workflows,
            prices=WorkPrices(self.generation.routes, settings),
            models=self.chat_models,
            settings=settings,
            plan_of=lambda principal: self.plans.of(settings, principal),
            bus=self.bus,
            clock=self.clock,
        )
        self.starts = Starts(
            store=self.store.runs,
            generation=self.generation,
            runs=self.runs,
            workflows=self.workflows,
            models=self.chat_models,
        )
        self.loop = Loop(self._loop_kit())
        self.courier = self._courier()
        self._accounts: Accounts | None = None
        self.embedded: Embedded | None = None
        self.presence: Presence | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._opened = False
        self._advancing = False
        self._telling = False
        self._opening = anyio.Lock()
        self.closed = anyio.Event()
        """Set once everything is given back."""

    def _courier(self) -> Callbacks:
        secret = self.settings.callback_secret
        return Callbacks(
            outbox=self.store.runs,
            jobs=self.store,
            http=ListedHttp(self.client, Listing(self.settings.callback_hosts)),
            clock=self.clock,
            bus=self.bus,
            secret=lambda: secret.get_secret_value() if secret else None,
        )

    def _loop_kit(self) -> LoopKit:
        return LoopKit(
            runs=self.store.runs,
            clock=self.clock,
            caps=Caps(self.settings),
            models=self.chat_models,
            accounts=self.accounts,
            http=self._http,
            agents=self.agents,
            generation=self.generation,
            jobs=self.jobs,
            estimates=self.estimates,
            skills=self.skills,
        )

    def hand_off(self) -> "HandOff":
        """Return who assembles briefs; reads files."""
        from darkroom.llm.handoff import HandOff  # with its readers, which only a brief needs

        names = workflow_names()
        return HandOff(
            agents=self.agents,
            skills=self.skills,
            routes=self.generation.routes,
            settings=self.settings,
            workflows=names,
        )

    def has_adapter(self, provider: Provider) -> bool:
        """Return whether this version can speak to a provider."""
        return provider.adapter_name in adapter_names()

    def accounts(self) -> Accounts:
        """Return the credentials of this process."""
        if self._accounts is None:
            self._accounts = Accounts(self.providers, secrets_of(self.settings.home), _account_key(self.settings.home))
        return self._accounts

    def _read_files(self) -> Accounts:
        """Read manifests and credentials, once, so that nothing reads a file on the event loop later; blocks."""
        accounts = self.accounts()
        accounts.ready()
        return accounts

    @asynccontextmanager
    async def running(self, *, advance: bool = True) -> AsyncGenerator[Self]:
        """Run until the block ends: jobs left unfinished are taken up at once, and given back at the end.

        A store that cannot be opened does not end the program; `ready` raises its error for every call.
        """
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                if advance:
                    tasks.start_soon(self._open_quietly)
                yield self
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                self._tasks, self._opened, self._telling = None, False, False
                await self.adapters.aclose()
                await self.client.aclose()
                await self.store.close()
                self.pace.close()
                self.closed.set()

    async def _open_quietly(self) -> None:
        try:
            await self.ready()
        except StorageError as exc:
            log.error("%s", exc.message)  # noqa: TRY400 because the trace says nothing more

    async def ready(self) -> None:
        """Return once jobs can be stored and are being advanced; every call tries again what failed before.

        Raises:
            StorageError: If the store cannot be opened.
        """
        async with self._opening:
            await self.opened()
            if not self._advancing and self._tasks is not None:
                await self._tasks.start(self._advance)
            if not self._telling and self._tasks is not None:
                self._telling = True
                self._tasks.start_soon(self.courier.run)

    async def opened(self) -> None:
        """Return once the store is open, without advancing jobs.

        Raises:
            StorageError: If it cannot be opened.
        """
        if not self._opened:
            await self.store.open()
            await anyio.to_thread.run_sync(self.plans.read)
            self._opened = True

    async def intact(self) -> None:
        """Make sure that the file of the jobs is still there and whole.

        Raises:
            StorageError: If it is not.
        """
        await self.store.intact()

    async def _advance(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Move jobs forward until the program ends, and start again after a failure of the store."""
        kit = await self._kit(f"w_{secrets.token_hex(8)}")
        presence = Presence(self.settings.workers_dir, kit.owner, lingers=self.lingers, accounts=kit.accounts.all())
        embedded = Embedded(
            stepper=Stepper(kit),
            presence=presence,
            linger=self._linger(kit, presence),
            runs=self._scheduler(kit.owner),
        )
        self._advancing = True
        self.embedded, self.presence = embedded, presence
        try:
            await embedded.run(task_status=task_status)
        except StorageError:
            raise  # only before it started: the caller of `ready` hears of it
        except Exception as exc:
            log.exception("jobs are not being advanced; the next call starts that again")
            if not embedded.started:
                raise StorageUnwritable(f"Jobs cannot be advanced: {type(exc).__name__}.") from exc
        finally:
            self._advancing = False

    async def _kit(self, owner: str) -> Kit:
        return Kit(
            store=self.store,
            adapters=self.adapters,
            artifacts=self.artifacts,
            inputs=self.inputs,
            providers=self.providers,
            accounts=await anyio.to_thread.run_sync(self._read_files),
            clock=self.clock,
            bus=self.bus,
            owner=owner,
            fetcher=Downloader(self.client, self.clock, guard=self.guard),
            health=self.health,
            rerouter=self.generation,
            embed_metadata=self.settings.embed_metadata,
        )

    def _handing(self) -> Thinker:
        from darkroom.llm.hand_over import HandOver

        return HandOver(
            store=self.store.runs,
            jobs=self.store,
            agents=self.agents,
            hand_off=self.hand_off,
            starter=self.starts,
            clock=self.clock,
        )

    def _scheduler(self, owner: str) -> RunScheduler:
        steps = WorkflowRuns(runs=self.store.runs, jobs=self.store, starts=self.starts, clock=self.clock)
        thinkers: dict[Mode, Thinker] = {
            Mode.HAND_OFF: Later(self._handing),
            Mode.STEPS: steps,
            Mode.LOOP: self.loop,
            Mode.CLIENT: self.loop,  # which puts it by until its client calls
        }
        return RunScheduler(store=self.store.runs, thinkers=thinkers, bus=self.bus, clock=self.clock, owner=owner)

    async def sampled(self, run: Run, sampler: Sampler) -> Run:
        """Advance a run whose thinking is the client's, until it ends, waits or needs the client again.

        Raises:
            StorageError: If runs cannot be advanced.
        """
        await self.ready()
        owner = self.presence.id if self.presence else ""
        taken = await self.store.runs.take(run.id, owner, Awaits.CLIENT, self.clock.now())
        if taken is not None:
            try:
                await self.loop.think(taken, owner, sampler=sampler)
            except BaseException:  # most of all a call that its client broke off
                with anyio.CancelScope(shield=True):
                    await self._put_by(taken.id, owner)
                raise
        return await self.runs.get(run.id, run.principal)

    async def _put_by(self, run_id: str, owner: str) -> None:
        """Let a run wait for its client again: nobody else may take what this process holds."""
        try:
            run = await self.store.runs.get(run_id)
            if run is not None and run.owner == owner:
                work = {**run.work, "asking": False}
                change = RunChange(self.clock.now(), target=RunState.WAITING, awaits=Awaits.CLIENT, work=work)
                await self.store.runs.save(run, owner, change)
        except StorageError as exc:
            log.warning("run %s could not be given back: %s", run_id, exc.message)

    async def program(self) -> Self:
        """Return itself, as what a server answers from that was loaded whole."""
        return self

    async def secret(self, purpose: str) -> bytes:
        """Return 32 secret bytes that this installation keeps for a purpose.

        Raises:
            StorageError: If they cannot be kept.
        """
        key = await anyio.to_thread.run_sync(_account_key, self.settings.home)
        return hmac.digest(key, purpose.encode(), "sha256")

    def brief_text(self, brief: dict[str, Any], shown: Callable[[Mapping[str, Any]], str] | None = None) -> str:
        """Return a brief in words; `shown` writes its calls."""
        from darkroom.llm.handoff_text import as_call, text

        return text(brief, shown or as_call)

    def stop_waiting(self) -> None:
        """Have every call that waits answer at once with how things stand: the process is about to end."""
        self.bus.stop()

    def changes(self) -> contextlib.AbstractContextManager[Watch]:
        """Watch whatever moves, in this process or another, until the block ends."""
        return self.bus.watch_all()

    async def run_history(self, run: Run) -> tuple[list[dict[str, Any]], list[LedgerRow]]:
        """Return the moves of a run and the ledger rows of its own calls."""
        return await self.store.runs.history(run.id), await self.store.runs.ledger(run.id)

    def _linger(self, kit: Kit, presence: Presence) -> Linger | None:
        """Return who sees to a lingering worker; None where none is wanted, and in that worker itself."""
        if self.lingers or not self.settings.linger:
            return None
        log_file = self.settings.home / "linger.log"
        return Linger(
            store=self.store,
            clock=self.clock,
            presence=presence,
            start=partial(start_worker, log_file),
            accounts=kit.accounts.all,
        )

    async def linger(self) -> None:
        """Go on with whatever is unfinished until there is nothing more to do, or for as long as the settings allow.

        Raises:
            StorageError: If the store cannot be opened.
        """
        await self.ready()
        if self.embedded is not None and self.presence is not None:
            await lingered(self.embedded, self.store, self.presence, self.clock, self.settings.linger * 60)

    async def operator(self) -> Operator:
        """Return who takes a person's word for what became of a lost answer."""
        return Operator(await self._kit("operator"))

    def _http(self, provider: Provider) -> ProviderHttp:
        accounts = self.accounts()
        return ProviderHttp(self.client, provider, accounts.base_url(provider), tuple(accounts.secrets()), self.guard)

    async def history(self, job: Job) -> tuple[list[Event], list[LedgerRow]]:
        """Return the moves and the ledger rows of a job."""
        return await self.store.events(job.id), await self.store.ledger(job.id)

    def warnings(self) -> list[str]:
        """Return what is odd about the settings and the user's own manifests."""
        found = odd_names(known_variables() | self.providers.variables())
        found += [*self._offer_warnings(), *self.providers.problems, *self._plan_warnings()]
        if self.settings.skills_dir is not None:
            self.skill_files.current()
        return [*found, *self.skill_files.problems]

    def _offer_warnings(self) -> list[str]:
        """Say which offers of the settings there are not, and which prices are past their end."""
        offers = [item.name for item in self.pricing.offers(ended=True)]
        known = {normal(name) for name in (*offers, *self.providers)}
        named = [("PREFER", name, [*self.providers]) for name in self.settings.prefer if name not in self.providers]
        named += [
            ("ENABLE", name, [*offers, *self.providers]) for name in self.settings.enable if normal(name) not in known
        ]
        found = [
            f"{PREFIX}{setting} names {clip(name)!r}, and there is no such "
            f"{'provider' if setting == 'PREFER' else 'offer or provider'}.{did_you_mean(name, names)}"
            for setting, name, names in named
        ]
        return [*found, *self.pricing.lapsed()]

    def _plan_warnings(self) -> list[str]:
        return [*self.plans.warnings(self.settings), *self.plans.plans.warnings()]

    def _input_dirs(self) -> tuple[Path, ...]:
        home = Path("~").expanduser()
        usual = tuple(home / name for name in ("Pictures", "Downloads", "Desktop"))
        return (self.settings.outputs, *self.settings.allowed_output_dirs, *usual, *self.settings.allowed_input_dirs)


def _account_key(home: Path) -> bytes:
    """Return the key of this installation's account hashes, made on first use; blocks.

    Raises:
        StorageUnwritable: If it cannot be kept.
    """
    path, fresh = home / "account.key", home / f"account.{secrets.token_hex(8)}"
    try:
        if not path.exists():
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
                out.write(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):  # another process was quicker: its key holds
                path.hardlink_to(fresh)
            fresh.unlink()
        return path.read_bytes()
    except OSError as exc:
        raise StorageUnwritable(
            f"{path} cannot be used: {exc.strerror}.",
            hint="Nothing was stored. Make the folder writable, or set DARKROOM_HOME to another.",
        ) from exc
