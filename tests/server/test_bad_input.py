"""Whatever a model sends by mistake is refused in words that tell it what to do, and nothing is stored."""

import os
import re
import shutil
import sqlite3
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from helpers_http import served
from helpers_server import QuickDraft, call, connected, jobs_of, words
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, MISSING_REQUIRED_CLIENT_CAPABILITY, CallToolResult

from darkroom.app import App
from darkroom.errors import InvalidRequest
from darkroom.server.build import DarkroomServer
from darkroom.server.context import ToolCall
from darkroom.server.schema import ToolArgs, parse
from darkroom.server.tools import TOOLS
from darkroom.server.tools.generate_image import GenerateImageArgs
from darkroom.settings import Settings

pytestmark = pytest.mark.anyio
IMAGE, VIDEO = "generate_image", "generate_video"
LONG = "x" * 100_000
FOX: dict[str, Any] = {"prompt": "a red fox", "size": "64x64"}


def check_refusal(result: CallToolResult, *expected: str) -> None:
    """Hold a refusal to its rules."""
    text = words(result)
    assert result.is_error, text
    for part in expected:
        assert part.lower() in text.lower(), text
    assert len(text) < 1_200
    assert "pydantic" not in text
    assert "://" not in re.sub(r"'[^']*'|https://(?=[ ;])", "", text), "but for what the caller wrote, no address"
    assert "Traceback" not in text
    assert not re.search(r"x{81}", text)


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "no prompt": (IMAGE, {}, "prompt is missing"),
    "a mistyped prompt": (IMAGE, {"promt": "a fox"}, "Did you mean 'prompt'?"),  # codespell:ignore promt
    "a model that makes clips": (IMAGE, {**FOX, "model": "veo-3.1"}, "generate_video"),
    "null as prompt": (IMAGE, {"prompt": None}, "prompt is missing"),
    "an empty prompt": (IMAGE, {"prompt": ""}, "prompt is empty"),
    "a blank prompt": (VIDEO, {"prompt": " \n "}, "prompt is empty"),
    "a book as prompt": (IMAGE, {"prompt": LONG}, "100,000 characters"),
    "an unknown argument": (IMAGE, {**FOX, "negativ_prompt": "x"}, "'negative_prompt'"),
    "an unknown argument of a long name": (IMAGE, {**FOX, LONG: "x"}, "There is no argument"),
    "an unknown model": (IMAGE, {**FOX, "model": "draft-imag"}, "'draft-image'"),
    "a model of a long name": (IMAGE, {**FOX, "model": LONG}, "There is no model"),
    "an unknown provider": (IMAGE, {**FOX, "provider": "drafty"}, "'draft'"),
    "an unknown job": ("check_job", {"job_id": "job_nothing"}, "check_job without job_id"),
    "an unknown job to cancel": ("cancel_job", {"job_id": "job_nothing"}, "check_job without job_id"),
    "an unknown job to retry": ("retry_job", {"job_id": "job_nothing"}, "check_job without job_id"),
    "an unknown job to refine": (IMAGE, {**FOX, "refine": "job_nothing"}, "no job"),
    "too many jobs": ("check_job", {"job_id": ",".join(f"job_{n}" for n in range(21))}, "up to 20"),
    "a size of nothing": (IMAGE, {**FOX, "size": 0}, "1024x1024"),
    "a negative size": (IMAGE, {**FOX, "size": "-5x5"}, "1024x1024"),
    "a giant size": (IMAGE, {**FOX, "size": "100000x100000"}, "16 to 8192"),
    "a size in words": (IMAGE, {**FOX, "size": "big"}, "1024x1024"),
    "no pictures": (IMAGE, {**FOX, "n": 0}, "1 to 10"),
    "a thousand pictures": (IMAGE, {**FOX, "n": 1000}, "1 to 10"),
    "many pictures": (IMAGE, {**FOX, "n": "many"}, "whole number"),
    "half a picture": (IMAGE, {**FOX, "n": 1.5}, "whole number"),
    "a clip of no length": (VIDEO, {"prompt": "a fox", "duration": 0}, "0.5 to 600"),
    "a clip of an hour": (VIDEO, {"prompt": "a fox", "duration": 3600}, "0.5 to 600"),
    "an unknown resolution": (VIDEO, {"prompt": "a fox", "resolution": "999p"}, "1080p"),
    "an unknown ratio": (IMAGE, {**FOX, "aspect_ratio": "wide"}, "16:9"),
    "an unknown quality": (IMAGE, {**FOX, "quality": "superb"}, "high"),
    "an unknown option": (IMAGE, {**FOX, "options": {"formt": "png"}}, "format"),  # codespell:ignore formt
    "a missing picture": (IMAGE, {**FOX, "images": "no-such-file.png"}, "Nothing was stored"),
    "an empty picture": (IMAGE, {**FOX, "images": [""]}, "images is empty"),
    "a number as picture": (IMAGE, {**FOX, "images": [5]}, "src, role and name"),
    "an unknown role": (IMAGE, {**FOX, "images": [{"src": "a.png", "role": "hero"}]}, "source"),
    "an unknown output": (IMAGE, {**FOX, "images": ["out_nothing_1"]}, "check_job lists"),
    "a web address without encryption": (IMAGE, {**FOX, "images": ["http://example.com/fox.png"]}, "https"),
    "an address of this machine": (IMAGE, {**FOX, "images": ["https://127.0.0.1/fox.png"]}, "Nothing was stored"),
    "an address in disguise": (IMAGE, {**FOX, "images": ["https://2130706433/fox.png"]}, "Nothing was stored"),
    "a broken data URI": (IMAGE, {**FOX, "images": ["data:image/png;base64,!!!"]}, "Nothing was stored"),
    "a book as negative prompt": (IMAGE, {**FOX, "negative_prompt": LONG}, "negative_prompt"),
    "a cap in words": (IMAGE, {**FOX, "max_cost": "cheap"}, "US dollars"),
    "a negative cap": (IMAGE, {**FOX, "max_cost": -1}, "US dollars"),
    "a long key": (IMAGE, {**FOX, "idempotency_key": LONG}, "200 characters"),
    "a file outside": (IMAGE, {**FOX, "save_as": "../fox.png"}, "save_as"),
    "a file elsewhere": (IMAGE, {**FOX, "save_as": "/etc/fox.png"}, "save_as"),
    "a file name with a NUL": (IMAGE, {**FOX, "save_as": "a\0b.png"}, "save_as"),
    "a device as file": (IMAGE, {**FOX, "save_as": "CON.png"}, "save_as"),
    "a program as file": (IMAGE, {**FOX, "save_as": "fox.exe"}, "save_as"),
    "an unknown change": ("check_job", {"status": "finished"}, "succeeded"),
    "text as number": (VIDEO, {"prompt": "a fox", "duration": "long"}, "duration must be a number"),
    "text as truth": (VIDEO, {"prompt": "a fox", "audio": "perhaps"}, "audio must be true or false"),
    "text as seed": (IMAGE, {**FOX, "seed": "lucky"}, "seed must be a whole number"),
    "text as options": (IMAGE, {**FOX, "options": "fast"}, "options must be an object"),
    "text as scenes": (VIDEO, {"prompt": "a fox", "scenes": "one"}, "scenes must be a list"),
    "text as wait": (IMAGE, {**FOX, "wait": "long"}, "wait must be a number"),
    "text as dry_run": (IMAGE, {**FOX, "dry_run": "perhaps"}, "dry_run must be true or false"),
    "text as again": (IMAGE, {**FOX, "again": "perhaps"}, "again must be true or false"),
    "an object as prompt": (IMAGE, {"prompt": {"text": LONG}}, "prompt must be text"),
    "an object as images": (IMAGE, {**FOX, "images": {"a": "b"}}, "images"),
    "an object as job": ("check_job", {"job_id": {"id": "x"}}, "job_id must be text"),
    "a list as model": (IMAGE, {**FOX, "model": ["a"]}, "model must be text"),
    "a list as cap": (IMAGE, {**FOX, "max_cost": [1]}, "max_cost must be"),
    "a list as changes": ("retry_job", {"job_id": "job_x", "changes": [1]}, "changes must be an object"),
    "no job to cancel": ("cancel_job", {}, "job_id is missing"),
}
HALF = "a fox \ud83e"
CUT: dict[str, tuple[str, dict[str, Any], str]] = {
    "a prompt": (IMAGE, {"prompt": HALF}, "prompt has half a character"),
    "options": (IMAGE, {**FOX, "options": {"a": [{"b": HALF}]}}, "options has half a character"),
    "a name in options": (IMAGE, {**FOX, "options": {"a": {HALF: 1}}}, "options has half a character"),
    "labels": (IMAGE, {**FOX, "options": {"labels": ["x", HALF]}}, "options has half a character"),
    "a key": (IMAGE, {**FOX, "idempotency_key": HALF}, "idempotency_key has half a character"),
    "the name of an argument": (IMAGE, {**FOX, HALF: "x"}, "arguments has half a character"),
    "scenes": (VIDEO, {"scenes": [{"prompt": HALF, "duration": 2}]}, "scenes has half a character"),
    "a task": ("run_agent", {"task": HALF}, "task has half a character"),
    "context": ("run_agent", {"task": "x", "context": {"brand": HALF}}, "context has half a character"),
    "a job": ("check_job", {"job_id": HALF}, "job_id has half a character"),
    "an input of a skill": ("invoke_skill", {"skill": "headlines", "input": HALF}, "input has half a character"),
}


