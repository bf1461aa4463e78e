"""What the workflow engine starts, waits for, tries again, gives up and keeps."""

from typing import Any

import pytest

from darkroom.domain.job import State
from darkroom.domain.run import Awaits, Question, RunState
from darkroom.domain.workflow import overview
from darkroom.domain.workflow_steps import TEMPLATES
from darkroom.errors import (
    BudgetExceeded,
    ContentBlocked,
    NotConfigured,
    ProviderFailed,
    StorageFull,
    SubmitUnknown,
)
from factories import make_job, make_submission
from helpers_flow import CLIPS, FILM, FRAMES, SCRIPT, World, flow, image

ASK: dict[str, Any] = {"id": "ask", "kind": "agent", "agent": "copy", "task": "Say it."}


async def test_a_film_is_made_from_the_draft_of_its_script_to_the_join() -> None:
    world = World(flow())
    run = await world.to_the_end()
    assert run.state is RunState.SUCCEEDED
    assert run.output == f"Red shoes in 6 s\n\n{TEMPLATES}"
    assert run.data == {
        "files": [
            "out_job_run_1/film/1",
            "out_job_run_1/clips[0]/1",
            "out_job_run_1/clips[1]/1",
        ],
        "beats": [{"picture": "red shoes, close", "seconds": 2}, {"picture": "red shoes, wide", "seconds": 4}],
    }
    assert world.calls["run_1/clips[1]/1"] == (
        "generate_video",
        {"prompt": "red shoes, wide", "duration": 4, "images": ["first_frame=out_job_run_1/frames[1]/1"]},
    )
    assert world.calls["run_1/film/1"][1]["images"] == [
        "clip=out_job_run_1/clips[0]/1",
        "clip=out_job_run_1/clips[1]/1",
    ]
    assert [action.key for action in run.actions] == list(world.calls)
    assert {action.tool for action in run.actions} == {"generate_image", "generate_video"}


async def test_all_that_is_ready_starts_together_and_a_clip_needs_its_own_frame_alone() -> None:
    world = World(flow())
    run = await world.think()
    assert (run.state, run.awaits) == (RunState.WAITING, Awaits.WORK)
    assert run.waiting_for == ("job_run_1/frames[0]/1", "job_run_1/frames[1]/1")
    assert run.due_at == world.clock.now() + 60_000
    world.finish("job_run_1/frames[1]/1")
    run = await world.think()
    assert run.waiting_for == ("job_run_1/frames[0]/1", "job_run_1/clips[1]/1")
    rows = overview(run.work)
    assert [row["status"] for row in rows] == ["succeeded", "running", "running", "queued"]
    assert rows[1]["message"] == "1 of 2 frames"
    assert rows[1]["outputs"] == ["out_job_run_1/frames[1]/1"]


async def test_a_model_answers_where_there_is_one() -> None:
    world = World(flow({**SCRIPT, "max_cost": 0.25}, FRAMES), thinks=True, context={"brand": "Acme"})
    run = await world.think()
    agent, task, context, returns = world.calls["run_1/script/1"]
    assert (agent, task) == ("video_script", "Write about red shoes.")
    assert context == {"brand": "Acme", "length": 6}
    assert returns["required"] == ["beats"]
    assert run.actions[0].tool == "run_agent"
    world.end_run("run_run_1/script/1", state=RunState.WAITING, question=Question(text="Which colour?"))
    await world.think()
    assert overview(world.run.work)[0]["message"] == "Run run_run_1/script/1 asks: Which colour?"
    world.end_run("run_run_1/script/1", data={"beats": [{"picture": "one"}]})
    await world.think()
    assert world.work().unit("script").output == {"title": "Red shoes", "beats": [{"picture": "one", "seconds": 6}]}


async def test_a_step_without_returns_has_the_words_of_its_agent() -> None:
    world = World(flow(ASK, image("picture", arguments={"prompt": "{steps.ask.text}"})), thinks=True)
    await world.to_the_end()
    assert world.calls["run_1/picture/1"][1] == {"prompt": "said run_1/ask/1"}


async def test_an_answer_that_lacks_a_field_is_asked_for_again() -> None:
    world = World(flow(SCRIPT), thinks=True)
    world.answer = lambda key: {} if key.endswith("/1") else {"title": "t", "beats": ["a"]}
    run = await world.to_the_end()
    assert run.state is RunState.SUCCEEDED
    assert overview(run.work)[0]["runs"] == ["run_run_1/script/1", "run_run_1/script/2"]


