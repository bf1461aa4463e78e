"""The gate before `/mcp` reads what the server behind it reads, or lets nothing in."""

import gzip
import json
import logging
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from helpers_http import META, PLAIN, Face, served
from helpers_server import QuickDraft, read_json
from mcp_types import INVALID_REQUEST, PARSE_ERROR

from darkroom.app import App
from darkroom.errors import StorageMissing
from darkroom.server import auth
from darkroom.server.hiding import without_folders
from darkroom.settings import Settings

pytestmark = pytest.mark.anyio
MODERN = "2026-07-28"
ERAS = [MODERN, "2025-11-25"]


def asking(method: str = "tools/call", extra: str = "", **params: Any) -> str:
    told = {"name": "generate_image", "arguments": {"prompt": "a fox", "size": "64x64"}, "_meta": META, **params}
    text = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": told})
    return f"{text[:-1]}{extra}}}"


NESTED = ', "extra": ' + "[" * 300 + "]" * 300
READ: dict[str, bytes] = {
    "as it should be": asking().encode(),
    "half a character in a field that nobody reads": asking(extra=', "extra": "\\ud800"').encode(),
    "deep nesting in a field that nobody reads": asking(extra=NESTED).encode(),
    "a name in escapes": asking().replace("generate_image", "\\u0067enerate_image").encode(),
    "a method in escapes": asking().replace("tools/call", "\\u0074ools\\/call").encode(),
    "no number": asking(extra=', "extra": NaN').encode(),
}
"""Bodies that are calls, however they are written."""
UNREAD: dict[str, bytes] = {
    "a mark of its byte order": b"\xef\xbb\xbf" + asking().encode(),
    "UTF-16": asking().encode("utf-16"),
    "UTF-16 without a mark": asking().encode("utf-16-le"),
    "UTF-16, the other way about": asking().encode("utf-16-be"),
    "UTF-32": asking().encode("utf-32"),
    "other bytes": asking(extra=', "extra": "é"').encode("latin-1"),
    "packed": gzip.compress(asking().encode()),
    "a method twice": asking(extra=', "method": "tools/list"').encode(),
    "a harmless method first": asking("tools/list", extra=', "method": "tools/call"').encode(),
    "a tool twice": asking().replace('"name"', '"name": "check_job", "name"', 1).encode(),
    "nesting without end": asking(extra=', "extra": ' + "[" * 100_000).encode(),
    "a number without end": asking(extra=', "extra": ' + "9" * 5_000).encode(),
    "several": f"[{asking()}]".encode(),
    "two in a row": f"{asking()}\n{asking()}".encode(),
    "a method that is no text": asking().replace('"tools/call"', '["tools/call"]').encode(),
    "half a character in its id": asking().replace('"id": 7', '"id": "\\ud800"').encode(),
    "half a character in its tool": asking(name="generate_image\ud83d").encode(),
    "an id that is none": asking().replace('"id": 7', '"id": [7]').encode(),
    "an id that is true": asking().replace('"id": 7', '"id": true').encode(),
    "an id that is null": asking().replace('"id": 7', '"id": null').encode(),
    "another protocol": asking().replace('"2.0"', '"1.0"').encode(),
    "another protocol and half a character in its id": asking()
    .replace('"2.0"', '"1.0"')
    .replace('"id": 7', '"id": "\\ud800"')
    .encode(),
    "no protocol": asking().replace('"jsonrpc": "2.0", ', "").encode(),
    "no method": asking().replace('"method"', '"way"').encode(),
}
"""Bodies that some readers take for a call and others do not."""


@pytest.fixture
def app(quick: QuickDraft) -> App:
    """A program that takes one tool call in a long while of each principal."""
    made = App(Settings.load(rate_limit=1))
    made.adapters = quick  # pyright: ignore[reportAttributeAccessIssue] because it stands in
    return made


@pytest.fixture
async def face(app: App) -> AsyncGenerator[Face]:
    async with served(app) as opened:
        await app.ready()
        yield opened


async def post(face: Face, body: bytes, token: str, era: str = MODERN, **headers: str) -> httpx2.Response:
    named = {"Mcp-Method": "tools/call", "Mcp-Name": "generate_image"} if era == MODERN else {}
    return await face.post(body, token, **{"MCP-Protocol-Version": era, **named, **headers})


@pytest.mark.parametrize("version", ERAS)
@pytest.mark.parametrize("body", READ.values(), ids=READ)
async def test_a_call_is_one_however_it_is_written(app: App, face: Face, body: bytes, version: str) -> None:
    (_, looking), (_, ann) = await app.tokens.add("ro", scopes=["read"]), await app.tokens.add("ann")
    refused = await post(face, body, looking, version)
    assert (refused.status_code, refused.json()["id"]) == (403, 7)
    assert "generate_image needs one with the scope 'write'" in refused.json()["error"]["message"]
    codes = [(await post(face, body, ann, version)).status_code for _ in range(3)]
    assert codes[0] != 429
    assert codes[1:] == [429, 429]
    assert await app.jobs.find("ro") == []
    assert len(await app.jobs.find("ann")) <= 1


@pytest.mark.parametrize("version", ERAS)
async def test_what_readers_could_take_for_different_things_is_let_in_by_nobody(
    app: App, face: Face, version: str
) -> None:
    for scopes in (["read"], ["read", "write"]):
        _, token = await app.tokens.add("ann", scopes=scopes)
        for told, body in UNREAD.items():
            for headers in ({}, {"Content-Encoding": "gzip"}, {"Content-Type": "application/json; charset=utf-16"}):
                refused = await post(face, body, token, version, **headers)
                assert refused.status_code == 400, told
                assert refused.json()["error"]["code"] in (PARSE_ERROR, INVALID_REQUEST), told
                assert "Nothing was stored" in refused.json()["error"]["message"], told
    assert await app.jobs.find("ann") == []


