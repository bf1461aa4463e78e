"""Runs in memory, a model that says what a test wants, and a loop over real services."""

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pydantic_ai.models
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from darkroom.app import App
from darkroom.catalog.accounts import Accounts
from darkroom.catalog.agents import agents
from darkroom.catalog.providers import Provider
from darkroom.domain.job import ENDED as JOB_ENDED
from darkroom.domain.job import LedgerKind, LedgerRow
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import MOVES, Answer, Run, RunState, Session
from darkroom.errors import BudgetExceeded
from darkroom.llm import thinking
from darkroom.llm.kit import LoopKit
from darkroom.llm.loop import Loop
from darkroom.net.client import ShardedClient
from darkroom.net.provider import ProviderHttp
from darkroom.services.caps import Caps
from darkroom.services.chat_models import ChatModels
from darkroom.settings import Settings
from darkroom.store.run_base import RunChange, RunCost
from factories import NOW, FakeClock
from helpers_catalog import TODAY, make_provider
from helpers_services import opened

pydantic_ai.models.ALLOW_MODEL_REQUESTS = False  # pyright: ignore[reportConstantRedefinition] because this is its switch
OWNER = "w_1"
PRICE = {"source": "a page", "as_of": TODAY}


class Killed(BaseException):
    """The process ends here."""


@dataclass
class FakeRuns:
    """What the loop needs of a run store; `before` and `after` may end the process at a save."""

    app: App
    rows: dict[str, Run] = field(default_factory=dict[str, Run])
    books: list[LedgerRow] = field(default_factory=list[LedgerRow])
    sessions: dict[str, Session] = field(default_factory=dict[str, Session])
    changes: list[RunChange] = field(default_factory=list[RunChange])
    before: Callable[[int, RunChange], None] = lambda number, change: None
    after: Callable[[int, RunChange], None] = lambda number, change: None

    async def get(self, run_id: str, principal: str | None = None) -> Run | None:
        run = self.rows.get(run_id)
        return run if run and principal in (None, run.principal) else None

    async def session(self, session_id: str, principal: str | None = None) -> Session | None:
        del principal
        return self.sessions.get(session_id)

    async def ledger(self, run_id: str) -> list[LedgerRow]:
        return [row for row in self.books if row.job_id == run_id]

    async def ended(self, ids: Sequence[str]) -> frozenset[str]:
        jobs = {job_id: await self.app.store.get(job_id) for job_id in ids}
        return frozenset(job_id for job_id, job in jobs.items() if job is None or job.state in JOB_ENDED)

    async def cost(self, run_id: str) -> RunCost:
        run = self.rows[run_id]
        rows = [row for row in self.books if row.job_id == run_id]
        for action in run.actions:
            rows += await self.app.store.ledger(action.job_id or "")
        newest = {(row.job_id, row.submission): row.micro_usd for row in rows}
        reserved = sum(row.micro_usd for row in rows if row.kind is LedgerKind.RESERVED)
        total = MicroUsd(sum(newest.values()))
        return RunCost(estimate=MicroUsd(reserved), actual=total, open=MicroUsd(0), certain=True, models=())

    async def save(self, run: Run, owner: str, change: RunChange) -> Run | None:
        now = self.rows.get(run.id)
        if now is None or (now.version, now.owner) != (run.version, owner):
            return None
        number = len(self.changes)
        self.before(number, change)
        if change.target not in (None, now.state) and change.target not in MOVES[now.state]:
            raise ValueError(f"{now.state} -> {change.target}")
        await self._check(run, change)
        json.dumps(change.work)  # what cannot be kept as JSON is found here
        self.changes.append(change)
        self.books.extend(change.ledger)
        self.rows[run.id] = _changed(now, change)
        if change.history or change.answers:
            self._remember(now, change)
        self.after(number, change)
        return self.rows[run.id]

    async def _check(self, run: Run, change: RunChange) -> None:
        amount = sum(row.micro_usd for row in change.ledger if row.kind is LedgerKind.RESERVED)
        for limit in change.limits if amount else ():
            spent = (await self.cost(run.id)).actual
            if spent + amount > limit.cap:
                raise BudgetExceeded(f"of the {limit.name} too little is left", field="max_cost", hint="Raise it.")

    def _remember(self, run: Run, change: RunChange) -> None:
        session = self.sessions[run.session_id or ""]
        self.sessions[session.id] = session.model_copy(
            update={"history": (*session.history, *change.history), "answers": {**session.answers, **change.answers}}
        )

    def claim(self, run_id: str) -> Run:
        """Take a run as the runtime does."""
        run = self.rows[run_id]
        owned = {"owner": OWNER, "version": run.version + 1, "state": RunState.RUNNING}
        self.rows[run_id] = run.model_copy(update=owned)
        return self.rows[run_id]

    def answer(self, run_id: str, text: str) -> None:
        run = self.rows[run_id]
        assert run.question is not None
        told = (*run.answers, Answer(question=run.question, text=text, at=run.updated_at))
        self.rows[run_id] = run.model_copy(update={"answers": told, "state": RunState.QUEUED, "question": None})

    def kinds(self, run_id: str) -> list[tuple[int, str, int, bool]]:
        """Return the ledger in short: turn, kind, amount, whether it is certain."""
        return [
            (row.submission, row.kind.value, row.micro_usd, row.certain) for row in self.books if row.job_id == run_id
        ]


