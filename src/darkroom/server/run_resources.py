"""The contents of `darkroom://runs/...` and `darkroom://sessions...`."""

from typing import Any

from mcp_types import Resource, ResourceTemplate

from darkroom.domain.request import clip
from darkroom.errors import InvalidRequest
from darkroom.server.callback_views import callback_view
from darkroom.server.context import Program
from darkroom.server.run_views import run_record, session_row, session_view

PAGE = 20
JSON = "application/json"
RESOURCES = (
    Resource(
        uri="darkroom://sessions",
        name="sessions",
        title="Sessions",
        description="Your newest conversations with agents; the last line says how to read older ones.",
        mime_type=JSON,
    ),
)
TEMPLATES = (
    ResourceTemplate(
        uri_template="darkroom://runs/{run_id}",
        name="run",
        title="Run record",
        description="Everything known of an agent's run or a workflow: steps, jobs, answers, history, money.",
        mime_type=JSON,
    ),
    ResourceTemplate(
        uri_template="darkroom://sessions/{session_id}{?before}",
        name="session",
        title="Session",
        description="What was said in a conversation, newest messages first paged by number.",
        mime_type=JSON,
    ),
    ResourceTemplate(
        uri_template="darkroom://sessions{?before}",
        name="older_sessions",
        title="Older sessions",
        description="Sessions older than the one named.",
        mime_type=JSON,
    ),
)


async def read_run(program: Program, principal: str, run_id: str) -> dict[str, Any]:
    """Return everything known of a run.

    Raises:
        UnknownJob: If there is none of that id.
    """
    run = await program.runs.get(run_id, principal)
    history, ledger = await program.run_history(run)
    callback = await program.callbacks.of(run.id, principal)
    return run_record(
        run,
        now=program.clock.now(),
        cost=await program.runs.cost(run),
        jobs=await program.runs.jobs_of(run),
        inside=await program.runs.inside(run),
        history=history,
        ledger=ledger,
        callback=callback and callback_view(callback),
    )


async def read_sessions(program: Program, principal: str, query: str) -> dict[str, Any]:
    """Return a page of sessions."""
    before = query.removeprefix("before=") or None
    if before is not None:
        await program.sessions.get(before, principal)  # one that there is not is the start of no page
    found = await program.sessions.find(principal, limit=PAGE, before=before)
    page: dict[str, Any] = {"sessions": [session_row(item) for item in found]}
    if len(found) == PAGE:
        page["older"] = f"darkroom://sessions?before={found[-1].id}"
    return page


async def read_session(program: Program, principal: str, session_id: str, query: str) -> dict[str, Any]:
    """Return a page of a session's messages.

    Raises:
        UnknownJob: If there is none of that id.
        InvalidRequest: If the page is no number.
    """
    text = query.removeprefix("before=")
    if text and not text.isdecimal():
        raise InvalidRequest(f"before must be the number of a message, not {clip(text)!r}.", field="before")
    return session_view(await program.sessions.get(session_id, principal), before=int(text) if text else None)
