"""What callers see of a run: the lean view of every answer, the same in words, and the full record."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from darkroom.domain.assumed import assumed_in
from darkroom.domain.job import Job, LedgerRow, State
from darkroom.domain.money import json_usd, show_usd, to_micro
from darkroom.domain.request import clip
from darkroom.domain.run import ENDED, Awaits, Run, RunKind, RunState, Session
from darkroom.domain.workflow import Workflow, overview
from darkroom.server.views import output_view, without_none
from darkroom.services.jobs import at_rest
from darkroom.store.run_base import RunCost

RUN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "run_id": {"type": "string"},
        "status": {"type": "string"},
        "output": {"type": "string"},
        "brief": {"type": "object"},
        "question": {"type": "string"},
        "cost": {"type": "object"},
        "error": {"type": "object"},
        "next": {"type": "string"},
    },
    "required": ["status"],
}
FILES = 8
"""Files that a lean view lists."""
DATA = 4_000
"""Letters of JSON up to which the result as data is in the lean view."""
LISTED = 400
"""Letters of an output in a list."""
SHOWN = 8_000
"""Letters of an output in the lean view; all of it is in the record."""


def run_view(
    run: Run, *, now: int, cost: RunCost | None = None, jobs: Sequence[Job] = (), listed: bool = False
) -> dict[str, Any]:
    """Return the lean view of a run.

    Args:
        run: Which one.
        now: In milliseconds.
        cost: What it and all in it costs.
        jobs: Those that it and the runs inside it started, oldest first.
        listed: It is one of several: without its brief, its data and most of its output.
    """
    waiting = not run.ended and run.awaits not in (Awaits.ANSWER, Awaits.CLIENT)
    steps = overview(run.work) if run.kind is RunKind.WORKFLOW else []
    files = _files(run, jobs)
    tokens = {"input": run.input_tokens, "output": run.output_tokens, "total": run.input_tokens + run.output_tokens}
    return without_none(
        {
            "run_id": run.id,
            "kind": "run",
            "agent": run.agent or (run.brief or {}).get("agent"),
            "workflow": run.workflow,
            "model": run.model,
            "status": run.state.value,
            "progress": _progress(steps) if waiting else None,
            "message": _message(run, steps) if waiting else None,
            "output": clip(run.output, LISTED if listed else SHOWN) if run.output else None,
            "data": run.data
            if run.data and len(json.dumps(run.data, default=str)) <= (0 if listed else DATA)
            else None,
            "inputs": without_none(run.work.get("inputs") or {}) if run.kind is RunKind.WORKFLOW else None,
            "assumed": assumed_in(run.work) or None if run.kind is RunKind.WORKFLOW else None,
            "brief": None if listed else run.brief,
            "steps": [] if listed else [_step(row) for row in steps],
            "actions": [
                without_none({"tool": item.tool, "job_id": item.job_id, "run_id": item.run_id}) for item in run.actions
            ],
            "outputs": files[:FILES],
            "more_outputs": max(len(files) - FILES, 0) or None,
            "question": run.question.text if run.question else None,
            "token_usage": tokens if tokens["total"] else None,
            "cost": _cost(cost) if cost else None,
            "duration_ms": _end(run, jobs, now) - run.created_at,
            "session_id": run.session_id,
            "error": run.error,
            "warnings": list(run.warnings),
            "check_after_s": 5 if waiting else None,
            "next": _whole(run) if listed and run.brief else next_step(run, jobs),
        }
    )


def _files(run: Run, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    return [output_view(output) for job in result_jobs(run, jobs) for output in job.outputs]


def _step(row: Mapping[str, Any]) -> dict[str, Any]:
    return without_none({key: row.get(key) for key in ("step", "kind", "status")})


def _end(run: Run, jobs: Sequence[Job], now: int) -> int:
    """Return when a run and all jobs in it had ended; now while one has not."""
    return max(now if at is None else at for at in (run.finished_at, *(job.finished_at for job in jobs)))


def _whole(run: Run) -> str:
    return f"check_job(job_id='{run.id}') shows the brief, which is yours to carry out."


def result_jobs(run: Run, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs whose files are the result, first those that matter most: as a workflow names them, else newest.

    Args:
        run: Whose result it is.
        jobs: Those that it and the runs inside it started, oldest first.
    """
    done = [job for job in jobs if job.outputs]
    found = (run.data or {}).get("files") if run.kind is RunKind.WORKFLOW else None
    named: list[Any] = found if isinstance(found, list) else []

    def place(job: Job) -> int:
        return min((named.index(output.id) for output in job.outputs if output.id in named), default=len(named))

    result = sorted((job for job in done if place(job) < len(named)), key=place)
    return result or done[::-1]