async def test_a_skill_is_made_ready_at_once() -> None:
    skill = {"id": "plan", "kind": "skill", "skill": "storyboarding", "task": "For {inputs.product}"}
    world = World(flow({**skill, "brainstorm": {"product": "{inputs.product}"}}))
    run = await world.think()
    assert run.state is RunState.SUCCEEDED
    assert world.work().unit("plan").output == {
        "skill": "storyboarding",
        "prompt": "storyboarding: For red shoes",
        "asked": {"product": "red shoes"},
    }


async def test_what_can_help_is_tried_again_and_what_is_under_way_is_kept() -> None:
    world = World(flow(image("one", retries=1), image("two"), image("three", after=["one"])))
    await world.think()
    world.finish("job_run_1/one/1", State.FAILED, ProviderFailed("It broke."))
    run = await world.think()
    assert run.waiting_for == ("job_run_1/one/2", "job_run_1/two/1")
    world.finish("job_run_1/one/2", State.FAILED, ProviderFailed("It broke again.", hint="Nothing was sent. Wait."))
    world.finish("job_run_1/two/1")
    run = await world.think()
    assert run.state is RunState.FAILED
    assert run.error is not None
    assert run.error["message"] == "Step one (one) failed: It broke again."
    assert run.error["hint"].startswith("Wait. Kept: 1 file of the other steps (out_job_run_1/two/1).")
    assert run.data == {"files": ["out_job_run_1/two/1"], "steps": {"two": ["out_job_run_1/two/1"]}}
    assert world.state("three") == "skipped"
    assert overview(run.work)[0]["jobs"] == ["job_run_1/one/1", "job_run_1/one/2"]


async def test_after_a_failure_for_good_nothing_more_is_started_and_what_is_under_way_is_finished() -> None:
    world = World(flow(image("one", retries=0), image("two"), image("three", after=["two"])))
    await world.think()
    world.finish("job_run_1/one/1", State.FAILED, ProviderFailed("It broke."))
    run = await world.think()
    assert (run.state, run.waiting_for) == (RunState.WAITING, ("job_run_1/two/1",))
    assert world.state("three") == "skipped"
    world.finish("job_run_1/two/1")
    run = await world.think()
    assert run.state is RunState.FAILED
    assert run.data == {"files": ["out_job_run_1/two/1"], "steps": {"two": ["out_job_run_1/two/1"]}}
    assert list(world.calls) == ["run_1/one/1", "run_1/two/1"]
    assert overview(run.work)[2]["message"] == "Not started, since step one failed."


async def test_what_fails_after_another_step_is_not_tried_again() -> None:
    world = World(flow(image("one", retries=0), image("two", retries=3)))
    await world.think()
    world.finish("job_run_1/one/1", State.FAILED, ProviderFailed("It broke."))
    world.finish("job_run_1/two/1", State.FAILED, ProviderFailed("It broke too."))
    run = await world.think()
    assert run.state is RunState.FAILED
    assert list(world.calls) == ["run_1/one/1", "run_1/two/1"]
    row = overview(run.work)[1]
    assert (row["status"], row["jobs"]) == ("skipped", ["job_run_1/two/1"])
    assert row["message"] == "Attempt 1 failed: It broke too. Not tried again, since step one failed."


async def test_a_refused_start_keeps_the_rest_of_its_round_from_starting() -> None:
    world = World(flow(image("zero", optional=True), image("one"), image("two")))
    world.refused |= {"run_1/zero/1": BudgetExceeded("Too dear."), "run_1/one/1": BudgetExceeded("Too dear.")}
    run = await world.think()
    assert run.state is RunState.FAILED
    assert not world.calls
    assert [world.state(key) for key in ("zero", "one", "two")] == ["failed", "failed", "skipped"]


async def test_what_was_given_for_steps_that_are_not_reached_is_handed_back() -> None:
    given = {"clips": {"outputs": ["out_a", None]}, "ask": {"text": "said"}}
    world = World(flow(SCRIPT, {**FRAMES, "retries": 0}, CLIPS, {**ASK, "after": ["frames"]}), given=given)
    await world.think()
    world.finish("job_run_1/frames[0]/1", State.FAILED, ProviderFailed("No."))
    world.finish("job_run_1/frames[1]/1")
    run = await world.think()
    assert run.data is not None
    assert run.data["steps"] == {
        "script": world.work().unit("script").output,
        "frames": [None, "out_job_run_1/frames[1]/1"],
        "clips": ["out_a", None],
        "ask": {"text": "said"},
    }


