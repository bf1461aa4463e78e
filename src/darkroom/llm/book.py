"""The books of one run: every move of it is one write, and every model call has its row in the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import JsonValue

from darkroom.domain.job import LedgerKind, LedgerRow
from darkroom.domain.money import FREE, MicroUsd, show_usd
from darkroom.domain.run import Action, Awaits, Message, Mode, Run, RunState, in_run
from darkroom.errors import BudgetExceeded, DarkroomError, SubmitUnknown
from darkroom.llm.kit import LoopKit
from darkroom.llm.limits import BROKEN
from darkroom.services.caps import OfRun, of_run
from darkroom.store.base import Limit
from darkroom.store.run_base import RunChange


class Lost(Exception):
    """The run is somebody else's by now."""


class Saved(Exception):
    """The run was put by: it ended, waits, or was given back."""

    def __init__(self, run: Run) -> None:
        super().__init__(run.id)
        self.run = run


class Stopped(Exception):
    """Somebody wants the run cancelled."""


@dataclass(frozen=True, slots=True)
class CallPrice:
    """What a model call may cost: at most, which is held back for it, and as a rule, which is less."""

    most: MicroUsd
    guess: MicroUsd


class Book:
    """Writes down what becomes of a run that we own."""

    def __init__(self, kit: LoopKit, run: Run, owner: str) -> None:
        self.kit = kit
        self.run = run
        self._owner = owner
        self.said: str | None = None
        """The newest words of the model."""
        self._warnings: tuple[str, ...] = ()

    @property
    def of_run(self) -> OfRun:
        """What jobs are told of the run that they are part of."""
        return of_run(self.run)

    def now(self) -> int:
        """Return the time, in milliseconds."""
        return self.kit.clock.now()

    def warn(self, *warnings: str) -> None:
        """Say something with the next write."""
        self._warnings = (*self._warnings, *warnings)

    async def save(self, *, work: dict[str, Any] | None = None, **change: Any) -> Run:
        """Write a change; `work` is laid over what is there.

        Raises:
            Lost: If the run is not ours any more.
            BudgetExceeded: If a limit would be passed; nothing is changed.
            StorageError: If it cannot be kept.
        """
        laid = None if work is None else {**self.run.work, **work}
        warnings, self._warnings = self._warnings, ()
        told = RunChange(at=self.now(), work=laid, warnings=warnings, **change)
        try:
            saved = await self.kit.runs.save(self.run, self._owner, told)
        except BudgetExceeded:
            self._warnings = warnings
            raise
        if saved is None:
            raise Lost
        self.run = saved
        return saved

    async def look(self) -> None:
        """Look whether somebody wants the run cancelled.

        Raises:
            Stopped: If so.
            Lost: If it is gone.
        """
        fresh = await self.kit.runs.get(self.run.id)
        if fresh is None:
            raise Lost
        if fresh.cancel_requested_at is not None:
            raise Stopped

    # Model calls

    async def recover(self) -> None:
        """Book a model call whose process ended in the middle of it: it may have been charged.

        Raises:
            Saved: If that has happened too often in a row.
        """
        if not self.run.work.get("asking"):
            return
        broken = int(self.run.work.get("broken", 0)) + 1
        work = {"asking": False, "broken": broken}
        rows = await self._open_rows()
        self.warn(*(_broken_off(row) for row in rows if row.micro_usd))
        if broken >= BROKEN:
            error = SubmitUnknown(
                f"Asking the language model was broken off {broken} times in a row, by the end of the process.",
                hint="It is not asked again by itself. Look into the log, then start a new run.",
            )
            await self.fail(error, work=work, ledger=rows)
        await self.save(work=work, ledger=rows)

    async def _open_rows(self) -> tuple[LedgerRow, ...]:
        """Return rows that settle what is only reserved by its guess, as uncertain."""
        rows = await self.kit.runs.ledger(self.run.id)
        closed = {row.submission for row in rows if row.kind is not LedgerKind.RESERVED}
        open_rows = [row for row in rows if row.submission not in closed]
        return tuple(
            self._row(LedgerKind.SETTLED, guess_of(row), certain=False, turn=row.submission) for row in open_rows
        )

    async def begin(self, messages: list[Any], model: str | None, price: CallPrice | None) -> None:
        """Write down that the model is about to be asked: the conversation, and what it may cost at most.

        Args:
            messages: The conversation, as JSON data.
            model: Whose call is booked, as provider/model; None where the caller's own model is asked, for nothing.
            price: What the call may cost; None where no price is known.

        Raises:
            Saved: If a cap or budget would be passed.
        """
        work = {"messages": messages, "asking": True, "deferred": None}
        if model is None:
            await self.save(work=work, mode=Mode.CLIENT)
            return
        most, guess = (price.most, price.guess) if price else (FREE, None)
        row = self._row(LedgerKind.RESERVED, most, certain=price is not None, turn=self.run.turn + 1, guess=guess)
        limits = self._limits()
        try:
            await self.save(
                work=work, mode=Mode.LOOP, model=model, turn=self.run.turn + 1, ledger=(row,), limits=limits
            )
        except BudgetExceeded as exc:
            hint = str(in_run(exc.to_dict()).get("hint", ""))
            await self.fail(
                BudgetExceeded(exc.message, field=exc.field, hint=f"The model was not asked. {hint}".strip())
            )

    def _limits(self) -> tuple[Limit, ...]:
        own = self.kit.caps.limits(self.run.principal, self.now())
        return (*own, *self.kit.caps.in_run(self.of_run, self.run.principal))

    def settled(self, cost: MicroUsd | None, *, certain: bool) -> tuple[LedgerRow, ...]:
        """Return the row that ends the reservation of the present call."""
        return (self._row(LedgerKind.SETTLED, cost or FREE, certain=certain and cost is not None),)

    def released(self) -> tuple[LedgerRow, ...]:
        """Return the row that takes the reservation of the present call back: nothing was charged."""
        return (self._row(LedgerKind.RELEASED, FREE),)

    def _row(
        self,
        kind: LedgerKind,
        amount: int,
        *,
        certain: bool = True,
        turn: int | None = None,
        guess: MicroUsd | None = None,
    ) -> LedgerRow:
        return LedgerRow(
            job_id=self.run.id,
            submission=self.run.turn if turn is None else turn,
            kind=kind,
            micro_usd=MicroUsd(amount),
            at=self.now(),
            certain=certain,
            guess=guess,
        )

    async def left(self) -> MicroUsd | None:
        """Return what may still be spent in the run; None where nothing caps it."""
        left: list[MicroUsd] = []
        for limit in self.kit.caps.in_run(self.of_run, self.run.principal):
            spent = await self.kit.runs.cost(limit.run_id or self.run.id)
            left.append(MicroUsd(max(limit.cap - spent.actual, 0)))
        return min(left, default=None)

    async def act(self, tool: str, key: str, job_id: str) -> None:
        """Keep that a job was started."""
        await self.save(actions=(Action(tool=tool, job_id=job_id, key=key),))

    # Ends and pauses

    async def wait(self, awaits: Awaits, **change: Any) -> NoReturn:
        """Put the run by until something happens.

        Raises:
            Saved: Always.
        """
        work = {"asking": False, **change.pop("work", {})}
        raise Saved(await self.save(target=RunState.WAITING, awaits=awaits, work=work, **change))

    async def give_back(self, due_at: int, **change: Any) -> NoReturn:
        """Give the run back, to be gone on with at a time.

        Raises:
            Saved: Always.
        """
        raise Saved(await self.save(target=RunState.QUEUED, release=True, due_at=due_at, **change))

    async def succeed(self, output: str, data: dict[str, JsonValue] | None) -> Run:
        """End the run with its result, and let the session remember it."""
        return await self.save(
            target=RunState.SUCCEEDED,
            output=output,
            data=data,
            history=self._history(output),
            work=_without_talk(self.run),
        )

    async def fail(self, error: DarkroomError, *, work: dict[str, Any] | None = None, **change: Any) -> NoReturn:
        """End the run with an error that says what is kept and how to go on.

        Raises:
            Saved: Always.
        """
        said = self.said
        told = in_run(error.to_dict())
        told["hint"] = " ".join(filter(None, [told.get("hint"), self._kept(), self._onward()]))
        raise Saved(
            await self.save(
                target=RunState.FAILED,
                error=told,
                output=said,
                history=self._history("\n\n".join(filter(None, [said, self._broken_off(error)]))),
                work={**(work or {}), **_without_talk(self.run)},
                **change,
            )
        )

    async def cancel(self) -> Run:
        """End the run as it was wished; jobs that it started go on, since they are paid for."""
        rows = await self._open_rows()
        return await self.save(target=RunState.CANCELLED, output=self.said, ledger=rows, work=_without_talk(self.run))

    def _job_ids(self) -> list[str]:
        return [action.job_id for action in self.run.actions if action.job_id]

    def _broken_off(self, error: DarkroomError) -> str:
        """Return what a session remembers of a run that failed, so that going on makes nothing a second time."""
        ids = self._job_ids()
        made = f" Jobs that were started in it, and are kept: {', '.join(ids)}." if ids else ""
        return f"[This was broken off: {error.message}{made}]"

    def _kept(self) -> str:
        ids = self._job_ids()
        if not ids:
            return "No job was started in it." if self.said is None else "What was said so far is in output."
        more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
        return f"What it started is kept, and goes on: {', '.join(ids[:5])}{more} (check_job shows, cancel_job stops)."

    def _onward(self) -> str:
        session = self.run.session_id
        if session and (self.said or self._job_ids()):
            return f"Go on with run_agent(task='go on', session_id='{session}')."
        there = ", and say in the task what is there already" if self._job_ids() else ""
        return f"Start again with run_agent{there}."

    def _history(self, answer: str) -> Sequence[Message]:
        if self.run.session_id is None:
            return ()
        now = self.now()
        return (
            Message(role="user", content=self.run.task, at=self.run.created_at, run_id=self.run.id),
            Message(role="assistant", content=answer, at=now, run_id=self.run.id),
        )


def guess_of(row: LedgerRow) -> MicroUsd:
    """Return what is booked for a reserved call of which nobody knows what was charged."""
    return row.micro_usd if row.guess is None else row.guess


def _broken_off(row: LedgerRow) -> str:
    return (
        f"Turn {row.submission} was broken off by the end of the process; {show_usd(row.micro_usd)} is booked for it, "
        "a guess of ours, since it may have been charged."
    )


def _without_talk(run: Run) -> dict[str, Any]:
    """Return what empties the part of `work` that only a run under way needs."""
    return {key: None for key in ("messages", "deferred", "pending") if key in run.work} | {"asking": False}