def _changed(run: Run, change: RunChange) -> Run:
    state = run.state if change.target is None else change.target
    moved = change.target is not None and change.target is not RunState.WAITING
    gone = change.release or state is RunState.WAITING or state in (RunState.SUCCEEDED, RunState.FAILED)
    fields: dict[str, Any] = {
        "version": run.version + 1,
        "state": state,
        "updated_at": change.at,
        "owner": None if gone or state is RunState.CANCELLED else run.owner,
        "input_tokens": run.input_tokens + change.input_tokens,
        "output_tokens": run.output_tokens + change.output_tokens,
        "warnings": tuple(dict.fromkeys((*run.warnings, *change.warnings))),
        "awaits": None if moved else change.awaits or run.awaits,
        "question": None if moved else change.question or run.question,
    }
    keys = {action.key for action in run.actions}
    fields["actions"] = (*run.actions, *(action for action in change.actions if action.key not in keys))
    for name in ("mode", "model", "waiting_for", "turn", "work", "output", "data", "error", "due_at"):
        if (value := getattr(change, name)) is not None:
            fields[name] = value
    return run.model_copy(update=fields)


Say = ModelResponse | Exception | Callable[[list[ModelMessage], ModelRequestParameters], ModelResponse]


class Scripted(Model[Any]):
    """Says what it is told to, in order, and the last of it from then on; remembers what it was asked."""

    def __init__(self, *says: Say) -> None:
        super().__init__()
        self.says = list(says)
        self.asked: list[list[ModelMessage]] = []
        self.offered: list[ModelRequestParameters] = []

    @property
    def model_name(self) -> str:
        return "scripted"

    @property
    def system(self) -> str:
        return "test"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        self.asked.append(messages)
        self.offered.append(model_request_parameters)
        say = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if isinstance(say, Exception):
            raise say
        return replace(say) if isinstance(say, ModelResponse) else say(messages, model_request_parameters)


def says(text: str, *, tokens: tuple[int, int] = (100, 10), **fields: Any) -> ModelResponse:
    parts = [TextPart(text)] if text else []
    return ModelResponse(parts=parts, usage=RequestUsage(input_tokens=tokens[0], output_tokens=tokens[1]), **fields)


