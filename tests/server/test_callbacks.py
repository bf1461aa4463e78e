"""From the call of a tool to a receiver on this machine, which checks the signature over the bytes that came."""

import hashlib
import hmac
import json
import logging
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from helpers_server import QuickDraft, call, connected, read_json, words

from darkroom.app import App
from darkroom.domain.run import Delivery
from darkroom.settings import Settings
from helpers_net import Reply, Server, serving

SECRET = "s3cret-of-callbacks"
FOX: dict[str, Any] = {"prompt": "a red fox", "size": "64x64"}


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    async with serving() as running:
        yield running


@pytest.fixture
async def app(server: Server, quick: QuickDraft, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setenv("DARKROOM_CALLBACK_HOSTS", server.url.removeprefix("http://"))
    monkeypatch.setenv("DARKROOM_CALLBACK_SECRET", SECRET)
    made = await anyio.to_thread.run_sync(lambda: App(Settings.load()))
    made.adapters = quick  # pyright: ignore[reportAttributeAccessIssue] because it stands in
    return made


def on_disk(home: Path) -> bytes:
    """Return all that the program wrote below its home; blocks."""
    return b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())


async def test_a_receiver_is_told_of_a_job_and_can_verify_it(
    app: App, server: Server, era: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"callback_url": f"{server.url}/hook?token=t0ken", "invocation_id": "inv-1"}
    with caplog.at_level(logging.DEBUG):
        async with connected(app, era) as client:
            job = await call(client, "generate_image", **FOX, options=options)
            await server.requests(1)
            [seen] = server.seen
            notice = json.loads(seen.body)
            expected = hmac.new(SECRET.encode(), seen.body, hashlib.sha256).hexdigest()
            assert seen.headers["x-signature"] == expected
            assert (notice["job_id"], notice["invocation_id"]) == (job["job_id"], "inv-1")
            assert (notice["status"], notice["output"][0]["id"]) == ("succeeded", job["outputs"][0]["id"])
            assert notice["output"][0]["path"] == job["outputs"][0]["path"]
            record = await read_json(client, f"darkroom://jobs/{job['job_id']}")
    shown = json.dumps([job, record])
    assert record["callback"]["host"] == server.url.removeprefix("http://")
    assert record["callback"]["invocation_id"] == "inv-1"
    assert SECRET not in shown + caplog.text
    assert "t0ken" not in shown + caplog.text
    assert SECRET.encode() not in await anyio.to_thread.run_sync(on_disk, app.settings.home)


async def test_a_record_says_what_stands_in_the_way(app: App, server: Server, era: str) -> None:
    server.replies(Reply(410))
    async with connected(app, era) as client:
        job = await call(client, "generate_image", **FOX, options={"callback_url": f"{server.url}/hook"})
        await server.requests(1)
        with anyio.fail_after(10), app.bus.watch_all() as watch:
            while (told := await app.callbacks.of(job["job_id"], "local")) and told.state is Delivery.DUE:
                await watch.wait(0.05)
        record = await read_json(client, f"darkroom://jobs/{job['job_id']}")
        plain = await call(client, "generate_image", **FOX, again=True)
        assert "callback" not in await read_json(client, f"darkroom://jobs/{plain['job_id']}")
    assert record["callback"] == {
        "host": server.url.removeprefix("http://"),
        "invocation_id": job["job_id"],
        "status": "failed",
        "attempts": 1,
        "http_status": 410,
        "error": "It answered with status 410, which a further attempt would not mend.",
    }


async def test_a_refused_address_is_an_error_in_words_and_no_job(app: App, era: str) -> None:
    async with connected(app, era) as client:
        options = {"callback_url": "https://elsewhere.test/?token=t0ken"}
        answer = await client.call_tool("generate_image", {**FOX, "options": options})
        assert answer.is_error
        assert "options.callback_url names the host 'elsewhere.test', which is not listed." in words(answer)
        assert "DARKROOM_CALLBACK_HOSTS" in words(answer)
        assert "t0ken" not in words(answer)
        assert (await call(client, "check_job"))["jobs"] == []
