"""What the Tasks extension does with jobs and runs.

Nothing is stored for a task: its id is the id of its job or run, sealed for its caller. So a task outlives every
process, and any process of the installation knows it.
"""

import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS, CallToolResult, ElicitResult, TextContent
from pydantic import ValidationError

from darkroom.domain.job import Job
from darkroom.domain.request import clip
from darkroom.domain.run import Mode, Run
from darkroom.errors import DarkroomError, InvalidRequest, UnknownJob
from darkroom.server.answers import job_answer, outcome, view_of
from darkroom.server.asking_user import shows_forms
from darkroom.server.context import ToolCall
from darkroom.server.links import signature
from darkroom.server.run_answers import run_answer
from darkroom.server.run_views import run_view
from darkroom.server.task_views import (
    ANSWER,
    FINAL,
    Standing,
    as_asked,
    job_standing,
    question_key,
    question_request,
    run_standing,
    task_view,
)
from darkroom.server.tasks import TaskParams, UpdateParams
from darkroom.server.views import error_text
from darkroom.services.jobs import at_rest
from darkroom.services.runs import Thing

PURPOSE = "tasks"
LONGEST = 9
"""Digits that the count in an id may have."""
UNANSWERED = {
    "decline": "(no answer: the user declined to answer)",
    "cancel": "(no answer: the user closed the question)",
}
"""What an agent is told where its user says nothing; it goes on with what it knows."""

Context = ServerRequestContext[Any, Any]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Name:
    """What a task's id says."""

    subject: str
    """Id of the job or run."""
    answers: int = 0
    """How many answers the run had when the task began: each of its questions may end one task and begin the next."""

    def sealed(self, key: bytes, principal: str) -> str:
        """Return the id, which nobody can guess and which means nothing for another principal."""
        text = f"{self.subject}.{self.answers}"
        return f"task_{text}.{signature(key, principal, text)}"


def opened(task_id: str, key: bytes, principal: str) -> Name | None:
    """Return what a task's id says; None where it was not made here for that principal."""
    parts = task_id.removeprefix("task_").split(".")
    if len(parts) != 3 or not parts[1].isdecimal() or len(parts[1]) > LONGEST:
        return None
    name = Name(parts[0], int(parts[1]))
    wanted = name.sealed(key, principal).encode(errors="surrogatepass")
    return name if hmac.compare_digest(wanted, task_id.encode(errors="surrogatepass")) else None


