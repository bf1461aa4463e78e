"""What every store promises about runs, sessions and callbacks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import JsonValue

from darkroom.domain.job import LedgerRow
from darkroom.domain.money import FREE, MicroUsd
from darkroom.domain.run import Action, Awaits, Callback, Delivery, Message, Mode, Question, Run, RunState, Session
from darkroom.store.base import Limit


@dataclass(frozen=True, slots=True)
class AddedRun:
    """The answer to `add`: the run, and whether it is new."""

    run: Run
    created: bool


@dataclass(frozen=True, slots=True)
class RunChange:
    """What changes together; None leaves a field as it is."""

    at: int
    target: RunState | None = None
    mode: Mode | None = None
    model: str | None = None
    awaits: Awaits | None = None
    """Kept while waiting, and cleared by every move to another state."""
    waiting_for: tuple[str, ...] | None = None
    question: Question | None = None
    """Kept while waiting, and cleared by every move to another state."""
    turn: int | None = None
    work: dict[str, Any] | None = None
    actions: tuple[Action, ...] = ()
    """Appended, unless there is one of the same key."""
    output: str | None = None
    data: dict[str, JsonValue] | None = None
    brief: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    """Appended, each once."""
    input_tokens: int = 0
    """Added to what is counted."""
    output_tokens: int = 0
    due_at: int | None = None
    ledger: tuple[LedgerRow, ...] = ()
    """Rows of the run's own calls: `job_id` is the run's id, `submission` the number of its model call."""
    limits: tuple[Limit, ...] = ()
    """What the reserved rows among them are held against."""
    history: tuple[Message, ...] = ()
    """Appended to the run's session."""
    answers: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """Laid over the answers of the run's session."""
    release: bool = False
    """Give the run back, so that any process may claim it; queued, waiting and ended runs are given back anyway."""


@dataclass(frozen=True, slots=True)
class RunCost:
    """What a run and everything under it costs by the newest word of the ledger."""

    estimate: MicroUsd
    """What was reserved for all of it, of model calls what they were expected to cost."""
    actual: MicroUsd
    """Adjusted, else settled, else nothing where released, else what is reserved."""
    open: MicroUsd
    """How much of `actual` is only reserved."""
    certain: bool
    """False where a part is uncertain, or is only reserved and not free."""
    models: tuple[str, ...] = ()
    """`provider/model` of what was booked, in the order of booking, each once."""
    uncertain: MicroUsd = FREE
    """How much of `actual` is settled by our estimate, or was perhaps not charged."""


