"""Resources: records of jobs, and their files."""

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from helpers_server import QuickDraft, call, read_json
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from PIL import Image

from darkroom.app import App
from darkroom.server import resources

pytestmark = pytest.mark.anyio
FOX: dict[str, Any] = {"prompt": "a red fox", "size": "64x64"}


async def picture(client: Client, uri: str) -> tuple[str, tuple[int, int]]:
    """Return format and size of a resource that is a picture."""
    blob: str = getattr((await client.read_resource(uri)).contents[0], "blob", "")
    with Image.open(io.BytesIO(base64.b64decode(blob))) as opened:
        return str(opened.format), opened.size


async def test_a_record_says_all_that_is_known_of_a_job(client: Client) -> None:
    job = await call(client, "generate_image", **FOX, idempotency_key="k1", options={"labels": ["fox"]})
    record = await read_json(client, f"darkroom://jobs/{job['job_id']}")
    assert (record["job_id"], record["labels"], record["idempotency_key"]) == (job["job_id"], ["fox"], "k1")
    moves = [event["target"] for event in record["history"]]
    assert moves == ["queued", "submitting", "running", "downloading", "succeeded"]
    assert [row["kind"] for row in record["ledger"]] == ["reserved", "released"] or record["ledger"]
    assert record["files"][0]["sha256"]
    assert record["submissions"][0]["effective"]["width"] == 64
    assert record["request"]["prompt"] == "a red fox"


async def test_long_lists_are_paged(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "PAGE", 2)
    ids = [(await call(client, "generate_image", **FOX, again=True))["job_id"] for _ in range(3)]
    newest = await read_json(client, "darkroom://jobs")
    assert [job["job_id"] for job in newest["jobs"]] == [ids[2], ids[1]]
    older = await read_json(client, newest["older"])
    assert [job["job_id"] for job in older["jobs"]] == [ids[0]]
    assert "older" not in older


async def test_a_file_and_its_thumbnail_can_be_read(client: Client) -> None:
    job = await call(client, "generate_image", **FOX)
    uri = f"darkroom://outputs/{job['outputs'][0]['id']}"
    assert await picture(client, uri) == ("PNG", (64, 64))
    assert await picture(client, f"{uri}/thumbnail") == ("WEBP", (64, 64))


async def test_a_large_file_says_where_it_lies(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "INLINE_BYTES", 10)
    job = await call(client, "generate_image", **FOX)
    uri = f"darkroom://outputs/{job['outputs'][0]['id']}"
    facts = await read_json(client, uri)
    assert (facts["path"], facts["thumbnail"]) == (job["outputs"][0]["path"], f"{uri}/thumbnail")
    assert facts["bytes"] > 10


async def test_a_file_that_the_user_deleted_is_said_to_be_gone(client: Client) -> None:
    job = await call(client, "generate_image", **FOX)
    Path(job["outputs"][0]["path"]).unlink()
    with pytest.raises(MCPError, match="retry_job makes it anew"):
        await client.read_resource(f"darkroom://outputs/{job['outputs'][0]['id']}")


@pytest.mark.parametrize(
    "uri",
    [
        "darkroom://jobs/job_nothing",
        "darkroom://outputs/out_nothing_1",
        "darkroom://outputs/out_nothing_1/thumbnail",
        "darkroom://nothing",
        "darkroom://jobs/a/b",
        "file:///etc/passwd",
        "darkroom://usage/2026-13",
        "darkroom://usage/2026-00",
        "darkroom://usage/0000-01",
        "darkroom://usage/2999-01",
        "darkroom://usage/abcd",
        "darkroom://jobs?before=garbage",
        "darkroom://sessions?before=garbage",
        "darkroom://models?after=zzz",
    ],
)
async def test_what_there_is_not_is_an_error(client: Client, uri: str) -> None:
    with pytest.raises(MCPError, match="Unknown resource") as caught:
        await client.read_resource(uri)
    assert caught.value.error.code == INVALID_PARAMS


async def test_a_month_that_is_none_is_said_in_words(client: Client) -> None:
    with pytest.raises(MCPError, match="'2026-13' is no month"):
        await client.read_resource("darkroom://usage/2026-13")
    with pytest.raises(MCPError, match="'2999-01' is still to come"):
        await client.read_resource("darkroom://usage/2999-01")


async def test_a_page_of_a_conversation_that_is_none_is_said_in_words(client: Client) -> None:
    with pytest.raises(MCPError, match="before must be the number of a message, not 'x'") as caught:
        await client.read_resource("darkroom://sessions/ses_1?before=x")
    assert caught.value.error.code == INVALID_PARAMS


async def test_an_address_like_no_other_is_answered_with_what_there_is(client: Client) -> None:
    with pytest.raises(MCPError, match="There are ") as caught:
        await client.read_resource("darkroom://nope")
    assert "openai" not in str(caught.value)


async def test_a_job_under_way_shows_its_progress_and_typical_time(client: Client, quick: QuickDraft, app: App) -> None:
    import anyio

    quick.ready = anyio.Event()
    job = await call(client, "generate_image", **FOX, wait=0)
    assert job["eta_s"] >= 1
    record = await read_json(client, f"darkroom://jobs/{job['job_id']}")
    assert "check_after_s" in record
    quick.ready.set()


async def test_a_record_tells_what_it_comes_from_and_what_came_of_it(client: Client) -> None:
    jobs: list[dict[str, Any]] = [await call(client, "generate_image", **FOX)]
    for words in ("in snow", "at night"):
        jobs.append(await call(client, "generate_image", prompt=words, refine=jobs[-1]["job_id"]))
    first, middle, last = (item["job_id"] for item in jobs)
    assert (await read_json(client, f"darkroom://jobs/{first}"))["lineage"] == {"children": [middle]}
    assert (await read_json(client, f"darkroom://jobs/{middle}"))["lineage"] == {
        "ancestors": [first],
        "children": [last],
    }
    assert (await read_json(client, f"darkroom://jobs/{last}"))["lineage"] == {"ancestors": [first, middle]}
    again = await call(client, "generate_image", refine=last)
    assert (await read_json(client, f"darkroom://jobs/{again['job_id']}"))["request"][
        "prompt"
    ] == "a red fox, in snow, at night"
    alone = await call(client, "generate_image", prompt="a boat", size="64x64")
    assert "lineage" not in await read_json(client, f"darkroom://jobs/{alone['job_id']}")
