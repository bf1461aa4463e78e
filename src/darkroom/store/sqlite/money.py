"""The ledger's transactions: limits that hold whoever adds, what was spent, later words on a bill."""

import json
import sqlite3
from collections.abc import Sequence

from darkroom.domain.job import LedgerKind, LedgerRow, State
from darkroom.domain.money import MicroUsd, show_usd
from darkroom.errors import BudgetExceeded
from darkroom.store.base import Limit, Spent
from darkroom.store.sqlite.rows import insert_ledger

CHAT = "chat"
"""The kind of a run's own model calls."""
IN_TREE = """job_id IN (
    WITH RECURSIVE tree (id) AS (
        SELECT ?1 UNION
        SELECT runs.id FROM runs JOIN tree ON runs.parent_run_id = tree.id OR runs.root_run_id = tree.id)
    SELECT id FROM tree UNION ALL SELECT jobs.id FROM jobs JOIN tree ON jobs.run_id = tree.id)"""
"""Rows of the ledger that belong to a run, to what is inside it, or to their jobs."""


def check_limits(db: sqlite3.Connection, limits: Sequence[Limit], amount: int) -> None:
    """Hold a new reservation, which is not stored yet, against every limit.

    Raises:
        BudgetExceeded: If one would be passed; the message says what is spent, open and left.
    """
    if amount == 0:
        return
    for limit in limits:
        where = "1 = 1" if limit.run_id is None else IN_TREE
        row = db.execute(
            f"""SELECT COALESCE(SUM(micro_usd), 0) AS spent, COALESCE(SUM(CASE WHEN open THEN micro_usd END), 0) AS open
                FROM spending WHERE at >= ?2 AND (?3 IS NULL OR principal = ?3) AND {where}""",  # noqa: S608 because the condition is ours
            (limit.run_id, limit.since, limit.principal),
        ).fetchone()
        if row["spent"] + amount > limit.cap:
            raise BudgetExceeded(
                f"This may cost {show_usd(amount, exact=True)}; {_room(limit, row['spent'], row['open'])}.",
                field="max_cost",
                hint=f"Nothing was stored or sent. {_way_out(limit)}",
            )


def _room(limit: Limit, used: int, pending: int) -> str:
    """Return what is left of a limit, with digits enough that the sum is seen to be right."""
    cap, left = show_usd(limit.cap, exact=True), show_usd(max(limit.cap - used, 0), exact=True)
    if not used:
        return f"the {limit.name} is {cap}"
    by_open = f", {show_usd(pending, exact=True)} of it by work that is not done" if pending else ""
    return f"of the {limit.name} of {cap} only {left} is left ({show_usd(used, exact=True)} used{by_open})"


def _way_out(limit: Limit) -> str:
    if limit.run_id is not None:  # which begins anew with no period
        return f"Make it cheaper, or raise {limit.setting}."
    return f"Wait for the next {limit.period}, make it cheaper, or raise {limit.setting}."


def reserved(rows: Sequence[LedgerRow]) -> int:
    """Return what these rows reserve."""
    return sum(row.micro_usd for row in rows if row.kind is LedgerKind.RESERVED)


def spent(db: sqlite3.Connection, since: int, until: int, principal: str | None) -> list[Spent]:
    """Return what was reserved from `since` until before `until`, with what it costs by now, oldest first."""
    rows = db.execute(
        f"""SELECT spending.*, COALESCE(jobs.kind, '{CHAT}') AS kind, COALESCE(jobs.labels, '[]') AS labels,
               CASE WHEN jobs.id IS NULL THEN runs.plan ELSE jobs.plan END AS plan,
               COALESCE(runs.agent, runs.workflow, CASE WHEN runs.id IS NOT NULL THEN '{CHAT}' END) AS agent, runs.tier,
               COALESCE(submissions.state, CASE WHEN open THEN 'running' WHEN certain AND NOT released THEN 'succeeded'
                   ELSE 'failed' END) AS state,
               CASE WHEN jobs.id IS NOT NULL THEN submissions.estimate WHEN priced THEN expected END AS estimate,
               COALESCE(json_extract(submissions.effective, '$.n'), 1) AS outputs
           FROM spending LEFT JOIN jobs ON jobs.id = spending.job_id
           LEFT JOIN submissions ON submissions.job_id = spending.job_id AND submissions.idx = spending.submission
           LEFT JOIN runs ON runs.id = COALESCE(jobs.run_id, spending.job_id)
           WHERE at >= ?1 AND at < ?2 AND (?3 IS NULL OR spending.principal = ?3)
               AND (submissions.job_id IS NOT NULL OR (jobs.id IS NULL AND runs.id IS NOT NULL))
           ORDER BY at, spending.job_id, spending.submission""",  # noqa: S608 because the word is ours
        (since, until, principal),
    )
    return [
        Spent(
            job_id=row["job_id"],
            submission=row["submission"],
            principal=row["principal"],
            kind=row["kind"],
            provider=row["provider"],
            model=row["model"],
            plan=row["plan"],
            labels=tuple(json.loads(row["labels"])),
            state=State(row["state"]),
            at=row["at"],
            outputs=row["outputs"],
            estimate=row["estimate"],
            micro_usd=MicroUsd(row["micro_usd"]),
            certain=bool(row["certain"]),
            open=bool(row["open"]),
            agent=row["agent"],
            tier=row["tier"],
        )
        for row in rows
    ]


def adjust(db: sqlite3.Connection, job_id: str, submission: int, amount: MicroUsd, at: int) -> bool:
    """Set what a submission cost after all, once; return whether it was set."""
    row = db.execute("SELECT open FROM spending WHERE job_id = ? AND submission = ?", (job_id, submission)).fetchone()
    if row is None or row["open"]:
        return False
    before = db.total_changes
    insert_ledger(
        db, [LedgerRow(job_id=job_id, submission=submission, kind=LedgerKind.ADJUSTED, micro_usd=amount, at=at)]
    )
    if db.total_changes == before:
        return False
    db.execute("UPDATE submissions SET actual = ? WHERE job_id = ? AND idx = ?", (amount, job_id, submission))
    return True