class RunStore(Protocol):
    """Durable runs, sessions and callbacks, in the same medium as the jobs and under the same promises."""

    async def add(
        self,
        run: Run,
        *,
        again: bool = False,
        fresh_for_ms: int = 120_000,
        session: Session | None = None,
        callback: Callback | None = None,
        alone: bool = False,
    ) -> AddedRun:
        """Add a run, with its new session and callback, unless it is a repetition, by the rules of `JobStore.add`.

        A run of the principal with the same idempotency key is returned whatever its state; without a key, and unless
        `again`, so is the newest one with the same `request_hash` that has not ended, or has succeeded and was not
        delivered, or was delivered at most `fresh_for_ms` before `run.created_at`.
        `callback` is kept for the run that is returned, unless it has one; it is due once that run has ended.
        `alone`: refuse a new run while another one of its session goes on.

        Raises:
            InvalidRequest: If the key was used for another request, there is no such session of the principal, or it
                is to be alone in it and is not.
        """
        ...

    async def equal(
        self, run: Run, *, again: bool = False, fresh_for_ms: int = 120_000, session: Session | None = None
    ) -> Run | None:
        """Return the run that `add` would return in place of this one, which is not stored; None where it is new.

        Raises:
            InvalidRequest: If the key was used for another request.
        """
        ...

    async def get(self, run_id: str, principal: str | None = None) -> Run | None:
        """Return the run, or None when there is none or it is another principal's; None asks for anybody's."""
        ...

    async def find(
        self,
        *,
        principal: str | None = None,
        states: Sequence[RunState] = (),
        session_id: str | None = None,
        parent: str | None = None,
        outermost: bool = True,
        limit: int = 10,
        before: str | None = None,
    ) -> list[Run]:
        """Return runs, newest first, at most `limit`, older than the run `before`.

        `outermost`: none inside others; says nothing where `parent` is given.
        """
        ...

    async def claim(self, owner: str, now: int, limit: int) -> list[Run]:
        """Give the claimer runs that nobody owns and that can go on; each is then `running`, in a new version.

        These are queued and running ones that are due, and waiting ones that wait for work of which any has ended, or
        that are due (`due_at`, where it is not 0). Those that wait for an answer or for the client are not.
        A run with a cancel flag is given too, whatever it waits for. Longest due first; `due_at` has then done its
        work and is 0, as after `take`, `answer` and `reap`. Reads only, and writes nothing, when there is none.
        """
        ...

    async def save(self, run: Run, owner: str, change: RunChange) -> Run | None:
        """Compare-and-swap (id, version, owner) and write everything in `change` in one transaction.

        Returns the run in its new version, or None, with nothing changed, when version or owner differ.
        Ending also makes its callback due. A cancel flag changes no version; with one, a run that would succeed ends
        cancelled instead, and everything else in the change is kept.

        Raises:
            ValueError: If the table of moves has no such move, or a run waits for nothing that `awaits` names.
            BudgetExceeded: If a limit would be passed; nothing is changed.
        """
        ...

    async def take(self, run_id: str, owner: str, awaits: Awaits, at: int) -> Run | None:
        """Give the caller a run that waits for such (its client) and that nobody owns; it is then running."""
        ...

    async def answer(self, run_id: str, principal: str, text: str, at: int) -> Run | None:
        """Keep the user's word on the question of a waiting run and queue it; None when it asks nothing (any more).

        A run that is to be cancelled asks nothing any more.
        """
        ...

    async def request_cancel(self, run_id: str, principal: str, at: int) -> Run | None:
        """Set the cancel flag; end the run at once where nobody is advancing it. None when there is none of his."""
        ...

    async def delivered(self, run_id: str, at: int) -> None:
        """Remember when a finished run was first shown to its caller; later calls change nothing."""
        ...

    async def cost(self, run_id: str) -> RunCost:
        """Return what a run, the runs inside it and all their jobs cost."""
        ...

    async def ended(self, ids: Sequence[str]) -> frozenset[str]:
        """Return which of these jobs and runs have ended, or are not there."""
        ...

    async def jobs(self, run_id: str) -> list[str]:
        """Return the ids of the jobs that a run and the runs inside it started, oldest first."""
        ...

    async def started(self, principal: str, key: str) -> str | None:
        """Return the id of the principal's job or run that was started under an idempotency key."""
        ...

    async def history(self, run_id: str) -> list[dict[str, Any]]:
        """Return every move of a run, oldest first: seq, origin, target, at, owner, detail; absent means null."""
        ...

    async def ledger(self, run_id: str) -> list[LedgerRow]:
        """Return the ledger rows of a run's own model calls, oldest first."""
        ...

    async def session(self, session_id: str, principal: str | None = None) -> Session | None:
        """Return a session, or None when there is none or it is another principal's."""
        ...

    async def sessions(self, principal: str, *, limit: int = 10, before: str | None = None) -> list[Session]:
        """Return sessions without their history, newest first by id, at most `limit`, older than `before`."""
        ...

    async def delete_session(self, session_id: str, principal: str) -> bool:
        """Forget a session; its runs stay, without it. False when there is none of that principal.

        Raises:
            InvalidRequest: If a run of it has not ended.
        """
        ...

    async def callback(self, subject: str) -> Callback | None:
        """Return the callback of a job or run."""
        ...

    async def callbacks(
        self, *, principal: str | None = None, states: Sequence[Delivery] = (), limit: int = 20
    ) -> list[Callback]:
        """Return callbacks, newest first."""
        ...

    async def claim_callbacks(self, now: int, until: int, limit: int) -> list[Callback]:
        """Return callbacks that are due and put each off to `until`, so that one process at a time sends it."""
        ...

    async def note_callback(self, callback: Callback) -> None:
        """Write how far a callback is: state, attempts, due_at, body, status, error, delivered_at."""
        ...
