"""The Skills extension: every skill with its front matter, and the digest and size of each of its files.

Source: the extension's specification (SEP-2640). The files themselves are the resources of `knowledge.py`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote

import anyio.to_thread
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PaginatedRequestParams, RequestParams, Resource

from darkroom.catalog.skills import FILE, Skill, manifest
from darkroom.domain.request import clip
from darkroom.server.asking_user import STATELESS
from darkroom.server.knowledge import SKILL_SCHEME, media_type, skill_resource, skill_uri
from darkroom.services.skills import SkillLibrary

IDENTIFIER = "io.modelcontextprotocol/skills"
PAGE = 20
"""Skills in one answer: some 10 kB."""
CHILDREN = 100
"""Files and folders in one answer."""
FOLDER = "inode/directory"
CACHE: dict[str, Any] = {"ttlMs": 60_000, "cacheScope": "private"}
"""A user's own skills may be among them."""
_CURSOR = re.compile(r"after:(.+)", re.DOTALL)

Context = ServerRequestContext[Any, Any]
Item = TypeVar("Item")


class SkillParams(RequestParams):
    """Parameters of `skills/get`."""

    uri: str


class FolderParams(PaginatedRequestParams):
    """Parameters of `resources/directory/read`."""

    uri: str


class SkillsExtension(Extension):
    """Lists skills, and the folders that they are."""

    identifier = IDENTIFIER

    def __init__(self, library: Callable[[], SkillLibrary]) -> None:
        self._library = library

    def settings(self) -> dict[str, Any]:
        """Return what clients are told of it."""
        return {"directoryRead": True}

    def methods(self) -> Sequence[MethodBinding]:
        """Return the three methods; in the handshake era there are none of these names."""
        versions = frozenset({STATELESS})
        return [
            MethodBinding("skills/list", PaginatedRequestParams, self._list, versions),
            MethodBinding("skills/get", SkillParams, self._get, versions),
            MethodBinding("resources/directory/read", FolderParams, self._folder, versions),
        ]

    async def _list(self, ctx: Context, params: PaginatedRequestParams) -> HandlerResult:
        del ctx

        def look() -> dict[str, Any]:
            page, more = _page(self._served(), lambda skill: skill.name, params.cursor, PAGE)
            entries = [entry for entry in map(_entry, page) if entry is not None]
            return {"skills": entries, **more, **CACHE}

        return await anyio.to_thread.run_sync(look)

    async def _get(self, ctx: Context, params: SkillParams) -> HandlerResult:
        del ctx

        def look() -> dict[str, Any]:
            skill = next((item for item in self._served() if skill_uri(item, FILE) == params.uri), None)
            entry = _entry(skill) if skill else None
            if entry is None:
                raise _invalid(f"No skill is served at {clip(params.uri)!r}.")
            return {"skill": entry, **CACHE}

        return await anyio.to_thread.run_sync(look)

    async def _folder(self, ctx: Context, params: FolderParams) -> HandlerResult:
        del ctx

        def look() -> dict[str, Any]:
            page, more = _page(self._children(params.uri), lambda item: item.uri, params.cursor, CHILDREN)
            children = [item.model_dump(by_alias=True, mode="json", exclude_none=True) for item in page]
            return {"resources": children, **more}

        return await anyio.to_thread.run_sync(look)

    def _served(self) -> list[Skill]:
        """Return the skills, of which one alone can be read where two have one name."""
        library = self._library()
        return [skill for skill in library.select() if library.named(skill.name) is skill]

    def _children(self, uri: str) -> list[Resource]:
        """Return what lies directly in a folder of a skill.

        Raises:
            MCPError: If there is no such folder.
        """
        found: dict[str, Resource] = {}
        for skill in self._served() if uri.startswith(SKILL_SCHEME) else ():
            for path in skill.files:
                here, _, rest = skill_uri(skill, path).partition(f"{uri}/")
                if not here and rest:
                    child = _child(skill, path, uri, rest)
                    found.setdefault(child.uri, child)
        if not found:
            raise _invalid(f"{clip(uri)!r} is no folder of a skill.")
        return list(found.values())


def _child(skill: Skill, path: str, folder: str, rest: str) -> Resource:
    """Return a file, or the folder directly in `folder` that it is in; `rest` is the URI of the file from there."""
    name, deeper, _ = rest.partition("/")
    if deeper:
        return Resource(uri=f"{folder}/{name}", name=unquote(name), mime_type=FOLDER)
    if path == FILE:
        return skill_resource(skill)
    return Resource(uri=f"{folder}/{name}", name=unquote(name), mime_type=media_type(path))


def _entry(skill: Skill) -> dict[str, Any] | None:
    """Return what hosts need to show, approve and check a skill; None where its files are gone by now."""
    try:
        files = manifest(skill)
    except OSError:
        return None
    return {
        "uri": skill_uri(skill, FILE),
        "frontmatter": dict(skill.front),
        "resources": [
            {"uri": skill_uri(skill, file.name), "digest": f"sha256:{file.sha256}", "size": file.size} for file in files
        ],
    }


def _page(
    items: Iterable[Item], name: Callable[[Item], str], cursor: str | None, most: int
) -> tuple[list[Item], dict[str, str]]:
    """Return a page of what is sorted by name, and how to get the next; a cursor is the last name of a page.

    Raises:
        MCPError: If the cursor is none of ours.
    """
    after = _CURSOR.fullmatch(cursor) if cursor is not None else None
    if cursor is not None and after is None:
        raise _invalid(f"The cursor {clip(cursor)!r} is none that this list gave.")
    left = sorted((item for item in items if after is None or name(item) > after[1]), key=name)
    page = left[:most]
    return page, {"nextCursor": f"after:{name(page[-1])}"} if len(left) > most else {}


def _invalid(text: str) -> MCPError:
    return MCPError(code=INVALID_PARAMS, message=text)
