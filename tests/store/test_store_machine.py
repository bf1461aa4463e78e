"""Any order of events: processes that die, hang and come back, lost and late answers, cancels, repeated calls.

Hypothesis makes the orders up; after every step the file is read afresh and held against what was promised.
"""

# pyright: reportPrivateUsage=false
# Parts of the store are replaced by wrong ones, which must be found.

import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Generator
from functools import partial, wraps
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from darkroom.domain.job import CLAIMABLE, Job, LedgerKind, LedgerRow, Ref, State, Submission
from darkroom.errors import InvalidRequest
from darkroom.store.base import Acceptance, Added, Move
from darkroom.store.sqlite import moves
from darkroom.store.sqlite.rows import load_job
from factories import FakeClock, job_id, make_job, make_ledger_row, make_request
from helpers_machine import (
    ANSWERS,
    LEASE_S,
    NOTHING,
    RESULTS,
    Flight,
    Process,
    Provider,
    Reader,
    key_of,
    new_process,
    send,
)
from helpers_machine_checks import (
    FRESH_MS,
    check_cancel,
    check_change,
    check_end,
    check_error,
    check_events,
    check_money,
    is_found,
    standing,
)

MOST = 6
"""Jobs in one run; more find nothing that fewer do not."""
BOTH, MAIN = ("acme/main", "acme/other"), ("acme/main",)

PICK = st.integers(0, 11)
NEWS = ("succeeded", "succeeded", "pending", "late", "failed")
WORK = st.lists(st.tuples(PICK, st.sampled_from(["accepted", "accepted", *ANSWERS]), st.sampled_from(NEWS)), max_size=5)
PART = st.fixed_dictionaries(
    {"replayable": st.sampled_from([False, False, True]), "account": st.sampled_from([None, *BOTH])}
)
CALL = st.fixed_dictionaries(
    {
        "key": st.sampled_from([None, None, "k1", "k2"]),
        "prompt": st.sampled_from(["a red fox", "a blue fox"]),
        "again": st.sampled_from([False, False, True]),
        "parts": st.lists(PART, min_size=1, max_size=3),
        "reserve": st.sampled_from([True, True, False]),
    }
)