@pytest.mark.parametrize(("tool", "arguments", "expected"), WRONG.values(), ids=WRONG)
async def test_it_is_refused_and_nothing_is_stored(
    client: Client, quick: QuickDraft, tool: str, arguments: dict[str, Any], expected: str
) -> None:
    check_refusal(await client.call_tool(tool, arguments), expected)
    assert await jobs_of(client) == []
    assert quick.sent == []


async def test_half_a_character_is_refused_with_its_place(app: App, quick: QuickDraft) -> None:
    async with served(app) as face:
        for told, (tool, arguments, expected) in CUT.items():
            answer = await face.call(tool, arguments)
            assert answer["isError"], told
            assert expected in answer["content"][0]["text"], told
            assert "Nothing was stored or sent." in answer["content"][0]["text"], told
        whole = await face.call(IMAGE, {**FOX, "prompt": "a fox \U0001f98a", "wait": 40})
        assert whole["structuredContent"]["status"] == "succeeded"
        assert len(await app.jobs.find("local")) == 1
    assert [call.request.prompt for call in quick.sent] == ["a fox \U0001f98a"]


# Files


def _bomb() -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def _folder(path: Path) -> None:
    path.mkdir()


def _text(path: Path) -> None:
    path.write_text("not a picture", encoding="utf-8")


