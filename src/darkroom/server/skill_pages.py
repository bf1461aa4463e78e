"""What the Skills extension answers: skills with their front matter and files, and the folders that they are."""

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import unquote

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, Resource

from darkroom.catalog.skills import FILE, Skill, manifest
from darkroom.domain.request import clip
from darkroom.server.knowledge import SKILL_SCHEME, media_type, skill_resource, skill_uri
from darkroom.services.skills import SkillLibrary

PAGE = 20
"""Skills in one answer: some 10 kB."""
CHILDREN = 100
"""Files and folders in one answer."""
FOLDER = "inode/directory"
CACHE: dict[str, Any] = {"ttlMs": 60_000, "cacheScope": "private"}
"""A user's own skills may be among them."""
_CURSOR = re.compile(r"after:(.+)", re.DOTALL)

Item = TypeVar("Item")


class SkillPages:
    """Lists skills, and the folders that they are; every method reads files.

    Each raises MCPError where there is no such skill, folder or page.
    """

    def __init__(self, library: SkillLibrary) -> None:
        self._library = library

    def page(self, cursor: str | None) -> dict[str, Any]:
        """Return a page of the skills."""
        page, more = _page(self._served(), lambda skill: skill.name, cursor, PAGE)
        entries = [entry for entry in map(_entry, page) if entry is not None]
        return {"skills": entries, **more, **CACHE}

    def skill(self, uri: str) -> dict[str, Any]:
        """Return one skill by the URI of its SKILL.md."""
        skill = next((item for item in self._served() if skill_uri(item, FILE) == uri), None)
        entry = _entry(skill) if skill else None
        if entry is None:
            raise _invalid(f"No skill is served at {clip(uri)!r}.")
        return {"skill": entry, **CACHE}

    def folder(self, uri: str, cursor: str | None) -> dict[str, Any]:
        """Return a page of what lies directly in a folder of a skill."""
        page, more = _page(self._children(uri), lambda item: item.uri, cursor, CHILDREN)
        children = [item.model_dump(by_alias=True, mode="json", exclude_none=True) for item in page]
        return {"resources": children, **more}

    def _served(self) -> list[Skill]:
        """Return the skills, of which one alone can be read where two have one name."""
        return [skill for skill in self._library.select() if self._library.named(skill.name) is skill]

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
