"""What is said of runs, in every state."""

from typing import Any

import pytest

from darkroom.domain.job import State
from darkroom.domain.money import MicroUsd
from darkroom.domain.run import Action, Awaits, Mode, Question, RunState
from darkroom.server.run_views import next_step, result_jobs, run_progress, run_record, run_text, run_view, session_view
from darkroom.store.run_base import RunCost
from factories import NOW, make_job, make_output
from helpers_runs import make_run, make_session, message

COST = RunCost(MicroUsd(200_000), MicroUsd(120_000), MicroUsd(40_000), certain=False, models=("acme/acme-chat-1",))


@pytest.mark.parametrize(
    ("state", "more", "expected"),
    [
        (RunState.QUEUED, {}, "check_job(job_id='run_0000000000000001', wait=25)"),
        (RunState.RUNNING, {}, "goes on by itself"),
        (RunState.WAITING, {"awaits": Awaits.WORK, "waiting_for": ("job_1",)}, "goes on by itself"),
        (RunState.WAITING, {"awaits": Awaits.ANSWER}, "run_agent(run_id='run_0000000000000001', answer=...)"),
        (
            RunState.WAITING,
            {"awaits": Awaits.CLIENT},
            "from a client that lends its model (sampling), and allow its request. Waiting costs nothing; ",
        ),
        (RunState.SUCCEEDED, {"output": "Done."}, "Show the output"),
        (RunState.SUCCEEDED, {"output": "Done.", "session_id": "ses_1"}, "run_agent(session_id='ses_1', task=...)"),
        (RunState.SUCCEEDED, {"brief": {"task": "x"}, "mode": Mode.HAND_OFF}, "Carry out the brief yourself"),
        (RunState.FAILED, {"error": {"message": "No.", "hint": "Set a key"}}, "Set a key."),
        (RunState.FAILED, {"error": {"message": "No.", "hint": "Set a key!"}}, "Set a key!"),
        (RunState.FAILED, {}, "Change what was wrong"),
        (RunState.FAILED, {"session_id": "ses_1"}, "again. run_agent(session_id='ses_1', task=...) goes on from it."),
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


def test_a_session_is_named_once_in_what_to_do_next() -> None:
    hint = "Go on with run_agent(task='go on', session_id='ses_1')."
    assert next_step(make_run(state=RunState.FAILED, session_id="ses_1", error={"hint": hint})) == hint


def test_jobs_that_go_on_are_named_in_what_to_do_next() -> None:
    run = make_run(state=RunState.SUCCEEDED, output="Started.", actions=(Action(tool="x", job_id="job_1", key="k"),))
    job = make_job()
    view = run_view(run, now=NOW, jobs=[job])
    assert f"check_job(job_id='{job.id}', wait=25)" in view["next"]
    assert result_jobs(run, [job]) == []
    assert view["duration_ms"] == NOW - run.created_at


def test_the_files_are_named_where_there_are_some() -> None:
    run = make_run(state=RunState.SUCCEEDED, output="Done.", finished_at=NOW + 1_000)
    done = make_job(state=State.SUCCEEDED, finished_at=NOW + 9_000, outputs=(make_output(),))
    view = run_view(run, now=NOW + 60_000, jobs=[done])
    assert view["next"] == "Show the output and the files to the user."
    assert view["duration_ms"] == NOW + 9_000 - run.created_at  # it is as long as what it started
    lost = make_job(id="job_0000000000000002", state=State.FAILED, finished_at=NOW + 2_000)
    told = run_view(run, now=NOW + 60_000, jobs=[done, lost])["next"]
    assert told.startswith(f"Show the user what there is, and that 1 of 2 jobs failed: check_job(job_id='{lost.id}')")


def test_a_run_whose_model_has_no_room_says_so_while_it_pauses() -> None:
    run = make_run(state=RunState.QUEUED, model="acme/chat", turn=1, work={"refused": 1}, due_at=NOW + 6_000)
    run = run.model_copy(update={"updated_at": NOW})
    told = "acme/chat has no room just now, and is asked again after 6 s (attempt 2)."
    assert run_view(run, now=NOW)["message"] == told
    assert run_progress(run) == (0.0, told)
    going = run.model_copy(update={"state": RunState.RUNNING})
    assert run_view(going, now=NOW)["message"] == "Turn 1."


def test_a_run_among_several_is_short() -> None:
    run = make_run(
        state=RunState.SUCCEEDED, brief={"task": "x"}, mode=Mode.HAND_OFF, output="y" * 900, data={"rows": ["z"]}
    )
    view = run_view(run, now=NOW, listed=True)
    assert {"brief", "data", "steps"}.isdisjoint(view)
    assert len(view["output"]) <= 400
    assert view["next"] == f"check_job(job_id='{run.id}') shows the brief, which is yours to carry out."
    plain = run_view(make_run(state=RunState.SUCCEEDED, output="Done."), now=NOW, listed=True)
    assert plain["next"] == "Show the output to the user."


def test_files_that_a_lean_view_leaves_out_are_counted_and_in_the_record() -> None:
    run = make_run(state=RunState.SUCCEEDED, output="Done.", finished_at=NOW)
    many = tuple(make_output(index=number) for number in range(9))
    job = make_job(state=State.SUCCEEDED, finished_at=NOW, outputs=many)
    view = run_view(run, now=NOW, jobs=[job])
    assert (len(view["outputs"]), view["more_outputs"]) == (8, 1)
    assert f" and 1 more in darkroom://runs/{run.id}\n" in run_text(view)
    record = run_record(run, now=NOW, cost=COST, jobs=[job], inside=[], history=[], ledger=[])
    assert (len(record["outputs"]), "more_outputs" in record) == (9, False)
    few = run_view(run, now=NOW, jobs=[job.model_copy(update={"outputs": many[:8]})])
    assert "more_outputs" not in few
    assert "more in" not in run_text(few)


def test_what_was_spent_is_said_as_surely_as_it_is_known() -> None:
    def words(state: RunState, cost: RunCost) -> str:
        return run_text(run_view(make_run(state=state), now=NOW, cost=cost))

    sure = RunCost(MicroUsd(200_000), MicroUsd(120_000), MicroUsd(0), certain=True, models=())
    assert "It cost $0.12 so far." in words(RunState.RUNNING, sure)
    assert "It cost $0.12.\n" in words(RunState.SUCCEEDED, sure)
    assert "It cost $0.12, of which $0.04 is only reserved.\n" in words(RunState.FAILED, COST)
    both = RunCost(MicroUsd(9), MicroUsd(120_000), MicroUsd(40_000), certain=False, uncertain=MicroUsd(2_100))
    assert "$0.12 so far, of which $0.04 is only reserved and $0.0021 is estimated." in words(RunState.RUNNING, both)
    unpriced = RunCost(MicroUsd(200_000), MicroUsd(120_000), MicroUsd(0), certain=False)
    assert "It cost at least $0.12.\n" in words(RunState.SUCCEEDED, unpriced)


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
        "job_7 and 1 more",
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
