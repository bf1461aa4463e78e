"""The HTTP face: who comes in, as whom, what is refused, and what is seen of files."""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from helpers_http import PLAIN, Face, served
from helpers_server import QuickDraft, call, content, read_json, words
from mcp.shared.exceptions import MCPError

from darkroom import __version__
from darkroom.app import App
from darkroom.errors import StorageCorrupt
from darkroom.server import auth, http
from darkroom.settings import Settings

pytestmark = pytest.mark.anyio
PICTURE: dict[str, Any] = {"prompt": "a red fox", "size": "256x256", "wait": 40}
ASKING: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 7,
    "method": "tools/call",
    "params": {"name": "check_job", "arguments": {}},
}


@pytest.fixture
async def face(app: App) -> AsyncGenerator[Face]:
    async with served(app) as opened:
        yield opened


@pytest.fixture
async def ann(app: App, face: Face) -> str:
    """A token of a principal, from which on nobody comes in without one."""
    await app.ready()
    return (await app.tokens.add("ann"))[1]


# ---------------------------------------------------------------------- without tokens


async def test_without_any_token_who_sits_here_is_served_with_progress_and_paths(face: Face, era: str) -> None:
    told: list[str] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append(message or "")

    async with face.client(era) as client:
        made = content(await client.call_tool("generate_image", PICTURE, progress_callback=hear))
    assert made["status"] == "succeeded"
    assert Path(made["outputs"][0]["path"]).name.startswith("a-red-fox")
    assert "image queued" in told


async def test_health_says_that_it_lives_and_readiness_that_jobs_can_be_stored(app: App, face: Face) -> None:
    async with face.plain() as plain:
        alive, ready = await plain.get("/healthz"), await plain.get("/readyz")
    assert alive.status_code == ready.status_code == 200
    assert alive.json() == {
        "status": "ok",
        "service": "darkroom",
        "version": __version__,
        "agents": len(app.agents.select()),
        "providers": len(app.providers),
    }
    assert alive.json()["agents"] > 10
    assert ready.json() == {"status": "ready"}


