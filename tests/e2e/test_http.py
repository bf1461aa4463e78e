"""The server over HTTP as people run it: two processes that share a port, which behave as one."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import httpx2
import pytest
from anyio.streams.text import TextReceiveStream
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.subscriptions import ResourceUpdated

pytestmark = pytest.mark.anyio
BOUND_S = 110.0
ERA = "2026-07-28"
CLIP: dict[str, Any] = {"prompt": "a red car in the desert", "duration": 2, "resolution": "360p", "wait": 0}
COMMAND = [sys.executable, "-m", "darkroom"]


async def token(*arguments: str) -> str:
    done = await anyio.run_process([*COMMAND, "token", "add", *arguments, "--json"])
    return str(json.loads(done.stdout)["token"])


@pytest.fixture
async def address() -> AsyncGenerator[str]:
    """Where two processes serve, for those who have a token."""
    command = [*COMMAND, "serve", "--http", "--port", "0", "--workers", "2"]
    async with await anyio.open_process(command, stderr=subprocess.PIPE, env=dict(os.environ)) as process:
        assert process.stderr is not None
        try:
            told = ""
            with anyio.fail_after(BOUND_S):
                async for text in TextReceiveStream(process.stderr):
                    told += text
                    found = re.search(r"http://127\.0\.0\.1:\d+/mcp", told)
                    if found:
                        break
                else:
                    raise AssertionError(told)
                yield found[0]
        finally:
            process.send_signal(signal.SIGTERM)
            with anyio.fail_after(BOUND_S, shield=True):
                await process.wait()


async def connected(address: str, secret: str, era: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool over a connection of its own, which any of the processes may answer."""
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {secret}"}, timeout=60) as http,
        Client(streamable_http_client(address, http_client=http), mode=era) as client,
    ):
        answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer
    return answer.structured_content or {}


async def test_two_processes_behave_as_one(address: str) -> None:
    with anyio.fail_after(BOUND_S):
        ann = await token("ann")
        clip = await connected(address, ann, "2026-07-28", "generate_video", **CLIP)
        again = [await connected(address, ann, era, "generate_video", **CLIP) for era in ("legacy", "2026-07-28") * 3]
        assert {made["job_id"] for made in again} == {clip["job_id"]}
        ended: list[dict[str, Any]] = []

        async def wait(era: str) -> None:
            job: dict[str, Any] = {"status": "queued"}
            while job["status"] != "succeeded":
                job = (await connected(address, ann, era, "check_job", job_id=clip["job_id"], wait=45))["jobs"][0]
            ended.append(job)

        async with anyio.create_task_group() as tasks:
            for era in ("legacy", "2026-07-28") * 3:
                tasks.start_soon(wait, era)
        assert len(ended) == 6
        async with httpx2.AsyncClient() as plain:
            opened = await plain.get(ended[0]["outputs"][0]["url"])
        assert (opened.status_code, opened.headers["content-type"]) == (200, "video/mp4")
        assert opened.content[4:8] == b"ftyp"


async def test_a_token_revoked_by_another_process_opens_nothing_a_second_later(address: str) -> None:
    ann = await token("ann")
    with anyio.fail_after(BOUND_S):
        assert (await connected(address, ann, "2026-07-28", "check_job"))["jobs"] == []
        listed = await anyio.run_process([*COMMAND, "token", "list", "--json"])
        [row] = json.loads(listed.stdout)
        await anyio.run_process([*COMMAND, "token", "revoke", row["id"]])
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {ann}"}) as plain:
            while (await plain.post(address, json={})).status_code != 401:
                await anyio.lowlevel.checkpoint()


async def test_changes_are_told_of_to_those_alone_whose_they_are_whichever_process_they_listen_at(address: str) -> None:
    with anyio.fail_after(BOUND_S):
        secrets = {name: await token(name) for name in ("ann", "bob")}
        jobs = {
            name: (await connected(address, secret, ERA, "generate_video", **CLIP))["job_id"]
            for name, secret in secrets.items()
        }
        uris = [f"darkroom://jobs/{job_id}" for job_id in jobs.values()]
        heard: dict[str, set[str]] = {name: set() for name in jobs}

        async def listen(name: str) -> None:
            async with (
                httpx2.AsyncClient(headers={"Authorization": f"Bearer {secrets[name]}"}, timeout=90) as http,
                Client(streamable_http_client(address, http_client=http), mode=ERA) as client,
                client.listen(resource_subscriptions=uris) as events,
            ):
                async for event in events:
                    assert isinstance(event, ResourceUpdated)
                    heard[name].add(str(event.uri))
                    found = await client.call_tool("check_job", {"job_id": jobs[name]})
                    content: dict[str, Any] = found.structured_content or {}
                    if content["jobs"][0]["status"] == "succeeded":
                        break

        async with anyio.create_task_group() as tasks:
            for name in jobs:
                tasks.start_soon(listen, name)
        assert heard == {name: {f"darkroom://jobs/{job_id}"} for name, job_id in jobs.items()}
