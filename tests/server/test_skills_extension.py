"""The Skills extension: entries whose digests hold for what is read, paging, folders, and the user's own skills."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import yaml
from helpers_server import connected
from mcp import Client
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND, BlobResourceContents

from darkroom.app import App
from darkroom.catalog.skills import Skills
from darkroom.server import skill_pages
from darkroom.settings import Settings
from helpers_extensions import Json, ask, refused
from helpers_skills import write_skill

pytestmark = pytest.mark.anyio
STATELESS = "2026-07-28"
BYTES = b"\xff\xfe"


async def every(client: Client, method: str, field: str, **params: Any) -> list[Json]:
    """Return all pages of a list."""
    found: list[Json] = []
    more: Json = {}
    while True:
        page = await ask(client, method, **params, **more)
        found += page[field]
        if "nextCursor" not in page:
            return found
        more = {"cursor": page["nextCursor"]}


async def read(client: Client, uri: str) -> bytes:
    """Return the bytes of a resource."""
    (item,) = (await client.read_resource(uri)).contents
    return base64.b64decode(item.blob) if isinstance(item, BlobResourceContents) else item.text.encode()


@pytest.fixture
async def client(app: App) -> Any:
    async with connected(app, STATELESS) as opened:
        yield opened


async def test_every_skill_is_listed_once_with_files_that_can_be_checked(client: Client) -> None:
    entries = await every(client, "skills/list", "skills")
    assert [entry["uri"] for entry in entries] == sorted(f"skill://{item.name}/SKILL.md" for item in Skills().values())
    for entry in entries:
        files = {item["uri"]: item for item in entry["resources"]}
        assert len(files) == len(entry["resources"])
        for uri, item in files.items():
            assert uri.startswith(entry["uri"].removesuffix("SKILL.md"))
            data = await read(client, uri)
            assert (item["size"], item["digest"]) == (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}")
        front = yaml.safe_load((await read(client, entry["uri"])).decode().split("---\n")[1])
        assert entry["frontmatter"] == front
        assert entry["uri"] == f"skill://{front['name']}/SKILL.md"
        assert (await ask(client, "skills/get", uri=entry["uri"]))["skill"] == entry


async def test_pages_end_and_keep_whole_entries(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await every(client, "skills/list", "skills")
    monkeypatch.setattr(skill_pages, "PAGE", 7)
    first = await ask(client, "skills/list")
    assert len(first["skills"]) == 7
    assert (first["ttlMs"], first["cacheScope"], first["resultType"]) == (60_000, "private", "complete")
    assert await every(client, "skills/list", "skills") == whole


async def test_the_extension_is_told_of(client: Client) -> None:
    capabilities = (await ask(client, "server/discover"))["capabilities"]
    assert capabilities["extensions"]["io.modelcontextprotocol/skills"] == {"directoryRead": True}
    assert "resources" in capabilities


@pytest.mark.parametrize(
    "uri",
    [
        "skill://nothing/SKILL.md",
        "skill://email_sequence/SKILL.md",
        "skill://email-sequence",
        "skill://email-sequence/references/example.md",
        "https://email-sequence/SKILL.md",
        "",
    ],
)
async def test_what_is_no_skill_is_refused(client: Client, uri: str) -> None:
    code, message = await refused(client, "skills/get", uri=uri)
    assert code == INVALID_PARAMS
    assert "No skill is served" in message


async def test_a_cursor_of_nobody_is_refused(client: Client) -> None:
    for params in ({"cursor": "x"}, {"cursor": ""}, {"cursor": "after:"}):
        assert (await refused(client, "skills/list", **params))[0] == INVALID_PARAMS
    assert (await ask(client, "skills/list", cursor="after:zzz"))["skills"] == []


async def test_folders_of_skills_are_read(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    root = await ask(client, "resources/directory/read", uri="skill://compliance-check")
    assert [(item["name"], item["mimeType"]) for item in root["resources"]] == [
        ("compliance-check", "text/markdown"),
        ("references", "inode/directory"),
    ]
    assert root["resources"][0]["uri"] == "skill://compliance-check/SKILL.md"
    assert root["resources"][0]["description"]
    monkeypatch.setattr(skill_pages, "CHILDREN", 1)
    inside = await every(client, "resources/directory/read", "resources", uri=root["resources"][1]["uri"])
    assert [item["name"] for item in inside] == ["example.md", "rules.md"]
    for item in inside:
        assert await read(client, item["uri"])


@pytest.mark.parametrize(
    "uri",
    [
        "skill://compliance-check/SKILL.md",
        "skill://compliance-check/",
        "skill://compliance-check/refer",
        "skill://nothing",
        "skill://",
        "skill:/",
        "darkroom://jobs",
        "",
    ],
)
async def test_what_is_no_folder_is_refused(client: Client, uri: str) -> None:
    assert (await refused(client, "resources/directory/read", uri=uri))[0] == INVALID_PARAMS


async def test_the_handshake_era_has_none_of_it(app: App) -> None:
    async with connected(app, "legacy") as client:
        for method in ("skills/list", "skills/get", "resources/directory/read"):
            code, _ = await refused(client, method, uri="skill://email-sequence/SKILL.md")
            assert code == METHOD_NOT_FOUND


# Skills of the user's own


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's, with one skill in it."""
    folder = tmp_path / "mine"
    folder.mkdir()
    monkeypatch.setenv("DARKROOM_SKILLS_DIR", str(folder))
    more = "version: 2\nsince: 2026-01-31\nmore: [1.5, .inf, null]\n"
    skill = write_skill(folder, "film-cutting", f"---\nname: film-cutting\ndescription: Cuts film.\n{more}---\nx\n")
    (skill / "my assets").mkdir()
    (skill / "my assets" / "a b#1.bin").write_bytes(BYTES)
    return folder


