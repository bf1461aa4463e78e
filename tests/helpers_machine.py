"""The world around a store: processes with a memory of their own, a provider that counts, a fresh look at the truth."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from darkroom.domain.job import Event, Job, LedgerKind, LedgerRow, State, Submission
from darkroom.domain.output import RemoteOutput
from darkroom.errors import SubmitUnknown
from darkroom.events import Bus
from darkroom.store.base import Acceptance, Intent, Move
from darkroom.store.sqlite import SqliteStore
from darkroom.store.sqlite.rows import event_of, ledger_of, load_jobs
from factories import FakeClock, make_ledger_row, make_output, make_worker

Key = tuple[str, int]
"""A job and the number of one of its submissions."""
LEASE_S = 60.0
OURS = ("jobs", "submissions", "outputs", "events", "ledger")
"""The tables that say what became of a job; the first column of `outputs` is not its job."""
RESULTS = (RemoteOutput(url="https://127.0.0.1/fox.png"),)
LOST = SubmitUnknown("The request went to acme, and no answer was recorded.").to_dict()


def key_of(part: Submission) -> Key:
    return part.job_id, part.idx


# What is in the file


@dataclass(frozen=True)
class Truth:
    """Everything that is committed, read by a connection of its own."""

    jobs: dict[str, Job]
    outcomes: dict[str, State | None]
    events: dict[str, list[Event]]
    ledger: dict[str, list[LedgerRow]]
    workers: frozenset[str]

    def parts(self) -> list[Submission]:
        return [part for job in self.jobs.values() for part in job.submissions]

    def part(self, key: Key) -> Submission:
        return self.jobs[key[0]].submissions[key[1]]

    def moves(self, key: Key) -> list[Event]:
        return [event for event in self.events[key[0]] if event.submission == key[1]]

    def rows(self, key: Key) -> list[LedgerRow]:
        return [row for row in self.ledger[key[0]] if row.submission == key[1]]


NOTHING = Truth({}, {}, {}, {}, frozenset())


class Reader:
    """Reads the file beside all stores; what did not change since the last time is not built anew."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._rows: dict[str, list[tuple[object, ...]]] = {}
        self._truth = NOTHING

    def close(self) -> None:
        self._db.close()

    def read(self) -> Truth:
        self._db.execute("BEGIN")
        try:
            return self._read()
        finally:
            self._db.execute("COMMIT")

    def _read(self) -> Truth:
        tables = {name: self._db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in OURS}
        rows: dict[str, list[tuple[object, ...]]] = {row["id"]: [tuple(row)] for row in tables["jobs"]}
        for name in OURS[1:]:
            for row in tables[name]:
                rows[row["job_id"]].append(tuple(row))
        old = self._truth
        fresh = load_jobs(self._db, [row for row in tables["jobs"] if rows[row["id"]] != self._rows.get(row["id"])])
        jobs = old.jobs | {job.id: job for job in fresh}
        changed = {job.id for job in fresh}
        events, ledger = old.events | {name: [] for name in changed}, old.ledger | {name: [] for name in changed}
        for row in tables["events"]:
            if row["job_id"] in changed:
                events[row["job_id"]].append(event_of(row))
        for row in tables["ledger"]:
            if row["job_id"] in changed:
                ledger[row["job_id"]].append(ledger_of(row))
        outcomes = {row["id"]: None if row["outcome"] is None else State(row["outcome"]) for row in tables["jobs"]}
        workers = frozenset(row["id"] for row in self._db.execute("SELECT id FROM workers"))
        jobs = {name: jobs[name] for name in sorted(rows)}
        self._rows, self._truth = rows, Truth(jobs, outcomes, events, ledger, workers)
        return self._truth


# The provider


@dataclass
class Taken:
    """A request that the provider accepted, and will charge."""

    key: Key
    attempt: int
    submit_key: str
    remote_id: str
    replayable: bool
    told: bool = False
    """Whether the store has heard of it."""

    def acceptance(self, at: int) -> Acceptance:
        return Acceptance(
            job_id=self.key[0],
            idx=self.key[1],
            attempt=self.attempt,
            submit_key=self.submit_key,
            at=at,
            operation={"id": self.remote_id},
            provider_job_id=self.remote_id,
            due_at=at + 2_000,
            deadline_at=at + 900_000,
        )


@dataclass
class Provider:
    """Accepts whatever reaches it; that nothing reaches it twice is ours to see to."""

    taken: list[Taken] = field(default_factory=list[Taken])

    def accept(self, part: Submission) -> Taken:
        assert part.submit_key is not None
        key = (part.job_id, part.idx)
        taken = Taken(key, part.attempt, part.submit_key, f"remote-{len(self.taken) + 1}", part.replayable)
        self.taken.append(taken)
        return taken

    def of(self, part: Submission) -> Taken | None:
        """Return what was made of a submission's present attempt: what an operator finds in the provider's console."""
        return next((item for item in self.taken if item.submit_key == part.submit_key), None)


# The processes


@dataclass(eq=False)
class Flight:
    """One paid call: committed as intended, then sent, then answered (by `settle`), each when its time comes."""

    part: Submission
    settle: Callable[["Process", "Flight"], Awaitable[None]] | None = None
    taken: Taken | None = None