def calls(*asked: tuple[str, dict[str, Any] | str], prefix: str = "c") -> ModelResponse:
    """Return an answer with tool calls, whose ids are `c0`, `c1` and so on."""
    parts = [ToolCallPart(name, args, tool_call_id=f"{prefix}{index}") for index, (name, args) in enumerate(asked)]
    return ModelResponse(parts=parts, usage=RequestUsage(input_tokens=100, output_tokens=10))


def results(messages: Sequence[ModelMessage]) -> list[Any]:
    """Return what tools answered in the last request, as data where it is JSON."""
    found: list[Any] = []
    for part in messages[-1].parts:
        if part.part_kind == "tool-return":
            text = part.model_response_str()
            try:
                found.append(json.loads(text))
            except ValueError:
                found.append(text)
    return found


def brain(*, priced: bool = True) -> dict[str, Provider]:
    """Return one provider of language models, at 1 and 2 dollars a million tokens."""
    prices = [{"unit": f"mtoken_{way}", "usd": usd, **PRICE} for way, usd in (("in", "1"), ("out", "2"))]
    offer = {"model": "brain-1", "operations": ["chat"], "prices": prices if priced else []}
    chat = {"wire": "openai", "path": "chat", "tiers": dict.fromkeys(("economy", "standard", "premium"), "brain-1")}
    return {"brain": make_provider("brain", base_url="http://127.0.0.1:9", chat=chat, offers=[offer])}


@dataclass
class World:
    """A loop with all that is around it."""

    app: App
    runs: FakeRuns
    kit: LoopKit
    clock: FakeClock
    monkeypatch: Any

    def says(self, *said: Say) -> Scripted:
        """Let the model say this."""
        model = Scripted(*said)

        def made(*parts: object) -> Scripted:
            del parts
            return model

        self.monkeypatch.setattr(thinking, "WIRES", {"openai": made})
        return model

    def start(self, task: str = "make a picture of a fox", **fields: Any) -> Run:
        run = Run(
            id=fields.pop("id", "run_0000000000000001"),
            principal=fields.pop("principal", "local"),
            task=task,
            request_hash="hash",
            created_at=NOW,
            updated_at=NOW,
            **fields,
        )
        self.runs.rows[run.id] = run
        if run.session_id and run.session_id not in self.runs.sessions:
            self.runs.sessions[run.session_id] = Session(
                id=run.session_id, principal=run.principal, created_at=NOW, updated_at=NOW
            )
        return run

    async def think(self, run: Run, **more: Any) -> Run:
        """Claim the run and think, in a loop of its own, as another process would."""
        claimed = self.runs.claim(run.id)
        after = await Loop(self.kit).think(claimed, OWNER, **more)
        assert after is not None
        assert after == self.runs.rows[run.id]
        return after

    async def jobs(self) -> list[str]:
        return sorted(job.id for job in await self.app.store.find(limit=50))


@asynccontextmanager
async def world(settings: Settings, monkeypatch: Any, *, priced: bool = True) -> AsyncGenerator[World]:
    clock = FakeClock()
    async with opened(settings, clock) as app:
        runs, providers = FakeRuns(app), brain(priced=priced)
        accounts = Accounts(providers, {}, b"key")
        kit = LoopKit(
            runs=runs,  # pyright: ignore[reportArgumentType] because the loop needs no more of it
            clock=clock,
            caps=Caps(settings),
            models=ChatModels(providers=providers, accounts=lambda: accounts, settings=settings, clock=clock),
            accounts=lambda: accounts,
            http=lambda provider: ProviderHttp(ShardedClient(clock), provider),
            agents=app.agents,
            generation=app.generation,
            jobs=app.jobs,
            estimates=app.estimates,
            skills=app.skills,
        )
        yield World(app, runs, kit, clock, monkeypatch)


def known_agents() -> list[str]:
    return sorted(agents())


def manifests(folder: Path, text: str) -> Path:
    """Write a manifest of the user's own and return its folder."""
    folder.mkdir()
    (folder / "acme.toml").write_text(text, "utf-8")
    return folder
