"""What agents can do: darkroom's own services, whose mistakes are told to the model."""

import json
from typing import Any

import pytest
from helpers_llm import World, calls, known_agents, results, says
from pydantic_ai.messages import ToolCallPart

from darkroom.catalog.agents import agents
from darkroom.domain.job import State
from darkroom.errors import InvalidRequest, PriceUnknown
from darkroom.llm.durable import call_of
from darkroom.llm.limits import RESULT_CHARS
from darkroom.llm.results import error_text, text_of
from darkroom.llm.tools import MAPPED
from helpers_services import run_until, succeed


async def told(world: World, tool: str, /, **arguments: Any) -> Any:
    """Return what a tool answers, in a run of its own."""
    model = world.says(calls((tool, arguments)), says("Done."))
    run = await world.think(world.start(id=f"run_{len(world.runs.rows)}"))
    assert run.output == "Done.", run.error
    [found] = results(model.asked[1])
    return found


async def test_a_picture_is_asked_for_with_all_that_was_said(paid: World) -> None:
    asked = {"prompt": "a fox", "model": "acme-pro", "aspect_ratio": "1:1", "n": 2, "quality": "high", "seed": 7}
    row = await told(paid, "generate_image", **asked)
    assert (row["model"], row["estimate_usd"]) == ("acme/acme-pro", 0.08)
    job = await paid.app.store.get(row["job_id"])
    assert job is not None
    assert (job.request.n, job.request.seed, job.request.model) == (2, 7, "acme-pro")


async def test_a_clip_is_made_of_a_picture(paid: World) -> None:
    first = await told(paid, "generate_image", prompt="a fox")
    job = await paid.app.store.get(first["job_id"])
    assert job is not None
    done = await succeed(paid.app, job)
    images = [f"first_frame={done.outputs[0].id}"]
    clip = await told(paid, "generate_video", prompt="it runs", images=images, duration=3, audio=False)
    assert (clip["kind"], clip["model"], clip["estimate_usd"]) == ("video", "acme/acme-clip", 0.3)


async def test_mistakes_are_told_with_their_way_out(free: World) -> None:
    unknown = await told(free, "generate_image", prompt="a fox", model="drft-image")
    assert unknown["error"]["code"] == "unknown_model"
    assert "Did you mean" in unknown["error"]["message"]
    wrong = await told(free, "generate_image", prompt="a fox", n=99)
    assert wrong["error"]["field"] == "n"
    gone = await told(free, "check_jobs", job_ids=["job_0"])
    assert gone["error"]["code"] == "unknown_job"
    assert (await told(free, "wait_for_jobs", job_ids=[]))["error"]["field"] == "job_ids"
    assert (await told(free, "estimate", operation="painting"))["error"]["code"] == "invalid_request"
    assert (await told(free, "use_skill", skill="x", request="y"))["error"]["field"] == "skill"
    assert (await told(free, "framework", name="x"))["error"]["field"] == "family"
    assert await free.jobs() == []


async def test_an_equal_call_of_the_same_run_starts_nothing_new(free: World) -> None:
    fox = ("generate_image", {"prompt": "a fox"})
    model = free.says(calls(fox, fox), calls(("generate_image", {"n": 1, "prompt": "a fox"}), fox), says("Done."))
    run = await free.think(free.start())
    assert len(run.actions) == 2, "n=1 was not said before"
    first, second = results(model.asked[1])
    assert (second["job_id"], "made before" in second["note"]) == (first["job_id"], True)
    assert results(model.asked[2])[1]["job_id"] == first["job_id"]
    assert len(await free.jobs()) == 2


async def test_an_equal_call_after_a_failure_is_a_new_try(free: World) -> None:
    fox = ("generate_image", {"prompt": "a fox"})

    again = calls(("ask_user", {"question": "Again?"}), prefix="q")
    model = free.says(calls(fox), again, calls(fox, prefix="z"), says("x"))
    run = await free.think(free.start())
    await free.app.jobs.cancel(run.actions[0].job_id or "", "local")
    free.runs.answer(run.id, "yes")
    done = await free.think(run)
    assert len(done.actions) == 2
    assert results(model.asked[3])[0]["job_id"] != run.actions[0].job_id


async def test_a_failed_job_is_told_with_its_reason(free: World) -> None:
    row = await told(free, "generate_image", prompt="a fox")
    error = {"code": "content_blocked", "message": "It was refused.", "retryable": False}
    await run_until(free.app, row["job_id"], State.FAILED, error=error)
    [job] = (await told(free, "check_jobs", job_ids=[row["job_id"]]))["jobs"]
    assert (job["status"], job["error"]) == ("failed", {"code": "content_blocked", "message": "It was refused."})


async def test_prices_and_models_are_told(paid: World) -> None:
    price = await told(paid, "estimate", operation="image", model="acme-pro", n=3)
    assert (price["offer"], price["cost_usd"]["likely"], price["state"]) == ("acme/acme-pro", 0.12, "ready")
    mystery = await told(paid, "estimate", operation="image", model="acme-mystery")
    assert mystery["price"] == "not known"
    models = await told(paid, "list_models", operation="image")
    assert models["models"][0]["state"] == "ready"
    assert models["left_out"] > 0
    music = await told(paid, "list_models", operation="research")
    assert "left_out" not in music


async def test_skills_and_frameworks_are_found_and_read(free: World) -> None:
    found = await told(free, "search_skills", words="landing page conversion")
    assert found["skills"][0]["skill"]
    skill = await told(free, "use_skill", skill=found["skills"][0]["skill"], request="a page for a bakery")
    text = skill if isinstance(skill, str) else json.dumps(skill)
    assert "bakery" in text
    nothing = await told(free, "search_skills", words="qqqq")
    assert nothing == {"next": "Nothing fits 'qqqq'."}
    families = await told(free, "list_frameworks")
    name = next(iter(families["families"]))
    family = await told(free, "framework", name=name)
    assert "frameworks" in (family if isinstance(family, str) else json.dumps(family))


def test_every_agent_has_tools_that_there_are() -> None:
    for name in known_agents():
        mapped = {tool for own in agents()[name].tools for tool in MAPPED.get(own, ())}
        assert mapped, name
        assert set(agents()[name].tools) <= {*MAPPED, "retry_job", "cancel_job"}


def test_long_answers_are_cut_with_words() -> None:
    assert text_of({"a": "x" * RESULT_CHARS}).endswith("characters are left out)")
    assert text_of({"a": None, "b": [], "c": 0}) == '{"c":0}'


@pytest.mark.parametrize(
    ("error", "hint"),
    [(PriceUnknown("?", hint="Pass allow_unpriced."), "You cannot agree"), (InvalidRequest("?"), None)],
)
def test_hints_about_money_are_not_for_the_model(error: Any, hint: str | None) -> None:
    found = json.loads(error_text(error))["error"].get("hint")
    assert found is None if hint is None else found.startswith(hint)


def test_calls_are_equal_whatever_the_order_of_their_arguments() -> None:
    one, other = ToolCallPart("a", '{"x": 1, "y": 2}'), ToolCallPart("a", {"y": 2, "x": 1})
    assert call_of(one) == call_of(other)
    assert call_of(ToolCallPart("a", '{"x"')) != call_of(ToolCallPart("a", "{}"))