@dataclass(eq=False)
class Process:
    """One process: what it believes of the submissions it claimed, and the calls it is making."""

    id: str
    store: SqliteStore
    clock: FakeClock
    accounts: Sequence[str]
    paused: bool = False
    holds: dict[Key, Submission] = field(default_factory=dict[Key, Submission])
    flights: list[Flight] = field(default_factory=list[Flight])

    async def join(self) -> None:
        await self.store.open()
        await self.store.register(make_worker(id=self.id, lease_until=self.clock.boot() + LEASE_S))

    async def beat(self) -> bool:
        """Renew the lease; a process taken for dead drops everything and comes back."""
        alive = await self.store.heartbeat(self.id, self.clock.boot() + LEASE_S, {})
        if not alive:
            self.holds.clear()
            await self.store.reap([self.id], self.clock.now())
            await self.join()
        return alive

    async def claim(self, limit: int) -> list[Submission]:
        found = await self.store.claim(self.id, accounts=self.accounts, now=self.clock.now(), limit=limit)
        parts = [item.submission for item in found]
        self.holds.update({(part.job_id, part.idx): part for part in parts})
        return parts

    async def reap(self, dead: Sequence[str]) -> list[str]:
        """Free what ended processes held, and those whose lease is over."""
        hung = [row.id for row in await self.store.workers() if row.lease_until < self.clock.boot()]
        return await self.store.reap([*dead, *(name for name in hung if name != self.id)], self.clock.now())

    def keep(self, part: Submission | None, key: Key) -> Submission | None:
        """Remember what became of a submission, as long as it is ours."""
        if part is None or part.owner != self.id:
            self.holds.pop(key, None)
        else:
            self.holds[key] = part
        return part

    async def move(self, part: Submission, target: State, **change: object) -> Submission | None:
        make = partial(Move, target, self.clock.now())
        moved = await self.store.move(part.ref, self.id, make(**change))  # pyright: ignore[reportArgumentType] because the tests name fields of Move
        return self.keep(moved, (part.job_id, part.idx))

    async def end(self, part: Submission, target: State, *, charged: bool, **change: object) -> Submission | None:
        row = make_ledger_row(
            job_id=part.job_id,
            submission=part.idx,
            kind=LedgerKind.SETTLED if charged else LedgerKind.RELEASED,
            at=self.clock.now(),
        )
        return await self.move(part, target, ledger=(row,), **change)

    # ------------------------------------------------------------------ one submission's way

    async def intend(self, part: Submission, submit_key: str) -> Submission | None:
        """Announce the paid call; where a cancel came first, end the submission instead."""
        intent = Intent(submit_key, "acme/main", self.clock.now())
        sent = await self.store.intend(part.ref, self.id, intent)
        if sent is None:
            await self.end(part, State.CANCELLED, charged=False)
            return None
        self.holds.pop((part.job_id, part.idx))
        self.flights.append(Flight(sent))
        return sent

    async def told(self, flight: Flight) -> None:
        """Store an acceptance, whoever owns the submission by now."""
        part, taken = flight.part, flight.taken
        assert taken is not None
        stored = await self.store.accept(taken.acceptance(self.clock.now()))
        assert stored is not None or part.replayable, "an acceptance found no attempt of its own"
        taken.told = stored is not None
        self.keep(stored, taken.key)

    async def lost(self, flight: Flight) -> None:
        """Nobody knows what became of the call."""
        if flight.part.replayable:
            await self.move(flight.part, State.QUEUED)
        else:
            await self.move(flight.part, State.SUBMIT_UNKNOWN, error=LOST, release=True)

    async def refused(self, flight: Flight) -> None:
        await self.move(flight.part, State.QUEUED, due_at=self.clock.now() + 1_000)

    async def refused_for_good(self, flight: Flight) -> None:
        await self.end(flight.part, State.FAILED, charged=False)

    async def results(self, flight: Flight) -> None:
        """A synchronous answer; a late one is let in where the submission still waits for it."""
        part = flight.part
        if await self.move(part, State.DOWNLOADING, results=RESULTS) is not None:
            return
        job = await self.store.get(part.job_id)
        assert job is not None
        late = job.submissions[part.idx]
        if late.state is State.SUBMIT_UNKNOWN and late.submit_key == part.submit_key:
            change = Move(State.DOWNLOADING, self.clock.now(), results=RESULTS)
            assert await self.store.move(late.ref, late.owner, change) is not None

    async def download(self, part: Submission, *, expired: bool = False) -> None:
        if expired:
            await self.end(part, State.FAILED, charged=True)
        else:
            output = make_output(job_id=part.job_id, submission=part.idx, index=part.idx + 1)
            await self.end(part, State.SUCCEEDED, charged=True, outputs=(output,))


ANSWERS = {
    "accepted": Process.told,
    "accepted, and the answer is lost": Process.lost,
    "never reaches the provider": Process.lost,
    "refused": Process.refused,
    "refused for good": Process.refused_for_good,
    "results at once": Process.results,
}
"""What a call may come to, and what its process does once it knows."""
REACHES = frozenset({"accepted", "accepted, and the answer is lost", "results at once"})


def send(flight: Flight, answer: str, provider: Provider) -> None:
    """Make the call; what it came to is known to its process alone until `settle`."""
    flight.settle = ANSWERS[answer]
    if answer in REACHES:
        flight.taken = provider.accept(flight.part)


def new_process(number: int, path: Path, clock: FakeClock, accounts: Sequence[str]) -> Process:
    return Process(f"w-{number}", SqliteStore(path, Bus(), clock), clock, accounts)