def _cost(cost: RunCost) -> dict[str, Any]:
    return without_none(
        {
            "estimate_usd": json_usd(cost.estimate),
            "actual_usd": json_usd(cost.actual),
            "open_usd": json_usd(cost.open) if cost.open else None,
            "uncertain_usd": json_usd(cost.uncertain) if cost.uncertain else None,
            "certain": False if cost.actual and not cost.certain else None,
            "models": list(cost.models),
        }
    )


def run_progress(run: Run) -> tuple[float, str | None]:
    """Return how far a run is, from 0 to 1 as far as that is known, and what goes on in words."""
    steps = overview(run.work) if run.kind is RunKind.WORKFLOW else []
    return (1.0, None) if run.ended else (_progress(steps) or 0.0, _message(run, steps))


def _progress(steps: Sequence[Mapping[str, Any]]) -> float | None:
    ended = sum(row.get("status") in ("succeeded", "failed", "skipped", "given") for row in steps)
    return round(ended / len(steps), 2) if steps else None


def _message(run: Run, steps: Sequence[Mapping[str, Any]]) -> str | None:
    """Say in a few words what goes on."""
    if run.cancel_requested_at is not None:
        return "The stop is noted."
    if steps:
        going = [str(row.get("message") or row["step"]) for row in steps if row.get("status") == "running"]
        return clip(", ".join(going), 160) or None
    if run.awaits is Awaits.WORK:
        return f"It waits for {', '.join(run.waiting_for[:4])}."
    if held := held_up(run):
        return f"{held}."
    return f"Turn {run.turn}." if run.turn else None


def held_up(run: Run) -> str | None:
    """Say that a run pauses since its language model has no room; None where it does not."""
    refused = int(run.work.get("refused") or 0)
    if run.state is not RunState.QUEUED or not refused or not run.due_at:
        return None
    seconds = max(1, round((run.due_at - run.updated_at) / 1000))
    return f"{run.model} has no room just now, and is asked again after {seconds} s (attempt {refused + 1})"


def next_step(run: Run, jobs: Sequence[Job] = ()) -> str:
    """Return in one sentence what to do now; `jobs` are those that it started."""
    going = [job.id for job in jobs if not at_rest(job)]
    lost = [job.id for job in jobs if job.state is State.FAILED]
    again = f" run_agent(session_id='{run.session_id}', task=...) goes on from it." if run.session_id else ""
    match run.state:
        case RunState.SUCCEEDED if run.brief is not None:
            return "Carry out the brief yourself, now: answer or ask its questions, then make its next calls."
        case RunState.SUCCEEDED if going:
            return f"Call check_job(job_id='{','.join(going[:20])}', wait=25) for its files.{again}"
        case RunState.SUCCEEDED if lost:
            why = f"check_job(job_id='{','.join(lost[:20])}') says why."
            return f"Show the user what there is, and that {len(lost)} of {len(jobs)} jobs failed: {why}{again}"
        case RunState.SUCCEEDED if any(job.outputs for job in jobs):
            return f"Show the output and the files to the user.{again}"
        case RunState.SUCCEEDED:
            return f"Show the output to the user.{again}"
        case RunState.FAILED:
            hint = str((run.error or {}).get("hint") or "Change what was wrong and call run_agent again.")
            again = "" if run.session_id and run.session_id in hint else again
            return f"{hint}{again}" if hint.endswith((".", "!", "?")) else f"{hint}.{again}"
        case RunState.CANCELLED:
            return f"It stopped; jobs that were paid for by then are kept.{again}"
        case RunState.WAITING if run.awaits is Awaits.ANSWER:
            return f"Ask the user, then call run_agent(run_id='{run.id}', answer=...)."
        case RunState.WAITING if run.awaits is Awaits.CLIENT:
            return (
                f"Continue with run_agent(run_id='{run.id}') from a client that lends its model (sampling), and allow "
                f"its request. Waiting costs nothing; cancel_job('{run.id}') stops it."
            )
        case _:
            return f"Call check_job(job_id='{run.id}', wait=25) to wait for it; it goes on by itself."