async def program() -> App:
    """Return a program that knows the user's folder."""
    return await anyio.to_thread.run_sync(lambda: App(Settings.load()))


async def test_skills_of_the_users_own_are_among_them_as_their_files_stand(mine: Path) -> None:
    async with connected(await program(), STATELESS) as client:
        entry = (await ask(client, "skills/get", uri="skill://film-cutting/SKILL.md"))["skill"]
        front = {"name": "film-cutting", "description": "Cuts film.", "version": 2, "since": "2026-01-31"}
        assert entry["frontmatter"] == {**front, "more": [1.5, "inf", None]}
        uri = "skill://film-cutting/my%20assets/a%20b%231.bin"
        digest = f"sha256:{hashlib.sha256(BYTES).hexdigest()}"
        assert entry["resources"][1] == {"uri": uri, "digest": digest, "size": len(BYTES)}
        assert await read(client, uri) == BYTES
        (inside,) = (await ask(client, "resources/directory/read", uri="skill://film-cutting/my%20assets"))["resources"]
        assert (inside["name"], inside["uri"]) == ("a b#1.bin", uri)
        assert entry in await every(client, "skills/list", "skills")
        await anyio.Path(mine / "film-cutting" / "my assets" / "a b#1.bin").write_bytes(b"other")
        after = (await ask(client, "skills/get", uri=entry["uri"]))["skill"]
        assert after["resources"][1]["size"] == len(b"other")


async def test_of_two_skills_of_one_name_the_one_that_can_be_read_is_served(mine: Path) -> None:
    await anyio.to_thread.run_sync(write_skill, mine, "email-sequence", None, "letters")
    async with connected(await program(), STATELESS) as client:
        entries = await every(client, "skills/list", "skills")
        (entry,) = [item for item in entries if item["uri"] == "skill://email-sequence/SKILL.md"]
        data = await read(client, entry["uri"])
        assert entry["resources"][0]["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"


async def test_a_skill_whose_files_are_gone_is_not_served(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = await program()
    seen = await anyio.to_thread.run_sync(app.skill_files.current)
    monkeypatch.setattr(app.skill_files, "current", lambda: seen)
    await anyio.Path(mine / "film-cutting" / "SKILL.md").unlink()
    async with connected(app, STATELESS) as client:
        assert (await refused(client, "skills/get", uri="skill://film-cutting/SKILL.md"))[0] == INVALID_PARAMS
        assert len(await every(client, "skills/list", "skills")) == len(seen) - 1