def event(**chosen: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a rule of what may happen; the processes work between any two such events."""

    def as_rule(body: Callable[..., None]) -> Callable[..., None]:
        @wraps(body)
        def run(self: "Machine", work: list[tuple[int, str, str]], **given: Any) -> None:
            for pick, answer, news in work:
                self.work(pick, answer, news)
                self.promises_hold()
            body(self, **given)

        return rule(work=WORK, **chosen)(run)  # pyright: ignore[reportCallIssue, reportUnknownVariableType, reportArgumentType] because no event is called `target`

    return as_rule


class Machine(RuleBasedStateMachine):
    """Three processes at one file, and everything that may happen to them."""

    def __init__(self, portal: BlockingPortal, folder: Path) -> None:
        super().__init__()
        self.portal = portal
        self.folder = folder
        self.path = folder / "darkroom.db"
        self.clock = FakeClock()
        self.provider = Provider()
        self.numbers = count(1)
        self.processes: list[Process] = []
        self.dead: list[str] = []
        self.added: set[str] = set()
        self.seen = NOTHING

    # ------------------------------------------------------------------ what there is to choose from

    def do(self, work: Callable[..., Any], *args: Any, **named: Any) -> Any:
        return self.portal.call(partial(work, *args, **named))

    def awake(self) -> list[Process]:
        return [process for process in self.processes if not process.paused]

    def process(self, pick: int) -> Process:
        awake = self.awake()
        return awake[pick % len(awake)]

    def unknown(self) -> list[Submission]:
        return [part for part in self.seen.parts() if part.state is State.SUBMIT_UNKNOWN]

    def start_process(self, accounts: tuple[str, ...]) -> Process:
        process = new_process(next(self.numbers), self.path, self.clock, accounts)
        self.do(process.join)
        self.processes.append(process)
        return process

    @initialize(calls=st.lists(CALL, min_size=1, max_size=2))
    def start(self, calls: list[dict[str, Any]]) -> None:
        for accounts in (BOTH, BOTH, MAIN):
            self.start_process(accounts)
        self.reader = Reader(self.path)
        for call in calls:
            self.called(call, 0)
            self.promises_hold()

    # ------------------------------------------------------------------ the processes' work

    def work(self, pick: int, answer: str, news: str) -> None:
        """Let one process make the next move of something that it believes to hold."""
        moves: list[Callable[[], None]] = []
        for process in self.awake():
            moves += [partial(self.advance, process, part, news) for part in process.holds.values()]
            moves += [partial(self.call, process, flight, answer) for flight in process.flights]
            if any(part.owner is None and part.state in CLAIMABLE for part in self.seen.parts()):
                moves.append(partial(self.claim, process, 1 + pick % 3))
        if moves:
            moves[pick % len(moves)]()

    def claim(self, process: Process, limit: int) -> None:
        for part in self.do(process.claim, limit):
            before = self.seen.part(key_of(part))
            assert (before.owner, part.owner) == (None, process.id), "two processes were given the same submission"
            assert before.state in CLAIMABLE
            assert part.account in (None, *process.accounts)

    def advance(self, process: Process, part: Submission, news: str) -> None:
        if part.state is State.QUEUED:
            self.intend(process, part)
        elif part.state is State.DOWNLOADING:
            self.do(process.download, part, expired=news == "failed")
        elif self.seen.jobs[part.job_id].cancel_requested_at is not None and news != "succeeded":
            self.do(process.end, part, State.CANCELLED, charged=news == "pending")
        elif news == "failed":
            self.do(process.end, part, State.FAILED, charged=False)
        elif news == "succeeded":
            self.do(process.move, part, State.DOWNLOADING, results=RESULTS)
        elif news == "late":
            self.do(process.move, part, State.PARKED)
        else:
            self.do(process.move, part, State.RUNNING, due_at=self.clock.now() + 2_000)

    def intend(self, process: Process, part: Submission) -> None:
        before = self.seen.part(key_of(part))
        wanted = self.seen.jobs[part.job_id].cancel_requested_at is None
        ours = (before.version, before.owner) == (part.version, process.id)
        sent = self.do(process.intend, part, f"key-{next(self.numbers)}")
        assert (sent is not None) is (ours and wanted)

    def call(self, process: Process, flight: Flight, answer: str) -> None:
        """Make the paid call, or store what came of it."""
        if flight.settle is None:
            send(flight, answer, self.provider)
        else:
            process.flights.remove(flight)
            self.do(flight.settle, process, flight)

    # ------------------------------------------------------------------ calls

    def job(self, call: dict[str, Any]) -> tuple[Job, list[LedgerRow]]:
        name = job_id(next(self.numbers))
        job = make_job(
            id=name,
            idempotency_key=call["key"],
            request=make_request(prompt=call["prompt"]),
            request_hash=f"hash of {call['prompt']}",
            created_at=self.clock.now(),
            parts=call["parts"],
        )
        rows = [make_ledger_row(job_id=name, submission=part.idx) for part in job.submissions if call["reserve"]]
        return job, rows

    @event(call=CALL, who=PICK)
    def call_tool(self, call: dict[str, Any], who: int) -> None:
        if len(self.added) < MOST:
            self.called(call, who)

    def called(self, call: dict[str, Any], who: int) -> None:
        """Make a tool call, which is new or repeats an earlier one."""
        job, rows = self.job(call)
        earlier = standing(self.seen, job, again=call["again"])
        store = self.process(who).store
        if earlier is not None and earlier.request_hash != job.request_hash:
            with pytest.raises(InvalidRequest, match=earlier.id):
                self.do(store.add, job, rows, again=call["again"])
            return
        added: Added = self.do(store.add, job, rows, again=call["again"])
        assert added.created is (earlier is None)
        assert added.job.id == (job.id if earlier is None else earlier.id)
        self.added.add(added.job.id)

    @event(pick=PICK, who=PICK)
    def cancel(self, pick: int, who: int) -> None:
        name = sorted(self.added)[pick % len(self.added)]
        before = self.seen.jobs[name]
        job: Job = self.do(self.process(who).store.request_cancel, name, before.principal, self.clock.now())
        after = self.reader.read()
        assert job == after.jobs[name]
        assert before.ended or job.cancel_requested_at is not None
        for old, new in zip(before.submissions, job.submissions, strict=True):
            check_cancel(self.seen, after, old, new)
        assert not {part.state for part in job.submissions} & {State.QUEUED, State.SUBMIT_UNKNOWN}

    @event(pick=PICK, who=PICK)
    def deliver(self, pick: int, who: int) -> None:
        name = sorted(self.added)[pick % len(self.added)]
        before = self.seen.jobs[name]
        self.do(self.process(who).store.delivered, name, self.clock.now())
        first = before.delivered_at if before.delivered_at is not None else self.clock.now()
        assert self.reader.read().jobs[name].delivered_at == (first if before.ended else None)

    @event(who=PICK)
    def look(self, who: int) -> None:
        """Let a process look for others' writes; it then sees what is committed, and finds what was accepted."""
        process = self.process(who)
        self.do(process.store.data_version)
        assert {job.id for job in self.do(process.store.unknown)} == {part.job_id for part in self.unknown()}
        for taken in self.provider.taken:
            if taken.told and not taken.replayable:
                assert self.do(process.store.remote, "acme", taken.remote_id).id == taken.key[0]
        for name, job in self.seen.jobs.items():
            assert self.do(process.store.get, name) == job
            found = self.do(process.store.find, states=[job.state])
            assert [one.id for one in found] == [
                one.id for one in reversed(self.seen.jobs.values()) if one.state is job.state
            ]

    @event(pick=PICK, who=PICK, verdict=st.sampled_from([State.RUNNING, State.FAILED, State.CANCELLED]))
    def resolve(self, pick: int, who: int, verdict: State) -> None:
        """Let a person look up with the provider what became of a call, or give it up."""
        unknown = self.unknown()
        if unknown:
            self.resolved(self.process(who), unknown[pick % len(unknown)], verdict)

    def resolved(self, process: Process, part: Submission, verdict: State) -> None:
        taken = self.provider.of(part)
        if verdict is State.RUNNING and taken is not None:
            assert self.do(process.store.accept, taken.acceptance(self.clock.now())) is not None
            taken.told = True
            return
        target = State.FAILED if verdict is State.RUNNING else verdict
        row = make_ledger_row(job_id=part.job_id, submission=part.idx, kind=LedgerKind.SETTLED, certain=False)
        change = Move(target, self.clock.now(), detail="given up", ledger=(row,))
        assert self.do(process.store.move, part.ref, part.owner, change) is not None

    # ------------------------------------------------------------------ what happens to processes

    @event(seconds=st.sampled_from([1.0, LEASE_S / 2, LEASE_S + 1, FRESH_MS / 1000]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @event(who=PICK, awake=PICK)
    def hang(self, who: int, awake: int) -> None:
        """Stop a process until its lease is over and another one takes over what it holds."""
        if len(self.awake()) > 1:
            self.process(who).paused = True
            self.clock.advance(LEASE_S / 2)
            self.do(self.process(awake).beat)
            self.clock.advance(LEASE_S / 2 + 1)
            self.reaped(self.process(awake))

    @event()
    def go_on(self) -> None:
        """Let those that were stopped go on with what they remember."""
        for process in self.processes:
            process.paused = False

    @event(who=PICK)
    def heartbeat(self, who: int) -> None:
        process = self.process(who)
        assert self.do(process.beat) is (process.id in self.seen.workers)

    @event(who=PICK)
    def kill(self, who: int) -> None:
        """End a process between two of its moves, and start another."""
        process = self.process(who)
        self.bury(process)
        self.start_process(tuple(process.accounts))

    def bury(self, process: Process) -> None:
        self.processes.remove(process)
        self.dead.append(process.id)
        self.do(process.store.close)

    @event(who=PICK)
    def reap(self, who: int) -> None:
        self.reaped(self.process(who))

    def reaped(self, process: Process) -> None:
        before = self.reader.read()
        touched = self.do(process.reap, self.dead)
        after = self.reader.read()
        for part in after.parts():
            old = before.part(key_of(part))
            assert part == old or part.job_id in touched
            assert part.owner is None or part.owner in after.workers
            assert part.owner is not None or part.state is not State.SUBMITTING
            assert part.state is old.state or old.state in (State.SUBMITTING, State.RUNNING)
            assert part.state is old.state or part.state is not State.SUBMIT_UNKNOWN or not part.replayable

    @event(pick=PICK)
    def give_back(self, pick: int) -> None:
        """Let a process that closes let go of a submission, be it in the middle of a call."""
        held = [(one, part) for one in self.awake() for part in one.holds.values()]
        held += [(one, flight.part) for one in self.awake() for flight in one.flights]
        if held:
            process, part = held[pick % len(held)]
            self.do(process.move, part, part.state, release=True)

    @event(pick=PICK, who=PICK)
    def repeat_the_answer(self, pick: int, who: int) -> None:
        """Store an acceptance once more, as one does who did not hear that it was stored."""
        told = [taken for taken in self.provider.taken if taken.told]
        if told:
            taken = told[pick % len(told)]
            before = self.seen.part(taken.key)
            stored = self.do(self.process(who).store.accept, taken.acceptance(self.clock.now()))
            assert stored == before or (stored is None and taken.replayable)

    # ------------------------------------------------------------------ what holds after every step

    @invariant()
    def promises_hold(self) -> None:
        if not self.processes:
            return
        truth = self.reader.read()
        assert truth.jobs.keys() == self.added, "a job is lost, or made by nobody"
        sent = Counter(taken.key for taken in self.provider.taken if not taken.replayable)
        assert not [key for key, times in sent.items() if times > 1], "paid for twice"
        for taken in self.provider.taken:
            assert taken.replayable or is_found(truth, taken), "what the provider accepted is lost"
        for part in truth.parts():
            check_events(truth, part)
            check_money(truth, part)
            check_error(part)
        for name, job in truth.jobs.items():
            check_end(truth, job)
            if name in self.seen.jobs:
                check_change(self.seen.jobs[name], job)
        self.seen = truth

    # ------------------------------------------------------------------ the end

    def teardown(self) -> None:
        try:
            if self.processes and sys.exc_info()[0] is None:
                self.finish()
        finally:
            for process in list(self.processes):
                self.bury(process)
            if self.dead:
                self.reader.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def finish(self) -> None:
        """Let all processes die; one that starts afterwards brings everything to its end."""
        for process in list(self.processes):
            self.bury(process)
        last = self.start_process(BOTH)
        for _ in range(12):
            self.reaped(last)
            self.do(last.claim, 100)
            self.promises_hold()
            for part in list(last.holds.values()):
                self.advance(last, part, "succeeded")
                for flight in list(last.flights):
                    self.call(last, flight, "accepted")
                    self.call(last, flight, "accepted")
                self.promises_hold()
            for part in self.unknown():
                self.resolved(last, part, State.RUNNING)
                self.promises_hold()
            if all(job.ended for job in self.seen.jobs.values()):
                return
        raise AssertionError("something is stuck")


# The tests


@pytest.fixture
def make_machine(tmp_path: Path) -> Generator[Callable[[], Machine]]:
    numbers = count(1)
    with start_blocking_portal() as portal:
        yield lambda: Machine(portal, tmp_path / str(next(numbers)))


def run(make_machine: Callable[[], Machine], **limits: Any) -> None:
    checks = (HealthCheck.too_slow, HealthCheck.data_too_large)  # a run takes a third of a second and draws much
    chosen = settings(stateful_step_count=20, suppress_health_check=checks, deadline=None, **limits)
    run_state_machine_as_test(make_machine, settings=chosen)  # pyright: ignore[reportUnknownMemberType, reportArgumentType] because it takes any maker


def test_no_order_of_events_loses_or_repeats_what_was_paid_for(make_machine: Callable[[], Machine]) -> None:
    run(make_machine, max_examples=40)


# The machine finds mistakes: each of these is one that a store could make


def sends_again_blindly(db: sqlite3.Connection, part: Submission, at: int) -> None:
    FREE(db, part.model_copy(update={"replayable": True}), at)


def drops_late_acceptances(db: sqlite3.Connection, acceptance: Acceptance) -> Submission | None:
    part = PART_OF(db, acceptance.job_id, acceptance.idx)
    return ACCEPT(db, acceptance) if part is not None and part.owner is not None else part


def lets_the_hung_move(db: sqlite3.Connection, ref: Ref, owner: str | None, change: Move) -> Submission | None:
    part = PART_OF(db, ref.job_id, ref.idx)
    return None if part is None else MOVE(db, part.ref, part.owner, change)


def cancels_with_a_new_version(db: sqlite3.Connection, job_id: str, principal: str, at: int) -> Job | None:
    CANCEL(db, job_id, principal, at)
    db.execute("UPDATE submissions SET version = version + 1 WHERE job_id = ? AND state != 'cancelled'", (job_id,))
    return load_job(db, job_id)


def forgets_what_was_reserved(*_: object, **__: object) -> list[LedgerRow]:
    return []


def knows_no_equal_call(*_: object) -> None:
    return None


FREE, PART_OF, ACCEPT, MOVE, CANCEL = moves._free, moves._part, moves.accept, moves.move, moves.request_cancel


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        ("_free", sends_again_blindly),
        ("accept", drops_late_acceptances),
        ("move", lets_the_hung_move),
        ("request_cancel", cancels_with_a_new_version),
        ("_reserved_as", forgets_what_was_reserved),
        ("_by_hash", knows_no_equal_call),
    ],
)
def test_the_machine_finds_a_store_that(
    name: str, mistake: Callable[..., object], make_machine: Callable[[], Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, name, mistake)
    with pytest.raises((AssertionError, ValueError)):
        run(
            make_machine,
            max_examples=150,
            phases=[Phase.generate],
            report_multiple_bugs=False,
            derandomize=True,
            database=None,
        )