@pytest.mark.parametrize("error", [SubmitUnknown("Nobody knows."), ContentBlocked("No.")])
async def test_what_may_have_been_paid_or_cannot_help_is_not_tried_again(error: Any) -> None:
    world = World(flow(image("one", retries=3)))
    await world.think()
    world.finish("job_run_1/one/1", State.FAILED, error)
    run = await world.think()
    assert run.state is RunState.FAILED
    assert list(world.calls) == ["run_1/one/1"]
    assert run.error is not None
    assert run.error["code"] == error.code
    assert "No file was made." in run.error["hint"]


async def test_a_retryable_lost_answer_is_not_tried_again_either() -> None:
    world = World(flow(image("one", retries=3)))
    await world.think()
    world.finish("job_run_1/one/1", State.FAILED)
    job = world.jobs["job_run_1/one/1"]
    part = job.submissions[0].model_copy(update={"error": {"code": "submit_unknown", "retryable": True}})
    world.jobs[job.id] = job.model_copy(update={"submissions": (part,)})
    assert (await world.think()).state is RunState.FAILED
    assert list(world.calls) == ["run_1/one/1"]


async def test_a_job_that_somebody_cancelled_fails_its_step() -> None:
    world = World(flow(image("one")))
    await world.think()
    world.finish("job_run_1/one/1", State.CANCELLED)
    run = await world.think()
    assert run.error is not None
    assert run.error["message"] == "Step one (one) failed: The job job_run_1/one/1 was cancelled."


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.CANCELLED])
async def test_a_run_inside_that_fails_fails_its_step(state: RunState) -> None:
    world = World(flow(ASK), thinks=True)
    await world.think()
    error = {"code": "budget_exceeded", "message": "Too dear."} if state is RunState.FAILED else None
    world.end_run("run_run_1/ask/1", state, error=error)
    run = await world.think()
    assert run.state is RunState.FAILED
    assert run.error is not None
    assert ("Too dear." if error else "was cancelled") in run.error["message"]


async def test_an_optional_step_fails_alone_and_is_left_out_of_what_follows() -> None:
    frames = {**FRAMES, "optional": True, "retries": 0}
    world = World(flow(SCRIPT, frames, CLIPS, FILM))
    await world.think()
    world.finish("job_run_1/frames[0]/1", State.FAILED, ProviderFailed("No."))
    world.finish("job_run_1/frames[1]/1")
    await world.think()
    assert "images" not in world.calls["run_1/clips[0]/1"][1]
    assert (await world.to_the_end()).state is RunState.SUCCEEDED


async def test_a_refused_start_fails_the_step_with_its_reason() -> None:
    world = World(flow(image("one", max_cost="0.05")))
    world.refused["run_1/one/1"] = BudgetExceeded("It would pass the cap.")
    run = await world.think()
    assert world.caps == [50_000]
    assert run.error is not None
    assert run.error["code"] == "budget_exceeded"


async def test_a_full_disk_stops_the_engine_and_changes_nothing() -> None:
    world = World(flow(image("one")))
    world.refused["run_1/one/1"] = StorageFull("The disk is full.")
    before = dict(world.run.work)
    with pytest.raises(StorageFull):
        await world.think()
    assert world.run.work == before
    world.refused.clear()
    assert (await world.to_the_end()).state is RunState.SUCCEEDED


async def test_a_step_that_nobody_can_answer_says_so() -> None:
    run = await World(flow(ASK)).think()
    assert run.error is not None
    assert run.error["code"] == NotConfigured.code
    assert "context" in run.error["hint"]


async def test_given_results_are_taken_as_they_are() -> None:
    given = {
        "script": {"beats": [{"picture": "x", "seconds": 5}, {"picture": "y", "seconds": 1}]},
        "frames": {"outputs": ["out_a", None]},
    }
    world = World(flow(), thinks=True, given=given)
    run = await world.think()
    assert list(world.calls) == ["run_1/frames[1]/1", "run_1/clips[0]/1"]
    assert world.calls["run_1/clips[0]/1"][1] == {
        "prompt": "x",
        "duration": 5,
        "images": ["first_frame=out_a"],
    }
    assert overview(run.work)[0]["message"] == "As given."


