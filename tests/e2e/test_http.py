"""The server over HTTP as people run it: two processes that share a port, which behave as one."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import anyio
import httpx2
import pytest
from anyio import aclose_forcefully
from anyio.abc import SocketAttribute
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
async def sockets() -> AsyncGenerator[AsyncExitStack]:
    """What stays open until the server has ended, for tests that name it before the server."""
    async with AsyncExitStack() as stack:
        yield stack


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
                assert await process.wait() == 0


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


def raw(address: str, secret: str, method: str, params: dict[str, Any]) -> bytes:
    """Return a request of the stateless era as it goes over a socket."""
    own = "io.modelcontextprotocol"
    meta: dict[str, Any] = {f"{own}/protocolVersion": ERA, f"{own}/clientCapabilities": {}, "progressToken": 1}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}})
    headers = {
        "Host": address.split("/")[2],
        "Authorization": f"Bearer {secret}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": ERA,
        "Mcp-Method": method,
        "Mcp-Name": str(params.get("name") or params.get("uri") or ""),
        "Content-Length": str(len(body)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
    return f"POST /mcp HTTP/1.1\r\n{head}\r\n{body}".encode()


async def test_clients_that_never_read_keep_neither_others_nor_the_end_waiting(
    sockets: AsyncExitStack, address: str
) -> None:
    with anyio.fail_after(BOUND_S):
        ann = await token("ann")
        large = {"prompt": "noise", "size": "1920x1920", "wait": 45}
        made = (await connected(address, ann, ERA, "generate_image", **large))["outputs"][0]
        clip = await connected(address, ann, ERA, "generate_video", **CLIP)
        listen = {"notifications": {"resourceSubscriptions": [f"darkroom://jobs/{clip['job_id']}"]}}
        wait = {"name": "check_job", "arguments": {"job_id": clip["job_id"], "wait": 45}}
        read = {"uri": f"darkroom://outputs/{made['id']}"}
        asked = [("tools/call", wait), ("subscriptions/listen", listen), ("resources/read", read)]
        for method, params in asked * 15:
            stream = await anyio.connect_tcp("127.0.0.1", int(address.split(":")[2].split("/")[0]))
            stream.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sockets.push_async_callback(aclose_forcefully, stream)
            await stream.send(raw(address, ann, method, params))
            assert await stream.receive(12) == b"HTTP/1.1 200"  # and no more of it
        status = "queued"
        while status != "succeeded":
            answer = await connected(address, ann, ERA, "check_job", job_id=clip["job_id"], wait=5)
            status = answer["jobs"][0]["status"]
        again = await connected(address, ann, "legacy", "generate_image", prompt="a blue boat", wait=45)
        assert again["status"] == "succeeded"
