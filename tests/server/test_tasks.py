"""Tasks: calls that start something, for clients that say that they take tasks, and for all others."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import anyio.to_thread
import httpx2
import pytest
from helpers_server import LIMIT_S, QuickDraft, call, connected, content, words
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitResult,
    InputRequiredResult,
    TextContent,
)

from darkroom.app import App
from darkroom.domain.run import Awaits, Run, RunState
from darkroom.errors import StorageError
from darkroom.server import answers, desk
from darkroom.server.build import DarkroomServer
from darkroom.server.caller import Caller
from darkroom.server.http import http_app
from darkroom.server.task_calls import UNANSWERED, Name, opened
from darkroom.settings import Settings
from helpers_extensions import TakesTasks, ask, began, refused, settled, start
from helpers_runs import QUESTION, going, saved

pytestmark = pytest.mark.anyio
STATELESS = "2026-07-28"
FOX: dict[str, Any] = {"prompt": "a red fox", "size": "64x64"}
METHODS = ("tasks/get", "tasks/update", "tasks/cancel")
LATER = 4_000_000_000_000
"""A time at which no worker of these tests takes a run."""


@pytest.fixture(autouse=True)
def nothing_lingers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave unfinished runs be when a program ends."""
    monkeypatch.setenv("DARKROOM_LINGER", "0")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have quick work done before its call is answered, however busy the machine is."""
    monkeypatch.setattr(answers, "TASK_WAIT_S", 40.0)


@pytest.fixture
def held(quick: QuickDraft, monkeypatch: pytest.MonkeyPatch) -> QuickDraft:
    """A draft engine that is not done before a test wants it, and calls that do not wait for it."""
    quick.ready = anyio.Event()
    monkeypatch.setattr(answers, "TASK_WAIT_S", 0.0)
    return quick


@pytest.fixture
async def taker(app: App) -> AsyncGenerator[Client]:
    """A client of the stateless era that takes tasks and shows no forms."""
    async with connected(app, STATELESS, extensions=[TakesTasks()]) as opened_client:
        yield opened_client


async def form(context: Any, params: Any) -> ElicitResult:
    """Make a client show forms; the tests answer by hand."""
    raise AssertionError("forms of tasks come by tasks/get")


@pytest.fixture
async def asker(app: App) -> AsyncGenerator[Client]:
    """A client that takes tasks and shows forms."""
    async with connected(app, STATELESS, extensions=[TakesTasks()], elicitation_callback=form) as opened_client:
        yield opened_client


# Clients that take no tasks


async def test_without_the_extension_nothing_changes(app: App, era: str, held: QuickDraft) -> None:
    async with connected(app, era) as client:
        job = await call(client, "generate_image", **FOX, wait=0)
        assert job["status"] in ("queued", "submitting", "running")
        wanted = MISSING_REQUIRED_CLIENT_CAPABILITY if era == STATELESS else METHOD_NOT_FOUND
        for method in METHODS:
            code, _ = await refused(client, method, taskId="task_x", inputResponses={})
            assert code == wanted
        held.ready.set()
        assert (await call(client, "generate_image", **FOX))["status"] == "succeeded", "it waits as ever"


async def test_the_handshake_era_has_no_tasks_whatever_its_client_says(app: App, held: QuickDraft) -> None:
    held.ready.set()
    async with connected(app, "legacy", extensions=[TakesTasks()]) as client:
        assert (await call(client, "generate_image", **FOX))["status"] == "succeeded"


async def test_the_extension_is_told_of(taker: Client) -> None:
    capabilities = (await ask(taker, "server/discover"))["capabilities"]
    assert capabilities["extensions"]["io.modelcontextprotocol/tasks"] == {}
    assert "tasks" not in capabilities


async def test_who_takes_no_tasks_is_told_of_none(app: App) -> None:
    listen: dict[str, Any] = {"notifications": {"taskIds": ["task_x"]}}
    async with connected(app, STATELESS) as client:
        code, _ = await refused(client, "subscriptions/listen", **listen)
        assert code == MISSING_REQUIRED_CLIENT_CAPABILITY
        async with client.listen(resource_subscriptions=["darkroom://jobs"]):
            pass


# Jobs


async def test_a_call_that_would_take_longer_is_a_task_that_ends_with_its_answer(
    taker: Client, held: QuickDraft
) -> None:
    task = await began(taker, "generate_image", **FOX)
    assert task["status"] == "working"
    assert task["statusMessage"].startswith("image ")
    assert (task["ttlMs"], "result" in task, "task" in task) == (None, False, False)
    assert task["pollIntervalMs"] >= 1000
    now = await ask(taker, "tasks/get", taskId=task["taskId"])
    assert (now["taskId"], now["status"], now["resultType"]) == (task["taskId"], "working", "complete")
    held.ready.set()
    done = await settled(taker, task["taskId"])
    assert done["status"] == "completed"
    assert "pollIntervalMs" not in done
    plain = await taker.call_tool("check_job", {"job_id": done["result"]["structuredContent"]["job_id"]})
    assert done["result"]["structuredContent"] == content(plain)["jobs"][0]
    assert done["result"]["content"][0]["text"] == words(plain)
    assert [block["type"] for block in done["result"]["content"]] == ["text", "image", "resource_link"]
    assert (await ask(taker, "tasks/get", taskId=task["taskId"])) == done, "thumbnails come every time"


@pytest.mark.usefixtures("patient")
async def test_what_is_soon_done_is_answered_without_a_task(taker: Client) -> None:
    assert (await start(taker, "generate_image", **FOX))["structuredContent"]["status"] == "succeeded"
    repeated = await start(taker, "generate_image", **FOX)
    assert "earlier, equal call" in str(repeated["content"])


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("generate_image", {"prompt": ""}),
        ("generate_image", {**FOX, "dry_run": True}),
        ("run_agent", {"task": "sell a lamp", "agent": "?"}),
        ("retry_job", {"job_id": "job_nothing"}),
    ],
)
async def test_refusals_and_answers_that_start_nothing_are_no_tasks(
    taker: Client, held: QuickDraft, tool: str, arguments: dict[str, Any]
) -> None:
    answer = await start(taker, tool, **arguments)
    assert answer.get("resultType", "complete") == "complete"
    assert answer["content"]
    assert held.sent == []


async def test_check_job_knows_a_task_by_its_id(taker: Client, held: QuickDraft) -> None:
    task = await began(taker, "generate_image", **FOX)
    [job] = (await call(taker, "check_job", job_id=task["taskId"]))["jobs"]
    assert job["job_id"] in task["taskId"]


async def test_tools_that_start_nothing_never_answer_with_a_task(taker: Client, held: QuickDraft) -> None:
    await began(taker, "generate_image", **FOX)
    assert (await call(taker, "check_job"))["jobs"][0]["kind"] == "image"


async def test_progress_is_not_sent_while_a_task_begins(
    taker: Client, held: QuickDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "TASK_WAIT_S", 0.3)
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    call_tool: Any = taker.session.call_tool
    task = await call_tool("generate_image", FOX, progress_callback=hear, allow_claimed=True)
    assert task.result_type == "task"
    assert heard == []


async def test_an_equal_call_has_the_same_task_and_says_so(taker: Client, held: QuickDraft) -> None:
    first = await began(taker, "generate_image", **FOX)
    second = await began(taker, "generate_image", **FOX)
    assert second["taskId"] == first["taskId"]
    assert "earlier, equal call" in second["statusMessage"]
    assert (await began(taker, "generate_image", **FOX, again=True))["taskId"] != first["taskId"]


async def test_a_failure_is_a_result(taker: Client, held: QuickDraft) -> None:
    held.error = ValueError("broken")
    task = await began(taker, "generate_image", **FOX)
    done = await settled(taker, task["taskId"])
    assert done["status"] == "completed"
    assert done["result"]["structuredContent"]["status"] == "failed"
    assert done["result"]["isError"] is True
    assert done["statusMessage"].startswith("image failed: ")


async def test_a_task_is_cancelled_with_its_job(taker: Client, held: QuickDraft) -> None:
    task = await began(taker, "generate_image", **FOX)
    assert await ask(taker, "tasks/cancel", taskId=task["taskId"]) == {"resultType": "complete"}
    done = await settled(taker, task["taskId"])
    assert (done["status"], "result" in done) == ("cancelled", False)
    assert "nothing was charged" in done["statusMessage"]
    assert await ask(taker, "tasks/cancel", taskId=task["taskId"]) == {"resultType": "complete"}
    assert await ask(taker, "tasks/update", taskId=task["taskId"], inputResponses={"x": 1}) == {
        "resultType": "complete"
    }
    retried = await began(taker, "retry_job", job_id=(await call(taker, "check_job"))["jobs"][0]["job_id"])
    assert retried["taskId"] != task["taskId"]


async def test_a_task_is_known_to_every_process_of_the_installation(app: App, held: QuickDraft) -> None:
    async with connected(app, STATELESS, extensions=[TakesTasks()]) as client:
        task = await began(client, "generate_image", **FOX)
    other = await anyio.to_thread.run_sync(lambda: App(Settings.load()))
    other.adapters = held  # pyright: ignore[reportAttributeAccessIssue] because it stands in
    held.ready.set()
    async with connected(other, STATELESS, extensions=[TakesTasks()]) as client:
        assert (await settled(client, task["taskId"]))["status"] == "completed"


# Ids


async def test_a_task_of_somebody_else_is_as_unknown_as_none(
    taker: Client, held: QuickDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = (await began(taker, "generate_image", **FOX))["taskId"]
    monkeypatch.setattr(desk, "caller", lambda: Caller("ann"))
    for method in METHODS:
        for unknown in (task_id, "task_nothing", f"{task_id[:-1]}~", f"task_job_x.{'9' * 5000}.x", "\N{SNOWMAN}.1.x"):
            code, message = await refused(taker, method, taskId=unknown, inputResponses={})
            assert code == INVALID_PARAMS
            assert message.startswith("There is no task '")
    monkeypatch.undo()
    assert (await ask(taker, "tasks/get", taskId=task_id))["status"] == "working"


async def test_a_task_of_a_deleted_job_is_unknown(taker: Client, app: App) -> None:
    task_id = Name("job_0000000000000000").sealed(await app.secret("tasks"), "local")
    assert await refused(taker, "tasks/get", taskId=task_id) == (INVALID_PARAMS, f"There is no task {task_id[:80]!r}.")


def test_ids_hold_for_one_principal_and_one_installation() -> None:
    name, key = Name("job_1", 3), b"k" * 32
    task_id = name.sealed(key, "ann")
    assert opened(task_id, key, "ann") == name
    assert opened(task_id, key, "bob") is None
    assert opened(task_id, b"other" * 8, "ann") is None
    assert opened(task_id.replace(".3.", ".03."), key, "ann") is None
    assert opened(task_id.replace(".3.", ".4."), key, "ann") is None
    assert len(task_id.rpartition(".")[2]) * 6 >= 192


async def test_a_store_that_cannot_be_read_is_an_error_of_the_server(
    taker: Client, app: App, held: QuickDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = (await began(taker, "generate_image", **FOX))["taskId"]

    async def broken(purpose: str) -> bytes:
        raise StorageError("The home folder is gone.", hint="Mount it.")

    monkeypatch.setattr(app, "secret", broken)
    code, message = await refused(taker, "tasks/get", taskId=task_id)
    assert code == INTERNAL_ERROR
    assert "The home folder is gone." in message
    answer = await start(taker, "generate_image", **FOX, again=True)
    assert answer["structuredContent"]["job_id"], "what was started is told all the same"


# Runs


async def test_a_run_that_only_starts_a_job_is_done_when_the_job_is(taker: Client, held: QuickDraft) -> None:
    task = await began(taker, "run_agent", task="Draw a red fox in the snow")
    held.ready.set()
    done = await settled(taker, task["taskId"])
    assert done["status"] == "completed"
    assert done["result"]["structuredContent"]["outputs"]
    assert [block["type"] for block in done["result"]["content"]] == ["text", "image", "resource_link"]


async def test_cancelling_such_a_run_stops_its_job(taker: Client, held: QuickDraft) -> None:
    task = await began(taker, "run_agent", task="Draw a red fox in the snow")
    while (now := await ask(taker, "tasks/get", taskId=task["taskId"]))["statusMessage"].startswith("run "):
        pass
    assert now["statusMessage"].startswith("image ")
    await ask(taker, "tasks/cancel", taskId=task["taskId"])
    assert (await settled(taker, task["taskId"]))["status"] == "completed", "the run itself had succeeded"
    assert (await call(taker, "check_job", status="cancelled"))["jobs"][0]["kind"] == "image"


@pytest.mark.usefixtures("patient")
async def test_a_brief_is_an_answer(taker: Client) -> None:
    answer = await start(taker, "run_agent", task="Write a landing page for Lumen, a lamp", agent="copy")
    assert answer["structuredContent"]["brief"]


async def test_a_run_whose_thinking_the_client_lends_is_no_task(app: App) -> None:
    async def think(context: Any, params: CreateMessageRequestParams) -> CreateMessageResult:
        return CreateMessageResult(
            role="assistant", content=TextContent(text="Done."), model="m", stop_reason="endTurn"
        )

    async with connected(app, STATELESS, extensions=[TakesTasks()], sampling_callback=think) as client:
        asked = await client.session.call_tool(
            "run_agent", {"task": "Say something", "agent": "copy"}, allow_input_required=True, allow_claimed=True
        )
        assert isinstance(asked, InputRequiredResult)
        run = (await call(client, "check_job"))["jobs"][0]
        assert (await call(client, "run_agent", run_id=run["run_id"]))["status"] == "succeeded"


# Questions


async def asking(app: App, client: Client) -> tuple[str, Run]:
    """Store a run that asks its user, and return the id of its task and it."""
    await app.ready()
    owned = await going(app.store.runs, due_at=LATER)
    run = await saved(app.store.runs, owned, RunState.WAITING, awaits=Awaits.ANSWER, question=QUESTION)
    key = await app.secret("tasks")
    return Name(run.id, len(run.answers)).sealed(key, "local"), run


async def test_a_question_is_asked_by_the_task_and_answered_there(asker: Client, app: App) -> None:
    task_id, run = await asking(app, asker)
    now = await ask(asker, "tasks/get", taskId=task_id)
    assert (now["status"], now["statusMessage"]) == ("input_required", "Which colour?")
    ((key, request),) = now["inputRequests"].items()
    assert request["method"] == "elicitation/create"
    again = await ask(asker, "tasks/get", taskId=task_id)
    assert again["inputRequests"] == now["inputRequests"]
    other = {"question-9": {"action": "accept", "content": {"answer": "red"}}, "odd": {"ignored": True}}
    assert await ask(asker, "tasks/update", taskId=task_id, inputResponses=other) == {"resultType": "complete"}
    assert (await ask(asker, "tasks/get", taskId=task_id))["status"] == "input_required"
    said = {key: {"action": "accept", "content": {"answer": "blue"}}}
    assert await ask(asker, "tasks/update", taskId=task_id, inputResponses=said) == {"resultType": "complete"}
    stored = await app.store.runs.get(run.id)
    assert stored is not None
    assert [answer.text for answer in stored.answers] == ["blue"]
    assert await ask(asker, "tasks/update", taskId=task_id, inputResponses=said) == {"resultType": "complete"}
    done = await settled(asker, task_id)
    assert done["result"]["structuredContent"]["run_id"] == run.id


@pytest.mark.parametrize(
    ("filled", "text"),
    [({"answer": 3}, "3"), ({"answer": True}, "true"), ({"input": "blue"}, "blue"), ({"answer": "a", "b": "c"}, "a")],
)
async def test_what_a_form_brings_is_taken_as_text(asker: Client, app: App, filled: dict[str, Any], text: str) -> None:
    task_id, run = await asking(app, asker)
    said = {"question-1": {"action": "accept", "content": filled}}
    await ask(asker, "tasks/update", taskId=task_id, inputResponses=said)
    stored = await app.store.runs.get(run.id)
    assert stored is not None
    assert [answer.text for answer in stored.answers] == [text]


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_user_who_says_nothing_lets_the_run_go_on(asker: Client, app: App, action: str) -> None:
    task_id, run = await asking(app, asker)
    await ask(asker, "tasks/update", taskId=task_id, inputResponses={"question-1": {"action": action}})
    stored = await app.store.runs.get(run.id)
    assert stored is not None
    assert [answer.text for answer in stored.answers] == [UNANSWERED[action]]


@pytest.mark.parametrize(
    "response",
    [
        12345,
        {"action": "perhaps"},
        {"action": "accept"},
        {"action": "accept", "content": {"colour": "blue", "size": "small"}},
        {"action": "accept", "content": {"answer": ["blue"]}},
        {"action": "accept", "content": {"answer": None}},
        {"action": "accept", "content": {"answer": " "}},
        {"action": "accept", "content": {"answer": "x" * 20_001}},
    ],
)
async def test_a_response_that_is_no_answer_changes_nothing(asker: Client, app: App, response: Any) -> None:
    task_id, run = await asking(app, asker)
    code, message = await refused(asker, "tasks/update", taskId=task_id, inputResponses={"question-1": response})
    assert code == INVALID_PARAMS
    assert "Nothing was changed" in message
    stored = await app.store.runs.get(run.id)
    assert stored == run


async def test_who_is_later_with_an_answer_is_thanked_all_the_same(
    asker: Client, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id, run = await asking(app, asker)
    look = app.runs.things

    async def slow(ids: Any, principal: str) -> Any:
        found = await look(ids, principal)
        await app.store.runs.answer(run.id, "local", "green", app.clock.now())
        return found

    monkeypatch.setattr(app.runs, "things", slow)
    said = {"question-1": {"action": "accept", "content": {"answer": "blue"}}}
    assert await ask(asker, "tasks/update", taskId=task_id, inputResponses=said) == {"resultType": "complete"}
    stored = await app.store.runs.get(run.id)
    assert stored is not None
    assert [answer.text for answer in stored.answers] == ["green"]


async def test_without_forms_a_question_ends_the_task_and_its_answer_begins_another(taker: Client, app: App) -> None:
    task_id, run = await asking(app, taker)
    now = await ask(taker, "tasks/get", taskId=task_id)
    assert (now["status"], "inputRequests" in now) == ("completed", False)
    assert now["result"]["structuredContent"]["question"] == "Which colour?"
    answered = await app.store.runs.answer(run.id, "local", "blue", app.clock.now())
    assert answered is not None
    for end in (False, True):
        if end:
            await app.runs.cancel(run.id, "local")
        later = await ask(taker, "tasks/get", taskId=task_id)
        assert (later["status"], later["statusMessage"]) == ("completed", now["statusMessage"])
        told, before = later["result"]["structuredContent"], now["result"]["structuredContent"]
        assert {**told, "duration_ms": 0} == {**before, "duration_ms": 0}
    follow = await start(taker, "run_agent", run_id=run.id)
    assert follow.get("taskId", "") != task_id


async def test_a_question_met_at_once_is_a_task_where_forms_are_shown(asker: Client, app: App) -> None:
    _, run = await asking(app, asker)
    task = await began(asker, "run_agent", run_id=run.id)
    assert (task["status"], "inputRequests" in task) == ("input_required", False)


async def test_a_question_met_at_once_is_an_answer_where_none_are(taker: Client, app: App) -> None:
    _, run = await asking(app, taker)
    assert (await start(taker, "run_agent", run_id=run.id))["structuredContent"]["question"] == "Which colour?"


# HTTP


async def test_over_http_the_header_must_name_the_task(app: App, held: QuickDraft) -> None:
    server = await anyio.to_thread.run_sync(DarkroomServer, app.running)
    asgi = http_app(server, app.settings, host="127.0.0.1")
    base = "http://127.0.0.1:8765"
    with anyio.fail_after(LIMIT_S):
        async with (
            server.session_manager.run(),
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app=asgi), base_url=base) as http,
            Client(streamable_http_client(f"{base}/mcp", http_client=http), extensions=[TakesTasks()]) as client,
        ):
            task_id = (await began(client, "generate_image", **FOX))["taskId"]
            assert (await ask(client, "tasks/get", taskId=task_id))["status"] == "working"
            body: dict[str, Any] = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tasks/get",
                "params": {
                    "taskId": task_id,
                    "_meta": {
                        "io.modelcontextprotocol/protocolVersion": STATELESS,
                        "io.modelcontextprotocol/clientCapabilities": {"extensions": {TakesTasks.identifier: {}}},
                    },
                },
            }
            plain = {
                "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": STATELESS,
                "Mcp-Method": "tasks/get",
            }
            wrong: list[dict[str, str]] = [{}, {"Mcp-Name": "task_other"}]
            for name in wrong:
                answer = await http.post("/mcp", json=body, headers={**plain, **name})
                assert answer.status_code == 400
                assert str(HEADER_MISMATCH) in answer.text
            answer = await http.post("/mcp", json=body, headers={**plain, "Mcp-Name": task_id})
            assert "working" in answer.text
