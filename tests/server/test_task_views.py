"""What a task says of its job or run."""

from typing import Any

import pytest

from darkroom.domain.job import Job, State
from darkroom.domain.run import Answer, Awaits, Question, RunState
from darkroom.server.run_views import run_view
from darkroom.server.task_views import (
    SLOW_S,
    Standing,
    as_asked,
    job_standing,
    question_key,
    question_request,
    run_standing,
    task_view,
)
from darkroom.server.views import job_view
from factories import NOW, make_job
from helpers_runs import QUESTION, make_run

ANSWERED = (Answer(question=QUESTION, text="blue", at=NOW),)


def job_in(state: State, **more: Any) -> Job:
    job = make_job(**more)
    part = job.submissions[0].model_copy(update={"state": state, "actual": 0})
    return job.model_copy(update={"submissions": (part,)})


def task_of(job: Job) -> dict[str, Any]:
    return task_view("task_x", job, job_standing(job), job_view(job, now=NOW))


@pytest.mark.parametrize(
    ("state", "standing"),
    [
        (State.QUEUED, Standing.WORKING),
        (State.DOWNLOADING, Standing.WORKING),
        (State.SUBMIT_UNKNOWN, Standing.WORKING),
        (State.PARKED, Standing.WORKING),
        (State.SUCCEEDED, Standing.COMPLETED),
        (State.FAILED, Standing.COMPLETED),
        (State.CANCELLED, Standing.CANCELLED),
    ],
)
def test_a_task_stands_where_its_job_does(state: State, standing: Standing) -> None:
    task = task_of(job_in(state))
    assert task["status"] == standing
    assert task["statusMessage"].startswith(f"image {state}")
    assert ("pollIntervalMs" in task) == (standing is Standing.WORKING)
    assert task["ttlMs"] is None


@pytest.mark.parametrize("state", [State.SUBMIT_UNKNOWN, State.PARKED])
def test_what_may_still_come_is_asked_about_seldom_and_says_what_to_do(state: State) -> None:
    task = task_of(job_in(state))
    assert task["pollIntervalMs"] == SLOW_S * 1000
    assert len(task["statusMessage"]) > len(f"image {state}: ")


def test_a_stopped_job_says_what_it_cost_all_the_same() -> None:
    assert "nothing was charged" in task_of(job_in(State.CANCELLED))["statusMessage"]


def test_a_failure_is_told_in_its_own_words() -> None:
    job = job_in(State.FAILED)
    part = job.submissions[0].model_copy(update={"error": {"code": "overloaded", "message": "They are full."}})
    assert task_of(job.model_copy(update={"submissions": (part,)}))["statusMessage"] == "image failed: They are full."


def test_progress_is_told_in_words() -> None:
    job = job_in(State.RUNNING)
    view = {**job_view(job, now=NOW), "progress": 0.4, "message": "frame 3 of 9"}
    task = task_view("task_x", job, Standing.WORKING, view, "A note.")
    assert task["statusMessage"] == "image running, 40%: frame 3 of 9 A note."
    assert task["createdAt"].endswith("Z")
    assert task["createdAt"] <= task["lastUpdatedAt"]


def test_a_run_is_over_when_the_jobs_that_it_started_are() -> None:
    run = make_run(state=RunState.SUCCEEDED)
    assert run_standing(run, [job_in(State.RUNNING)], asks=True) is Standing.WORKING
    for state in (State.SUCCEEDED, State.FAILED, State.SUBMIT_UNKNOWN):
        assert run_standing(run, [job_in(state)], asks=True) is Standing.COMPLETED


@pytest.mark.parametrize(
    ("run", "asks", "standing"),
    [
        ({"state": RunState.RUNNING}, True, Standing.WORKING),
        ({"state": RunState.RUNNING}, False, Standing.WORKING),
        ({"state": RunState.FAILED}, True, Standing.COMPLETED),
        ({"state": RunState.CANCELLED}, True, Standing.CANCELLED),
        ({"state": RunState.WAITING, "awaits": Awaits.WORK}, True, Standing.WORKING),
        ({"state": RunState.WAITING, "awaits": Awaits.ANSWER}, True, Standing.INPUT_REQUIRED),
        ({"state": RunState.WAITING, "awaits": Awaits.ANSWER}, False, Standing.COMPLETED),
        ({"state": RunState.WAITING, "awaits": Awaits.CLIENT}, True, Standing.COMPLETED),
        ({"state": RunState.RUNNING, "answers": ANSWERED}, True, Standing.WORKING),
    ],
)
def test_a_task_stands_where_its_run_does(run: dict[str, Any], *, asks: bool, standing: Standing) -> None:
    assert run_standing(make_run(**run), [], asks=asks) is standing


def test_a_task_that_began_with_an_answer_goes_on_without_a_form() -> None:
    run = make_run(state=RunState.RUNNING, answers=ANSWERED)
    assert run_standing(as_asked(run, 1), [], asks=False) is Standing.WORKING


def test_a_question_that_was_answered_since_is_still_what_its_task_ended_with() -> None:
    run = make_run(state=RunState.FAILED, answers=ANSWERED, error={"message": "They are full."}, finished_at=NOW + 9)
    then = as_asked(run, 0)
    assert (then.state, then.question, then.answers) == (RunState.WAITING, QUESTION, ())
    assert (then.error, then.finished_at, then.updated_at) == (None, None, NOW)
    assert run_standing(then, [], asks=False) is Standing.COMPLETED
    assert as_asked(run, 1) is run


def test_every_question_of_a_run_is_a_form_with_a_key_of_its_own() -> None:
    question = Question(text="Which street?")
    first = make_run(state=RunState.WAITING, awaits=Awaits.ANSWER, question=question)
    later = first.model_copy(update={"answers": ANSWERED})
    assert question_key(first) != question_key(later)
    request = question_request(first)
    assert request["method"] == "elicitation/create"
    assert request["params"]["message"] == "Which street?"
    assert request["params"]["mode"] == "form"
    assert request["params"]["requestedSchema"]["required"] == ["answer"]
    task = task_view("task_x", first, Standing.INPUT_REQUIRED, run_view(first, now=NOW))
    assert task["statusMessage"] == "Which street?"
    assert task["pollIntervalMs"] == 5000