async def test_a_film_without_clips_says_so() -> None:
    world = World(flow(SCRIPT, image("clips", optional=True, retries=0), FILM))
    await world.think()
    world.finish("job_run_1/clips/1", State.FAILED, ProviderFailed("No."))
    run = await world.think()
    assert run.error is not None
    assert run.error["message"] == "Step film (film) failed: film has no clips to join."


async def test_an_empty_list_makes_nothing_and_is_no_failure() -> None:
    world = World(flow(image("each", for_each="{steps.say.lines}"), _say([])))
    assert (await world.think()).state is RunState.SUCCEEDED
    assert overview(world.run.work)[0]["of"] == 0


async def test_too_many_items_are_refused_before_any_is_made() -> None:
    run = await (world := World(flow(image("each", for_each="{steps.say.lines}"), _say(["x"] * 61)))).think()
    assert run.error is not None
    assert run.error["message"] == "Step each (each) failed: each would have 61 items."
    assert not world.calls


def _say(lines: list[str]) -> dict[str, Any]:
    returns = {"lines": {"type": "list", "required": False, "most": 100}}
    return {"id": "say", "kind": "agent", "agent": "copy", "task": "x", "returns": returns, "draft": {"lines": lines}}


async def test_a_step_past_its_time_fails_and_what_was_sent_is_left_to_finish() -> None:
    world = World(flow(image("one", timeout_s=30), image("two", timeout_s=30)))
    run = await world.think()
    assert run.due_at == world.clock.now() + 30_000
    job = world.jobs["job_run_1/two/1"]
    running = make_submission(job_id=job.id, state=State.SUBMIT_UNKNOWN)
    world.jobs[job.id] = make_job(**{**dict(job), "submissions": (running,)})
    world.clock.advance(29)
    assert (await world.think()).state is RunState.WAITING
    world.clock.advance(1)
    run = await world.think()
    assert run.state is RunState.FAILED
    assert world.cancelled == ["job_run_1/one/1"]
    assert run.error is not None
    assert run.error["code"] == "timed_out"
    assert list(world.calls) == ["run_1/one/1", "run_1/two/1"]


async def test_an_agent_past_its_time_is_stopped() -> None:
    world = World(flow({**ASK, "timeout_s": 10}), thinks=True)
    await world.think()
    world.clock.advance(10)
    assert (await world.think()).state is RunState.FAILED
    assert world.cancelled == ["run_run_1/ask/1"]


async def test_what_is_gone_from_the_store_fails_its_step() -> None:
    world = World(flow(image("one"), ASK), thinks=True)
    await world.think()
    world.jobs.clear()
    world.runs.clear()
    run = await world.think()
    assert run.error is not None
    assert run.error["code"] == "unknown_job"
    assert [world.state(key) for key in ("one", "ask")] == ["failed", "failed"]


async def test_a_cancelled_run_stops_what_it_started_and_keeps_what_is_done() -> None:
    world = World(flow())
    await world.think()
    world.finish("job_run_1/frames[0]/1")
    world.run = world.run.model_copy(update={"cancel_requested_at": world.clock.now()})
    run = await world.think()
    assert run.state is RunState.CANCELLED
    assert world.cancelled == ["job_run_1/frames[1]/1"]
    assert run.data == {
        "files": ["out_job_run_1/frames[0]/1"],
        "steps": {
            "script": world.work().unit("script").output,
            "frames": ["out_job_run_1/frames[0]/1", None],
        },
    }
    assert [world.state(key) for key in ("frames[0]", "frames[1]", "film")] == ["succeeded", "cancelled", "cancelled"]


async def test_a_run_past_its_deadline_fails_and_stops() -> None:
    world = World(flow(), deadline_at=0)
    run = await world.think()
    assert run.state is RunState.FAILED
    assert run.error is not None
    assert run.error["code"] == "timed_out"
    assert not world.calls


async def test_a_run_that_another_process_took_is_let_go() -> None:
    world = World(flow())
    world.claim()
    world.lost = True
    assert await world.engine.think(world.run, "worker-1") is None
    world = World(flow(_say(["a"]), image("x", after=["say"])))
    world.claim()
    world.lost = True
    assert await world.engine.think(world.run, "worker-1") is None