async def test_a_server_that_cannot_store_lives_and_is_not_ready(
    app: App, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise StorageCorrupt("The job database is damaged.")

    monkeypatch.setattr(app, "ready", broken)
    async with face.plain() as plain:
        assert (await plain.get("/healthz")).status_code == 200
        unready = await plain.get("/readyz")
    assert (unready.status_code, unready.json()) == (503, {"status": "not ready", "reason": "storage_corrupt"})
    answer = await face.post(ASKING)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    told = "The jobs of this server cannot be reached (storage_corrupt). Nothing was stored."
    assert answer.json()["error"]["message"] == told


async def test_a_server_whose_database_was_deleted_is_not_ready(app: App, face: Face) -> None:
    async with face.plain() as plain:
        assert (await plain.get("/readyz")).status_code == 200
        app.settings.database.unlink()
        unready = await plain.get("/readyz")
    assert (unready.status_code, unready.json()) == (503, {"status": "not ready", "reason": "storage_missing"})


async def test_a_server_that_is_still_starting_says_so(app: App, face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "READY_S", 0)
    monkeypatch.setattr(app, "ready", anyio.sleep_forever)
    async with face.plain() as plain:
        unready = await plain.get("/readyz")
    assert (unready.status_code, unready.json()["reason"]) == (503, "starting")


@pytest.mark.parametrize(
    "host",
    ["evil.example.com", "127.0.0.1.evil.example.com", "evil.example.com:8765", "localhost:8765.evil.com", "a:b:1"],
)
async def test_a_host_from_elsewhere_is_refused(face: Face, host: str) -> None:
    assert (await face.post(ASKING, Host=host)).status_code == 421


@pytest.mark.parametrize("origin", ["http://evil.example.com", "null", "https://127.0.0.1.evil.example.com"])
async def test_an_origin_from_elsewhere_is_refused(face: Face, origin: str) -> None:
    assert (await face.post(ASKING, Origin=origin)).status_code == 403


# ---------------------------------------------------------------------- tokens


@pytest.mark.parametrize("token", [None, "drk_wrong", "nonsense"])
async def test_where_there_is_a_token_nobody_comes_in_without_one(face: Face, ann: str, token: str | None) -> None:
    answer = await face.post(ASKING, token)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert ('error="invalid_token"' in answer.headers["www-authenticate"]) is (token is not None)
    assert "darkroom token add" in answer.json()["error"]["message"]
    async with face.plain() as plain:
        assert (await plain.get("/mcp")).status_code == 401
        assert (await plain.get("/healthz")).status_code == 200


@pytest.mark.parametrize("header", ["Basic YW5uOmFubg==", "drk_x", "Bearer", "Bearer "])
async def test_other_ways_to_say_who_one_is_are_refused(face: Face, ann: str, header: str) -> None:
    assert (await face.post(ASKING, Authorization=header)).status_code == 401


async def test_a_token_that_was_never_made_is_refused_where_none_is_needed(face: Face) -> None:
    assert (await face.post(ASKING, "drk_wrong")).status_code == 401


async def test_a_revoked_token_opens_nothing(app: App, face: Face, ann: str) -> None:
    [token] = await app.tokens.find()
    await app.tokens.revoke(token.id)
    assert (await face.post(ASKING, ann)).status_code == 401


async def test_no_token_is_ever_logged(face: Face, ann: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with face.client("2026-07-28", ann) as client:
        await call(client, "check_job")
    await face.post(ASKING, "drk_secretsecretsecret")
    assert ann not in caplog.text
    assert "drk_secretsecretsecret" not in caplog.text


async def test_a_token_that_may_only_look_starts_nothing(app: App, face: Face, ann: str, era: str) -> None:
    _, looking = await app.tokens.add("ann", scopes=["read"])
    async with face.client(era, ann) as client:
        made = await call(client, "generate_image", **PICTURE)
    async with face.client(era, looking) as client:
        assert (await call(client, "check_job", job_id=made["job_id"]))["jobs"][0]["status"] == "succeeded"
        assert (await read_json(client, f"darkroom://jobs/{made['job_id']}"))["job_id"] == made["job_id"]
        with pytest.raises(MCPError, match="may only look; generate_image needs one with the scope 'write'"):
            await client.call_tool("generate_image", {**PICTURE, "again": True})
        assert len((await call(client, "check_job"))["jobs"]) == 1
    refused = await face.post({**ASKING, "params": {"name": "cancel_job", "arguments": {}}}, looking)
    assert refused.status_code == 403
    assert 'error="insufficient_scope", scope="write"' in refused.headers["www-authenticate"]
    assert refused.json()["id"] == 7
    for method in ("tasks/cancel", "tasks/update"):
        assert (await face.post({**ASKING, "method": method, "params": {"taskId": "x"}}, looking)).status_code == 403


async def test_a_plain_client_with_a_token_makes_a_picture_in_one_request(face: Face, ann: str) -> None:
    params = {"name": "generate_image", "arguments": PICTURE}
    answer = await face.post({**ASKING, "params": params}, ann)
    assert answer.headers["content-type"].startswith("text/event-stream")
    [data] = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    told = json.loads(data)
    assert (told["id"], told["result"]["structuredContent"]["status"]) == (7, "succeeded")
    async with face.plain() as plain:
        opened = await plain.get(told["result"]["structuredContent"]["outputs"][0]["url"])
    assert opened.headers["content-type"] == "image/png"


# ---------------------------------------------------------------------- principals


async def test_another_principals_things_are_unknown(app: App, face: Face, ann: str, era: str) -> None:
    _, bob = await app.tokens.add("bob")
    async with face.client(era, ann) as client:
        made = await call(client, "generate_image", **PICTURE)
        run = await call(client, "run_agent", task="Write a tagline for Lumen, a lamp", agent="copy", wait=40)
    output = made["outputs"][0]["id"]
    theirs = [f"jobs/{made['job_id']}", f"outputs/{output}", f"outputs/{output}/thumbnail", f"runs/{run['run_id']}"]
    async with face.client(era, bob) as client:
        assert (await call(client, "check_job"))["jobs"] == []
        for uri in (*theirs, f"sessions/{run['session_id']}"):
            with pytest.raises(MCPError, match="Unknown resource"):
                await client.read_resource(f"darkroom://{uri}")
        for tool, arguments in (
            ("check_job", {"job_id": made["job_id"]}),
            ("cancel_job", {"job_id": made["job_id"]}),
            ("retry_job", {"job_id": made["job_id"]}),
            ("generate_image", {"prompt": "x", "refine": output}),
            ("generate_image", {"prompt": "x", "images": [output]}),
            ("run_agent", {"task": "x", "session_id": run["session_id"]}),
        ):
            assert (await client.call_tool(tool, arguments)).is_error, tool
        assert (await read_json(client, "darkroom://jobs"))["jobs"] == []
    async with face.client(era, ann) as client:
        assert len((await call(client, "check_job"))["jobs"]) >= 2


async def test_equal_calls_of_two_principals_make_two_jobs(app: App, face: Face, ann: str) -> None:
    _, bob = await app.tokens.add("bob")
    made: list[str] = []
    for token in (ann, bob, ann):
        async with face.client("2026-07-28", token) as client:
            made.append((await call(client, "generate_image", **PICTURE))["job_id"])
    assert made[0] != made[1]
    assert made[0] == made[2]


async def test_who_is_elsewhere_sees_and_names_no_path_of_this_machine(
    app: App, face: Face, ann: str, era: str
) -> None:
    async with face.client(era, ann) as client:
        answer = await client.call_tool("generate_image", PICTURE)
        made = content(answer)
        record = await read_json(client, f"darkroom://jobs/{made['job_id']}")
        listed = await read_json(client, "darkroom://jobs")
        run = await client.call_tool("run_agent", {"task": "make a picture of a red boat", "wait": 40})
        saved = await client.call_tool("generate_image", {"prompt": "x", "save_as": "x.png"})
        taken = await client.call_tool("generate_image", {"prompt": "x", "images": [str(app.settings.home / "x.png")]})
    [output] = made["outputs"]
    assert output["url"].startswith(f"http://127.0.0.1:8765/outputs/{output['id']}?by=ann&")
    assert output["url"] in words(answer)
    seen = "".join(map(str, (answer, record, listed, run)))
    assert str(app.settings.home) not in seen
    assert str(app.settings.outputs) not in seen
    assert '"path"' not in json.dumps([made, record, listed, run.structured_content])
    assert saved.is_error
    assert "not for callers over this connection" in words(saved)
    assert taken.is_error
    assert "not accepted over this connection" in words(taken)
    [job] = await app.jobs.get([made["job_id"]], "ann")
    assert Path(job.outputs[0].path).is_relative_to(app.settings.outputs / "principals" / "ann")


async def test_an_address_of_an_output_opens_it_without_a_token(app: App, face: Face, ann: str) -> None:
    async with face.client("2026-07-28", ann) as client:
        made = await call(client, "generate_image", **PICTURE)
    url, [job] = made["outputs"][0]["url"], await app.jobs.get([made["job_id"]], "ann")
    data = await anyio.Path(job.outputs[0].path).read_bytes()
    async with face.plain() as plain:
        opened = await plain.get(url)
        part = await plain.get(url, headers={"Range": "bytes=2-5"})
        assert (await plain.get(url.replace("by=ann", "by=bob"))).status_code == 403
        assert (await plain.get(url.partition("?")[0])).status_code == 403
        assert (await plain.post(url)).status_code == 405
        await app.artifacts.read(job.outputs[0])
        await anyio.Path(job.outputs[0].path).unlink()
        gone = await plain.get(url)
    assert (opened.status_code, opened.content, opened.headers["content-type"]) == (200, data, "image/png")
    assert opened.headers["x-content-type-options"] == "nosniff"
    assert (part.status_code, part.content) == (206, data[2:6])
    assert gone.status_code == 410
    assert "retry_job" in gone.text


async def test_a_link_to_what_is_no_longer_known_opens_nothing(
    app: App, face: Face, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with face.client("2026-07-28", ann) as client:
        made = await call(client, "generate_image", **PICTURE)
    url = made["outputs"][0]["url"]

    async def nothing(output_id: str, principal: str) -> None:
        return None

    async def broken(output_id: str, principal: str) -> None:
        raise StorageCorrupt("The job database is damaged.")

    async with face.plain() as plain:
        monkeypatch.setattr(app.store, "output", nothing)
        assert (await plain.get(url)).status_code == 404
        monkeypatch.setattr(app.store, "output", broken)
        assert (await plain.get(url)).status_code == 503


async def test_the_plan_of_a_token_is_that_of_its_jobs(app: App, face: Face, ann: str) -> None:
    _, planned = await app.tokens.add("cleo", plan="agency")
    plans: list[str] = []
    for token in (ann, planned):
        async with face.client("2026-07-28", token) as client:
            plans.append((await call(client, "generate_image", **PICTURE))["cost"]["plan"])
            plans.append((await read_json(client, "darkroom://pricing/summary"))["plan"])
    assert plans == ["brand", "brand", "agency", "agency"]


# ---------------------------------------------------------------------- limits


@pytest.fixture
def slow_app(quick: QuickDraft) -> App:
    made = App(Settings.load(rate_limit=2))
    made.adapters = quick  # pyright: ignore[reportAttributeAccessIssue] because it stands in
    return made


async def test_so_many_calls_a_minute_and_no_more_for_each_principal(slow_app: App) -> None:
    async with served(slow_app) as face:
        await slow_app.ready()
        (_, ann), (_, bob) = await slow_app.tokens.add("ann"), await slow_app.tokens.add("bob")
        codes = [(await face.post(ASKING, ann)).status_code for _ in range(2)]
        late = await face.post(ASKING, ann)
        assert 429 not in codes
        assert late.status_code == 429
        assert 1 <= int(late.headers["retry-after"]) <= 30
        assert late.json()["id"] == 7
        assert "Nothing was stored" in late.json()["error"]["message"]
        assert (await face.post({**ASKING, "method": "tools/list"}, ann)).status_code != 429
        assert (await face.post(ASKING, bob)).status_code != 429


async def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = face.asgi
    assert isinstance(gate, auth.Gate)
    monkeypatch.setattr(gate, "_most", 1000)

    async def parts() -> AsyncGenerator[bytes]:
        for _ in range(20):
            yield b" " * 100

    assert (await face.post(b" " * 1001)).status_code == 413
    async with face.plain() as plain:
        chunked = await plain.post("/mcp", content=parts())
    assert chunked.status_code == 413
    assert "Nothing was stored" in chunked.json()["error"]["message"]
    assert (await face.post(b" " * 1000)).status_code == 400


async def test_a_picture_of_the_largest_size_that_is_taken_fits_into_a_request() -> None:
    from darkroom.artifacts.inputs import MAX_BYTES

    assert MAX_BYTES * 4 / 3 + 1_000_000 < http.MOST_BYTES


async def test_a_large_body_is_read_off_the_loop(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "LARGE", 10)
    async with face.client("2026-07-28") as client:
        assert (await call(client, "check_job"))["jobs"] == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"text"', b"7", b"null", b'{"jsonrpc":"2.0"}', b"\xff\xfe", b"[" * 9999]
)
async def test_what_is_no_request_is_answered_as_the_protocol_says(face: Face, body: bytes) -> None:
    answer = await face.post(body)
    assert answer.status_code == 400, answer.text
    assert "error" in answer.json()
    async with face.client("2026-07-28") as client:
        assert (await call(client, "check_job"))["jobs"] == []


async def test_a_caller_that_goes_away_in_the_middle_of_its_body_harms_nothing(face: Face) -> None:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "headers": [(b"host", b"127.0.0.1:8765"), *((name.lower().encode(), PLAIN[name].encode()) for name in PLAIN)],
        "query_string": b"",
        "scheme": "http",
        "server": ("127.0.0.1", 8765),
    }
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await face.asgi(scope, receive, send)
    assert sent[0]["status"] == 400
    async with face.client("2026-07-28") as client:
        assert (await call(client, "check_job"))["jobs"] == []


async def test_a_body_that_never_ends_is_given_up(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "BODY_S", 0.05)

    async def parts() -> AsyncGenerator[bytes]:
        yield b"{"
        await anyio.sleep_forever()

    async with face.plain() as plain:
        late = await plain.post("/mcp", content=parts())
    assert late.status_code == 408
    assert "Nothing was stored" in late.json()["error"]["message"]


async def test_an_answer_ends_when_its_token_does(
    app: App, face: Face, ann: str, quick: QuickDraft, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "LOOK_EVERY_S", 0.01)
    quick.ready = anyio.Event()
    asked, fails = app.tokens.still, 1

    async def still(token: Any) -> bool:
        nonlocal fails
        fails -= 1
        if fails == 0:
            raise StorageCorrupt("The job database is damaged.")
        return await asked(token)

    monkeypatch.setattr(app.tokens, "still", still)
    params = {"name": "generate_image", "arguments": {**PICTURE, "wait": 45}}
    answers: list[httpx2.Response] = []

    async def wait() -> None:
        with suppress(AssertionError):  # of the transport, for an answer that is broken off
            answers.append(await face.post({**ASKING, "params": params}, ann))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        while not await app.jobs.find("ann"):
            await anyio.lowlevel.checkpoint()
        [token] = await app.tokens.find()
        await app.tokens.revoke(token.id)
    assert "succeeded" not in "".join(answer.text for answer in answers)
    assert len(await app.jobs.find("ann")) == 1, "what was started goes on"


# ---------------------------------------------------------------------- other names and other pages


@pytest.fixture
def named(quick: QuickDraft) -> App:
    """A program that others know by other names."""
    names = {"public_url": "https://media.example.com/", "allowed_hosts": ("inside.example.com",)}
    made = App(Settings.load(cors_origins=("https://app.example.com",), **names))
    made.adapters = quick  # pyright: ignore[reportAttributeAccessIssue] because it stands in
    return made


async def test_the_address_of_outputs_and_the_hosts_are_those_that_were_set(named: App) -> None:
    app = named
    async with served(app, "0.0.0.0") as face:
        await app.ready()
        _, token = await app.tokens.add("ann")
        async with face.client("2026-07-28", token) as client:
            made = await call(client, "generate_image", **PICTURE)
        assert made["outputs"][0]["url"].startswith("https://media.example.com/outputs/")
        asking = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        for host in ("media.example.com", "inside.example.com", "inside.example.com:81", "localhost:1"):
            assert (await face.post(asking, token, Host=host)).status_code == 200, host
        for host in ("0.0.0.0", "0.0.0.0:8765", "other.example.com"):
            assert (await face.post(asking, token, Host=host)).status_code == 421, host


async def test_pages_of_origins_that_were_set_may_call(named: App) -> None:
    app = named
    asking = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    async with served(app) as face:
        await app.ready()
        _, token = await app.tokens.add("ann")
        async with face.plain() as plain:
            asked = await plain.options("/mcp", headers={**asking, "Access-Control-Request-Headers": "authorization"})
            other = await plain.options("/mcp", headers={**asking, "Origin": "https://evil.example.com"})
        answer = await face.post(ASKING, token, Origin="https://app.example.com")
        refused = await face.post(ASKING, "drk_no", Origin="https://app.example.com")
    assert asked.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    assert other.status_code == 400
    assert "access-control-allow-origin" not in other.headers
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    assert refused.status_code == 401
    assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]