async def test_a_refusal_says_what_could_not_be_read(app: App, face: Face) -> None:
    _, token = await app.tokens.add("ann")
    refused = await post(face, UNREAD["a method twice"], token)
    assert refused.json() == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {
            "code": PARSE_ERROR,
            "message": "The body is not JSON in UTF-8 (a name stands twice in an object). Nothing was stored.",
        },
    }


@pytest.mark.parametrize("version", ERAS)
@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", ""])
async def test_the_body_counts_whatever_the_headers_say(app: App, face: Face, kind: str, version: str) -> None:
    _, looking = await app.tokens.add("ro", scopes=["read"])
    for headers in ({}, {"Mcp-Name": "check_job"}, {"Mcp-Method": "tools/list"}):
        refused = await post(face, READ["as it should be"], looking, version, **{"Content-Type": kind, **headers})
        assert refused.status_code == 403
    _, ann = await app.tokens.add("ann")
    other = await post(face, READ["as it should be"], ann, version, **{"Content-Type": kind, "Mcp-Name": "check_job"})
    assert other.status_code in (400, 415)
    assert await app.jobs.find("ann") == []


@pytest.mark.parametrize("method", ["tasks/cancel", "tasks/update"])
async def test_what_changes_a_task_needs_the_right_however_it_is_written(app: App, face: Face, method: str) -> None:
    _, looking = await app.tokens.add("ro", scopes=["read"])
    told = asking(method, extra=', "extra": "\\ud800"', taskId="job_1")
    assert (await post(face, told.encode(), looking, **{"Mcp-Method": method})).status_code == 403
    assert (await post(face, b"\xef\xbb\xbf" + told.encode(), looking, **{"Mcp-Method": method})).status_code == 400


async def test_who_is_refused_is_logged_without_what_was_brought(
    app: App, face: Face, caplog: pytest.LogCaptureFixture
) -> None:
    _, token = await app.tokens.add("ann")
    with caplog.at_level(logging.INFO, "darkroom.server.auth"):
        await post(face, asking().encode(), "drk_guessed")
        await post(face, UNREAD["several"], token)
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [(level, text.partition(" ")[2]) for level, text in told] == [
        ("WARNING", "was refused with 401"),
        ("INFO", "was refused with 400"),
    ]


async def test_nobody_from_elsewhere_is_told_where_the_folders_lie(
    app: App, face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, outputs = app.settings.home, app.settings.outputs
    _, token = await app.tokens.add("ann")

    async def broken(*_: Any, **__: Any) -> Any:
        raise StorageMissing(f"The job database {home / 'x.sqlite3'} was moved.", hint=f"Look into {outputs}.")

    monkeypatch.setattr(app.generation, "start", broken)
    refused = (await post(face, READ["as it should be"], token)).text
    assert str(home) not in refused
    assert str(outputs) not in refused
    assert "The job database DARKROOM_HOME/x.sqlite3 was moved. Look into the output folder." in refused
    monkeypatch.setattr(app.tokens, "verify", broken_token(home))
    closed = await post(face, READ["as it should be"], token)
    assert (closed.status_code, str(home) in closed.text, "(storage_missing)" in closed.text) == (503, False, True)


def test_an_address_that_ends_like_a_folder_stays_as_it_is() -> None:
    settings = Settings.load(output_dir="/outputs")
    kept = '"https://x.example.com/outputs/out_1" http://127.0.0.1:80/outputs http://[::1]/outputs /outputs-2 a/outputs'
    assert without_folders(kept, settings) == kept
    told = without_folders('"/outputs/a.png" is in /outputs.', settings)
    assert told == '"the output folder/a.png" is in the output folder.'


def broken_token(home: Path) -> Callable[[str], Any]:
    async def verify(_: str) -> None:
        raise StorageMissing(f"The job database {home / 'x.sqlite3'} was moved.")

    return verify


async def test_a_name_of_any_length_is_refused_in_few_words(app: App, face: Face) -> None:
    _, looking = await app.tokens.add("ro", scopes=["read"])
    refused = await post(face, asking(name="x" * 10_000).encode(), looking)
    assert refused.status_code == 403
    assert len(refused.text) < 500


async def test_no_other_way_to_write_the_path_leads_past_the_gate(app: App, face: Face) -> None:
    await app.tokens.add("ann")
    headers = {**PLAIN, "MCP-Protocol-Version": "2025-11-25"}
    body = READ["as it should be"]
    async with face.plain(**headers) as plain:
        for path in ("/mcp", "/mcp%0A", "/mcp/", "/mcp%0D", "/mcp%20", "/mcp;x", "/mcp%0A%0A"):
            for method in ("POST", "GET", "DELETE", "OPTIONS"):
                assert (await plain.request(method, path, content=body)).status_code == 401, (method, path)
        for path in ("//mcp", "/./mcp", "/MCP", "/%6dcp%00", "/x/../mcp"):
            assert (await plain.post(path, content=body)).status_code in (401, 404, 405), path
    assert await app.jobs.find("local") == []


async def test_a_large_body_is_held_to_the_same(app: App, face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "LARGE", 10)
    _, looking = await app.tokens.add("ro", scopes=["read"])
    assert (await post(face, READ["deep nesting in a field that nobody reads"], looking)).status_code == 403
    assert (await post(face, UNREAD["nesting without end"], looking)).status_code == 400
    async with face.client(MODERN, looking) as client:
        assert (await read_json(client, "darkroom://jobs"))["jobs"] == []
