"""Rows to objects and back; the only place that knows the columns."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ConfigDict, JsonValue, TypeAdapter

from darkroom.domain.job import ENDED, Event, Job, LedgerKind, LedgerRow, State, Submission, derive
from darkroom.domain.kinds import Kind, Mode
from darkroom.domain.output import FailedOutput, Output, RemoteOutput
from darkroom.domain.request import Effective, ImageRequest, MediaInput, VideoRequest, request_adapter
from darkroom.store.base import Worker

_deferred = ConfigDict(defer_build=True)
_remotes = TypeAdapter(tuple[RemoteOutput, ...], config=_deferred)
_failures = TypeAdapter(tuple[FailedOutput, ...], config=_deferred)


def to_json(value: Any) -> str:
    """Return plain data as JSON text; what JSON cannot hold (NaN, infinity) becomes null: an answer must get in."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        plain = json.loads(json.dumps(value), parse_constant=lambda _: None)
        return json.dumps(plain, separators=(",", ":"))


def results_json(results: tuple[RemoteOutput, ...]) -> str:
    """Return provider results as JSON text."""
    return _remotes.dump_json(results).decode()


def failures_json(failures: tuple[FailedOutput, ...]) -> str:
    """Return failed outputs as JSON text."""
    return _failures.dump_json(failures).decode()


def submission_of(row: sqlite3.Row) -> Submission:
    """Return one row of `submissions`."""
    return Submission.model_construct(
        job_id=row["job_id"],
        idx=row["idx"],
        state=State(row["state"]),
        provider=row["provider"],
        model=row["model"],
        effective=Effective.model_validate_json(row["effective"]),
        replayable=bool(row["replayable"]),
        synchronous=bool(row["synchronous"]),
        attempt=row["attempt"],
        submit_key=row["submit_key"],
        sent_at=row["sent_at"],
        account=row["account"],
        operation=None if row["operation"] is None else json.loads(row["operation"]),
        provider_job_id=row["provider_job_id"],
        accepted_at=row["accepted_at"],
        due_at=row["due_at"],
        deadline_at=row["deadline_at"],
        results=_remotes.validate_json(row["results"]),
        failed_outputs=_failures.validate_json(row["failed_outputs"]),
        notes=json.loads(row["notes"]),
        error=None if row["error"] is None else json.loads(row["error"]),
        estimate=row["estimate"],
        actual=row["actual"],
        owner=row["owner"],
        version=row["version"],
    )


def output_of(row: sqlite3.Row) -> Output:
    """Return one row of `outputs`."""
    data = {key: row[key] for key in row.keys() if key != "idx"}  # noqa: SIM118 because iterating a row gives values
    return Output.model_construct(index=row["idx"], **data)


def request_of(text: str) -> ImageRequest | VideoRequest:
    """Return a stored request, whose inputs are taken already: callers may write fewer fields of them than we keep."""
    data: dict[str, Any] = json.loads(text)
    data["images"] = [MediaInput.model_validate(item) for item in data["images"]]
    for scene in data.get("scenes", ()):
        scene["image"] = None if scene["image"] is None else MediaInput.model_validate(scene["image"])
    return request_adapter.validate_python(data)


def event_of(row: sqlite3.Row) -> Event:
    """Return one row of `events`."""
    return Event.model_validate(dict(row))


def ledger_of(row: sqlite3.Row) -> LedgerRow:
    """Return one row of `ledger`."""
    return LedgerRow(
        job_id=row["job_id"],
        submission=row["submission"],
        kind=LedgerKind(row["kind"]),
        micro_usd=row["micro_usd"],
        at=row["at"],
        certain=bool(row["certain"]),
        guess=row["guess"],
    )


def worker_of(row: sqlite3.Row) -> Worker:
    """Return one row of `workers`."""
    return Worker(
        id=row["id"],
        host=row["host"],
        pid=row["pid"],
        boot_id=row["boot_id"],
        started_at=row["started_at"],
        lease_until=row["lease_until"],
        lingers=bool(row["lingers"]),
        accounts=tuple(json.loads(row["accounts"])),
        progress={job_id: (item[0], item[1]) for job_id, item in json.loads(row["progress"]).items()},
    )


def job_of(row: sqlite3.Row, parts: Sequence[sqlite3.Row], files: Sequence[sqlite3.Row]) -> Job:
    """Return one row of `jobs` with the rows that belong to it."""
    return Job.model_construct(
        id=row["id"],
        principal=row["principal"],
        kind=Kind(row["kind"]),
        mode=Mode(row["mode"]),
        request=request_of(row["request"]),
        request_hash=row["request_hash"],
        idempotency_key=row["idempotency_key"],
        max_cost=row["max_cost"],
        save_as=row["save_as"],
        labels=tuple(json.loads(row["labels"])),
        priority=row["priority"],
        warnings=tuple(json.loads(row["warnings"])),
        retry_of=row["retry_of"],
        parent_job_id=row["parent_job_id"],
        plan=row["plan"],
        run_id=row["run_id"],
        cancel_requested_at=row["cancel_requested_at"],
        delivered_at=row["delivered_at"],
        created_at=row["created_at"],
        updated_at=max(row["updated_at"], *(part["updated_at"] for part in parts)),
        finished_at=row["finished_at"],
        submissions=tuple(submission_of(part) for part in parts),
        outputs=tuple(output_of(file) for file in files),
    )


