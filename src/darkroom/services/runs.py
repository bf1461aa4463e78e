"""From a task to a stored run; reading, answering, awaiting and stopping runs."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio.to_thread
from pydantic import JsonValue

from darkroom.catalog.agents import Agent
from darkroom.catalog.providers import normal
from darkroom.clock import Clock
from darkroom.domain.job import Job, new_id
from darkroom.domain.names import VERY_ALIKE, did_you_mean
from darkroom.domain.request import clip
from darkroom.domain.run import Awaits, Message, Mode, Run, RunKind, RunState, Session
from darkroom.errors import BudgetExceeded, InvalidRequest, MoneyError, UnknownJob
from darkroom.events import Bus
from darkroom.services.agents import AgentCatalogue
from darkroom.services.callbacks import wished
from darkroom.services.caps import Terms
from darkroom.services.chat_models import CLIENT, OFF, USUAL, ChatChoice, ChatModels
from darkroom.services.intents import read
from darkroom.services.jobs import Jobs, at_rest
from darkroom.services.sessions import Sessions
from darkroom.services.tasks import NOTHING, Task, cap_notes, capped, check, read_history, task_hash
from darkroom.services.waiting import wait_until
from darkroom.services.work_prices import WorkPrice, WorkPrices
from darkroom.services.workflows import WorkflowLibrary
from darkroom.settings import Settings
from darkroom.store.run_base import RunCost, RunStore

MOST_ANSWER = 20_000
TITLE = 80
DEADLINE_MS = {RunKind.AGENT: 2 * 3_600_000, RunKind.WORKFLOW: 12 * 3_600_000}
"""How long a run may take, its waiting for jobs and answers apart where nobody can speed that up."""
RUN = "run_"
Thing = Job | Run


@dataclass(frozen=True, slots=True)
class StartedRun:
    """The stored run, whether this call made it, and what a workflow would cost in all."""

    run: Run
    created: bool
    price: WorkPrice | None = None


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run that is not stored, and what it would cost."""

    run: Run
    price: WorkPrice | None
    """Of the pictures and clips that are known before; None where a language model decides on them."""
    obstacle: str | None
    """Why the same call without `dry_run` would be refused."""