class TaskCalls:
    """Begins tasks, and answers the three methods about them."""

    def __init__(self, call: Callable[[], Awaitable[ToolCall]]) -> None:
        """Create it.

        Args:
            call: What answers are built with, for the present caller; raises DarkroomError while nothing can be stored.
        """
        self._call = call

    async def begun(self, result: CallToolResult, ctx: Context) -> HandlerResult:
        """Return a task in the place of an answer that is not the last word, else the answer."""
        said: dict[str, Any] = result.structured_content or {}
        subject: str | None = said.get("run_id") or said.get("job_id")
        if subject is None:
            return result
        try:
            return await self._task(subject, result, said.get("status"), ctx)
        except DarkroomError as exc:  # what was started goes on, and the plain answer says how to ask about it
            log.warning("no task for %s: %s", subject, exc.message)
            return result

    async def _task(self, subject: str, result: CallToolResult, status: str | None, ctx: Context) -> HandlerResult:
        call = await self._call()
        [thing] = await call.program.runs.things([subject], call.principal)
        if isinstance(thing, Run) and thing.mode is Mode.CLIENT:
            return result  # whose thinking needs calls of its client
        name = Name(subject, len(thing.answers) if isinstance(thing, Run) else 0)
        seen = await _Seen.of(thing, name, call, ctx)
        if seen.standing in FINAL and status == thing.state.value:
            return result
        task_id = name.sealed(await call.program.secret(PURPOSE), call.principal)
        notes = " ".join(block.text for block in result.content[1:] if isinstance(block, TextContent))
        return {**task_view(task_id, thing, seen.standing, await seen.view(call), notes), "resultType": "task"}

    async def get(self, ctx: Context, params: TaskParams) -> HandlerResult:
        """Return where a task stands, with its question or its result.

        Raises:
            MCPError: As the extension wants it.
        """

        async def read(name: Name, call: ToolCall) -> HandlerResult:
            [now] = await call.program.runs.wait([name.subject], call.principal, 0.0)
            seen = await _Seen.of(now, name, call, ctx)
            thing = seen.thing
            task = task_view(params.task_id, thing, seen.standing, await seen.view(call))
            if seen.standing is Standing.INPUT_REQUIRED and isinstance(thing, Run):
                return {**task, "inputRequests": {question_key(thing): question_request(thing)}}
            if seen.standing is Standing.COMPLETED:
                answer = await (run_answer(thing, call) if isinstance(thing, Run) else job_answer(thing, call))
                return {**task, "result": outcome(answer).model_dump(by_alias=True, mode="json", exclude_none=True)}
            return task

        return await self._answered(params, read)

    async def update(self, params: UpdateParams) -> HandlerResult:
        """Give a run the answer to its open question; what answers anything else is ignored, as the extension says.

        Raises:
            MCPError: As the extension wants it; nothing was changed.
        """

        async def tell(name: Name, call: ToolCall) -> HandlerResult:
            [thing] = await call.program.runs.things([name.subject], call.principal)
            if not isinstance(thing, Run) or thing.question is None:
                return {}
            if question_key(thing) not in params.input_responses:
                return {}
            text = _answer(params.input_responses[question_key(thing)])
            try:
                await call.program.runs.answer(thing.id, text, call.principal)
            except InvalidRequest:
                now = await call.program.runs.get(thing.id, call.principal)
                if now.question is not None and question_key(now) == question_key(thing):
                    raise
            return {}  # else somebody was quicker

        return await self._answered(params, tell)

    async def cancel(self, params: TaskParams) -> HandlerResult:
        """Stop a task's job, or its run with the jobs that it started.

        Raises:
            MCPError: As the extension wants it; nothing was changed.
        """

        async def stop(name: Name, call: ToolCall) -> HandlerResult:
            runs = call.program.runs
            [thing] = await runs.things([name.subject], call.principal)
            jobs = [job.id for job in await runs.jobs_of(thing) if not job.ended] if isinstance(thing, Run) else []
            await runs.stop([name.subject, *jobs], call.principal)
            return {}

        return await self._answered(params, stop)

    async def _answered(
        self, params: TaskParams, handle: Callable[[Name, ToolCall], Awaitable[HandlerResult]]
    ) -> HandlerResult:
        """Check who asks about what, and answer.

        Raises:
            MCPError: As the extension wants it; nothing was changed.
        """
        unknown = MCPError(code=INVALID_PARAMS, message=f"There is no task {clip(params.task_id)!r}.")
        try:
            call = await self._call()
            name = opened(params.task_id, await call.program.secret(PURPOSE), call.principal)
            if name is None:
                raise unknown
            return await handle(name, call)
        except UnknownJob:  # deleted by its user
            raise unknown from None
        except InvalidRequest as exc:
            raise MCPError(code=INVALID_PARAMS, message=error_text(exc)) from exc
        except DarkroomError as exc:
            raise MCPError(code=INTERNAL_ERROR, message=error_text(exc)) from exc


@dataclass(frozen=True, slots=True)
class _Seen:
    """A job or run, as its task tells of it, and where that stands for the client that asks."""

    thing: Thing
    standing: Standing
    jobs: Sequence[Job] = ()
    """Those that a run started."""

    @classmethod
    async def of(cls, thing: Thing, name: Name, call: ToolCall, ctx: Context) -> "_Seen":
        """Look at a job or run."""
        if isinstance(thing, Job):
            return cls(thing, job_standing(thing))
        jobs = await call.program.runs.jobs_of(thing)
        asks = shows_forms(ctx.session.client_capabilities)
        run = thing if asks else as_asked(thing, name.answers)
        return cls(run, run_standing(run, jobs, asks=asks), jobs)

    async def view(self, call: ToolCall) -> dict[str, Any]:
        """Return the lean view of what goes on: of the job that is still open where the run itself is over."""
        if isinstance(self.thing, Job):
            return await view_of(self.thing, call)
        going = next((job for job in self.jobs if not at_rest(job)), None)
        if self.standing is Standing.WORKING and self.thing.ended and going is not None:
            return await view_of(going, call)
        return run_view(self.thing, now=call.program.clock.now(), jobs=self.jobs, listed=True)


def _answer(response: Any) -> str:
    """Return the user's word on a question.

    Raises:
        InvalidRequest: If the response is no answer to it.
    """
    hint = "Nothing was changed; the task still asks."
    try:
        result = ElicitResult.model_validate(response)
    except ValidationError:
        raise InvalidRequest("The response is no answer to a form.", field="inputResponses", hint=hint) from None
    if result.action != "accept":
        return UNANSWERED[result.action]
    said = result.content or {}
    [value] = [said[ANSWER]] if ANSWER in said else said.values() if len(said) == 1 else [None]  # forms may rename it
    if value is None or isinstance(value, list):
        raise InvalidRequest(f"The form's field {ANSWER!r} is missing.", field="inputResponses", hint=hint)
    return value if isinstance(value, str) else json.dumps(value)
