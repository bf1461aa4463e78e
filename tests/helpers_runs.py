"""Runs, sessions and callbacks for the tests of stores: every field has a default, and any may be given."""

from collections.abc import Sequence
from typing import Any, Protocol

from darkroom.domain.job import LedgerKind, LedgerRow
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Awaits, Callback, Message, Question, Run, RunState, Session
from darkroom.store.base import JobStore
from darkroom.store.run_base import RunChange, RunStore
from darkroom.store.token_base import TokenStore
from factories import NOW, OWNER

RUN_ID = "run_0000000000000001"
SESSION_ID = "session_0000000000000001"
MODEL = "acme/acme-chat-1"
QUESTION = Question(text="Which colour?", key="colour", call_id="call-1")


class Stores(JobStore, Protocol):
    """A store of jobs with the runs and tokens in the same medium."""

    @property
    def runs(self) -> RunStore: ...

    @property
    def tokens(self) -> TokenStore: ...


def run_id(number: int) -> str:
    """Return an id; higher numbers are newer."""
    return f"run_{number:016d}"


def make_run(number: int = 1, **overrides: Any) -> Run:
    values: dict[str, Any] = {
        "id": run_id(number),
        "principal": "local",
        "agent": "copywriter",
        "task": "Say something about foxes",
        "tier": "standard",
        "model": MODEL,
        "request_hash": f"hash-{number}",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Run.model_validate(values | overrides)


def make_session(number: int = 1, **overrides: Any) -> Session:
    values: dict[str, Any] = {
        "id": f"session_{number:016d}",
        "principal": "local",
        "agent": "copywriter",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Session.model_validate(values | overrides)


def make_callback(subject: str = RUN_ID, **overrides: Any) -> Callback:
    values: dict[str, Any] = {
        "subject": subject,
        "principal": "local",
        "url": "https://studio.example/done",
        "invocation_id": "call-7",
        "created_at": NOW,
    }
    return Callback.model_validate(values | overrides)


def make_change(target: RunState | None = None, **overrides: Any) -> RunChange:
    values: dict[str, Any] = {"at": NOW + 5_000, "target": target}
    return RunChange(**(values | overrides))


def message(text: str, role: str = "user") -> Message:
    return Message.model_validate({"role": role, "content": text, "at": NOW})


def call(number: int = 1, turn: int = 1, kind: LedgerKind = LedgerKind.RESERVED, amount: int = 40, **more: Any) -> Any:
    """Return a ledger row of a run's model call."""
    values: dict[str, Any] = {"job_id": run_id(number), "submission": turn, "kind": kind, "at": NOW}
    return LedgerRow.model_validate(values | {"micro_usd": MicroUsd(amount)} | more)


async def claim(runs: RunStore, owner: str = OWNER, now: int = NOW, limit: int = 100) -> list[Run]:
    return await runs.claim(owner, now, limit)


async def get(runs: RunStore, number: int = 1) -> Run:
    run = await runs.get(run_id(number))
    assert run is not None
    return run


async def going(runs: RunStore, number: int = 1, owner: str = OWNER, **overrides: Any) -> Run:
    """Add a run, and claim it."""
    added = await runs.add(make_run(number, **overrides), session=None)
    [run] = [one for one in await claim(runs, owner, max(NOW, added.run.due_at)) if one.id == added.run.id]
    return run


async def saved(runs: RunStore, run: Run, target: RunState | None = None, **change: Any) -> Run:
    """Save a run that is its owner's."""
    found = await runs.save(run, run.owner or "", make_change(target, **change))
    assert found is not None
    return found


async def waiting(runs: RunStore, awaits: Awaits, number: int = 1, **change: Any) -> Run:
    """Add a run that waits for such."""
    more: dict[str, Any] = {"question": QUESTION} if awaits is Awaits.ANSWER else {}
    return await saved(runs, await going(runs, number), RunState.WAITING, awaits=awaits, **(more | change))


async def moves_of(runs: RunStore, number: int = 1) -> Sequence[tuple[str | None, str]]:
    return [(event.get("origin"), event["target"]) for event in await runs.history(run_id(number))]
