"""Sessions: conversations with agents, which later runs go on from."""

from darkroom.domain.request import clip
from darkroom.domain.run import Session
from darkroom.errors import UnknownJob
from darkroom.services.tasks import NOTHING
from darkroom.store.run_base import RunStore


class Sessions:
    """What callers may do with sessions."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    async def get(self, session_id: str, principal: str) -> Session:
        """Return a session with its history.

        Raises:
            UnknownJob: If the caller has none of that id.
        """
        found = await self._store.session(session_id, principal)
        if found is None:
            raise UnknownJob(
                f"There is no session {clip(session_id)!r}.",
                field="session_id",
                hint=f"{NOTHING} Leave session_id out to begin one; darkroom://sessions lists yours.",
            )
        return found

    async def find(self, principal: str, *, limit: int = 10, before: str | None = None) -> list[Session]:
        """Return the caller's newest sessions, without their history."""
        return await self._store.sessions(principal, limit=limit, before=before)

    async def delete(self, session_id: str, principal: str) -> None:
        """Forget a session and what was said in it; its runs and jobs stay.

        Raises:
            UnknownJob: If the caller has none of that id.
            InvalidRequest: If a run of it goes on.
        """
        if not await self._store.delete_session(session_id, principal):
            await self.get(session_id, principal)  # raises
