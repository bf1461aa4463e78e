"""Clients of the stateless era hear of what changes: their own jobs and runs, in whatever process they run."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
from helpers_server import QuickDraft, call, connected
from mcp import Client
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, CallToolResult

from darkroom.app import App
from darkroom.errors import StorageCorrupt
from darkroom.server import listening
from darkroom.settings import Settings
from helpers_extensions import refused

pytestmark = pytest.mark.anyio
JOBS = "darkroom://jobs"
ERA = "2026-07-28"
PICTURE: dict[str, Any] = {"prompt": "a red fox", "size": "64x64", "wait": 0}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "PAUSE_S", 0.01)
    monkeypatch.setattr(listening, "LOOK_EVERY_S", 0.2)


@pytest.fixture
async def client(app: App) -> AsyncGenerator[Client]:
    async with connected(app, ERA) as opened:
        yield opened


async def heard_until_done(client: Client, job_id: str, uris: list[str], quick: QuickDraft) -> list[str]:
    """Return the addresses that are told of while a job is finished, until the job itself was."""
    heard: list[str] = []
    async with client.listen(resource_subscriptions=uris) as events:
        quick.ready.set()
        async for event in events:
            assert isinstance(event, ResourceUpdated)
            heard.append(str(event.uri))
            if (await call(client, "check_job", job_id=job_id))["jobs"][0]["status"] == "succeeded":
                break
    return heard


@pytest.fixture
def quick() -> QuickDraft:
    """The stand-in for the draft engine; its work is ready when a test says so."""
    return QuickDraft()


async def test_a_job_that_changes_is_told_of(client: Client, quick: QuickDraft) -> None:
    job_id = (await call(client, "generate_image", **PICTURE))["job_id"]
    heard = await heard_until_done(client, job_id, [f"darkroom://jobs/{job_id}", "darkroom://jobs"], quick)
    assert set(heard) == {f"darkroom://jobs/{job_id}", "darkroom://jobs"}


async def test_a_run_and_its_session_are_told_of(client: Client, quick: QuickDraft) -> None:
    run = await call(client, "run_agent", task="Write a tagline for Lumen, a lamp", agent="copy", wait=40)
    uris = [f"darkroom://runs/{run['run_id']}", f"darkroom://sessions/{run['session_id']}"]
    heard: set[str] = set()
    async with client.listen(resource_subscriptions=uris) as events:
        await call(client, "run_agent", task="Another one", session_id=run["session_id"], wait=40)
        async for event in events:
            assert isinstance(event, ResourceUpdated)
            heard.add(str(event.uri))
            break
    assert heard == {uris[1]}


async def test_what_is_nobodys_or_never_changes_is_never_told_of(client: Client, quick: QuickDraft) -> None:
    job_id = (await call(client, "generate_image", **PICTURE))["job_id"]
    strange = [
        "darkroom://jobs/job_nope",
        "darkroom://models",
        "skill://x/SKILL.md",
        "https://example.com",
        "darkroom://",
    ]
    heard = await heard_until_done(client, job_id, [*strange, f"darkroom://jobs/{job_id}"], quick)
    assert set(heard) == {f"darkroom://jobs/{job_id}"}


async def test_a_change_in_another_process_is_told_of(client: Client, quick: QuickDraft) -> None:
    other = await anyio.to_thread.run_sync(lambda: App(Settings.load()))
    other.adapters = quick  # pyright: ignore[reportAttributeAccessIssue] because it stands in
    listened = client.listen(resource_subscriptions=["darkroom://jobs"])
    async with listened as events, connected(other, ERA) as elsewhere:
        await call(elsewhere, "generate_image", **PICTURE)
        async for event in events:
            assert isinstance(event, ResourceUpdated)
            assert event.uri == "darkroom://jobs"
            break


async def test_a_store_that_fails_for_a_moment_ends_no_stream(
    app: App, client: Client, quick: QuickDraft, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = (await call(client, "generate_image", **PICTURE))["job_id"]
    asked, fails = app.jobs.get, 3

    async def get(ids: Any, principal: str) -> Any:
        nonlocal fails
        fails -= 1
        if fails > 0:
            raise StorageCorrupt("The job database is damaged.")
        return await asked(ids, principal)

    monkeypatch.setattr(app.jobs, "get", get)
    heard = await heard_until_done(client, job_id, [f"darkroom://jobs/{job_id}"], quick)
    assert f"darkroom://jobs/{job_id}" in heard
    assert "cannot be watched: The job database is damaged." in caplog.text


async def test_a_client_that_listens_to_nothing_of_ours_is_answered(client: Client) -> None:
    async with client.listen(tools_list_changed=True):
        answer = await client.call_tool("check_job", {})
    assert isinstance(answer, CallToolResult)
    assert not answer.is_error


async def test_a_client_of_the_handshake_era_is_told_that_there_is_no_such_method(app: App) -> None:
    async with connected(app, "legacy") as client:
        code, _ = await refused(client, "subscriptions/listen", notifications={"resourceSubscriptions": [JOBS]})
    assert code == METHOD_NOT_FOUND


@pytest.mark.parametrize("asked", [{"resourceSubscriptions": [JOBS], "promptsListChanged": "nonsense"}, 5, [JOBS]])
async def test_what_is_refused_is_refused_as_it_is(client: Client, asked: Any) -> None:
    code, message = await refused(client, "subscriptions/listen", notifications=asked)
    assert (code, "TaskGroup" in message) == (INVALID_PARAMS, False)