@dataclass(frozen=True, slots=True)
class Thinking:
    """Who does the thinking of a run."""

    mode: Mode
    model: str | None = None
    """`provider/model` where it is one that we call."""
    choice: ChatChoice | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A workflow made ready: its name, what its run begins with, its price, and what will not be as the task says."""

    name: str
    work: dict[str, Any]
    price: WorkPrice | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Begun:
    """A run that is not stored yet, with the session that begins with it, its workflow, and the model that thinks."""

    run: Run
    session: Session | None
    prepared: Prepared | None
    choice: ChatChoice | None


class Runs:
    """What callers may do with runs."""

    def __init__(
        self,
        *,
        store: RunStore,
        jobs: Jobs,
        sessions: Sessions,
        agents: AgentCatalogue,
        workflows: WorkflowLibrary,
        prices: WorkPrices,
        models: ChatModels,
        settings: Settings,
        plan_of: Callable[[str], str],
        bus: Bus,
        clock: Clock,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._sessions = sessions
        self._agents = agents
        self._workflows = workflows
        self._prices = prices
        self._models = models
        self._settings = settings
        self._plan_of = plan_of
        self._bus = bus
        self._clock = clock

    # ------------------------------------------------------------------ starting

    async def start(self, task: Task, terms: Terms, *, can_sample: bool = False) -> StartedRun:
        """Store a run for the task, or return that of an equal call.

        Args:
            task: What is to be done.
            terms: What the call says about itself.
            can_sample: Whether the caller's own model can do the thinking.

        Raises:
            InvalidRequest: If there is no such agent, session or workflow, or something is too long; nothing is stored.
            UnknownModel: If there is no such model.
            NotConfigured: If the named model lacks its key.
            BudgetExceeded: If all of a workflow would cost more than the cap, or than may be spent without a word.
            PriceUnknown: If there is any cap or budget, and the model has no price.
        """
        check(task)
        terms = capped(task, terms)
        begun = await self._begun(task, terms, can_sample=can_sample)
        run, session, prepared = begun.run, begun.session, begun.prepared
        try:
            run = self._warned(begun, terms)
            if prepared and prepared.price:
                self._prices.check(prepared.price, prepared.name, terms)
        except MoneyError:
            # A repeated call brings its first run, which was agreed to already, however much may be spent by now.
            earlier = await self._store.equal(run, again=terms.again, session=session)
            if earlier is None:
                raise
            return StartedRun(earlier, created=False)
        callback = None
        if task.callback_url:
            wish = wished(task.callback_url, task.context.get("invocation_id"), self._settings)
            callback = wish.callback(run.id, terms.principal, run.created_at)
        added = await self._store.add(run, again=terms.again, session=session, callback=callback, alone=True)
        return StartedRun(added.run, added.created, prepared.price if prepared else None)

    async def plan(self, task: Task, terms: Terms, *, can_sample: bool = False) -> RunPlan:
        """Return what `start` would store, and what it would cost; nothing is stored.

        Raises:
            InvalidRequest, UnknownModel, NotConfigured, PriceUnknown: As `start`.
        """
        check(task)
        terms = capped(task, terms)
        begun = await self._begun(task, terms, can_sample=can_sample)
        run, prepared = self._warned(begun, terms), begun.prepared
        price = prepared.price if prepared else await anyio.to_thread.run_sync(self._wished, run, terms)
        obstacle = None
        try:
            if price:
                self._prices.check(price, run.workflow or "It", replace(terms, dry_run=False))
        except BudgetExceeded as exc:
            obstacle = f"{exc.message} {exc.hint}"
        return RunPlan(run, price, obstacle)

    def _wished(self, run: Run, terms: Terms) -> WorkPrice | None:
        """Return the price of the one picture or clip that a message plainly asks for, where no model thinks."""
        intent = read(run.task) if run.mode is Mode.HAND_OFF and run.agent is None else None
        return self._prices.of_call(intent.tool, intent.arguments, terms) if intent else None

    def _warned(self, begun: Begun, terms: Terms) -> Run:
        """Return a run with what is to be said of the price of its model.

        Raises:
            PriceUnknown: If there is any cap or budget, and no price.
        """
        run = begun.run
        said = self._models.check(begun.choice, terms.principal, terms.max_cost) if begun.choice else ()
        return run.model_copy(update={"warnings": (*said, *run.warnings)})

    async def _begun(self, task: Task, terms: Terms, *, can_sample: bool) -> Begun:
        now, principal = self._clock.now(), terms.principal
        context = dict(task.context)
        history = read_history(context.pop("history", None) or context.pop("conversation_history", None))
        found = await anyio.to_thread.run_sync(self._prepared, task, context, terms)
        agent = found if isinstance(found, Agent) else None
        prepared = found if isinstance(found, Prepared) else None
        held = await self._session(task, principal, history)
        if agent is None and held is not None and held.agent is not None:
            agent = await anyio.to_thread.run_sync(self._agents.find, held.agent)
        tier = task.tier or (agent.tier if agent else None)
        by = await self._thinking(task, tier, terms, can_sample, prepared)
        session = None
        if held is None and prepared is None:
            session = held = Session(
                id=new_id("ses", now),
                principal=principal,
                agent=agent.id if agent else None,
                title=clip(task.task.strip(), TITLE),
                history=history,
                created_at=now,
                updated_at=now,
            )
        kind = RunKind.WORKFLOW if prepared else RunKind.AGENT
        run = Run(
            id=new_id("run", now),
            principal=principal,
            kind=kind,
            mode=by.mode,
            agent=agent.id if agent else None,
            workflow=prepared.name if prepared else None,
            task=task.task.strip(),
            context=context,
            tier=tier if prepared else tier or USUAL,  # the agents of a workflow have their own
            model=by.model,
            session_id=held.id if held else None,
            request_hash=task_hash(task),
            idempotency_key=terms.idempotency_key,
            max_cost=terms.max_cost,
            plan=self._plan_of(principal),
            state=RunState.WAITING if by.mode is Mode.CLIENT else RunState.QUEUED,
            awaits=Awaits.CLIENT if by.mode is Mode.CLIENT else None,
            work=prepared.work if prepared else {"cap_words": terms.cap_words} if terms.cap_words else {},
            warnings=(*cap_notes(task, terms), *(prepared.notes if prepared else ())),
            deadline_at=now + DEADLINE_MS[kind],
            created_at=now,
            updated_at=now,
        )
        return Begun(run, session, prepared, by.choice)

    def _prepared(self, task: Task, context: Mapping[str, JsonValue], terms: Terms) -> Agent | Prepared | None:
        """Return the agent or the workflow that is named; may read files."""
        if task.workflow is not None:
            flow = self._workflows.read(task.workflow)
            thinks = self._models.choose(task.tier, task.model) is not None
            begun = self._workflows.begin(flow, task.task, context, thinks=thinks)
            plan = self._workflows.plan(begun.work, thinks=thinks)
            notes = self._workflows.notes(begun.work, plan, thinks=thinks)
            return Prepared(flow.name, begun.work, self._prices.of_workflow(flow, plan, terms), notes)
        return self._agents.find(task.agent) if task.agent else None

    async def _thinking(
        self, task: Task, tier: str | None, terms: Terms, can_sample: bool, prepared: Prepared | None
    ) -> Thinking:
        """Return who does the thinking."""
        if prepared is not None:
            return Thinking(Mode.STEPS, task.model)
        named = normal(task.model) if task.model else None
        if named == CLIENT and not can_sample:
            raise InvalidRequest(
                "model 'client' is the caller's own model, and this client does not lend it (sampling).",
                field="model",
                hint=f"{NOTHING} Leave model out.",
            )
        if can_sample and (named == CLIENT or (named is None and self._models.client_first)):
            return Thinking(Mode.CLIENT)
        choice = await anyio.to_thread.run_sync(self._models.choose, tier, task.model, terms.principal)
        if choice is not None:
            return Thinking(Mode.LOOP, choice.name, choice)
        return Thinking(Mode.CLIENT if can_sample and named != OFF and not self._models.off else Mode.HAND_OFF)

    async def child(self, run: Run, agent: str, task: str, *, key: str, **more: Any) -> Run:
        """Store a run inside another, for one of its steps; `more` are context, returns and max_cost.

        Raises:
            InvalidRequest: If there is no such agent.
            UnknownModel: If there is no such model.
        """
        found = await anyio.to_thread.run_sync(self._agents.find, agent)
        tier = run.tier if run.kind is RunKind.WORKFLOW and run.tier else found.tier
        choice = await anyio.to_thread.run_sync(self._models.choose, tier, run.model, run.principal)
        now = self._clock.now()
        returns = more.get("returns")
        inner = Run(
            id=new_id("run", now),
            principal=run.principal,
            mode=Mode.LOOP if choice else Mode.HAND_OFF,
            agent=found.id,
            task=task,
            context=more.get("context") or {},
            tier=tier,
            model=choice.name if choice else None,
            parent_run_id=run.id,
            root_run_id=run.root,
            request_hash=hashlib.sha256(key.encode()).hexdigest(),
            idempotency_key=key,
            max_cost=more.get("max_cost"),
            root_max_cost=run.root_max_cost if run.root_run_id else run.max_cost,
            plan=run.plan,
            work={"returns": returns} if returns else {},
            deadline_at=now + DEADLINE_MS[RunKind.AGENT],
            created_at=now,
            updated_at=now,
        )
        return (await self._store.add(inner)).run

    async def _session(self, task: Task, principal: str, history: tuple[Message, ...]) -> Session | None:
        """Return the session that is to be continued; None where none is named."""
        if not task.session_id:
            return None
        if history:
            raise InvalidRequest(
                "context.history seeds a new session; this one has its own.",
                field="context",
                hint=f"{NOTHING} Leave out history, or session_id.",
            )
        return await self._sessions.get(task.session_id.strip(), principal)

    # ------------------------------------------------------------------ reading and waiting

    async def get(self, run_id: str, principal: str) -> Run:
        """Return a run.

        Raises:
            UnknownJob: If the caller has none of that id; the message names it.
        """
        run = await self._store.get(run_id, principal)
        if run is None:
            recent = [item.id for item in await self._store.find(principal=principal, outermost=False, limit=50)]
            raise UnknownJob(
                f"There is no run {clip(run_id)!r}.{did_you_mean(run_id, recent, alike=VERY_ALIKE)}",
                field="run_id",
                hint="check_job without job_id lists your newest jobs and runs.",
            )
        return run

    async def find(
        self, principal: str, *, states: Sequence[RunState] = (), limit: int = 10, before: str | None = None
    ) -> list[Run]:
        """Return the caller's newest runs, those inside others apart."""
        return await self._store.find(principal=principal, states=states, limit=limit, before=before)

    async def inside(self, run: Run) -> list[Run]:
        """Return the runs directly inside a run, oldest first."""
        found = await self._store.find(principal=run.principal, parent=run.id, outermost=False, limit=200)
        return found[::-1]

    async def jobs_of(self, run: Run) -> list[Job]:
        """Return the jobs that a run and the runs inside it started, oldest first."""
        return await self._jobs.get(await self._store.jobs(run.id), run.principal)

    async def things(self, ids: Sequence[str], principal: str) -> list[Thing]:
        """Return jobs and runs by id, in that order.

        Raises:
            UnknownJob: If the caller has none of such an id.
        """
        return [await self._thing(name, principal) for name in ids]

    async def _thing(self, name: str, principal: str) -> Thing:
        if name.startswith(RUN):
            return await self.get(name, principal)
        return (await self._jobs.get([name], principal))[0]

    async def wait(
        self,
        ids: Sequence[str],
        principal: str,
        seconds: float,
        tell: Callable[[Sequence[Thing]], Awaitable[None]] | None = None,
    ) -> list[Thing]:
        """Return jobs and runs once all are at rest, or after that many seconds; `tell` hears of changes meanwhile."""

        async def look() -> tuple[list[Thing], bool]:
            found = await self.things(ids, principal)
            return found, all(at_rest(item) if isinstance(item, Job) else rests(item) for item in found)

        async def ask(found: Sequence[Thing]) -> None:
            await self._jobs.ask([item for item in found if isinstance(item, Job)])

        return await wait_until(look, ids=ids, bus=self._bus, clock=self._clock, seconds=seconds, ask=ask, tell=tell)

    async def cost(self, run: Run) -> RunCost:
        """Return what a run and everything in it costs."""
        return await self._store.cost(run.id)

    async def delivered(self, run: Run) -> None:
        """Remember that the caller has now seen a finished run."""
        if run.state is RunState.SUCCEEDED and run.delivered_at is None:
            await self._store.delivered(run.id, self._clock.now())

    # ------------------------------------------------------------------ answering and stopping

    async def answer(self, run_id: str, text: str, principal: str) -> Run:
        """Give a waiting run the answer to its question.

        Raises:
            UnknownJob: If the caller has none of that id.
            InvalidRequest: If it asks nothing, or the answer is empty or too long; nothing is changed.
        """
        run = await self.get(run_id, principal)
        if not text.strip() or len(text) > MOST_ANSWER:
            raise InvalidRequest(
                "answer is empty." if not text.strip() else f"answer has {len(text):,} letters.",
                field="answer",
                allowed=f"1 to {MOST_ANSWER:,} letters",
                hint="Nothing was changed.",
            )
        answered = await self._store.answer(run_id, principal, text.strip(), self._clock.now())
        if answered is None:
            way = "run_agent with its session_id goes on from it." if run.session_id else "Nothing more comes of it."
            raise InvalidRequest(
                f"{run.id} asks nothing: it {f'has ended ({run.state})' if run.ended else f'is {run.state}'}.",
                field="answer",
                hint=f"Nothing was changed. {way if run.ended else 'check_job(' + repr(run.id) + ') shows it.'}",
            )
        return answered

    async def cancel(self, run_id: str, principal: str) -> Run:
        """Stop a run and, as far as their providers allow, the jobs and runs that it started.

        Raises:
            UnknownJob: If the caller has none of that id.
        """
        run = await self.get(run_id, principal)
        if run.ended:
            return run
        stopped = await self._store.request_cancel(run_id, principal, self._clock.now())
        await self.stop(await self._store.jobs(run.id), principal)
        for inner in await self.inside(run):
            await self.cancel(inner.id, principal)
        return stopped or run

    async def stop(self, ids: Sequence[str], principal: str) -> None:
        """Ask for jobs and runs to be stopped; those that ended stay as they are."""
        for name in ids:
            if name.startswith(RUN):
                await self.cancel(name, principal)
            else:
                await self._jobs.cancel(name, principal)


def rests(run: Run) -> bool:
    """Return whether waiting for a run brings nothing."""
    return run.ended or run.awaits in (Awaits.ANSWER, Awaits.CLIENT)
