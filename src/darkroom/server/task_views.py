"""What a client of the Tasks extension sees of a job or run: where its task stands, and in which words.

Source: the extension's specification of 2026-07-28 (SEP-2663).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from mcp_types import ElicitRequest, ElicitRequestFormParams

from darkroom.domain.job import Job, State
from darkroom.domain.run import Awaits, Run, RunState
from darkroom.server.views import without_none
from darkroom.services.jobs import STILL, at_rest
from darkroom.services.runs import MOST_ANSWER, Thing, rests

SLOW_S = 60
"""How often to ask about what only a look-up or a person can bring forward."""
ASKED_S = 5
"""How often to ask while an answer is awaited."""
ANSWER = "answer"
"""The one field of the form that a question is."""


_RESULTS = ("output", "data", "brief", "error")
"""What a run has at its end alone."""


class Standing(StrEnum):
    """Where a task stands; `failed` is for errors of the protocol, of which stored work has none."""

    WORKING = "working"
    INPUT_REQUIRED = "input_required"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


FINAL = frozenset({Standing.COMPLETED, Standing.CANCELLED})


def job_standing(job: Job) -> Standing:
    """Return where the task of a job stands; what is past its deadline or of unknown fate may still come."""
    if job.state is State.CANCELLED:
        return Standing.CANCELLED
    return Standing.COMPLETED if job.ended else Standing.WORKING


def as_asked(run: Run, answers: int) -> Run:
    """Return a run as it was when the question after so many answers was open; the run itself before an answer to it.

    A task that has ended with a question tells the same from then on.
    """
    if len(run.answers) <= answers:
        return run
    asked = run.answers[answers]
    then = {"state": RunState.WAITING, "awaits": Awaits.ANSWER, "question": asked.question, "updated_at": asked.at}
    return run.model_copy(
        update={**then, "answers": run.answers[:answers], "finished_at": None, **dict.fromkeys(_RESULTS)}
    )


def run_standing(run: Run, jobs: Sequence[Job], *, asks: bool) -> Standing:
    """Return where a task of a run stands.

    Args:
        run: Which one.
        jobs: Those that it started; a run that has succeeded is over when they are.
        asks: Whether the client puts questions to its user; else a question ends its task.
    """
    if run.state is RunState.CANCELLED:
        return Standing.CANCELLED
    if run.ended:
        return Standing.COMPLETED if all(at_rest(job) for job in jobs) else Standing.WORKING
    if run.awaits is Awaits.ANSWER and asks:
        return Standing.INPUT_REQUIRED
    return Standing.COMPLETED if rests(run) else Standing.WORKING


def task_view(
    task_id: str, thing: Thing, standing: Standing, view: Mapping[str, Any], note: str = ""
) -> dict[str, Any]:
    """Return the fields that every task has.

    Args:
        task_id: Its id.
        thing: The job or run behind it.
        standing: Where it stands.
        view: The lean view of the job or run.
        note: What is to be said besides.
    """
    message = " ".join(part for part in (_message(standing, view, still=_still(thing)), note) if part)
    return {
        "taskId": task_id,
        "status": standing.value,
        "statusMessage": message,
        "createdAt": _time(thing.created_at),
        "lastUpdatedAt": _time(max(thing.created_at, thing.updated_at)),
        "ttlMs": None,  # it lasts as long as its job or run, which nothing but its user deletes
        **without_none({"pollIntervalMs": _poll_ms(standing, view, still=_still(thing))}),
    }


def _still(thing: Thing) -> bool:
    return isinstance(thing, Job) and thing.state in STILL


def _message(standing: Standing, view: Mapping[str, Any], *, still: bool) -> str:
    if standing is Standing.INPUT_REQUIRED:
        return str(view["question"])
    head = f"{view['kind']} {view['status']}"
    if standing is Standing.COMPLETED:
        error: Mapping[str, Any] = view.get("error") or {}
        return f"{head}: {error['message']}" if error.get("message") else head
    if standing is Standing.CANCELLED or still:
        return f"{head}: {view['next']}"
    share = f", {view['progress']:.0%}" if view.get("progress") else ""
    return f"{head}{share}{': ' + str(view['message']) if view.get('message') else ''}"


def _poll_ms(standing: Standing, view: Mapping[str, Any], *, still: bool) -> int | None:
    if standing in FINAL:
        return None
    return 1000 * (SLOW_S if still else view.get("check_after_s", ASKED_S))


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def question_key(run: Run) -> str:
    """Return what a run's open question is called: no other question of that run ever is."""
    return f"question-{len(run.answers) + 1}"


def question_request(run: Run) -> dict[str, Any]:
    """Return the form that asks for the answer to a run's question."""
    text = run.question.text if run.question else ""
    field = {"type": "string", "title": "Answer", "minLength": 1, "maxLength": MOST_ANSWER}
    form = {"type": "object", "properties": {ANSWER: field}, "required": [ANSWER]}
    request = ElicitRequest(params=ElicitRequestFormParams(message=text, requested_schema=form))
    return request.model_dump(by_alias=True, mode="json", exclude_none=True)