def load_jobs(db: sqlite3.Connection, rows: Iterable[sqlite3.Row]) -> list[Job]:
    """Return the jobs of these rows, in their order, with submissions and outputs."""
    jobs: list[Job] = []
    for row in rows:
        parts = db.execute("SELECT * FROM submissions WHERE job_id = ? ORDER BY idx", (row["id"],)).fetchall()
        files = db.execute("SELECT * FROM outputs WHERE job_id = ? ORDER BY idx", (row["id"],)).fetchall()
        jobs.append(job_of(row, parts, files))
    return jobs


def load_job(db: sqlite3.Connection, job_id: str) -> Job | None:
    """Return one job, or None."""
    rows = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchall()
    return next(iter(load_jobs(db, rows)), None)


def insert(db: sqlite3.Connection, table: str, values: dict[str, Any], *, ignore: bool = False) -> None:
    """Insert one row; table and columns are ours, never a caller's."""
    names = ", ".join(values)
    holes = ", ".join("?" for _ in values)
    verb = "INSERT OR IGNORE" if ignore else "INSERT"
    db.execute(f"{verb} INTO {table} ({names}) VALUES ({holes})", tuple(values.values()))


def insert_job(db: sqlite3.Connection, job: Job) -> None:
    """Insert a job with its submissions."""
    state = derive(part.state for part in job.submissions)
    values = {
        **job.model_dump(exclude={"request", "labels", "warnings", "submissions", "outputs"}),
        "outcome": state if state in ENDED else None,
        "request": job.request.model_dump_json(),
        "labels": to_json(job.labels),
        "warnings": to_json(job.warnings),
    }
    insert(db, "jobs", values)
    for part in job.submissions:
        insert_submission(db, part, job.updated_at)


def insert_submission(db: sqlite3.Connection, part: Submission, at: int) -> None:
    """Insert a submission of a job that is there."""
    plain = part.model_dump(exclude={"effective", "operation", "results", "failed_outputs", "notes", "error"})
    packed = {
        "effective": part.effective.model_dump_json(exclude_none=True),
        "operation": None if part.operation is None else to_json(part.operation),
        "results": results_json(part.results),
        "failed_outputs": failures_json(part.failed_outputs),
        "notes": to_json(part.notes),
        "error": None if part.error is None else to_json(part.error),
        "updated_at": at,
    }
    flags = {"replayable": int(part.replayable), "synchronous": int(part.synchronous)}
    insert(db, "submissions", {**plain, **flags, **packed})


def insert_outputs(db: sqlite3.Connection, outputs: Iterable[Output]) -> None:
    """Insert kept files; one that is there already stays."""
    for output in outputs:
        data = output.model_dump(exclude={"index"})
        insert(db, "outputs", {**data, "idx": output.index}, ignore=True)


def insert_turn(db: sqlite3.Connection, part: Submission, turn: dict[str, JsonValue] | None) -> None:
    """Keep what the provider wants back when somebody goes on with the result; None keeps nothing."""
    if turn is not None:
        values = (part.job_id, part.idx, to_json(turn))
        db.execute("INSERT OR REPLACE INTO turns (job_id, idx, content) VALUES (?, ?, ?)", values)


def insert_ledger(db: sqlite3.Connection, rows: Iterable[LedgerRow]) -> None:
    """Append ledger rows with what the job or run knows of them; a second one of the same kind is left out."""
    for row in rows:
        db.execute(
            """INSERT OR IGNORE INTO ledger
               (job_id, submission, kind, micro_usd, at, certain, guess, principal, provider, model)
               SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, jobs.principal, submissions.provider, submissions.model
               FROM jobs JOIN submissions ON submissions.job_id = jobs.id WHERE jobs.id = ?1 AND submissions.idx = ?2
               UNION ALL SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, principal,
                   substr(model, 1, max(instr(model, '/') - 1, 0)), substr(model, instr(model, '/') + 1)
               FROM (SELECT principal, COALESCE(model, '') AS model FROM runs WHERE id = ?1)""",
            (row.job_id, row.submission, row.kind, row.micro_usd, row.at, row.certain, row.guess),
        )


def insert_event(
    db: sqlite3.Connection,
    job_id: str,
    submission: int,
    origin: State | None,
    target: State,
    at: int,
    owner: str | None = None,
    detail: str | None = None,
) -> None:
    """Append one event with the job's next number."""
    db.execute(
        """INSERT INTO events (job_id, seq, submission, origin, target, at, owner, detail)
           SELECT ?, COALESCE(MAX(seq), 0) + 1, ?, ?, ?, ?, ?, ? FROM events WHERE job_id = ?""",
        (job_id, submission, origin, target, at, owner, detail, job_id),
    )
