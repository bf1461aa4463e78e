"""`run_agent` without a language model, as a model calls it: jobs, briefs, candidates, workflows, and mistakes."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from helpers_server import QuickDraft, call, connected, content, jobs_of, read_json, words
from mcp import Client
from mcp_types import ImageContent, ResourceLink

from darkroom.app import App
from darkroom.server import run_resources
from darkroom.server.schema import parse
from darkroom.server.tools import TOOLS
from darkroom.settings import Settings

pytestmark = pytest.mark.anyio
TOOL = "run_agent"
FOX = "Draw a red fox in the snow"
COPY = {"task": "Write a landing page for Lumen, a lamp", "agent": "copy"}
MOST_STRUCTURED = 2_000
TWO: dict[str, Any] = {
    "name": "two_pictures",
    "title": "Two pictures",
    "about": "A picture, and one of its night.",
    "inputs": {"thing": {"about": "what is shown", "default": "a fox"}},
    "steps": [
        {"id": "day", "kind": "image", "arguments": {"prompt": "{inputs.thing} by day", "size": "128x96"}},
        {
            "id": "night",
            "kind": "image",
            "arguments": {"prompt": "{inputs.thing} by night", "size": "128x96"},
            "after": ["day"],
        },
    ],
    "output": {"summary": "Two pictures of {inputs.thing}.", "files": ["{steps.day.output}", "{steps.night.output}"]},
}


async def runs_of(client: Client) -> list[dict[str, Any]]:
    return [row for row in await jobs_of(client) if "run_id" in row]


# Chats that start jobs


async def test_a_chat_that_asks_for_a_picture_starts_its_job_and_waits_for_it(
    client: Client, quick: QuickDraft
) -> None:
    result = await client.call_tool(TOOL, {"task": FOX, "wait": 40})
    run = content(result)
    assert (run["kind"], run["status"]) == ("run", "succeeded")
    (action,) = run["actions"]
    assert action["tool"] == "generate_image"
    assert action["job_id"] in words(result)
    assert "red fox" in quick.sent[0].request.prompt
    assert [type(block) for block in result.content[1:]] == [ImageContent, ResourceLink]
    assert run["outputs"][0]["path"] in words(result)
    assert run["output"].startswith("Here is a draft of your")
    assert result.meta is not None
    assert result.meta["cost"]["actual"] == 0
    assert len(json.dumps(run)) <= MOST_STRUCTURED
    (job,) = await jobs_of(client, job_id=action["job_id"])
    assert job["outputs"][0]["id"] == run["outputs"][0]["id"]


async def test_a_chat_that_does_not_wait_says_how_to_wait_for_its_job(client: Client, quick: QuickDraft) -> None:
    quick.ready = anyio.Event()
    run = await call(client, TOOL, task=FOX, wait=0.1)
    run = (await jobs_of(client, job_id=run["run_id"], wait=20))[0]
    (action,) = run["actions"]
    assert f"check_job(job_id='{action['job_id']}', wait=25)" in run["next"]
    assert run["output"].startswith("I've started a draft of your")
    quick.ready.set()
    (job,) = await jobs_of(client, job_id=action["job_id"], wait=20)
    (seen,) = await jobs_of(client, job_id=run["run_id"])
    assert seen["outputs"][0]["id"] == job["outputs"][0]["id"]
    assert "files" in seen["next"]


async def test_a_call_made_twice_is_one_run_and_one_job(client: Client, quick: QuickDraft) -> None:
    first = await call(client, TOOL, task=FOX, wait=20)
    again = await client.call_tool(TOOL, {"task": FOX, "wait": 20})
    assert content(again)["run_id"] == first["run_id"]
    assert "nothing new was started" in words(again)
    keyed = [await call(client, TOOL, task="Draw a blue boat", idempotency_key="k-1") for _ in range(2)]
    assert keyed[0]["run_id"] == keyed[1]["run_id"]
    other = await client.call_tool(TOOL, {"task": "Draw a green boat", "idempotency_key": "k-1"})
    assert other.is_error
    assert "idempotency_key" in words(other)
    assert len(quick.sent) == 2


async def test_a_cap_of_nothing_still_draws(client: Client) -> None:
    run = await call(client, TOOL, task=FOX, max_cost=0)
    assert (run["status"], len(run["actions"])) == ("succeeded", 1)
    assert run["cost"]["actual_usd"] == 0


# Briefs


async def test_without_a_language_model_an_agent_hands_over_a_brief(client: Client) -> None:
    result = await client.call_tool(TOOL, {**COPY, "context": {"audience": "people who read in bed"}})
    run, text = content(result), words(result)
    brief = run["brief"]
    assert run["status"] == "succeeded"
    assert "Carry out the brief yourself" in run["next"]
    assert COPY["task"] in text
    assert "people who read in bed" in text
    for key, value in brief.items():
        if isinstance(value, str) and key != "mode":
            assert value.split("\n")[0] in text, key
    view = {key: value for key, value in run.items() if key != "brief"}
    assert len(json.dumps(view)) <= MOST_STRUCTURED
    assert run["session_id"].startswith("ses_")


async def test_the_next_calls_of_a_brief_can_be_made_as_they_are(client: Client) -> None:
    tools = {tool.name: tool for tool in TOOLS}
    agents = [row["agent"] for row in (await call(client, TOOL, task=" ", agent="?"))["candidates"]]
    assert len(agents) > 20
    for agent in agents[::5]:
        run = await call(client, TOOL, task="A campaign with pictures and a clip for a bakery", agent=agent)
        for following in run["brief"].get("next_calls", ()):
            parse(tools[following["tool"]].args, following["arguments"])


async def test_a_session_goes_on_and_can_be_read(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await call(client, TOOL, **COPY)
    second = await call(client, TOOL, task="Shorter, please", session_id=first["session_id"])
    assert (second["session_id"], second["agent"]) == (first["session_id"], "copy")
    listed = await read_json(client, "darkroom://sessions")
    assert [row["session_id"] for row in listed["sessions"]] == [first["session_id"]]
    session = await read_json(client, f"darkroom://sessions/{first['session_id']}")
    assert [row["content"] for row in session["history"] if row["role"] == "user"] == [COPY["task"], "Shorter, please"]
    assert session["messages"] == 4
    older = await read_json(client, f"darkroom://sessions/{first['session_id']}?before=2")
    assert [row["number"] for row in older["history"]] == [0, 1]
    monkeypatch.setattr(run_resources, "PAGE", 1)
    page = await read_json(client, "darkroom://sessions")
    assert page["older"] == f"darkroom://sessions?before={first['session_id']}"
    assert await read_json(client, page["older"]) == {"sessions": []}


# Who could do it


async def test_a_question_mark_ranks_agents_and_starts_nothing(client: Client) -> None:
    ranked = await client.call_tool(TOOL, {"task": "Write mails for new subscribers", "agent": "?"})
    view = content(ranked)
    assert view["status"] == "candidates"
    assert view["candidates"][0]["confidence"] > 0
    assert all(row["agent"] in words(ranked) for row in view["candidates"])
    everyone = await call(client, TOOL, task="", agent="?")
    none = await call(client, TOOL, task="zzz qqq xxx", agent="?")
    assert len(everyone["candidates"]) == len(none["candidates"]) > len(view["candidates"])
    assert "all are listed" in none["next"]
    assert await jobs_of(client) == []


async def test_workflows_are_listed_with_what_they_need(client: Client) -> None:
    result = await client.call_tool(TOOL, {"task": "a brand", "workflow": "?"})
    rows = content(result)["candidates"]
    assert "brand_kit" in [row["workflow"] for row in rows]
    assert all(row["workflow"] in words(result) for row in rows)
    assert await jobs_of(client) == []


# Workflows


async def test_a_workflow_given_as_json_runs_to_its_end(client: Client, quick: QuickDraft) -> None:
    told: list[tuple[float, str]] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        assert total == 100
        told.append((progress, message or ""))

    result = await client.call_tool(
        TOOL,
        {"task": "a red fox", "workflow": TWO, "context": {"thing": "a red fox"}, "wait": 40},
        progress_callback=note,
    )
    run = content(result)
    assert (run["status"], run["workflow"], run["output"]) == (
        "succeeded",
        "two_pictures",
        "Two pictures of a red fox.",
    )
    assert [(row["step"], row["status"]) for row in run["steps"]] == [("day", "succeeded"), ("night", "succeeded")]
    assert [sent.request.prompt for sent in quick.sent] == ["a red fox by day", "a red fox by night"]
    assert len(run["outputs"]) == 2
    assert all(Path(row["path"]).is_absolute() and row["path"] in words(result) for row in run["outputs"])
    assert sum(isinstance(block, ImageContent) for block in result.content) == 2
    assert len(json.dumps(run)) <= MOST_STRUCTURED
    values = [value for value, _ in told]
    assert values == sorted(set(values))
    assert any("run" in message for _, message in told)
    record = await read_json(client, f"darkroom://runs/{run['run_id']}")
    assert {job["job_id"] for job in record["jobs"]} == {action["job_id"] for action in run["actions"]}
    assert record["history"][-1]["target"] == "succeeded"


async def test_a_workflow_may_be_given_as_text(client: Client) -> None:
    run = await call(client, TOOL, task="a boat", workflow=json.dumps(TWO), wait=40)
    assert (run["status"], run["assumed"]) == ("succeeded", {"thing": "a fox"})
    assert run["output"].startswith("Two pictures of a fox.\n\nAssumed, because nobody said: thing = a fox.")


async def test_waiting_ends_and_the_run_goes_on(client: Client, quick: QuickDraft) -> None:
    quick.ready = anyio.Event()
    run = await call(client, TOOL, task="a boat", workflow=TWO, wait=0)
    assert run["status"] in ("queued", "running", "waiting")
    assert run["check_after_s"] == 5
    assert f"check_job(job_id='{run['run_id']}'" in run["next"]
    assert [row["run_id"] for row in await jobs_of(client, status="active") if "run_id" in row] == [run["run_id"]]
    quick.ready.set()
    (done,) = await jobs_of(client, job_id=run["run_id"], wait=40)
    assert done["status"] == "succeeded"
    mixed = await jobs_of(client, job_id=f"{done['actions'][0]['job_id']},{run['run_id']}")
    assert ["job_id" in row for row in mixed] == [True, False]
    newest = await jobs_of(client)
    assert {row.get("run_id") or row["job_id"] for row in newest} == {
        run["run_id"],
        *(action["job_id"] for action in done["actions"]),
    }
    assert await jobs_of(client, status="unknown") == []
    assert [row["run_id"] for row in await jobs_of(client, status="succeeded") if "run_id" in row] == [run["run_id"]]


async def test_a_run_is_cancelled_with_its_jobs(client: Client, quick: QuickDraft) -> None:
    quick.ready = anyio.Event()
    run = await call(client, TOOL, task="a boat", workflow=TWO, wait=0)
    with anyio.fail_after(20):
        while not quick.sent:
            await jobs_of(client, job_id=run["run_id"], wait=0.2)
    stopped = await call(client, "cancel_job", job_id=run["run_id"])
    assert "run_id" in stopped
    (after,) = await jobs_of(client, job_id=run["run_id"], wait=20)
    assert after["status"] == "cancelled"
    assert "paid for" in after["next"]
    ids = [row["job_id"] for row in await jobs_of(client) if "job_id" in row]
    assert {row["status"] for row in await jobs_of(client, job_id=ids, wait=20)} == {"cancelled"}


@pytest.mark.parametrize("era", ["legacy"], indirect=True)
async def test_whom_a_run_will_tell_is_in_its_record_without_the_whole_address(
    era: str, quick: QuickDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DARKROOM_CALLBACK_HOSTS", "studio.example")
    quick.ready = anyio.Event()
    app = await anyio.to_thread.run_sync(lambda: App(Settings.load()))
    app.adapters = quick  # pyright: ignore[reportAttributeAccessIssue] because it stands in
    async with connected(app, era) as client:
        told = "https://studio.example/done?token=hidden"
        run = await call(client, TOOL, task="a boat", workflow=TWO, wait=0, callback_url=told)
        record = await read_json(client, f"darkroom://runs/{run['run_id']}")
        assert (record["callback"]["host"], record["callback"]["status"]) == ("studio.example", "waiting")
        assert "hidden" not in json.dumps(record)


# Mistakes

CYCLE = {**TWO, "steps": [{**TWO["steps"][0], "after": ["night"]}, TWO["steps"][1]]}
LONG = {**TWO, "steps": [{**TWO["steps"][0], "id": f"s{number}"} for number in range(10_000)]}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no task": ({}, "task is empty"),
    "a task of blanks": ({"task": " \n"}, "task is empty"),
    "a book as task": ({"task": "x" * 100_000}, "100,000 letters"),
    "an unknown argument": ({"task": FOX, "agnt": "x"}, "'agent'"),
    "an unknown agent": ({"task": FOX, "agent": "copywritr"}, "'copy'"),
    "an unknown workflow": ({"task": FOX, "workflow": "brand_kitt"}, "brand_kit"),
    "an unknown model": ({"task": FOX, "model": "gpt-99-nothing"}, "no language model"),
    "a model without its key": ({"task": FOX, "model": "anthropic"}, "ANTHROPIC_API_KEY"),
    "the client's model": ({"task": FOX, "model": "client"}, "sampling"),
    "an unknown tier": ({"task": FOX, "tier": "premum"}, "premium"),
    "an unknown run": ({"run_id": "run_nothing"}, "check_job without job_id"),
    "an unknown run with an answer": ({"run_id": "run_nothing", "answer": "yes"}, "no run 'run_nothing'"),
    "an answer without a run": ({"task": FOX, "answer": "yes"}, "run_id"),
    "an unknown session": ({"task": FOX, "session_id": "ses_nothing"}, "darkroom://sessions"),
    "a context of ten megabytes": ({"task": FOX, "context": {"text": "x" * 10_000_000}}, "200,000 bytes"),
    "a context in words": ({"task": FOX, "context": "a fox"}, "context must be an object"),
    "agent and workflow": ({"task": FOX, "agent": "copy", "workflow": "brand_kit"}, "both given"),
    "a workflow of 10,000 steps": ({"task": FOX, "workflow": LONG}, "10,000 steps"),
    "a workflow that waits for itself": ({"task": FOX, "workflow": CYCLE}, "wait for each other"),
    "a workflow of nothing": ({"task": FOX, "workflow": {}}, "workflow"),
    "a workflow with an unknown word": ({"task": FOX, "workflow": {**TWO, "stepps": []}}, "stepps"),
    "a host that is not listed": ({"task": FOX, "callback_url": "https://a.example/x"}, "DARKROOM_CALLBACK_HOSTS"),
    "an address of this machine": ({"task": FOX, "callback_url": "https://127.0.0.1/x"}, "DARKROOM_CALLBACK_HOSTS"),
    "a cap in words": ({"task": FOX, "max_cost": "cheap"}, "US dollars"),
    "a negative cap": ({"task": FOX, "max_cost": -1}, "US dollars"),
    "a long key": ({"task": FOX, "idempotency_key": "x" * 300}, "200 characters"),
}


async def test_mistakes_are_answered_in_words_and_nothing_is_stored(client: Client, quick: QuickDraft) -> None:
    for name, (arguments, expected) in WRONG.items():
        result = await client.call_tool(TOOL, arguments)
        text = words(result)
        assert result.is_error, name
        assert expected.lower() in text.lower(), (name, text)
        assert len(text) < 1_500, name
        assert "x" * 81 not in text, name
        assert "Traceback" not in text
        assert "pydantic" not in text
    assert await jobs_of(client) == []
    assert (await read_json(client, "darkroom://sessions")) == {"sessions": []}
    assert quick.sent == []


async def test_a_run_that_asks_nothing_takes_no_answer(client: Client) -> None:
    run = await call(client, TOOL, **COPY)
    refused = await client.call_tool(TOOL, {"run_id": run["run_id"], "answer": "blue"})
    assert refused.is_error
    assert "asks nothing: it has ended (succeeded)" in words(refused)
    shown = await call(client, TOOL, run_id=run["run_id"], task=COPY["task"])
    assert shown["brief"] == run["brief"]


async def test_a_run_takes_no_second_task(client: Client) -> None:
    run = await call(client, TOOL, **COPY)
    refused = await client.call_tool(TOOL, {"run_id": run["run_id"], "task": "Now in German."})
    assert refused.is_error
    assert f"with the new task and session_id='{run['session_id']}'" in words(refused)


async def test_a_list_of_runs_is_short_and_delivers_no_brief(client: Client) -> None:
    runs = [await call(client, TOOL, **{**COPY, "task": f"Write line {number}."}) for number in (1, 2)]
    listed = await client.call_tool("check_job", {})
    assert listed.structured_content is not None
    rows = listed.structured_content["jobs"]
    assert [row["run_id"] for row in rows] == [run["run_id"] for run in runs[::-1]]
    assert all("brief" not in row and row["run_id"] in row["next"] for row in rows)
    assert len(words(listed)) < 1_000
    alone = await call(client, "check_job", job_id=runs[0]["run_id"])
    assert alone["jobs"][0]["brief"] == runs[0]["brief"]


async def test_what_there_is_not_is_no_resource(client: Client) -> None:
    for uri in ("darkroom://runs/run_nothing", "darkroom://sessions/ses_nothing"):
        with pytest.raises(Exception, match="Unknown resource") as caught:
            await client.read_resource(uri)
        assert "nothing" in str(caught.value)
    session = (await call(client, TOOL, **COPY))["session_id"]
    with pytest.raises(Exception, match="number of a message"):
        await client.read_resource(f"darkroom://sessions/{session}?before=x")