def run_text(view: Mapping[str, Any], brief_text: str | None = None) -> str:
    """Return a run in words, whole: a client may show nothing else."""
    who = view.get("workflow") or view.get("agent")
    head = f"run {view['run_id']}{f' ({who})' if who else ''}: {view['status']}"
    cost = _spent(view.get("cost", {}), ended=view["status"] in ENDED)
    paths = ", ".join(str(item.get("path") or item["url"]) for item in view.get("outputs", ()))
    more = f" and {view['more_outputs']} more in darkroom://runs/{view['run_id']}" if "more_outputs" in view else ""
    error = view.get("error", {}).get("message")
    jobs = [item["job_id"] for item in view.get("actions", ()) if "job_id" in item]
    parts = [
        f"{head}.{cost}",
        f"Question: {view['question']}" if "question" in view else None,
        view.get("output"),
        brief_text,
        f"{paths}{more}",
        f"Jobs: {', '.join(jobs[:FILES])}{f' and {len(jobs) - FILES} more' if len(jobs) > FILES else ''}"
        if jobs
        else None,
        error,
        view.get("message"),
        " ".join(view.get("warnings", ())) or None,
        view["next"],
    ]
    return "\n\n".join(str(part) for part in parts if part)


def _spent(cost: Mapping[str, Any], *, ended: bool) -> str:
    return f" It cost {cost_words(cost, ended=ended)}." if cost.get("actual_usd") else ""


def cost_words(cost: Mapping[str, Any], *, ended: bool = True) -> str:
    """Return what a run costs by now, and how much of that may still change: `$0.12, of which $0.01 is estimated`."""
    kinds = (("open_usd", "only reserved"), ("uncertain_usd", "estimated"))
    unsure = [f"{_usd(cost[name])} is {what}" for name, what in kinds if name in cost]
    least = "at least " if not unsure and not cost.get("certain", True) else ""  # a price that nobody knows
    note = f", of which {' and '.join(unsure)}" if unsure else ""
    return f"{least}{_usd(cost.get('actual_usd', 0))}{'' if ended else ' so far'}{note}"


def _usd(amount: float) -> str:
    return show_usd(to_micro(Decimal(str(amount))))


def run_record(
    run: Run,
    *,
    now: int,
    cost: RunCost,
    jobs: Sequence[Job],
    inside: Sequence[Run],
    history: Sequence[Mapping[str, Any]],
    ledger: Sequence[LedgerRow],
    callback: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return everything that is known of a run, except secrets and file contents."""
    return without_none(
        {
            **run_view(run, now=now, cost=cost, jobs=jobs),
            "outputs": _files(run, jobs),
            "more_outputs": None,
            "mode": run.mode.value,
            "tier": run.tier,
            "task": run.task,
            "context": run.context,
            "output": run.output,
            "data": run.data,
            "created_at": run.created_at,
            "finished_at": run.finished_at,
            "idempotency_key": run.idempotency_key,
            "parent_run_id": run.parent_run_id,
            "turns": run.turn,
            "steps": overview(run.work) if run.kind is RunKind.WORKFLOW else None,
            "answers": [item.model_dump(mode="json", exclude_none=True) for item in run.answers],
            "runs": [{"run_id": item.id, "agent": item.agent, "status": item.state.value} for item in inside],
            "jobs": [{"job_id": job.id, "kind": job.kind.value, "status": job.state.value} for job in jobs],
            "history": list(history),
            "ledger": [
                {
                    "turn": row.submission,
                    "kind": row.kind.value,
                    "usd": json_usd(row.micro_usd),
                    "certain": row.certain,
                    "at": row.at,
                }
                for row in ledger
            ],
            "callback": callback,
        }
    )


def session_row(session: Session) -> dict[str, Any]:
    """Return what a list says of a session."""
    return without_none(
        {
            "session_id": session.id,
            "agent": session.agent,
            "title": session.title,
            "created_at": session.created_at,
            "updated_at": session.updated_at,
            "uri": f"darkroom://sessions/{session.id}",
        }
    )


def session_view(session: Session, *, before: int | None = None, page: int = 50) -> dict[str, Any]:
    """Return a session with its newest messages before the one of that number (counting from 0)."""
    end = len(session.history) if before is None else max(0, min(before, len(session.history)))
    start = max(0, end - page)
    return without_none(
        {
            **session_row(session),
            "messages": len(session.history),
            "history": [
                {"number": number, **item.model_dump(mode="json", exclude_none=True)}
                for number, item in enumerate(session.history[start:end], start)
            ],
            "answers": session.answers,
            "older": f"darkroom://sessions/{session.id}?before={start}" if start else None,
        }
    )


def workflow_row(flow: Workflow) -> dict[str, Any]:
    """Return what a list says of a workflow."""
    return {
        "workflow": flow.name,
        "name": flow.title,
        "does": flow.about,
        "inputs": [f"{name}{' (required)' if item.required else ''}" for name, item in flow.inputs.items()],
        "steps": [step.id for step in flow.steps],
    }
