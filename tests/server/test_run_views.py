"""What is said of runs, in every state."""

from typing import Any

import pytest

from darkroom.domain.job import State
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Action, Awaits, Mode, Question, RunState
from darkroom.server.run_views import next_step, result_jobs, run_progress, run_record, run_text, run_view, session_view
from darkroom.store.run_base import RunCost
from factories import NOW, make_job, make_submission
from helpers_runs import make_run, make_session, message

COST = RunCost(MicroUsd(200_000), MicroUsd(120_000), MicroUsd(40_000), certain=False, models=("acme/acme-chat-1",))


@pytest.mark.parametrize(
    ("state", "more", "expected"),
    [
        (RunState.QUEUED, {}, "check_job(job_id='run_0000000000000001', wait=25)"),
        (RunState.RUNNING, {}, "goes on by itself"),
        (RunState.WAITING, {"awaits": Awaits.WORK, "waiting_for": ("job_1",)}, "goes on by itself"),
        (RunState.WAITING, {"awaits": Awaits.ANSWER}, "run_agent(run_id='run_0000000000000001', answer=...)"),
        (RunState.WAITING, {"awaits": Awaits.CLIENT}, "Continue with run_agent(run_id='run_0000000000000001')."),
        (RunState.SUCCEEDED, {"output": "Done."}, "Show the output"),
        (RunState.SUCCEEDED, {"output": "Done.", "session_id": "ses_1"}, "run_agent(session_id='ses_1', task=...)"),
        (RunState.SUCCEEDED, {"brief": {"task": "x"}, "mode": Mode.HAND_OFF}, "Carry out the brief yourself"),
        (RunState.SUCCEEDED, {"actions": (Action(tool="x", job_id="job_1", key="k"),)}, "and the files"),
        (RunState.FAILED, {"error": {"message": "No.", "hint": "Set a key"}}, "Set a key."),
        (RunState.FAILED, {"error": {"message": "No.", "hint": "Set a key!"}}, "Set a key!"),
        (RunState.FAILED, {}, "Change what was wrong"),
        (RunState.CANCELLED, {}, "It stopped"),
    ],
)
def test_every_state_says_what_to_do_next(state: RunState, more: dict[str, Any], expected: str) -> None:
    run = make_run(state=state, **more)
    assert expected in next_step(run)
    view = run_view(run, now=NOW)
    assert view["next"] == next_step(run)
    assert view["next"] in run_text(view)
    assert ("check_after_s" in view) == ("goes on by itself" in view["next"])


def test_jobs_that_go_on_are_named_in_what_to_do_next() -> None:
    run = make_run(state=RunState.SUCCEEDED, output="Started.", actions=(Action(tool="x", job_id="job_1", key="k"),))
    job = make_job()
    view = run_view(run, now=NOW, jobs=[job])
    assert f"check_job(job_id='{job.id}', wait=25)" in view["next"]
    assert result_jobs(run, [job]) == []


def test_no_files_are_promised_where_the_only_job_failed() -> None:
    run = make_run(state=RunState.SUCCEEDED, output="It failed.", actions=(Action(tool="x", job_id="job_1", key="k"),))
    view = run_view(run, now=NOW, jobs=[make_job(submissions=(make_submission(state=State.FAILED),))])
    assert view["next"] == "Tell the user what the output says; no file was made."


def test_the_text_holds_all_that_a_person_needs() -> None:
    run = make_run(
        state=RunState.FAILED,
        output="The first half.",
        error={"message": "No key.", "hint": "Set one."},
        warnings=("It was cut.",),
        actions=tuple(Action(tool="x", job_id=f"job_{number}", key=str(number)) for number in range(9)),
    )
    view = run_view(run, now=NOW, cost=COST)
    text = run_text(view)
    for part in (
        "run_0000000000000001 (copywriter): failed",
        "$0.12",
        "The first half.",
        "No key.",
        "It was cut.",
        "...",
    ):
        assert part in text, part
    assert view["cost"] == {
        "estimate_usd": 0.2,
        "actual_usd": 0.12,
        "open_usd": 0.04,
        "certain": False,
        "models": ["acme/acme-chat-1"],
    }
    asking = make_run(state=RunState.WAITING, awaits=Awaits.ANSWER, question=Question(text="Which colour?"))
    assert "Question: Which colour?" in run_text(run_view(asking, now=NOW))


def test_a_long_output_is_cut_in_the_view_and_whole_in_the_record() -> None:
    run = make_run(state=RunState.SUCCEEDED, output="x" * 20_000, data={"rows": ["y" * 5_000]})
    view = run_view(run, now=NOW)
    assert len(view["output"]) <= 8_000
    assert "data" not in view
    record = run_record(run, now=NOW, cost=COST, jobs=[], inside=[make_run(2)], history=[], ledger=[])
    assert (record["output"], record["data"]) == (run.output, run.data)
    assert record["runs"] == [{"run_id": "run_0000000000000002", "agent": "copywriter", "status": "queued"}]


def test_progress_says_what_goes_on() -> None:
    assert run_progress(make_run()) == (0.0, None)
    assert run_progress(make_run(state=RunState.RUNNING, turn=3)) == (0.0, "Turn 3.")
    assert run_progress(make_run(state=RunState.SUCCEEDED)) == (1.0, None)
    waiting = make_run(state=RunState.WAITING, awaits=Awaits.WORK, waiting_for=("job_1", "job_2"))
    assert run_progress(waiting) == (0.0, "It waits for job_1, job_2.")
    assert run_progress(make_run(state=RunState.RUNNING, cancel_requested_at=NOW)) == (0.0, "The stop is noted.")


def test_a_session_is_paged_from_its_end() -> None:
    session = make_session(history=tuple(message(f"word {number}") for number in range(5)), answers={"tone": "dry"})
    view = session_view(session, page=2)
    assert [row["content"] for row in view["history"]] == ["word 3", "word 4"]
    assert (view["messages"], view["answers"]) == (5, {"tone": "dry"})
    assert view["older"].endswith("?before=3")
    last = session_view(session, before=1, page=2)
    assert [row["number"] for row in last["history"]] == [0]
    assert "older" not in last
    assert "history" not in session_view(session, before=0)