def _zeros(path: Path) -> None:
    path.write_bytes(_bomb())


def _link(path: Path) -> None:
    outside = path.parent.parent / "outside.png"
    outside.write_bytes(_bomb())
    path.symlink_to(outside)


@pytest.mark.parametrize(
    ("name", "lay"),
    [("fox.png", _folder), ("fox.png", _text), ("fox.png", _zeros), ("fox.png", _link), (".secret/fox.png", _text)],
    ids=["a folder", "a text", "a bomb", "a link to the outside", "a dot folder"],
)
async def test_a_file_that_is_no_picture_of_ours_is_refused(
    client: Client, home: Path, name: str, lay: Callable[[Path], None]
) -> None:
    path = home / "Pictures" / name
    path.parent.mkdir(parents=True)
    lay(path)
    check_refusal(await client.call_tool(IMAGE, {**FOX, "images": [str(path)]}), "Nothing was stored")
    assert await jobs_of(client) == []


# Folders and databases that cannot be used


async def test_an_endless_number_is_refused_in_words() -> None:
    with pytest.raises(InvalidRequest, match="n must be a finite number, not 'inf'"):
        parse(GenerateImageArgs, {**FOX, "n": float("inf")})


async def test_an_output_folder_that_is_a_file_is_refused_until_it_is_mended(client: Client, home: Path) -> None:
    blocker = Path(os.environ["DARKROOM_OUTPUT_DIR"])
    blocker.write_text("in the way", encoding="utf-8")
    check_refusal(await client.call_tool(IMAGE, FOX), "DARKROOM_OUTPUT_DIR", "Nothing was stored")
    assert await jobs_of(client) == []
    blocker.unlink()
    assert (await call(client, IMAGE, **FOX))["status"] == "succeeded"


