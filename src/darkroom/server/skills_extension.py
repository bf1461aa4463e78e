"""The Skills extension: every skill with its front matter, and the digest and size of each of its files.

Source: the extension's specification (SEP-2640). The files themselves are the resources of `knowledge.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp_types import PaginatedRequestParams, RequestParams

from darkroom.server.asking_user import STATELESS

if TYPE_CHECKING:
    from darkroom.server.desk import Desk

IDENTIFIER = "io.modelcontextprotocol/skills"

Context = ServerRequestContext[Any, Any]


class SkillParams(RequestParams):
    """Parameters of `skills/get`."""

    uri: str


class FolderParams(PaginatedRequestParams):
    """Parameters of `resources/directory/read`."""

    uri: str


class SkillsExtension(Extension):
    """Lists skills, and the folders that they are."""

    identifier = IDENTIFIER

    def __init__(self, desk: Callable[[], Awaitable[Desk]]) -> None:
        self._desk = desk

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
        return await anyio.to_thread.run_sync((await self._desk()).skills.page, params.cursor)

    async def _get(self, ctx: Context, params: SkillParams) -> HandlerResult:
        del ctx
        return await anyio.to_thread.run_sync((await self._desk()).skills.skill, params.uri)

    async def _folder(self, ctx: Context, params: FolderParams) -> HandlerResult:
        del ctx
        return await anyio.to_thread.run_sync((await self._desk()).skills.folder, params.uri, params.cursor)