def _app(quick: QuickDraft) -> App:
    app = App(Settings.load())
    app.adapters = quick  # pyright: ignore[reportAttributeAccessIssue] because it stands in
    return app


async def test_a_home_under_a_file_leaves_a_server_that_says_so_until_it_is_mended(
    quick: QuickDraft, era: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocker = home / "file"
    blocker.write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("DARKROOM_HOME", str(blocker / "home"))
    app = await anyio.to_thread.run_sync(_app, quick)
    async with connected(app, era) as client:
        assert len((await client.list_tools()).tools) == len(TOOLS)
        for tool, arguments in ((IMAGE, FOX), ("check_job", {})):
            check_refusal(await client.call_tool(tool, arguments), "DARKROOM_HOME")
        with pytest.raises(Exception, match="DARKROOM_HOME"):
            await client.read_resource("darkroom://jobs")
        blocker.unlink()
        assert (await call(client, IMAGE, **FOX))["status"] == "succeeded"


async def test_an_unknown_tool_is_an_error_of_the_protocol_and_names_the_nearest(client: Client) -> None:
    with pytest.raises(MCPError) as caught:
        await client.call_tool("generate_imagine", FOX)
    assert caught.value.error.code == INVALID_PARAMS
    assert caught.value.error.message == "There is no tool 'generate_imagine'. Did you mean 'generate_image'?"
    with pytest.raises(MCPError) as caught:
        await client.call_tool(LONG, FOX)
    assert len(caught.value.error.message) < 200


async def test_an_answer_of_the_protocol_is_no_failure_of_a_tool(app: App, era: str) -> None:
    async def needs(_: ToolArgs, call: ToolCall) -> CallToolResult:
        data: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "The client does not lend its model.", data)

    tool = replace(TOOLS[0], args=ToolArgs, run=needs)
    server = await anyio.to_thread.run_sync(lambda: DarkroomServer(app.running, [tool]))
    async with Client(server, mode=era) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool(tool.name, {})
    assert (caught.value.error.code, caught.value.error.message) == (
        MISSING_REQUIRED_CLIENT_CAPABILITY,
        "The client does not lend its model.",
    )
    assert caught.value.error.data == {"requiredCapabilities": {"sampling": {}}}


async def test_a_database_of_a_newer_program_is_refused_and_left_alone(quick: QuickDraft, app: App, era: str) -> None:
    def lay() -> bytes:
        app.settings.database.parent.mkdir(parents=True)
        with sqlite3.connect(app.settings.database) as db:
            db.execute("PRAGMA user_version = 999")
        db.close()
        return app.settings.database.read_bytes()

    before = await anyio.to_thread.run_sync(lay)
    async with connected(app, era) as client:
        check_refusal(await client.call_tool(IMAGE, FOX), "Update darkroom")
        check_refusal(await client.call_tool("check_job", {}), "Update darkroom")
    assert app.settings.database.read_bytes() == before


async def test_a_database_that_was_deleted_under_us_is_said_in_words(client: Client) -> None:
    assert (await call(client, IMAGE, **FOX))["status"] == "succeeded"
    await anyio.to_thread.run_sync(shutil.rmtree, os.environ["DARKROOM_HOME"])
    check_refusal(await client.call_tool(IMAGE, {**FOX, "again": True}))
